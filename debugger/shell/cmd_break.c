/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands that set points and look after them. */
#include "debugger/shell/shell_priv.h"
#include "debugger/shell/vmcs.h"
#include "cpu/msr.h"
#include "machine/watching.h"
#include "traces/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "... if CONDITION": cut off; *condition points into text or is NULL. */
static void cut_condition(char *text, const char **condition)
{
    char *p = text;
    *condition = NULL;
    while ((p = strstr(p, "if")) != NULL) {
        bool begins = p == text || p[-1] == ' ';
        if (begins && (p[2] == ' ' || p[2] == '(')) {
            *condition = p + 2 + strspn(p + 2, " ");
            *p = '\0';
            break;
        }
        p += 2;
    }
    for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--) {
        text[n - 1] = '\0';
    }
}

static void add_stop(struct shell_point *p, enum stop_point_kind kind, u64 at, u64 size)
{
    struct stop_point *grown = realloc(p->stop, (p->stop_count + 1) * sizeof *grown);
    if (grown == NULL) {
        abort();
    }
    p->stop = grown;
    p->stop[p->stop_count++] = (struct stop_point){.kind = kind, .at = at, .size = size};
}

/* A condition of the user's beside one that follows from what was asked for. */
static void set_condition(struct shell_point *p, const char *own, const char *given)
{
    free(p->condition);
    p->condition = NULL;
    size_t n = strlen(own) + (given != NULL ? strlen(given) : 0) + 16;
    if (own[0] == '\0' && (given == NULL || given[0] == '\0')) {
        return;
    }
    p->condition = malloc(n);
    if (p->condition == NULL) {
        abort();
    }
    (void)snprintf(p->condition, n, "%s%s%s%s", own, own[0] != '\0' && given != NULL ? " && (" : "",
                   given != NULL ? given : "", own[0] != '\0' && given != NULL ? ")" : "");
}

static void arm_and_say(struct shell *s, struct shell_point *p)
{
    unsigned number = p->number;
    if (point_arm(s, p)) {
        s->next_point++;
        say(s, "Point %u: %s\n", number, p->what);
    }
}

/* ---- What `break` knows beside addresses ---- */

static struct shell_point *event_point(struct shell *s, const char *what, enum trace_event event, const char *own,
                                       const char *condition)
{
    struct shell_point *p = point_new(s, what);
    if (p != NULL) {
        p->event = event;
        add_stop(p, POINT_EVENT, p->number, 0);
        set_condition(p, own, condition);
    }
    return p;
}

static bool is_name_of(const char *name, const char *typed)
{
    return name != NULL && strcasecmp(name, typed) == 0;
}

static bool reason_value(struct shell *s, const char *word, u64 *value)
{
    u64 first = shell_is_amd(s) ? TRACE_EXIT_SVM : 0;
    for (u64 i = 0; i < 0x410; i++) {
        if (is_name_of(trace_exit_name(first | i), word)) {
            *value = first | i;
            return true;
        }
    }
    if (!expr_all(s, word, value)) {
        return false;
    }
    *value |= *value < 0x500 ? first : 0;
    return true;
}

static void break_exit(struct shell *s, const char *what, const char *args, const char *condition)
{
    u64 reason = 0;
    bool given = args[0] != '\0';
    if (given && !reason_value(s, args, &reason)) {
        return;
    }
    struct shell_point *p = event_point(s, what, TRACE_EVENT_vm_exit, "", condition);
    if (p != NULL) {
        p->match[0] = reason;
        p->match_mask = given ? 1 : 0;
        arm_and_say(s, p);
    }
}

