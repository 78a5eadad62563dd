/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JSON as DAP needs it: a parsed value from any bytes, and text put together. */
#ifndef VITRINE_DEBUGGER_DAP_JSON_H
#define VITRINE_DEBUGGER_DAP_JSON_H

#include "base/types.h"

#include <stdio.h>

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_kind kind;
    double number;
    char *text;        /* of a string, NUL-terminated */
    char *name;        /* as a member of an object */
    struct json *first, *next; /* members; neighbours */
};

/* NULL: not JSON, or nested too deeply. */
struct json *json_parse(const char *text, size_t size);
void json_free(struct json *j);
/* A member by its name; NULL also when j is NULL or no object. */
const struct json *json_get(const struct json *j, const char *name);
/* Of a member; what stands in its place when it is missing or of another kind. */
const char *json_text(const struct json *j, const char *name, const char *otherwise);
i64 json_number(const struct json *j, const char *name, i64 otherwise);
bool json_true(const struct json *j, const char *name);

/* Between quotes, escaped. */
void json_put_text(FILE *out, const char *text);
void json_put_bytes(FILE *out, const char *text, size_t size);

#endif
