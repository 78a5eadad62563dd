/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/machine.h"

#include "base/assert.h"
#include "base/bits.h"
#include "cpu/apic.h"
#include "cpu/pmu.h"
#include "cpu/virt.h"
#include "devices/q35.h"
#include "machine/boot/boot.h"
#include "machine/drives.h"
#include "machine/host/block.h"
#include "machine/outside.h"
#include "machine/watching.h"
#include "machine/script.h"
#include "machine/stops.h"
#include "machine/travel.h"
#include "trace/events.h"

#include <stdlib.h>
#include <string.h>

void machine_config_init(struct machine_config *c)
{
    memset(c, 0, sizeof *c);
    c->cpus = 1;
    c->ram_bytes = MIB(256);
    c->hpet = true;
    c->pit = true;
    c->vtd = VTD_OPTIONS_DEFAULT;
    c->amdvi = AMDVI_OPTIONS_DEFAULT;
    c->seed = 1;
    c->quantum = 10000;
    c->ips = 1000000000u;
    c->tsc_hz = 2000000000u;
    c->rtc_base = 1767225600; /* 2026-01-01 00:00:00 UTC */
    c->debugcon_port = 0xe9;
    c->debug_exit_port = 0xf4;
    c->tlb_entries = TLB_ENTRIES_MAX;
    c->code_cache_bytes = MIB(64);
    c->jit_bytes = MIB(64);
    c->jit_threshold = 64;
    c->epoch = 200000000u;
}

/* ---- Callbacks of the processors and the memory map ---- */

static u32 port_read(void *self, u16 port, unsigned size)
{
    struct machine *m = self;
    u32 value = bus_port_read(&m->bus, port, size);
    trace_port_read(&m->trace, trace_running(&m->trace), port, size, value);
    return value;
}

static void port_write(void *self, u16 port, u32 value, unsigned size)
{
    struct machine *m = self;
    trace_port_write(&m->trace, trace_running(&m->trace), port, size, value);
    bus_port_write(&m->bus, port, value, size);
}

static void cpu_shut_down(void *self, unsigned cpu)
{
    struct machine *m = self;
    log_line(&m->log, LOG_CPU, "processor %u: shutdown (triple fault)", cpu);
    m->requests.triple_fault = true;
    machine_end_slice(m);
}

/* SMIACT#: the memory controller shows SMRAM to the running processor. */
static void smi_active(void *self, bool in_smm)
{
    struct machine *m = self;
    mch_set_smm_view(m->mch, in_smm);
}

static void before_write(void *self, u64 frame, u64 offset, u64 size)
{
    struct machine *m = self;
    mem_before_ram_write(&m->set, &m->phys, frame, offset, size);
}

static void map_changed(void *self)
{
    struct machine *m = self;
    for (unsigned i = 0; i < m->set.count; i++) {
        tlb_drop_all(m->set.cpu[i]);
    }
}

/* A deadline was set in the middle of a slice: the slice ends, so that its length cannot decide when
 * the timer fires. */
static void deadline_moved(void *self)
{
    machine_end_slice(self);
}

const struct console_config *machine_console_config(const struct machine *m, unsigned number)
{
    const struct machine_config *c = &m->config;
    if (number < c->serial_count) {
        return &c->serial[number];
    }
    return number == c->serial_count && c->debugcon.kind != CONSOLE_NONE ? &c->debugcon : &c->virtcon;
}

const char *machine_file(const struct machine *m, const char *path)
{
    for (unsigned i = 0; i < m->config.file_count; i++) {
        if (strcmp(m->config.files[i].from, path) == 0) {
            return m->config.files[i].to;
        }
    }
    return path;
}

const char *stop_reason_name(enum stop_reason reason)
{
    static const char *const names[] = {
#define X(id, name, meaning) [STOP_##id] = name,
        STOP_REASONS(X)
#undef X
    };
    return (unsigned)reason < ARRAY_LEN(names) ? names[reason] : "unknown";
}

static bool build_script(struct machine *m, struct error *err)
{
    if (m->config.script == NULL) {
        return true;
    }
    const char *name = m->config.script_name != NULL ? m->config.script_name : "script";
    m->script = script_new(m, m->config.script, name, err);
    return m->script != NULL;
}

