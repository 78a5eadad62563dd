/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MSI and MSI-X [PCI3 "Message Signaled Interrupts"]: capabilities, masks, pending bits, tables
 * inside a BAR. A message to 0xfeexxxxx goes to the interrupt sink; any other address is what it
 * looks like, a memory write. */
#include "devices/pci_priv.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

static void send(struct pci_function *fn, u64 address, u32 data)
{
    const struct device_env *env = &fn->bus->env;
    if (!pci_is_bus_master(fn)) {
        return;
    }
    if ((address & ~(u64)0xfffff) == MSI_ADDRESS_BASE) {
        env->msi.send(env->msi.self, pci_requester(fn), address, data);
        return;
    }
    u8 bytes[4];
    store_le32(bytes, data);
    if (!dma_write(&env->dma, pci_requester(fn), IOVA(address), bytes, sizeof bytes)) {
        log_guest_error(env->log, "PCI %02x.%x: message to 0x%llx refused", PCI_SLOT(fn->devfn),
                        (unsigned)PCI_FUNC(fn->devfn), (unsigned long long)address);
    }
}

/* ---- MSI ---- */

static u16 msi_flags(const struct pci_function *fn)
{
    return load_le16(fn->config + fn->msi_cap + PCI_MSI_FLAGS);
}

bool pci_msi_is_enabled(const struct pci_function *fn)
{
    return fn->msi_cap != 0 && (msi_flags(fn) & PCI_MSI_FLAGS_ENABLE) != 0;
}

/* Vectors software allowed, never more than offered. */
static unsigned msi_vectors(const struct pci_function *fn)
{
    unsigned allowed = (unsigned)bits_get(msi_flags(fn), 4, 3);
    unsigned offered = (unsigned)bits_get(msi_flags(fn), 1, 3);
    return 1u << (allowed < offered ? allowed : offered);
}

u8 pci_add_msi(struct pci_function *fn, u8 offset, unsigned vectors, bool per_vector_mask)
{
    sim_assert(is_power_of_2(vectors) && vectors <= 32);
    u8 cap = pci_add_capability(fn, PCI_CAP_ID_MSI, offset, per_vector_mask ? 24 : 14);
    unsigned log2 = (unsigned)__builtin_ctz(vectors);
    pci_init_config(
        fn, cap + PCI_MSI_FLAGS,
        PCI_MSI_FLAGS_64BIT | log2 << 1 | (per_vector_mask ? PCI_MSI_FLAGS_MASKBIT : 0u), 2);
    pci_set_writable(fn, cap + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, 2);
    pci_set_writable(fn, cap + PCI_MSI_ADDRESS_LO, 0xfffffffc, 4);
    pci_set_writable(fn, cap + PCI_MSI_ADDRESS_HI, 0xffffffff, 4);
    pci_set_writable(fn, cap + PCI_MSI_DATA_64, 0xffff, 2);
    if (per_vector_mask) {
        pci_set_writable(fn, cap + PCI_MSI_MASK_64, (u32)(BIT(vectors) - 1), 4);
    }
    fn->msi_cap = cap;
    return cap;
}

static void msi_send(struct pci_function *fn, unsigned vector)
{
    const u8 *cap = fn->config + fn->msi_cap;
    u64 address = load_le32(cap + PCI_MSI_ADDRESS_LO) | (u64)load_le32(cap + PCI_MSI_ADDRESS_HI)
                                                            << 32;
    u32 data = load_le16(cap + PCI_MSI_DATA_64) & ~(msi_vectors(fn) - 1);
    send(fn, address, data | vector);
}

void pci_msi_notify(struct pci_function *fn, unsigned vector)
{
    if (!pci_msi_is_enabled(fn)) {
        return;
    }
    u8 *cap = fn->config + fn->msi_cap;
    vector &= msi_vectors(fn) - 1;
    if ((msi_flags(fn) & PCI_MSI_FLAGS_MASKBIT) != 0 &&
        ((load_le32(cap + PCI_MSI_MASK_64) >> vector) & 1) != 0) {
        store_le32(cap + PCI_MSI_PENDING_64, load_le32(cap + PCI_MSI_PENDING_64) | BIT32(vector));
        return;
    }
    msi_send(fn, vector);
}

