/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/nearest.h"

#include <string.h>

#define WORD_MAX 63

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned edit_distance(const char *a, const char *b)
{
    size_t la = strnlen(a, WORD_MAX);
    size_t lb = strnlen(b, WORD_MAX);
    unsigned rows[3][WORD_MAX + 1]; /* the row before the previous one, the previous, the current */
    unsigned *before = rows[0], *prev = rows[1], *cur = rows[2];
    for (size_t j = 0; j <= lb; j++) {
        before[j] = 0;
        prev[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= la; i++) {
        cur[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned replace = prev[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]) ? 1 : 0);
            cur[j] = min3(prev[j] + 1, cur[j - 1] + 1, replace);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]) && before[j - 2] + 1 < cur[j]) {
                cur[j] = before[j - 2] + 1;
            }
        }
        unsigned *spare = before;
        before = prev;
        prev = cur;
        cur = spare;
    }
    return prev[lb];
}

void nearest_init(struct nearest *n, const char *typed)
{
    *n = (struct nearest){.typed = typed};
}

void nearest_offer(struct nearest *n, const char *word)
{
    unsigned d = edit_distance(n->typed, word);
    if (n->best == NULL || d < n->distance) {
        n->best = word;
        n->distance = d;
    }
}

const char *nearest_result(const struct nearest *n)
{
    size_t len = strnlen(n->typed, WORD_MAX);
    unsigned allowed = len <= 3 ? 1 : len <= 6 ? 2 : 3;
    return n->best != NULL && n->distance <= allowed ? n->best : NULL;
}
