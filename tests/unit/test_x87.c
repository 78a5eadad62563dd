/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every x87 encoding against the host processor: special values, all control words, empty and full
 * stacks, masked and unmasked exceptions; registers, tags, FCW, FSW, pointers, flags and memory must
 * be equal. Transcendentals are ours alone: equal for special operands and in range, otherwise within
 * a few units of the last place. */
#include "fp_bench.h"
#include "unit.h"

#include "abi/x86/fpu.h"
#include "cpu/exec/x87.h"

#define ROUNDS 400

struct test_row {
    const char *name;
    ZydisMnemonic mnemonic;
    exec_fn *exec;
};

static const struct test_row rows[] = {
#define INSN(m, handler, priv, mode, unit, icpt, block) {#m, ZYDIS_MNEMONIC_##m, handler},
#include "cpu/decode/insn_x87.def"
#undef INSN
};

static struct bench *bench;

static void setup(void)
{
    bench = aligned_alloc(64, (sizeof *bench + 63) / 64 * 64); /* calloc would not align the area */
    bench_open(bench);
}

/* modrm: memory forms at [RSI], or registers. */
static const struct test_row *build(struct bench_insn *i, unsigned opcode, unsigned modrm, bool short_form)
{
    memset(i, 0, sizeof *i);
    unsigned n = 0;
    if (short_form) {
        i->bytes[n++] = 0x66;
    }
    i->bytes[n++] = (u8)opcode;
    i->bytes[n++] = (u8)modrm;
    ZydisDecoder decoder;
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    (void)ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, i->bytes, n, &zi, ops))) {
        return NULL;
    }
    i->len = n;
    i->in = (struct insn){.osz = (u8)(zi.operand_width / 8),
                          .imm = (opcode & 7) << 8 | modrm,
                          .len = (u8)n,
                          .r = {OPR_NONE, OPR_NONE, OPR_NONE, OPR_NONE},
                          .base = REG_NONE,
                          .index = REG_NONE,
                          .sib = SEG_DS << 2 | 2 << 5};
    for (unsigned k = 0; k < zi.operand_count_visible; k++) {
        if (ops[k].type == ZYDIS_OPERAND_TYPE_MEMORY) {
            i->in.r[k] = OPR_MEM;
            i->in.base = RSI;
            unsigned bytes = ops[k].size / 8;
            i->in.id = (u16)(bytes == 2 ? 1u << 12 : bytes == 4 ? 2u << 12 : bytes == 8 ? 3u << 12 : 0);
        } else if (ops[k].reg.value >= ZYDIS_REGISTER_ST0 && ops[k].reg.value <= ZYDIS_REGISTER_ST7) {
            i->in.r[k] = (u8)(OPR_ST + (ops[k].reg.value - ZYDIS_REGISTER_ST0));
        } else {
            i->in.r[k] = RAX;
        }
    }
    for (unsigned k = 0; k < ARRAY_LEN(rows); k++) {
        if (rows[k].mnemonic == zi.mnemonic) {
            i->in.exec = rows[k].exec;
            return &rows[k];
        }
    }
    ck_abort_msg("no row for %s", ZydisMnemonicGetString(zi.mnemonic));
    return NULL;
}

