/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the commands of `vitrine trace` share: their arguments, taken apart by debugger/trace_command.def. */
#ifndef VITRINE_DEBUGGER_CLI_TRACE_H
#define VITRINE_DEBUGGER_CLI_TRACE_H

#include "debugger/cli.h"
#include "traces/dump.h"

#define TRACE_MAX_FILES 256
#define TRACE_MAX_MAPS 32

struct trace_arguments {
    const char *files[TRACE_MAX_FILES];
    unsigned file_count;
    struct trace_filter filter;
    bool json, exact, update;
    bool has_around;
    u64 around;
    u32 ignore;
    u64 context;
    const char *dir, *junit, *keep, *format, *output;
    struct file_map map[TRACE_MAX_MAPS];
    unsigned map_count;
};

typedef int trace_command_fn(const struct trace_arguments *a);
trace_command_fn trace_cmd_stat, trace_cmd_dump, trace_cmd_tree, trace_cmd_diff, trace_cmd_check, trace_cmd_export,
    trace_cmd_report;

#endif
