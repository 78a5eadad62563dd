/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VT-d remapping hardware: registers and construction.
 *
 * Modelled: legacy mode with second-level tables of 4 KiB, 2 MiB and 1 GiB pages and pass-through
 * (vtd_dma.c); scalable mode with PASID tables for requests without PASID, first-level,
 * second-level and pass-through (vtd_scalable.c); interrupt remapping, also extended, and posted
 * interrupts (vtd_intr.c); invalidation by registers and by queue (vtd_inval.c); primary fault
 * recording (vtd_fault.c); the DMAR table (vtd_dmar.c).
 *
 * Nothing is cached: every request walks the tables as they are. Commands take effect before the
 * write that gives them returns. Software may write 32 or 64 bits at a time; a command in a 64-bit
 * register starts with its upper half.
 *
 * Left out: requests with PASID, nested translation, device TLBs, page requests, protected memory
 * regions, advanced fault logging, first-level tables of 5 levels, performance counters. */
#include "devices/iommu/vtd_priv.h"

#include "base/assert.h"
#include "devices/bus.h"

#include <stdlib.h>

/* ---- global command ---- */

#define GCMD_STATES (VTD_GCMD_TE | VTD_GCMD_QIE | VTD_GCMD_IRE | VTD_GCMD_CFI)

/* [VTD "Global Command Register"]: software changes one bit at a time. Pointers first, so that
 * somebody who does not gets what was meant. */
static void write_gcmd(struct vtd *v, u32 value)
{
    u32 states = GCMD_STATES;
    if ((v->ecap & VTD_ECAP_IR) == 0) {
        states &= ~(u32)(VTD_GCMD_IRE | VTD_GCMD_CFI);
    } else if ((value & VTD_GCMD_SIRTP) != 0) {
        v->irtable = v->irta;
        v->gsts |= VTD_GCMD_SIRTP;
    }
    if ((value & VTD_GCMD_SRTP) != 0) {
        v->root = v->rtaddr;
        v->gsts |= VTD_GCMD_SRTP;
    }
    u32 changed = (v->gsts ^ value) & states;
    if ((changed & value & VTD_GCMD_TE) != 0 && (v->gsts & VTD_GCMD_SRTP) == 0) {
        log_guest_error(v->base.env.log, "%s: translation on without a root table", v->base.id);
    }
    if ((changed & value & VTD_GCMD_IRE) != 0 && (v->gsts & VTD_GCMD_SIRTP) == 0) {
        log_guest_error(v->base.env.log, "%s: interrupt remapping on without a table", v->base.id);
    }
    v->gsts ^= changed;
    if ((changed & VTD_GCMD_QIE) != 0) {
        v->iqh = 0; /* [VTD "Queued Invalidation Interface"] */
        vtd_queue_run(v);
    }
    if ((changed & (VTD_GCMD_TE | VTD_GCMD_IRE)) != 0) {
        log_line(v->base.env.log, LOG_IOMMU, "%s: translation %s, interrupt remapping %s", v->base.id,
                 (v->gsts & VTD_GCMD_TE) != 0 ? "on" : "off",
                 (v->gsts & VTD_GCMD_IRE) != 0 ? "on" : "off");
    }
    iommu_changed(&v->base);
}

/* ---- registers ---- */

static u32 half(u64 value, u64 offset)
{
    return (u32)(value >> (8 * (offset & 4)));
}

static u32 read_record(const struct vtd *v, u64 offset)
{
    u64 n = (offset - VTD_FRCD) / 16;
    return n < VTD_FRCD_COUNT ? half(v->frcd[n][offset >> 3 & 1], offset) : 0;
}

