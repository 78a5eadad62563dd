/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sets registers and displacements so that memory operands meet the window, its edges, and now and
 * then nothing, and puts something worth reading there. */
#include "abi/x86/fpu.h"
#include "cpu/exec/exec.h"
#include "tests/diff/diff.h"

#include <string.h>

/* ---- Memory ---- */

void poke_window(u64 lin, const void *data, unsigned size)
{
    if (lin - WINDOW >= WINDOW_BYTES) {
        return;
    }
    u64 at = lin - WINDOW;
    u64 room = WINDOW_BYTES - at;
    u64 n = size < room ? size : room;
    memcpy(host_window() + at, data, n);
    for (unsigned i = 0; i < GUESTS; i++) {
        memcpy(guest_window(i) + at, data, n);
    }
}

void fill_window(struct rng *r)
{
    static u8 content[WINDOW_BYTES];
    for (unsigned at = 0; at < WINDOW_BYTES; at += 64) {
        if (rng_one_in(r, 4)) {
            memset(content + at, rng_one_in(r, 2) ? 0 : (u8)rng_next(r), 64);
        } else {
            random_vector(r, content + at, 64);
        }
    }
    poke_window(WINDOW, content, sizeof content);
}

static u64 pick_target(struct rng *r, unsigned size)
{
    u64 v = rng_next(r), small = v >> 32;
    unsigned room = size < 64 ? 64 : size;
    switch (v & 31) {
    case 0: return WINDOW + 4096 - small % room;          /* across two writable pages */
    case 1: return WINDOW + 4096 - small % (room / 8 + 1);
    case 2: return WINDOW + WINDOW_WRITABLE - small % room; /* into the read-only page */
    case 3: return WINDOW + WINDOW_WRITABLE + small % 4096;
    case 4: return WINDOW + WINDOW_BYTES - small % room;  /* off the end */
    case 5: return WINDOW - small % 64;
    case 6:
        switch (small & 7) {
        case 0: return 0x0000800000000000u - (small >> 3) % 80;
        case 1: return 0xffff800000000000u - (small >> 3) % 80;
        case 2: return (small >> 3) % 64;
        case 3: return 0 - (small >> 3) % 80;
        case 4: return 0x100000000u - (small >> 3) % 80;
        case 5: return rng_next(r);
        default: return WINDOW + small % WINDOW_WRITABLE;
        }
    case 7: case 8: case 9: case 10: case 11: return WINDOW + small % WINDOW_WRITABLE;
    case 12: case 13: return WINDOW + (small % WINDOW_WRITABLE & ~(u64)7);
    default: return WINDOW + (small % (WINDOW_WRITABLE - room) & ~(u64)63);
    }
}

/* ---- Memory images of state ---- */

static void put_fxsave(struct rng *r, u8 *image)
{
    struct native_fx fx;
    memset(&fx, 0, sizeof fx);
    random_fx(r, &fx);
    fx.mxcsr = rng_one_in(r, 16) ? (u32)rng_next(r) : random_mxcsr(r);
    memcpy(image, &fx, sizeof fx);
    random_vector(r, image + FXSAVE_XMM, 256);
    if (rng_one_in(r, 4)) {
        random_vector(r, image + 416, 96);
    }
}

static void put_xsave(struct rng *r, u8 image[1024])
{
    memset(image, 0, 1024);
    put_fxsave(r, image);
    store_le64(image + XSAVE_HEADER, rng_below(r, 8));
    if (rng_one_in(r, 3)) {
        u64 have = load_le64(image + XSAVE_HEADER);
        store_le64(image + XSAVE_HEADER + 8, XCOMP_BV_COMPACT | have | rng_below(r, 8));
    }
    if (rng_one_in(r, 16)) {
        /* Not the components that the host may have beyond ours. */
        unsigned at = rng_below(r, 64);
        image[XSAVE_HEADER + (at % 8 < 3 && at < 16 ? 3 + at : at)] = (u8)rng_next(r);
    }
    random_vector(r, image + XSAVE_EXTENDED, 256);
}

static void put_environment(struct rng *r, u8 image[128])
{
    struct native_fx fx;
    memset(&fx, 0, sizeof fx);
    random_fx(r, &fx);
    memset(image, 0, 28);
    store_le32(image, fx.fcw | (rng_one_in(r, 4) ? (u32)rng_next(r) << 16 : 0xffff0000u));
    store_le32(image + 4, fx.fsw | 0xffff0000u);
    store_le32(image + 8, (u32)rng_next(r));
    store_le32(image + 12, fx.fip & 0xffffffffu);
    store_le32(image + 16, (u32)fx.fop << 16);
    store_le32(image + 20, fx.fdp & 0xffffffffu);
    for (unsigned i = 0; i < 8; i++) {
        random_extended(r, image + 28 + 10 * i);
    }
    if (rng_one_in(r, 8)) {
        store_le64(image + 8 * rng_below(r, 3), rng_next(r));
    }
}

