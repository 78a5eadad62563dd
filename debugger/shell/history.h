/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happened between guests and hypervisors, as the debugger noted it: exits, entries, refusals, hypercalls,
 * faults. It goes back in time with the machine. */
#ifndef VITRINE_DEBUGGER_SHELL_HISTORY_H
#define VITRINE_DEBUGGER_SHELL_HISTORY_H

#include "machine/machine.h"
#include "trace/events.h"

struct history;

struct note {
    u64 position;
    u64 args[5];
    u8 event; /* enum trace_event */
    u8 cpu;
    const char *text; /* what the event said in words, or NULL; lives as long as the history */
    const u8 *registers; /* of a hypercall: 8 registers, or NULL */
};

/* `event` is called after each was noted. */
struct history *history_new(struct machine *m,
                            void (*event)(void *self, enum trace_event event, u32 cpu, const u64 *args), void *self);
/* Is it one that is noted? */
bool history_notes(enum trace_event event, const u64 *args);
void history_free(struct history *h);
/* Also tell of these classes of events, which are not noted. */
void history_tell(struct history *h, u32 classes);
/* How many notes there are up to now, and the n-th. */
u64 history_count(struct history *h);
bool history_note(struct history *h, u64 n, struct note *note);
/* The last note of an event (cpu ~0: any processor) before note `end`; false: none. */
bool history_last(struct history *h, u64 end, enum trace_event event, u32 cpu, struct note *note, u64 *number);

/* How deep a guest runs: 1 under the machine's owner, 2 under such a guest. 0: its VMCS or VMCB was never entered. */
unsigned history_depth(const struct history *h, u64 vcpu);
/* The number of a guest as `levels` has it, from 1; 0: never entered. root: its second-level tables, 0 without. */
unsigned history_guest(const struct history *h, u64 vcpu, u64 root);
/* Does this exit mean that the guest wants to run a guest of its own? */
bool history_is_nested_entry(u64 reason);

#define HISTORY_CLASSES                                                                            \
    ((u32)1 << TRACE_CLASS_VIRT | (u32)1 << TRACE_CLASS_HYPERCALL | (u32)1 << TRACE_CLASS_EPT |    \
     (u32)1 << TRACE_CLASS_IOMMU | (u32)1 << TRACE_CLASS_INT)

#endif
