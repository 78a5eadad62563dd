/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "traces/render.h"

#include "base/bytes.h"
#include "devices/trace_port.h"
#include "machine/evidence.h"
#include "watch/watch.h"

#include <inttypes.h>
#include <string.h>

static void put_number(FILE *out, const struct trace_record *r, const struct trace_field *f, u64 v,
                       bool json)
{
    const char *word = trace_word(r, f, v);
    const char *quote = json ? "\"" : "";
    if (word != NULL) {
        (void)fprintf(out, "%s%s%s", quote, word, quote);
    } else if (trace_field_is(f, "caller")) {
        (void)fprintf(out, "%s%u %s cpl%u%s", quote, (unsigned)v,
                      watch_abi_name((enum watch_abi)((v >> 32 & 0xff) % (WATCH_ABI_OTHER + 1))),
                      (unsigned)(v >> 40 & 3), quote);
    } else if (trace_field_is(f, "pci")) {
        (void)fprintf(out, "%s%02x:%02x.%x%s", quote, (unsigned)(v >> 8 & 0xff), (unsigned)(v >> 3 & 31),
                      (unsigned)(v & 7), quote);
    } else if (trace_field_is(f, "dec")) {
        (void)fprintf(out, "%" PRIu64, v);
    } else if (trace_field_is(f, "result") && (i64)v < 0 && (i64)v >= -4095) {
        (void)fprintf(out, "%" PRIi64, (i64)v); /* an error number */
    } else {
        (void)fprintf(out, "%s0x%" PRIx64 "%s", quote, v, quote);
    }
}

/* Quoted, with escapes that C and JSON share; other bytes as \u00NN. */
void trace_put_quoted(FILE *out, const u8 *bytes, size_t n)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        u8 c = bytes[i];
        if (c == '"' || c == '\\') {
            (void)fprintf(out, "\\%c", c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            (void)fprintf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        } else if (c < 0x20 || c >= 0x7f) {
            (void)fprintf(out, "\\u%04x", c);
        } else {
            (void)fputc(c, out);
        }
    }
    (void)fputc('"', out);
}

static void put_parts(FILE *out, const struct trace_record *r, bool json)
{
    (void)fputc(json ? '{' : '[', out);
    for (u32 at = 0; at + MARK_PART_SIZE <= r->size; at += MARK_PART_SIZE) {
        const u8 *row = r->payload + at;
        size_t len = strnlen((const char *)row + 8, MARK_PART_SIZE - 8);
        (void)fputs(at > 0 ? (json ? "," : " ") : "", out);
        if (json) {
            trace_put_quoted(out, row + 8, len);
        } else {
            (void)fprintf(out, "%.*s", (int)len, (const char *)row + 8);
        }
        (void)fprintf(out, json ? ":\"0x%016" PRIx64 "\"" : "=%016" PRIx64, load_le64(row));
    }
    (void)fputc(json ? '}' : ']', out);
}

/* A hypercall's arguments under their names. */
static void put_registers(FILE *out, const struct trace_record *r, bool json)
{
    char name[24];
    u64 value;
    (void)fputc(json ? '{' : '(', out);
    for (unsigned i = 0; trace_hypercall_argument(r, i, name, &value); i++) {
        (void)fprintf(out, json ? "%s\"%s\":\"0x%" PRIx64 "\"" : "%s%s=0x%" PRIx64,
                      i == 0 ? "" : json ? "," : " ", name, value);
    }
    (void)fputc(json ? '}' : ')', out);
}

static unsigned number_of(struct trace_meaning *m, u64 vcpu)
{
    for (unsigned i = 0; i < m->vcpus; i++) {
        if (m->vcpu[i] == vcpu) {
            return i;
        }
    }
    if (m->vcpus < ARRAY_LEN(m->vcpu)) {
        m->vcpu[m->vcpus++] = vcpu;
    }
    return m->vcpus - 1;
}

/* Fields that say how, not what: state hashes, what stands for a virtual processor, addresses if so asked. */
static bool has_meaning(const struct trace_meaning *m, const struct trace_record *r, const struct trace_field *f)
{
    if (r->event == TRACE_EVENT_stop) {
        return trace_field_is(f, "stop") || (f->name_len == 4 && strncmp(f->name, "code", 4) == 0);
    }
    return !((m->ignore & TRACE_IGNORE_ADDRESS) != 0 &&
             (trace_field_is(f, "addr") || trace_field_is(f, "regs")));
}

static void put_bytes(FILE *out, const u8 *bytes, u32 size, bool json, bool text)
{
    /* Bytes that are all readable are shown so. */
    for (u32 i = 0; i < size && !text; i++) {
        u8 c = bytes[i];
        if (!(c >= 0x20 && c < 0x7f) && c != '\n' && c != '\r' && c != '\t') {
            (void)fputs(json ? "{\"hex\":\"" : "hex:", out);
            for (u32 k = 0; k < size; k++) {
                (void)fprintf(out, "%02x", bytes[k]);
            }
            (void)fputs(json ? "\"}" : "", out);
            return;
        }
    }
    trace_put_quoted(out, bytes, size);
}

