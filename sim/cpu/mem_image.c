/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Images of processor state in memory: FXSAVE, XSAVE and x87 areas. Chips make several accesses, each of
 * whose offsets wraps. */
#include "cpu/mem.h"

/* Bytes of an image before its offset wraps. */
static unsigned before_wrap(u64 offset, u64 wrap, unsigned size)
{
    u64 room = wrap - (offset & wrap);
    return room < size - 1 ? (unsigned)room + 1 : size;
}

cpu_rc mem_read_image(struct cpu *cpu, unsigned seg, u64 offset, u64 wrap, void *data, unsigned size)
{
    unsigned n = before_wrap(offset, wrap, size);
    if (mem_read_bytes(cpu, seg, offset & wrap, data, n) != CPU_OK) {
        return CPU_EXIT;
    }
    return n == size ? CPU_OK : mem_read_bytes(cpu, seg, 0, (u8 *)data + n, size - n);
}

cpu_rc mem_write_image(struct cpu *cpu, unsigned seg, u64 offset, u64 wrap, const void *data, unsigned size)
{
    unsigned n = before_wrap(offset, wrap, size);
    if (mem_write_bytes(cpu, seg, offset & wrap, data, n) != CPU_OK) {
        return CPU_EXIT;
    }
    return n == size ? CPU_OK : mem_write_bytes(cpu, seg, 0, (const u8 *)data + n, size - n);
}

cpu_rc mem_probe_image(struct cpu *cpu, unsigned seg, u64 offset, u64 wrap, unsigned size, unsigned access)
{
    unsigned n = before_wrap(offset, wrap, size);
    if (mem_probe(cpu, seg, offset & wrap, n, access) != CPU_OK) {
        return CPU_EXIT;
    }
    return n == size ? CPU_OK : mem_probe(cpu, seg, 0, size - n, access);
}
