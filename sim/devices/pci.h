/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PCI: one root bus (number 0) of functions, their configuration space, BARs, interrupts and bus
 * mastering. [PCI3] is PCI Local Bus 3.0, [PCIE] PCI Express Base.
 *
 * How to write a PCI device: embed a struct pci_function in the device's private struct; in the
 * constructor call pci_add_function, then the helpers below, then bus_add_device for the device
 * itself. The device's reset calls pci_function_reset, its state calls pci_function_state. DMA only
 * through pci_dma_read/pci_dma_write. For an interrupt: pci_set_intx for the level (it does
 * nothing on the wire while MSI or MSI-X is on), and pci_msi_notify / pci_msix_notify for messages
 * (they do nothing while theirs is off), so a device may simply call all it has.
 *
 * Not modelled: bridges and further buses, expansion ROM BARs, AER, hot plug. */
#ifndef VITRINE_DEVICES_PCI_H
#define VITRINE_DEVICES_PCI_H

#include "abi/x86/pci.h"
#include "devices/bus.h"
#include "devices/device.h"

#define PCI_BARS 6
#define PCI_DEVFN(slot, function) ((u8)((slot) << 3 | (function)))
#define PCI_SLOT(devfn) ((devfn) >> 3)
#define PCI_FUNC(devfn) ((devfn)&7)
/* RAM (priority 0 and up) hides a BAR moved onto it, as the host bridge's decode does. */
#define PCI_BAR_PRIORITY (-1)

struct pci_bus;
struct pci_function;

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64 };

struct pci_bar {
    enum pci_bar_kind kind;
    bool prefetchable;
    u64 size;
    struct pci_function *fn;
    const struct mmio_ops *mmio; /* NULL: reads 0 except the MSI-X tables */
    const struct port_ops *ports;
    void *self;
    unsigned number; /* phys region or port range */
    /* Derived from the configuration space: */
    u64 base;
    bool mapped;
};

/* All may be NULL. */
struct pci_function_ops {
    /* A configuration write has taken effect in fn->config. */
    void (*config_written)(void *self, unsigned offset, unsigned size);
    /* Software is about to read these bytes: bring them up to date with pci_put_config. */
    void (*config_reading)(void *self, unsigned offset, unsigned size);
    /* Function-level reset [PCIE "Function Level Reset"]: reset everything but fn, which is done.
     * NULL: FLR is not advertised. */
    void (*function_reset)(void *self);
};

/* The board's own subsystem: what SeaBIOS looks for in the host bridge before it believes in
 * fw_cfg. */
#define PCI_BOARD_SUBSYSTEM_VENDOR 0x1af4
#define PCI_BOARD_SUBSYSTEM 0x1100

struct pci_ids {
    u16 vendor, device;
    u16 subsystem_vendor, subsystem; /* vendor 0: the board's */
    u32 class_code;                  /* base << 16 | sub << 8 | programming interface */
    u8 revision;
    u8 pin; /* 0 none, 1 INTA# ... 4 INTD# */
};

struct pci_function {
    struct pci_bus *bus;
    const struct pci_function_ops *ops;
    void *self;
    u8 devfn;
    unsigned config_size; /* 256, or 4096 with a PCI Express capability */
    u8 config[PCI_CFG_EXT_SIZE];
    bool intx_wanted; /* the device asserts its pin, whether or not it reaches the wire */
    /* Fixed after construction: */
    u8 initial[PCI_CFG_EXT_SIZE];
    u8 write_mask[PCI_CFG_EXT_SIZE]; /* bits that software may write */
    u8 w1c_mask[PCI_CFG_EXT_SIZE];   /* bits that a written 1 clears */
    struct pci_bar bars[PCI_BARS];
    u8 last_cap, next_free;                    /* capability list under construction */
    u16 last_ext, next_ext;                    /* extended one */
    u8 pm_cap, msi_cap, msix_cap, express_cap; /* offsets; 0: absent */
    struct {
        unsigned vectors, bar;
        u64 table_offset, pba_offset;
        u8 *table; /* saved */
        u8 *pba;   /* saved; whole qwords */
    } msix;
};

/* The bus itself is a device of env->bus; it claims 0xcf8-0xcff and one phys region for the ECAM.
 * The INTx wires go to `changed` as the OR of a slot's functions per pin (pin 0..3 = INTA#..D#). */
struct pci_intx_sink {
    void (*changed)(void *self, unsigned slot, unsigned pin, bool level);
    void *self;
};

struct pci_bus *pci_bus_new(const struct device_env *env);
void pci_bus_set_intx(struct pci_bus *bus, struct pci_intx_sink sink);
/* Put an IOMMU in the way of all functions; before this, env's dma and msi are used. */
void pci_bus_set_upstream(struct pci_bus *bus, struct dma dma, struct msi_sink msi);
const struct device_env *pci_bus_env(const struct pci_bus *bus);
struct pci_function *pci_bus_function(const struct pci_bus *bus, u8 devfn);
bool pci_bus_intx_level(const struct pci_bus *bus, unsigned slot, unsigned pin);
/* The lowest slot >= first without functions; 32 when there is none. */
unsigned pci_bus_free_slot(const struct pci_bus *bus, unsigned first);

