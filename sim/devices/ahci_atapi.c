/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ATAPI CD/DVD drives behind the AHCI adapter: the packet commands of [MMC5] and [SPC3] that
 * firmware and operating systems use to boot and read a data disc of one session, one track.
 *
 * Errors become sense data and CHECK CONDITION: status ERR with the sense key in the error
 * register's high half. Left out: audio, recording, multi-session, disc structures. */
#include "devices/ahci_priv.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <string.h>

#define CD_SECTOR 2048
#define BLOCKS_PER_PIECE (AHCI_BUFFER / CD_SECTOR)

/* Additional sense codes. */
#define ASC_MEDIUM_READ_ERROR 0x11
#define ASC_INVALID_COMMAND 0x20
#define ASC_LBA_OUT_OF_RANGE 0x21
#define ASC_INVALID_FIELD 0x24
#define ASC_NO_MEDIUM 0x3a
#define ASC_REMOVAL_PREVENTED 0x53

/* Interrupt reason, in the count field: command/data and direction bits. */
#define REASON_STATUS 3

static void check_condition(struct drive *drive, struct ata_result *r, u8 key, u8 asc)
{
    drive->sense_key = key;
    drive->asc = asc;
    drive->ascq = 0;
    r->status = ATA_STATUS_GOOD | ATA_STATUS_ERR;
    r->error = (u8)(key << 4 | (key == SENSE_ILLEGAL_REQUEST ? ATA_ERROR_ABRT : 0));
}

static bool has_medium(const struct drive *drive)
{
    return drive->backend != NULL && drive->backend->sectors >= 4 && !drive->tray_open;
}

static u32 blocks(const struct drive *drive)
{
    u64 n = drive->backend->sectors / 4;
    return n < 0xffffffff ? (u32)n : 0xfffffffe;
}

static bool needs_medium(struct drive *drive, struct ata_result *r)
{
    if (!has_medium(drive)) {
        check_condition(drive, r, SENSE_NOT_READY, ASC_NO_MEDIUM);
        drive->ascq = drive->tray_open ? 2 : 1;
        return false;
    }
    return true;
}

static void reply(struct ahci_port *p, struct ahci_command *c, struct ata_result *r, const u8 *data,
                  u32 size, u32 allocation)
{
    r->to_host = true;
    (void)ahci_to_guest(p, c, r, data, size < allocation ? size : allocation);
}

/* ---- reading ---- */

static u32 read_blocks(const u8 *acmd)
{
    switch (acmd[0]) {
    case SCSI_READ_10:
        return load_be16(acmd + 7);
    case SCSI_READ_12:
        return load_be32(acmd + 6);
    case SCSI_READ_CD:
        return load_be32(acmd + 5) & 0xffffff;
    default:
        return 0;
    }
}

u64 atapi_transfer_bytes(const struct ahci_command *c)
{
    u64 n = read_blocks(c->acmd);
    /* A length no disc has fails at once. */
    return n <= 0x100000 ? n * CD_SECTOR : 0;
}

