/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Virtual trust levels: VTL 0 the guest, VTL 2 a paravisor below it. [TLFS "Virtual Secure Mode"] Also for the assembler. */
#ifndef ABI_HYPERV_VSM_H
#define ABI_HYPERV_VSM_H

#define HV_CALL_VTL_CALL 0x11
#define HV_CALL_VTL_RETURN 0x12

/* CreatePartition's flag: the partition has VTL 2. */
#define HV_CREATE_VTL2 0x400

/* INPUT_VTL byte */
#define HV_INPUT_VTL_USE 0x10

/* Registers */
#define HV_REG_VSM_CODE_PAGE_OFFSETS 0x000d0002
#define HV_REG_VSM_VP_STATUS 0x000d0003
#define HV_REG_VSM_CAPABILITIES 0x000d0006
#define HV_REG_VSM_PARTITION_CONFIG 0x000d0007

#define HV_VSM_CONFIG_PROTECTION 0x1
#define HV_VSM_CONFIG_CPUID 0x400
#define HV_VSM_CONFIG_TRIPLE_FAULT 0x800
#define HV_VSM_CONFIG_INTERCEPT_PAGE 0x1000
#define HV_VSM_CONFIG_UNMAPPED_GPA 0x4000
#define HV_VSM_CONFIG_KNOWN 0x5c3f

/* Offsets in the VP assist page */
#define HV_ASSIST_ENTRY_REASON 8
#define HV_ASSIST_RETURN_RAX 16
#define HV_ASSIST_RETURN_RCX 24
#define HV_ASSIST_MESSAGE 112

#define HV_VTL_ENTRY_INTERRUPT 2
#define HV_VTL_ENTRY_INTERCEPT 3

#endif
