/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tracker on tables made by hand: what each format reaches, stores to tables before and while they are
 * in use, sharing and its confirmation, guests of guests, devices, hypercalls. */
#include "tests/harness/watch_rig.h"
#include "unit.h"

#include <string.h>

/* What is there at the first entry, what a store changes while the guest runs, with the instruction. */
START_TEST(owners__follow_tables)
{
    struct rig *r = rig();
    make_ept(r, A_TABLES);
    map(r, A_TABLES, 0, MEMORY, 7, 0);
    enter(r, 0, 0x1000, A_TABLES);
    ck_assert_uint_eq(watch_guest_count(r->w), 1);
    ck_assert_uint_eq(watch_running(r->w, 0), 1);
    ck_assert_uint_eq(rights(r, MEMORY, 1), 7);
    ck_assert_uint_eq(watch_reach(r->w, 1, WATCH_R), 1);
    ck_assert_uint_eq(r->withdrawn, 4); /* four table pages, each once */
    map(r, A_TABLES, 1, MEMORY + PAGE_SIZE, 1, 0x4444);
    u64 position = r->position;
    struct watch_owner o;
    ck_assert_uint_eq(watch_owners(r->w, MEMORY + PAGE_SIZE + 5, &o, 1), 1);
    ck_assert_uint_eq(o.rights, WATCH_R);
    ck_assert_uint_eq(o.since.rip, 0x4444);
    ck_assert_uint_eq(o.since.position, position);
    map(r, A_TABLES, 1, MEMORY + PAGE_SIZE, 3, 0x4448); /* more rights */
    ck_assert_uint_eq(rights(r, MEMORY + PAGE_SIZE, 1), WATCH_R | WATCH_W);
    map(r, A_TABLES, 2, MEMORY, 1, 0);                     /* an alias */
    map(r, A_TABLES, 0, 0, 0, 0);
    ck_assert_uint_eq(rights(r, MEMORY, 1), WATCH_R);
    ck_assert_uint_eq(watch_reach(r->w, 1, WATCH_W), 1);
    ck_assert_uint_eq(watch_guest(r->w, 1)->most, 2);
    store(r, A_TABLES + 3 * PAGE_SIZE, 0, 0); /* all below is gone, and its pages are no tables */
    ck_assert_uint_eq(watch_reach(r->w, 1, WATCH_R), 0);
    ck_assert_uint_eq(r->phys.pages[(A_TABLES + PAGE_SIZE) >> PAGE_SHIFT].flags & PAGE_TRACKED, 0);
    store(r, A_TABLES + 3 * PAGE_SIZE, (A_TABLES + 2 * PAGE_SIZE) | 5, 0); /* back, without write */
    ck_assert_uint_eq(rights(r, MEMORY + PAGE_SIZE, 1), WATCH_R);
    rig_free(r);
}
END_TEST

START_TEST(owners__formats)
{
    static const struct {
        enum watch_format format;
        u8 levels;
        u64 table, leaf, large;
        u8 expected;
    } rows[] = {
        {WATCH_EPT, 4, 7, 3, 0x83, WATCH_R | WATCH_W},
        {WATCH_X86, 4, 7, 7, 0x87, WATCH_R | WATCH_W | WATCH_X},
        {WATCH_X86, 4, 7, 5 | BIT(63), 0x85 | BIT(63), WATCH_R},
        {WATCH_PAE, 3, 7, 7, 0x87, WATCH_R | WATCH_W | WATCH_X},
        {WATCH_VTD, 3, 3, 1, 0x81, WATCH_R},
        {WATCH_AMD, 3, 3 * BIT(61) | 1, 3 * BIT(61) | 1, 3 * BIT(61) | 1, WATCH_R | WATCH_W},
    };
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig *r = rig();
        for (u64 level = rows[i].levels; level > 1; level--) {
            u64 next = rows[i].format == WATCH_AMD ? (level - 1) << 9 : 0;
            u64 flags = rows[i].format == WATCH_PAE && level == 3 ? 1 : rows[i].table | next;
            store(r, A_TABLES + level * PAGE_SIZE, (A_TABLES + (level - 1) * PAGE_SIZE) | flags, 0);
        }
        store(r, A_TABLES + PAGE_SIZE + 8, MEMORY | rows[i].leaf, 0);
        store(r, A_TABLES + 2 * PAGE_SIZE + 8, MIB(4) | rows[i].large, 0); /* 2 MiB */
        struct watch_entry e = {
            .kind = WATCH_SVM,
            .control = 0x1000,
            .nested = true,
            .tables = {rows[i].format, rows[i].levels, A_TABLES + rows[i].levels * PAGE_SIZE}};
        watch_entered(r->w, 0, &e);
        ck_assert_uint_eq(rights(r, MEMORY, 1), rows[i].expected);
        ck_assert_uint_eq(rights(r, MIB(4), 1), rows[i].expected);
        ck_assert_uint_eq(rights(r, MIB(6) - 1, 1), rows[i].expected);
        ck_assert_uint_eq(rights(r, MIB(6), 1), 0);
        ck_assert_uint_eq(watch_reach(r->w, 1, WATCH_R), 513);
        store(r, A_TABLES + 2 * PAGE_SIZE + 8, 0, 0);
        ck_assert_uint_eq(watch_reach(r->w, 1, WATCH_R), 1);
        rig_free(r);
    }
}
END_TEST

