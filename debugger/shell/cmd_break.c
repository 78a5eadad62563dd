/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Commands that set points and look after them. */
#include "debugger/shell/points.h"
#include "debugger/shell/vmcs.h"
#include "machine/watching.h"
#include "traces/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- What `break` knows beside addresses ---- */

static struct shell_point *event_point(struct shell *s, const char *what, enum trace_event event, const char *own,
                                       const char *condition)
{
    struct shell_point *p = point_new(s, what);
    if (p != NULL) {
        p->event = event;
        point_add_stop(p, POINT_EVENT, p->number, 0);
        point_set_condition(p, own, condition);
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
        point_arm_and_say(s, p);
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
            refuse(s, "%s: no such interface; xen, hyper-v, kvm, vmware or vmi", text);
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
        point_arm_and_say(s, p);
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
        point_arm_and_say(s, p);
    }
    p = write ? event_point(s, what, on_write, own, condition) : NULL;
    if (p != NULL) {
        point_arm_and_say(s, p);
    }
}

static void break_msr(struct shell *s, const char *what, const char *args, const char *condition)
{
    char word[64], line[96];
    const char *rest = args;
    if (next_word(&rest, word, sizeof word)) {
        u32 index;
        if (msr_find(s, word, &index)) {
            (void)snprintf(line, sizeof line, "%#x %.16s", index, rest);
            args = line;
        }
    }
    break_access(s, what, args, condition, "msr", TRACE_EVENT_msr_read, TRACE_EVENT_msr_write);
}

static void break_cr(struct shell *s, const char *what, const char *args, const char *condition)
{
    static const struct {
        char letter;
        enum trace_event event;
    } ways[] = {{'r', TRACE_EVENT_cr_read}, {'w', TRACE_EVENT_cr_write}};
    u64 number = 0;
    char word[64] = "", way[8] = "w";
    bool given = next_word(&args, word, sizeof word);
    const char *digits = strncasecmp(word, "cr", 2) == 0 ? word + 2 : word;
    if (given && strspn(word, "rw") == strlen(word)) { /* of any register */
        (void)snprintf(way, sizeof way, "%.7s", word);
        given = false;
    } else if (given && (!expr_all(s, digits, &number) || (next_word(&args, way, sizeof way) && strspn(way, "rw") != strlen(way)))) {
        refuse(s, "break cr [N] [r|w]");
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
        if (strchr(way, ways[i].letter) == NULL) {
            continue;
        }
        struct shell_point *p = event_point(s, what, ways[i].event, "", condition);
        if (p != NULL) {
            p->match[0] = number;
            p->match_mask = given ? 1 : 0;
            point_arm_and_say(s, p);
        }
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
        point_add_stop(p, kind, vector, 0);
        point_set_condition(p, "", condition);
        point_arm_and_say(s, p);
    }
}

static void break_event(struct shell *s, const char *what, const char *args, const char *condition)
{
    for (u32 i = 1; i < TRACE_EVENT_COUNT; i++) {
        if (strcmp(trace_event_info[i].name, args) == 0) {
            struct shell_point *p = event_point(s, what, (enum trace_event)i, "", condition);
            if (p != NULL) {
                point_arm_and_say(s, p);
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
        point_arm_and_say(s, p);
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
        point_add_stop(p, POINT_WRITE, at, vmcb ? b.bytes : vmcs_size(row->encoding));
        point_set_condition(p, "", condition);
        point_arm_and_say(s, p);
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
        point_add_stop(p, POINT_WRITE, page, PAGE_SIZE);
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

void point_follow_tables(struct shell *s, struct shell_point *p)
{
    unsigned before = p->stop_count;
    struct error err = {0};
    add_tables(s, p, p->tables.table, p->tables.levels, p->tables.present);
    for (unsigned i = before; i < p->stop_count; i++) {
        if (!stops_add(s->m, &p->stop[i], &err)) {
            p->stop_count = i;
            return;
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
        p->follows = true;
        p->tables.table = root.nested.table;
        p->tables.levels = levels;
        p->tables.present = present;
        add_tables(s, p, root.nested.table, levels, present);
    } else {
        u64 table = root.nested.table;
        for (unsigned level = levels; level > 0; level--) { /* the entries on the way to one page */
            u64 entry = 0, at = table + 8 * (gpa >> (12 + 9 * (level - 1)) & 511);
            point_add_stop(p, POINT_WRITE, at, 8);
            (void)memory_read_physical(s, at, &entry, 8);
            if ((entry & present) == 0 || (entry >> 7 & 1) != 0) {
                break;
            }
            table = entry & 0xffffffffff000u;
        }
    }
    point_set_condition(p, "", condition);
    point_arm_and_say(s, p);
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
        count = symbols_line_addresses(s->symbols, file, atoi(colon + 1), shell_level(s), list, ARRAY_LEN(list),
                                       &actual);
        if (count == 0) {
            count = symbols_line_addresses(s->symbols, file, atoi(colon + 1), SYMBOLS_ANY_LEVEL, list, ARRAY_LEN(list),
                                           &actual);
        }
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
        point_add_stop(p, physical ? POINT_CODE_PHYSICAL : POINT_CODE, list[i], 0);
    }
    p->temporary = temporary;
    point_set_condition(p, "", condition);
    point_arm_and_say(s, p);
}

static void do_break(struct shell *s, const char *args, bool temporary, bool physical)
{
    char text[512], what[160], kind[32], room[CONDITION_ROOM];
    const char *rest;
    (void)snprintf(text, sizeof text, "%s", args);
    (void)snprintf(what, sizeof what, "%s%.150s", physical ? "physical " : "", args);
    const char *condition = point_cut_condition(text, room);
    rest = text;
    (void)next_word(&rest, kind, sizeof kind);
    if (physical || text[0] == '\0') {
        break_address(s, text, what[0] != '\0' ? what : "here", condition, temporary, physical);
    } else if (strcmp(kind, "exit") == 0 || strcmp(kind, "vmexit") == 0) {
        break_exit(s, what, rest, condition);
    } else if (strcmp(kind, "entry") == 0 || strcmp(kind, "vmentry") == 0) {
        struct shell_point *p = event_point(s, what, TRACE_EVENT_vm_entry, "", condition);
        if (p != NULL) {
            point_arm_and_say(s, p);
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
