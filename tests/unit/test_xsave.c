/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC, XRSTOR, LDMXCSR, STMXCSR against the host processor (x87, SSE,
 * AVX components, all in use), and the rules a host cannot show: init optimisation, supervisor
 * components, header checks, AMD's pointers. */
#include "fp_bench.h"
#include "unit.h"

#include "cpu/exec/x87.h"

#include <signal.h>

#define AREA 1024u

static struct bench *bench;

static void setup(void)
{
    bench = aligned_alloc(64, (sizeof *bench + 63) / 64 * 64); /* calloc would not align the area */
    bench_open(bench);
}

static exec_fn *handler(const char *name)
{
    static const struct {
        const char *name;
        exec_fn *exec;
    } rows[] = {
#define INSN(m, handler, priv, mode, unit, icpt, block) {#m, handler},
#include "cpu/decode/insn_simd_fp.def"
#undef INSN
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return rows[i].exec;
        }
    }
    ck_abort_msg("no row for %s", name);
    return NULL;
}

static void random_bytes(void *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ((u8 *)p)[i] = (u8)bench_random(bench);
    }
}

static void load_state(struct native_state *st)
{
    native_state_init(st);
    random_bytes(st->vec, sizeof st->vec);
    st->fx.fcw = (u16)(FCW_INIT & ~(bench_random(bench) & FCW_RC));
    st->fx.fsw = (u16)(bench_random(bench) & (FSW_CC | FSW_TOP | FP_ALL | FSW_SF));
    st->fx.tags = (u8)bench_random(bench);
    st->fx.fop = 0x456;
    st->fx.fip = 0x0000123456789abc;
    st->fx.fdp = 0x00007edcba987654;
    st->fx.mxcsr = MXCSR_INIT ^ (u32)(bench_random(bench) & 0xffff);
    for (unsigned i = 0; i < 8; i++) {
        random_bytes(st->fx.st[i], 10);
    }
    st->gpr[RSI] = (u64)(uintptr_t)bench->area;
    st->rflags = 2;
}

static void to_cpu(const struct native_state *st)
{
    struct cpu *cpu = &bench->cpu;
    struct fpu_state *f = &cpu->arch.fpu;
    memcpy(cpu->arch.gpr, st->gpr, sizeof cpu->arch.gpr);
    memcpy(cpu->arch.vec, st->vec, sizeof cpu->arch.vec);
    cpu->arch.mxcsr = st->fx.mxcsr;
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
}

static void compare_state(const char *what, const struct native_state *st)
{
    const struct cpu *cpu = &bench->cpu;
    const struct fpu_state *f = &cpu->arch.fpu;
    ck_assert_msg(memcmp(cpu->arch.vec, st->vec, sizeof st->vec) == 0, "%s: vectors", what);
    ck_assert_msg(cpu->arch.mxcsr == st->fx.mxcsr, "%s: mxcsr %x host %x", what, cpu->arch.mxcsr,
                  st->fx.mxcsr);
    ck_assert_msg(f->fcw == st->fx.fcw, "%s: fcw %x host %x", what, f->fcw, st->fx.fcw);
    ck_assert_msg(f->fsw == st->fx.fsw, "%s: fsw %x host %x", what, f->fsw, st->fx.fsw);
    ck_assert_msg(f->tags == st->fx.tags, "%s: tags", what);
    ck_assert_msg(f->fop == st->fx.fop, "%s: fop %x host %x", what, f->fop, st->fx.fop);
    ck_assert_msg(f->fip == st->fx.fip, "%s: fip", what);
    ck_assert_msg(f->fdp == st->fx.fdp, "%s: fdp", what);
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_msg(memcmp(&x87_st_const(f, i)->mant, st->fx.st[i], 8) == 0 &&
                          memcmp(&x87_st_const(f, i)->se, st->fx.st[i] + 8, 2) == 0,
                      "%s: st%u", what, i);
    }
}

/* The instruction as bytes: memory operand [RSI]. */
struct form {
    const char *name;
    u8 bytes[5];
    unsigned len;
};

