/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two cascaded 8259A [8259A data sheet] with the edge/level registers of PCI chip sets [ICH9 "8259
 * Interrupt Controllers (PIC)"].
 *
 * Modelled: ICW1-4, OCW1-3, fully nested and special fully nested mode, special mask mode,
 * rotation, automatic EOI, poll, both status reads, ELCR, spurious interrupts. An edge request that
 * drops before its acknowledge is gone, as the data sheet has it; whoever sends an edge keeps the
 * line high.
 *
 * Left out: MCS-80/85 mode, buffered mode (no bus to buffer), ICW1.LTIM (ELCR replaces it). */
#include "devices/i8259.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ICW1_IC4 = 1 << 0,
    ICW1_SNGL = 1 << 1,
    ICW1 = 1 << 4,
    ICW4_UPM = 1 << 0,
    ICW4_AEOI = 1 << 1,
    ICW4_SFNM = 1 << 4,
    OCW3 = 1 << 3,
    OCW3_RIS = 1 << 0,
    OCW3_RR = 1 << 1,
    OCW3_POLL = 1 << 2,
    OCW3_SMM = 1 << 5,
    OCW3_ESMM = 1 << 6,
};

/* What the next write to the odd port is. */
enum expect { EXPECT_OCW1, EXPECT_ICW2, EXPECT_ICW3, EXPECT_ICW4 };

#define NO_IRQ 8u
#define CASCADE 2u

struct chip {
    const char *name; /* configuration */
    u8 elcr_mask;     /* configuration: lines that may be level */
    u8 lines;         /* inputs as they are */
    u8 edges;         /* rising edges not yet acknowledged */
    u8 elcr;
    u8 isr, imr;
    u8 base;    /* ICW2 */
    u8 highest; /* level with the highest priority */
    enum expect expect;
    bool icw4_follows, single;
    bool aeoi, rotate_in_aeoi, sfnm, smm, read_isr, poll;
};

struct i8259 {
    char id[32];          /* configuration */
    struct log *log;      /* configuration */
    struct irq_line intr; /* configuration */
    struct chip master, slave;
    bool intr_level;
};

/* A level line requests while it is high, an edge line while a rise is unacknowledged. */
static u8 chip_irr(const struct chip *c)
{
    return (u8)((c->lines & c->elcr) | (c->edges & ~c->elcr));
}

/* 0: highest priority ... 7: lowest; 8 when no bit is set. */
static unsigned priority_of(const struct chip *c, u8 bits)
{
    for (unsigned p = 0; p < 8; p++) {
        if ((bits & (1u << ((c->highest + p) & 7))) != 0) {
            return p;
        }
    }
    return 8;
}

/* [8259A "Priority Resolver"] the request that would be acknowledged now, or NO_IRQ. */
static unsigned chip_pending(const struct chip *c)
{
    unsigned request = priority_of(c, chip_irr(c) & (u8)~c->imr);
    if (request == 8) {
        return NO_IRQ;
    }
    unsigned irq = (c->highest + request) & 7;
    /* In special mask mode a level that is masked does not hold back the others. */
    unsigned service = priority_of(c, c->smm ? c->isr & (u8)~c->imr : c->isr);
    /* In special fully nested mode a slave in service may interrupt itself with a higher level. */
    bool same_slave = c->sfnm && irq == CASCADE && request == service;
    return request < service || same_slave ? irq : NO_IRQ;
}

static void chip_set_line(struct chip *c, unsigned irq, bool level)
{
    u8 bit = (u8)(1u << irq);
    if (level) {
        c->edges |= c->lines & bit ? 0 : bit;
        c->lines |= bit;
    } else {
        c->edges &= (u8)~bit;
        c->lines &= (u8)~bit;
    }
}

static void update(struct i8259 *pic)
{
    chip_set_line(&pic->master, CASCADE, chip_pending(&pic->slave) != NO_IRQ);
    bool level = chip_pending(&pic->master) != NO_IRQ;
    if (level != pic->intr_level) {
        pic->intr_level = level;
        irq_set(&pic->intr, level);
    }
}

static void chip_acknowledge(struct chip *c, unsigned irq)
{
    u8 bit = (u8)(1u << irq);
    c->edges &= (u8)~bit;
    if (!c->aeoi) {
        c->isr |= bit;
    } else if (c->rotate_in_aeoi) {
        c->highest = (irq + 1) & 7;
    }
}

static void set_input(void *self, unsigned irq, bool level)
{
    struct i8259 *pic = self;
    if (irq == CASCADE) {
        return;
    }
    chip_set_line(irq < 8 ? &pic->master : &pic->slave, irq & 7, level);
    update(pic);
}

/* The slave's answer to the master's acknowledge of the cascade. Its INT pin falls during the
 * acknowledge, so that another of its requests is a new edge for the master. */
