/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole machines with 16 MiB that say nothing, mostly with a guest of tests/guests/tiny. VITRINE_ENGINE is their engine,
 * unless a test chooses. */
#ifndef VITRINE_TESTS_UNIT_MACHINE_RIG_H
#define VITRINE_TESTS_UNIT_MACHINE_RIG_H

#include "machine/machine.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static inline struct machine_config small_config(const char *model)
{
    struct machine_config c;
    struct error err = {0};
    machine_config_init(&c);
    ck_assert(cpu_model_parse(&c.model, model, &err));
    c.ram_bytes = MIB(16);
    const char *engine = getenv("VITRINE_ENGINE");
    c.engine = engine == NULL || strcmp(engine, "interp") == 0 ? ENGINE_INTERP
               : strcmp(engine, "lockstep") == 0              ? ENGINE_LOCKSTEP
                                                              : ENGINE_JIT;
    c.jit_threshold = 2;
    c.serial[c.serial_count++].kind = CONSOLE_NONE;
    return c;
}

static inline struct machine *machine_of(const struct machine_config *c)
{
    struct error err = {0};
    struct machine *m = machine_new(c, &err);
    ck_assert_msg(m != NULL, "%s", err.text);
    return m;
}

static inline u64 position_of(const struct machine *m)
{
    return clock_position(&m->clock).n;
}

#endif
