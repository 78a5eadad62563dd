/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Configuration accesses, BARs, INTx, MSI, MSI-X, bus mastering, resource assignment. */
#include "pci_rig.h"
#include "unit.h"

/* A device with every kind of BAR and capability. */
struct probe {
    struct pci_function fn;
    u8 regs[4096];
    u64 last_offset;
    unsigned last_size, flr_count;
};

static u64 probe_read(void *self, u64 offset, unsigned size)
{
    struct probe *p = self;
    p->last_offset = offset;
    p->last_size = size;
    return load_le(p->regs + (offset & 0xff8), size);
}

static void probe_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct probe *p = self;
    p->last_offset = offset;
    p->last_size = size;
    store_le(p->regs + (offset & 0xff8), value, size);
}

static u32 probe_port_read(void *self, u16 offset, unsigned size)
{
    return (u32)probe_read(self, offset, size);
}

static void probe_port_write(void *self, u16 offset, u32 value, unsigned size)
{
    probe_write(self, offset, value, size);
}

static const struct mmio_ops probe_mmio = {.read = probe_read, .write = probe_write};
static const struct port_ops probe_ports = {.read = probe_port_read, .write = probe_port_write};

static void probe_flr(void *self)
{
    ((struct probe *)self)->flr_count++;
}

static const struct pci_function_ops probe_function_ops = {.function_reset = probe_flr};

static void probe_reset(void *self, enum reset_kind kind)
{
    UNUSED(kind);
    pci_function_reset(&((struct probe *)self)->fn);
}

static void probe_state(void *self, struct state_io *io)
{
    struct probe *p = self;
    state_section(io, "probe", 1);
    pci_function_state(&p->fn, io);
    state_bytes(io, "regs", p->regs, sizeof p->regs);
}

static void probe_destroy(void *self)
{
    pci_function_free(&((struct probe *)self)->fn);
    free(self);
}

static const struct device_ops probe_ops = {
    .type = "probe", .reset = probe_reset, .state = probe_state, .destroy = probe_destroy};

#define VECTORS 70

static struct probe *probe_new(struct rig *rig, u8 devfn, u8 pin, bool msix)
{
    struct probe *p = calloc(1, sizeof *p);
    ck_assert_ptr_nonnull(p);
    const struct pci_ids ids = {.vendor = 0x1234,
                                .device = 0x5678,
                                .subsystem_vendor = 0x1af4,
                                .subsystem = 0x1100,
                                .class_code = 0x018000,
                                .revision = 3,
                                .pin = pin};
    pci_add_function(rig->pci, &p->fn, devfn, &ids, &probe_function_ops, p);
    pci_add_io_bar(&p->fn, 0, 64, &probe_ports, p, "probe-io");
    pci_add_mem_bar(&p->fn, 1, PCI_BAR_MEM32, false, 4096, &probe_mmio, p, "probe-mem");
    pci_add_mem_bar(&p->fn, 2, PCI_BAR_MEM64, true, 8192, NULL, p, "probe-mem64");
    (void)pci_add_power_management(&p->fn, 0);
    (void)pci_add_express(&p->fn, 0, PCI_EXP_TYPE_RC_END);
    if (msix) {
        (void)pci_add_msix(&p->fn, 0, VECTORS, 2, 0, 0x1000);
    } else {
        (void)pci_add_msi(&p->fn, 0, 4, true);
    }
    bus_add_device(rig->bus, &probe_ops, p, "probe");
    return p;
}

#define DEV PCI_DEVFN(4, 0)

