/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Variables, types and values by libdw. Left out: C++'s, values in several pieces, those that only a caller's registers
 * at its call would tell (they count as optimized away), thread-local ones. */
#include "debugger/shell/cvalue.h"

#include "base/bytes.h"
#include "debugger/shell/frames.h"
#include "debugger/shell/symbols_priv.h"

#include <ctype.h>
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#define SHOW_ELEMENTS 32u
#define SHOW_DEPTH 6u

/* ---- Where we are ---- */

struct place {
    const struct file *file;
    Dwarf_Die unit;
    struct symbols_frame frame;
    u64 pc; /* for lookups: inside the call, in an outer frame; as linked */
};

static bool find_place(struct shell *s, struct place *w)
{
    struct frame frames[64];
    unsigned n = frames_find(s, frames, s->frame + 1 < 64 ? s->frame + 1 : 64);
    if (n == 0) {
        return false;
    }
    const struct frame *f = &frames[n - 1];
    u64 pc = f->pc - (n > 1 ? 1 : 0);
    for (unsigned i = 0; i < s->symbols->count; i++) {
        const struct file *file = &s->symbols->files[i];
        if (file->dwarf != NULL && symbols_fits(file, shell_level(s)) &&
            dwarf_addrdie(file->dwarf, pc - file->offset, &w->unit) != NULL) {
            w->file = file;
            w->pc = pc - file->offset;
            w->frame = (struct symbols_frame){.pc = pc, .sp = f->sp};
            memcpy(w->frame.regs, f->regs, sizeof f->regs);
            return true;
        }
    }
    return false;
}

/* ---- Locations ---- [DWARF5 "DWARF Expressions"] */

#define STACK 32

struct machine_of_locations {
    const struct shell *s;
    const struct place *w; /* NULL: of a global variable */
    const struct file *file;
    Dwarf_Die *function;
    u64 stack[STACK];
    unsigned depth;
    bool is_value, failed;
};

static bool run_location(struct machine_of_locations *x, const Dwarf_Op *ops, size_t count);

static void push(struct machine_of_locations *x, u64 v)
{
    x->failed = x->failed || x->depth == STACK;
    if (!x->failed) {
        x->stack[x->depth++] = v;
    }
}

static u64 pop(struct machine_of_locations *x)
{
    x->failed = x->failed || x->depth == 0;
    return x->failed ? 0 : x->stack[--x->depth];
}

static u64 frame_base(struct machine_of_locations *x)
{
    Dwarf_Attribute attr;
    Dwarf_Op *ops;
    size_t count;
    struct machine_of_locations inner = *x;
    inner.depth = 0;
    if (x->w == NULL || x->function == NULL || dwarf_attr_integrate(x->function, DW_AT_frame_base, &attr) == NULL ||
        dwarf_getlocation_addr(&attr, x->w->pc, &ops, &count, 1) != 1 || !run_location(&inner, ops, count)) {
        x->failed = true;
        return 0;
    }
    return pop(&inner);
}

static u64 binary(unsigned op, u64 a, u64 b)
{
    switch (op) {
    case DW_OP_plus: return a + b;
    case DW_OP_minus: return a - b;
    case DW_OP_mul: return a * b;
    case DW_OP_and: return a & b;
    case DW_OP_or: return a | b;
    case DW_OP_xor: return a ^ b;
    case DW_OP_shl: return b < 64 ? a << b : 0;
    case DW_OP_shr: return b < 64 ? a >> b : 0;
    case DW_OP_shra: return (u64)((i64)a >> (b < 63 ? b : 63));
    case DW_OP_eq: return a == b;
    case DW_OP_ne: return a != b;
    case DW_OP_lt: return (i64)a < (i64)b;
    case DW_OP_gt: return (i64)a > (i64)b;
    case DW_OP_le: return (i64)a <= (i64)b;
    default: return (i64)a >= (i64)b;
    }
}

