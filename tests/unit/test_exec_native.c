/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Random encodings of general integer instructions through decoder, handlers and memory accesses,
 * against the host processor: registers, defined flags, memory, and whether and how it faults. The
 * guest runs 64-bit code at CPL 3 under page tables that map a buffer at its host address, so
 * that both sides see the same addresses; everything else is unmapped. Branches, RIP-relative
 * operands and segments with a base are left to other tests. */
#include "cpu/apic.h"
#include "cpu/decode/decode.h"
#include "cpu/exec/exec.h"
#include "cpu/tlb.h"
#include "tests/harness/native_run.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BUFFER 0x10000000u /* linear and host address */
#define BUFFER_PAGES 3u
#define BUFFER_BYTES (BUFFER_PAGES * 4096)
#define RAM_BYTES MIB(2)
#define BUFFER_SPA 0x100000u
#define ROUNDS 300000u

static struct phys phys;
static struct log log_sink;
static struct clock guest_clock;
static struct cpu cpu;
static struct cpu_set set;
static struct use_pool uses;
static struct cpu_model model;
static struct decoder *decoder;
static u8 *buffer; /* the host's */

static u64 random_state = 1;

static u64 random64(void)
{
    random_state += 0x9e3779b97f4a7c15u;
    u64 z = random_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static unsigned below(unsigned n)
{
    return (unsigned)(random64() >> 33) % n;
}

/* ---- The guest ---- */

static void put_entry(u64 table, unsigned index, u64 value)
{
    store_le64(phys.ram + table + 8 * index, value | 7);
}

static void map_buffer(void)
{
    put_entry(0x1000, 0, 0x2000);
    put_entry(0x2000, 0, 0x3000);
    put_entry(0x3000, BUFFER >> 21, 0x4000);
    for (unsigned i = 0; i < BUFFER_PAGES; i++) {
        put_entry(0x4000, ((BUFFER >> 12) & 511) + i, BUFFER_SPA + i * 4096);
    }
}

static void guest_open(void)
{
    memset(&model, 0xff, sizeof model); /* every feature */
    model.vendor = CPU_VENDOR_INTEL;
    model.phys_bits = 40;
    log_init(&log_sink);
    clock_init(&guest_clock, 1000000000, 1000000000);
    ck_assert(phys_init(&phys, &log_sink, RAM_BYTES));
    phys_add_ram(&phys, REGION_RAM, SPA(0), RAM_BYTES, 0, 0, "ram");
    decoder = decoder_new(&model);
    cpu.model = &model;
    cpu.phys = &phys;
    cpu.clock = &guest_clock;
    cpu.log = &log_sink;
    cpu.set = &set;
    set.cpu[0] = &cpu;
    set.count = 1;
    set.uses = &uses;
    ck_assert(use_pool_init(&uses) && tlb_init(&cpu, 256));
    cpu.apic = apic_new(&cpu);
    map_buffer();
    cpu.arch.cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_ET;
    cpu.arch.cr3 = 0x1000;
    cpu.arch.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXSAVE;
    cpu.arch.efer = EFER_LME | EFER_LMA;
    cpu.arch.xcr0 = 7;
    cpu.arch.rflags = RFLAGS_ONE;
    for (unsigned s = 0; s < SEG_COUNT; s++) {
        cpu.arch.seg[s] = (struct segment){
            .limit = 0xffffffff, .attr = SEG_P | SEG_S | SEG_DPL | SEG_TYPE_WRITE | SEG_TYPE_ACCESSED};
    }
    cpu.arch.seg[SEG_CS].attr |= SEG_TYPE_CODE | SEG_L;
    cpu_update_mode(&cpu);
}

/* ---- Encodings ---- */

static const u8 one_byte[] = {
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x10, 0x11, 0x12, 0x13,
    0x18, 0x19, 0x1a, 0x1b, 0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x2a, 0x2b, 0x30, 0x31, 0x32, 0x33,
    0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x50, 0x51, 0x54, 0x55, 0x58, 0x5c, 0x5d, 0x63, 0x68, 0x69,
    0x6a, 0x6b, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8d, 0x8f, 0x90,
    0x91, 0x94, 0x98, 0x99, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9,
    0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xb0, 0xb7, 0xb8, 0xbc, 0xc0, 0xc1, 0xc6, 0xc7, 0xc8, 0xc9,
    0xd0, 0xd1, 0xd2, 0xd3, 0xd7, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfc, 0xfd, 0xfe, 0xff};
static const u8 two_byte[] = {
    0x18, 0x1f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x4b, 0x4c, 0x4d,
    0x4e, 0x4f, 0x90, 0x93, 0x94, 0x97, 0x9a, 0x9c, 0x9f, 0xa3, 0xa4, 0xa5, 0xab, 0xac, 0xad, 0xaf,
    0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xb8, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf, 0xc0, 0xc1, 0xc3, 0xc7,
    0xc8, 0xca, 0xcc, 0xcf};
static const u8 vex_38[] = {0xf2, 0xf3, 0xf5, 0xf6, 0xf7};

static unsigned put_prefixes(u8 *p)
{
    static const u8 prefixes[] = {0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x3e, 0x26};
    unsigned n = 0;
    while (below(3) == 0 && n < 3) {
        p[n++] = prefixes[below(sizeof prefixes)];
    }
    if (below(2) == 0) {
        p[n++] = (u8)(0x40 | below(16));
    }
    return n;
}

/* Random bytes; what they mean is the decoder's affair. */
static void random_encoding(u8 bytes[15])
{
    unsigned n = 0;
    unsigned map = below(16);
    if (map == 0) { /* VEX.0F38 */
        bytes[n++] = 0xc4;
        bytes[n++] = (u8)(0x02 | (random64() & 0xe0));
        bytes[n++] = (u8)(random64() & 0xfb);
        bytes[n++] = vex_38[below(sizeof vex_38)];
    } else if (map == 1) {
        n = put_prefixes(bytes);
        bytes[n++] = 0x0f;
        bytes[n++] = 0x38;
        bytes[n++] = (u8)(below(3) == 0 ? 0xf6 : 0xf0 + below(2));
    } else if (map < 8) {
        n = put_prefixes(bytes);
        bytes[n++] = 0x0f;
        bytes[n++] = two_byte[below(sizeof two_byte)];
    } else {
        n = put_prefixes(bytes);
        bytes[n++] = one_byte[below(sizeof one_byte)];
    }
    bytes[n++] = (u8)random64(); /* ModRM or immediate */
    for (bool small = below(2) == 0; n < 15; n++) {
        bytes[n] = small && n % 4 != 0 ? 0 : (u8)random64();
    }
}

/* Flags that the manuals leave undefined after this instruction; ~0: leave it out. */
static u64 undefined_flags(const struct insn *in, u64 rcx)
{
    unsigned n = (unsigned)(in->r[1] == OPR_IMM || in->r[2] == OPR_IMM ? in->imm : rcx) &
                 (in->osz == 8 ? 63u : 31u);
    u64 of_shift = n > 1 ? RFLAGS_OF : 0, beyond = n > 8u * in->osz ? RFLAGS_CF : 0;
    u64 szap = RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF;
    switch ((unsigned)insn_id(in)) {
    case INSN_AND: case INSN_OR: case INSN_XOR: case INSN_TEST:
        return RFLAGS_AF;
    case INSN_SHL: case INSN_SHR: case INSN_SAR:
        return n == 0 ? 0 : RFLAGS_AF | of_shift | beyond;
    case INSN_SHLD: case INSN_SHRD:
        return n == 0 ? 0 : RFLAGS_AF | of_shift | beyond;
    case INSN_ROL: case INSN_ROR: case INSN_RCL: case INSN_RCR:
        return of_shift;
    case INSN_MUL: case INSN_IMUL:
        return szap;
    case INSN_DIV: case INSN_IDIV:
        return RFLAGS_ARITH;
    case INSN_BT: case INSN_BTS: case INSN_BTR: case INSN_BTC:
        return RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF;
    case INSN_BSF: case INSN_BSR:
        return RFLAGS_ARITH & ~RFLAGS_ZF;
    case INSN_TZCNT: case INSN_LZCNT:
        return RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF;
    case INSN_BEXTR:
        return RFLAGS_SF | RFLAGS_AF | RFLAGS_PF;
    case INSN_ANDN: case INSN_BZHI: case INSN_BLSI: case INSN_BLSMSK: case INSN_BLSR:
        return RFLAGS_AF | RFLAGS_PF;
    case INSN_RDRAND: case INSN_RDSEED: case INSN_BOUND: case INSN_JMP: case INSN_CALL:
    case INSN_INVALID:
        return ~(u64)0;
    default:
        return 0;
    }
}

static bool is_testable(const struct insn *in)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned c = in->r[i];
        if (c >= OPR_VEC && c < OPR_MEM) {
            return false;
        }
    }
    if (in->base == REG_RIP || insn_seg(in) == SEG_FS || insn_seg(in) == SEG_GS) {
        return false;
    }
    switch (insn_id(in)) {
#define INSN(name, handler, priv, mode, unit, icpt, block) case INSN_##name:
#include "cpu/decode/insn_alu.def"
#include "cpu/decode/insn_string.def"
#undef INSN
        return true;
    default:
        return false;
    }
}

