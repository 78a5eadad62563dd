/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads, frames, variables, memory, instructions, expressions. Processors are threads, numbered from 1. */
#include "debugger/dap/dap_priv.h"
#include "debugger/shell/cvalue.h"
#include "debugger/shell/frames.h"
#include "debugger/shell/vmcs.h"

#include <stdlib.h>
#include <string.h>

#define FRAMES DAP_FRAMES

/* References of variables: a frame's locals are LOCALS and its number; else a processor's number and a scope. */
#define LOCALS 0x10000

enum scope { SCOPE_GENERAL = 1, SCOPE_SYSTEM, SCOPE_VMCS, SCOPE_VMCB };

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool select_cpu(struct dap *d, i64 thread)
{
    if (thread < 1 || thread > (i64)d->shell->m->set.count) {
        return false;
    }
    d->shell->cpu = (unsigned)thread - 1;
    return true;
}

static void finish(struct dap *d, const struct json *request, FILE *f, char **text)
{
    (void)fclose(f);
    dap_reply(d, request, *text);
    free(*text);
}

/* ---- Threads and frames ---- */

static void threads(struct dap *d, const struct json *request)
{
    char *text;
    size_t size;
    FILE *f = dap_begin(&text, &size);
    (void)fputs("{\"threads\":[", f);
    for (unsigned i = 0; i < d->shell->m->set.count; i++) {
        const struct cpu *cpu = d->shell->m->set.cpu[i];
        (void)fprintf(f, "%s{\"id\":%u,\"name\":\"cpu%u%s\"}", i > 0 ? "," : "", i + 1, i,
                      cpu->arch.guest != GUEST_NONE          ? " (guest)"
                      : cpu->arch.activity != ACTIVITY_RUNNING ? " (waiting)"
                                                               : "");
    }
    (void)fputs("]}", f);
    finish(d, request, f, &text);
}

static void put_frame(struct dap *d, FILE *f, const struct frame *frame, unsigned id)
{
    char name[200];
    char file[1024];
    int line = 0;
    u64 at = frame->pc - (id % FRAMES > 0 ? 1 : 0);
    describe_address(d->shell, at, name, sizeof name);
    char *paren = strstr(name, " (");
    if (paren != NULL) {
        *paren = '\0';
    }
    (void)fprintf(f, "{\"id\":%u,\"name\":", id);
    if (name[0] == '\0') {
        (void)snprintf(name, sizeof name, "%#" PRIx64, frame->pc);
    }
    json_put_text(f, name);
    if (symbols_source(d->shell->symbols, at, shell_level(d->shell), file, sizeof file, &line)) {
        const char *slash = strrchr(file, '/');
        (void)fputs(",\"source\":{\"name\":", f);
        json_put_text(f, slash != NULL ? slash + 1 : file);
        (void)fputs(",\"path\":", f);
        json_put_text(f, file);
        (void)fputs("}", f);
    }
    (void)fprintf(f, ",\"line\":%d,\"column\":0,\"instructionPointerReference\":\"0x%" PRIx64 "\"%s}", line, frame->pc,
                  frame->guessed ? ",\"presentationHint\":\"subtle\"" : "");
}

static void stack(struct dap *d, const struct json *request)
{
    const struct json *args = json_get(request, "arguments");
    struct frame frames[FRAMES];
    char *text;
    size_t size;
    if (!select_cpu(d, json_number(args, "threadId", 1))) {
        dap_refuse(d, request, "no such thread");
        return;
    }
    unsigned n = frames_find(d->shell, frames, FRAMES);
    i64 first = json_number(args, "startFrame", 0), levels = json_number(args, "levels", 0);
    FILE *f = dap_begin(&text, &size);
    (void)fputs("{\"stackFrames\":[", f);
    bool any = false;
    for (i64 i = first < 0 ? 0 : first; i < (i64)n && (levels <= 0 || i < first + levels); i++) {
        (void)fputs(any ? "," : "", f);
        put_frame(d, f, &frames[i], d->shell->cpu * FRAMES + (unsigned)i);
        any = true;
    }
    (void)fprintf(f, "],\"totalFrames\":%u}", n);
    finish(d, request, f, &text);
}

/* ---- Scopes and variables ---- */

static void ignore_local(struct shell *s, const char *name, const struct c_value *v, const char *missing)
{
    UNUSED(s);
    UNUSED(name);
    UNUSED(v);
    UNUSED(missing);
}

