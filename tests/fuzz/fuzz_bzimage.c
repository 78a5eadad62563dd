/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hostile bzImages: patches to a valid header, by the 64-bit and the 32-bit protocol, and unpacking of
 * the payload in every compression that is known. What loads also runs a little. */
#include "machine/boot/unpack.h"
#include "tests/fuzz/boot_rig.h"

#define IMAGE 4096
#define SETUP 1024 /* the boot sector and one more */

static void make_image(u8 *k)
{
    static const u8 code[] = {0xba, 0xf8, 0x03, 0, 0, 0xb0, 0x41, 0xee, 0x0f, 0xa2, 0xeb, 0xfc};
    memset(k, 0, IMAGE);
    k[0x1f1] = 1;
    store_le32(k + 0x1f4, (IMAGE - SETUP) / 16);
    store_le16(k + 0x1fe, 0xaa55);
    k[0x200] = 0xeb;
    k[0x201] = 0x66;
    store_le32(k + 0x202, 0x53726448);
    store_le16(k + 0x206, 0x20f);
    k[0x211] = 1;
    store_le32(k + 0x22c, 0x7fffffff);
    k[0x234] = 1;
    store_le16(k + 0x236, 1);
    store_le32(k + 0x238, 2047);
    store_le32(k + 0x248, 0x400);
    store_le32(k + 0x24c, 0x400);
    store_le64(k + 0x258, 0x1000000);
    store_le32(k + 0x260, 0x10000);
    memcpy(k + SETUP, code, sizeof code);
    memcpy(k + SETUP + 0x200, code, sizeof code);
    store_le32(k + SETUP + 0x7fc, 0x2000); /* size of what is unpacked */
}

/* Beginnings of payloads: gzip, xz, lzma, zstd, lz4. */
static void start_payload(u8 *k, unsigned kind)
{
    static const u8 starts[5][14] = {
        {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3},
        {0xfd, '7', 'z', 'X', 'Z', 0, 0, 1, 0x69, 0x22, 0xde, 0x36},
        {0x5d, 0, 0, 0x80, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0},
        {0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x10, 0x81, 0, 0, 1, 2, 3, 4, 5},
        {0x02, 0x21, 0x4c, 0x18, 0x40, 0, 0, 0, 0xff, 0x10, 1, 2, 3, 4},
    };
    memcpy(k + SETUP + 0x400, starts[kind % 5], sizeof starts[0]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct error err = {0};
    if (size < 4) {
        return 0;
    }
    u8 flags = data[0];
    struct boot_file file = {.data = calloc(1, IMAGE), .size = IMAGE};
    if (file.data == NULL) {
        return 0;
    }
    make_image(file.data);
    start_payload(file.data, data[1]);
    if ((flags & 16) != 0) { /* the rest is the payload's */
        size_t n = size - 3 < 0x3f0 ? size - 3 : 0x3f0;
        memcpy(file.data + SETUP + 0x404, data + 3, n);
    } else {
        boot_rig_patch(file.data, IMAGE, data + 3, size - 3);
    }
    if ((flags & 8) != 0) { /* cut, but still what passes for a bzImage */
        file.size = 0x269 + (size_t)data[2] * 14;
        u8 *cut = realloc(file.data, file.size);
        file.data = cut != NULL ? cut : file.data;
    }
    if (!bzimage_is(&file)) {
        free(file.data);
        return 0;
    }
    if ((flags & 16) != 0 || (flags & 32) != 0) {
        struct boot_file elf;
        if (unpack_bzimage(&file, "fuzz", &elf, &err)) {
            boot_free_file(&elf);
        } else if (err.status == EXIT_STATUS_OK) {
            abort();
        }
        free(file.data);
        return 0;
    }
    struct machine *m = boot_rig_new(flags);
    m->config.boot_protocol = (flags & 4) != 0 ? BOOT_LINUX32 : BOOT_AUTO;
    bool ok = bzimage_boot(m, &file, &err);
    boot_rig_finish(m, ok, &err);
    free(file.data);
    return 0;
}