static void run_op(struct machine_of_locations *x, const Dwarf_Op *op)
{
    unsigned a = op->atom;
    u64 v;
    if (a >= DW_OP_lit0 && a <= DW_OP_lit31) {
        push(x, a - DW_OP_lit0);
    } else if (a >= DW_OP_breg0 && a <= DW_OP_breg16 && x->w != NULL) {
        push(x, x->w->frame.regs[a - DW_OP_breg0] + op->number);
    } else if (a >= DW_OP_reg0 && a <= DW_OP_reg16 && x->w != NULL) {
        push(x, x->w->frame.regs[a - DW_OP_reg0]);
        x->is_value = true;
    } else if (a >= DW_OP_const1u && a <= DW_OP_consts) {
        push(x, op->number);
    } else if ((a >= DW_OP_minus && a <= DW_OP_plus) || a == DW_OP_and || a == DW_OP_or || a == DW_OP_xor ||
               (a >= DW_OP_shl && a <= DW_OP_shra) || (a >= DW_OP_eq && a <= DW_OP_ne)) {
        v = pop(x);
        push(x, binary(a, pop(x), v));
    } else {
        switch (a) {
        case DW_OP_addr: push(x, op->number + x->file->offset); break;
        case DW_OP_fbreg: push(x, frame_base(x) + op->number); break;
        case DW_OP_plus_uconst: push(x, pop(x) + op->number); break;
        case DW_OP_dup:
            v = pop(x);
            push(x, v);
            push(x, v);
            break;
        case DW_OP_neg: push(x, 0 - pop(x)); break;
        case DW_OP_not: push(x, ~pop(x)); break;
        case DW_OP_deref:
            v = 0;
            x->failed = x->failed || memory_read(x->s, pop(x), &v, 8) != 8;
            push(x, v);
            break;
        case DW_OP_call_frame_cfa:
            x->failed = x->failed || x->w == NULL || !symbols_cfa(x->file, &x->w->frame, &v);
            push(x, x->failed ? 0 : v);
            break;
        case DW_OP_stack_value: x->is_value = true; break;
        case DW_OP_nop: break;
        default: x->failed = true;
        }
    }
}

static bool run_location(struct machine_of_locations *x, const Dwarf_Op *ops, size_t count)
{
    for (size_t i = 0; i < count && !x->failed; i++) {
        run_op(x, &ops[i]);
    }
    return !x->failed && x->depth > 0;
}

/* ---- Types ---- */

/* Without names and qualifiers; false: void. */
static bool peel(Dwarf_Die *type)
{
    Dwarf_Attribute attr;
    for (;;) {
        int tag = dwarf_tag(type);
        if (tag != DW_TAG_typedef && tag != DW_TAG_const_type && tag != DW_TAG_volatile_type &&
            tag != DW_TAG_restrict_type && tag != DW_TAG_atomic_type) {
            return true;
        }
        if (dwarf_attr_integrate(type, DW_AT_type, &attr) == NULL || dwarf_formref_die(&attr, type) == NULL) {
            return false;
        }
    }
}

static bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
    Dwarf_Attribute attr;
    return dwarf_attr_integrate(die, DW_AT_type, &attr) != NULL && dwarf_formref_die(&attr, type) != NULL;
}

static void set_type(struct c_value *v, Dwarf_Die *of)
{
    v->is_void = !type_of(of, &v->type) || !peel(&v->type);
}

/* A structure that this unit only names: look where it is. */
static u64 attribute(Dwarf_Die *die, unsigned name, u64 otherwise)
{
    Dwarf_Attribute attr;
    Dwarf_Word word;
    return dwarf_attr_integrate(die, name, &attr) != NULL && dwarf_formudata(&attr, &word) == 0 ? word : otherwise;
}

u64 c_size(const struct c_value *v)
{
    Dwarf_Die type = v->type;
    Dwarf_Word size;
    if (v->pointer) {
        return 8;
    }
    return v->is_void || dwarf_aggregate_size(&type, &size) != 0 ? 0 : size;
}

