/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The domain: version, memory, parameters, clock, its one vCPU. [Xen public/version.h, memory.h, vcpu.h, hvm/params.h]
 * Left out: other vCPUs, ballooning, grant version 2, moving the shared info a second time. */
#include "abi/hyperv/msr.h"
#include "guests/adapter/adapter.h"

#define FEATURES 0x2305u /* writable page tables, translated, callback vector, safe clock, memory nodes */
#define GRANT_FRAMES 4u
#define PARAMS 64u
#define PARAM_STORE_PFN 1
#define PARAM_STORE_EVENT 2
#define PARAM_CONSOLE_PFN 17
#define PARAM_CONSOLE_EVENT 18
#define SPACE_SHARED_INFO 0
#define SPACE_GRANT 1

#define INFO_TIME 32
#define SHARED_WALL_CLOCK 3072
#define TIME_STABLE 1u

static u8 own_shared_info[4096] __attribute__((aligned(4096)));
static u8 own_runstate[48] __attribute__((aligned(64)));
u8 *shared_info = own_shared_info;
struct vcpu vcpu;
static u64 params[PARAMS];
static u8 *time_copy;

static i64 put(u64 gva, const void *from, u64 size) { return guest_put(gva, from, size) ? 0 : -XEN_EFAULT; }

void domain_init(void)
{
    memset(shared_info + 2560, 0xff, 512); /* all events masked */
    vcpu.info = shared_info;
    vcpu.runstate = own_runstate;
    params[PARAM_STORE_PFN] = ADAPTER_STORE_AT >> PAGE_SHIFT;
    params[PARAM_STORE_EVENT] = EVENT_STORE;
    params[PARAM_CONSOLE_PFN] = ADAPTER_CONSOLE_AT >> PAGE_SHIFT;
    params[PARAM_CONSOLE_EVENT] = EVENT_CONSOLE;
    event_init();
    domain_write_time();
}

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
    *version += 1;
    __asm__ volatile("" : : : "memory");
    memcpy(at + 8, &tsc, 8);
    memcpy(at + 16, &now, 8);
    memcpy(at + 24, &mul, 4);
    at[28] = (u8)shift;
    at[29] = TIME_STABLE;
    __asm__ volatile("" : : : "memory");
    *version += 1;
}

void domain_write_time(void)
{
    fill_time(vcpu.info + INFO_TIME);
    if (time_copy != NULL) {
        fill_time(time_copy);
    }
}

/* xen_version */
i64 xen_get_version(u64 a, u64 b)
{
    (void)a;
    (void)b;
    return 4 << 16 | 17;
}

i64 xen_get_extraversion(u64 a, u64 b)
{
    (void)b;
    return put(a, ".0-vitrine\0\0\0\0\0", 16);
}

i64 xen_get_capabilities(u64 a, u64 b)
{
    static const char text[1024] = "hvm-3.0-x86_32 hvm-3.0-x86_64";
    (void)b;
    return put(a, text, sizeof text);
}

i64 xen_get_platform(u64 a, u64 b)
{
    u64 start = 0;
    (void)b;
    return put(a, &start, 8);
}

i64 xen_get_features(u64 a, u64 b)
{
    u32 map[2];
    (void)b;
    if (!guest_get(a, map, sizeof map)) {
        return -XEN_EFAULT;
    }
    map[1] = FEATURES;
    return map[0] == 0 ? put(a, map, sizeof map) : -XEN_EINVAL;
}

i64 xen_get_pagesize(u64 a, u64 b)
{
    (void)a;
    (void)b;
    return (i64)PAGE_SIZE;
}

i64 xen_get_handle(u64 a, u64 b)
{
    u8 handle[16] = {0};
    (void)b;
    handle[15] = (u8)boot->domain;
    return put(a, handle, sizeof handle);
}

/* memory_op */
i64 xen_current_reservation(u64 a, u64 b)
{
    (void)a;
    (void)b;
    return (i64)((boot->memory - ADAPTER_BYTES) >> PAGE_SHIFT);
}

i64 xen_maximum_reservation(u64 a, u64 b) { return xen_current_reservation(a, b); }

