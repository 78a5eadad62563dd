/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Instructions as text, by Capstone, with names for their targets. */
#include "base/bytes.h"
#include "debugger/shell/frames.h"
#include "debugger/shell/shell_priv.h"

#include <capstone/capstone.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void describe(struct shell *s, u64 linear, bool here, char *text, size_t room)
{
    u64 start, size;
    const char *file;
    int line;
    unsigned level = shell_level(s);
    const char *name = symbols_name(s->symbols, linear, level, &start, &size);
    text[0] = '\0';
    if (name == NULL && !here) { /* of another level, maybe: what wrote a VMCS, seen from the guest */
        level = SYMBOLS_ANY_LEVEL;
        name = symbols_name(s->symbols, linear, level, &start, &size);
    }
    if (name == NULL) {
        return;
    }
    int n = linear == start ? snprintf(text, room, "%s", name)
                            : snprintf(text, room, "%s+%#" PRIx64, name, linear - start);
    if (n > 0 && (size_t)n < room && symbols_line(s->symbols, linear, level, &file, &line)) {
        (void)snprintf(text + n, room - (size_t)n, " (%s:%d)", base_name(file), line);
    }
}

void describe_address(struct shell *s, u64 linear, char *text, size_t room)
{
    describe(s, linear, false, text, room);
}

void describe_code(struct shell *s, u64 linear, char *text, size_t room)
{
    describe(s, linear, true, text, room);
}

/* "0x1234" at the end of a branch's operands gets its name. */
static void name_target(struct shell *s, char *text, size_t room)
{
    char *hex = strstr(text, "0x");
    if (hex == NULL || strchr(hex, ' ') != NULL || strpbrk(hex, "(,[]") != NULL) {
        return;
    }
    char name[160];
    describe_address(s, strtoull(hex, NULL, 16), name, sizeof name);
    size_t n = strlen(text);
    if (name[0] != '\0' && n + 4 < room) {
        char *paren = strstr(name, " (");
        if (paren != NULL) {
            *paren = '\0';
        }
        (void)snprintf(text + n, room - n, " <%s>", name);
    }
}

unsigned disassemble(struct shell *s, u64 linear, unsigned code_size, char *text, size_t room, bool *is_call)
{
    u8 bytes[16];
    size_t got = memory_read(s, linear, bytes, sizeof bytes);
    csh handle;
    cs_insn *insn;
    unsigned length = 0;
    *is_call = false;
    if (got == 0) {
        (void)snprintf(text, room, "(not mapped)");
        return 0;
    }
    cs_mode mode = code_size == 8 ? CS_MODE_64 : code_size == 4 ? CS_MODE_32 : CS_MODE_16;
    if (cs_open(CS_ARCH_X86, mode, &handle) != CS_ERR_OK) {
        return 0;
    }
    (void)cs_option(handle, CS_OPT_SYNTAX, s->intel ? CS_OPT_SYNTAX_INTEL : CS_OPT_SYNTAX_ATT);
    if (cs_disasm(handle, bytes, got, linear, 1, &insn) == 1) {
        length = insn[0].size;
        (void)snprintf(text, room, "%s%s%s", insn[0].mnemonic, insn[0].op_str[0] != '\0' ? " " : "", insn[0].op_str);
        *is_call = insn[0].id == X86_INS_CALL || insn[0].id == X86_INS_LCALL;
        bool branch = *is_call || insn[0].mnemonic[0] == 'j' || strncmp(insn[0].mnemonic, "loop", 4) == 0;
        if (branch) {
            name_target(s, text, room);
        }
        cs_free(insn, 1);
    } else {
        length = 1;
        (void)snprintf(text, room, ".byte %#x", bytes[0]);
    }
    (void)cs_close(&handle);
    return length;
}

static void put_instruction(struct shell *s, u64 at, const char *text, bool here)
{
    u64 start, size;
    const char *name = symbols_name(s->symbols, at, shell_level(s), &start, &size);
    char where[96] = "";
    if (name != NULL) {
        (void)snprintf(where, sizeof where, " <%.70s+%" PRIu64 ">", name, at - start);
    }
    say(s, "%s %s%#" PRIx64 "%s%s:\t%s\n", here ? "=>" : "  ", shade(s, SHADE_ADDRESS), at, where,
        shade(s, SHADE_NONE), text);
}

/* A source line's text, from its file where that is still there. */
static void put_source(struct shell *s, const char *path, int first, int last, int here)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    if (f == NULL) {
        say(s, "%s:%d\n", path, here);
        return;
    }
    for (int n = 1; n <= last && getline(&line, &room, f) >= 0; n++) {
        line[strcspn(line, "\r\n")] = '\0';
        if (n >= first) {
            say(s, "%s%d\t%s\n", n == here ? "=> " : "   ", n, line);
        }
    }
    free(line);
    (void)fclose(f);
}

