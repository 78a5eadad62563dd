/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What has to be equal, what is free, and which differences are explained. */
#include "abi/x86/fpu.h"
#include "cpu/exec/exec.h"
#include "tests/diff/diff.h"

#include <math.h>
#include <string.h>

const char *const explanation_text[EXPLAIN_COUNT] = {
    "",
#define EXPLAINED(id, reason) reason,
#include "tests/diff/explained.def"
#undef EXPLAINED
};

/* ---- Undefined flags ---- */

enum shift_kind { SHIFT_NONE, SHIFT_SHL, SHIFT_SHR, SHIFT_SAR, SHIFT_ROL, SHIFT_ROR, SHIFT_RCL, SHIFT_RCR, SHIFT_SHLD, SHIFT_SHRD };

static enum shift_kind shift_kind(unsigned id)
{
    switch (id) {
    case INSN_SHL: return SHIFT_SHL;
    case INSN_SHR: return SHIFT_SHR;
    case INSN_SAR: return SHIFT_SAR;
    case INSN_ROL: return SHIFT_ROL;
    case INSN_ROR: return SHIFT_ROR;
    case INSN_RCL: return SHIFT_RCL;
    case INSN_RCR: return SHIFT_RCR;
    case INSN_SHLD: return SHIFT_SHLD;
    case INSN_SHRD: return SHIFT_SHRD;
    default: return SHIFT_NONE;
    }
}

static unsigned shift_count(const struct diff_case *c)
{
    const struct insn *in = &c->in;
    unsigned which = shift_kind(insn_id(in)) >= SHIFT_SHLD ? 2 : 1;
    u64 n = in->r[which] == OPR_IMM ? in->imm : in->r[which] == OPR_NONE ? 1 : c->start.gpr[RCX];
    return (unsigned)n & (in->osz == 8 ? 63u : 31u);
}

static const u16 undefined_of_row[INSN_COUNT] = {
#define CF RFLAGS_CF
#define PF RFLAGS_PF
#define AF RFLAGS_AF
#define ZF RFLAGS_ZF
#define SF RFLAGS_SF
#define OF RFLAGS_OF
#define UNDEFINED(mnemonic, flags) [INSN_##mnemonic] = (flags),
#include "tests/diff/undefined.def"
#undef UNDEFINED
#undef CF
#undef PF
#undef AF
#undef ZF
#undef SF
#undef OF
};

u64 undefined_flags(const struct diff_case *c)
{
    unsigned bits = 8u * c->in.osz;
    enum shift_kind kind = shift_kind(insn_id(&c->in));
    if (kind == SHIFT_NONE) {
        return undefined_of_row[insn_id(&c->in)];
    }
    unsigned n = shift_count(c);
    if (n == 0) {
        return 0;
    }
    u64 of = n != 1 ? RFLAGS_OF : 0;
    if (kind >= SHIFT_ROL && kind <= SHIFT_RCR) {
        return of;
    }
    if (kind == SHIFT_SHLD || kind == SHIFT_SHRD) {
        return n > bits ? RFLAGS_ARITH : of | RFLAGS_AF;
    }
    u64 cf = kind != SHIFT_SAR && n >= bits ? RFLAGS_CF : 0;
    return of | cf | RFLAGS_AF;
}

static u64 top_bit(u64 v, unsigned bits)
{
    return (v >> (bits - 1)) & 1;
}

/* CF of a shift made in single-bit steps; OF of the first (Intel) or the last (AMD) of them. Intel's rotates
 * may keep OF: sim/cpu/exec/shift.c. */