START_TEST(test_pci__config_widths)
{
    struct rig *rig = rig_new();
    (void)probe_new(rig, DEV, 1, false);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0, 4), 0x56781234);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 2, 2), 0x5678);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 3, 1), 0x56);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0x0b, 1), 0x01);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, PCI_INTERRUPT_LINE, 2), 0x0100);
    rig_cfg_write(rig, DEV, PCI_INTERRUPT_LINE, 0xffffff0b, 4);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, PCI_INTERRUPT_LINE, 4), 0x0000010b);
    rig_cfg_write(rig, DEV, 0, 0, 4);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0, 4), 0x56781234);
    /* Absent functions, other buses and a disabled address read as ones. */
    ck_assert_uint_eq(rig_cfg_read(rig, PCI_DEVFN(5, 0), 0, 4), 0xffffffff);
    ck_assert_uint_eq(rig_cfg_read(rig, PCI_DEVFN(4, 1), 0, 2), 0xffff);
    ck_assert_uint_eq(pci_config_read(rig->pci, 1, DEV, 0, 4), 0xffffffff);
    bus_port_write(rig->bus, 0xcf8, 0x00002000, 4);
    ck_assert_uint_eq(bus_port_read(rig->bus, 0xcfc, 4), 0xffffffff);
    /* CONFIG_ADDRESS is a dword register. */
    bus_port_write(rig->bus, 0xcf8, 0x80002000, 4);
    bus_port_write(rig->bus, 0xcf8, 0x11, 1);
    bus_port_write(rig->bus, 0xcfa, 0x2222, 2);
    ck_assert_uint_eq(bus_port_read(rig->bus, 0xcf8, 4), 0x80002000);
    rig_free(rig);
}
END_TEST

static u32 cf9_value;

static void cf9_write(void *self, u16 offset, u32 value, unsigned size)
{
    UNUSED(self);
    UNUSED(offset);
    UNUSED(size);
    cf9_value = value;
}

static u32 cf9_read(void *self, u16 offset, unsigned size)
{
    UNUSED(self);
    UNUSED(offset);
    UNUSED(size);
    return 0x5a;
}

