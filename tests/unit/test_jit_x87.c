/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87 instructions in translated code against the interpreter: random programs of D8 to DF with some MMX and vector
 * instructions and integer instructions between them, random control words (unmasked exceptions too), stacks full and
 * empty, memory with and without fast entries; on Intel's and AMD's models, as their pointers differ. */
#include "sys_rig.h"

#include "abi/x86/fpu.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/fault.h"
#include "cpu/exec/x87.h"
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

static u64 draw_number(void)
{
    static const u64 doubles[] = {0, 0x8000000000000000, 0x3ff0000000000000, 0xbff8000000000000, 0x7ff0000000000000,
                                  0xfff8000000000000, 0x7ff4000000000001, 1, 0x7fefffffffffffff, 0x0010000000000000,
                                  0x41e0000000000000, 0x43e0000000000000, 0x4059000000000000};
    switch (below(4)) {
    case 0: return doubles[below(ARRAY_LEN(doubles))];
    case 1: return draw() & 0x3f;
    case 2: return (draw() & 0x800fffffffffffff) | (u64)(1000 + below(50)) << 52;
    default: return draw();
    }
}

static struct f80 draw_f80(void)
{
    static const u16 exponents[] = {0, 1, 0x3ffe, 0x3fff, 0x4000, 0x403e, 0x7ffe, 0x7fff};
    struct f80 v = {.mant = draw_number() | (below(8) != 0 ? (u64)1 << 63 : 0)};
    v.se = (u16)(exponents[below(ARRAY_LEN(exponents))] | (draw() & 0x8000));
    if (below(2) == 0) {
        v.se = (u16)(0x3fff - 20 + below(40));
    }
    if (below(10) == 0) {
        v = (struct f80){.mant = below(2) == 0 ? 0 : 0x8000000000000000, .se = below(2) == 0 ? 0 : 0x7fff};
    }
    return v;
}

static struct host_rm draw_mem(void)
{
    i32 disp = (i32)below(4060);
    return below(3) == 0 ? rm_index(H_RBX, H_R14, below(4), disp) : rm_mem(H_RBX, disp & ~7);
}

static void draw_one(struct emit *e)
{
    switch (below(24)) {
    case 0: emit_alu(e, below(8), 8, below(2), rm_reg(below(3))); break;
    case 1: emit_mov_store(e, 8, below(3), draw_mem()); break;
    case 2: emit_op(e, OP_0F(0x40 | below(16)), 8, 1, rm_reg(2)); break;
    case 3: emit_op(e, OP_0F(0x58) | OP_PREFIX(0xf2), 4, below(16), rm_reg(below(16))); break; /* ADDSD */
    case 4: /* MMX */
        emit_op(e, OP_0F(below(4) == 0 ? 0x77 : 0xfd), 4, below(8), rm_reg(below(8)));
        break;
    case 5:
        if (below(3) == 0) {
            emit_u8(e, 0x9b); /* FWAIT */
        } else {
            emit_op(e, OP(0xd9), 4, 5, rm_mem(H_RBX, (i32)(8 * below(8)))); /* FLDCW */
        }
        break;
    case 6: emit_op(e, OP(0xd9), 4, 6 + below(2), draw_mem()); break; /* FNSTENV, FNSTCW */
    case 7: emit_op(e, OP(0xdd), 4, 4 + below(4), draw_mem()); break; /* FRSTOR, FNSAVE, FNSTSW */
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13: emit_op(e, OP(0xd8 + below(8)), 4, below(8), draw_mem()); break;
    case 14:
    case 15: /* loads */
        emit_op(e, OP(0xd9 + 2 * below(4)), 4, 0, draw_mem());
        break;
    default:
        emit_u8(e, 0xd8 + below(8));
        emit_u8(e, 0xc0 + below(64));
        break;
    }
}

static bool is_welcome(const u8 *bytes, size_t size, struct decoder *d)
{
    struct insn in;
    if (decode_insn(d, R.cpu.d.mode_word, bytes, size, &in) != DECODE_OK || in.len != size) {
        return false;
    }
    bool pointer = in.r[0] == RBX || in.r[0] == RSP || in.r[0] == 14;
    return !pointer && insn_rows[insn_id(&in)].block == BLOCK_NORMAL;
}

struct program {
    u8 code[512];
    u64 gpr[16], rflags, budget;
    u64 data[DATA_BYTES / 8];
    struct fpu_state fpu;
    bool cold;
};

