/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the VMBus declares to be shared, read off its messages. A guest names pages of its own, in its physical addresses, by
 * the messages GPADL_HEADER and GPADL_BODY that it posts to its host; until the host says GPADL_TORNDOWN they are for both. A
 * new contact or an unload drops all, when the host answers it. [Linux include/linux/hyperv.h, drivers/hv/channel.c]
 *
 * The host is who connected the guest to the port: of those that the same hypervisor runs, the one that made HvConnectPort
 * for that connection. A message counts from the call on, since the host may be quicker than the call's return, and
 * what a refused call said is taken back. Addresses are those of the moment: what the guest's tables lead to then.
 * Left out: GPADLs of several ranges (nobody makes them; the first counts), guests without second-level tables. */
#include "abi/hyperv/hypercall.h"
#include "base/bytes.h"
#include "watch/watch_priv.h"

#include <string.h>

enum { GPR_CX = 1, GPR_DX = 2 };

#define VMBUS_MESSAGE 1u /* the type of a message that the bus is meant by */
#define GPADL_HEADER 8u
#define GPADL_BODY 9u
#define GPADL_TEARDOWN 11u
#define GPADL_TORNDOWN 12u
#define INITIATE_CONTACT 14u
#define VERSION_RESPONSE 15u
#define UNLOAD 16u
#define UNLOAD_RESPONSE 17u

#define HEADER_PAGES 28u /* where the page numbers begin */
#define BODY_PAGES 16u

/* ---- who is the host ---- */

static void note_connection(struct watch *w, u32 guest, u32 connection)
{
    for (u32 i = 0; i < w->link_count; i++) {
        if (w->links[i].guest == guest && w->links[i].connection == connection) {
            return;
        }
    }
    if (w->link_count < WATCH_LINKS) {
        w->links[w->link_count++] = (struct port_link){.guest = guest, .connection = connection};
    }
}

static u32 host_of(const struct watch *w, u32 guest, u32 connection)
{
    for (u32 i = 0; i < w->link_count; i++) {
        const struct port_link *l = &w->links[i];
        if (l->connection == connection && l->guest != guest && w->guests[l->guest].parent == w->guests[guest].parent) {
            return l->guest;
        }
    }
    return 0;
}

/* ---- the guest's messages ---- */

/* Read `size` bytes of the guest's memory, within a page. */
static bool read_guest(const struct watch *w, u32 root, u64 gpa, void *out, u64 size)
{
    u64 spa, frame;
    u8 *host;
    bool writable;
    if ((gpa & PAGE_MASK) + size > PAGE_SIZE || !watch_translate(w, root, gpa, &spa) ||
        !phys_page(w->phys, SPA(spa), &frame, &host, &writable)) {
        return false;
    }
    memcpy(out, host + (spa & PAGE_MASK), size);
    return true;
}

static void declare_pages(struct watch *w, struct gpadl *g, u32 root, const u8 *numbers, u32 count, struct open_call *call)
{
    call->said = ++w->serial;
    call->said_gpadl = (u32)(g - w->gpadls) + 1;
    const struct declared one = {.guest = g->guest, .with = g->with, .reason = WATCH_REASON_GPADL, .id = g->id, .call = call->said, .live = true};
    for (u32 i = 0; i < count && g->left > 0; i++) {
        u64 spa, frame;
        u8 *host;
        bool writable;
        g->left--;
        call->said_pages++;
        if (watch_translate(w, root, load_le64(numbers + 8 * (size_t)i) << PAGE_SHIFT, &spa) &&
            phys_page(w->phys, SPA(spa), &frame, &host, &writable) && !watch_declare_frame(w, frame, &one)) {
            log_line(w->log, LOG_WATCH, "guest %u declares more pages than are followed", g->guest);
            return;
        }
    }
}

static struct gpadl *find_gpadl(struct watch *w, u32 guest, u32 id)
{
    for (u32 i = 0; i < WATCH_GPADLS; i++) {
        if (w->gpadls[i].guest == guest && w->gpadls[i].id == id && w->gpadls[i].left > 0) {
            return &w->gpadls[i];
        }
    }
    return NULL;
}

static void header(struct watch *w, u32 guest, u32 host, u32 root, const struct hv_post_input *in, struct open_call *call)
{
    const u8 *p = in->payload;
    if (in->size < HEADER_PAGES) {
        return;
    }
    u64 bytes = (u64)load_le32(p + 20) + (load_le32(p + 24) & PAGE_MASK);
    struct gpadl *g = &w->gpadls[w->gpadl_next++ % WATCH_GPADLS]; /* the oldest was never finished, or is long complete */
    *g = (struct gpadl){.guest = guest, .with = host, .id = load_le32(p + 12), .left = (u32)(align_up(bytes, PAGE_SIZE) >> PAGE_SHIFT)};
    log_line(w->log, LOG_WATCH, "guest %u shares %u pages with guest %u by GPADL %#x", guest, g->left, host, g->id);
    call->said_first = true;
    declare_pages(w, g, root, p + HEADER_PAGES, (in->size - HEADER_PAGES) / 8, call);
}

