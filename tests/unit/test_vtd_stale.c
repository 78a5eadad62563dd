/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VT-d with a watch for missing invalidations. */
#include "tests/harness/vtd_rig.h"
#include "devices/testdevs.h"
#include "unit.h"

static struct vtd_options options(void)
{
    struct vtd_options o = VTD_OPTIONS_DEFAULT;
    return o;
}

static struct vtd_rig *rig(void)
{
    struct vtd_options o = options();
    return vr_new(&o);
}

static void stale(void *self, const struct iommu_stale_use *use)
{
    *(struct iommu_stale_use *)self = *use;
}

/* What is used, changed, used again without an invalidation in between is reported once; what was invalidated, or is only
 * new, is not. Each kind of invalidation takes away what it names and nothing else. */
START_TEST(stale__pages)
{
    static const struct {
        u64 low, high;
        bool enough;
    } invalidations[] = {
        {VTD_INV_IOTLB | 1 << 4, 0, true},                 /* all */
        {VTD_INV_IOTLB | 2 << 4 | 7 << 16, 0, true},       /* the domain */
        {VTD_INV_IOTLB | 2 << 4 | 8 << 16, 0, false},      /* another */
        {VTD_INV_IOTLB | 3 << 4 | 7 << 16, 0x1000, true},  /* the page */
        {VTD_INV_IOTLB | 3 << 4 | 7 << 16, 0x2000, false}, /* another */
        {VTD_INV_IOTLB | 3 << 4 | 7 << 16, 0x2 | 0, true}, /* four pages */
        {VTD_INV_CONTEXT | 1 << 4, 0, false},              /* something else */
    };
    for (unsigned i = 0; i < ARRAY_LEN(invalidations); i++) {
        struct vtd_rig *r = rig();
        struct iommu_stale_use last = {0};
        struct iommu_stale_watch watch = {.used = stale, .self = &last};
        u32 data;
        iommu_look_for_stale(r->vtd, &watch);
        vr_start_legacy(r);
        vr_start_queue(r);
        ck_assert(!vr_read(r, 0x1000, &data, 4));
        vr_map(r, 0x1000, VR_DATA, 1);
        ck_assert(vr_read(r, 0x1000, &data, 4));
        vr_map(r, 0x1000, VR_DATA, VR_RW);
        ck_assert(vr_write(r, 0x1000, &data, 4));
        ck_assert_uint_eq(iommu_stale_count(r->vtd), 0);
        vr_map(r, 0x1000, VR_DATA + 0x1000, VR_RW);
        vr_submit(r, invalidations[i].low, invalidations[i].high);
        ck_assert(vr_write(r, 0x1010, &data, 4));
        ck_assert_uint_eq(iommu_stale_count(r->vtd), invalidations[i].enough ? 0 : 1);
        ck_assert(vr_write(r, 0x1010, &data, 4));
        vr_map(r, 0x1000, 0, 0);
        ck_assert(!vr_read(r, 0x1000, &data, 4)); /* never read since the first page */
        ck_assert(!vr_write(r, 0x1000, &data, 4));
        ck_assert(!vr_write(r, 0x1000, &data, 4));
        ck_assert_uint_eq(iommu_stale_count(r->vtd), invalidations[i].enough ? 1 : 2);
        ck_assert_uint_eq(last.kind, IOMMU_STALE_GONE);
        ck_assert_uint_eq(last.then, VR_DATA + 0x1000);
        ck_assert_uint_eq(last.requester, VR_DEVICE);
        iommu_look_for_stale(r->vtd, NULL);
        vr_free(r);
    }
}
END_TEST

