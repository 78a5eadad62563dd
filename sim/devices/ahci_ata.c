/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ATA disks behind the AHCI adapter [ACS3]: identification, reads and writes in every protocol,
 * NCQ with its error log, cache flushes, power modes, SMART as far as BIOSes and daemons ask.
 *
 * Left out: security, host protected area, self-tests, streaming, long sectors, TRIM when the
 * backend cannot discard. */
#include "devices/ahci_priv.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

#define HEADS 16
#define SECTORS_PER_TRACK 63
#define MAX_MULTIPLE 16
#define SECTORS_PER_PIECE (AHCI_BUFFER / BLOCK_SECTOR)

#define FEATURE_TRIM 1

/* ---- fields ---- */

u64 cfis_lba48(const u8 *cfis)
{
    u64 low = load_le32(cfis + 4) & 0xffffff;
    u64 high = load_le32(cfis + 8) & 0xffffff;
    return low | high << 24;
}

u16 cfis_count(const u8 *cfis)
{
    return load_le16(cfis + 12);
}

void ata_put_string(u8 *out, const char *text, unsigned words)
{
    size_t length = strlen(text);
    for (unsigned i = 0; i < 2 * words; i++) {
        out[i ^ 1] = i < length ? (u8)text[i] : ' ';
    }
}

static void abort_command(struct ata_result *r)
{
    r->status = ATA_STATUS_GOOD | ATA_STATUS_ERR;
    r->error = ATA_ERROR_ABRT;
}

static void fail_at(struct ata_result *r, u8 error, u64 lba)
{
    r->status = ATA_STATUS_GOOD | ATA_STATUS_ERR;
    r->error = error;
    r->lba = lba;
}

/* ---- what a command addresses ---- */

enum address_kind { ADDRESS_NONE, ADDRESS_28, ADDRESS_48, ADDRESS_NCQ };

struct data_command {
    u8 code;
    enum address_kind address;
    enum ata_protocol protocol;
    bool write, verify, flush;
};

static const struct data_command data_commands[] = {
    {.code = ATA_CMD_READ_SECTORS, .address = ADDRESS_28, .protocol = ATA_PIO_IN},
    {.code = ATA_CMD_READ_SECTORS_NR, .address = ADDRESS_28, .protocol = ATA_PIO_IN},
    {.code = ATA_CMD_READ_SECTORS_EXT, .address = ADDRESS_48, .protocol = ATA_PIO_IN},
    {.code = ATA_CMD_READ_MULTIPLE, .address = ADDRESS_28, .protocol = ATA_PIO_IN},
    {.code = ATA_CMD_READ_MULTIPLE_EXT, .address = ADDRESS_48, .protocol = ATA_PIO_IN},
    {.code = ATA_CMD_READ_DMA, .address = ADDRESS_28, .protocol = ATA_DMA},
    {.code = ATA_CMD_READ_DMA_NR, .address = ADDRESS_28, .protocol = ATA_DMA},
    {.code = ATA_CMD_READ_DMA_EXT, .address = ADDRESS_48, .protocol = ATA_DMA},
    {.code = ATA_CMD_READ_FPDMA_QUEUED, .address = ADDRESS_NCQ, .protocol = ATA_DMA},
    {.code = ATA_CMD_READ_VERIFY, .address = ADDRESS_28, .verify = true},
    {.code = ATA_CMD_READ_VERIFY_NR, .address = ADDRESS_28, .verify = true},
    {.code = ATA_CMD_READ_VERIFY_EXT, .address = ADDRESS_48, .verify = true},
    {.code = ATA_CMD_WRITE_SECTORS, .address = ADDRESS_28, .protocol = ATA_PIO_OUT, .write = true},
    {.code = ATA_CMD_WRITE_SECTORS_NR,
     .address = ADDRESS_28,
     .protocol = ATA_PIO_OUT,
     .write = true},
    {.code = ATA_CMD_WRITE_SECTORS_EXT,
     .address = ADDRESS_48,
     .protocol = ATA_PIO_OUT,
     .write = true},
    {.code = ATA_CMD_WRITE_MULTIPLE, .address = ADDRESS_28, .protocol = ATA_PIO_OUT, .write = true},
    {.code = ATA_CMD_WRITE_MULTIPLE_EXT,
     .address = ADDRESS_48,
     .protocol = ATA_PIO_OUT,
     .write = true},
    {.code = ATA_CMD_WRITE_MULTIPLE_FUA_EXT,
     .address = ADDRESS_48,
     .protocol = ATA_PIO_OUT,
     .write = true,
     .flush = true},
    {.code = ATA_CMD_WRITE_DMA, .address = ADDRESS_28, .protocol = ATA_DMA, .write = true},
    {.code = ATA_CMD_WRITE_DMA_NR, .address = ADDRESS_28, .protocol = ATA_DMA, .write = true},
    {.code = ATA_CMD_WRITE_DMA_EXT, .address = ADDRESS_48, .protocol = ATA_DMA, .write = true},
    {.code = ATA_CMD_WRITE_DMA_FUA_EXT,
     .address = ADDRESS_48,
     .protocol = ATA_DMA,
     .write = true,
     .flush = true},
    {.code = ATA_CMD_WRITE_FPDMA_QUEUED,
     .address = ADDRESS_NCQ,
     .protocol = ATA_DMA,
     .write = true},
};

