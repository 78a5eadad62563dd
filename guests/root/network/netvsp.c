/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The network provider: NVSP up to 6.1, the two buffers that a guest shares, frames and control messages in them. Of the receive buffer only
 * the part is lent that has sections. Left out: sub-channels, virtual functions. */
#include "guests/root/network/network.h"

#define RW (HV_LEND_READ | HV_LEND_WRITE)
#define MESSAGE_BYTES 16384u

static u8 message[MESSAGE_BYTES] __attribute__((aligned(8)));

static void flush(struct nic *n)
{
    u32 sent = 0;
    while (sent < n->unsent_count) {
        const struct unsent *u = &n->unsent[sent];
        if (!channel_write(n->channel, u->type, u->flags, u->transaction, u->head, u->head_bytes, u->data, u->bytes)) {
            break;
        }
        sent++;
    }
    n->unsent_count -= sent;
    for (u32 i = 0; i < n->unsent_count && sent != 0; i++) {
        n->unsent[i] = n->unsent[i + sent];
    }
}

/* False: no room even to keep it. */
static bool emit(struct nic *n, u16 type, u16 flags, u64 transaction, const void *head, u32 head_bytes, const struct nvsp_message *m)
{
    if (n->unsent_count == 0 && channel_write(n->channel, type, flags, transaction, head, head_bytes, m, sizeof *m)) {
        return true;
    }
    if (n->unsent_count == UNSENT) {
        return false;
    }
    struct unsent *u = &n->unsent[n->unsent_count++];
    *u = (struct unsent){.type = type, .flags = flags, .head_bytes = head_bytes, .bytes = sizeof *m, .transaction = transaction};
    if (head_bytes > 0) {
        memcpy(u->head, head, head_bytes);
    }
    memcpy(u->data, m, sizeof *m);
    return true;
}

static bool complete(struct nic *n, const struct packet *p, const struct nvsp_message *m)
{
    return (p->flags & VMBUS_PACKET_ASKS) == 0 || emit(n, VMBUS_PACKET_COMPLETION, 0, p->transaction, NULL, 0, m);
}

bool netvsp_send(struct nic *n, u32 channel, const void *head, u32 head_bytes, const void *data, u32 bytes)
{
    u32 total = head_bytes + bytes;
    if (n->receive == NULL || total > SECTION || n->unsent_count == UNSENT) {
        return false;
    }
    u32 i = 0;
    while (i < n->sections && n->taken[(n->next_section + i) % n->sections]) {
        i++;
    }
    if (i == n->sections) {
        return false;
    }
    u32 s = (n->next_section + i) % n->sections;
    n->next_section = s + 1;
    n->taken[s] = true;
    gpadl_write(n->receive, s * SECTION, head, head_bytes);
    gpadl_write(n->receive, s * SECTION + head_bytes, data, bytes);
    const struct {
        struct vmbus_transfer_pages pages;
        u32 bytes, offset;
    } range = {{n->receive_id, 0, 0, 1}, total, s * SECTION};
    const struct nvsp_message m = {.type = NVSP_RNDIS_PACKET,
                                   .packet = {.channel = channel, .section = NVSP_NO_SECTION, .section_size = 0}};
    u32 type;
    memcpy(&type, head, sizeof type);
    bool ok = emit(n, VMBUS_PACKET_TRANSFER_PAGES, VMBUS_PACKET_ASKS, s + 1, &range, sizeof range, &m);
    trace_packet_holds(n->vm->partition, n->channel->relid, s + 1, type, total);
    return ok;
}

void netvsp_deliver(struct switch_port *p, const u8 *frame, u32 size)
{
    struct nic *n = p->owner;
    const struct rndis_packet head = {
        .type = RNDIS_PACKET, .bytes = (u32)sizeof head + size, .offset = sizeof head - RNDIS_HEADER, .length = size};
    bool up = n->channel != NULL && n->channel->open && n->initialized && n->filter != 0 && n->unsent_count == 0;
    if (up && netvsp_send(n, NVSP_DATA, &head, sizeof head, frame, size)) {
        n->frames_in++;
    } else {
        n->dropped++;
    }
}