/* The reset control register lies inside CONFIG_ADDRESS; only a byte access reaches it. */
START_TEST(test_pci__cf9_inside_config_address)
{
    static const struct port_ops ops = {.read = cf9_read, .write = cf9_write, .max_size = 1};
    struct rig *rig = rig_new();
    cf9_value = 0;
    (void)bus_add_ports(rig->bus, 0xcf9, 1, &ops, rig, "cf9");
    bus_port_write(rig->bus, 0xcf8, 0x80000000, 4);
    ck_assert_uint_eq(cf9_value, 0);
    ck_assert_uint_eq(bus_port_read(rig->bus, 0xcf8, 4), 0x80000000);
    ck_assert_uint_eq(bus_port_read(rig->bus, 0xcf9, 1), 0x5a);
    bus_port_write(rig->bus, 0xcf9, 6, 1);
    ck_assert_uint_eq(cf9_value, 6);
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__ecam)
{
    struct rig *rig = rig_new();
    struct probe *p = probe_new(rig, DEV, 1, false);
    u16 ext = pci_add_ext_capability(&p->fn, 3, 1, 12);
    ck_assert_uint_eq(ext, 0x100);
    (void)pci_add_ext_capability(&p->fn, 0x0b, 1, 8);
    u64 at = Q35_ECAM_BASE + ((u64)DEV << 12);
    ck_assert_uint_eq(rig_read32(rig, at), 0xffffffff);
    rig_cfg_write(rig, 0, MCH_PCIEXBAR, Q35_ECAM_BASE | 1, 4);
    ck_assert_uint_eq(rig_read32(rig, at), 0x56781234);
    ck_assert_uint_eq(rig_read32(rig, at + 0x100), 0x10c10003);
    ck_assert_uint_eq(phys_read_scalar(&rig->phys, SPA(at + 3), 1), 0x56);
    ck_assert_uint_eq(phys_read_scalar(&rig->phys, SPA(at), 8) >> 32, rig_read32(rig, at + 4));
    phys_write_scalar(&rig->phys, SPA(at + PCI_INTERRUPT_LINE), 0x0a, 1);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, PCI_INTERRUPT_LINE, 1), 0x0a);
    /* The bridge itself is conventional: nothing above 256 bytes. */
    ck_assert_uint_eq(rig_read32(rig, Q35_ECAM_BASE + 0x100), 0xffffffff);
    /* 64 MiB at another place. */
    rig_cfg_write(rig, 0, MCH_PCIEXBAR, 0xe4000005, 4);
    ck_assert_uint_eq(rig_read32(rig, at), 0xffffffff);
    ck_assert_uint_eq(rig_read32(rig, 0xe4000000 + ((u64)DEV << 12)), 0x56781234);
    ck_assert_ptr_null(phys_find(&rig->phys, SPA(0xe8000000)));
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__bars)
{
    struct rig *rig = rig_new();
    struct probe *p = probe_new(rig, DEV, 1, false);
    rig_cfg_write(rig, DEV, 0x10, 0xffffffff, 4);
    rig_cfg_write(rig, DEV, 0x14, 0xffffffff, 4);
    rig_cfg_write(rig, DEV, 0x18, 0xffffffff, 4);
    rig_cfg_write(rig, DEV, 0x1c, 0xffffffff, 4);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0x10, 4), 0xffffffc1);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0x14, 4), 0xfffff000);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0x18, 4), 0xffffe00c);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0x1c, 4), 0xffffffff);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0x20, 4), 0);
    rig_cfg_write(rig, DEV, 0x30, 0xffffffff, 4);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0x30, 4), 0);

    /* Sizing with decoding on maps nothing. */
    rig_cfg_write(rig, DEV, PCI_COMMAND, 3, 2);
    ck_assert(!p->fn.bars[0].mapped && !p->fn.bars[1].mapped && !p->fn.bars[2].mapped);

    rig_cfg_write(rig, DEV, 0x10, 0xc040, 4);
    rig_cfg_write(rig, DEV, 0x14, 0xfe000000, 4);
    rig_cfg_write(rig, DEV, 0x18, 0x00002000, 4);
    rig_cfg_write(rig, DEV, 0x1c, 0x00000008, 4);
    bus_port_write(rig->bus, 0xc050, 0xabcd, 2);
    ck_assert_uint_eq(p->last_offset, 0x10);
    ck_assert_uint_eq(p->last_size, 2);
    rig_write32(rig, 0xfe000020, 0x11223344);
    ck_assert_uint_eq(p->last_offset, 0x20);
    ck_assert_uint_eq(rig_read32(rig, 0xfe000020), 0x11223344);
    ck_assert_ptr_nonnull(phys_find(&rig->phys, SPA(0x800002000)));
    /* Move. */
    rig_cfg_write(rig, DEV, 0x14, 0xfd000000, 4);
    ck_assert_uint_eq(rig_read32(rig, 0xfe000020), 0xffffffff);
    ck_assert_uint_eq(rig_read32(rig, 0xfd000020), 0x11223344);
    /* RAM wins over a BAR. */
    rig_write32(rig, 0x200020, 0x55);
    rig_cfg_write(rig, DEV, 0x14, 0x200000, 4);
    ck_assert_uint_eq(rig_read32(rig, 0x200020), 0x55);
    rig_cfg_write(rig, DEV, 0x14, 0xfd000000, 4);
    /* Decode bits. */
    rig_cfg_write(rig, DEV, PCI_COMMAND, PCI_COMMAND_IO, 2);
    ck_assert_uint_eq(rig_read32(rig, 0xfd000020), 0xffffffff);
    ck_assert_uint_ne(bus_port_read(rig->bus, 0xc050, 2), 0xffff);
    rig_cfg_write(rig, DEV, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    ck_assert_uint_eq(rig_read32(rig, 0xfd000020), 0x11223344);
    ck_assert_uint_eq(bus_port_read(rig->bus, 0xc050, 2), 0xffff);
    /* D3hot. */
    rig_cfg_write(rig, DEV, p->fn.pm_cap + 4u, 3, 2);
    ck_assert_uint_eq(rig_read32(rig, 0xfd000020), 0xffffffff);
    rig_cfg_write(rig, DEV, p->fn.pm_cap + 4u, 0, 2);
    ck_assert_uint_eq(rig_read32(rig, 0xfd000020), 0x11223344);
    /* Reset. */
    bus_reset(rig->bus, RESET_HARD);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, 0x14, 4), 0);
    ck_assert_uint_eq(rig_read32(rig, 0xfd000020), 0xffffffff);
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__capability_list)
{
    struct rig *rig = rig_new();
    struct probe *p = probe_new(rig, DEV, 1, true);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0x10);
    unsigned seen = 0;
    unsigned at = rig_cfg_read(rig, DEV, PCI_CAPABILITY_LIST, 1);
    while (at != 0 && seen < 10) {
        ck_assert_uint_eq(at & 3, 0);
        seen++;
        at = rig_cfg_read(rig, DEV, at + 1, 1);
    }
    ck_assert_uint_eq(seen, 3);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, p->fn.express_cap, 1), PCI_CAP_ID_EXPRESS);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, p->fn.express_cap + 2u, 2), 0x92);
    /* Function-level reset. */
    rig_cfg_write(rig, DEV, PCI_COMMAND, 7, 2);
    rig_cfg_write(rig, DEV, p->fn.express_cap + 8u, 0x8000, 2);
    ck_assert_uint_eq(p->flr_count, 1);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, PCI_COMMAND, 2), 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__multi_function)
{
    struct rig *rig = rig_new();
    (void)probe_new(rig, DEV, 1, false);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, PCI_HEADER_TYPE, 1), 0);
    (void)probe_new(rig, DEV + 1, 2, false);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, PCI_HEADER_TYPE, 1), 0x80);
    ck_assert_uint_eq(pci_bus_free_slot(rig->pci, 4), 5);
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__intx_shared_and_routed)
{
    struct rig *rig = rig_new();
    struct probe *a = probe_new(rig, PCI_DEVFN(4, 0), 1, false);
    struct probe *b = probe_new(rig, PCI_DEVFN(8, 0), 1, false);
    struct probe *c = probe_new(rig, PCI_DEVFN(4, 1), 2, false);
    rig_cfg_write(rig, ICH9_LPC_DEVFN, ICH9_PIRQE_ROUT, 0x0a, 1);
    pci_set_intx(&a->fn, true);
    ck_assert(rig->pirq[4] && rig->isa[10]);
    ck_assert_uint_eq(rig_cfg_read(rig, a->fn.devfn, PCI_STATUS, 2) & 8, 8);
    pci_set_intx(&b->fn, true);
    pci_set_intx(&a->fn, false);
    ck_assert(rig->pirq[4] && rig->isa[10]);
    rig_cfg_write(rig, b->fn.devfn, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
    ck_assert(!rig->pirq[4] && !rig->isa[10]);
    ck_assert_uint_eq(rig_cfg_read(rig, b->fn.devfn, PCI_STATUS, 2) & 8, 8);
    rig_cfg_write(rig, b->fn.devfn, PCI_COMMAND, 0, 2);
    ck_assert(rig->pirq[4]);
    /* Another route: IRQ 11, then a line that cannot be selected, then disabled. */
    rig_cfg_write(rig, ICH9_LPC_DEVFN, ICH9_PIRQE_ROUT, 0x0b, 1);
    ck_assert(!rig->isa[10] && rig->isa[11]);
    rig_cfg_write(rig, ICH9_LPC_DEVFN, ICH9_PIRQE_ROUT, 0x08, 1);
    ck_assert(!rig->isa[8] && !rig->isa[11]);
    rig_cfg_write(rig, ICH9_LPC_DEVFN, ICH9_PIRQE_ROUT, 0x8b, 1);
    ck_assert(!rig->isa[11] && rig->pirq[4]);
    pci_set_intx(&c->fn, true); /* slot 4, INTB#: PIRQF */
    ck_assert(rig->pirq[5]);
    bus_reset(rig->bus, RESET_HARD);
    ck_assert(!rig->pirq[4] && !rig->pirq[5]);
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__dir_routes_slot_31)
{
    struct rig *rig = rig_new();
    struct probe *p = probe_new(rig, PCI_DEVFN(31, 5), 2, false);
    rig_cfg_write(rig, ICH9_LPC_DEVFN, ICH9_RCBA, Q35_RCBA | 1, 4);
    ck_assert_uint_eq(rig_read32(rig, Q35_RCBA + ICH9_CC_D31IR) & 0xffff, 0x3210);
    pci_set_intx(&p->fn, true);
    ck_assert(rig->pirq[1]);
    phys_write_scalar(&rig->phys, SPA(Q35_RCBA + ICH9_CC_D31IR), 0x3260, 2);
    ck_assert(!rig->pirq[1] && rig->pirq[6]);
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__bus_master)
{
    struct rig *rig = rig_new();
    struct probe *p = probe_new(rig, DEV, 1, false);
    u8 data[4] = {1, 2, 3, 4};
    ck_assert(!pci_dma_write(&p->fn, IOVA(0x1000), data, 4));
    ck_assert_uint_eq(rig->dma_count, 0);
    rig_cfg_write(rig, DEV, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
    ck_assert(pci_dma_write(&p->fn, IOVA(0x1000), data, 4));
    ck_assert_uint_eq(rig->last_requester, DEV);
    ck_assert_uint_eq(rig_read32(rig, 0x1000), 0x04030201);
    rig_cfg_write(rig, DEV, p->fn.pm_cap + 4u, 3, 2);
    ck_assert(!pci_dma_read(&p->fn, IOVA(0x1000), data, 4));
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__msi)
{
    struct rig *rig = rig_new();
    struct probe *p = probe_new(rig, DEV, 1, false);
    unsigned cap = p->fn.msi_cap;
    pci_msi_notify(&p->fn, 0);
    ck_assert_uint_eq(rig->messages, 0);
    rig_cfg_write(rig, DEV, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
    rig_cfg_write(rig, DEV, cap + PCI_MSI_ADDRESS_LO, 0xfee01003, 4);
    rig_cfg_write(rig, DEV, cap + PCI_MSI_DATA_64, 0x4043, 2);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, cap + PCI_MSI_ADDRESS_LO, 4), 0xfee01000);
    pci_set_intx(&p->fn, true);
    ck_assert(rig->pirq[4]);
    rig_cfg_write(rig, DEV, cap + PCI_MSI_FLAGS, 1 | 2 << 4, 2);
    ck_assert(!rig->pirq[4]); /* the pin is silent now */
    pci_msi_notify(&p->fn, 2);
    ck_assert_uint_eq(rig->messages, 1);
    ck_assert_uint_eq(rig->last_address, 0xfee01000);
    ck_assert_uint_eq(rig->last_data, 0x4042);
    /* Mask, pend, unmask. */
    rig_cfg_write(rig, DEV, cap + PCI_MSI_MASK_64, 0xffffffff, 4);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, cap + PCI_MSI_MASK_64, 4), 0xf);
    pci_msi_notify(&p->fn, 3);
    ck_assert_uint_eq(rig->messages, 1);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, cap + PCI_MSI_PENDING_64, 4), 8);
    rig_cfg_write(rig, DEV, cap + PCI_MSI_MASK_64, 7, 4);
    ck_assert_uint_eq(rig->messages, 2);
    ck_assert_uint_eq(rig->last_data, 0x4043);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, cap + PCI_MSI_PENDING_64, 4), 0);
    /* One vector allowed: all signal it. */
    rig_cfg_write(rig, DEV, cap + PCI_MSI_FLAGS, 1, 2);
    rig_cfg_write(rig, DEV, cap + PCI_MSI_MASK_64, 0, 4);
    pci_msi_notify(&p->fn, 3);
    ck_assert_uint_eq(rig->last_data, 0x4043);
    /* A message elsewhere is a memory write; no master, no message. */
    rig_cfg_write(rig, DEV, cap + PCI_MSI_ADDRESS_LO, 0x3000, 4);
    pci_msi_notify(&p->fn, 0);
    ck_assert_uint_eq(rig->messages, 3);
    ck_assert_uint_eq(rig_read32(rig, 0x3000), 0x4043);
    rig_cfg_write(rig, DEV, PCI_COMMAND, 0, 2);
    rig_cfg_write(rig, DEV, cap + PCI_MSI_ADDRESS_LO, 0xfee00000, 4);
    pci_msi_notify(&p->fn, 0);
    ck_assert_uint_eq(rig->messages, 3);
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__msix)
{
    struct rig *rig = rig_new();
    struct probe *p = probe_new(rig, DEV, 1, true);
    unsigned cap = p->fn.msix_cap;
    u64 table = 0xfe010000;
    rig_cfg_write(rig, DEV, 0x18, (u32)table, 4);
    rig_cfg_write(rig, DEV, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    ck_assert_uint_eq(rig_cfg_read(rig, DEV, cap + 2, 2), VECTORS - 1);
    ck_assert_uint_eq(rig_read32(rig, table + 65 * 16 + 12), 1); /* masked after reset */
    phys_write_scalar(&rig->phys, SPA(table + 65 * 16), 0xfee02000, 8);
    rig_write32(rig, table + 65 * 16 + 8, 0x77);
    pci_msix_notify(&p->fn, 65);
    ck_assert_uint_eq(rig_read32(rig, table + 0x1008), 0); /* not enabled: nothing pends */
    rig_cfg_write(rig, DEV, cap + 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
    pci_msix_notify(&p->fn, 65);
    ck_assert_uint_eq(rig_read32(rig, table + 0x1008), 2);
    rig_write32(rig, table + 0x1008, 0); /* read-only */
    ck_assert_uint_eq(rig_read32(rig, table + 0x1008), 2);
    rig_cfg_write(rig, DEV, cap + 2, PCI_MSIX_FLAGS_ENABLE, 2);
    ck_assert_uint_eq(rig->messages, 0); /* still masked by its entry */
    rig_write32(rig, table + 65 * 16 + 12, 0xfffffffe);
    ck_assert_uint_eq(rig->messages, 1);
    ck_assert_uint_eq(rig->last_address, 0xfee02000);
    ck_assert_uint_eq(rig->last_data, 0x77);
    ck_assert_uint_eq(rig->last_requester, DEV);
    ck_assert_uint_eq(rig_read32(rig, table + 65 * 16 + 12), 0);
    ck_assert_uint_eq(rig_read32(rig, table + 0x1008), 0);
    pci_msix_notify(&p->fn, 65);
    pci_msix_notify(&p->fn, VECTORS);
    ck_assert_uint_eq(rig->messages, 2);
    /* Function mask, pend, release. */
    rig_cfg_write(rig, DEV, cap + 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
    pci_msix_notify(&p->fn, 65);
    ck_assert_uint_eq(rig->messages, 2);
    rig_cfg_write(rig, DEV, cap + 2, PCI_MSIX_FLAGS_ENABLE, 2);
    ck_assert_uint_eq(rig->messages, 3);
    /* Past the tables: the device (here: none) answers. */
    ck_assert_uint_eq(rig_read32(rig, table + VECTORS * 16), 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__assign_resources)
{
    struct rig *rig = rig_new();
    struct probe *a = probe_new(rig, PCI_DEVFN(4, 0), 1, true);
    struct probe *b = probe_new(rig, PCI_DEVFN(7, 0), 1, false);
    bus_reset(rig->bus, RESET_POWER);
    q35_setup_without_firmware(rig->pci, rig->lpc, GIB(64), GIB(128) - 1);
    ck_assert_uint_eq(rig_cfg_read(rig, a->fn.devfn, 0x10, 4), 0x1001);
    ck_assert_uint_eq(rig_cfg_read(rig, b->fn.devfn, 0x10, 4), 0x1041);
    ck_assert_uint_eq(rig_cfg_read(rig, a->fn.devfn, 0x18, 4), 0xc000000c);
    ck_assert_uint_eq(rig_cfg_read(rig, b->fn.devfn, 0x18, 4), 0xc000200c);
    ck_assert_uint_eq(rig_cfg_read(rig, a->fn.devfn, 0x14, 4), 0xc0004000);
    ck_assert(a->fn.bars[0].mapped && a->fn.bars[1].mapped && a->fn.bars[2].mapped);
    ck_assert_uint_eq(rig_cfg_read(rig, a->fn.devfn, PCI_COMMAND, 2), 3);
    ck_assert_uint_eq(rig_cfg_read(rig, a->fn.devfn, PCI_INTERRUPT_LINE, 1), 10);
    ck_assert_uint_eq(rig_cfg_read(rig, b->fn.devfn, PCI_INTERRUPT_LINE, 1), 11);
    ck_assert_uint_eq(rig->pm_base, 0x600);
    ck_assert(rig->pm_enabled);
    ck_assert_uint_eq(rig_read32(rig, Q35_ECAM_BASE), 0x29c08086);
    pci_set_intx(&b->fn, true); /* slot 7 INTA#: PIRQH -> 11 */
    ck_assert(rig->pirq[7] && rig->isa[11]);
    rig_free(rig);
}
END_TEST

START_TEST(test_pci__save_restore)
{
    struct rig *one = rig_new();
    struct rig *two = rig_new();
    struct probe *p = probe_new(one, DEV, 1, true);
    struct probe *q = probe_new(two, DEV, 1, true);
    bus_reset(one->bus, RESET_POWER);
    bus_reset(two->bus, RESET_POWER);
    q35_setup_without_firmware(one->pci, one->lpc, GIB(64), GIB(128) - 1);
    rig_cfg_write(one, DEV, p->fn.msix_cap + 2u, PCI_MSIX_FLAGS_ENABLE, 2);
    pci_msix_notify(&p->fn, 9);
    rig_write32(one, 0xc0000000 + 16 * 16, 0xfee00000);
    rig_check_save_restore(one, two);
    ck_assert_uint_eq(rig_read32(two, 0xc0000000 + 16 * 16), 0xfee00000);
    ck_assert_uint_eq(rig_read32(two, Q35_ECAM_BASE), 0x29c08086);
    ck_assert_uint_eq(two->pm_base, 0x600);
    ck_assert(q->fn.bars[0].mapped);
    ck_assert_uint_eq(q->fn.msix.pba[1], 2);
    rig_free(one);
    rig_free(two);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pci");
    TCase *tc = tcase_create("pci");
    suite_add_tcase(suite, tc);
    tcase_add_test(tc, test_pci__config_widths);
    tcase_add_test(tc, test_pci__cf9_inside_config_address);
    tcase_add_test(tc, test_pci__ecam);
    tcase_add_test(tc, test_pci__bars);
    tcase_add_test(tc, test_pci__capability_list);
    tcase_add_test(tc, test_pci__multi_function);
    tcase_add_test(tc, test_pci__intx_shared_and_routed);
    tcase_add_test(tc, test_pci__dir_routes_slot_31);
    tcase_add_test(tc, test_pci__bus_master);
    tcase_add_test(tc, test_pci__msi);
    tcase_add_test(tc, test_pci__msix);
    tcase_add_test(tc, test_pci__assign_resources);
    tcase_add_test(tc, test_pci__save_restore);
    return unit_run(suite);
}
