/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the adapter in VTL 2 of a child asks of the root: messages by a port of ours. (abi/adapter_root.h) Everything in them is the
 * child's word: checked, and good for this child only. */
#include "abi/adapter_root.h"
#include "abi/hyperv/partition.h"
#include "guests/root/root.h"

#define PORT_KIND_MESSAGE 1u
#define PORT_BASE 0x100u
#define IO_FIRST 0xfec00u
#define IO_END 0x100000u
#define GFN_END (1ull << 27) /* 512 GiB */

static u32 port_of(const struct vm *vm) { return PORT_BASE + (u32)(vm - vms); }

/* A message port of `owner` in its level `vtl`, and the connection to it. */
static u16 make_way(u64 owner, u32 port, u8 vtl, u32 sint, u64 sender, u32 connection, u8 sender_vtl)
{
    *(struct hv_create_port_input *)(void *)hypercall_input = (struct hv_create_port_input){
        .owner = owner,
        .port = port,
        .vtl = vtl,
        .minimum_vtl = sender_vtl,
        .sender = sender,
        .info = {.kind = PORT_KIND_MESSAGE, .sint = sint, .vp = 0},
    };
    u16 status = hypercall(HV_CALL_CreatePort);
    if (status != HV_SUCCESS) {
        return status;
    }
    *(struct hv_connect_port_input *)(void *)hypercall_input =
        (struct hv_connect_port_input){.sender = sender,
                                       .connection = connection,
                                       .vtl = sender_vtl,
                                       .owner = owner,
                                       .port = port,
                                       .kind = PORT_KIND_MESSAGE};
    return hypercall(HV_CALL_ConnectPort);
}

u16 adapter_connect(struct vm *vm)
{
    u16 status = make_way(HV_PARTITION_SELF, port_of(vm), 0, ADAPTER_SINT, vm->partition, ADAPTER_CONNECTION, 2);
    if (status != HV_SUCCESS) {
        return status;
    }
    return make_way(vm->partition, ADAPTER_PORT, 2, ADAPTER_OWN_SINT, HV_PARTITION_SELF, port_of(vm), 0);
}

void adapter_disconnect(struct vm *vm)
{
    struct hv_port_input *in = (void *)hypercall_input;
    *in = (struct hv_port_input){HV_PARTITION_SELF, port_of(vm), 0};
    (void)hypercall(HV_CALL_DeletePort);
    *in = (struct hv_port_input){HV_PARTITION_SELF, port_of(vm), 0};
    (void)hypercall(HV_CALL_DisconnectPort);
}

static bool post(const struct vm *vm, const struct adapter_message *m)
{
    struct hv_post_input *in = (void *)hypercall_input;
    *in = (struct hv_post_input){.connection = port_of(vm), .type = ADAPTER_MESSAGE, .size = sizeof *m};
    memcpy(in->payload, m, sizeof *m);
    return hypercall(HV_CALL_PostMessage) == HV_SUCCESS;
}

bool adapter_control(struct vm *vm, u32 what)
{
    struct adapter_message m;
    memset(&m, 0, sizeof m);
    m.header = (struct adapter_header){.op = ADAPTER_CONTROL, .length = sizeof m.control};
    m.control.what = what;
    return post(vm, &m);
}

void adapter_flush_input(struct vm *vm)
{
    struct uart *u = &vm->uart;
    while (uart_has_input(u)) {
        struct adapter_message m;
        u32 n = 0;
        memset(&m, 0, sizeof m);
        m.console.stream = ADAPTER_STREAM_RING;
        while (n < sizeof m.console.bytes && u->tail + n != u->head) {
            m.console.bytes[n] = u->input[(u->tail + n) % UART_FIFO];
            n++;
        }
        m.header = (struct adapter_header){.op = ADAPTER_CONSOLE, .kind = ADAPTER_EVENT, .length = (u16)(n + 1)};
        if (!post(vm, &m)) {
            return; /* later */
        }
        u->tail += n;
    }
}