static void msi_send_pending(struct pci_function *fn)
{
    u8 *cap = fn->config + fn->msi_cap;
    if (!pci_msi_is_enabled(fn) || (msi_flags(fn) & PCI_MSI_FLAGS_MASKBIT) == 0) {
        return;
    }
    u32 due = load_le32(cap + PCI_MSI_PENDING_64) & ~load_le32(cap + PCI_MSI_MASK_64);
    store_le32(cap + PCI_MSI_PENDING_64, load_le32(cap + PCI_MSI_PENDING_64) & ~due);
    for (unsigned v = 0; v < 32; v++) {
        if (((due >> v) & 1) != 0) {
            msi_send(fn, v & (msi_vectors(fn) - 1));
        }
    }
}

/* ---- MSI-X ---- */

static u16 msix_flags(const struct pci_function *fn)
{
    return load_le16(fn->config + fn->msix_cap + PCI_MSIX_FLAGS);
}

bool pci_msix_is_enabled(const struct pci_function *fn)
{
    return fn->msix_cap != 0 && (msix_flags(fn) & PCI_MSIX_FLAGS_ENABLE) != 0;
}

static u64 pba_size(const struct pci_function *fn)
{
    return (fn->msix.vectors + 63) / 64 * 8;
}

u8 pci_add_msix(struct pci_function *fn, u8 offset, unsigned vectors, unsigned bar,
                u64 table_offset, u64 pba_offset)
{
    u64 table_size = (u64)vectors * PCI_MSIX_ENTRY_SIZE;
    sim_assert(vectors >= 1 && vectors <= 2048 && bar < PCI_BARS);
    sim_assert(fn->bars[bar].kind == PCI_BAR_MEM32 || fn->bars[bar].kind == PCI_BAR_MEM64);
    sim_assert((table_offset & 7) == 0 && (pba_offset & 7) == 0);
    fn->msix.vectors = vectors;
    fn->msix.bar = bar;
    fn->msix.table_offset = table_offset;
    fn->msix.pba_offset = pba_offset;
    sim_assert(table_offset + table_size <= fn->bars[bar].size);
    sim_assert(pba_offset + pba_size(fn) <= fn->bars[bar].size);
    fn->msix.table = calloc(1, table_size);
    fn->msix.pba = calloc(1, pba_size(fn));
    sim_assert(fn->msix.table != NULL && fn->msix.pba != NULL);
    u8 cap = pci_add_capability(fn, PCI_CAP_ID_MSIX, offset, PCI_MSIX_SIZE);
    pci_init_config(fn, cap + PCI_MSIX_FLAGS, vectors - 1, 2);
    pci_set_writable(fn, cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_MASKALL | PCI_MSIX_FLAGS_ENABLE, 2);
    pci_init_config(fn, cap + PCI_MSIX_TABLE, (u32)table_offset | bar, 4);
    pci_init_config(fn, cap + PCI_MSIX_PBA, (u32)pba_offset | bar, 4);
    fn->msix_cap = cap;
    pci_msi_reset(fn);
    return cap;
}

static u8 *msix_entry(const struct pci_function *fn, unsigned vector)
{
    return fn->msix.table + (size_t)vector * PCI_MSIX_ENTRY_SIZE;
}

