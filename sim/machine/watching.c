/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What processors and the IOMMU do, told to the tracker in its words.
 *
 * A processor tells whenever its mode changed; what counts is whether it is in a guest, by which VMCS or
 * VMCB, and through which second-level tables. The registers at a hypercall are taken before the exit
 * replaces them. */
#include "machine/watching.h"

#include "abi/x86/svm.h"
#include "abi/x86/vmx.h"
#include "base/assert.h"
#include "cpu/virt.h"
#include "cpu/vmx/vmcs.h"
#include "devices/pci.h"
#include "trace/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seen {
    enum guest_mode guest;
    u64 control, table;
    bool leaving; /* the registers below are the guest's at its exit */
    u64 gpr[16];
    struct watch_exit exit;
};

struct watching {
    struct watch *tracker;
    enum violation_policy policy;
    u64 violations;
    struct seen cpu[CPU_MAX];
};

/* ---- what the tracker asks ---- */

static void withdraw(void *self, u64 frame)
{
    struct machine *m = self;
    tlb_withdraw_write(&m->set, frame);
}

static void now(void *self, struct watch_moment *moment)
{
    const struct machine *m = self;
    const struct cpu *cpu = m->clock.running != NULL ? m->clock.running_cpu : NULL;
    *moment = (struct watch_moment){0};
    moment->position = clock_position(&m->clock).n;
    moment->cpu = cpu != NULL ? cpu->index : WATCH_NO_CPU;
    moment->rip = cpu != NULL ? cpu->arch.rip : 0; /* while a guest is entered, that of VMLAUNCH or VMRUN */
}

static void to_tables(const struct iommu_route *r, struct watch_route *out)
{
    out->kind = WATCH_ROUTE_TABLES;
    out->tables.table = r->root;
    out->tables.levels = r->levels;
    switch (r->path) {
    case IOMMU_PATH_VTD_SL:
        out->tables.format = WATCH_VTD;
        return;
    case IOMMU_PATH_X86:
        out->tables.format = WATCH_X86;
        return;
    case IOMMU_PATH_AMD_HOST:
        out->tables.format = WATCH_AMD;
        return;
    case IOMMU_PATH_AMD_GUEST: /* the guest writes its own tables: the host's are the limit */
        out->tables.format = r->host_root != 0 ? WATCH_AMD : WATCH_X86;
        out->tables.table = r->host_root != 0 ? r->host_root : r->root;
        out->tables.levels = r->host_root != 0 ? r->host_levels : r->levels;
        return;
    case IOMMU_PATH_DIRECT:
        out->kind = WATCH_ROUTE_DIRECT;
        return;
    case IOMMU_PATH_BLOCKED:
        out->kind = WATCH_ROUTE_BLOCKED;
        return;
    }
}

static void routes(void *self, struct watch *w)
{
    struct machine *m = self;
    for (unsigned devfn = 0; m->iommu != NULL && devfn < 256; devfn++) {
        const struct pci_function *fn = pci_bus_function(m->pci, (u8)devfn);
        if (fn == NULL) {
            continue;
        }
        struct iommu_route r;
        struct watch_route out = {0};
        iommu_find_route(m->iommu, pci_requester(fn), &r);
        to_tables(&r, &out);
        out.rights = (u8)((r.read ? WATCH_R : 0u) | (r.write ? WATCH_W : 0u));
        out.used_count = r.used_count;
        for (unsigned i = 0; i < r.used_count; i++) {
            out.used[i] = r.used[i];
        }
        watch_device(w, pci_requester(fn), &out);
    }
}

static void violation(void *self, const struct watch_share *share)
{
    struct machine *m = self;
    UNUSED(share);
    m->watching->violations++;
    if (m->watching->policy == VIOLATION_STOP) {
        machine_request_stop(m, STOP_VIOLATION, 0);
    }
}

/* ---- what processors tell ---- */

