/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/hash.h"

#include "base/bytes.h"

/* Four independent lanes hide the multiplier's latency; lanes are folded at the end. */
u64 hash_bytes(u64 seed, const void *data, size_t len)
{
    const u8 *p = data;
    u64 lane[4] = {seed ^ len, seed + 0x8ebc6af09c88c6e3u, ~seed, seed ^ 0x589965cc75374cc3u};
    while (len >= 32) {
        for (unsigned i = 0; i < 4; i++) {
            u64 x = (lane[i] ^ load_le64(p + 8 * i)) * 0x9e3779b97f4a7c15u;
            lane[i] = x ^ (x >> 29);
        }
        p += 32;
        len -= 32;
    }
    u64 h = hash_u64(hash_u64(lane[0], lane[1]), hash_u64(lane[2], lane[3]));
    while (len >= 8) {
        h = hash_u64(h, load_le64(p));
        p += 8;
        len -= 8;
    }
    return len > 0 ? hash_u64(h, load_le(p, (unsigned)len) | ((u64)len << 56)) : h;
}
