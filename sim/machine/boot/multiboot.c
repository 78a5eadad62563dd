/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Multiboot 1 and 2, the machine's side: header search, image, information structure, registers.
 * [Multiboot Specification 0.6.96], [Multiboot2 Specification 2.0]. The command line is what QEMU
 * passes: the kernel's path, a blank, --append. Left out: VBE, APM, drives, symbols. */
#include "machine/boot/multiboot.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "machine/boot/elf.h"
#include "machine/boot/modules.h"

#include <stdio.h>
#include <string.h>

#define MB1_MAGIC 0x1badb002u
#define MB1_SEARCH 8192u
#define MB1_LOADED 0x2badb002u
#define MB1_FLAG_ADDRESSES BIT32(16)
#define MB2_MAGIC 0xe85250d6u
#define MB2_SEARCH 32768u
#define MB2_LOADED 0x36d76289u

#define INFO_SIZE 0x7000u

static bool find_header(const struct boot_file *f, u32 magic, u64 limit, unsigned step, u64 *at)
{
    for (u64 i = 0; i + 12 <= f->size && i < limit; i += step) {
        if (load_le32(f->data + i) != magic) {
            continue;
        }
        u32 sum = magic + load_le32(f->data + i + 4) + load_le32(f->data + i + 8);
        if (magic == MB2_MAGIC && i + 16 <= f->size) {
            sum += load_le32(f->data + i + 12);
        }
        if (sum == 0) {
            *at = i;
            return true;
        }
    }
    return false;
}

unsigned multiboot_version(const struct boot_file *kernel)
{
    u64 at;
    if (find_header(kernel, MB2_MAGIC, MB2_SEARCH, 8, &at)) {
        return 2;
    }
    return find_header(kernel, MB1_MAGIC, MB1_SEARCH, 4, &at) ? 1 : 0;
}

/* An image without ELF headers: the header says where it goes. */
static bool load_flat(struct machine *m, const struct boot_file *k, u64 header, struct elf_image *out,
                      struct error *err)
{
    if (header + 32 > k->size) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: truncated Multiboot header", m->config.kernel);
    }
    const u8 *h = k->data + header;
    u32 header_addr = load_le32(h + 12);
    u32 load_addr = load_le32(h + 16);
    u32 load_end = load_le32(h + 20);
    u32 bss_end = load_le32(h + 24);
    u64 skip = header - (u64)(header_addr - load_addr);
    if (header_addr < load_addr || skip > k->size) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: Multiboot header with impossible addresses",
                         m->config.kernel);
    }
    u64 size = load_end != 0 ? (u64)load_end - load_addr : k->size - skip;
    u64 end = bss_end != 0 ? bss_end : load_addr + size;
    if (size > k->size - skip || end > boot_low_ram_end(m) || end < load_addr ||
        !phys_load(&m->phys, SPA(load_addr), k->data + skip, size)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: truncated, or does not fit into RAM",
                         m->config.kernel);
    }
    boot_zero(m, load_addr + size, end);
    *out = (struct elf_image){.entry = load_le32(h + 28), .low = load_addr, .high = end};
    return true;
}

static bool load_image(struct machine *m, const struct boot_file *k, u64 header, unsigned version,
                       struct elf_image *elf, struct error *err)
{
    if (version == 1 && (load_le32(k->data + header + 4) & MB1_FLAG_ADDRESSES) != 0) {
        return load_flat(m, k, header, elf, err);
    }
    if (!elf_is(k)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: Multiboot header, but no ELF image",
                         m->config.kernel);
    }
    return elf_open(elf, k, m->config.kernel, err) && elf_load(elf, m, err);
}

/* The structure under construction, in host memory, with guest addresses. */
struct info {
    u32 at;
    u8 bytes[INFO_SIZE];
    u32 used;
    bool full;
};

/* The information structure and its strings lie in low memory, where the image leaves room. */
static u32 info_place(const struct elf_image *image)
{
    static const u32 places[] = {0x9000, 0x90000, 0x80000};
    for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
        if (image->high <= places[i] || image->low >= places[i] + INFO_SIZE) {
            return places[i];
        }
    }
    return 0x1000; /* an image of more than half a megabyte below the hole for video memory */
}

static u32 put(struct info *i, const void *data, u64 size)
{
    u32 at = i->used;
    if (size > INFO_SIZE - at) {
        i->full = true;
        return i->at;
    }
    if (size > 0) {
        memcpy(i->bytes + at, data, size);
    }
    i->used = (u32)align_up(at + size, 4);
    i->used = i->used > INFO_SIZE ? INFO_SIZE : i->used;
    return i->at + at;
}

static u32 put_line(struct info *i, const char *name, const char *args)
{
    char text[4096];
    int n = snprintf(text, sizeof text, "%s%s%s", name, " ", args != NULL ? args : "");
    if (n < 0 || (size_t)n >= sizeof text) {
        i->full = true;
        return i->at;
    }
    return put(i, text, (u64)n + 1);
}

