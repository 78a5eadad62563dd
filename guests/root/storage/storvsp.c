/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The storage provider: its protocol, and commands that go to a backing. The pages that a command names are lent for just that command. Left
 * out: data that does not begin and end on a sector's boundary within each page, which Linux never sends; fibre channel. */
#include "guests/root/storage/storage.h"

#define IOS 96u
#define IOS_CONTROLLER 32u
#define RW (HV_LEND_READ | HV_LEND_WRITE)
#define UNMAP_HEAD 8u

/* A command that is with the backing, or whose answer waits for room. */
struct io {
    struct io *next;
    bool used;
    struct channel *channel; /* NULL: closed meanwhile, nobody hears of it */
    struct bus *bus;
    u32 relid;
    struct controller *controller;
    struct disk *disk;
    u64 transaction;
    struct storvsp_packet answer;
    bool lent;
    u8 rights;
    struct range range;
    u32 pending;
    int status;
    struct block_request requests[RANGE_PAGES];
};

static struct io ios[IOS];
static struct io *unsent; /* answers, oldest first */
static u8 answer_bytes[SCSI_ANSWER];

static void send_unsent(struct channel *c)
{
    struct io **at = &unsent;
    while (*at != NULL) {
        struct io *io = *at;
        if (io->channel == c && !channel_complete(c, io->transaction, &io->answer, sizeof io->answer)) {
            return;
        }
        if (io->channel == c || io->channel == NULL) {
            *at = io->next;
            io->used = false;
        } else {
            at = &io->next;
        }
    }
}

static void send(struct io *io)
{
    struct io **last = &unsent;
    io->next = NULL;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = io;
    send_unsent(io->channel);
}

static struct io *io_new(void)
{
    for (u32 i = 0; i < IOS; i++) {
        if (!ios[i].used) {
            return &ios[i];
        }
    }
    return NULL;
}

static bool ready(struct channel *c)
{
    const struct controller *k = c->owner;
    for (const struct io *io = unsent; io != NULL; io = io->next) {
        if (io->channel == c) {
            return false;
        }
    }
    return k->in_flight < IOS_CONTROLLER && io_new() != NULL;
}

static void space(struct channel *c)
{
    struct controller *k = c->owner;
    send_unsent(c);
    if (k->changed) {
        storvsp_rescan(k);
    }
}

static bool answer(struct channel *c, const struct packet *p, struct storvsp_packet *m, u32 status)
{
    m->operation = STORVSP_COMPLETE_IO;
    m->status = status;
    if ((p->flags & VMBUS_PACKET_ASKS) == 0) {
        return true;
    }
    struct io *io = io_new(); /* there is one: ready() said so */
    io->used = true;
    io->channel = c;
    io->transaction = p->transaction;
    io->answer = *m;
    send(io);
    return true;
}

static void put_result(struct storvsp_packet *m, const struct scsi *s, u32 bytes)
{
    struct storvsp_srb *srb = &m->srb;
    srb->srb_status = s->srb_status;
    srb->scsi_status = s->status;
    srb->bytes = bytes;
    if ((s->srb_status & SRB_SENSE_VALID) != 0) {
        memset(srb->cdb, 0, sizeof srb->cdb);
        memcpy(srb->cdb, s->sense, SENSE_BYTES);
        srb->sense_length = SENSE_BYTES;
    }
}

static void ended(struct io *io)
{
    struct disk *d = io->disk;
    packet_work(io->bus, io->relid, io->transaction);
    if (io->lent) {
        range_return(io->bus, &io->range, io->rights, io->relid);
    }
    io->controller->in_flight--;
    d->busy--;
    if (d->gone && d->busy == 0) {
        disk_end(d);
    }
    if (io->status != BLOCK_OK) {
        struct scsi s = {.cdb = NULL};
        bool range = io->status == BLOCK_RANGE;
        if (io->status == BLOCK_READ_ONLY) {
            scsi_sense(&s, 7, 0x27, 0);
        } else if (range || io->status == BLOCK_UNSUPPORTED) {
            scsi_sense(&s, 5, range ? 0x21 : 0x24, 0);
        } else { /* medium error: the write or the read failed */
            scsi_sense(&s, 3, io->rights == HV_LEND_READ ? 0x0c : 0x11, 0);
        }
        put_result(&io->answer, &s, 0);
    }
    struct bus *b = io->bus;
    if (io->channel != NULL) {
        send(io);
    } else {
        io->used = false;
    }
    packet_work(b, 0, 0);
}

