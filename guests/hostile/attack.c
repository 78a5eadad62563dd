/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hypercalls with every kind of nonsense: unknown codes, odd control words, addresses that are not there, unaligned, in another's place; well
 * formed ones with other partitions' identifiers, registers, ports; MSRs, CPUID leaves, ports, interrupts to itself. Numbers are from a fixed
 * sequence: each run is the same. Faults that come back are counted and stepped over. */
#include "abi/hyperv/hypercall.h"
#include "abi/hyperv/msr.h"
#include "abi/hyperv/partition.h"
#include "abi/hyperv/registers.h"
#include "abi/hyperv/vsm.h"
#include "abi/trace_port.h"
#include "guests/hostile/hostile.h"

#define STATUSES 0x90u
#define X2APIC_SELF_IPI 0x83fu
#define COM1 0x3f8u

struct call {
    u16 code;
    bool rep;
    u16 header, element;
    const char *name;
};
#define SIMPLE false
#define REP true
#define SIMPLE_SET false
#define REP_SET true
static const struct call calls[] = {
#define HYPERCALL(code, name, kind, fast, header, element, output, privilege, handler) {code, kind, header, element, #name},
#include "abi/hyperv/hypercall.def"
#undef HYPERCALL
};
#define CALLS ARRAY_LEN(calls)

static u8 page[4096] __attribute__((aligned(4096)));
static u8 input[2][4096] __attribute__((aligned(4096)));
static u8 output[4096] __attribute__((aligned(4096)));
static u32 hits[CALLS + 1][STATUSES];
static u64 others, recover_at;
u64 faults;
bool attack_from_vtl2;

static u64 seed = 0x9e3779b97f4a7c15ull;

u64 any(u64 below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return below != 0 ? seed % below : seed;
}

static bool on_exception(struct interrupt_frame *f)
{
    if (recover_at == 0) {
        return false;
    }
    f->rip = recover_at;
    recover_at = 0;
    faults++;
    return true;
}

void attack_init(void)
{
    exception_hook = on_exception;
    wrmsr(HV_MSR_GUEST_OS_ID, 0x8200000000000000ull);
    wrmsr(HV_MSR_HYPERCALL, address_of(page) | HV_PAGE_MSR_ENABLE);
}

#define TRY(instruction, ...)                                                                                \
    __asm__ volatile("lea 1f(%%rip), %%r11\n\tmov %%r11, %[at]\n\t" instruction "\n1:\tmovq $0, %[at]"       \
                     : [at] "+m"(recover_at), __VA_ARGS__)

u64 attack_raw(u64 control, u64 rdx, u64 r8_value)
{
    u64 result = ~0ull;
    register u64 r8 __asm__("r8") = r8_value;
    TRY("call *%[page]", "+a"(result), "+c"(control), "+d"(rdx), "+r"(r8)
        : [page] "r"((const void *)page)
        : "memory", "cc", "r9", "r10", "r11");
    return result;
}

static void call(u32 row, u64 control, u64 rdx, u64 r8_value)
{
    u64 result = attack_raw(control, rdx, r8_value);
    u16 status = (u16)result;
    if (status < STATUSES) {
        hits[row][status]++;
    } else {
        others++;
    }
}

static u64 some_partition(void)
{
    switch (any(4)) {
    case 0:
        return HV_PARTITION_SELF;
    case 1:
        return any(40);
    case 2:
        return 1; /* the root */
    default:
        return any(0);
    }
}

/* Own memory, unaligned, across a page, hv's, above all. */
static u64 some_address(void)
{
    switch (any(8)) {
    case 0:
        return address_of(input[0]) + any(4096);
    case 1:
        return address_of(input[0]) + 4096 - 8 * any(8);
    case 2:
        return address_of(page);
    case 3:
        return any(1ull << 52);
    case 4:
        return any(0);
    case 5:
        return 0xfee00000;
    default:
        return address_of(input[0]);
    }
}

static void fill(u8 *at)
{
    static const u32 registers[] = {HV_REG_RIP, HV_REG_CR0, HV_REG_CR3, HV_REG_CR4, HV_REG_EFER, HV_REG_RAX, HV_REG_CS,
                                    HV_REG_VSM_PARTITION_CONFIG, HV_REG_EXPLICIT_SUSPEND, HV_REG_INTERNAL_ACTIVITY};
    for (u32 i = 0; i < 512; i++) {
        ((u64 *)(void *)at)[i] = any(3) != 0 ? any(0) : any(64);
    }
    bool own = attack_from_vtl2 && any(4) == 0; /* what it may name, so that calls that it may make are made too */
    u64 partition = own ? HV_PARTITION_SELF : some_partition();
    memcpy(at, &partition, 8);
    u32 vp = own || any(3) == 0 ? HV_VP_SELF : (u32)any(20);
    memcpy(at + 8, &vp, 4);
    at[12] = any(2) != 0 ? 0 : (u8)(0x10 | any(3));
    u32 name = registers[any(ARRAY_LEN(registers) - (attack_from_vtl2 ? 2 : 0))];
    at[12] = attack_from_vtl2 ? 0x10 : at[12];
    memcpy(at + 16, &name, 4);
}

