/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options that say what the machine is and what it boots. */
#define _GNU_SOURCE /* strptime, timegm */
#include "debugger/options_priv.h"

#include "base/bits.h"
#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool opt_cpu(struct run_options *o, const char *v, struct error *err)
{
    if (strcmp(v, "help") == 0 || strcmp(v, "?") == 0) {
        cpu_model_list(stdout);
        o->help = true;
        return true;
    }
    return cpu_model_parse(&o->machine.model, v, err);
}

bool opt_memory(struct run_options *o, const char *v, struct error *err)
{
    const char *text = strncmp(v, "size=", 5) == 0 ? v + 5 : v;
    u64 bytes;
    if (!options_parse_size(text, &bytes) || bytes < MIB(16) || bytes > GIB(512)) {
        return error_set(err, EXIT_STATUS_USAGE, "--memory %s: a size from 16M to 512G is wanted", v);
    }
    o->machine.ram_bytes = align_up(bytes, MIB(1)); /* the host bridge counts in MiB */
    return true;
}

bool opt_kernel(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->machine.kernel = v;
    return true;
}

/* "N" or "cpus=N", and how they are arranged; without cpus= the arrangement says how many. What a processor
 * is told of the arrangement is the model's matter: it has to fit, no more. */
bool opt_smp(struct run_options *o, const char *v, struct error *err)
{
    static const char *const keys[] = {"cpus", "sockets", "dies", "clusters", "modules", "cores", "threads",
                                       "maxcpus"};
    u64 n[ARRAY_LEN(keys)] = {0};
    char *text = options_keep(o, v);
    char *key;
    char *value;
    for (bool first = true; options_next_property(&text, &key, &value); first = false) {
        unsigned k = 0;
        if (value == NULL && first) {
            value = key;
        } else {
            while (k < ARRAY_LEN(keys) && strcmp(key, keys[k]) != 0) {
                k++;
            }
            if (k == ARRAY_LEN(keys) || value == NULL) {
                return error_set(err, EXIT_STATUS_USAGE,
                                 "--smp %s: N[,sockets=N][,cores=N][,threads=N] is wanted, not '%s'", v, key);
            }
        }
        if (!options_number("smp", value, 1, CPU_MAX, &n[k], err)) {
            return false;
        }
    }
    u64 product = 1;
    bool arranged = false;
    for (unsigned k = 1; k + 1 < ARRAY_LEN(keys); k++) {
        product *= n[k] != 0 ? n[k] : 1;
        arranged = arranged || n[k] != 0;
    }
    u64 cpus = n[0] != 0 ? n[0] : product;
    if (cpus > CPU_MAX || (n[7] != 0 && n[7] < cpus) || (arranged && cpus % product != 0)) {
        return error_set(err, EXIT_STATUS_USAGE, "--smp %s: %llu processors cannot be arranged so", v,
                         (unsigned long long)cpus);
    }
    o->machine.cpus = (unsigned)cpus;
    return true;
}

static bool add_module(struct run_options *o, const char *path, const char *args, struct error *err)
{
    if (o->machine.module_count == MACHINE_MAX_MODULES) {
        return error_set(err, EXIT_STATUS_USAGE, "more than %d modules", MACHINE_MAX_MODULES);
    }
    o->machine.modules[o->machine.module_count++] = (struct module_config){.path = path, .args = args};
    return true;
}

