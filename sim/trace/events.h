/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Typed trace events. For each row of events.def there is
 *
 *     void trace_<name>(struct trace *t, u32 cpu, u64 a0 ... [, const void *data, u32 size])
 *
 * which costs one test of a mask while its class is off; a wrong number of arguments does not
 * compile. A record carries position and virtual time of the moment of the call. t may be NULL. */
#ifndef VITRINE_TRACE_EVENTS_H
#define VITRINE_TRACE_EVENTS_H

#include "base/types.h"
#include "trace/trace.h"

enum trace_event {
    TRACE_EVENT_NONE,
#define EV(name, args, class, payload, schema, meaning) TRACE_EVENT_##name,
#include "trace/events.def"
#undef EV
    TRACE_EVENT_COUNT
};

/* The first argument of cpu_change. */
enum trace_cpu_change {
    TRACE_CPU_RESET,
    TRACE_CPU_INIT,
    TRACE_CPU_SIPI,
    TRACE_CPU_SMI,
    TRACE_CPU_SHUTDOWN,
};

/* The first argument of vm_exit: basic exit reason of VMX with bit 31 of an entry failure, or EXITCODE of
 * SVM (its low 32 bits) and this. */
#define TRACE_EXIT_SVM ((u64)1 << 32)

/* The first argument of nested_fault. */
enum trace_nested_fault {
    TRACE_NESTED_EPT_VIOLATION,
    TRACE_NESTED_EPT_MISCONFIG,
    TRACE_NESTED_NPT,
    TRACE_NESTED_VE,
    TRACE_NESTED_LOG_FULL,
};

/* The first argument of invalidate. */
enum trace_invalidation {
    TRACE_INVLPG,
    TRACE_INVPCID,
    TRACE_INVEPT,
    TRACE_INVVPID,
    TRACE_INVLPGA,
};

/* The first argument of net_frame. */
enum trace_net_direction {
    TRACE_NET_FROM_GUEST,
    TRACE_NET_TO_GUEST,
};

/* Whose hypercalls a guest makes, as the signatures of CPUID leaves 4000xx00h told it; VMI by the ROM that makes the call. */
enum trace_interface {
    TRACE_INTERFACE_UNKNOWN,
    TRACE_INTERFACE_HYPERV,
    TRACE_INTERFACE_XEN,
    TRACE_INTERFACE_KVM,
    TRACE_INTERFACE_VMWARE,
    TRACE_INTERFACE_VMI,
};

/* The second argument of iommu_fault. */
enum trace_iommu_access {
    TRACE_IOMMU_READ,
    TRACE_IOMMU_WRITE,
    TRACE_IOMMU_INTERRUPT,
};

/* What everybody who reads records works from. */
struct trace_event_info {
    const char *name;
    u32 args;
    u32 class;
    bool payload;
    const char *schema;
    const char *meaning;
};

/* By enum trace_event; row 0 has no name. */
extern const struct trace_event_info trace_event_info[TRACE_EVENT_COUNT];

void trace_emit(struct trace *t, enum trace_event event, u32 cpu, u32 argc, const u64 *args,
                const void *data, u32 size);

#define TRACE_PARAMS_0
#define TRACE_PARAMS_1 , u64 a0
#define TRACE_PARAMS_2 , u64 a0, u64 a1
#define TRACE_PARAMS_3 , u64 a0, u64 a1, u64 a2
#define TRACE_PARAMS_4 , u64 a0, u64 a1, u64 a2, u64 a3
#define TRACE_PARAMS_5 , u64 a0, u64 a1, u64 a2, u64 a3, u64 a4
#define TRACE_ARGS_0 0
#define TRACE_ARGS_1 a0
#define TRACE_ARGS_2 a0, a1
#define TRACE_ARGS_3 a0, a1, a2
#define TRACE_ARGS_4 a0, a1, a2, a3
#define TRACE_ARGS_5 a0, a1, a2, a3, a4
#define TRACE_PAYLOAD_PARAMS_NONE
#define TRACE_PAYLOAD_PARAMS_BYTES , const void *data, u32 size
#define TRACE_PAYLOAD_ARGS_NONE NULL, 0
#define TRACE_PAYLOAD_ARGS_BYTES data, size

#define EV(name, argc, class, payload, schema, meaning)                                            \
    static inline void trace_##name(struct trace *t, u32 cpu TRACE_PARAMS_##argc                   \
                                        TRACE_PAYLOAD_PARAMS_##payload)                            \
    {                                                                                              \
        if (trace_on(t, TRACE_CLASS_##class)) {                                                    \
            const u64 args[] = {TRACE_ARGS_##argc};                                                \
            trace_emit(t, TRACE_EVENT_##name, cpu, argc, args, TRACE_PAYLOAD_ARGS_##payload);      \
        }                                                                                          \
    }
#include "trace/events.def"
#undef EV

#endif