static const char *mode_name(const struct cpu *cpu)
{
    return cpu->d.code64                       ? "64-bit"
           : cpu->d.long_mode                  ? "compatibility"
           : !cpu->d.prot                      ? "real mode"
           : cpu->d.v86                        ? "virtual 8086"
           : shell_code_size(cpu) == 2 ? "16-bit protected"
                                               : "32-bit";
}

void show_line_of(struct shell *s, u64 linear)
{
    char file[1024];
    int line;
    if (symbols_source(s->symbols, linear, shell_level(s), file, sizeof file, &line)) {
        put_source(s, file, line, line, line);
    }
}

void show_place(struct shell *s)
{
    const struct cpu *cpu = shell_cpu(s);
    char text[256], name[200];
    bool is_call;
    char file[1024];
    int line;
    u64 pc = shell_pc(cpu);
    describe_code(s, pc, name, sizeof name);
    say(s, "%scpu%u%s at %" PRIu64 ", %s, CPL %u%s%s%s\n", shade(s, SHADE_DIM), s->cpu, shade(s, SHADE_NONE),
        shell_position(s), mode_name(cpu), cpu->d.cpl,
        cpu->arch.guest == GUEST_VMX   ? ", VMX guest"
        : cpu->arch.guest == GUEST_SVM ? ", SVM guest"
                                       : "",
        name[0] != '\0' ? ", in " : "", name);
    static const char *const waits[] = {"", "halted", "shut down", "waiting for SIPI", "in MWAIT"};
    if (cpu->arch.activity != ACTIVITY_RUNNING) {
        say(s, "   (%s)\n", waits[cpu->arch.activity]);
    }
    if (symbols_source(s->symbols, pc, shell_level(s), file, sizeof file, &line)) {
        put_source(s, file, line, line, line);
    }
    if (disassemble(s, pc, shell_code_size(cpu), text, sizeof text, &is_call) > 0) {
        put_instruction(s, pc, text, true);
    } else {
        say(s, "=> %#" PRIx64 ": not mapped\n", pc);
    }
}

/* ---- Commands ---- */

void cmd_disassemble(struct shell *s, const char *args)
{
    const struct cpu *cpu = shell_cpu(s);
    struct error err = {0};
    u64 at = s->next_dis, count = 10, end = ~(u64)0, start, size;
    if (args[0] == '/') {
        count = strtoull(args + 1, NULL, 0);
        args += strcspn(args, " ");
        args += strspn(args, " ");
        at = shell_pc(cpu);
    }
    if (args[0] != '\0') {
        if (!expr_eval(s, &args, &at, &err)) {
            refuse_error(s, &err);
            return;
        }
        args += strspn(args, ", ");
        if (*args != '\0' && !expr_all(s, args, &count)) {
            return;
        }
    } else if (s->next_dis == 0) {
        at = shell_pc(cpu);
        if (symbols_name(s->symbols, at, shell_level(s), &start, &size) != NULL && size != 0 && size < 0x1000) {
            at = start; /* the whole function */
            end = start + size;
            count = 1000;
        }
    }
    if (count > at && count > 1000000) { /* Bochs: u FIRST LAST */
        end = count;
        count = 1000;
    }
    for (u64 i = 0; i < count && at < end && s->page_lines != ~0u; i++) {
        char text[256];
        bool is_call;
        unsigned n = disassemble(s, at, shell_code_size(cpu), text, sizeof text, &is_call);
        put_instruction(s, at, text, at == shell_pc(cpu));
        if (n == 0) {
            return;
        }
        at += n;
    }
    s->next_dis = at;
}

void cmd_list(struct shell *s, const char *args)
{
    char file[1024];
    int line;
    u64 at = frames_pc(s);
    const char *colon = strrchr(args, ':');
    if (colon != NULL) {
        char name[256];
        (void)snprintf(name, sizeof name, "%.*s", (int)(colon - args), args);
        if (!symbols_line_address(s->symbols, name, atoi(colon + 1), shell_level(s), &at)) {
            refuse(s, "%s: no code of this line is known", args);
            return;
        }
    } else if (args[0] != '\0' && !expr_all(s, args, &at)) {
        return;
    }
    if (!symbols_source(s->symbols, at, shell_level(s), file, sizeof file, &line)) {
        refuse(s, "no source line of %#" PRIx64 " is known; `symbols load` an image with DWARF", at);
        return;
    }
    put_source(s, file, line > 5 ? line - 5 : 1, line + 5, line);
}

void cmd_syntax(struct shell *s, const char *args)
{
    if (strcmp(args, "intel") == 0 || strcmp(args, "att") == 0) {
        s->intel = args[0] == 'i';
    } else if (args[0] != '\0') {
        refuse(s, "syntax att or syntax intel");
        return;
    }
    say(s, "%s\n", s->intel ? "intel" : "att");
}
