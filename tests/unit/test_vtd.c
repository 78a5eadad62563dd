/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VT-d by a scripted driver: registers, both ways of invalidation, translation in legacy and scalable
 * mode, fault recording, interrupt remapping, and edu behind it all. */
#include "tests/harness/vtd_rig.h"
#include "unit.h"

#include "devices/testdevs.h"

static struct vtd_options options(void)
{
    struct vtd_options o = VTD_OPTIONS_DEFAULT;
    return o;
}

static struct vtd_options scalable_options(void)
{
    struct vtd_options o = VTD_OPTIONS_DEFAULT;
    o.scalable = o.first_level = o.second_level = true;
    return o;
}

static struct vtd_rig *rig(void)
{
    struct vtd_options o = options();
    return vr_new(&o);
}

/* The access is refused for `reason`, recorded as record n, and told. */
static void check_fault(struct vtd_rig *r, u64 iova, bool write, u8 reason, unsigned n)
{
    u8 byte[8] = {0};
    ck_assert(!(write ? vr_write(r, iova, byte, 8) : vr_read(r, iova, byte, 8)));
    const struct iommu_last_fault *f = &r->vtd->last;
    ck_assert_uint_eq(f->reason, reason);
    ck_assert_ptr_nonnull(iommu_fault_words(r->vtd, reason));
    ck_assert_uint_eq(f->requester, VR_DEVICE);
    ck_assert_uint_eq(f->address, iova);
    ck_assert(f->recorded);
    ck_assert_uint_eq(vr_reg64(r, VTD_FRCD + 16 * n), iova & ~PAGE_MASK);
    u64 high = BIT(63) | (write ? 0 : BIT(62)) | (u64)reason << 32 | VR_DEVICE;
    ck_assert_uint_eq(vr_reg64(r, VTD_FRCD + 16 * n + 8), high);
    ck_assert((vr_reg(r, VTD_FSTS) & VTD_FSTS_PPF) != 0);
}

static void clear_fault(struct vtd_rig *r, unsigned n)
{
    vr_set(r, VTD_FRCD + 16 * n + 12, BIT32(31));
}

/* Fault, then cleared. Each of these is first in its rig's ring of records, then next in turn. */
static void blocked(struct vtd_rig *r, u64 iova, bool write, u8 reason)
{
    unsigned n = (unsigned)(r->vtd->last.count % VTD_FRCD_COUNT);
    check_fault(r, iova, write, reason, n);
    clear_fault(r, n);
    ck_assert_uint_eq(vr_reg(r, VTD_FSTS), 0);
}

START_TEST(registers__capabilities)
{
    struct vtd_options o = options();
    struct vtd_rig *r = vr_new(&o);
    u64 cap = vr_reg64(r, VTD_CAP), ecap = vr_reg64(r, VTD_ECAP);
    ck_assert_uint_eq(vr_reg(r, VTD_VER), 0x10);
    ck_assert_uint_eq(cap & 7, 6);
    ck_assert_uint_eq(cap >> 8 & 0x1f, 6);                     /* SAGAW 39, 48 */
    ck_assert_uint_eq(cap >> 16 & 0x3f, 47);                   /* MGAW */
    ck_assert_uint_eq((cap >> 24 & 0x3ff) * 16, VTD_FRCD);     /* FRO */
    ck_assert_uint_eq(cap >> 34 & 0xf, 3);                     /* SLLPS */
    ck_assert_uint_eq(cap >> 40 & 0xff, VTD_FRCD_COUNT - 1);   /* NFR */
    ck_assert_uint_eq((ecap >> 8 & 0x3ff) * 16 + 8, VTD_IOTLB); /* IRO */
    ck_assert_uint_eq(ecap & 0xff, 0xdb);                      /* C QI IR EIM PT SC */
    ck_assert_uint_eq(vr_reg(r, VTD_CAP + 4), cap >> 32);
    vr_set64(r, VTD_CAP, 0);
    ck_assert_uint_eq(vr_reg64(r, VTD_CAP), cap);
    vr_free(r);
    o.intremap = false;
    o.caching_mode = true;
    o.aw_bits = 39;
    r = vr_new(&o);
    ck_assert_uint_eq(vr_reg64(r, VTD_ECAP) & 0x18, 0);
    ck_assert_uint_eq(vr_reg64(r, VTD_CAP) >> 7 & 0x3f, 5); /* CM, SAGAW 39 */
    vr_command(r, VTD_GCMD_IRE);
    ck_assert_uint_eq(vr_reg(r, VTD_GSTS), 0);
    vr_free(r);
}
END_TEST

