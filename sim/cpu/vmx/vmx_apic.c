/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The virtual APIC: TPR shadow, register virtualization in both modes, virtual-interrupt delivery, posted
 * interrupts, IPI virtualization. [SDM3 "APIC Virtualization and Virtual Interrupts"] */
#include "cpu/apic.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#undef TRY
#include "cpu/vmx/vmx_priv.h"

enum {
    VAPIC_ID = 0x20,
    VAPIC_VERSION = 0x30,
    VAPIC_TPR = 0x80,
    VAPIC_PPR = 0xa0,
    VAPIC_EOI = 0xb0,
    VAPIC_LDR = 0xd0,
    VAPIC_DFR = 0xe0,
    VAPIC_SVR = 0xf0,
    VAPIC_ISR = 0x100,
    VAPIC_TMR = 0x180,
    VAPIC_IRR = 0x200,
    VAPIC_ESR = 0x280,
    VAPIC_CMCI = 0x2f0,
    VAPIC_ICR = 0x300,
    VAPIC_ICR2 = 0x310,
    VAPIC_LVT = 0x320,
    VAPIC_INITIAL = 0x380,
    VAPIC_CURRENT = 0x390,
    VAPIC_DIVIDE = 0x3e0,
    VAPIC_SELF_IPI = 0x3f0,
};

/* Reserved bits, delivery status, shorthand, trigger and delivery mode: 0 in the IPIs that are virtualized. */
#define ICR_NOT_PLAIN 0xffffb700u
#define ICR_LOGICAL 0x800u

u32 vmx_vapic_read(struct cpu *cpu, u32 offset)
{
    return (u32)phys_read_scalar(cpu->phys, SPA(cpu->arch.vmx.c.virtual_apic + offset), 4);
}

void vmx_vapic_write(struct cpu *cpu, u32 offset, u32 value)
{
    phys_write_scalar(cpu->phys, SPA(cpu->arch.vmx.c.virtual_apic + offset), value, 4);
}

static u32 bit_register(u32 base, u8 vector)
{
    return base + (vector / 32u) * 16u;
}

static void set_bit(struct cpu *cpu, u32 base, u8 vector)
{
    u32 at = bit_register(base, vector);
    vmx_vapic_write(cpu, at, vmx_vapic_read(cpu, at) | BIT32(vector & 31));
}

static void clear_bit(struct cpu *cpu, u32 base, u8 vector)
{
    u32 at = bit_register(base, vector);
    vmx_vapic_write(cpu, at, vmx_vapic_read(cpu, at) & ~BIT32(vector & 31));
}

static u8 highest_bit(struct cpu *cpu, u32 base)
{
    for (unsigned i = 8; i-- > 0;) {
        u32 v = vmx_vapic_read(cpu, base + 16 * i);
        if (v != 0) {
            return (u8)(i * 32 + 31 - (unsigned)__builtin_clz(v));
        }
    }
    return 0;
}

/* ---- Priorities and delivery ---- */

/* [SDM3 "PPR Virtualization"] */
void vmx_ppr_update(struct cpu *cpu)
{
    u32 tpr = vmx_vapic_read(cpu, VAPIC_TPR) & 0xff, svi = cpu->arch.vmx.svi;
    vmx_vapic_write(cpu, VAPIC_PPR, (tpr & 0xf0) >= (svi & 0xf0) ? tpr : svi & 0xf0);
}

static bool interrupt_recognised(struct cpu *cpu)
{
    u32 ppr = vmx_vapic_read(cpu, VAPIC_PPR);
    return (cpu->arch.vmx.rvi & 0xf0u) > (ppr & 0xf0);
}

void vmx_evaluate_interrupts(struct cpu *cpu)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    if ((c->proc2 & PROC2_VIRT_INT_DELIVERY) != 0) {
        vmx_ppr_update(cpu);
        cpu_kick(cpu);
    } else if ((c->proc & PROC_TPR_SHADOW) != 0 && (c->proc2 & PROC2_APIC_ACCESSES) != 0) {
        vmx_tpr_changed(cpu);
    }
}

/* [SDM3 "Virtual-Interrupt Delivery"]: at a boundary where interrupts are open. */
bool vmx_virtual_interrupt(struct cpu *cpu)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    if (!interrupt_recognised(cpu)) {
        return false;
    }
    u8 vector = v->rvi;
    set_bit(cpu, VAPIC_ISR, vector);
    v->svi = vector;
    vmx_vapic_write(cpu, VAPIC_PPR, vector & 0xf0u);
    clear_bit(cpu, VAPIC_IRR, vector);
    v->rvi = highest_bit(cpu, VAPIC_IRR);
    cpu->arch.activity = ACTIVITY_RUNNING;
    cpu->event = (struct event){.kind = EVENT_EXT_INT, .vector = vector, .why = "virtual interrupt"};
    cpu_deliver_event(cpu);
    return true;
}

