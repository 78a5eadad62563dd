/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VT-d under a driver that does anything: the input decides capabilities, registers, what the tables
 * and queues hold, and which requests arrive. Nothing may crash or go on for ever, and the state that
 * results must survive save and restore. */
#include "tests/harness/vtd_rig.h"

#include "fuzz_iommu.h"

static const u64 places[8] = {VR_ROOT, VR_CONTEXT, VR_L4, VR_QUEUE, VR_IRT, VR_RAM - 64, VR_BASE, 0x3000000};

static u64 take_address(struct input *in)
{
    return take_near(in, places);
}

/* Somewhere in the tables, a value of small flags, a pointer or anything. */
static void poke(struct vtd_rig *r, struct input *in)
{
    u64 at = VR_ROOT + 8 * (take(in, 2) % ((VR_DATA - VR_ROOT) / 8));
    u64 value = (take(in, 1) & 1) != 0 ? take(in, 8) : take_address(in) | take(in, 2);
    vr_w64(r, at, value);
}

static void request(struct vtd_rig *r, struct input *in)
{
    static const u16 sources[4] = {VR_DEVICE, VR_IOAPIC, 0xff, 0x0100};
    fuzz_request(r->vtd, in, sources, places);
}

static void step(struct vtd_rig *r, struct input *in)
{
    switch (take(in, 1) % 8) {
    case 0:
        vr_set(r, take(in, 2) & 0x3fc, (u32)take(in, 4));
        break;
    case 1:
        vr_set64(r, take(in, 1) & 0xf8, take_address(in) | take(in, 2));
        break;
    case 2:
        vr_command(r, BIT32(23 + take(in, 1) % 9));
        break;
    case 3:
        vr_submit(r, take(in, 8), take_address(in));
        break;
    case 4:
        (void)phys_read_scalar(&r->phys, SPA(VR_BASE + (take(in, 2) & 0xfff)),
                               1u << (take(in, 1) & 3));
        break;
    case 5:
        poke(r, in);
        break;
    default:
        request(r, in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, size};
    struct vtd_options o = VTD_OPTIONS_DEFAULT;
    u64 kind = take(&in, 1);
    o.scalable = o.first_level = o.second_level = (kind & 1) != 0;
    o.eim = (kind & 2) == 0;
    o.aw_bits = (kind & 4) != 0 ? 39 : 48;
    o.posted = o.pass_through = (kind & 8) == 0;
    struct vtd_rig *r = vr_new(&o);
    if ((kind & 16) == 0) { /* start from a working driver */
        if (o.scalable) {
            vr_start_scalable(r, 1 + (kind >> 5 & 3));
        } else {
            vr_start_legacy(r);
        }
        vr_map(r, 0x1000, VR_DATA, 7);
        vr_start_queue(r);
        vr_irte(r, 1, 0x330001, 0);
        vr_start_remapping(r, (kind & 32) != 0);
    }
    fuzz_look_for_stale(r->vtd, (kind & 64) != 0);
    for (unsigned i = 0; in.n > 0 && i < 500; i++) {
        step(r, &in);
    }
    save_and_restore(&r->bus);
    fuzz_look_for_stale(r->vtd, false);
    vr_free(r);
    return 0;
}
