/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Integration components over VMBus pipes: shutdown, heartbeat, time synchronization, key-value pairs. Read from Linux (include/linux/hyperv.h,
 * drivers/hv/hv_util.c, hv_kvp.c) and OpenVMM (vm/devices/hyperv_ic*). */
#ifndef ABI_HYPERV_IC_H
#define ABI_HYPERV_IC_H

#include <stdint.h>

#define IC_SHUTDOWN_GUID                                                                                     \
    {{0x31, 0x60, 0x0b, 0x0e, 0x13, 0x52, 0x34, 0x49, 0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb}}
#define IC_TIMESYNC_GUID                                                                                     \
    {{0x30, 0xe6, 0x27, 0x95, 0xae, 0xd0, 0x7b, 0x49, 0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf}}
#define IC_HEARTBEAT_GUID                                                                                    \
    {{0x39, 0x4f, 0x16, 0x57, 0x15, 0x91, 0x78, 0x4e, 0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d}}
#define IC_KVP_GUID                                                                                          \
    {{0xe7, 0xf4, 0xa0, 0xa9, 0x45, 0x5a, 0x96, 0x4d, 0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6}}

enum ic_type { IC_NEGOTIATE, IC_HEARTBEAT, IC_KVP, IC_SHUTDOWN, IC_TIMESYNC };

struct ic_version {
    uint16_t major, minor;
};

struct ic_header {
    uint32_t pipe_flags, pipe_bytes; /* 1: data; what follows these two */
    struct ic_version framework;
    uint16_t type;
    struct ic_version message;
    uint16_t bytes; /* of the body */
    uint32_t status;
    uint8_t transaction, flags;
    uint16_t reserved;
};
_Static_assert(sizeof(struct ic_header) == 28, "IC header");
#define IC_PIPE_DATA 1u
#define IC_TRANSACTION 1u
#define IC_REQUEST 2u
#define IC_RESPONSE 4u

struct ic_negotiate { /* versions follow: of the framework, then of the messages */
    uint16_t frameworks, messages;
    uint32_t reserved;
};

struct ic_heartbeat {
    uint64_t sequence;
    uint32_t reserved[8];
};

struct ic_shutdown {
    uint32_t reason, timeout, flags;
    uint8_t text[2048];
};
#define IC_SHUTDOWN_POWER_OFF 0u
#define IC_SHUTDOWN_PLANNED 0x80040000u /* reason */

struct ic_time { /* of version 4 */
    uint64_t parent, reference;
    uint8_t flags, leap, stratum, reserved[5];
};
struct ic_time_3 {
    uint64_t parent, child, round_trip;
    uint8_t flags, reserved[7];
};
#define IC_TIME_SYNC 1u
#define IC_TIME_SAMPLE 2u
#define IC_TIME_1970 116444736000000000ull /* 100 ns since 1601 */

struct ic_pair {
    uint32_t type, key_bytes, value_bytes;
    uint8_t key[512], value[2048]; /* UTF-16 */
};
struct ic_kvp { /* of an enumeration; what sets a pair has no index */
    uint8_t operation, pool;
    uint16_t reserved;
    uint32_t index;
    struct ic_pair pair;
};
struct ic_kvp_set {
    uint8_t operation, pool;
    uint16_t reserved;
    struct ic_pair pair;
};
#define IC_KVP_SET 1u
#define IC_KVP_ENUMERATE 3u
#define IC_KVP_POOL_EXTERNAL 0u /* what the host tells the guest */
#define IC_KVP_POOL_AUTO 2u     /* what the guest says of itself */
#define IC_KVP_TEXT 1u          /* type */

#endif
