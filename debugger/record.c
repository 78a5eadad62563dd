/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A run's configuration as the first chunk of its recording, and back.
 *
 * One line each: a word, then its values; in a value \\ and \n stand for backslash and newline.
 *
 *     build TEXT                  the program that recorded
 *     cwd PATH                    what relative names are relative to
 *     qemu 0|1                    called under QEMU's name
 *     option NAME [VALUE]         in order; those with a default are all there
 *     input CONSOLE KIND          what stood behind a console (enum console_input)
 *     script NAME                 --script; its text follows
 *     script-text TEXT
 *     file SIZE HASH PATH         each file read, with the hash of its contents */
#include "debugger/cli.h"

#include "base/hash.h"
#include "machine/evidence.h"
#include "machine/host/block.h"
#include "trace/events.h"
#include "traces/load.h"
#include "traces/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef VITRINE_BUILD
#define VITRINE_BUILD "unknown"
#endif

/* ---- Files ---- */

struct digest {
    u64 size, hash;
    bool regular; /* else it cannot be checked */
};

static bool digest_file(const char *path, struct digest *d, struct error *err)
{
    struct stat st;
    *d = (struct digest){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int why = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return error_set(err, why == ENOENT ? EXIT_STATUS_NO_FILE : EXIT_STATUS_BAD_FILE, "%s: %s",
                         path, strerror(why));
    }
    d->regular = S_ISREG(st.st_mode);
    d->size = d->regular ? (u64)st.st_size : 0;
    if (d->size > 0) {
        void *map = mmap(NULL, d->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            (void)close(fd);
            return error_set(err, EXIT_STATUS_BAD_FILE, "%s: %s", path, strerror(errno));
        }
        for (u64 at = 0; at < d->size; at += MIB(1)) {
            u64 n = d->size - at < MIB(1) ? d->size - at : MIB(1);
            d->hash = hash_bytes(d->hash, (const u8 *)map + at, n);
        }
        (void)munmap(map, d->size);
    }
    (void)close(fd);
    return true;
}

#define MAX_FILES (MACHINE_MAX_MODULES + MACHINE_MAX_DRIVES + 3)

/* Names of the files that a configuration reads, as it has them. */
static unsigned list_files(const struct machine_config *c, const char *paths[MAX_FILES])
{
    unsigned n = 0;
    if (c->kernel != NULL) {
        paths[n++] = c->kernel;
    }
    if (c->firmware != NULL) {
        paths[n++] = c->firmware;
    }
    for (unsigned i = 0; i < c->module_count; i++) {
        paths[n++] = c->modules[i].path;
    }
    for (unsigned i = 0; i < c->drive_count; i++) {
        paths[n++] = c->drives[i].path;
    }
    return n;
}

static char *in_folder(struct run_options *o, const char *dir, const char *path)
{
    char whole[8192];
    (void)snprintf(whole, sizeof whole, "%s/%s", dir, path);
    return options_keep(o, whole);
}

bool record_files_from(struct run_options *o, const char *dir, struct error *err)
{
    const char *paths[MAX_FILES];
    unsigned n = list_files(&o->machine, paths);
    struct file_map *map = options_keep_room(o, MAX_FILES * sizeof *map);
    o->files_dir = dir;
    for (unsigned i = 0; i < n; i++) {
        map[i] = (struct file_map){.from = paths[i],
                                   .to = paths[i][0] == '/' ? paths[i] : in_folder(o, dir, paths[i])};
        if (access(map[i].to, R_OK) != 0) {
            return error_set(err, EXIT_STATUS_NO_FILE, "%s: %s", map[i].to, strerror(errno));
        }
    }
    o->machine.files = map;
    o->machine.file_count = n;
    if (o->script != NULL && o->script[0] != '/') {
        o->script = in_folder(o, dir, o->script);
    }
    return true;
}

/* ---- Writing ---- */

static void put_value(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n' || *text == '\\') {
            (void)fputs(*text == '\n' ? "\\n" : "\\\\", out);
        } else {
            (void)fputc(*text, out);
        }
    }
}

static void put_option(FILE *out, const char *name, const char *value)
{
    (void)fprintf(out, "option %s", name);
    if (value != NULL) {
        (void)fputc(' ', out);
        put_value(out, value);
    }
    (void)fputc('\n', out);
}

static void put_number(FILE *out, const char *name, u64 value, const char *unit)
{
    (void)fprintf(out, "option %s %" PRIu64 "%s\n", name, value, unit);
}

