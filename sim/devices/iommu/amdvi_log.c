/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the unit tells software [AMDVI "Event Logging", "Peripheral Page Request (PPR) Logging", "Guest
 * Virtual APIC Log"]: three logs in memory, and the interrupts that say so.
 *
 * A log that is full stops until software switches it off and on again. An interrupt is given when a
 * status bit becomes set: software that leaves it set hears no more. The unit's own interrupts are not
 * remapped. Left out: suppression of all but the first fault of a device (SE of its entry), dual logs,
 * early overflow. */
#include "base/bytes.h"
#include "devices/iommu/amdvi_priv.h"

const char *amdvi_fault_words(u8 reason)
{
    switch ((enum amdvi_fault)reason) {
#define AMDVI_FAULT(name, event, flags, words)                                                     \
    case AMDVI_FAULT_##name:                                                                       \
        return words;
#include "abi/x86/amdvi_faults.def"
#undef AMDVI_FAULT
    case AMDVI_FAULT_NONE:
        break;
    }
    return NULL;
}

/* ---- interrupts ---- */

/* [AMDVI "IOMMU x2APIC Control" registers]: destination in 63:56 and 31:8, vector in 39:32, logical
 * in bit 2. */
static void send_extended(struct amdvi *a, u64 xt)
{
    u64 id = bits_get(xt, 8, 24) | xt >> 56 << 24;
    u64 address = 0xfee00000u | (id & 0xff) << 12 | id >> 8 << 40 | (xt & 4);
    a->base.env.msi.send(a->base.env.msi.self, 0, address, (u32)bits_get(xt, 32, 8));
}

static void send(struct amdvi *a, u64 xt)
{
    struct pci_function *fn = &a->fn;
    if (amdvi_on(a, AMDVI_CTL_INTCAPXT_EN)) {
        send_extended(a, xt);
    } else if (fn->bus != NULL && pci_msi_is_enabled(fn)) {
        u64 address = pci_get_config(fn, fn->msi_cap + PCI_MSI_ADDRESS_LO, 4) |
                      (u64)pci_get_config(fn, fn->msi_cap + PCI_MSI_ADDRESS_HI, 4) << 32;
        u32 data = pci_get_config(fn, fn->msi_cap + PCI_MSI_DATA_64, 2);
        a->base.env.msi.send(a->base.env.msi.self, pci_requester(fn), address, data);
    }
}

void amdvi_signal(struct amdvi *a, u64 status, u64 enable, u64 xt)
{
    bool already = (a->status & status) != 0;
    a->status |= status;
    if (!already && amdvi_on(a, enable)) {
        send(a, xt);
    }
}

/* ---- logs ---- */

/* Lengths below 8 are reserved; they count as what they say, at most a few entries. */
u64 amdvi_ring_bytes(const struct amdvi_ring *ring, unsigned entry_size)
{
    return (u64)entry_size << bits_get(ring->base, AMDVI_BASE_LENGTH_SHIFT, 4);
}

static bool append(struct amdvi *a, struct amdvi_ring *ring, u64 run, u64 overflow,
                   const u64 *words, unsigned count)
{
    u8 raw[16];
    u64 bytes = amdvi_ring_bytes(ring, 8 * count);
    if ((a->status & run) == 0) {
        return false;
    }
    u32 tail = (u32)((ring->tail + 8 * count) & (bytes - 1));
    if (tail == ring->head) {
        a->status |= overflow;
        a->status &= ~run;
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        store_le64(raw + 8 * i, words[i]);
    }
    if (!iommu_table_write(&a->base, (ring->base & AMDVI_BASE_ADDRESS) + ring->tail, raw,
                           8 * (u64)count)) {
        log_guest_error(a->base.env.log, "%s: a log lies outside memory", a->base.id);
        return false;
    }
    ring->tail = tail;
    return true;
}

void amdvi_log_event(struct amdvi *a, u64 low, u64 high)
{
    const u64 words[2] = {low, high};
    u64 before = a->status;
    if (append(a, &a->events, AMDVI_STS_EVT_RUN, AMDVI_STS_EVT_OVERFLOW, words, 2) ||
        (~before & a->status & AMDVI_STS_EVT_OVERFLOW) != 0) {
        amdvi_signal(a, AMDVI_STS_EVT_INT, AMDVI_CTL_EVT_INT_EN, a->xt_general);
    }
}

bool amdvi_page_request(struct iommu *iommu, u16 requester, u32 pasid, u64 address, u16 flags,
                        u16 tag)
{
    struct amdvi *a = amdvi_of(iommu);
    const u64 words[2] = {
        requester | (u64)(pasid & 0xffff) << 16 | (u64)(tag & 0x3ff) << 32 |
            (u64)(pasid >> 16 & 0xf) << 42 | (u64)(flags & 0xfff) << 48 |
            (u64)AMDVI_PPR_PAGE_SERVICE << 60,
        address};
    u64 before = a->status;
    bool logged = amdvi_on(a, AMDVI_CTL_PPR_EN) &&
                  append(a, &a->ppr, AMDVI_STS_PPR_RUN, AMDVI_STS_PPR_OVERFLOW, words, 2);
    if (logged || (~before & a->status & AMDVI_STS_PPR_OVERFLOW) != 0) {
        amdvi_signal(a, AMDVI_STS_PPR_INT, AMDVI_CTL_PPR_INT_EN, a->xt_ppr);
    }
    return logged;
}

void amdvi_log_guest(struct amdvi *a, u16 requester, u32 tag)
{
    const u64 word = tag | (u64)requester << 32 | (u64)AMDVI_GA_LOG_GUEST_NR << 60;
    u64 before = a->status;
    bool logged = append(a, &a->ga, AMDVI_STS_GA_RUN, AMDVI_STS_GA_OVERFLOW, &word, 1);
    if (logged && a->ga_tail_address != 0) {
        u8 raw[8];
        store_le64(raw, a->ga.tail);
        (void)!iommu_table_write(&a->base, a->ga_tail_address, raw, sizeof raw);
    }
    if (logged || (~before & a->status & AMDVI_STS_GA_OVERFLOW) != 0) {
        amdvi_signal(a, AMDVI_STS_GA_INT, AMDVI_CTL_GA_INT_EN, a->xt_ga);
    }
}

/* ---- faults ---- */

struct fault_row {
    u64 event, flags;
};

static struct fault_row row_of(enum amdvi_fault fault)
{
    switch (fault) {
#define AMDVI_FAULT(name, event_name, event_flags, words)                                          \
    case AMDVI_FAULT_##name:                                                                       \
        return (struct fault_row){.event = AMDVI_EVENT_##event_name, .flags = (event_flags)};
#include "abi/x86/amdvi_faults.def"
#undef AMDVI_FAULT
    case AMDVI_FAULT_NONE:
        break;
    }
    return (struct fault_row){0};
}

void amdvi_report(struct amdvi *a, const struct amdvi_request *q, enum amdvi_fault fault)
{
    struct fault_row row = row_of(fault);
    bool quiet = q->found && ((q->dte[1] & AMDVI_DTE1_SA) != 0 ||
                              (q->r.interrupt && (q->dte[2] & AMDVI_DTE2_IG) != 0));
    u64 tail = a->events.tail;
    if (!quiet) {
        u64 low = q->r.requester | row.flags | row.event << 60;
        low |= q->r.interrupt ? AMDVI_EVENT_I : 0;
        if (row.event != AMDVI_EVENT_INVALID_DEVICE_REQUEST) {
            low |= q->r.write ? AMDVI_EVENT_RW : 0;
            low |= q->found ? bits_get(q->dte[1], 0, 16) << 32 : 0;
        }
        amdvi_log_event(a, low, q->r.address);
    }
    iommu_blocked(&a->base, &q->r, (u8)fault, a->events.tail != tail);
}
