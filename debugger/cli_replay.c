/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine replay: a recorded machine runs again, bit for bit, and is checked on the way. */
#include "debugger/debug.h"

#include "traces/load.h"

#include <string.h>

#define MAX_MAPS 64

struct replay_arguments {
    const char *trace;
    struct file_map map[MAX_MAPS];
    unsigned map_count;
    char *rest[128]; /* options of `run` that a replay may have */
    int rest_count;
    bool quiet, help, debug;
    struct debug_options debugger;
};

static void help(FILE *out)
{
    (void)fprintf(out,
                  "usage: vitrine replay FILE [options]\n"
                  "Run a recorded machine again and check it against the recorded state hashes.\n\n"
                  "  --file OLD=NEW      a recorded file is at NEW now; repeatable\n"
                  "  --debug             under the debugger; with the debugger's own options, as `vitrine debug --help`\n"
                  "  --gdb [HOST:]PORT, -s, -S\n"
                  "                 GDB may connect; what would change the past is refused\n"
                  "  --quiet             do not show what the guest prints\n"
                  "  --record FILE       record the replay, with --trace CLASSES more than the first time\n"
                  "  --hash, --log CLASSES, -D FILE, --epoch N, --tlb-entries N, --engine E,\n"
                  "  --watch, --on-violation, --on-stale\n"
                  "                 as for `run`\n\n"
                  "Exit status: 0 when the replay is the recorded run, 73 at the first difference.\n");
}

static bool parse_map(struct replay_arguments *a, char *text, struct error *err)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || a->map_count == MAX_MAPS) {
        return error_set(err, EXIT_STATUS_USAGE, "--file %s: OLD=NEW is wanted", text);
    }
    *equals = '\0';
    a->map[a->map_count++] = (struct file_map){.from = text, .to = equals + 1};
    return true;
}

static bool parse(struct replay_arguments *a, int argc, char **argv, struct error *err)
{
    for (int i = 0; i < argc; i++) {
        const char *name = argv[i];
        if (name[0] != '-') {
            if (a->trace != NULL) {
                return error_set(err, EXIT_STATUS_USAGE, "%s: one recording at a time", name);
            }
            a->trace = name;
            continue;
        }
        name += name[1] == '-' ? 2 : 1;
        if (strcmp(name, "help") == 0 || strcmp(name, "h") == 0) {
            a->help = true;
            return true;
        }
        if (strcmp(name, "debug") == 0) {
            a->debug = true;
            continue;
        }
        static const char *const flags[] = {"hash", "quiet", "watch", "s", "S"};
        bool has_value = true;
        for (unsigned f = 0; f < ARRAY_LEN(flags); f++) {
            has_value = has_value && strcmp(name, flags[f]) != 0;
        }
        if (has_value && i + 1 == argc) {
            return error_set(err, EXIT_STATUS_USAGE, "--%s wants an argument", name);
        }
        if (strcmp(name, "quiet") == 0) {
            a->quiet = true;
        } else if (strcmp(name, "file") == 0) {
            if (!parse_map(a, argv[++i], err)) {
                return false;
            }
        } else {
            if (a->rest_count + 2 > (int)ARRAY_LEN(a->rest)) {
                return error_set(err, EXIT_STATUS_USAGE, "too many options");
            }
            a->rest[a->rest_count++] = argv[i];
            if (has_value) {
                a->rest[a->rest_count++] = argv[++i];
            }
        }
    }
    return a->trace != NULL ||
           error_set(err, EXIT_STATUS_USAGE, "which recording? usage: vitrine replay FILE");
}

