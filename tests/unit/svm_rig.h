/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An AMD processor in long mode with a good VMCB at hand: a guest like the host, over nested tables that map the
 * rig's memory to itself. */
#ifndef VITRINE_TESTS_UNIT_SVM_RIG_H
#define VITRINE_TESTS_UNIT_SVM_RIG_H

#include "sys_rig.h"

#include "cpu/svm/svm_priv.h"

#include <stdio.h>
#include <string.h>

enum { AT_VMCB = 0x50000, AT_HSAVE = 0x52000, AT_IOPM = 0x54000, AT_MSRPM = 0x58000, AT_PDPT = 0x5c000 };

static char *log_text;
static size_t log_len;

static inline void put(unsigned offset, unsigned bytes, u64 value)
{
    store_le(ram(AT_VMCB + offset), value, bytes);
}

static inline u64 get(unsigned offset, unsigned bytes)
{
    return load_le(ram(AT_VMCB + offset), bytes);
}

/* The host; the processor and its model stand. */
static inline void start_svm(void)
{
    cpu_reset(CPU, CPU_RESET_POWER);
    go_long(0);
    R.cpu.arch.efer |= EFER_SVME;
    R.cpu.arch.vm_hsave_pa = AT_HSAVE;
}

static inline void start(void)
{
    struct error err = {0};
    rig_start();
    ck_assert_msg(cpu_model_parse(&R.model, "amd", &err), "%s", err.text);
    start_svm();
    R.log.classes = 1u << LOG_SVM;
    R.log.out = open_memstream(&log_text, &log_len);
}

static inline void stop(void)
{
    (void)fclose(R.log.out);
    free(log_text);
    rig_stop();
}

/* A guest like the host, at AT_HANDLER. */
static inline void good_vmcb(void)
{
    struct vmcb v = {0};
    u64 rip = R.cpu.arch.rip;
    R.cpu.arch.rip = AT_HANDLER;
    vmcb_put_core(CPU, &v);
    R.cpu.arch.rip = rip;
    memcpy(ram(AT_VMCB), v.b, sizeof v.b);
    put(VMCB_dr6, 8, DR6_FIXED);
    put(VMCB_dr7, 8, DR7_FIXED);
    put(VMCB_g_pat, 8, 0x0007040600070406);
    put(VMCB_intercept_2, 4, 3); /* VMRUN, VMMCALL */
    put(VMCB_guest_asid, 4, 1);
    put(VMCB_iopm_base_pa, 8, AT_IOPM);
    put(VMCB_msrpm_base_pa, 8, AT_MSRPM);
    put(VMCB_nested_ctl, 8, NESTED_CTL_NP);
    put(VMCB_n_cr3, 8, AT_TABLES);
}

static inline void vmrun(void)
{
    const struct insn in = {.len = 3, .base = REG_NONE, .index = REG_NONE, .sib = 2 << 5};
    R.cpu.arch.gpr[RAX] = AT_VMCB;
    if (exec_vmrun(CPU, &in) != CPU_OK) { /* EVENTINJ */
        cpu_deliver_event(CPU);
    }
}

/* Bytes at `at` of the guest or of the host behind VMRUN. */
static inline void put_code(u64 at, const void *bytes, size_t n)
{
    memcpy(ram(at), bytes, n);
}

/* Enter the guest with this code and run until it leaves. */
static inline u64 run_guest(const void *bytes, size_t n)
{
    put_code(AT_HANDLER, bytes, n);
    put_code(AT_CODE + 3, "\xeb\xfe", 2);
    vmrun();
    for (unsigned i = 0; i < 100 && R.cpu.arch.guest == GUEST_SVM; i++) {
        (void)cpu_run(CPU, 1);
    }
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    return get(VMCB_exitcode, 8);
}

#endif
