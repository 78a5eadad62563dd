/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a PC firmware leaves behind, for kernels that are booted without one: chip set, interrupt
 * controllers, timer, MTRRs, and the low-memory tables of real mode. Also the part firmware plays when
 * the machine wakes up from S3: set the chips up again and jump to the vector in the FACS
 * [ACPI "Waking Up the System", "Firmware ACPI Control Structure"].
 *
 * The interrupt vectors lead to stubs that acknowledge the interrupt and return; INT 8 counts the
 * timer's ticks. BIOS services do not exist. */
#include "machine/boot/boot.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "cpu/apic.h"
#include "cpu/model.h"
#include "cpu/msr.h"
#include "devices/pm.h"
#include "devices/q35.h"

#include <string.h>

/* Offsets in segment F000h, where software of the first PCs looks for them. */
#define STUB_SEGMENT 0xf000u
#define STUB_TIMER 0xfea5u
#define STUB_IRET 0xff53u
#define STUB_PIC1 0xff54u
#define STUB_PIC2 0xff60u

#define BDA_AT 0x400u
#define BDA_EBDA_SEGMENT 0x0e
#define BDA_MEMORY_KIB 0x13

#define APIC_REG_SVR 0xf0u
#define APIC_REG_LINT0 0x350u
#define APIC_REG_LINT1 0x360u

#define TYPE_WB 6u
#define MTRR_ENABLE 0xc00u /* all and fixed ranges */
#define MTRR_VALID BIT(11)
#define SYSCFG_MTRR_FIX_DRAM_EN BIT(18)
#define SYSCFG_MTRR_VAR_DRAM_EN BIT(20)
#define SYSCFG_MTRR_TOM2_EN BIT(21)
#define SYSCFG_TOM2_FORCE_WB BIT(22)
/* AMD keeps RdMem and WrMem beside the type: DRAM there. */
#define FIXED_WB 0x0606060606060606u
#define FIXED_WP 0x0505050505050505u
#define FIXED_RD_MEM 0x1010101010101010u
#define FIXED_WR_MEM 0x0808080808080808u

static void load_stubs(struct machine *m)
{
    static const u8 timer[] = {0x1e,                         /* push ds */
                               0x50,                         /* push ax */
                               0x31, 0xc0,                   /* xor ax, ax */
                               0x8e, 0xd8,                   /* mov ds, ax */
                               0x66, 0xff, 0x06, 0x6c, 0x04, /* inc dword [0x46c]: ticks */
                               0xb0, 0x20,                   /* mov al, 0x20: EOI */
                               0xe6, 0x20,                   /* out 0x20, al */
                               0x58,                         /* pop ax */
                               0x1f,                         /* pop ds */
                               0xcf};                        /* iret */
    static const u8 iret[] = {0xcf};
    static const u8 pic1[] = {0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf};
    static const u8 pic2[] = {0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf};
    const struct {
        u32 offset;
        const u8 *code;
        u64 size;
    } stubs[] = {{STUB_TIMER, timer, sizeof timer},
                 {STUB_IRET, iret, sizeof iret},
                 {STUB_PIC1, pic1, sizeof pic1},
                 {STUB_PIC2, pic2, sizeof pic2}};
    for (unsigned i = 0; i < ARRAY_LEN(stubs); i++) {
        (void)phys_load(&m->phys, SPA(STUB_SEGMENT * 16 + stubs[i].offset), stubs[i].code, stubs[i].size);
    }
}

static void load_low_memory(struct machine *m)
{
    u8 table[0x400];
    for (unsigned v = 0; v < 256; v++) {
        unsigned stub = v == 0x08                ? STUB_TIMER
                        : v > 0x08 && v < 0x10   ? STUB_PIC1
                        : v >= 0x70 && v < 0x78  ? STUB_PIC2
                                                 : STUB_IRET;
        store_le32(table + (size_t)4 * v, STUB_SEGMENT << 16 | stub);
    }
    (void)phys_load(&m->phys, SPA(0), table, sizeof table);
    u8 bda[0x100];
    memset(bda, 0, sizeof bda);
    static const u16 serial[MACHINE_MAX_SERIAL] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
    for (unsigned i = 0; i < m->config.serial_count; i++) {
        store_le16(bda + (size_t)2 * i, serial[i]);
    }
    store_le16(bda + BDA_EBDA_SEGMENT, BOOT_EBDA_AT >> 4);
    store_le16(bda + BDA_MEMORY_KIB, BOOT_EBDA_AT >> 10);
    (void)phys_load(&m->phys, SPA(BDA_AT), bda, sizeof bda);
    static const u8 ebda_kib = 1;
    (void)phys_load(&m->phys, SPA(BOOT_EBDA_AT), &ebda_kib, 1);
}