static u8 ack_slave(struct i8259 *pic)
{
    unsigned irq = chip_pending(&pic->slave);
    if (irq == NO_IRQ) {
        irq = 7;
    } else {
        chip_acknowledge(&pic->slave, irq);
    }
    chip_set_line(&pic->master, CASCADE, false);
    return (u8)(pic->slave.base + irq);
}

u8 i8259_ack(struct i8259 *pic)
{
    u8 vector;
    unsigned irq = chip_pending(&pic->master);
    if (irq == NO_IRQ) {
        vector = (u8)(pic->master.base + 7);
    } else {
        chip_acknowledge(&pic->master, irq);
        bool cascade = irq == CASCADE && !pic->master.single;
        vector = cascade ? ack_slave(pic) : (u8)(pic->master.base + irq);
    }
    update(pic);
    return vector;
}

bool i8259_intr(const struct i8259 *pic)
{
    return pic->intr_level;
}

/* [8259A "Initialization Command Words"] what ICW1 alone does. */
static void write_icw1(struct i8259 *pic, struct chip *c, u8 value)
{
    c->edges = 0;
    c->isr = 0;
    c->imr = 0;
    c->highest = 0;
    c->smm = false;
    c->read_isr = false;
    c->poll = false;
    c->single = (value & ICW1_SNGL) != 0;
    c->icw4_follows = (value & ICW1_IC4) != 0;
    c->aeoi = c->sfnm = c->rotate_in_aeoi = false;
    c->expect = EXPECT_ICW2;
    if (!c->icw4_follows) {
        log_unimp(pic->log, "i8259 %s: ICW1 without ICW4 selects MCS-80/85 mode", c->name);
    }
}

static void write_icw4(struct i8259 *pic, struct chip *c, u8 value)
{
    c->aeoi = (value & ICW4_AEOI) != 0;
    c->sfnm = (value & ICW4_SFNM) != 0;
    if ((value & ICW4_UPM) == 0) {
        log_unimp(pic->log, "i8259 %s: ICW4 selects MCS-80/85 mode", c->name);
    }
}

static void write_ocw2(struct chip *c, u8 value)
{
    unsigned level = value & 7;
    bool rotate = (value & 0x80) != 0, specific = (value & 0x40) != 0, eoi = (value & 0x20) != 0;

    if (!eoi) {
        if (specific && rotate) {
            c->highest = (level + 1) & 7; /* set priority */
        } else if (!specific) {
            c->rotate_in_aeoi = rotate;
        }
        return; /* 010 is no operation */
    }
    if (!specific) {
        /* A masked level in special mask mode is not what a non-specific EOI means. */
        unsigned p = priority_of(c, c->smm ? c->isr & (u8)~c->imr : c->isr);
        if (p == 8) {
            return;
        }
        level = (c->highest + p) & 7;
    }
    c->isr &= (u8) ~(1u << level);
    if (rotate) {
        c->highest = (level + 1) & 7;
    }
}

static void write_ocw3(struct chip *c, u8 value)
{
    if ((value & OCW3_ESMM) != 0) {
        c->smm = (value & OCW3_SMM) != 0;
    }
    if ((value & OCW3_POLL) != 0) {
        c->poll = true;
    } else if ((value & OCW3_RR) != 0) {
        c->read_isr = (value & OCW3_RIS) != 0;
    }
}

static void chip_write(struct i8259 *pic, struct chip *c, u16 a0, u8 value)
{
    if (a0 == 0) {
        if ((value & ICW1) != 0) {
            write_icw1(pic, c, value);
        } else if ((value & OCW3) != 0) {
            write_ocw3(c, value);
        } else {
            write_ocw2(c, value);
        }
    } else {
        switch (c->expect) {
        case EXPECT_OCW1:
            c->imr = value;
            break;
        case EXPECT_ICW2:
            c->base = value & 0xf8;
            c->expect = !c->single ? EXPECT_ICW3 : c->icw4_follows ? EXPECT_ICW4 : EXPECT_OCW1;
            break;
        case EXPECT_ICW3: /* the board's wiring is what it is */
            c->expect = c->icw4_follows ? EXPECT_ICW4 : EXPECT_OCW1;
            break;
        case EXPECT_ICW4:
            write_icw4(pic, c, value);
            c->expect = EXPECT_OCW1;
            break;
        }
    }
    update(pic);
}

/* [8259A "Poll Command"] the read acknowledges like the processor would. */
static u8 poll_read(struct i8259 *pic, struct chip *c)
{
    c->poll = false;
    unsigned irq = chip_pending(c);
    if (irq == NO_IRQ) {
        return 0;
    }
    chip_acknowledge(c, irq);
    if (c == &pic->slave) {
        chip_set_line(&pic->master, CASCADE, false);
    }
    update(pic);
    return (u8)(0x80 | irq);
}

