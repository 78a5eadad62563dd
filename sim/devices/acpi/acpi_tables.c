/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ACPI tables [ACPI 6.0 "ACPI Software Programming Model"]: RSDP, RSDT, XSDT, FADT, FACS, DSDT,
 * SSDT, MADT, HPET, MCFG and what the board adds.
 *
 * They are built once, with pointers as offsets in the blob and a list of what to relocate and sum.
 * For a fixed address both are done here; for firmware they become the commands of etc/table-loader
 * [QEMU "bios-linker-loader"]. Values are the board's; nothing is modelled.
 *
 * Left out: SRAT, SLIT, BGRT and their like (the board may add them), S4. */
#include "devices/acpi/acpi_tables.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "devices/acpi/acpi_priv.h"
#include "devices/hpet.h"
#include "devices/pm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* dsdt.asl, compiled. */
extern const unsigned char acpi_dsdt[];
extern const size_t acpi_dsdt_len;

#define HEADER_SIZE 36
#define FACS_SIZE 64
#define FADT_SIZE 276
#define MAX_POINTERS 96
#define MAX_TABLES 32

struct pointer {
    u32 at; /* offset of the field; its value is an offset in the blob */
    u8 size;
};

struct build {
    struct acpi_buffer out;
    struct pointer pointers[MAX_POINTERS];
    unsigned pointer_count;
    u32 tables[MAX_TABLES]; /* offsets of what has a header and a checksum */
    unsigned table_count;
};

u8 *acpi_grow(struct acpi_buffer *b, size_t n)
{
    if (b->cap - b->len < n) {
        b->cap = b->cap * 2 + n + 256;
        b->data = realloc(b->data, b->cap);
        sim_assert(b->data != NULL);
    }
    u8 *p = b->data + b->len;
    memset(p, 0, n);
    b->len += n;
    return p;
}

void acpi_put(struct acpi_buffer *b, u64 value, unsigned size)
{
    store_le(acpi_grow(b, size), value, size);
}

void acpi_put_bytes(struct acpi_buffer *b, const void *data, size_t n)
{
    memcpy(acpi_grow(b, n), data, n);
}

static u8 checksum(const u8 *data, size_t n)
{
    u32 sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += data[i];
    }
    return (u8)-sum;
}

/* Start a table at the next multiple of 16; its length is filled in by end_table. */
static u32 begin_table(struct build *b, const char *signature, u8 revision)
{
    (void)acpi_grow(&b->out, (size_t)(align_up(b->out.len, 16) - b->out.len));
    u32 at = (u32)b->out.len;
    u8 *h = acpi_grow(&b->out, HEADER_SIZE);
    memcpy(h, signature, 4);
    h[8] = revision;
    memcpy(h + 10, "VITRIN", 6);
    memcpy(h + 16, "VIT", 3);
    memcpy(h + 19, signature, 4);
    h[23] = ' ';
    store_le32(h + 24, 1);
    memcpy(h + 28, "VITR", 4);
    store_le32(h + 32, 1);
    sim_assert(b->table_count < MAX_TABLES);
    b->tables[b->table_count++] = at;
    return at;
}

static void end_table(struct build *b, u32 at)
{
    store_le32(b->out.data + at + 4, (u32)(b->out.len - at));
}

/* The field at `at` becomes a pointer to blob offset `target`. */
static void put_pointer(struct build *b, u32 at, u8 size, u32 target)
{
    sim_assert(b->pointer_count < MAX_POINTERS);
    store_le(b->out.data + at, target, size);
    b->pointers[b->pointer_count++] = (struct pointer){.at = at, .size = size};
}

/* [ACPI "Generic Address Structure"] in I/O space. */
static void put_gas_io(u8 *p, unsigned bits, unsigned access_size, u32 port)
{
    p[0] = 1;
    p[1] = (u8)bits;
    p[2] = 0;
    p[3] = (u8)access_size;
    store_le64(p + 4, port);
}

static u32 build_facs(struct build *b)
{
    u8 *f = acpi_grow(&b->out, FACS_SIZE); /* first in the blob: 64-byte alignment */
    memcpy(f, "FACS", 4);
    store_le32(f + 4, FACS_SIZE);
    f[32] = 2;
    return 0;
}

static u32 build_dsdt(struct build *b)
{
    u32 at = begin_table(b, "DSDT", 2);
    b->out.len = at;
    acpi_put_bytes(&b->out, acpi_dsdt, acpi_dsdt_len);
    b->out.data[at + 9] = 0; /* summed again like the others */
    return at;
}

