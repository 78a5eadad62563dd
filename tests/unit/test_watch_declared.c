/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Declared sharing: between two guests and no third, until it is ended; the VMBus' GPADLs by the messages; claims. */
#include "tests/harness/watch_rig.h"
#include "unit.h"

#include "abi/hyperv/hypercall.h"
#include "abi/trace_port.h"

#include <string.h>

/* When it ends, what is left is a violation from that moment on. */
START_TEST(declared__of_two)
{
    struct rig *r = rig();
    struct watch_share s;
    make_ept(r, A_TABLES);
    make_ept(r, B_TABLES);
    make_ept(r, D_TABLES);
    map(r, A_TABLES, 0, MEMORY, 3, 0);
    enter(r, 0, 0x1000, A_TABLES);
    enter(r, 1, 0x2000, B_TABLES);
    enter(r, 2, 0x3000, D_TABLES);
    struct watch_declaration d = {.reason = WATCH_REASON_PORT, .guest = 1, .with = 2, .spa = MEMORY, .bytes = 2 * PAGE_SIZE, .id = 77};
    ck_assert(watch_declare(r->w, &d));
    map(r, B_TABLES, 0, MEMORY, 3, 0x11);
    ck_assert_uint_eq(r->violations, 0);
    ck_assert(watch_share_get(r->w, 0, &s) && s.declared && s.reason == WATCH_REASON_PORT);
    ck_assert_uint_eq(watch_share_count(r->w, true), 0);
    map(r, D_TABLES, 0, MEMORY, 1, 0x22); /* nobody spoke of this one: with each of the two */
    ck_assert_uint_eq(watch_share_count(r->w, true), 2);
    ck_assert_uint_eq(r->violations, 2);
    map(r, D_TABLES, 0, 0, 0, 0);
    watch_end_declaration(r->w, WATCH_REASON_PORT, 1, 78);
    ck_assert_uint_eq(watch_share_count(r->w, true), 0);
    r->rip = 0x33;
    watch_end_declaration(r->w, WATCH_REASON_PORT, 1, 77);
    ck_assert_uint_eq(watch_share_count(r->w, true), 1);
    ck_assert_uint_eq(r->violations, 3);
    ck_assert_uint_eq(r->last.since.rip, 0x33);
    ck_assert(watch_declare(r->w, &d)); /* after the fact */
    ck_assert_uint_eq(watch_share_count(r->w, true), 0);
    map(r, B_TABLES, 0, 0, 0, 0);
    ck_assert(!watch_share_get(r->w, 0, &s));
    d.with = 9;
    ck_assert(!watch_declare(r->w, &d));
    rig_free(r);
}
END_TEST

/* A claim of who has memory: pages that the guest does not reach, pages that a stranger does. */
START_TEST(declared__claims)
{
    struct rig *r = rig();
    make_ept(r, A_TABLES);
    make_ept(r, B_TABLES);
    make_ept(r, D_TABLES);
    map(r, A_TABLES, 0, MEMORY, 3, 0);
    map(r, B_TABLES, 0, MEMORY, 3, 0);
    enter(r, 0, 0x1000, A_TABLES);
    enter(r, 1, 0x2000, B_TABLES);
    enter(r, 2, 0x3000, D_TABLES);
    ck_assert_uint_eq(watch_guest_of_control(r->w, 0x2000), 2);
    ck_assert_uint_eq(watch_guest_of_control(r->w, 0x4000), 0);
    ck_assert_uint_eq(watch_guest_of_tables(r->w, D_TABLES + 4 * PAGE_SIZE), 3);
    struct watch_page_claim claim = {.spa = MEMORY, .bytes = 2 * PAGE_SIZE, .guest = 1, .with = 2};
    struct watch_page_verdict v;
    watch_compare(r->w, &claim, &v);
    ck_assert(v.pages == 2 && v.unreached == 1 && v.foreign == 0);
    ck_assert(v.differs && v.first == MEMORY + PAGE_SIZE && v.stranger == 0);
    map(r, D_TABLES, 0, MEMORY, 1, 0);
    watch_compare(r->w, &claim, &v);
    ck_assert(v.foreign == 1 && v.first == MEMORY && v.stranger == 3);
    map(r, D_TABLES, 0, 0, 0, 0);
    map(r, A_TABLES, 1, MEMORY + PAGE_SIZE, 3, 0);
    watch_compare(r->w, &claim, &v);
    ck_assert(v.pages == 2 && !v.differs);
    claim.with = 0;
    watch_compare(r->w, &claim, &v);
    ck_assert(v.differs && v.first == MEMORY && v.stranger == 2);
    claim = (struct watch_page_claim){.spa = RAM - PAGE_SIZE, .bytes = 4 * PAGE_SIZE}; /* nobody's, and no memory behind */
    watch_compare(r->w, &claim, &v);
    ck_assert(v.pages == 1 && !v.differs);
    rig_free(r);
}
END_TEST

