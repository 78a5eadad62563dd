/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AMD-Vi with a watch for missing invalidations. */
#include "tests/harness/amdvi_rig.h"
#include "devices/testdevs.h"
#include "unit.h"
#include <string.h>

static struct amdvi_options options(void)
{
    return AMDVI_OPTIONS_DEFAULT;
}

static struct amdvi_rig *rig(void)
{
    struct amdvi_options o = options();
    return ar_new(&o);
}

static void stale(void *self, const struct iommu_stale_use *use)
{
    *(struct iommu_stale_use *)self = *use;
}

/* What is used, changed, used again without an invalidation in between is reported; each command takes away what it names
 * and nothing else. */
START_TEST(stale__pages)
{
    const u64 pages = (u64)AMDVI_CMD_INVALIDATE_IOMMU_PAGES << 60;
    const struct {
        u64 low, high;
        bool enough;
    } commands[] = {
        {(u64)AMDVI_CMD_INVALIDATE_IOMMU_ALL << 60, 0, true},
        {pages | (u64)7 << 32, 0x1000, true},
        {pages | (u64)7 << 32, 0x2000, false},
        {pages | (u64)8 << 32, 0x1000, false},
        {pages | (u64)7 << 32, 0x0001, true},                  /* two pages */
        {pages | (u64)7 << 32, 0x7ffffffffffff001, true},      /* all */
        {pages | (u64)7 << 32, 0x7ffffffffffff005, false},     /* all of guest tables */
        {(u64)AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY << 60 | AR_DEVICE, 0, false},
    };
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        struct amdvi_rig *r = rig();
        struct iommu_stale_use last = {0};
        struct iommu_stale_watch watch = {.used = stale, .self = &last};
        u32 data;
        iommu_look_for_stale(r->iommu, &watch);
        ar_start(r, 3);
        ck_assert(!ar_read(r, 0x1000, &data, 4));
        ar_map(r, 0x1000, AR_DATA, AR_RW);
        ck_assert(ar_read(r, 0x1000, &data, 4));
        ar_map(r, 0x1000, AR_DATA + PAGE_SIZE, AR_RW);
        ar_submit(r, commands[i].low, commands[i].high);
        ck_assert_uint_eq(ar_reg(r, AMDVI_CMD_HEAD), ar_reg(r, AMDVI_CMD_TAIL));
        ck_assert(ar_read(r, 0x1000, &data, 4));
        ck_assert_uint_eq(iommu_stale_count(r->iommu), commands[i].enough ? 0 : 1);
        ck_assert(commands[i].enough || last.then == AR_DATA);
        iommu_look_for_stale(r->iommu, NULL);
        ar_free(r);
    }
}
END_TEST

START_TEST(stale__entries)
{
    struct amdvi_rig *r = rig();
    struct iommu_stale_use last = {0};
    struct iommu_stale_watch watch = {.used = stale, .self = &last};
    u32 data;
    iommu_look_for_stale(r->iommu, &watch);
    ar_start(r, 3);
    ar_map(r, 0x1000, AR_DATA, AR_RW);
    ck_assert(ar_read(r, 0x1000, &data, 4));
    ar_dte(r, AR_DEVICE, 1, 9);
    ar_submit(r, (u64)AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY << 60 | AR_DEVICE, 0);
    ck_assert(ar_read(r, 0x1000, &data, 4));
    ck_assert_uint_eq(iommu_stale_count(r->iommu), 0);
    ar_dte(r, AR_DEVICE, 1, 7);
    ck_assert(ar_read(r, 0x1000, &data, 4));
    ck_assert_uint_eq(iommu_stale_count(r->iommu), 1);
    ck_assert_uint_eq(last.kind, IOMMU_STALE_CONTEXT);
    for (unsigned i = 0; i < 3; i++) { /* written; changed and told; changed */
        ar_w32(r, AR_INTTAB + 4 * 5, 0x330001 + i * 0x110000);
        if (i == 1) {
            ar_submit(r, (u64)AMDVI_CMD_INVALIDATE_INTERRUPT_TABLE << 60 | AR_DEVICE, 0);
        }
        r->msi.send(r->msi.self, AR_DEVICE, 0xfee00000, 5);
        ck_assert_uint_eq(iommu_stale_count(r->iommu), i < 2 ? 1 : 2);
    }
    ck_assert_uint_eq(last.kind, IOMMU_STALE_INTERRUPT);
    iommu_look_for_stale(r->iommu, NULL);
    ar_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("amdvi_stale");
    TCase *t = tcase_create("amdvi");
    tcase_add_test(t, stale__pages);
    tcase_add_test(t, stale__entries);
    suite_add_tcase(s, t);
    return unit_run(s);
}
