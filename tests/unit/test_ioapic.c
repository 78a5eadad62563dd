/* SPDX-License-Identifier: GPL-3.0-or-later */
/* I/O APIC: registers, edge and level pins, masks, Remote IRR, EOI, message format. */
#include "device_rig.h"
#include "unit.h"

#include "devices/ioapic.h"

#define BASE 0xfec00000u

static struct ioapic *apic;

static struct rig *build(void)
{
    struct rig *r = rig_new();
    apic = ioapic_new(&r->env, "ioapic", SPA(BASE), 0xff00);
    return r;
}

static u32 get(struct rig *r, u8 reg)
{
    phys_write_scalar(&r->phys, SPA(BASE), reg, 4);
    return (u32)phys_read_scalar(&r->phys, SPA(BASE + 0x10), 4);
}

static void put(struct rig *r, u8 reg, u32 value)
{
    phys_write_scalar(&r->phys, SPA(BASE), reg, 4);
    phys_write_scalar(&r->phys, SPA(BASE + 0x10), value, 4);
}

static void route(struct rig *r, unsigned pin, u64 entry)
{
    put(r, (u8)(0x11 + 2 * pin), (u32)(entry >> 32));
    put(r, (u8)(0x10 + 2 * pin), (u32)entry);
}

static void pin(unsigned n, bool level)
{
    struct irq_line l = ioapic_input(apic, n);
    irq_set(&l, level);
}

START_TEST(test_ioapic__registers)
{
    struct rig *r = build();
    ck_assert_uint_eq(get(r, 1), 0x00170020);
    put(r, 1, 0xffffffff);
    ck_assert_uint_eq(get(r, 1), 0x00170020);
    put(r, 0, 0xffffffff);
    ck_assert_uint_eq(get(r, 0), 0x0f000000);
    ck_assert_uint_eq(get(r, 2), 0x0f000000);
    for (unsigned i = 0; i < IOAPIC_PINS; i++) {
        ck_assert_uint_eq(get(r, (u8)(0x10 + 2 * i)), 0x10000);
    }
    put(r, 0x10, 0xffffffff);
    ck_assert_uint_eq(get(r, 0x10), 0x1afff); /* status bits are read-only */
    ck_assert_uint_eq(get(r, 0x40), 0xffffffff);
    rig_free(r);
}
END_TEST

START_TEST(test_ioapic__edge)
{
    struct rig *r = build();
    route(r, 14, (u64)0x03 << 56 | 0x976); /* logical, lowest priority */
    pin(14, true);
    ck_assert_uint_eq(r->msi_count, 1);
    ck_assert_uint_eq(r->msi_address, 0xfee03004);
    ck_assert_uint_eq(r->msi_data, 0x176);
    ck_assert_uint_eq(r->msi_requester, 0xff00);
    pin(14, true);
    ck_assert_uint_eq(r->msi_count, 1);
    pin(14, false);
    /* A masked edge is lost. */
    route(r, 14, 0x10076);
    pin(14, true);
    pin(14, false);
    route(r, 14, 0x00076);
    ck_assert_uint_eq(r->msi_count, 1);
    pin(14, true);
    ck_assert_uint_eq(r->msi_count, 2);
    rig_free(r);
}
END_TEST

START_TEST(test_ioapic__level)
{
    struct rig *r = build();
    route(r, 20, 0x18077);
    pin(20, true);
    ck_assert_uint_eq(r->msi_count, 0);
    route(r, 20, 0x0a077); /* unmasking delivers; polarity does not matter */
    ck_assert_uint_eq(r->msi_count, 1);
    ck_assert_uint_eq(r->msi_data, 0xc077);
    ck_assert_uint_eq(get(r, 0x10 + 40), 0x0e077); /* Remote IRR */
    pin(20, false);
    pin(20, true);
    ck_assert_uint_eq(r->msi_count, 1);
    ioapic_eoi(apic, 0x78);
    ck_assert_uint_eq(r->msi_count, 1);
    ioapic_eoi(apic, 0x77);
    ck_assert_uint_eq(r->msi_count, 2); /* still asserted */
    pin(20, false);
    phys_write_scalar(&r->phys, SPA(BASE + 0x40), 0x77, 4);
    ck_assert_uint_eq(get(r, 0x10 + 40), 0x0a077);
    ck_assert_uint_eq(r->msi_count, 2);
    /* Switching to edge and back ends it too. */
    pin(20, true);
    put(r, 0x10 + 40, 0x12077);
    put(r, 0x10 + 40, 0x0a077);
    ck_assert_uint_eq(r->msi_count, 4);
    rig_free(r);
}
END_TEST

/* Bits 63:49 index, 48 format, 11 index bit 15 go where interrupt remapping looks for them. */
START_TEST(test_ioapic__remappable_message)
{
    struct rig *r = build();
    route(r, 5, (u64)0x1235 << 49 | BIT(48) | BIT(11) | 0x31);
    pin(5, true);
    ck_assert_uint_eq(r->msi_address, 0xfee00000u | 0x1235 << 5 | 1 << 4 | 1 << 2);
    ck_assert_uint_eq(r->msi_data, 0x31);
    rig_free(r);
}
END_TEST

START_TEST(test_ioapic__save_restore)
{
    struct rig *r = build();
    route(r, 20, 0x0a077);
    route(r, 3, 0x00033);
    pin(20, true);
    pin(3, true);
    rig_check_save_restore(r, build, 1000);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("ioapic");
    TCase *c = tcase_create("ioapic");
    tcase_add_test(c, test_ioapic__registers);
    tcase_add_test(c, test_ioapic__edge);
    tcase_add_test(c, test_ioapic__level);
    tcase_add_test(c, test_ioapic__remappable_message);
    tcase_add_test(c, test_ioapic__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
