/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small bus of the parent's for the adapter on the host: two disks on one controller, a network that sends back what comes. */
#ifndef VITRINE_TESTS_FUZZ_ADAPTER_BUS_H
#define VITRINE_TESTS_FUZZ_ADAPTER_BUS_H

#include "abi/hyperv/netvsp.h"
#include "abi/hyperv/storvsp.h"
#include "abi/hyperv/vmbus.h"
#include "guests/adapter/netvsc.h"
#include "guests/adapter/scsi.h"

#include <stdio.h>
#include <stdlib.h>

#define SECTORS 256u
#define DISKS 2u
#define CHECK(x) \
    do { \
        if (!(x)) { \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
            abort(); \
        } \
    } while (0)

static u8 messages[64][240];
static u32 message_sizes[64], message_head, message_tail;
static u32 flags[64];
static u8 medium[DISKS][SECTORS * 512];
static bool fail_next; /* the disk's next command */

struct host_channel {
    bool offered, open;
    u8 *ring; /* the client's, contiguous */
    u8 *receive, *send; /* shared buffers of a network */
    u32 shares;
} host[3]; /* by relid; 0 is none */
#define STORAGE 1u
#define NETWORK 2u
#define HOST_RING (RING_PAGES << 12)

static void say(const void *m, u32 size)
{
    CHECK(message_head - message_tail < ARRAY_LEN(messages));
    memset(messages[message_head % 64], 0, 240);
    memcpy(messages[message_head % 64], m, size);
    message_sizes[message_head++ % 64] = size;
}

bool hv_receive_from(u32 sint, u8 m[240], u32 *size)
{
    if (sint != VMBUS_SINT || message_tail == message_head) {
        return false;
    }
    memcpy(m, messages[message_tail % 64], 240);
    *size = message_sizes[message_tail++ % 64];
    return true;
}

void hv_take_events(u32 sint, u32 *words, u32 count)
{
    (void)sint;
    memcpy(words, flags, 4ull * count);
    memset(flags, 0, sizeof flags);
}

static void offer(u32 relid)
{
    u8 m[196] = {1};
    static const struct vmbus_guid storage = STORVSP_INTERFACE, network = NETVSP_INTERFACE;
    memcpy(m + 8, relid == STORAGE ? storage.bytes : network.bytes, 16);
    m[184] = (u8)relid;
    m[192] = (u8)relid;
    say(m, sizeof m);
    host[relid] = (struct host_channel){.offered = true};
}

u16 hv_post_to(u32 connection, u32 type, const void *data, u32 size)
{
    const u8 *m = data;
    u32 w[10] = {0};
    CHECK(connection == 4 && type == 1);
    memcpy(w, m, size < sizeof w ? size : sizeof w);
    struct host_channel *c = &host[w[2] < 3 ? w[2] : 0];
    if (w[0] == 14) {
        const u32 answer[4] = {15, 0, 1, 4};
        say(answer, sizeof answer);
    } else if (w[0] == 3) {
        offer(STORAGE);
        offer(NETWORK);
        say((const u32[2]){4}, 8);
    } else if (w[0] == 8) {
        u64 pfn;
        memcpy(&pfn, m + 28, 8);
        u8 *at = at_address(pfn << 12);
        if (c->ring == NULL) {
            c->ring = at;
        } else if (c->receive == NULL) {
            c->receive = at;
        } else {
            c->send = at;
        }
        const u32 answer[5] = {10, 0, w[2], w[3], 0};
        say(answer, sizeof answer);
    } else if (w[0] == 5) {
        const u32 answer[5] = {6, 0, w[2], w[3], 0};
        CHECK(w[6] == RING_PAGES + 1);
        c->open = true;
        say(answer, sizeof answer);
    } else if (w[0] == 7) {
        c->open = false;
    } else if (w[0] == 11) {
        const u32 answer[3] = {12, 0, w[3]};
        say(answer, sizeof answer);
    } else if (w[0] == 13) {
        *c = (struct host_channel){0};
    }
    return 0;
}

static void ring_get(const u8 *ring, u32 at, void *to, u32 size)
{
    for (u32 i = 0; i < size; i++) {
        ((u8 *)to)[i] = ring[4096 + (at + i) % HOST_RING];
    }
}

static void answer_with(struct host_channel *c, u16 type, u64 transaction, const void *extra, u32 extra_size, const void *data, u32 size)
{
    u8 *ring = c->ring + 4096 + HOST_RING;
    u32 *control = (u32 *)(void *)ring;
    u8 packet[256] = {0};
    u32 head = 16 + extra_size;
    u32 total = (head + size + 7) & ~7u;
    const u16 d[4] = {type, (u16)(head / 8), (u16)(total / 8), 0};
    memcpy(packet, d, 8);
    memcpy(packet + 8, &transaction, 8);
    if (extra_size != 0) {
        memcpy(packet + 16, extra, extra_size);
    }
    memcpy(packet + head, data, size);
    for (u32 i = 0; i < total + 8; i++) {
        ring[4096 + (control[0] + i) % HOST_RING] = i < total ? packet[i] : 0;
    }
    control[0] = (control[0] + total + 8) % HOST_RING;
    flags[0] |= 1u << (c - host);
}

