/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One run of one machine in this process, live or replayed: signals, consoles, log, exit status. */
#include "debugger/cli.h"

#include "debugger/debug.h"
#include "debugger/gdb.h"
#include "machine/boot/boot.h"
#include "machine/watching.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int cli_fail(const struct error *err)
{
    char text[sizeof err->text];
    size_t i = 0;
    for (; err->text[i] != '\0'; i++) { /* what a user typed may hold a newline: it stays one line */
        text[i] = (unsigned char)err->text[i] < ' ' ? '?' : err->text[i];
    }
    text[i] = '\0';
    (void)fprintf(stderr, "vitrine: %s\n", text);
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

static void catch_signals(struct machine *m)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    interrupt_flag = &m->interrupted;
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = on_interrupt; /* without SA_RESTART: a wait for input ends */
    for (unsigned i = 0; i < ARRAY_LEN(signals); i++) {
        (void)sigaction(signals[i], &sa, NULL);
    }
    (void)signal(SIGPIPE, SIG_IGN);
}

static bool open_log(struct run_options *o, struct machine *m, struct error *err)
{
    m->log.classes = o->log_classes;
    m->log.strict = o->strict;
    if (o->log_file != NULL) {
        m->log.out = fopen(o->log_file, "w");
        if (m->log.out == NULL) {
            return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written", o->log_file);
        }
    }
    return true;
}

/* Run it to its end; at some positions on the way it is saved. Nothing of that can be seen by the guest. */
static bool run_and_save(const struct run_options *o, struct machine *m, struct run_result *result, struct error *err)
{
    bool over = false;
    for (unsigned i = 0; i < o->save_at_count; i++) {
        char path[8192];
        if (!over) {
            m->stop_at = o->save_at[i];
            *result = machine_run(m);
            m->stop_at = ~(u64)0;
            over = result->reason != STOP_POSITION;
        }
        if (m->clock.position < o->save_at[i]) { /* it may have ended at the very boundary: a string instruction counts many at once */
            return true;
        }
        (void)snprintf(path, sizeof path, "%s.%llu", o->save, (unsigned long long)o->save_at[i]);
        if (!record_save(o, m, path, err)) {
            return false;
        }
    }
    if (!over) {
        *result = machine_run(m);
    }
    return true;
}

/* Run it to its end, if asked for under GDB. */
static bool run_debugged(struct run_options *o, struct machine *m, bool live, struct run_result *result,
                         struct error *err)
{
    if (o->save_at_count > 0 && (o->save == NULL || o->debug != NULL || o->gdb != NULL)) {
        return error_set(err, EXIT_STATUS_USAGE, o->save == NULL ? "--save-at wants --save FILE for the name"
                                                                 : "--save-at: not under a debugger, which stops where it is told");
    }
    if (o->debug != NULL) {
        if (o->gdb != NULL) {
            return error_set(err, EXIT_STATUS_USAGE, "debug --gdb: run --gdb, whose `monitor` takes the shell's commands");
        }
        return debug_run(o->debug, m, live && o->record == NULL, result, err);
    }
    if (o->gdb == NULL) {
        if (o->gdb_wait) {
            return error_set(err, EXIT_STATUS_USAGE, "-S stands still until GDB says go: say where with --gdb or -s");
        }
        return run_and_save(o, m, result, err);
    }
    struct gdb *g = gdb_open(m, o->gdb, o->gdb_wait, live && o->record == NULL, err);
    if (g == NULL) {
        return false;
    }
    *result = gdb_run(g);
    gdb_close(g);
    return true;
}

bool session_run(struct run_options *o, struct machine *m, bool live, struct run_result *result,
                 struct error *err)
{
    struct outside_options options = {.live = live, .quiet = o->as_qemu || o->debug != NULL, .pace = o->pace};
    if (!open_log(o, m, err) || !outside_attach(m, &options, err)) {
        outside_detach(m);
        return false;
    }
    if (o->watch) {
        watching_start(m, o->on_violation);
    }
    if (o->look_for_stale) {
        watching_look_for_stale(m, o->on_stale);
    }
    catch_signals(m);
    if (!run_debugged(o, m, live, result, err)) {
        outside_detach(m);
        return false;
    }
    if (o->watch) {
        watching_record_owners(m);
        watch_print(watching_tracker(m), m->log.out != NULL ? m->log.out : stderr);
        watching_print_posted(m, m->log.out != NULL ? m->log.out : stderr);
    }
    if (o->look_for_stale) {
        watching_print_stale(m, m->log.out != NULL ? m->log.out : stderr);
    }
    outside_detach(m);
    interrupt_flag = NULL;
    if (m->log.out != NULL) {
        (void)fclose(m->log.out);
        m->log.out = NULL;
    }
    return true;
}

int session_status(const struct machine *m, const struct run_result *r)
{
    /* The guest came to an end of its own; was that what was waited for? */
    int own_end = m->config.stop_on != NULL ? EXIT_STATUS_STOP_ON_UNMET : EXIT_STATUS_OK;
    switch (r->reason) {
    case STOP_POWER_OFF:
    case STOP_RESET:
        return own_end;
    case STOP_ON_TEXT:
    case STOP_QUIT:
    case STOP_REPLAY_END:
        return EXIT_STATUS_OK;
    case STOP_DEBUG_EXIT:
        return (int)((r->code << 1 | 1) & 0xff);
    case STOP_LIMIT:
        return EXIT_STATUS_LIMIT;
    case STOP_TRIPLE_FAULT:
        return EXIT_STATUS_RESET;
    case STOP_ALL_HALTED:
        return EXIT_STATUS_ALL_HALTED;
    case STOP_INTERRUPTED:
        return EXIT_STATUS_INTERRUPTED;
    case STOP_ERROR:
    case STOP_DIFFERS:
        return (int)m->error.status;
    case STOP_VIOLATION:
        return EXIT_STATUS_VIOLATION;
    case STOP_POSITION: /* of the debugger; the command line asks for none */
    case STOP_BREAK:
    case STOP_STRICT:
    case STOP_NONE:
        break;
    }
    return EXIT_STATUS_INTERNAL;
}

