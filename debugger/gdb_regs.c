/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Registers as GDB knows them: org.gnu.gdb.i386.core, .sse and .avx, and the system registers under QEMU's names.
 * The description is that of 64-bit code whatever the processor's mode is.
 *
 * Written can be: general registers, RIP, EFLAGS, vectors and MXCSR. */
#include "base/bytes.h"
#include "cpu/apic.h"
#include "cpu/flags.h"
#include "debugger/gdb_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { GPR, RIP, FLAGS, SEL, BASE, SYSTEM, ST, FCTRL, XMM, MXCSR_REG, YMM_HIGH };

struct reg {
    const char *name, *type;
    u8 kind, index;
    u16 bits;
};

static const struct reg regs[] = {
    {"rax", "int64", GPR, RAX, 64},       {"rbx", "int64", GPR, RBX, 64},
    {"rcx", "int64", GPR, RCX, 64},       {"rdx", "int64", GPR, RDX, 64},
    {"rsi", "int64", GPR, RSI, 64},       {"rdi", "int64", GPR, RDI, 64},
    {"rbp", "data_ptr", GPR, RBP, 64},    {"rsp", "data_ptr", GPR, RSP, 64},
    {"r8", "int64", GPR, 8, 64},          {"r9", "int64", GPR, 9, 64},
    {"r10", "int64", GPR, 10, 64},        {"r11", "int64", GPR, 11, 64},
    {"r12", "int64", GPR, 12, 64},        {"r13", "int64", GPR, 13, 64},
    {"r14", "int64", GPR, 14, 64},        {"r15", "int64", GPR, 15, 64},
    {"rip", "code_ptr", RIP, 0, 64},      {"eflags", "x64_eflags", FLAGS, 0, 32},
    {"cs", "int32", SEL, SEG_CS, 32},     {"ss", "int32", SEL, SEG_SS, 32},
    {"ds", "int32", SEL, SEG_DS, 32},     {"es", "int32", SEL, SEG_ES, 32},
    {"fs", "int32", SEL, SEG_FS, 32},     {"gs", "int32", SEL, SEG_GS, 32},
    {"fs_base", "int64", BASE, SEG_FS, 64}, {"gs_base", "int64", BASE, SEG_GS, 64},
    {"k_gs_base", "int64", SYSTEM, 0, 64}, {"cr0", "x64_cr0", SYSTEM, 1, 64},
    {"cr2", "int64", SYSTEM, 2, 64},      {"cr3", "x64_cr3", SYSTEM, 3, 64},
    {"cr4", "x64_cr4", SYSTEM, 4, 64},    {"cr8", "int64", SYSTEM, 5, 64},
    {"efer", "x64_efer", SYSTEM, 6, 64},
    {"st0", "i387_ext", ST, 0, 80},       {"st1", "i387_ext", ST, 1, 80},
    {"st2", "i387_ext", ST, 2, 80},       {"st3", "i387_ext", ST, 3, 80},
    {"st4", "i387_ext", ST, 4, 80},       {"st5", "i387_ext", ST, 5, 80},
    {"st6", "i387_ext", ST, 6, 80},       {"st7", "i387_ext", ST, 7, 80},
    {"fctrl", "int", FCTRL, 0, 32},       {"fstat", "int", FCTRL, 1, 32},
    {"ftag", "int", FCTRL, 2, 32},        {"fiseg", "int", FCTRL, 3, 32},
    {"fioff", "int", FCTRL, 4, 32},       {"foseg", "int", FCTRL, 5, 32},
    {"fooff", "int", FCTRL, 6, 32},       {"fop", "int", FCTRL, 7, 32},
};

#define REGS_TABLE ((unsigned)ARRAY_LEN(regs))
#define REG_XMM REGS_TABLE
#define REG_MXCSR (REG_XMM + 16)
#define REG_YMM (REG_MXCSR + 1)
#define REG_COUNT (REG_YMM + 16)

unsigned gdb_register_count(void)
{
    return REG_COUNT;
}

unsigned gdb_register_size(unsigned n)
{
    return n < REGS_TABLE ? regs[n].bits / 8u : n == REG_MXCSR ? 4u : n < REG_COUNT ? 16u : 0u;
}

