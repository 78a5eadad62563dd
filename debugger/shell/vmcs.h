/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control structures of guests: VMCS and VMCB. */
#ifndef VITRINE_DEBUGGER_SHELL_VMCS_H
#define VITRINE_DEBUGGER_SHELL_VMCS_H

#include "cpu/vmx/vmcs.h"
#include "debugger/shell/shell_priv.h"
#include "mmu/ept.h"

struct vmcs_row {
    u32 encoding;
    const char *name, *title;
};
extern const struct vmcs_row vmcs_rows[];
extern const unsigned vmcs_row_count;
const struct vmcs_row *vmcs_row_find(const char *name, size_t len);

struct vmcb_row {
    u32 offset, bytes;
    char name[32];
};
unsigned vmcb_row_count(void);
bool vmcb_row(unsigned n, struct vmcb_row *row);
bool vmcb_row_find(const char *name, size_t len, struct vmcb_row *row);

/* Bits of a field in words: "HLT, EPT"; empty: none known. */
void vmcs_bits(u32 encoding, u64 value, char *text, size_t room);
u64 vmcs_value(const struct shell *s, u64 region, u32 encoding);

#endif