i64 xen_maximum_gpfn(u64 a, u64 b)
{
    (void)a;
    (void)b;
    return (i64)(boot->memory >> PAGE_SHIFT) - 1;
}

i64 xen_memory_map(u64 a, u64 b)
{
    struct {
        u32 count, padding;
        u64 list;
    } map;
    struct __attribute__((packed)) {
        u64 at, size;
        u32 type;
    } e[4] = {{0, 0x9f000, 1},
              {0x9f000, 0x61000, 2},
              {0x100000, ADAPTER_AT - 0x100000, 1},
              {ADAPTER_AT, ADAPTER_BYTES, 2}},
      last = {ADAPTER_AT + ADAPTER_BYTES, boot->memory - ADAPTER_AT - ADAPTER_BYTES, 1};
    (void)b;
    if (!guest_get(a, &map, sizeof map)) {
        return -XEN_EFAULT;
    }
    if (map.count < 5) {
        return -XEN_EINVAL;
    }
    map.count = 5;
    bool ok = guest_put(map.list, e, sizeof e) && guest_put(map.list + sizeof e, &last, sizeof last);
    return ok ? put(a, &map, sizeof map) : -XEN_EFAULT;
}

static void *grant_frames[GRANT_FRAMES];

/* The frame where the guest wants the page; a hole is filled by the root. */
static u8 *take_frame(u64 gfn)
{
    u8 *frame = guest_frame(gfn);
    if (frame == NULL && gfn >= boot->memory >> PAGE_SHIFT && root_map(gfn) && guest_add_frame(gfn)) {
        frame = guest_frame(gfn);
    }
    return frame;
}

i64 xen_add_to_physmap(u64 a, u64 b)
{
    struct {
        u16 domain, size;
        u32 space;
        u64 index, gfn;
    } in;
    (void)b;
    if (!guest_get(a, &in, sizeof in)) {
        return -XEN_EFAULT;
    }
    bool known = (in.space == SPACE_SHARED_INFO && in.index == 0) || (in.space == SPACE_GRANT && in.index < GRANT_FRAMES);
    if (in.domain != DOMID_SELF || !known) {
        return -XEN_EINVAL;
    }
    u8 *frame = take_frame(in.gfn);
    if (frame == NULL) {
        adapter_log("adapter: no page at %lx for the guest\n", in.gfn);
        return -XEN_ENOMEM;
    }
    if (in.space == SPACE_GRANT) {
        if (grant_frames[in.index] != NULL) {
            memcpy(frame, grant_frames[in.index], PAGE_SIZE);
        } else {
            memset(frame, 0, PAGE_SIZE);
        }
        grant_frames[in.index] = frame;
        return 0;
    }
    memcpy(frame, shared_info, PAGE_SIZE);
    if (vcpu.info == shared_info) {
        vcpu.info = frame;
    }
    shared_info = frame;
    domain_write_time();
    return 0;
}

/* grant_table_op */
i64 xen_grant_query(u64 a, u64 b)
{
    u32 q[4];
    (void)b;
    if (!guest_get(a, q, sizeof q)) {
        return -XEN_EFAULT;
    }
    q[1] = GRANT_FRAMES;
    q[2] = GRANT_FRAMES;
    q[3] = 0;
    return put(a, q, sizeof q);
}

i64 xen_grant_version(u64 a, u64 b)
{
    u32 v[2] = {DOMID_SELF, 1};
    (void)b;
    return put(a, v, sizeof v);
}

i64 xen_assist_enable(u64 a, u64 b)
{
    (void)b;
    return a == 5 ? 0 : -XEN_EINVAL; /* the runstate's update flag: it never changes while the guest looks */
}

i64 xen_assist_disable(u64 a, u64 b) { return xen_assist_enable(a, b); }

/* vcpu_op: a is the vCPU */
i64 xen_vcpu_is_up(u64 a, u64 b)
{
    (void)b;
    return a == 0 ? 1 : -XEN_ENOENT;
}

static void fill_runstate(u8 *at)
{
    u64 now = hv_time() * 100;
    memset(at, 0, 48);
    memcpy(at + 16, &now, 8); /* running, since ever */
}