START_TEST(registers__global_command)
{
    struct vtd_rig *r = rig();
    ck_assert_uint_eq(vr_reg(r, VTD_GSTS), 0);
    ck_assert_uint_eq(vr_reg(r, VTD_FECTL), VTD_EVENT_IM);
    ck_assert_uint_eq(vr_reg(r, VTD_IECTL), VTD_EVENT_IM);
    vr_set64(r, VTD_RTADDR, ~(u64)0);
    ck_assert_uint_eq(vr_reg64(r, VTD_RTADDR), 0xfffffff000);
    vr_command(r, VTD_GCMD_SRTP);
    ck_assert_uint_eq(vr_reg(r, VTD_GSTS), VTD_GCMD_SRTP);
    vr_command(r, VTD_GCMD_TE);
    vr_command(r, VTD_GCMD_QIE);
    ck_assert_uint_eq(vr_reg(r, VTD_GSTS), VTD_GCMD_SRTP | VTD_GCMD_TE | VTD_GCMD_QIE);
    vr_set(r, VTD_GCMD, 0);
    ck_assert_uint_eq(vr_reg(r, VTD_GSTS), VTD_GCMD_SRTP);
    vr_free(r);
}
END_TEST

/* Without a queue: granularity done equals granularity asked for. */
START_TEST(invalidation__registers)
{
    struct vtd_rig *r = rig();
    vr_set64(r, VTD_CCMD, BIT(63) | (u64)2 << 61 | 5);
    ck_assert_uint_eq(vr_reg64(r, VTD_CCMD), (u64)2 << 61 | (u64)2 << 59 | 5);
    vr_set(r, VTD_CCMD + 4, 0x80000000u | 1u << 29); /* halves; the upper one starts it */
    ck_assert_uint_eq(vr_reg64(r, VTD_CCMD), (u64)1 << 61 | (u64)1 << 59 | 5);
    vr_set64(r, VTD_IVA, 0x12345000 | 3);
    vr_set64(r, VTD_IOTLB, BIT(63) | (u64)3 << 60 | (u64)9 << 32);
    ck_assert_uint_eq(vr_reg64(r, VTD_IOTLB), (u64)3 << 60 | (u64)3 << 57 | (u64)9 << 32);
    vr_set64(r, VTD_IVA, 0x12345000 | 19); /* more than MAMV: not done */
    vr_set64(r, VTD_IOTLB, BIT(63) | (u64)3 << 60);
    ck_assert_uint_eq(vr_reg64(r, VTD_IOTLB), (u64)3 << 60);
    vr_free(r);
}
END_TEST

START_TEST(invalidation__queue)
{
    struct vtd_rig *r = rig();
    vr_start_queue(r);
    vr_submit(r, VTD_INV_CONTEXT | 1 << 4, 0);
    vr_submit(r, VTD_INV_IOTLB | 3 << 4 | 0xc0 | 7 << 16, 0x5000 | 0x40 | 18);
    vr_submit(r, VTD_INV_IEC | (u64)3 << 32 | 1 << 27, 0);
    vr_submit(r, VTD_INV_WAIT | VTD_INV_WAIT_SW | (u64)0xabcd1234 << 32, VR_STATUS);
    ck_assert_uint_eq(vr_reg(r, VTD_IQH), 0x40);
    ck_assert_uint_eq(vr_r32(r, VR_STATUS), 0xabcd1234);
    ck_assert_uint_eq(vr_reg(r, VTD_FSTS), 0);
    for (unsigned i = 0; i < 600; i++) { /* round the corner */
        vr_submit(r, VTD_INV_WAIT | VTD_INV_WAIT_SW | (u64)i << 32, VR_STATUS);
        ck_assert_uint_eq(vr_r32(r, VR_STATUS), i);
    }
    ck_assert_uint_eq(vr_reg(r, VTD_IQH), (0x40 + 600 * 16) & 0xfff);
    /* Off and on again: the head starts over. */
    vr_set(r, VTD_IQT, vr_reg(r, VTD_IQT));
    vr_set(r, VTD_GCMD, 0);
    ck_assert_uint_eq(vr_reg(r, VTD_IQH), 0);
    vr_free(r);
}
END_TEST

START_TEST(invalidation__wait_interrupt)
{
    struct vtd_rig *r = rig();
    vr_start_queue(r);
    vr_set(r, VTD_IEDATA, 0x41);
    vr_set(r, VTD_IEADDR, 0xfee01000);
    vr_submit(r, VTD_INV_WAIT | VTD_INV_WAIT_IF, 0);
    ck_assert_uint_eq(vr_reg(r, VTD_ICS), 1);
    ck_assert_uint_eq(vr_reg(r, VTD_IECTL), VTD_EVENT_IM | VTD_EVENT_IP);
    ck_assert_uint_eq(r->messages, 0);
    vr_set(r, VTD_IECTL, 0); /* unmasked: what is pending goes out */
    ck_assert_uint_eq(r->messages, 1);
    ck_assert_uint_eq(r->address, 0xfee01000);
    ck_assert_uint_eq(r->data, 0x41);
    ck_assert_uint_eq(vr_reg(r, VTD_IECTL), 0);
    vr_submit(r, VTD_INV_WAIT | VTD_INV_WAIT_IF, 0); /* IWC is still there: nothing new */
    ck_assert_uint_eq(r->messages, 1);
    vr_set(r, VTD_ICS, 1);
    ck_assert_uint_eq(vr_reg(r, VTD_ICS), 0);
    vr_submit(r, VTD_INV_WAIT | VTD_INV_WAIT_IF, 0);
    ck_assert_uint_eq(r->messages, 2);
    vr_free(r);
}
END_TEST

