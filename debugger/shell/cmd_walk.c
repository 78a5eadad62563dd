/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walks explained: every step from a linear address to memory, what each entry says, and who wrote it last; the
 * second-level tables of a guest. */
#include "base/bytes.h"
#include "cpu/msr.h"
#include "cpu/tlb.h"
#include "debugger/shell/vmcs.h"
#include "mmu/nested.h"

#include <stdlib.h>
#include <string.h>

static const char *const level_names[] = {"?", "PT", "PD", "PDPT", "PML4", "PML5"};

/* ---- Writers ---- */

static bool note_first(void *self, const struct travel_write *w)
{
    *(struct travel_write *)self = *w;
    return false;
}

static void put_writer(struct shell *s, u64 spa, unsigned size)
{
    struct travel_write w = {.position = ~(u64)0};
    struct run_result r = travel_writes(s->m, SPA(spa), size, note_first, &w);
    if (r.reason != STOP_POSITION) {
        s->m->error = (struct error){0};
        say(s, "        (who wrote it cannot be told: %s)\n", stop_reason_name(r.reason));
    } else if (w.position == ~(u64)0) {
        say(s, "        not written since history begins\n");
    } else if (w.device) {
        say(s, "        written last by a device at %" PRIu64 "\n", w.position);
    } else {
        char name[160];
        describe_address(s, w.rip, name, sizeof name);
        say(s, "        written last at %" PRIu64 " by cpu%u at %#" PRIx64 "%s%s%s\n", w.position, w.cpu, w.rip,
            name[0] != '\0' ? " <" : "", name, name[0] != '\0' ? ">" : "");
    }
}

/* ---- Entries ---- */

static void put_x86_entry(struct shell *s, u64 e, unsigned level, bool wide)
{
    say(s, "%s%s%s%s%s%s%s%s", (e & 1) != 0 ? "P" : "not present", (e & 1) == 0 ? "" : (e & 2) != 0 ? " W" : " R",
        (e & 4) != 0 ? " U" : "", (e & 0x20) != 0 ? " A" : "", (e & 0x40) != 0 ? " D" : "",
        level > 1 && level < 4 && (e & 0x80) != 0 ? " large" : "", (e & 0x18) != 0 ? " cache" : "",
        wide && e >> 63 != 0 ? " NX" : "");
}

static void put_ept_entry(struct shell *s, u64 e, unsigned level)
{
    static const char *const types[] = {"UC", "WC", "?", "?", "WT", "WP", "WB", "?"};
    bool leaf = level == 1 || (level < 4 && (e & 0x80) != 0);
    say(s, "%s%s%s", (e & 1) != 0 ? "r" : "-", (e & 2) != 0 ? "w" : "-", (e & 4) != 0 ? "x" : "-");
    if (leaf) {
        say(s, " %s%s%s%s", types[e >> 3 & 7], (e & 0x40) != 0 ? " ignore-PAT" : "", level > 1 ? " large" : "",
            (e & 0x200) != 0 ? " D" : "");
    }
}

/* The second-level steps of one guest-physical address; false: it fails. */
static bool put_nested(struct shell *s, const struct walk_nested *n, u64 gpa, const char *indent, bool writers,
                       u64 *spa)
{
    struct walk_result res = {0};
    u64 bytes = 0;
    bool ok = nested_translate(&s->m->phys, n, gpa, WALK_READ | WALK_PROBE, &res, spa, &bytes);
    unsigned top = n->mode == PAGING_5LEVEL ? 5 : n->mode == PAGING_PAE ? 3 : n->mode == PAGING_32 ? 2 : 4;
    unsigned entry_bytes = n->mode == PAGING_32 ? 4 : 8;
    for (unsigned i = 0; i < res.nested_steps && i < top; i++) {
        u8 raw[8] = {0};
        unsigned level = top - i;
        (void)memory_read_physical(s, res.nested_table[i].v, raw, entry_bytes);
        u64 e = load_le(raw, entry_bytes);
        say(s, "%s%s %-4s at %" PRIx64 " = %016" PRIx64 " ", indent, n->kind == NESTED_EPT ? "EPT" : "NPT",
            level_names[level], res.nested_table[i].v, e);
        if (n->kind == NESTED_EPT) {
            put_ept_entry(s, e, level);
        } else {
            put_x86_entry(s, e, level, entry_bytes == 8);
        }
        say(s, "\n");
        if (writers) {
            put_writer(s, res.nested_table[i].v, entry_bytes);
        }
    }
    if (!ok) {
        say(s, "%s%sfails%s: %s\n", indent, shade(s, SHADE_CHANGED), shade(s, SHADE_NONE),
            res.why != NULL ? res.why : "not present");
    } else {
        say(s, "%sgpa %" PRIx64 " is machine address %" PRIx64 ", page of %" PRIu64 " KiB\n", indent, gpa, *spa,
            bytes >> 10);
    }
    return ok;
}

