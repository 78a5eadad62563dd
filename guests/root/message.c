/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages of the hypervisor: intercepts of children, in slot 0 of the message page. And the tick that the console is polled by. */
#include "abi/hyperv/msr.h"
#include "abi/hyperv/registers.h"
#include "guests/root/ic/ic.h"

#define SINT_VECTOR 0x30u
#define TICK_VECTOR 0x31u
#define TICK 100000u /* 10 ms */

static u8 message_page[4096] __attribute__((aligned(4096)));
u8 event_page[4096] __attribute__((aligned(4096)));
volatile u32 tick_count;

static void tick(void) { tick_count++; }
u64 reference_time(void) { return rdmsr(HV_MSR_TIME_REF_COUNT); }

void message_init(void)
{
    wrmsr(HV_MSR_SIMP, address_of(message_page) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SINT0, SINT_VECTOR);
    wrmsr(HV_MSR_SINT0 + ADAPTER_SINT, SINT_VECTOR);
    wrmsr(HV_MSR_SINT0 + TEST_SINT, SINT_VECTOR);
    wrmsr(HV_MSR_SINT0 + VMBUS_ROOT_SINT, SINT_VECTOR);
    wrmsr(HV_MSR_SIEFP, address_of(event_page) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SCONTROL, 1);
    interrupt_set(TICK_VECTOR, tick);
    wrmsr(HV_MSR_STIMER0_CONFIG, HV_STIMER_ENABLE | HV_STIMER_PERIODIC | HV_STIMER_DIRECT |
                                     (u64)TICK_VECTOR << HV_STIMER_VECTOR_SHIFT);
    wrmsr(HV_MSR_STIMER0_CONFIG + 1, TICK);
}

static void give_up(struct vm *vm, const char *why, const struct hv_intercept_header *h)
{
    print("\nroot: %s: %s at %lx on VP %u\n", vm->name, why, h->rip, h->vp);
    console_vm_ended(vm, why);
}

static void handle(const struct hv_message *m)
{
    struct vm *vm = vm_by_partition(m->sender);
    if (vm == NULL) {
        return; /* it is gone */
    }
    vm->exits++;
    switch (m->type) {
    case HV_MESSAGE_IO_PORT:
        port_access(vm, (const void *)m->payload);
        break;
    case HV_MESSAGE_UNMAPPED_GPA:
    case HV_MESSAGE_GPA_INTERCEPT: {
        const struct hv_memory_message *p = (const void *)m->payload;
        print("\nroot: %s: %s of %lx, which is not mapped\n", vm->name,
              p->header.access == HV_ACCESS_WRITE ? "write" : "read or fetch", p->gpa);
        give_up(vm, "memory fault", &p->header);
        break;
    }
    case HV_MESSAGE_UNRECOVERABLE:
        give_up(vm, "triple fault", (const void *)m->payload);
        break;
    default:
        print("\nroot: message of type %x\n", m->type);
        break;
    }
}

/* One that waits in the slot of a SINT. */
static bool poll_slot(u32 sint, void (*handler)(const struct hv_message *m))
{
    struct hv_message *slot = (struct hv_message *)(void *)message_page + sint;
    if (__atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) == HV_MESSAGE_NONE) {
        return false;
    }
    struct hv_message copy;
    memcpy(&copy, slot, sizeof copy);
    __atomic_store_n(&slot->type, HV_MESSAGE_NONE, __ATOMIC_SEQ_CST);
    if ((__atomic_load_n(&slot->flags, __ATOMIC_SEQ_CST) & HV_MESSAGE_FLAG_PENDING) != 0) {
        wrmsr(HV_MSR_EOM, 0);
    }
    handler(&copy);
    return true;
}

bool message_poll(void)
{
    bool intercept = poll_slot(0, handle);
    bool adapter = poll_slot(ADAPTER_SINT, adapter_message);
    test_device_events();
    bool bus = poll_slot(VMBUS_ROOT_SINT, host_message);
    ic_poll();
    adapter = bus_poll() || bus || adapter;
    return poll_slot(TEST_SINT, test_device_message) || adapter || intercept;
}
