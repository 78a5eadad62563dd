/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A VT-d unit on a bare board of 64 KiB, with a scripted driver: tables at fixed places, requests by
 * any requester, recorded messages. For tests and fuzzing; uses no test library. */
#ifndef VITRINE_TESTS_HARNESS_VTD_RIG_H
#define VITRINE_TESTS_HARNESS_VTD_RIG_H

#include "abi/x86/vtd.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "devices/bus.h"
#include "devices/iommu/vtd.h"

#include <stdlib.h>

#define VR_BASE 0xfed90000u
#define VR_RAM KIB(64)
#define VR_ROOT 0x1000u
#define VR_CONTEXT 0x2000u
#define VR_L4 0x3000u
#define VR_L3 0x4000u
#define VR_L2 0x5000u
#define VR_L1 0x6000u
#define VR_QUEUE 0x7000u
#define VR_IRT 0x8000u
#define VR_PASIDS 0x9000u /* directory; table in the page after */
#define VR_STATUS 0xb000u
#define VR_DATA 0xc000u /* to the end of RAM */
#define VR_DEVICE 0x0010u /* requester: 00:02.0 */
#define VR_IOAPIC 0xf0f8u
#define VR_RW 3u

struct vtd_rig {
    struct clock clock;
    struct log log;
    struct bus bus;
    struct phys phys;
    struct device_env env;
    struct iommu *vtd;
    struct dma dma;
    struct msi_sink msi;
    unsigned messages;
    u64 address;
    u32 data;
};

static inline bool vr_mem_read(void *self, u16 requester, iova_t iova, void *data, u64 size)
{
    struct vtd_rig *r = self;
    UNUSED(requester);
    phys_read(&r->phys, SPA(iova.v), data, size);
    return true;
}

static inline bool vr_mem_write(void *self, u16 requester, iova_t iova, const void *data, u64 size)
{
    struct vtd_rig *r = self;
    UNUSED(requester);
    phys_write(&r->phys, SPA(iova.v), data, size);
    return true;
}

static inline void vr_message(void *self, u16 requester, u64 address, u32 data)
{
    struct vtd_rig *r = self;
    UNUSED(requester);
    r->messages++;
    r->address = address;
    r->data = data;
}

static inline struct vtd_rig *vr_new(const struct vtd_options *options)
{
    struct vtd_rig *r = calloc(1, sizeof *r);
    sim_assert(r != NULL);
    clock_init(&r->clock, NS_PER_SEC, NS_PER_SEC);
    log_init(&r->log);
    bus_init(&r->bus, &r->log);
    bool ok = phys_init(&r->phys, &r->log, VR_RAM);
    sim_assert(ok);
    phys_add_ram(&r->phys, REGION_RAM, SPA(0), VR_RAM, 0, 0, "ram");
    r->env = (struct device_env){
        .clock = &r->clock,
        .log = &r->log,
        .bus = &r->bus,
        .phys = &r->phys,
        .dma = {.read = vr_mem_read, .write = vr_mem_write, .self = r},
        .msi = {.send = vr_message, .self = r},
    };
    struct vtd_config config = {.options = *options,
                                .base = SPA(VR_BASE),
                                .phys_bits = 40,
                                .ioapic_requester = VR_IOAPIC,
                                .hpet_requester = 0xf078};
    r->vtd = vtd_new(&r->env, "intel-iommu", &config);
    r->dma = iommu_dma(r->vtd);
    r->msi = iommu_msi(r->vtd);
    return r;
}

static inline void vr_free(struct vtd_rig *r)
{
    bus_free(&r->bus);
    phys_free(&r->phys);
    free(r);
}

static inline u32 vr_r32(struct vtd_rig *r, u64 at)
{
    return (u32)phys_read_scalar(&r->phys, SPA(at), 4);
}

static inline u64 vr_r64(struct vtd_rig *r, u64 at)
{
    return phys_read_scalar(&r->phys, SPA(at), 8);
}

static inline void vr_w32(struct vtd_rig *r, u64 at, u32 value)
{
    phys_write_scalar(&r->phys, SPA(at), value, 4);
}

static inline void vr_w64(struct vtd_rig *r, u64 at, u64 value)
{
    phys_write_scalar(&r->phys, SPA(at), value, 8);
}

static inline u32 vr_reg(struct vtd_rig *r, u64 offset)
{
    return vr_r32(r, VR_BASE + offset);
}

static inline u64 vr_reg64(struct vtd_rig *r, u64 offset)
{
    return vr_r64(r, VR_BASE + offset);
}

static inline void vr_set(struct vtd_rig *r, u64 offset, u32 value)
{
    vr_w32(r, VR_BASE + offset, value);
}

static inline void vr_set64(struct vtd_rig *r, u64 offset, u64 value)
{
    vr_w64(r, VR_BASE + offset, value);
}