/* 32-bit tables: two entries to eight bytes, each for itself; 4 MiB pages. */
START_TEST(owners__narrow_entries)
{
    struct rig *r = rig();
    store(r, A_TABLES + 2 * PAGE_SIZE, (A_TABLES + PAGE_SIZE) | 7 | (u64)(MIB(4) | 0x87) << 32, 0);
    store(r, A_TABLES + PAGE_SIZE, (u64)(MEMORY | 5) << 32 | (MEMORY + PAGE_SIZE) | 7, 0);
    struct watch_entry e = {.kind = WATCH_SVM,
                            .control = 0x1000,
                            .nested = true,
                            .tables = {WATCH_X86_32, 2, A_TABLES + 2 * PAGE_SIZE}};
    watch_entered(r->w, 0, &e);
    ck_assert_uint_eq(rights(r, MEMORY, 1), WATCH_R | WATCH_X);
    ck_assert_uint_eq(rights(r, MEMORY + PAGE_SIZE, 1), 7);
    ck_assert_uint_eq(watch_reach(r->w, 1, WATCH_R), 2 + 1024);
    phys_write_scalar(&r->phys, SPA(A_TABLES + PAGE_SIZE + 4), 0, 4);
    ck_assert_uint_eq(rights(r, MEMORY, 1), 0);
    ck_assert_uint_eq(rights(r, MEMORY + PAGE_SIZE, 1), 7);
    rig_free(r);
}
END_TEST

/* A page of both, writable by one: a violation at the moment both sides were in use since. */
START_TEST(sharing__confirmed_by_use)
{
    struct rig *r = rig();
    make_ept(r, A_TABLES);
    make_ept(r, B_TABLES);
    map(r, A_TABLES, 0, MEMORY, 3, 0);
    enter(r, 0, 0x1000, A_TABLES);
    leave(r, 0, WATCH_CAUSE_OTHER);
    enter(r, 0, 0x2000, B_TABLES);
    ck_assert_uint_eq(watch_guest_count(r->w), 2);
    map(r, B_TABLES, 7, MEMORY, 1, 0x7777);
    u64 position = r->position;
    ck_assert_uint_eq(watch_share_count(r->w, false), 1);
    ck_assert_uint_eq(r->violations, 0); /* A has not run since */
    leave(r, 0, WATCH_CAUSE_OTHER);
    enter(r, 0, 0x1000, A_TABLES);
    ck_assert_uint_eq(r->violations, 1);
    ck_assert_uint_eq(r->last.spa, MEMORY);
    ck_assert_uint_eq(r->last.a.guest, 1);
    ck_assert_uint_eq(r->last.b.guest, 2);
    ck_assert_uint_eq(r->last.since.rip, 0x7777);
    ck_assert_uint_eq(r->last.since.position, position);
    ck_assert(r->last.confirmed);
    struct watch_share s;
    ck_assert(watch_share_get(r->w, 0, &s));
    ck_assert_uint_eq(s.spa, MEMORY);
    ck_assert(!watch_share_get(r->w, 1, &s));
    leave(r, 0, WATCH_CAUSE_OTHER);
    map(r, B_TABLES, 7, 0, 0, 0); /* over: at once, though B does not run */
    ck_assert_uint_eq(watch_share_count(r->w, true), 0);
    rig_free(r);
}
END_TEST

