/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Makes cases: picks a row, one of its forms, fills what is open, sometimes breaks the bytes; then
 * registers, operands (aim.c) and the code in its place. */
#include "abi/x86/fpu.h"
#include "cpu/exec/exec_system.h"
#include "cpu/exec/fault.h"
#include "tests/diff/diff.h"

#include <stdlib.h>
#include <string.h>

static const char *const exclusions[INSN_COUNT] = {
#define EXCLUDED(mnemonic, reason) [INSN_##mnemonic] = reason,
#include "tests/diff/excluded.def"
#undef EXCLUDED
};

const char *row_exclusion(unsigned id)
{
    return exclusions[id];
}

/* ---- The menu: rows by weight ---- */

static bool always_faults(unsigned id)
{
    switch (id) {
    case INSN_UD0: case INSN_UD1: case INSN_UD2: case INSN_INT1: case INSN_INT3: case INSN_INT: case INSN_RSM:
    case INSN_MONITOR: case INSN_MWAIT: case INSN_CLAC: case INSN_STAC: case INSN_SYSRET:
    case INSN_SYSEXIT: case INSN_CLI: case INSN_STI:
        return true;
    default:
        return insn_rows[id].priv == PRIV_CPL0;
    }
}

static unsigned weight_of(unsigned id)
{
    switch (id) {
    case INSN_INVALID: return 0;
    case INSN_MOV: case INSN_ADD: case INSN_SUB: case INSN_CMP: case INSN_XOR: return 40;
    default: return exclusions[id] != NULL ? 0 : always_faults(id) ? 1 : 20;
    }
}

bool generator_open(struct generator *g, const struct forms *f64, const struct forms *f32)
{
    memset(g, 0, sizeof *g);
    g->forms[0] = f64;
    g->forms[1] = f32;
    g->mutate = true;
    for (unsigned compat = 0; compat < 2; compat++) {
        g->menu[compat] = calloc(INSN_COUNT, 40 * sizeof(u16));
        if (g->menu[compat] == NULL) {
            return false;
        }
        for (unsigned id = 0; id < INSN_COUNT; id++) {
            const struct forms *f = g->forms[compat];
            bool any = f->first[id + 1] != f->first[id];
            for (unsigned w = any ? weight_of(id) : 0; w > 0; w--) {
                g->menu[compat][g->menu_count[compat]++] = (u16)id;
            }
        }
    }
    return true;
}

void generator_close(struct generator *g)
{
    free(g->menu[0]);
    free(g->menu[1]);
}

/* ---- Registers ---- */

static void random_registers(struct generator *g, struct diff_case *c, unsigned unit)
{
    struct rng *r = &g->rng;
    struct diff_state *s = &g->last;
    for (unsigned i = 0; i < 16; i++) {
        u64 v = rng_next(r);
        s->gpr[i] = (v & 3) == 0 ? WINDOW + ((v >> 8) & (WINDOW_WRITABLE - 1)) : random_integer(r);
    }
    u64 v = rng_next(r);
    s->rflags = (v & (RFLAGS_ARITH | 0x200000)) | RFLAGS_ONE | RFLAGS_IF;
    s->rflags |= (v >> 32 & 3) == 0 ? RFLAGS_DF : 0u;
    s->rflags |= (v >> 34 & 31) == 0 ? RFLAGS_AC : 0u;
    s->rflags |= (v >> 40 & 63) == 0 ? RFLAGS_NT : 0u;
    if ((v >> 48 & 15) == 0) {
        s->fs_base = WINDOW + rng_below(r, 256);
        s->gs_base = (v >> 52 & 3) == 0 ? random_integer(r) & 0x7fffffffffff : WINDOW - rng_below(r, 256);
    }
    bool simd = unit == UNIT_SSE || unit == UNIT_AVX || unit == UNIT_MMX;
    for (unsigned i = simd ? 4 : (unsigned)(v >> 58) & 1; i > 0; i--) {
        random_vector(r, s->vec[rng_below(r, 16)], 32);
    }
    if (unit == UNIT_X87 || unit == UNIT_X87_NOWAIT || unit == UNIT_WAIT || unit == UNIT_MMX || (v >> 60) == 0) {
        random_fx(r, &s->fx);
    }
    if (unit == UNIT_SSE || unit == UNIT_AVX) {
        s->fx.mxcsr = random_mxcsr(r);
    }
    c->start = *s;
    if (c->compat) {
        for (unsigned i = 0; i < 16; i++) {
            c->start.gpr[i] = i < 8 ? (u32)c->start.gpr[i] : 0;
        }
    }
}

