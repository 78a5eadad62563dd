/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control words, the life of a partition, memory, VPs: with the status that the specification names for each mistake. */
#include "abi/hyperv/partition.h"
#include "abi/hyperv/registers.h"
#include "abi/x86/registers.h"
#include "guests/hvtest/hvtest.h"

#define DEPOSIT 48u

u64 child;
u64 child_pages[512];
static u64 deposited[DEPOSIT];

static u64 raw(u64 control, u64 input, u64 output)
{
    u64 result;
    register u64 r8 __asm__("r8") = output;
    u32 vendor[4];
    cpuid(0, vendor);
    if (vendor[1] == 0x756e6547) { /* "Genu": VMCALL */
        __asm__ volatile(".byte 0x0f, 0x01, 0xc1" : "=a"(result), "+c"(control), "+d"(input), "+r"(r8) : : "memory");
    } else {
        __asm__ volatile(".byte 0x0f, 0x01, 0xd9" : "=a"(result), "+c"(control), "+d"(input), "+r"(r8) : : "memory");
    }
    return result;
}

void test_control_word(void)
{
    u64 in = address_of(hypercall_input);
    u64 out = address_of(hypercall_output);
    check("unknown code", raw(0xfff0, in, out), HV_INVALID_HYPERCALL_CODE);
    check("code 0", raw(0, in, out), HV_INVALID_HYPERCALL_CODE);
    check("reserved bits", raw(HV_CALL_GetPartitionId | 1ull << 60, in, out), HV_INVALID_HYPERCALL_INPUT);
    check("reserved bits 30:27", raw(HV_CALL_GetPartitionId | 1ull << 27, in, out), HV_INVALID_HYPERCALL_INPUT);
    check("variable header where there is none", raw(HV_CALL_GetPartitionId | 1ull << 17, in, out),
          HV_INVALID_HYPERCALL_INPUT);
    check("repetitions of a simple call", raw(HV_CALL_GetPartitionId | 1ull << 32, in, out),
          HV_INVALID_HYPERCALL_INPUT);
    check("no repetitions", raw(HV_CALL_DepositMemory, in, out), HV_INVALID_HYPERCALL_INPUT);
    check("start behind the count", raw(HV_CALL_DepositMemory | 1ull << 32 | 1ull << 48, in, out),
          HV_INVALID_HYPERCALL_INPUT);
    check("fast where input is long", raw(HV_CALL_CreatePartition | HV_CONTROL_FAST, in, out),
          HV_INVALID_HYPERCALL_INPUT);
    check("input not aligned", raw(HV_CALL_GetMemoryBalance, in + 4, out), HV_INVALID_ALIGNMENT);
    check("output across a page", raw(HV_CALL_GetMemoryBalance, in, out + 4088), HV_INVALID_ALIGNMENT);
    check("input that is hv's", raw(HV_CALL_GetMemoryBalance, 0x100000, out), HV_INVALID_PARAMETER);
    check("own id", raw(HV_CALL_GetPartitionId, in, out), HV_SUCCESS);
    check("the root is partition 1", *(u64 *)(void *)hypercall_output, 1);
    check("no children", (*(struct hv_next_child_input *)(void *)hypercall_input =
                              (struct hv_next_child_input){HV_PARTITION_SELF, 0},
                          hypercall(HV_CALL_GetNextChildPartition)),
          HV_SUCCESS);
    check("none", *(u64 *)(void *)hypercall_output, 0);
}

static u16 deposit(u64 page)
{
    struct hv_partition_input *in = (void *)hypercall_input;
    u32 done;
    *in = (struct hv_partition_input){child};
    *(u64 *)(void *)(in + 1) = page;
    return hypercall_rep(HV_CALL_DepositMemory, 1, &done);
}

static u16 create_vp_in(u32 index, u64 flags, u64 proximity)
{
    *(struct hv_create_vp_input *)(void *)hypercall_input =
        (struct hv_create_vp_input){.partition = child, .vp = index, .proximity = proximity, .flags = flags};
    return hypercall(HV_CALL_CreateVp);
}

static u16 create_vp(u32 index, u64 flags) { return create_vp_in(index, flags, 0); }

static u16 set_property(u32 code, u64 value)
{
    *(struct hv_property_input *)(void *)hypercall_input = (struct hv_property_input){child, code, 0, value};
    return hypercall(HV_CALL_SetPartitionProperty);
}

u16 map_pages(u64 gfn, u32 count, const u64 *pages, u32 flags, u32 *done)
{
    struct hv_map_input *in = (void *)hypercall_input;
    *in = (struct hv_map_input){child, gfn, flags, 0};
    memcpy(in + 1, pages, count * 8ull);
    return hypercall_rep(HV_CALL_MapGpaPages, count, done);
}

