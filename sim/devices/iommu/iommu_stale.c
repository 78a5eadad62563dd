/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an endlessly large cache would hold, and what was used although it would have been something else. Records are of
 * three kinds: which tables a requester has, where a page of a domain is, what an interrupt entry says.
 *
 * A request whose tables were exchanged is reported as that; what its page would have been is left out then. Rights count
 * as far as they were used: a page that becomes writable is no staleness, one that ceases to be is. Left out: entries that
 * were not present (caching mode), changes of upper levels that an invalidation of leaves alone does not cover. A record
 * whose place another one takes is forgotten, so that a report is never wrong and one may be missing. */
#include "devices/iommu/iommu_stale.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/log.h"
#include "trace/events.h"

#include <stdlib.h>

#define PLACES 16384u /* of each kind */
#define PROBED 1024u  /* a range of more pages is looked for among all */

struct record {
    bool used, read, write; /* read, write: allowed it, and was used so */
    u16 requester;
    u32 domain, pasid;
    u64 key; /* page; requester; index */
    u64 value[2];
    u64 position; /* when it was last used */
};

struct iommu_stale {
    struct iommu_stale_watch watch;
    u64 count;
    struct record records[3][PLACES]; /* by enum iommu_flushed */
};

void iommu_look_for_stale(struct iommu *iommu, const struct iommu_stale_watch *watch)
{
    free(iommu->stale);
    iommu->stale = NULL;
    if (watch != NULL) {
        iommu->stale = calloc(1, sizeof *iommu->stale);
        sim_assert(iommu->stale != NULL);
        iommu->stale->watch = *watch;
    }
}

u64 iommu_stale_count(const struct iommu *iommu)
{
    return iommu->stale != NULL ? iommu->stale->count : 0;
}

void iommu_stale_forget(struct iommu *iommu)
{
    for (unsigned kind = 0; iommu->stale != NULL && kind < 3; kind++) {
        for (unsigned i = 0; i < PLACES; i++) {
            iommu->stale->records[kind][i].used = false;
        }
    }
}

u64 iommu_context_digest(u64 digest, const u64 *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        digest = (digest ^ words[i]) * 0x100000001b3u;
        digest ^= digest >> 29;
    }
    return digest != 0 ? digest : 1;
}

static struct record *place_of(struct iommu_stale *s, enum iommu_flushed kind, u32 domain, u32 pasid, u64 key)
{
    const u64 words[3] = {domain, pasid, key};
    return &s->records[kind][iommu_context_digest(IOMMU_CONTEXT_SEED, words, 3) % PLACES];
}

static bool is_record(const struct record *r, u32 domain, u32 pasid, u64 key)
{
    return r->used && r->domain == domain && r->pasid == pasid && r->key == key;
}

/* ---- reports ---- */

static void report(struct iommu *iommu, const struct iommu_stale_use *use)
{
    struct iommu_stale *s = iommu->stale;
    static const char *const words[] = {"its tables were exchanged", "the page's entry was changed",
                                        "the page's entry was taken away", "the interrupt's entry was changed"};
    s->count++;
    trace_stale_use(iommu->env.phys->trace, TRACE_NO_CPU, use->requester, (u64)use->kind, use->address, use->then, use->position);
    log_line(iommu->env.log, LOG_IOMMU,
             "%s: %02x:%02x.%x %s %s%#llx: %s and nothing was invalidated since it was last used, at position %llu; a cache "
             "would have said %#llx",
             iommu->id, (unsigned)use->requester >> 8, (unsigned)(use->requester >> 3 & 31), (unsigned)(use->requester & 7),
             use->kind == IOMMU_STALE_INTERRUPT ? "interrupt" : use->write ? "writes to" : "reads",
             use->kind == IOMMU_STALE_INTERRUPT ? "index " : "", (unsigned long long)use->address, words[use->kind],
             (unsigned long long)use->position, (unsigned long long)use->then);
    if (s->watch.used != NULL) {
        s->watch.used(s->watch.self, use);
    }
}

static u64 position(const struct iommu *iommu)
{
    return clock_position(iommu->env.clock).n;
}

/* ---- uses ---- */

