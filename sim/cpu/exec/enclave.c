/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ENCLS, ENCLU and PCONFIG on a processor whose firmware gave SGX no memory and that has no encryption engine: every
 * check comes in the manual's order, and where a leaf wants a page of the enclave page cache, there is none.
 * [SDM3 "SGX Instruction References"], [SDM2 "PCONFIG"]
 *
 * Left out: enclaves, so everything behind that page fault; SGX2, ENCLV, launch control, MKTME.
 *
 * UNCLEAR: parts without SGX2 are said to answer #GP(0) for a page outside the cache; the manual's leaves say #PF:
 * test_enclave__no_page_cache. Which leaves write (bit 1 of the error code): all but those that only read. */
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"

/* A leaf function: alignments in bytes (0: not looked at) of what RBX, RCX, RDX point to. */
struct leaf {
    u16 rbx, rcx, rdx;
    bool reads; /* the page is only read */
    bool enclave_only;
};

static const struct leaf supervisor_leaves[] = {
    {32, 4096, 0, false, false},    /* ECREATE */
    {32, 4096, 0, false, false},    /* EADD */
    {4096, 4096, 512, false, false}, /* EINIT */
    {0, 4096, 0, false, false},     /* EREMOVE */
    {0, 4, 0, true, false},         /* EDBGRD: 8 in 64-bit mode */
    {0, 4, 0, false, false},        /* EDBGWR: the same */
    {0, 256, 0, true, false},       /* EEXTEND */
    {32, 4096, 8, false, false},    /* ELDB */
    {32, 4096, 8, false, false},    /* ELDU */
    {0, 4096, 0, false, false},     /* EBLOCK */
    {0, 4096, 0, false, false},     /* EPA: RBX is a page type */
    {32, 4096, 8, false, false},    /* EWB */
    {0, 4096, 0, false, false},     /* ETRACK */
};
#define LEAF_EDBGRD 4
#define LEAF_EDBGWR 5
#define LEAF_EPA 10
#define PT_VA 3

/* The page that the enter leaves want, the TCS, is RBX's. */
static const struct leaf user_leaves[] = {
    {0, 0, 0, false, true},     /* EREPORT */
    {0, 0, 0, false, true},     /* EGETKEY */
    {4096, 0, 0, false, false}, /* EENTER */
    {4096, 0, 0, false, false}, /* ERESUME */
    {0, 0, 0, false, true},     /* EEXIT */
};

static bool aligned(u64 offset, u16 bytes)
{
    return bytes == 0 || (offset & (bytes - 1u)) == 0;
}

/* Opted in by firmware. [SDM3 "Intel SGX Opt-In Configuration"] */
static bool opted_in(const struct cpu *cpu)
{
    const u64 both = FEATURE_CONTROL_LOCK | FEATURE_CONTROL_SGX;
    return (cpu->arch.feature_control & both) == both;
}

/* DS:offset is ordinary memory, if it is memory at all. */
static MUST_USE cpu_rc not_in_page_cache(struct cpu *cpu, u64 offset, bool reads)
{
    u64 lin = 0;
    unsigned access = reads ? ACCESS_READ : ACCESS_WRITE;
    TRY(mem_linear(cpu, SEG_DS, offset, 1, access, &lin));
    TRY(mem_probe(cpu, SEG_DS, offset, 1, access));
    u32 error = PF_P | PF_SGX | (reads ? 0u : PF_W) | (cpu_cpl(cpu) == 3 ? PF_U : 0u);
    return raise_pf(cpu, lin, error, "SGX: not a page of the enclave page cache");
}

static bool ds_expands_down(const struct cpu *cpu)
{
    u32 attr = cpu->arch.seg[SEG_DS].attr;
    return !cpu->d.code64 && (attr & (SEG_S | SEG_TYPE_CODE | SEG_TYPE_EXPAND)) == (SEG_S | SEG_TYPE_EXPAND);
}

