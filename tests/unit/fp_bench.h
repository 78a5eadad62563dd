/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A bare processor around the handlers of exec/: memory operands are this process's own memory, so
 * that the same addresses serve the handler and the host's instruction; exceptions are recorded.
 * Included by one test file each (it defines the memory interface the handlers call). */
#ifndef VITRINE_TESTS_UNIT_FP_BENCH_H
#define VITRINE_TESTS_UNIT_FP_BENCH_H

#include "abi/x86/fpu.h"
#include "cpu/cpu.h"
#include "cpu/exec/exec.h"
#include "cpu/exec/simd.h"
#include "cpu/model.h"
#include "cpu/virt.h"
#include "tests/harness/native_run.h"

#include <Zydis/Zydis.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cpu_rc raise_exception(struct cpu *cpu, unsigned vector, const char *why)
{
    cpu->event = (struct event){.kind = EVENT_EXCEPTION, .vector = (u8)vector, .why = why};
    return CPU_EXIT;
}

cpu_rc raise_error(struct cpu *cpu, unsigned vector, u32 error, const char *why)
{
    (void)raise_exception(cpu, vector, why);
    cpu->event.has_error = true;
    cpu->event.error = error;
    return CPU_EXIT;
}

void cpu_update_mode(struct cpu *cpu)
{
    UNUSED(cpu);
}

bool lin_is_canonical(const struct cpu *cpu, u64 lin)
{
    UNUSED(cpu);
    return (u64)((i64)(lin << 16) >> 16) == lin;
}

cpu_rc mem_read_bytes(struct cpu *cpu, unsigned seg, u64 offset, void *data, unsigned size)
{
    UNUSED(cpu);
    UNUSED(seg);
    memcpy(data, (const void *)(uintptr_t)offset, size);
    return CPU_OK;
}

cpu_rc mem_write_bytes(struct cpu *cpu, unsigned seg, u64 offset, const void *data, unsigned size)
{
    UNUSED(cpu);
    UNUSED(seg);
    memcpy((void *)(uintptr_t)offset, data, size);
    return CPU_OK;
}

cpu_rc mem_read_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 *out)
{
    *out = 0;
    return mem_read_bytes(cpu, seg, offset, out, size);
}

cpu_rc mem_write_slow(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 value)
{
    return mem_write_bytes(cpu, seg, offset, &value, size);
}

cpu_rc mem_read_element(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 *out)
{
    return mem_read_slow(cpu, seg, offset, size, out);
}

cpu_rc mem_write_element(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, u64 value)
{
    return mem_write_bytes(cpu, seg, offset, &value, size);
}

cpu_rc mem_check_ac(struct cpu *cpu, unsigned seg, u64 offset, unsigned align)
{
    UNUSED(cpu);
    UNUSED(seg);
    UNUSED(offset);
    UNUSED(align);
    return CPU_OK;
}

cpu_rc virt_ferr(struct cpu *cpu)
{
    UNUSED(cpu);
    return CPU_OK;
}

/* Addresses that probes find missing. */
static u64 bench_hole, bench_hole_end;

cpu_rc mem_probe(struct cpu *cpu, unsigned seg, u64 offset, unsigned size, unsigned access)
{
    UNUSED(seg);
    UNUSED(access);
    if (offset + size <= bench_hole || offset >= bench_hole_end) {
        return CPU_OK;
    }
    (void)raise_error(cpu, VEC_PF, 0, "hole");
    cpu->event.cr2 = offset > bench_hole ? offset : bench_hole;
    return CPU_EXIT;
}

cpu_rc mem_linear(struct cpu *cpu, unsigned seg, u64 offset, u64 size, unsigned access, u64 *lin)
{
    UNUSED(size);
    UNUSED(access);
    *lin = cpu->d.seg_base[seg] + offset;
    return CPU_OK;
}

cpu_rc mem_check_aligned(struct cpu *cpu, unsigned seg, u64 offset, unsigned align)
{
    UNUSED(seg);
    return (offset & (align - 1)) == 0 ? CPU_OK : raise_gp(cpu, 0, "alignment");
}

struct bench {
    struct cpu cpu;
    struct cpu_model model;
    struct native *native;
    struct tlb_ctx ctx;
    u64 seed;
    u8 area[4096] __attribute__((aligned(64)));
};

static inline u64 bench_random(struct bench *b)
{
    b->seed ^= b->seed << 13;
    b->seed ^= b->seed >> 7;
    b->seed ^= b->seed << 17;
    return b->seed * 0x2545f4914f6cdd1du;
}

