/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Direct boot: what a boot loader would leave in memory and registers. One file per protocol. */
#ifndef VITRINE_MACHINE_BOOT_BOOT_H
#define VITRINE_MACHINE_BOOT_BOOT_H

#include "base/status.h"
#include "machine/machine.h"

struct boot_file {
    u8 *data;
    u64 size;
};

/* Read a whole file. False with a line in *err: missing 66, unreadable 65. */
bool boot_read_file(const char *what, const char *path, struct boot_file *file, struct error *err);
void boot_free_file(struct boot_file *file);

/* Clear guest memory [from, to): it holds what ran before a reset. */
void boot_zero(struct machine *m, u64 from, u64 to);

/* Is it a bzImage (a Linux kernel with a setup header)? */
bool bzimage_is(const struct boot_file *kernel);
/* Load by the 64-bit or 32-bit boot protocol and set the first processor's registers.
 * [Linux Documentation/arch/x86/boot.rst] */
bool bzimage_boot(struct machine *m, const struct boot_file *kernel, struct error *err);

/* Conventional memory ends here. */
#define BOOT_EBDA_AT 0x9fc00u

/* ACPI tables for a boot without firmware: in the BIOS area and at the top of low RAM. Returns the
 * RSDP's address. */
u64 boot_place_acpi(struct machine *m);
/* Where boot_place_acpi puts the FACS. */
u64 boot_facs(const struct machine *m);
/* End of the RAM below 4 GiB that is free to the guest (ACPI tables lie above it). */
u64 boot_low_ram_end(const struct machine *m);

/* Leave the machine as a firmware would leave it to a boot loader. */
void boot_as_firmware(struct machine *m);
/* After the reset that ends S3: go to the operating system's waking vector, or leave that to the
 * firmware when there is one. */
void boot_wake(struct machine *m);

/* SMBASE in SMRAM, a handler that returns, the window locked. */
void boot_smm_handler(struct machine *m);

/* Tell firmware through fw_cfg what the machine is: memory, processors, ACPI tables. Once, at build. */
void boot_describe_to_firmware(struct machine *m);

/* Put the first processor into flat 64-bit mode with identity paging of the first 4 GiB (tables and
 * GDT in the pages from `scratch` on: 6 pages and a GDT page), CS 0x10, data 0x18. */
void boot_enter_long_mode(struct machine *m, u64 scratch, u64 rip);
/* Flat 32-bit protected mode without paging: Multiboot, PVH. */
void boot_enter_protected_mode(struct machine *m, u64 rip);

#endif