/* ---- Bytes ---- */

static void put_modrm(struct rng *r, const struct form *f, struct fill *x)
{
    unsigned reg = f->reg != 0xff ? f->reg : rng_below(r, 8);
    unsigned rm = f->rm != 0xff ? f->rm : rng_below(r, 8);
    unsigned mod = f->mem ? rng_below(r, 3) : 3;
    if (f->vsib) {
        rm = 4;
    }
    x->modrm = (u8)(mod << 6 | reg << 3 | rm);
}

static unsigned draw_bytes(struct generator *g, const struct form *f, bool compat, u8 bytes[32])
{
    static const u8 segments[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
    struct rng *r = &g->rng;
    struct fill x = {0};
    u64 v = rng_next(r);
    if ((v & 15) == 0) {
        x.extra[x.extra_count++] = segments[(v >> 8) % sizeof segments];
    }
    if ((v >> 4 & 15) == 0) {
        x.extra[x.extra_count++] = 0x67;
    }
    if (f->mem && !f->vex && (v >> 16 & 31) == 0) {
        x.extra[x.extra_count++] = 0xf0;
    }
    x.rxb = (v >> 24 & 1) != 0 && !compat ? (u8)(v >> 25 & 7) : 0;
    x.rex = (v >> 28 & 7) == 0;
    x.two_byte_vex = (v >> 32 & 1) != 0;
    x.vvvv = f->vvvv ? (u8)(v >> 33 & 15) : 0;
    if (f->vex && compat) {
        x.vvvv &= 7;
    }
    put_modrm(r, f, &x);
    unsigned n = form_put(f, &x, compat, bytes);
    store_le64(bytes + n, rng_next(r));
    store_le64(bytes + n + 8, rng_next(r));
    if ((v >> 40 & 1) != 0 && f->mem) {
        bytes[n + 2] = bytes[n + 3] = bytes[n + 4] = 0; /* a small displacement */
    }
    return n;
}

static void mutate(struct rng *r, u8 bytes[15])
{
    static const u8 prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x40, 0x48, 0x4f, 0x64, 0x0f, 0xc4, 0xc5};
    for (unsigned k = 1 + rng_below(r, 3); k > 0; k--) {
        unsigned at = rng_below(r, 5);
        switch (rng_below(r, 5)) {
        case 0: bytes[at] = (u8)(bytes[at] ^ 1u << rng_below(r, 8)); break;
        case 1: bytes[at] = (u8)rng_next(r); break;
        case 2:
        case 3:
            at = rng_below(r, 2);
            memmove(bytes + at + 1, bytes + at, 14 - at);
            bytes[at] = prefixes[rng_below(r, sizeof prefixes)];
            break;
        default:
            memmove(bytes + at, bytes + at + 1, 14 - at);
            break;
        }
    }
    if (rng_one_in(r, 64)) { /* too long */
        memmove(bytes + 12, bytes, 3);
        memset(bytes, rng_one_in(r, 2) ? 0x66 : 0x2e, 12);
    }
}

