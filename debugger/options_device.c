/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Consoles, network card, --device. */
#include "debugger/options_priv.h"

#include "base/bits.h"
#include "base/nearest.h"
#include "machine/network.h"

#include <string.h>

bool opt_nic(struct run_options *o, const char *v, struct error *err)
{
    if (strcmp(v, "none") == 0) {
        o->machine.nic = false;
        return true;
    }
    if (strncmp(v, "user", 4) != 0 || (v[4] != '\0' && v[4] != ',')) {
        return error_set(err, EXIT_STATUS_USAGE, "--nic %s: none or user is wanted", v);
    }
    o->machine.nic = true;
    o->machine.nic_options = v[4] == ',' ? v + 5 : NULL;
    return network_check_options(o->machine.nic_options, err);
}

static bool use_chardev(struct run_options *o, const char *id, int by, unsigned number, struct error *err)
{
    if (o->chardev_use_count == ARRAY_LEN(o->chardev_uses)) {
        return error_set(err, EXIT_STATUS_USAGE, "chardev %s: more uses than there are consoles", id);
    }
    struct chardev_use *u = &o->chardev_uses[o->chardev_use_count++];
    u->id = options_keep(o, id);
    u->by = by;
    u->number = number;
    return true;
}

static bool parse_console(const char *option, const char *v, struct console_config *c, struct error *err)
{
    if (strcmp(v, "stdio") == 0 || strcmp(v, "mon:stdio") == 0) {
        c->kind = CONSOLE_STDIO;
    } else if (strncmp(v, "file:", 5) == 0 && v[5] != '\0') {
        c->kind = CONSOLE_FILE;
        c->path = v + 5;
    } else if (strcmp(v, "pty") == 0) {
        c->kind = CONSOLE_PTY;
    } else if (strcmp(v, "none") == 0 || strcmp(v, "null") == 0) {
        c->kind = CONSOLE_NONE;
    } else {
        return error_set(err, EXIT_STATUS_USAGE, "--%s %s: stdio, file:F, pty or none is wanted", option, v);
    }
    return true;
}

bool opt_serial(struct run_options *o, const char *v, struct error *err)
{
    if (o->machine.serial_count == MACHINE_MAX_SERIAL) {
        return error_set(err, EXIT_STATUS_USAGE, "more than %d serial ports", MACHINE_MAX_SERIAL);
    }
    unsigned n = o->machine.serial_count++;
    if (strncmp(v, "chardev:", 8) == 0) {
        return use_chardev(o, v + 8, CHARDEV_USE_SERIAL, n, err);
    }
    return parse_console("serial", v, &o->machine.serial[n], err);
}

bool opt_virtio_console(struct run_options *o, const char *v, struct error *err)
{
    o->machine.virtio_console = true;
    return parse_console("virtio-console", v, &o->machine.virtcon, err);
}

bool opt_debugcon(struct run_options *o, const char *v, struct error *err)
{
    if (strncmp(v, "chardev:", 8) == 0) {
        return use_chardev(o, v + 8, CHARDEV_USE_DEBUGCON, 0, err);
    }
    return parse_console("debugcon", v, &o->machine.debugcon, err);
}

