/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Functions by configuration mechanism 1 on every bus that firmware numbered, their BARs where firmware put them, and MSI-X or MSI to
 * the root's VP: what hv does not take for itself it gives to the root as the vector that arrived. [PCI3, PCI Express Base "MSI-X"]
 * Left out: the extended configuration space (nothing here is in it), giving BARs a place, hotplug, wired interrupts. */
#include "guests/root/pci/pci.h"

#include "guests/root/block/driver.h"
#include "guests/root/net/driver.h"

#define FUNCTIONS_MAX 32
#define FIRST_VECTOR 0x40u
#define VECTORS 8
#define HEADER_BRIDGE 1u
#define SECONDARY_BUS 0x19
#define NOT_THERE 0xffffu
#define MAPPED_GIB 512u

static struct pci_function functions[FUNCTIONS_MAX];
static u32 function_count;

u32 pci_read(const struct pci_function *f, u32 offset, u32 bytes)
{
    out32(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ADDRESS_ENABLE | (u32)f->bus << 16 | (u32)f->devfn << 8 | (offset & 0xfc));
    u16 port = (u16)(PCI_CONFIG_DATA_PORT + (offset & 3));
    return bytes == 4 ? in32(port) : (bytes == 2 ? in16(port) : in8(port));
}

void pci_write(const struct pci_function *f, u32 offset, u32 bytes, u32 value)
{
    out32(PCI_CONFIG_ADDRESS_PORT, PCI_CONFIG_ADDRESS_ENABLE | (u32)f->bus << 16 | (u32)f->devfn << 8 | (offset & 0xfc));
    u16 port = (u16)(PCI_CONFIG_DATA_PORT + (offset & 3));
    if (bytes == 4) {
        out32(port, value);
    } else if (bytes == 2) {
        out16(port, (u16)value);
    } else {
        out8(port, (u8)value);
    }
}

