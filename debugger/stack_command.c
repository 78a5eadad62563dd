/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vitrine stack list|show|run: the machines that ship with it. A stack is turned into the arguments of `vitrine run`, so that what it does
 * can be read and typed. */
#include "debugger/cli.h"
#include "debugger/stack.h"

#include "base/nearest.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VITRINE_SOURCE_DIR
#define VITRINE_SOURCE_DIR "."
#endif
#define STACKS_MAX 64
#define ARGUMENTS_MAX 128

struct places {
    const char *stacks, *inputs; /* folders */
    char build[PATH_MAX];
};

struct arguments {
    char *list[ARGUMENTS_MAX];
    int count;
};

static void add(struct arguments *a, const char *text)
{
    if (a->count < ARGUMENTS_MAX) {
        a->list[a->count++] = strdup(text);
    }
}

static void add_option(struct arguments *a, const char *name, const char *value)
{
    add(a, name);
    add(a, value);
}

static void arguments_free(struct arguments *a)
{
    for (int i = 0; i < a->count; i++) {
        free(a->list[i]);
    }
}

/* The build's folder is above the program's. */
static void find_places(struct places *p)
{
    p->stacks = VITRINE_SOURCE_DIR "/guests/stacks";
    p->inputs = VITRINE_SOURCE_DIR "/.cache/inputs";
    ssize_t n = readlink("/proc/self/exe", p->build, sizeof p->build - 1);
    p->build[n > 0 ? n : 0] = 0;
    for (unsigned up = 0; up < 2; up++) {
        char *slash = strrchr(p->build, '/');
        if (slash != NULL) {
            *slash = 0;
        }
    }
}

/* a, separator, b: to be freed. */
static char *join(const char *a, char separator, const char *b)
{
    size_t n = strlen(a);
    char *text = malloc(n + strlen(b) + 2);
    if (text == NULL) {
        abort();
    }
    memcpy(text, a, n);
    text[n] = separator;
    memcpy(text + n + 1, b, strlen(b) + 1);
    return text;
}

static char *resolve(const struct places *p, const char *file)
{
    if (file[0] == '/') {
        return strdup(file);
    }
    bool input = strncmp(file, "inputs/", 7) == 0;
    return join(input ? p->inputs : p->build, '/', input ? file + 7 : file);
}

/* The list takes text over. */
static void add_taken(struct arguments *a, const char *name, char *text)
{
    add_option(a, name, text);
    free(text);
}

