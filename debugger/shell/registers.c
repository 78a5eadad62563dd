/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Registers by name, for expressions. Left out: x87 and vector registers, which `info fpu` and `info vector` show. */
#include "cpu/apic.h"
#include "cpu/flags.h"
#include "debugger/shell/shell_priv.h"

#include <string.h>
#include <strings.h>

enum kind { GPR, HIGH8, RIP, PC, FLAGS, SELECTOR, BASE, LIMIT, ATTR, SYSTEM, DEBUG };

enum system {
    SYS_CR0, SYS_CR2, SYS_CR3, SYS_CR4, SYS_CR8, SYS_EFER, SYS_K_GS_BASE, SYS_GDTR, SYS_IDTR, SYS_LDTR, SYS_TR,
    SYS_DR6, SYS_DR7, SYS_XCR0, SYS_PKRU, SYS_MXCSR, SYS_CPL
};

static const struct shell_register registers[] = {
    {"rax", GPR, RAX, 64}, {"rbx", GPR, RBX, 64}, {"rcx", GPR, RCX, 64}, {"rdx", GPR, RDX, 64},
    {"rsi", GPR, RSI, 64}, {"rdi", GPR, RDI, 64}, {"rbp", GPR, RBP, 64}, {"rsp", GPR, RSP, 64},
    {"r8", GPR, 8, 64},    {"r9", GPR, 9, 64},    {"r10", GPR, 10, 64},  {"r11", GPR, 11, 64},
    {"r12", GPR, 12, 64},  {"r13", GPR, 13, 64},  {"r14", GPR, 14, 64},  {"r15", GPR, 15, 64},
    {"rip", RIP, 0, 64},   {"eip", RIP, 0, 32},   {"pc", PC, 0, 64},     {"sp", GPR, RSP, 64},
    {"rflags", FLAGS, 0, 64}, {"eflags", FLAGS, 0, 32},
    {"eax", GPR, RAX, 32}, {"ebx", GPR, RBX, 32}, {"ecx", GPR, RCX, 32}, {"edx", GPR, RDX, 32},
    {"esi", GPR, RSI, 32}, {"edi", GPR, RDI, 32}, {"ebp", GPR, RBP, 32}, {"esp", GPR, RSP, 32},
    {"r8d", GPR, 8, 32},   {"r9d", GPR, 9, 32},   {"r10d", GPR, 10, 32}, {"r11d", GPR, 11, 32},
    {"r12d", GPR, 12, 32}, {"r13d", GPR, 13, 32}, {"r14d", GPR, 14, 32}, {"r15d", GPR, 15, 32},
    {"ax", GPR, RAX, 16},  {"bx", GPR, RBX, 16},  {"cx", GPR, RCX, 16},  {"dx", GPR, RDX, 16},
    {"si", GPR, RSI, 16},  {"di", GPR, RDI, 16},  {"bp", GPR, RBP, 16},
    {"al", GPR, RAX, 8},   {"bl", GPR, RBX, 8},   {"cl", GPR, RCX, 8},   {"dl", GPR, RDX, 8},
    {"ah", HIGH8, RAX, 8}, {"bh", HIGH8, RBX, 8}, {"ch", HIGH8, RCX, 8}, {"dh", HIGH8, RDX, 8},
    {"es", SELECTOR, SEG_ES, 16}, {"cs", SELECTOR, SEG_CS, 16}, {"ss", SELECTOR, SEG_SS, 16},
    {"ds", SELECTOR, SEG_DS, 16}, {"fs", SELECTOR, SEG_FS, 16}, {"gs", SELECTOR, SEG_GS, 16},
    {"es_base", BASE, SEG_ES, 64}, {"cs_base", BASE, SEG_CS, 64}, {"ss_base", BASE, SEG_SS, 64},
    {"ds_base", BASE, SEG_DS, 64}, {"fs_base", BASE, SEG_FS, 64}, {"gs_base", BASE, SEG_GS, 64},
    {"cs_limit", LIMIT, SEG_CS, 32}, {"ss_limit", LIMIT, SEG_SS, 32},
    {"cs_attr", ATTR, SEG_CS, 32}, {"ss_attr", ATTR, SEG_SS, 32},
    {"cr0", SYSTEM, SYS_CR0, 64}, {"cr2", SYSTEM, SYS_CR2, 64}, {"cr3", SYSTEM, SYS_CR3, 64},
    {"cr4", SYSTEM, SYS_CR4, 64}, {"cr8", SYSTEM, SYS_CR8, 64}, {"efer", SYSTEM, SYS_EFER, 64},
    {"k_gs_base", SYSTEM, SYS_K_GS_BASE, 64}, {"gdtr", SYSTEM, SYS_GDTR, 64}, {"idtr", SYSTEM, SYS_IDTR, 64},
    {"ldtr", SYSTEM, SYS_LDTR, 16}, {"tr", SYSTEM, SYS_TR, 16}, {"xcr0", SYSTEM, SYS_XCR0, 64},
    {"pkru", SYSTEM, SYS_PKRU, 32}, {"mxcsr", SYSTEM, SYS_MXCSR, 32}, {"cpl", SYSTEM, SYS_CPL, 8},
    {"dr0", DEBUG, 0, 64}, {"dr1", DEBUG, 1, 64}, {"dr2", DEBUG, 2, 64}, {"dr3", DEBUG, 3, 64},
    {"dr6", SYSTEM, SYS_DR6, 64}, {"dr7", SYSTEM, SYS_DR7, 64},
};

