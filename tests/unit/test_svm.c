/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMRUN's consistency checks, each broken alone in a good VMCB and named in the log; the way into a guest and
 * back. [APM2 "Canonicalization and Consistency Checks"], [APM2 "#VMEXIT"] */
#include "sys_rig.h"

#include "cpu/svm/svm_priv.h"

#include <stdio.h>

enum { AT_VMCB = 0x50000, AT_HSAVE = 0x52000, AT_IOPM = 0x54000, AT_MSRPM = 0x58000, AT_PDPT = 0x5c000 };

static char *log_text;
static size_t log_len;

static void put(unsigned offset, unsigned bytes, u64 value)
{
    store_le(ram(AT_VMCB + offset), value, bytes);
}

static u64 get(unsigned offset, unsigned bytes)
{
    return load_le(ram(AT_VMCB + offset), bytes);
}

static void start(void)
{
    struct error err = {0};
    rig_start();
    ck_assert_msg(cpu_model_parse(&R.model, "amd", &err), "%s", err.text);
    cpu_reset(CPU, CPU_RESET_POWER);
    go_long(0);
    R.cpu.arch.efer |= EFER_SVME;
    R.cpu.arch.vm_hsave_pa = AT_HSAVE;
    R.log.classes = 1u << LOG_SVM;
    R.log.out = open_memstream(&log_text, &log_len);
}

static void stop(void)
{
    (void)fclose(R.log.out);
    free(log_text);
    rig_stop();
}

/* A guest like the host, at AT_HANDLER. */
static void good_vmcb(void)
{
    struct vmcb v = {0};
    u64 rip = R.cpu.arch.rip;
    R.cpu.arch.rip = AT_HANDLER;
    vmcb_put_core(CPU, &v);
    R.cpu.arch.rip = rip;
    memcpy(ram(AT_VMCB), v.b, sizeof v.b);
    put(VMCB_dr6, 8, DR6_FIXED);
    put(VMCB_dr7, 8, DR7_FIXED);
    put(VMCB_g_pat, 8, 0x0007040600070406);
    put(VMCB_intercept_2, 4, 3); /* VMRUN, VMMCALL */
    put(VMCB_guest_asid, 4, 1);
    put(VMCB_iopm_base_pa, 8, AT_IOPM);
    put(VMCB_msrpm_base_pa, 8, AT_MSRPM);
    put(VMCB_nested_ctl, 8, NESTED_CTL_NP);
    put(VMCB_n_cr3, 8, AT_TABLES);
}

static void vmrun(void)
{
    const struct insn in = {.len = 3, .base = REG_NONE, .index = REG_NONE, .sib = 2 << 5};
    R.cpu.arch.gpr[RAX] = AT_VMCB;
    ck_assert_int_eq(exec_vmrun(CPU, &in), CPU_OK);
}

/* Offset, bytes, value written over the good VMCB; a second one where a rule needs two. */
struct broken {
    const char *id;
    struct {
        unsigned offset, bytes;
        u64 value;
    } field[4];
};

static const struct broken rows[] = {
    {"vmrun_intercept", {{VMCB_intercept_2, 4, 2}}},
    {"asid", {{VMCB_guest_asid, 4, 0}}},
    {"iopm", {{VMCB_iopm_base_pa, 8, 0xfffffffffffff000}}},
    {"msrpm", {{VMCB_msrpm_base_pa, 8, 0xfffffffffffff000}}},
    {"tlb_control", {{VMCB_tlb_control, 1, 2}}},
    {"n_cr3", {{VMCB_n_cr3, 8, BIT(63)}}},
    {"vnmi_intercept", {{VMCB_int_ctl, 4, V_NMI_ENABLE}}},
    {"efer_svme", {{VMCB_efer, 8, EFER_LME | EFER_LMA}}},
    {"efer_mbz", {{VMCB_efer, 8, EFER_LME | EFER_LMA | EFER_SVME | BIT(9)}}},
    {"cr0_cd_nw", {{VMCB_cr0, 8, CR0_PE | CR0_PG | CR0_NW}}},
    {"cr0_high", {{VMCB_cr0, 8, CR0_PE | CR0_PG | BIT(32)}}},
    {"cr4_mbz", {{VMCB_cr4, 8, CR4_PAE | BIT(15)}}},
    {"dr6_high", {{VMCB_dr6, 8, BIT(32)}}},
    {"dr7_high", {{VMCB_dr7, 8, BIT(63)}}},
    {"long_mode_pae", {{VMCB_cr4, 8, 0}}},
    {"long_mode_pe", {{VMCB_cr0, 8, CR0_PG}}},
    {"long_mode_cs", {{VMCB_cs + 2, 2, 0xe9b}}},
    {"cr3_mbz", {{VMCB_cr3, 8, BIT(63)}}},
    {"g_pat", {{VMCB_g_pat, 8, 2}}},
    {"event", {{VMCB_eventinj, 8, SVM_EVENT_V | 1u << SVM_EVENT_TYPE_SHIFT}}},
    {"event", {{VMCB_eventinj, 8, SVM_EVENT_V | SVM_EVENT_EXCEPTION << SVM_EVENT_TYPE_SHIFT | VEC_NMI}}},
    {"event", {{VMCB_eventinj, 8, SVM_EVENT_V | SVM_EVENT_EXCEPTION << SVM_EVENT_TYPE_SHIFT | VEC_BR}}},
    {"pdpte", {{VMCB_nested_ctl, 8, 0}, {VMCB_efer, 8, EFER_SVME}, {VMCB_cr3, 8, AT_PDPT}, {VMCB_cs + 2, 2, 0xc9b}}},
};

