/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interrupt remapping [AMDVI "Interrupt Remapping Tables", "Guest Virtual APIC"]: entries of 32 bits,
 * entries of 128 bits, interrupts straight into a guest's virtual APIC.
 *
 * Data bits 10:0 are the index. Bits 10:8 are the delivery mode as well: fixed and lowest priority are
 * remapped, the others pass or not by bits of their own. Tables of more than 512 entries take all
 * eleven bits as index. Trigger mode and level are the request's own.
 *
 * What comes out is again an address and data, with bits 31:8 of an x2APIC destination in address
 * bits 63:40. */
#include "base/bytes.h"
#include "devices/iommu/amdvi_priv.h"

#define TYPE_FIXED 0u
#define TYPE_LOWEST 1u
#define TYPE_SMI 2u
#define TYPE_NMI 4u
#define TYPE_INIT 5u
#define TYPE_EXTINT 7u
#define LEVEL_BITS 0xc000u /* of the data: trigger mode and level */
#define VAPIC_IRR 0x200u
#define MAX_TABLE_LENGTH 11u

static void forward(struct amdvi *a, u16 requester, u64 address, u32 data)
{
    a->base.env.msi.send(a->base.env.msi.self, requester, address, data);
}

static void send(struct amdvi *a, u16 requester, u32 destination, bool logical, unsigned type,
                 unsigned vector, u32 data)
{
    u64 address = 0xfee00000u | (u64)(destination & 0xff) << 12 |
                  (u64)(destination >> 8) << 40 | (logical ? 4u : 0u);
    forward(a, requester, address, vector | type << 8 | (data & LEVEL_BITS));
}

static enum amdvi_fault deliver_32(struct amdvi *a, u16 requester, u64 entry, u32 data)
{
    unsigned type = (unsigned)bits_get(entry, AMDVI_IRTE_INT_TYPE_SHIFT, 3);
    if (bits_get(entry, 24, 8) != 0 || (entry & AMDVI_IRTE_GUEST_MODE) != 0 || type > TYPE_LOWEST) {
        return AMDVI_FAULT_IR_RESERVED;
    }
    send(a, requester, (u32)bits_get(entry, 8, 8), (entry & AMDVI_IRTE_DM) != 0, type,
         (unsigned)bits_get(entry, 16, 8), data);
    return AMDVI_FAULT_NONE;
}

/* Straight into the guest's virtual APIC page; a running guest's processor is told by doorbell, the
 * hypervisor of another by the GA log. */
static enum amdvi_fault deliver_guest(struct amdvi *a, u16 requester, u64 low, u64 high)
{
    unsigned vector = (unsigned)bits_get(high, 0, 8);
    u64 at = (high & AMDVI_BASE_ADDRESS) + VAPIC_IRR + vector / 32 * 16;
    u8 raw[4];
    if (bits_get(a->control, AMDVI_CTL_GAM_SHIFT, 3) != 1) {
        return AMDVI_FAULT_IR_GUEST_MODE;
    }
    if (!iommu_table_read(&a->base, at, raw, sizeof raw)) {
        return AMDVI_FAULT_IR_VAPIC_ACCESS;
    }
    store_le32(raw, load_le32(raw) | BIT32(vector % 32));
    if (!iommu_table_write(&a->base, at, raw, sizeof raw)) {
        return AMDVI_FAULT_IR_VAPIC_ACCESS;
    }
    u32 destination = (u32)(bits_get(low, 8, 24) | high >> 56 << 24);
    bool runs = (low & AMDVI_IRTE_IS_RUN) != 0;
    iommu_count_posted(&a->base, requester, vector, high & AMDVI_BASE_ADDRESS, runs, destination);
    if (runs) {
        if (a->config.doorbell.ring != NULL) {
            a->config.doorbell.ring(a->config.doorbell.self, destination);
        }
    } else if ((low & AMDVI_IRTE_GA_LOG_INTR) != 0) {
        a->base.posted.logged++;
        amdvi_log_guest(a, requester, (u32)(low >> 32));
    }
    return AMDVI_FAULT_NONE;
}

static enum amdvi_fault deliver_128(struct amdvi *a, u16 requester, u64 low, u64 high, u32 data)
{
    unsigned type = (unsigned)bits_get(low, AMDVI_IRTE_INT_TYPE_SHIFT, 3);
    bool wide = amdvi_on(a, AMDVI_CTL_XT_EN);
    u32 destination = (u32)(bits_get(low, 8, 24) | high >> 56 << 24);
    if ((low & AMDVI_IRTE_GUEST_MODE) != 0) {
        return deliver_guest(a, requester, low, high);
    }
    if (type > TYPE_LOWEST) {
        return AMDVI_FAULT_IR_RESERVED;
    }
    send(a, requester, wide ? destination : destination & 0xff, (low & AMDVI_IRTE_DM) != 0, type,
         (unsigned)bits_get(high, 0, 8), data);
    return AMDVI_FAULT_NONE;
}

