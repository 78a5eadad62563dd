/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 8042 keyboard controller, keyboard and mouse [IBM PS/2 Technical Reference "Keyboard/Auxiliary
 * Device Controller"; "101/102-Key Keyboard"; Microsoft "Keyboard Scan Code Specification"].
 *
 * Modelled: controller commands, command byte, translation of set 2 to set 1, output port with A20
 * and reset, both interrupts; keyboard sets 1 and 2, LEDs, identify, enable, defaults, resend, self
 * test; mouse in stream and remote mode, wrap mode, resolution, scaling status, wheel after the
 * rate knock.
 *
 * Commands are answered at once, and the next byte appears as soon as the last is read; the
 * interrupt line falls and rises for each. The input buffer therefore never reads full.
 *
 * Left out: serial line errors and timeouts, passwords, scan code set 3 (accepted, sends set 2),
 * typematic repeat (who pushes keys repeats them), mouse sampling rate in time, 2:1 scaling itself.
 */
#include "devices/ps2.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATUS_OBF = 1 << 0,
    STATUS_SYS = 1 << 2,
    STATUS_COMMAND = 1 << 3,
    STATUS_UNLOCKED = 1 << 4,
    STATUS_AUX = 1 << 5,

    CONFIG_INT_KBD = 1 << 0,
    CONFIG_INT_AUX = 1 << 1,
    CONFIG_SYS = 1 << 2,
    CONFIG_KBD_OFF = 1 << 4,
    CONFIG_AUX_OFF = 1 << 5,
    CONFIG_TRANSLATE = 1 << 6,

    OUTPUT_NO_RESET = 1 << 0,
    OUTPUT_A20 = 1 << 1,
    OUTPUT_FIXED = 0xcc, /* lines of the keyboard and what is not connected */
};

enum { ACK = 0xfa, RESEND = 0xfe, SELF_TEST_OK = 0xaa };

/* Keys and movements stop here, so that answers to commands always find room. */
#define QUEUE_SIZE 32u
#define QUEUE_INPUT_LIMIT 16u

struct queue {
    u8 bytes[QUEUE_SIZE];
    u8 head, count;
};

struct keyboard {
    struct queue queue;
    u8 command; /* awaits its parameter; 0 none */
    u8 set, leds, rate, last;
    bool enabled;
};

struct mouse {
    struct queue queue;
    u8 command;
    u8 resolution, rate, id, last;
    u8 knock; /* rates of the wheel's knock seen so far */
    bool enabled, remote, wrap, scale2;
    u8 buttons;
    u32 dx, dy, dz; /* two's complement, not yet reported */
};

struct ps2 {
    char id[32];           /* configuration */
    struct log *log;       /* configuration */
    struct ps2_wiring out; /* configuration */
    struct keyboard kbd;
    struct mouse mouse;
    u8 ram[32]; /* ram[0] is the command byte */
    u8 output_port;
    u8 command; /* controller command that awaits its data byte; 0 none */
    bool last_was_command;
    bool break_code; /* translation has swallowed F0 */
    u8 buffer;
    bool full, buffer_aux;
    u8 answer; /* of the controller itself, before the devices' bytes */
    bool answer_waits, answer_aux;
};

/* Set 2 to set 1 as every 8042 does it; beyond 0x84 nothing changes. */
/* clang-format off */
static const u8 set2_to_set1[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54,
};
/* clang-format on */

static void queue_put(struct queue *q, u8 byte)
{
    if (q->count < QUEUE_SIZE) {
        q->bytes[(q->head + q->count) % QUEUE_SIZE] = byte;
        q->count++;
    }
}

static u8 queue_get(struct queue *q)
{
    u8 byte = q->bytes[q->head];
    q->head = (u8)((q->head + 1) % QUEUE_SIZE);
    q->count--;
    return byte;
}

static void queue_clear(struct queue *q)
{
    memset(q, 0, sizeof *q);
}

/* The keyboard's next byte as the system sees it; false when translation swallows it. */
static bool translate(struct ps2 *p, u8 *byte)
{
    if ((p->ram[0] & CONFIG_TRANSLATE) == 0) {
        return true;
    }
    if (*byte == 0xf0) {
        p->break_code = true;
        return false;
    }
    if (*byte < sizeof set2_to_set1) {
        *byte = set2_to_set1[*byte];
    }
    if (p->break_code) {
        *byte |= 0x80;
        p->break_code = false;
    }
    return true;
}

