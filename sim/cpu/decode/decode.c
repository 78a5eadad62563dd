/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Zydis' records are large and say more than we need: each is converted at once into struct insn.
 * What depends only on mode and privilege is decided here, once per decoded instruction: an op whose
 * row does not allow it is given a handler that raises the fault. */
#include "cpu/decode/decode.h"

#include "cpu/exec/exec_system.h"
#include "cpu/exec/fault.h"
#include "cpu/exec/fast.h"
#include "cpu/exec/simd.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>
#include <string.h>

const struct insn_row insn_rows[INSN_COUNT] = {
    [INSN_INVALID] = {"(invalid)", exec_invalid, PRIV_ANY, MODE_ALL, UNIT_NONE, ICPT_NONE,
                      BLOCK_JUMP},
#define INSN(mnemonic, handler, priv, mode, unit, icpt, block)                                     \
    [INSN_##mnemonic] = {#mnemonic,     handler,      PRIV_##priv, MODE_##mode,                    \
                         UNIT_##unit,   ICPT_##icpt,  BLOCK_##block},
#include "cpu/decode/insn.def"
#undef INSN
};

static const u16 row_of_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define INSN(mnemonic, handler, priv, mode, unit, icpt, block)                                     \
    [ZYDIS_MNEMONIC_##mnemonic] = INSN_##mnemonic,
#include "cpu/decode/insn.def"
#undef INSN
};

/* Feature + 1 needed by an ISA set; 0: none; ISA_IS_NEVER: no model has it. */
#define ISA_IS_NEVER 0xffff
static const u16 feature_of_isa[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
#define ISA(set, feature) [ZYDIS_ISA_SET_##set] = CPU_FEATURE_##feature + 1,
#define ISA_NEVER(set) [ZYDIS_ISA_SET_##set] = ISA_IS_NEVER,
#include "cpu/decode/isa.def"
#undef ISA
#undef ISA_NEVER
};

/* The same of single instructions; ISA_IS_ANY: every processor has it, whatever its set says. */
#define ISA_IS_ANY 0xfffe
static const u16 feature_of_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define MNEMONIC_ISA(mnemonic, feature) [ZYDIS_MNEMONIC_##mnemonic] = CPU_FEATURE_##feature + 1,
#define MNEMONIC_ISA_ANY(mnemonic) [ZYDIS_MNEMONIC_##mnemonic] = ISA_IS_ANY,
#include "cpu/decode/mnemonic_isa.def"
#undef MNEMONIC_ISA
#undef MNEMONIC_ISA_ANY
};

struct mode_decoders {
    ZydisDecoder real16, legacy16, legacy32, compat16, compat32, long64;
};

struct decoder {
    const struct cpu_model *model;
    struct mode_decoders usual, bounds; /* bounds: while MPX is enabled */
};

static void init_one(ZydisDecoder *z, const struct cpu_model *model, ZydisMachineMode mode,
                     ZydisStackWidth width, bool mpx)
{
    (void)ZydisDecoderInit(z, mode, width);
    (void)ZydisDecoderEnableMode(z, ZYDIS_DECODER_MODE_MPX, mpx);
    (void)ZydisDecoderEnableMode(z, ZYDIS_DECODER_MODE_AMD_BRANCHES,
                                 model->vendor == CPU_VENDOR_AMD);
    (void)ZydisDecoderEnableMode(z, ZYDIS_DECODER_MODE_LZCNT, ZYAN_TRUE);
    (void)ZydisDecoderEnableMode(z, ZYDIS_DECODER_MODE_TZCNT, ZYAN_TRUE);
    (void)ZydisDecoderEnableMode(z, ZYDIS_DECODER_MODE_CET, ZYAN_TRUE);
}

static void init_modes(struct mode_decoders *m, const struct cpu_model *model, bool mpx)
{
    init_one(&m->real16, model, ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16, mpx);
    init_one(&m->legacy16, model, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16, mpx);
    init_one(&m->legacy32, model, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32, mpx);
    init_one(&m->compat16, model, ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16, mpx);
    init_one(&m->compat32, model, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32, mpx);
    init_one(&m->long64, model, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64, mpx);
}

struct decoder *decoder_new(const struct cpu_model *model)
{
    struct decoder *d = calloc(1, sizeof *d);
    if (d == NULL) {
        return NULL;
    }
    d->model = model;
    init_modes(&d->usual, model, false);
    init_modes(&d->bounds, model, true);
    return d;
}

void decoder_free(struct decoder *d)
{
    free(d);
}

static const ZydisDecoder *pick(const struct decoder *d, u32 mode)
{
    const struct mode_decoders *m = (mode & MODE_MPX) != 0 ? &d->bounds : &d->usual;
    unsigned size = mode & MODE_SIZE;
    if (size == 2) {
        return &m->long64;
    }
    if ((mode & MODE_LMA) != 0) {
        return size == 1 ? &m->compat32 : &m->compat16;
    }
    if ((mode & MODE_PE) == 0 || (mode & MODE_VM) != 0) {
        return size == 1 ? &m->legacy32 : &m->real16;
    }
    return size == 1 ? &m->legacy32 : &m->legacy16;
}

static u8 register_code(ZydisRegister reg)
{
    if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_R15B) {
        unsigned n = (unsigned)(reg - ZYDIS_REGISTER_AL); /* AL CL DL BL AH CH DH BH SPL .. */
        return (u8)(n < 4 ? n : n < 8 ? OPR_HIGH + n - 4 : n - 4);
    }
    unsigned id = (unsigned)ZydisRegisterGetId(reg) & 15u;
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
    case ZYDIS_REGCLASS_BOUND:
        return (u8)id;
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
        return (u8)(OPR_VEC + id);
    case ZYDIS_REGCLASS_MMX:
        return (u8)(OPR_MMX + (id & 7));
    case ZYDIS_REGCLASS_X87:
        return (u8)(OPR_ST + (id & 7));
    case ZYDIS_REGCLASS_SEGMENT:
        return (u8)(OPR_SEG + id);
    case ZYDIS_REGCLASS_CONTROL:
        return (u8)(OPR_CR + id);
    case ZYDIS_REGCLASS_DEBUG:
        return (u8)(OPR_DR + id);
    default:
        return OPR_NONE;
    }
}

