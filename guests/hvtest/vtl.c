/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child with VTL 2: which level runs first, intercepts by the assist page, protections, what VTL 0 may not. */
#include "abi/hyperv/partition.h"
#include "abi/hyperv/registers.h"
#include "abi/hyperv/vsm.h"
#include "abi/x86/registers.h"
#include "guests/hvtest/hvtest.h"

extern const u8 vtl2_program[], vtl2_program_end[], vtl0_program[], vtl0_program_end[];

static u16 start_at(u8 vtl, u64 rip, u64 rsp)
{
    const struct hv_segment code = {0, 0xffffffff, 0x08, 0xa09b};
    const struct hv_segment data = {0, 0xffffffff, 0x10, 0xc093};
    const struct hv_segment tr = {0, 0x67, 0, 0x8b};
    const struct register_write list[] = {
        {HV_REG_RIP, {.low = rip}},
        {HV_REG_RSP, {.low = rsp}},
        {HV_REG_CR0, {.low = CR0_PE | CR0_ET | CR0_NE | CR0_PG}},
        {HV_REG_CR3, {.low = CHILD_TABLES}},
        {HV_REG_CR4, {.low = CR4_PAE}},
        {HV_REG_EFER, {.low = EFER_LME | EFER_LMA}},
        {HV_REG_CS, {.segment = code}},
        {HV_REG_SS, {.segment = data}},
        {HV_REG_DS, {.segment = data}},
        {HV_REG_ES, {.segment = data}},
        {HV_REG_TR, {.segment = tr}},
    };
    return set_level_registers(child, 0, vtl, list, ARRAY_LEN(list));
}

static void put_programs(void)
{
    memcpy(child_memory(VTL2_CODE), vtl2_program, (size_t)(vtl2_program_end - vtl2_program));
    memcpy(child_memory(VTL0_CODE), vtl0_program, (size_t)(vtl0_program_end - vtl0_program));
    u32 vendor[4];
    cpuid(0, vendor);
    const u8 call[4] = {0x0f, 0x01, vendor[1] == 0x756e6547 ? 0xc1 : 0xd9, 0xc3};
    memcpy(child_memory(VTL0_RESULTS + 0x200), call, sizeof call);
    *(u64 *)child_memory(VTL0_RESULTS + 0x100) = VTL0_RESULTS + 0x200;
    *(u64 *)child_memory(VTL2_SECRET) = 0x5ec7e7;
}

void test_vtl(void)
{
    struct hv_message m;
    make_child(HV_CREATE_VTL2);
    for (u32 i = 0; i < 512; i++) {
        memset(at_address(child_pages[i] << PAGE_SHIFT), 0, PAGE_SIZE);
    }
    child_tables();
    put_programs();
    map_child();
    struct hv_intercept_input *in = (void *)hypercall_input;
    *in = (struct hv_intercept_input){child, HV_INTERCEPT_READ | HV_INTERCEPT_WRITE, HV_INTERCEPT_IO, 0};
    check("port intercept", hypercall(HV_CALL_InstallIntercept), HV_SUCCESS);
    check("VTL 2's registers", start_at(HV_INPUT_VTL_USE | 2, VTL2_CODE, VTL2_STACK), HV_SUCCESS);
    check("VTL 0's registers", start_at(HV_INPUT_VTL_USE, VTL0_CODE, CHILD_STACK), HV_SUCCESS);
    const struct register_write go = {HV_REG_EXPLICIT_SUSPEND, {.low = 0}};
    check("go", set_registers(child, 0, &go, 1), HV_SUCCESS);
    if (!synic_wait(0, &m)) {
        check("VTL 0 comes to its end", 0, 1);
        return;
    }
    check("I/O port message", m.type, HV_MESSAGE_IO_PORT);
    check("protected a page", read_gpa(VTL2_SECRET + 8), 1ull << 32);
    check("refused bits of the configuration", read_gpa(VTL2_SECRET + 16) & 0xffff, HV_INVALID_REGISTER_VALUE);
    check("VTL 2 was enabled already", read_gpa(VTL2_SECRET + 24), HV_VTL_ALREADY_ENABLED);
    check("CPUID 40000000 is VTL 2's", read_gpa(VTL0_RESULTS), 0x5eed);
    check("MSR 40000001 is VTL 2's", read_gpa(VTL0_RESULTS + 8), 0x5eed);
    check("VMCALL is VTL 2's", read_gpa(VTL0_RESULTS + 16), 0x5eed);
    check("other registers are shared and kept", read_gpa(VTL0_RESULTS + 24), 0x1111);
    check("the secret is not read", read_gpa(VTL0_RESULTS + 32), 0xdead);
    check("CPUID 1 is not VTL 2's, and says hypervisor", read_gpa(VTL0_RESULTS + 40) >> 31 & 1, 1);
    check("messages in order", read_gpa(VTL2_LOG), 20ull | (u64)HV_MESSAGE_CPUID << 32);
    check("messages in order", read_gpa(VTL2_LOG + 8), HV_MESSAGE_MSR | (u64)HV_MESSAGE_HYPERCALL << 32);
    test_lend_levels();
}
