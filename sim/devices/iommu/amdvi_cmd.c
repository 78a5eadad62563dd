/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command buffer [AMDVI "Commands"]. Nothing is cached, so of an invalidation only the completion may be
 * visible; who looks for missing ones (iommu_stale.h) is told. A command that is not one stops the
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

/* [AMDVI "INVALIDATE_IOMMU_PAGES"]: S has the size in the lowest clear address bit, as entries have. Host pages that guest
 * tables were read through count as all of the domain's. */
static void flush_pages(struct amdvi *a, u64 low, u64 high)
{
    bool guest = (high & 4) != 0;
    u64 address = high & ~PAGE_MASK, bytes = PAGE_SIZE;
    if ((high & 1) != 0) {
        unsigned clear = ~(address | PAGE_MASK) != 0 ? (unsigned)__builtin_ctzll(~(address | PAGE_MASK)) : 63;
        bytes = clear < 62 ? BIT(clear + 1) : 0;
    }
    struct iommu_flush f = {.what = IOMMU_FLUSH_PAGES,
                            .by_domain = true,
                            .domain = (u32)bits_get(low, 32, 16),
                            .by_pasid = true,
                            .pasid = guest ? (u32)bits_get(low, 0, 20) : IOMMU_NO_PASID,
                            .by_range = bytes != 0,
                            .first = bytes != 0 ? address & ~(bytes - 1) : 0};
    f.last = f.first + (bytes - 1);
    iommu_stale_flush(&a->base, &f);
    if (!guest) {
        f.pasid = 0;
        f.by_range = false;
        iommu_stale_flush(&a->base, &f);
    }
}

static void flush(struct amdvi *a, unsigned opcode, u64 low, u64 high)
{
    struct iommu_flush f = {.by_requester = true, .requester = (u16)low};
    switch (opcode) {
    case AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY:
        f.what = IOMMU_FLUSH_CONTEXTS;
        iommu_stale_flush(&a->base, &f);
        break;
    case AMDVI_CMD_INVALIDATE_INTERRUPT_TABLE:
        f.what = IOMMU_FLUSH_INTERRUPTS;
        iommu_stale_flush(&a->base, &f);
        break;
    case AMDVI_CMD_INVALIDATE_IOMMU_PAGES:
        flush_pages(a, low, high);
        break;
    case AMDVI_CMD_INVALIDATE_IOMMU_ALL:
        iommu_stale_forget(&a->base);
        break;
    default:
        break;
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
        flush(a, opcode, low, high);
        ring->head = (u32)((ring->head + COMMAND_SIZE) & (bytes - 1));
    }
}