static u8 address_register(ZydisRegister reg)
{
    switch (reg) {
    case ZYDIS_REGISTER_NONE:
        return REG_NONE;
    case ZYDIS_REGISTER_RIP:
    case ZYDIS_REGISTER_EIP:
    case ZYDIS_REGISTER_IP:
        return REG_RIP;
    default:
        return (u8)((unsigned)ZydisRegisterGetId(reg) & 15u); /* VSIB: the vector's number */
    }
}

static u8 log2_bytes(unsigned bits)
{
    unsigned bytes = bits / 8;
    u8 n = 0;
    if (bytes == 0 || (bytes & (bytes - 1)) != 0) {
        return 0;
    }
    while ((1u << n) < bytes) {
        n++;
    }
    return n;
}

/* Segment numbers of the manual: ES CS SS DS FS GS. */
static unsigned segment_number(ZydisRegister reg)
{
    unsigned code = register_code(reg);
    return code >= OPR_SEG && code < OPR_SEG + SEG_COUNT ? code - OPR_SEG : SEG_DS;
}

static void convert_memory(struct insn *out, const ZydisDecodedInstruction *zi,
                           const ZydisDecodedOperand *op, bool second)
{
    unsigned seg = segment_number(op->mem.segment);
    if (second && op->mem.base != ZYDIS_REGISTER_NONE &&
        address_register(op->mem.base) == RDI && seg == SEG_ES) {
        return; /* the fixed ES:rDI side of MOVS, CMPS: the other one carries the override */
    }
    out->base = address_register(op->mem.base);
    out->index = address_register(op->mem.index);
    unsigned scale = 0;
    while ((1u << scale) < op->mem.scale) {
        scale++;
    }
    unsigned asize = zi->address_width == 64 ? 2 : zi->address_width == 32 ? 1 : 0;
    out->sib = (u8)(scale | seg << 2 | asize << 5);
    out->disp = (i32)op->mem.disp.value;
    if ((zi->attributes & ZYDIS_ATTRIB_HAS_SIB) != 0 && zi->raw.modrm.mod == 0 &&
        zi->raw.sib.base == 5) {
        /* No base whatever REX.B says; Zydis 4.0 forgets that with a 67h prefix. */
        out->base = REG_NONE;
        out->disp = (i32)zi->raw.disp.value;
    }
    if (op->mem.disp.has_displacement && (i64)out->disp != op->mem.disp.value) {
        out->imm = (u64)op->mem.disp.value; /* MOV with a 64-bit offset: exec_mov_moffs */
    }
    out->id = (u16)((out->id & 0xfff) | (unsigned)log2_bytes(op->size) << 12);
}