/* The answer goes to the boot block, which VTL 2 polls. */
static void answer(struct vm *vm, u32 sequence, u32 status)
{
    const u32 words[2] = {sequence, status};
    struct hv_gpa_input *in = (void *)hypercall_input;
    *in = (struct hv_gpa_input){.partition = vm->partition,
                                .vp = 0,
                                .count = sizeof words,
                                .gpa = ADAPTER_BOOT_AT + offsetof(struct adapter_boot, answer_sequence)};
    memcpy(in->data, words, sizeof words);
    (void)hypercall(HV_CALL_WriteGpa);
}

static u32 map_page(struct vm *vm, u64 gfn)
{
    bool device = gfn >= IO_FIRST && gfn < IO_END; /* where a PC has its APICs and its ROM */
    if (gfn < vm->memory >> PAGE_SHIFT || gfn >= GFN_END || device) {
        return ADAPTER_DENIED;
    }
    for (u32 i = 0; i < vm->extra_count; i++) {
        if (vm->extra_gfn[i] == gfn) {
            return ADAPTER_DENIED;
        }
    }
    u64 page = vm->extra_count < EXTRA_PAGES ? page_take() : 0;
    if (page == 0) {
        return ADAPTER_NO_MEMORY;
    }
    memset(at_address(page << PAGE_SHIFT), 0, PAGE_SIZE);
    struct hv_map_input *in = (void *)hypercall_input;
    *in = (struct hv_map_input){vm->partition, gfn, HV_MAP_ALL, 0};
    *(u64 *)(void *)(in + 1) = page;
    u32 done;
    u16 status = hypercall_rep(HV_CALL_MapGpaPages, 1, &done);
    if (status != HV_SUCCESS) {
        print("\nroot: %s: page %lx for the adapter: %s (%x)\n", vm->name, gfn, status_name(status), (u32)status);
        page_put(page);
        return ADAPTER_NO_MEMORY;
    }
    vm->extra_gfn[vm->extra_count] = gfn;
    vm->extra_page[vm->extra_count++] = page;
    return ADAPTER_DONE;
}

/* Bytes that could drive the operator's terminal are shown as dots; a line of the adapter's own log has its own mark already. */
static void show(struct vm *vm, u8 c)
{
    bool plain = (c >= ' ' && c < 0x7f) || c == '\n' || c == '\r' || c == '\t';
    if (c == '\n') {
        console_output(vm, '\r');
    }
    console_output(vm, plain ? c : '.');
}

static void power(struct vm *vm, u32 reason)
{
    static const char *const names[] = {"powered off", "rebooted", "suspended", "crashed"};
    console_vm_ended(vm, reason < ARRAY_LEN(names) ? names[reason] : "ended");
}

void adapter_message(const struct hv_message *message)
{
    struct adapter_message m;
    u32 index = (u32)message->sender - PORT_BASE;
    struct vm *vm = index < VM_MAX && vms[index].state == VM_RUNNING ? &vms[index] : NULL;
    if (vm == NULL || message->type != ADAPTER_MESSAGE || message->size != sizeof m) {
        return;
    }
    memcpy(&m, message->payload, sizeof m);
    vm->messages++;
    switch (m.header.op) {
    case ADAPTER_CONSOLE:
        vm->has_console = vm->has_console || m.console.stream == ADAPTER_STREAM_RING;
        for (u32 i = 1; i < m.header.length && i < ADAPTER_BODY; i++) {
            show(vm, m.console.bytes[i - 1]);
        }
        break;
    case ADAPTER_CONTROL:
        console_note(vm, "the guest shuts down");
        break;
    case ADAPTER_POWER:
        power(vm, m.power.reason);
        break;
    case ADAPTER_MAP:
        answer(vm, m.header.sequence, map_page(vm, m.map.gfn));
        break;
    default:
        answer(vm, m.header.sequence, ADAPTER_UNKNOWN);
        break;
    }
}
