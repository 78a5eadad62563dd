/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happened between guests and their hypervisors: exits, reasons, hypercalls, who runs whom, who shares what. */
#include "abi/x86/svm.h"
#include "abi/x86/vmx.h"
#include "base/bytes.h"
#include "cpu/msr.h"
#include "debugger/shell/vmcs.h"
#include "machine/watching.h"
#include "traces/render.h"
#include "traces/words.h"

#include <stdlib.h>
#include <string.h>

static const char *reason_name(u64 reason)
{
    const char *name = trace_exit_name(reason);
    return name != NULL ? name : "?";
}

/* "last N" or "N". */
static bool take_count(struct shell *s, const char *args, u64 *count)
{
    if (strncmp(args, "last", 4) == 0) {
        args += 4;
        args += strspn(args, " ");
    }
    return args[0] == '\0' || expr_all(s, args, count);
}

/* ---- exits ---- */

struct exit_count {
    u64 reason, count, last;
};

static void show_counts(struct shell *s)
{
    struct exit_count *list = NULL;
    unsigned used = 0;
    u64 total = 0, end = history_count(s->history);
    struct note n;
    list = calloc(512, sizeof *list);
    if (list == NULL) {
        return;
    }
    for (u64 i = 0; i < end; i++) {
        if (!history_note(s->history, i, &n) || n.event != TRACE_EVENT_vm_exit) {
            continue;
        }
        unsigned k = 0;
        while (k < used && list[k].reason != n.args[0]) {
            k++;
        }
        if (k == used && used < 512) {
            list[used++].reason = n.args[0];
        }
        if (k < 512) {
            list[k].count++;
            list[k].last = n.position;
            total++;
        }
    }
    for (unsigned done = 0; done < used; done++) { /* most first */
        unsigned best = done;
        for (unsigned k = done; k < used; k++) {
            best = list[k].count > list[best].count ? k : best;
        }
        struct exit_count e = list[best];
        list[best] = list[done];
        list[done] = e;
        say(s, "%10" PRIu64 "  %-24s last at %" PRIu64 "\n", e.count, reason_name(e.reason), e.last);
    }
    say(s, "%10" PRIu64 "  in all\n", total);
    free(list);
}

static void put_exit(struct shell *s, const struct note *n)
{
    say(s, "%12" PRIu64 " cpu%u %-20s info %" PRIx64 " %" PRIx64 " rip %" PRIx64 " vcpu %" PRIx64 "%s%s\n",
        n->position, n->cpu, reason_name(n->args[0]), n->args[1], n->args[2], n->args[3], n->args[4],
        n->text != NULL ? ": " : "", n->text != NULL ? n->text : "");
}

/* Show the last `count` notes of an event, in order. */
static void show_last(struct shell *s, enum trace_event event, u64 count,
                      void (*put)(struct shell *s, const struct note *n))
{
    u64 first = ~(u64)0, end = history_count(s->history);
    struct note n;
    for (u64 found = 0, at = end; found < count && history_last(s->history, at, event, ~0u, &n, &at); found++) {
        first = at;
    }
    if (first == ~(u64)0) {
        say(s, "None so far.\n");
        return;
    }
    for (u64 i = first; i < end && s->page_lines != ~0u; i++) {
        if (history_note(s->history, i, &n) && n.event == event) {
            put(s, &n);
        }
    }
}

void cmd_exits(struct shell *s, const char *args)
{
    u64 count = 0;
    if (!take_count(s, args, &count)) {
        return;
    }
    if (count == 0) {
        show_counts(s);
    } else {
        show_last(s, TRACE_EVENT_vm_exit, count, put_exit);
    }
}

/* ---- hypercalls ---- */

static void to_record(const struct note *n, struct trace_record *r)
{
    *r = (struct trace_record){.position = {n->position}, .event = n->event, .cpu = n->cpu};
    r->argc = trace_event_info[n->event].args;
    memcpy(r->args, n->args, sizeof n->args);
    if (n->registers != NULL) {
        r->payload = n->registers;
        r->size = 64;
    }
}

static void put_call(struct shell *s, const struct note *n)
{
    struct trace_record r;
    char name[24];
    u64 value;
    to_record(n, &r);
    const char *abi = trace_interface_name(n->args[0]), *call = trace_hypercall_name(n->args[0], n->args[1]);
    say(s, "%12" PRIu64 " cpu%u vcpu %" PRIx64 " %s ", n->position, n->cpu, n->args[2], abi != NULL ? abi : "?");
    if (call != NULL) {
        say(s, "%s(", call);
    } else {
        say(s, "%#" PRIx64 "(", n->args[1]);
    }
    for (unsigned i = 0; n->registers != NULL && trace_hypercall_argument(&r, i, name, &value); i++) {
        say(s, "%s%s=%#" PRIx64, i > 0 ? ", " : "", name, value);
    }
    say(s, ") from %" PRIx64, n->args[3]);
    say(s, "\n");
}

