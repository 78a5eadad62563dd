/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports and connections. Left out: monitor and doorbell ports. [TLFS "Inter-Partition Communication"] */
#include "hv/synic/port.h"

#include "abi/hyperv/hypercall.h"
#include "hv/core/string.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/vp.h"

#define ID_RESERVED 0xff000000u

_Static_assert(PORT_BUFFERS * sizeof(struct message_node) <= PAGE_SIZE, "a port's buffers are one page");

static struct port *find_port(struct partition *p, u32 id)
{
    for (unsigned i = 0; i < PORT_MAX; i++) {
        if (p->ports[i].kind != PORT_FREE && p->ports[i].id == id) {
            return &p->ports[i];
        }
    }
    return NULL;
}

static struct connection *find_connection(struct partition *p, u32 id)
{
    for (unsigned i = 0; i < CONNECTION_MAX; i++) {
        if (p->connections[i].used && p->connections[i].id == id) {
            return &p->connections[i];
        }
    }
    return NULL;
}

static u16 check_info(const struct partition *owner, const struct hv_port_info *i)
{
    if ((i->kind != PORT_MESSAGE && i->kind != PORT_EVENT) || i->sint == 0 || i->sint >= HV_SINTS) {
        return HV_INVALID_PARAMETER;
    }
    if (i->kind == PORT_EVENT && (i->flag_count == 0 || i->flag_base + i->flag_count > HV_EVENT_FLAGS)) {
        return HV_INVALID_PARAMETER;
    }
    if (i->vp != HV_VP_ANY && (i->vp >= VP_MAX || owner->vp[i->vp] == NULL)) {
        return HV_INVALID_VP_INDEX;
    }
    return HV_SUCCESS;
}

u16 port_create(struct partition *owner, struct partition *sender, const struct hv_create_port_input *in)
{
    const struct hv_port_info *info = &in->info;
    u32 id = in->port;
    u16 status = check_info(owner, info);
    if (status != HV_SUCCESS) {
        return status;
    }
    if ((in->vtl != 0 && (in->vtl != 2 || !owner->has_vtl2)) || in->minimum_vtl > 2) {
        return HV_INVALID_PARAMETER;
    }
    if ((id & ID_RESERVED) != 0 || find_port(owner, id) != NULL) {
        return HV_INVALID_PORT_ID;
    }
    struct port *port = owner->ports;
    while (port < owner->ports + PORT_MAX && port->kind != PORT_FREE) {
        port++;
    }
    if (port == owner->ports + PORT_MAX) {
        return HV_INSUFFICIENT_MEMORY;
    }
    struct message_node *buffers = info->kind == PORT_MESSAGE ? pool_alloc(&owner->pool) : NULL;
    if (info->kind == PORT_MESSAGE && buffers == NULL) {
        return HV_INSUFFICIENT_MEMORY;
    }
    *port = (struct port){.kind = info->kind,
                          .id = id,
                          .sender = sender,
                          .sint = (u8)info->sint,
                          .vtl = in->vtl,
                          .minimum_vtl = in->minimum_vtl,
                          .vp = info->vp,
                          .flag_base = info->flag_base,
                          .flag_count = info->flag_count,
                          .buffers = buffers};
    return HV_SUCCESS;
}

static struct vp *level_of(struct vp *vp, u8 vtl) { return vp != NULL && vtl != 0 ? vp->other : vp; }

/* A message of this port that still waits goes with it. */
static void unqueue(struct partition *p, const struct port *port)
{
    for (u32 v = 0; v < VP_MAX; v++) {
        struct vp *vp = level_of(p->vp[v], port->vtl);
        for (unsigned s = 0; vp != NULL && s < HV_SINTS; s++) {
            struct message_node **link = &vp->synic.queue[s];
            while (*link != NULL) {
                bool mine = *link >= port->buffers && *link < port->buffers + PORT_BUFFERS;
                if (mine) {
                    *link = (*link)->next;
                } else {
                    link = &(*link)->next;
                }
            }
        }
    }
}

static void drop(struct partition *owner, struct port *port)
{
    for (u16 i = 0; i < PARTITION_MAX; i++) {
        struct partition *p = partition_at(i);
        for (unsigned c = 0; p != NULL && c < CONNECTION_MAX; c++) {
            if (p->connections[c].port == port) {
                p->connections[c].port = NULL;
            }
        }
    }
    if (port->buffers != NULL) {
        unqueue(owner, port);
        pool_free(&owner->pool, port->buffers);
    }
    port->kind = PORT_FREE;
}

u16 port_delete(struct partition *owner, u32 id)
{
    struct port *port = find_port(owner, id);
    if (port == NULL) {
        return HV_INVALID_PORT_ID;
    }
    drop(owner, port);
    return HV_SUCCESS;
}

u16 port_get_property(struct partition *owner, u32 id, u32 code, u64 *value)
{
    const struct port *port = find_port(owner, id);
    if (port == NULL) {
        return HV_INVALID_PORT_ID;
    }
    if (code != HV_PORT_POST_COUNT && code != HV_PORT_TARGET_VP) {
        return HV_UNKNOWN_PROPERTY;
    }
    *value = code == HV_PORT_TARGET_VP ? port->vp : port->posts;
    return HV_SUCCESS;
}

