/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Vector instructions against the host processor.
 *
 * Every row of insn_simd_int.def in every operand form that Zydis can encode (registers of every
 * kind, memory of every size, immediates) is run with random registers by the handler and by the
 * host; registers, MMX/x87 state, flags, memory and whether it faults must agree. All 256
 * immediates are used. What the host does not have is skipped and named. Memory is one page between
 * inaccessible ones; operands stand aligned, unaligned and across its end. */
#include "tests/unit/simd_rig.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <Zydis/Zydis.h>

#define GUARD ((size_t)1 << 20) /* inaccessible on both sides of the page: beyond any index */
#define RUNS 96u
#define RUNS_IMM 512u

/* The tables. */

struct row {
    const char *name;
    ZydisMnemonic mnemonic;
    exec_fn *exec;
};

static const struct row rows[] = {
#define INSN(name, handler, priv, mode, unit, icpt, block) {#name, ZYDIS_MNEMONIC_##name, handler},
#include "cpu/decode/insn_simd_int.def"
#undef INSN
    {"MOVSD", ZYDIS_MNEMONIC_MOVSD, exec_movsd_sse},
};

/* Operand kinds of a form. XMM0 stands for the register that legacy blends and SHA256RNDS2 name. */
enum kind { XMM, YMM, MMX, R32, R64, XMM0, M1, M2, M4, M8, M16, M32, VSIB_X, VSIB_Y, IMM, KINDS };

struct form {
    unsigned count;
    enum kind kind[4];
    bool is_vsib, has_memory, has_imm;
};

/* A memory operand's address registers, chosen per encoding. */
struct address {
    unsigned base, index;
    unsigned scale;
    i32 disp;
};

static ZydisRegister gpr64(unsigned n)
{
    return (ZydisRegister)(ZYDIS_REGISTER_RAX + (int)n);
}

static void encode_memory(ZydisEncoderOperand *op, enum kind kind, const struct address *a,
                          unsigned element)
{
    op->type = ZYDIS_OPERAND_TYPE_MEMORY;
    op->mem.base = gpr64(a->base);
    op->mem.displacement = a->disp;
    if (kind == VSIB_X || kind == VSIB_Y) {
        int first = kind == VSIB_X ? ZYDIS_REGISTER_XMM0 : ZYDIS_REGISTER_YMM0;
        op->mem.index = (ZydisRegister)(first + (int)a->index);
        op->mem.scale = (ZyanU8)a->scale;
        op->mem.size = (ZyanU16)element;
    } else {
        op->mem.size = (ZyanU16)(1u << (kind - M1));
    }
}

/* Encode with random registers; false when the form does not exist. */
static bool encode(const struct row *row, const struct form *f, unsigned imm, struct address *a,
                   u8 *bytes, unsigned *len)
{
    ZydisEncoderRequest req;
    memset(&req, 0, sizeof req);
    req.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
    req.allowed_encodings = ZYDIS_ENCODABLE_ENCODING_LEGACY | ZYDIS_ENCODABLE_ENCODING_VEX;
    req.mnemonic = row->mnemonic;
    req.operand_count = (ZyanU8)f->count;
    do {
        a->base = rng_below(16);
    } while (a->base == RSP);
    a->scale = 1u << rng_below(4);
    a->disp = (i32)rng_below(200) - 100;
    unsigned vec[4]; /* gathers want three different ones */
    unsigned start = rng_below(16);
    a->index = (start + 5) & 15;
    for (unsigned i = 0; i < 4; i++) {
        vec[i] = f->is_vsib ? (start + i) & 15 : rng_below(16);
    }
    size_t name_len = strlen(row->name);
    unsigned element = row->name[name_len - 1] == 'Q' || row->name[name_len - 1] == 'D' ? 8 : 4;
    if (row->mnemonic == ZYDIS_MNEMONIC_VPGATHERDD || row->mnemonic == ZYDIS_MNEMONIC_VPGATHERQD) {
        element = 4;
    }
    for (unsigned i = 0; i < f->count; i++) {
        ZydisEncoderOperand *op = &req.operands[i];
        enum kind kind = f->kind[i];
        op->type = ZYDIS_OPERAND_TYPE_REGISTER;
        op->reg.is4 = i == 3; /* a fourth register stands in the immediate */
        switch (kind) {
        case XMM: op->reg.value = (ZydisRegister)(ZYDIS_REGISTER_XMM0 + (int)vec[i]); break;
        case YMM: op->reg.value = (ZydisRegister)(ZYDIS_REGISTER_YMM0 + (int)vec[i]); break;
        case MMX: op->reg.value = (ZydisRegister)(ZYDIS_REGISTER_MM0 + (int)rng_below(8)); break;
        case R32: op->reg.value = (ZydisRegister)(ZYDIS_REGISTER_EAX + (int)rng_below(16)); break;
        case R64: op->reg.value = gpr64(rng_below(16)); break;
        case XMM0: op->reg.value = ZYDIS_REGISTER_XMM0; break;
        case IMM:
            op->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
            op->imm.u = imm;
            break;
        case M1: case M2: case M4: case M8: case M16: case M32: case VSIB_X: case VSIB_Y:
            encode_memory(op, kind, a, element);
            break;
        case KINDS: break;
        }
    }
    ZyanUSize size = 15;
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&req, bytes, &size))) {
        return false;
    }
    *len = (unsigned)size;
    return true;
}

