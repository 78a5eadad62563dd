/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The domain: version, memory, parameters. [Xen public/version.h, memory.h, hvm/params.h]
 * Left out: ballooning beyond what the guest had at first. */
#include "abi/hyperv/hypercall.h"
#include "guests/adapter/adapter.h"
#include "guests/adapter/grant.h"

#define FEATURES 0x2305u /* writable page tables, translated, callback vector, safe clock, memory nodes */
#define PARAMS 64u
#define PARAM_STORE_PFN 1
#define PARAM_STORE_EVENT 2
#define PARAM_CONSOLE_PFN 17
#define PARAM_CONSOLE_EVENT 18
#define SPACE_SHARED_INFO 0
#define SPACE_GRANT 1
#define RIGHTS_ALL 0xfu
#define LOW_RESERVED 0x9fu
#define LOW_END 0x100u

static u8 own_shared_info[4096] __attribute__((aligned(4096)));
u8 *shared_info = own_shared_info;
static u64 params[PARAMS];
static u64 given_up; /* pages */

static i64 put(u64 gva, const void *from, u64 size) { return guest_put(gva, from, size) ? 0 : -XEN_EFAULT; }

bool domain_is_narrow;

/* Only at first, with the guest's hypercall page: nothing is in the shared page yet but masks and time. */
void domain_set_width(bool narrow)
{
    if (narrow != domain_is_narrow && shared_info == own_shared_info) {
        domain_is_narrow = narrow;
        memset(shared_info, 0, sizeof own_shared_info);
        event_mask_all();
        time_init();
    }
}

void domain_init(void)
{
    event_mask_all();
    for (u32 i = 0; i < boot->vps; i++) {
        vps[i].info = shared_info + 64ull * i;
    }
    params[PARAM_STORE_PFN] = ADAPTER_STORE_AT >> PAGE_SHIFT;
    params[PARAM_STORE_EVENT] = EVENT_STORE;
    params[PARAM_CONSOLE_PFN] = ADAPTER_CONSOLE_AT >> PAGE_SHIFT;
    params[PARAM_CONSOLE_EVENT] = EVENT_CONSOLE;
    event_init();
    store_init();
    time_init();
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

/* Nobody's compiler is told: four texts of 64, 16, 32 and 32 bytes. */
i64 xen_get_compile_info(u64 a, u64 b)
{
    static const char text[144] = "";
    (void)b;
    return put(a, text, sizeof text);
}

i64 xen_get_changeset(u64 a, u64 b)
{
    static const char text[64] = "";
    (void)b;
    return put(a, text, sizeof text);
}

i64 xen_get_commandline(u64 a, u64 b)
{
    static const char text[1024] = "";
    (void)b;
    return put(a, text, sizeof text);
}

i64 xen_get_platform(u64 a, u64 b)
{
    u64 start = 0;
    (void)b;
    return put(a, &start, call_is_narrow ? 4 : 8);
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
    return (i64)(((boot->memory - ADAPTER_BYTES) >> PAGE_SHIFT) - given_up);
}

i64 xen_maximum_reservation(u64 a, u64 b)
{
    (void)a;
    (void)b;
    return (i64)((boot->memory - ADAPTER_BYTES) >> PAGE_SHIFT);
}

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
    if (!guest_get(a, &map, call_is_narrow ? 8 : sizeof map)) {
        return -XEN_EFAULT;
    }
    if (map.count < 5) {
        return -XEN_EINVAL;
    }
    map.count = 5;
    map.list = call_is_narrow ? map.padding : map.list;
    bool ok = guest_put(map.list, e, sizeof e) && guest_put(map.list + sizeof e, &last, sizeof last);
    return ok ? put(a, &map.count, sizeof map.count) : -XEN_EFAULT;
}

struct reservation {
    u64 list, count;
    u32 order, flags;
    u16 domain;
};

