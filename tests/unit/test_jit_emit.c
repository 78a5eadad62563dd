/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the emitter writes says what was asked for: Zydis decodes it back. */
#include "tests/harness/draw.h"
#include "jit/emit.h"
#include "unit.h"

#include <Zydis/Zydis.h>
#include <string.h>

static ZydisDecoder decoder;
static ZydisDecodedInstruction zi;
static ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];

static void decode(const u8 *bytes, size_t len)
{
    ZydisDecoderContext context; /* two steps: their forms are the same in all versions of Zydis 4 */
    ck_assert(ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, &context, bytes, len, &zi)));
    ck_assert(ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&decoder, &context, &zi, zo, zi.operand_count)));
    ck_assert_uint_eq(zi.length, len);
}

static ZydisRegister wide(unsigned reg)
{
    return reg == H_NONE ? ZYDIS_REGISTER_NONE : ZydisRegisterEncode(ZYDIS_REGCLASS_GPR64, (ZyanU8)reg);
}

static void is_register(const ZydisDecodedOperand *o, unsigned reg, unsigned size)
{
    ck_assert_int_eq(o->type, ZYDIS_OPERAND_TYPE_REGISTER);
    ck_assert_uint_eq(o->size, 8 * size);
    ck_assert_int_eq(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, o->reg.value), wide(reg));
    ck_assert(o->reg.value < ZYDIS_REGISTER_AH || o->reg.value > ZYDIS_REGISTER_BH);
}

static void is_rm(const ZydisDecodedOperand *o, struct host_rm rm, unsigned size)
{
    if (rm.reg != H_NONE) {
        is_register(o, rm.reg, size);
        return;
    }
    ck_assert_int_eq(o->type, ZYDIS_OPERAND_TYPE_MEMORY);
    ck_assert_int_eq(o->mem.base, wide(rm.base));
    ck_assert_int_eq(o->mem.index, wide(rm.index));
    ck_assert(rm.index == H_NONE || o->mem.scale == 1u << rm.scale);
    ck_assert_int_eq((i64)rm.disp, o->mem.disp.value);
}

static struct host_rm draw_rm(void)
{
    static const i32 disps[] = {0, 1, -1, 127, -128, 128, -129, 0x12345678, -0x7fffffff};
    i32 disp = disps[below(9)];
    if (below(3) == 0) {
        return rm_reg(below(16));
    }
    unsigned base = below(8) == 0 ? (unsigned)H_NONE : (unsigned)(below(16));
    unsigned index = below(2) == 0 ? (unsigned)H_NONE : (unsigned)(below(16));
    index = index == H_RSP ? (unsigned)H_NONE : index;
    return rm_index(base, index, index == H_NONE ? 0 : below(4), disp);
}

START_TEST(test_jit_emit__alu_and_moves)
{
    static const ZydisMnemonic names[] = {ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_OR,  ZYDIS_MNEMONIC_ADC,
                                          ZYDIS_MNEMONIC_SBB, ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_SUB,
                                          ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_CMP};
    for (unsigned n = 0; n < 300000; n++) {
        u8 buf[32];
        struct emit e = {.at = buf, .end = buf + sizeof buf};
        unsigned size = 1u << (below(4)), reg = below(16), alu = below(8);
        struct host_rm rm = draw_rm();
        i32 imm = size == 1 ? (i8)draw() : size == 2 ? (i16)draw() : (i32)draw() >> (below(28));
        switch (below(5)) {
        case 0:
            emit_alu(&e, alu, size, reg, rm);
            decode(buf, (size_t)(e.at - buf));
            ck_assert_int_eq(zi.mnemonic, names[alu]);
            is_register(&zo[0], reg, size);
            is_rm(&zo[1], rm, size);
            break;
        case 1:
            emit_alu_imm(&e, alu, size, rm, imm);
            decode(buf, (size_t)(e.at - buf));
            ck_assert_int_eq(zi.mnemonic, names[alu]);
            is_rm(&zo[0], rm, size);
            ck_assert_int_eq((i32)zo[1].imm.value.s, imm);
            break;
        case 2:
            emit_mov_load(&e, size, reg, rm);
            decode(buf, (size_t)(e.at - buf));
            ck_assert_int_eq(zi.mnemonic, ZYDIS_MNEMONIC_MOV);
            is_register(&zo[0], reg, size);
            is_rm(&zo[1], rm, size);
            break;
        case 3:
            emit_mov_store(&e, size, reg, rm);
            decode(buf, (size_t)(e.at - buf));
            ck_assert_int_eq(zi.mnemonic, ZYDIS_MNEMONIC_MOV);
            is_rm(&zo[0], rm, size);
            is_register(&zo[1], reg, size);
            break;
        default: {
            unsigned count = below(31) + 1;
            emit_shift_imm(&e, HS_SHR, size, rm, count);
            decode(buf, (size_t)(e.at - buf));
            ck_assert_int_eq(zi.mnemonic, ZYDIS_MNEMONIC_SHR);
            is_rm(&zo[0], rm, size);
            ck_assert_uint_eq(zo[1].imm.value.u, count);
        }
        }
    }
}
END_TEST