/* Two bits for each physical register: 0 valid, 1 zero, 2 special, 3 empty. */
static u64 full_tags(const struct fpu_state *f)
{
    u64 tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned e = f->r[i].se & 0x7fffu;
        u64 tag = ((f->tags >> i) & 1) == 0                        ? 3
                  : e == 0 && f->r[i].mant == 0                    ? 1
                  : e == 0 || e == 0x7fff || f->r[i].mant >> 63 == 0 ? 2
                                                                   : 0;
        tags |= tag << (2 * i);
    }
    return tags;
}

static u64 fpu_control(const struct fpu_state *f, unsigned index)
{
    const u64 values[] = {f->fcw, f->fsw, full_tags(f), f->fcs, f->fip, f->fds, f->fdp, f->fop};
    return values[index];
}

static u64 system_register(const struct cpu *cpu, unsigned index)
{
    const struct cpu_arch *a = &cpu->arch;
    const u64 values[] = {a->kernel_gs_base, a->cr0, a->cr2, a->cr3, a->cr4, apic_get_cr8(cpu->apic), a->efer};
    return values[index];
}

static u64 value_of(const struct cpu *cpu, const struct reg *r)
{
    switch ((enum kind)r->kind) {
    case GPR: return cpu->arch.gpr[r->index];
    case RIP: return (cpu->d.code64 ? 0 : cpu->d.seg_base[SEG_CS]) + cpu->arch.rip;
    case FLAGS: return cpu_rflags(cpu);
    case SEL: return cpu->arch.seg[r->index].sel;
    case BASE: return cpu->arch.seg[r->index].base;
    case SYSTEM: return system_register(cpu, r->index);
    case FCTRL: return fpu_control(&cpu->arch.fpu, r->index);
    case ST:
    case XMM:
    case MXCSR_REG:
    case YMM_HIGH: break;
    }
    return 0;
}

unsigned gdb_register_read(const struct cpu *cpu, unsigned n, u8 *bytes)
{
    if (n >= REG_YMM) {
        memcpy(bytes, cpu->arch.vec[n - REG_YMM] + 16, 16);
    } else if (n == REG_MXCSR) {
        store_le32(bytes, cpu->arch.mxcsr);
    } else if (n >= REG_XMM) {
        memcpy(bytes, cpu->arch.vec[n - REG_XMM], 16);
    } else if (regs[n].kind == ST) {
        const struct fpu_state *f = &cpu->arch.fpu;
        const struct f80 *r = &f->r[((f->fsw >> 11) + regs[n].index) & 7];
        store_le64(bytes, r->mant);
        store_le(bytes + 8, r->se, 2);
    } else {
        store_le(bytes, value_of(cpu, &regs[n]), regs[n].bits / 8u);
    }
    return gdb_register_size(n);
}

bool gdb_register_write(struct cpu *cpu, unsigned n, const u8 *bytes)
{
    if (n >= REG_YMM) {
        memcpy(cpu->arch.vec[n - REG_YMM] + 16, bytes, 16);
    } else if (n == REG_MXCSR) {
        cpu->arch.mxcsr = load_le32(bytes) & 0xffff;
    } else if (n >= REG_XMM) {
        memcpy(cpu->arch.vec[n - REG_XMM], bytes, 16);
    } else if (regs[n].kind == GPR) {
        cpu->arch.gpr[regs[n].index] = load_le64(bytes);
    } else if (regs[n].kind == RIP) {
        cpu->arch.rip = load_le64(bytes) - (cpu->d.code64 ? 0 : cpu->d.seg_base[SEG_CS]);
    } else if (regs[n].kind == FLAGS) {
        u64 keep = cpu_rflags(cpu) & RFLAGS_VM;
        cpu_set_rflags(cpu, (load_le32(bytes) & 0x3d7fd5u & ~(u64)RFLAGS_VM) | keep | 2);
        cpu_update_mode(cpu);
    } else {
        return false;
    }
    cpu->d.pending = true;
    return true;
}

/* ---- The description ---- */

