/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes drive an AHCI controller: register writes and reads, guest memory (command lists, tables,
 * PRDs), configuration space, time. Small operands and a skew to meaningful values let random
 * bytes reach deep. At the end the state is saved, loaded and compared. */
#include "abi/x86/ahci.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "devices/ahci.h"

#include <stdlib.h>

#define RAM MIB(1)
#define ABAR 0xfe000000u
#define SECTORS 256
#define MAX_STEPS 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct board {
    struct log log;
    struct clock clock;
    struct phys phys;
    struct bus bus;
    struct pci_bus *pci;
    struct block_backend disk, cd;
    u8 sectors[SECTORS * BLOCK_SECTOR];
};

struct input {
    const u8 *data;
    size_t size, pos;
};

static u8 take8(struct input *in)
{
    return in->pos < in->size ? in->data[in->pos++] : 0;
}

static u32 take32(struct input *in)
{
    u32 v = 0;
    for (unsigned i = 0; i < 4; i++) {
        v = v << 8 | take8(in);
    }
    return v;
}

static bool board_dma_read(void *self, u16 requester, iova_t iova, void *out, u64 size)
{
    struct board *b = self;
    UNUSED(requester);
    phys_read(&b->phys, SPA(iova.v), out, size);
    return (iova.v >> 40) != 0xff; /* some addresses are refused */
}

static bool board_dma_write(void *self, u16 requester, iova_t iova, const void *in, u64 size)
{
    struct board *b = self;
    UNUSED(requester);
    phys_write(&b->phys, SPA(iova.v), in, size);
    return (iova.v >> 40) != 0xff;
}

static void board_message(void *self, u16 requester, u64 address, u32 value)
{
    UNUSED(self);
    UNUSED(requester);
    UNUSED(address);
    UNUSED(value);
}

static bool sector_read(void *self, u64 lba, u32 count, void *buf)
{
    struct board *b = self;
    sim_assert(count != 0 && lba < SECTORS && SECTORS - lba >= count);
    memcpy(buf, b->sectors + lba * BLOCK_SECTOR, (size_t)count * BLOCK_SECTOR);
    return lba != 13;
}

static bool sector_write(void *self, u64 lba, u32 count, const void *buf)
{
    struct board *b = self;
    sim_assert(count != 0 && lba < SECTORS && SECTORS - lba >= count);
    memcpy(b->sectors + lba * BLOCK_SECTOR, buf, (size_t)count * BLOCK_SECTOR);
    return lba != 13;
}

static bool sector_discard(void *self, u64 lba, u64 count)
{
    struct board *b = self;
    sim_assert(count != 0 && lba < SECTORS && SECTORS - lba >= count);
    memset(b->sectors + lba * BLOCK_SECTOR, 0, (size_t)count * BLOCK_SECTOR);
    return true;
}

static struct board *board_new(void)
{
    struct board *b = calloc(1, sizeof *b);
    sim_assert(b != NULL);
    log_init(&b->log);
    clock_init(&b->clock, 1000000000, 1000000000);
    sim_assert(phys_init(&b->phys, &b->log, RAM));
    (void)phys_add_ram(&b->phys, REGION_RAM, SPA(0), RAM, 0, 0, "ram");
    bus_init(&b->bus, &b->log);
    const struct device_env env = {
        .clock = &b->clock,
        .log = &b->log,
        .bus = &b->bus,
        .phys = &b->phys,
        .dma = {.read = board_dma_read, .write = board_dma_write, .self = b},
        .msi = {.send = board_message, .self = b},
    };
    b->disk = (struct block_backend){.sectors = SECTORS,
                                     .read = sector_read,
                                     .write = sector_write,
                                     .discard = sector_discard,
                                     .self = b};
    b->cd = b->disk;
    b->cd.read_only = true;
    b->pci = pci_bus_new(&env);
    struct ahci *a = ahci_new(&env, b->pci, 8, "ahci0");
    ahci_attach_disk(a, 0, &b->disk);
    ahci_attach_cdrom(a, 1, &b->cd);
    bus_reset(&b->bus, RESET_POWER);
    pci_config_write(b->pci, 0, 8, 0x24, ABAR, 4);
    pci_config_write(b->pci, 0, 8, PCI_COMMAND, 7, 2);
    return b;
}

