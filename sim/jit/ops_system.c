/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Emitters of instructions that kernels use all the time: flags with privilege, system calls, bases of FS and GS, the time.
 *
 * Only where nothing unusual holds: what asks for more goes to the handler, which does all of the instruction. So none of
 * these ends in the run loop. Two things need thought:
 *
 * Interrupts. IF may become 1 here only while nothing waits (d.pending, d.masked): then no boundary behind it could be one where
 * an interrupt comes. STI's shadow lasts for the instruction behind it; as long as that is translated code nobody can see it, and
 * jit_op() lays it over an instruction that needs its handler.
 *
 * Levels. Rights to memory depend on CPL and AC, so SYSCALL, SYSRET, STAC and CLAC change the context that accesses go through: to
 * the one which tlb_select_level() would find. */
#include "jit/translate.h"

#include "cpu/decode/decode.h"
#include "cpu/exec/exec_system.h"
#include "cpu/model.h"
#include "cpu/tlb.h"

static unsigned number_of(const struct translation *t)
{
    return t->facts[t->i].number;
}

static unsigned level_of(const struct translation *t)
{
    return (t->b->mode & MODE_CPL) >> 2;
}

/* To the handler unless the bits of a 4-byte field are as wanted. */
static void slow_if_bits(struct translation *t, struct host_rm field, u32 bits, bool set)
{
    emit_op_imm(&t->e, OP(0xf7), 4, 0, field, (i32)bits); /* test */
    to_slow_path(t, emit_jcc(&t->e, set ? 5 : 4));
}

static void slow_if_byte(struct translation *t, struct host_rm field)
{
    emit_op_imm8(&t->e, OP(0x80), 1, 7, field, 0); /* cmp */
    to_slow_path(t, emit_jcc(&t->e, 5));
}

/* Something that may come when IF is 1. */
static void slow_if_waiting(struct translation *t)
{
    _Static_assert(offsetof(struct cpu, d.masked) == offsetof(struct cpu, d.pending) + 1, "read together");
    emit_op_imm8(&t->e, OP(0x83), 2, 7, CPU_AT(d.pending), 0);
    to_slow_path(t, emit_jcc(&t->e, 5));
}

/* ---- Flags ---- */

/* r15 = the arithmetic flags in rax, as RFLAGS has them; r14 is lost. */
static void unpack(struct emit *e)
{
    emit_op(e, OP_0F(0xb6) | OP_RM8, 4, H_ADDR, rm_reg(H_RAX)); /* movzx r14d, al */
    emit_shift_imm(e, HS_SHL, 4, rm_reg(H_ADDR), 11);
    emit_mov_load(e, 4, H_TMP, rm_reg(H_RAX));
    emit_shift_imm(e, HS_SHR, 4, rm_reg(H_TMP), 8);
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), RFLAGS_ARITH & 0xff);
    emit_alu(e, HA_OR, 4, H_TMP, rm_reg(H_ADDR));
}

/* The reverse: rax from the RFLAGS image in r15, which is lost. */
static void pack(struct emit *e)
{
    emit_mov_load(e, 4, H_RAX, rm_reg(H_TMP));
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_RAX), RFLAGS_ARITH & 0xff);
    emit_shift_imm(e, HS_SHL, 4, rm_reg(H_RAX), 8);
    emit_shift_imm(e, HS_SHR, 4, rm_reg(H_TMP), 11);
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), 1);
    emit_lea(e, 4, H_RAX, rm_index(H_RAX, H_TMP, 0, 0x200));
}

static void emit_pushf(struct translation *t)
{
    struct emit *e = &t->e;
    flags_spill(t);
    address_lost(t);
    unpack(e);
    emit_mov_load(e, 4, H_ADDR, CPU_AT(arch.rflags));
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_ADDR), ~(i32)(RFLAGS_ARITH | RFLAGS_VM | RFLAGS_RF));
    emit_alu(e, HA_OR, 4, H_TMP, rm_reg(H_ADDR));
    emit_mov_store(e, 8, H_TMP, CPU_AT(d.jit.tmp));
    struct host_rm slot = access_memory(t, AT_PUSH, t->word, 0, true);
    emit_mov_load(e, 8, H_TMP, CPU_AT(d.jit.tmp));
    emit_mov_store(e, t->word, H_TMP, slot);
    emit_lea(e, t->word, jit_home[RSP], rm_mem(jit_home[RSP], -(i32)t->word));
}

