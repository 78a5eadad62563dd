/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counts what a report shows. Levels: the host's side is L0; a guest that is entered is L1, unless it is entered
 * for an exit by which another guest wanted to enter one (VMRUN, VMLAUNCH, VMRESUME): then it is a level above
 * that one. */
#include "traces/report_priv.h"

#include "abi/x86/svm.h"
#include "abi/x86/vmx.h"
#include "cpu/event.h"
#include "mmu/phys.h"

#include <stdio.h>
#include <string.h>

#define NO_VCPU (~0u)

void report_measure(struct report *p, const struct trace_record *r)
{
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
    c->since_ns = until > c->since_ns ? until : c->since_ns;
}

static void switch_mode(struct report *p, const struct trace_record *r, unsigned mode)
{
    spend(p, r->cpu, r->time.ns);
    p->cpus[r->cpu].mode = mode;
    p->cpus[r->cpu].since_position = r->position.n;
}

/* ---- Guests ---- */

static unsigned find_guest(struct report *p, u64 root, unsigned level)
{
    for (unsigned i = 0; i < p->guest_count; i++) {
        if (p->guests[i].root == root && p->guests[i].level == level) {
            return i;
        }
    }
    if (p->guest_count == REPORT_GUESTS) {
        p->left_out++;
        return REPORT_GUESTS - 1;
    }
    p->guests[p->guest_count] = (struct report_guest){.root = root, .level = level};
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
    p->vcpus[p->vcpu_count] = (struct report_vcpu){.vcpu = vcpu, .level = 1};
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
    find_reason(p, r->args[0])->count++;
    switch_mode(p, r, 0);
    c->vcpu = find_vcpu(p, r->args[4]);
    c->exit_reason = r->args[0];
    c->in_exit = true;
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
        if (wanted_to_enter(c->exit_reason) && c->vcpu != n) {
            v->level = p->vcpus[c->vcpu].level + 1;
        }
    }
    /* Without second-level tables a virtual processor is a guest of its own. */
    u64 root = r->args[2] != 0 ? r->args[2] & ~(u64)PAGE_MASK : r->args[0];
    v->guest = find_guest(p, root, v->level);
    p->guests[v->guest].entries++;
    switch_mode(p, r, 1 + v->guest);
    c->vcpu = n;
    c->in_exit = false;
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

static void take_call(struct report *p, const struct trace_record *r)
{
    unsigned n = find_vcpu(p, r->args[2]), call = find_call(p, r), waits = NO_VCPU;
    for (unsigned i = 0; i < p->vcpu_count; i++) { /* whoever called last and still waits */
        if (i != n && p->vcpus[i].calling && (waits == NO_VCPU || p->vcpus[i].order > p->vcpus[waits].order)) {
            waits = i;
        }
    }
    if (waits != NO_VCPU) {
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

/* Half a tenth of what follows the first guest, so that one sees it begin. */
static void begin_timeline(struct report *p)
{
    u64 lead = p->last_ns > p->first_ns ? (p->last_ns - p->first_ns) / 20 : 0;
    p->first_ns = p->counts[TRACE_EVENT_vm_entry] > 0 && p->first_ns > lead ? p->first_ns - lead : 0;
    p->begun = true;
}

void report_take(struct report *p, const struct trace_record *r)
{
    if (!p->begun) {
        begin_timeline(p);
    }
    if (r->event == TRACE_EVENT_owner_change) {
        take_owner(p, r);
    }
    if (r->cpu >= REPORT_CPUS) {
        return;
    }
    if (!p->cpus[r->cpu].seen) {
        p->cpus[r->cpu].seen = true;
        p->cpus[r->cpu].vcpu = NO_VCPU;
    }
    switch (r->event) {
    case TRACE_EVENT_vm_exit:
        take_exit(p, r);
        if (r->args[0] == EXIT_EXTERNAL_INTERRUPT && (r->args[2] & INTR_VALID) != 0) {
            take_delivery(p, r, r->args[2]);
        }
        break;
    case TRACE_EVENT_vm_entry:
        take_entry(p, r);
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
