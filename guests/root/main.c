/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The root partition: one thread that waits for messages, keys and the tick. */
#include "guests/root/block/block.h"
#include "guests/root/net/link.h"
#include "guests/root/pci/pci.h"
#include "guests/root/root.h"
#include "hv/core/trace_port.h"

void guest_main(u32 magic, u32 info)
{
    serial_init();
    trace_port_probe();
    interrupt_init();
    boot_parse(magic, info);
    hypercall_init();
    message_init();
    pci_init();
    block_init();
    net_init();
    print("root: partition %s, %lu MiB free, %u module(s)\n", "root", memory_free_pages() >> 8, module_count);
    console_start(boot_script);
    for (;;) {
        __asm__ volatile("cli");
        bool busy = message_poll();
        busy = block_poll() || busy;
        busy = net_poll() || busy;
        console_poll();
        if (!busy) {
            __asm__ volatile("sti; hlt");
        } else {
            __asm__ volatile("sti; nop");
        }
    }
}
