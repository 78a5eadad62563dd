/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SSE and AVX floating point against the host processor: every handler, special values, all rounding
 * modes, DAZ, FTZ, masked and unmasked exceptions; results, MXCSR and faults must be equal. RCP and
 * RSQRT are ours alone and only checked against the manual's error bound. */
#include "fp_bench.h"
#include "unit.h"

#include "abi/x86/fpu.h"
#include "cpu/exec/fp.h"

#include <math.h>
#include <signal.h>

#define ROUNDS 400

struct test_row {
    const char *name;
    ZydisMnemonic mnemonic;
    exec_fn *exec;
};

static const struct test_row rows[] = {
#define INSN(m, handler, priv, mode, unit, icpt, block) {#m, ZYDIS_MNEMONIC_##m, handler},
#include "cpu/decode/insn_simd_fp.def"
#undef INSN
    {"CMPSD", ZYDIS_MNEMONIC_CMPSD, exec_cmpsd_sse},
};

/* Mnemonics, their operands ('|' separates forms), bytes of the memory operand, element size. */
struct shape {
    const char *name, *forms;
    unsigned mem, element;
};

#define SSE2(op)                                                                                   \
    {op "PS", "xx|xm", 16, 4}, {op "PD", "xx|xm", 16, 8}, {op "SS", "xx|xm", 4, 4},                \
    {op "SD", "xx|xm", 8, 8}
#define AVX2(op)                                                                                   \
    {"V" op "PS", "xxx|yyy|yym", 32, 4}, {"V" op "PD", "xxx|yyy|yym", 32, 8},                      \
    {"V" op "SS", "xxx|xxm", 4, 4}, {"V" op "SD", "xxx|xxm", 8, 8}
#define FMA(op)                                                                                    \
    {op "132PS", "xxx|yyy|yym", 32, 4}, {op "213PS", "xxx|yyy|yym", 32, 4},                        \
    {op "231PS", "xxx|yyy|yym", 32, 4}, {op "132PD", "xxx|yyy|yym", 32, 8},                        \
    {op "213PD", "xxx|yyy|yym", 32, 8}, {op "231PD", "xxx|yyy|yym", 32, 8}
#define FMAS(op)                                                                                   \
    {op "132SS", "xxx|xxm", 4, 4}, {op "213SS", "xxx|xxm", 4, 4}, {op "231SS", "xxx|xxm", 4, 4},   \
    {op "132SD", "xxx|xxm", 8, 8}, {op "213SD", "xxx|xxm", 8, 8}, {op "231SD", "xxx|xxm", 8, 8}

