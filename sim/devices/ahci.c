/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AHCI host bus adapter [AHCI], 8086:2922 as in the ICH9: registers, command slots, FIS reception,
 * PRD tables, errors and interrupts. What drives do with commands is in ahci_ata.c, ahci_atapi.c.
 *
 * A command lives so: a bit written to PxCI; the header and command table fetched at once (when
 * no other command keeps the drive busy); then it waits in the port's queue. The head of the queue
 * completes a fixed virtual time after it got there: at that moment data moves, FISes are written,
 * bits change and the interrupt rises. Nothing depends on the host.
 *
 * Guest structures are hostile: every address goes through pci_dma_*, PRD walks are bounded by the
 * table's length and by the command's, a refused access is a host bus fatal error (HBFS), too
 * short a PRD table an overflow (OFS); both stop the port until software clears ST.
 *
 * Left out: port multipliers, command completion coalescing, enclosure management, power states
 * of the link, FIS-based switching, staggered spin-up, IDE mode. */
#include "devices/ahci_priv.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 6 Gb/s, 32 slots, 64-bit addresses, NCQ, AHCI only, command list override. */
#define CAP_VALUE                                                              \
    (AHCI_CAP_S64A | AHCI_CAP_SNCQ | AHCI_CAP_SCLO | AHCI_CAP_SAM | 3u << 20 | \
     (AHCI_SLOTS - 1) << 8 | (AHCI_PORTS - 1))
#define VS_VALUE 0x00010200u
#define SSTS_UP 0x133u /* active, 6 Gb/s, device and PHY communication */

#define ABAR_SIZE 4096
#define IDP_SIZE 32
#define IDP_INDEX 0x10
#define IDP_DATA 0x14

/* ---- port registers ---- */

static void stop_commands(struct ahci_port *p)
{
    p->ci = 0;
    p->sact = 0;
    p->issued = 0;
    p->queued = 0;
    p->stopped = false;
    memset(p->commands, 0, sizeof p->commands);
    timer_cancel(&p->timer);
}

/* The link comes up and the drive sends its signature, or there is no drive. */
static void port_link_up(struct ahci_port *p)
{
    p->soft_reset = false;
    if (p->drive.kind == DRIVE_NONE) {
        p->ssts = 0;
        p->sig = 0xffffffff;
        p->tfd = 0x7f;
        return;
    }
    drive_reset(&p->drive, true);
    p->ssts = SSTS_UP;
    p->serr |= AHCI_PXSERR_DIAG_X | AHCI_PXSERR_DIAG_N;
    ahci_send_signature(p);
}

static void write_cmd(struct ahci_port *p, u32 value)
{
    const u32 stored = AHCI_PXCMD_ST | AHCI_PXCMD_FRE | AHCI_PXCMD_ATAPI | AHCI_PXCMD_DLAE;
    u32 old = p->cmd;
    p->cmd = (old & ~stored) | (value & stored);
    if ((value & AHCI_PXCMD_CLO) != 0 && (old & AHCI_PXCMD_ST) == 0) {
        p->tfd &= ~(u32)(ATA_STATUS_BSY | ATA_STATUS_DRQ);
    }
    p->cmd = (p->cmd & AHCI_PXCMD_FRE) != 0 ? p->cmd | AHCI_PXCMD_FR : p->cmd & ~(u32)AHCI_PXCMD_FR;
    if ((p->cmd & AHCI_PXCMD_FRE) != 0 && p->fis_pending) {
        ahci_send_signature(p);
    }
    bool start = (p->cmd & AHCI_PXCMD_ST) != 0;
    bool running = (p->cmd & AHCI_PXCMD_CR) != 0;
    if (start && !running) {
        if ((p->cmd & AHCI_PXCMD_FRE) == 0) {
            log_guest_error(p->ahci->log, "%s: ST set without FRE", p->ahci->id);
            p->cmd &= ~(u32)AHCI_PXCMD_ST;
            return;
        }
        p->cmd = (p->cmd & ~(u32)AHCI_PXCMD_CCS) | AHCI_PXCMD_CR | (AHCI_SLOTS - 1) << 8;
    } else if (!start && running) {
        stop_commands(p);
        p->cmd &= ~(u32)(AHCI_PXCMD_CR | AHCI_PXCMD_CCS);
    }
    ahci_pump(p);
}

