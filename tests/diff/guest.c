/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Our side: two processors of the simulator in user mode under page tables that map the same linear
 * addresses as the host's process has in the low 4 GByte. Processor 0 loses its translations before
 * each case and has two entries only; processor 1 keeps them. The model has the
 * host's features, so that #UD can be compared. */
#include "cpu/apic.h"
#include "cpu/exec/exec.h"
#include "cpu/exec/fast.h"
#include "cpu/exec/fault.h"
#include "cpu/exec/simd.h"
#include "cpu/tlb.h"
#include "jit/jit_priv.h"
#include "tests/diff/diff.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BYTES MIB(2)
#define WINDOW_SPA 0x100000u
#define CODE_SPA 0x110000u

struct guest {
    struct phys phys;
    struct cpu cpu;
    struct cpu_set set;
    struct use_pool uses;
    struct clock clock;
};

static struct {
    struct guest g[GUESTS];
    struct log log;
    struct cpu_model model;
    struct decoder *decoder;
    u32 mode[2];
    struct code_cache code; /* only so that the translator has one */
    struct jit *jit;        /* of processor 1, or NULL */
    struct block *block;
    u64 translated, refused;
} guests;

/* ---- The model ---- */

static u32 host_cpuid(u32 leaf, u32 subleaf, enum feature_reg reg)
{
    u32 r[4] = {0};
    if (!__get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3])) {
        return 0;
    }
    switch (reg) {
    case FEATURE_EAX: return r[0];
    case FEATURE_EBX: return r[1];
    case FEATURE_ECX: return r[2];
    case FEATURE_EDX: return r[3];
    case FEATURE_CAPS: break;
    }
    return 0;
}

/* Features that decide about instructions. */
static const u8 isa_features[] = {
#define ISA(set, feature) CPU_FEATURE_##feature,
#define ISA_NEVER(set)
#include "cpu/decode/isa.def"
#undef ISA
#undef ISA_NEVER
};

/* The host's features, also those whose rows exist but that no model announces yet. */
static void take_host_features(struct cpu_model *m)
{
    for (unsigned i = 0; i < sizeof isa_features; i++) {
        m->features[isa_features[i] / 64] |= BIT(isa_features[i] % 64);
    }
    for (unsigned f = 0; f < CPU_FEATURE_COUNT; f++) {
        const struct feature_info *i = &feature_table[f];
        if (i->reg != FEATURE_CAPS && ((host_cpuid(i->leaf, i->subleaf, i->reg) >> i->bit) & 1) == 0) {
            m->features[f / 64] &= ~BIT(f % 64);
        }
    }
}

/* ---- Memory ---- */

static void put_entry(struct phys *phys, u64 table, u64 index, u64 value, u64 bits)
{
    store_le64(phys->ram + table + 8 * index, value | bits);
}

static void map_page(struct phys *phys, u64 lin, u64 spa, bool writable)
{
    put_entry(phys, 0x4000, (lin >> 12) & 511, spa, writable ? 7 : 5);
}

static void map_memory(struct phys *phys)
{
    put_entry(phys, 0x1000, 0, 0x2000, 7);
    put_entry(phys, 0x2000, 0, 0x3000, 7);
    put_entry(phys, 0x3000, WINDOW >> 21, 0x4000, 7);
    for (unsigned i = 0; i < WINDOW_PAGES; i++) {
        map_page(phys, WINDOW + i * 4096, WINDOW_SPA + i * 4096, i < 2);
    }
    map_page(phys, CODE_EXACT, CODE_SPA, false);
    map_page(phys, CODE_QUICK, CODE_SPA + 4096, false);
    map_page(phys, CODE_LEAVE, CODE_SPA + 8192, false);
}

u8 *guest_window(unsigned g)
{
    return guests.g[g].phys.ram + WINDOW_SPA;
}

u8 *guest_code(unsigned g, u64 lin)
{
    u8 *code = guests.g[g].phys.ram + CODE_SPA;
    switch (lin & ~(u64)4095) {
    case CODE_EXACT: return code + (lin & 4095);
    case CODE_QUICK: return code + 4096 + (lin & 4095);
    case CODE_LEAVE: return code + 8192 + (lin & 4095);
    default: return NULL;
    }
}

/* ---- The processors ---- */

