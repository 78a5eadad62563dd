/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All that the tracker knows, saved and restored: a run that goes on from a snapshot ends with the words of one that never
 * stopped. It is no part of the machine's state, and not of its hash.
 *
 * A file is hostile input: what was read is checked as a whole before anybody follows a number in it, and forgotten if
 * anything does not fit. Left out: `work`, `exhausted` and `in_routes`, which are 0 between events. */
#include "abi/trace_port.h"
#include "base/assert.h"
#include "watch/watch_priv.h"

#include <stdlib.h>
#include <string.h>

#define SAVED_MAX (1u << 26) /* records of a kind: more than any memory has pages */

/* An array of `count` records: there is room for them, and they are zero, when they are to be loaded. */
static bool make_room(struct state_io *io, void **array, u32 *count, size_t size)
{
    if (!state_is_load(io)) {
        return true;
    }
    u32 n = *count;
    *count = 0;
    if (io->failed || n > SAVED_MAX || n > io->len) { /* a record takes more than a byte */
        io->failed = true;
        return false;
    }
    *array = n != 0 ? calloc(n, size) : NULL;
    sim_assert(n == 0 || *array != NULL);
    *count = n;
    return true;
}

/* ---- records ---- */

static void moment_state(struct watch_moment *m, struct state_io *io)
{
    state_u64(io, "position", &m->position);
    state_u64(io, "rip", &m->rip);
    state_u32(io, "cpu", &m->cpu);
    state_bool(io, "granted", &m->granted);
}

static void tables_state(struct watch_tables *t, struct state_io *io)
{
    state_enum(io, "format", &t->format);
    state_u8(io, "levels", &t->levels);
    state_u64(io, "table", &t->table);
}

static void page_state(void *record, struct state_io *io)
{
    struct page *p = record;
    state_u32(io, "next_free", &p->next_free);
    state_u32(io, "nodes", &p->nodes);
    state_u64(io, "frame", &p->frame);
    if (p->nodes != 0) {
        state_bytes(io, "shadow", p->shadow, sizeof p->shadow);
    }
}

static void node_state(void *record, struct state_io *io)
{
    struct node *n = record;
    bool has_child = n->serial != 0 && n->child != NULL, has_pending = n->serial != 0 && n->pending != NULL;
    state_u32(io, "next_free", &n->next_free);
    state_u32(io, "root", &n->root);
    state_u32(io, "page", &n->page);
    state_u32(io, "next_on_page", &n->next_on_page);
    state_u32(io, "serial", &n->serial);
    state_u8(io, "level", &n->level);
    state_u8(io, "rights", &n->rights);
    state_u16(io, "first", &n->first);
    state_u64(io, "base", &n->base);
    state_bool(io, "has_child", &has_child);
    state_bool(io, "has_pending", &has_pending);
    if (state_is_load(io)) {
        n->child = has_child && n->serial != 0 ? calloc(1024, sizeof *n->child) : NULL;
        n->pending = has_pending && n->serial != 0 ? calloc(16, sizeof *n->pending) : NULL;
    }
    if (n->serial != 0 && n->child != NULL) {
        state_u32_array(io, "child", n->child, 1024);
    }
    if (n->serial != 0 && n->pending != NULL) {
        state_u64_array(io, "pending", n->pending, 16);
    }
}

static void owner_state(void *record, struct state_io *io)
{
    struct owner *o = record;
    state_u32(io, "next", &o->next);
    state_u32(io, "root", &o->root);
    state_u32_array(io, "count", o->count, ARRAY_LEN(o->count));
    moment_state(&o->since, io);
}

static void share_state(void *record, struct state_io *io)
{
    struct share *s = record;
    state_u32(io, "next", &s->next);
    state_u32(io, "serial", &s->serial);
    state_u64(io, "frame", &s->frame);
    state_u32(io, "a", &s->a);
    state_u32(io, "b", &s->b);
    state_bool(io, "used_a", &s->used_a);
    state_bool(io, "used_b", &s->used_b);
    state_bool(io, "confirmed", &s->confirmed);
    state_enum(io, "reason", &s->reason);
    moment_state(&s->since, io);
}

