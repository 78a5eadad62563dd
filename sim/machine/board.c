/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The board: a Q35-like PC. Which device sits where and whose wire leads to whom; nothing else. */
#include "machine/machine.h"

#include "base/bits.h"
#include "cpu/apic.h"
#include "devices/debug_exit.h"
#include "devices/debugcon.h"
#include "devices/fw_cfg.h"
#include "devices/hpet.h"
#include "devices/i8254.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "devices/irq_or.h"
#include "devices/pm.h"
#include "devices/ps2.h"
#include "devices/q35.h"
#include "devices/rtc.h"
#include "devices/testdev.h"
#include "devices/testdevs.h"
#include "devices/uart16550.h"
#include "devices/virtio/virtio.h"
#include "machine/claims.h"
#include "machine/drives.h"
#include "machine/network.h"

#include <stdio.h>
#include <string.h>

/* ---- What devices say to the machine ---- */

static bool dma_read_memory(void *self, u16 requester, iova_t iova, void *data, u64 size)
{
    struct machine *m = self;
    UNUSED(requester);
    phys_read(&m->phys, SPA(iova.v), data, size);
    return true;
}

static bool dma_write_memory(void *self, u16 requester, iova_t iova, const void *data, u64 size)
{
    struct machine *m = self;
    UNUSED(requester);
    phys_write(&m->phys, SPA(iova.v), data, size);
    return true;
}

static void msi_to_apics(void *self, u16 requester, u64 address, u32 data)
{
    struct machine *m = self;
    UNUSED(requester);
    apic_bus_msi(&m->set, address, data);
}

/* The 8259's INT pin goes to every processor's LINT0; only those set to ExtINT listen. */
static void intr_pin(void *self, unsigned n, bool level)
{
    struct machine *m = self;
    UNUSED(n);
    for (unsigned i = 0; i < m->set.count; i++) {
        apic_set_lint(m->set.cpu[i]->apic, 0, level);
    }
}

int board_int_ack(void *self)
{
    struct machine *m = self;
    return i8259_ack(m->pic);
}

void board_eoi_broadcast(void *self, u8 vector)
{
    struct machine *m = self;
    ioapic_eoi(m->ioapic, vector);
}

/* FERR#: a pulse here; the port 0xf0 latch of the PC/AT clears nothing that anybody waits for. */
void board_ferr(void *self)
{
    struct machine *m = self;
    irq_set(&m->ferr, true);
    irq_set(&m->ferr, false);
}

static void on_sleep(void *self, unsigned slp_typ)
{
    struct machine *m = self;
    if (slp_typ == PM_SLP_TYP_S3) {
        m->requests.sleep_s3 = true;
    } else {
        m->requests.power_off = true;
    }
    machine_end_slice(m);
}

static void on_wake(void *self)
{
    struct machine *m = self;
    m->requests.wake = true;
    machine_end_slice(m);
}

static void on_reset(void *self, enum pm_reset kind)
{
    struct machine *m = self;
    if (kind == PM_RESET_INIT) {
        m->requests.init = true;
    } else {
        m->requests.reset = true;
    }
    machine_end_slice(m);
}

static void on_a20(void *self, bool enabled)
{
    struct machine *m = self;
    phys_set_a20(&m->phys, enabled);
}

/* To the processor that wrote, as QEMU's board has it unless the firmware negotiates a broadcast by
 * fw_cfg (SeaBIOS does not: it moves only its own SMBASE, and a second processor that took the SMI
 * after its SIPI would run what the first one's handler left at 38000h). */
static void on_smi(void *self, u8 command)
{
    struct machine *m = self;
    struct cpu *cpu = m->clock.running != NULL ? m->clock.running_cpu : NULL;
    UNUSED(command);
    if (cpu != NULL) {
        cpu->arch.smi_pending = true;
        cpu->d.pending = true;
        machine_end_slice(m);
    }
}

static void on_debug_exit(void *self, u32 value)
{
    machine_request_stop(self, STOP_DEBUG_EXIT, value);
}

static void on_keyboard_reset(void *self)
{
    on_reset(self, PM_RESET_HARD);
}

static void on_pm_moved(void *self, u16 base, bool enabled, unsigned sci)
{
    struct machine *m = self;
    UNUSED(sci);
    pm_set_base(m->pm, base, enabled);
}

