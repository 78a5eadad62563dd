/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Machine options from the command line: the table of options.def, and the loop over the arguments. The
 * handlers are in options_machine.c, options_drive.c, options_device.c and options_run.c. */
#include "debugger/options_priv.h"

#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>

struct option_row {
    const char *names;
    const char *arg;
    option_fn *handler;
    const char *help;
};

static const struct option_row rows[] = {
#define OPTION(names, arg, handler, help) {names, arg, handler, help},
#include "debugger/options.def"
#undef OPTION
};

/* Blocks are chained by a pointer in front; what follows is aligned for anything. */
#define SCRATCH_HEAD 16u

void *options_keep_room(struct run_options *o, size_t size)
{
    char *block = calloc(1, SCRATCH_HEAD + size);
    if (block == NULL) {
        abort();
    }
    memcpy(block, &o->scratch, sizeof(char *));
    o->scratch = block;
    return block + SCRATCH_HEAD;
}

char *options_keep(struct run_options *o, const char *text)
{
    size_t len = strlen(text) + 1;
    return memcpy(options_keep_room(o, len), text, len);
}

void options_help(FILE *out)
{
    (void)fprintf(out, "usage: vitrine run [options]\n"
                       "Boot a machine. Options are spelled as QEMU spells them, with one dash or two.\n\n");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].help != NULL) {
            char left[120];
            (void)snprintf(left, sizeof left, "--%s%s%s", rows[i].names, rows[i].arg != NULL ? " " : "",
                           rows[i].arg != NULL ? rows[i].arg : "");
            (void)fprintf(out, strlen(left) > 28 ? "  %s\n%32s%s\n" : "  %-30s%s%s\n", left, "",
                          rows[i].help);
        }
    }
    (void)fprintf(out, "\nAccepted for QEMU's sake, without meaning here:");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].help == NULL) {
            (void)fprintf(out, " -%s", rows[i].names);
        }
    }
    (void)fprintf(out, "\n");
}

bool options_row(unsigned n, const char **names, const char **arg, const char **help)
{
    if (n >= ARRAY_LEN(rows)) {
        return false;
    }
    *names = rows[n].names;
    *arg = rows[n].arg;
    *help = rows[n].help;
    return true;
}

static const struct option_row *find_row(const char *name)
{
    size_t len = strlen(name);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const char *names = rows[i].names;
        while (*names != '\0') {
            size_t n = strcspn(names, "|");
            if (n == len && strncmp(names, name, n) == 0) {
                return &rows[i];
            }
            names += n + (names[n] == '|' ? 1 : 0);
        }
    }
    return NULL;
}

static bool engine_of_environment(struct run_options *o, struct error *err)
{
    const char *engine = getenv("VITRINE_ENGINE");
    o->machine.engine = ENGINE_BEST;
    bool ok = engine == NULL || opt_engine(o, engine, err);
    o->host_side = false;
    return ok;
}

bool options_environment(struct error *err)
{
    struct run_options o = {0};
    return engine_of_environment(&o, err);
}

void options_init(struct run_options *o, bool as_qemu)
{
    struct error ignored = {0};
    memset(o, 0, sizeof *o);
    machine_config_init(&o->machine);
    (void)engine_of_environment(o, &ignored); /* main() has looked at it */
    (void)cpu_model_parse(&o->machine.model, "intel", &ignored);
    o->as_qemu = as_qemu;
    o->default_devices = true;
}

void options_free(struct run_options *o)
{
    while (o->scratch != NULL) {
        char *next;
        memcpy(&next, o->scratch, sizeof next);
        free(o->scratch);
        o->scratch = next;
    }
    free(o->script_text);
    o->script_text = NULL;
}

