/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The root's free memory: ranges that shrink, and a list of pages that came back. */
#include "guests/root/root.h"

#define RANGES 8

static struct {
    u64 start, end;
} ranges[RANGES];
static u32 range_count;
static u64 returned; /* first of the list, linked through the pages; 0 none */
static u64 returned_count;

void memory_add(u64 start, u64 end)
{
    if (range_count < RANGES) {
        ranges[range_count].start = start;
        ranges[range_count].end = end;
        range_count++;
    }
}

void *memory_take(u64 bytes)
{
    bytes = align_up(bytes, PAGE_SIZE);
    for (u32 i = 0; i < range_count; i++) {
        if (ranges[i].end - ranges[i].start >= bytes) {
            u64 at = ranges[i].start;
            ranges[i].start += bytes;
            return at_address(at);
        }
    }
    return NULL;
}

u64 page_take(void)
{
    if (returned == 0) {
        return address_of(memory_take(PAGE_SIZE)) >> PAGE_SHIFT;
    }
    u64 pfn = returned;
    returned = *(u64 *)at_address(pfn << PAGE_SHIFT);
    returned_count--;
    return pfn;
}

void page_put(u64 pfn)
{
    *(u64 *)at_address(pfn << PAGE_SHIFT) = returned;
    returned = pfn;
    returned_count++;
}

u64 memory_free_pages(void)
{
    u64 n = returned_count;
    for (u32 i = 0; i < range_count; i++) {
        n += (ranges[i].end - ranges[i].start) >> PAGE_SHIFT;
    }
    return n;
}
