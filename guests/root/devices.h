/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Console commands about devices of children: rows of the table in console.c. */
#ifndef GUESTS_ROOT_DEVICES_H
#define GUESTS_ROOT_DEVICES_H

#include "guests/root/root.h"

void cmd_disk_add(char **words, u32 count);
void cmd_disk_remove(char **words, u32 count);
void cmd_disk_list(char **words, u32 count);
void cmd_nic_add(char **words, u32 count);
void cmd_nic_remove(char **words, u32 count);
void cmd_nic_list(char **words, u32 count);
void cmd_switch_show(char **words, u32 count);
void cmd_vm_heartbeat(char **words, u32 count);
void cmd_vm_pairs(char **words, u32 count);
void cmd_vm_pair(char **words, u32 count);

#endif
