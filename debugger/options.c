/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Machine options from the command line. Every option is a row of options.def. */
#define _GNU_SOURCE /* strptime, timegm */
#include "debugger/cli.h"

#include "base/bits.h"
#include "base/nearest.h"
#include "machine/network.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef bool option_fn(struct run_options *o, const char *value, struct error *err);

struct option_row {
    const char *names;
    const char *arg;
    option_fn *handler;
    const char *help;
};

#define OPTION(names, arg, handler, help) static option_fn handler;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include "debugger/options.def"
#pragma GCC diagnostic pop
#undef OPTION

static const struct option_row rows[] = {
#define OPTION(names, arg, handler, help) {names, arg, handler, help},
#include "debugger/options.def"
#undef OPTION
};

/* Blocks are chained by a pointer in front; what follows is aligned for anything. */
#define SCRATCH_HEAD 16u

void *options_keep_room(struct run_options *o, size_t size)
{
    char *block = calloc(1, SCRATCH_HEAD + size);
    if (block == NULL) {
        abort();
    }
    memcpy(block, &o->scratch, sizeof(char *));
    o->scratch = block;
    return block + SCRATCH_HEAD;
}

char *options_keep(struct run_options *o, const char *text)
{
    size_t len = strlen(text) + 1;
    return memcpy(options_keep_room(o, len), text, len);
}

static char *keep(struct run_options *o, const char *text)
{
    return options_keep(o, text);
}

static bool parse_number(const char *text, u64 *value)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    if (end == text || errno != 0 || text[0] == '-') {
        return false;
    }
    *value = v;
    return *end == '\0';
}

static bool parse_size(const char *text, u64 *bytes)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end == text || errno != 0 || !(v > 0)) {
        return false;
    }
    u64 unit = MIB(1);
    switch (toupper((unsigned char)*end)) {
    case 'K': unit = KIB(1); end++; break;
    case 'M': unit = MIB(1); end++; break;
    case 'G': unit = GIB(1); end++; break;
    case 'T': unit = GIB(1024); end++; break;
    case 'B': unit = 1; end++; break;
    case '\0': break;
    default: return false;
    }
    if (*end != '\0' || v * (double)unit > 1e15) {
        return false;
    }
    *bytes = (u64)(v * (double)unit);
    return true;
}

static bool number_option(const char *name, const char *value, u64 min, u64 max, u64 *out,
                          struct error *err)
{
    if (!parse_number(value, out) || *out < min || *out > max) {
        return error_set(err, EXIT_STATUS_USAGE, "--%s %s: a number from %llu to %llu is wanted", name,
                         value, (unsigned long long)min, (unsigned long long)max);
    }
    return true;
}

static bool opt_cpu(struct run_options *o, const char *v, struct error *err)
{
    return cpu_model_parse(&o->machine.model, v, err);
}

static bool opt_smp(struct run_options *o, const char *v, struct error *err)
{
    char first[16];
    const char *text = strncmp(v, "cpus=", 5) == 0 ? v + 5 : v;
    size_t len = strcspn(text, ",");
    if (len >= sizeof first) {
        return error_set(err, EXIT_STATUS_USAGE, "--smp %s: a number from 1 to %d is wanted", v, CPU_MAX);
    }
    memcpy(first, text, len);
    first[len] = '\0';
    u64 n = 0;
    if (!number_option("smp", first, 1, CPU_MAX, &n, err)) {
        return false;
    }
    o->machine.cpus = (unsigned)n;
    return true;
}

static bool opt_memory(struct run_options *o, const char *v, struct error *err)
{
    const char *text = strncmp(v, "size=", 5) == 0 ? v + 5 : v;
    u64 bytes;
    if (!parse_size(text, &bytes) || bytes < MIB(1) || bytes > GIB(512)) {
        return error_set(err, EXIT_STATUS_USAGE, "--memory %s: a size from 1M to 512G is wanted", v);
    }
    o->machine.ram_bytes = align_up(bytes, MIB(1)); /* the host bridge counts in MiB */
    return true;
}

