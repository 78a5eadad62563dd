/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linux's 64-bit and 32-bit boot protocols: protected-mode part at its preferred address, boot_params
 * ("zero page") with memory map, command line and initrd; entry 0x200 past the start in 64-bit mode, or
 * at the start in flat 32-bit mode. Left out: kernels that load below 1 MiB (zImage), the 16-bit
 * entry. */
#include "machine/boot/boot.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "cpu/model.h"
#include "machine/boot/modules.h"

#include <string.h>

/* Offsets in the setup header, which boot_params repeats. */
enum {
    HDR_SETUP_SECTS = 0x1f1,
    HDR_SYSSIZE = 0x1f4,
    HDR_BOOT_FLAG = 0x1fe,
    HDR_JUMP = 0x200,
    HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206,
    HDR_TYPE_OF_LOADER = 0x210,
    HDR_LOADFLAGS = 0x211,
    HDR_CODE32_START = 0x214,
    HDR_RAMDISK_IMAGE = 0x218,
    HDR_RAMDISK_SIZE = 0x21c,
    HDR_CMD_LINE_PTR = 0x228,
    HDR_INITRD_MAX = 0x22c,
    HDR_XLOADFLAGS = 0x236,
    HDR_CMDLINE_SIZE = 0x238,
    HDR_RELOCATABLE = 0x234,
    HDR_PREF_ADDRESS = 0x258,
    HDR_INIT_SIZE = 0x260,
    BP_ACPI_RSDP = 0x070,
    BP_E820_ENTRIES = 0x1e8,
    BP_E820_TABLE = 0x2d0,
    XLF_KERNEL_64 = 1,
};

/* Low memory used: below the EBDA, above what the kernel's trampoline wants. */
#define BOOT_PARAMS_AT 0x10000u
#define CMDLINE_AT 0x20000u
#define SCRATCH_AT 0x30000u

bool bzimage_is(const struct boot_file *kernel)
{
    return kernel->size > 0x268 && load_le16(kernel->data + HDR_BOOT_FLAG) == 0xaa55 &&
           load_le32(kernel->data + HDR_MAGIC) == 0x53726448;
}

static void add_e820(u8 *params, u64 start, u64 end, u32 type)
{
    u8 n = params[BP_E820_ENTRIES];
    u8 *e = params + BP_E820_TABLE + 20 * n;
    if (end <= start) {
        return;
    }
    store_le64(e, start);
    store_le64(e + 8, end - start);
    store_le32(e + 16, type);
    params[BP_E820_ENTRIES] = (u8)(n + 1);
}

static bool load_initrd(struct machine *m, u8 *params, u64 kernel_end, struct error *err)
{
    if (m->config.module_count == 0) {
        return true;
    }
    struct boot_file initrd;
    const char *path = m->config.modules[0].path;
    if (!boot_read_file("initrd", machine_file(m, path), &initrd, err)) {
        return false;
    }
    u64 top = boot_low_ram_end(m);
    u64 max = (u64)load_le32(params + HDR_INITRD_MAX) + 1;
    top = top < max ? top : max;
    bool ok = true;
    if (initrd.size > top || align_down(top - initrd.size, PAGE_SIZE) < kernel_end) {
        ok = error_set(err, EXIT_STATUS_BAD_FILE,
                       "%s: the initrd (%llu MiB) does not fit beside the kernel; use more --memory", path,
                       (unsigned long long)((initrd.size + MIB(1) - 1) >> 20));
    } else {
        u64 at = align_down(top - initrd.size, PAGE_SIZE);
        (void)phys_load(&m->phys, SPA(at), initrd.data, initrd.size);
        store_le32(params + HDR_RAMDISK_IMAGE, (u32)at);
        store_le32(params + HDR_RAMDISK_SIZE, (u32)initrd.size);
    }
    boot_free_file(&initrd);
    return ok;
}

/* Where the kernel goes and what it needs there until it has unpacked itself. */
static void kernel_place(const u8 *k, u64 size, u64 *at, u64 *room)
{
    *at = MIB(1);
    *room = size;
    if (load_le16(k + HDR_VERSION) >= 0x20a) {
        *at = k[HDR_RELOCATABLE] != 0 ? load_le64(k + HDR_PREF_ADDRESS) : *at;
        *room = load_le32(k + HDR_INIT_SIZE);
    }
}

