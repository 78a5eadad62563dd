/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The DMAR table [VTD "BIOS Considerations"]: one unit for everything on segment 0, with the I/O
 * APIC and the HPET as the sources of interrupts that configuration space does not show. Reserved memory
 * regions are those of the options: nothing here masters the bus before software says so. */
#include "base/bytes.h"
#include "devices/iommu/vtd_priv.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define DMAR_HEADER 48
#define DRHD_HEADER 16
#define RMRR_SIZE 32 /* with the scope of one device */
#define RMRR 1
#define SCOPE_SIZE 8
#define SCOPE_PCI_ENDPOINT 1

static void put_scope(u8 *p, u8 type, u8 id, u16 requester)
{
    p[0] = type;
    p[1] = SCOPE_SIZE;
    p[4] = id;
    p[5] = (u8)(requester >> 8);
    p[6] = (u8)(requester >> 3 & 31);
    p[7] = (u8)(requester & 7);
}

static void put_reserved(u8 *p, const struct vtd_reserved *r)
{
    store_le16(p, RMRR);
    store_le16(p + 2, RMRR_SIZE);
    store_le64(p + 8, r->base);
    store_le64(p + 16, r->limit);
    put_scope(p + 24, SCOPE_PCI_ENDPOINT, 0, r->devfn);
}

struct acpi_bytes vtd_build_dmar(struct iommu *iommu, u8 ioapic_id, bool hpet)
{
    const struct vtd_config *config = &vtd_of(iommu)->config;
    size_t drhd = DRHD_HEADER + SCOPE_SIZE * (hpet ? 2u : 1u);
    size_t len = DMAR_HEADER + drhd + RMRR_SIZE * (size_t)config->options.reserved_count;
    u8 *t = calloc(1, len);
    sim_assert(t != NULL);
    memcpy(t, "DMAR", 4);
    store_le32(t + 4, (u32)len);
    t[8] = 1;
    memcpy(t + 10, "VITRINVITDMAR ", 14);
    store_le32(t + 24, 1);
    memcpy(t + 28, "VITR", 4);
    store_le32(t + 32, 1);
    t[36] = (u8)(config->phys_bits - 1);
    t[37] = config->options.intremap ? VTD_DMAR_INTR_REMAP : 0;
    u8 *d = t + DMAR_HEADER;
    store_le16(d + 2, (u16)drhd);
    d[4] = VTD_DRHD_INCLUDE_ALL;
    store_le64(d + 8, config->base.v);
    put_scope(d + DRHD_HEADER, VTD_SCOPE_IOAPIC, ioapic_id, config->ioapic_requester);
    if (hpet) {
        put_scope(d + DRHD_HEADER + SCOPE_SIZE, VTD_SCOPE_HPET, 0, config->hpet_requester);
    }
    for (unsigned i = 0; i < config->options.reserved_count; i++) {
        put_reserved(d + drhd + RMRR_SIZE * (size_t)i, &config->options.reserved[i]);
    }
    return (struct acpi_bytes){.data = t, .len = len};
}