/* ---- Both sides ---- */

static u64 random_value(void)
{
    u64 v = random64();
    switch (below(6)) {
    case 0: return v & 0x1f;
    case 1: return 0 - (v & 0x1f);
    case 2: return (u64)1 << (v & 63);
    case 3: return (u32)v;
    default: return v;
    }
}

/* Somewhere in the buffer, at its page boundaries and ends more often. */
static u64 random_address(void)
{
    u64 page = below(BUFFER_PAGES + 1) * 4096u;
    u64 at = below(2) == 0 ? below(BUFFER_BYTES) : page + below(64) - 32;
    return BUFFER + at;
}

static void random_native(struct native_state *s)
{
    native_state_init(s);
    for (unsigned i = 0; i < 16; i++) {
        s->gpr[i] = below(3) == 0 ? random_value() : random_address();
    }
    s->gpr[RSP] = below(8) == 0 ? random_value() : random_address();
    if (below(2) == 0) {
        s->gpr[RCX] = below(2) == 0 ? below(70) : below(5000);
    }
    s->rflags = random64() & (RFLAGS_ARITH | RFLAGS_DF);
}

static void load_guest(const struct native_state *s, u64 rip)
{
    memcpy(cpu.arch.gpr, s->gpr, sizeof s->gpr);
    cpu_set_rflags(&cpu, s->rflags);
    cpu.arch.rip = rip;
    memcpy(phys.ram + BUFFER_SPA, buffer, BUFFER_BYTES);
}

