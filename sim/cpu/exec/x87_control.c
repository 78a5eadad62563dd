/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/exec/x87.h"

cpu_rc fpu_pending(struct cpu *cpu)
{
    if ((cpu->arch.fpu.fsw & FSW_ES) == 0) {
        return CPU_OK;
    }
    return raise_exception(cpu, VEC_MF, "pending x87 exception");
}