/* c_locals() tells the shell only: its output is where the list goes. */
static void put_local(struct shell *s, const char *name, const struct c_value *v, const char *missing)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) {
        return;
    }
    if (v != NULL) {
        c_show(s, v, f);
    } else {
        (void)fprintf(f, "<%s>", missing);
    }
    (void)fclose(f);
    (void)fputs("{\"name\":", s->out);
    json_put_text(s->out, name);
    (void)fputs(",\"value\":", s->out);
    json_put_text(s->out, text);
    (void)fputs(",\"variablesReference\":0", s->out);
    if (v != NULL && v->place) {
        (void)fprintf(s->out, ",\"memoryReference\":\"0x%" PRIx64 "\"", v->at);
    }
    (void)fputs("},", s->out);
    free(text);
}

static void put_locals(struct dap *d, FILE *f)
{
    char *text = NULL;
    size_t size = 0;
    FILE *was = d->shell->out, *list = open_memstream(&text, &size);
    if (list == NULL) {
        return;
    }
    d->shell->out = list;
    (void)c_locals(d->shell, put_local);
    d->shell->out = was;
    (void)fclose(list);
    if (size > 0) { /* without the last comma */
        (void)fwrite(text, 1, size - 1, f);
    }
    free(text);
}

static void scopes(struct dap *d, const struct json *request)
{
    i64 frame = json_number(json_get(request, "arguments"), "frameId", 0);
    char *text;
    size_t size;
    if (!select_cpu(d, frame / FRAMES + 1)) {
        dap_refuse(d, request, "no such frame");
        return;
    }
    unsigned base = d->shell->cpu * 16;
    d->shell->frame = (unsigned)(frame % FRAMES);
    FILE *f = dap_begin(&text, &size);
    (void)fputs("{\"scopes\":[", f);
    if (c_locals(d->shell, ignore_local) > 0) {
        (void)fprintf(f, "{\"name\":\"Locals\",\"presentationHint\":\"locals\",\"variablesReference\":%u,"
                         "\"expensive\":false},", LOCALS + (unsigned)frame);
    }
    (void)fprintf(f, "{\"name\":\"Registers\",\"presentationHint\":\"registers\",\"variablesReference\":%u,"
                     "\"expensive\":false},{\"name\":\"System registers\",\"presentationHint\":\"registers\","
                     "\"variablesReference\":%u,\"expensive\":false}", base + SCOPE_GENERAL, base + SCOPE_SYSTEM);
    if (shell_vmcs(d->shell) != VMX_NO_VMCS) {
        (void)fprintf(f, ",{\"name\":\"VMCS\",\"variablesReference\":%u,\"expensive\":false}", base + SCOPE_VMCS);
    }
    if (shell_vmcb(d->shell) != ~(u64)0) {
        (void)fprintf(f, ",{\"name\":\"VMCB\",\"variablesReference\":%u,\"expensive\":false}", base + SCOPE_VMCB);
    }
    (void)fputs("]}", f);
    finish(d, request, f, &text);
}

static void put_variable(FILE *f, bool *any, const char *name, u64 value, const char *words, u64 place)
{
    (void)fprintf(f, "%s{\"name\":", *any ? "," : "");
    json_put_text(f, name);
    (void)fprintf(f, ",\"value\":\"0x%" PRIx64 "%s", value, words[0] != '\0' ? " " : "");
    for (const char *p = words; *p != '\0'; p++) {
        (void)fputc(*p == '"' || *p == '\\' ? '\'' : *p, f);
    }
    (void)fprintf(f, "\",\"variablesReference\":0");
    if (place != 0) {
        (void)fprintf(f, ",\"memoryReference\":\"0x%" PRIx64 "\"", place);
    }
    (void)fputs("}", f);
    *any = true;
}

static void put_registers(struct dap *d, FILE *f, bool system)
{
    const struct shell_register *reg;
    const char *name;
    bool any = false, late = false;
    for (unsigned i = 0; (name = register_name(i)) != NULL; i++) {
        bool wide = register_find(name, strlen(name), &reg) && (reg->bits == 64 || system);
        late |= strcmp(name, "es") == 0;
        if (wide && late == system && (system || strcmp(name, "pc") != 0) && (system || strcmp(name, "sp") != 0)) {
            u64 v = register_get(shell_cpu(d->shell), reg);
            put_variable(f, &any, name, v, "", system ? 0 : v);
        }
    }
}

