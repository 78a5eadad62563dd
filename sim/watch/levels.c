/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Levels: which guest runs on which processor, and under which other guest.
 *
 * A VMCS or VMCB is a virtual processor. Virtual processors that run on the same second-level tables are
 * one guest. A virtual processor that begins with the registers with which another one left by a hypercall is a
 * lower trust level of that one's guest (Hyper-V's VTLs): the two are no strangers. A guest's own guest shows like this: it leaves by VMLAUNCH, VMRESUME or VMRUN, and what the
 * processor enters next is a VMCS or VMCB never seen before: that one runs under it. (A hypervisor that
 * runs a guest's guest keeps a VMCS of its own for it.) */
#include "base/assert.h"
#include "trace/events.h"
#include "watch/watch_priv.h"

#include <stdlib.h>
#include <string.h>

static void *grow(void *array, u32 *cap, size_t size)
{
    u32 before = *cap;
    *cap = before == 0 ? 16 : 2 * before;
    u8 *grown = realloc(array, *cap * size);
    sim_assert(grown != NULL);
    memset(grown + before * size, 0, (*cap - before) * size);
    return grown;
}

/* ---- construction ---- */

struct watch *watch_new(struct phys *phys, struct log *log, struct trace *trace,
                        const struct watch_host *host)
{
    struct watch *w = calloc(1, sizeof *w);
    sim_assert(w != NULL);
    w->phys = phys;
    w->log = log;
    w->trace = trace;
    w->host = *host;
    w->frames = calloc(phys->page_count, sizeof *w->frames);
    sim_assert(w->frames != NULL);
    pool_init(&w->pages, sizeof(struct page));
    pool_init(&w->nodes, sizeof(struct node));
    pool_init(&w->owners, sizeof(struct owner));
    pool_init(&w->shares, sizeof(struct share));
    pool_init(&w->declared, sizeof(struct declared));
    w->routes_stale = true;
    return w;
}

static void drop_everything(struct watch *w)
{
    w->written = false;
    for (u32 i = 1; i <= w->root_count; i++) {
        watch_root_drop(w, i);
    }
    watch_tell_reach(w);
    for (u64 f = 0; f < w->phys->page_count; f++) {
        w->phys->pages[f].flags &= ~(u32)PAGE_TRACKED;
    }
    pool_release(&w->pages);
    pool_release(&w->nodes);
    pool_release(&w->owners);
    pool_release(&w->shares);
    pool_release(&w->declared);
    free(w->roots);
    free(w->controls);
    free(w->guests);
    w->roots = NULL;
    w->controls = NULL;
    w->guests = NULL;
    w->root_count = w->root_cap = w->control_count = w->control_cap = w->guest_count = w->guest_cap = 0;
}

static void forget_figures(struct watch *w)
{
    memset(w->frames, 0, w->phys->page_count * sizeof *w->frames);
    memset(w->cpu, 0, sizeof w->cpu);
    w->device_count = 0;
    w->kind_count = 0;
    w->handovers = 0;
    w->named_vp_count = w->named_partition_count = 0;
    w->claims = (struct watch_claims){0};
    w->serial = 0;
    w->share_open = w->share_confirmed = w->reported = 0;
    memset(w->share_declared, 0, sizeof w->share_declared);
    memset(w->gpadls, 0, sizeof w->gpadls);
    w->declared_now = w->leave_count = 0;
    w->link_count = w->gpadl_next = 0;
    w->routes_stale = true;
}

void watch_discard(struct watch *w)
{
    for (u32 i = 1; i < w->nodes.count; i++) {
        struct node *n = pool_at(&w->nodes, i);
        free(n->serial != 0 ? n->child : NULL);
        free(n->serial != 0 ? n->pending : NULL);
        n->serial = 0;
    }
    for (u32 i = 1; i <= w->root_count; i++) {
        w->roots[i].node = 0; /* watch_root_drop frees the rest */
    }
    drop_everything(w);
    forget_figures(w);
}

void watch_free(struct watch *w)
{
    if (w != NULL) {
        drop_everything(w);
        free(w->frames);
        free(w);
    }
}

void watch_forget(struct watch *w)
{
    drop_everything(w);
    forget_figures(w);
}

/* ---- guests ---- */

static u32 new_guest(struct watch *w, const struct watch_entry *e, u32 parent, u64 position)
{
    if (w->guest_count + 1 >= w->guest_cap) {
        w->guests = grow(w->guests, &w->guest_cap, sizeof *w->guests);
    }
    u32 id = ++w->guest_count;
    w->guests[id] = (struct watch_guest){
        .id = id, .parent = parent, .kind = e->kind, .control = e->control, .since = position};
    trace_guest_found(w->trace, TRACE_NO_CPU, id, parent, e->control, e->nested ? e->tables.table : 0);
    log_line(w->log, LOG_WATCH, "guest %u under %u: %s at %#llx, tables at %#llx", id, parent,
             e->kind == WATCH_VMX ? "VMCS" : "VMCB", (unsigned long long)e->control,
             e->nested ? (unsigned long long)e->tables.table : 0);
    return id;
}

static u32 find_control(struct watch *w, const struct watch_entry *e, unsigned cpu)
{
    const struct control *last = w->cpu[cpu].control != 0 ? &w->controls[w->cpu[cpu].control] : NULL;
    if (last != NULL && last->kind == e->kind && last->address == e->control) {
        return w->cpu[cpu].control;
    }
    for (u32 i = 1; i <= w->control_count; i++) {
        if (w->controls[i].kind == e->kind && w->controls[i].address == e->control) {
            return i;
        }
    }
    return 0;
}

u32 watch_root_find(struct watch *w, const struct watch_tables *tables, u8 rights, bool device)
{
    u32 idle = 0;
    for (u32 i = 1; i <= w->root_count; i++) {
        const struct root *r = &w->roots[i];
        if (!r->live) {
            idle = i;
        } else if (r->device == device && r->rights == rights && r->tables.table == tables->table &&
                   r->tables.format == tables->format && r->tables.levels == tables->levels) {
            return i;
        }
    }
    if (idle == 0) {
        if (w->root_count + 1 >= w->root_cap) {
            w->roots = grow(w->roots, &w->root_cap, sizeof *w->roots);
        }
        idle = ++w->root_count;
    }
    w->roots[idle] = (struct root){.device = device, .tables = *tables, .rights = rights};
    return idle;
}

u32 watch_partition(const struct watch *w, u32 guest)
{
    while (guest != 0 && w->guests[guest].level_of != 0) {
        guest = w->guests[guest].level_of;
    }
    return guest;
}

#define GPR_AX 0u
#define GPR_CX 1u
#define GPR_SP 4u
#define DISTINCT_ENOUGH 4u
#define DISTINCT_WITHIN 2u /* of two guests that are known to be levels of one */

/* Were a guest's registers handed over to this entry? All but those that the switch itself needs; and enough of them that
 * it is no accident of fresh ones. */
static bool is_handed_over(const u64 *left, const u64 *entered, unsigned enough)
{
    unsigned distinct = 0;
    for (unsigned i = 0; i < 16; i++) {
        if (i == GPR_AX || i == GPR_CX || i == GPR_SP) {
            continue;
        }
        if (left[i] != entered[i]) {
            return false;
        }
        bool seen = left[i] == 0;
        for (unsigned k = 0; k < i && !seen; k++) {
            seen = k != GPR_AX && k != GPR_CX && k != GPR_SP && left[k] == left[i];
        }
        distinct += seen ? 0 : 1;
    }
    return distinct >= enough;
}

/* Does a virtual processor go on where it left? Then it is no other one in a page that was used again, even though its
 * tables are new: hypervisors throw all of a guest's tables away and begin anew. An exit changes a few registers. At the
 * very instruction that it left by, where a fresh guest of the same program may begin, they must say more than nothing. */
#define KEPT_ENOUGH 10u
#define TELLING_ENOUGH 3u
#define LONGEST_INSTRUCTION 15u

static bool goes_on(const struct control *c, const struct watch_entry *e)
{
    unsigned kept = 0, telling = 0;
    if (e->gpr == NULL || !c->has_left || e->rip - c->left_rip > LONGEST_INSTRUCTION) {
        return false;
    }
    for (unsigned i = 0; i < 16; i++) {
        bool same = c->left[i] == e->gpr[i], seen = c->left[i] == 0;
        for (unsigned k = 0; k < i && !seen; k++) {
            seen = c->left[k] == c->left[i];
        }
        kept += same ? 1 : 0;
        telling += same && !seen ? 1 : 0;
    }
    return kept >= KEPT_ENOUGH && (e->rip != c->left_rip || telling >= TELLING_ENOUGH);
}

/* A virtual processor that was never entered before begins with the registers of one that left by a hypercall: only the
 * hypervisor can make it so. They are two trust levels of one guest. */
static u32 find_upper_level(const struct watch *w, const struct watch_entry *e)
{
    for (u32 i = 1; e->gpr != NULL && i <= w->control_count; i++) {
        const struct control *c = &w->controls[i];
        if (c->left_by_call && c->guest != 0 && is_handed_over(c->left, e->gpr, DISTINCT_ENOUGH)) {
            return i;
        }
    }
    return 0;
}

bool watch_is_related(const struct watch *w, u32 a, u32 b)
{
    a = watch_partition(w, a);
    b = watch_partition(w, b);
    for (u32 g = a; g != 0; g = watch_partition(w, w->guests[g].parent)) {
        if (g == b) {
            return true;
        }
    }
    for (u32 g = b; g != 0; g = watch_partition(w, w->guests[g].parent)) {
        if (g == a) {
            return true;
        }
    }
    return a == 0 || b == 0;
}

/* The guest of a virtual processor: that of its tables, if they are known. */
static void place_control(struct watch *w, u32 control, u32 root, const struct watch_entry *e, u32 parent,
                          u64 position)
{
    struct control *c = &w->controls[control];
    u32 of_root = root != 0 ? w->roots[root].guest : 0;
    if (c->guest == 0 || (of_root != 0 && of_root != c->guest)) {
        c->guest = of_root != 0 ? of_root : new_guest(w, e, parent, position);
        w->guests[c->guest].controls++;
    }
    if (root != 0) {
        w->roots[root].guest = c->guest;
    }
    c->root = root;
}

/* ---- entries and exits ---- */

static u32 root_of_entry(struct watch *w, u32 control, const struct watch_entry *e, bool *is_new)
{
    *is_new = false;
    if (!e->nested) {
        return 0;
    }
    u32 root = watch_root_find(w, &e->tables, WATCH_R | WATCH_W | WATCH_X, false);
    struct root *r = &w->roots[root];
    if (r->live && r->in_use == 0 && r->mapped == 0 && r->guest != 0 &&
        (control == 0 || w->controls[control].root != root)) {
        watch_root_drop(w, root); /* emptied, and now somebody else's: its page was used again */
        *r = (struct root){.tables = e->tables, .rights = r->rights};
    }
    *is_new = !r->live;
    return root;
}

static void refresh_routes(struct watch *w)
{
    if (w->routes_stale && !w->in_routes) {
        w->routes_stale = false;
        w->in_routes = true;
        w->host.routes(w->host.self, w);
        w->in_routes = false;
    }
}

/* Two levels of one guest, one entered with the other's registers: the same virtual processor. */
static void link_levels(struct watch *w, unsigned cpu, u32 control, const struct watch_entry *e)
{
    struct control *to = &w->controls[control];
    u32 last = w->cpu[cpu].left_control;
    const struct control *from = &w->controls[last];
    if (last == 0 || last == control || e->gpr == NULL || from->guest == to->guest ||
        watch_partition(w, from->guest) != watch_partition(w, to->guest) || !is_handed_over(from->left, e->gpr, DISTINCT_WITHIN)) {
        return;
    }
    w->handovers++;
    to->peer = last;
    w->controls[last].peer = control;
}

void watch_entered(struct watch *w, unsigned cpu, const struct watch_entry *e)
{
    struct cpu_watch *c = &w->cpu[cpu];
    struct watch_moment m;
    bool build;
    watch_settle(w);
    refresh_routes(w);
    watch_claims_due(w, cpu);
    w->host.now(w->host.self, &m);
    u32 control = find_control(w, e, cpu);
    u32 parent = c->entry_from != 0 ? w->controls[c->entry_from].guest : 0; /* of a guest that is new */
    if (control == 0) {
        if (w->control_count + 1 >= w->control_cap) {
            w->controls = grow(w->controls, &w->control_cap, sizeof *w->controls);
        }
        control = ++w->control_count;
        w->controls[control] = (struct control){.kind = e->kind, .address = e->control};
    }
    u32 root = root_of_entry(w, control, e, &build);
    struct control *k = &w->controls[control];
    if (k->guest != 0 && k->root != 0 && root != 0 && k->root != root && build && w->roots[k->root].mapped == 0 &&
        !goes_on(k, e)) {
        k->guest = 0; /* its guest has lost its memory: the page is used again */
        k->peer = 0;
        k->child_due = false;
    }
    u32 upper = k->guest == 0 ? find_upper_level(w, e) : 0;
    place_control(w, control, root, e, parent, m.position);
    k = &w->controls[control];
    if (upper != 0 && w->controls[upper].guest != k->guest && w->guests[k->guest].controls == 1) {
        w->guests[k->guest].level_of = w->controls[upper].guest;
        log_line(w->log, LOG_WATCH, "guest %u is a lower trust level of guest %u: its registers were handed over",
                 k->guest, w->controls[upper].guest);
    }
    link_levels(w, cpu, control, e);
    k->left_by_call = false;
    c->control = control;
    c->root = root;
    c->guest = w->controls[control].guest;
    c->entry_from = 0;
    w->guests[c->guest].entries++;
    if (root != 0) {
        w->roots[root].in_use++;
        watch_begin_work(w, &m);
        if (build) {
            watch_root_build(w, root, &m);
        }
        watch_root_used(w, root);
        watch_end_work(w);
    }
    if (c->guest != c->last_guest) {
        trace_level(w->trace, cpu, c->guest, w->guests[c->guest].parent, e->control,
                    e->nested ? e->tables.table : 0);
        c->last_guest = c->guest;
    }
    if (!w->guests[c->guest].claimed && w->named_vp_count != 0) {
        watch_claims_name(w, c->guest, e->control);
    }
    if (e->gpr != NULL) {
        watch_call_returns(w, cpu, e->gpr, e->rip);
    }
}

void watch_left(struct watch *w, unsigned cpu, const struct watch_exit *x)
{
    struct cpu_watch *c = &w->cpu[cpu];
    if (c->guest == 0) {
        return;
    }
    watch_settle(w);
    if (x->gpr != NULL && c->control != 0) {
        struct control *k = &w->controls[c->control];
        memcpy(k->left, x->gpr, sizeof k->left);
        k->left_rip = x->rip;
        k->has_left = true;
        k->left_by_call = x->cause == WATCH_CAUSE_HYPERCALL;
        c->left_control = c->control;
    }
    if (x->cause == WATCH_CAUSE_HYPERCALL || x->cause == WATCH_CAUSE_CPUID || x->cause == WATCH_CAUSE_MSR_WRITE) {
        watch_call_made(w, cpu, x);
    }
    c->entry_from = x->cause == WATCH_CAUSE_ENTRY ? c->control : 0;
    if (c->root != 0 && w->roots[c->root].in_use > 0) {
        w->roots[c->root].in_use--;
    }
    c->guest = 0;
    c->root = 0;
}

/* ---- devices ---- */

void watch_routes_changed(struct watch *w)
{
    w->routes_stale = true;
    watch_settle(w);
    refresh_routes(w);
}

static struct device_watch *find_device(struct watch *w, u16 requester)
{
    for (unsigned i = 0; i < w->device_count; i++) {
        if (w->devices[i].requester == requester) {
            return &w->devices[i];
        }
    }
    if (w->device_count == ARRAY_LEN(w->devices)) {
        return NULL;
    }
    w->devices[w->device_count] = (struct device_watch){.requester = requester};
    return &w->devices[w->device_count++];
}

static void detach(struct watch *w, struct device_watch *d)
{
    struct root *r = &w->roots[d->root];
    if (d->root != 0 && --r->in_use == 0) {
        watch_root_drop(w, d->root);
    }
    d->root = 0;
}

void watch_device(struct watch *w, u16 requester, const struct watch_route *route)
{
    struct device_watch *d = find_device(w, requester);
    if (d == NULL) {
        return;
    }
    for (unsigned i = 0; i < route->used_count; i++) {
        u64 frame;
        u8 *host;
        bool writable;
        if (phys_page(w->phys, SPA(route->used[i]), &frame, &host, &writable)) {
            w->frames[frame].routes = true;
            watch_mark_page(w, frame);
        }
    }
    bool has_tables = route->kind == WATCH_ROUTE_TABLES;
    bool direct = route->kind == WATCH_ROUTE_DIRECT;
    u32 root = has_tables ? watch_root_find(w, &route->tables, route->rights, true) : 0;
    if (d->known && d->root == root && d->direct == direct) {
        return;
    }
    if (d->root != root) {
        struct watch_moment m;
        w->host.now(w->host.self, &m);
        detach(w, d);
        d->root = root;
        if (root != 0) {
            struct root *r = &w->roots[root];
            if (r->in_use++ == 0) {
                r->requester = requester;
            }
            watch_begin_work(w, &m);
            if (!r->live) {
                watch_root_build(w, root, &m);
            }
            watch_root_used(w, root);
            watch_end_work(w);
        }
    }
    d->direct = direct;
    d->known = true;
    trace_device_route(w->trace, TRACE_NO_CPU, requester, direct ? 1 : has_tables ? 2 : 0,
                       has_tables ? route->tables.table : 0, has_tables ? route->rights : 0);
}

/* ---- questions ---- */

const struct watch_guest *watch_guest(const struct watch *w, u32 id)
{
    return id >= 1 && id <= w->guest_count ? &w->guests[id] : NULL;
}

u32 watch_guest_count(const struct watch *w)
{
    return w->guest_count;
}

u32 watch_running(const struct watch *w, unsigned cpu)
{
    return w->cpu[cpu].guest;
}

u64 watch_reach(struct watch *w, u32 guest, u8 rights)
{
    u64 most = 0;
    unsigned which = (rights & WATCH_W) != 0 ? 1 : (rights & WATCH_X) != 0 ? 2 : 0;
    watch_settle(w);
    /* Roots of one guest map much the same memory: the largest says how much. */
    for (u32 i = 1; i <= w->root_count; i++) {
        const struct root *r = &w->roots[i];
        if (r->live && !r->device && r->guest == guest && r->reach[which] > most) {
            most = r->reach[which];
        }
    }
    return most;
}

static void print_guest(struct watch *w, FILE *out, const struct watch_guest *g, unsigned depth)
{
    (void)fprintf(out, "%*sguest %u: %s %#llx, %u virtual processor%s, since position %llu, %llu entries, "
                  "%llu hypercalls, reaches %llu pages (%llu to write; %llu at most)",
                  (int)(2 * depth), "", g->id, g->kind == WATCH_VMX ? "VMCS" : "VMCB",
                  (unsigned long long)g->control, g->controls, g->controls == 1 ? "" : "s",
                  (unsigned long long)g->since, (unsigned long long)g->entries,
                  (unsigned long long)g->hypercalls, (unsigned long long)watch_reach(w, g->id, WATCH_R),
                  (unsigned long long)watch_reach(w, g->id, WATCH_W), (unsigned long long)g->most);
    if (g->level_of != 0) {
        (void)fprintf(out, ", a lower trust level of guest %u", g->level_of);
    }
    for (enum watch_abi abi = WATCH_ABI_KVM; abi <= WATCH_ABI_OTHER; abi++) {
        if ((g->abis >> abi & 1) != 0) {
            (void)fprintf(out, ", %s", watch_abi_name(abi));
        }
    }
    if (g->claimed) {
        (void)fprintf(out, ", by its own name partition %llu%s%s%s VTL %llu", (unsigned long long)g->partition,
                      g->partition_name[0] != '\0' ? " \"" : "", g->partition_name, g->partition_name[0] != '\0' ? "\"" : "",
                      (unsigned long long)g->vtl);
    }
    (void)fprintf(out, g->name[0] != '\0' ? " (%s)\n" : "%s\n", g->name);
    for (u32 i = 1; i <= w->root_count; i++) {
        const struct root *r = &w->roots[i];
        if (r->live && !r->device && r->guest == g->id && r->mapped != 0) {
            (void)fprintf(out, "%*stables %#llx: %llu pages (%llu to write)\n", (int)(2 * depth + 2), "",
                          (unsigned long long)r->tables.table, (unsigned long long)r->reach[0],
                          (unsigned long long)r->reach[1]);
        }
    }
    for (u32 i = g->id + 1; i <= w->guest_count; i++) {
        if (w->guests[i].parent == g->id) {
            print_guest(w, out, &w->guests[i], depth + 1);
        }
    }
}

void watch_print(struct watch *w, FILE *out)
{
    watch_settle(w);
    for (u32 i = 1; i <= w->guest_count; i++) {
        if (w->guests[i].parent == 0) {
            print_guest(w, out, &w->guests[i], 0);
        }
    }
    for (unsigned i = 0; i < w->device_count; i++) {
        const struct device_watch *d = &w->devices[i];
        const struct root *r = d->root != 0 ? &w->roots[d->root] : NULL;
        (void)fprintf(out, "device %02x:%02x.%x: ", (unsigned)d->requester >> 8,
                      (unsigned)(d->requester >> 3 & 31), (unsigned)(d->requester & 7));
        if (r != NULL) {
            (void)fprintf(out, "tables at %#llx, reaches %llu pages (%llu to write)",
                          (unsigned long long)r->tables.table, (unsigned long long)r->reach[0],
                          (unsigned long long)r->reach[1]);
            (void)fprintf(out, r->of_host ? ", the host's\n" : r->guest != 0 ? ", guest %u's\n" : "\n", r->guest);
        } else {
            (void)fprintf(out, "%s\n", d->direct ? "reaches everything" : "reaches nothing");
        }
    }
    watch_print_calls(w, out);
    watch_claims_print(w, out);
    watch_print_shares(w, out);
    (void)fprintf(out, "pages shared by strangers: %llu, and %llu that not both have used",
                  (unsigned long long)w->share_confirmed, (unsigned long long)w->share_open);
    if (w->share_declared[WATCH_REASON_GRANT] != 0) {
        (void)fprintf(out, "; granted: %llu", (unsigned long long)w->share_declared[WATCH_REASON_GRANT]);
    }
    (void)fprintf(out, "\n");
    watch_print_declared(w, out);
}
