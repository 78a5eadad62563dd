/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sub-page write permissions: which of a page's 32 pieces of 128 bytes may be written, and what an exit says when the
 * table cannot tell. [SDM3 "Sub-Page Write Permissions"], [SDM3 "Exit Qualification for SPP-Induced VM Exits"] */
#include "vmx_rig.h"
#include "unit.h"

enum { AT_SPP = 0x120000, AT_PT = 0x124000, LIN = 0x60000, GUEST_PAGE = 0x61000 };

static const u64 gpa_bits[] = {0, 12, 21, 30, 39}; /* where the index of each level begins */

/* The entry of the table that this level's walk reads for GUEST_PAGE; 1: the permissions. */
static u64 spp_entry(unsigned level)
{
    return AT_SPP + 0x1000 * (4 - (u64)level) + 8 * ((u64)GUEST_PAGE >> gpa_bits[level] & 511);
}

/* The first 2 MiB by 4-KiB entries. The page at LIN is the guest's GUEST_PAGE, so that linear and guest-physical
 * addresses differ, and its EPT entry leaves writes to the sub-pages, of which the fourth may be written. */
static void start_spp(u32 more)
{
    start(LONG);
    store_le64(ram(AT_EPT + 0x1000), (AT_EPT + 0x2000) | 7);
    store_le64(ram(AT_EPT + 0x2000), AT_PT | 7);
    store_le64(ram(AT_EPT + 0x2008), 0x200000 | EPT_LARGE | 6 << 3 | 7);
    for (u64 i = 0; i < 512; i++) {
        store_le64(ram(AT_PT + 8 * i), i << 12 | 6 << 3 | 7);
    }
    store_le64(ram(AT_PT + 8 * (GUEST_PAGE >> 12)), GUEST_PAGE | 6 << 3 | EPT_R | EPT_SPP);
    store_le64(ram(AT_TABLES + 0x2000), (AT_TABLES + 0x3000) | 7);
    for (u64 i = 0; i < 512; i++) {
        store_le64(ram(AT_TABLES + 0x3000 + 8 * i), (i == LIN >> 12 ? GUEST_PAGE : i << 12) | 0x67);
    }
    for (unsigned level = 4; level > 1; level--) {
        store_le64(ram(spp_entry(level)), (AT_SPP + 0x1000 * (5 - (u64)level)) | 1);
    }
    store_le64(ram(spp_entry(1)), BIT(2 * 3));
    put(VMCS_SECONDARY_CONTROLS, get(VMCS_SECONDARY_CONTROLS) | PROC2_SPP | more);
    put(VMCS_SPP_TABLE_POINTER, AT_SPP);
}

static void enter(void)
{
    ck_assert_int_eq(launch(), CPU_OK);
    ck_assert_msg(R.cpu.arch.guest == GUEST_VMX, "%s", log_text);
}

/* A write to the piece exits; all the VMCS says of it. */
static void write_exits(unsigned piece, u32 reason, u64 qualification)
{
    u64 offset = 128 * (u64)piece + 8;
    ck_assert_int_eq(mem_write(CPU, SEG_DS, LIN + offset, 8, 77), CPU_EXIT);
    ck_assert_int_eq(R.cpu.event.kind, EVENT_VMEXIT);
    cpu_deliver_event(CPU);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    ck_assert_uint_eq(get(VMCS_EXIT_REASON), reason);
    ck_assert_uint_eq(get(VMCS_EXIT_QUALIFICATION), qualification);
    ck_assert_uint_eq(get(VMCS_GUEST_LINEAR_ADDRESS), LIN + offset);
    ck_assert_uint_eq(get(VMCS_GUEST_PHYSICAL_ADDRESS), GUEST_PAGE + offset);
    ck_assert_uint_eq(load_le64(ram(GUEST_PAGE + offset)), 0);
    ck_assert_uint_ne(get(VMCS_GUEST_RFLAGS) & RFLAGS_RF, 0);
}

START_TEST(test_vmx_spp__permissions)
{
    u64 value = 1;
    start_spp(0);
    enter();
    ck_assert_int_eq(mem_write(CPU, SEG_DS, LIN + 3 * 128 + 8, 8, 77), CPU_OK);
    ck_assert_int_eq(mem_read(CPU, SEG_DS, LIN + 3 * 128 + 8, 8, &value), CPU_OK);
    ck_assert_uint_eq(value, 77);
    ck_assert_int_eq(mem_read(CPU, SEG_DS, LIN + 4 * 128, 8, &value), CPU_OK);
    write_exits(4, EXIT_EPT_VIOLATION, EPTQ_WRITE | EPT_R << EPTQ_RIGHTS_SHIFT | EPTQ_LINEAR_VALID | EPTQ_FINAL |
                                           EPTQ_USER | EPTQ_WRITABLE);
    stop();
}
END_TEST

