/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables of firmware, ACPI and SMBIOS: at fixed places for direct boots, as fw_cfg files for firmware. */
#include "base/bits.h"
#include "base/bytes.h"
#include "devices/acpi/acpi_tables.h"
#include "devices/fw_cfg.h"
#include "devices/pm.h"
#include "devices/q35.h"
#include "machine/boot/boot.h"
#include "machine/boot/smbios.h"

#include <stdio.h>
#include <stdlib.h>

#define RSDP_AT 0xf0000u
#define SMBIOS_ENTRY_AT 0xf0040u
#define SMBIOS_TABLES_AT 0xf0060u
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

/* The tables that not every machine has; the caller frees *remapping's data. */
static void add_extras(const struct machine *m, struct acpi_board *board, struct acpi_bytes *remapping,
                       struct acpi_extra_table *extra)
{
    *remapping = (struct acpi_bytes){0};
    if (m->iommu != NULL) {
        *remapping = iommu_acpi(m->iommu, board->ioapic_id, m->config.hpet);
        *extra = (struct acpi_extra_table){.data = remapping->data, .len = remapping->len};
        board->extra = extra;
        board->extra_count = 1;
    }
}

u64 boot_place_acpi(struct machine *m)
{
    struct acpi_board board = board_of(m);
    struct acpi_bytes remapping;
    struct acpi_extra_table extra;
    add_extras(m, &board, &remapping, &extra);
    u8 rsdp[ACPI_RSDP_SIZE];
    struct acpi_bytes tables = acpi_build_at(&board, boot_low_ram_end(m), rsdp);
    if (tables.len <= TABLES_SIZE) {
        (void)phys_load(&m->phys, SPA(boot_low_ram_end(m)), tables.data, tables.len);
        (void)phys_load(&m->phys, SPA(RSDP_AT), rsdp, sizeof rsdp);
    }
    free(tables.data);
    free(remapping.data);
    u8 smbios[SMBIOS_TABLES_MAX], entry[SMBIOS_ENTRY_SIZE];
    size_t len = smbios_build(m, SMBIOS_TABLES_AT, smbios, entry);
    (void)phys_load(&m->phys, SPA(SMBIOS_TABLES_AT), smbios, len);
    (void)phys_load(&m->phys, SPA(SMBIOS_ENTRY_AT), entry, sizeof entry);
    return RSDP_AT;
}

/* Which drives to try, one line each, as Open Firmware names them: disks (c) and CD-ROMs (d) in the order
 * of config.boot_order, each kind as the command line has them. */
static void describe_boot_order(struct machine *m)
{
    char text[MACHINE_MAX_DRIVES * sizeof m->drive_path[0] + 1];
    size_t len = 0;
    const char *order = m->config.boot_order != NULL ? m->config.boot_order : "cd";
    for (; *order != '\0'; order++) {
        for (unsigned i = 0; i < m->config.drive_count; i++) {
            bool cd = m->config.drives[i].interface == DRIVE_CDROM;
            if ((*order == 'd' && cd) || (*order == 'c' && !cd)) {
                len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", m->drive_path[i]);
            }
        }
    }
    if (len > 0) {
        text[len - 1] = '\0';
        fw_cfg_add_file(m->fw_cfg, "bootorder", text, len);
    }
}

/* struct { u64 address, length; u32 type } each, as the E820 call types them. RAM and what lies fixed
 * outside of it; firmware takes its own tables out. */
static void describe_memory(struct machine *m)
{
    u8 e820[3 * 20];
    size_t n = 0;
    const struct {
        u64 start, size;
        u32 type;
    } ranges[] = {
        {0, m->ram_below_4g, 1},
        {Q35_ECAM_BASE, Q35_ECAM_SIZE, 2},
        {GIB(4), m->ram_above_4g, 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(ranges); i++) {
        if (ranges[i].size > 0) {
            store_le64(e820 + n, ranges[i].start);
            store_le64(e820 + n + 8, ranges[i].size);
            store_le32(e820 + n + 16, ranges[i].type);
            n += 20;
        }
    }
    fw_cfg_add_file(m->fw_cfg, "etc/e820", e820, n);
}

/* The names are those SeaBIOS reads (src/fw/paravirt.c, src/boot.c, src/sercon.c). */
void boot_describe_to_firmware(struct machine *m)
{
    struct acpi_board board = board_of(m);
    struct acpi_bytes remapping;
    struct acpi_extra_table extra;
    add_extras(m, &board, &remapping, &extra);
    struct acpi_files files = acpi_build_files(&board);
    free(remapping.data);
    fw_cfg_add_file(m->fw_cfg, "etc/acpi/tables", files.tables.data, files.tables.len);
    fw_cfg_add_file(m->fw_cfg, "etc/acpi/rsdp", files.rsdp, sizeof files.rsdp);
    fw_cfg_add_file(m->fw_cfg, "etc/table-loader", files.loader.data, files.loader.len);
    acpi_free_files(&files);
    u8 smbios[SMBIOS_TABLES_MAX], entry[SMBIOS_ENTRY_SIZE];
    size_t len = smbios_build(m, 0, smbios, entry);
    fw_cfg_add_file(m->fw_cfg, "etc/smbios/smbios-tables", smbios, len);
    fw_cfg_add_file(m->fw_cfg, "etc/smbios/smbios-anchor", entry, sizeof entry - 1);
    fw_cfg_add_u64(m->fw_cfg, FW_CFG_RAM_SIZE, m->config.ram_bytes);
    fw_cfg_add_u16(m->fw_cfg, FW_CFG_NB_CPUS, (u16)m->config.cpus);
    fw_cfg_add_u16(m->fw_cfg, FW_CFG_MAX_CPUS, (u16)m->config.cpus);
    fw_cfg_add_u16(m->fw_cfg, FW_CFG_NOGRAPHIC, 1);
    /* ISA IRQ 0 is pin 2 of the I/O APIC. */
    static const u8 irq0_override = 1;
    fw_cfg_add_key(m->fw_cfg, FW_CFG_IRQ0_OVERRIDE, &irq0_override, 1);
    describe_memory(m);
    /* One byte per Sx: 0x80 there, low bits the SLP_TYP value. */
    static const u8 states[6] = {0x80, 0, 0, 0x80 | PM_SLP_TYP_S3, PM_SLP_TYP_S4, 0x80 | PM_SLP_TYP_S5};
    fw_cfg_add_file(m->fw_cfg, "etc/system-states", states, sizeof states);
    static const u8 zero[2] = {0}; /* nobody presses Esc */
    fw_cfg_add_file(m->fw_cfg, "etc/show-boot-menu", zero, sizeof zero);
    /* Its "screen" is the first serial port as well, when there is one. */
    static const u8 sercon[2] = {0xf8, 0x03};
    if (m->config.serial_count > 0) {
        fw_cfg_add_file(m->fw_cfg, "etc/sercon-port", sercon, sizeof sercon);
    }
    describe_boot_order(m);
}