/* While both run, on two processors, the store itself confirms. Readers alone do no harm; declared
 * memory is nobody's business. */
START_TEST(sharing__rules)
{
    struct rig *r = rig();
    make_ept(r, A_TABLES);
    make_ept(r, B_TABLES);
    enter(r, 0, 0x1000, A_TABLES);
    enter(r, 1, 0x2000, B_TABLES);
    map(r, A_TABLES, 0, MEMORY, 1, 0);
    map(r, B_TABLES, 0, MEMORY, 5, 0);
    ck_assert_uint_eq(watch_share_count(r->w, false) + watch_share_count(r->w, true), 0);
    map(r, B_TABLES, 0, MEMORY, 7, 0x5555); /* one may write now */
    ck_assert_uint_eq(watch_share_count(r->w, true), 1);
    ck_assert_uint_eq(r->violations, 1);
    ck_assert_uint_eq(r->last.since.rip, 0x5555);
    watch_declare_shared(r->w, MEMORY + PAGE_SIZE, PAGE_SIZE);
    map(r, A_TABLES, 1, MEMORY + PAGE_SIZE, 3, 0);
    map(r, B_TABLES, 1, MEMORY + PAGE_SIZE, 3, 0);
    ck_assert_uint_eq(watch_share_count(r->w, true), 1);
    /* One guest with two virtual processors shares with itself. */
    enter(r, 2, 0x3000, A_TABLES);
    ck_assert_uint_eq(watch_guest_count(r->w), 2);
    ck_assert_uint_eq(watch_guest(r->w, 1)->controls, 2);
    rig_free(r);
}
END_TEST

/* Tables of a guest that is gone become ordinary memory: what looks like entries counts for nothing. */
START_TEST(sharing__dead_tables)
{
    struct rig *r = rig();
    make_ept(r, A_TABLES);
    make_ept(r, B_TABLES);
    map(r, A_TABLES, 0, MEMORY, 3, 0);
    enter(r, 0, 0x1000, A_TABLES);
    leave(r, 0, WATCH_CAUSE_OTHER);
    for (u64 at = 0; at < PAGE_SIZE; at += 8) { /* its page tables, used again for data */
        store(r, A_TABLES + PAGE_SIZE + at, (MEMORY + at * 512) | 7, 0);
    }
    enter(r, 0, 0x2000, B_TABLES);
    for (unsigned i = 0; i < 16; i++) {
        map(r, B_TABLES, i, MEMORY + i * PAGE_SIZE, 7, 0);
    }
    ck_assert_uint_eq(watch_share_count(r->w, true), 0);
    ck_assert_uint_eq(r->violations, 0);
    ck_assert_uint_eq(rights(r, MEMORY, 1), 0); /* what was mapped vanished at once */
    leave(r, 0, WATCH_CAUSE_OTHER);
    /* Entered after all, it reaches what its tables say. */
    enter(r, 0, 0x1000, A_TABLES);
    ck_assert_uint_eq(rights(r, MEMORY, 1), 7);
    ck_assert_uint_eq(r->violations, 0); /* the other side has not run since */
    leave(r, 0, WATCH_CAUSE_OTHER);
    enter(r, 0, 0x2000, B_TABLES);
    ck_assert_uint_eq(r->violations, 16);
    rig_free(r);
}
END_TEST

START_TEST(levels__guest_of_guest)
{
    struct rig *r = rig();
    make_ept(r, A_TABLES);
    make_ept(r, B_TABLES);
    enter(r, 0, 0x1000, A_TABLES);
    map(r, A_TABLES, 0, MEMORY, 7, 0);
    leave(r, 0, WATCH_CAUSE_ENTRY); /* it wants to run a guest: */
    enter(r, 0, 0x2000, B_TABLES);
    ck_assert_uint_eq(watch_guest(r->w, 2)->parent, 1);
    map(r, B_TABLES, 0, MEMORY, 7, 0); /* its hypervisor's memory is its own affair */
    ck_assert_uint_eq(watch_share_count(r->w, true) + watch_share_count(r->w, false), 0);
    leave(r, 0, WATCH_CAUSE_OTHER);
    enter(r, 0, 0x1000, A_TABLES);
    leave(r, 0, WATCH_CAUSE_OTHER);
    make_ept(r, D_TABLES);
    enter(r, 0, 0x3000, D_TABLES); /* nobody asked for it: a sibling */
    ck_assert_uint_eq(watch_guest(r->w, 3)->parent, 0);
    ck_assert_uint_eq(watch_guest(r->w, 1)->entries, 2);
    rig_free(r);
}
END_TEST

