/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SynIC: message slots and event flags in pages laid over the guest's memory, one interrupt source each; synthetic timers. [TLFS "Inter-Partition Communication"] */
#include "hv/synic/synic.h"

#include "abi/hyperv/hypercall.h"
#include "abi/hyperv/msr.h"
#include "hv/core/apic.h"
#include "hv/core/string.h"
#include "hv/core/trace_port.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/vp.h"

#define SYNIC_VERSION 1

u64 partition_time(const struct partition *p) { return time_reference() - p->created; }

void synic_reset(struct vp *vp)
{
    struct synic *s = &vp->synic;
    void *messages = s->messages.page;
    void *events = s->events.page;
    memset(s, 0, sizeof *s);
    s->messages.page = messages;
    s->events.page = events;
    for (unsigned i = 0; i < HV_SINTS; i++) {
        s->sint[i] = HV_SINT_MASKED;
    }
}

bool synic_accepts(const struct vp *vp) { return (vp->synic.control & 1) != 0; }

static void raise(struct vp *vp, unsigned sint)
{
    u64 s = vp->synic.sint[sint];
    if ((s & (HV_SINT_MASKED | HV_SINT_POLLING)) == 0) {
        lapic_assert(vp, (u8)(s & HV_SINT_VECTOR), (s & HV_SINT_AUTO_EOI) != 0);
    }
}

static struct hv_message *slot_of(struct vp *vp, unsigned sint)
{
    const struct overlay *o = &vp->synic.messages;
    u8 *page = o->page;
    return o->on && synic_accepts(vp) ? (struct hv_message *)(void *)(page + 256 * sint) : NULL;
}

/* The guest clears the type and then looks at the flag: so flag first, then the type again. */
static bool slot_is_free(struct hv_message *slot)
{
    if (__atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) == HV_MESSAGE_NONE) {
        return true;
    }
    (void)__atomic_fetch_or(&slot->flags, HV_MESSAGE_FLAG_PENDING, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) == HV_MESSAGE_NONE;
}

static void deliver(struct vp *vp, unsigned sint)
{
    struct message_node *node = vp->synic.queue[sint];
    struct hv_message *slot = node != NULL ? slot_of(vp, sint) : NULL;
    if (slot == NULL || !slot_is_free(slot)) {
        return;
    }
    vp->synic.queue[sint] = node->next;
    slot->size = node->message.size;
    slot->flags = node->next != NULL ? HV_MESSAGE_FLAG_PENDING : 0;
    slot->sender = node->message.sender;
    memcpy(slot->payload, node->message.payload, node->message.size);
    __atomic_store_n(&slot->type, node->message.type, __ATOMIC_SEQ_CST);
    node->busy = false;
    trace_claim_with(CLAIM_message_delivered, node->message.payload, node->message.size, vp->partition->id, vp->index, vp->vtl,
                     sint, node->message.type, node->message.sender);
    raise(vp, sint);
}

void synic_post(struct vp *vp, unsigned sint, struct message_node *node)
{
    struct message_node **link = &vp->synic.queue[sint];
    while (*link != NULL) {
        link = &(*link)->next;
    }
    node->next = NULL;
    node->busy = true;
    *link = node;
    deliver(vp, sint);
}

void synic_rescan(struct vp *vp)
{
    for (unsigned i = 0; i < HV_SINTS; i++) {
        deliver(vp, i);
    }
}

void synic_forget(struct vp *vp)
{
    if (vp->partition->parent == NULL) {
        return;
    }
    struct message_node **link = &vp->partition->parent->vp[0]->synic.queue[0];
    while (*link != NULL && *link != &vp->intercept) {
        link = &(*link)->next;
    }
    if (*link != NULL) {
        *link = (*link)->next;
    }
}

u16 synic_signal(struct vp *vp, unsigned sint, unsigned flag, bool *fresh)
{
    const struct overlay *o = &vp->synic.events;
    u8 *page = o->page;
    if (!o->on || !synic_accepts(vp) || (vp->synic.sint[sint] & HV_SINT_MASKED) != 0) {
        return HV_INVALID_SYNIC_STATE;
    }
    u8 bit = (u8)(1u << (flag % 8));
    *fresh = (__atomic_fetch_or(&page[256 * sint + flag / 8], bit, __ATOMIC_SEQ_CST) & bit) == 0;
    if (*fresh) {
        raise(vp, sint);
    }
    return HV_SUCCESS;
}

static void timer_arm(struct vp *vp, struct stimer *t)
{
    unsigned sint = (unsigned)(t->config >> HV_STIMER_SINT_SHIFT) & 15;
    if (sint == 0 && (t->config & HV_STIMER_DIRECT) == 0) {
        t->config &= ~HV_STIMER_ENABLE;
    }
    t->due = 0;
    if ((t->config & HV_STIMER_ENABLE) != 0 && t->count != 0) {
        t->due = (t->config & HV_STIMER_PERIODIC) != 0 ? add_saturating(partition_time(vp->partition), t->count) : t->count;
    }
}

