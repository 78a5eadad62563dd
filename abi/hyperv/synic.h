/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages, intercept messages, synthetic timers. [TLFS "Inter-Partition Communication", "Virtual Processor Management"] */
#ifndef ABI_HYPERV_SYNIC_H
#define ABI_HYPERV_SYNIC_H

#include <stdint.h>

#define HV_SINTS 16
#define HV_STIMERS 4
#define HV_EVENT_FLAGS 2048
#define HV_MESSAGE_PAYLOAD 240

#define HV_SINT_VECTOR 0xffull
#define HV_SINT_MASKED 0x10000ull
#define HV_SINT_AUTO_EOI 0x20000ull
#define HV_SINT_POLLING 0x40000ull

#define HV_STIMER_ENABLE 0x1ull
#define HV_STIMER_PERIODIC 0x2ull
#define HV_STIMER_LAZY 0x4ull
#define HV_STIMER_AUTO_ENABLE 0x8ull
#define HV_STIMER_VECTOR_SHIFT 4
#define HV_STIMER_DIRECT 0x1000ull
#define HV_STIMER_SINT_SHIFT 16

#define HV_MESSAGE_NONE 0u
#define HV_MESSAGE_UNMAPPED_GPA 0x80000000u
#define HV_MESSAGE_GPA_INTERCEPT 0x80000001u
#define HV_MESSAGE_TIMER_EXPIRED 0x80000010u
#define HV_MESSAGE_UNRECOVERABLE 0x80000021u
#define HV_MESSAGE_HYPERCALL 0x80000050u
#define HV_MESSAGE_IO_PORT 0x80010000u
#define HV_MESSAGE_MSR 0x80010001u
#define HV_MESSAGE_CPUID 0x80010002u
#define HV_MESSAGE_EXCEPTION 0x80010003u

#define HV_MESSAGE_FLAG_PENDING 1u

struct hv_message {
    uint32_t type;
    uint8_t size, flags;
    uint16_t reserved;
    uint64_t sender; /* port, or partition */
    uint8_t payload[HV_MESSAGE_PAYLOAD];
};
_Static_assert(sizeof(struct hv_message) == 256, "a slot of the message page");

struct hv_segment {
    uint64_t base;
    uint32_t limit;
    uint16_t selector, attributes;
};

#define HV_ACCESS_READ 0
#define HV_ACCESS_WRITE 1
#define HV_ACCESS_EXECUTE 2

struct hv_intercept_header {
    uint32_t vp;
    uint8_t length_cr8; /* 3:0 instruction length, 7:4 CR8 */
    uint8_t access;
    uint16_t state;
    struct hv_segment cs;
    uint64_t rip, rflags;
};
_Static_assert(sizeof(struct hv_intercept_header) == 40, "intercept header");

#define HV_IO_SIZE 0x7u
#define HV_IO_STRING 0x8u
#define HV_IO_REP 0x10u

struct hv_io_message {
    struct hv_intercept_header header;
    uint16_t port;
    uint8_t info, count;
    uint32_t reserved;
    uint64_t rax;
    uint8_t bytes[16];
    struct hv_segment ds, es;
    uint64_t rcx, rsi, rdi;
};
_Static_assert(sizeof(struct hv_io_message) == 128, "I/O port message");

#define HV_MEMORY_GVA_VALID 0x1u

struct hv_memory_message {
    struct hv_intercept_header header;
    uint32_t cache_type;
    uint8_t count, info, tpr, reserved;
    uint64_t gva, gpa;
    uint8_t bytes[16];
};
_Static_assert(sizeof(struct hv_memory_message) == 80, "memory message");

struct hv_msr_message {
    struct hv_intercept_header header;
    uint32_t number, reserved;
    uint64_t rdx, rax;
};
_Static_assert(sizeof(struct hv_msr_message) == 64, "MSR message");

struct hv_cpuid_message {
    struct hv_intercept_header header;
    uint64_t rax, rcx, rdx, rbx;
    uint64_t default_rax, default_rcx, default_rdx, default_rbx;
};
_Static_assert(sizeof(struct hv_cpuid_message) == 104, "CPUID message");

#define HV_EXCEPTION_ERROR_VALID 0x1u

struct hv_exception_message {
    struct hv_intercept_header header;
    uint16_t vector;
    uint8_t info, count;
    uint32_t error;
    uint64_t parameter, reserved;
    uint8_t bytes[16];
    struct hv_segment ds, ss;
    uint64_t gpr[16];
};
_Static_assert(sizeof(struct hv_exception_message) == 240, "exception message");

struct hv_hypercall_message {
    struct hv_intercept_header header;
    uint64_t rax, rbx, rcx, rdx, r8, rsi, rdi;
    uint8_t xmm[96];
    uint32_t flags, reserved;
};
_Static_assert(sizeof(struct hv_hypercall_message) == 200, "hypercall message");

struct hv_timer_message {
    uint32_t timer, reserved;
    uint64_t expiration, delivery;
};

#endif
