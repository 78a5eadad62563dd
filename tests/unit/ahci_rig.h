/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A scripted AHCI driver over the PCI rig: disks in memory, command slots, FIS area. For tests. */
#ifndef VITRINE_TESTS_UNIT_AHCI_RIG_H
#define VITRINE_TESTS_UNIT_AHCI_RIG_H

#include "abi/x86/ahci.h"
#include "base/bits.h"
#include "devices/ahci.h"
#include "pci_rig.h"

#define ABAR 0xfe000000u
#define PORT(n) (ABAR + AHCI_PORT_BASE + (n)*AHCI_PORT_SIZE)
#define CLB(n) (0x100000u + (n)*0x10000u)
#define RFB(n) (CLB(n) + 0x400u)
#define TABLE(n, slot) (CLB(n) + 0x1000u + (slot)*0x400u)
#define DATA 0x400000u

struct memory_disk {
    struct block_backend backend;
    u8 *bytes;
    u64 bad_lba; /* an error when a request covers it */
    unsigned flushes;
};

static inline bool memory_covers_bad(const struct memory_disk *d, u64 lba, u64 count)
{
    return d->bad_lba >= lba && d->bad_lba < lba + count;
}

static inline bool memory_read(void *self, u64 lba, u32 count, void *buf)
{
    struct memory_disk *d = self;
    if (memory_covers_bad(d, lba, count)) {
        return false;
    }
    ck_assert_uint_le(lba + count, d->backend.sectors);
    memcpy(buf, d->bytes + lba * BLOCK_SECTOR, (size_t)count * BLOCK_SECTOR);
    return true;
}

static inline bool memory_write(void *self, u64 lba, u32 count, const void *buf)
{
    struct memory_disk *d = self;
    if (memory_covers_bad(d, lba, count)) {
        return false;
    }
    ck_assert_uint_le(lba + count, d->backend.sectors);
    memcpy(d->bytes + lba * BLOCK_SECTOR, buf, (size_t)count * BLOCK_SECTOR);
    return true;
}

static inline bool memory_flush(void *self)
{
    ((struct memory_disk *)self)->flushes++;
    return true;
}

static inline bool memory_discard(void *self, u64 lba, u64 count)
{
    struct memory_disk *d = self;
    memset(d->bytes + lba * BLOCK_SECTOR, 0, (size_t)count * BLOCK_SECTOR);
    return true;
}

static inline void memory_disk_init(struct memory_disk *d, u64 sectors)
{
    memset(d, 0, sizeof *d);
    d->bad_lba = ~(u64)0;
    d->bytes = malloc(sectors * BLOCK_SECTOR);
    ck_assert_ptr_nonnull(d->bytes);
    for (u64 i = 0; i < sectors; i++) { /* every sector names itself */
        memset(d->bytes + i * BLOCK_SECTOR, (int)(i * 7 + 1), BLOCK_SECTOR);
        store_le64(d->bytes + i * BLOCK_SECTOR, i);
    }
    d->backend = (struct block_backend){.sectors = sectors,
                                        .read = memory_read,
                                        .write = memory_write,
                                        .flush = memory_flush,
                                        .discard = memory_discard,
                                        .self = d};
}

/* Port 0: disk, port 1: CD. */
static inline struct ahci *ahci_rig_new(struct rig *rig, struct memory_disk *disk,
                                        struct memory_disk *cd)
{
    struct ahci *a = ahci_new(&rig->env, rig->pci, ICH9_AHCI_DEVFN, "ahci0");
    ahci_attach_disk(a, 0, &disk->backend);
    ahci_attach_cdrom(a, 1, cd != NULL ? &cd->backend : NULL);
    bus_reset(rig->bus, RESET_POWER);
    return a;
}

static inline void ahci_rig_start_port(struct rig *rig, unsigned port)
{
    rig_write32(rig, PORT(port) + AHCI_PXCLB, CLB(port));
    rig_write32(rig, PORT(port) + AHCI_PXFB, RFB(port));
    rig_write32(rig, PORT(port) + AHCI_PXCMD, AHCI_PXCMD_FRE);
    rig_write32(rig, PORT(port) + AHCI_PXSERR, 0xffffffff);
    rig_write32(rig, PORT(port) + AHCI_PXIS, 0xffffffff);
    rig_write32(rig, PORT(port) + AHCI_PXCMD, AHCI_PXCMD_FRE | AHCI_PXCMD_ST);
    rig_write32(rig, PORT(port) + AHCI_PXIE, AHCI_PXIS_ALL);
    rig_write32(rig, ABAR + AHCI_IS, 0xffffffff);
}

