/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AVIC: the guest's local APIC lives in a page of memory. [APM2 "Advanced Virtual Interrupt Controller"]
 *
 * Accesses to the APIC's page at V_APIC_BAR (and in x2AVIC mode the x2APIC MSRs) reach the backing page; TPR, EOI,
 * self-IPIs and ICR have their effect at once, other writes end in #VMEXIT: before the instruction (fault) or after
 * it (trap). IPIs go through the tables of physical and logical IDs and ring the doorbell of a running target.
 *
 * Chosen: PPR is computed, and stored when it is looked at; an IPI to several targets is delivered to all before
 * #VMEXIT reports the first that did not run. A hypervisor that maps the backing page into its guest at another address
 * too gets the same virtual APIC there. Left out: the extended register space (faults), and posted interrupts,
 * which only an IOMMU of AMD's sends. */
#include "cpu/svm/svm_priv.h"

enum {
    AVIC_ID = 0x20,
    AVIC_VERSION = 0x30,
    AVIC_TPR = 0x80,
    AVIC_PPR = 0xa0,
    AVIC_EOI = 0xb0,
    AVIC_RRR = 0xc0,
    AVIC_LDR = 0xd0,
    AVIC_DFR = 0xe0,
    AVIC_SVR = 0xf0,
    AVIC_ISR = 0x100,
    AVIC_TMR = 0x180,
    AVIC_IRR = 0x200,
    AVIC_ESR = 0x280,
    AVIC_ICR = 0x300,
    AVIC_ICR2 = 0x310,
    AVIC_LVT_FIRST = 0x320,
    AVIC_LVT_LAST = 0x370,
    AVIC_TIMER_INITIAL = 0x380,
    AVIC_TIMER_CURRENT = 0x390,
    AVIC_TIMER_DIVIDE = 0x3e0,
    AVIC_SELF_IPI = 0x3f0,
};

/* EXITINFO2 of AVIC_INCOMPLETE_IPI, bits 63:32 */
enum incomplete {
    IPI_INVALID_TYPE = 0,
    IPI_NOT_RUNNING = 1,
    IPI_INVALID_TARGET = 2,
    IPI_INVALID_PAGE = 3,
    IPI_INVALID_VECTOR = 4,
};

#define ENTRY_VALID BIT(63)
#define ENTRY_RUNNING BIT(62)
#define ENTRY_PAGE 0x000ffffffffff000ull
#define ENTRY_HOST_ID 0xfffull
#define LOGICAL_VALID BIT32(31)

#define ICR_LOGICAL 0x800u
#define ICR_LEVEL 0x8000u

static u64 backing(const struct cpu *cpu)
{
    return cpu->arch.svm.ctl.avic_backing_page & ENTRY_PAGE;
}

bool svm_avic_on(const struct cpu *cpu)
{
    return cpu->arch.guest == GUEST_SVM && (cpu->arch.svm.ctl.int_ctl & V_AVIC_ENABLE) != 0;
}

static bool x2avic_on(const struct cpu *cpu)
{
    return (cpu->arch.svm.ctl.int_ctl & V_X2AVIC_ENABLE) != 0;
}

static u32 reg_read(const struct cpu *cpu, u64 page, u32 offset)
{
    return (u32)phys_read_scalar(cpu->phys, SPA(page + offset), 4);
}

static void reg_write(const struct cpu *cpu, u64 page, u32 offset, u32 value)
{
    phys_write_scalar(cpu->phys, SPA(page + offset), value, 4);
}

static u32 register_of(u32 base, u8 vector)
{
    return base + (vector / 32u) * 16u;
}

static void vector_set(const struct cpu *cpu, u64 page, u32 base, u8 vector)
{
    u32 at = register_of(base, vector);
    reg_write(cpu, page, at, reg_read(cpu, page, at) | BIT32(vector & 31));
}

