/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the bus needs of the hypervisor: ports and connections, messages, signals, pages that are lent. */
#include "abi/hyperv/partition.h"
#include "guests/root/vmbus/vmbus.h"

#define KIND_MESSAGE 1u
#define KIND_EVENT 2u
#define PORT_BASE 0x1000u  /* two for each child: the old connection, the newer one */
#define PORT_ANSWERS 0x10u /* the child's */
#define WAY_ANSWERS 0x1100u
#define PORT_EVENTS 0x2000u
#define EVENT_SPAN 64u /* flags of a child */
#define LEND_LIST 400u
#define MORE_PAGES 16u

static u32 number_of(const struct bus *b) { return (u32)(b - buses); }

static u16 create_port(u64 owner, u32 port, u8 vtl, u8 minimum_vtl, u64 sender, struct hv_port_info info)
{
    *(struct hv_create_port_input *)(void *)hypercall_input = (struct hv_create_port_input){
        .owner = owner, .port = port, .vtl = vtl, .minimum_vtl = minimum_vtl, .sender = sender, .info = info};
    return hypercall(HV_CALL_CreatePort);
}

static u16 connect_port(u64 sender, u32 connection, u8 vtl, u64 owner, u32 port, u32 kind)
{
    *(struct hv_connect_port_input *)(void *)hypercall_input = (struct hv_connect_port_input){
        .sender = sender, .connection = connection, .vtl = vtl, .owner = owner, .port = port, .kind = kind};
    return hypercall(HV_CALL_ConnectPort);
}

static void drop(enum hv_call_code call, u64 partition, u32 id)
{
    *(struct hv_port_input *)(void *)hypercall_input = (struct hv_port_input){partition, id, 0};
    (void)hypercall(call);
}

/* A child with VTL 2 has its bus there; its connection 1 is the adapter's. */
bool host_connect(struct bus *b)
{
    const struct hv_port_info info = {.kind = KIND_MESSAGE, .sint = VMBUS_ROOT_SINT, .vp = 0};
    u64 child = b->vm->partition;
    bool ok = true;
    for (u32 i = b->vtl != 0 ? 1 : 0; i < 2; i++) {
        u32 port = PORT_BASE + 2 * number_of(b) + i;
        u32 connection = i == 0 ? VMBUS_CONNECTION : VMBUS_CONNECTION_MULTI;
        ok = ok && create_port(HV_PARTITION_SELF, port, 0, b->vtl, child, info) == HV_SUCCESS &&
             connect_port(child, connection, b->vtl, HV_PARTITION_SELF, port, KIND_MESSAGE) == HV_SUCCESS;
    }
    return ok;
}

void host_disconnect(struct bus *b)
{
    drop(HV_CALL_DeletePort, HV_PARTITION_SELF, PORT_BASE + 2 * number_of(b));
    drop(HV_CALL_DeletePort, HV_PARTITION_SELF, PORT_BASE + 2 * number_of(b) + 1);
    drop(HV_CALL_DeletePort, b->vm->partition, PORT_ANSWERS);
    drop(HV_CALL_DisconnectPort, HV_PARTITION_SELF, WAY_ANSWERS + number_of(b));
}

bool host_answer_to(struct bus *b, u32 vp, u32 sint)
{
    const struct hv_port_info info = {.kind = KIND_MESSAGE, .sint = sint, .vp = vp};
    drop(HV_CALL_DeletePort, b->vm->partition, PORT_ANSWERS);
    drop(HV_CALL_DisconnectPort, HV_PARTITION_SELF, WAY_ANSWERS + number_of(b));
    return create_port(b->vm->partition, PORT_ANSWERS, b->vtl, 0, HV_PARTITION_SELF, info) == HV_SUCCESS &&
           connect_port(HV_PARTITION_SELF, WAY_ANSWERS + number_of(b), 0, b->vm->partition, PORT_ANSWERS, KIND_MESSAGE) ==
               HV_SUCCESS;
}

bool host_post(struct bus *b, const void *payload, u32 bytes)
{
    struct hv_post_input *in = (void *)hypercall_input;
    *in = (struct hv_post_input){.connection = WAY_ANSWERS + number_of(b), .type = VMBUS_MESSAGE_TYPE, .size = bytes};
    memcpy(in->payload, payload, bytes);
    u16 status = hypercall(HV_CALL_PostMessage);
    return status != HV_INSUFFICIENT_BUFFERS && status != HV_INVALID_SYNIC_STATE;
}

