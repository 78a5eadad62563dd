/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command buffer [AMDVI "Commands"]. Nothing is cached, so an invalidation is checked and
 * otherwise forgotten; what it may make visible is its completion. A command that is not one stops the
 * buffer until software switches it off and on again. */
#include "base/bytes.h"
#include "base/log.h"
#include "devices/iommu/amdvi_priv.h"

#define COMMAND_SIZE 16u

/* Bits that must be 0; the opcode is not among them. */
struct command_form {
    bool known;
    u64 reserved[2];
};

static struct command_form form_of(const struct amdvi *a, unsigned opcode)
{
    const struct amdvi_options *o = &a->config.options;
    switch (opcode) {
    case AMDVI_CMD_COMPLETION_WAIT:
        return (struct command_form){true, {0x0ff0000000000000, 0}};
    case AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY:
    case AMDVI_CMD_INVALIDATE_INTERRUPT_TABLE:
        return (struct command_form){true, {0x0fffffffffff0000, ~(u64)0}};
    case AMDVI_CMD_INVALIDATE_IOMMU_PAGES:
        return (struct command_form){true, {0x0fff0000fff00000, 0xff8}};
    case AMDVI_CMD_COMPLETE_PPR_REQUEST:
        return (struct command_form){o->ppr, {0, 0}};
    case AMDVI_CMD_INVALIDATE_IOMMU_ALL:
        return (struct command_form){true, {0x0fffffffffffffff, ~(u64)0}};
    default: /* those for device TLBs and prefetch, which are not offered, too */
        return (struct command_form){false, {0, 0}};
    }
}

static void completion_wait(struct amdvi *a, u64 low, u64 high)
{
    if ((low & 1) != 0) { /* s: store */
        u8 raw[8];
        u64 at = low & 0x000ffffffffffff8;
        store_le64(raw, high);
        if (!iommu_table_write(&a->base, at, raw, sizeof raw)) {
            log_guest_error(a->base.env.log, "%s: COMPLETION_WAIT to %#llx, which is not memory",
                            a->base.id, (unsigned long long)at);
        }
    }
    if ((low & 2) != 0) { /* i: interrupt */
        amdvi_signal(a, AMDVI_STS_COMWAIT_INT, AMDVI_CTL_COMWAIT_INT_EN, a->xt_general);
    }
}

static void stop(struct amdvi *a, u64 event, u64 at, const char *what)
{
    a->status &= ~AMDVI_STS_CMD_RUN;
    log_guest_error(a->base.env.log, "%s: command buffer stops: %s", a->base.id, what);
    amdvi_log_event(a, event << 60, at);
}

/* The tail moves only by a processor's or device's write, never while this runs: what commands write
 * is memory. So one run ends after at most a whole buffer. */
void amdvi_run_commands(struct amdvi *a)
{
    struct amdvi_ring *ring = &a->commands;
    u64 bytes = amdvi_ring_bytes(ring, COMMAND_SIZE);
    while (amdvi_on(a, AMDVI_CTL_EN) && (a->status & AMDVI_STS_CMD_RUN) != 0 &&
           ring->head != ring->tail) {
        u64 at = (ring->base & AMDVI_BASE_ADDRESS) + ring->head;
        u8 raw[COMMAND_SIZE];
        if (ring->tail >= bytes || ring->head >= bytes ||
            !iommu_table_read(&a->base, at, raw, sizeof raw)) {
            stop(a, AMDVI_EVENT_COMMAND_HARDWARE_ERROR, at, "a command could not be read");
            return;
        }
        u64 low = load_le64(raw), high = load_le64(raw + 8);
        unsigned opcode = (unsigned)(low >> 60);
        struct command_form form = form_of(a, opcode);
        if (!form.known) {
            stop(a, AMDVI_EVENT_ILLEGAL_COMMAND_ERROR, at, "an unknown command");
            return;
        }
        if ((low & form.reserved[0]) != 0 || (high & form.reserved[1]) != 0) {
            stop(a, AMDVI_EVENT_ILLEGAL_COMMAND_ERROR, at, "reserved bits in a command");
            return;
        }
        if (opcode == AMDVI_CMD_COMPLETION_WAIT) {
            completion_wait(a, low, high);
        }
        ring->head = (u32)((ring->head + COMMAND_SIZE) & (bytes - 1));
    }
}