static void set_segments(struct cpu *cpu, bool compat)
{
    const u32 data = SEG_P | SEG_S | SEG_DPL | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED | SEG_DB | SEG_G;
    struct segment flat = {.limit = 0xffffffff, .attr = data, .sel = 0x2b};
    struct segment null = {.attr = SEG_UNUSABLE};
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        cpu->arch.seg[s] = s == SEG_SS || (compat && (s == SEG_DS || s == SEG_ES)) ? flat : null;
    }
    cpu->arch.seg[SEG_CS] = flat;
    cpu->arch.seg[SEG_CS].sel = compat ? 0x23 : 0x33;
    cpu->arch.seg[SEG_CS].attr |= SEG_TYPE_CODE;
    if (!compat) {
        cpu->arch.seg[SEG_CS].attr = (cpu->arch.seg[SEG_CS].attr & ~(u32)SEG_DB) | SEG_L;
    }
}

static bool guest_open(struct guest *g, u64 tlb_entries)
{
    struct cpu *cpu = &g->cpu;
    if (!phys_init(&g->phys, &guests.log, RAM_BYTES)) {
        return false;
    }
    phys_add_ram(&g->phys, REGION_RAM, SPA(0), RAM_BYTES, 0, 0, "ram");
    cpu->model = &guests.model;
    cpu->phys = &g->phys;
    cpu->clock = &g->clock;
    cpu->log = &guests.log;
    cpu->set = &g->set;
    g->set.cpu[0] = cpu;
    g->set.count = 1;
    g->set.uses = &g->uses;
    if (!use_pool_init(&g->uses) || !tlb_init(cpu, tlb_entries)) {
        return false;
    }
    cpu->apic = apic_new(cpu);
    map_memory(&g->phys);
    cpu->arch.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET | CR0_NE | CR0_MP | CR0_AM;
    cpu->arch.cr3 = 0x1000;
    cpu->arch.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE | CR4_UMIP;
    cpu->arch.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    cpu->arch.xcr0 = 7;
    cpu->arch.rflags = RFLAGS_ONE | RFLAGS_IF;
    for (unsigned compat = 0; compat < 2; compat++) {
        set_segments(cpu, compat != 0);
        cpu_update_mode(cpu);
        guests.mode[compat] = cpu->d.mode_word;
    }
    memcpy(guest_code((unsigned)(g - guests.g), CODE_EXACT), host_code(CODE_EXACT), 4096);
    memcpy(guest_code((unsigned)(g - guests.g), CODE_QUICK), host_code(CODE_QUICK), 4096);
    memcpy(guest_code((unsigned)(g - guests.g), CODE_LEAVE), host_code(CODE_LEAVE), 4096);
    return true;
}

static bool open_translator(void)
{
    const struct jit_config config = {.bytes = MIB(4), .tlb_entries = 64, .by_block = true};
    const char *why = "out of memory";
    guests.block = calloc(1, sizeof *guests.block + sizeof(struct insn));
    if (guests.block != NULL && code_cache_init(&guests.code, &guests.model, MIB(1))) {
        guests.jit = jit_new(&guests.g[1].set, &guests.code, &guests.log, &config, &why);
    }
    if (guests.jit == NULL) {
        fprintf(stderr, "vt_difffuzz: no translator: %s\n", why);
    }
    return guests.jit != NULL;
}

unsigned guests_translated(void)
{
    u64 native = guests.translated - (guests.jit != NULL ? jit_stats(guests.jit)->helped : 0);
    return guests.translated == 0 ? 0 : (unsigned)(1000 * native / (guests.translated + guests.refused));
}

bool guests_open(const char *model_text, bool translated)
{
    struct error err = {0};
    char text[128];
    unsigned a = 0, b = 0, c = 0, d = 0;
    (void)__get_cpuid(0, &a, &b, &c, &d);
    (void)snprintf(text, sizeof text, "%s,vendor=%s", model_text, c == 0x444d4163 ? "amd" : "intel");
    if (!cpu_model_parse(&guests.model, text, &err)) {
        return false;
    }
    take_host_features(&guests.model);
    guests.decoder = decoder_new(&guests.model);
    return guests.decoder != NULL && guest_open(&guests.g[0], 2) && guest_open(&guests.g[1], 64) &&
           (!translated || open_translator());
}

