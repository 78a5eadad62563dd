/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef VITRINE_MACHINE_BOOT_PVH_H
#define VITRINE_MACHINE_BOOT_PVH_H

#include "machine/boot/boot.h"

/* Has the ELF file a PVH entry point (Xen note 18)? */
bool pvh_is(const struct boot_file *kernel);
/* Load it and start it with a hvm_start_info. [Xen docs/misc/pvh.pandoc] */
bool pvh_boot(struct machine *m, const struct boot_file *kernel, struct error *err);

#endif