/* Each stops the queue at the descriptor, says why and goes on once software has cleared IQE. */
START_TEST(invalidation__queue_errors)
{
    static const struct {
        u64 low, high, info;
    } bad[] = {
        {0, 0, VTD_IQEI_TYPE},
        {0xf, 0, VTD_IQEI_TYPE},
        {VTD_INV_DEVICE_IOTLB, 0, VTD_IQEI_TYPE},
        {VTD_INV_CONTEXT, 0, VTD_IQEI_RESERVED},              /* granularity 0 */
        {VTD_INV_CONTEXT | 1 << 4 | 1 << 6, 0, VTD_IQEI_RESERVED},
        {VTD_INV_CONTEXT | 1 << 4, 1, VTD_IQEI_RESERVED},
        {VTD_INV_IOTLB | 3 << 4, 19, VTD_IQEI_RESERVED},      /* more than MAMV */
        {VTD_INV_IOTLB | 1 << 4 | 1 << 8, 0, VTD_IQEI_RESERVED},
        {VTD_INV_IEC | 1 << 5, 0, VTD_IQEI_RESERVED},
        {VTD_INV_WAIT | 1 << 7, 0, VTD_IQEI_RESERVED},
        {VTD_INV_WAIT | VTD_INV_WAIT_SW, VR_STATUS | 1, VTD_IQEI_RESERVED},
        {VTD_INV_PASID_CACHE | 3 << 4, 0, VTD_IQEI_TTM},
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct vtd_rig *r = rig();
        vr_start_queue(r);
        vr_set(r, VTD_FECTL, 0);
        vr_submit(r, bad[i].low, bad[i].high);
        ck_assert_msg(vr_reg(r, VTD_IQERCD) == bad[i].info, "descriptor %u", i);
        ck_assert_uint_eq(vr_reg(r, VTD_FSTS), VTD_FSTS_IQE);
        ck_assert_uint_eq(vr_reg(r, VTD_IQH), 0);
        ck_assert_uint_eq(r->messages, 1);
        vr_submit(r, VTD_INV_WAIT | VTD_INV_WAIT_SW | (u64)7 << 32, VR_STATUS);
        ck_assert_uint_eq(vr_r32(r, VR_STATUS), 0);
        vr_w64(r, VR_QUEUE, VTD_INV_WAIT); /* mended */
        vr_w64(r, VR_QUEUE + 8, 0);
        vr_set(r, VTD_FSTS, VTD_FSTS_IQE);
        ck_assert_uint_eq(vr_reg(r, VTD_FSTS), 0);
        ck_assert_uint_eq(vr_reg(r, VTD_IQH), 0x20);
        ck_assert_uint_eq(vr_r32(r, VR_STATUS), 7);
        vr_free(r);
    }
    struct vtd_rig *r = rig();
    vr_start_queue(r);
    vr_set(r, VTD_IQT, 0x1000); /* beyond 256 descriptors */
    ck_assert_uint_eq(vr_reg(r, VTD_IQERCD), VTD_IQEI_TAIL);
    vr_free(r);
    r = rig();
    vr_set64(r, VTD_IQA, 0xfed90000); /* not memory: least of all itself */
    vr_command(r, VTD_GCMD_QIE);
    vr_set(r, VTD_IQT, 16);
    ck_assert_uint_eq(vr_reg(r, VTD_IQERCD), VTD_IQEI_FETCH);
    vr_free(r);
    r = rig();
    vr_start_queue(r); /* status into the tail register: no endless loop */
    vr_submit(r, VTD_INV_WAIT | VTD_INV_WAIT_SW | (u64)0x20 << 32, VR_BASE + VTD_IQT);
    ck_assert_uint_eq(vr_reg(r, VTD_IQH), 0x10);
    vr_free(r);
}
END_TEST

