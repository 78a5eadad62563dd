/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CPU models and the --cpu argument.
 *
 * A model is a name, a vendor, a signature and the set that the `models` column of feature.def
 * gives it. Reading the argument: collect what is asked for, decide the vendor, take the model's
 * set, switch off (with everything that depends on it), switch on, then check that nothing lacks
 * what it needs. */
#include "cpu/model.h"

#include "abi/x86/msr.h"
#include "abi/x86/vmx.h"
#include "base/bits.h"
#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>

const struct feature_info feature_table[CPU_FEATURE_COUNT] = {
#define YES true
#define NO false
#define FEATURE(id, name, leaf, sub, reg, bit, vendor, implemented, models, meaning) \
    [CPU_FEATURE_##id] = {name,        leaf,                                         \
                          sub,         FEATURE_##reg,                                \
                          bit,         FEATURE_OF_##vendor,                          \
                          implemented, FEATURE_IN_##models,                          \
                          meaning},
#include "cpu/feature.def"
#undef FEATURE
#undef YES
#undef NO
};

static const struct {
    u16 feature, needs;
} feature_deps[] = {
#define FEATURE_DEP(feature, needs) {CPU_FEATURE_##feature, CPU_FEATURE_##needs},
#include "cpu/feature_dep.def"
#undef FEATURE_DEP
};

static const struct {
    const char *name;
    enum cpu_feature feature;
} feature_aliases[] = {
#define FEATURE(...)
#define FEATURE_ALIAS(name, id) {name, CPU_FEATURE_##id},
#include "cpu/feature.def"
#undef FEATURE
};

/* `follows`: the vendor follows +vmx and +svm. */
static const struct base_model {
    const char *name;
    enum cpu_vendor vendor;
    bool follows;
    u8 phys_bits;
    const char *meaning;
} base_models[] = {
    {"intel", CPU_VENDOR_INTEL, false, 46, "Intel Ice Lake server without AVX-512"},
    {"amd", CPU_VENDOR_AMD, false, 48, "AMD EPYC Milan"},
    {"max", CPU_VENDOR_INTEL, true, 52, "everything that is implemented, of one vendor"},
    {"base", CPU_VENDOR_INTEL, true, 40, "nothing but what is switched on"},
};
enum { MODEL_INTEL, MODEL_AMD, MODEL_MAX, MODEL_BASE };

static const struct {
    const char *pattern, *model, *switches;
} model_aliases[] = {
#define MODEL_ALIAS(pattern, model, switches) {pattern, model, switches},
#include "cpu/model_alias.def"
#undef MODEL_ALIAS
};

/* Signature and brand text by vendor. The brand says what it is; the vendor string has to be the
 * vendor's own, because software decides by it. */
static const struct {
    u32 family, model, stepping;
    const char *brand, *name;
} vendors[] = {
    [CPU_VENDOR_INTEL] = {6, 106, 6, "Vitrine simulated processor (Intel Ice Lake)", "intel"},
    [CPU_VENDOR_AMD] = {0x19, 1, 1, "Vitrine simulated processor (AMD Milan)", "amd"},
};

/* Properties that other emulators know and that change nothing here. */
static const char *const ignored_properties[] = {
    "kvm",
    "migratable",
    "enforce",
    "check",
    "host-phys-bits",
    "host-phys-bits-limit",
    "l3-cache",
    "legacy-cache",
    "host-cache-info",
    "tcg-cpuid",
    "cpuid-0xb",
    "full-cpuid-auto-level",
    "fill-mtrr-mask",
    "vmware-cpuid-freq",
    "lmce",
    "kvm-no-smi-migration",
    "kvm-pv-enforce-cpuid",
    "kvmclock",
    "kvm-nopiodelay",
    "kvm-mmu",
    "kvm-asyncpf",
    "kvm-steal-time",
    "kvm-pv-eoi",
    "kvm-pv-unhalt",
    "kvm-poll-control",
    "kvm-pv-ipi",
    "kvm-pv-sched-yield",
    "kvm-hint-dedicated",
    "kvmclock-stable-bit",
    "hotplugged",
    "start-powered-off",
    "ucode-rev",
    "guest-phys-bits",
    "x-migrate-smi-count",
    "x-hv-max-vps",
    "x-force-features",
    "xen-vapic",
    "min-level",
    "min-xlevel",
    "min-xlevel2",
    "xlevel2",
    "level-func7",
    "tsc-frequency",
};

