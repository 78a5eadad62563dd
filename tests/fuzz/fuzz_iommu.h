/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the targets of both IOMMUs share: requests of any device, and what must hold of them. */
#ifndef VITRINE_TESTS_FUZZ_FUZZ_IOMMU_H
#define VITRINE_TESTS_FUZZ_FUZZ_IOMMU_H

#include "devices/iommu/iommu.h"
#include "fuzz_input.h"

/* A message, a write or a read of one of four requesters; nothing is refused without a word, and the way of any requester
 * can be told. */
static inline void fuzz_request(struct iommu *iommu, struct input *in, const u16 sources[4], const u64 places[8])
{
    const struct dma dma = iommu_dma(iommu);
    const struct msi_sink msi = iommu_msi(iommu);
    struct iommu_route route;
    u8 bytes[64] = {0};
    u64 kind = take(in, 1), iova = take_near(in, places);
    u16 requester = sources[kind & 3];
    u64 size = 1 + (kind >> 2 & 31);
    bool moved = true;
    if ((kind & 0x80) != 0) {
        msi.send(msi.self, requester, 0xfee00000u | (iova & 0xfffff), (u32)take(in, 4));
    } else if ((kind & 0x40) != 0) {
        moved = dma_write(&dma, requester, IOVA(iova), bytes, size);
    } else {
        moved = dma_read(&dma, requester, IOVA(iova), bytes, size);
    }
    if (!moved && iommu->last.count == 0) {
        abort();
    }
    iommu_find_route(iommu, requester, &route);
}

/* Some inputs look for missing invalidations too. To be switched off before the unit is freed. */
static inline void fuzz_look_for_stale(struct iommu *iommu, bool on)
{
    const struct iommu_stale_watch watch = {.used = NULL};
    iommu_look_for_stale(iommu, on ? &watch : NULL);
}

#endif