START_TEST(test_svm__each_check_is_named)
{
    const struct broken *row = &rows[_i];
    char want[80];
    start();
    good_vmcb();
    store_le64(ram(AT_PDPT), 3);
    for (unsigned i = 0; i < ARRAY_LEN(row->field) && row->field[i].bytes != 0; i++) {
        put(row->field[i].offset, row->field[i].bytes, row->field[i].value);
    }
    vmrun();
    (void)fflush(R.log.out);
    (void)snprintf(want, sizeof want, "VMEXIT_INVALID %s:", row->id);
    ck_assert_msg(strstr(log_text, want) != NULL, "%s: %s", row->id, log_text);
    ck_assert_uint_eq(get(VMCB_exitcode, 8), ~(u64)0);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    ck_assert(!R.cpu.arch.svm.gif);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 3);
    stop();
}
END_TEST

START_TEST(test_svm__nested_paging_needs_host_paging)
{
    start();
    good_vmcb();
    go_protected(0);
    R.cpu.arch.efer = EFER_SVME;
    cpu_update_mode(CPU);
    vmrun();
    (void)fflush(R.log.out);
    ck_assert_msg(strstr(log_text, "VMEXIT_INVALID np_host_paging:") != NULL, "%s", log_text);
    stop();
}
END_TEST

START_TEST(test_svm__round_trip)
{
    start();
    good_vmcb();
    memcpy(ram(AT_HANDLER), "\x90\x0f\x01\xd9", 4); /* NOP, VMMCALL */
    memcpy(ram(AT_CODE + 3), "\xeb\xfe", 2);
    put(VMCB_rax, 8, 0x1234);
    vmrun();
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_SVM);
    ck_assert(R.cpu.arch.svm.gif);
    ck_assert_uint_eq(R.cpu.arch.gpr[RAX], 0x1234);
    (void)cpu_run(CPU, 10);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    ck_assert_uint_eq(get(VMCB_exitcode, 8), SVM_EXIT_VMMCALL);
    ck_assert_uint_eq(get(VMCB_rip, 8), AT_HANDLER + 1);
    ck_assert_uint_eq(get(VMCB_nrip, 8), AT_HANDLER + 4);
    ck_assert_uint_eq(get(VMCB_rax, 8), 0x1234);
    ck_assert_uint_eq(R.cpu.arch.gpr[RAX], AT_VMCB);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 3);
    ck_assert(!R.cpu.arch.svm.gif);
    stop();
}
END_TEST

/* The nested tables map 4 MiB: the page behind them is a nested page fault with the final address's bit. */
START_TEST(test_svm__nested_page_fault)
{
    start();
    good_vmcb();
    store_le64(ram(AT_TABLES + 0x2010), 0x400087);                /* the guest's own tables map it */
    store_le64(ram(0x60000), (0x60000 + 0x1000) | 7);             /* other tables for the second level */
    store_le64(ram(0x61000), (0x60000 + 0x2000) | 7);
    store_le64(ram(0x62000), 0x87);
    store_le64(ram(0x62008), 0x200087);
    put(VMCB_n_cr3, 8, 0x60000);
    memcpy(ram(AT_HANDLER), "\x8b\x04\x25\x10\x00\x40\x00", 7); /* MOV EAX, [400010h] */
    vmrun();
    (void)cpu_run(CPU, 10);
    ck_assert_uint_eq(get(VMCB_exitcode, 8), SVM_EXIT_NPF);
    ck_assert_uint_eq(get(VMCB_exitinfo1, 8), SVM_NPF_FINAL | PF_U);
    ck_assert_uint_eq(get(VMCB_exitinfo2, 8), 0x400010);
    ck_assert_uint_eq(get(VMCB_insn_count, 1), 15);
    ck_assert_uint_eq(load_le32(ram(AT_VMCB + VMCB_INSN_BYTES)), 0x1025048b);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("svm");
    TCase *c = tcase_create("svm");
    tcase_add_loop_test(c, test_svm__each_check_is_named, 0, (int)ARRAY_LEN(rows));
    tcase_add_test(c, test_svm__nested_paging_needs_host_paging);
    tcase_add_test(c, test_svm__round_trip);
    tcase_add_test(c, test_svm__nested_page_fault);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
