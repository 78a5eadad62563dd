/* SPDX-License-Identifier: GPL-3.0-or-later */
/* 16550A serial port [PC16550D data sheet].
 *
 * Modelled: both FIFOs with trigger levels, character timeout, all four interrupt sources in their
 * priority, line and modem status with deltas, loopback, scratch register, divisor latch, word
 * length. OUT2 gates the interrupt, as on the PC's boards; in loopback that pin is inactive.
 *
 * The line is infinitely fast: a byte written is sent at once, so THRE and TEMT are always set and
 * the THRE interrupt falls and rises again within the write (a receiver of edges sees an edge for
 * each byte). The divisor only decides the length of the character timeout. Received bytes come
 * only when they fit (chardev.h), so overrun errors arise in loopback only.
 *
 * Left out: parity, framing and break errors, 16550 DMA modes (bit 3 of FCR), RCLK other than
 * BAUDOUT. */
#include "devices/uart16550.h"

#include "base/assert.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Registers by offset; the first two are the divisor latch while LCR.DLAB is set. */
enum { REG_RBR_THR, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };

enum {
    IER_ERBFI = 1 << 0,
    IER_ETBEI = 1 << 1,
    IER_ELSI = 1 << 2,
    IER_EDSSI = 1 << 3,

    IIR_NONE = 0x01,
    IIR_MODEM_STATUS = 0x00,
    IIR_THRE = 0x02,
    IIR_DATA = 0x04,
    IIR_LINE_STATUS = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFOS = 0xc0,

    FCR_ENABLE = 1 << 0,
    FCR_CLEAR_RX = 1 << 1,
    /* FCR_CLEAR_TX, bit 2: the transmitter is always empty */

    LCR_STOP2 = 1 << 2,
    LCR_PARITY = 1 << 3,
    LCR_DLAB = 1 << 7,

    MCR_DTR = 1 << 0,
    MCR_RTS = 1 << 1,
    MCR_OUT1 = 1 << 2,
    MCR_OUT2 = 1 << 3,
    MCR_LOOP = 1 << 4,

    LSR_DR = 1 << 0,
    LSR_OE = 1 << 1,
    LSR_THRE = 1 << 5,
    LSR_TEMT = 1 << 6,

    MSR_DCTS = 1 << 0,
    MSR_DDSR = 1 << 1,
    MSR_TERI = 1 << 2,
    MSR_DDCD = 1 << 3,
    MSR_CTS = 1 << 4,
    MSR_DSR = 1 << 5,
    MSR_RI = 1 << 6,
    MSR_DCD = 1 << 7,
    MSR_DELTAS = 0x0f,
    MSR_LINES = 0xf0,
};

#define FIFO_SIZE 16
#define UART_CRYSTAL_HZ 1843200u

struct uart16550 {
    char id[32];         /* configuration */
    struct clock *clock; /* configuration */
    struct irq_line irq; /* configuration */
    struct chardev chr;  /* configuration */
    struct timer timeout;

    u8 ier, lcr, mcr, scr, fcr;
    u8 line_errors; /* LSR_OE */
    u8 msr;
    u16 divisor;
    u8 fifo[FIFO_SIZE]; /* received; one byte deep while the FIFOs are off */
    u8 head, count;
    bool thre_pending;    /* interrupt source THRE not yet acknowledged */
    bool timeout_pending; /* no traffic for four characters with bytes waiting */
};

static unsigned rx_capacity(const struct uart16550 *u)
{
    return (u->fcr & FCR_ENABLE) != 0 ? FIFO_SIZE : 1;
}

static unsigned rx_trigger(const struct uart16550 *u)
{
    static const u8 levels[4] = {1, 4, 8, 14};
    return (u->fcr & FCR_ENABLE) != 0 ? levels[u->fcr >> 6] : 1;
}

