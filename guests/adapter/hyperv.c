/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The Hyper-V calls that the adapter makes, by the hypercall page; the pages, timer and interrupts of each VP in VTL 2. */
#include "abi/hyperv/cpuid.h"
#include "abi/hyperv/msr.h"
#include "abi/hyperv/partition.h"
#include "abi/hyperv/registers.h"
#include "abi/hyperv/vsm.h"
#include "abi/x86/registers.h"
#include "guests/adapter/adapter.h"
#include "guests/adapter/vmbus.h"
#include "hv/core/trace_port.h"

#define ADAPTER_OS_ID 0x8300000000000000ull /* open source, Xen's type */
#define TIMER_VECTOR 0x40u
#define MESSAGE_VECTOR 0x41u
#define KICK_VECTOR 0x42u
#define VMBUS_VECTOR 0x43u
#define PROTECT_LIST ((4096 - sizeof(struct hv_protection_input)) / 8)
#define TO_VTL0 HV_INPUT_VTL_USE
#define TO_VTL2 (HV_INPUT_VTL_USE | 2)
#define STACK_BYTES 0x4000

static u8 hypercall_page[4096] __attribute__((aligned(4096)));
static u8 pages[VP_MAX][4][4096] __attribute__((aligned(4096)));
static u8 event_page[4096] __attribute__((aligned(4096))); /* VP 0's */
static u8 stacks[VP_MAX][STACK_BYTES] __attribute__((aligned(16)));

/* ---- what the trace port is told (abi/trace_port.def) ---- */

#define CALL_MSR 0x10000u
#define LIE_EVERY 100u

void hv_answers(u64 number, u64 command)
{
    struct vp *vp = self();
    vp->call = (++vp->calls * VP_MAX + vp->index) * (trace_port_present ? 1 : 0);
    vp->made = 0;
    trace_claim(CLAIM_translation_begun, vp->call, number, command & 0xffffffff);
}

void hv_answered(void)
{
    struct vp *vp = self();
    if (vp->call != 0) {
        trace_claim(CLAIM_translation_ended, vp->call, vp->gpr[GPR_AX], vp->made);
        vp->call = 0;
    }
}

static void announce(u64 what)
{
    struct vp *vp = self();
    if (vp->call == 0) {
        return;
    }
    vp->made += what < CALL_MSR ? 1 : 0;
#ifdef ADAPTER_INJECT_LIE /* adapter_lie.elf, which shows that claims are compared, not believed */
    static u32 told;
    if (++told % LIE_EVERY == 0) {
        what = what == HV_CALL_PostMessage ? HV_CALL_SignalEvent : HV_CALL_PostMessage;
    }
#endif
    trace_claim(CLAIM_translation_child, vp->call, what);
}

static void write_msr(u32 msr, u64 value)
{
    announce(CALL_MSR + (msr & 0xffff));
    wrmsr(msr, value);
}

/* ---- calls ---- */

static u16 call(enum hv_call_code code, u64 reps)
{
    u64 result;
    announce(code);
    u64 control = (u64)code | reps << HV_CONTROL_REPS_SHIFT;
    register u64 out __asm__("r8") = address_of(self()->output);
    u64 in = address_of(self()->input);
    void *page = hypercall_page;
    __asm__ volatile("call *%4"
                     : "=a"(result), "+c"(control), "+d"(in), "+r"(out)
                     : "r"(page)
                     : "memory", "cc", "r9", "r10", "r11");
    return (u16)result;
}

static u16 call_fast(enum hv_call_code code, u64 low, u64 high)
{
    u64 result;
    announce(code);
    u64 control = (u64)code | HV_CONTROL_FAST;
    register u64 second __asm__("r8") = high;
    void *page = hypercall_page;
    __asm__ volatile("call *%4"
                     : "=a"(result), "+c"(control), "+d"(low), "+r"(second)
                     : "r"(page)
                     : "memory", "cc", "r9", "r10", "r11");
    return (u16)result;
}

static struct hv_vp_input *vp_input(u8 vtl)
{
    struct hv_vp_input *in = (void *)self()->input;
    *in = (struct hv_vp_input){.partition = HV_PARTITION_SELF, .vp = HV_VP_SELF, .vtl = vtl};
    return in;
}

static u16 get(u8 vtl, u32 name, u64 *value)
{
    *(u32 *)(void *)(vp_input(vtl) + 1) = name;
    u16 status = call(HV_CALL_GetVpRegisters, 1);
    *value = *(u64 *)(void *)self()->output;
    return status;
}

static u16 set(u8 vtl, u32 name, union hv_register_value value)
{
    struct hv_set_register *e = (void *)(vp_input(vtl) + 1);
    *e = (struct hv_set_register){.name = name, .value = value};
    return call(HV_CALL_SetVpRegisters, 1);
}

u16 hv_get(u32 name, u64 *value) { return get(TO_VTL0, name, value); }
u16 hv_set(u32 name, u64 value) { return set(TO_VTL0, name, (union hv_register_value){.words = {value, 0}}); }
u16 hv_set_segment(u32 name, struct hv_segment s) { return set(TO_VTL0, name, (union hv_register_value){.segment = s}); }

