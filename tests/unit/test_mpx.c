/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MPX in both engines: bounds made, checked, moved, kept in tables; branches that forget them; NOPs where it is not
 * enabled; XSAVE, IA32_BNDCFGS, VMX. [SDM1 "Intel Memory Protection Extensions"] */
#include "vmx_rig.h"
#include "unit.h"

#include "base/state.h"
#include "jit/jit.h"

enum { DIRECTORY = 0x70000, TABLE = 0x200000, SLOT = 0x60000, AT_AREA = 0x90000 };

static struct jit *jit;
static unsigned engine; /* 1: translated code */

static void start_mpx(bool wide, unsigned cpl)
{
    struct error err = {0};
    const char *why = NULL;
    rig_start();
    ck_assert_msg(cpu_model_parse(&R.model, "max,+mpx", &err), "%s", err.text);
    code_cache_free(&R.code);
    ck_assert(code_cache_init(&R.code, &R.model, MIB(1)));
    cpu_reset(CPU, CPU_RESET_POWER);
    jit = NULL;
    if (engine == 1) {
        struct jit_config config = {.bytes = MIB(1), .threshold = 0, .tlb_entries = 64};
        jit = jit_new(&R.set, &R.code, &R.log, &config, &why);
        ck_assert_msg(jit != NULL, "%s", why);
    }
    if (wide) {
        go_long(cpl);
    } else {
        go_protected(cpl);
    }
    for (unsigned v = 0; v < 32; v++) {
        u64 to = AT_HANDLER + 16 * v;
        store_le16(ram(to), 0xfeeb);
        if (wide) {
            gate64(v, KCODE64, to, SYS_INT, 0, 0);
        } else {
            gate32(v, KCODE, (u32)to, SYS_INT, 0);
        }
    }
    struct cpu_arch *a = &R.cpu.arch;
    a->cr4 |= CR4_OSXSAVE | CR4_OSFXSR;
    a->xcr0 = XCR0_X87 | XCR0_SSE | XCR0_MPX;
    a->mpx.cfgs = a->mpx.cfgu = DIRECTORY | BNDCFG_EN;
    cpu_update_mode(CPU);
}

static void stop_mpx(void)
{
    if (jit != NULL) {
        jit_free(jit);
    }
    rig_stop();
}

/* Run these bytes: the vector that ended them, or -1. What follows them is a short JMP to itself. */
static int run_bytes(const char *bytes, size_t n)
{
    u8 code[32];
    memcpy(code, bytes, n);
    store_le16(code + n, 0xfeeb);
    R.cpu.arch.rip = AT_CODE;
    R.cpu.arch.mpx.status = 0x55;
    mem_before_ram_write(&R.set, &R.phys, AT_CODE >> PAGE_SHIFT, 0, sizeof code);
    phys_write(&R.phys, SPA(AT_CODE), code, n + 2);
    cpu_update_mode(CPU);
    (void)cpu_run(CPU, 20);
    u64 rip = R.cpu.arch.rip;
    if (rip >= AT_HANDLER && rip < AT_HANDLER + 512) {
        return (int)(rip - AT_HANDLER) / 16;
    }
    ck_assert_uint_eq(rip, AT_CODE + n);
    return -1;
}
#define RUN(bytes) run_bytes(bytes, sizeof bytes - 1)

static void set_bound(unsigned n, u64 lower, u64 upper)
{
    R.cpu.arch.mpx.bnd[n][0] = lower;
    R.cpu.arch.mpx.bnd[n][1] = upper;
}

static void expect_bound(unsigned n, u64 lower, u64 upper)
{
    ck_assert_uint_eq(R.cpu.arch.mpx.bnd[n][0], lower);
    ck_assert_uint_eq(R.cpu.arch.mpx.bnd[n][1], upper);
}