#define VR_ONE_SHOT (VTD_GCMD_SRTP | VTD_GCMD_SIRTP)

static inline void vr_command(struct vtd_rig *r, u32 bit)
{
    vr_set(r, VTD_GCMD, (vr_reg(r, VTD_GSTS) & ~(u32)VR_ONE_SHOT) | bit);
}

/* Context entry of VR_DEVICE with tables at VR_L4 (4 levels) and translation on. The page tables map
 * IOVA page n of the first 512 nowhere yet. */
static inline void vr_start_legacy(struct vtd_rig *r)
{
    vr_w64(r, VR_ROOT, VR_CONTEXT | 1);
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE, VR_L4 | 1);
    vr_w64(r, VR_CONTEXT + 16 * VR_DEVICE + 8, 7 << 8 | 2);
    vr_w64(r, VR_L4, VR_L3 | VR_RW);
    vr_w64(r, VR_L3, VR_L2 | VR_RW);
    vr_w64(r, VR_L2, VR_L1 | VR_RW);
    vr_set64(r, VTD_RTADDR, VR_ROOT);
    vr_command(r, VTD_GCMD_SRTP);
    vr_command(r, VTD_GCMD_TE);
}

static inline void vr_map(struct vtd_rig *r, u64 iova, u64 spa, u64 rights)
{
    vr_w64(r, VR_L1 + 8 * bits_get(iova, 12, 9), spa | rights);
}

/* Scalable mode: PASID 0 with an entry of this kind; tables as in legacy mode. */
static inline void vr_start_scalable(struct vtd_rig *r, u64 kind)
{
    u64 context = VR_CONTEXT + 32 * VR_DEVICE, entry = VR_PASIDS + PAGE_SIZE;
    u64 rights = kind == VTD_PGTT_FIRST_LEVEL ? 7 : VR_RW; /* present, writable, user */
    vr_w64(r, VR_ROOT, VR_CONTEXT | 1);
    vr_w64(r, context, VR_PASIDS | 1);
    vr_w64(r, VR_PASIDS, entry | 1);
    vr_w64(r, entry, VR_L4 | kind << 6 | 2 << 2 | 1);
    vr_w64(r, entry + 8, 7);
    vr_w64(r, entry + 16, VR_L4);
    vr_w64(r, VR_L4, VR_L3 | rights);
    vr_w64(r, VR_L3, VR_L2 | rights);
    vr_w64(r, VR_L2, VR_L1 | rights);
    vr_set64(r, VTD_RTADDR, VR_ROOT | VTD_TTM_SCALABLE << VTD_RTADDR_TTM_SHIFT);
    vr_command(r, VTD_GCMD_SRTP);
    vr_command(r, VTD_GCMD_TE);
}

static inline void vr_start_queue(struct vtd_rig *r)
{
    vr_set64(r, VTD_IQA, VR_QUEUE);
    vr_command(r, VTD_GCMD_QIE);
}

/* Append a 128-bit descriptor at the tail; the doorbell rings. */
static inline void vr_submit(struct vtd_rig *r, u64 low, u64 high)
{
    u32 tail = vr_reg(r, VTD_IQT);
    vr_w64(r, VR_QUEUE + tail, low);
    vr_w64(r, VR_QUEUE + tail + 8, high);
    vr_set(r, VTD_IQT, (tail + 16) & 0xfff);
}

static inline void vr_start_remapping(struct vtd_rig *r, bool extended)
{
    vr_set64(r, VTD_IRTA, VR_IRT | (extended ? VTD_IRTA_EIME : 0u) | 7); /* 256 entries */
    vr_command(r, VTD_GCMD_SIRTP);
    vr_command(r, VTD_GCMD_IRE);
}

static inline void vr_irte(struct vtd_rig *r, unsigned index, u64 low, u64 high)
{
    vr_w64(r, VR_IRT + 16 * index, low);
    vr_w64(r, VR_IRT + 16 * index + 8, high);
}

static inline u64 vr_msi_address(u64 index)
{
    return 0xfee00000u | bits_get(index, 0, 15) << 5 | VTD_MSI_REMAPPABLE | (index >> 15 & 1) << 2;
}

static inline bool vr_read(struct vtd_rig *r, u64 iova, void *data, u64 size)
{
    return dma_read(&r->dma, VR_DEVICE, IOVA(iova), data, size);
}

static inline bool vr_write(struct vtd_rig *r, u64 iova, const void *data, u64 size)
{
    return dma_write(&r->dma, VR_DEVICE, IOVA(iova), data, size);
}

static inline u64 vr_hash(struct vtd_rig *r)
{
    struct state_io io;
    state_init_hash(&io);
    bus_state(&r->bus, &io);
    return io.hash;
}

#endif