/* What `vitrine run` is given. */
static void to_arguments(const struct stack *s, const struct places *p, const char *folder, struct arguments *a)
{
    char number[16];
    add_option(a, "--cpu", s->machine.cpu);
    (void)snprintf(number, sizeof number, "%u", s->machine.smp);
    add_option(a, "--smp", number);
    add_option(a, "--memory", s->machine.memory);
    add_taken(a, "--kernel", resolve(p, s->kernel));
    for (unsigned i = 0; i < s->modules_count; i++) {
        const struct stack_module *m = &s->modules[i];
        char *path = resolve(p, m->file);
        add_taken(a, "--module", m->args != NULL ? join(path, ',', m->args) : strdup(path));
        free(path);
    }
    if (s->script != NULL) {
        add_taken(a, "--script", join(folder, '/', s->script));
    }
    if (s->watch) {
        add(a, "--watch");
    }
    for (unsigned i = 0; i < s->devices_count; i++) {
        add_option(a, "--device", s->devices[i]);
    }
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names of the stacks that ship, in order. */
static unsigned list_names(const struct places *p, char *names[STACKS_MAX])
{
    unsigned count = 0;
    DIR *dir = opendir(p->stacks);
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL && count < STACKS_MAX;) {
        size_t n = strlen(e->d_name);
        if (n > 5 && strcmp(e->d_name + n - 5, ".yaml") == 0) {
            names[count++] = strndup(e->d_name, n - 5);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    qsort(names, count, sizeof names[0], compare);
    return count;
}

static void free_names(char *names[STACKS_MAX], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(names[i]);
    }
}

/* A name, or a file's path. */
static struct stack *find(const struct places *p, const char *name, char *folder, struct error *err)
{
    size_t n = strlen(name);
    const char *slash = strrchr(name, '/');
    if (slash != NULL || (n > 5 && strcmp(name + n - 5, ".yaml") == 0)) {
        (void)snprintf(folder, PATH_MAX, "%.*s", slash != NULL ? (int)(slash - name) : 1, slash != NULL ? name : ".");
        return stack_load(name, err);
    }
    (void)snprintf(folder, PATH_MAX, "%s", p->stacks);
    char *bare = join(p->stacks, '/', name);
    char *path = join(bare, '.', "yaml");
    free(bare);
    struct stack *s = access(path, R_OK) == 0 ? stack_load(path, err) : NULL;
    if (s == NULL && err->status == EXIT_STATUS_OK) {
        char *names[STACKS_MAX];
        unsigned count = list_names(p, names);
        struct nearest near;
        nearest_init(&near, name);
        for (unsigned i = 0; i < count; i++) {
            nearest_offer(&near, names[i]);
        }
        const char *best = nearest_result(&near);
        (void)error_set(err, EXIT_STATUS_NO_FILE, "no stack %s%s%s%s", name,
                        best != NULL ? "; did you mean " : "; vitrine stack list shows them", best != NULL ? best : "",
                        best != NULL ? "?" : "");
        free_names(names, count);
    }
    free(path);
    return s;
}

static int command_list(const struct places *p)
{
    char *names[STACKS_MAX];
    unsigned count = list_names(p, names);
    int status = EXIT_STATUS_OK;
    for (unsigned i = 0; i < count; i++) {
        struct error err = {0};
        char folder[PATH_MAX];
        struct stack *s = find(p, names[i], folder, &err);
        if (s == NULL) {
            status = cli_fail(&err);
            continue;
        }
        (void)printf("%-14s %s\n", names[i], s->description);
        stack_free(s);
    }
    free_names(names, count);
    return status;
}

/* Quoted for a shell where it has to be. */
static void put_word(const char *word)
{
    bool plain = word[0] != 0 && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=/.,:@") ==
                                     strlen(word);
    (void)printf(" ");
    if (plain) {
        (void)printf("%s", word);
        return;
    }
    (void)printf("'");
    for (const char *s = word; *s != 0; s++) {
        (void)printf(*s == '\'' ? "'\\''" : "%c", *s);
    }
    (void)printf("'");
}

static int help(void)
{
    (void)printf("usage: vitrine stack list\n"
                 "       vitrine stack show NAME             what it is, and the command it stands for\n"
                 "       vitrine stack run NAME [options]    runs it; options are those of vitrine run\n\n"
                 "NAME is one that the list shows, or the path of a stack file.\n");
    return EXIT_STATUS_OK;
}

int cli_stack(int argc, char **argv)
{
    struct error err = {0};
    struct places p;
    const char *what = argc > 0 ? argv[0] : "";
    find_places(&p);
    if (strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0 || strcmp(what, "help") == 0) {
        return help();
    }
    if (strcmp(what, "list") == 0) {
        return command_list(&p);
    }
    bool run = strcmp(what, "run") == 0;
    if (argc < 2 || (!run && strcmp(what, "show") != 0)) {
        (void)error_set(&err, EXIT_STATUS_USAGE, "vitrine stack list, show NAME or run NAME; vitrine stack --help says more");
        return cli_fail(&err);
    }
    char folder[PATH_MAX];
    struct stack *s = find(&p, argv[1], folder, &err);
    if (s == NULL) {
        return cli_fail(&err);
    }
    struct arguments a = {0};
    to_arguments(s, &p, folder, &a);
    for (int i = 2; i < argc; i++) {
        add(&a, argv[i]);
    }
    int status = EXIT_STATUS_OK;
    if (run) {
        status = cli_run(a.count, a.list, false);
    } else {
        (void)printf("%s: %s\n\nvitrine run", s->name, s->description);
        for (int i = 0; i < a.count; i++) {
            put_word(a.list[i]);
        }
        (void)printf("\n");
    }
    arguments_free(&a);
    stack_free(s);
    return status;
}