static void break_hypercall(struct shell *s, const char *what, const char *args, const char *condition)
{
    u64 number = 0, abi = 0;
    u32 mask = 0;
    const char *colon = strchr(args, ':');
    const char *name = colon != NULL ? colon + 1 : args;
    if (colon != NULL) {
        char text[24];
        (void)snprintf(text, sizeof text, "%.*s", (int)(colon - args), args);
        while (trace_interface_name(abi) != NULL && !is_name_of(trace_interface_name(abi), text)) {
            abi++;
        }
        if (trace_interface_name(abi) == NULL) {
            refuse(s, "%s: no such interface; xen, hyper-v, kvm or vmware", text);
            return;
        }
        mask = 1;
    }
    if (name[0] != '\0') {
        bool found = false;
        for (u64 a = colon != NULL ? abi : 0; !found && trace_interface_name(a) != NULL && (colon == NULL || a == abi); a++) {
            for (u64 n = 0; n < 0x400 && !found; n++) {
                if (is_name_of(trace_hypercall_name(a, n), name)) {
                    found = true;
                    number = n;
                    abi = a;
                    mask = 1;
                }
            }
        }
        if (!found && !expr_all(s, name, &number)) {
            return;
        }
        mask |= 2;
    }
    struct shell_point *p = event_point(s, what, TRACE_EVENT_hypercall, "", condition);
    if (p != NULL) {
        p->match[0] = abi;
        p->match[1] = number;
        p->match_mask = mask;
        arm_and_say(s, p);
    }
}

/* "FIRST[-LAST] [r|w]"; both ways unless one is named. */
static bool range_and_way(struct shell *s, const char *args, u64 *first, u64 *last, bool *read, bool *write)
{
    char word[64], way[8] = "";
    struct error err = {0};
    *read = *write = true;
    *first = 0;
    *last = ~(u64)0;
    if (!next_word(&args, word, sizeof word)) {
        return true;
    }
    if (next_word(&args, way, sizeof way)) {
        *read = strchr(way, 'r') != NULL;
        *write = strchr(way, 'w') != NULL;
        if (!*read && !*write) {
            refuse(s, "%s: r, w or rw is wanted", way);
            return false;
        }
    }
    const char *p = word;
    char *dash = strchr(word, '-');
    if (dash != NULL) {
        *dash = '\0';
    }
    if (!expr_eval(s, &p, first, &err)) {
        refuse_error(s, &err);
        return false;
    }
    *last = *first;
    return dash == NULL || expr_all(s, dash + 1, last);
}

static void break_access(struct shell *s, const char *what, const char *args, const char *condition, const char *field,
                         enum trace_event on_read, enum trace_event on_write)
{
    u64 first, last;
    bool read, write;
    char own[128] = "";
    if (!range_and_way(s, args, &first, &last, &read, &write)) {
        return;
    }
    if (first != 0 || last != ~(u64)0) {
        (void)snprintf(own, sizeof own, "%s >= %#" PRIx64 " && %s <= %#" PRIx64, field, first, field, last);
    }
    struct shell_point *p = read ? event_point(s, what, on_read, own, condition) : NULL;
    if (p != NULL) {
        arm_and_say(s, p);
    }
    p = write ? event_point(s, what, on_write, own, condition) : NULL;
    if (p != NULL) {
        arm_and_say(s, p);
    }
}

static void break_msr(struct shell *s, const char *what, const char *args, const char *condition)
{
    char word[64], line[96];
    const char *rest = args;
    if (next_word(&rest, word, sizeof word)) {
        for (u32 i = 0; i < 0x4000; i++) {
            u32 index = i < 0x2000 ? i : 0xc0000000u + i - 0x2000;
            const char *name = msr_name(shell_cpu(s), index);
            if (is_name_of(name, word)) {
                (void)snprintf(line, sizeof line, "%#x %.16s", index, rest);
                break_access(s, what, line, condition, "msr", TRACE_EVENT_msr_read, TRACE_EVENT_msr_write);
                return;
            }
        }
    }
    break_access(s, what, args, condition, "msr", TRACE_EVENT_msr_read, TRACE_EVENT_msr_write);
}

static void break_cr(struct shell *s, const char *what, const char *args, const char *condition)
{
    u64 number = 0;
    bool given = args[0] != '\0';
    const char *digits = strncasecmp(args, "cr", 2) == 0 ? args + 2 : args;
    if (given && !expr_all(s, digits, &number)) {
        return;
    }
    struct shell_point *p = event_point(s, what, TRACE_EVENT_cr_write, "", condition);
    if (p != NULL) {
        p->match[0] = number;
        p->match_mask = given ? 1 : 0;
        arm_and_say(s, p);
    }
}

