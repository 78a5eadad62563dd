/* SPDX-License-Identifier: GPL-3.0-or-later */
/* --device NAME[,property=value...] */
#include "debugger/cli.h"

#include "base/bits.h"
#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>

/* QEMU's properties of intel-iommu. x-scalable-mode knows QEMU's older names of what is in it too. */
static bool iommu_property(struct run_options *o, const char *key, const char *value, struct error *err)
{
    struct vtd_options *vtd = &o->machine.vtd;
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"intremap", &vtd->intremap},        {"eim", &vtd->eim},
                 {"caching-mode", &vtd->caching_mode}, {"snoop-control", &vtd->snoop_control},
                 {"x-pass-through", &vtd->pass_through}, {"x-posted", &vtd->posted},
                 {"x-flts", &vtd->first_level},        {"x-verify-ioapic", &vtd->verify_ioapic}};
    if (strcmp(value, "auto") == 0) {
        return true;
    }
    for (unsigned i = 0; i < ARRAY_LEN(flags); i++) {
        if (strcmp(key, flags[i].name) == 0) {
            return options_parse_on_off(key, value, flags[i].flag, err);
        }
    }
    if (strcmp(key, "aw-bits") == 0 || strcmp(key, "x-aw-bits") == 0) {
        unsigned long bits = strtoul(value, NULL, 0);
        vtd->aw_bits = (unsigned)bits;
        return bits == 39 || bits == 48 ||
               error_set(err, EXIT_STATUS_USAGE, "intel-iommu: aw-bits=%s: 39 or 48 is wanted", value);
    }
    if (strcmp(key, "x-scalable-mode") == 0 || strcmp(key, "scalable-mode") == 0) {
        bool legacy = strcmp(value, "legacy") == 0;
        bool modern = strcmp(value, "modern") == 0;
        vtd->scalable = legacy || modern;
        if (!legacy && !modern && !options_parse_on_off(key, value, &vtd->scalable, err)) {
            return false;
        }
        vtd->second_level = !modern;
        vtd->first_level = vtd->first_level || !legacy;
        return true;
    }
    return strcmp(key, "id") == 0 || strcmp(key, "version") == 0 || strcmp(key, "device-iotlb") == 0 ||
           strcmp(key, "dma-drain") == 0 || strcmp(key, "stale-tm") == 0 || strcmp(key, "x-buggy-eim") == 0 ||
           strcmp(key, "dma-translation") == 0 ||
           error_set(err, EXIT_STATUS_USAGE,
                     "intel-iommu: no property is called '%s'; known are intremap, eim, caching-mode, "
                     "aw-bits, snoop-control, x-scalable-mode, x-flts, x-pass-through, x-posted, "
                     "x-verify-ioapic", key);
}

typedef bool property_fn(struct run_options *o, const char *key, const char *value, struct error *err);

static bool each_property(struct run_options *o, const char *list, property_fn *fn, struct error *err)
{
    for (char *text = options_keep(o, list); *text != '\0';) {
        char *next = text + strcspn(text, ",");
        bool more = *next == ',';
        *next = '\0';
        char *value = strchr(text, '=');
        if (value != NULL) {
            *value++ = '\0';
        }
        if (!fn(o, text, value != NULL ? value : "on", err)) {
            return false;
        }
        text = more ? next + 1 : next;
    }
    return true;
}

static bool parse_iommu(struct run_options *o, const char *properties, struct error *err)
{
    o->machine.iommu = true;
    return each_property(o, properties, iommu_property, err);
}

/* One switch for all virtio devices; the rest of QEMU's properties is accepted. */
static bool virtio_property(struct run_options *o, const char *key, const char *value, struct error *err)
{
    return strcmp(key, "iommu_platform") != 0 ||
           options_parse_on_off(key, value, &o->machine.virtio_access_platform, err);
}

static bool virtio_properties(struct run_options *o, const char *properties, struct error *err)
{
    return each_property(o, properties, virtio_property, err);
}

bool options_parse_device(struct run_options *o, const char *v, struct error *err)
{
    static const char *const known[] = {"isa-debug-exit", "pc-testdev", "pci-testdev", "edu",
                                        "virtio-rng-pci", "virtio-serial-pci", "intel-iommu"};
    if (strcmp(v, "?") == 0 || strcmp(v, "help") == 0) {
        for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
            bool pci = i >= 2 && strcmp(known[i], "intel-iommu") != 0;
            (void)printf("name \"%s\", bus %s\n", known[i], pci ? "PCI" : i < 2 ? "ISA" : "System");
        }
        o->help = true;
        return true;
    }
    size_t len = strcspn(v, ",");
    char name[48];
    (void)snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1), v);
    if (strcmp(name, "isa-debug-exit") == 0) {
        const char *base = strstr(v, "iobase=");
        u64 port = base != NULL ? strtoull(base + 7, NULL, 0) : 0x501;
        o->machine.debug_exit = true;
        o->machine.debug_exit_port = (u16)port;
    } else if (strcmp(name, "pc-testdev") == 0) {
        o->machine.pc_testdev = true;
    } else if (strcmp(name, "pci-testdev") == 0) {
        o->machine.pci_testdev = true;
    } else if (strcmp(name, "edu") == 0) {
        o->machine.edu = true;
    } else if (strcmp(name, "virtio-rng-pci") == 0) {
        o->machine.virtio_rng = true;
        return virtio_properties(o, v[len] == ',' ? v + len + 1 : "", err);
    } else if (strcmp(name, "virtio-serial-pci") == 0) {
        o->machine.virtio_console = true;
    } else if (strcmp(name, "intel-iommu") == 0) {
        return parse_iommu(o, v[len] == ',' ? v + len + 1 : "", err);
    } else {
        struct nearest n;
        nearest_init(&n, name);
        for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
            nearest_offer(&n, known[i]);
        }
        const char *near = nearest_result(&n);
        return error_set(err, EXIT_STATUS_USAGE, "--device %s: no such device%s%s", name,
                         near != NULL ? "; did you mean " : "; `-device ?` lists them",
                         near != NULL ? near : "");
    }
    return true;
}
