/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claims: what the hypervisor, the root partition and a paravisor say on the trace port, set against what was derived.
 *
 * Who says it is derived, too: the hypervisor is what runs outside guest mode; the root is the first guest that it ever ran; a paravisor
 * is a guest that has a lower trust level (levels.c). Nobody else is listened to, and nobody of these to what another one has to say.
 * Compared are: which call is being answered, and for whom (call_begun, translation_begun); what was made for it
 * (translation_child, before it happens); what it results in (call_ended, translation_ended). A call of a paravisor within one
 * that it announced, and which it did not announce, differs as well. Pages that change hands are compared when a guest runs again: none
 * but their owner may have them in reach by then, or who they were granted or lent to, and nobody those of the hypervisor. What is said to be lent is
 * declared (declared.c). Names of partitions and virtual processors are not compared; they are shown as what they are, somebody's words. */
#include "abi/hyperv/hypercall.h"
#include "abi/trace_port.h"
#include "base/bits.h"
#include "trace/events.h"
#include "watch/watch_priv.h"

#include <stdio.h>
#include <string.h>

const struct watch_claims *watch_claims(const struct watch *w) { return &w->claims; }

static u32 writer_of(const struct watch *w, u32 guest)
{
    u32 as = guest == 0 ? TRACE_PORT_HYPERVISOR : guest == 1 ? TRACE_PORT_ROOT : 0;
    for (u32 i = 1; guest != 0 && i <= w->guest_count; i++) {
        as |= w->guests[i].level_of == guest ? TRACE_PORT_PARAVISOR : 0;
    }
    return as;
}

static enum watch_verdict compare(struct watch *w, unsigned cpu, u32 type, u64 id, u64 claimed, u64 derived)
{
    w->claims.compared++;
    if (claimed == derived) {
        return WATCH_CLAIM_AGREES;
    }
    struct watch_moment m;
    w->host.now(w->host.self, &m);
    if (w->claims.differ < WATCH_DIFFERENCES) {
        w->differences[w->claims.differ] = (struct claim_difference){
            .type = type, .guest = w->cpu[cpu].guest, .id = id, .claimed = claimed, .derived = derived, .position = m.position};
    }
    w->claims.differ++;
    trace_claim_differs(w->trace, cpu, type, w->cpu[cpu].guest, id, claimed, derived);
    log_line(w->log, LOG_WATCH, "cpu%u: guest %u claims %llx of call %llu, derived is %llx (record %u)", cpu, w->cpu[cpu].guest,
             (unsigned long long)claimed, (unsigned long long)id, (unsigned long long)derived, type);
    return WATCH_CLAIM_DIFFERS;
}

/* ---- names ---- */

static const char *name_of(const struct watch *w, u64 partition)
{
    for (u32 i = 0; i < w->named_partition_count; i++) {
        if (w->named_partitions[i].partition == partition) {
            return w->named_partitions[i].name;
        }
    }
    return "";
}

static const struct named_vp *named_vp(const struct watch *w, u64 control)
{
    for (u32 i = 0; i < w->named_vp_count; i++) {
        if (w->named_vps[i].control == control) {
            return &w->named_vps[i];
        }
    }
    return NULL;
}

void watch_claims_name(struct watch *w, u32 guest, u64 control)
{
    struct watch_guest *g = &w->guests[guest];
    const struct named_vp *n = named_vp(w, control);
    if (n != NULL) {
        g->claimed = true;
        g->partition = n->partition;
        g->vtl = n->vtl;
        memcpy(g->partition_name, name_of(w, n->partition), strlen(name_of(w, n->partition)) + 1);
    }
}

static void name_vp(struct watch *w, const u64 *field)
{
    u32 at = 0;
    while (at < w->named_vp_count && w->named_vps[at].control != field[3]) {
        at++;
    }
    if (at == WATCH_NAMED_VPS) {
        memmove(w->named_vps, w->named_vps + 1, sizeof w->named_vps - sizeof w->named_vps[0]);
        at--;
    }
    w->named_vp_count = at >= w->named_vp_count ? at + 1 : w->named_vp_count;
    w->named_vps[at] = (struct named_vp){.partition = field[0], .vp = field[1], .vtl = field[2], .control = field[3]};
}

