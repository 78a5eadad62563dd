/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interrupt remapping [VTD "Interrupt Remapping"]: requests in the compatibility and remappable
 * formats, the table's entries, posted interrupts.
 *
 * What comes out is again an address and data, with bits 31:8 of an x2APIC destination in address
 * bits 63:40, where the unit's own upper address registers have them too. */
#include "base/bytes.h"
#include "devices/iommu/vtd_priv.h"

#define IRTE_PRESENT BIT(0)
#define IRTE_FPD BIT(1)
#define IRTE_URGENT BIT(14)
#define IRTE_POSTED BIT(15)

/* [VTD "Posted Interrupt Descriptor (PID)"] */
#define PID_SIZE 64
#define PID_CONTROL 32 /* ON, SN, NV, NDST */
#define PID_ON BIT(0)
#define PID_SN BIT(1)

static bool extended(const struct vtd *v)
{
    return (v->irtable & VTD_IRTA_EIME) != 0;
}

/* destination: as entries hold it, in bits 15:8 unless extended. */
static void send(struct vtd *v, u16 requester, u32 destination, u64 low_address, u32 data)
{
    u32 id = extended(v) ? destination : destination >> 8 & 0xff;
    u64 address = 0xfee00000u | (u64)(id & 0xff) << 12 | (u64)(id >> 8) << 40 | low_address;
    v->base.env.msi.send(v->base.env.msi.self, requester, address, data);
}

static bool destination_valid(const struct vtd *v, u32 destination)
{
    return extended(v) || (destination & 0xffff00ff) == 0;
}

/* [VTD "Interrupt Remapping Table Entry (IRTE) for Remapped Interrupts"] */
static enum vtd_fault_code deliver(struct vtd *v, u16 requester, const u64 irte[2])
{
    unsigned mode = (unsigned)bits_get(irte[0], 5, 3);
    u32 destination = (u32)(irte[0] >> 32);
    if ((irte[0] & 0xff007000) != 0 || irte[1] >> 20 != 0 || mode == 3 || mode == 6 ||
        !destination_valid(v, destination)) {
        return VTD_FAULT_IR_RESERVED;
    }
    u32 data = (u32)bits_get(irte[0], 16, 8) | mode << 8;
    if ((irte[0] & BIT(4)) != 0) {
        data |= 1u << 15 | 1u << 14; /* level, asserted */
    }
    send(v, requester, destination, bits_get(irte[0], 2, 1) << 2 | bits_get(irte[0], 3, 1) << 3,
         data);
    return VTD_FAULT_NONE;
}

/* [VTD "Interrupt Posting Hardware Operation"] */
static enum vtd_fault_code post(struct vtd *v, u16 requester, const u64 irte[2])
{
    u8 pid[PID_SIZE];
    u64 at = bits_get(irte[0], 38, 26) << 6 | (irte[1] >> 32) << 32;
    if ((irte[0] & 0x3fff0030fc) != 0 || bits_get(irte[1], 20, 12) != 0 ||
        (v->cap & BIT(VTD_CAP_PI_SHIFT)) == 0) {
        return VTD_FAULT_IR_RESERVED;
    }
    if (!iommu_table_read(&v->base, at, pid, sizeof pid)) {
        return VTD_FAULT_IR_PID_ACCESS;
    }
    u64 control = load_le64(pid + PID_CONTROL);
    u64 rest = load_le64(pid + 40) | load_le64(pid + 48) | load_le64(pid + 56);
    u32 destination = (u32)(control >> 32);
    if ((control & 0xff00fffc) != 0 || rest != 0 || !destination_valid(v, destination)) {
        return VTD_FAULT_IR_PID_RESERVED;
    }
    unsigned vector = (unsigned)bits_get(irte[0], 16, 8);
    pid[vector / 8] |= (u8)(1u << vector % 8);
    bool urgent = (irte[0] & IRTE_URGENT) != 0;
    bool notify = (control & PID_ON) == 0 && (urgent || (control & PID_SN) == 0);
    store_le64(pid + PID_CONTROL, control | (notify ? PID_ON : 0));
    if (!iommu_table_write(&v->base, at, pid, sizeof pid)) {
        return VTD_FAULT_IR_PID_ACCESS;
    }
    iommu_count_posted(&v->base, requester, vector, at, notify, extended(v) ? destination : destination >> 8 & 0xff);
    if (notify) {
        send(v, requester, destination, 0, (u32)bits_get(control, 16, 8));
    }
    return VTD_FAULT_NONE;
}

