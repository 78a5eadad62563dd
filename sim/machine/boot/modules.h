/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Boot modules in memory, and the memory map, as Multiboot and PVH loaders hand them over. */
#ifndef VITRINE_MACHINE_BOOT_MODULES_H
#define VITRINE_MACHINE_BOOT_MODULES_H

#include "machine/boot/boot.h"

struct loaded_module {
    u64 start, end;
    const char *path, *args; /* args may be NULL */
};

/* Load all modules page-aligned from `at` on, below boot_low_ram_end. */
bool modules_load(struct machine *m, u64 at, struct loaded_module *out, struct error *err);

struct memory_range {
    u64 start, end;
    u32 type; /* E820: 1 RAM, 2 reserved, 3 ACPI */
};
#define MEMORY_RANGES_MAX 8
/* The map a firmware would report. Returns the number of ranges. */
unsigned boot_memory_map(const struct machine *m, struct memory_range *out);

#endif