static void put_vmcs(struct dap *d, FILE *f)
{
    u64 region = shell_vmcs(d->shell);
    bool any = false;
    for (unsigned i = 0; region != VMX_NO_VMCS && i < vmcs_row_count; i++) {
        if (vmcs_field_exists(shell_cpu(d->shell), vmcs_rows[i].encoding)) {
            char words[400];
            u64 v = vmcs_value(d->shell, region, vmcs_rows[i].encoding);
            vmcs_bits(vmcs_rows[i].encoding, v, words, sizeof words);
            put_variable(f, &any, vmcs_rows[i].name, v, words, 0);
        }
    }
}

static void put_vmcb(struct dap *d, FILE *f)
{
    u64 base = shell_vmcb(d->shell);
    struct vmcb_row row;
    bool any = false;
    for (unsigned i = 0; base != ~(u64)0 && vmcb_row(i, &row); i++) {
        u64 v = 0;
        (void)memory_read_physical(d->shell, base + row.offset, &v, row.bytes);
        put_variable(f, &any, row.name, v, "", 0);
    }
}

static void variables(struct dap *d, const struct json *request)
{
    i64 reference = json_number(json_get(request, "arguments"), "variablesReference", 0);
    char *text;
    size_t size;
    bool locals = reference >= LOCALS;
    if (!select_cpu(d, locals ? (reference - LOCALS) / FRAMES + 1 : reference / 16 + 1)) {
        dap_refuse(d, request, "no such variables");
        return;
    }
    FILE *f = dap_begin(&text, &size);
    (void)fputs("{\"variables\":[", f);
    if (locals) {
        d->shell->frame = (unsigned)((reference - LOCALS) % FRAMES);
        put_locals(d, f);
    }
    switch (locals ? 0 : reference % 16) {
    case SCOPE_GENERAL: put_registers(d, f, false); break;
    case SCOPE_SYSTEM: put_registers(d, f, true); break;
    case SCOPE_VMCS: put_vmcs(d, f); break;
    case SCOPE_VMCB: put_vmcb(d, f); break;
    default: break;
    }
    (void)fputs("]}", f);
    finish(d, request, f, &text);
}

static void set_variable(struct dap *d, const struct json *request)
{
    const struct json *args = json_get(request, "arguments");
    char line[300], body[100];
    bool ok;
    u64 value = 0;
    (void)snprintf(line, sizeof line, "set $%.60s = %.200s", json_text(args, "name", "?"), json_text(args, "value", "?"));
    char *text = dap_shell(d, line, &ok);
    text[strcspn(text, "\n")] = '\0';
    const char *p = json_text(args, "name", "?");
    struct error err = {0};
    ok = ok && expr_eval(d->shell, &p, &value, &err);
    if (!ok) {
        dap_refuse(d, request, text);
    } else {
        (void)snprintf(body, sizeof body, "{\"value\":\"0x%" PRIx64 "\"}", value);
        dap_reply(d, request, body);
    }
    free(text);
}

/* ---- Expressions ---- */

static void evaluate(struct dap *d, const struct json *request)
{
    const struct json *args = json_get(request, "arguments");
    const char *expression = json_text(args, "expression", ""), *context = json_text(args, "context", "repl");
    struct error err = {0};
    char *text;
    size_t size;
    u64 value;
    bool ok;
    i64 frame = json_number(args, "frameId", -1);
    if (frame >= 0) {
        if (select_cpu(d, frame / FRAMES + 1)) {
            d->shell->frame = (unsigned)(frame % FRAMES);
        }
    }
    if (strcmp(context, "repl") != 0) {
        const char *p = expression;
        if (!expr_eval(d->shell, &p, &value, &err) || *p != '\0') {
            dap_refuse(d, request, err.text[0] != '\0' ? err.text : "not an expression");
            return;
        }
        struct c_value typed;
        bool is_typed;
        char *shown = NULL;
        size_t shown_size = 0;
        FILE *f = dap_begin(&text, &size), *s = open_memstream(&shown, &shown_size);
        bool ok_typed = s != NULL && expr_typed(d->shell, expression, &value, &typed, &is_typed) && is_typed;
        if (ok_typed) {
            c_show(d->shell, &typed, s);
        } else if (s != NULL) {
            (void)fprintf(s, "0x%" PRIx64, value);
        }
        if (s != NULL) {
            (void)fclose(s);
        }
        (void)fputs("{\"result\":", f);
        json_put_text(f, shown != NULL ? shown : "?");
        (void)fprintf(f, ",\"variablesReference\":0,\"memoryReference\":\"0x%" PRIx64 "\"}",
                      ok_typed && typed.place ? typed.at : value);
        finish(d, request, f, &text);
        free(shown);
        return;
    }
    const struct command *c = shell_find(expression, strcspn(expression, " /"), &err);
    u64 position = shell_position(d->shell);
    if (d->running) {
        dap_refuse(d, request, "the machine runs; pause it first");
        return;
    }
    d->running = c != NULL && (c->flags & COMMAND_RUNS) != 0;
    char *said = dap_shell(d, expression, &ok);
    d->running = false;
    FILE *f = dap_begin(&text, &size);
    (void)fputs("{\"result\":", f);
    json_put_text(f, said);
    (void)fputs(",\"variablesReference\":0}", f);
    free(said);
    finish(d, request, f, &text);
    if (d->shell->quit) {
        d->leaving = true;
    } else if (shell_position(d->shell) != position) {
        dap_tell_stop(d); /* the command has moved the machine */
    }
}

