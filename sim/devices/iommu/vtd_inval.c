/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Invalidation [VTD "Invalidation of Translation Caches"], by registers and by queue. Nothing is
 * cached, so a request is checked and completed at once; what it may make visible is its completion. Who looks
 * for missing ones (iommu_stale.h) is told. */
#include "base/bytes.h"
#include "base/log.h"
#include "devices/iommu/vtd_priv.h"

#define MAMV 18u

/* ---- what is invalidated ---- */

enum { GLOBAL = 1, DOMAIN, PRECISE }; /* granularities: PRECISE is a device or pages */

static void flush_contexts(struct vtd *v, u64 granularity, u32 domain, u16 source, u64 function_mask)
{
    static const u16 ignored[4] = {0, 4, 6, 7};
    struct iommu_flush f = {.what = IOMMU_FLUSH_CONTEXTS,
                            .by_domain = granularity != GLOBAL,
                            .domain = domain,
                            .by_requester = granularity == PRECISE,
                            .requester = source,
                            .ignored = ignored[function_mask]};
    iommu_stale_flush(&v->base, &f);
}

/* pasid: IOMMU_NO_PASID for what second-level tables say. Without pages, all of the domain. */
static void flush_pages(struct vtd *v, u64 granularity, u32 domain, u32 pasid, bool by_pasid, u64 address)
{
    u64 bytes = PAGE_SIZE << bits_get(address, 0, 6);
    struct iommu_flush f = {.what = IOMMU_FLUSH_PAGES,
                            .by_domain = granularity != GLOBAL,
                            .domain = domain,
                            .by_pasid = by_pasid || granularity == PRECISE,
                            .pasid = pasid,
                            .by_range = granularity == PRECISE,
                            .first = address & ~(bytes - 1)};
    f.last = f.first + (bytes - 1);
    iommu_stale_flush(&v->base, &f);
}

/* [VTD "Interrupt Entry Cache Invalidate Descriptor"] */
static void flush_interrupts(struct vtd *v, u64 d)
{
    struct iommu_flush f = {.what = IOMMU_FLUSH_INTERRUPTS, .by_range = (d & BIT(4)) != 0, .first = bits_get(d, 32, 16)};
    u64 count = BIT(bits_get(d, 27, 5));
    f.first &= ~(count - 1);
    f.last = f.first + (count - 1);
    iommu_stale_flush(&v->base, &f);
}

static void flush(struct vtd *v, u64 type, const u64 d[4])
{
    u64 granularity = bits_get(d[0], 4, 2);
    u32 domain = (u32)bits_get(d[0], 16, 16), pasid = (u32)bits_get(d[0], 32, 20);
    switch (type) {
    case VTD_INV_CONTEXT:
        flush_contexts(v, granularity, domain, (u16)bits_get(d[0], 32, 16), bits_get(d[0], 48, 2));
        break;
    case VTD_INV_IOTLB:
        flush_pages(v, granularity, domain, IOMMU_NO_PASID, false, d[1]);
        break;
    case VTD_INV_IEC:
        flush_interrupts(v, d[0]);
        break;
    case VTD_INV_PASID_IOTLB:
        flush_pages(v, granularity, domain, pasid, true, d[1]);
        break;
    case VTD_INV_PASID_CACHE: /* 0: all PASIDs of a domain, 1: one, 3: all of all */
        flush_contexts(v, granularity == 3 ? GLOBAL : DOMAIN, domain, 0, 0);
        break;
    default:
        break;
    }
}

/* ---- registers ---- */

/* ICC in bit 63, the granularity asked for in 62:61 and the one done in 60:59. */
void vtd_context_command(struct vtd *v)
{
    if ((v->ccmd & BIT(63)) == 0) {
        return;
    }
    if ((v->gsts & VTD_GCMD_QIE) != 0) {
        log_guest_error(v->base.env.log, "%s: CCMD written while the queue is on", v->base.id);
    }
    u64 done = bits_get(v->ccmd, 61, 2);
    if (done != 0) {
        flush_contexts(v, done, (u32)bits_get(v->ccmd, 0, 16), (u16)bits_get(v->ccmd, 16, 16), bits_get(v->ccmd, 32, 2));
    }
    v->ccmd = bits_set(v->ccmd, 59, 2, done) & ~BIT(63);
}

