/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fw_cfg by port and by DMA; the test device and shared wires. */
#include "device_rig.h"
#include "unit.h"

#include "base/bytes.h"
#include "devices/fw_cfg.h"
#include "devices/irq_or.h"
#include "devices/testdev.h"

static struct fw_cfg *fw;
static struct irq_line sources[2];

static struct rig *build(void)
{
    struct rig *r = rig_new();
    fw = fw_cfg_new(&r->env, "fw_cfg");
    fw_cfg_add_u16(fw, FW_CFG_NB_CPUS, 3);
    fw_cfg_add_file(fw, "etc/one", "first", 5);
    fw_cfg_add_file(fw, "etc/two", "second file", 11);
    struct irq_line lines[TESTDEV_LINES];
    for (unsigned i = 0; i < TESTDEV_LINES; i++) {
        lines[i] = rig_line(r, i);
    }
    testdev_new(&r->env, "testdev", lines);
    struct irq_line sinks[2] = {rig_line(r, 30), rig_line(r, 31)};
    struct irq_or *wire = irq_or_new(&r->env, "wire", sinks, 2);
    sources[0] = irq_or_source(wire);
    sources[1] = irq_or_source(wire);
    return r;
}

static void read_key(struct rig *r, u16 key, void *out, unsigned n)
{
    bus_port_write(&r->bus, 0x510, key, 2);
    for (unsigned i = 0; i < n; i++) {
        ((u8 *)out)[i] = rig_in(r, 0x511);
    }
}

/* Runs a descriptor at 0x1000; returns the control word that is left. */
static u32 dma(struct rig *r, u32 control, u32 length, u64 address)
{
    u8 d[16];
    store_be32(d, control);
    store_be32(d + 4, length);
    store_be64(d + 8, address);
    phys_write(&r->phys, SPA(0x1000), d, sizeof d);
    bus_port_write(&r->bus, 0x514, 0, 4);
    bus_port_write(&r->bus, 0x518, __builtin_bswap32(0x1000), 4);
    phys_read(&r->phys, SPA(0x1000), d, 4);
    return load_be32(d);
}

START_TEST(test_fw_cfg__ports)
{
    struct rig *r = build();
    u8 b[4 + 2 * 64 + 1];
    read_key(r, FW_CFG_SIGNATURE, b, 6);
    ck_assert_mem_eq(b, "QEMU\0\0", 6);
    read_key(r, FW_CFG_ID, b, 4);
    ck_assert_uint_eq(load_le32(b), 3);
    read_key(r, FW_CFG_NB_CPUS, b, 2);
    ck_assert_uint_eq(load_le16(b), 3);
    read_key(r, FW_CFG_FILE_DIR, b, sizeof b);
    ck_assert_uint_eq(load_be32(b), 2);
    ck_assert_uint_eq(load_be32(b + 68), 11);
    ck_assert_uint_eq(load_be16(b + 72), 0x21);
    ck_assert_str_eq((const char *)b + 76, "etc/two");
    read_key(r, 0x21, b, 12);
    ck_assert_mem_eq(b, "second file\0", 12);
    ck_assert_uint_eq(bus_port_read(&r->bus, 0x514, 4), 0x554d4551);
    rig_free(r);
}
END_TEST

START_TEST(test_fw_cfg__dma)
{
    struct rig *r = build();
    u8 b[16];
    ck_assert_uint_eq(dma(r, 0x21u << 16 | 8 | 2, 6, 0x2000), 0);
    ck_assert_uint_eq(dma(r, 4, 1, 0), 0);
    ck_assert_uint_eq(dma(r, 2, 8, 0x2006), 0); /* past the end: zeroes */
    phys_read(&r->phys, SPA(0x2000), b, 14);
    ck_assert_mem_eq(b, "secondfile\0\0\0\0", 14);
    ck_assert_uint_eq(dma(r, 0x20u << 16 | 8 | 16, 4, 0x2000), 1);
    rig_free(r);
}
END_TEST

START_TEST(test_testdev__ports_and_memory)
{
    struct rig *r = build();
    bus_port_write(&r->bus, 0xe0, 0x12345678, 4);
    ck_assert_uint_eq(bus_port_read(&r->bus, 0xe9, 2), 0x3456);
    rig_out(r, 0xe2, 0xff);
    ck_assert_uint_eq(bus_port_read(&r->bus, 0xe0, 4), 0x12ff5678);
    rig_out(r, 0x200e, 1);
    ck_assert(r->level[14]);
    rig_out(r, 0x200e, 0);
    ck_assert(!r->level[14]);
    phys_write_scalar(&r->phys, SPA(0xff000ffc), 0x1122334455667788, 8);
    ck_assert_uint_eq(phys_read_scalar(&r->phys, SPA(0xff001000), 4), 0x11223344);
    rig_free(r);
}
END_TEST

START_TEST(test_irq_or__high_while_any_is)
{
    struct rig *r = build();
    irq_set(&sources[0], true);
    irq_set(&sources[1], true);
    irq_set(&sources[0], false);
    ck_assert(r->level[30] && r->level[31]);
    ck_assert_uint_eq(r->rises[30], 1);
    irq_set(&sources[1], false);
    ck_assert(!r->level[30] && !r->level[31]);
    rig_free(r);
}
END_TEST

START_TEST(test_fw_cfg__save_restore)
{
    struct rig *r = build();
    u8 b[3];
    read_key(r, 0x21, b, 3);
    bus_port_write(&r->bus, 0x514, 77, 4);
    bus_port_write(&r->bus, 0xe0, 5, 4);
    irq_set(&sources[1], true);
    rig_check_save_restore(r, build, 1000);
    rig_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fw_cfg");
    TCase *c = tcase_create("fw_cfg");
    tcase_add_test(c, test_fw_cfg__ports);
    tcase_add_test(c, test_fw_cfg__dma);
    tcase_add_test(c, test_testdev__ports_and_memory);
    tcase_add_test(c, test_irq_or__high_while_any_is);
    tcase_add_test(c, test_fw_cfg__save_restore);
    suite_add_tcase(s, c);
    return unit_run(s);
}
