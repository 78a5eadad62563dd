/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Trace files: what is written is read; what is cut or damaged anywhere gives what stands before it
 * and one clear line. */
#include "trace/events.h"
#include "trace/format.h"
#include "traces/dump.h"
#include "traces/load.h"
#include "traces/render.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG "build test\noption seed 1\n"

struct file {
    u8 *data;
    size_t size;
};

/* Three chunks of records at positions 1, 2, 3 ...; the last one is a stop. */
static struct file make_file(void)
{
    struct clock clock;
    struct trace t;
    struct error err = {0};
    FILE *f = tmpfile();
    clock_init(&clock, NS_PER_SEC, NS_PER_SEC);
    trace_init(&t, &clock);
    ck_assert(trace_start(&t, dup(fileno(f)), (u32)1 << TRACE_CLASS_CR, CONFIG, &err));
    for (unsigned chunk = 0; chunk < 3; chunk++) {
        for (unsigned i = 0; i < 5; i++) {
            clock.position++;
            trace_cr_write(&t, 1, 3, 0x1000 + clock.position, 0x7c00);
            trace_msr_write(&t, 1, 0x1b, 0, 0); /* its class is off */
            trace_input(&t, TRACE_NO_CPU, GATE_CONSOLE0, 3, "abc", 3);
        }
        u8 part[MARK_PART_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8, 'c', 'p', 'u'};
        trace_mark(&t, TRACE_NO_CPU, 0x1234 + chunk, 1, part, sizeof part);
        trace_flush(&t);
    }
    trace_stop(&t, TRACE_NO_CPU, STOP_LIMIT, 0, 0x99, 0, NULL, 0);
    ck_assert(trace_finish(&t, &err));
    struct file out = {.size = (size_t)lseek(fileno(f), 0, SEEK_END)};
    out.data = malloc(out.size);
    ck_assert_int_eq(pread(fileno(f), out.data, out.size, 0), (ssize_t)out.size);
    (void)fclose(f);
    return out;
}

START_TEST(test_trace_file__round_trip)
{
    struct file f = make_file();
    struct trace_reader r;
    struct trace_record rec;
    struct error err = {0};
    ck_assert(trace_reader_memory(&r, f.data, f.size, &err));
    ck_assert_str_eq(r.config, CONFIG);
    for (u64 i = 1; i <= 15; i++) {
        ck_assert(trace_reader_next(&r, &rec));
        ck_assert_uint_eq(rec.event, TRACE_EVENT_cr_write);
        ck_assert_uint_eq(rec.position.n, i);
        ck_assert_uint_eq(rec.time.ns, i);
        ck_assert_uint_eq(rec.cpu, 1);
        ck_assert_uint_eq(rec.args[1], 0x1000 + i);
        ck_assert(trace_reader_next(&r, &rec));
        ck_assert_uint_eq(rec.event, TRACE_EVENT_input);
        ck_assert_uint_eq(rec.size, 3);
        ck_assert_mem_eq(rec.payload, "abc", 3);
        if (i % 5 == 0) {
            ck_assert(trace_reader_next(&r, &rec));
            ck_assert_uint_eq(rec.event, TRACE_EVENT_mark);
        }
    }
    ck_assert(trace_reader_next(&r, &rec));
    ck_assert_uint_eq(rec.event, TRACE_EVENT_stop);
    ck_assert(!trace_reader_next(&r, &rec));
    ck_assert_int_eq(r.end.status, EXIT_STATUS_OK);
    trace_reader_close(&r);
    free(f.data);
}
END_TEST

/* Cut at every byte: an error, or the whole chunks before the cut and a note. */
START_TEST(test_trace_file__cut_anywhere)
{
    struct file f = make_file();
    size_t last = 0;
    for (size_t cut = 0; cut <= f.size; cut++) {
        struct loaded_recording l;
        struct error err = {0};
        u8 *copy = malloc(cut + 1); /* so that the sanitizer sees a byte too far */
        memcpy(copy, f.data, cut);
        bool ok = recording_load_memory(&l, copy, cut, &err);
        free(copy);
        if (!ok) {
            ck_assert_int_eq(err.status, EXIT_STATUS_BAD_FILE);
            ck_assert(err.text[0] != '\0');
        } else {
            ck_assert_uint_ge(l.input_count, last);
            ck_assert(l.input_count % 5 == 0);
            last = l.input_count;
            ck_assert(l.inputs[l.input_count].source == GATE_END);
        }
        recording_free(&l);
    }
    ck_assert_uint_eq(last, 15);
    free(f.data);
}
END_TEST

/* Every byte of the file is under some checksum. */
START_TEST(test_trace_file__flip_anywhere)
{
    struct file f = make_file();
    for (size_t at = 0; at < f.size; at++) {
        struct loaded_recording l;
        struct error err = {0};
        f.data[at] ^= 0x40;
        bool ok = recording_load_memory(&l, f.data, f.size, &err);
        ck_assert_msg(!ok || l.cut.status != EXIT_STATUS_OK, "byte %zu", at);
        recording_free(&l);
        f.data[at] ^= 0x40;
    }
    free(f.data);
}
END_TEST

/* Schemas have a field for each argument, and one for the payload. */
START_TEST(test_trace_file__schemas)
{
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        const struct trace_event_info *e = &trace_event_info[i];
        const char *schema = e->schema;
        struct trace_field field;
        u32 n = 0;
        while (trace_field_next(&schema, &field)) {
            ck_assert_msg(field.name_len > 0 && field.kind_len > 0, "%s", e->name);
            n++;
        }
        ck_assert_msg(n == e->args + (e->payload ? 1 : 0), "%s", e->name);
        ck_assert(e->args <= TRACE_MAX_ARGS && e->class < TRACE_CLASS_COUNT);
    }
}
END_TEST

START_TEST(test_trace_file__filter)
{
    struct trace_filter f;
    const char *near = NULL;
    struct trace_record r = {.position = {10}, .event = TRACE_EVENT_cr_write, .cpu = 2};
    trace_filter_init(&f);
    ck_assert(trace_filter_matches(&f, &r));
    ck_assert(trace_filter_events(&f, "deliver,cr_write", &near));
    ck_assert(trace_filter_matches(&f, &r));
    f.cpu = 1;
    ck_assert(!trace_filter_matches(&f, &r));
    f.cpu = 2;
    f.first = 11;
    ck_assert(!trace_filter_matches(&f, &r));
    trace_filter_init(&f);
    f.classes = (u32)1 << TRACE_CLASS_INT;
    ck_assert(!trace_filter_matches(&f, &r));
    ck_assert(!trace_filter_events(&f, "cr_wirte", &near));
    ck_assert_str_eq(near, "cr_write");
}
END_TEST

START_TEST(test_trace_file__classes)
{
    u32 bits = 0;
    ck_assert(trace_parse_classes("int,io", &bits));
    ck_assert_uint_eq(bits, (u32)1 << TRACE_CLASS_INT | (u32)1 << TRACE_CLASS_IO);
    ck_assert(trace_parse_classes("all", &bits));
    ck_assert_uint_eq(bits, ((u32)1 << TRACE_CLASS_COUNT) - 1);
    ck_assert(!trace_parse_classes("int,nonsense", &bits));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace_file");
    TCase *tc = tcase_create("trace_file");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_trace_file__round_trip);
    tcase_add_test(tc, test_trace_file__cut_anywhere);
    tcase_add_test(tc, test_trace_file__flip_anywhere);
    tcase_add_test(tc, test_trace_file__schemas);
    tcase_add_test(tc, test_trace_file__filter);
    tcase_add_test(tc, test_trace_file__classes);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