/* A check of RDX against BND1. */
static void check(const char *bytes, size_t n, u64 pointer, bool passes)
{
    start_mpx(true, 0);
    set_bound(1, 0x1000, ~(u64)0x1fff);
    if (n > 2 && bytes[0] == '\xf2' && bytes[2] == '\x1b') {
        set_bound(1, 0x1000, 0x1fff); /* BNDCN: not in one's complement */
    }
    R.cpu.arch.gpr[RDX] = pointer;
    ck_assert_int_eq(run_bytes(bytes, n), passes ? -1 : VEC_BR);
    ck_assert_uint_eq(R.cpu.arch.mpx.status, passes ? 0x55 : 1);
    stop_mpx();
}
#define CHECKS(bytes, pointer, passes) check(bytes, sizeof bytes - 1, pointer, passes)

START_TEST(test_mpx__make_and_check)
{
    engine = (unsigned)_i;
    start_mpx(true, 0);
    R.cpu.arch.gpr[RAX] = 0x123456789000;
    R.cpu.arch.gpr[RCX] = 0x20;
    ck_assert_int_eq(RUN("\xf3\x0f\x1b\x4c\x08\x10"), -1); /* BNDMK BND1, [RAX + RCX + 16] */
    expect_bound(1, 0x123456789000, ~(u64)0x123456789030);
    ck_assert_int_eq(RUN("\xf3\x0f\x1b\x14\x0d\x08\x00\x00\x00"), -1); /* no base: lower bound 0 */
    expect_bound(2, 0, ~(u64)0x28);
    ck_assert_int_eq(RUN("\xf3\x0f\x1b\x0d\x00\x00\x00\x00"), VEC_UD); /* RIP-relative */
    R.cpu.arch.gpr[RSP] = AT_STACK;
    ck_assert_int_eq(RUN("\xf3\x0f\x1b\xc8"), -1); /* between registers: NOP */
    expect_bound(1, 0x123456789000, ~(u64)0x123456789030);
    ck_assert_int_eq(RUN("\xf3\x0f\x1a\xe2"), VEC_UD); /* BND4 */
    stop_mpx();
    CHECKS("\xf3\x0f\x1a\xca", 0x1000, true);
    CHECKS("\xf3\x0f\x1a\xca", 0xfff, false);
    CHECKS("\xf3\x0f\x1a\x4a\xff", 0x1001, true); /* memory: its address */
    CHECKS("\xf3\x0f\x1a\x4a\xff", 0x1000, false);
    CHECKS("\xf2\x0f\x1a\xca", 0x1fff, true);
    CHECKS("\xf2\x0f\x1a\xca", 0x2000, false);
    CHECKS("\xf2\x0f\x1b\xca", 0x1fff, true);
    CHECKS("\xf2\x0f\x1b\xca", 0x2000, false);
    /* INIT bounds let everything through. */
    start_mpx(true, 0);
    R.cpu.arch.gpr[RDX] = ~(u64)0;
    ck_assert_int_eq(RUN("\xf3\x0f\x1a\xca\xf2\x0f\x1a\xca"), -1);
    stop_mpx();
    /* 32 bits: bounds and pointers of 32. */
    start_mpx(false, 0);
    R.cpu.arch.gpr[RAX] = 0xfffffff0;
    ck_assert_int_eq(RUN("\xf3\x0f\x1b\x48\x08"), -1);
    expect_bound(1, 0xfffffff0, 7);
    R.cpu.arch.gpr[RDX] = 0xfffffff9;
    ck_assert_int_eq(RUN("\xf2\x0f\x1a\xca"), VEC_BR);
    R.cpu.arch.gpr[RSP] = AT_STACK;
    ck_assert_int_eq(RUN("\x67\xf3\x0f\x1b\x4f\x08"), VEC_UD); /* 16-bit address */
    stop_mpx();
}
END_TEST

