/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counts what a report shows. Levels: the host's side is L0; a guest that is entered is L1, unless it is entered
 * for an exit by which another guest wanted to enter one (VMRUN, VMLAUNCH, VMRESUME): then it is a level above
 * that one. */
#include "traces/report_priv.h"

#include "abi/trace_port.h"
#include "abi/x86/svm.h"
#include "abi/x86/vmx.h"
#include "base/bytes.h"
#include "cpu/event.h"
#include "mmu/phys.h"
#include "watch/watch.h"

#include <stdio.h>
#include <string.h>

#define NO_VCPU (~0u)

void report_measure(struct report *p, const struct trace_record *r)
{
    p->begin_ns = p->records == 0 && p->goes_on ? r->time.ns : p->begin_ns;
    p->records++;
    p->counts[r->event]++;
    p->last_ns = r->time.ns > p->last_ns ? r->time.ns : p->last_ns;
    p->last_position = r->position.n > p->last_position ? r->position.n : p->last_position;
    if (r->event == TRACE_EVENT_vm_entry && p->counts[r->event] == 1) {
        p->first_ns = r->time.ns;
    }
    if (r->event == TRACE_EVENT_stop) {
        p->has_stop = true;
        p->stop = *r;
    }
    if ((r->event == TRACE_EVENT_reach_gain || r->event == TRACE_EVENT_reach_loss) && r->args[2] != 0 && (r->args[3] & 1) != 0) {
        u64 pages = (r->args[1] >> PAGE_SHIFT) - (r->args[0] >> PAGE_SHIFT) + 1;
        bool gain = r->event == TRACE_EVENT_reach_gain;
        p->reached = gain ? p->reached + pages : p->reached - (pages < p->reached ? pages : p->reached);
        if (p->reached > p->most_reached) {
            p->most_reached = p->reached;
            p->most_reached_record = p->records;
        }
        u64 end = (r->args[1] >> PAGE_SHIFT) + 1;
        p->page_count = end > p->page_count && end <= REPORT_PAGES ? end : p->page_count;
    }
}

/* ---- The timeline ---- */

static double column_ns(const struct report *p)
{
    return (double)(p->last_ns > p->first_ns ? p->last_ns - p->first_ns : 1) / REPORT_BUCKETS;
}

static unsigned bucket_of(const struct report *p, u64 ns)
{
    double column = (double)(ns - p->first_ns) / column_ns(p);
    return column < REPORT_BUCKETS ? (unsigned)column : REPORT_BUCKETS - 1;
}

static void spend(struct report *p, unsigned cpu, u64 until)
{
    struct report_cpu *c = &p->cpus[cpu];
    if (p->shares == NULL) { /* only following */
        return;
    }
    double width = column_ns(p);
    u64 since = c->since_ns > p->first_ns ? c->since_ns : p->first_ns;
    if (c->seen && until > since) {
        unsigned first = bucket_of(p, since), last = bucket_of(p, until);
        for (unsigned b = first; b <= last; b++) {
            double from = b == first ? (double)(since - p->first_ns) : b * width;
            double to = b == last ? (double)(until - p->first_ns) : (b + 1) * width;
            u32 part = to > from ? (u32)((to - from) / width * 1000) : 0;
            *report_share(p, cpu, c->mode, b) += part;
        }
    }
    if (c->seen && until > c->since_ns) {
        *(c->mode == 0 ? &p->host_ns : &p->guests[c->mode - 1].ns) += until - c->since_ns;
    }
    c->since_ns = until > c->since_ns ? until : c->since_ns;
}

static void switch_mode(struct report *p, const struct trace_record *r, unsigned mode)
{
    spend(p, r->cpu, r->time.ns);
    p->cpus[r->cpu].mode = mode;
    p->cpus[r->cpu].since_position = r->position.n;
}

/* ---- Guests ---- */

static unsigned add_guest(struct report *p, const struct report_guest *g)
{
    if (p->guest_count == REPORT_GUESTS) {
        p->left_out++;
        return REPORT_GUESTS - 1;
    }
    p->guests[p->guest_count] = *g;
    return p->guest_count++;
}

static unsigned find_vcpu(struct report *p, u64 vcpu)
{
    for (unsigned i = 0; i < p->vcpu_count; i++) {
        if (p->vcpus[i].vcpu == vcpu) {
            return i;
        }
    }
    if (p->vcpu_count == REPORT_VCPUS) {
        p->left_out++;
        return REPORT_VCPUS - 1;
    }
    p->vcpus[p->vcpu_count] = (struct report_vcpu){.vcpu = vcpu};
    return p->vcpu_count++;
}

