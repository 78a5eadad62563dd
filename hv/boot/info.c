/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Multiboot 1 and PVH start information, read once into boot_info. Left out: Multiboot 2 (its information; GRUB's
 * multiboot command boots the header that is there). */
#include "hv/boot/boot.h"
#include "hv/core/console.h"
#include "hv/core/string.h"

#define MULTIBOOT_LOADED 0x2badb002u
#define MB_HAS_CMDLINE 0x04u
#define MB_HAS_MODULES 0x08u
#define MB_HAS_MAP 0x40u
#define PVH_MAGIC 0x336ec578u

struct multiboot_info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};

struct multiboot_module {
    u32 start, end, text, reserved;
};

struct multiboot_range {
    u32 size;
    u64 base, length;
    u32 type;
} __attribute__((packed));

struct pvh_info {
    u32 magic, version, flags, module_count;
    u64 modules, cmdline, rsdp, map;
    u32 map_count, reserved;
};

struct pvh_module {
    u64 start, size, text, reserved;
};

struct pvh_range {
    u64 base, length;
    u32 type, reserved;
};

struct boot_info boot_info;

static void copy_text(char *to, u64 from)
{
    const char *s = spa_to_ptr(from);
    size_t n = 0;
    while (from != 0 && s[n] != 0 && n < BOOT_TEXT - 1) {
        to[n] = s[n];
        n++;
    }
    to[n] = 0;
}

static void add_range(u64 base, u64 length, u32 type)
{
    if (boot_info.range_count == BOOT_RANGES) {
        panic("more than %u memory ranges", BOOT_RANGES);
    }
    boot_info.ranges[boot_info.range_count++] = (struct memory_range){base, base + length, type};
}

static void add_module(u64 start, u64 end, u64 text)
{
    if (boot_info.module_count == BOOT_MODULES) {
        panic("more than %u modules", BOOT_MODULES);
    }
    struct boot_module *m = &boot_info.modules[boot_info.module_count++];
    m->start = start;
    m->end = end;
    copy_text(m->text, text);
}

static void parse_multiboot(const struct multiboot_info *i)
{
    if ((i->flags & MB_HAS_MAP) == 0) {
        panic("the boot loader gave no memory map");
    }
    if ((i->flags & MB_HAS_CMDLINE) != 0) {
        copy_text(boot_info.text, i->cmdline);
    }
    u64 at = i->mmap_addr;
    while (at < (u64)i->mmap_addr + i->mmap_length) {
        const struct multiboot_range *r = spa_to_ptr(at);
        add_range(r->base, r->length, r->type);
        at += r->size + 4;
    }
    const struct multiboot_module *m = spa_to_ptr(i->mods_addr);
    for (u32 n = 0; (i->flags & MB_HAS_MODULES) != 0 && n < i->mods_count; n++) {
        add_module(m[n].start, m[n].end, m[n].text);
    }
}

static void parse_pvh(const struct pvh_info *i)
{
    if (i->magic != PVH_MAGIC || i->version < 1) {
        panic("neither Multiboot nor PVH version 1 or later");
    }
    copy_text(boot_info.text, i->cmdline);
    boot_info.rsdp = i->rsdp;
    const struct pvh_range *r = spa_to_ptr(i->map);
    for (u32 n = 0; n < i->map_count; n++) {
        add_range(r[n].base, r[n].length, r[n].type);
    }
    const struct pvh_module *m = spa_to_ptr(i->modules);
    for (u32 n = 0; n < i->module_count; n++) {
        add_module(m[n].start, m[n].start + m[n].size, m[n].text);
    }
}

void boot_parse(u32 magic, u32 info)
{
    if (magic == MULTIBOOT_LOADED) {
        parse_multiboot(spa_to_ptr(info));
    } else {
        parse_pvh(spa_to_ptr(info));
    }
}

u64 boot_ram_end(void)
{
    u64 end = 0;
    for (u32 i = 0; i < boot_info.range_count; i++) {
        const struct memory_range *r = &boot_info.ranges[i];
        if (r->type == MEMORY_RAM && r->end > end) {
            end = r->end;
        }
    }
    return end;
}

u64 boot_move_modules(u64 end)
{
    /* Last to first, upwards: the place of one is never the source of one that is still to be moved. */
    for (u32 i = boot_info.module_count; i-- > 0;) {
        struct boot_module *m = &boot_info.modules[i];
        u64 size = m->end - m->start;
        u64 to = align_down(end - size, PAGE_SIZE);
        if (to <= m->start) {
            panic("no room above the modules; more memory is needed");
        }
        memmove(spa_to_ptr(to), spa_to_ptr(m->start), size);
        m->start = to;
        m->end = to + size;
        end = to;
    }
    return end;
}
