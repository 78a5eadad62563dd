/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Perfetto's trace format: a sequence of TracePacket messages, of which this writes descriptors of tracks and
 * TrackEvents. The few field numbers it needs stand below. [perfetto protos/perfetto/trace/track_event]
 *
 * A processor's track shows whom it runs: slices of guests and, between them, of the hypervisor at work for an
 * exit. A virtual processor's track shows its hypercalls, from the call to the moment it goes on; those that
 * others make meanwhile for it lie below in time. Everything else is an instant. */
#include "traces/export.h"

#include "base/bytes.h"
#include "devices/trace_port.h"
#include "mmu/phys.h"
#include "traces/render.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRACE_PACKET = 1,
    PACKET_TIMESTAMP = 8,
    PACKET_SEQUENCE = 10,
    PACKET_TRACK_EVENT = 11,
    PACKET_TRACK_DESCRIPTOR = 60,
    TRACK_UUID = 1,
    TRACK_NAME = 2,
    TRACK_PARENT = 5,
    EVENT_ANNOTATION = 4,
    EVENT_TYPE = 9,
    EVENT_TRACK = 11,
    EVENT_CATEGORY = 22,
    EVENT_NAME = 23,
    ANNOTATION_UINT = 3,
    ANNOTATION_STRING = 6,
    ANNOTATION_NAME = 10,
};
enum slice { SLICE_BEGIN = 1, SLICE_END = 2, INSTANT = 3 };

/* Tracks: which subject, and the number within. */
enum subject { SUBJECT_MACHINE = 1, SUBJECT_CPU, SUBJECT_PARTITION, SUBJECT_VCPU, SUBJECT_DEVICE, SUBJECT_CONSOLE, SUBJECT_REQUEST };
#define MAX_TRACKS 1024u

struct message {
    size_t used;
    u8 bytes[8192];
};

struct exporter {
    FILE *out;
    u64 tracks[MAX_TRACKS]; /* uuids that have been described */
    unsigned track_count;
    u64 open_cpu[256];      /* slices open on a processor's track */
    u64 open_vcpu[MAX_TRACKS];
    unsigned open_vcpu_count;
};

/* ---- Protocol buffers ---- */

static void put_varint(struct message *m, u64 v)
{
    do {
        u8 byte = (u8)(v & 0x7f) | (v > 0x7f ? 0x80u : 0u);
        if (m->used < sizeof m->bytes) {
            m->bytes[m->used++] = byte;
        }
        v >>= 7;
    } while (v != 0);
}

static void put_uint(struct message *m, unsigned field, u64 v)
{
    put_varint(m, (u64)field << 3);
    put_varint(m, v);
}

static void put_data(struct message *m, unsigned field, const void *data, size_t n)
{
    size_t room = sizeof m->bytes - m->used;
    n = room > 16 ? (n < room - 16 ? n : room - 16) : 0; /* long texts are cut */
    if (room > 16) {
        put_varint(m, (u64)field << 3 | 2);
        put_varint(m, n);
        if (n > 0) {
            memcpy(m->bytes + m->used, data, n);
        }
        m->used += n;
    }
}

static void put_text(struct message *m, unsigned field, const char *text)
{
    put_data(m, field, text, strlen(text));
}

static void put_message(struct message *m, unsigned field, const struct message *inner)
{
    put_data(m, field, inner->bytes, inner->used);
}

static void write_packet(struct exporter *e, const struct message *packet)
{
    struct message head;
    head.used = 0;
    put_varint(&head, TRACE_PACKET << 3 | 2);
    put_varint(&head, packet->used);
    (void)fwrite(head.bytes, 1, head.used, e->out);
    (void)fwrite(packet->bytes, 1, packet->used, e->out);
}

/* ---- Tracks ---- */

static u64 uuid_of(enum subject subject, u64 number)
{
    return (u64)subject << 56 | (number & 0xffffffffffffff);
}

static u64 track(struct exporter *e, enum subject subject, u64 number, u64 parent, const char *name)
{
    u64 uuid = uuid_of(subject, number);
    for (unsigned i = 0; i < e->track_count; i++) {
        if (e->tracks[i] == uuid) {
            return uuid;
        }
    }
    if (e->track_count == MAX_TRACKS) {
        return uuid_of(SUBJECT_MACHINE, 0);
    }
    e->tracks[e->track_count++] = uuid;
    struct message descriptor, packet;
    descriptor.used = 0;
    packet.used = 0;
    put_uint(&descriptor, TRACK_UUID, uuid);
    put_text(&descriptor, TRACK_NAME, name);
    if (parent != 0) {
        put_uint(&descriptor, TRACK_PARENT, parent);
    }
    put_uint(&packet, PACKET_SEQUENCE, 1);
    put_message(&packet, PACKET_TRACK_DESCRIPTOR, &descriptor);
    write_packet(e, &packet);
    return uuid;
}

static u64 cpu_track(struct exporter *e, u32 cpu)
{
    char name[32];
    if (cpu == TRACE_NO_CPU) {
        return track(e, SUBJECT_MACHINE, 0, 0, "machine");
    }
    (void)snprintf(name, sizeof name, "processor %u", cpu);
    return track(e, SUBJECT_CPU, cpu, 0, name);
}

