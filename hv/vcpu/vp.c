/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A VP's life and state; what it is given at the next entry. */
#include "hv/vcpu/vp.h"

#include "abi/hyperv/hypercall.h"
#include "abi/x86/msr.h"
#include "abi/x86/registers.h"
#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/core/string.h"
#include "hv/core/trace_port.h"
#include "hv/partition/partition.h"

_Static_assert(sizeof(struct vp) <= PAGE_SIZE, "a VP is one page of its partition's pool");

#define PAT_RESET 0x0007040600070406ull

static struct segment real_segment(u16 selector, u16 attributes)
{
    return (struct segment){(u64)selector << 4, 0xffff, selector, attributes};
}

/* [SDM3 "Processor State After Reset"] */
void vp_reset(struct vp *vp)
{
    struct vp_registers *r = &vp->r;
    memset(r, 0, sizeof *r);
    memset(vp->gpr, 0, sizeof vp->gpr);
    vp->gpr[X86_RDX] = insn_cpuid(1, 0).eax;
    r->rflags = RFLAGS_ONE;
    r->cr0 = CR0_CD | CR0_NW | CR0_ET;
    r->dr6 = DR6_FIXED;
    r->dr7 = DR7_FIXED;
    for (unsigned i = 0; i < SEG_LDTR; i++) {
        r->segment[i] = real_segment(0, SEG_P | SEG_S | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED);
    }
    r->segment[SEG_CS] = real_segment(0xf000, SEG_P | SEG_S | SEG_TYPE_CODE | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED);
    r->segment[SEG_CS].base = 0xffff0000;
    r->rip = 0xfff0;
    r->segment[SEG_LDTR] = real_segment(0, SEG_P | SYS_LDT);
    r->segment[SEG_TR] = real_segment(0, SEG_P | SYS_TSS_BUSY);
    r->gdtr.limit = 0xffff;
    r->idtr.limit = 0xffff;
    r->pat = PAT_RESET;
    r->xcr0 = XCR0_X87;
    vp->saved = true;
    vp->dirty = true;
    vp->shadow = false;
    vp->nmi_blocked = false;
    vp->nmi_pending = false;
    vp->event = (struct event){0};
    lapic_reset(vp);
}

void vp_startup(struct vp *vp, u8 vector)
{
    if (!vp->saved && vp->cpu != this_cpu()) {
        vp->sipi = 0x100 | vector;
        cpu_kick(vp->cpu);
        return;
    }
    vp_fetch(vp);
    vp_reset(vp);
    vp->r.segment[SEG_CS] = real_segment((u16)(vector << 8), vp->r.segment[SEG_CS].attributes);
    vp->r.rip = 0;
    vp->suspend &= ~(u32)VP_SUSPEND_STARTUP;
    vp_wake(vp);
}

static void overlays_of(struct vp *vp, struct overlay *list[3])
{
    list[0] = &vp->assist;
    list[1] = &vp->synic.messages;
    list[2] = &vp->synic.events;
}

static void free_overlays(struct vp *vp)
{
    struct overlay *list[3];
    overlays_of(vp, list);
    for (unsigned i = 0; i < ARRAY_LEN(list); i++) {
        overlay_remove(vp->partition, list[i]);
        if (list[i]->page != NULL) {
            pool_free(&vp->partition->pool, list[i]->page);
        }
    }
}

/* The pages that it can lay over its memory are taken now, so that it can always do so. */
static bool take_overlays(struct vp *vp)
{
    struct overlay *list[3];
    bool ok = true;
    overlays_of(vp, list);
    for (unsigned i = 0; i < ARRAY_LEN(list); i++) {
        list[i]->page = pool_alloc(&vp->partition->pool);
        ok = ok && list[i]->page != NULL;
    }
    if (!ok) {
        free_overlays(vp);
    }
    return ok;
}

bool vp_has_trace_port(const struct vp *vp)
{
#ifdef HV_INJECT_OPEN_PORT /* hv_open.elf, which shows that the simulator refuses what others claim */
    (void)vp;
    return trace_port_present;
#else
    return trace_port_present && vp->vtl == 2;
#endif
}

/* One trust level. `fpu`: the state that both share, NULL for the first one. */
static struct vp *create_level(struct partition *p, u32 index, struct cpu *cpu, u8 vtl, void *fpu)
{
    struct vp *vp = pool_alloc(&p->pool);
    bool shared = fpu != NULL;
    fpu = vp == NULL || shared ? fpu : pool_alloc(&p->pool);
    if (vp == NULL) {
        return NULL;
    }
    if (fpu == NULL) {
        pool_free(&p->pool, vp);
        return NULL;
    }
    vp->partition = p;
    vp->index = index;
    vp->vtl = vtl;
    vp->fpu = fpu;
    vp->cpu = cpu;
    vp->suspend = VP_SUSPEND_EXPLICIT | (index != 0 ? (u32)VP_SUSPEND_STARTUP : 0);
    if (!take_overlays(vp) || !arch->vp_init(vp)) {
        if (vp->assist.page != NULL) {
            free_overlays(vp);
        }
        if (!shared) {
            pool_free(&p->pool, fpu);
        }
        pool_free(&p->pool, vp);
        return NULL;
    }
    u8 *x87 = fpu; /* FCW 37F, MXCSR 1F80; an XSAVE header of zeros says that nothing else is there */
    x87[0] = 0x7f;
    x87[1] = 0x03;
    x87[24] = 0x80;
    x87[25] = 0x1f;
    vp->apic_mode = APIC_BASE_ENABLE | APIC_BASE_X2APIC;
    vp_reset(vp);
    synic_reset(vp);
    trace_claim(CLAIM_vp_named, p->id, index, vtl, ptr_to_spa(vp->control));
    vp->next_here = vp->cpu->first_vp;
    vp->cpu->first_vp = vp;
    return vp;
}