static bool opt_kernel(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->machine.kernel = v;
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
static bool opt_initrd(struct run_options *o, const char *v, struct error *err)
{
    o->machine.module_count = 0;
    FILE *whole = fopen(v, "rb");
    if (whole != NULL) {
        (void)fclose(whole);
        return add_module(o, v, NULL, err);
    }
    char *text = keep(o, v);
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

static bool opt_module(struct run_options *o, const char *v, struct error *err)
{
    char *text = keep(o, v);
    char *comma = strchr(text, ',');
    if (comma != NULL) {
        *comma = '\0';
    }
    return add_module(o, text, comma != NULL ? comma + 1 : NULL, err);
}

static bool opt_append(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->machine.append = v;
    return true;
}

static bool opt_firmware(struct run_options *o, const char *v, struct error *err)
{
    if (strcmp(v, "ovmf") == 0) {
        return error_set(err, EXIT_STATUS_USAGE, "--firmware ovmf is not supported yet; use seabios");
    }
    o->machine.firmware = strcmp(v, "seabios") == 0 ? "/usr/share/seabios/bios-256k.bin" : v;
    return true;
}

static bool opt_drive(struct run_options *o, const char *v, struct error *err)
{
    return options_parse_drive(o, v, err);
}

static bool opt_cdrom(struct run_options *o, const char *v, struct error *err)
{
    return options_add_drive(o, (struct drive_config){.interface = DRIVE_CDROM, .path = v}, err);
}

static bool opt_hda(struct run_options *o, const char *v, struct error *err)
{
    return options_add_drive(o, (struct drive_config){.interface = DRIVE_AHCI, .path = v}, err);
}

static bool opt_boot_protocol(struct run_options *o, const char *v, struct error *err)
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

static bool opt_boot(struct run_options *o, const char *v, struct error *err)
{
    char *text = keep(o, strncmp(v, "order=", 6) == 0 ? v + 6 : v);
    text[strcspn(text, ",")] = '\0';
    if (text[0] == '\0' || strspn(text, "acdn") != strlen(text)) {
        return error_set(err, EXIT_STATUS_USAGE, "--boot %s: letters c (disks) and d (CD-ROMs) are wanted", v);
    }
    o->machine.boot_order = text;
    return true;
}

static bool opt_nic(struct run_options *o, const char *v, struct error *err)
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

static bool opt_serial(struct run_options *o, const char *v, struct error *err)
{
    if (o->machine.serial_count == MACHINE_MAX_SERIAL) {
        return error_set(err, EXIT_STATUS_USAGE, "more than %d serial ports", MACHINE_MAX_SERIAL);
    }
    return parse_console("serial", v, &o->machine.serial[o->machine.serial_count++], err);
}

static bool opt_debugcon(struct run_options *o, const char *v, struct error *err)
{
    return parse_console("debugcon", v, &o->machine.debugcon, err);
}

/* Of QEMU's global properties these mean something here: isa-debugcon.iobase, and iommu_platform of any
 * virtio device, which is one switch for all of them. */
static bool opt_global(struct run_options *o, const char *v, struct error *err)
{
    static const char name[] = "isa-debugcon.iobase=";
    u64 port = 0;
    const char *platform = strstr(v, ".iommu_platform=");
    if (strncmp(v, "virtio", 6) == 0 && platform != NULL) {
        return options_parse_on_off("iommu_platform", strchr(platform, '=') + 1,
                                    &o->machine.virtio_access_platform, err);
    }
    if (strncmp(v, name, sizeof name - 1) != 0) {
        return true;
    }
    if (!number_option("global isa-debugcon.iobase", v + sizeof name - 1, 1, 0xffff, &port, err)) {
        return false;
    }
    o->machine.debugcon_port = (u16)port;
    return true;
}

static bool opt_device(struct run_options *o, const char *v, struct error *err)
{
    return options_parse_device(o, v, err);
}

static bool opt_script(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->script = v;
    o->host_side = true; /* a recording keeps its text */
    return true;
}

static bool opt_record(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->record = v;
    o->host_side = true;
    return true;
}

static bool opt_trace(struct run_options *o, const char *v, struct error *err)
{
    u32 classes;
    o->host_side = true;
    if (!trace_parse_classes(v, &classes)) {
        return error_set(err, EXIT_STATUS_USAGE, "--trace %s: unknown class; known are "
                         "input,mark,console,cpu,int,cr,msr,io,all", v);
    }
    o->trace_classes |= classes;
    return true;
}

static bool opt_epoch(struct run_options *o, const char *v, struct error *err)
{
    o->host_side = true;
    return number_option("epoch", v, 1000, INT64_MAX, &o->machine.epoch, err);
}

static bool opt_stop_on(struct run_options *o, const char *v, struct error *err)
{
    if (v[0] == '\0') {
        return error_set(err, EXIT_STATUS_USAGE, "--stop-on: the text is empty");
    }
    o->machine.stop_on = v;
    return true;
}

static bool opt_max_instructions(struct run_options *o, const char *v, struct error *err)
{
    return number_option("max-instructions", v, 1, INT64_MAX, &o->machine.max_instructions, err);
}

static bool opt_hash(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->host_side = true;
    o->hash = true;
    return true;
}

static bool opt_log(struct run_options *o, const char *v, struct error *err)
{
    u32 classes;
    if (!log_parse_classes(v, &classes)) {
        return error_set(err, EXIT_STATUS_USAGE, "--log %s: unknown class; known are "
                         "guest_errors,unimp,int,cpu,device,vmx,svm,exec,jit,all", v);
    }
    o->host_side = true;
    o->log_classes |= classes;
    return true;
}

static bool opt_log_file(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(err);
    o->host_side = true;
    o->log_file = v;
    return true;
}

static bool opt_strict(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->strict = true;
    return true;
}

static bool opt_no_reboot(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->machine.no_reboot = true;
    return true;
}

static bool opt_seed(struct run_options *o, const char *v, struct error *err)
{
    return number_option("seed", v, 0, UINT64_MAX, &o->machine.seed, err);
}

static bool opt_quantum(struct run_options *o, const char *v, struct error *err)
{
    return number_option("quantum", v, 1, 1000000000u, &o->machine.quantum, err);
}

static bool opt_ips(struct run_options *o, const char *v, struct error *err)
{
    return number_option("ips", v, 1000000u, 1000000000000u, &o->machine.ips, err);
}

static bool opt_tsc_hz(struct run_options *o, const char *v, struct error *err)
{
    return number_option("tsc-hz", v, 1000000u, 100000000000u, &o->machine.tsc_hz, err);
}

static bool opt_rtc_base(struct run_options *o, const char *v, struct error *err)
{
    u64 seconds;
    if (parse_number(v, &seconds) && seconds < (u64)1 << 40) {
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

static bool opt_pace(struct run_options *o, const char *v, struct error *err)
{
    if (strcmp(v, "host") != 0 && strcmp(v, "none") != 0) {
        return error_set(err, EXIT_STATUS_USAGE, "--pace %s: host or none is wanted", v);
    }
    o->host_side = true;
    o->pace = strcmp(v, "host") == 0 ? PACE_HOST : PACE_NONE;
    return true;
}

static bool opt_tlb_entries(struct run_options *o, const char *v, struct error *err)
{
    o->host_side = true;
    if (!number_option("tlb-entries", v, 2, 1024, &o->machine.tlb_entries, err)) {
        return false;
    }
    return is_power_of_2(o->machine.tlb_entries) ||
           error_set(err, EXIT_STATUS_USAGE, "--tlb-entries %s: a power of two is wanted", v);
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
        return options_parse_on_off(name, value, &o->machine.pit, err);
    }
    if (strcmp(name, "hpet") == 0) {
        return options_parse_on_off(name, value, &o->machine.hpet, err);
    }
    if (strcmp(name, "type") == 0) {
        return machine_type(value, err);
    }
    if (strcmp(name, "pic") == 0) {
        return options_parse_on_off(name, value, &on, err) &&
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
    const char *near = nearest_result(&n);
    return error_set(err, EXIT_STATUS_USAGE, "--machine: no property is called '%s'%s%s", name,
                     near != NULL ? "; did you mean " : "", near != NULL ? near : "");
}

static bool opt_machine(struct run_options *o, const char *v, struct error *err)
{
    for (char *text = keep(o, v); text != NULL;) {
        char *comma = strchr(text, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        char *equals = strchr(text, '=');
        if (equals != NULL) {
            *equals = '\0';
        }
        bool ok = equals != NULL ? machine_property(o, text, equals + 1, err) : machine_type(text, err);
        if (!ok) {
            return false;
        }
        text = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

static bool opt_nographic(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(o);
    UNUSED(v);
    UNUSED(err);
    return true;
}

static bool opt_nodefaults(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->default_devices = false;
    return true;
}

static bool opt_no_hpet(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->machine.hpet = false;
    return true;
}

static bool opt_help(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(v);
    UNUSED(err);
    o->help = true;
    options_help(stdout);
    return true;
}

static bool opt_ignored(struct run_options *o, const char *v, struct error *err)
{
    UNUSED(o);
    UNUSED(v);
    UNUSED(err);
    return true;
}

static bool opt_ignored_arg(struct run_options *o, const char *v, struct error *err)
{
    return opt_ignored(o, v, err);
}

void options_help(FILE *out)
{
    (void)fprintf(out, "usage: vitrine run [options]\n"
                       "Boot a machine. Options are spelled as QEMU spells them, with one dash or two.\n\n");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].help != NULL) {
            char left[120];
            (void)snprintf(left, sizeof left, "--%s%s%s", rows[i].names, rows[i].arg != NULL ? " " : "",
                           rows[i].arg != NULL ? rows[i].arg : "");
            (void)fprintf(out, strlen(left) > 28 ? "  %s\n%32s%s\n" : "  %-30s%s%s\n", left, "",
                          rows[i].help);
        }
    }
    (void)fprintf(out, "\nAccepted for QEMU's sake, without meaning here:");
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].help == NULL) {
            (void)fprintf(out, " -%s", rows[i].names);
        }
    }
    (void)fprintf(out, "\n");
}

static const struct option_row *find_row(const char *name)
{
    size_t len = strlen(name);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        const char *names = rows[i].names;
        while (*names != '\0') {
            size_t n = strcspn(names, "|");
            if (n == len && strncmp(names, name, n) == 0) {
                return &rows[i];
            }
            names += n + (names[n] == '|' ? 1 : 0);
        }
    }
    return NULL;
}

