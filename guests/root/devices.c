/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Console commands about devices of children. */
#include "guests/root/devices.h"

#include "guests/root/ic/ic.h"
#include "guests/root/network/network.h"
#include "guests/root/storage/storage.h"

/* The child that the third word names. */
static struct vm *named(char **words, u32 count)
{
    struct vm *vm = count > 2 ? vm_find(words[2]) : NULL;
    if (vm == NULL) {
        print("root: %s %s NAME: no such child\n", words[0], words[1]);
    }
    return vm;
}

static bool has_flag(char **words, u32 count, const char *name)
{
    for (u32 i = 3; i < count; i++) {
        if (text_equal(words[i], name)) {
            return true;
        }
    }
    return false;
}

/* The number behind an option; `otherwise` when it is not there or none. */
static u64 number_after(char **words, u32 count, const char *name, u64 otherwise)
{
    u64 n;
    for (u32 i = 3; i + 1 < count; i++) {
        if (text_equal(words[i], name) && text_number(words[i + 1], &n)) {
            return n;
        }
    }
    return otherwise;
}

static void say(char **words, const char *problem)
{
    if (problem != NULL) {
        print("root: %s %s: %s\n", words[0], words[1], problem);
    }
}

void cmd_disk_add(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    struct block *b = vm != NULL && count > 3 ? block_find(words[3]) : NULL;
    if (vm != NULL && b == NULL) {
        say(words, "no such backing; block list shows what there is");
    } else if (vm != NULL) {
        u32 controller = (u32)number_after(words, count, "--controller", 0);
        u32 lun = (u32)number_after(words, count, "--lun", 0);
        say(words, storage_add(vm, b, controller, lun, has_flag(words, count, "--cd"), has_flag(words, count, "--read-only")));
    }
}

void cmd_disk_remove(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    if (vm != NULL) {
        say(words, storage_remove(vm, (u32)number_after(words, count, "--controller", 0), (u32)number_after(words, count, "--lun", 0)));
    }
}

void cmd_disk_list(char **words, u32 count)
{
    (void)words;
    (void)count;
    for (u32 i = 0; i < VM_MAX; i++) {
        if (vms[i].state != VM_FREE) {
            storage_list(&vms[i]);
        }
    }
}

void cmd_nic_add(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    if (vm != NULL) {
        say(words, network_add(vm, has_flag(words, count, "--isolated")));
    }
}

void cmd_nic_remove(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    u64 number;
    if (vm != NULL) {
        say(words, count > 3 && text_number(words[3], &number) ? network_remove(vm, (u32)number) : "which one? nic list shows them");
    }
}

void cmd_nic_list(char **words, u32 count)
{
    (void)words;
    (void)count;
    for (u32 i = 0; i < VM_MAX; i++) {
        if (vms[i].state != VM_FREE) {
            network_list(&vms[i]);
        }
    }
}

void cmd_switch_show(char **words, u32 count)
{
    (void)words;
    (void)count;
    switch_show();
}

void cmd_vm_heartbeat(char **words, u32 count)
{
    for (u32 i = 0; i < VM_MAX; i++) {
        if (vms[i].state == VM_RUNNING && (count < 3 || text_equal(words[2], vms[i].name))) {
            ic_show_heartbeat(&vms[i]);
        }
    }
}

void cmd_vm_pairs(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    if (vm != NULL && (vm->state != VM_RUNNING || !ic_show_pairs(vm))) {
        say(words, "it has no such service, or is still asked");
    }
}

void cmd_vm_pair(char **words, u32 count)
{
    struct vm *vm = named(words, count);
    if (vm != NULL && (vm->state != VM_RUNNING || count < 5 || !ic_set_pair(vm, words[3], words[4]))) {
        say(words, "KEY VALUE are needed, or it has no such service, or is still asked");
    }
}
