/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the targets for boot protocols share: a small machine, an image made of a valid one and patches,
 * and the check that a refusal says one line. */
#ifndef VITRINE_TESTS_FUZZ_BOOT_RIG_H
#define VITRINE_TESTS_FUZZ_BOOT_RIG_H

#include "base/bytes.h"
#include "machine/boot/boot.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define BOOT_RIG_COUNTS 300 /* of the guest that was loaded: anything, so little of it */

static inline struct machine *boot_rig_new(u8 flags)
{
    struct machine_config c;
    struct error err = {0};
    machine_config_init(&c);
    (void)cpu_model_parse(&c.model, (flags & 1) != 0 ? "amd" : "intel", &err);
    c.ram_bytes = MIB(32);
    c.append = "console=ttyS0";
    c.kernel = NULL;
    c.tlb_entries = 16;
    c.code_cache_bytes = MIB(1);
    c.no_reboot = true;
    c.max_instructions = BOOT_RIG_COUNTS;
    if ((flags & 2) != 0) {
        c.modules[c.module_count++] = (struct module_config){.path = "/dev/null", .args = "a module"};
    }
    struct machine *m = machine_new(&c, &err);
    if (m == NULL) {
        abort();
    }
    m->config.kernel = "fuzz";
    return m;
}

/* Run what was loaded, or look at what was said. */
static inline void boot_rig_finish(struct machine *m, bool ok, const struct error *err)
{
    if (ok != (err->status == EXIT_STATUS_OK) || strchr(err->text, '\n') != NULL ||
        (!ok && err->text[0] == '\0')) {
        abort();
    }
    if (ok) {
        (void)machine_run(m);
    }
    machine_free(m);
}

/* Patches: two bytes of offset, one of length, then bytes. */
static inline void boot_rig_patch(u8 *image, size_t image_size, const u8 *data, size_t size)
{
    size_t at = 0;
    while (at + 3 < size) {
        size_t to = load_le16(data + at) % image_size;
        size_t n = data[at + 2] % 9;
        at += 3;
        for (size_t i = 0; i < n && at < size && to < image_size; i++) {
            image[to++] = data[at++];
        }
    }
}

#endif