static void write_sctl(struct ahci_port *p, u32 value)
{
    u32 was = p->sctl & 15;
    p->sctl = value & 0xfff;
    u32 det = p->sctl & 15;
    if (det == 1 || det == 4) {
        stop_commands(p);
        p->ssts = det == 4 ? 4 : 0;
        p->tfd = 0x7f;
        p->sig = 0xffffffff;
        p->fis_pending = false;
    } else if (det == 0 && (was == 1 || was == 4)) {
        port_link_up(p);
        ahci_update_interrupt(p->ahci, true);
    }
}

static u32 port_read(const struct ahci_port *p, unsigned offset)
{
    switch (offset) {
    case AHCI_PXCLB:
        return (u32)p->clb;
    case AHCI_PXCLBU:
        return (u32)(p->clb >> 32);
    case AHCI_PXFB:
        return (u32)p->fb;
    case AHCI_PXFBU:
        return (u32)(p->fb >> 32);
    case AHCI_PXIS:
        return ahci_port_is(p);
    case AHCI_PXIE:
        return p->ie;
    case AHCI_PXCMD:
        return p->cmd;
    case AHCI_PXTFD:
        return p->tfd;
    case AHCI_PXSIG:
        return p->sig;
    case AHCI_PXSSTS:
        return p->ssts;
    case AHCI_PXSCTL:
        return p->sctl;
    case AHCI_PXSERR:
        return p->serr;
    case AHCI_PXSACT:
        return p->sact;
    case AHCI_PXCI:
        return p->ci;
    default:
        return 0;
    }
}

static void port_write(struct ahci_port *p, unsigned offset, u32 value)
{
    bool running = (p->cmd & AHCI_PXCMD_ST) != 0;
    switch (offset) {
    case AHCI_PXCLB:
        p->clb = (p->clb & ~(u64)0xffffffff) | (value & ~(u32)0x3ff);
        break;
    case AHCI_PXCLBU:
        p->clb = (p->clb & 0xffffffff) | (u64)value << 32;
        break;
    case AHCI_PXFB:
        p->fb = (p->fb & ~(u64)0xffffffff) | (value & ~(u32)0xff);
        break;
    case AHCI_PXFBU:
        p->fb = (p->fb & 0xffffffff) | (u64)value << 32;
        break;
    case AHCI_PXIS:
        p->is &= ~value;
        ahci_update_interrupt(p->ahci, false);
        break;
    case AHCI_PXIE:
        p->ie = value & AHCI_PXIS_ALL;
        ahci_update_interrupt(p->ahci, (ahci_port_is(p) & p->ie) != 0);
        break;
    case AHCI_PXCMD:
        write_cmd(p, value);
        break;
    case AHCI_PXSCTL:
        write_sctl(p, value);
        break;
    case AHCI_PXSERR:
        p->serr &= ~value;
        ahci_update_interrupt(p->ahci, false);
        break;
    case AHCI_PXSACT:
        p->sact |= running ? value : 0;
        break;
    case AHCI_PXCI:
        p->ci |= running ? value : 0;
        ahci_pump(p);
        break;
    default:
        break;
    }
}

/* ---- global registers ---- */

static void reset_ports(struct ahci *a, bool power)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        struct ahci_port *p = &a->ports[i];
        stop_commands(p);
        if (power) { /* [AHCI "HBA Reset"] keeps them */
            p->clb = 0;
            p->fb = 0;
        }
        p->is = 0;
        p->ie = 0;
        p->cmd = AHCI_PXCMD_SUD | AHCI_PXCMD_POD;
        p->sctl = 0;
        p->serr = 0;
        p->fis_pending = false;
        port_link_up(p);
    }
}

static void write_ghc(struct ahci *a, u32 value)
{
    if ((value & AHCI_GHC_HR) != 0) {
        a->ghc = AHCI_GHC_AE;
        a->is = 0;
        reset_ports(a, false);
        ahci_update_interrupt(a, false);
        return;
    }
    bool enabled = (value & AHCI_GHC_IE) != 0 && (a->ghc & AHCI_GHC_IE) == 0;
    a->ghc = AHCI_GHC_AE | (value & AHCI_GHC_IE);
    ahci_update_interrupt(a, enabled);
}

static u32 register_read(const struct ahci *a, unsigned offset)
{
    if (offset >= AHCI_PORT_BASE) {
        unsigned port = (offset - AHCI_PORT_BASE) / AHCI_PORT_SIZE;
        return port < AHCI_PORTS ? port_read(&a->ports[port], offset % AHCI_PORT_SIZE) : 0;
    }
    switch (offset) {
    case AHCI_CAP:
        return CAP_VALUE;
    case AHCI_GHC:
        return a->ghc;
    case AHCI_IS:
        return a->is;
    case AHCI_PI:
        return (1u << AHCI_PORTS) - 1;
    case AHCI_VS:
        return VS_VALUE;
    default:
        return 0;
    }
}