/* 32 bits at a multiple of 4. */
static u32 read_register(const struct vtd *v, u64 offset)
{
    switch (offset) {
    case VTD_VER:
        return v->config.options.scalable ? 0x30 : 0x10;
    case VTD_CAP:
    case VTD_CAP + 4:
        return half(v->cap, offset);
    case VTD_ECAP:
    case VTD_ECAP + 4:
        return half(v->ecap, offset);
    case VTD_GSTS:
        return v->gsts;
    case VTD_RTADDR:
    case VTD_RTADDR + 4:
        return half(v->rtaddr, offset);
    case VTD_CCMD:
    case VTD_CCMD + 4:
        return half(v->ccmd, offset);
    case VTD_FSTS:
        return vtd_fault_status(v);
    case VTD_FECTL:
        return v->fectl;
    case VTD_FEDATA:
        return v->fedata;
    case VTD_FEADDR:
    case VTD_FEUADDR:
        return half(v->feaddr, offset);
    case VTD_IQH:
        return (u32)v->iqh;
    case VTD_IQT:
        return (u32)v->iqt;
    case VTD_IQA:
    case VTD_IQA + 4:
        return half(v->iqa, offset);
    case VTD_ICS:
        return v->ics;
    case VTD_IECTL:
        return v->iectl;
    case VTD_IEDATA:
        return v->iedata;
    case VTD_IEADDR:
    case VTD_IEUADDR:
        return half(v->ieaddr, offset);
    case VTD_IQERCD:
        return (u32)v->iqercd;
    case VTD_IRTA:
    case VTD_IRTA + 4:
        return half(v->irta, offset);
    case VTD_IVA:
    case VTD_IVA + 4:
        return 0; /* write-only */
    case VTD_IOTLB:
    case VTD_IOTLB + 4:
        return half(v->iotlb, offset);
    default:
        return offset >= VTD_FRCD ? read_record(v, offset) : 0;
    }
}

static void set_half(u64 *reg, u64 offset, u32 value, u64 writable)
{
    u64 wanted = bits_set(*reg, 8 * (unsigned)(offset & 4), 32, value);
    *reg = (*reg & ~writable) | (wanted & writable);
}

/* Address bits of a pointer register that the processors' width allows. */
static u64 pointer_bits(const struct vtd *v)
{
    return (BIT(v->config.phys_bits) - 1) & ~PAGE_MASK;
}

static void write_queue_register(struct vtd *v, u64 offset, u32 value)
{
    u64 dw = v->config.options.scalable ? VTD_IQA_DW : 0;
    switch (offset) {
    case VTD_IQT:
        v->iqt = value & 0x7fff0;
        vtd_queue_run(v);
        break;
    case VTD_IQA:
    case VTD_IQA + 4:
        set_half(&v->iqa, offset, value, pointer_bits(v) | VTD_IQA_SIZE | dw);
        break;
    case VTD_ICS:
        vtd_write_ics(v, value);
        break;
    case VTD_IECTL:
        vtd_write_iectl(v, value);
        break;
    case VTD_IEDATA:
        v->iedata = value;
        break;
    case VTD_IEADDR:
    case VTD_IEUADDR:
        set_half(&v->ieaddr, offset, value, ~(u64)3);
        break;
    default:
        break; /* IQH, IQERCD and what is not there */
    }
}

static void write_register(struct vtd *v, u64 offset, u32 value)
{
    u64 ttm = v->config.options.scalable ? (u64)3 << VTD_RTADDR_TTM_SHIFT : 0;
    u64 eime = (v->ecap & VTD_ECAP_EIM) != 0 ? VTD_IRTA_EIME : 0;
    switch (offset) {
    case VTD_GCMD:
        write_gcmd(v, value);
        break;
    case VTD_RTADDR:
    case VTD_RTADDR + 4:
        set_half(&v->rtaddr, offset, value, pointer_bits(v) | ttm);
        break;
    case VTD_CCMD:
    case VTD_CCMD + 4:
        set_half(&v->ccmd, offset, value, 0xe0000003ffffffff);
        vtd_context_command(v);
        break;
    case VTD_FSTS:
        vtd_write_fsts(v, value);
        break;
    case VTD_FECTL:
        vtd_write_fectl(v, value);
        break;
    case VTD_FEDATA:
        v->fedata = value;
        break;
    case VTD_FEADDR:
    case VTD_FEUADDR:
        set_half(&v->feaddr, offset, value, ~(u64)3);
        break;
    case VTD_IRTA:
    case VTD_IRTA + 4:
        set_half(&v->irta, offset, value, pointer_bits(v) | eime | VTD_IRTA_SIZE);
        break;
    case VTD_IVA:
    case VTD_IVA + 4:
        set_half(&v->iva, offset, value, ~(u64)0xf80);
        break;
    case VTD_IOTLB:
    case VTD_IOTLB + 4:
        set_half(&v->iotlb, offset, value, 0xb003ffff00000000);
        vtd_iotlb_command(v);
        break;
    default:
        if (offset >= VTD_FRCD && (offset - VTD_FRCD) / 16 < VTD_FRCD_COUNT) {
            if ((offset & 15) == 12 && (value & BIT32(31)) != 0) {
                vtd_clear_record(v, (unsigned)((offset - VTD_FRCD) / 16));
            }
        } else {
            write_queue_register(v, offset, value);
        }
        break;
    }
}

