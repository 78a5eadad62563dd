/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names for addresses: symbol tables of ELF images and System.map files, source lines and frames from DWARF. An
 * image belongs to a level (who runs: 0 the machine's owner, 1 its guest, ...) and may lie elsewhere than it was
 * linked. */
#ifndef VITRINE_DEBUGGER_SHELL_SYMBOLS_H
#define VITRINE_DEBUGGER_SHELL_SYMBOLS_H

#include "base/status.h"
#include "base/types.h"

struct symbols;

#define SYMBOLS_ANY_LEVEL (~0u)

struct symbols *symbols_new(void);
void symbols_free(struct symbols *s);
/* Adds a file; a file loaded before under the same name and level is replaced. */
bool symbols_load(struct symbols *s, const char *path, unsigned level, u64 offset, struct error *err);
/* A kernel module (a relocatable image), section by section. */
struct symbols_section {
    char name[48];
    u64 address;
};
bool symbols_is_module(const char *path);
bool symbols_load_module(struct symbols *s, const char *path, unsigned level, const struct symbols_section *sections,
                         size_t count, struct error *err);
/* Forget a file (NULL: all); false: there is none. */
bool symbols_unload(struct symbols *s, const char *path);
/* Move files of a level, modules not (SYMBOLS_ANY_LEVEL: all); returns how many. */
unsigned symbols_relocate(struct symbols *s, unsigned level, u64 offset);

struct symbol_file {
    const char *path;
    unsigned level;
    u64 offset;
    size_t count;
    bool dwarf;
};
bool symbols_file(const struct symbols *s, unsigned n, struct symbol_file *file);

/* The value of a name; files of `level` first. linked: without the file's offset. */
bool symbols_value(const struct symbols *s, const char *name, size_t len, unsigned level, u64 *value);
bool symbols_linked(const struct symbols *s, const char *name, unsigned level, u64 *value);
/* The symbol at or before an address, if it reaches that far; *size 0: unknown. */
const char *symbols_name(const struct symbols *s, u64 address, unsigned level, u64 *start, u64 *size);
/* The n-th name that begins so, in no special order; NULL after the last. */
const char *symbols_beginning(const struct symbols *s, const char *start, size_t len, unsigned n);

/* Source line of an address, and the address of a source line ("file.c:12"). The text lives as long as the file. */
bool symbols_line(const struct symbols *s, u64 address, unsigned level, const char **file, int *line);
/* The same with the file's whole path. */
bool symbols_source(const struct symbols *s, u64 address, unsigned level, char *path, size_t room, int *line);
bool symbols_line_address(const struct symbols *s, const char *file, int line, unsigned level, u64 *address);
/* All addresses at which a line's code begins; returns how many. */
size_t symbols_line_addresses(const struct symbols *s, const char *file, int line, unsigned level, u64 *out,
                              size_t max, int *actual);

/* One step of a backtrace by call frame information. */
struct symbols_frame {
    u64 pc, sp, bp;
    u64 regs[17]; /* DWARF's numbers: RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8 ... R15, return address */
};
bool symbols_unwind(const struct symbols *s, unsigned level, struct symbols_frame *frame,
                    bool (*read)(void *self, u64 address, u64 *value), void *self);

#endif
