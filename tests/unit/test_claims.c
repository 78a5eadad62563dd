/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Claims of the trace port against what the tracker derived: one Xen call of a lower trust level, told rightly, and wrongly in every way. */
#include "abi/hyperv/hypercall.h"
#include "abi/trace_port.h"
#include "tests/harness/watch_rig.h"
#include "unit.h"

#include <string.h>

#define ROOT 0x1000u /* their VMCSs */
#define UPPER 0x2000u
#define LOWER 0x3000u
#define STRANGER 0x4000u
enum { AX, CX, DX, BX, DI = 7 };

static void enter_level(struct rig *r, u64 control, const u64 *gpr)
{
    struct watch_entry e = {.kind = WATCH_VMX,
                            .control = control,
                            .nested = true,
                            .tables = {.format = WATCH_EPT, .levels = 4, .table = 0x100000 + control},
                            .gpr = gpr,
                            .rip = 3};
    r->position++;
    watch_entered(r->w, 0, &e);
}

static void leave_level(struct rig *r, enum watch_cause cause, const u64 *gpr)
{
    struct watch_exit x = {.cause = cause, .gpr = gpr, .code64 = true};
    r->position++;
    watch_left(r->w, 0, &x);
}

static void tell_interface(struct rig *r, u64 control, u64 *gpr, const u32 signature[3])
{
    u64 answer[16];
    gpr[AX] = 0x40000000;
    leave_level(r, WATCH_CAUSE_CPUID, gpr);
    memcpy(answer, gpr, sizeof answer);
    answer[BX] = signature[0];
    answer[CX] = signature[1];
    answer[DX] = signature[2];
    enter_level(r, control, answer);
}

static enum watch_verdict claim(struct rig *r, u32 type, u32 writers, u64 a, u64 b, u64 c, u64 d, u64 e)
{
    const u64 field[TRACE_PORT_FIELDS] = {a, b, c, d, e, 0};
    const struct watch_claim it = {.type = type, .writers = writers, .field = field, .payload = (const u8 *)"xen", .size = 3};
    return watch_claim(r->w, 0, &it);
}
#define H TRACE_PORT_HYPERVISOR
#define R TRACE_PORT_ROOT
#define V TRACE_PORT_PARAVISOR

/* The root ran; a guest with two trust levels is there, the lower one runs and knows Xen, the upper one Hyper-V. */
static struct rig *levels(u64 gpr[16])
{
    static const u32 xen[3] = {0x566e6558, 0x65584d4d, 0x4d4d566e}, hyperv[3] = {0x7263694d, 0x666f736f, 0x76482074};
    struct rig *r = rig();
    memset(gpr, 0, 16 * sizeof gpr[0]);
    for (unsigned i = 8; i < 16; i++) {
        gpr[i] = 0x1000 + i;
    }
    enter_level(r, ROOT, gpr);
    leave_level(r, WATCH_CAUSE_OTHER, gpr);
    gpr[9] = 0;
    enter_level(r, UPPER, gpr);
    tell_interface(r, UPPER, gpr, hyperv);
    leave_level(r, WATCH_CAUSE_HYPERCALL, gpr);
    enter_level(r, LOWER, gpr);
    tell_interface(r, LOWER, gpr, xen);
    ck_assert_uint_eq(watch_guest(r->w, 3)->level_of, 2);
    return r;
}

/* The lower one calls (29, 2); the upper one runs. */
static void xen_call(struct rig *r, u64 gpr[16])
{
    gpr[AX] = 29;
    gpr[DI] = 2;
    leave_level(r, WATCH_CAUSE_HYPERCALL, gpr);
    enter_level(r, UPPER, gpr);
}

static void hyperv_call(struct rig *r, u64 gpr[16], u64 code, u64 result)
{
    u64 at_call[16];
    memcpy(at_call, gpr, sizeof at_call);
    at_call[CX] = code;
    leave_level(r, WATCH_CAUSE_HYPERCALL, at_call);
    at_call[AX] = result;
    enter_level(r, UPPER, at_call);
}

static void give_back(struct rig *r, u64 gpr[16], u64 result)
{
    u64 at_call[16];
    memcpy(at_call, gpr, sizeof at_call);
    at_call[AX] = 0;
    at_call[CX] = 0x12; /* VtlReturn */
    leave_level(r, WATCH_CAUSE_HYPERCALL, at_call);
    gpr[AX] = result;
    enter_level(r, LOWER, gpr);
}

