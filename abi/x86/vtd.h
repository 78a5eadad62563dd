/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VT-d: registers, their fields and the formats in memory [VTD "Register Descriptions",
 * "Translation Structure Formats", "Interrupt Remapping Table Entry", "Invalidation Descriptors"].
 * Constants only; usable from assembler. Fault reasons are in vtd_faults.def. */
#ifndef VITRINE_ABI_X86_VTD_H
#define VITRINE_ABI_X86_VTD_H

/* Register offsets. */
#define VTD_VER 0x00
#define VTD_CAP 0x08
#define VTD_ECAP 0x10
#define VTD_GCMD 0x18
#define VTD_GSTS 0x1c
#define VTD_RTADDR 0x20
#define VTD_CCMD 0x28
#define VTD_FSTS 0x34
#define VTD_FECTL 0x38
#define VTD_FEDATA 0x3c
#define VTD_FEADDR 0x40
#define VTD_FEUADDR 0x44
#define VTD_IQH 0x80
#define VTD_IQT 0x88
#define VTD_IQA 0x90
#define VTD_ICS 0x9c
#define VTD_IECTL 0xa0
#define VTD_IEDATA 0xa4
#define VTD_IEADDR 0xa8
#define VTD_IEUADDR 0xac
#define VTD_IQERCD 0xb0
#define VTD_IRTA 0xb8
/* Where CAP.FRO and ECAP.IRO put the rest. */
#define VTD_IVA 0xf0
#define VTD_IOTLB 0xf8
#define VTD_FRCD 0x220
#define VTD_FRCD_COUNT 8

/* CAP */
#define VTD_CAP_ND_16BIT 0x6 /* 64 Ki domains */
#define VTD_CAP_CM 0x80
#define VTD_CAP_SAGAW_SHIFT 8
#define VTD_SAGAW_3_LEVEL 0x2
#define VTD_SAGAW_4_LEVEL 0x4
#define VTD_CAP_MGAW_SHIFT 16
#define VTD_CAP_ZLR 0x400000
#define VTD_CAP_FRO_SHIFT 24
#define VTD_CAP_SLLPS_SHIFT 34 /* 2 MiB, 1 GiB */
#define VTD_CAP_PSI_SHIFT 39
#define VTD_CAP_NFR_SHIFT 40
#define VTD_CAP_MAMV_SHIFT 48
#define VTD_CAP_DWD_SHIFT 54
#define VTD_CAP_DRD_SHIFT 55
#define VTD_CAP_FL1GP_SHIFT 56
#define VTD_CAP_PI_SHIFT 59

/* ECAP */
#define VTD_ECAP_C 0x1
#define VTD_ECAP_QI 0x2
#define VTD_ECAP_IR 0x8
#define VTD_ECAP_EIM 0x10
#define VTD_ECAP_PT 0x40
#define VTD_ECAP_SC 0x80
#define VTD_ECAP_IRO_SHIFT 8
#define VTD_ECAP_MHMV_SHIFT 20
#define VTD_ECAP_SRS_SHIFT 31
#define VTD_ECAP_SMTS_SHIFT 43
#define VTD_ECAP_SLTS_SHIFT 46
#define VTD_ECAP_FLTS_SHIFT 47
#define VTD_ECAP_SMPWC_SHIFT 48
#define VTD_ECAP_RPS_SHIFT 49

/* GCMD and GSTS */
#define VTD_GCMD_TE 0x80000000
#define VTD_GCMD_SRTP 0x40000000
#define VTD_GCMD_SFL 0x20000000
#define VTD_GCMD_EAFL 0x10000000
#define VTD_GCMD_WBF 0x08000000
#define VTD_GCMD_QIE 0x04000000
#define VTD_GCMD_IRE 0x02000000
#define VTD_GCMD_SIRTP 0x01000000
#define VTD_GCMD_CFI 0x00800000

/* RTADDR */
#define VTD_RTADDR_TTM_SHIFT 10
#define VTD_TTM_LEGACY 0
#define VTD_TTM_SCALABLE 1
#define VTD_TTM_ABORT 3

/* IRTA */
#define VTD_IRTA_EIME 0x800
#define VTD_IRTA_SIZE 0xf

/* IQA */
#define VTD_IQA_SIZE 0x7
#define VTD_IQA_DW 0x800

/* FSTS */
#define VTD_FSTS_PFO 0x01
#define VTD_FSTS_PPF 0x02
#define VTD_FSTS_IQE 0x10
#define VTD_FSTS_ICE 0x20
#define VTD_FSTS_ITE 0x40
#define VTD_FSTS_FRI_SHIFT 8

/* FECTL, IECTL */
#define VTD_EVENT_IM 0x80000000
#define VTD_EVENT_IP 0x40000000

#define VTD_ICS_IWC 0x1

/* Invalidation queue error information in IQERCD. */
#define VTD_IQEI_TAIL 1
#define VTD_IQEI_FETCH 2
#define VTD_IQEI_TYPE 3
#define VTD_IQEI_RESERVED 4
#define VTD_IQEI_WIDTH 5
#define VTD_IQEI_TAIL_ALIGNMENT 6
#define VTD_IQEI_TTM 7

/* Upper half of a fault record. */
#define VTD_FRCD_REASON_SHIFT 32
#define VTD_FRCD_T1_SHIFT 62 /* the access was a read */
#define VTD_FRCD_F_SHIFT 63

/* Invalidation descriptors. */
#define VTD_INV_CONTEXT 0x1
#define VTD_INV_IOTLB 0x2
#define VTD_INV_DEVICE_IOTLB 0x3
#define VTD_INV_IEC 0x4
#define VTD_INV_WAIT 0x5
#define VTD_INV_PASID_IOTLB 0x6
#define VTD_INV_PASID_CACHE 0x7
#define VTD_INV_WAIT_IF 0x10
#define VTD_INV_WAIT_SW 0x20

/* Context entries: translation types. */
#define VTD_TT_UNTRANSLATED 0
#define VTD_TT_DEVICE_TLB 1
#define VTD_TT_PASS_THROUGH 2

/* PASID table entries: granular translation types. */
#define VTD_PGTT_FIRST_LEVEL 1
#define VTD_PGTT_SECOND_LEVEL 2
#define VTD_PGTT_NESTED 3
#define VTD_PGTT_PASS_THROUGH 4

/* Interrupt requests. */
#define VTD_MSI_REMAPPABLE 0x10
#define VTD_MSI_SHV 0x08

/* DMAR table [VTD "BIOS Considerations"]. */
#define VTD_DMAR_INTR_REMAP 0x1
#define VTD_DMAR_X2APIC_OPT_OUT 0x2
#define VTD_DRHD_INCLUDE_ALL 0x1
#define VTD_SCOPE_IOAPIC 3
#define VTD_SCOPE_HPET 4

#endif
