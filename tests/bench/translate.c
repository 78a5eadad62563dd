/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What translating costs: runs a machine to a position with everything translated at once, then translates all blocks that
 * are still there again, and prints processor time and host code for an instruction.
 *
 * usage: bench_translate POSITION OPTIONS OF vitrine run ... */
#include "harness/option_machine.h"
#include "jit/jit_priv.h"

#include <time.h>

#define ROUNDS 5u

static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* All translated blocks, as their decoded forms, which stay. */
static struct block **blocks_of(const struct jit *j, u32 *count)
{
    struct block **list = calloc(j->block_count, sizeof(struct block *));
    *count = 0;
    for (u32 n = 1; list != NULL && n < j->block_count; n++) {
        if (j->blocks[n].b != NULL) {
            list[(*count)++] = j->blocks[n].b;
        }
    }
    return list;
}

int main(int argc, char **argv)
{
    struct run_options o;
    if (argc < 3) {
        (void)fprintf(stderr, "usage: bench_translate POSITION OPTIONS\n");
        return EXIT_STATUS_USAGE;
    }
    take_options(&o, argc - 2, argv + 2);
    o.machine.engine = ENGINE_JIT;
    o.machine.jit_threshold = 0;
    struct machine *m = machine_of_options(&o);
    run_machine_to(m, strtoull(argv[1], NULL, 0));
    struct jit *j = m->jit;
    u32 count;
    struct block **list = blocks_of(j, &count);
    double best = 0;
    u64 ops = 0, bytes = 0;
    for (unsigned round = 0; round < ROUNDS && list != NULL; round++) {
        for (unsigned region = 0; region < JIT_REGIONS; region++) {
            jit_evict_region(j, region);
        }
        struct jit_stats before = *jit_stats(j);
        double t = cpu_seconds();
        for (u32 i = 0; i < count; i++) {
            (void)jit_translate(j, &m->cpus[0], list[i]);
        }
        t = cpu_seconds() - t;
        ops = jit_stats(j)->ops - before.ops;
        bytes = jit_stats(j)->bytes - before.bytes;
        best = round == 0 || t < best ? t : best;
    }
    (void)printf("%.1f ns, %.1f bytes of host code an instruction; %u blocks, %llu instructions\n", 1e9 * best / (double)ops,
                 (double)bytes / (double)ops, count, (unsigned long long)ops);
    free(list);
    machine_free(m);
    options_free(&o);
    return 0;
}
