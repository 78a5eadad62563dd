/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Resource assignment for kernels that are booted without a firmware: what SeaBIOS would leave. */
#include "devices/pci_priv.h"

#include "base/bits.h"

struct window {
    u64 next, last;
};

/* Place `size` bytes, naturally aligned; false when the window is full. */
static bool take(struct window *w, u64 size, u64 *address)
{
    u64 at = align_up(w->next, size);
    if (at < w->next || at > w->last || w->last - at < size - 1) {
        return false;
    }
    *address = at;
    w->next = at + size;
    return true;
}

struct windows {
    struct window io, mem32, mem64;
};

static bool place(struct windows *w, const struct pci_bar *bar, u64 *address)
{
    if (bar->kind == PCI_BAR_IO) {
        return take(&w->io, bar->size, address);
    }
    bool wide = bar->kind == PCI_BAR_MEM64;
    if (wide && bar->size >= MIB(256)) {
        return take(&w->mem64, bar->size, address) || take(&w->mem32, bar->size, address);
    }
    return take(&w->mem32, bar->size, address) || (wide && take(&w->mem64, bar->size, address));
}

static void assign(struct windows *w, struct pci_function *fn, unsigned index)
{
    struct pci_bar *bar = &fn->bars[index];
    unsigned reg = PCI_BASE_ADDRESS_0 + 4 * index;
    u64 address;
    if (!place(w, bar, &address)) {
        log_line(fn->bus->env.log, LOG_DEVICE, "PCI %02x.%x: no room for BAR %u",
                 PCI_SLOT(fn->devfn), (unsigned)PCI_FUNC(fn->devfn), index);
        return;
    }
    pci_config_write(fn->bus, 0, fn->devfn, reg, (u32)address, 4);
    if (bar->kind == PCI_BAR_MEM64) {
        pci_config_write(fn->bus, 0, fn->devfn, reg + 4, (u32)(address >> 32), 4);
    }
}

/* Pages and up are 4 KiB aligned at least, so that no page holds two devices' registers. */
static void assign_all_of_size(struct pci_bus *bus, struct windows *w, u64 size)
{
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        struct pci_function *fn = bus->functions[devfn];
        for (unsigned i = 0; fn != NULL && i < PCI_BARS; i++) {
            if (fn->bars[i].kind != PCI_BAR_NONE && fn->bars[i].size == size) {
                if (fn->bars[i].kind != PCI_BAR_IO) {
                    w->mem32.next = align_up(w->mem32.next, PAGE_SIZE);
                    w->mem64.next = align_up(w->mem64.next, PAGE_SIZE);
                }
                assign(w, fn, i);
            }
        }
    }
}

void pci_assign_resources(struct pci_bus *bus, const struct pci_windows *windows)
{
    struct windows w = {.io = {windows->io_first, windows->io_last},
                        .mem32 = {windows->mem32_first, windows->mem32_last},
                        .mem64 = {windows->mem64_first, windows->mem64_last}};
    /* Largest first: then nothing is lost to alignment. */
    for (unsigned log2 = 48; log2 >= 2; log2--) {
        assign_all_of_size(bus, &w, BIT(log2));
    }
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        struct pci_function *fn = bus->functions[devfn];
        if (fn == NULL) {
            continue;
        }
        unsigned pin = fn->initial[PCI_INTERRUPT_PIN];
        if (pin != 0 && windows->line != NULL) {
            u8 line = windows->line(windows->self, PCI_SLOT(devfn), pin - 1);
            pci_config_write(bus, 0, (u8)devfn, PCI_INTERRUPT_LINE, line, 1);
        }
        u16 command = (u16)pci_config_read(bus, 0, (u8)devfn, PCI_COMMAND, 2);
        pci_config_write(bus, 0, (u8)devfn, PCI_COMMAND,
                         command | PCI_COMMAND_IO | PCI_COMMAND_MEMORY, 2);
    }
}
