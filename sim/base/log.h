/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the simulator has to say while it runs. One log per machine: no global state.
 * Guest errors and unmodelled behaviour are counted and printed once per call site's text;
 * with `strict` the run loop stops at the first one. Logging never changes what a guest sees. */
#ifndef VITRINE_BASE_LOG_H
#define VITRINE_BASE_LOG_H

#include "base/types.h"

#include <stdio.h>

/* Classes of --log; one row each: name on the command line, meaning. */
#define LOG_CLASSES(X)                                                                             \
    X(GUEST_ERROR, "guest_errors", "what a guest does that no manual allows")                      \
    X(UNIMP, "unimp", "what is not modelled")                                                      \
    X(INT, "int", "interrupts and exceptions as they are delivered")                               \
    X(CPU, "cpu", "resets, mode changes, start of processors")                                     \
    X(DEVICE, "device", "devices: configuration and errors")                                       \
    X(IOMMU, "iommu", "what IOMMUs block, with the reason, and their switches")                 \
    X(WATCH, "watch", "guests found, pages shared, hypercalls")                                   \
    X(VMX, "vmx", "VM entries, exits and failures, with reasons")                                  \
    X(SVM, "svm", "VMRUN, #VMEXIT and failures, with reasons")                                     \
    X(EXEC, "exec", "every instruction, disassembled (slow)")                                      \
    X(JIT, "jit", "the translator's figures")

enum log_class {
#define X(id, name, meaning) LOG_##id,
    LOG_CLASSES(X)
#undef X
        LOG_CLASS_COUNT
};

struct log {
    u32 classes;     /* bit per log_class */
    bool strict;     /* stop at the first guest error or unmodelled behaviour */
    bool strict_hit; /* one was seen; the run loop looks at this */
    u64 counts[LOG_CLASS_COUNT];
    FILE *out; /* NULL: stderr */
    u64 seen[256]; /* hashes of one-time messages already printed */
    unsigned seen_count;
};

void log_init(struct log *log);
/* Parse "int,cpu" or "all" into classes. False when a name is unknown. */
bool log_parse_classes(const char *list, u32 *classes);

static inline bool log_on(const struct log *log, enum log_class c)
{
    return UNLIKELY((log->classes & ((u32)1 << c)) != 0);
}

/* Print a line when the class is on. */
void log_line(struct log *log, enum log_class c, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Count; print each distinct text once when the class is on; stop under strict. */
void log_guest_error(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);
void log_unimp(struct log *log, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
