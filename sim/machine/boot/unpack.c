/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The payload of a bzImage [Linux Documentation/arch/x86/boot.rst "payload_offset"]: an ELF kernel
 * packed by gzip, xz, lzma, zstd or lz4, followed by its size in four bytes. Not bzip2 and lzo. Files are
 * hostile: sizes are bounded and every offset is checked. */
#include "machine/boot/unpack.h"

#include "base/bits.h"
#include "base/bytes.h"

#define ZLIB_CONST
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define HDR_SETUP_SECTS 0x1f1
#define HDR_VERSION 0x206
#define HDR_PAYLOAD_OFFSET 0x248
#define HDR_PAYLOAD_LENGTH 0x24c
#define UNPACKED_MAX GIB(1)
#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZ4_BLOCK_MAX MIB(8)

struct span {
    const u8 *data;
    size_t len;
};

static bool unpack_gzip(struct span in, struct boot_file *out)
{
    z_stream z;
    memset(&z, 0, sizeof z);
    if (in.len > UINT32_MAX || out->size > UINT32_MAX || inflateInit2(&z, 15 + 16) != Z_OK) {
        return false;
    }
    z.next_in = in.data;
    z.avail_in = (uInt)in.len;
    z.next_out = out->data;
    z.avail_out = (uInt)out->size;
    bool ok = inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0;
    (void)inflateEnd(&z);
    return ok;
}

/* xz with or without the x86 filter, or the older lzma container. */
static bool unpack_lzma(struct span in, struct boot_file *out)
{
    lzma_stream s = LZMA_STREAM_INIT;
    if (lzma_auto_decoder(&s, MIB(256), 0) != LZMA_OK) {
        return false;
    }
    s.next_in = in.data;
    s.avail_in = in.len;
    s.next_out = out->data;
    s.avail_out = out->size;
    lzma_ret r = lzma_code(&s, LZMA_FINISH);
    bool ok = (r == LZMA_STREAM_END || r == LZMA_OK || r == LZMA_BUF_ERROR) && s.avail_out == 0;
    lzma_end(&s);
    return ok;
}

static bool unpack_zstd(struct span in, struct boot_file *out)
{
    size_t frame = ZSTD_findFrameCompressedSize(in.data, in.len);
    if (ZSTD_isError(frame) != 0) {
        return false;
    }
    return ZSTD_decompress(out->data, out->size, in.data, frame) == out->size;
}

/* A length that goes on in further bytes while they are 255. */
static bool lz4_length(const u8 **p, const u8 *end, size_t *len)
{
    u8 b;
    do {
        if (*p == end || *len > LZ4_BLOCK_MAX) {
            return false;
        }
        b = *(*p)++;
        *len += b;
    } while (b == 255);
    return true;
}

/* [LZ4 "Block Format Description"] literals and matches, until the block's input ends. Matches reach
 * back within the block only. */
static bool lz4_block(struct span in, u8 *out, size_t room, size_t *written)
{
    const u8 *p = in.data, *end = in.data + in.len;
    size_t at = 0;
    while (p < end) {
        u8 token = *p++;
        size_t literals = token >> 4;
        if (literals == 15 && !lz4_length(&p, end, &literals)) {
            return false;
        }
        if (literals > (size_t)(end - p) || literals > room - at) {
            return false;
        }
        memcpy(out + at, p, literals);
        p += literals;
        at += literals;
        if (p == end) {
            break; /* the last sequence has no match */
        }
        if (end - p < 2) {
            return false;
        }
        size_t distance = load_le16(p);
        p += 2;
        size_t match = token & 15;
        if (match == 15 && !lz4_length(&p, end, &match)) {
            return false;
        }
        match += 4;
        if (distance == 0 || distance > at || match > room - at) {
            return false;
        }
        for (size_t i = 0; i < match; i++, at++) {
            out[at] = out[at - distance];
        }
    }
    *written = at;
    return true;
}

/* [LZ4 "Legacy frame"] */
static bool unpack_lz4(struct span in, struct boot_file *out)
{
    size_t at = 4, done = 0;
    while (in.len - at >= 4 && done < out->size) {
        size_t size = load_le32(in.data + at);
        at += 4;
        size_t room = out->size - done < LZ4_BLOCK_MAX ? out->size - done : LZ4_BLOCK_MAX;
        size_t written;
        if (size > in.len - at || !lz4_block((struct span){in.data + at, size}, out->data + done, room, &written)) {
            return false;
        }
        at += size;
        done += written;
    }
    return done == out->size;
}

static bool unpack(struct span in, struct boot_file *out)
{
    u32 magic = load_le32(in.data);
    if ((magic & 0xffff) == 0x8b1f) {
        return unpack_gzip(in, out);
    }
    if (magic == 0x587a37fdu || (magic & 0xffffff) == 0x00005d) {
        return unpack_lzma(in, out);
    }
    if (magic == 0xfd2fb528u) {
        return unpack_zstd(in, out);
    }
    if (magic == LZ4_LEGACY_MAGIC) {
        return unpack_lz4(in, out);
    }
    return false;
}

bool unpack_bzimage(const struct boot_file *kernel, const char *path, struct boot_file *elf,
                    struct error *err)
{
    const u8 *k = kernel->data;
    *elf = (struct boot_file){0};
    u64 start = ((u64)(k[HDR_SETUP_SECTS] != 0 ? k[HDR_SETUP_SECTS] : 4) + 1) * 512;
    u64 length = 0;
    if (load_le16(k + HDR_VERSION) >= 0x208) {
        start += load_le32(k + HDR_PAYLOAD_OFFSET);
        length = load_le32(k + HDR_PAYLOAD_LENGTH);
    }
    if (length < 8 || start > kernel->size || length > kernel->size - start) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: no payload that could be unpacked", path);
    }
    u64 size = load_le32(k + start + length - 4);
    if (size == 0 || size > UNPACKED_MAX) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: the payload has no sane size", path);
    }
    elf->data = malloc(size);
    elf->size = size;
    if (elf->data == NULL || !unpack((struct span){k + start, length - 4}, elf)) {
        boot_free_file(elf);
        return error_set(err, EXIT_STATUS_BAD_FILE,
                         "%s: the payload cannot be unpacked; gzip, xz, lzma, zstd and lz4 are known", path);
    }
    return true;
}
