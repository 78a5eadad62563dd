/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vt_difffuzz: random user-level instructions on the simulator's interpreter and on this processor.
 *
 *   --cases N        how many to compare (default 1000000); --time S: stop after S seconds
 *   --seed N         another sequence (default 1)
 *   --mnemonic NAME  only this row; --no-mutate: only proper encodings; --bits 32|64: only that mode
 *   --replay S:N     case N of seed S (with what leads to it), printed in full
 *   --max-reports N  differences shown in full (default 20); --table: counts by row
 *   --jit            the second processor runs what sim/jit makes of the instruction
 *   --explained      show those that are explained too
 *
 * Exit status: 0 no unexplained difference, 1 some, 77 this host cannot serve. */
#define _GNU_SOURCE
#include "tests/diff/diff.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 64u

struct row_count {
    u64 cases, completed, differences, explained;
    u64 undefined[6], unlike[6]; /* by flag: left undefined; the host had another value than we define */
};

static struct {
    u64 seed, cases, replay;
    double seconds;
    bool replaying, table, mutate, explained, jit;
    u64 max_reports;
    const char *mnemonic;
    unsigned bits; /* 0: both */
} options = {.seed = 1, .cases = 1000000, .mutate = true, .max_reports = 20};

static struct {
    struct row_count row[INSN_COUNT];
    u64 explained[EXPLAIN_COUNT];
    u64 vectors[256];
    u64 cases, compat, exact, mutated, differences, shown, drawn, unsafe;
} stats;

static struct forms forms[2];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Would the host, doing the same as ours did, stay under our control? */
static bool host_is_safe(const struct diff_case *c, const struct diff_result *ours)
{
    u64 rip = ours->end.rip;
    if (!ours->outcome.completed) {
        return true;
    }
    if ((ours->end.rflags & RFLAGS_TF) != 0) {
        return false;
    }
    if (!c->exact) {
        return rip == c->start.rip + c->len;
    }
    return rip - c->start.rip >= c->len && rip - CODE_QUICK >= 4096 && rip - CODE_LEAVE >= 4096 &&
           (rip < (u64)1 << 32 || c->decoded != DECODE_OK || insn_rows[insn_id(&c->in)].block == BLOCK_JUMP);
}

static const struct {
    u16 bit;
    char name[3];
} arith_flags[6] = {{RFLAGS_CF, "CF"}, {RFLAGS_PF, "PF"}, {RFLAGS_AF, "AF"},
                    {RFLAGS_ZF, "ZF"}, {RFLAGS_SF, "SF"}, {RFLAGS_OF, "OF"}};

static void count_undefined(struct row_count *row, const struct diff_case *c, const struct diff_result *ours,
                            const struct diff_result *host)
{
    u64 free_bits = undefined_flags(c), unlike = ours->end.rflags ^ host->end.rflags;
    for (unsigned i = 0; i < 6 && free_bits != 0; i++) {
        row->undefined[i] += (free_bits & arith_flags[i].bit) != 0;
        row->unlike[i] += (free_bits & unlike & arith_flags[i].bit) != 0;
    }
}

static void resynchronise(void)
{
    for (unsigned g = 0; g < GUESTS; g++) {
        memcpy(guest_window(g), host_window(), WINDOW_BYTES);
    }
}

static void count_difference(const struct diff_case *c, const struct diff_result *ours,
                             const struct diff_result *other, const char *name, u32 fields,
                             const u8 *other_window, bool with_host)
{
    struct row_count *row = &stats.row[insn_id(&c->in)];
    enum explanation why = with_host ? explain(c, ours, other, fields) : EXPLAIN_NONE;
    if (why != EXPLAIN_NONE) {
        row->explained++;
        stats.explained[why]++;
        if (options.explained && stats.shown++ < options.max_reports) {
            printf("explained: %s\n", explanation_text[why]);
            report_difference(stdout, c, ours, other, name, fields, guest_window(0), other_window);
        }
        return;
    }
    row->differences++;
    stats.differences++;
    if (stats.differences <= options.max_reports || options.replaying) {
        report_difference(stdout, c, ours, other, name, fields, guest_window(0), other_window);
    }
}