static u32 build_ssdt(struct build *b, const struct acpi_board *board)
{
    u32 at = begin_table(b, "SSDT", 2);
    acpi_ssdt_body(board, &b->out);
    end_table(b, at);
    return at;
}

enum {
    FADT_WBINVD = 1 << 0,
    FADT_PROC_C1 = 1 << 2,
    FADT_NO_SLEEP_BUTTON = 1 << 5,
    FADT_TMR_VAL_EXT = 1 << 8,
    FADT_RESET_REG_SUP = 1 << 10,

    BOOT_ARCH_LEGACY = 1 << 0,
    BOOT_ARCH_8042 = 1 << 1,
    BOOT_ARCH_NO_VGA = 1 << 2,
};

/* [ACPI "Fixed ACPI Description Table (FADT)"] offsets as in its table. */
static u32 build_fadt(struct build *b, const struct acpi_board *board, u32 facs, u32 dsdt)
{
    u32 at = begin_table(b, "FACP", 6);
    (void)acpi_grow(&b->out, FADT_SIZE - HEADER_SIZE);
    u8 *f = b->out.data + at;
    u32 pm = board->pm_base;
    f[45] = 1; /* desktop */
    store_le16(f + 46, board->sci);
    store_le32(f + 48, 0xb2);
    f[52] = PM_APM_ACPI_ENABLE;
    f[53] = PM_APM_ACPI_DISABLE;
    store_le32(f + 56, pm);
    store_le32(f + 64, pm + 4);
    store_le32(f + 76, pm + 8);
    store_le32(f + 80, pm + 0x20);
    f[88] = 4;
    f[89] = 2;
    f[91] = 4;
    f[92] = 16;
    store_le16(f + 96, 0xfff); /* no C2 */
    store_le16(f + 98, 0xfff); /* no C3 */
    f[108] = 0x32;             /* century */
    store_le16(f + 109, (u16)(BOOT_ARCH_LEGACY | (board->ps2 ? BOOT_ARCH_8042 : 0) |
                              (board->vga ? 0 : BOOT_ARCH_NO_VGA)));
    store_le32(f + 112, FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_RESET_REG_SUP |
                            (board->pm_timer_32bit ? FADT_TMR_VAL_EXT : 0u));
    put_gas_io(f + 116, 8, 1, 0xcf9);
    f[128] = 0x06;
    put_gas_io(f + 148, 32, 2, pm);
    put_gas_io(f + 172, 16, 2, pm + 4);
    put_gas_io(f + 208, 32, 3, pm + 8);
    put_gas_io(f + 220, 128, 1, pm + 0x20);
    memcpy(f + 268, "VITRINE", 7);
    end_table(b, at);
    /* One FACS pointer only: the specification wants the other to be 0. */
    put_pointer(b, at + 36, 4, facs);
    put_pointer(b, at + 40, 4, dsdt);
    put_pointer(b, at + 140, 8, dsdt);
    return at;
}

static void put_madt_processor(struct acpi_buffer *m, u32 uid, u32 apic_id)
{
    if (apic_id < 255 && uid < 255) {
        acpi_put(m, 0 | 8 << 8, 2);
        acpi_put(m, uid, 1);
        acpi_put(m, apic_id, 1);
        acpi_put(m, 1, 4); /* enabled */
    } else {
        acpi_put(m, 9 | 16 << 8, 4);
        acpi_put(m, apic_id, 4);
        acpi_put(m, 1, 4);
        acpi_put(m, uid, 4);
    }
}

/* Polarity in bits 1:0, trigger in bits 3:2; 0: as the bus has it. */
static void put_madt_override(struct acpi_buffer *m, u8 irq, u32 gsi, u16 flags)
{
    acpi_put(m, 2 | 10 << 8, 3); /* type, length, ISA bus */
    acpi_put(m, irq, 1);
    acpi_put(m, gsi, 4);
    acpi_put(m, flags, 2);
}