static void give_back(struct nic *n, struct gpadl **which, u32 pages, u8 rights)
{
    if (*which != NULL) {
        gpadl_return(n->channel->bus, *which, 0, pages, rights);
        (*which)->buffer = NULL;
        *which = NULL;
    }
}

static void give_receive(struct nic *n) { give_back(n, &n->receive, n->receive_pages, RW); }
static void give_send(struct nic *n) { give_back(n, &n->send, n->send_pages, HV_LEND_READ); }

static struct gpadl *buffer_of(const struct nic *n, const struct nvsp_message *m)
{
    struct gpadl *g = gpadl_find(n->channel->bus, m->buffer.gpadl);
    bool ok = g != NULL && g->created && g->relid == n->channel->relid && g->buffer == NULL && g->lendings == 0 && g->offset == 0;
    return ok ? g : NULL;
}

static bool receive_buffer(struct nic *n, const struct packet *p, const struct nvsp_message *m)
{
    struct gpadl *g = n->receive == NULL ? buffer_of(n, m) : NULL;
    struct nvsp_message answer = {.type = NVSP_SEND_RECV_BUF_COMPLETE, .receive_complete = {.status = NVSP_STATUS_FAIL}};
    u32 sections = g != NULL ? (u32)min_u64(SECTIONS, (u64)g->pages * PAGE_SIZE / SECTION) : 0;
    u32 pages = (u32)(align_up((u64)sections * SECTION, PAGE_SIZE) / PAGE_SIZE);
    if (sections > 0 && gpadl_lend(n->channel->bus, g, 0, pages, RW)) {
        n->receive = g;
        g->buffer = n->channel;
        n->receive_pages = pages;
        n->receive_id = m->buffer.id;
        n->sections = sections;
        n->next_section = 0;
        memset(n->taken, 0, sizeof n->taken);
        answer.receive_complete.status = NVSP_STATUS_SUCCESS;
        answer.receive_complete.sections = 1;
        answer.receive_complete.size = SECTION;
        answer.receive_complete.count = sections;
        answer.receive_complete.end = sections * SECTION;
    }
    return complete(n, p, &answer);
}

static bool send_buffer(struct nic *n, const struct packet *p, const struct nvsp_message *m)
{
    struct gpadl *g = n->send == NULL ? buffer_of(n, m) : NULL;
    struct nvsp_message answer = {.type = NVSP_SEND_SEND_BUF_COMPLETE, .send_complete = {.status = NVSP_STATUS_FAIL}};
    if (g != NULL && gpadl_lend(n->channel->bus, g, 0, g->pages, HV_LEND_READ)) {
        n->send = g;
        g->buffer = n->channel;
        n->send_pages = g->pages;
        answer.send_complete.status = NVSP_STATUS_SUCCESS;
        answer.send_complete.section_size = SEND_SECTION;
    }
    return complete(n, p, &answer);
}

static bool init(struct nic *n, const struct packet *p, const struct nvsp_message *m)
{
    static const u32 versions[] = {NVSP_6_1, NVSP_6, NVSP_5, NVSP_4, NVSP_2, NVSP_1};
    struct nvsp_message answer = {.type = NVSP_INIT_COMPLETE, .init_complete = {.status = NVSP_STATUS_FAIL}};
    for (u32 i = 0; i < ARRAY_LEN(versions); i++) {
        if (versions[i] >= m->init.min && versions[i] <= m->init.max) {
            n->version = versions[i];
            answer.init_complete.version = versions[i];
            answer.init_complete.max_mdl_chain = 34;
            answer.init_complete.status = NVSP_STATUS_SUCCESS;
            break;
        }
    }
    return complete(n, p, &answer);
}

/* Into our memory: a section of the send buffer, pages of the packet's own, or both, when the guest copied as much as the section had room
 * for: whole messages and the head of a last one, whose frame is in the pages. 0: nonsense. */
