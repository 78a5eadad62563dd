/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace port: found by its magic number; records of several writers at a time, whole and torn; saved in the middle of one. */
#include "devices/trace_port.h"
#include "pci_rig.h"
#include "unit.h"

#include <string.h>

struct port_rig {
    struct rig *rig;
    struct trace_port_writer writer;
    bool nobody;
    unsigned records;
    struct trace_port_record last;
};

static bool writer(void *self, struct trace_port_writer *w)
{
    const struct port_rig *p = self;
    *w = p->writer;
    return !p->nobody;
}

static void record(void *self, const struct trace_port_record *r)
{
    struct port_rig *p = self;
    p->records++;
    p->last = *r;
}

static struct port_rig *port_rig(void)
{
    struct port_rig *p = calloc(1, sizeof *p);
    ck_assert_ptr_nonnull(p);
    const struct trace_port_sink sink = {.writer = writer, .record = record, .self = p};
    p->rig = rig_new();
    trace_port_new(&p->rig->env, "trace-port", &sink);
    bus_reset(p->rig->bus, RESET_POWER);
    return p;
}

static void port_free(struct port_rig *p)
{
    rig_free(p->rig);
    free(p);
}

static void word(struct port_rig *p, u32 control, u32 value)
{
    p->writer.control = control;
    bus_port_write(p->rig->bus, TRACE_PORT_DATA, value, 4);
}

static u32 header(u32 type, u32 words) { return type | words << 8 | TRACE_PORT_MARK << 16; }

START_TEST(trace_port__probe)
{
    struct port_rig *p = port_rig();
    struct rig *none = rig_new();
    ck_assert_uint_eq(bus_port_read(p->rig->bus, TRACE_PORT_ID, 4), TRACE_PORT_MAGIC);
    ck_assert_uint_eq(bus_port_read(p->rig->bus, TRACE_PORT_DATA, 4), TRACE_PORT_VERSION);
    ck_assert_uint_eq(bus_port_read(p->rig->bus, TRACE_PORT_ID, 2), 0xffff);
    ck_assert_uint_eq(bus_port_read(p->rig->bus, TRACE_PORT_ID + 1, 1), 0xff);
    ck_assert_uint_eq(bus_port_read(none->bus, TRACE_PORT_ID, 4), 0xffffffff);
    rig_free(none);
    port_free(p);
}
END_TEST

/* Three words of one, then all of another's, then the rest; each processor and each guest has its own. */
START_TEST(trace_port__writers_do_not_mix)
{
    struct port_rig *p = port_rig();
    const u32 a[] = {header(CLAIM_partition_created, 6), 0, 7, 1, 8, 0};
    const u32 b[] = {header(CLAIM_partition_named, 6), 5, 9, 0, 0x6c6c6568, 0x6f};
    for (unsigned i = 0; i < 3; i++) {
        word(p, 0x1000, a[i]);
    }
    for (unsigned i = 0; i < 6; i++) {
        word(p, 0, b[i]);
    }
    ck_assert_uint_eq(p->records, 1);
    ck_assert_uint_eq(p->last.type, CLAIM_partition_named);
    ck_assert_uint_eq(p->last.writer.control, 0);
    ck_assert_uint_eq(p->last.field_count, 1);
    ck_assert_uint_eq(p->last.field[0], 9);
    ck_assert_uint_eq(p->last.payload_size, 5);
    ck_assert_int_eq(memcmp(p->last.payload, "hello", 5), 0);
    p->writer.cpu = 1;
    for (unsigned i = 0; i < 6; i++) {
        word(p, 0x1000, a[i]);
    }
    ck_assert_uint_eq(p->records, 2);
    p->writer.cpu = 0;
    struct port_rig *two = port_rig();
    rig_check_save_restore(p->rig, two->rig); /* in the middle of a record */
    for (unsigned i = 3; i < 6; i++) {
        word(two, 0x1000, a[i]);
    }
    ck_assert_uint_eq(two->records, 1);
    ck_assert_uint_eq(two->last.field[0], 7 | 1ull << 32);
    ck_assert_uint_eq(two->last.field[1], 8);
    ck_assert_uint_eq(two->last.writer.control, 0x1000);
    port_free(two);
    port_free(p);
}
END_TEST

