/* SPDX-License-Identifier: GPL-3.0-or-later */
/* General integer instructions. Register forms are compared with the host processor over random
 * operands, defined flags and those shifts whose undefined flags follow our rule; where the host is
 * no x86-64 these tests are empty. Memory, stack, branch and string forms run on a hand-made
 * translation cache: three guest pages over a host buffer, everything else faults as not canonical. */
#include "cpu/exec/exec_int.h"
#include "cpu/exec/fast.h"

#include <check.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- A processor in 64-bit mode ---- */

#define SLOTS 64
#define GUEST 0x10000u /* linear address of the buffer's first page */
#define PAGES 3u
#define NOWHERE 0x8000000000000000u /* not canonical */
#define EMPTY 0x4000000000000000u   /* page of an empty entry */

static struct cpu cpu;
static struct cpu_model model;
static struct tlb_ctx ctx;
static struct tlb_entry rd[SLOTS], wr[SLOTS];
static u8 memory[PAGES * 4096] __attribute__((aligned(4096)));

static u64 random_state;

static u64 random64(void)
{
    random_state += 0x9e3779b97f4a7c15u;
    u64 z = random_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Values near the interesting edges as often as any. */
static u64 random_operand(void)
{
    u64 v = random64(), kind = random64() % 8;
    switch (kind) {
    case 0: return v & 7;
    case 1: return 0 - (v & 7);
    case 2: return sign_extend((u64)1 << (v & 63), 8);
    case 3: return ((u64)1 << (v & 63)) - 1;
    case 4: return 0x8080808080808080u ^ (v & 0xff);
    case 5: return (u32)v;
    default: return v;
    }
}

static void set_code64(void)
{
    struct cpu_derived *d = &cpu.d;
    d->prot = d->long_mode = d->code64 = true;
    d->code_size = 8;
    d->lin_mask = d->sp_mask = ~(u64)0;
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        d->seg_base[s] = 0;
        d->seg_rlimit[s] = d->seg_wlimit[s] = ~(u64)0;
    }
}

/* Real mode: 16-bit code and stack, segments at GUEST. */
static void set_real(void)
{
    struct cpu_derived *d = &cpu.d;
    d->prot = d->long_mode = d->code64 = false;
    d->code_size = 2;
    d->lin_mask = 0xffffffff;
    d->sp_mask = 0xffff;
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        cpu.arch.seg[s].base = d->seg_base[s] = GUEST;
        cpu.arch.seg[s].limit = 0xffff;
        d->seg_rlimit[s] = d->seg_wlimit[s] = 0xffff;
    }
}

static void set_up(void)
{
    memset(&cpu, 0, sizeof cpu);
    memset(&model, 0xff, sizeof model);
    model.vendor = CPU_VENDOR_INTEL;
    model.phys_bits = 40;
    cpu.model = &model;
    cpu.arch.rflags = RFLAGS_ONE;
    cpu.arch.rip = 0x400000;
    ctx = (struct tlb_ctx){.rd = rd, .wr = wr, .mask = SLOTS - 1};
    cpu.d.ctx = cpu.d.sys_ctx = &ctx;
    for (unsigned i = 0; i < SLOTS; i++) {
        rd[i] = wr[i] = (struct tlb_entry){.page = EMPTY};
    }
    for (u64 p = 0; p < PAGES; p++) {
        u64 page = GUEST + p * 4096;
        struct tlb_entry e = {page, (uintptr_t)memory - GUEST};
        rd[tlb_slot(&ctx, page)] = wr[tlb_slot(&ctx, page)] = e;
    }
    memset(memory, 0, sizeof memory);
    random_state = 1;
    set_code64();
}

static struct insn make(unsigned size, unsigned r0, unsigned r1, unsigned r2, u64 imm)
{
    return (struct insn){.osz = (u8)size,
                         .len = 4,
                         .r = {(u8)r0, (u8)r1, (u8)r2, OPR_NONE},
                         .imm = imm,
                         .base = REG_NONE,
                         .index = REG_NONE,
                         .sib = SEG_DS << 2 | 2 << 5};
}

/* ---- Host comparison ---- */

#if defined(__x86_64__)

struct regs {
    u64 a, b, c, d, flags;
};

/* The red zone is stepped over because the flags go through the stack. */
#define HOST(text)                                                                                 \
    __asm__ volatile("lea -256(%%rsp), %%rsp\n\tpushq %[f]\n\tpopfq\n\t" text                      \
                     "\n\tpushfq\n\tpopq %[f]\n\tlea 256(%%rsp), %%rsp"                            \
                     : "+a"(r->a), "+b"(r->b), "+c"(r->c), "+d"(r->d), [f] "+r"(r->flags)          \
                     :                                                                             \
                     : "cc")

#define ZAPS (RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF | RFLAGS_SF)
#define ALL RFLAGS_ARITH
#define NO_AF (RFLAGS_ARITH & ~RFLAGS_AF)
#define CFOF (RFLAGS_CF | RFLAGS_OF)
/* Counts other than 1 leave OF undefined, those beyond the width CF (and processors differ): not
 * compared. In rows marked STEPPED the host shifts by one as often as the count says. */
#define COUNTED BIT(40)
#define STEPPED BIT(41)

#define A RAX
#define B RBX
#define C RCX
#define N OPR_NONE
#define I OPR_IMM

