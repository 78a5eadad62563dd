/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options that say how to run, what to show and what to keep; and those that mean nothing here. */
#include "debugger/options_priv.h"

#include "base/bits.h"
#include "trace/trace.h"

#include <string.h>

bool opt_script(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->script = v;
    o->host_side = true; /* a recording keeps its text */
    return true;
}

bool opt_record(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->record = v;
    o->host_side = true;
    return true;
}

bool opt_gdb(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->gdb = strcmp(v, "none") == 0 ? NULL : v;
    o->host_side = true;
    return true;
}

bool opt_gdb_default(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    return opt_gdb(o, "127.0.0.1:1234", err);
}

bool opt_gdb_wait(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->gdb_wait = true;
    o->host_side = true;
    return true;
}

bool opt_trace(struct run_options *o, const char *v, struct error *err)
{
    u32 classes;
    o->host_side = true;
    if (!trace_parse_classes(v, &classes)) {
        return error_set(err, EXIT_STATUS_USAGE, "--trace %s: unknown class; known are "
                         "input,mark,console,cpu,int,cr,msr,virt,io,all", v);
    }
    o->trace_classes |= classes;
    return true;
}

bool opt_epoch(struct run_options *o, const char *v, struct error *err)
{
    o->host_side = true;
    return options_number("epoch", v, 1000, INT64_MAX, &o->machine.epoch, err);
}

bool opt_history_memory(struct run_options *o, const char *v, struct error *err)
{
    o->host_side = true;
    if (!options_parse_size(v, &o->machine.travel_memory) || o->machine.travel_memory < MIB(1)) {
        return error_set(err, EXIT_STATUS_USAGE, "--history-memory %s: a size from 1M on is wanted", v);
    }
    return true;
}

bool opt_history_spacing(struct run_options *o, const char *v, struct error *err)
{
    o->host_side = true;
    return options_number("history-spacing", v, 1000, INT64_MAX, &o->machine.travel_spacing, err);
}

bool opt_stop_on(struct run_options *o, const char *v, struct error *err)
{
    if (v[0] == '\0') {
        return error_set(err, EXIT_STATUS_USAGE, "--stop-on: the text is empty");
    }
    o->machine.stop_on = v;
    return true;
}

bool opt_max_instructions(struct run_options *o, const char *v, struct error *err)
{
    return options_number("max-instructions", v, 1, INT64_MAX, &o->machine.max_instructions, err);
}

bool opt_hash(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->host_side = true;
    o->hash = true;
    return true;
}

bool opt_save(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->host_side = true;
    o->save = v;
    return true;
}

/* Rising numbers. */
bool opt_save_at(struct run_options *o, const char *v, struct error *err)
{
    o->host_side = true;
    while (*v != '\0') {
        char text[24];
        u64 n;
        size_t len = strcspn(v, ",");
        if (o->save_at_count == MAX_SAVE_AT) {
            return error_set(err, EXIT_STATUS_USAGE, "--save-at: no more than %u positions", MAX_SAVE_AT);
        }
        (void)snprintf(text, sizeof text, "%.*s", (int)len, v);
        if (!options_number("save-at", text, 1, INT64_MAX, &n, err)) {
            return false;
        }
        if (o->save_at_count > 0 && n <= o->save_at[o->save_at_count - 1]) {
            return error_set(err, EXIT_STATUS_USAGE, "--save-at %s: each position must be greater than the one before", text);
        }
        o->save_at[o->save_at_count++] = n;
        v += len + (v[len] == ',' ? 1 : 0);
    }
    return true;
}

/* What ended the run that was saved is no end of this one. */
bool opt_load(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->load = v;
    o->machine.max_instructions = 0;
    o->machine.stop_on = NULL;
    return true;
}

bool opt_log(struct run_options *o, const char *v, struct error *err)
{
    u32 classes;
    if (!log_parse_classes(v, &classes)) {
        return error_set(err, EXIT_STATUS_USAGE, "--log %s: unknown class; known are "
                         "guest_errors,unimp,int,cpu,device,iommu,watch,vmx,svm,exec,jit,all", v);
    }
    o->host_side = true;
    o->log_classes |= classes;
    return true;
}

bool opt_log_file(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->host_side = true;
    o->log_file = v;
    return true;
}

bool opt_strict(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->strict = true;
    return true;
}

bool opt_watch(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->host_side = true;
    o->watch = true;
    return true;
}

bool opt_on_violation(struct run_options *o, const char *v, struct error *err)
{
    bool stop = strcmp(v, "stop") == 0;
    if (!stop && strcmp(v, "report") != 0) {
        return error_set(err, EXIT_STATUS_USAGE, "--on-violation %s: stop or report is wanted", v);
    }
    o->host_side = true;
    o->watch = true;
    o->on_violation = stop ? VIOLATION_STOP : VIOLATION_REPORT;
    return true;
}

