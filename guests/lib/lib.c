/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strings and output. */
#include "guests/lib/lib.h"

#define COM1 0x3f8

bool text_equal(const char *a, const char *b)
{
    size_t n = strlen(a);
    return n == strlen(b) && memcmp(a, b, n) == 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

bool text_number(const char *s, u64 *value)
{
    int base = 10;
    if (s[0] == '0' && s[1] == 'x') {
        base = 16;
        s += 2;
    }
    if (digit_of(*s) >= base) {
        return false;
    }
    *value = 0;
    while (digit_of(*s) < base) {
        *value = *value * (u64)base + (u64)digit_of(*s++);
    }
    unsigned shift = *s == 'K' ? 10 : (*s == 'M' ? 20 : (*s == 'G' ? 30 : 0));
    *value <<= shift;
    return s[shift != 0] == 0;
}

void serial_init(void)
{
    out8(COM1 + 1, 0);
    out8(COM1 + 3, 3);
    out8(COM1 + 2, 1);
}

void serial_listen(bool on) { out8(COM1 + 1, on ? 1 : 0); }

void serial_put(char c)
{
    for (unsigned i = 0; i < 100000 && (in8(COM1 + 5) & 0x20) == 0; i++) {
        __asm__ volatile("pause");
    }
    out8(COM1, (u8)c);
}

int serial_get(void) { return (in8(COM1 + 5) & 1) != 0 ? in8(COM1) : -1; }

static void put_padded(const char *text, size_t n, unsigned width, char fill, bool left)
{
    for (size_t i = n; !left && i < width; i++) {
        serial_put(fill);
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n') {
            serial_put('\r');
        }
        serial_put(text[i]);
    }
    for (size_t i = n; left && i < width; i++) {
        serial_put(' ');
    }
}

static void put_number(u64 value, unsigned base, bool negative, unsigned width, char fill, bool left)
{
    char digits[24];
    size_t n = sizeof digits;
    do {
        digits[--n] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    if (negative) {
        digits[--n] = '-';
    }
    put_padded(digits + n, sizeof digits - n, width, fill, left);
}

static const char *convert(const char *f, va_list *args)
{
    bool left = *f == '-';
    f += left ? 1 : 0;
    char fill = *f == '0' ? '0' : ' ';
    unsigned width = 0;
    while (*f >= '0' && *f <= '9') {
        width = width * 10 + (unsigned)(*f++ - '0');
    }
    bool wide = *f == 'l';
    f += wide ? 1 : 0;
    switch (*f) {
    case 'd': {
        i64 v = wide ? va_arg(*args, long) : va_arg(*args, int);
        put_number(v < 0 ? 0 - (u64)v : (u64)v, 10, v < 0, width, fill, left);
        break;
    }
    case 'u':
        put_number(wide ? va_arg(*args, unsigned long) : va_arg(*args, unsigned), 10, false, width, fill, left);
        break;
    case 'x':
        put_number(wide ? va_arg(*args, unsigned long) : va_arg(*args, unsigned), 16, false, width, fill, left);
        break;
    case 'c':
        serial_put((char)va_arg(*args, int));
        break;
    case 's': {
        const char *s = va_arg(*args, const char *);
        put_padded(s, strlen(s), width, ' ', left);
        break;
    }
    case 0:
        return f;
    default:
        serial_put(*f);
        break;
    }
    return f + 1;
}

static void print_list(const char *format, va_list *args)
{
    while (*format != 0) {
        if (*format == '%') {
            format = convert(format + 1, args);
            continue;
        }
        put_padded(format++, 1, 0, ' ', false);
    }
}

void print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print_list(format, &args);
    va_end(args);
}

_Noreturn void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print("\nguest: stopped: ");
    print_list(format, &args);
    print("\n");
    va_end(args);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}