static void board_free(struct board *b)
{
    bus_free(&b->bus);
    phys_free(&b->phys);
    free(b);
}

static void run_time(struct board *b, u64 ns)
{
    vtime_t end = {clock_now(&b->clock).ns + ns};
    for (unsigned fired = 0; fired < 100 && clock_next_deadline(&b->clock).ns <= end.ns; fired++) {
        clock_skip_to(&b->clock, clock_next_deadline(&b->clock));
        clock_fire_due(&b->clock);
    }
    clock_skip_to(&b->clock, end);
}

static const u8 ata_codes[] = {ATA_CMD_READ_SECTORS,
                               ATA_CMD_READ_DMA_EXT,
                               ATA_CMD_READ_MULTIPLE,
                               ATA_CMD_READ_LOG_EXT,
                               ATA_CMD_WRITE_SECTORS,
                               ATA_CMD_WRITE_DMA_FUA_EXT,
                               ATA_CMD_READ_FPDMA_QUEUED,
                               ATA_CMD_WRITE_FPDMA_QUEUED,
                               ATA_CMD_PACKET,
                               ATA_CMD_IDENTIFY,
                               ATA_CMD_IDENTIFY_PACKET,
                               ATA_CMD_SET_FEATURES,
                               ATA_CMD_DATA_SET_MANAGEMENT,
                               ATA_CMD_SMART,
                               ATA_CMD_SET_MULTIPLE,
                               ATA_CMD_READ_DMA};

static const u8 packet_codes[] = {
    SCSI_TEST_UNIT_READY,       SCSI_REQUEST_SENSE, SCSI_INQUIRY,          SCSI_START_STOP_UNIT,
    SCSI_PREVENT_ALLOW,         SCSI_READ_10,       SCSI_READ_12,          SCSI_READ_TOC,
    SCSI_GET_CONFIGURATION,     SCSI_READ_CD,       SCSI_GET_EVENT_STATUS, SCSI_MODE_SENSE_10,
    SCSI_READ_DISC_INFORMATION, SCSI_READ_10,       SCSI_READ_CAPACITY_10, SCSI_MECHANISM_STATUS};

static void issue(struct board *b, unsigned port, u32 slots)
{
    u64 base = ABAR + AHCI_PORT_BASE + AHCI_PORT_SIZE * (u64)port;
    phys_write_scalar(&b->phys, SPA(base + AHCI_PXSACT), slots, 4);
    phys_write_scalar(&b->phys, SPA(base + AHCI_PXCI), slots, 4);
}

/* A command slot that means something: header, FIS, packet, a few PRDs; mostly issued at once. */
static void write_command(struct board *b, struct input *in)
{
    u8 where = take8(in);
    unsigned port = where & 1;
    unsigned slot = (where >> 1) & 31;
    u8 header[32] = {0};
    u8 table[0x80 + 64] = {FIS_REG_H2D, 0x80};
    u64 list = 0x1000 + 0x1000 * (u64)port;
    u64 ctba = 0x8000 + 0x100 * (u64)slot;
    u8 shape = take8(in);
    store_le16(header, (u16)(5 | (shape & 1) << 5 | (shape & 2) << 5 | (shape & 4) << 8));
    store_le16(header + 2, shape >> 3);
    store_le64(header + 8, ctba);
    for (unsigned i = 2; i < 16; i++) {
        table[i] = take8(in) & ((i >= 8 && i <= 10) ? 0 : 0xff);
    }
    table[11] = 0;
    table[13] = 0;
    if (shape == 0xff) {
        table[1] = take8(in);
    }
    for (unsigned i = 0; i < 12; i++) {
        table[0x40 + i] = take8(in) & ((i >= 2 && i <= 4) || i == 6 ? 0 : 0xff);
    }
    if ((where & 0x80) == 0) {
        table[2] = port != 0 ? ATA_CMD_PACKET : ata_codes[table[2] % sizeof ata_codes];
        table[0x40] = packet_codes[table[0x40] % sizeof packet_codes];
        store_le16(header + 2, 4 + (shape >> 4));
    }
    for (unsigned i = 0; i < 4; i++) {
        store_le64(table + 0x80 + 16 * i, (u64)take8(in) << 12);
        store_le32(table + 0x8c + 16 * i, (u32)take8(in) << 9 | 0x1ff);
    }
    phys_write(&b->phys, SPA(list + 32 * slot), header, sizeof header);
    phys_write(&b->phys, SPA(ctba), table, sizeof table);
    if ((where & 0x40) == 0) {
        issue(b, port, (u32)1 << slot);
    }
}