static bool wanted_to_enter(u64 reason)
{
    return reason == EXIT_VMLAUNCH || reason == EXIT_VMRESUME || reason == (TRACE_EXIT_SVM | SVM_EXIT_VMRUN);
}

static struct report_reason *find_reason(struct report *p, u64 reason)
{
    for (unsigned i = 0; i < p->reason_count; i++) {
        if (p->reasons[i].reason == reason) {
            return &p->reasons[i];
        }
    }
    if (p->reason_count == REPORT_REASONS) {
        p->left_out++;
        return &p->reasons[REPORT_REASONS - 1];
    }
    p->reasons[p->reason_count] = (struct report_reason){.reason = reason};
    return &p->reasons[p->reason_count++];
}

static void take_exit(struct report *p, const struct trace_record *r)
{
    struct report_cpu *c = &p->cpus[r->cpu];
    struct report_reason *reason = find_reason(p, r->args[0]);
    switch_mode(p, r, 0);
    c->vcpu = find_vcpu(p, r->args[4]);
    c->exit_reason = r->args[0];
    c->in_exit = true;
    struct report_vcpu *v = &p->vcpus[c->vcpu];
    unsigned level = v->entered ? p->guests[v->guest].level : 1;
    v->exit_rip = r->args[3];
    reason->count++;
    reason->by_level[(level < REPORT_LEVELS ? level : REPORT_LEVELS) - 1]++;
}

#define LONGEST_INSTRUCTION 15u

/* Which guest a virtual processor is of, when it is entered. Hypervisors use the pages of control blocks and roots
 * again for other guests, and give a guest new roots: a virtual processor that goes on where it left is the same guest. */
static unsigned guest_of(struct report *p, const struct report_cpu *c, unsigned n, u64 root, const struct trace_record *r)
{
    const struct report_vcpu *v = &p->vcpus[n], *from = c->in_exit ? &p->vcpus[c->vcpu] : NULL;
    bool goes_on = from == v && v->entered && r->args[1] - v->exit_rip <= LONGEST_INSTRUCTION;
    if (v->entered && (v->root == root || goes_on)) {
        return v->guest;
    }
    struct report_guest g = {.root = root, .level = 1, .first_at = r->position.n};
    if (from != NULL && from != v && from->entered && wanted_to_enter(c->exit_reason) && from->root != root) {
        g.level = p->guests[from->guest].level + 1;
        g.parent = 1 + from->guest;
    } else {
        for (unsigned i = 0; i < p->vcpu_count; i++) { /* another virtual processor of a guest that is known */
            if (p->vcpus[i].entered && p->vcpus[i].root == root) {
                return p->vcpus[i].guest;
            }
        }
    }
    for (unsigned i = p->guest_count; i-- > 0;) {
        if (p->guests[i].root == root && p->guests[i].level == g.level && p->guests[i].parent == g.parent) {
            return i;
        }
    }
    return add_guest(p, &g);
}

static void take_entry(struct report *p, const struct trace_record *r)
{
    struct report_cpu *c = &p->cpus[r->cpu];
    unsigned n = find_vcpu(p, r->args[0]);
    struct report_vcpu *v = &p->vcpus[n];
    if (c->in_exit) {
        struct report_reason *reason = find_reason(p, c->exit_reason);
        u64 spent = r->position.n - c->since_position;
        reason->positions += spent;
        if (spent >= reason->most) {
            reason->most = spent;
            reason->most_at = c->since_position;
        }
    }
    /* Without second-level tables a virtual processor is a guest of its own. */
    u64 root = r->args[2] != 0 ? r->args[2] & ~(u64)PAGE_MASK : r->args[0];
    v->guest = c->watched != 0                                      ? c->watched - 1
               : p->counts[TRACE_EVENT_guest_found] > 0 && p->guest_count > 0 ? p->guest_count - 1
                                                                    : guest_of(p, c, n, root, r);
    v->root = root;
    v->entered = true;
    p->guests[v->guest].entries++;
    switch_mode(p, r, 1 + v->guest);
    c->vcpu = n;
    c->in_exit = false;
}