static void break_moment(struct shell *s, const char *what, const char *args, const char *condition,
                         enum stop_point_kind kind)
{
    static const char *const names[] = {"de", "db", "nmi", "bp", "of", "br", "ud", "nm", "df", "", "ts",
                                        "np", "ss", "gp", "pf", "", "mf", "ac", "mc", "xm", "ve", "cp"};
    u64 vector = POINT_ANY;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i][0] != '\0' && strcasecmp(names[i], args + (args[0] == '#' ? 1 : 0)) == 0) {
            vector = i;
        }
    }
    if (args[0] != '\0' && vector == POINT_ANY && !expr_all(s, args, &vector)) {
        return;
    }
    struct shell_point *p = point_new(s, what);
    if (p != NULL) {
        add_stop(p, kind, vector, 0);
        set_condition(p, "", condition);
        arm_and_say(s, p);
    }
}

static void break_event(struct shell *s, const char *what, const char *args, const char *condition)
{
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        if (strcmp(trace_event_info[i].name, args) == 0) {
            struct shell_point *p = event_point(s, what, (enum trace_event)i, "", condition);
            if (p != NULL) {
                arm_and_say(s, p);
            }
            return;
        }
    }
    refuse(s, "%s: no such event; `help break` and the key Tab tell", args);
}

static void break_violation(struct shell *s, const char *what, const char *condition)
{
    if (s->m->watching == NULL) {
        watching_start(s->m, VIOLATION_REPORT);
    }
    struct shell_point *p = event_point(s, what, TRACE_EVENT_share, "", condition);
    if (p != NULL) {
        arm_and_say(s, p);
    }
}

static void break_field(struct shell *s, const char *what, const char *args, const char *condition, bool vmcb)
{
    const struct vmcs_row *row = vmcs_row_find(args, strlen(args));
    struct vmcb_row b;
    u64 base = vmcb ? shell_vmcb(s) : shell_vmcs(s);
    if (vmcb ? !vmcb_row_find(args, strlen(args), &b) : row == NULL) {
        refuse(s, "%s: no such field of the %s", args, vmcb ? "VMCB" : "VMCS");
        return;
    }
    if (base == ~(u64)0) {
        refuse(s, "no %s is in use yet; `break event vm_entry` waits for one", vmcb ? "VMCB" : "VMCS");
        return;
    }
    struct shell_point *p = point_new(s, what);
    if (p != NULL) {
        u64 at = base + (vmcb ? b.offset : vmcs_offset(row->encoding));
        add_stop(p, POINT_WRITE, at, vmcb ? b.bytes : vmcs_size(row->encoding));
        set_condition(p, "", condition);
        arm_and_say(s, p);
    }
}

/* ---- EPT changes ---- */

static void add_table_page(struct shell_point *p, u64 page)
{
    for (unsigned i = 0; i < p->stop_count; i++) {
        if (p->stop[i].at == page) {
            return;
        }
    }
    if (p->stop_count < STOPS_MAX - SHELL_POINTS) {
        add_stop(p, POINT_WRITE, page, PAGE_SIZE);
    }
}

/* Pages of the tables below one: entries that lead on. EPT's present bits are 2:0, nested paging's bit 0. */
static void add_tables(struct shell *s, struct shell_point *p, u64 table, unsigned level, u64 present)
{
    u64 entries[512];
    add_table_page(p, table);
    if (level == 1 || memory_read_physical(s, table, entries, sizeof entries) != sizeof entries) {
        return;
    }
    for (unsigned i = 0; i < 512; i++) {
        bool leads_on = (entries[i] & present) != 0 && ((entries[i] >> 7 & 1) == 0 || level > 3);
        if (leads_on && (level > 2 || p->stop_count < 160)) {
            add_tables(s, p, entries[i] & 0xffffffffff000u, level - 1, present);
        }
    }
}