static const struct shape shapes[] = {
    SSE2("ADD"), SSE2("SUB"), SSE2("MUL"), SSE2("DIV"), SSE2("MIN"), SSE2("MAX"), SSE2("SQRT"),
    AVX2("ADD"), AVX2("SUB"), AVX2("MUL"), AVX2("DIV"), AVX2("MIN"), AVX2("MAX"),
    {"VSQRTPS", "xx|yy|ym", 32, 4}, {"VSQRTPD", "xx|yy|ym", 32, 8},
    {"VSQRTSS", "xxx|xxm", 4, 4}, {"VSQRTSD", "xxx|xxm", 8, 8},
    {"CMPPS", "xxi|xmi", 16, 4}, {"CMPPD", "xxi|xmi", 16, 8}, {"CMPSS", "xxi|xmi", 4, 4},
    {"CMPSD", "xxi|xmi", 8, 8},
    {"VCMPPS", "xxxi|yyyi|yymi", 32, 4}, {"VCMPPD", "xxxi|yyyi|yymi", 32, 8},
    {"VCMPSS", "xxxi|xxmi", 4, 4}, {"VCMPSD", "xxxi|xxmi", 8, 8},
    {"COMISS", "xx|xm", 4, 4}, {"COMISD", "xx|xm", 8, 8}, {"UCOMISS", "xx|xm", 4, 4},
    {"UCOMISD", "xx|xm", 8, 8}, {"VCOMISS", "xx|xm", 4, 4}, {"VCOMISD", "xx|xm", 8, 8},
    {"VUCOMISS", "xx|xm", 4, 4}, {"VUCOMISD", "xx|xm", 8, 8},
    {"ROUNDPS", "xxi|xmi", 16, 4}, {"ROUNDPD", "xxi|xmi", 16, 8}, {"ROUNDSS", "xxi|xmi", 4, 4},
    {"ROUNDSD", "xxi|xmi", 8, 8}, {"VROUNDPS", "xxi|yyi|ymi", 32, 4},
    {"VROUNDPD", "xxi|yyi|ymi", 32, 8}, {"VROUNDSS", "xxxi", 4, 4}, {"VROUNDSD", "xxxi", 8, 8},
    {"HADDPS", "xx|xm", 16, 4}, {"HADDPD", "xx|xm", 16, 8}, {"HSUBPS", "xx|xm", 16, 4},
    {"HSUBPD", "xx|xm", 16, 8}, {"ADDSUBPS", "xx|xm", 16, 4}, {"ADDSUBPD", "xx|xm", 16, 8},
    {"VHADDPS", "xxx|yyy|yym", 32, 4}, {"VHADDPD", "xxx|yyy|yym", 32, 8},
    {"VHSUBPS", "xxx|yyy|yym", 32, 4}, {"VHSUBPD", "xxx|yyy|yym", 32, 8},
    {"VADDSUBPS", "xxx|yyy|yym", 32, 4}, {"VADDSUBPD", "xxx|yyy|yym", 32, 8},
    {"DPPS", "xxi|xmi", 16, 4}, {"DPPD", "xxi|xmi", 16, 8}, {"VDPPS", "xxxi|yyyi|yymi", 32, 4},
    {"VDPPD", "xxxi|xxmi", 16, 8},
    {"CVTPS2PD", "xx|xm", 8, 4}, {"VCVTPS2PD", "xx|yx|ym", 16, 4},
    {"CVTPD2PS", "xx|xm", 16, 8}, {"VCVTPD2PS", "xx|xy|xm", 32, 8},
    {"CVTSS2SD", "xx|xm", 4, 4}, {"CVTSD2SS", "xx|xm", 8, 8},
    {"VCVTSS2SD", "xxx|xxm", 4, 4}, {"VCVTSD2SS", "xxx|xxm", 8, 8},
    {"CVTDQ2PS", "xx|xm", 16, 4}, {"VCVTDQ2PS", "xx|yy|ym", 32, 4},
    {"CVTDQ2PD", "xx|xm", 8, 4}, {"VCVTDQ2PD", "xx|yx|ym", 16, 4},
    {"CVTPS2DQ", "xx|xm", 16, 4}, {"VCVTPS2DQ", "xx|yy|ym", 32, 4},
    {"CVTTPS2DQ", "xx|xm", 16, 4}, {"VCVTTPS2DQ", "xx|yy|ym", 32, 4},
    {"CVTPD2DQ", "xx|xm", 16, 8}, {"VCVTPD2DQ", "xx|xy|xm", 32, 8},
    {"CVTTPD2DQ", "xx|xm", 16, 8}, {"VCVTTPD2DQ", "xx|xy|xm", 32, 8},
    {"CVTSI2SS", "xr|xq|xm", 4, 4}, {"CVTSI2SD", "xr|xq|xm", 4, 8},
    {"VCVTSI2SS", "xxr|xxq|xxm", 4, 4}, {"VCVTSI2SD", "xxr|xxq|xxm", 4, 8},
    {"CVTSS2SI", "rx|qx|rm", 4, 4}, {"CVTTSS2SI", "rx|qx|rm", 4, 4},
    {"CVTSD2SI", "rx|qx|rm", 8, 8}, {"CVTTSD2SI", "rx|qx|rm", 8, 8},
    {"VCVTSS2SI", "rx|qx|rm", 4, 4}, {"VCVTTSS2SI", "rx|qx|rm", 4, 4},
    {"VCVTSD2SI", "rx|qx|rm", 8, 8}, {"VCVTTSD2SI", "rx|qx|rm", 8, 8},
    {"CVTPI2PS", "xp|xm", 8, 4}, {"CVTPI2PD", "xp|xm", 8, 4},
    {"CVTPS2PI", "px|pm", 8, 4}, {"CVTTPS2PI", "px|pm", 8, 4},
    {"CVTPD2PI", "px|pm", 16, 8}, {"CVTTPD2PI", "px|pm", 16, 8},
    {"VCVTPH2PS", "xx|yx|ym", 16, 2}, {"VCVTPS2PH", "xxi|xyi|myi", 16, 4},
    FMA("VFMADD"), FMA("VFMSUB"), FMA("VFNMADD"), FMA("VFNMSUB"), FMA("VFMADDSUB"), FMA("VFMSUBADD"),
    FMAS("VFMADD"), FMAS("VFMSUB"), FMAS("VFNMADD"), FMAS("VFNMSUB"),
};

