/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Expressions, as in C, of 64-bit numbers: numbers, C's variables where DWARF tells of them (a.b, p->q[3], *p,
 * ((struct page *)x)->flags), symbols, registers ($rax, %rax, rax), variables ($name), VMCS and
 * VMCB fields (GUEST_RIP, vmcs.GUEST_RIP, vmcb.rip), exit reasons, memory (*a, *(u32 *)a, u16(a); p8(a) ... p64(a)
 * at physical addresses), casts ((u32)a, (i8)a). In a condition about an event its arguments have their names. */
#include "base/bytes.h"
#include "debugger/shell/cvalue.h"
#include "debugger/shell/vmcs.h"
#include "traces/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct shell *s;
    const char *p;
    struct error *err;
    unsigned depth;
    /* Where the last value lies, for assignments: */
    bool is_place, physical;
    u64 place;
    unsigned place_size;
    /* The last value as C has it, where a variable or a pointer of a known type is behind it. */
    struct c_value c;
    bool is_c;
    bool wants_address; /* a variable alone means its place */
};

static bool ternary(struct parser *x, u64 *v);

static void skip(struct parser *x)
{
    x->p += strspn(x->p, " \t");
}

static bool fail(struct parser *x, const char *what)
{
    char near[32];
    (void)snprintf(near, sizeof near, "%.24s", x->p);
    return error_set(x->err, EXIT_STATUS_USAGE, "%s%s%s", what, near[0] != '\0' ? " at: " : "", near);
}

static bool take(struct parser *x, const char *token)
{
    skip(x);
    size_t n = strlen(token);
    if (strncmp(x->p, token, n) != 0) {
        return false;
    }
    x->p += n;
    return true;
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '@';
}

/* ---- Types ---- */

struct type {
    const char *name;
    u8 size;
    bool sign;
};

static const struct type types[] = {
    {"u8", 1, false},  {"u16", 2, false},  {"u32", 4, false},  {"u64", 8, false}, {"i8", 1, true},
    {"i16", 2, true},  {"i32", 4, true},   {"i64", 8, true},   {"char", 1, true}, {"short", 2, true},
    {"int", 4, true},  {"long", 8, true},  {"uint8_t", 1, false}, {"uint16_t", 2, false},
    {"uint32_t", 4, false}, {"uint64_t", 8, false}, {"unsigned", 4, false}, {"void", 8, false}};