/* Pages are closed to VTL 0 before the guest hears of it, and zeroed before it has them again. */
static bool change_page(u64 gfn, bool give_up)
{
    bool reserved = gfn >= LOW_RESERVED && gfn < LOW_END; /* start info, tables */
    if (reserved || gfn >= boot->memory >> PAGE_SHIFT || guest_is_masked(gfn) == give_up) {
        return false;
    }
    if (give_up) {
        if (!guest_is_ram(gfn) || guest_frame(gfn) == shared_info || guest_is_pinned(gfn) || hv_protect(gfn, 1, 0) != HV_SUCCESS) {
            return false;
        }
        guest_mask(gfn, true);
        given_up++;
        return true;
    }
    memset(at_address(gfn << PAGE_SHIFT), 0, PAGE_SIZE);
    guest_mask(gfn, false);
    given_up--;
    return hv_protect(gfn, 1, RIGHTS_ALL) == HV_SUCCESS;
}

static bool get_reservation(u64 gva, struct reservation *r)
{
    u32 narrow[5];
    if (!call_is_narrow) {
        return guest_get(gva, r, sizeof *r);
    }
    bool ok = guest_get(gva, narrow, sizeof narrow);
    *r = (struct reservation){narrow[0], narrow[1], narrow[2], narrow[3], (u16)narrow[4]};
    return ok;
}

/* The count of extents that were done. */
static i64 change_reservation(u64 a, bool give_up)
{
    struct reservation r;
    if (!get_reservation(a, &r)) {
        return -XEN_EFAULT;
    }
    u64 size = call_is_narrow ? 4 : 8;
    if (r.domain != DOMID_SELF || r.order > 9) {
        return r.order > 9 ? -XEN_EINVAL : -XEN_EPERM;
    }
    for (u64 i = 0; i < r.count; i++) {
        u64 gfn = 0;
        if (!guest_get(r.list + size * i, &gfn, size)) {
            return (i64)i;
        }
        for (u64 n = 0; n < 1ull << r.order; n++) {
            if (!change_page(gfn + n, give_up)) {
                return (i64)i;
            }
        }
    }
    return (i64)r.count;
}

i64 xen_decrease_reservation(u64 a, u64 b)
{
    (void)b;
    return change_reservation(a, true);
}

i64 xen_populate_physmap(u64 a, u64 b)
{
    (void)b;
    return change_reservation(a, false);
}

i64 xen_remove_from_physmap(u64 a, u64 b)
{
    struct {
        u16 domain, padding[3];
        u64 gfn;
    } in;
    u32 narrow[2];
    (void)b;
    if (call_is_narrow ? !guest_get(a, narrow, sizeof narrow) : !guest_get(a, &in, sizeof in)) {
        return -XEN_EFAULT;
    }
    if (call_is_narrow) {
        in.domain = (u16)narrow[0];
        in.gfn = narrow[1];
    }
    return in.domain != DOMID_SELF ? -XEN_EPERM : (change_page(in.gfn, true) ? 0 : -XEN_EINVAL);
}

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
    u32 narrow[2];
    (void)b;
    if (!guest_get(a, &in, call_is_narrow ? 8 : sizeof in) || (call_is_narrow && !guest_get(a + 8, narrow, sizeof narrow))) {
        return -XEN_EFAULT;
    }
    if (call_is_narrow) {
        in.index = narrow[0];
        in.gfn = narrow[1];
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
        grant_place((u32)in.index, frame);
        return 0;
    }
    memcpy(frame, shared_info, PAGE_SIZE);
    for (u32 i = 0; i < boot->vps; i++) {
        vps[i].info = vps[i].info_registered ? vps[i].info : frame + 64ull * i;
    }
    shared_info = frame;
    time_init();
    return 0;
}

i64 xen_assist_enable(u64 a, u64 b)
{
    (void)b;
    return a == 5 ? 0 : -XEN_EINVAL; /* the runstate's update flag: it never changes while the guest looks */
}

i64 xen_assist_disable(u64 a, u64 b) { return xen_assist_enable(a, b); }

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
        for (u32 i = 0; i < boot->vps; i++) {
            event_set_vector(&vps[i], (u8)p.value);
        }
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
    u32 index;
    memcpy(&index, in, sizeof index);
    struct vp *vp = vcpu_of(index);
    if (vp == NULL) {
        return -XEN_ENOENT;
    }
    if (in[4] < 16) {
        return -XEN_EINVAL;
    }
    event_set_vector(vp, in[4]);
    return 0;
}
