/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzzed entries of SVM. [APM2 "VMRUN Instruction"], [APM2 "#VMEXIT"] */
#include "svm_scenarios.h"

/* ---- What is to be reached ---- */

static const char CHECKS[] = "check", EXITS[] = "exit", INJECTS[] = "inject";

static struct hit hits[] = {
#define VMRUN_CHECK(id, field, title, rule) {CHECKS, #id, NULL, 0, 0, 0},
#include "cpu/svm/vmrun_checks.def"
#define SVM_EXIT(code, name, meaning) {EXITS, #name, NULL, code, 0, 0},
#include "abi/x86/exit_codes.def"
    {INJECTS, "interrupt", NULL, SVM_EVENT_INTR, 0, 0},
    {INJECTS, "NMI", NULL, SVM_EVENT_NMI, 0, 0},
    {INJECTS, "exception", NULL, SVM_EVENT_EXCEPTION, 0, 0},
    {INJECTS, "software interrupt", NULL, SVM_EVENT_SOFT_INT, 0, 0},
};

/* No processor of ours reaches these. */
static const struct {
    u64 first, last;
    const char *because;
} never[] = {
    {SVM_EXIT_CR1_READ, SVM_EXIT_CR1_READ, "there is no CR1"},
    {SVM_EXIT_CR5_READ, SVM_EXIT_CR7_READ, "there are no CR5 to CR7"},
    {SVM_EXIT_CR9_READ, SVM_EXIT_CR15_READ, "there are no CR9 to CR15"},
    {SVM_EXIT_CR1_WRITE, SVM_EXIT_CR1_WRITE, "there is no CR1"},
    {SVM_EXIT_CR5_WRITE, SVM_EXIT_CR7_WRITE, "there are no CR5 to CR7"},
    {SVM_EXIT_CR9_WRITE, SVM_EXIT_CR15_WRITE, "there are no CR9 to CR15"},
    {SVM_EXIT_DR8_READ, SVM_EXIT_DR15_READ, "there are no DR8 to DR15"},
    {SVM_EXIT_DR8_WRITE, SVM_EXIT_DR15_WRITE, "there are no DR8 to DR15"},
    {SVM_EXIT_EXCP2, SVM_EXIT_EXCP2, "vector 2 is the NMI's, which has its own code"},
    {SVM_EXIT_EXCP9, SVM_EXIT_EXCP9, "no processor raises vector 9"},
    {SVM_EXIT_EXCP15, SVM_EXIT_EXCP15, "no processor raises vector 15"},
    {SVM_EXIT_EXCP18, SVM_EXIT_EXCP18, "nothing makes machine checks"},
    {SVM_EXIT_EXCP20, SVM_EXIT_EXCP20, "vector 20 is Intel's"},
    {SVM_EXIT_EXCP22, SVM_EXIT_EXCP29, "vectors of nobody, and of encrypted guests"},
    {SVM_EXIT_EXCP31, SVM_EXIT_EXCP31, "vector 31 is nobody's"},
    {SVM_EXIT_SKINIT, SVM_EXIT_SKINIT, "no model has SKINIT"},
    {SVM_EXIT_CR1_WRITE_TRAP, SVM_EXIT_CR2_WRITE_TRAP, "there is no CR1; CR2 has no write trap"},
    {SVM_EXIT_CR5_WRITE_TRAP, SVM_EXIT_CR7_WRITE_TRAP, "there are no CR5 to CR7"},
    {SVM_EXIT_CR9_WRITE_TRAP, SVM_EXIT_CR15_WRITE_TRAP, "there are no CR9 to CR15"},
    {SVM_EXIT_INVLPGB, SVM_EXIT_INVLPGB_ILLEGAL, "no model has INVLPGB"},
    {SVM_EXIT_MCOMMIT, SVM_EXIT_MCOMMIT, "no model has MCOMMIT"},
    {SVM_EXIT_TLBSYNC, SVM_EXIT_TLBSYNC, "no model has TLBSYNC"},
    {SVM_EXIT_BUSLOCK, SVM_EXIT_IDLE_HLT, "no model has these intercepts"},
    {SVM_EXIT_VMGEXIT, SVM_EXIT_VMGEXIT, "no model has encrypted guests"},
    {SVM_EXITCODE_BUSY, SVM_EXITCODE_BUSY, "no model has encrypted guests"},
};