/* QEMU's "stdio,id=a,mux=on,signal=off" and "file,id=b,path=f". */
bool opt_chardev(struct run_options *o, const char *v, struct error *err)
{
    struct chardev_option c = {.id = NULL};
    char *text = options_keep(o, v);
    char *kind;
    char *key;
    char *value;
    const char *path = NULL;
    if (o->chardev_count == MAX_CHARDEVS) {
        return error_set(err, EXIT_STATUS_USAGE, "more than %d chardevs", MAX_CHARDEVS);
    }
    (void)options_next_property(&text, &kind, &value);
    while (options_next_property(&text, &key, &value)) {
        if (strcmp(key, "id") == 0) {
            c.id = value;
        } else if (strcmp(key, "path") == 0) {
            path = value;
        } else if (strcmp(key, "mux") != 0 && strcmp(key, "signal") != 0 && strcmp(key, "append") != 0) {
            return error_set(err, EXIT_STATUS_USAGE, "--chardev: no property '%s'; id and path are known", key);
        }
    }
    bool file = strcmp(kind, "file") == 0;
    if (c.id == NULL || c.id[0] == '\0' || file != (path != NULL && path[0] != '\0')) {
        return error_set(err, EXIT_STATUS_USAGE, "--chardev %s: id= is wanted, and path= of a file", v);
    }
    for (unsigned i = 0; i < o->chardev_count; i++) {
        if (strcmp(o->chardevs[i].id, c.id) == 0) {
            return error_set(err, EXIT_STATUS_USAGE, "--chardev: there are two with id=%s", c.id);
        }
    }
    if (file) {
        c.config.kind = CONSOLE_FILE;
        c.config.path = path;
    } else if (strchr(kind, ':') != NULL || !parse_console("chardev", kind, &c.config, err)) {
        return error_set(err, EXIT_STATUS_USAGE, "--chardev %s: stdio, file, pty or null is wanted", v);
    }
    o->chardevs[o->chardev_count++] = c;
    return true;
}

bool options_resolve_chardevs(struct run_options *o, struct error *err)
{
    for (unsigned i = 0; i < o->chardev_use_count; i++) {
        const struct chardev_use *u = &o->chardev_uses[i];
        const struct chardev_option *found = NULL;
        struct nearest n;
        nearest_init(&n, u->id);
        for (unsigned k = 0; k < o->chardev_count; k++) {
            nearest_offer(&n, o->chardevs[k].id);
            found = strcmp(o->chardevs[k].id, u->id) == 0 ? &o->chardevs[k] : found;
        }
        if (found == NULL) {
            return options_unknown("no --chardev has the id", &n, "give it with --chardev stdio,id=...", err);
        }
        *(u->by == CHARDEV_USE_SERIAL    ? &o->machine.serial[u->number]
          : u->by == CHARDEV_USE_VIRTCON ? &o->machine.virtcon
                                         : &o->machine.debugcon) = found->config;
    }
    return true;
}

/* Of QEMU's global properties these mean something here: isa-debugcon.iobase, and iommu_platform of any
 * virtio device, which is one switch for all of them. */
bool opt_global(struct run_options *o, const char *v, struct error *err)
{
    static const char name[] = "isa-debugcon.iobase=";
    u64 port = 0;
    const char *platform = strstr(v, ".iommu_platform=");
    if (strncmp(v, "virtio", 6) == 0 && platform != NULL) {
        return options_on_off("iommu_platform", strchr(platform, '=') + 1,
                              &o->machine.virtio_access_platform, err);
    }
    if (strncmp(v, name, sizeof name - 1) != 0) {
        return true;
    }
    if (!options_number("global isa-debugcon.iobase", v + sizeof name - 1, 1, 0xffff, &port, err)) {
        return false;
    }
    o->machine.debugcon_port = (u16)port;
    return true;
}

bool opt_nodefaults(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->default_devices = false;
    return true;
}

/* ---- --device ---- */

typedef bool device_fn(struct run_options *o, char *properties, struct error *err);

struct device_row {
    const char *name, *bus;
    device_fn *add;
    const char *help;
};

/* Every device takes an id and a place, and nothing else unless it says so. */
static bool is_common(const char *key)
{
    return strcmp(key, "id") == 0 || strcmp(key, "addr") == 0 || strcmp(key, "bus") == 0;
}

static bool no_properties(char *text, struct error *err)
{
    char *key;
    char *value;
    while (options_next_property(&text, &key, &value)) {
        if (!is_common(key)) {
            return error_set(err, EXIT_STATUS_USAGE, "--device: there is no property '%s' of this device", key);
        }
    }
    return true;
}

