/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network channels: NVSP and RNDIS from the client's side. [reference: Linux netvsc, rndis_filter] Frames go through two shared buffers of the
 * adapter's. Left out: offloads, subchannels, virtual functions, more than one control message at a time. */
#include "guests/adapter/netvsc.h"

#define NICS 3u
#define RECEIVE_PAGES 32u
#define SEND_PAGES 16u
#define RECEIVE_ID 0xcafeu
#define NVSP_BYTES 40u
#define SUCCESS 1u
#define CONTROL (1ull << 32) /* transactions that are no section */
#define RNDIS_HEADER 44u
#define SECTIONS_MAX 64u

enum nvsp {
    NVSP_INIT = 1,
    NVSP_NDIS_VERSION = 100,
    NVSP_RECEIVE_BUFFER = 101,
    NVSP_SEND_BUFFER = 104,
    NVSP_PACKET = 107,
    NVSP_PACKET_COMPLETE = 108,
    NVSP_NDIS_CONFIG = 125,
};
enum rndis {
    RNDIS_PACKET = 1,
    RNDIS_INITIALIZE = 2,
    RNDIS_QUERY = 4,
    RNDIS_SET = 5,
    RNDIS_STATUS = 7,
    RNDIS_ANSWER = (int)0x80000000u,
};
#define OID_MAC 0x01010101u
#define OID_LINK 0x00010114u
#define OID_FILTER 0x0001010eu
#define FILTER 0x0du /* to it, to all, to groups */
#define STATUS_CONNECT 0x4001000bu
#define STATUS_DISCONNECT 0x4001000cu

/* What is waited for, in order. */
enum step { STEP_INIT, STEP_RECEIVE, STEP_SEND, STEP_INITIALIZE, STEP_MAC, STEP_LINK, STEP_FILTER, STEP_READY, STEP_FAILED };

struct adapter {
    struct nic nic; /* first */
    enum step step;
    u32 version, section_size, sections;
    u64 busy; /* bits: sections */
    u8 receive[RECEIVE_PAGES << PAGE_SHIFT] __attribute__((aligned(4096)));
    u8 send[SEND_PAGES << PAGE_SHIFT] __attribute__((aligned(4096)));
    u8 control[4096] __attribute__((aligned(4096)));
};

static struct adapter adapters[NICS];
static const u32 versions[] = {0x60001, 0x60000, 0x50000, 0x40000, 0x30002, 2};

static void fail(struct adapter *a)
{
    adapter_log("adapter: a network adapter refuses step %x\n", (u32)a->step);
    a->step = STEP_FAILED;
}

static void nvsp(struct adapter *a, u32 type, u32 one, u32 two, u32 three, bool answered)
{
    u32 m[NVSP_BYTES / 4] = {type, one, two, three};
    if (!vmbus_send(a->nic.channel, PACKET_IN_BAND, answered ? PACKET_WANTS_COMPLETION : 0, CONTROL, m, sizeof m, NULL, 0)) {
        fail(a);
    }
}

/* A control message of RNDIS: its words behind type and length. */
static void rndis(struct adapter *a, enum step step, u32 type, const u32 *words, u32 count)
{
    u32 *m = (u32 *)(void *)a->control;
    const u32 head[NVSP_BYTES / 4] = {NVSP_PACKET, 1, 0xffffffff, 0};
    const u64 page = address_of(a->control) >> PAGE_SHIFT;
    a->step = step;
    m[0] = type;
    m[1] = 8 + 4 * count;
    memcpy(m + 2, words, 4 * count);
    if (!vmbus_send(a->nic.channel, PACKET_GPA_DIRECT, PACKET_WANTS_COMPLETION, CONTROL, head, sizeof head, &page, m[1])) {
        fail(a);
    }
}

static void query(struct adapter *a, enum step step, u32 oid, u32 size)
{
    const u32 words[7] = {(u32)step, oid, size, 20, 0};
    rndis(a, step, RNDIS_QUERY, words, 5 + (size + 3) / 4);
}

static void try_version(struct adapter *a)
{
    a->step = STEP_INIT;
    nvsp(a, NVSP_INIT, versions[a->version], versions[a->version], 0, true);
}

static void receive_shared(struct channel *c, u32 gpadl, bool ok)
{
    struct adapter *a = c->owner;
    if (!ok) {
        fail(a);
        return;
    }
    nvsp(a, NVSP_RECEIVE_BUFFER, gpadl, RECEIVE_ID, 0, true);
}