static unsigned hit_count(void)
{
    return ARRAY_LEN(hits);
}

static void name_the_impossible(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(hits); i++) {
        for (unsigned k = 0; k < ARRAY_LEN(never); k++) {
            if (hits[i].group == EXITS && hits[i].code >= never[k].first && hits[i].code <= never[k].last) {
                hits[i].because = never[k].because;
            }
        }
        if (hits[i].group == CHECKS && strcmp(hits[i].name, "efer_no_long_mode") == 0) {
            hits[i].because = NULL;
        }
    }
}

static void reached(const char *group, u64 code, enum guide how)
{
    for (unsigned i = 0; i < ARRAY_LEN(hits); i++) {
        if (hits[i].group == group && hits[i].code == code) {
            count_hit(&hits[i], how);
            return;
        }
    }
    entries_fail("%s %llx has no row", group, (unsigned long long)code);
}

static void reached_check(const char *id, enum guide how)
{
    for (unsigned i = 0; i < ARRAY_LEN(hits); i++) {
        if (hits[i].group == CHECKS && strcmp(hits[i].name, id) == 0) {
            count_hit(&hits[i], how);
            return;
        }
    }
    entries_fail("refused by %s, which is no row", id);
}

/* ---- The good state ---- */

static u64 entered, refused, exited;
static enum kind kind;
static bool whole;

static void put_gates(void)
{
    for (unsigned v = 0; v < 256; v++) {
        gate64(v, KCODE64, AT_GUEST_HANDLER, SYS_INT, 3, 0);
        store_le64(ram(AT_GUEST_IDT + 8 * v), AT_GUEST_HANDLER | (u64)KCODE << 16 | (u64)0xee << 40);
    }
}

static void put_kind(void)
{
    u64 cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE;
    put(VMCB_rflags, 8, RFLAGS_ONE | RFLAGS_IF);
    put(VMCB_cr0, 8, cr0);
    put(VMCB_rsp, 8, AT_STACK);
    put(VMCB_idtr + 4, 4, 0xfff);
    if (kind == SHADOW) {
        store_le64(ram(AT_PDPT), (AT_TABLES + 0x2000) | 1);
        put(VMCB_nested_ctl, 8, 0);
        put(VMCB_efer, 8, EFER_SVME);
        put(VMCB_cr3, 8, AT_PDPT);
        put(VMCB_cs, 2, KCODE);
        put(VMCB_cs + 2, 2, 0xc9b);
        put(VMCB_idtr + 8, 8, AT_GUEST_IDT);
    } else if (kind == REAL) {
        put(VMCB_efer, 8, EFER_SVME);
        put(VMCB_cr0, 8, CR0_ET);
        put(VMCB_cs, 2, 0);
        put(VMCB_cs + 2, 2, 0x9b);
        put(VMCB_cs + 4, 4, 0xffff);
        put(VMCB_idtr + 8, 8, 0);
        put(VMCB_idtr + 4, 4, 0x3ff);
        put(VMCB_rsp, 8, 0x4000);
    } else if (kind == AVIC) {
        put(VMCB_int_ctl, 4, V_AVIC_ENABLE);
        put(VMCB_avic_apic_bar, 8, AT_BAR);
        put(VMCB_avic_backing_page, 8, AT_BACKING);
        put(VMCB_avic_logical_table, 8, AT_LOGICAL);
        put(VMCB_avic_physical_table, 8, AT_PHYSICAL);
        store_le64(ram(AT_PHYSICAL), BIT(63) | AT_BACKING);
    }
}