/* [SDM3 "TPR Virtualization"] */
void vmx_tpr_changed(struct cpu *cpu)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    if ((v->c.proc2 & PROC2_VIRT_INT_DELIVERY) != 0) {
        vmx_ppr_update(cpu);
        cpu_kick(cpu);
        return;
    }
    u32 class = (vmx_vapic_read(cpu, VAPIC_TPR) & 0xff) >> 4;
    if (class < (v->c.tpr_threshold & 0xf)) {
        v->tpr_below = true;
        cpu_kick(cpu);
    }
}

/* [SDM3 "EOI Virtualization"] */
void vmx_eoi(struct cpu *cpu)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    u8 vector = v->svi;
    clear_bit(cpu, VAPIC_ISR, vector);
    v->svi = highest_bit(cpu, VAPIC_ISR);
    vmx_ppr_update(cpu);
    u64 map = vmcs_read(cpu, VMCS_EOI_EXIT_BITMAP_0 + 2u * (vector / 64u));
    if (((map >> (vector & 63)) & 1) != 0) {
        v->eoi_exit = true;
        v->eoi_vector = vector;
    }
    cpu_kick(cpu);
}

/* [SDM3 "Self-IPI Virtualization"] */
void vmx_self_ipi(struct cpu *cpu, u8 vector)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    set_bit(cpu, VAPIC_IRR, vector);
    v->rvi = vector > v->rvi ? vector : v->rvi;
    cpu_kick(cpu);
}

/* ---- Posted interrupts ---- */

/* [SDM3 "Posted-Interrupt Processing"]: true when the interrupt was the notification. */
bool vmx_posted_notification(struct cpu *cpu, u8 vector)
{
    struct vmx_arch *v = &cpu->arch.vmx;
    if ((v->c.pin & PIN_POSTED_INT) == 0 ||
        vector != (u8)vmcs_read(cpu, VMCS_POSTED_INTR_VECTOR)) {
        return false;
    }
    u64 desc = vmcs_read(cpu, VMCS_POSTED_INTR_DESC_ADDRESS);
    u64 on = phys_read_scalar(cpu->phys, SPA(desc + 32), 8);
    phys_write_scalar(cpu->phys, SPA(desc + 32), on & ~(u64)1, 8);
    apic_mmio_write(cpu->apic, VAPIC_EOI, 0, 4);
    u32 top = 0;
    for (u32 i = 0; i < 8; i++) {
        u32 pir = (u32)phys_read_scalar(cpu->phys, SPA(desc + 4 * i), 4);
        if (pir != 0) {
            phys_write_scalar(cpu->phys, SPA(desc + 4 * i), 0, 4);
            vmx_vapic_write(cpu, VAPIC_IRR + 16 * i, vmx_vapic_read(cpu, VAPIC_IRR + 16 * i) | pir);
            top = i * 32 + 31 - (unsigned)__builtin_clz(pir);
        }
    }
    v->rvi = (u8)top > v->rvi ? (u8)top : v->rvi;
    cpu->d.left -= 1;
    cpu_kick(cpu);
    return true;
}

/* ---- IPI virtualization ---- */

/* [SDM3 "IPI Virtualization"]: true when the IPI was posted. */
static bool virtual_ipi(struct cpu *cpu, u8 vector, u32 target)
{
    if (target > vmcs_read(cpu, VMCS_LAST_PID_INDEX)) {
        return false;
    }
    u64 table = vmcs_read(cpu, VMCS_PID_POINTER_TABLE);
    u64 pid = phys_read_scalar(cpu->phys, SPA(table + 8 * (u64)target), 8);
    if ((pid & 1) == 0 || (pid & 0x3e) != 0 || (pid & cpu_phys_reserved(cpu)) != 0) {
        return false;
    }
    pid &= ~(u64)63;
    u64 word = pid + 4u * (vector / 32u);
    u64 pir = phys_read_scalar(cpu->phys, SPA(word), 4);
    phys_write_scalar(cpu->phys, SPA(word), pir | BIT32(vector & 31), 4);
    u64 control = phys_read_scalar(cpu->phys, SPA(pid + 32), 8);
    if ((control & 3) == 0) { /* neither outstanding nor suppressed */
        phys_write_scalar(cpu->phys, SPA(pid + 32), control | 1, 8);
        u32 dest = (u32)(control >> 32);
        bool x2 = (cpu->arch.apic_base & APIC_BASE_X2APIC) != 0;
        u64 address = 0xfee00000u | (u64)(x2 ? dest & 0xff : (dest >> 8) & 0xff) << 12;
        apic_bus_msi(cpu->set, address, (u32)(control >> 16) & 0xff);
    }
    return true;
}

