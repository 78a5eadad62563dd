/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vitrine trace export`: recordings as other tools read them. Each reads the rest of `r` and writes the events
 * that pass the filter. False with a line in *err. (Tenet needs a replay: debugger/cli_export.c.) */
#ifndef VITRINE_TRACES_EXPORT_H
#define VITRINE_TRACES_EXPORT_H

#include "traces/dump.h"

/* Perfetto's TrackEvent protobuf: a track for each processor, virtual processor and device. */
bool trace_export_perfetto(struct trace_reader *r, const struct trace_filter *f, FILE *out, struct error *err);
/* CTF 1.8: `dir` gets a file `metadata` and one stream. */
bool trace_export_ctf(struct trace_reader *r, const struct trace_filter *f, const char *dir, struct error *err);
/* pcapng of the network card's frames. */
bool trace_export_pcapng(struct trace_reader *r, const struct trace_filter *f, FILE *out, struct error *err);

#endif