/* [PC16550D "Interrupt Identification Register"] the highest pending source that is enabled. */
static u8 pending_source(const struct uart16550 *u)
{
    if ((u->ier & IER_ELSI) != 0 && u->line_errors != 0) {
        return IIR_LINE_STATUS;
    }
    if ((u->ier & IER_ERBFI) != 0 && u->count >= rx_trigger(u)) {
        return IIR_DATA;
    }
    if ((u->ier & IER_ERBFI) != 0 && u->timeout_pending) {
        return IIR_TIMEOUT;
    }
    if ((u->ier & IER_ETBEI) != 0 && u->thre_pending) {
        return IIR_THRE;
    }
    if ((u->ier & IER_EDSSI) != 0 && (u->msr & MSR_DELTAS) != 0) {
        return IIR_MODEM_STATUS;
    }
    return IIR_NONE;
}

static void update_irq(const struct uart16550 *u)
{
    bool gate = (u->mcr & MCR_OUT2) != 0 && (u->mcr & MCR_LOOP) == 0;
    irq_set(&u->irq, gate && pending_source(u) != IIR_NONE);
}

/* Four characters of start, data, parity and stop bits at the programmed rate. */
static u64 timeout_ns(const struct uart16550 *u)
{
    u64 bits = 1 + 5 + (u->lcr & 3u) + ((u->lcr & LCR_PARITY) != 0 ? 1 : 0) +
               ((u->lcr & LCR_STOP2) != 0 ? 2 : 1);
    u64 divisor = u->divisor != 0 ? u->divisor : 1;
    return mul_div(4 * bits * 16 * divisor, NS_PER_SEC, UART_CRYSTAL_HZ);
}

/* [PC16550D "FIFO Interrupt Mode Operation"] the timeout counts from the last byte in or out, and
 * only in FIFO mode with bytes waiting. */
static void restart_timeout(struct uart16550 *u)
{
    u->timeout_pending = false;
    if ((u->fcr & FCR_ENABLE) != 0 && u->count > 0) {
        timer_arm(&u->timeout, (vtime_t){clock_now(u->clock).ns + timeout_ns(u)});
    } else {
        timer_cancel(&u->timeout);
    }
}

static void timeout_fired(void *self)
{
    struct uart16550 *u = self;
    u->timeout_pending = u->count > 0;
    update_irq(u);
}

static void push_rx(struct uart16550 *u, u8 byte)
{
    if (u->count < rx_capacity(u)) {
        u->fifo[(u->head + u->count) % FIFO_SIZE] = byte;
        u->count++;
    } else {
        /* The character in the shift register is lost; in the 16450's mode the holding register is
         * overwritten instead. */
        if ((u->fcr & FCR_ENABLE) == 0) {
            u->fifo[u->head] = byte;
        }
        u->line_errors |= LSR_OE;
    }
    restart_timeout(u);
}

static u8 pop_rx(struct uart16550 *u)
{
    u8 byte = u->fifo[u->head];
    if (u->count == 0) {
        return byte;
    }
    bool had_room = u->count < rx_capacity(u);
    u->count--;
    /* An empty receiver keeps showing its last byte. */
    if (u->count > 0) {
        u->head = (u8)((u->head + 1) % FIFO_SIZE);
    }
    restart_timeout(u);
    if (!had_room) {
        chardev_room(&u->chr);
    }
    return byte;
}

static void clear_rx(struct uart16550 *u)
{
    bool had_room = u->count < rx_capacity(u);
    u->head = 0;
    u->count = 0;
    restart_timeout(u);
    if (!had_room) {
        chardev_room(&u->chr);
    }
}

