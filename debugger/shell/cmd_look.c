/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Registers, memory, expressions, frames, symbols. */
#include "base/bytes.h"
#include "cpu/flags.h"
#include "debugger/shell/cvalue.h"
#include "debugger/shell/frames.h"
#include "debugger/shell/shell_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- regs ---- */

static void put_flags(struct shell *s, u64 flags)
{
    static const struct {
        u64 bit;
        const char *name;
    } names[] = {{RFLAGS_ID, "ID"}, {RFLAGS_AC, "AC"}, {RFLAGS_VM, "VM"}, {RFLAGS_RF, "RF"}, {RFLAGS_NT, "NT"},
                 {RFLAGS_OF, "OF"}, {RFLAGS_DF, "DF"}, {RFLAGS_IF, "IF"}, {RFLAGS_TF, "TF"}, {RFLAGS_SF, "SF"},
                 {RFLAGS_ZF, "ZF"}, {RFLAGS_AF, "AF"}, {RFLAGS_PF, "PF"}, {RFLAGS_CF, "CF"}};
    say(s, "RFLAGS %08" PRIx64 " [", flags);
    for (unsigned i = 0, n = 0; i < ARRAY_LEN(names); i++) {
        if ((flags & names[i].bit) != 0) {
            say(s, "%s%s", n++ > 0 ? " " : "", names[i].name);
        }
    }
    say(s, "]\n");
}

static void put_segment(struct shell *s, const char *name, const struct segment *g)
{
    say(s, "%-4s %04x base %016" PRIx64 " limit %08x attr %05x%s\n", name, g->sel, g->base, g->limit, g->attr,
        (g->attr & SEG_UNUSABLE) != 0 ? " unusable" : "");
}

static void put_system(struct shell *s, const struct cpu *cpu)
{
    static const char *const names[] = {"ES", "CS", "SS", "DS", "FS", "GS"};
    const struct cpu_arch *a = &cpu->arch;
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        put_segment(s, names[i], &a->seg[i]);
    }
    put_segment(s, "LDTR", &a->ldtr);
    put_segment(s, "TR", &a->tr);
    say(s, "GDTR base %016" PRIx64 " limit %04x\nIDTR base %016" PRIx64 " limit %04x\n", a->gdtr.base, a->gdtr.limit,
        a->idtr.base, a->idtr.limit);
    say(s, "CR0 %08" PRIx64 " CR2 %016" PRIx64 " CR3 %016" PRIx64 " CR4 %08" PRIx64 "\n", a->cr0, a->cr2, a->cr3,
        a->cr4);
    say(s, "DR0 %016" PRIx64 " DR1 %016" PRIx64 " DR2 %016" PRIx64 " DR3 %016" PRIx64 "\n", a->dr[0], a->dr[1],
        a->dr[2], a->dr[3]);
    say(s, "DR6 %016" PRIx64 " DR7 %016" PRIx64 " EFER %016" PRIx64 " XCR0 %" PRIx64 "\n", a->dr6, a->dr7, a->efer,
        a->xcr0);
}

static void put_general(struct shell *s, const struct cpu *cpu)
{
    static const char *const names[16] = {"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
                                          "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"};
    static const u8 order[16] = {RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, 8, 9, 10, 11, 12, 13, 14, 15};
    for (unsigned i = 0; i < 16; i++) {
        say(s, "%s%s%s %016" PRIx64 "%s", shade(s, SHADE_HEAD), names[order[i]], shade(s, SHADE_NONE),
            cpu->arch.gpr[order[i]], i % 4 == 3 ? "\n" : " ");
    }
    say(s, "%sRIP%s %016" PRIx64 " ", shade(s, SHADE_HEAD), shade(s, SHADE_NONE), cpu->arch.rip);
    put_flags(s, cpu_rflags(cpu));
}