/* Not enabled by XCR0, CR4 or the level's BNDCFG: NOPs, BND4 among them, and branches leave the bounds alone. */
START_TEST(test_mpx__not_enabled)
{
    engine = (unsigned)_i;
    for (unsigned how = 0; how < 4; how++) {
        start_mpx(true, how == 3 ? 3 : 0);
        struct cpu_arch *a = &R.cpu.arch;
        a->xcr0 = how == 0 ? XCR0_X87 | XCR0_SSE : a->xcr0;
        a->cr4 &= how == 1 ? ~(u64)CR4_OSXSAVE : ~(u64)0;
        a->mpx.cfgs &= how == 2 ? ~(u64)BNDCFG_EN : ~(u64)0;
        a->mpx.cfgu &= how == 3 ? ~(u64)BNDCFG_EN : ~(u64)0;
        set_bound(1, 5, 6);
        ck_assert_int_eq(RUN("\xf3\x0f\x1b\x4c\x08\x10\xf3\x0f\x1a\xca\xf3\x0f\x1a\xe2\x0f\x1a\x0c\x08"), -1);
        ck_assert_int_eq(RUN("\xe9\x00\x00\x00\x00"), -1);
        expect_bound(1, 5, 6);
        ck_assert_uint_eq(a->mpx.status, 0x55);
        stop_mpx();
    }
}
END_TEST

START_TEST(test_mpx__move)
{
    engine = (unsigned)_i;
    start_mpx(true, 0);
    set_bound(1, 0x1111222233334444, 0x5555666677778888);
    R.cpu.arch.gpr[RAX] = SLOT;
    ck_assert_int_eq(RUN("\x66\x0f\x1b\x08\x66\x0f\x1a\x10\x66\x0f\x1a\xda"), -1); /* to memory, BND2, BND3 */
    ck_assert_uint_eq(load_le64(ram(SLOT)), 0x1111222233334444);
    ck_assert_uint_eq(load_le64(ram(SLOT + 8)), 0x5555666677778888);
    expect_bound(2, 0x1111222233334444, 0x5555666677778888);
    expect_bound(3, 0x1111222233334444, 0x5555666677778888);
    R.cpu.arch.gpr[RAX] = 0x40000000;
    ck_assert_int_eq(RUN("\x66\x0f\x1a\x08"), VEC_PF);
    expect_bound(1, 0x1111222233334444, 0x5555666677778888);
    stop_mpx();
    start_mpx(false, 0);
    store_le32(ram(SLOT), 7);
    store_le32(ram(SLOT + 4), 8);
    R.cpu.arch.gpr[RAX] = SLOT;
    set_bound(2, ~(u64)0, ~(u64)0);
    ck_assert_int_eq(RUN("\x66\x0f\x1a\x10"), -1);
    expect_bound(2, 7, 8);
    stop_mpx();
}
END_TEST

