/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AMD-Vi by a scripted driver: registers, commands, host and guest tables, exclusion range, events,
 * interrupts in both formats, virtual APIC, logs, and edu behind it all. */
#include "tests/harness/amdvi_rig.h"
#include "unit.h"

#include "devices/testdevs.h"

#include <string.h>

static struct amdvi_options options(void)
{
    return AMDVI_OPTIONS_DEFAULT;
}

static struct amdvi_rig *rig(void)
{
    struct amdvi_options o = options();
    return ar_new(&o);
}

/* An event is the next one in the log; software takes it. Flags without RW and I, which the request
 * decides. */
static void check_event(struct amdvi_rig *r, u64 code, u64 flags, u64 domain, u64 address)
{
    u64 head = ar_reg(r, AMDVI_EVT_HEAD);
    ck_assert_uint_ne(head, ar_reg(r, AMDVI_EVT_TAIL));
    u64 low = ar_r64(r, AR_EVENTS + head), high = ar_r64(r, AR_EVENTS + head + 8);
    ck_assert_uint_eq(low, code << 60 | flags | domain << 32 | AR_DEVICE);
    ck_assert_uint_eq(high, address);
    ar_set(r, AMDVI_EVT_HEAD, (head + 16) & 0xfff);
    ck_assert_uint_eq(ar_reg(r, AMDVI_EVT_HEAD), ar_reg(r, AMDVI_EVT_TAIL));
}

static void blocked(struct amdvi_rig *r, u64 iova, bool write, u64 code, u64 flags, const char *words)
{
    u8 bytes[8] = {0};
    ck_assert(!(write ? ar_write(r, iova, bytes, 8) : ar_read(r, iova, bytes, 8)));
    ck_assert_str_eq(iommu_fault_words(r->iommu, r->iommu->last.reason), words);
    ck_assert(r->iommu->last.recorded);
    bool domain = code == AMDVI_EVENT_IO_PAGE_FAULT || code == AMDVI_EVENT_PAGE_TAB_HARDWARE_ERROR ||
                  code == AMDVI_EVENT_ILLEGAL_DEV_TABLE_ENTRY;
    bool direction = code != AMDVI_EVENT_INVALID_DEVICE_REQUEST;
    check_event(r, code, flags | (write && direction ? AMDVI_EVENT_RW : 0), domain ? 7 : 0, iova);
}

static void reaches(struct amdvi_rig *r, u64 iova, u64 spa)
{
    u64 value = 0x1122334455667788 ^ iova, back = 0;
    ck_assert(ar_write(r, iova, &value, 8));
    ck_assert_uint_eq(ar_r64(r, spa), value);
    ck_assert(ar_read(r, iova, &back, 8));
    ck_assert_uint_eq(back, value);
}

START_TEST(registers__features)
{
    struct amdvi_options o = options();
    struct amdvi_rig *r = ar_new(&o);
    u64 efr = ar_reg(r, AMDVI_EFR);
    ck_assert_uint_eq(efr & 0xff, 0xd6);       /* PPR XT GT IA GA */
    ck_assert_uint_eq(efr >> 10 & 3, 2);       /* HATS: 6 levels */
    ck_assert_uint_eq(efr >> 14 & 3, 2);       /* GLX */
    ck_assert_uint_eq(efr >> 21 & 7, 1);       /* GAM */
    ck_assert_uint_eq(efr >> 32 & 31, 15);     /* PASmax */
    ck_assert_uint_eq(efr >> 46 & 7, 5);       /* MsiCapMmio, GIO */
    ar_set(r, AMDVI_EFR, 0);
    ck_assert_uint_eq(ar_reg(r, AMDVI_EFR), efr);
    ck_assert_uint_eq(ar_r32(r, AR_BASE + AMDVI_EFR + 4), efr >> 32);
    ar_set(r, AMDVI_CONTROL, AMDVI_CTL_XT_EN | AMDVI_CTL_GA_EN);
    ck_assert_uint_eq(ar_reg(r, AMDVI_CONTROL), AMDVI_CTL_XT_EN | AMDVI_CTL_GA_EN);
    ar_free(r);
    o = (struct amdvi_options){.host_levels = 4, .xtsup = true, .guest_apic = true, .gio = true};
    r = ar_new(&o); /* what they need is off */
    ck_assert_uint_eq(ar_reg(r, AMDVI_EFR), AMDVI_EFR_IA | AMDVI_EFR_MSI_CAP_MMIO);
    ar_set(r, AMDVI_CONTROL, ~(u64)0);
    u64 absent = AMDVI_CTL_XT_EN | AMDVI_CTL_GA_EN | AMDVI_CTL_GT_EN | AMDVI_CTL_PPR_EN | AMDVI_CTL_GA_LOG_EN;
    ck_assert_uint_eq(ar_reg(r, AMDVI_CONTROL) & absent, 0);
    ar_free(r);
}
END_TEST

START_TEST(registers__function)
{
    struct amdvi_rig *r = rig();
    ck_assert_uint_eq(pci_config_read(r->pci, 0, AR_FUNCTION, 8, 4) >> 8, 0x080600);
    u32 cap = pci_config_read(r->pci, 0, AR_FUNCTION, 0x34, 1);
    u32 found = 0;
    for (; cap != 0 && found == 0; cap = pci_config_read(r->pci, 0, AR_FUNCTION, cap + 1, 1)) {
        found = pci_config_read(r->pci, 0, AR_FUNCTION, cap, 1) == AMDVI_CAP_ID ? cap : 0;
    }
    ck_assert_uint_ne(found, 0);
    u32 header = pci_config_read(r->pci, 0, AR_FUNCTION, found, 4);
    ck_assert_uint_eq(header >> 16 & 7, 3);
    ck_assert_uint_eq(header >> 27 & 3, 3); /* EFR, further words */
    ck_assert_uint_eq(pci_config_read(r->pci, 0, AR_FUNCTION, found + 4, 4), AR_BASE | 1);
    ar_free(r);
}
END_TEST

