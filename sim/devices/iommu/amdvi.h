/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An AMD IOMMU (AMD-Vi) between all bus masters and memory, and between all senders of
 * message-signalled interrupts and the processors. [AMDVI] is the AMD I/O Virtualization Technology
 * Specification. See amdvi.c for what is modelled. */
#ifndef VITRINE_DEVICES_IOMMU_AMDVI_H
#define VITRINE_DEVICES_IOMMU_AMDVI_H

#include "devices/iommu/iommu.h"
#include "devices/pci.h"

#define AMDVI_DEFAULT_BASE 0xfed80000u

/* What the capability and extended feature registers say. QEMU's property names where it has them. */
struct amdvi_options {
    bool intremap;
    bool xtsup;        /* 32-bit destinations; needs `ga` */
    bool ga;           /* 128-bit interrupt remapping entries */
    bool guest_apic;   /* GAMSup: interrupts straight to a guest's virtual APIC; needs `ga` */
    bool guest_tables; /* GTSup */
    bool gio;          /* GIOSup: guest tables for requests without PASID; needs guest_tables */
    bool ppr;
    bool np_cache;
    unsigned host_levels; /* 4, 5 or 6 */
};

#define AMDVI_OPTIONS_DEFAULT                                                                      \
    (struct amdvi_options)                                                                         \
    {                                                                                              \
        .intremap = true, .xtsup = true, .ga = true, .guest_apic = true, .guest_tables = true,     \
        .gio = true, .ppr = true, .host_levels = 6                                                 \
    }

/* Where the doorbell of a running guest's virtual APIC goes: to the processor with this APIC ID. */
struct amdvi_doorbell {
    void (*ring)(void *self, u32 apic_id);
    void *self;
};

struct amdvi_config {
    struct amdvi_options options;
    spa_t base;
    unsigned phys_bits;                   /* of the processors */
    u16 ioapic_requester, hpet_requester; /* IDs that the messages of these carry */
    struct amdvi_doorbell doorbell;       /* may be empty */
};

/* Claims 16 KiB at config->base; env's dma and msi lead to memory and processors. Owned by the bus. */
struct iommu *amdvi_new(const struct device_env *env, const char *id,
                        const struct amdvi_config *config);
/* Its PCI function; to be called once, before the machine runs. */
void amdvi_add_function(struct iommu *iommu, struct pci_bus *pci, u8 devfn);
/* A device asks for a page [AMDVI "Peripheral Page Request (PPR) Logging"]: an entry in the PPR log.
 * flags: bits 59:48 of the entry. False: the log is off or full. */
bool amdvi_page_request(struct iommu *iommu, u16 requester, u32 pasid, u64 address, u16 flags,
                        u16 tag);

#endif
