/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Control structures in memory: fields by name, bits in words, which one matters, and what their fields were. */
#include "debugger/shell/vmcs.h"

#include "abi/x86/vmx.h"
#include "base/bytes.h"
#include "cpu/model.h"
#include "cpu/tlb.h"
#include "traces/words.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct vmcs_row vmcs_rows[] = {
#define VMCS(name, encoding, width, type, title) {encoding, #name, title},
#include "abi/x86/vmcs_fields.def"
#undef VMCS
};
const unsigned vmcs_row_count = ARRAY_LEN(vmcs_rows);

const struct vmcs_row *vmcs_row_find(const char *name, size_t len)
{
    if (len > 5 && strncasecmp(name, "VMCS_", 5) == 0) { /* as the simulator's own words have it */
        name += 5;
        len -= 5;
    }
    for (unsigned i = 0; i < vmcs_row_count; i++) {
        if (strlen(vmcs_rows[i].name) == len && strncasecmp(vmcs_rows[i].name, name, len) == 0) {
            return &vmcs_rows[i];
        }
    }
    return NULL;
}

#define VMCB_SEGMENT_PARTS 4

static const struct {
    u32 offset, bytes;
    const char *name;
    bool segment;
} vmcb_rows[] = {
#define VMCB_CONTROL(offset, bytes, name, clean) {offset, bytes, #name, false},
#define VMCB_SAVE(offset, bytes, name, clean) {offset, bytes, #name, false},
#define VMCB_SEGMENT(offset, name, clean) {offset, 0, #name, true},
#include "abi/x86/vmcb_fields.def"
};

unsigned vmcb_row_count(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(vmcb_rows); i++) {
        n += vmcb_rows[i].segment ? VMCB_SEGMENT_PARTS : 1;
    }
    return n;
}

bool vmcb_row(unsigned n, struct vmcb_row *row)
{
    static const struct {
        const char *name;
        u8 offset, bytes;
    } parts[VMCB_SEGMENT_PARTS] = {{"sel", 0, 2}, {"attr", 2, 2}, {"limit", 4, 4}, {"base", 8, 8}};
    for (unsigned i = 0; i < ARRAY_LEN(vmcb_rows); i++) {
        unsigned count = vmcb_rows[i].segment ? VMCB_SEGMENT_PARTS : 1;
        if (n < count) {
            *row = (struct vmcb_row){.offset = vmcb_rows[i].offset, .bytes = vmcb_rows[i].bytes};
            (void)snprintf(row->name, sizeof row->name, "%s%s%s", vmcb_rows[i].name, count > 1 ? "_" : "",
                           count > 1 ? parts[n].name : "");
            if (count > 1) {
                row->offset += parts[n].offset;
                row->bytes = parts[n].bytes;
            }
            return true;
        }
        n -= count;
    }
    return false;
}