u32 pci_capability(const struct pci_function *f, u32 id, u32 after)
{
    if ((pci_read(f, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST) == 0) {
        return 0;
    }
    u32 at = pci_read(f, after != 0 ? after + 1 : PCI_CAPABILITY_LIST, 1) & 0xfc;
    for (u32 i = 0; at != 0 && i < 48; i++) {
        if (pci_read(f, at, 1) == id) {
            return at;
        }
        at = pci_read(f, at + 1, 1) & 0xfc;
    }
    return 0;
}

/* Above 4 GiB: a page directory more, of large pages. The MTRRs say that devices are not cached. */
static bool map_high(u64 address)
{
    u64 *entry = &boot_pdpt[address >> 30];
    if (address >> 30 >= MAPPED_GIB) {
        return false;
    }
    if (*entry == 0) {
        u64 *pd = memory_take(PAGE_SIZE);
        for (u64 i = 0; pd != NULL && i < 512; i++) {
            pd[i] = (align_down(address, 1ull << 30) + (i << 21)) | 0x93; /* present, writable, large, not cached */
        }
        *entry = pd != NULL ? address_of(pd) | 3 : 0;
    }
    return *entry != 0;
}

volatile u8 *pci_map(const struct pci_function *f, u32 bar)
{
    u32 low = bar < 6 ? pci_read(f, PCI_BASE_ADDRESS_0 + 4 * bar, 4) : PCI_BASE_ADDRESS_SPACE_IO;
    if ((low & PCI_BASE_ADDRESS_SPACE_IO) != 0) {
        return NULL;
    }
    u64 at = low & ~0xfu;
    if ((low & PCI_BASE_ADDRESS_MEM_64) != 0 && bar < 5) {
        at |= (u64)pci_read(f, PCI_BASE_ADDRESS_0 + 4 * bar + 4, 4) << 32;
    }
    if (at == 0 || (at >> 32 != 0 && !map_high(at))) {
        return NULL;
    }
    return at_address(at);
}

void pci_enable(const struct pci_function *f)
{
    u32 command = pci_read(f, PCI_COMMAND, 2);
    pci_write(f, PCI_COMMAND, 2, command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
}

/* Interrupts: one vector a kind of device. A handler has no argument, so each vector has one of its own. */
static struct device_interrupt *interrupts[VECTORS];

static void arrived(u32 n)
{
    interrupts[n]->flag = true;
    interrupts[n]->count++;
}

#define HANDLER(n) \
    static void arrived_##n(void) { arrived(n); }
HANDLER(0)
HANDLER(1)
HANDLER(2)
HANDLER(3)
HANDLER(4)
HANDLER(5)
HANDLER(6)
HANDLER(7)
static const interrupt_handler handlers[VECTORS] = {arrived_0, arrived_1, arrived_2, arrived_3,
                                                    arrived_4, arrived_5, arrived_6, arrived_7};

bool pci_vector(struct device_interrupt *to)
{
    for (u32 n = 0; n < VECTORS; n++) {
        if (interrupts[n] == NULL) {
            interrupts[n] = to;
            to->vector = (u8)(FIRST_VECTOR + n);
            interrupt_set(to->vector, handlers[n]);
            return true;
        }
    }
    return false;
}

enum interrupt_news pci_interrupt_news(struct device_interrupt *i, bool (*ready)(void))
{
    if (i->flag) {
        i->flag = false;
        i->waited = false;
        return INTERRUPT_CAME;
    }
    if (i->tick == tick_count) {
        return INTERRUPT_NONE;
    }
    bool before = i->waited;
    i->tick = tick_count;
    i->waited = ready();
    return before && i->waited ? INTERRUPT_LOST : INTERRUPT_NONE;
}

static u32 message_address(void)
{
    u32 r[4];
    cpuid(1, r);
    return MSI_ADDRESS_BASE | (r[1] >> 24) << 12; /* the local APIC that the root's VP has: physical destination */
}

static bool set_msi(const struct pci_function *f, u32 cap, u8 vector)
{
    u32 flags = pci_read(f, cap + PCI_MSI_FLAGS, 2);
    bool wide = (flags & PCI_MSI_FLAGS_64BIT) != 0;
    pci_write(f, cap + PCI_MSI_ADDRESS_LO, 4, message_address());
    if (wide) {
        pci_write(f, cap + PCI_MSI_ADDRESS_HI, 4, 0);
    }
    pci_write(f, cap + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, vector);
    pci_write(f, cap + PCI_MSI_FLAGS, 2, (flags & ~(u32)PCI_MSI_FLAGS_QSIZE) | PCI_MSI_FLAGS_ENABLE);
    return true;
}

bool pci_message(const struct pci_function *f, u32 entry, u8 vector)
{
    u32 cap = pci_capability(f, PCI_CAP_ID_MSIX, 0);
    if (cap == 0) {
        cap = pci_capability(f, PCI_CAP_ID_MSI, 0);
        return cap != 0 && entry == 0 && set_msi(f, cap, vector);
    }
    u32 flags = pci_read(f, cap + PCI_MSIX_FLAGS, 2);
    u32 place = pci_read(f, cap + PCI_MSIX_TABLE, 4);
    volatile u8 *table = pci_map(f, place & 7);
    if (table == NULL || entry > (flags & PCI_MSIX_FLAGS_QSIZE)) {
        return false;
    }
    volatile u8 *e = table + (place & ~7u) + (u64)entry * PCI_MSIX_ENTRY_SIZE;
    store32(e, message_address());
    store32(e + 4, 0);
    store32(e + PCI_MSIX_ENTRY_DATA, vector);
    store32(e + PCI_MSIX_ENTRY_CTRL, 0);
    pci_write(f, cap + PCI_MSIX_FLAGS, 2, (flags & ~(u32)PCI_MSIX_FLAGS_MASKALL) | PCI_MSIX_FLAGS_ENABLE);
    return true;
}

static u32 message_count(const struct pci_function *f)
{
    u32 cap = pci_capability(f, PCI_CAP_ID_MSIX, 0);
    if (cap != 0) {
        return (pci_read(f, cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
    }
    return pci_capability(f, PCI_CAP_ID_MSI, 0) != 0 ? 1 : 0;
}

static void scan_bus(u8 bus, u32 depth);

/* False: nothing there. */
static bool scan_function(u8 bus, u32 devfn, u32 depth)
{
    struct pci_function f = {.bus = bus, .devfn = (u8)devfn};
    f.vendor = (u16)pci_read(&f, PCI_VENDOR_ID, 2);
    if (f.vendor == NOT_THERE) {
        return false;
    }
    f.device = (u16)pci_read(&f, PCI_DEVICE_ID, 2);
    f.subsystem = (u16)pci_read(&f, PCI_SUBSYSTEM_ID, 2);
    f.class_code = (u8)pci_read(&f, PCI_CLASS_DEVICE + 1, 1);
    f.subclass = (u8)pci_read(&f, PCI_CLASS_DEVICE, 1);
    f.interface = (u8)pci_read(&f, PCI_CLASS_PROG, 1);
    if ((pci_read(&f, PCI_HEADER_TYPE, 1) & 0x7f) == HEADER_BRIDGE) {
        u8 secondary = (u8)pci_read(&f, SECONDARY_BUS, 1);
        if (secondary > bus && depth < 8) {
            scan_bus(secondary, depth + 1);
        }
    } else if (function_count < FUNCTIONS_MAX) {
        f.vectors = message_count(&f);
        functions[function_count++] = f;
    }
    return true;
}

static void scan_bus(u8 bus, u32 depth)
{
    for (u32 slot = 0; slot < 32; slot++) {
        const struct pci_function f = {.bus = bus, .devfn = (u8)(8 * slot)};
        if (!scan_function(bus, 8 * slot, depth) || (pci_read(&f, PCI_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MULTI) == 0) {
            continue;
        }
        for (u32 n = 1; n < 8; n++) {
            (void)scan_function(bus, 8 * slot + n, depth);
        }
    }
}

const struct pci_function *pci_at(u32 index) { return index < function_count ? &functions[index] : NULL; }

void cmd_pci_list(char **words, u32 count)
{
    (void)words;
    (void)count;
    for (u32 i = 0; i < function_count; i++) {
        const struct pci_function *f = &functions[i];
        print("  %02x:%02x.%x %04x:%04x class %02x%02x%02x, %u message(s)\n", (u32)f->bus, f->devfn >> 3u, f->devfn & 7u, (u32)f->vendor,
              (u32)f->device, (u32)f->class_code, (u32)f->subclass, (u32)f->interface, f->vectors);
    }
}

void pci_init(void)
{
    scan_bus(0, 0);
    for (u32 i = 0; i < function_count; i++) {
        (void)(virtio_blk_start(&functions[i]) || ahci_start(&functions[i]) || virtio_net_start(&functions[i]));
    }
}
