/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the host adapter (ahci.c) and the drives (ahci_ata.c, ahci_atapi.c) share. */
#ifndef VITRINE_DEVICES_AHCI_PRIV_H
#define VITRINE_DEVICES_AHCI_PRIV_H

#include "abi/x86/ahci.h"
#include "devices/ahci.h"

#define AHCI_SLOTS 32
#define AHCI_BUFFER KIB(64)
#define ATA_STATUS_GOOD (ATA_STATUS_DRDY | ATA_STATUS_DSC)

enum drive_kind { DRIVE_NONE, DRIVE_DISK, DRIVE_CDROM };

struct drive {
    enum drive_kind kind;                /* fixed */
    const struct block_backend *backend; /* fixed for disks; the host side restores a CD's */
    /* Disk. */
    u8 multiple; /* SET MULTIPLE MODE */
    bool write_cache, look_ahead, smart;
    u8 transfer_mode; /* SET FEATURES 3 */
    bool standby;
    struct { /* NCQ command error log, page 10h */
        bool valid, not_queued;
        u8 tag, status, error;
        u64 lba;
        u16 count;
    } ncq_log;
    /* CD. */
    u8 sense_key, asc, ascq;
    bool attention; /* a unit attention waits to be reported: */
    u8 attention_asc;
    bool medium_event; /* GET EVENT STATUS NOTIFICATION has news */
    bool tray_open, locked;
};

/* A command the adapter has fetched. */
struct ahci_command {
    bool active, queued; /* queued: NCQ */
    u8 tag;
    u16 flags, prdtl; /* header */
    u64 ctba;
    u8 cfis[20], acmd[16];
    /* Only while it executes, within one event: */
    u32 prd_index, prd_offset, moved;
    bool prd_interrupt;
};

struct ahci_port {
    struct ahci *ahci;
    unsigned number;
    struct timer timer; /* the command at the head of the queue completes */
    u64 clb, fb;
    u32 is, ie, cmd, tfd, sig, ssts, sctl, serr, sact, ci;
    u32 issued;       /* slots of `ci` that are fetched and not complete */
    bool stopped;     /* a fatal error: nothing happens until ST is cleared */
    bool soft_reset;  /* SRST was set by a control FIS */
    bool fis_pending; /* the signature waits for FRE */
    struct ahci_command commands[AHCI_SLOTS];
    u8 queue[AHCI_SLOTS]; /* slots in order of execution */
    u8 queued;
    struct drive drive;
};

struct ahci {
    struct pci_function fn;
    struct log *log;
    struct clock *clock;
    char id[32];
    u32 ghc, is, index; /* index: of the index-data pair */
    struct ahci_port ports[AHCI_PORTS];
    u8 buffer[AHCI_BUFFER]; /* scratch within one event: not state */
};

enum ata_protocol { ATA_NON_DATA, ATA_PIO_IN, ATA_PIO_OUT, ATA_DMA, ATA_PACKET_PIO };

/* What a drive says when a command ends. */
struct ata_result {
    enum ata_protocol protocol;
    u8 status, error, device;
    u64 lba;
    u16 count;
    u32 fatal; /* PxIS bits of an adapter error: there is no answer from the drive */
    bool to_host;
};

/* Move bytes between a buffer and the command's PRD table, on from where the last call ended.
 * False: r->fatal is set. */
bool ahci_to_guest(struct ahci_port *port, struct ahci_command *c, struct ata_result *r,
                   const void *data, u32 size);
bool ahci_from_guest(struct ahci_port *port, struct ahci_command *c, struct ata_result *r,
                     void *data, u32 size);

/* ahci_engine.c, for the registers. PxIS with the bits that mirror PxSERR; recompute IS and the
 * interrupt (`event`: something new, so a message is due even if the pin is high already); the
 * signature a drive sends after a reset; a command completes; fetch commands that wait. */
u32 ahci_port_is(const struct ahci_port *port);
void ahci_update_interrupt(struct ahci *ahci, bool event);
void ahci_send_signature(struct ahci_port *port);
void ahci_timer_fired(void *port);
void ahci_pump(struct ahci_port *port);

/* The drive executes a command; called once per command, at its completion time. */
void ata_execute(struct ahci_port *port, struct ahci_command *c, struct ata_result *r);
void atapi_execute(struct ahci_port *port, struct ahci_command *c, struct ata_result *r);
/* Bytes a command will move, for its duration. */
u64 ata_transfer_bytes(const struct drive *drive, const struct ahci_command *c);
u64 atapi_transfer_bytes(const struct ahci_command *c);
void atapi_identify(u8 out[512]);
/* Power-on or COMRESET (hard) and SRST or DEVICE RESET (soft). */
void drive_reset(struct drive *drive, bool hard);
void drive_state(struct drive *drive, struct state_io *io);

/* The command FIS's fields. */
u64 cfis_lba48(const u8 *cfis);
u16 cfis_count(const u8 *cfis);
/* Swapped ASCII, padded with blanks, into `words` words of identification data. */
void ata_put_string(u8 *out, const char *text, unsigned words);

#endif
