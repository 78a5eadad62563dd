/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which controllers and disks a child has. They stay when it ends, and are offered again when it starts. */
#include "guests/root/storage/storage.h"

static struct controller controllers[VM_MAX][CONTROLLERS];
static const struct vmbus_guid interface = STORVSP_INTERFACE;
static u32 last_serial;

struct controller *storage_controller(const struct vm *vm, u32 number)
{
    struct controller *k = number < CONTROLLERS ? &controllers[vm - vms][number] : NULL;
    return k != NULL && k->used ? k : NULL;
}

static bool offer(struct controller *k)
{
    struct bus *b = bus_of(k->vm);
    const struct vmbus_guid instance = {{'V', 'T', 'S', 'T', 'O', 'R', 0, 0x40, 0x80, 0, 0, 0, 0, 0, 0, (u8)k->number}};
    if (b != NULL && k->channel == NULL) {
        k->subchannels = 0;
        k->channel = channel_offer(b, &interface, &instance, &storvsp_ops, k, false, NULL, 0);
    }
    return b == NULL || k->channel != NULL;
}

bool storage_start(struct vm *vm)
{
    bool ok = true;
    for (u32 i = 0; i < CONTROLLERS; i++) {
        struct controller *k = &controllers[vm - vms][i];
        ok = ok && (!k->used || offer(k));
    }
    return ok;
}

void storage_wait(struct vm *vm)
{
    for (u32 i = 0; i < CONTROLLERS; i++) {
        while (controllers[vm - vms][i].in_flight > 0) {
            (void)block_poll();
        }
    }
}

/* Is some child's disk of it writable? */
static bool is_written(const struct block *b)
{
    for (u32 v = 0; v < VM_MAX; v++) {
        for (u32 i = 0; i < CONTROLLERS * DISKS; i++) {
            const struct disk *d = &controllers[v][i / DISKS].disks[i % DISKS];
            if (d->block == b && !d->read_only) {
                return true;
            }
        }
    }
    return false;
}

const char *storage_add(struct vm *vm, struct block *b, u32 controller, u32 lun, bool cd, bool read_only)
{
    if (controller >= CONTROLLERS || lun >= DISKS) {
        return "there are 4 controllers with 16 places each";
    }
    struct controller *k = &controllers[vm - vms][controller];
    struct disk *d = &k->disks[lun];
    bool writes = !cd && !read_only && !b->read_only;
    if (d->block != NULL) {
        return "there is a disk already";
    }
    if (b->users > 0 && (writes || is_written(b))) {
        return "it is another disk's backing, and one of them writes";
    }
    if (cd ? b->sectors * b->sector_size < CD_SECTOR || CD_SECTOR % b->sector_size != 0 : b->sectors == 0 || b->sector_size != SECTOR) {
        return "its sectors do not fit";
    }
    if (!k->used) {
        memset(k, 0, sizeof *k);
        *k = (struct controller){.used = true, .vm = vm, .number = controller};
    }
    b->users++;
    *d = (struct disk){.block = b, .cd = cd, .read_only = !writes, .serial = ++last_serial, .attention = bus_of(vm) != NULL};
    if (!offer(k)) {
        d->block = NULL;
        b->users--;
        return "its bus has no room for another controller";
    }
    storvsp_rescan(k);
    return NULL;
}

const char *storage_remove(struct vm *vm, u32 controller, u32 lun)
{
    struct controller *k = storage_controller(vm, controller);
    struct disk *d = k != NULL && lun < DISKS ? &k->disks[lun] : NULL;
    if (d == NULL || d->block == NULL || d->gone) {
        return "there is no such disk";
    }
    d->gone = true;
    if (d->busy == 0) {
        disk_end(d);
    }
    storvsp_rescan(k);
    return NULL;
}

void disk_end(struct disk *d)
{
    d->block->users--;
    memset(d, 0, sizeof *d);
}

void storage_list(const struct vm *vm)
{
    for (u32 i = 0; i < CONTROLLERS; i++) {
        const struct controller *k = storage_controller(vm, i);
        for (u32 n = 0; k != NULL && n < DISKS; n++) {
            const struct disk *d = &k->disks[n];
            if (d->block != NULL) {
                print("  %-12s controller %u LUN %-2u %-6s %lu KiB of %s%s, %lu reads, %lu writes%s\n", vm->name, i, n,
                      d->cd ? "CD-ROM" : "disk", d->block->sectors * d->block->sector_size >> 10, d->block->name,
                      d->read_only ? ", read-only" : "", d->reads, d->writes, d->gone ? ", leaving" : "");
            }
        }
    }
}
