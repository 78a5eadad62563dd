/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ROM of VMI, from its start; it begins at a multiple of 2 KiB. [Linux 2.6.35 arch/x86/include/asm/vmi.h] */
#ifndef VITRINE_ABI_VMI_ROM_H
#define VITRINE_ABI_VMI_ROM_H

#define VMI_ROM_ALIGN 0x800
#define VMI_ROM_MARK 0x0        /* u16: VMI_ROM_MARK_IS, as any option ROM has */
#define VMI_ROM_LENGTH 0x2      /* u8: in units of 512 bytes */
#define VMI_ROM_SIGNATURE 0x8   /* u32: VMI_ROM_SIGNATURE_IS */
#define VMI_ROM_INIT 0x80       /* code */
#define VMI_ROM_GET_RELOC 0x88  /* code: EAX a call's number; EDX:EAX how to make it */
#define VMI_ROM_MARK_IS 0xaa55
#define VMI_ROM_SIGNATURE_IS 0x696d5663 /* "cVmi" */

#endif