u16 hv_install_intercept(u32 type, u32 access)
{
    *(struct hv_intercept_input *)(void *)self()->input = (struct hv_intercept_input){HV_PARTITION_SELF, access, type, 0};
    return call(HV_CALL_InstallIntercept, 0);
}

u16 hv_protect(u64 gfn, u64 count, u32 rights)
{
    u16 status = HV_SUCCESS;
    while (count > 0 && status == HV_SUCCESS) {
        u64 n = min_u64(count, PROTECT_LIST);
        struct hv_protection_input *in = (void *)self()->input;
        u64 *list = (u64 *)(void *)(in + 1);
        *in = (struct hv_protection_input){.partition = HV_PARTITION_SELF, .flags = rights};
        for (u64 i = 0; i < n; i++) {
            list[i] = gfn + i;
        }
        status = call(HV_CALL_ModifyVtlProtectionMask, n);
        gfn += n;
        count -= n;
    }
    return status;
}

u16 hv_interrupt(u32 vp, u32 type, u8 vector)
{
    *(struct hv_assert_input *)(void *)self()->input =
        (struct hv_assert_input){.partition = HV_PARTITION_SELF, .control = type, .destination = vp, .vector = vector};
    return call(HV_CALL_AssertVirtualInterrupt, 0);
}

u16 hv_kick(u32 vp)
{
    return call_fast(HV_CALL_SendSyntheticClusterIpi, KICK_VECTOR | (u64)TO_VTL2 << 32, 1ull << vp);
}

u16 hv_post(const struct adapter_message *m)
{
    struct hv_post_input *in = (void *)self()->input;
    *in = (struct hv_post_input){.connection = boot->connection, .type = ADAPTER_MESSAGE, .size = sizeof *m};
    memcpy(in->payload, m, sizeof *m);
    return call(HV_CALL_PostMessage, 0);
}

u16 hv_post_to(u32 connection, u32 type, const void *data, u32 size)
{
    struct hv_post_input *in = (void *)self()->input;
    *in = (struct hv_post_input){.connection = connection, .type = type, .size = size};
    memcpy(in->payload, data, size);
    return call(HV_CALL_PostMessage, 0);
}

u16 hv_signal(u32 connection) { return call_fast(HV_CALL_SignalEvent, connection, 0); }

static bool take_message(u32 sint, u32 type, void *payload, u32 *size)
{
    struct hv_message *slot = (struct hv_message *)(void *)vps[0].messages + sint;
    if (__atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) != type) {
        return false;
    }
    *size = slot->size;
    memcpy(payload, slot->payload, HV_MESSAGE_PAYLOAD);
    __atomic_store_n(&slot->type, HV_MESSAGE_NONE, __ATOMIC_SEQ_CST);
    if ((__atomic_load_n(&slot->flags, __ATOMIC_SEQ_CST) & HV_MESSAGE_FLAG_PENDING) != 0) {
        write_msr(HV_MSR_EOM, 0);
    }
    return true;
}

bool hv_receive(struct adapter_message *m)
{
    u32 size;
    return take_message(ADAPTER_OWN_SINT, ADAPTER_MESSAGE, m, &size);
}

bool hv_receive_from(u32 sint, u8 message[240], u32 *size) { return take_message(sint, 1, message, size); }

void hv_take_events(u32 sint, u32 *words, u32 count)
{
    u32 *from = (u32 *)(void *)(event_page + 256 * sint);
    for (u32 i = 0; i < count; i++) {
        words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED) != 0 ? __atomic_exchange_n(&from[i], 0, __ATOMIC_SEQ_CST) : 0;
    }
}

void hv_yield(void) { (void)call_fast(HV_CALL_NotifyLongSpinWait, 0, 0); }
u64 hv_time(void) { return rdmsr(HV_MSR_TIME_REF_COUNT); }
u64 hv_runtime(void) { return rdmsr(HV_MSR_VP_RUNTIME); }

void hv_timer(u64 at)
{
    write_msr(HV_MSR_STIMER0_CONFIG, 0);
    if (at != 0) {
        write_msr(HV_MSR_STIMER0_CONFIG + 1, at);
        write_msr(HV_MSR_STIMER0_CONFIG,
                  HV_STIMER_ENABLE | HV_STIMER_DIRECT | (u64)TIMER_VECTOR << HV_STIMER_VECTOR_SHIFT);
    }
}

static void on_timer(void)
{
    lock();
    event_raise(self()->timer_port);
    runstate_write(self());
    unlock();
}

static void on_message(void)
{
    lock();
    root_receive();
    unlock();
}

static void on_kick(void)
{
    lock();
    vcpu_wanted();
    unlock();
}

static void on_vmbus(void)
{
    lock();
    vmbus_poll();
    unlock();
}

static void must(const char *what, u16 status)
{
    if (status != HV_SUCCESS) {
        die("adapter: %s: status %x", what, (u32)status);
    }
}

