/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/boot/modules.h"

#include "abi/x86/q35.h"
#include "base/bits.h"

bool modules_load(struct machine *m, u64 at, struct loaded_module *out, struct error *err)
{
    for (unsigned i = 0; i < m->config.module_count; i++) {
        const struct module_config *c = &m->config.modules[i];
        struct boot_file f;
        if (!boot_read_file("module", machine_file(m, c->path), &f, err)) {
            return false;
        }
        at = align_up(at, PAGE_SIZE);
        u64 end = at + f.size;
        bool fits = end <= boot_low_ram_end(m) && phys_load(&m->phys, SPA(at), f.data, f.size);
        boot_free_file(&f);
        if (!fits) {
            return error_set(err, EXIT_STATUS_BAD_FILE, "%s: the module does not fit into RAM; use more --memory",
                             c->path);
        }
        out[i] = (struct loaded_module){.start = at, .end = end, .path = c->path, .args = c->args};
        at = end;
    }
    return true;
}

unsigned boot_memory_map(const struct machine *m, struct memory_range *out)
{
    unsigned n = 0;
    u64 low_end = boot_low_ram_end(m);
    out[n++] = (struct memory_range){0, BOOT_EBDA_AT, 1};
    out[n++] = (struct memory_range){BOOT_EBDA_AT, 0xa0000, 2};
    out[n++] = (struct memory_range){0xf0000, MIB(1), 2};
    out[n++] = (struct memory_range){MIB(1), low_end, 1};
    out[n++] = (struct memory_range){low_end, m->ram_below_4g, 3};
    out[n++] = (struct memory_range){Q35_ECAM_BASE, (u64)Q35_ECAM_BASE + Q35_ECAM_SIZE, 2};
    if (m->ram_above_4g > 0) {
        out[n++] = (struct memory_range){GIB(4), GIB(4) + m->ram_above_4g, 1};
    }
    return n;
}
