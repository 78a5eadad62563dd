/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The VMCS region in guest memory, in a layout of ours:
 *
 *   0     revision identifier, bit 31: shadow VMCS       (the manual's)
 *   4     VMX-abort indicator                            (the manual's)
 *   8     launch state: 0 clear, 1 launched
 *   64    16-bit fields:  4 types of 16
 *   192   64-bit fields:  4 types of 64
 *   2240  32-bit fields:  4 types of 32
 *   2752  natural width:  4 types of 32, 8 bytes each
 *
 * Nothing of it is cached but the controls, which a VM entry copies (struct vmx_controls): VMREAD and
 * VMWRITE go to memory. */
#ifndef VITRINE_CPU_VMX_VMCS_H
#define VITRINE_CPU_VMX_VMCS_H

#include "abi/x86/vmx.h"
#include "base/bits.h"
#include "base/bytes.h"
#include "cpu/cpu.h"

#define VMCS_REVISION 0x56540001u
#define VMCS_BYTES 4096u
#define VMCS_AT_REVISION 0u
#define VMCS_AT_ABORT 4u
#define VMCS_AT_LAUNCHED 8u
#define VMCS_SHADOW BIT32(31)

/* Bytes of a field. */
static inline unsigned vmcs_size(u32 encoding)
{
    static const u8 bytes[] = {2, 8, 4, 8};
    return (encoding & 1) != 0 ? 4 : bytes[(encoding >> 13) & 3];
}

/* Where a field lies in the region; only for encodings that exist. */
static inline unsigned vmcs_offset(u32 encoding)
{
    unsigned type = (encoding >> 10) & 3, index = (encoding >> 1) & 0x1ff;
    switch ((encoding >> 13) & 3) {
    case 0: return 64 + type * 32 + index * 2;
    case 1: return 192 + type * 512 + index * 8 + ((encoding & 1) != 0 ? 4u : 0u);
    case 2: return 2240 + type * 128 + index * 4;
    default: return 2752 + type * 256 + index * 8;
    }
}

/* Where an encoding, its high-half bit aside, stands in cpu->vmcs_fields; VMCS_SLOTS: nowhere. */
#define VMCS_SLOTS 1024u
static inline unsigned vmcs_slot(u64 encoding)
{
    u32 e = (u32)encoding;
    bool form = encoding <= 0x7fff && (e & BIT32(12)) == 0 && ((e >> 1) & 0x1ff) < 64;
    return form ? ((e >> 13) * 4 + ((e >> 10) & 3)) * 64 + ((e >> 1) & 63) : VMCS_SLOTS;
}

/* Find out which fields the processor's model has. */
void vmcs_init(struct cpu *cpu);
/* Does the encoding name a field that this processor has? */
static inline bool vmcs_field_exists(const struct cpu *cpu, u64 encoding)
{
    unsigned slot = vmcs_slot(encoding);
    bool half = (encoding & 1) != 0 && ((encoding >> 13) & 3) != 1; /* only 64-bit fields have a high half */
    return slot < VMCS_SLOTS && !half && (cpu->vmcs_fields[slot / 64] >> (slot % 64) & 1) != 0;
}
/* Over all fields that exist. */
u64 vmcs_highest_index(const struct cpu *cpu);
const char *vmcs_field_title(u32 encoding);
static inline bool vmcs_field_is_read_only(u32 encoding)
{
    return ((encoding >> 10) & 3) == 1;
}

u64 vmcs_read_slow(struct cpu *cpu, u64 region, u32 encoding);
static inline u64 vmcs_read_at(struct cpu *cpu, u64 region, u32 encoding)
{
    if (UNLIKELY(cpu->d.vmcs_host == NULL || cpu->d.vmcs_region != region || region != cpu->arch.vmx.current)) {
        return vmcs_read_slow(cpu, region, encoding);
    }
    return load_le64(cpu->d.vmcs_host + vmcs_offset(encoding)) & (~(u64)0 >> (64 - 8 * vmcs_size(encoding)));
}
void vmcs_write_slow(struct cpu *cpu, u64 region, u32 encoding, u64 value);
static inline void vmcs_write_at(struct cpu *cpu, u64 region, u32 encoding, u64 value)
{
    u8 *p = cpu->d.vmcs_host + vmcs_offset(encoding);
    /* Only where nobody looks at the page and this epoch has it already: an exit writes a hundred fields. */
    if (UNLIKELY(cpu->d.vmcs_host == NULL || cpu->d.vmcs_region != region || region != cpu->arch.vmx.current ||
                 cpu->phys->pages[cpu->d.vmcs_frame].flags != PAGE_DIRTY)) {
        vmcs_write_slow(cpu, region, encoding, value);
        return;
    }
    switch (vmcs_size(encoding)) {
    case 2: store_le16(p, (u16)value); break;
    case 4: store_le32(p, (u32)value); break;
    default: store_le64(p, value); break;
    }
}
u32 vmcs_header(struct cpu *cpu, u64 region, unsigned at);
void vmcs_set_header(struct cpu *cpu, u64 region, unsigned at, u32 value);

/* The current VMCS. */
static inline u64 vmcs_read(struct cpu *cpu, u32 encoding)
{
    return vmcs_read_at(cpu, cpu->arch.vmx.current, encoding);
}

static inline u32 vmcs_read32(struct cpu *cpu, u32 encoding)
{
    return (u32)vmcs_read_at(cpu, cpu->arch.vmx.current, encoding);
}

static inline void vmcs_write(struct cpu *cpu, u32 encoding, u64 value)
{
    vmcs_write_at(cpu, cpu->arch.vmx.current, encoding, value);
}

#endif
