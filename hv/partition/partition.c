/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Partitions' life. Two levels only: the root and its children. The table is hv's own memory; what belongs to a partition's
 * VPs and tables comes from its pool. */
#include "hv/partition/partition.h"

#include "abi/hyperv/msr.h"
#include "hv/boot/boot.h"
#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/core/string.h"
#include "hv/core/trace_port.h"
#include "hv/vcpu/vp.h"
#include "hv/vcpu/vtl.h"

struct spinlock hv_lock;
struct partition *root_partition;
static struct partition partitions[PARTITION_MAX];
static u64 last_id;
static u8 hypercall_page[PAGE_SIZE] __attribute__((aligned(4096)));

static struct partition *new_partition(void)
{
    for (u16 i = 0; i < PARTITION_MAX; i++) {
        struct partition *p = &partitions[i];
        if (!p->used) {
            memset(p, 0, sizeof *p);
            p->used = true;
            p->index = i;
            p->id = ++last_id;
            p->pool.free = PFN_NONE;
            p->hypercall_page.page = hypercall_page;
            p->created = time_reference();
            return p;
        }
    }
    return NULL;
}

/* The root sees all of the address space where hv is not: RAM by the table, the rest as devices. */
static void map_root(struct partition *root)
{
    bool ok = true;
    u64 end = boot_ram_end() > 4ull << 30 ? boot_ram_end() : 4ull << 30;
    for (u64 at = 0; at < align_up(end, LARGE_SIZE) && ok; at += LARGE_SIZE) {
        u64 first = at >> PAGE_SHIFT;
        u64 same = 1;
        const struct page *f = page_of(first);
        u8 state = f != NULL ? f->state : (u8)PAGE_NOT_RAM;
        while (same < 512) {
            const struct page *p = page_of(first + same);
            if ((p != NULL ? p->state : (u8)PAGE_NOT_RAM) != state) {
                break;
            }
            same++;
        }
        /* The local APIC is hv's: the 2 MiB around it stay unmapped, the root uses x2APIC MSRs. */
        bool apic = at == align_down(0xfee00000, LARGE_SIZE);
        if (same == 512 && state != PAGE_HV && !apic) {
            ok = slat_map_large(root, first, first, SLAT_RWX, state == PAGE_ROOT ? SLAT_WB : SLAT_UC);
            continue;
        }
        for (u64 i = 0; same < 512 && i < 512 && ok; i++) {
            const struct page *p = page_of(first + i);
            if (p == NULL || p->state == PAGE_ROOT) {
                ok = slat_map(root, first + i, first + i, SLAT_RWX, p != NULL ? SLAT_WB : SLAT_UC);
            }
        }
    }
    if (!ok) {
        panic("hv's pool is too small for the root's tables");
    }
}

void partition_make_root(void)
{
    memset(hypercall_page, 0xcc, sizeof hypercall_page);
    memcpy(hypercall_page, arch->hypercall_code, sizeof arch->hypercall_code);
    vtl_fill_hypercall_page(hypercall_page);
    struct partition *root = new_partition();
    root_partition = root;
    root->state = HV_PARTITION_ACTIVE;
    root->privileges = HV_PRIVILEGES_ROOT;
    root->pool = hv_pool;
    trace_claim(CLAIM_partition_created, root->id, 0);
    map_root(root);
    if (!partition_take_pages(root) || vp_create(root, 0, &cpus[0]) == NULL) {
        panic("hv's pool is too small for the root's VP");
    }
}

struct partition *partition_create(struct partition *parent)
{
    struct partition *p = new_partition();
    if (p != NULL) {
        p->parent = parent;
        p->state = HV_PARTITION_UNINITIALIZED;
        p->privileges = HV_PRIVILEGES_CHILD;
        trace_claim(CLAIM_partition_created, p->id, parent->id);
    }
    return p;
}

struct partition *partition_by_id(u64 id)
{
    for (u16 i = 0; i < PARTITION_MAX; i++) {
        if (partitions[i].used && partitions[i].id == id) {
            return &partitions[i];
        }
    }
    return NULL;
}

struct partition *partition_at(u16 index)
{
    return index < PARTITION_MAX && partitions[index].used ? &partitions[index] : NULL;
}

void partition_finalize(struct partition *p)
{
    p->state = HV_PARTITION_FINALIZED;
    port_drop_all(p);
    for (u32 i = 0; i < VP_MAX; i++) {
        if (p->vp[i] != NULL) {
            vp_destroy(p->vp[i]);
            p->vp[i] = NULL;
        }
    }
    overlay_remove(p, &p->hypercall_page);
    overlay_remove(p, &p->reference_tsc);
    if (p->reference_tsc.page != NULL) {
        pool_free(&p->pool, p->reference_tsc.page);
        p->reference_tsc.page = NULL;
    }
    for (u64 pfn = 0; p->private_pages > 0 && pfn < boot_ram_end() >> PAGE_SHIFT; pfn++) {
        const struct page *page = page_of(pfn);
        if (page != NULL && page->state == PAGE_PRIVATE && page->owner == p->index) {
            (void)slat_unmap(p, page->gfn);
            (void)page_return(pfn, p);
            p->private_pages--;
        }
    }
    lend_forget(p);
    slat_free(p);
}

void partition_delete(struct partition *p)
{
    p->used = false;
    trace_claim(CLAIM_partition_deleted, p->id);
}

bool partition_take_pages(struct partition *p)
{
    p->reference_tsc.page = pool_alloc(&p->pool);
    return p->reference_tsc.page != NULL;
}

bool partition_write_hypercall_msr(struct partition *p, u64 value)
{
    if ((p->hypercall_msr & HV_HYPERCALL_MSR_LOCKED) != 0) {
        return true;
    }
    if (p->guest_os_id == 0) {
        value &= ~(u64)HV_PAGE_MSR_ENABLE;
    }
    return overlay_write_msr(p, &p->hypercall_page, &p->hypercall_msr, value, (enum slat_rights)(SLAT_R | SLAT_X));
}

/* Time is (TSC * scale >> 64) + offset, as hv itself counts it. [TLFS "Reference Time Stamp Counter Page"] */
bool partition_write_reference_tsc_msr(struct partition *p, u64 value)
{
    u64 *page = p->reference_tsc.page;
    if (page != NULL) {
        page[0] = 1; /* sequence: never changes */
        page[1] = time_scale;
        page[2] = 0 - p->created;
    }
    return overlay_write_msr(p, &p->reference_tsc, &p->reference_tsc_msr, value, SLAT_R);
}