static u64 jump_target(struct rng *r)
{
    switch (rng_below(r, 4)) {
    case 0: return WINDOW + rng_below(r, 4096);
    case 1: return rng_next(r);
    case 2: return 0x12345678u + rng_below(r, 4096);
    default: return 0x0000800000000000u - 4 + rng_below(r, 8);
    }
}

/* What lies at the operand. */
static void poke_operand(struct rng *r, const struct diff_case *c)
{
    const struct insn *in = &c->in;
    const u64 *gpr = c->start.gpr;
    u64 target = c->target;
    u8 data[1024];
    unsigned size = 64;
    unsigned id = insn_id(in);
    unsigned unit = insn_rows[id].unit;
    switch (id) {
    case INSN_FXRSTOR: case INSN_FXRSTOR64:
        put_fxsave(r, data);
        size = 512;
        break;
    case INSN_XRSTOR: case INSN_XRSTOR64:
        put_xsave(r, data);
        size = 1024;
        break;
    case INSN_XSAVE: case INSN_XSAVE64: case INSN_XSAVEOPT: case INSN_XSAVEOPT64:
        memset(data, 0, sizeof data);
        store_le64(data + 512, rng_below(r, 8));
        size = rng_one_in(r, 2) ? 1024 : 64;
        break;
    case INSN_FLDENV: case INSN_FRSTOR:
        put_environment(r, data);
        size = 108;
        break;
    case INSN_FLDCW:
        store_le64(data, rng_one_in(r, 2) ? rng_next(r) : 0x37f ^ (rng_next(r) & 0xf00));
        size = 8;
        break;
    case INSN_LDMXCSR: case INSN_VLDMXCSR:
        store_le64(data, rng_one_in(r, 16) ? rng_next(r) : random_mxcsr(r));
        size = 8;
        break;
    case INSN_JMP: case INSN_CALL:
        store_le64(data, jump_target(r));
        size = 8;
        break;
    case INSN_CMPXCHG: case INSN_CMPXCHG8B: case INSN_CMPXCHG16B:
        store_le64(data, id == INSN_CMPXCHG8B ? (u32)gpr[RAX] | gpr[RDX] << 32 : gpr[RAX]);
        store_le64(data + 8, gpr[RDX]);
        size = rng_one_in(r, 2) ? 16 : 4;
        break;
    case INSN_FBLD:
        for (unsigned i = 0; i < 10; i++) {
            data[i] = rng_one_in(r, 32) ? (u8)rng_next(r) : (u8)(rng_below(r, 10) << 4 | rng_below(r, 10));
        }
        data[9] &= 0x80;
        size = 10;
        break;
    default:
        if (unit == UNIT_X87 && rng_one_in(r, 2)) {
            random_extended(r, data);
            size = 10;
        } else if (unit == UNIT_NONE) {
            store_le64(data, random_integer(r));
            store_le64(data + 8, random_integer(r));
            size = 16;
        } else {
            random_vector(r, data, size);
        }
        break;
    }
    poke_window(target, data, size);
}

/* ---- Operands ---- */

static void put_low(u64 *reg, u64 v, unsigned asize, struct rng *r)
{
    *reg = asize == 8 ? v : (u64)(u32)v | (rng_one_in(r, 2) ? 0 : rng_next(r) << 32);
}

/* Disp32 of this insn: behind ModRM and SIB; 0: unknown. */
static unsigned disp_at(const struct diff_case *c, unsigned modrm_at)
{
    return modrm_at == 0 ? 0 : modrm_at + 1 + ((c->bytes[modrm_at] & 7) == 4);
}

static void patch_disp(struct diff_case *c, unsigned at, u64 v)
{
    if ((u64)(i64)(i32)v == v && at != 0 && at + 4u <= c->len) {
        store_le32(c->bytes + at, (u32)v);
        c->patched = true;
        c->in.disp = (i32)v;
    }
}

static void aim_vsib(struct generator *g, struct diff_case *c, const struct form *f, u64 target)
{
    struct rng *r = &g->rng;
    bool quads = strncmp(insn_rows[f->id].name, "VPGATHERQ", 9) == 0 ||
                 strncmp(insn_rows[f->id].name, "VGATHERQ", 8) == 0;
    u8 *v = c->start.vec[c->in.index & 15];
    unsigned scale = c->in.sib & 3;
    for (unsigned i = 0; i < 32; i += quads ? 8 : 4) {
        i64 index = (i64)rng_below(r, 2048) - 1024;
        index = rng_one_in(r, 24) ? (i64)rng_next(r) : index >> scale;
        if (quads) {
            store_le64(v + i, (u64)index);
        } else {
            store_le32(v + i, (u32)index);
        }
    }
    if (c->in.base < 16) {
        c->start.gpr[c->in.base] = target - (u64)(i64)c->in.disp;
    }
}

