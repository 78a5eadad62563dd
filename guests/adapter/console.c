/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The console: its ring is emptied whenever the guest says so, and always; console_io is the early stream. [Xen public/io/console.h]
 * What is typed waits for room in the ring; what does not fit here either is lost. */
#include "guests/adapter/adapter.h"

#define RING_IN 0u
#define IN_BYTES 1024u
#define IN_CONS 3072u
#define IN_PROD 3076u
#define RING_OUT 1024u
#define RING_BYTES 2048u
#define OUT_CONS 3080u
#define OUT_PROD 3084u
#define WRITE_MAX 4096u

#define TYPED_MAX 4096u
static u8 typed[TYPED_MAX];
static u32 typed_head, typed_tail;

static volatile u32 *ring_word(u32 offset) { return at_address(ADAPTER_CONSOLE_AT + offset); }

/* True: the guest has something to read. */
static bool put_typed(void)
{
    u32 prod = *ring_word(IN_PROD);
    bool any = false;
    while (typed_tail != typed_head && prod - *ring_word(IN_CONS) < IN_BYTES) {
        *(volatile u8 *)at_address(ADAPTER_CONSOLE_AT + RING_IN + (prod++ & (IN_BYTES - 1))) = typed[typed_tail++ % TYPED_MAX];
        any = true;
    }
    __asm__ volatile("" : : : "memory");
    *ring_word(IN_PROD) = prod;
    return any;
}

void console_type(const u8 *text, u32 count)
{
    for (u32 i = 0; i < count && typed_head - typed_tail < TYPED_MAX; i++) {
        typed[typed_head++ % TYPED_MAX] = text[i];
    }
    if (put_typed()) {
        event_raise(EVENT_CONSOLE);
    }
}

void console_notify(void)
{
    char text[256];
    u32 cons = *ring_word(OUT_CONS);
    u32 prod = *ring_word(OUT_PROD);
    __asm__ volatile("" : : : "memory");
    if (prod - cons > RING_BYTES) {
        cons = prod - RING_BYTES; /* nonsense: not more than there can be */
    }
    bool any = put_typed() || prod != cons;
    while (cons != prod) {
        u32 n = 0;
        while (cons != prod && n < sizeof text) {
            text[n++] = *(volatile char *)at_address(ADAPTER_CONSOLE_AT + RING_OUT + (cons++ & (RING_BYTES - 1)));
        }
        root_console(ADAPTER_STREAM_RING, text, n);
    }
    *ring_word(OUT_CONS) = cons;
    if (any) {
        event_raise(EVENT_CONSOLE);
    }
}

i64 xen_console_write(u64 count, u64 gva)
{
    char text[128];
    for (u64 at = 0; at < count && at < WRITE_MAX;) {
        u64 n = min_u64(min_u64(count, WRITE_MAX) - at, sizeof text);
        if (!guest_get(gva + at, text, n)) {
            return -XEN_EFAULT;
        }
        root_console(ADAPTER_STREAM_EARLY, text, (u32)n);
        at += n;
    }
    return 0;
}
