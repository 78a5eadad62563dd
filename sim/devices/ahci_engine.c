/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The AHCI adapter at work: command slots, PRD tables, frames to the guest, completion, interrupts.
 * The registers that start and stop this are in ahci.c, where the whole is described. */
#include "devices/ahci_priv.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <string.h>

#define COMMAND_NS 50000u
/* 600 MB/s on the wire: 5 ns per 3 bytes. */
#define TRANSFER_NS(bytes) ((bytes)*5 / 3)

/* ---- interrupts ---- */

u32 ahci_port_is(const struct ahci_port *p)
{
    return p->is | ((p->serr & AHCI_PXSERR_DIAG_X) != 0 ? AHCI_PXIS_PCS : 0u) |
           ((p->serr & AHCI_PXSERR_DIAG_N) != 0 ? AHCI_PXIS_PRCS : 0u);
}

/* IS latches a port while any of its enabled causes is set; `event`: something new happened, so a
 * message is due even if the pin is already high. */
void ahci_update_interrupt(struct ahci *a, bool event)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        if ((ahci_port_is(&a->ports[i]) & a->ports[i].ie) != 0) {
            a->is |= BIT32(i);
        }
    }
    bool level = (a->ghc & AHCI_GHC_IE) != 0 && a->is != 0;
    pci_set_intx(&a->fn, level);
    if (level && event) {
        pci_msi_notify(&a->fn, 0);
    }
}

static void port_raise(struct ahci_port *p, u32 bits)
{
    p->is |= bits;
    ahci_update_interrupt(p->ahci, (bits & p->ie) != 0);
}

/* ---- frames to the guest ---- */

static void port_fatal(struct ahci_port *p, u32 bits)
{
    p->stopped = true;
    p->queued = 0;
    memset(p->commands, 0, sizeof p->commands);
    timer_cancel(&p->timer);
    port_raise(p, bits);
}

static bool post_fis(struct ahci_port *p, unsigned offset, const u8 *fis, unsigned size)
{
    if ((p->cmd & AHCI_PXCMD_FRE) == 0) {
        return true;
    }
    return pci_dma_write(&p->ahci->fn, IOVA(p->fb + offset), fis, size);
}

static void fill_registers(u8 *fis, const struct ata_result *r)
{
    fis[2] = r->status;
    fis[3] = r->error;
    for (unsigned i = 0; i < 3; i++) {
        fis[4 + i] = (u8)(r->lba >> (8 * i));
        fis[8 + i] = (u8)(r->lba >> (24 + 8 * i));
    }
    fis[7] = r->device;
    store_le16(fis + 12, r->count);
}

static bool post_d2h(struct ahci_port *p, const struct ata_result *r, bool interrupt)
{
    u8 fis[20] = {FIS_REG_D2H, interrupt ? 0x40 : 0};
    fill_registers(fis, r);
    p->tfd = (u32)r->error << 8 | r->status;
    return post_fis(p, AHCI_RX_RFIS, fis, sizeof fis);
}

static bool post_pio_setup(struct ahci_port *p, const struct ata_result *r, u32 bytes)
{
    u8 fis[20] = {FIS_PIO_SETUP, (u8)(0x40 | (r->to_host ? 0x20 : 0))};
    fill_registers(fis, r);
    fis[2] |= ATA_STATUS_DRQ;
    fis[15] = r->status;
    store_le16(fis + 16, (u16)(bytes < 0xfffe ? bytes : 0xfffe));
    p->tfd = (u32)r->error << 8 | r->status;
    return post_fis(p, AHCI_RX_PSFIS, fis, sizeof fis);
}

static bool post_set_device_bits(struct ahci_port *p, const struct ata_result *r, u32 done)
{
    u8 fis[8] = {FIS_SET_DEVICE_BITS, 0x40, (u8)(r->status & 0x77), r->error};
    store_le32(fis + 4, done);
    p->tfd = (u32)r->error << 8 | (r->status & 0x77u) | (p->tfd & 0x88);
    return post_fis(p, AHCI_RX_SDBFIS, fis, sizeof fis);
}

static bool post_dma_setup(struct ahci_port *p, const struct ahci_command *c,
                           const struct ata_result *r)
{
    u8 fis[28] = {FIS_DMA_SETUP, r->to_host ? 0x20 : 0};
    fis[4] = c->tag;
    store_le32(fis + 20, c->moved);
    return post_fis(p, AHCI_RX_DSFIS, fis, sizeof fis);
}