/* With --watch the tracker knows better than what this file can find out. */
static void take_found(struct report *p, const struct trace_record *r)
{
    u64 id = r->args[0], parent = r->args[1];
    p->counts[r->event] += p->counts[r->event] == 0 ? 1 : 0; /* where nobody has counted */
    if (parent >= id || id > p->guest_count + 1 || (id <= p->guest_count && id != 1)) {
        p->left_out++;
        return;
    }
    const struct report_guest g = {.root = r->args[3] != 0 ? r->args[3] : r->args[2],
                                   .level = parent != 0 ? p->guests[parent - 1].level + 1 : 1,
                                   .parent = (unsigned)parent,
                                   .first_at = r->position.n};
    if (id > p->guest_count) {
        (void)add_guest(p, &g);
    } /* else the first one, whose entry came before this event */
}

/* It comes before or after the entry that made it so. */
static void take_level(struct report *p, const struct trace_record *r)
{
    struct report_cpu *c = &p->cpus[r->cpu];
    u64 id = r->args[0];
    if (id == 0 || id > p->guest_count) {
        return;
    }
    c->watched = (unsigned)id;
    if (c->mode != 0 && c->mode != id && c->just_entered) {
        p->guests[c->mode - 1].entries -= p->guests[c->mode - 1].entries > 0 ? 1 : 0;
        p->guests[id - 1].entries++;
        p->vcpus[c->vcpu].guest = (unsigned)id - 1;
        c->mode = (unsigned)id;
    }
}

/* ---- Hypercalls ---- */

static unsigned find_call(struct report *p, const struct trace_record *r)
{
    for (unsigned i = 0; i < p->call_count; i++) {
        if (p->calls[i].interface == r->args[0] && p->calls[i].number == r->args[1]) {
            return i;
        }
    }
    if (p->call_count == REPORT_CALLS) {
        p->left_out++;
        return REPORT_CALLS - 1;
    }
    p->calls[p->call_count] =
        (struct report_call){.interface = r->args[0], .number = r->args[1], .first_at = r->position.n};
    return p->call_count++;
}

static void add_child(struct report *p, unsigned parent, unsigned child, u64 at)
{
    for (unsigned i = 0; i < p->child_count; i++) {
        if (p->children[i].parent == parent && p->children[i].child == child) {
            p->children[i].count++;
            return;
        }
    }
    if (p->child_count == REPORT_CHILDREN) {
        p->left_out++;
        return;
    }
    p->children[p->child_count++] =
        (struct report_child){.parent = parent, .child = child, .count = 1, .first_at = at};
}

/* Hyper-V's calls by which a virtual processor changes its trust level wait for no answer. */
static bool only_switches(const struct report_call *c)
{
    return c->interface == TRACE_INTERFACE_HYPERV && (c->number == 0x11 || c->number == 0x12);
}

static void take_call(struct report *p, const struct trace_record *r)
{
    unsigned n = find_vcpu(p, r->args[2]), call = find_call(p, r), waits = NO_VCPU;
    for (unsigned i = 0; i < p->vcpu_count; i++) { /* whoever called last and still waits */
        if (i != n && p->vcpus[i].calling && (waits == NO_VCPU || p->vcpus[i].order > p->vcpus[waits].order)) {
            waits = i;
        }
    }
    if (waits != NO_VCPU && !only_switches(&p->calls[p->vcpus[waits].call]) && !only_switches(&p->calls[call])) {
        add_child(p, p->vcpus[waits].call, call, r->position.n);
    }
    p->calls[call].count++;
    p->vcpus[n].calling = true;
    p->vcpus[n].call = call;
    p->vcpus[n].since = r->position.n;
    p->vcpus[n].order = ++p->order;
}

static void take_call_done(struct report *p, const struct trace_record *r)
{
    struct report_vcpu *v = &p->vcpus[find_vcpu(p, r->args[2])];
    if (!v->calling) {
        return;
    }
    struct report_call *c = &p->calls[v->call];
    u64 spent = r->position.n - v->since;
    v->calling = false;
    c->done++;
    c->positions += spent;
    c->result = r->args[3];
    if (spent >= c->most) {
        c->most = spent;
        c->most_at = v->since;
    }
}

/* ---- Interrupts, memory ---- */

static void take_delivery(struct report *p, const struct trace_record *r, u64 vector)
{
    struct report_latency *l = &p->latency[vector & 0xff];
    u64 raised = l->raised[r->cpu];
    l->raised[r->cpu] = 0;
    if (raised == 0 || r->time.ns + 1 < raised) {
        return;
    }
    u64 took = r->time.ns + 1 - raised;
    l->least = l->count == 0 || took < l->least ? took : l->least;
    if (l->count == 0 || took > l->most) {
        l->most = took;
        l->most_at = r->position.n;
    }
    l->sum += took;
    l->count++;
}