START_TEST(test_jit_emit__two_byte_opcodes)
{
    for (unsigned n = 0; n < 100000; n++) {
        u8 buf[32];
        struct emit e = {.at = buf, .end = buf + sizeof buf};
        unsigned size = 1u << (below(2) + 2), reg = below(16), cc = below(16);
        struct host_rm rm = draw_rm();
        switch (below(4)) {
        case 0: /* MOVZX from a byte */
            emit_op(&e, OP_0F(0xb6) | OP_RM8, size, reg, rm);
            decode(buf, (size_t)(e.at - buf));
            ck_assert_int_eq(zi.mnemonic, ZYDIS_MNEMONIC_MOVZX);
            is_register(&zo[0], reg, size);
            is_rm(&zo[1], rm, 1);
            break;
        case 1:
            emit_op(&e, OP_0F(0x90 | cc), 1, 0, rm);
            decode(buf, (size_t)(e.at - buf));
            is_rm(&zo[0], rm, 1);
            break;
        case 2:
            emit_op(&e, OP_0F(0xb8) | OP_PREFIX(0xf3), size, reg, rm);
            decode(buf, (size_t)(e.at - buf));
            ck_assert_int_eq(zi.mnemonic, ZYDIS_MNEMONIC_POPCNT);
            is_register(&zo[0], reg, size);
            is_rm(&zo[1], rm, size);
            break;
        default:
            if (rm.reg == H_NONE) {
                emit_lea(&e, size, reg, rm);
                decode(buf, (size_t)(e.at - buf));
                ck_assert_int_eq(zi.mnemonic, ZYDIS_MNEMONIC_LEA);
                is_register(&zo[0], reg, size);
                is_rm(&zo[1], rm, 0);
            }
        }
    }
}
END_TEST

START_TEST(test_jit_emit__constants)
{
    static const u64 values[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, ~(u64)0, 0xffffffff80000000,
                                 0xffffffff7fffffff, 0x123456789abcdef0};
    for (unsigned reg = 0; reg < 16; reg++) {
        for (unsigned i = 0; i < ARRAY_LEN(values); i++) {
            u8 buf[16];
            struct emit e = {.at = buf, .end = buf + sizeof buf};
            emit_mov_const(&e, reg, values[i]);
            decode(buf, (size_t)(e.at - buf));
            ck_assert_int_eq(zi.mnemonic, ZYDIS_MNEMONIC_MOV);
            ck_assert_int_eq(ZydisRegisterGetId(zo[0].reg.value), (int)reg);
            u64 v = zo[0].size == 32 ? (u32)zo[1].imm.value.u : zo[1].imm.value.u;
            ck_assert_uint_eq(v, values[i]);
        }
    }
}
END_TEST

START_TEST(test_jit_emit__jumps_and_room)
{
    u8 buf[32] = {0};
    struct emit e = {.at = buf, .end = buf + sizeof buf};
    emit_jmp_to(&e, buf + 20);
    decode(buf, 5);
    ck_assert_int_eq(zo[0].imm.value.s, 15);
    u8 *where = emit_jcc(&e, 4);
    emit_patch(where, buf);
    decode(buf + 5, 6);
    ck_assert_int_eq(zi.mnemonic, ZYDIS_MNEMONIC_JZ);
    ck_assert_int_eq(zo[0].imm.value.s, -11);
    for (unsigned i = 0; i < 8; i++) {
        emit_u32(&e, 0);
    }
    ck_assert(e.full);
    ck_assert_ptr_eq(e.at, e.end);
}
END_TEST

int main(void)
{
    (void)ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    Suite *s = suite_create("jit_emit");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, test_jit_emit__alu_and_moves);
    tcase_add_test(tc, test_jit_emit__two_byte_opcodes);
    tcase_add_test(tc, test_jit_emit__constants);
    tcase_add_test(tc, test_jit_emit__jumps_and_room);
    suite_add_tcase(s, tc);
    return unit_run(s);
}
