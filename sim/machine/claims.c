/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace port's other end: who writes, what the tracker thinks of it, and into the trace. */
#include "machine/claims.h"

#include "base/bytes.h"
#include "cpu/virt.h"
#include "devices/trace_port.h"
#include "machine/watching.h"
#include "trace/events.h"

#include <string.h>

static bool writer(void *self, struct trace_port_writer *w)
{
    const struct machine *m = self;
    const struct cpu *cpu = m->clock.running != NULL ? m->clock.running_cpu : NULL;
    if (cpu == NULL) {
        return false;
    }
    w->cpu = cpu->index;
    w->control = cpu->arch.guest == GUEST_NONE  ? 0
                 : cpu->arch.guest == GUEST_VMX ? cpu->arch.vmx.current
                                                : cpu->arch.svm.vmcb;
    return true;
}

static void record(void *self, const struct trace_port_record *r)
{
    struct machine *m = self;
    struct watch *w = watching_tracker(m);
    struct watch_claim claim = {.type = r->type,
                                .writers = trace_port_row(r->type)->writers,
                                .field = r->field,
                                .payload = r->payload,
                                .size = r->payload_size};
    enum watch_verdict verdict = w != NULL ? watch_claim(w, r->writer.cpu, &claim) : WATCH_CLAIM_UNCHECKED;
    u32 guest = w != NULL ? watch_running(w, r->writer.cpu) : 0;
    u8 data[8 * TRACE_PORT_FIELDS + TRACE_PORT_PAYLOAD];
    for (u32 i = 0; i < r->field_count; i++) {
        store_le64(data + 8 * (size_t)i, r->field[i]);
    }
    memcpy(data + 8 * (size_t)r->field_count, r->payload, r->payload_size);
    trace_claim(&m->trace, r->writer.cpu, r->type, verdict, guest, r->writer.control, data,
                8 * r->field_count + r->payload_size);
}

void claims_add_port(struct machine *m)
{
    const struct trace_port_sink sink = {.writer = writer, .record = record, .self = m};
    trace_port_new(&m->env, "trace-port", &sink);
}

u64 claims_differ(const struct machine *m)
{
    const struct watch *w = watching_tracker(m);
    return w != NULL ? watch_claims(w)->differ : 0;
}
