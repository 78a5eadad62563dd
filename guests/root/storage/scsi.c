/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SCSI commands of a direct-access device and of a CD-ROM: what answers by itself, and where the others read or write. Nothing here touches
 * the child's memory. [SPC-4] [SBC-3] [MMC-5] Left out: reservations, several sessions, anything that ejects. */
#include "guests/root/storage/storage.h"

#define CHECK_CONDITION 2u
#define KEY_NOT_READY 2u
#define KEY_ILLEGAL 5u
#define KEY_ATTENTION 6u
#define KEY_PROTECTED 7u
#define UNMAP_SECTORS 0x10000u

static u16 get16(const u8 *p) { return (u16)(p[0] << 8 | p[1]); }
static u32 get32(const u8 *p) { return (u32)get16(p) << 16 | get16(p + 2); }
static u64 get64(const u8 *p) { return (u64)get32(p) << 32 | get32(p + 4); }
static void put16(u8 *p, u32 v)
{
    p[0] = (u8)(v >> 8);
    p[1] = (u8)v;
}
static void put32(u8 *p, u32 v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}
static void put64(u8 *p, u64 v)
{
    put32(p, (u32)(v >> 32));
    put32(p + 4, (u32)v);
}

void scsi_sense(struct scsi *s, u8 key, u8 code, u8 qualifier)
{
    memset(s->sense, 0, sizeof s->sense);
    s->sense[0] = 0x70;
    s->sense[2] = key;
    s->sense[7] = SENSE_BYTES - 8;
    s->sense[12] = code;
    s->sense[13] = qualifier;
    s->status = CHECK_CONDITION;
    s->srb_status = SRB_ERROR | SRB_SENSE_VALID;
    s->answer_bytes = 0;
}

static enum scsi_kind illegal(struct scsi *s, u8 code)
{
    scsi_sense(s, KEY_ILLEGAL, code, 0);
    return SCSI_DONE;
}
#define INVALID_OPCODE 0x20u
#define OUT_OF_RANGE 0x21u
#define INVALID_FIELD 0x24u

static enum scsi_kind answer(struct scsi *s, u32 bytes, u32 allowed)
{
    s->answer_bytes = (u32)min_u64(bytes, allowed);
    return SCSI_DONE;
}

static u32 unit_of(const struct disk *d) { return d->cd ? CD_SECTOR : SECTOR; }
static u64 units_of(const struct disk *d) { return d->block->sectors * d->block->sector_size / unit_of(d); }

static void put_text(u8 *p, const char *text, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        p[i] = *text != 0 ? (u8)*text++ : ' ';
    }
}

static void put_serial(u8 *p, const struct disk *d)
{
    put_text(p, "VT", 2);
    for (u32 i = 0; i < 8; i++) {
        p[2 + i] = (u8) "0123456789abcdef"[d->serial >> (28 - 4 * i) & 15];
    }
}

static enum scsi_kind inquiry_page(const struct disk *d, struct scsi *s, u32 page, u32 allowed)
{
    u8 *a = s->answer;
    static const u8 pages[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2};
    u32 n = 0;
    a[0] = d->cd ? 5 : 0;
    a[1] = (u8)page;
    switch (page) {
    case 0x00:
        n = d->cd ? 3 : sizeof pages;
        memcpy(a + 4, pages, n);
        break;
    case 0x80:
        n = 10;
        put_serial(a + 4, d);
        break;
    case 0x83: /* T10 vendor identification */
        n = 4 + 18;
        a[4] = 2;
        a[5] = 1;
        a[7] = 18;
        put_text(a + 8, "VITRINE", 8);
        put_serial(a + 16, d);
        break;
    case 0xb0: /* block limits */
        n = 60;
        put32(a + 8, MAX_TRANSFER / SECTOR);
        put32(a + 12, MAX_TRANSFER / SECTOR);
        if (d->block->can_discard) {
            put32(a + 20, UNMAP_SECTORS);
            put32(a + 24, 1); /* one descriptor */
        }
        break;
    case 0xb1: /* not rotating */
        n = 60;
        put16(a + 4, 1);
        break;
    case 0xb2:
        n = 4;
        a[5] = d->block->can_discard ? 0x80 : 0;
        break;
    default:
        return illegal(s, INVALID_FIELD);
    }
    if (d->cd && page >= 0xb0) {
        return illegal(s, INVALID_FIELD);
    }
    put16(a + 2, n);
    return answer(s, n + 4, allowed);
}

