/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disk images and the controllers they hang on. */
#ifndef VITRINE_MACHINE_DRIVES_H
#define VITRINE_MACHINE_DRIVES_H

#include "base/status.h"
#include "machine/machine.h"

/* Open every image of the configuration and attach it: virtio disks one function each, AHCI disks and
 * CD-ROMs as ports of one controller. False with a line in *err. */
bool drives_build(struct machine *m, struct error *err);
/* Close all images without committing. */
void drives_close(struct machine *m);

#endif