static bool put_command_line(struct machine *m, u8 *params, struct error *err)
{
    const char *append = m->config.append != NULL ? m->config.append : "";
    size_t len = strlen(append);
    u32 max = load_le16(params + HDR_VERSION) >= 0x206 ? load_le32(params + HDR_CMDLINE_SIZE) : 255;
    if (len > max || len > 0xfff0) {
        return error_set(err, EXIT_STATUS_USAGE, "--append is longer than this kernel takes (%u bytes)", max);
    }
    (void)phys_load(&m->phys, SPA(CMDLINE_AT), append, len + 1);
    store_le32(params + HDR_CMD_LINE_PTR, CMDLINE_AT);
    return true;
}

/* [boot.rst "32-bit Boot Protocol"] code in selector 10h, data in 18h, both flat and in a GDT. */
static void enter_32(struct machine *m, u64 rip)
{
    static const u64 gdt[] = {0, 0, 0x00cf9b000000ffffu, 0x00cf93000000ffffu};
    (void)phys_load(&m->phys, SPA(SCRATCH_AT), gdt, sizeof gdt);
    boot_enter_protected_mode(m, rip);
    m->set.cpu[0]->arch.gdtr = (struct table_reg){.base = SCRATCH_AT, .limit = sizeof gdt - 1};
}

bool bzimage_boot(struct machine *m, const struct boot_file *kernel, struct error *err)
{
    const u8 *k = kernel->data;
    u64 setup = ((u64)(k[HDR_SETUP_SECTS] != 0 ? k[HDR_SETUP_SECTS] : 4) + 1) * 512;
    unsigned version = load_le16(k + HDR_VERSION);
    bool has_64 = version >= 0x20c && (load_le16(k + HDR_XLOADFLAGS) & XLF_KERNEL_64) != 0;
    bool wants_64 = m->config.boot_protocol == BOOT_LINUX64 ||
                    (m->config.boot_protocol == BOOT_AUTO && has_64 && model_has(&m->model, CPU_FEATURE_LM));
    if (wants_64 && !has_64) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: has no 64-bit entry", m->config.kernel);
    }
    if (version < 0x203 || (k[HDR_LOADFLAGS] & 1) == 0) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: a Linux kernel of before 2.4.18, or not a bzImage",
                         m->config.kernel);
    }
    u64 at, room;
    kernel_place(k, kernel->size, &at, &room);
    u64 payload = (u64)load_le32(k + HDR_SYSSIZE) * 16;
    if (setup >= kernel->size || payload > align_up(kernel->size - setup, 16)) { /* counted in paragraphs */
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: the kernel image is truncated", m->config.kernel);
    }
    room = room > kernel->size - setup ? room : kernel->size - setup;
    u64 end = boot_low_ram_end(m);
    if (at < MIB(1) || at > end || room > end - at) {
        return error_set(err, EXIT_STATUS_BAD_FILE,
                         "%s: the kernel (%llu MiB at 0x%llx) does not fit into RAM; use more --memory",
                         m->config.kernel, (unsigned long long)((room + MIB(1) - 1) >> 20),
                         (unsigned long long)at);
    }
    u8 params[PAGE_SIZE];
    memset(params, 0, sizeof params);
    u64 header_end = 0x202u + k[0x201];
    memcpy(params + HDR_SETUP_SECTS, k + HDR_SETUP_SECTS, header_end - HDR_SETUP_SECTS);
    if (!put_command_line(m, params, err)) {
        return false;
    }
    (void)phys_load(&m->phys, SPA(at), k + setup, kernel->size - setup);
    params[HDR_TYPE_OF_LOADER] = 0xff;
    store_le32(params + HDR_CODE32_START, (u32)at);
    store_le64(params + BP_ACPI_RSDP, boot_place_acpi(m));
    if (!load_initrd(m, params, at + room, err)) {
        return false;
    }
    struct memory_range map[MEMORY_RANGES_MAX];
    unsigned ranges = boot_memory_map(m, map);
    for (unsigned i = 0; i < ranges; i++) {
        add_e820(params, map[i].start, map[i].end, map[i].type);
    }
    (void)phys_load(&m->phys, SPA(BOOT_PARAMS_AT), params, sizeof params);
    struct cpu *cpu = m->set.cpu[0];
    if (wants_64) {
        boot_enter_long_mode(m, SCRATCH_AT, at + 0x200);
        cpu->arch.gpr[RSP] = SCRATCH_AT;
    } else {
        enter_32(m, at);
    }
    cpu->arch.gpr[RSI] = BOOT_PARAMS_AT;
    return true;
}
