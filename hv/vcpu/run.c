/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The scheduler and the loop around the guest. Each processor runs the VPs that live on it: the root's first, the others in
 * turn, each until its slice ends or it waits. All state is under hv_lock, which is held whenever no guest runs. */
#include "hv/vcpu/run.h"

#include "abi/x86/registers.h"
#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/core/insn.h"
#include "hv/core/string.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/external.h"
#include "hv/vcpu/vtl.h"

#define SLICES_PER_SECOND 200

static u32 remembered[CPU_MAX][8];

void external_interrupt(u8 vector) { remembered[this_cpu()->index][vector / 32] |= 1u << (vector % 32); }

void external_take(void) { __asm__ volatile("sti; nop; nop; cli" : : : "memory"); }

void external_deliver(void)
{
    u32 *set = remembered[this_cpu()->index];
    struct vp *to = root_partition->vp[0];
    for (unsigned i = 0; i < 8; i++) {
        while (set[i] != 0) {
            unsigned bit = (unsigned)__builtin_ctz(set[i]);
            set[i] &= set[i] - 1;
            lapic_assert(to, (u8)(i * 32 + bit), false);
        }
    }
}

/* Timers of every VP here; the TSC of the next, 0 none. */
static u64 poll_timers(struct cpu *c)
{
    u64 next = 0;
    for (struct vp *vp = c->first_vp; vp != NULL; vp = vp->next_here) {
        u64 at = lapic_timer_poll(vp, insn_rdtsc());
        next = at != 0 && (next == 0 || at < next) ? at : next;
        at = stimer_poll(vp);
        next = at != 0 && (next == 0 || at < next) ? at : next;
    }
    return next;
}

/* SIPIs from other processors. */
static void startup_poll(struct cpu *c)
{
    for (struct vp *vp = c->first_vp; vp != NULL; vp = vp->next_here) {
        if (vp->sipi != 0) {
            u8 vector = (u8)vp->sipi;
            vp->sipi = 0;
            vp_startup(vp, vector);
        }
    }
}

static struct vp *root_here(struct cpu *c)
{
    struct vp *vp = c->first_vp;
    while (vp != NULL && vp->partition != root_partition) {
        vp = vp->next_here;
    }
    return vp != NULL && vp_is_runnable(vp) ? vp : NULL;
}

/* The next runnable one behind c->turn, in a circle; itself last. The root's only if there is no other. */
static struct vp *next_in_turn(struct cpu *c)
{
    struct vp *start = c->turn != NULL ? c->turn : c->first_vp;
    struct vp *vp = start;
    while (vp != NULL) {
        vp = vp->next_here != NULL ? vp->next_here : c->first_vp;
        if (vp_is_runnable(vp) && vp->partition != root_partition) {
            return vp;
        }
        if (vp == start) {
            break;
        }
    }
    return NULL;
}

/* Trust levels take turns within their VP's slice. */
static struct vp *active_level(struct vp *vp)
{
    return vp != NULL && (vp->suspend & VP_SUSPEND_VTL) != 0 && vp->other != NULL ? vp->other : vp;
}

static struct vp *choose(struct cpu *c, bool slice_over)
{
    struct vp *root = root_here(c);
    struct vp *now = active_level(c->running_turn);
    if (root == NULL || (slice_over && now != root)) {
        c->root_had_its_slice = false;
    } else if (slice_over) {
        c->root_had_its_slice = true;
    }
    if (root != NULL && !c->root_had_its_slice) {
        return root;
    }
    bool goes_on = !slice_over && now != NULL && now != root && vp_is_runnable(now);
    struct vp *next = goes_on ? now : next_in_turn(c);
    return next != NULL ? next : root;
}

static void leave(struct cpu *c)
{
    struct vp *old = c->last_vp;
    if (old != NULL) {
        vp_fetch(old);
        fpu_save(old);
        debug_save(old);
        arch->vp_leave_cpu(old);
        c->last_vp = NULL;
    }
}

static void become(struct cpu *c, struct vp *vp)
{
    if (c->last_vp != vp) {
        leave(c);
        arch->vp_enter_cpu(vp);
        fpu_load(vp);
        debug_load(vp);
        vp->dirty = true;
        c->last_vp = vp;
    }
    if (vp->dirty) {
        arch->vp_load(vp);
        if (fpu_xcr0_allowed() != 0) {
            insn_xsetbv(0, vp->r.xcr0);
        }
        vp->dirty = false;
    }
    vp->saved = false;
}

static void idle(struct cpu *c, u64 next_timer)
{
    leave(c);
    timer_set(next_timer);
    spin_unlock(&hv_lock);
    if (c->work == 0) {
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    } else {
        external_take();
    }
    spin_lock(&hv_lock);
}

static void run(struct cpu *c, struct vp *vp, u64 next_timer, u64 slice_end)
{
    struct hv_exit exit;
    become(c, vp);
    vp_choose_event(vp);
    timer_set(next_timer != 0 && next_timer < slice_end ? next_timer : slice_end);
    __atomic_store_n(&c->running, vp, __ATOMIC_SEQ_CST);
    spin_unlock(&hv_lock);
    u64 begin = insn_rdtsc();
    arch->run(vp, &exit);
    vp->runtime += insn_rdtsc() - begin;
    __atomic_store_n(&c->running, NULL, __ATOMIC_SEQ_CST);
    if (exit.kind == HV_EXIT_INTERRUPT) {
        external_take();
    }
    spin_lock(&hv_lock);
    exit_handle(vp, &exit);
    if ((vp->suspend & (VP_SUSPEND_EXPLICIT | VP_SUSPEND_INTERCEPT | VP_SUSPEND_STARTUP)) != 0) {
        vp_fetch(vp);
    }
}

_Noreturn void cpu_loop(void)
{
    struct cpu *c = this_cpu();
    u64 slice_end = 0;
    c->online = 1;
    while (__atomic_load_n(&root_partition, __ATOMIC_ACQUIRE) == NULL) {
        insn_pause();
    }
    spin_lock(&hv_lock);
    for (;;) {
        __atomic_store_n(&c->work, 0, __ATOMIC_SEQ_CST);
        external_deliver();
        u64 next_timer = poll_timers(c);
        startup_poll(c);
        vtl_poll(c);
        u64 now = insn_rdtsc();
        bool over = now >= slice_end || c->slice_over;
        struct vp *vp = choose(c, over);
        if (vp != active_level(c->running_turn) || over) {
            c->slice_over = false;
            slice_end = now + tsc_hz / SLICES_PER_SECOND;
        }
        c->running_turn = vp;
        if (vp == NULL) {
            idle(c, next_timer);
            continue;
        }
        if (vp->partition != root_partition) {
            c->turn = vp;
        }
        run(c, vp, next_timer, slice_end);
    }
}