/* ---- The APIC-access page ---- */

u64 vmx_apic_page(const struct cpu *cpu)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    return (c->proc2 & PROC2_APIC_ACCESSES) != 0 ? c->apic_access | 1 : 0;
}

bool vmx_is_apic_page(const struct cpu *cpu, spa_t spa)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    return (c->proc2 & PROC2_APIC_ACCESSES) != 0 && (spa.v & ~PAGE_MASK) == c->apic_access;
}

static bool register_exists(u32 at)
{
    switch (at) {
    case VAPIC_ID: case VAPIC_VERSION: case VAPIC_TPR: case VAPIC_EOI: case VAPIC_LDR: case VAPIC_DFR:
    case VAPIC_SVR: case VAPIC_ESR: case VAPIC_ICR: case VAPIC_ICR2: case VAPIC_INITIAL: case VAPIC_DIVIDE:
        return true;
    default:
        return (at >= VAPIC_ISR && at < VAPIC_ESR) || (at >= VAPIC_LVT && at < VAPIC_INITIAL);
    }
}

/* [SDM3 "Virtualizing Reads from the APIC-Access Page"] */
static bool read_is_virtual(const struct vmx_controls *c, u32 offset, unsigned size)
{
    u32 at = offset & 0xff0;
    if ((c->proc & PROC_TPR_SHADOW) == 0 || (offset & 15) + size > 4) {
        return false;
    }
    if ((c->proc2 & PROC2_APIC_REGISTER) == 0) {
        return at == VAPIC_TPR;
    }
    return register_exists(at);
}

/* [SDM3 "Virtualizing Writes to the APIC-Access Page"] */
static bool write_is_virtual(const struct vmx_controls *c, u32 offset, unsigned size)
{
    u32 at = offset & 0xff0;
    if ((c->proc & PROC_TPR_SHADOW) == 0 || (offset & 15) + size > 4) {
        return false;
    }
    if (at == VAPIC_TPR) {
        return true;
    }
    if ((c->proc2 & PROC2_APIC_REGISTER) == 0) {
        bool delivery = (c->proc2 & PROC2_VIRT_INT_DELIVERY) != 0;
        bool ipi = (c->proc3 & PROC3_IPI_VIRT) != 0;
        return (at == VAPIC_EOI && delivery) || (at == VAPIC_ICR && (delivery || ipi));
    }
    switch (at) {
    case VAPIC_VERSION:
        return false;
    default:
        return register_exists(at) && !(at >= VAPIC_ISR && at < VAPIC_ESR);
    }
}

static void apic_write_exit(struct cpu *cpu, u32 at)
{
    cpu->arch.vmx.apic_write = true;
    cpu->arch.vmx.apic_offset = (u16)at;
    cpu_kick(cpu);
}

/* [SDM3 "APIC-Write Emulation"] */
static void emulate_write(struct cpu *cpu, u32 at)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    bool delivery = (c->proc2 & PROC2_VIRT_INT_DELIVERY) != 0;
    u32 icr;
    switch (at) {
    case VAPIC_TPR:
        vmx_vapic_write(cpu, VAPIC_TPR, vmx_vapic_read(cpu, VAPIC_TPR) & 0xff);
        vmx_tpr_changed(cpu);
        return;
    case VAPIC_EOI:
        if (delivery) {
            vmx_vapic_write(cpu, VAPIC_EOI, 0);
            vmx_eoi(cpu);
            return;
        }
        break;
    case VAPIC_ICR:
        icr = vmx_vapic_read(cpu, VAPIC_ICR);
        /* Fixed, edge, shorthand self; the level bit and the destination mode do not matter. */
        if ((icr & ICR_NOT_PLAIN) == 0x40000 && delivery && (icr & 0xf0) != 0) {
            vmx_self_ipi(cpu, (u8)icr);
            return;
        }
        if ((c->proc3 & PROC3_IPI_VIRT) != 0 && (icr & (ICR_NOT_PLAIN | ICR_LOGICAL)) == 0 && (icr & 0xf0) != 0 &&
            virtual_ipi(cpu, (u8)icr, vmx_vapic_read(cpu, VAPIC_ICR2) >> 24)) {
            return;
        }
        break;
    case VAPIC_ICR2:
        vmx_vapic_write(cpu, VAPIC_ICR2, vmx_vapic_read(cpu, VAPIC_ICR2) & 0xff000000u);
        return;
    default:
        break;
    }
    apic_write_exit(cpu, at);
}