static void declared_state(void *record, struct state_io *io)
{
    struct declared *d = record;
    state_u32(io, "next", &d->next);
    state_u32(io, "guest", &d->guest);
    state_u32(io, "with", &d->with);
    state_enum(io, "reason", &d->reason);
    state_u64(io, "id", &d->id);
    state_u64(io, "frame", &d->frame);
    state_u32(io, "call", &d->call);
    state_u64(io, "leaving", &d->leaving);
    state_bool(io, "all", &d->all);
    state_bool(io, "live", &d->live);
}

static void pool_state(struct pool *p, struct state_io *io, void (*one)(void *record, struct state_io *io))
{
    u32 count = p->count, first_free = p->free;
    void *data = NULL;
    state_u32(io, "count", &count);
    state_u32(io, "free", &first_free);
    if (state_is_load(io)) {
        if (!make_room(io, &data, &count, p->size) || count == 0) {
            io->failed = true;
            return;
        }
        *p = (struct pool){.size = p->size, .data = data, .count = count, .cap = count, .free = first_free};
    }
    for (u32 i = 1; i < p->count && !io->failed; i++) {
        one(pool_at(p, i), io);
    }
}

static void root_state(struct root *r, struct state_io *io)
{
    state_bool(io, "live", &r->live);
    state_bool(io, "device", &r->device);
    state_bool(io, "too_large", &r->too_large);
    state_bool(io, "given_up", &r->given_up);
    tables_state(&r->tables, io);
    state_u8(io, "rights", &r->rights);
    state_u32(io, "guest", &r->guest);
    state_u32(io, "in_use", &r->in_use);
    state_u32(io, "devices", &r->devices);
    state_u16(io, "requester", &r->requester);
    state_bool(io, "of_host", &r->of_host);
    state_u32(io, "node", &r->node);
    state_u64(io, "mapped", &r->mapped);
    state_u64_array(io, "reach", r->reach, ARRAY_LEN(r->reach));
    void *pending = r->pending, *open = r->open;
    state_u32(io, "pending_count", &r->pending_count);
    if (make_room(io, &pending, &r->pending_count, sizeof *r->pending) && state_is_load(io)) {
        r->pending = pending;
        r->pending_cap = r->pending_count;
    }
    for (u32 i = 0; i < r->pending_count && !io->failed; i++) {
        struct pending *p = &r->pending[i];
        state_u32(io, "node", &p->node);
        state_u32(io, "serial", &p->serial);
        state_u32(io, "index", &p->index);
        moment_state(&p->moment, io);
    }
    state_u32(io, "open_count", &r->open_count);
    if (make_room(io, &open, &r->open_count, sizeof *r->open) && state_is_load(io)) {
        r->open = open;
        r->open_cap = r->open_count;
    }
    if (r->open_count != 0) {
        state_u32_array(io, "open", r->open, r->open_count);
    }
}

static void control_state(struct control *c, struct state_io *io)
{
    state_enum(io, "kind", &c->kind);
    state_u64(io, "address", &c->address);
    state_u32(io, "guest", &c->guest);
    state_u32(io, "root", &c->root);
    state_u32(io, "peer", &c->peer);
    state_u64_array(io, "left", c->left, ARRAY_LEN(c->left));
    state_u64(io, "left_rip", &c->left_rip);
    state_bool(io, "has_left", &c->has_left);
    state_bool(io, "left_by_call", &c->left_by_call);
    state_bool(io, "child_due", &c->child_due);
    state_u64(io, "child_of", &c->child_of);
    state_u32(io, "child_key", &c->child_key);
}