static void open_svm(void)
{
    name_the_impossible();
    kind = (enum kind)below(KIND_COUNT);
    if (one_in(2)) {
        kind = NESTED;
    }
    rig_start();
    whole = pick_model(one_in(2) ? "amd" : "max,vendor=amd", CPU_FEATURE_NPT, CPU_FEATURE_SVME_ADDR_CHK + 1);
    start_svm();
    good_vmcb();
    put_gates();
    put_kind();
    memcpy(ram(AT_CODE), "\x0f\x01\xd8\xeb\xfe", 5);
    memcpy(ram(AT_SMM), "\x0f\xaa", 2);
    memcpy(ram(AT_GUEST_HANDLER), "\x0f\x01\xd9\xeb\xfb", 5);
    machine_watch();
    machine_save();
}

static void close_svm(void)
{
    machine_drop();
    rig_stop();
}

/* ---- One entry ---- */

static const struct {
    u16 offset;
    u8 bytes;
} fields[] = {
#define VMCB_CONTROL(offset, bytes, name, clean) {offset, bytes},
#define VMCB_SAVE(offset, bytes, name, clean) {offset, bytes},
#define VMCB_SEGMENT(offset, name, clean) {offset, 2}, {offset + 2, 2}, {offset + 4, 4}, {offset + 8, 8},
#include "abi/x86/vmcb_fields.def"
};

static void mutate(unsigned n)
{
    for (; n > 0; n--) {
        unsigned i = below(ARRAY_LEN(fields));
        if (one_in(4)) {
            i = below(6); /* intercepts */
        }
        put(fields[i].offset, fields[i].bytes, odd_value(get(fields[i].offset, fields[i].bytes)));
    }
    put(VMCB_intercept_2, 4, get(VMCB_intercept_2, 4) | (one_in(16) ? 0u : 1u));
}

static void random_registers(void)
{
    static const u64 places[] = {AT_DATA, AT_VMCB, AT_BAR, AT_GUEST, AT_TABLES, AT_GDT, 0x3ffff0, 0xc0000080, 0x830, 0};
    for (unsigned i = 0; i < 16; i++) {
        if (i != RSP && i != RAX) {
            u64 place = places[below(ARRAY_LEN(places))];
            R.cpu.arch.gpr[i] = one_in(4) ? rnd() : place + (u64)below(16) * 4;
        }
    }
    u64 place = places[below(ARRAY_LEN(places))];
    put(VMCB_rax, 8, place + (u64)below(16) * 4);
}

static void guest_code(const struct scenario *s)
{
    u8 code[64];
    unsigned n = 0;
    if (s != NULL) {
        memcpy(code, s->code, s->len);
        n = s->len;
    } else {
        for (unsigned k = 1 + below(3); k > 0; k--) {
            const struct scenario *other = &scenarios[below(ARRAY_LEN(scenarios))];
            memcpy(code + n, other->code, n + other->len < 48 ? other->len : 0);
            n += n + other->len < 48 ? other->len : 0u;
        }
        if (one_in(4)) {
            u8 byte = (u8)rnd();
            code[below(n)] = byte;
        }
    }
    memcpy(code + n, "\x0f\x01\xd9\xeb\xfb", 5);
    ram_put(AT_GUEST, code, n + 5);
}

static const struct scenario *pick_scenario(void)
{
    for (;;) {
        const struct scenario *s = &scenarios[below(ARRAY_LEN(scenarios))];
        if (s->kind == kind) {
            return s;
        }
    }
}

static void break_a_rule(void)
{
    const struct broken *b = svm_broken[below(ARRAY_LEN(svm_broken))].broken;
    if (b->more != NULL) {
        b->more();
    }
    for (unsigned i = 0; i < ARRAY_LEN(b->field) && b->field[i].bytes != 0; i++) {
        put(b->field[i].offset, b->field[i].bytes, b->field[i].value);
    }
}

static void aim(const struct scenario *s)
{
    if (s->exitcode < 0xc0) {
        unsigned at = (unsigned)(s->exitcode / 32) * 4;
        put(at, 4, get(at, 4) | BIT32(s->exitcode % 32));
    }
    for (unsigned i = 0; i < ARRAY_LEN(s->more) && s->more[i].bytes != 0; i++) {
        put(s->more[i].offset, s->more[i].bytes, get(s->more[i].offset, s->more[i].bytes) | s->more[i].set);
    }
}

