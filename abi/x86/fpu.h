/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87 and SSE control and status bits, layouts of their memory images. [SDM1 "Programming with the
 * x87 FPU", "Programming with Intel Streaming SIMD Extensions", "Managing State Using the XSAVE
 * Feature Set"]. Usable from assembler. */
#ifndef ABI_X86_FPU_H
#define ABI_X86_FPU_H

/* Exception bits: the same places in FSW, FCW (masks), MXCSR; MXCSR's masks are 7 bits higher. */
#define FP_IE 0x01
#define FP_DE 0x02
#define FP_ZE 0x04
#define FP_OE 0x08
#define FP_UE 0x10
#define FP_PE 0x20
#define FP_ALL 0x3f
#define FP_PRE (FP_IE | FP_DE | FP_ZE) /* known before the result is computed */

#define MXCSR_DAZ 0x0040
#define MXCSR_MASK_SHIFT 7
#define MXCSR_UM 0x0800
#define MXCSR_MASKS 0x1f80
#define MXCSR_RC 0x6000
#define MXCSR_RC_SHIFT 13
#define MXCSR_FTZ 0x8000
#define MXCSR_INIT 0x1f80
#define MXCSR_MASK_VALID 0x0000ffff
#define MXCSR_MASK_MM 0x00020000 /* misaligned SSE mode (AMD) */

#define FSW_SF 0x0040
#define FSW_ES 0x0080
#define FSW_C0 0x0100
#define FSW_C1 0x0200
#define FSW_C2 0x0400
#define FSW_TOP 0x3800
#define FSW_TOP_SHIFT 11
#define FSW_C3 0x4000
#define FSW_B 0x8000
#define FSW_CC (FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)

#define FCW_IM 0x0001
#define FCW_UM 0x0010
#define FCW_PC 0x0300
#define FCW_RC 0x0c00
#define FCW_RC_SHIFT 10
#define FCW_INIT 0x037f
#define FCW_RESET 0x0040 /* after power-up; FNINIT gives FCW_INIT */
#define FCW_VALID 0x1f7f
#define FCW_ONE 0x0040 /* reads as one */

/* FXSAVE area. */
#define FXSAVE_FCW 0
#define FXSAVE_FSW 2
#define FXSAVE_FTW 4
#define FXSAVE_FOP 6
#define FXSAVE_FIP 8
#define FXSAVE_FDP 16
#define FXSAVE_MXCSR 24
#define FXSAVE_MXCSR_MASK 28
#define FXSAVE_ST 32
#define FXSAVE_XMM 160
#define FXSAVE_SIZE 512

/* XSAVE area: legacy region, header, extended region. */
#define XSAVE_HEADER 512
#define XSAVE_HEADER_SIZE 64
#define XSAVE_EXTENDED 576
#define XCOMP_BV_COMPACT 0x8000000000000000

#define XCR0_BIT_X87 0
#define XCR0_BIT_SSE 1
#define XCR0_BIT_AVX 2
#define XCR0_BIT_BNDREGS 3
#define XCR0_BIT_BNDCSR 4
#define XCR0_BIT_PKRU 9
#define XSS_BIT_CET_U 11
#define XSS_BIT_CET_S 12
#define XSS_CET_U 0x800
#define XSS_CET_S 0x1000

#endif
