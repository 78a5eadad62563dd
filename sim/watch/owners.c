/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which roots reach which page, and what two strangers share.
 *
 * A guest that has a page because Xen mapped it in answer to its grant_table_op has it by its owner's declaration.
 *
 * A page is shared when two roots reach it whose guests do not run one another, and one of them may write.
 * That is confirmed, and a violation unless declared, once both sides were used after it came to be: a
 * guest entered, a device attached. A guest that is gone is never entered again, so what is left of its
 * tables does no harm. Left out: pages of devices (assigned BARs); they are not RAM. */
#include "base/assert.h"
#include "trace/events.h"
#include "watch/watch_priv.h"

#include <stdlib.h>
#include <string.h>

static struct owner *owner_at(const struct watch *w, u32 n)
{
    return pool_at(&w->owners, n);
}

static struct share *share_at(const struct watch *w, u32 n)
{
    return pool_at(&w->shares, n);
}

static u8 rights_of(const struct owner *o)
{
    return (u8)((o->count[0] != 0 ? WATCH_R : 0u) | (o->count[1] != 0 ? WATCH_W : 0u) |
                (o->count[2] != 0 ? WATCH_X : 0u));
}

static struct owner *find_owner(const struct watch *w, u64 frame, u32 root)
{
    for (u32 n = w->frames[frame].owners; n != 0; n = owner_at(w, n)->next) {
        if (owner_at(w, n)->root == root) {
            return owner_at(w, n);
        }
    }
    return NULL;
}

void watch_describe_owner(const struct watch *w, u64 frame, u32 root, struct watch_owner *out)
{
    const struct root *r = &w->roots[root];
    const struct owner *o = find_owner(w, frame, root);
    *out = (struct watch_owner){.guest = r->guest,
                                .device = r->device,
                                .requester = r->requester,
                                .tables = r->tables,
                                .rights = o != NULL ? rights_of(o) : 0};
    if (o != NULL) {
        out->since = o->since;
    }
}

u32 watch_owner_root(const struct watch *w, u64 frame, u32 n)
{
    u32 o = w->frames[frame].owners;
    while (o != 0 && n-- > 0) {
        o = owner_at(w, o)->next;
    }
    return o != 0 ? owner_at(w, o)->root : 0;
}

/* ---- sharing ---- */

/* Does a device reach the table that it would have to be kept from? Then it is the host's own, as those of Xen's dom0 are. */
static bool is_of_host(struct watch *w, const struct root *device, u32 device_root, const struct root *guest)
{
    u64 frame;
    u8 *host;
    bool writable;
    return device->of_host || (phys_page(w->phys, SPA(guest->tables.table), &frame, &host, &writable) &&
                               find_owner(w, frame, device_root) != NULL);
}

/* A device belongs to the first guest whose memory it shares: what it shares with that one is the
 * hypervisor's affair, what it shares with others is not. */
static bool is_legitimate(struct watch *w, u32 a, u32 b)
{
    struct root *ra = &w->roots[a], *rb = &w->roots[b];
    if (ra->device && rb->device) {
        return true; /* whose guests share it is what counts */
    }
    if (ra->device || rb->device) {
        struct root *device = ra->device ? ra : rb;
        const struct root *other = ra->device ? rb : ra;
        u32 guest = other->guest;
        if (is_of_host(w, device, ra->device ? a : b, other)) {
            device->of_host = true;
            device->guest = 0;
            return true;
        }
        if (device->guest == 0) {
            device->guest = guest;
        }
        return watch_is_related(w, device->guest, guest);
    }
    return watch_is_related(w, ra->guest, rb->guest);
}

static void describe(const struct watch *w, const struct share *s, struct watch_share *out)
{
    *out = (struct watch_share){.spa = phys_spa_of_frame(w->phys, s->frame),
                                .since = s->since,
                                .confirmed = s->confirmed,
                                .declared = s->reason != WATCH_REASON_NONE,
                                .reason = s->reason};
    watch_describe_owner(w, s->frame, s->a, &out->a);
    watch_describe_owner(w, s->frame, s->b, &out->b);
}

#define REPORTS_MAX 64u

void watch_name_owner(const struct watch_owner *o, char *text, size_t size)
{
    const char *right = (o->rights & WATCH_W) != 0 ? "write" : "read";
    if (o->device) {
        (void)snprintf(text, size, "device %02x:%02x.%x (%s)", (unsigned)o->requester >> 8,
                       (unsigned)(o->requester >> 3 & 31), (unsigned)(o->requester & 7), right);
    } else {
        (void)snprintf(text, size, "guest %u (%s)", o->guest, right);
    }
}

