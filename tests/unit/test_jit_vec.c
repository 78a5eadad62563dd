/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Vector instructions in translated code against the interpreter: random programs of legacy SSE and VEX forms
 * with some integer instructions between them, random MXCSR (unmasked exceptions too), memory aligned or not, with
 * and without fast entries; with the host's AVX and as if it had none. */
#include "sys_rig.h"
#include "unit.h"

#include "abi/x86/fpu.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/fault.h"
#include "jit/emit.h"
#include "jit/jit.h"

#define DATA 0x200000u /* reached by RBX, with R14 as a small index */
#define DATA_BYTES 8192u
#define CODE_AT 0x180000u

static u64 state = 88172645463325252u;

static u64 draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static unsigned below(u64 n)
{
    return (unsigned)(draw() % n);
}

/* Floats that meet rules: small integers, denormals, infinities, NaNs of both kinds. */
static u64 draw_lanes(void)
{
    static const u64 doubles[] = {0, 0x8000000000000000, 0x3ff0000000000000, 0xbff8000000000000, 0x7ff0000000000000,
                                  0xfff8000000000000, 0x7ff4000000000001, 1, 0x7fefffffffffffff, 0x0010000000000000,
                                  0x41e0000000000000, 0x43e0000000000000, 0x4059000000000000};
    static const u32 floats[] = {0, 0x80000000, 0x3f800000, 0xbfc00000, 0x7f800000, 0xffc00000, 0x7fa00001, 1,
                                 0x7f7fffff, 0x00800000, 0x4f000000, 0x42c80000};
    switch (below(5)) {
    case 0: return doubles[below(ARRAY_LEN(doubles))];
    case 1: return floats[below(ARRAY_LEN(floats))] | (u64)floats[below(ARRAY_LEN(floats))] << 32;
    case 2: return draw() & 0x0101ff7f80ff0001;
    case 3: return draw() & 0x3f;
    default: return draw();
    }
}

static struct host_rm draw_rm(void)
{
    i32 disp = (i32)below(4060);
    switch (below(5)) {
    case 0: return rm_mem(H_RBX, disp);
    case 1: return rm_mem(H_RBX, disp & ~31);
    case 2: return rm_index(H_RBX, H_R14, below(4), disp & ~31);
    default: return rm_reg(below(16));
    }
}

/* One vector instruction; many draws are none, or one of another kind. */
static void draw_vec(struct emit *e)
{
    static const u32 prefixes[] = {0, 0x66, 0xf3, 0xf2};
    static const u8 compact[] = {0x10, 0x11, 0x28, 0x29, 0x54, 0x57, 0x58, 0x59, 0x5c, 0x5e, 0x6f, 0x7f,
                                 0x6e, 0x7e, 0xd6, 0x51, 0x5a, 0x5b, 0x2a, 0x2c, 0x2d, 0x2e, 0x2f, 0xc2};
    u32 op;
    bool imm;
    switch (below(6)) {
    case 0: /* floating point and moves, most often met */
    case 1: op = OP_0F(compact[below(sizeof compact)]); break;
    case 2: op = OP_0F(0x50 + below(48)); break;
    case 3: op = OP_0F(below(2) == 0 ? 0xd0 + below(48) : below(2) == 0 ? 0x10 + below(32) : 0xc2 + below(5)); break;
    case 4: op = OP_0F38(below(4) == 0 ? 0x90 + below(64) : below(0x60)); break;
    default: op = OP_0F3A(below(0x24)); break;
    }
    u32 byte = op & 0xff, map = op >> 8;
    bool group = map == 1 && byte >= 0x71 && byte <= 0x73;
    imm = map == 3 || (map == 1 && (group || byte == 0x70 || byte == 0xc2 || (byte >= 0xc4 && byte <= 0xc6)));
    op |= OP_PREFIX(map >= 2 ? 0x66u : prefixes[below(4)]);
    bool vex = below(2) == 0, wide = below(3) == 0;
    unsigned second = below(3) == 0 ? 0 : below(16), reg = group ? below(8) : below(16);
    struct host_rm rm = draw_rm();
    if (vex && below(200) == 0) {
        emit_u8(e, 0xc5); /* VZEROUPPER */
        emit_u8(e, 0xf8);
        emit_u8(e, 0x77);
    } else if (vex) {
        emit_vex(e, op, wide, below(2) == 0, second, reg, rm);
    } else {
        emit_op(e, op, wide ? 8 : 4, reg, rm);
    }
    if (imm) {
        emit_u8(e, (unsigned)draw() & 0xff);
    }
}

