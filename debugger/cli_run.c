/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine run: boot a machine, show its consoles, report how it ended. */
#include "debugger/cli.h"
#include "machine/claims.h"
#include "machine/watching.h"
#include "traces/load.h"
#include "traces/snapshot.h"

#include <string.h>

static int run_machine(struct run_options *o, struct machine *m)
{
    struct error err = {0};
    struct run_result r;
    if ((o->load != NULL && !record_load(o, m, &err)) || !record_start(o, m, &err) ||
        !session_run(o, m, true, &r, &err)) {
        return cli_fail(&err);
    }
    for (unsigned i = 0; i < m->set.count; i++) {
        const struct cpu_arch *a = &m->set.cpu[i]->arch;
        log_line(&m->log, LOG_CPU, "cpu%u stopped at %04x:%016llx activity %u", i, a->seg[SEG_CS].sel,
                 (unsigned long long)a->rip, (unsigned)a->activity);
    }
    int status = session_status(m, &r);
    if (r.reason == STOP_ERROR || r.reason == STOP_DIFFERS) {
        (void)cli_fail(&m->error);
    }
    bool looked = o->debug != NULL && !o->watch; /* the debugger has told of them */
    if (status == EXIT_STATUS_OK && !looked && watching_violations(m) != 0) {
        status = EXIT_STATUS_VIOLATION;
    }
    if (status == EXIT_STATUS_OK && claims_differ(m) != 0) {
        status = EXIT_STATUS_DIFFERS;
    }
    if (o->hash) {
        session_print_hash(m, &r);
    }
    /* The changes of the disks of a saved machine are in the snapshot: it needs the files as they were. */
    bool kept = o->save == NULL || record_save(o, m, o->save, &err);
    if (!record_finish(m, &r, o->save == NULL, &err) || !kept) {
        status = cli_fail(&err);
    }
    return status;
}

/* The value of --load among the arguments; NULL: none. */
static const char *find_load(int argc, char **argv)
{
    for (int i = 0; i + 1 < argc; i++) {
        if (strcmp(argv[i], "--load") == 0 || strcmp(argv[i], "-load") == 0) {
            return argv[i + 1];
        }
    }
    return NULL;
}

/* A saved machine's options come first. */
static bool take_saved_options(struct run_options *o, const char *path, struct error *err)
{
    struct snapshot s;
    if (path == NULL) {
        return true;
    }
    if (!snapshot_read(&s, path, err)) {
        return false;
    }
    const struct loaded_recording was = {.config = s.config};
    bool ok = record_restore(o, &was, NULL, 0, err);
    snapshot_free(&s);
    o->host_side_only = o->going_on = true;
    return ok;
}

static int run(int argc, char **argv, bool as_qemu, const struct debug_options *debug)
{
    struct error err = {0};
    struct run_options o;
    options_init(&o, as_qemu);
    o.debug = debug;
    int status;
    if (!take_saved_options(&o, find_load(argc, argv), &err) || !options_parse(&o, argc, argv, &err)) {
        status = cli_fail(&err);
    } else if (o.help) {
        status = EXIT_STATUS_OK;
    } else if (!options_prepare(&o, &err)) {
        status = cli_fail(&err);
    } else {
        struct machine *m = machine_new(&o.machine, &err);
        status = m != NULL ? run_machine(&o, m) : cli_fail(&err);
        machine_free(m);
    }
    options_free(&o);
    return status;
}

int cli_run(int argc, char **argv, bool as_qemu)
{
    return run(argc, argv, as_qemu, NULL);
}

int cli_run_debugged(int argc, char **argv, const struct debug_options *debug)
{
    return run(argc, argv, false, debug);
}