/* The op form of what was encoded, as the decoder makes it. */

static u8 operand_code(ZydisRegister reg)
{
    unsigned id = (unsigned)ZydisRegisterGetId(reg);
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
        return (u8)(OPR_VEC + id);
    case ZYDIS_REGCLASS_MMX:
        return (u8)(OPR_MMX + id);
    default:
        return (u8)id;
    }
}

static struct insn decode(const ZydisDecoder *decoder, const struct row *row, const u8 *bytes,
                          unsigned len)
{
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    struct insn in = {.exec = row->exec, .r = {OPR_NONE, OPR_NONE, OPR_NONE, OPR_NONE}};
    ck_assert(ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder, bytes, len, &zi, ops)));
    ck_assert_msg(zi.mnemonic == row->mnemonic, "%s", row->name);
    in.len = zi.length;
    in.base = in.index = REG_NONE;
    in.sib = SEG_DS << 2 | 2 << 5;
    for (unsigned i = 0; i < zi.operand_count_visible && i < 4; i++) {
        const ZydisDecodedOperand *op = &ops[i];
        if (op->type == ZYDIS_OPERAND_TYPE_REGISTER) {
            in.r[i] = operand_code(op->reg.value);
        } else if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            in.r[i] = OPR_IMM;
            in.imm = op->imm.value.u;
        } else {
            in.r[i] = OPR_MEM;
            in.base = (u8)ZydisRegisterGetId(op->mem.base);
            in.disp = (i32)op->mem.disp.value;
            if (op->mem.index != ZYDIS_REGISTER_NONE) {
                in.index = (u8)ZydisRegisterGetId(op->mem.index);
                in.sib = (u8)(in.sib | __builtin_ctz(op->mem.scale));
            }
            in.id = (u16)(__builtin_ctz(op->size / 8u) << 12);
        }
    }
    if (zi.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        in.pfx = (u8)(PFX_VEX | (zi.raw.vex.L ? PFX_VEX_L : 0) | (zi.raw.vex.W ? PFX_REXW : 0));
    } else if ((zi.attributes & ZYDIS_ATTRIB_HAS_REX) != 0 && zi.raw.rex.W != 0) {
        in.pfx = PFX_REXW;
    }
    return in;
}