static const u32 special32[] = {
    0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001,
    0xff800001, 0x7fa12345, 0xffe54321, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x80800000,
    0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000, 0x3f000000, 0x3effffff,
    0x40200000, 0x38800000, 0x387fffff, 0x33000000, 0x33000001, 0x477fefff, 0x477ff000, 0x38000000,
    0x33800000, 0x7fffffff, 0x80000000, 0x00400000, 0x20000000, 0x1f800000, 0x4b7fffff, 0x4b000001,
};
static const u64 special64[] = {
    0, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000,
    0xfff0000000000000, 0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001,
    0xfff0000000000001, 0x7ff123456789abcd, 0xfffabcdef0123456, 0x0000000000000001,
    0x8000000000000001, 0x000fffffffffffff, 0x0010000000000000, 0x8010000000000000,
    0x7fefffffffffffff, 0xffefffffffffffff, 0x41dfffffffc00000, 0x41e0000000000000,
    0xc1e0000000000000, 0x43e0000000000000, 0xc3e0000000000000, 0x3fe0000000000000,
    0x4004000000000000, 0x36a0000000000000, 0x3690000000000000, 0x380fffffffffffff,
    0x3810000000000000, 0x47efffffe0000000, 0x47effffff0000000, 0x1ff0000000000000,
    0x2000000000000000, 0x433fffffffffffff, 0xc330000000000001, 0x380fffffe0000000,
};

static u64 value(struct bench *b, unsigned size)
{
    u64 r = bench_random(b);
    u64 pick = bench_random(b);
    if (size == 2) {
        return r & 0xffff;
    }
    if ((pick & 7) < 4) {
        return size == 4 ? special32[r % ARRAY_LEN(special32)] : special64[r % ARRAY_LEN(special64)];
    }
    if ((pick & 7) < 6) { /* moderate exponents, few or many bits */
        u64 keep = (pick & 0x100) != 0 ? ~(u64)0 : (u64)0xff << (size == 4 ? 15 : 44);
        return size == 4 ? (r & 0x807fffff & (keep | 0x80000000)) | (120 + (pick >> 16) % 16) << 23
                         : (r & 0x800fffffffffffff & (keep | BIT(63))) | (1016 + (pick >> 16) % 16) << 52;
    }
    if ((pick & 7) == 6) { /* near the ends */
        return size == 4 ? (r & 0x807fffff) | ((pick >> 16) % 2 != 0 ? (u64)252 : 0) << 23 |
                               ((pick >> 20) % 3) << 23
                         : (r & 0x800fffffffffffffu) | ((pick >> 16) % 2 != 0 ? (u64)2044 : 0) << 52 |
                               ((pick >> 20) % 3) << 52;
    }
    return r;
}

static void fill(struct bench *b, void *p, unsigned bytes, unsigned size)
{
    for (unsigned i = 0; i < bytes; i += size) {
        u64 v = value(b, size);
        memcpy((u8 *)p + i, &v, size);
    }
}

static struct bench *bench;

static void setup(void)
{
    bench = aligned_alloc(64, (sizeof *bench + 63) / 64 * 64); /* calloc would not align the area */
    bench_open(bench);
}

static void load_state(struct bench *b, struct native_state *st, const struct shape *s)
{
    native_state_init(st);
    st->rflags = 2;
    for (unsigned i = 0; i < 4; i++) {
        fill(b, st->vec[i], 32, s->element);
        if ((bench_random(b) & 15) == 0) {
            fill(b, st->vec[i], 32, 4);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        st->gpr[i] = (bench_random(b) & 1) != 0 ? bench_random(b) : (u64)((i64)bench_random(b) >> 40);
        u64 mm = bench_random(b);
        memcpy(st->fx.st[i], &mm, 8);
    }
    st->gpr[RSI] = (u64)(uintptr_t)b->area;
    fill(b, b->area, 64, s->element);
    u32 r = (u32)bench_random(b);
    u32 csr = MXCSR_INIT | (r & MXCSR_RC);
    csr |= (r & 0x30000) == 0x30000 ? (r & (MXCSR_FTZ | MXCSR_DAZ)) : 0;
    if ((r & 0x100000) != 0) {
        csr = (csr & ~(u32)MXCSR_MASKS) | ((r >> 21 | (u32)bench_random(b)) & 0x3f) << 7;
    }
    csr |= (r >> 27) & 1 ? r & 0x3f : 0;
    st->fx.mxcsr = csr;
}

static void to_cpu(const struct native_state *st, struct cpu *cpu)
{
    memcpy(cpu->arch.gpr, st->gpr, sizeof cpu->arch.gpr);
    memcpy(cpu->arch.vec, st->vec, sizeof cpu->arch.vec);
    cpu->arch.mxcsr = st->fx.mxcsr;
    cpu->arch.fpu = (struct fpu_state){.fcw = FCW_INIT};
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&cpu->arch.fpu.r[i].mant, st->fx.st[i], 8);
        memcpy(&cpu->arch.fpu.r[i].se, st->fx.st[i] + 8, 2);
    }
    cpu_set_rflags(cpu, 0);
}