/* Records of a guest that wait for the host's word to end: all, or those of one id. */
struct leaving {
    u32 guest, with;
    bool all;
    u64 id;
};

static void mark_leaving(struct watch *w, const struct leaving *l)
{
    u64 when = ++w->leave_count;
    for (u32 n = 1; n < w->declared.count; n++) {
        struct declared *d = pool_at(&w->declared, n);
        if (d->live && d->reason == WATCH_REASON_GPADL && d->guest == l->guest && (l->all || d->id == l->id) && d->leaving == 0) {
            d->leaving = when;
            d->all = l->all;
        }
    }
}

static bool has_left(const struct declared *d, const void *key)
{
    const u64 *when = key;
    return d->leaving == *when;
}

/* The host says that a GPADL, or all of a guest, is gone: the one that asked first. */
static void host_answers(struct watch *w, const struct leaving *l)
{
    u64 first = 0;
    for (u32 n = 1; n < w->declared.count; n++) {
        const struct declared *d = pool_at(&w->declared, n);
        if (d->live && d->reason == WATCH_REASON_GPADL && d->leaving != 0 && d->all == l->all && (l->all || d->id == l->id) &&
            watch_partition(w, d->with) == l->with && (first == 0 || d->leaving < first)) {
            first = d->leaving;
        }
    }
    if (first != 0) {
        watch_end_declared(w, has_left, &first);
    }
}

static void message(struct watch *w, u32 guest, u32 root, const struct hv_post_input *in, struct open_call *call)
{
    const u8 *p = in->payload;
    u32 host = host_of(w, guest, in->connection);
    u32 kind = in->size >= 8 ? load_le32(p) : 0;
    struct gpadl *g;
    if (in->type != VMBUS_MESSAGE || in->size > HV_MESSAGE_PAYLOAD) {
        return;
    }
    switch (kind) {
    case GPADL_HEADER:
        if (host != 0) {
            header(w, guest, host, root, in, call);
        }
        return;
    case GPADL_BODY:
        g = in->size >= BODY_PAGES ? find_gpadl(w, guest, load_le32(p + 12)) : NULL;
        if (g != NULL) {
            declare_pages(w, g, root, p + BODY_PAGES, (in->size - BODY_PAGES) / 8, call);
        }
        return;
    case GPADL_TEARDOWN:
        mark_leaving(w, &(struct leaving){.guest = guest, .id = load_le32(p + 12)});
        return;
    case INITIATE_CONTACT:
    case UNLOAD:
        mark_leaving(w, &(struct leaving){.guest = guest, .all = true});
        return;
    case GPADL_TORNDOWN:
        host_answers(w, &(struct leaving){.with = guest, .id = load_le32(p + 8)});
        return;
    case VERSION_RESPONSE:
    case UNLOAD_RESPONSE:
        host_answers(w, &(struct leaving){.with = guest, .all = true});
        return;
    default:
        return;
    }
}

/* ---- calls ---- */

void watch_gpadl_call(struct watch *w, unsigned cpu, const struct watch_exit *x, struct open_call *call)
{
    const struct cpu_watch *c = &w->cpu[cpu];
    u32 guest = watch_partition(w, c->guest);
    u64 gpa = x->gpr[GPR_DX];
    struct hv_post_input in = {0};
    if (!x->code64 || c->root == 0 || (x->gpr[GPR_CX] & HV_CONTROL_FAST) != 0) {
        return;
    }
    switch (call->number) {
    case HV_CALL_ConnectPort:
    case HV_CALL_ConnectPortV2: {
        u32 connection;
        if (read_guest(w, c->root, gpa + 8, &connection, sizeof connection)) {
            note_connection(w, guest, connection);
        }
        return;
    }
    case HV_CALL_PostMessage:
        if (read_guest(w, c->root, gpa, &in, sizeof in)) {
            message(w, guest, c->root, &in, call);
        }
        return;
    case HV_CALL_PostMessageDirect: {
        struct hv_post_direct_input direct;
        struct hv_message m;
        if (read_guest(w, c->root, gpa, &direct, sizeof direct)) {
            memcpy(&m, direct.message, sizeof m);
            in.type = m.type;
            in.size = m.size;
            memcpy(in.payload, m.payload, sizeof m.payload);
            message(w, guest, c->root, &in, call);
        }
        return;
    }
    default:
        return;
    }
}

static bool was_said(const struct declared *d, const void *key)
{
    const struct open_call *call = key;
    return d->call == call->said;
}

void watch_gpadl_refused(struct watch *w, const struct open_call *call)
{
    if (call->said == 0) {
        return;
    }
    struct gpadl *g = &w->gpadls[call->said_gpadl - 1]; /* it says the same again later */
    if (call->said_first) {
        *g = (struct gpadl){0};
    } else {
        g->left += call->said_pages;
    }
    watch_end_declared(w, was_said, call);
}
