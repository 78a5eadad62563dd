/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An IOMMU between all bus masters and memory, and between all senders of message-signalled
 * interrupts and the processors, whatever its maker: what the board, reports and the isolation watch
 * see of it. The models are vtd.h and amdvi.h. */
#ifndef VITRINE_DEVICES_IOMMU_IOMMU_H
#define VITRINE_DEVICES_IOMMU_IOMMU_H

#include "devices/acpi/acpi_tables.h"
#include "devices/device.h"

struct iommu;

/* What was blocked last, for reports. */
struct iommu_last_fault {
    u64 count; /* of all faults, told to software or not; 0: nothing else is valid */
    u8 reason; /* code of the model's list of faults */
    bool interrupt, write, recorded;
    u16 requester;
    u64 address; /* of the access; of an interrupt request: its index */
};

/* What the accesses of one requester go through now, as registers and tables in memory say. */
enum iommu_path {
    IOMMU_PATH_BLOCKED,  /* nothing is reached */
    IOMMU_PATH_DIRECT,   /* system-physical addresses, untranslated */
    IOMMU_PATH_VTD_SL,   /* VT-d second-level tables */
    IOMMU_PATH_X86,      /* 4- or 5-level tables in the processors' format */
    IOMMU_PATH_AMD_HOST, /* AMD-Vi host tables */
    IOMMU_PATH_AMD_GUEST, /* x86 tables whose output goes through `host_root`, or nothing if 0 */
};

#define IOMMU_MAX_USED 8

struct iommu_route {
    enum iommu_path path;
    u64 root, host_root;
    u8 levels, host_levels;
    bool read, write; /* what the entries before the tables allow */
    u32 domain;       /* the ID software gave it */
    /* Pages of the tables that were read to find this out: a change of one may change it. */
    u64 used[IOMMU_MAX_USED];
    unsigned used_count;
};

struct iommu_ops {
    const char *type; /* "intel-iommu" */
    /* Where the byte is; false: blocked, and reported. */
    bool (*translate)(struct iommu *iommu, u16 requester, u64 iova, bool write, u64 *spa);
    void (*interrupt)(struct iommu *iommu, u16 requester, u64 address, u32 data);
    void (*route)(struct iommu *iommu, u16 requester, struct iommu_route *route);
    struct acpi_bytes (*acpi)(struct iommu *iommu, u8 ioapic_id, bool hpet);
    const char *(*fault_words)(u8 reason);
};

/* Software gave the unit new tables or switched it on or off: routes may have changed. */
struct iommu_watch {
    void (*changed)(void *self);
    void *self;
};

/* A use that a real unit's cache may have answered from tables that are no more; see iommu_stale.h. */
enum iommu_stale_kind { IOMMU_STALE_CONTEXT, IOMMU_STALE_PAGE, IOMMU_STALE_GONE, IOMMU_STALE_INTERRUPT };

struct iommu_stale_use {
    enum iommu_stale_kind kind;
    u16 requester;
    bool write;
    u64 address;  /* IOVA, or interrupt index */
    u64 then;     /* what a cache would have said: page, entry; CONTEXT: the domain */
    u64 position; /* when that was last used */
};

struct iommu_stale_watch {
    void (*used)(void *self, const struct iommu_stale_use *use);
    void *self;
};

struct iommu_stale;

/* Interrupts that went into a guest's virtual APIC, or the descriptor of posted ones. */
struct iommu_posted {
    u64 all;
    u64 told;    /* a processor was told: by doorbell, by notification */
    u64 running; /* and was running a guest at that moment */
    u64 logged;  /* AMD-Vi: the guest ran nowhere, its hypervisor was told by the GA log */
};

/* Does a processor run a guest now? May be empty. */
struct iommu_processors {
    bool (*in_guest)(void *self, u32 apic_id);
    void *self;
};

/* First member of each model. */
struct iommu {
    const struct iommu_ops *ops;
    struct device_env env; /* its dma and msi lead to memory and processors */
    struct iommu_watch watch;
    struct iommu_stale *stale; /* NULL: nobody looks for missing invalidations */
    char id[32];
    struct iommu_last_fault last;
    struct iommu_posted posted;
    struct iommu_processors processors;
};

/* What bus masters and senders of interrupts get instead of env's. */
struct dma iommu_dma(struct iommu *iommu);
struct msi_sink iommu_msi(struct iommu *iommu);

void iommu_find_route(struct iommu *iommu, u16 requester, struct iommu_route *route);
/* "no write permission in its second-level tables"; NULL: no such code. */
const char *iommu_fault_words(const struct iommu *iommu, u8 reason);
/* The table that tells software of it, complete but for the checksum; the caller frees it. */
struct acpi_bytes iommu_acpi(struct iommu *iommu, u8 ioapic_id, bool hpet);

/* From here on look for missing invalidations; NULL: no longer. Whoever frees the unit has done the latter. */
void iommu_look_for_stale(struct iommu *iommu, const struct iommu_stale_watch *watch);
u64 iommu_stale_count(const struct iommu *iommu);
/* Caches are empty: reset, restored state. */
void iommu_stale_forget(struct iommu *iommu);

/* ---- for the models ---- */

void iommu_init(struct iommu *iommu, const struct iommu_ops *ops, const struct device_env *env,
                const char *id);
void iommu_reset(struct iommu *iommu);
void iommu_state(struct iommu *iommu, struct state_io *io); /* inside the model's section */

/* The tables lie in RAM or ROM; what touches anything else fails. So a unit never reaches its own
 * registers. At most a page. */
MUST_USE bool iommu_table_read(struct iommu *iommu, u64 spa, void *data, u64 size);
MUST_USE bool iommu_table_write(struct iommu *iommu, u64 spa, const void *data, u64 size);

struct iommu_request {
    u16 requester;
    u64 address; /* IOVA, or interrupt index */
    bool write, interrupt;
};

/* A request is blocked: remember, log and trace it with its reason in words. */
void iommu_blocked(struct iommu *iommu, const struct iommu_request *r, u8 reason, bool recorded);
/* An interrupt was posted at that address: count and trace it. told: the processor with this APIC ID was, or nobody. */
void iommu_count_posted(struct iommu *iommu, u16 requester, unsigned vector, u64 at, bool told, u32 apic_id);
void iommu_changed(struct iommu *iommu);
void iommu_route_used(struct iommu_route *route, u64 spa);

/* Addresses where a write of 4 aligned bytes is an interrupt. */
#define IOMMU_INTERRUPT_RANGE 0xfee00000u
#define IOMMU_INTERRUPT_RANGE_SIZE 0x100000u
static inline bool iommu_in_interrupt_range(u64 iova)
{
    return iova - IOMMU_INTERRUPT_RANGE < IOMMU_INTERRUPT_RANGE_SIZE;
}

#endif