static void register_write(struct ahci *a, unsigned offset, u32 value)
{
    if (offset >= AHCI_PORT_BASE) {
        unsigned port = (offset - AHCI_PORT_BASE) / AHCI_PORT_SIZE;
        if (port < AHCI_PORTS) {
            port_write(&a->ports[port], offset % AHCI_PORT_SIZE, value);
        }
    } else if (offset == AHCI_GHC) {
        write_ghc(a, value);
    } else if (offset == AHCI_IS) {
        a->is &= ~value;
        ahci_update_interrupt(a, true);
    }
}

static bool is_write_one_register(unsigned offset)
{
    unsigned in_port = offset % AHCI_PORT_SIZE;
    return offset < AHCI_PORT_BASE ? offset == AHCI_IS
                                   : in_port == AHCI_PXIS || in_port == AHCI_PXSERR ||
                                         in_port == AHCI_PXSACT || in_port == AHCI_PXCI;
}

static u64 abar_read(void *self, u64 offset, unsigned size)
{
    UNUSED(size);
    return register_read(self, (unsigned)offset & ~3u) >> (8 * (offset & 3));
}

/* Software should use dwords; narrower writes change only their bytes. */
static void abar_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct ahci *a = self;
    unsigned at = (unsigned)offset & ~3u;
    unsigned shift = 8 * ((unsigned)offset & 3);
    u32 mask = (u32)(size_mask(size) << shift);
    u32 kept = is_write_one_register(at) ? 0 : register_read(a, at) & ~mask;
    register_write(a, at, kept | ((u32)(value << shift) & mask));
}

static const struct mmio_ops abar_ops = {.read = abar_read, .write = abar_write, .max_size = 4};

/* The index-data pair: ABAR through I/O ports. */
static u32 idp_read(void *self, u16 offset, unsigned size)
{
    const struct ahci *a = self;
    if (size != 4) {
        return ~(u32)0;
    }
    return offset == IDP_INDEX ? a->index : offset == IDP_DATA ? register_read(a, a->index) : 0;
}

static void idp_write(void *self, u16 offset, u32 value, unsigned size)
{
    struct ahci *a = self;
    if (size == 4 && offset == IDP_INDEX) {
        a->index = value & (ABAR_SIZE - 4);
    } else if (size == 4 && offset == IDP_DATA) {
        register_write(a, a->index, value);
    }
}

static const struct port_ops idp_ops = {.read = idp_read, .write = idp_write};

/* ---- the device ---- */

static const struct pci_function_ops function_ops = {.config_written = NULL};

static void reset(void *self, enum reset_kind kind)
{
    struct ahci *a = self;
    UNUSED(kind);
    pci_function_reset(&a->fn);
    a->ghc = AHCI_GHC_AE;
    a->is = 0;
    a->index = 0;
    reset_ports(a, true);
}

static void command_state(struct ahci_command *c, struct state_io *io)
{
    state_bool(io, "active", &c->active);
    state_bool(io, "queued", &c->queued);
    state_u8(io, "tag", &c->tag);
    state_u16(io, "flags", &c->flags);
    state_u16(io, "prdtl", &c->prdtl);
    state_u64(io, "ctba", &c->ctba);
    state_bytes(io, "cfis", c->cfis, sizeof c->cfis);
    state_bytes(io, "acmd", c->acmd, sizeof c->acmd);
    /* prd_index, prd_offset, moved, prd_interrupt: 0 between events. */
}

