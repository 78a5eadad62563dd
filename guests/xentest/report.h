/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the guests here say: needs say() and REPORT_NAME before it. */
#ifndef GUESTS_XENTEST_REPORT_H
#define GUESTS_XENTEST_REPORT_H

static int kept, broken;

static void say_number(long v)
{
    char digits[24];
    unsigned n = sizeof digits;
    unsigned long m = v < 0 ? 0 - (unsigned long)v : (unsigned long)v;
    digits[--n] = 0;
    do {
        digits[--n] = (char)('0' + m % 10);
        m /= 10;
    } while (m != 0);
    if (v < 0) {
        digits[--n] = '-';
    }
    say(digits + n);
}

static void check(const char *what, long got, long wanted)
{
    if (got == wanted) {
        kept++;
        return;
    }
    broken++;
    say(REPORT_NAME ": BROKEN: ");
    say(what);
    say(": ");
    say_number(got);
    say(", should be ");
    say_number(wanted);
    say("\n");
}

static void report(void)
{
    say(REPORT_NAME ": ");
    say_number(kept);
    say(" rules kept, ");
    say_number(broken);
    say(" broken\n");
}

#endif