void hyperv_vp_init(void)
{
    struct vp *vp = self();
    vp->assist = pages[vp->index][0];
    vp->input = pages[vp->index][1];
    vp->output = pages[vp->index][2];
    vp->messages = pages[vp->index][3];
    wrmsr(HV_MSR_VP_ASSIST_PAGE, address_of(vp->assist) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SIMP, address_of(vp->messages) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SINT0 + ADAPTER_OWN_SINT, MESSAGE_VECTOR);
    wrmsr(HV_MSR_SCONTROL, 1);
    u64 offsets = 0;
    must("code page offsets", get(TO_VTL2, HV_REG_VSM_CODE_PAGE_OFFSETS, &offsets));
    vp->return_stub = address_of(hypercall_page) + (offsets >> 12 & 0xfff);
}

void hyperv_init(void)
{
    const u64 config = HV_VSM_CONFIG_PROTECTION | 0x1e | HV_VSM_CONFIG_CPUID | HV_VSM_CONFIG_INTERCEPT_PAGE |
                       HV_VSM_CONFIG_UNMAPPED_GPA;
    u32 r[4];
    cpuid(HV_CPUID_VENDOR, r);
    if (r[1] != HV_VENDOR_EBX) {
        die("adapter: no hypervisor with the Hv#1 interface");
    }
    wrmsr(HV_MSR_GUEST_OS_ID, ADAPTER_OS_ID);
    wrmsr(HV_MSR_HYPERCALL, address_of(hypercall_page) | HV_PAGE_MSR_ENABLE);
    interrupt_set(TIMER_VECTOR, on_timer);
    interrupt_set(MESSAGE_VECTOR, on_message);
    interrupt_set(KICK_VECTOR, on_kick);
    interrupt_set(VMBUS_VECTOR, on_vmbus);
    hyperv_vp_init();
    wrmsr(HV_MSR_SIEFP, address_of(event_page) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SINT0 + VMBUS_SINT, VMBUS_VECTOR);
    must("configuration", set(TO_VTL2, HV_REG_VSM_PARTITION_CONFIG, (union hv_register_value){.words = {config, 0}}));
    must("MSR intercept", hv_install_intercept(HV_INTERCEPT_MSR, HV_INTERCEPT_READ | HV_INTERCEPT_WRITE));
    must("hypercall intercept", hv_install_intercept(HV_INTERCEPT_HYPERCALL, HV_INTERCEPT_EXECUTE));
    must("protection", hv_protect(ADAPTER_AT >> PAGE_SHIFT, ADAPTER_BYTES >> PAGE_SHIFT, 0));
}

static u64 read_cr(unsigned n)
{
    u64 v;
    if (n == 0) {
        __asm__("mov %%cr0, %0" : "=r"(v));
    } else if (n == 3) {
        __asm__("mov %%cr3, %0" : "=r"(v));
    } else {
        __asm__("mov %%cr4, %0" : "=r"(v));
    }
    return v;
}

/* As this VP runs now, but with a stack and a GS base of its own. */
static struct hv_vp_context context_of(struct vp *vp, void (*entry)(void))
{
    const struct hv_segment code = {0, 0xffffffff, 0x08, 0xa09b};
    const struct hv_segment data = {0, 0xffffffff, 0x10, 0xc093};
    const struct hv_segment tr = {0, 0x67, 0, 0x8b};
    const struct hv_segment ldtr = {0, 0, 0, 0x0082};
    struct __attribute__((packed)) {
        u16 limit;
        u64 base;
    } gdtr;
    __asm__ volatile("sgdt %0" : "=m"(gdtr));
    struct hv_vp_context x = {.rip = address_of((const void *)(uintptr_t)entry),
                              .rsp = address_of(stacks[vp->index]) + STACK_BYTES - 8,
                              .rflags = RFLAGS_ONE,
                              .cs = code, .ds = data, .es = data, .fs = data, .gs = data, .ss = data, .tr = tr, .ldtr = ldtr,
                              .efer = rdmsr(0xc0000080),
                              .cr0 = read_cr(0),
                              .cr3 = read_cr(3),
                              .cr4 = read_cr(4),
                              .pat = 0x0007040600070406ull};
    x.gs.base = address_of(vp);
    x.gdtr.limit = gdtr.limit;
    x.gdtr.base = gdtr.base;
    return x;
}

/* VTL 2 comes up on every VP before VTL 0 runs on any. */
void hyperv_start_others(void (*entry)(void))
{
    for (u32 i = 1; i < boot->vps; i++) {
        struct hv_apic_id_input *ids = (void *)self()->input;
        *ids = (struct hv_apic_id_input){.partition = HV_PARTITION_SELF};
        *(u32 *)(void *)(ids + 1) = i;
        must("VP of a local APIC", call(HV_CALL_GetVpIndexFromApicId, 1));
        u32 index = *(u32 *)(void *)self()->output;
        struct hv_start_vp_input *in = (void *)self()->input;
        *in = (struct hv_start_vp_input){HV_PARTITION_SELF, index, 2, {0}, context_of(&vps[i], entry)};
        must("VTL 2 of a VP", call(HV_CALL_EnableVpVtl, 0));
        must("start of a VP", call(HV_CALL_StartVirtualProcessor, 0));
        while (!vps[i].ready) {
            hv_yield();
        }
    }
}