static void guest_state(struct watch_guest *g, struct state_io *io)
{
    state_u32(io, "id", &g->id);
    state_u32(io, "parent", &g->parent);
    state_u32(io, "level_of", &g->level_of);
    state_enum(io, "kind", &g->kind);
    state_u64(io, "control", &g->control);
    state_u32(io, "controls", &g->controls);
    state_u64(io, "since", &g->since);
    state_u64(io, "entries", &g->entries);
    state_u64(io, "hypercalls", &g->hypercalls);
    state_u64(io, "most", &g->most);
    state_u32(io, "abis", &g->abis);
    state_bytes(io, "name", g->name, sizeof g->name);
    g->name[sizeof g->name - 1] = '\0';
    state_bool(io, "claimed", &g->claimed);
    state_u64(io, "partition", &g->partition);
    state_u64(io, "vtl", &g->vtl);
    state_bytes(io, "partition_name", g->partition_name, sizeof g->partition_name);
    g->partition_name[sizeof g->partition_name - 1] = '\0';
}

static void call_state(struct open_call *c, struct state_io *io)
{
    state_bool(io, "is_open", &c->is_open);
    state_bool(io, "is_cpuid", &c->is_cpuid);
    state_u32(io, "control", &c->control);
    state_enum(io, "abi", &c->abi);
    state_u64(io, "number", &c->number);
    state_u64(io, "position", &c->position);
    state_u32(io, "children", &c->children);
    state_u32(io, "leaf", &c->leaf);
    state_u32(io, "command", &c->command);
    state_u32_array(io, "made", c->made, CALL_MADE);
    state_u32(io, "made_count", &c->made_count);
    state_bool(io, "answered", &c->answered);
    state_u64(io, "rip", &c->rip);
    state_bool(io, "code64", &c->code64);
    state_u64(io, "claimed", &c->claimed);
    state_bool(io, "has_result", &c->has_result);
    state_u64(io, "result", &c->result);
    state_u32(io, "said", &c->said);
    state_u32(io, "said_pages", &c->said_pages);
    state_u32(io, "said_gpadl", &c->said_gpadl);
    state_bool(io, "said_first", &c->said_first);
}

static void claims_state(struct watch *w, struct state_io *io)
{
    state_u64(io, "taken", &w->claims.taken);
    state_u64(io, "compared", &w->claims.compared);
    state_u64(io, "differ", &w->claims.differ);
    state_u64(io, "refused", &w->claims.refused);
    for (u32 i = 0; i < WATCH_DIFFERENCES && i < w->claims.differ; i++) {
        struct claim_difference *d = &w->differences[i];
        state_u32(io, "type", &d->type);
        state_u32(io, "guest", &d->guest);
        state_u64(io, "id", &d->id);
        state_u64(io, "claimed", &d->claimed);
        state_u64(io, "derived", &d->derived);
        state_u64(io, "position", &d->position);
    }
    state_u32(io, "named_vps", &w->named_vp_count);
    state_u32(io, "named_partitions", &w->named_partition_count);
    if (w->named_vp_count > WATCH_NAMED_VPS || w->named_partition_count > WATCH_NAMED_PARTITIONS) {
        w->named_vp_count = w->named_partition_count = 0;
        io->failed = true;
    }
    for (u32 i = 0; i < w->named_vp_count; i++) {
        struct named_vp *n = &w->named_vps[i];
        state_u64(io, "control", &n->control);
        state_u64(io, "partition", &n->partition);
        state_u64(io, "vp", &n->vp);
        state_u64(io, "vtl", &n->vtl);
    }
    for (u32 i = 0; i < w->named_partition_count; i++) {
        struct named_partition *n = &w->named_partitions[i];
        state_u64(io, "partition", &n->partition);
        state_bytes(io, "name", n->name, sizeof n->name);
        n->name[sizeof n->name - 1] = '\0';
    }
}