i64 xen_get_runstate(u64 a, u64 b)
{
    u8 state[48];
    fill_runstate(state);
    return a == 0 ? put(b, state, sizeof state) : -XEN_ENOENT;
}

i64 xen_register_runstate(u64 a, u64 b)
{
    u8 state[48];
    u64 gva;
    fill_runstate(state);
    if (a != 0) {
        return -XEN_ENOENT;
    }
    return guest_get(b, &gva, 8) ? put(gva, state, sizeof state) : -XEN_EFAULT;
}

i64 xen_stop_periodic(u64 a, u64 b)
{
    (void)b;
    return a == 0 ? 0 : -XEN_ENOENT;
}

i64 xen_set_singleshot(u64 a, u64 b)
{
    struct {
        u64 timeout;
        u32 flags, padding;
    } in;
    if (a != 0) {
        return -XEN_ENOENT;
    }
    if (!guest_get(b, &in, sizeof in)) {
        return -XEN_EFAULT;
    }
    u64 at = (in.timeout + 99) / 100;
    if ((in.flags & 1) != 0 && at <= hv_time()) {
        return -XEN_ETIME;
    }
    hv_timer(at != 0 ? at : 1);
    return 0;
}

i64 xen_stop_singleshot(u64 a, u64 b)
{
    (void)b;
    hv_timer(0);
    return a == 0 ? 0 : -XEN_ENOENT;
}

i64 xen_register_vcpu_info(u64 a, u64 b)
{
    struct {
        u64 gfn;
        u32 offset, padding;
    } in;
    if (a != 0) {
        return -XEN_ENOENT;
    }
    if (!guest_get(b, &in, sizeof in)) {
        return -XEN_EFAULT;
    }
    u8 *frame = guest_frame(in.gfn);
    if (frame == NULL || in.offset > PAGE_SIZE - 64 || (in.offset & 7) != 0 || vcpu.info_registered) {
        return -XEN_EINVAL;
    }
    memcpy(frame + in.offset, vcpu.info, 64);
    vcpu.info = frame + in.offset;
    vcpu.info_registered = true;
    domain_write_time();
    return 0;
}

i64 xen_register_time(u64 a, u64 b)
{
    (void)a;
    (void)b;
    return -XEN_ENOSYS; /* by a virtual address: Linux goes without */
}

/* sched_op */
i64 xen_yield(u64 a, u64 b)
{
    (void)a;
    (void)b;
    hv_yield();
    return 0;
}

i64 xen_shutdown(u64 a, u64 b)
{
    u32 reason;
    (void)b;
    if (!guest_get(a, &reason, 4)) {
        return -XEN_EFAULT;
    }
    root_power(reason);
    return 0;
}

/* hvm_op */
struct param {
    u16 domain, padding;
    u32 index;
    u64 value;
};

i64 xen_get_param(u64 a, u64 b)
{
    struct param p;
    (void)b;
    if (!guest_get(a, &p, sizeof p)) {
        return -XEN_EFAULT;
    }
    if (p.index >= PARAMS) {
        return -XEN_EINVAL;
    }
    p.value = params[p.index];
    return put(a, &p, sizeof p);
}

i64 xen_set_param(u64 a, u64 b)
{
    struct param p;
    (void)b;
    if (!guest_get(a, &p, sizeof p)) {
        return -XEN_EFAULT;
    }
    if (p.index != 0) {
        return p.index < PARAMS ? -XEN_EPERM : -XEN_EINVAL;
    }
    params[0] = p.value;
    if (p.value >> 56 == 2) { /* a vector; delivered as an edge by the local APIC, not level-like as Xen does */
        event_set_vector((u8)p.value);
    }
    return 0;
}

i64 xen_set_upcall_vector(u64 a, u64 b)
{
    u8 in[8] = {0};
    (void)b;
    if (!guest_get(a, in, 5)) {
        return -XEN_EFAULT;
    }
    if (in[4] < 16 || in[0] != 0) {
        return -XEN_EINVAL;
    }
    event_set_vector(in[4]);
    return 0;
}