void session_print_hash(struct machine *m, const struct run_result *r)
{
    (void)printf("\nposition %llu time %llu ns hash %016llx end %s\n",
                 (unsigned long long)clock_position(&m->clock).n,
                 (unsigned long long)clock_now(&m->clock).ns, (unsigned long long)machine_hash(m),
                 stop_reason_name(r->reason));
}

void options_quiet(struct run_options *o)
{
    for (unsigned i = 0; i < o->machine.serial_count; i++) {
        if (o->machine.serial[i].kind == CONSOLE_STDIO) {
            o->machine.serial[i].kind = CONSOLE_NONE;
        }
    }
    if (o->machine.virtcon.kind == CONSOLE_STDIO) {
        o->machine.virtcon.kind = CONSOLE_NONE;
    }
    if (o->machine.debugcon.kind == CONSOLE_STDIO) {
        o->machine.debugcon.kind = CONSOLE_FILE; /* still a device, shown nowhere */
        o->machine.debugcon.path = "";
    }
}

/* The first console on stdio gets what is typed there. */
static void choose_input(const struct run_options *o, struct console_config *c, bool *stdio)
{
    if (c->kind == CONSOLE_PTY) {
        c->input = CONSOLE_INPUT_LIVE;
    } else if (c->kind == CONSOLE_STDIO && !*stdio) {
        /* A script answers instead of a pipe; a person may type beside it. */
        *stdio = true;
        c->input = o->debug != NULL ? CONSOLE_INPUT_NONE : (enum console_input)outside_stdin_kind(o->as_qemu);
        if (o->script != NULL && c->input == CONSOLE_INPUT_PIPE) {
            c->input = CONSOLE_INPUT_NONE;
        }
    }
}

/* ---- Files that are written ---- */

struct written {
    const char *option, *path;
};

static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

static unsigned list_written(const struct run_options *o, struct written *list)
{
    unsigned n = 0;
    list[n++] = (struct written){"record", o->record};
    list[n++] = (struct written){"D", o->log_file};
    list[n++] = (struct written){"debugcon", o->machine.debugcon.path};
    list[n++] = (struct written){"virtio-console", o->machine.virtcon.path};
    for (unsigned i = 0; i < o->machine.serial_count; i++) {
        list[n++] = (struct written){"serial", o->machine.serial[i].path};
    }
    return n;
}

static const char *read_file(const struct run_options *o, unsigned i)
{
    const struct machine_config *c = &o->machine;
    const char *single[] = {c->kernel, c->firmware, o->script};
    if (i < ARRAY_LEN(single)) {
        return single[i];
    }
    i -= (unsigned)ARRAY_LEN(single);
    return i < c->module_count ? c->modules[i].path : c->drives[i - c->module_count].path;
}

/* A slip of the pen must not cost a disk: what is opened to be written must be nothing that is read. */
static bool check_written(const struct run_options *o, struct error *err)
{
    struct written list[MACHINE_MAX_SERIAL + 4];
    unsigned count = list_written(o, list);
    unsigned reads = 3 + o->machine.module_count + o->machine.drive_count;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < reads && list[i].path != NULL; k++) {
            const char *path = read_file(o, k);
            if (path != NULL && same_file(list[i].path, path)) {
                return error_set(err, EXIT_STATUS_USAGE, "--%s %s: the machine reads this file; it would be overwritten",
                                 list[i].option, list[i].path);
            }
        }
        for (unsigned k = 0; k < i && list[i].path != NULL; k++) {
            if (list[k].path != NULL &&
                (strcmp(list[i].path, list[k].path) == 0 ? strncmp(list[i].path, "/dev/", 5) != 0
                                                         : same_file(list[i].path, list[k].path))) {
                return error_set(err, EXIT_STATUS_USAGE, "--%s and --%s both write to %s", list[k].option,
                                 list[i].option, list[i].path);
            }
        }
    }
    return true;
}

bool options_prepare(struct run_options *o, struct error *err)
{
    bool stdio = false;
    if (!check_written(o, err)) {
        return false;
    }
    if (o->script != NULL) {
        struct boot_file f;
        if (!boot_read_file("script", o->script, &f, err)) {
            return false;
        }
        o->script_text = strndup((const char *)f.data, f.size);
        boot_free_file(&f);
        o->machine.script = o->script_text;
        o->machine.script_name = o->script;
    }
    /* Who puts a virtio console on stdio wants to type there, not at a serial port that is there by itself. */
    if (o->serial_by_default) {
        choose_input(o, &o->machine.virtcon, &stdio);
    }
    for (unsigned i = 0; i < o->machine.serial_count; i++) {
        choose_input(o, &o->machine.serial[i], &stdio);
    }
    if (!o->serial_by_default) {
        choose_input(o, &o->machine.virtcon, &stdio);
    }
    return true;
}