static void break_ept(struct shell *s, const char *what, const char *args, const char *condition)
{
    struct walk_root root;
    u64 gpa = 0;
    if (!shell_nested(s, &root)) {
        refuse(s, "no guest with second-level tables has run yet");
        return;
    }
    if (args[0] != '\0' && !expr_all(s, args, &gpa)) {
        return;
    }
    struct shell_point *p = point_new(s, what);
    if (p == NULL) {
        return;
    }
    unsigned levels = root.nested.mode == PAGING_5LEVEL ? 5 : root.nested.mode == PAGING_PAE ? 3 : 4;
    u64 present = root.nested.kind == NESTED_EPT ? 7 : 1;
    if (args[0] == '\0') {
        add_tables(s, p, root.nested.table, levels, present);
    } else {
        u64 table = root.nested.table;
        for (unsigned level = levels; level > 0; level--) { /* the entries on the way to one page */
            u64 entry = 0, at = table + 8 * (gpa >> (12 + 9 * (level - 1)) & 511);
            add_stop(p, POINT_WRITE, at, 8);
            (void)memory_read_physical(s, at, &entry, 8);
            if ((entry & present) == 0 || (entry >> 7 & 1) != 0) {
                break;
            }
            table = entry & 0xffffffffff000u;
        }
    }
    set_condition(p, "", condition);
    arm_and_say(s, p);
}

/* ---- break ---- */

static void break_address(struct shell *s, const char *text, const char *what, const char *condition, bool temporary,
                          bool physical)
{
    struct error err = {0};
    u64 list[16], at;
    size_t count = 0;
    int actual;
    const char *colon = strrchr(text, ':');
    if (colon != NULL && isdigit((unsigned char)colon[1])) {
        char file[256];
        (void)snprintf(file, sizeof file, "%.*s", (int)(colon - text), text);
        count = symbols_line_addresses(s->symbols, file, atoi(colon + 1), SYMBOLS_ANY_LEVEL, list, ARRAY_LEN(list),
                                       &actual);
        if (count == 0) {
            refuse(s, "%s: no code of this line is known", text);
            return;
        }
    } else if (text[0] == '\0') {
        list[0] = shell_pc(shell_cpu(s));
        count = 1;
    } else {
        const char *p = text + (text[0] == '*' ? 1 : 0);
        if (!expr_eval(s, &p, &at, &err) || *p != '\0') {
            if (err.status != EXIT_STATUS_OK) {
                refuse_error(s, &err);
            } else {
                refuse(s, "what is this after the address: %s", p);
            }
            return;
        }
        list[0] = at;
        count = 1;
    }
    struct shell_point *p = point_new(s, what);
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        add_stop(p, physical ? POINT_CODE_PHYSICAL : POINT_CODE, list[i], 0);
    }
    p->temporary = temporary;
    set_condition(p, "", condition);
    arm_and_say(s, p);
}

static void do_break(struct shell *s, const char *args, bool temporary, bool physical)
{
    char text[512], what[160], kind[32];
    const char *condition, *rest;
    (void)snprintf(text, sizeof text, "%s", args);
    (void)snprintf(what, sizeof what, "%s%.150s", physical ? "physical " : "", args);
    cut_condition(text, &condition);
    rest = text;
    (void)next_word(&rest, kind, sizeof kind);
    if (physical || text[0] == '\0') {
        break_address(s, text, what[0] != '\0' ? what : "here", condition, temporary, physical);
    } else if (strcmp(kind, "exit") == 0 || strcmp(kind, "vmexit") == 0) {
        break_exit(s, what, rest, condition);
    } else if (strcmp(kind, "entry") == 0 || strcmp(kind, "vmentry") == 0) {
        struct shell_point *p = event_point(s, what, TRACE_EVENT_vm_entry, "", condition);
        if (p != NULL) {
            arm_and_say(s, p);
        }
    } else if (strcmp(kind, "entry-failure") == 0) {
        break_event(s, what, "vm_refused", condition);
    } else if (strcmp(kind, "vmfail") == 0) {
        break_event(s, what, "vm_fail", condition);
    } else if (strcmp(kind, "hypercall") == 0) {
        break_hypercall(s, what, rest, condition);
    } else if (strcmp(kind, "msr") == 0) {
        break_msr(s, what, rest, condition);
    } else if (strcmp(kind, "io") == 0) {
        break_access(s, what, rest, condition, "port", TRACE_EVENT_port_read, TRACE_EVENT_port_write);
    } else if (strcmp(kind, "mmio") == 0) {
        break_access(s, what, rest, condition, "address", TRACE_EVENT_mmio_read, TRACE_EVENT_mmio_write);
    } else if (strcmp(kind, "cr") == 0) {
        break_cr(s, what, rest, condition);
    } else if (strcmp(kind, "interrupt") == 0 || strcmp(kind, "exception") == 0) {
        break_moment(s, what, rest, condition, kind[0] == 'i' ? POINT_INTERRUPT : POINT_EXCEPTION);
    } else if (strcmp(kind, "violation") == 0) {
        break_violation(s, what, condition);
    } else if (strcmp(kind, "nested-fault") == 0) {
        break_event(s, what, "nested_fault", condition);
    } else if (strcmp(kind, "ept-change") == 0) {
        break_ept(s, what, rest, condition);
    } else if (strcmp(kind, "vmcs") == 0 || strcmp(kind, "vmcb") == 0) {
        break_field(s, what, rest, condition, kind[3] == 'b');
    } else if (strcmp(kind, "event") == 0) {
        break_event(s, what, rest, condition);
    } else if (strcmp(kind, "physical") == 0) {
        break_address(s, rest, what, condition, temporary, true);
    } else {
        break_address(s, text, what, condition, temporary, false);
    }
}

