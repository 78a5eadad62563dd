/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sub-commands of the command line: each gets its own arguments and returns the exit status. */
#ifndef VITRINE_DEBUGGER_CLI_H
#define VITRINE_DEBUGGER_CLI_H

#include "base/status.h"
#include "machine/machine.h"
#include "machine/outside.h"

#include <stdio.h>

struct loaded_recording;
struct debug_options;

int cli_run(int argc, char **argv, bool as_qemu);
/* `run` under the debugger. */
int cli_run_debugged(int argc, char **argv, const struct debug_options *debug);
int cli_debug(int argc, char **argv);
int cli_cpu(int argc, char **argv);
int cli_completion(int argc, char **argv);
/* The n-th command; false after the last. */
/* Run one by its name; false: there is none. */
bool cli_command_run(const char *name, int argc, char **argv);
bool cli_command(unsigned n, const char **name, const char **help);
int cli_replay(int argc, char **argv);
int cli_trace(int argc, char **argv);

/* "vitrine 1.2.3"; under QEMU's name with the word that its users look for. */
void cli_print_version(bool as_qemu);

/* Print an error's line on stderr and return its status. */
int cli_fail(const struct error *err);

/* An option as it was given. */
struct given_option {
    const char *name;
    const char *value; /* NULL: takes none */
};

#define MAX_GIVEN_OPTIONS 256
#define MAX_CHARDEVS 8
#define MAX_SAVE_AT 256u

/* -chardev: what may stand behind a console, under a name; and who asked for it, maybe before it was given. */
struct chardev_option {
    const char *id;
    struct console_config config;
};

struct chardev_use {
    const char *id;
    enum { CHARDEV_USE_SERIAL, CHARDEV_USE_VIRTCON, CHARDEV_USE_DEBUGCON } by;
    unsigned number; /* of the serial port */
};

/* What `run` takes beside the machine's configuration. */
struct run_options {
    struct machine_config machine;
    bool as_qemu; /* called as qemu-system-vitrine */
    bool hash;
    bool strict;
    bool watch;
    enum violation_policy on_violation, on_stale;
    bool look_for_stale;
    bool help;
    u32 log_classes;
    const char *log_file, *script;
    const char *record, *save, *load;
    u64 save_at[MAX_SAVE_AT]; /* rising positions at which a machine is saved on its way */
    unsigned save_at_count;
    const char *gdb; /* where GDB may connect; NULL: nowhere */
    bool gdb_wait;   /* stand still until it says go */
    const struct debug_options *debug; /* under the shell; NULL: not */
    const char *files_dir; /* where relative names of files are looked for; NULL: where we are */
    u32 trace_classes;
    enum pace pace;
    /* Options that decide what the guest sees, as given: a recording keeps them. A handler whose option
     * does not says so by setting host_side. */
    struct given_option given[MAX_GIVEN_OPTIONS];
    unsigned given_count;
    bool host_side;
    bool host_side_only; /* refuse the others: the rest comes from a recording or a snapshot */
    bool going_on;       /* from a snapshot: what ends the run may be said anew */
    char *script_text;   /* freed with options_free */
    bool default_devices; /* -nodefaults clears it */
    bool modules_given;   /* --module was; an --initrd would have to stand before it */
    bool serial_by_default; /* nobody asked for the serial port on stdio */
    struct chardev_option chardevs[MAX_CHARDEVS];
    unsigned chardev_count;
    struct chardev_use chardev_uses[MACHINE_MAX_SERIAL + 2];
    unsigned chardev_use_count;
    char *scratch;        /* storage for split arguments; freed with options_free */
};

/* The environment says something of options: is it right? */
bool options_environment(struct error *err);
void options_init(struct run_options *o, bool as_qemu);
/* Parse argv[0..argc); returns false with a line in *err. */
bool options_parse(struct run_options *o, int argc, char **argv, struct error *err);
/* The n-th row of options.def; false after the last. help NULL: accepted, without meaning. */
bool options_row(unsigned n, const char **names, const char **arg, const char **help);
void options_help(FILE *out);
void options_free(struct run_options *o);
/* A copy of text that lives as long as the options. */
char *options_keep(struct run_options *o, const char *text);
void *options_keep_room(struct run_options *o, size_t size);
/* Read --script's file; say what stands behind each console. */
bool options_prepare(struct run_options *o, struct error *err);
/* A machine that shows nothing of what its consoles print. */
void options_quiet(struct run_options *o);

/* Run a machine to its end: consoles, signals, log. live: else only output is shown. *result: why it
 * ended. False with a line in *err when it could not start. */
bool session_run(struct run_options *o, struct machine *m, bool live, struct run_result *result,
                 struct error *err);
/* The exit status of an ending. */
int session_status(const struct machine *m, const struct run_result *result);
/* The last line of --hash. */
void session_print_hash(struct machine *m, const struct run_result *result);

/* Start the recording that the options ask for, if they do. (record.c) */
bool record_start(struct run_options *o, struct machine *m, struct error *err);
/* Read files with relative names from `dir`; what is recorded, and what the guest sees, are the names as they
 * are. */
bool record_files_from(struct run_options *o, const char *dir, struct error *err);
/* At the end: the last hash; what drives held where the run has written; then (commit) the drives' files are
 * brought up to date. */
bool record_finish(struct machine *m, const struct run_result *result, bool commit, struct error *err);

/* --save and --load: a snapshot of the machine with its configuration; m becomes what was saved. */
bool record_save(const struct run_options *o, struct machine *m, const char *path, struct error *err);
bool record_load(const struct run_options *o, struct machine *m, struct error *err);

/* Take a recording's configuration apart into options, and check its files against what was recorded.
 * map: where files have moved to, as --file OLD=NEW says. */
bool record_restore(struct run_options *o, const struct loaded_recording *l, const struct file_map *map,
                    unsigned map_count, struct error *err);
/* The drives of the machine as they were before the recorded run. */
bool record_restore_disks(struct machine *m, const struct loaded_recording *l, struct error *err);

#endif
