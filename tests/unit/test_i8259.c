/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8259A pair: priorities, end of interrupt, cascade, spurious interrupts, modes, ELCR, save and
 * restore. */
#include "device_rig.h"
#include "unit.h"

#include "devices/i8259.h"

static struct i8259 *pic; /* of the board built last */

static struct rig *build(void)
{
    struct rig *r = rig_new();
    pic = i8259_new(&r->env, "pic", rig_line(r, 0));
    return r;
}

static void init(struct rig *r, u8 icw4)
{
    rig_out(r, 0x20, 0x11);
    rig_out(r, 0x21, 0x20);
    rig_out(r, 0x21, 0x04);
    rig_out(r, 0x21, icw4);
    rig_out(r, 0xa0, 0x11);
    rig_out(r, 0xa1, 0x28);
    rig_out(r, 0xa1, 0x02);
    rig_out(r, 0xa1, icw4);
}

static void line(unsigned irq, bool level)
{
    struct irq_line l = i8259_input(pic, irq);
    irq_set(&l, level);
}

static u8 read_isr(struct rig *r, u16 port)
{
    rig_out(r, port, 0x0b);
    u8 v = rig_in(r, port);
    rig_out(r, port, 0x0a);
    return v;
}

START_TEST(test_i8259__priority_and_eoi)
{
    struct rig *r = build();
    init(r, 1);
    line(4, true);
    line(1, true);
    ck_assert(r->level[0]);
    ck_assert_uint_eq(rig_in(r, 0x20), 0x12);
    ck_assert_uint_eq(i8259_ack(pic), 0x21);
    ck_assert(!r->level[0]); /* IRQ4 waits for the higher one */
    rig_out(r, 0x20, 0x20);
    ck_assert(r->level[0]);
    ck_assert_uint_eq(i8259_ack(pic), 0x24);
    line(0, true); /* higher: nests */
    ck_assert(r->level[0]);
    ck_assert_uint_eq(i8259_ack(pic), 0x20);
    ck_assert_uint_eq(read_isr(r, 0x20), 0x11);
    rig_out(r, 0x20, 0x64); /* specific */
    ck_assert_uint_eq(read_isr(r, 0x20), 0x01);
    /* An edge is served once, however long the line stays. */
    rig_out(r, 0x20, 0x20);
    ck_assert(!r->level[0]);
    rig_free(r);
}
END_TEST

START_TEST(test_i8259__cascade_and_spurious)
{
    struct rig *r = build();
    init(r, 1);
    line(8, true);
    line(14, true);
    ck_assert_uint_eq(i8259_ack(pic), 0x28);
    ck_assert_uint_eq(read_isr(r, 0x20), 0x04);
    rig_out(r, 0xa0, 0x20);
    rig_out(r, 0x20, 0x20);
    ck_assert_uint_eq(i8259_ack(pic), 0x2e);
    rig_out(r, 0xa0, 0x20);
    rig_out(r, 0x20, 0x20);
    ck_assert(!r->level[0]);

    line(3, true);
    ck_assert(r->level[0]);
    line(3, false); /* the edge is gone before the acknowledge */
    ck_assert(!r->level[0]);
    ck_assert_uint_eq(i8259_ack(pic), 0x27);
    ck_assert_uint_eq(read_isr(r, 0x20), 0);
    rig_free(r);
}
END_TEST

START_TEST(test_i8259__automatic_eoi_keeps_slave_requests_coming)
{
    struct rig *r = build();
    init(r, 3);
    line(9, true);
    line(10, true);
    ck_assert_uint_eq(i8259_ack(pic), 0x29);
    ck_assert(r->level[0]);
    ck_assert_uint_eq(i8259_ack(pic), 0x2a);
    ck_assert(!r->level[0]);
    rig_free(r);
}
END_TEST

START_TEST(test_i8259__level_lines_repeat)
{
    struct rig *r = build();
    init(r, 1);
    rig_out(r, 0x4d0, 0xff);
    rig_out(r, 0x4d1, 0xff);
    ck_assert_uint_eq(rig_in(r, 0x4d0), 0xf8);
    ck_assert_uint_eq(rig_in(r, 0x4d1), 0xde);
    line(10, true);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(i8259_ack(pic), 0x2a);
        ck_assert(!r->level[0]);
        rig_out(r, 0xa0, 0x20);
        rig_out(r, 0x20, 0x20);
        ck_assert(r->level[0]);
    }
    line(10, false);
    ck_assert(!r->level[0]);
    rig_free(r);
}
END_TEST

START_TEST(test_i8259__masks_special_mask_rotation_poll)
{
    struct rig *r = build();
    init(r, 1);
    rig_out(r, 0x21, 0x02);
    ck_assert_uint_eq(rig_in(r, 0x21), 0x02);
    line(1, true);
    ck_assert(!r->level[0]);
    rig_out(r, 0x21, 0x00);
    ck_assert_uint_eq(i8259_ack(pic), 0x21);
    line(5, true);
    ck_assert(!r->level[0]);
    /* Special mask mode: masking the level in service lets lower ones through. */
    rig_out(r, 0x20, 0x68);
    rig_out(r, 0x21, 0x02);
    ck_assert(r->level[0]);
    ck_assert_uint_eq(i8259_ack(pic), 0x25);
    rig_out(r, 0x20, 0x48);
    rig_out(r, 0x21, 0x00);
    rig_out(r, 0x20, 0xe1); /* rotate on specific EOI of 1: 2 is the highest now */
    rig_out(r, 0x20, 0x65);
    line(1, false);
    line(1, true);
    line(6, true);
    ck_assert_uint_eq(i8259_ack(pic), 0x26);
    rig_out(r, 0x20, 0x20);
    rig_out(r, 0x20, 0x0c); /* poll acknowledges */
    ck_assert_uint_eq(rig_in(r, 0x20), 0x81);
    ck_assert_uint_eq(read_isr(r, 0x20), 0x02);
    rig_out(r, 0x20, 0x0c);
    ck_assert_uint_eq(rig_in(r, 0x20), 0x00);
    rig_free(r);
}
END_TEST

START_TEST(test_i8259__special_fully_nested)
{
    struct rig *r = build();
    init(r, 0x11);
    line(12, true);
    ck_assert_uint_eq(i8259_ack(pic), 0x2c);
    line(3, true); /* lower than the cascade: waits */
    ck_assert(!r->level[0]);
    line(8, true); /* higher in the same slave: interrupts it */
    ck_assert(r->level[0]);
    ck_assert_uint_eq(i8259_ack(pic), 0x28);
    rig_free(r);
}
END_TEST

START_TEST(test_i8259__save_restore)
{
    struct rig *r = build();
    init(r, 1);
    rig_out(r, 0x21, 0x40);
    line(3, true);
    line(12, true);
    (void)i8259_ack(pic);
    rig_out(r, 0x20, 0x11); /* in the middle of an initialization */
    line(4, true);
    rig_check_save_restore(r, build, 1000);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i8259");
    TCase *c = tcase_create("i8259");
    tcase_add_test(c, test_i8259__priority_and_eoi);
    tcase_add_test(c, test_i8259__cascade_and_spurious);
    tcase_add_test(c, test_i8259__automatic_eoi_keeps_slave_requests_coming);
    tcase_add_test(c, test_i8259__level_lines_repeat);
    tcase_add_test(c, test_i8259__masks_special_mask_rotation_poll);
    tcase_add_test(c, test_i8259__special_fully_nested);
    tcase_add_test(c, test_i8259__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