static const struct data_command *find_data_command(u8 code)
{
    for (unsigned i = 0; i < ARRAY_LEN(data_commands); i++) {
        if (data_commands[i].code == code) {
            return &data_commands[i];
        }
    }
    return NULL;
}

static u64 chs_to_lba(const u8 *cfis)
{
    u64 cylinder = load_le16(cfis + 5);
    u64 head = cfis[7] & 15;
    u64 sector = cfis[4];
    /* Sector 0 does not exist: an address no disk has. */
    return sector == 0 ? ~(u64)0 : (cylinder * HEADS + head) * SECTORS_PER_TRACK + sector - 1;
}

/* First sector and number of sectors. */
static u64 command_lba(const struct data_command *d, const u8 *cfis)
{
    if (d->address != ADDRESS_28) {
        return cfis_lba48(cfis);
    }
    if ((cfis[7] & 0x40) == 0) {
        return chs_to_lba(cfis);
    }
    return (load_le32(cfis + 4) & 0xffffff) | (u64)(cfis[7] & 15) << 24;
}

static u32 command_sectors(const struct data_command *d, const u8 *cfis)
{
    u32 count = 0;
    switch (d->address) {
    case ADDRESS_NONE:
        return 0;
    case ADDRESS_28:
        count = cfis[12];
        return count != 0 ? count : 256;
    case ADDRESS_48:
        count = cfis_count(cfis);
        break;
    case ADDRESS_NCQ:
        count = cfis[3] | (u32)cfis[11] << 8; /* the features field */
        break;
    }
    return count != 0 ? count : 65536;
}

u64 ata_transfer_bytes(const struct drive *drive, const struct ahci_command *c)
{
    const struct data_command *d = drive->kind == DRIVE_DISK ? find_data_command(c->cfis[2]) : NULL;
    return d != NULL ? (u64)command_sectors(d, c->cfis) * BLOCK_SECTOR : BLOCK_SECTOR;
}

/* ---- reads and writes ---- */

static void log_ncq_error(struct drive *drive, const struct ahci_command *c,
                          const struct ata_result *r)
{
    drive->ncq_log.valid = true;
    drive->ncq_log.not_queued = false;
    drive->ncq_log.tag = c->tag;
    drive->ncq_log.status = r->status;
    drive->ncq_log.error = r->error;
    drive->ncq_log.lba = r->lba;
    drive->ncq_log.count = r->count;
}

static bool flush(const struct drive *drive)
{
    const struct block_backend *b = drive->backend;
    return b->read_only || b->flush == NULL || b->flush(b->self);
}