/* The signature a drive sends after a reset. */
void ahci_send_signature(struct ahci_port *p)
{
    bool cd = p->drive.kind == DRIVE_CDROM;
    struct ata_result r = {.status = cd ? 0 : ATA_STATUS_GOOD, .error = 1, .count = 1};
    p->sig = cd ? ATA_SIGNATURE_PACKET : ATA_SIGNATURE_DISK;
    r.lba = p->sig >> 8;
    if ((p->cmd & AHCI_PXCMD_FRE) == 0) {
        p->fis_pending = true;
        p->tfd = (u32)r.error << 8 | r.status;
        return;
    }
    p->fis_pending = false;
    if (!post_d2h(p, &r, false)) {
        port_fatal(p, AHCI_PXIS_HBFS);
    }
}

/* ---- PRD tables ---- */

static bool move(struct ahci_port *p, struct ahci_command *c, struct ata_result *r, u8 *data,
                 u32 size, bool to_guest)
{
    while (size > 0) {
        u8 prd[AHCI_PRD_SIZE];
        u64 at = c->ctba + AHCI_TABLE_PRDT + (u64)c->prd_index * AHCI_PRD_SIZE;
        if (c->prd_index >= c->prdtl) {
            log_guest_error(p->ahci->log, "%s: PRD table too short for its command", p->ahci->id);
            r->fatal = AHCI_PXIS_OFS;
            return false;
        }
        if (!pci_dma_read(&p->ahci->fn, IOVA(at), prd, sizeof prd)) {
            r->fatal = AHCI_PXIS_HBFS;
            return false;
        }
        u32 flags = load_le32(prd + 12);
        u32 room = (flags & AHCI_PRD_DBC) + 1 - c->prd_offset;
        u32 n = room < size ? room : size;
        iova_t where = IOVA((load_le64(prd) & ~(u64)1) + c->prd_offset);
        if (to_guest ? !pci_dma_write(&p->ahci->fn, where, data, n)
                     : !pci_dma_read(&p->ahci->fn, where, data, n)) {
            r->fatal = AHCI_PXIS_HBFS;
            return false;
        }
        data += n;
        size -= n;
        c->moved += n;
        c->prd_offset += n;
        if (n == room) {
            c->prd_index++;
            c->prd_offset = 0;
            c->prd_interrupt = c->prd_interrupt || (flags & AHCI_PRD_I) != 0;
        }
    }
    return true;
}

bool ahci_to_guest(struct ahci_port *port, struct ahci_command *c, struct ata_result *r,
                   const void *data, u32 size)
{
    /* move() writes to the buffer only when the data goes the other way. */
    return move(port, c, r, (u8 *)(uintptr_t)data, size, true);
}

bool ahci_from_guest(struct ahci_port *port, struct ahci_command *c, struct ata_result *r,
                     void *data, u32 size)
{
    return move(port, c, r, data, size, false);
}

/* ---- completion ---- */

static void finish_queued(struct ahci_port *p, struct ahci_command *c, const struct ata_result *r)
{
    bool failed = (r->status & ATA_STATUS_ERR) != 0;
    u32 done = failed ? 0 : BIT32(c->tag);
    bool posted = (failed || post_dma_setup(p, c, r)) && post_set_device_bits(p, r, done);
    p->sact &= ~done;
    if (!posted) {
        port_fatal(p, AHCI_PXIS_HBFS);
    } else if (failed) {
        port_fatal(p, AHCI_PXIS_TFES | AHCI_PXIS_SDBS);
    } else {
        port_raise(p, AHCI_PXIS_SDBS | (c->prd_interrupt ? AHCI_PXIS_DPS : 0u));
    }
}