static void take_owner(struct report *p, const struct trace_record *r)
{
    unsigned i = 0;
    while (i < p->owner_count && (p->owners[i].first != r->args[0] || p->owners[i].last != r->args[1])) {
        i++;
    }
    if (i == REPORT_OWNERS) {
        p->left_out++;
        return;
    }
    p->owner_count = i == p->owner_count ? i + 1 : p->owner_count;
    struct report_owner *o = &p->owners[i];
    *o = (struct report_owner){.first = r->args[0],
                               .last = r->args[1],
                               .owner = r->args[2],
                               .level = r->args[3],
                               .rights = r->args[4],
                               .at = r->position.n};
    (void)snprintf(o->name, sizeof o->name, "%.*s", (int)r->size, (const char *)r->payload);
}

/* ---- Memory while guests run ---- */

static void set_reach(struct report_page *page, u8 guest, bool gain)
{
    if (!gain) {
        if (page->guest[1] == guest) {
            page->guest[1] = 0;
        } else if (page->guest[0] == guest) {
            page->guest[0] = page->guest[1];
            page->guest[1] = 0;
        }
    } else if (page->guest[0] == 0 || page->guest[0] == guest) {
        page->guest[0] = guest;
    } else {
        page->guest[1] = guest;
    }
}

static void take_reach(struct report *p, const struct trace_record *r)
{
    u64 guest = r->args[2];
    if (p->pages == NULL || guest == 0 || guest > 255 || (r->args[3] & 1) == 0) {
        return;
    }
    for (u64 page = r->args[0] >> PAGE_SHIFT; page <= r->args[1] >> PAGE_SHIFT && page < p->page_count; page++) {
        set_reach(&p->pages[page], (u8)guest, r->event == TRACE_EVENT_reach_gain);
    }
}

/* The map as it is now. */
static void keep_peak(struct report *p, u64 position)
{
    p->peak_at = position;
    for (u64 from = 0, at = 1; at <= p->page_count; at++) {
        const struct report_page *a = &p->pages[from];
        if (at < p->page_count && memcmp(a, &p->pages[at], sizeof *a) == 0) {
            continue;
        }
        if (p->peak_count == REPORT_OWNERS) {
            p->left_out++;
            return;
        }
        struct report_owner *o = &p->peak[p->peak_count++];
        *o = (struct report_owner){.first = from << PAGE_SHIFT, .last = (at << PAGE_SHIFT) - 1, .owner = a->guest[0], .at = position};
        if (a->guest[0] == 0) {
            (void)snprintf(o->name, sizeof o->name, "the host alone");
        } else if (a->guest[1] == 0) {
            (void)snprintf(o->name, sizeof o->name, "guest %u", a->guest[0]);
        } else {
            (void)snprintf(o->name, sizeof o->name, "guests %u and %u", a->guest[0], a->guest[1]);
            o->owner = a->guest[1];
        }
        from = at;
    }
}

/* Half a tenth of what follows the first guest, so that one sees it begin. */
static void begin_timeline(struct report *p)
{
    u64 lead = p->last_ns > p->first_ns ? (p->last_ns - p->first_ns) / 20 : 0;
    p->first_ns = p->counts[TRACE_EVENT_vm_entry] > 0 && p->first_ns > lead ? p->first_ns - lead : 0;
    p->begun = true;
}

void report_follow(struct report *p, const struct trace_record *r)
{
    if (r->event == TRACE_EVENT_guest_found) {
        take_found(p, r);
    }
    if (r->cpu >= REPORT_CPUS) {
        return;
    }
    if (!p->cpus[r->cpu].seen) {
        p->cpus[r->cpu].seen = true;
        p->cpus[r->cpu].since_ns = p->begin_ns;
        p->cpus[r->cpu].vcpu = NO_VCPU;
    }
    if (r->event == TRACE_EVENT_vm_entry || r->event == TRACE_EVENT_vm_exit) {
        p->cpus[r->cpu].just_entered = r->event == TRACE_EVENT_vm_entry;
    }
    if (r->event == TRACE_EVENT_vm_exit) {
        take_exit(p, r);
    } else if (r->event == TRACE_EVENT_vm_entry) {
        take_entry(p, r);
    } else if (r->event == TRACE_EVENT_level) {
        take_level(p, r);
    }
}