static enum watch_cause cause_of(const struct cpu *cpu)
{
    if (cpu->arch.guest == GUEST_VMX) {
        switch (cpu->exit.reason & 0xffff) {
        case EXIT_VMCALL:
            return WATCH_CAUSE_HYPERCALL;
        case EXIT_VMLAUNCH:
        case EXIT_VMRESUME:
            return WATCH_CAUSE_ENTRY;
        case EXIT_CPUID:
            return WATCH_CAUSE_CPUID;
        case EXIT_WRMSR:
            return WATCH_CAUSE_MSR_WRITE;
        default:
            return WATCH_CAUSE_OTHER;
        }
    }
    switch (cpu->exit.reason) {
    case SVM_EXIT_VMMCALL:
        return WATCH_CAUSE_HYPERCALL;
    case SVM_EXIT_VMRUN:
        return WATCH_CAUSE_ENTRY;
    case SVM_EXIT_CPUID:
        return WATCH_CAUSE_CPUID;
    case SVM_EXIT_MSR:
        return cpu->exit.qualification == 1 ? WATCH_CAUSE_MSR_WRITE : WATCH_CAUSE_OTHER;
    default:
        return WATCH_CAUSE_OTHER;
    }
}

static void leaving(void *self, const struct cpu *cpu)
{
    struct machine *m = self;
    struct seen *s = &m->watching->cpu[cpu->index];
    s->leaving = true;
    for (unsigned i = 0; i < 16; i++) {
        s->gpr[i] = cpu->arch.gpr[i];
    }
    s->exit = (struct watch_exit){.cause = cause_of(cpu),
                                  .gpr = s->gpr,
                                  .rip = cpu->arch.rip,
                                  .code64 = cpu->d.code64,
                                  .cpl = cpu->d.cpl};
}

static bool to_entry(struct machine *m, const struct cpu *cpu, struct watch_entry *e)
{
    struct walk_root root = {0};
    bool vmx = cpu->arch.guest == GUEST_VMX;
    virt_walk_root(cpu, &root);
    *e = (struct watch_entry){.kind = vmx ? WATCH_VMX : WATCH_SVM,
                              .control = vmx ? cpu->arch.vmx.current : cpu->arch.svm.vmcb,
                              .nested = root.nested.kind != NESTED_NONE,
                              .gpr = cpu->arch.gpr,
                              /* RIP is that of VMLAUNCH or VMRUN until it is done */
                              .rip = vmx ? vmcs_read(m->set.cpu[cpu->index], VMCS_GUEST_RIP)
                                         : phys_read_scalar(&m->phys, SPA(cpu->arch.svm.vmcb + VMCB_rip), 8)};
    e->tables.table = root.nested.table;
    e->tables.format = root.nested.kind == NESTED_EPT ? WATCH_EPT : WATCH_X86;
    switch (root.nested.mode) {
    case PAGING_5LEVEL:
        e->tables.levels = 5;
        break;
    case PAGING_4LEVEL:
        e->tables.levels = 4;
        break;
    case PAGING_PAE:
        e->tables.levels = 3;
        e->tables.format = WATCH_PAE;
        break;
    case PAGING_32:
        e->tables.levels = 2;
        e->tables.format = WATCH_X86_32;
        break;
    case PAGING_NONE: /* nested paging with a host that has paging off: everything */
        e->nested = false;
        break;
    }
    return true;
}

static void mode_changed(void *self, const struct cpu *cpu)
{
    struct machine *m = self;
    struct seen *s = &m->watching->cpu[cpu->index];
    struct watch *w = m->watching->tracker;
    if (cpu->arch.guest == GUEST_NONE && s->guest == GUEST_NONE) {
        return;
    }
    struct watch_entry e = {0};
    if (cpu->arch.guest != GUEST_NONE) {
        (void)to_entry(m, cpu, &e);
        if (s->guest == cpu->arch.guest && s->control == e.control && s->table == e.tables.table) {
            return;
        }
    }
    if (s->guest != GUEST_NONE) {
        struct watch_exit other = {.cause = WATCH_CAUSE_OTHER};
        watch_left(w, cpu->index, s->leaving ? &s->exit : &other);
    }
    s->leaving = false;
    s->guest = cpu->arch.guest;
    s->control = e.control;
    s->table = e.tables.table;
    if (s->guest != GUEST_NONE) {
        watch_entered(w, cpu->index, &e);
    }
}

static void before_write(void *self, u64 frame, u64 offset, u64 size)
{
    const struct machine *m = self;
    watch_before_write(m->watching->tracker, frame, offset, size);
}