static void put_result(struct shell *s, const struct note *n)
{
    say(s, "%12" PRIu64 " cpu%u vcpu %" PRIx64 "   = %#" PRIx64 "\n", n->position, n->cpu, n->args[2], n->args[3]);
}

void cmd_hypercalls(struct shell *s, const char *args)
{
    u64 count = 20, end = history_count(s->history), at = end, first = ~(u64)0;
    struct note n;
    if (!take_count(s, args, &count)) {
        return;
    }
    for (u64 found = 0; found < count && history_last(s->history, at, TRACE_EVENT_hypercall, ~0u, &n, &at); found++) {
        first = at;
    }
    if (first == ~(u64)0) {
        say(s, "None so far.\n");
        return;
    }
    for (u64 i = first; i < end && s->page_lines != ~0u; i++) {
        if (history_note(s->history, i, &n)) {
            if (n.event == TRACE_EVENT_hypercall) {
                put_call(s, &n);
            } else if (n.event == TRACE_EVENT_hypercall_done) {
                put_result(s, &n);
            }
        }
    }
}

/* ---- why ---- */

static bool tells_why(const struct note *n)
{
    return n->event == TRACE_EVENT_vm_exit || n->event == TRACE_EVENT_vm_refused || n->event == TRACE_EVENT_vm_fail ||
           n->event == TRACE_EVENT_deliver || n->event == TRACE_EVENT_iommu_fault;
}

/* Qualifications in words. [SDM3 "Exit Qualification for I/O Instructions" and its neighbours], [APM2 "IOIO Intercepts"] */
static void why_details(struct shell *s, const struct note *n)
{
    static const char *const accesses[] = {"MOV to CR", "MOV from CR", "CLTS, CR", "LMSW, CR"};
    static const char *const gprs[] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                       "R8",  "R9",  "R10", "R11", "R12", "R13", "R14", "R15"};
    const struct cpu *cpu = s->m->set.cpu[n->cpu];
    u64 q = n->args[1];
    switch (n->args[0]) {
    case EXIT_IO:
        say(s, "  %s%s of %" PRIu64 " byte%s, port %#" PRIx64 "\n", (q >> 5 & 1) != 0 ? "REP " : "",
            (q >> 4 & 1) != 0 ? ((q >> 3 & 1) != 0 ? "INS" : "OUTS") : (q >> 3 & 1) != 0 ? "IN" : "OUT", (q & 7) + 1,
            (q & 7) == 0 ? "" : "s", q >> 16 & 0xffff);
        return;
    case TRACE_EXIT_SVM | SVM_EXIT_IOIO:
        say(s, "  %s%s of %u byte%s, port %#" PRIx64 "\n", (q >> 3 & 1) != 0 ? "REP " : "",
            (q >> 2 & 1) != 0 ? ((q & 1) != 0 ? "INS" : "OUTS") : (q & 1) != 0 ? "IN" : "OUT",
            (q >> 4 & 1) != 0 ? 1 : (q >> 5 & 1) != 0 ? 2 : 4, (q >> 4 & 1) != 0 ? "" : "s", q >> 16 & 0xffff);
        return;
    case EXIT_CR_ACCESS:
        say(s, "  %s%" PRIu64 "%s%s\n", accesses[q >> 4 & 3], q & 15, (q >> 4 & 3) < 2 ? ", " : "",
            (q >> 4 & 3) < 2 ? gprs[q >> 8 & 15] : "");
        return;
    case EXIT_RDMSR:
    case EXIT_WRMSR:
    case TRACE_EXIT_SVM | SVM_EXIT_MSR: {
        /* The registers still are the guest's as long as nothing has run since. */
        if (clock_position(&s->m->clock).n - n->position > 1) {
            return;
        }
        u32 index = (u32)cpu->arch.gpr[RCX];
        const char *name = msr_name(cpu, index);
        say(s, "  MSR %#x%s%s\n", index, name != NULL ? " " : "", name != NULL ? name : "");
        return;
    }
    default: return;
    }
}

