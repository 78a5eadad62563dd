/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control messages of a child: versions 2.4 to 4.1 by connection 1, 5.0 to 5.3 by connection 4. What is too short, out of order or
 * about nothing of its own is dropped and counted. Left out: versions before 2.4, hv_sock, monitor pages (no offer asks for them). */
#include "guests/root/vmbus/vmbus.h"

#define SINTS 16u
#define GPADL_RANGE_HEAD 8u

static bool is_known(u32 version, u32 connection)
{
    static const u32 known[] = {VMBUS_2_4, VMBUS_3_0, VMBUS_4_0, VMBUS_4_1, VMBUS_5_0, VMBUS_5_1, VMBUS_5_2, VMBUS_5_3};
    bool multi = version >= VMBUS_5_0;
    for (u32 i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i] == version) {
            return multi == (connection == VMBUS_CONNECTION_MULTI);
        }
    }
    return false;
}

static void initiate(struct bus *b, u32 connection, const struct vmbus_contact *m)
{
    bool multi = m->version >= VMBUS_5_0;
    u32 sint = multi ? (u32)m->interrupt_page & 0xff : VMBUS_SINT;
    bool ok = is_known(m->version, connection) && sint == VMBUS_SINT;
    bus_disconnect(b);
    if (sint == 0 || sint >= SINTS || m->vp >= b->vm->vps || !host_answer_to(b, m->vp, sint)) {
        b->nonsense++;
        return;
    }
    b->connected = ok;
    b->version = m->version;
    b->vp = m->vp;
    const struct vmbus_version_response answer = {
        .header = {VMBUS_VERSION_RESPONSE, 0}, .supported = ok, .connection = ok && multi ? VMBUS_CONNECTION_MULTI : 0};
    bus_send(b, &answer, sizeof answer);
    if (ok && !b->noted) { /* once: it may connect as often as it likes */
        b->noted = true;
        print("\nroot: %s: VMBus %u.%u\n", b->vm->name, m->version >> 16, m->version & 0xffff);
    }
}

static bool request_offers(struct bus *b)
{
    if (b->requested) {
        return false;
    }
    b->requested = true;
    for (u32 i = 0; i < BUS_CHANNELS; i++) {
        if (b->channels[i].state == CHANNEL_OFFERED) {
            channel_announce(&b->channels[i]);
        }
    }
    const struct vmbus_header all = {VMBUS_ALLOFFERS_DELIVERED, 0};
    bus_send(b, &all, sizeof all);
    return true;
}

static void result(struct bus *b, u32 type, u32 relid, u32 id, u32 status)
{
    const struct vmbus_result m = {{type, 0}, relid, id, status};
    bus_send(b, &m, sizeof m);
}

static bool open(struct bus *b, const struct vmbus_open *m)
{
    struct channel *c = channel_find(b, m->relid);
    struct gpadl *g = gpadl_find(b, m->gpadl);
    if (c == NULL) {
        return false;
    }
    u32 status = g != NULL ? channel_open(c, g, m->downstream, m->vp) : VMBUS_FAILED;
    result(b, VMBUS_OPENCHANNEL_RESULT, m->relid, m->open_id, status);
    if (status == 0) {
        c->again = true; /* it may have written before it heard */
    }
    return true;
}

/* The list is complete: hv says whether the pages are the child's. */
static void created(struct bus *b, struct gpadl *g)
{
    if (g->named < g->pages) {
        return;
    }
    g->created = gpadl_check(b, g);
    result(b, VMBUS_GPADL_CREATED, g->relid, g->id, g->created ? 0 : VMBUS_FAILED);
    if (!g->created) {
        gpadl_free(b, g);
    }
}

static void refuse(struct bus *b, struct gpadl *g, u32 relid, u32 id)
{
    result(b, VMBUS_GPADL_CREATED, relid, id, VMBUS_FAILED);
    if (g != NULL) {
        gpadl_free(b, g);
    }
}

static bool gpadl_header(struct bus *b, const struct vmbus_gpadl_header *m, const u8 *pfns, u32 bytes)
{
    u32 pages = m->range_bytes >= GPADL_RANGE_HEAD ? (m->range_bytes - GPADL_RANGE_HEAD) / 8u : 0;
    u64 spanned = ((u64)m->byte_offset + m->byte_count + PAGE_MASK) >> PAGE_SHIFT;
    if (channel_find(b, m->relid) == NULL || gpadl_find(b, m->gpadl) != NULL) {
        return false;
    }
    bool ok = m->range_count == 1 && pages == spanned && m->byte_offset < PAGE_SIZE;
    struct gpadl *g = ok ? gpadl_new(b, m->gpadl, m->relid, pages, m->byte_count, m->byte_offset) : NULL;
    if (g == NULL || !gpadl_name(b, g, pfns, bytes / 8)) {
        refuse(b, g, m->relid, m->gpadl);
        return true;
    }
    created(b, g);
    return true;
}