START_TEST(legacy__pages)
{
    struct vtd_rig *r = rig();
    u8 out[64], in[64];
    memset(out, 0x5a, sizeof out);
    ck_assert(vr_write(r, VR_DATA, out, sizeof out)); /* off: straight to memory */
    ck_assert_uint_eq(vr_r32(r, VR_DATA), 0x5a5a5a5a);
    vr_start_legacy(r);
    vr_map(r, 0x1000, VR_DATA, VR_RW);
    vr_map(r, 0x2000, VR_DATA + 0x2000, VR_RW);
    for (unsigned i = 0; i < sizeof out; i++) {
        out[i] = (u8)i;
    }
    ck_assert(vr_write(r, 0x1fe0, out, sizeof out)); /* over the edge of a page */
    ck_assert_uint_eq(vr_r32(r, VR_DATA + 0xfe0), 0x03020100);
    ck_assert_uint_eq(vr_r32(r, VR_DATA + 0x2000), 0x23222120);
    ck_assert(vr_read(r, 0x1fe0, in, sizeof in));
    ck_assert_mem_eq(in, out, sizeof in);
    /* As if uncached: a changed entry counts at once. */
    vr_map(r, 0x1000, VR_DATA + 0x3000, VR_RW);
    vr_w32(r, VR_DATA + 0x3000, 0xfeedf00d);
    ck_assert(vr_read(r, 0x1000, in, 4));
    ck_assert_uint_eq(load_le32(in), 0xfeedf00d);
    /* 2 MiB and 1 GiB. */
    vr_w64(r, VR_L2 + 8, BIT(7) | VR_RW);
    ck_assert(vr_read(r, MIB(2) + VR_DATA + 0x3000, in, 4));
    ck_assert_uint_eq(load_le32(in), 0xfeedf00d);
    vr_w64(r, VR_L3 + 8, BIT(7) | VR_RW);
    ck_assert(vr_read(r, GIB(1) + VR_DATA + 0x3000, in, 4));
    ck_assert_uint_eq(load_le32(in), 0xfeedf00d);
    /* 3 levels. */
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE, VR_L3 | 1);
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE + 8, 1);
    ck_assert(vr_read(r, 0x1000, in, 4));
    ck_assert_uint_eq(load_le32(in), 0xfeedf00d);
    blocked(r, BIT(39), false, 0x04);
    /* Pass-through. */
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE, 2 << 2 | 1);
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE + 8, 2);
    ck_assert(vr_read(r, VR_DATA + 0x3000, in, 4));
    ck_assert_uint_eq(load_le32(in), 0xfeedf00d);
    blocked(r, BIT(40), true, 0x04);
    vr_free(r);
}
END_TEST

START_TEST(legacy__faults)
{
    struct vtd_rig *r = rig();
    u64 context = VR_CONTEXT + 16 * VR_DEVICE;
    vr_start_legacy(r);
    vr_map(r, 0x1000, VR_DATA, 1);
    vr_map(r, 0x2000, VR_DATA, 2);
    blocked(r, 0x3000, false, 0x06);
    blocked(r, 0x3008, true, 0x05);
    blocked(r, 0x1010, true, 0x05);
    blocked(r, 0x2010, false, 0x06);
    blocked(r, BIT(48), false, 0x04);
    vr_map(r, 0x4000, VR_DATA, VR_RW | BIT(40)); /* HAW is 40 */
    blocked(r, 0x4000, false, 0x0c);
    vr_w64(r, VR_L2 + 8, BIT(7) | VR_RW | 0x1000); /* a 2 MiB page off its boundary */
    blocked(r, MIB(2), false, 0x0c);
    vr_w64(r, VR_L4 + 8, BIT(7) | VR_RW);
    blocked(r, BIT(39), false, 0x0c);
    vr_w64(r, VR_L3 + 16, 0x3000000 | VR_RW); /* a table in a hole */
    blocked(r, GIB(2), false, 0x07);
    vr_w64(r, context, VR_L4 | 1 | 0x10);
    blocked(r, 0x1000, false, 0x0b);
    vr_w64(r, context, VR_L4 | 1 | 1 << 2); /* device TLBs are not offered */
    blocked(r, 0x1000, false, 0x03);
    vr_w64(r, context, VR_L4 | 1);
    vr_w64(r, context + 8, 3);
    blocked(r, 0x1000, false, 0x03);
    vr_w64(r, context, 0);
    blocked(r, 0x1000, false, 0x02);
    vr_w64(r, VR_ROOT, 0x3000000 | 1);
    blocked(r, 0x1000, false, 0x09);
    vr_w64(r, VR_ROOT, VR_CONTEXT | 3);
    blocked(r, 0x1000, false, 0x0a);
    vr_w64(r, VR_ROOT, 0);
    blocked(r, 0x1000, false, 0x01);
    vr_set64(r, VTD_RTADDR, 0x3000000);
    blocked(r, 0x1000, false, 0x01); /* not yet taken over */
    vr_command(r, VTD_GCMD_SRTP);
    blocked(r, 0x1000, false, 0x08);
    vr_free(r);
}
END_TEST

/* FPD of an entry silences the qualified ones; overflow stops recording until PFO is cleared. */
START_TEST(faults__recording)
{
    struct vtd_rig *r = rig();
    u8 bytes[4];
    vr_start_legacy(r);
    vr_set(r, VTD_FEDATA, 0x42);
    vr_set(r, VTD_FEADDR, 0xfee00000);
    vr_set(r, VTD_FEUADDR, 0x100);
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE, 2);
    ck_assert(!vr_read(r, 0, bytes, 4));
    ck_assert(!r->vtd->last.recorded);
    ck_assert_uint_eq(vr_reg(r, VTD_FSTS), 0);
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE, 0);
    check_fault(r, 0x1000, false, 2, 0);
    ck_assert_uint_eq(vr_reg(r, VTD_FECTL), VTD_EVENT_IM | VTD_EVENT_IP);
    vr_set(r, VTD_FECTL, 0);
    ck_assert_uint_eq(r->messages, 1);
    ck_assert_uint_eq(r->address, 0x100fee00000);
    ck_assert_uint_eq(r->data, 0x42);
    for (unsigned i = 1; i < VTD_FRCD_COUNT; i++) {
        check_fault(r, 0x1000 * i, true, 2, i);
    }
    ck_assert_uint_eq(r->messages, 1); /* one condition, one interrupt */
    ck_assert(!vr_read(r, 0x99000, bytes, 4));
    ck_assert(!r->vtd->last.recorded);
    ck_assert_uint_eq(vr_reg(r, VTD_FSTS), VTD_FSTS_PPF | VTD_FSTS_PFO);
    clear_fault(r, 0);
    ck_assert_uint_eq(vr_reg(r, VTD_FSTS), VTD_FSTS_PPF | VTD_FSTS_PFO | 1 << 8);
    ck_assert(!vr_read(r, 0x99000, bytes, 4)); /* PFO is still there */
    ck_assert(!r->vtd->last.recorded);
    vr_set(r, VTD_FSTS, VTD_FSTS_PFO);
    check_fault(r, 0x5000, false, 2, 0);
    for (unsigned i = 0; i < VTD_FRCD_COUNT; i++) {
        clear_fault(r, i);
    }
    ck_assert_uint_eq(vr_reg(r, VTD_FSTS), 0);
    check_fault(r, 0x6000, false, 2, 1);
    ck_assert_uint_eq(r->messages, 2);
    vr_free(r);
}
END_TEST

