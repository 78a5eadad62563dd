/* SPDX-License-Identifier: GPL-3.0-or-later */
/* [SDM3 "Task Management"] Of 32-bit code, from and to 32-bit task state segments. What is wrong with the new task's segments is #TS in the new
 * task. Left out: 16-bit task state segments, the debug trap flag, checks that the instruction had to make before. */
#include "hv/vcpu/task.h"

#include "abi/hyperv/hypercall.h"
#include "abi/x86/registers.h"
#include "hv/core/string.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/walk.h"

#define TSS_WORDS 26
#define TSS_BYTES (TSS_WORDS * 4u)
/* Words of a task state segment */
enum { TSS_LINK = 0, TSS_CR3 = 7, TSS_EIP = 8, TSS_EFLAGS = 9, TSS_EAX = 10, TSS_ES = 18, TSS_LDT = 24 };
#define TSS_SAVED_FIRST TSS_EIP /* what a task's leaving writes: to the last segment */
#define TSS_SAVED_WORDS (TSS_LDT - TSS_EIP)

#define TS_VECTOR 10
#define NP_VECTOR 11
#define DESCRIPTOR_BUSY (2ull << 40)
#define SELECTOR_LDT 4u
#define DR7_LOCAL 0x155ull
#define TYPE_TSS_AVAILABLE 9u
#define TYPE_TSS_BUSY 11u
#define TYPE_LDT 2u

/* At a linear address, as the supervisor. */
static bool copy(struct vp *vp, u64 at, void *data, u64 size, bool write)
{
    u8 *p = data;
    while (size > 0) {
        u64 gfn;
        u64 n = min_u64(size, PAGE_SIZE - (at & PAGE_MASK));
        u64 flags = HV_TRANSLATE_PRIVILEGE_EXEMPT | (write ? HV_TRANSLATE_WRITE : HV_TRANSLATE_READ);
        if (vp_translate(vp, (u32)at, flags, &gfn) != HV_TRANSLATE_OK) {
            return false;
        }
        u64 gpa = gfn << PAGE_SHIFT | (at & PAGE_MASK);
        if (write ? !guest_write(vp->partition, gpa, p, n) : !guest_read(vp->partition, gpa, p, n)) {
            return false;
        }
        p += n;
        at += n;
        size -= n;
    }
    return true;
}

static bool descriptor(struct vp *vp, u16 selector, u64 *entry, bool write)
{
    const struct segment *table = (selector & SELECTOR_LDT) != 0 ? &vp->r.segment[SEG_LDTR] : &vp->r.gdtr;
    bool there = (selector & SELECTOR_LDT) == 0 || (table->attributes & SEG_P) != 0;
    return there && (selector | 7u) <= table->limit && copy(vp, table->base + (selector & ~7u), entry, 8, write);
}

static struct segment segment_of(u16 selector, u64 d)
{
    u32 limit = (u32)(d & 0xffff) | (u32)(d >> 32 & 0xf0000);
    bool pages = (d >> 55 & 1) != 0;
    return (struct segment){.base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000),
                            .limit = pages ? limit << 12 | 0xfff : limit,
                            .selector = selector,
                            .attributes = (u16)((d >> 40 & 0xff) | (d >> 40 & 0xf000))};
}

static unsigned type_of(u64 d) { return (unsigned)(d >> 40) & 0x1f; }

/* False: the vector is in *fault. */
static bool load_segment(struct vp *vp, unsigned index, u16 selector, unsigned cpl, u8 *fault)
{
    u64 d = 0;
    struct segment *s = &vp->r.segment[index];
    *fault = TS_VECTOR;
    bool needed = index == SEG_CS || index == SEG_SS;
    *s = (struct segment){.selector = selector};
    if ((selector & ~3u) == 0) {
        return !needed;
    }
    if (!descriptor(vp, selector, &d, false) || (d >> 44 & 1) == 0) {
        return false;
    }
    bool code = (d >> 43 & 1) != 0;
    bool writable = (d >> 41 & 1) != 0;
    unsigned dpl = (unsigned)(d >> 45) & 3;
    bool ok = index == SEG_CS ? code : (index == SEG_SS ? !code && writable && dpl == cpl : !code || writable);
    if (!ok) {
        return false;
    }
    if ((d >> 47 & 1) == 0) {
        *fault = NP_VECTOR;
        return false;
    }
    *s = segment_of(selector, d);
    s->attributes |= SEG_TYPE_ACCESSED;
    return true;
}

