/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hv/vcpu/lapic.h"

#include "abi/x86/msr.h"
#include "abi/x86/registers.h"
#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/core/insn.h"
#include "hv/core/string.h"
#include "hv/decode/mmio.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/vp.h"
#include "hv/vcpu/walk.h"

/* Indexes of x2APIC registers: MSR - 800. */
enum {
    X2_ID = 0x02,
    X2_VERSION = 0x03,
    X2_TPR = 0x08,
    X2_PPR = 0x0a,
    X2_EOI = 0x0b,
    X2_LDR = 0x0d,
    X_DFR = 0x0e, /* xAPIC mode only */
    X2_SPURIOUS = 0x0f,
    X2_ISR = 0x10,
    X2_TMR = 0x18,
    X2_IRR = 0x20,
    X2_ESR = 0x28,
    X2_LVT_CMCI = 0x2f,
    X2_ICR = 0x30,
    X_ICR_HIGH = 0x31, /* xAPIC mode only */
    X2_LVT_TIMER = 0x32,
    X2_LVT_THERMAL = 0x33,
    X2_LVT_PERF = 0x34,
    X2_LVT_LINT0 = 0x35,
    X2_LVT_LINT1 = 0x36,
    X2_LVT_ERROR = 0x37,
    X2_TIMER_INITIAL = 0x38,
    X2_TIMER_CURRENT = 0x39,
    X2_DIVIDE = 0x3e,
    X2_SELF_IPI = 0x3f,
};

#define VERSION 0x00050014u
#define LVT_MASKED 0x10000u
#define LVT_PERIODIC 0x20000u
#define SPURIOUS_ENABLE 0x100u
#define ICR_LOGICAL 0x800u
#define ESR_SEND_VECTOR 0x20u
#define ESR_RECEIVE_VECTOR 0x40u
#define ICR_SHORTHAND_SHIFT 18

void lapic_reset(struct vp *vp)
{
    struct lapic *l = &vp->lapic;
    memset(l, 0, sizeof *l);
    l->spurious = 0xff;
    l->lvt_timer = l->lvt_lint0 = l->lvt_lint1 = l->lvt_error = l->lvt_perf = l->lvt_thermal = LVT_MASKED;
}

static bool is_xapic(const struct vp *vp) { return vp->apic_mode == APIC_BASE_ENABLE; }

u64 lapic_base(const struct vp *vp)
{
    return APIC_BASE_DEFAULT | vp->apic_mode | (vp->index == 0 ? APIC_BASE_BSP : 0);
}

/* [SDM3 "x2APIC State Transitions"]: off, xAPIC, x2APIC, off; being off resets it. */
bool lapic_write_base(struct vp *vp, u64 value)
{
    const u64 both = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    u64 mode = value & both;
    if ((value & ~(both | APIC_BASE_BSP)) != APIC_BASE_DEFAULT || mode == APIC_BASE_X2APIC ||
        (mode == APIC_BASE_ENABLE && vp->apic_mode == both) || (mode == both && vp->apic_mode == 0)) {
        return false;
    }
    if (mode == 0) {
        lapic_reset(vp);
    }
    vp->apic_mode = mode;
    return true;
}

static int highest(const u32 *set)
{
    for (int i = 7; i >= 0; i--) {
        if (set[i] != 0) {
            return i * 32 + 31 - __builtin_clz(set[i]);
        }
    }
    return -1;
}

static u32 processor_priority(const struct lapic *l)
{
    int in_service = highest(l->isr);
    u32 isr_class = in_service < 0 ? 0 : (u32)in_service & 0xf0;
    return isr_class > (l->tpr & 0xf0) ? isr_class : l->tpr;
}

int lapic_pending(const struct vp *vp)
{
    const struct lapic *l = &vp->lapic;
    int vector = highest(l->irr);
    return vector >= 0 && ((u32)vector & 0xf0) > (processor_priority(l) & 0xf0) ? vector : -1;
}

bool lapic_is_enabled(const struct vp *vp) { return vp->apic_mode != 0 && (vp->lapic.spurious & SPURIOUS_ENABLE) != 0; }