static const struct form saves[] = {
    {"FXSAVE", {0x0f, 0xae, 0x06}, 3},
    {"FXSAVE64", {0x48, 0x0f, 0xae, 0x06}, 4},
    {"XSAVE", {0x0f, 0xae, 0x26}, 3},
    {"XSAVE64", {0x48, 0x0f, 0xae, 0x26}, 4},
    {"XSAVEOPT", {0x0f, 0xae, 0x36}, 3},
    {"XSAVEC", {0x0f, 0xc7, 0x26}, 3},
    {"XSAVEC64", {0x48, 0x0f, 0xc7, 0x26}, 4},
    {"STMXCSR", {0x0f, 0xae, 0x1e}, 3},
};

static const struct form restores[] = {
    {"FXRSTOR", {0x0f, 0xae, 0x0e}, 3},     {"FXRSTOR64", {0x48, 0x0f, 0xae, 0x0e}, 4},
    {"XRSTOR", {0x0f, 0xae, 0x2e}, 3},      {"XRSTOR64", {0x48, 0x0f, 0xae, 0x2e}, 4},
    {"LDMXCSR", {0x0f, 0xae, 0x16}, 3},
};

static cpu_rc run_ours(const struct form *f)
{
    struct insn in = {.r = {OPR_MEM, OPR_NONE, OPR_NONE, OPR_NONE},
                      .base = RSI,
                      .index = REG_NONE,
                      .sib = SEG_DS << 2 | 2 << 5,
                      .len = (u8)f->len,
                      .pfx = f->bytes[0] == 0x48 ? PFX_REXW : 0};
    bench->cpu.event = (struct event){0};
    return handler(f->name)(&bench->cpu, &in);
}

START_TEST(test_xsave__saves_like_the_host)
{
    const struct form *f = &saves[_i];
    if (bench->native == NULL || !native_has_avx(bench->native)) {
        return;
    }
    for (unsigned n = 0; n < 300; n++) {
        struct native_state st;
        u8 before[AREA], ours[AREA];
        load_state(&st);
        st.gpr[RAX] = bench_random(bench) & 7;
        st.gpr[RDX] = 0;
        random_bytes(before, AREA);
        memset(before + XSAVE_HEADER, 0, XSAVE_HEADER_SIZE);
        before[XSAVE_HEADER] = (u8)(bench_random(bench) & 7);
        memcpy(bench->area, before, AREA);
        to_cpu(&st);
        ck_assert_int_eq(run_ours(f), CPU_OK);
        memcpy(ours, bench->area, AREA);
        memcpy(bench->area, before, AREA);
        struct native_outcome out = native_run(bench->native, f->bytes, f->len, &st);
        if (out.signal == SIGILL) {
            return; /* a host without it */
        }
        ck_assert_int_eq(out.signal, 0);
        for (unsigned i = 0; i < AREA; i++) {
            bool mask = i >= FXSAVE_MXCSR_MASK && i < FXSAVE_MXCSR_MASK + 4;
            ck_assert_msg(mask || ours[i] == bench->area[i], "%s rfbm %x: byte %u was %02x is %02x host %02x",
                          f->name, (unsigned)st.gpr[RAX], i, before[i], ours[i], bench->area[i]);
        }
    }
}
END_TEST

static const char *cpu_why(void)
{
    return bench->cpu.event.why != NULL ? bench->cpu.event.why : "";
}