/* ---- Memory ---- */

static void build_memory(struct machine *m)
{
    (void)phys_add_ram(&m->phys, REGION_RAM, SPA(0), m->ram_below_4g < 0xa0000 ? m->ram_below_4g : 0xa0000,
                       0, 0, "ram-low");
    if (m->ram_below_4g > MIB(1)) {
        (void)phys_add_ram(&m->phys, REGION_RAM, SPA(MIB(1)), m->ram_below_4g - MIB(1), MIB(1), 0,
                           "ram");
    }
    if (m->ram_above_4g > 0) {
        (void)phys_add_ram(&m->phys, REGION_RAM, SPA(GIB(4)), m->ram_above_4g, m->ram_below_4g, 0,
                           "ram-high");
    }
    if (m->bios_size > 0) {
        (void)phys_add_ram(&m->phys, REGION_ROM, SPA(GIB(4) - m->bios_size), m->bios_size,
                           m->bios_offset, 1, "bios");
    }
}

/* ---- IOMMU ---- */

/* What bus masters and senders of messages attach to. m->env itself stays what is behind the IOMMU. */
static struct device_env remapped_env(const struct machine *m)
{
    struct device_env env = m->env;
    if (m->iommu != NULL) {
        env.dma = iommu_dma(m->iommu);
        env.msi = iommu_msi(m->iommu);
    }
    return env;
}

static u16 requester(const struct machine *m, u16 usual)
{
    return m->config.iommu == IOMMU_AMD ? BOARD_AMD_SOUTHBRIDGE_REQUESTER : usual;
}

/* A device's interrupt went into the virtual APIC of a guest that runs there. */
static void ring_doorbell(void *self, u32 apic_id)
{
    struct machine *m = self;
    if (apic_id < m->set.count) {
        cpu_kick(m->set.cpu[apic_id]);
    }
}

/* Does the processor with that APIC ID run a guest? */
static bool runs_guest(void *self, u32 apic_id)
{
    const struct machine *m = self;
    return apic_id < m->set.count && m->set.cpu[apic_id]->arch.guest != GUEST_NONE;
}

static void build_iommu(struct machine *m)
{
    if (m->config.iommu == IOMMU_INTEL) {
        struct vtd_config config = {.options = m->config.vtd,
                                    .base = SPA(VTD_DEFAULT_BASE),
                                    .phys_bits = m->model.phys_bits,
                                    .ioapic_requester = BOARD_IOAPIC_REQUESTER,
                                    .hpet_requester = BOARD_HPET_REQUESTER};
        m->iommu = vtd_new(&m->env, "intel-iommu", &config);
    } else if (m->config.iommu == IOMMU_AMD) {
        struct amdvi_config config = {.options = m->config.amdvi,
                                      .base = SPA(AMDVI_DEFAULT_BASE),
                                      .phys_bits = m->model.phys_bits,
                                      .ioapic_requester = BOARD_AMD_SOUTHBRIDGE_REQUESTER,
                                      .hpet_requester = BOARD_AMD_SOUTHBRIDGE_REQUESTER,
                                      .doorbell = {.ring = ring_doorbell, .self = m}};
        m->iommu = amdvi_new(&m->env, "amd-iommu", &config);
    }
    if (m->iommu != NULL) {
        m->iommu->processors = (struct iommu_processors){.in_guest = runs_guest, .self = m};
    }
}

/* ---- Interrupt wires ---- */

struct isa_wires {
    struct irq_or *line[16];
    struct irq_or *high[8]; /* I/O APIC pins 16-23: PIRQA-H and the HPET */
};

/* Each ISA line reaches the 8259 pair and the I/O APIC; IRQ0 is pin 2 there. */
static void build_isa_lines(struct machine *m, struct isa_wires *isa)
{
    for (unsigned i = 0; i < 16; i++) {
        if (i == 2) {
            continue;
        }
        struct irq_line sinks[2] = {i8259_input(m->pic, i), ioapic_input(m->ioapic, i == 0 ? 2 : i)};
        char id[16];
        (void)snprintf(id, sizeof id, "isa.irq%u", i);
        isa->line[i] = irq_or_new(&m->env, id, sinks, 2);
    }
}

