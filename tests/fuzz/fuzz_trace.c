/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Traces of any content: read, rendered, loaded, never a crash. The input becomes the bytes of a file,
 * or (so that records are reached at all) the records of a chunk whose headers and sums are right. */
#include "fuzz_file.h"

#include "traces/dump.h"
#include "traces/export.h"
#include "traces/golden.h"
#include "traces/load.h"
#include "traces/render.h"
#include "traces/report_priv.h"
#include "traces/tree.h"

/* The list of events, as the writer has it, with one that this program does not know. */
static size_t put_events(u8 *out)
{
    char text[TRACE_EVENT_COUNT * 256] = "event 200 from_the_future input 1 none what:hex\nnews from the future\n";
    size_t used = strlen(text);
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        const struct trace_event_info *e = &trace_event_info[i];
        used += (size_t)snprintf(text + used, sizeof text - used, "event %u %s x %u %s %s\n", i, e->name, e->args,
                                 e->payload ? "bytes" : "none", e->schema);
    }
    return put_chunk(out, TRACE_CHUNK_EVENTS, (const u8 *)text, used);
}

static void rewind_reader(struct trace_reader *r, const u8 *data, size_t size)
{
    struct error err = {0};
    trace_reader_close(r);
    (void)trace_reader_memory(r, data, size, &err);
}

/* What people do with recordings, over this one. */
static void use_all(const u8 *data, size_t size, FILE *null)
{
    struct error err = {0};
    struct trace_reader r = {0};
    struct trace_record record;
    struct trace_filter filter;
    struct golden g = {.ignore = (u32)size % 4};
    struct golden_lines lines;
    static struct report *p;
    static u32 *shares; /* not cleared from run to run: nothing reads it here */
    if (p == NULL) {
        p = malloc(sizeof *p);
        shares = calloc((size_t)REPORT_CPUS * REPORT_MODES * REPORT_BUCKETS, sizeof *shares);
    }
    memset(p, 0, sizeof *p);
    trace_filter_init(&filter);
    rewind_reader(&r, data, size);
    (void)trace_export_perfetto(&r, &filter, null, &err);
    rewind_reader(&r, data, size);
    (void)trace_export_pcapng(&r, &filter, null, &err);
    rewind_reader(&r, data, size);
    if (golden_lines_of(&g, &r, &lines, &err)) {
        (void)golden_compare(&g, &lines);
        golden_show(&g, &lines, 0, "", null);
    }
    golden_lines_free(&lines);
    for (unsigned json = 0; json < 2; json++) {
        struct trace_tree_counts counts;
        rewind_reader(&r, data, size);
        (void)trace_tree(&r, 0, ~(u64)0, json != 0, null, &counts);
    }
    p->shares = shares;
    for (unsigned pass = 0; pass < 2; pass++) {
        rewind_reader(&r, data, size);
        if (pass == 1 && p->page_count > 0 && p->page_count <= 65536) {
            p->pages = calloc(p->page_count, sizeof *p->pages);
        }
        while (trace_reader_next(&r, &record)) {
            if (pass == 0) {
                report_measure(p, &record);
            } else {
                report_take(p, &record);
            }
        }
    }
    report_end(p);
    free(p->pages);
    trace_reader_close(&r);
}

static void read_all(const u8 *data, size_t size)
{
    struct error err = {0};
    struct trace_reader r;
    struct trace_record record;
    struct trace_meaning meaning = {.ignore = (u32)size % 4};
    struct loaded_recording l;
    FILE *null = fopen("/dev/null", "w");
    if (null == NULL) {
        return;
    }
    bool ok = trace_reader_memory(&r, data, size, &err);
    if (!ok && err.status == EXIT_STATUS_OK) {
        abort(); /* refused without a word */
    }
    while (ok && trace_reader_next(&r, &record)) {
        trace_render_text(null, &record);
        trace_render_json(null, &record);
        trace_render_meaning(null, &meaning, &record);
    }
    trace_reader_close(&r);
    if (ok) {
        use_all(data, size, null);
    }
    err = (struct error){0};
    (void)recording_load_memory(&l, data, size, &err);
    recording_free(&l);
    (void)fclose(null);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    read_all(data, size);
    u8 *file = malloc(TRACE_HEADER_SIZE + 8 * TRACE_CHUNK_SIZE + 2 * ZSTD_compressBound(size) + 65536);
    u8 *records = malloc(size + 1);
    if (file != NULL && records != NULL) {
        size_t at = put_start(file);
        at += put_events(file + at);
        /* Make plausible records of it: known events with their number of arguments, small payloads. */
        memcpy(records, data, size);
        for (size_t i = 0; i + TRACE_RECORD_SIZE <= size; i += TRACE_RECORD_SIZE) {
            u32 event = 1 + records[i + TRACE_RECORD_EVENT] % (TRACE_EVENT_COUNT - 1);
            event = records[i + TRACE_RECORD_EVENT] == 255 ? 200 : event;
            store_le16(records + i + TRACE_RECORD_EVENT, (u16)event);
            records[i + TRACE_RECORD_ARGC] = (u8)(event < TRACE_EVENT_COUNT ? trace_event_info[event].args : 1);
            store_le32(records + i + TRACE_RECORD_SIZE_AT, load_le32(records + i + TRACE_RECORD_SIZE_AT) % 200);
        }
        at += put_chunk(file + at, TRACE_CHUNK_RECORDS, records, size);
        read_all(file, at);
    }
    free(records);
    free(file);
    return 0;
}
