/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IN, OUT and the permission to use a port. [SDM1 "Input/Output"] INS and OUTS: exec/string.c. */
#include "cpu/exec/exec_system.h"
#include "cpu/segment.h"
#include "cpu/virt.h"

/* [SDM1 "I/O Permission Bit Map"]: two bytes are read whatever the size. */
static cpu_rc check_bitmap(struct cpu *cpu, u16 port, unsigned size)
{
    const struct segment *tr = &cpu->arch.tr;
    u64 base, bits;
    bool wide = (tr->attr & SEG_TYPE) == SYS_TSS_BUSY || (tr->attr & SEG_TYPE) == SYS_TSS_AVAIL;
    if (!wide || tr->limit < 103) {
        return raise_gp(cpu, 0, "I/O above IOPL without an I/O permission map");
    }
    TRY(sys_read(cpu, seg_sum(cpu, tr->base, 102), 2, &base));
    u32 at = (u32)base + port / 8u;
    if (at + 1 > tr->limit) {
        return raise_gp(cpu, 0, "port beyond the I/O permission map");
    }
    TRY(sys_read(cpu, seg_sum(cpu, tr->base, at), 2, &bits));
    if (((bits >> (port & 7)) & ((1u << size) - 1)) != 0) {
        return raise_gp(cpu, 0, "port denied by the I/O permission map");
    }
    return CPU_OK;
}

cpu_rc io_check(struct cpu *cpu, u16 port, unsigned size)
{
    if (!cpu->d.prot) {
        return CPU_OK;
    }
    unsigned iopl = (unsigned)(cpu->arch.rflags & RFLAGS_IOPL) >> RFLAGS_IOPL_SHIFT;
    return cpu->d.v86 || cpu_cpl(cpu) > iopl ? check_bitmap(cpu, port, size) : CPU_OK;
}

/* The board may change anything: events, the next deadline, memory. So the block ends here. */
u32 io_read_port(struct cpu *cpu, u16 port, unsigned size)
{
    cpu_leave_block(cpu);
    u32 v = cpu->ports.io_read != NULL ? cpu->ports.io_read(cpu->ports.self, port, size) : ~(u32)0;
    debug_check_io(cpu, port, size);
    return v & (u32)size_mask(size);
}

void io_write_port(struct cpu *cpu, u16 port, u32 value, unsigned size)
{
    cpu_leave_block(cpu);
    if (cpu->ports.io_write != NULL) {
        cpu->ports.io_write(cpu->ports.self, port, value & (u32)size_mask(size), size);
    }
    debug_check_io(cpu, port, size);
}

static u16 port_of(const struct cpu *cpu, const struct insn *in, unsigned operand)
{
    return in->r[operand] == OPR_IMM ? (u8)in->imm : (u16)cpu->arch.gpr[RDX];
}

cpu_rc exec_in(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz == 8 ? 4 : in->osz;
    u16 port = port_of(cpu, in, 1);
    TRY(io_check(cpu, port, size));
    if (in_guest(cpu)) {
        TRY(virt_io(cpu, &(struct io_access){.port = port,
                                             .size = (u8)size,
                                             .in = true,
                                             .imm = in->r[1] == OPR_IMM}));
    }
    gpr_write(cpu, RAX, size, io_read_port(cpu, port, size));
    return CPU_OK;
}

cpu_rc exec_out(struct cpu *cpu, const struct insn *in)
{
    unsigned size = in->osz == 8 ? 4 : in->osz;
    u16 port = port_of(cpu, in, 0);
    TRY(io_check(cpu, port, size));
    if (in_guest(cpu)) {
        TRY(virt_io(cpu, &(struct io_access){.port = port,
                                             .size = (u8)size,
                                             .imm = in->r[0] == OPR_IMM}));
    }
    io_write_port(cpu, port, (u32)cpu->arch.gpr[RAX], size);
    return CPU_OK;
}
