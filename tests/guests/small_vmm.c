/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small user of /dev/kvm: guests of a few instructions, each of which leaves in another way. Runs as a
 * program of a guest (level 1) or of a guest's guest (level 2); prints a line "@@ VMM name ok" for each.
 *
 *   real   16-bit real mode, OUT in a loop: to the program each time
 *   long   the same in 64-bit mode
 *   cpuid  CPUID a thousand times: exits that the kernel handles itself
 *   mmio   stores where no memory is: the kernel's emulator, then the program
 *   touch  first writes to fresh pages: second-level faults
 *   spin   a loop that never leaves, then HLT
 *
 * For measurements: `exits N`, `ports N`: a guest that executes CPUID, or OUT to the program, N times; `pages N`: N first
 * writes to fresh pages (at most 3072); `compute N`: a loop of N turns that never leaves. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY (16ul << 20)
#define CODE 0x1000u
#define PML4 0x2000u /* then a PDPT and a page directory of 2 MiB pages */
#define NOWHERE 0x10000000u

#define GUEST(name, bits, text)                                                                \
    __asm__(".pushsection .rodata\n.code" bits "\nguest_" name ":\n" text "\nguest_" name "_end:\n" \
            ".code64\n.popsection\n")

GUEST("real", "16", "movw $0x3f8, %dx\n xorw %ax, %ax\n 1: outb %al, %dx\n incw %ax\n cmpw $200, %ax\n jne 1b\n hlt");
GUEST("long", "64", "movw $0x3f8, %dx\n xorl %eax, %eax\n 1: outb %al, %dx\n incl %eax\n cmpl $200, %eax\n jne 1b\n hlt");
GUEST("cpuid", "64", "movl $1000, %edi\n 1: xorl %eax, %eax\n cpuid\n decl %edi\n jnz 1b\n movw $0x3f8, %dx\n"
                     "movl %ebx, %eax\n outb %al, %dx\n hlt");
GUEST("exits", "64", "1: xorl %eax, %eax\n cpuid\n decq %rdi\n jnz 1b\n hlt");
GUEST("ports", "64", "movw $0x3f8, %dx\n xorl %eax, %eax\n 1: outb %al, %dx\n decq %rdi\n jnz 1b\n hlt");
GUEST("pages", "64", "movl $0x400000, %esi\n 1: incl (%rsi)\n addl $0x1000, %esi\n decq %rdi\n jnz 1b\n hlt");
GUEST("compute", "64", "movl $0x400000, %esi\n 1: addq %rdi, %rax\n movq %rax, (%rsi)\n imulq $77, %rax, %rax\n"
                       "addq 8(%rsi), %rax\n decq %rdi\n jnz 1b\n hlt");
GUEST("mmio", "64", "movl $0x10000000, %edi\n xorl %eax, %eax\n 1: movl %eax, (%rdi)\n incl %eax\n"
                    "cmpl $100, %eax\n jne 1b\n hlt");
GUEST("touch", "64", "movl $0x400000, %edi\n movl $1024, %ecx\n 1: incl (%rdi)\n addl $0x1000, %edi\n"
                     "decl %ecx\n jnz 1b\n hlt");
GUEST("spin", "64", "movl $1000000, %ecx\n 1: decl %ecx\n jnz 1b\n hlt");

#define GUEST_BYTES(name)                                      \
    extern const uint8_t guest_##name[], guest_##name##_end[]
GUEST_BYTES(real);
GUEST_BYTES(long);
GUEST_BYTES(cpuid);
GUEST_BYTES(exits);
GUEST_BYTES(ports);
GUEST_BYTES(pages);
GUEST_BYTES(compute);
GUEST_BYTES(mmio);
GUEST_BYTES(touch);
GUEST_BYTES(spin);

struct guest {
    const char *name;
    const uint8_t *code, *end;
    bool wide;
    unsigned long long exits, sum; /* what must be seen before HLT; sum 0: any */
    unsigned long long rdi;
};

static const struct guest guests[] = {
    {"real", guest_real, guest_real_end, false, 200, 199 * 200 / 2, 0},
    {"long", guest_long, guest_long_end, true, 200, 199 * 200 / 2, 0},
    {"cpuid", guest_cpuid, guest_cpuid_end, true, 1, 0, 0},
    {"mmio", guest_mmio, guest_mmio_end, true, 100, 99 * 100 / 2, 0},
    {"touch", guest_touch, guest_touch_end, true, 0, 0, 0},
    {"spin", guest_spin, guest_spin_end, true, 0, 0, 0},
};

/* N is RDI; `ports` leaves N times. */
static const struct guest measured[] = {
    {"exits", guest_exits, guest_exits_end, true, 0, 0, 0},
    {"ports", guest_ports, guest_ports_end, true, 1, 0, 0},
    {"pages", guest_pages, guest_pages_end, true, 0, 0, 0},
    {"compute", guest_compute, guest_compute_end, true, 0, 0, 0},
};

