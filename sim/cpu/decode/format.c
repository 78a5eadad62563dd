/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Instructions as text, for `--log exec` and the debugger: Intel syntax, by Zydis. */
#include "cpu/decode/decode.h"

#include <Zydis/Zydis.h>
#include <stdio.h>

unsigned format_insn(u32 mode, const u8 *bytes, size_t avail, u64 rip, char *text, size_t size)
{
    static const struct {
        ZydisMachineMode machine;
        ZydisStackWidth stack;
    } modes[] = {{ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16},
                 {ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32},
                 {ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64}};
    unsigned width = (mode & MODE_SIZE) < 3 ? mode & MODE_SIZE : 2;
    ZydisDecoder z;
    ZydisFormatter formatter;
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    (void)ZydisDecoderInit(&z, modes[width].machine, modes[width].stack);
    (void)ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
    (void)snprintf(text, size, "(bad)");
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&z, bytes, avail < 15 ? avail : 15, &zi, ops))) {
        return 1;
    }
    (void)ZydisFormatterFormatInstruction(&formatter, &zi, ops, zi.operand_count_visible, text, size, rip, NULL);
    return zi.length;
}