bool pci_msix_is_masked(const struct pci_function *fn, unsigned vector)
{
    return (msix_flags(fn) & PCI_MSIX_FLAGS_MASKALL) != 0 ||
           (msix_entry(fn, vector)[PCI_MSIX_ENTRY_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT) != 0;
}

static void msix_send(struct pci_function *fn, unsigned vector)
{
    const u8 *entry = msix_entry(fn, vector);
    send(fn, load_le64(entry), load_le32(entry + PCI_MSIX_ENTRY_DATA));
}

void pci_msix_notify(struct pci_function *fn, unsigned vector)
{
    if (!pci_msix_is_enabled(fn) || vector >= fn->msix.vectors) {
        return;
    }
    if (pci_msix_is_masked(fn, vector)) {
        fn->msix.pba[vector / 8] |= (u8)(1u << (vector % 8));
        return;
    }
    msix_send(fn, vector);
}

static void msix_send_pending(struct pci_function *fn, unsigned first, unsigned count)
{
    for (unsigned v = first; v < first + count && v < fn->msix.vectors; v++) {
        u8 bit = (u8)(1u << (v % 8));
        if ((fn->msix.pba[v / 8] & bit) != 0 && pci_msix_is_enabled(fn) &&
            !pci_msix_is_masked(fn, v)) {
            fn->msix.pba[v / 8] &= (u8)~bit;
            msix_send(fn, v);
        }
    }
}

/* Bytes of [offset, offset + size) that lie in an area of the BAR are answered by it; an access
 * that begins outside is the device's. */
static bool in_area(u64 offset, u64 area, u64 area_size)
{
    return offset >= area && offset - area < area_size;
}

bool pci_msix_table_read(struct pci_function *fn, unsigned bar, u64 offset, unsigned size,
                         u64 *value)
{
    if (fn->msix_cap == 0 || fn->msix.bar != bar) {
        return false;
    }
    u64 table_size = (u64)fn->msix.vectors * PCI_MSIX_ENTRY_SIZE;
    const u8 *bytes = fn->msix.table;
    u64 at = offset - fn->msix.table_offset;
    u64 room = table_size - at;
    if (in_area(offset, fn->msix.pba_offset, pba_size(fn))) {
        bytes = fn->msix.pba;
        at = offset - fn->msix.pba_offset;
        room = pba_size(fn) - at;
    } else if (!in_area(offset, fn->msix.table_offset, table_size)) {
        return false;
    }
    *value = load_le(bytes + at, size < room ? size : (unsigned)room);
    return true;
}

bool pci_msix_table_write(struct pci_function *fn, unsigned bar, u64 offset, u64 value,
                          unsigned size)
{
    if (fn->msix_cap == 0 || fn->msix.bar != bar) {
        return false;
    }
    u64 table_size = (u64)fn->msix.vectors * PCI_MSIX_ENTRY_SIZE;
    if (in_area(offset, fn->msix.pba_offset, pba_size(fn))) {
        return true; /* read-only */
    }
    if (!in_area(offset, fn->msix.table_offset, table_size)) {
        return false;
    }
    u64 at = offset - fn->msix.table_offset;
    u64 room = table_size - at;
    store_le(fn->msix.table + at, value, size < room ? size : (unsigned)room);
    unsigned first = (unsigned)(at / PCI_MSIX_ENTRY_SIZE);
    unsigned last = (unsigned)((at + size - 1) / PCI_MSIX_ENTRY_SIZE);
    for (unsigned v = first; v <= last && v < fn->msix.vectors; v++) {
        u8 *entry = msix_entry(fn, v);
        store_le32(entry, load_le32(entry) & ~(u32)3);
        u32 control = load_le32(entry + PCI_MSIX_ENTRY_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT;
        store_le32(entry + PCI_MSIX_ENTRY_CTRL, control);
    }
    msix_send_pending(fn, first, last - first + 1);
    return true;
}

/* ---- both ---- */

void pci_msi_config_written(struct pci_function *fn, unsigned offset, unsigned size)
{
    if (fn->msi_cap != 0 && pci_touches(offset, size, fn->msi_cap, 24)) {
        msi_send_pending(fn);
    }
    if (fn->msix_cap != 0 && pci_touches(offset, size, fn->msix_cap, PCI_MSIX_SIZE)) {
        msix_send_pending(fn, 0, fn->msix.vectors);
    }
}

void pci_msi_reset(struct pci_function *fn)
{
    if (fn->msix_cap == 0) {
        return;
    }
    memset(fn->msix.pba, 0, pba_size(fn));
    memset(fn->msix.table, 0, (size_t)fn->msix.vectors * PCI_MSIX_ENTRY_SIZE);
    for (unsigned v = 0; v < fn->msix.vectors; v++) {
        store_le32(msix_entry(fn, v) + PCI_MSIX_ENTRY_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT);
    }
}