static void put_type(struct shell *s, const struct cpu *cpu, const struct walk_result *res)
{
    static const char *const types[] = {"UC", "WC", "?", "?", "WT", "WP", "WB", "UC-"};
    unsigned pat = (unsigned)(cpu->arch.pat >> (8 * (res->cache_bits & 7))) & 7;
    say(s, "%s%" PRIx64 "%s: page of %" PRIu64 " KiB, %s%s%s, PAT %s, MTRR %s%s\n", shade(s, SHADE_HEAD), res->spa.v,
        shade(s, SHADE_NONE), res->page_bytes >> 10, res->writable ? "rw" : "r-", res->no_execute ? "-" : "x",
        res->user ? " user" : " supervisor", types[pat], types[mtrr_type(cpu, res->spa.v) & 7],
        res->dirty ? ", dirty" : "");
}

void cmd_walk(struct shell *s, const char *args)
{
    struct cpu *cpu = shell_cpu(s);
    struct walk_root root;
    struct walk_result res;
    struct error err = {0};
    u64 lin, spa;
    if (args[0] == '\0') {
        lin = cpu->arch.cr2; /* what faulted last */
    } else if (!expr_eval(s, &args, &lin, &err)) {
        refuse_error(s, &err);
        return;
    }
    bool writers = strcmp(args, "writers") == 0 || strcmp(args, "who") == 0;
    if (*args != '\0' && !writers) {
        refuse(s, "what is this after the address: %s", args);
        return;
    }
    walk_root_of(cpu, &root);
    lin &= cpu->d.lin_mask;
    bool ok = walk_linear(cpu->phys, &root, lin, WALK_READ | WALK_PROBE, &res);
    say(s, "linear %#" PRIx64 ", tables at %" PRIx64 "\n", lin, root.table);
    if (root.mode == PAGING_NONE) {
        say(s, "  paging is off: linear is %sphysical\n", root.nested.kind != NESTED_NONE ? "guest-" : "");
    }
    for (unsigned i = 0; i < res.steps && i < ARRAY_LEN(res.step); i++) {
        const struct walk_step *t = &res.step[i];
        unsigned bytes = root.mode == PAGING_32 ? 4 : 8;
        say(s, "  %-4s at %" PRIx64, level_names[t->level < 6 ? t->level : 0], t->entry_gpa);
        if (root.nested.kind != NESTED_NONE) {
            say(s, " (machine %" PRIx64 ")", t->entry_at.v);
        }
        say(s, " = %0*" PRIx64 " ", (int)(2 * bytes), t->entry);
        put_x86_entry(s, t->entry, t->level, bytes == 8);
        say(s, "\n");
        if (root.nested.kind != NESTED_NONE) {
            (void)put_nested(s, &root.nested, t->entry_gpa, "      ", false, &spa);
        }
        if (writers) {
            put_writer(s, t->entry_at.v, bytes);
        }
    }
    if (root.nested.kind != NESTED_NONE && (ok || res.nested_failed)) {
        (void)put_nested(s, &root.nested, res.gpa.v, "  ", writers, &spa);
    }
    if (!ok) {
        say(s, "  %sfails%s: %s\n", shade(s, SHADE_CHANGED), shade(s, SHADE_NONE), res.why != NULL ? res.why : "?");
        return;
    }
    put_type(s, cpu, &res);
    if (writers) {
        say(s, "  the page itself:\n");
        put_writer(s, res.spa.v, 1);
    } else if (res.steps > 0) {
        say(s, "`walk ADDRESS writers` also tells who wrote each entry last.\n");
    }
}

/* ---- Ranges ---- */

struct range {
    u64 from, to, size; /* guest-physical or linear, machine, bytes */
    u32 rights;         /* r w x, and for linear ones user (8) */
};

struct ranges {
    struct range *list;
    size_t count, cap;
};