bool opt_on_stale(struct run_options *o, const char *v, struct error *err)
{
    bool stop = strcmp(v, "stop") == 0;
    if (!stop && strcmp(v, "report") != 0) {
        return error_set(err, EXIT_STATUS_USAGE, "--on-stale %s: stop or report is wanted", v);
    }
    o->host_side = true;
    o->look_for_stale = true;
    o->on_stale = stop ? VIOLATION_STOP : VIOLATION_REPORT;
    return true;
}

bool opt_pace(struct run_options *o, const char *v, struct error *err)
{
    if (strcmp(v, "host") != 0 && strcmp(v, "none") != 0) {
        return error_set(err, EXIT_STATUS_USAGE, "--pace %s: host or none is wanted", v);
    }
    o->host_side = true;
    o->pace = strcmp(v, "host") == 0 ? PACE_HOST : PACE_NONE;
    return true;
}

bool opt_engine(struct run_options *o, const char *v, struct error *err)
{
    static const char *const names[] = {
        [ENGINE_INTERP] = "interp", [ENGINE_JIT] = "jit", [ENGINE_LOCKSTEP] = "lockstep"};
    o->host_side = true;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(v, names[i]) == 0) {
            o->machine.engine = (enum engine)i;
            return true;
        }
    }
    return error_set(err, EXIT_STATUS_USAGE, "--engine %s: interp, jit or lockstep is wanted", v);
}

bool opt_jit_host(struct run_options *o, const char *v, struct error *err)
{
    o->host_side = true;
    o->machine.jit_hide_avx = strcmp(v, "sse2") == 0;
    return o->machine.jit_hide_avx || strcmp(v, "all") == 0 ||
           error_set(err, EXIT_STATUS_USAGE, "--jit-host %s: all or sse2 is wanted", v);
}

bool opt_jit_without(struct run_options *o, const char *v, struct error *err)
{
    static const char *const names[] = {
#define JIT_FEATURE(id, name, what) name,
#include "jit/features.def"
#undef JIT_FEATURE
    };
    o->host_side = true;
    while (*v != '\0') {
        size_t size = strcspn(v, ","), i = 0;
        while (i < ARRAY_LEN(names) && (strlen(names[i]) != size || memcmp(names[i], v, size) != 0)) {
            i++;
        }
        if (i == ARRAY_LEN(names)) {
            return error_set(err, EXIT_STATUS_USAGE, "--jit-without %.*s: groups, paths, loops or system is wanted", (int)size, v);
        }
        o->machine.jit_without |= 1u << i;
        v += size + (v[size] == ',' ? 1 : 0);
    }
    return true;
}

bool opt_jit_threshold(struct run_options *o, const char *v, struct error *err)
{
    u64 n = 0;
    o->host_side = true;
    if (!options_number("jit-threshold", v, 0, 1000000000u, &n, err)) {
        return false;
    }
    o->machine.jit_threshold = (u32)n;
    return true;
}

bool opt_code_cache(struct run_options *o, const char *v, struct error *err)
{
    u64 bytes = 0;
    o->host_side = true;
    if (!options_parse_size(v, &bytes) || bytes < MIB(1) || bytes > MIB(1024)) {
        return error_set(err, EXIT_STATUS_USAGE, "--code-cache %s: a size from 1M to 1G is wanted", v);
    }
    o->machine.jit_bytes = bytes;
    return true;
}

bool opt_tlb_entries(struct run_options *o, const char *v, struct error *err)
{
    o->host_side = true;
    if (!options_number("tlb-entries", v, 2, TLB_ENTRIES_MAX, &o->machine.tlb_entries, err)) {
        return false;
    }
    return is_power_of_2(o->machine.tlb_entries) ||
           error_set(err, EXIT_STATUS_USAGE, "--tlb-entries %s: a power of two is wanted", v);
}

bool opt_nographic(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(o);
    UNUSED(v);
    UNUSED(err);
    return true;
}

bool opt_help(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->help = true;
    options_help(stdout);
    return true;
}

/* QEMU's word first: scripts look for it under QEMU's name. */
bool opt_version(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->help = true;
    cli_print_version(o->as_qemu);
    return true;
}

/* What has no meaning here. */
bool opt_ignored(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(o);
    UNUSED(v);
    UNUSED(err);
    return true;
}

bool opt_ignored_arg(struct run_options *o, const char *v, struct error *err)
{
    return opt_ignored(o, v, err);
}

static bool only_none(const char *name, const char *v, struct error *err)
{
    return strcmp(v, "none") == 0 ||
           error_set(err, EXIT_STATUS_USAGE, "--%s %s: there is none here; say none or leave it out", name, v);
}

bool opt_display(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(o);
    return only_none("display", v, err);
}

bool opt_vnc(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(o);
    return only_none("vnc", v, err);
}

bool opt_vga(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(o);
    return only_none("vga", v, err);
}

bool opt_monitor(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(o);
    return only_none("monitor", v, err);
}

bool opt_net(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(o);
    return strcmp(v, "none") == 0 ||
           error_set(err, EXIT_STATUS_USAGE, "--net %s: use --nic user or --nic none", v);
}
