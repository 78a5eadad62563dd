/* SPDX-License-Identifier: GPL-3.0-or-later */
/* System instructions in translated code against the interpreter: random programs at CPL 0 and 3 with SYSCALL, SYSRET, IRETQ,
 * PUSHFQ, POPFQ, STI, CLI, STAC, CLAC, SWAPGS, bases of FS and GS, the TSC, CMPXCHG16B and faults, with events that wait for IF,
 * with what each looks at set otherwise, budgets that end anywhere; on Intel's and AMD's models. */
#include "jit_rig.h"

#define ENTRY (CODE_AT + 0xff0u - 3) /* of system calls: its third instruction lies on two pages */
#define AT_FAULT 0xa000u             /* where all vectors lead */

static struct {
    u64 cr4, efer, sfmask, star, fs, gs, kernel_gs, tsc_offset, first_page;
    bool user, nmi, interrupt, branches;
} S;

static void one(struct emit *e, const char *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        emit_u8(e, (u8)bytes[i]);
    }
}

#define INSN(e, bytes) one(e, bytes, sizeof bytes - 1)

static void draw_flags_word(struct emit *e)
{
    static const u32 flags[] = {0x202, 0x2, 0x40202, 0x40002, 0x602, 0xad7, 0x8d5, 0x3202, 0x302, 0x4002};
    emit_mov_const(e, H_R11, flags[below(ARRAY_LEN(flags) - (below(4) != 0 ? 2 : 0))]);
}

static void draw_access(struct emit *e)
{
    i32 disp = (i32)(16 * below(4));
    if (below(3) == 0) {
        emit_u8(e, below(2) == 0 ? 0x65 : 0x64); /* GS, FS */
        emit_mov_load(e, 8, H_RDX, rm_mem(H_NONE, (i32)DATA + disp));
    } else if (below(2) == 0) {
        emit_mov_load(e, 8, H_RSI, rm_mem(H_RBX, disp));
    } else {
        emit_mov_store(e, 8, H_RDI, rm_mem(H_RBX, disp));
    }
}

static void draw_base(struct emit *e)
{
    emit_u8(e, 0xf3);
    emit_u8(e, 0x48);
    emit_u8(e, 0x0f);
    emit_u8(e, 0xae);
    unsigned write = below(2);
    emit_u8(e, 0xc0 | (2 * write + below(2)) << 3 | (write != 0 ? 5u : below(8) == 3 ? 1u : 6u)); /* RBP has a good one */
}

static void draw_cmpxchg16b(struct emit *e)
{
    if (below(2) == 0) {
        emit_mov_load(e, 8, H_RAX, rm_mem(H_RBX, 32));
        emit_mov_load(e, 8, H_RDX, rm_mem(H_RBX, 40));
    }
    emit_op(e, OP_0F(0xc7), 8, 1, rm_mem(H_RBX, below(8) == 0 ? 8 : 32));
}

/* To behind it, to the start, to no place. */
static void draw_sysret(struct emit *e)
{
    draw_flags_word(e);
    if (below(4) != 0) {
        emit_lea(e, 8, H_RCX, rm_mem(H_NONE, 0));
        e->at -= 5; /* [rip + 3] instead of an absolute address */
        e->at[-1] = 0x0d;
        emit_u32(e, 3);
    } else {
        emit_mov_const(e, H_RCX, below(3) == 0 ? 0x8000000000000000u : CODE_AT);
    }
    INSN(e, "\x48\x0f\x07");
}

static void draw_insn(struct emit *e)
{
    switch (below(26)) {
    case 0:
    case 1: INSN(e, "\x9c"); break; /* PUSHFQ */
    case 2:
        draw_flags_word(e);
        INSN(e, "\x41\x53"); /* push r11 */
        break;
    case 3: INSN(e, "\x9d"); break; /* POPFQ */
    case 4:
    case 5:
        emit_mov_const(e, H_RAX, KDATA);
        INSN(e, "\xfb"); /* STI */
        if (below(3) == 0) {
            INSN(e, "\x8e\xd0"); /* MOV SS: its own shadow ends with STI's */
        }
        break;
    case 6: INSN(e, "\xfa"); break;
    case 7: INSN(e, "\x0f\x01\xcb"); break; /* STAC */
    case 8: INSN(e, "\x0f\x01\xca"); break;
    case 9: INSN(e, "\x0f\x01\xf8"); break; /* SWAPGS */
    case 10: draw_base(e); break;
    case 11: INSN(e, "\x0f\x31"); break; /* RDTSC */
    case 12: INSN(e, "\x0f\x01\xf9"); break; /* RDTSCP */
    case 13:
        if (below(4) != 0) {
            INSN(e, "\x31\xc9"); /* xor ecx, ecx */
        }
        INSN(e, "\x0f\x01\xee"); /* RDPKRU */
        break;
    case 14: draw_cmpxchg16b(e); break;
    case 15: INSN(e, "\x0f\x05"); break; /* SYSCALL */
    case 16:
        draw_sysret(e);
        break;
    case 17:
        if (below(3) == 0) {
            INSN(e, "\x48\xcf"); /* IRETQ: whatever is on the stack */
        }
        break;
    case 18:
    case 19:
    case 20: draw_access(e); break;
    case 21: emit_op(e, OP_0F(0x90 | below(16)), 1, 0, rm_reg(H_RSI)); break;
    case 22: emit_alu(e, below(8), 8, H_RDI, rm_reg(H_RSI)); break;
    case 23: INSN(e, "\x0f\x0b"); break; /* UD2 */
    default: emit_alu(e, below(8), 4, H_R8, rm_reg(H_R9)); break;
    }
}