struct vp *vp_create(struct partition *p, u32 index, struct cpu *cpu)
{
    struct vp *vp = create_level(p, index, cpu, 0, NULL);
    if (vp == NULL) {
        return NULL;
    }
    if (p->has_vtl2) {
        struct vp *upper = create_level(p, index, cpu, 2, vp->fpu);
        if (upper == NULL) {
            vp_destroy(vp);
            return NULL;
        }
        upper->other = vp;
        vp->other = upper;
        /* The highest that is enabled runs first; on all but the first VP VTL 2 enables itself. */
        upper->vtl_enabled = index == 0;
        upper->suspend &= ~(u32)VP_SUSPEND_STARTUP;
        (index == 0 ? vp : upper)->suspend |= VP_SUSPEND_VTL;
    }
    p->vp[index] = vp;
    return vp;
}

/* The processor that it lives on may hold its state, or run it: it has to let go first, for which it needs the lock. */
void vp_destroy(struct vp *vp)
{
    struct cpu *c = vp->cpu;
    if (vp->other != NULL) {
        struct vp *upper = vp->other;
        vp->other = NULL;
        upper->other = NULL;
        upper->shares_fpu = true;
        vp_destroy(upper);
    }
    vp->suspend |= VP_SUSPEND_EXPLICIT;
    while (c->last_vp == vp && c != this_cpu()) {
        cpu_kick(c);
        spin_unlock(&hv_lock);
        insn_pause();
        spin_lock(&hv_lock);
    }
    synic_forget(vp);
    struct vp **link = &c->first_vp;
    while (*link != vp) {
        link = &(*link)->next_here;
    }
    *link = vp->next_here;
    c->turn = c->turn == vp ? NULL : c->turn;
    c->running_turn = c->running_turn == vp ? NULL : c->running_turn;
    free_overlays(vp);
    arch->vp_free(vp);
    if (!vp->shares_fpu) {
        pool_free(&vp->partition->pool, vp->fpu);
    }
    pool_free(&vp->partition->pool, vp);
}

void vp_fetch(struct vp *vp)
{
    if (!vp->saved) {
        arch->vp_save(vp);
        vp->saved = true;
    }
}

void vp_modify(struct vp *vp)
{
    vp_fetch(vp);
    vp->dirty = true;
}

void vp_advance(struct vp *vp, unsigned length)
{
    vp->r.rip += length;
    vp->shadow = false;
}

void vp_inject_exception(struct vp *vp, u8 vector, bool has_error, u32 error)
{
    vp->event = (struct event){.kind = EVENT_EXCEPTION, .vector = vector, .has_error = has_error, .error = error};
}

void vp_wake(struct vp *vp)
{
    vp->suspend &= ~(u32)VP_SUSPEND_HALT;
    cpu_kick(vp->cpu);
}

u64 vp_privileges(const struct vp *vp) { return vp->other != NULL && vp->vtl == 0 ? 0 : vp->partition->privileges; }

u32 vp_exceptions(const struct vp *vp) { return vp->vtl == 0 ? vp->partition->intercept_exceptions : 0; }

bool vp_has_event(const struct vp *vp) { return lapic_pending(vp) >= 0 || vp->lapic.extint != 0 || vp->nmi_pending; }

bool vp_is_runnable(const struct vp *vp) { return vp->suspend == 0 && !vp->partition->stopped; }

void vp_choose_event(struct vp *vp)
{
    vp->want_window = false;
    if (vp->event.kind != EVENT_NONE) {
        vp->want_window = lapic_pending(vp) >= 0 || vp->lapic.extint != 0;
        return;
    }
    if (vp->nmi_pending && !vp->nmi_blocked && !vp->shadow) {
        vp->nmi_pending = false;
        vp->nmi_blocked = true;
        vp->event = (struct event){.kind = EVENT_NMI, .vector = 2};
        return;
    }
    int vector = lapic_pending(vp);
    bool extint = vp->lapic.extint != 0;
    if (vector < 0 && !extint) {
        return;
    }
    if ((vp->r.rflags & RFLAGS_IF) == 0 || vp->shadow) {
        vp->want_window = true;
        return;
    }
    if (extint) {
        vector = (int)vp->lapic.extint - 1;
        vp->lapic.extint = 0;
        vp->lapic.extint_taken = true;
    } else {
        lapic_accept(vp, (u8)vector);
        vp->want_window = lapic_pending(vp) >= 0;
    }
    vp->event = (struct event){.kind = EVENT_INTERRUPT, .vector = (u8)vector};
}