static void send_shared(struct channel *c, u32 gpadl, bool ok)
{
    struct adapter *a = c->owner;
    if (!ok) {
        fail(a);
        return;
    }
    nvsp(a, NVSP_SEND_BUFFER, gpadl, 0, 0, true);
}

static void share(struct adapter *a, enum step step, const void *start, u32 pages, void (*created)(struct channel *c, u32 gpadl, bool ok))
{
    a->step = step;
    if (vmbus_share(a->nic.channel, start, pages, created) == 0) {
        fail(a);
    }
}

/* The answer to what NVSP asked. */
static void answered(struct adapter *a, const u32 *m)
{
    const u32 initialize[4] = {1, 1, 0, 0x4000};
    switch (a->step) {
    case STEP_INIT:
        if (m[3] != SUCCESS) {
            a->version++;
            if (a->version < ARRAY_LEN(versions)) {
                try_version(a);
            } else {
                fail(a);
            }
            return;
        }
        if (versions[a->version] > 2) {
            nvsp(a, NVSP_NDIS_CONFIG, 1514, 0, 0, false);
        }
        nvsp(a, NVSP_NDIS_VERSION, 6, versions[a->version] <= 0x40000 ? 1 : 30, 0, false);
        share(a, STEP_RECEIVE, a->receive, RECEIVE_PAGES, receive_shared);
        break;
    case STEP_RECEIVE:
        if (m[1] != SUCCESS) {
            fail(a);
            return;
        }
        share(a, STEP_SEND, a->send, SEND_PAGES, send_shared);
        break;
    case STEP_SEND:
        a->section_size = m[2];
        if (m[1] != SUCCESS || m[2] < RNDIS_HEADER + FRAME_MAX || m[2] > sizeof a->send) {
            fail(a);
            return;
        }
        a->sections = (u32)min_u64(sizeof a->send / m[2], SECTIONS_MAX);
        rndis(a, STEP_INITIALIZE, RNDIS_INITIALIZE, initialize, 4);
        break;
    default: /* of a control message: its answer comes by itself */
        break;
    }
}

/* Bodies begin behind type and length. */
static void control(struct adapter *a, u32 type, const u32 *body, u32 size)
{
    const u32 filter[6] = {STEP_FILTER, OID_FILTER, 4, 20, 0, FILTER};
    bool ok = size >= 8 && body[1] == 0;
    u32 length = size >= 16 ? body[2] : 0;
    u32 offset = size >= 16 ? body[3] : 0;
    const u8 *answer = offset <= size && length <= size - offset ? (const u8 *)body + offset : NULL;
    if (type == (RNDIS_INITIALIZE | 0x80000000u) && a->step == STEP_INITIALIZE && ok) {
        query(a, STEP_MAC, OID_MAC, 6);
    } else if (type == (RNDIS_QUERY | 0x80000000u) && a->step == STEP_MAC && ok && length == 6 && answer != NULL) {
        memcpy(a->nic.mac, answer, 6);
        query(a, STEP_LINK, OID_LINK, 4);
    } else if (type == (RNDIS_QUERY | 0x80000000u) && a->step == STEP_LINK && ok && length == 4 && answer != NULL) {
        u32 state;
        memcpy(&state, answer, 4);
        a->nic.up = state == 0;
        rndis(a, STEP_FILTER, RNDIS_SET, filter, 6);
    } else if (type == (RNDIS_SET | 0x80000000u) && a->step == STEP_FILTER && ok) {
        a->step = STEP_READY;
        vif_add(&a->nic);
    } else if (type == RNDIS_STATUS && size >= 4) {
        a->nic.up = body[0] == STATUS_CONNECT || (a->nic.up && body[0] != STATUS_DISCONNECT);
    } else if (a->step < STEP_READY) {
        fail(a);
    }
}

/* One message of RNDIS's in the receive buffer. It is the parent's to write; what it says is checked all the same. */
static void message(struct adapter *a, u64 transaction, const u8 *at, u32 size)
{
    static u32 copy[128];
    u32 head[4];
    if (size < 16) {
        return;
    }
    memcpy(head, at, sizeof head);
    if (head[0] != RNDIS_PACKET) {
        u32 n = (u32)min_u64(min_u64(size, head[1]), sizeof copy);
        memcpy(copy, at, n);
        control(a, head[0], copy + 2, n >= 8 ? n - 8 : 0);
    } else if (a->step == STEP_READY && head[2] <= size - 8 && head[3] <= size - 8 - head[2]) {
        vif_receive(&a->nic, transaction, at + 8 + head[2], head[3]);
    }
}

