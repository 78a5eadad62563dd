/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "traces/words.h"

#include "abi/hyperv/vmbus.h"
#include "abi/x86/svm.h"
#include "abi/x86/vmx.h"
#include "base/bytes.h"
#include "devices/trace_port.h"
#include "machine/machine.h"
#include "trace/gate.h"

#include <stdio.h>
#include <string.h>

struct call_row {
    u32 number;
    const char *name, *args;
};

static const struct call_row xen_calls[] = {
#define XEN_HYPERCALL(number, name, args) {number, #name, args},
#include "abi/xen/hypercall.def"
#undef XEN_HYPERCALL
};

static const struct call_row kvm_calls[] = {
#define KVM_HYPERCALL(number, name, args) {number, #name, args},
#include "abi/kvm/hypercall.def"
#undef KVM_HYPERCALL
};

static const struct call_row hyperv_calls[] = {
#define HYPERCALL(code, name, ...) {code, #name, "control input output"},
#include "abi/hyperv/hypercall.def"
#undef HYPERCALL
#define HYPERCALL_OTHER(code, name) {code, #name, "control input output"},
#include "abi/hyperv/other_calls.def"
#undef HYPERCALL_OTHER
};

static const struct call_row vmware_calls[] = {
#define VMWARE_HYPERCALL(number, name, args) {number, #name, args},
#include "abi/vmware/hypercall.def"
#undef VMWARE_HYPERCALL
};

static const struct call_row vmi_calls[] = {
#define VMI_CALL(number, name, args) {number, #name, args},
#include "abi/vmi/call.def"
#undef VMI_CALL
};

static const struct {
    const char *name;
    const struct call_row *rows;
    size_t count;
    /* Registers of arguments, as indices of a hypercall record: RAX, RBX, RCX, RDX, RSI, RDI, R8, R10. */
    u8 wide[5], narrow[5];
    u8 registers;
    const char *args; /* where a row has none */
} interfaces[] = {
    [TRACE_INTERFACE_UNKNOWN] = {.name = "unknown", .args = "rbx rcx rdx rsi rdi",
                                 .wide = {1, 2, 3, 4, 5}, .narrow = {1, 2, 3, 4, 5}, .registers = 5},
    [TRACE_INTERFACE_HYPERV] = {.name = "hyper-v", .rows = hyperv_calls, .count = ARRAY_LEN(hyperv_calls),
                                .args = "control input output", .wide = {2, 3, 6}, .narrow = {0, 2, 4},
                                .registers = 3},
    [TRACE_INTERFACE_XEN] = {.name = "xen", .rows = xen_calls, .count = ARRAY_LEN(xen_calls), .args = "",
                             .wide = {5, 4, 3, 7, 6}, .narrow = {1, 2, 3, 4, 5}, .registers = 5},
    [TRACE_INTERFACE_KVM] = {.name = "kvm", .rows = kvm_calls, .count = ARRAY_LEN(kvm_calls),
                             .args = "a0 a1 a2 a3", .wide = {1, 2, 3, 4}, .narrow = {1, 2, 3, 4}, .registers = 4},
    [TRACE_INTERFACE_VMWARE] = {.name = "vmware", .rows = vmware_calls, .count = ARRAY_LEN(vmware_calls), .args = "rbx rcx rdx rsi rdi",
                                .wide = {1, 2, 3, 4, 5}, .narrow = {1, 2, 3, 4, 5}, .registers = 5},
    [TRACE_INTERFACE_VMI] = {.name = "vmi", .rows = vmi_calls, .count = ARRAY_LEN(vmi_calls), .args = "a0 a1 a2",
                             .wide = {1, 2, 3}, .narrow = {1, 2, 3}, .registers = 3},
};

bool trace_field_next(const char **schema, struct trace_field *field)
{
    const char *p = *schema + strspn(*schema, " ");
    if (*p == '\0') {
        return false;
    }
    size_t len = strcspn(p, " ");
    const char *colon = memchr(p, ':', len);
    size_t name = colon != NULL ? (size_t)(colon - p) : len;
    size_t kind = colon != NULL ? len - name - 1 : 0;
    *field = (struct trace_field){
        .name = p, .name_len = name, .kind = p + len - kind, .kind_len = kind};
    *schema = p + len;
    return true;
}

bool trace_field_is(const struct trace_field *f, const char *kind)
{
    return strlen(kind) == f->kind_len && strncmp(kind, f->kind, f->kind_len) == 0;
}

static const char *vector_name(u64 vector)
{
    static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
                                        "#DF", NULL,  "#TS", "#NP", "#SS", "#GP", "#PF", NULL,
                                        "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};
    return vector < ARRAY_LEN(names) ? names[vector] : NULL;
}

const char *trace_exit_name(u64 reason)
{
    static const struct {
        u64 reason;
        const char *name;
    } rows[] = {
#define EXIT_REASON(name, number, words) {number, #name},
#include "abi/x86/exit_reasons.def"
#undef EXIT_REASON
#define SVM_EXIT(code, name, meaning) {TRACE_EXIT_SVM | (u32)(code), #name},
#include "abi/x86/exit_codes.def"
#undef SVM_EXIT
    };
    u64 wanted = (reason & TRACE_EXIT_SVM) != 0 ? reason : reason & 0xffff;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].reason == wanted) {
            return rows[i].name;
        }
    }
    return NULL;
}

const char *trace_interface_name(u64 interface)
{
    return interface < ARRAY_LEN(interfaces) ? interfaces[interface].name : NULL;
}

