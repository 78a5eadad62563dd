/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ACPI tables: every pointer leads to a table with a right sum, and what firmware makes of the
 * files with the loader's commands is what we make for the same address. */
#include "base/bytes.h"
#include "base/types.h"
#include "devices/acpi/acpi_tables.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define BASE 0x7ffe0000u

static const u8 extra[40] = {'T', 'E', 'S', 'T', 40, 0, 0, 0, 1};
static const struct acpi_extra_table extras[] = {{extra, sizeof extra}};

static struct acpi_board board(void)
{
    return (struct acpi_board){.cpu_count = 16,
                               .pm_base = 0x600,
                               .pm_timer_32bit = true,
                               .sci = 9,
                               .ioapic_base = 0xfec00000,
                               .hpet_base = 0xfed00000,
                               .ecam_base = 0xb0000000,
                               .ecam_size = MIB(256),
                               .pci64_first = 0x8000000000,
                               .pci64_last = 0xffffffffff,
                               .serial_mask = 1,
                               .ps2 = true,
                               .extra = extras,
                               .extra_count = 1};
}

static u8 sum(const u8 *p, size_t n)
{
    u8 s = 0;
    for (size_t i = 0; i < n; i++) {
        s = (u8)(s + p[i]);
    }
    return s;
}

/* The table at an address in the blob, its sum checked. */
static const u8 *table_at(const struct acpi_bytes *b, u64 address, const char *signature)
{
    ck_assert(address >= BASE && address + 36 <= BASE + b->len);
    const u8 *t = b->data + (address - BASE);
    if (signature != NULL) {
        ck_assert_mem_eq(t, signature, 4);
    }
    ck_assert_uint_le(address + load_le32(t + 4), BASE + b->len);
    ck_assert_uint_eq(sum(t, load_le32(t + 4)), 0);
    return t;
}

START_TEST(test_acpi__everything_is_reachable)
{
    struct acpi_board bd = board();
    u8 rsdp[ACPI_RSDP_SIZE];
    struct acpi_bytes b = acpi_build_at(&bd, BASE, rsdp);
    ck_assert_mem_eq(rsdp, "RSD PTR ", 8);
    ck_assert_uint_eq(sum(rsdp, 20), 0);
    ck_assert_uint_eq(sum(rsdp, 36), 0);
    const u8 *rsdt = table_at(&b, load_le32(rsdp + 16), "RSDT");
    const u8 *xsdt = table_at(&b, load_le64(rsdp + 24), "XSDT");
    static const char *const names[] = {"FACP", "SSDT", "APIC", "HPET", "MCFG", "TEST"};
    ck_assert_uint_eq(load_le32(xsdt + 4), 36 + 8 * ARRAY_LEN(names));
    ck_assert_uint_eq(load_le32(rsdt + 4), 36 + 4 * ARRAY_LEN(names));
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        u64 address = load_le64(xsdt + 36 + 8 * i);
        ck_assert_uint_eq(address, load_le32(rsdt + 36 + 4 * i));
        (void)table_at(&b, address, names[i]);
    }
    const u8 *fadt = table_at(&b, load_le64(xsdt + 36), "FACP");
    ck_assert_uint_eq(load_le32(fadt + 4), 276);
    (void)table_at(&b, load_le32(fadt + 40), "DSDT");
    ck_assert_uint_eq(load_le32(fadt + 40), load_le64(fadt + 140));
    ck_assert_uint_eq(load_le32(fadt + 36) % 64, 0);
    ck_assert_mem_eq(b.data + (load_le32(fadt + 36) - BASE), "FACS", 4);
    /* PM registers of test machines: kvm-unit-tests finds them here. */
    ck_assert_uint_eq(load_le32(fadt + 56), 0x600);
    ck_assert_uint_eq(load_le32(fadt + 64), 0x604);
    ck_assert_uint_eq(load_le32(fadt + 76), 0x608);
    const char *dump = getenv("VITRINE_TEST_DUMP_ACPI");
    for (unsigned i = 0; dump != NULL && i <= ARRAY_LEN(names); i++) {
        const u8 *t = table_at(
            &b, i < ARRAY_LEN(names) ? load_le64(xsdt + 36 + 8 * i) : load_le32(fadt + 40), NULL);
        char path[256];
        (void)snprintf(path, sizeof path, "%s/%.4s.aml", dump, (const char *)t);
        FILE *f = fopen(path, "wb");
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(fwrite(t, 1, load_le32(t + 4), f), load_le32(t + 4));
        ck_assert_int_eq(fclose(f), 0);
    }
    free(b.data);
}
END_TEST