static inline void bench_open(struct bench *b)
{
    memset(b, 0, sizeof *b);
    b->seed = 0x9e3779b97f4a7c15u;
    memset(b->model.features, 0xff, sizeof b->model.features);
    b->model.features[CPU_FEATURE_MISALIGNSSE / 64] &= ~BIT(CPU_FEATURE_MISALIGNSSE % 64);
    b->model.vendor = CPU_VENDOR_INTEL;
    b->cpu.model = &b->model;
    b->cpu.d.code64 = true;
    b->cpu.d.prot = b->cpu.d.long_mode = true;
    b->cpu.d.code_size = 8;
    b->cpu.d.lin_mask = ~(u64)0;
    b->cpu.d.ctx = &b->ctx; /* all limits 0: every access takes the slow path */
    b->cpu.arch.cr0 = CR0_PE | CR0_NE | CR0_MP;
    b->cpu.arch.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
    b->cpu.arch.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
    b->cpu.arch.mxcsr = MXCSR_INIT;
    b->native = native_open();
}

/* An instruction for both sides. `operands`: one letter each: x y XMM/YMM, r ECX/EDX.., q the same with
 * 64 bits, p MMX, m memory at [RSI], i imm8. Numbers go up from 1 in order. */
struct bench_insn {
    struct insn in;
    u8 bytes[16];
    unsigned len;
};

static inline bool bench_encode(struct bench_insn *out, ZydisMnemonic mnemonic, exec_fn *exec,
                                const char *operands, unsigned mem_bytes, unsigned imm,
                                const u8 regs[4])
{
    ZydisEncoderRequest req = {.machine_mode = ZYDIS_MACHINE_MODE_LONG_64, .mnemonic = mnemonic};
    memset(out, 0, sizeof *out);
    out->in = (struct insn){.exec = exec,
                            .osz = 16,
                            .r = {OPR_NONE, OPR_NONE, OPR_NONE, OPR_NONE},
                            .base = REG_NONE,
                            .index = REG_NONE,
                            .sib = SEG_DS << 2 | 2 << 5};
    unsigned n = 0;
    for (const char *p = operands; *p != 0; p++, n++) {
        ZydisEncoderOperand *op = &req.operands[n];
        unsigned reg = regs[n];
        op->type = ZYDIS_OPERAND_TYPE_REGISTER;
        switch (*p) {
        case 'x':
            op->reg.value = (ZydisRegister)(ZYDIS_REGISTER_XMM0 + reg);
            out->in.r[n] = (u8)(OPR_VEC + reg);
            break;
        case 'y':
            op->reg.value = (ZydisRegister)(ZYDIS_REGISTER_YMM0 + reg);
            out->in.r[n] = (u8)(OPR_VEC + reg);
            out->in.osz = 32;
            out->in.pfx |= PFX_VEX_L;
            break;
        case 'r':
            op->reg.value = (ZydisRegister)(ZYDIS_REGISTER_EAX + reg);
            out->in.r[n] = (u8)reg;
            break;
        case 'q':
            op->reg.value = (ZydisRegister)(ZYDIS_REGISTER_RAX + reg);
            out->in.r[n] = (u8)reg;
            out->in.pfx |= PFX_REXW;
            break;
        case 'p':
            op->reg.value = (ZydisRegister)(ZYDIS_REGISTER_MM0 + reg);
            out->in.r[n] = (u8)(OPR_MMX + reg);
            break;
        case 'm':
            op->type = ZYDIS_OPERAND_TYPE_MEMORY;
            op->mem.base = ZYDIS_REGISTER_RSI;
            op->mem.size = (ZyanU16)mem_bytes;
            out->in.r[n] = OPR_MEM;
            out->in.base = RSI;
            break;
        default:
            op->type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
            op->imm.u = imm;
            out->in.r[n] = OPR_IMM;
            out->in.imm = imm;
            break;
        }
    }
    req.operand_count = (ZyanU8)n;
    ZyanUSize length = sizeof out->bytes;
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstruction(&req, out->bytes, &length))) {
        return false;
    }
    out->len = (unsigned)length;
    out->in.len = (u8)length;
    unsigned log2 = 0;
    while ((1u << log2) < mem_bytes) {
        log2++;
    }
    out->in.id = (u16)((1u << log2) == mem_bytes ? log2 << 12 : 0);
    ZydisDecoder decoder;
    ZydisDecodedInstruction zi;
    ZydisDecoderContext context;
    (void)ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, out->bytes, length, &zi))) {
        return false;
    }
    if (zi.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        out->in.pfx |= PFX_VEX | (zi.raw.vex.W != 0 ? PFX_REXW : 0u);
    }
    return true;
}

#endif