static void add_range(struct ranges *r, u64 from, u64 to, u64 size, u32 rights)
{
    struct range *last = r->count > 0 ? &r->list[r->count - 1] : NULL;
    if (last != NULL && last->from + last->size == from && last->to + last->size == to && last->rights == rights) {
        last->size += size;
        return;
    }
    if (r->count == r->cap) {
        r->cap = 2 * r->cap + 256;
        struct range *grown = realloc(r->list, r->cap * sizeof *grown);
        if (grown == NULL) {
            abort();
        }
        r->list = grown;
    }
    r->list[r->count++] = (struct range){.from = from, .to = to, .size = size, .rights = rights};
}

/* Leaves of tables of 512 entries; EPT, or the processors' format. limits: rights of the way down. */
static void collect(const struct shell *s, struct ranges *r, bool ept, u64 table, unsigned level, u64 base, u32 limits)
{
    u64 entries[512];
    if (memory_read_physical(s, table, entries, sizeof entries) != sizeof entries) {
        return;
    }
    for (unsigned i = 0; i < 512; i++) {
        u64 e = entries[i], at = base + ((u64)i << (12 + 9 * (level - 1)));
        bool leaf = level == 1 || (level < 4 && (e & 0x80) != 0);
        u32 rights = ept ? (u32)e & 7
                         : (e & 1) == 0 ? 0
                                        : 1u | ((u32)e & 2) | (e >> 63 == 0 ? 4u : 0u) | ((e & 4) != 0 ? 8u : 0u);
        if (rights == 0) {
            continue;
        }
        if (!ept && level >= 4 && i >= 256 && level == (base >> 47 != 0 ? 5u : 4u)) {
            at |= (u64)0xffff << 48;
        }
        u64 size = (u64)1 << (12 + 9 * (level - 1));
        if (leaf) {
            add_range(r, at, e & 0x000ffffffffff000u & ~(size - 1), size, rights & limits);
        } else {
            collect(s, r, ept, e & 0x000ffffffffff000u, level - 1, at, rights & limits);
        }
    }
}

static void put_range(struct shell *s, const char *sign, const struct range *r)
{
    say(s, "%s%012" PRIx64 "-%012" PRIx64 " -> %012" PRIx64 " %c%c%c\n", sign, r->from, r->from + r->size - 1, r->to,
        (r->rights & 1) != 0 ? 'r' : '-', (r->rights & 2) != 0 ? 'w' : '-', (r->rights & 4) != 0 ? 'x' : '-');
}

static bool collect_nested(struct shell *s, struct ranges *r)
{
    struct walk_root root;
    if (!shell_nested(s, &root) || root.nested.mode == PAGING_32 || root.nested.mode == PAGING_PAE) {
        return false;
    }
    collect(s, r, root.nested.kind == NESTED_EPT, root.nested.table, root.nested.mode == PAGING_5LEVEL ? 5 : 4, 0, 15);
    return true;
}

static void dump_nested(struct shell *s)
{
    struct ranges r = {0};
    if (!collect_nested(s, &r)) {
        refuse(s, "no guest with 64-bit second-level tables has run on cpu%u", s->cpu);
    }
    for (size_t i = 0; i < r.count && s->page_lines != ~0u; i++) {
        put_range(s, "", &r.list[i]);
    }
    free(r.list);
}

/* What `a` has and `b` has not. */
static bool put_missing(struct shell *s, const char *sign, const struct ranges *a, const struct ranges *b)
{
    bool any = false;
    for (size_t i = 0; i < a->count; i++) {
        u64 at = a->list[i].from, end = at + a->list[i].size;
        while (at < end) { /* cut along b's ranges */
            u64 next = end;
            bool same = false;
            for (size_t k = 0; k < b->count; k++) {
                const struct range *o = &b->list[k];
                if (at >= o->from && at < o->from + o->size) {
                    same = o->rights == a->list[i].rights && o->to + (at - o->from) == a->list[i].to + (at - a->list[i].from);
                    next = o->from + o->size < end ? o->from + o->size : end;
                    break;
                }
                if (o->from > at && o->from < next) {
                    next = o->from;
                }
            }
            if (!same) {
                struct range piece = {.from = at, .to = a->list[i].to + (at - a->list[i].from), .size = next - at,
                                      .rights = a->list[i].rights};
                put_range(s, sign, &piece);
                any = true;
            }
            at = next;
        }
    }
    return any;
}