static void piece_done(struct block_request *r, int status)
{
    struct io *io = r->owner;
    io->status = io->status == BLOCK_OK ? status : io->status;
    if (--io->pending == 0) {
        ended(io);
    }
}

/* Pages that follow each other in memory are one piece. False: a piece that is no whole sectors. */
static bool cut(struct io *io, struct block_request model, u32 bytes, u32 *count)
{
    const struct range *r = &io->range;
    u32 sector_size = io->disk->block->sector_size;
    u32 at = 0;
    *count = 0;
    while (at < bytes) {
        u32 page = (r->offset + at) / (u32)PAGE_SIZE;
        u32 in_page = (r->offset + at) % (u32)PAGE_SIZE;
        u32 n = (u32)PAGE_SIZE - in_page;
        for (u32 i = page; at + n < bytes && i + 1 < r->pages && r->pfn[i + 1] == r->pfn[i] + 1; i++) {
            n += (u32)PAGE_SIZE;
        }
        n = (u32)min_u64(n, bytes - at);
        if (n % sector_size != 0 || in_page % 2 != 0) {
            return false;
        }
        struct block_request *q = &io->requests[(*count)++];
        *q = model;
        q->data = (u8 *)at_address((u64)r->pfn[page] << PAGE_SHIFT) + in_page;
        q->sectors = n / sector_size;
        model.sector += q->sectors;
        at += n;
    }
    return true;
}

static void submit(struct io *io, u32 count)
{
    struct block *b = io->disk->block;
    io->status = BLOCK_OK;
    io->pending = count + 1; /* ours, so that none of them ends it before all are submitted */
    io->controller->in_flight++;
    io->disk->busy++;
    for (u32 i = 0; i < count; i++) {
        io->requests[i].done = piece_done;
        io->requests[i].owner = io;
        b->submit(b, &io->requests[i]);
    }
    struct block_request own = {.owner = io};
    piece_done(&own, BLOCK_OK);
}

static bool refuse(struct channel *c, const struct packet *p, struct storvsp_packet *m, u8 srb_status)
{
    m->srb.srb_status = srb_status;
    m->srb.bytes = 0;
    return answer(c, p, m, 0);
}

static struct io *begin(struct channel *c, const struct packet *p, const struct storvsp_packet *m, struct disk *d, const struct scsi *s,
                        u32 bytes)
{
    struct io *io = io_new();
    io->used = true;
    io->channel = c;
    io->bus = c->bus;
    io->relid = c->relid;
    io->controller = c->owner;
    io->disk = d;
    io->transaction = p->transaction;
    io->answer = *m;
    io->answer.operation = STORVSP_COMPLETE_IO;
    io->answer.status = 0;
    io->lent = false;
    io->rights = HV_LEND_READ;
    put_result(&io->answer, s, bytes);
    return io;
}

static bool transfer(struct channel *c, const struct packet *p, struct storvsp_packet *m, struct disk *d, struct scsi *s,
                     struct range *r, bool write)
{
    u32 bytes = s->sectors * d->block->sector_size;
    u8 rights = write ? HV_LEND_READ : RW;
    u32 count;
    if (r->pages == 0 || !range_lend(c->bus, r, rights, c->relid)) {
        return refuse(c, p, m, SRB_INVALID_REQUEST);
    }
    struct io *io = begin(c, p, m, d, s, bytes);
    io->range = *r;
    io->rights = rights;
    io->lent = true;
    if (!cut(io, (struct block_request){.write = write, .fua = s->fua, .sector = s->sector}, bytes, &count)) {
        range_return(c->bus, r, rights, c->relid);
        io->used = false;
        return refuse(c, p, m, SRB_INVALID_REQUEST);
    }
    d->reads += write ? 0 : 1;
    d->writes += write ? 1 : 0;
    d->read_bytes += write ? 0 : bytes;
    d->written_bytes += write ? bytes : 0;
    submit(io, count);
    return true;
}