enum wish { WISH_NONE, WISH_ON, WISH_OFF };

struct request {
    enum wish wish[CPU_FEATURE_COUNT];
    const struct base_model *base, *other; /* other: the same for the other vendor, or NULL */
    const char *alias_switches; /* static text */
    bool vendor_given;
    enum cpu_vendor vendor;
    i64 phys_bits, family, model, stepping, level, xlevel; /* -1: not given */
    bool pmu;
    char brand[49];
};

static void feature_set(struct cpu_model *m, unsigned f, bool on)
{
    u64 bit = BIT(f % 64);
    m->features[f / 64] = on ? m->features[f / 64] | bit : m->features[f / 64] & ~bit;
}

/* "SSE4_1" and "sse4-1" are the same name. */
static bool same_name(const char *a, const char *b)
{
    for (;; a++, b++) {
        char x = *a == '_' ? '-' : *a >= 'A' && *a <= 'Z' ? (char)(*a - 'A' + 'a') : *a;
        char y = *b == '_' ? '-' : *b >= 'A' && *b <= 'Z' ? (char)(*b - 'A' + 'a') : *b;
        if (x != y) {
            return false;
        }
        if (x == '\0') {
            return true;
        }
    }
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool find_feature(const char *name, unsigned *f)
{
    for (unsigned i = 0; i < CPU_FEATURE_COUNT; i++) {
        if (same_name(name, feature_table[i].name)) {
            *f = i;
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(feature_aliases); i++) {
        if (same_name(name, feature_aliases[i].name)) {
            *f = feature_aliases[i].feature;
            return true;
        }
    }
    return false;
}

static bool unknown_feature(const char *name, struct error *err)
{
    struct nearest n;
    nearest_init(&n, name);
    for (unsigned i = 0; i < CPU_FEATURE_COUNT; i++) {
        nearest_offer(&n, feature_table[i].name);
    }
    static const char *const properties[] = {"vendor",   "phys-bits", "model-id", "family", "model",
                                             "stepping", "level",     "xlevel",   "pmu"};
    for (size_t i = 0; i < ARRAY_LEN(properties); i++) {
        nearest_offer(&n, properties[i]);
    }
    const char *best = nearest_result(&n);
    if (best != NULL) {
        return error_set(err, EXIT_STATUS_USAGE,
                         "--cpu: no feature is called '%s'; did you mean '%s'?", name, best);
    }
    return error_set(err, EXIT_STATUS_USAGE,
                     "--cpu: no feature is called '%s' (see: vitrine cpu features)", name);
}

/* The model of ours whose name `text` begins with. */
static const struct base_model *named_model(const char *text)
{
    size_t len = strcspn(text, "/");
    const struct base_model *found = NULL;
    for (size_t k = 0; k < ARRAY_LEN(base_models); k++) {
        if (strlen(base_models[k].name) == len && strncmp(base_models[k].name, text, len) == 0) {
            found = &base_models[k];
        }
    }
    return found;
}

static bool find_model(struct request *r, const char *name, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(base_models); i++) {
        if (same_name(name, base_models[i].name)) {
            r->base = &base_models[i];
            r->alias_switches = "";
            return true;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(model_aliases); i++) {
        char head[64];
        (void)snprintf(head, sizeof head, "%s", name);
        const char *pattern = model_aliases[i].pattern;
        size_t len = strlen(pattern);
        char word[64];
        (void)snprintf(word, sizeof word, "%s", pattern);
        if (pattern[len - 1] == '*') {
            word[len - 1] = '\0';
            head[len - 1] = '\0'; /* no effect when the name is shorter */
        }
        if (same_name(head, word)) {
            r->alias_switches = model_aliases[i].switches;
            const char *second = strchr(model_aliases[i].model, '/');
            r->base = named_model(model_aliases[i].model);
            r->other = second != NULL ? named_model(second + 1) : NULL;
            return true;
        }
    }
    struct nearest n;
    nearest_init(&n, name);
    for (size_t i = 0; i < ARRAY_LEN(base_models); i++) {
        nearest_offer(&n, base_models[i].name);
    }
    for (size_t i = 0; i < ARRAY_LEN(model_aliases); i++) {
        nearest_offer(&n, model_aliases[i].pattern);
    }
    const char *best = nearest_result(&n);
    return error_set(err, EXIT_STATUS_USAGE, "--cpu: no model is called '%s'%s%s%s", name,
                     best != NULL ? "; did you mean '" : " (see: vitrine cpu list)",
                     best != NULL ? best : "", best != NULL ? "'?" : "");
}

static bool parse_switch_value(const char *name, const char *value, bool *on, struct error *err)
{
    static const char *const yes[] = {"on", "yes", "true", "1", "y"};
    static const char *const no[] = {"off", "no", "false", "0", "n"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (same_name(value, yes[i]) || same_name(value, no[i])) {
            *on = same_name(value, yes[i]);
            return true;
        }
    }
    return error_set(err, EXIT_STATUS_USAGE, "--cpu: %s=%s: say on or off", name, value);
}

static bool parse_vendor(struct request *r, const char *value, struct error *err)
{
    bool intel = same_name(value, "intel") || same_name(value, "GenuineIntel");
    if (!intel && !same_name(value, "amd") && !same_name(value, "AuthenticAMD")) {
        return error_set(err, EXIT_STATUS_USAGE, "--cpu: vendor=%s: say intel or amd", value);
    }
    r->vendor_given = true;
    r->vendor = intel ? CPU_VENDOR_INTEL : CPU_VENDOR_AMD;
    return true;
}

/* NAME=VALUE with a number as value; *known is false when NAME is no such property. */
static bool parse_number(struct request *r, const char *name, const char *value, bool *known,
                         struct error *err)
{
    const struct {
        const char *name;
        i64 *where;
        i64 min, max;
    } numbers[] = {
        {"phys-bits", &r->phys_bits, 32, 52}, {"family", &r->family, 0, 0xf + 0xff},
        {"model", &r->model, 0, 0xff},        {"stepping", &r->stepping, 0, 0xf},
        {"level", &r->level, 0, 0x1f},        {"xlevel", &r->xlevel, 0x80000000, 0x80000021},
    };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        if (!same_name(name, numbers[i].name)) {
            continue;
        }
        *known = true;
        char *end = NULL;
        i64 v = (i64)strtoll(value, &end, 0);
        if (same_name(name, "phys-bits") && v == 0 && end != value && *end == '\0') {
            return true; /* QEMU: the default */
        }
        if (end == value || *end != '\0' || v < numbers[i].min || v > numbers[i].max) {
            return error_set(err, EXIT_STATUS_USAGE,
                             "--cpu: %s=%s: a number from %lld to %lld is needed", name, value,
                             (long long)numbers[i].min, (long long)numbers[i].max);
        }
        *numbers[i].where = v;
        return true;
    }
    *known = false;
    return true;
}

static bool set_wish(struct request *r, unsigned f, bool on, struct error *err)
{
    if (r->wish[f] == (on ? WISH_OFF : WISH_ON)) {
        return error_set(err, EXIT_STATUS_USAGE, "--cpu: %s is switched on and off at once", feature_table[f].name);
    }
    r->wish[f] = on ? WISH_ON : WISH_OFF;
    return true;
}

static bool parse_property(struct request *r, const char *name, const char *value,
                           struct error *err)
{
    unsigned f = 0;
    bool on = true;
    bool known = false;
    if (same_name(name, "vendor") && value != NULL) {
        return parse_vendor(r, value, err);
    }
    if (same_name(name, "model-id") && value != NULL) {
        (void)snprintf(r->brand, sizeof r->brand, "%s", value);
        return true;
    }
    if (value != NULL && (!parse_number(r, name, value, &known, err) || known)) {
        return known && err->status == EXIT_STATUS_OK;
    }
    if (same_name(name, "pmu")) {
        return parse_switch_value(name, value != NULL ? value : "on", &r->pmu, err);
    }
    if (find_feature(name, &f)) {
        if (!parse_switch_value(name, value != NULL ? value : "on", &on, err)) {
            return false;
        }
        return set_wish(r, f, on, err);
    }
    if (starts_with(name, "hv-") || starts_with(name, "hv_")) {
        return error_set(err, EXIT_STATUS_USAGE,
                         "--cpu: %s: Hyper-V interfaces come from the hypervisor that runs on the "
                         "machine, the processor itself has none",
                         name);
    }
    if (starts_with(name, "vmx-")) {
        if (value != NULL && parse_switch_value(name, value, &on, err) && !on) {
            return true;
        }
        return error_set(err, EXIT_STATUS_USAGE, "--cpu: %s: no such VMX capability", name);
    }
    for (size_t i = 0; i < ARRAY_LEN(ignored_properties); i++) {
        if (same_name(name, ignored_properties[i])) {
            return true;
        }
    }
    return unknown_feature(name, err);
}

/* One comma-separated item after the model. */
static bool parse_item(struct request *r, char *item, struct error *err)
{
    unsigned f = 0;
    if (item[0] == '+' || item[0] == '-') {
        if (same_name(item + 1, "pmu")) {
            r->pmu = item[0] == '+';
            return true;
        }
        if (!find_feature(item + 1, &f)) {
            return parse_property(r, item + 1, item[0] == '+' ? "on" : "off", err);
        }
        return set_wish(r, f, item[0] == '+', err);
    }
    char *eq = strchr(item, '=');
    if (eq != NULL) {
        *eq = '\0';
    }
    return parse_property(r, item, eq != NULL ? eq + 1 : NULL, err);
}

static bool of_vendor(unsigned f, enum cpu_vendor vendor)
{
    enum feature_vendor v = feature_table[f].vendor;
    return v == FEATURE_OF_ANY || (v == FEATURE_OF_INTEL) == (vendor == CPU_VENDOR_INTEL);
}

/* Is something switched on that only the other vendor's processors have? */
static bool wants_other_vendor(const struct request *r)
{
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        if (r->wish[f] == WISH_ON && !of_vendor(f, r->base->vendor)) {
            return true;
        }
    }
    return false;
}