/* A record of the trace port in the words of its row. m NULL: all of it, else what has meaning. */
static void put_claim(FILE *out, struct trace_meaning *m, const struct trace_record *r, bool json)
{
    const struct trace_port_row *row = trace_port_row((u32)r->args[0]);
    const char *schema = row != NULL ? row->fields : "";
    struct trace_field f;
    u32 at = 0;
    const char *between = "";
    (void)fputc(json ? '{' : '(', out);
    for (; trace_field_next(&schema, &f) && at + 8 <= r->size; at += 8) {
        u64 value = load_le64(r->payload + at);
        if (m != NULL && !has_meaning(m, r, &f)) {
            continue;
        }
        (void)fprintf(out, json ? "%s\"%.*s\":" : "%s%.*s=", between, (int)f.name_len, f.name);
        if (m != NULL && trace_field_is(&f, "vcpu")) {
            (void)fprintf(out, "%u", number_of(m, value));
        } else {
            put_number(out, r, &f, value, json);
        }
        between = json ? "," : " ";
    }
    if (row != NULL && row->has_payload && at <= r->size) {
        (void)fprintf(out, json ? "%s\"payload\":" : "%spayload=", between);
        put_bytes(out, r->payload + at, r->size - at, json, false);
    }
    (void)fputc(json ? '}' : ')', out);
}

static void put_payload(FILE *out, struct trace_meaning *m, const struct trace_record *r, const struct trace_field *f, bool json)
{
    if (trace_field_is(f, "claim")) {
        put_claim(out, m, r, json);
        return;
    }
    if (trace_field_is(f, "parts")) {
        put_parts(out, r, json);
        return;
    }
    if (trace_field_is(f, "regs")) {
        put_registers(out, r, json);
        return;
    }
    put_bytes(out, r->payload, r->size, json, trace_field_is(f, "text"));
}

static void put_fields(FILE *out, const struct trace_record *r, bool json)
{
    const char *schema = trace_event_info[r->event].schema;
    struct trace_field f;
    for (u32 i = 0; trace_field_next(&schema, &f); i++) {
        (void)fprintf(out, json ? ",\"%.*s\":" : " %.*s=", (int)f.name_len, f.name);
        if (i < r->argc) {
            put_number(out, r, &f, r->args[i], json);
        } else {
            put_payload(out, NULL, r, &f, json);
        }
    }
}

/* ---- By meaning ---- */

bool trace_has_meaning(const struct trace_record *r)
{
    return r->event != TRACE_EVENT_mark && r->event != TRACE_EVENT_disk_block && r->event != TRACE_EVENT_disk_after;
}

void trace_render_meaning(FILE *out, struct trace_meaning *m, const struct trace_record *r)
{
    const char *schema = trace_event_info[r->event].schema;
    struct trace_field f;
    if (r->cpu != TRACE_NO_CPU) {
        (void)fprintf(out, "cpu%u ", r->cpu);
    }
    (void)fputs(trace_event_info[r->event].name, out);
    for (u32 i = 0; trace_field_next(&schema, &f); i++) {
        if (!has_meaning(m, r, &f)) {
            continue;
        }
        (void)fprintf(out, " %.*s=", (int)f.name_len, f.name);
        if (i >= r->argc) {
            put_payload(out, m, r, &f, false);
        } else if (trace_field_is(&f, "vcpu")) {
            (void)fprintf(out, "%u", number_of(m, r->args[i]));
        } else if (trace_field_is(&f, "hypercall")) {
            (void)fprintf(out, "0x%" PRIx64, r->args[i]); /* names come and go with the tables */
        } else {
            put_number(out, r, &f, r->args[i], false);
        }
    }
}

/* ---- Whole ---- */

void trace_render_text(FILE *out, const struct trace_record *r)
{
    (void)fprintf(out, "%14" PRIu64 " %5" PRIu64 ".%09" PRIu64 " ", r->position.n,
                  r->time.ns / NS_PER_SEC, r->time.ns % NS_PER_SEC);
    if (r->cpu == TRACE_NO_CPU) {
        (void)fputs("   - ", out);
    } else {
        (void)fprintf(out, "cpu%u%s", r->cpu, r->cpu < 10 ? " " : "");
    }
    (void)fprintf(out, " %s", trace_event_info[r->event].name);
    put_fields(out, r, false);
    (void)fputc('\n', out);
}

void trace_render_fields(FILE *out, const struct trace_record *r)
{
    put_fields(out, r, false);
}

void trace_render_json(FILE *out, const struct trace_record *r)
{
    (void)fprintf(out, "{\"position\":%" PRIu64 ",\"ns\":%" PRIu64, r->position.n, r->time.ns);
    if (r->cpu != TRACE_NO_CPU) {
        (void)fprintf(out, ",\"cpu\":%u", r->cpu);
    }
    (void)fprintf(out, ",\"event\":\"%s\"", trace_event_info[r->event].name);
    put_fields(out, r, true);
    (void)fputs("}\n", out);
}