/* Said on processor 3, which runs no guest: by the hypervisor. */
static enum watch_verdict say(struct rig *r, u32 type, u64 a, u64 b, u64 c, u64 d, u64 e)
{
    const u64 field[6] = {a, b, c, d, e};
    const struct watch_claim claim = {.type = type, .writers = TRACE_PORT_HYPERVISOR, .field = field};
    r->position++;
    return watch_claim(r->w, 3, &claim);
}

/* The next guest is entered there: the hypervisor is done with what it said. How many records differ now? */
static u64 differ_when_done(struct rig *r)
{
    enter(r, 3, 0x4000, D_TABLES);
    leave(r, 3, WATCH_CAUSE_OTHER);
    return watch_claims(r->w)->differ;
}

/* Pages that change hands: when a guest runs again, nobody but who is said to have them may reach them. Guest 1 is the root,
 * partition 1; guest 2 is partition 2. */
START_TEST(port__pages)
{
    struct rig *r = rig();
    struct watch_share s;
    make_ept(r, A_TABLES);
    make_ept(r, B_TABLES);
    make_ept(r, D_TABLES);
    map(r, A_TABLES, 0, MEMORY, 3, 0);
    map(r, A_TABLES, 1, MEMORY + PAGE_SIZE, 3, 0);
    (void)say(r, CLAIM_vp_named, 1, 0, 0, 0x1000, 0);
    (void)say(r, CLAIM_vp_named, 2, 0, 0, 0x2000, 0);
    enter(r, 0, 0x1000, A_TABLES);
    enter(r, 1, 0x2000, B_TABLES);
    (void)say(r, CLAIM_pages, TRACE_PAGES_ROOT, 1, MEMORY, 2, 0);
    ck_assert_uint_eq(differ_when_done(r), 0);
    (void)say(r, CLAIM_pages, TRACE_PAGES_PRIVATE, 2, MEMORY, 1, 0);
    map(r, A_TABLES, 0, 0, 0, 0); /* in time */
    map(r, B_TABLES, 0, MEMORY, 3, 0);
    ck_assert_uint_eq(differ_when_done(r), 0);
    (void)say(r, CLAIM_pages, TRACE_PAGES_DEPOSITED, 2, MEMORY + PAGE_SIZE, 1, 0);
    ck_assert_uint_eq(differ_when_done(r), 1); /* the root has it still */
    (void)say(r, CLAIM_pages, TRACE_PAGES_ROOT, 1, MEMORY, 1, 0);
    ck_assert_uint_eq(differ_when_done(r), 2); /* the child has it still */
    (void)say(r, CLAIM_pages, TRACE_PAGES_PRIVATE, 2, MEMORY, 1, 0);
    ck_assert_uint_eq(differ_when_done(r), 2);
    ck_assert_uint_eq(r->violations, 0);
    (void)say(r, CLAIM_pages_lent, 2, 1, MEMORY, 1, 3);
    map(r, A_TABLES, 5, MEMORY, 3, 0x66);
    ck_assert(watch_share_get(r->w, 0, &s) && s.reason == WATCH_REASON_PORT);
    (void)say(r, CLAIM_pages, TRACE_PAGES_PRIVATE, 2, MEMORY, 1, 0); /* lent as it is */
    ck_assert_uint_eq(differ_when_done(r), 2);
    ck_assert_uint_eq(r->violations, 0);
    (void)say(r, CLAIM_pages_unlent, 2, 1, MEMORY, 1, 0); /* but not taken away */
    ck_assert_uint_eq(r->violations, 1);
    (void)say(r, CLAIM_pages, TRACE_PAGES_PRIVATE, 2, 0, ~(u64)0, 0);
    ck_assert_uint_eq(differ_when_done(r), 3);
    for (unsigned i = 0; i < 40; i++) { /* more than are waited with */
        (void)say(r, CLAIM_pages, i % 5, i, i * PAGE_SIZE, i, 0);
    }
    (void)differ_when_done(r);
    rig_free(r);
}
END_TEST