static void cpu_watch_state(struct cpu_watch *c, struct state_io *io)
{
    state_u32(io, "due_count", &c->due_count);
    c->due_count = c->due_count <= WATCH_DUE ? c->due_count : 0;
    for (u32 i = 0; i < c->due_count; i++) {
        state_u64(io, "first", &c->due[i].first);
        state_u64(io, "count", &c->due[i].count);
    }
    state_u32(io, "control", &c->control);
    state_u32(io, "left_control", &c->left_control);
    state_u32(io, "root", &c->root);
    state_u32(io, "guest", &c->guest);
    state_u32(io, "last_guest", &c->last_guest);
    state_u32(io, "entry_from", &c->entry_from);
    u32 depth = c->depth;
    state_u32(io, "depth", &depth);
    c->depth = depth <= ARRAY_LEN(c->calls) ? depth : 0;
    for (unsigned i = 0; i < c->depth; i++) {
        call_state(&c->calls[i], io);
    }
}

static void kind_state(struct call_kind *k, struct state_io *io)
{
    state_u8(io, "abi", &k->abi);
    state_u32(io, "number", &k->number);
    state_u32(io, "command", &k->command);
    state_u64(io, "count", &k->count);
    state_u64(io, "alone", &k->alone);
    state_u64(io, "counts", &k->counts);
    state_u32(io, "made_count", &k->made_count);
    k->made_count = k->made_count <= CALL_MADE ? k->made_count : 0;
    for (u32 i = 0; i < k->made_count; i++) {
        state_u32(io, "key", &k->made[i].key);
        state_u64(io, "times", &k->made[i].count);
    }
}

/* Of most pages there is nothing to say. */
static void frames_state(struct watch *w, struct state_io *io)
{
    u64 count = 0;
    for (u64 f = 0; !state_is_load(io) && f < w->phys->page_count; f++) {
        const struct frame_info *i = &w->frames[f];
        count += (i->owners | i->shares | i->page | i->declared | i->claimed) != 0 || i->routes ? 1 : 0;
    }
    state_u64(io, "count", &count);
    u64 at = 0;
    for (u64 n = 0; n < count && !io->failed; n++, at++) {
        struct frame_info *i;
        while (!state_is_load(io) && at < w->phys->page_count) {
            i = &w->frames[at];
            if ((i->owners | i->shares | i->page | i->declared | i->claimed) != 0 || i->routes) {
                break;
            }
            at++;
        }
        state_u64(io, "frame", &at);
        if (at >= w->phys->page_count) {
            io->failed = true;
            return;
        }
        i = &w->frames[at];
        state_u32(io, "owners", &i->owners);
        state_u32(io, "shares", &i->shares);
        state_u32(io, "page", &i->page);
        state_bool(io, "routes", &i->routes);
        state_u32(io, "declared", &i->declared);
        state_u8(io, "claimed", &i->claimed);
        state_u32(io, "claimed_by", &i->claimed_by);
    }
}

/* ---- is it one? ---- */

/* Every record of a pool is on at most one list; `seen` has a bit for each. */
static bool see(u8 *seen, const struct pool *p, u32 n)
{
    if (n == 0 || n >= p->count || seen[n] != 0) {
        return false;
    }
    seen[n] = 1;
    return true;
}

/* The records that no list has are free, each once. */
static bool free_list_fits(const struct pool *p, u8 *seen)
{
    for (u32 n = p->free, next; n != 0; n = next) {
        if (!see(seen, p, n)) {
            return false;
        }
        memcpy(&next, pool_at(p, n), sizeof next);
    }
    return true;
}

/* Those on lists are live, and all that are live are on one. */
static bool declared_fit(const struct watch *w, u8 *seen)
{
    u64 listed = 0;
    for (u64 f = 0; f < w->phys->page_count; f++) {
        if (w->frames[f].claimed > TRACE_PAGES_PRIVATE + 1) {
            return false;
        }
        for (u32 n = w->frames[f].declared; n != 0; n = ((struct declared *)pool_at(&w->declared, n))->next) {
            const struct declared *d = pool_at(&w->declared, n < w->declared.count ? n : 0);
            if (!see(seen, &w->declared, n) || !d->live || d->frame != f || d->guest > w->guest_count || d->with > w->guest_count ||
                (unsigned)d->reason >= WATCH_REASONS) {
                return false;
            }
            listed++;
        }
    }
    for (u32 n = 1; n < w->declared.count; n++) {
        if (((struct declared *)pool_at(&w->declared, n))->live != (seen[n] != 0)) {
            return false;
        }
    }
    for (u32 i = 0; i < WATCH_GPADLS; i++) {
        if (w->gpadls[i].guest > w->guest_count || w->gpadls[i].with > w->guest_count) {
            return false;
        }
    }
    for (u32 i = 0; i < w->link_count; i++) {
        if (w->links[i].guest == 0 || w->links[i].guest > w->guest_count) {
            return false;
        }
    }
    return listed == w->declared_now;
}