START_TEST(claims__right)
{
    u64 gpr[16];
    struct rig *r = levels(gpr);
    xen_call(r, gpr);
    ck_assert_uint_eq(claim(r, CLAIM_translation_begun, V, 77, 29, 2, 0, 0), WATCH_CLAIM_AGREES);
    ck_assert_uint_eq(claim(r, CLAIM_translation_child, V, 77, HV_CALL_PostMessage, 0, 0, 0), WATCH_CLAIM_TAKEN);
    hyperv_call(r, gpr, HV_CALL_PostMessage, 0);
    ck_assert_uint_eq(claim(r, CLAIM_translation_ended, V, 77, 5, 1, 0, 0), WATCH_CLAIM_AGREES);
    give_back(r, gpr, 5);
    const struct watch_claims *c = watch_claims(r->w);
    ck_assert_uint_eq(c->taken, 3);
    ck_assert_uint_eq(c->refused, 0);
    ck_assert_uint_eq(c->differ, 0);
    ck_assert_uint_eq(c->compared, 4); /* which call, its child, how many, the result */
    rig_free(r);
}
END_TEST

/* What the paravisor can say wrongly of one call, one thing at a time. */
START_TEST(claims__lies)
{
    enum { NUMBER, COMMAND, CODE, PARENT, SILENT, NEVER_MADE, COUNT, RESULT, TWICE, LIES };
    for (unsigned lie = 0; lie < LIES; lie++) {
        u64 gpr[16];
        struct rig *r = levels(gpr);
        xen_call(r, gpr);
        (void)claim(r, CLAIM_translation_begun, V, 77, lie == NUMBER ? 30 : 29, lie == COMMAND ? 3 : 2, 0, 0);
        if (lie == TWICE) {
            (void)claim(r, CLAIM_translation_begun, V, 78, 29, 2, 0, 0);
        }
        if (lie != SILENT) {
            (void)claim(r, CLAIM_translation_child, V, lie == PARENT ? 76 : 77,
                        lie == CODE ? HV_CALL_SignalEvent : HV_CALL_PostMessage, 0, 0, 0);
        }
        if (lie != NEVER_MADE) {
            hyperv_call(r, gpr, HV_CALL_PostMessage, 0);
        }
        (void)claim(r, CLAIM_translation_ended, V, 77, lie == RESULT ? 6 : 5, lie == COUNT ? 2 : lie == NEVER_MADE ? 0 : 1, 0, 0);
        give_back(r, gpr, 5);
        ck_assert_msg(watch_claims(r->w)->differ != 0, "lie %u went by", lie);
        rig_free(r);
    }
}
END_TEST

/* A call after the lower level was let go again is not for its call, and is not to be announced. */
START_TEST(claims__answered)
{
    u64 gpr[16];
    struct rig *r = levels(gpr);
    xen_call(r, gpr);
    ck_assert_uint_eq(claim(r, CLAIM_translation_begun, V, 77, 29, 2, 0, 0), WATCH_CLAIM_AGREES);
    ck_assert_uint_eq(claim(r, CLAIM_translation_ended, V, 77, 5, 0, 0, 0), WATCH_CLAIM_AGREES);
    u64 back[16];
    memcpy(back, gpr, sizeof back);
    back[CX] = 0x12;
    leave_level(r, WATCH_CAUSE_HYPERCALL, back); /* the lower level halts: it is not entered */
    enter_level(r, UPPER, gpr);                  /* an interrupt */
    hyperv_call(r, gpr, HV_CALL_AssertVirtualInterrupt, 0);
    ck_assert_uint_eq(watch_claims(r->w)->differ, 0);
    give_back(r, gpr, 5);
    ck_assert_uint_eq(watch_claims(r->w)->differ, 0);
    rig_free(r);
}
END_TEST

/* The hypervisor's word about the call it answers: who makes it, which, and what comes of it. */
START_TEST(claims__hypervisor)
{
    enum { NOTHING, CODE, VP, RESULT, CASES };
    for (unsigned lie = 0; lie < CASES; lie++) {
        u64 gpr[16];
        struct rig *r = levels(gpr);
        xen_call(r, gpr);
        u64 at_call[16];
        memcpy(at_call, gpr, sizeof at_call);
        at_call[CX] = HV_CALL_PostMessage;
        leave_level(r, WATCH_CAUSE_HYPERCALL, at_call);
        ck_assert_uint_eq(claim(r, CLAIM_vp_named, H, 4, 0, 2, UPPER, 0), WATCH_CLAIM_TAKEN);
        (void)claim(r, CLAIM_call_begun, H, 4, lie == VP ? 1 : 0, 2, lie == CODE ? HV_CALL_SignalEvent : HV_CALL_PostMessage, 0);
        (void)claim(r, CLAIM_call_ended, H, 4, 0, 2, HV_CALL_PostMessage, lie == RESULT ? 6 : 0);
        at_call[AX] = 0;
        enter_level(r, UPPER, at_call);
        ck_assert_uint_eq(watch_claims(r->w)->differ, lie == NOTHING ? 0 : 1);
        ck_assert(watch_guest(r->w, 2)->claimed);
        ck_assert_uint_eq(watch_guest(r->w, 2)->partition, 4);
        ck_assert_uint_eq(watch_guest(r->w, 2)->vtl, 2);
        rig_free(r);
    }
}
END_TEST

