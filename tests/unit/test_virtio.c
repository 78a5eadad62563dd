/* SPDX-License-Identifier: GPL-3.0-or-later */
/* virtio devices as a driver sees them: negotiation, rings, interrupts, each device's requests,
 * what a hostile driver can do, and save -> restore -> same future. */
#include "tests/harness/virtio_rig.h"
#include "unit.h"

#define V1 BIT(VIRTIO_F_VERSION_1)
#define DATA RIG_DATA

static struct rig *rig;

static void setup(void)
{
    rig = rig_new(false);
}

static void teardown(void)
{
    rig_free(rig);
}

/* Header, data, status at DATA, DATA + 0x1000, DATA + 0x800. */
static u16 blk_request(struct rig_driver *d, u32 type, u64 sector, u32 len, bool in, u64 indirect)
{
    rig_w32(rig, DATA, type);
    rig_w32(rig, DATA + 4, 0);
    rig_w64(rig, DATA + 8, sector);
    rig_w8(rig, DATA + 0x800, 0xee);
    struct rig_buf b[3] = {{DATA, 16, false}, {DATA + 0x1000, len, in}, {DATA + 0x800, 1, true}};
    if (len == 0) {
        b[1] = b[2];
    }
    return rig_add(d, 0, b, len == 0 ? 2 : 3, indirect);
}

static u8 blk_do(struct rig_driver *d, u32 type, u64 sector, u32 len, bool in, u32 *written)
{
    u32 head = 0;
    u16 expect = blk_request(d, type, sector, len, in, 0);
    rig_kick(d, 0);
    rig_run(rig, 100000);
    ck_assert(rig_used(d, 0, &head, written));
    ck_assert_uint_eq(head, expect);
    return (u8)rig_r(rig, DATA + 0x800, 1);
}