static void scsi(const u8 *p, u8 *answer, u8 *data, u32 size)
{
    const u8 *srb = p + 12;
    const u8 *cdb = srb + 16;
    u32 lun = srb[7];
    u8 reply[64] = {0};
    u64 first = 0;
    u32 count = (u32)cdb[12] << 8 | cdb[13];
    for (u32 i = 0; i < 8; i++) {
        first = first << 8 | cdb[2 + i];
    }
    memcpy(answer, p, 64);
    answer[0] = 1;
    answer[12 + 2] = 1;
    if (cdb[0] == 0xa0) {
        reply[3] = srb[6] == 0 ? 8 * DISKS : 0;
        for (u32 i = 0; i < DISKS; i++) {
            reply[8 + 8 * i + 1] = (u8)i;
        }
    } else if (cdb[0] == 0x9e) {
        reply[6] = (SECTORS - 1) >> 8;
        reply[7] = (SECTORS - 1) & 0xff;
        reply[10] = 2;
        reply[14] = lun == 1 ? 0x80 : 0;
    } else if (cdb[0] == 0x88 || cdb[0] == 0x8a) {
        CHECK(lun < DISKS && first <= SECTORS && count <= SECTORS - first && size == count * 512);
        if (fail_next) {
            answer[12 + 2] = 4;
        } else if (cdb[0] == 0x88) {
            memcpy(data, medium[lun] + first * 512, size);
        } else {
            memcpy(medium[lun] + first * 512, data, size);
        }
        fail_next = false;
        return;
    }
    if (size != 0 && srb[10] == 1) {
        memcpy(data, reply, size < sizeof reply ? size : sizeof reply);
    }
}

static void storage_packet(struct host_channel *c, const u8 *packet, u32 head, u64 transaction)
{
    static u8 data[64 << 10];
    u8 answer[64] = {1};
    const u8 *p = packet + head;
    u32 size = 0;
    u64 pfn[16];
    if (p[0] != 3) {
        answer_with(c, 11, transaction, NULL, 0, answer, 64);
        return;
    }
    if (packet[0] == 9) {
        memcpy(&size, packet + 24, 4);
        CHECK(size <= sizeof data && (size + 4095) / 4096 <= 16);
        memcpy(pfn, packet + 32, 8ull * ((size + 4095) / 4096));
    }
    for (u32 at = 0; at < size; at += 4096) {
        memcpy(data + at, at_address(pfn[at / 4096] << 12), size - at < 4096 ? size - at : 4096);
    }
    scsi(p, answer, data, size);
    for (u32 at = 0; at < size; at += 4096) {
        memcpy(at_address(pfn[at / 4096] << 12), data + at, size - at < 4096 ? size - at : 4096);
    }
    answer_with(c, 11, transaction, NULL, 0, answer, 64);
}

static void give(struct host_channel *c, const void *rndis, u32 size)
{
    const u32 extra[4] = {0xcafe, 1, size, 0};
    u32 m[10] = {107};
    memcpy(c->receive, rndis, size);
    answer_with(c, 7, 99, extra, sizeof extra, m, sizeof m);
}

static void control_message(struct host_channel *c, const u32 *m)
{
    u32 answer[16] = {m[0] | 0x80000000u, 24, m[2], 0};
    if (m[0] == 2) {
        answer[1] = 52;
    } else if (m[0] == 4) {
        answer[1] = 32;
        answer[4] = m[3] == 0x01010101 ? 6 : 4;
        answer[5] = 16;
        memcpy(&answer[6], m[3] == 0x01010101 ? "\x02VITRI" : "\0\0\0\0\0", 6);
    }
    give(c, answer, answer[1]);
}

static void network_packet(struct host_channel *c, const u8 *packet, u32 head, u64 transaction)
{
    u32 m[10];
    memcpy(m, packet + head, sizeof m);
    const u32 ok[10] = {m[0] + 1, m[0] == 1 ? m[1] : 1, m[0] == 104 ? 6144 : 1, 1};
    if (packet[0] == 11 || m[0] == 125 || m[0] == 100) {
        return;
    }
    answer_with(c, 11, transaction, NULL, 0, ok, sizeof ok);
    if (m[0] != 107) {
        return;
    }
    if (m[1] == 1) {
        u64 pfn;
        memcpy(&pfn, packet + 32, 8);
        control_message(c, at_address(pfn << 12));
    } else {
        CHECK(m[2] < 10 && m[3] <= 44 + FRAME_MAX);
        give(c, c->send + 6144ull * m[2], m[3]); /* what is sent comes back */
    }
}

static void serve_host(void)
{
    for (u32 relid = 1; relid < 3; relid++) {
        struct host_channel *c = &host[relid];
        u32 *control = (u32 *)(void *)c->ring;
        while (c->open && control[0] != control[1]) {
            u8 packet[512] = {0};
            u16 d[4];
            u64 transaction;
            ring_get(c->ring, control[1], d, 8);
            CHECK(8u * d[2] <= sizeof packet && d[1] <= d[2]);
            ring_get(c->ring, control[1], packet, 8u * d[2]);
            memcpy(&transaction, packet + 8, 8);
            control[1] = (control[1] + 8u * d[2] + 8) % HOST_RING;
            if (relid == STORAGE) {
                storage_packet(c, packet, 8u * d[1], transaction);
            } else {
                network_packet(c, packet, 8u * d[1], transaction);
            }
        }
    }
}

u16 hv_signal(u32 connection)
{
    (void)connection;
    return 0;
}

static void settle(void)
{
    do {
        serve_host();
        vmbus_poll();
        serve_host();
    } while (message_head != message_tail || flags[0] != 0);
}

#endif