START_TEST(commands__completion)
{
    struct amdvi_rig *r = rig();
    ar_start(r, 4);
    ck_assert_uint_eq(ar_reg(r, AMDVI_STATUS), AMDVI_STS_CMD_RUN | AMDVI_STS_EVT_RUN);
    ar_submit(r, (u64)AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY << 60 | AR_DEVICE, 0);
    ar_submit(r, (u64)AMDVI_CMD_INVALIDATE_IOMMU_PAGES << 60 | (u64)7 << 32, 0x7ffffffffffff003);
    ar_submit(r, (u64)AMDVI_CMD_INVALIDATE_INTERRUPT_TABLE << 60 | AR_DEVICE, 0);
    ar_submit(r, (u64)AMDVI_CMD_INVALIDATE_IOMMU_ALL << 60, 0);
    for (u64 i = 0; i < 600; i++) { /* round the corner */
        ar_submit(r, (u64)AMDVI_CMD_COMPLETION_WAIT << 60 | AR_STATUS | 1, ~i);
        ck_assert_uint_eq(ar_r64(r, AR_STATUS), ~i);
    }
    ck_assert_uint_eq(ar_reg(r, AMDVI_CMD_HEAD), ar_reg(r, AMDVI_CMD_TAIL));
    ck_assert_uint_eq(r->messages, 0);
    /* The interrupt: by the extended register; once until acknowledged. */
    ar_set(r, AMDVI_XT_GENERAL, (u64)0x12 << 56 | (u64)0x41 << 32 | 0x345678u << 8 | 4);
    ar_control(r, AMDVI_CTL_COMWAIT_INT_EN | AMDVI_CTL_INTCAPXT_EN, 0);
    for (unsigned i = 0; i < 2; i++) {
        ar_submit(r, (u64)AMDVI_CMD_COMPLETION_WAIT << 60 | 2, 0);
        ck_assert_uint_eq(r->messages, 1);
    }
    ck_assert_uint_eq(r->address, 0x12345600fee78004);
    ck_assert_uint_eq(r->data, 0x41);
    ar_w32(r, AR_BASE + AMDVI_STATUS, AMDVI_STS_COMWAIT_INT);
    ck_assert_uint_eq(ar_reg(r, AMDVI_STATUS), AMDVI_STS_CMD_RUN | AMDVI_STS_EVT_RUN);
    ar_submit(r, (u64)AMDVI_CMD_COMPLETION_WAIT << 60 | 2, 0);
    ck_assert_uint_eq(r->messages, 2);
    ar_free(r);
}
END_TEST

/* A command that is none stops the buffer; off and on starts it again where software says. */
START_TEST(commands__illegal)
{
    static const u64 bad[][2] = {{0, 0},
                                 {(u64)9 << 60, 0},
                                 {(u64)AMDVI_CMD_INVALIDATE_IOTLB_PAGES << 60, 0},
                                 {(u64)AMDVI_CMD_INVALIDATE_DEVTAB_ENTRY << 60, 1},
                                 {(u64)AMDVI_CMD_INVALIDATE_IOMMU_ALL << 60 | 1, 0}};
    struct amdvi_rig *r = rig();
    ar_start(r, 4);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        u64 at = AR_COMMANDS + ar_reg(r, AMDVI_CMD_TAIL);
        ar_submit(r, bad[i][0], bad[i][1]);
        ck_assert_uint_eq(ar_reg(r, AMDVI_STATUS) & AMDVI_STS_CMD_RUN, 0);
        u64 head = ar_reg(r, AMDVI_EVT_HEAD);
        ck_assert_uint_eq(ar_r64(r, AR_EVENTS + head), (u64)5 << 60);
        ck_assert_uint_eq(ar_r64(r, AR_EVENTS + head + 8), at);
        ar_set(r, AMDVI_EVT_HEAD, head + 16);
        ar_control(r, 0, AMDVI_CTL_CMD_BUF_EN);
        ar_set(r, AMDVI_CMD_HEAD, ar_reg(r, AMDVI_CMD_TAIL));
        ar_control(r, AMDVI_CTL_CMD_BUF_EN, 0);
    }
    ar_submit(r, (u64)AMDVI_CMD_COMPLETION_WAIT << 60 | AR_STATUS | 1, 5);
    ck_assert_uint_eq(ar_r64(r, AR_STATUS), 5);
    ar_set(r, AMDVI_CMD_BASE, 0xfff00000 | (u64)8 << AMDVI_BASE_LENGTH_SHIFT); /* not memory */
    ar_set(r, AMDVI_CMD_TAIL, 16);
    u64 head = ar_reg(r, AMDVI_EVT_HEAD);
    ck_assert_uint_eq(ar_r64(r, AR_EVENTS + head), (u64)6 << 60);
    ar_free(r);
}
END_TEST