START_TEST(scalable__tables)
{
    struct vtd_options o = scalable_options();
    struct vtd_rig *r = vr_new(&o);
    u8 in[4];
    u64 context = VR_CONTEXT + 32 * VR_DEVICE, entry = VR_PASIDS + PAGE_SIZE;
    vr_start_scalable(r, VTD_PGTT_SECOND_LEVEL);
    vr_w32(r, VR_DATA, 0xfeedf00d);
    vr_map(r, 0x1000, VR_DATA, VR_RW);
    ck_assert(vr_read(r, 0x1000, in, 4));
    ck_assert_uint_eq(load_le32(in), 0xfeedf00d);
    blocked(r, 0x2000, false, 0x86);
    blocked(r, 0x2000, true, 0x85);
    blocked(r, 0xfee00000, false, 0x87);
    blocked(r, BIT(48), false, 0x84);
    vr_w64(r, entry, VR_L4 | VTD_PGTT_NESTED << 6 | 2 << 2 | 1);
    blocked(r, 0x1000, false, 0x5b);
    vr_w64(r, entry + 24, 1);
    blocked(r, 0x1000, false, 0x5a);
    vr_w64(r, entry + 24, 0);
    vr_w64(r, entry, VTD_PGTT_PASS_THROUGH << 6 | 2 << 2 | 1);
    ck_assert(vr_read(r, VR_DATA, in, 4));
    ck_assert_uint_eq(load_le32(in), 0xfeedf00d);
    vr_w64(r, context + 8, BIT(20)); /* RID_PRIV without SRE */
    blocked(r, VR_DATA, false, 0x5d);
    vr_w64(r, context + 8, 64); /* next directory entry */
    blocked(r, VR_DATA, false, 0x51);
    vr_w64(r, context + 8, 1 << 14);
    blocked(r, VR_DATA, false, 0x46);
    vr_w64(r, context + 8, 1);
    blocked(r, VR_DATA, false, 0x59);
    vr_w64(r, context + 8, BIT(21));
    blocked(r, VR_DATA, false, 0x42);
    vr_w64(r, context, 0);
    blocked(r, VR_DATA, false, 0x41);
    vr_w64(r, VR_ROOT, 0);
    blocked(r, VR_DATA, false, 0x39);
    /* All DMA aborted, silently. */
    vr_set64(r, VTD_RTADDR, VTD_TTM_ABORT << VTD_RTADDR_TTM_SHIFT);
    vr_command(r, VTD_GCMD_SRTP);
    ck_assert(!vr_read(r, VR_DATA, in, 4));
    ck_assert_uint_eq(vr_reg(r, VTD_FSTS), 0);
    vr_free(r);
}
END_TEST

START_TEST(scalable__first_level)
{
    struct vtd_options o = scalable_options();
    struct vtd_rig *r = vr_new(&o);
    u8 in[4];
    u64 entry = VR_PASIDS + PAGE_SIZE;
    vr_start_scalable(r, VTD_PGTT_FIRST_LEVEL);
    vr_w32(r, VR_DATA, 0xfeedf00d);
    vr_map(r, 0x1000, VR_DATA, 7);
    vr_map(r, 0x2000, VR_DATA, 5);
    vr_map(r, 0x3000, VR_DATA, 3);
    ck_assert(vr_read(r, 0x1000, in, 4));
    ck_assert_uint_eq(load_le32(in), 0xfeedf00d);
    ck_assert_uint_eq(vr_r64(r, VR_L1 + 8), VR_DATA | 7 | 0x20);
    ck_assert_uint_eq(vr_r64(r, VR_L4), VR_L3 | 7 | 0x20);
    ck_assert(vr_write(r, 0x1000, in, 4));
    ck_assert_uint_eq(vr_r64(r, VR_L1 + 8), VR_DATA | 7 | 0x60);
    ck_assert_uint_eq(vr_r64(r, VR_L4), VR_L3 | 7 | 0x20);
    blocked(r, 0x2000, true, 0x85);
    ck_assert_uint_eq(vr_r64(r, VR_L1 + 16), VR_DATA | 5); /* a blocked access leaves no trace */
    blocked(r, 0x3000, false, 0x81);
    blocked(r, 0x4000, false, 0x71);
    blocked(r, BIT(47), false, 0x80);
    vr_map(r, 0x5000, VR_DATA, 7 | BIT(63)); /* NXE is clear */
    blocked(r, 0x5000, false, 0x72);
    vr_w64(r, VR_L3 + 8, 0x3000000 | 7);
    blocked(r, GIB(1), false, 0x70);
    vr_w64(r, VR_L3 + 16, 0x80 | 7); /* 1 GiB */
    ck_assert(vr_read(r, GIB(2) + VR_DATA, in, 4));
    ck_assert_uint_eq(load_le32(in), 0xfeedf00d);
    vr_w64(r, entry + 16, 0x3000000);
    blocked(r, 0x1000, false, 0x73);
    vr_free(r);
}
END_TEST

