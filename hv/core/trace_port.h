/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tells an observer what is what, where there is one (abi/trace_port.h). Nothing depends on it. For guests, too: no types of hv here. */
#ifndef HV_CORE_TRACE_PORT_H
#define HV_CORE_TRACE_PORT_H

#include "abi/trace_port.h"

#include <stdbool.h>
#include <stdint.h>

extern bool trace_port_present;

/* Is there such a port? Asks it. */
void trace_port_probe(void);
/* One record, if there is a port. At most TRACE_PORT_PAYLOAD bytes. */
void trace_port_write(enum trace_port_type type, const uint64_t *field, uint32_t count, const void *payload, uint32_t size);

#define trace_claim(type, ...) trace_claim_with(type, NULL, 0, __VA_ARGS__)
#define trace_claim_with(type, payload, size, ...)                                                           \
    do {                                                                                                     \
        if (trace_port_present) {                                                                            \
            const uint64_t field_[] = {__VA_ARGS__};                                                              \
            trace_port_write(type, field_, sizeof field_ / sizeof field_[0], payload, size);                           \
        }                                                                                                    \
    } while (0)

#endif
