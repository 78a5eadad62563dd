/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which network adapters a child has. They stay when it ends, and are offered again when it starts. */
#include "guests/root/network/network.h"

static struct nic nics[VM_MAX][NICS];
static const struct vmbus_guid interface = NETVSP_INTERFACE;

static bool offer(struct nic *n)
{
    struct bus *b = bus_of(n->vm);
    const struct vmbus_guid instance = {{'V', 'T', 'N', 'E', 'T', 0, 0, 0x40, 0x80, 0, n->mac[0], n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]}};
    if (b != NULL && n->channel == NULL) {
        n->channel = channel_offer(b, &interface, &instance, &netvsp_ops, n, false, NULL, 0);
    }
    return b == NULL || n->channel != NULL;
}

bool network_start(struct vm *vm)
{
    bool ok = true;
    for (u32 i = 0; i < NICS; i++) {
        struct nic *n = &nics[vm - vms][i];
        ok = ok && (!n->used || offer(n));
    }
    return ok;
}

const char *network_add(struct vm *vm, bool isolated)
{
    u32 i = 0;
    struct nic *list = nics[vm - vms];
    while (i < NICS && list[i].used) {
        i++;
    }
    if (i == NICS) {
        return "there are 4 adapters, or one that was removed is still the child's";
    }
    struct nic *n = &list[i];
    memset(n, 0, sizeof *n);
    *n = (struct nic){.used = true, .vm = vm, .number = i, .isolated = isolated, .mac = {0x00, 0x15, 0x5d, 0, (u8)(vm - vms + 1), (u8)i}};
    u32 length = (u32)strlen(vm->name);
    memcpy(n->name, vm->name, length);
    n->name[length] = '.';
    n->name[length + 1] = (char)('0' + i);
    switch_uplink();
    struct switch_port model = {.isolated = isolated, .deliver = netvsp_deliver, .owner = n, .name = n->name};
    memcpy(model.mac, n->mac, 6);
    n->port = switch_add(&model);
    if (!offer(n)) {
        switch_remove(n->port);
        n->used = false;
        return "its bus has no room for another adapter";
    }
    return NULL;
}

const char *network_remove(struct vm *vm, u32 number)
{
    struct nic *n = number < NICS ? &nics[vm - vms][number] : NULL;
    if (n == NULL || !n->used || n->port == NULL) {
        return "there is no such adapter";
    }
    switch_remove(n->port);
    n->port = NULL;
    if (n->channel != NULL) {
        channel_rescind(n->channel); /* its place is free when the child has let go */
    } else {
        n->used = false;
    }
    return NULL;
}

void network_list(const struct vm *vm)
{
    for (u32 i = 0; i < NICS; i++) {
        const struct nic *n = &nics[vm - vms][i];
        const u8 *m = n->mac;
        if (n->used) {
            print("  %-12s adapter %u %02x:%02x:%02x:%02x:%02x:%02x%s, %lu frames to it, %lu from it, %lu dropped%s\n", vm->name, i, (u32)m[0], (u32)m[1],
                  (u32)m[2], (u32)m[3], (u32)m[4], (u32)m[5], n->isolated ? ", isolated" : "", n->frames_in, n->frames_out,
                  n->dropped, n->port == NULL ? ", leaving" : (n->initialized ? ", in use" : ""));
        }
    }
}
