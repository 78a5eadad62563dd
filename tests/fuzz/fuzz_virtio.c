/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A driver that does anything at all: the input is a list of register accesses, memory writes and
 * waits on a board with one virtio device of each kind. Nothing may crash, and the state that
 * results must survive save and restore. */
#include "tests/harness/virtio_rig.h"

#include "fuzz_input.h"

/* Descriptors in the first entries of a queue: flags, lengths and addresses near what is used. */
static void poke_descriptor(struct rig_driver *d, struct input *in)
{
    struct rig_queue *q = &d->q[take(in, 1) & 3];
    u64 at = q->desc + 16 * (take(in, 1) & 7);
    u64 addr = (take(in, 1) & 3) == 0 ? d->modern + take(in, 2) % 0x4000 : RIG_DATA + take(in, 2);
    rig_desc(d->rig, at, addr, (u32)take(in, 2), (u16)(take(in, 1) & 7), (u16)(take(in, 1) & 15));
}

static void step(struct rig_driver *d, struct input *in)
{
    struct rig *rig = d->rig;
    struct net_port port = virtio_net_port(rig->net);
    struct chardev_end end = virtio_console_end(rig->console);
    u8 bytes[64] = {1, 2, 3};
    switch (take(in, 1) % 12) {
    case 0:
        rig_w32(rig, d->modern + take(in, 2) % 0x4000, (u32)take(in, 4));
        break;
    case 1:
        rig_w16(rig, d->modern + take(in, 1) % 0x40, (u16)take(in, 2));
        break;
    case 2:
        (void)rig_r(rig, d->modern + take(in, 2) % 0x4000, 1u << (take(in, 1) & 3));
        break;
    case 3:
        bus_port_write(&rig->bus, (u16)(d->io + take(in, 1) % 0x40), (u32)take(in, 4),
                       1u << (take(in, 1) % 3));
        break;
    case 4:
        (void)bus_port_read(&rig->bus, (u16)(d->io + take(in, 1) % 0x40), 1u << (take(in, 1) % 3));
        break;
    case 5:
        pci_config_write(rig->pci, 0, d->devfn, take(in, 1) & 0xfcu, (u32)take(in, 4), 4);
        (void)pci_config_read(rig->pci, 0, d->devfn, take(in, 1) & 0xfcu, 4);
        break;
    case 6:
        poke_descriptor(d, in);
        break;
    case 7:
        rig_avail(d, take(in, 1) & 3, (u16)(take(in, 1) & 15));
        break;
    case 8:
        rig_kick(d, (u16)(take(in, 1) & 3));
        break;
    case 9:
        rig_w32(rig, RIG_DATA + take(in, 2), (u32)take(in, 4));
        break;
    case 10:
        (void)netdev_deliver(&port, bytes, sizeof bytes);
        if (end.can_receive(end.self) > 0) {
            end.receive(end.self, bytes, 1);
        }
        break;
    default:
        rig_run(rig, take(in, 2) * 10);
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, size};
    static const u8 devices[4] = {RIG_BLK, RIG_NET, RIG_RNG, RIG_CONSOLE};
    static const u16 queues[4] = {1, 3, 1, 2};
    u64 kind = take(&in, 1);
    struct rig *rig = rig_new((kind & 16) != 0);
    struct rig_driver d = rig_attach(rig, devices[kind & 3], (kind & 4) != 0 && (kind & 16) == 0);
    if ((kind & 8) == 0) { /* start from a working driver */
        rig_start(&d, rig_offered(&d) & ~(take(&in, 1) << 28 & BIT(28)), queues[kind & 3]);
    }
    for (unsigned i = 0; in.n > 0 && i < 400; i++) {
        step(&d, &in);
    }
    rig_run(rig, 1000000);
    save_and_restore(&rig->bus);
    rig_free(rig);
    return 0;
}