static u64 stepped_flags(enum shift_kind kind, unsigned bits, unsigned n, u64 v, u64 in, u64 rflags, bool reg_imm)
{
    u64 mask = size_mask(bits / 8);
    u64 cf = rflags & 1, of = 0, first = 0;
    v &= mask;
    in &= mask;
    for (unsigned i = 0; i < n; i++) {
        u64 before = v, top = top_bit(v, bits), low = v & 1;
        switch (kind) {
        case SHIFT_SHL: v = v << 1 & mask; cf = top; of = top_bit(v, bits) ^ cf; break;
        case SHIFT_SHR: v >>= 1; cf = low; of = top; break;
        case SHIFT_SAR: v = v >> 1 | top << (bits - 1); cf = low; of = 0; break;
        case SHIFT_ROL: v = (v << 1 | top) & mask; cf = top; of = top_bit(v, bits) ^ cf; break;
        case SHIFT_ROR: v = v >> 1 | low << (bits - 1); cf = low; of = top_bit(v, bits) ^ top_bit(v << 1, bits); break;
        case SHIFT_RCL: v = (v << 1 | cf) & mask; cf = top; of = top_bit(v, bits) ^ cf; break;
        case SHIFT_RCR: of = top ^ cf; v = v >> 1 | cf << (bits - 1); cf = low; break;
        case SHIFT_SHLD:
            v = (v << 1 | top_bit(in, bits)) & mask;
            in = in << 1 & mask;
            cf = top;
            of = top_bit(before ^ v, bits);
            break;
        case SHIFT_SHRD:
            v = v >> 1 | (in & 1) << (bits - 1);
            in >>= 1;
            cf = low;
            of = top_bit(before ^ v, bits);
            break;
        case SHIFT_NONE: break;
        }
        first = i == 0 ? of : first;
    }
    bool keeps = kind == SHIFT_RCL || kind == SHIFT_RCR ? n % (bits + 1) == 0
                                                        : (kind == SHIFT_ROL || kind == SHIFT_ROR) && reg_imm && n != 1;
    first = keeps ? rflags >> 11 & 1 : first;
    of = guest_model()->vendor == CPU_VENDOR_INTEL ? first : of;
    return (cf != 0 ? RFLAGS_CF : 0u) | (of != 0 ? RFLAGS_OF : 0u);
}

u32 check_undefined(const struct diff_case *c, const struct diff_result *ours)
{
    if (!ours->outcome.completed) {
        return 0;
    }
    u64 free_bits = undefined_flags(c), flags = ours->end.rflags;
    enum shift_kind kind = shift_kind(insn_id(&c->in));
    if (kind == SHIFT_NONE) {
        return (flags & free_bits) != 0 ? DIFF_UNDEFINED : 0;
    }
    unsigned n = shift_count(c), bits = 8u * c->in.osz;
    if (n == 0) {
        return 0;
    }
    if ((flags & free_bits & RFLAGS_AF) != 0) {
        return DIFF_UNDEFINED;
    }
    if (!c->has_old || (kind >= SHIFT_SHLD && n > bits)) {
        return 0;
    }
    u64 source = kind >= SHIFT_SHLD ? c->start.gpr[c->in.r[1] & 15] : 0;
    u64 want = stepped_flags(kind, bits, n, c->old, source, c->start.rflags,
                             c->in.r[1] == OPR_IMM && c->in.r[0] != OPR_MEM);
    return ((flags ^ want) & (RFLAGS_CF | RFLAGS_OF)) != 0 ? DIFF_UNDEFINED : 0;
}

/* ---- Comparison ---- */

#define KERNEL_ADDRESSES 0x7ffffffff000u

static bool same_outcome(const struct diff_outcome *a, const struct diff_outcome *host)
{
    if (a->completed || host->completed) {
        return a->completed == host->completed;
    }
    if (a->vector != host->vector) {
        return false;
    }
    if (a->vector != 14) {
        return a->error == host->error;
    }
    /* The kernel tells of every kernel address that it was present, and not of its page tables. */
    u32 mask = host->cr2 >= KERNEL_ADDRESSES ? ~1u : ~0u;
    return ((a->error ^ host->error) & mask) == 0 && a->cr2 == host->cr2;
}

static bool same_x87(const struct native_fx *a, const struct native_fx *b)
{
    if (a->fcw != b->fcw || a->fsw != b->fsw || a->tags != b->tags) {
        return false;
    }
    bool pointers = guest_model()->vendor != CPU_VENDOR_AMD || (a->fsw & 0x80) != 0;
    if (pointers && (a->fop != b->fop || a->fip != b->fip || a->fdp != b->fdp)) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        if (memcmp(a->st[i], b->st[i], 10) != 0) {
            return false;
        }
    }
    return true;
}

