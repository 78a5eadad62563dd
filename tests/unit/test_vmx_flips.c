/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every bit of every checked field of good VMCSs is flipped alone: the entry goes on, or is refused with a rule about
 * that field, or about one that depends on it; field and value that are named are the VMCS's. [SDM3 "VM Entries"] */
#include "vmx_broken.h"
#include "unit.h"

/* What else a flip may be blamed on: the second field's rule looks at the first. */
static const struct {
    u32 flipped, named;
} depends[] = {
#define LOOKS_AT(named, flipped) {VMCS_##flipped, VMCS_##named}
    /* A control turns a rule on. */
    LOOKS_AT(VPID, SECONDARY_CONTROLS),
    LOOKS_AT(GUEST_PDPTE0, SECONDARY_CONTROLS),
    LOOKS_AT(GUEST_PDPTE0, PRIMARY_CONTROLS),
    LOOKS_AT(HOST_EFER, EXIT_CONTROLS),
    LOOKS_AT(EXIT_CONTROLS, ENTRY_CONTROLS),
    LOOKS_AT(GUEST_EFER, ENTRY_CONTROLS),
    LOOKS_AT(GUEST_CR4, ENTRY_CONTROLS),
    /* Granularity against limits, CS.DPL against SS.DPL */
    LOOKS_AT(GUEST_ES_ACCESS_RIGHTS, GUEST_ES_LIMIT),
    LOOKS_AT(GUEST_CS_ACCESS_RIGHTS, GUEST_CS_LIMIT),
    LOOKS_AT(GUEST_SS_ACCESS_RIGHTS, GUEST_SS_LIMIT),
    LOOKS_AT(GUEST_DS_ACCESS_RIGHTS, GUEST_DS_LIMIT),
    LOOKS_AT(GUEST_FS_ACCESS_RIGHTS, GUEST_FS_LIMIT),
    LOOKS_AT(GUEST_GS_ACCESS_RIGHTS, GUEST_GS_LIMIT),
    LOOKS_AT(GUEST_CS_ACCESS_RIGHTS, GUEST_SS_ACCESS_RIGHTS),
    /* Virtual-8086 mode: a base is its selector's */
    LOOKS_AT(GUEST_SS_BASE, GUEST_SS_SELECTOR),
    LOOKS_AT(GUEST_CS_BASE, GUEST_RFLAGS),
    LOOKS_AT(GUEST_CS_ACCESS_RIGHTS, GUEST_RFLAGS),
};

static const struct {
    const char *id;
    u32 field;
} rules[] = {
#define CHECK(id, group, title, failure, field) {#id, VMCS_##field},
#include "cpu/vmx/entry_checks.def"
#undef CHECK
};

static u32 field_of(const char *id)
{
    for (unsigned i = 0; i < ARRAY_LEN(rules); i++) {
        if (strcmp(rules[i].id, id) == 0) {
            return rules[i].field;
        }
    }
    ck_abort_msg("no rule %s", id);
    return 0;
}

static bool may_name(u32 flipped, u32 named)
{
    for (unsigned i = 0; i < ARRAY_LEN(depends); i++) {
        if (depends[i].flipped == flipped && depends[i].named == named) {
            return true;
        }
    }
    return flipped == named;
}

START_TEST(test_vmx_flips__name_their_field)
{
    start((enum base)_i);
    R.log.classes = 0;
    struct cpu_arch good = R.cpu.arch;
    u8 vmcs[VMCS_BYTES];
    memcpy(vmcs, ram(AT_VMCS), sizeof vmcs);
    unsigned refused = 0;
    for (unsigned r = 0; r < ARRAY_LEN(rules); r++) {
        u32 field = rules[r].field;
        for (unsigned bit = 0; bit < 8 * vmcs_size(field); bit++) {
            R.cpu.arch = good;
            memcpy(ram(AT_VMCS), vmcs, sizeof vmcs);
            cpu_update_mode(CPU);
            R.cpu.vmx_reason = (struct vmx_reason){0};
            R.cpu.event.kind = EVENT_NONE;
            u64 value = get(field) ^ BIT(bit);
            put(field, value);
            (void)launch();
            const struct vmx_reason *why = &R.cpu.vmx_reason;
            if (R.cpu.arch.guest == GUEST_VMX) {
                continue;
            }
            refused++;
            ck_assert_msg(why->what != NULL && strcmp(why->what, "entry failure") == 0, "bit %u of %s", bit,
                          vmcs_field_title(field));
            u32 named = field_of(why->id);
            ck_assert_msg(may_name(field, named), "bit %u of %s: %s names %s", bit, vmcs_field_title(field), why->id,
                          vmcs_field_title(named));
            ck_assert_uint_eq(why->value, get(named));
        }
    }
    ck_assert_uint_gt(refused, 1000);
    stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vmx_flips");
    TCase *tc = tcase_create("flips");
    tcase_add_loop_test(tc, test_vmx_flips__name_their_field, 0, BASE_COUNT);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