/* The list of what to forget lies in the data: one descriptor, as the limits say. [SBC-3 "UNMAP command"] */
static bool discard(struct channel *c, const struct packet *p, struct storvsp_packet *m, struct disk *d, struct scsi *s, struct range *r)
{
    u8 list[UNMAP_HEAD + 16] = {0};
    if (r->pages == 0 || r->bytes < sizeof list || !range_lend(c->bus, r, HV_LEND_READ, c->relid)) {
        return refuse(c, p, m, SRB_INVALID_REQUEST);
    }
    range_read(r, 0, list, sizeof list);
    range_return(c->bus, r, HV_LEND_READ, c->relid);
    u64 at = 0;
    u64 count = 0;
    for (u32 i = 0; i < 8; i++) {
        at = at << 8 | list[UNMAP_HEAD + i];
        count = i < 4 ? count << 8 | list[UNMAP_HEAD + 8 + i] : count;
    }
    struct io *io = begin(c, p, m, d, s, (u32)sizeof list);
    io->requests[0] = (struct block_request){.discard = true, .sector = at, .sectors = (u32)count};
    submit(io, 1);
    return true;
}

static bool small_answer(struct channel *c, const struct packet *p, struct storvsp_packet *m, struct scsi *s, struct range *r)
{
    u32 n = (u32)min_u64(s->answer_bytes, s->room);
    if (n > 0) {
        if (r->pages == 0 || !range_lend(c->bus, r, RW, c->relid)) {
            return refuse(c, p, m, SRB_INVALID_REQUEST);
        }
        range_write(r, 0, s->answer, n);
        range_return(c->bus, r, RW, c->relid);
    }
    put_result(m, s, n);
    return answer(c, p, m, 0);
}

static bool execute(struct channel *c, const struct packet *p, struct storvsp_packet *m)
{
    static struct range r;
    struct controller *k = c->owner;
    u8 cdb[20];
    u32 at = 0;
    r.pages = r.bytes = 0;
    memcpy(cdb, m->srb.cdb, sizeof cdb);
    if (!k->ready) {
        return answer(c, p, m, STORVSP_STATUS_FAILED);
    }
    if (p->type == VMBUS_PACKET_GPA_DIRECT && (range_count(p) != 1 || !range_next(p, &at, &r))) {
        return false;
    }
    struct scsi s = {.cdb = cdb, .room = (u32)min_u64(m->srb.bytes, r.bytes), .answer = answer_bytes};
    enum scsi_kind kind = scsi_command(k, m->srb.path, m->srb.target, m->srb.lun, &s);
    struct disk *d = &k->disks[m->srb.lun % DISKS];
    switch (kind) {
    case SCSI_DONE:
        break;
    case SCSI_READ:
    case SCSI_WRITE:
        return transfer(c, p, m, d, &s, &r, kind == SCSI_WRITE);
    case SCSI_FLUSH: {
        struct io *io = begin(c, p, m, d, &s, 0);
        io->requests[0] = (struct block_request){.flush = true};
        submit(io, 1);
        return true;
    }
    case SCSI_DISCARD:
        return discard(c, p, m, d, &s, &r);
    }
    return small_answer(c, p, m, &s, &r);
}

static bool query_version(struct channel *c, const struct packet *p, struct storvsp_packet *m)
{
    struct controller *k = c->owner;
    u16 v = m->version.version;
    bool ok = v == STORVSP_VERSION_WIN8 || v == STORVSP_VERSION_WIN8_1 || v == STORVSP_VERSION_WIN10;
    k->version = ok ? v : 0;
    return answer(c, p, m, ok ? 0 : STORVSP_STATUS_FAILED);
}