static void enter_with(struct rig *r, unsigned cpu, u64 control, u64 tables, const u64 gpr[16])
{
    struct watch_entry e = {.kind = WATCH_VMX,
                            .control = control,
                            .nested = true,
                            .tables = {.format = WATCH_EPT, .levels = 4, .table = tables + 4 * PAGE_SIZE},
                            .gpr = gpr};
    r->position++;
    watch_entered(r->w, cpu, &e);
}

/* The host is guest 1 on processor 0, the child guest 2 on processor 1. */
static void call(struct rig *r, bool by_host, u64 number, u64 input, u64 result)
{
    u64 gpr[16] = {[1] = number, [2] = input};
    struct watch_exit x = {.cause = WATCH_CAUSE_HYPERCALL, .gpr = gpr, .code64 = true};
    r->position++;
    watch_left(r->w, by_host ? 0 : 1, &x);
    gpr[0] = result;
    enter_with(r, by_host ? 0 : 1, by_host ? 0x1000 : 0x2000, by_host ? A_TABLES : B_TABLES, gpr);
}

/* It asks who runs it, and is told of Hyper-V. */
static void begin(struct rig *r, bool host)
{
    u64 gpr[16] = {0x40000000};
    struct watch_exit x = {.cause = WATCH_CAUSE_CPUID, .gpr = gpr, .code64 = true};
    u64 control = host ? 0x1000 : 0x2000, tables = host ? A_TABLES : B_TABLES;
    enter_with(r, host ? 0 : 1, control, tables, gpr);
    watch_left(r->w, host ? 0 : 1, &x);
    gpr[3] = 0x7263694d; /* Microsoft Hv */
    gpr[1] = 0x666f736f;
    gpr[2] = 0x76482074;
    enter_with(r, host ? 0 : 1, control, tables, gpr);
}

#define CHILD_MEMORY (MEMORY + 0x100000u) /* what the child has at 0 */
#define HOST_MEMORY (MEMORY + 0x200000u)  /* and the host */
#define GPADL 0xe1e10u

static void post(struct rig *r, bool by_host, const u32 *words, unsigned count, u64 result)
{
    struct hv_post_input in = {.connection = 4, .type = 1, .size = 4 * count};
    memcpy(in.payload, words, 4 * (size_t)count);
    phys_write(&r->phys, SPA(by_host ? HOST_MEMORY : CHILD_MEMORY), &in, sizeof in);
    call(r, by_host, HV_CALL_PostMessage, 0, result);
}

static void post_direct(struct rig *r, const u32 *words, unsigned count)
{
    struct hv_post_direct_input in = {.partition = 2};
    struct hv_message m = {.type = 1, .size = (u8)(4 * count)};
    memcpy(m.payload, words, 4 * (size_t)count);
    memcpy(in.message, &m, sizeof m);
    phys_write(&r->phys, SPA(HOST_MEMORY), &in, sizeof in);
    call(r, true, HV_CALL_PostMessageDirect, 0, 0);
}