static void start_port(struct board *b, unsigned port)
{
    u64 base = ABAR + AHCI_PORT_BASE + AHCI_PORT_SIZE * (u64)port;
    phys_write_scalar(&b->phys, SPA(base + AHCI_PXCMD), AHCI_PXCMD_FRE | AHCI_PXCMD_CLO, 4);
    phys_write_scalar(&b->phys, SPA(base + AHCI_PXCLB), 0x1000 + 0x1000 * (u64)port, 4);
    phys_write_scalar(&b->phys, SPA(base + AHCI_PXFB), 0x4000 + 0x100 * (u64)port, 4);
    phys_write_scalar(&b->phys, SPA(base + AHCI_PXIE), 0xffffffff, 4);
    phys_write_scalar(&b->phys, SPA(base + AHCI_PXCMD), AHCI_PXCMD_FRE | AHCI_PXCMD_ST, 4);
}

static void step(struct board *b, struct input *in)
{
    u8 what = take8(in);
    u64 port = ABAR + AHCI_PORT_BASE + AHCI_PORT_SIZE * (u64)((what >> 3) & 1);
    switch (what & 7) {
    case 0: {
        unsigned offset = take8(in) | (take8(in) & 3u) << 8;
        phys_write_scalar(&b->phys, SPA(ABAR + offset), take32(in), 1u << (what >> 6));
        break;
    }
    case 1: {
        unsigned offset = take8(in) | (take8(in) & 15u) << 8;
        (void)phys_read_scalar(&b->phys, SPA(ABAR + offset), 1u << (what >> 6));
        break;
    }
    case 2: {
        u8 byte = take8(in);
        phys_write(&b->phys, SPA(take32(in) % RAM), &byte, 1);
        break;
    }
    case 3:
        write_command(b, in);
        break;
    case 4:
        start_port(b, (what >> 3) & 1);
        break;
    case 5:
        issue(b, (what >> 3) & 1, take32(in));
        break;
    case 6:
        run_time(b, (u64)take8(in) << 12);
        break;
    default:
        if ((what & 0xf8) == 0xf8) {
            pci_config_write(b->pci, 0, 8, take8(in) & ~3u, take32(in), 4);
        } else {
            phys_write_scalar(&b->phys, SPA(port + (take8(in) & 0x3c)), take32(in), 4);
        }
        break;
    }
}

static u64 hash_of(struct board *b)
{
    struct state_io io;
    state_init_hash(&io);
    clock_state(&b->clock, &io);
    bus_state(&b->bus, &io);
    return io.hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct board *b = board_new();
    struct input in = {.data = data, .size = size};
    start_port(b, 0);
    start_port(b, 1);
    for (unsigned i = 0; i < MAX_STEPS && in.pos < in.size; i++) {
        step(b, &in);
    }
    struct board *copy = board_new();
    struct state_io save;
    state_init_save(&save);
    clock_state(&b->clock, &save);
    bus_state(&b->bus, &save);
    struct state_io load;
    state_init_load(&load, save.data, save.len);
    clock_state(&copy->clock, &load);
    bus_state(&copy->bus, &load);
    sim_assert(!load.failed);
    sim_assert(hash_of(b) == hash_of(copy));
    state_free(&save);
    board_free(copy);
    board_free(b);
    return 0;
}