/* Sectors in pieces of the buffer. False: r says why. */
static bool transfer(struct ahci_port *p, struct ahci_command *c, struct ata_result *r,
                     const struct data_command *d, u64 lba, u32 count)
{
    const struct block_backend *b = p->drive.backend;
    u8 *buffer = p->ahci->buffer;
    while (count > 0) {
        u32 n = count < SECTORS_PER_PIECE ? count : SECTORS_PER_PIECE;
        u32 bytes = n * BLOCK_SECTOR;
        if (d->write) {
            if (!ahci_from_guest(p, c, r, buffer, bytes)) {
                return false;
            }
            if (!b->write(b->self, lba, n, buffer)) {
                abort_command(r);
                return false;
            }
        } else {
            if (!b->read(b->self, lba, n, buffer)) {
                fail_at(r, ATA_ERROR_UNC, lba);
                return false;
            }
            if (!d->verify && !ahci_to_guest(p, c, r, buffer, bytes)) {
                return false;
            }
        }
        lba += n;
        count -= n;
    }
    return true;
}

static void read_or_write(struct ahci_port *p, struct ahci_command *c, struct ata_result *r,
                          const struct data_command *d)
{
    struct drive *drive = &p->drive;
    u64 lba = command_lba(d, c->cfis);
    u32 count = command_sectors(d, c->cfis);
    bool multiple = c->cfis[2] == ATA_CMD_READ_MULTIPLE || c->cfis[2] == ATA_CMD_WRITE_MULTIPLE ||
                    c->cfis[2] == ATA_CMD_READ_MULTIPLE_EXT ||
                    c->cfis[2] == ATA_CMD_WRITE_MULTIPLE_EXT ||
                    c->cfis[2] == ATA_CMD_WRITE_MULTIPLE_FUA_EXT;
    r->protocol = d->protocol;
    r->to_host = !d->write;
    if (multiple && drive->multiple == 0) {
        abort_command(r);
    } else if (lba >= drive->backend->sectors || drive->backend->sectors - lba < count) {
        fail_at(r, ATA_ERROR_IDNF, lba);
    } else if (d->write && drive->backend->read_only) {
        abort_command(r);
    } else if (transfer(p, c, r, d, lba, count)) {
        bool forced = d->flush || (d->address == ADDRESS_NCQ && d->write && (c->cfis[7] & 0x80));
        if (forced && !flush(drive)) {
            abort_command(r);
        }
        r->count = 0;
    }
    if (c->queued && (r->status & ATA_STATUS_ERR) != 0) {
        log_ncq_error(drive, c, r);
    }
}

/* ---- identification ---- */

static void put_word(u8 *page, unsigned word, u16 value)
{
    store_le16(page + 2 * word, value);
}

static void put_geometry(u8 *page, u64 sectors)
{
    u64 cylinders = sectors / (HEADS * SECTORS_PER_TRACK);
    u16 c = (u16)(cylinders < 16383 ? cylinders : 16383);
    u32 chs = (u32)c * HEADS * SECTORS_PER_TRACK;
    put_word(page, 1, c);
    put_word(page, 3, HEADS);
    put_word(page, 6, SECTORS_PER_TRACK);
    put_word(page, 54, c);
    put_word(page, 55, HEADS);
    put_word(page, 56, SECTORS_PER_TRACK);
    store_le32(page + 2 * 57, chs);
    store_le32(page + 2 * 60, (u32)(sectors < 0x0fffffff ? sectors : 0x0fffffff));
    store_le64(page + 2 * 100, sectors);
}

static void put_features(u8 *page, const struct drive *drive)
{
    const u16 supported = 0x4069; /* NOP, look-ahead, write cache, power management, SMART */
    u16 enabled = 0x4008;
    enabled |= drive->look_ahead ? 0x0040 : 0;
    enabled |= drive->write_cache ? 0x0020 : 0;
    enabled |= drive->smart ? 0x0001 : 0;
    put_word(page, 82, supported);
    put_word(page, 83, 0x7400); /* FLUSH CACHE (EXT), 48-bit addresses */
    put_word(page, 84, 0x4060); /* FUA writes, general purpose logs */
    put_word(page, 85, enabled);
    put_word(page, 86, 0x3400);
    put_word(page, 87, 0x4060);
}

static void put_transfer_modes(u8 *page, const struct drive *drive)
{
    u8 mode = drive->transfer_mode;
    unsigned number = mode & 7;
    put_word(page, 63, (u16)(0x0007 | ((mode & 0xf8) == 0x20 ? 0x100u << number : 0u)));
    put_word(page, 64, 0x0003);
    for (unsigned w = 65; w <= 68; w++) {
        put_word(page, w, 120);
    }
    put_word(page, 88, (u16)(0x003f | ((mode & 0xf8) == 0x40 ? 0x100u << number : 0u)));
}

