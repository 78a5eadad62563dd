/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Registers as GDB knows them: org.gnu.gdb.i386.core, .sse and .avx, and the system registers under QEMU's names. GDB
 * wants one description for a whole session: x86-64 unless --gdb ...,arch= says i386 or i8086. As with QEMU, processors
 * outside 64-bit mode then show the lower halves of their registers, and none of R8 to R15.
 *
 * The instruction pointer is linear, so that what is disassembled there and the breakpoints that are met there are the
 * right ones with any code segment; pc=offset makes it the offset in the segment, as QEMU has it.
 *
 * Written can be: general registers, the instruction pointer, flags, bases of FS and GS, CR2, x87, vectors, MXCSR. */
#include "base/bytes.h"
#include "cpu/apic.h"
#include "cpu/flags.h"
#include "debugger/gdb_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { GPR, IP, FLAGS, SEL, BASE, SYSTEM, ST, FCTRL };
enum system { K_GS_BASE, CR0, CR2, CR3, CR4, CR8, EFER };

struct reg {
    const char *name, *type; /* "@" in a type: "x64" or "i386" */
    u8 kind, index;
    u16 bits; /* 0: as wide as the architecture's */
};

static const struct reg general64[] = {
    {"rax", "int64", GPR, RAX, 0},    {"rbx", "int64", GPR, RBX, 0},    {"rcx", "int64", GPR, RCX, 0},
    {"rdx", "int64", GPR, RDX, 0},    {"rsi", "int64", GPR, RSI, 0},    {"rdi", "int64", GPR, RDI, 0},
    {"rbp", "data_ptr", GPR, RBP, 0}, {"rsp", "data_ptr", GPR, RSP, 0}, {"r8", "int64", GPR, 8, 0},
    {"r9", "int64", GPR, 9, 0},       {"r10", "int64", GPR, 10, 0},     {"r11", "int64", GPR, 11, 0},
    {"r12", "int64", GPR, 12, 0},     {"r13", "int64", GPR, 13, 0},     {"r14", "int64", GPR, 14, 0},
    {"r15", "int64", GPR, 15, 0},     {"rip", "code_ptr", IP, 0, 0},
};

static const struct reg general32[] = {
    {"eax", "int32", GPR, RAX, 0}, {"ecx", "int32", GPR, RCX, 0},    {"edx", "int32", GPR, RDX, 0},
    {"ebx", "int32", GPR, RBX, 0}, {"esp", "data_ptr", GPR, RSP, 0}, {"ebp", "data_ptr", GPR, RBP, 0},
    {"esi", "int32", GPR, RSI, 0}, {"edi", "int32", GPR, RDI, 0},    {"eip", "code_ptr", IP, 0, 0},
};

static const struct reg common[] = {
    {"eflags", "@_eflags", FLAGS, 0, 32}, {"cs", "int32", SEL, SEG_CS, 32},
    {"ss", "int32", SEL, SEG_SS, 32},     {"ds", "int32", SEL, SEG_DS, 32},
    {"es", "int32", SEL, SEG_ES, 32},     {"fs", "int32", SEL, SEG_FS, 32},
    {"gs", "int32", SEL, SEG_GS, 32},     {"fs_base", "int", BASE, SEG_FS, 0},
    {"gs_base", "int", BASE, SEG_GS, 0},  {"k_gs_base", "int", SYSTEM, K_GS_BASE, 0},
    {"cr0", "@_cr0", SYSTEM, CR0, 0},     {"cr2", "int", SYSTEM, CR2, 0},
    {"cr3", "@_cr3", SYSTEM, CR3, 0},     {"cr4", "@_cr4", SYSTEM, CR4, 0},
    {"cr8", "int", SYSTEM, CR8, 0},       {"efer", "@_efer", SYSTEM, EFER, 0},
    {"st0", "i387_ext", ST, 0, 80},       {"st1", "i387_ext", ST, 1, 80},
    {"st2", "i387_ext", ST, 2, 80},       {"st3", "i387_ext", ST, 3, 80},
    {"st4", "i387_ext", ST, 4, 80},       {"st5", "i387_ext", ST, 5, 80},
    {"st6", "i387_ext", ST, 6, 80},       {"st7", "i387_ext", ST, 7, 80},
    {"fctrl", "int", FCTRL, 0, 32},       {"fstat", "int", FCTRL, 1, 32},
    {"ftag", "int", FCTRL, 2, 32},        {"fiseg", "int", FCTRL, 3, 32},
    {"fioff", "int", FCTRL, 4, 32},       {"foseg", "int", FCTRL, 5, 32},
    {"fooff", "int", FCTRL, 6, 32},       {"fop", "int", FCTRL, 7, 32},
};

