/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hv's log: lines on COM1. The root partition drives the same port: hv writes
 * whole lines, few of them, and polls. Left out: other ports, input. */
#include "hv/core/console.h"

#include "hv/core/insn.h"
#include "hv/core/spinlock.h"

#include <stdarg.h>

#define COM1 0x3f8
#define COM1_LSR (COM1 + 5)
#define LSR_THRE 0x20u

static struct spinlock lock;

void console_init(void)
{
    insn_out8(COM1 + 3, 0x80); /* divisor */
    insn_out8(COM1, 1);
    insn_out8(COM1 + 1, 0);
    insn_out8(COM1 + 3, 0x03);
    insn_out8(COM1 + 2, 0x07); /* FIFO on and empty */
    insn_out8(COM1 + 4, 0x03);
}

static void put(char c)
{
    for (unsigned tries = 0; tries < 100000 && (insn_in8(COM1_LSR) & LSR_THRE) == 0; tries++) {
        insn_pause();
    }
    insn_out8(COM1, (u8)c);
}

static void put_text(const char *s)
{
    while (*s != 0) {
        put(*s++);
    }
}

static void put_number(u64 value, unsigned base, bool negative, unsigned width, char fill)
{
    char digits[24];
    unsigned n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative) {
        put('-');
    }
    for (unsigned i = n; i < width; i++) {
        put(fill);
    }
    while (n > 0) {
        put(digits[--n]);
    }
}

/* One conversion, after its '%'. Returns the character after it. */
static const char *convert(const char *f, va_list *args)
{
    char fill = ' ';
    unsigned width = 0;
    bool wide = false;
    if (*f == '0') {
        fill = '0';
        f++;
    }
    while (*f >= '0' && *f <= '9') {
        width = width * 10 + (unsigned)(*f++ - '0');
    }
    while (*f == 'l' || *f == 'z') {
        wide = true;
        f++;
    }
    switch (*f) {
    case 'd': {
        i64 v = wide ? va_arg(*args, long) : va_arg(*args, int);
        put_number(v < 0 ? 0 - (u64)v : (u64)v, 10, v < 0, width, fill);
        break;
    }
    case 'u':
        put_number(wide ? va_arg(*args, unsigned long) : va_arg(*args, unsigned), 10, false, width, fill);
        break;
    case 'x':
        put_number(wide ? va_arg(*args, unsigned long) : va_arg(*args, unsigned), 16, false, width, fill);
        break;
    case 'p':
        put_number((u64)(uintptr_t)va_arg(*args, void *), 16, false, 16, '0');
        break;
    case 'c':
        put((char)va_arg(*args, int));
        break;
    case 's':
        put_text(va_arg(*args, const char *));
        break;
    case 0:
        return f;
    default:
        put(*f);
        break;
    }
    return f + 1;
}

static void put_line(const char *format, va_list *args)
{
    put_text("hv: ");
    while (*format != 0) {
        if (*format == '%') {
            format = convert(format + 1, args);
        } else {
            put(*format++);
        }
    }
    put_text("\r\n");
}

void log_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    spin_lock(&lock);
    put_line(format, &args);
    spin_unlock(&lock);
    va_end(args);
}

_Noreturn void panic(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    insn_cli();
    put_text("\r\nhv: panic\r\n"); /* without the lock: its holder may be who panics */
    put_line(format, &args);
    va_end(args);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