static bool put_files(FILE *out, const struct run_options *o, const struct machine *m, bool for_snapshot,
                      struct error *err)
{
    const char *paths[MAX_FILES];
    unsigned n = list_files(&o->machine, paths);
    if (o->load != NULL && !for_snapshot) {
        paths[n++] = o->load;
    }
    for (unsigned i = 0; i < n; i++) {
        struct digest d;
        if (!digest_file(machine_file(m, paths[i]), &d, err)) {
            return false;
        }
        if (d.regular) {
            (void)fprintf(out, "file %" PRIu64 " %016" PRIx64 " ", d.size, d.hash);
            put_value(out, paths[i]);
            (void)fputc('\n', out);
        }
    }
    return true;
}

/* for_snapshot: what a snapshot was itself loaded from does not matter to it. */
static bool put_config(FILE *out, const struct run_options *o, const struct machine *m, bool for_snapshot,
                       struct error *err)
{
    const struct machine_config *c = &o->machine;
    char *cwd = realpath(o->files_dir != NULL ? o->files_dir : ".", NULL);
    (void)fprintf(out, "build %s\n", VITRINE_BUILD);
    if (cwd != NULL) {
        (void)fputs("cwd ", out);
        put_value(out, cwd);
        (void)fputc('\n', out);
        free(cwd);
    }
    (void)fprintf(out, "qemu %d\n", o->as_qemu ? 1 : 0);
    for (unsigned i = 0; i < o->given_count; i++) {
        if (!for_snapshot || strcmp(o->given[i].name, "load") != 0) {
            put_option(out, o->given[i].name, o->given[i].value);
        }
    }
    /* Defaults may change from build to build. */
    put_number(out, "memory", c->ram_bytes, "B");
    put_number(out, "smp", c->cpus, "");
    put_number(out, "seed", c->seed, "");
    put_number(out, "quantum", c->quantum, "");
    put_number(out, "ips", c->ips, "");
    put_number(out, "tsc-hz", c->tsc_hz, "");
    put_number(out, "rtc-base", (u64)c->rtc_base, "");
    for (unsigned i = 0; i < c->serial_count; i++) {
        (void)fprintf(out, "input %u %u\n", i, (unsigned)c->serial[i].input);
    }
    (void)fprintf(out, "input %u %u\n", MACHINE_MAX_SERIAL, (unsigned)c->virtcon.input);
    if (c->script != NULL) {
        (void)fputs("script ", out);
        put_value(out, c->script_name);
        (void)fputs("\nscript-text ", out);
        put_value(out, c->script);
        (void)fputc('\n', out);
    }
    return put_files(out, o, m, for_snapshot, err);
}

/* The configuration as text, to be freed; NULL with a line in *err. */
static char *config_text(const struct run_options *o, const struct machine *m, bool for_snapshot,
                         struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        return NULL;
    }
    bool ok = put_config(out, o, m, for_snapshot, err);
    if (fclose(out) != 0 || !ok) {
        free(text);
        return NULL;
    }
    return text;
}

static bool create(const char *path, int *fd, struct error *err)
{
    *fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return *fd >= 0 ||
           error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot be written: %s", path, strerror(errno));
}

bool record_save(const struct run_options *o, struct machine *m, const char *path, struct error *err)
{
    int fd;
    char *text = config_text(o, m, true, err);
    bool ok = text != NULL && create(path, &fd, err) && snapshot_write(m, fd, text, err);
    free(text);
    return ok;
}

bool record_load(const struct run_options *o, struct machine *m, struct error *err)
{
    struct snapshot s;
    const char *path = machine_file(m, o->load);
    if (!snapshot_read(&s, path, err)) {
        return false;
    }
    struct error inner = {0};
    bool ok = snapshot_apply(&s, m, &inner) || error_set(err, inner.status, "%s: %s", path, inner.text);
    snapshot_free(&s);
    return ok;
}

bool record_start(struct run_options *o, struct machine *m, struct error *err)
{
    if (o->record == NULL) {
        return o->trace_classes == 0 ||
               error_set(err, EXIT_STATUS_USAGE, "--trace wants --record FILE to write to");
    }
    int fd;
    char *text = config_text(o, m, false, err);
    bool ok = text != NULL && create(o->record, &fd, err);
    ok = ok && trace_start(&m->trace, fd, o->trace_classes, text, err);
    free(text);
    if (ok) {
        evidence_start_recording(m);
    }
    return ok;
}

