/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Hyper-V calls that the adapter makes, by the hypercall page; its SynIC timer; its assist page. */
#include "abi/hyperv/msr.h"
#include "abi/hyperv/partition.h"
#include "abi/hyperv/registers.h"
#include "abi/hyperv/vsm.h"
#include "guests/adapter/adapter.h"

#define ADAPTER_OS_ID 0x8300000000000000ull /* open source, Xen's type */
#define TIMER_VECTOR 0x40u
#define MESSAGE_VECTOR 0x41u
#define PROTECT_LIST ((4096 - sizeof(struct hv_protection_input)) / 8)
#define TO_VTL0 HV_INPUT_VTL_USE

u8 assist_page[4096] __attribute__((aligned(4096)));
u64 guest_gpr[16];
u64 vtl_return_stub;
static u8 hypercall_page[4096] __attribute__((aligned(4096)));
static u8 message_page[4096] __attribute__((aligned(4096)));
static u8 input[4096] __attribute__((aligned(4096)));
static u8 output[4096] __attribute__((aligned(4096)));

static u16 call(enum hv_call_code code, u64 reps)
{
    u64 result;
    u64 control = (u64)code | reps << HV_CONTROL_REPS_SHIFT;
    register u64 out __asm__("r8") = address_of(output);
    u64 in = address_of(input);
    void *page = hypercall_page;
    __asm__ volatile("call *%4"
                     : "=a"(result), "+c"(control), "+d"(in), "+r"(out)
                     : "r"(page)
                     : "memory", "cc", "r9", "r10", "r11");
    return (u16)result;
}

static struct hv_vp_input *vp_input(u8 vtl)
{
    struct hv_vp_input *in = (void *)input;
    *in = (struct hv_vp_input){.partition = HV_PARTITION_SELF, .vp = HV_VP_SELF, .vtl = vtl};
    return in;
}

static u16 get(u8 vtl, u32 name, u64 *value)
{
    *(u32 *)(void *)(vp_input(vtl) + 1) = name;
    u16 status = call(HV_CALL_GetVpRegisters, 1);
    *value = *(u64 *)(void *)output;
    return status;
}

static u16 set(u8 vtl, u32 name, u64 value)
{
    struct hv_set_register *e = (void *)(vp_input(vtl) + 1);
    *e = (struct hv_set_register){.name = name, .value = {.low = value}};
    return call(HV_CALL_SetVpRegisters, 1);
}

u16 hv_get(u32 name, u64 *value) { return get(TO_VTL0, name, value); }
u16 hv_set(u32 name, u64 value) { return set(TO_VTL0, name, value); }
u16 hv_set_own(u32 name, u64 value) { return set(HV_INPUT_VTL_USE | 2, name, value); }

u16 hv_install_intercept(u32 type, u32 access)
{
    struct hv_intercept_input *in = (void *)input;
    *in = (struct hv_intercept_input){HV_PARTITION_SELF, access, type, 0};
    return call(HV_CALL_InstallIntercept, 0);
}

u16 hv_protect(u64 gfn, u64 count)
{
    u16 status = HV_SUCCESS;
    while (count > 0 && status == HV_SUCCESS) {
        u64 n = min_u64(count, PROTECT_LIST);
        struct hv_protection_input *in = (void *)input;
        u64 *list = (u64 *)(void *)(in + 1);
        *in = (struct hv_protection_input){.partition = HV_PARTITION_SELF};
        for (u64 i = 0; i < n; i++) {
            list[i] = gfn + i;
        }
        status = call(HV_CALL_ModifyVtlProtectionMask, n);
        gfn += n;
        count -= n;
    }
    return status;
}

u16 hv_interrupt(u8 vector)
{
    struct hv_assert_input *in = (void *)input;
    *in = (struct hv_assert_input){.partition = HV_PARTITION_SELF, .vector = vector};
    return call(HV_CALL_AssertVirtualInterrupt, 0);
}

u16 hv_post(const struct adapter_message *m)
{
    struct hv_post_input *in = (void *)input;
    *in = (struct hv_post_input){.connection = boot->connection, .type = ADAPTER_MESSAGE, .size = sizeof *m};
    memcpy(in->payload, m, sizeof *m);
    return call(HV_CALL_PostMessage, 0);
}

bool hv_receive(struct adapter_message *m)
{
    struct hv_message *slot = (struct hv_message *)(void *)message_page + ADAPTER_OWN_SINT;
    if (__atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) != ADAPTER_MESSAGE) {
        return false;
    }
    memcpy(m, slot->payload, sizeof *m);
    __atomic_store_n(&slot->type, HV_MESSAGE_NONE, __ATOMIC_SEQ_CST);
    if ((__atomic_load_n(&slot->flags, __ATOMIC_SEQ_CST) & HV_MESSAGE_FLAG_PENDING) != 0) {
        wrmsr(HV_MSR_EOM, 0);
    }
    return true;
}

void hv_yield(void)
{
    *(u64 *)(void *)input = 0;
    (void)call(HV_CALL_NotifyLongSpinWait, 0);
}

u64 hv_time(void) { return rdmsr(HV_MSR_TIME_REF_COUNT); }

void hv_timer(u64 at)
{
    wrmsr(HV_MSR_STIMER0_CONFIG, 0);
    if (at != 0) {
        wrmsr(HV_MSR_STIMER0_CONFIG + 1, at);
        wrmsr(HV_MSR_STIMER0_CONFIG,
              HV_STIMER_ENABLE | HV_STIMER_DIRECT | (u64)TIMER_VECTOR << HV_STIMER_VECTOR_SHIFT);
    }
}

static void must(const char *what, u16 status)
{
    if (status != HV_SUCCESS) {
        die("adapter: %s: status %x", what, (u32)status);
    }
}

void hyperv_init(void)
{
    u64 offsets = 0;
    wrmsr(HV_MSR_GUEST_OS_ID, ADAPTER_OS_ID);
    wrmsr(HV_MSR_HYPERCALL, address_of(hypercall_page) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_VP_ASSIST_PAGE, address_of(assist_page) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SIMP, address_of(message_page) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SINT0 + ADAPTER_OWN_SINT, MESSAGE_VECTOR);
    wrmsr(HV_MSR_SCONTROL, 1);
    interrupt_set(TIMER_VECTOR, event_timer);
    interrupt_set(MESSAGE_VECTOR, root_receive);
    must("code page offsets", get(HV_INPUT_VTL_USE | 2, HV_REG_VSM_CODE_PAGE_OFFSETS, &offsets));
    vtl_return_stub = address_of(hypercall_page) + (offsets >> 12 & 0xfff);
    must("configuration", hv_set_own(HV_REG_VSM_PARTITION_CONFIG, HV_VSM_CONFIG_PROTECTION | 0x1e | HV_VSM_CONFIG_CPUID |
                                                                      HV_VSM_CONFIG_INTERCEPT_PAGE));
    must("MSR intercept", hv_install_intercept(HV_INTERCEPT_MSR, HV_INTERCEPT_READ | HV_INTERCEPT_WRITE));
    must("hypercall intercept", hv_install_intercept(HV_INTERCEPT_HYPERCALL, HV_INTERCEPT_EXECUTE));
    must("protection", hv_protect(ADAPTER_AT >> PAGE_SHIFT, ADAPTER_BYTES >> PAGE_SHIFT));
}