/* QEMU's form: "A args,B args"; a file whose name has a comma or blank is meant as a whole if it exists. */
bool opt_initrd(struct run_options *o, const char *v, struct error *err)
{
    if (o->modules_given) {
        return error_set(err, EXIT_STATUS_USAGE, "--initrd %s: give it before --module, it is the first of them", v);
    }
    o->machine.module_count = 0; /* the last one counts */
    FILE *whole = fopen(v, "rb");
    if (whole != NULL) {
        (void)fclose(whole);
        return add_module(o, v, NULL, err);
    }
    char *text = options_keep(o, v);
    while (text != NULL) {
        char *comma = strchr(text, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        char *blank = strchr(text, ' ');
        if (blank != NULL) {
            *blank = '\0';
        }
        if (!add_module(o, text, blank != NULL ? blank + 1 : NULL, err)) {
            return false;
        }
        text = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

bool opt_module(struct run_options *o, const char *v, struct error *err)
{
    char *text = options_keep(o, v);
    char *comma = strchr(text, ',');
    o->modules_given = true;
    if (comma != NULL) {
        *comma = '\0';
    }
    return add_module(o, text, comma != NULL ? comma + 1 : NULL, err);
}

bool opt_append(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->machine.append = v;
    return true;
}

bool opt_firmware(struct run_options *o, const char *v, struct error *err)
{
    if (strcmp(v, "ovmf") == 0) {
        return error_set(err, EXIT_STATUS_USAGE, "--firmware ovmf is not supported yet; use seabios");
    }
    o->machine.firmware = strcmp(v, "seabios") == 0 ? "/usr/share/seabios/bios-256k.bin" : v;
    return true;
}

bool opt_boot_protocol(struct run_options *o, const char *v, struct error *err)
{
    static const char *const names[] = {
        [BOOT_AUTO] = "auto", [BOOT_LINUX64] = "linux64", [BOOT_LINUX32] = "linux32", [BOOT_PVH] = "pvh"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(v, names[i]) == 0) {
            o->machine.boot_protocol = (enum boot_protocol)i;
            return true;
        }
    }
    return error_set(err, EXIT_STATUS_USAGE, "--boot-protocol %s: auto, linux64, linux32 or pvh is wanted", v);
}

bool opt_boot(struct run_options *o, const char *v, struct error *err)
{
    char *text = options_keep(o, strncmp(v, "order=", 6) == 0 ? v + 6 : v);
    text[strcspn(text, ",")] = '\0';
    if (text[0] == '\0' || strspn(text, "acdn") != strlen(text)) {
        return error_set(err, EXIT_STATUS_USAGE, "--boot %s: letters c (disks) and d (CD-ROMs) are wanted", v);
    }
    o->machine.boot_order = text;
    return true;
}

bool opt_no_reboot(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->machine.no_reboot = true;
    return true;
}

bool opt_seed(struct run_options *o, const char *v, struct error *err)
{
    return options_number("seed", v, 0, UINT64_MAX, &o->machine.seed, err);
}

bool opt_quantum(struct run_options *o, const char *v, struct error *err)
{
    return options_number("quantum", v, 1, 1000000000u, &o->machine.quantum, err);
}

bool opt_ips(struct run_options *o, const char *v, struct error *err)
{
    return options_number("ips", v, 1000000u, 1000000000000u, &o->machine.ips, err);
}

bool opt_tsc_hz(struct run_options *o, const char *v, struct error *err)
{
    return options_number("tsc-hz", v, 1000000u, 100000000000u, &o->machine.tsc_hz, err);
}

bool opt_rtc_base(struct run_options *o, const char *v, struct error *err)
{
    u64 seconds;
    if (options_parse_number(v, &seconds) && seconds < (u64)1 << 40) {
        o->machine.rtc_base = (i64)seconds;
        return true;
    }
    struct tm tm;
    memset(&tm, 0, sizeof tm);
    const char *end = strptime(v, "%Y-%m-%d", &tm);
    if (end != NULL && (*end == 'T' || *end == ' ')) {
        end = strptime(end + 1, "%H:%M:%S", &tm);
    }
    if (end == NULL || *end != '\0') {
        return error_set(err, EXIT_STATUS_USAGE, "--rtc-base %s: YYYY-MM-DD[THH:MM:SS] is wanted", v);
    }
    o->machine.rtc_base = (i64)timegm(&tm);
    return true;
}

static bool machine_type(const char *v, struct error *err)
{
    static const char *const boards[] = {"q35", "pc", "pc-q35", "pc-i440fx"};
    for (unsigned i = 0; i < ARRAY_LEN(boards); i++) {
        size_t len = strlen(boards[i]);
        if (strncmp(v, boards[i], len) == 0 && (v[len] == '\0' || v[len] == '-')) {
            return true;
        }
    }
    return error_set(err, EXIT_STATUS_USAGE, "--machine %s: q35 is the only board", v);
}

/* Properties of QEMU's boards. What is not acted on has no meaning here, or is what the board does anyway. */
static bool machine_property(struct run_options *o, const char *name, const char *value, struct error *err)
{
    static const char *const accepted[] = {"accel", "kernel_irqchip", "kernel-irqchip", "vmport", "smm", "usb", "graphics",
                                           "i8042", "smbus", "sata", "acpi", "nvdimm", "mem-merge", "dump-guest-core",
                                           "memory-backend", "default-bus-bypass-iommu", "hmat", "suppress-vmdesc"};
    bool on = true;
    if (strcmp(name, "pit") == 0) {
        return options_on_off(name, value, &o->machine.pit, err);
    }
    if (strcmp(name, "hpet") == 0) {
        return options_on_off(name, value, &o->machine.hpet, err);
    }
    if (strcmp(name, "type") == 0) {
        return machine_type(value, err);
    }
    if (strcmp(name, "pic") == 0) {
        return options_on_off(name, value, &on, err) &&
               (on || error_set(err, EXIT_STATUS_USAGE, "--machine pic=off: the board always has its 8259 pair"));
    }
    for (unsigned i = 0; i < ARRAY_LEN(accepted); i++) {
        if (strcmp(name, accepted[i]) == 0) {
            return true;
        }
    }
    struct nearest n;
    nearest_init(&n, name);
    for (unsigned i = 0; i < ARRAY_LEN(accepted); i++) {
        nearest_offer(&n, accepted[i]);
    }
    return options_unknown("--machine: no property is called", &n, "QEMU's properties of q35 are accepted", err);
}

bool opt_machine(struct run_options *o, const char *v, struct error *err)
{
    char *text = options_keep(o, v);
    char *key;
    char *value;
    if (strcmp(v, "help") == 0 || strcmp(v, "?") == 0) {
        (void)printf("Supported machines are:\nq35                  PC with ICH9 (the only board)\n");
        o->help = true;
        return true;
    }
    while (options_next_property(&text, &key, &value)) {
        if (!(value != NULL ? machine_property(o, key, value, err) : machine_type(key, err))) {
            return false;
        }
    }
    return true;
}

bool opt_no_hpet(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->machine.hpet = false;
    return true;
}