static bool decide_vendor(struct cpu_model *m, struct request *r, struct error *err)
{
    if (r->other != NULL &&
        (r->vendor_given ? r->vendor != r->base->vendor : wants_other_vendor(r))) {
        r->base = r->other;
    }
    bool vmx = r->wish[CPU_FEATURE_VMX] == WISH_ON;
    bool svm = r->wish[CPU_FEATURE_SVM] == WISH_ON;
    if (vmx && svm) {
        return error_set(err, EXIT_STATUS_USAGE,
                         "--cpu: vmx and svm cannot both be on: no processor has both");
    }
    m->vendor = r->base->vendor;
    if (r->vendor_given) {
        m->vendor = r->vendor;
    } else if (r->base->follows && (vmx || svm)) {
        m->vendor = vmx ? CPU_VENDOR_INTEL : CPU_VENDOR_AMD;
    }
    return true;
}

static bool in_base_set(const struct request *r, unsigned f, enum cpu_vendor vendor)
{
    enum feature_models in = feature_table[f].models;
    if (!feature_table[f].implemented || !of_vendor(f, vendor)) {
        return false;
    }
    switch ((int)(r->base - base_models)) {
    case MODEL_INTEL:
        return in == FEATURE_IN_INTEL || in == FEATURE_IN_BOTH;
    case MODEL_AMD:
        return in == FEATURE_IN_AMD || in == FEATURE_IN_BOTH;
    case MODEL_MAX:
        return in != FEATURE_IN_ASK;
    default:
        return false;
    }
}

