/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PAM, SMRAM, TSEG, locks, decodes of the Q35 hub and the ICH9 LPC bridge. */
#include "pci_rig.h"
#include "unit.h"

static void set_pam(struct rig *rig, unsigned index, u8 value)
{
    rig_cfg_write(rig, Q35_MCH_DEVFN, MCH_PAM0 + index, value, 1);
}

static u8 read8(struct rig *rig, u64 address)
{
    return (u8)phys_read_scalar(&rig->phys, SPA(address), 1);
}

static void write8(struct rig *rig, u64 address, u8 value)
{
    phys_write_scalar(&rig->phys, SPA(address), value, 1);
}

START_TEST(test_q35__pam)
{
    struct rig *rig = rig_new();
    bus_reset(rig->bus, RESET_POWER);
    /* After reset the BIOS shows its last 128 KiB, the rest is a hole. */
    ck_assert_uint_eq(read8(rig, 0xffff0), 0x80 | 63);
    ck_assert_uint_eq(read8(rig, 0xe0000), 0x80 | 32);
    ck_assert_uint_eq(read8(rig, 0xc0000), 0xff);
    write8(rig, 0xf0000, 0x11);
    ck_assert_uint_eq(read8(rig, 0xf0000), 0x80 | 48);
    /* Write only: reads stay with the BIOS. */
    set_pam(rig, 0, 0x20);
    write8(rig, 0xf0000, 0x11);
    phys_write_scalar(&rig->phys, SPA(0xf0010), 0x8877665544332211, 8);
    write8(rig, 0xe0000, 0x22); /* another segment: not writable */
    ck_assert_uint_eq(read8(rig, 0xf0000), 0x80 | 48);
    ck_assert_uint_eq(read8(rig, 0xe0000), 0x80 | 32);
    ck_assert_uint_eq(read8(rig, 0xc0000), 0xff);
    /* Read only: the shadow, protected. */
    set_pam(rig, 0, 0x10);
    ck_assert_uint_eq(read8(rig, 0xf0000), 0x11);
    ck_assert_uint_eq(rig_read32(rig, 0xf0010), 0x44332211);
    write8(rig, 0xf0000, 0x33);
    ck_assert_uint_eq(read8(rig, 0xf0000), 0x11);
    /* Both. */
    set_pam(rig, 0, 0xff);
    ck_assert_uint_eq(rig_cfg_read(rig, Q35_MCH_DEVFN, MCH_PAM0, 1), 0x30);
    write8(rig, 0xf0000, 0x33);
    ck_assert_uint_eq(read8(rig, 0xf0000), 0x33);
    ck_assert_uint_eq(rig->phys.ram[0xf0000], 0x33);
    ck_assert_uint_eq(rig->phys.ram[0xe0000], 0);
    /* Every 16 KiB segment on its own. */
    for (unsigned i = 0; i < 12; i++) {
        u64 base = 0xc0000 + 0x4000 * (u64)i;
        set_pam(rig, 1 + i / 2, (i & 1) != 0 ? 0x30 : 0x03);
        write8(rig, base, (u8)(i + 1));
        write8(rig, base + 0x3fff, (u8)(i + 1));
        ck_assert_uint_eq(read8(rig, base), i + 1);
        ck_assert_uint_eq(read8(rig, base + 0x3fff), i + 1);
        ck_assert_uint_ne(read8(rig, base ^ 0x4000), i + 1);
        set_pam(rig, 1 + i / 2, 0);
    }
    rig_free(rig);
}
END_TEST

START_TEST(test_q35__smram)
{
    struct rig *rig = rig_new();
    bus_reset(rig->bus, RESET_POWER);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, MCH_SMRAM, 1), 0x02);
    ck_assert_uint_eq(read8(rig, 0xa0000), 0xff);
    rig_cfg_write(rig, 0, MCH_SMRAM, 0x4a, 1); /* G_SMRAME, D_OPEN */
    write8(rig, 0xa8000, 0x5a);
    ck_assert_uint_eq(read8(rig, 0xa8000), 0x5a);
    ck_assert(rig->smram.window && rig->smram.window_open);
    rig_cfg_write(rig, 0, MCH_SMRAM, 0x0a, 1);
    ck_assert_uint_eq(read8(rig, 0xa8000), 0xff);
    mch_set_smm_view(rig->mch, true);
    ck_assert_uint_eq(read8(rig, 0xa8000), 0x5a);
    mch_set_smm_view(rig->mch, false);
    /* TSEG: 1 MiB at the top of low RAM, hidden outside SMM. */
    u64 tseg = RIG_RAM - MIB(1);
    write8(rig, tseg, 0x77);
    rig_cfg_write(rig, 0, MCH_ESMRAMC, 0x01, 1);
    ck_assert(rig->smram.tseg);
    ck_assert_uint_eq(rig->smram.tseg_base, tseg);
    ck_assert_uint_eq(read8(rig, tseg), 0xff);
    ck_assert_uint_eq(read8(rig, tseg - 1), 0);
    mch_set_smm_view(rig->mch, true);
    ck_assert_uint_eq(read8(rig, tseg), 0x77);
    mch_set_smm_view(rig->mch, false);
    rig_cfg_write(rig, 0, MCH_ESMRAMC, 0x05, 1); /* 8 MiB */
    ck_assert_uint_eq(rig->smram.tseg_size, MIB(8));
    /* Lock: the window closes and nothing moves until a reset. */
    rig_cfg_write(rig, 0, MCH_SMRAM, 0x5a, 1);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, MCH_SMRAM, 1), 0x1a);
    rig_cfg_write(rig, 0, MCH_SMRAM, 0x42, 1);
    rig_cfg_write(rig, 0, MCH_ESMRAMC, 0, 1);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, MCH_SMRAM, 1), 0x1a);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, MCH_ESMRAMC, 1), 0x3d);
    struct rig *two = rig_new();
    rig_check_save_restore(rig, two);
    ck_assert(two->smram.tseg);
    rig_cfg_write(two, 0, MCH_SMRAM, 0x42, 1);
    ck_assert_uint_eq(rig_cfg_read(two, 0, MCH_SMRAM, 1), 0x1a);
    rig_free(two);
    bus_reset(rig->bus, RESET_HARD);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, MCH_SMRAM, 1), 0x02);
    ck_assert_uint_eq(read8(rig, tseg), 0x77);
    rig_cfg_write(rig, 0, MCH_SMRAM, 0x4a, 1);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, MCH_SMRAM, 1), 0x4a);
    rig_free(rig);
}
END_TEST