static bool says(struct rig *r, const char *what)
{
    char *words;
    put_words(r, &words);
    bool found = strstr(words, what) != NULL;
    free(words);
    return found;
}

/* Three pages, 5, 6 and 4, by a header and a body. */
static const u32 header[] = {8, 0, 7, GPADL, 32 | 1 << 16, 3 * PAGE_SIZE, 0, 5, 0, 6, 0};
static const u32 body[] = {9, 0, 0, GPADL, 4, 0};

static struct rig *bus(bool connected)
{
    struct rig *r = rig();
    const struct hv_connect_port_input connect = {.connection = 4};
    make_ept(r, A_TABLES);
    make_ept(r, B_TABLES);
    make_ept(r, D_TABLES);
    map(r, A_TABLES, 0, HOST_MEMORY, 7, 0);
    for (unsigned i = 0; i < 8; i++) {
        map(r, B_TABLES, i, CHILD_MEMORY + i * PAGE_SIZE, 7, 0);
    }
    begin(r, true);
    begin(r, false);
    enter(r, 2, 0x3000, D_TABLES);
    phys_write(&r->phys, SPA(HOST_MEMORY), &connect, sizeof connect);
    if (connected) {
        call(r, true, HV_CALL_ConnectPort, 0, 0);
    }
    return r;
}

/* From the messages that say so until the host says that it is gone; another guest's reach is still a violation. */
START_TEST(gpadl__lasts)
{
    static const u32 down[] = {11, 0, 7, GPADL}, torn[] = {12, 0, GPADL};
    for (unsigned direct = 0; direct < 2; direct++) {
        struct rig *r = bus(true);
        struct watch_share s;
        post(r, false, header, ARRAY_LEN(header), 0);
        post(r, false, body, ARRAY_LEN(body), 0);
        ck_assert(says(r, "declared sharing (VMBus): 3 pages, 0 of them within reach of both"));
        for (unsigned i = 3; i < 7; i++) { /* the host takes one more */
            map(r, A_TABLES, i, CHILD_MEMORY + i * PAGE_SIZE, 3, 0x40 + i);
        }
        ck_assert_uint_eq(watch_share_count(r->w, true), 1);
        ck_assert(watch_share_get(r->w, 0, &s) && !s.declared && s.spa == CHILD_MEMORY + 3 * PAGE_SIZE && s.since.rip == 0x43);
        ck_assert(watch_share_get(r->w, 2, &s) && s.reason == WATCH_REASON_GPADL);
        ck_assert(says(r, "declared sharing (VMBus): 3 pages, 3 of them within reach of both"));
        ck_assert(says(r, "VMBus page 0x306000: guest 2 (write) and guest 1 (write)"));
        map(r, D_TABLES, 0, CHILD_MEMORY + 5 * PAGE_SIZE, 1, 0x50); /* with the child, and with the host */
        ck_assert_uint_eq(watch_share_count(r->w, true), 3);
        map(r, D_TABLES, 0, 0, 0, 0);
        post(r, false, down, ARRAY_LEN(down), 0); /* the host is still at it */
        ck_assert_uint_eq(watch_share_count(r->w, true), 1);
        map(r, A_TABLES, 5, 0, 0, 0);
        map(r, A_TABLES, 6, 0, 0, 0);
        if (direct != 0) { /* gone, it says, but it has kept page 4 */
            post_direct(r, torn, ARRAY_LEN(torn));
        } else {
            post(r, true, torn, ARRAY_LEN(torn), 0);
        }
        ck_assert_uint_eq(watch_share_count(r->w, true), 2);
        ck_assert(!says(r, "VMBus"));
        rig_free(r);
    }
}
END_TEST

/* Without a connection nobody is meant; what a refused call said does not count, and may be said again; a new contact and an
 * unload drop all, when the host answers. */
