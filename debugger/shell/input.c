/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The terminal: readline with history and completion, and paging; or plain lines from whatever standard input is. */
#include "debugger/shell/shell_priv.h"

#include <readline/history.h>
#include <readline/readline.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* readline has one user in a process, and nowhere to keep it. */
static struct shell *reader;

static char *offer(const char *text, int state)
{
    static unsigned n;
    n = state == 0 ? 0 : n + 1;
    return shell_complete(reader, rl_line_buffer, (size_t)(rl_point - (int)strlen(text)), text, n);
}

static char **attempt(const char *text, int start, int end)
{
    UNUSED(end);
    UNUSED(start);
    char **found = rl_completion_matches(text, offer);
    /* With nothing of ours: file names only where a command wants one (the empty word says so). */
    rl_attempted_completion_over = 1;
    if (found == NULL) {
        char *file = shell_complete(reader, rl_line_buffer, (size_t)(rl_point - (int)strlen(text)), NULL, 0);
        rl_attempted_completion_over = file == NULL;
        free(file);
    }
    return found;
}

static const char *history_file(char *room, size_t size)
{
    const char *home = getenv("HOME");
    return home != NULL && (size_t)snprintf(room, size, "%s/.vitrine_history", home) < size ? room : NULL;
}

void shell_input_open(struct shell *s)
{
    char path[512];
    s->terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    const char *term = getenv("TERM");
    s->colour = s->terminal && getenv("NO_COLOR") == NULL && term != NULL && strcmp(term, "dumb") != 0;
    if (!s->terminal) {
        return;
    }
    reader = s;
    rl_readline_name = "vitrine";
    rl_attempted_completion_function = attempt;
    rl_completer_word_break_characters = " \t\n\"'`@$><=;|&{(+*";
    rl_catch_signals = 1; /* Ctrl-C at the prompt clears the line */
    using_history();
    if (history_file(path, sizeof path) != NULL) {
        (void)read_history(path);
    }
}

void shell_input_close(struct shell *s)
{
    char path[512];
    if (s->terminal && history_file(path, sizeof path) != NULL) {
        stifle_history(1000);
        (void)write_history(path);
    }
    reader = NULL;
}

static void note_line(const char *line)
{
    HIST_ENTRY *last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
    if (line[0] != '\0' && (last == NULL || strcmp(last->line, line) != 0)) {
        add_history(line);
    }
}

/* At a prompt Ctrl-C is no request to stop the machine. */
static int forget_interrupt(void)
{
    if (reader != NULL && reader->m->interrupted != 0) {
        reader->m->interrupted = 0;
        rl_replace_line("", 0);
        rl_crlf();
        rl_on_new_line();
        rl_redisplay();
    }
    return 0;
}

char *shell_read_line(struct shell *s, const char *prompt)
{
    s->page_lines = 0;
    if (s->terminal) {
        rl_event_hook = forget_interrupt;
        char *line = readline(prompt);
        if (line != NULL) {
            note_line(line);
        } else {
            (void)fputc('\n', s->out);
        }
        s->m->interrupted = 0;
        return line;
    }
    char *line = NULL;
    size_t room = 0;
    (void)fflush(s->out);
    if (getline(&line, &room, stdin) < 0) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

bool shell_page(struct shell *s)
{
    struct winsize size;
    if (!s->terminal || s->out != stdout) {
        return true;
    }
    if (s->page_lines == ~0u) {
        return false; /* the rest is not wanted */
    }
    s->page_lines++;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row < 4 || s->page_lines < (unsigned)size.ws_row - 1) {
        return true;
    }
    struct termios was, raw;
    if (tcgetattr(STDIN_FILENO, &was) != 0) {
        return true;
    }
    raw = was;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    (void)fputs("--More-- (q: enough)", stdout);
    (void)fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    char key = 'q';
    ssize_t n = read(STDIN_FILENO, &key, 1);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &was);
    (void)fputs("\r                    \r", stdout);
    bool more = n == 1 && key != 'q' && key != 3;
    s->page_lines = more ? key == '\n' || key == '\r' ? (unsigned)size.ws_row - 2 : 1 : ~0u;
    return more;
}