static void routes_changed(void *self)
{
    const struct machine *m = self;
    watch_routes_changed(m->watching->tracker);
}

/* ---- saved and restored ---- */

static void seen_state(struct machine *m, struct state_io *io)
{
    struct watching *g = m->watching;
    state_section(io, "watching", 2);
    state_u64(io, "violations", &g->violations);
    for (unsigned i = 0; i < m->set.count; i++) {
        state_enum(io, "guest", &g->cpu[i].guest);
        state_u64(io, "control", &g->cpu[i].control);
        state_u64(io, "table", &g->cpu[i].table);
    }
    watch_state(g->tracker, io);
}

/* Begin where the watch of a restored state was. */
static bool take_saved(struct machine *m)
{
    struct state_io io;
    state_init_load(&io, m->watch_saved, m->watch_saved_size);
    seen_state(m, &io);
    bool ok = !io.failed && io.pos == io.len;
    if (!ok) {
        log_guest_error(&m->log, "what the saved state says of its watch does not fit: it begins anew");
        watching_forget(m);
    }
    free(m->watch_saved);
    m->watch_saved = NULL;
    return ok;
}

void watching_state(struct machine *m, struct state_io *io)
{
    if (io->mode == STATE_SAVE && m->watching != NULL) {
        seen_state(m, io);
    }
    if (!state_is_load(io)) {
        return;
    }
    free(m->watch_saved);
    m->watch_saved = NULL;
    static const char name[] = "watching"; /* anything else is the reader's to refuse */
    size_t rest = io->failed ? 0 : io->len - io->pos;
    rest = rest > sizeof name && memcmp(io->data + io->pos, name, sizeof name) == 0 ? rest : 0;
    if (rest > 0) {
        m->watch_saved = malloc(rest);
        sim_assert(m->watch_saved != NULL);
        memcpy(m->watch_saved, io->data + io->pos, rest);
        m->watch_saved_size = rest;
        io->pos = io->len;
    }
    if (m->watching != NULL && (rest == 0 || !take_saved(m))) {
        watching_forget(m);
    }
}

/* ---- on and off ---- */

void watching_start(struct machine *m, enum violation_policy policy)
{
    static const enum guest_mode none = GUEST_NONE;
    struct watching *g = calloc(1, sizeof *g);
    sim_assert(g != NULL && m->watching == NULL);
    struct watch_host host = {
        .withdraw = withdraw, .now = now, .routes = routes, .violation = violation, .self = m};
    g->policy = policy;
    g->tracker = watch_new(&m->phys, &m->log, &m->trace, &host);
    m->watching = g;
    m->set.observer = (struct cpu_observer){
        .mode = mode_changed, .leaving = leaving, .before_write = before_write, .self = m};
    if (m->watch_saved == NULL || !take_saved(m)) {
        for (unsigned i = 0; i < m->set.count; i++) {
            g->cpu[i].guest = none;
            mode_changed(m, m->set.cpu[i]);
        }
    }
    if (m->iommu != NULL) {
        m->iommu->watch = (struct iommu_watch){.changed = routes_changed, .self = m};
    }
}

void watching_stop(struct machine *m)
{
    if (m->watching == NULL) {
        return;
    }
    m->set.observer = (struct cpu_observer){0};
    if (m->iommu != NULL) {
        m->iommu->watch = (struct iommu_watch){0};
    }
    watch_free(m->watching->tracker);
    free(m->watching);
    m->watching = NULL;
}

/* ---- missing invalidations ---- */

static void stale_used(void *self, const struct iommu_stale_use *use)
{
    UNUSED(use);
    machine_request_stop(self, STOP_VIOLATION, 0);
}

void watching_look_for_stale(struct machine *m, enum violation_policy policy)
{
    struct iommu_stale_watch watch = {.used = policy == VIOLATION_STOP ? stale_used : NULL, .self = m};
    if (m->iommu != NULL) {
        iommu_look_for_stale(m->iommu, &watch);
    }
}

