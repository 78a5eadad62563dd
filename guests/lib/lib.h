/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What our own guests share: scalars, instructions, strings, output on COM1, interrupts. */
#ifndef GUESTS_LIB_LIB_H
#define GUESTS_LIB_LIB_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t i64;

#define PAGE_SHIFT 12
#define PAGE_SIZE 0x1000ull
#define PAGE_MASK 0xfffull
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline u64 align_up(u64 x, u64 to) { return (x + to - 1) & ~(to - 1); }
static inline u64 align_down(u64 x, u64 to) { return x & ~(to - 1); }
static inline u64 min_u64(u64 a, u64 b) { return a < b ? a : b; }
/* The first 4 GiB are mapped one to one; by this table more can be. */
extern u64 boot_pdpt[512];
static inline void *at_address(u64 address) { return (void *)(uintptr_t)address; }
static inline u64 address_of(const volatile void *p) { return (u64)(uintptr_t)p; }

static inline void out8(u16 port, u8 v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void out16(u16 port, u16 v) { __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }
static inline void out32(u16 port, u32 v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }
static inline u8 in8(u16 port)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u16 in16(u16 port)
{
    u16 v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u32 in32(u16 port)
{
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u64 rdmsr(u32 msr)
{
    u32 lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (u64)hi << 32 | lo;
}
static inline void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}
static inline void cpuid(u32 leaf, u32 r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
bool text_equal(const char *a, const char *b);
/* Decimal or 0x; K, M, G behind it. False: none. */
bool text_number(const char *s, u64 *value);

void serial_init(void);
void serial_put(char c);
/* The interrupt for received bytes, which goes nowhere: it says that somebody reads. */
void serial_listen(bool on);
/* -1: nothing typed. */
int serial_get(void);
/* %d %u %x %c %s %%, l; width, 0-fill, '-'. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Called with interrupts off, after the local APIC's EOI. */
typedef void (*interrupt_handler)(void);
void interrupt_init(void);
void interrupt_load(void); /* on the other processors */
void interrupt_set(u8 vector, interrupt_handler handler);

struct interrupt_frame {
    u64 vector, error, rip, cs, rflags, rsp, ss;
};
void interrupt_entry(struct interrupt_frame *f);
/* Exceptions come here first. True: go on, at f->rip. */
extern bool (*exception_hook)(struct interrupt_frame *f);
void guest_main(u32 magic, u32 info);

#endif