/* What the modem's four lines say; in loopback the port's own outputs. */
static void update_modem_lines(struct uart16550 *u)
{
    u8 lines = MSR_CTS | MSR_DSR | MSR_DCD;
    if ((u->mcr & MCR_LOOP) != 0) {
        lines =
            (u8)(((u->mcr & MCR_RTS) != 0 ? MSR_CTS : 0) | ((u->mcr & MCR_DTR) != 0 ? MSR_DSR : 0) |
                 ((u->mcr & MCR_OUT1) != 0 ? MSR_RI : 0) |
                 ((u->mcr & MCR_OUT2) != 0 ? MSR_DCD : 0));
    }
    u8 changed = (u8)((u->msr ^ lines) & MSR_LINES);
    u8 deltas = u->msr & MSR_DELTAS;
    deltas |= (changed & MSR_CTS) != 0 ? MSR_DCTS : 0;
    deltas |= (changed & MSR_DSR) != 0 ? MSR_DDSR : 0;
    deltas |= (changed & MSR_DCD) != 0 ? MSR_DDCD : 0;
    deltas |= (changed & MSR_RI) != 0 && (lines & MSR_RI) == 0 ? MSR_TERI : 0;
    u->msr = lines | deltas;
}

static u32 uart_read(void *self, u16 offset, unsigned size)
{
    struct uart16550 *u = self;
    UNUSED(size);
    u8 value = 0xff;
    switch (offset) {
    case REG_RBR_THR:
        value = (u->lcr & LCR_DLAB) != 0 ? (u8)u->divisor : pop_rx(u);
        break;
    case REG_IER:
        value = (u->lcr & LCR_DLAB) != 0 ? (u8)(u->divisor >> 8) : u->ier;
        break;
    case REG_IIR_FCR:
        value = pending_source(u);
        if (value == IIR_THRE) {
            u->thre_pending = false;
        }
        value |= (u->fcr & FCR_ENABLE) != 0 ? IIR_FIFOS : 0;
        break;
    case REG_LCR:
        value = u->lcr;
        break;
    case REG_MCR:
        value = u->mcr;
        break;
    case REG_LSR:
        value = (u8)(LSR_TEMT | LSR_THRE | u->line_errors | (u->count > 0 ? LSR_DR : 0));
        u->line_errors = 0;
        break;
    case REG_MSR:
        value = u->msr;
        u->msr &= MSR_LINES;
        break;
    case REG_SCR:
        value = u->scr;
        break;
    default:
        break;
    }
    update_irq(u);
    return value;
}

static void transmit(struct uart16550 *u, u8 byte)
{
    u->thre_pending = false;
    update_irq(u);
    u8 data = byte & (u8)(0xff >> (3 - (u->lcr & 3)));
    if ((u->mcr & MCR_LOOP) != 0) {
        push_rx(u, data);
    } else {
        chardev_write(&u->chr, &data, 1);
    }
    u->thre_pending = true;
}

static void write_fcr(struct uart16550 *u, u8 value)
{
    /* [PC16550D "FIFO Control Register"] a change of mode clears both FIFOs; the other bits count
     * only when bit 0 is written as 1. */
    bool toggled = ((u->fcr ^ value) & FCR_ENABLE) != 0;
    if (toggled || (value & FCR_CLEAR_RX) != 0) {
        clear_rx(u);
    }
    u->fcr = (value & FCR_ENABLE) != 0 ? value & 0xc9 : 0;
}

static void uart_write(void *self, u16 offset, u32 value32, unsigned size)
{
    struct uart16550 *u = self;
    UNUSED(size);
    u8 value = (u8)value32;
    switch (offset) {
    case REG_RBR_THR:
        if ((u->lcr & LCR_DLAB) != 0) {
            u->divisor = (u16)((u->divisor & 0xff00) | value);
        } else {
            transmit(u, value);
        }
        break;
    case REG_IER:
        if ((u->lcr & LCR_DLAB) != 0) {
            u->divisor = (u16)((u->divisor & 0xff) | value << 8);
            break;
        }
        /* Enabling the interrupt of an empty transmitter raises it at once. */
        if ((value & IER_ETBEI) != 0 && (u->ier & IER_ETBEI) == 0) {
            u->thre_pending = true;
        }
        u->ier = value & 0x0f;
        break;
    case REG_IIR_FCR:
        write_fcr(u, value);
        break;
    case REG_LCR:
        u->lcr = value;
        break;
    case REG_MCR:
        u->mcr = value & 0x1f;
        update_modem_lines(u);
        break;
    case REG_SCR:
        u->scr = value;
        break;
    default: /* LSR and MSR: factory test only */
        break;
    }
    update_irq(u);
}

