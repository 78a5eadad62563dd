/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Executable images as far as loaders need them. [ELF "Object Files", "Program Loading"] */
#ifndef ABI_X86_ELF_H
#define ABI_X86_ELF_H

#include <stdint.h>

#define ELF_CLASS_32 1u /* ident[4] */
#define ELF_CLASS_64 2u
#define ELF_PT_LOAD 1u
#define ELF_PT_NOTE 4u

struct elf32_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf32_header) == 52, "ELF header, 32-bit");

struct elf32_segment {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
_Static_assert(sizeof(struct elf32_segment) == 32, "program header, 32-bit");

struct elf64_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf64_header) == 64, "ELF header, 64-bit");

struct elf64_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf64_segment) == 56, "program header, 64-bit");

#endif
