/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Firmware configuration device [QEMU "QEMU Firmware Configuration (fw_cfg) Device"].
 *
 * Modelled: selector and data ports, file directory, DMA interface with select, skip and read.
 * Items are read-only: writing by DMA is refused with the error bit, by the data port ignored. Left
 * out: writable files, MMIO form. */
#include "devices/fw_cfg.h"

#include "base/assert.h"
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DMA_ERROR = 1 << 0,
    DMA_READ = 1 << 1,
    DMA_SKIP = 1 << 2,
    DMA_SELECT = 1 << 3,
    DMA_WRITE = 1 << 4,
};

#define ID_TRADITIONAL 1u
#define ID_DMA 2u

#define MAX_KEYS 48
#define DIR_ENTRY_SIZE 64u
/* "QEMU CFG", what the DMA address register reads as. */
static const u8 dma_signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};

struct item {
    u16 key;
    u8 *data;
    size_t len;
    char name[FW_CFG_MAX_NAME + 1]; /* files */
};

struct fw_cfg {
    char id[32]; /* configuration */
    struct log *log;
    struct dma dma;             /* configuration */
    struct item keys[MAX_KEYS]; /* configuration */
    unsigned key_count;
    struct item files[FW_CFG_MAX_FILES]; /* configuration */
    unsigned file_count;
    u16 selected;
    u32 position; /* in the selected item */
    u32 dma_high; /* of the next DMA descriptor's address */
};

static const struct item *find_item(const struct fw_cfg *fw, u16 key)
{
    if (key >= FW_CFG_FILE_FIRST && key < FW_CFG_FILE_FIRST + fw->file_count) {
        return &fw->files[key - FW_CFG_FILE_FIRST];
    }
    for (unsigned i = 0; i < fw->key_count; i++) {
        if (fw->keys[i].key == key) {
            return &fw->keys[i];
        }
    }
    return NULL;
}

static void item_set(struct item *item, const void *data, size_t len)
{
    u8 *copy = malloc(len != 0 ? len : 1);
    sim_assert(copy != NULL && len <= UINT32_MAX);
    if (len != 0) {
        memcpy(copy, data, len);
    }
    free(item->data);
    item->data = copy;
    item->len = len;
}

void fw_cfg_add_key(struct fw_cfg *fw, u16 key, const void *data, size_t len)
{
    struct item *item = NULL;
    for (unsigned i = 0; i < fw->key_count && item == NULL; i++) {
        item = fw->keys[i].key == key ? &fw->keys[i] : NULL;
    }
    if (item == NULL) {
        sim_assert(fw->key_count < MAX_KEYS);
        item = &fw->keys[fw->key_count++];
        item->key = key;
    }
    item_set(item, data, len);
}

void fw_cfg_add_u16(struct fw_cfg *fw, u16 key, u16 value)
{
    u8 bytes[2];
    store_le16(bytes, value);
    fw_cfg_add_key(fw, key, bytes, sizeof bytes);
}

void fw_cfg_add_u32(struct fw_cfg *fw, u16 key, u32 value)
{
    u8 bytes[4];
    store_le32(bytes, value);
    fw_cfg_add_key(fw, key, bytes, sizeof bytes);
}

void fw_cfg_add_u64(struct fw_cfg *fw, u16 key, u64 value)
{
    u8 bytes[8];
    store_le64(bytes, value);
    fw_cfg_add_key(fw, key, bytes, sizeof bytes);
}

static void rebuild_directory(struct fw_cfg *fw)
{
    u8 dir[4 + FW_CFG_MAX_FILES * DIR_ENTRY_SIZE] = {0};
    store_be32(dir, fw->file_count);
    for (unsigned i = 0; i < fw->file_count; i++) {
        u8 *entry = dir + 4 + i * DIR_ENTRY_SIZE;
        store_be32(entry, (u32)fw->files[i].len);
        store_be16(entry + 4, fw->files[i].key);
        memcpy(entry + 8, fw->files[i].name, sizeof fw->files[i].name);
    }
    fw_cfg_add_key(fw, FW_CFG_FILE_DIR, dir, 4 + fw->file_count * DIR_ENTRY_SIZE);
}

void fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, size_t len)
{
    struct item *item = NULL;
    for (unsigned i = 0; i < fw->file_count && item == NULL; i++) {
        item = strcmp(fw->files[i].name, name) == 0 ? &fw->files[i] : NULL;
    }
    if (item == NULL) {
        sim_assert(fw->file_count < FW_CFG_MAX_FILES && strlen(name) <= FW_CFG_MAX_NAME);
        item = &fw->files[fw->file_count];
        item->key = (u16)(FW_CFG_FILE_FIRST + fw->file_count++);
        (void)snprintf(item->name, sizeof item->name, "%s", name);
    }
    item_set(item, data, len);
    rebuild_directory(fw);
}

static void select_item(struct fw_cfg *fw, u16 key)
{
    /* Bit 14 asks for writing, which nothing here allows; it is not part of the key. */
    fw->selected = key & 0xbfff;
    fw->position = 0;
}

static u8 read_byte(struct fw_cfg *fw)
{
    const struct item *item = find_item(fw, fw->selected);
    if (item == NULL || fw->position >= item->len) {
        return 0;
    }
    return item->data[fw->position++];
}

