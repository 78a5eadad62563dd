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

/* The note itself is looked for when it is loaded. */
bool pvh_is_kernel(const struct module *m) { return elf_is(m, 2) || (elf_is(m, 1) && !multiboot_is_kernel(m)); }

static bool load_kernel(struct vm *vm, struct elf_image *i)
{
    bool ok = elf_load(vm, vm->kernel, i);
    bool over = i->low < ADAPTER_AT + ADAPTER_BYTES && i->high > ADAPTER_AT && vm->adapter != NULL;
    return ok && i->pvh_entry != 0 && i->low >= 0x100000 && !over;
}

static bool load_adapter(struct vm *vm, u64 *entry)
{
    struct elf_image i = {0};
    bool ok = elf_is(vm->adapter, 1) && elf_load(vm, vm->adapter, &i);
    struct adapter_boot boot = {.magic = ADAPTER_MAGIC,
                                      .version = ADAPTER_VERSION,
                                      .memory = vm->memory,
                                      .connection = ADAPTER_CONNECTION,
                                      .vps = vm->vps,
                                      .domain = 1,
                                      .wall_seconds = clock_seconds(),
                                      .start_info = START_AT};
    memcpy(boot.name, vm->name, sizeof boot.name);
    *entry = i.entry;
    return ok && i.low >= ADAPTER_AT && i.high <= ADAPTER_BOOT_AT && vm_write(vm, ADAPTER_BOOT_AT, &boot, sizeof boot);
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
    struct elf_image i;
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
    *count = protected_registers(list, i.pvh_entry, 0, START_AT);
    *upper_count = vm->adapter != NULL ? protected_registers(upper, entry, ADAPTER_MAGIC, ADAPTER_BOOT_AT) : 0;
    return put_start_info(vm, initrd_at, initrd_bytes);
}
