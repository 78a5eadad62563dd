/* SPDX-License-Identifier: GPL-3.0-or-later */
/* FXSAVE, FXRSTOR, the XSAVE family. [SDM1 "Managing State Using the XSAVE Feature Set"]
 *
 * Components: x87, SSE, AVX, BNDREGS, BNDCSR, PKRU, CET_U, CET_S.
 *
 * Init optimisation: a component is in use exactly when its contents differ from the initial ones;
 * XSAVEOPT, XSAVEC and XSAVES then leave its bytes alone. Modified optimisation: never taken,
 * every component in use is written. Both are permitted and depend on nothing but register
 * contents.
 *
 * Bytes that the manuals call reserved or available are neither read nor written. All that may be written
 * is probed before the first byte is, so a fault leaves the area as it was. The manuals do not say in which
 * order an area's bytes are tried; here, as on Intel's chips, the last one comes first.
 *
 * UNCLEAR: FXSAVE with CR0.EM = 1: newer SDM texts say #UD, older ones and the APM #NM; #NM here
 * (the unit of the rows). */
#include "abi/x86/fpu.h"
#include "cpu/exec/exec_system.h"
#include "cpu/exec/x87.h"
#include "cpu/model.h"

#define COMPONENTS 13u /* numbers below this exist in some model */
#define AREA_MAX 4096u

/* Offset of component `bit` in an area whose compacted format holds `mask`. */
static unsigned component_offset(const struct cpu *cpu, u64 mask, unsigned bit, bool compacted)
{
    struct xsave_component c;
    if (bit < XCR0_BIT_AVX) {
        return bit == XCR0_BIT_SSE ? FXSAVE_XMM : 0;
    }
    (void)xsave_component(cpu->model, bit, &c);
    if (!compacted) {
        return c.offset;
    }
    unsigned offset = xsave_size(cpu->model, mask & (BIT(bit) - 1), true);
    return c.align64 ? (unsigned)align_up(offset, 64) : offset;
}

static unsigned component_size(const struct cpu *cpu, unsigned bit)
{
    struct xsave_component c;
    return xsave_component(cpu->model, bit, &c) ? c.size : 0;
}

/* Bits of MXCSR that software may set. */
static u32 mxcsr_mask(const struct cpu *cpu)
{
    return MXCSR_MASK_VALID | (cpu_has(cpu, CPU_FEATURE_MISALIGNSSE) ? MXCSR_MASK_MM : 0u);
}

/* A memory area being saved or restored. */
struct area {
    struct cpu *cpu;
    unsigned seg;
    u64 offset;
    u64 wrap; /* address-size mask */
    bool ptr64; /* 64-bit FIP and FDP without selectors (REX.W) */
};

static struct area area_of(struct cpu *cpu, const struct insn *in)
{
    unsigned asize = insn_asize(in);
    return (struct area){.cpu = cpu,
                         .seg = insn_seg(in),
                         .offset = insn_offset(cpu, in),
                         .wrap = size_mask(asize),
                         .ptr64 = (in->pfx & PFX_REXW) != 0};
}

static MUST_USE cpu_rc area_write(const struct area *a, unsigned at, const void *data, unsigned size)
{
    return mem_write_image(a->cpu, a->seg, a->offset + at, a->wrap, data, size);
}

static MUST_USE cpu_rc area_read(const struct area *a, unsigned at, void *data, unsigned size)
{
    return mem_read_image(a->cpu, a->seg, a->offset + at, a->wrap, data, size);
}

static MUST_USE cpu_rc area_probe(const struct area *a, unsigned at, unsigned size, unsigned access)
{
    return mem_probe_image(a->cpu, a->seg, a->offset + at, a->wrap, size, access);
}

/* The area's own address, before anything of its bytes: segment and canonical form, then alignment. */
static MUST_USE cpu_rc area_check(const struct area *a, unsigned align)
{
    u64 lin = 0;
    TRY(mem_linear(a->cpu, a->seg, a->offset, 1, ACCESS_READ, &lin));
    return (lin & (align - 1)) == 0 ? CPU_OK : raise_gp(a->cpu, 0, "area not aligned");
}

