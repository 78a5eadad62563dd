/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef HV_PARTITION_ROOT_IMAGE_H
#define HV_PARTITION_ROOT_IMAGE_H

struct vp;

/* Loads the first module into the root and makes its VP ready to run, as a Multiboot loader would. */
void root_image_load(struct vp *vp);

#endif
