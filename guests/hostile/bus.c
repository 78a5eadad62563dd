/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attacks by way of VMBus on what the root offers: control messages in any order, lists of pages that are its own and that are not, rings with
 * indices and packets of every kind, pages that change while they are used. */
#include "abi/hyperv/hypercall.h"
#include "abi/hyperv/msr.h"
#include "abi/hyperv/storvsp.h"
#include "abi/hyperv/vmbus.h"
#include "guests/hostile/hostile.h"

#define RING_PAGES 4u /* a control page and three of data, each way */
#define RELIDS 10u
#define GPFN_OUTSIDE 0x100000u

static u8 messages[4096] __attribute__((aligned(4096)));
static u8 events[4096] __attribute__((aligned(4096)));
static u8 rings[RELIDS][2 * RING_PAGES][4096] __attribute__((aligned(4096)));
static u8 data[16][4096] __attribute__((aligned(4096)));
static struct hv_post_input post_input __attribute__((aligned(4096)));
static u64 answers[32], opened, signals;
static u32 used[RELIDS]; /* packets since it was opened */

/* Messages of the root, as many as there are. */
static void listen(void)
{
    struct hv_message *slot = (struct hv_message *)(void *)messages + VMBUS_SINT;
    while (__atomic_load_n(&slot->type, __ATOMIC_SEQ_CST) != HV_MESSAGE_NONE) {
        u32 words[5];
        memcpy(words, slot->payload, sizeof words);
        answers[words[0] % ARRAY_LEN(answers)]++;
        opened += words[0] == VMBUS_OPENCHANNEL_RESULT && words[4] == 0 ? 1 : 0;
        __atomic_store_n(&slot->type, HV_MESSAGE_NONE, __ATOMIC_SEQ_CST);
        wrmsr(HV_MSR_EOM, 0);
    }
    memset(events + 256 * VMBUS_SINT, 0, 256);
}

static void post(const void *message, u32 bytes)
{
    memset(&post_input, 0, sizeof post_input);
    post_input.connection = any(50) == 0 ? VMBUS_CONNECTION : VMBUS_CONNECTION_MULTI;
    post_input.type = VMBUS_MESSAGE_TYPE;
    post_input.size = any(200) == 0 ? (u32)any(241) : bytes;
    memcpy(post_input.payload, message, bytes);
    for (u32 i = 0; i < 200; i++) { /* until there is a buffer */
        if ((u16)attack_raw(HV_CALL_PostMessage, address_of(&post_input), 0) != HV_INSUFFICIENT_BUFFERS) {
            break;
        }
        listen();
    }
    listen();
}

static void contact(void)
{
    static const u32 versions[] = {VMBUS_5_3, VMBUS_5_1, VMBUS_4_1, 0x70000};
    const struct vmbus_contact c = {.header = {VMBUS_INITIATE_CONTACT, 0},
                                    .version = any(4) != 0 ? VMBUS_5_3 : versions[any(ARRAY_LEN(versions))],
                                    .vp = any(20) == 0 ? (u32)any(0) : 0,
                                    .interrupt_page = any(20) == 0 ? any(0) : VMBUS_SINT};
    const struct vmbus_header offers = {VMBUS_REQUESTOFFERS, 0};
    post(&c, sizeof c);
    post(&offers, sizeof offers);
}

static void open_channel(u32 relid)
{
    struct {
        struct vmbus_gpadl_header h;
        u8 pfns[26 * 8];
    } m;
    u32 pages = 2 * RING_PAGES;
    u8 *ring = rings[relid % RELIDS][0];
    memset(&m, 0, sizeof m);
    memset(ring, 0, pages * PAGE_SIZE);
    used[relid % RELIDS] = 0;
    m.h = (struct vmbus_gpadl_header){.header = {VMBUS_GPADL_HEADER, 0},
                                      .relid = relid,
                                      .gpadl = relid,
                                      .range_bytes = (u16)(8 + 8 * pages),
                                      .range_count = any(20) == 0 ? (u16)any(0) : 1,
                                      .byte_count = any(20) == 0 ? (u32)any(0) : pages * (u32)PAGE_SIZE};
    for (u32 i = 0; i < pages; i++) {
        u64 gfn = (address_of(ring) >> PAGE_SHIFT) + i;
        gfn = any(40) == 0 ? any(any(2) != 0 ? GPFN_OUTSIDE : 0) : gfn;
        memcpy(m.pfns + 8 * i, &gfn, 8);
    }
    post(&m, sizeof m.h + 8 * pages);
    const struct vmbus_open o = {.header = {VMBUS_OPENCHANNEL, 0},
                                 .relid = relid,
                                 .open_id = relid,
                                 .gpadl = relid,
                                 .vp = any(10) == 0 ? (u32)any(0) : 0,
                                 .downstream = any(10) == 0 ? (u32)any(10) : RING_PAGES};
    post(&o, sizeof o);
}

