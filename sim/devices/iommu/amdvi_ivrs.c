/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The IVRS table [AMDVI "I/O Virtualization ACPI Table"]: one unit for everything but itself, with the
 * I/O APIC and the HPET as the sources of interrupts that configuration space does not show. The same
 * said three times, for software of different ages: blocks of types 10h, 11h and 40h. No memory
 * definition blocks: nothing here masters the bus before software says so. */
#include "base/bytes.h"
#include "devices/iommu/amdvi_priv.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define IVRS_HEADER 48
#define IVHD_LEGACY_HEADER 24
#define IVHD_HEADER 40
#define RANGE_SIZE 8 /* start and end */
#define SPECIAL_SIZE 8
/* What the I/O APIC may send unmapped: INIT, ExtINT, NMI, both LINTs. */
#define IOAPIC_DTE_SETTING 0xc7

static u8 *put_range(u8 *p, unsigned first, unsigned last)
{
    p[0] = AMDVI_IVHD_RANGE_START;
    store_le16(p + 1, (u16)first);
    p[4] = AMDVI_IVHD_RANGE_END;
    store_le16(p + 5, (u16)last);
    return p + RANGE_SIZE;
}

static u8 *put_special(u8 *p, u8 variety, u8 handle, u16 requester, u8 setting)
{
    p[0] = AMDVI_IVHD_SPECIAL;
    p[3] = setting;
    p[4] = handle;
    store_le16(p + 5, requester);
    p[7] = variety;
    return p + SPECIAL_SIZE;
}

static u8 *put_devices(u8 *p, const struct amdvi *a, u8 ioapic_id, bool hpet)
{
    unsigned self = pci_requester(&a->fn);
    if (self > 0) {
        p = put_range(p, 0, self - 1);
    }
    p = put_range(p, self + 1, 0xffff);
    if (a->config.options.intremap) {
        p = put_special(p, AMDVI_IVHD_VARIETY_IOAPIC, ioapic_id, a->config.ioapic_requester,
                        IOAPIC_DTE_SETTING);
        if (hpet) {
            p = put_special(p, AMDVI_IVHD_VARIETY_HPET, 0, a->config.hpet_requester, 0);
        }
    }
    return p;
}

/* The features of a type 10h block are the register's, packed. */
static u32 packed_features(const struct amdvi *a)
{
    u32 f = (u32)bits_get(a->efr, 2, 1) | (u32)bits_get(a->efr, 4, 1) << 2;
    f |= (u32)bits_get(a->efr, AMDVI_EFR_GLX_SHIFT, 2) << 3 | (u32)bits_get(a->efr, 6, 1) << 5;
    f |= (u32)bits_get(a->efr, 7, 1) << 6 | (u32)bits_get(a->efr, AMDVI_EFR_PASMAX_SHIFT, 5) << 8;
    f |= (u32)bits_get(a->efr, AMDVI_EFR_GATS_SHIFT, 2) << 28;
    return f | (u32)bits_get(a->efr, AMDVI_EFR_HATS_SHIFT, 2) << 30;
}

static u8 *put_block(u8 *p, u8 type, const struct amdvi *a, u8 ioapic_id, bool hpet)
{
    u8 *end = put_devices(p + (type == AMDVI_IVHD_LEGACY ? IVHD_LEGACY_HEADER : IVHD_HEADER), a,
                          ioapic_id, hpet);
    p[0] = type;
    p[1] = a->config.options.ppr && type == AMDVI_IVHD_LEGACY ? 0x80 : 0; /* PPRSup */
    store_le16(p + 2, (u16)(end - p));
    store_le16(p + 4, pci_requester(&a->fn));
    store_le16(p + 6, a->capability);
    store_le64(p + 8, a->config.base.v);
    if (type == AMDVI_IVHD_LEGACY) {
        store_le32(p + 20, packed_features(a));
    } else {
        store_le64(p + 24, a->efr);
    }
    return end;
}

struct acpi_bytes amdvi_build_ivrs(struct iommu *iommu, u8 ioapic_id, bool hpet)
{
    static const u8 types[] = {AMDVI_IVHD_LEGACY, AMDVI_IVHD_EFR, AMDVI_IVHD_ACPI};
    const struct amdvi *a = amdvi_of(iommu);
    size_t most = IVRS_HEADER + ARRAY_LEN(types) * (IVHD_HEADER + 2 * RANGE_SIZE + 2 * SPECIAL_SIZE);
    u8 *t = calloc(1, most);
    sim_assert(t != NULL && a->fn.bus != NULL);
    memcpy(t, "IVRS", 4);
    t[8] = 2; /* type 40h may follow */
    memcpy(t + 10, "VITRINVITIVRS ", 14);
    store_le32(t + 24, 1);
    memcpy(t + 28, "VITR", 4);
    store_le32(t + 32, 1);
    /* IVinfo: EFRSup, sizes of guest-virtual, physical and virtual addresses. */
    store_le32(t + 36, 1u | 2u << 5 | (u32)a->config.phys_bits << 8 | 64u << 15);
    u8 *p = t + IVRS_HEADER;
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        p = put_block(p, types[i], a, ioapic_id, hpet);
    }
    store_le32(t + 4, (u32)(p - t));
    return (struct acpi_bytes){.data = t, .len = (size_t)(p - t)};
}