/* ROW(name, host text, handler, size, source size, r0, r1, r2, imm, flags compared) */
#define ALU_ROWS(op)                                                                               \
    ROW(op##_b, #op "b %%bl, %%al", exec_##op, 1, 1, A, B, N, 0, ALL)                              \
    ROW(op##_h, #op "b %%bh, %%ah", exec_##op, 1, 1, OPR_HIGH, OPR_HIGH + 3, N, 0, ALL)            \
    ROW(op##_w, #op "w %%bx, %%ax", exec_##op, 2, 2, A, B, N, 0, ALL)                              \
    ROW(op##_l, #op "l %%ebx, %%eax", exec_##op, 4, 4, A, B, N, 0, ALL)                            \
    ROW(op##_q, #op "q %%rbx, %%rax", exec_##op, 8, 8, A, B, N, 0, ALL)                            \
    ROW(op##_qi, #op "q $-5, %%rax", exec_##op, 8, 8, A, I, N, (u64)-5, ALL)                       \
    ROW(op##_li, #op "l $-5, %%eax", exec_##op, 4, 4, A, I, N, (u64)-5, ALL)
#define LOGIC_ROWS(op)                                                                             \
    ROW(op##_b, #op "b %%bl, %%al", exec_##op, 1, 1, A, B, N, 0, NO_AF)                            \
    ROW(op##_w, #op "w %%bx, %%ax", exec_##op, 2, 2, A, B, N, 0, NO_AF)                            \
    ROW(op##_l, #op "l %%ebx, %%eax", exec_##op, 4, 4, A, B, N, 0, NO_AF)                          \
    ROW(op##_q, #op "q %%rbx, %%rax", exec_##op, 8, 8, A, B, N, 0, NO_AF)                          \
    ROW(op##_bi, #op "b $0x85, %%al", exec_##op, 1, 1, A, I, N, (u64)-0x7b, NO_AF)                 \
    ROW(op##_qi, #op "q $-5, %%rax", exec_##op, 8, 8, A, I, N, (u64)-5, NO_AF)
#define UNARY_ROWS(op, mask)                                                                       \
    ROW(op##_b, #op "b %%al", exec_##op, 1, 1, A, N, N, 0, mask)                                   \
    ROW(op##_h, #op "b %%ah", exec_##op, 1, 1, OPR_HIGH, N, N, 0, mask)                            \
    ROW(op##_w, #op "w %%ax", exec_##op, 2, 2, A, N, N, 0, mask)                                   \
    ROW(op##_l, #op "l %%eax", exec_##op, 4, 4, A, N, N, 0, mask)                                  \
    ROW(op##_q, #op "q %%rax", exec_##op, 8, 8, A, N, N, 0, mask)
#define BY_RBX_ROWS(op, mask)                                                                      \
    ROW(op##_b, #op "b %%bl", exec_##op, 1, 1, B, N, N, 0, mask)                                   \
    ROW(op##_h, #op "b %%bh", exec_##op, 1, 1, OPR_HIGH + 3, N, N, 0, mask)                        \
    ROW(op##_w, #op "w %%bx", exec_##op, 2, 2, B, N, N, 0, mask)                                   \
    ROW(op##_l, #op "l %%ebx", exec_##op, 4, 4, B, N, N, 0, mask)                                  \
    ROW(op##_q, #op "q %%rbx", exec_##op, 8, 8, B, N, N, 0, mask)
#define SHIFT_ROWS(op, mask)                                                                       \
    ROW(op##_b, #op "b %%cl, %%al", exec_##op, 1, 1, A, C, N, 0, (mask) | COUNTED)                 \
    ROW(op##_w, #op "w %%cl, %%ax", exec_##op, 2, 2, A, C, N, 0, (mask) | COUNTED)                 \
    ROW(op##_l, #op "l %%cl, %%eax", exec_##op, 4, 4, A, C, N, 0, (mask) | COUNTED)                \
    ROW(op##_q, #op "q %%cl, %%rax", exec_##op, 8, 8, A, C, N, 0, (mask) | COUNTED)                \
    ROW(op##_bs, #op "b $1, %%al", exec_##op, 1, 1, A, C, N, 0, (mask) | STEPPED)                  \
    ROW(op##_ws, #op "w $1, %%ax", exec_##op, 2, 2, A, C, N, 0, (mask) | STEPPED)                  \
    ROW(op##_ls, #op "l $1, %%eax", exec_##op, 4, 4, A, C, N, 0, (mask) | STEPPED)                 \
    ROW(op##_qs, #op "q $1, %%rax", exec_##op, 8, 8, A, C, N, 0, (mask) | STEPPED)                 \
    ROW(op##_l1, #op "l $1, %%eax", exec_##op, 4, 4, A, I, N, 1, mask)                             \
    ROW(op##_q7, #op "q $7, %%rax", exec_##op, 8, 8, A, I, N, 7, (mask) & ~RFLAGS_OF)              \
    ROW(op##_l0, #op "l $0, %%eax", exec_##op, 4, 4, A, I, N, 0, mask)
#define DOUBLE_ROWS(op)                                                                            \
    ROW(op##_w, #op "w %%cl, %%bx, %%ax", exec_##op, 2, 2, A, B, C, 0, NO_AF | COUNTED)                      \
    ROW(op##_l, #op "l %%cl, %%ebx, %%eax", exec_##op, 4, 4, A, B, C, 0, NO_AF | COUNTED)                    \
    ROW(op##_q, #op "q %%cl, %%rbx, %%rax", exec_##op, 8, 8, A, B, C, 0, NO_AF | COUNTED)                    \
    ROW(op##_q9, #op "q $9, %%rbx, %%rax", exec_##op, 8, 8, A, B, I, 9, NO_AF & ~RFLAGS_OF)
#define BIT_ROWS(op)                                                                               \
    ROW(op##_w, #op "w %%bx, %%ax", exec_##op, 2, 2, A, B, N, 0, RFLAGS_CF | RFLAGS_ZF)            \
    ROW(op##_l, #op "l %%ebx, %%eax", exec_##op, 4, 4, A, B, N, 0, RFLAGS_CF | RFLAGS_ZF)          \
    ROW(op##_q, #op "q %%rbx, %%rax", exec_##op, 8, 8, A, B, N, 0, RFLAGS_CF | RFLAGS_ZF)          \
    ROW(op##_qi, #op "q $61, %%rax", exec_##op, 8, 8, A, I, N, 61, RFLAGS_CF | RFLAGS_ZF)
#define SOURCE_ROWS(op, mask)                                                                      \
    ROW(op##_w, #op "w %%bx, %%ax", exec_##op, 2, 2, A, B, N, 0, mask)                             \
    ROW(op##_l, #op "l %%ebx, %%eax", exec_##op, 4, 4, A, B, N, 0, mask)                           \
    ROW(op##_q, #op "q %%rbx, %%rax", exec_##op, 8, 8, A, B, N, 0, mask)
#define WIDE_ROWS(op, mask)                                                                        \
    ROW(op##_l, #op "l %%ebx, %%eax", exec_##op, 4, 4, A, B, N, 0, mask)                           \
    ROW(op##_q, #op "q %%rbx, %%rax", exec_##op, 8, 8, A, B, N, 0, mask)
#define VEX_ROWS(op, x, y, r1, r2, mask)                                                           \
    ROW(op##_l, #op "l %%e" x "x, %%e" y "x, %%eax", exec_##op, 4, 4, A, r1, r2, 0, mask)          \
    ROW(op##_q, #op "q %%r" x "x, %%r" y "x, %%rax", exec_##op, 8, 8, A, r1, r2, 0, mask)
#define COND_ROWS(name, NAME, cc)                                                                  \
    ROW(set##name, "set" #name " %%al", exec_set##name, 1, 1, A, N, N, 0, ALL)                     \
    ROW(cmov##name, "cmov" #name " %%ebx, %%eax", exec_cmov##name, 4, 4, A, B, N, 0, ALL)

#define HOST_ROWS                                                                                  \
    ALU_ROWS(add) ALU_ROWS(adc) ALU_ROWS(sub) ALU_ROWS(sbb) ALU_ROWS(cmp)                          \
    LOGIC_ROWS(and) LOGIC_ROWS(or) LOGIC_ROWS(xor) LOGIC_ROWS(test)                                \
    UNARY_ROWS(inc, ALL) UNARY_ROWS(dec, ALL) UNARY_ROWS(neg, ALL) UNARY_ROWS(not, ALL)            \
    SHIFT_ROWS(shl, NO_AF) SHIFT_ROWS(shr, NO_AF) SHIFT_ROWS(sar, NO_AF)                           \
    SHIFT_ROWS(rol, ALL) SHIFT_ROWS(ror, ALL) SHIFT_ROWS(rcl, ALL) SHIFT_ROWS(rcr, ALL)            \
    DOUBLE_ROWS(shld) DOUBLE_ROWS(shrd)                                                            \
    BY_RBX_ROWS(mul, CFOF) BY_RBX_ROWS(imul, CFOF) BY_RBX_ROWS(div, 0) BY_RBX_ROWS(idiv, 0)        \
    ROW(imul2_w, "imulw %%bx, %%ax", exec_imul, 2, 2, A, B, N, 0, CFOF)                            \
    ROW(imul2_l, "imull %%ebx, %%eax", exec_imul, 4, 4, A, B, N, 0, CFOF)                          \
    ROW(imul2_q, "imulq %%rbx, %%rax", exec_imul, 8, 8, A, B, N, 0, CFOF)                          \
    ROW(imul3_w, "imulw $-300, %%bx, %%ax", exec_imul, 2, 2, A, B, I, (u64)-300, CFOF)             \
    ROW(imul3_l, "imull $-300, %%ebx, %%eax", exec_imul, 4, 4, A, B, I, (u64)-300, CFOF)           \
    ROW(imul3_q, "imulq $-300, %%rbx, %%rax", exec_imul, 8, 8, A, B, I, (u64)-300, CFOF)           \
    BIT_ROWS(bt) BIT_ROWS(bts) BIT_ROWS(btr) BIT_ROWS(btc)                                         \
    SOURCE_ROWS(bsf, RFLAGS_ZF) SOURCE_ROWS(bsr, RFLAGS_ZF)                                        \
    UNARY_XADD COND                                                                                \
    ROW(movzx_bl, "movzbl %%bl, %%eax", exec_movzx, 4, 1, A, B, N, 0, ALL)                         \
    ROW(movzx_hw, "movzbw %%bh, %%ax", exec_movzx, 2, 1, A, OPR_HIGH + 3, N, 0, ALL)               \
    ROW(movzx_wq, "movzwq %%bx, %%rax", exec_movzx, 8, 2, A, B, N, 0, ALL)                         \
    ROW(movsx_bw, "movsbw %%bl, %%ax", exec_movsx, 2, 1, A, B, N, 0, ALL)                          \
    ROW(movsx_bq, "movsbq %%bl, %%rax", exec_movsx, 8, 1, A, B, N, 0, ALL)                         \
    ROW(movsx_wl, "movswl %%bx, %%eax", exec_movsx, 4, 2, A, B, N, 0, ALL)                         \
    ROW(movsxd, "movslq %%ebx, %%rax", exec_movsx, 8, 4, A, B, N, 0, ALL)                          \
    ROW(bswap_l, "bswapl %%eax", exec_bswap, 4, 4, A, N, N, 0, ALL)                                \
    ROW(bswap_q, "bswapq %%rax", exec_bswap, 8, 8, A, N, N, 0, ALL)                                \
    ROW(xchg_h, "xchgb %%ah, %%al", exec_xchg, 1, 1, A, OPR_HIGH, N, 0, ALL)                       \
    ROW(xchg_l, "xchgl %%eax, %%ebx", exec_xchg, 4, 4, A, B, N, 0, ALL)                            \
    ROW(cbw, "cbtw", exec_cbw, 2, 2, N, N, N, 0, ALL)                                              \
    ROW(cwde, "cwtl", exec_cbw, 4, 4, N, N, N, 0, ALL)                                             \
    ROW(cdqe, "cltq", exec_cbw, 8, 8, N, N, N, 0, ALL)                                             \
    ROW(cwd, "cwtd", exec_cwd, 2, 2, N, N, N, 0, ALL)                                              \
    ROW(cdq, "cltd", exec_cwd, 4, 4, N, N, N, 0, ALL)                                              \
    ROW(cqo, "cqto", exec_cwd, 8, 8, N, N, N, 0, ALL)                                              \
    ROW(lahf, "lahf", exec_lahf, 1, 1, N, N, N, 0, ALL)                                            \
    ROW(sahf, "sahf", exec_sahf, 1, 1, N, N, N, 0, ALL)                                            \
    ROW(clc, "clc", exec_clc, 4, 4, N, N, N, 0, ALL)                                               \
    ROW(stc, "stc", exec_stc, 4, 4, N, N, N, 0, ALL)                                               \
    ROW(cmc, "cmc", exec_cmc, 4, 4, N, N, N, 0, ALL)                                               \
    ROW(cmpxchg_b, "cmpxchgb %%bl, %%cl", exec_cmpxchg, 1, 1, C, B, N, 0, ALL)                     \
    ROW(cmpxchg_w, "cmpxchgw %%bx, %%cx", exec_cmpxchg, 2, 2, C, B, N, 0, ALL)                     \
    ROW(cmpxchg_l, "cmpxchgl %%ebx, %%ecx", exec_cmpxchg, 4, 4, C, B, N, 0, ALL)                   \
    ROW(cmpxchg_q, "cmpxchgq %%rbx, %%rcx", exec_cmpxchg, 8, 8, C, B, N, 0, ALL)
#define UNARY_XADD                                                                                 \
    ROW(xadd_b, "xaddb %%bl, %%ah", exec_xadd, 1, 1, OPR_HIGH, B, N, 0, ALL)                       \
    ROW(xadd_l, "xaddl %%ebx, %%eax", exec_xadd, 4, 4, A, B, N, 0, ALL)                            \
    ROW(xadd_q, "xaddq %%rax, %%rax", exec_xadd, 8, 8, A, A, N, 0, ALL)
#define COND CONDITIONS(COND_ROWS)

/* Rows that need newer hosts; the host's feature by its name for __builtin_cpu_supports. */
#define BMI_ROWS                                                                                   \
    SOURCE_ROWS(tzcnt, RFLAGS_CF | RFLAGS_ZF) SOURCE_ROWS(lzcnt, RFLAGS_CF | RFLAGS_ZF)            \
    SOURCE_ROWS(popcnt, ALL)                                                                       \
    VEX_ROWS(andn, "c", "b", B, C, CFOF | RFLAGS_ZF | RFLAGS_SF)                                   \
    VEX_ROWS(bextr, "c", "b", B, C, CFOF | RFLAGS_ZF)                                              \
    VEX_ROWS(bzhi, "c", "b", B, C, CFOF | RFLAGS_ZF | RFLAGS_SF)                                   \
    VEX_ROWS(pdep, "c", "b", B, C, ALL)                                                            \
    VEX_ROWS(pext, "c", "b", B, C, ALL)                                                            \
    VEX_ROWS(sarx, "c", "b", B, C, ALL)                                                            \
    VEX_ROWS(shlx, "c", "b", B, C, ALL)                                                            \
    VEX_ROWS(shrx, "c", "b", B, C, ALL)                                                            \
    VEX_ROWS(mulx, "c", "b", B, C, ALL)                                                            \
    WIDE_ROWS(blsi, CFOF | RFLAGS_ZF | RFLAGS_SF)                                                  \
    WIDE_ROWS(blsmsk, CFOF | RFLAGS_ZF | RFLAGS_SF)                                                \
    WIDE_ROWS(blsr, CFOF | RFLAGS_ZF | RFLAGS_SF)                                                  \
    ROW(rorx_l, "rorxl $13, %%ebx, %%eax", exec_rorx, 4, 4, A, B, I, 13, ALL)                      \
    ROW(rorx_q, "rorxq $45, %%rbx, %%rax", exec_rorx, 8, 8, A, B, I, 45, ALL)                      \
    WIDE_ROWS(adcx, ALL) WIDE_ROWS(adox, ALL)                                                      \
    ROW(crc32_b, "crc32b %%bl, %%eax", exec_crc32, 4, 1, A, B, N, 0, ALL)                          \
    ROW(crc32_w, "crc32w %%bx, %%eax", exec_crc32, 4, 2, A, B, N, 0, ALL)                          \
    ROW(crc32_l, "crc32l %%ebx, %%eax", exec_crc32, 4, 4, A, B, N, 0, ALL)                         \
    ROW(crc32_q, "crc32q %%rbx, %%rax", exec_crc32, 8, 8, A, B, N, 0, ALL)

#define ROW(name, text, exec, size, from, r0, r1, r2, imm, mask)                                   \
    static void host_##name(struct regs *r)                                                        \
    {                                                                                              \
        HOST(text);                                                                                \
    }
HOST_ROWS
BMI_ROWS
#undef ROW

struct host_row {
    const char *name;
    void (*host)(struct regs *);
    exec_fn *exec;
    u8 size, from, r0, r1, r2;
    u64 imm;
    u64 flags;
};

#define ROW(name, text, exec, size, from, r0, r1, r2, imm, mask)                                   \
    {#name, host_##name, exec, size, from, r0, r1, r2, imm, mask},
static const struct host_row host_rows[] = {HOST_ROWS};
static const struct host_row bmi_rows[] = {BMI_ROWS};
#undef ROW

static sigjmp_buf on_fpe;

static void catch_fpe(int sig)
{
    siglongjmp(on_fpe, sig);
}

static unsigned row_count(const struct host_row *row, u64 rcx)
{
    return (unsigned)rcx & (row->size == 8 ? 63u : 31u);
}

static void repeat_host(const struct host_row *row, struct regs *r)
{
    unsigned times = (row->flags & STEPPED) != 0 ? row_count(row, r->c) : 1;
    for (unsigned i = 0; i < times; i++) {
        row->host(r);
    }
}

/* The host's answer; false: it raised #DE. */
static bool run_host(const struct host_row *row, struct regs *r)
{
    if (sigsetjmp(on_fpe, 1) != 0) {
        return false;
    }
    repeat_host(row, r);
    return true;
}

static u64 compared_flags(const struct host_row *row, u64 rcx)
{
    u64 mask = row->flags & RFLAGS_ARITH;
    unsigned n = row_count(row, rcx);
    if ((row->flags & COUNTED) != 0 && n > 1) {
        mask &= ~(u64)(n > 8u * row->size ? CFOF : RFLAGS_OF);
    }
    return mask;
}

static struct regs random_regs(unsigned round)
{
    struct regs r = {random_operand(), random_operand(), random_operand(), random_operand(),
                     RFLAGS_ONE | (random64() & RFLAGS_ARITH)};
    /* CMPXCHG is to succeed now and then, and so is DIV. */
    r.a = (round & 3) == 0 ? r.c : r.a;
    r.d = (round & 4) == 0 ? r.d & 15 : r.d;
    r.d = (round & 12) == 8 ? (u64)((i64)r.a >> 63) : r.d;
    return r;
}

static void run_host_row(const struct host_row *row, unsigned rounds)
{
    struct insn in = make(row->size, row->r0, row->r1, row->r2, row->imm);
    u64 *g = cpu.arch.gpr;
    in.id = (u16)(__builtin_ctz(row->from) << 12);
    for (unsigned i = 0; i < rounds; i++) {
        const struct regs start = random_regs(i);
        if ((row->flags & STEPPED) != 0 && row_count(row, start.c) == 0) {
            continue;
        }
        struct regs r = start;
        g[RAX] = r.a;
        g[RBX] = r.b;
        g[RCX] = r.c;
        g[RDX] = r.d;
        cpu_set_rflags(&cpu, r.flags);
        cpu_rc rc = row->exec(&cpu, &in);
        if (!run_host(row, &r)) {
            ck_assert_msg(rc == CPU_EXIT && cpu.event.vector == VEC_DE, "%s: #DE missed", row->name);
            continue;
        }
        u64 got = cpu_rflags(&cpu);
        ck_assert_msg(rc == CPU_OK && g[RAX] == r.a && g[RBX] == r.b && g[RCX] == r.c &&
                          g[RDX] == r.d && 
                              ((got ^ r.flags) & compared_flags(row, start.c)) == 0,
                      "%s: from a=%lx b=%lx c=%lx d=%lx fl=%lx: rc %d, a=%lx b=%lx c=%lx d=%lx "
                      "fl=%lx, host a=%lx b=%lx c=%lx d=%lx fl=%lx",
                      row->name, start.a, start.b, start.c, start.d, start.flags, (int)rc, g[RAX],
                      g[RBX], g[RCX], g[RDX], got, r.a, r.b, r.c, r.d, r.flags);
    }
}

static void run_host_rows(const struct host_row *rows, size_t n)
{
    set_up();
    struct sigaction act = {.sa_handler = catch_fpe}, old;
    sigaction(SIGFPE, &act, &old);
    for (size_t i = 0; i < n; i++) {
        run_host_row(&rows[i], 3000);
    }
    sigaction(SIGFPE, &old, NULL);
}

START_TEST(exec_int__like_host)
{
    run_host_rows(host_rows, ARRAY_LEN(host_rows));
}
END_TEST

START_TEST(exec_int__like_host_bmi)
{
    if (__builtin_cpu_supports("bmi2") && __builtin_cpu_supports("sse4.2")) {
        run_host_rows(bmi_rows, ARRAY_LEN(bmi_rows));
    }
}
END_TEST

/* Specialised handlers leave what the plain ones leave. */
START_TEST(exec_int__fast_like_plain)
{
    static const struct {
        enum insn_id id;
        exec_fn *exec;
    } ops[] = {{INSN_MOV, exec_mov}, {INSN_ADD, exec_add}, {INSN_OR, exec_or},   {INSN_ADC, exec_adc},
               {INSN_SBB, exec_sbb}, {INSN_AND, exec_and}, {INSN_SUB, exec_sub}, {INSN_XOR, exec_xor},
               {INSN_CMP, exec_cmp}, {INSN_TEST, exec_test}, {INSN_LEA, exec_lea},
               {INSN_MOVZX, exec_movzx}, {INSN_MOVSX, exec_movsx}, {INSN_INC, exec_inc},
               {INSN_DEC, exec_dec}, {INSN_SHL, exec_shl}, {INSN_SHR, exec_shr}, {INSN_SAR, exec_sar}};
    static const u8 sizes[] = {1, 4, 8};
    static const u8 shapes[][2] = {{RAX, RBX}, {RAX, OPR_IMM}, {RAX, OPR_MEM}, {OPR_MEM, RBX},
                                   {OPR_MEM, OPR_IMM}, {RBX, RBX}};
    static const u8 forms[][2] = {{RSI, REG_NONE}, {RSI, RDI}, {REG_RIP, REG_NONE}, {REG_NONE, RDI}};
    unsigned specialised = 0;
    set_up();
    for (unsigned i = 0; i < 200000; i++) {
        unsigned o = (unsigned)(random64() % ARRAY_LEN(ops));
        const u8 *shape = shapes[random64() % ARRAY_LEN(shapes)];
        const u8 *form = forms[random64() % ARRAY_LEN(forms)];
        struct insn in = make(sizes[random64() % 3], shape[0], shape[1], OPR_NONE, random_operand());
        in.base = form[0];
        in.index = form[1];
        in.id = (u16)(ops[o].id | (random64() % 3) << 12);
        if (ops[o].id != INSN_MOVZX && ops[o].id != INSN_MOVSX) {
            in.id = (u16)ops[o].id;
        }
        bool to_register = ops[o].id == INSN_LEA || ops[o].id == INSN_MOVZX || ops[o].id == INSN_MOVSX;
        if (to_register && in.r[0] == OPR_MEM) {
            continue;
        }
        exec_fn *fast = exec_specialise(&in, ops[o].id);
        if (fast == NULL) {
            continue;
        }
        specialised++;
        for (unsigned r = 0; r < 16; r++) {
            cpu.arch.gpr[r] = random_operand();
        }
        u64 bits[16];
        for (unsigned k = 0; k < 16; k++) {
            bits[k] = random64();
        }
        memcpy(memory, bits, sizeof bits);
        /* Point somewhere into the first 128 bytes. */
        u64 target = GUEST + (random64() & 63);
        cpu.arch.gpr[RDI] = random64() & 7;
        in.disp = (i32)(random64() & 0xff) - 128;
        u64 index = in.index == REG_NONE ? 0 : cpu.arch.gpr[RDI];
        if (in.base == REG_NONE) {
            in.disp = (i32)(target - index);
        } else if (in.base == REG_RIP) {
            cpu.arch.rip = target - in.len - (u64)(i64)in.disp;
        } else {
            cpu.arch.gpr[RSI] = target - index - (u64)(i64)in.disp;
        }
        cpu_set_rflags(&cpu, random64() & RFLAGS_ARITH);
        struct cpu before = cpu;
        ck_assert(ops[o].exec(&cpu, &in) == CPU_OK);
        struct cpu plain = cpu;
        u64 plain_memory[16];
        memcpy(plain_memory, memory, sizeof bits);
        cpu = before;
        memcpy(memory, bits, sizeof bits);
        ck_assert(fast(&cpu, &in) == CPU_OK);
        ck_assert(memcmp(plain.arch.gpr, cpu.arch.gpr, sizeof cpu.arch.gpr) == 0);
        ck_assert_uint_eq(cpu_rflags(&plain), cpu_rflags(&cpu));
        ck_assert(memcmp(plain_memory, memory, sizeof bits) == 0);
    }
    ck_assert_uint_gt(specialised, 50000);
}
END_TEST

#endif /* x86-64 host */

/* ---- Shapes the host comparison cannot give ---- */

static u64 mem64(u64 lin)
{
    return load_le64(memory + (lin - GUEST));
}

static void put64(u64 lin, u64 v)
{
    store_le64(memory + (lin - GUEST), v);
}

/* A memory operand [base + disp]. */
static struct insn make_mem(unsigned size, unsigned r0, unsigned r1, unsigned base, i32 disp)
{
    struct insn in = make(size, r0, r1, OPR_NONE, 0);
    in.base = (u8)base;
    in.disp = disp;
    in.id = (u16)(__builtin_ctz(size) << 12);
    return in;
}

static void assert_fault(cpu_rc rc, unsigned vector)
{
    ck_assert_int_eq(rc, CPU_EXIT);
    ck_assert_uint_eq(cpu.event.vector, vector);
}

START_TEST(exec_int__bcd)
{
    set_up();
    struct insn in = make(1, OPR_IMM, OPR_NONE, OPR_NONE, 10);
    /* 79 + 35 = 114 packed. */
    cpu.arch.gpr[RAX] = 0x79 + 0x35;
    flags_add(&cpu, 1, 0x79, 0x35, 0x79 + 0x35);
    ck_assert(exec_daa(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x14);
    ck_assert(flag_cf(&cpu) && flag_af(&cpu));
    /* 35 - 47 = -12: 88 and a borrow. */
    cpu.arch.gpr[RAX] = (u8)(0x35 - 0x47);
    flags_sub(&cpu, 1, 0x35, 0x47, (u64)0x35 - 0x47);
    ck_assert(exec_das(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x88);
    ck_assert(flag_cf(&cpu));
    cpu.arch.gpr[RAX] = 0x020f;
    flags_set_arith(&cpu, 0);
    ck_assert(exec_aaa(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x0305);
    ck_assert_uint_eq(flags_get_arith(&cpu), RFLAGS_AF | RFLAGS_CF);
    cpu.arch.gpr[RAX] = 0x02f9;
    flags_set_arith(&cpu, RFLAGS_AF);
    ck_assert(exec_aas(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x0103);
    cpu.arch.gpr[RAX] = 0x1234u + 99 - 0x34;
    ck_assert(exec_aam(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 0x0909);
    ck_assert(exec_aad(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.gpr[RAX], 99);
    in.imm = 0;
    assert_fault(exec_aam(&cpu, &in), VEC_DE);
}
END_TEST

/* A register bit offset reaches memory before and after the operand. */
START_TEST(exec_int__bit_strings)
{
    set_up();
    struct insn in = make_mem(8, OPR_MEM, RBX, RSI, 0);
    cpu.arch.gpr[RSI] = GUEST + 128;
    cpu.arch.gpr[RBX] = (u64)-130;
    ck_assert(exec_bts(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(mem64(GUEST + 128 - 24), (u64)1 << 62);
    in = make_mem(2, OPR_MEM, RBX, RSI, 4);
    cpu.arch.gpr[RBX] = 0xffff0021; /* 33 as a 16-bit offset */
    ck_assert(exec_bts(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(memory[128 + 4 + 4], 2);
    ck_assert(exec_btr(&cpu, &in) == CPU_OK);
    ck_assert(flag_cf(&cpu));
    ck_assert_uint_eq(memory[128 + 4 + 4], 0);
    in = make_mem(4, OPR_MEM, OPR_IMM, RSI, 8); /* an immediate stays in the operand */
    in.imm = 35;
    ck_assert(exec_btc(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(memory[128 + 8], 8);
}
END_TEST

START_TEST(exec_int__cmpxchg_wide)
{
    set_up();
    struct insn in = make_mem(8, OPR_MEM, OPR_NONE, RSI, 0);
    u64 *g = cpu.arch.gpr;
    g[RSI] = GUEST + 32;
    put64(GUEST + 32, 0x1111111122222222);
    g[RDX] = 0x11111111;
    g[RAX] = 0xdead000022222222;
    g[RCX] = 0x33333333;
    g[RBX] = 0x44444444;
    flags_set_arith(&cpu, RFLAGS_ARITH & ~RFLAGS_ZF);
    ck_assert(exec_cmpxchg8b(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(mem64(GUEST + 32), 0x3333333344444444);
    ck_assert_uint_eq(flags_get_arith(&cpu), RFLAGS_ARITH);
    ck_assert(exec_cmpxchg8b(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RAX], 0x44444444);
    ck_assert_uint_eq(g[RDX], 0x33333333);
    ck_assert_uint_eq(flags_get_arith(&cpu), RFLAGS_ARITH & ~RFLAGS_ZF);
    g[RSI] = GUEST + 8;
    assert_fault(exec_cmpxchg16b(&cpu, &in), VEC_GP);
}
END_TEST

START_TEST(exec_int__stack)
{
    set_up();
    u64 *g = cpu.arch.gpr;
    g[RSP] = GUEST + 256;
    g[RAX] = 0x1234;
    struct insn in = make(8, RAX, OPR_NONE, OPR_NONE, 0);
    ck_assert(exec_push(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RSP], GUEST + 248);
    in = make(8, RSP, OPR_NONE, OPR_NONE, 0); /* the old value goes onto the stack */
    ck_assert(exec_push(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(mem64(GUEST + 240), GUEST + 248);
    ck_assert(exec_pop(&cpu, &in) == CPU_OK); /* POP RSP */
    ck_assert_uint_eq(g[RSP], GUEST + 248);
    in = make_mem(8, OPR_MEM, OPR_NONE, RSP, 16); /* address after the increment */
    ck_assert(exec_pop(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(mem64(GUEST + 272), 0x1234);
    /* A fault of the destination leaves RSP. */
    in = make_mem(8, OPR_MEM, OPR_NONE, RBX, 0);
    g[RBX] = NOWHERE;
    assert_fault(exec_pop(&cpu, &in), VEC_GP);
    ck_assert_uint_eq(g[RSP], GUEST + 256);
    /* LEAVE */
    g[RBP] = GUEST + 512;
    put64(GUEST + 512, 77);
    in = make(8, OPR_NONE, OPR_NONE, OPR_NONE, 0);
    ck_assert(exec_leave(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RSP], GUEST + 520);
    ck_assert_uint_eq(g[RBP], 77);
    g[RSP] = NOWHERE;
    assert_fault(exec_push(&cpu, &(struct insn){.osz = 8, .r = {RAX}}), VEC_SS);
}
END_TEST

/* The stack pointer of a 16-bit stack wraps and keeps its upper bits; 16-bit pushes. */
START_TEST(exec_int__stack16)
{
    set_up();
    set_real();
    u64 *g = cpu.arch.gpr;
    g[RSP] = 0x70000100;
    g[RAX] = 0xa5a5;
    struct insn in = make(2, RAX, OPR_NONE, OPR_NONE, 0);
    ck_assert(exec_push(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RSP], 0x700000fe);
    ck_assert_uint_eq(load_le16(memory + 0xfe), 0xa5a5);
}
END_TEST

START_TEST(exec_int__branches)
{
    set_up();
    u64 *g = cpu.arch.gpr;
    struct insn in = make(8, OPR_REL, OPR_NONE, OPR_NONE, (u64)-0x10);
    cpu.arch.cc_res = 0;
    ck_assert(exec_jz(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x400000 + 4 - 0x10);
    ck_assert(exec_jnz(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x400000 + 8 - 0x10);
    /* Not canonical: #GP(0), nothing pushed, nothing counted. */
    cpu.arch.rip = 0x7ffffffffff0;
    in.imm = 0x40;
    g[RSP] = GUEST + 64;
    assert_fault(exec_call(&cpu, &in), VEC_GP);
    ck_assert_uint_eq(g[RSP], GUEST + 64);
    g[RCX] = 5;
    assert_fault(exec_loop(&cpu, &in), VEC_GP);
    ck_assert_uint_eq(g[RCX], 5);
    /* CALL and RET imm16. */
    cpu.arch.rip = 0x1000;
    ck_assert(exec_call(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x1044);
    ck_assert_uint_eq(mem64(GUEST + 56), 0x1004);
    in = make(8, OPR_IMM, OPR_NONE, OPR_NONE, 16);
    ck_assert(exec_ret(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x1004);
    ck_assert_uint_eq(g[RSP], GUEST + 80);
    /* 16-bit code truncates; the CS limit binds. */
    set_real();
    in = make(2, OPR_REL, OPR_NONE, OPR_NONE, 0x20);
    cpu.arch.rip = 0xfff0;
    ck_assert(exec_jmp(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(cpu.arch.rip, 0x14);
    in.osz = 4;
    cpu.arch.rip = 0xfff0;
    assert_fault(exec_jmp(&cpu, &in), VEC_GP);
    ck_assert_uint_eq(cpu.arch.rip, 0xfff0);
}
END_TEST

/* ---- Strings ---- */

static struct insn make_string(unsigned size, unsigned asize_log, unsigned prefixes)
{
    struct insn in = make(size, OPR_NONE, OPR_NONE, OPR_NONE, 0);
    in.len = 2;
    in.sib = (u8)(SEG_DS << 2 | (asize_log - 1) << 5);
    in.pfx = (u8)prefixes;
    return in;
}

/* Run to completion; returns the number of chunks. */
static unsigned finish(exec_fn *exec, const struct insn *in)
{
    unsigned chunks = 0;
    u64 rip = cpu.arch.rip;
    while (cpu.arch.rip == rip) {
        ck_assert(exec(&cpu, in) == CPU_OK);
        chunks++;
        ck_assert_uint_lt(chunks, 20000);
    }
    return chunks;
}

/* Random REP MOVS and STOS, both directions, overlapping: as a loop over bytes of the definition. */
START_TEST(exec_int__string_random)
{
    set_up();
    static u8 expect[sizeof memory];
    for (unsigned round = 0; round < 4000; round++) {
        unsigned size = 1u << (random64() & 3);
        u64 count = random64() % (round % 8 == 0 ? 600 : 20), span = count * size;
        bool down = (random64() & 1) != 0, stos = (random64() & 1) != 0;
        u64 room = sizeof memory - span - 8, src = random64() % room;
        u64 dst = (random64() & 1) != 0 ? random64() % room : (src + random64() % 16) % room;
        for (size_t i = 0; i < sizeof memory; i += 8) {
            put64(GUEST + i, random64());
        }
        memcpy(expect, memory, sizeof memory);
        u64 *g = cpu.arch.gpr;
        g[RAX] = random64();
        u64 first = down && count > 0 ? (count - 1) * size : 0;
        g[RSI] = GUEST + src + first;
        g[RDI] = GUEST + dst + first;
        g[RCX] = count;
        cpu.arch.rflags = RFLAGS_ONE | (down ? RFLAGS_DF : 0u);
        cpu.arch.rip = 0x1000;
        u64 s = src + first, d = dst + first, step = down ? 0 - (u64)size : size;
        for (u64 i = 0; i < count; i++, s += step, d += step) {
            u64 v = stos ? g[RAX] : load_le(expect + s, size);
            store_le(expect + d, v, size);
        }
        struct insn in = make_string(size, 3, PFX_REP);
        finish(stos ? exec_stos : exec_movs, &in);
        ck_assert(memcmp(expect, memory, sizeof memory) == 0);
        ck_assert_uint_eq(g[RCX], 0);
        ck_assert_uint_eq(g[RDI], GUEST + d);
        ck_assert_uint_eq(g[RSI], stos ? GUEST + src + first : GUEST + s);
        ck_assert_uint_eq(cpu.arch.rip, 0x1002);
    }
}
END_TEST

/* Chunks end at page boundaries; one count per 64 bytes; one iteration with TF. */
START_TEST(exec_int__string_chunks)
{
    set_up();
    u64 *g = cpu.arch.gpr;
    struct insn in = make_string(8, 3, PFX_REP);
    g[RDI] = GUEST + 4096 - 100;
    g[RCX] = 512;
    cpu.d.left = 1000;
    ck_assert(exec_stos(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RCX], 512 - 12);
    ck_assert_int_eq(cpu.d.left, 1000 - 1);
    ck_assert_uint_eq(finish(exec_stos, &in), 2); /* the element across the boundary; the rest */
    ck_assert_int_eq(cpu.d.left, 1000 - 1 - 62);
    cpu.arch.rip = 0x1000;
    cpu.arch.rflags |= RFLAGS_TF;
    g[RDI] = GUEST;
    g[RCX] = 5;
    ck_assert_uint_eq(finish(exec_stos, &in), 5);
}
END_TEST

START_TEST(exec_int__string_compare)
{
    set_up();
    u64 *g = cpu.arch.gpr;
    struct insn in = make_string(1, 3, PFX_REPNE);
    memory[300] = 7;
    g[RAX] = 7;
    g[RDI] = GUEST;
    g[RCX] = 1000;
    finish(exec_scas, &in);
    ck_assert_uint_eq(g[RDI], GUEST + 301);
    ck_assert_uint_eq(g[RCX], 1000 - 301);
    ck_assert(flag_zf(&cpu));
    in = make_string(4, 3, PFX_REP);
    cpu.arch.rip = 0x1000;
    g[RSI] = GUEST;
    g[RDI] = GUEST + 4096;
    g[RCX] = 2000;
    finish(exec_cmps, &in);
    ck_assert_uint_eq(g[RSI], GUEST + 304);
    ck_assert(!flag_zf(&cpu) && !flag_cf(&cpu));
    ck_assert_uint_eq(g[RCX], 2000 - 76);
    g[RCX] = 0; /* a count of 0 leaves the flags */
    cpu.arch.rip = 0x1000;
    finish(exec_cmps, &in);
    ck_assert(!flag_zf(&cpu));
}
END_TEST

/* A fault in the middle leaves exact registers. */
START_TEST(exec_int__string_fault)
{
    set_up();
    set_real();
    u64 *g = cpu.arch.gpr;
    cpu.d.seg_wlimit[SEG_ES] = 0x1ff;
    cpu.arch.seg[SEG_ES].limit = 0x1ff;
    struct insn in = make_string(2, 1, PFX_REP);
    g[RDI] = 0xffff0000 + 0x1f0;
    g[RCX] = 0x70000000 + 100;
    g[RAX] = 0xbeef;
    ck_assert(exec_stos(&cpu, &in) == CPU_EXIT);
    ck_assert_uint_eq(cpu.event.vector, VEC_GP);
    ck_assert_uint_eq(g[RDI], 0xffff0000 + 0x200);
    ck_assert_uint_eq(g[RCX], 0x70000000 + 92);
    ck_assert_uint_eq(load_le16(memory + 0x1fe), 0xbeef);
    ck_assert_uint_eq(load_le16(memory + 0x200), 0);
}
END_TEST

/* A 16-bit pointer wraps. */
START_TEST(exec_int__string_wrap)
{
    set_up();
    set_real();
    u64 *g = cpu.arch.gpr;
    cpu.d.seg_base[SEG_ES] = GUEST - 0xf000; /* offsets 0xf000.. are the first page */
    struct insn in = make_string(1, 1, 0);
    g[RDI] = 0xffff;
    ck_assert(exec_stos(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RDI], 0);
    cpu.arch.rflags |= RFLAGS_DF;
    g[RDI] = 0x12340000u;
    cpu.d.seg_base[SEG_ES] = GUEST;
    ck_assert(exec_stos(&cpu, &in) == CPU_OK);
    ck_assert_uint_eq(g[RDI], 0x1234ffff);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec_int");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 60);
#if defined(__x86_64__)
    tcase_add_test(tc, exec_int__like_host);
    tcase_add_test(tc, exec_int__like_host_bmi);
    tcase_add_test(tc, exec_int__fast_like_plain);
#endif
    tcase_add_test(tc, exec_int__bcd);
    tcase_add_test(tc, exec_int__bit_strings);
    tcase_add_test(tc, exec_int__cmpxchg_wide);
    tcase_add_test(tc, exec_int__stack);
    tcase_add_test(tc, exec_int__stack16);
    tcase_add_test(tc, exec_int__branches);
    tcase_add_test(tc, exec_int__string_random);
    tcase_add_test(tc, exec_int__string_chunks);
    tcase_add_test(tc, exec_int__string_compare);
    tcase_add_test(tc, exec_int__string_fault);
    tcase_add_test(tc, exec_int__string_wrap);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
