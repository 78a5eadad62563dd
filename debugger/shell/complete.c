/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What may stand at a place of a line. Everything comes from tables: commands, registers, fields, exit reasons, events,
 * and the symbols that are loaded. */
#include "debugger/shell/shell_priv.h"
#include "debugger/shell/vmcs.h"
#include "cpu/msr.h"
#include "traces/words.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Counts down to the word that is wanted. */
struct offer {
    const char *word;
    size_t len;
    unsigned skip;
    char *found;
};

static void try_word(struct offer *o, const char *word)
{
    if (o->found == NULL && word != NULL && strncasecmp(word, o->word, o->len) == 0 && o->skip-- == 0) {
        o->found = strdup(word);
    }
}

static void try_list(struct offer *o, const char *words, const char *between)
{
    char one[48];
    for (const char *p = words; *p != '\0' && o->found == NULL;) {
        size_t n = strcspn(p, between);
        if (n > 0 && n < sizeof one) {
            (void)snprintf(one, sizeof one, "%.*s", (int)n, p);
            bool plain = true;
            for (size_t i = 0; i < n; i++) {
                plain = plain && (islower((unsigned char)one[i]) || one[i] == '-' || isdigit((unsigned char)one[i]));
            }
            if (plain) {
                try_word(o, one);
            }
        }
        p += n + (p[n] != '\0' ? 1 : 0);
    }
}

static void try_commands(struct offer *o)
{
    for (unsigned i = 0; i < shell_command_count; i++) {
        try_word(o, shell_commands[i].name);
    }
    for (unsigned i = 0; i < shell_command_count && o->len > 0; i++) {
        try_list(o, shell_commands[i].aliases, " ");
    }
    for (unsigned i = 0; i < shell_alias_count && o->len > 0; i++) {
        try_word(o, shell_aliases[i].word);
    }
}

static void try_symbols(struct shell *s, struct offer *o)
{
    const char *name;
    for (unsigned i = 0; (name = register_name(i)) != NULL; i++) {
        try_word(o, name);
    }
    if (o->found == NULL && o->len > 0) {
        name = symbols_beginning(s->symbols, o->word, o->len, o->skip);
        o->found = name != NULL ? strdup(name) : NULL;
    }
}

static void try_fields(struct offer *o, bool vmcb)
{
    struct vmcb_row row;
    for (unsigned i = 0; !vmcb && i < vmcs_row_count; i++) {
        try_word(o, vmcs_rows[i].name);
    }
    for (unsigned i = 0; vmcb && vmcb_row(i, &row); i++) {
        try_word(o, row.name);
    }
}

static void try_reasons(const struct shell *s, struct offer *o)
{
    u64 first = shell_is_amd(s) ? TRACE_EXIT_SVM : 0;
    for (u64 i = 0; i < 0x410; i++) {
        try_word(o, trace_exit_name(first | i));
    }
}

static void try_break(struct shell *s, struct offer *o, const char *line)
{
    char kind[32];
    const char *p = line + strcspn(line, " \t");
    p += strspn(p, " \t");
    bool second = strchr(p, ' ') != NULL && next_word(&p, kind, sizeof kind);
    if (!second) {
        try_list(o, "exit entry entry-failure vmfail hypercall msr io mmio cr interrupt exception violation "
                    "nested-fault ept-change vmcs vmcb event physical", " ");
        try_symbols(s, o);
    } else if (strcmp(kind, "exit") == 0) {
        try_reasons(s, o);
    } else if (strcmp(kind, "vmcs") == 0 || strcmp(kind, "vmcb") == 0) {
        try_fields(o, kind[3] == 'b');
    } else if (strcmp(kind, "event") == 0) {
        for (unsigned i = 1; i < TRACE_EVENT_COUNT; i++) {
            try_word(o, trace_event_info[i].name);
        }
    } else if (strcmp(kind, "hypercall") == 0) {
        for (u64 abi = 0; trace_interface_name(abi) != NULL; abi++) {
            for (u64 n = 0; n < 0x200; n++) {
                char text[96];
                const char *name = trace_hypercall_name(abi, n);
                (void)snprintf(text, sizeof text, "%s:%s", trace_interface_name(abi), name != NULL ? name : "");
                try_word(o, name != NULL ? text : NULL);
            }
        }
    } else {
        try_symbols(s, o);
        try_word(o, "if");
    }
}

static void try_argument(struct shell *s, struct offer *o, const struct command *c, const char *line)
{
    switch (c->complete) {
    case COMPLETE_NONE:
    case COMPLETE_FILE: return;
    case COMPLETE_COMMAND: try_commands(o); return;
    case COMPLETE_SYMBOL: try_symbols(s, o); return;
    case COMPLETE_VMCS:
        try_list(o, "diff history", " ");
        try_fields(o, false);
        return;
    case COMPLETE_VMCB:
        try_list(o, "diff history", " ");
        try_fields(o, true);
        return;
    case COMPLETE_BREAK: try_break(s, o, line); return;
    case COMPLETE_INFO:
    case COMPLETE_WORDS: try_list(o, c->args, "|[] ."); return;
    case COMPLETE_DEVICE:
        for (unsigned i = 0; i < s->m->bus.device_count; i++) {
            try_word(o, s->m->bus.devices[i].id);
        }
        return;
    case COMPLETE_MSR:
        for (u32 i = 0; i < MSR_NUMBERS && o->found == NULL; i++) {
            try_word(o, msr_name(shell_cpu(s), msr_number(i)));
        }
        return;
    }
}

char *shell_complete(struct shell *s, const char *line, size_t at, const char *word, unsigned n)
{
    struct error err = {0};
    const char *p = line + strspn(line, " \t");
    struct offer o = {.word = word != NULL ? word : "", .len = word != NULL ? strlen(word) : 0, .skip = n};
    if ((size_t)(p - line) >= at) {
        if (word != NULL) {
            try_commands(&o);
        }
        return o.found;
    }
    const struct command *c = shell_find(p, strcspn(p, " \t/"), &err);
    if (c == NULL) {
        return NULL;
    }
    if (word == NULL) { /* asks whether a file may stand here */
        return c->complete == COMPLETE_FILE ? strdup("file") : NULL;
    }
    try_argument(s, &o, c, p);
    return o.found;
}