/* Returns whether the case was run on all sides. */
static bool run_case(struct diff_case *c, bool *host_agrees)
{
    struct diff_result ours[GUESTS], host;
    exec_fn *plain = guest_plain_exec(&c->in);
    unsigned fast = (unsigned)c->number & 1;
    for (unsigned g = 0; g < GUESTS; g++) {
        guest_run(g, c, g == fast ? c->in.exec : plain, &ours[g]);
    }
    if (!host_is_safe(c, &ours[0])) {
        stats.unsafe++;
        memcpy(guest_window(0), host_window(), WINDOW_BYTES);
        memcpy(guest_window(1), host_window(), WINDOW_BYTES);
        return false;
    }
    host_run(&c->start, c->compat, c->len, &host);
    u32 d = compare_results(c, &ours[0], &host) | check_undefined(c, &ours[0]);
    u32 both = compare_exactly(&ours[0], &ours[1]);
    d |= memcmp(guest_window(0), host_window(), WINDOW_WRITABLE) != 0 ? DIFF_MEMORY : 0u;
    both |= memcmp(guest_window(0), guest_window(1), WINDOW_WRITABLE) != 0 ? DIFF_MEMORY : 0u;
    *host_agrees = d == 0;
    struct row_count *row = &stats.row[insn_id(&c->in)];
    row->cases++;
    row->completed += host.outcome.completed;
    stats.vectors[host.outcome.completed ? 255 : host.outcome.vector]++;
    stats.compat += c->compat;
    stats.exact += c->exact;
    stats.mutated += c->mutated;
    if (host.outcome.completed && ours[0].outcome.completed) {
        count_undefined(row, c, &ours[0], &host);
    }
    if (UNLIKELY(d != 0)) {
        count_difference(c, &ours[0], &host, "host", d, host_window(), true);
    } else if (UNLIKELY(options.replaying && c->number == options.replay)) {
        report_difference(stdout, c, &ours[0], &host, "host", 0x3ff, guest_window(0), host_window());
    }
    if (UNLIKELY(both != 0)) {
        count_difference(c, &ours[0], &ours[1], "ours2", both, guest_window(1), false);
    }
    if (UNLIKELY((d | both) != 0)) {
        resynchronise();
    }
    return true;
}

static bool compat_of(u64 batch)
{
    return options.bits == 32 || (options.bits == 0 && batch % 8 == 7);
}

static void run_batch(struct generator *g, u64 batch)
{
    struct diff_case c;
    memset(&c, 0, sizeof c);
    generator_start_batch(g, options.seed, batch);
    for (unsigned i = 0; i < BATCH; i++) {
        bool agrees = false;
        c.seed = options.seed;
        c.number = batch * BATCH + i;
        stats.drawn++;
        if (generate_case(g, compat_of(batch), &c) && run_case(&c, &agrees)) {
            stats.cases++;
        }
        if (options.replaying && c.number == options.replay) {
            return;
        }
    }
}

#define SURVEY ((u64)1 << 62) /* numbers of survey cases: + form * 8 + compat * 4 + try */

/* One case of a form where its length counts. Forms that the host takes as we do may run in a slot
 * afterwards. */
static void survey_form(struct generator *g, u32 i, bool compat)
{
    struct diff_case c;
    struct form *f = &forms[compat].form[i];
    memset(&c, 0, sizeof c);
    g->survey = true;
    g->survey_form = i;
    c.seed = options.seed;
    for (unsigned k = 0; k < 4 && !f->verified; k++) {
        bool agrees = false;
        c.number = SURVEY + 8 * (u64)i + (compat ? 4 : 0) + k;
        generator_start_batch(g, options.seed, c.number);
        if (generate_case(g, compat, &c) && run_case(&c, &agrees)) {
            stats.cases++;
            f->verified = agrees;
        }
    }
    g->survey = false;
}