/* Are the bytes one instruction that a program should hold: known, and none that moves the pointers? */
static bool is_welcome(const u8 *bytes, size_t size, struct decoder *d)
{
    struct insn in;
    if (decode_insn(d, R.cpu.d.mode_word, bytes, size, &in) != DECODE_OK || in.len != size) {
        return false;
    }
    bool pointer = in.r[0] == RBX || in.r[0] == RSP || in.r[0] == 14;
    return in.exec != exec_unit_fault && !pointer && insn_rows[insn_id(&in)].block == BLOCK_NORMAL;
}

struct program {
    u8 code[512];
    u64 gpr[16], rflags, budget;
    u64 vec[16][4];
    u64 data[DATA_BYTES / 8];
    u32 mxcsr;
    bool cold;
};

static void draw_insn(struct emit *e, struct decoder *d)
{
    for (;;) {
        u8 bytes[16];
        struct emit one = {.at = bytes, .end = bytes + sizeof bytes};
        switch (below(20)) {
        case 0: emit_alu(&one, below(8), 8, below(2), rm_reg(below(3))); break;
        case 1: emit_mov_store(&one, 8, below(3), rm_mem(H_RBX, (i32)below(4088))); break;
        case 2: emit_op(&one, OP_0F(0x40 | below(16)), 8, 1, rm_reg(2)); break;
        case 3: /* LDMXCSR, STMXCSR */
            emit_op(&one, OP_0F(0xae), 4, 2 + below(2), rm_mem(H_RBX, (i32)(8 * below(8))));
            break;
        default: draw_vec(&one); break;
        }
        size_t size = (size_t)(one.at - bytes);
        if (is_welcome(bytes, size, d)) {
            for (size_t i = 0; i < size; i++) {
                emit_u8(e, bytes[i]);
            }
            return;
        }
    }
}

static void draw_program(struct program *p, struct decoder *d)
{
    struct emit e = {.at = p->code, .end = p->code + 480};
    unsigned n = 1 + below(20);
    for (unsigned i = 0; i < n; i++) {
        draw_insn(&e, d);
    }
    if (below(2) == 0) {
        emit_u8(&e, 0x0f);
        emit_u8(&e, 0x80 | below(16));
        emit_u32(&e, below(2) == 0 ? 0u : (u32)(p->code - (e.at + 4)));
    }
    draw_insn(&e, d);
    emit_u8(&e, 0xeb);
    emit_u8(&e, 0xfe);
    for (unsigned i = 0; i < 16; i++) {
        p->gpr[i] = draw_lanes();
    }
    for (unsigned i = 0; i < 64; i++) {
        p->vec[i / 4][i % 4] = draw_lanes();
    }
    for (unsigned i = 0; i < DATA_BYTES / 8; i++) {
        p->data[i] = draw_lanes();
    }
    for (unsigned i = 0; i < 8; i++) {
        p->data[i] = (draw() & 0xffff) | (below(4) != 0 ? MXCSR_MASKS : 0);
    }
    p->gpr[RBX] = DATA;
    p->gpr[14] = 16 * below(4);
    p->gpr[RSP] = AT_STACK;
    p->rflags = draw() & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF);
    p->mxcsr = below(3) == 0 ? MXCSR_INIT : (u32)draw() & 0xffff;
    if (below(8) != 0) {
        p->mxcsr |= MXCSR_MASKS;
    }
    p->budget = 1 + below(60);
    p->cold = below(4) == 0;
}

struct outcome {
    struct cpu_arch arch;
    u8 data[DATA_BYTES];
    u64 used;
};

static void enter_mode(void)
{
    go_long(0);
    R.cpu.arch.cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    R.cpu.arch.xcr0 = 7;
    cpu_update_mode(CPU);
}

