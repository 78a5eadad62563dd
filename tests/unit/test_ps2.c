/* SPDX-License-Identifier: GPL-3.0-or-later */
/* i8042, keyboard and mouse: probing, translation, interrupts, A20 and reset, save and restore. */
#include "device_rig.h"
#include "unit.h"

#include "devices/ps2.h"

static struct ps2 *ps2;
static unsigned resets;

static void on_reset(void *self)
{
    UNUSED(self);
    resets++;
}

static struct rig *build(void)
{
    struct rig *r = rig_new();
    struct ps2_wiring w = {.irq1 = rig_line(r, 1),
                           .irq12 = rig_line(r, 12),
                           .a20 = rig_line(r, 20),
                           .reset = on_reset};
    ps2 = ps2_new(&r->env, "ps2", &w);
    resets = 0;
    return r;
}

/* The next byte, which must be there and of the keyboard (0) or the mouse (0x20). */
static u8 next(struct rig *r, u8 aux)
{
    ck_assert_uint_eq(rig_in(r, 0x64) & 0x21, 1u | aux);
    return rig_in(r, 0x60);
}

static void expect(struct rig *r, u8 aux, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(next(r, aux), (u8)bytes[i]);
    }
    ck_assert_uint_eq(rig_in(r, 0x64) & 1, 0);
}

static void mouse_command(struct rig *r, u8 byte)
{
    rig_out(r, 0x64, 0xd4);
    rig_out(r, 0x60, byte);
}

START_TEST(test_ps2__controller)
{
    struct rig *r = build();
    rig_out(r, 0x64, 0xaa);
    expect(r, 0, "\x55", 1);
    rig_out(r, 0x64, 0xab);
    expect(r, 0, "\x00", 1);
    rig_out(r, 0x64, 0x60);
    rig_out(r, 0x60, 0x47);
    rig_out(r, 0x64, 0x20);
    ck_assert(r->level[1]);
    expect(r, 0, "\x47", 1);
    ck_assert(!r->level[1]);
    ck_assert(r->level[20]);
    rig_out(r, 0x64, 0xd1);
    rig_out(r, 0x60, 0xdd);
    ck_assert(!r->level[20]);
    rig_out(r, 0x64, 0xdf);
    ck_assert(r->level[20]);
    rig_out(r, 0x64, 0xfe);
    ck_assert_uint_eq(resets, 1);
    rig_out(r, 0x64, 0xd3); /* loopback as the mouse, as Linux probes for it */
    rig_out(r, 0x60, 0xa5);
    expect(r, 0x20, "\xa5", 1);
    rig_free(r);
}
END_TEST

START_TEST(test_ps2__keyboard)
{
    struct rig *r = build();
    rig_out(r, 0x60, 0xff);
    expect(r, 0, "\xfa\xaa", 2);
    rig_out(r, 0x60, 0xf2);
    expect(r, 0, "\xfa\xab\x41", 3); /* 83 translated */
    rig_out(r, 0x60, 0xed);
    rig_out(r, 0x60, 0x04);
    expect(r, 0, "\xfa\xfa", 2);
    ck_assert_uint_eq(ps2_leds(ps2), 4);
    rig_out(r, 0x64, 0x60);
    rig_out(r, 0x60, 0x41);
    unsigned before = r->rises[1];
    ck_assert(ps2_key(ps2, 0x1e, false, true)); /* A */
    ck_assert(ps2_key(ps2, 0x1e, false, false));
    ck_assert(ps2_key(ps2, 0x48, true, true)); /* cursor up */
    expect(r, 0, "\x1e\x9e\xe0\x48", 4);
    ck_assert_uint_eq(r->rises[1] - before, 4);
    rig_out(r, 0x64, 0x60);
    rig_out(r, 0x60, 0x01); /* no translation: set 2 */
    ck_assert(ps2_key(ps2, 0x1e, false, false));
    ck_assert(ps2_key(ps2, 0x41, false, true)); /* F7 */
    expect(r, 0, "\xf0\x1c\x83", 3);
    for (unsigned code = 1; code < 0x59; code++) {
        ck_assert(code == 0x55 || code == 0x56 || ps2_key(ps2, (u8)code, false, true));
        (void)rig_in(r, 0x60);
    }
    rig_out(r, 0x60, 0xf5);
    expect(r, 0, "\xfa", 1);
    ck_assert(!ps2_key(ps2, 0x1e, false, true));
    rig_free(r);
}
END_TEST

START_TEST(test_ps2__mouse)
{
    struct rig *r = build();
    rig_out(r, 0x64, 0x60);
    rig_out(r, 0x60, 0x43);
    mouse_command(r, 0xff);
    expect(r, 0x20, "\xfa\xaa\x00", 3);
    ck_assert(!ps2_mouse(ps2, 1, 1, 0, 0));
    static const u8 rates[] = {200, 100, 80};
    for (unsigned i = 0; i < 3; i++) {
        mouse_command(r, 0xf3);
        mouse_command(r, rates[i]);
        expect(r, 0x20, "\xfa\xfa", 2);
    }
    mouse_command(r, 0xf2);
    expect(r, 0x20, "\xfa\x03", 2);
    mouse_command(r, 0xf4);
    expect(r, 0x20, "\xfa", 1);
    ck_assert(ps2_mouse(ps2, -300, 5, -1, 1));
    ck_assert(r->level[12]);
    expect(r, 0x20, "\x19\x01\x05\xff\x19\xd3\x00\x00", 8);
    ck_assert(!r->level[12]);
    mouse_command(r, 0xe9);
    expect(r, 0x20, "\xfa\x24\x02\x50", 4);
    rig_free(r);
}
END_TEST

START_TEST(test_ps2__save_restore)
{
    struct rig *r = build();
    mouse_command(r, 0xf4);
    (void)ps2_mouse(ps2, 3, -7, 0, 2);
    (void)ps2_key(ps2, 0x1e, false, false);
    rig_out(r, 0x64, 0xd1);
    rig_check_save_restore(r, build, 1000);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ps2");
    TCase *c = tcase_create("ps2");
    tcase_add_test(c, test_ps2__controller);
    tcase_add_test(c, test_ps2__keyboard);
    tcase_add_test(c, test_ps2__mouse);
    tcase_add_test(c, test_ps2__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