void cmd_break(struct shell *s, const char *args)
{
    do_break(s, args, false, false);
}

void cmd_tbreak(struct shell *s, const char *args)
{
    do_break(s, args, true, false);
}

void cmd_pbreak(struct shell *s, const char *args)
{
    do_break(s, args, false, true);
}

/* ---- watch ---- */

static void do_watch(struct shell *s, const char *args, enum stop_point_kind kind)
{
    char text[512], what[160], word[16];
    const char *condition, *rest;
    struct error err = {0};
    u64 at, size = 0;
    char space = 'v';
    (void)snprintf(text, sizeof text, "%s", args);
    (void)snprintf(what, sizeof what, "%s %.140s", kind == POINT_READ ? "rwatch" : kind == POINT_ACCESS ? "awatch" : "watch",
                   args);
    cut_condition(text, &condition);
    rest = text;
    for (;;) { /* options, and Bochs's r and w */
        const char *p = rest;
        if (!next_word(&p, word, sizeof word)) {
            break;
        }
        if (strcmp(word, "-p") == 0 || strcmp(word, "-g") == 0 || strcmp(word, "-v") == 0) {
            space = word[1];
        } else if (strcmp(word, "r") == 0 || strcmp(word, "w") == 0 || strcmp(word, "rw") == 0 || strcmp(word, "x") == 0) {
            kind = strcmp(word, "r") == 0    ? POINT_READ
                   : strcmp(word, "rw") == 0 ? POINT_ACCESS
                   : word[0] == 'x'          ? (space == 'p' ? POINT_CODE_PHYSICAL : POINT_CODE)
                                             : POINT_WRITE;
        } else {
            break;
        }
        rest = p;
    }
    /* "*(u32 *)a" watches 4 bytes at a, as GDB does. */
    if (rest[0] == '*') {
        const char *types[] = {"u8", "u16", "u32", "u64", "char", "short", "int", "long"};
        rest += 1 + strspn(rest + 1, " ");
        for (unsigned i = 0; rest[0] == '(' && i < ARRAY_LEN(types); i++) {
            size_t n = strlen(types[i]);
            if (strncmp(rest + 1, types[i], n) == 0 && (rest[n + 1] == '*' || rest[n + 1] == ' ')) {
                size = (u64)1 << (i % 4);
            }
        }
        size = size == 0 ? 8 : size;
    }
    if (rest[0] == '\0') {
        refuse(s, "watch what? an address, and how many bytes: watch [-p|-g] [r|w|rw|x] ADDRESS [BYTES]");
        return;
    }
    if (!expr_eval(s, &rest, &at, &err)) {
        refuse_error(s, &err);
        return;
    }
    if (*rest != '\0' && !expr_all(s, rest, &size)) {
        return;
    }
    size = size == 0 ? 8 : size;
    spa_t spa = SPA(at);
    bool code = kind == POINT_CODE || kind == POINT_CODE_PHYSICAL;
    if ((space == 'v' && !code && !stops_translate(s->m, s->cpu, at, &spa)) ||
        (space == 'g' && !memory_guest_to_machine(s, at, &spa.v))) {
        refuse(s, "%#" PRIx64 " is not mapped now; watch -p takes a physical address", at);
        return;
    }
    struct shell_point *p = point_new(s, what);
    if (p == NULL) {
        return;
    }
    u64 room = PAGE_SIZE - (spa.v & PAGE_MASK);
    add_stop(p, kind, code ? at : spa.v, code ? 0 : size < room ? size : room);
    set_condition(p, "", condition);
    arm_and_say(s, p);
}

