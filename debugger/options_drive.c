/* SPDX-License-Identifier: GPL-3.0-or-later */
/* --drive and its relatives. */
#include "debugger/options_priv.h"

#include "machine/host/block.h"

#include <string.h>

static bool add_drive(struct run_options *o, struct drive_config d, struct error *err)
{
    if (o->machine.drive_count == MACHINE_MAX_DRIVES) {
        return error_set(err, EXIT_STATUS_USAGE, "more than %d drives", MACHINE_MAX_DRIVES);
    }
    o->machine.drives[o->machine.drive_count++] = d;
    return true;
}

static bool drive_property(struct drive_config *d, const char *key, const char *value, struct error *err)
{
    enum block_format format;
    if (strcmp(key, "file") == 0) {
        d->path = value;
    } else if (strcmp(key, "if") == 0) {
        if (strcmp(value, "virtio") != 0 && strcmp(value, "ahci") != 0 && strcmp(value, "ide") != 0) {
            return error_set(err, EXIT_STATUS_USAGE, "--drive if=%s: virtio or ahci is wanted", value);
        }
        d->interface = strcmp(value, "virtio") == 0 ? DRIVE_VIRTIO
                       : d->interface == DRIVE_CDROM ? DRIVE_CDROM
                                                     : DRIVE_AHCI;
    } else if (strcmp(key, "format") == 0) {
        if (!block_format_parse(value, &format)) {
            return error_set(err, EXIT_STATUS_USAGE, "--drive format=%s: raw or qcow2 is wanted", value);
        }
        d->format = (u32)format;
    } else if (strcmp(key, "readonly") == 0 || strcmp(key, "read-only") == 0) {
        return options_on_off(key, value, &d->read_only, err);
    } else if (strcmp(key, "snapshot") == 0) {
        return options_on_off(key, value, &d->snapshot, err);
    } else if (strcmp(key, "media") == 0) {
        if (strcmp(value, "cdrom") != 0 && strcmp(value, "disk") != 0) {
            return error_set(err, EXIT_STATUS_USAGE, "--drive media=%s: disk or cdrom is wanted", value);
        }
        d->interface = strcmp(value, "cdrom") == 0 ? DRIVE_CDROM : d->interface;
    } else if (strcmp(key, "index") != 0 && strcmp(key, "id") != 0 && strcmp(key, "cache") != 0 &&
               strcmp(key, "aio") != 0 && strcmp(key, "bus") != 0 && strcmp(key, "unit") != 0) {
        return error_set(err, EXIT_STATUS_USAGE,
                         "--drive: unknown property %s; known are file, if, format, readonly, snapshot", key);
    }
    return true;
}

bool opt_drive(struct run_options *o, const char *v, struct error *err)
{
    struct drive_config d = {.interface = DRIVE_VIRTIO, .format = BLOCK_FORMAT_PROBE};
    char *text = options_keep(o, v);
    char *key;
    char *value;
    while (options_next_property(&text, &key, &value)) {
        if (value == NULL) {
            return error_set(err, EXIT_STATUS_USAGE, "--drive %s: key=value pairs are wanted", v);
        }
        if (!drive_property(&d, key, value, err)) {
            return false;
        }
    }
    if (d.path == NULL || d.path[0] == '\0') {
        return error_set(err, EXIT_STATUS_USAGE, "--drive %s: file= is missing", v);
    }
    return add_drive(o, d, err);
}

bool opt_cdrom(struct run_options *o, const char *v, struct error *err)
{
    return add_drive(o, (struct drive_config){.interface = DRIVE_CDROM, .path = v}, err);
}

bool opt_hda(struct run_options *o, const char *v, struct error *err)
{
    return add_drive(o, (struct drive_config){.interface = DRIVE_AHCI, .path = v}, err);
}
