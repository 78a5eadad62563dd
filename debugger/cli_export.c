/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine trace export. Three formats come from the recording's events alone; Tenet shows every instruction, so
 * the machine is run again and looked at after each: registers that changed, no memory accesses. */
#include "debugger/cli_trace.h"

#include "traces/export.h"
#include "traces/load.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct {
    const char *name, *ending;
    bool (*write)(struct trace_reader *r, const struct trace_filter *f, FILE *out, struct error *err);
} formats[] = {
    {"perfetto", ".pftrace", trace_export_perfetto},
    {"ctf", ".ctf", NULL},
    {"pcapng", ".pcapng", trace_export_pcapng},
    {"tenet", ".tenet", NULL},
};

static bool open_output(const char *path, FILE **out, struct error *err)
{
    *out = fopen(path, "wb");
    return *out != NULL ||
           error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written: %s", path, strerror(errno));
}

static bool close_output(FILE *out, const char *path, struct error *err)
{
    return fclose(out) == 0 || error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written", path);
}

/* ---- Tenet ---- */

static const char *const register_names[] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
                                             "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip"};
#define REGISTERS ARRAY_LEN(register_names)

/* A line for the state after an instruction: what changed, and always RIP. */
static void put_registers(FILE *out, const struct cpu *cpu, u64 last[REGISTERS], bool first)
{
    for (unsigned i = 0; i < REGISTERS; i++) {
        u64 v = i < 16 ? cpu->arch.gpr[i] : cpu->arch.rip;
        if (first || v != last[i] || i == 16) {
            (void)fprintf(out, "%s=0x%" PRIx64 "%s", register_names[i], v, i == 16 ? "\n" : ",");
        }
        last[i] = v;
    }
}

/* Run to a position; false: the machine ended before. */
static bool run_to(struct run_options *o, struct machine *m, u64 position, struct error *err)
{
    struct run_result r;
    m->config.max_instructions = position;
    if (clock_position(&m->clock).n >= position) {
        return true;
    }
    return session_run(o, m, false, &r, err) && r.reason == STOP_LIMIT;
}

static bool write_tenet(struct run_options *o, struct machine *m, const struct trace_arguments *a, FILE *out,
                        struct error *err)
{
    u64 last[REGISTERS] = {0}, end = a->filter.last;
    u32 number = a->filter.cpu == TRACE_ANY_CPU ? 0 : a->filter.cpu;
    if (number >= m->set.count) {
        return error_set(err, EXIT_STATUS_USAGE, "--cpu %u: the machine has %u", number, m->set.count);
    }
    const struct cpu *cpu = m->set.cpu[number];
    if (!run_to(o, m, a->filter.first, err)) {
        return err->status == EXIT_STATUS_OK
                   ? error_set(err, EXIT_STATUS_USAGE, "--from: the run ends before this position")
                   : false;
    }
    put_registers(out, cpu, last, true);
    while (clock_position(&m->clock).n < end) {
        u64 rip = cpu->arch.rip;
        struct run_result r;
        m->config.max_instructions = clock_position(&m->clock).n + 1;
        r = machine_run(m);
        bool moved = cpu->arch.rip != rip || m->set.count == 1;
        if (moved) {
            put_registers(out, cpu, last, false);
        }
        if (r.reason != STOP_LIMIT) {
            return r.reason != STOP_DIFFERS || error_set(err, m->error.status, "%s", m->error.text);
        }
    }
    return true;
}

static bool export_tenet(const struct trace_arguments *a, const char *path, struct error *err)
{
    struct loaded_recording l = {0};
    struct run_options o;
    struct machine *m = NULL;
    FILE *out = NULL;
    options_init(&o, false);
    bool ok = recording_load(&l, a->files[0], err) && record_restore(&o, &l, a->map, a->map_count, err);
    if (ok) {
        options_quiet(&o);
        o.machine.disks_stay = true;
        m = machine_new(&o.machine, err);
        ok = m != NULL && record_restore_disks(m, &l, err) && open_output(path, &out, err);
    }
    if (ok) {
        evidence_start_replay(m, &l.recording);
        ok = write_tenet(&o, m, a, out, err);
        ok = close_output(out, path, err) && ok;
    }
    machine_free(m);
    options_free(&o);
    recording_free(&l);
    return ok;
}

/* ---- The command ---- */

static bool export_events(const struct trace_arguments *a, unsigned format, const char *path, struct error *err)
{
    struct trace_reader r;
    FILE *out = NULL;
    bool ok = trace_reader_open(&r, a->files[0], err);
    if (ok && formats[format].write == NULL) {
        ok = trace_export_ctf(&r, &a->filter, path, err);
    } else if (ok && open_output(path, &out, err)) {
        ok = formats[format].write(&r, &a->filter, out, err);
        ok = close_output(out, path, err) && ok;
    } else {
        ok = false;
    }
    if (ok && r.end.status != EXIT_STATUS_OK) {
        (void)fprintf(stderr, "vitrine: %s: %s\n", a->files[0], r.end.text);
    }
    trace_reader_close(&r);
    return ok;
}

int trace_cmd_export(const struct trace_arguments *a)
{
    struct error err = {0};
    char path[4096];
    const char *name = a->format != NULL ? a->format : formats[0].name;
    unsigned format = 0;
    while (format < ARRAY_LEN(formats) && strcmp(formats[format].name, name) != 0) {
        format++;
    }
    if (format == ARRAY_LEN(formats)) {
        (void)error_set(&err, EXIT_STATUS_USAGE, "--format %s: perfetto, ctf, pcapng or tenet is wanted", name);
        return cli_fail(&err);
    }
    (void)snprintf(path, sizeof path, "%s%s", a->output != NULL ? a->output : a->files[0],
                   a->output != NULL ? "" : formats[format].ending);
    bool ok = strcmp(name, "tenet") == 0 ? export_tenet(a, path, &err) : export_events(a, format, path, &err);
    if (!ok) {
        return cli_fail(&err);
    }
    (void)printf("%s\n", path);
    return EXIT_STATUS_OK;
}
