/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The root's kernel: a 32-bit or 64-bit ELF image with physical addresses, entered as Multiboot 1 says, with the remaining
 * modules and a memory map that leaves hv out. hv knows nothing else about it. */
#include "hv/partition/root_image.h"

#include "abi/x86/elf.h"
#include "abi/x86/registers.h"
#include "hv/boot/boot.h"
#include "hv/core/console.h"
#include "hv/core/string.h"
#include "hv/partition/partition.h"
#include "hv/vcpu/vp.h"

#define MULTIBOOT_LOADED 0x2badb002u
#define INFO_AT 0x9000u
#define INFO_BYTES 0x6000u

static void load_segment(const struct boot_module *m, u64 to, u64 offset, u64 filesz, u64 memsz)
{
    if (offset + filesz > m->end - m->start || filesz > memsz) {
        panic("the root's kernel is truncated");
    }
    for (u64 at = align_down(to, PAGE_SIZE); at < to + memsz; at += PAGE_SIZE) {
        const struct page *p = page_of(at >> PAGE_SHIFT);
        if (p == NULL || p->state != PAGE_ROOT || (at < m->end && at + PAGE_SIZE > m->start)) {
            panic("the root's kernel does not fit at %lx", at);
        }
    }
    memcpy(spa_to_ptr(to), spa_to_ptr(m->start + offset), filesz);
    memset(spa_to_ptr(to + filesz), 0, memsz - filesz);
}

static u64 load_elf(const struct boot_module *m)
{
    const u8 *image = spa_to_ptr(m->start);
    if (m->end - m->start < sizeof(struct elf64_header) || memcmp(image, "\177ELF", 4) != 0) {
        panic("the first module is no ELF image");
    }
    if (image[4] == 1) {
        const struct elf32_header *h = (const void *)image;
        const struct elf32_segment *s = (const void *)(image + h->phoff);
        for (unsigned i = 0; i < h->phnum; i++) {
            if (s[i].type == ELF_PT_LOAD) {
                load_segment(m, s[i].paddr, s[i].offset, s[i].filesz, s[i].memsz);
            }
        }
        return h->entry;
    }
    const struct elf64_header *h = (const void *)image;
    const struct elf64_segment *s = (const void *)(image + h->phoff);
    for (unsigned i = 0; i < h->phnum; i++) {
        if (s[i].type == ELF_PT_LOAD) {
            load_segment(m, s[i].paddr, s[i].offset, s[i].filesz, s[i].memsz);
        }
    }
    return h->entry;
}

/* Information structure, in low memory. */
struct builder {
    u8 *at, *end;
};

static void *take(struct builder *b, u64 size)
{
    void *p = b->at;
    b->at += align_up(size, 8);
    if (b->at > b->end) {
        panic("the root's boot information is too long");
    }
    return p;
}

static u32 put_text(struct builder *b, const char *s)
{
    size_t n = strlen(s) + 1;
    return (u32)ptr_to_spa(memcpy(take(b, n), s, n));
}

static void put_range(struct builder *b, u64 start, u64 end, u32 type)
{
    u32 *e = take(b, 24);
    if (start >= end) {
        b->at -= 24;
        return;
    }
    e[0] = 20;
    memcpy(&e[1], &start, 8);
    u64 length = end - start;
    memcpy(&e[3], &length, 8);
    e[5] = type;
}

/* RAM without hv's two areas. */
static void put_ram(struct builder *b, u64 start, u64 end)
{
    extern u8 hv_image_start[], hv_image_end[];
    const u64 holes[2][2] = {{ptr_to_spa(hv_image_start), ptr_to_spa(hv_image_end)}, {hv_area_start, hv_area_end}};
    for (unsigned i = 0; i < 2; i++) {
        if (holes[i][0] >= start && holes[i][1] <= end) {
            put_range(b, start, holes[i][0], MEMORY_RAM);
            put_range(b, holes[i][0], holes[i][1], MEMORY_RESERVED);
            start = holes[i][1];
        }
    }
    put_range(b, start, end, MEMORY_RAM);
}

static u32 build_info(void)
{
    struct builder b = {spa_to_ptr(INFO_AT), (u8 *)spa_to_ptr(INFO_AT) + INFO_BYTES};
    u32 *info = take(&b, 120);
    memset(info, 0, 120);
    info[0] = 0x4c; /* command line, modules, memory map */
    info[4] = put_text(&b, boot_info.modules[0].text);
    u32 count = boot_info.module_count - 1;
    u32 *list = take(&b, 16ull * (count + 1));
    info[5] = count;
    info[6] = (u32)ptr_to_spa(list);
    for (u32 i = 0; i < count; i++) {
        const struct boot_module *m = &boot_info.modules[i + 1];
        list[4 * i] = (u32)m->start;
        list[4 * i + 1] = (u32)m->end;
        list[4 * i + 2] = put_text(&b, m->text);
        list[4 * i + 3] = 0;
    }
    u8 *map = b.at;
    for (u32 i = 0; i < boot_info.range_count; i++) {
        const struct memory_range *r = &boot_info.ranges[i];
        if (r->type == MEMORY_RAM) {
            put_ram(&b, r->start, r->end);
        } else {
            put_range(&b, r->start, r->end, r->type);
        }
    }
    info[11] = (u32)(b.at - map);
    info[12] = (u32)ptr_to_spa(map);
    return (u32)ptr_to_spa(info);
}

void root_image_load(struct vp *vp)
{
    struct vp_registers *r = &vp->r;
    r->rip = load_elf(&boot_info.modules[0]);
    vp->gpr[X86_RAX] = MULTIBOOT_LOADED;
    vp->gpr[X86_RBX] = build_info();
    r->cr0 = CR0_PE | CR0_ET | CR0_NE;
    for (unsigned i = 0; i < SEG_LDTR; i++) {
        r->segment[i] = (struct segment){0, 0xffffffff, 0x10, 0xc093};
    }
    r->segment[SEG_CS] = (struct segment){0, 0xffffffff, 0x08, 0xc09b};
    vp->dirty = true;
    vp->suspend = 0;
}