static u32 compare_with(const struct diff_result *a, const struct diff_result *b, u64 flags)
{
    u32 d = 0;
    d |= same_outcome(&a->outcome, &b->outcome) ? 0u : DIFF_OUTCOME;
    d |= a->end.rip == b->end.rip ? 0u : DIFF_RIP;
    d |= memcmp(a->end.gpr, b->end.gpr, sizeof a->end.gpr) == 0 ? 0u : DIFF_GPR;
    d |= ((a->end.rflags ^ b->end.rflags) & flags) == 0 ? 0u : DIFF_FLAGS;
    d |= memcmp(a->end.vec, b->end.vec, sizeof a->end.vec) == 0 ? 0u : DIFF_VECTOR;
    d |= a->end.fx.mxcsr == b->end.fx.mxcsr ? 0u : DIFF_MXCSR;
    d |= same_x87(&a->end.fx, &b->end.fx) ? 0u : DIFF_X87;
    d |= a->end.fs_base == b->end.fs_base && a->end.gs_base == b->end.gs_base ? 0u : DIFF_BASE;
    return d;
}

u32 compare_results(const struct diff_case *c, const struct diff_result *a, const struct diff_result *b)
{
    u64 flags = FLAGS_SEEN;
    if (a->outcome.completed) {
        flags &= ~undefined_flags(c);
    }
    return compare_with(a, b, flags);
}

u32 compare_exactly(const struct diff_result *a, const struct diff_result *b)
{
    return compare_with(a, b, ~(u64)0);
}

/* ---- Explanations ---- */

static bool close_single(u32 a, u32 b, double tolerance)
{
    float x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    if (a == b || (isnan(x) && isnan(y))) {
        return a == b;
    }
    if (isinf(x) || isinf(y)) {
        return false;
    }
    return fabs((double)x - (double)y) <= tolerance * fabs((double)y) + 0x1.01p-126; /* tiny: zero */
}

static bool vectors_are_close(const struct diff_state *a, const struct diff_state *b)
{
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned k = 0; k < 32; k += 4) {
            if (!close_single(load_le32(a->vec[i] + k), load_le32(b->vec[i] + k), 1.0 / 2048)) {
                return false;
            }
        }
    }
    return true;
}

/* A few units in the last place; what is no number must be equal. */
static bool extended_are_close(const u8 *a, const u8 *b)
{
    long double x = 0, y = 0;
    if (memcmp(a, b, 10) == 0) {
        return true;
    }
    memcpy(&x, a, 10);
    memcpy(&y, b, 10);
    bool numbers = isfinite(x) && isfinite(y) && ((load_le16(a + 8) ^ load_le16(b + 8)) & 0x8000) == 0;
    return numbers && fabsl(x - y) <= fabsl(y) * 0x1p-60L + 0x1p-16442L;
}

/* Just below the smallest normal number, with underflow unmasked, one side may see an underflow (and give
 * the result with its exponent biased) where the other rounds up to the normal number. */
static bool at_underflow_edge(const struct native_fx *a, const struct native_fx *b)
{
    return ((a->fsw ^ b->fsw) & FP_UE) != 0 && (a->fcw & FCW_UM) == 0;
}

/* The results of both sides there: one has its exponent raised by 24576. */
static bool edges_are_close(const struct native_fx *a, const struct native_fx *b)
{
    bool raised = (a->fsw & FP_UE) != 0;
    long double x = 0, y = 0;
    memcpy(&x, (raised ? a : b)->st[0], 10);
    memcpy(&y, (raised ? b : a)->st[0], 10);
    return fabsl(x - ldexpl(y, 24576)) <= fabsl(x) * 0x1p-60L;
}

static bool x87_is_close(const struct native_fx *a, const struct native_fx *b)
{
    unsigned fsw = (unsigned)(a->fsw ^ b->fsw);
    if (a->fcw != b->fcw || (fsw & ~(unsigned)(FSW_C1 | FP_PE | FP_UE | FSW_ES | FSW_B)) != 0 || a->tags != b->tags ||
        (a->fop != b->fop && (fsw & FSW_ES) == 0) || a->fip != b->fip || a->fdp != b->fdp) {
        return false;
    }
    for (unsigned i = 0; i < 8; i++) {
        bool edge = i == 0 && at_underflow_edge(a, b) && edges_are_close(a, b);
        if (!edge && !extended_are_close(a->st[i], b->st[i])) {
            return false;
        }
    }
    return true;
}

static bool both_faulted(const struct diff_result *ours, const struct diff_result *host)
{
    return !ours->outcome.completed && !host->outcome.completed;
}