static void why_exit(struct shell *s, const struct note *n)
{
    u64 reason = n->args[0];
    const char *words = n->text != NULL ? n->text : "";
    size_t len = strlen(reason_name(reason));
    words += strncmp(words, reason_name(reason), len) == 0 && words[len] == ' ' ? len + 1 : 0; /* said already */
    say(s, "%sVM exit %s%s: %s\n", shade(s, SHADE_HEAD), reason_name(reason), shade(s, SHADE_NONE), words);
    say(s, "  guest RIP %#" PRIx64 ", %s %#" PRIx64 ", %s %#" PRIx64 ", %s at %" PRIx64 "\n", n->args[3],
        (reason & TRACE_EXIT_SVM) != 0 ? "EXITINFO1" : "qualification", n->args[1],
        (reason & TRACE_EXIT_SVM) != 0 ? "EXITINFO2"
        : (reason & 0xffff) == EXIT_EPT_VIOLATION || (reason & 0xffff) == EXIT_EPT_MISCONFIG ? "guest-physical"
                                                                                             : "information",
        n->args[2], (reason & TRACE_EXIT_SVM) != 0 ? "VMCB" : "VMCS", n->args[4]);
    why_details(s, n);
    if (reason == EXIT_EPT_VIOLATION) {
        u64 q = n->args[1];
        say(s, "  a %s%s%s; the tables allow %s%s%s%s\n", (q & EPTQ_READ) != 0 ? "read" : "",
            (q & EPTQ_WRITE) != 0 ? ((q & EPTQ_READ) != 0 ? " and write" : "write") : "",
            (q & EPTQ_EXEC) != 0 ? "fetch" : "", (q >> 3 & 1) != 0 ? "r" : "-", (q >> 4 & 1) != 0 ? "w" : "-",
            (q >> 5 & 1) != 0 ? "x" : "-",
            (q & EPTQ_LINEAR_VALID) == 0   ? ""
            : (q & EPTQ_FINAL) != 0 ? "; of the address itself"
                                    : "; while the guest's tables were walked");
        say(s, "  `walk` and `ept %#" PRIx64 "` show the tables\n", n->args[2]);
    }
}

/* Names of fields in a rule's words: what they hold, and how to find who wrote them. */
static void name_fields(struct shell *s, const char *text, u64 region, bool vmcb)
{
    char word[64];
    size_t len;
    unsigned shown = 0;
    for (const char *p = text; *p != '\0' && shown < 4; p += len + (p[len] != '\0' ? 1 : 0)) {
        len = strcspn(p, " ,:;[]\"()");
        if (len < 3 || len >= sizeof word) {
            continue;
        }
        (void)snprintf(word, sizeof word, "%.*s", (int)len, p);
        const struct vmcs_row *row = vmcb ? NULL : vmcs_row_find(word, len);
        struct vmcb_row b;
        if (row != NULL) {
            char words[400];
            u64 value = vmcs_value(s, region, row->encoding);
            vmcs_bits(row->encoding, value, words, sizeof words);
            say(s, "  %s (%s) is %#" PRIx64 "%s%s; `vmcs history %s` tells who wrote it\n", row->name, row->title, value,
                words[0] != '\0' ? ": " : "", words, row->name);
            shown++;
        } else if (vmcb && strchr(word, '_') == NULL && vmcb_row_find(word, len, &b)) {
            say(s, "  `vmcb history %s` tells who wrote it\n", b.name);
            shown++;
        }
    }
}

static void why_refused(struct shell *s, const struct note *n)
{
    bool vmcb = shell_is_amd(s);
    say(s, "%sVM entry refused%s: %s\n", shade(s, SHADE_HEAD), shade(s, SHADE_NONE), n->text != NULL ? n->text : "");
    say(s, "  the field's value was %#" PRIx64 "; %s at %" PRIx64, n->args[3], vmcb ? "VMCB" : "VMCS", n->args[0]);
    if (!vmcb) {
        u64 reason = n->args[1];
        say(s, "; %s %" PRIu64, reason < EXIT_ENTRY_FAIL_GUEST ? "VM-instruction error" : "exit reason", reason);
        if (reason >= EXIT_ENTRY_FAIL_GUEST) {
            say(s, " (%s), qualification %" PRIu64, reason_name(reason), n->args[2]);
        }
    }
    say(s, "\n");
    if (n->text != NULL) {
        name_fields(s, n->text, n->args[0], vmcb);
    }
}

