/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What recordings become: a report's figures, frames in a pcapng, and that nothing in a record can hurt. */
#include "base/bytes.h"
#include "traces/export.h"
#include "traces/report.h"
#include "traces/report_priv.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/vitrine-test-XXXXXX";

struct rig {
    struct clock clock;
    struct trace t;
};

static void begin_at(struct rig *r, u64 position)
{
    struct error err = {0};
    (void)strcpy(path, "/tmp/vitrine-test-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    clock_init(&r->clock, NS_PER_SEC, NS_PER_SEC);
    r->clock.position = position;
    trace_init(&r->t, &r->clock);
    ck_assert(trace_start(&r->t, fd, ~(u32)0, "build test\n", &err));
}

static void begin(struct rig *r) { begin_at(r, 0); }

static void at(struct rig *r, u64 position)
{
    r->clock.position = position;
}

static void end(struct rig *r)
{
    struct error err = {0};
    ck_assert(trace_finish(&r->t, &err));
}

/* Both passes over the file. */
static struct report *collect(void)
{
    struct error err = {0};
    struct report *p = calloc(1, sizeof *p);
    p->shares = calloc((size_t)REPORT_CPUS * REPORT_MODES * REPORT_BUCKETS, sizeof *p->shares);
    for (unsigned pass = 0; pass < 2; pass++) {
        struct trace_reader r;
        struct trace_record record;
        ck_assert(trace_reader_open(&r, path, &err));
        p->goes_on = r.began > 0;
        while (trace_reader_next(&r, &record)) {
            if (pass == 0) {
                report_measure(p, &record);
            } else {
                report_take(p, &record);
            }
        }
        trace_reader_close(&r);
    }
    report_end(p);
    return p;
}

static void drop(struct report *p)
{
    free(p->shares);
    free(p);
    (void)unlink(path);
}

/* The host runs a guest; the guest runs one itself: levels 1 and 2, and who spent what. */
START_TEST(test_report__levels)
{
    struct rig r;
    begin(&r);
    at(&r, 100);
    trace_vm_entry(&r.t, 0, 0x1000, 0, 0x5000, 0, 0);
    at(&r, 300);
    trace_vm_exit(&r.t, 0, TRACE_EXIT_SVM | 0x80, 0, 0, 0, 0x1000, "", 0);
    at(&r, 310);
    trace_vm_entry(&r.t, 0, 0x2000, 0, 0x6000, 0, 0);
    at(&r, 700);
    trace_vm_exit(&r.t, 0, TRACE_EXIT_SVM | 0x72, 0, 0, 0, 0x2000, "", 0);
    at(&r, 750);
    trace_vm_entry(&r.t, 0, 0x1000, 0, 0x5000, 0, 0);
    at(&r, 1200);
    trace_vm_exit(&r.t, 0, TRACE_EXIT_SVM | 0x78, 0, 0, 0, 0x1000, "", 0);
    end(&r);
    struct report *p = collect();
    ck_assert_uint_eq(p->guest_count, 2);
    ck_assert_uint_eq(p->guests[0].level, 1);
    ck_assert_uint_eq(p->guests[1].level, 2);
    ck_assert_uint_eq(p->guests[0].entries, 2);
    ck_assert_uint_eq(p->reasons[0].count, 1);
    ck_assert_uint_eq(p->reasons[0].positions, 10);
    ck_assert_uint_eq(p->reasons[1].positions, 50);
    /* 45 to 1200 ns in 1200 columns. */
    ck_assert_uint_eq(p->first_ns, 45);
    ck_assert_uint_ge(*report_share(p, 0, 0, 10), 990);
    ck_assert_uint_ge(*report_share(p, 0, 1, 200), 990);
    ck_assert_uint_ge(*report_share(p, 0, 2, 500), 990);
    ck_assert_uint_eq(*report_share(p, 0, 1, 500), 0);
    drop(p);
}
END_TEST

/* What passed before a recording of a saved machine began is nobody's time. */
START_TEST(test_report__goes_on)
{
    for (u64 began = 0; began <= 5000; began += 5000) {
        struct rig r;
        begin_at(&r, began);
        at(&r, 5000);
        trace_vm_exit(&r.t, 0, TRACE_EXIT_SVM | 0x78, 0, 0, 0, 0x1000, "", 0);
        at(&r, 5400);
        trace_vm_entry(&r.t, 0, 0x1000, 0, 0x5000, 0, 0);
        at(&r, 6000);
        trace_vm_exit(&r.t, 0, TRACE_EXIT_SVM | 0x78, 0, 0, 0, 0x1000, "", 0);
        end(&r);
        struct report *p = collect();
        ck_assert_uint_eq(p->guests[0].ns, 600);
        ck_assert_uint_eq(p->host_ns, began == 0 ? 5400 : 400);
        drop(p);
    }
}
END_TEST

/* A call that another guest makes before the first goes on is its child. */
START_TEST(test_report__calls)
{
    struct rig r;
    u8 regs[64] = {0};
    begin(&r);
    at(&r, 10);
    trace_hypercall(&r.t, 0, TRACE_INTERFACE_XEN, 32, 0x1000, 0, 64, regs, sizeof regs);
    at(&r, 20);
    trace_hypercall(&r.t, 0, TRACE_INTERFACE_HYPERV, 0x5d, 0x2000, 0, 64, regs, sizeof regs);
    at(&r, 25);
    trace_hypercall_done(&r.t, 0, TRACE_INTERFACE_HYPERV, 0x5d, 0x2000, 0);
    at(&r, 40);
    trace_hypercall_done(&r.t, 0, TRACE_INTERFACE_XEN, 32, 0x1000, ~(u64)21);
    at(&r, 50);
    trace_hypercall(&r.t, 0, TRACE_INTERFACE_HYPERV, 0x5d, 0x2000, 0, 64, regs, sizeof regs);
    end(&r);
    struct report *p = collect();
    ck_assert_uint_eq(p->call_count, 2);
    ck_assert_uint_eq(p->child_count, 1);
    ck_assert_uint_eq(p->children[0].count, 1);
    ck_assert_uint_eq(p->calls[0].positions, 30);
    ck_assert_uint_eq(p->calls[1].count, 2);
    ck_assert_uint_eq(p->calls[1].done, 1);
    drop(p);
}
END_TEST

/* From the local APIC's acceptance to the handler, or to the exit that says which vector. */
START_TEST(test_report__interrupts)
{
    struct rig r;
    begin(&r);
    at(&r, 100);
    trace_irq_raise(&r.t, 1, 0x31, 0);
    at(&r, 120);
    trace_irq_raise(&r.t, 1, 0x31, 0); /* the same one */
    at(&r, 150);
    trace_deliver(&r.t, 1, 5, 0x31, 0, 0, 0);
    at(&r, 200);
    trace_irq_raise(&r.t, 0, 0x31, 0);
    at(&r, 210);
    trace_vm_exit(&r.t, 0, 1, 0, 0x80000031, 0, 0x1000, "", 0);
    end(&r);
    struct report *p = collect();
    ck_assert_uint_eq(p->latency[0x31].count, 2);
    ck_assert_uint_eq(p->latency[0x31].least, 10);
    ck_assert_uint_eq(p->latency[0x31].most, 50);
    drop(p);
}
END_TEST

/* The last owner of a range counts; the page has its name as text, whatever it is. */
START_TEST(test_report__owners)
{
    struct rig r;
    struct error err = {0};
    char html[64];
    begin(&r);
    trace_owner_change(&r.t, TRACE_NO_CPU, 0, 0xfff, 0, 0, 7, "host", 4);
    trace_owner_change(&r.t, TRACE_NO_CPU, 0x1000, 0x1fff, 0, 0, 7, "host", 4);
    trace_owner_change(&r.t, TRACE_NO_CPU, 0x1000, 0x1fff, 1, 1, 3, "</script>", 9);
    end(&r);
    (void)snprintf(html, sizeof html, "%s.html", path);
    ck_assert_msg(trace_report(path, html, &err), "%s", err.text);
    FILE *f = fopen(html, "r");
    static char page[200000];
    page[fread(page, 1, sizeof page - 1, f)] = '\0';
    (void)fclose(f);
    ck_assert_ptr_nonnull(strstr(page, "[\"0x1000\",\"0x1fff\",1,1,\"0x3\",\"\\u003c/script>\""));
    (void)unlink(html);
    struct report *p = collect();
    ck_assert_uint_eq(p->owner_count, 2);
    drop(p);
}
END_TEST

/* A frame each way: two packet blocks, padded, with their times and directions. */
START_TEST(test_export__pcapng)
{
    struct rig r;
    struct error err = {0};
    struct trace_filter filter;
    struct trace_reader reader;
    u8 frame[61], out[1024];
    memset(frame, 0xab, sizeof frame);
    begin(&r);
    at(&r, 1000);
    trace_net_frame(&r.t, TRACE_NO_CPU, TRACE_NET_FROM_GUEST, sizeof frame, frame, sizeof frame);
    at(&r, 5000);
    trace_net_frame(&r.t, TRACE_NO_CPU, TRACE_NET_TO_GUEST, sizeof frame, frame, sizeof frame);
    end(&r);
    FILE *f = tmpfile();
    trace_filter_init(&filter);
    ck_assert(trace_reader_open(&reader, path, &err));
    ck_assert(trace_export_pcapng(&reader, &filter, f, &err));
    trace_reader_close(&reader);
    rewind(f);
    size_t size = fread(out, 1, sizeof out, f), where = 0;
    (void)fclose(f);
    const u32 types[] = {0x0a0d0d0a, 1, 6, 6};
    for (unsigned i = 0; i < 4; i++) {
        u32 len = load_le32(out + where + 4);
        ck_assert_uint_eq(load_le32(out + where), types[i]);
        ck_assert_uint_eq(load_le32(out + where + len - 4), len);
        if (i >= 2) {
            ck_assert_uint_eq(load_le32(out + where + 16), i == 2 ? 1000 : 5000);
            ck_assert_uint_eq(load_le32(out + where + 20), sizeof frame);
            ck_assert_mem_eq(out + where + 28, frame, sizeof frame);
            ck_assert_uint_eq(load_le32(out + where + 28 + 64 + 4), i == 2 ? 2 : 1);
        }
        where += len;
    }
    ck_assert_uint_eq(where, size);
    (void)unlink(path);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("trace_export");
    TCase *tc = tcase_create("trace_export");
    tcase_add_test(tc, test_report__levels);
    tcase_add_test(tc, test_report__goes_on);
    tcase_add_test(tc, test_report__calls);
    tcase_add_test(tc, test_report__interrupts);
    tcase_add_test(tc, test_report__owners);
    tcase_add_test(tc, test_export__pcapng);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