static const struct type *find_type(const char *name, size_t len)
{
    for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
        if (strlen(types[i].name) == len && strncmp(types[i].name, name, len) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

static u64 narrow(u64 v, const struct type *t)
{
    if (t->size == 8) {
        return v;
    }
    unsigned bits = 8u * t->size;
    v &= ((u64)1 << bits) - 1;
    return t->sign && (v >> (bits - 1) & 1) != 0 ? v | ~(((u64)1 << bits) - 1) : v;
}

/* ---- Memory ---- */

static bool load(struct parser *x, u64 at, const struct type *t, bool physical, u64 *v)
{
    u8 bytes[8];
    size_t n = physical ? memory_read_physical(x->s, at, bytes, t->size) : memory_read(x->s, at, bytes, t->size);
    x->is_place = true;
    x->physical = physical;
    x->place = at;
    x->place_size = t->size;
    if (n != t->size) {
        return error_set(x->err, EXIT_STATUS_USAGE, "%#" PRIx64 " is not %s", at, physical ? "memory" : "mapped");
    }
    *v = narrow(load_le(bytes, t->size), t);
    return true;
}

/* ---- Names ---- */

static bool event_argument(const struct shell *s, const char *name, size_t len, u64 *v)
{
    struct trace_field f;
    unsigned i = 0;
    for (const char *schema = s->event_info != NULL ? s->event_info->schema : ""; trace_field_next(&schema, &f); i++) {
        if (i < s->event_info->args && f.name_len == len && strncmp(f.name, name, len) == 0) {
            *v = s->event_args[i];
            return true;
        }
    }
    return false;
}

static bool shell_value(const struct shell *s, const char *name, size_t len, u64 *v)
{
    for (unsigned i = 0; i < s->variable_count; i++) {
        if (strlen(s->variables[i].name) == len && strncmp(s->variables[i].name, name, len) == 0) {
            *v = s->variables[i].value;
            return true;
        }
    }
    const struct cpu *cpu = shell_cpu(s);
    const struct {
        const char *name;
        u64 value;
    } known[] = {{"cpu", s->cpu},
                 {"position", shell_position(s)},
                 {"time", clock_now(&s->m->clock).ns},
                 {"guest", cpu->arch.guest != GUEST_NONE},
                 {"level", shell_level(s)},
                 {"partition", shell_partition(s)},
                 {"vmcs", shell_vmcs(s)},
                 {"vmcb", shell_vmcb(s)}};
    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        if (strlen(known[i].name) == len && strncmp(known[i].name, name, len) == 0) {
            *v = known[i].value;
            return true;
        }
    }
    return false;
}

static bool exit_reason(const struct shell *s, const char *name, size_t len, u64 *v)
{
    u64 first = shell_is_amd(s) ? TRACE_EXIT_SVM : 0;
    for (u64 i = 0; i < 0x410; i++) {
        const char *word = trace_exit_name(first | i);
        if (word != NULL && strlen(word) == len && strncmp(word, name, len) == 0) {
            *v = first | i;
            return true;
        }
    }
    return false;
}

static bool field(struct parser *x, const char *name, size_t len, u64 *v)
{
    const char *dot = memchr(name, '.', len);
    size_t prefix = dot != NULL ? (size_t)(dot - name) : 0;
    const char *rest = dot != NULL ? dot + 1 : name;
    size_t rest_len = dot != NULL ? len - prefix - 1 : len;
    const struct vmcs_row *row = vmcs_row_find(rest, rest_len);
    if (row != NULL && (dot == NULL || (prefix == 4 && strncmp(name, "vmcs", 4) == 0))) {
        u64 region = shell_vmcs(x->s);
        if (region == VMX_NO_VMCS) {
            return error_set(x->err, EXIT_STATUS_USAGE, "%s: there is no current VMCS", row->name);
        }
        *v = vmcs_value(x->s, region, row->encoding);
        return true;
    }
    struct vmcb_row b;
    if (dot != NULL && prefix == 4 && strncmp(name, "vmcb", 4) == 0 && vmcb_row_find(rest, rest_len, &b)) {
        if (shell_vmcb(x->s) == ~(u64)0) {
            return error_set(x->err, EXIT_STATUS_USAGE, "%s: no VMCB is in use", b.name);
        }
        const struct type t = {"", (u8)b.bytes, false};
        return load(x, shell_vmcb(x->s) + b.offset, &t, true, v);
    }
    return false;
}

static bool name_value(struct parser *x, const char *name, size_t len, u64 *v)
{
    struct shell *s = x->s;
    const struct shell_register *reg;
    if (event_argument(s, name, len, v) || symbols_value(s->symbols, name, len, shell_level(s), v)) {
        return true;
    }
    if (register_find(name, len, &reg)) {
        *v = register_get(shell_cpu(s), reg);
        return true;
    }
    if (field(x, name, len, v)) {
        return true;
    }
    if (x->err->status != EXIT_STATUS_OK) {
        return false;
    }
    if (exit_reason(s, name, len, v)) {
        return true;
    }
    return error_set(x->err, EXIT_STATUS_USAGE, "%.*s: no symbol, register or field of this name", (int)len, name);
}

/* ---- Grammar ---- */

static bool number(struct parser *x, u64 *v)
{
    char *end;
    int base = x->p[0] == '0' && (x->p[1] == 'b' || x->p[1] == 'B') ? 2 : 0;
    *v = strtoull(x->p + (base == 2 ? 2 : 0), &end, base == 2 ? 2 : x->p[0] == '0' && isdigit((unsigned char)x->p[1]) ? 10 : 0);
    if (end == x->p || is_name(*end)) {
        return fail(x, "not a number");
    }
    x->p = end;
    return true;
}

/* "u8(a)" and "p8(a)". */
static bool access_call(struct parser *x, const char *name, size_t len, u64 *v, bool *is_call)
{
    char plain[16];
    *is_call = false;
    if (len < 2 || len >= sizeof plain) {
        return true;
    }
    bool physical = name[0] == 'p' && isdigit((unsigned char)name[1]);
    (void)snprintf(plain, sizeof plain, "%.*s", (int)len, name);
    plain[0] = physical ? 'u' : plain[0];
    const struct type *t = find_type(plain, len);
    if (t == NULL || !take(x, "(")) {
        return true;
    }
    *is_call = true;
    return ternary(x, v) && (take(x, ")") || fail(x, "a ) is missing")) && load(x, *v, t, physical, v);
}

/* The number behind a C value, which stays known. */
static bool settle(struct parser *x, u64 *v)
{
    u64 size = c_size(&x->c);
    x->is_c = true;
    x->is_place = x->c.place && size > 0 && size <= 8 && x->c.bits == 0;
    x->physical = false;
    x->place = x->c.at;
    x->place_size = (unsigned)size;
    if (x->wants_address && x->c.place) {
        *v = x->c.at;
        return true;
    }
    return c_number(x->s, &x->c, v, x->err);
}

/* A variable, if this is one; with dots in the name the first part may be. */
static bool variable(struct parser *x, const char *name, size_t *len)
{
    u64 symbol;
    size_t dot = 0;
    while (dot < *len && name[dot] != '.') {
        dot++;
    }
    if (dot < *len && symbols_value(x->s->symbols, name, *len, shell_level(x->s), &symbol)) {
        return false; /* a compiler's own name for a part of a function */
    }
    if (!c_variable(x->s, name, dot, &x->c, x->err)) {
        return false;
    }
    *len = dot;
    return true;
}

/* ".member", "->member", "[index]" behind a C value. */
static bool postfix(struct parser *x, u64 *v)
{
    while (x->is_c) {
        bool arrow = x->p[0] == '-' && x->p[1] == '>';
        if (*x->p == '[') {
            struct c_value base = x->c;
            u64 index;
            bool wanted = x->wants_address;
            x->p++;
            x->wants_address = false;
            bool ok = ternary(x, &index) && (take(x, "]") || fail(x, "a ] is missing"));
            x->wants_address = wanted;
            x->c = base;
            if (!ok || !c_index(x->s, &x->c, index, x->err) || !settle(x, v)) {
                return false;
            }
        } else if (arrow || (*x->p == '.' && (isalpha((unsigned char)x->p[1]) || x->p[1] == '_'))) {
            size_t len = 0;
            x->p += arrow ? 2 : 1;
            while (isalnum((unsigned char)x->p[len]) || x->p[len] == '_') {
                len++;
            }
            if ((arrow && !c_deref(x->s, &x->c, x->err)) || !c_member(x->s, &x->c, x->p, len, x->err)) {
                return false;
            }
            x->p += len;
            if (!settle(x, v)) {
                return false;
            }
        } else {
            break;
        }
    }
    return true;
}

static bool primary(struct parser *x, u64 *v)
{
    skip(x);
    x->is_place = x->is_c = false;
    if (*x->p == '(') {
        x->p++;
        return ternary(x, v) && (take(x, ")") || fail(x, "a ) is missing"));
    }
    if (isdigit((unsigned char)*x->p)) {
        return number(x, v);
    }
    bool dollar = *x->p == '$' || *x->p == '%';
    const char *name = x->p + (dollar ? 1 : 0);
    size_t len = 0;
    while (is_name(name[len])) {
        len++;
    }
    if (len == 0 && !(dollar && name[0] == '\0')) {
        return fail(x, "an expression is missing");
    }
    x->p = name + len;
    const struct shell_register *reg;
    if (dollar) {
        if (register_find(name, len, &reg)) {
            *v = register_get(shell_cpu(x->s), reg);
            return true;
        }
        return shell_value(x->s, name, len, v) ||
               error_set(x->err, EXIT_STATUS_USAGE, "$%.*s: no register or variable of this name", (int)len, name);
    }
    bool is_call;
    if (!access_call(x, name, len, v, &is_call) || is_call) {
        x->is_c = false;
        return is_call && x->err->status == EXIT_STATUS_OK;
    }
    if (x->s->event_args == NULL || !event_argument(x->s, name, len, v)) {
        if (variable(x, name, &len)) {
            x->p = name + len;
            return settle(x, v);
        }
        if (x->err->status != EXIT_STATUS_OK) {
            return false;
        }
    }
    return name_value(x, name, len, v);
}

/* "(struct page *)" and the like, of C's types. The pointer's type is made up: what it points to is kept. */
static bool c_cast(struct parser *x, Dwarf_Die *type, unsigned *stars)
{
    const char *was = x->p;
    size_t len;
    *stars = 0;
    if (*x->p != '(' || x->s->symbols == NULL) {
        return false;
    }
    x->p++;
    skip(x);
    bool found = (isalpha((unsigned char)*x->p) || *x->p == '_') && c_type(x->s, x->p, &len, type);
    if (found) {
        x->p += len;
        while (take(x, "*")) {
            (*stars)++;
        }
        found = take(x, ")") && *stars == 1;
    }
    if (!found) {
        x->p = was;
    }
    return found;
}

/* "(u32)" or "(u32 *)". */
static const struct type *cast(struct parser *x, bool *pointer)
{
    const char *was = x->p;
    if (!take(x, "(")) {
        return NULL;
    }
    skip(x);
    size_t len = 0;
    while (is_name(x->p[len])) {
        len++;
    }
    const struct type *t = find_type(x->p, len);
    x->p += len;
    *pointer = t != NULL && take(x, "*");
    if (t == NULL || !take(x, ")")) {
        x->p = was;
        return NULL;
    }
    return t;
}

static bool unary(struct parser *x, u64 *v)
{
    bool pointer, ok;
    if (++x->depth > 64) {
        return fail(x, "too deep");
    }
    skip(x);
    char c = *x->p;
    if (c == '*') {
        static const struct type wide = {"u64", 8, false};
        x->p++;
        const struct type *t = cast(x, &pointer);
        bool wanted = x->wants_address;
        x->wants_address = false;
        ok = unary(x, v);
        x->wants_address = wanted;
        struct error no_pointer = {0};
        if (ok && t == NULL && x->is_c && c_deref(x->s, &x->c, &no_pointer)) {
            ok = settle(x, v);
        } else {
            x->is_c = false;
            ok = ok && load(x, *v, t != NULL && pointer ? t : &wide, false, v);
        }
    } else if (c == '-' || c == '~' || (c == '!' && x->p[1] != '=') || c == '+') {
        x->p++;
        ok = unary(x, v);
        x->is_c = false;
        *v = c == '-' ? (u64)0 - *v : c == '~' ? ~*v : c == '!' ? (u64)(*v == 0) : *v;
        x->is_place = false;
    } else if (c == '&') { /* of a symbol: its value already */
        x->p++;
        ok = unary(x, v);
        *v = ok && x->is_c && x->c.place ? x->c.at : *v;
        x->is_c = x->is_place = false;
    } else {
        Dwarf_Die type;
        unsigned stars = 0;
        const struct type *t = cast(x, &pointer);
        if (t == NULL && c_cast(x, &type, &stars)) {
            bool wanted = x->wants_address;
            x->wants_address = false;
            ok = unary(x, v);
            x->wants_address = wanted;
            x->depth--;
            x->c = (struct c_value){.type = type, .pointer = true, .value = *v};
            x->is_c = ok;
            x->is_place = false;
            return ok;
        }
        ok = t != NULL ? unary(x, v) : primary(x, v) && postfix(x, v);
        x->is_c = x->is_c && t == NULL;
        if (t != NULL && !pointer) {
            *v = narrow(*v, t);
        }
        x->is_place = x->is_place && t == NULL;
    }
    x->depth--;
    return ok;
}

struct operator {
    const char *token;
    u8 rank; /* higher binds stronger */
};

static const struct operator operators[] = {
    {"||", 1}, {"&&", 2}, {"<<", 8}, {">>", 8}, {"==", 6}, {"!=", 6}, {"<=", 7}, {">=", 7}, {"|", 3},
    {"^", 4},  {"&", 5},  {"<", 7},  {">", 7},  {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10}};

static bool apply(struct parser *x, const char *op, u64 a, u64 b, u64 *v)
{
    switch (op[0]) {
    case '|': *v = op[1] == '|' ? (u64)(a != 0 || b != 0) : a | b; return true;
    case '&': *v = op[1] == '&' ? (u64)(a != 0 && b != 0) : a & b; return true;
    case '^': *v = a ^ b; return true;
    case '=': *v = a == b; return true;
    case '!': *v = a != b; return true;
    case '<': *v = op[1] == '<' ? (b < 64 ? a << b : 0) : (u64)(op[1] == '=' ? a <= b : a < b); return true;
    case '>': *v = op[1] == '>' ? (b < 64 ? a >> b : 0) : (u64)(op[1] == '=' ? a >= b : a > b); return true;
    case '+': *v = a + b; return true;
    case '-': *v = a - b; return true;
    case '*': *v = a * b; return true;
    case '/':
    case '%':
        if (b == 0) {
            return error_set(x->err, EXIT_STATUS_USAGE, "division by zero");
        }
        *v = op[0] == '/' ? a / b : a % b;
        return true;
    default: return false;
    }
}

static bool binary(struct parser *x, unsigned rank, u64 *v)
{
    if (!unary(x, v)) {
        return false;
    }
    for (;;) {
        const struct operator *found = NULL;
        skip(x);
        for (unsigned i = 0; i < ARRAY_LEN(operators) && found == NULL; i++) {
            if (strncmp(x->p, operators[i].token, strlen(operators[i].token)) == 0) {
                found = &operators[i];
            }
        }
        if (found == NULL || found->rank < rank) {
            return true;
        }
        if (found->token[0] == '%' && isalpha((unsigned char)x->p[1])) {
            return true; /* a register that begins another expression */
        }
        u64 right;
        x->is_c = false;
        x->p += strlen(found->token);
        if (!binary(x, found->rank + 1u, &right) || !apply(x, found->token, *v, right, v)) {
            return false;
        }
        x->is_place = x->is_c = false;
    }
}

static bool ternary(struct parser *x, u64 *v)
{
    u64 yes, no;
    if (!binary(x, 1, v)) {
        return false;
    }
    if (!take(x, "?")) {
        return true;
    }
    if (!ternary(x, &yes) || !(take(x, ":") || fail(x, "a : is missing")) || !ternary(x, &no)) {
        return false;
    }
    *v = *v != 0 ? yes : no;
    x->is_place = x->is_c = false;
    return true;
}

bool expr_eval(struct shell *s, const char **text, u64 *value, struct error *err)
{
    struct parser x = {.s = s, .p = *text, .err = err};
    *value = 0;
    bool ok = ternary(&x, value);
    skip(&x);
    *text = x.p;
    return ok;
}

bool expr_address(struct shell *s, const char **text, u64 *value, u64 *size, struct error *err)
{
    struct parser x = {.s = s, .p = *text, .err = err, .wants_address = true};
    *value = *size = 0;
    bool ok = ternary(&x, value);
    if (ok && x.is_c && x.c.place) {
        *size = c_size(&x.c);
    }
    skip(&x);
    *text = x.p;
    return ok;
}

bool expr_typed(struct shell *s, const char *text, u64 *value, struct c_value *typed, bool *is_typed)
{
    struct error err = {0};
    struct parser x = {.s = s, .p = text, .err = &err};
    bool ok = ternary(&x, value);
    skip(&x);
    *is_typed = x.is_c;
    *typed = x.c;
    if (ok && *x.p != '\0') {
        refuse(s, "what is this after the expression: %s", x.p);
        return false;
    }
    if (!ok) {
        refuse_error(s, &err);
    }
    return ok;
}

bool expr_all(struct shell *s, const char *text, u64 *value)
{
    struct error err = {0};
    if (!expr_eval(s, &text, value, &err)) {
        refuse_error(s, &err);
        return false;
    }
    if (*text != '\0') {
        refuse(s, "what is this after the expression: %s", text);
        return false;
    }
    return true;
}

void shell_set_variable(struct shell *s, const char *name, u64 value)
{
    for (unsigned i = 0; i < s->variable_count; i++) {
        if (strcmp(s->variables[i].name, name) == 0) {
            s->variables[i].value = value;
            return;
        }
    }
    unsigned at = s->variable_count < SHELL_VARIABLES ? s->variable_count++ : SHELL_VARIABLES - 1;
    (void)snprintf(s->variables[at].name, sizeof s->variables[at].name, "%s", name);
    s->variables[at].value = value;
}

static bool assign_name(struct shell *s, const char *name, size_t len, u64 value, bool dollar, struct error *err)
{
    const struct shell_register *reg;
    char plain[32];
    if (register_find(name, len, &reg)) {
        if (!s->may_write) {
            return error_set(err, EXIT_STATUS_USAGE, "what is recorded cannot be changed");
        }
        if (!register_set(shell_cpu(s), reg, value)) {
            return error_set(err, EXIT_STATUS_USAGE, "%.*s cannot be set here", (int)len, name);
        }
        history_anew(s);
        return true;
    }
    if (!dollar) {
        return error_set(err, EXIT_STATUS_USAGE, "%.*s: no register; variables begin with $", (int)len, name);
    }
    (void)snprintf(plain, sizeof plain, "%.*s", (int)len, name);
    shell_set_variable(s, plain, value);
    return true;
}

bool expr_assign(struct shell *s, const char *text, struct error *err)
{
    struct parser x = {.s = s, .p = text, .err = err};
    u64 value, old;
    const char *equals = text;
    do { /* the = that is not part of ==, <=, >= or != */
        equals = strchr(equals, '=');
        if (equals == NULL) {
            return error_set(err, EXIT_STATUS_USAGE, "PLACE = VALUE is wanted");
        }
        if (equals[1] == '=' || (equals > text && strchr("=<>!", equals[-1]) != NULL)) {
            equals += 1 + (equals[1] == '=' ? 1 : 0);
            continue;
        }
        break;
    } while (true);
    const char *right = equals + 1;
    if (!expr_eval(s, &right, &value, err)) {
        return false;
    }
    if (*right != '\0') {
        return error_set(err, EXIT_STATUS_USAGE, "what is this after the value: %s", right);
    }
    skip(&x);
    bool dollar = *x.p == '$' || *x.p == '%';
    size_t len = 0;
    while (is_name(x.p[dollar + len])) {
        len++;
    }
    const char *after = x.p + dollar + len;
    after += strspn(after, " \t");
    if (len > 0 && after == equals && !isdigit((unsigned char)x.p[dollar])) {
        return assign_name(s, x.p + dollar, len, value, dollar, err);
    }
    if (!ternary(&x, &old)) {
        return false;
    }
    if (!x.is_place) {
        return error_set(err, EXIT_STATUS_USAGE, "this is no place: memory (*a, u32(a), p8(a)), a register or $name");
    }
    if (!s->may_write) {
        return error_set(err, EXIT_STATUS_USAGE, "what is recorded cannot be changed");
    }
    u8 bytes[8];
    store_le64(bytes, value);
    return x.physical ? memory_write_physical(s, x.place, bytes, x.place_size, err)
                      : memory_write(s, x.place, bytes, x.place_size, err);
}