static void read_data(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    struct drive *drive = &p->drive;
    const struct block_backend *b = drive->backend;
    u64 lba = load_be32(c->acmd + 2);
    u32 count = read_blocks(c->acmd);
    if (!needs_medium(drive, r)) {
        return;
    }
    if (lba > blocks(drive) || blocks(drive) - lba < count) {
        check_condition(drive, r, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
        return;
    }
    r->to_host = true;
    while (count > 0) {
        u32 n = count < BLOCKS_PER_PIECE ? count : BLOCKS_PER_PIECE;
        if (!b->read(b->self, lba * 4, n * 4, p->ahci->buffer)) {
            check_condition(drive, r, SENSE_MEDIUM_ERROR, ASC_MEDIUM_READ_ERROR);
            return;
        }
        if (!ahci_to_guest(p, c, r, p->ahci->buffer, n * CD_SECTOR)) {
            return;
        }
        lba += n;
        count -= n;
    }
}

/* READ CD: only user data of mode 1 sectors, or nothing. */
static void read_cd(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    u8 kind = (c->acmd[1] >> 2) & 7;
    u8 fields = c->acmd[9] & 0xf8;
    if (fields == 0) {
        return;
    }
    if ((kind != 0 && kind != 2) || fields != 0x10 || (c->acmd[10] & 7) != 0) {
        check_condition(&p->drive, r, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    read_data(p, c, r);
}

/* ---- replies ---- */

static void request_sense(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    struct drive *drive = &p->drive;
    u8 data[18] = {0x70};
    if (drive->sense_key == SENSE_NONE && drive->attention) {
        drive->attention = false;
        drive->sense_key = SENSE_UNIT_ATTENTION;
        drive->asc = drive->attention_asc;
        drive->ascq = 0;
    }
    data[2] = drive->sense_key;
    data[7] = sizeof data - 8;
    data[12] = drive->asc;
    data[13] = drive->ascq;
    drive->sense_key = SENSE_NONE;
    drive->asc = 0;
    drive->ascq = 0;
    reply(p, c, r, data, sizeof data, c->acmd[4]);
}

static void inquiry(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    u8 data[36] = {0x05, 0x80, 0x05, 0x32, 31}; /* CD, removable, SPC-3, ATAPI */
    if ((c->acmd[1] & 1) != 0 || c->acmd[2] != 0) {
        check_condition(&p->drive, r, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    memcpy(data + 8, "VITRINE ", 8);
    memcpy(data + 16, "DVD-ROM         ", 16);
    memcpy(data + 32, "1.0 ", 4);
    reply(p, c, r, data, sizeof data, load_be16(c->acmd + 3));
}

static void read_capacity(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    u8 data[8];
    if (needs_medium(&p->drive, r)) {
        store_be32(data, blocks(&p->drive) - 1);
        store_be32(data + 4, CD_SECTOR);
        reply(p, c, r, data, sizeof data, sizeof data);
    }
}

static void put_address(u8 *out, u32 lba, bool msf)
{
    if (!msf) {
        store_be32(out, lba);
        return;
    }
    u32 frames = lba + 150;
    out[0] = 0;
    out[1] = (u8)(frames / 4500);
    out[2] = (u8)(frames / 75 % 60);
    out[3] = (u8)(frames % 75);
}

/* Formats 0 (tracks), 1 (sessions) and 2 (raw); one data track and the lead-out. */
static void read_toc(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    struct drive *drive = &p->drive;
    bool msf = (c->acmd[1] & 2) != 0;
    unsigned format = c->acmd[2] & 15;
    u8 start = c->acmd[6];
    u32 allocation = load_be16(c->acmd + 7);
    u8 data[48] = {0, 0, 1, 1};
    unsigned size = 4;
    format = format == 0 ? c->acmd[9] >> 6 : format; /* where older software puts it */
    if (!needs_medium(drive, r)) {
        return;
    }
    if (format == 0 && (start <= 1 || start == 0xaa)) {
        if (start <= 1) {
            data[size + 1] = 0x14; /* data track */
            data[size + 2] = 1;
            put_address(data + size + 4, 0, msf);
            size += 8;
        }
        data[size + 1] = 0x16;
        data[size + 2] = 0xaa;
        put_address(data + size + 4, blocks(drive), msf);
        size += 8;
    } else if (format == 1) {
        data[5] = 0x14;
        data[6] = 1;
        size = 12;
    } else if (format == 2) {
        static const u8 points[4] = {0xa0, 0xa1, 0xa2, 0x01};
        for (unsigned i = 0; i < 4; i++, size += 11) {
            data[size] = 1;
            data[size + 1] = 0x14;
            data[size + 3] = points[i];
            if (i < 2) {
                data[size + 8] = 1; /* first and last track */
            } else {
                u8 at[4];
                put_address(at, i == 2 ? blocks(drive) : 0, true);
                memcpy(data + size + 8, at + 1, 3);
            }
        }
    } else {
        check_condition(drive, r, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    store_be16(data, (u16)(size - 2));
    reply(p, c, r, data, size, allocation);
}

/* Profiles CD-ROM and DVD-ROM, current by the medium's size; features core, morphing, removable
 * medium, random readable, CD read, DVD read. */
static void get_configuration(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    const struct drive *drive = &p->drive;
    u16 profile = 0;
    if (has_medium(drive)) {
        profile = blocks(drive) > 405000 ? 0x10 : 0x08; /* above 90 minutes: a DVD */
    }
    static const u8 features[] = {
        0x00, 0x00, 0x03, 8, 0x00, 0x10, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, /* profiles */
        0x00, 0x01, 0x0b, 8, 0x00, 0x00, 0x00, 0x07, 0x01, 0x00, 0x00, 0x00, /* core: ATAPI */
        0x00, 0x02, 0x07, 4, 0x02, 0x00, 0x00, 0x00,                         /* morphing */
        0x00, 0x03, 0x03, 4, 0x29, 0x00, 0x00, 0x00,                         /* tray, ejects */
        0x00, 0x10, 0x01, 8, 0x00, 0x00, 0x08, 0x00, 0x00, 0x10, 0x01, 0x00, /* readable */
        0x00, 0x1e, 0x09, 4, 0x00, 0x00, 0x00, 0x00,                         /* CD read */
        0x00, 0x1f, 0x09, 4, 0x00, 0x00, 0x00, 0x00,                         /* DVD read */
    };
    unsigned request = c->acmd[1] & 3;
    u16 first = load_be16(c->acmd + 2);
    u8 data[8 + sizeof features] = {0};
    unsigned size = 8;
    if (request == 3) {
        check_condition(&p->drive, r, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    for (unsigned at = 0; at < sizeof features; at += 4u + features[at + 3]) {
        u16 code = load_be16(features + at);
        unsigned length = 4u + features[at + 3];
        if (request == 2 ? code == first : code >= first) {
            memcpy(data + size, features + at, length);
            if (code == 0) { /* which profile is current */
                data[size + 6] = profile == 0x10;
                data[size + 10] = profile == 0x08;
            }
            size += length;
        }
    }
    store_be32(data, size - 4);
    store_be16(data + 6, profile);
    reply(p, c, r, data, size, load_be16(c->acmd + 7));
}

static void get_event_status(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    struct drive *drive = &p->drive;
    u8 data[8] = {0, 2, 0x80, 0x10}; /* no event available; media class supported */
    unsigned size = 4;
    if ((c->acmd[1] & 1) == 0) { /* only polled */
        check_condition(drive, r, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    if ((c->acmd[4] & 0x10) != 0) {
        data[1] = 6;
        data[2] = 4; /* media */
        data[4] = drive->medium_event ? (has_medium(drive) ? 2 : 3) : 0;
        data[5] = (u8)((has_medium(drive) ? 2 : 0) | (drive->tray_open ? 1 : 0));
        drive->medium_event = false;
        size = 8;
    }
    reply(p, c, r, data, size, load_be16(c->acmd + 7));
}

static void mode_sense(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    const struct drive *drive = &p->drive;
    unsigned control = c->acmd[2] >> 6;
    u8 page = c->acmd[2] & 0x3f;
    bool defaults = control == 0 || control == 2; /* current and default values */
    u8 data[8 + 8 + 28] = {0};
    unsigned size = 8;
    if (control == 3) {
        check_condition(&p->drive, r, SENSE_ILLEGAL_REQUEST, 0x39); /* saving not supported */
        return;
    }
    if (page == 0x01 || page == 0x3f) { /* read error recovery */
        data[size] = 0x01;
        data[size + 1] = 6;
        data[size + 3] = defaults ? 5 : 0; /* retries */
        size += 8;
    }
    if (page == 0x2a || page == 0x3f) { /* capabilities and mechanical status */
        u8 *at = data + size;
        at[0] = 0x2a;
        at[1] = 26;
        at[2] = 0x08;                                 /* reads DVD-ROM */
        at[4] = 0x70;                                 /* mode 2 forms, multi-session */
        at[6] = (u8)(0x29 | (drive->locked ? 2 : 0)); /* tray, ejects, locks */
        store_be16(at + 8, 706);                      /* 4x, obsolete fields software still shows */
        store_be16(at + 14, 706);
        size += 28;
    }
    if (size == 8) {
        check_condition(&p->drive, r, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
        return;
    }
    store_be16(data, (u16)(size - 2));
    data[2] = has_medium(drive) ? 0x01 : 0x70; /* medium type: data disc, none */
    reply(p, c, r, data, size, load_be16(c->acmd + 7));
}

static void read_disc_information(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    u8 data[34] = {0, 32, 0x0e, 1, 1, 1, 1, 0x20}; /* complete, one session, one track */
    if (needs_medium(&p->drive, r)) {
        memset(data + 16, 0xff, 8); /* no lead-in, no more lead-out */
        reply(p, c, r, data, sizeof data, load_be16(c->acmd + 7));
    }
}

static void mechanism_status(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    u8 data[8] = {0, 0, 0, 0, 0, 1};
    data[1] = p->drive.tray_open ? 0x10 : 0;
    reply(p, c, r, data, sizeof data, load_be16(c->acmd + 8));
}

static void start_stop(struct drive *drive, const u8 *acmd, struct ata_result *r)
{
    bool load_or_eject = (acmd[4] & 2) != 0;
    bool start = (acmd[4] & 1) != 0;
    if (!load_or_eject) {
        return;
    }
    if (!start && drive->locked) {
        check_condition(drive, r, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED);
        drive->ascq = 2;
        return;
    }
    if (drive->tray_open == start) {
        drive->tray_open = !start;
        drive->medium_event = true;
        if (start && has_medium(drive)) {
            drive->attention = true;
            drive->attention_asc = 0x28;
        }
    }
}

static void packet(struct ahci_port *p, struct ahci_command *c, struct ata_result *r)
{
    struct drive *drive = &p->drive;
    u8 code = c->acmd[0];
    if (drive->attention && code != SCSI_INQUIRY && code != SCSI_REQUEST_SENSE &&
        code != SCSI_GET_EVENT_STATUS && code != SCSI_GET_CONFIGURATION) {
        drive->attention = false;
        check_condition(drive, r, SENSE_UNIT_ATTENTION, drive->attention_asc);
        return;
    }
    if (code != SCSI_REQUEST_SENSE) {
        drive->sense_key = SENSE_NONE;
        drive->asc = 0;
        drive->ascq = 0;
    }
    switch (code) {
    case SCSI_TEST_UNIT_READY:
    case SCSI_SEEK_10:
        (void)needs_medium(drive, r);
        break;
    case SCSI_REQUEST_SENSE:
        request_sense(p, c, r);
        break;
    case SCSI_INQUIRY:
        inquiry(p, c, r);
        break;
    case SCSI_START_STOP_UNIT:
        start_stop(drive, c->acmd, r);
        break;
    case SCSI_PREVENT_ALLOW:
        drive->locked = (c->acmd[4] & 1) != 0;
        break;
    case SCSI_READ_CAPACITY_10:
        read_capacity(p, c, r);
        break;
    case SCSI_READ_10:
    case SCSI_READ_12:
        read_data(p, c, r);
        break;
    case SCSI_READ_CD:
        read_cd(p, c, r);
        break;
    case SCSI_READ_TOC:
        read_toc(p, c, r);
        break;
    case SCSI_GET_CONFIGURATION:
        get_configuration(p, c, r);
        break;
    case SCSI_GET_EVENT_STATUS:
        get_event_status(p, c, r);
        break;
    case SCSI_READ_DISC_INFORMATION:
        read_disc_information(p, c, r);
        break;
    case SCSI_MODE_SENSE_10:
        mode_sense(p, c, r);
        break;
    case SCSI_MECHANISM_STATUS:
        mechanism_status(p, c, r);
        break;
    case SCSI_SET_CD_SPEED:
        break;
    default:
        check_condition(drive, r, SENSE_ILLEGAL_REQUEST, ASC_INVALID_COMMAND);
        break;
    }
}

/* ---- ATA commands of a packet device ---- */

void atapi_identify(u8 out[512])
{
    memset(out, 0, 512);
    store_le16(out, 0x8580); /* CD, removable, DRQ within 50 us, 12-byte packets */
    ata_put_string(out + 2 * 10, "VTCD0001", 10);
    ata_put_string(out + 2 * 23, "1.0", 4);
    ata_put_string(out + 2 * 27, "VITRINE DVD-ROM", 20);
    store_le16(out + 2 * 49, 0x0f00); /* IORDY, LBA, DMA */
    store_le16(out + 2 * 50, 0x4000);
    store_le16(out + 2 * 53, 0x0006);
    store_le16(out + 2 * 63, 0x0007);
    store_le16(out + 2 * 64, 0x0003);
    for (unsigned w = 65; w <= 68; w++) {
        store_le16(out + 2 * w, 120);
    }
    store_le16(out + 2 * 76, 0x000e); /* SATA generations 1 to 3 */
    store_le16(out + 2 * 80, 0x01f0);
    store_le16(out + 2 * 82, 0x4210); /* NOP, DEVICE RESET, PACKET */
    store_le16(out + 2 * 83, 0x4000);
    store_le16(out + 2 * 84, 0x4000);
    store_le16(out + 2 * 85, 0x4210);
    store_le16(out + 2 * 87, 0x4000);
    store_le16(out + 2 * 88, 0x203f); /* Ultra DMA 0-5, 5 selected */
    store_le16(out + 2 * 126, 0);
}

static void abort_with_signature(struct ata_result *r)
{
    r->status = ATA_STATUS_GOOD | ATA_STATUS_ERR;
    r->error = ATA_ERROR_ABRT;
    r->lba = ATA_SIGNATURE_PACKET >> 8;
    r->count = 1;
}

void atapi_execute(struct ahci_port *port, struct ahci_command *c, struct ata_result *r)
{
    u8 page[512];
    switch (c->cfis[2]) {
    case ATA_CMD_PACKET:
        r->protocol = (c->cfis[3] & 1) != 0 ? ATA_DMA : ATA_PACKET_PIO;
        if ((c->flags & AHCI_HEADER_A) == 0) {
            log_guest_error(port->ahci->log, "%s: PACKET without the ATAPI bit in its header",
                            port->ahci->id);
        }
        packet(port, c, r);
        r->count = REASON_STATUS;
        r->lba = (u64)(c->moved & 0xffff) << 8; /* byte count */
        break;
    case ATA_CMD_IDENTIFY_PACKET:
        atapi_identify(page);
        r->protocol = ATA_PIO_IN;
        r->to_host = true;
        (void)ahci_to_guest(port, c, r, page, sizeof page);
        break;
    case ATA_CMD_DEVICE_RESET:
    case ATA_CMD_EXECUTE_DIAGNOSTIC:
        drive_reset(&port->drive, false);
        r->status = 0;
        r->error = 1;
        r->lba = ATA_SIGNATURE_PACKET >> 8;
        r->count = 1;
        break;
    case ATA_CMD_SET_FEATURES:
        if (c->cfis[3] != 0x03) {
            r->status |= ATA_STATUS_ERR;
            r->error = ATA_ERROR_ABRT;
        }
        break;
    case ATA_CMD_CHECK_POWER_MODE:
        r->count = 0xff;
        break;
    case ATA_CMD_IDLE_IMMEDIATE:
    case ATA_CMD_STANDBY_IMMEDIATE:
    case ATA_CMD_FLUSH_CACHE:
        break;
    case ATA_CMD_IDENTIFY:
    case ATA_CMD_READ_SECTORS: /* how old software finds out what the device is */
        abort_with_signature(r);
        break;
    default:
        r->status |= ATA_STATUS_ERR;
        r->error = ATA_ERROR_ABRT;
        break;
    }
}