static bool unknown_option(struct run_options *o, const char *name, const char *typed, struct error *err)
{
    struct nearest n;
    nearest_init(&n, name);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char *names = options_keep(o, rows[i].names);
        for (char *one = strtok(names, "|"); one != NULL; one = strtok(NULL, "|")) {
            nearest_offer(&n, one);
        }
    }
    const char *near = nearest_result(&n);
    const char *equals = strchr(name, '=');
    if (equals != NULL) {
        char *plain = options_keep(o, name);
        plain[equals - name] = '\0';
        if (find_row(plain) != NULL) {
            return error_set(err, EXIT_STATUS_USAGE, "unknown option %s; write --%s %s", typed, plain, equals + 1);
        }
    }
    return error_set(err, EXIT_STATUS_USAGE, "unknown option %s%s%s%s", typed,
                     near != NULL ? "; did you mean --" : "", near != NULL ? near : "",
                     near != NULL ? "?" : "; --help lists them");
}

/* What may be said anew for a saved machine. */
static bool decides_the_end(const char *name)
{
    return strcmp(name, "load") == 0 || strcmp(name, "stop-on") == 0 || strcmp(name, "max-instructions") == 0;
}

static bool note_given(struct run_options *o, const struct option_row *row, const char *value,
                       struct error *err)
{
    char *name = options_keep(o, row->names);
    name[strcspn(name, "|")] = '\0';
    if (o->host_side_only && !(o->going_on && decides_the_end(name))) {
        return error_set(err, EXIT_STATUS_USAGE, "--%s: %s", name,
                         o->going_on ? "a saved machine brings its own" : "a replay takes this from its recording");
    }
    if (o->given_count == MAX_GIVEN_OPTIONS) {
        return error_set(err, EXIT_STATUS_USAGE, "more than %d options", MAX_GIVEN_OPTIONS);
    }
    o->given[o->given_count++] = (struct given_option){.name = name, .value = value};
    return true;
}

static bool parse_one(struct run_options *o, const char *typed, const char *next, bool *took_next,
                      struct error *err)
{
    const char *name = typed + 1;
    if (typed[0] != '-' || typed[1] == '\0') {
        return error_set(err, EXIT_STATUS_USAGE, "%s: options start with a dash; --help lists them", typed);
    }
    name += name[0] == '-' ? 1 : 0;
    const struct option_row *row = find_row(name);
    if (row == NULL) {
        return unknown_option(o, name, typed, err);
    }
    *took_next = row->arg != NULL;
    if (row->arg != NULL && next == NULL) {
        return error_set(err, EXIT_STATUS_USAGE, "--%s wants an argument: %s", name, row->arg);
    }
    const char *value = row->arg != NULL ? next : NULL;
    o->host_side = false;
    return row->handler(o, value, err) && (o->host_side || note_given(o, row, value, err));
}

/* Is what was asked for one machine? */
static bool check_together(const struct run_options *o, struct error *err)
{
    const struct machine_config *c = &o->machine;
    if (c->kernel != NULL && c->firmware != NULL) {
        return error_set(err, EXIT_STATUS_USAGE,
                         "--kernel and --firmware do not go together: firmware boots from disks");
    }
    const char *useless = c->kernel != NULL     ? NULL
                          : o->modules_given    ? "module"
                          : c->module_count > 0 ? "initrd"
                          : c->append != NULL   ? "append"
                                                : NULL;
    return useless == NULL ||
           error_set(err, EXIT_STATUS_USAGE, "--%s means nothing without --kernel", useless);
}

bool options_parse(struct run_options *o, int argc, char **argv, struct error *err)
{
    for (int i = 0; i < argc && !o->help; i++) {
        bool took_next = false;
        if (!parse_one(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &took_next, err)) {
            return false;
        }
        i += took_next ? 1 : 0;
    }
    if (o->help) {
        return true;
    }
    if (o->machine.serial_count == 0 && (o->default_devices || o->as_qemu)) {
        o->machine.serial[o->machine.serial_count++].kind = CONSOLE_STDIO;
        o->serial_by_default = true;
    }
    if (!options_resolve_chardevs(o, err) || !check_together(o, err)) {
        return false;
    }
    if (o->machine.kernel == NULL && o->machine.firmware == NULL) {
        o->machine.firmware = "/usr/share/seabios/bios-256k.bin";
    }
    return true;
}
