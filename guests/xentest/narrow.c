/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The calls whose structures are narrower for 32-bit callers, from one: registers EBX, ECX, EDX, ESI, EDI, pointers and longs of 4 bytes, numbers of
 * 64 bits aligned to 4. Says what is broken by console_io, ends by sched_op shutdown. [Xen public/, compat layouts] */
#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

void narrow_main(void);
void narrow_second(u32 ebx, u32 eax);
extern void second_entry(void);
void *memset(void *to, int value, unsigned long n);
void *memcpy(void *to, const void *from, unsigned long n);

#define SELF 0x7ff0u
#define FILL 0xa5u
#define MSR_PAGE 0x40000200u
#define PENDING 2048
#define WALL_CLOCK 2304
#define VCPU_SEL 4
#define VCPU_TIME 32
#define RAM_PAGE 0x1800u /* at 24 MiB */

enum { MEMORY = 12, MULTICALL = 13, VERSION = 17, CONSOLE = 18, VCPU = 24, SCHED = 29, EVENT = 32, HVM = 34 };

static u8 page[4096] __attribute__((aligned(4096)));
static u8 shared[4096] __attribute__((aligned(4096)));
static u8 areas[2][4096] __attribute__((aligned(4096)));
static u8 second_stack[4096] __attribute__((aligned(4096)));
static volatile u32 second_saw[4];

void *memset(void *to, int value, unsigned long n)
{
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(value) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, unsigned long n)
{
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
    return to;
}

static u32 at(const volatile void *p) { return (u32)(uintptr_t)p; }

static int32_t xen(u32 number, u32 a, u32 b, u32 c)
{
    int32_t result;
    u32 entry = at(page) + number * 32;
    __asm__ volatile("call *%[entry]" : "=a"(result), "+b"(a), "+c"(b), "+d"(c) : [entry] "0"(entry) : "esi", "edi", "memory", "cc");
    return result;
}

static void say(const char *text)
{
    u32 n = 0;
    while (text[n] != 0) {
        n++;
    }
    (void)xen(CONSOLE, 0, n, at(text));
}

#define REPORT_NAME "xentest32"
#include "guests/xentest/report.h"

static u64 get64(const u8 *p)
{
    u64 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static u64 now(void) { return get64(shared + VCPU_TIME + 16); }

static u32 get32(const u8 *p)
{
    u32 v;
    memcpy(&v, p, sizeof v);
    return v;
}

static bool is_filled(const u8 *p, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        if (p[i] != FILL) {
            return false;
        }
    }
    return true;
}

static void test_memory(void)
{
    const u32 add[] = {SELF, 0, 0, at(shared) >> 12};
    check("shared info", xen(MEMORY, 7, at(add), 0), 0);
    check("its wall clock", get32(shared + WALL_CLOCK + 4) > 1000000000, 1);
    check("its clock", (get32(shared + VCPU_TIME) & 1) == 0 && now() != 0, 1);
    u32 gfn = RAM_PAGE;
    const u32 r[] = {at(&gfn), 1, 0, 0, SELF};
    check("a page given up", xen(MEMORY, 1, at(r), 0), 1);
    check("and back", xen(MEMORY, 6, at(r), 0), 1);
    const u32 gone[] = {SELF, RAM_PAGE};
    check("removed", xen(MEMORY, 15, at(gone), 0), 0);
    check("and back again", xen(MEMORY, 6, at(r), 0), 1);
    static u8 entries[20 * 8];
    u32 map[] = {8, at(entries)};
    check("memory map", xen(MEMORY, 9, at(map), 0), 0);
    check("five ranges", (int32_t)map[0], 5);
    check("the second one's type", (int32_t)get32(entries + 20 + 16), 2);
    u32 list[3][8] = {{VERSION, 99}, {VERSION, 99, 7}, {MULTICALL, 99}};
    check("multicall", xen(MULTICALL, at(list), 3, 0), 0);
    check("its first", (int32_t)list[0][1], 4 << 16 | 17);
    check("its second", (int32_t)list[1][1], 4096);
    check("none in another", (int32_t)list[2][1], -22);
}

/* State, then at 4 bytes' distance the times; 44 bytes and no more. */
static void test_runstate(void)
{
    u8 state[64];
    memset(state, FILL, sizeof state);
    check("run state", xen(VCPU, 4, 0, at(state)), 0);
    check("running", (int32_t)get32(state), 0);
    u64 entry = get64(state + 4), running = get64(state + 12), blocked = get64(state + 28);
    check("its times", entry != 0 && running != 0 && running + blocked == entry && get64(state + 20) == 0, 1);
    check("its size", is_filled(state + 44, 20) && !is_filled(state + 36, 8), 1);
    /* An area that crosses a page: 20 bytes here, 24 there. The pointer's upper half is nobody's. */
    memset(areas, FILL, sizeof areas);
    u8 *area = areas[1] - 20;
    const u32 pointer[] = {at(area), 0xdeadbeef};
    check("its area", xen(VCPU, 5, 0, at(pointer)), 0);
    check("written", get64(area + 4) >= entry && (int32_t)get32(area) == 0, 1);
    check("and nothing else", is_filled(area - 16, 16) && is_filled(area + 44, 16), 1);
    const u32 time[] = {at(areas[1] + 1024), 0xdeadbeef};
    check("time's area", xen(VCPU, 13, 0, at(time)), 0);
    check("its version", (get32(areas[1] + 1024) & 1) == 0 && get64(areas[1] + 1024 + 16) != 0, 1);
    const u32 nowhere[] = {0xe01000, 0};
    check("an area in the adapter", xen(VCPU, 5, 0, at(nowhere)), -14);
}