u16 port_set_property(struct partition *owner, u32 id, u32 code, u64 value)
{
    struct port *port = find_port(owner, id);
    if (port == NULL) {
        return HV_INVALID_PORT_ID;
    }
    if (code != HV_PORT_TARGET_VP) {
        return HV_UNKNOWN_PROPERTY;
    }
    if (value != HV_VP_ANY && (value >= VP_MAX || owner->vp[value] == NULL)) {
        return HV_INVALID_VP_INDEX;
    }
    port->vp = (u32)value;
    return HV_SUCCESS;
}

u16 connection_make(struct partition *sender, u32 id, struct partition *owner, u32 port_id, u32 kind)
{
    struct port *port = find_port(owner, port_id);
    if ((id & ID_RESERVED) != 0 || find_connection(sender, id) != NULL) {
        return HV_INVALID_CONNECTION_ID;
    }
    if (port == NULL || port->connected || port->sender != sender || port->kind != kind) {
        return HV_INVALID_PORT_ID;
    }
    struct connection *c = sender->connections;
    while (c < sender->connections + CONNECTION_MAX && c->used) {
        c++;
    }
    if (c == sender->connections + CONNECTION_MAX) {
        return HV_INSUFFICIENT_MEMORY;
    }
    *c = (struct connection){.used = true, .id = id, .owner = owner, .port = port};
    port->connected = true;
    return HV_SUCCESS;
}

u16 connection_drop(struct partition *sender, u32 id)
{
    struct connection *c = find_connection(sender, id);
    if (c == NULL) {
        return HV_INVALID_CONNECTION_ID;
    }
    if (c->port != NULL) {
        c->port->connected = false;
    }
    c->used = false;
    c->port = NULL;
    return HV_SUCCESS;
}

static struct vp *target(struct partition *owner, const struct port *port)
{
    if (port->vp != HV_VP_ANY) {
        return level_of(owner->vp[port->vp], port->vtl);
    }
    for (u32 i = 0; i < VP_MAX; i++) {
        struct vp *vp = level_of(owner->vp[i], port->vtl);
        if (vp != NULL && synic_accepts(vp)) {
            return vp;
        }
    }
    return NULL;
}

static u16 find_target(const struct vp *sender, u32 id, u32 kind, struct connection **c, struct vp **vp)
{
    *c = find_connection(sender->partition, id);
    if (*c == NULL) {
        return HV_INVALID_CONNECTION_ID;
    }
    if ((*c)->port == NULL || (*c)->port->kind != kind || (*c)->owner->state != HV_PARTITION_ACTIVE) {
        return HV_INVALID_PORT_ID;
    }
    if (sender->partition->has_vtl2 && sender->vtl < (*c)->port->minimum_vtl) {
        return HV_ACCESS_DENIED;
    }
    *vp = target((*c)->owner, (*c)->port);
    return *vp != NULL && synic_accepts(*vp) ? HV_SUCCESS : HV_INVALID_SYNIC_STATE;
}

u16 connection_post(const struct vp *sender, u32 id, u32 type, const void *payload, u32 size)
{
    struct connection *c;
    struct vp *vp;
    if (type == 0 || (type & 0x80000000u) != 0 || size > HV_MESSAGE_PAYLOAD) {
        return HV_INVALID_PARAMETER;
    }
    u16 status = find_target(sender, id, PORT_MESSAGE, &c, &vp);
    if (status != HV_SUCCESS) {
        return status;
    }
    for (unsigned i = 0; i < PORT_BUFFERS; i++) {
        struct message_node *node = &c->port->buffers[i];
        if (!node->busy) {
            node->message = (struct hv_message){.type = type, .size = (u8)size, .sender = c->port->id};
            memcpy(node->message.payload, payload, size);
            synic_post(vp, c->port->sint, node);
            c->port->posts++;
            return HV_SUCCESS;
        }
    }
    return HV_INSUFFICIENT_BUFFERS;
}

u16 connection_signal(const struct vp *sender, u32 id, u16 flag)
{
    struct connection *c;
    struct vp *vp;
    u16 status = find_target(sender, id, PORT_EVENT, &c, &vp);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (flag >= c->port->flag_count) {
        return HV_INVALID_PARAMETER;
    }
    bool fresh;
    status = synic_signal(vp, c->port->sint, (unsigned)(c->port->flag_base + flag), &fresh);
    c->port->posts += status == HV_SUCCESS ? 1 : 0;
    return status;
}

void port_drop_all(struct partition *p)
{
    for (unsigned i = 0; i < PORT_MAX; i++) {
        if (p->ports[i].kind != PORT_FREE) {
            drop(p, &p->ports[i]);
        }
    }
    for (unsigned i = 0; i < CONNECTION_MAX; i++) {
        if (p->connections[i].used) {
            (void)connection_drop(p, p->connections[i].id);
        }
    }
    for (u16 i = 0; i < PARTITION_MAX; i++) { /* ports that only this partition could connect to */
        struct partition *other = partition_at(i);
        for (unsigned n = 0; other != NULL && n < PORT_MAX; n++) {
            if (other->ports[n].kind != PORT_FREE && other->ports[n].sender == p) {
                other->ports[n].sender = NULL;
            }
        }
    }
}