START_TEST(host__levels)
{
    for (unsigned mode = 1; mode <= 6; mode++) {
        struct amdvi_rig *r = rig();
        ar_start(r, mode);
        ar_map(r, 0x5000, AR_DATA, AR_RW);
        reaches(r, 0x5010, AR_DATA + 0x10);
        blocked(r, 0x6000, false, 2, 0, "a host page table entry is not present");
        if (mode < 6) {
            blocked(r, BIT(12 + 9 * mode) | 0x5000, true, 2, 0,
                    "the address lies beyond what its page tables' levels reach");
        }
        struct iommu_route route;
        iommu_find_route(r->iommu, AR_DEVICE, &route);
        ck_assert_uint_eq(route.path, IOMMU_PATH_AMD_HOST);
        ck_assert_uint_eq(route.root, AR_HOST + mode * PAGE_SIZE);
        ck_assert_uint_eq(route.levels, mode);
        ck_assert_uint_eq(route.domain, 7);
        ar_free(r);
    }
}
END_TEST

/* Rights are those of all levels and of the device table entry. */
START_TEST(host__rights)
{
    static const char no_read[] = "no read permission in its host page tables";
    static const char no_write[] = "no write permission in its host page tables";
    const u64 pe = AMDVI_EVENT_PR | AMDVI_EVENT_PE;
    struct amdvi_rig *r = rig();
    u8 bytes[8];
    ar_start(r, 4);
    ar_map(r, 0x5000, AR_DATA, AMDVI_PTE_IR);
    ck_assert(ar_read(r, 0x5000, bytes, 8));
    blocked(r, 0x5000, true, 2, pe, no_write);
    ar_map(r, 0x5000, AR_DATA, AMDVI_PTE_IW);
    ck_assert(ar_write(r, 0x5000, bytes, 8));
    blocked(r, 0x5000, false, 2, pe, no_read);
    ar_map(r, 0x5000, AR_DATA, AR_RW);
    u64 upper = ar_r64(r, AR_HOST + 3 * PAGE_SIZE);
    ar_w64(r, AR_HOST + 3 * PAGE_SIZE, upper & ~AMDVI_PTE_IW);
    blocked(r, 0x5000, true, 2, pe, no_write);
    ar_w64(r, AR_HOST + 3 * PAGE_SIZE, upper);
    reaches(r, 0x5000, AR_DATA);
    u64 dte = ar_r64(r, AR_DEVTAB + AMDVI_DTE_SIZE * AR_DEVICE);
    ar_dte(r, AR_DEVICE, 0, dte & ~AMDVI_DTE_IR);
    blocked(r, 0x5000, false, 2, pe, "its device table entry allows no reads");
    ar_dte(r, AR_DEVICE, 0, dte & ~AMDVI_DTE_IW);
    blocked(r, 0x5000, true, 2, pe, "its device table entry allows no writes");
    ar_free(r);
}
END_TEST

/* Pages of a level's own size, of sizes between, skipped levels. */
START_TEST(host__sizes)
{
    const u64 pr = AMDVI_PTE_PR | AR_RW;
    const u64 rz = AMDVI_EVENT_PR | AMDVI_EVENT_RZ;
    static const char misfit[] = "the page size of a host entry does not fit its level";
    struct amdvi_rig *r = rig();
    ar_start(r, 4);
    /* 16 KiB: address bits 12 set, 13 clear. Both halves of an entry's pages are replicated. */
    for (unsigned i = 0; i < 4; i++) {
        ar_map(r, 0x8000 + i * PAGE_SIZE, (AR_DATA & ~(u64)0x3000) | 0x1000, (u64)7 << 9 | AR_RW);
    }
    reaches(r, 0x8008, AR_DATA + 8);
    reaches(r, 0xbff0, AR_DATA + 0x3ff0);
    /* 2 MiB as 7h at level 1 does not fit; nor 4 KiB at level 2; nor what never ends. */
    ar_map(r, 0x5000, 0xff000, (u64)7 << 9 | AR_RW);
    blocked(r, 0x5000, false, 2, rz, misfit);
    ar_w64(r, AR_HOST + 2 * PAGE_SIZE + 8, pr | (u64)7 << 9);
    blocked(r, MIB(2), false, 2, rz, misfit);
    ar_w64(r, AR_HOST + 2 * PAGE_SIZE + 8, pr | (u64)7 << 9 | AMDVI_BASE_ADDRESS);
    blocked(r, MIB(2), false, 2, rz, misfit);
    /* 2 MiB by level 2 itself. */
    ar_w64(r, AR_HOST + 2 * PAGE_SIZE + 8, pr);
    reaches(r, MIB(2) + AR_DATA, AR_DATA);
    /* From level 4 straight to level 1. */
    ar_map(r, 0x5000, AR_DATA, AR_RW);
    ar_w64(r, AR_HOST + 4 * PAGE_SIZE, (AR_HOST + PAGE_SIZE) | pr | (u64)1 << 9);
    reaches(r, 0x5000, AR_DATA);
    blocked(r, MIB(2) | 0x5000, false, 2, 0,
            "the address has bits set that a skipped level would have translated");
    ar_w64(r, AR_HOST + 4 * PAGE_SIZE, (AR_HOST + PAGE_SIZE) | pr | (u64)4 << 9);
    blocked(r, 0x5000, false, 2, rz, "the next level of a host entry is not below its own");
    ar_w64(r, AR_HOST + 4 * PAGE_SIZE, 0xfff00000 | pr | (u64)3 << 9);
    blocked(r, 0x5000, false, 4, 0, "a host page table could not be read");
    ar_free(r);
}
END_TEST