static void survey(struct generator *g)
{
    for (unsigned compat = 0; compat < 2; compat++) {
        for (u32 i = 0; i < forms[compat].count; i++) {
            u16 id = forms[compat].form[i].id;
            if ((g->only == INSN_INVALID || id == g->only) && row_exclusion(id) == NULL &&
                (options.bits == 0 || (options.bits == 32) == (compat != 0))) {
                survey_form(g, i, compat != 0);
            }
        }
    }
}

static void print_table(void)
{
    printf("%-16s %12s %12s %10s %10s\n", "row", "cases", "completed", "explained", "differ");
    for (unsigned id = 0; id < INSN_COUNT; id++) {
        const struct row_count *r = &stats.row[id];
        if (r->cases != 0) {
            printf("%-16s %12llu %12llu %10llu %10llu\n", insn_rows[id].name, (unsigned long long)r->cases,
                   (unsigned long long)r->completed, (unsigned long long)r->explained,
                   (unsigned long long)r->differences);
        } else {
            const char *why = row_exclusion(id);
            printf("%-16s %12s   %s\n", insn_rows[id].name, "-",
                   why != NULL ? why : "not on this host, or not in these modes");
        }
    }
}

/* What this host does where the manuals leave a flag open. */
static void print_undefined(void)
{
    printf("undefined flags: how often this host's value is not the one defined here\n");
    for (unsigned id = 0; id < INSN_COUNT; id++) {
        const struct row_count *r = &stats.row[id];
        bool any = false;
        for (unsigned i = 0; i < 6; i++) {
            if (r->undefined[i] != 0) {
                printf(any ? "" : "%-16s", insn_rows[id].name);
                printf("  %s %llu/%llu", arith_flags[i].name, (unsigned long long)r->unlike[i],
                       (unsigned long long)r->undefined[i]);
                any = true;
            }
        }
        printf(any ? "\n" : "");
    }
}

static void print_summary(double seconds)
{
    unsigned rows = 0, differing = 0;
    for (unsigned id = 1; id < INSN_COUNT; id++) {
        rows += stats.row[id].cases != 0;
        differing += stats.row[id].differences != 0;
    }
    printf("%llu cases of %u rows (%u rows exist), %llu in 32-bit code, %llu with bytes mutated, %llu "
           "faulted; %.1f s, %.0f cases/s\n",
           (unsigned long long)stats.cases, rows, (unsigned)INSN_COUNT - 1, (unsigned long long)stats.compat,
           (unsigned long long)stats.mutated, (unsigned long long)(stats.cases - stats.vectors[255]), seconds,
           (double)stats.cases / seconds);
    if (options.jit) {
        unsigned share = guests_translated();
        printf("host code of the translator: %u.%u %% of the instructions of the second processor\n", share / 10, share % 10);
    }
    printf("faults by vector:");
    for (unsigned v = 0; v < 255; v++) {
        if (stats.vectors[v] != 0) {
            printf(" %u: %llu", v, (unsigned long long)stats.vectors[v]);
        }
    }
    printf("\n");
    for (unsigned e = 1; e < EXPLAIN_COUNT; e++) {
        printf("explained: %llu: %s\n", (unsigned long long)stats.explained[e], explanation_text[e]);
    }
    printf("unexplained differences: %llu in %u rows\n", (unsigned long long)stats.differences, differing);
    for (unsigned id = 0; id < INSN_COUNT; id++) {
        if (stats.row[id].differences != 0) {
            printf("  %s: %llu of %llu\n", insn_rows[id].name, (unsigned long long)stats.row[id].differences,
                   (unsigned long long)stats.row[id].cases);
        }
    }
}

