/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The adapter: what its files offer each other. One VP; runs with interrupts off but where it asks for them. */
#ifndef GUESTS_ADAPTER_ADAPTER_H
#define GUESTS_ADAPTER_ADAPTER_H

#include "abi/adapter_root.h"
#include "abi/hyperv/hypercall.h"
#include "guests/lib/lib.h"

extern struct adapter_boot *boot;

/* hyperv.c: the calls that are really made. A status, all of them. */
void hyperv_init(void);
extern u8 assist_page[4096];
u16 hv_get(u32 name, u64 *value); /* registers of VTL 0 */
u16 hv_set(u32 name, u64 value);
u16 hv_set_own(u32 name, u64 value);
u16 hv_install_intercept(u32 type, u32 access);
u16 hv_protect(u64 gfn, u64 count); /* VTL 0 loses all rights */
u16 hv_interrupt(u8 vector);        /* in VTL 0 */
u16 hv_post(const struct adapter_message *m);
bool hv_receive(struct adapter_message *m); /* false: none waits */
void hv_yield(void);
void hv_timer(u64 at); /* reference time; 0: off */
u64 hv_time(void);     /* 100 ns */

/* root.c: messages to the root and from it */
void root_receive(void);
void root_console(enum adapter_stream stream, const char *text, u32 count);
void adapter_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
void root_power(u32 reason);
/* A zeroed page at gfn. False: the root does not give one. */
bool root_map(u64 gfn);

/* VTL 0's registers as it left them; RAX and RCX go back by the assist page. In the encoding's order. */
extern u64 guest_gpr[16];
enum { GPR_AX, GPR_CX, GPR_DX, GPR_BX, GPR_SP, GPR_BP, GPR_SI, GPR_DI, GPR_R8, GPR_R9, GPR_R10 };
extern u64 vtl_return_stub;
void vtl_run(void);

/* memory.c: VTL 0's memory. Addresses are looked up before they are touched. */
void *guest_frame(u64 gfn); /* NULL: not RAM of VTL 0 */
bool guest_add_frame(u64 gfn); /* false: no room */
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
typedef i64 (*xen_handler)(u64 a, u64 b);
i64 xen_call(u64 number, const u64 args[5]);
bool xen_cpuid(u32 leaf, u32 sub, u32 r[4]);
bool xen_write_msr(u32 msr, u64 value);
#define XEN_MSR_PAGE 0x40000200u

/* domain.c: shared info, clock, parameters */
extern u8 *shared_info;
struct vcpu {
    u8 *info; /* vcpu_info */
    bool info_registered;
    u8 *runstate;
    u8 vector;
};
extern struct vcpu vcpu;
void domain_init(void);
void domain_write_time(void);

/* event.c */
void event_init(void);
void event_raise(u32 port);
void event_set_vector(u8 vector);
void event_timer(void); /* STIMER0 has fired */
#define EVENT_STORE 1u
#define EVENT_CONSOLE 2u

/* console.c, store.c: rings */
void console_notify(void);
void console_type(const u8 *text, u32 count);
void store_notify(void);

#define XEN_CALL(number, sub, handler, made) i64 handler(u64 a, u64 b);
#include "guests/adapter/calls.def"
#undef XEN_CALL

#endif