static bool frame_lists_fit(const struct watch *w, u8 *owners, u8 *shares, u8 *pages)
{
    for (u64 f = 0; f < w->phys->page_count; f++) {
        const struct frame_info *i = &w->frames[f];
        for (u32 n = i->owners; n != 0; n = ((struct owner *)pool_at(&w->owners, n))->next) {
            const struct owner *o = pool_at(&w->owners, n < w->owners.count ? n : 0);
            if (!see(owners, &w->owners, n) || o->root == 0 || o->root > w->root_count) {
                return false;
            }
        }
        for (u32 n = i->shares; n != 0; n = ((struct share *)pool_at(&w->shares, n))->next) {
            const struct share *s = pool_at(&w->shares, n < w->shares.count ? n : 0);
            if (!see(shares, &w->shares, n) || s->frame != f || s->serial == 0 || s->a == 0 || s->a > w->root_count ||
                s->b == 0 || s->b > w->root_count || (unsigned)s->reason >= WATCH_REASONS) {
                return false;
            }
        }
        if (i->page != 0 && (!see(pages, &w->pages, i->page) || ((struct page *)pool_at(&w->pages, i->page))->frame != f ||
                             ((struct page *)pool_at(&w->pages, i->page))->nodes == 0)) {
            return false;
        }
    }
    return true;
}

static bool node_fits(const struct watch *w, const struct node *n, u32 page)
{
    if (n->serial == 0 || n->page != page || n->root == 0 || n->root > w->root_count || n->level == 0 || n->level > 6) {
        return false;
    }
    bool quarter = w->roots[n->root].tables.format == WATCH_PAE && n->level == 3;
    if ((n->first & 0x1f) != 0 || n->first > (quarter ? 0xfe0 : 0)) {
        return false;
    }
    for (u32 i = 0; n->child != NULL && i < 1024; i++) {
        const struct node *c = pool_at(&w->nodes, n->child[i] < w->nodes.count ? n->child[i] : 0);
        if (n->child[i] != 0 &&
            (n->child[i] >= w->nodes.count || c->serial == 0 || c->level >= n->level || c->root != n->root)) {
            return false;
        }
    }
    return true;
}

/* Nodes hang on their pages, each once, and are the child of at most one other or the top of a root. */
static bool nodes_fit(const struct watch *w, u8 *nodes, const u8 *pages)
{
    u8 *wanted = calloc(w->nodes.count, 1);
    sim_assert(wanted != NULL);
    bool ok = true;
    for (u32 p = 1; p < w->pages.count && ok; p++) {
        u32 n = pages[p] != 0 ? ((const struct page *)pool_at(&w->pages, p))->nodes : 0;
        for (; n != 0 && ok; n = ((struct node *)pool_at(&w->nodes, n))->next_on_page) {
            ok = see(nodes, &w->nodes, n) && node_fits(w, pool_at(&w->nodes, n), p);
            const u32 *child = ok ? ((struct node *)pool_at(&w->nodes, n))->child : NULL;
            for (u32 i = 0; child != NULL && i < 1024 && ok; i++) {
                ok = child[i] == 0 || see(wanted, &w->nodes, child[i]);
            }
            if (!ok) {
                break;
            }
        }
    }
    for (u32 r = 1; r <= w->root_count && ok; r++) {
        u32 n = w->roots[r].node;
        ok = n == 0 || (see(wanted, &w->nodes, n) && nodes[n] != 0 && ((struct node *)pool_at(&w->nodes, n))->root == r);
    }
    free(wanted);
    return ok;
}