static u16 find_row(const char *name)
{
    for (u16 id = 1; id < INSN_COUNT; id++) {
        if (strcasecmp(insn_rows[id].name, name) == 0) {
            return id;
        }
    }
    return INSN_INVALID;
}

static bool parse_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--table") == 0) {
            options.table = true;
            continue;
        }
        if (strcmp(name, "--explained") == 0) {
            options.explained = true;
            continue;
        }
        if (strcmp(name, "--jit") == 0) {
            options.jit = true;
            continue;
        }
        if (strcmp(name, "--no-mutate") == 0) {
            options.mutate = false;
            continue;
        }
        if (i + 1 == argc) {
            return false;
        }
        char *value = argv[++i], *end = NULL;
        if (strcmp(name, "--mnemonic") == 0) {
            options.mnemonic = value;
            continue;
        }
        if (strcmp(name, "--time") == 0) {
            options.seconds = strtod(value, &end);
        } else {
            u64 n = strtoull(value, &end, 0);
            if (strcmp(name, "--seed") == 0) {
                options.seed = n;
            } else if (strcmp(name, "--cases") == 0) {
                options.cases = n;
            } else if (strcmp(name, "--max-reports") == 0) {
                options.max_reports = n;
            } else if (strcmp(name, "--bits") == 0 && (n == 32 || n == 64)) {
                options.bits = (unsigned)n;
            } else if (strcmp(name, "--replay") == 0 && *end == ':') {
                options.seed = n;
                options.replay = strtoull(end + 1, &end, 0);
                options.replaying = true;
            } else {
                return false;
            }
        }
        if (*end != '\0') {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct generator g;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!parse_options(argc, argv)) {
        fprintf(stderr, "vt_difffuzz: options are --cases N, --time S, --seed N, --mnemonic NAME, --no-mutate, "
                        "--bits 32|64, --replay SEED:N, --max-reports N, --table, --explained, --jit\n");
        return 64;
    }
    if (!host_open()) {
        printf("vt_difffuzz: this host cannot run guest instructions natively (x86-64 Linux with AVX and "
               "FSGSBASE is needed)\n");
        return 77;
    }
    struct native_fx plain = {0};
    if (!guests_open("max", options.jit) || !forms_build(&forms[0], guest_decoder(), guest_mode(false, &plain), false) ||
        !forms_build(&forms[1], guest_decoder(), guest_mode(true, &plain), true) ||
        !generator_open(&g, &forms[0], &forms[1])) {
        fprintf(stderr, "vt_difffuzz: out of memory\n");
        return 70;
    }
    g.mutate = options.mutate;
    if (options.mnemonic != NULL) {
        g.only = find_row(options.mnemonic);
        if (g.only == INSN_INVALID) {
            fprintf(stderr, "vt_difffuzz: no row is called '%s'\n", options.mnemonic);
            return 64;
        }
    }
    printf("%u forms in 64-bit code, %u in 32-bit code\n", forms[0].count, forms[1].count);
    double start = now();
    bool one_form = options.replaying && options.replay >= SURVEY;
    if (one_form) {
        survey_form(&g, (u32)((options.replay - SURVEY) / 8), (options.replay & 4) != 0);
    } else {
        survey(&g);
    }
    printf("survey: %llu cases, %.1f s\n", (unsigned long long)stats.cases, now() - start);
    if (options.replaying && !one_form) {
        run_batch(&g, options.replay / BATCH);
    } else if (!options.replaying) {
        for (u64 b = 0; stats.cases < options.cases && (b < 256 || b < 64 * (options.cases / BATCH)); b++) {
            run_batch(&g, b);
            if (options.seconds > 0 && b % 64 == 0 && now() - start > options.seconds) {
                break;
            }
        }
    }
    if (options.table) {
        print_table();
        print_undefined();
    }
    print_summary(now() - start);
    generator_close(&g);
    forms_free(&forms[0]);
    forms_free(&forms[1]);
    guests_close();
    host_close();
    return stats.differences != 0 ? 1 : 0;
}
