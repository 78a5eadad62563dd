/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AHCI with a scripted driver: registers, every protocol, NCQ, ATAPI, errors, malformed tables,
 * interrupts, save and restore in the middle of commands. */
#include "ahci_rig.h"
#include "unit.h"

struct setup {
    struct rig *rig;
    struct ahci *ahci;
    struct memory_disk disk, cd;
};

static struct setup *setup_new(void)
{
    struct setup *s = calloc(1, sizeof *s);
    ck_assert_ptr_nonnull(s);
    memory_disk_init(&s->disk, 8192);
    memory_disk_init(&s->cd, 4096);
    s->cd.backend.read_only = true;
    s->rig = rig_new();
    s->ahci = ahci_rig_new(s->rig, &s->disk, &s->cd);
    ahci_rig_start(s->rig);
    return s;
}

static void setup_free(struct setup *s)
{
    rig_free(s->rig);
    free(s->disk.bytes);
    free(s->cd.bytes);
    free(s);
}

static u32 port_reg(struct setup *s, unsigned port, unsigned offset)
{
    return rig_read32(s->rig, PORT(port) + offset);
}

static u64 sector_at(struct setup *s, u32 address)
{
    u64 v;
    phys_read(&s->rig->phys, SPA(address), &v, 8);
    return v;
}

START_TEST(test_ahci__registers)
{
    struct setup *s = setup_new();
    ck_assert_uint_eq(rig_cfg_read(s->rig, ICH9_AHCI_DEVFN, 0, 4), 0x29228086);
    ck_assert_uint_eq(rig_cfg_read(s->rig, ICH9_AHCI_DEVFN, 8, 4), 0x01060102);
    ck_assert_uint_eq(rig_read32(s->rig, ABAR + AHCI_PI), 0x3f);
    ck_assert_uint_eq(rig_read32(s->rig, ABAR + AHCI_CAP) & 0x1f, 5);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXSSTS), 0x133);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXSIG), ATA_SIGNATURE_DISK);
    ck_assert_uint_eq(port_reg(s, 1, AHCI_PXSIG), ATA_SIGNATURE_PACKET);
    ck_assert_uint_eq(port_reg(s, 2, AHCI_PXSSTS), 0);
    ck_assert_uint_eq(port_reg(s, 2, AHCI_PXTFD), 0x7f);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXTFD), 0x150);
    /* The signature was received once FRE was on. */
    ck_assert_uint_eq(rig_read32(s->rig, RFB(0) + AHCI_RX_RFIS), 0x01500034);
    /* Narrow writes keep the other bytes; index-data pair. */
    phys_write_scalar(&s->rig->phys, SPA(PORT(0) + AHCI_PXFBU), 0x12, 1);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXFBU), 0x12);
    rig_write32(s->rig, PORT(0) + AHCI_PXFBU, 0);
    ck_assert_uint_eq(phys_read_scalar(&s->rig->phys, SPA(ABAR + AHCI_VS + 2), 2), 1);
    rig_cfg_write(s->rig, ICH9_AHCI_DEVFN, 0x20, 0xc000, 4);
    bus_port_write(s->rig->bus, 0xc010, AHCI_PORT_BASE + AHCI_PXSIG, 4);
    ck_assert_uint_eq(bus_port_read(s->rig->bus, 0xc014, 4), ATA_SIGNATURE_DISK);
    setup_free(s);
}
END_TEST

START_TEST(test_ahci__identify)
{
    struct setup *s = setup_new();
    const struct request q = {.command = ATA_CMD_IDENTIFY, .bytes = 512, .data = DATA};
    ck_assert(ahci_rig_do(s->rig, 0, &q));
    u8 page[512];
    phys_read(&s->rig->phys, SPA(DATA), page, sizeof page);
    ck_assert_uint_eq(load_le32(page + 120), 8192);
    ck_assert_uint_eq(load_le64(page + 200), 8192);
    ck_assert_int_eq(memcmp(page + 54, "IVRTNI EAHDRIDKS", 16), 0);
    u8 sum = 0;
    for (unsigned i = 0; i < 512; i++) {
        sum = (u8)(sum + page[i]);
    }
    ck_assert_uint_eq(sum, 0);
    /* PIO read: a PIO Setup FIS with the final status, no register FIS. */
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS), AHCI_PXIS_PSS);
    u8 fis[20];
    phys_read(&s->rig->phys, SPA(RFB(0) + AHCI_RX_PSFIS), fis, sizeof fis);
    ck_assert_uint_eq(fis[0], FIS_PIO_SETUP);
    ck_assert_uint_eq(fis[1], 0x60);
    ck_assert_uint_eq(fis[2], 0x58);
    ck_assert_uint_eq(fis[15], 0x50);
    ck_assert_uint_eq(load_le16(fis + 16), 512);
    ck_assert_uint_eq(rig_read32(s->rig, CLB(0) + 4), 512); /* PRDBC */
    setup_free(s);
}
END_TEST

