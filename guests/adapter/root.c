/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages to the root (abi/adapter_root.h). */
#include "guests/adapter/adapter.h"

#define TRIES 1000

static u32 sequence;

/* The root's buffers are few: when they are full it needs the processor. */
static bool post(struct adapter_message *m, u16 op, u16 length)
{
    m->header = (struct adapter_header){.op = op, .sequence = ++sequence, .length = length};
    for (u32 i = 0; i < TRIES; i++) {
        u16 status = hv_post(m);
        if (status != HV_INSUFFICIENT_BUFFERS) {
            return status == HV_SUCCESS;
        }
        hv_yield();
    }
    return false;
}

void root_console(enum adapter_stream stream, const char *text, u32 count)
{
    while (count > 0) {
        struct adapter_message m;
        u32 n = (u32)min_u64(count, sizeof m.console.bytes);
        memset(&m, 0, sizeof m);
        m.console.stream = (u8)stream;
        memcpy(m.console.bytes, text, n);
        (void)post(&m, ADAPTER_CONSOLE, (u16)(n + 1));
        text += n;
        count -= n;
    }
}

void root_control_taken(void)
{
    struct adapter_message m;
    memset(&m, 0, sizeof m);
    (void)post(&m, ADAPTER_CONTROL, sizeof m.control);
}

void root_receive(void)
{
    struct adapter_message m;
    while (hv_receive(&m)) {
        u32 n = m.header.length;
        if (m.header.op == ADAPTER_CONSOLE && n > 0 && n <= ADAPTER_BODY) {
            console_type(m.console.bytes, n - 1);
        } else if (m.header.op == ADAPTER_CONTROL && n == sizeof m.control) {
            static const char *const words[] = {"poweroff", "reboot", "suspend"};
            store_shutdown(m.control.what < ARRAY_LEN(words) ? words[m.control.what] : "poweroff");
        }
    }
}

void root_power(u32 reason)
{
    struct adapter_message m;
    memset(&m, 0, sizeof m);
    m.power.reason = reason;
    (void)post(&m, ADAPTER_POWER, sizeof m.power);
    for (;;) { /* the root takes the partition away */
        hv_yield();
    }
}

bool root_map(u64 gfn)
{
    struct adapter_message m;
    memset(&m, 0, sizeof m);
    m.map.gfn = gfn;
    if (!post(&m, ADAPTER_MAP, sizeof m.map)) {
        return false;
    }
    while (boot->answer_sequence != sequence) {
        hv_yield();
    }
    return boot->answer_status == ADAPTER_DONE;
}

/* %x (unsigned), %lx, %s: enough for a line of the log. */
void adapter_log(const char *format, ...)
{
    char line[160];
    u32 n = 0;
    va_list args;
    va_start(args, format);
    for (; *format != 0 && n + 20 < sizeof line; format++) {
        bool wide = format[0] == '%' && format[1] == 'l';
        const char *f = format + (wide ? 1 : 0);
        if (*format == '%' && f[1] == 'x') {
            u64 v = wide ? va_arg(args, u64) : va_arg(args, u32);
            unsigned shift = 60;
            while (shift > 0 && v >> shift == 0) {
                shift -= 4;
            }
            for (;; shift -= 4) {
                line[n++] = "0123456789abcdef"[v >> shift & 15];
                if (shift == 0) {
                    break;
                }
            }
            format = f + 1;
        } else if (*format == '%' && f[1] == 's') {
            for (const char *s = va_arg(args, const char *); *s != 0 && n + 20 < sizeof line; s++) {
                line[n++] = *s;
            }
            format = f + 1;
        } else {
            line[n++] = *format;
        }
    }
    va_end(args);
    root_console(ADAPTER_STREAM_LOG, line, n);
}