void watching_print_posted(const struct machine *m, FILE *out)
{
    const struct iommu_posted *p = m->iommu != NULL ? &m->iommu->posted : NULL;
    if (p != NULL && p->all != 0) {
        (void)fprintf(out, "interrupts posted to guests: %llu, a processor told of %llu, which ran a guest %llu times; logged: %llu\n",
                      (unsigned long long)p->all, (unsigned long long)p->told, (unsigned long long)p->running,
                      (unsigned long long)p->logged);
    }
}

void watching_print_stale(const struct machine *m, FILE *out)
{
    if (m->iommu != NULL) {
        (void)fprintf(out, "stale translations used: %llu\n", (unsigned long long)iommu_stale_count(m->iommu));
    }
}

void watching_forget(struct machine *m)
{
    struct watching *g = m->watching;
    if (g == NULL) {
        return;
    }
    watch_forget(g->tracker);
    for (unsigned i = 0; i < m->set.count; i++) {
        g->cpu[i] = (struct seen){0};
        mode_changed(m, m->set.cpu[i]);
    }
}

struct watch *watching_tracker(const struct machine *m)
{
    return m->watching != NULL ? m->watching->tracker : NULL;
}

/* ---- the map of memory, for the trace ---- */

/* What one page has in common with its neighbours. */
struct reach {
    u32 guest; /* the first one that reaches it; 0: only whoever runs outside guest mode */
    unsigned level;
    u8 rights;
    char name[96];
};

static unsigned level_of(const struct watch *w, u32 guest)
{
    unsigned level = 0;
    const struct watch_guest *g;
    for (; (g = watch_guest(w, guest)) != NULL && level < 16; guest = g->parent) {
        level++;
    }
    return level;
}

static void describe_reach(struct watch *w, u64 spa, struct reach *out)
{
    struct watch_owner owners[4];
    size_t n = watch_owners(w, spa, owners, ARRAY_LEN(owners));
    size_t used = 0;
    *out = (struct reach){.rights = n == 0 ? WATCH_R | WATCH_W | WATCH_X : 0};
    (void)snprintf(out->name, sizeof out->name, "the host alone");
    for (size_t i = 0; i < n && i < ARRAY_LEN(owners); i++) {
        const struct watch_owner *o = &owners[i];
        const char *and = used > 0 ? ", " : "";
        size_t room = sizeof out->name - used;
        int put = o->device ? snprintf(out->name + used, room, "%sdevice %02x:%02x.%x", and,
                                       (unsigned)(o->requester >> 8), (unsigned)(o->requester >> 3 & 31),
                                       (unsigned)(o->requester & 7))
                            : snprintf(out->name + used, room, "%sguest %u", and, o->guest);
        used += put > 0 && (size_t)put < room ? (size_t)put : 0;
        out->rights |= o->rights;
        if (out->guest == 0) {
            out->guest = o->guest;
            out->level = level_of(w, o->guest);
        }
    }
}

static bool same_reach(const struct reach *a, const struct reach *b)
{
    return a->guest == b->guest && a->rights == b->rights && strcmp(a->name, b->name) == 0;
}

static void record_range(struct machine *m, u64 first, u64 end, const struct reach *r)
{
    if (end > first) {
        trace_owner_change(&m->trace, TRACE_NO_CPU, first, end - 1, r->guest, r->level, r->rights, r->name,
                           (u32)strlen(r->name));
    }
}

static void record_region(struct machine *m, u64 first, u64 bytes)
{
    struct reach range = {.guest = 0}, page;
    u64 from = first;
    for (u64 at = first; at < first + bytes; at += PAGE_SIZE) {
        describe_reach(m->watching->tracker, at, &page);
        if (at == first || !same_reach(&page, &range)) {
            record_range(m, from, at, &range);
            from = at;
            range = page;
        }
    }
    record_range(m, from, first + bytes, &range);
}

void watching_record_owners(struct machine *m)
{
    if (m->watching != NULL && trace_on(&m->trace, TRACE_CLASS_OWNER)) {
        record_region(m, 0, m->ram_below_4g);
        record_region(m, (u64)1 << 32, m->ram_above_4g);
    }
}

u64 watching_violations(const struct machine *m)
{
    return (m->watching != NULL ? m->watching->violations : 0) + (m->iommu != NULL ? iommu_stale_count(m->iommu) : 0);
}