static void (*const happenings[])(void) = {interrupt, nmi, smi, init};
#define NO_EXIT 0x1234567u

static void count_exit(enum guide how, u64 injected)
{
    u64 exitcode = get(VMCB_exitcode, 8);
    const struct svm_reason *why = &R.cpu.svm_reason;
    note(exitcode);
    note(get(VMCB_exitinfo1, 8));
    if (exitcode == NO_EXIT) {
        return; /* a shutdown or an INIT took the processor out of the guest */
    }
    reached(EXITS, exitcode, how);
    if (exitcode == SVM_EXITCODE_INVALID) {
        refused++;
        reached_check(why->id, how);
    } else {
        exited++;
        if ((injected & SVM_EVENT_V) != 0) {
            reached(INJECTS, (injected & SVM_EVENT_TYPE) >> SVM_EVENT_TYPE_SHIFT, how);
        }
    }
    if (R.shutdowns == 0 && (R.cpu.arch.svm.gif || R.cpu.d.cpl != 0)) {
        entries_fail("after #VMEXIT: GIF %d, CPL %u", R.cpu.arch.svm.gif, R.cpu.d.cpl);
    }
}

static void run(const struct scenario *s, enum guide how)
{
    u64 injected = get(VMCB_eventinj, 8);
    put(VMCB_exitcode, 8, NO_EXIT);
    R.cpu.arch.gpr[RAX] = AT_VMCB;
    machine_run(1);
    note(R.cpu.arch.rip);
    if (R.cpu.arch.guest == GUEST_SVM) {
        entered++;
        if (s != NULL && s->after != NULL) {
            s->after();
        } else if (s == NULL && one_in(3)) {
            happenings[below(ARRAY_LEN(happenings))]();
        }
        for (unsigned i = 0; i < 24 && (R.cpu.arch.guest == GUEST_SVM || R.cpu.arch.in_smm); i++) {
            machine_run(1);
        }
    }
    if (R.cpu.arch.guest == GUEST_NONE && !R.cpu.arch.in_smm) {
        count_exit(how, injected);
    }
    if (whole && how == GUIDE_EXACT && get(VMCB_exitcode, 8) != s->exitcode && s->exitcode != SVM_EXIT_EXCP21) {
        entries_fail("scenario %u ended by %llx, not by %llx", (unsigned)(s - scenarios),
                     (unsigned long long)get(VMCB_exitcode, 8), (unsigned long long)s->exitcode);
    }
}

static void enter_svm(enum guide how)
{
    const struct scenario *s = how >= GUIDE_SCENARIO ? pick_scenario() : NULL;
    phys_note_write(&R.phys, AT_VMCB / PAGE_SIZE); /* the rig writes them behind the processor's back */
    phys_note_write(&R.phys, AT_PDPT / PAGE_SIZE);
    machine_restore();
    if (how != GUIDE_EXACT) {
        random_registers();
    }
    if (how == GUIDE_BREAK) {
        break_a_rule();
    } else if (s != NULL) {
        aim(s);
    }
    if (s != NULL && s->before != NULL) {
        s->before();
    } else if (s == NULL && how != GUIDE_BREAK && one_in(4)) {
        void (*before)(void) = scenarios[below(ARRAY_LEN(scenarios))].before;
        if (before != NULL) {
            before();
        }
    }
    if (how != GUIDE_EXACT) {
        mutate(how == GUIDE_NONE ? below(6) : below(3));
        if (one_in(8)) {
            put(VMCB_eventinj, 8, SVM_EVENT_V | (rnd() & (SVM_EVENT_TYPE | SVM_EVENT_EV | 0x1f)));
        }
    }
    guest_code(s);
    run(s, how);
    if (one_in(2048)) {
        machine_check_state();
    }
}

const struct vendor svm_entries = {
    .name = "svm",
    .open = open_svm,
    .close = close_svm,
    .enter = enter_svm,
    .hits = hits,
    .hit_count = hit_count,
    .entered = &entered,
    .refused = &refused,
    .exited = &exited,
    .digest = &saved.digest,
};