/* Bytes past an item's end read as 0. False when memory refuses. */
static bool dma_transfer(struct fw_cfg *fw, u64 address, u32 length)
{
    const struct item *item = find_item(fw, fw->selected);
    u64 left = item != NULL && fw->position < item->len ? item->len - fw->position : 0;
    u64 n = left < length ? left : length;
    if (n > 0 && !dma_write(&fw->dma, 0, IOVA(address), item->data + fw->position, n)) {
        return false;
    }
    fw->position += (u32)n;
    static const u8 zeroes[4096];
    while (n < length) {
        u64 piece = length - n < sizeof zeroes ? length - n : sizeof zeroes;
        if (!dma_write(&fw->dma, 0, IOVA(address + n), zeroes, piece)) {
            return false;
        }
        n += piece;
    }
    return true;
}

static void dma_skip(struct fw_cfg *fw, u32 length)
{
    const struct item *item = find_item(fw, fw->selected);
    u64 len = item != NULL ? item->len : 0;
    u64 to = (u64)fw->position + length;
    fw->position = (u32)(to < len ? to : len);
}

/* The descriptor: control, length, address, all big-endian; control is written back when done. */
static void run_dma(struct fw_cfg *fw, u64 descriptor)
{
    u8 bytes[16];
    if (!dma_read(&fw->dma, 0, IOVA(descriptor), bytes, sizeof bytes)) {
        log_guest_error(fw->log, "fw_cfg: descriptor at %#llx cannot be read",
                        (unsigned long long)descriptor);
        return;
    }
    u32 control = load_be32(bytes);
    u32 length = load_be32(bytes + 4);
    u64 address = load_be64(bytes + 8);
    bool ok = true;
    if ((control & DMA_SELECT) != 0) {
        select_item(fw, (u16)(control >> 16));
    }
    if ((control & DMA_READ) != 0) {
        ok = dma_transfer(fw, address, length);
    } else if ((control & DMA_WRITE) != 0) {
        ok = false;
    } else if ((control & DMA_SKIP) != 0) {
        dma_skip(fw, length);
    }
    u8 result[4];
    store_be32(result, ok ? 0 : DMA_ERROR);
    if (!dma_write(&fw->dma, 0, IOVA(descriptor), result, sizeof result)) {
        log_guest_error(fw->log, "fw_cfg: descriptor at %#llx cannot be written",
                        (unsigned long long)descriptor);
    }
}

static u32 fw_cfg_read(void *self, u16 offset, unsigned size)
{
    struct fw_cfg *fw = self;
    UNUSED(size);
    return offset == 1 ? read_byte(fw) : 0;
}

static void fw_cfg_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct fw_cfg *fw = self;
    if (offset == 0 && size == 2) {
        select_item(fw, (u16)value);
    }
}

static u32 dma_register_read(void *self, u16 offset, unsigned size)
{
    UNUSED(self);
    return (u32)load_le(dma_signature + offset, size);
}

static void dma_register_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct fw_cfg *fw = self;
    if (size != 4) {
        log_guest_error(fw->log, "fw_cfg: %u-byte write to the DMA address", size);
    } else if (offset == 0) {
        fw->dma_high = __builtin_bswap32(value);
    } else if (offset == 4) {
        u64 descriptor = (u64)fw->dma_high << 32 | __builtin_bswap32(value);
        fw->dma_high = 0;
        run_dma(fw, descriptor);
    }
}

static const struct port_ops fw_cfg_ports = {
    .read = fw_cfg_read, .write = fw_cfg_write, .max_size = 2};
static const struct port_ops dma_ports = {.read = dma_register_read, .write = dma_register_write};

static void fw_cfg_reset(void *self, enum reset_kind kind)
{
    struct fw_cfg *fw = self;
    UNUSED(kind);
    fw->selected = 0;
    fw->position = 0;
    fw->dma_high = 0;
}

static void fw_cfg_state(void *self, struct state_io *io)
{
    struct fw_cfg *fw = self;
    state_section(io, fw->id, 1);
    state_u16(io, "selected", &fw->selected);
    state_u32(io, "position", &fw->position);
    state_u32(io, "dma_high", &fw->dma_high);
}

static void fw_cfg_destroy(void *self)
{
    struct fw_cfg *fw = self;
    for (unsigned i = 0; i < fw->key_count; i++) {
        free(fw->keys[i].data);
    }
    for (unsigned i = 0; i < fw->file_count; i++) {
        free(fw->files[i].data);
    }
    free(fw);
}

static const struct device_ops fw_cfg_ops = {
    .type = "fw_cfg", .reset = fw_cfg_reset, .state = fw_cfg_state, .destroy = fw_cfg_destroy};

struct fw_cfg *fw_cfg_new(const struct device_env *env, const char *id)
{
    struct fw_cfg *fw = calloc(1, sizeof *fw);
    sim_assert(fw != NULL);
    (void)snprintf(fw->id, sizeof fw->id, "%s", id);
    fw->log = env->log;
    fw->dma = env->dma;
    fw_cfg_add_key(fw, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_add_u32(fw, FW_CFG_ID, ID_TRADITIONAL | ID_DMA);
    rebuild_directory(fw);
    bus_add_ports(env->bus, 0x510, 2, &fw_cfg_ports, fw, "fw_cfg");
    bus_add_ports(env->bus, 0x514, 8, &dma_ports, fw, "fw_cfg dma");
    bus_add_device(env->bus, &fw_cfg_ops, fw, id);
    return fw;
}
