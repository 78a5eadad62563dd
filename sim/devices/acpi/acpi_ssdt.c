/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the ACPI namespace says that depends on the machine: the objects dsdt.asl declares External,
 * and the processors [ACPI "ACPI Machine Language (AML) Specification"]. Only the few opcodes that
 * takes. */
#include "base/assert.h"
#include "devices/acpi/acpi_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AML_ZERO = 0x00,
    AML_NAME = 0x08,
    AML_BYTE = 0x0a,
    AML_WORD = 0x0b,
    AML_DWORD = 0x0c,
    AML_STRING = 0x0d,
    AML_QWORD = 0x0e,
    AML_SCOPE = 0x10,
    AML_PACKAGE = 0x12,
    AML_EXT = 0x5b,
    AML_EXT_DEVICE = 0x82,
};

static void put_text(struct acpi_buffer *b, const char *text)
{
    acpi_put_bytes(b, text, strlen(text));
}

static void put_integer(struct acpi_buffer *b, u64 v)
{
    unsigned size = v > 0xffffffff ? 8 : v > 0xffff ? 4 : v > 0xff ? 2 : 1;
    acpi_put(b, size == 8 ? AML_QWORD : size == 4 ? AML_DWORD : size == 2 ? AML_WORD : AML_BYTE, 1);
    acpi_put(b, v, size);
}

static void put_named_integer(struct acpi_buffer *b, const char *name, u64 v)
{
    acpi_put(b, AML_NAME, 1);
    put_text(b, name);
    put_integer(b, v);
}

/* [ACPI "Package Length Encoding"] of a body of n bytes; the encoding counts itself. */
static void put_length(struct acpi_buffer *b, size_t n)
{
    if (n + 1 < 0x40) {
        acpi_put(b, n + 1, 1);
        return;
    }
    unsigned extra = n + 2 < 0x1000 ? 1 : n + 3 < 0x100000 ? 2 : 3;
    size_t total = n + 1 + extra;
    acpi_put(b, extra << 6 | (total & 0xf), 1);
    acpi_put(b, total >> 4, extra);
}

/* `opcode` (with its prefix when above 0xff), length, body; frees the body. */
static void put_block(struct acpi_buffer *b, unsigned opcode, struct acpi_buffer *body)
{
    if (opcode > 0xff) {
        acpi_put(b, opcode >> 8, 1);
    }
    acpi_put(b, opcode & 0xff, 1);
    put_length(b, body->len);
    acpi_put_bytes(b, body->data, body->len);
    free(body->data);
    *body = (struct acpi_buffer){0};
}

unsigned acpi_pirq_of_slot(unsigned slot, unsigned pin)
{
    if (slot <= 24) {
        return 4 + (slot + pin) % 4;
    }
    return slot == 30 ? 4 + pin : pin;
}

/* [ACPI "_PRT (PCI Routing Table)"] slots 1 to 31, four pins each. Slot 0 is the host bridge. */
static void put_prt(struct acpi_buffer *b, const char *name, bool gsi)
{
    struct acpi_buffer list = {0};
    acpi_put(&list, 31 * 4, 1);
    for (unsigned slot = 1; slot < 32; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            unsigned pirq = acpi_pirq_of_slot(slot, pin);
            struct acpi_buffer entry = {0};
            acpi_put(&entry, 4, 1);
            put_integer(&entry, slot << 16 | 0xffff);
            put_integer(&entry, pin);
            if (gsi) {
                acpi_put(&entry, AML_ZERO, 1);
                put_integer(&entry, 16 + pirq);
            } else {
                char path[16];
                (void)snprintf(path, sizeof path, "\\\x2e_SB_LNK%c", (char)('A' + pirq));
                put_text(&entry, path);
                acpi_put(&entry, AML_ZERO, 1);
            }
            put_block(&list, AML_PACKAGE, &entry);
        }
    }
    acpi_put(b, AML_NAME, 1);
    put_text(b, name);
    put_block(b, AML_PACKAGE, &list);
}

static void put_processors(struct acpi_buffer *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "C%03X", i & 0xfff);
        struct acpi_buffer cpu = {0};
        put_text(&cpu, name);
        acpi_put(&cpu, AML_NAME, 1);
        put_text(&cpu, "_HID");
        acpi_put(&cpu, AML_STRING, 1);
        acpi_put_bytes(&cpu, "ACPI0007", 9);
        put_named_integer(&cpu, "_UID", i);
        put_block(b, AML_EXT << 8 | AML_EXT_DEVICE, &cpu);
    }
}

void acpi_ssdt_body(const struct acpi_board *board, struct acpi_buffer *out)
{
    put_named_integer(out, "\\BCOM", board->serial_mask & 15);
    put_named_integer(out, "\\BPS2", board->ps2 ? 0x0f : 0);
    put_named_integer(out, "\\BHPT", board->hpet_base != 0 ? 0x0f : 0);
    put_named_integer(out, "\\P64F", board->pci64_last != 0 ? board->pci64_first : 0);
    put_named_integer(out, "\\P64L", board->pci64_last);

    struct acpi_buffer sb = {0};
    put_text(&sb, "\\_SB_");
    put_processors(&sb, board->cpu_count);
    put_block(out, AML_SCOPE, &sb);

    struct acpi_buffer pci = {0};
    put_text(&pci, "\\\x2e_SB_PCI0");
    put_prt(&pci, "PRTP", false);
    put_prt(&pci, "PRTA", true);
    put_block(out, AML_SCOPE, &pci);
}