static void confirm(struct watch *w, struct share *s)
{
    struct watch_share told;
    char a[40], b[40];
    s->confirmed = true;
    w->share_open--;
    if (s->reason != WATCH_REASON_NONE) {
        w->share_declared[s->reason]++;
        return;
    }
    w->share_confirmed++;
    describe(w, s, &told);
    watch_name_owner(&told.a, a, sizeof a);
    watch_name_owner(&told.b, b, sizeof b);
    trace_share(w->trace, s->since.cpu, told.spa,
                told.a.guest | (u64)told.a.rights << 32 | (u64)told.a.device << 40,
                told.b.guest | (u64)told.b.rights << 32 | (u64)told.b.device << 40, s->since.position,
                s->since.rip);
    if (w->reported++ < REPORTS_MAX) {
        log_line(w->log, LOG_WATCH,
                 "page %#llx is within reach of %s and %s since position %llu, by the instruction at %#llx",
                 (unsigned long long)told.spa, a, b,
                 (unsigned long long)s->since.position, (unsigned long long)s->since.rip);
    }
    w->host.violation(w->host.self, &told);
}

static void await_use(struct watch *w, u32 root, u32 share)
{
    struct root *r = &w->roots[root];
    if (r->open_count == r->open_cap) {
        r->open_cap = r->open_cap == 0 ? 64 : 2 * r->open_cap;
        r->open = realloc(r->open, r->open_cap * sizeof *r->open);
        sim_assert(r->open != NULL);
    }
    r->open[r->open_count++] = share;
}

static enum watch_reason judge(const struct watch *w, u64 frame, u32 a, u32 b)
{
    const struct owner *oa = find_owner(w, frame, a), *ob = find_owner(w, frame, b);
    bool granted = (oa != NULL && oa->since.granted) || (ob != NULL && ob->since.granted);
    return granted ? WATCH_REASON_GRANT : watch_reason_of(w, frame, a, b);
}

static u64 *count_of(struct watch *w, const struct share *s)
{
    return !s->confirmed ? &w->share_open : s->reason == WATCH_REASON_NONE ? &w->share_confirmed : &w->share_declared[s->reason];
}

/* Of a share that counts from now on: it is confirmed when both sides were used. */
static void await_both(struct watch *w, u32 n)
{
    struct share *s = share_at(w, n);
    w->share_open++;
    if (s->used_a && s->used_b) {
        confirm(w, s);
        return;
    }
    if (!s->used_a) {
        await_use(w, s->a, n);
    }
    if (!s->used_b) {
        await_use(w, s->b, n);
    }
}

static void begin_share(struct watch *w, u64 frame, u32 a, u32 b, const struct watch_moment *m)
{
    for (u32 n = w->frames[frame].shares; n != 0; n = share_at(w, n)->next) {
        const struct share *s = share_at(w, n);
        if ((s->a == a && s->b == b) || (s->a == b && s->b == a)) {
            return;
        }
    }
    u32 n = pool_take(&w->shares);
    struct share *s = share_at(w, n);
    *s = (struct share){.next = w->frames[frame].shares,
                        .serial = ++w->serial,
                        .frame = frame,
                        .a = a,
                        .b = b,
                        .used_a = w->roots[a].in_use != 0,
                        .used_b = w->roots[b].in_use != 0,
                        .reason = judge(w, frame, a, b),
                        .since = *m};
    w->frames[frame].shares = n;
    await_both(w, n);
}

void watch_shares_judged(struct watch *w, u64 frame)
{
    for (u32 n = w->frames[frame].shares; n != 0; n = share_at(w, n)->next) {
        struct share *s = share_at(w, n);
        enum watch_reason reason = judge(w, frame, s->a, s->b);
        if (reason == s->reason) {
            continue;
        }
        if (s->confirmed) {
            *count_of(w, s) -= 1;
        }
        s->reason = reason;
        if (s->confirmed && reason != WATCH_REASON_NONE) {
            *count_of(w, s) += 1;
        } else if (s->confirmed) { /* undeclared from now on */
            w->host.now(w->host.self, &s->since);
            s->confirmed = false;
            s->used_a = w->roots[s->a].in_use != 0;
            s->used_b = w->roots[s->b].in_use != 0;
            await_both(w, n);
        }
    }
}

void watch_open_shares_used(struct watch *w, u32 root)
{
    struct root *r = &w->roots[root];
    u32 count = r->open_count;
    r->open_count = 0;
    for (u32 i = 0; i < count; i++) {
        struct share *s = share_at(w, r->open[i]);
        if (s->serial == 0 || s->confirmed || (s->a != root && s->b != root)) {
            continue; /* ended meanwhile */
        }
        s->used_a = s->used_a || s->a == root;
        s->used_b = s->used_b || s->b == root;
        if (s->used_a && s->used_b) {
            confirm(w, s);
        }
    }
}