static void transfer(struct adapter *a, const struct ring_packet *p)
{
    u32 count = 0;
    if (p->extra_size >= 8) {
        memcpy(&count, p->extra + 4, 4);
    }
    for (u32 i = 0; i < count && 8 + 8 * (i + 1) <= p->extra_size; i++) {
        u32 range[2];
        memcpy(range, p->extra + 8 + 8 * i, 8);
        if (range[1] <= sizeof a->receive && range[0] <= sizeof a->receive - range[1]) {
            message(a, p->transaction, a->receive + range[1], range[0]);
        }
    }
    const u32 done[2] = {NVSP_PACKET_COMPLETE, SUCCESS};
    if (!vmbus_send(a->nic.channel, PACKET_COMPLETION, 0, p->transaction, done, sizeof done, NULL, 0)) {
        fail(a); /* there is room for 1000, while the parent has tens of sections: it reads no more */
    }
}

static void packet(struct channel *c, const struct ring_packet *p)
{
    struct adapter *a = c->owner;
    u32 m[NVSP_BYTES / 4] = {0};
    memcpy(m, p->data, min_u64(p->size, sizeof m));
    if (a == NULL || a->step == STEP_FAILED) {
        return;
    }
    if (p->type == PACKET_TRANSFER_PAGES) {
        transfer(a, p);
    } else if (p->type == PACKET_COMPLETION && p->transaction == CONTROL) {
        answered(a, m);
    } else if (p->type == PACKET_COMPLETION && p->transaction < a->sections) {
        a->busy &= ~(1ull << p->transaction);
    }
}

static void rest(struct channel *c)
{
    struct adapter *a = c->owner;
    if (a != NULL && a->step == STEP_READY) {
        vif_rest(&a->nic);
    }
}

u8 *nic_take(struct nic *nic)
{
    struct adapter *a = (struct adapter *)(void *)nic;
    for (u32 i = 0; a->step == STEP_READY && i < a->sections; i++) {
        if ((a->busy >> i & 1) == 0) {
            return a->send + (u64)i * a->section_size + RNDIS_HEADER;
        }
    }
    return NULL;
}

u32 nic_section(const struct nic *nic, const u8 *frame)
{
    const struct adapter *a = (const struct adapter *)(const void *)nic;
    return (u32)(frame - RNDIS_HEADER - a->send) / a->section_size;
}

void nic_send(struct nic *nic, u8 *frame, u32 size)
{
    struct adapter *a = (struct adapter *)(void *)nic;
    u8 *at = frame - RNDIS_HEADER;
    u32 section = nic_section(nic, frame);
    const u32 head[RNDIS_HEADER / 4] = {RNDIS_PACKET, RNDIS_HEADER + size, RNDIS_HEADER - 8, size};
    const u32 m[NVSP_BYTES / 4] = {NVSP_PACKET, 0, section, RNDIS_HEADER + size};
    memcpy(at, head, sizeof head);
    if (vmbus_send(nic->channel, PACKET_IN_BAND, PACKET_WANTS_COMPLETION, section, m, sizeof m, NULL, 0)) {
        a->busy |= 1ull << section;
    }
}

static void opened(struct channel *c)
{
    for (u32 i = 0; i < NICS; i++) {
        struct adapter *a = &adapters[i];
        if (a->nic.channel == NULL) {
            memset(a, 0, offsetof(struct adapter, receive));
            a->nic.channel = c;
            c->owner = a;
            try_version(a);
            return;
        }
    }
    adapter_log("adapter: one network adapter too many\n");
}

static void gone(struct channel *c)
{
    struct adapter *a = c->owner;
    if (a != NULL) {
        if (a->step == STEP_READY) {
            vif_remove(&a->nic);
        }
        a->step = STEP_FAILED;
        a->nic.channel = NULL;
    }
}

static bool settled(const struct channel *c)
{
    const struct adapter *a = c->owner;
    return a == NULL || a->step >= STEP_READY;
}

const struct channel_driver network_driver = {opened, packet, rest, gone, settled};