static bool memory_fault(const struct diff_outcome *o)
{
    return !o->completed && (o->vector == VEC_PF || o->vector == VEC_GP || o->vector == VEC_SS || o->vector == VEC_AC);
}

/* 67h in 64-bit mode: counts and pointers differ in their upper halves alone, the host's being 0. */
static bool only_zero_extended(const struct diff_case *c, const struct diff_state *a, const struct diff_state *host)
{
    for (unsigned i = 0; i < 16; i++) {
        bool string_register = i == RCX || i == RSI || i == RDI;
        if (a->gpr[i] != host->gpr[i] && (!string_register || host->gpr[i] != (u32)a->gpr[i])) {
            return false;
        }
    }
    return insn_asize(&c->in) == 4;
}

/* The manual's pi has 66 bits: an error in the argument. */
static bool trigonometric_is_close(const struct diff_state *start, const struct native_fx *a,
                                   const struct native_fx *b)
{
    long double x, y[2];
    struct native_fx same = *a;
    memcpy(&x, start->fx.st[0], 10);
    for (unsigned i = 0; i < 2; i++) {
        memcpy(&y[0], a->st[i], 10);
        memcpy(&y[1], b->st[i], 10);
        if (!at_underflow_edge(a, b) &&
            fabsl(y[0] - y[1]) > fabsl(x) * 0x1p-65L * (1 + y[1] * y[1]) + fabsl(y[1]) * 0x1p-60L + 0x1p-16445L) {
            return false;
        }
        memcpy(same.st[i], b->st[i], 10);
    }
    return x87_is_close(&same, b);
}

/* Chips keep as many bits of FIP and FDP as their linear addresses have, and extend the sign. */
static bool only_pointers_differ(const struct native_fx *a, const struct native_fx *host)
{
    struct native_fx same = *a;
    same.fip = host->fip;
    same.fdp = host->fdp;
    return same_x87(&same, host) && ((a->fip ^ host->fip) << 16) == 0 && ((a->fdp ^ host->fdp) << 16) == 0;
}

static bool is_state_image(unsigned id)
{
    switch (id) {
    case INSN_FXSAVE: case INSN_FXSAVE64: case INSN_FXRSTOR: case INSN_FXRSTOR64: case INSN_FNSAVE:
    case INSN_FRSTOR: case INSN_FNSTENV: case INSN_FLDENV: case INSN_XSAVE: case INSN_XSAVE64:
    case INSN_XSAVEOPT: case INSN_XSAVEOPT64: case INSN_XSAVEC: case INSN_XSAVEC64: case INSN_XRSTOR:
    case INSN_XRSTOR64:
        return true;
    default:
        return false;
    }
}

static bool is_masked_move(unsigned id)
{
    switch (id) {
    case INSN_MASKMOVDQU: case INSN_VMASKMOVDQU: case INSN_MASKMOVQ: case INSN_VMASKMOVPS:
    case INSN_VMASKMOVPD: case INSN_VPMASKMOVD: case INSN_VPMASKMOVQ:
        return true;
    default:
        return false;
    }
}

static enum explanation explain_state_image(const struct diff_case *c, const struct diff_result *ours,
                                            const struct diff_result *host, u32 fields)
{
    unsigned id = insn_id(&c->in);
    bool restores = id == INSN_XRSTOR || id == INSN_XRSTOR64;
    if (fields == DIFF_X87 && only_pointers_differ(&ours->end.fx, &host->end.fx)) {
        return EXPLAIN_POINTERS;
    }
    if (!both_faulted(ours, host)) {
        return EXPLAIN_NONE;
    }
    if (fields == DIFF_OUTCOME && memory_fault(&ours->outcome) && memory_fault(&host->outcome)) {
        return host->outcome.vector == VEC_AC ? EXPLAIN_IMAGE_AC : EXPLAIN_IMAGE_FAULT;
    }
    if (restores && (fields & ~(u32)(DIFF_X87 | DIFF_VECTOR | DIFF_MXCSR)) == 0) {
        return EXPLAIN_XRSTOR;
    }
    return EXPLAIN_NONE;
}

