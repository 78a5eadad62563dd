/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A ROM of VMI in a rig's memory, and what the trace makes of a hypercall. */
#ifndef VITRINE_TESTS_UNIT_VMI_ROM_H
#define VITRINE_TESTS_UNIT_VMI_ROM_H

#include "sys_rig.h"

#include "abi/vmi/rom.h"
#include "trace/events.h"

enum { AT_ROM = 0xa800, AT_ROM_CALL = AT_ROM + 0x300, AT_BEHIND_ROM = AT_ROM + 0x400 };

struct seen_call {
    unsigned count;
    u64 interface, number;
};

static inline void see_call(void *self, u32 event, u32 cpu, u32 argc, const u64 *args, const void *data, u32 size)
{
    struct seen_call *c = self;
    UNUSED(cpu);
    UNUSED(argc);
    UNUSED(data);
    UNUSED(size);
    if (event == TRACE_EVENT_hypercall) {
        c->count++;
        c->interface = args[0];
        c->number = args[1];
    }
}

static inline void look_at_calls(struct trace *t, const struct clock *clock, struct seen_call *c)
{
    trace_init(t, clock);
    trace_set_look(t, &(struct trace_look){.classes = BIT32(TRACE_CLASS_HYPERCALL), .event = see_call, .self = c});
    CPU->trace = t;
}

/* A header; 1 KiB long. */
static inline void put_vmi_rom(void)
{
    store_le16(ram(AT_ROM + VMI_ROM_MARK), VMI_ROM_MARK_IS);
    *ram(AT_ROM + VMI_ROM_LENGTH) = 2;
    store_le32(ram(AT_ROM + VMI_ROM_SIGNATURE), VMI_ROM_SIGNATURE_IS);
}

#endif
