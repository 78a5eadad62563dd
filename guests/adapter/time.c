/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's clocks: vcpu_time_info from the reference time and the TSC, the wall clock, run states, timers. [Xen public/xen.h, vcpu.h]
 * A halted VP and one that its parent does not let run look alike: runnable time is always 0. */
#include "abi/hyperv/msr.h"
#include "guests/adapter/adapter.h"

#define INFO_TIME 32
#define TIME_BYTES 32u
#define TIME_STABLE 1u
#define RUNSTATE_BYTES 48u
#define RUNSTATE_NARROW_BYTES 44u /* numbers of 64 bits follow each other there */
#define SHARED_WALL_CLOCK (domain_is_narrow ? 2304u : 3072u)

static void fill_time(u8 *at)
{
    u64 hz = rdmsr(HV_MSR_TSC_FREQUENCY);
    u64 scaled = 1000000000ull << 32;
    i64 shift = 0;
    while (scaled / hz >> 32 != 0) { /* the processor is slower than 1 GHz */
        scaled >>= 1;
        shift++;
    }
    u32 lo, hi;
    u64 now = hv_time() * 100;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    u64 tsc = (u64)hi << 32 | lo;
    u32 mul = (u32)(scaled / hz);
    volatile u32 *version = (u32 *)(void *)at;
    *version = (*version + 1) | 1; /* whatever the guest had there */
    __asm__ volatile("" : : : "memory");
    memcpy(at + 8, &tsc, 8);
    memcpy(at + 16, &now, 8);
    memcpy(at + 24, &mul, 4);
    at[28] = (u8)shift;
    at[29] = TIME_STABLE;
    __asm__ volatile("" : : : "memory");
    *version += 1;
}

void time_write(struct vp *vp)
{
    fill_time(vp->info + INFO_TIME);
    if (vp->time_copy != NULL) {
        fill_time(vp->time_copy);
    }
}

/* Seconds since 1970 when the partition's reference time was 0. */
static void write_wall_clock(void)
{
    volatile u32 *at = (u32 *)(void *)(shared_info + SHARED_WALL_CLOCK);
    at[0] += 1;
    __asm__ volatile("" : : : "memory");
    at[1] = (u32)boot->wall_seconds;
    at[2] = 0;
    at[3] = (u32)(boot->wall_seconds >> 32);
    __asm__ volatile("" : : : "memory");
    at[0] += 1;
}

void time_init(void)
{
    write_wall_clock();
    for (u32 i = 0; i < boot->vps; i++) {
        time_write(&vps[i]);
    }
}

/* In the layout of which `bytes` is the size: state, time of its entry, times spent in each. */
static void fill_runstate(const struct vp *vp, u8 *at, u32 bytes)
{
    u32 first = bytes - 40;
    u64 now = hv_time() * 100;
    u64 running = vp == self() ? hv_runtime() * 100 : 0;
    u64 rest = now > running ? now - running : 0;
    memset(at, 0, bytes);
    memcpy(at + first, &now, 8);
    memcpy(at + first + 8, &running, 8);
    memcpy(at + first + 24, &rest, 8); /* blocked */
}

void runstate_write(struct vp *vp)
{
    u8 state[RUNSTATE_BYTES];
    if (vp->runstate[0] == NULL) {
        return;
    }
    fill_runstate(vp, state, vp->runstate_bytes);
    memcpy(vp->runstate[0], state, vp->runstate_first);
    memcpy(vp->runstate[1], state + vp->runstate_first, vp->runstate_bytes - vp->runstate_first);
}

i64 xen_get_runstate(u64 a, u64 b)
{
    u8 state[RUNSTATE_BYTES];
    struct vp *vp = vcpu_of(a);
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    u32 bytes = call_is_narrow ? RUNSTATE_NARROW_BYTES : RUNSTATE_BYTES;
    fill_runstate(vp, state, bytes);
    return guest_put(b, state, bytes) ? 0 : -XEN_EFAULT;
}

/* A pointer, in 8 bytes in any case: of a narrow one the others are anything. */
static bool get_pointer(u64 at, u64 *gva)
{
    *gva = 0;
    return guest_get(at, gva, call_is_narrow ? 4 : 8);
}

/* The area's address is translated once. */
i64 xen_register_runstate(u64 a, u64 b)
{
    struct vp *vp = vcpu_of(a);
    u64 gva;
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    if (!get_pointer(b, &gva)) {
        return -XEN_EFAULT;
    }
    u32 bytes = call_is_narrow ? RUNSTATE_NARROW_BYTES : RUNSTATE_BYTES;
    u32 first = (u32)min_u64(bytes, PAGE_SIZE - (gva & PAGE_MASK));
    u8 *low = guest_at(gva);
    u8 *high = guest_at(gva + bytes - 1);
    if (low == NULL || high == NULL) {
        return -XEN_EFAULT;
    }
    vp->runstate[0] = low;
    vp->runstate[1] = first < bytes ? high - (bytes - 1 - first) : low;
    vp->runstate_first = first;
    vp->runstate_bytes = bytes;
    runstate_write(vp);
    return 0;
}

i64 xen_register_time(u64 a, u64 b)
{
    struct vp *vp = vcpu_of(a);
    u64 gva;
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    if (!get_pointer(b, &gva)) {
        return -XEN_EFAULT;
    }
    u8 *at = (gva & PAGE_MASK) + TIME_BYTES <= PAGE_SIZE ? guest_at(gva) : NULL;
    if (at == NULL) {
        return -XEN_EINVAL;
    }
    vp->time_copy = at;
    time_write(vp);
    return 0;
}

/* STIMERs are per VP and per level: another VP's is set there. */
static void set_timer(struct vp *vp, u64 at)
{
    if (vp == self()) {
        hv_timer(at);
        return;
    }
    vp->timer_at = at;
    vp->wants_timer = true;
    (void)hv_kick(vp->index);
}

/* Reference time of Xen's: 0 would stop the timer. */
static u64 time_of(u64 ns)
{
    u64 at = ns / 100 + (ns % 100 != 0 ? 1 : 0);
    return at != 0 ? at : 1;
}

i64 xen_stop_periodic(u64 a, u64 b)
{
    (void)b;
    return vcpu_of(a) != NULL ? 0 : -XEN_ENOENT;
}

i64 xen_set_singleshot(u64 a, u64 b)
{
    struct {
        u64 timeout;
        u32 flags, padding;
    } in;
    struct vp *vp = vcpu_of(a);
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    if (!guest_get(b, &in, call_is_narrow ? 12 : sizeof in)) {
        return -XEN_EFAULT;
    }
    if ((in.flags & 1) != 0 && time_of(in.timeout) <= hv_time()) {
        return -XEN_ETIME;
    }
    set_timer(vp, time_of(in.timeout));
    return 0;
}

i64 xen_stop_singleshot(u64 a, u64 b)
{
    struct vp *vp = vcpu_of(a);
    (void)b;
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    set_timer(vp, 0);
    return 0;
}

/* The whole call has no command: its argument is the time. */
i64 xen_set_timer(u64 a, u64 b)
{
    (void)b;
    hv_timer(a != 0 ? time_of(a) : 0);
    return 0;
}
