/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the targets that make files of the trace format share: a header and chunks whose sums are right, around any content. */
#ifndef VITRINE_TESTS_FUZZ_FUZZ_FILE_H
#define VITRINE_TESTS_FUZZ_FUZZ_FILE_H

#include "base/bytes.h"
#include "base/hash.h"
#include "trace/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* A chunk at `out`, which has room for it; returns its size. */
static inline size_t put_chunk(u8 *out, u32 type, const u8 *data, size_t n)
{
    size_t stored = ZSTD_compress(out + TRACE_CHUNK_SIZE, ZSTD_compressBound(n), data, n, 1);
    memset(out, 0, TRACE_CHUNK_SIZE);
    store_le32(out, TRACE_CHUNK_MAGIC);
    store_le32(out + TRACE_CHUNK_TYPE, type);
    store_le64(out + TRACE_CHUNK_UNPACKED, n);
    store_le64(out + TRACE_CHUNK_STORED, stored);
    store_le64(out + TRACE_CHUNK_HASH, hash_bytes(0, out + TRACE_CHUNK_SIZE, stored));
    store_le64(out + TRACE_CHUNK_HEADER_HASH, hash_bytes(0, out, TRACE_CHUNK_HEADER_HASH));
    return TRACE_CHUNK_SIZE + stored;
}

/* The file's header and a configuration; returns where the next chunk goes. */
static inline size_t put_start(u8 *file)
{
    memset(file, 0, TRACE_HEADER_SIZE);
    memcpy(file, TRACE_MAGIC, 8);
    store_le32(file + TRACE_HEADER_VERSION, TRACE_VERSION);
    store_le64(file + TRACE_HEADER_HASH, hash_bytes(0, file, TRACE_HEADER_HASH));
    return TRACE_HEADER_SIZE + put_chunk(file + TRACE_HEADER_SIZE, TRACE_CHUNK_CONFIG, (const u8 *)"build x\n", 8);
}

#endif