static bool context_changed(struct iommu *iommu, const struct iommu_lookup *l)
{
    struct record *r = place_of(iommu->stale, IOMMU_FLUSH_CONTEXTS, 0, 0, l->requester);
    bool known = r->used && r->key == l->requester;
    bool changed = known && r->value[0] != l->context;
    if (changed) {
        struct iommu_stale_use use = {.kind = IOMMU_STALE_CONTEXT,
                                      .requester = l->requester,
                                      .write = l->write,
                                      .address = l->iova,
                                      .then = r->value[1],
                                      .position = r->position};
        report(iommu, &use);
    }
    *r = (struct record){.used = l->context != 0,
                         .requester = l->requester,
                         .domain = l->domain,
                         .pasid = l->pasid,
                         .key = l->requester,
                         .value = {l->context, l->domain},
                         .position = position(iommu)};
    return changed;
}

void iommu_stale_lookup(struct iommu *iommu, const struct iommu_lookup *l)
{
    u64 page = l->iova >> PAGE_SHIFT, spa = l->spa & ~PAGE_MASK;
    if (iommu->stale == NULL || context_changed(iommu, l) || l->context == 0) {
        return;
    }
    struct record *r = place_of(iommu->stale, IOMMU_FLUSH_PAGES, l->domain, l->pasid, page);
    bool known = is_record(r, l->domain, l->pasid, page);
    bool was_allowed = known && (l->write ? r->write : r->read);
    if (known && ((l->allowed && r->value[0] != spa) || (!l->allowed && was_allowed))) {
        struct iommu_stale_use use = {.kind = l->allowed ? IOMMU_STALE_PAGE : IOMMU_STALE_GONE,
                                      .requester = l->requester,
                                      .write = l->write,
                                      .address = l->iova,
                                      .then = r->value[0],
                                      .position = r->position};
        report(iommu, &use);
        known = false;
    }
    if (!l->allowed) {
        r->used = r->used && known;
        return;
    }
    *r = (struct record){.used = true,
                         .read = !l->write || (known && r->read),
                         .write = l->write || (known && r->write),
                         .requester = l->requester,
                         .domain = l->domain,
                         .pasid = l->pasid,
                         .key = page,
                         .value = {spa, 0},
                         .position = position(iommu)};
}

void iommu_stale_interrupt(struct iommu *iommu, u16 requester, u16 owner, u32 index, u64 low, u64 high)
{
    if (iommu->stale == NULL) {
        return;
    }
    struct record *r = place_of(iommu->stale, IOMMU_FLUSH_INTERRUPTS, owner, 0, index);
    if (is_record(r, owner, 0, index) && (r->value[0] != low || r->value[1] != high)) {
        struct iommu_stale_use use = {.kind = IOMMU_STALE_INTERRUPT,
                                      .requester = requester,
                                      .write = true,
                                      .address = index,
                                      .then = r->value[0],
                                      .position = r->position};
        report(iommu, &use);
    }
    *r = (struct record){
        .used = true, .requester = owner, .domain = owner, .key = index, .value = {low, high}, .position = position(iommu)};
}

/* ---- invalidations ---- */

static void forget_if(struct record *r, const struct iommu_flush *f)
{
    u64 key = f->what == IOMMU_FLUSH_PAGES ? r->key << PAGE_SHIFT : r->key;
    bool fits = (!f->by_domain || r->domain == f->domain) && (!f->by_pasid || r->pasid == f->pasid) &&
                (!f->by_requester || ((r->requester ^ f->requester) & ~(unsigned)f->ignored) == 0) &&
                (!f->by_range || (key >= f->first && key <= f->last));
    r->used = r->used && !fits;
}

void iommu_stale_flush(struct iommu *iommu, const struct iommu_flush *f)
{
    struct iommu_stale *s = iommu->stale;
    if (s == NULL) {
        return;
    }
    u64 first = f->first >> PAGE_SHIFT, last = f->last >> PAGE_SHIFT;
    if (f->what == IOMMU_FLUSH_PAGES && f->by_domain && f->by_pasid && f->by_range && last - first < PROBED) {
        for (u64 page = first; page <= last; page++) {
            struct record *r = place_of(s, f->what, f->domain, f->pasid, page);
            if (is_record(r, f->domain, f->pasid, page)) {
                r->used = false;
            }
        }
        return;
    }
    for (unsigned i = 0; i < PLACES; i++) {
        forget_if(&s->records[f->what][i], f);
    }
}
