/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ELF images of kernels, 32 and 64 bit, little-endian x86: program headers only. Every offset in the
 * file is checked; a hostile file is refused with a line. */
#ifndef VITRINE_MACHINE_BOOT_ELF_H
#define VITRINE_MACHINE_BOOT_ELF_H

#include "machine/boot/boot.h"

struct elf_image {
    const struct boot_file *file;
    const char *path;
    bool is64;
    u64 entry; /* physical, translated by the segment that holds it when it is virtual */
    u64 phoff;
    u32 phentsize, phnum;
    u64 low, high; /* physical range of what was loaded; set by elf_load */
};

struct elf_segment {
    u32 type;
    u64 offset, vaddr, paddr, filesz, memsz;
};

bool elf_is(const struct boot_file *file);
/* Parse and check the headers. */
bool elf_open(struct elf_image *elf, const struct boot_file *file, const char *path,
              struct error *err);
bool elf_segment_at(const struct elf_image *elf, u32 index, struct elf_segment *s);
/* Copy PT_LOAD segments to their physical addresses. */
bool elf_load(struct elf_image *elf, struct machine *m, struct error *err);
/* Find a note by name and type: its descriptor. False when there is none. */
bool elf_find_note(const struct elf_image *elf, const char *name, u32 type, const u8 **desc, u32 *size);

#endif
