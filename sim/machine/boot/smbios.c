/* SPDX-License-Identifier: GPL-3.0-or-later */
/* System description tables [SMBIOS 2.8 "Structure Definitions"]: what a board's firmware says about
 * itself. Just enough to be complete: BIOS, system, chassis, processor, memory array and device,
 * boot status. No cache, slot or sensor structures. */
#include "machine/boot/smbios.h"

#include "base/assert.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "cpu/cpu.h"
#include "cpu/model.h"

#include <string.h>

#define ENTRY_SIZE 31
#define PROCESSOR_OTHER 0x02
#define PROCESSOR_XEON 0xb3
#define PROCESSOR_EPYC 0x6b
#define MEMORY_ERROR_NOT_PROVIDED 0xfffe

struct builder {
    u8 *data;
    size_t len;
    u32 structures, longest;
    size_t start; /* of the open structure */
    bool has_text;
};

static void put(struct builder *b, u64 value, unsigned size)
{
    sim_assert(b->len + size <= SMBIOS_TABLES_MAX);
    store_le(b->data + b->len, value, size);
    b->len += size;
}

static void skip(struct builder *b, unsigned size)
{
    while (size-- > 0) {
        put(b, 0, 1);
    }
}

static void open_structure(struct builder *b, u8 type, u8 length)
{
    b->start = b->len;
    b->has_text = false;
    put(b, type, 1);
    put(b, length, 1);
    put(b, (u64)type << 8, 2); /* handles: one structure of each type */
}

/* The formatted part is complete: pad it to its length; texts follow. */
static void pad_to(struct builder *b, u8 length)
{
    sim_assert(b->len - b->start <= length);
    skip(b, length - (unsigned)(b->len - b->start));
}

static void text(struct builder *b, const char *s)
{
    for (; *s != '\0'; s++) {
        put(b, (u8)*s, 1);
    }
    put(b, 0, 1);
    b->has_text = true;
}

static void close_structure(struct builder *b)
{
    put(b, 0, b->has_text ? 1 : 2);
    u32 size = (u32)(b->len - b->start);
    b->longest = size > b->longest ? size : b->longest;
    b->structures++;
}

static void bios_and_system(struct builder *b)
{
    open_structure(b, 0, 24);
    put(b, 1, 1);      /* vendor */
    put(b, 2, 1);      /* version */
    put(b, 0xf000, 2); /* segment */
    put(b, 3, 1);      /* date */
    put(b, 0, 1);      /* ROM size: 64 KiB */
    put(b, BIT(3), 8); /* characteristics are not given */
    put(b, 0x0800, 2); /* extension: describes a virtual machine */
    pad_to(b, 24);
    text(b, "Vitrine");
    text(b, "1.0");
    text(b, "01/01/2026");
    close_structure(b);

    open_structure(b, 1, 27);
    put(b, 1, 1); /* manufacturer */
    put(b, 2, 1); /* product */
    put(b, 3, 1); /* version */
    put(b, 0, 1); /* serial number */
    skip(b, 16);  /* UUID: not present */
    put(b, 6, 1); /* woken by the power switch */
    pad_to(b, 27);
    text(b, "Vitrine");
    text(b, "Simulated PC (Q35)");
    text(b, "1");
    close_structure(b);

    open_structure(b, 3, 22);
    put(b, 1, 1);
    put(b, 1, 1); /* type: other */
    skip(b, 3);
    put(b, 0x030303, 3); /* states: safe */
    put(b, 3, 1);        /* security: none */
    pad_to(b, 22);
    text(b, "Vitrine");
    close_structure(b);
}