void options_init(struct run_options *o, bool as_qemu)
{
    struct error ignored = {0};
    memset(o, 0, sizeof *o);
    machine_config_init(&o->machine);
    (void)cpu_model_parse(&o->machine.model, "intel", &ignored);
    o->as_qemu = as_qemu;
    o->default_devices = true;
}

void options_free(struct run_options *o)
{
    while (o->scratch != NULL) {
        char *next;
        memcpy(&next, o->scratch, sizeof next);
        free(o->scratch);
        o->scratch = next;
    }
    free(o->script_text);
    o->script_text = NULL;
}

static bool unknown_option(struct run_options *o, const char *name, const char *typed, struct error *err)
{
    struct nearest n;
    nearest_init(&n, name);
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char *names = keep(o, rows[i].names);
        for (char *one = strtok(names, "|"); one != NULL; one = strtok(NULL, "|")) {
            nearest_offer(&n, one);
        }
    }
    const char *near = nearest_result(&n);
    return error_set(err, EXIT_STATUS_USAGE, "unknown option %s%s%s%s", typed,
                     near != NULL ? "; did you mean --" : "", near != NULL ? near : "",
                     near != NULL ? "?" : "; --help lists them");
}

static bool note_given(struct run_options *o, const struct option_row *row, const char *value,
                       struct error *err)
{
    char *name = keep(o, row->names);
    name[strcspn(name, "|")] = '\0';
    if (o->host_side_only) {
        return error_set(err, EXIT_STATUS_USAGE, "--%s: a replay takes this from its recording", name);
    }
    if (o->given_count == MAX_GIVEN_OPTIONS) {
        return error_set(err, EXIT_STATUS_USAGE, "more than %d options", MAX_GIVEN_OPTIONS);
    }
    o->given[o->given_count++] = (struct given_option){.name = name, .value = value};
    return true;
}

