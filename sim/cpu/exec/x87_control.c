/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87 control: FNINIT, FNCLEX, control and status words, environment and state images, pending
 * exceptions. [SDM1 "x87 FPU Control Instructions"]
 *
 * Left out: IGNNE#. With CR0.NE = 0 a waiting instruction that meets a pending exception tells the
 * board (cpu_ports.ferr) and is tried again until an interrupt handler has cleared it. */
#include "cpu/exec/exec.h"
#include "cpu/exec/x87.h"
#include "cpu/model.h"

cpu_rc fpu_pending(struct cpu *cpu)
{
    if ((cpu->arch.fpu.fsw & FSW_ES) == 0) {
        return CPU_OK;
    }
    if ((cpu->arch.cr0 & CR0_NE) != 0) {
        return raise_exception(cpu, VEC_MF, "pending x87 exception");
    }
    if (cpu->ports.ferr != NULL) {
        cpu->ports.ferr(cpu->ports.self);
    }
    cpu->event = (struct event){.kind = EVENT_NONE, .vector = VEC_MF}; /* a hypervisor may want to know */
    cpu_charge(cpu, 1); /* waiting takes time */
    cpu_kick(cpu);
    return CPU_EXIT;
}

/* After FCW or FSW changed by other than arithmetic. */
static void words_changed(struct cpu *cpu)
{
    u16 before = cpu->arch.fpu.fsw;
    x87_update_es(&cpu->arch.fpu);
    if (((before ^ cpu->arch.fpu.fsw) & FSW_ES) != 0) {
        cpu_update_mode(cpu);
    }
}

void x87_set_status(struct cpu *cpu, u16 fsw)
{
    bool es = (cpu->arch.fpu.fsw & FSW_ES) != 0;
    cpu->arch.fpu.fsw = fsw;
    x87_update_es(&cpu->arch.fpu);
    if (es != ((cpu->arch.fpu.fsw & FSW_ES) != 0)) {
        cpu_update_mode(cpu);
    }
}

static void init(struct cpu *cpu)
{
    struct fpu_state *f = &cpu->arch.fpu;
    f->fcw = FCW_INIT;
    f->tags = 0;
    f->fop = f->fcs = f->fds = 0;
    f->fip = f->fdp = 0;
    x87_set_status(cpu, 0);
}

cpu_rc exec_fninit(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    init(cpu);
    return CPU_OK;
}

cpu_rc exec_fnclex(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    x87_set_status(cpu, (u16)(cpu->arch.fpu.fsw & ~(u32)(FP_ALL | FSW_SF)));
    return CPU_OK;
}

cpu_rc exec_fldcw(struct cpu *cpu, const struct insn *in)
{
    u64 v = 0;
    TRY(opr_read(cpu, in, 0, 2, &v));
    cpu->arch.fpu.fcw = (u16)((v & FCW_VALID) | FCW_ONE);
    words_changed(cpu);
    return CPU_OK;
}

cpu_rc exec_fnstcw(struct cpu *cpu, const struct insn *in)
{
    return opr_write(cpu, in, 0, 2, cpu->arch.fpu.fcw);
}

/* m16, or AX as the implied operand. */
cpu_rc exec_fnstsw(struct cpu *cpu, const struct insn *in)
{
    if (in->r[0] == OPR_MEM) {
        return opr_write(cpu, in, 0, 2, cpu->arch.fpu.fsw);
    }
    gpr_write(cpu, RAX, 2, cpu->arch.fpu.fsw);
    return CPU_OK;
}

cpu_rc exec_fwait(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    return fpu_pending(cpu);
}

/* FENI, FDISI, FSETPM: coprocessors of the past. */
cpu_rc exec_fpu_nop(struct cpu *cpu, const struct insn *in)
{
    UNUSED(cpu);
    UNUSED(in);
    return CPU_OK;
}

/* ---- environment -------------------------------------------------------------------------- */

#define ENV32 28u
#define ENV16 14u

/* Two bits per physical register: 0 valid, 1 zero, 2 special, 3 empty. */
static u16 full_tags(const struct fpu_state *f)
{
    u32 tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *v = &f->r[i];
        u32 tag = 0;
        if (((f->tags >> i) & 1) == 0) {
            tag = 3;
        } else if (x87_is_zero(v)) {
            tag = 1;
        } else if ((v->se & 0x7fff) == 0x7fff || (v->se & 0x7fff) == 0 || (v->mant >> 63) == 0) {
            tag = 2;
        }
        tags |= tag << (2 * i);
    }
    return (u16)tags;
}

static u8 abridged_tags(u16 full)
{
    u32 tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        tags |= ((full >> (2 * i)) & 3) != 3 ? 1u << i : 0u;
    }
    return (u8)tags;
}

static bool is_real_format(const struct cpu *cpu)
{
    return !cpu->d.prot || cpu->d.v86;
}

static unsigned env_size(const struct insn *in)
{
    return in->osz == 2 ? ENV16 : ENV32;
}