static void blk_exercise(struct rig_driver *d)
{
    u32 written;
    for (u32 i = 0; i < 4096; i += 8) {
        rig_w64(rig, DATA + 0x1000 + i, i * 0x0101010101010101u + 7);
    }
    ck_assert_uint_eq(blk_do(d, VIRTIO_BLK_T_OUT, 5, 4096, false, &written), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(written, 1);
    ck_assert_uint_eq(load_le64(rig->disk + 5 * 512 + 8), 8 * 0x0101010101010101u + 7);
    memset(rig->disk + 7 * 512, 0x5a, 512);
    ck_assert_uint_eq(blk_do(d, VIRTIO_BLK_T_IN, 6, 1024, true, &written), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(written, 1025);
    ck_assert_uint_eq(rig_r(rig, DATA + 0x1000 + 512, 4), 0x5a5a5a5a);
    ck_assert_uint_eq(blk_do(d, VIRTIO_BLK_T_FLUSH, 0, 0, false, &written), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(rig->flushes, 1);
    ck_assert_uint_eq(blk_do(d, VIRTIO_BLK_T_GET_ID, 0, 20, true, &written), VIRTIO_BLK_S_OK);
    ck_assert_uint_eq(written, 21);
    ck_assert_uint_eq(rig_r(rig, DATA + 0x1000, 8), load_le64("SERIAL-7"));
    ck_assert_uint_eq(blk_do(d, 77, 0, 512, true, &written), VIRTIO_BLK_S_UNSUPP);
    ck_assert_uint_eq(blk_do(d, VIRTIO_BLK_T_IN, 64, 512, true, &written), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_do(d, VIRTIO_BLK_T_IN, ~(u64)0, 512, true, &written), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_do(d, VIRTIO_BLK_T_IN, 0, 511, true, &written), VIRTIO_BLK_S_IOERR);
    ck_assert_uint_eq(blk_do(d, VIRTIO_BLK_T_OUT, 63, 1024, false, &written), VIRTIO_BLK_S_IOERR);
}

START_TEST(pci__identity_and_capabilities)
{
    ck_assert_uint_eq(pci_config_read(rig->pci, 0, RIG_BLK, 0, 4), 0x10011af4);
    ck_assert_uint_eq(pci_config_read(rig->pci, 0, RIG_BLK, PCI_SUBSYSTEM_ID, 2), 2);
    ck_assert_uint_eq(pci_config_read(rig->pci, 0, RIG_NET, 0, 4), 0x10001af4);
    u32 found = 0;
    u32 cap = pci_config_read(rig->pci, 0, RIG_BLK, PCI_CAPABILITY_LIST, 1);
    for (unsigned i = 0; cap != 0 && i < 16; i++) {
        u32 id = pci_config_read(rig->pci, 0, RIG_BLK, cap, 1);
        if (id == PCI_CAP_ID_VENDOR) {
            found |= BIT32(pci_config_read(rig->pci, 0, RIG_BLK, cap + 3, 1));
        } else if (id == PCI_CAP_ID_MSIX) {
            found |= 1;
        }
        cap = pci_config_read(rig->pci, 0, RIG_BLK, cap + 1, 1);
    }
    ck_assert_uint_eq(found, 0x3f); /* MSI-X and structures 1 to 5 */
}
END_TEST

/* [VIRTIO "PCI configuration access capability"] the BAR through configuration space. */
START_TEST(pci__configuration_access)
{
    u32 cap = pci_config_read(rig->pci, 0, RIG_BLK, PCI_CAPABILITY_LIST, 1);
    while (pci_config_read(rig->pci, 0, RIG_BLK, cap, 1) != PCI_CAP_ID_VENDOR ||
           pci_config_read(rig->pci, 0, RIG_BLK, cap + 3, 1) != VIRTIO_PCI_CAP_PCI_CFG) {
        cap = pci_config_read(rig->pci, 0, RIG_BLK, cap + 1, 1);
        ck_assert_uint_ne(cap, 0);
    }
    pci_config_write(rig->pci, 0, RIG_BLK, cap + 4, 4, 1);
    pci_config_write(rig->pci, 0, RIG_BLK, cap + 8, 0x2000, 4);
    pci_config_write(rig->pci, 0, RIG_BLK, cap + 12, 4, 4);
    ck_assert_uint_eq(pci_config_read(rig->pci, 0, RIG_BLK, cap + 16, 4), RIG_DISK_SECTORS);
    pci_config_write(rig->pci, 0, RIG_BLK, cap + 8, VIRTIO_COMMON_DEVICE_STATUS, 4);
    pci_config_write(rig->pci, 0, RIG_BLK, cap + 12, 1, 4);
    pci_config_write(rig->pci, 0, RIG_BLK, cap + 16, 3, 1);
    struct rig_driver d = rig_attach(rig, RIG_BLK, false);
    ck_assert_uint_eq(rig_status(&d), 3);
}
END_TEST

START_TEST(negotiation__only_what_is_offered)
{
    struct rig_driver d = rig_attach(rig, RIG_BLK, false);
    u64 offered = rig_offered(&d);
    ck_assert((offered & V1) != 0);
    ck_assert((offered & BIT(VIRTIO_F_ACCESS_PLATFORM)) == 0);
    ck_assert((offered & BIT(VIRTIO_BLK_F_RO)) == 0);
    ck_assert(!rig_negotiate(&d, 0)); /* VERSION_1 must be accepted */
    ck_assert(!rig_negotiate(&d, V1 | BIT(50)));
    ck_assert(rig_negotiate(&d, V1));
    ck_assert(rig_negotiate(&d, offered));
    rig_w32(rig, d.modern + VIRTIO_COMMON_DRIVER_FEATURE_SELECT, 1);
    rig_w32(rig, d.modern + VIRTIO_COMMON_DRIVER_FEATURE, 0); /* too late */
    ck_assert_uint_eq(rig_r(rig, d.modern + VIRTIO_COMMON_DRIVER_FEATURE, 4), offered >> 32);
    rig_set_status(&d, 0);
    ck_assert_uint_eq(rig_status(&d), 0);
    rig_set_status(&d, VIRTIO_STATUS_DRIVER_OK); /* without FEATURES_OK */
    ck_assert_uint_eq(rig_status(&d), 0);
    rig_w16(rig, d.modern + VIRTIO_COMMON_QUEUE_SELECT, 1);
    ck_assert_uint_eq(rig_r(rig, d.modern + VIRTIO_COMMON_QUEUE_SIZE, 2), 0);
    rig_w16(rig, d.modern + VIRTIO_COMMON_QUEUE_SELECT, 0);
    rig_w16(rig, d.modern + VIRTIO_COMMON_QUEUE_SIZE, 100);
    ck_assert_uint_eq(rig_r(rig, d.modern + VIRTIO_COMMON_QUEUE_SIZE, 2), 256);
    rig_w16(rig, d.modern + VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 9);
    ck_assert_uint_eq(rig_r(rig, d.modern + VIRTIO_COMMON_QUEUE_MSIX_VECTOR, 2), 0xffff);
}
END_TEST

START_TEST(negotiation__access_platform)
{
    rig_free(rig);
    rig = rig_new(true);
    ck_assert_uint_eq(pci_config_read(rig->pci, 0, RIG_BLK, 0, 4), 0x10421af4);
    ck_assert_uint_eq(pci_config_read(rig->pci, 0, RIG_BLK, PCI_BASE_ADDRESS_0, 4), 0);
    struct rig_driver d = rig_attach(rig, RIG_BLK, false);
    ck_assert(!rig_negotiate(&d, V1));
    rig_start(&d, V1 | BIT(VIRTIO_F_ACCESS_PLATFORM), 1);
    blk_exercise(&d);
}
END_TEST

START_TEST(blk__requests)
{
    bool legacy = _i == 1;
    struct rig_driver d = rig_attach(rig, RIG_BLK, legacy);
    rig_start(&d, legacy ? 0 : V1, 1);
    if (legacy) {
        ck_assert_uint_eq(bus_port_read(&rig->bus, (u16)(d.io + 20), 4), RIG_DISK_SECTORS);
    } else {
        ck_assert_uint_eq(rig_r(rig, d.modern + 0x2000, 8), RIG_DISK_SECTORS);
    }
    blk_exercise(&d);
    ck_assert(rig->intx[1]);
    u32 isr = legacy ? bus_port_read(&rig->bus, (u16)(d.io + VIRTIO_LEGACY_ISR), 1)
                     : (u32)rig_r(rig, d.modern + 0x1000, 1);
    ck_assert_uint_eq(isr, VIRTIO_ISR_QUEUE);
    ck_assert(!rig->intx[1]);
}
END_TEST

START_TEST(blk__completion_at_a_fixed_time)
{
    struct rig_driver d = rig_attach(rig, RIG_BLK, false);
    rig_start(&d, V1, 1);
    (void)blk_request(&d, VIRTIO_BLK_T_IN, 0, 512, true, 0);
    rig_kick(&d, 0);
    u32 head, len;
    rig_run(rig, 49999);
    ck_assert(!rig_used(&d, 0, &head, &len));
    rig_run(rig, 1);
    ck_assert(rig_used(&d, 0, &head, &len));
}
END_TEST

START_TEST(ring__indirect_event_index_and_msix)
{
    struct rig_driver d = rig_attach(rig, RIG_BLK, false);
    rig_msix(&d, 2);
    rig_start(&d, V1 | BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX), 1);
    u32 head, len;
    for (u16 i = 0; i < 300; i++) { /* past the ring's end */
        (void)blk_request(&d, VIRTIO_BLK_T_IN, 1, 512, true, DATA + 0x4000);
        rig_w16(rig, d.q[0].driver + 4 + 2u * 256, i & 1 ? (u16)(i + 5) : i); /* used_event */
        rig_kick(&d, 0);
        unsigned before = rig->message_count;
        rig_run(rig, 100000);
        ck_assert(rig_used(&d, 0, &head, &len));
        ck_assert_uint_eq(len, 513);
        ck_assert_uint_eq(rig->message_count - before, i & 1 ? 0 : 1);
        ck_assert_uint_eq(rig_r(rig, d.q[0].device + 4 + 8u * 256, 2), i + 1u); /* avail_event */
    }
    ck_assert_uint_eq(rig->messages[0], 0x41);
    ck_assert(!rig->intx[1]);
}
END_TEST

START_TEST(ring__no_interrupt_flag)
{
    struct rig_driver d = rig_attach(rig, RIG_BLK, false);
    rig_start(&d, V1, 1);
    rig_w16(rig, d.q[0].driver, VIRTQ_AVAIL_F_NO_INTERRUPT);
    u32 written;
    ck_assert_uint_eq(blk_do(&d, VIRTIO_BLK_T_IN, 0, 512, true, &written), VIRTIO_BLK_S_OK);
    ck_assert(!rig->intx[1]);
}
END_TEST

/* Each breaks the device, once; a reset mends it. */
START_TEST(ring__hostile)
{
    struct rig_driver d = rig_attach(rig, RIG_BLK, false);
    rig_start(&d, V1 | (_i == 6 ? 0 : BIT(VIRTIO_F_INDIRECT_DESC)), 1);
    struct rig_queue *q = &d.q[0];
    switch (_i) {
    case 0: /* loop */
        rig_desc(rig, q->desc, DATA, 16, VIRTQ_DESC_F_NEXT, 1);
        rig_desc(rig, q->desc + 16, DATA, 16, VIRTQ_DESC_F_NEXT, 0);
        rig_avail(&d, 0, 0);
        break;
    case 1: /* head outside */
        rig_avail(&d, 0, 256);
        break;
    case 2: /* next outside */
        rig_desc(rig, q->desc, DATA, 16, VIRTQ_DESC_F_NEXT, 0xffff);
        rig_avail(&d, 0, 0);
        break;
    case 3: /* readable after writable */
        rig_desc(rig, q->desc, DATA, 16, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE, 1);
        rig_desc(rig, q->desc + 16, DATA, 16, 0, 0);
        rig_avail(&d, 0, 0);
        break;
    case 4: /* index jumps */
        rig_w16(rig, q->driver + 2, 300);
        break;
    case 5: /* indirect in indirect */
        rig_desc(rig, q->desc, DATA, 32, VIRTQ_DESC_F_INDIRECT, 0);
        rig_desc(rig, DATA, DATA, 32, VIRTQ_DESC_F_INDIRECT, 0);
        rig_avail(&d, 0, 0);
        break;
    case 6: /* indirect, not negotiated */
        rig_desc(rig, q->desc, DATA, 32, VIRTQ_DESC_F_INDIRECT, 0);
        rig_avail(&d, 0, 0);
        break;
    case 7: /* no status byte */
        rig_desc(rig, q->desc, DATA, 16, 0, 0);
        rig_avail(&d, 0, 0);
        break;
    case 8: /* wraps around */
        rig_desc(rig, q->desc, ~(u64)0 - 4, 16, VIRTQ_DESC_F_WRITE, 0);
        rig_avail(&d, 0, 0);
        break;
    case 9: /* bus mastering off */
        pci_config_write(rig->pci, 0, RIG_BLK, PCI_COMMAND, 3, 2);
        rig_avail(&d, 0, 0);
        break;
    default: /* 10: 4 GiB and more */
        rig_desc(rig, q->desc, 0, ~(u32)0, VIRTQ_DESC_F_NEXT, 1);
        rig_desc(rig, q->desc + 16, 0, ~(u32)0, 0, 0);
        rig_avail(&d, 0, 0);
        break;
    }
    rig_kick(&d, 0);
    rig_run(rig, 100000);
    ck_assert_uint_ne(rig_status(&d) & VIRTIO_STATUS_NEEDS_RESET, 0);
    ck_assert_uint_eq(rig->log.counts[LOG_GUEST_ERROR], 1);
    rig_kick(&d, 0);
    rig_run(rig, 100000);
    ck_assert_uint_eq(rig->log.counts[LOG_GUEST_ERROR], 1);
    pci_config_write(rig->pci, 0, RIG_BLK, PCI_COMMAND, 7, 2);
    rig_start(&d, V1, 1);
    blk_exercise(&d);
}
END_TEST

/* A descriptor on the device's own registers: nothing but confusion of the guest's own. */
START_TEST(ring__data_on_own_registers)
{
    struct rig_driver d = rig_attach(rig, RIG_BLK, false);
    rig_start(&d, V1, 1);
    rig_w32(rig, DATA, VIRTIO_BLK_T_IN);
    rig_w64(rig, DATA + 8, 0);
    memset(rig->disk, 0, 512); /* writes zeroes to the status: a reset in the middle */
    const struct rig_buf b[3] = {{DATA, 16, false}, {d.modern, 512, true}, {DATA + 0x800, 1, true}};
    (void)rig_add(&d, 0, b, 3, 0);
    rig_kick(&d, 0);
    rig_run(rig, 100000);
    ck_assert_uint_eq(rig_status(&d), 0);
    rig_start(&d, V1, 1);
    blk_exercise(&d);
}
END_TEST

START_TEST(net__send_and_receive)
{
    struct rig_driver d = rig_attach(rig, RIG_NET, false);
    bool merge = _i == 1;
    rig_start(&d, V1 | (merge ? BIT(VIRTIO_NET_F_MRG_RXBUF) : 0), 3);
    ck_assert_uint_eq(rig_r(rig, d.modern + 0x2000, 4), 0x12005452);
    ck_assert_uint_eq(rig_r(rig, d.modern + 0x2006, 2), VIRTIO_NET_S_LINK_UP);
    u8 frame[1000];
    for (unsigned i = 0; i < sizeof frame; i++) {
        frame[i] = (u8)(i * 7);
    }
    phys_write(&rig->phys, SPA(DATA + 12), frame, 60);
    const struct rig_buf tx[2] = {{DATA, 12, false}, {DATA + 12, 60, false}};
    (void)rig_add(&d, 1, tx, 2, 0);
    rig_kick(&d, 1);
    rig_run(rig, 20000);
    u32 head, len;
    ck_assert(rig_used(&d, 1, &head, &len));
    ck_assert_uint_eq(rig->frames, 1);
    ck_assert_uint_eq(rig->seen_len, 60);
    ck_assert_int_eq(memcmp(rig->seen, frame, 60), 0);

    struct net_port port = virtio_net_port(rig->net);
    ck_assert(netdev_deliver(&port, frame, sizeof frame)); /* waits for a buffer */
    ck_assert(!rig_used(&d, 0, &head, &len));
    for (u64 i = 0; i < 3; i++) {
        const struct rig_buf rx = {DATA + 0x1000 * (i + 1), merge ? 400 : 1600, true};
        (void)rig_add(&d, 0, &rx, 1, 0);
    }
    rig_kick(&d, 0);
    rig_run(rig, 20000);
    ck_assert(rig_used(&d, 0, &head, &len));
    ck_assert_uint_eq(rig_r(rig, DATA + 0x1000 + 10, 2), merge ? 3 : 1);
    ck_assert_uint_eq(len, merge ? 400 : 1012);
    u8 got[1200];
    phys_read(&rig->phys, SPA(DATA + 0x1000), got, merge ? 400 : 1012);
    if (merge) {
        ck_assert(rig_used(&d, 0, &head, &len));
        phys_read(&rig->phys, SPA(DATA + 0x2000), got + 400, 400);
        ck_assert(rig_used(&d, 0, &head, &len));
        ck_assert_uint_eq(len, 212);
        phys_read(&rig->phys, SPA(DATA + 0x3000), got + 800, 212);
    }
    ck_assert_int_eq(memcmp(got + 12, frame, sizeof frame), 0);
    ck_assert(!rig_used(&d, 0, &head, &len));
}
END_TEST

START_TEST(net__control_link_and_legacy)
{
    struct rig_driver d = rig_attach(rig, RIG_NET, false);
    rig_start(&d, V1 | BIT(VIRTIO_NET_F_CTRL_VQ), 3);
    rig_w16(rig, DATA, VIRTIO_NET_CTRL_MAC | VIRTIO_NET_CTRL_MAC_ADDR_SET << 8);
    rig_w64(rig, DATA + 2, 0x665544332202u);
    const struct rig_buf b[3] = {{DATA, 2, false}, {DATA + 2, 6, false}, {DATA + 64, 1, true}};
    (void)rig_add(&d, 2, b, 3, 0);
    rig_w8(rig, DATA + 64, 9);
    rig_kick(&d, 2);
    rig_run(rig, 20000);
    ck_assert_uint_eq(rig_r(rig, DATA + 64, 1), VIRTIO_NET_OK);
    ck_assert_uint_eq(rig_r(rig, d.modern + 0x2000, 4), 0x44332202);
    u64 generation = rig_r(rig, d.modern + VIRTIO_COMMON_CONFIG_GENERATION, 1);
    virtio_net_set_link(rig->net, false);
    ck_assert_uint_eq(rig_r(rig, d.modern + VIRTIO_COMMON_CONFIG_GENERATION, 1), generation + 1);
    ck_assert_uint_eq(rig_r(rig, d.modern + 0x2006, 2), 0);
    ck_assert_uint_eq(rig_r(rig, d.modern + 0x1000, 1), VIRTIO_ISR_CONFIG | VIRTIO_ISR_QUEUE);
    virtio_net_set_link(rig->net, true);

    d = rig_attach(rig, RIG_NET, true); /* header of 10 bytes */
    rig_start(&d, 0, 2);
    ck_assert_uint_eq(bus_port_read(&rig->bus, (u16)(d.io + 20), 4), 0x12005452);
    const struct rig_buf tx = {DATA, 10 + 64, false};
    (void)rig_add(&d, 1, &tx, 1, 0);
    rig_kick(&d, 1);
    rig_run(rig, 20000);
    ck_assert_uint_eq(rig->seen_len, 64);
}
END_TEST

START_TEST(rng__same_seed_same_bytes)
{
    u64 first[2] = {0};
    for (unsigned round = 0; round < 2; round++) {
        struct rig_driver d = rig_attach(rig, RIG_RNG, false);
        rig_start(&d, V1, 1);
        const struct rig_buf b = {DATA, 61, true};
        (void)rig_add(&d, 0, &b, 1, 0);
        rig_kick(&d, 0);
        rig_run(rig, 20000);
        u32 head, len;
        ck_assert(rig_used(&d, 0, &head, &len));
        ck_assert_uint_eq(len, 61);
        first[round] = rig_r(rig, DATA, 8);
        ck_assert_uint_ne(first[round], rig_r(rig, DATA + 8, 8));
        ck_assert_uint_eq(rig_r(rig, DATA + 61, 1), 0);
        teardown();
        setup();
    }
    ck_assert_uint_eq(first[0], first[1]);
}
END_TEST

START_TEST(console__both_ways)
{
    struct rig_driver d = rig_attach(rig, RIG_CONSOLE, false);
    struct chardev_end end = virtio_console_end(rig->console);
    rig_start(&d, V1 | BIT(VIRTIO_F_EVENT_IDX), 2);
    phys_write(&rig->phys, SPA(DATA), "hello", 5);
    const struct rig_buf tx = {DATA, 5, false};
    (void)rig_add(&d, 1, &tx, 1, 0);
    rig_kick(&d, 1);
    rig_run(rig, 20000);
    ck_assert_uint_eq(rig->seen_len, 5);
    ck_assert_int_eq(memcmp(rig->seen, "hello", 5), 0);
    ck_assert_uint_eq(end.can_receive(end.self), 0);
    const struct rig_buf rx = {DATA + 0x1000, 16, true};
    (void)rig_add(&d, 0, &rx, 1, 0);
    rig_kick(&d, 0);
    rig_run(rig, 20000);
    ck_assert_uint_eq(rig->rooms, 1);
    u64 hash = rig_hash(rig);
    ck_assert_uint_eq(end.can_receive(end.self), 16);
    ck_assert_uint_eq(rig_hash(rig), hash); /* asking leaves no trace */
    end.receive(end.self, (const u8 *)"keys", 4);
    ck_assert_uint_eq(end.can_receive(end.self), 0);
    u32 head, len;
    ck_assert(rig_used(&d, 0, &head, &len));
    ck_assert_uint_eq(len, 4);
    ck_assert_uint_eq(rig_r(rig, DATA + 0x1000, 4), load_le32("keys"));
    rig_w32(rig, d.modern + 0x2000 + VIRTIO_CONSOLE_CFG_EMERG_WRITE, '!');
    ck_assert_uint_eq(rig->seen[5], '!');
}
END_TEST

/* Saved with requests and frames under way, restored into a new machine: the same hash now and
 * after the same future. */
START_TEST(state__save_restore_same_future)
{
    struct rig_driver blk = rig_attach(rig, RIG_BLK, false);
    struct rig_driver net = rig_attach(rig, RIG_NET, false);
    rig_msix(&blk, 2);
    rig_start(&blk, V1 | BIT(VIRTIO_F_EVENT_IDX), 1);
    (void)blk_request(&blk, VIRTIO_BLK_T_IN, 2, 512, true, 0);
    rig_kick(&blk, 0);
    if (!rig_negotiate(&net, V1)) {
        abort();
    }
    rig_driver_ok(&net);
    struct net_port port = virtio_net_port(rig->net);
    ck_assert(netdev_deliver(&port, rig->disk, 100));

    struct state_io save, load;
    state_init_save(&save);
    clock_state(&rig->clock, &save);
    phys_state(&rig->phys, &save);
    bus_state(&rig->bus, &save);
    struct rig *other = rig_new(false);
    state_init_load(&load, save.data, save.len);
    clock_state(&other->clock, &load);
    phys_state(&other->phys, &load);
    bus_state(&other->bus, &load);
    ck_assert_msg(!load.failed, "%s", load.where);
    ck_assert_uint_eq(rig_hash(other), rig_hash(rig));
    rig_run(rig, 100000);
    rig_run(other, 100000);
    ck_assert_uint_eq(rig_hash(other), rig_hash(rig));
    ck_assert_uint_eq(rig->message_count, 1);
    ck_assert_uint_eq(other->message_count, 1);
    for (size_t cut = save.len - 3000; cut < save.len; cut += 97) {
        state_init_load(&load, save.data, cut);
        clock_state(&other->clock, &load);
        phys_state(&other->phys, &load);
        bus_state(&other->bus, &load);
        ck_assert(load.failed);
    }
    state_free(&save);
    rig_free(other);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("virtio");
    TCase *t = tcase_create("virtio");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, pci__identity_and_capabilities);
    tcase_add_test(t, pci__configuration_access);
    tcase_add_test(t, negotiation__only_what_is_offered);
    tcase_add_test(t, negotiation__access_platform);
    tcase_add_loop_test(t, blk__requests, 0, 2);
    tcase_add_test(t, blk__completion_at_a_fixed_time);
    tcase_add_test(t, ring__indirect_event_index_and_msix);
    tcase_add_test(t, ring__no_interrupt_flag);
    tcase_add_loop_test(t, ring__hostile, 0, 11);
    tcase_add_test(t, ring__data_on_own_registers);
    tcase_add_loop_test(t, net__send_and_receive, 0, 2);
    tcase_add_test(t, net__control_link_and_legacy);
    tcase_add_test(t, rng__same_seed_same_bytes);
    tcase_add_test(t, console__both_ways);
    tcase_add_test(t, state__save_restore_same_future);
    suite_add_tcase(s, t);
    return unit_run(s);
}