/* May bytes that Zydis does not know run on the host? Not if they could be a system call to it. */
static bool unknown_is_safe(const u8 bytes[15])
{
    unsigned at = 0;
    while (at < 14 && (bytes[at] == 0x66 || bytes[at] == 0x67 || bytes[at] == 0xf0 || bytes[at] == 0xf2 ||
                       bytes[at] == 0xf3 || bytes[at] == 0x26 || bytes[at] == 0x2e || bytes[at] == 0x36 ||
                       bytes[at] == 0x3e || bytes[at] == 0x64 || bytes[at] == 0x65 ||
                       (bytes[at] & 0xf0) == 0x40)) {
        at++;
    }
    u8 a = bytes[at], b = bytes[at + 1 < 15 ? at + 1 : 14];
    if (a == 0x0f) {
        return b != 0x05 && b != 0x07 && b != 0x34 && b != 0x35 && b != 0x01 && b != 0xa1 && b != 0xa9 &&
               b != 0xb2 && b != 0xb4 && b != 0xb5;
    }
    return a != 0xcd && a != 0x8e && a != 0x9a && a != 0xea && a != 0xca && a != 0xcb && a != 0xcf &&
           a != 0xff && a != 0x62 && a != 0xd5 && a != 0x8f;
}

static bool may_run(const struct diff_case *c, const struct byte_facts *facts)
{
    if (!facts->valid) {
        return unknown_is_safe(c->bytes);
    }
    if (facts->not_modelled || facts->id == INSN_INVALID || facts->far || exclusions[facts->id] != NULL) {
        return false;
    }
    if (facts->id == INSN_INT && (u8)c->in.imm == 0x80) {
        return false; /* a system call */
    }
    unsigned r0 = c->in.r[0];
    bool to_segment = (facts->id == INSN_MOV || facts->id == INSN_POP) && r0 >= OPR_SEG && r0 < OPR_SEG + 8;
    return !to_segment && (facts->id != INSN_JMP || r0 != OPR_FAR);
}

static bool is_fault(const struct insn *in)
{
    return in->exec == exec_invalid || in->exec == exec_too_long || in->exec == exec_unit_fault ||
           in->exec == exec_privilege_fault;
}

static bool takes_component_mask(const struct insn *in)
{
    const char *name = insn_rows[insn_id(in)].name;
    return strncmp(name, "XSAVE", 5) == 0 || strncmp(name, "XRSTOR", 6) == 0;
}

/* The first operand before, where it is easy to know. */
static void note_old(struct diff_case *c)
{
    unsigned r0 = c->in.r[0];
    c->old = 0;
    c->has_old = true;
    if (r0 < OPR_VEC) {
        c->old = r0 >= OPR_HIGH ? c->start.gpr[r0 & 3] >> 8 : c->start.gpr[r0];
    } else if (r0 == OPR_MEM && c->in.index != c->in.base && c->target - WINDOW <= WINDOW_BYTES - 8) {
        c->old = load_le64(host_window() + (c->target - WINDOW));
    } else {
        c->has_old = false;
    }
}

static void place(struct diff_case *c)
{
    u8 *host = host_code(c->start.rip);
    unsigned n = c->len;
    u8 code[SLOT_BYTES];
    memset(code, 0xf4, sizeof code);
    memcpy(code, c->bytes, n);
    unsigned total = n;
    if (!c->exact) {
        if (c->compat) {
            code[n] = 0xea; /* JMP ptr16:32 */
            store_le32(code + n + 1, CODE_LEAVE);
            store_le16(code + n + 5, 0x33);
        } else {
            code[n] = 0xe9;
            store_le32(code + n + 1, (u32)(CODE_LEAVE - (c->start.rip + n + 5)));
        }
        total = SLOT_BYTES;
    } else {
        memset(host - (SLOT_BYTES - n), 0xf4, SLOT_BYTES - n);
        for (unsigned g = 0; g < GUESTS; g++) {
            memset(guest_code(g, c->start.rip) - (SLOT_BYTES - n), 0xf4, SLOT_BYTES - n);
        }
    }
    memcpy(host, code, total);
    for (unsigned g = 0; g < GUESTS; g++) {
        memcpy(guest_code(g, c->start.rip), code, total);
    }
}

