/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sharing that was declared, and claims compared with what tables say.
 *
 * A declaration names pages of a guest, who else may reach them, and who said so. It excuses just these two: a third
 * guest that reaches the page is a stranger still. When it ends and the page stays within reach, that is a share that
 * nobody declared, from then on. Trust levels of one guest count as one. Left out: rights (who may reach may write). */
#include "watch/watch_priv.h"

#include <stdio.h>

#define DECLARED_MAX (1u << 18) /* records, and on one page: more than any honest guests need */
#define DECLARED_ON_PAGE 64u

static struct declared *declared_at(const struct watch *w, u32 n)
{
    return pool_at(&w->declared, n);
}

static bool is_meant(const struct watch *w, u32 named, u32 guest)
{
    return named == 0 || watch_partition(w, named) == guest;
}

enum watch_reason watch_reason_of(const struct watch *w, u64 frame, u32 root_a, u32 root_b)
{
    u32 a = watch_partition(w, w->roots[root_a].guest), b = watch_partition(w, w->roots[root_b].guest);
    for (u32 n = w->frames[frame].declared; n != 0; n = declared_at(w, n)->next) {
        const struct declared *d = declared_at(w, n);
        if ((is_meant(w, d->guest, a) && is_meant(w, d->with, b)) || (is_meant(w, d->guest, b) && is_meant(w, d->with, a))) {
            return d->reason;
        }
    }
    return WATCH_REASON_NONE;
}

const char *watch_reason_name(enum watch_reason reason)
{
    static const char *const names[WATCH_REASONS] = {
        [WATCH_REASON_NONE] = "shared",        [WATCH_REASON_GRANT] = "granted",  [WATCH_REASON_GPADL] = "VMBus",
        [WATCH_REASON_PORT] = "lent",          [WATCH_REASON_LIBRARY] = "declared"};
    return names[reason];
}

/* ---- beginning and ending ---- */

bool watch_declare_frame(struct watch *w, u64 frame, const struct declared *what)
{
    unsigned on_page = 0;
    for (u32 n = w->frames[frame].declared; n != 0; n = declared_at(w, n)->next) {
        on_page++;
    }
    if (on_page >= DECLARED_ON_PAGE || w->declared_now >= DECLARED_MAX) {
        return false;
    }
    u32 n = pool_take(&w->declared);
    struct declared *d = declared_at(w, n);
    *d = *what;
    d->frame = frame;
    d->next = w->frames[frame].declared;
    w->frames[frame].declared = n;
    w->declared_now++;
    watch_shares_judged(w, frame);
    return true;
}

bool watch_declare(struct watch *w, const struct watch_declaration *d)
{
    struct declared one = {.guest = d->guest, .with = d->with, .reason = d->reason, .id = d->id, .live = true};
    bool ok = d->guest <= w->guest_count && d->with <= w->guest_count && d->reason < WATCH_REASONS;
    watch_settle(w);
    for (u64 at = align_down(d->spa, PAGE_SIZE), frame; ok && at - d->spa + PAGE_SIZE < d->bytes + PAGE_SIZE; at += PAGE_SIZE) {
        u8 *host;
        bool writable;
        if (phys_page(w->phys, SPA(at), &frame, &host, &writable)) {
            ok = watch_declare_frame(w, frame, &one);
        }
    }
    return ok;
}

void watch_declare_shared(struct watch *w, u64 spa, u64 bytes)
{
    struct watch_declaration d = {.reason = WATCH_REASON_LIBRARY, .spa = spa, .bytes = bytes};
    (void)watch_declare(w, &d);
}

void watch_end_declared(struct watch *w, bool (*ends)(const struct declared *d, const void *key), const void *key)
{
    for (u32 n = 1; n < w->declared.count; n++) {
        struct declared *d = declared_at(w, n);
        if (!d->live || !ends(d, key)) {
            continue;
        }
        u64 frame = d->frame;
        u32 *link = &w->frames[frame].declared;
        while (*link != n) {
            link = &declared_at(w, *link)->next;
        }
        *link = d->next;
        d->live = false;
        pool_give(&w->declared, n);
        w->declared_now--;
        watch_shares_judged(w, frame);
    }
}

static bool is_named(const struct declared *d, const void *key)
{
    const struct declared *k = key;
    return d->reason == k->reason && d->guest == k->guest && d->id == k->id;
}

