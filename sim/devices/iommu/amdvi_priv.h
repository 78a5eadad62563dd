/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the parts of the AMD-Vi model. */
#ifndef VITRINE_DEVICES_IOMMU_AMDVI_PRIV_H
#define VITRINE_DEVICES_IOMMU_AMDVI_PRIV_H

#include "base/bits.h"
#include "devices/iommu/amdvi.h"
#include "devices/iommu/iommu_stale.h"

#include "abi/x86/amdvi.h"

enum amdvi_fault {
    AMDVI_FAULT_NONE,
#define AMDVI_FAULT(name, event, flags, words) AMDVI_FAULT_##name,
#include "abi/x86/amdvi_faults.def"
#undef AMDVI_FAULT
};

/* A buffer in memory with head and tail; entries of 16 bytes (GA log: 8). */
struct amdvi_ring {
    u64 base; /* as software wrote it: address and length */
    u32 head, tail;
};

struct amdvi {
    struct iommu base;
    /* Fixed after construction: */
    struct amdvi_config config;
    u64 efr;
    /* Registers. */
    u64 devtab, control, exclusion_base, exclusion_limit, status;
    u64 ga_tail_address;
    u64 xt_general, xt_ppr, xt_ga;
    struct amdvi_ring commands, events, ppr, ga;
    /* The PCI function; bus NULL while there is none. */
    struct pci_function fn;
    u8 capability;
};

static inline struct amdvi *amdvi_of(struct iommu *iommu)
{
    return (struct amdvi *)iommu; /* its first member */
}

static inline bool amdvi_on(const struct amdvi *a, u64 control_bits)
{
    return (a->control & control_bits) == control_bits;
}

/* ---- amdvi_dma.c ---- */

struct amdvi_request {
    struct iommu_request r;
    u64 dte[4]; /* valid once found */
    bool found;
};

/* FAULT_NONE: found. The entry's V, IV may still be clear. */
enum amdvi_fault amdvi_find_dte(struct amdvi *a, struct amdvi_request *q);
bool amdvi_translate(struct iommu *iommu, u16 requester, u64 iova, bool write, u64 *spa);
/* Through the host tables of an entry; the page is at `address`, rights are checked. */
enum amdvi_fault amdvi_walk_host(struct amdvi *a, const u64 dte[4], u64 address, bool write,
                                 u64 *spa);
void amdvi_route(struct iommu *iommu, u16 requester, struct iommu_route *route);

/* ---- amdvi_guest.c ---- */

/* Does this entry send requests without PASID through guest tables? */
bool amdvi_uses_guest_tables(const struct amdvi *a, const u64 dte[4]);
enum amdvi_fault amdvi_walk_guest(struct amdvi *a, const u64 dte[4], u64 address, bool write,
                                  u64 *spa);
u64 amdvi_gcr3_root(const u64 dte[4]);
/* Address in the GCR3 table entry of PASID 0. */
enum amdvi_fault amdvi_guest_cr3(struct amdvi *a, const u64 dte[4], struct iommu_route *route,
                                 u64 *cr3);

/* ---- amdvi_intr.c ---- */

void amdvi_interrupt(struct iommu *iommu, u16 requester, u64 address, u32 data);

/* ---- amdvi_log.c ---- */

const char *amdvi_fault_words(u8 reason);
void amdvi_report(struct amdvi *a, const struct amdvi_request *q, enum amdvi_fault fault);
void amdvi_log_event(struct amdvi *a, u64 low, u64 high);
void amdvi_log_guest(struct amdvi *a, u16 requester, u32 tag);
/* Set a status bit; the first time it gives an interrupt if `enable` is on. */
void amdvi_signal(struct amdvi *a, u64 status, u64 enable, u64 xt);
u64 amdvi_ring_bytes(const struct amdvi_ring *ring, unsigned entry_size);

/* ---- amdvi_cmd.c ---- */

void amdvi_run_commands(struct amdvi *a);

/* ---- amdvi_ivrs.c ---- */

struct acpi_bytes amdvi_build_ivrs(struct iommu *iommu, u8 ioapic_id, bool hpet);

#endif