static void close_channel(u32 relid)
{
    const struct vmbus_relid c = {{any(4) == 0 ? VMBUS_RELID_RELEASED : VMBUS_CLOSECHANNEL, 0}, relid};
    const struct vmbus_gpadl_teardown t = {{VMBUS_GPADL_TEARDOWN, 0}, relid, relid};
    if (any(60) != 0) {
        post(&c, sizeof c);
    }
    post(&t, sizeof t);
}

static void write_packet(u32 relid)
{
    struct vmbus_ring_control *control = (void *)rings[relid % RELIDS][0];
    u8 *to = rings[relid % RELIDS][1];
    u32 size = (RING_PAGES - 1) * (u32)PAGE_SIZE;
    u8 packet[256];
    memset(packet, 0, sizeof packet);
    u32 pages = 1 + (u32)any(4);
    u32 at = 32 + 8 * pages;
    struct vmbus_descriptor d = {VMBUS_PACKET_GPA_DIRECT, (u16)(at / 8), (u16)((at + 64) / 8), VMBUS_PACKET_ASKS, any(40)};
    const u32 head[4] = {0, 1, any(100) == 0 ? (u32)any(0) : pages * (u32)PAGE_SIZE, any(40) == 0 ? (u32)any(8192) : 0};
    struct storvsp_packet s;
    memset(&s, 0, sizeof s);
    static const u8 order[] = {STORVSP_BEGIN_INITIALIZATION, STORVSP_QUERY_PROTOCOL_VERSION, STORVSP_END_INITIALIZATION};
    u32 step = used[relid % RELIDS]++;
    s.operation = step < ARRAY_LEN(order) ? order[step] : (any(10) != 0 ? STORVSP_EXECUTE_SRB : (u32)any(14));
    s.version.version = any(20) != 0 ? STORVSP_VERSION_WIN10 : (u16)any(0);
    if (s.operation == STORVSP_EXECUTE_SRB) {
        static const u8 codes[] = {0x28, 0x2a, 0x12, 0xa0, 0x25, 0x5a, 0x42, 0x35};
        s.srb = (struct storvsp_srb){.length = 52, .lun = (u8)any(3), .bytes = pages * (u32)PAGE_SIZE};
        s.srb.cdb[0] = any(10) == 0 ? (u8)any(0) : codes[any(sizeof codes)];
        s.srb.cdb[5] = (u8)any(64);
        s.srb.cdb[8] = any(10) == 0 ? (u8)any(0) : (u8)(8 * pages);
    }
    if (any(200) == 0) {
        d.type = (u16)any(16);
        d.offset = (u16)any(80);
        d.length = any(4) == 0 ? (u16)any(0) : (u16)any(80);
    }
    memcpy(packet, &d, sizeof d);
    memcpy(packet + 16, head, sizeof head);
    for (u32 i = 0; i < pages; i++) {
        u64 gfn = (address_of(data[any(16)])) >> PAGE_SHIFT;
        gfn = any(20) == 0 ? any(any(2) != 0 ? GPFN_OUTSIDE : 0) : gfn;
        memcpy(packet + 32 + 8 * i, &gfn, 8);
    }
    memcpy(packet + at, &s, sizeof s);
    u32 bytes = at + 64 + 8;
    u32 w = control->write % size & ~7u;
    for (u32 i = 0; i < bytes; i++) {
        to[(w + i) % size] = packet[i];
    }
    control->write = any(300) == 0 ? (u32)any(0) : (w + bytes) % size;
    control->pending = any(20) == 0 ? (u32)any(0) : 0;
    struct vmbus_ring_control *down = (void *)rings[relid % RELIDS][RING_PAGES];
    down->read = any(500) == 0 ? (u32)any(0) : down->write;
    (void)attack_raw(HV_CALL_SignalEvent | HV_CONTROL_FAST, 0x2000 + relid, 0);
    signals++;
}

static void any_message(void)
{
    u64 words[30];
    for (u32 i = 0; i < ARRAY_LEN(words); i++) {
        words[i] = any(2) != 0 ? any(12) : any(0);
    }
    words[0] = any(30);
    post(words, sizeof words);
}

void bus_attack(u64 count)
{
    attack_init();
    wrmsr(HV_MSR_SIMP, address_of(messages) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SIEFP, address_of(events) | HV_PAGE_MSR_ENABLE);
    wrmsr(HV_MSR_SINT0 + VMBUS_SINT, 0x40);
    wrmsr(HV_MSR_SCONTROL, 1);
    contact();
    for (u64 i = 0; i < count; i++) {
        u32 relid = 1 + (u32)any(RELIDS);
        u64 kind = any(100);
        if (kind < 80) {
            write_packet(relid);
        } else if (kind < 85) {
            open_channel(relid);
        } else if (kind < 87) {
            close_channel(relid);
        } else if (kind < 92) {
            any_message();
        } else if (kind < 93) {
            contact();
        } else {
            data[any(16)][any(4096)] = (u8)any(0);
        }
        listen();
    }
    print("hostile: %lu attacks by the bus, %lu signals, %lu channels opened, %lu offers, %lu rescinded\n", count, signals, opened,
          answers[VMBUS_OFFERCHANNEL], answers[VMBUS_RESCIND_OFFER]);
}
