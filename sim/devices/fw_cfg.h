/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QEMU's firmware configuration device: how a machine tells its firmware what it is. See fw_cfg.c.
 */
#ifndef VITRINE_DEVICES_FW_CFG_H
#define VITRINE_DEVICES_FW_CFG_H

#include "devices/bus.h"
#include "devices/device.h"

/* Keys of items that are not files. */
enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_ACPI_TABLES = 0x8000,
    FW_CFG_SMBIOS_ENTRIES = 0x8001,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_HPET = 0x8004,
};

#define FW_CFG_MAX_FILES 64
#define FW_CFG_MAX_NAME 55

struct fw_cfg;

/* Claims 0x510-0x511 and 0x514-0x51b; owned by the bus. Signature, ID and directory exist at once.
 */
struct fw_cfg *fw_cfg_new(const struct device_env *env, const char *id);

/* Items are configuration: add them before the machine starts, in an order that depends on
 * configuration only. The data is copied. A key or file added again is replaced. */
void fw_cfg_add_key(struct fw_cfg *fw, u16 key, const void *data, size_t len);
void fw_cfg_add_u16(struct fw_cfg *fw, u16 key, u16 value);
void fw_cfg_add_u32(struct fw_cfg *fw, u16 key, u32 value);
void fw_cfg_add_u64(struct fw_cfg *fw, u16 key, u64 value);
void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t len);

#endif
