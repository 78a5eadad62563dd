/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hypervisor's small decoder against Zydis: whatever it takes is one of its instructions, as long, and touches memory as it says. */
#include "hv/decode/mmio.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok, const char *what, const uint8_t *code)
{
    if (ok) {
        return;
    }
    (void)fprintf(stderr, "%s:", what);
    for (int i = 0; i < MMIO_CODE_MAX; i++) {
        (void)fprintf(stderr, " %02x", code[i]);
    }
    (void)fprintf(stderr, "\n");
    abort();
}

static void compare(const uint8_t *code, enum mmio_mode mode)
{
    static const ZydisMachineMode modes[] = {ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64};
    static const ZydisStackWidth widths[] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64};
    struct mmio_insn i;
    ZydisDecoder decoder;
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!mmio_decode(code, MMIO_CODE_MAX, mode, &i)) {
        return;
    }
    (void)ZydisDecoderInit(&decoder, modes[mode], widths[mode]);
    must(ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, code, MMIO_CODE_MAX, &z, operands)), "Zydis refuses", code);
    must(z.length == i.length, "length", code);
    bool known = z.mnemonic == (i.bit_test ? ZYDIS_MNEMONIC_BT : ZYDIS_MNEMONIC_MOV) ||
                 (!i.write && !i.bit_test && z.mnemonic == (i.sign ? ZYDIS_MNEMONIC_MOVSX : ZYDIS_MNEMONIC_MOVZX));
    must(known, "another instruction", code);
    const ZydisDecodedOperand *memory = operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? &operands[0] : &operands[1];
    const ZydisDecodedOperand *rest = memory == &operands[0] ? &operands[1] : &operands[0];
    must(memory->type == ZYDIS_OPERAND_TYPE_MEMORY, "no memory", code);
    must(memory->size == i.bytes * 8u, "size of the access", code);
    must(((memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) == i.write, "direction", code);
    if (i.has_value) {
        uint64_t mask = i.bytes == 8 ? ~0ull : (1ull << (8 * i.bytes)) - 1;
        must(((rest->imm.value.u ^ i.value) & mask) == 0, "constant", code);
    } else if (!i.bit_test) {
        int id = ZydisRegisterGetId(rest->reg.value);
        bool high = rest->reg.value >= ZYDIS_REGISTER_AH && rest->reg.value <= ZYDIS_REGISTER_BH;
        bool low8 = rest->size == 8 && rest->reg.value >= ZYDIS_REGISTER_AL && rest->reg.value <= ZYDIS_REGISTER_R15B;
        if (high) {
            id = (int)(rest->reg.value - ZYDIS_REGISTER_AH);
        } else if (low8) { /* Zydis counts AH to BH between BL and SPL */
            id = rest->reg.value <= ZYDIS_REGISTER_BL ? (int)(rest->reg.value - ZYDIS_REGISTER_AL) : (int)(rest->reg.value - ZYDIS_REGISTER_SPL) + 4;
        }
        must(high == i.high && id == i.reg, "register", code);
        must(rest->size == i.reg_bytes * 8u, "register's size", code);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t opcodes[] = {0x88, 0x89, 0x8a, 0x8b, 0xa0, 0xa1, 0xa2, 0xa3, 0xc6, 0xc7, 0x0f};
    static const uint8_t extended[] = {0xa3, 0xb6, 0xb7, 0xbe, 0xbf};
    for (size_t at = 0; at + MMIO_CODE_MAX <= size; at++) {
        uint8_t code[MMIO_CODE_MAX];
        memcpy(code, data + at, sizeof code);
        enum mmio_mode mode = (enum mmio_mode)(data[at] % 3);
        compare(code, mode);
        /* Likelier ones: up to three prefixes, then an opcode that it knows */
        unsigned n = data[at] >> 2 & 3;
        code[n] = opcodes[data[at] % sizeof opcodes];
        for (unsigned i = 0; i < n; i++) {
            static const uint8_t prefixes[] = {0x66, 0x67, 0xf3, 0x65, 0x48, 0x44, 0x41, 0x4f};
            code[i] = prefixes[code[i] & 7];
        }
        if (code[n] == 0x0f) {
            code[n + 1] = extended[code[n + 1] % sizeof extended];
        }
        compare(code, mode);
    }
    return 0;
}
