/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A partition: memory, VPs, privileges, ports and connections. All of it under hv_lock. */
#ifndef HV_PARTITION_PARTITION_H
#define HV_PARTITION_PARTITION_H

#include "abi/hyperv/partition.h"
#include "hv/core/spinlock.h"
#include "hv/mem/lend.h"
#include "hv/mem/overlay.h"
#include "hv/mem/page.h"
#include "hv/synic/port.h"

#define PARTITION_MAX 64
#define VP_MAX 16

struct vp;

struct partition {
    bool used;
    u16 index; /* in the table; the owner in the page table */
    enum hv_partition_state state;
    u64 id;
    u64 privileges; /* HV_PRIVILEGE_* */
    struct partition *parent;
    struct page_pool pool;
    u64 *slat;
    u64 *slat_low; /* VTL 0's view where there is a VTL 2, which sees all of slat */
    bool slat_stale;     /* something was unmapped since the last slat_flush */
    u32 slat_generation; /* VPs that have seen another one flush before they enter */
    u64 private_pages;
    struct lend_table lend; /* which of them the parent may touch now */
    struct vp *vp[VP_MAX]; /* VTL 0's; with a VTL 2, vp[n]->other is VTL 2's */
    bool has_vtl2;
    u64 vsm_config;
    bool vtl2_io, vtl2_msr, vtl2_hypercall; /* intercepts that VTL 2 installed */
    u64 created; /* reference time */
    u64 guest_os_id, hypercall_msr, reference_tsc_msr;
    struct overlay *overlays; /* that are on, the newest first */
    struct overlay hypercall_page, reference_tsc;
    /* Intercepts that the parent installed: access masks. */
    u8 intercept_io, intercept_msr, intercept_cpuid, intercept_hypercall;
    u32 intercept_exceptions;
    struct port ports[PORT_MAX];
    struct connection connections[CONNECTION_MAX];
    bool stopped; /* a triple fault: VPs stay suspended */
};

extern struct spinlock hv_lock;
extern struct partition *root_partition;

void partition_make_root(void);
/* NULL when no room is left. */
struct partition *partition_create(struct partition *parent);
struct partition *partition_by_id(u64 id);
struct partition *partition_at(u16 index);
/* Everything goes but the pool: VPs, ports, connections, mappings (pages return to the root, zeroed). */
void partition_finalize(struct partition *p);
void partition_delete(struct partition *p);
/* Pages of its own that a partition needs to be Active. False: the pool is empty. */
bool partition_take_pages(struct partition *p);
/* The MSRs' values. False: #GP. */
bool partition_write_hypercall_msr(struct partition *p, u64 value);
bool partition_write_reference_tsc_msr(struct partition *p, u64 value);

#endif