/* [SDM1 "Bound Directory and Bound Tables"] */
START_TEST(test_mpx__tables)
{
    engine = (unsigned)_i;
    start_mpx(true, 0);
    u64 entry = TABLE + ((SLOT >> 3 & 0x1ffff) << 5);
    store_le64(ram(DIRECTORY), TABLE | 1);
    R.cpu.arch.gpr[RAX] = SLOT - 8;
    R.cpu.arch.gpr[RCX] = 0x123456;
    set_bound(1, 11, 22);
    ck_assert_int_eq(RUN("\x0f\x1b\x4c\x08\x08\x0f\x1a\x54\x08\x08"), -1); /* BNDSTX [RAX + 8], RCX: then BNDLDX BND2 */
    ck_assert_uint_eq(load_le64(ram(entry)), 11);
    ck_assert_uint_eq(load_le64(ram(entry + 8)), 22);
    ck_assert_uint_eq(load_le64(ram(entry + 16)), 0x123456);
    expect_bound(2, 11, 22);
    R.cpu.arch.gpr[RCX]++; /* another pointer: INIT */
    ck_assert_int_eq(RUN("\x0f\x1a\x54\x08\x08"), -1);
    expect_bound(2, 0, 0);
    R.cpu.arch.gpr[RAX] = MIB(3); /* the entry for 3 MiB is not valid */
    set_bound(2, 1, 2);
    ck_assert_int_eq(RUN("\x0f\x1a\x54\x08\x08"), VEC_BR);
    ck_assert_uint_eq(R.cpu.arch.mpx.status, DIRECTORY + 3 * 8 + 2);
    expect_bound(2, 1, 2);
    R.cpu.arch.gpr[RSP] = AT_STACK;
    ck_assert_int_eq(RUN("\x0f\x1b\x4c\x08\x08"), VEC_BR);
    R.cpu.arch.gpr[RSP] = AT_STACK;
    ck_assert_int_eq(RUN("\x0f\x1a\xd0"), -1); /* between registers: NOP */
    stop_mpx();
    start_mpx(false, 0);
    entry = TABLE + ((SLOT + 4) >> 2 & 0x3ff) * 16;
    store_le32(ram(DIRECTORY + (SLOT >> 12) * 4), TABLE | 1);
    R.cpu.arch.gpr[RAX] = SLOT;
    R.cpu.arch.gpr[RCX] = 0x123456;
    set_bound(1, 11, 22);
    ck_assert_int_eq(RUN("\x0f\x1b\x4c\x08\x04\x0f\x1a\x54\x08\x04"), -1);
    ck_assert_uint_eq(load_le32(ram(entry)), 11);
    ck_assert_uint_eq(load_le32(ram(entry + 4)), 22);
    ck_assert_uint_eq(load_le32(ram(entry + 8)), 0x123456);
    expect_bound(2, 11, 22);
    stop_mpx();
}
END_TEST

/* [SDM1 "CALL, RET, JMP and All Jcc"] */
START_TEST(test_mpx__branches)
{
    static const struct {
        const char *bytes;
        u8 len;
        bool resets, prefix; /* may have a BND prefix */
    } rows[] = {
        {"\xe8\x00\x00\x00\x00", 5, true, true},
        {"\xff\xd0", 2, true, true},
        {"\xe9\x00\x00\x00\x00", 5, true, true},
        {"\xff\xe0", 2, true, true},
        {"\xc3", 1, true, true},
        {"\xc2\x08\x00", 3, true, true},
        {"\x74\x00", 2, true, true}, /* taken: ZF is set */
        {"\x75\x00", 2, true, true},
        {"\x0f\x84\x00\x00\x00\x00", 6, true, true},
        {"\xeb\x00", 2, false, true},
        {"\xe3\x00", 2, false, false},
        {"\xe2\x00", 2, false, false},
        {"\x90", 1, false, false},
    };
    engine = (unsigned)_i;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        for (unsigned how = 0; how < 6; how++) {
            bool wide = how < 4, preserve = (how & 1) != 0, prefix = how == 2 || how == 3 || how == 5;
            char bytes[8] = "\xf2";
            start_mpx(wide, 0);
            struct cpu_arch *a = &R.cpu.arch;
            a->mpx.cfgs |= preserve ? BNDCFG_PRESERVE : 0u;
            if (how >= 4) {
                a->mpx.cfgs &= ~(u64)BNDCFG_PRESERVE;
                preserve = false;
            }
            if (prefix && !rows[i].prefix) {
                stop_mpx();
                continue;
            }
            memcpy(bytes + prefix, rows[i].bytes, rows[i].len);
            size_t n = rows[i].len + (prefix ? 1u : 0u);
            set_bound(0, 1, 2);
            set_bound(3, 3, 4);
            a->gpr[RAX] = AT_CODE + n;
            a->gpr[RCX] = 1;
            cpu_set_rflags(CPU, RFLAGS_ZF);
            if (wide) {
                store_le64(ram(AT_STACK), AT_CODE + n);
            } else {
                store_le32(ram(AT_STACK), (u32)(AT_CODE + n));
            }
            ck_assert_int_eq(run_bytes(bytes, n), -1);
            bool reset = rows[i].resets && !preserve && !prefix;
            expect_bound(0, reset ? 0 : 1, reset ? 0 : 2);
            expect_bound(3, reset ? 0 : 3, reset ? 0 : 4);
            stop_mpx();
        }
    }
}
END_TEST

