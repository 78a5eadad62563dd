/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every call that moves a page, on a page in every state: the one transition that is legal, and that all others are refused. Prints the table.
 * And the calls that nothing else here makes. */
#include "abi/hyperv/msr.h"
#include "abi/hyperv/partition.h"
#include "guests/hvtest/hvtest.h"

enum state { ROOTS, DEPOSITED, OWN, OTHERS, HVS, DEVICE, BEYOND, COVERED, STATES };
static const char *const state_names[STATES] = {"root's", "deposited", "the child's", "another's", "hv's", "device", "beyond", "under an overlay"};

static u64 other;
static u64 pages[STATES];

static u16 rep_page(enum hv_call_code call, u64 partition, u64 gfn, u64 page)
{
    u32 done;
    switch (call) {
    case HV_CALL_DepositMemory: {
        struct hv_partition_input *in = (void *)hypercall_input;
        *in = (struct hv_partition_input){partition};
        *(u64 *)(void *)(in + 1) = page;
        break;
    }
    case HV_CALL_MapSparseGpaPages: {
        struct hv_sparse_input *in = (void *)hypercall_input;
        *in = (struct hv_sparse_input){partition, HV_MAP_ALL, 0};
        *(struct hv_sparse_page *)(void *)(in + 1) = (struct hv_sparse_page){gfn, page};
        break;
    }
    default: {
        struct hv_map_input *in = (void *)hypercall_input;
        *in = (struct hv_map_input){partition, gfn, HV_MAP_ALL, 0};
        *(u64 *)(void *)(in + 1) = page;
        break;
    }
    }
    return hypercall_rep(call, 1, &done);
}

static void make_other(void)
{
    memset(hypercall_input, 0, 64);
    check("another child", hypercall(HV_CALL_CreatePartition), HV_SUCCESS);
    other = *(u64 *)(void *)hypercall_output;
    for (u32 i = 0; i < 8; i++) {
        pages[DEPOSITED] = page_take();
        check("its memory", rep_page(HV_CALL_DepositMemory, other, 0, pages[DEPOSITED]), HV_SUCCESS);
    }
    check("initialize", hypercall_partition(HV_CALL_InitializePartition, other), HV_SUCCESS);
    pages[OTHERS] = page_take();
    check("a page of its own", rep_page(HV_CALL_MapGpaPages, other, 0, pages[OTHERS]), HV_SUCCESS);
}

static void end_other(void)
{
    u32 done;
    u16 status;
    check("finalize", hypercall_partition(HV_CALL_FinalizePartition, other), HV_SUCCESS);
    check("map into the finalized", rep_page(HV_CALL_MapGpaPages, other, 1, pages[ROOTS]), HV_INVALID_PARTITION_STATE);
    check("deposit into the finalized", rep_page(HV_CALL_DepositMemory, other, 0, pages[ROOTS]), HV_INVALID_PARTITION_STATE);
    do {
        *(struct hv_balance_input *)(void *)hypercall_input = (struct hv_balance_input){other, 0};
        status = hypercall_rep(HV_CALL_WithdrawMemory, 8, &done);
        for (u32 i = 0; i < done; i++) {
            page_put(((u64 *)(void *)hypercall_output)[i]);
        }
    } while (status == HV_SUCCESS);
    page_put(pages[OTHERS]);
    check("delete", hypercall_partition(HV_CALL_DeletePartition, other), HV_SUCCESS);
}

/* All states with one call; a page that it took is given back by the second. */
static void row(const char *name, enum hv_call_code call)
{
    const u64 gfn = 0x50000;
    print("hvtest: pages: %s:", name);
    for (u32 i = 0; i < STATES; i++) {
        u16 status = rep_page(call, child, gfn, pages[i]);
        print(" %s=%x", state_names[i], (u32)status);
        check(name, status, i == ROOTS ? HV_SUCCESS : HV_OPERATION_DENIED);
        if (status == HV_SUCCESS && call == HV_CALL_DepositMemory) {
            u32 done;
            *(struct hv_balance_input *)(void *)hypercall_input = (struct hv_balance_input){child, 0};
            check("withdraw it", hypercall_rep(HV_CALL_WithdrawMemory, 1, &done), HV_SUCCESS);
            check("the same page", *(u64 *)(void *)hypercall_output, pages[i]);
        } else if (status == HV_SUCCESS) {
            check("unmap it", rep_page(HV_CALL_UnmapGpaPages, child, gfn, 0), HV_SUCCESS);
        }
    }
    print("\n");
}

