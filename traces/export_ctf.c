/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CTF 1.8: a metadata file in TSDL and one stream of one packet. All fields are byte-aligned and little-endian.
 * [Common Trace Format v1.8.3] Numbers that have words get an enumeration where their words do not depend on
 * other fields. */
#include "traces/export.h"

#include "base/bytes.h"
#include "traces/render.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define CTF_MAGIC 0xc1fc1fc1u

static const char head[] =
    "/* CTF 1.8 */\n"
    "typealias integer { size = 8; align = 8; signed = false; } := uint8_t;\n"
    "typealias integer { size = 16; align = 8; signed = false; } := uint16_t;\n"
    "typealias integer { size = 32; align = 8; signed = false; } := uint32_t;\n"
    "typealias integer { size = 64; align = 8; signed = false; } := uint64_t;\n"
    "typealias integer { size = 64; align = 8; signed = false; base = 16; } := hex64_t;\n"
    "trace {\n    major = 1;\n    minor = 8;\n    byte_order = le;\n"
    "    packet.header := struct { uint32_t magic; uint32_t stream_id; };\n};\n"
    "env { tracer_name = \"vitrine\"; };\n"
    "clock { name = virtual; description = \"virtual time\"; freq = 1000000000; };\n"
    "typealias integer { size = 64; align = 8; signed = false; map = clock.virtual.value; } := time_t;\n"
    "stream {\n    id = 0;\n"
    "    packet.context := struct { uint64_t content_size; uint64_t packet_size; };\n"
    "    event.header := struct { uint16_t id; time_t timestamp; };\n"
    "    event.context := struct { uint64_t _position; uint8_t _cpu; };\n};\n";

/* An enumeration of the words that a kind has; false when it has none. */
static bool put_enumeration(FILE *out, const struct trace_field *f)
{
    const struct trace_record none = {.cpu = TRACE_NO_CPU};
    bool any = false;
    for (u32 round = 0; round < 2; round++) {
        for (u64 v = 0; v < 0x500; v++) {
            u64 value = round == 0 ? v : TRACE_EXIT_SVM | v;
            const char *word = trace_word(&none, f, value);
            if (word != NULL) {
                (void)fprintf(out, "%s \"%s\" = %" PRIu64, any ? "," : "        enum : uint64_t {", word, value);
                any = true;
            }
        }
        if (!trace_field_is(f, "vm_exit")) {
            break;
        }
    }
    if (any) {
        (void)fprintf(out, " }");
    }
    return any;
}

static void put_metadata(FILE *out)
{
    (void)fputs(head, out);
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        const struct trace_event_info *e = &trace_event_info[i];
        const char *schema = e->schema;
        struct trace_field f;
        (void)fprintf(out, "event {\n    id = %u;\n    name = \"%s\";\n    stream_id = 0;\n    fields := struct {\n", i,
                      e->name);
        for (u32 n = 0; trace_field_next(&schema, &f); n++) {
            if (n >= e->args && trace_field_is(&f, "text")) {
                (void)fprintf(out, "        string _%.*s;\n", (int)f.name_len, f.name);
            } else if (n >= e->args) {
                (void)fprintf(out, "        uint32_t _bytes;\n        uint8_t _%.*s[_bytes];\n", (int)f.name_len, f.name);
            } else {
                bool vague = trace_field_is(&f, "vector") || trace_field_is(&f, "hypercall");
                if (vague || !put_enumeration(out, &f)) {
                    (void)fprintf(out, "        %s", trace_field_is(&f, "dec") ? "uint64_t" : "hex64_t");
                }
                (void)fprintf(out, " _%.*s;\n", (int)f.name_len, f.name);
            }
        }
        (void)fprintf(out, "    };\n};\n");
    }
}

static void put(FILE *out, u64 v, unsigned bytes, u64 *size)
{
    for (unsigned i = 0; i < bytes; i++) {
        (void)fputc((int)(v >> (8 * i) & 0xff), out);
    }
    *size += bytes;
}

static void put_string(FILE *out, const struct trace_record *r, u64 *size)
{
    for (u32 i = 0; i < r->size; i++) {
        put(out, r->payload[i] == 0 ? '.' : r->payload[i], 1, size);
    }
    put(out, 0, 1, size);
}

static void put_record(FILE *out, const struct trace_record *r, u64 *size)
{
    const char *schema = trace_event_info[r->event].schema;
    struct trace_field f;
    put(out, r->event, 2, size);
    put(out, r->time.ns, 8, size);
    put(out, r->position.n, 8, size);
    put(out, r->cpu, 1, size);
    for (u32 i = 0; trace_field_next(&schema, &f); i++) {
        if (i < r->argc) {
            put(out, r->args[i], 8, size);
        } else if (trace_field_is(&f, "text")) {
            put_string(out, r, size);
        } else {
            put(out, r->size, 4, size);
            (void)fwrite(r->payload, 1, r->size, out);
            *size += r->size;
        }
    }
}

static void put_packet_head(FILE *out, u64 bits)
{
    u64 size = 0;
    put(out, CTF_MAGIC, 4, &size);
    put(out, 0, 4, &size);
    put(out, bits, 8, &size);
    put(out, bits, 8, &size);
}

static FILE *open_in(const char *dir, const char *name, struct error *err)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *out = fopen(path, "wb");
    if (out == NULL) {
        (void)error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written: %s", path, strerror(errno));
    }
    return out;
}

bool trace_export_ctf(struct trace_reader *r, const struct trace_filter *f, const char *dir, struct error *err)
{
    struct trace_record record;
    u64 size = 24;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be made: %s", dir, strerror(errno));
    }
    FILE *metadata = open_in(dir, "metadata", err);
    if (metadata == NULL) {
        return false;
    }
    put_metadata(metadata);
    bool ok = fclose(metadata) == 0;
    FILE *stream = open_in(dir, "stream", err);
    if (stream == NULL) {
        return false;
    }
    put_packet_head(stream, 0);
    while (trace_reader_next(r, &record)) {
        if (trace_filter_matches(f, &record)) {
            put_record(stream, &record, &size);
        }
    }
    ok = fseek(stream, 0, SEEK_SET) == 0 && ok;
    put_packet_head(stream, 8 * size);
    ok = fclose(stream) == 0 && ok;
    return ok || error_set(err, EXIT_STATUS_BAD_FILE, "%s: the export cannot be written", dir);
}
