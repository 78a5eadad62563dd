/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Notes are kept in order; machine->seen counts them and goes back with the machine, so what a run through the past
 * tells again is noted again in its place. Of interrupts and exceptions only exceptions are noted. */
#include "debugger/shell/history.h"

#include "abi/x86/svm.h"
#include "abi/x86/vmx.h"
#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define NOTES_MAX 8000000u /* then the oldest half goes */
#define TEXTS 65536u
#define REGISTERS_BYTES 64u

struct stored {
    u64 position;
    u64 args[5];
    u32 text; /* index into texts + 1; 0: none */
    u64 registers; /* number of the hypercall + 1 */
    u8 event, cpu;
};

#define GUESTS 512u

struct history {
    struct machine *m;
    void (*event)(void *self, enum trace_event event, u32 cpu, const u64 *args);
    void *self;
    struct stored *notes; /* notes[0] is note number `base` */
    u64 base, count, cap;
    char **texts; /* each different one once */
    u32 text_count;
    u8 (*registers)[REGISTERS_BYTES]; /* of hypercalls, a ring */
    u64 registers_next;
    /* Who runs how deep, and as which guest. */
    struct {
        u64 vcpu, root;
        unsigned depth, number;
    } guests[GUESTS];
    unsigned guest_count, numbers;
    unsigned asked[CPU_MAX]; /* depth of the guest that wanted to run a guest of its own; 0: none */
};

#define REGISTER_RING 4096u

static u32 keep_text(struct history *h, const void *data, u32 size)
{
    u32 hash = 2166136261u;
    for (u32 i = 0; i < size; i++) {
        hash = (hash ^ ((const u8 *)data)[i]) * 16777619u;
    }
    /* A table of open addressing; rules are few, and what comes when it is half full goes without words. */
    if (h->text_count > TEXTS / 2) {
        return 0;
    }
    u32 at = hash % TEXTS;
    while (h->texts[at] != NULL) {
        if (strlen(h->texts[at]) == size && memcmp(h->texts[at], data, size) == 0) {
            return at + 1;
        }
        at = (at + 1) % TEXTS;
    }
    h->texts[at] = strndup(data, size);
    h->text_count++;
    return at + 1;
}

/* The machine has gone back since: what it forgot goes here too. */
static void follow(struct history *h)
{
    u64 seen = h->m->seen;
    if (seen < h->base) {
        h->base = seen;
        h->count = 0;
    } else if (seen < h->base + h->count) {
        h->count = seen - h->base;
    }
}

bool history_notes(enum trace_event event, const u64 *args)
{
    switch (event) {
    case TRACE_EVENT_vm_exit:
    case TRACE_EVENT_vm_entry:
    case TRACE_EVENT_vm_refused:
    case TRACE_EVENT_vm_fail:
    case TRACE_EVENT_hypercall:
    case TRACE_EVENT_hypercall_done:
    case TRACE_EVENT_nested_fault:
    case TRACE_EVENT_iommu_fault: return true;
    case TRACE_EVENT_deliver: return args[0] == EVENT_EXCEPTION;
    default: return false;
    }
}

unsigned history_depth(const struct history *h, u64 vcpu)
{
    for (unsigned i = h->guest_count; i-- > 0;) {
        if (h->guests[i].vcpu == vcpu) {
            return h->guests[i].depth;
        }
    }
    return 0;
}

unsigned history_guest(const struct history *h, u64 vcpu, u64 root)
{
    for (unsigned i = 0; i < h->guest_count; i++) {
        if (h->guests[i].root == root && (root != 0 || h->guests[i].vcpu == vcpu)) {
            return h->guests[i].number;
        }
    }
    return 0;
}

/* A page becomes another guest's: what was entered last counts, so it goes to the end. */
static void enter(struct history *h, u64 vcpu, u64 root, unsigned asked)
{
    unsigned i = 0;
    while (i < h->guest_count && (h->guests[i].vcpu != vcpu || h->guests[i].root != root)) {
        i++;
    }
    if (i < h->guest_count) {
        h->guests[i].depth = asked > 0 ? asked + 1 : h->guests[i].depth;
        return;
    }
    if (h->guest_count == GUESTS) { /* the oldest is forgotten */
        memmove(h->guests, h->guests + 1, (GUESTS - 1) * sizeof h->guests[0]);
        h->guest_count--;
    }
    unsigned number = history_guest(h, vcpu, root);
    h->guests[h->guest_count].vcpu = vcpu;
    h->guests[h->guest_count].root = root;
    h->guests[h->guest_count].depth = asked + 1;
    h->guests[h->guest_count++].number = number > 0 ? number : ++h->numbers;
}

