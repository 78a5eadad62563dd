/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The processors, from the MADT. Nothing else of ACPI is hv's business. [ACPI "Multiple APIC Description Table"] */
#include "hv/boot/boot.h"
#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/core/cpu.h"
#include "hv/core/string.h"

#define MADT_LAPIC 0
#define MADT_X2APIC 9
#define MADT_HEADER 44
#define SDT_HEADER 36

static u32 load_u32(const u8 *p) { return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24; }
static u64 load_u64(const u8 *p) { return load_u32(p) | (u64)load_u32(p + 4) << 32; }

static u64 scan(u64 from, u64 to)
{
    for (u64 at = from; at < to; at += 16) {
        const u8 *p = spa_to_ptr(at);
        u8 sum = 0;
        if (memcmp(p, "RSD PTR ", 8) != 0) {
            continue;
        }
        for (unsigned i = 0; i < 20; i++) {
            sum = (u8)(sum + p[i]);
        }
        if (sum == 0) {
            return at;
        }
    }
    return 0;
}

static const u8 *find_madt(u64 rsdp_at)
{
    const u8 *rsdp = spa_to_ptr(rsdp_at);
    u64 xsdt = rsdp[15] >= 2 ? load_u64(rsdp + 24) : 0;
    unsigned entry = xsdt != 0 ? 8 : 4;
    const u8 *root = spa_to_ptr(xsdt != 0 ? xsdt : load_u32(rsdp + 16));
    for (u32 at = SDT_HEADER; at + entry <= load_u32(root + 4); at += entry) {
        const u8 *table = spa_to_ptr(entry == 8 ? load_u64(root + at) : load_u32(root + at));
        if (memcmp(table, "APIC", 4) == 0) {
            return table;
        }
    }
    return NULL;
}

static void add(u32 id, bool enabled)
{
    if (!enabled || id == cpus[0].apic_id) {
        return;
    }
    if (cpu_count == CPU_MAX) {
        log_line("more than %u processors: the rest stays unused", CPU_MAX);
        return;
    }
    cpus[cpu_count].index = cpu_count;
    cpus[cpu_count].apic_id = id;
    cpu_count++;
}

void acpi_find_processors(void)
{
    cpus[0].apic_id = apic_id();
    cpu_count = 1;
    u64 rsdp = boot_info.rsdp;
    u64 bios_data = 0x400;
    __asm__("" : "+r"(bios_data)); /* a small constant as a pointer is taken for a mistake */
    if (rsdp == 0) {
        rsdp = scan((u64) * (u16 *)spa_to_ptr(bios_data + 0xe) << 4, 0xa0000);
    }
    if (rsdp == 0) {
        rsdp = scan(0xe0000, 0x100000);
    }
    const u8 *madt = rsdp != 0 ? find_madt(rsdp) : NULL;
    if (madt == NULL) {
        log_line("no MADT: one processor");
        return;
    }
    for (u32 at = MADT_HEADER; at + 2 <= load_u32(madt + 4) && madt[at + 1] != 0; at += madt[at + 1]) {
        const u8 *e = madt + at;
        if (e[0] == MADT_LAPIC) {
            add(e[3], (e[4] & 1) != 0);
        } else if (e[0] == MADT_X2APIC) {
            add(load_u32(e + 4), (e[8] & 1) != 0);
        }
    }
}
