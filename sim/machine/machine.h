/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A machine: processors, memory and board as one value, and the loop that runs it. Several can live
 * in one process. Everything that decides a run stands in struct machine_config and in what comes
 * through the input gate. */
#ifndef VITRINE_MACHINE_MACHINE_H
#define VITRINE_MACHINE_MACHINE_H

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "base/types.h"
#include "cpu/cpu.h"
#include "cpu/decode/block.h"
#include "cpu/model.h"
#include "cpu/tlb.h"
#include "devices/bus.h"
#include "devices/chardev.h"
#include "machine/console.h"
#include "mmu/phys.h"

#define MACHINE_MAX_SERIAL 4
#define MACHINE_MAX_DRIVES 16
#define MACHINE_MAX_MODULES 32

/* Where things lie on the board. */
#define BOARD_IOAPIC_BASE 0xfec00000u
#define BOARD_HPET_BASE 0xfed00000u
#define BOARD_APIC_BASE 0xfee00000u
#define BOARD_RAM_BELOW_4G_MAX 0x80000000u /* 2 GiB; the rest of RAM starts at 4 GiB */

enum console_kind { CONSOLE_NONE, CONSOLE_STDIO, CONSOLE_FILE, CONSOLE_PTY };

struct console_config {
    enum console_kind kind;
    const char *path; /* CONSOLE_FILE */
};

/* How a bzImage is entered. */
enum boot_protocol { BOOT_AUTO, BOOT_LINUX64, BOOT_LINUX32, BOOT_PVH };

enum drive_interface { DRIVE_VIRTIO, DRIVE_AHCI, DRIVE_CDROM };

struct drive_config {
    enum drive_interface interface;
    const char *path;
    u32 format; /* enum block_format */
    bool read_only, snapshot;
};

struct module_config {
    const char *path;
    const char *args; /* may be NULL */
};

/* Strings belong to the caller and must outlive the machine. */
struct machine_config {
    struct cpu_model model;
    unsigned cpus;
    u64 ram_bytes;
    const char *kernel, *append, *firmware;
    enum boot_protocol boot_protocol;
    struct module_config modules[MACHINE_MAX_MODULES]; /* the initrd is module 0 */
    unsigned module_count;
    struct drive_config drives[MACHINE_MAX_DRIVES];
    unsigned drive_count;
    const char *boot_order; /* letters as in QEMU's -boot: c disks, d CD-ROMs; NULL: "cd" */
    bool nic;
    const char *nic_options; /* "hostfwd=..." list or NULL */
    struct console_config serial[MACHINE_MAX_SERIAL];
    unsigned serial_count;
    struct console_config debugcon;
    u16 debugcon_port;
    bool debug_exit;
    u16 debug_exit_port;
    bool pc_testdev, pci_testdev, edu, virtio_rng, virtio_console;
    bool hpet; /* on unless switched off */
    bool no_reboot;
    u64 seed, quantum, tsc_hz, ips;
    i64 rtc_base;
    const char *stop_on; /* NULL: none */
    u64 max_instructions; /* 0: none */
    bool pace_host;
    /* Host-side only, without effect on what the guest sees: */
    u64 tlb_entries;
    u64 code_cache_bytes;
    u64 epoch;
};

void machine_config_init(struct machine_config *config);

enum stop_reason {
    STOP_NONE,
    STOP_POWER_OFF,
    STOP_ON_TEXT,    /* --stop-on was met */
    STOP_DEBUG_EXIT, /* a write to the isa-debug-exit port; code in result.code */
    STOP_LIMIT,
    STOP_RESET,        /* ordered, under --no-reboot */
    STOP_TRIPLE_FAULT, /* under --no-reboot */
    STOP_ALL_HALTED,
    STOP_INTERRUPTED, /* Ctrl-C */
    STOP_QUIT,        /* Ctrl-A x */
    STOP_ERROR,       /* a host error; text in machine->error */
    STOP_STRICT,
};

struct run_result {
    enum stop_reason reason;
    u32 code;
};

struct i8259;
struct ioapic;
struct pci_bus;
struct pm;
struct mch;
struct ich9_lpc;
struct rtc;
struct hpet;
struct fw_cfg;
struct uart16550;
struct block_disk;

/* Requests that devices make in the middle of an access; the run loop acts at the boundary. */
struct machine_requests {
    bool reset, power_off, triple_fault, sleep_s3, wake, init;
    enum stop_reason stop;
    u32 stop_code;
};

struct machine {
    struct machine_config config;
    struct error error;
    struct log log;
    struct clock clock;
    struct phys phys;
    struct bus bus;
    struct device_env env;
    struct cpu_set set;
    struct use_pool uses;
    struct code_cache code;
    struct cpu *cpus; /* array of config.cpus */
    struct cpu_model model;
    /* Deterministic turns: whose it is and what is left of it. Saved. */
    u32 turn;
    u64 turn_left;
    bool asleep_s3;
    struct machine_requests requests;
    /* The board. */
    struct i8259 *pic;
    struct ioapic *ioapic;
    struct pci_bus *pci;
    struct pm *pm;
    struct mch *mch;
    struct ich9_lpc *lpc;
    struct rtc *rtc;
    struct hpet *hpet;
    struct irq_line ferr; /* IRQ 13 */
    struct fw_cfg *fw_cfg;
    struct uart16550 *uart[MACHINE_MAX_SERIAL];
    struct console consoles[MACHINE_MAX_SERIAL + 2];
    unsigned console_count;
    struct block_disk *disks[MACHINE_MAX_DRIVES];
    unsigned disk_count;
    char drive_path[MACHINE_MAX_DRIVES][64]; /* config.drives as firmware names them */
    u64 ram_below_4g, ram_above_4g;
    u64 bios_offset, bios_size;
    volatile int interrupted; /* set by a signal handler of the owner */
};

/* Build, load and reset. NULL with a line in *err when the configuration or a file is bad. */
struct machine *machine_new(const struct machine_config *config, struct error *err);
void machine_free(struct machine *m);
/* Run until something stops it; may be called again after it returned. */
struct run_result machine_run(struct machine *m);
/* Visits everything that decides the future. */
void machine_state(struct machine *m, struct state_io *io);
u64 machine_hash(struct machine *m);
/* Write disks' overlays to their files. */
bool machine_commit(struct machine *m, struct error *err);

/* For board.c and boot/: */
bool board_build(struct machine *m, struct error *err);
void board_reset(struct machine *m, bool power);
int board_int_ack(void *machine);
void board_eoi_broadcast(void *machine, u8 vector);
void board_ferr(void *machine);
/* Reset everything; the caller loads a direct boot again. */
void machine_reset(struct machine *m, bool power);
bool boot_load(struct machine *m, struct error *err); /* after every reset of a direct boot */
void machine_request_stop(struct machine *m, enum stop_reason reason, u32 code);
/* Make the running processor come back at the next boundary. */
void machine_end_slice(struct machine *m);

#endif
