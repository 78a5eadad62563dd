/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pages that a GPA-direct packet names: read from our copy of it, lent for the one I/O, closed with its completion. */
#include "guests/root/vmbus/vmbus.h"

#define RANGES_AT 8u /* behind the count */

u32 range_count(const struct packet *p)
{
    struct vmbus_gpa_direct head;
    if (p->type != VMBUS_PACKET_GPA_DIRECT || p->extra < sizeof head) {
        return 0;
    }
    memcpy(&head, p->data, sizeof head);
    return head.count;
}

bool range_next(const struct packet *p, u32 *at, struct range *r)
{
    u32 from = *at == 0 ? RANGES_AT : *at;
    *at = 0;
    if (p->extra < from + 8) {
        return false;
    }
    memcpy(&r->bytes, p->data + from, 4);
    memcpy(&r->offset, p->data + from + 4, 4);
    u64 pages = ((u64)r->offset + r->bytes + PAGE_MASK) >> PAGE_SHIFT;
    if (r->bytes == 0 || r->offset >= PAGE_SIZE || pages > RANGE_PAGES || (p->extra - from - 8) / 8 < pages) {
        return false;
    }
    r->pages = (u32)pages;
    memcpy(r->gfn, p->data + from + 8, pages * 8);
    *at = from + 8 + 8 * r->pages;
    return true;
}

bool range_lend(struct bus *b, struct range *r, u8 rights, u32 channel)
{
    return host_lend(b, channel, rights, r->gfn, r->pfn, r->pages);
}

void range_return(struct bus *b, const struct range *r, u8 rights, u32 channel)
{
    host_return(b, channel, rights, r->gfn, r->pages);
}

static u32 in_page(const void *list, u32 at, u32 bytes, u8 **here)
{
    const struct range *r = list;
    u32 place = r->offset + at;
    if (at >= r->bytes) {
        return 0;
    }
    *here = (u8 *)at_address((u64)r->pfn[place >> PAGE_SHIFT] << PAGE_SHIFT) + (place & PAGE_MASK);
    return (u32)min_u64(min_u64(bytes, r->bytes - at), PAGE_SIZE - (place & PAGE_MASK));
}

void pages_read(page_piece piece, const void *list, u32 at, void *to, u32 bytes)
{
    u8 *here;
    for (u32 done = 0, n; done < bytes && (n = piece(list, at + done, bytes - done, &here)) != 0; done += n) {
        memcpy((u8 *)to + done, here, n);
    }
}

void pages_write(page_piece piece, const void *list, u32 at, const void *from, u32 bytes)
{
    u8 *here;
    for (u32 done = 0, n; done < bytes && (n = piece(list, at + done, bytes - done, &here)) != 0; done += n) {
        memcpy(here, (const u8 *)from + done, n);
    }
}

void range_read(const struct range *r, u32 at, void *to, u32 bytes) { pages_read(in_page, r, at, to, bytes); }
void range_write(const struct range *r, u32 at, const void *from, u32 bytes) { pages_write(in_page, r, at, from, bytes); }