/* BOUND's #BR is told from MPX's. */
START_TEST(test_mpx__bound)
{
    engine = (unsigned)_i;
    start_mpx(false, 0);
    store_le32(ram(SLOT), 5);
    store_le32(ram(SLOT + 4), 6);
    R.cpu.arch.gpr[RAX] = 7;
    ck_assert_int_eq(RUN("\x62\x05\x00\x00\x06\x00"), VEC_BR);
    ck_assert_uint_eq(R.cpu.arch.mpx.status, 0);
    stop_mpx();
}
END_TEST

/* Components 3 and 4, XCR0's two bits together, IA32_BNDCFGS. */
START_TEST(test_mpx__registers)
{
    u64 value = 0;
    engine = (unsigned)_i;
    start_mpx(true, 0);
    struct cpu_arch *a = &R.cpu.arch;
    ck_assert_uint_eq(cpuid_lookup(CPU, 7, 0).ebx & BIT32(14), BIT32(14));
    ck_assert_uint_eq(cpuid_lookup(CPU, 0xd, 3).eax, 64);
    ck_assert_uint_eq(cpuid_lookup(CPU, 0xd, 3).ebx, 960);
    ck_assert_uint_eq(cpuid_lookup(CPU, 0xd, 4).ebx, 1024);
    ck_assert_uint_eq(cpuid_lookup(CPU, 0xd, 0).ebx, 1088);
    ck_assert_uint_eq(cpuid_lookup(CPU, 0xd, 1).ebx, 576 + 128);
    for (u32 bits = 0; bits < 4; bits++) {
        a->gpr[RAX] = 7 | bits << 3;
        a->gpr[RCX] = a->gpr[RDX] = 0;
        ck_assert_int_eq(RUN("\x0f\x01\xd1"), bits == 0 || bits == 3 ? -1 : VEC_GP);
        a->gpr[RSP] = AT_STACK;
    }
    ck_assert_int_eq(msr_write(CPU, MSR_IA32_BNDCFGS, 0x12345003), CPU_OK);
    ck_assert_int_eq(msr_read(CPU, MSR_IA32_BNDCFGS, &value), CPU_OK);
    ck_assert_uint_eq(value, 0x12345003);
    expect_fault(msr_write(CPU, MSR_IA32_BNDCFGS, 4), VEC_GP, 0);
    expect_fault(msr_write(CPU, MSR_IA32_BNDCFGS, BIT(62)), VEC_GP, 0);
    R.cpu.event.kind = EVENT_NONE;
    set_bound(3, 77, 88);
    a->mpx.cfgu = 0x3000 | BNDCFG_EN;
    a->gpr[RAX] = XCR0_MPX;
    a->gpr[RDX] = 0;
    a->gpr[RDI] = AT_AREA;
    memset(ram(AT_AREA), 0xcc, 1088);
    memset(ram(AT_AREA + 512), 0, 64);
    ck_assert_int_eq(RUN("\x0f\xae\x27"), -1); /* XSAVE [RDI] */
    ck_assert_uint_eq(load_le64(ram(AT_AREA + 512)), XCR0_MPX);
    ck_assert_uint_eq(load_le64(ram(AT_AREA + 960 + 48)), 77);
    ck_assert_uint_eq(load_le64(ram(AT_AREA + 960 + 56)), 88);
    ck_assert_uint_eq(load_le64(ram(AT_AREA + 1024)), 0x3000 | BNDCFG_EN);
    ck_assert_uint_eq(load_le64(ram(AT_AREA + 1032)), 0x55);
    ck_assert_uint_eq(load_le64(ram(AT_AREA + 1040)), 0xcccccccccccccccc);
    set_bound(3, 0, 0);
    a->mpx.cfgu = 0;
    ck_assert_int_eq(RUN("\x0f\xae\x2f"), -1); /* XRSTOR [RDI] */
    expect_bound(3, 77, 88);
    ck_assert_uint_eq(a->mpx.cfgu, 0x3000 | BNDCFG_EN);
    store_le64(ram(AT_AREA + 512), 0);
    ck_assert_int_eq(RUN("\x0f\xae\x2f"), -1); /* INIT */
    expect_bound(3, 0, 0);
    ck_assert_uint_eq(a->mpx.cfgu | a->mpx.status, 0);
    /* All of it survives being saved. */
    set_bound(1, 5, 6);
    struct state_io save, load;
    state_init_save(&save);
    cpu_state(CPU, &save);
    set_bound(1, 0, 0);
    a->mpx.cfgs = 0;
    state_init_load(&load, save.data, save.len);
    cpu_state(CPU, &load);
    ck_assert(!load.failed);
    expect_bound(1, 5, 6);
    ck_assert_uint_eq(a->mpx.cfgs, 0x12345003);
    state_free(&save);
    stop_mpx();
}
END_TEST