static bool query_properties(struct channel *c, const struct packet *p, struct storvsp_packet *m)
{
    u32 others = c->bus->vm->vps - 1;
    const struct storvsp_properties answers = {
        .max_subchannels = (u16)others, .flags = others > 0 ? STORVSP_MULTICHANNEL : 0, .max_transfer = MAX_TRANSFER};
    memcpy(m->properties, &answers, sizeof answers);
    return answer(c, p, m, 0);
}

static bool create_subchannels(struct channel *c, const struct packet *p, struct storvsp_packet *m)
{
    static const struct vmbus_guid interface = STORVSP_INTERFACE;
    struct controller *k = c->owner;
    u32 wanted = m->subchannels;
    if (wanted == 0 || wanted > c->bus->vm->vps - 1 || c->primary != NULL || k->subchannels != 0) {
        return answer(c, p, m, STORVSP_STATUS_FAILED);
    }
    (void)answer(c, p, m, 0);
    for (u32 i = 1; i <= wanted; i++) {
        k->subchannels += channel_offer(c->bus, &interface, &c->instance, &storvsp_ops, k, false, c, (u16)i) != NULL ? 1 : 0;
    }
    return true;
}

static bool packet(struct channel *c, const struct packet *p)
{
    struct controller *k = c->owner;
    struct storvsp_packet m;
    if (p->type == VMBUS_PACKET_COMPLETION) {
        return true; /* of what we said */
    }
    if ((p->type != VMBUS_PACKET_INBAND && p->type != VMBUS_PACKET_GPA_DIRECT) || p->bytes - p->extra < sizeof m) {
        return false;
    }
    memcpy(&m, p->data + p->extra, sizeof m);
    switch (m.operation) {
    case STORVSP_EXECUTE_SRB:
        return execute(c, p, &m);
    case STORVSP_BEGIN_INITIALIZATION:
        k->ready = false;
        k->version = 0;
        return answer(c, p, &m, 0);
    case STORVSP_QUERY_PROTOCOL_VERSION:
        return query_version(c, p, &m);
    case STORVSP_QUERY_PROPERTIES:
        return query_properties(c, p, &m);
    case STORVSP_END_INITIALIZATION:
        k->ready = k->version != 0;
        return answer(c, p, &m, k->ready ? 0 : STORVSP_STATUS_FAILED);
    case STORVSP_CREATE_SUB_CHANNELS:
        return create_subchannels(c, p, &m);
    case STORVSP_RESET_BUS:
    case STORVSP_RESET_ADAPTER:
    case STORVSP_RESET_LUN: /* what is in flight comes to its end by itself */
        return answer(c, p, &m, 0);
    default:
        return answer(c, p, &m, STORVSP_STATUS_FAILED);
    }
}

static bool opened(struct channel *c)
{
    struct controller *k = c->owner;
    if (c->primary == NULL) {
        k->ready = false;
        k->version = 0;
    }
    return true;
}

static void closed(struct channel *c)
{
    struct controller *k = c->owner;
    for (u32 i = 0; i < IOS; i++) {
        if (ios[i].used && ios[i].channel == c) {
            ios[i].channel = NULL;
        }
    }
    struct io **at = &unsent;
    while (*at != NULL) {
        if ((*at)->channel == NULL) {
            (*at)->used = false;
            *at = (*at)->next;
        } else {
            at = &(*at)->next;
        }
    }
    k->ready = k->ready && c->primary != NULL;
}

static void released(struct channel *c)
{
    struct controller *k = c->owner;
    if (c->primary == NULL) {
        k->channel = NULL;
    } else {
        k->subchannels--;
    }
}

const struct channel_ops storvsp_ops = {"storage", opened, closed, packet, ready, space, NULL, released};

void storvsp_rescan(struct controller *k)
{
    const struct storvsp_packet m = {.operation = STORVSP_ENUMERATE_BUS};
    if (k->channel != NULL && k->channel->open && k->ready) {
        k->changed = !channel_write(k->channel, VMBUS_PACKET_INBAND, 0, 0, NULL, 0, &m, sizeof m);
    }
}
