/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two guests of /dev/kvm that have one memory: what the isolation watch must find. Each, in real mode,
 * stores to the shared page, does OUT, and halts; they take turns. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY (1ul << 20)

struct guest {
    int vm, cpu;
    struct kvm_run *run;
};

static const uint8_t code[] = {0xc6, 0x06, 0x00, 0x30, 0x55, /* movb $0x55, 0x3000 */
                               0xba, 0xf8, 0x03, 0xee,       /* mov $0x3f8, %dx; out */
                               0xeb, 0xf5};                  /* again */

static int make(struct guest *g, int kvm, void *memory)
{
    g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY, .userspace_addr = (uintptr_t)memory};
    if (g->vm < 0 || ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0) {
        return -1;
    }
    g->cpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
    long size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (g->cpu < 0 || size < 0) {
        return -1;
    }
    g->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, g->cpu, 0);
    struct kvm_sregs s;
    struct kvm_regs r = {.rip = 0x1000, .rflags = 2};
    if (g->run == MAP_FAILED || ioctl(g->cpu, KVM_GET_SREGS, &s) < 0) {
        return -1;
    }
    s.cs.base = 0;
    s.cs.selector = 0;
    return ioctl(g->cpu, KVM_SET_SREGS, &s) < 0 || ioctl(g->cpu, KVM_SET_REGS, &r) < 0 ? -1 : 0;
}

int main(void)
{
    struct guest g[2];
    int kvm = open("/dev/kvm", O_RDWR);
    uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (kvm < 0 || memory == MAP_FAILED) {
        return 1;
    }
    memcpy(memory + 0x1000, code, sizeof code);
    for (int i = 0; i < 2; i++) {
        if (make(&g[i], kvm, memory) < 0) {
            return 1;
        }
    }
    for (int turn = 0; turn < 6; turn++) {
        if (ioctl(g[turn % 2].cpu, KVM_RUN, 0) < 0) {
            return 1;
        }
        printf("@@ SHARE turn %d exit %u\n", turn, g[turn % 2].run->exit_reason);
    }
    return 0;
}