static u64 vtd_mmio_read(void *self, u64 offset, unsigned size)
{
    const struct vtd *v = self;
    unsigned shift = 8 * (unsigned)(offset & 3);
    u64 at = offset & ~(u64)3;
    u64 value = read_register(v, at);
    if (size > 4 - (offset & 3)) {
        value |= (u64)read_register(v, at + 4) << 32;
    }
    return value >> shift & size_mask(size);
}

static void vtd_mmio_write(void *self, u64 offset, u64 value, unsigned size)
{
    struct vtd *v = self;
    if (size < 4 || (offset & (size - 1)) != 0) {
        log_guest_error(v->base.env.log, "%s: %u-byte write at %#llx", v->base.id, size,
                        (unsigned long long)offset);
        return;
    }
    write_register(v, offset, (u32)value);
    if (size == 8) {
        write_register(v, offset + 4, (u32)(value >> 32));
    }
}

static const struct mmio_ops vtd_mmio = {.read = vtd_mmio_read, .write = vtd_mmio_write};

/* ---- the device ---- */

static void vtd_reset(void *self, enum reset_kind kind)
{
    struct vtd *v = self;
    UNUSED(kind);
    v->gsts = 0;
    v->rtaddr = v->root = v->irta = v->irtable = 0;
    v->ccmd = v->iva = v->iotlb = 0;
    v->fsts = 0;
    v->fectl = v->iectl = (u32)VTD_EVENT_IM;
    v->fedata = v->iedata = 0;
    v->feaddr = v->ieaddr = 0;
    v->iqh = v->iqt = v->iqa = v->iqercd = 0;
    v->ics = 0;
    for (unsigned i = 0; i < VTD_FRCD_COUNT; i++) {
        v->frcd[i][0] = v->frcd[i][1] = 0;
    }
    v->next_record = 0;
    iommu_reset(&v->base);
}

static void vtd_state(void *self, struct state_io *io)
{
    struct vtd *v = self;
    state_section(io, v->base.id, 1);
    state_u32(io, "gsts", &v->gsts);
    state_u64(io, "rtaddr", &v->rtaddr);
    state_u64(io, "root", &v->root);
    state_u64(io, "irta", &v->irta);
    state_u64(io, "irtable", &v->irtable);
    state_u64(io, "ccmd", &v->ccmd);
    state_u64(io, "iva", &v->iva);
    state_u64(io, "iotlb", &v->iotlb);
    state_u32(io, "fsts", &v->fsts);
    state_u32(io, "fectl", &v->fectl);
    state_u32(io, "fedata", &v->fedata);
    state_u64(io, "feaddr", &v->feaddr);
    state_u64(io, "iqh", &v->iqh);
    state_u64(io, "iqt", &v->iqt);
    state_u64(io, "iqa", &v->iqa);
    state_u64(io, "iqercd", &v->iqercd);
    state_u32(io, "ics", &v->ics);
    state_u32(io, "iectl", &v->iectl);
    state_u32(io, "iedata", &v->iedata);
    state_u64(io, "ieaddr", &v->ieaddr);
    for (unsigned i = 0; i < VTD_FRCD_COUNT; i++) {
        state_u64_array(io, "frcd", v->frcd[i], 2);
    }
    state_u32(io, "next_record", &v->next_record);
    if (state_is_load(io)) { /* a foreign stream must not index beyond */
        v->next_record %= VTD_FRCD_COUNT;
        v->iqa &= pointer_bits(v) | VTD_IQA_SIZE | VTD_IQA_DW;
    }
    iommu_state(&v->base, io);
}