/* Nothing is there: this must not fail, or the guest reads zeros and sees a disk. */
static enum scsi_kind inquiry(const struct disk *d, struct scsi *s)
{
    u8 *a = s->answer;
    u32 allowed = get16(s->cdb + 3);
    bool page = (s->cdb[1] & 1) != 0;
    if (d == NULL && page) {
        s->srb_status = SRB_INVALID_REQUEST;
        return SCSI_DONE;
    }
    if (page) {
        return inquiry_page(d, s, s->cdb[2], allowed);
    }
    a[0] = d == NULL ? 0x7f : (d->cd ? 5 : 0);
    a[1] = d != NULL && d->cd ? 0x80 : 0; /* removable */
    a[2] = 6;                             /* SPC-4 */
    a[3] = 0x02;
    a[4] = 31;
    a[7] = 0x02; /* command queueing */
    put_text(a + 8, "VITRINE", 8);
    put_text(a + 16, d != NULL && d->cd ? "CD-ROM" : "Virtual disk", 16);
    put_text(a + 32, "1", 4);
    return answer(s, 36, allowed);
}

static enum scsi_kind report_luns(const struct controller *k, bool place, struct scsi *s)
{
    u32 n = 0;
    for (u32 i = 0; place && i < DISKS; i++) {
        if (k->disks[i].block != NULL && !k->disks[i].gone) {
            s->answer[8 + 8 * n++ + 1] = (u8)i;
        }
    }
    put32(s->answer, 8 * n);
    return answer(s, 8 + 8 * n, get32(s->cdb + 6));
}

static enum scsi_kind capacity(const struct disk *d, struct scsi *s, bool wide)
{
    u64 last = units_of(d) - 1;
    if (!wide) {
        put32(s->answer, last > 0xffffffff ? 0xffffffff : (u32)last);
        put32(s->answer + 4, unit_of(d));
        return answer(s, 8, 8);
    }
    put64(s->answer, last);
    put32(s->answer + 8, unit_of(d));
    s->answer[14] = d->block->can_discard && !d->cd ? 0x80 : 0;
    return answer(s, 32, get32(s->cdb + 10));
}

/* Only the caching page: there is a write cache that SYNCHRONIZE CACHE empties. */
static enum scsi_kind mode_sense(const struct disk *d, struct scsi *s, bool wide)
{
    u32 page = s->cdb[2] & 0x3f;
    bool caching = !d->cd && (page == 8 || page == 0x3f);
    u32 head = wide ? 8 : 4;
    u8 *a = s->answer;
    if (!caching && page != 0x3f) {
        return illegal(s, INVALID_FIELD);
    }
    if (caching) {
        a[head] = 8;
        a[head + 1] = 18;
        a[head + 2] = (s->cdb[2] >> 6) == 1 ? 0 : 4; /* write cache; nothing is changeable */
    }
    u32 n = head + (caching ? 20 : 0);
    u8 parameter = (u8)((d->read_only ? 0x80 : 0) | (d->cd ? 0 : 0x10)); /* write protect, FUA */
    if (wide) {
        put16(a, n - 2);
        a[3] = parameter;
        return answer(s, n, get16(s->cdb + 7));
    }
    a[0] = (u8)(n - 1);
    a[2] = parameter;
    return answer(s, n, s->cdb[4]);
}

/* One session, one data track. */
static enum scsi_kind read_toc(const struct disk *d, struct scsi *s)
{
    u8 *a = s->answer;
    bool msf = (s->cdb[1] & 2) != 0;
    if ((s->cdb[2] & 15) > 1) {
        return illegal(s, INVALID_FIELD);
    }
    bool sessions = (s->cdb[2] & 15) == 1;
    u32 n = sessions ? 12 : 20;
    put16(a, n - 2);
    a[2] = a[3] = 1;
    for (u32 i = 0; i < (sessions ? 1u : 2u); i++) {
        u8 *t = a + 4 + 8 * i;
        u32 at = i == 0 ? 0 : (u32)units_of(d);
        t[1] = 0x14;
        t[2] = i == 0 ? 1 : 0xaa;
        if (msf) {
            t[5] = (u8)((at + 150) / 4500);
            t[6] = (u8)((at + 150) / 75 % 60);
            t[7] = (u8)((at + 150) % 75);
        } else {
            put32(t + 4, at);
        }
    }
    return answer(s, n, get16(s->cdb + 7));
}

static enum scsi_kind read_write(const struct disk *d, struct scsi *s, bool write, u64 at, u64 units)
{
    u64 unit = unit_of(d);
    if (write && d->read_only) {
        scsi_sense(s, KEY_PROTECTED, 0x27, 0);
        return SCSI_DONE;
    }
    if (at > units_of(d) || units > units_of(d) - at) {
        return illegal(s, OUT_OF_RANGE);
    }
    if (units == 0) {
        return SCSI_DONE;
    }
    if (units * unit > MAX_TRANSFER || units * unit > s->room) {
        s->srb_status = SRB_DATA_OVERRUN;
        return SCSI_DONE;
    }
    s->sector = at * unit / d->block->sector_size;
    s->sectors = (u32)(units * unit / d->block->sector_size);
    return write ? SCSI_WRITE : SCSI_READ;
}