static bool is_aggregate(int tag)
{
    return tag == DW_TAG_structure_type || tag == DW_TAG_union_type || tag == DW_TAG_array_type;
}

/* ---- Names ---- */

/* A declaration at the top of a unit. */
static bool find_in_unit(Dwarf_Die *unit, const char *name, size_t len, const int *tags, Dwarf_Die *found)
{
    Dwarf_Die die;
    if (dwarf_child(unit, &die) != 0) {
        return false;
    }
    do {
        int tag = dwarf_tag(&die);
        bool wanted = false;
        for (unsigned i = 0; tags[i] != 0; i++) {
            wanted = wanted || tags[i] == tag;
        }
        const char *own = wanted ? dwarf_diename(&die) : NULL;
        if (own == NULL || strncmp(own, name, len) != 0 || own[len] != '\0' ||
            (dwarf_hasattr(&die, DW_AT_declaration) && !dwarf_hasattr(&die, DW_AT_location))) {
            continue;
        }
        if (tag != DW_TAG_variable || dwarf_hasattr(&die, DW_AT_location) || dwarf_hasattr(&die, DW_AT_const_value)) {
            *found = die;
            return true;
        }
    } while (dwarf_siblingof(&die, &die) == 0);
    return false;
}

/* What was found before; a kernel has thousands of units. */
static bool find_anywhere(const struct shell *s, const char *name, size_t len, const int *tags, Dwarf_Die *found,
                          const struct file **file)
{
    struct symbols *all = s->symbols;
    for (unsigned i = 0; i < all->known_count; i++) {
        const struct known_name *k = &all->known[i];
        if (strlen(k->name) == len && strncmp(k->name, name, len) == 0 && k->tag == tags[0] &&
            k->level == shell_level(s)) {
            *file = &all->files[k->file];
            return k->offset != 0 && dwarf_offdie((*file)->dwarf, k->offset, found) != NULL;
        }
    }
    struct known_name note = {.tag = tags[0], .level = shell_level(s)};
    for (unsigned i = 0; i < all->count && note.offset == 0; i++) {
        Dwarf_Off at = 0, next;
        size_t header;
        while (all->files[i].dwarf != NULL && symbols_fits(&all->files[i], shell_level(s)) &&
               dwarf_nextcu(all->files[i].dwarf, at, &next, &header, NULL, NULL, NULL) == 0) {
            Dwarf_Die unit;
            if (dwarf_offdie(all->files[i].dwarf, at + header, &unit) != NULL && find_in_unit(&unit, name, len, tags, found)) {
                note.offset = dwarf_dieoffset(found);
                note.file = i;
                *file = &all->files[i];
                break;
            }
            at = next;
        }
    }
    if (len < sizeof note.name) {
        (void)snprintf(note.name, sizeof note.name, "%.*s", (int)len, name);
        all->known[all->known_count % ARRAY_LEN(all->known)] = note;
        all->known_count += all->known_count < ARRAY_LEN(all->known) ? 1 : 0;
    }
    return note.offset != 0;
}

/* A variable's value or place. `missing`: why it has none. */
static bool locate(const struct shell *s, const struct file *file, const struct place *w, Dwarf_Die *function, Dwarf_Die *die,
                   struct c_value *v, const char **missing)
{
    Dwarf_Attribute attr;
    Dwarf_Op *ops;
    size_t count;
    Dwarf_Word constant;
    *v = (struct c_value){.place = false};
    *missing = "optimized away";
    set_type(v, die);
    if (dwarf_attr_integrate(die, DW_AT_const_value, &attr) != NULL && dwarf_formudata(&attr, &constant) == 0) {
        v->value = constant;
        return true;
    }
    if (dwarf_attr_integrate(die, DW_AT_location, &attr) == NULL ||
        dwarf_getlocation_addr(&attr, w != NULL ? w->pc : 0, &ops, &count, 1) != 1) {
        return false;
    }
    struct machine_of_locations x = {.s = s, .w = w, .file = file, .function = function};
    if (!run_location(&x, ops, count)) {
        *missing = "optimized away, or told by what the caller had in registers";
        return false;
    }
    v->place = !x.is_value;
    v->at = v->value = x.stack[x.depth - 1];
    return true;
}