/* Each kind makes one interrupt until software has read it. [SDM3 "Error Handling"] */
static void note_error(struct vp *vp, u32 error)
{
    struct lapic *l = &vp->lapic;
    bool fresh = (l->errors & error) == 0;
    l->errors |= error;
    if (fresh && (l->lvt_error & LVT_MASKED) == 0) {
        lapic_assert(vp, (u8)l->lvt_error, false);
    }
}

void lapic_assert(struct vp *vp, u8 vector, bool auto_eoi)
{
    struct lapic *l = &vp->lapic;
    if (vector < 16) {
        note_error(vp, ESR_RECEIVE_VECTOR);
    }
    if (vector < 16 || !lapic_is_enabled(vp)) {
        return;
    }
    u32 bit = 1u << (vector % 32);
    l->irr[vector / 32] |= bit;
    l->auto_eoi[vector / 32] = auto_eoi ? l->auto_eoi[vector / 32] | bit : l->auto_eoi[vector / 32] & ~bit;
    vp_wake(vp);
}

void lapic_accept(struct vp *vp, u8 vector)
{
    struct lapic *l = &vp->lapic;
    u32 bit = 1u << (vector % 32);
    l->irr[vector / 32] &= ~bit;
    if ((l->auto_eoi[vector / 32] & bit) == 0) {
        l->isr[vector / 32] |= bit;
    }
}

void lapic_eoi(struct vp *vp)
{
    int vector = highest(vp->lapic.isr);
    if (vector >= 0) {
        vp->lapic.isr[vector / 32] &= ~(1u << (vector % 32));
    }
    synic_rescan(vp);
}

void lapic_deliver(struct vp *to, enum lapic_delivery mode, u8 vector)
{
    switch (mode) {
    case LAPIC_FIXED:
    case LAPIC_LOWEST:
        lapic_assert(to, vector, false);
        break;
    case LAPIC_NMI:
        to->nmi_pending = true;
        vp_wake(to);
        break;
    case LAPIC_INIT:
        if (to->index != 0) {
            to->suspend |= VP_SUSPEND_STARTUP;
            to->suspend &= ~(u32)VP_SUSPEND_HALT;
            cpu_kick(to->cpu);
        }
        break;
    case LAPIC_SIPI:
        if ((to->suspend & VP_SUSPEND_STARTUP) != 0) {
            vp_startup(to, vector);
        }
        break;
    case LAPIC_EXTINT:
        to->lapic.extint = (u32)vector + 1;
        vp_wake(to);
        break;
    case LAPIC_SMI:
    case LAPIC_REMOTE_READ:
        break; /* guests have no SMM */
    }
}

/* Destinations are 32 bits wide in x2APIC mode, 8 in xAPIC mode; all ones mean everybody. */
static bool is_destination(const struct vp *from, const struct vp *to, u32 destination, bool logical)
{
    if (destination == (is_xapic(from) ? 0xff : 0xffffffff)) {
        return true;
    }
    if (!logical) {
        return to->index == destination;
    }
    if (is_xapic(to)) {
        return (to->lapic.ldr >> 24 & destination) != 0;
    }
    return to->index >> 4 == destination >> 16 && (destination & 1u << (to->index & 15)) != 0;
}

static void send_ipi(struct vp *vp, u64 icr)
{
    u32 shorthand = (u32)(icr >> ICR_SHORTHAND_SHIFT) & 3;
    enum lapic_delivery mode = (enum lapic_delivery)(icr >> 8 & 7);
    if (mode == LAPIC_INIT && (icr & 0xc000) == 0x8000) {
        return; /* the deassertion of old */
    }
    if (mode <= LAPIC_LOWEST && (u8)icr < 16) {
        note_error(vp, ESR_SEND_VECTOR);
    }
    for (u32 i = 0; i < VP_MAX; i++) {
        struct vp *to = vp->partition->vp[i];
        to = to != NULL && vp->vtl != 0 ? to->other : to; /* levels have local APICs of their own */
        if (to == NULL) {
            continue;
        }
        bool hit = shorthand == 0 ? is_destination(vp, to, (u32)(icr >> 32), (icr & ICR_LOGICAL) != 0)
                                  : (shorthand == 1 ? to == vp : (shorthand == 2 || to != vp));
        if (hit) {
            lapic_deliver(to, mode, (u8)icr);
        }
    }
}

