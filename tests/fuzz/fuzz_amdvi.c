/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AMD-Vi under a driver that does anything: the input decides features, registers, what the tables and
 * buffers hold, and which requests arrive. Nothing may crash or go on for ever, and the state that
 * results must survive save and restore. */
#include "tests/harness/amdvi_rig.h"

#include "fuzz_iommu.h"

static const u64 places[8] = {AR_DEVTAB, AR_COMMANDS, AR_HOST, AR_EVENTS, AR_INTTAB, AR_RAM - 64, AR_BASE, AR_GUEST};

static u64 take_address(struct input *in)
{
    return take_near(in, places);
}

static void poke(struct amdvi_rig *r, struct input *in)
{
    u64 at = AR_DEVTAB + 8 * (take(in, 2) % ((AR_STATUS - AR_DEVTAB) / 8));
    u64 value = (take(in, 1) & 1) != 0 ? take(in, 8) : take_address(in) | take(in, 2);
    ar_w64(r, at, value);
}

static void request(struct amdvi_rig *r, struct input *in)
{
    static const u16 sources[4] = {AR_DEVICE, 0xa0, AR_FUNCTION, 0x0018};
    fuzz_request(r->iommu, in, sources, places);
}

static void step(struct amdvi_rig *r, struct input *in)
{
    switch (take(in, 1) % 8) {
    case 0:
        ar_w32(r, AR_BASE + (take(in, 2) & 0x3ffc), (u32)take(in, 4));
        break;
    case 1:
        ar_set(r, (take(in, 1) & 0x38) | (take(in, 1) & 0x20) << 8, take_address(in) | take(in, 8));
        break;
    case 2:
        ar_control(r, BIT(take(in, 1) % 64), BIT(take(in, 1) % 64));
        break;
    case 3:
        ar_submit(r, take(in, 8), take_address(in));
        break;
    case 4:
        (void)phys_read_scalar(&r->phys, SPA(AR_BASE + (take(in, 2) & 0x3fff)), 1u << (take(in, 1) & 3));
        break;
    case 5:
        poke(r, in);
        break;
    case 6:
        (void)!amdvi_page_request(r->iommu, AR_DEVICE, (u32)take(in, 3), take(in, 8), (u16)take(in, 2), 3);
        break;
    default:
        request(r, in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, size};
    struct amdvi_options o = AMDVI_OPTIONS_DEFAULT;
    u64 kind = take(&in, 1);
    o.ga = (kind & 1) == 0;
    o.guest_tables = (kind & 2) == 0;
    o.ppr = (kind & 4) == 0;
    struct amdvi_rig *r = ar_new(&o);
    if ((kind & 8) == 0) { /* start from a working driver */
        ar_start(r, (unsigned)(1 + (kind >> 4 & 7) % 6));
        ar_map(r, 0x1000, AR_DATA, AR_RW);
        ar_w64(r, AR_INTTAB + 16, 0x330001);
        if ((kind & 0x80) != 0) {
            ar_dte(r, AR_DEVICE, 1, (u64)(AR_GCR3 >> 15) << 16);
            ar_w64(r, AR_GCR3, AR_GUEST | 1);
            ar_control(r, AMDVI_CTL_GT_EN | AMDVI_CTL_GA_EN | AMDVI_CTL_PPR_EN | AMDVI_CTL_PPR_LOG_EN, 0);
        }
    }
    fuzz_look_for_stale(r->iommu, (kind & 16) != 0);
    for (unsigned i = 0; in.n > 0 && i < 500; i++) {
        step(r, &in);
    }
    save_and_restore(&r->bus);
    fuzz_look_for_stale(r->iommu, false);
    ar_free(r);
    return 0;
}