static const struct f80 specials[] = {
    {0, 0}, {0, 0x8000}, {BIT(63), 0x3fff}, {BIT(63), 0xbfff}, {BIT(63), 0x7fff}, {BIT(63), 0xffff},
    {0xc000000000000000, 0x7fff}, {0xc000000000000000, 0xffff}, {0xc000000000012345, 0x7fff},
    {0x8000000000000001, 0x7fff}, {0xbabcdef012345678, 0xffff}, {0xe000000000000001, 0xffff},
    {1, 0}, {1, 0x8000}, {0x7fffffffffffffff, 0}, {BIT(63), 0}, {0x8000000000000001, 0x8000},
    {BIT(63), 1}, {~(u64)0, 0x7ffe}, {~(u64)0, 0xfffe}, {0x4000000000000000, 0x3fff},
    {0x7fffffffffffffff, 0x7fff}, {0, 0x7fff}, {0x1234, 0xffff}, {0, 0x1234},
    {BIT(63), 0x403e}, {BIT(63), 0xc03e}, {BIT(63), 0x401e}, {0xfffffffe00000000, 0x401d},
    {0xffffffff00000000, 0x401d}, {BIT(63), 0x400e}, {0xc000000000000000, 0x3ffe},
    {0xfffffffffffffffe, 0x3ffe}, {0x8000000000000001, 0x3fff}, {BIT(63), 0x3ffe},
    {0xde0b6b3a763fffff, 0x403a}, {0xde0b6b3a76400000, 0x403a}, {0xde0b6b3a763fff80, 0x403a},
    {BIT(63), 0x3f80}, {BIT(63), 0x3c00}, {0xffffff8000000000, 0x407e}, {0xfffffffffffffc00, 0x43fe},
    {0xffffff7fffffffff, 0x407e}, {BIT(63), 0x3f6a}, {BIT(63), 0x3bcd}, {0xa000000000000000, 0x4000},
};

static struct f80 random_f80(struct bench *b)
{
    u64 r = bench_random(b);
    u64 pick = bench_random(b);
    u16 sign = (u16)((pick >> 40) & 0x8000);
    switch (pick & 7) {
    case 0:
    case 1:
    case 2: return specials[r % ARRAY_LEN(specials)];
    case 3: return (struct f80){r | BIT(63), (u16)(sign | (0x3ff0 + (pick >> 8) % 32))};
    case 4: return (struct f80){(r | BIT(63)) & (~(u64)0 << 40), (u16)(sign | (0x3ff8 + (pick >> 8) % 16))};
    case 5: return (struct f80){(r | BIT(63)), (u16)(sign | ((pick >> 8 & 1) != 0 ? 0x7ff0 : 0) |
                                                    (pick >> 9) % 15)};
    case 6: return (struct f80){r | BIT(63), (u16)(sign | (0x3fff + (pick >> 8) % 70))};
    default: return (struct f80){r | BIT(63), (u16)(sign | (pick >> 8 & 0x7fff))};
    }
}

static const u64 memory_specials[] = {
    0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffa12345, 1, 0x807fffff, 0x3f800000,
    0x8000000000000000, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 0x7ff0000000000001,
    0xfff0000012345678, 0x000fffffffffffff, 0x3ff0000000000000, 0xffff, 0x8000, 0x7fff,
};

static void load_state(struct bench *b, struct native_state *st)
{
    native_state_init(st);
    u64 r = bench_random(b);
    st->rflags = 2 | (bench_random(b) & RFLAGS_ARITH);
    st->gpr[RAX] = bench_random(b);
    st->gpr[RSI] = (u64)(uintptr_t)b->area;
    st->fx.fcw = FCW_INIT;
    st->fx.fcw = (u16)((st->fx.fcw & ~(u32)FCW_RC) | (r & FCW_RC));
    if ((r & 0x30000) == 0) {
        st->fx.fcw = (u16)((st->fx.fcw & ~(u32)FCW_PC) | (r & FCW_PC));
        if ((st->fx.fcw & FCW_PC) == 0x100) {
            st->fx.fcw |= FCW_PC;
        }
    }
    if ((r & 0xc0000) == 0) {
        st->fx.fcw = (u16)((st->fx.fcw & ~(u32)FP_ALL) | (r >> 32 & FP_ALL));
    }
    st->fx.fsw = (u16)((r >> 40) & (FSW_CC | FSW_TOP));
    if ((r & 0x100000) != 0) {
        st->fx.fsw = (u16)(st->fx.fsw | (r >> 56 & FP_ALL & st->fx.fcw));
    }
    st->fx.tags = (u8)((r & 0x600000) == 0 ? bench_random(b) : (r & 0x600000) == 0x200000 ? 0xff : 0x7f);
    if ((r & 0x600000) >= 0x400000) { /* all but ST(7) */
        unsigned top = (st->fx.fsw & FSW_TOP) >> FSW_TOP_SHIFT;
        st->fx.tags = (u8)(0xff & ~(1u << ((top + 7) & 7)));
    }
    for (unsigned i = 0; i < 8; i++) {
        struct f80 v = random_f80(b);
        memcpy(st->fx.st[i], &v.mant, 8);
        memcpy(st->fx.st[i] + 8, &v.se, 2);
    }
    st->fx.fop = 0x123;
    st->fx.fip = 0x11111111;
    st->fx.fdp = 0x22222222;
    for (unsigned i = 0; i < 128; i += 8) {
        u64 v = bench_random(b);
        memcpy(b->area + i, &v, 8);
    }
    u64 v = memory_specials[bench_random(b) % ARRAY_LEN(memory_specials)];
    if ((bench_random(b) & 1) != 0) {
        memcpy(b->area, &v, 8);
    }
    if ((bench_random(b) & 7) == 0) {
        struct f80 f = random_f80(b);
        memcpy(b->area, &f.mant, 8);
        memcpy(b->area + 8, &f.se, 2);
    }
}