START_TEST(test_q35__identity)
{
    struct rig *rig = rig_new();
    ich9_smbus_new(&rig->env, rig->pci);
    bus_reset(rig->bus, RESET_POWER);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, 0, 4), 0x29c08086);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, PCI_CLASS_DEVICE, 2), 0x0600);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x11001af4);
    ck_assert_uint_eq(rig_cfg_read(rig, 0xf8, 0, 4), 0x29188086);
    ck_assert_uint_eq(rig_cfg_read(rig, 0xf8, PCI_CLASS_DEVICE, 2), 0x0601);
    ck_assert_uint_eq(rig_cfg_read(rig, 0xf8, PCI_HEADER_TYPE, 1), 0x80);
    ck_assert_uint_eq(rig_cfg_read(rig, 0xfb, 0, 4), 0x29308086);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, MCH_TOLUD, 2), 0x0200); /* 32 MiB */
    /* No extended TSEG: the query reads back. */
    rig_cfg_write(rig, 0, MCH_EXT_TSEG, 0xffff, 2);
    ck_assert_uint_eq(rig_cfg_read(rig, 0, MCH_EXT_TSEG, 2), 0xffff);
    rig_free(rig);
}
END_TEST

START_TEST(test_q35__lpc_decodes)
{
    struct rig *rig = rig_new();
    bus_reset(rig->bus, RESET_POWER);
    ck_assert(!rig->pm_enabled);
    rig_cfg_write(rig, 0xf8, ICH9_PMBASE, 0x0601, 4);
    rig_cfg_write(rig, 0xf8, ICH9_ACPI_CNTL, 0x80, 1);
    ck_assert(rig->pm_enabled);
    ck_assert_uint_eq(rig->pm_base, 0x600);
    ck_assert_uint_eq(rig_cfg_read(rig, 0xf8, ICH9_PMBASE, 4), 0x0601);
    ck_assert_uint_eq(rig_cfg_read(rig, 0xf8, ICH9_PIRQA_ROUT, 4), 0x80808080);
    rig_cfg_write(rig, 0xf8, ICH9_GEN_PMCON_1, 0x10, 1);
    ck_assert(rig->smi_locked);
    rig_cfg_write(rig, 0xf8, ICH9_GEN_PMCON_1, 0, 1);
    ck_assert(rig->smi_locked);
    ck_assert_uint_eq(rig_cfg_read(rig, 0xf8, ICH9_GEN_PMCON_1, 1), 0x10);
    bus_reset(rig->bus, RESET_HARD);
    ck_assert(!rig->smi_locked && !rig->pm_enabled);
    rig_free(rig);
}
END_TEST

/* An empty SMBus: a transaction fails with DEV_ERR. */
START_TEST(test_q35__smbus)
{
    struct rig *rig = rig_new();
    ich9_smbus_new(&rig->env, rig->pci);
    bus_reset(rig->bus, RESET_POWER);
    q35_setup_without_firmware(rig->pci, rig->lpc, GIB(64), GIB(128) - 1);
    u16 base = (u16)(rig_cfg_read(rig, 0xfb, 0x20, 4) & 0xfffe);
    ck_assert_uint_eq(bus_port_read(rig->bus, base, 1), 0xff);
    rig_cfg_write(rig, 0xfb, ICH9_SMB_HOSTC, 1, 1);
    ck_assert_uint_eq(bus_port_read(rig->bus, base, 1), 0);
    ck_assert_uint_eq(bus_port_read(rig->bus, base, 1), 0x40);
    bus_port_write(rig->bus, (u16)(base + 2), 0x49, 1);
    ck_assert_uint_eq(bus_port_read(rig->bus, base, 1) & 0x1f, 4);
    ck_assert(rig->pirq[0]);
    bus_port_write(rig->bus, base, 0xff, 1);
    ck_assert(!rig->pirq[0]);
    struct rig *two = rig_new();
    ich9_smbus_new(&two->env, two->pci);
    rig_check_save_restore(rig, two);
    rig_free(rig);
    rig_free(two);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("q35");
    TCase *tc = tcase_create("q35");
    suite_add_tcase(suite, tc);
    tcase_add_test(tc, test_q35__pam);
    tcase_add_test(tc, test_q35__smram);
    tcase_add_test(tc, test_q35__identity);
    tcase_add_test(tc, test_q35__lpc_decodes);
    tcase_add_test(tc, test_q35__smbus);
    return unit_run(suite);
}