static void port_state(struct ahci_port *p, struct state_io *io)
{
    state_u64(io, "clb", &p->clb);
    state_u64(io, "fb", &p->fb);
    state_u32(io, "is", &p->is);
    state_u32(io, "ie", &p->ie);
    state_u32(io, "cmd", &p->cmd);
    state_u32(io, "tfd", &p->tfd);
    state_u32(io, "sig", &p->sig);
    state_u32(io, "ssts", &p->ssts);
    state_u32(io, "sctl", &p->sctl);
    state_u32(io, "serr", &p->serr);
    state_u32(io, "sact", &p->sact);
    state_u32(io, "ci", &p->ci);
    state_u32(io, "issued", &p->issued);
    state_bool(io, "stopped", &p->stopped);
    state_bool(io, "soft_reset", &p->soft_reset);
    state_bool(io, "fis_pending", &p->fis_pending);
    for (unsigned i = 0; i < AHCI_SLOTS; i++) {
        command_state(&p->commands[i], io);
    }
    state_u8(io, "queued", &p->queued);
    if (p->queued > AHCI_SLOTS) {
        io->failed = true; /* only a damaged stream */
        p->queued = 0;
    }
    for (unsigned i = 0; i < AHCI_SLOTS; i++) {
        /* Places past the end hold what was there before: not state. */
        u8 slot = i < p->queued ? p->queue[i] : 0;
        state_u8(io, "queue", &slot);
        p->queue[i] = slot % AHCI_SLOTS;
    }
    drive_state(&p->drive, io);
    timer_state(&p->timer, io, "timer");
}

static void state(void *self, struct state_io *io)
{
    struct ahci *a = self;
    state_section(io, a->id, 1);
    pci_function_state(&a->fn, io);
    state_u32(io, "ghc", &a->ghc);
    state_u32(io, "is", &a->is);
    state_u32(io, "index", &a->index);
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        port_state(&a->ports[i], io);
    }
}

static void destroy(void *self)
{
    struct ahci *a = self;
    pci_function_free(&a->fn);
    free(a);
}

static const struct device_ops ops = {
    .type = "ahci", .reset = reset, .state = state, .destroy = destroy};

struct ahci *ahci_new(const struct device_env *env, struct pci_bus *bus, u8 devfn, const char *id)
{
    struct ahci *a = calloc(1, sizeof *a);
    sim_assert(a != NULL);
    a->log = env->log;
    a->clock = env->clock;
    (void)snprintf(a->id, sizeof a->id, "%s", id);
    const struct pci_ids ids = {
        .vendor = 0x8086, .device = 0x2922, .class_code = 0x010601, .revision = 2, .pin = 1};
    pci_add_function(bus, &a->fn, devfn, &ids, &function_ops, a);
    pci_add_io_bar(&a->fn, 4, IDP_SIZE, &idp_ops, a, "ahci-idp");
    pci_add_mem_bar(&a->fn, 5, PCI_BAR_MEM32, false, ABAR_SIZE, &abar_ops, a, "ahci");
    (void)pci_add_msi(&a->fn, 0x80, 1, false);
    u8 sata = pci_add_capability(&a->fn, PCI_CAP_ID_SATA, 0xa8, 8);
    pci_init_config(&a->fn, sata + 2u, 0x0010, 2);             /* revision 1.0 */
    pci_init_config(&a->fn, sata + 4u, IDP_INDEX << 2 | 8, 4); /* in BAR 4, dword 4 */
    pci_init_config(&a->fn, 0x90, 0x40, 1);                    /* MAP: AHCI mode */
    pci_init_config(&a->fn, 0x92, 0x3f3f, 2);                  /* PCS: ports enabled, present */
    pci_set_writable(&a->fn, 0x92, 0x3f, 1);
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        a->ports[i].ahci = a;
        a->ports[i].number = i;
        timer_init(&a->ports[i].timer, env->clock, "ahci port", ahci_timer_fired, &a->ports[i]);
    }
    bus_add_device(env->bus, &ops, a, id);
    return a;
}

static void attach(struct ahci *a, unsigned port, enum drive_kind kind,
                   const struct block_backend *backend)
{
    sim_assert(port < AHCI_PORTS && a->ports[port].drive.kind == DRIVE_NONE);
    a->ports[port].drive.kind = kind;
    a->ports[port].drive.backend = backend;
}

void ahci_attach_disk(struct ahci *ahci, unsigned port, const struct block_backend *backend)
{
    sim_assert(backend != NULL);
    attach(ahci, port, DRIVE_DISK, backend);
}

void ahci_attach_cdrom(struct ahci *ahci, unsigned port, const struct block_backend *backend)
{
    attach(ahci, port, DRIVE_CDROM, backend);
}

void ahci_change_medium(struct ahci *ahci, unsigned port, const struct block_backend *backend)
{
    struct drive *drive = &ahci->ports[port].drive;
    sim_assert(port < AHCI_PORTS && drive->kind == DRIVE_CDROM);
    drive->backend = backend;
    drive->tray_open = false;
    drive->attention = true;
    drive->attention_asc = 0x28; /* medium may have changed */
    drive->medium_event = true;
}
