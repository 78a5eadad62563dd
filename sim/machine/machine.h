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
#include "devices/iommu/amdvi.h"
#include "devices/iommu/vtd.h"
#include "devices/netdev.h"
#include "jit/jit.h"
#include "machine/console.h"
#include "mmu/phys.h"
#include "trace/gate.h"
#include "trace/trace.h"

#define MACHINE_MAX_SERIAL 4
#define MACHINE_MAX_DRIVES 16
#define MACHINE_MAX_MODULES 32

/* Where things lie on the board. */
#define BOARD_IOAPIC_BASE 0xfec00000u
#define BOARD_HPET_BASE 0xfed00000u
/* Requester IDs that the ICH9's I/O APIC and HPET have by default [ICH9 "LPC Interface Bridge
 * Registers"]: on a bus of their own. */
#define BOARD_IOAPIC_REQUESTER 0xf0f8
#define BOARD_HPET_REQUESTER 0xf078
/* On boards with an AMD IOMMU both are where software expects the southbridge: 00:14.0. */
#define BOARD_AMD_SOUTHBRIDGE_REQUESTER 0x00a0
#define BOARD_APIC_BASE 0xfee00000u
#define BOARD_RAM_MIN 0x1000000u          /* 16 MiB */
#define BOARD_RAM_BELOW_4G_MAX 0xb0000000u /* up to the ECAM window; the rest of RAM starts at 4 GiB */

enum console_kind { CONSOLE_NONE, CONSOLE_STDIO, CONSOLE_FILE, CONSOLE_PTY };

struct console_config {
    enum console_kind kind;
    const char *path; /* CONSOLE_FILE */
    enum console_input input; /* what stands behind CONSOLE_STDIO and CONSOLE_PTY */
};

/* How a bzImage is entered. */
enum boot_protocol { BOOT_AUTO, BOOT_LINUX64, BOOT_LINUX32, BOOT_PVH };

enum iommu_kind { IOMMU_NONE, IOMMU_INTEL, IOMMU_AMD };

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

/* Read file `to` where the configuration says `from`; the guest sees the latter's name. */
struct file_map {
    const char *from, *to;
};

/* How instructions are executed; no guest can tell. BEST: the translator where the host has one. */
enum engine { ENGINE_INTERP, ENGINE_JIT, ENGINE_LOCKSTEP, ENGINE_BEST };

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
    bool pc_testdev, pci_testdev, hyperv_testdev, trace_port, edu, virtio_rng, virtio_console;
    struct console_config virtcon; /* behind virtio_console */
    bool hpet, pit; /* on unless switched off */
    enum iommu_kind iommu; /* with the options of its kind */
    struct vtd_options vtd;
    struct amdvi_options amdvi;
    bool virtio_access_platform; /* virtio devices offer ACCESS_PLATFORM: they go through the IOMMU */
    bool no_reboot;
    u64 seed, quantum, tsc_hz, ips;
    i64 rtc_base;
    const char *stop_on; /* NULL: none */
    u64 max_instructions; /* 0: none */
    const char *script; /* text of --script; NULL: none */
    const char *script_name;
    const struct file_map *files; /* host-side: where files have moved to */
    unsigned file_count;
    /* Host-side only, without effect on what the guest sees: */
    bool disks_stay; /* no drive's file is written to */
    u64 tlb_entries;
    u64 code_cache_bytes;
    enum engine engine;
    u64 jit_bytes;
    u32 jit_threshold;
    u32 jit_without;   /* enum jit_feature */
    bool jit_hide_avx; /* translate as for a host with SSE2 only */
    u64 epoch; /* counts between state hashes of a recording */
    /* travel.h: what checkpoints may take, and the counts between them; 0: its defaults. */
    u64 travel_memory, travel_spacing;
};

void machine_config_init(struct machine_config *config);

