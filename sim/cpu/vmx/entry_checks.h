/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VM-entry checks: the decoded VMCS that the predicates look at. */
#ifndef VITRINE_CPU_VMX_ENTRY_CHECKS_H
#define VITRINE_CPU_VMX_ENTRY_CHECKS_H

#include "cpu/msr.h"
#include "cpu/vmx/vmx_priv.h"

struct vmx_check {
    struct cpu *cpu;
    /* Controls; secondary and tertiary ones are 0 unless activated. */
    u32 pin, proc, proc2, exit, entry;
    u64 proc3;
    u32 inject; /* VM-entry interruption information */
    bool unrestricted;
    bool wide; /* "IA-32e mode guest" */
    /* Guest state */
    u64 cr0, cr4, rflags;
    bool v86;
    u32 activity, block;
    struct segment seg[SEG_COUNT], ldtr, tr;
};

enum check_failure {
    CHECK_CONTROLS,
    CHECK_HOST,
    CHECK_GUEST,
    CHECK_GUEST_PDPTE,
    CHECK_GUEST_NMI,
    CHECK_GUEST_LINK
};

typedef bool check_fn(const struct vmx_check *c);
struct check_row {
    const char *id, *title, *field_name;
    check_fn *holds;
    enum check_failure failure;
    u32 field;
};

/* Predicates are written CHECK_FN(ID) { ... }. */
#define CHECK_FN(id) bool check_##id(const struct vmx_check *c)
#define CHECK(id, group, title, failure, field) CHECK_FN(id);
#include "cpu/vmx/entry_checks.def"
#undef CHECK

static inline u64 check_field(const struct vmx_check *c, u32 encoding)
{
    return vmcs_read(c->cpu, encoding);
}

static inline bool injects(const struct vmx_check *c)
{
    return (c->inject & INTR_VALID) != 0;
}

static inline unsigned inject_type(const struct vmx_check *c)
{
    return (c->inject & INTR_TYPE) >> INTR_TYPE_SHIFT;
}

static inline bool canonical(const struct vmx_check *c, u64 linear)
{
    return msr_is_canonical(c->cpu, linear);
}

static inline bool fixed_ok(u64 value, u64 must_be_1, u64 may_be_1)
{
    return (value & must_be_1) == must_be_1 && (value & ~may_be_1) == 0;
}

/* Each byte a memory type of the PAT: 0, 1, 4, 5, 6, 7. */
static inline bool pat_ok(u64 pat)
{
    for (unsigned i = 0; i < 64; i += 8) {
        u64 type = (pat >> i) & 0xff;
        if (type > 7 || type == 2 || type == 3) {
            return false;
        }
    }
    return true;
}

/* IA32_PERF_GLOBAL_CTRL's bits. */
static inline u64 perf_mask(const struct vmx_check *c)
{
    (void)c;
    return 0x7000000ff;
}

static inline bool cet_ok(const struct vmx_check *c, u64 cet)
{
    return (cet & 0x3c0) == 0 && (cet & (CET_SUPPRESS | CET_TRACKER)) != (CET_SUPPRESS | CET_TRACKER) &&
           canonical(c, cet & ~(u64)0xfff);
}

#endif