static void checksum(u8 *page)
{
    u8 sum = 0;
    page[510] = 0xa5;
    for (unsigned i = 0; i < 511; i++) {
        sum = (u8)(sum + page[i]);
    }
    page[511] = (u8)(0x100 - sum);
}

static void identify(const struct ahci_port *p, u8 page[512])
{
    const struct drive *drive = &p->drive;
    char serial[32];
    (void)snprintf(serial, sizeof serial, "VT%05u", p->number);
    memset(page, 0, 512);
    put_word(page, 0, 0x0040); /* fixed disk */
    put_geometry(page, drive->backend->sectors);
    ata_put_string(page + 2 * 10, drive->backend->serial[0] != 0 ? drive->backend->serial : serial,
                   10);
    ata_put_string(page + 2 * 23, "1.0", 4);
    ata_put_string(page + 2 * 27, "VITRINE HARDDISK", 20);
    put_word(page, 47, 0x8000 | MAX_MULTIPLE);
    put_word(page, 49, 0x2f00); /* standard standby timer, IORDY, LBA, DMA */
    put_word(page, 50, 0x4000);
    put_word(page, 53, 0x0007);
    put_word(page, 59, drive->multiple != 0 ? 0x0100 | drive->multiple : 0);
    put_transfer_modes(page, drive);
    put_word(page, 75, AHCI_SLOTS - 1);
    put_word(page, 76, 0x010e); /* NCQ, generations 1 to 3 */
    put_word(page, 80, 0x01f0); /* ATA-4 to ATA8-ACS */
    put_features(page, drive);
    put_word(page, 93, 0);
    put_word(page, 106, 0x4000);
    put_word(page, 217, 1); /* does not rotate */
    if (drive->backend->discard != NULL) {
        put_word(page, 69, 0x4020); /* trimmed sectors read as zeroes, always */
        put_word(page, 105, 1);
        put_word(page, 169, 1);
    }
    checksum(page);
}

static void send_page(struct ahci_port *p, struct ahci_command *c, struct ata_result *r,
                      const u8 page[512])
{
    r->protocol = ATA_PIO_IN;
    r->to_host = true;
    (void)ahci_to_guest(p, c, r, page, 512);
}

/* ---- smaller commands ---- */

static void set_features(struct drive *drive, const u8 *cfis, struct ata_result *r)
{
    u8 mode = cfis[12];
    switch (cfis[3]) {
    case 0x02:
        drive->write_cache = true;
        break;
    case 0x82:
        drive->write_cache = false;
        if (!flush(drive)) {
            abort_command(r);
        }
        break;
    case 0xaa:
        drive->look_ahead = true;
        break;
    case 0x55:
        drive->look_ahead = false;
        break;
    case 0x03: /* transfer mode: PIO default, PIO 0-4, multiword 0-2, Ultra 0-5 */
        if (mode <= 1 || (mode >= 0x08 && mode <= 0x0c) || (mode >= 0x20 && mode <= 0x22) ||
            (mode >= 0x40 && mode <= 0x45)) {
            drive->transfer_mode = mode >= 0x20 ? mode : drive->transfer_mode;
        } else {
            abort_command(r);
        }
        break;
    case 0x66: /* settings over a soft reset: always kept */
    case 0xcc:
        break;
    default:
        abort_command(r);
        break;
    }
}