static void dump(const char *what, const u8 *p, unsigned n)
{
    fprintf(stderr, "  %-8s", what);
    for (unsigned i = n; i-- > 0;) {
        fprintf(stderr, "%02x%s", p[i], i % 4 == 0 ? " " : "");
    }
    fprintf(stderr, "\n");
}

/* One run on both sides; false: they differ (and the difference is printed). */
static bool run_both(struct bench *b, const char *name, const struct bench_insn *i,
                     const struct shape *s)
{
    struct native_state st;
    load_state(b, &st, s);
    struct native_state before = st;
    struct cpu *cpu = &b->cpu;
    to_cpu(&st, cpu);
    u8 memory[64];
    memcpy(memory, b->area, 64);
    cpu->event = (struct event){0};
    cpu_rc rc = i->in.exec(cpu, &i->in);
    u8 written[64];
    memcpy(written, b->area, 64);
    memcpy(b->area, memory, 64);
    struct native_outcome out = native_run(b->native, i->bytes, i->len, &st);
    bool same = (rc != CPU_OK) == (out.signal != 0);
    same = same && (rc == CPU_OK || (cpu->event.vector == VEC_XM && out.signal == SIGFPE));
    same = same && memcmp(cpu->arch.vec, st.vec, sizeof st.vec) == 0;
    same = same && cpu->arch.mxcsr == st.fx.mxcsr;
    same = same && memcmp(cpu->arch.gpr, st.gpr, sizeof st.gpr) == 0;
    same = same && ((cpu_rflags(cpu) ^ st.rflags) & RFLAGS_ARITH) == 0;
    same = same && memcmp(written, b->area, 64) == 0;
    same = same && cpu->arch.fpu.tags == st.fx.tags;
    for (unsigned k = 0; k < 8; k++) {
        same = same && memcmp(&cpu->arch.fpu.r[k].mant, st.fx.st[k], 8) == 0;
        same = same && memcmp(&cpu->arch.fpu.r[k].se, st.fx.st[k] + 8, 2) == 0;
    }
    if (!same) {
        fprintf(stderr, "%s imm %x: rc %d vector %d signal %d mxcsr %04x -> %04x, host %04x, tags %02x %02x\n",
                name, (unsigned)i->in.imm, rc, cpu->event.vector, out.signal, before.fx.mxcsr,
                cpu->arch.mxcsr, st.fx.mxcsr, cpu->arch.fpu.tags, st.fx.tags);
        for (unsigned k = 0; k < 4; k++) {
            dump("in", before.vec[k], 32);
        }
        dump("memory", memory, 32);
        for (unsigned k = 0; k < 4; k++) {
            if (memcmp(cpu->arch.vec[k], st.vec[k], 32) != 0) {
                dump("ours", cpu->arch.vec[k], 32);
                dump("host", st.vec[k], 32);
            }
            if (cpu->arch.gpr[k] != st.gpr[k]) {
                fprintf(stderr, "  gpr %llx host %llx\n", (unsigned long long)cpu->arch.gpr[k],
                        (unsigned long long)st.gpr[k]);
            }
        }
        if (memcmp(written, b->area, 64) != 0) {
            dump("m ours", written, 32);
            dump("m host", b->area, 32);
        }
    }
    return same;
}

static bool encode_form(struct bench *b, struct bench_insn *i, const struct test_row *row,
                        const char *form, const struct shape *s)
{
    u8 regs[4];
    unsigned mem = s->mem;
    for (unsigned k = 0; k < 4; k++) {
        regs[k] = (u8)(bench_random(b) % 4);
    }
    if (mem == 32 && strchr(form, 'y') == NULL) {
        mem = 16;
    }
    return bench_encode(i, row->mnemonic, row->exec, form, mem, (unsigned)bench_random(b) & 0xff, regs);
}