static void vector_clear(const struct cpu *cpu, u64 page, u32 base, u8 vector)
{
    u32 at = register_of(base, vector);
    reg_write(cpu, page, at, reg_read(cpu, page, at) & ~BIT32(vector & 31));
}

/* -1: none */
static int highest(const struct cpu *cpu, u32 base)
{
    for (unsigned i = 8; i-- > 0;) {
        u32 v = reg_read(cpu, backing(cpu), base + 16 * i);
        if (v != 0) {
            return (int)(i * 32 + 31 - (unsigned)__builtin_clz(v));
        }
    }
    return -1;
}

/* ---- Priorities and delivery ---- */

static u32 processor_priority(const struct cpu *cpu)
{
    u32 tpr = reg_read(cpu, backing(cpu), AVIC_TPR) & 0xff;
    int isr = highest(cpu, AVIC_ISR);
    u32 service = isr < 0 ? 0 : (u32)isr & 0xf0;
    return (tpr & 0xf0) >= service ? tpr : service;
}

int svm_avic_pending(const struct cpu *cpu)
{
    int vector = highest(cpu, AVIC_IRR);
    return vector >= 0 && ((u32)vector & 0xf0) > (processor_priority(cpu) & 0xf0) ? vector : -1;
}

void svm_avic_ack(struct cpu *cpu, u8 vector)
{
    vector_clear(cpu, backing(cpu), AVIC_IRR, vector);
    vector_set(cpu, backing(cpu), AVIC_ISR, vector);
    reg_write(cpu, backing(cpu), AVIC_PPR, processor_priority(cpu));
}

u64 svm_avic_get_tpr(const struct cpu *cpu)
{
    return reg_read(cpu, backing(cpu), AVIC_TPR) & 0xff;
}

void svm_avic_set_tpr(struct cpu *cpu, u64 tpr)
{
    struct svm_arch *s = &cpu->arch.svm;
    reg_write(cpu, backing(cpu), AVIC_TPR, (u32)tpr & 0xff);
    s->ctl.int_ctl = (s->ctl.int_ctl & ~(u64)V_TPR) | ((tpr >> 4) & 0xf);
    cpu_kick(cpu);
}

/* ---- #VMEXIT ---- */

static void trap(struct cpu *cpu, u64 code, u64 info1, u64 info2)
{
    struct svm_arch *s = &cpu->arch.svm;
    s->trap_code = code;
    s->trap_info1 = info1;
    s->trap_info2 = info2;
    cpu_kick(cpu);
}

bool svm_before_traps(struct cpu *cpu)
{
    struct svm_arch *s = &cpu->arch.svm;
    if (s->trap_code == 0) {
        return false;
    }
    cpu->exit = (struct vm_exit){.reason = s->trap_code,
                                 .qualification = s->trap_info1,
                                 .info2 = s->trap_info2,
                                 .why = s->trap_code == SVM_EXIT_AVIC_NOACCEL
                                            ? "AVIC: a register whose write is not accelerated was written"
                                            : "AVIC: the IPI needs the hypervisor"};
    s->trap_code = 0;
    cpu->d.left -= 1;
    svm_exit(cpu);
    return true;
}

static u64 noaccel_info(u32 offset, bool write)
{
    return (offset & 0xff0u) | (write ? BIT(32) : 0);
}

static cpu_rc fault(struct cpu *cpu, u32 offset, bool write)
{
    return svm_raise_exit(cpu, SVM_EXIT_AVIC_NOACCEL, noaccel_info(offset, write), 0, 0,
                          "AVIC: an access that is not accelerated");
}

/* ---- IPIs ---- */

static void incomplete(struct cpu *cpu, u64 icr, enum incomplete id, u32 index)
{
    trap(cpu, SVM_EXIT_AVIC_INCOMPLETE_IPI, icr, (u64)id << 32 | index);
}