/* [ACS3 "SMART feature set"] enough for "passed": no attributes, empty logs. */
static void smart(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    struct drive *drive = &p->drive;
    u8 page[512] = {0};
    u8 feature = c->cfis[3];
    if (c->cfis[5] != 0x4f || c->cfis[6] != 0xc2 || (!drive->smart && feature != 0xd8)) {
        abort_command(r);
        return;
    }
    switch (feature) {
    case 0xd0: /* data */
        store_le16(page, 0x0010);
        page[362] = 0x00; /* off-line collection never started */
        page[368] = 0x03; /* save on power mode changes */
        checksum(page);
        page[510] = 0;
        page[511] = 0;
        for (unsigned i = 0; i < 511; i++) {
            page[511] = (u8)(page[511] - page[i]);
        }
        send_page(p, c, r, page);
        break;
    case 0xd1: /* thresholds */
        store_le16(page, 0x0010);
        page[511] = 0xf0;
        send_page(p, c, r, page);
        break;
    case 0xd5: /* logs: an empty directory, summary or self-test log */
        page[0] = 1;
        page[511] = 0xff;
        send_page(p, c, r, page);
        break;
    case 0xd8:
    case 0xd9:
        drive->smart = feature == 0xd8;
        break;
    case 0xd2: /* autosave of attributes */
    case 0xda: /* status: 4Fh, C2h come back unchanged: no threshold exceeded */
        break;
    default:
        abort_command(r);
        break;
    }
}

static void read_log(struct ahci_port *p, struct ahci_command *c, struct ata_result *r, bool dma)
{
    struct drive *drive = &p->drive;
    u8 page[512] = {0};
    u64 lba = cfis_lba48(c->cfis);
    u8 address = (u8)lba;
    bool first_page = ((lba >> 8) & 0xff) == 0 && ((lba >> 32) & 0xff) == 0;
    if (!first_page || cfis_count(c->cfis) != 1 || (address != 0 && address != 0x10)) {
        abort_command(r);
        return;
    }
    if (address == 0) { /* directory: version, then pages per log */
        store_le16(page, 1);
        store_le16(page + 2 * 0x10, 1);
    } else { /* [ACS3 "NCQ Command Error log"] */
        page[0] = drive->ncq_log.not_queued || !drive->ncq_log.valid ? 0x80 : drive->ncq_log.tag;
        page[2] = drive->ncq_log.status;
        page[3] = drive->ncq_log.error;
        for (unsigned i = 0; i < 3; i++) {
            page[4 + i] = (u8)(drive->ncq_log.lba >> (8 * i));
            page[8 + i] = (u8)(drive->ncq_log.lba >> (24 + 8 * i));
        }
        page[7] = 0x40;
        store_le16(page + 12, drive->ncq_log.count);
        u8 sum = 0;
        for (unsigned i = 0; i < 511; i++) {
            sum = (u8)(sum + page[i]);
        }
        page[511] = (u8)(0x100 - sum);
        memset(&drive->ncq_log, 0, sizeof drive->ncq_log);
    }
    send_page(p, c, r, page);
    r->protocol = dma ? ATA_DMA : ATA_PIO_IN;
}

/* TRIM: 64 ranges a sector, 48 bits of address and 16 of length. */
static void data_set_management(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    const struct block_backend *b = p->drive.backend;
    u8 page[512];
    r->protocol = ATA_DMA;
    if (b->discard == NULL || b->read_only || c->cfis[3] != FEATURE_TRIM ||
        cfis_count(c->cfis) != 1) {
        abort_command(r);
        return;
    }
    if (!ahci_from_guest(p, c, r, page, sizeof page)) {
        return;
    }
    for (unsigned i = 0; i < 64; i++) {
        u64 entry = load_le64(page + 8 * i);
        u64 lba = entry & (BIT(48) - 1);
        u64 count = entry >> 48;
        if (count == 0) {
            continue;
        }
        if (lba >= b->sectors || b->sectors - lba < count) {
            fail_at(r, ATA_ERROR_IDNF | ATA_ERROR_ABRT, lba);
            return;
        }
        if (!b->discard(b->self, lba, count)) {
            abort_command(r);
            return;
        }
    }
}