static enum explanation explain_masked_move(const struct diff_case *c, const struct diff_result *ours,
                                            const struct diff_result *host, u32 fields)
{
    unsigned id = insn_id(&c->in);
    bool bytes = id == INSN_MASKMOVDQU || id == INSN_VMASKMOVDQU || id == INSN_MASKMOVQ;
    u32 rest = fields & ~(u32)DIFF_OUTCOME;
    if (rest == 0 && memory_fault(&ours->outcome) && memory_fault(&host->outcome) &&
        host->outcome.vector != VEC_AC) {
        return EXPLAIN_MASKED_FAULT;
    }
    if (bytes && host->outcome.vector == VEC_AC) {
        return EXPLAIN_MASKMOV_AC;
    }
    if (bytes && ours->outcome.completed && memory_fault(&host->outcome) &&
        (rest & ~(u32)(DIFF_RIP | DIFF_MEMORY)) == 0) {
        return EXPLAIN_MASKMOV_EMPTY;
    }
    return EXPLAIN_NONE;
}

/* The same fault; where the host's destination or mask differs it has done an element more, behind the one that faults:
 * that is the first which is still to be done here. [SDM2 "VGATHERDPS/VGATHERDPD": faults from right to left] */
static bool gathered_further(const struct diff_case *c, const struct diff_state *ours, const struct diff_state *host,
                             unsigned size)
{
    unsigned dst = c->in.r[0] & 15, mask = c->in.r[2] & 15;
    bool open = false;
    for (unsigned i = 0; i < 16; i++) {
        if (i != dst && i != mask && memcmp(ours->vec[i], host->vec[i], sizeof ours->vec[i]) != 0) {
            return false;
        }
    }
    for (unsigned k = 0; k < sizeof ours->vec[0]; k += size) {
        bool same_mask = memcmp(ours->vec[mask] + k, host->vec[mask] + k, size) == 0;
        bool same = memcmp(ours->vec[dst] + k, host->vec[dst] + k, size) == 0;
        bool more = open && load_le(host->vec[mask] + k, size) == 0;
        if (same_mask ? !same : !more) {
            return false;
        }
        open = open || load_le(ours->vec[mask] + k, size) != 0;
    }
    return true;
}

static enum explanation explain_by_row(const struct diff_case *c, const struct diff_result *ours,
                                       const struct diff_result *host, u32 fields)
{
    switch (insn_id(&c->in)) {
    case INSN_RCPPS: case INSN_RCPSS: case INSN_RSQRTPS: case INSN_RSQRTSS:
    case INSN_VRCPPS: case INSN_VRCPSS: case INSN_VRSQRTPS: case INSN_VRSQRTSS:
        return fields == DIFF_VECTOR && vectors_are_close(&ours->end, &host->end) ? EXPLAIN_ESTIMATE
                                                                                  : EXPLAIN_NONE;
    case INSN_FSIN: case INSN_FCOS: case INSN_FSINCOS: case INSN_FPTAN:
        return fields == DIFF_X87 && trigonometric_is_close(&c->start, &ours->end.fx, &host->end.fx)
                   ? EXPLAIN_TRANSCENDENTAL
                   : EXPLAIN_NONE;
    case INSN_FPATAN: case INSN_F2XM1: case INSN_FYL2X: case INSN_FYL2XP1:
        return fields == DIFF_X87 && x87_is_close(&ours->end.fx, &host->end.fx) ? EXPLAIN_TRANSCENDENTAL
                                                                                : EXPLAIN_NONE;
    case INSN_LAR: case INSN_LSL: case INSN_VERR: case INSN_VERW:
        return (fields & ~(u32)(DIFF_FLAGS | DIFF_GPR)) == 0 && (host->end.rflags & RFLAGS_ZF) != 0
                   ? EXPLAIN_DESCRIPTORS
                   : EXPLAIN_NONE;
    case INSN_CALL:
        return both_faulted(ours, host) && ours->outcome.vector == VEC_GP &&
                       (fields & ~(u32)(DIFF_MEMORY | DIFF_OUTCOME)) == 0
                   ? EXPLAIN_CALL
                   : EXPLAIN_NONE;
    case INSN_INVALID:
        return both_faulted(ours, host) && ours->outcome.vector + host->outcome.vector == VEC_UD + VEC_GP &&
                       c->len == 15 && fields == DIFF_OUTCOME
                   ? EXPLAIN_TOO_LONG
                   : EXPLAIN_NONE;
    case INSN_FBSTP: case INSN_FSTP: case INSN_FLD: case INSN_FBLD:
        return memory_fault(&ours->outcome) && memory_fault(&host->outcome) && insn_mem_size(&c->in) == 1 &&
                       (fields & ~(u32)(DIFF_MEMORY | DIFF_OUTCOME)) == 0
                   ? EXPLAIN_TEN_BYTES
                   : EXPLAIN_NONE;
    case INSN_PUSHA: case INSN_PUSHAD: case INSN_POPA: case INSN_POPAD:
        return memory_fault(&ours->outcome) && memory_fault(&host->outcome) &&
                       (fields & ~(u32)(DIFF_MEMORY | DIFF_GPR)) == 0
                   ? EXPLAIN_PUSHA
                   : EXPLAIN_NONE;
    case INSN_VGATHERDPS: case INSN_VGATHERQPS: case INSN_VPGATHERDD: case INSN_VPGATHERQD:
        return memory_fault(&host->outcome) && fields == DIFF_VECTOR &&
                       gathered_further(c, &ours->end, &host->end, 4)
                   ? EXPLAIN_GATHER
                   : EXPLAIN_NONE;
    case INSN_VGATHERDPD: case INSN_VGATHERQPD: case INSN_VPGATHERDQ: case INSN_VPGATHERQQ:
        return memory_fault(&host->outcome) && fields == DIFF_VECTOR &&
                       gathered_further(c, &ours->end, &host->end, 8)
                   ? EXPLAIN_GATHER
                   : EXPLAIN_NONE;
    case INSN_VCVTPS2PH:
        return both_faulted(ours, host) && fields == DIFF_MXCSR ? EXPLAIN_PS2PH : EXPLAIN_NONE;
    default:
        return EXPLAIN_NONE;
    }
}