static void put_vectors(struct shell *s, const struct cpu *cpu)
{
    const struct fpu_state *f = &cpu->arch.fpu;
    say(s, "FCW %04x FSW %04x tags %02x MXCSR %08x\n", f->fcw, f->fsw, f->tags, cpu->arch.mxcsr);
    for (unsigned i = 0; i < 8; i++) {
        const struct f80 *r = &f->r[((f->fsw >> 11) + i) & 7];
        say(s, "ST%u %04x:%016" PRIx64 "%s", i, r->se, r->mant, i % 4 == 3 ? "\n" : " ");
    }
    for (unsigned i = 0; i < 16; i++) {
        const u8 *v = cpu->arch.vec[i];
        say(s, "YMM%-2u %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n", i, load_le64(v + 24),
            load_le64(v + 16), load_le64(v + 8), load_le64(v));
    }
}

void cmd_regs(struct shell *s, const char *args)
{
    const struct cpu *cpu = shell_cpu(s);
    const struct shell_register *r;
    char word[32];
    bool all = strcmp(args, "all") == 0;
    if (args[0] == '\0' || all) {
        put_general(s, cpu);
    }
    if (all || strcmp(args, "system") == 0) {
        put_system(s, cpu);
    }
    if (all || strcmp(args, "vector") == 0 || strcmp(args, "fpu") == 0) {
        put_vectors(s, cpu);
    }
    if (args[0] == '\0' || all || strcmp(args, "system") == 0 || strcmp(args, "vector") == 0 ||
        strcmp(args, "fpu") == 0) {
        return;
    }
    while (next_word(&args, word, sizeof word)) {
        const char *name = word[0] == '$' || word[0] == '%' ? word + 1 : word;
        if (!register_find(name, strlen(name), &r)) {
            refuse(s, "%s: no such register; `regs all` shows all there are", word);
            return;
        }
        say(s, "%s\t%#" PRIx64 "\n", r->name, register_get(cpu, r));
    }
}

void cmd_cpu(struct shell *s, const char *args)
{
    static const char *const words[] = {"running", "halted", "shut down", "waiting for SIPI", "in MWAIT"};
    u64 n;
    if (args[0] != '\0') {
        if (!expr_all(s, args, &n)) {
            return;
        }
        if (n >= s->m->set.count) {
            refuse(s, "there are processors 0 to %u", s->m->set.count - 1);
            return;
        }
        s->cpu = (unsigned)n;
        s->frame = 0;
        s->next_dis = 0;
        show_place(s);
        return;
    }
    unsigned was = s->cpu;
    for (unsigned i = 0; i < s->m->set.count; i++) {
        const struct cpu *cpu = s->m->set.cpu[i];
        char name[128];
        s->cpu = i;
        describe_code(s, shell_pc(cpu), name, sizeof name);
        say(s, "%c cpu%u %#" PRIx64 " %s%s%s%s\n", i == was ? '*' : ' ', i, shell_pc(cpu), words[cpu->arch.activity],
            cpu->arch.guest != GUEST_NONE ? ", in a guest" : "", name[0] != '\0' ? ", " : "", name);
    }
    s->cpu = was;
}

/* ---- print, set ---- */

static void put_value(struct shell *s, u64 v, char format)
{
    char name[160];
    switch (format) {
    case 'x': say(s, "%#" PRIx64 "\n", v); return;
    case 'd': say(s, "%" PRId64 "\n", (i64)v); return;
    case 'u': say(s, "%" PRIu64 "\n", v); return;
    case 'o': say(s, "%#" PRIo64 "\n", v); return;
    case 'c': say(s, "%" PRIu64 " '%c'\n", v & 0xff, isprint((int)(v & 0xff)) ? (int)(v & 0xff) : '.'); return;
    case 't':
        for (unsigned i = 64; i-- > 0;) {
            if (v >> i != 0 || i == 0) {
                say(s, "%c", '0' + (int)(v >> i & 1));
            }
        }
        say(s, "\n");
        return;
    default:
        describe_address(s, v, name, sizeof name);
        say(s, format == 'a' ? "%#" PRIx64 "%s%s%s\n" : "%#" PRIx64 "%s%s%s", v, name[0] != '\0' ? " <" : "", name,
            name[0] != '\0' ? ">" : "");
        if (format != 'a') {
            say(s, " (%" PRId64 ")\n", (i64)v);
        }
    }
}

