/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The two ends of a character stream: a serial port or console inside the machine, and whatever the
 * machine puts behind it (a terminal, a file, a script).
 *
 * Guest to outside: the device calls chardev_write; it never waits. Outside to guest: the machine,
 * from its input gate, asks the device's end how many bytes fit and pushes no more than that; when
 * none fit it asks again after `room`. So a guest is never overrun, and the moments at which bytes
 * arrive are positions in the input log, never host time. */
#ifndef VITRINE_DEVICES_CHARDEV_H
#define VITRINE_DEVICES_CHARDEV_H

#include "base/types.h"

/* The machine's end, given to a device's constructor. All callbacks may be NULL. */
struct chardev {
    void (*write)(void *self, const u8 *bytes, size_t n);
    /* can_receive rose from none to some. May be called in the middle of a guest's access: take
     * note, and push later. */
    void (*room)(void *self);
    void *self;
};

/* The device's end, for the machine. */
struct chardev_end {
    /* How many bytes the device takes now. */
    size_t (*can_receive)(void *self);
    /* n must not exceed can_receive; what does is dropped by the device with an overrun error. */
    void (*receive)(void *self, const u8 *bytes, size_t n);
    void *self;
};

static inline void chardev_write(const struct chardev *chr, const u8 *bytes, size_t n)
{
    if (chr->write != NULL) {
        chr->write(chr->self, bytes, n);
    }
}

static inline void chardev_room(const struct chardev *chr)
{
    if (chr->room != NULL) {
        chr->room(chr->self);
    }
}

#endif
