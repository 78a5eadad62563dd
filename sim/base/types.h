/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Scalar types, typed addresses and the two measures of progress. Knows no x86. */
#ifndef VITRINE_BASE_TYPES_H
#define VITRINE_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

/* One-member structs: the compiler produces the code of a u64 and refuses to mix them. */
typedef struct {
    u64 v;
} gva_t; /* guest-virtual (linear) address */
typedef struct {
    u64 v;
} gpa_t; /* guest-physical: what the innermost guest's page tables yield */
typedef struct {
    u64 v;
} spa_t; /* system-physical: what the simulated board decodes */
typedef struct {
    u64 v;
} iova_t; /* address a device puts on the bus, before any IOMMU */

/* Position: a count of architectural steps over all processors (retired instructions, REP
 * chunks, deliveries, ...). Virtual time: nanoseconds of the machine's one clock. Never mixed. */
typedef struct {
    u64 n;
} position_t;
typedef struct {
    u64 ns;
} vtime_t;

#define GVA(x) ((gva_t){(x)})
#define GPA(x) ((gpa_t){(x)})
#define SPA(x) ((spa_t){(x)})
#define IOVA(x) ((iova_t){(x)})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED(x) ((void)(x))

#define KIB(n) ((u64)(n) << 10)
#define MIB(n) ((u64)(n) << 20)
#define GIB(n) ((u64)(n) << 30)

#endif