/* Each of the three says what is its to say; nobody else anything. */
START_TEST(claims__who)
{
    u64 gpr[16];
    struct rig *r = levels(gpr);
    const struct watch_claims *c = watch_claims(r->w);
    for (u32 who = H; who <= V; who <<= 1) { /* the lower level runs */
        ck_assert_uint_eq(claim(r, CLAIM_partition_named, who, 4, 0, 0, 0, 0), WATCH_CLAIM_REFUSED);
    }
    leave_level(r, WATCH_CAUSE_OTHER, gpr);
    ck_assert_uint_eq(claim(r, CLAIM_partition_named, R, 4, 0, 0, 0, 0), WATCH_CLAIM_REFUSED); /* the hypervisor, in the root's place */
    ck_assert_uint_eq(claim(r, CLAIM_partition_created, H, 4, 0, 0, 0, 0), WATCH_CLAIM_TAKEN);
    enter_level(r, ROOT, gpr);
    ck_assert_uint_eq(claim(r, CLAIM_partition_created, H, 4, 0, 0, 0, 0), WATCH_CLAIM_REFUSED);
    ck_assert_uint_eq(claim(r, CLAIM_partition_named, R, 4, 0, 0, 0, 0), WATCH_CLAIM_TAKEN);
    ck_assert_uint_eq(claim(r, CLAIM_translation_child, V, 1, 0x5c, 0, 0, 0), WATCH_CLAIM_REFUSED);
    leave_level(r, WATCH_CAUSE_OTHER, gpr);
    enter_level(r, STRANGER, gpr);
    ck_assert_uint_eq(claim(r, CLAIM_translation_child, V, 1, 0x5c, 0, 0, 0), WATCH_CLAIM_REFUSED);
    ck_assert_uint_eq(claim(r, CLAIM_partition_named, R, 4, 0, 0, 0, 0), WATCH_CLAIM_REFUSED);
    ck_assert_uint_eq(c->taken, 2);
    ck_assert_uint_eq(c->refused, 8);
    ck_assert_uint_eq(c->differ, 0);
    rig_free(r);
}
END_TEST

/* Names come with the virtual processor, whichever is said first; no number of them is too many. */
START_TEST(claims__names)
{
    u64 gpr[16] = {0};
    struct rig *r = rig();
    (void)claim(r, CLAIM_vp_named, H, 9, 0, 0, ROOT, 0);
    enter_level(r, ROOT, gpr);
    ck_assert_uint_eq(watch_guest(r->w, 1)->partition, 9);
    ck_assert_str_eq(watch_guest(r->w, 1)->partition_name, "");
    ck_assert_uint_eq(claim(r, CLAIM_partition_named, R, 9, 0, 0, 0, 0), WATCH_CLAIM_TAKEN);
    ck_assert_str_eq(watch_guest(r->w, 1)->partition_name, "xen");
    for (u64 i = 100; i < 1000; i++) {
        (void)claim(r, CLAIM_partition_named, R, i, 0, 0, 0, 0);
    }
    leave_level(r, WATCH_CAUSE_OTHER, gpr);
    for (u64 i = 0; i < 5000; i++) {
        (void)claim(r, CLAIM_vp_named, H, i, 0, 0, (i + 16) << 12, 0);
    }
    enter_level(r, (4999 + 16) << 12, gpr);
    ck_assert_uint_eq(watch_guest(r->w, 2)->partition, 4999);
    leave_level(r, WATCH_CAUSE_OTHER, gpr);
    enter_level(r, 16 << 12, gpr);
    ck_assert(!watch_guest(r->w, 3)->claimed); /* too long ago */
    struct state_io save;
    state_init_save(&save);
    watch_state(r->w, &save);
    struct rig *two = rig();
    struct state_io load;
    state_init_load(&load, save.data, save.len);
    watch_state(two->w, &load);
    ck_assert(!load.failed);
    ck_assert_str_eq(watch_guest(two->w, 1)->partition_name, "xen");
    ck_assert_uint_eq(watch_claims(two->w)->taken, watch_claims(r->w)->taken);
    state_free(&save);
    rig_free(two);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("claims");
    TCase *tc = tcase_create("claims");
    tcase_add_test(tc, claims__right);
    tcase_add_test(tc, claims__lies);
    tcase_add_test(tc, claims__answered);
    tcase_add_test(tc, claims__hypervisor);
    tcase_add_test(tc, claims__who);
    tcase_add_test(tc, claims__names);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