START_TEST(test_simd_fp__against_host)
{
    const struct shape *s = &shapes[_i];
    const struct test_row *row = NULL;
    for (unsigned k = 0; k < ARRAY_LEN(rows); k++) {
        if (strcmp(rows[k].name, s->name) == 0) {
            row = &rows[k];
        }
    }
    ck_assert_msg(row != NULL, "no row for %s", s->name);
    if (bench->native == NULL || (!native_has_avx(bench->native) && s->name[0] == 'V')) {
        return;
    }
    unsigned bad = 0;
    for (const char *form = s->forms; form != NULL;) {
        char one[8] = {0};
        const char *end = strchr(form, '|');
        memcpy(one, form, end != NULL ? (size_t)(end - form) : strlen(form));
        form = end != NULL ? end + 1 : NULL;
        for (unsigned n = 0; n < ROUNDS && bad < 3; n++) {
            struct bench_insn i;
            if (!encode_form(bench, &i, row, one, s)) {
                ck_abort_msg("cannot encode %s %s", s->name, one);
            }
            bad += run_both(bench, s->name, &i, s) ? 0 : 1;
        }
    }
    ck_assert_msg(bad == 0, "%s differs from the host", s->name);
}
END_TEST

/* [SDM2 "RCPPS", "RSQRTPS"]: |relative error| <= 1.5 * 2^-12. */
START_TEST(test_simd_fp__estimates)
{
    for (u32 v = 0x00800000; v < 0x7e000000; v += 0x1357) {
        float x, r, q;
        u32 rcp = fp_soft_rcp(v);
        u32 rsqrt = fp_soft_rsqrt(v);
        memcpy(&x, &v, 4);
        memcpy(&r, &rcp, 4);
        memcpy(&q, &rsqrt, 4);
        ck_assert_double_le(fabs((double)r * (double)x - 1.0), 1.5 / 4096);
        ck_assert_double_le(fabs((double)q * sqrt((double)x) - 1.0), 1.5 / 4096);
        ck_assert_uint_eq(rcp & 0xfff, 0);
        ck_assert_uint_eq(rsqrt & 0xfff, 0);
    }
    ck_assert_uint_eq(fp_soft_rcp(0x3f800000), 0x3f800000);
    ck_assert_uint_eq(fp_soft_rcp(0x80000001), 0xff800000);
    ck_assert_uint_eq(fp_soft_rcp(0x7f800000), 0);
    ck_assert_uint_eq(fp_soft_rcp(0x7f000000), 0);
    ck_assert_uint_eq(fp_soft_rcp(0x7f800001), 0x7fc00001);
    ck_assert_uint_eq(fp_soft_rsqrt(0x40800000), 0x3f000000);
    ck_assert_uint_eq(fp_soft_rsqrt(0xbf800000), 0xffc00000);
    ck_assert_uint_eq(fp_soft_rsqrt(0x80000001), 0xff800000);
    ck_assert_uint_eq(fp_soft_rsqrt(0x7f800000), 0);
}
END_TEST

/* The software FMA equals the host's. */
START_TEST(test_simd_fp__soft_fma)
{
    if (!__builtin_cpu_supports("fma")) {
        return;
    }
    for (unsigned n = 0; n < 300000; n++) {
        u64 v[3][2] = {{0}}, d[2] = {0}, soft = 0;
        bool dbl = (n & 1) != 0;
        for (unsigned k = 0; k < 3; k++) {
            v[k][0] = value(bench, dbl ? 8 : 4);
        }
        u32 r = (u32)bench_random(bench);
        u32 csr = MXCSR_INIT | (r & (MXCSR_RC | MXCSR_FTZ | MXCSR_DAZ));
        u32 flags = fp_fma(csr, d, v[0], v[1], v[2], 0, dbl, true);
        u32 mine;
        if (dbl) {
            mine = fp_soft_fma64(csr, &soft, v[0][0], v[1][0], v[2][0]);
        } else {
            u32 s = 0;
            mine = fp_soft_fma32(csr, &s, (u32)v[0][0], (u32)v[1][0], (u32)v[2][0]);
            soft = s;
            d[0] = (u32)d[0];
        }
        ck_assert_msg(soft == d[0] && mine == flags, "csr %x: %llx %llx %llx: %llx %x, host %llx %x", csr,
                      (unsigned long long)v[0][0], (unsigned long long)v[1][0],
                      (unsigned long long)v[2][0], (unsigned long long)soft, mine,
                      (unsigned long long)d[0], flags);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("simd_fp");
    TCase *tc = tcase_create("all");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test_simd_fp__against_host, 0, (int)ARRAY_LEN(shapes));
    tcase_add_test(tc, test_simd_fp__estimates);
    tcase_add_test(tc, test_simd_fp__soft_fma);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