static u32 build_madt(struct build *b, const struct acpi_board *board)
{
    u32 at = begin_table(b, "APIC", 4);
    struct acpi_buffer *m = &b->out;
    bool x2apic = false;
    acpi_put(m, 0xfee00000, 4);
    acpi_put(m, 1, 4); /* there are 8259s */
    for (u32 i = 0; i < board->cpu_count; i++) {
        u32 apic_id = board->apic_ids != NULL ? board->apic_ids[i] : i;
        put_madt_processor(m, i, apic_id);
        x2apic = x2apic || apic_id >= 255 || i >= 255;
    }
    acpi_put(m, 1 | 12 << 8, 2);
    acpi_put(m, board->ioapic_id, 2);
    acpi_put(m, board->ioapic_base, 4);
    acpi_put(m, 0, 4);
    put_madt_override(m, 0, 2, 0);
    put_madt_override(m, board->sci, board->sci, 0x000d); /* level, active high */
    acpi_put(m, 4 | 6 << 8, 2);                           /* NMI at LINT1 of all processors */
    acpi_put(m, 0xff, 1);
    acpi_put(m, 0, 2);
    acpi_put(m, 1, 1);
    if (x2apic) {
        acpi_put(m, 10 | 12 << 8, 4);
        acpi_put(m, 0xffffffff, 4);
        acpi_put(m, 1, 4);
    }
    end_table(b, at);
    return at;
}

static u32 build_hpet(struct build *b, const struct acpi_board *board)
{
    u32 at = begin_table(b, "HPET", 1);
    struct acpi_buffer *h = &b->out;
    acpi_put(h, HPET_BLOCK_ID, 4);
    acpi_put(h, 0 | 64 << 8, 4); /* memory, 64 bits */
    acpi_put(h, board->hpet_base, 8);
    acpi_put(h, 0, 1);   /* sequence number */
    acpi_put(h, 100, 2); /* smallest safe period: a microsecond */
    acpi_put(h, 0, 1);
    end_table(b, at);
    return at;
}

static u32 build_mcfg(struct build *b, const struct acpi_board *board)
{
    u32 at = begin_table(b, "MCFG", 1);
    struct acpi_buffer *m = &b->out;
    acpi_put(m, 0, 8);
    acpi_put(m, board->ecam_base, 8);
    acpi_put(m, 0, 2); /* segment */
    acpi_put(m, 0, 1);
    acpi_put(m, board->ecam_size / MIB(1) - 1, 1);
    acpi_put(m, 0, 4);
    end_table(b, at);
    return at;
}

static u32 build_extra(struct build *b, const struct acpi_extra_table *extra)
{
    sim_assert(extra->len >= HEADER_SIZE);
    u32 at = begin_table(b, "XTRA", 1);
    b->out.len = at;
    acpi_put_bytes(&b->out, extra->data, extra->len);
    b->out.data[at + 9] = 0;
    return at;
}

/* RSDT (entries of 4 bytes) or XSDT (of 8). */
static u32 build_root(struct build *b, const char *signature, u8 size, const u32 *tables,
                      unsigned count)
{
    u32 at = begin_table(b, signature, 1);
    (void)acpi_grow(&b->out, (size_t)count * size);
    end_table(b, at);
    for (unsigned i = 0; i < count; i++) {
        put_pointer(b, at + HEADER_SIZE + i * size, size, tables[i]);
    }
    return at;
}

/* Everything with offsets for pointers and without checksums; *rsdt and *xsdt are offsets. */
static void build_all(struct build *b, const struct acpi_board *board, u32 *rsdt, u32 *xsdt)
{
    u32 tables[MAX_TABLES];
    unsigned n = 0;
    *b = (struct build){0};
    u32 facs = build_facs(b);
    u32 dsdt = build_dsdt(b);
    tables[n++] = build_fadt(b, board, facs, dsdt);
    tables[n++] = build_ssdt(b, board);
    tables[n++] = build_madt(b, board);
    if (board->hpet_base != 0) {
        tables[n++] = build_hpet(b, board);
    }
    if (board->ecam_size != 0) {
        tables[n++] = build_mcfg(b, board);
    }
    for (unsigned i = 0; i < board->extra_count; i++) {
        sim_assert(n < MAX_TABLES);
        tables[n++] = build_extra(b, &board->extra[i]);
    }
    *rsdt = build_root(b, "RSDT", 4, tables, n);
    *xsdt = build_root(b, "XSDT", 8, tables, n);
}

/* [ACPI "Root System Description Pointer (RSDP)"] */
static void build_rsdp(u8 rsdp[ACPI_RSDP_SIZE], u32 rsdt, u64 xsdt)
{
    memset(rsdp, 0, ACPI_RSDP_SIZE);
    memcpy(rsdp, "RSD PTR ", 8);
    memcpy(rsdp + 9, "VITRIN", 6);
    rsdp[15] = 2;
    store_le32(rsdp + 16, rsdt);
    store_le32(rsdp + 20, ACPI_RSDP_SIZE);
    store_le64(rsdp + 24, xsdt);
}

