/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The PVH boot protocol: flat 32-bit entry from ELF note 18, EBX points to hvm_start_info. */
#include "machine/boot/pvh.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "machine/boot/elf.h"
#include "machine/boot/modules.h"

#include <string.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define START_INFO_MAGIC 0x336ec578u
#define INFO_AT 0x9000u
#define CMDLINE_AT 0xa000u
#define CMDLINE_MAX 0x1000u
#define MODULE_LINES_AT 0xb000u
#define MODULE_LINES_MAX 0x2000u

bool pvh_is(const struct boot_file *kernel)
{
    struct elf_image elf;
    struct error ignored = {0};
    const u8 *desc;
    u32 size;
    return elf_is(kernel) && elf_open(&elf, kernel, "", &ignored) &&
           elf_find_note(&elf, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &desc, &size) && size >= 4;
}

/* Module command lines, one after the other; 0: none or no room. */
static u64 put_args(struct machine *m, const char *args, u64 *next)
{
    if (args == NULL) {
        return 0;
    }
    size_t len = strlen(args) + 1;
    if (*next + len > MODULE_LINES_AT + MODULE_LINES_MAX) {
        return 0;
    }
    u64 at = *next;
    (void)phys_load(&m->phys, SPA(at), args, len);
    *next += len;
    return at;
}

bool pvh_boot(struct machine *m, const struct boot_file *kernel, struct error *err)
{
    struct elf_image elf;
    const u8 *desc;
    u32 size;
    struct loaded_module mods[MACHINE_MAX_MODULES];
    if (!elf_open(&elf, kernel, m->config.kernel, err)) {
        return false;
    }
    if (!elf_find_note(&elf, "Xen", XEN_ELFNOTE_PHYS32_ENTRY, &desc, &size) || size < 4) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: no PVH entry note", m->config.kernel);
    }
    u64 entry = load_le32(desc); /* the descriptor has 4 or 8 bytes */
    if (!elf_load(&elf, m, err) || !modules_load(m, elf.high, mods, err)) {
        return false;
    }
    const char *append = m->config.append != NULL ? m->config.append : "";
    if (strlen(append) >= CMDLINE_MAX) {
        return error_set(err, EXIT_STATUS_USAGE, "--append is longer than %u bytes", CMDLINE_MAX - 1);
    }
    (void)phys_load(&m->phys, SPA(CMDLINE_AT), append, strlen(append) + 1);
    /* struct hvm_start_info (56 bytes), then the module list, then the memory map. */
    u8 info[56 + 32 * MACHINE_MAX_MODULES + 24 * MEMORY_RANGES_MAX];
    memset(info, 0, sizeof info);
    u64 next = MODULE_LINES_AT;
    for (unsigned i = 0; i < m->config.module_count; i++) {
        u8 *e = info + 56 + (size_t)32 * i;
        store_le64(e, mods[i].start);
        store_le64(e + 8, mods[i].end - mods[i].start);
        store_le64(e + 16, put_args(m, mods[i].args, &next));
    }
    u64 map_at = 56 + (u64)32 * m->config.module_count;
    struct memory_range map[MEMORY_RANGES_MAX];
    unsigned n = boot_memory_map(m, map);
    for (unsigned i = 0; i < n; i++) {
        u8 *e = info + map_at + (size_t)24 * i;
        store_le64(e, map[i].start);
        store_le64(e + 8, map[i].end - map[i].start);
        store_le32(e + 16, map[i].type);
    }
    store_le32(info, START_INFO_MAGIC);
    store_le32(info + 4, 1);
    store_le32(info + 12, m->config.module_count);
    store_le64(info + 16, m->config.module_count > 0 ? INFO_AT + 56 : 0);
    store_le64(info + 24, CMDLINE_AT);
    store_le64(info + 32, boot_place_acpi(m));
    store_le64(info + 40, INFO_AT + map_at);
    store_le32(info + 48, n);
    (void)phys_load(&m->phys, SPA(INFO_AT), info, sizeof info);
    boot_enter_protected_mode(m, entry);
    m->set.cpu[0]->arch.gpr[RBX] = INFO_AT;
    return true;
}
