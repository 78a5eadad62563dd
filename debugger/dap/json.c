/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "debugger/dap/json.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64

struct reader {
    const char *p, *end;
    unsigned depth;
};

static struct json *value(struct reader *r);

static void skip(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')) {
        r->p++;
    }
}

static bool take(struct reader *r, char c)
{
    skip(r);
    if (r->p == r->end || *r->p != c) {
        return false;
    }
    r->p++;
    return true;
}

static int hex4(struct reader *r)
{
    int v = 0;
    for (unsigned i = 0; i < 4; i++) {
        if (r->p == r->end) {
            return -1;
        }
        char c = *r->p++;
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) {
            return -1;
        }
        v = v * 16 + d;
    }
    return v;
}

static size_t put_utf8(char *out, u32 c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* "\uXXXX", a pair of them for what lies beyond. A NUL becomes a question mark: texts end there. */
static bool escaped(struct reader *r, char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (r->p == r->end) {
        return false;
    }
    char c = *r->p++;
    if (c != 'u') {
        const char *at = memchr(from, c, sizeof from - 1);
        if (at == NULL) {
            return false;
        }
        out[(*n)++] = to[at - from];
        return true;
    }
    int v = hex4(r);
    if (v >= 0xd800 && v < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
        r->p += 2;
        int low = hex4(r);
        v = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00) : -1;
    }
    if (v < 0) {
        return false;
    }
    *n += put_utf8(out + *n, v == 0 ? '?' : (u32)v);
    return true;
}

static char *string(struct reader *r)
{
    if (!take(r, '"')) {
        return NULL;
    }
    char *out = malloc((size_t)(r->end - r->p) + 8); /* never longer than its source */
    size_t n = 0;
    while (out != NULL && r->p < r->end && *r->p != '"') {
        char c = *r->p++;
        if (c == '\\') {
            if (!escaped(r, out, &n)) {
                free(out);
                return NULL;
            }
        } else {
            out[n++] = c == '\0' ? '?' : c;
        }
    }
    if (out == NULL || r->p == r->end) {
        free(out);
        return NULL;
    }
    r->p++;
    out[n] = '\0';
    return out;
}

static bool word(struct reader *r, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, text, n) != 0) {
        return false;
    }
    r->p += n;
    return true;
}

static bool number(struct reader *r, struct json *j)
{
    char text[64];
    size_t n = 0;
    while (r->p + n < r->end && n < sizeof text - 1 && strchr("+-0123456789.eE", r->p[n]) != NULL && r->p[n] != '\0') {
        text[n] = r->p[n];
        n++;
    }
    text[n] = '\0';
    char *end;
    j->number = strtod(text, &end);
    r->p += n;
    return n > 0 && *end == '\0';
}

static bool members(struct reader *r, struct json *j, char close)
{
    struct json **last = &j->first;
    skip(r);
    if (take(r, close)) {
        return true;
    }
    do {
        char *name = NULL;
        if (close == '}') {
            name = string(r);
            if (name == NULL || !take(r, ':')) {
                free(name);
                return false;
            }
        }
        struct json *m = value(r);
        if (m == NULL) {
            free(name);
            return false;
        }
        m->name = name;
        *last = m;
        last = &m->next;
    } while (take(r, ','));
    return take(r, close);
}

static struct json *value(struct reader *r)
{
    struct json *j = calloc(1, sizeof *j);
    bool ok = j != NULL && ++r->depth <= DEPTH_MAX;
    skip(r);
    if (!ok || r->p == r->end) {
        ok = false;
    } else if (*r->p == '{' || *r->p == '[') {
        j->kind = *r->p == '{' ? JSON_OBJECT : JSON_ARRAY;
        r->p++;
        ok = members(r, j, j->kind == JSON_OBJECT ? '}' : ']');
    } else if (*r->p == '"') {
        j->kind = JSON_STRING;
        j->text = string(r);
        ok = j->text != NULL;
    } else if (word(r, "true")) {
        j->kind = JSON_TRUE;
    } else if (word(r, "false")) {
        j->kind = JSON_FALSE;
    } else if (!word(r, "null")) {
        j->kind = JSON_NUMBER;
        ok = number(r, j);
    }
    r->depth--;
    if (!ok) {
        json_free(j);
        return NULL;
    }
    return j;
}

struct json *json_parse(const char *text, size_t size)
{
    struct reader r = {.p = text, .end = text + size};
    struct json *j = value(&r);
    skip(&r);
    if (j != NULL && r.p != r.end) {
        json_free(j);
        return NULL;
    }
    return j;
}

void json_free(struct json *j)
{
    while (j != NULL) {
        struct json *next = j->next;
        json_free(j->first);
        free(j->text);
        free(j->name);
        free(j);
        j = next;
    }
}

const struct json *json_get(const struct json *j, const char *name)
{
    for (const struct json *m = j != NULL && j->kind == JSON_OBJECT ? j->first : NULL; m != NULL; m = m->next) {
        if (m->name != NULL && strcmp(m->name, name) == 0) {
            return m;
        }
    }
    return NULL;
}

const char *json_text(const struct json *j, const char *name, const char *otherwise)
{
    const struct json *m = json_get(j, name);
    return m != NULL && m->kind == JSON_STRING ? m->text : otherwise;
}

i64 json_number(const struct json *j, const char *name, i64 otherwise)
{
    const struct json *m = json_get(j, name);
    return m != NULL && m->kind == JSON_NUMBER && m->number > -9e15 && m->number < 9e15 ? (i64)m->number : otherwise;
}

bool json_true(const struct json *j, const char *name)
{
    const struct json *m = json_get(j, name);
    return m != NULL && m->kind == JSON_TRUE;
}

void json_put_bytes(FILE *out, const char *text, size_t size)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            (void)fprintf(out, "\\%c", c);
        } else if (c == '\n') {
            (void)fputs("\\n", out);
        } else if (c < 0x20 || c >= 0x7f) { /* guests print anything: every byte a character */
            (void)fprintf(out, "\\u%04x", c);
        } else {
            (void)fputc(c, out);
        }
    }
    (void)fputc('"', out);
}

void json_put_text(FILE *out, const char *text)
{
    json_put_bytes(out, text, strlen(text));
}