/* Behind ENTRY: swapgs; nop; mov rcx, imm64 on two pages; then back to level 3 or not. */
static void put_entry(void)
{
    struct emit e = {.at = ram(ENTRY), .end = ram(ENTRY) + 64};
    mem_before_ram_write(&R.set, &R.phys, ENTRY >> PAGE_SHIFT, ENTRY & PAGE_MASK, PAGE_SIZE - (ENTRY & PAGE_MASK));
    mem_before_ram_write(&R.set, &R.phys, (ENTRY >> PAGE_SHIFT) + 1, 0, 64);
    INSN(&e, "\x0f\x01\xf8\x90\x90\x90\x90\x90\x90\x90");
    INSN(&e, "\x48\xba\x11\x22\x33\x44\x55\x66\x77\x08"); /* mov rdx, imm64: its last byte is the next page's */
    INSN(&e, "\x0f\x01\xf8");
    INSN(&e, "\x48\x0f\x07");
}

static void enter(void)
{
    struct cpu_arch *a = &R.cpu.arch;
    go_long(S.user ? 3 : 0);
    store_le64(ram(AT_TABLES + 0x2000), S.first_page);
    tlb_drop_all(CPU);
    for (unsigned v = 0; v < 256; v++) {
        gate64(v, KCODE64, AT_FAULT, SYS_INT, 3, 0);
    }
    store_le32(ram(AT_FAULT), 0xfeeb90); /* nop; jmp . */
    put_entry();
    a->cr4 |= S.cr4 | CR4_OSFXSR;
    a->efer = S.efer | EFER_LMA | EFER_LME;
    a->star = S.star;
    a->lstar = ENTRY;
    a->sfmask = S.sfmask;
    a->seg[SEG_FS].base = S.fs;
    a->seg[SEG_GS].base = S.gs;
    a->kernel_gs_base = S.kernel_gs;
    a->tsc_offset = S.tsc_offset;
    a->tsc_aux = 77;
    a->pkru = 0;
    a->dr6 = 0xffff0ff0;
    a->pending_db = 0;
    a->int_shadow_sti = a->int_shadow_movss = a->rep_partial = false;
    a->nmi_pending = S.nmi;
    a->nmi_blocked = false;
    apic_reset(R.cpu.apic, false);
    apic_mmio_write(R.cpu.apic, 0xf0, 0x1ff, 4);
    if (S.interrupt) {
        apic_mmio_write(R.cpu.apic, 0x300, 0x44051, 4); /* to itself */
    }
    R.clock.running = cpu_slice_counts;
    R.clock.running_cpu = CPU;
    R.clock.position = 1000;
    cpu_update_mode(CPU);
    cpu_kick(CPU);
}

static u64 often(u64 bits)
{
    return below(6) != 0 ? bits : 0;
}

static void draw_system(struct program *p)
{
    S.user = below(3) == 0;
    S.cr4 = often(CR4_FSGSBASE) | (below(3) == 0 ? CR4_SMAP : 0u) | (below(3) == 0 ? CR4_TSD : 0u) | often(CR4_PKE);
    S.efer = often(EFER_SCE);
    S.sfmask = below(3) == 0 ? draw() & 0x3f7fd7 : 0x47700;
    S.star = (u64)KCODE64 << 32 | (u64)(UCODE64 - 16 - 3) << 48;
    S.fs = 16 * below(4);
    S.gs = below(10) == 0 ? DATA : 16 * below(4);
    S.kernel_gs = 16 * below(4);
    S.tsc_offset = below(2) == 0 ? draw() : 0;
    S.first_page = S.user || below(3) != 0 ? 0x87 : 0x83;
    if (S.first_page == 0x87) {
        S.cr4 &= ~(u64)CR4_SMAP; /* tables and stack are everybody's */
    }
    S.nmi = below(16) == 0;
    S.interrupt = below(4) == 0;
    p->gpr[RBP] = below(6) == 0 ? draw() : 8 * below(8);
    p->gpr[11] = 0x202;
    p->gpr[RCX] = CODE_AT;
    p->rflags |= (below(2) == 0 ? RFLAGS_IF : 0u) | (below(3) == 0 ? RFLAGS_AC : 0u) | (below(40) == 0 ? RFLAGS_TF : 0u);
}