static bool build_processors(struct machine *m)
{
    m->cpus = aligned_alloc(64, align_up(m->config.cpus * sizeof *m->cpus, 64));
    if (m->cpus == NULL || !use_pool_init(&m->uses) ||
        !code_cache_init(&m->code, &m->model, m->config.code_cache_bytes)) {
        return false;
    }
    memset(m->cpus, 0, m->config.cpus * sizeof *m->cpus);
    m->set.uses = &m->uses;
    for (unsigned i = 0; i < m->config.cpus; i++) {
        struct cpu *cpu = &m->cpus[i];
        cpu->index = i;
        cpu->set = &m->set;
        cpu->model = &m->model;
        cpu->phys = &m->phys;
        cpu->clock = &m->clock;
        cpu->log = &m->log;
        cpu->trace = &m->trace;
        cpu->code = &m->code;
        cpu->ports = (struct cpu_ports){.io_read = port_read,
                                        .io_write = port_write,
                                        .int_ack = board_int_ack,
                                        .eoi_broadcast = board_eoi_broadcast,
                                        .ferr = board_ferr,
                                        .smi_ack = smi_active,
                                        .cpu_reset = cpu_shut_down,
                                        .self = m};
        cpu->arch.rng_state[0] = m->config.seed * 0x9e3779b97f4a7c15u + i;
        cpu->arch.rng_state[1] = ~m->config.seed ^ ((u64)i << 32);
        m->set.cpu[i] = cpu;
        if (!tlb_init(cpu, m->config.tlb_entries)) {
            return false;
        }
        cpu->apic = apic_new(cpu);
        cpu->pmu = pmu_new(cpu);
        virt_init(cpu);
        if (cpu->apic == NULL || cpu->pmu == NULL) {
            return false;
        }
        m->set.count = i + 1;
    }
    return true;
}

static bool build_engine(struct machine *m, struct error *err)
{
    const struct machine_config *c = &m->config;
    const char *why = NULL;
    if (c->engine == ENGINE_INTERP) {
        return true;
    }
    struct jit_config jc = {.bytes = c->jit_bytes,
                            .threshold = c->jit_threshold,
                            .tlb_entries = c->tlb_entries,
                            .hide_avx = c->jit_hide_avx,
                            .without = c->jit_without,
                            .lockstep = c->engine == ENGINE_LOCKSTEP};
    m->jit = jit_new(&m->set, &m->code, &m->log, &jc, &why);
    return m->jit != NULL || c->engine == ENGINE_BEST ||
           error_set(err, EXIT_STATUS_USAGE, "--engine: %s; try --engine interp", why);
}

/* A flash chip of whole blocks under 4 GiB, at most as large as the window that the board decodes. */
static bool check_firmware(const char *path, u64 size, struct error *err)
{
    return (size > 0 && size <= MIB(16) && size % KIB(64) == 0) ||
           error_set(err, EXIT_STATUS_BAD_FILE,
                     "%s: not a firmware image: %llu bytes, multiples of 64 KiB up to 16 MiB are taken", path,
                     (unsigned long long)size);
}

struct machine *machine_new(const struct machine_config *config, struct error *err)
{
    if (config->cpus == 0 || config->cpus > CPU_MAX || config->ram_bytes < BOARD_RAM_MIN ||
        config->ram_bytes % MIB(1) != 0) {
        (void)error_set(err, EXIT_STATUS_USAGE, "no machine has %u processors and %llu bytes of memory",
                        config->cpus, (unsigned long long)config->ram_bytes);
        return NULL;
    }
    struct machine *m = calloc(1, sizeof *m);
    if (m == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        return NULL;
    }
    m->config = *config;
    m->model = config->model;
    log_init(&m->log);
    clock_init(&m->clock, config->ips, config->tsc_hz);
    m->clock.deadline_moved = deadline_moved;
    m->clock.owner = m;
    trace_init(&m->trace, &m->clock);
    gate_init(&m->gate, &m->clock, &m->trace);
    m->next_mark = ~(u64)0;
    m->stop_at = ~(u64)0;
    m->ram_below_4g =
        config->ram_bytes < BOARD_RAM_BELOW_4G_MAX ? config->ram_bytes : BOARD_RAM_BELOW_4G_MAX;
    m->ram_above_4g = config->ram_bytes - m->ram_below_4g;
    struct boot_file bios = {0};
    if (config->firmware != NULL &&
        (!boot_read_file("firmware", machine_file(m, config->firmware), &bios, err) ||
         !check_firmware(config->firmware, bios.size, err))) {
        boot_free_file(&bios);
        machine_free(m);
        return NULL;
    }
    m->bios_offset = align_up(config->ram_bytes, PAGE_SIZE);
    m->bios_size = align_up(bios.size, PAGE_SIZE);
    if (!phys_init(&m->phys, &m->log, m->bios_offset + m->bios_size) || !build_processors(m)) {
        (void)error_set(err, EXIT_STATUS_INTERNAL,
                        "the host has no %llu MiB for the machine; try a smaller --memory",
                        (unsigned long long)(config->ram_bytes >> 20));
        boot_free_file(&bios);
        machine_free(m);
        return NULL;
    }
    m->phys.trace = &m->trace;
    m->phys.watch = (struct phys_watch){
        .before_write = before_write, .map_changed = map_changed, .self = m};
    if (bios.size > 0) {
        memcpy(m->phys.ram + m->bios_offset + (m->bios_size - bios.size), bios.data, bios.size);
        for (u64 at = m->bios_offset; at < m->bios_offset + m->bios_size; at += PAGE_SIZE) {
            phys_note_write(&m->phys, at >> PAGE_SHIFT);
        }
    }
    boot_free_file(&bios);
    if (!build_engine(m, err) || !board_build(m, err) || !build_script(m, err)) {
        machine_free(m);
        return NULL;
    }
    boot_describe_to_firmware(m);
    machine_reset(m, true);
    if (!boot_load(m, err)) {
        machine_free(m);
        return NULL;
    }
    return m;
}

