/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pcapng: section header, one interface, an enhanced packet block for each frame.
 * [draft-ietf-opsawg-pcapng "Block Types"] Times are virtual, in ns. */
#include "traces/export.h"

#include "base/bytes.h"

#include <string.h>

enum { BLOCK_SECTION = 0x0a0d0d0a, BLOCK_INTERFACE = 1, BLOCK_PACKET = 6 };
#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define LINKTYPE_ETHERNET 1u
#define OPTION_NAME 2u
#define OPTION_TIME_RESOLUTION 9u
#define OPTION_PACKET_FLAGS 2u
enum { FLAG_INBOUND = 1, FLAG_OUTBOUND = 2 };

static void put32(FILE *out, u32 v)
{
    u8 bytes[4];
    store_le32(bytes, v);
    (void)fwrite(bytes, sizeof bytes, 1, out);
}

static void put_padding(FILE *out, u32 n)
{
    for (; n % 4 != 0; n++) {
        (void)fputc(0, out);
    }
}

static void put_head(FILE *out)
{
    put32(out, BLOCK_SECTION);
    put32(out, 28);
    put32(out, BYTE_ORDER_MAGIC);
    put32(out, 1); /* version 1.0 */
    put32(out, ~0u);
    put32(out, ~0u);
    put32(out, 28);
    put32(out, BLOCK_INTERFACE);
    put32(out, 20 + 8 + 8 + 4);
    put32(out, LINKTYPE_ETHERNET);
    put32(out, 0); /* frames are whole */
    put32(out, 4u << 16 | OPTION_NAME);
    (void)fputs("net0", out);
    put32(out, 1u << 16 | OPTION_TIME_RESOLUTION);
    put32(out, 9); /* 10^-9 s */
    put32(out, 0);
    put32(out, 20 + 8 + 8 + 4);
}

static void put_frame(FILE *out, const struct trace_record *r)
{
    u32 total = 32 + (r->size + 3) / 4 * 4 + 8 + 4;
    put32(out, BLOCK_PACKET);
    put32(out, total);
    put32(out, 0);
    put32(out, (u32)(r->time.ns >> 32));
    put32(out, (u32)r->time.ns);
    put32(out, r->size);
    put32(out, r->size);
    (void)fwrite(r->payload, 1, r->size, out);
    put_padding(out, r->size);
    put32(out, 4u << 16 | OPTION_PACKET_FLAGS);
    put32(out, r->args[0] == TRACE_NET_TO_GUEST ? FLAG_INBOUND : FLAG_OUTBOUND);
    put32(out, 0);
    put32(out, total);
}

bool trace_export_pcapng(struct trace_reader *r, const struct trace_filter *f, FILE *out, struct error *err)
{
    struct trace_record record;
    u64 frames = 0;
    put_head(out);
    while (trace_reader_next(r, &record)) {
        if (record.event == TRACE_EVENT_net_frame && trace_filter_matches(f, &record)) {
            put_frame(out, &record);
            frames++;
        }
    }
    if (ferror(out) != 0) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "the export cannot be written");
    }
    return frames > 0 || error_set(err, EXIT_STATUS_BAD_FILE,
                                   "there are no frames in the recording; record with --trace net");
}