START_TEST(device_table__entries)
{
    struct amdvi_rig *r = rig();
    u64 rz = AMDVI_EVENT_RZ;
    ar_start(r, 4);
    u64 dte = ar_r64(r, AR_DEVTAB + AMDVI_DTE_SIZE * AR_DEVICE);
    ar_dte(r, AR_DEVICE, 0, dte | 4);
    blocked(r, 0, false, 1, rz, "reserved bits are set in its device table entry");
    ar_dte(r, AR_DEVICE, 0, dte | 7 << 9);
    blocked(r, 0, true, 1, rz, "its device table entry asks for more levels than this IOMMU has");
    ar_dte(r, AR_DEVICE, 0, dte | AMDVI_DTE_GV | (u64)3 << 56);
    blocked(r, 0, true, 1, rz, "its device table entry asks for guest tables of a kind this IOMMU lacks");
    ar_dte(r, AR_DEVICE, 0, AMDVI_DTE_V);
    blocked(r, 0x5000, true, 2, 0, "its device table entry is valid but has no translation (TV clear)");
    ar_dte(r, AR_DEVICE, 0, AMDVI_DTE_V | AMDVI_DTE_TV | AR_RW); /* mode 0 */
    reaches(r, AR_DATA + 0x100, AR_DATA + 0x100);
    ar_dte(r, AR_DEVICE, 0, 0);
    reaches(r, AR_DATA + 0x200, AR_DATA + 0x200);
    struct iommu_route route;
    iommu_find_route(r->iommu, AR_DEVICE, &route);
    ck_assert_uint_eq(route.path, IOMMU_PATH_DIRECT);
    /* Beyond the table; and no table. */
    u8 bytes[8];
    ck_assert(!dma_read(&r->dma, 0x80, IOVA(0x5000), bytes, 8));
    ck_assert_uint_eq(ar_r64(r, AR_EVENTS + ar_reg(r, AMDVI_EVT_HEAD)), (u64)2 << 60 | 0x80);
    ar_set(r, AMDVI_EVT_HEAD, ar_reg(r, AMDVI_EVT_TAIL));
    ar_set(r, AMDVI_DEVTAB, 0xfff00000);
    blocked(r, 0x5000, false, 3, 0, "its device table entry could not be read");
    ar_set(r, AMDVI_DEVTAB, AR_DEVTAB);
    ar_dte(r, AR_DEVICE, 0, dte);
    ar_dte(r, AR_DEVICE, 1, 7 | AMDVI_DTE1_SA); /* silent */
    ck_assert(!ar_read(r, 0x5000, bytes, 8));
    ck_assert(!r->iommu->last.recorded);
    ck_assert_uint_eq(ar_reg(r, AMDVI_EVT_HEAD), ar_reg(r, AMDVI_EVT_TAIL));
    ar_control(r, 0, AMDVI_CTL_EN);
    reaches(r, AR_DATA + 0x300, AR_DATA + 0x300);
    ar_free(r);
}
END_TEST

START_TEST(device_table__exclusion)
{
    static const char none[] = "a host page table entry is not present";
    struct amdvi_rig *r = rig();
    ar_start(r, 4);
    ar_set(r, AMDVI_EXCL_LIMIT, AR_DATA + PAGE_SIZE);
    ar_set(r, AMDVI_EXCL_BASE, AR_DATA | 1);
    blocked(r, AR_DATA, true, 2, 0, none);
    ar_dte(r, AR_DEVICE, 1, 7 | AMDVI_DTE1_EX);
    reaches(r, AR_DATA, AR_DATA);
    reaches(r, AR_DATA + 2 * PAGE_SIZE - 8, AR_DATA + 2 * PAGE_SIZE - 8);
    blocked(r, AR_DATA + 2 * PAGE_SIZE, true, 2, 0, none);
    ar_dte(r, AR_DEVICE, 1, 7);
    ar_set(r, AMDVI_EXCL_BASE, AR_DATA | 3); /* for all devices */
    reaches(r, AR_DATA, AR_DATA);
    ar_free(r);
}
END_TEST

static void start_guest(struct amdvi_rig *r, u64 host_mode)
{
    ar_start(r, 1);
    u64 low = AMDVI_DTE_V | AMDVI_DTE_TV | AR_RW | host_mode << 9 | AMDVI_DTE_GV | AMDVI_DTE_GIOV;
    low |= host_mode != 0 ? AR_HOST + host_mode * PAGE_SIZE : 0;
    ar_dte(r, AR_DEVICE, 0, low | (u64)(AR_GCR3 >> 12 & 7) << 58);
    ar_dte(r, AR_DEVICE, 1, 7 | (u64)(AR_GCR3 >> 15 & 0xffff) << 16);
    ar_w64(r, AR_GCR3, AR_GUEST | 1);
    for (u64 i = 0; i < 3; i++) {
        ar_w64(r, AR_GUEST + i * PAGE_SIZE, (AR_GUEST + (i + 1) * PAGE_SIZE) | 7);
    }
    ar_control(r, AMDVI_CTL_GT_EN, 0);
}

#define AR_GUEST_L1 (AR_GUEST + 3 * PAGE_SIZE)

