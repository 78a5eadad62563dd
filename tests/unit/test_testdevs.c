/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The edu device and pci-testdev, driven as kvm-unit-tests drive them. */
#include "devices/testdevs.h"
#include "pci_rig.h"
#include "unit.h"

#define DEV PCI_DEVFN(5, 0)
#define MEM 0xfe000000u
#define IO 0xc000u

static struct rig *edu_rig(void)
{
    struct rig *rig = rig_new();
    edu_new(&rig->env, rig->pci, DEV, EDU_DEFAULT_DMA_MASK, "edu0");
    bus_reset(rig->bus, RESET_POWER);
    rig_cfg_write(rig, DEV, 0x10, MEM, 4);
    rig_cfg_write(rig, DEV, PCI_COMMAND, 7, 2);
    return rig;
}

START_TEST(test_edu__registers)
{
    struct rig *rig = edu_rig();
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0, 4), 0x11e81234);
    ck_assert_uint_eq(rig_read32(rig, MEM), 0x010000ed);
    rig_write32(rig, MEM + 4, 0x12345678);
    ck_assert_uint_eq(rig_read32(rig, MEM + 4), ~0x12345678u);
    ck_assert_uint_eq(phys_read_scalar(&rig->phys, SPA(MEM), 1), 0xff);
    rig_write32(rig, MEM + 0x20, 0x80);
    rig_write32(rig, MEM + 8, 10);
    ck_assert_uint_eq(rig_read32(rig, MEM + 0x20), 0x81);
    rig_write32(rig, MEM + 8, 3); /* busy: ignored */
    rig_run(rig, 10000);
    ck_assert_uint_eq(rig_read32(rig, MEM + 8), 3628800);
    ck_assert_uint_eq(rig_read32(rig, MEM + 0x20), 0x80);
    ck_assert_uint_eq(rig_read32(rig, MEM + 0x24), 1);
    ck_assert(rig->pirq[5]); /* slot 5: PIRQF */
    rig_write32(rig, MEM + 0x60, 0x10);
    rig_write32(rig, MEM + 0x64, 1);
    ck_assert(rig->pirq[5]);
    rig_write32(rig, MEM + 0x64, 0x10);
    ck_assert(!rig->pirq[5]);
    rig_free(rig);
}
END_TEST

START_TEST(test_edu__dma_and_msi)
{
    struct rig *rig = edu_rig();
    rig_cfg_write(rig, DEV, 0x44, 0xfee00000, 4);
    rig_cfg_write(rig, DEV, 0x4c, 0x55, 2);
    rig_cfg_write(rig, DEV, 0x42, 1, 2);
    rig_write32(rig, 0x1000, 0xfeedface);
    phys_write_scalar(&rig->phys, SPA(MEM + 0x80), 0xf0001000, 8); /* masked to 28 bits */
    phys_write_scalar(&rig->phys, SPA(MEM + 0x88), 0x40004, 8);
    phys_write_scalar(&rig->phys, SPA(MEM + 0x90), 4, 8);
    rig_write32(rig, MEM + 0x98, 5);
    ck_assert_uint_eq(rig_read32(rig, MEM + 0x98), 5);
    struct rig *two = edu_rig();
    rig_check_save_restore(rig, two);
    rig_run(rig, 20000);
    rig_run(two, 20000);
    ck_assert_uint_eq(rig_hash(rig), rig_hash(two));
    rig_free(two);
    ck_assert_uint_eq(rig_read32(rig, MEM + 0x98), 4);
    ck_assert_uint_eq(rig->messages, 1);
    ck_assert_uint_eq(rig_read32(rig, MEM + 0x24), 0x100);
    phys_write_scalar(&rig->phys, SPA(MEM + 0x80), 0x40004, 8);
    phys_write_scalar(&rig->phys, SPA(MEM + 0x88), 0x2000, 8);
    rig_write32(rig, MEM + 0x98, 3);
    rig_run(rig, 20000);
    ck_assert_uint_eq(rig_read32(rig, 0x2000), 0xfeedface);
    /* Outside the buffer: nothing happens, the transfer ends. */
    phys_write_scalar(&rig->phys, SPA(MEM + 0x90), 0xffffffffffffffff, 8);
    rig_write32(rig, MEM + 0x98, 3);
    rig_run(rig, 20000);
    ck_assert_uint_eq(rig_read32(rig, MEM + 0x98), 2);
    rig_free(rig);
}
END_TEST