const char *register_name(unsigned n)
{
    return n < ARRAY_LEN(registers) ? registers[n].name : NULL;
}

bool register_find(const char *name, size_t len, const struct shell_register **reg)
{
    for (unsigned i = 0; i < ARRAY_LEN(registers); i++) {
        if (strlen(registers[i].name) == len && strncasecmp(registers[i].name, name, len) == 0) {
            *reg = &registers[i];
            return true;
        }
    }
    return false;
}

static u64 system_value(const struct cpu *cpu, enum system which)
{
    const struct cpu_arch *a = &cpu->arch;
    switch (which) {
    case SYS_CR0: return a->cr0;
    case SYS_CR2: return a->cr2;
    case SYS_CR3: return a->cr3;
    case SYS_CR4: return a->cr4;
    case SYS_CR8: return apic_get_cr8(cpu->apic);
    case SYS_EFER: return a->efer;
    case SYS_K_GS_BASE: return a->kernel_gs_base;
    case SYS_GDTR: return a->gdtr.base;
    case SYS_IDTR: return a->idtr.base;
    case SYS_LDTR: return a->ldtr.sel;
    case SYS_TR: return a->tr.sel;
    case SYS_DR6: return a->dr6;
    case SYS_DR7: return a->dr7;
    case SYS_XCR0: return a->xcr0;
    case SYS_PKRU: return a->pkru;
    case SYS_MXCSR: return a->mxcsr;
    case SYS_CPL: return cpu->d.cpl;
    }
    return 0;
}

static u64 mask_of(unsigned bits)
{
    return bits == 64 ? ~(u64)0 : ((u64)1 << bits) - 1;
}

u64 register_get(const struct cpu *cpu, const struct shell_register *r)
{
    const struct cpu_arch *a = &cpu->arch;
    switch ((enum kind)r->kind) {
    case GPR: return a->gpr[r->index] & mask_of(r->bits);
    case HIGH8: return a->gpr[r->index] >> 8 & 0xff;
    case RIP: return a->rip & mask_of(r->bits);
    case PC: return shell_pc(cpu);
    case FLAGS: return cpu_rflags(cpu) & mask_of(r->bits);
    case SELECTOR: return a->seg[r->index].sel;
    case BASE: return a->seg[r->index].base;
    case LIMIT: return a->seg[r->index].limit;
    case ATTR: return a->seg[r->index].attr;
    case SYSTEM: return system_value(cpu, (enum system)r->index);
    case DEBUG: return a->dr[r->index];
    }
    return 0;
}

bool register_set(struct cpu *cpu, const struct shell_register *r, u64 value)
{
    u64 *gpr = &cpu->arch.gpr[r->index & 15];
    switch ((enum kind)r->kind) {
    case GPR:
        /* As instructions do: 32-bit writes clear the upper half. */
        *gpr = r->bits >= 32 ? value & mask_of(r->bits) : (*gpr & ~mask_of(r->bits)) | (value & mask_of(r->bits));
        break;
    case HIGH8: *gpr = (*gpr & ~(u64)0xff00) | (value & 0xff) << 8; break;
    case RIP: cpu->arch.rip = value & mask_of(r->bits); break;
    case PC: cpu->arch.rip = value - (cpu->d.code64 ? 0 : cpu->d.seg_base[SEG_CS]); break;
    case FLAGS: {
        u64 keep = cpu_rflags(cpu) & RFLAGS_VM;
        cpu_set_rflags(cpu, (value & 0x3d7fd5u & ~(u64)RFLAGS_VM) | keep | RFLAGS_ONE);
        cpu_update_mode(cpu);
        break;
    }
    case SELECTOR:
    case BASE:
    case LIMIT:
    case ATTR:
    case SYSTEM:
    case DEBUG: return false;
    }
    cpu->d.pending = true;
    return true;
}

u64 shell_pc(const struct cpu *cpu)
{
    return ((cpu->d.code64 ? 0 : cpu->d.seg_base[SEG_CS]) + cpu->arch.rip) & cpu->d.lin_mask;
}

unsigned shell_code_size(const struct cpu *cpu)
{
    return cpu->d.code_size;
}