static bool add_debug_exit(struct run_options *o, char *text, struct error *err)
{
    u64 base = 0x501; /* QEMU's default */
    u64 size = 2;
    char *key;
    char *value;
    while (options_next_property(&text, &key, &value)) {
        bool is_base = strcmp(key, "iobase") == 0;
        if (is_base || strcmp(key, "iosize") == 0) {
            if (!options_number(is_base ? "device isa-debug-exit,iobase" : "device isa-debug-exit,iosize",
                                value != NULL ? value : "", 1, is_base ? 0xffff : 4, is_base ? &base : &size,
                                err)) {
                return false;
            }
        } else if (!is_common(key)) {
            return error_set(err, EXIT_STATUS_USAGE,
                             "--device isa-debug-exit: no property '%s'; iobase and iosize are known", key);
        }
    }
    o->machine.debug_exit = true;
    o->machine.debug_exit_port = (u16)base;
    return true;
}

static bool add_pc_testdev(struct run_options *o, char *text, struct error *err)
{
    o->machine.pc_testdev = true;
    return no_properties(text, err);
}

static bool add_pci_testdev(struct run_options *o, char *text, struct error *err)
{
    o->machine.pci_testdev = true;
    return no_properties(text, err);
}

static bool add_hyperv_testdev(struct run_options *o, char *text, struct error *err)
{
    o->machine.hyperv_testdev = true;
    return no_properties(text, err);
}

static bool add_trace_port(struct run_options *o, char *text, struct error *err)
{
    o->machine.trace_port = true;
    return no_properties(text, err);
}

static bool add_edu(struct run_options *o, char *text, struct error *err)
{
    o->machine.edu = true;
    return no_properties(text, err);
}

static bool add_virtio_rng(struct run_options *o, char *text, struct error *err)
{
    char *key;
    char *value;
    o->machine.virtio_rng = true;
    while (options_next_property(&text, &key, &value)) {
        if (strcmp(key, "iommu_platform") == 0) { /* one switch for all virtio devices */
            if (!options_on_off(key, value, &o->machine.virtio_access_platform, err)) {
                return false;
            }
        } else if (!is_common(key)) {
            return error_set(err, EXIT_STATUS_USAGE,
                             "--device virtio-rng-pci: no property '%s'; iommu_platform is known", key);
        }
    }
    return true;
}

/* on: first and second level; QEMU's older names: legacy has the second alone, modern the first. */
static bool scalable_mode(struct vtd_options *vtd, const char *value, struct error *err)
{
    bool legacy = value != NULL && strcmp(value, "legacy") == 0;
    bool modern = value != NULL && strcmp(value, "modern") == 0;
    vtd->scalable = legacy || modern;
    if (!legacy && !modern && !options_on_off("x-scalable-mode", value, &vtd->scalable, err)) {
        return false;
    }
    vtd->second_level = !modern;
    vtd->first_level = !legacy;
    return true;
}

/* BASE:LIMIT:SLOT[.FUNCTION], whole pages, of a device on bus 0. */
static bool reserved_region(struct vtd_options *vtd, const char *value, struct error *err)
{
    char text[80];
    u64 base = 0, limit = 0, slot = 0, function = 0;
    (void)snprintf(text, sizeof text, "%s", value != NULL ? value : "");
    char *second = strchr(text, ':');
    char *third = second != NULL ? strchr(second + 1, ':') : NULL;
    char *dot = third != NULL ? strchr(third + 1, '.') : NULL;
    bool ok = third != NULL && vtd->reserved_count < VTD_RESERVED_MAX;
    if (ok) {
        *second++ = '\0';
        *third++ = '\0';
        if (dot != NULL) {
            *dot++ = '\0';
        }
        ok = options_parse_number(text, &base) && options_parse_number(second, &limit) && options_parse_number(third, &slot) &&
             (dot == NULL || options_parse_number(dot, &function));
    }
    if (!ok || slot > 31 || function > 7 || (base & PAGE_MASK) != 0 || (limit & PAGE_MASK) != PAGE_MASK || limit < base) {
        return error_set(err, EXIT_STATUS_USAGE,
                         "--device intel-iommu,x-rmrr: BASE:LIMIT:SLOT[.FUNCTION] of whole pages is wanted, %u times at most",
                         VTD_RESERVED_MAX);
    }
    vtd->reserved[vtd->reserved_count++] =
        (struct vtd_reserved){.base = base, .limit = limit, .devfn = (u8)(slot << 3 | function)};
    return true;
}