static void end_shares(struct watch *w, u64 frame, u32 root)
{
    u32 *link = &w->frames[frame].shares;
    while (*link != 0) {
        u32 n = *link;
        struct share *s = share_at(w, n);
        if (s->a != root && s->b != root) {
            link = &s->next;
            continue;
        }
        *link = s->next;
        *count_of(w, s) -= 1;
        s->serial = 0;
        pool_give(&w->shares, n);
    }
}

/* The rights of one root to a frame grew: is it shared now? */
static void look_for_shares(struct watch *w, u64 frame, u32 root, const struct watch_moment *m)
{
    u8 mine = rights_of(find_owner(w, frame, root));
    for (u32 n = w->frames[frame].owners; n != 0; n = owner_at(w, n)->next) {
        u32 other = owner_at(w, n)->root;
        if (other != root && ((mine | rights_of(owner_at(w, n))) & WATCH_W) != 0 &&
            !is_legitimate(w, other, root)) {
            begin_share(w, frame, other, root, m);
        }
    }
}

/* ---- the trace ---- */

void watch_name_root(const struct watch *w, u32 root, char *text, size_t size)
{
    const struct root *r = &w->roots[root];
    const struct watch_owner o = {.guest = r->guest, .device = r->device, .requester = r->requester};
    watch_name_owner(&o, text, size);
}

void watch_tell_reach(struct watch *w)
{
    const struct reach_run *r = &w->run;
    char who[32];
    if (!r->open) {
        return;
    }
    w->run.open = false;
    watch_name_root(w, r->root, who, sizeof who);
    u32 size = (u32)strlen(who);
    u64 guest = w->roots[r->root].device ? 0 : w->roots[r->root].guest;
    if (r->gain) {
        trace_reach_gain(w->trace, r->at.cpu, r->first, r->end - 1, guest, r->rights, r->at.position, who, size);
    } else {
        trace_reach_loss(w->trace, r->at.cpu, r->first, r->end - 1, guest, r->rights, r->at.position, who, size);
    }
}

static void note_reach(struct watch *w, bool gain, u32 root, u64 frame, u8 rights)
{
    struct reach_run *r = &w->run;
    u64 spa;
    if (rights == 0 || !trace_on(w->trace, TRACE_CLASS_OWNER)) {
        return;
    }
    spa = phys_spa_of_frame(w->phys, frame);
    if (r->open && r->gain == gain && r->root == root && r->rights == rights && r->end == spa) {
        r->end += PAGE_SIZE;
        return;
    }
    watch_tell_reach(w);
    *r = (struct reach_run){
        .open = true, .gain = gain, .root = root, .rights = rights, .first = spa, .end = spa + PAGE_SIZE, .at = w->at};
    if (!w->working) { /* a root is dropped in passing */
        w->host.now(w->host.self, &r->at);
    }
}

/* ---- pages ---- */

static void note_most(struct watch *w, u32 root)
{
    const struct root *r = &w->roots[root];
    struct watch_guest *g = r->guest != 0 && !r->device ? &w->guests[r->guest] : NULL;
    if (g != NULL && r->reach[0] > g->most) {
        g->most = r->reach[0];
    }
}

static void add_page(struct watch *w, u32 root, u64 frame, u8 rights, const struct watch_moment *m)
{
    struct owner *o = find_owner(w, frame, root);
    if (o == NULL) {
        u32 n = pool_take(&w->owners);
        o = owner_at(w, n);
        o->next = w->frames[frame].owners;
        o->root = root;
        o->since = *m;
        w->frames[frame].owners = n;
    }
    u8 before = rights_of(o);
    for (unsigned i = 0; i < 3; i++) {
        if ((rights >> i & 1) != 0) {
            w->roots[root].reach[i] += o->count[i]++ == 0 ? 1 : 0;
        }
    }
    w->roots[root].mapped++;
    note_most(w, root);
    note_reach(w, true, root, frame, (u8)(rights & ~before));
    if ((rights & ~before) != 0) {
        look_for_shares(w, frame, root, m);
    }
}

