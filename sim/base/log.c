/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include "base/hash.h"

#include <stdarg.h>
#include <string.h>

static const char *const class_names[LOG_CLASS_COUNT] = {
#define X(id, name, meaning) [LOG_##id] = name,
    LOG_CLASSES(X)
#undef X
};

void log_init(struct log *log)
{
    memset(log, 0, sizeof *log);
}

bool log_parse_classes(const char *list, u32 *classes)
{
    u32 found = 0;
    while (*list != '\0') {
        size_t len = strcspn(list, ",");
        bool known = false;
        if (len == 3 && strncmp(list, "all", 3) == 0) {
            found = ~(u32)0;
            known = true;
        }
        for (unsigned i = 0; i < LOG_CLASS_COUNT && !known; i++) {
            if (strlen(class_names[i]) == len && strncmp(list, class_names[i], len) == 0) {
                found |= (u32)1 << i;
                known = true;
            }
        }
        if (!known) {
            return false;
        }
        list += len;
        list += *list == ',' ? 1 : 0;
    }
    *classes = found;
    return true;
}

static void print_line(struct log *log, enum log_class c, const char *text)
{
    FILE *out = log->out != NULL ? log->out : stderr;
    (void)fprintf(out, "%s: %s\n", class_names[c], text);
}

static bool first_time(struct log *log, const char *text)
{
    u64 h = hash_bytes(0, text, strlen(text));
    for (unsigned i = 0; i < log->seen_count; i++) {
        if (log->seen[i] == h) {
            return false;
        }
    }
    if (log->seen_count == ARRAY_LEN(log->seen)) {
        return false; /* enough said: the counts go on */
    }
    log->seen[log->seen_count++] = h;
    return true;
}

static void PRINTF_LIKE(3, 0) once(struct log *log, enum log_class c, const char *fmt, va_list ap)
{
    char text[400];
    log->counts[c]++;
    (void)vsnprintf(text, sizeof text, fmt, ap);
    if ((log_on(log, c) || log->strict) && first_time(log, text)) {
        print_line(log, c, text);
    }
    log->strict_hit |= log->strict;
}

void log_line(struct log *log, enum log_class c, const char *fmt, ...)
{
    if (!log_on(log, c)) {
        return;
    }
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    print_line(log, c, text);
}

void log_guest_error(struct log *log, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    once(log, LOG_GUEST_ERROR, fmt, ap);
    va_end(ap);
}

void log_unimp(struct log *log, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    once(log, LOG_UNIMP, fmt, ap);
    va_end(ap);
}
