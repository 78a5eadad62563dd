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
    return parse_console("serial", v, &o->machine.serial[o->machine.serial_count++], err);
}

bool opt_debugcon(struct run_options *o, const char *v, struct error *err)
{
    return parse_console("debugcon", v, &o->machine.debugcon, err);
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
    return error_set(err, EXIT_STATUS_USAGE,
                     "--device intel-iommu: no property '%s'; intremap, eim, caching-mode, aw-bits, "
                     "snoop-control, x-scalable-mode, x-flts, x-pass-through, x-posted and "
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
