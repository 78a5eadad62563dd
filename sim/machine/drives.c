/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "machine/drives.h"

#include "abi/x86/q35.h"
#include "devices/ahci.h"
#include "devices/pci.h"
#include "devices/virtio/virtio.h"
#include "machine/host/block.h"

#include <stdio.h>

static struct block_disk *open_drive(struct machine *m, const struct drive_config *d, const char *id,
                                     struct error *err)
{
    struct block_options options = {.path = machine_file(m, d->path),
                                    .format = (enum block_format)d->format,
                                    .read_only = d->read_only || d->interface == DRIVE_CDROM,
                                    .snapshot = d->snapshot || m->config.disks_stay,
                                    .id = id};
    struct block_disk *disk = block_open(&options, err);
    if (disk != NULL) {
        m->disks[m->disk_count++] = disk;
    }
    return disk;
}

bool drives_build(struct machine *m, struct error *err)
{
    static const char *const ids[MACHINE_MAX_DRIVES] = {
        "disk0", "disk1", "disk2",  "disk3",  "disk4",  "disk5",  "disk6",  "disk7",
        "disk8", "disk9", "disk10", "disk11", "disk12", "disk13", "disk14", "disk15"};
    struct ahci *ahci = ahci_new(&m->env, m->pci, ICH9_AHCI_DEVFN, "ahci0");
    unsigned ports = 0;
    for (unsigned i = 0; i < m->config.drive_count; i++) {
        const struct drive_config *d = &m->config.drives[i];
        struct block_disk *disk = open_drive(m, d, ids[i], err);
        if (disk == NULL) {
            return false;
        }
        const struct block_backend *backend = block_disk_backend(disk);
        char *path = m->drive_path[i];
        size_t room = sizeof m->drive_path[i];
        if (d->interface == DRIVE_VIRTIO) {
            struct virtio_options o = {.env = &m->env,
                                       .pci = m->pci,
                                       .devfn = PCI_DEVFN(pci_bus_free_slot(m->pci, 1), 0),
                                       .id = ids[i],
                                       .access_platform = m->config.virtio_access_platform};
            virtio_blk_new(&o, backend);
            (void)snprintf(path, room, "/pci@i0cf8/scsi@%x/disk@0,0", (unsigned)o.devfn >> 3);
        } else if (ports == AHCI_PORTS) {
            return error_set(err, EXIT_STATUS_USAGE, "%s: the AHCI controller has only %d ports",
                             d->path, AHCI_PORTS);
        } else {
            (void)snprintf(path, room, "/pci@i0cf8/pci8086,2922@1f,2/drive@%x/disk@0", ports);
            if (d->interface == DRIVE_CDROM) {
                ahci_attach_cdrom(ahci, ports++, backend);
            } else {
                ahci_attach_disk(ahci, ports++, backend);
            }
        }
    }
    return true;
}

void drives_close(struct machine *m)
{
    while (m->disk_count > 0) {
        block_close(m->disks[--m->disk_count]);
    }
}