/* [VTD "Interrupt Remapping Table Entry", SVT and SQ] */
static enum vtd_fault_code check_source(const struct vtd *v, u16 requester, u64 upper)
{
    static const u16 ignored[4] = {0, 4, 6, 7};
    u16 sid = (u16)upper;
    bool same;
    switch (bits_get(upper, 18, 2)) {
    case 0:
        return VTD_FAULT_NONE;
    case 1:
        same = ((requester ^ sid) & ~(unsigned)ignored[bits_get(upper, 16, 2)]) == 0;
        break;
    case 2:
        same = requester >> 8 >= sid >> 8 && requester >> 8 <= (sid & 0xff);
        break;
    default:
        return VTD_FAULT_IR_RESERVED;
    }
    if (requester == v->config.ioapic_requester && !v->config.options.verify_ioapic) {
        same = true;
    }
    return same ? VTD_FAULT_NONE : VTD_FAULT_IR_SOURCE;
}

static enum vtd_fault_code remap(struct vtd *v, struct vtd_request *r, u64 address, u32 data)
{
    if ((address & VTD_MSI_REMAPPABLE) == 0) {
        if (extended(v) || (v->gsts & VTD_GCMD_CFI) == 0) {
            return VTD_FAULT_IR_COMPATIBILITY;
        }
        v->base.env.msi.send(v->base.env.msi.self, r->requester, address, data);
        return VTD_FAULT_NONE;
    }
    bool has_subhandle = (address & VTD_MSI_SHV) != 0;
    u64 index = bits_get(address, 5, 15) | bits_get(address, 2, 1) << 15;
    index += has_subhandle ? data & 0xffff : 0;
    r->address = index;
    if (has_subhandle && data >> 16 != 0) {
        return VTD_FAULT_IR_REQUEST_RESERVED;
    }
    if (index >= (u64)2 << (v->irtable & VTD_IRTA_SIZE)) {
        return VTD_FAULT_IR_INDEX;
    }
    u8 raw[16];
    if (!iommu_table_read(&v->base, (v->irtable & ~PAGE_MASK) + 16 * index, raw, sizeof raw)) {
        return VTD_FAULT_IR_ACCESS;
    }
    u64 irte[2] = {load_le64(raw), load_le64(raw + 8)};
    r->fpd = (irte[0] & IRTE_FPD) != 0;
    if ((irte[0] & IRTE_PRESENT) == 0) {
        return VTD_FAULT_IR_NOT_PRESENT;
    }
    iommu_stale_interrupt(&v->base, r->requester, 0, (u32)index, irte[0], irte[1]);
    enum vtd_fault_code code = check_source(v, r->requester, irte[1]);
    if (code != VTD_FAULT_NONE) {
        return code;
    }
    return (irte[0] & IRTE_POSTED) != 0 ? post(v, r->requester, irte)
                                        : deliver(v, r->requester, irte);
}

void vtd_interrupt(struct iommu *iommu, u16 requester, u64 address, u32 data)
{
    struct vtd *v = vtd_of(iommu);
    struct vtd_request r = {.requester = requester, .write = true, .interrupt = true};
    if ((v->gsts & VTD_GCMD_IRE) == 0) {
        v->base.env.msi.send(v->base.env.msi.self, requester, address, data);
        return;
    }
    enum vtd_fault_code code = remap(v, &r, address, data);
    if (code != VTD_FAULT_NONE) {
        vtd_report_fault(v, &r, code);
    }
}