static void check_message(struct vtd_rig *r, unsigned n, u64 address, u32 data)
{
    ck_assert_uint_eq(r->messages, n);
    ck_assert_uint_eq(r->address, address);
    ck_assert_uint_eq(r->data, data);
}

static void send(struct vtd_rig *r, u16 requester, u64 address, u32 data)
{
    r->msi.send(r->msi.self, requester, address, data);
}

static void ir_blocked(struct vtd_rig *r, u16 requester, u64 address, u32 data, u8 reason,
                       u64 index)
{
    unsigned before = r->messages;
    unsigned n = (unsigned)(r->vtd->last.count % VTD_FRCD_COUNT);
    send(r, requester, address, data);
    ck_assert_uint_eq(r->messages, before);
    ck_assert_uint_eq(r->vtd->last.reason, reason);
    ck_assert_uint_eq(vr_reg64(r, VTD_FRCD + 16 * n), index << 48);
    ck_assert_uint_eq(vr_reg64(r, VTD_FRCD + 16 * n + 8), BIT(63) | (u64)reason << 32 | requester);
    clear_fault(r, n);
}

START_TEST(interrupts__remapped)
{
    struct vtd_rig *r = rig();
    send(r, VR_DEVICE, 0xfee01000, 0x31); /* off: as it is */
    check_message(r, 1, 0xfee01000, 0x31);
    vr_start_remapping(r, false);
    ir_blocked(r, VR_DEVICE, 0xfee01000, 0x31, 0x25, 0);
    vr_command(r, VTD_GCMD_CFI);
    send(r, VR_DEVICE, 0xfee02000, 0x32);
    check_message(r, 2, 0xfee02000, 0x32);
    /* Present, vector 0x33, destination 5. */
    vr_irte(r, 3, (u64)5 << 40 | 0x33 << 16 | 1, 0);
    send(r, VR_DEVICE, vr_msi_address(3), 0xffff0000); /* without SHV data does not count */
    check_message(r, 3, 0xfee05000, 0x33);
    /* Logical, hint, level, lowest priority; by handle and subhandle. */
    vr_irte(r, 5, (u64)6 << 40 | 0x34 << 16 | 1 << 5 | 0x1c | 1, 1 << 18 | VR_DEVICE);
    send(r, VR_DEVICE, vr_msi_address(3) | VTD_MSI_SHV, 2);
    check_message(r, 4, 0xfee0600c, 0xc134);
    /* By DMA. */
    u8 bytes[4] = {0};
    ck_assert(vr_write(r, vr_msi_address(5), bytes, 4));
    check_message(r, 5, 0xfee0600c, 0xc134);

    ir_blocked(r, VR_DEVICE, vr_msi_address(3) | VTD_MSI_SHV, 0x10000, 0x20, 3);
    ir_blocked(r, VR_DEVICE, vr_msi_address(256), 0, 0x21, 256);
    ir_blocked(r, VR_DEVICE, vr_msi_address(0x8001), 0, 0x21, 0x8001);
    ir_blocked(r, VR_DEVICE, vr_msi_address(7), 0, 0x22, 7);
    ir_blocked(r, 0x18, vr_msi_address(5), 0, 0x26, 5);
    vr_irte(r, 5, 1, 1 << 18 | 2 << 16 | VR_DEVICE); /* SQ: functions 0, 2, 4, 6 of the pair */
    send(r, VR_DEVICE | 6, vr_msi_address(5), 0);
    ck_assert_uint_eq(r->messages, 6);
    ir_blocked(r, VR_DEVICE | 1, vr_msi_address(5), 0, 0x26, 5);
    vr_irte(r, 5, 1, 2 << 18 | 0x0204); /* buses 2 to 4 */
    send(r, 0x0300, vr_msi_address(5), 0);
    ck_assert_uint_eq(r->messages, 7);
    ir_blocked(r, 0x0500, vr_msi_address(5), 0, 0x26, 5);
    vr_irte(r, 6, 1 | 1 << 12, 0);
    ir_blocked(r, VR_DEVICE, vr_msi_address(6), 0, 0x24, 6);
    vr_irte(r, 6, 1 | BIT(48), 0);
    ir_blocked(r, VR_DEVICE, vr_msi_address(6), 0, 0x24, 6);
    vr_irte(r, 6, 1 | 3 << 5, 0);
    ir_blocked(r, VR_DEVICE, vr_msi_address(6), 0, 0x24, 6);
    vr_irte(r, 6, 2, 0); /* FPD */
    send(r, VR_DEVICE, vr_msi_address(6), 0);
    ck_assert(!r->vtd->last.recorded);
    vr_free(r);
}
END_TEST

