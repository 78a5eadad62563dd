/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the parts of the VT-d model. */
#ifndef VITRINE_DEVICES_IOMMU_VTD_PRIV_H
#define VITRINE_DEVICES_IOMMU_VTD_PRIV_H

#include "abi/x86/vtd.h"
#include "base/bits.h"
#include "devices/iommu/iommu_stale.h"
#include "devices/iommu/vtd.h"

enum vtd_fault_code {
#define VTD_FAULT(name, code, qualified, words) VTD_FAULT_##name = code,
#include "abi/x86/vtd_faults.def"
#undef VTD_FAULT
    VTD_FAULT_NONE = 0,
    VTD_FAULT_SILENT = 0xff, /* blocked, and nothing says so */
};

struct vtd {
    struct iommu base;
    /* Fixed after construction: */
    struct vtd_config config;
    u64 cap, ecap;
    /* Registers. */
    u32 gsts;
    u64 rtaddr, root; /* as written; as taken over by SRTP */
    u64 irta, irtable; /* the same for SIRTP */
    u64 ccmd, iva, iotlb;
    u32 fsts; /* PFO, IQE, ICE, ITE; the rest derives from the records */
    u32 fectl, fedata;
    u64 feaddr;
    u64 iqh, iqt, iqa, iqercd;
    u32 ics, iectl, iedata;
    u64 ieaddr;
    u64 frcd[VTD_FRCD_COUNT][2];
    u32 next_record;
};

static inline struct vtd *vtd_of(struct iommu *iommu)
{
    return (struct vtd *)iommu; /* its first member */
}

/* ---- vtd.c ---- */

/* Address bits that no table entry may have. */
static inline u64 vtd_beyond_haw(const struct vtd *v)
{
    return bits_get(~(u64)0 << v->config.phys_bits, 0, 52);
}

/* ---- vtd_fault.c ---- */

struct vtd_request {
    u16 requester;
    u64 address; /* IOVA, or interrupt index */
    bool write, interrupt;
    bool fpd; /* fault processing is disabled by the entries seen so far */
    /* For iommu_stale.h: the entries that chose the tables, and the tag that what they say is cached under. */
    u64 context;
    u32 domain, pasid;
};

/* The request is blocked: record, tell, interrupt. */
void vtd_report_fault(struct vtd *v, const struct vtd_request *r, enum vtd_fault_code code);
/* A condition of FSTS arose; `before` is what vtd_fault_status said until then. */
void vtd_fault_event(struct vtd *v, u32 before);
u32 vtd_fault_status(const struct vtd *v); /* FSTS as software reads it */
void vtd_write_fsts(struct vtd *v, u32 value);
void vtd_write_fectl(struct vtd *v, u32 value);
/* F of record n is written with 1. */
void vtd_clear_record(struct vtd *v, unsigned n);

/* ---- vtd_inval.c ---- */

void vtd_queue_run(struct vtd *v);
void vtd_write_ics(struct vtd *v, u32 value);
void vtd_write_iectl(struct vtd *v, u32 value);
void vtd_context_command(struct vtd *v);
void vtd_iotlb_command(struct vtd *v);

/* ---- vtd_dma.c, vtd_scalable.c ---- */

/* Where the page of an IOVA is; VTD_FAULT_NONE or why not. */
enum vtd_fault_code vtd_translate(struct vtd *v, struct vtd_request *r, u64 *spa);

/* Reasons of a second-level walk, which differ by mode. */
struct vtd_sl_codes {
    enum vtd_fault_code beyond, access, reserved, no_read, no_write;
};
/* aw: the AW field of the entry, 1 for 3 levels or 2 for 4. */
enum vtd_fault_code vtd_walk_second_level(struct vtd *v, const struct vtd_request *r, u64 table,
                                          unsigned aw, const struct vtd_sl_codes *codes, u64 *spa);
bool vtd_supports_aw(const struct vtd *v, u64 aw);
enum vtd_fault_code vtd_translate_scalable(struct vtd *v, struct vtd_request *r, u64 *spa);

/* ---- vtd_intr.c ---- */

void vtd_interrupt(struct iommu *iommu, u16 requester, u64 address, u32 data);

/* ---- vtd_route.c, vtd_dmar.c, vtd_fault.c: the rest of struct iommu_ops ---- */

bool vtd_ops_translate(struct iommu *iommu, u16 requester, u64 iova, bool write, u64 *spa);
void vtd_route(struct iommu *iommu, u16 requester, struct iommu_route *route);
struct acpi_bytes vtd_build_dmar(struct iommu *iommu, u8 ioapic_id, bool hpet);
const char *vtd_fault_words(u8 reason);

#endif