/* The 8259 pair at INT 8 and INT 70h with only the timer and the cascade open; the timer at 18.2 Hz. */
static void set_up_interrupts(struct machine *m)
{
    static const struct {
        u16 port;
        u8 value;
    } writes[] = {{0x20, 0x11}, {0x21, 0x08}, {0x21, 0x04}, {0x21, 0x01}, {0xa0, 0x11},
                  {0xa1, 0x70}, {0xa1, 0x02}, {0xa1, 0x01}, {0x21, 0xfa}, {0xa1, 0xff},
                  {0x43, 0x34}, {0x40, 0x00}, {0x40, 0x00}};
    for (unsigned i = 0; i < ARRAY_LEN(writes); i++) {
        bus_port_write(&m->bus, writes[i].port, writes[i].value, 1);
    }
    struct cpu *bsp = m->set.cpu[0];
    if (apic_mmio_base(bsp->apic) != ~(u64)0) {
        /* Virtual wire mode [MultiProcessor Specification "Virtual Wire Mode"]: the 8259 reaches the first
         * processor through LINT0, NMI through LINT1. */
        apic_mmio_write(bsp->apic, APIC_REG_SVR, 0x1ff, 4);
        apic_mmio_write(bsp->apic, APIC_REG_LINT0, 0x8700, 4);
        apic_mmio_write(bsp->apic, APIC_REG_LINT1, 0x8400, 4);
    }
}

/* RAM write-back, the video hole and everything from the PCI hole to 4 GiB uncached, ROM shadow
 * write-protected. [SDM3 "Memory Type Range Registers (MTRRs)"] */
static void memory_types(const struct machine *m, struct cpu_arch *a)
{
    bool amd = m->model.vendor == CPU_VENDOR_AMD;
    u64 rd = amd ? FIXED_RD_MEM : 0;
    u64 wr = amd ? FIXED_WR_MEM : 0;
    for (unsigned i = 0; i < ARRAY_LEN(a->mtrr_fixed); i++) {
        a->mtrr_fixed[i] = i < 2 ? FIXED_WB | rd | wr : i == 2 ? 0 : FIXED_WP | rd;
    }
    /* The ECAM window, then the last GiB below 4 GiB. */
    a->mtrr_base[0] = GIB(3);
    a->mtrr_mask[0] = ((BIT(m->model.phys_bits) - 1) & ~(GIB(1) - 1)) | MTRR_VALID;
    a->mtrr_base[1] = BOARD_RAM_BELOW_4G_MAX;
    a->mtrr_mask[1] =
        ((BIT(m->model.phys_bits) - 1) & ~(GIB(3) - BOARD_RAM_BELOW_4G_MAX - 1)) | MTRR_VALID;
    a->mtrr_def = MTRR_ENABLE | TYPE_WB;
    if (amd) {
        a->store.top_mem[0] = m->ram_below_4g;
        a->store.top_mem2[0] = m->ram_above_4g > 0 ? GIB(4) + m->ram_above_4g : 0;
        a->syscfg |= SYSCFG_MTRR_FIX_DRAM_EN | SYSCFG_MTRR_VAR_DRAM_EN |
                     (m->ram_above_4g > 0 ? SYSCFG_MTRR_TOM2_EN | SYSCFG_TOM2_FORCE_WB : 0);
    }
}

static void set_up_processors(struct machine *m)
{
    for (unsigned i = 0; i < m->set.count; i++) {
        struct cpu *cpu = m->set.cpu[i];
        cpu->arch.cr0 &= ~(u64)(CR0_CD | CR0_NW);
        cpu->arch.fpu = (struct fpu_state){.fcw = 0x37f}; /* FNINIT: RESET leaves zeros, not empty registers */
        if (cpu_has(cpu, CPU_FEATURE_MTRR)) {
            memory_types(m, &cpu->arch);
        }
        cpu_update_mode(cpu);
    }
}

static void set_up_chips(struct machine *m)
{
    q35_setup_without_firmware(m->pci, m->lpc, align_up(GIB(4) + m->ram_above_4g, GIB(1)) + GIB(1),
                               GIB(512) - 1);
    pm_enable_acpi(m->pm);
    set_up_interrupts(m);
    set_up_processors(m);
}

void boot_as_firmware(struct machine *m)
{
    set_up_chips(m);
    load_stubs(m);
    load_low_memory(m);
}

void boot_wake(struct machine *m)
{
    /* What a real firmware looks at to know that this is a resume. */
    bus_port_write(&m->bus, 0x70, 0x0f, 1);
    bus_port_write(&m->bus, 0x71, 0xfe, 1);
    if (m->config.firmware != NULL) {
        return;
    }
    set_up_chips(m);
    u8 facs[16];
    phys_read(&m->phys, SPA(boot_facs(m)), facs, sizeof facs);
    u32 vector = load_le32(facs + 12);
    struct cpu *cpu = m->set.cpu[0];
    struct segment *cs = &cpu->arch.seg[SEG_CS];
    cs->sel = (u16)(vector >> 4);
    cs->base = (u64)cs->sel << 4;
    cpu->arch.rip = vector & 0xf;
    cpu_update_mode(cpu);
}
