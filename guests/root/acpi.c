/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child's ACPI tables: hardware-reduced, no PIC, no PIT, no RTC; processors in the MADT, soft-off and reset by ports.
 * [ACPI "ACPI Software Programming Model"] */
#include "guests/root/root.h"

extern const unsigned char child_dsdt[];
extern const size_t child_dsdt_len;

#define HEADER 36
#define FADT_BYTES 268
#define PORT_SLEEP 0x604
#define PORT_RESET 0xcf9
#define FADT_RESET_SUPPORTED 0x400u
#define FADT_HARDWARE_REDUCED 0x100000u
#define BOOT_NO_VGA 0x04u
#define BOOT_NO_CMOS_RTC 0x20u

static u8 checksum(const u8 *p, u64 n)
{
    u8 sum = 0;
    for (u64 i = 0; i < n; i++) {
        sum = (u8)(sum + p[i]);
    }
    return (u8)(0 - sum);
}

/* Puts the header and the checksum; the table follows the one before. */
static u64 put_table(struct vm *vm, u64 *at, u8 *table, u32 bytes, const char *signature, u8 revision)
{
    memcpy(table, signature, 4);
    memcpy(table + 4, &bytes, 4);
    table[8] = revision;
    table[9] = 0;
    memcpy(table + 10, "VITRINCHILD   ", 14);
    memset(table + 24, 0, 12);
    table[24] = 1;
    table[9] = checksum(table, bytes);
    u64 place = *at;
    (void)vm_write(vm, place, table, bytes);
    *at = align_up(place + bytes, 16);
    return place;
}

/* A generic address: a port of one byte. */
static void put_port(u8 *p, u64 port)
{
    p[0] = 1;
    p[1] = 8;
    p[3] = 1;
    memcpy(p + 4, &port, 8);
}

void acpi_build(struct vm *vm)
{
    static u8 table[512];
    u64 at = ACPI_AT + 0x40;
    (void)vm_write(vm, at, child_dsdt, child_dsdt_len);
    u64 dsdt = at;
    at = align_up(at + child_dsdt_len, 16);

    memset(table, 0, sizeof table);
    u32 flags = FADT_RESET_SUPPORTED | FADT_HARDWARE_REDUCED;
    memcpy(table + 40, &dsdt, 4);
    table[109] = BOOT_NO_VGA | BOOT_NO_CMOS_RTC;
    memcpy(table + 112, &flags, 4);
    put_port(table + 116, PORT_RESET);
    table[128] = 6;
    table[131] = 1; /* minor version: 5.1 */
    memcpy(table + 140, &dsdt, 8);
    put_port(table + 244, PORT_SLEEP);
    put_port(table + 256, PORT_SLEEP + 1);
    u64 fadt = put_table(vm, &at, table, FADT_BYTES, "FACP", 5);

    memset(table, 0, sizeof table);
    u32 apic = 0xfee00000;
    memcpy(table + HEADER, &apic, 4);
    u32 bytes = HEADER + 8;
    for (u32 i = 0; i < vm->vps; i++) {
        u8 entry[8] = {0, 8, (u8)i, (u8)i, 1, 0, 0, 0};
        memcpy(table + bytes, entry, sizeof entry);
        bytes += sizeof entry;
    }
    u64 madt = put_table(vm, &at, table, bytes, "APIC", 4);

    memset(table, 0, sizeof table);
    memcpy(table + HEADER, &fadt, 8);
    memcpy(table + HEADER + 8, &madt, 8);
    u64 xsdt = put_table(vm, &at, table, HEADER + 16, "XSDT", 1);

    u8 rsdp[36] = "RSD PTR ";
    memcpy(rsdp + 9, "VITRIN", 6);
    rsdp[15] = 2;
    rsdp[20] = sizeof rsdp;
    memcpy(rsdp + 24, &xsdt, 8);
    rsdp[8] = checksum(rsdp, 20);
    rsdp[32] = checksum(rsdp, sizeof rsdp);
    (void)vm_write(vm, ACPI_AT, rsdp, sizeof rsdp);
}
