/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the builders of ACPI tables. */
#ifndef VITRINE_DEVICES_ACPI_ACPI_PRIV_H
#define VITRINE_DEVICES_ACPI_ACPI_PRIV_H

#include "devices/acpi/acpi_tables.h"

/* A growing byte string. */
struct acpi_buffer {
    u8 *data;
    size_t len, cap;
};

/* n bytes, zeroed, at the end; the pointer is good until the next call. */
u8 *acpi_grow(struct acpi_buffer *b, size_t n);
void acpi_put(struct acpi_buffer *b, u64 value, unsigned size);
void acpi_put_bytes(struct acpi_buffer *b, const void *data, size_t n);

/* The SSDT's AML, without header: what dsdt.asl declares External. */
void acpi_ssdt_body(const struct acpi_board *board, struct acpi_buffer *out);

#endif