/* A device belongs to the first guest whose memory it reaches; another's is a violation at once. */
START_TEST(devices__foreign)
{
    struct rig *r = rig();
    make_ept(r, A_TABLES);
    make_ept(r, B_TABLES);
    for (u64 level = 3; level > 1; level--) {
        store(r, D_TABLES + level * PAGE_SIZE, (D_TABLES + (level - 1) * PAGE_SIZE) | 3, 0);
    }
    r->route = (struct watch_route){.kind = WATCH_ROUTE_TABLES,
                                    .tables = {WATCH_VTD, 3, D_TABLES + 3 * PAGE_SIZE},
                                    .rights = WATCH_R | WATCH_W,
                                    .used = {ROUTES},
                                    .used_count = 1};
    r->devices = 1;
    map(r, A_TABLES, 0, MEMORY, 7, 0);
    map(r, B_TABLES, 0, MEMORY + PAGE_SIZE, 7, 0);
    map(r, D_TABLES, 0, MEMORY, 3, 0);
    enter(r, 0, 0x1000, A_TABLES);
    ck_assert_uint_eq(r->route_questions, 1);
    leave(r, 0, WATCH_CAUSE_OTHER);
    enter(r, 0, 0x2000, B_TABLES);
    ck_assert_uint_eq(r->violations, 0);
    map(r, D_TABLES, 1, MEMORY + PAGE_SIZE, 1, 0x9999); /* B's, to read */
    ck_assert_uint_eq(watch_share_count(r->w, true), 1);
    ck_assert_uint_eq(r->last.since.rip, 0x9999);
    ck_assert(r->last.b.device);
    ck_assert_uint_eq(r->last.b.requester, 0x10);
    ck_assert_uint_eq(r->last.b.guest, 1);
    /* The table that says so is written: asked again at the next entry; the tables are let go. */
    leave(r, 0, WATCH_CAUSE_OTHER);
    r->route = (struct watch_route){.kind = WATCH_ROUTE_BLOCKED, .used = {ROUTES}, .used_count = 1};
    store(r, ROUTES, 1, 0);
    enter(r, 0, 0x1000, A_TABLES);
    ck_assert_uint_eq(r->route_questions, 2);
    ck_assert_uint_eq(watch_share_count(r->w, true), 0);
    struct watch_owner o[4];
    ck_assert_uint_eq(watch_owners(r->w, MEMORY, o, 4), 1);
    rig_free(r);
}
END_TEST

/* A hypercall's interface is what CPUID told; it lasts until the caller runs again; a call of another
 * guest meanwhile is its child. */
START_TEST(causes__hypercalls)
{
    struct rig *r = rig();
    u64 gpr[16] = {0};
    struct watch_exit x = {.gpr = gpr, .code64 = true};
    struct watch_entry e = {.kind = WATCH_VMX, .control = 0x1000, .gpr = gpr};
    watch_entered(r->w, 0, &e);
    gpr[0] = 0x40000000;
    x.cause = WATCH_CAUSE_CPUID;
    watch_left(r->w, 0, &x);
    gpr[3] = 0x4b4d564b; /* KVMKVMKVM in EBX, ECX, EDX */
    gpr[1] = 0x564b4d56;
    gpr[2] = 0x4d;
    watch_entered(r->w, 0, &e);
    ck_assert_uint_eq(watch_guest(r->w, 1)->abis, 1u << WATCH_ABI_KVM);
    static const u32 xen[3] = {0x566e6558, 0x65584d4d, 0x4d4d566e}; /* XenVMMXenVMM */
    for (unsigned leaf = 0x40000004; leaf != 0; leaf = leaf == 0x40000004 ? 0x40000100 : leaf == 0x40000100 ? 0x40000104 : 0) {
        gpr[0] = leaf;
        watch_left(r->w, 0, &x);
        gpr[0] = 0x10;
        gpr[3] = leaf == 0x40000100 ? xen[0] : 0;
        gpr[1] = leaf == 0x40000100 ? xen[1] : 17;
        gpr[2] = leaf == 0x40000100 ? xen[2] : 0;
        watch_entered(r->w, 0, &e);
        ck_assert_str_eq(watch_guest(r->w, 1)->name, leaf == 0x40000104 ? "domain 17" : ""); /* Xen's alone counts */
    }
    gpr[0] = 10;
    x.cause = WATCH_CAUSE_HYPERCALL;
    watch_left(r->w, 0, &x);
    watch_entered(r->w, 0, &e);
    ck_assert_uint_eq(watch_guest(r->w, 1)->hypercalls, 1);
    ck_assert_str_eq(watch_abi_name(WATCH_ABI_HYPERV), "Hyper-V");
    rig_free(r);
}
END_TEST