static u8 chip_read(struct i8259 *pic, struct chip *c, u16 a0)
{
    if (c->poll) {
        return poll_read(pic, c);
    }
    if (a0 == 1) {
        return c->imr;
    }
    return c->read_isr ? c->isr : chip_irr(c);
}

static u32 master_read(void *self, u16 offset, unsigned size)
{
    struct i8259 *pic = self;
    UNUSED(size);
    return chip_read(pic, &pic->master, offset);
}

static void master_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct i8259 *pic = self;
    UNUSED(size);
    chip_write(pic, &pic->master, offset, (u8)value);
}

static u32 slave_read(void *self, u16 offset, unsigned size)
{
    struct i8259 *pic = self;
    UNUSED(size);
    return chip_read(pic, &pic->slave, offset);
}

static void slave_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct i8259 *pic = self;
    UNUSED(size);
    chip_write(pic, &pic->slave, offset, (u8)value);
}

static u32 elcr_read(void *self, u16 offset, unsigned size)
{
    const struct i8259 *pic = self;
    UNUSED(size);
    return offset == 0 ? pic->master.elcr : pic->slave.elcr;
}

static void elcr_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct i8259 *pic = self;
    struct chip *c = offset == 0 ? &pic->master : &pic->slave;
    UNUSED(size);
    c->elcr = (u8)value & c->elcr_mask;
    update(pic);
}

static const struct port_ops master_ports = {
    .read = master_read, .write = master_write, .max_size = 1};
static const struct port_ops slave_ports = {
    .read = slave_read, .write = slave_write, .max_size = 1};
static const struct port_ops elcr_ports = {.read = elcr_read, .write = elcr_write, .max_size = 1};

/* The lines are the devices'; they lower them in their own resets. */
static void chip_reset(struct chip *c)
{
    *c = (struct chip){.name = c->name, .elcr_mask = c->elcr_mask, .lines = c->lines};
}

static void i8259_reset(void *self, enum reset_kind kind)
{
    struct i8259 *pic = self;
    UNUSED(kind);
    chip_reset(&pic->master);
    chip_reset(&pic->slave);
    update(pic);
}

static void chip_state(struct chip *c, struct state_io *io)
{
    char section[40];
    (void)snprintf(section, sizeof section, "i8259.%s", c->name);
    state_section(io, section, 1);
    state_u8(io, "lines", &c->lines);
    state_u8(io, "edges", &c->edges);
    state_u8(io, "elcr", &c->elcr);
    state_u8(io, "isr", &c->isr);
    state_u8(io, "imr", &c->imr);
    state_u8(io, "base", &c->base);
    state_u8(io, "highest", &c->highest);
    state_enum(io, "expect", &c->expect);
    state_bool(io, "icw4_follows", &c->icw4_follows);
    state_bool(io, "single", &c->single);
    state_bool(io, "aeoi", &c->aeoi);
    state_bool(io, "rotate_in_aeoi", &c->rotate_in_aeoi);
    state_bool(io, "sfnm", &c->sfnm);
    state_bool(io, "smm", &c->smm);
    state_bool(io, "read_isr", &c->read_isr);
    state_bool(io, "poll", &c->poll);
}

static void i8259_state(void *self, struct state_io *io)
{
    struct i8259 *pic = self;
    state_section(io, pic->id, 1);
    state_bool(io, "intr_level", &pic->intr_level);
    chip_state(&pic->master, io);
    chip_state(&pic->slave, io);
}

static const struct device_ops i8259_ops = {
    .type = "i8259", .reset = i8259_reset, .state = i8259_state, .destroy = free};

struct i8259 *i8259_new(const struct device_env *env, const char *id, struct irq_line intr)
{
    struct i8259 *pic = calloc(1, sizeof *pic);
    sim_assert(pic != NULL);
    (void)snprintf(pic->id, sizeof pic->id, "%s", id);
    pic->log = env->log;
    pic->intr = intr;
    /* [ICH9 "ELCR1", "ELCR2"] the timer, keyboard, cascade, RTC and coprocessor lines are edge. */
    pic->master = (struct chip){.name = "master", .elcr_mask = 0xf8};
    pic->slave = (struct chip){.name = "slave", .elcr_mask = 0xde};
    bus_add_ports(env->bus, 0x20, 2, &master_ports, pic, "i8259 master");
    bus_add_ports(env->bus, 0xa0, 2, &slave_ports, pic, "i8259 slave");
    bus_add_ports(env->bus, 0x4d0, 2, &elcr_ports, pic, "i8259 elcr");
    bus_add_device(env->bus, &i8259_ops, pic, id);
    return pic;
}

struct irq_line i8259_input(struct i8259 *pic, unsigned irq)
{
    sim_assert(irq < 16);
    return (struct irq_line){.set = set_input, .target = pic, .n = irq};
}