void machine_reset(struct machine *m, bool power)
{
    board_reset(m, power);
    for (unsigned i = 0; i < m->set.count; i++) {
        struct cpu *cpu = m->set.cpu[i];
        apic_reset(cpu->apic, false);
        cpu_reset(cpu, CPU_RESET_POWER);
        trace_cpu_change(&m->trace, i, TRACE_CPU_RESET, cpu->arch.rip);
        tlb_drop_all(cpu);
    }
    m->turn = 0;
    m->turn_left = m->config.quantum;
    m->asleep_s3 = false;
    m->deaf_since = VTIME_NEVER.ns;
    watching_forget(m);
}

void machine_free(struct machine *m)
{
    if (m == NULL) {
        return;
    }
    if (m->jit != NULL && log_on(&m->log, LOG_JIT)) {
        jit_log_stats(m->jit);
    }
    outside_detach(m);
    watching_stop(m);
    free(m->watch_saved);
    travel_stop(m);
    stops_free(m);
    (void)trace_finish(&m->trace, &m->error);
    gate_free(&m->gate);
    script_free(m->script);
    bus_free(&m->bus);
    drives_close(m);
    for (unsigned i = 0; i < m->config.cpus && m->cpus != NULL; i++) {
        if (m->cpus[i].apic != NULL) {
            apic_free(m->cpus[i].apic);
        }
        pmu_free(m->cpus[i].pmu);
        tlb_free(&m->cpus[i]);
    }
    free(m->cpus);
    use_pool_free(&m->uses);
    code_cache_free(&m->code);
    jit_free(m->jit);
    phys_free(&m->phys);
    free(m);
}

void machine_state(struct machine *m, struct state_io *io)
{
    state_section(io, "machine", 1);
    state_u32(io, "turn", &m->turn);
    state_u64(io, "turn_left", &m->turn_left);
    state_bool(io, "asleep_s3", &m->asleep_s3);
    state_u64(io, "deaf_since", &m->deaf_since);
    clock_state(&m->clock, io);
    for (unsigned i = 0; i < m->set.count; i++) {
        cpu_state(m->set.cpu[i], io);
    }
    for (unsigned i = 0; i < m->console_count; i++) {
        console_state(&m->consoles[i], io);
    }
    if (m->script != NULL) {
        script_state(m->script, io);
    }
    bus_state(&m->bus, io);
    for (unsigned i = 0; i < m->disk_count; i++) {
        block_state(m->disks[i], io);
    }
    phys_state(&m->phys, io);
    if (state_is_load(io)) {
        if (!io->without_ram) { /* else who changes memory also sees to the code in it */
            code_flush(&m->set, &m->phys);
        }
        for (unsigned i = 0; i < m->set.count; i++) {
            tlb_drop_all(m->set.cpu[i]);
            cpu_update_mode(m->set.cpu[i]);
            m->set.cpu[i]->d.pending = true;
        }
    }
    watching_state(m, io);
}

u64 machine_hash(struct machine *m)
{
    struct state_io io;
    state_init_hash(&io);
    machine_state(m, &io);
    return io.hash;
}

bool machine_commit(struct machine *m, struct error *err)
{
    for (unsigned i = 0; i < m->disk_count; i++) {
        if (!block_commit(m->disks[i], err)) {
            return false;
        }
    }
    return true;
}