/* Configuration accesses as the host bridge makes them; size 1, 2 or 4, naturally aligned. Absent
 * functions read as all ones. */
u32 pci_config_read(struct pci_bus *bus, u8 bus_number, u8 devfn, unsigned offset, unsigned size);
void pci_config_write(struct pci_bus *bus, u8 bus_number, u8 devfn, unsigned offset, u32 value,
                      unsigned size);
/* Where the ECAM answers; size in bytes decides how many buses (1 MiB each) it covers. */
void pci_bus_set_ecam(struct pci_bus *bus, u64 base, u64 size, bool enabled);

/* Construction. */
void pci_add_function(struct pci_bus *bus, struct pci_function *fn, u8 devfn,
                      const struct pci_ids *ids, const struct pci_function_ops *ops, void *self);
/* Frees what the helpers allocated; in the device's destroy. */
void pci_function_free(struct pci_function *fn);
/* Sizes are powers of 2; memory at least 16, I/O at least 4. MEM64 takes index and index + 1.
 * Offsets given to ops are from the BAR's start. `name` is static text. */
void pci_add_mem_bar(struct pci_function *fn, unsigned index, enum pci_bar_kind kind,
                     bool prefetchable, u64 size, const struct mmio_ops *ops, void *self,
                     const char *name);
void pci_add_io_bar(struct pci_function *fn, unsigned index, u32 size, const struct port_ops *ops,
                    void *self, const char *name);
/* Append a capability of `size` bytes with its 2-byte header; offset 0 takes the next free place.
 * Returns the offset. */
u8 pci_add_capability(struct pci_function *fn, u8 id, u8 offset, unsigned size);
/* The same in extended space; needs pci_add_express before. */
u16 pci_add_ext_capability(struct pci_function *fn, u16 id, unsigned version, unsigned size);
/* Power states D0 and D3hot. In D3hot BARs and bus mastering are off; nothing is lost. */
u8 pci_add_power_management(struct pci_function *fn, u8 offset);
/* PCI_EXP_TYPE_RC_END for a device on the root complex. Makes the space 4096 bytes. */
u8 pci_add_express(struct pci_function *fn, u8 offset, unsigned type);
/* vectors: 1, 2, 4 ... 32; with 64-bit addresses. */
u8 pci_add_msi(struct pci_function *fn, u8 offset, unsigned vectors, bool per_vector_mask);
/* 1..2048 vectors; the tables overlay what the BAR's ops would answer there. The BAR must exist
 * already (ops may be NULL). Table needs 16 bytes a vector, PBA 8 bytes per 64 vectors. */
u8 pci_add_msix(struct pci_function *fn, u8 offset, unsigned vectors, unsigned bar,
                u64 table_offset, u64 pba_offset);
/* Set bytes of the configuration space and their value after reset. */
void pci_init_config(struct pci_function *fn, unsigned offset, u32 value, unsigned size);
/* Let software write (or clear by writing 1) these bits. */
void pci_set_writable(struct pci_function *fn, unsigned offset, u32 mask, unsigned size);
void pci_set_w1c(struct pci_function *fn, unsigned offset, u32 mask, unsigned size);

/* For the device's reset and state (inside its own section). */
void pci_function_reset(struct pci_function *fn);
void pci_function_state(struct pci_function *fn, struct state_io *io);

/* Running. */
u16 pci_requester(const struct pci_function *fn);
bool pci_is_bus_master(const struct pci_function *fn); /* BME set and in D0 */
/* False when bus mastering is off or the IOMMU refuses: nothing (or only a part) was moved. */
MUST_USE bool pci_dma_read(struct pci_function *fn, iova_t iova, void *data, u64 size);
MUST_USE bool pci_dma_write(struct pci_function *fn, iova_t iova, const void *data, u64 size);
void pci_set_intx(struct pci_function *fn, bool level);
bool pci_msi_is_enabled(const struct pci_function *fn);
bool pci_msix_is_enabled(const struct pci_function *fn);
/* Signal a message; masked ones become pending and are sent when unmasked. */
void pci_msi_notify(struct pci_function *fn, unsigned vector);
void pci_msix_notify(struct pci_function *fn, unsigned vector);
/* Is the message masked (by vector or function)? For devices that coalesce. */
bool pci_msix_is_masked(const struct pci_function *fn, unsigned vector);
u32 pci_get_config(const struct pci_function *fn, unsigned offset, unsigned size);
/* Change bytes that software sees but cannot write (status bits and the like). */
void pci_put_config(struct pci_function *fn, unsigned offset, u32 value, unsigned size);

/* What a firmware would leave behind, for kernels booted without one: an address for every BAR, an
 * interrupt line for every pin, decoding on (bus mastering stays off). Deterministic: by size,
 * then by function. BARs that do not fit stay unassigned and are logged. */
struct pci_windows {
    u16 io_first, io_last;
    u64 mem32_first, mem32_last;
    u64 mem64_first, mem64_last; /* for 64-bit BARs of 256 MiB and more, or when mem32 is full */
    u8 (*line)(void *self, unsigned slot, unsigned pin); /* pin 0..3; NULL: leave 0 */
    void *self;
};
void pci_assign_resources(struct pci_bus *bus, const struct pci_windows *windows);

#endif