START_TEST(test_ahci__read_write_all_protocols)
{
    static const struct {
        u8 read, write;
        bool lba48;
    } pairs[] = {
        {ATA_CMD_READ_SECTORS, ATA_CMD_WRITE_SECTORS, false},
        {ATA_CMD_READ_SECTORS_EXT, ATA_CMD_WRITE_SECTORS_EXT, true},
        {ATA_CMD_READ_MULTIPLE, ATA_CMD_WRITE_MULTIPLE, false},
        {ATA_CMD_READ_MULTIPLE_EXT, ATA_CMD_WRITE_MULTIPLE_FUA_EXT, true},
        {ATA_CMD_READ_DMA, ATA_CMD_WRITE_DMA, false},
        {ATA_CMD_READ_DMA_EXT, ATA_CMD_WRITE_DMA_EXT, true},
    };
    struct setup *s = setup_new();
    const struct request multiple = {.command = ATA_CMD_SET_MULTIPLE, .count = 16};
    struct request early = {
        .command = ATA_CMD_READ_MULTIPLE, .count = 1, .bytes = 512, .data = DATA};
    ck_assert(!ahci_rig_do(s->rig, 0, &early));
    ahci_rig_recover(s->rig, 0);
    ck_assert(ahci_rig_do(s->rig, 0, &multiple));
    for (unsigned i = 0; i < ARRAY_LEN(pairs); i++) {
        u64 lba = 1000 + 300 * i;
        struct request q = {.command = pairs[i].read,
                            .lba = lba,
                            .count = 200,
                            .bytes = 200 * 512,
                            .data = DATA,
                            .prds = 5};
        ck_assert(ahci_rig_do(s->rig, 0, &q));
        ck_assert_uint_eq(sector_at(s, DATA), lba);
        ck_assert_uint_eq(sector_at(s, DATA + 199 * 512), lba + 199);
        rig_write32(s->rig, DATA, 0xdead0000 + i);
        rig_write32(s->rig, DATA + 199 * 512, 0xbeef0000 + i);
        q.command = pairs[i].write;
        q.flags = AHCI_HEADER_W;
        ck_assert(ahci_rig_do(s->rig, 0, &q));
        ck_assert_uint_eq(load_le32(s->disk.bytes + lba * 512), 0xdead0000 + i);
        ck_assert_uint_eq(load_le32(s->disk.bytes + (lba + 199) * 512), 0xbeef0000 + i);
        ck_assert_uint_eq(load_le64(s->disk.bytes + (lba + 200) * 512), lba + 200);
    }
    ck_assert_uint_eq(s->disk.flushes, 1); /* the FUA write */
    /* Count 0 is 256 sectors. */
    struct request q = {.command = ATA_CMD_READ_DMA, .bytes = 256 * 512, .data = DATA};
    ck_assert(ahci_rig_do(s->rig, 0, &q));
    ck_assert_uint_eq(sector_at(s, DATA + 255 * 512), 255);
    setup_free(s);
}
END_TEST