cpu_rc exec_encls(struct cpu *cpu, const struct insn *in)
{
    u64 mask = size_mask(insn_asize(in));
    u32 leaf = (u32)cpu->arch.gpr[RAX];
    if (cpu->arch.in_smm || cpu_cpl(cpu) != 0) {
        return raise_ud(cpu, "ENCLS in SMM or outside level 0");
    }
    if (!opted_in(cpu)) {
        return raise_gp(cpu, 0, "IA32_FEATURE_CONTROL does not enable SGX");
    }
    if (leaf >= ARRAY_LEN(supervisor_leaves)) {
        return raise_gp(cpu, 0, "ENCLS: no such leaf");
    }
    if ((cpu->arch.cr0 & CR0_PG) == 0 || ds_expands_down(cpu)) {
        return raise_gp(cpu, 0, "ENCLS without paging or with an expand-down DS");
    }
    struct leaf want = supervisor_leaves[leaf];
    if ((leaf == LEAF_EDBGRD || leaf == LEAF_EDBGWR) && cpu->d.code64) {
        want.rcx = 8;
    }
    u64 rbx = cpu->arch.gpr[RBX] & mask, rcx = cpu->arch.gpr[RCX] & mask, rdx = cpu->arch.gpr[RDX] & mask;
    if (!aligned(rbx, want.rbx) || !aligned(rcx, want.rcx) || !aligned(rdx, want.rdx) ||
        (leaf == LEAF_EPA && cpu->arch.gpr[RBX] != PT_VA)) {
        return raise_gp(cpu, 0, "ENCLS: operand not aligned");
    }
    return not_in_page_cache(cpu, rcx, want.reads);
}

/* [SDM3 "EENTER"]: outside 64-bit mode the segments of an enclave start at 0. */
static bool flat_enough(const struct cpu *cpu)
{
    static const u8 data[] = {SEG_ES, SEG_SS, SEG_DS};
    if (cpu->d.code64) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(data); i++) {
        const struct segment *s = &cpu->arch.seg[data[i]];
        if ((s->attr & SEG_UNUSABLE) == 0 && s->base != 0) {
            return false;
        }
    }
    return cpu->arch.seg[SEG_CS].base == 0 && (cpu->arch.seg[SEG_SS].attr & SEG_DB) != 0 &&
           (cpu->arch.seg[SEG_DS].attr & SEG_UNUSABLE) == 0 && !ds_expands_down(cpu);
}

cpu_rc exec_enclu(struct cpu *cpu, const struct insn *in)
{
    const struct cpu_arch *a = &cpu->arch;
    u32 leaf = (u32)a->gpr[RAX];
    if (a->in_smm) {
        return raise_ud(cpu, "ENCLU in SMM");
    }
    if ((a->cr0 & CR0_TS) != 0) {
        return raise_nm(cpu);
    }
    if (cpu_cpl(cpu) != 3) {
        return raise_ud(cpu, "ENCLU outside level 3");
    }
    if (!opted_in(cpu)) {
        return raise_gp(cpu, 0, "IA32_FEATURE_CONTROL does not enable SGX");
    }
    if (leaf >= ARRAY_LEN(user_leaves)) {
        return raise_gp(cpu, 0, "ENCLU: no such leaf");
    }
    if ((a->cr0 & CR0_PG) == 0 || (a->cr0 & CR0_NE) == 0) {
        return raise_gp(cpu, 0, "ENCLU without paging or CR0.NE");
    }
    if (!cpu->d.code64 && (a->seg[SEG_CS].attr & a->seg[SEG_DS].attr & SEG_DB) == 0) {
        return raise_gp(cpu, 0, "ENCLU in 16-bit code or data");
    }
    const struct leaf *want = &user_leaves[leaf];
    u64 tcs = a->gpr[RBX] & size_mask(insn_asize(in));
    if (want->enclave_only || !flat_enough(cpu) || !aligned(tcs, want->rbx)) {
        return raise_gp(cpu, 0, "ENCLU: leaf of enclaves, segment base, or TCS not aligned");
    }
    return not_in_page_cache(cpu, tcs, want->reads);
}

/* No target that could be configured has been enumerated, so no leaf is supported. */
cpu_rc exec_pconfig(struct cpu *cpu, const struct insn *in)
{
    UNUSED(in);
    if (cpu_cpl(cpu) != 0) {
        return raise_ud(cpu, "PCONFIG outside level 0");
    }
    return raise_gp(cpu, 0, "PCONFIG: no such leaf");
}