static bool roots_fit(const struct watch *w)
{
    for (u32 i = 1; i <= w->root_count; i++) {
        const struct root *r = &w->roots[i];
        if ((unsigned)r->tables.format > WATCH_AMD || r->tables.levels > 6 || r->guest > w->guest_count) {
            return false;
        }
        for (u32 n = 0; n < r->pending_count; n++) {
            if (r->pending[n].index >= 1024) {
                return false;
            }
        }
        for (u32 n = 0; n < r->open_count; n++) {
            if (r->open[n] >= w->shares.count) {
                return false;
            }
        }
    }
    return true;
}

static bool guests_fit(const struct watch *w)
{
    for (u32 i = 1; i <= w->guest_count; i++) {
        const struct watch_guest *g = &w->guests[i];
        if (g->id != i || g->parent >= i || g->level_of >= i) {
            return false;
        }
    }
    for (u32 i = 1; i <= w->control_count; i++) {
        const struct control *c = &w->controls[i];
        if (c->guest > w->guest_count || c->root > w->root_count || c->peer > w->control_count) {
            return false;
        }
    }
    for (unsigned i = 0; i < WATCH_CPUS; i++) {
        const struct cpu_watch *c = &w->cpu[i];
        bool ok = c->control <= w->control_count && c->left_control <= w->control_count && c->root <= w->root_count &&
                  c->guest <= w->guest_count && c->last_guest <= w->guest_count && c->entry_from <= w->control_count;
        for (unsigned k = 0; k < c->depth; k++) {
            const struct open_call *call = &c->calls[k];
            ok = ok && call->control <= w->control_count && call->made_count <= CALL_MADE &&
                 call->said_gpadl <= WATCH_GPADLS && (call->said == 0 || call->said_gpadl != 0) &&
                 (unsigned)call->abi <= WATCH_ABI_OTHER;
        }
        if (!ok) {
            return false;
        }
    }
    for (unsigned i = 0; i < w->device_count; i++) {
        if (w->devices[i].root > w->root_count) {
            return false;
        }
    }
    for (u32 i = 0; i < w->kind_count; i++) {
        if (w->kinds[i].abi > WATCH_ABI_OTHER) {
            return false;
        }
    }
    return true;
}

static bool fits(const struct watch *w)
{
    u8 *seen[5] = {calloc(w->owners.count, 1), calloc(w->shares.count, 1), calloc(w->pages.count, 1), calloc(w->nodes.count, 1),
                   calloc(w->declared.count, 1)};
    sim_assert(seen[0] != NULL && seen[1] != NULL && seen[2] != NULL && seen[3] != NULL && seen[4] != NULL);
    bool ok = roots_fit(w) && guests_fit(w) && frame_lists_fit(w, seen[0], seen[1], seen[2]) &&
              nodes_fit(w, seen[3], seen[2]) && free_list_fits(&w->owners, seen[0]) && free_list_fits(&w->shares, seen[1]) &&
              free_list_fits(&w->pages, seen[2]) && free_list_fits(&w->nodes, seen[3]) && declared_fit(w, seen[4]) &&
              free_list_fits(&w->declared, seen[4]);
    for (unsigned i = 0; i < ARRAY_LEN(seen); i++) {
        free(seen[i]);
    }
    return ok;
}

/* ---- all of it ---- */