static void build_info1(struct machine *m, struct info *info, const struct loaded_module *mods)
{
    u8 head[120];
    memset(head, 0, sizeof head);
    u32 flags = BIT32(0) | BIT32(2) | BIT32(3) | BIT32(6) | BIT32(9);
    (void)put(info, head, sizeof head); /* filled in below */
    store_le32(head + 4, 639);
    u64 upper = (boot_low_ram_end(m) - MIB(1)) >> 10;
    store_le32(head + 8, (u32)upper);
    store_le32(head + 16, put_line(info, m->config.kernel, m->config.append));
    u8 list[16 * MACHINE_MAX_MODULES];
    for (unsigned i = 0; i < m->config.module_count; i++) {
        u8 *e = list + (size_t)16 * i;
        store_le32(e, (u32)mods[i].start);
        store_le32(e + 4, (u32)mods[i].end);
        store_le32(e + 8, put_line(info, mods[i].path, mods[i].args));
        store_le32(e + 12, 0);
    }
    store_le32(head + 20, m->config.module_count);
    store_le32(head + 24, put(info, list, (u64)16 * m->config.module_count));
    struct memory_range map[MEMORY_RANGES_MAX];
    unsigned n = boot_memory_map(m, map);
    u8 mmap[24 * MEMORY_RANGES_MAX];
    for (unsigned i = 0; i < n; i++) {
        u8 *e = mmap + (size_t)24 * i;
        store_le32(e, 20);
        store_le64(e + 4, map[i].start);
        store_le64(e + 12, map[i].end - map[i].start);
        store_le32(e + 20, map[i].type);
    }
    store_le32(head + 44, 24 * n);
    store_le32(head + 48, put(info, mmap, (u64)24 * n));
    static const char loader[] = "vitrine";
    store_le32(head + 64, put(info, loader, sizeof loader));
    store_le32(head, flags);
    memcpy(info->bytes, head, sizeof head);
}

static void put_tag(struct info *info, u32 type, const void *data, u32 size)
{
    u8 head[8];
    store_le32(head, type);
    store_le32(head + 4, size + 8);
    (void)put(info, head, sizeof head);
    (void)put(info, data, size);
    while ((info->used & 7) != 0 && info->used < INFO_SIZE) {
        info->bytes[info->used++] = 0;
    }
}

static void put_text_tag(struct info *info, u32 type, const u8 *prefix, u32 prefix_size,
                         const char *text)
{
    u8 data[4096];
    size_t len = strlen(text) + 1;
    if (prefix_size + len > sizeof data) {
        info->full = true;
        return;
    }
    if (prefix_size > 0) {
        memcpy(data, prefix, prefix_size);
    }
    memcpy(data + prefix_size, text, len);
    put_tag(info, type, data, prefix_size + (u32)len);
}

/* Command lines come as GRUB 2 passes them, without a path in front: Xen looks for that name to know. */
#define LOADER2 "vitrine, as GRUB 2"

static void build_info2(struct machine *m, struct info *info, const struct loaded_module *mods, u64 rsdp)
{
    u8 data[16 + 24 * MEMORY_RANGES_MAX];
    memset(data, 0, sizeof data);
    (void)put(info, data, 8); /* total size, reserved */
    put_text_tag(info, 1, NULL, 0, m->config.append != NULL ? m->config.append : "");
    put_text_tag(info, 2, NULL, 0, LOADER2);
    for (unsigned i = 0; i < m->config.module_count; i++) {
        u8 range[8];
        store_le32(range, (u32)mods[i].start);
        store_le32(range + 4, (u32)mods[i].end);
        put_text_tag(info, 3, range, sizeof range, mods[i].args != NULL ? mods[i].args : mods[i].path);
    }
    store_le32(data, 639);
    store_le32(data + 4, (u32)((boot_low_ram_end(m) - MIB(1)) >> 10));
    put_tag(info, 4, data, 8);
    struct memory_range map[MEMORY_RANGES_MAX];
    unsigned n = boot_memory_map(m, map);
    store_le32(data, 24);
    store_le32(data + 4, 0);
    for (unsigned i = 0; i < n; i++) {
        u8 *e = data + 8 + (size_t)24 * i;
        store_le64(e, map[i].start);
        store_le64(e + 8, map[i].end - map[i].start);
        store_le32(e + 16, map[i].type);
        store_le32(e + 20, 0);
    }
    put_tag(info, 6, data, 8 + 24 * n);
    u8 copy[36];
    phys_read(&m->phys, SPA(rsdp), copy, sizeof copy);
    put_tag(info, 15, copy, sizeof copy); /* ACPI 2.0 RSDP */
    put_tag(info, 0, NULL, 0);
    store_le32(info->bytes, info->used);
}

bool multiboot_boot(struct machine *m, const struct boot_file *kernel, unsigned version, struct error *err)
{
    u64 header;
    if (!find_header(kernel, version == 2 ? MB2_MAGIC : MB1_MAGIC, version == 2 ? MB2_SEARCH : MB1_SEARCH,
                     version == 2 ? 8 : 4, &header)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: no Multiboot header", m->config.kernel);
    }
    struct elf_image image;
    struct loaded_module mods[MACHINE_MAX_MODULES];
    struct info info = {.used = 0};
    if (!load_image(m, kernel, header, version, &image, err) ||
        !modules_load(m, image.high > MIB(1) ? image.high : MIB(1), mods, err)) {
        return false;
    }
    info.at = info_place(&image);
    u64 rsdp = boot_place_acpi(m);
    if (version == 2) {
        build_info2(m, &info, mods, rsdp);
    } else {
        build_info1(m, &info, mods);
    }
    if (info.full) {
        return error_set(err, EXIT_STATUS_USAGE, "the kernel's and modules' command lines are too long");
    }
    (void)phys_load(&m->phys, SPA(info.at), info.bytes, info.used);
    boot_enter_protected_mode(m, image.entry);
    struct cpu *cpu = m->set.cpu[0];
    cpu->arch.gpr[RAX] = version == 2 ? MB2_LOADED : MB1_LOADED;
    cpu->arch.gpr[RBX] = info.at;
    return true;
}