static void diff_nested(struct shell *s, const char *args)
{
    u64 here = shell_position(s), then = 0, number;
    struct ranges now = {0}, was = {0};
    struct note n;
    if (args[0] != '\0') {
        if (!expr_all(s, args, &then)) {
            return;
        }
    } else if (history_last(s->history, ~(u64)0, TRACE_EVENT_vm_exit, s->cpu, &n, &number)) {
        then = n.position;
    }
    bool ok = collect_nested(s, &now);
    unsigned cpu = s->cpu;
    struct walk_root root;
    (void)shell_nested(s, &root);
    if (ok && travel_to(s->m, then).reason == STOP_POSITION) {
        collect(s, &was, root.nested.kind == NESTED_EPT, root.nested.table, root.nested.mode == PAGING_5LEVEL ? 5 : 4, 0,
                15);
    } else {
        ok = false;
    }
    s->m->error = (struct error){0};
    (void)travel_to(s->m, here);
    s->cpu = cpu;
    if (!ok) {
        refuse(s, "no second-level tables to compare, or position %" PRIu64 " cannot be reached", then);
    } else {
        say(s, "Second-level tables at %" PRIx64 ": position %" PRIu64 " against %" PRIu64 "\n", root.nested.table, here,
            then);
        bool gone = put_missing(s, "- ", &was, &now), come = put_missing(s, "+ ", &now, &was);
        if (!gone && !come) {
            say(s, "Nothing differs.\n");
        }
    }
    free(now.list);
    free(was.list);
}

void cmd_ept(struct shell *s, const char *args)
{
    struct walk_root root;
    u64 gpa, spa;
    if (strcmp(args, "dump") == 0) {
        dump_nested(s);
        return;
    }
    if (strncmp(args, "diff", 4) == 0) {
        args += 4;
        diff_nested(s, args + strspn(args, " "));
        return;
    }
    if (!shell_nested(s, &root)) {
        refuse(s, "no guest with second-level tables has run on cpu%u", s->cpu);
        return;
    }
    if (args[0] == '\0') {
        say(s, "%s tables at %" PRIx64 ", %u levels\n", root.nested.kind == NESTED_EPT ? "EPT" : "NPT", root.nested.table,
            root.nested.mode == PAGING_5LEVEL ? 5 : root.nested.mode == PAGING_PAE ? 3 : root.nested.mode == PAGING_32 ? 2 : 4);
        return;
    }
    struct error err = {0};
    if (!expr_eval(s, &args, &gpa, &err)) {
        refuse_error(s, &err);
        return;
    }
    (void)put_nested(s, &root.nested, gpa, "  ", strcmp(args, "writers") == 0, &spa);
}

/* The selected processor's own tables, as far as they lie in the machine's memory. */
void cmd_pages(struct shell *s, const char *args)
{
    const struct cpu *cpu = shell_cpu(s);
    struct walk_root root;
    struct ranges r = {0};
    UNUSED(args);
    walk_root_of(cpu, &root);
    if (root.nested.kind != NESTED_NONE || root.mode == PAGING_NONE || root.mode == PAGING_PAE || root.mode == PAGING_32) {
        /* By trying: every page of 4 GiB at most. */
        struct walk_result res;
        for (u64 at = 0; at < ((u64)1 << 32);) {
            u64 size = PAGE_SIZE;
            if (walk_linear(cpu->phys, &root, at, WALK_READ | WALK_PROBE, &res)) {
                size = root.mode == PAGING_NONE && root.nested.kind == NESTED_NONE ? (u64)1 << 32
                       : res.page_bytes != 0                                         ? res.page_bytes
                                                                                     : PAGE_SIZE;
                size -= at & (size - 1);
                add_range(&r, at, res.spa.v, size, 1u | (res.writable ? 2u : 0u) | (res.no_execute ? 0u : 4u));
            } else {
                unsigned level = res.steps > 0 ? res.step[res.steps - 1].level : 1;
                unsigned bits = root.mode == PAGING_32 ? 12 + 10 * (level - 1) : 12 + 9 * (level - 1);
                size = (u64)1 << bits;
                size -= at & (size - 1);
            }
            at += size;
        }
    } else {
        collect(s, &r, false, root.table & 0x000ffffffffff000u, root.mode == PAGING_5LEVEL ? 5 : 4, 0, 15);
    }
    for (size_t i = 0; i < r.count && s->page_lines != ~0u; i++) {
        put_range(s, "", &r.list[i]);
    }
    free(r.list);
}
