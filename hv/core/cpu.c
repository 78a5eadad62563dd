/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Descriptor tables of each processor, and MSR accesses that may fault. */
#include "hv/core/cpu.h"

#include "abi/x86/msr.h"
#include "hv/core/insn.h"
#include "hv/core/trap.h"

struct cpu cpus[CPU_MAX];
u32 cpu_count;
static u8 fault_stacks[CPU_MAX][0x1000] __attribute__((aligned(16)));

static void tss_descriptor(u64 *entry, const struct tss *t)
{
    u64 base = ptr_to_spa(t);
    u64 limit = sizeof *t - 1;
    entry[0] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    entry[1] = base >> 32;
}

void cpu_init(struct cpu *c)
{
    c->self = c;
    c->gdt[0] = 0;
    c->gdt[SEL_CODE / 8] = 0x00af9b000000ffffull;
    c->gdt[SEL_DATA / 8] = 0x00cf93000000ffffull;
    c->gdt[3] = 0;
    c->tss.iomap = sizeof c->tss;
    c->tss.ist[0] = ptr_to_spa(fault_stacks[c->index]) + sizeof fault_stacks[0];
    tss_descriptor(&c->gdt[SEL_TSS / 8], &c->tss);
    struct table_register gdtr = {sizeof c->gdt - 1, ptr_to_spa(c->gdt)};
    __asm__ volatile("lgdt %0\n\t"
                     "mov %w1, %%ds; mov %w1, %%es; mov %w1, %%ss\n\t"
                     "mov %w2, %%fs; mov %w2, %%gs\n\t"
                     "pushq %3; leaq 1f(%%rip), %%rax; pushq %%rax; lretq\n"
                     "1: ltr %w4"
                     :
                     : "m"(gdtr), "r"(SEL_DATA), "r"(0), "i"(SEL_CODE), "r"(SEL_TSS)
                     : "rax", "memory");
    insn_wrmsr(MSR_IA32_GS_BASE, ptr_to_spa(c));
    trap_load_idt();
}

bool msr_read_safe(u32 msr, u64 *value)
{
    u32 lo = 0;
    u32 hi = 0;
    bool ok;
    __asm__ volatile("lea 1f(%%rip), %%r8; mov %%r8, %%gs:8; xor %%r9d, %%r9d\n\t"
                     "rdmsr\n\t"
                     "mov $1, %%r9d\n"
                     "1: movq $0, %%gs:8; test %%r9d, %%r9d"
                     : "+a"(lo), "+d"(hi), "=@ccnz"(ok)
                     : "c"(msr)
                     : "r8", "r9", "memory");
    *value = (u64)hi << 32 | lo;
    return ok;
}

bool msr_write_safe(u32 msr, u64 value)
{
    bool ok;
    __asm__ volatile("lea 1f(%%rip), %%r8; mov %%r8, %%gs:8; xor %%r9d, %%r9d\n\t"
                     "wrmsr\n\t"
                     "mov $1, %%r9d\n"
                     "1: movq $0, %%gs:8; test %%r9d, %%r9d"
                     : "=@ccnz"(ok)
                     : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32))
                     : "r8", "r9", "memory");
    return ok;
}
