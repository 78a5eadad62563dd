/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 16550A: what drivers probe for, output, paced input, FIFO triggers and timeout, interrupts,
 * loopback. */
#include "device_rig.h"
#include "unit.h"

#include "devices/uart16550.h"

static struct uart16550 *uart;
static u8 written[64];
static size_t written_count;
static unsigned room_calls;

static void take(void *self, const u8 *bytes, size_t n)
{
    UNUSED(self);
    for (size_t i = 0; i < n && written_count < sizeof written; i++) {
        written[written_count++] = bytes[i];
    }
}

static void room(void *self)
{
    UNUSED(self);
    room_calls++;
}

static struct rig *build(void)
{
    struct rig *r = rig_new();
    struct chardev chr = {.write = take, .room = room};
    uart = uart16550_new(&r->env, "serial0", 0x3f8, rig_line(r, 4), chr);
    return r;
}

static void receive(const char *text, size_t n)
{
    struct chardev_end end = uart16550_end(uart);
    end.receive(end.self, (const u8 *)text, n);
}

static size_t can_receive(void)
{
    struct chardev_end end = uart16550_end(uart);
    return end.can_receive(end.self);
}

START_TEST(test_uart__probes)
{
    struct rig *r = build();
    rig_out(r, 0x3ff, 0x5a);
    ck_assert_uint_eq(rig_in(r, 0x3ff), 0x5a);
    rig_out(r, 0x3f9, 0xff);
    ck_assert_uint_eq(rig_in(r, 0x3f9), 0x0f);
    rig_out(r, 0x3f9, 0);
    rig_out(r, 0x3fa, 0x01);
    ck_assert_uint_eq(rig_in(r, 0x3fa), 0xc1);
    rig_out(r, 0x3fa, 0x00);
    ck_assert_uint_eq(rig_in(r, 0x3fa), 0x01);
    rig_out(r, 0x3fc, 0x1a); /* loopback with RTS and OUT2 */
    ck_assert_uint_eq(rig_in(r, 0x3fe) & 0xf0, 0x90);
    rig_out(r, 0x3fb, 0x83);
    rig_out(r, 0x3f8, 0x01);
    rig_out(r, 0x3f9, 0x02);
    ck_assert_uint_eq(rig_in(r, 0x3f8), 0x01);
    ck_assert_uint_eq(rig_in(r, 0x3f9), 0x02);
    rig_out(r, 0x3fb, 0x03);
    ck_assert_uint_eq(rig_in(r, 0x3f9), 0x00);
    ck_assert_uint_eq(rig_in(r, 0x3fd), 0x60);
    rig_free(r);
}
END_TEST

START_TEST(test_uart__output_and_thre_interrupt)
{
    struct rig *r = build();
    written_count = 0;
    rig_out(r, 0x3fb, 0x03);
    rig_out(r, 0x3f9, 0x02);
    ck_assert(!r->level[4]); /* OUT2 gates */
    rig_out(r, 0x3fc, 0x08);
    ck_assert(r->level[4]);
    ck_assert_uint_eq(rig_in(r, 0x3fa), 0x02);
    ck_assert(!r->level[4]);
    ck_assert_uint_eq(rig_in(r, 0x3fa), 0x01);
    unsigned before = r->rises[4];
    for (int i = 0; i < 3; i++) {
        rig_out(r, 0x3f8, (u8)('a' + i));
    }
    ck_assert_uint_eq(r->rises[4], before + 3); /* an edge for each byte */
    ck_assert_uint_eq(written_count, 3);
    ck_assert_mem_eq(written, "abc", 3);
    ck_assert_uint_eq(rig_in(r, 0x3fd), 0x60);
    rig_free(r);
}
END_TEST

