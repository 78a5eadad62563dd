/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two guests of /dev/kvm, and what the kernel says of them: hypercalls and mapped pages by KVM's own statistics, page
 * frames by /proc/self/pagemap. The isolation watch must have derived the same. Each guest asks CPUID who runs it, makes
 * some hypercalls, writes to pages of its own and to one that both have, and halts; later the first one's pages are taken
 * back, as a balloon does. Lines: "@@ VM n ...", "@@ FRAMES n ...", "@@ SHARED frame", "@@ REPORT n". */
#include <dirent.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096ul
#define PAGES 64ul
#define COMMON_GPA 0x80000ul

struct guest {
    unsigned calls, unknown, writes; /* hypercalls that KVM knows; others; pages */
    int vm, cpu;
    struct kvm_run *run;
    uint8_t *memory;
};

static struct guest guests[2] = {{.calls = 7, .unknown = 2, .writes = 20}, {.calls = 11, .unknown = 3, .writes = 37}};

/* Real mode. CX counts; DS walks over the pages. */
static size_t assemble(uint8_t *at, const struct guest *g, int amd)
{
    const uint8_t call = amd ? 0xd9 : 0xc1;
    const uint8_t code[] = {
        0x66, 0xb8, 0, 0, 0, 0x40, 0x0f, 0xa2,                                                    /* cpuid 40000000h */
        0xb9, (uint8_t)g->calls, 0, 0x66, 0xb8, 1, 0, 0, 0, 0x0f, 0x01, call, 0xe2, 0xf5,         /* loop: call 1 */
        0xb9, (uint8_t)g->unknown, 0, 0x66, 0xb8, 99, 0, 0, 0, 0x0f, 0x01, call, 0xe2, 0xf5,      /* loop: call 99 */
        0xb9, (uint8_t)g->writes, 0, 0xb8, 0, 2, 0x8e, 0xd8, 0xc6, 0x06, 0, 0, 0x55, 5, 0, 1, 0xe2, 0xf4, /* each page */
        0xb8, 0, 0x80, 0x8e, 0xd8, 0xc6, 0x06, 0, 0, 0x55,                                        /* the common page */
        0xf4, 0xeb, 0xf3}; /* halt; the common page again */
    memcpy(at, code, sizeof code);
    return sizeof code;
}

static int fail(const char *what)
{
    printf("@@ VM FAIL %s\n", what);
    return 1;
}

static int tell_cpuid(int kvm, int cpu)
{
    static struct {
        struct kvm_cpuid2 head;
        struct kvm_cpuid_entry2 entries[256];
    } all = {.head = {.nent = 256}};
    return ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &all) < 0 || ioctl(cpu, KVM_SET_CPUID2, &all) < 0 ? -1 : 0;
}

static int make(struct guest *g, int kvm, void *common, int amd)
{
    g->memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (g->memory == MAP_FAILED || g->vm < 0) {
        return fail("memory");
    }
    madvise(g->memory, PAGES * PAGE, MADV_NOHUGEPAGE);
    struct kvm_userspace_memory_region own = {.memory_size = PAGES * PAGE, .userspace_addr = (uintptr_t)g->memory};
    struct kvm_userspace_memory_region both = {
        .slot = 1, .guest_phys_addr = COMMON_GPA, .memory_size = PAGE, .userspace_addr = (uintptr_t)common};
    if (ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &own) < 0 || ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &both) < 0 ||
        (g->cpu = ioctl(g->vm, KVM_CREATE_VCPU, 0)) < 0 || tell_cpuid(kvm, g->cpu) < 0) {
        return fail("setup");
    }
    long size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    g->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, g->cpu, 0);
    struct kvm_sregs s;
    struct kvm_regs r = {.rip = 0x1000, .rflags = 2};
    if (g->run == MAP_FAILED || ioctl(g->cpu, KVM_GET_SREGS, &s) < 0) {
        return fail("registers");
    }
    s.cs.base = 0;
    s.cs.selector = 0;
    assemble(g->memory + 0x1000, g, amd);
    return ioctl(g->cpu, KVM_SET_SREGS, &s) < 0 || ioctl(g->cpu, KVM_SET_REGS, &r) < 0 ? fail("registers") : 0;
}

static unsigned long long frame_of(const void *page)
{
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    if (pread(fd, &entry, sizeof entry, (off_t)((uintptr_t)page / PAGE * 8)) != sizeof entry || entry >> 63 == 0) {
        entry = 0;
    }
    close(fd);
    return entry & 0x7fffffffffffff;
}

/* KVM has a folder for each of its guests, named by process and file. */
static void statistic(int vm, const char *name)
{
    char path[128], text[32] = "?";
    snprintf(path, sizeof path, "/sys/kernel/debug/kvm/%d-%d/%s", (int)getpid(), vm, name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[n > 0 ? n : 1] = '\0';
    text[strcspn(text, "\n")] = '\0';
    printf(" %s=%s", name, text);
    if (fd >= 0) {
        close(fd);
    }
}

static void report(unsigned number, const void *common)
{
    for (unsigned i = 0; i < 2; i++) {
        printf("@@ VM %u", i);
        statistic(guests[i].vm, "hypercalls");
        statistic(guests[i].vm, "pages_4k");
        statistic(guests[i].vm, "pages_2m");
        printf("\n@@ FRAMES %u", i);
        for (unsigned long p = 0; p < PAGES; p++) {
            unsigned long long frame = frame_of(guests[i].memory + p * PAGE);
            if (frame != 0) {
                printf(" %llx", frame);
            }
        }
        printf("\n");
    }
    printf("@@ SHARED %llx\n@@ REPORT %u\n", frame_of(common), number);
    fflush(stdout);
    usleep(100000);
}

int main(void)
{
    char vendor[4096] = "";
    int kvm = open("/dev/kvm", O_RDWR), info = open("/proc/cpuinfo", O_RDONLY);
    if (kvm < 0 || read(info, vendor, sizeof vendor - 1) < 0) {
        return fail("open");
    }
    uint8_t *common = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < 2; i++) {
        if (common == MAP_FAILED || make(&guests[i], kvm, common, strstr(vendor, "AuthenticAMD") != NULL) != 0) {
            return fail("make");
        }
    }
    for (unsigned turn = 0; turn < 4; turn++) {
        unsigned i = turn % 2;
        if (ioctl(guests[i].cpu, KVM_RUN, 0) < 0 || guests[i].run->exit_reason != KVM_EXIT_HLT) {
            printf("exit %u\n", guests[i].run->exit_reason);
            return fail("run");
        }
    }
    report(1, common);
    madvise(guests[0].memory + 8 * PAGE, 10 * PAGE, MADV_DONTNEED);
    report(2, common);
    printf("@@ DONE\n");
    return 0;
}