static void convert_operands(struct insn *out, const ZydisDecodedInstruction *zi,
                             const ZydisDecodedOperand *ops, bool *vec, bool *mmx)
{
    bool have_memory = false;
    bool have_imm = false;
    unsigned n = 0;
    for (unsigned i = 0; i < zi->operand_count_visible; i++) {
        const ZydisDecodedOperand *op = &ops[i];
        u8 code = OPR_NONE;
        switch (op->type) {
        case ZYDIS_OPERAND_TYPE_REGISTER:
            code = register_code(op->reg.value);
            *vec = *vec || (code >= OPR_VEC && code < OPR_VEC + 16);
            *mmx = *mmx || (code >= OPR_MMX && code < OPR_MMX + 8);
            if (i == 1 && code < OPR_VEC && !have_memory) { /* MOVZX and the like: its own size */
                out->id = (u16)((out->id & 0xfff) | (unsigned)log2_bytes(op->size) << 12);
            }
            break;
        case ZYDIS_OPERAND_TYPE_MEMORY:
            code = OPR_MEM;
            convert_memory(out, zi, op, have_memory);
            have_memory = true;
            break;
        case ZYDIS_OPERAND_TYPE_POINTER:
            code = OPR_FAR;
            out->imm = (u64)op->ptr.segment << 32 | op->ptr.offset;
            break;
        case ZYDIS_OPERAND_TYPE_IMMEDIATE:
            if (have_imm) { /* ENTER, EXTRQ, INSERTQ: the second one */
                out->imm = (out->imm & 0xffffffffu) | op->imm.value.u << 32;
                code = OPR_NONE;
                continue;
            }
            code = op->imm.is_relative ? OPR_REL : OPR_IMM;
            out->imm = op->imm.value.u;
            have_imm = true;
            break;
        default:
            break;
        }
        if (n < 4) {
            out->r[n++] = code;
        }
    }
}

static void convert_prefixes(struct insn *out, const ZydisDecodedInstruction *zi)
{
    unsigned p = 0;
    for (unsigned i = 0; i < zi->raw.prefix_count; i++) {
        switch (zi->raw.prefixes[i].value) {
        case 0xf0: p |= PFX_LOCK; break;
        case 0xf3: p = (p & ~(unsigned)PFX_REPNE) | PFX_REP; break;
        case 0xf2: p = (p & ~(unsigned)PFX_REP) | PFX_REPNE; break;
        case 0x66: p |= PFX_66; break;
        default: break;
        }
    }
    if ((zi->attributes & ZYDIS_ATTRIB_HAS_SEGMENT) != 0) {
        p |= PFX_SEG;
    }
    if ((zi->attributes & ZYDIS_ATTRIB_HAS_REX) != 0 && zi->raw.rex.W != 0) {
        p |= PFX_REXW;
    }
    if (zi->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) {
        p |= PFX_VEX | (zi->raw.vex.L != 0 ? PFX_VEX_L : 0u) | (zi->raw.vex.W != 0 ? PFX_REXW : 0u);
    }
    out->pfx = (u8)p;
}