/* Take f and all that cannot be without it out of the set. False when one of those was asked for.
 */
static bool remove_feature(struct cpu_model *m, const struct request *r, unsigned f,
                           struct error *err)
{
    feature_set(m, f, false);
    for (size_t i = 0; i < ARRAY_LEN(feature_deps); i++) {
        unsigned dependent = feature_deps[i].feature;
        if (feature_deps[i].needs != f || !model_has(m, dependent)) {
            continue;
        }
        if (r->wish[dependent] == WISH_ON) {
            return error_set(err, EXIT_STATUS_USAGE, "--cpu: %s cannot be on without %s",
                             feature_table[dependent].name, feature_table[f].name);
        }
        if (!remove_feature(m, r, dependent, err)) {
            return false;
        }
    }
    return true;
}

static bool add_feature(struct cpu_model *m, unsigned f, struct error *err)
{
    const struct feature_info *info = &feature_table[f];
    if (!of_vendor(f, m->vendor)) {
        return error_set(err, EXIT_STATUS_USAGE,
                         "--cpu: %s and vendor=%s do not go together: only %s processors have it",
                         info->name, vendors[m->vendor].name,
                         info->vendor == FEATURE_OF_INTEL ? "Intel's" : "AMD's");
    }
    if (!info->implemented) {
        return error_set(err, EXIT_STATUS_USAGE, "--cpu: %s (%s) is not implemented", info->name,
                         info->meaning);
    }
    feature_set(m, f, true);
    return true;
}