START_TEST(guest__tables)
{
    const u64 gn = AMDVI_EVENT_GN;
    const u64 prpe = gn | AMDVI_EVENT_PR | AMDVI_EVENT_PE;
    struct amdvi_rig *r = rig();
    start_guest(r, 0);
    ar_w64(r, AR_GUEST_L1 + 8 * 5, AR_DATA | 7);
    reaches(r, 0x5010, AR_DATA + 0x10);
    ck_assert_uint_eq(ar_r64(r, AR_GUEST_L1 + 8 * 5), AR_DATA | 0x67); /* A, D */
    ck_assert_uint_eq(ar_r64(r, AR_GUEST) & 0x60, 0x20);
    blocked(r, 0x6000, false, 2, gn, "a guest page table entry is not present");
    ar_w64(r, AR_GUEST_L1 + 8 * 6, AR_DATA | 5);
    blocked(r, 0x6000, true, 2, prpe, "no write permission in its guest page tables");
    ck_assert_uint_eq(ar_r64(r, AR_GUEST_L1 + 8 * 6), AR_DATA | 5); /* nothing set by a fault */
    ar_w64(r, AR_GUEST_L1 + 8 * 6, AR_DATA | 3);
    blocked(r, 0x6000, false, 2, prpe | AMDVI_EVENT_US,
            "a user request, and a guest page table entry is for supervisors");
    ar_w64(r, AR_GUEST + 2 * PAGE_SIZE + 8, 0x87 | BIT(13));
    blocked(r, MIB(2), false, 2, gn | AMDVI_EVENT_PR | AMDVI_EVENT_RZ,
            "reserved bits are set in a guest page table entry");
    ar_w64(r, AR_GUEST + 2 * PAGE_SIZE + 8, 0x87);
    reaches(r, MIB(2) + AR_DATA, AR_DATA);
    blocked(r, BIT(47), false, 2, gn, "the guest address is not canonical");
    struct iommu_route route;
    iommu_find_route(r->iommu, AR_DEVICE, &route);
    ck_assert_uint_eq(route.path, IOMMU_PATH_AMD_GUEST);
    ck_assert_uint_eq(route.root, AR_GUEST);
    ck_assert_uint_eq(route.host_root, 0);
    ar_w64(r, AR_GCR3, 0);
    blocked(r, 0x5000, false, 2, gn, "an entry of its guest CR3 table is not valid");
    ar_free(r);
}
END_TEST

/* Two GCR3 levels; every step of the guest's walk through the host's tables. */
START_TEST(guest__nested)
{
    struct amdvi_rig *r = rig();
    start_guest(r, 1);
    u64 low = ar_r64(r, AR_DEVTAB + AMDVI_DTE_SIZE * AR_DEVICE);
    ar_dte(r, AR_DEVICE, 0, low | (u64)1 << 56);
    ar_w64(r, AR_GCR3, (AR_GCR3 + 0x800 - 0x800) | 1); /* itself: its first entry again */
    ar_w64(r, AR_GCR3, 0x19000 | 1);
    ar_w64(r, 0x19000, 0x40000 | 1); /* guest-physical 0x40000: the tables */
    for (u64 i = 0; i < 4; i++) {
        ar_map(r, 0x40000 + i * PAGE_SIZE, AR_GUEST + i * PAGE_SIZE, AR_RW);
        ar_w64(r, AR_GUEST + i * PAGE_SIZE, (0x40000 + (i + 1) * PAGE_SIZE) | 7);
    }
    ar_w64(r, AR_GUEST_L1 + 8 * 5, 0x50000 | 7);
    blocked(r, 0x5000, true, 2, 0, "a host page table entry is not present");
    ck_assert_uint_eq(ar_r64(r, AR_GUEST_L1 + 8 * 5), 0x50000 | 7);
    ar_map(r, 0x50000, AR_DATA, AR_RW);
    reaches(r, 0x5008, AR_DATA + 8);
    ar_free(r);
}
END_TEST

static void send(struct amdvi_rig *r, u32 data)
{
    r->msi.send(r->msi.self, AR_DEVICE, 0xfee01000, data);
}

static void check_message(struct amdvi_rig *r, unsigned count, u64 address, u32 data)
{
    ck_assert_uint_eq(r->messages, count);
    ck_assert_uint_eq(r->address, address);
    ck_assert_uint_eq(r->data, data);
}

static void ir_blocked(struct amdvi_rig *r, u32 data, u64 code, u64 flags, const char *words)
{
    unsigned before = r->messages;
    send(r, data);
    ck_assert_uint_eq(r->messages, before);
    ck_assert_str_eq(iommu_fault_words(r->iommu, r->iommu->last.reason), words);
    bool direction = code != AMDVI_EVENT_INVALID_DEVICE_REQUEST;
    check_event(r, code, flags | AMDVI_EVENT_I | (direction ? AMDVI_EVENT_RW : 0), direction ? 7 : 0,
                data & 0x7ff);
}