/* ---- Drives ---- */

struct block_writer {
    struct machine *m;
    unsigned drive;
    bool any;
};

static bool put_block(void *self, u64 offset, const u8 *bytes, u32 len)
{
    struct block_writer *w = self;
    w->any = true;
    trace_disk_block(&w->m->trace, TRACE_NO_CPU, w->drive, offset, bytes, len);
    return true;
}

/* Which drives' files differ from what they were, with what they held. */
static bool put_disk_blocks(struct machine *m, bool changed[MACHINE_MAX_DRIVES], struct error *err)
{
    for (unsigned i = 0; i < m->disk_count; i++) {
        struct block_writer w = {.m = m, .drive = i};
        if (!block_each_before(m->disks[i], put_block, &w, err)) {
            return false;
        }
        changed[i] = w.any;
    }
    trace_flush(&m->trace); /* before the files are touched */
    return true;
}

static bool put_disk_afters(struct machine *m, const bool changed[MACHINE_MAX_DRIVES], struct error *err)
{
    for (unsigned i = 0; i < m->disk_count; i++) {
        const char *path = m->config.drives[i].path;
        struct digest d;
        if (changed[i] && !digest_file(machine_file(m, path), &d, err)) {
            return false;
        }
        if (changed[i]) {
            trace_disk_after(&m->trace, TRACE_NO_CPU, i, d.size, d.hash, path, (u32)strlen(path));
        }
    }
    return true;
}

bool record_finish(struct machine *m, const struct run_result *result, bool commit, struct error *err)
{
    bool changed[MACHINE_MAX_DRIVES] = {false};
    bool recording = m->trace.fd >= 0;
    evidence_record_end(m, result);
    bool ok = !recording || put_disk_blocks(m, changed, err);
    ok = (!commit || machine_commit(m, err)) && ok;
    ok = ok && (!recording || put_disk_afters(m, changed, err));
    return trace_finish(&m->trace, err) && ok;
}

bool record_restore_disks(struct machine *m, const struct loaded_recording *l, struct error *err)
{
    for (size_t i = 0; i < l->disk_block_count; i++) {
        const struct disk_block *b = &l->disk_blocks[i];
        if (b->drive >= m->disk_count) {
            return error_set(err, EXIT_STATUS_BAD_FILE, "the recording is damaged: a block of no drive");
        }
        if (!block_put_before(m->disks[b->drive], b->offset, b->bytes, b->size, err)) {
            return false;
        }
    }
    return true;
}

/* ---- Reading ---- */

struct restorer {
    struct run_options *o;
    const struct loaded_recording *l;
    const struct file_map *map;
    unsigned map_count;
    char *argv[2 * MAX_GIVEN_OPTIONS];
    int argc;
    const char *cwd;
    unsigned inputs[MACHINE_MAX_SERIAL + 1]; /* the last: of the virtio console */
    struct file_map *files; /* room for MAX_FILES */
    unsigned file_count;
    struct error *err;
};

static void unescape(char *text)
{
    char *out = text;
    for (; *text != '\0'; text++) {
        if (*text == '\\' && text[1] != '\0') {
            text++;
            *out++ = *text == 'n' ? '\n' : *text;
        } else {
            *out++ = *text;
        }
    }
    *out = '\0';
}

static bool bad_config(struct restorer *r, const char *line)
{
    return error_set(r->err, EXIT_STATUS_BAD_FILE, "the recording's configuration is damaged: %.60s",
                     line);
}

static bool take_option(struct restorer *r, char *rest)
{
    if (r->argc + 2 > (int)ARRAY_LEN(r->argv)) {
        return bad_config(r, rest);
    }
    char *blank = strchr(rest, ' ');
    char name[64];
    (void)snprintf(name, sizeof name, "--%.*s",
                   (int)(blank != NULL ? blank - rest : (i64)strlen(rest)), rest);
    r->argv[r->argc++] = options_keep(r->o, name);
    if (blank != NULL) {
        unescape(blank + 1);
        r->argv[r->argc++] = options_keep(r->o, blank + 1);
    }
    return true;
}