bool history_is_nested_entry(u64 reason)
{
    return reason == EXIT_VMLAUNCH || reason == EXIT_VMRESUME || reason == (TRACE_EXIT_SVM | SVM_EXIT_VMRUN);
}

static void follow_depth(struct history *h, enum trace_event event, u32 cpu, const u64 *args)
{
    if (cpu >= CPU_MAX) {
        return;
    }
    if (event == TRACE_EVENT_vm_exit) {
        h->asked[cpu] = history_is_nested_entry(args[0]) ? history_depth(h, args[4]) : 0;
    } else if (event == TRACE_EVENT_vm_entry) {
        enter(h, args[0], args[2], h->asked[cpu]);
        h->asked[cpu] = 0;
    }
}

static void on_event(void *self, u32 event, u32 cpu, u32 argc, const u64 *args, const void *data, u32 size)
{
    struct history *h = self;
    u64 all[5] = {0};
    memcpy(all, args, argc * sizeof *args);
    if (history_notes((enum trace_event)event, args)) {
        follow_depth(h, (enum trace_event)event, cpu, all);
        follow(h);
        if (h->count == NOTES_MAX) {
            u64 half = h->count / 2;
            memmove(h->notes, h->notes + half, (h->count - half) * sizeof *h->notes);
            h->base += half;
            h->count -= half;
        }
        if (h->count == h->cap) {
            h->cap = 2 * h->cap + 1024;
            h->notes = realloc(h->notes, h->cap * sizeof *h->notes);
            sim_assert(h->notes != NULL);
        }
        struct stored *n = &h->notes[h->count++];
        *n = (struct stored){.position = clock_position(&h->m->clock).n, .event = (u8)event, .cpu = (u8)cpu};
        memcpy(n->args, all, sizeof all);
        if (event == TRACE_EVENT_hypercall && size == REGISTERS_BYTES) {
            memcpy(h->registers[h->registers_next % REGISTER_RING], data, REGISTERS_BYTES);
            n->registers = ++h->registers_next;
        } else if (size > 0 && event != TRACE_EVENT_hypercall) {
            n->text = keep_text(h, data, size);
        }
        h->m->seen = h->base + h->count;
    }
    h->event(h->self, (enum trace_event)event, cpu, all);
}

void history_tell(struct history *h, u32 classes)
{
    const struct trace_look look = {.classes = HISTORY_CLASSES | classes, .event = on_event, .self = h};
    trace_set_look(&h->m->trace, &look);
}

struct history *history_new(struct machine *m,
                            void (*event)(void *self, enum trace_event event, u32 cpu, const u64 *args), void *self)
{
    struct history *h = calloc(1, sizeof *h);
    sim_assert(h != NULL);
    h->m = m;
    h->event = event;
    h->self = self;
    h->base = m->seen;
    h->registers = calloc(REGISTER_RING, REGISTERS_BYTES);
    h->texts = calloc(TEXTS, sizeof *h->texts);
    sim_assert(h->registers != NULL && h->texts != NULL);
    history_tell(h, 0);
    return h;
}

void history_free(struct history *h)
{
    if (h == NULL) {
        return;
    }
    trace_set_look(&h->m->trace, &(struct trace_look){0});
    for (u32 i = 0; i < TEXTS; i++) {
        free(h->texts[i]);
    }
    free(h->texts);
    free(h->notes);
    free(h->registers);
    free(h);
}

u64 history_count(struct history *h)
{
    follow(h);
    return h->base + h->count;
}

bool history_note(struct history *h, u64 n, struct note *note)
{
    if (n < h->base || n >= h->base + h->count) {
        return false;
    }
    const struct stored *s = &h->notes[n - h->base];
    *note = (struct note){.position = s->position, .event = s->event, .cpu = s->cpu};
    memcpy(note->args, s->args, sizeof note->args);
    note->text = s->text != 0 ? h->texts[s->text - 1] : NULL;
    bool kept = s->registers != 0 && h->registers_next - s->registers < REGISTER_RING;
    note->registers = kept ? h->registers[(s->registers - 1) % REGISTER_RING] : NULL;
    return true;
}

bool history_last(struct history *h, u64 end, enum trace_event event, u32 cpu, struct note *note, u64 *number)
{
    follow(h);
    end = end < h->base + h->count ? end : h->base + h->count;
    while (end > h->base) {
        end--;
        const struct stored *s = &h->notes[end - h->base];
        if (s->event == event && (cpu == ~0u || s->cpu == cpu)) {
            *number = end;
            return history_note(h, end, note);
        }
    }
    return false;
}