START_TEST(gpadl__what_counts)
{
    static const u32 contact[] = {14, 0, 0x40000, 0, 0, 0, 0, 0, 0, 0}, version[] = {15, 0, 1, 0}, unload[] = {16, 0}, unloaded[] = {17, 0};
    struct rig *r = bus(false);
    post(r, false, header, ARRAY_LEN(header), 0);
    ck_assert(!says(r, "VMBus"));
    rig_free(r);
    for (unsigned kind = 0; kind < 2; kind++) {
        r = bus(true);
        post(r, false, header, ARRAY_LEN(header), HV_INSUFFICIENT_BUFFERS);
        ck_assert(!says(r, "VMBus"));
        post(r, false, header, ARRAY_LEN(header), 0);
        post(r, false, body, ARRAY_LEN(body), HV_INSUFFICIENT_BUFFERS);
        ck_assert(says(r, "(VMBus): 2 pages"));
        post(r, false, body, ARRAY_LEN(body), 0);
        post(r, false, body, ARRAY_LEN(body), 0); /* one too many */
        ck_assert(says(r, "(VMBus): 3 pages"));
        post(r, false, kind == 0 ? contact : unload, kind == 0 ? 10 : 2, 0);
        ck_assert(says(r, "(VMBus): 3 pages"));
        for (unsigned i = 0; i < 8; i++) { /* its memory is taken away: nothing is shared any more, and nothing has to be taken back */
            map(r, B_TABLES, i, i < 4 ? CHILD_MEMORY + i * PAGE_SIZE : 0, i < 4 ? 7 : 0, 0);
        }
        ck_assert(!says(r, "VMBus"));
        for (unsigned i = 4; i < 8; i++) {
            map(r, B_TABLES, i, CHILD_MEMORY + i * PAGE_SIZE, 7, 0);
        }
        ck_assert(says(r, "(VMBus): 3 pages"));
        post(r, true, kind == 0 ? version : unloaded, kind == 0 ? 4 : 2, 0);
        ck_assert(!says(r, "VMBus"));
        rig_free(r);
    }
}
END_TEST

/* Messages of any content and length, pages that are nowhere: bounded, and a tracker that goes on from what was saved says the same. */
START_TEST(gpadl__hostile)
{
    struct rig *r = bus(true);
    u64 seed = 1;
    for (unsigned n = 0; n < 3000; n++) {
        u32 words[60];
        for (unsigned i = 0; i < 60; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            words[i] = (u32)(seed >> 33) & (n % 3 == 0 ? ~0u : 0x1fu);
        }
        words[8] = words[10] = n % 2 == 0 ? 0 : words[8];
        words[0] = 8 + n % 10;
        post(r, n % 5 == 4, words, (unsigned)(seed >> 40) % 61, n % 7 == 0 ? HV_INSUFFICIENT_BUFFERS : 0);
        map(r, A_TABLES, n % 8 + 1, n % 16 < 8 ? CHILD_MEMORY + n % 8 * PAGE_SIZE : 0, 3, n);
    }
    post(r, false, header, ARRAY_LEN(header), 0);
    struct watch_host host = {.withdraw = withdraw, .now = now, .routes = routes, .violation = violation, .self = r};
    struct state_io io, again;
    char *words[2];
    put_words(r, &words[0]);
    ck_assert(strstr(words[0], "VMBus") != NULL);
    state_init_save(&io);
    watch_state(r->w, &io);
    watch_free(r->w);
    r->w = watch_new(&r->phys, &r->log, NULL, &host);
    state_init_load(&again, io.data, io.len);
    watch_state(r->w, &again);
    ck_assert(!again.failed && again.pos == io.len);
    put_words(r, &words[1]);
    ck_assert_str_eq(words[0], words[1]);
    free(words[0]);
    free(words[1]);
    state_free(&io);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("watch, declared");
    TCase *t = tcase_create("declared");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, declared__of_two);
    tcase_add_test(t, declared__claims);
    tcase_add_test(t, port__pages);
    tcase_add_test(t, gpadl__lasts);
    tcase_add_test(t, gpadl__what_counts);
    tcase_add_test(t, gpadl__hostile);
    suite_add_tcase(s, t);
    return unit_run(s);
}