static void ring(struct cpu *cpu, u32 host_id)
{
    for (unsigned i = 0; i < cpu->set->count; i++) {
        if (cpu->set->cpu[i]->index == host_id) {
            cpu_kick(cpu->set->cpu[i]);
        }
    }
}

/* One target by its number in the table of physical IDs. False: #VMEXIT is on its way. */
static bool send_physical(struct cpu *cpu, u64 icr, u32 index)
{
    const struct vmcb_control *c = &cpu->arch.svm.ctl;
    u64 max = c->avic_physical_table & (x2avic_on(cpu) ? 0x1ff : 0xff);
    if (index > max) {
        incomplete(cpu, icr, IPI_INVALID_TARGET, index);
        return false;
    }
    u64 entry = phys_read_scalar(cpu->phys, SPA((c->avic_physical_table & ENTRY_PAGE) + 8ull * index), 8);
    if ((entry & ENTRY_VALID) == 0) {
        incomplete(cpu, icr, IPI_INVALID_TARGET, index);
        return false;
    }
    if ((entry & ENTRY_PAGE & cpu_phys_reserved(cpu)) != 0) {
        incomplete(cpu, icr, IPI_INVALID_PAGE, index);
        return false;
    }
    vector_clear(cpu, entry & ENTRY_PAGE, AVIC_TMR, (u8)icr);
    vector_set(cpu, entry & ENTRY_PAGE, AVIC_IRR, (u8)icr);
    if ((entry & ENTRY_RUNNING) != 0) {
        ring(cpu, (u32)(entry & ENTRY_HOST_ID));
        return true;
    }
    if (cpu->arch.svm.trap_code == 0) {
        incomplete(cpu, icr, IPI_NOT_RUNNING, index);
    }
    return true;
}

static void send_all(struct cpu *cpu, u64 icr, bool self)
{
    const struct vmcb_control *c = &cpu->arch.svm.ctl;
    u64 max = c->avic_physical_table & (x2avic_on(cpu) ? 0x1ff : 0xff);
    for (u32 i = 0; i <= max; i++) {
        u64 entry = phys_read_scalar(cpu->phys, SPA((c->avic_physical_table & ENTRY_PAGE) + 8ull * i), 8);
        bool own = (entry & ENTRY_PAGE) == backing(cpu);
        if ((entry & ENTRY_VALID) != 0 && (self || !own) && !send_physical(cpu, icr, i)) {
            return;
        }
    }
}

/* A logical ID of xAPIC mode: the table's entries are by bit of a flat ID, or by cluster and bit. */
static void send_logical(struct cpu *cpu, u64 icr, u32 dest)
{
    u64 table = cpu->arch.svm.ctl.avic_logical_table & ENTRY_PAGE;
    bool flat = reg_read(cpu, backing(cpu), AVIC_DFR) >> 28 == 0xf;
    u32 first = flat ? 0 : (dest >> 4) * 4;
    u32 bits = flat ? dest & 0xff : dest & 0xf;
    for (; bits != 0; bits &= bits - 1) {
        u32 index = first + (u32)__builtin_ctz(bits);
        u32 entry = (u32)phys_read_scalar(cpu->phys, SPA(table + 4ull * index), 4);
        if ((entry & LOGICAL_VALID) == 0) {
            incomplete(cpu, icr, IPI_INVALID_TARGET, index);
            return;
        }
        if (!send_physical(cpu, icr, entry & 0xff)) {
            return;
        }
    }
}

static void send_cluster(struct cpu *cpu, u64 icr, u32 dest)
{
    for (u32 bits = dest & 0xffff; bits != 0; bits &= bits - 1) {
        if (!send_physical(cpu, icr, (dest >> 16) * 16 + (u32)__builtin_ctz(bits))) {
            return;
        }
    }
}

static void self_ipi(struct cpu *cpu, u8 vector)
{
    vector_clear(cpu, backing(cpu), AVIC_TMR, vector);
    vector_set(cpu, backing(cpu), AVIC_IRR, vector);
    cpu_kick(cpu);
}

