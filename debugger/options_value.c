/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of options: numbers, sizes, lists of properties. */
#include "debugger/options_priv.h"

#include "base/bits.h"
#include "base/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool options_parse_number(const char *text, u64 *value)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (isdigit((unsigned char)text[0]) == 0 || errno != 0 || *end != '\0') {
        return false; /* blanks and signs are not taken either */
    }
    *value = v;
    return true;
}

bool options_parse_size(const char *text, u64 *bytes)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (isdigit((unsigned char)text[0]) == 0 || errno != 0 || !(v > 0)) {
        return false;
    }
    u64 unit = MIB(1);
    switch (toupper((unsigned char)*end)) {
    case 'K': unit = KIB(1); end++; break;
    case 'M': unit = MIB(1); end++; break;
    case 'G': unit = GIB(1); end++; break;
    case 'T': unit = GIB(1024); end++; break;
    case 'B': unit = 1; end++; break;
    case '\0': break;
    default: return false;
    }
    if (*end != '\0' || v * (double)unit > 1e15) {
        return false;
    }
    *bytes = (u64)(v * (double)unit);
    return true;
}

bool options_number(const char *name, const char *value, u64 min, u64 max, u64 *out, struct error *err)
{
    u64 v;
    if (!options_parse_number(value, &v) || v < min || v > max) {
        return error_set(err, EXIT_STATUS_USAGE, "--%s %s: a number from %llu to %llu is wanted", name, value,
                         (unsigned long long)min, (unsigned long long)max);
    }
    *out = v;
    return true;
}

bool options_on_off(const char *key, const char *value, bool *out, struct error *err)
{
    if (value != NULL && (strcmp(value, "on") == 0 || strcmp(value, "yes") == 0)) {
        *out = true;
    } else if (value != NULL && (strcmp(value, "off") == 0 || strcmp(value, "no") == 0)) {
        *out = false;
    } else {
        return error_set(err, EXIT_STATUS_USAGE, "%s=%s: on or off is wanted", key, value != NULL ? value : "");
    }
    return true;
}

bool options_next_property(char **text, char **key, char **value)
{
    char *from = *text;
    char *to = from;
    if (from == NULL) {
        return false;
    }
    *key = from;
    *value = NULL;
    *text = NULL;
    for (; *from != '\0'; from++) {
        if (*from == ',' && from[1] != ',') {
            *text = from + 1;
            break;
        }
        if (*from == ',') {
            from++;
        }
        if (*from == '=' && *value == NULL) {
            *to++ = '\0';
            *value = to;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return true;
}

bool options_unknown(const char *what, const struct nearest *n, const char *where_listed, struct error *err)
{
    const char *near = nearest_result(n);
    return error_set(err, EXIT_STATUS_USAGE, "%s '%s'%s%s%s", what, n->typed,
                     near != NULL ? "; did you mean " : "; ", near != NULL ? near : where_listed,
                     near != NULL ? "?" : "");
}