void test_life(void)
{
    u32 done;
    memset(hypercall_input, 0, 64);
    check("create", hypercall(HV_CALL_CreatePartition), HV_SUCCESS);
    child = *(u64 *)(void *)hypercall_output;
    check("the root cannot be finalized", hypercall_partition(HV_CALL_FinalizePartition, HV_PARTITION_SELF),
          HV_ACCESS_DENIED);
    check("unknown id", hypercall_partition(HV_CALL_InitializePartition, 0x1234), HV_INVALID_PARTITION_ID);
    check("initialize without memory", hypercall_partition(HV_CALL_InitializePartition, child),
          HV_INSUFFICIENT_MEMORY);
    check("delete before finalize", hypercall_partition(HV_CALL_DeletePartition, child), HV_INVALID_PARTITION_STATE);
    check("VP before initialize", create_vp(0, 0), HV_INVALID_PARTITION_STATE);
    child_pages[0] = page_take();
    check("map before initialize", map_pages(0, 1, child_pages, HV_MAP_ALL, &done), HV_INVALID_PARTITION_STATE);
    page_put(child_pages[0]);
    check("a root's privilege", set_property(HV_PROPERTY_PRIVILEGES, HV_PRIVILEGES_ROOT),
          HV_PROPERTY_VALUE_OUT_OF_RANGE);
    check("unknown property", set_property(0x77777, 0), HV_UNKNOWN_PROPERTY);
    check("privileges", set_property(HV_PROPERTY_PRIVILEGES, HV_PRIVILEGES_CHILD | HV_PRIVILEGE_CREATE_PARTITIONS), HV_SUCCESS);
    for (u32 i = 0; i < DEPOSIT; i++) {
        deposited[i] = page_take();
        memset(at_address(deposited[i] << PAGE_SHIFT), 0x5a, PAGE_SIZE);
        check("deposit", deposit(deposited[i]), HV_SUCCESS);
    }
    check("deposit twice", deposit(deposited[0]), HV_OPERATION_DENIED);
    check("deposit of hv's page", deposit(0x100), HV_OPERATION_DENIED);
    check("deposit of a device", deposit(0xfec00), HV_OPERATION_DENIED);
    check("deposit beyond memory", deposit(1ull << 40), HV_OPERATION_DENIED);
    check("initialize", hypercall_partition(HV_CALL_InitializePartition, child), HV_SUCCESS);
    check("initialize twice", hypercall_partition(HV_CALL_InitializePartition, child), HV_INVALID_PARTITION_STATE);
    check("property too late", set_property(HV_PROPERTY_PRIVILEGES, HV_PRIVILEGES_CHILD),
          HV_INVALID_PARTITION_STATE);
}

void make_child(u64 flags)
{
    memset(hypercall_input, 0, 64);
    memcpy(hypercall_input, &flags, sizeof flags);
    check("create", hypercall(HV_CALL_CreatePartition), HV_SUCCESS);
    child = *(u64 *)(void *)hypercall_output;
    for (u32 i = 0; i < DEPOSIT; i++) {
        check("deposit", deposit(deposited[i]), HV_SUCCESS);
    }
    check("initialize", hypercall_partition(HV_CALL_InitializePartition, child), HV_SUCCESS);
    check("VP", create_vp_in(0, 0, HV_PROXIMITY_VALID | HV_PROXIMITY_PREFERRED | 1), HV_SUCCESS); /* on the second processor, if there is one */
}

void test_memory(void)
{
    u32 done;
    for (u32 i = 0; i < 512; i++) {
        child_pages[i] = page_take();
        memset(at_address(child_pages[i] << PAGE_SHIFT), 0, PAGE_SIZE);
    }
    u64 bad = 0x100;
    check("map hv's page", map_pages(0, 1, &bad, HV_MAP_ALL, &done), HV_OPERATION_DENIED);
    check("map a deposited page", map_pages(0, 1, &deposited[3], HV_MAP_ALL, &done), HV_OPERATION_DENIED);
    check("map with a reserved flag", map_pages(0, 1, child_pages, 0x40000000 | HV_MAP_ALL, &done),
          HV_INVALID_PARAMETER);
    check("map outside of the address space", map_pages(1ull << 40, 1, child_pages, HV_MAP_ALL, &done),
          HV_INVALID_PARAMETER);
    const u64 mixed[3] = {child_pages[0], child_pages[1], bad};
    check("map stops at the bad one", map_pages(0, 3, mixed, HV_MAP_ALL, &done), HV_OPERATION_DENIED);
    check("and says how far it came", done, 2);
    check("map over a mapping", map_pages(0, 1, &child_pages[2], HV_MAP_ALL, &done), HV_OBJECT_IN_USE);
    check("map a page twice", map_pages(9, 1, &child_pages[0], HV_MAP_ALL, &done), HV_OPERATION_DENIED);
    struct hv_map_input *in = (void *)hypercall_input;
    *in = (struct hv_map_input){child, 0, 0, 0};
    check("unmap, also what is not mapped", hypercall_rep(HV_CALL_UnmapGpaPages, 4, &done), HV_SUCCESS);
    check("all of them", done, 4);
    check("the page came back", *(u64 *)at_address(child_pages[0] << PAGE_SHIFT), 0);
    struct hv_gpa_input *gpa = (void *)hypercall_input;
    *gpa = (struct hv_gpa_input){.partition = child, .count = 17};
    check("ReadGpa of 17 bytes", hypercall(HV_CALL_ReadGpa), HV_INVALID_PARAMETER);
    *gpa = (struct hv_gpa_input){.partition = child, .count = 8, .gpa = 0x1000};
    check("ReadGpa", hypercall(HV_CALL_ReadGpa), HV_SUCCESS);
    check("of an unmapped page", *(u64 *)(void *)hypercall_output, HV_GPA_UNMAPPED);
}