bool generate_case(struct generator *g, bool compat, struct diff_case *c)
{
    struct rng *r = &g->rng;
    const struct forms *forms = g->forms[compat];
    u16 id = g->only != INSN_INVALID ? g->only : g->menu[compat][rng_below(r, g->menu_count[compat])];
    u32 count = forms->first[id + 1] - forms->first[id];
    if (count == 0 && !g->survey) {
        return false;
    }
    u32 index = forms->first[id] + rng_below(r, count);
    if (g->survey) {
        index = g->survey_form;
        id = forms->form[index].id;
    }
    const struct form *f = &forms->form[index];
    u8 bytes[32];
    unsigned modrm_at = draw_bytes(g, f, compat, bytes) - 1;
    u64 slot = rng_below(r, 4096 / SLOT_BYTES) * SLOT_BYTES;
    c->compat = compat;
    c->mutated = g->mutate && !g->survey && rng_one_in(r, 8);
    c->target = 0;
    c->patched = false;
    c->has_old = false;
    memcpy(c->bytes, bytes, 15);
    if (c->mutated) {
        mutate(r, c->bytes);
    }
    random_registers(g, c, insn_rows[id].unit);
    u32 mode = guest_mode(compat, &c->start.fx);
    c->decoded = decode_insn(guest_decoder(), mode, c->bytes, 15, &c->in);
    c->len = c->in.len;
    struct byte_facts facts = {.valid = true, .id = id};
    if (c->mutated || is_fault(&c->in) || c->decoded != DECODE_OK) {
        facts = facts_of(c->bytes, compat);
        c->len = facts.valid ? facts.len : 15;
        if (is_fault(&c->in) && c->in.exec != exec_privilege_fault && !rng_one_in(r, g->survey ? 2 : (mode & MODE_FPU_ERROR) != 0 ? 4 : 24)) {
            return false; /* #UD is expensive; a pending x87 exception gives #MF instead */
        }
    } else {
        facts.far = (c->in.imm & INSN_IMM_FAR) != 0 && insn_rows[id].block == BLOCK_JUMP &&
                    facts_of(c->bytes, compat).far;
    }
    if (!may_run(c, &facts) || c->decoded == DECODE_TRUNCATED) {
        return false;
    }
    unsigned real_id = insn_id(&c->in);
    c->exact = c->mutated || is_fault(&c->in) || insn_rows[real_id].block == BLOCK_JUMP || !f->verified;
    c->start.rip = c->exact ? CODE_EXACT + 4096 - c->len : CODE_QUICK + slot;
    if (!is_fault(&c->in)) {
        aim_implicit(g, c);
    }
    if (uses_memory(&c->in) && !is_fault(&c->in)) {
        aim_memory(g, c, c->mutated ? NULL : f, c->mutated ? 0 : modrm_at);
    }
    if (compat) {
        for (unsigned i = 0; i < 16; i++) {
            c->start.gpr[i] = (u32)c->start.gpr[i];
        }
    }
    if (takes_component_mask(&c->in) && (c->start.gpr[RAX] > 7 || c->start.gpr[RDX] != 0)) {
        return false; /* the address needed them: the host may have more components than we */
    }
    /* Bytes may have changed: displacements. */
    if (c->patched && decode_insn(guest_decoder(), mode, c->bytes, 15, &c->in) != c->decoded) {
        return false;
    }
    note_old(c);
    place(c);
    return true;
}

void generator_start_batch(struct generator *g, u64 seed, u64 batch)
{
    rng_seed(&g->rng, seed, batch);
    memset(&g->last, 0, sizeof g->last);
    g->last.fx.mxcsr_mask = 0xffff;
    g->last.fx.mxcsr = MXCSR_INIT;
    g->last.fs_base = WINDOW;
    g->last.gs_base = WINDOW;
    for (unsigned i = 0; i < 16; i++) {
        random_vector(&g->rng, g->last.vec[i], 32);
    }
    random_fx(&g->rng, &g->last.fx);
    fill_window(&g->rng);
}
