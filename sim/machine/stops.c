/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hooks are in the processors' set (struct cpu_stops) and in the physical map (PAGE_TRAPPED, PAGE_READ_TRAPPED) only
 * while points are set. */
#include "machine/stops.h"

#include "base/assert.h"
#include "cpu/decode/block.h"
#include "cpu/tlb.h"
#include "mmu/walk.h"

#include <stdlib.h>
#include <string.h>

struct stops {
    struct stop_point points[STOPS_MAX];
    u64 frame_at[STOPS_MAX]; /* POINT_CODE_PHYSICAL: where its byte is in the machine's memory */
    unsigned count;
    enum stops_mode mode;
    struct stop_hit hit;
    u64 skip; /* breakpoints at this position are stepped over; ~0: none */
    bool stepping, going_on;
    unsigned step_cpu;
    bool scanning, found;
    u64 scan_end;
    struct stops_filter filter;
    bool scanning_cpu;
    unsigned scan_cpu;
    u64 scan_cpu_end;
};

/* ---- Hits ---- */

static bool is_range(const struct stop_point *p)
{
    return p->kind == POINT_WRITE || p->kind == POINT_READ || p->kind == POINT_ACCESS;
}

static void meet(struct machine *m, const struct stop_hit *hit)
{
    struct stops *s = m->stops;
    if (s->filter.wanted != NULL && !is_range(&hit->point) && hit->point.kind != POINT_STEP &&
        (s->scanning ? hit->position < s->scan_end : s->mode == STOPS_ARMED) &&
        !s->filter.wanted(s->filter.self, hit)) {
        return;
    }
    if (s->scanning) {
        if (hit->position < s->scan_end) {
            s->found = true;
            s->hit = *hit;
        }
        return;
    }
    if (s->mode == STOPS_ARMED && !m->requests.stop_break) {
        s->hit = *hit;
        s->stepping = false;
        m->requests.stop_break = true;
        machine_end_slice(m);
    }
}

static bool is_code(void *self, u64 lin, u64 at)
{
    const struct machine *m = self;
    const struct stops *s = m->stops;
    for (unsigned i = 0; i < s->count; i++) {
        if ((s->points[i].kind == POINT_CODE && s->points[i].at == lin) ||
            (s->points[i].kind == POINT_CODE_PHYSICAL && s->frame_at[i] == at)) {
            return true;
        }
    }
    return false;
}

bool stops_translate(const struct machine *m, unsigned index, u64 lin, spa_t *spa)
{
    struct cpu *cpu = m->set.cpu[index];
    struct walk_root root;
    struct walk_result res;
    walk_root_of(cpu, &root);
    if (!walk_linear(cpu->phys, &root, lin & cpu->d.lin_mask, WALK_READ | WALK_PROBE, &res)) {
        return false;
    }
    *spa = SPA(res.spa.v & cpu->phys->a20_mask);
    return true;
}

static bool frame_place(const struct machine *m, spa_t spa, u64 *at)
{
    u64 frame;
    u8 *host;
    bool writable;
    if (!phys_page(&m->phys, spa, &frame, &host, &writable)) {
        return false;
    }
    *at = frame << PAGE_SHIFT | (spa.v & PAGE_MASK);
    return true;
}

static bool before(void *self, struct cpu *cpu, u64 lin)
{
    struct machine *m = self;
    struct stops *s = m->stops;
    u64 position = clock_position(&m->clock).n;
    if (!s->scanning && (s->mode == STOPS_QUIET || position == s->skip)) {
        return false;
    }
    bool translated = false;
    u64 at = ~(u64)0;
    for (unsigned i = 0; i < s->count; i++) {
        const struct stop_point *p = &s->points[i];
        if (p->kind == POINT_CODE_PHYSICAL && !translated) {
            spa_t spa;
            translated = true;
            if (!stops_translate(m, cpu->index, lin, &spa) || !frame_place(m, spa, &at)) {
                at = ~(u64)0;
            }
        }
        if ((p->kind == POINT_CODE && p->at == lin) ||
            (p->kind == POINT_CODE_PHYSICAL && s->frame_at[i] == at)) {
            meet(m, &(struct stop_hit){.point = *p, .cpu = cpu->index, .position = position, .detail = lin});
            return m->requests.stop_break;
        }
    }
    return false;
}

static unsigned running_cpu(const struct machine *m)
{
    return m->clock.running != NULL ? ((const struct cpu *)m->clock.running_cpu)->index : m->turn;
}

static void accessed(struct machine *m, u64 frame, u64 offset, u64 size, bool write)
{
    struct stops *s = m->stops;
    u64 spa = phys_spa_of_frame(&m->phys, frame) | offset;
    for (unsigned i = 0; i < s->count; i++) {
        const struct stop_point *p = &s->points[i];
        bool wanted = p->kind == POINT_ACCESS || p->kind == (write ? POINT_WRITE : POINT_READ);
        if (wanted && spa < p->at + p->size && p->at < spa + size) {
            meet(m, &(struct stop_hit){.point = *p,
                                       .cpu = running_cpu(m),
                                       .position = clock_position(&m->clock).n,
                                       .detail = spa > p->at ? spa : p->at,
                                       .write = write});
            return;
        }
    }
}