/* Behind the tables: XMM0 ..., MXCSR, upper halves of YMM0 ... */
struct places {
    const struct reg *general;
    unsigned generals, vectors, bits;
    unsigned xmm, mxcsr, ymm, count;
};

static struct places places_of(enum gdb_arch arch)
{
    bool wide = arch == GDB_X86_64;
    struct places p = {.general = wide ? general64 : general32,
                       .generals = wide ? ARRAY_LEN(general64) : ARRAY_LEN(general32),
                       .vectors = wide ? 16 : 8,
                       .bits = wide ? 64 : 32};
    p.xmm = p.generals + (unsigned)ARRAY_LEN(common);
    p.mxcsr = p.xmm + p.vectors;
    p.ymm = p.mxcsr + 1;
    p.count = p.ymm + p.vectors;
    return p;
}

static const struct reg *reg_of(const struct places *p, unsigned n)
{
    return n < p->generals ? &p->general[n] : &common[n - p->generals];
}

static unsigned bits_of(const struct places *p, const struct reg *r)
{
    return r->bits != 0 ? r->bits : p->bits;
}

unsigned gdb_register_count(enum gdb_arch arch)
{
    return places_of(arch).count;
}

unsigned gdb_register_size(enum gdb_arch arch, unsigned n)
{
    struct places p = places_of(arch);
    return n < p.xmm ? bits_of(&p, reg_of(&p, n)) / 8 : n == p.mxcsr ? 4u : n < p.count ? 16u : 0u;
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

static u64 system_register(const struct cpu *cpu, enum system which)
{
    const struct cpu_arch *a = &cpu->arch;
    switch (which) {
    case K_GS_BASE: return a->kernel_gs_base;
    case CR0: return a->cr0;
    case CR2: return a->cr2;
    case CR3: return a->cr3;
    case CR4: return a->cr4;
    case CR8: return apic_get_cr8(cpu->apic);
    case EFER: return a->efer;
    }
    return 0;
}

static u64 pc_base(const struct cpu *cpu, enum gdb_pc pc)
{
    return cpu->d.code64 || pc == GDB_PC_OFFSET ? 0 : cpu->d.seg_base[SEG_CS];
}

static u64 value_of(const struct cpu *cpu, enum gdb_pc pc, const struct reg *r)
{
    u64 low = cpu->d.code64 ? ~(u64)0 : 0xffffffff;
    switch ((enum kind)r->kind) {
    case GPR: return !cpu->d.code64 && r->index >= 8 ? 0 : cpu->arch.gpr[r->index] & low;
    case IP: return (pc_base(cpu, pc) + cpu->arch.rip) & low;
    case FLAGS: return cpu_rflags(cpu);
    case SEL: return cpu->arch.seg[r->index].sel;
    case BASE: return cpu->arch.seg[r->index].base;
    case SYSTEM: return system_register(cpu, (enum system)r->index);
    case FCTRL: return fpu_control(&cpu->arch.fpu, r->index);
    case ST: break;
    }
    return 0;
}

unsigned gdb_register_read(const struct gdb *g, const struct cpu *cpu, unsigned n, u8 *bytes)
{
    struct places p = places_of(g->arch);
    if (n >= p.ymm) {
        memcpy(bytes, cpu->arch.vec[n - p.ymm] + 16, 16);
    } else if (n == p.mxcsr) {
        store_le32(bytes, cpu->arch.mxcsr);
    } else if (n >= p.xmm) {
        memcpy(bytes, cpu->arch.vec[n - p.xmm], 16);
    } else if (reg_of(&p, n)->kind == ST) {
        const struct fpu_state *f = &cpu->arch.fpu;
        const struct f80 *r = &f->r[((f->fsw >> 11) + reg_of(&p, n)->index) & 7];
        store_le64(bytes, r->mant);
        store_le(bytes + 8, r->se, 2);
    } else {
        const struct reg *r = reg_of(&p, n);
        store_le(bytes, value_of(cpu, g->pc, r), bits_of(&p, r) / 8);
    }
    return gdb_register_size(g->arch, n);
}

static bool write_fpu(struct cpu *cpu, const struct reg *r, const u8 *bytes)
{
    struct fpu_state *f = &cpu->arch.fpu;
    if (r->kind == ST) {
        unsigned i = ((f->fsw >> 11) + r->index) & 7;
        f->r[i].mant = load_le64(bytes);
        f->r[i].se = (u16)load_le(bytes + 8, 2);
        f->tags = (u8)(f->tags | 1u << i);
        return true;
    }
    if (r->index == 0) {
        f->fcw = (u16)(load_le32(bytes) & 0x1f3f) | 0x40;
    }
    return r->index == 0;
}

/* 64 bits, or 32 that stand for the lower half. */
static bool write_value(struct cpu *cpu, enum gdb_pc pc, const struct reg *r, u64 value)
{
    switch ((enum kind)r->kind) {
    case GPR:
        if (!cpu->d.code64 && r->index >= 8) {
            return false;
        }
        cpu->arch.gpr[r->index] = value;
        return true;
    case IP: cpu->arch.rip = (value - pc_base(cpu, pc)) & (cpu->d.code64 ? ~(u64)0 : 0xffffffff); return true;
    case FLAGS: {
        u64 keep = cpu_rflags(cpu) & RFLAGS_VM;
        cpu_set_rflags(cpu, (value & 0x3d7fd5u & ~(u64)RFLAGS_VM) | keep | 2);
        cpu_update_mode(cpu);
        return true;
    }
    case BASE:
        cpu->arch.seg[r->index].base = value;
        cpu_update_mode(cpu);
        return true;
    case SYSTEM:
        if (r->index == K_GS_BASE) {
            cpu->arch.kernel_gs_base = value;
        } else if (r->index == CR2) {
            cpu->arch.cr2 = value;
        }
        return r->index == K_GS_BASE || r->index == CR2;
    case SEL:
    case ST:
    case FCTRL: break;
    }
    return false;
}

bool gdb_register_write(const struct gdb *g, struct cpu *cpu, unsigned n, const u8 *bytes)
{
    struct places p = places_of(g->arch);
    if (n >= p.ymm) {
        memcpy(cpu->arch.vec[n - p.ymm] + 16, bytes, 16);
    } else if (n == p.mxcsr) {
        cpu->arch.mxcsr = load_le32(bytes) & 0xffff;
    } else if (n >= p.xmm) {
        memcpy(cpu->arch.vec[n - p.xmm], bytes, 16);
    } else {
        const struct reg *r = reg_of(&p, n);
        bool fpu = r->kind == ST || r->kind == FCTRL;
        if (fpu ? !write_fpu(cpu, r, bytes) : !write_value(cpu, g->pc, r, load_le(bytes, bits_of(&p, r) / 8))) {
            return false;
        }
    }
    cpu->d.pending = true;
    return true;
}

/* ---- The description ---- */

/* Flags as "NAME first last;". */
static const struct {
    const char *name, *fields;
} flag_types[] = {
    {"eflags", "CF 0 0;PF 2 2;AF 4 4;ZF 6 6;SF 7 7;TF 8 8;IF 9 9;DF 10 10;OF 11 11;IOPL 12 13;NT 14 14;RF 16 16;"
               "VM 17 17;AC 18 18;VIF 19 19;VIP 20 20;ID 21 21;"},
    {"cr0", "PE 0 0;MP 1 1;EM 2 2;TS 3 3;ET 4 4;NE 5 5;WP 16 16;AM 18 18;NW 29 29;CD 30 30;PG 31 31;"},
    {"cr3", "PCID 0 11;PDBR 12 top;"},
    {"cr4", "VME 0 0;PVI 1 1;TSD 2 2;DE 3 3;PSE 4 4;PAE 5 5;MCE 6 6;PGE 7 7;PCE 8 8;OSFXSR 9 9;OSXMMEXCPT 10 10;"
            "UMIP 11 11;LA57 12 12;VMXE 13 13;SMXE 14 14;FSGSBASE 16 16;PCIDE 17 17;OSXSAVE 18 18;KL 19 19;SMEP 20 20;"
            "SMAP 21 21;PKE 22 22;CET 23 23;PKS 24 24;UINTR 25 25;LASS 27 27;LAM_SUP 28 28;"},
    {"efer", "SCE 0 0;LME 8 8;LMA 10 10;NXE 11 11;SVME 12 12;LMSLE 13 13;FFXSR 14 14;TCE 15 15;"},
};

static const char mxcsr_fields[] = "IE 0 0;DE 1 1;ZE 2 2;OE 3 3;UE 4 4;PE 5 5;DAZ 6 6;IM 7 7;DM 8 8;ZM 9 9;OM 10 10;"
                                   "UM 11 11;PM 12 12;FZ 15 15;";

static const char vector_types[] =
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/>"
    "<field name=\"v16_int8\" type=\"v16i8\"/><field name=\"v8_int16\" type=\"v8i16\"/>"
    "<field name=\"v4_int32\" type=\"v4i32\"/><field name=\"v2_int64\" type=\"v2i64\"/>"
    "<field name=\"uint128\" type=\"uint128\"/></union>";

static void put_flags(FILE *f, const char *prefix, const char *name, unsigned bits, const char *fields)
{
    (void)fprintf(f, "<flags id=\"%s_%s\" size=\"%u\">", prefix, name, bits / 8);
    for (const char *p = fields; *p != '\0'; p = strchr(p, ';') + 1) {
        char field[16], first[8], last[8];
        if (sscanf(p, "%15s %7[^ ] %7[^;]", field, first, last) == 3) {
            (void)fprintf(f, "<field name=\"%s\" start=\"%s\" end=\"%s\"/>", field, first,
                          last[0] != 't' ? last : bits == 64 ? "63" : "31");
        }
    }
    (void)fprintf(f, "</flags>");
}

char *gdb_target_xml(enum gdb_arch arch)
{
    static const char *const names[] = {"i386:x86-64", "i386", "i8086"};
    struct places p = places_of(arch);
    const char *prefix = p.bits == 64 ? "x64" : "i386";
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) {
        return NULL;
    }
    (void)fprintf(f, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
                     "<architecture>%s</architecture><feature name=\"org.gnu.gdb.i386.core\">", names[arch]);
    for (unsigned i = 0; i < ARRAY_LEN(flag_types); i++) {
        put_flags(f, prefix, flag_types[i].name, i == 0 ? 32 : p.bits, flag_types[i].fields);
    }
    for (unsigned i = 0; i < p.xmm; i++) {
        const struct reg *r = reg_of(&p, i);
        bool flags = r->type[0] == '@', wide = strcmp(r->type, "int") == 0 && r->bits == 0;
        (void)fprintf(f, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s%s\" regnum=\"%u\"/>", r->name, bits_of(&p, r),
                      flags ? prefix : wide ? (p.bits == 64 ? "int64" : "int32") : r->type, flags ? r->type + 1 : "", i);
    }
    (void)fprintf(f, "</feature><feature name=\"org.gnu.gdb.i386.sse\">%s", vector_types);
    put_flags(f, prefix, "mxcsr", 32, mxcsr_fields);
    for (unsigned i = 0; i < p.vectors; i++) {
        (void)fprintf(f, "<reg name=\"xmm%u\" bitsize=\"128\" type=\"vec128\" regnum=\"%u\"/>", i, p.xmm + i);
    }
    (void)fprintf(f, "<reg name=\"mxcsr\" bitsize=\"32\" type=\"%s_mxcsr\" group=\"vector\" regnum=\"%u\"/></feature>"
                     "<feature name=\"org.gnu.gdb.i386.avx\">", prefix, p.mxcsr);
    for (unsigned i = 0; i < p.vectors; i++) {
        (void)fprintf(f, "<reg name=\"ymm%uh\" bitsize=\"128\" type=\"uint128\" regnum=\"%u\"/>", i, p.ymm + i);
    }
    (void)fprintf(f, "</feature></target>");
    return fclose(f) == 0 ? text : NULL;
}