/* What differs, or NULL. */
static const char *compare(const struct native_state *s)
{
    static char text[128];
    unsigned top = (s->fx.fsw >> 11) & 7;
    for (unsigned i = 0; i < 16; i++) {
        if (cpu.arch.gpr[i] != s->gpr[i]) {
            snprintf(text, sizeof text, "gpr %u: %llx, host %llx", i,
                     (unsigned long long)cpu.arch.gpr[i], (unsigned long long)s->gpr[i]);
            return text;
        }
        if (memcmp(cpu.arch.vec[i], s->vec[i], 32) != 0) {
            int n = snprintf(text, sizeof text, "vec %u: ", i);
            for (unsigned k = 0; k < 4; k++) {
                u64 a = load_le64(cpu.arch.vec[i] + 8 * k), b = load_le64(s->vec[i] + 8 * k);
                if (a != b) {
                    snprintf(text + n, sizeof text - (size_t)n, "[%u] %016llx, host %016llx", k,
                             (unsigned long long)a, (unsigned long long)b);
                    return text;
                }
            }
        }
    }
    if (((cpu_rflags(&cpu) ^ s->rflags) & RFLAGS_ARITH) != 0) {
        snprintf(text, sizeof text, "flags %llx, host %llx", (unsigned long long)cpu_rflags(&cpu),
                 (unsigned long long)s->rflags);
        return text;
    }
    if (((cpu.arch.fpu.fsw ^ s->fx.fsw) & 0x3800) != 0 || cpu.arch.fpu.tags != s->fx.tags) {
        snprintf(text, sizeof text, "fsw %x tags %x, host %x %x", cpu.arch.fpu.fsw,
                 cpu.arch.fpu.tags, s->fx.fsw, s->fx.tags);
        return text;
    }
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *r = &cpu.arch.fpu.r[(top + i) & 7];
        if (r->mant != load_le64(s->fx.st[i]) || r->se != load_le16(s->fx.st[i] + 8)) {
            snprintf(text, sizeof text, "R%u: %04x.%016llx, host %04x.%016llx", (top + i) & 7, r->se,
                     (unsigned long long)r->mant, load_le16(s->fx.st[i] + 8),
                     (unsigned long long)load_le64(s->fx.st[i]));
            return text;
        }
    }
    return NULL;
}

/* Aim the memory operand into the page: aligned, unaligned, or (rarely) across its end. */
static void aim(struct native_state *s, const struct form *f, const struct address *a)
{
    u64 at = 512 + 32 * rng_below(8);
    switch (rng_below(8)) {
    case 0: at += rng_below(32); break;
    case 1: at += 16; break;
    case 2: at = PAGE - 1 - rng_below(40); break;
    case 3: at = PAGE - 32; break;
    default: break;
    }
    if (f->is_vsib) {
        at = 2048;
        for (unsigned k = 0; k < 4; k++) { /* indices in the page, seldom outside */
            u64 low = rng_below(128) - 64u, high = rng_below(128) - 64u;
            if (rng_below(64) == 0) {
                low = 0x10000;
            }
            u64 wide = (u64)(i64)(i32)low, pair = low << 32 >> 32 | high << 32;
            store_le64(s->vec[a->index] + 8 * k, rng_below(2) == 0 ? wide : pair);
        }
    }
    s->gpr[a->base] = (u64)(uintptr_t)page + at - (u64)(i64)a->disp;
}

struct tally {
    unsigned forms, runs, skipped_rows, faults;
};

static void fail_run(const struct row *row, const u8 *bytes, unsigned len, const char *what)
{
    char hex[64];
    for (unsigned i = 0; i < len; i++) {
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    }
    ck_abort_msg("%s (%s): %s", row->name, hex, what);
}

/* One form many times. False: the host lacks the instruction. */
static bool run_form(struct native *n, const ZydisDecoder *decoder, const struct row *row,
                     const struct form *f, struct tally *tally)
{
    static u8 before[PAGE], after[PAGE];
    unsigned runs = f->has_imm ? RUNS_IMM : RUNS;
    bool gather = f->is_vsib;
    bool maskmov = row->exec == exec_maskmov_bytes;
    for (unsigned i = 0; i < runs; i++) {
        struct address a;
        struct native_state s, start;
        u8 bytes[16];
        unsigned len = 0;
        ck_assert_msg(encode(row, f, i & 0xff, &a, bytes, &len), "%s", row->name);
        struct insn in = decode(decoder, row, bytes, len);
        random_state(&s);
        if (f->has_memory || maskmov) {
            if (maskmov) {
                a = (struct address){.base = RDI};
            }
            aim(&s, f, &a);
        }
        random_bytes(before, PAGE);
        memcpy(page, before, PAGE);
        cpu_from_native(&s);
        start = s;
        struct native_outcome out = native_run(n, bytes, len, &s);
        memcpy(after, page, PAGE);
        if (out.signal == SIGILL) {
            return false;
        }
        memcpy(page, before, PAGE);
        bool faulted = in.exec(&cpu, &in) == CPU_EXIT;
        tally->runs++;
        tally->faults += faulted ? 1u : 0u;
        if (maskmov && !faulted && out.signal != 0) {
            continue; /* some processors also check excluded bytes */
        }
        if (faulted != (out.signal != 0)) {
            fail_run(row, bytes, len, faulted ? "faults, host does not" : "host faults");
        }
        if (faulted && gather) {
            continue; /* how much is done beyond the fault is the processor's choice */
        }
        /* A fault commits nothing; some hosts clear TOP even so. */
        const char *difference = compare(faulted ? &start : &s);
        if (difference != NULL) {
            fail_run(row, bytes, len, difference);
        }
        if (memcmp(page, after, PAGE) != 0) {
            fail_run(row, bytes, len, "memory differs");
        }
    }
    tally->forms++;
    return true;
}

