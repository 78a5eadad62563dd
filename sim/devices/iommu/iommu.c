/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all IOMMUs share: requests of bus masters cut into pages, interrupts found among them, tables
 * that must lie in memory, and the report of what was blocked.
 *
 * A request is translated page by page; what lies before a page that is blocked has been moved. */
#include "devices/iommu/iommu.h"

#include "base/bytes.h"
#include "trace/events.h"

#include <stdio.h>
#include <string.h>

void iommu_init(struct iommu *iommu, const struct iommu_ops *ops, const struct device_env *env,
                const char *id)
{
    iommu->ops = ops;
    iommu->env = *env;
    (void)snprintf(iommu->id, sizeof iommu->id, "%s", id);
}

void iommu_reset(struct iommu *iommu)
{
    iommu->last = (struct iommu_last_fault){0};
    iommu->posted = (struct iommu_posted){0};
    iommu_stale_forget(iommu);
    iommu_changed(iommu);
}

void iommu_state(struct iommu *iommu, struct state_io *io)
{
    struct iommu_last_fault *last = &iommu->last;
    state_u64(io, "last.count", &last->count);
    state_u8(io, "last.reason", &last->reason);
    state_bool(io, "last.interrupt", &last->interrupt);
    state_bool(io, "last.write", &last->write);
    state_bool(io, "last.recorded", &last->recorded);
    state_u16(io, "last.requester", &last->requester);
    state_u64(io, "last.address", &last->address);
    state_u64(io, "posted.all", &iommu->posted.all);
    state_u64(io, "posted.told", &iommu->posted.told);
    state_u64(io, "posted.running", &iommu->posted.running);
    state_u64(io, "posted.logged", &iommu->posted.logged);
    if (state_is_load(io)) {
        iommu_stale_forget(iommu);
        iommu_changed(iommu);
    }
}

/* ---- tables ---- */

static bool is_memory(const struct iommu *iommu, u64 spa, u64 size)
{
    u64 frame;
    u8 *host;
    bool writable;
    if (spa > (u64)1 << 52 || size > PAGE_SIZE) {
        return false;
    }
    return phys_page(iommu->env.phys, SPA(spa), &frame, &host, &writable) &&
           phys_page(iommu->env.phys, SPA(spa + size - 1), &frame, &host, &writable);
}

bool iommu_table_read(struct iommu *iommu, u64 spa, void *data, u64 size)
{
    if (!is_memory(iommu, spa, size)) {
        return false;
    }
    phys_read(iommu->env.phys, SPA(spa), data, size);
    return true;
}

bool iommu_table_write(struct iommu *iommu, u64 spa, const void *data, u64 size)
{
    if (!is_memory(iommu, spa, size)) {
        return false;
    }
    phys_write(iommu->env.phys, SPA(spa), data, size);
    return true;
}

/* ---- what the bus masters call ---- */

static u64 rest_of_page(u64 iova, u64 size)
{
    u64 room = PAGE_SIZE - (iova & PAGE_MASK);
    return size < room ? size : room;
}

static bool remapped_read(void *self, u16 requester, iova_t iova, void *data, u64 size)
{
    struct iommu *iommu = self;
    u8 *to = data;
    for (u64 done = 0, n; done < size; done += n) {
        u64 spa;
        n = rest_of_page(iova.v + done, size - done);
        if (!iommu->ops->translate(iommu, requester, iova.v + done, false, &spa) ||
            !dma_read(&iommu->env.dma, requester, IOVA(spa), to + done, n)) {
            return false;
        }
    }
    return true;
}

static bool remapped_write(void *self, u16 requester, iova_t iova, const void *data, u64 size)
{
    struct iommu *iommu = self;
    const u8 *from = data;
    for (u64 done = 0, n; done < size; done += n) {
        u64 spa, at = iova.v + done;
        n = rest_of_page(at, size - done);
        if (iommu_in_interrupt_range(at) && n == 4 && (at & 3) == 0) {
            iommu->ops->interrupt(iommu, requester, at, load_le32(from + done));
        } else if (!iommu->ops->translate(iommu, requester, at, true, &spa) ||
                   !dma_write(&iommu->env.dma, requester, IOVA(spa), from + done, n)) {
            return false;
        }
    }
    return true;
}

