/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every way to encode every row, found by asking the decoder library about all opcodes: prefixes, REX.W
 * or VEX bits, opcode, ModRM.reg and, for registers, ModRM.rm. That is more than an encoder would
 * produce: duplicates, ignored prefixes and W bits are forms too. */
#include "tests/diff/diff.h"

#include <Zydis/Zydis.h>
#include <stdlib.h>
#include <string.h>

static const u16 row_of_mnemonic[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
#define INSN(mnemonic, handler, priv, mode, unit, icpt, block)                                     \
    [ZYDIS_MNEMONIC_##mnemonic] = INSN_##mnemonic,
#include "cpu/decode/insn.def"
#undef INSN
};

static const bool never_modelled[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
#define ISA(set, feature)
#define ISA_NEVER(set) [ZYDIS_ISA_SET_##set] = true,
#include "cpu/decode/isa.def"
#undef ISA
#undef ISA_NEVER
};

static const ZydisDecoder *decoder_of(bool compat)
{
    static ZydisDecoder decoders[2];
    static bool ready;
    if (!ready) {
        (void)ZydisDecoderInit(&decoders[0], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        (void)ZydisDecoderInit(&decoders[1], ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
        for (unsigned i = 0; i < 2; i++) {
            (void)ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
            (void)ZydisDecoderEnableMode(&decoders[i], ZYDIS_DECODER_MODE_AMD_BRANCHES,
                                         guest_model()->vendor == CPU_VENDOR_AMD);
        }
        ready = true;
    }
    return &decoders[compat];
}

struct byte_facts facts_of(const u8 *bytes, bool compat)
{
    ZydisDecodedInstruction zi;
    ZydisDecoderContext context;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(decoder_of(compat), &context, bytes, 15, &zi))) {
        return (struct byte_facts){.valid = false};
    }
    if (zi.meta.isa_set == ZYDIS_ISA_SET_KNCE || zi.meta.isa_set == ZYDIS_ISA_SET_KNCJKBR ||
        zi.meta.isa_set == ZYDIS_ISA_SET_KNCSTREAM || zi.meta.isa_set == ZYDIS_ISA_SET_KNCV ||
        zi.meta.isa_set == ZYDIS_ISA_SET_KNC_MISC || zi.meta.isa_set == ZYDIS_ISA_SET_KNC_PF_HINT) {
        return (struct byte_facts){.valid = false}; /* a coprocessor's */
    }
    bool evex = zi.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ||
                zi.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX ||
                zi.encoding == ZYDIS_INSTRUCTION_ENCODING_XOP;
    return (struct byte_facts){
        .valid = true,
        .not_modelled = evex || never_modelled[zi.meta.isa_set],
        .has_modrm = (zi.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0,
        .id = row_of_mnemonic[zi.mnemonic],
        .len = zi.length,
        .far = zi.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR,
    };
}

void disassemble(const u8 *bytes, u64 rip, bool compat, char *out, size_t size)
{
    ZydisDisassembledInstruction d;
    ZydisMachineMode mode = compat ? ZYDIS_MACHINE_MODE_LONG_COMPAT_32 : ZYDIS_MACHINE_MODE_LONG_64;
    bool ok = ZYAN_SUCCESS(ZydisDisassembleIntel(mode, rip, bytes, 15, &d));
    (void)snprintf(out, size, "%s", ok ? d.text : "(invalid)");
}

unsigned form_put(const struct form *f, const struct fill *x, bool compat, u8 out[15])
{
    unsigned n = 0;
    for (unsigned i = 0; i < x->extra_count; i++) {
        out[n++] = x->extra[i];
    }
    for (unsigned i = 0; i < 2; i++) {
        if (f->prefix[i] != 0) {
            out[n++] = f->prefix[i];
        }
    }
    if (f->vex) {
        unsigned vvvv = ~(unsigned)x->vvvv & 15;
        unsigned rxb = compat ? 0 : x->rxb;
        if (x->two_byte_vex && f->map == 1 && !f->rex_w && (rxb & 3) == 0) {
            out[n++] = 0xc5;
            out[n++] = (u8)((~rxb & 4) << 5 | vvvv << 3 | (f->vex_l ? 4u : 0u) | f->pp);
        } else {
            out[n++] = 0xc4;
            out[n++] = (u8)((~rxb & 7) << 5 | f->map);
            out[n++] = (u8)((f->rex_w ? 0x80u : 0u) | vvvv << 3 | (f->vex_l ? 4u : 0u) | f->pp);
        }
    } else {
        if (!compat && (f->rex_w || x->rxb != 0 || x->rex)) {
            out[n++] = (u8)(0x40 | (f->rex_w ? 8 : 0) | x->rxb);
        }
        if (f->map > 0) {
            out[n++] = 0x0f;
        }
        if (f->map > 1) {
            out[n++] = f->map == 2 ? 0x38 : 0x3a;
        }
    }
    out[n++] = f->opcode;
    if (f->has_modrm) {
        out[n++] = x->modrm;
    }
    return n;
}

/* ---- Enumeration ---- */

struct builder {
    struct forms *out;
    u32 cap;
    const struct decoder *decoder;
    u32 mode;
    bool compat;
    bool failed;
};

static u16 ask(const struct builder *b, const struct form *f, unsigned modrm, unsigned vvvv,
               struct byte_facts *facts)
{
    u8 bytes[24] = {0};
    struct fill x = {.modrm = (u8)modrm, .vvvv = (u8)vvvv};
    unsigned n = form_put(f, &x, b->compat, bytes);
    bytes[n] = 0x23; /* SIB: [RBX + XMM4] or [RBX] */
    *facts = facts_of(bytes, b->compat);
    return facts->valid && !facts->not_modelled ? facts->id : INSN_INVALID;
}

static void add(struct builder *b, struct form f, u16 id, unsigned modrm)
{
    struct byte_facts facts;
    struct insn in;
    u8 bytes[24] = {0};
    (void)ask(b, &f, modrm, 0, &facts);
    struct fill x = {.modrm = (u8)modrm};
    unsigned n = form_put(&f, &x, b->compat, bytes);
    bytes[n] = 0x23;
    enum decode_status st = decode_insn(b->decoder, b->mode, bytes, 15, &in);
    if (st != DECODE_OK && !facts.valid) {
        return;
    }
    if (b->out->count == b->cap) {
        b->cap = b->cap == 0 ? 4096 : 2 * b->cap;
        struct form *grown = realloc(b->out->form, b->cap * sizeof *grown);
        if (grown == NULL) {
            b->failed = true;
            return;
        }
        b->out->form = grown;
    }
    f.id = id;
    f.vsib = strstr(insn_rows[id].name, "GATHER") != NULL;
    if (f.vex) {
        struct byte_facts other;
        f.vvvv = ask(b, &f, modrm, 15, &other) == id;
    }
    b->out->form[b->out->count++] = f;
}

/* ids[reg][rm] or ids[reg]: one form when all agree, else one per ModRM.reg. */
static void add_memory(struct builder *b, struct form f, const u16 ids[8])
{
    unsigned same = 0, any = 0;
    for (unsigned reg = 0; reg < 8; reg++) {
        any = ids[reg] != INSN_INVALID ? reg : any;
    }
    for (unsigned reg = 0; reg < 8; reg++) {
        same += ids[reg] == ids[any];
    }
    f.mem = true;
    f.rm = 0xff;
    if (ids[any] == INSN_INVALID) {
        return;
    }
    if (same >= 7) { /* a gather refuses one */
        f.reg = 0xff;
        add(b, f, ids[any], any << 3 | 4);
        return;
    }
    for (unsigned reg = 0; reg < 8; reg++) {
        if (ids[reg] != INSN_INVALID) {
            f.reg = (u8)reg;
            add(b, f, ids[reg], reg << 3 | 4);
        }
    }
}

static void add_registers(struct builder *b, struct form f, u16 ids[8][8])
{
    f.mem = false;
    bool all = true;
    for (unsigned i = 0; i < 64; i++) {
        all = all && ids[i / 8][i % 8] == ids[0][0];
    }
    if (all) {
        f.reg = f.rm = 0xff;
        if (ids[0][0] != INSN_INVALID) {
            add(b, f, ids[0][0], 0xc0);
        }
        return;
    }
    for (unsigned reg = 0; reg < 8; reg++) {
        bool row = true;
        for (unsigned rm = 0; rm < 8; rm++) {
            row = row && ids[reg][rm] == ids[reg][0];
        }
        f.reg = (u8)reg;
        for (unsigned rm = 0; rm < (row ? 1u : 8u); rm++) {
            if (ids[reg][rm] != INSN_INVALID) {
                f.rm = row ? 0xff : (u8)rm;
                add(b, f, ids[reg][rm], 0xc0 | reg << 3 | rm);
            }
        }
    }
}

static void enumerate_opcode(struct builder *b, struct form f)
{
    struct byte_facts facts;
    u16 mem[8], reg[8][8];
    bool has_modrm = false, valid = false;
    f.has_modrm = true;
    for (unsigned r = 0; r < 8; r++) {
        mem[r] = ask(b, &f, r << 3 | 4, 0, &facts);
        has_modrm = has_modrm || (facts.valid && facts.has_modrm);
        valid = valid || facts.valid;
        for (unsigned rm = 0; rm < 8; rm++) {
            if (rm > 0 && f.vex) { /* ModRM.rm never selects there */
                reg[r][rm] = reg[r][0];
                continue;
            }
            reg[r][rm] = ask(b, &f, 0xc0 | r << 3 | rm, 0, &facts);
            has_modrm = has_modrm || (facts.valid && facts.has_modrm);
            valid = valid || facts.valid;
        }
    }
    if (!valid) {
        return;
    }
    if (!has_modrm) {
        f.has_modrm = false;
        u16 id = ask(b, &f, 0, 0, &facts);
        if (id != INSN_INVALID) {
            add(b, f, id, 0);
        }
        return;
    }
    add_memory(b, f, mem);
    add_registers(b, f, reg);
}

static bool is_prefix_or_escape(unsigned opcode, bool compat)
{
    switch (opcode) {
    case 0x0f: case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67:
    case 0xf0: case 0xf2: case 0xf3:
        return true;
    case 0x62:
        return !compat;
    case 0xc4: case 0xc5: /* LES, LDS are not run anyway */
        return true;
    default:
        return !compat && opcode >= 0x40 && opcode < 0x50;
    }
}

static void enumerate_legacy(struct builder *b)
{
    static const u8 prefixes[][2] = {{0, 0}, {0x66, 0}, {0xf3, 0}, {0xf2, 0}, {0x66, 0xf3}, {0x66, 0xf2}, {0x67, 0}};
    for (unsigned p = 0; p < ARRAY_LEN(prefixes); p++) {
        for (unsigned w = 0; w < (b->compat ? 1u : 2u); w++) {
            for (unsigned map = 0; map < 4; map++) {
                for (unsigned opcode = 0; opcode < 256; opcode++) {
                    if ((map == 0 && is_prefix_or_escape(opcode, b->compat)) ||
                        (map == 1 && (opcode == 0x38 || opcode == 0x3a)) ||
                        (prefixes[p][0] == 0x67 && (map != 0 || opcode != 0xe3))) {
                        continue;
                    }
                    enumerate_opcode(b, (struct form){.prefix = {prefixes[p][0], prefixes[p][1]},
                                                      .map = (u8)map,
                                                      .opcode = (u8)opcode,
                                                      .rex_w = w != 0});
                }
            }
        }
    }
}

static void enumerate_vex(struct builder *b)
{
    for (unsigned i = 0; i < 3 * 4 * 2 * 2 * 256; i++) {
        enumerate_opcode(b, (struct form){.vex = true,
                                          .opcode = (u8)i,
                                          .pp = (u8)(i >> 8 & 3),
                                          .vex_l = (i >> 10 & 1) != 0,
                                          .rex_w = (i >> 11 & 1) != 0,
                                          .map = (u8)(1 + (i >> 12))});
    }
}

static int by_id(const void *a, const void *b)
{
    const struct form *x = a, *y = b;
    if (x->id != y->id) {
        return x->id < y->id ? -1 : 1;
    }
    return memcmp(x, y, sizeof *x);
}

bool forms_build(struct forms *f, const struct decoder *decoder, u32 mode, bool compat)
{
    memset(f, 0, sizeof *f);
    struct builder b = {.out = f, .decoder = decoder, .mode = mode, .compat = compat};
    enumerate_legacy(&b);
    enumerate_vex(&b);
    if (b.failed || f->count == 0) {
        return false;
    }
    qsort(f->form, f->count, sizeof *f->form, by_id);
    u32 at = 0;
    for (u32 id = 0; id <= INSN_COUNT; id++) {
        while (at < f->count && f->form[at].id < id) {
            at++;
        }
        f->first[id] = at;
    }
    return true;
}

void forms_free(struct forms *f)
{
    free(f->form);
}
