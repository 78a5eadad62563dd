/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Missing invalidations. The models cache nothing, real units do: software that changes a table and does not say so works
 * here and fails there. When asked to (`--on-stale`), a model remembers what an endlessly large cache would hold: what was
 * used, until software invalidates it. A use that finds something else than what is remembered is reported. */
#ifndef VITRINE_DEVICES_IOMMU_IOMMU_STALE_H
#define VITRINE_DEVICES_IOMMU_IOMMU_STALE_H

#include "devices/iommu/iommu.h"

#define IOMMU_NO_PASID 0xffffffffu

/* What a request found in the tables. */
struct iommu_lookup {
    u16 requester;
    bool write;
    bool allowed;
    u64 iova, spa; /* spa: valid when allowed */
    u64 context;   /* digest of the entries that chose the tables; 0: there are none that a unit would cache */
    u32 domain, pasid;
};
void iommu_stale_lookup(struct iommu *iommu, const struct iommu_lookup *l);

/* An interrupt went by this entry of the remapping table of `owner` (a requester; 0 where all share one). */
void iommu_stale_interrupt(struct iommu *iommu, u16 requester, u16 owner, u32 index, u64 low, u64 high);

/* Software invalidates. Everything that fits all of the conditions given is forgotten. */
enum iommu_flushed { IOMMU_FLUSH_CONTEXTS, IOMMU_FLUSH_PAGES, IOMMU_FLUSH_INTERRUPTS };
struct iommu_flush {
    enum iommu_flushed what;
    bool by_domain, by_pasid, by_requester, by_range;
    u32 domain, pasid;
    u16 requester, ignored; /* ignored: bits of the requester that do not count */
    u64 first, last;        /* addresses; of interrupts: indices */
};
void iommu_stale_flush(struct iommu *iommu, const struct iommu_flush *f);

#define IOMMU_CONTEXT_SEED 0x9e3779b97f4a7c15u
u64 iommu_context_digest(u64 digest, const u64 *words, unsigned count); /* never 0 */

#endif