/* Of the others only IF changes, at CPL 0. */
static void emit_popf(struct translation *t)
{
    struct emit *e = &t->e;
    i32 same = 0x3f7fd7 & ~(RFLAGS_ARITH | (level_of(t) == 0 ? RFLAGS_IF : 0));
    struct host_rm top = access_memory(t, AT_TOP, t->word, 0, false);
    flags_spill(t);
    emit_mov_load(e, 4, H_TMP, top);
    address_lost(t);
    emit_mov_load(e, 4, H_ADDR, rm_reg(H_TMP));
    emit_alu(e, HA_XOR, 4, H_ADDR, CPU_AT(arch.rflags));
    slow_if_bits(t, rm_reg(H_ADDR), (u32)same, true);
    if (level_of(t) == 0) {
        slow_if_waiting(t);
        emit_alu_imm(e, HA_AND, 4, rm_reg(H_ADDR), RFLAGS_IF);
        emit_op(e, OP(0x31), 4, H_ADDR, CPU_AT(arch.rflags)); /* xor */
    }
    pack(e);
    emit_lea(e, t->word, jit_home[RSP], rm_mem(jit_home[RSP], (i32)t->word));
    t->flags = IN_RAX;
}

static void emit_sti(struct translation *t)
{
    flags_spill(t);
    slow_if_bits(t, CPU_AT(arch.rflags), RFLAGS_IF, true);
    slow_if_waiting(t);
    emit_alu_imm(&t->e, HA_OR, 4, CPU_AT(arch.rflags), RFLAGS_IF);
}

/* ---- Contexts ---- */

#define TLB_AT(field) rm_mem(H_ADDR, (i32)offsetof(struct tlb, field))

static struct host_rm found_at(unsigned kind, size_t offset)
{
    struct tlb *tlb = NULL;
    return rm_mem(H_ADDR, (i32)(offsetof(struct tlb, found) + kind * sizeof tlb->found[0] + offset));
}

#define FOUND_OFFSET(field) (offsetof(struct tlb, found[0].field) - offsetof(struct tlb, found[0]))

/* The context is known for `kind` of access, an index of tlb.found; nothing is armed that would forbid it. */
static void check_context(struct translation *t, unsigned kind)
{
    struct emit *e = &t->e;
    slow_if_byte(t, CPU_AT(d.data_breaks));
    emit_mov_load(e, 8, H_ADDR, CPU_AT(tlb));
    emit_mov_load(e, 8, H_TMP, TLB_AT(epoch));
    emit_alu(e, HA_CMP, 8, H_TMP, found_at(kind, FOUND_OFFSET(epoch)));
    to_slow_path(t, emit_jcc(e, 5));
}

static void take_context(struct translation *t, unsigned kind)
{
    struct emit *e = &t->e;
    emit_mov_load(e, 8, H_ADDR, CPU_AT(tlb));
    emit_mov_load(e, 8, H_TMP, found_at(kind, FOUND_OFFSET(sys_ctx)));
    emit_mov_store(e, 8, H_TMP, CPU_AT(d.sys_ctx));
    emit_mov_load(e, 8, H_TMP, found_at(kind, FOUND_OFFSET(ctx)));
    emit_mov_store(e, 8, H_TMP, CPU_AT(d.ctx));
    emit_mov_load(e, 8, H_TABLE, rm_mem(H_TMP, (i32)offsetof(struct tlb_ctx, rd)));
    emit_mov_store(e, 8, H_TABLE, CPU_AT(d.jit.rd));
}

static void emit_set_ac(struct translation *t)
{
    struct emit *e = &t->e;
    bool set = number_of(t) != 0;
    flags_spill(t);
    address_lost(t);
    emit_op_imm(e, OP(0xf7), 4, 0, CPU_AT(arch.rflags), RFLAGS_AC);
    u8 *same = emit_jcc(e, set ? 5 : 4);
    check_context(t, set ? TLB_FOUND_AC : 0);
    take_context(t, set ? TLB_FOUND_AC : 0);
    emit_op_imm(e, OP(0x81), 4, HA_XOR, CPU_AT(arch.rflags), RFLAGS_AC);
    if (!e->full) {
        emit_patch(same, e->at);
    }
}

/* ---- System calls ---- */

