/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AMD-Vi: registers, their fields and the formats in memory [AMDVI "MMIO Registers", "Device Table
 * Entry Format", "I/O Page Tables for Host Translations", "Commands", "Event Logging"].
 * Constants only. Reasons of faults are in amdvi_faults.def. */
#ifndef VITRINE_ABI_X86_AMDVI_H
#define VITRINE_ABI_X86_AMDVI_H

/* Register offsets, all of 64 bits. */
#define AMDVI_DEVTAB 0x0000
#define AMDVI_CMD_BASE 0x0008
#define AMDVI_EVT_BASE 0x0010
#define AMDVI_CONTROL 0x0018
#define AMDVI_EXCL_BASE 0x0020
#define AMDVI_EXCL_LIMIT 0x0028
#define AMDVI_EFR 0x0030
#define AMDVI_PPR_BASE 0x0038
#define AMDVI_GA_BASE 0x00e0
#define AMDVI_GA_TAIL_ADDRESS 0x00e8
#define AMDVI_MSI_HEADER 0x0158 /* 32 bits each: the MSI capability, if EFR.MsiCapMmioSup */
#define AMDVI_MSI_ADDRESS_LO 0x015c
#define AMDVI_MSI_ADDRESS_HI 0x0160
#define AMDVI_MSI_DATA 0x0164
#define AMDVI_XT_GENERAL 0x0170
#define AMDVI_XT_PPR 0x0178
#define AMDVI_XT_GA 0x0180
#define AMDVI_EFR2 0x01a0
#define AMDVI_CMD_HEAD 0x2000
#define AMDVI_CMD_TAIL 0x2008
#define AMDVI_EVT_HEAD 0x2010
#define AMDVI_EVT_TAIL 0x2018
#define AMDVI_STATUS 0x2020
#define AMDVI_PPR_HEAD 0x2030
#define AMDVI_PPR_TAIL 0x2038
#define AMDVI_GA_HEAD 0x2040
#define AMDVI_GA_TAIL 0x2048
#define AMDVI_MMIO_SIZE 0x4000

/* Control */
#define AMDVI_CTL_EN BIT(0)
#define AMDVI_CTL_EVT_LOG_EN BIT(2)
#define AMDVI_CTL_EVT_INT_EN BIT(3)
#define AMDVI_CTL_COMWAIT_INT_EN BIT(4)
#define AMDVI_CTL_CMD_BUF_EN BIT(12)
#define AMDVI_CTL_PPR_LOG_EN BIT(13)
#define AMDVI_CTL_PPR_INT_EN BIT(14)
#define AMDVI_CTL_PPR_EN BIT(15)
#define AMDVI_CTL_GT_EN BIT(16)
#define AMDVI_CTL_GA_EN BIT(17)
#define AMDVI_CTL_GAM_SHIFT 25 /* 3 bits; 1: guest virtual APIC */
#define AMDVI_CTL_GA_LOG_EN BIT(28)
#define AMDVI_CTL_GA_INT_EN BIT(29)
#define AMDVI_CTL_XT_EN BIT(50)
#define AMDVI_CTL_INTCAPXT_EN BIT(51)

/* Status */
#define AMDVI_STS_EVT_OVERFLOW BIT(0)
#define AMDVI_STS_EVT_INT BIT(1)
#define AMDVI_STS_COMWAIT_INT BIT(2)
#define AMDVI_STS_EVT_RUN BIT(3)
#define AMDVI_STS_CMD_RUN BIT(4)
#define AMDVI_STS_PPR_OVERFLOW BIT(5)
#define AMDVI_STS_PPR_INT BIT(6)
#define AMDVI_STS_PPR_RUN BIT(7)
#define AMDVI_STS_GA_RUN BIT(8)
#define AMDVI_STS_GA_OVERFLOW BIT(9)
#define AMDVI_STS_GA_INT BIT(10)

/* Extended features */
#define AMDVI_EFR_PREF BIT(0)
#define AMDVI_EFR_PPR BIT(1)
#define AMDVI_EFR_XT BIT(2)
#define AMDVI_EFR_GT BIT(4)
#define AMDVI_EFR_IA BIT(6)
#define AMDVI_EFR_GA BIT(7)
#define AMDVI_EFR_HATS_SHIFT 10 /* 0: 4 levels, 1: 5, 2: 6 */
#define AMDVI_EFR_GATS_SHIFT 12
#define AMDVI_EFR_GLX_SHIFT 14 /* levels of GCR3 tables, less 1 */
#define AMDVI_EFR_GAM_SHIFT 21
#define AMDVI_EFR_PASMAX_SHIFT 32 /* bits of a PASID, less 1 */
#define AMDVI_EFR_MSI_CAP_MMIO BIT(46)
#define AMDVI_EFR_GIO BIT(48)

/* Base registers of buffers: length in 59:56 is the log2 of the entries. */
#define AMDVI_BASE_ADDRESS 0x000ffffffffff000u
#define AMDVI_BASE_LENGTH_SHIFT 56

/* Commands: opcode in 63:60 of the first quadword. */
#define AMDVI_CMD_COMPLETION_WAIT 0x1
#define AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY 0x2
#define AMDVI_CMD_INVALIDATE_IOMMU_PAGES 0x3
#define AMDVI_CMD_INVALIDATE_IOTLB_PAGES 0x4
#define AMDVI_CMD_INVALIDATE_INTERRUPT_TABLE 0x5
#define AMDVI_CMD_PREFETCH_IOMMU_PAGES 0x6
#define AMDVI_CMD_COMPLETE_PPR_REQUEST 0x7
#define AMDVI_CMD_INVALIDATE_IOMMU_ALL 0x8

/* Events: code in 63:60 of the first quadword. */
#define AMDVI_EVENT_ILLEGAL_DEV_TABLE_ENTRY 0x1
#define AMDVI_EVENT_IO_PAGE_FAULT 0x2
#define AMDVI_EVENT_DEV_TAB_HARDWARE_ERROR 0x3
#define AMDVI_EVENT_PAGE_TAB_HARDWARE_ERROR 0x4
#define AMDVI_EVENT_ILLEGAL_COMMAND_ERROR 0x5
#define AMDVI_EVENT_COMMAND_HARDWARE_ERROR 0x6
#define AMDVI_EVENT_INVALID_DEVICE_REQUEST 0x8
/* Their flags, bits of the first quadword. */
#define AMDVI_EVENT_GN BIT(48)
#define AMDVI_EVENT_US BIT(50)
#define AMDVI_EVENT_I BIT(51)
#define AMDVI_EVENT_PR BIT(52)
#define AMDVI_EVENT_RW BIT(53)
#define AMDVI_EVENT_PE BIT(54)
#define AMDVI_EVENT_RZ BIT(55)
#define AMDVI_EVENT_TR BIT(56)
#define AMDVI_EVENT_TYPE_SHIFT 57 /* of INVALID_DEVICE_REQUEST, 3 bits */

/* Device table entry, 4 quadwords. */
#define AMDVI_DTE_SIZE 32
#define AMDVI_DTE_V BIT(0)
#define AMDVI_DTE_TV BIT(1)
#define AMDVI_DTE_MODE_SHIFT 9
#define AMDVI_DTE_PPR BIT(52)
#define AMDVI_DTE_GPRP BIT(53)
#define AMDVI_DTE_GIOV BIT(54)
#define AMDVI_DTE_GV BIT(55)
#define AMDVI_DTE_GLX_SHIFT 56
#define AMDVI_DTE_IR BIT(61)
#define AMDVI_DTE_IW BIT(62)
#define AMDVI_DTE1_SA BIT(34) /* suppress all events */
#define AMDVI_DTE1_EX BIT(39) /* the exclusion range is this device's too */
#define AMDVI_DTE2_IV BIT(0)
#define AMDVI_DTE2_INTTABLEN_SHIFT 1
#define AMDVI_DTE2_IG BIT(5) /* no events for interrupts */
#define AMDVI_DTE2_INTTAB 0x000fffffffffffc0u
#define AMDVI_DTE2_INIT_PASS BIT(56)
#define AMDVI_DTE2_EINT_PASS BIT(57)
#define AMDVI_DTE2_NMI_PASS BIT(58)
#define AMDVI_DTE2_INTCTL_SHIFT 60 /* 0: abort, 1: forward, 2: remap */

/* Host page table entries. */
#define AMDVI_PTE_PR BIT(0)
#define AMDVI_PTE_NEXT_SHIFT 9 /* 0: a page of the level's size, 7: of a size in its address */
#define AMDVI_PTE_IR BIT(61)
#define AMDVI_PTE_IW BIT(62)

/* Interrupt remapping entries: low 32 bits of either format. */
#define AMDVI_IRTE_REMAP_EN BIT(0)
#define AMDVI_IRTE_SUP_IOPF BIT(1)
#define AMDVI_IRTE_INT_TYPE_SHIFT 2
#define AMDVI_IRTE_DM BIT(6)
#define AMDVI_IRTE_GUEST_MODE BIT(7)
/* With GuestMode, 128-bit format. */
#define AMDVI_IRTE_GA_LOG_INTR BIT(2)
#define AMDVI_IRTE_IS_RUN BIT(6)

#define AMDVI_GA_LOG_GUEST_NR 0x1 /* code in 63:60 */
#define AMDVI_PPR_PAGE_SERVICE 0x1

/* The PCI capability. */
#define AMDVI_CAP_ID 0x0f
#define AMDVI_CAP_SIZE 0x18
#define AMDVI_CAP_TYPE 3
#define AMDVI_CAP_REV 1
#define AMDVI_CAP_NP_CACHE 0x04000000u
#define AMDVI_CAP_EFR_SUP 0x08000000u
#define AMDVI_CAP_EXT 0x10000000u

/* IVRS */
#define AMDVI_IVHD_LEGACY 0x10
#define AMDVI_IVHD_EFR 0x11
#define AMDVI_IVHD_ACPI 0x40
#define AMDVI_IVHD_RANGE_START 0x03
#define AMDVI_IVHD_RANGE_END 0x04
#define AMDVI_IVHD_SPECIAL 0x48
#define AMDVI_IVHD_VARIETY_IOAPIC 1
#define AMDVI_IVHD_VARIETY_HPET 2

#endif