static void hand_over(struct rig *r, const u64 left[16], u64 control, u64 tables, const u64 entered[16])
{
    struct watch_exit x = {.cause = WATCH_CAUSE_HYPERCALL, .gpr = left, .code64 = true};
    struct watch_entry e = {.kind = WATCH_VMX,
                            .control = control,
                            .nested = true,
                            .tables = {.format = WATCH_EPT, .levels = 4, .table = tables + 4 * PAGE_SIZE},
                            .gpr = entered};
    watch_left(r->w, 0, &x);
    r->position++;
    watch_entered(r->w, 0, &e);
}

/* A virtual processor that begins with the registers of one that left by a hypercall, all but RAX, RCX and RSP, is a lower
 * trust level of that one's guest: what they share is no violation. Registers that are merely fresh, or one that differs, are no evidence. */
START_TEST(levels__trust)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        struct rig *r = rig();
        u64 left[16] = {0}, entered[16] = {0};
        make_ept(r, A_TABLES);
        make_ept(r, B_TABLES);
        map(r, A_TABLES, 0, MEMORY, 3, 0);
        map(r, B_TABLES, 0, MEMORY, 3, 0);
        for (unsigned i = 8; i < 16 && kind != 1; i++) {
            left[i] = entered[i] = 0x1000u + i;
        }
        left[0] = 7; /* RAX, RCX and RSP are the switch's own */
        left[1] = 0x12;
        left[4] = 0x8000;
        entered[12] += kind == 2 ? 1 : 0;
        enter(r, 0, 0x1000, A_TABLES);
        hand_over(r, left, 0x2000, B_TABLES, entered);
        ck_assert_uint_eq(watch_guest_count(r->w), 2);
        ck_assert_uint_eq(watch_guest(r->w, 2)->level_of, kind == 0 ? 1 : 0);
        leave(r, 0, WATCH_CAUSE_OTHER);
        enter(r, 0, 0x1000, A_TABLES);
        ck_assert_uint_eq(r->violations, kind == 0 ? 0 : 1);
        rig_free(r);
    }
}
END_TEST

/* A virtual processor with new tables whose old ones were emptied: the same guest when it goes on where it left, another one
 * in a page used again when it does not. */
START_TEST(levels__new_tables)
{
    for (unsigned kind = 0; kind < 4; kind++) {
        static const u64 begins[] = {0x7002, 0x7000, 0x7000, 0x1000}; /* further, again, again with nothing to tell, elsewhere */
        struct rig *r = rig();
        u64 gpr[16] = {0, 0, 3, 4, 0x8000};
        gpr[2] = kind == 2 ? 0 : 3;
        struct watch_exit x = {.cause = WATCH_CAUSE_CPUID, .gpr = gpr, .rip = 0x7000};
        struct watch_entry e = {.kind = WATCH_SVM,
                                .control = 0x1000,
                                .nested = true,
                                .tables = {.format = WATCH_EPT, .levels = 4, .table = A_TABLES + 4 * PAGE_SIZE},
                                .gpr = gpr,
                                .rip = 0x6000};
        make_ept(r, A_TABLES);
        make_ept(r, B_TABLES);
        map(r, A_TABLES, 0, MEMORY, 3, 0);
        watch_entered(r->w, 0, &e);
        watch_left(r->w, 0, &x);
        map(r, A_TABLES, 0, 0, 0, 0);
        gpr[0] = 1; /* the answer */
        e.rip = begins[kind];
        e.tables.table = B_TABLES + 4 * PAGE_SIZE;
        watch_entered(r->w, 0, &e);
        ck_assert_uint_eq(watch_guest_count(r->w), kind < 2 ? 1 : 2);
        ck_assert_uint_eq(watch_running(r->w, 0), kind < 2 ? 1 : 2);
        rig_free(r);
    }
}
END_TEST