static unsigned xmm_count(const struct cpu *cpu)
{
    return cpu->d.code64 ? 16 : 8;
}

/* ---- x87 ---------------------------------------------------------------------------------- */

/* AMD keeps the pointers out of the image unless an exception is pending. [APM2 "FXSAVE and FXRSTOR
 * Instructions"] */
static bool pointers_saved(const struct cpu *cpu)
{
    return cpu_is_intel(cpu) || (cpu->arch.fpu.fsw & FSW_ES) != 0;
}

static MUST_USE cpu_rc save_x87(const struct area *a)
{
    const struct fpu_state *f = &a->cpu->arch.fpu;
    u8 head[24] = {0};
    store_le16(head + FXSAVE_FCW, f->fcw);
    store_le16(head + FXSAVE_FSW, f->fsw);
    head[FXSAVE_FTW] = f->tags;
    store_le16(head + FXSAVE_FOP, f->fop);
    if (a->ptr64) {
        store_le64(head + FXSAVE_FIP, f->fip);
        store_le64(head + FXSAVE_FDP, f->fdp);
    } else {
        store_le32(head + FXSAVE_FIP, (u32)f->fip);
        store_le16(head + FXSAVE_FIP + 4, f->fcs);
        store_le32(head + FXSAVE_FDP, (u32)f->fdp);
        store_le16(head + FXSAVE_FDP + 4, f->fds);
    }
    u8 st[128] = {0};
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *r = x87_st_const(f, i);
        store_le64(st + 16 * i, r->mant);
        store_le16(st + 16 * i + 8, r->se);
    }
    TRY(area_write(a, 0, head, pointers_saved(a->cpu) ? sizeof head : FXSAVE_FOP));
    return area_write(a, FXSAVE_ST, st, sizeof st);
}

