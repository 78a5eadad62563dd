/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports, connections, messages, signals. */
#include "hv/core/string.h"
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

u16 hc_get_port_property(const struct hypercall *c)
{
    const struct hv_port_property_input *in = c->input;
    struct partition *owner;
    u16 status = find(c, in->partition, &owner);
    return status == HV_SUCCESS ? port_get_property(owner, in->port, in->code, c->output) : status;
}

u16 hc_set_port_property(const struct hypercall *c)
{
    const struct hv_port_property_input *in = c->input;
    struct partition *owner;
    u16 status = find(c, in->partition, &owner);
    return status == HV_SUCCESS ? port_set_property(owner, in->port, in->code, in->value) : status;
}

/* A VP of a child; or VTL 2 means its own guest. */
static u16 find_direct(const struct hypercall *c, u64 id, u32 index, u8 vtl, u8 sint, struct vp **out)
{
    struct partition *p = c->caller;
    bool own = c->vp->vtl == 2 && id == HV_PARTITION_SELF && vtl == 0;
    u16 status = own ? (u16)HV_SUCCESS : hc_find_active_child(c, id, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (sint >= HV_SINTS || (vtl != 0 && (vtl != 2 || !p->has_vtl2))) {
        return HV_INVALID_PARAMETER;
    }
    *out = index < VP_MAX ? p->vp[index] : NULL;
    if (*out == NULL) {
        return HV_INVALID_VP_INDEX;
    }
    *out = vtl != 0 ? (*out)->other : *out;
    return synic_accepts(*out) ? HV_SUCCESS : HV_INVALID_SYNIC_STATE;
}

u16 hc_signal_direct(const struct hypercall *c)
{
    const struct hv_signal_direct_input *in = c->input;
    struct vp *vp;
    u16 status = find_direct(c, in->partition, in->vp, in->vtl, in->sint, &vp);
    if (status == HV_SUCCESS && in->flag >= HV_EVENT_FLAGS) {
        status = HV_INVALID_PARAMETER;
    }
    bool fresh = false;
    if (status == HV_SUCCESS) {
        status = synic_signal(vp, in->sint, in->flag, &fresh);
    }
    *(u64 *)c->output = fresh;
    return status;
}

/* One of these at a time for each VP. */
u16 hc_post_direct(const struct hypercall *c)
{
    const struct hv_post_direct_input *in = c->input;
    struct hv_message m;
    struct vp *vp;
    u16 status = find_direct(c, in->partition, in->vp, in->vtl, in->sint, &vp);
    if (status != HV_SUCCESS) {
        return status;
    }
    memcpy(&m, in->message, sizeof m);
    if (m.type == HV_MESSAGE_NONE || m.size > HV_MESSAGE_PAYLOAD) {
        return HV_INVALID_PARAMETER;
    }
    if (vp->direct.busy) {
        return HV_INSUFFICIENT_BUFFERS;
    }
    vp->direct.message = m;
    synic_post(vp, in->sint, &vp->direct);
    return HV_SUCCESS;
}
