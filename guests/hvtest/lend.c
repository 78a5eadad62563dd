/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lending: the parent opens a child's pages for a channel and a right, and closes them; which pages, which answers, who else may not. With
 * the argument `closed` it touches one that it has closed, which ends the machine. */
#include "abi/hyperv/partition.h"
#include "guests/hvtest/hvtest.h"

#define READ HV_LEND_READ
#define BOTH (HV_LEND_READ | HV_LEND_WRITE)
#define GFN (CHILD_SPARE >> PAGE_SHIFT)
#define READ_ONLY_GFN 0x60000u

static u16 ask(enum hv_call_code call, u64 partition, u32 channel, u8 rights, u64 gfn)
{
    struct hv_lend_input *in = (void *)hypercall_input;
    u32 done;
    *in = (struct hv_lend_input){.partition = partition, .channel = channel, .rights = rights};
    *(u64 *)(void *)(in + 1) = gfn;
    return hypercall_rep(call, 1, &done);
}

u16 lend(u32 channel, u8 rights, u64 gfn) { return ask(HV_CALL_LendGpaPages, child, channel, rights, gfn); }
u16 give_back(u32 channel, u8 rights, u64 gfn) { return ask(HV_CALL_ReturnGpaPages, child, channel, rights, gfn); }

static u16 unmap(u64 gfn)
{
    u32 done;
    *(struct hv_map_input *)(void *)hypercall_input = (struct hv_map_input){child, gfn, 0, 0};
    return hypercall_rep(HV_CALL_UnmapGpaPages, 1, &done);
}

static void test_which(void)
{
    u64 page = page_take();
    u32 done;
    check("a page that is not there is not lent", lend(1, READ, 0x70000), HV_OPERATION_DENIED);
    check("beyond the address space", lend(1, READ, 1ull << 40), HV_INVALID_PARAMETER);
    check("writing without reading", lend(1, HV_LEND_WRITE, GFN), HV_INVALID_PARAMETER);
    check("rights that are not there", lend(1, 4, GFN), HV_INVALID_PARAMETER);
    check("of oneself", ask(HV_CALL_LendGpaPages, HV_PARTITION_SELF, 1, READ, GFN), HV_ACCESS_DENIED);
    check("of nobody", ask(HV_CALL_LendGpaPages, 0x1234, 1, READ, GFN), HV_INVALID_PARTITION_ID);
    check("asking opens nothing", lend(1, 0, GFN), HV_SUCCESS);
    check("so nothing can be closed", give_back(1, READ, GFN), HV_OPERATION_DENIED);
    check("closing without a right", give_back(1, 0, GFN), HV_INVALID_PARAMETER);
    check("what lies under an overlay is lent, not the overlay", lend(1, READ, CHILD_HYPERCALL_PAGE >> PAGE_SHIFT), HV_SUCCESS);
    check("its place", *(u64 *)(void *)hypercall_output, child_pages[CHILD_HYPERCALL_PAGE >> PAGE_SHIFT]);
    check("and back", give_back(1, READ, CHILD_HYPERCALL_PAGE >> PAGE_SHIFT), HV_SUCCESS);
    check("a page that the child only reads", map_pages(READ_ONLY_GFN, 1, &page, HV_MAP_READ, &done), HV_SUCCESS);
    check("is not lent for writing", lend(1, BOTH, READ_ONLY_GFN), HV_OPERATION_DENIED);
    check("is lent for reading", lend(1, READ, READ_ONLY_GFN), HV_SUCCESS);
    check("a lent page stays mapped", unmap(READ_ONLY_GFN), HV_OBJECT_IN_USE);
    check("and back", give_back(1, READ, READ_ONLY_GFN), HV_SUCCESS);
    check("then it can go", unmap(READ_ONLY_GFN), HV_SUCCESS);
    page_put(page);
}

static void test_use(void)
{
    u64 *here = at_address(child_pages[GFN] << PAGE_SHIFT);
    write_gpa(CHILD_SPARE, 0x1234);
    check("lent for reading", lend(7, READ, GFN), HV_SUCCESS);
    check("its place", *(u64 *)(void *)hypercall_output, child_pages[GFN]);
    check("it is seen", *here, 0x1234);
    check("lent for writing to another channel", lend(8, BOTH, GFN), HV_SUCCESS);
    *here = 0x5678;
    check("the child sees what is written", read_gpa(CHILD_SPARE), 0x5678);
    check("a channel that has none", give_back(9, READ, GFN), HV_OPERATION_DENIED);
    check("a right that was not given", give_back(7, BOTH, GFN), HV_OPERATION_DENIED);
    check("twice for one channel", lend(7, READ, GFN), HV_SUCCESS);
    check("one goes", give_back(7, READ, GFN), HV_SUCCESS);
    check("the writing one goes", give_back(8, BOTH, GFN), HV_SUCCESS);
    check("it is still seen", *here, 0x5678);
    check("the child cannot be finalized", hypercall_partition(HV_CALL_FinalizePartition, child), HV_OBJECT_IN_USE);
    check("the last goes", give_back(7, READ, GFN), HV_SUCCESS);
    check("it is closed", give_back(7, READ, GFN), HV_OPERATION_DENIED);
    check("a closed page is no deposit", lend(1, 0, GFN), HV_SUCCESS);
}

static void test_many(void)
{
    struct hv_lend_input *in = (void *)hypercall_input;
    u64 *list = (u64 *)(void *)(in + 1);
    u32 done;
    for (u32 round = 0; round < 2; round++) {
        *in = (struct hv_lend_input){.partition = child, .channel = 3, .rights = BOTH};
        for (u32 i = 0; i < 400; i++) {
            list[i] = i < 300 || round == 0 ? 0x60 + i : 0x70000;
        }
        u16 status = hypercall_rep(round == 0 ? HV_CALL_LendGpaPages : HV_CALL_ReturnGpaPages, round == 0 ? 400 : 300, &done);
        check("many at once", status, HV_SUCCESS);
        check("all of them", done, round == 0 ? 400 : 300);
    }
    for (u32 i = 300; i < 400; i++) {
        check("and back", give_back(3, BOTH, 0x60 + i), HV_SUCCESS);
    }
    check("stops at the bad one", lend(3, READ, 0x70000), HV_OPERATION_DENIED);
}

void test_lend_levels(void)
{
    check("what VTL 0 has no right to is lent", lend(1, BOTH, VTL2_SECRET >> PAGE_SHIFT), HV_SUCCESS);
    check("and back", give_back(1, BOTH, VTL2_SECRET >> PAGE_SHIFT), HV_SUCCESS);
    check("what VTL 0 uses is not lent", lend(1, READ, VTL0_RESULTS >> PAGE_SHIFT), HV_OPERATION_DENIED);
}

void test_lend(void)
{
    test_which();
    test_use();
    test_many();
    if (text_equal(boot_script, "closed")) {
        (void)lend(1, READ, GFN);
        (void)give_back(1, READ, GFN);
        print("hvtest: touches a page that it gave back\n");
        print("hvtest: BROKEN: read %lx\n", *(volatile u64 *)at_address(child_pages[GFN] << PAGE_SHIFT));
    }
}
