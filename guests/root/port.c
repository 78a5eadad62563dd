/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child's ports: a 16550 without interrupts at 3F8, the machine's clock read-only at 70 and 71, soft-off at 604, reset at CF9;
 * everything else reads ones. */
#include "abi/hyperv/registers.h"
#include "guests/root/root.h"

#define COM1 0x3f8
#define SLEEP_ENABLE 0x20u

#define LCR_DLAB 0x80u
#define MCR_LOOP 0x10u
#define IER_RX 0x1u
#define IER_THRE 0x2u
#define IIR_NONE 0x1u
#define IIR_THRE 0x2u
#define IIR_RX 0x4u
#define LSR_DR 0x1u
#define LSR_EMPTY 0x60u
#define FCR_ENABLE 0x1u
#define FCR_CLEAR_RX 0x2u

bool uart_has_input(const struct uart *u) { return u->head != u->tail; }
u8 uart_take(struct uart *u) { return u->input[u->tail++ % UART_FIFO]; }

bool uart_type(struct vm *vm, u8 c)
{
    struct uart *u = &vm->uart;
    if (u->head - u->tail == UART_FIFO) {
        return false;
    }
    u->input[u->head++ % UART_FIFO] = c;
    return true;
}

static u8 read_iir(struct uart *u)
{
    u8 fifo = (u->fcr & FCR_ENABLE) != 0 ? 0xc0 : 0;
    if ((u->ier & IER_RX) != 0 && uart_has_input(u)) {
        return fifo | IIR_RX;
    }
    if ((u->ier & IER_THRE) != 0 && u->thre_pending) {
        u->thre_pending = false;
        return fifo | IIR_THRE;
    }
    return fifo | IIR_NONE;
}

/* In loopback the modem outputs come back as inputs. */
static u8 read_msr(const struct uart *u)
{
    if ((u->mcr & MCR_LOOP) == 0) {
        return 0xb0; /* carrier, data set ready, clear to send */
    }
    return (u8)((u->mcr & 2) << 3 | (u->mcr & 1) << 5 | (u->mcr & 0xc) << 4);
}

static u8 uart_read(struct uart *u, unsigned reg)
{
    bool dlab = (u->lcr & LCR_DLAB) != 0;
    switch (reg) {
    case 0:
        if (dlab) {
            return u->dll;
        }
        return uart_has_input(u) ? uart_take(u) : 0;
    case 1:
        return dlab ? u->dlm : u->ier;
    case 2:
        return read_iir(u);
    case 3:
        return u->lcr;
    case 4:
        return u->mcr;
    case 5:
        return (u8)(LSR_EMPTY | (uart_has_input(u) ? LSR_DR : 0));
    case 6:
        return read_msr(u);
    default:
        return u->scr;
    }
}

static void uart_write(struct vm *vm, unsigned reg, u8 v)
{
    struct uart *u = &vm->uart;
    bool dlab = (u->lcr & LCR_DLAB) != 0;
    switch (reg) {
    case 0:
        if (dlab) {
            u->dll = v;
        } else if ((u->mcr & MCR_LOOP) != 0) {
            (void)uart_type(vm, v);
        } else {
            console_output(vm, v);
            u->thre_pending = true;
        }
        break;
    case 1:
        if (dlab) {
            u->dlm = v;
        } else {
            u->thre_pending = u->thre_pending || ((v & IER_THRE) != 0 && (u->ier & IER_THRE) == 0);
            u->ier = v & 0xf;
        }
        break;
    case 2:
        u->fcr = v;
        if ((v & FCR_CLEAR_RX) != 0) {
            u->tail = u->head;
        }
        break;
    case 3:
        u->lcr = v;
        break;
    case 4:
        u->mcr = v & 0x1f;
        break;
    case 7:
        u->scr = v;
        break;
    default:
        break;
    }
}

/* Time, date, and that no update is in progress; the rest of the memory reads as 0. */
static u8 cmos_read(u8 index)
{
    if (index > 0xd && index != 0x32) {
        return 0;
    }
    out8(0x70, index);
    return in8(0x71);
}

static u32 from_bcd(u8 v) { return (v >> 4) * 10u + (v & 15u); }

/* The machine's clock as firmware leaves it: BCD, 24 hours, UTC, this century. */
u64 clock_seconds(void)
{
    static const u16 before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    u32 year = from_bcd(cmos_read(9));
    u32 month = from_bcd(cmos_read(8));
    u32 day = from_bcd(cmos_read(7));
    bool leap = year % 4 == 0 && month > 2;
    u64 days = 10957 + 365ull * year + (year + 3) / 4 + before[(month - 1) % 12] + day - 1 + (leap ? 1 : 0);
    return days * 86400 + from_bcd(cmos_read(4)) * 3600ull + from_bcd(cmos_read(2)) * 60ull + from_bcd(cmos_read(0));
}

static u64 port_read(struct vm *vm, u16 port, u8 bytes)
{
    if (port == 0x71) {
        return cmos_read(vm->cmos_index);
    }
    if (port >= COM1 && port < COM1 + 8 && bytes == 1) {
        return uart_read(&vm->uart, port - COM1);
    }
    return vm->test_devices ? test_device_read(vm, port) : 0xffffffff;
}

/* Null, or why the child ends. */
static const char *port_write(struct vm *vm, u16 port, u64 value)
{
    if (port >= COM1 && port < COM1 + 8) {
        uart_write(vm, port - COM1, (u8)value);
    } else if (port == 0x70) {
        vm->cmos_index = value & 0x7f;
    } else if (port == 0x604 && (value & SLEEP_ENABLE) != 0) {
        return "powered off";
    } else if (port == 0xcf9 && (value & 4) != 0) {
        return "reset";
    } else if (vm->test_devices && !test_device_write(vm, port, value)) {
        return "exit";
    }
    return NULL;
}

void port_access(struct vm *vm, const struct hv_io_message *m)
{
    u8 bytes = m->info & HV_IO_SIZE;
    u64 rax = m->rax;
    u64 mask = bytes == 4 ? 0xffffffff : (1ull << (8 * bytes)) - 1;
    if ((m->info & HV_IO_STRING) != 0) {
        print("\nroot: %s: string I/O on port %x is skipped\n", vm->name, (u32)m->port);
    } else if (m->header.access == HV_ACCESS_READ) {
        u64 value = port_read(vm, m->port, bytes) & mask;
        rax = bytes == 4 ? value : (rax & ~mask) | value;
    } else {
        const char *end = port_write(vm, m->port, rax & mask);
        if (end != NULL) {
            console_vm_ended(vm, end);
            return;
        }
    }
    const struct register_write list[3] = {
        {HV_REG_RIP, {.low = m->header.rip + (m->header.length_cr8 & 15)}},
        {HV_REG_RAX, {.low = rax}},
        {HV_REG_INTERCEPT_SUSPEND, {.low = 0}},
    };
    (void)set_level_registers(vm->partition, m->header.vp, level_of(&m->header), list, 3);
}