struct acpi_bytes acpi_build_at(const struct acpi_board *board, u64 base, u8 rsdp[ACPI_RSDP_SIZE])
{
    struct build b;
    u32 rsdt, xsdt;
    sim_assert(base % 64 == 0 && base < GIB(4));
    build_all(&b, board, &rsdt, &xsdt);
    for (unsigned i = 0; i < b.pointer_count; i++) {
        u8 *field = b.out.data + b.pointers[i].at;
        store_le(field, load_le(field, b.pointers[i].size) + base, b.pointers[i].size);
    }
    for (unsigned i = 0; i < b.table_count; i++) {
        u8 *table = b.out.data + b.tables[i];
        table[9] = checksum(table, load_le32(table + 4));
    }
    build_rsdp(rsdp, (u32)base + rsdt, base + xsdt);
    rsdp[8] = checksum(rsdp, 20);
    rsdp[32] = checksum(rsdp, ACPI_RSDP_SIZE);
    return (struct acpi_bytes){.data = b.out.data, .len = b.out.len};
}

/* ---- etc/table-loader ---- */

#define LOADER_ENTRY_SIZE 128
#define LOADER_NAME_SIZE 56
#define FILE_TABLES "etc/acpi/tables"
#define FILE_RSDP "etc/acpi/rsdp"

enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };

static u8 *loader_entry(struct acpi_buffer *loader, u32 command, const char *file)
{
    u8 *e = acpi_grow(loader, LOADER_ENTRY_SIZE);
    store_le32(e, command);
    (void)snprintf((char *)e + 4, LOADER_NAME_SIZE, "%s", file);
    return e + 4 + LOADER_NAME_SIZE;
}

static void loader_allocate(struct acpi_buffer *loader, const char *file, u32 align, u8 zone)
{
    u8 *p = loader_entry(loader, LOADER_ALLOCATE, file);
    store_le32(p, align);
    p[4] = zone;
}

/* The field in `file` gets the address of etc/acpi/tables added. */
static void loader_pointer(struct acpi_buffer *loader, const char *file, u32 at, u8 size)
{
    u8 *p = loader_entry(loader, LOADER_ADD_POINTER, file);
    (void)snprintf((char *)p, LOADER_NAME_SIZE, "%s", FILE_TABLES);
    store_le32(p + LOADER_NAME_SIZE, at);
    p[LOADER_NAME_SIZE + 4] = size;
}

static void loader_checksum(struct acpi_buffer *loader, const char *file, u32 at, u32 first,
                            u32 len)
{
    u8 *p = loader_entry(loader, LOADER_ADD_CHECKSUM, file);
    store_le32(p, at);
    store_le32(p + 4, first);
    store_le32(p + 8, len);
}

struct acpi_files acpi_build_files(const struct acpi_board *board)
{
    struct build b;
    struct acpi_files files;
    struct acpi_buffer loader = {0};
    u32 rsdt, xsdt;
    build_all(&b, board, &rsdt, &xsdt);
    build_rsdp(files.rsdp, rsdt, xsdt);

    loader_allocate(&loader, FILE_TABLES, 64, ZONE_HIGH);
    loader_allocate(&loader, FILE_RSDP, 16, ZONE_FSEG);
    for (unsigned i = 0; i < b.pointer_count; i++) {
        loader_pointer(&loader, FILE_TABLES, b.pointers[i].at, b.pointers[i].size);
    }
    for (unsigned i = 0; i < b.table_count; i++) {
        u32 at = b.tables[i];
        loader_checksum(&loader, FILE_TABLES, at + 9, at, load_le32(b.out.data + at + 4));
    }
    loader_pointer(&loader, FILE_RSDP, 16, 4);
    loader_pointer(&loader, FILE_RSDP, 24, 8);
    loader_checksum(&loader, FILE_RSDP, 8, 0, 20);
    loader_checksum(&loader, FILE_RSDP, 32, 0, ACPI_RSDP_SIZE);

    files.tables = (struct acpi_bytes){.data = b.out.data, .len = b.out.len};
    files.loader = (struct acpi_bytes){.data = loader.data, .len = loader.len};
    return files;
}

void acpi_free_files(struct acpi_files *files)
{
    free(files->tables.data);
    free(files->loader.data);
    files->tables = files->loader = (struct acpi_bytes){0};
}