void watch_end_declaration(struct watch *w, enum watch_reason reason, u32 guest, u64 id)
{
    const struct declared key = {.reason = reason, .guest = guest, .id = id};
    watch_settle(w);
    watch_end_declared(w, is_named, &key);
}

void watch_end_lent(struct watch *w, u64 frame, u32 guest, u32 with)
{
    u32 *link = &w->frames[frame].declared;
    while (*link != 0) {
        u32 n = *link;
        struct declared *d = declared_at(w, n);
        if (d->reason != WATCH_REASON_PORT || d->guest != guest || d->with != with) {
            link = &d->next;
            continue;
        }
        *link = d->next;
        d->live = false;
        pool_give(&w->declared, n);
        w->declared_now--;
    }
    watch_shares_judged(w, frame);
}

/* ---- claims ---- */

/* Who is not the guest, none of those that run it or that it runs, and not who is named besides. */
static bool is_foreign(const struct watch *w, const struct watch_page_claim *c, u32 guest)
{
    guest = watch_partition(w, guest);
    return guest != watch_partition(w, c->guest) && (c->with == 0 || guest != watch_partition(w, c->with)) &&
           (c->guest == 0 || !watch_is_related(w, c->guest, guest));
}

static bool is_reached(struct watch *w, const struct watch_page_claim *c, u64 spa, u32 *stranger)
{
    struct watch_owner o[16];
    size_t n = watch_owners(w, spa, o, ARRAY_LEN(o));
    bool reached = c->guest == 0;
    *stranger = 0;
    for (size_t i = 0; i < n && i < ARRAY_LEN(o); i++) {
        reached = reached || watch_partition(w, o[i].guest) == watch_partition(w, c->guest);
        if (o[i].guest != 0 && is_foreign(w, c, o[i].guest)) {
            *stranger = o[i].guest;
        }
    }
    return reached;
}

void watch_compare(struct watch *w, const struct watch_page_claim *c, struct watch_page_verdict *out)
{
    *out = (struct watch_page_verdict){0};
    if (c->guest > w->guest_count || c->with > w->guest_count) {
        return;
    }
    watch_settle(w);
    for (u64 at = align_down(c->spa, PAGE_SIZE), frame; at - c->spa + PAGE_SIZE < c->bytes + PAGE_SIZE; at += PAGE_SIZE) {
        u8 *host;
        bool writable;
        u32 stranger;
        if (!phys_page(w->phys, SPA(at), &frame, &host, &writable)) {
            continue;
        }
        out->pages++;
        bool reached = is_reached(w, c, at, &stranger);
        out->unreached += reached ? 0 : 1;
        out->foreign += stranger != 0 ? 1 : 0;
        if ((!reached || stranger != 0) && !out->differs) {
            out->differs = true;
            out->first = at;
            out->stranger = stranger;
        }
    }
}

u32 watch_guest_of_control(const struct watch *w, u64 control)
{
    for (u32 i = 1; i <= w->control_count; i++) {
        if (w->controls[i].address == control) {
            return w->controls[i].guest;
        }
    }
    return 0;
}

u32 watch_guest_of_tables(const struct watch *w, u64 table)
{
    for (u32 i = 1; i <= w->root_count; i++) {
        if (w->roots[i].live && !w->roots[i].device && w->roots[i].tables.table == table) {
            return w->roots[i].guest;
        }
    }
    return 0;
}

/* ---- said to people ---- */

/* Does whoever declared it have the page still? A guest that is gone takes nothing back. */
static bool is_with_guest(const struct watch *w, const struct declared *d)
{
    u32 root;
    for (u32 n = 0; (root = watch_owner_root(w, d->frame, n)) != 0; n++) {
        if (is_meant(w, d->guest, watch_partition(w, w->roots[root].guest))) {
            return true;
        }
    }
    return d->guest == 0;
}

void watch_print_declared(struct watch *w, FILE *out)
{
    for (enum watch_reason reason = WATCH_REASON_GPADL; reason < WATCH_REASONS; reason++) {
        u64 pages = 0;
        for (u32 n = 1; n < w->declared.count; n++) {
            const struct declared *d = declared_at(w, n);
            pages += d->live && d->reason == reason && is_with_guest(w, d) ? 1 : 0;
        }
        if (pages != 0 || w->share_declared[reason] != 0) {
            (void)fprintf(out, "declared sharing (%s): %llu pages, %llu of them within reach of both\n", watch_reason_name(reason),
                          (unsigned long long)pages, (unsigned long long)w->share_declared[reason]);
        }
    }
}