static void to_cpu(const struct native_state *st, struct cpu *cpu)
{
    memcpy(cpu->arch.gpr, st->gpr, sizeof cpu->arch.gpr);
    struct fpu_state *f = &cpu->arch.fpu;
    *f = (struct fpu_state){.fcw = st->fx.fcw,
                            .fsw = st->fx.fsw,
                            .tags = st->fx.tags,
                            .fop = st->fx.fop,
                            .fip = st->fx.fip,
                            .fdp = st->fx.fdp};
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&x87_st(f, i)->mant, st->fx.st[i], 8);
        memcpy(&x87_st(f, i)->se, st->fx.st[i] + 8, 2);
    }
    cpu_set_rflags(cpu, st->rflags);
}

/* Same sign and exponent field neighbourhood: difference in units of the last place of 64 bits. */
static bool is_close(const struct f80 *a, const struct f80 *b, u64 ulps)
{
    i128 x = ((i128)(a->se & 0x7fff) << 63) + (i128)(a->mant & ~BIT(63));
    i128 y = ((i128)(b->se & 0x7fff) << 63) + (i128)(b->mant & ~BIT(63));
    i128 diff = x > y ? x - y : y - x;
    return (a->se >> 15) == (b->se >> 15) && diff <= (i128)ulps;
}