/* An MMX instruction's TOP = 0 (and valid tags) remained of one that faulted. */
static bool left_x87(const struct diff_case *c, const struct diff_result *host)
{
    struct native_fx begun = c->start.fx;
    unsigned top = begun.fsw >> 11 & 7;
    begun.fsw = (u16)(begun.fsw & ~(unsigned)FSW_TOP);
    for (unsigned i = 0; i < 8; i++) { /* ST(i) of the new TOP: physical register i */
        memcpy(begun.st[i], c->start.fx.st[(i + 8 - top) & 7], 10);
    }
    bool mmx = insn_rows[insn_id(&c->in)].unit == UNIT_MMX; /* or a row that has forms of both kinds */
    for (unsigned i = 0; i < 2; i++) {
        mmx = mmx || (c->in.r[i] >= OPR_MMX && c->in.r[i] < OPR_ST);
    }
    if (mmx && same_x87(&begun, &host->end.fx)) {
        return true;
    }
    begun.tags = 0xff;
    return mmx && same_x87(&begun, &host->end.fx);
}

enum explanation explain(const struct diff_case *c, const struct diff_result *ours,
                         const struct diff_result *host, u32 fields)
{
    unsigned id = insn_id(&c->in);
    const struct insn_row *row = &insn_rows[id];
    if (is_state_image(id)) {
        return explain_state_image(c, ours, host, fields);
    }
    bool mmx = (fields & DIFF_X87) != 0 && both_faulted(ours, host) && left_x87(c, host);
    fields &= mmx ? ~(u32)DIFF_X87 : ~(u32)0;
    if (fields == 0) {
        return EXPLAIN_MMX_STORE;
    }
    if (is_masked_move(id)) {
        enum explanation e = explain_masked_move(c, ours, host, fields);
        if (e != EXPLAIN_NONE) {
            return e;
        }
    }
    if (row->block == BLOCK_STRING && fields == DIFF_GPR && both_faulted(ours, host) &&
        only_zero_extended(c, &ours->end, &host->end)) {
        return EXPLAIN_REP_UPPER;
    }
    if (fields == DIFF_OUTCOME && host->outcome.vector == VEC_AC && memory_fault(&ours->outcome)) {
        return EXPLAIN_AC_ORDER;
    }
    if (c->compat && (fields & ~(u32)(DIFF_X87 | DIFF_MXCSR)) == DIFF_OUTCOME && host->outcome.vector == VEC_PF && host->outcome.cr2 >= 0xfffff000u &&
        (ours->outcome.vector == VEC_GP || ours->outcome.vector == VEC_SS)) {
        return EXPLAIN_WRAP;
    }
    return explain_by_row(c, ours, host, fields);
}