START_TEST(interrupts__extended)
{
    struct vtd_rig *r = rig();
    vr_start_remapping(r, true);
    vr_command(r, VTD_GCMD_CFI); /* counts for nothing here */
    ir_blocked(r, VR_DEVICE, 0xfee01000, 0x31, 0x25, 0);
    vr_irte(r, 1, (u64)0x12345678 << 32 | 0x33 << 16 | 1, 0);
    send(r, VR_DEVICE, vr_msi_address(1), 0);
    check_message(r, 1, 0x12345600fee78000, 0x33);
    vr_free(r);
}
END_TEST

START_TEST(interrupts__ioapic_source)
{
    struct vtd_options o = options();
    for (unsigned i = 0; i < 2; i++) {
        o.verify_ioapic = i == 1;
        struct vtd_rig *r = vr_new(&o);
        vr_start_remapping(r, false);
        vr_irte(r, 1, 0x33 << 16 | 1, 1 << 18 | VR_DEVICE);
        send(r, VR_IOAPIC, vr_msi_address(1), 0);
        ck_assert_uint_eq(r->messages, i == 1 ? 0 : 1);
        vr_free(r);
    }
}
END_TEST

START_TEST(interrupts__posted)
{
    struct vtd_rig *r = rig();
    u64 irte = (u64)(VR_DATA >> 6) << 38 | 0x41 << 16 | BIT(15) | 1;
    vr_start_remapping(r, true);
    vr_irte(r, 1, irte, 0);
    vr_w64(r, VR_DATA + 32, (u64)9 << 32 | 0xf2 << 16);
    send(r, VR_DEVICE, vr_msi_address(1), 0);
    check_message(r, 1, 0xfee09000, 0xf2);
    ck_assert_uint_eq(vr_r64(r, VR_DATA + 8), 2); /* bit 0x41 */
    ck_assert_uint_eq(vr_r64(r, VR_DATA + 32), (u64)9 << 32 | 0xf2 << 16 | 1);
    vr_irte(r, 1, irte + (1 << 16), 0);
    send(r, VR_DEVICE, vr_msi_address(1), 0); /* ON: posted, not told */
    ck_assert_uint_eq(r->messages, 1);
    ck_assert_uint_eq(vr_r64(r, VR_DATA + 8), 6);
    vr_w64(r, VR_DATA + 32, (u64)9 << 32 | 0xf2 << 16 | 2);
    send(r, VR_DEVICE, vr_msi_address(1), 0); /* SN */
    ck_assert_uint_eq(r->messages, 1);
    vr_irte(r, 1, irte | BIT(14), 0);
    send(r, VR_DEVICE, vr_msi_address(1), 0); /* urgent */
    ck_assert_uint_eq(r->messages, 2);
    ck_assert_uint_eq(r->vtd->posted.all, 4);
    ck_assert_uint_eq(r->vtd->posted.told, 2);
    vr_w64(r, VR_DATA + 56, 1);
    ir_blocked(r, VR_DEVICE, vr_msi_address(1), 0, 0x28, 1);
    vr_irte(r, 1, irte, (u64)1 << 32);
    ir_blocked(r, VR_DEVICE, vr_msi_address(1), 0, 0x27, 1);
    vr_free(r);
}
END_TEST

/* edu behind the unit: its DMA goes where the tables say, a rogue one is blocked and recorded. */
START_TEST(device__edu)
{
    struct vtd_rig *r = rig();
    const u64 bar = 0xc0000000;
    struct pci_bus *pci = pci_bus_new(&r->env);
    pci_bus_set_upstream(pci, r->dma, r->msi);
    edu_new(&r->env, pci, VR_DEVICE, EDU_DEFAULT_DMA_MASK, "edu");
    bus_port_write(&r->bus, 0xcf8, 0x80001002, 4); /* offset 2, as kvm-unit-tests reads it */
    ck_assert_uint_eq(bus_port_read(&r->bus, 0xcfc, 2), 0x11e8);
    ck_assert_uint_eq(bus_port_read(&r->bus, 0xcf8, 4), 0x80001000);
    pci_config_write(pci, 0, VR_DEVICE, 0x10, (u32)bar, 4);
    pci_config_write(pci, 0, VR_DEVICE, 4, 6, 2);
    vr_start_legacy(r);
    vr_map(r, 0x1000, VR_DATA, VR_RW);
    vr_w32(r, VR_DATA, 0xfeedf00d);
    const u64 moves[3][3] = {{0x1000, 0x40000, 1}, {0x40000, 0x1008, 3}, {0x40000, 0x2000, 3}};
    for (unsigned i = 0; i < 3; i++) {
        vr_w64(r, bar + 0x80, moves[i][0]);
        vr_w64(r, bar + 0x88, moves[i][1]);
        vr_w64(r, bar + 0x90, 4);
        vr_w64(r, bar + 0x98, moves[i][2]);
        clock_skip_to(&r->clock, (vtime_t){clock_now(&r->clock).ns + NS_PER_SEC});
        clock_fire_due(&r->clock);
    }
    ck_assert_uint_eq(vr_r32(r, VR_DATA + 8), 0xfeedf00d);
    const struct iommu_last_fault *f = &r->vtd->last;
    ck_assert_uint_eq(f->count, 1);
    ck_assert_uint_eq(f->address, 0x2000);
    ck_assert(f->write);
    ck_assert_str_eq(iommu_fault_words(r->vtd, f->reason), "no write permission in its second-level tables");
    vr_free(r);
}
END_TEST

