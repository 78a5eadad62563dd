/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine run: boot a machine, show its consoles, report how it ended. */
#include "debugger/cli.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_fail(const struct error *err)
{
    (void)fprintf(stderr, "vitrine: %s\n", err->text);
    return (int)err->status;
}

static volatile int *interrupt_flag; /* of the one machine this process runs */

static void on_interrupt(int signal)
{
    UNUSED(signal);
    if (interrupt_flag != NULL) {
        *interrupt_flag = 1;
    }
}

static bool open_consoles(struct machine *m, struct error *err)
{
    for (unsigned i = 0; i < m->console_count; i++) {
        const struct console_config *c =
            i < m->config.serial_count ? &m->config.serial[i] : &m->config.debugcon;
        switch (c->kind) {
        case CONSOLE_STDIO:
            m->consoles[i].fd_out = STDOUT_FILENO;
            break;
        case CONSOLE_FILE:
            m->consoles[i].fd_out = open(c->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
            if (m->consoles[i].fd_out < 0) {
                return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written", c->path);
            }
            break;
        case CONSOLE_PTY:
        case CONSOLE_NONE:
            break;
        }
    }
    return true;
}

struct ending {
    const char *name;
    int status;
};

static struct ending ending_of(const struct machine *m, const struct run_result *r)
{
    switch (r->reason) {
    case STOP_POWER_OFF: return (struct ending){"power-off", m->config.stop_on != NULL ? EXIT_STATUS_STOP_ON_UNMET : EXIT_STATUS_OK};
    case STOP_ON_TEXT: return (struct ending){"stop-on", EXIT_STATUS_OK};
    case STOP_DEBUG_EXIT: return (struct ending){"debug-exit", (int)((r->code << 1 | 1) & 0xff)};
    case STOP_LIMIT: return (struct ending){"limit", EXIT_STATUS_LIMIT};
    case STOP_RESET: return (struct ending){"reset", m->config.stop_on != NULL ? EXIT_STATUS_STOP_ON_UNMET : EXIT_STATUS_OK};
    case STOP_TRIPLE_FAULT: return (struct ending){"triple-fault", EXIT_STATUS_RESET};
    case STOP_ALL_HALTED: return (struct ending){"all-halted", EXIT_STATUS_ALL_HALTED};
    case STOP_INTERRUPTED: return (struct ending){"interrupted", EXIT_STATUS_INTERRUPTED};
    case STOP_QUIT: return (struct ending){"quit", EXIT_STATUS_OK};
    case STOP_STRICT: return (struct ending){"strict", EXIT_STATUS_INTERNAL};
    case STOP_ERROR: return (struct ending){"error", (int)m->error.status};
    case STOP_NONE: break;
    }
    return (struct ending){"none", EXIT_STATUS_INTERNAL};
}

static int run_machine(struct run_options *o, struct machine *m)
{
    struct error err = {0};
    m->log.classes = o->log_classes;
    m->log.strict = o->strict;
    if (o->log_file != NULL) {
        m->log.out = fopen(o->log_file, "w");
        if (m->log.out == NULL) {
            (void)error_set(&err, EXIT_STATUS_BAD_FILE, "%s: cannot be written", o->log_file);
            return cli_fail(&err);
        }
    }
    if (!open_consoles(m, &err)) {
        return cli_fail(&err);
    }
    interrupt_flag = &m->interrupted;
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = on_interrupt;
    (void)sigaction(SIGINT, &sa, NULL);
    (void)sigaction(SIGTERM, &sa, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    struct run_result r = machine_run(m);
    for (unsigned i = 0; i < m->set.count; i++) {
        const struct cpu_arch *a = &m->set.cpu[i]->arch;
        log_line(&m->log, LOG_CPU, "cpu%u stopped at %04x:%016llx activity %u", i, a->seg[SEG_CS].sel,
                 (unsigned long long)a->rip, (unsigned)a->activity);
    }
    struct ending e = ending_of(m, &r);
    if (r.reason == STOP_ERROR) {
        (void)cli_fail(&m->error);
    }
    if (!machine_commit(m, &err)) {
        e.status = cli_fail(&err);
    }
    if (o->hash) {
        (void)printf("\nposition %llu time %llu ns hash %016llx end %s\n",
                     (unsigned long long)clock_position(&m->clock).n,
                     (unsigned long long)clock_now(&m->clock).ns, (unsigned long long)machine_hash(m),
                     e.name);
    }
    if (m->log.out != NULL) {
        (void)fclose(m->log.out);
    }
    return e.status;
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
    } else {
        struct machine *m = machine_new(&o.machine, &err);
        status = m != NULL ? run_machine(&o, m) : cli_fail(&err);
        machine_free(m);
    }
    options_free(&o);
    return status;
}
