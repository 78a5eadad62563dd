/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A kernel by the PVH entry: an ELF image with Xen's note 18, loaded by physical addresses; and the adapter in VTL 2 that it runs
 * under. [Xen docs/misc/pvh.pandoc, public/arch-x86/hvm/start_info.h] Left out: unpacking a bzImage, PHYS32_RELOC. */
#include "abi/adapter_root.h"
#include "abi/hyperv/registers.h"
#include "abi/x86/registers.h"
#include "guests/root/root.h"

/* In what the memory map calls reserved: the first page of RAM is left to the guest's shared info. */
#define START_AT 0xd0000u
#define CMDLINE_AT 0xd1000u
#define START_MAGIC 0x336ec578u
#define NOTE_PHYS32_ENTRY 18u

#define PT_LOAD 1u
#define PT_NOTE 4u

struct elf32_header {
    u8 ident[16];
    u16 type, machine;
    u32 version, entry, phoff, shoff, flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf32_segment {
    u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
struct elf64_header {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf64_segment {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct image {
    const u8 *data;
    u64 size;
    u64 low, high; /* guest-physical */
    u64 entry;
};

static bool is_elf(const struct module *m, u8 elf_class)
{
    const u8 *p = at_address(m->start);
    return m->end - m->start > sizeof(struct elf64_header) && memcmp(p, "\177ELF", 4) == 0 && p[4] == elf_class;
}

bool pvh_is_kernel(const struct module *m) { return is_elf(m, 2); }

static bool in_file(const struct image *i, u64 at, u64 size) { return at <= i->size && size <= i->size - at; }

static bool put_segment(struct vm *vm, struct image *i, u64 offset, u64 paddr, u64 filesz, u64 memsz)
{
    if (!in_file(i, offset, filesz) || filesz > memsz || memsz > vm->memory || paddr > vm->memory - memsz) {
        return false;
    }
    i->low = paddr < i->low ? paddr : i->low;
    i->high = paddr + memsz > i->high ? paddr + memsz : i->high;
    return vm_write(vm, paddr, i->data + offset, filesz); /* the rest is 0 already */
}

/* Notes: name size, descriptor size, type; name and descriptor padded to 4. */
static void read_notes(struct image *i, u64 at, u64 size)
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
            i->entry = entry;
        }
        at = text + align_up(n[1], 4);
    }
}

static bool load_kernel(struct vm *vm, struct image *i)
{
    struct elf64_header h;
    memcpy(&h, i->data, sizeof h);
    bool ok = h.phentsize == sizeof(struct elf64_segment) && in_file(i, h.phoff, (u64)h.phnum * h.phentsize);
    for (u32 n = 0; ok && n < h.phnum; n++) {
        struct elf64_segment s;
        memcpy(&s, i->data + h.phoff + n * sizeof s, sizeof s);
        if (s.type == PT_LOAD) {
            ok = put_segment(vm, i, s.offset, s.paddr, s.filesz, s.memsz);
        } else if (s.type == PT_NOTE && in_file(i, s.offset, s.filesz)) {
            read_notes(i, s.offset, s.filesz);
        }
    }
    bool over = i->low < ADAPTER_AT + ADAPTER_BYTES && i->high > ADAPTER_AT && vm->adapter != NULL;
    return ok && i->entry != 0 && i->low >= 0x100000 && !over;
}

static bool load_adapter(struct vm *vm, u64 *entry)
{
    struct image i = {at_address(vm->adapter->start), vm->adapter->end - vm->adapter->start, ~0ull, 0, 0};
    struct elf32_header h;
    bool ok = is_elf(vm->adapter, 1);
    memcpy(&h, i.data, sizeof h);
    ok = ok && h.phentsize == sizeof(struct elf32_segment) && in_file(&i, h.phoff, (u64)h.phnum * h.phentsize);
    for (u32 n = 0; ok && n < h.phnum; n++) {
        struct elf32_segment s;
        memcpy(&s, i.data + h.phoff + n * sizeof s, sizeof s);
        ok = s.type != PT_LOAD || put_segment(vm, &i, s.offset, s.paddr, s.filesz, s.memsz);
    }
    struct adapter_boot boot = {.magic = ADAPTER_MAGIC,
                                      .version = ADAPTER_VERSION,
                                      .memory = vm->memory,
                                      .connection = ADAPTER_CONNECTION,
                                      .vps = vm->vps,
                                      .domain = 1,
                                      .wall_seconds = clock_seconds(),
                                      .start_info = START_AT};
    memcpy(boot.name, vm->name, sizeof boot.name);
    *entry = h.entry;
    return ok && i.low >= ADAPTER_AT && i.high <= ADAPTER_BOOT_AT && vm_write(vm, ADAPTER_BOOT_AT, &boot, sizeof boot);
}

/* 32-bit protected mode without paging, flat segments. */
static u32 put_registers(struct register_write *list, u64 entry, u64 rax, u64 rbx)
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

struct range {
    u64 at, size;
    u32 type, zero;
};

static bool put_start_info(struct vm *vm, u64 initrd_at, u64 initrd_bytes)
{
    struct {
        u32 magic, version, flags, modules;
        u64 modlist, cmdline, rsdp, map;
        u32 map_entries, zero;
        u64 module[4];
        struct range ranges[5];
    } s = {.magic = START_MAGIC, .version = 1, .cmdline = CMDLINE_AT, .rsdp = ACPI_AT};
    u32 n = 0;
    s.modules = initrd_bytes != 0;
    s.modlist = START_AT + offsetof(typeof(s), module);
    s.module[0] = initrd_at;
    s.module[1] = initrd_bytes;
    s.map = START_AT + offsetof(typeof(s), ranges);
    s.ranges[n++] = (struct range){0, 0x9f000, 1, 0};
    s.ranges[n++] = (struct range){0x9f000, 0x61000, 2, 0};
    if (vm->adapter != NULL) {
        s.ranges[n++] = (struct range){0x100000, ADAPTER_AT - 0x100000, 1, 0};
        s.ranges[n++] = (struct range){ADAPTER_AT, ADAPTER_BYTES, 2, 0};
        s.ranges[n++] = (struct range){ADAPTER_AT + ADAPTER_BYTES, vm->memory - ADAPTER_AT - ADAPTER_BYTES, 1, 0};
    } else {
        s.ranges[n++] = (struct range){0x100000, vm->memory - 0x100000, 1, 0};
    }
    s.map_entries = n;
    return vm_write(vm, START_AT, &s, sizeof s) && vm_write(vm, CMDLINE_AT, vm->append, strlen(vm->append) + 1);
}

bool pvh_load(struct vm *vm, struct register_write *list, u32 *count, struct register_write *upper, u32 *upper_count)
{
    struct image i = {at_address(vm->kernel->start), vm->kernel->end - vm->kernel->start, ~0ull, 0, 0};
    u64 initrd_bytes = vm->initrd != NULL ? vm->initrd->end - vm->initrd->start : 0;
    u64 initrd_at = align_down(vm->memory - initrd_bytes, PAGE_SIZE);
    u64 entry = 0;
    if (!load_kernel(vm, &i)) {
        print("root: %s: the kernel has no PVH entry, or does not fit in %lu MiB\n", vm->name, vm->memory >> 20);
        return false;
    }
    if (initrd_bytes != 0 &&
        (initrd_at < i.high || !vm_write(vm, initrd_at, at_address(vm->initrd->start), initrd_bytes))) {
        print("root: %s: too little memory for the initial RAM disk\n", vm->name);
        return false;
    }
    if (vm->adapter != NULL && !load_adapter(vm, &entry)) {
        print("root: %s: the adapter's image is none, or too large\n", vm->name);
        return false;
    }
    acpi_build(vm);
    *count = put_registers(list, i.entry, 0, START_AT);
    *upper_count = vm->adapter != NULL ? put_registers(upper, entry, ADAPTER_MAGIC, ADAPTER_BOOT_AT) : 0;
    return put_start_info(vm, initrd_at, initrd_bytes);
}
