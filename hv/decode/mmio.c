/* SPDX-License-Identifier: GPL-3.0-or-later */
/* [SDM2 "Instruction Format"] */
#include "hv/decode/mmio.h"

#define REX_B 1u
#define REX_X 2u
#define REX_R 4u
#define REX_W 8u

struct reader {
    const uint8_t *code;
    uint32_t count, at;
    bool short_of; /* more was asked for than there is */
    enum mmio_mode mode;
    uint8_t rex;
    bool operand_prefix, address_prefix;
};

static uint8_t next(struct reader *r)
{
    if (r->at >= r->count || r->at >= MMIO_CODE_MAX) {
        r->short_of = true;
        return 0;
    }
    return r->code[r->at++];
}

static uint64_t constant(struct reader *r, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)next(r) << (8 * i);
    }
    return value;
}

/* The byte behind the prefixes. LOCK makes these instructions invalid. */
static uint8_t opcode(struct reader *r)
{
    for (;;) {
        uint8_t b = next(r);
        switch (b) {
        case 0x66:
            r->operand_prefix = true;
            break;
        case 0x67:
            r->address_prefix = true;
            break;
        case 0x26:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x64:
        case 0x65:
        case 0xf2:
        case 0xf3:
            break;
        default:
            if (r->mode != MMIO_64 || (b & 0xf0) != 0x40) {
                return b;
            }
            r->rex = b;
            b = next(r);
            bool prefix = (b & 0xf0) == 0x40 || b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 || b == 0x64 || b == 0x65 ||
                          b == 0x26 || b == 0x2e || b == 0x36 || b == 0x3e;
            r->short_of = r->short_of || prefix; /* a REX that counts for nothing: nobody writes that */
            return b;
        }
    }
}

static unsigned operand_bytes(const struct reader *r)
{
    if ((r->rex & REX_W) != 0) {
        return 8;
    }
    return (r->mode == MMIO_16) != r->operand_prefix ? 2 : 4;
}

static unsigned address_bytes(const struct reader *r)
{
    if (r->mode == MMIO_64) {
        return r->address_prefix ? 4 : 8;
    }
    return (r->mode == MMIO_16) != r->address_prefix ? 2 : 4;
}

/* The ModRM byte and what belongs to its address. False: the operand is a register. */
static bool memory_operand(struct reader *r, uint8_t *modrm)
{
    *modrm = next(r);
    unsigned mod = *modrm >> 6;
    unsigned rm = *modrm & 7;
    if (mod == 3) {
        return false;
    }
    if (address_bytes(r) == 2) {
        (void)constant(r, mod == 1 ? 1 : (mod == 2 || rm == 6 ? 2 : 0));
        return true;
    }
    bool base5 = mod == 0 && rm == 5;
    if (rm == 4) {
        base5 = (next(r) & 7) == 5 && mod == 0;
    }
    (void)constant(r, mod == 1 ? 1 : (mod == 2 || base5 ? 4 : 0));
    return true;
}

static void set_register(const struct reader *r, struct mmio_insn *i, uint8_t modrm, unsigned bytes)
{
    i->reg = (uint8_t)((modrm >> 3 & 7) | ((r->rex & REX_R) != 0 ? 8 : 0));
    i->reg_bytes = (uint8_t)bytes;
    if (bytes == 1 && r->rex == 0 && i->reg >= 4) {
        i->high = true;
        i->reg = (uint8_t)(i->reg - 4);
    }
}

static bool extension(struct reader *r, struct mmio_insn *i)
{
    uint8_t op = next(r);
    uint8_t modrm;
    if (op == 0xa3) {
        i->bit_test = true;
        i->bytes = (uint8_t)operand_bytes(r);
        return memory_operand(r, &modrm);
    }
    if (op != 0xb6 && op != 0xb7 && op != 0xbe && op != 0xbf) {
        return false;
    }
    i->bytes = (op & 1) != 0 ? 2 : 1;
    i->sign = (op & 8) != 0;
    bool memory = memory_operand(r, &modrm);
    i->reg = (uint8_t)((modrm >> 3 & 7) | ((r->rex & REX_R) != 0 ? 8 : 0));
    i->reg_bytes = (uint8_t)operand_bytes(r);
    return memory;
}

bool mmio_decode(const uint8_t *code, uint32_t count, enum mmio_mode mode, struct mmio_insn *insn)
{
    struct reader r = {.code = code, .count = count, .mode = mode};
    struct mmio_insn i = {.length = 0};
    uint8_t op = opcode(&r);
    uint8_t modrm = 0;
    unsigned full = (op & 1) != 0 ? operand_bytes(&r) : 1;
    bool ok = true;
    switch (op) {
    case 0x88: /* MOV memory, register */
    case 0x89:
    case 0x8a: /* MOV register, memory */
    case 0x8b:
        ok = memory_operand(&r, &modrm);
        i.write = op < 0x8a;
        i.bytes = (uint8_t)full;
        set_register(&r, &i, modrm, full);
        break;
    case 0xa0: /* MOV AL or rAX, memory at a constant */
    case 0xa1:
    case 0xa2:
    case 0xa3:
        i.write = op >= 0xa2;
        i.bytes = i.reg_bytes = (uint8_t)full;
        (void)constant(&r, address_bytes(&r));
        break;
    case 0xc6: /* MOV memory, constant */
    case 0xc7:
        ok = memory_operand(&r, &modrm) && (modrm >> 3 & 7) == 0;
        i.write = i.has_value = true;
        i.bytes = (uint8_t)full;
        i.value = constant(&r, full == 8 ? 4 : full);
        if (full == 8 && (i.value & 0x80000000u) != 0) {
            i.value |= 0xffffffff00000000u;
        }
        break;
    case 0x0f:
        ok = extension(&r, &i);
        break;
    default:
        ok = false;
        break;
    }
    i.length = (uint8_t)r.at;
    *insn = i;
    return ok && !r.short_of;
}