/* The segment a prefix names; SEG_COUNT: none. */
static unsigned segment_override(const ZydisDecodedInstruction *zi)
{
    switch (zi->attributes & ZYDIS_ATTRIB_HAS_SEGMENT) {
    case ZYDIS_ATTRIB_HAS_SEGMENT_CS: return SEG_CS;
    case ZYDIS_ATTRIB_HAS_SEGMENT_SS: return SEG_SS;
    case ZYDIS_ATTRIB_HAS_SEGMENT_DS: return SEG_DS;
    case ZYDIS_ATTRIB_HAS_SEGMENT_ES: return SEG_ES;
    case ZYDIS_ATTRIB_HAS_SEGMENT_FS: return SEG_FS;
    case ZYDIS_ATTRIB_HAS_SEGMENT_GS: return SEG_GS;
    default: return SEG_COUNT;
    }
}

static bool no_memory(const struct insn *out)
{
    for (unsigned i = 0; i < 4; i++) {
        if (out->r[i] == OPR_MEM) {
            return false;
        }
    }
    return true;
}

static bool mode_allows(unsigned mode_class, u32 mode)
{
    bool prot = (mode & MODE_PE) != 0 && (mode & MODE_VM) == 0;
    switch ((enum mode_class)mode_class) {
    case MODE_ALL: return true;
    case MODE_PROT: return prot;
    case MODE_64: return (mode & MODE_SIZE) == 2;
    case MODE_NOT64: return (mode & MODE_SIZE) != 2;
    case MODE_LONG: return (mode & MODE_LMA) != 0;
    }
    return false;
}

static bool unit_usable(unsigned unit, u32 mode)
{
    switch ((enum unit_class)unit) {
    case UNIT_NONE: return true;
    case UNIT_X87: return (mode & (MODE_X87_OK | MODE_FPU_ERROR)) == MODE_X87_OK;
    case UNIT_X87_NOWAIT: return (mode & MODE_X87_OK) != 0;
    case UNIT_WAIT: return (mode & (MODE_WAIT_OK | MODE_FPU_ERROR)) == MODE_WAIT_OK;
    case UNIT_MMX: return (mode & (MODE_X87_OK | MODE_FPU_ERROR)) == MODE_X87_OK;
    case UNIT_SSE: return (mode & MODE_SSE_OK) != 0;
    case UNIT_AVX: return (mode & MODE_AVX_OK) != 0;
    case UNIT_COUNT: break;
    }
    return false;
}

static enum decode_status invalid(struct insn *out, unsigned len, enum decode_status status)
{
    *out = (struct insn){.exec = status == DECODE_TOO_LONG ? exec_too_long : exec_invalid,
                         .id = INSN_INVALID,
                         .len = (u8)len,
                         .r = {OPR_NONE, OPR_NONE, OPR_NONE, OPR_NONE},
                         .base = REG_NONE,
                         .index = REG_NONE};
    return status;
}

static bool is_missing(const struct decoder *d, u16 need)
{
    return need == ISA_IS_NEVER || (need != 0 && !model_has(d->model, (enum cpu_feature)(need - 1)));
}

static bool isa_missing(const struct decoder *d, const ZydisDecodedInstruction *zi)
{
    if (zi->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ||
        zi->encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX ||
        zi->encoding == ZYDIS_INSTRUCTION_ENCODING_XOP) {
        return true;
    }
    u16 need = feature_of_mnemonic[zi->mnemonic];
    return need != ISA_IS_ANY && (is_missing(d, need) || is_missing(d, feature_of_isa[zi->meta.isa_set]));
}