#define FLAT_CODE (SEG_P | SEG_S | SEG_TYPE_CODE | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED | SEG_G | SEG_L)
#define FLAT_DATA (SEG_P | SEG_S | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED | SEG_G | SEG_DB)

static struct host_rm segment_at(unsigned seg, size_t offset)
{
    struct host_rm m = CPU_AT(arch.seg);
    m.disp += (i32)(seg * sizeof(struct segment) + offset);
    return m;
}

/* A segment of 4 GiB from 0; its selector is in r15. */
static void store_flat(struct translation *t, unsigned seg, u32 attr)
{
    struct emit *e = &t->e;
    emit_op_imm(e, OP(0xc7), 8, 0, segment_at(seg, offsetof(struct segment, base)), 0);
    emit_op_imm(e, OP(0xc7), 4, 0, segment_at(seg, offsetof(struct segment, limit)), -1);
    emit_op_imm(e, OP(0xc7), 4, 0, segment_at(seg, offsetof(struct segment, attr)), (i32)attr);
    emit_mov_store(e, 2, H_TMP, segment_at(seg, offsetof(struct segment, sel)));
}

/* What tells cpu_update_level() that more than the level changes. */
static void check_plain(struct translation *t)
{
    struct emit *e = &t->e;
    slow_if_bits(t, CPU_AT(arch.efer), EFER_SCE, false);
    slow_if_bits(t, CPU_AT(arch.xcr0), XCR0_MPX, true);
    emit_alu_imm(e, HA_CMP, 8, CPU_AT(arch.store.pmu_filtered), 0);
    to_slow_path(t, emit_jcc(e, 5));
}

/* On at the address in r14, at `level`. */
static void go_to_level(struct translation *t, unsigned level)
{
    struct emit *e = &t->e;
    u32 mode = (t->b->mode & ~(u32)MODE_CPL) | level << 2;
    emit_op_imm8(e, OP(0xc6), 1, 0, CPU_AT(d.cpl), level);
    emit_op_imm(e, OP(0xc7), 4, 0, CPU_AT(d.mode_word), (i32)mode);
    leave_by_target_only(t);
}

static void emit_syscall(struct translation *t)
{
    struct emit *e = &t->e;
    u64 next = t->rip + t->in->len;
    flags_spill(t);
    address_lost(t);
    check_plain(t);
    check_context(t, 0);
    emit_mov_load(e, 4, H_TMP, CPU_AT(arch.sfmask));
    emit_op(e, OP(0xf7), 4, 2, rm_reg(H_TMP)); /* not */
    emit_alu(e, HA_AND, 4, H_TMP, CPU_AT(arch.rflags));
    slow_if_bits(t, rm_reg(H_TMP), RFLAGS_AC, true);
    unpack(e);
    emit_mov_load(e, 4, H_ADDR, CPU_AT(arch.rflags));
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_ADDR), ~(i32)RFLAGS_ARITH);
    emit_alu(e, HA_OR, 4, H_ADDR, rm_reg(H_TMP));
    emit_mov_store(e, 8, H_ADDR, reg_rm(11));
    emit_mov_load(e, 4, H_TMP, CPU_AT(arch.sfmask));
    emit_op(e, OP(0xf7), 4, 2, rm_reg(H_TMP));
    emit_alu(e, HA_AND, 4, H_TMP, rm_reg(H_ADDR));
    emit_alu_imm(e, HA_OR, 4, rm_reg(H_TMP), RFLAGS_ONE);
    emit_mov_store(e, 8, H_TMP, CPU_AT(arch.rflags));
    pack(e);
    emit_mov_const(e, jit_home[RCX], next);
    emit_mov_load(e, 8, H_TMP, CPU_AT(arch.star));
    emit_shift_imm(e, HS_SHR, 8, rm_reg(H_TMP), 32);
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), 0xfffc);
    store_flat(t, SEG_CS, FLAT_CODE);
    emit_alu_imm(e, HA_ADD, 4, rm_reg(H_TMP), 8);
    store_flat(t, SEG_SS, FLAT_DATA);
    take_context(t, 0);
    emit_mov_load(e, 8, H_ADDR, CPU_AT(arch.lstar));
    go_to_level(t, 0);
}