static void name_partition(struct watch *w, u64 partition, const u8 *text, u32 size)
{
    u32 at = 0;
    while (at < w->named_partition_count && w->named_partitions[at].partition != partition) {
        at++;
    }
    if (at == WATCH_NAMED_PARTITIONS) {
        memmove(w->named_partitions, w->named_partitions + 1, sizeof w->named_partitions - sizeof w->named_partitions[0]);
        at--;
    }
    w->named_partition_count = at >= w->named_partition_count ? at + 1 : w->named_partition_count;
    struct named_partition *n = &w->named_partitions[at];
    *n = (struct named_partition){.partition = partition};
    for (u32 i = 0; i < size && i + 1 < sizeof n->name; i++) {
        n->name[i] = text[i] >= 0x20 && text[i] < 0x7f ? (char)text[i] : '.';
    }
    for (u32 i = 1; i <= w->guest_count; i++) {
        struct watch_guest *g = &w->guests[i];
        if (g->claimed && g->partition == partition) {
            memcpy(g->partition_name, n->name, sizeof g->partition_name);
        }
    }
}

/* ---- calls ---- */

/* The call that the hypervisor of this processor is answering. */
static struct open_call *being_answered(struct watch *w, unsigned cpu)
{
    struct cpu_watch *c = &w->cpu[cpu];
    for (unsigned i = c->depth; i-- > 0;) {
        if (!c->calls[i].is_cpuid && c->calls[i].control == c->left_control) {
            return &c->calls[i];
        }
    }
    return NULL;
}

/* The lower trust level's call that the running guest is answering. */
static struct open_call *lower_call(struct watch *w, unsigned cpu)
{
    struct cpu_watch *c = &w->cpu[cpu];
    for (unsigned i = c->control != 0 ? c->depth : 0; i-- > 0;) {
        struct open_call *call = &c->calls[i];
        if (w->controls[call->control].peer == c->control && watch_call_belongs(w, call, c)) {
            return call;
        }
    }
    return NULL;
}

/* Of the hypervisor, about the guest that it has just left. */
static enum watch_verdict answers(struct watch *w, unsigned cpu, const struct watch_claim *claim)
{
    struct open_call *call = being_answered(w, cpu);
    const u64 *f = claim->field;
    u64 id = call != NULL ? call->position : 0;
    if (call == NULL) {
        return compare(w, cpu, claim->type, id, f[3], ~0ull);
    }
    const struct named_vp *n = named_vp(w, w->controls[call->control].address);
    if (n != NULL && (n->partition != f[0] || n->vp != f[1] || n->vtl != f[2])) {
        return compare(w, cpu, claim->type, id, f[0] << 32 | f[1] << 8 | f[2], n->partition << 32 | n->vp << 8 | n->vtl);
    }
    if (claim->type == CLAIM_call_ended) {
        call->has_result = true;
        call->result = f[4];
    }
    /* Of a guest that was never told whose interface it has, only it knows what its registers mean. */
    return call->abi == WATCH_ABI_NONE ? WATCH_CLAIM_TAKEN : compare(w, cpu, claim->type, id, f[3], call->number);
}

#define NOTHING ~0ull

static enum watch_verdict begins(struct watch *w, unsigned cpu, const struct watch_claim *claim)
{
    struct open_call *call = lower_call(w, cpu);
    const u64 *f = claim->field;
    bool has_command = call != NULL && watch_call_has_command(call->abi, call->number);
    u64 derived = call == NULL || call->claimed != 0 || f[0] == 0
                      ? NOTHING
                      : call->number << 32 | (has_command ? call->command : (u32)f[2]);
    enum watch_verdict v = compare(w, cpu, claim->type, f[0], f[1] << 32 | (u32)f[2], derived);
    if (v == WATCH_CLAIM_AGREES) {
        call->claimed = f[0];
    }
    return v;
}

static enum watch_verdict ends(struct watch *w, unsigned cpu, const struct watch_claim *claim)
{
    struct open_call *call = lower_call(w, cpu);
    const u64 *f = claim->field;
    if (call == NULL || call->claimed != f[0]) {
        return compare(w, cpu, claim->type, f[0], f[0], call != NULL ? call->claimed : NOTHING);
    }
    call->has_result = true;
    call->result = f[1];
    return compare(w, cpu, claim->type, f[0], f[2], call->children);
}

static enum watch_verdict announces(struct watch *w, unsigned cpu, const struct watch_claim *claim)
{
    if (w->cpu[cpu].control == 0) {
        return WATCH_CLAIM_TAKEN;
    }
    struct control *c = &w->controls[w->cpu[cpu].control];
    if (c->child_due) { /* the one before did not happen */
        (void)compare(w, cpu, claim->type, c->child_of, c->child_key, NOTHING);
    }
    c->child_due = true;
    c->child_of = claim->field[0];
    c->child_key = (u32)claim->field[1];
    return WATCH_CLAIM_TAKEN;
}