/* What is none leaves no trace but a line in the log. */
START_TEST(trace_port__torn)
{
    struct port_rig *p = port_rig();
    const u32 good[] = {header(CLAIM_partition_deleted, 4), 0, 3, 0};
    static const u32 bad[][4] = {
        {0x12345678, 0, 0, 0},                                           /* no header: each word is dropped */
        {CLAIM_partition_deleted | 4 << 8 | 0x5457u << 16, 0, 3, 0},     /* another mark */
        {200 | 4 << 8 | TRACE_PORT_MARK << 16, 0, 3, 0},                 /* no such type */
        {CLAIM_partition_deleted | 4 << 8 | TRACE_PORT_MARK << 16, 1, 3, 0}, /* a payload where none belongs */
        {CLAIM_partition_named | 4 << 8 | TRACE_PORT_MARK << 16, 0xffffffff, 3, 0},
        {CLAIM_partition_created | 4 << 8 | TRACE_PORT_MARK << 16, 0, 3, 0}, /* a field too few */
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        for (unsigned k = 0; k < 4; k++) {
            word(p, 0, bad[i][k]);
        }
        ck_assert_uint_eq(p->records, i);
        for (unsigned k = 0; k < 4; k++) {
            word(p, 0, good[k]);
        }
        ck_assert_uint_eq(p->records, i + 1);
    }
    /* Begun and thrown away. */
    word(p, 0, header(CLAIM_partition_named, TRACE_PORT_WORDS));
    word(p, 0, 4);
    bus_port_write(p->rig->bus, TRACE_PORT_ID, 1, 4);
    p->records = 0;
    for (unsigned k = 0; k < 4; k++) {
        word(p, 0, good[k]);
    }
    ck_assert_uint_eq(p->records, 1);
    /* Narrow writes, and nobody's. */
    bus_port_write(p->rig->bus, TRACE_PORT_DATA, good[0], 2);
    p->nobody = true;
    word(p, 0, good[0]);
    p->nobody = false;
    for (unsigned k = 0; k < 4; k++) {
        word(p, 0, good[k]);
    }
    ck_assert_uint_eq(p->records, 2);
    port_free(p);
}
END_TEST

/* More guests on one processor than there is room for: the one that waited longest loses what it began; the hypervisor does not. */
START_TEST(trace_port__crowd)
{
    struct port_rig *p = port_rig();
    const u32 r[] = {header(CLAIM_partition_deleted, 4), 0, 3, 0};
    word(p, 0, r[0]);
    for (u32 guest = 1; guest <= 20; guest++) {
        word(p, guest << 12, r[0]);
    }
    for (unsigned k = 1; k < 4; k++) {
        word(p, 0, r[k]);
        word(p, 20u << 12, r[k]);
        word(p, 14u << 12, r[k]);
    }
    ck_assert_uint_eq(p->records, 3);
    for (unsigned k = 1; k < 4; k++) {
        word(p, 1u << 12, r[k]); /* no headers: dropped */
    }
    ck_assert_uint_eq(p->records, 3);
    port_free(p);
}
END_TEST

/* A file that says nonsense of a record under construction. */
START_TEST(trace_port__hostile_state)
{
    struct port_rig *p = port_rig();
    word(p, 0, header(CLAIM_partition_named, 4));
    struct state_io save;
    state_init_save(&save);
    bus_state(p->rig->bus, &save);
    unsigned refused = 0;
    for (size_t at = save.len > 1300 ? save.len - 1300 : 0; at < save.len; at += 3) { /* it comes last */
        struct port_rig *two = port_rig();
        u8 *copy = malloc(save.len);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, save.data, save.len);
        copy[at] ^= 0xff;
        struct state_io load;
        state_init_load(&load, copy, save.len);
        bus_state(two->rig->bus, &load);
        refused += load.failed ? 1 : 0;
        for (u32 i = 0; i < 300; i++) {
            word(two, 0, i);
        }
        free(copy);
        port_free(two);
    }
    ck_assert_uint_gt(refused, 0);
    state_free(&save);
    port_free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace_port");
    TCase *tc = tcase_create("trace_port");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, trace_port__probe);
    tcase_add_test(tc, trace_port__writers_do_not_mix);
    tcase_add_test(tc, trace_port__torn);
    tcase_add_test(tc, trace_port__crowd);
    tcase_add_test(tc, trace_port__hostile_state);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
