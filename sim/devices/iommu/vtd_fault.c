/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Faults [VTD "Fault Logging", "Fault Event"]: primary fault recording in a ring of registers, the
 * status that sums it up, and the interrupt. Advanced fault logging is not offered. Faults of one
 * source are not collapsed. */
#include "base/log.h"
#include "devices/iommu/vtd_priv.h"

const char *vtd_fault_words(u8 reason)
{
    switch (reason) {
#define VTD_FAULT(name, code, qualified, words)                                                    \
    case code:                                                                                     \
        return words;
#include "abi/x86/vtd_faults.def"
#undef VTD_FAULT
    default:
        return NULL;
    }
}

static bool is_qualified(enum vtd_fault_code code)
{
    switch ((unsigned)code) {
#define VTD_FAULT(name, code, qualified, words)                                                    \
    case code:                                                                                     \
        return qualified;
#include "abi/x86/vtd_faults.def"
#undef VTD_FAULT
    default:
        return false;
    }
}

static bool is_recorded(const struct vtd *v, unsigned n)
{
    return (v->frcd[n][1] & BIT(VTD_FRCD_F_SHIFT)) != 0;
}

u32 vtd_fault_status(const struct vtd *v)
{
    u32 status = v->fsts;
    /* FRI names the oldest pending record: they are filled in turn, so the first one from the
     * next to be written onwards. */
    for (unsigned i = 0; i < VTD_FRCD_COUNT; i++) {
        unsigned n = (v->next_record + i) % VTD_FRCD_COUNT;
        if (is_recorded(v, n)) {
            return status | VTD_FSTS_PPF | n << VTD_FSTS_FRI_SHIFT;
        }
    }
    return status;
}

static void send_event(struct vtd *v)
{
    /* The unit's own interrupts are not remapped [VTD "Fault Event"]. */
    v->fectl &= ~(u32)VTD_EVENT_IP;
    v->base.env.msi.send(v->base.env.msi.self, 0, v->feaddr, v->fedata);
}

#define EVENT_CONDITIONS (VTD_FSTS_PPF | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE)

void vtd_fault_event(struct vtd *v, u32 before)
{
    /* With any condition already there, this one is no new interrupt condition. */
    if ((before & EVENT_CONDITIONS) != 0 || (vtd_fault_status(v) & EVENT_CONDITIONS) == 0) {
        return;
    }
    v->fectl |= VTD_EVENT_IP;
    if ((v->fectl & VTD_EVENT_IM) == 0) {
        send_event(v);
    }
}

static void no_conditions_left(struct vtd *v)
{
    if ((vtd_fault_status(v) & EVENT_CONDITIONS) == 0) {
        v->fectl &= ~(u32)VTD_EVENT_IP;
    }
}

void vtd_write_fectl(struct vtd *v, u32 value)
{
    v->fectl = (v->fectl & ~(u32)VTD_EVENT_IM) | (value & VTD_EVENT_IM);
    if (v->fectl == VTD_EVENT_IP) {
        send_event(v);
    }
}

void vtd_write_fsts(struct vtd *v, u32 value)
{
    bool queue_stopped = (v->fsts & VTD_FSTS_IQE) != 0;
    v->fsts &= ~(value & (VTD_FSTS_PFO | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE));
    no_conditions_left(v);
    if (queue_stopped && (v->fsts & VTD_FSTS_IQE) == 0) {
        v->iqercd = 0;
        vtd_queue_run(v);
    }
}

void vtd_clear_record(struct vtd *v, unsigned n)
{
    v->frcd[n][1] &= ~BIT(VTD_FRCD_F_SHIFT);
    no_conditions_left(v);
}

/* [VTD "Primary Fault Logging"]: after an overflow nothing is recorded until software clears it. */
static bool record(struct vtd *v, const struct vtd_request *r, enum vtd_fault_code code)
{
    if ((v->fsts & VTD_FSTS_PFO) != 0) {
        return false;
    }
    u32 before = vtd_fault_status(v);
    unsigned n = v->next_record;
    if (is_recorded(v, n)) {
        v->fsts |= VTD_FSTS_PFO;
        return false;
    }
    v->frcd[n][0] = r->interrupt ? r->address << 48 : r->address & ~PAGE_MASK;
    v->frcd[n][1] = BIT(VTD_FRCD_F_SHIFT) | (u64)code << VTD_FRCD_REASON_SHIFT | r->requester;
    if (!r->interrupt && !r->write) {
        v->frcd[n][1] |= BIT(VTD_FRCD_T1_SHIFT);
    }
    v->next_record = (n + 1) % VTD_FRCD_COUNT;
    vtd_fault_event(v, before);
    return true;
}

void vtd_report_fault(struct vtd *v, const struct vtd_request *r, enum vtd_fault_code code)
{
    bool recorded =
        code != VTD_FAULT_SILENT && !(r->fpd && is_qualified(code)) && record(v, r, code);
    struct iommu_request told = {.requester = r->requester,
                                 .address = r->address,
                                 .write = r->write,
                                 .interrupt = r->interrupt};
    iommu_blocked(&v->base, &told, (u8)code, recorded);
}