void cmd_watch(struct shell *s, const char *args)
{
    do_watch(s, args, POINT_WRITE);
}

void cmd_rwatch(struct shell *s, const char *args)
{
    do_watch(s, args, POINT_READ);
}

void cmd_awatch(struct shell *s, const char *args)
{
    do_watch(s, args, POINT_ACCESS);
}

/* ---- Looking after them ---- */

static bool take_number(struct shell *s, const char **args, unsigned *number)
{
    char word[16], *end;
    if (!next_word(args, word, sizeof word)) {
        refuse(s, "which point? `info breakpoints` lists them");
        return false;
    }
    unsigned long v = strtoul(word, &end, 10);
    *number = (unsigned)v;
    if (*end != '\0' || v == 0) {
        refuse(s, "%s: a number of a point is wanted", word);
        return false;
    }
    return true;
}

void cmd_delete(struct shell *s, const char *args)
{
    if (args[0] == '\0' || strcmp(args, "all") == 0) {
        for (unsigned i = 0; i < SHELL_POINTS; i++) {
            if (s->points[i].number != 0) {
                point_delete(s, &s->points[i]);
            }
        }
        return;
    }
    while (*args != '\0') {
        unsigned number;
        struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
        if (p == NULL) {
            return;
        }
        point_delete(s, p);
    }
}

static void switch_points(struct shell *s, const char *args, bool on)
{
    for (unsigned i = 0; args[0] == '\0' && i < SHELL_POINTS; i++) {
        struct shell_point *p = &s->points[i];
        if (p->number != 0 && p->enabled != on) {
            p->enabled = on;
            if (on) {
                (void)point_arm(s, p);
            } else {
                point_disarm(s, p);
            }
        }
    }
    while (*args != '\0') {
        unsigned number;
        struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
        if (p == NULL) {
            return;
        }
        if (p->enabled != on) {
            p->enabled = on;
            if (on) {
                (void)point_arm(s, p);
            } else {
                point_disarm(s, p);
            }
        }
    }
}

void cmd_enable(struct shell *s, const char *args)
{
    switch_points(s, args, true);
}

void cmd_disable(struct shell *s, const char *args)
{
    switch_points(s, args, false);
}

void cmd_condition(struct shell *s, const char *args)
{
    unsigned number;
    struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
    if (p != NULL) {
        set_condition(p, "", args[0] != '\0' ? args : NULL);
    }
}

void cmd_ignore(struct shell *s, const char *args)
{
    unsigned number;
    u64 count;
    struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
    if (p != NULL && expr_all(s, args, &count)) {
        p->ignore = count;
        say(s, "The next %" PRIu64 " times point %u is passed over.\n", count, number);
    }
}

/* commands N CMD; CMD ...: on one line, so that files and GDB's monitor can say it. */
void cmd_commands(struct shell *s, const char *args)
{
    unsigned number;
    struct shell_point *p = take_number(s, &args, &number) ? point_find(s, number) : NULL;
    if (p == NULL) {
        return;
    }
    free(p->commands);
    p->commands = args[0] != '\0' ? strdup(args) : NULL;
}

void show_points(struct shell *s)
{
    bool any = false;
    for (unsigned number = 1; number < s->next_point; number++) {
        for (unsigned i = 0; i < SHELL_POINTS; i++) {
            const struct shell_point *p = &s->points[i];
            if (p->number != number) {
                continue;
            }
            any = true;
            say(s, "%3u %s %s%s%s", p->number, p->enabled ? "on " : "off", p->what, p->temporary ? " (once)" : "",
                p->hits > 0 ? "" : "\n");
            if (p->hits > 0) {
                say(s, "  met %" PRIu64 " time%s\n", p->hits, p->hits == 1 ? "" : "s");
            }
            if (p->commands != NULL) {
                say(s, "      then: %s\n", p->commands);
            }
        }
    }
    if (!any) {
        say(s, "No points are set.\n");
    }
}
