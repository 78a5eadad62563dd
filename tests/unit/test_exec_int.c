/* SPDX-License-Identifier: GPL-3.0-or-later */
/* General integer instructions in register form, compared with the host processor over random operands:
 * defined flags, and those of shifts whose undefined flags follow our rule. Specialised handlers
 * against plain ones. Where the host is no x86-64 there is nothing to compare. */
#include "cpu/exec/fast.h"
#include "exec_rig.h"
#include "unit.h"

#include <setjmp.h>
#include <signal.h>

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
 * compared. In rows marked STEPPED the host shifts by one as often as the count says; an Intel model's OF is
 * then that of the first step. */
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
    bool carry = row->exec == exec_rcl || row->exec == exec_rcr;
    u64 of = 0, before = r->flags & RFLAGS_OF;
    for (unsigned i = 0; i < times; i++) {
        row->host(r);
        of = i == 0 ? r->flags & RFLAGS_OF : of;
    }
    if (carry && times % (8u * row->size + 1) == 0) {
        of = before; /* round whole */
    }
    if (times > 1 && model.vendor == CPU_VENDOR_INTEL) {
        r->flags = (r->flags & ~(u64)RFLAGS_OF) | of;
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
        model.vendor = (i & 1) != 0 ? CPU_VENDOR_AMD : CPU_VENDOR_INTEL;
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
        bool narrow = random64() % 4 == 0; /* an address of 32 bits */
        in.sib = (u8)((in.sib & ~(3u << 5)) | (narrow ? 1u : 2u) << 5);
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
        cpu.arch.gpr[RSI] ^= narrow ? random64() << 32 : 0;
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
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
