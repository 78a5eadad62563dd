/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What breaks each row of vmrun_checks.def. A row without its entry here does not compile. */
#ifndef VITRINE_TESTS_UNIT_SVM_BROKEN_H
#define VITRINE_TESTS_UNIT_SVM_BROKEN_H

#include "svm_rig.h"

/* What breaks each rule: values written over the good VMCB. `more` changes the host. */
struct broken {
    struct {
        unsigned offset, bytes;
        u64 value;
    } field[5];
    void (*more)(void);
};

static inline void host_without_paging(void)
{
    go_protected(0);
    R.cpu.arch.efer = EFER_SVME;
    cpu_update_mode(CPU);
}

static inline void without_long_mode(void)
{
    R.model.features[CPU_FEATURE_LM / 64] &= ~BIT(CPU_FEATURE_LM % 64);
}

static inline void with_shadow_stacks(void)
{
    R.model.features[CPU_FEATURE_CET_SS / 64] |= BIT(CPU_FEATURE_CET_SS % 64);
}

static inline void bad_pointers(void)
{
    store_le64(ram(AT_PDPT), 3);
}

#define INJECT(type, vector) (SVM_EVENT_V | (type) << SVM_EVENT_TYPE_SHIFT | (vector))
#define AVIC_ON {VMCB_int_ctl, 4, V_AVIC_ENABLE}
#define TOO_FAR 0x000ffffffffff000u

static const struct broken
    efer_svme = {{{VMCB_efer, 8, EFER_LME | EFER_LMA}}, NULL},
    cr0_cd_nw = {{{VMCB_cr0, 8, CR0_PE | CR0_PG | CR0_NW}}, NULL},
    cr0_high = {{{VMCB_cr0, 8, CR0_PE | CR0_PG | BIT(32)}}, NULL},
    cr3_mbz = {{{VMCB_cr3, 8, BIT(63)}}, NULL},
    cr4_mbz = {{{VMCB_cr4, 8, CR4_PAE | BIT(15)}}, NULL},
    dr6_high = {{{VMCB_dr6, 8, BIT(32)}}, NULL},
    dr7_high = {{{VMCB_dr7, 8, BIT(63)}}, NULL},
    efer_mbz = {{{VMCB_efer, 8, EFER_LME | EFER_LMA | EFER_SVME | BIT(9)}}, NULL},
    efer_no_long_mode = {{{VMCB_efer, 8, EFER_LME | EFER_SVME}}, without_long_mode},
    long_mode_pae = {{{VMCB_cr4, 8, 0}}, NULL},
    long_mode_pe = {{{VMCB_cr0, 8, CR0_PG}}, NULL},
    long_mode_cs = {{{VMCB_cs + 2, 2, 0xe9b}}, NULL},
    vmrun_intercept = {{{VMCB_intercept_2, 4, 2}}, NULL},
    iopm = {{{VMCB_iopm_base_pa, 8, TOO_FAR}}, NULL},
    msrpm = {{{VMCB_msrpm_base_pa, 8, TOO_FAR}}, NULL},
    event_type = {{{VMCB_eventinj, 8, INJECT(1u, 0x20)}}, NULL},
    event_vector = {{{VMCB_eventinj, 8, INJECT(SVM_EVENT_EXCEPTION, VEC_NMI)}}, NULL},
    event_mode = {{{VMCB_eventinj, 8, INJECT(SVM_EVENT_EXCEPTION, VEC_BR)}}, NULL},
    asid = {{{VMCB_guest_asid, 4, 0}}, NULL},
    s_cet = {{{VMCB_s_cet, 8, 0x40}}, with_shadow_stacks},
    cet_wp = {{{VMCB_cr4, 8, CR4_PAE | CR4_CET}, {VMCB_cr0, 8, CR0_PE | CR0_PG}}, with_shadow_stacks},
    tlb_control = {{{VMCB_tlb_control, 1, 2}}, NULL},
    np_host_paging = {{{VMCB_nested_ctl, 8, NESTED_CTL_NP}}, host_without_paging},
    n_cr3 = {{{VMCB_n_cr3, 8, BIT(63)}}, NULL},
    g_pat = {{{VMCB_g_pat, 8, 2}}, NULL},
    pdpte = {{{VMCB_nested_ctl, 8, 0}, {VMCB_efer, 8, EFER_SVME}, {VMCB_cr3, 8, AT_PDPT}, {VMCB_cs + 2, 2, 0xc9b}},
             bad_pointers},
    vnmi_intercept = {{{VMCB_int_ctl, 4, V_NMI_ENABLE}}, NULL},
    x2avic = {{{VMCB_int_ctl, 4, V_X2AVIC_ENABLE}}, NULL},
    avic_nested = {{{VMCB_nested_ctl, 8, 0}, AVIC_ON}, NULL},
    avic_backing = {{AVIC_ON, {VMCB_avic_backing_page, 8, TOO_FAR}}, NULL},
    avic_logical = {{AVIC_ON, {VMCB_avic_logical_table, 8, TOO_FAR}}, NULL},
    avic_physical = {{AVIC_ON, {VMCB_avic_physical_table, 8, TOO_FAR}}, NULL};

static const struct {
    const char *id, *field;
    const struct broken *broken;
} svm_broken[] = {
#define VMRUN_CHECK(id, field, title, rule) {#id, #field, &id},
#include "cpu/svm/vmrun_checks.def"
};

#endif