void guests_close(void)
{
    if (guests.jit != NULL) {
        jit_free(guests.jit);
        code_cache_free(&guests.code);
    }
    free(guests.block);
    for (unsigned i = 0; i < GUESTS; i++) {
        struct guest *g = &guests.g[i];
        apic_free(g->cpu.apic);
        tlb_free(&g->cpu);
        use_pool_free(&g->uses);
        phys_free(&g->phys);
    }
    decoder_free(guests.decoder);
}

const struct decoder *guest_decoder(void)
{
    return guests.decoder;
}

const struct cpu_model *guest_model(void)
{
    return &guests.model;
}

u32 guest_mode(bool compat, const struct native_fx *fx)
{
    return guests.mode[compat] | ((fx->fsw & 0x80) != 0 ? MODE_FPU_ERROR : 0u);
}

exec_fn *guest_plain_exec(const struct insn *in)
{
    const struct insn_row *row = &insn_rows[insn_id(in)];
    if (insn_id(in) == INSN_INVALID || in->exec == row->exec) {
        return in->exec;
    }
    struct insn plain = *in;
    plain.exec = row->exec;
    return exec_specialise(&plain, (enum insn_id)insn_id(in)) == in->exec ? row->exec : in->exec;
}

static void forget_translations(struct cpu *cpu)
{
    struct tlb_ctx *ctx = cpu->d.ctx;
    for (u64 i = 0; i <= ctx->mask; i++) {
        /* As empty entries are: a page of the neighbouring slot. */
        struct tlb_entry e = {.page = ((i ^ 1) & ctx->mask) << PAGE_SHIFT};
        ctx->rd[i] = ctx->wr[i] = ctx->ex[i] = e;
    }
}

/* One of the other ways to keep the same flags: those that results leave (cpu/flags.h). */
static void vary_flags(struct cpu *cpu, u64 rflags, u64 random)
{
    bool zf = (rflags & RFLAGS_ZF) != 0, sf = (rflags & RFLAGS_SF) != 0, pf = (rflags & RFLAGS_PF) != 0;
    u64 res = zf ? 0 : random != 0 ? random : 1;
    u64 parity = random >> 24 & 0xff;
    if (((__builtin_popcountll((res ^ parity) & 0xff) & 1) == 0) != pf) {
        parity ^= 1;
    }
    cpu->arch.cc_res = res;
    cpu->arch.cc_aux &= ~(u64)(CC_SD | (u64)0xff << CC_PD_SHIFT);
    cpu->arch.cc_aux |= ((res >> 63) != 0) != sf ? CC_SD : 0u;
    cpu->arch.cc_aux |= parity << CC_PD_SHIFT;
}

static void load_state(struct cpu *cpu, const struct diff_state *s)
{
    struct fpu_state *f = &cpu->arch.fpu;
    memcpy(cpu->arch.gpr, s->gpr, sizeof s->gpr);
    cpu_set_rflags(cpu, s->rflags);
    cpu->arch.rip = s->rip;
    cpu->arch.seg[SEG_FS].base = s->fs_base;
    cpu->arch.seg[SEG_GS].base = s->gs_base;
    memcpy(cpu->arch.vec, s->vec, sizeof s->vec);
    cpu->arch.mxcsr = s->fx.mxcsr;
    f->fcw = s->fx.fcw;
    f->fsw = s->fx.fsw;
    f->tags = s->fx.tags;
    f->fop = s->fx.fop;
    f->fip = s->fx.fip;
    f->fdp = s->fx.fdp;
    f->fcs = f->fds = 0;
    for (unsigned i = 0; i < 8; i++) {
        struct f80 *r = &f->r[((unsigned)(f->fsw >> 11) + i) & 7];
        r->mant = load_le64(s->fx.st[i]);
        r->se = load_le16(s->fx.st[i] + 8);
    }
}

