/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The console: its ring is emptied whenever the guest says so, and always; console_io is the early stream. [Xen public/io/console.h]
 * Left out: input. */
#include "guests/adapter/adapter.h"

#define RING_OUT 1024u
#define RING_BYTES 2048u
#define OUT_CONS 3080u
#define OUT_PROD 3084u
#define WRITE_MAX 4096u

static volatile u32 *ring_word(u32 offset) { return at_address(ADAPTER_CONSOLE_AT + offset); }

void console_notify(void)
{
    char text[256];
    u32 cons = *ring_word(OUT_CONS);
    u32 prod = *ring_word(OUT_PROD);
    __asm__ volatile("" : : : "memory");
    if (prod - cons > RING_BYTES) {
        cons = prod - RING_BYTES; /* nonsense: not more than there can be */
    }
    if (prod == cons) {
        return;
    }
    while (cons != prod) {
        u32 n = 0;
        while (cons != prod && n < sizeof text) {
            text[n++] = *(volatile char *)at_address(ADAPTER_CONSOLE_AT + RING_OUT + (cons++ & (RING_BYTES - 1)));
        }
        root_console(ADAPTER_STREAM_RING, text, n);
    }
    *ring_word(OUT_CONS) = cons;
    event_raise(EVENT_CONSOLE);
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
