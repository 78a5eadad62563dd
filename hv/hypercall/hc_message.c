/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports, connections, messages, signals. */
#include "hv/hypercall/hypercall.h"

/* A partition that this caller may make ports or connections for, Active. */
static u16 find(const struct hypercall *c, u64 id, struct partition **out)
{
    u16 status = hc_find_partition(c, id, out);
    return status == HV_SUCCESS && (*out)->state != HV_PARTITION_ACTIVE ? (u16)HV_INVALID_PARTITION_STATE : status;
}

u16 hc_create_port(const struct hypercall *c)
{
    const struct hv_create_port_input *in = c->input;
    struct partition *owner;
    struct partition *sender;
    u16 status = find(c, in->owner, &owner);
    if (status == HV_SUCCESS) {
        status = find(c, in->sender, &sender);
    }
    if (status != HV_SUCCESS) {
        return status;
    }
    return owner == sender ? (u16)HV_INVALID_PARTITION_ID : port_create(owner, sender, in);
}

u16 hc_delete_port(const struct hypercall *c)
{
    const struct hv_port_input *in = c->input;
    struct partition *owner;
    u16 status = find(c, in->partition, &owner);
    return status == HV_SUCCESS ? port_delete(owner, in->id) : status;
}

u16 hc_connect_port(const struct hypercall *c)
{
    const struct hv_connect_port_input *in = c->input;
    struct partition *owner;
    struct partition *sender;
    u16 status = find(c, in->owner, &owner);
    if (status == HV_SUCCESS) {
        status = find(c, in->sender, &sender);
    }
    return status == HV_SUCCESS ? connection_make(sender, in->connection, owner, in->port, in->kind) : status;
}

u16 hc_disconnect_port(const struct hypercall *c)
{
    const struct hv_port_input *in = c->input;
    struct partition *sender;
    u16 status = find(c, in->partition, &sender);
    return status == HV_SUCCESS ? connection_drop(sender, in->id) : status;
}

u16 hc_post_message(const struct hypercall *c)
{
    const struct hv_post_input *in = c->input;
    return connection_post(c->vp, in->connection, in->type, in->payload, in->size);
}

u16 hc_signal_event(const struct hypercall *c)
{
    const struct hv_signal_input *in = c->input;
    return connection_signal(c->vp, in->connection, in->flag);
}