static u64 vcpu_track(struct exporter *e, u64 vcpu, u64 root)
{
    char name[64];
    u64 parent = 0;
    if (root != 0) {
        (void)snprintf(name, sizeof name, "partition with tables at 0x%" PRIx64, root & ~(u64)PAGE_MASK);
        parent = track(e, SUBJECT_PARTITION, root >> PAGE_SHIFT, 0, name);
    }
    (void)snprintf(name, sizeof name, "virtual processor 0x%" PRIx64, vcpu);
    return track(e, SUBJECT_VCPU, vcpu >> 8, parent, name);
}

/* ---- Events ---- */

static void put_annotation(struct message *event, const struct trace_record *r, const struct trace_field *f, u64 v)
{
    struct message annotation;
    annotation.used = 0;
    const char *word = trace_word(r, f, v);
    put_data(&annotation, ANNOTATION_NAME, f->name, f->name_len);
    if (word != NULL) {
        put_text(&annotation, ANNOTATION_STRING, word);
    } else if (trace_field_is(f, "dec")) {
        put_uint(&annotation, ANNOTATION_UINT, v);
    } else {
        char hex[24];
        (void)snprintf(hex, sizeof hex, "0x%" PRIx64, v);
        put_text(&annotation, ANNOTATION_STRING, hex);
    }
    put_message(event, EVENT_ANNOTATION, &annotation);
}

static void put_payload_annotation(struct message *event, const struct trace_record *r, const struct trace_field *f)
{
    struct message annotation;
    annotation.used = 0;
    char name[24];
    u64 value;
    if (trace_field_is(f, "regs")) {
        for (unsigned i = 0; trace_hypercall_argument(r, i, name, &value); i++) {
            struct trace_field argument = {.name = name, .name_len = strlen(name), .kind = "hex", .kind_len = 3};
            put_annotation(event, r, &argument, value);
        }
    } else if (trace_field_is(f, "claim")) {
        const struct trace_port_row *row = trace_port_row((u32)r->args[0]);
        const char *schema = row != NULL ? row->fields : "";
        struct trace_field said;
        for (u32 at = 0; trace_field_next(&schema, &said) && at + 8 <= r->size; at += 8) {
            put_annotation(event, r, &said, load_le64(r->payload + at));
        }
    } else if (trace_field_is(f, "text")) {
        put_data(&annotation, ANNOTATION_NAME, f->name, f->name_len);
        put_data(&annotation, ANNOTATION_STRING, r->payload, r->size < 2048 ? r->size : 2048);
        put_message(event, EVENT_ANNOTATION, &annotation);
    }
}

static void put_event(struct exporter *e, const struct trace_record *r, u64 where, enum slice type,
                      const char *name)
{
    struct message event, packet;
    event.used = 0;
    packet.used = 0;
    const struct trace_event_info *info = &trace_event_info[r->event];
    put_uint(&event, EVENT_TYPE, type);
    put_uint(&event, EVENT_TRACK, where);
    if (type != SLICE_END) {
        const char *schema = info->schema;
        struct trace_field f;
        struct trace_field position = {.name = "position", .name_len = 8, .kind = "dec", .kind_len = 3};
        put_text(&event, EVENT_NAME, name);
        put_text(&event, EVENT_CATEGORY, trace_class_name((enum trace_class)info->class));
        put_annotation(&event, r, &position, r->position.n);
        for (u32 i = 0; trace_field_next(&schema, &f); i++) {
            if (i < r->argc) {
                put_annotation(&event, r, &f, r->args[i]);
            } else {
                put_payload_annotation(&event, r, &f);
            }
        }
    }
    put_uint(&packet, PACKET_TIMESTAMP, r->time.ns);
    put_uint(&packet, PACKET_SEQUENCE, 1);
    put_message(&packet, PACKET_TRACK_EVENT, &event);
    write_packet(e, &packet);
}

/* Whom a processor runs: one slice ends where the next begins. */
static void switch_cpu(struct exporter *e, const struct trace_record *r, const char *name)
{
    u64 where = cpu_track(e, r->cpu);
    if (e->open_cpu[r->cpu & 0xff] > 0) {
        put_event(e, r, where, SLICE_END, NULL);
    }
    put_event(e, r, where, SLICE_BEGIN, name);
    e->open_cpu[r->cpu & 0xff] = 1;
}

static unsigned find_open(const struct exporter *e, u64 vcpu)
{
    unsigned i = 0;
    while (i < e->open_vcpu_count && e->open_vcpu[i] != vcpu) {
        i++;
    }
    return i;
}

