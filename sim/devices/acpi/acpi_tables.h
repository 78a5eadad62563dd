/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ACPI tables of the board, as bytes at a fixed address or as files for firmware. See
 * acpi_tables.c. */
#ifndef VITRINE_DEVICES_ACPI_ACPI_TABLES_H
#define VITRINE_DEVICES_ACPI_ACPI_TABLES_H

#include "base/types.h"

#define ACPI_RSDP_SIZE 36

/* A further table, complete with header (its checksum need not be right): DMAR, IVRS, SRAT ... */
struct acpi_extra_table {
    const void *data;
    size_t len;
};

struct acpi_board {
    unsigned cpu_count;
    const u32 *apic_ids; /* of each processor; NULL: 0, 1, 2 ... */
    u16 pm_base;
    bool pm_timer_32bit;
    u8 sci;       /* GSI */
    u8 ioapic_id; /* as the MADT says; the chip's register is firmware's to set */
    u32 ioapic_base;
    u32 hpet_base;               /* 0: none. The DSDT knows only 0xfed00000 */
    u64 ecam_base;               /* the DSDT reserves 256 MiB at 0xb0000000 */
    u64 ecam_size;               /* a bus per MiB */
    u64 pci64_first, pci64_last; /* 64-bit PCI window; last 0: none */
    unsigned serial_mask;        /* bit 0: COM1 ... bit 3: COM4 */
    bool ps2;
    bool vga;
    const struct acpi_extra_table *extra;
    unsigned extra_count;
};

/* Bytes allocated with malloc; the caller frees them. */
struct acpi_bytes {
    u8 *data;
    size_t len;
};

/* All tables but the RSDP, ready to be copied to `base` (64-byte aligned, below 4 GiB), and the
 * RSDP (goes to a 16-byte boundary in 0xe0000-0xfffff, or wherever a boot protocol passes it). */
struct acpi_bytes acpi_build_at(const struct acpi_board *board, u64 base, u8 rsdp[ACPI_RSDP_SIZE]);

/* The same as files etc/acpi/tables, etc/acpi/rsdp and etc/table-loader: pointers hold offsets, and
 * the loader's commands say where to place the files, what to relocate and which checksums to make.
 */
struct acpi_files {
    struct acpi_bytes tables, loader;
    u8 rsdp[ACPI_RSDP_SIZE];
};

struct acpi_files acpi_build_files(const struct acpi_board *board);
void acpi_free_files(struct acpi_files *files);

/* PIRQ (0 A ... 7 H) of a slot's pin 0..3, as _PRT says: slots 0-24 and 30 share PIRQE-H, the chip
 * set's own 25-29 and 31 have PIRQA-D. GSI 16 + PIRQ. The LPC bridge's default wiring says the
 * same. */
unsigned acpi_pirq_of_slot(unsigned slot, unsigned pin);

#endif