void test_vp(void)
{
    union hv_register_value value = {.words = {0, 0}};
    check("VP with flags", create_vp(0, 1), HV_INVALID_PARAMETER);
    check("VP on a processor that is not there", create_vp_in(0, 0, HV_PROXIMITY_VALID | 99), HV_INVALID_PROXIMITY_DOMAIN);
    check("VP with a great index", create_vp(99, 0), HV_INVALID_VP_INDEX);
    check("VP 0", create_vp(0, 0), HV_SUCCESS);
    check("VP 0 again", create_vp(0, 0), HV_INVALID_VP_INDEX);
    check("register of no VP", get_register(child, 1, HV_REG_RIP, &value), HV_INVALID_VP_INDEX);
    check("register of the root", get_register(HV_PARTITION_SELF, 0, HV_REG_RIP, &value), HV_ACCESS_DENIED);
    check("RIP", get_register(child, 0, HV_REG_RIP, &value), HV_SUCCESS);
    check("RIP at reset", value.low, 0xfff0);
    check("it is suspended", (get_register(child, 0, HV_REG_EXPLICIT_SUSPEND, &value), value.low), 1);
    check("unknown register", get_register(child, 0, 0x77777777, &value), HV_INVALID_PARAMETER);
    struct register_write w = {HV_REG_CR4, {.low = CR4_VMXE}};
    check("CR4.VMXE", set_registers(child, 0, &w, 1), HV_INVALID_PARAMETER);
    w = (struct register_write){HV_REG_EFER, {.low = EFER_SVME}};
    check("EFER.SVME", set_registers(child, 0, &w, 1), HV_INVALID_PARAMETER);
    w = (struct register_write){HV_REG_R15, {.low = 0x123456789abcdefull}};
    check("R15", set_registers(child, 0, &w, 1), HV_SUCCESS);
    check("R15 comes back", (get_register(child, 0, HV_REG_R15, &value), value.low), w.value.low);
}

void test_end(void)
{
    struct hv_balance_input *in = (void *)hypercall_input;
    u32 done = 0;
    u32 count = 0;
    u16 status;
    *in = (struct hv_balance_input){child, 0};
    check("withdraw from an active partition", hypercall_rep(HV_CALL_WithdrawMemory, 1, &done), HV_SUCCESS);
    count += done;
    check("finalize", hypercall_partition(HV_CALL_FinalizePartition, child), HV_SUCCESS);
    check("finalize twice", hypercall_partition(HV_CALL_FinalizePartition, child), HV_INVALID_PARTITION_STATE);
    check("a page of the child is the root's again, zeroed",
          *(u64 *)at_address((child_pages[CHILD_CODE >> PAGE_SHIFT]) << PAGE_SHIFT), 0);
    check("delete before withdraw", hypercall_partition(HV_CALL_DeletePartition, child), HV_OBJECT_IN_USE);
    do {
        *in = (struct hv_balance_input){child, 0};
        status = hypercall_rep(HV_CALL_WithdrawMemory, 16, &done);
        count += done;
    } while (status == HV_SUCCESS);
    check("withdraw ends", status, HV_NO_DATA);
    check("everything that was deposited", count, DEPOSIT);
    check("zeroed", *(u64 *)at_address(deposited[7] << PAGE_SHIFT), 0);
    check("delete", hypercall_partition(HV_CALL_DeletePartition, child), HV_SUCCESS);
    check("delete twice", hypercall_partition(HV_CALL_DeletePartition, child), HV_INVALID_PARTITION_ID);
}