/* Completion comes at a fixed virtual time: 50 us and 5/3 ns a byte. */
START_TEST(test_ahci__timing_and_interrupts)
{
    struct setup *s = setup_new();
    const struct request q = {.command = ATA_CMD_READ_DMA, .count = 6, .bytes = 3072, .data = DATA};
    ck_assert(!s->rig->pirq[0]);
    ahci_rig_build(s->rig, 0, 3, &q);
    u64 start = clock_now(&s->rig->clock).ns;
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 8);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXTFD) & 0x80, 0x80);
    ck_assert_uint_eq(clock_next_deadline(&s->rig->clock).ns, start + 50000 + 5120);
    rig_run(s->rig, 55119);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 8);
    rig_run(s->rig, 1);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 0);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS), AHCI_PXIS_DHRS);
    ck_assert_uint_eq(rig_read32(s->rig, ABAR + AHCI_IS), 1);
    ck_assert(s->rig->pirq[0]); /* 1f.2 INTA#: PIRQA */
    rig_write32(s->rig, ABAR + AHCI_IS, 1);
    ck_assert_uint_eq(rig_read32(s->rig, ABAR + AHCI_IS), 1); /* the cause is still there */
    rig_write32(s->rig, PORT(0) + AHCI_PXIS, 0xffffffff);
    ck_assert(s->rig->pirq[0]);
    rig_write32(s->rig, ABAR + AHCI_IS, 1);
    ck_assert(!s->rig->pirq[0]);
    /* MSI instead. */
    rig_cfg_write(s->rig, ICH9_AHCI_DEVFN, 0x84, 0xfee00000, 4);
    rig_cfg_write(s->rig, ICH9_AHCI_DEVFN, 0x8c, 0x31, 2);
    rig_cfg_write(s->rig, ICH9_AHCI_DEVFN, 0x82, 1, 2);
    ck_assert(ahci_rig_do(s->rig, 0, &q));
    ck_assert_uint_eq(s->rig->messages, 1);
    ck_assert_uint_eq(s->rig->last_data, 0x31);
    ck_assert(!s->rig->pirq[0]);
    setup_free(s);
}
END_TEST

START_TEST(test_ahci__ncq)
{
    struct setup *s = setup_new();
    u32 tags = 0;
    for (unsigned t = 0; t < 32; t++) {
        const struct request q = {.command = (t & 1) != 0 ? ATA_CMD_WRITE_FPDMA_QUEUED
                                                          : ATA_CMD_READ_FPDMA_QUEUED,
                                  .lba = 100 + 8 * t,
                                  .features = 2,
                                  .count = (u16)(t << 3),
                                  .bytes = 1024,
                                  .data = DATA + 1024 * t,
                                  .flags = (t & 1) != 0 ? AHCI_HEADER_W : 0};
        rig_write32(s->rig, DATA + 1024 * t, 0xcafe0000 + t);
        ahci_rig_build(s->rig, 0, t, &q);
        tags |= BIT32(t);
    }
    rig_write32(s->rig, PORT(0) + AHCI_PXSACT, tags);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, tags);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 0); /* all accepted at once */
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXSACT), tags);
    rig_run(s->rig, 60000);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXSACT), tags & ~1u);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS), AHCI_PXIS_SDBS);
    ck_assert_uint_eq(rig_read32(s->rig, RFB(0) + AHCI_RX_SDBFIS + 4), 1);

    /* Save and restore with 31 commands under way; both end the same. */
    struct setup *two = setup_new();
    memcpy(two->disk.bytes, s->disk.bytes, 8192 * 512);
    rig_check_save_restore(s->rig, two->rig);
    rig_run(s->rig, 10000000);
    rig_run(two->rig, 10000000);
    ck_assert_uint_eq(rig_hash(s->rig), rig_hash(two->rig));
    ck_assert_int_eq(memcmp(two->disk.bytes, s->disk.bytes, 8192 * 512), 0);

    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXSACT), 0);
    ck_assert_uint_eq(sector_at(s, DATA + 4 * 1024 + 512), 100 + 32 + 1);
    ck_assert_uint_eq(load_le32(s->disk.bytes + (100 + 8 * 31) * 512), 0xcafe0000 + 31);
    setup_free(two);
    setup_free(s);
}
END_TEST