void aim_memory(struct generator *g, struct diff_case *c, const struct form *f, unsigned modrm_at)
{
    struct rng *r = &g->rng;
    struct insn *in = &c->in;
    unsigned asize = insn_asize(in), scale = in->sib & 3;
    u64 seg_base = insn_seg(in) == SEG_FS ? c->start.fs_base : insn_seg(in) == SEG_GS ? c->start.gs_base : 0;
    unsigned size = insn_mem_size(in) > 1 ? insn_mem_size(in) : insn_rows[insn_id(in)].unit == UNIT_NONE ? 8 : 32;
    u64 target = pick_target(r, size);
    u64 ea = target - (c->compat ? 0 : seg_base);
    u64 *gpr = c->start.gpr;
    if (c->compat && (insn_seg(in) == SEG_FS || insn_seg(in) == SEG_GS) && rng_one_in(r, 4)) {
        ea = rng_below(r, 3); /* a null selector: not even its first byte */
    }
    if (f != NULL && f->vsib) {
        aim_vsib(g, c, f, ea);
    } else if (in->base == REG_RIP) {
        patch_disp(c, disp_at(c, modrm_at), ea - (c->start.rip + c->len));
    } else if (in->base < 16 && in->index == in->base) {
        u64 factor = 1 + ((u64)1 << scale);
        put_low(&gpr[in->base], (ea - (u64)(i64)in->disp) / factor, asize, r);
    } else if (in->base < 16) {
        u64 index = 0;
        if (in->index < 16) {
            index = rng_one_in(r, 2) ? rng_below(r, 256) : random_integer(r);
            put_low(&gpr[in->index], index, asize, r);
            index = gpr[in->index];
        }
        put_low(&gpr[in->base], ea - (u64)(i64)in->disp - (index << scale), asize, r);
    } else if (in->index < 16) {
        u64 index = rng_below(r, 1 << 20);
        put_low(&gpr[in->index], index, asize, r);
        patch_disp(c, disp_at(c, modrm_at), ea - (gpr[in->index] << scale));
    } else if (f != NULL && !f->has_modrm) { /* moffs */
        in->disp = (i32)ea;
        c->patched = true;
        store_le(c->bytes + c->len - asize, ea & size_mask(asize), asize);
    } else {
        patch_disp(c, disp_at(c, modrm_at), ea);
    }
    c->target = asize == 4 && !c->compat && seg_base == 0 ? (u32)target : target;
    poke_operand(r, c);
}

bool uses_memory(const struct insn *in)
{
    for (unsigned i = 0; i < 4; i++) {
        if (in->r[i] == OPR_MEM) {
            return true;
        }
    }
    return false;
}

static void aim_string(struct generator *g, struct diff_case *c)
{
    struct rng *r = &g->rng;
    u64 *gpr = c->start.gpr;
    unsigned asize = insn_asize(&c->in);
    put_low(&gpr[RSI], pick_target(r, 64), asize, r);
    put_low(&gpr[RDI], pick_target(r, 64), asize, r);
    if (rng_one_in(r, 4)) { /* overlap */
        put_low(&gpr[RDI], gpr[RSI] + rng_below(r, 64) - 32, asize, r);
    }
    if (rng_one_in(r, 2)) { /* something to find or to be equal to */
        u64 v = gpr[RAX];
        u8 data[64];
        for (unsigned i = 0; i < 8; i++) {
            store_le64(data + 8 * i, v);
        }
        poke_window(gpr[RSI] & 0xffffffff, data, sizeof data);
        poke_window(gpr[RDI] & 0xffffffff, data, 8 * (1 + rng_below(r, 8)));
    }
    u64 count = rng_below(r, 8) != 0 ? rng_below(r, 40) : rng_one_in(r, 4) ? random_integer(r) : rng_below(r, 3000);
    put_low(&gpr[RCX], count, asize, r);
}