/* The run is over: was it the recorded one? */
static bool check_end(struct machine *m, const struct loaded_recording *l,
                      const struct run_result *r, struct error *err)
{
    if (r->reason == STOP_DIFFERS) {
        return error_set(err, m->error.status, "%s", m->error.text);
    }
    if (!l->has_stop) {
        return r->reason == STOP_REPLAY_END ||
               error_set(err, EXIT_STATUS_DIFFERS,
                         "the replay differs: it ended (%s) at position %llu, before the recording does",
                         stop_reason_name(r->reason), (unsigned long long)clock_position(&m->clock).n);
    }
    bool ordered = l->reason == STOP_INTERRUPTED || l->reason == STOP_QUIT || l->reason == STOP_REPLAY_END;
    enum stop_reason wanted = ordered ? STOP_REPLAY_END : l->reason;
    if (r->reason != wanted || (!ordered && r->code != l->code)) {
        return error_set(err, EXIT_STATUS_DIFFERS,
                         "the replay differs: at position %llu it came to %s %u, recorded was %s %u at %llu",
                         (unsigned long long)clock_position(&m->clock).n, stop_reason_name(r->reason),
                         r->code, stop_reason_name(l->reason), l->code,
                         (unsigned long long)l->stop.position.n);
    }
    return evidence_compare(m, &l->stop, err);
}

static int replay(struct run_options *o, struct machine *m, const struct loaded_recording *l)
{
    struct error err = {0};
    struct run_result r;
    if ((o->load != NULL && !record_load(o, m, &err)) || !record_start(o, m, &err)) {
        return cli_fail(&err);
    }
    evidence_start_replay(m, &l->recording);
    if (!session_run(o, m, false, &r, &err)) {
        return cli_fail(&err);
    }
    if (o->hash) {
        session_print_hash(m, &r);
    }
    if (r.reason == STOP_INTERRUPTED) {
        (void)record_finish(m, &r, false, &err);
        return EXIT_STATUS_INTERRUPTED;
    }
    if (o->debug != NULL && r.reason == STOP_QUIT) {
        (void)record_finish(m, &r, false, &err);
        return EXIT_STATUS_OK;
    }
    bool same = check_end(m, l, &r, &err);
    struct run_result end = same && l->has_stop
                                ? (struct run_result){.reason = l->reason, .code = l->code}
                                : r;
    if (!record_finish(m, &end, false, &err) || !same) {
        return cli_fail(&err);
    }
    (void)fflush(stdout);
    (void)fprintf(stderr, "vitrine: the replay is the recorded run: %zu inputs, %zu state hashes, %s %s at "
                  "position %llu\n",
                  l->input_count, m->recording_next, l->has_stop ? "end" : "cut",
                  l->has_stop ? stop_reason_name(l->reason) : "(the recording has no end)",
                  (unsigned long long)clock_position(&m->clock).n);
    return EXIT_STATUS_OK;
}

static bool set_up(struct run_options *o, struct replay_arguments *a, const struct loaded_recording *l,
                   struct error *err)
{
    if (!record_restore(o, l, a->map, a->map_count, err)) {
        return false;
    }
    o->host_side_only = true;
    o->machine.disks_stay = true;
    if (!options_parse(o, a->rest_count, a->rest, err)) {
        return false;
    }
    if (a->quiet) {
        options_quiet(o);
    }
    o->debug = a->debug ? &a->debugger : NULL;
    return true;
}

int cli_replay(int argc, char **argv)
{
    struct error err = {0};
    struct replay_arguments a = {0};
    struct loaded_recording l = {0};
    struct run_options o;
    int status;
    bool debugged = false;
    for (int i = 0; i < argc; i++) {
        debugged |= strcmp(argv[i], "--debug") == 0 || strcmp(argv[i], "-debug") == 0;
    }
    if ((debugged && !debug_options_take(&a.debugger, &argc, argv, &err)) || !parse(&a, argc, argv, &err)) {
        return cli_fail(&err);
    }
    a.help |= a.debugger.help;
    if (!a.help && !debug_open(&a.debugger, &err)) {
        return cli_fail(&err);
    }
    if (a.help) {
        help(stdout);
        return EXIT_STATUS_OK;
    }
    options_init(&o, false);
    if (!recording_load(&l, a.trace, &err) || !set_up(&o, &a, &l, &err)) {
        status = cli_fail(&err);
    } else {
        struct machine *m = machine_new(&o.machine, &err);
        status = m != NULL && record_restore_disks(m, &l, &err) ? replay(&o, m, &l) : cli_fail(&err);
        machine_free(m);
    }
    options_free(&o);
    recording_free(&l);
    debug_close(&a.debugger);
    return status;
}