static int run_guest(const struct insn *in)
{
    bool moves_rip = insn_moves_rip(in);
    u64 rip = cpu.arch.rip;
    do {
        if (in->exec(&cpu, in) != CPU_OK) {
            return cpu.event.vector == VEC_DE   ? SIGFPE
                   : cpu.event.vector == VEC_UD ? SIGILL
                                                : SIGSEGV;
        }
    } while (moves_rip && cpu.arch.rip == rip);
    return 0;
}

static void explain(const u8 *bytes, const struct insn *in, const struct native_state *start,
                    const struct native_state *end)
{
    fprintf(stderr, "%s:", insn_rows[insn_id(in)].name);
    for (unsigned i = 0; i < in->len; i++) {
        fprintf(stderr, " %02x", bytes[i]);
    }
    fprintf(stderr, " osz %u\n", in->osz);
    for (unsigned i = 0; i < 16; i++) {
        fprintf(stderr, "  r%-2u before %016llx guest %016llx host %016llx%s\n", i,
                (unsigned long long)start->gpr[i], (unsigned long long)cpu.arch.gpr[i],
                (unsigned long long)end->gpr[i], cpu.arch.gpr[i] == end->gpr[i] ? "" : " <--");
    }
    fprintf(stderr, "  fl  before %016llx guest %016llx host %016llx\n",
            (unsigned long long)start->rflags, (unsigned long long)cpu_rflags(&cpu),
            (unsigned long long)end->rflags);
}

START_TEST(exec_native__random)
{
    struct native *n = native_open();
    if (n == NULL || !__builtin_cpu_supports("bmi2")) {
        return;
    }
    buffer = mmap((void *)(uintptr_t)BUFFER, BUFFER_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ck_assert(buffer == (u8 *)(uintptr_t)BUFFER);
    guest_open();
    u32 mode = cpu.d.mode_word;
    unsigned ran = 0, completed = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        u8 bytes[15];
        struct insn in;
        struct native_state start, s;
        random_encoding(bytes);
        if (decode_insn(decoder, mode, bytes, sizeof bytes, &in) != DECODE_OK || !is_testable(&in)) {
            continue;
        }
        random_native(&start);
        u64 undefined = undefined_flags(&in, start.gpr[RCX]);
        if (undefined == ~(u64)0) {
            continue;
        }
        for (unsigned i = 0; i < BUFFER_BYTES; i += 8) {
            store_le64(buffer + i, below(64) == 0 ? random64() : 0);
        }
        load_guest(&start, native_rip(n));
        int guest_signal = run_guest(&in);
        s = start;
        struct native_outcome outcome = native_run(n, bytes, in.len, &s);
        int host_signal = outcome.signal == SIGBUS ? SIGSEGV : outcome.signal;
        u64 flags = (cpu_rflags(&cpu) ^ s.rflags) & (RFLAGS_ARITH | RFLAGS_DF) & ~undefined;
        ran++;
        completed += host_signal == 0;
        if (host_signal != 0 && insn_moves_rip(&in) && insn_asize(&in) == 4) {
            /* Some processors clear upper halves before a first iteration that faults. */
            for (unsigned i = RCX; i <= RDI; i++) {
                s.gpr[i] = (u32)s.gpr[i];
                cpu.arch.gpr[i] = (u32)cpu.arch.gpr[i];
            }
        }
        bool same_memory = memcmp(phys.ram + BUFFER_SPA, buffer, BUFFER_BYTES) == 0;
        /* An ENTER that faults may have pushed, below the stack pointer. */
        same_memory = same_memory || (insn_id(&in) == INSN_ENTER && host_signal != 0);
        if (guest_signal != host_signal || flags != 0 || !same_memory ||
            memcmp(cpu.arch.gpr, s.gpr, sizeof s.gpr) != 0) {
            explain(bytes, &in, &start, &s);
            ck_abort_msg("guest signal %d (vector %u), host %d, memory %s", guest_signal,
                         cpu.event.vector, host_signal, same_memory ? "same" : "differs");
        }
    }
    ck_assert_uint_gt(ran, ROUNDS / 4);
    ck_assert_uint_gt(completed, ran / 4);
    native_close(n);
}
END_TEST

int main(void)
{
#ifdef __SANITIZE_ADDRESS__
    /* Its shadow memory lies where random operands point: the host then reads what the guest cannot. */
    (void)puts("exec_native: not under AddressSanitizer");
    return EXIT_SUCCESS;
#endif
    Suite *suite = suite_create("exec_native");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, exec_native__random);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