/* Move the next byte into the output buffer when it is free, and drive the interrupt lines. */
static void refill(struct ps2 *p)
{
    if (!p->full && p->answer_waits) {
        p->full = true;
        p->buffer = p->answer;
        p->buffer_aux = p->answer_aux;
        p->answer_waits = false;
    }
    while (!p->full && p->kbd.queue.count > 0 && (p->ram[0] & CONFIG_KBD_OFF) == 0) {
        u8 byte = queue_get(&p->kbd.queue);
        if (translate(p, &byte)) {
            p->full = true;
            p->buffer = byte;
            p->buffer_aux = false;
        }
    }
    if (!p->full && p->mouse.queue.count > 0 && (p->ram[0] & CONFIG_AUX_OFF) == 0) {
        p->full = true;
        p->buffer = queue_get(&p->mouse.queue);
        p->buffer_aux = true;
    }
    irq_set(&p->out.irq1, p->full && !p->buffer_aux && (p->ram[0] & CONFIG_INT_KBD) != 0);
    irq_set(&p->out.irq12, p->full && p->buffer_aux && (p->ram[0] & CONFIG_INT_AUX) != 0);
}

static void controller_answer(struct ps2 *p, u8 byte, bool aux)
{
    p->answer = byte;
    p->answer_aux = aux;
    p->answer_waits = true;
}

static void keyboard_defaults(struct keyboard *k)
{
    k->set = 2;
    k->rate = 0x2b;
    k->command = 0;
}

static void keyboard_send(struct keyboard *k, u8 byte)
{
    k->last = byte;
    queue_put(&k->queue, byte);
}

static void keyboard_parameter(struct ps2 *p, u8 value)
{
    struct keyboard *k = &p->kbd;
    u8 command = k->command;
    k->command = 0;
    keyboard_send(k, ACK);
    if (command == 0xed) {
        k->leds = value & 7;
    } else if (command == 0xf3) {
        k->rate = value & 0x7f;
    } else if (command == 0xf0 && value == 0) {
        keyboard_send(k, k->set);
    } else if (command == 0xf0 && value <= 3) {
        k->set = value;
        if (value == 3) {
            log_unimp(p->log, "keyboard: scan code set 3 sends set 2");
        }
    }
}

static void keyboard_write(struct ps2 *p, u8 value)
{
    struct keyboard *k = &p->kbd;
    if (k->command != 0 && value < 0xed) {
        keyboard_parameter(p, value);
        return;
    }
    k->command = 0;
    switch (value) {
    case 0xed: /* LEDs */
    case 0xf0: /* scan code set */
    case 0xf3: /* typematic */
        k->command = value;
        keyboard_send(k, ACK);
        break;
    case 0xee: /* echo */
        keyboard_send(k, 0xee);
        break;
    case 0xf2: /* identify */
        keyboard_send(k, ACK);
        keyboard_send(k, 0xab);
        keyboard_send(k, 0x83);
        break;
    case 0xf4: /* enable */
    case 0xf5: /* defaults, disable */
    case 0xf6: /* defaults */
        queue_clear(&k->queue);
        if (value != 0xf4) {
            keyboard_defaults(k);
        }
        k->enabled = value != 0xf5;
        keyboard_send(k, ACK);
        break;
    case 0xf7: /* key types of set 3: nothing to remember */
    case 0xf8:
    case 0xf9:
    case 0xfa:
        keyboard_send(k, ACK);
        break;
    case 0xfe:
        queue_put(&k->queue, k->last);
        break;
    case 0xff:
        queue_clear(&k->queue);
        keyboard_defaults(k);
        k->leds = 0;
        k->enabled = true;
        keyboard_send(k, ACK);
        keyboard_send(k, SELF_TEST_OK);
        break;
    default:
        keyboard_send(k, RESEND);
        break;
    }
}

static void mouse_defaults(struct mouse *m)
{
    m->resolution = 2;
    m->rate = 100;
    m->scale2 = false;
    m->remote = false;
    m->enabled = false;
    m->dx = m->dy = m->dz = 0;
    m->command = 0;
}

static void mouse_send(struct mouse *m, u8 byte)
{
    m->last = byte;
    queue_put(&m->queue, byte);
}

/* Take at most what a packet's field holds out of a movement. */
static i32 take_movement(u32 *delta, i32 min, i32 max)
{
    i32 d = (i32)*delta;
    i32 taken = d < min ? min : d > max ? max : d;
    *delta = (u32)(d - taken);
    return taken;
}

static void mouse_packet(struct mouse *m)
{
    i32 dx = take_movement(&m->dx, -255, 255);
    i32 dy = take_movement(&m->dy, -255, 255);
    mouse_send(m, (u8)(8 | m->buttons | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0)));
    mouse_send(m, (u8)dx);
    mouse_send(m, (u8)dy);
    if (m->id == 3) {
        mouse_send(m, (u8)take_movement(&m->dz, -8, 7));
    } else {
        m->dz = 0;
    }
}

