/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A root partition's kernel that tests the hypervisor: each rule prints a line when it is broken, then the sum, then the machine is
 * switched off. [TLFS "Hypercall Reference"] */
#include "abi/hyperv/msr.h"
#include "guests/hvtest/hvtest.h"

#define VECTOR 0x40u

u32 passed, wrong;
static u8 message_page[4096] __attribute__((aligned(4096)));
u8 event_page[4096] __attribute__((aligned(4096)));

void check(const char *rule, u64 got, u64 wanted)
{
    if (got == wanted) {
        passed++;
        return;
    }
    wrong++;
    print("hvtest: BROKEN: %s: %lx, should be %lx\n", rule, got, wanted);
}

void synic_init(void)
{
    wrmsr(HV_MSR_SIMP, address_of(message_page) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SIEFP, address_of(event_page) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SINT0, VECTOR);
    wrmsr(HV_MSR_SINT0 + SINT_MESSAGES, VECTOR + 1);
    wrmsr(HV_MSR_SINT0 + SINT_EVENTS, VECTOR + 2);
    wrmsr(HV_MSR_SCONTROL, 1);
}

bool synic_wait(unsigned sint, struct hv_message *m)
{
    struct hv_message *slot = (void *)(message_page + 256 * sint);
    u64 end = rdmsr(HV_MSR_TIME_REF_COUNT) + 10000000;
    wrmsr(HV_MSR_STIMER0_CONFIG, HV_STIMER_DIRECT | HV_STIMER_AUTO_ENABLE | (u64)(VECTOR + 3) << HV_STIMER_VECTOR_SHIFT);
    wrmsr(HV_MSR_STIMER0_CONFIG + 1, end);
    while (__atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) == HV_MESSAGE_NONE) {
        if (rdmsr(HV_MSR_TIME_REF_COUNT) >= end) {
            return false;
        }
        __asm__ volatile("sti; hlt; cli");
    }
    memcpy(m, slot, sizeof *m);
    __atomic_store_n(&slot->type, HV_MESSAGE_NONE, __ATOMIC_SEQ_CST);
    wrmsr(HV_MSR_EOM, 0);
    return true;
}

bool synic_take_flag(unsigned sint, unsigned flag)
{
    u8 *byte = &event_page[256 * sint + flag / 8];
    u8 bit = (u8)(1u << (flag % 8));
    return (__atomic_fetch_and(byte, (u8)~bit, __ATOMIC_SEQ_CST) & bit) != 0;
}

/* Times that no clock reaches: nothing comes, and nothing breaks. */
static void test_far_times(void)
{
    static const u64 counts[] = {~0ull, 1ull << 63, 0xffffffffffffff00ull, 1ull << 61};
    for (u32 i = 0; i < 2 * ARRAY_LEN(counts); i++) {
        u64 kind = i % 2 != 0 ? HV_STIMER_PERIODIC : 0;
        wrmsr(HV_MSR_STIMER0_CONFIG + 2, HV_STIMER_ENABLE | HV_STIMER_DIRECT | kind | (u64)(VECTOR + 4) << HV_STIMER_VECTOR_SHIFT);
        wrmsr(HV_MSR_STIMER0_CONFIG + 3, counts[i / 2]);
        check("a timer for the end of time is set", rdmsr(HV_MSR_STIMER0_CONFIG + 3), counts[i / 2]);
    }
    wrmsr(HV_MSR_STIMER0_CONFIG + 2, 0);
}

void guest_main(u32 magic, u32 info)
{
    serial_init();
    interrupt_init();
    boot_parse(magic, info);
    hypercall_init();
    synic_init();
    test_far_times();
    test_control_word();
    test_life();
    test_memory();
    test_vp();
    test_running();
    test_end();
    test_vtl();
    test_end();
    print("hvtest: %u rules kept, %u broken\n", passed, wrong);
    out16(0x604, 0x2000);
    die("the machine does not switch off");
}