static const struct port_ops uart_ports = {.read = uart_read, .write = uart_write, .max_size = 1};

static void uart_reset(void *self, enum reset_kind kind)
{
    struct uart16550 *u = self;
    UNUSED(kind);
    u->ier = u->lcr = u->mcr = u->scr = u->fcr = 0;
    u->line_errors = 0;
    u->msr = MSR_CTS | MSR_DSR | MSR_DCD;
    u->divisor = 12; /* undefined on the chip; 9600 baud */
    memset(u->fifo, 0, sizeof u->fifo);
    u->thre_pending = false;
    u->timeout_pending = false;
    clear_rx(u);
    update_irq(u);
}

static void uart_state(void *self, struct state_io *io)
{
    struct uart16550 *u = self;
    state_section(io, u->id, 1);
    state_u8(io, "ier", &u->ier);
    state_u8(io, "lcr", &u->lcr);
    state_u8(io, "mcr", &u->mcr);
    state_u8(io, "scr", &u->scr);
    state_u8(io, "fcr", &u->fcr);
    state_u8(io, "line_errors", &u->line_errors);
    state_u8(io, "msr", &u->msr);
    state_u16(io, "divisor", &u->divisor);
    state_bytes(io, "fifo", u->fifo, sizeof u->fifo);
    state_u8(io, "head", &u->head);
    state_u8(io, "count", &u->count);
    state_bool(io, "thre_pending", &u->thre_pending);
    state_bool(io, "timeout_pending", &u->timeout_pending);
    timer_state(&u->timeout, io, "timeout");
    if (state_is_load(io)) {
        u->head %= FIFO_SIZE;
        u->count = u->count <= FIFO_SIZE ? u->count : FIFO_SIZE;
    }
}

static const struct device_ops uart_ops = {
    .type = "uart16550", .reset = uart_reset, .state = uart_state, .destroy = free};

struct uart16550 *uart16550_new(const struct device_env *env, const char *id, u16 base,
                                struct irq_line irq, struct chardev chr)
{
    struct uart16550 *u = calloc(1, sizeof *u);
    sim_assert(u != NULL);
    (void)snprintf(u->id, sizeof u->id, "%s", id);
    u->clock = env->clock;
    u->irq = irq;
    u->chr = chr;
    timer_init(&u->timeout, env->clock, "uart16550 timeout", timeout_fired, u);
    uart_reset(u, RESET_POWER);
    bus_add_ports(env->bus, base, 8, &uart_ports, u, "uart16550");
    bus_add_device(env->bus, &uart_ops, u, id);
    return u;
}

static size_t uart_can_receive(void *self)
{
    const struct uart16550 *u = self;
    if ((u->mcr & MCR_LOOP) != 0 || u->count >= rx_capacity(u)) {
        return 0;
    }
    return rx_capacity(u) - u->count;
}

static void uart_receive(void *self, const u8 *bytes, size_t n)
{
    struct uart16550 *u = self;
    for (size_t i = 0; i < n && (u->mcr & MCR_LOOP) == 0; i++) {
        push_rx(u, bytes[i] & (u8)(0xff >> (3 - (u->lcr & 3))));
    }
    update_irq(u);
}

struct chardev_end uart16550_end(struct uart16550 *uart)
{
    return (struct chardev_end){
        .can_receive = uart_can_receive, .receive = uart_receive, .self = uart};
}

bool uart16550_is_listening(const struct uart16550 *uart)
{
    return (uart->ier & IER_ERBFI) != 0;
}
