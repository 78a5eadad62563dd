/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ELF images of children, 32-bit and 64-bit, loaded by physical addresses; and the processor state in which they begin. */
#include "abi/hyperv/registers.h"
#include "abi/x86/elf.h"
#include "abi/x86/registers.h"
#include "guests/root/root.h"

#define NOTE_PHYS32_ENTRY 18u /* Xen's */

bool elf_is(const struct module *m, u8 elf_class)
{
    const u8 *p = at_address(m->start);
    return m->end - m->start > sizeof(struct elf64_header) && memcmp(p, "\177ELF", 4) == 0 && p[4] == elf_class;
}

static bool in_file(const struct elf_image *i, u64 at, u64 size) { return at <= i->size && size <= i->size - at; }

static bool put_segment(struct vm *vm, struct elf_image *i, u64 offset, u64 paddr, u64 filesz, u64 memsz)
{
    if (!in_file(i, offset, filesz) || filesz > memsz || memsz > vm->memory || paddr > vm->memory - memsz) {
        return false;
    }
    i->low = paddr < i->low ? paddr : i->low;
    i->high = paddr + memsz > i->high ? paddr + memsz : i->high;
    return vm_write(vm, paddr, i->data + offset, filesz); /* the rest is 0 already */
}

/* Notes: name size, descriptor size, type; name and descriptor padded to 4. */
static void read_notes(struct elf_image *i, u64 at, u64 size)
{
    u64 end = at + size;
    while (in_file(i, at, 12) && at + 12 <= end) {
        u32 n[3];
        memcpy(n, i->data + at, sizeof n);
        u64 name = at + 12;
        u64 text = name + align_up(n[0], 4);
        if (!in_file(i, text, n[1])) {
            return;
        }
        if (n[2] == NOTE_PHYS32_ENTRY && n[0] == 4 && n[1] >= 4 && memcmp(i->data + name, "Xen", 4) == 0) {
            u32 entry;
            memcpy(&entry, i->data + text, 4);
            i->pvh_entry = entry;
        }
        at = text + align_up(n[1], 4);
    }
}

bool elf_load(struct vm *vm, const struct module *m, struct elf_image *i)
{
    *i = (struct elf_image){.data = at_address(m->start), .size = m->end - m->start, .low = ~0ull};
    struct elf64_header h;
    if (elf_is(m, 2)) {
        memcpy(&h, i->data, sizeof h);
    } else if (elf_is(m, 1)) {
        struct elf32_header n;
        memcpy(&n, i->data, sizeof n);
        h = (struct elf64_header){.entry = n.entry, .phoff = n.phoff, .phentsize = n.phentsize, .phnum = n.phnum};
    } else {
        return false;
    }
    bool wide = i->data[4] == 2;
    size_t size = wide ? sizeof(struct elf64_segment) : sizeof(struct elf32_segment);
    bool ok = h.phentsize == size && in_file(i, h.phoff, (u64)h.phnum * size);
    i->entry = h.entry;
    for (u32 n = 0; ok && n < h.phnum; n++) {
        struct elf64_segment s;
        if (wide) {
            memcpy(&s, i->data + h.phoff + n * size, size);
        } else {
            struct elf32_segment t;
            memcpy(&t, i->data + h.phoff + n * size, size);
            s = (struct elf64_segment){t.type, t.flags, t.offset, t.vaddr, t.paddr, t.filesz, t.memsz, t.align};
        }
        if (s.type == ELF_PT_LOAD) {
            ok = put_segment(vm, i, s.offset, s.paddr, s.filesz, s.memsz);
        } else if (s.type == ELF_PT_NOTE && in_file(i, s.offset, s.filesz)) {
            read_notes(i, s.offset, s.filesz);
        }
    }
    return ok;
}

/* 32-bit protected mode without paging, flat segments. */
u32 protected_registers(struct register_write *list, u64 entry, u64 rax, u64 rbx)
{
    const struct hv_segment code = {0, 0xffffffff, 0x08, 0xc09b};
    const struct hv_segment data = {0, 0xffffffff, 0x10, 0xc093};
    const struct hv_segment tr = {0, 0x67, 0, 0x8b};
    u32 n = 0;
    list[n++] = (struct register_write){HV_REG_RIP, {.low = entry}};
    list[n++] = (struct register_write){HV_REG_RAX, {.low = rax}};
    list[n++] = (struct register_write){HV_REG_RAX + 3, {.low = rbx}};
    list[n++] = (struct register_write){HV_REG_RFLAGS, {.low = RFLAGS_ONE}};
    list[n++] = (struct register_write){HV_REG_CR0, {.low = CR0_PE | CR0_ET | CR0_NE}};
    list[n++] = (struct register_write){HV_REG_CR4, {.low = 0}};
    list[n++] = (struct register_write){HV_REG_EFER, {.low = 0}};
    list[n++] = (struct register_write){HV_REG_CS, {.segment = code}};
    for (u32 name = HV_REG_ES; name < HV_REG_ES + 6; name++) {
        if (name != HV_REG_CS) {
            list[n++] = (struct register_write){name, {.segment = data}};
        }
    }
    list[n++] = (struct register_write){HV_REG_TR, {.segment = tr}};
    return n;
}