static void remove_page(struct watch *w, u32 root, u64 frame, u8 rights)
{
    u32 *link = &w->frames[frame].owners;
    while (*link != 0 && owner_at(w, *link)->root != root) {
        link = &owner_at(w, *link)->next;
    }
    if (*link == 0) {
        return;
    }
    struct owner *o = owner_at(w, *link);
    u8 before = rights_of(o);
    for (unsigned i = 0; i < 3; i++) {
        if ((rights >> i & 1) != 0 && o->count[i] > 0 && --o->count[i] == 0) {
            w->roots[root].reach[i]--;
        }
    }
    w->roots[root].mapped -= w->roots[root].mapped > 0 ? 1 : 0;
    note_reach(w, false, root, frame, (u8)(before & ~rights_of(o)));
    if (rights_of(o) == 0) {
        u32 n = *link;
        *link = o->next;
        pool_give(&w->owners, n);
        end_shares(w, frame, root);
    }
}

void watch_disown(struct watch *w, u32 root)
{
    struct root *r = &w->roots[root];
    for (u64 frame = 0; frame < w->phys->page_count; frame++) {
        u32 *link = &w->frames[frame].owners;
        while (*link != 0) {
            u32 n = *link;
            if (owner_at(w, n)->root == root) {
                note_reach(w, false, root, frame, rights_of(owner_at(w, n)));
                *link = owner_at(w, n)->next;
                pool_give(&w->owners, n);
                end_shares(w, frame, root);
            } else {
                link = &owner_at(w, n)->next;
            }
        }
    }
    r->mapped = r->reach[0] = r->reach[1] = r->reach[2] = 0;
}

/* Page by page, as far as it is RAM. */
static bool ram_frame(const struct watch *w, u64 spa, u64 *frame)
{
    u8 *host;
    bool writable;
    return phys_page(w->phys, SPA(spa), frame, &host, &writable);
}

void watch_add_pages(struct watch *w, u32 root, u64 spa, u64 bytes, u8 rights,
                     const struct watch_moment *m)
{
    if (!watch_spend(w, root, bytes >> PAGE_SHIFT)) {
        return;
    }
    for (u64 at = spa, frame; at - spa < bytes && at < w->phys->ram_bytes + GIB(4); at += PAGE_SIZE) {
        if (ram_frame(w, at, &frame)) {
            add_page(w, root, frame, rights, m);
        }
    }
}

void watch_remove_pages(struct watch *w, u32 root, u64 spa, u64 bytes, u8 rights)
{
    for (u64 at = spa, frame; at - spa < bytes && at < w->phys->ram_bytes + GIB(4); at += PAGE_SIZE) {
        if (ram_frame(w, at, &frame)) {
            remove_page(w, root, frame, rights);
        }
    }
}

/* ---- questions ---- */

size_t watch_owners(struct watch *w, u64 spa, struct watch_owner *out, size_t max)
{
    u64 frame;
    size_t found = 0;
    watch_settle(w);
    if (!ram_frame(w, spa, &frame)) {
        return 0;
    }
    for (u32 n = w->frames[frame].owners; n != 0; n = owner_at(w, n)->next) {
        if (found < max) {
            watch_describe_owner(w, frame, owner_at(w, n)->root, &out[found]);
        }
        found++;
    }
    return found;
}

u64 watch_share_count(struct watch *w, bool confirmed)
{
    watch_settle(w);
    return confirmed ? w->share_confirmed : w->share_open;
}

bool watch_share_get(struct watch *w, u64 n, struct watch_share *out)
{
    watch_settle(w);
    for (u64 frame = 0; frame < w->phys->page_count; frame++) {
        for (u32 s = w->frames[frame].shares; s != 0; s = share_at(w, s)->next) {
            if (share_at(w, s)->confirmed && n-- == 0) {
                describe(w, share_at(w, s), out);
                return true;
            }
        }
    }
    return false;
}

/* ---- said to people ---- */

#define SHARES_PRINTED 64u

static void print_shares(struct watch *w, FILE *out, bool declared)
{
    unsigned left = SHARES_PRINTED;
    for (u64 frame = 0; frame < w->phys->page_count && left > 0; frame++) {
        for (u32 n = w->frames[frame].shares; n != 0 && left > 0; n = share_at(w, n)->next) {
            struct watch_share s;
            char a[40], b[40];
            if (!share_at(w, n)->confirmed || (share_at(w, n)->reason != WATCH_REASON_NONE) != declared) {
                continue;
            }
            describe(w, share_at(w, n), &s);
            watch_name_owner(&s.a, a, sizeof a);
            watch_name_owner(&s.b, b, sizeof b);
            (void)fprintf(out, "%s page %#llx: %s and %s, since position %llu, by the instruction at %#llx\n",
                          watch_reason_name(s.reason), (unsigned long long)s.spa, a, b, (unsigned long long)s.since.position,
                          (unsigned long long)s.since.rip);
            left--;
        }
    }
}

void watch_print_shares(struct watch *w, FILE *out)
{
    print_shares(w, out, false);
    print_shares(w, out, true);
}