START_TEST(stale__contexts_and_interrupts)
{
    struct vtd_rig *r = rig();
    struct iommu_stale_use last = {0};
    struct iommu_stale_watch watch = {.used = stale, .self = &last};
    u32 data;
    iommu_look_for_stale(r->vtd, &watch);
    vr_start_legacy(r);
    vr_start_queue(r);
    vr_map(r, 0x1000, VR_DATA, VR_RW);
    ck_assert(vr_read(r, 0x1000, &data, 4));
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE + 8, 9 << 8 | 2); /* another domain */
    ck_assert(vr_read(r, 0x1000, &data, 4));
    ck_assert_uint_eq(iommu_stale_count(r->vtd), 1);
    ck_assert_uint_eq(last.kind, IOMMU_STALE_CONTEXT);
    ck_assert_uint_eq(last.then, 7);
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE + 8, 7 << 8 | 2);
    vr_submit(r, VTD_INV_CONTEXT | 3 << 4 | 9 << 16 | (u64)VR_DEVICE << 32, 0);
    ck_assert(vr_read(r, 0x1000, &data, 4));
    ck_assert_uint_eq(iommu_stale_count(r->vtd), 1);
    vr_irte(r, 3, 0x330001, 0);
    vr_irte(r, 8, 0x330001, 0);
    vr_start_remapping(r, false);
    for (unsigned i = 0; i < 2; i++) {
        r->msi.send(r->msi.self, VR_DEVICE, vr_msi_address(3), 0);
        r->msi.send(r->msi.self, VR_DEVICE, vr_msi_address(8), 0);
        vr_irte(r, 3, 0x440001, 0);
        vr_irte(r, 8, 0x440001, 0);
        vr_submit(r, VTD_INV_IEC | 1 << 4 | (u64)3 << 32, 0);
    }
    ck_assert_uint_eq(iommu_stale_count(r->vtd), 2);
    ck_assert_uint_eq(last.kind, IOMMU_STALE_INTERRUPT);
    ck_assert_uint_eq(last.address, 8);
    iommu_look_for_stale(r->vtd, NULL);
    vr_free(r);
}
END_TEST

/* Scalable mode: pages under their PASID, or the domain alone. */
START_TEST(stale__scalable)
{
    for (u64 kind = VTD_PGTT_FIRST_LEVEL; kind <= VTD_PGTT_SECOND_LEVEL; kind++) {
        struct vtd_options o = VTD_OPTIONS_DEFAULT;
        o.scalable = o.first_level = o.second_level = true;
        struct vtd_rig *r = vr_new(&o);
        struct iommu_stale_watch watch = {.used = NULL};
        u64 rights = kind == VTD_PGTT_FIRST_LEVEL ? 7 : VR_RW, old = kind == VTD_PGTT_FIRST_LEVEL ? VTD_INV_IOTLB : VTD_INV_PASID_IOTLB;
        u32 data;
        iommu_look_for_stale(r->vtd, &watch);
        vr_start_scalable(r, kind);
        vr_set64(r, VTD_IQA, VR_QUEUE | VTD_IQA_DW);
        vr_command(r, VTD_GCMD_QIE);
        for (unsigned i = 0; i < 2; i++) {
            /* Invalidated are the pages of the other kind, then of this one. */
            u64 type = i == 0 ? old : kind == VTD_PGTT_FIRST_LEVEL ? VTD_INV_PASID_IOTLB : VTD_INV_IOTLB;
            vr_map(r, 0x1000, VR_DATA, rights);
            ck_assert(vr_read(r, 0x1000, &data, 4));
            vr_map(r, 0x1000, VR_DATA + PAGE_SIZE, rights);
            u32 tail = vr_reg(r, VTD_IQT);
            vr_w64(r, VR_QUEUE + tail, type | 3 << 4 | 7 << 16);
            vr_w64(r, VR_QUEUE + tail + 8, 0x1000);
            vr_w64(r, VR_QUEUE + tail + 16, 0);
            vr_w64(r, VR_QUEUE + tail + 24, 0);
            vr_set(r, VTD_IQT, tail + 32);
            ck_assert_uint_eq(vr_reg(r, VTD_IQT), vr_reg(r, VTD_IQH));
            ck_assert(vr_read(r, 0x1000, &data, 4));
            ck_assert_uint_eq(iommu_stale_count(r->vtd), 1);
            iommu_stale_forget(r->vtd);
        }
        iommu_look_for_stale(r->vtd, NULL);
        vr_free(r);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("vtd_stale");
    TCase *t = tcase_create("vtd");
    tcase_add_test(t, stale__pages);
    tcase_add_test(t, stale__contexts_and_interrupts);
    tcase_add_test(t, stale__scalable);
    suite_add_tcase(s, t);
    return unit_run(s);
}