static void build_high_lines(struct machine *m, struct isa_wires *isa)
{
    for (unsigned i = 0; i < 8; i++) {
        struct irq_line sink = ioapic_input(m->ioapic, 16 + i);
        char id[16];
        (void)snprintf(id, sizeof id, "gsi%u", 16 + i);
        isa->high[i] = irq_or_new(&m->env, id, &sink, 1);
    }
}

static struct irq_line isa_source(struct isa_wires *isa, unsigned n)
{
    return irq_or_source(isa->line[n]);
}

static void build_timers(struct machine *m, struct isa_wires *isa)
{
    struct irq_line pit = isa_source(isa, 0);
    struct irq_line rtc_irq = isa_source(isa, 8);
    if (m->config.hpet) {
        struct hpet_outputs out = {.irq0 = pit, .irq8 = rtc_irq};
        for (unsigned i = 0; i < 8; i++) {
            out.pins[16 + i] = irq_or_source(isa->high[i]);
        }
        struct device_env env = remapped_env(m);
        m->hpet = hpet_new(&env, "hpet", SPA(BOARD_HPET_BASE),
                           requester(m, BOARD_HPET_REQUESTER), &out);
        pit = hpet_pit_input(m->hpet);
        rtc_irq = hpet_rtc_input(m->hpet);
    }
    if (m->config.pit) {
        (void)i8254_new(&m->env, "pit", pit);
    }
    struct rtc_config rc = {.base_seconds = m->config.rtc_base,
                            .ram_below_4g = m->ram_below_4g,
                            .ram_above_4g = m->ram_above_4g,
                            .cpu_count = m->config.cpus,
                            .boot_order = {2, 3, 0}};
    struct rtc_outputs ro = {.irq = rtc_irq, .alarm = pm_rtc_input(m->pm)};
    m->rtc = rtc_new(&m->env, "rtc", &rc, &ro);
}

static void build_pm(struct machine *m, struct isa_wires *isa)
{
    struct pm_config pc = {.base = Q35_PMBASE,
                           .timer_32bit = true,
                           .sci = isa_source(isa, 9),
                           .callbacks = {.sleep = on_sleep,
                                         .wake = on_wake,
                                         .reset = on_reset,
                                         .a20 = on_a20,
                                         .smi = on_smi,
                                         .self = m}};
    m->pm = pm_new(&m->env, "pm", &pc);
}

static void build_pci(struct machine *m, struct isa_wires *isa)
{
    struct device_env env = remapped_env(m);
    m->pci = pci_bus_new(&m->env);
    pci_bus_set_upstream(m->pci, env.dma, env.msi);
    struct mch_config mc = {.ram_offset = 0,
                            .tolud = m->ram_below_4g,
                            .touud = GIB(4) + m->ram_above_4g,
                            .bios_offset = m->bios_offset,
                            .bios_size = m->bios_size};
    m->mch = mch_new(&m->env, m->pci, &mc);
    struct ich9_lpc_wiring wiring = {.pm_changed = on_pm_moved, .self = m};
    for (unsigned i = 0; i < 8; i++) {
        wiring.pirq[i] = irq_or_source(isa->high[i]);
    }
    for (unsigned i = 3; i < 16; i++) {
        if (i != 8 && i != 13) {
            wiring.isa[i] = isa_source(isa, i);
        }
    }
    m->lpc = ich9_lpc_new(&m->env, m->pci, &wiring);
    ich9_smbus_new(&m->env, m->pci);
    if (m->config.iommu == IOMMU_AMD) {
        amdvi_add_function(m->iommu, m->pci, PCI_DEVFN(pci_bus_free_slot(m->pci, 1), 0));
    }
}

static void build_serial(struct machine *m, struct isa_wires *isa)
{
    static const u16 ports[MACHINE_MAX_SERIAL] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
    static const char *const names[MACHINE_MAX_SERIAL] = {"serial0", "serial1", "serial2", "serial3"};
    for (unsigned i = 0; i < m->config.serial_count; i++) {
        struct console *c = &m->consoles[m->console_count++];
        console_init(c, m, i, names[i], m->config.serial[i].input);
        m->uart[i] = uart16550_new(&m->env, names[i], ports[i], isa_source(isa, (i & 1) != 0 ? 3 : 4),
                                   console_chardev(c));
        c->end = uart16550_end(m->uart[i]);
        c->uart = m->uart[i];
    }
}