/* Xen maps a page of another guest while it answers a call to do so, or without one: the first was declared by a grant. */
START_TEST(sharing__grants)
{
    static const u64 calls[][2] = {{20, 0}, {20, 1}, {32, 0}};
    for (unsigned kind = 0; kind < ARRAY_LEN(calls); kind++) {
        struct rig *r = rig();
        u64 gpr[16] = {0};
        struct watch_exit x = {.cause = WATCH_CAUSE_CPUID, .gpr = gpr, .code64 = true};
        struct watch_entry e = {.kind = WATCH_VMX,
                                .control = 0x1000,
                                .nested = true,
                                .tables = {.format = WATCH_EPT, .levels = 4, .table = A_TABLES + 4 * PAGE_SIZE},
                                .gpr = gpr};
        make_ept(r, A_TABLES);
        make_ept(r, B_TABLES);
        map(r, B_TABLES, 0, MEMORY, 3, 0);
        watch_entered(r->w, 0, &e);
        gpr[0] = 0x40000000;
        watch_left(r->w, 0, &x);
        gpr[3] = 0x566e6558;
        gpr[1] = 0x65584d4d;
        gpr[2] = 0x4d4d566e;
        watch_entered(r->w, 0, &e);
        gpr[0] = calls[kind][0];
        gpr[7] = calls[kind][1]; /* RDI */
        x.cause = WATCH_CAUSE_HYPERCALL;
        watch_left(r->w, 0, &x);
        map(r, A_TABLES, 0, MEMORY, 3, 0x77);
        watch_entered(r->w, 0, &e);
        leave(r, 0, WATCH_CAUSE_OTHER);
        enter(r, 1, 0x2000, B_TABLES);
        watch_entered(r->w, 0, &e);
        struct watch_share s;
        ck_assert(watch_share_get(r->w, 0, &s));
        ck_assert_int_eq(s.declared, kind == 0);
        ck_assert_uint_eq(watch_share_count(r->w, true), kind == 0 ? 0 : 1);
        ck_assert_uint_eq(r->violations, kind == 0 ? 0 : 1);
        map(r, A_TABLES, 0, 0, 0, 0); /* given back, and then taken without asking */
        ck_assert(!watch_share_get(r->w, 0, &s));
        map(r, A_TABLES, 0, MEMORY, 3, 0x78);
        ck_assert_uint_eq(watch_share_count(r->w, true), 1);
        ck_assert(watch_share_get(r->w, 0, &s) && !s.declared && s.since.rip == 0x78);
        rig_free(r);
    }
}
END_TEST

/* The tracker of another process goes on with what this one saved. */
static bool go_on(struct rig *r, const u8 *data, size_t size)
{
    struct watch_host host = {
        .withdraw = withdraw, .now = now, .routes = routes, .violation = violation, .self = r};
    struct state_io io;
    watch_free(r->w);
    r->w = watch_new(&r->phys, &r->log, NULL, &host);
    state_init_load(&io, data, size);
    watch_state(r->w, &io);
    return !io.failed && io.pos == size;
}

static void save(struct rig *r, struct state_io *io)
{
    state_init_save(io);
    watch_state(r->w, io);
}

