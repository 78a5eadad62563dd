/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Drives a fuzz target without libFuzzer: over the files named, or over a fixed pseudo-random
 * sequence of inputs (the same in every run). */
#include "tests/harness/draw.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        (void)fprintf(stderr, "%s: cannot open\n", path);
        return 1;
    }
    size_t cap = (size_t)1 << 24;
    u8 *data = malloc(cap);
    size_t n = data != NULL ? fread(data, 1, cap, f) : 0;
    (void)fclose(f);
    (void)LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int rc = 0;
    for (int i = 1; i < argc; i++) {
        rc |= run_file(argv[i]);
    }
    draw_state = 0x9e3779b97f4a7c15u;
    static u8 data[4096];
    for (unsigned run = 0; argc == 1 && run < 3000; run++) {
        size_t n = draw() % sizeof data;
        for (size_t i = 0; i < n; i++) {
            data[i] = (u8)draw();
        }
        (void)LLVMFuzzerTestOneInput(data, n);
    }
    return rc;
}