static void put_typed(struct shell *s, const struct c_value *v)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f != NULL) {
        c_show(s, v, f);
        (void)fclose(f);
        say(s, "%s\n", text);
        free(text);
    }
}

static void put_local(struct shell *s, const char *name, const struct c_value *v, const char *missing)
{
    if (v == NULL) {
        say(s, "%s = <%s>\n", name, missing);
        return;
    }
    say(s, "%s = ", name);
    put_typed(s, v);
}

void cmd_locals(struct shell *s, const char *args)
{
    UNUSED(args);
    if (c_locals(s, put_local) == 0) {
        refuse(s, "no variables are known here: DWARF for this code is wanted (`symbols load FILE`)");
    }
}

void cmd_print(struct shell *s, const char *args)
{
    char format = '\0';
    u64 v;
    if (args[0] == '/') {
        format = args[1];
        args += args[1] != '\0' ? 2 : 1;
        args += strspn(args, " ");
    }
    if (args[0] == '\0') {
        refuse(s, "print what?");
        return;
    }
    struct c_value typed;
    bool is_typed;
    if (!expr_typed(s, args, &v, &typed, &is_typed)) {
        return;
    }
    char name[16];
    s->value_count++;
    (void)snprintf(name, sizeof name, "%u", s->value_count);
    shell_set_variable(s, "_", v);
    if (s->value_count < 40) {
        shell_set_variable(s, name, v);
    }
    say(s, "$%u = ", s->value_count);
    if (is_typed && format == '\0') {
        put_typed(s, &typed);
    } else {
        put_value(s, v, format);
    }
}

void cmd_set(struct shell *s, const char *args)
{
    struct error err = {0};
    if (strncmp(args, "var ", 4) == 0) {
        args += 4;
    }
    if (!expr_assign(s, args, &err)) {
        refuse_error(s, &err);
    }
}

/* ---- x ---- */

struct format {
    u64 count;
    char how, size;
};

static const char *parse_format(struct shell *s, const char *args, struct format *f)
{
    const char *text = args[0] == '/' ? args + 1 : s->x_format;
    *f = (struct format){.count = 1, .how = 'x', .size = 'w'};
    if (isdigit((unsigned char)*text)) {
        f->count = strtoull(text, (char **)&text, 10);
    }
    for (; *text != '\0' && *text != ' '; text++) {
        if (strchr("bhwg", *text) != NULL) {
            f->size = *text;
        } else if (strchr("xduoctaszi", *text) != NULL) {
            f->how = *text;
            f->size = *text == 'a' ? 'g' : *text == 'c' ? 'b' : f->size;
        } else {
            refuse(s, "x/NFU: N a number, F one of x d u o c t a s i, U one of b h w g; not %c", *text);
            return NULL;
        }
    }
    if (args[0] == '/') {
        size_t n = strcspn(args + 1, " ");
        (void)snprintf(s->x_format, sizeof s->x_format, "%.*s", (int)(n < 15 ? n : 15), args + 1);
        args += 1 + n;
    }
    return args + strspn(args, " ");
}

static size_t fetch(const struct shell *s, bool physical, u64 at, void *data, size_t size)
{
    return physical ? memory_read_physical(s, at, data, size) : memory_read(s, at, data, size);
}

static bool show_string(struct shell *s, bool physical, u64 *at)
{
    u8 c;
    say(s, "%#" PRIx64 ":\t\"", *at);
    for (unsigned n = 0; n < 200; n++) {
        if (fetch(s, physical, *at, &c, 1) != 1) {
            say(s, "\" (not mapped behind this)\n");
            return false;
        }
        (*at)++;
        if (c == 0) {
            break;
        }
        if (isprint(c)) {
            say(s, "%c", c);
        } else {
            say(s, "\\x%02x", c);
        }
    }
    say(s, "\"\n");
    return true;
}