static void completions(struct dap *d, const struct json *request)
{
    const struct json *args = json_get(request, "arguments");
    const char *line = json_text(args, "text", "");
    i64 column = json_number(args, "column", 1) - 1;
    char *text, *found;
    size_t size, at = column > 0 && column <= (i64)strlen(line) ? (size_t)column : strlen(line);
    char word[128];
    size_t begin = at;
    while (begin > 0 && strchr(" \t$%(", line[begin - 1]) == NULL) {
        begin--;
    }
    (void)snprintf(word, sizeof word, "%.*s", (int)(at - begin < 127 ? at - begin : 127), line + begin);
    FILE *f = dap_begin(&text, &size);
    (void)fputs("{\"targets\":[", f);
    for (unsigned i = 0; i < 100 && (found = shell_complete(d->shell, line, begin, word, i)) != NULL; i++) {
        (void)fputs(i > 0 ? ",{\"label\":" : "{\"label\":", f);
        json_put_text(f, found);
        (void)fprintf(f, ",\"start\":%zu,\"length\":%zu}", begin, at - begin);
        free(found);
    }
    (void)fputs("]}", f);
    finish(d, request, f, &text);
}

/* ---- Memory and instructions ---- */

static bool reference(struct dap *d, const struct json *request, u64 *at)
{
    const struct json *args = json_get(request, "arguments");
    const char *text = json_text(args, "memoryReference", "");
    struct error err = {0};
    if (!expr_eval(d->shell, &text, at, &err)) {
        dap_refuse(d, request, err.text);
        return false;
    }
    *at += (u64)json_number(args, "offset", 0);
    return true;
}

static void read_memory(struct dap *d, const struct json *request)
{
    u64 at;
    i64 count = json_number(json_get(request, "arguments"), "count", 0);
    char *text;
    size_t size;
    if (!reference(d, request, &at)) {
        return;
    }
    size_t want = count < 0 ? 0 : count > 65536 ? 65536 : (size_t)count;
    u8 *bytes = calloc(1, want + 3);
    if (bytes == NULL) {
        abort();
    }
    size_t got = memory_read(d->shell, at, bytes, want);
    FILE *f = dap_begin(&text, &size);
    (void)fprintf(f, "{\"address\":\"0x%" PRIx64 "\",\"unreadableBytes\":%zu,\"data\":\"", at, want - got);
    for (size_t i = 0; i < got; i += 3) {
        u32 v = (u32)bytes[i] << 16 | (u32)bytes[i + 1] << 8 | bytes[i + 2];
        (void)fprintf(f, "%c%c%c%c", base64_digits[v >> 18 & 63], base64_digits[v >> 12 & 63],
                      i + 1 < got ? base64_digits[v >> 6 & 63] : '=', i + 2 < got ? base64_digits[v & 63] : '=');
    }
    (void)fputs("\"}", f);
    free(bytes);
    finish(d, request, f, &text);
}