START_TEST(test_ahci__ncq_error_log)
{
    struct setup *s = setup_new();
    for (unsigned t = 0; t < 3; t++) {
        const struct request q = {.command = ATA_CMD_READ_FPDMA_QUEUED,
                                  .lba = t == 1 ? 8191 : 10,
                                  .features = 2,
                                  .count = (u16)(t << 3),
                                  .bytes = 1024,
                                  .data = DATA};
        ahci_rig_build(s->rig, 0, t, &q);
    }
    rig_write32(s->rig, PORT(0) + AHCI_PXSACT, 7);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 7);
    rig_run(s->rig, 1000000);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXSACT), 6); /* the failed and the aborted one */
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS) & AHCI_PXIS_TFES, AHCI_PXIS_TFES);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXTFD) & 0xff01, 0x1001);
    ahci_rig_recover(s->rig, 0);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXSACT), 0);
    const struct request log = {
        .command = ATA_CMD_READ_LOG_EXT, .lba = 0x10, .count = 1, .bytes = 512, .data = DATA};
    ck_assert(ahci_rig_do(s->rig, 0, &log));
    u8 page[512];
    phys_read(&s->rig->phys, SPA(DATA), page, sizeof page);
    ck_assert_uint_eq(page[0], 1);
    ck_assert_uint_eq(page[3], ATA_ERROR_IDNF);
    ck_assert_uint_eq(load_le16(page + 4), 8191);
    setup_free(s);
}
END_TEST

START_TEST(test_ahci__task_file_errors)
{
    struct setup *s = setup_new();
    struct request q = {
        .command = ATA_CMD_READ_DMA_EXT, .lba = 8190, .count = 3, .bytes = 1536, .data = DATA};
    ck_assert(!ahci_rig_do(s->rig, 0, &q));
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS), AHCI_PXIS_TFES | AHCI_PXIS_DHRS);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXTFD), ATA_ERROR_IDNF << 8 | 0x51);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 1);
    /* Stopped: nothing more is done until ST falls. */
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 2);
    rig_run(s->rig, 1000000);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 3);
    ahci_rig_recover(s->rig, 0);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 0);
    q.lba = 8189;
    ck_assert(ahci_rig_do(s->rig, 0, &q));
    /* A medium error and an unknown command. */
    s->disk.bad_lba = 8190;
    ck_assert(!ahci_rig_do(s->rig, 0, &q));
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXTFD) >> 8, ATA_ERROR_UNC);
    ahci_rig_recover(s->rig, 0);
    const struct request unknown = {.command = 0xff};
    ck_assert(!ahci_rig_do(s->rig, 0, &unknown));
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXTFD) >> 8, ATA_ERROR_ABRT);
    ahci_rig_recover(s->rig, 0);
    s->disk.backend.read_only = true;
    q.command = ATA_CMD_WRITE_DMA_EXT;
    q.lba = 0;
    q.flags = AHCI_HEADER_W;
    ck_assert(!ahci_rig_do(s->rig, 0, &q));
    setup_free(s);
}
END_TEST

START_TEST(test_ahci__small_commands)
{
    struct setup *s = setup_new();
    static const u8 fine[] = {ATA_CMD_FLUSH_CACHE,      ATA_CMD_FLUSH_CACHE_EXT,
                              ATA_CMD_IDLE_IMMEDIATE,   ATA_CMD_STANDBY_IMMEDIATE,
                              ATA_CMD_CHECK_POWER_MODE, ATA_CMD_RECALIBRATE};
    for (unsigned i = 0; i < sizeof fine; i++) {
        const struct request q = {.command = fine[i]};
        ck_assert(ahci_rig_do(s->rig, 0, &q));
        ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS), AHCI_PXIS_DHRS);
    }
    ck_assert_uint_eq(s->disk.flushes, 3);
    const struct request mode = {.command = ATA_CMD_SET_FEATURES, .features = 3, .count = 0x42};
    ck_assert(ahci_rig_do(s->rig, 0, &mode));
    const struct request no_cache = {.command = ATA_CMD_SET_FEATURES, .features = 0x82};
    ck_assert(ahci_rig_do(s->rig, 0, &no_cache));
    const struct request id = {.command = ATA_CMD_IDENTIFY, .bytes = 512, .data = DATA};
    ck_assert(ahci_rig_do(s->rig, 0, &id));
    ck_assert_uint_eq(rig_read32(s->rig, DATA + 176) & 0xffff, 0x043f);
    ck_assert_uint_eq(rig_read32(s->rig, DATA + 170) & 0x20, 0);
    const struct request smart = {
        .command = ATA_CMD_SMART, .features = 0xda, .lba = (u64)0xc24f << 8};
    ck_assert(ahci_rig_do(s->rig, 0, &smart));
    ck_assert_uint_eq(rig_read32(s->rig, RFB(0) + AHCI_RX_RFIS + 4) & 0xffff00, 0xc24f00);
    const struct request trim = {.command = ATA_CMD_DATA_SET_MANAGEMENT,
                                 .features = 1,
                                 .count = 1,
                                 .bytes = 512,
                                 .data = DATA,
                                 .flags = AHCI_HEADER_W};
    u8 ranges[512] = {0};
    store_le64(ranges, 50 | (u64)4 << 48);
    phys_write(&s->rig->phys, SPA(DATA), ranges, sizeof ranges);
    ck_assert(ahci_rig_do(s->rig, 0, &trim));
    ck_assert_uint_eq(load_le64(s->disk.bytes + 53 * 512), 0);
    ck_assert_uint_eq(load_le64(s->disk.bytes + 54 * 512), 54);
    setup_free(s);
}
END_TEST

