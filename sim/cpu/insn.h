/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The op form: one decoded instruction in 32 bytes. The interpreter runs it, the translator reads
 * it; there is no other intermediate form. */
#ifndef VITRINE_CPU_INSN_H
#define VITRINE_CPU_INSN_H

#include "base/types.h"
#include "cpu/event.h"

struct cpu;
struct insn;

/* Semantics of one instruction. At entry arch.rip is its address. A handler of block class JUMP or
 * STRING stores arch.rip itself; for all others the run loop adds the length. */
typedef cpu_rc exec_fn(struct cpu *cpu, const struct insn *in);

/* Operand codes in insn.r[]: class in the high bits, register number in the low ones. */
enum operand {
    OPR_GPR = 0x00,   /* 0x00-0x0f RAX..R15 */
    OPR_HIGH = 0x10,  /* 0x10-0x13 AH CH DH BH */
    OPR_VEC = 0x20,   /* 0x20-0x2f XMM/YMM */
    OPR_MMX = 0x30,   /* 0x30-0x37 */
    OPR_ST = 0x38,    /* 0x38-0x3f */
    OPR_SEG = 0x40,   /* 0x40-0x45 ES CS SS DS FS GS */
    OPR_CR = 0x50,    /* 0x50-0x5f */
    OPR_DR = 0x60,    /* 0x60-0x6f */
    OPR_BND = 0x70,
    OPR_MEM = 0x80,   /* the memory operand: base, index, scale, disp, segment */
    OPR_IMM = 0x81,   /* in imm */
    OPR_FAR = 0x82,   /* ptr16:16/32 in imm: selector << 32 | offset */
    OPR_REL = 0x83,   /* branch displacement in imm, sign-extended */
    OPR_NONE = 0xff,
};

/* insn.base and insn.index besides 0..15. */
#define REG_NONE 0xff
#define REG_RIP 0xfe

enum insn_prefix {
    PFX_LOCK = 1,
    PFX_REP = 2,   /* F3 */
    PFX_REPNE = 4, /* F2 */
    PFX_66 = 8,
    PFX_REXW = 0x10,
    PFX_VEX = 0x20,
    PFX_VEX_L = 0x40, /* 256-bit */
    PFX_SEG = 0x80,   /* an explicit segment override stands in `seg` */
};

struct insn {
    exec_fn *exec;
    u64 imm;   /* immediate, sign-extended to 64 bits; moffs; ENTER: second imm in bits 32.. */
    i32 disp;  /* sign-extended displacement of the memory operand */
    u16 id;    /* enum insn_id, low 12 bits; log2 of the memory operand's bytes in bits 12-15 (without
                * one: of a general register at r[1]) */
    u8 len;    /* bytes, 1..15 */
    u8 osz;    /* operand size in bytes: 1, 2, 4, 8; vector length 16 or 32 */
    u8 r[4];   /* explicit operands in the manual's order (destination first) */
    u8 base, index;
    u8 sib;    /* scale (log2) in bits 0-1, segment in bits 2-4, address size (0: 2, 1: 4, 2: 8 bytes) in 5-6 */
    u8 pfx;
};
_Static_assert(sizeof(struct insn) == 32, "the op form stays 32 bytes");

/* What ends a block and who moves RIP. */
enum block_class {
    BLOCK_NORMAL, /* falls through */
    BLOCK_JUMP,   /* ends the block; the handler stores arch.rip */
    BLOCK_SERIAL, /* ends the block; RIP advances by the length */
    BLOCK_STRING, /* REP-able: with a REP prefix as JUMP (one chunk a call), else NORMAL */
};

/* Where an instruction exists; otherwise #UD. */
enum mode_class {
    MODE_ALL,
    MODE_PROT, /* not in real and virtual-8086 mode */
    MODE_64,   /* only 64-bit mode */
    MODE_NOT64,
    MODE_LONG, /* compatibility or 64-bit mode */
};

/* Privilege, checked before intercepts; otherwise #GP(0). Others are checked by the handler. */
enum priv_class { PRIV_ANY, PRIV_CPL0 };

/* State an instruction needs usable: CR0.EM/TS, CR4.OSFXSR/OSXSAVE, XCR0. */
enum unit_class {
    UNIT_NONE,
    UNIT_X87,      /* EM or TS: #NM; pending unmasked x87 exception: #MF */
    UNIT_X87_NOWAIT, /* the same without #MF: FNINIT, FNSTSW, ... */
    UNIT_WAIT,     /* MP and TS: #NM; then #MF */
    UNIT_MMX,      /* EM: #UD; TS: #NM; then #MF */
    UNIT_SSE,      /* legacy SSE on XMM: EM or !OSFXSR: #UD; TS: #NM */
    UNIT_AVX,      /* VEX: not in real/virtual-8086 mode, OSXSAVE, XCR0[2:1] = 3, else #UD; TS: #NM */
    UNIT_COUNT
};

/* Intercept groups of VMX and SVM that an instruction may fall under. */
enum intercept {
    ICPT_NONE, ICPT_CPUID, ICPT_HLT, ICPT_INVD, ICPT_INVLPG, ICPT_RDPMC, ICPT_RDTSC, ICPT_RDTSCP, ICPT_RSM,
    ICPT_CR, ICPT_DR, ICPT_IO, ICPT_MSR, ICPT_MWAIT, ICPT_MONITOR, ICPT_PAUSE, ICPT_GDTR_IDTR, ICPT_LDTR_TR,
    ICPT_WBINVD, ICPT_XSETBV, ICPT_INVPCID, ICPT_RDRAND, ICPT_RDSEED, ICPT_XSAVES, ICPT_GETSEC, ICPT_VMX,
    ICPT_SVM, ICPT_VMCALL, ICPT_IRET, ICPT_PUSHF, ICPT_POPF, ICPT_SOFT_INT, ICPT_INT1, ICPT_TASK, ICPT_RDPRU,
    ICPT_UMWAIT, ICPT_ENCLS, ICPT_PCONFIG, ICPT_COUNT
};

/* One row per mnemonic: decode/insn.def. */
struct insn_row {
    const char *name;
    exec_fn *exec;
    u8 priv, mode, unit, icpt, block;
};

static inline unsigned insn_id(const struct insn *in)
{
    return in->id & 0xfffu;
}

/* Bytes of the memory operand: a power of two; 1 for operands whose size the handler knows itself
 * (FXSAVE and the like). */
static inline unsigned insn_mem_size(const struct insn *in)
{
    return 1u << (in->id >> 12);
}

static inline unsigned insn_seg(const struct insn *in)
{
    return (in->sib >> 2) & 7u;
}

/* Address size in bytes: 2, 4 or 8. */
static inline unsigned insn_asize(const struct insn *in)
{
    return 2u << ((in->sib >> 5) & 3u);
}

#endif