static void load_x87(struct cpu *cpu, const u8 *image, bool ptr64)
{
    struct fpu_state *f = &cpu->arch.fpu;
    f->fcw = (load_le16(image + FXSAVE_FCW) & FCW_VALID) | FCW_ONE;
    x87_set_status(cpu, load_le16(image + FXSAVE_FSW));
    f->tags = image[FXSAVE_FTW];
    if (pointers_saved(cpu)) {
        f->fop = load_le16(image + FXSAVE_FOP) & 0x7ff;
        if (ptr64) {
            f->fip = load_le64(image + FXSAVE_FIP);
            f->fdp = load_le64(image + FXSAVE_FDP);
            f->fcs = f->fds = 0;
        } else {
            f->fip = load_le32(image + FXSAVE_FIP);
            f->fdp = load_le32(image + FXSAVE_FDP);
            f->fcs = cpu_is_intel(cpu) ? 0 : load_le16(image + FXSAVE_FIP + 4);
            f->fds = cpu_is_intel(cpu) ? 0 : load_le16(image + FXSAVE_FDP + 4);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        struct f80 *r = x87_st(f, i);
        r->mant = load_le64(image + FXSAVE_ST + 16 * i);
        r->se = load_le16(image + FXSAVE_ST + 16 * i + 8);
    }
}

static bool x87_in_use(const struct fpu_state *f)
{
    bool used = f->fcw != FCW_INIT || f->fsw != 0 || f->tags != 0 || f->fop != 0 || f->fcs != 0 ||
                f->fds != 0 || f->fip != 0 || f->fdp != 0;
    for (unsigned i = 0; i < 8; i++) {
        used = used || f->r[i].mant != 0 || f->r[i].se != 0;
    }
    return used;
}

static void init_x87(struct cpu *cpu)
{
    x87_set_status(cpu, 0);
    cpu->arch.fpu = (struct fpu_state){.fcw = FCW_INIT};
}

/* ---- vectors ------------------------------------------------------------------------------ */

/* The low (0) or high (16) halves of the vector registers, one after another. */
static MUST_USE cpu_rc save_halves(const struct area *a, unsigned at, unsigned half)
{
    u8 data[256];
    unsigned n = xmm_count(a->cpu);
    for (unsigned i = 0; i < n; i++) {
        memcpy(data + 16 * i, a->cpu->arch.vec[i] + half, 16);
    }
    return area_write(a, at, data, 16 * n);
}

/* image NULL: the initial state, zeros. */
static void load_halves(struct cpu *cpu, const u8 *image, unsigned half)
{
    unsigned n = xmm_count(cpu);
    for (unsigned i = 0; i < n; i++) {
        if (image != NULL) {
            memcpy(cpu->arch.vec[i] + half, image + 16 * i, 16);
        } else {
            memset(cpu->arch.vec[i] + half, 0, 16);
        }
    }
}

/* Outside 64-bit mode the upper eight registers do not exist for these instructions. */
static bool halves_in_use(const struct cpu *cpu, unsigned half)
{
    static const u8 zero[16];
    unsigned n = xmm_count(cpu);
    for (unsigned i = 0; i < n; i++) {
        if (memcmp(cpu->arch.vec[i] + half, zero, 16) != 0) {
            return true;
        }
    }
    return false;
}

static MUST_USE cpu_rc save_mxcsr(const struct area *a)
{
    u8 data[8];
    store_le32(data, a->cpu->arch.mxcsr);
    store_le32(data + 4, mxcsr_mask(a->cpu));
    return area_write(a, FXSAVE_MXCSR, data, sizeof data);
}

static MUST_USE cpu_rc check_mxcsr(struct cpu *cpu, u32 value)
{
    if ((value & ~mxcsr_mask(cpu)) != 0) {
        return raise_gp(cpu, 0, "reserved bits of MXCSR");
    }
    return CPU_OK;
}

/* ---- FXSAVE, FXRSTOR ---------------------------------------------------------------------- */

/* [APM2 "Extended Feature Enable Register"]: FFXSR leaves XMM out at CPL 0 in 64-bit mode. */
static bool fxsave_has_xmm(const struct cpu *cpu)
{
    bool fast = (cpu->arch.efer & EFER_FFXSR) != 0 && cpu->d.code64 && cpu_cpl(cpu) == 0;
    return (cpu->arch.cr4 & CR4_OSFXSR) != 0 && !fast;
}

cpu_rc exec_fxsave(struct cpu *cpu, const struct insn *in)
{
    struct area a = area_of(cpu, in);
    TRY(area_check(&a, 16));
    TRY(area_probe(&a, FXSAVE_SIZE - 1, 1, ACCESS_WRITE));
    TRY(area_probe(&a, 0, FXSAVE_SIZE, ACCESS_WRITE));
    TRY(save_x87(&a));
    if ((cpu->arch.cr4 & CR4_OSFXSR) != 0) {
        TRY(save_mxcsr(&a));
    }
    if (fxsave_has_xmm(cpu)) {
        TRY(save_halves(&a, FXSAVE_XMM, 0));
    }
    return CPU_OK;
}

cpu_rc exec_fxrstor(struct cpu *cpu, const struct insn *in)
{
    struct area a = area_of(cpu, in);
    u8 image[FXSAVE_SIZE];
    TRY(area_check(&a, 16));
    TRY(area_probe(&a, FXSAVE_SIZE - 1, 1, ACCESS_READ));
    TRY(area_read(&a, 0, image, sizeof image));
    bool sse = (cpu->arch.cr4 & CR4_OSFXSR) != 0;
    u32 mxcsr = load_le32(image + FXSAVE_MXCSR);
    if (sse) {
        TRY(check_mxcsr(cpu, mxcsr));
        cpu->arch.mxcsr = mxcsr;
    }
    load_x87(cpu, image, a.ptr64);
    if (fxsave_has_xmm(cpu)) {
        load_halves(cpu, image + FXSAVE_XMM, 0);
    }
    return CPU_OK;
}

/* ---- XSAVE family ------------------------------------------------------------------------- */

/* Checks common to all of them; `rfbm` gets the requested-feature bitmap. */
static MUST_USE cpu_rc xsave_begin(struct cpu *cpu, const struct insn *in, bool supervisor, u64 *rfbm,
                                   struct area *a)
{
    if ((cpu->arch.cr4 & CR4_OSXSAVE) == 0) {
        return raise_ud(cpu, "CR4.OSXSAVE = 0");
    }
    if ((cpu->arch.cr0 & CR0_TS) != 0) {
        return raise_nm(cpu);
    }
    if (supervisor && cpu_cpl(cpu) != 0) {
        return raise_gp(cpu, 0, "XSAVES, XRSTORS: CPL > 0");
    }
    u64 enabled = cpu->arch.xcr0 | (supervisor ? cpu->arch.xss : 0);
    *rfbm = enabled & ((cpu->arch.gpr[RDX] << 32) | (u32)cpu->arch.gpr[RAX]);
    *a = area_of(cpu, in);
    return area_check(a, 64);
}

static bool bounds_in_use(const struct cpu *cpu)
{
    u64 any = 0;
    for (unsigned i = 0; i < 4; i++) {
        any |= cpu->arch.mpx.bnd[i][0] | cpu->arch.mpx.bnd[i][1];
    }
    return any != 0;
}

static bool component_in_use(const struct cpu *cpu, unsigned bit)
{
    const struct cpu_arch *s = &cpu->arch;
    switch (bit) {
    case XCR0_BIT_X87: return x87_in_use(&s->fpu);
    case XCR0_BIT_SSE: return halves_in_use(cpu, 0);
    case XCR0_BIT_AVX: return halves_in_use(cpu, 16);
    case XCR0_BIT_BNDREGS: return bounds_in_use(cpu);
    case XCR0_BIT_BNDCSR: return (s->mpx.cfgu | s->mpx.status) != 0;
    case XCR0_BIT_PKRU: return s->pkru != 0;
    case XSS_BIT_CET_U: return (s->u_cet | s->pl_ssp[3]) != 0;
    case XSS_BIT_CET_S: return (s->pl_ssp[0] | s->pl_ssp[1] | s->pl_ssp[2]) != 0;
    default: return false;
    }
}

u64 xsave_in_use(const struct cpu *cpu)
{
    u64 mask = 0;
    for (unsigned i = 0; i < COMPONENTS; i++) {
        mask |= component_in_use(cpu, i) ? BIT(i) : 0;
    }
    return mask;
}

static MUST_USE cpu_rc save_component(const struct area *a, unsigned bit, unsigned at)
{
    const struct cpu_arch *s = &a->cpu->arch;
    u8 data[64] = {0};
    switch (bit) {
    case XCR0_BIT_X87: return save_x87(a);
    case XCR0_BIT_SSE: return save_halves(a, at, 0);
    case XCR0_BIT_AVX: return save_halves(a, at, 16);
    case XCR0_BIT_BNDREGS:
        for (unsigned i = 0; i < 8; i++) {
            store_le64(data + 8 * i, s->mpx.bnd[i / 2][i % 2]);
        }
        break;
    case XCR0_BIT_BNDCSR: /* the rest is reserved */
        store_le64(data, s->mpx.cfgu);
        store_le64(data + 8, s->mpx.status);
        return area_write(a, at, data, 16);
    case XCR0_BIT_PKRU: store_le32(data, s->pkru); break;
    case XSS_BIT_CET_U:
        store_le64(data, s->u_cet);
        store_le64(data + 8, s->pl_ssp[3]);
        break;
    case XSS_BIT_CET_S:
        for (unsigned i = 0; i < 3; i++) {
            store_le64(data + 8 * i, s->pl_ssp[i]);
        }
        break;
    default: return CPU_OK;
    }
    return area_write(a, at, data, component_size(a->cpu, bit));
}

/* The components `asked` of an area that holds `held` (which says where they are, in the compacted format), touched whether anything of them is moved or
 * not: the last byte first, then from low to high. What is not asked for need not be there, except for the header.
 * [SDM1 "Memory Access by the XSAVE Feature Set"] */
static MUST_USE cpu_rc probe_parts(const struct area *a, u64 asked, u64 held, bool compact, unsigned access)
{
    unsigned last = XSAVE_HEADER + XSAVE_HEADER_SIZE - 1;
    for (unsigned i = XCR0_BIT_AVX; i < COMPONENTS; i++) {
        if ((asked & BIT(i)) != 0) {
            last = component_offset(a->cpu, held, i, compact) + component_size(a->cpu, i) - 1;
        }
    }
    TRY(area_probe(a, last, 1, access));
    if ((asked & XCR0_X87) != 0) {
        TRY(area_probe(a, 0, FXSAVE_MXCSR, access));
        TRY(area_probe(a, FXSAVE_ST, 128, access));
    }
    if ((asked & (compact ? XCR0_SSE : XCR0_SSE | XCR0_AVX)) != 0) { /* see xsave() */
        TRY(area_probe(a, FXSAVE_MXCSR, 8, access));
    }
    if ((asked & XCR0_SSE) != 0) {
        TRY(area_probe(a, FXSAVE_XMM, 16 * xmm_count(a->cpu), access));
    }
    TRY(area_probe(a, XSAVE_HEADER, 16, access));
    for (unsigned i = XCR0_BIT_AVX; i < COMPONENTS; i++) {
        if ((asked & BIT(i)) != 0) {
            TRY(area_probe(a, component_offset(a->cpu, held, i, compact), component_size(a->cpu, i), access));
        }
    }
    return CPU_OK;
}

enum xsave_kind { KIND_XSAVE, KIND_XSAVEOPT, KIND_XSAVEC, KIND_XSAVES };

static cpu_rc xsave(struct cpu *cpu, const struct insn *in, enum xsave_kind kind)
{
    struct area a;
    u64 rfbm = 0;
    bool compact = kind == KIND_XSAVEC || kind == KIND_XSAVES;
    TRY(xsave_begin(cpu, in, kind == KIND_XSAVES, &rfbm, &a));
    TRY(probe_parts(&a, rfbm, rfbm, compact, ACCESS_WRITE));

    u64 inuse = xsave_in_use(cpu);
    if (compact && cpu->arch.mxcsr != MXCSR_INIT) {
        inuse |= XCR0_SSE; /* MXCSR belongs to SSE in the compacted format */
    }
    u64 write = kind == KIND_XSAVE ? rfbm : rfbm & inuse;
    if (compact ? (write & XCR0_SSE) != 0 : (rfbm & (XCR0_SSE | XCR0_AVX)) != 0) {
        TRY(save_mxcsr(&a));
    }
    for (unsigned i = 0; i < COMPONENTS; i++) {
        if ((write & BIT(i)) != 0) {
            TRY(save_component(&a, i, component_offset(cpu, rfbm, i, compact)));
        }
    }

    u8 header[16];
    if (compact) {
        store_le64(header, rfbm & inuse);
        store_le64(header + 8, rfbm | XCOMP_BV_COMPACT);
        return area_write(&a, XSAVE_HEADER, header, 16);
    }
    TRY(area_read(&a, XSAVE_HEADER, header, 8));
    store_le64(header, (load_le64(header) & ~rfbm) | (rfbm & inuse));
    return area_write(&a, XSAVE_HEADER, header, 8);
}

cpu_rc exec_xsave(struct cpu *cpu, const struct insn *in)
{
    return xsave(cpu, in, KIND_XSAVE);
}

cpu_rc exec_xsaveopt(struct cpu *cpu, const struct insn *in)
{
    return xsave(cpu, in, KIND_XSAVEOPT);
}

cpu_rc exec_xsavec(struct cpu *cpu, const struct insn *in)
{
    return xsave(cpu, in, KIND_XSAVEC);
}

cpu_rc exec_xsaves(struct cpu *cpu, const struct insn *in)
{
    return xsave(cpu, in, KIND_XSAVES);
}

/* [SDM1 "Standard Form of XRSTOR", "Compacted Form of XRSTOR", "Operation of XRSTORS"] */
static MUST_USE cpu_rc check_header(struct cpu *cpu, const u8 *header, bool supervisor)
{
    u64 xstate_bv = load_le64(header);
    u64 xcomp_bv = load_le64(header + 8);
    u64 enabled = cpu->arch.xcr0 | (supervisor ? cpu->arch.xss : 0);
    u64 reserved = 0;
    if ((xcomp_bv & XCOMP_BV_COMPACT) == 0 || !cpu_has(cpu, CPU_FEATURE_XSAVEC)) {
        if (supervisor) {
            return raise_gp(cpu, 0, "XRSTORS: XCOMP_BV[63] = 0");
        }
        if ((xstate_bv & ~enabled) != 0) {
            return raise_gp(cpu, 0, "XRSTOR: XSTATE_BV has a component that XCR0 does not enable");
        }
        reserved = xcomp_bv | load_le64(header + 16);
    } else {
        if ((xcomp_bv & ~XCOMP_BV_COMPACT & ~enabled) != 0) {
            return raise_gp(cpu, 0, "XRSTOR: XCOMP_BV has a component that is not enabled");
        }
        if ((xstate_bv & ~xcomp_bv) != 0 || (xstate_bv & XCOMP_BV_COMPACT) != 0) {
            return raise_gp(cpu, 0, "XRSTOR: XSTATE_BV has a component that XCOMP_BV lacks");
        }
        for (unsigned i = 16; i < XSAVE_HEADER_SIZE; i += 8) {
            reserved |= load_le64(header + i);
        }
    }
    return reserved != 0 ? raise_gp(cpu, 0, "XRSTOR: reserved bytes of the header") : CPU_OK;
}

/* Values a WRMSR would refuse. [SDM1 "Operation of XRSTORS"] */
static MUST_USE cpu_rc check_component(struct cpu *cpu, unsigned bit, const u8 *image)
{
    bool bad = false;
    if (bit == XSS_BIT_CET_U) {
        u64 cet = load_le64(image);
        u64 ssp = load_le64(image + 8);
        bad = (cet & 0x3c0) != 0 || (cet & 0xc00) == 0xc00 || !lin_is_canonical(cpu, cet) ||
              (ssp & 3) != 0 || !lin_is_canonical(cpu, ssp);
    } else if (bit == XSS_BIT_CET_S) {
        for (unsigned i = 0; i < 3; i++) {
            u64 ssp = load_le64(image + 8 * i);
            bad = bad || (ssp & 3) != 0 || !lin_is_canonical(cpu, ssp);
        }
    }
    return bad ? raise_gp(cpu, 0, "XRSTORS: reserved value of a CET register") : CPU_OK;
}

/* image NULL: the initial state. */
static void load_component(struct cpu *cpu, unsigned bit, const u8 *image, bool ptr64)
{
    static const u8 zero[64];
    struct cpu_arch *s = &cpu->arch;
    const u8 *data = image != NULL ? image : zero;
    switch (bit) {
    case XCR0_BIT_X87:
        if (image != NULL) {
            load_x87(cpu, image, ptr64);
        } else {
            init_x87(cpu);
        }
        break;
    case XCR0_BIT_SSE: load_halves(cpu, image, 0); break;
    case XCR0_BIT_AVX: load_halves(cpu, image, 16); break;
    case XCR0_BIT_BNDREGS:
        for (unsigned i = 0; i < 8; i++) {
            s->mpx.bnd[i / 2][i % 2] = load_le64(data + 8 * i);
        }
        break;
    case XCR0_BIT_BNDCSR:
        s->mpx.cfgu = load_le64(data);
        s->mpx.status = load_le64(data + 8);
        break;
    case XCR0_BIT_PKRU: s->pkru = load_le32(data); break;
    case XSS_BIT_CET_U:
        s->u_cet = load_le64(data);
        s->pl_ssp[3] = load_le64(data + 8);
        break;
    case XSS_BIT_CET_S:
        for (unsigned i = 0; i < 3; i++) {
            s->pl_ssp[i] = load_le64(data + 8 * i);
        }
        break;
    default: break;
    }
}

static cpu_rc xrstor(struct cpu *cpu, const struct insn *in, bool supervisor)
{
    struct area a = {0};
    u64 rfbm = 0;
    u8 image[AREA_MAX];
    TRY(xsave_begin(cpu, in, supervisor, &rfbm, &a));
    TRY(area_probe(&a, XSAVE_HEADER + 8, 1, ACCESS_READ)); /* XCOMP_BV first, as chips do */
    TRY(area_read(&a, XSAVE_HEADER, image + XSAVE_HEADER, XSAVE_HEADER_SIZE));
    u64 xstate_bv = load_le64(image + XSAVE_HEADER);
    u64 xcomp_bv = load_le64(image + XSAVE_HEADER + 8);
    bool compact = (xcomp_bv & XCOMP_BV_COMPACT) != 0;
    if (compact) {
        TRY(check_header(cpu, image + XSAVE_HEADER, supervisor));
        TRY(probe_parts(&a, rfbm & xcomp_bv, xcomp_bv, true, ACCESS_READ));
    } else { /* the other way round */
        TRY(supervisor ? CPU_OK : probe_parts(&a, rfbm, rfbm, false, ACCESS_READ));
        TRY(check_header(cpu, image + XSAVE_HEADER, supervisor));
    }
    u64 load = rfbm & xstate_bv;

    /* Only the components to be loaded are read; the legacy region as a whole. */
    bool load_mxcsr = compact ? (load & XCR0_SSE) != 0 : (rfbm & (XCR0_SSE | XCR0_AVX)) != 0;
    if ((load & (XCR0_X87 | XCR0_SSE)) != 0 || load_mxcsr) {
        TRY(area_read(&a, 0, image, FXSAVE_XMM + 256));
    }
    u32 mxcsr = load_le32(image + FXSAVE_MXCSR);
    if (load_mxcsr) {
        TRY(check_mxcsr(cpu, mxcsr));
    }
    for (unsigned i = XCR0_BIT_AVX; i < COMPONENTS; i++) {
        if ((load & BIT(i)) != 0) {
            unsigned at = component_offset(cpu, xcomp_bv, i, compact);
            unsigned size = i == XCR0_BIT_AVX ? 16 * xmm_count(cpu) : component_size(cpu, i);
            TRY(area_read(&a, at, image + at, size));
            TRY(check_component(cpu, i, image + at));
        }
    }

    for (unsigned i = 0; i < COMPONENTS; i++) {
        if ((rfbm & BIT(i)) != 0) {
            const u8 *data = image + component_offset(cpu, xcomp_bv, i, compact);
            load_component(cpu, i, (load & BIT(i)) != 0 ? data : NULL, a.ptr64);
        }
    }
    if (load_mxcsr) {
        cpu->arch.mxcsr = mxcsr;
    } else if (compact && (rfbm & XCR0_SSE) != 0) {
        cpu->arch.mxcsr = MXCSR_INIT;
    }
    if ((rfbm & ~(u64)(XCR0_X87 | XCR0_SSE | XCR0_AVX)) != 0) {
        cpu_update_mode(cpu); /* PKRU and CET enter translations and the mode word */
    }
    return CPU_OK;
}

cpu_rc exec_xrstor(struct cpu *cpu, const struct insn *in)
{
    return xrstor(cpu, in, false);
}

cpu_rc exec_xrstors(struct cpu *cpu, const struct insn *in)
{
    return xrstor(cpu, in, true);
}

/* ---- MXCSR -------------------------------------------------------------------------------- */

cpu_rc exec_ldmxcsr(struct cpu *cpu, const struct insn *in)
{
    u64 v = 0;
    TRY(opr_read(cpu, in, 0, 4, &v));
    TRY(check_mxcsr(cpu, (u32)v));
    cpu->arch.mxcsr = (u32)v;
    return CPU_OK;
}

cpu_rc exec_stmxcsr(struct cpu *cpu, const struct insn *in)
{
    return opr_write(cpu, in, 0, 4, cpu->arch.mxcsr);
}
