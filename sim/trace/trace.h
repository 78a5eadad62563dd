/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace of one machine: which classes of events are on, and the file they go to.
 *
 * Records are collected in memory and leave in self-contained, compressed, checked chunks
 * (trace/format.h), so that a recording whose writer was killed is readable to its last chunk.
 * Nothing here changes what a guest sees; a full disk ends the recording, not the machine. */
#ifndef VITRINE_TRACE_TRACE_H
#define VITRINE_TRACE_TRACE_H

#include "base/clock.h"
#include "base/status.h"
#include "base/types.h"

/* Classes of --trace: name on the command line, meaning. */
#define TRACE_CLASSES(X)                                                                           \
    X(INPUT, "input", "what came from outside: all that a replay needs")                           \
    X(MARK, "mark", "state hashes, and the end of the run")                                        \
    X(CONSOLE, "console", "lines that the guest prints")                                           \
    X(CPU, "cpu", "resets and starts of processors")                                               \
    X(INT, "int", "exceptions and interrupts, raised, injected, delivered")                        \
    X(CR, "cr", "reads and writes of control registers")                                                     \
    X(MSR, "msr", "accesses to model-specific registers")                                          \
    X(IO, "io", "ports and memory-mapped devices (many)")                                          \
    X(VIRT, "virt", "VM entries, exits and what was refused, with the rule that decided")          \
    X(HYPERCALL, "hypercall", "guests' calls of their hypervisor, and the results")                \
    X(EPT, "ept", "what EPT and NPT refuse")                                                       \
    X(TLB, "tlb", "instructions that invalidate translations")                                     \
    X(IOMMU, "iommu", "what IOMMUs block")                                                         \
    X(WATCH, "watch", "guests, what they and devices reach and share")                             \
    X(DMA, "dma", "devices' accesses to memory")                                                   \
    X(NET, "net", "frames of the network card")                                                    \
    X(OWNER, "owner", "who comes to reach which memory, and the map at the end, with --watch")     \
    X(TABLE, "table", "changes of second-level and IOMMU tables, with --watch")                    \
    X(PORT, "port", "records of the trace port")

enum trace_class {
#define X(id, name, meaning) TRACE_CLASS_##id,
    TRACE_CLASSES(X)
#undef X
        TRACE_CLASS_COUNT
};

/* On in every recording. */
#define TRACE_ALWAYS                                                                               \
    ((u32)1 << TRACE_CLASS_INPUT | (u32)1 << TRACE_CLASS_MARK | (u32)1 << TRACE_CLASS_CONSOLE |    \
     (u32)1 << TRACE_CLASS_CPU)

#define TRACE_NO_CPU 0xffu /* the machine, not a processor */

/* What a guest does that has a second half: from its exit to the entry that follows it. The table is of
 * fixed size and direct mapped; it serves the trace alone. */
enum trace_open_kind { TRACE_OPEN_NOTHING, TRACE_OPEN_CPUID, TRACE_OPEN_HYPERCALL };
#define TRACE_GUESTS 64u
struct trace_guest {
    u64 vcpu, root;
    enum trace_open_kind open;
    u64 number;     /* CPUID: the leaf; a hypercall's number */
    u32 interface;  /* enum trace_interface of the call */
    u32 interfaces; /* by TRACE_INTERFACE bits: what CPUID told this guest */
};

/* Somebody who looks at events as they happen, whether they are recorded or not (the debugger). */
struct trace_look {
    u32 classes;
    void (*event)(void *self, u32 event, u32 cpu, u32 argc, const u64 *args, const void *data, u32 size);
    void *self;
};

struct trace {
    u32 classes;  /* bit per trace_class: recorded or looked at; 0: nothing happens */
    u32 recorded; /* ... that go to the file */
    struct trace_look look;
    const struct clock *clock;
    int fd;           /* -1: none */
    u8 *records;      /* of the chunk being filled */
    size_t used;
    u64 count;        /* records in it */
    u64 first_position;
    u32 running; /* the processor whose turn it is, or TRACE_NO_CPU: for what happens on its behalf */
    u64 chunks, bytes_out;
    struct trace_guest guests[TRACE_GUESTS];
    u32 interfaces; /* of any guest */
    struct error error; /* why the recording ended early */
};

static inline bool trace_on(const struct trace *t, enum trace_class c)
{
    return UNLIKELY(t != NULL && (t->classes & (u32)1 << c) != 0);
}

static inline bool trace_on_any(const struct trace *t, u32 classes)
{
    return UNLIKELY(t != NULL && (t->classes & classes) != 0);
}

static inline u32 trace_running(const struct trace *t)
{
    return t != NULL ? t->running : TRACE_NO_CPU;
}

void trace_init(struct trace *t, const struct clock *clock);
/* Which classes go to the file from here on. */
void trace_set_recorded(struct trace *t, u32 classes);
/* event NULL: nobody looks on any more. */
void trace_set_look(struct trace *t, const struct trace_look *look);
/* Start a recording: the file's header and a first chunk that holds `config`, a text. Takes the
 * file descriptor. */
bool trace_start(struct trace *t, int fd, u32 classes, const char *config, struct error *err);
/* Write out what is collected as a chunk; nothing to do when that is nothing. */
void trace_flush(struct trace *t);
/* Write a piece of a snapshot's state, TRACE_STATE_BYTES at most. */
void trace_put_state(struct trace *t, const void *data, size_t n);
/* Flush and close. False with a line in *err if the recording is not complete. */
bool trace_finish(struct trace *t, struct error *err);

/* "int,io" or "all" into bits. False when a name is unknown. */
bool trace_parse_classes(const char *list, u32 *classes);
const char *trace_class_name(enum trace_class c);

#endif
