/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A wired OR of interrupt sources with several receivers. Nothing is left out. */
#include "devices/irq_or.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>

struct irq_or {
    char id[32];                             /* configuration */
    struct irq_line sinks[IRQ_OR_MAX_SINKS]; /* configuration */
    unsigned sink_count, source_count;       /* configuration */
    u64 levels;                              /* bit per source */
};

static void irq_or_set(void *self, unsigned n, bool level)
{
    struct irq_or *w = self;
    bool before = w->levels != 0;
    w->levels = level ? w->levels | BIT(n) : w->levels & ~BIT(n);
    bool after = w->levels != 0;
    for (unsigned i = 0; i < w->sink_count && before != after; i++) {
        irq_set(&w->sinks[i], after);
    }
}

/* The sources drop their levels in their own resets; whoever keeps one high keeps it. */
static void irq_or_reset(void *self, enum reset_kind kind)
{
    UNUSED(self);
    UNUSED(kind);
}

static void irq_or_state(void *self, struct state_io *io)
{
    struct irq_or *w = self;
    state_section(io, w->id, 1);
    state_u64(io, "levels", &w->levels);
}

static const struct device_ops irq_or_ops = {
    .type = "irq_or", .reset = irq_or_reset, .state = irq_or_state, .destroy = free};

struct irq_or *irq_or_new(const struct device_env *env, const char *id,
                          const struct irq_line *sinks, unsigned sink_count)
{
    sim_assert(sink_count <= IRQ_OR_MAX_SINKS);
    struct irq_or *w = calloc(1, sizeof *w);
    sim_assert(w != NULL);
    (void)snprintf(w->id, sizeof w->id, "%s", id);
    for (unsigned i = 0; i < sink_count; i++) {
        w->sinks[i] = sinks[i];
    }
    w->sink_count = sink_count;
    bus_add_device(env->bus, &irq_or_ops, w, id);
    return w;
}

struct irq_line irq_or_source(struct irq_or *wire)
{
    sim_assert(wire->source_count < 64);
    return (struct irq_line){.set = irq_or_set, .target = wire, .n = wire->source_count++};
}