static void send_ipi(struct cpu *cpu, u64 icr)
{
    u32 low = (u32)icr;
    u32 dest = x2avic_on(cpu) ? (u32)(icr >> 32) : (u32)(icr >> 56);
    if ((low & (0x700 | ICR_LEVEL)) != 0) {
        incomplete(cpu, icr, IPI_INVALID_TYPE, 0);
        return;
    }
    if ((low & 0xff) < 16) {
        incomplete(cpu, icr, IPI_INVALID_VECTOR, 0);
        return;
    }
    switch ((low >> 18) & 3) {
    case 1: self_ipi(cpu, (u8)low); return;
    case 2: send_all(cpu, icr, true); return;
    case 3: send_all(cpu, icr, false); return;
    default: break;
    }
    if (dest == (x2avic_on(cpu) ? 0xffffffffu : 0xffu) && (low & ICR_LOGICAL) == 0) {
        send_all(cpu, icr, true);
    } else if ((low & ICR_LOGICAL) == 0) {
        (void)send_physical(cpu, icr, dest);
    } else if (x2avic_on(cpu)) {
        send_cluster(cpu, icr, dest);
    } else {
        send_logical(cpu, icr, dest);
    }
}

/* ---- Registers ---- */

static bool write_traps(u32 offset)
{
    switch (offset) {
    case AVIC_ID:
    case AVIC_RRR:
    case AVIC_LDR:
    case AVIC_DFR:
    case AVIC_SVR:
    case AVIC_ESR:
    case AVIC_TIMER_INITIAL:
    case AVIC_TIMER_DIVIDE: return true;
    default: return offset >= AVIC_LVT_FIRST && offset <= AVIC_LVT_LAST;
    }
}

/* Does a write of four bytes end in a fault, not after the instruction? */
static bool write_faults(const struct cpu *cpu, u32 offset)
{
    switch (offset) {
    case AVIC_TPR:
    case AVIC_EOI:
    case AVIC_ICR: return false;
    case AVIC_ICR2: return x2avic_on(cpu);
    case AVIC_SELF_IPI: return !x2avic_on(cpu);
    default: return !write_traps(offset);
    }
}

static bool is_readable(u32 offset)
{
    return offset != AVIC_TIMER_CURRENT && offset >= AVIC_ID && offset < 0x400;
}

static void write_eoi(struct cpu *cpu)
{
    int vector = highest(cpu, AVIC_ISR);
    if (vector < 0) {
        return;
    }
    u32 tmr = reg_read(cpu, backing(cpu), register_of(AVIC_TMR, (u8)vector));
    if (((tmr >> (vector & 31)) & 1) != 0) {
        trap(cpu, SVM_EXIT_AVIC_NOACCEL, noaccel_info(AVIC_EOI, true), (u64)vector);
        return;
    }
    vector_clear(cpu, backing(cpu), AVIC_ISR, (u8)vector);
    reg_write(cpu, backing(cpu), AVIC_PPR, processor_priority(cpu));
    cpu_kick(cpu);
}

static cpu_rc write_register(struct cpu *cpu, u32 offset, u64 value)
{
    u64 page = backing(cpu);
    bool x2 = x2avic_on(cpu);
    if (write_faults(cpu, offset)) {
        return fault(cpu, offset, true);
    }
    switch (offset) {
    case AVIC_TPR: svm_avic_set_tpr(cpu, value); return CPU_OK;
    case AVIC_EOI: write_eoi(cpu); return CPU_OK;
    case AVIC_ICR:
        reg_write(cpu, page, AVIC_ICR, (u32)value & ~(x2 ? 0u : 0x1000u));
        if (x2) {
            reg_write(cpu, page, AVIC_ICR + 4, (u32)(value >> 32));
            send_ipi(cpu, value);
        } else {
            send_ipi(cpu, (u64)reg_read(cpu, page, AVIC_ICR2) << 32 | (u32)value);
        }
        return CPU_OK;
    case AVIC_ICR2: reg_write(cpu, page, offset, (u32)value); return CPU_OK;
    case AVIC_SELF_IPI:
        if ((value & 0xff) < 16) {
            incomplete(cpu, value, IPI_INVALID_VECTOR, 0);
        } else {
            self_ipi(cpu, (u8)value);
        }
        return CPU_OK;
    default:
        reg_write(cpu, page, offset, (u32)value);
        trap(cpu, SVM_EXIT_AVIC_NOACCEL, noaccel_info(offset, true), 0);
        return CPU_OK;
    }
}

