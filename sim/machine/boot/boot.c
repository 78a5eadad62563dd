/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/boot/boot.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "cpu/flags.h"
#include "machine/boot/elf.h"
#include "machine/boot/multiboot.h"
#include "machine/boot/pvh.h"
#include "machine/boot/unpack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool boot_read_file(const char *what, const char *path, struct boot_file *file, struct error *err)
{
    *file = (struct boot_file){0};
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        return error_set(err, errno == ENOENT ? EXIT_STATUS_NO_FILE : EXIT_STATUS_BAD_FILE,
                         "could not open %s file '%s': %s", what, path, strerror(errno));
    }
    u64 cap = MIB(1);
    file->data = malloc(cap);
    while (file->data != NULL) {
        size_t n = fread(file->data + file->size, 1, cap - file->size, f);
        file->size += n;
        if (n == 0) {
            break;
        }
        if (file->size == cap) {
            if (cap >= GIB(4)) { /* a device without an end, or nothing that could be booted */
                boot_free_file(file);
                (void)fclose(f);
                return error_set(err, EXIT_STATUS_BAD_FILE, "%s file '%s' is larger than 4 GiB", what, path);
            }
            cap *= 2;
            u8 *grown = realloc(file->data, cap);
            if (grown == NULL) {
                free(file->data);
            }
            file->data = grown;
        }
    }
    bool bad = file->data == NULL || ferror(f) != 0;
    (void)fclose(f);
    if (bad) {
        boot_free_file(file);
        return error_set(err, EXIT_STATUS_BAD_FILE, "could not read %s file '%s'", what, path);
    }
    return true;
}

void boot_free_file(struct boot_file *file)
{
    free(file->data);
    *file = (struct boot_file){0};
}

void boot_zero(struct machine *m, u64 from, u64 to)
{
    static const u8 zeroes[PAGE_SIZE];
    while (from < to) {
        u64 n = to - from < PAGE_SIZE ? to - from : PAGE_SIZE;
        (void)phys_load(&m->phys, SPA(from), zeroes, n);
        from += n;
    }
}

static void set_segment(struct segment *s, u16 sel, u32 attr)
{
    *s = (struct segment){.sel = sel, .limit = 0xffffffffu, .attr = attr};
}

static void enter_flat(struct cpu *cpu, u32 code_bits)
{
    set_segment(&cpu->arch.seg[SEG_CS], 0x10, 0xb | SEG_S | SEG_P | SEG_G | code_bits);
    static const unsigned data[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
        set_segment(&cpu->arch.seg[data[i]], 0x18, 0x3 | SEG_S | SEG_P | SEG_G | SEG_DB);
    }
    cpu->arch.rflags = RFLAGS_ONE;
    flags_set_arith(cpu, 0);
}

void boot_enter_protected_mode(struct machine *m, u64 rip)
{
    struct cpu *cpu = m->set.cpu[0];
    cpu->arch.cr0 = CR0_PE | CR0_ET;
    enter_flat(cpu, SEG_DB);
    cpu->arch.rip = rip;
    cpu_update_mode(cpu);
}

void boot_enter_long_mode(struct machine *m, u64 scratch, u64 rip)
{
    struct cpu *cpu = m->set.cpu[0];
    u8 page[PAGE_SIZE];
    u64 pml4 = scratch;
    u64 pdpt = scratch + PAGE_SIZE;
    memset(page, 0, sizeof page);
    store_le64(page, pdpt | 7);
    (void)phys_load(&m->phys, SPA(pml4), page, sizeof page);
    for (unsigned i = 0; i < 4; i++) {
        store_le64(page + 8 * i, (scratch + (2 + i) * PAGE_SIZE) | 7);
    }
    (void)phys_load(&m->phys, SPA(pdpt), page, sizeof page);
    for (u64 i = 0; i < 4; i++) {
        for (u64 j = 0; j < 512; j++) {
            store_le64(page + 8 * j, (i << 30 | j << 21) | 0x83);
        }
        (void)phys_load(&m->phys, SPA(scratch + (2 + i) * PAGE_SIZE), page, sizeof page);
    }
    static const u64 gdt[] = {0, 0, 0x00af9b000000ffffu, 0x00cf93000000ffffu};
    (void)phys_load(&m->phys, SPA(scratch + 6 * PAGE_SIZE), gdt, sizeof gdt);
    cpu->arch.gdtr = (struct table_reg){.base = scratch + 6 * PAGE_SIZE, .limit = sizeof gdt - 1};
    cpu->arch.cr3 = pml4;
    cpu->arch.cr4 = CR4_PAE;
    cpu->arch.efer = EFER_LME | EFER_LMA;
    cpu->arch.cr0 = CR0_PE | CR0_PG | CR0_ET;
    enter_flat(cpu, SEG_L);
    cpu->arch.rip = rip;
    cpu_update_mode(cpu);
}

/* The kernel inside of a bzImage by its PVH entry: without its own unpacking and without KASLR. */
static bool unpacked_boot(struct machine *m, const struct boot_file *kernel, struct error *err)
{
    struct boot_file elf;
    if (!unpack_bzimage(kernel, m->config.kernel, &elf, err)) {
        return false;
    }
    bool ok = pvh_is(&elf) ? pvh_boot(m, &elf, err)
                           : error_set(err, EXIT_STATUS_BAD_FILE, "%s: the kernel in it has no PVH entry",
                                       m->config.kernel);
    boot_free_file(&elf);
    return ok;
}

bool boot_load(struct machine *m, struct error *err)
{
    if (m->config.kernel == NULL) {
        return true;
    }
    if (m->config.firmware != NULL) {
        return true; /* the firmware finds the kernel in fw_cfg */
    }
    struct boot_file kernel;
    if (!boot_read_file("kernel", machine_file(m, m->config.kernel), &kernel, err)) {
        return false;
    }
    boot_as_firmware(m);
    boot_smm_handler(m);
    bool ok;
    unsigned multiboot = multiboot_version(&kernel);
    if (bzimage_is(&kernel) && m->config.boot_protocol == BOOT_PVH) {
        ok = unpacked_boot(m, &kernel, err);
    } else if (bzimage_is(&kernel)) {
        ok = bzimage_boot(m, &kernel, err);
    } else if (multiboot != 0) {
        ok = multiboot_boot(m, &kernel, multiboot, err);
    } else if (pvh_is(&kernel)) {
        ok = pvh_boot(m, &kernel, err);
    } else {
        struct elf_image elf; /* says so when it is cut or another machine's */
        ok = (!elf_is(&kernel) || elf_open(&elf, &kernel, m->config.kernel, err)) &&
             error_set(err, EXIT_STATUS_BAD_FILE,
                       "%s: neither a bzImage nor an ELF kernel with a Multiboot or PVH entry",
                       m->config.kernel);
    }
    boot_free_file(&kernel);
    return ok;
}
