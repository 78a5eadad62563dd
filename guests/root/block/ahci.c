/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Serial ATA disks and CD-ROMs [AHCI, ACS3, MMC]: commands that are not queued in the disk, up to 32 in the adapter's own slots. A command
 * that fails stops the port: it ends, the others are given again. Left out: native command queuing, port multipliers, hotplug, discarding,
 * a CD-ROM's medium that comes later, more than one adapter. */
#include "abi/x86/ahci.h"
#include "guests/root/block/block.h"
#include "guests/root/block/driver.h"

#define CLASS_STORAGE 0x01
#define SUBCLASS_SATA 0x06
#define INTERFACE_AHCI 0x01
#define ABAR 5
#define PORTS 32u
#define DISKS 8
#define SLOTS 32u
#define PATIENCE 1000000u
#define PRD_BYTES (4u << 20)
#define PRDS 8u
#define TABLE_BYTES 256u /* a command table with 8 regions */
#define FIS_AT 1024u     /* behind the list, in the same page */
#define FIS_DWORDS 5u
#define FIS_COMMAND 0x80u
#define DEVICE_LBA 0x40u
#define INTERRUPTS (AHCI_PXIS_DHRS | AHCI_PXIS_PSS | AHCI_PXIS_SDBS | FAILURES)
#define FAILURES (AHCI_PXIS_TFES | AHCI_PXIS_HBFS | AHCI_PXIS_IFS | AHCI_PXIS_OFS)
#define SSTS_DETECTED 3u
#define MULTI_MAX 65536u /* sectors of one command */
#define PACKET_MAX 65535u

struct disk {
    struct block block; /* first */
    volatile u8 *port;
    u8 *list, *tables;
    u32 slots, issued;
    bool is_packet, flushing[SLOTS];
    struct block_request *request[SLOTS];
    struct block_request *first, *last; /* waiting */
    u64 done, lost;
    char name[BLOCK_NAME];
};

static struct disk disks[DISKS];
static u32 disk_count;
static volatile u8 *hba;
static struct device_interrupt interrupt;
static u8 identity[2048] __attribute__((aligned(4096))); /* also the answers of a CD-ROM */

static bool wait_clear(const volatile u8 *at, u32 bits)
{
    for (u32 i = 0; i < PATIENCE; i++) {
        if ((load32(at) & bits) == 0) {
            return true;
        }
    }
    return false;
}

/* What a command is made of. */
struct command {
    u8 code;
    u64 lba;
    u32 count; /* the register's */
    void *data;
    u32 bytes;
    bool writes;
    const u8 *packet; /* 12 bytes, NULL none */
};