START_TEST(test_xsave__restores_like_the_host)
{
    const struct form *f = &restores[_i];
    if (bench->native == NULL || !native_has_avx(bench->native)) {
        return;
    }
    for (unsigned n = 0; n < 5000; n++) {
        struct native_state st, image;
        load_state(&st);
        load_state(&image);
        st.gpr[RAX] = bench_random(bench) & 7;
        u64 r = bench_random(bench);
        random_bytes(bench->area, AREA);
        u8 *a = bench->area;
        memcpy(a, &image.fx, FXSAVE_XMM);
        store_le16(a + FXSAVE_FCW, (u16)(r >> 48)); /* reserved bits too */
        if (f->bytes[0] != 0x48) {
            store_le32(a + FXSAVE_FIP + 4, 0);
            store_le32(a + FXSAVE_FDP + 4, 0);
        }
        if (strcmp(f->name, "LDMXCSR") == 0) {
            store_le32(a, (u32)((r & 3) != 0 ? r >> 32 & 0xffff : r >> 32));
        } else if ((r & 31) == 0) {
            store_le32(a + FXSAVE_MXCSR, (u32)(r >> 32));
        }
        u8 *h = a + XSAVE_HEADER;
        memset(h, 0, XSAVE_HEADER_SIZE);
        bool compact = (r & 32) != 0;
        u64 components = r >> 8 & 7;
        store_le64(h, components);
        if (compact) {
            store_le64(h + 8, components | (r >> 12 & 7) | XCOMP_BV_COMPACT);
        }
        if ((r & 0x7c0) == 0) { /* break something */
            h[r >> 24 & 63] = (u8)(r >> 32);
            h[15] = compact ? 0x80 : h[15];
        }
        h[1] = h[9] = 0; /* components that the host may have and we do not */
        h[2] = h[10] = 0;
        h[0] &= 0x1f;
        h[8] &= 0x1f;
        to_cpu(&st);
        cpu_rc rc = run_ours(f);
        struct native_outcome out = native_run(bench->native, f->bytes, f->len, &st);
        ck_assert_msg((rc != CPU_OK) == (out.signal == SIGSEGV),
                      "%s: rc %d (%s), host signal %d; rfbm %x header %llx %llx", f->name, rc,
                      cpu_why(), out.signal, (unsigned)st.gpr[RAX], (unsigned long long)load_le64(h),
                      (unsigned long long)load_le64(h + 8));
        if (rc == CPU_OK) {
            compare_state(f->name, &st);
        } else {
            ck_assert_int_eq(bench->cpu.event.vector, VEC_GP);
        }
    }
}
END_TEST

/* Components in their initial state: not in XSTATE_BV, and not written but by XSAVE. */
START_TEST(test_xsave__init_optimisation)
{
    struct cpu *cpu = &bench->cpu;
    u8 *a = bench->area;
    cpu->arch.fpu = (struct fpu_state){.fcw = FCW_INIT};
    memset(cpu->arch.vec, 0, sizeof cpu->arch.vec);
    cpu->arch.mxcsr = MXCSR_INIT;
    cpu->arch.vec[5][20] = 1;
    cpu->arch.gpr[RSI] = (u64)(uintptr_t)a;
    cpu->arch.gpr[RAX] = 7;
    cpu->arch.gpr[RDX] = 0;
    memset(a, 0xee, AREA);
    ck_assert_int_eq(run_ours(&saves[5]), CPU_OK); /* XSAVEC */
    ck_assert_uint_eq(load_le64(a + XSAVE_HEADER), XCR0_AVX);
    ck_assert_uint_eq(load_le64(a + XSAVE_HEADER + 8), XCOMP_BV_COMPACT | 7);
    ck_assert_uint_eq(a[0], 0xee);
    ck_assert_uint_eq(a[FXSAVE_MXCSR], 0xee);
    ck_assert_uint_eq(a[FXSAVE_XMM], 0xee);
    ck_assert_uint_eq(a[XSAVE_EXTENDED + 5 * 16 + 4], 1);
    cpu->arch.mxcsr = MXCSR_INIT | 1; /* makes SSE count as in use */
    ck_assert_int_eq(run_ours(&saves[5]), CPU_OK);
    ck_assert_uint_eq(load_le64(a + XSAVE_HEADER), XCR0_AVX | XCR0_SSE);
    store_le64(a + XSAVE_HEADER, 0);
    ck_assert_int_eq(run_ours(&saves[2]), CPU_OK); /* XSAVE: MXCSR does not */
    ck_assert_uint_eq(load_le64(a + XSAVE_HEADER), XCR0_AVX);
    ck_assert_uint_eq(load_le16(a), FCW_INIT);
}
END_TEST

