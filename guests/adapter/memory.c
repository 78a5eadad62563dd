/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VTL 0's memory, as the adapter may touch it: RAM that is not the adapter's own, and pages that the root has added. Pointers of
 * calls are virtual: walked with VTL 0's control registers, page by page. Left out: 5-level paging. */
#include "abi/hyperv/registers.h"
#include "abi/x86/registers.h"
#include "guests/adapter/adapter.h"

#define ADDED_MAX 64
#define PINS 64u
#define HIGH_TABLES 4
#define MAPPED (4ull << 30)
#define ADDRESS 0x000ffffffffff000ull
#define PRESENT 1u
#define WRITABLE 2u
#define LARGE 0x80u

static u64 masked[(1u << 20) / 64]; /* the guest has given these up; bit by frame of the first 4 GiB */
static u64 added[ADDED_MAX];
static u64 pins[PINS]; /* frames of rings, plus one; 0 free */
static u32 added_count;
static u64 high_tables[HIGH_TABLES][512] __attribute__((aligned(4096)));
static u32 high_count;

/* The GiB above 4 that a page is in, one to one, in large pages: those of them that are holes are never touched. */
static bool map_high(u64 gpa)
{
    u64 *entry = &boot_pdpt[gpa >> 30 & 511];
    if (gpa >> 39 != 0) {
        return false;
    }
    if (gpa < MAPPED || *entry != 0) {
        return true;
    }
    if (high_count == HIGH_TABLES) {
        return false;
    }
    u64 *table = high_tables[high_count++];
    for (u64 i = 0; i < 512; i++) {
        table[i] = align_down(gpa, 1ull << 30) | i << 21 | LARGE | WRITABLE | PRESENT;
    }
    *entry = address_of(table) | WRITABLE | PRESENT;
    return true;
}

bool guest_add_frame(u64 gfn)
{
    if (added_count == ADDED_MAX || !map_high(gfn << PAGE_SHIFT)) {
        return false;
    }
    added[added_count++] = gfn;
    return true;
}

bool guest_is_masked(u64 gfn) { return gfn < 1u << 20 && (masked[gfn / 64] >> (gfn % 64) & 1) != 0; }

void guest_mask(u64 gfn, bool on)
{
    u64 bit = 1ull << (gfn % 64);
    masked[gfn / 64] = on ? masked[gfn / 64] | bit : masked[gfn / 64] & ~bit;
}

bool guest_is_ram(u64 gfn)
{
    bool known = gfn < boot->memory >> PAGE_SHIFT &&
                 (gfn < ADAPTER_AT >> PAGE_SHIFT || gfn >= (ADAPTER_AT + ADAPTER_BYTES) >> PAGE_SHIFT) && !guest_is_masked(gfn);
    for (u32 i = 0; !known && i < added_count; i++) {
        known = added[i] == gfn;
    }
    return known;
}

bool guest_is_pinned(u64 gfn)
{
    bool found = false;
    for (u32 i = 0; i < PINS; i++) {
        found = found || pins[i] == gfn + 1;
    }
    return found;
}

bool guest_pin(u64 gfn)
{
    for (u32 i = 0; i < PINS; i++) {
        if (pins[i] == 0) {
            pins[i] = gfn + 1;
            return true;
        }
    }
    return false;
}

void guest_unpin(u64 gfn)
{
    for (u32 i = 0; i < PINS; i++) {
        if (pins[i] == gfn + 1) {
            pins[i] = 0;
            return;
        }
    }
}

void *guest_frame(u64 gfn) { return guest_is_ram(gfn) ? at_address(gfn << PAGE_SHIFT) : NULL; }

/* How VTL 0 cuts addresses. [SDM3 "Paging"] */
struct paging {
    u64 root;
    u32 levels; /* 0: no paging */
    bool wide, large; /* entries of 64 bits; those of level 1 may be pages */
};

static bool get_paging(struct paging *p)
{
    u64 cr0 = CR0_PG;
    u64 cr3;
    u64 cr4 = CR4_PAE;
    if (hv_get(HV_REG_CR3, &cr3) != HV_SUCCESS) {
        return false;
    }
    if (call_is_narrow && (hv_get(HV_REG_CR0, &cr0) != HV_SUCCESS || hv_get(HV_REG_CR4, &cr4) != HV_SUCCESS)) {
        return false;
    }
    if (!call_is_narrow) {
        *p = (struct paging){cr3 & ADDRESS, 4, true, true};
    } else if ((cr0 & CR0_PG) == 0) {
        *p = (struct paging){0, 0, false, false};
    } else if ((cr4 & CR4_PAE) != 0) {
        *p = (struct paging){cr3 & 0xffffffe0, 3, true, true};
    } else {
        *p = (struct paging){cr3 & 0xfffff000, 2, false, (cr4 & CR4_PSE) != 0};
    }
    return true;
}

/* NULL: a fault. */
static u8 *walk(const struct paging *p, u64 gva, bool write)
{
    u64 table = p->root;
    u64 gpa = gva;
    u32 bits = p->wide ? 9 : 10;
    for (u32 level = p->levels; level-- > 0;) {
        const u8 *page = guest_frame(table >> PAGE_SHIFT);
        if (page == NULL) {
            return NULL;
        }
        u64 entry = 0;
        u64 size = p->wide ? 8 : 4;
        memcpy(&entry, page + (table & PAGE_MASK) + (gva >> (12 + bits * level) & ((1u << bits) - 1)) * size, size);
        bool pointer = p->levels == 3 && level == 2; /* PAE's four have no rights */
        if ((entry & PRESENT) == 0 || (write && !pointer && (entry & WRITABLE) == 0)) {
            return NULL;
        }
        if (level == 0 || ((entry & LARGE) != 0 && ((level == 1 && p->large) || (level == 2 && p->levels == 4)))) {
            u64 inside = (1ull << (12 + bits * level)) - 1;
            gpa = (entry & ADDRESS & ~inside) | (gva & inside);
            break;
        }
        table = entry & ADDRESS;
    }
    u8 *frame = guest_frame(gpa >> PAGE_SHIFT);
    return frame != NULL ? frame + (gpa & PAGE_MASK) : NULL;
}

static bool copy(u64 gva, u8 *data, u64 size, bool write)
{
    struct paging p;
    if (!get_paging(&p)) {
        return false;
    }
    while (size > 0) {
        u64 n = min_u64(size, PAGE_SIZE - (gva & PAGE_MASK));
        u8 *at = walk(&p, gva, write);
        if (at == NULL) {
            return false;
        }
        memcpy(write ? at : data, write ? data : at, n);
        data += n;
        gva += n;
        size -= n;
    }
    return true;
}

u8 *guest_at(u64 gva)
{
    struct paging p;
    return get_paging(&p) ? walk(&p, gva, true) : NULL;
}

bool guest_get(u64 gva, void *to, u64 size) { return copy(gva, to, size, false); }
bool guest_put(u64 gva, const void *from, u64 size) { return copy(gva, (u8 *)(uintptr_t)from, size, true); }