static enum amdvi_fault remap(struct amdvi *a, struct amdvi_request *q, u32 data)
{
    bool wide = amdvi_on(a, AMDVI_CTL_GA_EN);
    unsigned length = (unsigned)bits_get(q->dte[2], AMDVI_DTE2_INTTABLEN_SHIFT, 4);
    u64 index = data & 0x7ff;
    u64 size = wide ? 16 : 4;
    u8 raw[16];
    q->r.address = index;
    if (index >> length != 0) {
        return AMDVI_FAULT_IR_INDEX;
    }
    if (!iommu_table_read(&a->base, (q->dte[2] & AMDVI_DTE2_INTTAB) + index * size, raw, size)) {
        return AMDVI_FAULT_IR_ACCESS;
    }
    u64 low = wide ? load_le64(raw) : load_le32(raw);
    if ((low & AMDVI_IRTE_REMAP_EN) == 0) {
        /* The entry may ask for silence [AMDVI "Interrupt Remapping Table Fields", SupIOPF]. */
        q->dte[2] |= (low & AMDVI_IRTE_SUP_IOPF) != 0 ? AMDVI_DTE2_IG : 0;
        return AMDVI_FAULT_IR_NOT_ENABLED;
    }
    iommu_stale_interrupt(&a->base, q->r.requester, q->r.requester, (u32)index, low & ~(u64)AMDVI_IRTE_IS_RUN,
                          wide ? load_le64(raw + 8) : 0);
    enum amdvi_fault fault =
        wide ? deliver_128(a, q->r.requester, low, load_le64(raw + 8), data)
             : deliver_32(a, q->r.requester, low, data);
    q->dte[2] |= (low & AMDVI_IRTE_SUP_IOPF) != 0 ? AMDVI_DTE2_IG : 0;
    return fault;
}

/* [AMDVI "Interrupt Control" of the device table entry] */
static enum amdvi_fault by_control(struct amdvi *a, struct amdvi_request *q, u64 address, u32 data)
{
    switch (bits_get(q->dte[2], AMDVI_DTE2_INTCTL_SHIFT, 2)) {
    case 0:
        return AMDVI_FAULT_INT_ABORT;
    case 1:
        forward(a, q->r.requester, address, data);
        return AMDVI_FAULT_NONE;
    case 2:
        return remap(a, q, data);
    default:
        return AMDVI_FAULT_DTE_INTERRUPT;
    }
}

static enum amdvi_fault by_type(struct amdvi *a, struct amdvi_request *q, u64 address, u32 data)
{
    unsigned length = (unsigned)bits_get(q->dte[2], AMDVI_DTE2_INTTABLEN_SHIFT, 4);
    u64 pass;
    if (length > MAX_TABLE_LENGTH || bits_get(q->dte[2], 52, 2) != 0) {
        return AMDVI_FAULT_DTE_INTERRUPT;
    }
    if (length > 9) {
        return by_control(a, q, address, data);
    }
    switch (data >> 8 & 7) {
    case TYPE_FIXED:
    case TYPE_LOWEST:
        return by_control(a, q, address, data);
    case TYPE_SMI:
        pass = ~(u64)0;
        break;
    case TYPE_NMI:
        pass = AMDVI_DTE2_NMI_PASS;
        break;
    case TYPE_INIT:
        pass = AMDVI_DTE2_INIT_PASS;
        break;
    case TYPE_EXTINT:
        pass = AMDVI_DTE2_EINT_PASS;
        break;
    default:
        return AMDVI_FAULT_INT_RESERVED;
    }
    if ((q->dte[2] & pass) == 0) {
        return AMDVI_FAULT_INT_NOT_PASSED;
    }
    forward(a, q->r.requester, address, data);
    return AMDVI_FAULT_NONE;
}

void amdvi_interrupt(struct iommu *iommu, u16 requester, u64 address, u32 data)
{
    struct amdvi *a = amdvi_of(iommu);
    struct amdvi_request q = {
        .r = {.requester = requester, .address = data & 0x7ff, .write = true, .interrupt = true}};
    if ((a->control & AMDVI_CTL_EN) == 0 || !a->config.options.intremap) {
        forward(a, requester, address, data);
        return;
    }
    enum amdvi_fault fault = amdvi_find_dte(a, &q);
    if (fault == AMDVI_FAULT_NONE) {
        if ((q.dte[2] & AMDVI_DTE2_IV) == 0) {
            forward(a, requester, address, data);
            return;
        }
        fault = by_type(a, &q, address, data);
    }
    if (fault != AMDVI_FAULT_NONE) {
        amdvi_report(a, &q, fault);
    }
}