static void store_state(struct cpu *cpu, struct diff_state *s)
{
    const struct fpu_state *f = &cpu->arch.fpu;
    memcpy(s->gpr, cpu->arch.gpr, sizeof s->gpr);
    s->rflags = cpu_rflags(cpu);
    s->rip = cpu->arch.rip;
    s->fs_base = cpu->arch.seg[SEG_FS].base;
    s->gs_base = cpu->arch.seg[SEG_GS].base;
    memcpy(s->vec, cpu->arch.vec, sizeof s->vec);
    struct native_fx fx = {.mxcsr = cpu->arch.mxcsr, .fcw = f->fcw, .fsw = f->fsw, .tags = f->tags, .fop = f->fop, .fip = f->fip, .fdp = f->fdp};
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *r = &f->r[((unsigned)(f->fsw >> 11) + i) & 7];
        store_le64(fx.st[i], r->mant);
        store_le16(fx.st[i] + 8, r->se);
    }
    s->fx = fx;
}

static cpu_rc run_one(struct cpu *cpu, const struct insn *in, exec_fn *exec)
{
    u64 rip = cpu->arch.rip;
    if (!insn_moves_rip(in)) {
        cpu_rc rc = exec(cpu, in);
        if (rc == CPU_OK) {
            cpu->arch.rip = next_rip(cpu, in);
        }
        return rc;
    }
    cpu_rc rc = CPU_OK;
    do {
        rc = exec(cpu, in);
    } while (rc == CPU_OK && cpu->arch.rip == rip && insn_rows[insn_id(in)].block == BLOCK_STRING);
    return rc;
}

/* A block of the one instruction, translated, run once (REP: until it is through) and thrown away. */
static cpu_rc run_translated(struct cpu *cpu, const struct insn *in)
{
    struct jit *j = guests.jit;
    struct block *b = guests.block;
    u64 rip = cpu->arch.rip;
    *b = (struct block){.lin = rip, .mode = cpu->d.mode_word, .count = 1, .bytes = in->len};
    b->flags = insn_moves_rip(in) ? BLOCK_LAST_JUMPS : 0;
    memcpy(b->ops, in, sizeof *in);
    if (!jit_translate(j, cpu, b)) {
        guests.refused++;
        return run_one(cpu, in, in->exec);
    }
    enum jit_reason reason;
    do {
        cpu->d.left = 1000;
        guests.translated++;
        reason = jit_run_code(j, cpu, b->code);
    } while (reason != JIT_FAULT && reason != JIT_OUT && cpu->arch.rip == rip &&
             insn_rows[insn_id(in)].block == BLOCK_STRING && insn_moves_rip(in));
    jit_unlink_block(j, b->jit);
    if (reason == JIT_OUT) { /* it may not run translated: unmasked floating-point exceptions */
        return run_one(cpu, in, in->exec);
    }
    return reason == JIT_FAULT ? CPU_EXIT : CPU_OK;
}

void guest_run(unsigned g, const struct diff_case *c, exec_fn *exec, struct diff_result *r)
{
    struct cpu *cpu = &guests.g[g].cpu;
    set_segments(cpu, c->compat);
    load_state(cpu, &c->start);
    if (g == 1) {
        vary_flags(cpu, c->start.rflags, (c->number + 1) * 0x9e3779b97f4a7c15u >> (c->number & 31));
    }
    cpu_update_mode(cpu);
    if (g == 0) {
        forget_translations(cpu);
    }
    r->outcome = (struct diff_outcome){.completed = true};
    r->end = c->start;
    bool translated = g == 1 && guests.jit != NULL;
    if ((translated ? run_translated(cpu, &c->in) : run_one(cpu, &c->in, exec)) != CPU_OK) {
        const struct event *e = &cpu->event;
        r->outcome = (struct diff_outcome){.vector = e->vector, .error = e->has_error ? e->error : 0};
        if (e->kind == EVENT_EXCEPTION && e->vector == VEC_PF) {
            r->outcome.cr2 = e->cr2;
        }
        if (e->kind == EVENT_SOFT_INT && e->vector != VEC_BP && e->vector != VEC_OF) {
            /* The host's other gates have DPL 0. [SDM3 "Protection of Exception- and Interrupt-Handler
             * Procedures"] */
            r->outcome = (struct diff_outcome){.vector = VEC_GP, .error = (u32)e->vector * 8 + 2};
        } else if (e->kind == EVENT_SOFT_INT || e->kind == EVENT_INT3 || e->kind == EVENT_ICEBP) {
            cpu->arch.rip += e->insn_len; /* traps */
        }
    }
    store_state(cpu, &r->end);
}