START_TEST(interrupts__short_entries)
{
    const u64 rz = AMDVI_EVENT_PR | AMDVI_EVENT_RZ;
    struct amdvi_rig *r = rig();
    ar_start(r, 4);
    ar_w32(r, AR_INTTAB + 4 * 3, 0x33 << 16 | 5 << 8 | 1);
    send(r, 3);
    check_message(r, 1, 0xfee05000, 0x33);
    ar_w32(r, AR_INTTAB + 4 * 0x103, 0x34 << 16 | 6 << 8 | 1 << 6 | 1 << 2 | 1);
    send(r, 0xc103); /* level, asserted: stays. Logical, lowest priority */
    check_message(r, 2, 0xfee06004, 0xc134);
    u8 bytes[4] = {3};
    ck_assert(ar_write(r, 0xfee00000, bytes, 4)); /* by DMA */
    check_message(r, 3, 0xfee05000, 0x33);
    ir_blocked(r, 4, 2, 0, "the interrupt remapping entry is not enabled (RemapEn clear)");
    ar_w32(r, AR_INTTAB + 4 * 4, 1 | BIT32(24));
    ir_blocked(r, 4, 2, rz, "reserved bits are set in the interrupt remapping entry");
    ar_w32(r, AR_INTTAB + 4 * 4, 1 | 2 << 2);
    ir_blocked(r, 4, 2, rz, "reserved bits are set in the interrupt remapping entry");
    u64 dte = ar_r64(r, AR_DEVTAB + AMDVI_DTE_SIZE * AR_DEVICE + 16);
    ar_dte(r, AR_DEVICE, 2, (dte & ~(u64)0x1e) | 8 << 1);
    ir_blocked(r, 0x103, 2, 0, "the interrupt index lies beyond its table");
    ar_dte(r, AR_DEVICE, 2, (dte & ~(u64)0x1e) | 12 << 1);
    ir_blocked(r, 3, 1, AMDVI_EVENT_RZ, "a reserved value in the interrupt fields of its device table entry");
    /* Others by bits of their own. */
    ar_dte(r, AR_DEVICE, 2, dte);
    ir_blocked(r, 0x400, 8, (u64)5 << 57, "its device table entry does not pass interrupts of this delivery mode");
    ar_dte(r, AR_DEVICE, 2, dte | AMDVI_DTE2_NMI_PASS);
    send(r, 0x400);
    check_message(r, 4, 0xfee01000, 0x400);
    ir_blocked(r, 0x300, 8, (u64)6 << 57, "an interrupt of a reserved delivery mode");
    /* IntCtl. */
    ar_dte(r, AR_DEVICE, 2, dte & ~((u64)3 << 60));
    ir_blocked(r, 3, 8, (u64)5 << 57, "its device table entry aborts interrupts (IntCtl 0)");
    ar_dte(r, AR_DEVICE, 2, (dte & ~((u64)3 << 60)) | (u64)1 << 60);
    send(r, 3);
    check_message(r, 5, 0xfee01000, 3);
    ar_dte(r, AR_DEVICE, 2, 0);
    send(r, 0x77);
    check_message(r, 6, 0xfee01000, 0x77);
    ar_dte(r, AR_DEVICE, 2, dte);
    blocked(r, 0xfee00000, false, 8, 0, "a memory request to the interrupt address range");
    ar_free(r);
}
END_TEST

static void irte(struct amdvi_rig *r, unsigned index, u64 low, u64 high)
{
    ar_w64(r, AR_INTTAB + 16 * index, low);
    ar_w64(r, AR_INTTAB + 16 * index + 8, high);
}

START_TEST(interrupts__long_entries)
{
    struct amdvi_rig *r = rig();
    ar_start(r, 4);
    ar_control(r, AMDVI_CTL_GA_EN, 0);
    irte(r, 2, 0x345678 << 8 | 1, (u64)0x12 << 56 | 0x35);
    send(r, 2);
    check_message(r, 1, 0xfee78000, 0x35); /* 8 bits of destination */
    ar_control(r, AMDVI_CTL_XT_EN, 0);
    send(r, 2);
    check_message(r, 2, 0x12345600fee78000, 0x35);
    irte(r, 2, 0x345678 << 8 | AMDVI_IRTE_GUEST_MODE | 1, 0);
    ir_blocked(r, 2, 2, AMDVI_EVENT_PR | AMDVI_EVENT_RZ,
               "the interrupt remapping entry is for a guest APIC, and that mode is off");
    irte(r, 2, AMDVI_IRTE_SUP_IOPF, 0);
    send(r, 2);
    ck_assert(!r->iommu->last.recorded);
    ar_free(r);
}
END_TEST

static bool runs_guest(void *self, u32 apic_id)
{
    return *(const u32 *)self == apic_id;
}