START_TEST(test_ahci__resets)
{
    struct setup *s = setup_new();
    /* COMRESET. */
    rig_write32(s->rig, PORT(0) + AHCI_PXCMD, AHCI_PXCMD_FRE);
    rig_write32(s->rig, PORT(0) + AHCI_PXSCTL, 0x301);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXSSTS), 0);
    rig_write32(s->rig, PORT(0) + AHCI_PXSCTL, 0x300);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXSSTS), 0x133);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXTFD), 0x150);
    ck_assert_uint_ne(port_reg(s, 0, AHCI_PXIS) & AHCI_PXIS_PCS, 0);
    rig_write32(s->rig, PORT(0) + AHCI_PXSERR, 0xffffffff);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS) & AHCI_PXIS_PCS, 0);
    /* Software reset by two control FISes. */
    ahci_rig_recover(s->rig, 0);
    const struct request none = {.command = 0, .flags = AHCI_HEADER_C};
    ahci_rig_build(s->rig, 0, 0, &none);
    rig_write32(s->rig, TABLE(0, 0), FIS_REG_H2D);
    rig_write32(s->rig, TABLE(0, 0) + 12, (u32)4 << 24);
    rig_write32(s->rig, RFB(0) + AHCI_RX_RFIS, 0);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 1);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 0);
    rig_write32(s->rig, TABLE(0, 0) + 12, 0);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 1);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 0);
    ck_assert_uint_eq(rig_read32(s->rig, RFB(0) + AHCI_RX_RFIS), 0x01500034);
    /* ST cleared in the middle of a command; CLO clears what it leaves. */
    const struct request q = {.command = ATA_CMD_READ_DMA, .count = 1, .bytes = 512, .data = DATA};
    ahci_rig_build(s->rig, 0, 0, &q);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 1);
    rig_write32(s->rig, PORT(0) + AHCI_PXCMD, AHCI_PXCMD_FRE);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 0);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXTFD) & 0x80, 0x80);
    rig_write32(s->rig, PORT(0) + AHCI_PXCMD, AHCI_PXCMD_FRE | AHCI_PXCMD_CLO);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXTFD) & 0x80, 0);
    ahci_rig_recover(s->rig, 0);
    ck_assert(ahci_rig_do(s->rig, 0, &q));
    /* HBA reset: command list and FIS bases stay. */
    rig_write32(s->rig, ABAR + AHCI_GHC, AHCI_GHC_HR);
    ck_assert_uint_eq(rig_read32(s->rig, ABAR + AHCI_GHC), AHCI_GHC_AE);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCLB), CLB(0));
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCMD), AHCI_PXCMD_SUD | AHCI_PXCMD_POD);
    setup_free(s);
}
END_TEST

