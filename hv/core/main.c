/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Start: from the boot loader's hands to the first VP of the root. */
#include "abi/x86/registers.h"
#include "hv/arch/arch.h"
#include "hv/boot/boot.h"
#include "hv/core/apic.h"
#include "hv/core/console.h"
#include "hv/core/cpu.h"
#include "hv/core/insn.h"
#include "hv/core/trace_port.h"
#include "hv/core/trap.h"
#include "hv/mem/page.h"
#include "hv/partition/partition.h"
#include "hv/partition/root_image.h"
#include "hv/vcpu/run.h"

void hv_main(u32 magic, u32 info);

/* End of the RAM range that hv's area and the modules are put at the end of. */
static u64 low_ram_end(void)
{
    u64 end = 0;
    for (u32 i = 0; i < boot_info.range_count; i++) {
        const struct memory_range *r = &boot_info.ranges[i];
        if (r->type == MEMORY_RAM && r->start <= 0x100000 && r->end > 0x100000) {
            end = r->end;
        }
    }
    return align_down(end < 0xf0000000 ? end : 0xf0000000, PAGE_SIZE);
}

void hv_main(u32 magic, u32 info)
{
    console_init();
    trap_init();
    trace_port_probe();
    cpu_init(&cpus[0]);
    boot_parse(magic, info);
    apic_init();
    time_calibrate();
    acpi_find_processors();
    arch_select();
    fpu_init();
    log_line("Vitrine hypervisor, %u processor(s), %s, TSC %lu kHz, RAM to %lx", cpu_count, arch->name,
             tsc_hz / 1000, boot_ram_end());
    page_init(boot_move_modules(low_ram_end()));
    arch->cpu_init(&cpus[0]);
    smp_start();
    if (boot_info.module_count == 0) {
        panic("no module: the first one is the root partition's kernel (--initrd root.elf)");
    }
    partition_make_root();
    root_image_load(root_partition->vp[0]);
    cpu_loop();
}