static cpu_rc read_register(struct cpu *cpu, u32 offset, u64 *value)
{
    u64 page = backing(cpu);
    if (!is_readable(offset)) {
        return fault(cpu, offset, false);
    }
    if (offset == AVIC_PPR) {
        reg_write(cpu, page, AVIC_PPR, processor_priority(cpu));
    }
    *value = reg_read(cpu, page, offset);
    if (offset == AVIC_ICR && x2avic_on(cpu)) {
        *value |= (u64)reg_read(cpu, page, AVIC_ICR + 4) << 32;
    }
    return CPU_OK;
}

/* ---- Where the guest finds it ---- */

void svm_place_apic(const struct cpu *cpu, struct walk_result *res)
{
    u64 bar = cpu->arch.svm.ctl.avic_apic_bar & ENTRY_PAGE;
    if (svm_avic_on(cpu) && !x2avic_on(cpu) && (res->gpa.v & ~PAGE_MASK) == bar) {
        res->spa = SPA(backing(cpu) | (res->gpa.v & PAGE_MASK));
    }
}

u64 svm_apic_page(const struct cpu *cpu, u64 *bar)
{
    *bar = cpu->arch.svm.ctl.avic_apic_bar & ENTRY_PAGE;
    return svm_avic_on(cpu) && !x2avic_on(cpu) ? backing(cpu) | 1 : 0;
}

bool svm_is_apic_page(const struct cpu *cpu, spa_t spa)
{
    return svm_avic_on(cpu) && !x2avic_on(cpu) && (spa.v & ~PAGE_MASK) == backing(cpu);
}

cpu_rc svm_apic_access(struct cpu *cpu, spa_t spa, u64 lin, unsigned access, u64 *value, unsigned size, bool *done)
{
    UNUSED(lin);
    u32 offset = (u32)(spa.v & PAGE_MASK);
    *done = true;
    bool write = (access & ACCESS_WRITE) != 0, both = write && (access & ACCESS_READ) != 0;
    /* Only the first four bytes of sixteen are a register's, and no code is fetched there. */
    if ((offset & 0xf) + size > 4 || (access & ACCESS_EXEC) != 0) {
        return fault(cpu, offset, write);
    }
    if (both && (size != 4 || write_faults(cpu, offset & 0xff0u))) {
        return fault(cpu, offset, true);
    }
    if (!write || both) {
        u64 v = 0;
        cpu_rc rc = read_register(cpu, offset & 0xff0u, &v);
        *value = v >> (offset & 3) * 8;
        return rc;
    }
    if (size != 4) {
        return fault(cpu, offset, true);
    }
    return write_register(cpu, offset, *value);
}

/* [APM2 "x2AVIC"]: MSRs 800h to 8FFh that the permission map lets through. */
cpu_rc svm_avic_msr(struct cpu *cpu, u32 index, bool write, u64 *value, bool *done)
{
    if (!svm_avic_on(cpu) || !x2avic_on(cpu) || index < 0x800 || index > 0x8ff) {
        return CPU_OK;
    }
    u32 offset = (index - 0x800) << 4;
    *done = true;
    return write ? write_register(cpu, offset, *value) : read_register(cpu, offset, value);
}