/* The caller's own page tables: others would end the attack at once. */
static void attack_space(u32 row)
{
    u64 space;
    __asm__ volatile("mov %%cr3, %0" : "=r"(space));
    space = any(2) != 0 ? space : any(0) | 1ull << 60;
    memcpy(input[0], &space, sizeof space);
    u64 odd = any(4) == 0 ? 1ull << (27 + any(4)) : 0;
    if (any(2) != 0) {
        call(row, calls[row].code | odd, address_of(input[0]) + (any(4) == 0 ? 4 : 0), any(0));
    } else {
        call(row, calls[row].code | odd | HV_CONTROL_FAST, space, any(0));
    }
}

static void attack_call(void)
{
    u32 row = (u32)any(CALLS);
    const struct call *c = &calls[row];
    if (c->code == HV_CALL_SwitchVirtualAddressSpace) {
        attack_space(row);
        return;
    }
    fill(input[0]);
    u64 reps = c->rep ? 1 + any(4) : 0;
    u64 control = c->code | reps << HV_CONTROL_REPS_SHIFT;
    switch (any(8)) {
    case 0: /* any control word */
        call(row, c->code | (any(0) & ~0xffffull), some_address(), some_address());
        break;
    case 1: /* repetitions that are too many, or begin behind the end */
        call(row, c->code | any(0x1000) << HV_CONTROL_REPS_SHIFT | any(0x1000) << HV_CONTROL_START_SHIFT, some_address(), some_address());
        break;
    case 2:
        call(row, control | HV_CONTROL_FAST, some_partition(), any(0));
        break;
    case 3:
        call(CALLS, any(0x10000), some_address(), some_address());
        break;
    case 4:
        call(row, control, some_address(), some_address());
        break;
    default: /* well formed, hostile content */
        call(row, control, address_of(input[0]), address_of(output));
        break;
    }
}

static void attack_msr(void)
{
    u32 msr = any(2) != 0 ? 0x40000000u + (u32)any(0x200) : (u32)any(0);
    bool keeps = msr == HV_MSR_GUEST_OS_ID || msr == HV_MSR_HYPERCALL || (msr >= 0x800 && msr < 0x900) || msr == 0x1b ||
                 (msr >= 0xc0000080 && msr <= 0xc0000103) || msr == HV_MSR_RESET;
    u32 lo = (u32)any(0);
    u32 hi = (u32)any(0);
    if (any(2) != 0 || keeps) {
        TRY("rdmsr", "=a"(lo), "=d"(hi) : "c"(msr) : "r11", "memory");
    } else {
        TRY("wrmsr", "+a"(lo), "+d"(hi) : "c"(msr) : "r11", "memory");
    }
}

/* What only the hypervisor, the root and a paravisor may claim, in whole records and torn ones. */
static void attack_trace_port(void)
{
    u32 type = (u32)any(16);
    u32 fields = type == 4 || type == 8 ? 4 : type == 5 || type == 9 ? 5 : type == 10 || type == 12 ? 3 : (u32)any(4);
    u32 words = any(4) != 0 ? 2 + 2 * fields : (u32)any(256);
    out32(TRACE_PORT_ID, 0);
    out32(TRACE_PORT_DATA, type | words << 8 | TRACE_PORT_MARK << 16);
    out32(TRACE_PORT_DATA, any(8) == 0 ? (u32)any(0) : 0);
    for (u32 i = 0; i < 2 * fields; i++) {
        out32(TRACE_PORT_DATA, i % 2 == 0 ? (u32)any(8) : 0);
    }
}

static void attack_port(void)
{
    if (any(8) == 0) {
        attack_trace_port();
        return;
    }
    u16 port = (u16)any(0x10000);
    u8 v = (u8)any(0x100);
    bool ends = (port >= COM1 && port < COM1 + 8) || port == 0x604 || port == 0xcf9;
    if (ends) {
        return;
    }
    if (any(2) != 0) {
        out8(port, v);
    } else {
        (void)in8(port);
    }
}

static void attack_processor(void)
{
    u32 r[4];
    u64 value = any(0);
    switch (any(6)) {
    case 0:
        cpuid((u32)any(0), r);
        break;
    case 1:
        TRY("vmcall", "+a"(value) : : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory");
        break;
    case 2:
        TRY("vmmcall", "+a"(value) : : "rcx", "rdx", "r8", "r9", "r10", "r11", "memory");
        break;
    case 3:
        TRY("vmxoff", "+a"(value) : : "r11", "memory", "cc");
        break;
    case 4:
        TRY("mov %[v], %%cr4", "+a"(value) : [v] "r"(value | 1ull << 13) : "r11", "memory");
        break;
    default:
        wrmsr(X2APIC_SELF_IPI, 0x30 + any(0xc0));
        /* Of what it has sent itself, vectors below 32 would come as exceptions with frames of their own. */
        __asm__ volatile("mov %0, %%cr8; sti; nop; cli" : : "r"(1ull));
        break;
    }
}

void attack_once(void)
{
    u64 kind = any(100);
    if (kind < 85) {
        attack_call();
    } else if (kind < 92) {
        attack_msr();
    } else if (kind < 95) {
        attack_port();
    } else {
        attack_processor();
    }
}

void attack_table(void)
{
    for (u32 row = 0; row <= CALLS; row++) {
        print("hostile: %s:", row < CALLS ? calls[row].name : "no such call");
        for (u32 status = 0; status < STATUSES; status++) {
            if (hits[row][status] != 0) {
                print(" %x=%u", status, hits[row][status]);
            }
        }
        print("\n");
    }
    print("hostile: %lu other answers, %lu faults\n", others, faults);
}
