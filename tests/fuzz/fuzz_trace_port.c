/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace port under writers of all kinds in turn: words, half words, torn records, saved and restored on the way. What comes out is within
 * its bounds and of a type that there is. */
#include "devices/trace_port.h"

#include "base/assert.h"
#include "base/bits.h"
#include "fuzz_input.h"

struct rig {
    struct log log;
    struct bus bus;
    struct trace_port_writer writer;
    bool nobody;
};

static bool writer(void *self, struct trace_port_writer *w)
{
    const struct rig *r = self;
    *w = r->writer;
    return !r->nobody;
}

static void record(void *self, const struct trace_port_record *r)
{
    const struct rig *rig = self;
    const struct trace_port_row *row = trace_port_row(r->type);
    if (row == NULL || r->field_count > TRACE_PORT_FIELDS || r->payload_size > TRACE_PORT_PAYLOAD || r->writer.cpu != rig->writer.cpu ||
        r->writer.control != rig->writer.control || (r->payload_size != 0 && !row->has_payload)) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, size};
    struct rig *r = calloc(1, sizeof *r);
    sim_assert(r != NULL);
    log_init(&r->log);
    bus_init(&r->bus, &r->log);
    const struct device_env env = {.log = &r->log, .bus = &r->bus};
    const struct trace_port_sink sink = {.writer = writer, .record = record, .self = r};
    trace_port_new(&env, "trace-port", &sink);
    bus_reset(&r->bus, RESET_POWER);
    for (unsigned i = 0; in.n > 0 && i < 2000; i++) {
        u64 what = take(&in, 1);
        u32 words = 2 + (u32)(what >> 4);
        switch (what & 15) {
        case 0:
            r->writer = (struct trace_port_writer){.cpu = (u32)take(&in, 1) % 20, .control = (take(&in, 1) & 31) << 12};
            r->nobody = take(&in, 1) > 250;
            break;
        case 1:
            bus_port_write(&r->bus, (u16)(TRACE_PORT_ID + take(&in, 1) % 9), (u32)take(&in, 4), 1u << take(&in, 1) % 3);
            break;
        case 2:
            save_and_restore(&r->bus);
            break;
        case 3:
            (void)bus_port_read(&r->bus, (u16)(TRACE_PORT_ID + take(&in, 1) % 9), 1u << take(&in, 1) % 3);
            break;
        case 4:
            bus_port_write(&r->bus, TRACE_PORT_DATA, (u32)take(&in, 4), 4);
            break;
        case 5:
        case 6:
        case 7:
            bus_port_write(&r->bus, TRACE_PORT_DATA, (u32)(take(&in, 1) % 16 | words << 8 | TRACE_PORT_MARK << 16), 4);
            break;
        default:
            bus_port_write(&r->bus, TRACE_PORT_DATA, (u32)take(&in, 1) & ((what & 8) != 0 ? 0x1f : 0xff), 4);
            break;
        }
    }
    bus_free(&r->bus);
    free(r);
    return 0;
}
