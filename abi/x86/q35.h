/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Configuration registers of the Q35 memory controller hub [Q35 "DRAM Controller Registers"] and
 * of the ICH9's LPC bridge, chipset block and SMBus controller [ICH9]; and where this board puts
 * what they decode. Constants only; usable from assembler. */
#ifndef VITRINE_ABI_X86_Q35_H
#define VITRINE_ABI_X86_Q35_H

/* Where things are on this board. */
#define Q35_ECAM_BASE 0xb0000000
#define Q35_ECAM_SIZE 0x10000000
#define Q35_PCI32_FIRST 0xc0000000
#define Q35_PCI32_LAST 0xfebfffff
#define Q35_PCI_IO_FIRST 0x1000
#define Q35_PCI_IO_LAST 0xffff
#define Q35_PMBASE 0x600
#define Q35_RCBA 0xfed1c000
#define Q35_GSI_PIRQA 16
#define Q35_SCI 9

/* Function numbers. */
#define Q35_MCH_DEVFN 0x00
#define ICH9_LPC_DEVFN 0xf8
#define ICH9_AHCI_DEVFN 0xfa
#define ICH9_SMBUS_DEVFN 0xfb

/* MCH, device 0. */
#define MCH_PCIEXBAR 0x60
#define MCH_PAM0 0x90
#define MCH_SMRAM 0x9d
#define MCH_ESMRAMC 0x9e
#define MCH_TOM 0xa0
#define MCH_TOUUD 0xa2
#define MCH_TSEGMB 0xac
#define MCH_TOLUD 0xb0
#define MCH_EXT_TSEG 0x50

#define MCH_PAM_READ 1
#define MCH_PAM_WRITE 2
#define MCH_SMRAM_C_BASE_SEG 0x02
#define MCH_SMRAM_G_SMRAME 0x08
#define MCH_SMRAM_D_LCK 0x10
#define MCH_SMRAM_D_CLS 0x20
#define MCH_SMRAM_D_OPEN 0x40
#define MCH_ESMRAMC_T_EN 0x01
#define MCH_ESMRAMC_TSEG_SZ 0x06
#define MCH_ESMRAMC_E_SMERR 0x40
#define MCH_ESMRAMC_H_SMRAME 0x80

/* ICH9 LPC bridge. */
#define ICH9_PMBASE 0x40
#define ICH9_ACPI_CNTL 0x44
#define ICH9_ACPI_CNTL_EN 0x80
#define ICH9_GPIOBASE 0x48
#define ICH9_GC 0x4c
#define ICH9_PIRQA_ROUT 0x60
#define ICH9_SIRQ_CNTL 0x64
#define ICH9_PIRQE_ROUT 0x68
#define ICH9_PIRQ_ROUT_DISABLE 0x80
#define ICH9_LPC_IO_DEC 0x80
#define ICH9_GEN_PMCON_1 0xa0
#define ICH9_GEN_PMCON_1_SMI_LOCK 0x0010
#define ICH9_RCBA 0xf0

/* Chipset configuration registers, offsets from RCBA. */
#define ICH9_CC_SIZE 0x4000
#define ICH9_CC_D31IP 0x3100
#define ICH9_CC_D28IP 0x310c
#define ICH9_CC_D31IR 0x3140
#define ICH9_CC_D29IR 0x3144
#define ICH9_CC_D28IR 0x3146
#define ICH9_CC_D27IR 0x3148
#define ICH9_CC_D26IR 0x314c
#define ICH9_CC_D25IR 0x3150
#define ICH9_CC_OIC 0x31ff
#define ICH9_CC_HPTC 0x3404
#define ICH9_CC_GCS 0x3410

/* SMBus. */
#define ICH9_SMB_HOSTC 0x40

#endif