static void test_unmap(void)
{
    print("hvtest: pages: unmap: nothing=%x overlay=%x beyond=%x\n",
          (u32)rep_page(HV_CALL_UnmapGpaPages, child, 0x50000, 0),
          (u32)rep_page(HV_CALL_UnmapGpaPages, child, CHILD_HYPERCALL_PAGE >> PAGE_SHIFT, 0),
          (u32)rep_page(HV_CALL_UnmapGpaPages, child, 1ull << 40, 0));
    check("map over an overlay", rep_page(HV_CALL_MapGpaPages, child, CHILD_HYPERCALL_PAGE >> PAGE_SHIFT, pages[ROOTS]),
          HV_OBJECT_IN_USE);
    check("map into oneself", rep_page(HV_CALL_MapGpaPages, HV_PARTITION_SELF, 0x50000, pages[ROOTS]), HV_ACCESS_DENIED);
    check("deposit into oneself", rep_page(HV_CALL_DepositMemory, HV_PARTITION_SELF, 0, pages[ROOTS]), HV_ACCESS_DENIED);
    check("unmap of oneself", rep_page(HV_CALL_UnmapGpaPages, HV_PARTITION_SELF, pages[ROOTS], 0), HV_ACCESS_DENIED);
}

static void test_rest(void)
{
    struct hv_property_input *property = (void *)hypercall_input;
    *property = (struct hv_property_input){child, HV_PROPERTY_PRIVILEGES, 0, 0};
    check("privileges", hypercall(HV_CALL_GetPartitionProperty), HV_SUCCESS);
    check("are the child's", *(u64 *)(void *)hypercall_output, HV_PRIVILEGES_CHILD | HV_PRIVILEGE_CREATE_PARTITIONS);
    *property = (struct hv_property_input){child, 0x77777, 0, 0};
    check("unknown property", hypercall(HV_CALL_GetPartitionProperty), HV_UNKNOWN_PROPERTY);
    *(struct hv_balance_input *)(void *)hypercall_input = (struct hv_balance_input){child, 0};
    check("balance", hypercall(HV_CALL_GetMemoryBalance), HV_SUCCESS);
    check("memory is in use", ((u64 *)(void *)hypercall_output)[1] != 0, true);
    check("clear no interrupt", hypercall_partition(HV_CALL_ClearVirtualInterrupt, child), HV_STATUS_NOT_ACKNOWLEDGED);
    *(struct hv_vp_input *)(void *)hypercall_input = (struct hv_vp_input){.partition = child, .vp = 1};
    check("delete VP 1", hypercall(HV_CALL_DeleteVp), HV_SUCCESS);
    *(struct hv_vp_input *)(void *)hypercall_input = (struct hv_vp_input){.partition = child, .vp = 1};
    check("delete it again", hypercall(HV_CALL_DeleteVp), HV_INVALID_VP_INDEX);
    const struct register_write w = {0x00020010u, {.low = 0}};
    check("a level that it has not", set_level_registers(child, 0, 0x12, &w, 1), HV_INVALID_VTL_STATE);
    write_gpa(CHILD_BUFFER, 0);
    write_gpa(CHILD_BUFFER + 8, 0x100);
    write_gpa(CHILD_BUFFER + 16, 1);
    check("flush of a list with an unknown flag",
          child_calls(HV_CALL_FlushVirtualAddressList | 1ull << HV_CONTROL_REPS_SHIFT, CHILD_BUFFER, 0), HV_INVALID_PARAMETER);
    check("IPI with vector 3", child_calls(HV_CALL_SendSyntheticClusterIpi | HV_CONTROL_FAST, 3, 1), HV_INVALID_PARAMETER);
}

void test_pages(void)
{
    make_other();
    pages[ROOTS] = page_take();
    pages[OWN] = child_pages[100];
    pages[HVS] = 0x100;
    pages[DEVICE] = 0xfec00;
    pages[BEYOND] = 1ull << 40;
    pages[COVERED] = rdmsr(HV_MSR_HYPERCALL) >> PAGE_SHIFT;
    row("deposit", HV_CALL_DepositMemory);
    row("map", HV_CALL_MapGpaPages);
    row("sparse map", HV_CALL_MapSparseGpaPages);
    test_unmap();
    test_rest();
    end_other();
    page_put(pages[ROOTS]);
}
