/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What VTL 0 finds by CPUID and MSR, and the way of its calls to their handlers. [Xen public/arch-x86/cpuid.h, public/xen.h] */
#include "guests/adapter/adapter.h"

#define XEN_VERSION_MAJOR 4u
#define XEN_VERSION_MINOR 17u
#define CALLS 64u
#define MULTICALL 13u
#define SET_TIMER 15u
#define SYSCTL 35u
#define DOMCTL 36u

struct row {
    u8 number, sub;
    xen_handler handler;
};

i64 xen_refused(u64 a, u64 b)
{
    (void)a;
    (void)b;
    return -XEN_ENOSYS;
}

static const struct row rows[] = {
#define XEN_CALL(number, sub, handler, made) {number, sub, handler},
#include "guests/adapter/calls.def"
#undef XEN_CALL
};

static const char *const names[CALLS] = {
#define XEN_HYPERCALL(number, name, arguments) [number] = #name,
#include "abi/xen/hypercall.def"
#undef XEN_HYPERCALL
};

static u64 logged[CALLS]; /* a bit a command */

/* memory_op has where to go on in the upper bits of its command. */
static u32 command_of(u64 number, u64 first) { return number == 12 ? (u32)first & 0x3f : (u32)first; }

/* Entries one by one, each with its result; none may be such a list itself. Eight words of the caller's width each. */
static i64 multicall(u64 list, u64 count)
{
    u64 size = call_is_narrow ? 4 : 8;
    for (u64 i = 0; i < count; i++) {
        u64 word[8] = {0}; /* number, result, arguments */
        u64 at = list + i * 8 * size;
        for (u32 n = 0; n < 8; n++) {
            if (!guest_get(at + n * size, &word[n], size)) {
                return -XEN_EFAULT;
            }
        }
        word[1] = word[0] != MULTICALL ? (u64)xen_call(word[0], word + 2) : (u64)-XEN_EINVAL;
        if (!guest_put(at + size, &word[1], size)) {
            return -XEN_EFAULT;
        }
    }
    return 0;
}

i64 xen_call(u64 number, const u64 args[5])
{
    if (number == MULTICALL) {
        return multicall(args[0], args[1]);
    }
    if (number == SYSCTL || number == DOMCTL) {
        return -XEN_EPERM; /* a control domain's */
    }
    if (number == SET_TIMER) {
        return xen_set_timer(args[0], 0);
    }
    u32 sub = command_of(number, args[0]);
    for (u32 i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].number == number && rows[i].sub == sub) {
            return rows[i].handler(args[1], args[2]);
        }
    }
    u64 bit = 1ull << (sub & 63);
    if (number >= CALLS || (logged[number] & bit) == 0) {
        const char *name = number < CALLS && names[number] != NULL ? names[number] : "call without a name";
        adapter_log("adapter: %s (%x), command %x: not translated\n", name, (u32)number, sub);
        if (number < CALLS) {
            logged[number] |= bit;
        }
    }
    return -XEN_ENOSYS;
}

bool xen_cpuid(u32 leaf, u32 sub, u32 r[4])
{
    memset(r, 0, 16);
    switch (leaf) {
    case 0x40000000: /* "XenVMMXenVMM" */
        r[0] = 0x40000004;
        r[1] = 0x566e6558;
        r[2] = 0x65584d4d;
        r[3] = 0x4d4d566e;
        return true;
    case 0x40000001:
        r[0] = XEN_VERSION_MAJOR << 16 | XEN_VERSION_MINOR;
        return true;
    case 0x40000002:
        r[0] = 1;
        r[1] = XEN_MSR_PAGE;
        return true;
    case 0x40000003:
        (void)sub;
        return true;
    case 0x40000004: /* VP and domain ids, upcall vectors by the local APIC */
        r[0] = 1u << 3 | 1u << 4 | 1u << 6;
        r[1] = self()->index;
        r[2] = boot->domain;
        return true;
    default:
        return false;
    }
}

/* 128 stubs: mov eax, n; VMCALL or VMMCALL; ret */
bool xen_write_msr(u32 msr, u64 value)
{
    u8 *page = msr == XEN_MSR_PAGE && (value & PAGE_MASK) == 0 ? guest_frame(value >> PAGE_SHIFT) : NULL;
    u32 vendor[4];
    if (page == NULL) {
        return false;
    }
    domain_set_width(call_is_narrow);
    cpuid(0, vendor);
    u8 code = vendor[1] == 0x756e6547 ? 0xc1 : 0xd9; /* "Genu" */
    memset(page, 0xcc, PAGE_SIZE);
    for (u32 n = 0; n < 128; n++) {
        const u8 stub[9] = {0xb8, (u8)n, 0, 0, 0, 0x0f, 0x01, code, 0xc3};
        memcpy(page + 32ull * n, stub, sizeof stub);
    }
    return true;
}