/* The address that a fault of the instruction names when [from, to) of its area is missing, -1: none. */
static i64 faulting_byte(exec_fn *exec, unsigned from, unsigned to, u64 rfbm)
{
    struct cpu *cpu = &bench->cpu;
    struct insn in = {.osz = 8, .len = 4, .r = {OPR_MEM, OPR_NONE, OPR_NONE, OPR_NONE}, .pfx = PFX_REXW,
                      .base = RSI, .index = REG_NONE, .sib = SEG_DS << 2 | 2 << 5};
    u64 area = (u64)(uintptr_t)bench->area;
    cpu->arch.gpr[RSI] = area;
    cpu->arch.gpr[RAX] = rfbm;
    cpu->arch.gpr[RDX] = 0;
    memset(bench->area, 0, AREA);
    bench_hole = area + from;
    bench_hole_end = area + to;
    cpu_rc rc = exec(cpu, &in);
    bench_hole = bench_hole_end = 0;
    return rc == CPU_OK ? -1 : (i64)(cpu->event.cr2 - area);
}

/* The last byte, then the parts that are asked for. XRSTOR begins with XCOMP_BV. */
START_TEST(test_xsave__fault_order)
{
    exec_fn *xsave = handler("XSAVE64"), *fxsave = handler("FXSAVE64");
    ck_assert_int_eq(faulting_byte(fxsave, 0, 1024, 0), 511);
    ck_assert_int_eq(faulting_byte(fxsave, 0, 256, 0), 0);
    ck_assert_int_eq(faulting_byte(xsave, 0, 1024, 7), 831);
    ck_assert_int_eq(faulting_byte(xsave, 0, 1024, 3), 575);
    ck_assert_int_eq(faulting_byte(xsave, 0, 512, 1), 0);
    ck_assert_int_eq(faulting_byte(xsave, 0, 512, 2), FXSAVE_MXCSR);
    ck_assert_int_eq(faulting_byte(xsave, 0, 512, 4), FXSAVE_MXCSR);
    ck_assert_int_eq(faulting_byte(xsave, 0, 512, 0), -1); /* the header alone */
    ck_assert_int_eq(faulting_byte(handler("XSAVEC64"), 0, 512, 4), -1); /* MXCSR goes with SSE there */
    ck_assert_int_eq(faulting_byte(handler("XSAVEC64"), 0, 512, 2), FXSAVE_MXCSR);
    exec_fn *xrstor = handler("XRSTOR64"); /* of an empty area: what it asks for is touched all the same */
    ck_assert_int_eq(faulting_byte(xrstor, 512, 1024, 7), 520);
    ck_assert_int_eq(faulting_byte(xrstor, 0, 1024, 7), 520);
    ck_assert_int_eq(faulting_byte(xrstor, 0, 512, 7), 0);
    ck_assert_int_eq(faulting_byte(xrstor, 0, 512, 2), FXSAVE_MXCSR);
    ck_assert_int_eq(faulting_byte(xrstor, 0, 512, 4), FXSAVE_MXCSR);
    ck_assert_int_eq(faulting_byte(xrstor, 0, 512, 0), -1);
    ck_assert_int_eq(faulting_byte(xrstor, 576, 1024, 7), 831);
    ck_assert_int_eq(faulting_byte(xrstor, 576, 1024, 3), -1);
}
END_TEST