static void put(struct disk *d, u32 slot, const struct command *c)
{
    u8 *table = d->tables + slot * TABLE_BYTES;
    u32 *header = (u32 *)(void *)(d->list + slot * AHCI_HEADER_SIZE);
    u32 regions = (c->bytes + PRD_BYTES - 1) / PRD_BYTES;
    const u8 fis[20] = {FIS_REG_H2D,
                        FIS_COMMAND,
                        c->code,
                        c->packet != NULL ? 1 : 0, /* features: DMA */
                        (u8)c->lba,
                        (u8)(c->lba >> 8),
                        (u8)(c->lba >> 16),
                        DEVICE_LBA,
                        (u8)(c->lba >> 24),
                        (u8)(c->lba >> 32),
                        (u8)(c->lba >> 40),
                        0,
                        (u8)c->count,
                        (u8)(c->count >> 8)};
    memset(table, 0, TABLE_BYTES);
    memcpy(table, fis, sizeof fis);
    if (c->packet != NULL) {
        memcpy(table + AHCI_TABLE_ACMD, c->packet, 12);
    }
    for (u32 i = 0; i < regions; i++) {
        u64 at = address_of(c->data) + (u64)i * PRD_BYTES;
        u32 n = (u32)min_u64(PRD_BYTES, c->bytes - (u64)i * PRD_BYTES);
        const u32 region[4] = {(u32)at, (u32)(at >> 32), 0, n - 1};
        memcpy(table + AHCI_TABLE_PRDT + (u64)i * AHCI_PRD_SIZE, region, sizeof region);
    }
    header[0] = regions << 16 | FIS_DWORDS | (c->writes ? AHCI_HEADER_W : 0) | (c->packet != NULL ? AHCI_HEADER_A : 0);
    header[1] = 0;
    header[2] = (u32)address_of(table);
    header[3] = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void issue(struct disk *d, u32 slot)
{
    d->issued |= 1u << slot;
    store32(d->port + AHCI_PXCI, 1u << slot);
}

static void give(struct disk *d, u32 slot)
{
    const struct block_request *r = d->request[slot];
    if (d->flushing[slot] || (r->flush && r->sectors == 0)) {
        put(d, slot, &(struct command){.code = ATA_CMD_FLUSH_CACHE_EXT});
    } else if (d->is_packet) {
        u32 at = (u32)r->sector;
        const u8 packet[12] = {SCSI_READ_10, 0, (u8)(at >> 24), (u8)(at >> 16), (u8)(at >> 8), (u8)at, 0,
                               (u8)(r->sectors >> 8), (u8)r->sectors};
        put(d, slot, &(struct command){.code = ATA_CMD_PACKET, .data = r->data, .bytes = r->sectors * d->block.sector_size, .packet = packet});
    } else {
        put(d, slot, &(struct command){.code = r->write ? ATA_CMD_WRITE_DMA_EXT : ATA_CMD_READ_DMA_EXT,
                                       .lba = r->sector,
                                       .count = r->sectors,
                                       .data = r->data,
                                       .bytes = r->sectors * d->block.sector_size,
                                       .writes = r->write});
    }
    issue(d, slot);
}

static void start(struct disk *d, u32 slot, struct block_request *r)
{
    d->request[slot] = r;
    d->flushing[slot] = false;
    give(d, slot);
}

static u64 most_bytes(const struct disk *d)
{
    u64 bytes = (u64)(d->is_packet ? PACKET_MAX : MULTI_MAX) * d->block.sector_size;
    return min_u64(bytes, (u64)PRDS * PRD_BYTES);
}

static void submit(struct block *b, struct block_request *r)
{
    struct disk *d = (struct disk *)(void *)b;
    if (!block_accepts(b, r)) {
        return;
    }
    if ((u64)r->sectors * b->sector_size > most_bytes(d)) {
        r->done(r, BLOCK_UNSUPPORTED);
        return;
    }
    for (u32 slot = 0; d->first == NULL && slot < d->slots; slot++) {
        if (d->request[slot] == NULL) {
            start(d, slot, r);
            return;
        }
    }
    r->next = NULL;
    *(d->first != NULL ? &d->last->next : &d->first) = r;
    d->last = r;
}

static void end(struct disk *d, u32 slot, int status)
{
    struct block_request *r = d->request[slot];
    d->issued &= ~(1u << slot);
    if (status == BLOCK_OK && r->write && r->fua && !d->flushing[slot]) {
        d->flushing[slot] = true;
        give(d, slot);
        return;
    }
    d->done++;
    d->request[slot] = NULL;
    if (d->first != NULL) {
        struct block_request *next = d->first;
        d->first = next->next;
        start(d, slot, next);
    }
    r->done(r, status);
}

static bool stop(volatile u8 *port)
{
    store32(port + AHCI_PXCMD, load32(port + AHCI_PXCMD) & ~(u32)AHCI_PXCMD_ST);
    return wait_clear(port + AHCI_PXCMD, AHCI_PXCMD_CR);
}

/* [AHCI "Error Recovery"] The failed one is the current slot; the others have not begun. */
static void recover(struct disk *d)
{
    u32 failed = load32(d->port + AHCI_PXCMD) >> 8 & 31;
    u32 again = load32(d->port + AHCI_PXCI) & d->issued & ~(1u << failed);
    (void)stop(d->port);
    store32(d->port + AHCI_PXSERR, ~0u);
    store32(d->port + AHCI_PXIS, ~0u);
    store32(d->port + AHCI_PXCMD, load32(d->port + AHCI_PXCMD) | AHCI_PXCMD_CLO);
    (void)wait_clear(d->port + AHCI_PXCMD, AHCI_PXCMD_CLO);
    store32(d->port + AHCI_PXCMD, load32(d->port + AHCI_PXCMD) | AHCI_PXCMD_ST);
    if (again != 0) {
        store32(d->port + AHCI_PXCI, again);
    }
    if ((d->issued >> failed & 1) != 0) {
        end(d, failed, BLOCK_ERROR);
    }
}

static bool look(struct disk *d, enum interrupt_news news)
{
    u32 is = load32(d->port + AHCI_PXIS);
    store32(d->port + AHCI_PXIS, is);
    u32 over = d->issued & ~load32(d->port + AHCI_PXCI);
    for (u32 slot = 0; slot < d->slots; slot++) {
        if ((over >> slot & 1) != 0) {
            d->lost += news == INTERRUPT_LOST ? 1 : 0;
            end(d, slot, BLOCK_OK);
        }
    }
    if ((is & FAILURES) != 0) {
        recover(d);
    }
    return over != 0 || (is & FAILURES) != 0;
}

static bool ready(void)
{
    for (u32 i = 0; i < disk_count; i++) {
        const struct disk *d = &disks[i];
        if (d->issued != 0 && ((d->issued & ~load32(d->port + AHCI_PXCI)) != 0 || (load32(d->port + AHCI_PXIS) & FAILURES) != 0)) {
            return true;
        }
    }
    return false;
}

bool ahci_poll(void)
{
    bool any = false;
    enum interrupt_news news = pci_interrupt_news(&interrupt, ready);
    if (news == INTERRUPT_NONE) {
        return false;
    }
    u32 which = news == INTERRUPT_CAME ? load32(hba + AHCI_IS) : 0;
    for (u32 i = 0; i < disk_count; i++) {
        if (disks[i].issued != 0) {
            any = look(&disks[i], news) || any;
        }
    }
    store32(hba + AHCI_IS, which); /* behind the ports' own: what came in between sets it again */
    return any;
}

void ahci_print(void)
{
    for (u32 i = 0; i < disk_count; i++) {
        print("  %s: %lu requests done, %lu without an interrupt; %lu interrupts\n", disks[i].name, disks[i].done, disks[i].lost,
              interrupt.count);
    }
}

/* One command while nothing else goes on, without interrupts. */
static bool run(struct disk *d, const struct command *c)
{
    put(d, 0, c);
    store32(d->port + AHCI_PXIS, ~0u);
    store32(d->port + AHCI_PXCI, 1);
    for (u32 i = 0; i < PATIENCE; i++) {
        if ((load32(d->port + AHCI_PXIS) & FAILURES) != 0) {
            recover(d);
            return false;
        }
        if ((load32(d->port + AHCI_PXCI) & 1) == 0) {
            return true;
        }
    }
    return false;
}

static u64 big32(const u8 *p) { return (u64)p[0] << 24 | (u64)p[1] << 16 | (u64)p[2] << 8 | p[3]; }

/* A CD-ROM without a medium is a disk of no sectors. The first commands are refused: the unit has been reset. */
static bool identify_packet(struct disk *d)
{
    static const u8 capacity[12] = {SCSI_READ_CAPACITY_10};
    d->block.removable = d->block.read_only = true;
    d->block.sector_size = 2048;
    for (u32 i = 0; i < 4; i++) {
        if (run(d, &(struct command){.code = ATA_CMD_PACKET, .data = identity, .bytes = 8, .packet = capacity})) {
            d->block.sectors = big32(identity + 4) == 2048 ? big32(identity) + 1 : 0;
            break;
        }
    }
    return true;
}

static bool identify(struct disk *d)
{
    if (d->is_packet) {
        return identify_packet(d);
    }
    u16 words[256];
    if (!run(d, &(struct command){.code = ATA_CMD_IDENTIFY, .data = identity, .bytes = sizeof words})) {
        return false;
    }
    memcpy(words, identity, sizeof words);
    d->block.sectors = words[100] | (u64)words[101] << 16 | (u64)words[102] << 32 | (u64)words[103] << 48;
    return (words[83] & 1u << 10) != 0; /* 48-bit addresses */
}

static bool start_port(struct disk *d, volatile u8 *port)
{
    d->port = port;
    d->list = memory_take(PAGE_SIZE);
    d->tables = memory_take((u64)SLOTS * TABLE_BYTES);
    if (d->list == NULL || d->tables == NULL || !stop(port)) {
        return false;
    }
    store32(port + AHCI_PXCMD, load32(port + AHCI_PXCMD) & ~(u32)AHCI_PXCMD_FRE);
    if (!wait_clear(port + AHCI_PXCMD, AHCI_PXCMD_FR)) {
        return false;
    }
    memset(d->list, 0, PAGE_SIZE);
    store32(port + AHCI_PXCLB, (u32)address_of(d->list));
    store32(port + AHCI_PXCLBU, 0);
    store32(port + AHCI_PXFB, (u32)address_of(d->list) + FIS_AT);
    store32(port + AHCI_PXFBU, 0);
    store32(port + AHCI_PXSERR, ~0u);
    store32(port + AHCI_PXIS, ~0u);
    store32(port + AHCI_PXCMD, load32(port + AHCI_PXCMD) | AHCI_PXCMD_FRE | AHCI_PXCMD_SUD | AHCI_PXCMD_POD);
    if (!wait_clear(port + AHCI_PXTFD, ATA_STATUS_BSY | ATA_STATUS_DRQ)) {
        return false;
    }
    store32(port + AHCI_PXCMD, load32(port + AHCI_PXCMD) | AHCI_PXCMD_ST);
    d->is_packet = load32(port + AHCI_PXSIG) == ATA_SIGNATURE_PACKET;
    d->block.sector_size = 512;
    return (d->is_packet || load32(port + AHCI_PXSIG) == ATA_SIGNATURE_DISK) && identify(d);
}

static void add_port(u32 n)
{
    volatile u8 *port = hba + AHCI_PORT_BASE + (u64)n * AHCI_PORT_SIZE;
    if ((load32(port + AHCI_PXSSTS) & 15) != SSTS_DETECTED || disk_count == DISKS) {
        return;
    }
    struct disk *d = &disks[disk_count];
    if (!start_port(d, port)) {
        print("root: what is on port %u of the SATA adapter does not start\n", n);
        memset(d, 0, sizeof *d);
        return;
    }
    d->slots = (load32(hba + AHCI_CAP) >> 8 & 31) + 1;
    memcpy(d->name, "ahci0", 6);
    d->name[4] = (char)('0' + disk_count++);
    d->block.name = d->name;
    d->block.submit = submit;
    store32(port + AHCI_PXIS, ~0u);
    store32(port + AHCI_PXIE, INTERRUPTS);
    block_add(&d->block);
}

bool ahci_start(const struct pci_function *f)
{
    if (f->class_code != CLASS_STORAGE || f->subclass != SUBCLASS_SATA || f->interface != INTERFACE_AHCI) {
        return false;
    }
    volatile u8 *at = pci_map(f, ABAR);
    if (hba != NULL || at == NULL) {
        return true;
    }
    pci_enable(f);
    store32(at + AHCI_GHC, AHCI_GHC_AE);
    store32(at + AHCI_GHC, AHCI_GHC_AE | AHCI_GHC_HR);
    if (!wait_clear(at + AHCI_GHC, AHCI_GHC_HR) || !pci_vector(&interrupt) || !pci_message(f, 0, interrupt.vector)) {
        print("root: a SATA adapter that does not start\n");
        return true;
    }
    hba = at;
    store32(hba + AHCI_GHC, AHCI_GHC_AE);
    for (u32 i = 0; i < 1000; i++) {
        (void)load32(hba + AHCI_VS); /* the links come up */
    }
    for (u32 n = 0; n < PORTS; n++) {
        if ((load32(hba + AHCI_PI) >> n & 1) != 0) {
            add_port(n);
        }
    }
    store32(hba + AHCI_IS, ~0u);
    store32(hba + AHCI_GHC, AHCI_GHC_AE | AHCI_GHC_IE);
    return true;
}
