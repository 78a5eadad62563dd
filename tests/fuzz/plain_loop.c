/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A main for fuzz targets without libFuzzer: `target [runs]` with bytes of a fixed generator, or
 * `target FILE...` to run saved inputs again. */
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    static u8 bytes[1 << 20];
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        (void)fprintf(stderr, "cannot open %s\n", path);
        return 1;
    }
    size_t n = fread(bytes, 1, sizeof bytes, f);
    (void)fclose(f);
    return LLVMFuzzerTestOneInput(bytes, n);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    unsigned long runs = argc > 1 ? strtoul(argv[1], &end, 10) : 1000;
    if (end != NULL && *end != 0) {
        int failed = 0;
        for (int i = 1; i < argc; i++) {
            failed |= run_file(argv[i]);
        }
        return failed;
    }
    static u8 bytes[4096];
    for (unsigned long run = 0; run < runs; run++) {
        u64 state = hash_u64(0x76697472696e65, run);
        size_t size = (size_t)(state % sizeof bytes);
        for (size_t i = 0; i < size; i++) {
            state = hash_u64(state, i);
            bytes[i] = (u8)(state >> 24);
        }
        (void)LLVMFuzzerTestOneInput(bytes, size);
    }
    return 0;
}