static Dwarf_Die *function_of(Dwarf_Die *scopes, int count)
{
    for (int i = 0; i < count; i++) {
        if (dwarf_tag(&scopes[i]) == DW_TAG_subprogram) {
            return &scopes[i];
        }
    }
    return NULL;
}

bool c_variable(struct shell *s, const char *name, size_t len, struct c_value *v, struct error *err)
{
    static const int tags[] = {DW_TAG_variable, 0};
    char text[128];
    struct place w;
    const char *missing = NULL;
    bool found = false, ok = false;
    if (len >= sizeof text || s->symbols->count == 0) {
        return false;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)len, name);
    if (find_place(s, &w)) {
        Dwarf_Die *scopes = NULL, die;
        int count = dwarf_getscopes(&w.unit, w.pc, &scopes);
        for (int i = 0; i < count && !found; i++) {
            static const int local[] = {DW_TAG_variable, DW_TAG_formal_parameter, 0};
            found = find_in_unit(&scopes[i], text, len, local, &die) ||
                    (dwarf_tag(&scopes[i]) != DW_TAG_compile_unit && count > 0 &&
                     dwarf_getscopevar(&scopes[i], 1, text, 0, NULL, 0, 0, &die) == 0);
        }
        if (found) {
            ok = locate(s, w.file, &w, function_of(scopes, count), &die, v, &missing);
        }
        free(scopes);
    }
    u64 address;
    if (!found && symbols_value(s->symbols, text, len, shell_level(s), &address)) { /* a global one has a symbol */
        const struct file *file;
        Dwarf_Die die;
        found = find_anywhere(s, text, len, tags, &die, &file);
        ok = found && locate(s, file, NULL, NULL, &die, v, &missing);
    }
    if (found && !ok) {
        return error_set(err, EXIT_STATUS_USAGE, "%s: %s", text, missing);
    }
    return ok;
}

bool c_type(struct shell *s, const char *text, size_t *len, Dwarf_Die *type)
{
    static const struct {
        const char *word;
        int tags[2];
    } kinds[] = {{"struct ", {DW_TAG_structure_type, 0}}, {"union ", {DW_TAG_union_type, 0}}, {"enum ", {DW_TAG_enumeration_type, 0}}};
    static const int names[] = {DW_TAG_typedef, 0}, bases[] = {DW_TAG_base_type, 0};
    const int *tags = names;
    const char *p = text;
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strncmp(text, kinds[i].word, strlen(kinds[i].word)) == 0) {
            tags = kinds[i].tags;
            p += strlen(kinds[i].word);
        }
    }
    p += strspn(p, " ");
    size_t n = 0;
    while (isalnum((unsigned char)p[n]) || p[n] == '_') {
        n++;
    }
    *len = (size_t)(p - text) + n;
    struct place w;
    const struct file *file;
    if (n == 0 || s->symbols->count == 0) {
        return false;
    }
    bool found = (find_place(s, &w) && find_in_unit(&w.unit, p, n, tags, type)) || find_anywhere(s, p, n, tags, type, &file) ||
                 (tags == names && find_anywhere(s, p, n, bases, type, &file));
    return found && peel(type);
}

/* ---- Parts of values ---- */