static const struct call_row *call_row(u64 interface, u64 number)
{
    if (interface < ARRAY_LEN(interfaces)) {
        for (size_t i = 0; i < interfaces[interface].count; i++) {
            if (interfaces[interface].rows[i].number == number) {
                return &interfaces[interface].rows[i];
            }
        }
    }
    return NULL;
}

const char *trace_hypercall_name(u64 interface, u64 number)
{
    const struct call_row *row = call_row(interface, number);
    return row != NULL ? row->name : NULL;
}

bool trace_hypercall_argument(const struct trace_record *r, unsigned n, char *name, u64 *value)
{
    u64 interface = r->args[0] < ARRAY_LEN(interfaces) ? r->args[0] : TRACE_INTERFACE_UNKNOWN;
    const struct call_row *row = call_row(interface, r->args[1]);
    const char *names = row != NULL ? row->args : interfaces[interface].args;
    bool wide = r->args[4] == 64;
    for (unsigned i = 0; *names != '\0'; i++) {
        size_t len = strcspn(names, " ");
        if (i == n) {
            unsigned reg = wide ? interfaces[interface].wide[i] : interfaces[interface].narrow[i];
            if (n >= interfaces[interface].registers || r->size < 8 * (reg + 1)) {
                return false;
            }
            (void)snprintf(name, 24, "%.*s", (int)len, names);
            *value = load_le64(r->payload + 8 * (size_t)reg);
            *value = wide ? *value : (u32)*value;
            return true;
        }
        names += len + (names[len] == ' ' ? 1 : 0);
    }
    return false;
}

/* Words of small enumerations, in their order. */
static const struct {
    const char *kind;
    const char *const words[8];
} enumerations[] = {
    {"event_kind", {"none", "exception", "int-n", "int3", "int1", "interrupt", "nmi", "shutdown"}},
    {"cpu_change", {"reset", "init", "sipi", "smi", "shutdown"}},
    {"nested_fault", {"ept-violation", "ept-misconfig", "npt", "ve", "log-full"}},
    {"invalidation", {"invlpg", "invpcid", "invept", "invvpid", "invlpga"}},
    {"net_direction", {"from-guest", "to-guest"}},
    {"device_route", {"nothing", "everything", "tables"}},
    {"stale", {"tables", "page", "page_gone", "interrupt"}},
    {"iommu_access", {"read", "write", "interrupt"}},
    {"claim_verdict", {"unchecked", "taken", "agrees", "differs", "refused"}},
    {"claim_pages", {"root", "deposited", "private"}},
};

static const char *request_word(const struct trace_field *f, u64 v)
{
    static const struct {
        char kind; /* r, p: of a request, of a packet; w: what it is */
        u64 value;
        const char *word;
    } rows[] = {
        {'r', 0, "READ"},      {'r', 1, "WRITE"},         {'r', 2, "BARRIER"},    {'r', 3, "FLUSH"},
        {'r', 5, "DISCARD"},   {'r', 16, "TRANSMIT"},     {'r', 17, "RECEIVE"},   {'p', VMBUS_PACKET_INBAND, "in-band"},
        {'p', VMBUS_PACKET_TRANSFER_PAGES, "transfer-pages"}, {'p', VMBUS_PACKET_GPA_DIRECT, "gpa-direct"},
        {'p', VMBUS_PACKET_COMPLETION, "completion"},
#define WHAT(protocol, code, name) {'w', (protocol) << 16 | (code), name},
#include "abi/hyperv/vmbus_what.def"
#undef WHAT
    };
    char kind = trace_field_is(f, "xen_request") ? 'r' : trace_field_is(f, "vmbus_packet") ? 'p' : 'w';
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].kind == kind && rows[i].value == v) {
            return rows[i].word;
        }
    }
    return NULL;
}

const char *trace_word(const struct trace_record *r, const struct trace_field *f, u64 v)
{
    for (unsigned i = 0; i < ARRAY_LEN(enumerations); i++) {
        if (trace_field_is(f, enumerations[i].kind)) {
            return v < ARRAY_LEN(enumerations[i].words) ? enumerations[i].words[v] : NULL;
        }
    }
    if (trace_field_is(f, "vector")) { /* only exceptions have names; an interrupt's vector is a number */
        return r->args[0] == EVENT_EXCEPTION ? vector_name(v) : NULL;
    }
    if (trace_field_is(f, "vm_exit")) {
        return trace_exit_name(v);
    }
    if (trace_field_is(f, "interface")) {
        return trace_interface_name(v);
    }
    if (trace_field_is(f, "hypercall")) {
        return trace_hypercall_name(r->args[0], v);
    }
    if (trace_field_is(f, "claim")) {
        const struct trace_port_row *row = trace_port_row((u32)v);
        return row != NULL && v <= UINT32_MAX ? row->name : NULL;
    }
    if (trace_field_is(f, "xen_request") || trace_field_is(f, "vmbus_packet") || trace_field_is(f, "vmbus_what")) {
        return request_word(f, v);
    }
    if (trace_field_is(f, "claim_call")) {
        return trace_hypercall_name(TRACE_INTERFACE_HYPERV, v);
    }
    if (trace_field_is(f, "gate_source")) {
        return v < GATE_SOURCE_COUNT ? gate_source_name((enum gate_source)v) : NULL;
    }
    if (trace_field_is(f, "stop")) {
        return v <= STOP_REASON_LAST ? stop_reason_name((enum stop_reason)v) : NULL;
    }
    return NULL;
}