static u32 divisor(const struct lapic *l)
{
    u32 code = (l->divide & 3) | (l->divide >> 1 & 4);
    return code == 7 ? 1 : 2u << code;
}

static u64 timer_tsc(const struct lapic *l, u64 counts)
{
    u64 apic = counts * divisor(l);
    return mul_div_u64(apic, tsc_hz, apic_timer_hz);
}

static void timer_start(struct vp *vp)
{
    struct lapic *l = &vp->lapic;
    u64 span = timer_tsc(l, l->timer_initial);
    l->timer_at = l->timer_initial != 0 ? insn_rdtsc() + span : 0;
    l->timer_period = (l->lvt_timer & LVT_PERIODIC) != 0 ? span : 0;
}

static u32 timer_current(const struct lapic *l)
{
    u64 now = insn_rdtsc();
    if (l->timer_at <= now) {
        return 0;
    }
    return (u32)(mul_div_u64(l->timer_at - now, apic_timer_hz, tsc_hz) / divisor(l));
}

u64 lapic_timer_poll(struct vp *vp, u64 now)
{
    struct lapic *l = &vp->lapic;
    if (l->timer_at == 0 || l->timer_at > now) {
        return l->timer_at;
    }
    l->timer_at = l->timer_period != 0 ? now + l->timer_period - (now - l->timer_at) % l->timer_period : 0;
    if ((l->lvt_timer & LVT_MASKED) == 0) {
        lapic_assert(vp, (u8)l->lvt_timer, false);
    }
    return l->timer_at;
}

static u32 *register_of(struct lapic *l, u32 index)
{
    switch (index) {
    case X2_SPURIOUS:
        return &l->spurious;
    case X2_LVT_TIMER:
        return &l->lvt_timer;
    case X2_LVT_THERMAL:
        return &l->lvt_thermal;
    case X2_LVT_PERF:
        return &l->lvt_perf;
    case X2_LVT_LINT0:
        return &l->lvt_lint0;
    case X2_LVT_LINT1:
        return &l->lvt_lint1;
    case X2_LVT_ERROR:
        return &l->lvt_error;
    case X2_TIMER_INITIAL:
        return &l->timer_initial;
    case X2_DIVIDE:
        return &l->divide;
    default:
        return NULL;
    }
}

bool lapic_read(struct vp *vp, u32 index, u64 *value)
{
    struct lapic *l = &vp->lapic;
    const u32 *plain = register_of(l, index);
    if (plain != NULL) {
        *value = *plain;
    } else if (index >= X2_ISR && index < X2_ISR + 8) {
        *value = l->isr[index - X2_ISR];
    } else if (index >= X2_TMR && index < X2_TMR + 8) {
        *value = 0;
    } else if (index >= X2_IRR && index < X2_IRR + 8) {
        *value = l->irr[index - X2_IRR];
    } else if (index == X2_ID) {
        *value = vp->index;
    } else if (index == X2_VERSION) {
        *value = VERSION;
    } else if (index == X2_TPR) {
        *value = l->tpr;
    } else if (index == X2_PPR) {
        *value = processor_priority(l);
    } else if (index == X2_LDR) {
        *value = (u64)(vp->index >> 4) << 16 | 1u << (vp->index & 15);
    } else if (index == X2_ESR) {
        *value = l->esr;
    } else if (index == X2_ICR) {
        *value = (u64)l->icr_high << 32 | l->icr_low;
    } else if (index == X2_TIMER_CURRENT) {
        *value = timer_current(l);
    } else {
        return false;
    }
    return true;
}

bool lapic_write(struct vp *vp, u32 index, u64 value)
{
    struct lapic *l = &vp->lapic;
    u32 *plain = register_of(l, index);
    if (value >> 32 != 0 && index != X2_ICR) {
        return false;
    }
    if (plain != NULL) {
        *plain = (u32)value;
        if (index == X2_TIMER_INITIAL) {
            timer_start(vp);
        } else if (index == X2_LVT_TIMER && (value & LVT_PERIODIC) == 0) {
            l->timer_period = 0;
        }
        return true;
    }
    switch (index) {
    case X2_TPR:
        l->tpr = (u32)value & 0xff;
        return true;
    case X2_EOI:
        lapic_eoi(vp);
        return true;
    case X2_ESR:
        if (value != 0) {
            return false;
        }
        l->esr = l->errors;
        l->errors = 0;
        return true;
    case X2_ICR:
        l->icr_low = (u32)value;
        l->icr_high = (u32)(value >> 32);
        send_ipi(vp, value);
        return true;
    case X2_SELF_IPI:
        lapic_assert(vp, (u8)value, false);
        return true;
    default:
        return false;
    }
}

