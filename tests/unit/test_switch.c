/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The root's virtual switch: a frame goes where its destination was last seen, else to all; a port sends with its own address only; isolated ports
 * reach the uplink and ports that are not isolated, never each other. */
#include "unit.h"

#include "guests/root/network/network.h"

enum { UP, A, B, C, D, PORTS }; /* C and D are isolated */

static struct switch_port *port[PORTS];
static u32 got[PORTS];
static u8 last[PORTS][LINK_FRAME];

static struct link uplink = {.name = "net0"};
struct link *link_next(struct link *after) { return after == NULL ? &uplink : NULL; }
void print(const char *format, ...) { (void)format; }

static void take(struct switch_port *p, const u8 *frame, u32 size)
{
    unsigned n = (unsigned)(size_t)p->owner;
    got[n]++;
    memcpy(last[n], frame, size);
}

static void sent_to_link(struct link *l, const void *frame, u32 size)
{
    ck_assert_ptr_eq(l, &uplink);
    got[UP]++;
    memcpy(last[UP], frame, size);
}

static void address(u8 *mac, unsigned n)
{
    const u8 bytes[6] = {0, 0x15, 0x5d, 0, (u8)n, 0};
    memcpy(mac, bytes, 6);
}

static void set_up(void)
{
    uplink.send = sent_to_link;
    switch_uplink();
    port[UP] = uplink.owner;
    for (unsigned n = A; n < PORTS; n++) {
        struct switch_port model = {.isolated = n >= C, .deliver = take, .owner = (void *)(size_t)n, .name = "port"};
        address(model.mac, n);
        port[n] = switch_add(&model);
        ck_assert_ptr_nonnull(port[n]);
    }
    memset(got, 0, sizeof got);
}

static void tear_down(void)
{
    for (unsigned n = A; n < PORTS; n++) {
        switch_remove(port[n]);
    }
}

/* From a port with an address that it may or may not have, to that of another or (PORTS) to all. */
static void send_as(unsigned from, unsigned source, unsigned to)
{
    u8 frame[60] = {0};
    memset(got, 0, sizeof got);
    address(frame + 6, source);
    if (to == PORTS) {
        memset(frame, 0xff, 6);
    } else {
        address(frame, to);
    }
    if (from == UP) {
        uplink.receive(&uplink, frame, sizeof frame);
    } else {
        switch_frame(port[from], frame, sizeof frame);
    }
}

static void reached(unsigned mask)
{
    for (unsigned n = 0; n < PORTS; n++) {
        ck_assert_msg(got[n] == (mask >> n & 1), "port %u got %u frames", n, got[n]);
    }
}

START_TEST(switch__learns)
{
    send_as(A, A, B); /* not seen yet */
    reached(1u << UP | 1u << B | 1u << C | 1u << D);
    send_as(B, B, A);
    reached(1u << A);
    send_as(A, A, B);
    reached(1u << B);
    send_as(A, A, A); /* to itself: nobody's business */
    reached(0);
    send_as(A, A, PORTS);
    reached(1u << UP | 1u << B | 1u << C | 1u << D);
}
END_TEST

START_TEST(switch__isolated_ports_never_meet)
{
    send_as(C, C, PORTS);
    reached(1u << UP | 1u << A | 1u << B);
    send_as(D, D, C); /* learnt, and still not let through */
    reached(0);
    send_as(D, D, A);
    reached(1u << UP | 1u << A | 1u << B);
    send_as(A, A, D);
    reached(1u << D);
    send_as(UP, 100, C);
    reached(1u << C);
    send_as(UP, 100, PORTS);
    reached(1u << A | 1u << B | 1u << C | 1u << D);
}
END_TEST

START_TEST(switch__sources_are_checked)
{
    u64 forged = port[A]->forged;
    send_as(B, B, PORTS);
    send_as(A, B, PORTS); /* another's address */
    reached(0);
    ck_assert_uint_eq(port[A]->forged, forged + 1);
    send_as(UP, B, PORTS); /* the network says that B is there */
    send_as(A, A, B);
    reached(1u << B);
    u8 frame[60] = {0};
    frame[6] = 1; /* a group as source */
    memset(got, 0, sizeof got);
    uplink.receive(&uplink, frame, sizeof frame);
    switch_frame(port[A], frame, FRAME_MIN - 1);
    reached(0);
}
END_TEST

START_TEST(switch__forgets)
{
    send_as(A, A, PORTS);
    send_as(B, B, A);
    reached(1u << A);
    for (unsigned n = 100; n < 200; n++) { /* more addresses than it can know */
        send_as(UP, n, PORTS);
    }
    send_as(B, B, A);
    reached(1u << UP | 1u << A | 1u << C | 1u << D);
    switch_remove(port[A]);
    send_as(B, B, A);
    reached(1u << UP | 1u << C | 1u << D);
    send_as(UP, 150, A);
    reached(1u << B | 1u << C | 1u << D);
}
END_TEST

START_TEST(switch__has_an_end)
{
    struct switch_port *more[SWITCH_PORTS];
    unsigned n = 0;
    const struct switch_port model = {.deliver = take, .owner = (void *)A};
    while ((more[n] = switch_add(&model)) != NULL) {
        n++;
    }
    ck_assert_uint_eq(n, SWITCH_PORTS - PORTS);
    while (n-- > 0) {
        switch_remove(more[n]);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("switch");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, switch__learns);
    tcase_add_test(t, switch__isolated_ports_never_meet);
    tcase_add_test(t, switch__sources_are_checked);
    tcase_add_test(t, switch__forgets);
    tcase_add_test(t, switch__has_an_end);
    suite_add_tcase(s, t);
    return unit_run(s);
}
