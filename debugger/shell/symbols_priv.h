/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What symbols.c and cvalue.c share. */
#ifndef VITRINE_DEBUGGER_SHELL_SYMBOLS_PRIV_H
#define VITRINE_DEBUGGER_SHELL_SYMBOLS_PRIV_H

#include "debugger/shell/symbols.h"

#include <elfutils/libdw.h>

struct symbol {
    u64 value, size;
    const char *name;
    u8 rank; /* functions before objects before the rest, global before local */
};

struct file {
    char *path;
    unsigned level;
    u64 offset;
    struct symbol *by_value;
    const struct symbol **by_name;
    size_t count, cap;
    int fd;
    Elf *elf;
    Dwarf *dwarf;
    Dwarf_CFI *cfi, *eh_cfi;
    char *text; /* of a System.map */
    u64 *sections; /* of a kernel module: where each section lies, ~0: nowhere; then offset is 0 */
    size_t section_count;
};

#define FILES_MAX 16

/* Where a name was found that is not in the unit we are in. */
struct known_name {
    char name[64];
    int tag;
    unsigned level; /* of whom it was asked for */
    unsigned file;
    Dwarf_Off offset; /* 0: nowhere */
};

struct symbols {
    struct file files[FILES_MAX];
    unsigned count;
    struct known_name known[128];
    unsigned known_count;
};

bool symbols_fits(const struct file *f, unsigned level);
/* The canonical frame address of a frame. */
bool symbols_cfa(const struct file *f, const struct symbols_frame *frame, u64 *cfa);

#endif