static u32 testdev_read(struct rig *rig, bool port, unsigned offset, unsigned size)
{
    return port ? bus_port_read(rig->bus, (u16)(IO + offset), size)
                : (u32)phys_read_scalar(&rig->phys, SPA(MEM + offset), size);
}

static void testdev_write(struct rig *rig, bool port, unsigned offset, u8 value)
{
    if (port) {
        bus_port_write(rig->bus, (u16)(IO + offset), value, 1);
    } else {
        phys_write_scalar(&rig->phys, SPA(MEM + offset), value, 1);
    }
}

START_TEST(test_pci_testdev__counts)
{
    struct rig *rig = rig_new();
    pci_testdev_new(&rig->env, rig->pci, DEV, MIB(512), "pci-testdev");
    bus_reset(rig->bus, RESET_POWER);
    rig_cfg_write(rig, DEV, 0x10, MEM, 4);
    rig_cfg_write(rig, DEV, 0x14, IO, 4);
    rig_cfg_write(rig, DEV, PCI_COMMAND, 3, 2);
    unsigned passed = 0;
    for (unsigned port = 0; port < 2; port++) {
        for (u8 test = 0; test < 4; test++) {
            testdev_write(rig, port, 0, test);
            ck_assert_uint_eq(testdev_read(rig, port, 12, 4), 0);
            if (testdev_read(rig, port, 1, 1) != 1) {
                continue;
            }
            u32 data = testdev_read(rig, port, 8, 4);
            u32 offset = testdev_read(rig, port, 4, 4);
            for (unsigned i = 0; i < 16; i++) {
                testdev_write(rig, port, offset, (u8)data);
            }
            ck_assert_uint_eq(testdev_read(rig, port, 12, 4), 16);
            ck_assert_uint_eq(testdev_read(rig, port, 16, 1), port ? 'p' : 'm');
            passed++;
        }
    }
    ck_assert_uint_eq(passed, 6);
    testdev_write(rig, false, 0, 1);
    struct rig *two = rig_new();
    pci_testdev_new(&two->env, two->pci, DEV, MIB(512), "pci-testdev");
    rig_check_save_restore(rig, two);
    ck_assert_uint_eq(testdev_read(two, false, 4, 4), 2049);
    rig_free(two);
    rig_free(rig);
}
END_TEST

/* Routes and connections are kept; nothing there to signal. */
START_TEST(test_hyperv_testdev__keeps_routes)
{
    struct rig *rig = rig_new();
    struct rig *two = rig_new();
    hyperv_testdev_new(&rig->env, "hyperv-testdev");
    hyperv_testdev_new(&two->env, "hyperv-testdev");
    bus_reset(rig->bus, RESET_POWER);
    bus_reset(two->bus, RESET_POWER);
    ck_assert_uint_eq(bus_port_read(rig->bus, 0x3000, 4), ~0u);
    u64 empty = rig_hash(rig);
    bus_port_write(rig->bus, 0x3000, 1u << 16 | 3u << 8 | 2, 4); /* route 3.2 */
    u64 one = rig_hash(rig);
    ck_assert_uint_ne(one, empty);
    bus_port_write(rig->bus, 0x3000, 3u << 16 | 3u << 8 | 2, 4); /* its signal goes nowhere */
    bus_port_write(rig->bus, 0x3000, 1u << 16 | 3u << 8 | 16, 4); /* no such source */
    bus_port_write(rig->bus, 0x3000, 2u << 16 | 3u << 8 | 5, 4); /* no such route */
    bus_port_write(rig->bus, 0x3000, 7u << 24 | 7u << 16, 4); /* no such connection */
    ck_assert_uint_eq(rig_hash(rig), one);
    bus_port_write(rig->bus, 0x3000, 9u << 24 | 4u << 16 | 3u << 8 | 2, 4);
    bus_port_write(rig->bus, 0x3000, 9u << 24 | 7u << 16, 4); /* a message connection, not an event's */
    rig_check_save_restore(rig, two);
    bus_port_write(rig->bus, 0x3000, 9u << 24 | 5u << 16, 4);
    bus_port_write(rig->bus, 0x3000, 2u << 16 | 3u << 8 | 2, 4);
    ck_assert_uint_eq(rig_hash(rig), empty);
    rig_free(two);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("testdevs");
    TCase *tc = tcase_create("testdevs");
    suite_add_tcase(suite, tc);
    tcase_add_test(tc, test_edu__registers);
    tcase_add_test(tc, test_edu__dma_and_msi);
    tcase_add_test(tc, test_pci_testdev__counts);
    tcase_add_test(tc, test_hyperv_testdev__keeps_routes);
    return unit_run(suite);
}