static inline void ahci_rig_start(struct rig *rig)
{
    rig_cfg_write(rig, ICH9_AHCI_DEVFN, 0x24, ABAR, 4);
    rig_cfg_write(rig, ICH9_AHCI_DEVFN, PCI_COMMAND, 7, 2);
    rig_write32(rig, ABAR + AHCI_GHC, AHCI_GHC_AE | AHCI_GHC_IE);
    ahci_rig_start_port(rig, 0);
    ahci_rig_start_port(rig, 1);
}

struct request {
    u8 command, device;
    u16 features, count;
    u64 lba;
    u32 bytes; /* one PRD of this size at `data`, or `prds` entries that share it evenly */
    u32 data;  /* address */
    unsigned prds;
    u16 flags; /* header: W, A, C */
    const u8 *acmd;
};

static inline void ahci_rig_build(struct rig *rig, unsigned port, unsigned slot,
                                  const struct request *q)
{
    u8 header[32] = {0};
    u8 table[0x80] = {FIS_REG_H2D, 0x80, q->command, (u8)q->features};
    for (unsigned i = 0; i < 3; i++) {
        table[4 + i] = (u8)(q->lba >> (8 * i));
        table[8 + i] = (u8)(q->lba >> (24 + 8 * i));
    }
    table[7] = q->device | 0x40;
    table[11] = (u8)(q->features >> 8);
    store_le16(table + 12, q->count);
    if (q->acmd != NULL) {
        memcpy(table + AHCI_TABLE_ACMD, q->acmd, 12);
    }
    unsigned prds = q->bytes == 0 ? 0 : q->prds != 0 ? q->prds : 1;
    store_le16(header, 5 | q->flags);
    store_le16(header + 2, (u16)prds);
    store_le64(header + 8, TABLE(port, slot));
    phys_write(&rig->phys, SPA(TABLE(port, slot)), table, sizeof table);
    u32 done = 0;
    for (unsigned i = 0; i < prds; i++) {
        u8 prd[16] = {0};
        u32 n = i + 1 < prds ? (q->bytes / prds) & ~1u : q->bytes - done;
        store_le64(prd, q->data + done);
        store_le32(prd + 12, n - 1);
        phys_write(&rig->phys, SPA(TABLE(port, slot) + AHCI_TABLE_PRDT + 16 * i), prd, 16);
        done += n;
    }
    phys_write(&rig->phys, SPA(CLB(port) + slot * 32), header, sizeof header);
}

/* Issue in slot 0 and wait; true when it ended well. */
static inline bool ahci_rig_do(struct rig *rig, unsigned port, const struct request *q)
{
    ahci_rig_build(rig, port, 0, q);
    rig_write32(rig, PORT(port) + AHCI_PXIS, 0xffffffff);
    rig_write32(rig, PORT(port) + AHCI_PXCI, 1);
    rig_run(rig, 100000000);
    return rig_read32(rig, PORT(port) + AHCI_PXCI) == 0 &&
           (rig_read32(rig, PORT(port) + AHCI_PXTFD) & 0x89) == 0;
}

/* After an error: stop, clear, start. */
static inline void ahci_rig_recover(struct rig *rig, unsigned port)
{
    rig_write32(rig, PORT(port) + AHCI_PXCMD, AHCI_PXCMD_FRE);
    rig_write32(rig, PORT(port) + AHCI_PXSERR, 0xffffffff);
    rig_write32(rig, PORT(port) + AHCI_PXIS, 0xffffffff);
    rig_write32(rig, PORT(port) + AHCI_PXCMD, AHCI_PXCMD_FRE | AHCI_PXCMD_ST);
}

static inline bool ahci_rig_packet(struct rig *rig, const u8 acmd[12], u32 bytes, bool dma)
{
    const struct request q = {.command = ATA_CMD_PACKET,
                              .features = dma,
                              .lba = (u64)0xfffe << 8,
                              .bytes = bytes,
                              .data = DATA,
                              .flags = AHCI_HEADER_A,
                              .acmd = acmd};
    return ahci_rig_do(rig, 1, &q);
}

#endif