/* Why a run ends: name on the line of --hash and in traces, meaning. */
#define STOP_REASONS(X)                                                                            \
    X(NONE, "none", "it goes on")                                                                  \
    X(POWER_OFF, "power-off", "the guest switched the machine off")                                \
    X(ON_TEXT, "stop-on", "--stop-on was met, or a script said stop")                              \
    X(DEBUG_EXIT, "debug-exit", "a write to the isa-debug-exit port; value in result.code")        \
    X(LIMIT, "limit", "--max-instructions")                                                        \
    X(POSITION, "position", "machine->stop_at is reached")                                                        \
    X(RESET, "reset", "ordered, under --no-reboot")                                                \
    X(TRIPLE_FAULT, "triple-fault", "under --no-reboot")                                           \
    X(ALL_HALTED, "all-halted", "every processor waits for what cannot come")                      \
    X(INTERRUPTED, "interrupted", "Ctrl-C")                                                        \
    X(QUIT, "quit", "Ctrl-A x")                                                                    \
    X(ERROR, "error", "a host error; text in machine->error")                                      \
    X(STRICT, "strict", "--strict and something not modelled")                                     \
    X(REPLAY_END, "replay-end", "the recording ends here")                                         \
    X(DIFFERS, "differs", "the replay is not the recorded run; text in machine->error")    \
    X(VIOLATION, "violation", "the isolation watch found memory shared by strangers")              \
    X(BREAK, "break", "a stop point of the debugger; machine/stops.h says which")

enum stop_reason {
#define X(id, name, meaning) STOP_##id,
    STOP_REASONS(X)
#undef X
};
#define STOP_REASON_LAST STOP_BREAK

/* What the isolation watch does when two strangers share memory. */
enum violation_policy { VIOLATION_REPORT, VIOLATION_STOP };
const char *stop_reason_name(enum stop_reason reason);

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
struct script;
struct outside;
struct net_user;
struct net_local;
struct machine_recording;
struct watching;
struct travel;
struct stops;

/* Requests that devices make in the middle of an access; the run loop acts at the boundary. */
struct machine_requests {
    bool reset, power_off, triple_fault, sleep_s3, wake, init;
    bool stop_break; /* machine/stops.h: the run ends here, after all else is done */
    enum stop_reason stop;
    u32 stop_code;
};

struct machine {
    struct machine_config config;
    struct error error;
    struct log log;
    struct clock clock;
    struct trace trace;
    struct gate gate;
    struct phys phys;
    struct bus bus;
    struct device_env env;
    struct cpu_set set;
    struct use_pool uses;
    struct code_cache code;
    struct jit *jit; /* NULL: interpreter only */
    struct cpu *cpus; /* array of config.cpus */
    struct cpu_model model;
    /* Deterministic turns: whose it is and what is left of it. Saved. */
    u32 turn;
    u64 turn_left;
    bool asleep_s3;
    u64 deaf_since; /* virtual ns since when no processor listens to interrupts; ~0: one does. Saved. */
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
    struct iommu *iommu; /* NULL: none */
    struct irq_line ferr; /* IRQ 13 */
    struct fw_cfg *fw_cfg;
    struct uart16550 *uart[MACHINE_MAX_SERIAL];
    struct console consoles[MACHINE_MAX_SERIAL + 2];
    unsigned console_count;
    struct script *script; /* NULL: none */
    struct net_port net_port;       /* the card */
    struct net_backend net_cable;   /* what it sends to; frames are traced on the way */
    struct net_local *net_local; /* owned by the bus */
    struct block_disk *disks[MACHINE_MAX_DRIVES];
    unsigned disk_count;
    char drive_path[MACHINE_MAX_DRIVES][64]; /* config.drives as firmware names them */
    u64 ram_below_4g, ram_above_4g;
    u64 bios_offset, bios_size;
    volatile int interrupted; /* set by a signal handler of the owner */
    bool quit;                /* Ctrl-A x */
    /* Host side: NULL while nothing is attached. */
    struct watching *watching; /* machine/watching.h */
    u8 *watch_saved;           /* of a restored state, for a watch that is not on yet */
    size_t watch_saved_size;
    struct outside *outside;
    struct net_user *net_user;
    /* Recording and replaying: machine/evidence.h. */
    struct travel *travel; /* machine/travel.h; NULL: one cannot go back */
    struct stops *stops;   /* machine/stops.h; NULL: none was ever set */
    u64 seen;              /* how many events somebody has noted who looks on (trace_look); goes back with the machine */
    u64 stop_at;           /* position at which machine_run returns; ~0: none */
    u64 next_mark; /* position of the next state hash; ~0: none */
    const struct machine_recording *recording;
    size_t recording_next; /* mark to be compared next */
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
/* What stands behind a console: the serial ports come first, then port 0xe9 if it is shown, then the virtio
 * console. */
const struct console_config *machine_console_config(const struct machine *m, unsigned number);
/* The file that is read where the configuration says `path`. */
const char *machine_file(const struct machine *m, const char *path);
void machine_request_stop(struct machine *m, enum stop_reason reason, u32 code);
/* Make the running processor come back at the next boundary. */
void machine_end_slice(struct machine *m);

#endif