static bool show_instruction(struct shell *s, u64 *at)
{
    char text[256];
    bool is_call;
    unsigned n = disassemble(s, *at, shell_code_size(shell_cpu(s)), text, sizeof text, &is_call);
    say(s, "%#" PRIx64 ":\t%s\n", *at, text);
    *at += n;
    return n > 0;
}

static void show_unit(struct shell *s, const struct format *f, const u8 *bytes, unsigned size)
{
    u64 v = load_le(bytes, size);
    unsigned bits = 8 * size;
    i64 sign = bits == 64 ? (i64)v : (i64)(v << (64 - bits)) >> (64 - bits);
    char name[128];
    switch (f->how) {
    case 'd': say(s, "\t%" PRId64, sign); return;
    case 'u': say(s, "\t%" PRIu64, v); return;
    case 'o': say(s, "\t%#" PRIo64, v); return;
    case 'c': say(s, "\t%" PRIu64 " '%c'", v, isprint((int)(v & 0xff)) ? (int)(v & 0xff) : '.'); return;
    case 't':
        say(s, "\t");
        for (unsigned i = bits; i-- > 0;) {
            say(s, "%c", '0' + (int)(v >> i & 1));
        }
        return;
    case 'a':
        describe_address(s, v, name, sizeof name);
        say(s, "\t%#" PRIx64 "%s%s%s", v, name[0] != '\0' ? " <" : "", name, name[0] != '\0' ? ">" : "");
        return;
    default: say(s, "\t0x%0*" PRIx64, (int)(2 * size), v);
    }
}

static void examine(struct shell *s, const char *args, bool physical)
{
    struct format f;
    u64 at = s->next_x;
    args = parse_format(s, args, &f);
    if (args == NULL || (args[0] != '\0' && !expr_all(s, args, &at))) {
        return;
    }
    unsigned size = f.size == 'b' ? 1 : f.size == 'h' ? 2 : f.size == 'w' ? 4 : 8;
    unsigned row = f.how == 'a' ? 2 : f.how == 't' ? 1 : size == 1 ? 8 : 16 / size < 2 ? 2 : 16 / size;
    for (u64 i = 0; i < f.count && s->page_lines != ~0u; i++) {
        if (f.how == 's' || f.how == 'i') {
            if (!(f.how == 's' ? show_string(s, physical, &at) : show_instruction(s, &at))) {
                break;
            }
            continue;
        }
        u8 bytes[8];
        if (fetch(s, physical, at, bytes, size) != size) {
            say(s, "%s%#" PRIx64 ": %s\n", i % row != 0 ? "\n" : "", at, physical ? "not memory" : "not mapped");
            s->next_x = at;
            return;
        }
        if (i % row == 0) {
            char name[128];
            describe_address(s, at, name, sizeof name);
            char *paren = strstr(name, " (");
            if (paren != NULL) {
                *paren = '\0';
            }
            say(s, "%s%#" PRIx64 "%s%s%s%s:", shade(s, SHADE_ADDRESS), at, name[0] != '\0' ? " <" : "", name,
                name[0] != '\0' ? ">" : "", shade(s, SHADE_NONE));
        }
        show_unit(s, &f, bytes, size);
        at += size;
        if (i % row == row - 1 || i + 1 == f.count) {
            say(s, "\n");
        }
    }
    s->next_x = at;
}

void cmd_x(struct shell *s, const char *args)
{
    examine(s, args, false);
}

void cmd_xp(struct shell *s, const char *args)
{
    examine(s, args, true);
}

void cmd_translate(struct shell *s, const char *args)
{
    u64 at;
    spa_t spa;
    if (!expr_all(s, args, &at)) {
        return;
    }
    if (stops_translate(s->m, s->cpu, at, &spa)) {
        say(s, "gpa: %#" PRIx64 "\n", spa.v);
    } else {
        say(s, "Unmapped\n");
    }
}