/* Registers that differ in xAPIC mode. */
static u32 window_read(struct vp *vp, u32 index)
{
    const struct lapic *l = &vp->lapic;
    u64 value = 0;
    switch (index) {
    case X2_ID:
        return vp->index << 24;
    case X2_LDR:
        return l->ldr;
    case X_DFR:
        return l->dfr | 0x0fffffff;
    case X2_ICR:
        return l->icr_low;
    case X_ICR_HIGH:
        return l->icr_high;
    default:
        (void)lapic_read(vp, index, &value); /* what is not there reads as 0 */
        return (u32)value;
    }
}

static void window_write(struct vp *vp, u32 index, u32 value)
{
    struct lapic *l = &vp->lapic;
    switch (index) {
    case X2_LDR:
        l->ldr = value & 0xff000000;
        break;
    case X_DFR:
        l->dfr = value;
        break;
    case X_ICR_HIGH:
        l->icr_high = value & 0xff000000;
        break;
    case X2_ICR:
        l->icr_low = value;
        send_ipi(vp, (u64)(l->icr_high >> 24) << 32 | value);
        break;
    case X2_ESR:
        (void)lapic_write(vp, X2_ESR, 0);
        break;
    case X2_SELF_IPI:
        break;
    default:
        (void)lapic_write(vp, index, value);
        break;
    }
}

static u64 low_bits(u64 value, unsigned bytes) { return bytes == 8 ? value : value & (BIT(8 * bytes) - 1); }

/* 32-bit registers write the upper half with zeros, 8-bit and 16-bit ones leave the rest. */
static void put_register(struct vp *vp, const struct mmio_insn *i, u64 value)
{
    u64 *reg = &vp->gpr[i->reg];
    unsigned shift = i->high ? 8 : 0;
    value = low_bits(value, i->bytes);
    if (i->sign && (value >> (8 * i->bytes - 1) & 1) != 0) {
        value |= ~low_bits(~0ull, i->bytes);
    }
    u64 mask = i->reg_bytes >= 4 ? ~0ull : low_bits(~0ull, i->reg_bytes) << shift;
    *reg = (*reg & ~mask) | (low_bits(value, i->reg_bytes) << shift & mask);
}

bool lapic_access(struct vp *vp, const struct hv_exit *exit)
{
    u8 code[MMIO_CODE_MAX];
    struct mmio_insn i;
    if (exit->slat.gpa >> PAGE_SHIFT != APIC_BASE_DEFAULT >> PAGE_SHIFT) {
        return false;
    }
    vp_fetch(vp);
    const struct vp_registers *r = &vp->r;
    u16 cs = r->segment[SEG_CS].attributes;
    enum mmio_mode mode = (cs & SEG_DB) != 0 ? MMIO_32 : MMIO_16;
    mode = (r->efer & EFER_LMA) != 0 && (cs & SEG_L) != 0 ? MMIO_64 : mode;
    u32 count = vp_fetch_code(vp, code, sizeof code);
    if (!mmio_decode(code, count, mode, &i) || i.bit_test || i.write != ((exit->slat.access & SLAT_W) != 0)) {
        return false;
    }
    u32 index = (u32)(exit->slat.gpa & PAGE_MASK) >> 4;
    if (!is_xapic(vp)) { /* nobody answers */
        if (!i.write) {
            put_register(vp, &i, ~0ull);
        }
    } else if (i.write) {
        window_write(vp, index, (u32)low_bits(i.has_value ? i.value : vp->gpr[i.reg] >> (i.high ? 8 : 0), i.bytes));
    } else {
        put_register(vp, &i, window_read(vp, index) >> (8 * (exit->slat.gpa & 3)));
    }
    vp_advance(vp, i.length);
    return true;
}