static bool find_member(Dwarf_Die *type, const char *name, size_t len, struct c_value *v, u64 base)
{
    Dwarf_Die m;
    if (dwarf_child(type, &m) != 0) {
        return false;
    }
    do {
        if (dwarf_tag(&m) != DW_TAG_member) {
            continue;
        }
        u64 offset = base + attribute(&m, DW_AT_data_member_location, 0);
        const char *own = dwarf_diename(&m);
        if (own != NULL && strncmp(own, name, len) == 0 && own[len] == '\0') {
            u64 bit = attribute(&m, DW_AT_data_bit_offset, 0);
            v->bits = (unsigned)attribute(&m, DW_AT_bit_size, 0);
            v->at += offset + bit / 8;
            v->bit = (unsigned)(bit % 8);
            set_type(v, &m);
            return true;
        }
        Dwarf_Die inner;
        if (own == NULL && type_of(&m, &inner) && peel(&inner) && find_member(&inner, name, len, v, offset)) {
            return true;
        }
    } while (dwarf_siblingof(&m, &m) == 0);
    return false;
}

/* A structure that its unit only declares is defined in another. */
static void define(const struct shell *s, Dwarf_Die *type)
{
    const char *name = dwarf_diename(type);
    const int tags[] = {dwarf_tag(type), 0};
    const struct file *file;
    if (name != NULL && dwarf_hasattr(type, DW_AT_declaration)) {
        (void)find_anywhere(s, name, strlen(name), tags, type, &file);
    }
}

bool c_member(const struct shell *s, struct c_value *v, const char *name, size_t len, struct error *err)
{
    int tag = v->is_void ? 0 : dwarf_tag(&v->type);
    if ((tag != DW_TAG_structure_type && tag != DW_TAG_union_type) || !v->place || v->pointer) {
        return error_set(err, EXIT_STATUS_USAGE, "%.*s: this is no structure in memory", (int)len, name);
    }
    define(s, &v->type);
    Dwarf_Die type = v->type;
    return find_member(&type, name, len, v, 0) ||
           error_set(err, EXIT_STATUS_USAGE, "%s has no member %.*s", dwarf_diename(&type) != NULL ? dwarf_diename(&type) : "it",
                     (int)len, name);
}

bool c_deref(const struct shell *s, struct c_value *v, struct error *err)
{
    u64 at;
    int tag = v->is_void ? 0 : dwarf_tag(&v->type);
    if (v->pointer) {
        *v = (struct c_value){.place = true, .at = v->value, .type = v->type};
        return true;
    }
    if (tag == DW_TAG_array_type) {
        return c_index(s, v, 0, err);
    }
    if (tag != DW_TAG_pointer_type) {
        return error_set(err, EXIT_STATUS_USAGE, "this is no pointer");
    }
    if (!c_number(s, v, &at, err)) {
        return false;
    }
    Dwarf_Die pointer = v->type;
    *v = (struct c_value){.place = true, .at = at};
    set_type(v, &pointer);
    return !v->is_void || error_set(err, EXIT_STATUS_USAGE, "what a void pointer points to is not known; cast it");
}

bool c_index(const struct shell *s, struct c_value *v, u64 index, struct error *err)
{
    int tag = v->is_void ? 0 : dwarf_tag(&v->type);
    if (tag == DW_TAG_array_type && v->place && !v->pointer) {
        Dwarf_Die array = v->type;
        set_type(v, &array);
    } else if (!c_deref(s, v, err)) {
        return false;
    }
    v->at += index * c_size(v);
    return true;
}

bool c_number(const struct shell *s, const struct c_value *v, u64 *value, struct error *err)
{
    Dwarf_Die type = v->type;
    int tag = v->is_void ? 0 : dwarf_tag(&type);
    u64 size = c_size(v);
    *value = v->place ? v->at : v->value;
    if (v->pointer) {
        return true;
    }
    if (is_aggregate(tag) || tag == DW_TAG_subroutine_type) {
        return true;
    }
    size = size == 0 || size > 8 ? 8 : size;
    u8 bytes[9] = {0};
    if (v->place) {
        u64 wanted = v->bits != 0 ? (v->bit + v->bits + 7) / 8 : size;
        if (memory_read(s, v->at, bytes, wanted) != wanted) {
            return error_set(err, EXIT_STATUS_USAGE, "%#" PRIx64 " is not mapped", v->at);
        }
        *value = load_le64(bytes);
    }
    unsigned bits = v->bits != 0 ? v->bits : (unsigned)(8 * size);
    u64 encoding = attribute(&type, DW_AT_encoding, 0);
    bool sign = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
    *value >>= v->bits != 0 ? v->bit : 0;
    if (bits < 64) {
        *value &= ((u64)1 << bits) - 1;
        *value |= sign && (*value >> (bits - 1) & 1) != 0 ? ~(u64)0 << bits : 0;
    }
    return true;
}