/* XSAVES, XRSTORS: PKRU and CET in the compacted format. */
START_TEST(test_xsave__supervisor)
{
    struct cpu *cpu = &bench->cpu;
    u8 *a = bench->area;
    const struct form xsaves = {"XSAVES64", {0x48}, 4};
    const struct form xrstors = {"XRSTORS64", {0x48}, 4};
    cpu->arch.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_PKRU;
    cpu->arch.xss = XSS_CET_U | XSS_CET_S;
    cpu->arch.gpr[RSI] = (u64)(uintptr_t)a;
    cpu->arch.gpr[RAX] = XCR0_AVX | XCR0_PKRU | XSS_CET_U | XSS_CET_S;
    cpu->arch.gpr[RDX] = ~(u64)0;
    cpu->arch.pkru = 0x55555554;
    cpu->arch.u_cet = 1;
    cpu->arch.pl_ssp[3] = 0x7000;
    cpu->arch.pl_ssp[0] = 0x1000;
    cpu->arch.pl_ssp[2] = 0x3000;
    memset(a, 0, AREA);
    ck_assert_int_eq(run_ours(&xsaves), CPU_OK);
    ck_assert_uint_eq(load_le64(a + XSAVE_HEADER), XCR0_PKRU | XSS_CET_U | XSS_CET_S);
    ck_assert_uint_eq(load_le32(a + 832), 0x55555554);
    ck_assert_uint_eq(load_le64(a + 840), 1);
    ck_assert_uint_eq(load_le64(a + 848), 0x7000);
    ck_assert_uint_eq(load_le64(a + 856), 0x1000);
    ck_assert_uint_eq(load_le64(a + 872), 0x3000);
    store_le64(a + 872, 0x5000);
    cpu->arch.gpr[RAX] = XSS_CET_S;
    ck_assert_int_eq(run_ours(&xrstors), CPU_OK);
    ck_assert_uint_eq(cpu->arch.pl_ssp[2], 0x5000);
    store_le64(a + 872, 0x5001); /* reserved bit */
    ck_assert_int_eq(run_ours(&xrstors), CPU_EXIT);
    ck_assert_uint_eq(cpu->event.vector, VEC_GP);
    store_le64(a + XSAVE_HEADER, XSS_CET_U);
    ck_assert_int_eq(run_ours(&xrstors), CPU_OK); /* CET_S initialised */
    ck_assert_uint_eq(cpu->arch.pl_ssp[2], 0);
    ck_assert_uint_eq(cpu->arch.pl_ssp[3], 0x7000);
    cpu->arch.gpr[RSI]++;
    ck_assert_int_eq(run_ours(&xrstors), CPU_EXIT);
    cpu->arch.gpr[RSI]--;
    cpu->arch.cr4 &= ~(u64)CR4_OSXSAVE;
    ck_assert_int_eq(run_ours(&xsaves), CPU_EXIT);
    ck_assert_uint_eq(cpu->event.vector, VEC_UD);
}
END_TEST

/* AMD: FOP, FIP and FDP only while an exception is pending; FFXSR leaves XMM out. */
START_TEST(test_xsave__amd)
{
    struct cpu *cpu = &bench->cpu;
    u8 *a = bench->area;
    bench->model.vendor = CPU_VENDOR_AMD;
    cpu->arch.gpr[RSI] = (u64)(uintptr_t)a;
    cpu->arch.fpu = (struct fpu_state){.fcw = FCW_INIT, .fip = 0x1234};
    cpu->arch.efer = EFER_FFXSR;
    memset(a, 0xee, FXSAVE_SIZE);
    ck_assert_int_eq(run_ours(&saves[1]), CPU_OK);
    ck_assert_uint_eq(a[FXSAVE_FIP], 0xee);
    ck_assert_uint_eq(a[FXSAVE_XMM], 0xee);
    cpu->arch.fpu.fcw = 0x37e;
    cpu->arch.fpu.fsw = FP_IE | FSW_ES | FSW_B;
    cpu->arch.efer = 0;
    ck_assert_int_eq(run_ours(&saves[1]), CPU_OK);
    ck_assert_uint_eq(load_le64(a + FXSAVE_FIP), 0x1234);
    ck_assert_uint_eq(a[FXSAVE_XMM], cpu->arch.vec[0][0]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("xsave");
    TCase *tc = tcase_create("all");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_loop_test(tc, test_xsave__saves_like_the_host, 0, (int)ARRAY_LEN(saves));
    tcase_add_loop_test(tc, test_xsave__restores_like_the_host, 0, (int)ARRAY_LEN(restores));
    tcase_add_test(tc, test_xsave__init_optimisation);
    tcase_add_test(tc, test_xsave__fault_order);
    tcase_add_test(tc, test_xsave__supervisor);
    tcase_add_test(tc, test_xsave__amd);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
