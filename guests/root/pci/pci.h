/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The machine's PCI functions, which are the root's, and their interrupts as messages. */
#ifndef GUESTS_ROOT_PCI_PCI_H
#define GUESTS_ROOT_PCI_PCI_H

#include "abi/x86/pci.h"
#include "guests/root/root.h"

struct pci_function {
    u8 bus, devfn;
    u16 vendor, device, subsystem;
    u8 class_code, subclass, interface;
    u32 vectors; /* of its messages; 0: it has none */
};

/* Finds all functions and starts the drivers of those that have one. */
void pci_init(void);
/* By number from 0; NULL: no more. */
const struct pci_function *pci_at(u32 index);

/* For the console. */
void cmd_pci_list(char **words, u32 count);

u32 pci_read(const struct pci_function *f, u32 offset, u32 bytes);
void pci_write(const struct pci_function *f, u32 offset, u32 bytes, u32 value);
/* The next capability of this kind behind `after` (0: the first); 0: none. */
u32 pci_capability(const struct pci_function *f, u32 id, u32 after);
/* Memory of a BAR; NULL: it has none, or firmware gave it no place. */
volatile u8 *pci_map(const struct pci_function *f, u32 bar);
/* Memory decoding and DMA on, its wired interrupt off. */
void pci_enable(const struct pci_function *f);
/* An interrupt vector of the root for a driver; each interrupt sets `flag` and counts. */
struct device_interrupt {
    volatile bool flag;
    bool waited; /* at the tick before, something was ready */
    u8 vector;
    u32 tick;
    u64 count;
};
bool pci_vector(struct device_interrupt *to);
/* For a driver that is asked for work, in each turn of the main loop: whether to look at its devices. An interrupt counts as lost where something was
 * ready at two successive ticks and none came between: at one tick alone it may still be on its way from the device. */
enum interrupt_news { INTERRUPT_NONE, INTERRUPT_CAME, INTERRUPT_LOST };
enum interrupt_news pci_interrupt_news(struct device_interrupt *i, bool (*ready)(void));
/* Message `entry` (MSI-X; of MSI only 0) becomes this vector on the root's VP. False: the function sends no messages. */
bool pci_message(const struct pci_function *f, u32 entry, u8 vector);

static inline u32 load32(const volatile u8 *at) { return *(const volatile u32 *)(const volatile void *)at; }
static inline u16 load16(const volatile u8 *at) { return *(const volatile u16 *)(const volatile void *)at; }
static inline void store32(volatile u8 *at, u32 v) { *(volatile u32 *)(volatile void *)at = v; }
static inline void store16(volatile u8 *at, u16 v) { *(volatile u16 *)(volatile void *)at = v; }

#endif