/* ---- Showing ---- */

static void show(struct shell *s, const struct c_value *v, FILE *out, unsigned depth);

static u64 elements(Dwarf_Die *array)
{
    Dwarf_Die range;
    if (dwarf_child(array, &range) != 0) {
        return 0;
    }
    u64 count = attribute(&range, DW_AT_count, ~(u64)0), last = attribute(&range, DW_AT_upper_bound, ~(u64)0);
    return count != ~(u64)0 ? count : last == ~(u64)0 ? 0 : last + 1;
}

static void show_array(struct shell *s, const struct c_value *v, FILE *out, unsigned depth)
{
    Dwarf_Die array = v->type;
    struct error err = {0};
    u64 count = elements(&array);
    struct c_value first = *v;
    if (c_index(s, &first, 0, &err) && c_size(&first) == 1 && attribute(&first.type, DW_AT_encoding, 0) == DW_ATE_signed_char) {
        char text[128];
        size_t n = memory_read(s, v->at, text, count < sizeof text ? count : sizeof text);
        (void)fputc('"', out);
        for (size_t i = 0; i < n && text[i] != '\0'; i++) {
            (void)fprintf(out, isprint((unsigned char)text[i]) ? "%c" : "\\x%02x", (unsigned char)text[i]);
        }
        (void)fputc('"', out);
        return;
    }
    (void)fputc('{', out);
    for (u64 i = 0; i < count; i++) {
        struct c_value one = *v;
        if (i == SHOW_ELEMENTS) {
            (void)fprintf(out, " ... %" PRIu64 " in all", count);
            break;
        }
        (void)fputs(i > 0 ? ", " : "", out);
        if (!c_index(s, &one, i, &err)) {
            break;
        }
        show(s, &one, out, depth + 1);
    }
    (void)fputc('}', out);
}

static void show_structure(struct shell *s, const struct c_value *v, FILE *out, unsigned depth)
{
    Dwarf_Die type = v->type, m;
    bool any = false;
    define(s, &type);
    (void)fputc('{', out);
    if (depth >= SHOW_DEPTH || dwarf_child(&type, &m) != 0) {
        (void)fputs("...}", out);
        return;
    }
    do {
        if (dwarf_tag(&m) != DW_TAG_member) {
            continue;
        }
        const char *name = dwarf_diename(&m);
        u64 bit = attribute(&m, DW_AT_data_bit_offset, 0);
        struct c_value part = {.place = true,
                               .at = v->at + attribute(&m, DW_AT_data_member_location, 0) + bit / 8,
                               .bit = (unsigned)(bit % 8),
                               .bits = (unsigned)attribute(&m, DW_AT_bit_size, 0)};
        set_type(&part, &m);
        (void)fprintf(out, "%s%s%s", any ? ", " : "", name != NULL ? name : "", name != NULL ? " = " : "");
        show(s, &part, out, depth + 1);
        any = true;
    } while (dwarf_siblingof(&m, &m) == 0);
    (void)fputc('}', out);
}

static bool show_enumerator(Dwarf_Die *type, u64 value, FILE *out)
{
    Dwarf_Die e;
    Dwarf_Attribute attr;
    Dwarf_Sword own;
    if (dwarf_child(type, &e) != 0) {
        return false;
    }
    do {
        if (dwarf_tag(&e) == DW_TAG_enumerator && dwarf_attr(&e, DW_AT_const_value, &attr) != NULL &&
            dwarf_formsdata(&attr, &own) == 0 && (u64)own == value && dwarf_diename(&e) != NULL) {
            (void)fputs(dwarf_diename(&e), out);
            return true;
        }
    } while (dwarf_siblingof(&e, &e) == 0);
    return false;
}