static bool vtd_property(struct vtd_options *vtd, const char *key, const char *value,
                           struct error *err)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"intremap", &vtd->intremap},
                 {"eim", &vtd->eim},
                 {"caching-mode", &vtd->caching_mode},
                 {"snoop-control", &vtd->snoop_control},
                 {"x-flts", &vtd->first_level},
                 {"x-pass-through", &vtd->pass_through},
                 {"x-posted", &vtd->posted},
                 {"x-verify-ioapic", &vtd->verify_ioapic}};
    if (is_common(key) || (value != NULL && strcmp(value, "auto") == 0)) {
        return true;
    }
    for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
        if (strcmp(key, flags[i].name) == 0) {
            return options_on_off(key, value, flags[i].flag, err);
        }
    }
    if (strcmp(key, "aw-bits") == 0 || strcmp(key, "x-aw-bits") == 0) {
        u64 bits = 0;
        if (!options_parse_number(value != NULL ? value : "", &bits) || (bits != 39 && bits != 48)) {
            return error_set(err, EXIT_STATUS_USAGE, "--device intel-iommu,aw-bits: 39 or 48 is wanted");
        }
        vtd->aw_bits = (unsigned)bits;
        return true;
    }
    if (strcmp(key, "x-scalable-mode") == 0) {
        return scalable_mode(vtd, value, err);
    }
    if (strcmp(key, "x-rmrr") == 0) {
        return reserved_region(vtd, value, err);
    }
    return error_set(err, EXIT_STATUS_USAGE,
                     "--device intel-iommu: no property '%s'; intremap, eim, caching-mode, aw-bits, "
                     "snoop-control, x-scalable-mode, x-flts, x-pass-through, x-posted, x-rmrr and "
                     "x-verify-ioapic are known", key);
}

static bool add_intel_iommu(struct run_options *o, char *text, struct error *err)
{
    char *key;
    char *value;
    o->machine.iommu = IOMMU_INTEL;
    while (options_next_property(&text, &key, &value)) {
        if (!vtd_property(&o->machine.vtd, key, value, err)) {
            return false;
        }
    }
    return true;
}

/* dma-remap, pt and device-iotlb are QEMU's; translation always is, passing through too, and there are
 * no device TLBs. */
static bool amdvi_property(struct amdvi_options *amdvi, const char *key, const char *value,
                           struct error *err)
{
    bool unused;
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"intremap", &amdvi->intremap},
                 {"xtsup", &amdvi->xtsup},
                 {"dma-remap", &unused},
                 {"pt", &unused},
                 {"x-ga", &amdvi->ga},
                 {"x-guest-apic", &amdvi->guest_apic},
                 {"x-guest-tables", &amdvi->guest_tables},
                 {"x-gio", &amdvi->gio},
                 {"x-ppr", &amdvi->ppr},
                 {"x-np-cache", &amdvi->np_cache}};
    if (is_common(key) || (value != NULL && strcmp(value, "auto") == 0)) {
        return true;
    }
    for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
        if (strcmp(key, flags[i].name) == 0) {
            return options_on_off(key, value, flags[i].flag, err);
        }
    }
    if (strcmp(key, "x-levels") == 0) {
        u64 levels = 0;
        if (!options_parse_number(value != NULL ? value : "", &levels) || levels < 4 || levels > 6) {
            return error_set(err, EXIT_STATUS_USAGE, "--device amd-iommu,x-levels: 4, 5 or 6 is wanted");
        }
        amdvi->host_levels = (unsigned)levels;
        return true;
    }
    return error_set(err, EXIT_STATUS_USAGE,
                     "--device amd-iommu: no property '%s'; intremap, xtsup, dma-remap, pt, x-ga, "
                     "x-guest-apic, x-guest-tables, x-gio, x-ppr, x-np-cache and x-levels are known",
                     key);
}