/* The knock of the IntelliMouse: rates 200, 100, 80 turn the wheel on. */
static void mouse_set_rate(struct mouse *m, u8 rate)
{
    static const u8 knock[3] = {200, 100, 80};
    m->rate = rate;
    m->knock = rate == knock[m->knock] ? (u8)(m->knock + 1) : rate == knock[0] ? 1 : 0;
    if (m->knock == 3) {
        m->id = 3;
        m->knock = 0;
    }
}

static void mouse_status(struct mouse *m)
{
    u8 b = m->buttons;
    u8 swapped = (u8)((b & 1) << 2 | (b & 4) >> 1 | (b & 2) >> 1);
    mouse_send(m, (u8)((m->remote ? 0x40 : 0) | (m->enabled ? 0x20 : 0) | (m->scale2 ? 0x10 : 0) |
                       swapped));
    mouse_send(m, m->resolution);
    mouse_send(m, m->rate);
}

static void mouse_command(struct mouse *m, u8 value)
{
    mouse_send(m, ACK);
    switch (value) {
    case 0xe6: /* scaling 1:1, 2:1 */
    case 0xe7:
        m->scale2 = value == 0xe7;
        break;
    case 0xe8: /* resolution, rate: a parameter follows */
    case 0xf3:
        m->command = value;
        break;
    case 0xe9:
        mouse_status(m);
        break;
    case 0xea: /* stream, remote */
    case 0xf0:
        m->remote = value == 0xf0;
        break;
    case 0xeb:
        mouse_packet(m);
        break;
    case 0xec: /* leave, enter wrap mode */
    case 0xee:
        m->wrap = value == 0xee;
        break;
    case 0xf2:
        mouse_send(m, m->id);
        break;
    case 0xf4:
    case 0xf5:
        m->enabled = value == 0xf4;
        break;
    case 0xf6:
        mouse_defaults(m);
        break;
    case 0xff:
        mouse_defaults(m);
        m->id = 0;
        mouse_send(m, SELF_TEST_OK);
        mouse_send(m, m->id);
        break;
    default:
        m->last = RESEND;
        m->queue.bytes[(m->queue.head + m->queue.count - 1u) % QUEUE_SIZE] = RESEND;
        break;
    }
}

static void mouse_write(struct mouse *m, u8 value)
{
    if (m->wrap && value != 0xec && value != 0xff) {
        mouse_send(m, value);
        return;
    }
    m->wrap = false;
    if (value == 0xfe) {
        queue_put(&m->queue, m->last);
        return;
    }
    queue_clear(&m->queue);
    if (m->command == 0) {
        mouse_command(m, value);
        return;
    }
    if (m->command == 0xe8) {
        m->resolution = value & 3;
    } else {
        mouse_set_rate(m, value);
    }
    m->command = 0;
    mouse_send(m, ACK);
}

static void write_output_port(struct ps2 *p, u8 value)
{
    p->output_port = (value & (OUTPUT_NO_RESET | OUTPUT_A20)) | OUTPUT_FIXED;
    irq_set(&p->out.a20, (value & OUTPUT_A20) != 0);
    if ((value & OUTPUT_NO_RESET) == 0 && p->out.reset != NULL) {
        p->out.reset(p->out.self);
    }
}

static void controller_command(struct ps2 *p, u8 value)
{
    p->command = 0;
    if (value >= 0x20 && value <= 0x3f) {
        controller_answer(p, p->ram[value & 31], false);
        return;
    }
    if (value >= 0x60 && value <= 0x7f) {
        p->command = value;
        return;
    }
    if (value >= 0xf0) { /* pulse output port bits that are 0 */
        if ((value & 1) == 0 && p->out.reset != NULL) {
            p->out.reset(p->out.self);
        }
        return;
    }
    switch (value) {
    case 0xa4:
        controller_answer(p, 0xf1, false); /* no password */
        break;
    case 0xa7:
        p->ram[0] |= CONFIG_AUX_OFF;
        break;
    case 0xa8:
        p->ram[0] &= (u8)~CONFIG_AUX_OFF;
        break;
    case 0xa9: /* test of either interface */
    case 0xab:
        controller_answer(p, 0x00, false);
        break;
    case 0xaa:
        p->ram[0] |= CONFIG_SYS;
        controller_answer(p, 0x55, false);
        break;
    case 0xad:
        p->ram[0] |= CONFIG_KBD_OFF;
        break;
    case 0xae:
        p->ram[0] &= (u8)~CONFIG_KBD_OFF;
        break;
    case 0xc0:
        controller_answer(p, 0x80, false);
        break;
    case 0xd0:
        controller_answer(p,
                          (u8)(p->output_port | (p->full && !p->buffer_aux ? 0x10 : 0) |
                               (p->full && p->buffer_aux ? 0x20 : 0)),
                          false);
        break;
    case 0xd1: /* a data byte follows */
    case 0xd2:
    case 0xd3:
    case 0xd4:
        p->command = value;
        break;
    case 0xdd:
    case 0xdf:
        write_output_port(p,
                          (u8)((p->output_port & ~OUTPUT_A20) | (value == 0xdf ? OUTPUT_A20 : 0)));
        break;
    default:
        log_guest_error(p->log, "i8042: command %#x", (unsigned)value);
        break;
    }
}

