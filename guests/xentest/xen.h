/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Xen's calls from 64-bit code. [Xen public/] */
#ifndef GUESTS_XENTEST_XEN_H
#define GUESTS_XENTEST_XEN_H

#include "guests/lib/lib.h"

#define SELF 0x7ff0u

enum { MEMORY = 12, MULTICALL = 13, SET_TIMER = 15, VERSION = 17, CONSOLE = 18, GRANT = 20, ASSIST = 21, VCPU = 24, SCHED = 29, EVENT = 32,
       PHYSDEV = 33, HVM = 34 };

static bool amd;

static i64 xen(u64 number, u64 a, u64 b, u64 c)
{
    i64 result;
    register u64 r10 __asm__("r10") = 0;
    register u64 r8 __asm__("r8") = 0;
    if (amd) {
        __asm__ volatile("vmmcall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "memory");
    } else {
        __asm__ volatile("vmcall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "memory");
    }
    return result;
}

static void xen_find_vendor(void)
{
    u32 vendor[4];
    cpuid(0, vendor);
    amd = vendor[1] != 0x756e6547;
}

static u64 at(const volatile void *p) { return address_of(p); }

static void say(const char *text) { (void)xen(CONSOLE, 0, strlen(text), at(text)); }

static void power_off(void)
{
    u32 reason = 0;
    (void)xen(SCHED, 2, at(&reason), 0);
    die("shutdown came back");
}

#endif
