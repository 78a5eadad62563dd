/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What calls became what, in the interfaces' own words: tables of `abi/`. */
#include "abi/hyperv/msr.h"
#include "abi/hyperv/vsm.h"
#include "watch/watch_priv.h"

#include <stdio.h>
#include <string.h>

struct name {
    u32 number, command;
    const char *text;
};

static const struct name hyperv_names[] = {
#define HYPERCALL(code, name, kind, fast, header, element, output, privilege, handler) {code, 0, #name},
#include "abi/hyperv/hypercall.def"
#undef HYPERCALL
    {HV_CALL_VTL_CALL, 0, "VtlCall"},
    {HV_CALL_VTL_RETURN, 0, "VtlReturn"},
};

static const struct name kvm_names[] = {
#define KVM_HYPERCALL(number, name, arguments) {number, 0, #name},
#include "abi/kvm/hypercall.def"
#undef KVM_HYPERCALL
};

static const struct name xen_names[] = {
#define XEN_HYPERCALL(number, name, arguments) {number, 0, #name},
#include "abi/xen/hypercall.def"
#undef XEN_HYPERCALL
};

static const struct name xen_commands[] = {
#define XEN_COMMAND(call, command, name) {call, command, #name},
#include "abi/xen/command.def"
#undef XEN_COMMAND
};

static const char *find(const struct name *list, size_t count, u32 number, u32 command)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].number == number && list[i].command == command) {
            return list[i].text;
        }
    }
    return NULL;
}
#define FIND(list, number, command) find(list, ARRAY_LEN(list), number, command)

static void put_made(FILE *out, u32 key)
{
    if (key >= CALL_MSR) {
        u32 msr = HV_MSR_FIRST + (key - CALL_MSR);
        if (msr >= HV_MSR_STIMER0_CONFIG && msr <= HV_MSR_STIMER3_COUNT) {
            (void)fprintf(out, "WRMSR STIMER%u_%s", (msr - HV_MSR_STIMER0_CONFIG) / 2, (msr & 1) != 0 ? "COUNT" : "CONFIG");
        } else {
            (void)fprintf(out, "WRMSR %#x", msr);
        }
        return;
    }
    const char *name = FIND(hyperv_names, key, 0);
    if (name != NULL) {
        (void)fprintf(out, "%s", name);
    } else {
        (void)fprintf(out, "call %#x", key);
    }
}

bool watch_call_has_command(enum watch_abi abi, u64 number)
{
    for (size_t i = 0; abi == WATCH_ABI_XEN && i < ARRAY_LEN(xen_commands); i++) {
        if (xen_commands[i].number == number) {
            return true;
        }
    }
    return false;
}

void watch_call_name(enum watch_abi abi, u64 number, u64 command, char *out, size_t size)
{
    bool xen = abi == WATCH_ABI_XEN;
    const char *name = number > 0xffff ? NULL : xen ? FIND(xen_names, (u32)number, 0)
                                        : abi == WATCH_ABI_HYPERV ? FIND(hyperv_names, (u32)number, 0)
                                        : abi == WATCH_ABI_KVM    ? FIND(kvm_names, (u32)number, 0)
                                                                  : NULL;
    const char *which = xen ? FIND(xen_commands, (u32)number, (u32)command) : NULL;
    if (name == NULL) {
        (void)snprintf(out, size, "call %llu", (unsigned long long)number);
    } else if (which != NULL) {
        (void)snprintf(out, size, "%s %s", name, which);
    } else {
        (void)snprintf(out, size, "%s", name);
    }
}

static void put_kind(FILE *out, const struct call_kind *k)
{
    char text[80];
    watch_call_name((enum watch_abi)k->abi, k->number, k->command, text, sizeof text);
    (void)fprintf(out, "%8llu %8llu  %s", (unsigned long long)k->count,
                  (unsigned long long)(k->count != 0 ? k->counts / k->count : 0), text);
}

void watch_print_calls(struct watch *w, FILE *out)
{
    struct call_kind kinds[WATCH_KINDS]; /* to tell what is so far changes nothing */
    u32 kind_count = w->kind_count;
    memcpy(kinds, w->kinds, sizeof kinds);
    static const enum watch_abi order[] = {WATCH_ABI_XEN, WATCH_ABI_HYPERV, WATCH_ABI_KVM};
    watch_count_open(w);
    for (unsigned o = 0; o < ARRAY_LEN(order); o++) {
        bool any = false;
        for (u32 i = 0; i < w->kind_count; i++) {
            const struct call_kind *k = &w->kinds[i];
            if (k->abi != order[o]) {
                continue;
            }
            if (!any) {
                (void)fprintf(out, "%s calls: how many, counts each, %s\n", watch_abi_name(order[o]),
                              order[o] == WATCH_ABI_XEN ? "the Hyper-V calls that they became" : "whoever made them");
                any = true;
            }
            put_kind(out, k);
            if (k->abi == WATCH_ABI_XEN || k->made_count != 0) {
                (void)fprintf(out, ": ");
            }
            for (u32 n = 0; n < k->made_count; n++) {
                put_made(out, k->made[n].key);
                (void)fprintf(out, " %llu%s", (unsigned long long)k->made[n].count, n + 1 < k->made_count ? ", " : "");
            }
            if (k->abi == WATCH_ABI_XEN && k->alone != 0) {
                (void)fprintf(out, "%sanswered alone %llu", k->made_count != 0 ? "; " : "", (unsigned long long)k->alone);
            }
            (void)fprintf(out, "\n");
        }
    }
    if (w->handovers != 0) {
        (void)fprintf(out, "trust levels handed registers over %llu times\n", (unsigned long long)w->handovers);
    }
    memcpy(w->kinds, kinds, sizeof kinds);
    w->kind_count = kind_count;
}
