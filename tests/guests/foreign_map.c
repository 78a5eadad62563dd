/* SPDX-License-Identifier: GPL-3.0-or-later */
/* In Xen's dom0: map a page of a guest without a grant, write to it, and keep it. What the isolation watch must find and
 * Xen's grant tables do not have. usage: foreign_map DOMAIN GUEST_FRAME */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* [Linux include/uapi/xen/privcmd.h] IOCTL_PRIVCMD_MMAPBATCH_V2 */
struct map_batch {
    unsigned int count;
    uint16_t domain;
    uint64_t address;
    const uint64_t *frames;
    int *errors;
};
#define MAP_BATCH _IOC(_IOC_NONE, 'P', 4, sizeof(struct map_batch))

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    uint64_t frame = strtoull(argv[2], NULL, 0);
    int error = 0, privcmd = open("/proc/xen/privcmd", O_RDWR);
    volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, privcmd, 0);
    if (privcmd < 0 || page == MAP_FAILED) {
        return 1;
    }
    struct map_batch batch = {
        .count = 1, .domain = (uint16_t)atoi(argv[1]), .address = (uintptr_t)page, .frames = &frame, .errors = &error};
    if (ioctl(privcmd, MAP_BATCH, &batch) != 0 || error != 0) {
        printf("@@ FOREIGN FAIL %d\n", error);
        return 1;
    }
    page[0] = page[0];
    printf("@@ FOREIGN domain %s frame %#llx\n", argv[1], (unsigned long long)frame);
    fflush(stdout);
    for (;;) {
        pause();
    }
}
