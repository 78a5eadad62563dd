/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace port of abi/trace_port.h: assembles records, stamps them with who wrote them, hands them on. */
#ifndef VITRINE_DEVICES_TRACE_PORT_H
#define VITRINE_DEVICES_TRACE_PORT_H

#include "abi/trace_port.h"
#include "devices/device.h"

/* Whoever executes the instruction that writes: its processor, and the VMCS or VMCB that this runs, 0 outside guest mode. */
struct trace_port_writer {
    u32 cpu;
    u64 control;
};

/* A whole record of a known type and right size. */
struct trace_port_record {
    struct trace_port_writer writer;
    enum trace_port_type type;
    u32 field_count;
    u64 field[TRACE_PORT_FIELDS];
    u32 payload_size;
    u8 payload[TRACE_PORT_PAYLOAD];
};

struct trace_port_sink {
    /* False: no processor does this (a debugger). */
    bool (*writer)(void *self, struct trace_port_writer *w);
    void (*record)(void *self, const struct trace_port_record *r);
    void *self;
};

/* Owned by env->bus. */
void trace_port_new(const struct device_env *env, const char *id, const struct trace_port_sink *sink);

/* A row of abi/trace_port.def; NULL: no such number. */
struct trace_port_row {
    u32 number;
    const char *name;
    u32 writers; /* TRACE_PORT_HYPERVISOR ... */
    const char *fields;
    bool has_payload;
};
const struct trace_port_row *trace_port_row(u32 number);

#endif