static void emit_sysret(struct translation *t)
{
    struct emit *e = &t->e;
    bool intel = cpu_is_intel(t->cpu);
    flags_spill(t);
    address_lost(t);
    check_plain(t);
    check_context(t, TLB_FOUND_USER);
    slow_if_waiting(t);
    slow_if_bits(t, reg_rm(11), RFLAGS_AC | RFLAGS_TF, true);
    check_canonical(t, jit_home[RCX], H_TMP);
    emit_mov_load(e, 4, H_TMP, reg_rm(11));
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_TMP), 0x3c7fd7);
    emit_alu_imm(e, HA_OR, 4, rm_reg(H_TMP), RFLAGS_ONE);
    emit_mov_store(e, 8, H_TMP, CPU_AT(arch.rflags));
    pack(e);
    emit_mov_load(e, 8, H_TMP, CPU_AT(arch.star));
    emit_shift_imm(e, HS_SHR, 8, rm_reg(H_TMP), 48);
    emit_alu_imm(e, HA_ADD, 4, rm_reg(H_TMP), 8);
    emit_alu_imm(e, HA_OR, 4, rm_reg(H_TMP), 3);
    if (intel) {
        store_flat(t, SEG_SS, FLAT_DATA | SEG_DPL);
    } else {
        emit_mov_store(e, 2, H_TMP, segment_at(SEG_SS, offsetof(struct segment, sel)));
        emit_alu_imm(e, HA_OR, 4, segment_at(SEG_SS, offsetof(struct segment, attr)), SEG_DPL);
    }
    emit_mov_load(e, 8, H_TMP, CPU_AT(arch.star));
    emit_shift_imm(e, HS_SHR, 8, rm_reg(H_TMP), 48);
    emit_alu_imm(e, HA_ADD, 4, rm_reg(H_TMP), 16);
    emit_alu_imm(e, HA_OR, 4, rm_reg(H_TMP), 3);
    store_flat(t, SEG_CS, FLAT_CODE | SEG_DPL);
    take_context(t, TLB_FOUND_USER);
    emit_mov_load(e, 8, H_ADDR, rm_reg(jit_home[RCX]));
    go_to_level(t, 3);
}

/* ---- What only reads or writes registers ---- */

/* The TSC at this instruction: cpu_rdtsc(), where it ticks a whole number of times for each count. */
static void emit_tsc(struct translation *t)
{
    struct emit *e = &t->e;
    bool with_aux = number_of(t) != 0;
    flags_spill(t);
    address_lost(t);
    if (level_of(t) != 0) {
        slow_if_bits(t, CPU_AT(arch.cr4), CR4_TSD, true);
    }
    emit_mov_load(e, 8, H_ADDR, CPU_AT(d.tsc_per_count));
    emit_op(e, OP(0x85), 8, H_ADDR, rm_reg(H_ADDR));
    to_slow_path(t, emit_jcc(e, 4));
    emit_mov_load(e, 8, H_TMP, CPU_AT(d.left));
    emit_alu_imm(e, HA_ADD, 8, rm_reg(H_TMP), (i32)(t->count - t->i));
    emit_op(e, OP_0F(0xaf), 8, H_ADDR, rm_reg(H_TMP)); /* imul */
    emit_mov_load(e, 8, H_TMP, CPU_AT(d.tsc_at_end));
    emit_alu(e, HA_ADD, 8, H_TMP, CPU_AT(arch.tsc_offset));
    emit_alu(e, HA_SUB, 8, H_TMP, rm_reg(H_ADDR));
    emit_mov_load(e, 4, jit_home[RAX], rm_reg(H_TMP));
    emit_shift_imm(e, HS_SHR, 8, rm_reg(H_TMP), 32);
    emit_mov_load(e, 8, jit_home[RDX], rm_reg(H_TMP));
    if (with_aux) {
        emit_mov_load(e, 4, jit_home[RCX], CPU_AT(arch.tsc_aux));
    }
}

static void emit_rdpkru(struct translation *t)
{
    struct emit *e = &t->e;
    flags_spill(t);
    slow_if_bits(t, CPU_AT(arch.cr4), CR4_PKE, false);
    emit_op(e, OP(0x85), 4, jit_home[RCX], rm_reg(jit_home[RCX]));
    to_slow_path(t, emit_jcc(e, 5));
    emit_mov_load(e, 4, jit_home[RAX], CPU_AT(arch.pkru));
    emit_op(e, OP(0x31), 4, jit_home[RDX], rm_reg(jit_home[RDX]));
}