/* "Load IA32_BNDCFGS" and "clear IA32_BNDCFGS"; the field is saved wherever the first can be. */
START_TEST(test_mpx__vmx)
{
    struct error err = {0};
    for (unsigned clear = 0; clear < 2; clear++) {
        start(LONG);
        put(VMCS_GUEST_BNDCFGS, 0x5003);
        put(VMCS_EXIT_CONTROLS, get(VMCS_EXIT_CONTROLS) | (clear != 0 ? EXITC_CLEAR_BNDCFGS : 0u));
        ck_assert_int_eq(launch(), CPU_OK);
        ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
        ck_assert_uint_eq(R.cpu.arch.mpx.cfgs, 0x5003);
        R.cpu.arch.mpx.cfgs = 0x6001;
        vmx_exit_now(CPU, EXIT_CPUID, 0, "test");
        ck_assert_uint_eq(get(VMCS_GUEST_BNDCFGS), 0x6001);
        ck_assert_uint_eq(R.cpu.arch.mpx.cfgs, clear != 0 ? 0 : 0x6001);
        stop();
    }
    static const struct {
        const char *model;
        bool exists;
    } rows[] = {{"intel", false}, {"intel,+mpx", true}, {"intel,+mpx,-vmx-exit-clear-bndcfgs", true},
                {"intel,+mpx,-vmx-entry-load-bndcfgs", true},
                {"intel,+mpx,-vmx-entry-load-bndcfgs,-vmx-exit-clear-bndcfgs", false}};
    rig_start();
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        ck_assert_msg(cpu_model_parse(&R.model, rows[i].model, &err), "%s", err.text);
        vmcs_init(CPU);
        ck_assert_int_eq(vmcs_field_exists(CPU, VMCS_GUEST_BNDCFGS), rows[i].exists);
    }
    rig_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mpx");
    TCase *tc = tcase_create("mpx");
#if defined(__x86_64__)
    int engines = 2;
#else
    int engines = 1;
#endif
    tcase_add_loop_test(tc, test_mpx__make_and_check, 0, engines);
    tcase_add_loop_test(tc, test_mpx__not_enabled, 0, engines);
    tcase_add_loop_test(tc, test_mpx__move, 0, engines);
    tcase_add_loop_test(tc, test_mpx__tables, 0, engines);
    tcase_add_loop_test(tc, test_mpx__branches, 0, engines);
    tcase_add_loop_test(tc, test_mpx__bound, 0, engines);
    tcase_add_loop_test(tc, test_mpx__registers, 0, engines);
    tcase_add_test(tc, test_mpx__vmx);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