static cpu_rc access_exit(struct cpu *cpu, spa_t spa, u64 lin, unsigned access)
{
    const struct vmx_arch *v = &cpu->arch.vmx;
    u64 type = v->delivering                      ? 3
               : (access & ACCESS_EXEC) != 0  ? 2
               : (access & ACCESS_WRITE) != 0 ? 1
                                              : 0;
    cpu_rc rc = vmx_exit_because(cpu, EXIT_APIC_ACCESS, (spa.v & PAGE_MASK) | type << 12,
                                 "access to the APIC-access page");
    cpu->exit.linear = lin;
    return rc;
}

cpu_rc vmx_apic_access(struct cpu *cpu, spa_t spa, u64 lin, unsigned access, u64 *value, unsigned size,
                       bool *done)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    u32 offset = (u32)(spa.v & PAGE_MASK);
    bool write = (access & ACCESS_WRITE) != 0;
    if ((access & ACCESS_EXEC) != 0 || cpu->arch.vmx.delivering) {
        return access_exit(cpu, spa, lin, access);
    }
    if (!write || (access & ACCESS_READ) != 0) {
        if (!read_is_virtual(c, offset, size) || (write && !write_is_virtual(c, offset, size))) {
            return access_exit(cpu, spa, lin, access);
        }
        *value = phys_read_scalar(cpu->phys, SPA(c->virtual_apic + offset), size);
        *done = true;
        return CPU_OK;
    }
    if (!write_is_virtual(c, offset, size)) {
        return access_exit(cpu, spa, lin, access);
    }
    phys_write_scalar(cpu->phys, SPA(c->virtual_apic + offset), *value, size);
    emulate_write(cpu, offset & 0xff0);
    *done = true;
    return CPU_OK;
}

/* ---- x2APIC mode ---- */

/* [SDM3 "Virtualizing MSR-Based APIC Accesses"] */
cpu_rc vmx_x2apic(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done)
{
    const struct vmx_controls *c = &cpu->arch.vmx.c;
    u32 at = (index & 0xff) << 4;
    if (!write) {
        if ((c->proc2 & PROC2_APIC_REGISTER) == 0 && at != VAPIC_TPR) {
            return CPU_OK;
        }
        *value = phys_read_scalar(cpu->phys, SPA(c->virtual_apic + at), 8);
        *done = true;
        return CPU_OK;
    }
    bool delivery = (c->proc2 & PROC2_VIRT_INT_DELIVERY) != 0;
    bool ipi = (c->proc3 & PROC3_IPI_VIRT) != 0;
    bool mine = at == VAPIC_TPR || (delivery && (at == VAPIC_EOI || at == VAPIC_SELF_IPI)) ||
                (ipi && at == VAPIC_ICR);
    if (!mine) {
        return CPU_OK;
    }
    u64 v = *value;
    bool bad = (at == VAPIC_EOI && v != 0) || (at == VAPIC_ICR && (v & 0xfff33000u) != 0) ||
               ((at == VAPIC_TPR || at == VAPIC_SELF_IPI) && v >> 8 != 0);
    if (bad) {
        return raise_gp(cpu, 0, "reserved bits of a virtual x2APIC register");
    }
    *done = true;
    phys_write_scalar(cpu->phys, SPA(c->virtual_apic + at), v, 8);
    switch (at) {
    case VAPIC_TPR:
        vmx_tpr_changed(cpu);
        break;
    case VAPIC_EOI:
        vmx_eoi(cpu);
        break;
    case VAPIC_SELF_IPI:
        if ((v & 0xf0) != 0) {
            vmx_self_ipi(cpu, (u8)v);
        } else {
            apic_write_exit(cpu, at);
        }
        break;
    default:
        if ((v & (ICR_NOT_PLAIN | ICR_LOGICAL)) != 0 || (v & 0xf0) == 0 || !virtual_ipi(cpu, (u8)v, (u32)(v >> 32))) {
            apic_write_exit(cpu, at);
        }
        break;
    }
    return CPU_OK;
}