START_TEST(interrupts__guest_apic)
{
    struct amdvi_rig *r = rig();
    ar_start(r, 4);
    ar_set(r, AMDVI_GA_BASE, AR_GA | (u64)8 << 56);
    ar_set(r, AMDVI_GA_TAIL_ADDRESS, AR_STATUS);
    ar_set(r, AMDVI_XT_GA, (u64)0x55 << 32);
    ar_control(r, AMDVI_CTL_GA_EN | AMDVI_CTL_XT_EN | AMDVI_CTL_INTCAPXT_EN | (u64)1 << AMDVI_CTL_GAM_SHIFT |
                      AMDVI_CTL_GA_LOG_EN | AMDVI_CTL_GA_INT_EN, 0);
    u64 low = (u64)0xabcd << 32 | 3 << 8 | AMDVI_IRTE_GUEST_MODE | 1;
    u32 running = 3;
    r->iommu->processors = (struct iommu_processors){.in_guest = runs_guest, .self = &running};
    irte(r, 1, low | AMDVI_IRTE_IS_RUN, AR_VAPIC | 0x41);
    send(r, 1);
    ck_assert_uint_eq(ar_r32(r, AR_VAPIC + 0x220), 2); /* IRR, vector 0x41 */
    ck_assert_uint_eq(r->doorbells, 1);
    ck_assert_uint_eq(r->doorbell, 3);
    ck_assert_uint_eq(r->messages, 0);
    ck_assert_uint_eq(r->iommu->posted.running, 1);
    running = 4;
    send(r, 1);
    ck_assert_uint_eq(r->iommu->posted.all, 2);
    ck_assert_uint_eq(r->iommu->posted.told, 2);
    ck_assert_uint_eq(r->iommu->posted.running, 1);
    irte(r, 1, low, AR_VAPIC | 0x42);
    send(r, 1); /* nobody is told */
    ck_assert_uint_eq(ar_r32(r, AR_VAPIC + 0x220), 6);
    ck_assert_uint_eq(ar_reg(r, AMDVI_GA_TAIL), 0);
    irte(r, 1, low | AMDVI_IRTE_GA_LOG_INTR, AR_VAPIC | 0x43);
    send(r, 1);
    ck_assert_uint_eq(ar_reg(r, AMDVI_GA_TAIL), 8);
    ck_assert_uint_eq(ar_r64(r, AR_STATUS), 8);
    ck_assert_uint_eq(ar_r64(r, AR_GA), (u64)1 << 60 | (u64)AR_DEVICE << 32 | 0xabcd);
    check_message(r, 1, 0xfee00000, 0x55);
    ck_assert_uint_eq(r->iommu->posted.all, 4);
    ck_assert_uint_eq(r->iommu->posted.told, 2);
    ck_assert_uint_eq(r->iommu->posted.logged, 1);
    irte(r, 1, low, 0xfff00000 | 0x43);
    ir_blocked(r, 1, 4, 0, "the guest's virtual APIC page could not be accessed");
    ar_free(r);
}
END_TEST

START_TEST(logs__overflow)
{
    struct amdvi_rig *r = rig();
    u8 bytes[8];
    ar_start(r, 4);
    pci_config_write(r->pci, 0, AR_FUNCTION, 4, 2, 2);
    ar_w32(r, AR_BASE + AMDVI_MSI_ADDRESS_LO, 0xfee03000);
    ar_w32(r, AR_BASE + AMDVI_MSI_DATA, 0x61);
    ar_w32(r, AR_BASE + AMDVI_MSI_HEADER, 1 << 16);
    ar_control(r, AMDVI_CTL_EVT_INT_EN, 0);
    for (unsigned i = 0; i < 255; i++) {
        ck_assert(!ar_read(r, 0x5000 + i * PAGE_SIZE, bytes, 8));
        ck_assert(r->iommu->last.recorded);
    }
    check_message(r, 1, 0xfee03000, 0x61);
    ck_assert_uint_eq(ar_reg(r, AMDVI_EVT_TAIL), 255 * 16);
    ck_assert(!ar_read(r, 0x5000, bytes, 8));
    ck_assert(!r->iommu->last.recorded);
    ck_assert_uint_eq(ar_reg(r, AMDVI_STATUS), AMDVI_STS_CMD_RUN | AMDVI_STS_EVT_OVERFLOW | AMDVI_STS_EVT_INT);
    ar_control(r, 0, AMDVI_CTL_EVT_LOG_EN);
    ar_set(r, AMDVI_STATUS, AMDVI_STS_EVT_OVERFLOW | AMDVI_STS_EVT_INT);
    ar_set(r, AMDVI_EVT_HEAD, 0);
    ar_set(r, AMDVI_EVT_TAIL, 0);
    ar_control(r, AMDVI_CTL_EVT_LOG_EN, 0);
    blocked(r, 0x5000, false, 2, 0, "a host page table entry is not present");
    ck_assert_uint_eq(r->messages, 2);
    ar_free(r);
}
END_TEST

START_TEST(logs__page_requests)
{
    struct amdvi_rig *r = rig();
    ar_start(r, 4);
    ck_assert(!amdvi_page_request(r->iommu, AR_DEVICE, 0x12345, 0x7000, 0x24, 5));
    ar_set(r, AMDVI_PPR_BASE, AR_PPR | (u64)8 << 56);
    ar_control(r, AMDVI_CTL_PPR_EN | AMDVI_CTL_PPR_LOG_EN, 0);
    ck_assert(amdvi_page_request(r->iommu, AR_DEVICE, 0x12345, 0x7000, 0x24, 5));
    ck_assert_uint_eq(ar_r64(r, AR_PPR), (u64)1 << 60 | (u64)0x24 << 48 | (u64)1 << 42 | (u64)5 << 32 |
                                             (u64)0x2345 << 16 | AR_DEVICE);
    ck_assert_uint_eq(ar_r64(r, AR_PPR + 8), 0x7000);
    ck_assert_uint_eq(ar_reg(r, AMDVI_PPR_TAIL), 16);
    ck_assert_uint_eq(ar_reg(r, AMDVI_STATUS) & AMDVI_STS_PPR_INT, AMDVI_STS_PPR_INT);
    ar_submit(r, (u64)AMDVI_CMD_COMPLETE_PPR_REQUEST << 60 | AR_DEVICE, 0);
    ck_assert((ar_reg(r, AMDVI_STATUS) & AMDVI_STS_CMD_RUN) != 0);
    ar_free(r);
}
END_TEST

