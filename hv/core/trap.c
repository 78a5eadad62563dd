/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hv's own exceptions: its bugs, reported in words; and the interrupts that processors get while they run hv or that
 * made a guest exit. Interrupts are taken with RFLAGS.IF only in cpu_take_interrupts. */
#include "hv/core/trap.h"

#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/core/cpu.h"
#include "hv/core/insn.h"
#include "hv/vcpu/external.h"

#define VECTORS 256
#define STUB_BYTES 16

extern const u8 trap_stubs[];

struct gate {
    u16 offset_low, selector, attributes, offset_middle;
    u32 offset_high, reserved;
};

static struct gate idt[VECTORS];

static const char *const exception_names[32] = {
    [0] = "divide error",
    [1] = "debug exception",
    [2] = "NMI",
    [3] = "breakpoint",
    [4] = "overflow",
    [5] = "BOUND range exceeded",
    [6] = "invalid opcode",
    [7] = "device not available",
    [8] = "double fault",
    [10] = "invalid TSS",
    [11] = "segment not present",
    [12] = "stack fault",
    [13] = "general protection",
    [14] = "page fault",
    [16] = "x87 floating-point error",
    [17] = "alignment check",
    [18] = "machine check",
    [19] = "SIMD floating-point exception",
    [21] = "control protection",
};

void trap_init(void)
{
    for (unsigned i = 0; i < VECTORS; i++) {
        u64 at = ptr_to_spa(trap_stubs) + (u64)STUB_BYTES * i;
        idt[i] = (struct gate){
            .offset_low = (u16)at,
            .selector = SEL_CODE,
            .attributes = (u16)(0x8e00 | (i == 8 || i == 2 ? 1 : 0)),
            .offset_middle = (u16)(at >> 16),
            .offset_high = (u32)(at >> 32),
        };
    }
}

void trap_load_idt(void)
{
    struct table_register idtr = {sizeof idt - 1, ptr_to_spa(idt)};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

static _Noreturn void report(const struct trap_frame *f)
{
    const char *name = f->vector < 32 ? exception_names[f->vector] : NULL;
    log_line("exception %lu (%s), error code %lx, at %lx on processor %u", f->vector,
             name != NULL ? name : "reserved", f->error, f->rip, this_cpu()->index);
    if (f->vector == 14) {
        log_line("the address is %lx: %s of %s memory, by %s", insn_read_cr2(),
                 (f->error & 16) != 0 ? "fetch" : ((f->error & 2) != 0 ? "write" : "read"),
                 (f->error & 1) != 0 ? "protected" : "unmapped", "hv");
    }
    static const char names[16][4] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    for (unsigned i = 0; i < 16; i += 4) {
        log_line("%s %016lx  %s %016lx  %s %016lx  %s %016lx", names[i], i == 4 ? f->rsp : f->gpr[i],
                 names[i + 1], f->gpr[i + 1], names[i + 2], f->gpr[i + 2], names[i + 3], f->gpr[i + 3]);
    }
    panic("hv itself raised an exception");
}

void trap_entry(struct trap_frame *f)
{
    struct cpu *c = this_cpu();
    if (f->vector == 2) {
        return; /* NMIs end a HLT, nothing more */
    }
    if (f->vector < 32) {
        if (c->recover_rip == 0) {
            report(f);
        }
        f->rip = c->recover_rip;
        return;
    }
    if (f->vector == VECTOR_SPURIOUS) {
        return;
    }
    apic_eoi();
    if (f->vector == VECTOR_TIMER) {
        c->timer_armed = 0;
    } else if (f->vector != VECTOR_KICK) {
        external_interrupt((u8)f->vector);
    }
}
