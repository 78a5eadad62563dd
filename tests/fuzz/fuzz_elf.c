/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hostile ELF, Multiboot 1, Multiboot 2 and PVH kernels: the bytes as they are, or patches to a valid file
 * that has all of it. What loads also runs a little. */
#include "machine/boot/elf.h"
#include "machine/boot/multiboot.h"
#include "machine/boot/pvh.h"
#include "tests/fuzz/boot_rig.h"

#include <elf.h>

#define IMAGE 1024
#define CODE_AT 0x300

/* Two segments and a note; both Multiboot headers between them. */
static void make_elf32(u8 *f)
{
    static const u8 ident[] = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT};
    static const u32 segments[3][6] = {{PT_LOAD, 0, 0x100000, 0x100000, IMAGE, IMAGE + 4096},
                                       {PT_LOAD, CODE_AT, 0xc0200000, 0x200000, 64, 64},
                                       {PT_NOTE, 0x200, 0, 0, 20, 20}};
    memcpy(f, ident, sizeof ident);
    store_le16(f + 16, ET_EXEC);
    store_le16(f + 18, EM_386);
    store_le32(f + 24, 0x100000 + CODE_AT);
    store_le32(f + 28, 52);
    store_le16(f + 42, 32);
    store_le16(f + 44, 3);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < 6; k++) {
            store_le32(f + 52 + 32 * i + 4 * k, segments[i][k]);
        }
    }
}

static void make_elf64(u8 *f)
{
    static const u8 ident[] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    static const u64 segments[2][6] = {{PT_LOAD, 0, 0xffffffff80100000, 0x100000, IMAGE, IMAGE + 4096},
                                       {PT_NOTE, 0x200, 0, 0, 20, 20}};
    memcpy(f, ident, sizeof ident);
    store_le16(f + 16, ET_EXEC);
    store_le16(f + 18, EM_X86_64);
    store_le64(f + 24, 0xffffffff80100000 + CODE_AT);
    store_le64(f + 32, 64);
    store_le16(f + 54, 56);
    store_le16(f + 56, 2);
    for (unsigned i = 0; i < 2; i++) {
        store_le32(f + 64 + 56 * i, (u32)segments[i][0]);
        for (unsigned k = 1; k < 6; k++) {
            store_le64(f + 64 + 56 * i + 8 * k, segments[i][k]);
        }
    }
}

static void make_image(u8 *f, u8 flags)
{
    static const u8 code[] = {0xba, 0xf8, 0x03, 0, 0, 0xb0, 0x41, 0xee, 0x0f, 0xa2, 0xeb, 0xfc};
    memset(f, 0, IMAGE);
    if ((flags & 4) != 0) {
        make_elf64(f);
    } else {
        make_elf32(f);
    }
    if ((flags & 8) != 0) { /* Multiboot 1, with addresses for a flat image when 16 is set too */
        u32 mb = (flags & 16) != 0 ? 0x10003u : 3u;
        u32 header[] = {0x1badb002, mb, -(0x1badb002u + mb), 0x100100, 0x100000, 0, 0, 0x100000 + CODE_AT};
        for (unsigned i = 0; i < ARRAY_LEN(header); i++) {
            store_le32(f + 0x100 + 4 * i, header[i]);
        }
    }
    if ((flags & 32) != 0) { /* Multiboot 2 */
        u32 header[] = {0xe85250d6, 0, 24, -(0xe85250d6u + 24), 0, 8};
        for (unsigned i = 0; i < ARRAY_LEN(header); i++) {
            store_le32(f + 0x140 + 4 * i, header[i]);
        }
    }
    u32 note[] = {4, 4, 18, 0x6e6558, 0x100000 + CODE_AT};
    for (unsigned i = 0; i < ARRAY_LEN(note); i++) {
        store_le32(f + 0x200 + 4 * i, note[i]);
    }
    memcpy(f + CODE_AT, code, sizeof code);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    u8 image[IMAGE];
    struct error err = {0};
    if (size < 4) {
        return 0;
    }
    u8 flags = data[0];
    struct boot_file file = {.data = malloc(size), .size = size - 1};
    if (file.data == NULL) {
        return 0;
    }
    memcpy(file.data, data + 1, size - 1); /* of its exact size: reading past it is seen */
    if ((flags & 64) == 0) {
        make_image(image, flags);
        boot_rig_patch(image, IMAGE, data + 3, size - 3);
        file.size = (flags & 128) != 0 ? load_le16(data + 1) % IMAGE : IMAGE;
        u8 *grown = realloc(file.data, file.size + 1);
        if (grown == NULL) {
            free(file.data);
            return 0;
        }
        file.data = grown;
        memcpy(file.data, image, file.size);
    }
    struct machine *m = boot_rig_new(flags);
    unsigned multiboot = multiboot_version(&file);
    bool ok = multiboot != 0 ? multiboot_boot(m, &file, multiboot, &err)
              : pvh_is(&file) ? pvh_boot(m, &file, &err)
                              : error_set(&err, EXIT_STATUS_BAD_FILE, "not a kernel");
    boot_rig_finish(m, ok, &err);
    free(file.data);
    return 0;
}