void watch_claims_child(struct watch *w, unsigned cpu, u32 key)
{
    struct cpu_watch *c = &w->cpu[cpu];
    if (c->control == 0) {
        return;
    }
    struct control *k = &w->controls[c->control];
    const struct open_call *parent = lower_call(w, cpu);
    bool due = k->child_due;
    k->child_due = false;
    if (due) {
        u64 of = parent != NULL ? parent->claimed : NOTHING;
        bool same = k->child_of == of;
        (void)compare(w, cpu, CLAIM_translation_child, k->child_of, same ? k->child_key : k->child_of, same ? key : of);
    } else if (parent != NULL && parent->claimed != 0) {
        (void)compare(w, cpu, CLAIM_translation_child, parent->claimed, NOTHING, key);
    }
}

void watch_claims_back(struct watch *w, unsigned cpu)
{
    struct control *k = w->cpu[cpu].control != 0 ? &w->controls[w->cpu[cpu].control] : NULL;
    if (k != NULL && k->child_due) {
        k->child_due = false;
        (void)compare(w, cpu, CLAIM_translation_child, k->child_of, k->child_key, NOTHING);
    }
}

void watch_claims_result(struct watch *w, unsigned cpu, const struct open_call *call, u64 result)
{
    u64 claimed = call->code64 || call->abi == WATCH_ABI_HYPERV ? call->result : (u32)call->result;
    u32 type = call->claimed != 0 ? CLAIM_translation_ended : CLAIM_call_ended;
    (void)compare(w, cpu, type, call->claimed != 0 ? call->claimed : call->position, claimed, result);
}

/* ---- pages ---- */

static u32 guest_of_partition(const struct watch *w, u64 partition)
{
    for (u32 i = 1; i <= w->guest_count; i++) {
        if (w->guests[i].claimed && w->guests[i].partition == partition) {
            return watch_partition(w, i);
        }
    }
    return 0;
}

/* Who has a page in reach that, as is said, is another's; 0: nobody. */
static u32 intruder(const struct watch *w, u64 frame)
{
    const struct frame_info *f = &w->frames[frame];
    u32 owner = guest_of_partition(w, f->claimed_by), root;
    for (u32 n = 0; (root = watch_owner_root(w, frame, n)) != 0; n++) {
        struct watch_owner o;
        watch_describe_owner(w, frame, root, &o);
        u32 guest = watch_partition(w, o.guest);
        bool known = guest == 1 || (guest != 0 && w->guests[guest].claimed);
        bool may = f->claimed == TRACE_PAGES_ROOT + 1     ? guest == 1
                   : f->claimed == TRACE_PAGES_PRIVATE + 1 ? guest == owner || o.since.granted : false;
        for (u32 n2 = f->declared; f->claimed == TRACE_PAGES_PRIVATE + 1 && !may && n2 != 0;) {
            const struct declared *d = pool_at(&w->declared, n2);
            may = watch_partition(w, d->with) == guest || d->with == 0;
            n2 = d->next;
        }
        if (!o.device && known && !may) {
            return guest;
        }
    }
    return 0;
}

static bool frame_of(const struct watch *w, u64 spa, u64 *frame)
{
    u8 *host;
    bool writable;
    return phys_page(w->phys, SPA(spa), frame, &host, &writable);
}

static void check_pages(struct watch *w, unsigned cpu, const struct due_pages *d)
{
    for (u64 i = 0, frame; i < d->count && i < w->phys->page_count; i++) {
        u64 spa = d->first + (i << PAGE_SHIFT);
        u32 guest = frame_of(w, spa, &frame) && w->frames[frame].claimed != 0 ? intruder(w, frame) : 0;
        if (guest != 0) {
            (void)compare(w, cpu, CLAIM_pages, spa, guest_of_partition(w, w->frames[frame].claimed_by), guest);
            return;
        }
    }
    w->claims.compared++;
}

void watch_claims_due(struct watch *w, unsigned cpu)
{
    struct cpu_watch *c = &w->cpu[cpu];
    for (u32 i = 0; i < c->due_count; i++) {
        check_pages(w, cpu, &c->due[i]);
    }
    c->due_count = 0;
}

static enum watch_verdict change_hands(struct watch *w, unsigned cpu, const u64 *field)
{
    struct cpu_watch *c = &w->cpu[cpu];
    u64 first = align_down(field[2], PAGE_SIZE), count = field[3] < w->phys->page_count ? field[3] : w->phys->page_count;
    for (u64 i = 0, frame; i < count && field[0] <= TRACE_PAGES_PRIVATE; i++) {
        if (frame_of(w, first + (i << PAGE_SHIFT), &frame)) {
            w->frames[frame].claimed = (u8)(field[0] + 1);
            w->frames[frame].claimed_by = (u32)field[1];
        }
    }
    if (c->due_count == WATCH_DUE) {
        check_pages(w, cpu, &c->due[0]);
        memmove(c->due, c->due + 1, sizeof c->due - sizeof c->due[0]);
        c->due_count--;
    }
    c->due[c->due_count++] = (struct due_pages){.first = first, .count = count};
    return WATCH_CLAIM_TAKEN;
}

