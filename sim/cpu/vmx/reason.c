/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every exit, entry failure and VMfail in words: kept in cpu->vmx_reason, a line of --log vmx, a trace event. */
#include "cpu/virt_trace.h"
#include "cpu/vmx/vmx_priv.h"
#include "trace/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const exit_ids[EXIT_REASON_COUNT] = {
#define EXIT_REASON(name, number, words) [number] = #name,
#include "abi/x86/exit_reasons.def"
#undef EXIT_REASON
};
static const char *const exit_words[EXIT_REASON_COUNT] = {
#define EXIT_REASON(name, number, words) [number] = words,
#include "abi/x86/exit_reasons.def"
#undef EXIT_REASON
};
static const char *const error_words[] = {
#define VM_ERROR(name, number, words) [number] = words,
#include "abi/x86/vm_errors.def"
#undef VM_ERROR
};
static const char *const error_ids[] = {
#define VM_ERROR(name, number, words) [number] = #name,
#include "abi/x86/vm_errors.def"
#undef VM_ERROR
};

/* "id field [SDM3 "title"]: why" for a trace event. */
static u32 rule_text(const struct vmx_reason *r, char *out, size_t size)
{
    (void)snprintf(out, size, "%s%s%s [SDM3 \"%s\"]%s%s", r->id, r->field != NULL ? " " : "",
                   r->field != NULL ? r->field : "", r->title, r->why != NULL ? ": " : "",
                   r->why != NULL ? r->why : "");
    return (u32)strlen(out);
}

void vmx_say_exit(struct cpu *cpu, u32 reason, u64 qualification, const char *why)
{
    u32 basic = reason & 0xffff;
    const char *id = basic < EXIT_REASON_COUNT && exit_ids[basic] != NULL ? exit_ids[basic] : "?";
    cpu->vmx_reason = (struct vmx_reason){.what = "exit",
                                          .id = id,
                                          .title = "VM Exits",
                                          .why = why,
                                          .value = reason,
                                          .qualification = qualification,
                                          .rip = cpu->arch.rip};
    if (trace_on_any(cpu->trace, VIRT_TRACE_CLASSES)) {
        const struct vmx_controls *c = &cpu->arch.vmx.c;
        char rule[160];
        u32 size = rule_text(&cpu->vmx_reason, rule, sizeof rule);
        virt_trace_exit(cpu, cpu->arch.vmx.current, (c->proc2 & PROC2_EPT) != 0 ? c->eptp : 0, reason, rule, size);
    }
    if (log_on(cpu->log, LOG_VMX)) {
        log_line(cpu->log, LOG_VMX,
                 "cpu%u exit %s (%u) qualification %" PRIx64 " rip %" PRIx64 " vmcs %" PRIx64 ": %s%s%s",
                 cpu->index, id, basic, qualification, cpu->arch.rip, cpu->arch.vmx.current,
                 basic < EXIT_REASON_COUNT && exit_words[basic] != NULL ? exit_words[basic] : "",
                 why != NULL ? "; " : "", why != NULL ? why : "");
    }
}

void vmx_say_entry_failure(struct cpu *cpu, const char *id, const char *title, const char *field, u64 value,
                           u32 reason, u64 qualification)
{
    cpu->vmx_reason = (struct vmx_reason){.what = "entry failure",
                                          .id = id,
                                          .title = title,
                                          .field = field,
                                          .value = value,
                                          .qualification = qualification,
                                          .rip = cpu->arch.rip};
    cpu_tell_moment(cpu, CPU_MOMENT_ENTRY_FAILURE, reason);
    if (trace_on(cpu->trace, TRACE_CLASS_VIRT)) {
        char rule[160];
        u32 size = rule_text(&cpu->vmx_reason, rule, sizeof rule);
        trace_vm_refused(cpu->trace, cpu->index, cpu->arch.vmx.current, reason, qualification, value, rule, size);
    }
    if (log_on(cpu->log, LOG_VMX)) {
        log_line(cpu->log, LOG_VMX,
                 "cpu%u entry refused by %s: %s = %" PRIx64 " [SDM3 \"%s\"]; %s %u, qualification %" PRIu64
                 ", vmcs %" PRIx64,
                 cpu->index, id, field != NULL ? field : "-", value, title,
                 reason < EXIT_ENTRY_FAIL_GUEST ? "VMfail" : "exit reason", reason, qualification,
                 cpu->arch.vmx.current);
    }
}

void vmx_say_vmfail(struct cpu *cpu, u32 error, u64 operand, const char *why)
{
    bool known = error < ARRAY_LEN(error_words) && error_words[error] != NULL;
    cpu->vmx_reason = (struct vmx_reason){.what = "VMfail",
                                          .id = known ? error_ids[error] : "INVALID",
                                          .title = "VM-Instruction Error Numbers",
                                          .why = why,
                                          .value = error,
                                          .qualification = operand,
                                          .rip = cpu->arch.rip};
    if (trace_on(cpu->trace, TRACE_CLASS_VIRT)) {
        char rule[160];
        u32 size = rule_text(&cpu->vmx_reason, rule, sizeof rule - 32);
        size += (u32)snprintf(rule + size, 32, " operand 0x%" PRIx64, operand);
        trace_vm_fail(cpu->trace, cpu->index, error, cpu->arch.rip, cpu->arch.vmx.current, rule, size);
    }
    if (log_on(cpu->log, LOG_VMX)) {
        log_line(cpu->log, LOG_VMX, "cpu%u VMfail %u %s: %s%s%s operand %" PRIx64 " rip %" PRIx64, cpu->index, error,
                 known ? error_ids[error] : "INVALID", known ? error_words[error] : "no current VMCS",
                 why != NULL ? "; " : "", why != NULL ? why : "", operand, cpu->arch.rip);
    }
}