static bool check_needs(const struct cpu_model *m, struct error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(feature_deps); i++) {
        if (model_has(m, feature_deps[i].feature) && !model_has(m, feature_deps[i].needs)) {
            return error_set(err, EXIT_STATUS_USAGE, "--cpu: %s cannot be on without %s",
                             feature_table[feature_deps[i].feature].name,
                             feature_table[feature_deps[i].needs].name);
        }
    }
    return true;
}

static bool build_set(struct cpu_model *m, const struct request *r, struct error *err)
{
    static const struct request nothing_asked;
    /* What is asked for is there already now: what the model has only together with it (ENCLS exiting with SGX) stays. */
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        feature_set(m, f, in_base_set(r, f, m->vendor) || r->wish[f] == WISH_ON);
    }
    /* A vendor's set seen by the other vendor has lost some prerequisites. */
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        if (!model_has(m, f) && !remove_feature(m, &nothing_asked, f, err)) {
            return false;
        }
    }
    unsigned lacking = 0;
    if (r->alias_switches[0] == '-' && find_feature(r->alias_switches + 1, &lacking) &&
        r->wish[lacking] != WISH_ON && !remove_feature(m, r, lacking, err)) {
        return false;
    }
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        if (r->wish[f] == WISH_ON && !add_feature(m, f, err)) {
            return false;
        }
    }
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        if (r->wish[f] == WISH_OFF && !remove_feature(m, r, f, err)) {
            return false;
        }
    }
    return check_needs(m, err);
}

