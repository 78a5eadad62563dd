/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef VITRINE_MACHINE_BOOT_UNPACK_H
#define VITRINE_MACHINE_BOOT_UNPACK_H

#include "machine/boot/boot.h"

/* The ELF kernel inside of a bzImage, unpacked on the host. The caller frees it. False with a line when
 * there is none or its compression is not known. */
bool unpack_bzimage(const struct boot_file *kernel, const char *path, struct boot_file *elf,
                    struct error *err);

#endif
