/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The other processors: INIT, SIPI, one after the other through one page of low memory, which is put back. */
#include "hv/boot/boot.h"
#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/core/cpu.h"
#include "hv/core/insn.h"
#include "hv/core/string.h"
#include "hv/vcpu/run.h"

#define TRAMPOLINE 0x8000u
#define TRAMPOLINE_BYTES 256u

extern const u8 ap_trampoline[], ap_trampoline_end[];
extern u64 ap_stack;
static u8 stacks[CPU_MAX][CPU_STACK_BYTES] __attribute__((aligned(16)));
static struct cpu *starting;

void smp_ap_main(void)
{
    struct cpu *c = starting;
    cpu_init(c);
    apic_init();
    fpu_init();
    arch->cpu_init(c);
    cpu_loop();
}

static void start(struct cpu *c)
{
    starting = c;
    c->stack_top = stacks[c->index] + CPU_STACK_BYTES;
    ap_stack = ptr_to_spa(c->stack_top);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    apic_send_init(c->apic_id);
    time_delay_us(10000);
    for (unsigned i = 0; i < 2 && c->online == 0; i++) {
        apic_send_sipi(c->apic_id, TRAMPOLINE >> 12);
        time_delay_us(300);
    }
    for (unsigned i = 0; i < 1000 && c->online == 0; i++) {
        time_delay_us(1000);
    }
    if (c->online == 0) {
        panic("processor %u (APIC id %u) does not start", c->index, c->apic_id);
    }
}

void smp_start(void)
{
    u8 saved[TRAMPOLINE_BYTES];
    size_t size = (size_t)(ap_trampoline_end - ap_trampoline);
    memcpy(saved, spa_to_ptr(TRAMPOLINE), size);
    memcpy(spa_to_ptr(TRAMPOLINE), ap_trampoline, size);
    for (u32 i = 1; i < cpu_count; i++) {
        start(&cpus[i]);
    }
    memcpy(spa_to_ptr(TRAMPOLINE), saved, size);
}