static void processor(struct builder *b, const struct machine *m)
{
    const struct cpu *cpu = m->set.cpu[0];
    u32 mhz = (u32)(m->config.tsc_hz / 1000000 & 0xffff);
    bool intel = m->model.vendor == CPU_VENDOR_INTEL;
    open_structure(b, 4, 42);
    put(b, 1, 1); /* socket */
    put(b, 3, 1); /* central processor */
    put(b, intel ? PROCESSOR_XEON : PROCESSOR_EPYC, 1);
    put(b, 2, 1); /* manufacturer */
    put(b, cpuid_lookup(cpu, 1, 0).eax, 4);
    put(b, cpuid_lookup(cpu, 1, 0).edx, 4);
    put(b, 3, 1);    /* version */
    put(b, 0, 1);    /* voltage: unknown */
    put(b, 100, 2);  /* external clock */
    put(b, mhz, 2);  /* highest */
    put(b, mhz, 2);  /* now */
    put(b, 0x41, 1); /* populated, enabled */
    put(b, 1, 1);    /* upgrade: other */
    put(b, 0xffffffffffffu, 6); /* no cache structures */
    skip(b, 3);
    put(b, m->config.cpus, 1); /* cores, enabled cores, threads */
    put(b, m->config.cpus, 1);
    put(b, m->config.cpus, 1);
    put(b, 0x04, 2); /* 64-bit capable */
    put(b, PROCESSOR_OTHER, 2);
    text(b, "CPU0");
    text(b, intel ? "GenuineIntel" : "AuthenticAMD");
    text(b, "Vitrine simulated processor");
    close_structure(b);
}

static void memory(struct builder *b, const struct machine *m)
{
    u64 kib = m->config.ram_bytes >> 10;
    u64 mib = m->config.ram_bytes >> 20;
    bool big_array = kib >= 0x80000000u;
    open_structure(b, 16, 23);
    put(b, 3, 1); /* on the board */
    put(b, 3, 1); /* system memory */
    put(b, 6, 1); /* multi-bit ECC */
    put(b, big_array ? 0x80000000u : kib, 4);
    put(b, MEMORY_ERROR_NOT_PROVIDED, 2);
    put(b, 1, 2); /* devices */
    put(b, big_array ? kib << 10 : 0, 8);
    close_structure(b);

    open_structure(b, 17, 40);
    put(b, 16 << 8, 2);
    put(b, MEMORY_ERROR_NOT_PROVIDED, 2);
    put(b, 0xffff, 2); /* widths unknown */
    put(b, 0xffff, 2);
    put(b, mib < 0x7fff ? mib : 0x7fff, 2);
    put(b, 9, 1); /* DIMM */
    put(b, 0, 1);
    put(b, 1, 1); /* locator */
    put(b, 0, 1);
    put(b, 7, 1); /* RAM */
    put(b, 2, 2); /* details: other */
    skip(b, 7);   /* speed and texts: none */
    put(b, mib < 0x7fff ? 0 : mib, 4);
    pad_to(b, 40);
    text(b, "DIMM 0");
    close_structure(b);

    open_structure(b, 19, 31);
    put(b, 0xffffffff, 4); /* the extended addresses count */
    put(b, 0xffffffff, 4);
    put(b, 16 << 8, 2);
    put(b, 1, 1);
    put(b, 0, 8);
    put(b, m->ram_above_4g > 0 ? GIB(4) + m->ram_above_4g - 1 : m->ram_below_4g - 1, 8);
    close_structure(b);
}

static u8 negated_sum(const u8 *data, size_t len)
{
    u8 sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum = (u8)(sum + data[i]);
    }
    return (u8)-sum;
}

static void entry_point(u8 *e, const struct builder *b, u32 address)
{
    memset(e, 0, SMBIOS_ENTRY_SIZE);
    memcpy(e, "_SM_", 4);
    e[5] = ENTRY_SIZE;
    e[6] = 2;
    e[7] = 8;
    store_le16(e + 8, (u16)b->longest);
    memcpy(e + 16, "_DMI_", 5);
    store_le16(e + 22, (u16)b->len);
    store_le32(e + 24, address);
    store_le16(e + 28, (u16)b->structures);
    e[30] = 0x28;
    e[21] = negated_sum(e + 16, ENTRY_SIZE - 16);
    e[4] = negated_sum(e, ENTRY_SIZE);
}

size_t smbios_build(const struct machine *m, u32 address, u8 tables[SMBIOS_TABLES_MAX],
                    u8 entry[SMBIOS_ENTRY_SIZE])
{
    struct builder b = {.data = tables};
    bios_and_system(&b);
    processor(&b, m);
    memory(&b, m);
    open_structure(&b, 32, 11);
    pad_to(&b, 11); /* no errors */
    close_structure(&b);
    open_structure(&b, 127, 4);
    close_structure(&b);
    entry_point(entry, &b, address);
    return b.len;
}