static bool is_transcendental(const char *name)
{
    static const char *const names[] = {"FSIN", "FCOS", "FSINCOS", "FPTAN", "FPATAN", "F2XM1", "FYL2X", "FYL2XP1"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Hosts reduce arguments by a short pi: only small ones are compared. */
static bool is_reduced(const char *name, const struct native_state *before)
{
    u16 se;
    memcpy(&se, before->fx.st[0] + 8, 2);
    return (name[1] == 'S' || name[1] == 'C' || name[2] == 'T') && (se & 0x7fff) >= 0x3ffe;
}

static bool state_differs(const char *name, const struct native_state *before, const struct cpu *cpu,
                          const struct native_state *st)
{
    const struct fpu_state *f = &cpu->arch.fpu;
    bool loose = is_transcendental(name);
    bool any = loose && is_reduced(name, before);
    u32 ignore = loose ? FSW_C1 : 0;
    if (strncmp(name, "FYL2X", 5) == 0 || strcmp(name, "F2XM1") == 0) {
        ignore |= FP_PE | FP_UE; /* the host does not see exact results */
    }
    const u8 *r = st->fx.st[strcmp(name, "FSINCOS") == 0 || strcmp(name, "FPTAN") == 0 ? 1 : 0];
    if (loose && r[8] <= 1 && (r[9] & 0x7f) == 0) {
        ignore |= FP_UE; /* nor that the result of the smallest normal number is tiny */
    }
    bool same = f->fcw == st->fx.fcw && ((f->fsw ^ st->fx.fsw) & ~ignore) == 0 &&
                f->tags == st->fx.tags && f->fop == st->fx.fop && f->fip == st->fx.fip &&
                f->fdp == st->fx.fdp;
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *mine = x87_st_const(f, i);
        struct f80 host;
        memcpy(&host.mant, st->fx.st[i], 8);
        memcpy(&host.se, st->fx.st[i] + 8, 2);
        bool equal = mine->mant == host.mant && mine->se == host.se;
        same = same && (equal || (loose && is_close(mine, &host, 4)) || (any && i < 2));
    }
    same = same && memcmp(cpu->arch.gpr, st->gpr, sizeof st->gpr) == 0;
    return !same || ((cpu_rflags(cpu) ^ st->rflags) & RFLAGS_ARITH) != 0;
}

static void print_difference(const char *name, const struct bench_insn *i, const struct native_state *before,
                             const struct cpu *cpu, const struct native_state *st)
{
    const struct fpu_state *f = &cpu->arch.fpu;
    fprintf(stderr, "%s %02x %02x: fcw %04x fsw %04x tags %02x\n  ours fcw %04x fsw %04x tags %02x fop %03x fip %llx fdp %llx\n"
                    "  host fcw %04x fsw %04x tags %02x fop %03x fip %llx fdp %llx\n",
            name, i->bytes[0], i->bytes[1], before->fx.fcw, before->fx.fsw, before->fx.tags, f->fcw, f->fsw,
            f->tags, f->fop, (unsigned long long)f->fip, (unsigned long long)f->fdp, st->fx.fcw,
            st->fx.fsw, st->fx.tags, st->fx.fop, (unsigned long long)st->fx.fip,
            (unsigned long long)st->fx.fdp);
    if (((cpu_rflags(cpu) ^ st->rflags) & RFLAGS_ARITH) != 0) {
        fprintf(stderr, "  rflags %llx host %llx\n", (unsigned long long)cpu_rflags(cpu),
                (unsigned long long)st->rflags);
    }
    for (unsigned k = 0; k < 8; k++) {
        u64 b, h;
        u16 bs, hs;
        memcpy(&b, before->fx.st[k], 8);
        memcpy(&bs, before->fx.st[k] + 8, 2);
        memcpy(&h, st->fx.st[k], 8);
        memcpy(&hs, st->fx.st[k] + 8, 2);
        const struct f80 *v = x87_st_const(f, k);
        fprintf(stderr, "  st%u in %04x %016llx ours %04x %016llx host %04x %016llx%s\n", k, bs,
                (unsigned long long)b, v->se, (unsigned long long)v->mant, hs, (unsigned long long)h,
                v->se != hs || v->mant != h ? " <" : "");
    }
}

static bool run_both(struct bench *b, const struct test_row *row, const struct bench_insn *i)
{
    struct native_state st;
    load_state(b, &st);
    if (is_transcendental(row->name)) {
        st.fx.fcw |= FP_PE | FP_UE;
    }
    struct native_state before = st;
    struct cpu *cpu = &b->cpu;
    to_cpu(&st, cpu);
    cpu->arch.rip = native_rip(b->native);
    u8 memory[128], written[128];
    memcpy(memory, b->area, sizeof memory);
    cpu_rc rc = i->in.exec(cpu, &i->in);
    memcpy(written, b->area, sizeof written);
    memcpy(b->area, memory, sizeof memory);
    struct native_outcome out = native_run(b->native, i->bytes, i->len, &st);
    bool bad = (rc != CPU_OK) != (out.signal != 0);
    bad = bad || state_differs(row->name, &before, cpu, &st);
    bool memory_bad = memcmp(written, b->area, sizeof memory) != 0;
    if (bad || memory_bad) {
        fprintf(stderr, "rc %d signal %d\n", rc, out.signal);
        print_difference(row->name, i, &before, cpu, &st);
        for (unsigned k = 0; k < 112 && (memory_bad || i->in.base == RSI); k++) {
            if (k < 10 || written[k] != b->area[k]) {
                fprintf(stderr, "  m[%u] in %02x ours %02x host %02x\n", k, memory[k], written[k], b->area[k]);
            }
        }
    }
    return !bad && !memory_bad;
}

START_TEST(test_x87__against_host)
{
    if (bench->native == NULL) {
        return;
    }
    unsigned opcode = 0xd8 + (unsigned)_i;
    unsigned failed = 0;
    for (unsigned k = 0; k < 8 + 64 + 8; k++) {
        unsigned modrm = k < 8 ? k << 3 | RSI : k < 72 ? 0xc0 + k - 8 : (k - 72) << 3 | RSI;
        struct bench_insn i;
        const struct test_row *row = build(&i, opcode, modrm, k >= 72);
        unsigned bad = 0;
        for (unsigned n = 0; row != NULL && n < ROUNDS && bad < 2; n++) {
            bad += run_both(bench, row, &i) ? 0 : 1;
        }
        failed += bad;
        if (bad != 0) {
            fprintf(stderr, "BAD %s %02x %02x\n", row->name, opcode, modrm);
        }
    }
    ck_assert_msg(failed == 0, "%02x: differs from the host", opcode);
}
END_TEST

static struct insn memory_op(unsigned osz)
{
    bench->cpu.arch.gpr[RSI] = (u64)(uintptr_t)bench->area;
    return (struct insn){.r = {OPR_MEM, OPR_NONE, OPR_NONE, OPR_NONE},
                         .osz = (u8)osz,
                         .base = RSI,
                         .index = REG_NONE,
                         .sib = SEG_DS << 2 | 2 << 5};
}

/* [SDM1 "Real Mode x87 FPU State Image in Memory, 32-Bit Format", "16-Bit Format"] */
START_TEST(test_x87__real_mode_environment)
{
    struct cpu *cpu = &bench->cpu;
    struct fpu_state *f = &cpu->arch.fpu;
    const u8 *a = bench->area;
    cpu->d.prot = false;
    *f = (struct fpu_state){.fcw = FCW_INIT, .fop = 0x7ab, .fip = 0xabcde, .fdp = 0x12345};
    struct insn in = memory_op(4);
    ck_assert_int_eq(exec_fnstenv(cpu, &in), CPU_OK);
    ck_assert_uint_eq(load_le16(a + 12), 0xbcde);
    ck_assert_uint_eq(load_le32(a + 16), 0xa7ab);
    ck_assert_uint_eq(load_le16(a + 20), 0x2345);
    ck_assert_uint_eq(load_le32(a + 24), 0x1000);
    f->fip = f->fdp = f->fop = 0;
    ck_assert_int_eq(exec_fldenv(cpu, &in), CPU_OK);
    ck_assert_uint_eq(f->fip, 0xabcde);
    ck_assert_uint_eq(f->fdp, 0x12345);
    ck_assert_uint_eq(f->fop, 0x7ab);
    in = memory_op(2);
    ck_assert_int_eq(exec_fnstenv(cpu, &in), CPU_OK);
    ck_assert_uint_eq(load_le16(a + 6), 0xbcde);
    ck_assert_uint_eq(load_le16(a + 8), 0xa7ab);
    ck_assert_uint_eq(load_le16(a + 10), 0x2345);
    ck_assert_uint_eq(load_le16(a + 12), 0x1000);
}
END_TEST

static void count_ferr(void *self)
{
    (*(unsigned *)self)++;
}

/* #MF, or with CR0.NE = 0 the board's interrupt and another try. */
START_TEST(test_x87__pending)
{
    struct cpu *cpu = &bench->cpu;
    unsigned raised = 0;
    cpu->ports.ferr = count_ferr;
    cpu->ports.self = &raised;
    struct insn in = {.r = {OPR_NONE, OPR_NONE, OPR_NONE, OPR_NONE}};
    cpu->arch.fpu = (struct fpu_state){.fcw = 0x37e};
    ck_assert_int_eq(exec_fsqrt(cpu, &in), CPU_OK); /* stack underflow, unmasked */
    ck_assert_uint_eq(cpu->arch.fpu.fsw, FP_IE | FSW_SF | FSW_ES | FSW_B);
    ck_assert_int_eq(exec_fwait(cpu, &in), CPU_EXIT);
    ck_assert_uint_eq(cpu->event.vector, VEC_MF);
    cpu->arch.cr0 &= ~(u64)CR0_NE;
    ck_assert_int_eq(exec_fwait(cpu, &in), CPU_EXIT);
    ck_assert_int_eq(cpu->event.kind, EVENT_NONE);
    ck_assert_uint_eq(raised, 1);
    ck_assert_int_eq(exec_fnclex(cpu, &in), CPU_OK);
    ck_assert_int_eq(exec_fwait(cpu, &in), CPU_OK);
}
END_TEST

/* AMD follows FOP and FDP with every instruction. */
START_TEST(test_x87__amd_pointers)
{
    struct cpu *cpu = &bench->cpu;
    bench->model.vendor = CPU_VENDOR_AMD;
    cpu->arch.fpu = (struct fpu_state){.fcw = FCW_INIT};
    cpu->arch.rip = 0x1000;
    cpu->arch.seg[SEG_CS].sel = 0x33;
    cpu->arch.seg[SEG_DS].sel = 0x2b;
    struct insn in = memory_op(4);
    in.id = 3u << 12;
    in.imm = 0x506; /* FLD m64 */
    ck_assert_int_eq(exec_fld(cpu, &in), CPU_OK);
    const struct fpu_state *f = &cpu->arch.fpu;
    ck_assert_uint_eq(f->fip, 0x1000);
    ck_assert_uint_eq(f->fcs, 0x33);
    ck_assert_uint_eq(f->fop, 0x506);
    ck_assert_uint_eq(f->fdp, (u64)(uintptr_t)bench->area);
    ck_assert_uint_eq(f->fds, 0x2b);
}
END_TEST

/* Results that are known. */
START_TEST(test_x87__transcendentals)
{
    struct cpu *cpu = &bench->cpu;
    struct fpu_state *f = &cpu->arch.fpu;
    struct insn in = {.r = {OPR_NONE, OPR_NONE, OPR_NONE, OPR_NONE}};
    *f = (struct fpu_state){.fcw = FCW_INIT, .tags = 0x7f};
    f->r[0] = (struct f80){0xc90fdaa22168c235, 0x4000}; /* pi rounded: the sine is what is missing */
    ck_assert_int_eq(exec_fsin(cpu, &in), CPU_OK);
    ck_assert_uint_eq(f->r[0].mant, 0xece675d1fc8f8cbb);
    ck_assert_uint_eq(f->r[0].se, 0xbfbe);
    f->r[0] = (struct f80){BIT(63), 0x3fff};
    f->r[1] = (struct f80){BIT(63), 0x3fff};
    ck_assert_int_eq(exec_fpatan(cpu, &in), CPU_OK); /* pi / 4 */
    ck_assert_uint_eq(f->r[1].mant, 0xc90fdaa22168c235);
    ck_assert_uint_eq(f->r[1].se, 0x3ffe);
    ck_assert_uint_eq(f->fsw & (FP_ALL | FSW_C1), FP_PE | FSW_C1);
    f->fsw = FSW_TOP & (2 << FSW_TOP_SHIFT);
    f->r[2] = (struct f80){BIT(63), 0x3ffe + 9}; /* log2(2^8) */
    f->r[3] = (struct f80){0xc000000000000000, 0x4000};
    ck_assert_int_eq(exec_fyl2x(cpu, &in), CPU_OK);
    ck_assert_uint_eq(f->r[3].mant, 0xc000000000000000);
    ck_assert_uint_eq(f->r[3].se, 0x4003);
    ck_assert_uint_eq(f->fsw & FP_ALL, 0); /* exact */
    f->r[3] = (struct f80){BIT(63), 0x403e};
    ck_assert_int_eq(exec_fsin(cpu, &in), CPU_OK);
    ck_assert_uint_eq(f->fsw & FSW_C2, FSW_C2); /* 2^63 is out of range */
    ck_assert_uint_eq(f->r[3].se, 0x403e);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("x87");
    TCase *tc = tcase_create("all");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_x87__against_host, 0, 8);
    tcase_add_test(tc, test_x87__real_mode_environment);
    tcase_add_test(tc, test_x87__pending);
    tcase_add_test(tc, test_x87__amd_pointers);
    tcase_add_test(tc, test_x87__transcendentals);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