/* Saved and restored between any two steps, it ends with the same words, and saves the same again. */
START_TEST(state__goes_on)
{
    char *words[2];
    for (unsigned again = 0; again < 2; again++) {
        struct rig *r = rig();
        r->devices = 1;
        r->route = (struct watch_route){.kind = WATCH_ROUTE_TABLES,
                                        .tables = {.format = WATCH_VTD, .levels = 4, .table = D_TABLES + 4 * PAGE_SIZE},
                                        .rights = 3,
                                        .used = {ROUTES},
                                        .used_count = 1};
        make_ept(r, A_TABLES);
        make_ept(r, B_TABLES);
        make_ept(r, D_TABLES);
        for (unsigned step = 0; step < 12; step++) {
            u64 guest = step % 2 == 0 ? 0x1000 : 0x2000, tables = step % 2 == 0 ? A_TABLES : B_TABLES;
            map(r, tables, step, MEMORY + step * PAGE_SIZE, 7, step);
            map(r, D_TABLES, step, MEMORY + step * PAGE_SIZE, 3, step);
            enter(r, 0, guest, tables);
            map(r, tables, 20, MEMORY + 20 * PAGE_SIZE, step < 6 ? 1 : 3, 100 + step);
            leave(r, 0, WATCH_CAUSE_HYPERCALL);
            map(r, tables, 30 + step, MEMORY + 5 * PAGE_SIZE, 7, 200 + step);
            if (again != 0) {
                struct state_io io, second;
                char *said;
                put_words(r, &said); /* which changes nothing */
                free(said);
                save(r, &io);
                ck_assert(go_on(r, io.data, io.len));
                save(r, &second);
                ck_assert_uint_eq(second.len, io.len);
                ck_assert_mem_eq(second.data, io.data, io.len);
                state_free(&io);
                state_free(&second);
            }
        }
        ck_assert_uint_gt(watch_share_count(r->w, true), 0);
        ck_assert_uint_gt(r->violations, 0);
        put_words(r, &words[again]);
        rig_free(r);
    }
    ck_assert_str_eq(words[0], words[1]);
    free(words[0]);
    free(words[1]);
}
END_TEST

/* A stream of anything: refused, or one that nothing comes to harm by. */
START_TEST(state__hostile)
{
    struct rig *r = rig();
    struct state_io io;
    make_ept(r, A_TABLES);
    map(r, A_TABLES, 0, MEMORY, 7, 0);
    enter(r, 0, 0x1000, A_TABLES);
    save(r, &io);
    unsigned refused = 0;
    for (size_t at = 0; at < io.len; at += at < 600 || at > io.len - 1500 ? 1 : 101) {
        u8 was = io.data[at];
        io.data[at] ^= (u8)(1u << at % 8);
        refused += go_on(r, io.data, io.len) ? 0 : 1;
        map(r, A_TABLES, 1, MEMORY + PAGE_SIZE, 7, 0);
        leave(r, 0, WATCH_CAUSE_HYPERCALL);
        enter(r, 0, 0x1000, A_TABLES);
        map(r, A_TABLES, 1, 0, 0, 0);
        io.data[at] = was;
    }
    ck_assert_uint_gt(refused, 100);
    for (size_t n = 0; n < io.len; n += 97) {
        ck_assert(!go_on(r, io.data, n));
        ck_assert_uint_eq(watch_guest_count(r->w), 0);
    }
    state_free(&io);
    rig_free(r);
}
END_TEST

/* Tables that lead to themselves, to nowhere, everywhere to the same: bounded, and nothing breaks. */
START_TEST(tables__hostile)
{
    struct rig *r = rig();
    for (unsigned i = 0; i < 512; i++) {
        store(r, A_TABLES + 4 * PAGE_SIZE + 8 * i, (A_TABLES + (i & 1) * PAGE_SIZE * 4) | 7, 0);
        store(r, A_TABLES + 8 * i, i == 0 ? A_TABLES | 7 : ~(u64)0, 0);
    }
    enter(r, 0, 0x1000, A_TABLES);
    for (unsigned i = 0; i < 200; i++) {
        store(r, A_TABLES + (i * 0x888) % 0x5000 / 8 * 8, i % 3 == 0 ? 0 : A_TABLES | 7, i);
    }
    (void)watch_reach(r->w, 1, WATCH_R);
    leave(r, 0, WATCH_CAUSE_OTHER);
    watch_forget(r->w);
    ck_assert_uint_eq(watch_guest_count(r->w), 0);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("watch");
    TCase *t = tcase_create("watch");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, owners__follow_tables);
    tcase_add_test(t, owners__formats);
    tcase_add_test(t, owners__narrow_entries);
    tcase_add_test(t, sharing__confirmed_by_use);
    tcase_add_test(t, sharing__rules);
    tcase_add_test(t, sharing__dead_tables);
    tcase_add_test(t, levels__guest_of_guest);
    tcase_add_test(t, devices__foreign);
    tcase_add_test(t, causes__hypercalls);
    tcase_add_test(t, levels__trust);
    tcase_add_test(t, levels__new_tables);
    tcase_add_test(t, sharing__grants);
    tcase_add_test(t, state__goes_on);
    tcase_add_test(t, state__hostile);
    tcase_add_test(t, tables__hostile);
    suite_add_tcase(s, t);
    return unit_run(s);
}
