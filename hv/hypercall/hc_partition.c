/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Life and properties of partitions, and the checks of partition ids that all handlers share. */
#include "abi/hyperv/vsm.h"
#include "hv/hypercall/hypercall.h"

u16 hc_find_partition(const struct hypercall *c, u64 id, struct partition **out)
{
    *out = id == HV_PARTITION_SELF ? c->caller : partition_by_id(id);
    if (*out == NULL) {
        return HV_INVALID_PARTITION_ID;
    }
    return *out == c->caller || (*out)->parent == c->caller ? HV_SUCCESS : HV_ACCESS_DENIED;
}

u16 hc_find_active_child(const struct hypercall *c, u64 id, struct partition **out)
{
    u16 status = hc_find_partition(c, id, out);
    if (status == HV_SUCCESS && *out == c->caller) {
        status = HV_ACCESS_DENIED;
    } else if (status == HV_SUCCESS && (*out)->state != HV_PARTITION_ACTIVE) {
        status = HV_INVALID_PARTITION_STATE;
    }
    return status;
}

/* VTL 2 and its own VP's lower level. */
static u16 find_lower(const struct hypercall *c, u32 index, u8 vtl, struct vp **out)
{
    struct vp *self = c->vp;
    if (self->vtl != 2 || (index != HV_VP_SELF && index != self->index)) {
        return HV_ACCESS_DENIED;
    }
    *out = vtl == HV_INPUT_VTL_USE ? self->other : self;
    return HV_SUCCESS;
}

u16 hc_find_vp(const struct hypercall *c, u64 id, u32 index, u8 vtl, struct vp **out)
{
    struct partition *p;
    if (id == HV_PARTITION_SELF || id == c->caller->id) {
        return find_lower(c, index, vtl, out);
    }
    u16 status = hc_find_active_child(c, id, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    *out = index < VP_MAX ? p->vp[index] : NULL;
    if (*out == NULL) {
        return HV_INVALID_VP_INDEX;
    }
    if (vtl == (HV_INPUT_VTL_USE | 2)) {
        *out = (*out)->other;
        if (*out == NULL) {
            return HV_INVALID_VTL_STATE;
        }
    }
    return (*out)->saved ? HV_SUCCESS : HV_INVALID_VP_STATE; /* it runs, or its registers are in a processor */
}

/* A child in one of the states that `states` has bits for. */
static u16 find_child_in(const struct hypercall *c, unsigned states, struct partition **out)
{
    const struct hv_partition_input *in = c->input;
    u16 status = hc_find_partition(c, in->partition, out);
    if (status == HV_SUCCESS && *out == c->caller) {
        return HV_ACCESS_DENIED;
    }
    if (status == HV_SUCCESS && (BIT((*out)->state) & states) == 0) {
        return HV_INVALID_PARTITION_STATE;
    }
    return status;
}

u16 hc_create_partition(const struct hypercall *c)
{
    const struct hv_create_partition_input *in = c->input;
    if (in->reserved != 0 || in->padding != 0) {
        return HV_INVALID_PARAMETER;
    }
    if (c->caller != root_partition) {
        return HV_PARTITION_TOO_DEEP; /* two levels */
    }
    struct partition *p = partition_create(c->caller);
    if (p == NULL) {
        return HV_INSUFFICIENT_MEMORY;
    }
    if ((in->flags & HV_CREATE_VTL2) != 0) {
        p->has_vtl2 = true;
        p->privileges = HV_PRIVILEGES_VTL2;
    }
    *(u64 *)c->output = p->id;
    return HV_SUCCESS;
}

u16 hc_initialize_partition(const struct hypercall *c)
{
    struct partition *p;
    u16 status = find_child_in(c, BIT(HV_PARTITION_UNINITIALIZED), &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (!partition_take_pages(p)) {
        return HV_INSUFFICIENT_MEMORY;
    }
    p->state = HV_PARTITION_ACTIVE;
    return HV_SUCCESS;
}

u16 hc_finalize_partition(const struct hypercall *c)
{
    struct partition *p;
    u16 status = find_child_in(c, BIT(HV_PARTITION_UNINITIALIZED) | BIT(HV_PARTITION_ACTIVE), &p);
    if (status == HV_SUCCESS && p->lend.open != 0) {
        status = HV_OBJECT_IN_USE; /* the parent's devices may be in the middle of it */
    }
    if (status == HV_SUCCESS) {
        partition_finalize(p);
    }
    return status;
}

u16 hc_delete_partition(const struct hypercall *c)
{
    struct partition *p;
    u16 status = find_child_in(c, BIT(HV_PARTITION_FINALIZED), &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (p->pool.available != 0) {
        return HV_OBJECT_IN_USE; /* withdraw first */
    }
    partition_delete(p);
    return HV_SUCCESS;
}

u16 hc_get_property(const struct hypercall *c)
{
    const struct hv_property_input *in = c->input;
    struct partition *p;
    u16 status = hc_find_partition(c, in->partition, &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    u64 *out = c->output;
    switch (in->code) {
    case HV_PROPERTY_PRIVILEGES:
        *out = p->privileges;
        return HV_SUCCESS;
    case HV_PROPERTY_REFERENCE_TIME:
        *out = partition_time(p);
        return HV_SUCCESS;
    case HV_PROPERTY_GUEST_OS_ID:
        *out = p->guest_os_id;
        return HV_SUCCESS;
    default:
        return HV_UNKNOWN_PROPERTY;
    }
}

u16 hc_set_property(const struct hypercall *c)
{
    const struct hv_property_input *in = c->input;
    struct partition *p;
    u16 status = find_child_in(c, BIT(HV_PARTITION_UNINITIALIZED), &p);
    if (status != HV_SUCCESS) {
        return status;
    }
    if (in->code != HV_PROPERTY_PRIVILEGES) {
        return HV_UNKNOWN_PROPERTY;
    }
    if ((in->value & ~(u64)(HV_PRIVILEGES_CHILD | HV_PRIVILEGE_CREATE_PARTITIONS)) != 0) {
        return HV_PROPERTY_VALUE_OUT_OF_RANGE; /* what makes a root is not to be given away */
    }
    p->privileges = in->value;
    return HV_SUCCESS;
}

u16 hc_get_partition_id(const struct hypercall *c)
{
    *(u64 *)c->output = c->caller->id;
    return HV_SUCCESS;
}

u16 hc_next_child(const struct hypercall *c)
{
    const struct hv_next_child_input *in = c->input;
    struct partition *parent;
    u16 status = hc_find_partition(c, in->parent, &parent);
    u64 best = 0;
    for (u16 i = 0; i < PARTITION_MAX && status == HV_SUCCESS; i++) {
        const struct partition *p = partition_at(i);
        if (p != NULL && p->parent == parent && p->id > in->previous && (best == 0 || p->id < best)) {
            best = p->id;
        }
    }
    *(u64 *)c->output = best;
    return status;
}