/* ---- Frames, symbols ---- */

void cmd_backtrace(struct shell *s, const char *args)
{
    struct frame frames[64];
    u64 max = 20;
    if (args[0] != '\0' && !expr_all(s, args, &max)) {
        return;
    }
    unsigned n = frames_find(s, frames, max < 64 ? (unsigned)max : 64);
    for (unsigned i = 0; i < n; i++) {
        char name[200];
        describe_code(s, frames[i].pc - (i > 0 ? 1 : 0), name, sizeof name);
        say(s, "#%-2u %s%#018" PRIx64 "%s in %s%s\n", i, shade(s, SHADE_ADDRESS), frames[i].pc, shade(s, SHADE_NONE),
            name[0] != '\0' ? name : "??", frames[i].guessed ? " (found on the stack)" : "");
    }
}

void cmd_frame(struct shell *s, const char *args)
{
    struct frame frames[64];
    u64 wanted = s->frame;
    char name[200];
    unsigned n = frames_find(s, frames, 64);
    if (strcmp(args, "up") == 0) {
        wanted++;
    } else if (strcmp(args, "down") == 0) {
        wanted -= wanted > 0 ? 1 : 0;
    } else if (args[0] != '\0' && !expr_all(s, args, &wanted)) {
        return;
    }
    if (wanted >= n) {
        refuse(s, "there are frames 0 to %u", n - 1);
        return;
    }
    s->frame = (unsigned)wanted;
    s->next_dis = 0;
    describe_code(s, frames[wanted].pc - (wanted > 0 ? 1 : 0), name, sizeof name);
    say(s, "#%-2u %s%#018" PRIx64 "%s in %s\n", (unsigned)wanted, shade(s, SHADE_ADDRESS), frames[wanted].pc,
        shade(s, SHADE_NONE), name[0] != '\0' ? name : "??");
    show_line_of(s, frames[wanted].pc - (wanted > 0 ? 1 : 0));
}

/* Where the kernel's page-fault or system-call entry is now, against where it was linked. The first is the selected
 * processor's own; a hypervisor may not have given a guest its LSTAR yet. The kernel moves by whole large pages. */
static bool find_offset(struct shell *s, unsigned level, u64 *offset)
{
    const struct cpu *cpu = shell_cpu(s);
    u64 linked, gate[2];
    if (symbols_linked(s->symbols, "asm_exc_page_fault", level, &linked) && cpu->d.long_mode &&
        memory_read(s, cpu->arch.idtr.base + 16 * (u64)VEC_PF, gate, sizeof gate) == sizeof gate) {
        u64 at = (gate[0] & 0xffff) | (gate[0] >> 48) << 16 | (gate[1] & 0xffffffff) << 32;
        *offset = at - linked;
        if (at != 0 && (*offset & (MIB(2) - 1)) == 0) {
            return true;
        }
    }
    if (symbols_linked(s->symbols, "entry_SYSCALL_64", level, &linked) && cpu->arch.lstar != 0) {
        *offset = cpu->arch.lstar - linked;
        return (*offset & (MIB(2) - 1)) == 0;
    }
    return false;
}

static bool take_level(struct shell *s, const char *word, unsigned *level)
{
    if (strcmp(word, "any") == 0) {
        *level = SYMBOLS_ANY_LEVEL;
        return true;
    }
    const char *digits = word[0] == 'L' || word[0] == 'l' ? word + 1 : word;
    if (!isdigit((unsigned char)digits[0])) {
        refuse(s, "%s: a level is L0, L1, L2 ... or any", word);
        return false;
    }
    *level = (unsigned)atoi(digits);
    return true;
}