static bool gpadl_body(struct bus *b, const struct vmbus_gpadl_body *m, const u8 *pfns, u32 bytes)
{
    struct gpadl *g = gpadl_find(b, m->gpadl);
    if (g == NULL || g->named == g->pages) {
        return false;
    }
    if (!gpadl_name(b, g, pfns, bytes / 8)) {
        refuse(b, g, g->relid, g->id);
        return true;
    }
    created(b, g);
    return true;
}

/* It waits for the answer without limit, so there is one whatever it asked. */
static bool teardown(struct bus *b, const struct vmbus_gpadl_teardown *m)
{
    struct gpadl *g = gpadl_find(b, m->gpadl);
    for (u32 i = 0; g != NULL && i < BUS_CHANNELS; i++) {
        if (b->channels[i].open && b->channels[i].gpadl == g) {
            channel_drop(&b->channels[i], "the pages of its open ring are taken away");
        }
    }
    if (g != NULL && g->buffer != NULL) {
        g->buffer->ops->torn(g->buffer, g);
    }
    if (g != NULL) {
        gpadl_free(b, g);
    }
    const struct vmbus_gpadl_torndown answer = {{VMBUS_GPADL_TORNDOWN, 0}, m->gpadl};
    bus_send(b, &answer, sizeof answer);
    return g != NULL;
}

static bool modify(struct bus *b, const struct vmbus_modify *m)
{
    struct channel *c = channel_find(b, m->relid);
    bool ok = c != NULL && c->open && (m->value == VMBUS_VP_NONE || m->value < b->vm->vps) && b->version >= VMBUS_4_1;
    if (ok) {
        c->vp = m->value;
        host_signal(c); /* the old one may have missed something */
    }
    if (c != NULL && b->version >= VMBUS_5_3) {
        const struct vmbus_modify answer = {{VMBUS_MODIFYCHANNEL_RESPONSE, 0}, m->relid, ok ? 0 : VMBUS_FAILED};
        bus_send(b, &answer, sizeof answer);
    }
    return ok;
}

static bool closing(struct bus *b, u32 type, u32 relid)
{
    struct channel *c = channel_find(b, relid);
    if (c == NULL) {
        return false;
    }
    if (type == VMBUS_CLOSECHANNEL) {
        bool was = c->open;
        channel_close(c);
        return was;
    }
    if (c->state != CHANNEL_RESCINDED) {
        return false;
    }
    channel_free(c);
    return true;
}

static bool unload(struct bus *b)
{
    const struct vmbus_header answer = {VMBUS_UNLOAD_RESPONSE, 0};
    bus_disconnect(b);
    bus_send(b, &answer, sizeof answer);
    return true;
}

union message {
    u8 bytes[HV_MESSAGE_PAYLOAD];
    struct vmbus_header header;
    struct vmbus_contact contact;
    struct vmbus_open open;
    struct vmbus_relid relid;
    struct vmbus_gpadl_header gpadl_header;
    struct vmbus_gpadl_body gpadl_body;
    struct vmbus_gpadl_teardown teardown;
    struct vmbus_modify modify;
};

static bool connected_message(struct bus *b, const union message *m, u32 bytes)
{
    switch (m->header.type) {
    case VMBUS_REQUESTOFFERS:
        return request_offers(b);
    case VMBUS_OPENCHANNEL:
        return bytes >= sizeof m->open && open(b, &m->open);
    case VMBUS_CLOSECHANNEL:
    case VMBUS_RELID_RELEASED:
        return bytes >= sizeof m->relid && closing(b, m->header.type, m->relid.relid);
    case VMBUS_GPADL_HEADER:
        return bytes >= sizeof m->gpadl_header &&
               gpadl_header(b, &m->gpadl_header, m->bytes + sizeof m->gpadl_header, bytes - (u32)sizeof m->gpadl_header);
    case VMBUS_GPADL_BODY:
        return bytes >= sizeof m->gpadl_body &&
               gpadl_body(b, &m->gpadl_body, m->bytes + sizeof m->gpadl_body, bytes - (u32)sizeof m->gpadl_body);
    case VMBUS_GPADL_TEARDOWN:
        return bytes >= sizeof m->teardown && teardown(b, &m->teardown);
    case VMBUS_UNLOAD:
        return b->version >= VMBUS_3_0 && unload(b);
    case VMBUS_MODIFYCHANNEL:
        return bytes >= sizeof m->modify && modify(b, &m->modify);
    default:
        return false;
    }
}

void bus_message(struct bus *b, u32 connection, const void *payload, u32 bytes)
{
    union message m;
    if (bytes < sizeof m.header || bytes > sizeof m) {
        b->nonsense++;
        return;
    }
    memset(&m, 0, sizeof m);
    memcpy(&m, payload, bytes);
    if (m.header.type == VMBUS_INITIATE_CONTACT && bytes >= sizeof m.contact) {
        initiate(b, connection, &m.contact);
    } else if (!b->connected || !connected_message(b, &m, bytes)) {
        b->nonsense++;
    }
}