static bool add_amd_iommu(struct run_options *o, char *text, struct error *err)
{
    char *key;
    char *value;
    o->machine.iommu = IOMMU_AMD;
    while (options_next_property(&text, &key, &value)) {
        if (!amdvi_property(&o->machine.amdvi, key, value, err)) {
            return false;
        }
    }
    return true;
}

/* The one port it has is its console, with or without a virtconsole. */
static bool add_virtio_serial(struct run_options *o, char *text, struct error *err)
{
    char *key;
    char *value;
    o->machine.virtio_console = true;
    while (options_next_property(&text, &key, &value)) {
        if (strcmp(key, "iommu_platform") == 0) {
            if (!options_on_off(key, value, &o->machine.virtio_access_platform, err)) {
                return false;
            }
        } else if (!is_common(key) && strcmp(key, "max_ports") != 0 && strcmp(key, "vectors") != 0) {
            return error_set(err, EXIT_STATUS_USAGE,
                             "--device virtio-serial-pci: no property '%s'; iommu_platform is known", key);
        }
    }
    return true;
}

static bool add_virtconsole(struct run_options *o, char *text, struct error *err)
{
    const char *id = NULL;
    char *key;
    char *value;
    while (options_next_property(&text, &key, &value)) {
        if (strcmp(key, "chardev") == 0 && value != NULL) {
            id = value;
        } else if (!is_common(key) && strcmp(key, "name") != 0 && strcmp(key, "nr") != 0) {
            return error_set(err, EXIT_STATUS_USAGE, "--device virtconsole: no property '%s'; chardev is known", key);
        }
    }
    if (!o->machine.virtio_console) {
        return error_set(err, EXIT_STATUS_USAGE,
                         "--device virtconsole: its bus comes first: --device virtio-serial-pci");
    }
    for (unsigned i = 0; i < o->chardev_use_count; i++) {
        if (o->chardev_uses[i].by == CHARDEV_USE_VIRTCON) {
            return error_set(err, EXIT_STATUS_USAGE, "--device virtconsole: there is one virtio console only");
        }
    }
    return id == NULL || use_chardev(o, id, CHARDEV_USE_VIRTCON, 0, err);
}

static const struct device_row devices[] = {
#define DEVICE(name, bus, add, help) {name, bus, add, help},
#include "debugger/device.def"
#undef DEVICE
};

bool opt_device(struct run_options *o, const char *v, struct error *err)
{
    if (strcmp(v, "?") == 0 || strcmp(v, "help") == 0) {
        for (unsigned i = 0; i < ARRAY_LEN(devices); i++) {
            (void)printf("name \"%s\", bus %s, desc \"%s\"\n", devices[i].name, devices[i].bus,
                         devices[i].help);
        }
        o->help = true;
        return true;
    }
    char *text = options_keep(o, v);
    char *name;
    char *value;
    (void)options_next_property(&text, &name, &value);
    struct nearest n;
    nearest_init(&n, name);
    for (unsigned i = 0; i < ARRAY_LEN(devices); i++) {
        if (strcmp(name, devices[i].name) == 0) {
            return devices[i].add(o, text, err);
        }
        nearest_offer(&n, devices[i].name);
    }
    return options_unknown("--device: no such device", &n, "`-device ?` lists them", err);
}