static const struct device_ops vtd_ops = {
    .type = "intel-iommu", .reset = vtd_reset, .state = vtd_state, .destroy = free};

static void set_capabilities(struct vtd *v)
{
    const struct vtd_options *o = &v->config.options;
    u64 sagaw = VTD_SAGAW_3_LEVEL | (o->aw_bits >= 48 ? VTD_SAGAW_4_LEVEL : 0);
    v->cap = VTD_CAP_ND_16BIT | sagaw << VTD_CAP_SAGAW_SHIFT |
             (u64)(o->aw_bits - 1) << VTD_CAP_MGAW_SHIFT | VTD_CAP_ZLR |
             (u64)(VTD_FRCD / 16) << VTD_CAP_FRO_SHIFT | (u64)3 << VTD_CAP_SLLPS_SHIFT |
             BIT(VTD_CAP_PSI_SHIFT) | (u64)(VTD_FRCD_COUNT - 1) << VTD_CAP_NFR_SHIFT |
             (u64)18 << VTD_CAP_MAMV_SHIFT | BIT(VTD_CAP_DWD_SHIFT) | BIT(VTD_CAP_DRD_SHIFT);
    v->ecap = VTD_ECAP_C | VTD_ECAP_QI | (u64)(VTD_IVA / 16) << VTD_ECAP_IRO_SHIFT |
              (u64)15 << VTD_ECAP_MHMV_SHIFT;
    v->cap |= o->caching_mode ? VTD_CAP_CM : 0;
    v->ecap |= o->pass_through ? VTD_ECAP_PT : 0;
    v->ecap |= o->snoop_control ? VTD_ECAP_SC : 0;
    if (o->intremap) {
        v->ecap |= VTD_ECAP_IR | (o->eim ? VTD_ECAP_EIM : 0);
        v->cap |= o->posted ? BIT(VTD_CAP_PI_SHIFT) : 0;
    }
    if (o->scalable) {
        v->ecap |= BIT(VTD_ECAP_SMTS_SHIFT) | BIT(VTD_ECAP_SRS_SHIFT) |
                   BIT(VTD_ECAP_SMPWC_SHIFT) | BIT(VTD_ECAP_RPS_SHIFT);
        v->ecap |= o->second_level ? BIT(VTD_ECAP_SLTS_SHIFT) : 0;
        v->ecap |= o->first_level ? BIT(VTD_ECAP_FLTS_SHIFT) : 0;
        v->cap |= o->first_level ? BIT(VTD_CAP_FL1GP_SHIFT) : 0;
    }
}

static const struct iommu_ops iommu_ops = {.type = "intel-iommu",
                                           .translate = vtd_ops_translate,
                                           .interrupt = vtd_interrupt,
                                           .route = vtd_route,
                                           .acpi = vtd_build_dmar,
                                           .fault_words = vtd_fault_words};

struct iommu *vtd_new(const struct device_env *env, const char *id,
                      const struct vtd_config *config)
{
    struct vtd *v = calloc(1, sizeof *v);
    sim_assert(v != NULL);
    sim_assert(config->options.aw_bits == 39 || config->options.aw_bits == 48);
    sim_assert(config->phys_bits >= 36 && config->phys_bits <= 52);
    iommu_init(&v->base, &iommu_ops, env, id);
    v->config = *config;
    set_capabilities(v);
    vtd_reset(v, RESET_POWER);
    phys_add_mmio(env->phys, config->base, PAGE_SIZE, 0, &vtd_mmio, v, "intel-iommu");
    bus_add_device(env->bus, &vtd_ops, v, id);
    return &v->base;
}