static void on_write(void *self, u64 frame, u64 offset, u64 size)
{
    accessed(self, frame, offset, size, true);
}

static void on_read(void *self, u64 frame, u64 offset, u64 size)
{
    accessed(self, frame, offset, size, false);
}

static void on_moment(void *self, struct cpu *cpu, enum cpu_moment moment, u64 detail)
{
    static const enum stop_point_kind kinds[] = {
        [CPU_MOMENT_EXCEPTION] = POINT_EXCEPTION, [CPU_MOMENT_INTERRUPT] = POINT_INTERRUPT,
        [CPU_MOMENT_VM_EXIT] = POINT_VM_EXIT,     [CPU_MOMENT_VM_ENTRY] = POINT_VM_ENTRY,
        [CPU_MOMENT_ENTRY_FAILURE] = POINT_ENTRY_FAILURE};
    struct machine *m = self;
    struct stops *s = m->stops;
    for (unsigned i = 0; i < s->count; i++) {
        const struct stop_point *p = &s->points[i];
        if (p->kind == kinds[moment] && (p->at == POINT_ANY || p->at == detail)) {
            meet(m, &(struct stop_hit){
                        .point = *p, .cpu = cpu->index, .position = clock_position(&m->clock).n, .detail = detail});
            return;
        }
    }
}

/* ---- The set of points ---- */

static bool is_code_kind(const struct stop_point *p)
{
    return p->kind == POINT_CODE || p->kind == POINT_CODE_PHYSICAL;
}

static void mark_pages(struct machine *m, const struct stop_point *p, bool on)
{
    u32 bits = (p->kind != POINT_READ ? PAGE_TRAPPED : 0u) | (p->kind != POINT_WRITE ? PAGE_READ_TRAPPED : 0u);
    for (u64 at = p->at & ~PAGE_MASK; at < p->at + p->size; at += PAGE_SIZE) {
        u64 frame;
        u8 *host;
        bool writable;
        if (phys_page(&m->phys, SPA(at), &frame, &host, &writable)) {
            u32 *flags = &m->phys.pages[frame].flags;
            *flags = on ? *flags | bits : *flags & ~bits;
        }
    }
}

void stops_rearm(struct machine *m)
{
    struct stops *s = m->stops;
    bool ranges = false;
    if (s == NULL) {
        return;
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (is_range(&s->points[i])) {
            mark_pages(m, &s->points[i], true);
            ranges = true;
        }
    }
    if (ranges) {
        for (unsigned i = 0; i < m->set.count; i++) {
            tlb_drop_all(m->set.cpu[i]);
        }
    }
}

/* Hooks as the set of points needs them. */
static void set_hooks(struct machine *m)
{
    const struct stops *s = m->stops;
    bool code = false, range = false, moment = false;
    for (unsigned i = 0; i < s->count; i++) {
        code |= is_code_kind(&s->points[i]);
        range |= is_range(&s->points[i]);
        moment |= s->points[i].kind >= POINT_EXCEPTION && s->points[i].kind <= POINT_ENTRY_FAILURE;
    }
    m->set.stops = (struct cpu_stops){.is_code = code ? is_code : NULL,
                                      .before = code ? before : NULL,
                                      .moment = moment ? on_moment : NULL,
                                      .self = m};
    m->phys.trapped_write = range ? on_write : NULL;
    m->phys.trapped_read = range ? on_read : NULL;
    m->phys.trapped_self = m->phys.read_self = m;
}

static bool check_point(const struct machine *m, const struct stop_point *p, struct error *err)
{
    u64 at;
    bool physical = is_range(p) || p->kind == POINT_CODE_PHYSICAL;
    if (is_range(p) && (p->size == 0 || p->at + p->size < p->at || p->size > MIB(1))) {
        return error_set(err, EXIT_STATUS_USAGE, "a watched range has 1 byte to 1 MiB");
    }
    for (u64 a = p->at & ~PAGE_MASK; physical && a < p->at + (is_range(p) ? p->size : 1); a += PAGE_SIZE) {
        if (!frame_place(m, SPA(a), &at)) {
            return error_set(err, EXIT_STATUS_USAGE, "%llx is not memory", (unsigned long long)a);
        }
    }
    return true;
}

static void changed(struct machine *m, const struct stop_point *p)
{
    set_hooks(m);
    if (is_code_kind(p)) {
        code_flush(&m->set, &m->phys);
    }
    if (is_range(p)) {
        stops_rearm(m);
    }
}

static struct stops *make(struct machine *m)
{
    if (m->stops == NULL) {
        m->stops = calloc(1, sizeof *m->stops);
        sim_assert(m->stops != NULL);
        m->stops->skip = ~(u64)0;
    }
    return m->stops;
}

void stops_set_filter(struct machine *m, const struct stops_filter *filter)
{
    make(m)->filter = *filter;
}

void stops_meet(struct machine *m, const struct stop_hit *hit)
{
    (void)make(m);
    meet(m, hit);
}