static void show_pointer(struct shell *s, const struct c_value *v, u64 value, FILE *out)
{
    char name[160], text[80];
    Dwarf_Die pointer = v->type, to;
    describe_address(s, value, name, sizeof name);
    (void)fprintf(out, "%#" PRIx64 "%s%s%s", value, name[0] != '\0' ? " <" : "", name, name[0] != '\0' ? ">" : "");
    bool chars = !v->pointer && type_of(&pointer, &to) && peel(&to) && attribute(&to, DW_AT_encoding, 0) == DW_ATE_signed_char;
    size_t n = chars && value != 0 ? memory_read(s, value, text, sizeof text) : 0;
    if (n > 0) {
        (void)fputs(" \"", out);
        for (size_t i = 0; i < n && text[i] != '\0'; i++) {
            (void)fprintf(out, isprint((unsigned char)text[i]) ? "%c" : "\\x%02x", (unsigned char)text[i]);
        }
        (void)fputc('"', out);
    }
}

static void show(struct shell *s, const struct c_value *v, FILE *out, unsigned depth)
{
    Dwarf_Die type = v->type;
    struct error err = {0};
    u64 value;
    int tag = v->is_void ? 0 : dwarf_tag(&type);
    if (v->pointer) {
        show_pointer(s, v, v->value, out);
        return;
    }
    if (tag == DW_TAG_array_type) {
        show_array(s, v, out, depth);
        return;
    }
    if (tag == DW_TAG_structure_type || tag == DW_TAG_union_type) {
        show_structure(s, v, out, depth);
        return;
    }
    if (!c_number(s, v, &value, &err)) {
        (void)fprintf(out, "<%s>", err.text);
        return;
    }
    u64 encoding = attribute(&type, DW_AT_encoding, 0);
    if (tag == DW_TAG_pointer_type) {
        show_pointer(s, v, value, out);
    } else if (tag == DW_TAG_enumeration_type && show_enumerator(&type, value, out)) {
        return;
    } else if (encoding == DW_ATE_boolean) {
        (void)fputs(value != 0 ? "true" : "false", out);
    } else if (encoding == DW_ATE_signed || encoding == DW_ATE_signed_char) {
        (void)fprintf(out, "%" PRId64, (i64)value);
    } else if (value > 9) {
        (void)fprintf(out, "%" PRIu64 " (%#" PRIx64 ")", value, value);
    } else {
        (void)fprintf(out, "%" PRIu64, value);
    }
}

void c_show(struct shell *s, const struct c_value *v, FILE *out)
{
    show(s, v, out, 0);
}

unsigned c_locals(struct shell *s, void (*tell)(struct shell *s, const char *name, const struct c_value *v, const char *missing))
{
    struct place w;
    Dwarf_Die *scopes = NULL;
    unsigned told = 0;
    int count = find_place(s, &w) ? dwarf_getscopes(&w.unit, w.pc, &scopes) : 0;
    for (int i = 0; i < count; i++) {
        Dwarf_Die die;
        int tag = dwarf_tag(&scopes[i]);
        if (tag == DW_TAG_compile_unit || dwarf_child(&scopes[i], &die) != 0) {
            continue;
        }
        do {
            const char *name = dwarf_diename(&die), *missing;
            struct c_value v;
            if ((dwarf_tag(&die) == DW_TAG_variable || dwarf_tag(&die) == DW_TAG_formal_parameter) && name != NULL) {
                bool ok = locate(s, w.file, &w, function_of(scopes, count), &die, &v, &missing);
                tell(s, name, ok ? &v : NULL, missing);
                told++;
            }
        } while (dwarf_siblingof(&die, &die) == 0);
        if (tag == DW_TAG_subprogram) {
            break;
        }
    }
    free(scopes);
    return told;
}