bool options_parse(struct run_options *o, int argc, char **argv, struct error *err)
{
    for (int i = 0; i < argc && !o->help; i++) {
        const char *name = argv[i];
        if (name[0] != '-' || name[1] == '\0') {
            return error_set(err, EXIT_STATUS_USAGE, "%s: options start with a dash; --help lists them", name);
        }
        name += name[1] == '-' ? 2 : 1;
        const struct option_row *row = find_row(name);
        if (row == NULL) {
            return unknown_option(o, name, argv[i], err);
        }
        const char *value = NULL;
        if (row->arg != NULL) {
            if (i + 1 >= argc) {
                return error_set(err, EXIT_STATUS_USAGE, "--%s wants an argument: %s", name, row->arg);
            }
            value = argv[++i];
        }
        o->host_side = false;
        if (!row->handler(o, value, err)) {
            return false;
        }
        if (!o->host_side && !note_given(o, row, value, err)) {
            return false;
        }
    }
    if (o->machine.serial_count == 0 && (o->default_devices || o->as_qemu)) {
        o->machine.serial[o->machine.serial_count++].kind = CONSOLE_STDIO;
    }
    if (!o->help && o->machine.kernel == NULL && o->machine.firmware == NULL) {
        o->machine.firmware = "/usr/share/seabios/bios-256k.bin";
    }
    return true;
}