static enum scsi_kind read_write_command(const struct disk *d, struct scsi *s)
{
    const u8 *c = s->cdb;
    bool write = (c[0] & 0x0f) == 0x0a;
    s->fua = c[0] >= 0x20 && (c[1] & 8) != 0;
    switch (c[0] >> 5) {
    case 0:
        return read_write(d, s, write, get32(c) & 0x1fffff, c[4] != 0 ? c[4] : 256);
    case 1:
        return read_write(d, s, write, get32(c + 2), get16(c + 7));
    case 5:
        return read_write(d, s, write, get32(c + 2), get32(c + 6));
    default:
        return read_write(d, s, write, get64(c + 2), get32(c + 10));
    }
}

static enum scsi_kind test_ready(struct disk *d, struct scsi *s)
{
    if (d->attention) {
        d->attention = false;
        scsi_sense(s, KEY_ATTENTION, 0x29, 0); /* power on */
    }
    return SCSI_DONE;
}

static enum scsi_kind common(struct disk *d, struct scsi *s)
{
    switch (s->cdb[0]) {
    case 0x00: /* TEST UNIT READY */
        return test_ready(d, s);
    case 0x03: /* REQUEST SENSE: nothing is kept */
        s->answer[0] = 0x70;
        s->answer[7] = 10;
        return answer(s, 18, s->cdb[4]);
    case 0x08: case 0x0a: case 0x28: case 0x2a: case 0xa8: case 0xaa: case 0x88: case 0x8a:
        return read_write_command(d, s);
    case 0x1a:
        return mode_sense(d, s, false);
    case 0x5a:
        return mode_sense(d, s, true);
    case 0x1b: /* START STOP UNIT: it always runs */
        return (s->cdb[4] & 2) != 0 ? illegal(s, INVALID_FIELD) : SCSI_DONE;
    case 0x1e:
        d->locked = (s->cdb[4] & 1) != 0;
        return SCSI_DONE;
    case 0x25:
        return capacity(d, s, false);
    case 0x9e: /* READ CAPACITY(16) */
        return (s->cdb[1] & 0x1f) == 0x10 ? capacity(d, s, true) : illegal(s, INVALID_FIELD);
    case 0x35: case 0x91: /* SYNCHRONIZE CACHE */
        return d->read_only ? SCSI_DONE : SCSI_FLUSH;
    default:
        return SCSI_READ; /* unknown here */
    }
}

static bool is_common(u8 code)
{
    static const u8 codes[] = {0x00, 0x03, 0x08, 0x0a, 0x28, 0x2a, 0xa8, 0xaa, 0x88, 0x8a, 0x1a, 0x5a, 0x1b, 0x1e, 0x25, 0x9e, 0x35, 0x91};
    for (u32 i = 0; i < sizeof codes; i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

static enum scsi_kind own(struct disk *d, struct scsi *s)
{
    u8 code = s->cdb[0];
    if (code == 0x42 && !d->cd && d->block->can_discard) { /* UNMAP: the list comes with the command */
        return d->read_only ? read_write(d, s, true, 0, 0) : SCSI_DISCARD;
    }
    if (d->cd && code == 0x43) {
        return read_toc(d, s);
    }
    if (d->cd && code == 0x51) { /* READ DISC INFORMATION: finished, one session */
        put16(s->answer, 32);
        s->answer[2] = 0x0e;
        s->answer[3] = s->answer[4] = s->answer[5] = s->answer[6] = 1;
        return answer(s, 34, get16(s->cdb + 7));
    }
    if (d->cd && code == 0x46) { /* GET CONFIGURATION: the profile of a CD-ROM, no features */
        put32(s->answer, 4);
        put16(s->answer + 6, 8);
        return answer(s, 8, get16(s->cdb + 7));
    }
    if (d->cd && code == 0x4a) { /* GET EVENT STATUS: media, present, nothing new */
        put16(s->answer, 6);
        s->answer[2] = 4;
        s->answer[3] = 0x10;
        s->answer[5] = 2;
        return answer(s, 8, get16(s->cdb + 7));
    }
    return illegal(s, INVALID_OPCODE);
}

enum scsi_kind scsi_command(struct controller *k, u32 path, u32 target, u32 lun, struct scsi *s)
{
    bool place = path == 0 && target == 0;
    struct disk *d = place && lun < DISKS && k->disks[lun].block != NULL && !k->disks[lun].gone ? &k->disks[lun] : NULL;
    memset(s->answer, 0, SCSI_ANSWER);
    s->status = 0;
    s->srb_status = SRB_SUCCESS;
    s->answer_bytes = 0;
    if (s->cdb[0] == 0x12) {
        return inquiry(d, s);
    }
    if (s->cdb[0] == 0xa0) {
        return report_luns(k, place, s);
    }
    if (d == NULL) {
        s->status = CHECK_CONDITION;
        s->srb_status = SRB_INVALID_LUN;
        return SCSI_DONE;
    }
    return is_common(s->cdb[0]) ? common(d, s) : own(d, s);
}
