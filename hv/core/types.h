/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scalars and small helpers of freestanding code. */
#ifndef HV_CORE_TYPES_H
#define HV_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

#define PAGE_SHIFT 12
#define PAGE_SIZE 0x1000ull
#define PAGE_MASK 0xfffull
#define LARGE_SIZE 0x200000ull

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1ull << (n))

static inline u64 align_up(u64 x, u64 to) { return (x + to - 1) & ~(to - 1); }
static inline u64 align_down(u64 x, u64 to) { return x & ~(to - 1); }
static inline u64 min_u64(u64 a, u64 b) { return a < b ? a : b; }

/* a * b / c with a product of 128 bits; all ones when the quotient does not fit. */
static inline u64 mul_div_u64(u64 a, u64 b, u64 c)
{
    u64 lo, hi;
    __asm__("mulq %3" : "=a"(lo), "=d"(hi) : "0"(a), "rm"(b) : "cc");
    if (hi >= c) {
        return ~0ull;
    }
    __asm__("divq %2" : "+a"(lo), "+d"(hi) : "r"(c) : "cc");
    return lo;
}

/* The upper half of a product; the quotient of a * 2^64 by a greater b. */
static inline u64 mul_high_u64(u64 a, u64 b)
{
    u64 lo, hi;
    __asm__("mulq %3" : "=a"(lo), "=d"(hi) : "0"(a), "rm"(b) : "cc");
    return hi;
}
static inline u64 div_high_u64(u64 a, u64 b)
{
    u64 quotient, rest;
    __asm__("divq %4" : "=a"(quotient), "=d"(rest) : "0"(0ull), "1"(a), "r"(b) : "cc");
    return quotient;
}

/* Times come from guests: what is beyond all of them stays so. */
static inline u64 add_saturating(u64 a, u64 b) { return a + b < a ? ~0ull : a + b; }

/* hv's memory is mapped one to one: a system-physical address is a pointer. As a program of the host (tests/fuzz/fuzz_hv.c) it is an
 * array. */
#ifdef HV_HOST
extern u8 hv_host_memory[];
#define HV_MEMORY ((uintptr_t)hv_host_memory)
#else
#define HV_MEMORY ((uintptr_t)0)
#endif
static inline void *spa_to_ptr(u64 spa) { return (void *)(HV_MEMORY + (uintptr_t)spa); }
static inline u64 ptr_to_spa(const volatile void *p) { return (u64)((uintptr_t)p - HV_MEMORY); }

#endif
