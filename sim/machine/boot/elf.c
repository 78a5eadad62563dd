/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/boot/elf.h"

#include "base/bits.h"
#include "base/bytes.h"

#include <elf.h>
#include <string.h>

bool elf_is(const struct boot_file *file)
{
    return file->size > EI_NIDENT && memcmp(file->data, ELFMAG, SELFMAG) == 0;
}

static bool in_file(const struct boot_file *f, u64 offset, u64 size)
{
    return offset <= f->size && size <= f->size - offset;
}

bool elf_segment_at(const struct elf_image *elf, u32 index, struct elf_segment *s)
{
    u64 at = elf->phoff + (u64)index * elf->phentsize;
    if (index >= elf->phnum || !in_file(elf->file, at, elf->phentsize)) {
        return false;
    }
    const u8 *p = elf->file->data + at;
    if (elf->is64) {
        *s = (struct elf_segment){.type = load_le32(p),
                                  .offset = load_le64(p + 8),
                                  .vaddr = load_le64(p + 16),
                                  .paddr = load_le64(p + 24),
                                  .filesz = load_le64(p + 32),
                                  .memsz = load_le64(p + 40)};
    } else {
        *s = (struct elf_segment){.type = load_le32(p),
                                  .offset = load_le32(p + 4),
                                  .vaddr = load_le32(p + 8),
                                  .paddr = load_le32(p + 12),
                                  .filesz = load_le32(p + 16),
                                  .memsz = load_le32(p + 20)};
    }
    return true;
}

bool elf_open(struct elf_image *elf, const struct boot_file *file, const char *path, struct error *err)
{
    *elf = (struct elf_image){.file = file, .path = path};
    const u8 *d = file->data;
    elf->is64 = d[EI_CLASS] == ELFCLASS64;
    u64 header = elf->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
    if (file->size < header) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: truncated ELF file", path);
    }
    u16 machine = load_le16(d + 18);
    if (d[EI_DATA] != ELFDATA2LSB || (machine != EM_386 && machine != EM_X86_64)) {
        return error_set(err, EXIT_STATUS_BAD_FILE,
                         "%s: an ELF file for another architecture (machine %u); x86 is wanted", path,
                         machine);
    }
    elf->entry = elf->is64 ? load_le64(d + 24) : load_le32(d + 24);
    elf->phoff = elf->is64 ? load_le64(d + 32) : load_le32(d + 28);
    elf->phentsize = load_le16(d + (elf->is64 ? 54 : 42));
    elf->phnum = load_le16(d + (elf->is64 ? 56 : 44));
    if (elf->phnum == 0 || elf->phentsize < (elf->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) ||
        !in_file(file, elf->phoff, (u64)elf->phnum * elf->phentsize)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: no program headers, or truncated", path);
    }
    for (u32 i = 0; i < elf->phnum; i++) {
        struct elf_segment s;
        if (elf_segment_at(elf, i, &s) && s.type == PT_LOAD && elf->entry >= s.vaddr &&
            elf->entry - s.vaddr < s.memsz) {
            elf->entry = elf->entry - s.vaddr + s.paddr;
            break;
        }
    }
    if (elf->entry > UINT32_MAX) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: its entry 0x%llx is not below 4 GiB", path,
                         (unsigned long long)elf->entry);
    }
    return true;
}

bool elf_load(struct elf_image *elf, struct machine *m, struct error *err)
{
    u64 end = boot_low_ram_end(m);
    u64 total = 0;
    elf->low = ~(u64)0;
    for (u32 i = 0; i < elf->phnum; i++) {
        struct elf_segment s;
        if (!elf_segment_at(elf, i, &s) || s.type != PT_LOAD || s.memsz == 0) {
            continue;
        }
        if (!in_file(elf->file, s.offset, s.filesz) || s.filesz > s.memsz) {
            return error_set(err, EXIT_STATUS_BAD_FILE, "%s: truncated: segment %u lies past its end",
                             elf->path, i);
        }
        total += s.memsz < end ? s.memsz : end;
        if (total > 2 * end) { /* each byte of RAM twice: no kernel, and no work without bounds */
            return error_set(err, EXIT_STATUS_BAD_FILE, "%s: its segments overlap", elf->path);
        }
        if (s.paddr > end || s.memsz > end - s.paddr ||
            !phys_load(&m->phys, SPA(s.paddr), elf->file->data + s.offset, s.filesz)) {
            return error_set(err, EXIT_STATUS_BAD_FILE,
                             "%s: segment %u (%llu KiB at 0x%llx) does not fit into RAM; use more --memory",
                             elf->path, i, (unsigned long long)(s.memsz >> 10),
                             (unsigned long long)s.paddr);
        }
        boot_zero(m, s.paddr + s.filesz, s.paddr + s.memsz);
        elf->low = s.paddr < elf->low ? s.paddr : elf->low;
        elf->high = s.paddr + s.memsz > elf->high ? s.paddr + s.memsz : elf->high;
    }
    if (elf->high == 0) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: nothing to load in it", elf->path);
    }
    return true;
}

bool elf_find_note(const struct elf_image *elf, const char *name, u32 type, const u8 **desc, u32 *size)
{
    for (u32 i = 0; i < elf->phnum; i++) {
        struct elf_segment s;
        if (!elf_segment_at(elf, i, &s) || s.type != PT_NOTE ||
            !in_file(elf->file, s.offset, s.filesz)) {
            continue;
        }
        const u8 *p = elf->file->data + s.offset;
        u64 left = s.filesz;
        while (left >= 12) {
            u32 namesz = load_le32(p);
            u32 descsz = load_le32(p + 4);
            u64 need = 12 + align_up(namesz, 4) + align_up(descsz, 4);
            if (need > left) {
                break;
            }
            if (load_le32(p + 8) == type && namesz == strlen(name) + 1 &&
                memcmp(p + 12, name, namesz) == 0) {
                *desc = p + 12 + align_up(namesz, 4);
                *size = descsz;
                return true;
            }
            p += need;
            left -= need;
        }
    }
    return false;
}