unsigned report_guest_of(const struct report *p, u32 cpu)
{
    const struct report_cpu *c = cpu < REPORT_CPUS ? &p->cpus[cpu] : NULL;
    if (c == NULL || !c->seen) {
        return 0;
    }
    return c->mode != 0 ? c->mode : c->in_exit && p->vcpus[c->vcpu].entered ? p->vcpus[c->vcpu].guest + 1 : 0;
}

/* ---- The trace port ---- */

static u64 field_of(const struct trace_record *r, unsigned n) { return r->size >= 8 * (n + 1) ? load_le64(r->payload + 8 * (size_t)n) : 0; }

/* Names are taken from those only who may give them. */
static void take_claim(struct report *p, const struct trace_record *r)
{
    u64 type = r->args[0], verdict = r->args[1];
    if (type >= REPORT_CLAIMS || verdict >= REPORT_VERDICTS) {
        p->left_out++;
        return;
    }
    p->claims[type][verdict]++;
    if (verdict == WATCH_CLAIM_REFUSED) {
        return;
    }
    if (type == CLAIM_vp_named && p->named_count < REPORT_VCPUS) {
        p->named[p->named_count++] =
            (struct report_named){.partition = field_of(r, 0), .vtl = field_of(r, 2), .control = field_of(r, 3)};
    } else if (type == CLAIM_partition_named && p->partition_count < REPORT_GUESTS && r->size >= 8) {
        struct report_partition *n = &p->partitions[p->partition_count++];
        n->partition = field_of(r, 0);
        (void)snprintf(n->name, sizeof n->name, "%.*s", (int)(r->size - 8), (const char *)r->payload + 8);
    }
}

/* The newest name of a virtual processor is that of the guest that it enters now. */
static void name_guest(struct report *p, struct report_guest *g, u64 control)
{
    for (unsigned i = p->named_count; i-- > 0 && g->name[0] == '\0';) {
        const struct report_named *n = &p->named[i];
        const char *text = "";
        for (unsigned k = 0; k < p->partition_count && n->control == control; k++) {
            text = p->partitions[k].partition == n->partition ? p->partitions[k].name : text;
        }
        if (n->control == control) {
            (void)snprintf(g->name, sizeof g->name, "%s%spartition %llu VTL %llu", text, text[0] != '\0' ? ", " : "",
                           (unsigned long long)n->partition, (unsigned long long)n->vtl);
        }
    }
}

void report_take(struct report *p, const struct trace_record *r)
{
    if (!p->begun) {
        begin_timeline(p);
    }
    u64 *at = &p->position_at[r->time.ns >= p->first_ns ? bucket_of(p, r->time.ns) : 0];
    *at = *at == 0 || r->time.ns < p->first_ns ? r->position.n : *at;
    p->taken++;
    if (r->event == TRACE_EVENT_owner_change) {
        take_owner(p, r);
    }
    if (r->event == TRACE_EVENT_reach_gain || r->event == TRACE_EVENT_reach_loss) {
        take_reach(p, r);
        if (p->taken == p->most_reached_record && p->pages != NULL) {
            keep_peak(p, r->position.n);
        }
    }
    report_follow(p, r);
    if (r->cpu >= REPORT_CPUS) {
        return;
    }
    if (r->event == TRACE_EVENT_claim) {
        take_claim(p, r);
    } else if (r->event == TRACE_EVENT_vm_entry && p->cpus[r->cpu].mode != 0) {
        struct report_guest *g = &p->guests[p->cpus[r->cpu].mode - 1];
        if (g->name[0] == '\0') {
            name_guest(p, g, r->args[0]);
        }
    }
    switch (r->event) {
    case TRACE_EVENT_vm_exit:
        if (r->args[0] == EXIT_EXTERNAL_INTERRUPT && (r->args[2] & INTR_VALID) != 0) {
            take_delivery(p, r, r->args[2]);
        }
        break;
    case TRACE_EVENT_hypercall:
        take_call(p, r);
        break;
    case TRACE_EVENT_hypercall_done:
        take_call_done(p, r);
        break;
    case TRACE_EVENT_irq_raise:
        if (p->latency[r->args[0] & 0xff].raised[r->cpu] == 0) {
            p->latency[r->args[0] & 0xff].raised[r->cpu] = r->time.ns + 1;
        }
        break;
    case TRACE_EVENT_deliver:
        if (r->args[0] == EVENT_EXT_INT) {
            take_delivery(p, r, r->args[1]);
        }
        break;
    default:
        break;
    }
}

void report_end(struct report *p)
{
    for (unsigned i = 0; i < REPORT_CPUS; i++) {
        spend(p, i, p->last_ns);
    }
}
