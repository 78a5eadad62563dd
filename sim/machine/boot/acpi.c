/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ACPI tables: at fixed places for direct boots, as fw_cfg files for firmware. */
#include "base/bits.h"
#include "base/bytes.h"
#include "devices/acpi/acpi_tables.h"
#include "devices/fw_cfg.h"
#include "devices/q35.h"
#include "machine/boot/boot.h"

#include <stdlib.h>

#define RSDP_AT 0xf0000u
/* Room for the tables at the top of low RAM. */
#define TABLES_SIZE KIB(256)

u64 boot_low_ram_end(const struct machine *m)
{
    return align_down(m->ram_below_4g - TABLES_SIZE, PAGE_SIZE);
}

u64 boot_facs(const struct machine *m)
{
    return boot_low_ram_end(m); /* the first table */
}

static struct acpi_board board_of(const struct machine *m)
{
    u64 high = align_up(GIB(4) + m->ram_above_4g, GIB(1)) + GIB(1);
    unsigned serial_mask = 0;
    for (unsigned i = 0; i < m->config.serial_count; i++) {
        serial_mask |= 1u << i;
    }
    return (struct acpi_board){.cpu_count = m->config.cpus,
                               .pm_base = Q35_PMBASE,
                               .pm_timer_32bit = true,
                               .sci = Q35_SCI,
                               .ioapic_base = BOARD_IOAPIC_BASE,
                               .hpet_base = m->config.hpet ? BOARD_HPET_BASE : 0,
                               .ecam_base = Q35_ECAM_BASE,
                               .ecam_size = Q35_ECAM_SIZE,
                               .pci64_first = high,
                               .pci64_last = GIB(512) - 1,
                               .serial_mask = serial_mask,
                               .ps2 = true};
}

u64 boot_place_acpi(struct machine *m)
{
    struct acpi_board board = board_of(m);
    u8 rsdp[ACPI_RSDP_SIZE];
    struct acpi_bytes tables = acpi_build_at(&board, boot_low_ram_end(m), rsdp);
    if (tables.len <= TABLES_SIZE) {
        (void)phys_load(&m->phys, SPA(boot_low_ram_end(m)), tables.data, tables.len);
        (void)phys_load(&m->phys, SPA(RSDP_AT), rsdp, sizeof rsdp);
    }
    free(tables.data);
    return RSDP_AT;
}

void boot_describe_to_firmware(struct machine *m)
{
    struct acpi_board board = board_of(m);
    struct acpi_files files = acpi_build_files(&board);
    fw_cfg_add_file(m->fw_cfg, "etc/acpi/tables", files.tables.data, files.tables.len);
    fw_cfg_add_file(m->fw_cfg, "etc/acpi/rsdp", files.rsdp, sizeof files.rsdp);
    fw_cfg_add_file(m->fw_cfg, "etc/table-loader", files.loader.data, files.loader.len);
    acpi_free_files(&files);
    fw_cfg_add_u64(m->fw_cfg, FW_CFG_RAM_SIZE, m->config.ram_bytes);
    fw_cfg_add_u16(m->fw_cfg, FW_CFG_NB_CPUS, (u16)m->config.cpus);
    fw_cfg_add_u16(m->fw_cfg, FW_CFG_MAX_CPUS, (u16)m->config.cpus);
    fw_cfg_add_u16(m->fw_cfg, FW_CFG_NOGRAPHIC, 1);
    /* struct { u64 address, length; u32 type } for each range; RAM is type 1. */
    u8 e820[40] = {0};
    store_le64(e820 + 8, m->ram_below_4g);
    store_le32(e820 + 16, 1);
    store_le64(e820 + 20, GIB(4));
    store_le64(e820 + 28, m->ram_above_4g);
    store_le32(e820 + 36, 1);
    fw_cfg_add_file(m->fw_cfg, "etc/e820", e820, m->ram_above_4g > 0 ? 40 : 20);
    /* SeaBIOS writes its log and its "screen" to the first serial port. */
    static const u8 sercon[2] = {0xf8, 0x03};
    fw_cfg_add_file(m->fw_cfg, "etc/sercon-port", sercon, sizeof sercon);
}