/* IVT in bit 63, asked for in 61:60, done in 58:57. */
void vtd_iotlb_command(struct vtd *v)
{
    if ((v->iotlb & BIT(63)) == 0) {
        return;
    }
    if ((v->gsts & VTD_GCMD_QIE) != 0) {
        log_guest_error(v->base.env.log, "%s: IOTLB written while the queue is on", v->base.id);
    }
    u64 done = bits_get(v->iotlb, 60, 2);
    if (done == 3 && bits_get(v->iva, 0, 6) > MAMV) {
        done = 0; /* [VTD "IOTLB Invalidate Register"]: an unsupported mask is not processed */
    }
    if (done != 0) {
        flush_pages(v, done, (u32)bits_get(v->iotlb, 32, 16), IOMMU_NO_PASID, false, v->iva);
    }
    v->iotlb = bits_set(v->iotlb, 57, 2, done) & ~BIT(63);
}

/* ---- the completion event ---- */

static void send_completion(struct vtd *v)
{
    v->iectl &= ~(u32)VTD_EVENT_IP;
    v->base.env.msi.send(v->base.env.msi.self, 0, v->ieaddr, v->iedata);
}

static void completion_event(struct vtd *v)
{
    if ((v->ics & VTD_ICS_IWC) != 0) {
        return; /* not a new condition */
    }
    v->ics |= VTD_ICS_IWC;
    v->iectl |= VTD_EVENT_IP;
    if ((v->iectl & VTD_EVENT_IM) == 0) {
        send_completion(v);
    }
}

void vtd_write_ics(struct vtd *v, u32 value)
{
    if ((value & v->ics & VTD_ICS_IWC) != 0) {
        v->ics = 0;
        v->iectl &= ~(u32)VTD_EVENT_IP;
    }
}

void vtd_write_iectl(struct vtd *v, u32 value)
{
    v->iectl = (v->iectl & ~(u32)VTD_EVENT_IM) | (value & VTD_EVENT_IM);
    if (v->iectl == VTD_EVENT_IP) {
        send_completion(v);
    }
}

/* ---- the queue ---- */

static void queue_error(struct vtd *v, u64 info, const char *what)
{
    u32 before = vtd_fault_status(v);
    v->fsts |= VTD_FSTS_IQE;
    v->iqercd = info;
    log_guest_error(v->base.env.log, "%s: invalidation queue stops: %s", v->base.id, what);
    vtd_fault_event(v, before);
}

/* Status goes to memory alone: a unit that rings its own doorbell would never end. */
static void wait_done(struct vtd *v, const u64 d[4])
{
    if ((d[0] & VTD_INV_WAIT_SW) != 0) {
        u8 status[4];
        store_le32(status, (u32)(d[0] >> 32));
        if (!iommu_table_write(&v->base, d[1], status, sizeof status)) {
            log_guest_error(v->base.env.log, "%s: wait status to %#llx, which is not memory", v->base.id,
                            (unsigned long long)d[1]);
        }
    }
    if ((d[0] & VTD_INV_WAIT_IF) != 0) {
        completion_event(v);
    }
}

/* Bits that must be 0 in the first two quadwords. The type's upper bits 11:9 are among them. */
static bool type_masks(u64 type, u64 reserved[2])
{
    switch (type) {
    case VTD_INV_CONTEXT:
        reserved[0] = 0xfffc00000000ffc0;
        reserved[1] = ~(u64)0;
        return true;
    case VTD_INV_IOTLB:
        reserved[0] = 0xffffffff0000ff00;
        reserved[1] = 0xf80;
        return true;
    case VTD_INV_IEC:
        reserved[0] = 0xffff000007ffffe0;
        reserved[1] = ~(u64)0;
        return true;
    case VTD_INV_WAIT:
        reserved[0] = 0xffffff80;
        reserved[1] = 3;
        return true;
    case VTD_INV_PASID_IOTLB:
        reserved[0] = 0xfff000000000ffc0;
        reserved[1] = 0xf80;
        return true;
    case VTD_INV_PASID_CACHE:
        reserved[0] = 0xfff000000000ffc0;
        reserved[1] = ~(u64)0;
        return true;
    default: /* those for device TLBs, which are not offered, too */
        return false;
    }
}

