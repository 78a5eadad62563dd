/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace file. All numbers are little-endian.
 *
 *     file header   "VITRACE\n", version, hash of these
 *     chunk         header (below), then `stored` bytes, a zstd frame of `size` bytes
 *     chunk ...
 *
 * The first chunk is CHUNK_CONFIG, the text of everything that decides the run. The others of a recording
 * hold whole records: 64 bytes each, followed by the record's payload padded to 64. Those of a snapshot are
 * CHUNK_STATE: the machine's state (base/state.h), cut into pieces. */
#ifndef VITRINE_TRACE_FORMAT_H
#define VITRINE_TRACE_FORMAT_H

#include "base/types.h"

#define TRACE_VERSION 1u
#define TRACE_MAGIC "VITRACE\n"
#define TRACE_HEADER_SIZE 32u
enum { TRACE_HEADER_VERSION = 8, TRACE_HEADER_HASH = 24 };

#define TRACE_CHUNK_MAGIC 0x4b4e4843u /* "CHNK" */
#define TRACE_CHUNK_SIZE 64u
enum {
    TRACE_CHUNK_TYPE = 4,
    TRACE_CHUNK_UNPACKED = 8,
    TRACE_CHUNK_STORED = 16,
    TRACE_CHUNK_HASH = 24, /* of the stored bytes */
    TRACE_CHUNK_FIRST = 32,
    TRACE_CHUNK_LAST = 40,
    TRACE_CHUNK_COUNT = 48,
    TRACE_CHUNK_HEADER_HASH = 56, /* of the 56 bytes before */
};
enum { TRACE_CHUNK_CONFIG = 1, TRACE_CHUNK_RECORDS = 2, TRACE_CHUNK_STATE = 3 };

#define TRACE_CHUNK_BYTES ((size_t)1 << 20) /* records of one chunk at most */
#define TRACE_STATE_BYTES ((size_t)1 << 24) /* of a piece of state at most */
#define TRACE_CHUNK_MAX ((size_t)1 << 26)   /* what a reader accepts */

#define TRACE_RECORD_SIZE 64u
enum {
    TRACE_RECORD_POSITION = 0,
    TRACE_RECORD_TIME = 8,
    TRACE_RECORD_EVENT = 16, /* u16 */
    TRACE_RECORD_CPU = 18,   /* u8 */
    TRACE_RECORD_ARGC = 19,  /* u8 */
    TRACE_RECORD_SIZE_AT = 20, /* u32: bytes of payload */
    TRACE_RECORD_ARGS = 24,
};
#define TRACE_MAX_ARGS 5u
#define TRACE_MAX_PAYLOAD 65536u

#endif