static void call(struct exporter *e, const struct trace_record *r)
{
    char name[96];
    u64 vcpu = r->args[2];
    const char *interface = trace_interface_name(r->args[0]);
    const char *what = trace_hypercall_name(r->args[0], r->args[1]);
    if (what != NULL) {
        (void)snprintf(name, sizeof name, "%s: %s", interface, what);
    } else {
        (void)snprintf(name, sizeof name, "%s: 0x%" PRIx64, interface != NULL ? interface : "?", r->args[1]);
    }
    unsigned i = find_open(e, vcpu);
    if (i < e->open_vcpu_count) {
        put_event(e, r, vcpu_track(e, vcpu, 0), SLICE_END, NULL); /* it never went on */
    } else if (i < MAX_TRACKS) {
        e->open_vcpu[e->open_vcpu_count++] = vcpu;
    }
    put_event(e, r, vcpu_track(e, vcpu, 0), SLICE_BEGIN, name);
}

static void call_done(struct exporter *e, const struct trace_record *r)
{
    unsigned i = find_open(e, r->args[2]);
    if (i < e->open_vcpu_count) {
        put_event(e, r, vcpu_track(e, r->args[2], 0), SLICE_END, NULL);
        e->open_vcpu[i] = e->open_vcpu[--e->open_vcpu_count];
    }
}

static u64 instant_track(struct exporter *e, const struct trace_record *r)
{
    char name[48];
    switch (r->event) {
    case TRACE_EVENT_console_line:
        (void)snprintf(name, sizeof name, "console %" PRIu64, r->args[0]);
        return track(e, SUBJECT_CONSOLE, r->args[0], 0, name);
    case TRACE_EVENT_dma:
        (void)snprintf(name, sizeof name, "device %02x:%02x.%x", (unsigned)(r->args[0] >> 8 & 0xff),
                       (unsigned)(r->args[0] >> 3 & 31), (unsigned)(r->args[0] & 7));
        return track(e, SUBJECT_DEVICE, r->args[0], 0, name);
    case TRACE_EVENT_net_frame:
        return track(e, SUBJECT_DEVICE, 0x10000, 0, "network card");
    case TRACE_EVENT_port_read:
    case TRACE_EVENT_port_write:
    case TRACE_EVENT_mmio_read:
    case TRACE_EVENT_mmio_write:
        return track(e, SUBJECT_DEVICE, 0x10001, 0, "ports and memory-mapped devices");
    case TRACE_EVENT_claim:
    case TRACE_EVENT_claim_differs:
        return track(e, SUBJECT_DEVICE, 0x10002, 0, "trace port");
    default:
        return cpu_track(e, r->cpu);
    }
}

/* A request of a Xen frontend: a slice, on a track for each number that requests of its device have. */
static bool request(struct exporter *e, const struct trace_record *r)
{
    bool begins = r->args[0] == CLAIM_request_begun;
    if ((!begins && r->args[0] != CLAIM_request_ended) || r->size < 24) {
        return false;
    }
    u64 device = load_le64(r->payload), id = load_le64(r->payload + 8);
    struct trace_field operation = {.name = "operation", .name_len = 9, .kind = "xen_request", .kind_len = 11};
    const char *word = trace_word(r, &operation, load_le64(r->payload + 16));
    char name[64];
    (void)snprintf(name, sizeof name, "Xen device %" PRIu64 " request 0x%" PRIx64, device, id);
    u64 number = (r->args[3] >> PAGE_SHIFT & 0xffff) << 40 | (device & 0xfffff) << 20 | (id & 0xfffff);
    put_event(e, r, track(e, SUBJECT_REQUEST, number, 0, name), begins ? SLICE_BEGIN : SLICE_END, word != NULL ? word : "request");
    return true;
}

static void export_record(struct exporter *e, const struct trace_record *r)
{
    char name[96];
    const char *exit, *word;
    switch (r->event) {
    case TRACE_EVENT_vm_entry:
        (void)vcpu_track(e, r->args[0], r->args[2]);
        (void)snprintf(name, sizeof name, "guest 0x%" PRIx64, r->args[0]);
        switch_cpu(e, r, name);
        break;
    case TRACE_EVENT_vm_exit:
        exit = trace_exit_name(r->args[0]);
        (void)snprintf(name, sizeof name, "hypervisor: %s", exit != NULL ? exit : "exit");
        switch_cpu(e, r, name);
        break;
    case TRACE_EVENT_hypercall:
        call(e, r);
        break;
    case TRACE_EVENT_hypercall_done:
        call_done(e, r);
        break;
    case TRACE_EVENT_claim: /* in its own words */
        if (request(e, r)) {
            break;
        }
        word = trace_word(r, &(struct trace_field){.name = "type", .name_len = 4, .kind = "claim", .kind_len = 5}, r->args[0]);
        put_event(e, r, instant_track(e, r), INSTANT, word != NULL ? word : "claim");
        break;
    default:
        put_event(e, r, instant_track(e, r), INSTANT, trace_event_info[r->event].name);
        break;
    }
}

bool trace_export_perfetto(struct trace_reader *r, const struct trace_filter *f, FILE *out, struct error *err)
{
    struct trace_record record;
    struct exporter *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    e->out = out;
    while (trace_reader_next(r, &record)) {
        if (trace_filter_matches(f, &record)) {
            export_record(e, &record);
        }
    }
    free(e);
    return ferror(out) == 0 || error_set(err, EXIT_STATUS_BAD_FILE, "the export cannot be written");
}