/* What a hostile driver writes: nothing crashes, nothing hangs, the port says so. */
START_TEST(test_ahci__malformed_tables)
{
    struct setup *s = setup_new();
    struct request q = {.command = ATA_CMD_READ_DMA, .count = 8, .bytes = 1024, .data = DATA};
    /* A PRD table shorter than the command. */
    ck_assert(!ahci_rig_do(s->rig, 0, &q));
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS), AHCI_PXIS_OFS);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 1);
    /* Its BSY stays, as after any lost frame; software uses CLO or a reset. */
    rig_write32(s->rig, PORT(0) + AHCI_PXCMD, AHCI_PXCMD_FRE);
    rig_write32(s->rig, PORT(0) + AHCI_PXCMD, AHCI_PXCMD_FRE | AHCI_PXCMD_CLO);
    ahci_rig_recover(s->rig, 0);
    /* No FIS, a strange FIS. */
    q.bytes = 4096;
    ahci_rig_build(s->rig, 0, 0, &q);
    rig_write32(s->rig, CLB(0), 1);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 1);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS), AHCI_PXIS_IFS);
    ahci_rig_recover(s->rig, 0);
    ahci_rig_build(s->rig, 0, 0, &q);
    rig_write32(s->rig, TABLE(0, 0), 0x46);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 1);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS), AHCI_PXIS_IFS);
    ahci_rig_recover(s->rig, 0);
    /* Everything at an address where nothing is, and over the tables themselves. */
    ahci_rig_build(s->rig, 0, 0, &q);
    rig_write32(s->rig, TABLE(0, 0) + AHCI_TABLE_PRDT + 4, 0xffffffff);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 1);
    rig_run(s->rig, 1000000);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXCI), 0);
    q.data = CLB(0);
    ck_assert(ahci_rig_do(s->rig, 0, &q));
    /* 65535 entries of two bytes for the largest command. */
    q = (struct request){.command = ATA_CMD_READ_DMA_EXT, .bytes = 2, .data = DATA};
    ahci_rig_build(s->rig, 0, 0, &q);
    rig_write32(s->rig, CLB(0), 0xffff0005);
    rig_write32(s->rig, PORT(0) + AHCI_PXIS, 0xffffffff);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 1);
    rig_run(s->rig, 1000000000);
    ck_assert_uint_ne(port_reg(s, 0, AHCI_PXIS), 0);
    /* The same tag twice; then a plain command between queued ones. */
    for (unsigned round = 0; round < 2; round++) {
        rig_write32(s->rig, PORT(0) + AHCI_PXCMD, AHCI_PXCMD_FRE);
        rig_write32(s->rig, PORT(0) + AHCI_PXCMD, AHCI_PXCMD_FRE | AHCI_PXCMD_CLO);
        ahci_rig_recover(s->rig, 0);
        q = (struct request){.command = ATA_CMD_READ_FPDMA_QUEUED,
                             .features = 1,
                             .count = 5 << 3,
                             .bytes = 512,
                             .data = DATA};
        ahci_rig_build(s->rig, 0, 1, &q);
        q.command = round == 0 ? ATA_CMD_READ_FPDMA_QUEUED : ATA_CMD_IDENTIFY;
        ahci_rig_build(s->rig, 0, 2, &q);
        rig_write32(s->rig, PORT(0) + AHCI_PXSACT, 1 << 5);
        rig_write32(s->rig, PORT(0) + AHCI_PXCI, 6);
        ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS) & AHCI_PXIS_TFES, AHCI_PXIS_TFES);
    }
    /* Refused DMA: host bus fatal error. */
    ahci_rig_recover(s->rig, 0);
    rig_cfg_write(s->rig, ICH9_AHCI_DEVFN, PCI_COMMAND, 2, 2);
    rig_write32(s->rig, PORT(0) + AHCI_PXCI, 1);
    ck_assert_uint_eq(port_reg(s, 0, AHCI_PXIS), AHCI_PXIS_HBFS);
    setup_free(s);
}
END_TEST

static bool packet(struct setup *s, u8 code, u8 b1, u8 b2, u16 allocation, u32 bytes)
{
    u8 acmd[12] = {code, b1, b2};
    store_be16(acmd + 7, allocation);
    return ahci_rig_packet(s->rig, acmd, bytes, false);
}

static void sense(struct setup *s, u8 *key, u8 *asc)
{
    u8 acmd[12] = {SCSI_REQUEST_SENSE, 0, 0, 0, 18};
    u8 data[18];
    ahci_rig_recover(s->rig, 1);
    ck_assert(ahci_rig_packet(s->rig, acmd, 18, false));
    phys_read(&s->rig->phys, SPA(DATA), data, sizeof data);
    *key = data[2];
    *asc = data[12];
}