START_TEST(device__edu)
{
    struct amdvi_rig *r = rig();
    const u64 bar = 0xc0000000;
    edu_new(&r->env, r->pci, AR_DEVICE, EDU_DEFAULT_DMA_MASK, "edu");
    pci_config_write(r->pci, 0, AR_DEVICE, 0x10, (u32)bar, 4);
    pci_config_write(r->pci, 0, AR_DEVICE, 4, 6, 2);
    ar_start(r, 3);
    ar_map(r, 0x1000, AR_DATA, AR_RW);
    ar_w32(r, AR_DATA, 0xfeedf00d);
    const u64 moves[3][3] = {{0x1000, 0x40000, 1}, {0x40000, 0x1008, 3}, {0x40000, 0x2000, 3}};
    for (unsigned i = 0; i < 3; i++) {
        ar_w64(r, bar + 0x80, moves[i][0]);
        ar_w64(r, bar + 0x88, moves[i][1]);
        ar_w64(r, bar + 0x90, 4);
        ar_w64(r, bar + 0x98, moves[i][2]);
        clock_skip_to(&r->clock, (vtime_t){clock_now(&r->clock).ns + NS_PER_SEC});
        clock_fire_due(&r->clock);
    }
    ck_assert_uint_eq(ar_r32(r, AR_DATA + 8), 0xfeedf00d);
    ck_assert_uint_eq(r->iommu->last.count, 1);
    ck_assert_uint_eq(r->iommu->last.address, 0x2000);
    ck_assert(r->iommu->last.write);
    check_event(r, 2, AMDVI_EVENT_RW, 7, 0x2000);
    ar_free(r);
}
END_TEST

START_TEST(state__save_restore)
{
    struct amdvi_rig *r = rig();
    u8 bytes[8];
    ar_start(r, 5);
    ck_assert(!ar_read(r, 0x5000, bytes, 8));
    ar_submit(r, (u64)AMDVI_CMD_COMPLETION_WAIT << 60 | 2, 0);
    ar_set(r, AMDVI_XT_PPR, (u64)0x55 << 32);
    ar_set(r, AMDVI_EXCL_BASE, 0x7001);
    struct state_io save, load;
    state_init_save(&save);
    bus_state(&r->bus, &save);
    struct amdvi_rig *copy = rig();
    ck_assert_uint_ne(ar_hash(copy), ar_hash(r));
    state_init_load(&load, save.data, save.len);
    bus_state(&copy->bus, &load);
    ck_assert(!load.failed);
    ck_assert_uint_eq(load.pos, load.len);
    ck_assert_uint_eq(ar_hash(copy), ar_hash(r));
    for (u64 at = 0; at < AMDVI_MMIO_SIZE; at += 8) {
        ck_assert_uint_eq(ar_reg(copy, at), ar_reg(r, at));
    }
    state_free(&save);
    bus_reset(&copy->bus, RESET_HARD);
    ar_free(r);
    r = rig();
    ck_assert_uint_eq(ar_hash(copy), ar_hash(r));
    ar_free(r);
    ar_free(copy);
}
END_TEST

START_TEST(table__ivrs)
{
    struct amdvi_rig *r = rig();
    struct acpi_bytes t = iommu_acpi(r->iommu, 2, true);
    static const u8 devices[32] = {3, 0,    0, 0, 4, 7, 0,    0, 3,    9, 0, 0,    4, 0xff, 0xff, 0,
                                   0x48, 0, 0, 0xc7, 2, 0xa0, 0, 1, 0x48, 0, 0, 0, 0, 0xa0, 0, 2};
    ck_assert_mem_eq(t.data, "IVRS", 4);
    ck_assert_uint_eq(load_le32(t.data + 4), t.len);
    ck_assert_uint_eq(t.len, 48 + 56 + 72 + 72);
    const u8 *p = t.data + 48;
    ck_assert_uint_eq(p[0], 0x10);
    ck_assert_uint_eq(load_le16(p + 2), 56);
    ck_assert_uint_eq(load_le16(p + 4), AR_FUNCTION);
    ck_assert_uint_eq(load_le64(p + 8), AR_BASE);
    ck_assert_uint_eq(load_le32(p + 20), (u32)2 << 30 | 15 << 8 | 2 << 3 | 0x65);
    ck_assert_mem_eq(p + 24, devices, sizeof devices);
    for (unsigned i = 0; i < 2; i++) {
        p = t.data + 48 + 56 + 72 * i;
        ck_assert_uint_eq(p[0], i == 0 ? 0x11 : 0x40);
        ck_assert_uint_eq(load_le64(p + 24), ar_reg(r, AMDVI_EFR));
        ck_assert_mem_eq(p + 40, devices, sizeof devices);
    }
    free(t.data);
    ar_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("amdvi");
    TCase *t = tcase_create("amdvi");
    tcase_add_test(t, registers__features);
    tcase_add_test(t, registers__function);
    tcase_add_test(t, commands__completion);
    tcase_add_test(t, commands__illegal);
    tcase_add_test(t, host__levels);
    tcase_add_test(t, host__rights);
    tcase_add_test(t, host__sizes);
    tcase_add_test(t, device_table__entries);
    tcase_add_test(t, device_table__exclusion);
    tcase_add_test(t, guest__tables);
    tcase_add_test(t, guest__nested);
    tcase_add_test(t, interrupts__short_entries);
    tcase_add_test(t, interrupts__long_entries);
    tcase_add_test(t, interrupts__guest_apic);
    tcase_add_test(t, logs__overflow);
    tcase_add_test(t, logs__page_requests);
    tcase_add_test(t, device__edu);
    tcase_add_test(t, state__save_restore);
    tcase_add_test(t, table__ivrs);
    suite_add_tcase(s, t);
    return unit_run(s);
}