static bool is_memory(enum kind k)
{
    return k >= M1 && k <= VSIB_Y;
}

/* All forms of up to four operands with at most one in memory and an immediate only at the end. */
static bool next_form(struct form *f)
{
    for (;;) {
        unsigned i = 0;
        while (i < f->count && ++f->kind[i] == KINDS) {
            f->kind[i++] = (enum kind)0;
        }
        if (i == f->count) {
            if (f->count == 4) {
                return false;
            }
            *f = (struct form){.count = f->count + 1};
        }
        unsigned memory = 0;
        bool plausible = true;
        f->is_vsib = f->has_imm = false;
        for (i = 0; i < f->count; i++) {
            enum kind k = f->kind[i];
            memory += is_memory(k) ? 1 : 0;
            f->is_vsib = f->is_vsib || k == VSIB_X || k == VSIB_Y;
            f->has_imm = f->has_imm || k == IMM;
            if ((k == IMM && i + 1 != f->count) || (k == XMM0 && i != 2)) {
                plausible = false;
            }
        }
        f->has_memory = memory != 0;
        if (f->count == 4 && (f->kind[0] > YMM || f->kind[1] > YMM || f->kind[2] == IMM ||
                              (f->kind[3] > YMM && f->kind[3] != IMM))) {
            plausible = false;
        }
        if (f->is_vsib && (f->count != 3 || f->kind[1] < VSIB_X)) {
            plausible = false;
        }
        if (plausible && memory <= 1) {
            return true;
        }
    }
}

/* Encodings of the mnemonic that are not the row's. */
static bool is_foreign(const struct row *row, const struct form *f, const u8 *bytes)
{
    if (f->count == 3 && f->kind[2] == XMM0 && row->name[0] == 'V') {
        return true; /* only legacy forms have the implicit register */
    }
    return row->mnemonic == ZYDIS_MNEMONIC_MOVSD && bytes[0] == 0xa5; /* the string instruction */
}

START_TEST(test_simd_int__agrees_with_host)
{
    struct native *n = native_open();
    if (n == NULL) {
        puts("skipped: this host cannot run x86-64 instructions");
        return;
    }
    u8 *map = mmap(NULL, 2 * GUARD + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(map != MAP_FAILED);
    page = map + GUARD;
    ck_assert_int_eq(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);

    struct tally tally = {0};
    for (unsigned r = 0; r < ARRAY_LEN(rows); r++) {
        unsigned forms = 0;
        bool lacking = false;
        struct form f = {.count = 0};
        do {
            struct address a;
            u8 bytes[16];
            unsigned len;
            if (encode(&rows[r], &f, 0, &a, bytes, &len) && !is_foreign(&rows[r], &f, bytes)) {
                forms++;
                lacking = !run_form(n, &decoder, &rows[r], &f, &tally) || lacking;
            }
        } while (next_form(&f));
        ck_assert_msg(forms != 0, "%s: no form could be encoded", rows[r].name);
        if (lacking) {
            printf("skipped: the host lacks %s or a form of it\n", rows[r].name);
            tally.skipped_rows++;
        }
    }
    printf("%zu rows (%u skipped), %u forms, %u runs, %u faults\n", ARRAY_LEN(rows),
           tally.skipped_rows, tally.forms, tally.runs, tally.faults);
    munmap(map, 2 * GUARD + PAGE);
    native_close(n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("simd_int");
    TCase *host = tcase_create("host");
    tcase_set_timeout(host, 120);
    tcase_add_test(host, test_simd_int__agrees_with_host);
    suite_add_tcase(suite, host);
    return unit_run(suite);
}