static bool is_pending(u32 port) { return (shared[PENDING + port / 8] >> (port % 8) & 1) != 0; }

static void test_events(void)
{
    u32 virq[3] = {0, 0, 0};
    check("timer's port", xen(EVENT, 1, at(virq), 0), 0);
    const u32 poll[] = {at(virq + 2), 1, 0, 0};
    /* 12 bytes at the very end of RAM's page: a wider structure would cross it. */
    u8 *single = areas[0] + 64;
    u64 past = 1;
    u32 flags = 1;
    memcpy(single, &past, 8);
    memcpy(single + 8, &flags, 4);
    check("a time that is over", xen(VCPU, 8, 0, at(single)), -62);
    flags = 0;
    memcpy(single + 8, &flags, 4);
    check("at once", xen(VCPU, 8, 0, at(single)), 0);
    for (u32 i = 0; i < 100000 && !is_pending(virq[2]); i++) {
        (void)xen(SCHED, 3, at(poll), 0);
    }
    check("the timer fires", is_pending(virq[2]), 1);
    const u32 unmask[] = {virq[2]};
    check("unmasked", xen(EVENT, 9, at(unmask), 0), 0);
    check("its word", (int32_t)(get32(shared + VCPU_SEL) >> virq[2] / 32 & 1), 1);
    check("set_timer_op has its time in two registers", xen(15, (u32)(now() + 1000), (u32)((now() + 1000) >> 32), 0), 0);
}

void narrow_second(u32 ebx, u32 eax)
{
    second_saw[1] = eax;
    second_saw[2] = ebx;
    __asm__ volatile("str %0" : "=r"(second_saw[3]));
    second_saw[0] = 1;
    (void)xen(VCPU, 2, 1, 0);
    second_saw[0] = 2; /* never */
}

static void test_vcpus(void)
{
    struct {
        u32 mode, zero, gpr[8], eip, eflags, cr0, cr3, cr4, zero1;
        u64 efer;
        u32 base[5], limit[5];
        u16 attributes[5], zero2[3];
    } c = {.gpr = {0x1111, 0, 0, 0x3333, at(second_stack) + sizeof second_stack},
           .eip = at((const void *)(uintptr_t)second_entry),
           .eflags = 2,
           .cr0 = 0x31,
           .limit = {~0u, ~0u, ~0u, ~0u, 0x67},
           .attributes = {0xc9b, 0xc93, 0xc93, 0xc93, 0x8b}};
    _Static_assert(sizeof c == 128, "vcpu_hvm_context");
    check("vCPU 1 is down", xen(VCPU, 3, 1, 0), 0);
    c.zero = 1;
    check("a context with more in it", xen(VCPU, 0, 1, at(&c)), -22);
    c.zero = 0;
    c.attributes[0] = 0xc93;
    check("one whose code is data", xen(VCPU, 0, 1, at(&c)), -22);
    c.attributes[0] = 0xc9b;
    c.attributes[4] = 0;
    check("one without a task", xen(VCPU, 0, 1, at(&c)), -22);
    c.attributes[4] = 0x8b;
    c.limit[0] = 0xfff;
    check("one that begins beyond its code", xen(VCPU, 0, 1, at(&c)), -22);
    c.limit[0] = ~0u;
    c.mode = 2;
    check("no such mode", xen(VCPU, 0, 1, at(&c)), -22);
    c.mode = 0;
    check("initialise", xen(VCPU, 0, 1, at(&c)), 0);
    check("up", xen(VCPU, 1, 1, 0), 0);
    for (u32 i = 0; i < 10000 && (second_saw[0] == 0 || xen(VCPU, 3, 1, 0) == 1); i++) {
        (void)xen(SCHED, 0, 0, 0);
    }
    check("vCPU 1 ran", (int32_t)second_saw[0], 1);
    check("with its EAX", (int32_t)second_saw[1], 0x1111);
    check("and its EBX", (int32_t)second_saw[2], 0x3333);
    const u32 info[] = {at(areas[0]) >> 12, 0, 2048, 0};
    memset(areas[0] + 2048, 0, 64);
    check("vcpu_info", xen(VCPU, 10, 1, at(info)), 0);
    check("every word is to be looked at", (int32_t)get32(areas[0] + 2048 + VCPU_SEL), -1);
    check("and nothing behind it is written", (int32_t)get32(areas[0] + 2048 + 12), 0);
}

static void test_params(void)
{
    u32 p[] = {SELF, 18, 0, 0};
    check("console's port", xen(HVM, 1, at(p), 0), 0);
    check("is not 0", p[2] != 0, 1);
    u32 platform[2] = {99, 99};
    check("platform parameters", xen(VERSION, 5, at(platform), 0), 0);
    check("of 4 bytes", platform[0] == 0 && platform[1] == 99, 1);
    check("a control domain's call", xen(35, at(p), 0, 0), -1);
}

void narrow_main(void)
{
    __asm__ volatile("wrmsr" : : "c"(MSR_PAGE), "a"(at(page)), "d"(0) : "memory");
    test_memory();
    test_params();
    test_runstate();
    test_events();
    test_vcpus();
    report();
    u32 reason = 0;
    (void)xen(SCHED, 2, at(&reason), 0);
}