START_TEST(test_uart__input_is_paced)
{
    struct rig *r = build();
    room_calls = 0;
    rig_out(r, 0x3fb, 0x03);
    ck_assert_uint_eq(can_receive(), 1);
    receive("x", 1);
    ck_assert_uint_eq(can_receive(), 0);
    ck_assert_uint_eq(rig_in(r, 0x3fd), 0x61);
    ck_assert_uint_eq(rig_in(r, 0x3f8), 'x');
    ck_assert_uint_eq(room_calls, 1);
    rig_out(r, 0x3fa, 0x01);
    ck_assert_uint_eq(can_receive(), 16);
    receive("0123456789abcdef", 16);
    ck_assert_uint_eq(can_receive(), 0);
    for (int i = 0; i < 16; i++) {
        ck_assert_uint_eq(rig_in(r, 0x3f8), (u8) "0123456789abcdef"[i]);
    }
    ck_assert_uint_eq(rig_in(r, 0x3fd), 0x60); /* no overrun */
    rig_free(r);
}
END_TEST

START_TEST(test_uart__trigger_and_timeout)
{
    struct rig *r = build();
    rig_out(r, 0x3fb, 0x83);
    rig_out(r, 0x3f8, 1); /* 115200 */
    rig_out(r, 0x3f9, 0);
    rig_out(r, 0x3fb, 0x03);
    rig_out(r, 0x3fc, 0x08);
    rig_out(r, 0x3fa, 0x81); /* trigger at 8 */
    rig_out(r, 0x3f9, 0x01);
    receive("1234567", 7);
    ck_assert(!r->level[4]);
    rig_run(r, 347221); /* 4 characters of 10 bits: 347222 ns */
    ck_assert(!r->level[4]);
    rig_run(r, 1);
    ck_assert(r->level[4]);
    ck_assert_uint_eq(rig_in(r, 0x3fa), 0xcc);
    ck_assert_uint_eq(rig_in(r, 0x3f8), '1');
    ck_assert(!r->level[4]); /* reading restarts the timeout */
    receive("89", 2);
    ck_assert_uint_eq(rig_in(r, 0x3fa), 0xc4);
    rig_out(r, 0x3fa, 0x83);
    ck_assert_uint_eq(rig_in(r, 0x3fa), 0xc1);
    ck_assert_uint_eq(clock_next_deadline(&r->clock).ns, VTIME_NEVER.ns);
    rig_free(r);
}
END_TEST

START_TEST(test_uart__loopback_and_modem_status)
{
    struct rig *r = build();
    rig_out(r, 0x3fb, 0x03);
    rig_out(r, 0x3fa, 0x01);
    rig_out(r, 0x3fc, 0x10);
    ck_assert_uint_eq(can_receive(), 0);
    ck_assert_uint_eq(rig_in(r, 0x3fe), 0x0b); /* CTS, DSR, DCD fell */
    ck_assert_uint_eq(rig_in(r, 0x3fe), 0x00);
    written_count = 0;
    for (int i = 0; i < 17; i++) {
        rig_out(r, 0x3f8, (u8)i);
    }
    ck_assert_uint_eq(written_count, 0);
    ck_assert_uint_eq(rig_in(r, 0x3fd), 0x63); /* the seventeenth overran */
    ck_assert_uint_eq(rig_in(r, 0x3fd), 0x61);
    ck_assert_uint_eq(rig_in(r, 0x3f8), 0);
    rig_free(r);
}
END_TEST

START_TEST(test_uart__save_restore)
{
    struct rig *r = build();
    rig_out(r, 0x3fb, 0x1b);
    rig_out(r, 0x3fc, 0x0b);
    rig_out(r, 0x3fa, 0xc1);
    rig_out(r, 0x3f9, 0x0f);
    receive("abcde", 5);
    (void)rig_in(r, 0x3f8);
    rig_check_save_restore(r, build, 100000000);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("uart16550");
    TCase *c = tcase_create("uart16550");
    tcase_add_test(c, test_uart__probes);
    tcase_add_test(c, test_uart__output_and_thre_interrupt);
    tcase_add_test(c, test_uart__input_is_paced);
    tcase_add_test(c, test_uart__trigger_and_timeout);
    tcase_add_test(c, test_uart__loopback_and_modem_status);
    tcase_add_test(c, test_uart__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