bool vmcb_row_find(const char *name, size_t len, struct vmcb_row *row)
{
    for (unsigned i = 0; vmcb_row(i, row); i++) {
        if (strlen(row->name) == len && strncasecmp(row->name, name, len) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- Words ---- */

static void put_interruption(u64 value, char *text, size_t room)
{
    static const char *const types[] = {"external interrupt",  "?",           "NMI",       "exception", "software interrupt",
                                        "privileged exception", "software exception", "other"};
    if ((value & INTR_VALID) != 0) {
        (void)snprintf(text, room, "%s %u%s", types[value >> INTR_TYPE_SHIFT & 7], (unsigned)(value & INTR_VECTOR),
                       (value & INTR_ERROR_CODE) != 0 ? " with an error code" : "");
    }
}

static void put_access_rights(u64 value, char *text, size_t room)
{
    static const char *const system[] = {"?",  "16-bit TSS", "LDT", "busy 16-bit TSS", "?", "?", "?", "?",
                                         "?",  "TSS",        "?",   "busy TSS",        "?", "?", "?", "?"};
    if ((value & SEG_UNUSABLE) != 0) {
        (void)snprintf(text, room, "unusable");
        return;
    }
    bool code = (value & SEG_TYPE_CODE) != 0;
    (void)snprintf(text, room, "%s%s DPL %u%s%s%s%s",
                   (value & SEG_S) == 0 ? system[value & 15] : code ? "code" : "data",
                   (value & SEG_S) == 0                            ? ""
                   : (value & SEG_TYPE_WRITE) == 0                 ? code ? " execute-only" : " read-only"
                                                                   : "",
                   (unsigned)(value >> SEG_DPL_SHIFT & 3), (value & SEG_P) != 0 ? "" : " not present",
                   (value & SEG_L) != 0 ? " 64-bit" : (value & SEG_DB) != 0 ? " 32-bit" : "",
                   (value & SEG_G) != 0 ? " pages" : "",
                   (value & SEG_S) != 0 && (value & SEG_TYPE_ACCESSED) == 0 ? " not accessed" : "");
}

void vmcs_bits(u32 encoding, u64 value, char *text, size_t room)
{
    static const struct {
        u32 encoding;
        u8 bit;
        const char *name;
    } bits[] = {
#define VMCS_BIT(field, bit, name) {field, bit, name},
#include "debugger/shell/vmcs_bits.def"
#undef VMCS_BIT
    };
    text[0] = '\0';
    if (encoding == VMCS_EXIT_REASON) {
        const char *name = trace_exit_name(value & 0xffff);
        (void)snprintf(text, room, "%s%s", name != NULL ? name : "?", (value >> 31 & 1) != 0 ? ", a VM-entry failure" : "");
        return;
    }
    if (encoding == VMCS_ENTRY_INTERRUPTION_INFO || encoding == VMCS_EXIT_INTERRUPTION_INFO || encoding == VMCS_IDT_VECTORING_INFO) {
        put_interruption(value, text, room);
        return;
    }
    if (encoding >= VMCS_GUEST_ES_ACCESS_RIGHTS && encoding <= VMCS_GUEST_TR_ACCESS_RIGHTS) {
        put_access_rights(value, text, room);
        return;
    }
    u32 like = encoding == VMCS_HOST_CR0 ? VMCS_GUEST_CR0 : encoding == VMCS_HOST_CR4 ? VMCS_GUEST_CR4
               : encoding == VMCS_HOST_EFER ? VMCS_GUEST_EFER : encoding;
    for (unsigned i = 0; i < ARRAY_LEN(bits); i++) {
        if (bits[i].encoding == like && (value >> bits[i].bit & 1) != 0) {
            size_t n = strlen(text);
            (void)snprintf(text + n, room - n, "%s%s", n > 0 ? ", " : "", bits[i].name);
        }
    }
}

/* ---- Which one ---- */

bool shell_is_amd(const struct shell *s)
{
    return s->m->model.vendor == CPU_VENDOR_AMD;
}

u64 shell_vmcs(const struct shell *s)
{
    const struct cpu *cpu = shell_cpu(s);
    struct note n;
    u64 number;
    if (cpu->arch.vmx.on && cpu->arch.vmx.current != VMX_NO_VMCS) {
        return cpu->arch.vmx.current;
    }
    if (!shell_is_amd(s) && history_last(s->history, ~(u64)0, TRACE_EVENT_vm_entry, s->cpu, &n, &number)) {
        return n.args[0];
    }
    return VMX_NO_VMCS;
}

u64 shell_vmcb(const struct shell *s)
{
    const struct cpu *cpu = shell_cpu(s);
    struct note n;
    u64 number;
    if (cpu->arch.guest == GUEST_SVM) {
        return cpu->arch.svm.vmcb;
    }
    if (!shell_is_amd(s)) {
        return ~(u64)0;
    }
    if (history_last(s->history, ~(u64)0, TRACE_EVENT_vm_refused, s->cpu, &n, &number)) {
        u64 refused = number, vmcb = n.args[0];
        if (!history_last(s->history, ~(u64)0, TRACE_EVENT_vm_entry, s->cpu, &n, &number) || number < refused) {
            return vmcb;
        }
    }
    return history_last(s->history, ~(u64)0, TRACE_EVENT_vm_entry, s->cpu, &n, &number) ? n.args[0] : ~(u64)0;
}

unsigned shell_level(const struct shell *s)
{
    const struct cpu_arch *a = &shell_cpu(s)->arch;
    if (a->guest == GUEST_NONE) {
        return 0;
    }
    unsigned depth = history_depth(s->history, a->guest == GUEST_VMX ? a->vmx.current : a->svm.vmcb);
    return depth > 0 ? depth : 1;
}

u64 vmcs_value(const struct shell *s, u64 region, u32 encoding)
{
    u8 bytes[8] = {0};
    (void)memory_read_physical(s, region + vmcs_offset(encoding), bytes, vmcs_size(encoding));
    return load_le(bytes, vmcs_size(encoding));
}

unsigned shell_partition(const struct shell *s)
{
    struct note n;
    u64 number;
    return shell_cpu(s)->arch.guest != GUEST_NONE &&
                   history_last(s->history, ~(u64)0, TRACE_EVENT_vm_entry, s->cpu, &n, &number)
               ? history_guest(s->history, n.args[0], n.args[2])
               : 0;
}

bool shell_nested(const struct shell *s, struct walk_root *root)
{
    const struct cpu *cpu = shell_cpu(s);
    struct note n;
    u64 number;
    memset(root, 0, sizeof *root);
    if (cpu->arch.guest != GUEST_NONE) {
        walk_root_of(cpu, root);
        return root->nested.kind != NESTED_NONE;
    }
    if (!history_last(s->history, ~(u64)0, TRACE_EVENT_vm_entry, s->cpu, &n, &number) || n.args[2] == 0) {
        return false;
    }
    struct walk_nested *w = &root->nested;
    w->reserved = cpu_phys_reserved(cpu);
    w->log_room = WALK_LOG_UNLIMITED;
    w->table = n.args[2] & 0x000ffffffffff000u;
    if (!shell_is_amd(s)) {
        w->kind = NESTED_EPT;
        w->mode = ((n.args[2] >> 3) & 7) == 4 ? PAGING_5LEVEL : PAGING_4LEVEL;
        w->flags = EPT_FLAG_EXEC_ONLY | EPT_FLAG_2MB | EPT_FLAG_1GB;
    } else {
        struct walk_root host;
        walk_root_of(cpu, &host);
        w->kind = NESTED_NPT;
        w->mode = host.mode;
        w->flags = host.flags;
    }
    return true;
}

/* ---- vmcs, vmcb ---- */

/* A field of either kind. */
struct field {
    const char *name;
    u64 at;
    unsigned size;
    u32 encoding; /* ~0: of a VMCB */
};

static bool field_number(bool vmcb, u64 base, unsigned n, struct field *f, struct vmcb_row *room)
{
    if (vmcb) {
        if (!vmcb_row(n, room)) {
            return false;
        }
        *f = (struct field){.name = room->name, .at = base + room->offset, .size = room->bytes, .encoding = ~0u};
        return true;
    }
    if (n >= vmcs_row_count) {
        return false;
    }
    u32 e = vmcs_rows[n].encoding;
    *f = (struct field){.name = vmcs_rows[n].name, .at = base + vmcs_offset(e), .size = vmcs_size(e), .encoding = e};
    return true;
}

static u64 field_value(const struct shell *s, const struct field *f)
{
    u8 bytes[8] = {0};
    (void)memory_read_physical(s, f->at, bytes, f->size);
    return load_le(bytes, f->size);
}

static void field_words(const struct field *f, u64 value, char *text, size_t room)
{
    text[0] = '\0';
    if (f->encoding != ~0u) {
        vmcs_bits(f->encoding, value, text, room);
    } else if (strcmp(f->name, "exitcode") == 0) {
        const char *name = trace_exit_name(TRACE_EXIT_SVM | (u32)value);
        (void)snprintf(text, room, "%s", name != NULL ? name : "?");
    } else if (strcmp(f->name, "eventinj") == 0 || strcmp(f->name, "exitintinfo") == 0) {
        put_interruption(value, text, room);
    }
}

static void put_field(struct shell *s, const struct field *f)
{
    char words[400];
    u64 value = field_value(s, f);
    field_words(f, value, words, sizeof words);
    say(s, "%s%-26s%s %#*" PRIx64 "%s%s\n", shade(s, SHADE_HEAD), f->name, shade(s, SHADE_NONE),
        (int)(2 * f->size + 2), value, words[0] != '\0' ? "  " : "", words);
}

static bool find_field(bool vmcb, u64 base, const char *name, struct field *f, struct vmcb_row *room)
{
    const struct vmcs_row *row = vmcb ? NULL : vmcs_row_find(name, strlen(name));
    if (row != NULL) {
        return field_number(false, base, (unsigned)(row - vmcs_rows), f, room);
    }
    for (unsigned i = 0; vmcb && field_number(true, base, i, f, room); i++) {
        if (strcasecmp(f->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- diff ---- */

struct exit_at {
    u64 position, number;
};

/* The structure's page as it was when the last exit had been made, and the one before. */
static bool last_exits(struct shell *s, u64 base, struct exit_at *last, struct exit_at *before)
{
    u64 number = ~(u64)0;
    struct note n;
    unsigned found = 0;
    while (found < 2 && history_last(s->history, number, TRACE_EVENT_vm_exit, ~0u, &n, &number)) {
        if (n.args[4] == base) {
            *(found == 0 ? last : before) = (struct exit_at){.position = n.position, .number = number};
            found++;
        }
    }
    return found == 2;
}

static bool copy_at(struct shell *s, const struct exit_at *e, u64 base, u8 *page)
{
    struct run_result r = travel_to(s->m, e->position);
    if (r.reason == STOP_POSITION && s->m->seen <= e->number) {
        r = travel_to(s->m, e->position + 1);
    }
    if (r.reason != STOP_POSITION) {
        s->m->error = (struct error){0};
        return false;
    }
    return memory_read_physical(s, base, page, PAGE_SIZE) == PAGE_SIZE;
}

static void show_diff(struct shell *s, bool vmcb, u64 base)
{
    struct exit_at last = {0}, before = {0};
    u64 here = shell_position(s);
    u8 *pages = malloc(2 * PAGE_SIZE);
    if (pages == NULL || !last_exits(s, base, &last, &before)) {
        refuse(s, "there were not two exits by this %s", vmcb ? "VMCB" : "VMCS");
        free(pages);
        return;
    }
    bool ok = copy_at(s, &before, base, pages) && copy_at(s, &last, base, pages + PAGE_SIZE);
    (void)travel_to(s->m, here);
    struct field f;
    struct vmcb_row room;
    bool any = false;
    say(s, "%s %" PRIx64 ": the exit at %" PRIu64 " against the one at %" PRIu64 "\n", vmcb ? "VMCB" : "VMCS", base,
        last.position, before.position);
    for (unsigned i = 0; ok && field_number(vmcb, base, i, &f, &room); i++) {
        u64 a = load_le(pages + (f.at - base), f.size), b = load_le(pages + PAGE_SIZE + (f.at - base), f.size);
        char words[400];
        if (a != b) {
            any = true;
            field_words(&f, b, words, sizeof words);
            say(s, "%-26s %#" PRIx64 " -> %s%#" PRIx64 "%s%s%s\n", f.name, a, shade(s, SHADE_CHANGED), b,
                shade(s, SHADE_NONE), words[0] != '\0' ? "  " : "", words);
        }
    }
    if (!any) {
        say(s, ok ? "Nothing differs.\n" : "These moments cannot be reached.\n");
    }
    free(pages);
}

/* ---- history ---- */

struct writes {
    struct travel_write list[64];
    unsigned count, max;
};

static bool note_write(void *self, const struct travel_write *w)
{
    struct writes *all = self;
    all->list[all->count++] = *w;
    return all->count < all->max;
}

static void show_history(struct shell *s, const struct field *f, u64 max)
{
    struct writes w = {.max = max < 64 && max > 0 ? (unsigned)max : 64};
    u64 value = field_value(s, f);
    struct run_result r = travel_writes(s->m, SPA(f->at), f->size, note_write, &w);
    if (r.reason != STOP_POSITION) {
        refuse(s, "%s", s->m->error.status != EXIT_STATUS_OK ? s->m->error.text : stop_reason_name(r.reason));
        s->m->error = (struct error){0};
        return;
    }
    say(s, "%s is %#" PRIx64 "; written, the last time first:\n", f->name, value);
    for (unsigned i = 0; i < w.count; i++) {
        char name[160], words[400];
        u64 was = load_le(w.list[i].before, f->size);
        describe_address(s, w.list[i].rip, name, sizeof name);
        field_words(f, value, words, sizeof words);
        if (w.list[i].device) {
            say(s, "%12" PRIu64 " by a device: %#" PRIx64 " -> %#" PRIx64 "\n", w.list[i].position, was, value);
        } else {
            say(s, "%12" PRIu64 " cpu%u at %#" PRIx64 "%s%s%s: %#" PRIx64 " -> %#" PRIx64 "%s%s\n", w.list[i].position,
                w.list[i].cpu, w.list[i].rip, name[0] != '\0' ? " <" : "", name, name[0] != '\0' ? ">" : "", was, value,
                words[0] != '\0' ? "  " : "", words);
        }
        value = was;
    }
    if (w.count == 0) {
        say(s, "(never since history begins)\n");
    } else {
        say(s, "`goto POSITION` goes there.\n");
    }
}

static void control_structure(struct shell *s, const char *args, bool vmcb)
{
    const char *kind = vmcb ? "VMCB" : "VMCS";
    u64 base = vmcb ? shell_vmcb(s) : shell_vmcs(s);
    char word[64];
    struct field f;
    struct vmcb_row room;
    const char *rest = args;
    bool given = next_word(&rest, word, sizeof word);
    bool verb = given && (strcmp(word, "diff") == 0 || strcmp(word, "history") == 0);
    if (given && !verb && !find_field(vmcb, 0, word, &f, &room)) {
        if (!expr_all(s, word, &base)) { /* another one, by its address */
            return;
        }
        args = rest;
        given = next_word(&rest, word, sizeof word);
        verb = given && (strcmp(word, "diff") == 0 || strcmp(word, "history") == 0);
    }
    if (base == ~(u64)0) {
        refuse(s, "no %s is in use; give its address", kind);
        return;
    }
    if (verb && word[0] == 'd') {
        show_diff(s, vmcb, base);
        return;
    }
    if (verb) {
        u64 max = 16;
        if (!next_word(&rest, word, sizeof word) || !find_field(vmcb, base, word, &f, &room)) {
            refuse(s, "%s: no such field of the %s", word, kind);
        } else if (*rest == '\0' || expr_all(s, rest, &max)) {
            show_history(s, &f, max);
        }
        return;
    }
    if (given) {
        while (next_word(&args, word, sizeof word)) {
            if (!find_field(vmcb, base, word, &f, &room)) {
                refuse(s, "%s: no such field of the %s", word, kind);
                return;
            }
            put_field(s, &f);
        }
        return;
    }
    say(s, "%s at %" PRIx64 "%s\n", kind, base,
        !vmcb && base == shell_cpu(s)->arch.vmx.current ? ", current" : "");
    for (unsigned i = 0; field_number(vmcb, base, i, &f, &room) && s->page_lines != ~0u; i++) {
        if (vmcb || vmcs_field_exists(shell_cpu(s), f.encoding)) {
            put_field(s, &f);
        }
    }
}

void cmd_vmcs(struct shell *s, const char *args)
{
    control_structure(s, args, false);
}

void cmd_vmcb(struct shell *s, const char *args)
{
    control_structure(s, args, true);
}