static void place_symbols(struct shell *s, unsigned level, const char *where)
{
    u64 offset;
    if (strcmp(where, "auto") == 0 && level != SYMBOLS_ANY_LEVEL && level != shell_level(s)) {
        refuse(s, "cpu%u is at L%u now: a kernel at L%u is found while it runs", s->cpu, shell_level(s), level);
        return;
    }
    if (strcmp(where, "auto") == 0) {
        if (!find_offset(s, level, &offset)) {
            refuse(s, "where the kernel lies is not known yet: it has to have set up its system calls; "
                      "`symbols relocate` again then, or give the offset");
            return;
        }
    } else if (!expr_all(s, where, &offset)) {
        return;
    }
    unsigned n = symbols_relocate(s->symbols, level, offset);
    say(s, "%u file%s at offset %#" PRIx64 "\n", n, n == 1 ? "" : "s", offset);
}

static void list_symbol_files(struct shell *s)
{
    struct symbol_file f;
    for (unsigned i = 0; symbols_file(s->symbols, i, &f); i++) {
        char level[16] = "any";
        if (f.level != SYMBOLS_ANY_LEVEL) {
            (void)snprintf(level, sizeof level, "L%u", f.level);
        }
        say(s, "%s: level %s, offset %#" PRIx64 ", %zu symbols%s\n", f.path, level, f.offset, f.count,
            f.dwarf ? ", lines" : "");
    }
    if (!symbols_file(s->symbols, 0, &f)) {
        say(s, "No symbols are loaded: `symbols load FILE [LEVEL] [OFFSET|auto]`.\n");
    }
}

/* Where the kernel says that its sections are; or .text at a given place. */
static void load_module(struct shell *s, const char *path, unsigned level, const char *where)
{
    struct symbols_section sections[128];
    struct error err = {0};
    size_t n = 1;
    if (where[0] == '\0' || strcmp(where, "auto") == 0) {
        n = c_module_sections(s, path, sections, ARRAY_LEN(sections), &err);
        if (n == 0) {
            refuse_error(s, &err);
            return;
        }
    } else {
        (void)snprintf(sections[0].name, sizeof sections[0].name, ".text");
        if (!expr_all(s, where, &sections[0].address)) {
            return;
        }
    }
    if (!symbols_load_module(s->symbols, path, level, sections, n, &err)) {
        refuse_error(s, &err);
        return;
    }
    list_symbol_files(s);
}

void cmd_symbols(struct shell *s, const char *args)
{
    char verb[32], path[512], word[64], where[64] = "";
    struct error err = {0};
    unsigned level = SYMBOLS_ANY_LEVEL;
    if (!next_word(&args, verb, sizeof verb)) {
        list_symbol_files(s);
        return;
    }
    if (strcmp(verb, "load") == 0 && next_word(&args, path, sizeof path)) {
        while (next_word(&args, word, sizeof word)) {
            bool is_level = strcmp(word, "any") == 0 || ((word[0] == 'L' || word[0] == 'l') && isdigit((unsigned char)word[1]));
            if (is_level && !take_level(s, word, &level)) {
                return;
            }
            if (!is_level) {
                (void)snprintf(where, sizeof where, "%s", word);
            }
        }
        if (symbols_is_module(path)) {
            load_module(s, path, level, where);
            return;
        }
        if (!symbols_load(s->symbols, path, level, 0, &err)) {
            refuse_error(s, &err);
            return;
        }
        if (where[0] != '\0') {
            place_symbols(s, level, where);
        }
        list_symbol_files(s);
    } else if (strcmp(verb, "relocate") == 0) {
        if (!next_word(&args, word, sizeof word)) {
            (void)snprintf(word, sizeof word, "auto");
        }
        if (next_word(&args, where, sizeof where)) { /* LEVEL OFFSET */
            if (take_level(s, word, &level)) {
                place_symbols(s, level, where);
            }
        } else {
            place_symbols(s, level, word);
        }
    } else if (strcmp(verb, "unload") == 0) {
        bool named = next_word(&args, path, sizeof path);
        if (!symbols_unload(s->symbols, named ? path : NULL)) {
            refuse(s, "no such file is loaded");
        }
    } else {
        refuse(s, "symbols load FILE [LEVEL] [OFFSET|auto], symbols relocate [LEVEL] OFFSET|auto, symbols unload [FILE]");
    }
}
