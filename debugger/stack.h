/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stack files: a machine that ships, in YAML. (guests/stacks/README.md) */
#ifndef VITRINE_DEBUGGER_STACK_H
#define VITRINE_DEBUGGER_STACK_H

#include "base/status.h"
#include "base/types.h"

struct stack_module {
    char *file, *args; /* args: NULL none */
};

struct stack {
    char *name, *description;
    struct {
        char *cpu, *memory;
        unsigned smp;
    } machine;
    char *kernel;
    struct stack_module *modules;
    unsigned modules_count;
    char *script; /* typed at the console, beside the stack file; NULL none */
    bool watch;
    char **devices; /* as --device takes them */
    unsigned devices_count;
};

/* NULL with a line in *err. Freed with stack_free. */
struct stack *stack_load(const char *path, struct error *err);
void stack_free(struct stack *s);
int cli_stack(int argc, char **argv);

#endif