/* What SeaBIOS does with etc/table-loader. */
static void run_loader(struct acpi_files *files)
{
    static const char tables[] = "etc/acpi/tables", rsdp[] = "etc/acpi/rsdp";
    for (size_t at = 0; at < files->loader.len; at += 128) {
        const u8 *e = files->loader.data + at;
        const char *name = (const char *)e + 4;
        const u8 *p = e + 60;
        bool is_rsdp = strcmp(name, rsdp) == 0;
        ck_assert(is_rsdp || strcmp(name, tables) == 0);
        u8 *file = is_rsdp ? files->rsdp : files->tables.data;
        switch (load_le32(e)) {
        case 1:
            ck_assert_uint_eq(load_le32(p), is_rsdp ? 16 : 64);
            ck_assert_uint_eq(p[4], is_rsdp ? 2 : 1);
            break;
        case 2: {
            ck_assert_str_eq((const char *)p, tables);
            u8 *field = file + load_le32(p + 56);
            store_le(field, load_le(field, p[60]) + BASE, p[60]);
            break;
        }
        case 3:
            file[load_le32(p)] =
                (u8)(file[load_le32(p)] - sum(file + load_le32(p + 4), load_le32(p + 8)));
            break;
        default:
            ck_abort_msg("loader command %u", load_le32(e));
        }
    }
}

START_TEST(test_acpi__loader_makes_the_same)
{
    struct acpi_board bd = board();
    u8 rsdp[ACPI_RSDP_SIZE];
    struct acpi_bytes b = acpi_build_at(&bd, BASE, rsdp);
    struct acpi_files files = acpi_build_files(&bd);
    run_loader(&files);
    ck_assert_uint_eq(files.tables.len, b.len);
    ck_assert_mem_eq(files.tables.data, b.data, b.len);
    ck_assert_mem_eq(files.rsdp, rsdp, ACPI_RSDP_SIZE);
    acpi_free_files(&files);
    free(b.data);
}
END_TEST

START_TEST(test_acpi__many_processors_get_x2apic_entries)
{
    struct acpi_board bd = board();
    bd.cpu_count = 300;
    bd.hpet_base = 0;
    u8 rsdp[ACPI_RSDP_SIZE];
    struct acpi_bytes b = acpi_build_at(&bd, BASE, rsdp);
    const u8 *xsdt = table_at(&b, load_le64(rsdp + 24), "XSDT");
    const u8 *madt = table_at(&b, load_le64(xsdt + 36 + 16), "APIC");
    unsigned apics = 0, x2apics = 0;
    u32 at = 44;
    while (at < load_le32(madt + 4)) {
        apics += madt[at] == 0;
        x2apics += madt[at] == 9;
        ck_assert_uint_gt(madt[at + 1], 0);
        at += madt[at + 1];
    }
    ck_assert_uint_eq(at, load_le32(madt + 4));
    ck_assert_uint_eq(apics, 255);
    ck_assert_uint_eq(x2apics, 45);
    free(b.data);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("acpi");
    TCase *c = tcase_create("acpi");
    tcase_add_test(c, test_acpi__everything_is_reachable);
    tcase_add_test(c, test_acpi__loader_makes_the_same);
    tcase_add_test(c, test_acpi__many_processors_get_x2apic_entries);
    suite_add_tcase(s, c);
    return unit_run(s);
}
