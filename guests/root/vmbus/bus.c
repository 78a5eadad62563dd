/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A bus for each child: its life, and what is done in a turn: control messages, signals, channels that have more, messages that wait. */
#include "guests/root/vmbus/vmbus.h"

struct bus buses[VM_MAX];

struct bus *bus_of(const struct vm *vm)
{
    struct bus *b = &buses[vm - vms];
    return b->used ? b : NULL;
}

void bus_note(struct bus *b, const char *text) { console_note(b->vm, text); }

bool bus_start(struct vm *vm)
{
    struct bus *b = &buses[vm - vms];
    u8(*queue)[HV_MESSAGE_PAYLOAD] = b->queue;
    if (queue == NULL) {
        queue = memory_take(BUS_QUEUE * sizeof queue[0]);
    }
    memset(b, 0, sizeof *b);
    b->queue = queue;
    b->vm = vm;
    b->vtl = vm->adapter != NULL ? 2 : 0;
    b->used = queue != NULL && host_connect(b);
    return b->used;
}

void bus_disconnect(struct bus *b)
{
    b->connected = b->requested = false;
    for (u32 i = 0; i < BUS_CHANNELS; i++) {
        struct channel *c = &b->channels[i];
        if (c->state == CHANNEL_OFFERED && c->primary == NULL) {
            channel_close(c);
            c->announced = false;
        }
    }
    for (u32 i = 0; i < BUS_CHANNELS; i++) {
        struct channel *c = &b->channels[i];
        if (c->state == CHANNEL_RESCINDED || (c->state == CHANNEL_OFFERED && c->primary != NULL)) {
            channel_free(c);
        }
    }
    for (u32 i = 0; i < BUS_GPADLS; i++) {
        if (b->gpadls[i].used) {
            gpadl_free(b, &b->gpadls[i]);
        }
    }
    b->head = b->tail = 0;
}

void bus_stop(struct vm *vm)
{
    struct bus *b = bus_of(vm);
    if (b == NULL) {
        return;
    }
    bus_disconnect(b);
    for (u32 i = 0; i < BUS_CHANNELS; i++) {
        if (b->channels[i].state != CHANNEL_FREE) {
            channel_free(&b->channels[i]);
        }
    }
    host_disconnect(b);
    b->used = false;
}

static bool flush(struct bus *b)
{
    bool sent = false;
    while (b->tail != b->head && host_post(b, b->queue[b->tail % BUS_QUEUE], b->sizes[b->tail % BUS_QUEUE])) {
        b->tail++;
        sent = true;
    }
    return sent;
}

/* A child that does not read what it asked for loses its connection. */
void bus_send(struct bus *b, const void *message, u32 bytes)
{
    if (b->head - b->tail == BUS_QUEUE) {
        if (b->connected) {
            bus_note(b, "VMBus: it does not read its messages; disconnected");
            bus_disconnect(b);
        }
        return;
    }
    memcpy(b->queue[b->head % BUS_QUEUE], message, bytes);
    b->sizes[b->head % BUS_QUEUE] = (u8)bytes;
    b->head++;
    (void)flush(b);
}

static void signalled(struct channel *c) { channel_run(c); }

bool bus_poll(void)
{
    bool busy = false;
    host_events(signalled);
    for (u32 i = 0; i < VM_MAX; i++) {
        struct bus *b = &buses[i];
        for (u32 n = 0; b->used && n < BUS_CHANNELS; n++) {
            struct channel *c = &b->channels[n];
            if (c->open && (c->again || c->full)) {
                u64 before = c->packets_in + c->packets_out;
                channel_run(c);
                busy = busy || (c->open && c->again && c->packets_in + c->packets_out != before);
            }
        }
        busy = (b->used && flush(b)) || busy;
    }
    return busy;
}