static void emit_base(struct translation *t)
{
    struct emit *e = &t->e;
    unsigned seg = number_of(t) & 7, size = t->in->osz == 8 ? 8 : 4, g = t->in->r[0];
    bool write = (number_of(t) & OP_BASE_WRITE) != 0;
    struct host_rm at = segment_at(seg, offsetof(struct segment, base)), base = CPU_AT(d.seg_base);
    base.disp += (i32)(8 * seg);
    flags_spill(t);
    address_lost(t);
    slow_if_bits(t, CPU_AT(arch.cr4), CR4_FSGSBASE, false);
    if (!write) {
        unsigned d = reg_for(g, H_TMP);
        emit_mov_load(e, size, d, at);
        reg_out(t, g, d);
        return;
    }
    emit_mov_load(e, size, H_ADDR, reg_rm(g));
    if (size == 8) {
        check_canonical(t, H_ADDR, H_TMP);
    }
    emit_mov_store(e, 8, H_ADDR, at);
    emit_mov_store(e, 8, H_ADDR, base);
}

/* Flags stay but for ZF, which goes into what is saved of them. */
static void emit_cmpxchg16b(struct translation *t)
{
    struct emit *e = &t->e;
    const i32 zf = F_ZF << 8;
    unsigned low = jit_home[RAX], high = jit_home[RDX];
    struct host_rm m = access_memory(t, AT_OPERAND, 16, 16, true), upper = m;
    upper.disp += 8;
    flags_spill(t);
    emit_alu(e, HA_CMP, 8, low, m);
    u8 *differs = emit_jcc(e, 5);
    emit_alu(e, HA_CMP, 8, high, upper);
    u8 *differs_above = emit_jcc(e, 5);
    emit_mov_store(e, 8, jit_home[RBX], m);
    emit_mov_store(e, 8, jit_home[RCX], upper);
    emit_alu_imm(e, HA_OR, 4, rm_reg(H_RAX), zf);
    u8 *done = emit_jmp(e);
    if (!e->full) {
        emit_patch(differs, e->at);
        emit_patch(differs_above, e->at);
    }
    emit_mov_load(e, 8, low, m);
    emit_mov_load(e, 8, high, upper);
    emit_alu_imm(e, HA_AND, 4, rm_reg(H_RAX), ~zf);
    if (!e->full) {
        emit_patch(done, e->at);
    }
    t->flags = IN_RAX;
    t->zero = t->wrong = 0;
}

void emit_system(struct translation *t)
{
    switch (t->facts[t->i].kind) {
    case OP_STI: emit_sti(t); break;
    case OP_SET_AC: emit_set_ac(t); break;
    case OP_TSC: emit_tsc(t); break;
    case OP_RDPKRU: emit_rdpkru(t); break;
    case OP_BASE: emit_base(t); break;
    case OP_CMPXCHG16B: emit_cmpxchg16b(t); break;
    case OP_PUSHF: emit_pushf(t); break;
    case OP_POPF: emit_popf(t); break;
    case OP_SYSCALL:
        emit_syscall(t);
        t->ended = true;
        break;
    case OP_SYSRET:
        emit_sysret(t);
        t->ended = true;
        break;
    default: break;
    }
}

/* Kinds that are emitted here, where they are: in 64-bit code outside of guests. Lockstep can take back no more than registers and
 * stores. */
unsigned system_kind(const struct translation *t, const struct insn *in, unsigned kind)
{
    u32 mode = t->b->mode;
    bool level0 = level_of(t) == 0, plain = (mode & (MODE_NONROOT | MODE_CET | MODE_MPX)) == 0, taken = true;
    switch ((enum op_kind)kind) {
    case OP_STI: taken = level0 && !is_last_of_part(t, in); break;
    case OP_SET_AC: taken = level0; break;
    case OP_PUSHF:
    case OP_POPF: taken = in->osz == 8; break;
    case OP_SYSRET: taken = level0 && in->osz == 8; break;
    case OP_TSC:
    case OP_SYSCALL:
    case OP_RDPKRU:
    case OP_BASE:
    case OP_CMPXCHG16B: break;
    default: return kind;
    }
    bool off = (t->j->config.without & JIT_SYSTEM) != 0 || t->word != 8 || t->j->lockstep != NULL || !plain;
    return taken && !off ? kind : (unsigned)OP_HANDLER;
}
