/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the root and the adapter in VTL 2 of a child: the boot block, and messages. Ours, after the pattern of the TLFS's own
 * messages. Left out so far: HELLO and versions, TARGET, FREEZE, CLOCK, PEER, PING. */
#ifndef ABI_ADAPTER_ROOT_H
#define ABI_ADAPTER_ROOT_H

#include <stdint.h>

/* Guest-physical places: the adapter's 4 MiB end where Linux begins. */
#define ADAPTER_AT 0xc00000
#define ADAPTER_BYTES 0x400000
#define ADAPTER_BOOT_AT (ADAPTER_AT + ADAPTER_BYTES - 0x1000)
/* Rings, in memory of VTL 0 that its memory map calls reserved. */
#define ADAPTER_CONSOLE_AT 0xd8000
#define ADAPTER_STORE_AT 0xd9000

#define ADAPTER_MAGIC 0x61647031u /* EAX at the adapter's entry, EBX the boot block */
#define ADAPTER_VERSION 0x10000u

struct adapter_boot {
    uint32_t magic, version;
    uint64_t memory;      /* bytes of RAM from 0 */
    uint32_t connection;  /* to the root */
    uint32_t vps;
    uint32_t domain, reserved;
    uint64_t wall_seconds; /* since 1970, when the partition's reference time was 0 */
    char name[16];
    uint64_t start_info;  /* EBX of VTL 0: general registers are the levels' common ones */
    volatile uint32_t answer_sequence, answer_status; /* written by the root: WriteGpa, 8 bytes */
};

#define ADAPTER_MESSAGE 0x0a52u /* type of the message */
/* The port in VTL 2 that the root posts to, and its SINT there. */
#define ADAPTER_PORT 1u
#define ADAPTER_OWN_SINT 6u

enum adapter_op {
    ADAPTER_MAP = 2,     /* purpose and page numbers -> status; pages are zeroed, the child's own */
    ADAPTER_CONSOLE = 5, /* stream and bytes; from the root: an event, typed bytes */
    ADAPTER_POWER = 6,   /* reason */
    ADAPTER_CONTROL = 7, /* from the root: off, reboot or suspend, for the guest to do; from the adapter: it does */
};
enum adapter_kind { ADAPTER_REQUEST, ADAPTER_ANSWER, ADAPTER_EVENT };
enum adapter_status { ADAPTER_DONE = 0, ADAPTER_UNKNOWN = 2, ADAPTER_MALFORMED = 3, ADAPTER_DENIED = 4, ADAPTER_NO_MEMORY = 7 };
enum adapter_stream { ADAPTER_STREAM_RING, ADAPTER_STREAM_EARLY, ADAPTER_STREAM_LOG };
enum adapter_power { ADAPTER_POWER_OFF, ADAPTER_POWER_REBOOT, ADAPTER_POWER_SUSPEND, ADAPTER_POWER_CRASH };

struct adapter_header {
    uint16_t op;
    uint8_t kind, generation;
    uint32_t sequence, status;
    uint16_t length, reserved;
};
_Static_assert(sizeof(struct adapter_header) == 16, "header");

#define ADAPTER_BODY 224
struct adapter_message {
    struct adapter_header header;
    union {
        struct {
            uint8_t stream;
            uint8_t bytes[ADAPTER_BODY - 1];
        } console;
        struct {
            uint32_t reason;
        } power;
        struct {
            uint32_t what; /* enum adapter_power */
        } control;
        struct {
            uint64_t gfn;
        } map;
        uint8_t body[ADAPTER_BODY];
    };
};
_Static_assert(sizeof(struct adapter_message) == 240, "a message's payload");

#endif