static void remapped_send(void *self, u16 requester, u64 address, u32 data)
{
    struct iommu *iommu = self;
    iommu->ops->interrupt(iommu, requester, address, data);
}

struct dma iommu_dma(struct iommu *iommu)
{
    return (struct dma){.read = remapped_read, .write = remapped_write, .self = iommu};
}

struct msi_sink iommu_msi(struct iommu *iommu)
{
    return (struct msi_sink){.send = remapped_send, .self = iommu};
}

/* ---- reports ---- */

const char *iommu_fault_words(const struct iommu *iommu, u8 reason)
{
    return iommu->ops->fault_words(reason);
}

void iommu_blocked(struct iommu *iommu, const struct iommu_request *r, u8 reason, bool recorded)
{
    const char *words = iommu->ops->fault_words(reason);
    words = words != NULL ? words : "no fault is defined for it";
    iommu->last.count++;
    iommu->last.reason = reason;
    iommu->last.interrupt = r->interrupt;
    iommu->last.write = r->write;
    iommu->last.recorded = recorded;
    iommu->last.requester = r->requester;
    iommu->last.address = r->address;
    u64 access = r->interrupt ? TRACE_IOMMU_INTERRUPT
                 : r->write   ? TRACE_IOMMU_WRITE
                              : TRACE_IOMMU_READ;
    trace_iommu_fault(iommu->env.phys->trace, TRACE_NO_CPU, r->requester, access, r->address,
                      strlen(words), words, (u32)strlen(words));
    log_line(iommu->env.log, LOG_IOMMU, "%s: %02x:%02x.%x %s %s%#llx blocked: %s", iommu->id,
             (unsigned)r->requester >> 8, (unsigned)(r->requester >> 3 & 31),
             (unsigned)(r->requester & 7),
             r->interrupt ? "interrupt" : r->write ? "write to" : "read of",
             r->interrupt ? "index " : "", (unsigned long long)r->address, words);
}

void iommu_count_posted(struct iommu *iommu, u16 requester, unsigned vector, u64 at, bool told, u32 apic_id)
{
    const struct iommu_processors *p = &iommu->processors;
    bool running = told && p->in_guest != NULL && p->in_guest(p->self, apic_id);
    iommu->posted.all++;
    iommu->posted.told += told ? 1 : 0;
    iommu->posted.running += running ? 1 : 0;
    trace_iommu_posted(iommu->env.phys->trace, TRACE_NO_CPU, requester, vector, at, told ? 1 : 0, running ? 1 : 0);
    log_line(iommu->env.log, LOG_IOMMU, "%s: vector %u of %02x:%02x.%x posted at %#llx%s%s", iommu->id, vector,
             (unsigned)requester >> 8, (unsigned)(requester >> 3 & 31), (unsigned)(requester & 7), (unsigned long long)at,
             told ? ", a processor told" : "", running ? " that runs a guest" : "");
}

/* ---- routes ---- */

void iommu_changed(struct iommu *iommu)
{
    if (iommu->watch.changed != NULL) {
        iommu->watch.changed(iommu->watch.self);
    }
}

void iommu_find_route(struct iommu *iommu, u16 requester, struct iommu_route *route)
{
    *route = (struct iommu_route){.path = IOMMU_PATH_BLOCKED};
    iommu->ops->route(iommu, requester, route);
}

void iommu_route_used(struct iommu_route *route, u64 spa)
{
    if (route->used_count < IOMMU_MAX_USED) {
        route->used[route->used_count++] = spa & ~PAGE_MASK;
    }
}

struct acpi_bytes iommu_acpi(struct iommu *iommu, u8 ioapic_id, bool hpet)
{
    return iommu->ops->acpi(iommu, ioapic_id, hpet);
}
