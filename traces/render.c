/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "traces/render.h"

#include "base/bytes.h"
#include "machine/evidence.h"
#include "trace/gate.h"
#include "watch/watch.h"

#include <inttypes.h>
#include <string.h>

bool trace_field_next(const char **schema, struct trace_field *field)
{
    const char *p = *schema + strspn(*schema, " ");
    if (*p == '\0') {
        return false;
    }
    size_t len = strcspn(p, " ");
    const char *colon = memchr(p, ':', len);
    size_t name = colon != NULL ? (size_t)(colon - p) : len;
    size_t kind = colon != NULL ? len - name - 1 : 0;
    *field = (struct trace_field){
        .name = p, .name_len = name, .kind = p + len - kind, .kind_len = kind};
    *schema = p + len;
    return true;
}

static bool is_kind(const struct trace_field *f, const char *kind)
{
    return strlen(kind) == f->kind_len && strncmp(kind, f->kind, f->kind_len) == 0;
}

static const char *vector_name(u64 vector)
{
    static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
                                        "#DF", NULL,  "#TS", "#NP", "#SS", "#GP", "#PF", NULL,
                                        "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};
    return vector < ARRAY_LEN(names) ? names[vector] : NULL;
}

static const char *svm_exit_word(u64 v)
{
#define SVM_EXIT(code, name, meaning)                                                              \
    if (v == (code)) {                                                                             \
        return #name;                                                                              \
    }
#include "abi/x86/exit_codes.def"
    return NULL;
}

static const char *vmx_exit_word(u64 v)
{
    switch (v & 0xffff) {
#define EXIT_REASON(name, number, words) case number: return #name;
#include "abi/x86/exit_reasons.def"
#undef EXIT_REASON
    default: return NULL;
    }
}

/* The word for a value of an enumerated kind, or NULL: print the number. */
static const char *word_for(const struct trace_field *f, u64 v)
{
    static const char *const events[] = {"none", "exception", "int-n", "int3",
                                         "int1", "interrupt", "nmi",   "shutdown"};
    static const char *const changes[] = {"reset", "init", "sipi", "smi", "shutdown"};
    static const char *const routes[] = {"nothing", "everything", "tables"};
    static const char *const accesses[] = {"read", "write", "interrupt"};
    if (is_kind(f, "event_kind")) {
        return v < ARRAY_LEN(events) ? events[v] : NULL;
    }
    if (is_kind(f, "cpu_change")) {
        return v < ARRAY_LEN(changes) ? changes[v] : NULL;
    }
    if (is_kind(f, "device_route")) {
        return v < ARRAY_LEN(routes) ? routes[v] : NULL;
    }
    if (is_kind(f, "svm_exit")) {
        return svm_exit_word(v);
    }
    if (is_kind(f, "vmx_exit")) {
        return vmx_exit_word(v);
    }
    if (is_kind(f, "iommu_access")) {
        return v < ARRAY_LEN(accesses) ? accesses[v] : NULL;
    }
    if (is_kind(f, "gate_source")) {
        return v < GATE_SOURCE_COUNT ? gate_source_name((enum gate_source)v) : NULL;
    }
    if (is_kind(f, "stop")) {
        return v <= STOP_REASON_LAST ? stop_reason_name((enum stop_reason)v) : NULL;
    }
    return NULL;
}

static void put_number(FILE *out, const struct trace_record *r, const struct trace_field *f, u64 v,
                       bool json)
{
    const char *word = word_for(f, v);
    /* Only exceptions have names; an external interrupt's vector is a number. */
    if (is_kind(f, "vector") && r->args[0] == EVENT_EXCEPTION) {
        word = vector_name(v);
    }
    if (word != NULL) {
        (void)fprintf(out, json ? "\"%s\"" : "%s", word);
    } else if (is_kind(f, "caller")) {
        (void)fprintf(out, json ? "\"%u %s cpl%u\"" : "%u %s cpl%u", (unsigned)v,
                      watch_abi_name((enum watch_abi)((v >> 32 & 0xff) % (WATCH_ABI_OTHER + 1))),
                      (unsigned)(v >> 40 & 3));
    } else if (is_kind(f, "pci")) {
        (void)fprintf(out, json ? "\"%02x:%02x.%x\"" : "%02x:%02x.%x", (unsigned)(v >> 8 & 0xff),
                      (unsigned)(v >> 3 & 31), (unsigned)(v & 7));
    } else if (is_kind(f, "dec")) {
        (void)fprintf(out, "%" PRIu64, v);
    } else {
        (void)fprintf(out, json ? "\"0x%" PRIx64 "\"" : "0x%" PRIx64, v);
    }
}

/* Quoted, with escapes that C and JSON share; other bytes as \u00NN. */
static void put_quoted(FILE *out, const u8 *bytes, size_t n)
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
            put_quoted(out, row + 8, len);
        } else {
            (void)fprintf(out, "%.*s", (int)len, (const char *)row + 8);
        }
        (void)fprintf(out, json ? ":\"0x%016" PRIx64 "\"" : "=%016" PRIx64, load_le64(row));
    }
    (void)fputc(json ? '}' : ']', out);
}

static void put_payload(FILE *out, const struct trace_record *r, const struct trace_field *f, bool json)
{
    bool text = is_kind(f, "text");
    if (is_kind(f, "parts")) {
        put_parts(out, r, json);
        return;
    }
    /* Bytes that are all readable are shown so. */
    for (u32 i = 0; i < r->size && !text; i++) {
        u8 c = r->payload[i];
        if (!(c >= 0x20 && c < 0x7f) && c != '\n' && c != '\r' && c != '\t') {
            (void)fputs(json ? "{\"hex\":\"" : "hex:", out);
            for (u32 k = 0; k < r->size; k++) {
                (void)fprintf(out, "%02x", r->payload[k]);
            }
            (void)fputs(json ? "\"}" : "", out);
            return;
        }
    }
    put_quoted(out, r->payload, r->size);
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
            put_payload(out, r, &f, json);
        }
    }
}

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