static size_t decode(const char *text, u8 *out, size_t room)
{
    u32 v = 0;
    unsigned bits = 0;
    size_t n = 0;
    for (; *text != '\0' && *text != '='; text++) {
        const char *at = strchr(base64_digits, *text);
        if (at == NULL) {
            return 0;
        }
        v = v << 6 | (u32)(at - base64_digits);
        bits += 6;
        if (bits >= 8 && n < room) {
            bits -= 8;
            out[n++] = (u8)(v >> bits);
        }
    }
    return n;
}

static void write_memory(struct dap *d, const struct json *request)
{
    u64 at;
    u8 bytes[4096];
    struct error err = {0};
    if (!d->shell->may_write) {
        dap_refuse(d, request, "what is recorded cannot be changed");
        return;
    }
    if (!reference(d, request, &at)) {
        return;
    }
    size_t n = decode(json_text(json_get(request, "arguments"), "data", ""), bytes, sizeof bytes);
    if (n > 0 && !memory_write(d->shell, at, bytes, n, &err)) {
        dap_refuse(d, request, err.text);
        return;
    }
    char body[64];
    (void)snprintf(body, sizeof body, "{\"bytesWritten\":%zu}", n);
    dap_reply(d, request, body);
}

/* An address from which `count` instructions lead to `at`; as far back as they can be found. */
static u64 before(struct dap *d, u64 at, unsigned count, unsigned *found)
{
    u64 list[16 * 64];
    unsigned size = shell_code_size(shell_cpu(d->shell));
    char text[200];
    bool is_call;
    count = count < 64 ? count : 64;
    for (u64 back = (u64)count * 15; back > 0; back--) {
        u64 p = at - back;
        unsigned n = 0;
        while (p < at && n < ARRAY_LEN(list)) {
            unsigned len = disassemble(d->shell, p, size, text, sizeof text, &is_call);
            if (len == 0) {
                break;
            }
            list[n++] = p;
            p += len;
        }
        if (p == at && n > 0) {
            *found = n < count ? n : count;
            return list[n - *found];
        }
    }
    *found = 0;
    return at;
}

static void instructions(struct dap *d, const struct json *request)
{
    const struct json *args = json_get(request, "arguments");
    i64 skip = json_number(args, "instructionOffset", 0), count = json_number(args, "instructionCount", 0);
    u64 at;
    char *text, words[256];
    size_t size;
    bool is_call;
    if (!reference(d, request, &at)) {
        return;
    }
    count = count < 0 ? 0 : count > 500 ? 500 : count;
    unsigned missing = 0, code = shell_code_size(shell_cpu(d->shell));
    if (skip < 0) {
        unsigned found, wanted = skip < -1000 ? 1000u : (unsigned)-skip;
        at = before(d, at, wanted, &found);
        missing = wanted - found;
    }
    for (i64 i = 0; i < skip && i < 1000; i++) {
        unsigned n = disassemble(d->shell, at, code, words, sizeof words, &is_call);
        at += n > 0 ? n : 1;
    }
    FILE *f = dap_begin(&text, &size);
    (void)fputs("{\"instructions\":[", f);
    for (i64 i = 0; i < count; i++) {
        bool known = i >= (i64)missing;
        unsigned n = known ? disassemble(d->shell, at, code, words, sizeof words, &is_call) : 0;
        char name[160] = "";
        if (known) {
            describe_address(d->shell, at, name, sizeof name);
        }
        u64 address = known ? at : at - (u64)((i64)missing - i);
        (void)fprintf(f, "%s{\"address\":\"0x%" PRIx64 "\",\"instruction\":", i > 0 ? "," : "", address);
        json_put_text(f, n > 0 ? words : "??");
        if (name[0] != '\0') {
            (void)fputs(",\"symbol\":", f);
            json_put_text(f, name);
        }
        (void)fputs("}", f);
        at += known ? (n > 0 ? n : 1) : 0;
    }
    (void)fputs("]}", f);
    finish(d, request, f, &text);
}

bool dap_answer_look(struct dap *d, const struct json *request, const char *command)
{
    static const struct {
        const char *command;
        void (*answer)(struct dap *d, const struct json *request);
    } rows[] = {{"threads", threads},
                {"stackTrace", stack},
                {"scopes", scopes},
                {"variables", variables},
                {"setVariable", set_variable},
                {"evaluate", evaluate},
                {"completions", completions},
                {"readMemory", read_memory},
                {"writeMemory", write_memory},
                {"disassemble", instructions}};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].command, command) == 0) {
            rows[i].answer(d, request);
            return true;
        }
    }
    return false;
}
