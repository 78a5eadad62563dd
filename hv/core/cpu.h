/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One physical processor: what is its own. Reached through GS. */
#ifndef HV_CORE_CPU_H
#define HV_CORE_CPU_H

#include "hv/core/types.h"

#define CPU_MAX 16
#define CPU_STACK_BYTES 0x4000

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define SEL_TSS 0x20

struct vp;

struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3;
    u16 iomap;
} __attribute__((packed));

struct cpu {
    struct cpu *self; /* first: %gs:0 */
    u64 recover_rip;  /* second: %gs:8; where to go on after a fault that is expected, 0 none */
    u32 index;
    u32 apic_id;
    volatile u32 online;
    volatile u32 stop;
    u64 gdt[6];
    struct tss tss;
    u8 *stack_top;
    struct vp *running;   /* whose state is in the processor, NULL none */
    struct vp *last_vp;   /* whose FPU and system MSRs are in the processor */
    struct vp *first_vp;  /* VPs that live here, linked by vp->next_here */
    struct vp *turn;      /* of the children's, who ran last: the scheduler goes on behind it */
    struct vp *running_turn; /* whose slice it is */
    bool slice_over;      /* whoever runs gives up the rest of its slice */
    bool root_had_its_slice; /* the others come first until one of theirs ends, too */
    u64 timer_armed;      /* TSC at which the physical timer fires, 0 not armed */
    volatile u32 work;    /* another processor changed something here: look again before entering */
    void *arch_host;      /* VMXON region, or host save area */
    void *arch_extra;
};

extern struct cpu cpus[CPU_MAX];
extern u32 cpu_count;

#ifdef HV_HOST
static inline struct cpu *this_cpu(void) { return &cpus[0]; }
#else
static inline struct cpu *this_cpu(void)
{
    struct cpu *c;
    __asm__("mov %%gs:0, %0" : "=r"(c));
    return c;
}
#endif

/* GDT, TSS, IDT, GS of this processor. */
void cpu_init(struct cpu *c);
/* MSR accesses that may fault: false if they did. */
bool msr_read_safe(u32 msr, u64 *value);
bool msr_write_safe(u32 msr, u64 value);

#endif
