/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The adapter: a paravisor in VTL 2 that makes the guest in VTL 0 believe it runs on Xen. Entered by the root's loader with the boot
 * block's address; each VP runs VTL 0 until an intercept or an interrupt of its own. */
#include "abi/hyperv/registers.h"
#include "abi/hyperv/vsm.h"
#include "abi/x86/registers.h"
#include "guests/adapter/adapter.h"
#include "guests/adapter/vmbus.h"
#include "hv/core/trace_port.h"
#include "hv/decode/mmio.h"

#define EVENT_GP (1ull | 13ull << 16 | 1ull << 8)
#define STATE_LMA 0x10u
#define MSR_GS_BASE 0xc0000101u
#define LEVEL_MARK 0x56544c3000000000ull
#define TRIES 100

struct adapter_boot *boot;
struct vp vps[VP_MAX];
static u32 locked;
bool call_is_narrow;

/* Whoever holds it may not be scheduled: give it the processor. */
void lock(void)
{
    for (u32 i = 0; __atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE) != 0; i++) {
        __asm__ volatile("pause");
        if (i % TRIES == TRIES - 1) {
            hv_yield();
        }
    }
}

void unlock(void) { __atomic_store_n(&locked, 0, __ATOMIC_RELEASE); }

static void advance(const struct hv_intercept_header *h, u32 length)
{
    u32 known = h->length_cr8 & 15;
    (void)hv_set(HV_REG_RIP, h->rip + (known != 0 ? known : length));
}

/* 64-bit code, not one of the narrower kinds. */
static bool is_long(const struct hv_intercept_header *h)
{
    return (h->state & STATE_LMA) != 0 && (h->cs.attributes & SEG_L) != 0;
}

static void on_cpuid(const struct hv_cpuid_message *m)
{
    u32 r[4];
    u64 *gpr = self()->gpr;
    if (!xen_cpuid((u32)m->rax, (u32)m->rcx, r)) {
        memset(r, 0, sizeof r);
    }
    gpr[GPR_AX] = r[0];
    gpr[GPR_BX] = r[1];
    gpr[GPR_CX] = r[2];
    gpr[GPR_DX] = r[3];
    advance(&m->header, 2);
}

static void on_msr(const struct hv_msr_message *m)
{
    bool write = m->header.access == HV_ACCESS_WRITE;
    call_is_narrow = !is_long(&m->header);
    if (write && xen_write_msr(m->number, m->rdx << 32 | (u32)m->rax)) {
        advance(&m->header, 2);
    } else {
        (void)hv_set(HV_REG_PENDING_EVENT0, EVENT_GP);
    }
}

static void on_hypercall(const struct hv_hypercall_message *m)
{
    i64 result = -XEN_EPERM;
    u64 *g = self()->gpr;
    advance(&m->header, 3); /* before the call: one that stops this vCPU finds it behind the instruction */
    self()->online = true;
    call_is_narrow = !is_long(&m->header);
    if ((m->header.state & 3) == 0 && !call_is_narrow) {
        const u64 args[5] = {g[GPR_DI], g[GPR_SI], g[GPR_DX], g[GPR_R10], g[GPR_R8]};
        result = xen_call(g[GPR_AX], args);
    } else if ((m->header.state & 3) == 0) {
        const u64 args[5] = {(u32)g[GPR_BX], (u32)g[GPR_CX], (u32)g[GPR_DX], (u32)g[GPR_SI], (u32)g[GPR_DI]};
        result = (i64)(u32)xen_call((u32)g[GPR_AX], args);
    }
    g[GPR_AX] = (u64)result;
}

/* What is not there, or masked, reads as ones; writes go nowhere. False: an instruction that the decoder does not know. */
static bool on_hole(const struct hv_memory_message *m)
{
    struct mmio_insn i;
    enum mmio_mode mode = (m->header.cs.attributes & SEG_DB) != 0 ? MMIO_32 : MMIO_16;
    mode = is_long(&m->header) ? MMIO_64 : mode;
    if (!mmio_decode(m->bytes, m->count, mode, &i) || i.write != (m->header.access == HV_ACCESS_WRITE)) {
        return false;
    }
    if (i.bit_test) {
        u64 flags;
        (void)hv_get(HV_REG_RFLAGS, &flags);
        (void)hv_set(HV_REG_RFLAGS, flags | RFLAGS_CF);
    } else if (!i.write) {
        u64 bits = i.reg_bytes >= 8 ? ~0ull : (1ull << (8 * i.reg_bytes)) - 1;
        u64 ones = i.sign || i.bytes >= i.reg_bytes ? bits : (1ull << (8 * i.bytes)) - 1;
        u64 mask = i.reg_bytes >= 4 ? ~0ull : bits << (i.high ? 8 : 0);
        if (i.reg == GPR_SP) {
            return false; /* the stack pointer is not among the shared ones */
        }
        self()->gpr[i.reg] = (self()->gpr[i.reg] & ~mask) | (ones << (i.high ? 8 : 0));
    }
    (void)hv_set(HV_REG_RIP, m->header.rip + i.length);
    return true;
}