/* Zydis' mnemonics that name two things. */
static exec_fn *pick_handler(const struct insn *out, const struct insn_row *row, unsigned id, bool vec)
{
    if (id == INSN_MOVSD && vec) {
        return exec_movsd_sse;
    }
    if (id == INSN_CMPSD && vec) {
        return exec_cmpsd_sse;
    }
    if (id == INSN_MOV && out->imm != 0 && out->base == REG_NONE && insn_asize(out) == 8 &&
        (i64)out->disp != (i64)out->imm && out->r[1] != OPR_IMM) {
        return exec_mov_moffs;
    }
    return row->exec;
}

/* Near CALL, JMP, RET and Jcc; not the short JMP, LOOP and JCXZ. [SDM1 "CALL, RET, JMP and All Jcc"] */
static bool resets_bounds(const struct insn *out, const ZydisDecodedInstruction *zi)
{
    bool one_byte = zi->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT;
    bool exempt = one_byte && (zi->opcode == 0xeb || (zi->opcode & 0xfc) == 0xe0);
    unsigned id = insn_id(out);
    bool branch = id == INSN_CALL || id == INSN_JMP || id == INSN_RET || zi->meta.category == ZYDIS_CATEGORY_COND_BR;
    return branch && !exempt && zi->meta.branch_type != ZYDIS_BRANCH_TYPE_FAR && (out->pfx & PFX_REPNE) == 0;
}

/* The register forms of BNDMK, BNDLDX and BNDSTX are NOPs with MPX too. [SDM2 "BNDMK"] */
static bool stays_nop(const ZydisDecodedInstruction *zi)
{
    bool prefixed = false, f3 = false;
    for (unsigned i = 0; i < zi->raw.prefix_count; i++) {
        prefixed = prefixed || zi->raw.prefixes[i].value == 0x66 || zi->raw.prefixes[i].value == 0xf2;
        f3 = f3 || zi->raw.prefixes[i].value == 0xf3;
    }
    return zi->mnemonic == ZYDIS_MNEMONIC_NOP && zi->opcode_map == ZYDIS_OPCODE_MAP_0F && zi->raw.modrm.mod == 3 && !prefixed &&
           (zi->opcode == 0x1b || (zi->opcode == 0x1a && !f3));
}

/* AMD's other way to write MOV CR8, of which Zydis knows nothing. [APM3 "MOV CRn"] */
static bool is_lock_mov_cr(const struct decoder *d, const u8 *bytes, size_t avail)
{
    return avail > 3 && bytes[0] == 0xf0 && bytes[1] == 0x0f && (bytes[2] & 0xfd) == 0x20 &&
           model_has(d->model, CPU_FEATURE_CR8_LEGACY);
}