static void build_extras(struct machine *m, struct isa_wires *isa)
{
    if (m->config.debugcon.kind != CONSOLE_NONE) {
        unsigned n = m->console_count++;
        struct console *c = &m->consoles[n];
        console_init(c, m, n, "debugcon", CONSOLE_INPUT_NONE);
        debugcon_new(&m->env, "debugcon", m->config.debugcon_port, console_chardev(c));
    }
    if (m->config.debug_exit) {
        debug_exit_new(&m->env, "debug-exit", m->config.debug_exit_port, 4, on_debug_exit, m);
    }
    if (m->config.pc_testdev) {
        struct irq_line lines[16] = {{0}};
        for (unsigned i = 0; i < 16; i++) {
            if (i != 2) {
                lines[i] = isa_source(isa, i);
            }
        }
        testdev_new(&m->env, "pc-testdev", lines);
    }
    if (m->config.hyperv_testdev) {
        hyperv_testdev_new(&m->env, "hyperv-testdev");
    }
    if (m->config.trace_port) {
        claims_add_port(m);
    }
    if (m->config.pci_testdev) {
        pci_testdev_new(&m->env, m->pci, PCI_DEVFN(pci_bus_free_slot(m->pci, 1), 0), 0,
                        "pci-testdev");
    }
    if (m->config.edu) {
        edu_new(&m->env, m->pci, PCI_DEVFN(pci_bus_free_slot(m->pci, 1), 0), EDU_DEFAULT_DMA_MASK,
                "edu");
    }
    if (m->config.virtio_rng) {
        struct virtio_options o = {.env = &m->env,
                                   .pci = m->pci,
                                   .devfn = PCI_DEVFN(pci_bus_free_slot(m->pci, 1), 0),
                                   .id = "virtio-rng",
                                   .access_platform = m->config.virtio_access_platform};
        virtio_rng_new(&o, m->config.seed);
    }
    if (m->config.virtio_console) {
        struct virtio_options o = {.env = &m->env,
                                   .pci = m->pci,
                                   .devfn = PCI_DEVFN(pci_bus_free_slot(m->pci, 1), 0),
                                   .id = "virtio-console",
                                   .access_platform = m->config.virtio_access_platform};
        unsigned n = m->console_count++;
        struct console *c = &m->consoles[n];
        console_init(c, m, n, "virtcon", m->config.virtcon.input);
        c->end = virtio_console_end(virtio_console_new(&o, console_chardev(c)));
    }
}

bool board_build(struct machine *m, struct error *err)
{
    struct isa_wires isa = {{NULL}, {NULL}};
    m->env = (struct device_env){
        .clock = &m->clock,
        .log = &m->log,
        .bus = &m->bus,
        .phys = &m->phys,
        .dma = {.read = dma_read_memory, .write = dma_write_memory, .self = m},
        .msi = {.send = msi_to_apics, .self = m},
    };
    bus_init(&m->bus, &m->log);
    build_memory(m);
    m->pic = i8259_new(&m->env, "pic", (struct irq_line){.set = intr_pin, .target = m});
    build_iommu(m);
    struct device_env env = remapped_env(m);
    m->ioapic = ioapic_new(&env, "ioapic", SPA(BOARD_IOAPIC_BASE),
                           requester(m, BOARD_IOAPIC_REQUESTER));
    build_isa_lines(m, &isa);
    build_high_lines(m, &isa);
    m->ferr = isa_source(&isa, 13);
    build_pm(m, &isa);
    build_timers(m, &isa);
    build_pci(m, &isa);
    build_serial(m, &isa);
    struct ps2_wiring ps2 = {.irq1 = isa_source(&isa, 1),
                             .irq12 = isa_source(&isa, 12),
                             .a20 = pm_a20_input(m->pm),
                             .reset = on_keyboard_reset,
                             .self = m};
    (void)ps2_new(&m->env, "ps2", &ps2);
    m->fw_cfg = fw_cfg_new(&m->env, "fw_cfg");
    build_extras(m, &isa);
    if (m->config.nic) {
        network_build(m);
    }
    return drives_build(m, err);
}

void board_reset(struct machine *m, bool power)
{
    phys_set_a20(&m->phys, true);
    bus_reset(&m->bus, power ? RESET_POWER : RESET_HARD);
    m->asleep_s3 = false;
}