static void other_command(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    struct drive *drive = &p->drive;
    u8 page[512];
    switch (c->cfis[2]) {
    case ATA_CMD_IDENTIFY:
        identify(p, page);
        send_page(p, c, r, page);
        break;
    case ATA_CMD_SET_FEATURES:
        set_features(drive, c->cfis, r);
        break;
    case ATA_CMD_FLUSH_CACHE:
    case ATA_CMD_FLUSH_CACHE_EXT:
        if (!flush(drive)) {
            abort_command(r);
        }
        break;
    case ATA_CMD_SET_MULTIPLE:
        if (c->cfis[12] > MAX_MULTIPLE || (c->cfis[12] & (c->cfis[12] - 1)) != 0) {
            abort_command(r);
        } else {
            drive->multiple = c->cfis[12];
        }
        break;
    case ATA_CMD_STANDBY:
    case ATA_CMD_STANDBY_IMMEDIATE:
    case ATA_CMD_SLEEP:
        drive->standby = true;
        if (!flush(drive)) {
            abort_command(r);
        }
        break;
    case ATA_CMD_IDLE:
    case ATA_CMD_IDLE_IMMEDIATE:
        drive->standby = false;
        break;
    case ATA_CMD_CHECK_POWER_MODE:
        r->count = drive->standby ? 0x00 : 0xff;
        break;
    case ATA_CMD_SMART:
        smart(p, c, r);
        break;
    case ATA_CMD_READ_LOG_EXT:
    case ATA_CMD_READ_LOG_DMA_EXT:
        read_log(p, c, r, c->cfis[2] == ATA_CMD_READ_LOG_DMA_EXT);
        break;
    case ATA_CMD_DATA_SET_MANAGEMENT:
        data_set_management(p, c, r);
        break;
    case ATA_CMD_RECALIBRATE:
    case ATA_CMD_SEEK:
    case ATA_CMD_INITIALIZE_PARAMETERS:
        break;
    case ATA_CMD_EXECUTE_DIAGNOSTIC:
        r->error = 1; /* device 0 passed */
        r->lba = ATA_SIGNATURE_DISK >> 8;
        r->count = 1;
        r->device = 0;
        break;
    default: /* NOP too: it always aborts */
        abort_command(r);
        break;
    }
}

void ata_execute(struct ahci_port *port, struct ahci_command *c, struct ata_result *r)
{
    const struct data_command *d = find_data_command(c->cfis[2]);
    if (d != NULL) {
        port->drive.standby = false;
        read_or_write(port, c, r, d);
    } else {
        other_command(port, c, r);
    }
}

/* ---- both kinds of drive ---- */

void drive_reset(struct drive *drive, bool hard)
{
    drive->standby = false;
    if (!hard) {
        return; /* settings survive a soft reset [ACS3 "Software reset"] */
    }
    drive->multiple = 0;
    drive->write_cache = true;
    drive->look_ahead = true;
    drive->smart = true;
    drive->transfer_mode = 0x45;
    memset(&drive->ncq_log, 0, sizeof drive->ncq_log);
    drive->sense_key = SENSE_NONE;
    drive->asc = 0;
    drive->ascq = 0;
    drive->attention = drive->kind == DRIVE_CDROM;
    drive->attention_asc = 0x29; /* power on or reset */
    drive->medium_event = false;
    drive->locked = false;
}

void drive_state(struct drive *drive, struct state_io *io)
{
    state_u8(io, "multiple", &drive->multiple);
    state_bool(io, "write_cache", &drive->write_cache);
    state_bool(io, "look_ahead", &drive->look_ahead);
    state_bool(io, "smart", &drive->smart);
    state_u8(io, "transfer_mode", &drive->transfer_mode);
    state_bool(io, "standby", &drive->standby);
    state_bool(io, "ncq_log.valid", &drive->ncq_log.valid);
    state_bool(io, "ncq_log.not_queued", &drive->ncq_log.not_queued);
    state_u8(io, "ncq_log.tag", &drive->ncq_log.tag);
    state_u8(io, "ncq_log.status", &drive->ncq_log.status);
    state_u8(io, "ncq_log.error", &drive->ncq_log.error);
    state_u64(io, "ncq_log.lba", &drive->ncq_log.lba);
    state_u16(io, "ncq_log.count", &drive->ncq_log.count);
    state_u8(io, "sense_key", &drive->sense_key);
    state_u8(io, "asc", &drive->asc);
    state_u8(io, "ascq", &drive->ascq);
    state_bool(io, "attention", &drive->attention);
    state_u8(io, "attention_asc", &drive->attention_asc);
    state_bool(io, "medium_event", &drive->medium_event);
    state_bool(io, "tray_open", &drive->tray_open);
    state_bool(io, "locked", &drive->locked);
}
