/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The few instructions by which guests touch devices in memory: MOV between a register, or a constant, and memory, MOVZX and MOVSX; BT.
 * No table of the processor's: what else there is makes false. Includes nothing, so that the host can test it. */
#ifndef HV_DECODE_MMIO_H
#define HV_DECODE_MMIO_H

#include <stdbool.h>
#include <stdint.h>

#define MMIO_CODE_MAX 15

struct mmio_insn {
    uint8_t length;
    uint8_t bytes; /* of the access */
    bool write;
    bool bit_test;  /* BT: read, and the carry flag is the answer; no register is written */
    bool has_value; /* write: of a constant */
    bool sign;      /* read: the rest of the register gets the sign, else zeros where `bytes` or `reg_bytes` say so */
    uint8_t reg;    /* by number, 0 to 15 */
    bool high;      /* AH to BH: bits 15:8 of register reg */
    uint8_t reg_bytes;
    uint64_t value;
};

enum mmio_mode { MMIO_16, MMIO_32, MMIO_64 };

/* False: another instruction, or not all of it is in `count` bytes. */
bool mmio_decode(const uint8_t *code, uint32_t count, enum mmio_mode mode, struct mmio_insn *insn);

#endif
