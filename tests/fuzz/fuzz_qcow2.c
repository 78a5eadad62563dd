/* SPDX-License-Identifier: GPL-3.0-or-later */
/* qcow2 images of any content: opened, read, written, never a crash. Half of the inputs are laid
 * over a small valid image at an offset the input chooses, so that the tables behind the header are
 * reached. */
#include "base/bytes.h"
#include "machine/host/block_priv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

enum { CLUSTER = 512, IMAGE = 16 * CLUSTER };

/* A valid image of 64 KiB with 512-byte clusters: header, refcount table and block, L1, two L2. */
static void make_valid(u8 image[IMAGE])
{
    memset(image, 0, IMAGE);
    memcpy(image, "QFI\xfb", 4);
    store_be32(image + 4, 3);
    store_be32(image + 20, 9);
    store_be64(image + 24, 65536);
    store_be32(image + 36, 2);
    store_be64(image + 40, 3 * CLUSTER);
    store_be64(image + 48, 1 * CLUSTER);
    store_be32(image + 56, 1);
    store_be32(image + 96, 4);
    store_be32(image + 100, 104);
    store_be64(image + 1 * CLUSTER, 2 * CLUSTER);
    for (unsigned i = 0; i < 9; i++) {
        store_be16(image + 2 * CLUSTER + 2 * i, 1);
    }
    const u64 copied = (u64)1 << 63;
    store_be64(image + 3 * CLUSTER, copied | 4 * CLUSTER);
    store_be64(image + 3 * CLUSTER + 8, copied | 5 * CLUSTER);
    store_be64(image + 4 * CLUSTER, copied | 6 * CLUSTER);
    store_be64(image + 4 * CLUSTER + 8, copied | 7 * CLUSTER);
    store_be64(image + 5 * CLUSTER + 16, copied | 8 * CLUSTER | 1);
    store_be64(image + 5 * CLUSTER + 24, (u64)1 << 62 | 8 * CLUSTER);
}

static void try_image(const u8 *data, size_t size, bool writable)
{
    struct host_file file;
    struct error err = {0};
    if (!host_file_memory(&file, data, size, "fuzz")) {
        return;
    }
    file.writable = writable;
    struct block_image *image = block_qcow2_open(&file, false, 0, &err);
    if (image == NULL) {
        if (err.status == EXIT_STATUS_OK) {
            abort(); /* refused without a word */
        }
        return;
    }
    u8 buf[1536];
    for (unsigned i = 0; i < 24; i++) {
        u64 at = (u64)i * 2777 % image->size;
        u64 n = image->size - at < sizeof buf ? image->size - at : sizeof buf;
        struct error e = {0};
        (void)image->ops->read(image, at, buf, n, &e);
        if (writable) {
            memset(buf, (int)i, sizeof buf);
            (void)image->ops->write(image, at, buf, n, &e);
        }
    }
    image->ops->close(image);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    bool writable = (data[0] & 1) != 0;
    if (data[0] & 2) {
        try_image(data + 4, size - 4, writable);
        return 0;
    }
    u8 image[IMAGE];
    make_valid(image);
    /* Records: two bytes of offset, one of length, then bytes. */
    size_t at = 1;
    while (at + 3 < size) {
        size_t to = load_le16(data + at) % IMAGE;
        size_t n = data[at + 2] % 9;
        at += 3;
        for (size_t i = 0; i < n && at < size && to < IMAGE; i++) {
            image[to++] = data[at++];
        }
    }
    try_image(image, IMAGE, writable);
    return 0;
}