static void why_delivered(struct shell *s, const struct note *n)
{
    static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "",    "#TS",
                                        "#NP", "#SS", "#GP", "#PF", "",    "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};
    u64 v = n->args[1];
    char where[160];
    describe_address(s, n->args[3], where, sizeof where);
    say(s, "%sException %s%s (vector %" PRIu64 "), error code %#" PRIx64 ", at RIP %#" PRIx64 "%s%s%s\n",
        shade(s, SHADE_HEAD), v < ARRAY_LEN(names) ? names[v] : "", shade(s, SHADE_NONE), v, n->args[2], n->args[3],
        where[0] != '\0' ? " <" : "", where, where[0] != '\0' ? ">" : "");
    if (v == VEC_PF) {
        u64 e = n->args[2];
        say(s, "  a %s %s of %#" PRIx64 ": %s; `walk %#" PRIx64 "` shows the tables\n",
            (e & PF_U) != 0 ? "user" : "supervisor",
            (e & 0x10) != 0 ? "fetch" : (e & PF_W) != 0 ? "write" : "read", n->args[4],
            (e & PF_RSVD) != 0 ? "a reserved bit is set" : (e & PF_P) != 0 ? "the rights do not allow it" : "not present",
            n->args[4]);
    }
}

void cmd_why(struct shell *s, const char *args)
{
    u64 back = 0, at = history_count(s->history);
    struct note n = {0};
    if (args[0] != '\0' && !expr_all(s, args, &back)) {
        return;
    }
    bool found = false;
    while (at > 0 && history_note(s->history, at - 1, &n)) {
        at--;
        if (tells_why(&n) && (n.cpu == s->cpu || n.event == TRACE_EVENT_iommu_fault) && back-- == 0) {
            found = true;
            break;
        }
    }
    if (!found) {
        say(s, "Nothing happened yet on cpu%u that asks for a reason: no exit, no refused entry, no exception.\n", s->cpu);
        return;
    }
    say(s, "At %" PRIu64 " on cpu%u: ", n.position, n.cpu);
    switch (n.event) {
    case TRACE_EVENT_vm_exit: why_exit(s, &n); break;
    case TRACE_EVENT_vm_refused: why_refused(s, &n); break;
    case TRACE_EVENT_deliver: why_delivered(s, &n); break;
    case TRACE_EVENT_vm_fail:
        say(s, "%sVM instruction failed%s: error %" PRIu64 " at RIP %#" PRIx64 ": %s\n", shade(s, SHADE_HEAD),
            shade(s, SHADE_NONE), n.args[0], n.args[1], n.text != NULL ? n.text : "");
        break;
    default:
        say(s, "%sIOMMU fault%s: device %02x:%02x.%x, address %#" PRIx64 ": %s\n", shade(s, SHADE_HEAD),
            shade(s, SHADE_NONE), (unsigned)(n.args[0] >> 8), (unsigned)(n.args[0] >> 3 & 31),
            (unsigned)(n.args[0] & 7), n.args[2], n.text != NULL ? n.text : "");
    }
}

/* ---- levels ---- */

struct level_guest {
    u64 root, entries, first;
    u64 vcpu[8];
    unsigned vcpus;
    int parent; /* -1: whoever owns the machine */
};

#define LEVEL_GUESTS 64

struct level_tree {
    struct level_guest guest[LEVEL_GUESTS];
    unsigned count;
    int on_cpu[CPU_MAX];  /* who runs; -1: the owner */
    int asked[CPU_MAX];   /* who wanted to run a guest of its own when it left; -1: nobody */
};

static int guest_of(struct level_tree *t, u64 vcpu, u64 root)
{
    for (unsigned i = 0; i < t->count; i++) {
        struct level_guest *g = &t->guest[i];
        bool known = root != 0 && g->root == root;
        for (unsigned k = 0; k < g->vcpus; k++) {
            known |= g->vcpu[k] == vcpu && g->root == root;
        }
        if (known) {
            bool has = false;
            for (unsigned k = 0; k < g->vcpus; k++) {
                has |= g->vcpu[k] == vcpu;
            }
            if (!has && g->vcpus < 8) {
                g->vcpu[g->vcpus++] = vcpu;
            }
            return (int)i;
        }
    }
    if (t->count == LEVEL_GUESTS) {
        return -1;
    }
    t->guest[t->count] = (struct level_guest){.root = root, .vcpu = {vcpu}, .vcpus = 1, .parent = -2};
    return (int)t->count++;
}

