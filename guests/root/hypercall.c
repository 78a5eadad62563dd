/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hypercall page and calls by memory. One VP: one input and one output page. */
#include "abi/hyperv/cpuid.h"
#include "abi/hyperv/msr.h"
#include "abi/hyperv/partition.h"
#include "abi/hyperv/vsm.h"
#include "guests/root/root.h"

#define ROOT_OS_ID 0xff00000000010000ull /* open source, a type of our own */

u8 hypercall_input[4096] __attribute__((aligned(4096)));
u8 hypercall_output[4096] __attribute__((aligned(4096)));
static u8 hypercall_page[4096] __attribute__((aligned(4096)));

void hypercall_init(void)
{
    u32 r[4];
    cpuid(HV_CPUID_VENDOR, r);
    cpuid(HV_CPUID_INTERFACE, r);
    if (r[0] != HV_INTERFACE_HV1) {
        die("no hypervisor with the Hv#1 interface; this is the root partition's kernel, hv starts it");
    }
    cpuid(HV_CPUID_FEATURES, r);
    if (((u64)r[1] << 32 & HV_PRIVILEGE_CREATE_PARTITIONS) == 0) {
        die("this is not the root partition");
    }
    wrmsr(HV_MSR_GUEST_OS_ID, ROOT_OS_ID);
    wrmsr(HV_MSR_HYPERCALL, address_of(hypercall_page) | HV_PAGE_MSR_ENABLE);
}

static u64 call(u64 control)
{
    u64 result;
    register u64 output __asm__("r8") = address_of(hypercall_output);
    u64 input = address_of(hypercall_input);
    void *page = hypercall_page;
    __asm__ volatile("call *%4"
                     : "=a"(result), "+c"(control), "+d"(input), "+r"(output)
                     : "r"(page)
                     : "memory", "cc", "r9", "r10", "r11");
    return result;
}

u16 hypercall(enum hv_call_code code) { return (u16)call((u64)code); }

u16 hypercall_rep(enum hv_call_code code, u32 count, u32 *done)
{
    u64 result = call((u64)code | (u64)count << HV_CONTROL_REPS_SHIFT);
    *done = (u32)(result >> HV_CONTROL_REPS_SHIFT & HV_CONTROL_REPS);
    return (u16)result;
}

u16 hypercall_partition(enum hv_call_code code, u64 partition)
{
    *(struct hv_partition_input *)(void *)hypercall_input = (struct hv_partition_input){partition};
    return hypercall(code);
}

const char *status_name(u16 status)
{
    switch (status) {
    case HV_SUCCESS:
        return "success";
    case HV_INVALID_HYPERCALL_CODE:
        return "invalid hypercall code";
    case HV_INVALID_HYPERCALL_INPUT:
        return "invalid hypercall input";
    case HV_INVALID_ALIGNMENT:
        return "invalid alignment";
    case HV_INVALID_PARAMETER:
        return "invalid parameter";
    case HV_ACCESS_DENIED:
        return "access denied";
    case HV_INVALID_PARTITION_STATE:
        return "invalid partition state";
    case HV_OPERATION_DENIED:
        return "operation denied";
    case HV_INSUFFICIENT_MEMORY:
        return "insufficient memory";
    case HV_INVALID_PARTITION_ID:
        return "invalid partition id";
    case HV_INVALID_VP_INDEX:
        return "invalid VP index";
    case HV_INVALID_VP_STATE:
        return "invalid VP state";
    case HV_OBJECT_IN_USE:
        return "object in use";
    case HV_INVALID_PROXIMITY_DOMAIN:
        return "no such processor";
    case HV_NO_DATA:
        return "no data";
    default:
        return "another status";
    }
}

u8 level_of(const struct hv_intercept_header *h) { return (u8)(HV_INPUT_VTL_USE | (h->state >> 7 & 0xf)); }

u16 set_level_registers(u64 partition, u32 vp, u8 vtl, const struct register_write *list, u32 count)
{
    struct hv_vp_input *in = (void *)hypercall_input;
    struct hv_set_register *e = (void *)(in + 1);
    *in = (struct hv_vp_input){.partition = partition, .vp = vp, .vtl = vtl};
    for (u32 i = 0; i < count; i++) {
        e[i] = (struct hv_set_register){.name = list[i].name, .value = list[i].value};
    }
    u32 done;
    return hypercall_rep(HV_CALL_SetVpRegisters, count, &done);
}

u16 set_registers(u64 partition, u32 vp, const struct register_write *list, u32 count)
{
    return set_level_registers(partition, vp, HV_INPUT_VTL_USE, list, count);
}

u16 get_register(u64 partition, u32 vp, u32 name, union hv_register_value *value)
{
    struct hv_vp_input *in = (void *)hypercall_input;
    *in = (struct hv_vp_input){.partition = partition, .vp = vp};
    *(u32 *)(void *)(in + 1) = name;
    u32 done;
    u16 status = hypercall_rep(HV_CALL_GetVpRegisters, 1, &done);
    memcpy(value, hypercall_output, sizeof *value);
    return status;
}