static void on_memory(const struct hv_memory_message *m)
{
    if (m->header.access != HV_ACCESS_EXECUTE && on_hole(m)) {
        return;
    }
    adapter_log("adapter: VTL 0 touches %lx, which is not its own, at %lx\n", m->gpa, m->header.rip);
    root_power(ADAPTER_POWER_CRASH);
}

static void intercept(void)
{
    struct hv_message m;
    memcpy(&m, self()->assist + HV_ASSIST_MESSAGE, sizeof m);
    switch (m.type) {
    case HV_MESSAGE_CPUID:
        on_cpuid((const void *)m.payload);
        break;
    case HV_MESSAGE_MSR:
        on_msr((const void *)m.payload);
        break;
    case HV_MESSAGE_HYPERCALL:
        on_hypercall((const void *)m.payload);
        break;
    case HV_MESSAGE_GPA_INTERCEPT:
    case HV_MESSAGE_UNMAPPED_GPA:
        on_memory((const void *)m.payload);
        break;
    default:
        adapter_log("adapter: intercept of type %x\n", m.type);
        root_power(ADAPTER_POWER_CRASH);
        break;
    }
}

/* Before the lock, for which it may have to yield. */
static void tell_of_call(void)
{
    const struct hv_message *m = (const void *)(self()->assist + HV_ASSIST_MESSAGE);
    const struct hv_hypercall_message *h = (const void *)m->payload;
    const u64 *g = self()->gpr;
    if (m->type == HV_MESSAGE_HYPERCALL) {
        bool wide = is_long(&h->header);
        hv_answers(wide ? g[GPR_AX] : (u32)g[GPR_AX], wide ? g[GPR_DI] : g[GPR_BX]);
    }
}

static _Noreturn void run_guest(void)
{
    struct vp *vp = self();
    for (;;) {
        hv_answered();
        memcpy(vp->assist + HV_ASSIST_RETURN_RAX, &vp->gpr[GPR_AX], 8);
        memcpy(vp->assist + HV_ASSIST_RETURN_RCX, &vp->gpr[GPR_CX], 8);
        vtl_run();
        u32 reason;
        memcpy(&reason, vp->assist + HV_ASSIST_ENTRY_REASON, sizeof reason);
        if (reason == HV_VTL_ENTRY_INTERCEPT) {
            tell_of_call();
            lock();
            intercept();
            unlock();
        }
        if (vp->owed) {
            lock();
            event_interrupt(vp);
            unlock();
        }
        __asm__ volatile("sti; nop; nop; cli" : : : "memory"); /* its own interrupts */
    }
}

static void other_main(void)
{
    interrupt_load();
    hyperv_vp_init();
    (void)hv_set(HV_REG_INTERNAL_ACTIVITY, 1); /* VTL 0 waits for SIPI, or for vcpu_op up */
    self()->ready = true;
    run_guest();
}

void guest_main(u32 magic, u32 block)
{
    boot = at_address(block);
    trace_port_probe();
    if (magic != ADAPTER_MAGIC || boot->magic != ADAPTER_MAGIC || boot->version != ADAPTER_VERSION || boot->vps > VP_MAX) {
        die("adapter: no boot block of its version");
    }
    for (u32 i = 0; i < VP_MAX; i++) {
        vps[i].self = &vps[i];
        vps[i].index = i;
    }
    wrmsr(MSR_GS_BASE, address_of(&vps[0]));
    interrupt_init();
    hyperv_init();
    domain_init();
    hyperv_start_others(other_main);
    vmbus_init();
    vps[0].gpr[GPR_BX] = boot->start_info;
    for (u32 i = GPR_R8; i < 16; i++) { /* free at the PVH entry: by these an observer sees that VTL 0 got VTL 2's registers */
        vps[0].gpr[i] = LEVEL_MARK + i;
    }
    vps[0].online = true;
    adapter_log("adapter: Xen 4.17 for domain %x, %lx bytes of memory, %x vCPU(s)\n", boot->domain, boot->memory, boot->vps);
    run_guest();
}