static u32 collect(struct nic *n, const struct packet *p, const struct nvsp_message *m)
{
    static struct range r;
    u32 section = m->packet.section;
    u32 total = 0;
    u32 at = 0;
    if (section != NVSP_NO_SECTION) {
        u64 from = (u64)section * SEND_SECTION;
        total = m->packet.section_size;
        if (n->send == NULL || total > SEND_SECTION || from + total > (u64)n->send_pages * PAGE_SIZE) {
            return 0;
        }
        gpadl_read(n->send, (u32)from, message, total);
    }
    for (u32 i = range_count(p); i > 0; i--) {
        if (!range_next(p, &at, &r) || r.bytes > MESSAGE_BYTES - total ||
            !range_lend(n->channel->bus, &r, HV_LEND_READ, n->channel->relid)) {
            return 0;
        }
        range_read(&r, 0, message + total, r.bytes);
        range_return(n->channel->bus, &r, HV_LEND_READ, n->channel->relid);
        total += r.bytes;
    }
    return total;
}

static bool rndis(struct nic *n, const struct packet *p, const struct nvsp_message *m)
{
    u32 bytes = collect(n, p, m);
    bool control = m->packet.channel == NVSP_CONTROL;
    if (bytes == 0 || m->packet.channel > NVSP_CONTROL) {
        return false;
    }
    u32 type;
    memcpy(&type, message, sizeof type);
    trace_packet_holds(n->vm->partition, n->channel->relid, p->transaction, type, bytes);
    const struct nvsp_message answer = {.type = NVSP_RNDIS_PACKET_COMPLETE, .packet_complete = {.status = NVSP_STATUS_SUCCESS}};
    return complete(n, p, &answer) && (control ? rndis_control(n, message, bytes) : rndis_data(n, message, bytes));
}

/* The guest has taken what was in a section. */
static bool taken(struct nic *n, const struct packet *p)
{
    u64 s = p->transaction - 1;
    if (s >= n->sections || !n->taken[s]) {
        return false;
    }
    n->taken[s] = false;
    return true;
}

static bool packet(struct channel *c, const struct packet *p)
{
    struct nic *n = c->owner;
    struct nvsp_message m = {.type = 0};
    if (p->type == VMBUS_PACKET_COMPLETION) {
        return taken(n, p);
    }
    if ((p->type != VMBUS_PACKET_INBAND && p->type != VMBUS_PACKET_GPA_DIRECT) || p->bytes - p->extra < 4) {
        return false;
    }
    memcpy(&m, p->data + p->extra, min_u64(p->bytes - p->extra, sizeof m));
    if (m.type != NVSP_INIT && n->version == 0) {
        return false;
    }
    switch (m.type) {
    case NVSP_INIT:
        return init(n, p, &m);
    case NVSP_SEND_RECV_BUF:
        return receive_buffer(n, p, &m);
    case NVSP_SEND_SEND_BUF:
        return send_buffer(n, p, &m);
    case NVSP_REVOKE_RECV_BUF:
        give_receive(n);
        return true;
    case NVSP_REVOKE_SEND_BUF:
        give_send(n);
        return true;
    case NVSP_RNDIS_PACKET:
        return rndis(n, p, &m);
    case NVSP_NDIS_VERSION:
    case NVSP_NDIS_CONFIG:
        return true;
    case NVSP_SUBCHANNEL: {
        const struct nvsp_message answer = {.type = NVSP_SUBCHANNEL, .subchannel = {.status = NVSP_STATUS_FAIL}};
        return complete(n, p, &answer);
    }
    default:
        return (p->flags & VMBUS_PACKET_ASKS) == 0; /* what wants no answer can be ignored */
    }
}

static bool ready(struct channel *c) { return ((const struct nic *)c->owner)->unsent_count == 0; }
static void space(struct channel *c) { flush(c->owner); }

static bool opened(struct channel *c)
{
    struct nic *n = c->owner;
    n->version = n->filter = n->unsent_count = 0;
    n->initialized = false;
    n->sections = 0;
    return true;
}

static void closed(struct channel *c)
{
    struct nic *n = c->owner;
    n->initialized = false;
    n->unsent_count = 0;
    n->sections = 0;
    give_receive(n);
    give_send(n);
}

static void torn(struct channel *c, struct gpadl *g)
{
    struct nic *n = c->owner;
    if (n->receive == g) {
        give_receive(n);
        n->sections = 0;
    } else {
        give_send(n);
    }
}

static void released(struct channel *c)
{
    struct nic *n = c->owner;
    n->channel = NULL;
    if (n->port == NULL) {
        n->used = false; /* it was removed */
    }
}

const struct channel_ops netvsp_ops = {"network", opened, closed, packet, ready, space, torn, released};
