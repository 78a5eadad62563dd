/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef VITRINE_MACHINE_BOOT_MULTIBOOT_H
#define VITRINE_MACHINE_BOOT_MULTIBOOT_H

#include "machine/boot/boot.h"

/* 1 or 2: the newest header that the file has; 0: none. */
unsigned multiboot_version(const struct boot_file *kernel);
/* Load kernel and modules, build the information structure, set the registers. */
bool multiboot_boot(struct machine *m, const struct boot_file *kernel, unsigned version,
                    struct error *err);

#endif