static void data_write(struct ps2 *p, u8 value)
{
    u8 command = p->command;
    p->command = 0;
    if (command >= 0x60 && command <= 0x7f) {
        p->ram[command & 31] = value;
        return;
    }
    switch (command) {
    case 0xd1:
        write_output_port(p, value);
        break;
    case 0xd2:
    case 0xd3:
        controller_answer(p, value, command == 0xd3);
        break;
    case 0xd4:
        p->ram[0] &= (u8)~CONFIG_AUX_OFF;
        mouse_write(&p->mouse, value);
        break;
    default: /* sending to the keyboard enables its interface */
        p->ram[0] &= (u8)~CONFIG_KBD_OFF;
        keyboard_write(p, value);
        break;
    }
}

static u32 port60_read(void *self, u16 offset, unsigned size)
{
    struct ps2 *p = self;
    UNUSED(offset);
    UNUSED(size);
    u8 value = p->buffer;
    p->full = false;
    irq_set(&p->out.irq1, false);
    irq_set(&p->out.irq12, false);
    refill(p);
    return value;
}

static void port60_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct ps2 *p = self;
    UNUSED(offset);
    UNUSED(size);
    p->last_was_command = false;
    data_write(p, (u8)value);
    refill(p);
}

static u32 port64_read(void *self, u16 offset, unsigned size)
{
    const struct ps2 *p = self;
    UNUSED(offset);
    UNUSED(size);
    return (p->full ? STATUS_OBF : 0u) | (p->full && p->buffer_aux ? STATUS_AUX : 0u) |
           ((p->ram[0] & CONFIG_SYS) != 0 ? STATUS_SYS : 0u) |
           (p->last_was_command ? STATUS_COMMAND : 0u) | STATUS_UNLOCKED;
}

static void port64_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct ps2 *p = self;
    UNUSED(offset);
    UNUSED(size);
    p->last_was_command = true;
    controller_command(p, (u8)value);
    refill(p);
}

static const struct port_ops port60 = {.read = port60_read, .write = port60_write, .max_size = 1};
static const struct port_ops port64 = {.read = port64_read, .write = port64_write, .max_size = 1};

static void ps2_reset(void *self, enum reset_kind kind)
{
    struct ps2 *p = self;
    UNUSED(kind);
    p->kbd = (struct keyboard){.enabled = true};
    keyboard_defaults(&p->kbd);
    p->mouse = (struct mouse){0};
    mouse_defaults(&p->mouse);
    memset(p->ram, 0, sizeof p->ram);
    /* What firmware leaves: translation on, both interrupts enabled later by the driver. */
    p->ram[0] = CONFIG_TRANSLATE | CONFIG_SYS;
    p->output_port = OUTPUT_NO_RESET | OUTPUT_A20 | OUTPUT_FIXED;
    p->command = 0;
    p->last_was_command = p->break_code = false;
    p->buffer = p->answer = 0;
    p->full = p->buffer_aux = p->answer_waits = p->answer_aux = false;
    irq_set(&p->out.a20, true);
    refill(p);
}

static void queue_state(struct queue *q, struct state_io *io)
{
    state_bytes(io, "queue", q->bytes, sizeof q->bytes);
    state_u8(io, "queue_head", &q->head);
    state_u8(io, "queue_count", &q->count);
    if (state_is_load(io)) {
        q->head %= QUEUE_SIZE;
        q->count = q->count <= QUEUE_SIZE ? q->count : QUEUE_SIZE;
    }
}

static void keyboard_state(struct keyboard *k, struct state_io *io)
{
    state_section(io, "ps2.keyboard", 1);
    queue_state(&k->queue, io);
    state_u8(io, "command", &k->command);
    state_u8(io, "set", &k->set);
    state_u8(io, "leds", &k->leds);
    state_u8(io, "rate", &k->rate);
    state_u8(io, "last", &k->last);
    state_bool(io, "enabled", &k->enabled);
}