static void timer_fire(struct vp *vp, unsigned index, u64 now)
{
    struct stimer *t = &vp->synic.timer[index];
    u64 expired = t->due;
    if ((t->config & HV_STIMER_PERIODIC) != 0) {
        t->due = add_saturating(t->due, t->count);
        t->due = t->due <= now ? add_saturating(now, t->count) : t->due;
    } else {
        t->due = 0;
        t->config &= ~HV_STIMER_ENABLE;
    }
    if ((t->config & HV_STIMER_DIRECT) != 0) {
        lapic_assert(vp, (u8)(t->config >> HV_STIMER_VECTOR_SHIFT), false);
        return;
    }
    if (t->node.busy) {
        return; /* the last one has not been taken yet */
    }
    struct hv_timer_message m = {index, 0, expired, now};
    t->node.message = (struct hv_message){.type = HV_MESSAGE_TIMER_EXPIRED, .size = sizeof m};
    memcpy(t->node.message.payload, &m, sizeof m);
    synic_post(vp, (unsigned)(t->config >> HV_STIMER_SINT_SHIFT) & 15, &t->node);
}

u64 stimer_poll(struct vp *vp)
{
    u64 next = 0;
    u64 now = partition_time(vp->partition);
    for (unsigned i = 0; i < HV_STIMERS; i++) {
        struct stimer *t = &vp->synic.timer[i];
        if (t->due != 0 && t->due <= now) {
            timer_fire(vp, i, now);
        }
        if (t->due != 0 && (next == 0 || t->due < next)) {
            next = t->due;
        }
    }
    return next != 0 ? add_saturating(time_tsc_of(add_saturating(next, vp->partition->created)), 1) : 0;
}

bool synic_read(struct vp *vp, u32 msr, u64 *value)
{
    struct synic *s = &vp->synic;
    if (msr >= HV_MSR_SINT0 && msr <= HV_MSR_SINT15) {
        *value = s->sint[msr - HV_MSR_SINT0];
    } else if (msr >= HV_MSR_STIMER0_CONFIG && msr <= HV_MSR_STIMER3_COUNT) {
        const struct stimer *t = &s->timer[(msr - HV_MSR_STIMER0_CONFIG) / 2];
        *value = (msr & 1) == 0 ? t->config : t->count;
    } else if (msr == HV_MSR_SCONTROL) {
        *value = s->control;
    } else if (msr == HV_MSR_SVERSION) {
        *value = SYNIC_VERSION;
    } else if (msr == HV_MSR_SIEFP) {
        *value = s->event_msr;
    } else if (msr == HV_MSR_SIMP) {
        *value = s->message_msr;
    } else if (msr == HV_MSR_EOM) {
        *value = 0;
    } else {
        return false;
    }
    return true;
}

static bool write_timer(struct vp *vp, unsigned index, bool count, u64 value)
{
    struct stimer *t = &vp->synic.timer[index];
    if (!count) {
        if ((value & HV_STIMER_DIRECT) != 0 && (value >> HV_STIMER_VECTOR_SHIFT & 0xff) < 16) {
            return false;
        }
        t->config = value;
    } else {
        t->count = value;
        if (value == 0) {
            t->config &= ~HV_STIMER_ENABLE;
        } else if ((t->config & HV_STIMER_AUTO_ENABLE) != 0) {
            t->config |= HV_STIMER_ENABLE;
        }
    }
    timer_arm(vp, t);
    cpu_kick(vp->cpu);
    return true;
}

bool synic_write(struct vp *vp, u32 msr, u64 value)
{
    struct synic *s = &vp->synic;
    if (msr >= HV_MSR_SINT0 && msr <= HV_MSR_SINT15) {
        if ((value & HV_SINT_MASKED) == 0 && (value & HV_SINT_VECTOR) < 16) {
            return false;
        }
        s->sint[msr - HV_MSR_SINT0] = value;
        return true;
    }
    if (msr >= HV_MSR_STIMER0_CONFIG && msr <= HV_MSR_STIMER3_COUNT) {
        return write_timer(vp, (msr - HV_MSR_STIMER0_CONFIG) / 2, (msr & 1) != 0, value);
    }
    switch (msr) {
    case HV_MSR_SCONTROL:
        s->control = value;
        break;
    case HV_MSR_SIEFP:
        if (!overlay_write_msr(vp->partition, &s->events, &s->event_msr, value, SLAT_RW)) {
            return false;
        }
        break;
    case HV_MSR_SIMP:
        if (!overlay_write_msr(vp->partition, &s->messages, &s->message_msr, value, SLAT_RW)) {
            return false;
        }
        break;
    case HV_MSR_EOM:
        break;
    default:
        return false;
    }
    synic_rescan(vp);
    return true;
}
