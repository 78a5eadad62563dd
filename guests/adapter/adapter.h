/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The adapter: what its files offer each other. Runs with interrupts off but where it asks for them. */
#ifndef GUESTS_ADAPTER_ADAPTER_H
#define GUESTS_ADAPTER_ADAPTER_H

#include "abi/adapter_root.h"
#include "abi/hyperv/hypercall.h"
#include "guests/lib/lib.h"

extern struct adapter_boot *boot;

/* What a virtual processor has in VTL 2, at its GS base, and what the guest told of it. Offsets of the first three are run.S's. */
struct vp {
    struct vp *self;
    u64 gpr[16]; /* VTL 0's as it left them, in the encoding's order; RAX and RCX go back by the assist page */
    u64 return_stub;
    u32 index;
    volatile bool ready;
    u8 *assist, *input, *output, *messages;
    /* The guest's vCPU of the same number. */
    bool online, info_registered, initialised;
    u8 vector;
    volatile bool owed; /* an upcall that could not be delivered yet */
    u8 *info; /* vcpu_info */
    u8 *runstate[2]; /* in two pieces where it crosses a page */
    u32 runstate_first, runstate_bytes;
    u8 *time_copy;
    u32 timer_port, debug_port;
    bool wants_up, wants_down, wants_timer; /* asked by another VP; done when this one is kicked */
    u64 timer_at;
    u64 context[16]; /* vcpu_op initialise */
    /* Xen's call that is being answered, as the trace port calls it, 0 none; what it was called for so far. */
    u64 call, calls, made;
};
#define VP_MAX 16
extern struct vp vps[VP_MAX];
enum { GPR_AX, GPR_CX, GPR_DX, GPR_BX, GPR_SP, GPR_BP, GPR_SI, GPR_DI, GPR_R8, GPR_R9, GPR_R10 };
static inline struct vp *self(void)
{
    struct vp *vp;
    __asm__("mov %%gs:0, %0" : "=r"(vp));
    return vp;
}
void vtl_run(void);

/* main.c: one lock for everything that VPs have in common; not held while VTL 0 runs or the VP waits for an interrupt. */
void lock(void);
void unlock(void);

/* hyperv.c: the calls that are really made. A status, all of them. */
void hyperv_init(void);    /* partition */
void hyperv_vp_init(void); /* each VP */
void hyperv_start_others(void (*entry)(void));
u16 hv_get(u32 name, u64 *value); /* registers of VTL 0 of this VP */
u16 hv_set(u32 name, u64 value);
u16 hv_set_segment(u32 name, struct hv_segment segment);
u16 hv_install_intercept(u32 type, u32 access);
u16 hv_protect(u64 gfn, u64 count, u32 rights); /* of VTL 0 */
u16 hv_interrupt(u32 vp, u32 type, u8 vector);  /* in VTL 0 */
u16 hv_kick(u32 vp);                            /* VTL 2 there looks at what is wanted of it */
u16 hv_post(const struct adapter_message *m);
u16 hv_post_to(u32 connection, u32 type, const void *data, u32 size);
u16 hv_signal(u32 connection);
bool hv_receive_from(u32 sint, u8 message[240], u32 *size); /* VP 0's; false: none waits */
void hv_take_events(u32 sint, u32 *words, u32 count);
bool hv_receive(struct adapter_message *m); /* false: none waits */
void hv_yield(void);
void hv_timer(u64 at); /* reference time; 0: off */
/* Of VTL 0's call `number`, with its first argument: what is made from here on is for it, until hv_answered. */
void hv_answers(u64 number, u64 command);
void hv_answered(void);
u64 hv_time(void);     /* 100 ns */
u64 hv_runtime(void);

/* root.c: messages to the root and from it */
void root_receive(void);
void root_console(enum adapter_stream stream, const char *text, u32 count);
void adapter_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void root_power(u32 reason);
void root_control_taken(void); /* the guest does what CONTROL asked for */
/* A zeroed page at gfn. False: the root does not give one. */
bool root_map(u64 gfn);

/* memory.c: VTL 0's memory. Addresses are looked up before they are touched. */
bool guest_is_ram(u64 gfn);
void *guest_frame(u64 gfn); /* NULL: not RAM of VTL 0, or its very first page */
bool guest_add_frame(u64 gfn); /* false: no room */
void guest_mask(u64 gfn, bool masked); /* a frame that the guest gave up, or has again */
bool guest_is_masked(u64 gfn);
bool guest_pin(u64 gfn); /* not to be given up; false: too many */
void guest_unpin(u64 gfn);
bool guest_is_pinned(u64 gfn);
u8 *guest_at(u64 gva); /* for writing; NULL: a fault */
bool guest_get(u64 gva, void *to, u64 size);
bool guest_put(u64 gva, const void *from, u64 size);

/* xen.c: numbers of errors and the dispatcher */
#define XEN_EPERM 1
#define XEN_ENOENT 2
#define XEN_EAGAIN 11
#define XEN_ENOMEM 12
#define XEN_EFAULT 14
#define XEN_EBUSY 16
#define XEN_EEXIST 17
#define XEN_EINVAL 22
#define XEN_ENOSPC 28
#define XEN_ENOSYS 38
#define XEN_ETIME 62
#define DOMID_SELF 0x7ff0u
/* The one that is answered came from 32-bit code: structures are narrower. And so is the shared page, once such code has set up its
 * hypercall page. */
extern bool call_is_narrow, domain_is_narrow;
void domain_set_width(bool narrow);
typedef i64 (*xen_handler)(u64 a, u64 b);
i64 xen_call(u64 number, const u64 args[5]);
bool xen_cpuid(u32 leaf, u32 sub, u32 r[4]);
bool xen_write_msr(u32 msr, u64 value);
#define XEN_MSR_PAGE 0x40000200u

/* domain.c, time.c, vcpu.c: shared info, clocks, vCPUs */
extern u8 *shared_info;
void domain_init(void);
void time_write(struct vp *vp);
void time_init(void);
void runstate_write(struct vp *vp);
void vcpu_wanted(void); /* what other VPs asked of this one */
static inline struct vp *vcpu_of(u64 index) { return index < boot->vps ? &vps[index] : NULL; }

/* event.c */
void event_init(void);
void event_mask_all(void);
void event_raise(u32 port);
void event_set_vector(struct vp *vp, u8 vector);
void event_interrupt(struct vp *vp);
bool event_is_pending(u32 port);
bool event_any(const struct vp *vp); /* an upcall waits */
/* A backend takes the other end of an unbound port, and is told when the guest notifies it. */
bool event_bind(u32 port, void (*notify)(void *owner), void *owner);
void event_unbind(u32 port, const void *owner);
void event_notify(u32 port, const void *owner);
#define EVENT_STORE 1u
#define EVENT_CONSOLE 2u

/* console.c, store.c: rings */
void console_notify(void);
void console_type(const u8 *text, u32 count);
void store_notify(void);
void store_init(void);
void store_set(const char *path, const char *value);
void store_shutdown(const char *how); /* to control/shutdown */
const char *store_get(const char *path); /* NULL: none */
void store_delete(const char *path);

/* xenbus.c: looks at what frontends have written */
void xenbus_work(void);

i64 xen_set_timer(u64 a, u64 b);
#define XEN_CALL(number, sub, handler, made) i64 handler(u64 a, u64 b);
#include "guests/adapter/calls.def"
#undef XEN_CALL

#endif
