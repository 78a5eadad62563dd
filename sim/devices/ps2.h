/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8042 keyboard controller with a PS/2 keyboard and mouse. See ps2.c for what is modelled. */
#ifndef VITRINE_DEVICES_PS2_H
#define VITRINE_DEVICES_PS2_H

#include "devices/bus.h"
#include "devices/device.h"

struct ps2_wiring {
    struct irq_line irq1, irq12;
    struct irq_line a20;       /* output port bit 1; high after reset */
    void (*reset)(void *self); /* the processors' reset is pulsed; may be NULL */
    void *self;
};

struct ps2;

/* Claims 0x60 and 0x64; owned by the bus. */
struct ps2 *ps2_new(const struct device_env *env, const char *id, const struct ps2_wiring *out);

/* A key, by its set 1 make code, with E0 prefix or not. False when the keyboard's buffer has no
 * room (or it is disabled): the key is lost, as on a real one. */
bool ps2_key(struct ps2 *ps2, u8 set1_code, bool extended, bool pressed);
/* Bytes as the keyboard sends them, for what ps2_key does not cover (Pause). All or nothing. */
bool ps2_push_scancodes(struct ps2 *ps2, const u8 *bytes, unsigned n);
/* Movement since the last call (positive: right, up, towards the user) and buttons (bit 0 left, 1
 * right, 2 middle). False when the guest has not enabled the mouse. */
bool ps2_mouse(struct ps2 *ps2, int dx, int dy, int dz, unsigned buttons);
/* Num, Caps, Scroll as the guest last set them: bits 1, 2, 0. */
u8 ps2_leds(const struct ps2 *ps2);

#endif
