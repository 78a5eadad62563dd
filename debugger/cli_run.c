/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine run: boot a machine, show its consoles, report how it ended. */
#include "debugger/cli.h"

static int run_machine(struct run_options *o, struct machine *m)
{
    struct error err = {0};
    struct run_result r;
    if (!record_start(o, m, &err) || !session_run(o, m, true, &r, &err)) {
        return cli_fail(&err);
    }
    for (unsigned i = 0; i < m->set.count; i++) {
        const struct cpu_arch *a = &m->set.cpu[i]->arch;
        log_line(&m->log, LOG_CPU, "cpu%u stopped at %04x:%016llx activity %u", i, a->seg[SEG_CS].sel,
                 (unsigned long long)a->rip, (unsigned)a->activity);
    }
    int status = session_status(m, &r);
    if (r.reason == STOP_ERROR) {
        (void)cli_fail(&m->error);
    }
    if (o->hash) {
        session_print_hash(m, &r);
    }
    if (!record_finish(m, &r, true, &err)) {
        status = cli_fail(&err);
    }
    return status;
}

int cli_run(int argc, char **argv, bool as_qemu)
{
    struct error err = {0};
    struct run_options o;
    options_init(&o, as_qemu);
    int status;
    if (!options_parse(&o, argc, argv, &err)) {
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
