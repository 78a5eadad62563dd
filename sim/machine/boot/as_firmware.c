/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What firmware leaves in processors and low memory, for boots without firmware: caches on, memory
 * types, virtual-wire mode, the BIOS data area's few words that kernels read. Left out: interrupt
 * vectors and services of a BIOS. */
#include "machine/boot/boot.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "cpu/apic.h"
#include "cpu/model.h"
#include "cpu/msr.h"

#include <string.h>

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

#define APIC_SVR 0xf0
#define APIC_LINT0 0x350
#define APIC_LINT1 0x360

#define BDA_AT 0x400u
#define BDA_EBDA_SEGMENT 0x0e
#define BDA_MEMORY_KIB 0x13

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

void boot_as_firmware(struct machine *m)
{
    for (unsigned i = 0; i < m->set.count; i++) {
        struct cpu_arch *a = &m->set.cpu[i]->arch;
        a->cr0 &= ~(u64)(CR0_CD | CR0_NW);
        if (cpu_has(m->set.cpu[i], CPU_FEATURE_MTRR)) {
            memory_types(m, a);
        }
        cpu_update_mode(m->set.cpu[i]);
    }
    /* Virtual wire: the 8259 reaches the first processor through LINT0, NMI through LINT1. */
    struct apic *apic = m->set.cpu[0]->apic;
    if (apic_mmio_base(apic) != ~(u64)0) {
        apic_mmio_write(apic, APIC_SVR, 0x10f, 4);
        apic_mmio_write(apic, APIC_LINT0, 0x8700, 4);
        apic_mmio_write(apic, APIC_LINT1, 0x8400, 4);
    }
    u8 bda[0x100];
    memset(bda, 0, sizeof bda);
    static const u16 ports[MACHINE_MAX_SERIAL] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
    for (unsigned i = 0; i < m->config.serial_count; i++) {
        store_le16(bda + 2 * (size_t)i, ports[i]);
    }
    store_le16(bda + BDA_EBDA_SEGMENT, BOOT_EBDA_AT >> 4);
    store_le16(bda + BDA_MEMORY_KIB, BOOT_EBDA_AT >> 10);
    (void)phys_load(&m->phys, SPA(BDA_AT), bda, sizeof bda);
    static const u8 ebda_kib = 1;
    (void)phys_load(&m->phys, SPA(BOOT_EBDA_AT), &ebda_kib, 1);
}