static struct jit_stats compare(const char *model, unsigned programs, const struct jit_config *config)
{
    const struct jit_trial t = {.model = model, .config = *config, .enter = enter, .insn = draw_insn, .value = draw,
                                .state = draw_system, .most_insns = 24, .most_budget = 60};
    struct jit_stats s = compare_programs(&t, programs);
    ck_assert_uint_gt(s.translated, programs);
    return s;
}

START_TEST(test_jit_system__intel)
{
    struct jit_stats with = compare("max", 30000, &(struct jit_config){0});
    struct jit_stats without = compare("max", 6000, &(struct jit_config){.without = JIT_SYSTEM});
    ck_assert_uint_lt(with.helped * 6000, without.helped * 30000);
}
END_TEST

START_TEST(test_jit_system__amd)
{
    (void)compare("amd", 30000, &(struct jit_config){0});
}
END_TEST

START_TEST(test_jit_system__narrow_host)
{
    (void)compare("max", 6000, &(struct jit_config){.hide_avx = true, .without = JIT_GROUPS});
}
END_TEST

/* A store by the processor. */
static void store_word(u64 at, u64 value)
{
    ck_assert_int_eq(lin_write(CPU, at, 8, value), CPU_OK);
}

/* An instruction on two pages is what the second page holds now: mapped to another frame, written to, not there. */
static u64 run_on_two_pages(unsigned *vector)
{
    R.cpu.arch.gpr[RAX] = 0;
    R.cpu.arch.cr2 = 0;
    R.cpu.arch.rip = DATA + 0xff0;
    (void)cpu_run(CPU, 40);
    *vector = R.cpu.arch.cr2 == DATA + PAGE_SIZE ? VEC_PF : 0;
    return R.cpu.arch.gpr[RAX];
}

START_TEST(test_jit_system__two_pages)
{
    enum { TABLE = 0x110000, FIRST = 0x190000, SECOND = 0x191000, OTHER = 0x192000 };
    const char *why = NULL;
    unsigned vector;
    rig_start();
    go_long(0);
    struct jit_config config = {.bytes = MIB(1), .threshold = 0, .tlb_entries = 64};
    struct jit *j = jit_new(&R.set, &R.code, &R.log, &config, &why);
    ck_assert_msg(j != NULL, "%s", why);
    gate64(VEC_PF, KCODE64, AT_FAULT, SYS_INT, 0, 0);
    store_le32(ram(AT_FAULT), 0xfeeb90);
    store_le64(ram(TABLE), FIRST | 7);
    store_le64(ram(TABLE + 8), SECOND | 7);
    store_le64(ram(AT_TABLES + 0x2008), TABLE | 7);
    tlb_drop_all(CPU);
    /* jmp $+12; at ffe: mov eax, imm32 on both pages; jmp to itself */
    memcpy(ram(FIRST + 0xff0), "\xeb\x0c", 2);
    memcpy(ram(FIRST + 0xffe), "\xb8\x11", 2);
    memcpy(ram(SECOND), "\x11\x11\x11\xeb\xfe", 5);
    memcpy(ram(OTHER), "\x22\x22\x22\xeb\xfe", 5);
    for (unsigned turn = 0; turn < 3; turn++) {
        ck_assert_uint_eq(run_on_two_pages(&vector), 0x11111111);
        store_word(TABLE + 8, OTHER | 7);
        ck_assert_uint_eq(run_on_two_pages(&vector), 0x22222211);
        store_word(OTHER, 0xfeeb333333);
        ck_assert_uint_eq(run_on_two_pages(&vector), 0x33333311);
        store_word(OTHER, 0xfeeb222222);
        store_word(TABLE + 8, OTHER | 6);
        ck_assert_uint_eq(run_on_two_pages(&vector), 0);
        ck_assert_uint_eq(vector, VEC_PF);
        store_word(TABLE + 8, SECOND | 7);
    }
    ck_assert_uint_gt(jit_stats(j)->translated, 9 * 30);
    jit_free(j);
    rig_stop();
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit_system");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_jit_system__intel);
    tcase_add_test(tc, test_jit_system__amd);
    tcase_add_test(tc, test_jit_system__narrow_host);
    tcase_add_test(tc, test_jit_system__two_pages);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
