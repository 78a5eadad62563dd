/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the boot loader said, the same for every protocol; copied, since its memory is anybody's afterwards. */
#ifndef HV_BOOT_BOOT_H
#define HV_BOOT_BOOT_H

#include "hv/core/types.h"

#define BOOT_RANGES 64
#define BOOT_MODULES 16
#define BOOT_TEXT 2048

enum memory_type { MEMORY_RAM = 1, MEMORY_RESERVED = 2, MEMORY_ACPI = 3, MEMORY_NVS = 4, MEMORY_HV = 0x80 };

struct memory_range {
    u64 start, end;
    u32 type;
};

struct boot_module {
    u64 start, end;
    char text[BOOT_TEXT];
};

struct boot_info {
    char text[BOOT_TEXT];
    u64 rsdp; /* 0: look for it */
    u32 range_count, module_count;
    struct memory_range ranges[BOOT_RANGES];
    struct boot_module modules[BOOT_MODULES];
};

extern struct boot_info boot_info;

/* EAX and EBX at the entry. */
void boot_parse(u32 magic, u32 info);
/* End of RAM, from the ranges. */
u64 boot_ram_end(void);
/* Moves the modules out of the way, to the end of the RAM below 4 GiB that ends at `end`. Returns their start. */
u64 boot_move_modules(u64 end);

/* Processors from the MADT, into cpus[]; the one that runs first is 0. */
void acpi_find_processors(void);
/* Starts every other processor; returns when all of them wait in smp_ap_main. */
void smp_start(void);
void smp_ap_main(void);

#endif
