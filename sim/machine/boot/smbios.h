/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef VITRINE_MACHINE_BOOT_SMBIOS_H
#define VITRINE_MACHINE_BOOT_SMBIOS_H

#include "machine/machine.h"

#define SMBIOS_TABLES_MAX 1024
#define SMBIOS_ENTRY_SIZE 32 /* 31 and padding */

/* The structure table, to be placed at `address`, and its entry point (16-byte boundary in
 * 0xf0000-0xfffff). Returns the table's size. */
size_t smbios_build(const struct machine *m, u32 address, u8 tables[SMBIOS_TABLES_MAX],
                    u8 entry[SMBIOS_ENTRY_SIZE]);

#endif