/* Where the file recorded as `path` is now. */
static const char *find_file(struct restorer *r, const char *path)
{
    for (unsigned i = 0; i < r->map_count; i++) {
        if (strcmp(r->map[i].from, path) == 0) {
            return r->map[i].to;
        }
    }
    if (path[0] == '/' || r->cwd == NULL || access(path, R_OK) == 0) {
        return path;
    }
    char whole[8192];
    (void)snprintf(whole, sizeof whole, "%s/%s", r->cwd, path);
    return options_keep(r->o, whole);
}

/* Is it a drive's file as the recorded run left it? What it held before is in the recording then. A run killed
 * while it wrote to files has not said how it left them: the replay will show. */
static bool is_as_left(const struct loaded_recording *l, const char *path, const struct digest *d)
{
    for (size_t i = 0; i < l->disk_after_count; i++) {
        const struct disk_after *a = &l->disk_afters[i];
        if (strcmp(a->path, path) == 0 && a->size == d->size && a->hash == d->hash) {
            return true;
        }
    }
    return l->disk_after_count == 0 && l->disk_block_count > 0;
}

static bool take_file(struct restorer *r, char *rest)
{
    u64 size, hash;
    int used = 0;
    if (sscanf(rest, "%" SCNu64 " %" SCNx64 " %n", &size, &hash, &used) != 2 || used == 0 ||
        r->file_count == MAX_FILES) {
        return bad_config(r, rest);
    }
    unescape(rest + used);
    const char *path = options_keep(r->o, rest + used);
    const char *now = find_file(r, path);
    struct digest d;
    if (!digest_file(now, &d, r->err)) {
        return false;
    }
    if ((d.size != size || d.hash != hash) && !is_as_left(r->l, path, &d)) {
        return error_set(r->err, EXIT_STATUS_BAD_FILE,
                         "%s is not the file that was recorded, nor as the recorded run left it; "
                         "--file %s=COPY names another (to keep a disk as it is, record with snapshot=on)",
                         now, path);
    }
    r->files[r->file_count++] = (struct file_map){.from = path, .to = now};
    return true;
}

static bool take_line(struct restorer *r, char *line)
{
    char *rest = strchr(line, ' ');
    unsigned console, kind;
    if (rest == NULL) {
        return bad_config(r, line);
    }
    *rest++ = '\0';
    if (strcmp(line, "option") == 0) {
        return take_option(r, rest);
    }
    if (strcmp(line, "file") == 0) {
        return take_file(r, rest);
    }
    if (strcmp(line, "cwd") == 0) {
        unescape(rest);
        r->cwd = options_keep(r->o, rest);
    } else if (strcmp(line, "qemu") == 0) {
        r->o->as_qemu = rest[0] == '1';
    } else if (strcmp(line, "input") == 0) {
        if (sscanf(rest, "%u %u", &console, &kind) != 2 || console > MACHINE_MAX_SERIAL ||
            kind > CONSOLE_INPUT_PIPE) {
            return bad_config(r, rest);
        }
        r->inputs[console] = kind;
    } else if (strcmp(line, "script") == 0) {
        unescape(rest);
        r->o->machine.script_name = options_keep(r->o, rest);
    } else if (strcmp(line, "script-text") == 0) {
        unescape(rest);
        r->o->machine.script = options_keep(r->o, rest);
    } else if (strcmp(line, "build") != 0) {
        return bad_config(r, line);
    }
    return true;
}

bool record_restore(struct run_options *o, const struct loaded_recording *l, const struct file_map *map,
                    unsigned map_count, struct error *err)
{
    struct restorer *r = calloc(1, sizeof *r);
    char *text = options_keep(o, l->config);
    /* The list lives as long as the options. */
    struct file_map *room = options_keep_room(o, MAX_FILES * sizeof(struct file_map));
    bool ok = r != NULL;
    if (r == NULL) {
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    r->o = o;
    r->l = l;
    r->map = map;
    r->map_count = map_count;
    r->err = err;
    r->files = room;
    while (ok && *text != '\0') {
        size_t len = strcspn(text, "\n");
        bool last = text[len] == '\0';
        text[len] = '\0';
        ok = len == 0 || take_line(r, text);
        text += len + (last ? 0 : 1);
    }
    ok = ok && options_parse(o, r->argc, r->argv, err);
    for (unsigned i = 0; ok && i < o->machine.serial_count; i++) {
        o->machine.serial[i].input = (enum console_input)r->inputs[i];
    }
    o->machine.virtcon.input = (enum console_input)r->inputs[MACHINE_MAX_SERIAL];
    o->machine.files = r->files;
    o->machine.file_count = r->file_count;
    free(r);
    return ok;
}