static void draw_insn(struct emit *e, struct decoder *d)
{
    for (;;) {
        u8 bytes[16];
        struct emit one = {.at = bytes, .end = bytes + sizeof bytes};
        draw_one(&one);
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
        p->gpr[i] = draw_number();
    }
    for (unsigned i = 0; i < DATA_BYTES / 8; i++) {
        p->data[i] = draw_number();
    }
    for (unsigned i = 0; i < 8; i++) {
        p->data[i] = (draw() & 0xffff) | (below(4) != 0 ? FP_ALL : 0);
    }
    memset(&p->fpu, 0, sizeof p->fpu);
    for (unsigned i = 0; i < 8; i++) {
        p->fpu.r[i] = draw_f80();
    }
    p->fpu.fcw = (u16)((draw() & (FCW_VALID & ~FP_ALL)) | FCW_ONE | (below(8) == 0 ? draw() & FP_ALL : FP_ALL));
    p->fpu.fsw = (u16)(draw() & (FP_ALL | FSW_SF | FSW_CC | FSW_TOP));
    p->fpu.tags = (u8)(below(2) == 0 ? draw() : below(2) == 0 ? 0 : 0xff);
    p->fpu.fcs = below(8) == 0 ? 8 : 0;
    x87_update_es(&p->fpu);
    p->gpr[RBX] = DATA;
    p->gpr[14] = 16 * below(4);
    p->gpr[RSP] = AT_STACK;
    p->rflags = draw() & (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF);
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
    R.cpu.arch.cr0 |= CR0_NE | CR0_MP;
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
    R.cpu.arch.fpu = p->fpu;
    cpu_update_mode(CPU);
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

static bool same_fpu(const struct fpu_state *a, const struct fpu_state *b)
{
    bool equal = a->fcw == b->fcw && a->fsw == b->fsw && a->tags == b->tags && a->fop == b->fop && a->fip == b->fip &&
                 a->fdp == b->fdp && a->fcs == b->fcs && a->fds == b->fds;
    for (unsigned i = 0; i < 8; i++) {
        equal = equal && a->r[i].mant == b->r[i].mant && a->r[i].se == b->r[i].se;
    }
    return equal;
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    return memcmp(a->arch.gpr, b->arch.gpr, sizeof a->arch.gpr) == 0 && a->arch.rip == b->arch.rip &&
           a->arch.rflags == b->arch.rflags && a->arch.cc_res == b->arch.cc_res && a->arch.cc_aux == b->arch.cc_aux &&
           same_fpu(&a->arch.fpu, &b->arch.fpu) && memcmp(a->arch.vec, b->arch.vec, sizeof a->arch.vec) == 0 &&
           a->arch.ist_count == b->arch.ist_count && a->used == b->used && memcmp(a->data, b->data, DATA_BYTES) == 0;
}

static void show_fpu(const struct fpu_state *f)
{
    printf("fcw %04x fsw %04x tags %02x fop %03x fip %x:%llx fdp %x:%llx\n", f->fcw, f->fsw, f->tags, f->fop, f->fcs,
           (unsigned long long)f->fip, f->fds, (unsigned long long)f->fdp);
    for (unsigned i = 0; i < 8; i++) {
        printf("  %04x:%016llx", f->r[i].se, (unsigned long long)f->r[i].mant);
    }
    printf("\n");
}

static void show(const struct program *p, const struct outcome *want, const struct outcome *got)
{
    printf("budget %llu: rip %llx %llx flags %llx %llx used %llu %llu data %d\n", (unsigned long long)p->budget,
           (unsigned long long)want->arch.rip, (unsigned long long)got->arch.rip,
           (unsigned long long)want->arch.rflags, (unsigned long long)got->arch.rflags,
           (unsigned long long)want->used, (unsigned long long)got->used, memcmp(want->data, got->data, DATA_BYTES));
    show_fpu(&p->fpu);
    show_fpu(&want->arch.fpu);
    show_fpu(&got->arch.fpu);
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

static void compare_programs(const char *model, unsigned programs)
{
    static struct outcome want, got;
    static struct program p;
    const char *why = NULL;
    rig_start_model(model);
    R.code.size = 2048;
    struct jit_config config = {.bytes = MIB(1), .threshold = 0, .tlb_entries = 64};
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
    ck_assert_uint_gt(s->translated, 12ull * programs);
    ck_assert_uint_gt(s->translated, 5 * s->helped); /* it was about translated code */
    jit_free(j);
    rig_stop();
}

START_TEST(test_jit_x87__intel)
{
    compare_programs("intel", 10000);
}
END_TEST

START_TEST(test_jit_x87__amd)
{
    compare_programs("amd", 10000);
}
END_TEST

int main(void)
{
#if !defined(__x86_64__)
    return EXIT_SUCCESS;
#endif
    Suite *s = suite_create("jit_x87");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_jit_x87__intel);
    tcase_add_test(tc, test_jit_x87__amd);
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