/* Registers that the row uses without naming them. */
void aim_implicit(struct generator *g, struct diff_case *c)
{
    struct rng *r = &g->rng;
    struct insn *in = &c->in;
    u64 *gpr = c->start.gpr;
    const struct insn_row *row = &insn_rows[insn_id(in)];
    unsigned asize = insn_asize(in);
    switch (insn_id(in)) {
    case INSN_PUSH: case INSN_POP: case INSN_PUSHF: case INSN_PUSHFD: case INSN_PUSHFQ: case INSN_POPF:
    case INSN_POPFD: case INSN_POPFQ: case INSN_PUSHA: case INSN_PUSHAD: case INSN_POPA: case INSN_POPAD:
    case INSN_ENTER:
        gpr[RSP] = pick_target(r, 64);
        if (insn_id(in) == INSN_ENTER) {
            gpr[RBP] = pick_target(r, 64);
        } else if (row->icpt == ICPT_POPF) {
            u64 flags = rng_next(r) & ~(u64)RFLAGS_TF;
            poke_window(gpr[RSP], &flags, 8);
        }
        break;
    case INSN_CALL: case INSN_RET: {
        u64 to = jump_target(r);
        gpr[RSP] = pick_target(r, 64);
        poke_window(gpr[RSP], &to, 8);
        if (in->r[0] < 16) {
            gpr[in->r[0]] = to;
        }
        break;
    }
    case INSN_JMP:
        if (in->r[0] < 16) {
            gpr[in->r[0]] = jump_target(r);
        }
        break;
    case INSN_LEAVE:
        gpr[RBP] = pick_target(r, 64);
        break;
    case INSN_XLAT:
        put_low(&gpr[RBX], pick_target(r, 1) - (gpr[RAX] & 0xff), asize, r);
        break;
    case INSN_MASKMOVDQU: case INSN_VMASKMOVDQU: case INSN_MASKMOVQ:
        put_low(&gpr[RDI], pick_target(r, 16), asize, r);
        break;
    case INSN_CMPXCHG:
        if (in->r[0] < 16 && rng_one_in(r, 2)) {
            gpr[in->r[0]] = gpr[RAX];
        }
        break;
    case INSN_BT: case INSN_BTS: case INSN_BTR: case INSN_BTC:
        if (in->r[1] < 16 && rng_below(r, 4) != 0) {
            gpr[in->r[1]] = rng_below(r, 512) - (u64)(rng_one_in(r, 3) ? 256 : 0);
        }
        break;
    case INSN_DIV:
        if (rng_below(r, 4) != 0) {
            gpr[RDX] = rng_below(r, 4);
            gpr[RAX] = in->osz == 1 ? gpr[RAX] & ~(u64)0xff00 : gpr[RAX];
        }
        break;
    case INSN_IDIV:
        if (rng_below(r, 4) != 0) {
            unsigned shift = 64 - 8u * in->osz;
            gpr[RDX] = (u64)((i64)(gpr[RAX] << shift) >> 63) + (rng_one_in(r, 8) ? 1 : 0);
            if (in->osz == 1) {
                gpr[RAX] = (u64)(i64)(i8)gpr[RAX];
            }
        }
        break;
    case INSN_SHL: case INSN_SHR: case INSN_SAR: case INSN_ROL: case INSN_ROR: case INSN_RCL: case INSN_RCR:
    case INSN_SHLD: case INSN_SHRD:
        if (rng_one_in(r, 2)) {
            gpr[RCX] = (gpr[RCX] & ~(u64)0xff) | rng_below(r, 70);
        }
        break;
    case INSN_LOOP: case INSN_LOOPE: case INSN_LOOPNE: case INSN_JCXZ: case INSN_JECXZ: case INSN_JRCXZ:
        if (rng_one_in(r, 2)) {
            put_low(&gpr[RCX], rng_below(r, 3), rng_one_in(r, 2) ? 8 : 4, r);
        }
        break;
    case INSN_PCMPESTRI: case INSN_PCMPESTRM: case INSN_VPCMPESTRI: case INSN_VPCMPESTRM:
        if (rng_below(r, 4) != 0) {
            gpr[RAX] = rng_below(r, 40) - (u64)20;
            gpr[RDX] = rng_below(r, 40) - (u64)20;
        }
        break;
    case INSN_BEXTR:
        gpr[in->r[2] & 15] = rng_next(r) & 0x3f3f;
        break;
    case INSN_BZHI:
        gpr[in->r[2] & 15] = rng_below(r, 80);
        break;
    case INSN_WRFSBASE: case INSN_WRGSBASE:
        if (in->r[0] < 16 && rng_below(r, 4) != 0) {
            gpr[in->r[0]] = WINDOW + rng_below(r, 8192);
        }
        break;
    default:
        if (strncmp(row->name, "XSAVE", 5) == 0 || strncmp(row->name, "XRSTOR", 6) == 0) {
            gpr[RAX] &= 7; /* the components we model; the host has more */
            gpr[RDX] = 0;
        }
        if (row->block == BLOCK_STRING && !(in->r[0] >= OPR_VEC && in->r[0] < OPR_MMX) &&
            !(in->r[1] >= OPR_VEC && in->r[1] < OPR_MMX)) {
            aim_string(g, c);
        }
        break;
    }
}