enum decode_status decode_insn(const struct decoder *d, u32 mode, const u8 *bytes, size_t avail,
                               struct insn *out)
{
    if (is_lock_mov_cr(d, bytes, avail)) {
        enum decode_status status = decode_insn(d, mode, bytes + 1, avail - 1, out);
        if (status == DECODE_OK) {
            out->len++;
            out->pfx |= PFX_LOCK;
        }
        return status;
    }
    const ZydisDecoder *z = pick(d, mode);
    ZydisDecoderContext context;
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT_VISIBLE];
    ZyanStatus st = ZydisDecoderDecodeInstruction(z, &context, bytes, avail < 15 ? avail : 15, &zi);
    if (st == ZYDIS_STATUS_NO_MORE_DATA) {
        return avail < 15 ? DECODE_TRUNCATED : invalid(out, 15, DECODE_TOO_LONG);
    }
    if (st == ZYDIS_STATUS_INSTRUCTION_TOO_LONG) {
        return invalid(out, 15, DECODE_TOO_LONG);
    }
    if (!ZYAN_SUCCESS(st) && (mode & MODE_MPX) != 0) {
        z = pick(d, mode & ~(u32)MODE_MPX);
        st = ZydisDecoderDecodeInstruction(z, &context, bytes, avail < 15 ? avail : 15, &zi);
        st = ZYAN_SUCCESS(st) && stays_nop(&zi) ? st : ZYAN_STATUS_FAILED;
    }
    if (!ZYAN_SUCCESS(st) || isa_missing(d, &zi)) {
        return invalid(out, 1, DECODE_INVALID);
    }
    u16 id = row_of_mnemonic[zi.mnemonic];
    if (id == INSN_INVALID ||
        !ZYAN_SUCCESS(ZydisDecoderDecodeOperands(z, &context, &zi, ops, zi.operand_count_visible))) {
        return invalid(out, zi.length, DECODE_INVALID);
    }
    const struct insn_row *row = &insn_rows[id];
    *out = (struct insn){.id = id,
                         .len = zi.length,
                         .osz = (u8)(zi.operand_width / 8),
                         .r = {OPR_NONE, OPR_NONE, OPR_NONE, OPR_NONE},
                         .base = REG_NONE,
                         .index = REG_NONE};
    out->sib = (u8)(SEG_DS << 2 | (zi.address_width == 64 ? 2 : zi.address_width == 32 ? 1 : 0) << 5);
    bool vec = false;
    bool mmx = false;
    convert_operands(out, &zi, ops, &vec, &mmx);
    convert_prefixes(out, &zi);
    unsigned seg = segment_override(&zi);
    if (seg < SEG_COUNT && (out->pfx & PFX_SEG) != 0 && no_memory(out)) {
        out->sib = (u8)((out->sib & ~(7u << 2)) | seg << 2); /* implicit sources: LODS, XLAT */
    }
    if (zi.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && zi.opcode >= 0xd8 && zi.opcode <= 0xdf) {
        /* x87: what FOP may have to show */
        out->imm = (zi.opcode & 7u) << 8 | (unsigned)zi.raw.modrm.mod << 6 |
                   (unsigned)zi.raw.modrm.reg << 3 | zi.raw.modrm.rm;
    }
    if (zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        out->imm |= out->r[0] == OPR_MEM || id == INSN_RET ? INSN_IMM_FAR : 0;
    }
    unsigned unit = row->unit;
    bool movs_cmps = (id == INSN_MOVSD || id == INSN_CMPSD) && vec;
    if (movs_cmps) {
        unit = UNIT_SSE;
        out->pfx &= (u8) ~(PFX_REP | PFX_REPNE); /* F2 is part of the opcode, nothing repeats */
    }
    if (unit == UNIT_SSE && mmx) {
        unit = UNIT_MMX;
    }
    if (unit == UNIT_SSE || unit == UNIT_AVX) {
        out->osz = (out->pfx & PFX_VEX_L) != 0 ? 32 : 16;
    } else if (unit == UNIT_MMX) {
        out->osz = 8;
    }
    out->exec = pick_handler(out, row, id, vec);
    if (!mode_allows(row->mode, mode)) {
        return invalid(out, zi.length, DECODE_INVALID);
    }
    if (!unit_usable(unit, mode)) {
        out->exec = exec_unit_fault;
        out->osz = (u8)unit; /* exec_unit_fault asks again with the live registers */
        return DECODE_OK;
    }
    bool cpl0 = (mode & MODE_CPL) == 0 && (mode & MODE_VM) == 0;
    if (row->priv == PRIV_CPL0 && !cpl0 && (mode & MODE_PE) != 0) {
        out->exec = exec_privilege_fault;
        return DECODE_OK;
    }
    if ((mode & MODE_NONROOT) != 0 && row->icpt != ICPT_NONE) {
        out->exec = exec_hooked;
        return DECODE_OK;
    }
    if (out->exec == row->exec) {
        exec_fn *fast = exec_specialise(out, (enum insn_id)id);
        out->exec = fast != NULL ? fast : out->exec;
    }
    if ((mode & MODE_BND_INIT) != 0 && resets_bounds(out, &zi)) {
        out->exec = exec_branch_init;
    }
    return DECODE_OK;
}

bool insn_ends_block(const struct insn *in)
{
    const struct insn_row *row = &insn_rows[insn_id(in)];
    return row->block == BLOCK_SERIAL || insn_moves_rip(in) || in->exec == exec_unit_fault ||
           in->exec == exec_privilege_fault;
}