static void follow_levels(struct shell *s, struct level_tree *t)
{
    u64 end = history_count(s->history);
    struct note n;
    for (unsigned i = 0; i < CPU_MAX; i++) {
        t->on_cpu[i] = t->asked[i] = -1;
    }
    for (u64 i = 0; i < end; i++) {
        if (!history_note(s->history, i, &n) || n.cpu >= CPU_MAX) {
            continue;
        }
        if (n.event == TRACE_EVENT_vm_entry) {
            int g = guest_of(t, n.args[0], n.args[2]);
            if (g >= 0) {
                struct level_guest *to = &t->guest[g];
                if (to->parent == -2) {
                    to->parent = t->asked[n.cpu];
                    to->first = n.position;
                }
                to->entries++;
            }
            t->on_cpu[n.cpu] = g;
            t->asked[n.cpu] = -1;
        } else if (n.event == TRACE_EVENT_vm_exit) {
            t->asked[n.cpu] = history_is_nested_entry(n.args[0]) ? t->on_cpu[n.cpu] : -1;
            t->on_cpu[n.cpu] = -1;
        }
    }
}

static void put_level(struct shell *s, const struct level_tree *t, int parent, unsigned depth)
{
    for (unsigned i = 0; i < t->count; i++) {
        const struct level_guest *g = &t->guest[i];
        if (g->parent != parent) {
            continue;
        }
        unsigned number = history_guest(s->history, g->vcpu[0], g->root);
        say(s, "%*sL%u guest %u: %s %" PRIx64 "%s, tables %" PRIx64 ", entered %" PRIu64 " times, first at %" PRIu64,
            (int)(2 * depth), "", depth, number, shell_is_amd(s) ? "VMCB" : "VMCS", g->vcpu[0], g->vcpus > 1 ? " ..." : "",
            g->root, g->entries, g->first);
        for (unsigned k = 0; k < s->m->set.count; k++) {
            if (t->on_cpu[k] == (int)i) {
                say(s, ", cpu%u runs it", k);
            }
        }
        say(s, "\n");
        if (depth < 8) {
            put_level(s, t, (int)i, depth + 1);
        }
    }
}

void cmd_levels(struct shell *s, const char *args)
{
    struct level_tree *t = calloc(1, sizeof *t);
    UNUSED(args);
    if (t == NULL) {
        return;
    }
    follow_levels(s, t);
    say(s, "L0 the machine's owner");
    for (unsigned k = 0; k < s->m->set.count; k++) {
        if (t->on_cpu[k] < 0) {
            say(s, ", cpu%u runs it", k);
        }
    }
    say(s, "\n");
    put_level(s, t, -1, 1);
    free(t);
}

/* ---- sharing ---- */

/* Is b a page of the range of a's that has so many pages until now? */
static bool is_next_of(const struct watch_share *a, u64 pages, const struct watch_share *b)
{
    return b->spa == a->spa + pages * PAGE_SIZE && b->a.guest == a->a.guest && b->b.guest == a->b.guest &&
           b->a.device == a->a.device && b->b.device == a->b.device && b->reason == a->reason &&
           b->since.position == a->since.position;
}

static void say_share(struct shell *s, const struct watch_share *share, u64 pages)
{
    char where[160];
    describe_address(s, share->since.rip, where, sizeof where);
    say(s, "%" PRIx64 "-%" PRIx64 " (%" PRIu64 " page%s%s%s): guest %u%s and guest %u%s, since %" PRIu64 " by %#" PRIx64
           "%s%s%s\n",
        share->spa, share->spa + pages * PAGE_SIZE - 1, pages, pages == 1 ? "" : "s",
        share->declared ? ", " : "", share->declared ? watch_reason_name(share->reason) : "",
        share->a.guest, share->a.device ? " (a device)" : "", share->b.guest, share->b.device ? " (a device)" : "",
        share->since.position, share->since.rip, where[0] != '\0' ? " <" : "", where, where[0] != '\0' ? ">" : "");
}

void cmd_sharing(struct shell *s, const char *args)
{
    struct watch_share share;
    UNUSED(args);
    if (s->m->watching == NULL) {
        watching_start(s->m, VIOLATION_REPORT);
        say(s, "The watch is on from here: guests are known when they are entered next.\n");
    }
    struct watch *w = watching_tracker(s->m);
    for (u64 i = 0; watch_share_get(w, i, &share) && s->page_lines != ~0u;) { /* neighbours as one range */
        struct watch_share next;
        u64 pages = 1;
        while (watch_share_get(w, ++i, &next) && is_next_of(&share, pages, &next)) {
            pages++;
        }
        say_share(s, &share, pages);
    }
    char *text = NULL, *save = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f != NULL) {
        watch_print(w, f);
        (void)fclose(f);
        for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
            say(s, "%s\n", line);
        }
        free(text);
    }
}
