/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every #VMEXIT and every refused VMRUN in words: the last one kept, a line of --log svm, a trace event. */
#include "cpu/svm/svm_priv.h"
#include "cpu/virt_trace.h"
#include "trace/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *svm_exit_name(u64 code)
{
    static const struct {
        u64 code;
        const char *name;
    } rows[] = {
#define SVM_EXIT(code, name, meaning) {code, #name},
#include "abi/x86/exit_codes.def"
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].code == code) {
            return rows[i].name;
        }
    }
    return "?";
}

/* The manual's section for a range of codes; the last row that begins at or below the code. */
static const char *title_of(u64 code)
{
    static const struct {
        u64 first;
        const char *title;
    } rows[] = {
        {SVM_EXIT_CR0_READ, "Instruction Intercepts"},
        {SVM_EXIT_EXCP0, "Exception Intercepts"},
        {SVM_EXIT_INTR, "Interrupt Intercepts"},
        {SVM_EXIT_CR0_SEL_WRITE, "Instruction Intercepts"},
        {SVM_EXIT_PAUSE, "Pause Intercept Filtering"},
        {SVM_EXIT_HLT, "Instruction Intercepts"},
        {SVM_EXIT_IOIO, "IOIO Intercepts"},
        {SVM_EXIT_MSR, "MSR Intercepts"},
        {SVM_EXIT_TASK_SWITCH, "Miscellaneous Intercepts"},
        {SVM_EXIT_VMRUN, "Instruction Intercepts"},
        {SVM_EXIT_NPF, "Nested versus Guest Page Faults, Fault Ordering"},
        {SVM_EXIT_AVIC_INCOMPLETE_IPI, "Advanced Virtual Interrupt Controller"},
    };
    const char *title = rows[0].title;
    for (size_t i = 0; i < ARRAY_LEN(rows) && rows[i].first <= code; i++) {
        title = rows[i].title;
    }
    return title;
}

void svm_say_exit(struct cpu *cpu, u64 intinfo)
{
    const struct vm_exit *x = &cpu->exit;
    const char *why = x->why != NULL ? x->why : "";
    cpu->svm_reason = (struct svm_reason){.what = "#VMEXIT",
                                          .id = svm_exit_name(x->reason),
                                          .title = title_of(x->reason),
                                          .why = why,
                                          .value = x->reason,
                                          .info1 = x->qualification,
                                          .info2 = x->info2,
                                          .rip = cpu->arch.rip};
    if (trace_on_any(cpu->trace, VIRT_TRACE_CLASSES)) {
        char rule[160];
        bool delivering = (intinfo & SVM_EVENT_V) != 0;
        (void)snprintf(rule, sizeof rule, "%s%s", why, delivering ? "; while delivering an event" : "");
        virt_trace_exit(cpu, cpu->arch.svm.vmcb, svm_nested_paging(cpu) ? cpu->arch.svm.ctl.n_cr3 : 0,
                        TRACE_EXIT_SVM | (u32)x->reason, rule, (u32)strlen(rule));
    }
    if (log_on(cpu->log, LOG_SVM)) {
        log_line(cpu->log, LOG_SVM,
                 "cpu%u vmcb %" PRIx64 " #VMEXIT %s (%" PRIx64 ") info1 %" PRIx64 " info2 %" PRIx64
                 " intinfo %" PRIx64 " rip %04x:%" PRIx64 " rax %" PRIx64 ": %s [APM2 \"%s\"]",
                 cpu->index, cpu->arch.svm.vmcb, svm_exit_name(x->reason), x->reason, x->qualification, x->info2,
                 intinfo, cpu->arch.seg[SEG_CS].sel, cpu->arch.rip, cpu->arch.gpr[RAX], why, title_of(x->reason));
    }
}

void svm_say_invalid(struct cpu *cpu, const char *id, const char *field, u64 value, const char *title,
                     const char *why)
{
    cpu->svm_reason = (struct svm_reason){.what = "VMEXIT_INVALID",
                                          .id = id,
                                          .title = title,
                                          .why = why,
                                          .field = field,
                                          .value = value,
                                          .rip = cpu->arch.rip};
    cpu_tell_moment(cpu, CPU_MOMENT_ENTRY_FAILURE, 0);
    char text[160];
    int n = snprintf(text, sizeof text, "%s: %s: %s", id, field, why);
    trace_vm_refused(cpu->trace, cpu->index, cpu->arch.svm.vmcb, 0, 0, value, text,
                     n < (int)sizeof text ? (u32)n : (u32)sizeof text - 1);
    if (log_on(cpu->log, LOG_SVM)) {
        log_line(cpu->log, LOG_SVM, "cpu%u vmcb %" PRIx64 " VMEXIT_INVALID %s: %s = %" PRIx64 ": %s [APM2 \"%s\"]",
                 cpu->index, cpu->arch.svm.vmcb, id, field, value, why, title);
    }
}
