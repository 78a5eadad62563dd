/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Devices that kvm-unit-tests look for, for children made with --devices test: QEMU's exit port at F4, the number of processors and the
 * memory's size from its firmware configuration at 510 and 511, and at 3000 its device for tests of the SynIC, which makes routes,
 * message connections and event connections between a child and itself. The TLFS has no loopback: the child is connected to ports of ours, and
 * what comes there is sent on to a port of the child's. A message that the child has no buffer for is lost. */
#include "abi/hyperv/msr.h"
#include "abi/hyperv/partition.h"
#include "guests/root/root.h"

#define PORT_EXIT 0xf4u
#define PORT_SELECT 0x510u
#define PORT_DATA 0x511u
#define PORT_SYNIC 0x3000u
#define ITEM_RAM_BYTES 3u
#define ITEM_PROCESSORS 5u

enum synic_control { ROUTE_CREATE = 1, ROUTE_DESTROY, ROUTE_SET, MESSAGE_CREATE, MESSAGE_DESTROY, EVENT_CREATE, EVENT_DESTROY };

#define KIND_MESSAGE 1u
#define KIND_EVENT 2u
#define WAYS 256u /* connection numbers have 8 bits */
#define WAY_BASE 0x200u /* our ports and connections for them */

/* By the connection's number, of the one child that has these devices. */
static struct way {
    u8 kind, sint, vp;
} ways[WAYS];
static struct vm *owner;
static u16 routed; /* flags of the next signals, so that each is new */
static u16 make_port(u64 port_owner, u32 port, u32 kind, u32 sint, u32 vp, u16 flag, u64 sender, u32 connection)
{
    *(struct hv_create_port_input *)(void *)hypercall_input = (struct hv_create_port_input){
        .owner = port_owner,
        .port = port,
        .sender = sender,
        .info = {.kind = kind, .sint = sint, .vp = vp, .flag_base = flag, .flag_count = kind == KIND_EVENT},
    };
    u16 status = hypercall(HV_CALL_CreatePort);
    if (status == HV_SUCCESS) {
        *(struct hv_connect_port_input *)(void *)hypercall_input =
            (struct hv_connect_port_input){.sender = sender, .connection = connection, .owner = port_owner, .port = port, .kind = kind};
        status = hypercall(HV_CALL_ConnectPort);
    }
    return status;
}

static void drop(enum hv_call_code call, u64 partition, u32 id)
{
    *(struct hv_port_input *)(void *)hypercall_input = (struct hv_port_input){partition, id, 0};
    (void)hypercall(call);
}

static void way_destroy(u32 number)
{
    drop(HV_CALL_DeletePort, HV_PARTITION_SELF, WAY_BASE + number);
    drop(HV_CALL_DeletePort, owner->partition, number);
    drop(HV_CALL_DisconnectPort, owner->partition, number);
    drop(HV_CALL_DisconnectPort, HV_PARTITION_SELF, WAY_BASE + number);
    ways[number].kind = 0;
}

static void way_create(u32 number, u32 kind, u32 vp, u32 sint)
{
    u32 id = WAY_BASE + number;
    u16 there = make_port(HV_PARTITION_SELF, id, kind, TEST_SINT, 0, (u16)number, owner->partition, number);
    u16 back = make_port(owner->partition, number, kind, sint, vp, (u16)number, HV_PARTITION_SELF, id);
    ways[number] = (struct way){(u8)kind, (u8)sint, (u8)vp};
    if (there != HV_SUCCESS || back != HV_SUCCESS) {
        print("root: %s: connection %u: %s, %s\n", owner->name, number, status_name(there), status_name(back));
    }
}

static void synic_write(struct vm *vm, u32 value)
{
    u32 sint = value & 0xff;
    u32 vp = value >> 8 & 0xff;
    u32 number = value >> 24;
    owner = vm;
    switch ((enum synic_control)(value >> 16 & 0xff)) {
    case ROUTE_CREATE: /* the source is the child's own to set up */
    case ROUTE_DESTROY:
        break;
    case ROUTE_SET:
        *(struct hv_signal_direct_input *)(void *)hypercall_input = (struct hv_signal_direct_input){
            .partition = vm->partition, .vp = vp, .sint = (u8)sint, .flag = routed++ % HV_EVENT_FLAGS};
        (void)hypercall(HV_CALL_SignalEventDirect);
        break;
    case MESSAGE_CREATE:
        way_create(number, KIND_MESSAGE, vp, sint);
        break;
    case EVENT_CREATE:
        way_create(number, KIND_EVENT, vp, sint);
        break;
    case MESSAGE_DESTROY:
    case EVENT_DESTROY:
        way_destroy(number);
        break;
    }
}

u64 test_device_read(struct vm *vm, u16 port)
{
    if (port != PORT_DATA) {
        return 0xffffffff;
    }
    u64 item = vm->test_item == ITEM_PROCESSORS ? vm->vps : (vm->test_item == ITEM_RAM_BYTES ? vm->memory : 0);
    u32 at = vm->test_offset++;
    return at < 8 ? item >> (8 * at) & 0xff : 0;
}

bool test_device_write(struct vm *vm, u16 port, u64 value)
{
    if (port == PORT_SELECT) {
        vm->test_item = (u16)value;
        vm->test_offset = 0;
    } else if (port == PORT_SYNIC) {
        synic_write(vm, (u32)value);
    } else if (port == PORT_EXIT) {
        vm->test_status = (u32)value << 1 | 1; /* as QEMU's own exit status would be */
        return false;
    }
    return true;
}

void test_device_ended(struct vm *vm)
{
    for (u32 i = 0; owner == vm && i < WAYS; i++) {
        if (ways[i].kind != 0) {
            way_destroy(i);
        }
    }
    owner = owner == vm ? NULL : owner;
}

void test_device_message(const struct hv_message *m)
{
    u32 number = (u32)m->sender - WAY_BASE;
    if (owner == NULL || number >= WAYS || ways[number].kind != KIND_MESSAGE) {
        return;
    }
    struct hv_post_input *in = (void *)hypercall_input;
    *in = (struct hv_post_input){.connection = WAY_BASE + number, .type = m->type, .size = m->size};
    memcpy(in->payload, m->payload, m->size);
    (void)hypercall(HV_CALL_PostMessage);
}

void test_device_events(void)
{
    u64 *words = (u64 *)(void *)(event_page + 256 * TEST_SINT);
    for (u32 w = 0; w < WAYS / 64; w++) {
        u64 set = __atomic_exchange_n(&words[w], 0, __ATOMIC_SEQ_CST);
        for (u32 bit = 0; bit < 64; bit++) {
            if ((set >> bit & 1) != 0) {
                *(struct hv_signal_input *)(void *)hypercall_input =
                    (struct hv_signal_input){.connection = WAY_BASE + 64 * w + bit};
                (void)hypercall(HV_CALL_SignalEvent);
            }
        }
    }
}