START_TEST(test_ahci__atapi)
{
    struct setup *s = setup_new();
    u8 key, asc, data[64];
    const struct request plain = {.command = ATA_CMD_IDENTIFY, .bytes = 512, .data = DATA};
    ck_assert(!ahci_rig_do(s->rig, 1, &plain));
    ahci_rig_recover(s->rig, 1);
    const struct request id = {.command = ATA_CMD_IDENTIFY_PACKET, .bytes = 512, .data = DATA};
    ck_assert(ahci_rig_do(s->rig, 1, &id));
    ck_assert_uint_eq(rig_read32(s->rig, DATA) & 0xffff, 0x8580);
    /* The first command meets the unit attention of the reset. */
    ck_assert(!packet(s, SCSI_TEST_UNIT_READY, 0, 0, 0, 0));
    ck_assert_uint_eq(port_reg(s, 1, AHCI_PXTFD) >> 8, SENSE_UNIT_ATTENTION << 4);
    sense(s, &key, &asc);
    ck_assert_uint_eq(key, SENSE_UNIT_ATTENTION);
    ck_assert_uint_eq(asc, 0x29);
    ck_assert(packet(s, SCSI_TEST_UNIT_READY, 0, 0, 0, 0));
    ck_assert_uint_eq(port_reg(s, 1, AHCI_PXIS), AHCI_PXIS_DHRS);
    /* Capacity and reads. */
    ck_assert(packet(s, SCSI_READ_CAPACITY_10, 0, 0, 0, 8));
    phys_read(&s->rig->phys, SPA(DATA), data, 8);
    ck_assert_uint_eq(load_be32(data), 1023);
    ck_assert_uint_eq(load_be32(data + 4), 2048);
    u8 read10[12] = {SCSI_READ_10, 0, 0, 0, 0, 100, 0, 0, 40};
    ck_assert(ahci_rig_packet(s->rig, read10, 40 * 2048, true));
    ck_assert_uint_eq(sector_at(s, DATA), 400);
    ck_assert_uint_eq(sector_at(s, DATA + 40 * 2048 - 512), 559);
    ck_assert_uint_eq(rig_read32(s->rig, CLB(1) + 4), 40 * 2048);
    u8 read12[12] = {SCSI_READ_12, 0, 0, 0, 0x03, 0xff, 0, 0, 0, 1};
    ck_assert(ahci_rig_packet(s->rig, read12, 2048, false));
    ck_assert_uint_eq(sector_at(s, DATA), 4092);
    ck_assert_uint_ne(port_reg(s, 1, AHCI_PXIS) & AHCI_PXIS_PSS, 0);
    read12[9] = 2;
    ck_assert(!ahci_rig_packet(s->rig, read12, 4096, false));
    sense(s, &key, &asc);
    ck_assert_uint_eq(key, SENSE_ILLEGAL_REQUEST);
    ck_assert_uint_eq(asc, 0x21);
    /* Replies that drivers look at. */
    u8 inq[12] = {SCSI_INQUIRY, 0, 0, 0, 36};
    ck_assert(ahci_rig_packet(s->rig, inq, 36, false));
    phys_read(&s->rig->phys, SPA(DATA), data, 36);
    ck_assert_uint_eq(data[0], 5);
    ck_assert_int_eq(memcmp(data + 8, "VITRINE ", 8), 0);
    ck_assert(packet(s, SCSI_READ_TOC, 2, 0, 20, 20));
    phys_read(&s->rig->phys, SPA(DATA), data, 20);
    ck_assert_uint_eq(load_be16(data), 18);
    ck_assert_uint_eq(data[14], 0xaa);
    ck_assert_uint_eq(load_be32(data + 16), (1023 + 1 + 150) / 75 << 8 | (1174 % 75));
    ck_assert(packet(s, SCSI_GET_CONFIGURATION, 0, 0, 8, 8));
    phys_read(&s->rig->phys, SPA(DATA), data, 8);
    ck_assert_uint_eq(load_be16(data + 6), 8);
    u8 event[12] = {SCSI_GET_EVENT_STATUS, 1, 0, 0, 0x10, 0, 0, 0, 8};
    ck_assert(ahci_rig_packet(s->rig, event, 8, false));
    phys_read(&s->rig->phys, SPA(DATA), data, 8);
    ck_assert_uint_eq(data[5], 2);
    ck_assert(packet(s, SCSI_MODE_SENSE_10, 0, 0x2a, 36, 36));
    phys_read(&s->rig->phys, SPA(DATA), data, 36);
    ck_assert_uint_eq(data[8], 0x2a);
    ck_assert(packet(s, SCSI_READ_DISC_INFORMATION, 0, 0, 34, 34));
    ck_assert(packet(s, SCSI_MECHANISM_STATUS, 0, 0, 0, 8));
    ck_assert(!packet(s, 0xee, 0, 0, 0, 0));
    sense(s, &key, &asc);
    ck_assert_uint_eq(asc, 0x20);
    setup_free(s);
}
END_TEST