static void run_program(const struct program *p, struct outcome *out)
{
    mem_before_ram_write(&R.set, &R.phys, CODE_AT >> PAGE_SHIFT, 0, sizeof p->code);
    phys_write(&R.phys, SPA(CODE_AT), p->code, sizeof p->code);
    phys_write(&R.phys, SPA(DATA), p->data, sizeof p->data);
    R.cpu.arch.ist_count = 0;
    R.cpu.arch.activity = ACTIVITY_RUNNING;
    enter_mode();
    memcpy(R.cpu.arch.gpr, p->gpr, sizeof p->gpr);
    memcpy(R.cpu.arch.vec, p->vec, sizeof p->vec);
    R.cpu.arch.fpu = (struct fpu_state){.fcw = 0x37f};
    R.cpu.arch.mxcsr = p->mxcsr;
    cpu_set_rflags(CPU, p->rflags);
    R.cpu.arch.rip = CODE_AT;
    if (p->cold) {
        tlb_drop_all(CPU);
    }
    R.shutdowns = 0;
    out->used = cpu_run(CPU, p->budget);
    flags_sync(CPU);
    out->arch = R.cpu.arch;
    memcpy(out->data, ram(DATA), DATA_BYTES);
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    return memcmp(a->arch.gpr, b->arch.gpr, sizeof a->arch.gpr) == 0 && a->arch.rip == b->arch.rip &&
           a->arch.rflags == b->arch.rflags && a->arch.cc_res == b->arch.cc_res && a->arch.cc_aux == b->arch.cc_aux &&
           memcmp(a->arch.vec, b->arch.vec, sizeof a->arch.vec) == 0 && a->arch.mxcsr == b->arch.mxcsr &&
           a->arch.ist_count == b->arch.ist_count && a->used == b->used && memcmp(a->data, b->data, DATA_BYTES) == 0;
}

static void show(const struct program *p, const struct outcome *want, const struct outcome *got)
{
    printf("budget %llu: rip %llx %llx flags %llx %llx mxcsr %x: %x %x used %llu %llu data %d\n",
           (unsigned long long)p->budget, (unsigned long long)want->arch.rip, (unsigned long long)got->arch.rip,
           (unsigned long long)want->arch.rflags, (unsigned long long)got->arch.rflags, p->mxcsr, want->arch.mxcsr,
           got->arch.mxcsr, (unsigned long long)want->used, (unsigned long long)got->used,
           memcmp(want->data, got->data, DATA_BYTES));
    printf("%u shutdowns\n", R.shutdowns);
    for (unsigned i = 0; i < 16; i++) {
        if (want->arch.gpr[i] != got->arch.gpr[i]) {
            printf("r%u %llx %llx\n", i, (unsigned long long)want->arch.gpr[i], (unsigned long long)got->arch.gpr[i]);
        }
        for (unsigned k = 0; k < 32; k += 8) {
            u64 a = load_le64(want->arch.vec[i] + k), b = load_le64(got->arch.vec[i] + k);
            if (a != b) {
                printf("ymm%u[%u] %llx %llx\n", i, k, (unsigned long long)a, (unsigned long long)b);
            }
        }
    }
    for (unsigned at = 0; at < 400;) {
        char text[96];
        unsigned len = format_insn(R.cpu.d.mode_word, p->code + at, 16, CODE_AT + at, text, sizeof text);
        printf("%x %s\n", CODE_AT + at, text);
        at += len;
        if (p->code[at - len] == 0xeb) {
            break;
        }
    }
    (void)fflush(stdout);
}

static void compare_programs(unsigned programs, bool hide_avx, u64 bytes)
{
    static struct outcome want, got;
    static struct program p;
    const char *why = NULL;
    rig_start();
    R.code.size = 2048;
    struct jit_config config = {.bytes = bytes, .threshold = 0, .tlb_entries = 64, .hide_avx = hide_avx};
    enter_mode();
    struct jit *j = jit_new(&R.set, &R.code, &R.log, &config, &why);
    ck_assert_msg(j != NULL, "%s", why);
    struct cpu_engine engine = R.cpu.engine;
    for (unsigned n = 0; n < programs; n++) {
        draw_program(&p, R.code.decoder);
        R.cpu.engine = (struct cpu_engine){0};
        run_program(&p, &want);
        R.cpu.engine = engine;
        run_program(&p, &got);
        if (!same(&want, &got)) {
            printf("program %u, ", n);
            show(&p, &want, &got);
        }
        ck_assert(same(&want, &got));
    }
    const struct jit_stats *s = jit_stats(j);
    ck_assert_uint_gt(s->translated, 6ull * programs / 5);
    ck_assert_uint_gt(s->translated, hide_avx ? 1 : 2 * s->helped);
    jit_free(j);
    rig_stop();
}

START_TEST(test_jit_vec__random_programs)
{
    compare_programs(6000, false, MIB(1));
}
END_TEST

START_TEST(test_jit_vec__without_avx)
{
    compare_programs(3000, true, MIB(1));
}
END_TEST

START_TEST(test_jit_vec__small_cache)
{
    compare_programs(2000, false, 256 * 1024);
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit_vec");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_jit_vec__random_programs);
    tcase_add_test(tc, test_jit_vec__without_avx);
    tcase_add_test(tc, test_jit_vec__small_cache);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