bool cpu_model_parse(struct cpu_model *m, const char *text, struct error *err)
{
    struct request r = {.phys_bits = -1,
                        .family = -1,
                        .model = -1,
                        .stepping = -1,
                        .level = -1,
                        .xlevel = -1,
                        .pmu = true};
    char buffer[1024];
    if ((size_t)snprintf(buffer, sizeof buffer, "%s", text) >= sizeof buffer) {
        return error_set(err, EXIT_STATUS_USAGE, "--cpu: the argument is too long");
    }
    char *rest = buffer;
    char *name = strsep(&rest, ",");
    if (!find_model(&r, name, err)) {
        return false;
    }
    while (rest != NULL) {
        char *item = strsep(&rest, ",");
        if (*item != '\0' && !parse_item(&r, item, err)) {
            return false;
        }
    }
    *m = (struct cpu_model){.pmu = r.pmu};
    (void)snprintf(m->name, sizeof m->name, "%.*s", (int)sizeof m->name - 1, r.base->name);
    if (!decide_vendor(m, &r, err)) {
        return false;
    }
    m->family = r.family >= 0 ? (u32)r.family : vendors[m->vendor].family;
    m->model = r.model >= 0 ? (u32)r.model : vendors[m->vendor].model;
    m->stepping = r.stepping >= 0 ? (u32)r.stepping : vendors[m->vendor].stepping;
    m->phys_bits = r.phys_bits >= 0 ? (u8)r.phys_bits : r.base->phys_bits;
    m->max_basic = r.level >= 0 ? (u32)r.level : 0;
    m->max_ext = r.xlevel >= 0 ? (u32)r.xlevel : 0;
    (void)snprintf(m->brand, sizeof m->brand, "%s",
                   r.brand[0] != '\0' ? r.brand : vendors[m->vendor].brand);
    if (!build_set(m, &r, err)) {
        return false;
    }
    /* Without 64-bit mode nothing reaches beyond what PAE and PSE-36 can address. */
    if (r.phys_bits < 0 && !model_has(m, CPU_FEATURE_LM)) {
        m->phys_bits = model_has(m, CPU_FEATURE_PAE) || model_has(m, CPU_FEATURE_PSE36) ? 36 : 32;
    }
    for (u32 i = 0; i < ARRAY_LEN(m->vmx_bits); i++) {
        m->vmx_bits[i] = model_capability_bits(m, MSR_IA32_VMX_BASIC + i);
    }
    return true;
}

u64 model_capability_bits(const struct cpu_model *m, u32 msr)
{
    u64 v = 0;
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        if (feature_table[f].reg == FEATURE_CAPS && feature_table[f].leaf == msr && model_has(m, f)) {
            v |= BIT(feature_table[f].bit);
        }
    }
    return v;
}

u64 model_arch_capabilities(const struct cpu_model *m)
{
    return model_capability_bits(m, MSR_IA32_ARCH_CAPABILITIES);
}

void cpu_model_list(FILE *out)
{
    (void)fprintf(out, "Models:\n");
    for (size_t i = 0; i < ARRAY_LEN(base_models); i++) {
        (void)fprintf(out, "  %-20s %s\n", base_models[i].name, base_models[i].meaning);
    }
    (void)fprintf(out, "\nOther emulators' names and the model each stands for:\n");
    for (size_t i = 0; i < ARRAY_LEN(model_aliases); i++) {
        (void)fprintf(out, "  %-20s %s%s%s\n", model_aliases[i].pattern, model_aliases[i].model,
                      model_aliases[i].switches[0] != '\0' ? "," : "", model_aliases[i].switches);
    }
}

/* The models that have it as they are. */
static const char *models_of(unsigned f, const struct cpu_model m[4])
{
    static const char *const texts[] = {"-", "intel", "amd", "intel amd", "max", "intel max", "amd max", "intel amd max"};
    bool max = model_has(&m[2], f) || model_has(&m[3], f);
    unsigned n = (model_has(&m[0], f) ? 1u : 0) | (model_has(&m[1], f) ? 2u : 0) | (max ? 4u : 0);
    return feature_table[f].implemented ? texts[n] : "not implemented";
}

void cpu_feature_list(FILE *out)
{
    static const char *const regs[] = {"EAX", "EBX", "ECX", "EDX", "MSR"};
    static const char *const names[] = {"intel", "amd", "max", "max,vendor=amd"};
    struct cpu_model models[ARRAY_LEN(names)];
    struct error err = {0};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)cpu_model_parse(&models[i], names[i], &err);
    }
    (void)fprintf(out, "%-26s %-22s %-16s %s\n", "NAME", "CPUID", "MODELS", "MEANING");
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        const struct feature_info *info = &feature_table[f];
        char where[40];
        if (info->reg == FEATURE_CAPS) {
            (void)snprintf(where, sizeof where, "MSR %Xh bit %u", info->leaf, info->bit);
        } else {
            (void)snprintf(where, sizeof where, "%Xh.%u %s bit %u", info->leaf, info->subleaf,
                           regs[info->reg], info->bit);
        }
        (void)fprintf(out, "%-26s %-22s %-16s %s\n", info->name, where, models_of(f, models),
                      info->meaning);
    }
}