static void finish(struct ahci_port *p, struct ahci_command *c, unsigned slot,
                   const struct ata_result *r)
{
    u8 count[4];
    store_le32(count, c->moved);
    u64 header = p->clb + slot * AHCI_HEADER_SIZE;
    bool posted = pci_dma_write(&p->ahci->fn, IOVA(header + 4), count, sizeof count);
    u32 causes = c->prd_interrupt ? AHCI_PXIS_DPS : 0u;
    bool failed = (r->status & ATA_STATUS_ERR) != 0;
    bool pio = r->protocol == ATA_PIO_IN || r->protocol == ATA_PIO_OUT ||
               (r->protocol == ATA_PACKET_PIO && c->moved != 0);
    if (pio && !failed) {
        posted = posted && post_pio_setup(p, r, c->moved);
        causes |= AHCI_PXIS_PSS;
    }
    /* A PIO read ends with its last PIO Setup FIS, everything else with a register FIS. */
    if (r->protocol != ATA_PIO_IN || failed) {
        posted = posted && post_d2h(p, r, true);
        causes |= AHCI_PXIS_DHRS;
    }
    if (!posted) {
        port_fatal(p, AHCI_PXIS_HBFS);
    } else if (failed) {
        /* [AHCI "Task File Errors"] the slot's bit in PxCI stays; CCS tells which. */
        port_fatal(p, AHCI_PXIS_TFES | causes);
    } else {
        p->ci &= ~BIT32(slot);
        p->issued &= ~BIT32(slot);
        port_raise(p, causes);
    }
}

static u64 duration(const struct ahci_port *p, const struct ahci_command *c)
{
    u64 bytes = p->drive.kind == DRIVE_CDROM && c->cfis[2] == ATA_CMD_PACKET
                    ? atapi_transfer_bytes(c)
                    : ata_transfer_bytes(&p->drive, c);
    return COMMAND_NS + TRANSFER_NS(bytes);
}

static void arm_head(struct ahci_port *p)
{
    if (p->queued > 0) {
        const struct ahci_command *c = &p->commands[p->queue[0]];
        timer_arm(&p->timer, (vtime_t){clock_now(p->ahci->clock).ns + duration(p, c)});
    }
}

void ahci_timer_fired(void *self)
{
    struct ahci_port *p = self;
    if (p->queued == 0) {
        return;
    }
    unsigned slot = p->queue[0];
    p->queued--;
    memmove(p->queue, p->queue + 1, p->queued);
    struct ahci_command c = p->commands[slot];
    p->commands[slot].active = false;
    struct ata_result r = {.status = ATA_STATUS_GOOD,
                           .device = c.cfis[7],
                           .lba = cfis_lba48(c.cfis),
                           .count = cfis_count(c.cfis)};
    if (p->drive.kind == DRIVE_CDROM) {
        atapi_execute(p, &c, &r);
    } else {
        ata_execute(p, &c, &r);
    }
    if (r.fatal != 0) {
        port_fatal(p, r.fatal);
        return;
    }
    if (c.queued) {
        finish_queued(p, &c, &r);
    } else {
        finish(p, &c, slot, &r);
    }
    if (!p->stopped) {
        arm_head(p);
        ahci_pump(p);
    }
}

/* ---- issue ---- */

/* [SATA "Software reset"]: SRST set, then cleared; the drive answers with its signature. */
static void control_fis(struct ahci_port *p, const struct ahci_command *c, unsigned slot)
{
    bool srst = (c->cfis[15] & 4) != 0;
    p->ci &= ~BIT32(slot);
    if (srst) {
        p->soft_reset = true;
        p->queued = 0;
        memset(p->commands, 0, sizeof p->commands);
        timer_cancel(&p->timer);
        p->tfd = (c->flags & AHCI_HEADER_C) != 0 ? p->tfd & ~(u32)ATA_STATUS_BSY
                                                 : p->tfd | ATA_STATUS_BSY;
    } else if (p->soft_reset) {
        p->soft_reset = false;
        drive_reset(&p->drive, false);
        ahci_send_signature(p);
    }
}

static bool fetch(struct ahci_port *p, struct ahci_command *c, unsigned slot)
{
    u8 header[AHCI_HEADER_SIZE];
    u8 table[AHCI_TABLE_ACMD + 16];
    u64 at = p->clb + slot * AHCI_HEADER_SIZE;
    memset(c, 0, sizeof *c);
    if (!pci_dma_read(&p->ahci->fn, IOVA(at), header, sizeof header)) {
        port_fatal(p, AHCI_PXIS_HBFS);
        return false;
    }
    c->flags = load_le16(header);
    c->prdtl = load_le16(header + 2);
    c->ctba = load_le64(header + 8) & ~(u64)0x7f;
    if (!pci_dma_read(&p->ahci->fn, IOVA(c->ctba), table, sizeof table)) {
        port_fatal(p, AHCI_PXIS_HBFS);
        return false;
    }
    memcpy(c->cfis, table, sizeof c->cfis);
    memcpy(c->acmd, table + AHCI_TABLE_ACMD, sizeof c->acmd);
    if ((c->flags & AHCI_HEADER_CFL) < 5 || c->cfis[0] != FIS_REG_H2D) {
        log_guest_error(p->ahci->log, "%s: command slot without a register FIS", p->ahci->id);
        port_fatal(p, AHCI_PXIS_IFS);
        return false;
    }
    return true;
}

