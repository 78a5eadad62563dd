/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What going back costs: run a machine to a position, then step back from there, and print the processor time
 * of the first step, of those that follow, of steps on from a place reached by `goto`, and of a last write.
 *
 * usage: bench_travel [FROM-]POSITION STEPS OPTIONS OF vitrine run ...       FROM: where history begins */
#include "harness/draw.h"
#include "harness/option_machine.h"
#include "machine/travel.h"

#include <time.h>

static double seconds(clockid_t which)
{
    struct timespec t;
    (void)clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct lap {
    double wall, cpu;
};

static struct lap lap(void)
{
    return (struct lap){seconds(CLOCK_MONOTONIC), seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

static struct lap since(struct lap start)
{
    struct lap now = lap();
    return (struct lap){now.wall - start.wall, now.cpu - start.cpu};
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void must(struct run_result r, const char *what)
{
    if (r.reason != STOP_POSITION) {
        (void)fprintf(stderr, "bench: %s ended with %s\n", what, stop_reason_name(r.reason));
        exit(1);
    }
}

/* `count` steps back from `from`, `rounds` times from different places. */
static void steps_back(struct machine *m, const char *title, u64 from, unsigned count)
{
    double *ms = calloc(count, sizeof *ms);
    if (position_of(m) != from) { /* else going there would leave the finer checkpoints that the first step lacks */
        must(travel_to(m, from), "goto");
    }
    struct lap first = lap();
    must(travel_step_back(m), "the first step");
    first = since(first);
    double sum = 0;
    for (unsigned i = 0; i < count; i++) {
        struct lap t = lap();
        must(travel_step_back(m), "a step");
        ms[i] = since(t).cpu * 1e3;
        sum += ms[i];
    }
    qsort(ms, count, sizeof *ms, by_value);
    (void)printf("%-28s first %8.1f ms (%.1f wall); following: median %6.2f, mean %6.2f, worst %6.2f ms\n", title,
                 first.cpu * 1e3, first.wall * 1e3, ms[count / 2], sum / count, ms[count - 1]);
    (void)fflush(stdout);
    free(ms);
}

static void measure(struct machine *m, u64 position, unsigned count)
{
    struct error err = {0};
    struct lap t = lap();
    if (!travel_start(m, NULL, &err)) {
        (void)fprintf(stderr, "bench: %s\n", err.text);
        exit(1);
    }
    run_machine_to(m, position);
    t = since(t);
    struct travel_figures f = travel_figures(m);
    (void)printf("%llu to %llu: %.1f s of processor, %.1f wall; %llu checkpoints, %llu MiB, %llu counts apart at the end%s\n",
                 (unsigned long long)f.first, (unsigned long long)position_of(m), t.cpu, t.wall, (unsigned long long)f.count,
                 (unsigned long long)f.bytes >> 20, (unsigned long long)f.spacing,
                 m->cpus[0].arch.guest != GUEST_NONE ? ", in a guest" : "");
    (void)fflush(stdout);
    u64 hash = machine_hash(m);
    u64 end = position_of(m);
    steps_back(m, "from the end:", end, count);
    must(travel_to(m, end), "goto");
    if (machine_hash(m) != hash) {
        (void)fprintf(stderr, "bench: the machine is another\n");
        exit(1);
    }
    for (unsigned i = 0; i < 4; i++) { /* places all over the run */
        char title[40];
        u64 place = f.first + draw() % (end - f.first);
        (void)snprintf(title, sizeof title, "from %llu:", (unsigned long long)place);
        t = lap();
        must(travel_to(m, place), "goto");
        t = since(t);
        (void)printf("goto %-23llu       %8.1f ms\n", (unsigned long long)place, t.cpu * 1e3);
        steps_back(m, title, place, count);
    }
}

int main(int argc, char **argv)
{
    struct run_options o;
    if (argc < 4) {
        (void)fprintf(stderr, "usage: bench_travel [FROM-]POSITION STEPS OPTIONS\n");
        return EXIT_STATUS_USAGE;
    }
    take_options(&o, argc - 3, argv + 3);
    struct machine *m = machine_of_options(&o);
    char *end;
    u64 first = strtoull(argv[1], &end, 0);
    if (*end == '-') {
        run_machine_to(m, first);
        first = strtoull(end + 1, &end, 0);
    }
    measure(m, first, (unsigned)atoi(argv[2]));
    machine_free(m);
    options_free(&o);
    return 0;
}