START_TEST(state__save_restore)
{
    struct vtd_rig *r = rig();
    u8 bytes[4];
    vr_start_legacy(r);
    vr_start_remapping(r, true);
    vr_start_queue(r);
    vr_submit(r, VTD_INV_WAIT | VTD_INV_WAIT_IF, 0);
    vr_set64(r, VTD_RTADDR, 0x5000);
    for (unsigned i = 0; i < VTD_FRCD_COUNT + 1; i++) {
        ck_assert(!vr_read(r, 0x3000 + i * PAGE_SIZE, bytes, 4));
    }
    vr_set64(r, VTD_FEADDR, 0x12300fee00000);
    struct state_io save, load;
    state_init_save(&save);
    bus_state(&r->bus, &save);
    struct vtd_rig *copy = rig();
    ck_assert_uint_ne(vr_hash(copy), vr_hash(r));
    state_init_load(&load, save.data, save.len);
    bus_state(&copy->bus, &load);
    ck_assert(!load.failed);
    ck_assert_uint_eq(load.pos, load.len);
    ck_assert_uint_eq(vr_hash(copy), vr_hash(r));
    for (u64 at = 0; at < 0x300; at += 4) {
        ck_assert_uint_eq(vr_reg(copy, at), vr_reg(r, at));
    }
    state_free(&save);
    bus_reset(&copy->bus, RESET_HARD);
    vr_free(r);
    r = rig();
    ck_assert_uint_eq(vr_hash(copy), vr_hash(r));
    vr_free(r);
    vr_free(copy);
}
END_TEST

START_TEST(table__dmar)
{
    struct vtd_rig *r = rig();
    struct acpi_bytes t = iommu_acpi(r->vtd, 2, true);
    static const u8 unit[32] = {0, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0, 3, 8, 0, 0,
                                2, 0xf0, 0x1f, 0, 4, 8, 0, 0, 0, 0xf0, 0x0f, 0};
    ck_assert_uint_eq(t.len, 80);
    ck_assert_uint_eq(load_le32(t.data + 4), 80);
    ck_assert_mem_eq(t.data, "DMAR", 4);
    ck_assert_uint_eq(t.data[36], 39);
    ck_assert_uint_eq(t.data[37], 1);
    ck_assert_mem_eq(t.data + 48, unit, sizeof unit);
    free(t.data);
    vr_free(r);
    struct vtd_options o = VTD_OPTIONS_DEFAULT;
    o.reserved[0] = (struct vtd_reserved){.base = 0xf0000, .limit = 0xfffff, .devfn = 0x11};
    o.reserved_count = 1;
    r = vr_new(&o);
    t = iommu_acpi(r->vtd, 2, true);
    static const u8 region[32] = {1, 0, 32, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0xff, 0xff, 15, 0, 0, 0, 0, 0,
                                  1, 8, 0, 0, 0, 0, 2, 1};
    ck_assert_uint_eq(t.len, 112);
    ck_assert_mem_eq(t.data + 48, unit, sizeof unit);
    ck_assert_mem_eq(t.data + 80, region, sizeof region);
    free(t.data);
    vr_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vtd");
    TCase *t = tcase_create("vtd");
    tcase_add_test(t, registers__capabilities);
    tcase_add_test(t, registers__global_command);
    tcase_add_test(t, invalidation__registers);
    tcase_add_test(t, invalidation__queue);
    tcase_add_test(t, invalidation__wait_interrupt);
    tcase_add_test(t, invalidation__queue_errors);
    tcase_add_test(t, legacy__pages);
    tcase_add_test(t, legacy__faults);
    tcase_add_test(t, faults__recording);
    tcase_add_test(t, scalable__tables);
    tcase_add_test(t, scalable__first_level);
    tcase_add_test(t, interrupts__remapped);
    tcase_add_test(t, interrupts__extended);
    tcase_add_test(t, interrupts__ioapic_source);
    tcase_add_test(t, interrupts__posted);
    tcase_add_test(t, device__edu);
    tcase_add_test(t, state__save_restore);
    tcase_add_test(t, table__dmar);
    suite_add_tcase(s, t);
    return unit_run(s);
}