/* [SDM1 "Protected Mode x87 FPU State Image in Memory, 32-Bit Format" and the three after it] */
static void env_image(const struct cpu *cpu, const struct insn *in, u8 *p)
{
    const struct fpu_state *f = &cpu->arch.fpu;
    unsigned step = in->osz == 2 ? 2 : 4;
    memset(p, 0xff, env_size(in)); /* reserved halves read as ones */
    store_le16(p, f->fcw);
    store_le16(p + step, f->fsw);
    store_le16(p + 2 * step, full_tags(f));
    p += 3 * step;
    if (!is_real_format(cpu)) {
        store_le(p, f->fip, step);
        store_le16(p + step, f->fcs);
        if (step == 4) {
            store_le16(p + step + 2, f->fop);
        }
        store_le(p + 2 * step, f->fdp, step);
        store_le16(p + 3 * step, f->fds);
        return;
    }
    u32 ip = (u32)f->fip + ((u32)f->fcs << 4);
    u32 dp = (u32)f->fdp + ((u32)f->fds << 4);
    store_le16(p, (u16)ip);
    store_le16(p + 2 * step, (u16)dp);
    if (step == 4) {
        store_le32(p + step, (ip >> 16) << 12 | f->fop);
        store_le32(p + 3 * step, (dp >> 16) << 12);
    } else {
        store_le16(p + step, (u16)((ip >> 16) << 12 | f->fop));
        store_le16(p + 3 * step, (u16)((dp >> 16) << 12));
    }
}

static void load_env(struct cpu *cpu, const struct insn *in, const u8 *p)
{
    struct fpu_state *f = &cpu->arch.fpu;
    unsigned step = in->osz == 2 ? 2 : 4;
    f->fcw = (u16)((load_le16(p) & FCW_VALID) | FCW_ONE);
    f->tags = abridged_tags(load_le16(p + 2 * step));
    u16 fsw = load_le16(p + step);
    p += 3 * step;
    if (!is_real_format(cpu)) {
        bool selectors = !cpu_is_intel(cpu);
        f->fip = load_le(p, step);
        f->fcs = selectors ? load_le16(p + step) : 0;
        f->fop = step == 4 ? load_le16(p + step + 2) & 0x7ff : 0;
        f->fdp = load_le(p + 2 * step, step);
        f->fds = selectors ? load_le16(p + 3 * step) : 0;
    } else {
        u32 high_ip = step == 4 ? load_le32(p + step) : load_le16(p + step);
        u32 high_dp = step == 4 ? load_le32(p + 3 * step) : load_le16(p + 3 * step);
        f->fip = load_le16(p) | (u64)(u16)(high_ip >> 12) << 16;
        f->fop = (u16)(high_ip & 0x7ff);
        f->fdp = load_le16(p + 2 * step) | (u64)(u16)(high_dp >> 12) << 16;
        f->fcs = f->fds = 0;
    }
    x87_set_status(cpu, fsw);
}

/* [SDM3 "Alignment Check Exception (#AC)"]: the save areas by operand size. Intel's chips begin with the control
 * word, then try the last byte. */
static MUST_USE cpu_rc probe_image(struct cpu *cpu, const struct insn *in, unsigned size, unsigned access)
{
    u64 offset = insn_offset(cpu, in), wrap = size_mask(insn_asize(in));
    unsigned step = in->osz == 2 ? 2 : 4;
    TRY(mem_check_ac(cpu, insn_seg(in), offset, step));
    TRY(mem_probe_image(cpu, insn_seg(in), offset, wrap, step, access));
    TRY(mem_probe_image(cpu, insn_seg(in), offset + size - 1, wrap, 1, access));
    return mem_probe_image(cpu, insn_seg(in), offset, wrap, size, access);
}

static MUST_USE cpu_rc write_image(struct cpu *cpu, const struct insn *in, const u8 *image, unsigned size)
{
    TRY(probe_image(cpu, in, size, ACCESS_WRITE));
    return mem_write_image(cpu, insn_seg(in), insn_offset(cpu, in), size_mask(insn_asize(in)), image, size);
}

static MUST_USE cpu_rc read_image(struct cpu *cpu, const struct insn *in, u8 *image, unsigned size)
{
    TRY(probe_image(cpu, in, size, ACCESS_READ));
    return mem_read_image(cpu, insn_seg(in), insn_offset(cpu, in), size_mask(insn_asize(in)), image, size);
}

/* Masks all exceptions afterwards. */
cpu_rc exec_fnstenv(struct cpu *cpu, const struct insn *in)
{
    u8 image[ENV32];
    env_image(cpu, in, image);
    TRY(write_image(cpu, in, image, env_size(in)));
    cpu->arch.fpu.fcw |= FP_ALL;
    words_changed(cpu);
    return CPU_OK;
}

cpu_rc exec_fldenv(struct cpu *cpu, const struct insn *in)
{
    u8 image[ENV32];
    TRY(read_image(cpu, in, image, env_size(in)));
    load_env(cpu, in, image);
    return CPU_OK;
}

cpu_rc exec_fnsave(struct cpu *cpu, const struct insn *in)
{
    u8 image[ENV32 + 80];
    unsigned env = env_size(in);
    env_image(cpu, in, image);
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *v = x87_st_const(&cpu->arch.fpu, i);
        store_le64(image + env + 10 * i, v->mant);
        store_le16(image + env + 10 * i + 8, v->se);
    }
    TRY(write_image(cpu, in, image, env + 80));
    init(cpu);
    return CPU_OK;
}

cpu_rc exec_frstor(struct cpu *cpu, const struct insn *in)
{
    u8 image[ENV32 + 80];
    unsigned env = env_size(in);
    TRY(read_image(cpu, in, image, env + 80));
    load_env(cpu, in, image);
    for (unsigned i = 0; i < 8; i++) {
        struct f80 *v = x87_st(&cpu->arch.fpu, i);
        v->mant = load_le64(image + env + 10 * i);
        v->se = load_le16(image + env + 10 * i + 8);
    }
    return CPU_OK;
}