/* In the order in which faults are found. */
static bool load_segments(struct vp *vp, const u32 *tss, u8 *fault, u16 *culprit)
{
    static const u8 order[] = {SEG_CS, SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    struct vp_registers *r = &vp->r;
    u16 ldt = (u16)tss[TSS_LDT];
    u64 d = 0;
    r->segment[SEG_LDTR] = (struct segment){.selector = ldt};
    *fault = TS_VECTOR;
    *culprit = ldt;
    if ((ldt & ~3u) != 0) {
        if ((ldt & SELECTOR_LDT) != 0 || !descriptor(vp, ldt, &d, false) || type_of(d) != TYPE_LDT || (d >> 47 & 1) == 0) {
            return false;
        }
        r->segment[SEG_LDTR] = segment_of(ldt, d);
    }
    unsigned cpl = tss[TSS_ES + 1] & 3;
    for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
        u16 selector = (u16)tss[TSS_ES + order[i]];
        *culprit = selector;
        if ((r->rflags & RFLAGS_VM) != 0) { /* as in real mode, for applications */
            r->segment[order[i]] = (struct segment){(u64)selector << 4, 0xffff, selector, SEG_P | SEG_DPL | SEG_S | 3};
        } else if (!load_segment(vp, order[i], selector, cpl, fault)) {
            return false;
        }
    }
    return true;
}

static void save_task(const struct vp *vp, u32 *tss, bool clear_nested)
{
    const struct vp_registers *r = &vp->r;
    tss[TSS_EIP] = (u32)r->rip;
    tss[TSS_EFLAGS] = (u32)r->rflags & ~(clear_nested ? RFLAGS_NT : 0u);
    for (unsigned i = 0; i < 8; i++) {
        tss[TSS_EAX + i] = (u32)vp->gpr[i];
    }
    for (unsigned i = 0; i < 6; i++) {
        tss[TSS_ES + i] = r->segment[i].selector;
    }
}

static void load_task(struct vp *vp, const u32 *tss, bool nested)
{
    struct vp_registers *r = &vp->r;
    if ((r->cr0 & CR0_PG) != 0) {
        r->cr3 = tss[TSS_CR3];
        vp->partition->slat_stale = true;
        slat_flush(vp->partition);
    }
    r->rip = tss[TSS_EIP];
    r->rflags = (tss[TSS_EFLAGS] & 0x3f7fd5u) | RFLAGS_ONE | (nested ? RFLAGS_NT : 0);
    r->cr0 |= CR0_TS;
    r->dr7 &= ~DR7_LOCAL;
    for (unsigned i = 0; i < 8; i++) {
        vp->gpr[i] = tss[TSS_EAX + i];
    }
}

void task_switch(struct vp *vp, const struct hv_exit *exit)
{
    vp_modify(vp);
    struct vp_registers *r = &vp->r;
    struct event event = vp->event; /* by whose gate it comes */
    enum task_source source = exit->task.source;
    u16 selector = exit->task.selector;
    u16 old = r->segment[SEG_TR].selector;
    bool gate = source == TASK_GATE;
    bool back = source == TASK_IRET;
    bool nests = gate || source == TASK_CALL;
    u32 from[TSS_WORDS] = {0};
    u32 to[TSS_WORDS];
    u64 d = 0;
    u64 old_d = 0;
    vp->event = (struct event){0};
    bool ok = (selector & SELECTOR_LDT) == 0 && descriptor(vp, selector, &d, false) &&
              type_of(d) == (back ? TYPE_TSS_BUSY : TYPE_TSS_AVAILABLE);
    struct segment tr = segment_of(selector, d);
    u64 saved_at = r->segment[SEG_TR].base + TSS_SAVED_FIRST * 4;
    ok = ok && tr.limit >= TSS_BYTES - 1 && copy(vp, tr.base, to, sizeof to, false) && descriptor(vp, old, &old_d, false) &&
         copy(vp, saved_at, &from[TSS_SAVED_FIRST], TSS_SAVED_WORDS * 4, false);
    if (!ok) {
        vp_inject_exception(vp, TS_VECTOR, true, selector & ~3u);
        return;
    }
    if (!gate || event.kind == EVENT_NONE) {
        vp_advance(vp, exit->length);
    }
    vp->nmi_blocked = vp->nmi_blocked || event.kind == EVENT_NMI;
    save_task(vp, from, back);
    (void)copy(vp, saved_at, &from[TSS_SAVED_FIRST], TSS_SAVED_WORDS * 4, true);
    if (nests) {
        u32 link = old;
        (void)copy(vp, tr.base, &link, sizeof link, true);
    } else {
        old_d &= ~DESCRIPTOR_BUSY;
        (void)descriptor(vp, old, &old_d, true);
    }
    d |= DESCRIPTOR_BUSY;
    (void)descriptor(vp, selector, &d, true);
    tr.attributes |= TYPE_TSS_BUSY;
    r->segment[SEG_TR] = tr;
    load_task(vp, to, nests);
    u8 fault;
    u16 culprit;
    if (!load_segments(vp, to, &fault, &culprit)) {
        vp_inject_exception(vp, fault, true, (culprit & ~3u) | (event.kind == EVENT_INTERRUPT ? 1u : 0u));
        return;
    }
    if (event.has_error) {
        vp->gpr[X86_RSP] = (u32)(vp->gpr[X86_RSP] - 4);
        (void)copy(vp, r->segment[SEG_SS].base + vp->gpr[X86_RSP], &event.error, 4, true);
    }
}