static void mouse_state(struct mouse *m, struct state_io *io)
{
    state_section(io, "ps2.mouse", 1);
    queue_state(&m->queue, io);
    state_u8(io, "command", &m->command);
    state_u8(io, "resolution", &m->resolution);
    state_u8(io, "rate", &m->rate);
    state_u8(io, "id", &m->id);
    state_u8(io, "last", &m->last);
    state_u8(io, "knock", &m->knock);
    state_bool(io, "enabled", &m->enabled);
    state_bool(io, "remote", &m->remote);
    state_bool(io, "wrap", &m->wrap);
    state_bool(io, "scale2", &m->scale2);
    state_u8(io, "buttons", &m->buttons);
    state_u32(io, "dx", &m->dx);
    state_u32(io, "dy", &m->dy);
    state_u32(io, "dz", &m->dz);
    if (state_is_load(io) && m->knock > 2) {
        m->knock = 0;
    }
}

static void ps2_state(void *self, struct state_io *io)
{
    struct ps2 *p = self;
    state_section(io, p->id, 1);
    state_bytes(io, "ram", p->ram, sizeof p->ram);
    state_u8(io, "output_port", &p->output_port);
    state_u8(io, "command", &p->command);
    state_bool(io, "last_was_command", &p->last_was_command);
    state_bool(io, "break_code", &p->break_code);
    state_u8(io, "buffer", &p->buffer);
    state_bool(io, "full", &p->full);
    state_bool(io, "buffer_aux", &p->buffer_aux);
    state_u8(io, "answer", &p->answer);
    state_bool(io, "answer_waits", &p->answer_waits);
    state_bool(io, "answer_aux", &p->answer_aux);
    keyboard_state(&p->kbd, io);
    mouse_state(&p->mouse, io);
}

static const struct device_ops ps2_ops = {
    .type = "ps2", .reset = ps2_reset, .state = ps2_state, .destroy = free};

struct ps2 *ps2_new(const struct device_env *env, const char *id, const struct ps2_wiring *out)
{
    struct ps2 *p = calloc(1, sizeof *p);
    sim_assert(p != NULL);
    (void)snprintf(p->id, sizeof p->id, "%s", id);
    p->log = env->log;
    p->out = *out;
    ps2_reset(p, RESET_POWER);
    bus_add_ports(env->bus, 0x60, 1, &port60, p, "i8042 data");
    bus_add_ports(env->bus, 0x64, 1, &port64, p, "i8042 command");
    bus_add_device(env->bus, &ps2_ops, p, id);
    return p;
}

bool ps2_push_scancodes(struct ps2 *ps2, const u8 *bytes, unsigned n)
{
    struct keyboard *k = &ps2->kbd;
    if (!k->enabled || k->queue.count + n > QUEUE_INPUT_LIMIT) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        keyboard_send(k, bytes[i]);
    }
    refill(ps2);
    return true;
}

bool ps2_key(struct ps2 *ps2, u8 set1_code, bool extended, bool pressed)
{
    u8 bytes[3];
    unsigned n = 0;
    if (extended) {
        bytes[n++] = 0xe0;
    }
    if (ps2->kbd.set == 1) {
        bytes[n++] = pressed ? set1_code : set1_code | 0x80;
    } else {
        /* From above, so that F7 and SysRq get the codes keyboards really send. */
        unsigned code = sizeof set2_to_set1;
        while (code > 0 && set2_to_set1[code - 1] != set1_code) {
            code--;
        }
        if (code == 0) {
            return false;
        }
        if (!pressed) {
            bytes[n++] = 0xf0;
        }
        bytes[n++] = (u8)(code - 1);
    }
    return ps2_push_scancodes(ps2, bytes, n);
}

bool ps2_mouse(struct ps2 *ps2, int dx, int dy, int dz, unsigned buttons)
{
    struct mouse *m = &ps2->mouse;
    m->buttons = buttons & 7;
    if (!m->enabled && !m->remote) {
        return false;
    }
    m->dx += (u32)dx;
    m->dy += (u32)dy;
    m->dz += (u32)dz;
    if (m->remote || m->queue.count + 4u > QUEUE_INPUT_LIMIT) {
        return true; /* reported later */
    }
    do {
        mouse_packet(m);
    } while ((m->dx != 0 || m->dy != 0 || m->dz != 0) && m->queue.count + 4u <= QUEUE_INPUT_LIMIT);
    refill(ps2);
    return true;
}

u8 ps2_leds(const struct ps2 *ps2)
{
    return ps2->kbd.leds;
}