START_TEST(test_ahci__atapi_medium)
{
    struct setup *s = setup_new();
    u8 key, asc;
    ck_assert(!packet(s, SCSI_TEST_UNIT_READY, 0, 0, 0, 0));
    sense(s, &key, &asc);
    u8 prevent[12] = {SCSI_PREVENT_ALLOW, 0, 0, 0, 1};
    u8 eject[12] = {SCSI_START_STOP_UNIT, 0, 0, 0, 2};
    u8 load[12] = {SCSI_START_STOP_UNIT, 0, 0, 0, 3};
    ck_assert(ahci_rig_packet(s->rig, prevent, 0, false));
    ck_assert(!ahci_rig_packet(s->rig, eject, 0, false));
    sense(s, &key, &asc);
    ck_assert_uint_eq(asc, 0x53);
    prevent[4] = 0;
    ck_assert(ahci_rig_packet(s->rig, prevent, 0, false));
    ck_assert(ahci_rig_packet(s->rig, eject, 0, false));
    ck_assert(!packet(s, SCSI_READ_CAPACITY_10, 0, 0, 0, 8));
    sense(s, &key, &asc);
    ck_assert_uint_eq(key, SENSE_NOT_READY);
    ck_assert_uint_eq(asc, 0x3a);
    ck_assert(ahci_rig_packet(s->rig, load, 0, false));
    ck_assert(!packet(s, SCSI_TEST_UNIT_READY, 0, 0, 0, 0));
    sense(s, &key, &asc);
    ck_assert_uint_eq(asc, 0x28);
    ck_assert(packet(s, SCSI_TEST_UNIT_READY, 0, 0, 0, 0));
    ahci_change_medium(s->ahci, 1, NULL);
    ck_assert(!packet(s, SCSI_TEST_UNIT_READY, 0, 0, 0, 0));
    sense(s, &key, &asc);
    ck_assert_uint_eq(key, SENSE_UNIT_ATTENTION);
    ck_assert(!packet(s, SCSI_TEST_UNIT_READY, 0, 0, 0, 0));
    sense(s, &key, &asc);
    ck_assert_uint_eq(asc, 0x3a);
    setup_free(s);
}
END_TEST

START_TEST(test_ahci__save_restore)
{
    struct setup *one = setup_new();
    struct setup *two = setup_new();
    const struct request q = {
        .command = ATA_CMD_READ_DMA, .lba = 77, .count = 8, .bytes = 4096, .data = DATA};
    ahci_rig_build(one->rig, 0, 4, &q);
    rig_write32(one->rig, PORT(0) + AHCI_PXCI, 1 << 4);
    rig_run(one->rig, 1000);
    rig_check_save_restore(one->rig, two->rig);
    rig_run(one->rig, 1000000);
    rig_run(two->rig, 1000000);
    ck_assert_uint_eq(sector_at(two, DATA), 77);
    ck_assert_uint_eq(rig_hash(one->rig), rig_hash(two->rig));
    setup_free(one);
    setup_free(two);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ahci");
    TCase *tc = tcase_create("ahci");
    suite_add_tcase(suite, tc);
    tcase_add_test(tc, test_ahci__registers);
    tcase_add_test(tc, test_ahci__identify);
    tcase_add_test(tc, test_ahci__read_write_all_protocols);
    tcase_add_test(tc, test_ahci__timing_and_interrupts);
    tcase_add_test(tc, test_ahci__ncq);
    tcase_add_test(tc, test_ahci__ncq_error_log);
    tcase_add_test(tc, test_ahci__task_file_errors);
    tcase_add_test(tc, test_ahci__small_commands);
    tcase_add_test(tc, test_ahci__resets);
    tcase_add_test(tc, test_ahci__malformed_tables);
    tcase_add_test(tc, test_ahci__atapi);
    tcase_add_test(tc, test_ahci__atapi_medium);
    tcase_add_test(tc, test_ahci__save_restore);
    return unit_run(suite);
}
