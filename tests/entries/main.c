/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzed entries into guests. From good VMCSs and VMCBs outwards: fields, controls, code of the guest and events
 * from outside are drawn at random; some entries are aimed at a row. What was reached is counted. A run fails when
 * a row of the checks, an exit reason, an error or an intercept was not reached, and by any crash.
 *
 *   vt_entries [--entries N] [--seed N] [--vendor vmx|svm] [--table] [--twice] */
#include "entries.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_OF_A_MODEL 512

u64 entries_random;

static struct {
    u64 number, seed;
    const char *vendor;
} now;

_Noreturn void entries_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "entry %" PRIu64 " of %s, seed %" PRIu64 ": ", now.number, now.vendor, now.seed);
    (void)vfprintf(stderr, format, args);
    (void)fprintf(stderr, "\n");
    va_end(args);
    abort();
}

static enum guide pick_guide(void)
{
    static const enum guide all[] = {GUIDE_NONE, GUIDE_NONE, GUIDE_NONE, GUIDE_BREAK, GUIDE_SCENARIO,
                                     GUIDE_SCENARIO, GUIDE_EXACT};
    return all[below(ARRAY_LEN(all))];
}

static u64 run(const struct vendor *v, u64 entries, u64 seed)
{
    entries_random = seed;
    now.seed = seed;
    now.vendor = v->name;
    *v->digest = seed;
    for (u64 i = 0; i < entries; i++) {
        now.number = i;
        if (i % ENTRIES_OF_A_MODEL == 0) {
            if (i != 0) {
                v->close();
            }
            v->open();
        }
        v->enter(pick_guide());
    }
    v->close();
    return *v->digest;
}

/* Rows that must be reached and were not. */
static unsigned report(const struct vendor *v, bool table)
{
    unsigned missing = 0, n = v->hit_count();
    for (unsigned i = 0; i < n; i++) {
        const struct hit *h = &v->hits[i];
        bool lacks = h->count == 0 && h->because == NULL;
        if (table || lacks || (h->because != NULL && h->count != 0)) {
            (void)printf("%-4s %-14s %-28s %10" PRIu64 " %10" PRIu64 "  %s\n", v->name, h->group, h->name, h->count,
                         h->unguided,
                         lacks ? "NOT REACHED"
                         : h->because == NULL ? ""
                         : h->count == 0      ? h->because
                                              : "REACHED, THOUGH IT CANNOT BE");
        }
        missing += lacks || (h->because != NULL && h->count != 0);
    }
    (void)printf("%s: %" PRIu64 " entered, %" PRIu64 " refused, %" PRIu64 " exits, %u rows, %u missing, digest %016" PRIx64
                 "\n",
                 v->name, *v->entered, *v->refused, *v->exited, n, missing, *v->digest);
    return missing;
}

int main(int argc, char **argv)
{
    u64 entries = 100000, seed = 1;
    const char *only = NULL;
    bool table = false, twice = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--table") == 0) {
            table = true;
        } else if (strcmp(argv[i], "--twice") == 0) {
            twice = true;
        } else if (strcmp(argv[i], "--entries") == 0) {
            entries = strtoull(value, NULL, 0);
            i++;
        } else if (strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(value, NULL, 0);
            i++;
        } else if (strcmp(argv[i], "--vendor") == 0) {
            only = value;
            i++;
        } else {
            (void)fprintf(stderr, "vt_entries [--entries N] [--seed N] [--vendor vmx|svm] [--table] [--twice]\n");
            return 64;
        }
    }
    static const struct vendor *const vendors[] = {&vmx_entries, &svm_entries};
    unsigned missing = 0;
    for (unsigned i = 0; i < ARRAY_LEN(vendors); i++) {
        const struct vendor *v = vendors[i];
        if (only != NULL && strcmp(only, v->name) != 0) {
            continue;
        }
        u64 digest = run(v, only != NULL ? entries : entries / 2, seed);
        missing += report(v, table);
        if (twice && run(v, only != NULL ? entries : entries / 2, seed) != digest) {
            (void)printf("%s: the second run differs\n", v->name);
            missing++;
        }
    }
    return missing != 0;
}
