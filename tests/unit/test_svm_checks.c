/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMRUN's checks: for each row of vmrun_checks.def a good VMCB is broken in one place, and VMEXIT_INVALID names just
 * that row and field. [APM2 "Canonicalization and Consistency Checks"] */
#include "svm_broken.h"
#include "unit.h"

static const struct {
    const char *name;
    unsigned offset, bytes;
} fields[] = {
#define VMCB_CONTROL(offset, bytes, name, clean) {"c." #name, offset, bytes},
#define VMCB_SAVE(offset, bytes, name, clean) {"s." #name, offset, bytes},
#include "abi/x86/vmcb_fields.def"
    {"cs_attr", VMCB_cs + 2, 2},
};

/* A field by the name that a rule gives it. */
static u64 value_of(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return get(fields[i].offset, fields[i].bytes);
        }
    }
    ck_abort_msg("no field %s", name);
    return 0;
}

START_TEST(test_svm_checks__each_row_is_named)
{
    const struct broken *b = svm_broken[_i].broken;
    const struct svm_reason *why = &R.cpu.svm_reason;
    char want[100];
    start();
    good_vmcb();
    if (b->more != NULL) {
        b->more();
    }
    for (unsigned i = 0; i < ARRAY_LEN(b->field) && b->field[i].bytes != 0; i++) {
        put(b->field[i].offset, b->field[i].bytes, b->field[i].value);
    }
    vmrun();
    (void)fflush(R.log.out);
    (void)snprintf(want, sizeof want, "VMEXIT_INVALID %s: %s = ", svm_broken[_i].id, svm_broken[_i].field);
    ck_assert_msg(strstr(log_text, want) != NULL, "%s: %s", svm_broken[_i].id, log_text);
    ck_assert_str_eq(why->what, "VMEXIT_INVALID");
    ck_assert_str_eq(why->id, svm_broken[_i].id);
    ck_assert_str_eq(why->field, svm_broken[_i].field);
    ck_assert_uint_eq(why->value, value_of(why->field));
    ck_assert_uint_eq(get(VMCB_exitcode, 8), ~(u64)0);
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_NONE);
    ck_assert(!R.cpu.arch.svm.gif);
    ck_assert_uint_eq(R.cpu.arch.rip, AT_CODE + 3);
    stop();
}
END_TEST

/* Every bit of every field that a rule names is flipped alone: the entry goes on, or the rule that refuses it names that
 * field and its value. */
START_TEST(test_svm_checks__flips_name_their_field)
{
    start();
    R.log.classes = 0;
    good_vmcb();
    struct cpu_arch good = R.cpu.arch;
    u8 vmcb[VMCB_BYTES];
    memcpy(vmcb, ram(AT_VMCB), sizeof vmcb);
    unsigned refused = 0;
    for (unsigned f = 0; f < ARRAY_LEN(fields); f++) {
        for (unsigned bit = 0; bit < 8 * fields[f].bytes; bit++) {
            R.cpu.arch = good;
            memcpy(ram(AT_VMCB), vmcb, sizeof vmcb);
            cpu_update_mode(CPU);
            R.cpu.svm_reason = (struct svm_reason){0};
            put(fields[f].offset, fields[f].bytes, get(fields[f].offset, fields[f].bytes) ^ BIT(bit));
            vmrun();
            const struct svm_reason *why = &R.cpu.svm_reason;
            if (why->what == NULL || strcmp(why->what, "VMEXIT_INVALID") != 0) {
                continue;
            }
            refused++;
            ck_assert_msg(strcmp(why->field, fields[f].name) == 0, "bit %u of %s: %s names %s", bit, fields[f].name, why->id,
                          why->field);
            ck_assert_uint_eq(why->value, value_of(why->field));
        }
    }
    ck_assert_uint_gt(refused, 200);
    stop();
}
END_TEST

/* Without anything broken there is nothing to say. */
START_TEST(test_svm_checks__good_vmcb_enters)
{
    start();
    good_vmcb();
    vmrun();
    ck_assert_int_eq(R.cpu.arch.guest, GUEST_SVM);
    ck_assert_ptr_null(R.cpu.svm_reason.what);
    stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("svm_checks");
    TCase *c = tcase_create("svm_checks");
    tcase_add_loop_test(c, test_svm_checks__each_row_is_named, 0, (int)ARRAY_LEN(svm_broken));
    tcase_add_test(c, test_svm_checks__flips_name_their_field);
    tcase_add_test(c, test_svm_checks__good_vmcb_enters);
    suite_add_tcase(s, c);
    return unit_run(s);
}