static u32 slot_of(const struct channel *c) { return (u32)(c - c->bus->channels); }
u32 host_connection(const struct channel *c) { return PORT_EVENTS + c->relid; }
static u32 event_of(const struct channel *c) { return EVENT_SPAN * number_of(c->bus) + slot_of(c); }

bool host_open(struct channel *c)
{
    const struct hv_port_info info = {
        .kind = KIND_EVENT, .sint = VMBUS_ROOT_SINT, .vp = 0, .flag_base = (u16)event_of(c), .flag_count = 1};
    u64 child = c->bus->vm->partition;
    return create_port(HV_PARTITION_SELF, PORT_EVENTS + event_of(c), 0, c->bus->vtl, child, info) == HV_SUCCESS &&
           connect_port(child, host_connection(c), c->bus->vtl, HV_PARTITION_SELF, PORT_EVENTS + event_of(c), KIND_EVENT) ==
               HV_SUCCESS;
}

void host_close(struct channel *c)
{
    drop(HV_CALL_DeletePort, HV_PARTITION_SELF, PORT_EVENTS + event_of(c));
    drop(HV_CALL_DisconnectPort, c->bus->vm->partition, host_connection(c));
}

void host_signal(struct channel *c)
{
    c->signals++;
    if (c->vp == VMBUS_VP_NONE) {
        return;
    }
    *(struct hv_signal_direct_input *)(void *)hypercall_input = (struct hv_signal_direct_input){
        .partition = c->bus->vm->partition, .vp = c->vp, .vtl = c->bus->vtl, .sint = VMBUS_SINT, .flag = (u16)c->relid};
    (void)hypercall(HV_CALL_SignalEventDirect);
}

static u16 lend_call(struct bus *b, enum hv_call_code call, u32 channel, u8 rights, const u64 *gfn, u32 count, u32 *done)
{
    struct hv_lend_input *in = (void *)hypercall_input;
    *in = (struct hv_lend_input){.partition = b->vm->partition, .channel = channel, .rights = rights};
    memcpy(in + 1, gfn, count * sizeof gfn[0]);
    return hypercall_rep(call, count, done);
}

void host_return(struct bus *b, u32 channel, u8 rights, const u64 *gfn, u32 count)
{
    for (u32 at = 0, done; at < count; at += done) {
        u32 n = (u32)min_u64(count - at, LEND_LIST);
        if (lend_call(b, HV_CALL_ReturnGpaPages, channel, rights, gfn + at, n, &done) != HV_SUCCESS) {
            die("%s: page %lx is not lent", b->vm->name, gfn[at + done]); /* our own mistake */
        }
    }
}

/* hv keeps its records in the child's deposit, which grows with them. */
bool host_lend(struct bus *b, u32 channel, u8 rights, const u64 *gfn, u32 *pfn, u32 count)
{
    u32 at = 0;
    while (at < count) {
        u32 n = (u32)min_u64(count - at, LEND_LIST);
        u32 done = 0;
        u16 status = lend_call(b, HV_CALL_LendGpaPages, channel, rights, gfn + at, n, &done);
        for (u32 i = 0; pfn != NULL && i < done; i++) {
            pfn[at + i] = (u32)((u64 *)(void *)hypercall_output)[i];
        }
        at += done;
        if (status == HV_INSUFFICIENT_MEMORY && vm_deposit(b->vm, MORE_PAGES)) {
            continue;
        }
        if (status != HV_SUCCESS) {
            if (rights != 0) {
                host_return(b, channel, rights, gfn, at);
            }
            return false;
        }
    }
    return true;
}

void host_events(void (*signalled)(struct channel *c))
{
    u64 *words = (u64 *)(void *)(event_page + 256 * VMBUS_ROOT_SINT);
    for (u32 w = 0; w < VM_MAX; w++) {
        u64 set = __atomic_exchange_n(&words[w], 0, __ATOMIC_SEQ_CST);
        for (u32 i = 0; set != 0 && i < BUS_CHANNELS; i++) {
            if ((set >> i & 1) != 0 && buses[w].channels[i].open) {
                signalled(&buses[w].channels[i]);
            }
        }
    }
}

void host_message(const struct hv_message *m)
{
    u64 number = m->sender - PORT_BASE;
    if (number < 2 * VM_MAX && m->type == VMBUS_MESSAGE_TYPE && buses[number / 2].used) {
        bus_message(&buses[number / 2], number % 2 == 0 ? VMBUS_CONNECTION : VMBUS_CONNECTION_MULTI, m->payload, m->size);
    }
}
