/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A small native child: a 32-bit ELF image with a Multiboot 1 header, entered as that says. [Multiboot "Machine state"] Left out:
 * modules, images that are no ELF. */
#include "guests/root/root.h"

#define HEADER_MAGIC 0x1badb002u
#define LOADED_MAGIC 0x2badb002u
#define SEARCH 8192u
#define INFO_AT 0x9000u
#define HAS_MEMORY 0x1u
#define HAS_COMMAND_LINE 0x4u

bool multiboot_is_kernel(const struct module *m)
{
    u64 size = m->end - m->start;
    const u8 *image = at_address(m->start);
    for (u64 at = 0; elf_is(m, 1) && at + 12 <= size && at < SEARCH; at += 4) {
        u32 h[3];
        memcpy(h, image + at, sizeof h);
        if (h[0] == HEADER_MAGIC && h[0] + h[1] + h[2] == 0) {
            return true;
        }
    }
    return false;
}

bool multiboot_load(struct vm *vm, struct register_write *list, u32 *count)
{
    struct elf_image i;
    if (!elf_load(vm, vm->kernel, &i) || i.low < 0x100000) {
        print("root: %s: the image does not fit in %lu MiB\n", vm->name, vm->memory >> 20);
        return false;
    }
    struct {
        u32 info[30];
        char line[VM_NAME + VM_TEXT + 2];
    } s = {.info = {HAS_MEMORY | HAS_COMMAND_LINE, 640, (u32)(vm->memory >> 10) - 1024}};
    s.info[4] = INFO_AT + offsetof(typeof(s), line);
    u32 n = (u32)strlen(vm->name);
    memcpy(s.line, vm->name, n);
    s.line[n++] = ' ';
    memcpy(s.line + n, vm->append, strlen(vm->append) + 1);
    acpi_build(vm);
    *count = protected_registers(list, i.entry, LOADED_MAGIC, INFO_AT);
    return vm_write(vm, INFO_AT, &s, sizeof s);
}