static bool is_queued_command(const struct ahci_port *p, const struct ahci_command *c)
{
    return p->drive.kind == DRIVE_DISK &&
           (c->cfis[2] == ATA_CMD_READ_FPDMA_QUEUED || c->cfis[2] == ATA_CMD_WRITE_FPDMA_QUEUED);
}

/* [ACS3 "NCQ feature set"] a non-queued command, or a tag used twice, aborts everything. */
static void queue_violation(struct ahci_port *p, const struct ahci_command *c, bool queued)
{
    log_guest_error(p->ahci->log, "%s: command %02x while queued commands are outstanding",
                    p->ahci->id, c->cfis[2]);
    struct ata_result r = {.status = ATA_STATUS_GOOD | ATA_STATUS_ERR,
                           .error = ATA_ERROR_ABRT,
                           .device = c->cfis[7],
                           .lba = cfis_lba48(c->cfis)};
    p->drive.ncq_log.valid = true;
    p->drive.ncq_log.not_queued = !queued;
    p->drive.ncq_log.tag = c->tag;
    p->drive.ncq_log.status = r.status;
    p->drive.ncq_log.error = r.error;
    p->drive.ncq_log.lba = r.lba;
    bool posted = post_d2h(p, &r, true);
    port_fatal(p, posted ? AHCI_PXIS_TFES | AHCI_PXIS_DHRS : AHCI_PXIS_HBFS);
}

static void issue(struct ahci_port *p, unsigned slot)
{
    struct ahci_command c;
    p->cmd = (p->cmd & ~(u32)AHCI_PXCMD_CCS) | slot << 8;
    if (!fetch(p, &c, slot)) {
        return;
    }
    if ((c.cfis[1] & 0x80) == 0) {
        control_fis(p, &c, slot);
        return;
    }
    c.active = true;
    c.queued = is_queued_command(p, &c);
    c.tag = c.queued ? c.cfis[12] >> 3 : 0;
    bool clash = p->commands[slot].active;
    for (unsigned i = 0; i < p->queued; i++) {
        clash = clash || !c.queued || p->commands[p->queue[i]].tag == c.tag;
    }
    if (clash) {
        queue_violation(p, &c, c.queued);
        return;
    }
    p->commands[slot] = c;
    p->queue[p->queued++] = (u8)slot;
    if (c.queued) {
        /* The drive releases the bus: the slot's bit clears, the tag stays in PxSACT. */
        struct ata_result r = {.status = ATA_STATUS_GOOD,
                               .device = c.cfis[7],
                               .lba = cfis_lba48(c.cfis),
                               .count = c.cfis[12]};
        p->ci &= ~BIT32(slot);
        if (!post_d2h(p, &r, false)) {
            port_fatal(p, AHCI_PXIS_HBFS);
            return;
        }
    } else {
        p->issued |= BIT32(slot);
        p->tfd |= ATA_STATUS_BSY;
    }
    if (p->queued == 1) {
        arm_head(p);
    }
}

/* Fetch commands while the drive takes any: round robin from the current slot on. Each turn clears
 * a bit of `ci`, makes the drive busy or stops the port, so this ends. */
void ahci_pump(struct ahci_port *p)
{
    while ((p->cmd & AHCI_PXCMD_CR) != 0 && !p->stopped &&
           (p->tfd & (ATA_STATUS_BSY | ATA_STATUS_DRQ)) == 0) {
        u32 waiting = p->ci & ~p->issued;
        if (waiting == 0 || p->queued == AHCI_SLOTS) {
            return;
        }
        unsigned slot = (unsigned)bits_get(p->cmd, 8, 5);
        do {
            slot = (slot + 1) % AHCI_SLOTS;
        } while (((waiting >> slot) & 1) == 0);
        issue(p, slot);
    }
}