static enum watch_verdict lends(struct watch *w, const struct watch_claim *claim)
{
    const u64 *f = claim->field;
    u64 first = align_down(f[2], PAGE_SIZE), count = f[3] < w->phys->page_count ? f[3] : w->phys->page_count;
    u32 guest = guest_of_partition(w, f[0]), with = guest_of_partition(w, f[1]);
    const struct watch_declaration d = {
        .reason = WATCH_REASON_PORT, .guest = guest, .with = with, .spa = first, .bytes = count << PAGE_SHIFT, .id = first};
    if (guest == 0 || with == 0) {
        return WATCH_CLAIM_TAKEN;
    }
    if (claim->type == CLAIM_pages_lent) {
        (void)watch_declare(w, &d);
        log_line(w->log, LOG_WATCH, "guest %u lends guest %u %llu pages at %#llx", guest, with, (unsigned long long)count,
                 (unsigned long long)first);
        return WATCH_CLAIM_TAKEN;
    }
    for (u64 i = 0, frame; i < count; i++) {
        if (frame_of(w, first + (i << PAGE_SHIFT), &frame)) {
            watch_end_lent(w, frame, guest, with);
        }
    }
    return WATCH_CLAIM_TAKEN;
}

/* Pages by what is said of them, and those that somebody else has in reach all the same. */
static void print_pages(const struct watch *w, FILE *out)
{
    u64 pages[TRACE_PAGES_PRIVATE + 2] = {0}, wrong = 0;
    for (u64 f = 0; f < w->phys->page_count; f++) {
        pages[w->frames[f].claimed]++;
        wrong += w->frames[f].claimed != 0 && intruder(w, f) != 0 ? 1 : 0;
    }
    if (pages[0] != w->phys->page_count) {
        (void)fprintf(out, "pages that changed hands as the trace port says: the root's %llu, the hypervisor's %llu, private %llu; "
                      "within another's reach %llu\n", (unsigned long long)pages[TRACE_PAGES_ROOT + 1],
                      (unsigned long long)pages[TRACE_PAGES_DEPOSITED + 1], (unsigned long long)pages[TRACE_PAGES_PRIVATE + 1],
                      (unsigned long long)wrong);
    }
}

enum watch_verdict watch_claim(struct watch *w, unsigned cpu, const struct watch_claim *claim)
{
    u32 guest = w->cpu[cpu].guest;
    watch_settle(w);
    if ((writer_of(w, guest) & claim->writers) == 0) {
        w->claims.refused++;
        return WATCH_CLAIM_REFUSED;
    }
    w->claims.taken++;
    switch (claim->type) {
    case CLAIM_partition_named:
        name_partition(w, claim->field[0], claim->payload, claim->size);
        return WATCH_CLAIM_TAKEN;
    case CLAIM_vp_named:
        name_vp(w, claim->field);
        return WATCH_CLAIM_TAKEN;
    case CLAIM_pages:
        return change_hands(w, cpu, claim->field);
    case CLAIM_pages_lent:
    case CLAIM_pages_unlent:
        return lends(w, claim);
    case CLAIM_call_begun:
    case CLAIM_call_ended:
        return answers(w, cpu, claim);
    case CLAIM_translation_begun:
        return begins(w, cpu, claim);
    case CLAIM_translation_child:
        return announces(w, cpu, claim);
    case CLAIM_translation_ended:
        return ends(w, cpu, claim);
    default:
        return WATCH_CLAIM_TAKEN;
    }
}

void watch_claims_print(struct watch *w, FILE *out)
{
    const struct watch_claims *c = &w->claims;
    if ((c->taken | c->refused) != 0) {
        (void)fprintf(out, "claims on the trace port: %llu, refused %llu; compared with what was derived %llu, differ %llu\n",
                      (unsigned long long)c->taken, (unsigned long long)c->refused, (unsigned long long)c->compared,
                      (unsigned long long)c->differ);
    }
    print_pages(w, out);
    static const char *const names[] = {
#define CLAIM(number, name, writers, fields, payload, meaning) [number] = #name,
#include "abi/trace_port.def"
#undef CLAIM
    };
    for (u32 i = 0; i < WATCH_DIFFERENCES && i < c->differ; i++) {
        const struct claim_difference *d = &w->differences[i];
        (void)fprintf(out, "claim that differs: guest %u, %s of %llu: says %#llx, derived is %#llx, at position %llu\n", d->guest,
                      d->type < ARRAY_LEN(names) && names[d->type] != NULL ? names[d->type] : "?", (unsigned long long)d->id,
                      (unsigned long long)d->claimed, (unsigned long long)d->derived, (unsigned long long)d->position);
    }
}