static void arrays_state(struct watch *w, struct state_io *io)
{
    void *array = w->roots;
    u32 count = w->root_count + 1; /* record 0 is none */
    state_u32(io, "roots", &count);
    if (make_room(io, &array, &count, sizeof *w->roots) && state_is_load(io) && count > 0) {
        w->roots = array;
        w->root_cap = count;
        w->root_count = count - 1;
    }
    for (u32 i = 1; i <= w->root_count && !io->failed; i++) {
        root_state(&w->roots[i], io);
    }
    array = w->controls;
    count = w->control_count + 1;
    state_u32(io, "controls", &count);
    if (make_room(io, &array, &count, sizeof *w->controls) && state_is_load(io) && count > 0) {
        w->controls = array;
        w->control_cap = count;
        w->control_count = count - 1;
    }
    for (u32 i = 1; i <= w->control_count && !io->failed; i++) {
        control_state(&w->controls[i], io);
    }
    array = w->guests;
    count = w->guest_count + 1;
    state_u32(io, "guests", &count);
    if (make_room(io, &array, &count, sizeof *w->guests) && state_is_load(io) && count > 0) {
        w->guests = array;
        w->guest_cap = count;
        w->guest_count = count - 1;
    }
    for (u32 i = 1; i <= w->guest_count && !io->failed; i++) {
        guest_state(&w->guests[i], io);
    }
}

static void lists_state(struct watch *w, struct state_io *io)
{
    u32 count = w->device_count;
    state_u32(io, "devices", &count);
    w->device_count = count <= ARRAY_LEN(w->devices) ? count : 0;
    for (unsigned i = 0; i < w->device_count; i++) {
        struct device_watch *d = &w->devices[i];
        state_u16(io, "requester", &d->requester);
        state_bool(io, "known", &d->known);
        state_bool(io, "direct", &d->direct);
        state_u32(io, "root", &d->root);
    }
    for (unsigned i = 0; i < WATCH_CPUS; i++) {
        cpu_watch_state(&w->cpu[i], io);
    }
    claims_state(w, io);
    state_u32(io, "kinds", &w->kind_count);
    w->kind_count = w->kind_count <= WATCH_KINDS ? w->kind_count : 0;
    for (u32 i = 0; i < w->kind_count; i++) {
        kind_state(&w->kinds[i], io);
    }
    state_u64(io, "handovers", &w->handovers);
    state_u32(io, "serial", &w->serial);
    state_bool(io, "routes_stale", &w->routes_stale);
    state_u64(io, "share_open", &w->share_open);
    state_u64(io, "share_confirmed", &w->share_confirmed);
    state_u64_array(io, "share_declared", w->share_declared, WATCH_REASONS);
    state_u64(io, "declared_now", &w->declared_now);
    state_u64(io, "leave_count", &w->leave_count);
    state_u32(io, "links", &w->link_count);
    w->link_count = w->link_count <= WATCH_LINKS ? w->link_count : 0;
    for (u32 i = 0; i < w->link_count; i++) {
        state_u32(io, "guest", &w->links[i].guest);
        state_u32(io, "connection", &w->links[i].connection);
    }
    for (u32 i = 0; i < WATCH_GPADLS; i++) {
        state_u32(io, "guest", &w->gpadls[i].guest);
        state_u32(io, "with", &w->gpadls[i].with);
        state_u32(io, "id", &w->gpadls[i].id);
        state_u32(io, "left", &w->gpadls[i].left);
    }
    state_u32(io, "gpadl_next", &w->gpadl_next);
    state_u64(io, "reported", &w->reported);
}

void watch_state(struct watch *w, struct state_io *io)
{
    if (state_is_load(io)) {
        watch_forget(w);
    } else {
        watch_settle(w);
    }
    state_section(io, "watch", 1);
    pool_state(&w->pages, io, page_state);
    pool_state(&w->nodes, io, node_state);
    pool_state(&w->owners, io, owner_state);
    pool_state(&w->shares, io, share_state);
    pool_state(&w->declared, io, declared_state);
    arrays_state(w, io);
    lists_state(w, io);
    frames_state(w, io);
    if (!state_is_load(io)) {
        return;
    }
    if (io->failed || !fits(w)) {
        io->failed = true;
        watch_discard(w);
        return;
    }
    for (u64 f = 0; f < w->phys->page_count; f++) {
        if (w->frames[f].page != 0 || w->frames[f].routes) {
            watch_mark_page(w, f);
        }
    }
}