bool stops_add(struct machine *m, const struct stop_point *point, struct error *err)
{
    if (!check_point(m, point, err)) {
        return false;
    }
    struct stops *s = make(m);
    if (s->count == STOPS_MAX) {
        return error_set(err, EXIT_STATUS_USAGE, "no more than %u stop points", STOPS_MAX);
    }
    s->frame_at[s->count] = ~(u64)0;
    if (point->kind == POINT_CODE_PHYSICAL) {
        (void)frame_place(m, SPA(point->at), &s->frame_at[s->count]);
    }
    s->points[s->count++] = *point;
    changed(m, point);
    return true;
}

bool stops_remove(struct machine *m, const struct stop_point *point)
{
    struct stops *s = m->stops;
    for (unsigned i = 0; s != NULL && i < s->count; i++) {
        const struct stop_point *p = &s->points[i];
        if (p->kind != point->kind || p->at != point->at || (is_range(p) && p->size != point->size)) {
            continue;
        }
        struct stop_point gone = *p;
        s->count--;
        s->points[i] = s->points[s->count];
        s->frame_at[i] = s->frame_at[s->count];
        if (is_range(&gone)) {
            mark_pages(m, &gone, false); /* changed() marks again what others look at */
        }
        changed(m, &gone);
        return true;
    }
    return false;
}

void stops_clear(struct machine *m)
{
    while (m->stops != NULL && m->stops->count > 0) {
        struct stop_point p = m->stops->points[m->stops->count - 1];
        (void)stops_remove(m, &p);
    }
}

void stops_free(struct machine *m)
{
    free(m->stops);
    m->stops = NULL;
    m->set.stops = (struct cpu_stops){0};
}

/* ---- Running ---- */

void stops_step(struct machine *m, unsigned cpu)
{
    (void)make(m);
    m->stops->stepping = cpu < m->set.count;
    m->stops->step_cpu = cpu;
}

const struct stop_hit *stops_hit(const struct machine *m)
{
    return &m->stops->hit;
}

void stops_set_hit(struct machine *m, const struct stop_hit *hit)
{
    m->stops->hit = *hit;
}

enum stops_mode stops_set_mode(struct machine *m, enum stops_mode mode)
{
    enum stops_mode was = STOPS_ARMED;
    if (m->stops != NULL) {
        was = m->stops->mode;
        m->stops->mode = mode;
    }
    return was;
}

void stops_start_scan(struct machine *m, u64 end)
{
    if (m->stops != NULL) {
        m->stops->scanning = true;
        m->stops->found = false;
        m->stops->scan_end = end;
    }
}

bool stops_end_scan(struct machine *m, struct stop_hit *hit)
{
    struct stops *s = m->stops;
    bool found = s != NULL && s->scanning && s->found;
    if (found) {
        *hit = s->hit;
    }
    if (s != NULL) {
        s->scanning = false;
    }
    return found;
}

void stops_start_cpu_scan(struct machine *m, unsigned cpu)
{
    struct stops *s = make(m);
    s->scanning_cpu = true;
    s->scan_cpu = cpu;
    s->scan_cpu_end = 0;
}

u64 stops_end_cpu_scan(struct machine *m)
{
    m->stops->scanning_cpu = false;
    return m->stops->scan_cpu_end;
}

unsigned stops_next_cpu(const struct machine *m)
{
    unsigned at = m->turn_left > 0 ? m->turn : (m->turn + 1) % m->set.count;
    for (unsigned i = 0; i < m->set.count; i++) {
        unsigned k = (at + i) % m->set.count;
        if (m->set.cpu[k]->arch.activity == ACTIVITY_RUNNING || m->set.cpu[k]->d.pending) {
            return k;
        }
    }
    return m->turn;
}

void stops_resume(struct machine *m)
{
    struct stops *s = m->stops;
    if (s != NULL && !s->going_on) {
        s->skip = clock_position(&m->clock).n;
    }
    if (s != NULL) {
        s->going_on = false;
    }
}

void stops_go_on(struct machine *m)
{
    if (m->stops != NULL) {
        m->stops->going_on = true;
    }
}

u64 stops_budget(const struct machine *m, unsigned cpu, u64 budget)
{
    const struct stops *s = m->stops;
    bool one = s != NULL && s->stepping && s->step_cpu == cpu && s->mode == STOPS_ARMED && !s->scanning;
    return one && budget > 1 ? 1 : budget;
}

void stops_after_slice(struct machine *m, unsigned cpu, u64 used)
{
    struct stops *s = m->stops;
    if (s != NULL && s->scanning_cpu && s->scan_cpu == cpu && used > 0) {
        s->scan_cpu_end = clock_position(&m->clock).n;
    }
    if (s == NULL || !s->stepping || s->step_cpu != cpu || used == 0 || s->mode != STOPS_ARMED || s->scanning) {
        return;
    }
    s->stepping = false;
    meet(m, &(struct stop_hit){
                .point = {.kind = POINT_STEP}, .cpu = cpu, .position = clock_position(&m->clock).n - used});
}