static const char flag_types[] =
    "<flags id=\"x64_eflags\" size=\"4\">"
    "<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/>"
    "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
    "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
    "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
    "<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
    "<field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/>"
    "<field name=\"VM\" start=\"17\" end=\"17\"/><field name=\"AC\" start=\"18\" end=\"18\"/>"
    "<field name=\"VIF\" start=\"19\" end=\"19\"/><field name=\"VIP\" start=\"20\" end=\"20\"/>"
    "<field name=\"ID\" start=\"21\" end=\"21\"/></flags>"
    "<flags id=\"x64_cr0\" size=\"8\"><field name=\"PE\" start=\"0\" end=\"0\"/>"
    "<field name=\"MP\" start=\"1\" end=\"1\"/><field name=\"EM\" start=\"2\" end=\"2\"/>"
    "<field name=\"TS\" start=\"3\" end=\"3\"/><field name=\"ET\" start=\"4\" end=\"4\"/>"
    "<field name=\"NE\" start=\"5\" end=\"5\"/><field name=\"WP\" start=\"16\" end=\"16\"/>"
    "<field name=\"AM\" start=\"18\" end=\"18\"/><field name=\"NW\" start=\"29\" end=\"29\"/>"
    "<field name=\"CD\" start=\"30\" end=\"30\"/><field name=\"PG\" start=\"31\" end=\"31\"/></flags>"
    "<flags id=\"x64_cr3\" size=\"8\"><field name=\"PCID\" start=\"0\" end=\"11\"/>"
    "<field name=\"PDBR\" start=\"12\" end=\"63\"/></flags>"
    "<flags id=\"x64_cr4\" size=\"8\"><field name=\"PSE\" start=\"4\" end=\"4\"/>"
    "<field name=\"PAE\" start=\"5\" end=\"5\"/><field name=\"PGE\" start=\"7\" end=\"7\"/>"
    "<field name=\"OSFXSR\" start=\"9\" end=\"9\"/><field name=\"UMIP\" start=\"11\" end=\"11\"/>"
    "<field name=\"LA57\" start=\"12\" end=\"12\"/><field name=\"VMXE\" start=\"13\" end=\"13\"/>"
    "<field name=\"FSGSBASE\" start=\"16\" end=\"16\"/><field name=\"PCIDE\" start=\"17\" end=\"17\"/>"
    "<field name=\"OSXSAVE\" start=\"18\" end=\"18\"/><field name=\"SMEP\" start=\"20\" end=\"20\"/>"
    "<field name=\"SMAP\" start=\"21\" end=\"21\"/><field name=\"PKE\" start=\"22\" end=\"22\"/></flags>"
    "<flags id=\"x64_efer\" size=\"8\"><field name=\"SCE\" start=\"0\" end=\"0\"/>"
    "<field name=\"LME\" start=\"8\" end=\"8\"/><field name=\"LMA\" start=\"10\" end=\"10\"/>"
    "<field name=\"NXE\" start=\"11\" end=\"11\"/><field name=\"SVME\" start=\"12\" end=\"12\"/></flags>";

static const char vector_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
    "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
    "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
    "<field name=\"uint128\" type=\"uint128\"/></union>";

char *gdb_target_xml(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) {
        return NULL;
    }
    (void)fprintf(f, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
                     "<architecture>i386:x86-64</architecture>"
                     "<feature name=\"org.gnu.gdb.i386.core\">%s", flag_types);
    for (unsigned i = 0; i < REGS_TABLE; i++) {
        (void)fprintf(f, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"/>", regs[i].name, regs[i].bits,
                      regs[i].type, i);
    }
    (void)fprintf(f, "</feature><feature name=\"org.gnu.gdb.i386.sse\">%s", vector_types);
    for (unsigned i = 0; i < 16; i++) {
        (void)fprintf(f, "<reg name=\"xmm%u\" bitsize=\"128\" type=\"vec128\" regnum=\"%u\"/>", i, REG_XMM + i);
    }
    (void)fprintf(f, "<reg name=\"mxcsr\" bitsize=\"32\" type=\"int\" group=\"vector\" regnum=\"%u\"/></feature>"
                     "<feature name=\"org.gnu.gdb.i386.avx\">", REG_MXCSR);
    for (unsigned i = 0; i < 16; i++) {
        (void)fprintf(f, "<reg name=\"ymm%uh\" bitsize=\"128\" type=\"uint128\" regnum=\"%u\"/>", i, REG_YMM + i);
    }
    (void)fprintf(f, "</feature></target>");
    return fclose(f) == 0 ? text : NULL;
}