/* Granularity and address mask: what else a descriptor may not say. */
static bool contents_valid(u64 type, const u64 d[4])
{
    u64 granularity = bits_get(d[0], 4, 2);
    switch (type) {
    case VTD_INV_CONTEXT:
        return granularity != 0;
    case VTD_INV_IOTLB:
        return granularity != 0 && (granularity != 3 || bits_get(d[1], 0, 6) <= MAMV);
    case VTD_INV_PASID_IOTLB:
        return granularity == 2 || (granularity == 3 && bits_get(d[1], 0, 6) <= MAMV);
    case VTD_INV_PASID_CACHE:
        return granularity != 2;
    default:
        return true;
    }
}

/* False when the queue stopped. */
static bool process(struct vtd *v, const u64 d[4])
{
    u64 type = bits_get(d[0], 0, 4);
    u64 reserved[2];
    bool scalable = bits_get(v->root, VTD_RTADDR_TTM_SHIFT, 2) == VTD_TTM_SCALABLE;
    if (!type_masks(type, reserved)) {
        queue_error(v, VTD_IQEI_TYPE, "invalid descriptor type");
    } else if ((type == VTD_INV_PASID_IOTLB || type == VTD_INV_PASID_CACHE) && !scalable) {
        queue_error(v, VTD_IQEI_TTM, "a descriptor of scalable mode outside it");
    } else if ((d[0] & reserved[0]) != 0 || (d[1] & reserved[1]) != 0 || d[2] != 0 || d[3] != 0) {
        queue_error(v, VTD_IQEI_RESERVED, "reserved bits in a descriptor");
    } else if (!contents_valid(type, d)) {
        queue_error(v, VTD_IQEI_RESERVED, "a reserved value in a descriptor");
    } else {
        if (type == VTD_INV_WAIT) {
            wait_done(v, d);
        }
        flush(v, type, d);
        return true;
    }
    return false;
}

/* The tail moves only by a processor's or device's write, never while this runs: tables and status
 * are memory. So one run ends after at most a whole queue. */
void vtd_queue_run(struct vtd *v)
{
    bool wide = (v->iqa & VTD_IQA_DW) != 0;
    unsigned shift = wide ? 5 : 4;
    u64 bytes = (u64)PAGE_SIZE << (v->iqa & VTD_IQA_SIZE);
    bool scalable = bits_get(v->root, VTD_RTADDR_TTM_SHIFT, 2) == VTD_TTM_SCALABLE;
    while ((v->gsts & VTD_GCMD_QIE) != 0 && (v->fsts & VTD_FSTS_IQE) == 0 && v->iqh != v->iqt) {
        u64 d[4] = {0};
        u8 raw[32] = {0};
        if ((v->iqt & (BIT(shift) - 1)) != 0) {
            queue_error(v, VTD_IQEI_TAIL_ALIGNMENT, "the tail lies within a descriptor");
            return;
        }
        if (v->iqt >= bytes) {
            queue_error(v, VTD_IQEI_TAIL, "the tail lies beyond the queue");
            return;
        }
        if (scalable && !wide) {
            queue_error(v, VTD_IQEI_WIDTH, "128-bit descriptors in scalable mode");
            return;
        }
        if (!iommu_table_read(&v->base, (v->iqa & ~PAGE_MASK) + v->iqh, raw, (u64)1 << shift)) {
            queue_error(v, VTD_IQEI_FETCH, "a descriptor could not be read");
            return;
        }
        for (unsigned i = 0; i < 4; i++) {
            d[i] = load_le64(raw + 8 * i);
        }
        if (!process(v, d)) {
            return;
        }
        v->iqh = (v->iqh + BIT(shift)) & (bytes - 1);
    }
}
