/* SPDX-License-Identifier: GPL-3.0-or-later */
/* C's variables as DWARF describes them: those of the selected frame, of its file, and global ones; members, elements,
 * what pointers point to; and how values are shown. */
#ifndef VITRINE_DEBUGGER_SHELL_CVALUE_H
#define VITRINE_DEBUGGER_SHELL_CVALUE_H

#include "debugger/shell/shell_priv.h"
#include "debugger/shell/symbols.h"

#include <elfutils/libdw.h>

struct c_value {
    Dwarf_Die type;
    bool is_void;       /* of type void: `type` means nothing */
    bool pointer;       /* a pointer by a cast: `type` is what it points to */
    bool place;         /* in memory at `at`; else `value` is all there is */
    u64 at, value;
    unsigned bit, bits; /* of a bit field; bits 0: none */
};

/* A variable. False without *err: there is none of this name. */
bool c_variable(struct shell *s, const char *name, size_t len, struct c_value *v, struct error *err);
/* "struct page", "u64", a typedef: false, there is none. *len: how long its name is. */
bool c_type(struct shell *s, const char *text, size_t *len, Dwarf_Die *type);
/* Each replaces *v; false with a line in *err. */
bool c_member(const struct shell *s, struct c_value *v, const char *name, size_t len, struct error *err);
bool c_index(const struct shell *s, struct c_value *v, u64 index, struct error *err);
bool c_deref(const struct shell *s, struct c_value *v, struct error *err);
/* Its number: a scalar's value, an aggregate's address. */
bool c_number(const struct shell *s, const struct c_value *v, u64 *value, struct error *err);
u64 c_size(const struct c_value *v);
/* In C's words, on one line. */
void c_show(struct shell *s, const struct c_value *v, FILE *out);
/* A module of a Linux whose symbols are loaded, by its file's name: where its sections lie. Returns how many. */
size_t c_module_sections(struct shell *s, const char *path, struct symbols_section *out, size_t max, struct error *err);
/* The variables of the selected frame's function: calls `tell` for each. Returns how many. */
unsigned c_locals(struct shell *s, void (*tell)(struct shell *s, const char *name, const struct c_value *v, const char *missing));

#endif