static int wrong(const char *name, const char *what, unsigned long long number)
{
    printf("@@ VMM %s FAIL %s %llu\n", name, what, number);
    return 1;
}

static void put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

/* Flat segments; for 64-bit code also paging. */
static void set_mode(struct kvm_sregs *s, uint8_t *memory, bool wide)
{
    s->cs.base = 0;
    s->cs.selector = 0;
    if (!wide) {
        return;
    }
    put64(memory + PML4, PML4 + 0x1003);
    put64(memory + PML4 + 0x1000, PML4 + 0x2003);
    for (uint64_t i = 0; i < 512; i++) {
        put64(memory + PML4 + 0x2000 + 8 * i, i << 21 | 0x83);
    }
    s->cr0 = 0x80000033; /* PG, NE, ET, MP, PE */
    s->cr3 = PML4;
    s->cr4 |= 0x20; /* PAE */
    s->efer = 0x500; /* LMA, LME */
    struct kvm_segment data = {
        .limit = 0xffffffff, .selector = 16, .present = 1, .type = 3, .db = 1, .s = 1, .g = 1};
    s->ds = s->es = s->fs = s->gs = s->ss = data;
    s->cs = data;
    s->cs.selector = 8;
    s->cs.type = 11;
    s->cs.db = 0;
    s->cs.l = 1;
}

/* Until HLT; counts what came out. */
static int run(int cpu, const struct guest *g, struct kvm_run *run)
{
    unsigned long long exits = 0, sum = 0;
    for (;;) {
        if (ioctl(cpu, KVM_RUN, 0) < 0) {
            return wrong(g->name, "KVM_RUN", exits);
        }
        switch (run->exit_reason) {
        case KVM_EXIT_IO:
            exits++;
            sum += *((const uint8_t *)run + run->io.data_offset);
            break;
        case KVM_EXIT_MMIO: {
            uint32_t data;
            memcpy(&data, run->mmio.data, sizeof data);
            exits++;
            sum += data;
            if (run->mmio.phys_addr != NOWHERE || run->mmio.len != 4 || !run->mmio.is_write) {
                return wrong(g->name, "store to", run->mmio.phys_addr);
            }
            break;
        }
        case KVM_EXIT_HLT:
            if (exits != g->exits || (g->sum != 0 && sum != g->sum)) {
                return wrong(g->name, "exits", exits);
            }
            return 0;
        default:
            return wrong(g->name, "exit reason", run->exit_reason);
        }
    }
}

static int try_guest(int kvm, const struct guest *g)
{
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vm < 0 || memory == MAP_FAILED) {
        return wrong(g->name, "KVM_CREATE_VM", 0);
    }
    madvise(memory, MEMORY, MADV_NOHUGEPAGE);
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY,
                                                 .userspace_addr = (uintptr_t)memory};
    int cpu = -1;
    if (ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0 ||
        ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 || (cpu = ioctl(vm, KVM_CREATE_VCPU, 0)) < 0) {
        return wrong(g->name, "setup", 0);
    }
    size_t size = (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_run *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    struct kvm_sregs s;
    if (shared == MAP_FAILED || ioctl(cpu, KVM_GET_SREGS, &s) < 0) {
        return wrong(g->name, "KVM_GET_SREGS", 0);
    }
    memcpy(memory + CODE, g->code, (size_t)(g->end - g->code));
    set_mode(&s, memory, g->wide);
    struct kvm_regs r = {.rip = CODE, .rflags = 2, .rsp = 0x8000, .rdi = g->rdi};
    if (ioctl(cpu, KVM_SET_SREGS, &s) < 0 || ioctl(cpu, KVM_SET_REGS, &r) < 0) {
        return wrong(g->name, "registers", 0);
    }
    int bad = run(cpu, g, shared);
    if (bad == 0) {
        printf("@@ VMM %s ok\n", g->name);
    }
    munmap(shared, size);
    close(cpu);
    close(vm);
    munmap(memory, MEMORY);
    return bad;
}

int main(int argc, char **argv)
{
    int kvm = open("/dev/kvm", O_RDWR);
    if (kvm < 0) {
        return wrong("open", "/dev/kvm", 0);
    }
    for (size_t i = 0; argc == 3 && i < sizeof measured / sizeof measured[0]; i++) {
        if (strcmp(argv[1], measured[i].name) == 0) {
            struct guest many = measured[i];
            many.rdi = strtoull(argv[2], NULL, 0);
            many.exits *= many.rdi;
            return try_guest(kvm, &many);
        }
    }
    int bad = 0;
    for (size_t i = 0; i < sizeof guests / sizeof guests[0]; i++) {
        bad |= try_guest(kvm, &guests[i]);
        fflush(stdout);
    }
    printf("@@ VMM %s\n", bad ? "BAD" : "DONE");
    return bad;
}