/* An entry that is not valid is a miss, whatever else stands in it. */
START_TEST(test_vmx_spp__miss)
{
    for (unsigned level = 4; level > 1; level--) {
        for (unsigned rest = 0; rest < 3; rest++) {
            static const u64 ignored[] = {0, AT_SPP, ~(u64)1};
            start_spp(0);
            store_le64(ram(spp_entry(level)), ignored[rest]);
            enter();
            write_exits(3, EXIT_SPP, SPPQ_MISS);
            ck_assert_str_eq(R.cpu.vmx_reason.why, "SPP entry not valid");
            stop();
        }
    }
}
END_TEST

/* Bits 11:1, 63:52 and those above the physical address are reserved; of the permissions, every odd bit. */
START_TEST(test_vmx_spp__misconfiguration)
{
    for (unsigned level = 4; level > 0; level--) {
        for (unsigned bit = 1; bit < 64; bit++) {
            bool address = level > 1 && bit >= 12 && bit < 46;
            if (address || (level == 1 && bit % 2 == 0)) {
                continue;
            }
            struct error err = {0};
            start_spp(0);
            ck_assert_msg(cpu_model_parse(&R.model, VMX_WHOLE ",phys-bits=46", &err), "%s", err.text);
            store_le64(ram(spp_entry(level)), load_le64(ram(spp_entry(level))) | BIT(bit));
            enter();
            write_exits(3, EXIT_SPP, 0);
            ck_assert_str_eq(R.cpu.vmx_reason.why, "reserved bit set in an SPP entry");
            stop();
        }
    }
}
END_TEST

/* The first level that is wrong decides. */
START_TEST(test_vmx_spp__order)
{
    for (unsigned miss = 4; miss > 1; miss--) {
        for (unsigned wrong = 4; wrong > 0; wrong--) {
            if (miss == wrong) {
                continue;
            }
            start_spp(0);
            store_le64(ram(spp_entry(wrong)), load_le64(ram(spp_entry(wrong))) | 2);
            store_le64(ram(spp_entry(miss)), 0);
            enter();
            write_exits(3, EXIT_SPP, miss > wrong ? SPPQ_MISS : 0);
            stop();
        }
    }
}
END_TEST

/* IRET that ended the blocking of NMIs and faulted there says so; SPP-related events never become #VE. */
START_TEST(test_vmx_spp__nmi_and_ve)
{
    start_spp(PROC2_EPT_VE);
    put(VMCS_VE_INFO_ADDRESS, AT_MAPS + 0x3000);
    store_le64(ram(spp_entry(2)), 0);
    enter();
    R.cpu.d.iret_unblocked = true;
    R.cpu.d.iret_rip = R.cpu.arch.rip;
    write_exits(3, EXIT_SPP, SPPQ_MISS | EPTQ_NMI_UNBLOCKED);
    stop();
}
END_TEST

/* Nothing looks at the table: for reads, with the control 0, for a page that may be written, for one whose entry does
 * not ask. */
START_TEST(test_vmx_spp__not_used)
{
    u64 value;
    start_spp(0);
    store_le64(ram(spp_entry(4)), 0);
    enter();
    ck_assert_int_eq(mem_read(CPU, SEG_DS, LIN, 8, &value), CPU_OK);
    stop();
    for (unsigned how = 0; how < 3; how++) {
        start_spp(0);
        store_le64(ram(spp_entry(4)), 0);
        if (how == 0) {
            put(VMCS_SECONDARY_CONTROLS, get(VMCS_SECONDARY_CONTROLS) & ~(u64)PROC2_SPP);
        } else {
            u64 entry = GUEST_PAGE | 6 << 3 | EPT_R;
            store_le64(ram(AT_PT + 8 * (GUEST_PAGE >> 12)), how == 1 ? entry | EPT_W | EPT_SPP : entry);
        }
        enter();
        cpu_rc rc = mem_write(CPU, SEG_DS, LIN, 8, 77);
        ck_assert_int_eq(rc, how == 1 ? CPU_OK : CPU_EXIT);
        ck_assert(how == 1 || R.cpu.exit.reason == EXIT_EPT_VIOLATION);
        R.cpu.event.kind = EVENT_NONE;
        stop();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmx_spp");
    TCase *tc = tcase_create("spp");
    tcase_add_test(tc, test_vmx_spp__permissions);
    tcase_add_test(tc, test_vmx_spp__miss);
    tcase_add_test(tc, test_vmx_spp__misconfiguration);
    tcase_add_test(tc, test_vmx_spp__order);
    tcase_add_test(tc, test_vmx_spp__nmi_and_ve);
    tcase_add_test(tc, test_vmx_spp__not_used);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
