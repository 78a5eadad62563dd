/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An Intel IOMMU (VT-d remapping hardware unit) between all bus masters and memory, and between all
 * senders of message-signalled interrupts and the processors. [VTD] is the Intel Virtualization
 * Technology for Directed I/O Architecture Specification. See vtd.c for what is modelled. */
#ifndef VITRINE_DEVICES_IOMMU_VTD_H
#define VITRINE_DEVICES_IOMMU_VTD_H

#include "devices/iommu/iommu.h"

#define VTD_DEFAULT_BASE 0xfed90000u

/* Memory that software must leave a device access to, by the ACPI table; whole pages. */
struct vtd_reserved {
    u64 base, limit; /* limit: its last byte */
    u8 devfn;
};
#define VTD_RESERVED_MAX 4u

/* What the capability registers say. Spelled as QEMU spells its properties. */
struct vtd_options {
    bool intremap, eim; /* eim without intremap means nothing */
    bool posted;        /* CAP.PI */
    bool caching_mode;
    bool pass_through;
    bool snoop_control;
    bool scalable;                  /* ECAP.SMTS */
    bool first_level, second_level; /* ECAP.FLTS, SLTS: with `scalable` */
    unsigned aw_bits;               /* 39 or 48 */
    /* Check the source of the I/O APIC's interrupts too. DEVIATION: off unless asked for, since QEMU
     * does not and kvm-unit-tests' intel_iommu gives the I/O APIC's entry another function's ID;
     * pinned by test_vtd. */
    bool verify_ioapic;
    struct vtd_reserved reserved[VTD_RESERVED_MAX];
    unsigned reserved_count;
};

#define VTD_OPTIONS_DEFAULT                                                                        \
    (struct vtd_options)                                                                           \
    {                                                                                              \
        .intremap = true, .eim = true, .posted = true, .pass_through = true,                       \
        .snoop_control = true, .aw_bits = 48                                                       \
    }

struct vtd_config {
    struct vtd_options options;
    spa_t base;
    unsigned phys_bits;                   /* of the processors: HAW */
    u16 ioapic_requester, hpet_requester; /* IDs that the messages of these carry */
};

/* Claims 4 KiB at config->base; env's dma and msi lead to memory and processors. Owned by the bus. */
struct iommu *vtd_new(const struct device_env *env, const char *id,
                      const struct vtd_config *config);

#endif
