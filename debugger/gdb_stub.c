/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GDB's packets. All processors stop and go together; a step lets the others have their turns.
 *
 * Left out: multiprocess, non-stop mode, range stepping, file transfer. Under QEMU's `-no-shutdown` a machine would
 * stay at its end; here the session ends with the machine. */
#include "base/bytes.h"
#include "debugger/gdb_priv.h"
#include "machine/travel.h"
#include "mmu/phys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* ---- Threads ---- */

/* "1", "0" (any), "-1" (all). False: no such thread. */
static bool get_thread(const struct gdb *g, const char **text, unsigned *cpu)
{
    if (begins(*text, "-1")) {
        *text += 2;
        return true;
    }
    u64 id = gdb_get_number(text);
    if (id == 0) {
        return true;
    }
    if (id > g->m->set.count) {
        return false;
    }
    *cpu = (unsigned)id - 1;
    return true;
}

/* ---- Memory ---- */

/* The host bytes behind an address, as far as its page goes; NULL: not mapped, or a device. */
static u8 *host_bytes(const struct gdb *g, u64 address, spa_t *spa, u64 *room)
{
    u64 frame;
    u8 *host;
    bool writable;
    *spa = SPA(address);
    *room = PAGE_SIZE - (address & PAGE_MASK);
    if ((!g->physical && !stops_translate(g->m, g->cpu, address, spa)) ||
        !phys_page(&g->m->phys, *spa, &frame, &host, &writable)) {
        return NULL;
    }
    return host + (spa->v & PAGE_MASK);
}

static void read_memory(struct gdb *g, const char *p)
{
    u64 at = gdb_get_number(&p);
    p += *p == ',';
    u64 size = gdb_get_number(&p);
    size = size < GDB_PACKET / 2 ? size : GDB_PACKET / 2;
    while (size > 0) {
        spa_t spa;
        u64 room;
        const u8 *host = host_bytes(g, at, &spa, &room);
        if (host == NULL) {
            break;
        }
        u64 n = size < room ? size : room;
        gdb_put_hex(g, host, n);
        at += n;
        size -= n;
    }
    if (g->reply_size == 0) {
        gdb_put(g, "E14");
    }
}

/* The same as bytes, the protocol's own escaped. */
static void read_binary(struct gdb *g, const char *p)
{
    u64 at = gdb_get_number(&p);
    p += *p == ',';
    u64 size = gdb_get_number(&p);
    size = size < GDB_PACKET / 2 ? size : GDB_PACKET / 2;
    g->reply[g->reply_size++] = 'b';
    for (u64 i = 0; i < size; i++) {
        spa_t spa;
        u64 room;
        const u8 *host = host_bytes(g, at + i, &spa, &room);
        if (host == NULL) {
            break;
        }
        bool escape = *host == '#' || *host == '$' || *host == '}' || *host == '*';
        if (escape) {
            g->reply[g->reply_size++] = '}';
        }
        g->reply[g->reply_size++] = (char)(escape ? *host ^ 0x20 : *host);
    }
    if (g->reply_size == 1 && size > 0) {
        g->reply_size = 0;
        gdb_put(g, "E14");
    }
}

/* What GDB changes did not follow from what was before: one cannot go back beyond it. */
static void history_begins(struct gdb *g)
{
    struct error err = {0};
    travel_stop(g->m);
    (void)travel_start(g->m, NULL, &err);
}

static void write_memory(struct gdb *g, const char *p, bool binary)
{
    u8 bytes[GDB_PACKET];
    u64 at = gdb_get_number(&p);
    p += *p == ',';
    u64 size = gdb_get_number(&p);
    p += *p == ':';
    size_t left = g->packet_size - (size_t)(p - g->packet);
    size_t have = binary ? left : gdb_get_hex(p, bytes, sizeof bytes);
    if (binary && left <= sizeof bytes) {
        memcpy(bytes, p, left);
    }
    if (size > have || size > sizeof bytes || (!g->may_write && size > 0)) {
        gdb_put(g, "E22");
        return;
    }
    spa_t spa;
    u64 room;
    for (u64 done = 0; done < size; done += room) {
        if (host_bytes(g, at + done, &spa, &room) == NULL) {
            gdb_put(g, "E14");
            return;
        }
    }
    enum stops_mode mode = stops_set_mode(g->m, STOPS_QUIET);
    for (u64 done = 0; done < size; done += room) {
        (void)host_bytes(g, at + done, &spa, &room);
        u64 n = size - done < room ? size - done : room;
        phys_write(&g->m->phys, spa, bytes + done, n);
    }
    (void)stops_set_mode(g->m, mode);
    if (size > 0) {
        history_begins(g);
    }
    gdb_put(g, "OK");
}

/* ---- Registers ---- */

static void read_registers(struct gdb *g)
{
    u8 bytes[32];
    for (unsigned i = 0; i < gdb_register_count(g->arch); i++) {
        unsigned n = gdb_register_read(g, g->m->set.cpu[g->cpu], i, bytes);
        gdb_put_hex(g, bytes, n);
    }
}

static bool write_register(struct gdb *g, unsigned number, const u8 *bytes)
{
    struct cpu *cpu = g->m->set.cpu[g->cpu];
    u8 old[32];
    unsigned n = gdb_register_read(g, cpu, number, old);
    return memcmp(old, bytes, n) == 0 || gdb_register_write(g, cpu, number, bytes);
}

static void write_registers(struct gdb *g, const char *p)
{
    bool ok = g->may_write;
    for (unsigned i = 0; ok && i < gdb_register_count(g->arch); i++) {
        u8 bytes[32];
        unsigned n = gdb_register_size(g->arch, i);
        ok = gdb_get_hex(p, bytes, n) == n && write_register(g, i, bytes);
        p += 2 * (size_t)n;
    }
    history_begins(g);
    gdb_put(g, ok ? "OK" : "E22");
}

static void one_register(struct gdb *g, const char *p, bool write)
{
    u8 bytes[32];
    u64 number = gdb_get_number(&p);
    if (number >= gdb_register_count(g->arch)) {
        gdb_put(g, "E22");
    } else if (!write) {
        unsigned n = gdb_register_read(g, g->m->set.cpu[g->cpu], (unsigned)number, bytes);
        gdb_put_hex(g, bytes, n);
    } else {
        unsigned n = gdb_register_size(g->arch, (unsigned)number);
        bool ok = g->may_write && *p == '=' && gdb_get_hex(p + 1, bytes, n) == n &&
                  write_register(g, (unsigned)number, bytes);
        history_begins(g);
        gdb_put(g, ok ? "OK" : "E22");
    }
}

/* ---- Breakpoints ---- */

static void set_point(struct gdb *g, const char *p)
{
    static const enum stop_point_kind kinds[] = {POINT_CODE, POINT_CODE, POINT_WRITE, POINT_READ, POINT_ACCESS};
    bool remove = *p++ == 'z';
    u8 type = (u8)(*p++ - '0');
    p += *p == ',';
    u64 address = gdb_get_number(&p);
    p += *p == ',';
    u64 size = gdb_get_number(&p);
    if (type >= ARRAY_LEN(kinds)) {
        return; /* empty answer: not known */
    }
    unsigned i = 0;
    while (i < g->point_count &&
           (g->points[i].type != type || g->points[i].address != address || g->points[i].size != size)) {
        i++;
    }
    if (remove || i < g->point_count) { /* setting again changes nothing */
        if (remove && i < g->point_count) {
            (void)stops_remove(g->m, &g->points[i].point);
            g->points[i] = g->points[--g->point_count];
        }
        gdb_put(g, "OK");
        return;
    }
    struct gdb_point point = {.type = type, .address = address, .size = size};
    point.point = (struct stop_point){.kind = kinds[type], .at = address, .size = size};
    spa_t spa = SPA(address);
    struct error err = {0};
    bool ok = g->point_count < GDB_POINTS;
    if (type >= 2) {
        ok = ok && (address & PAGE_MASK) + size <= PAGE_SIZE &&
             (g->physical || stops_translate(g->m, g->cpu, address, &spa));
        point.point.at = spa.v;
    } else if (g->physical) {
        point.point.kind = POINT_CODE_PHYSICAL;
    }
    if (ok && stops_add(g->m, &point.point, &err)) {
        g->points[g->point_count++] = point;
        gdb_put(g, "OK");
    } else {
        gdb_put(g, "E22");
    }
}

/* ---- Running ---- */

static const struct gdb_point *point_of(const struct gdb *g, const struct stop_hit *hit)
{
    for (unsigned i = 0; i < g->point_count; i++) {
        const struct stop_point *p = &g->points[i].point;
        if (p->kind == hit->point.kind && p->at == hit->point.at && p->size == hit->point.size) {
            return &g->points[i];
        }
    }
    return NULL;
}

static void report(struct gdb *g, unsigned signal, unsigned cpu, const char *more)
{
    g->stopped = true;
    g->cpu = g->run_cpu = cpu;
    (void)snprintf(g->last_stop, sizeof g->last_stop, "T%02xthread:%x;%s", signal, cpu + 1, more);
    gdb_put(g, g->last_stop);
    gdb_send(g);
}

static void report_hit(struct gdb *g)
{
    static const char *const words[] = {"swbreak:;", "hwbreak:;", "watch", "rwatch", "awatch"};
    const struct stop_hit *hit = stops_hit(g->m);
    const struct gdb_point *p = point_of(g, hit);
    char more[64] = "";
    if (p != NULL && p->type < 2) {
        (void)snprintf(more, sizeof more, "%s", words[p->type]);
    } else if (p != NULL) {
        (void)snprintf(more, sizeof more, "%s:%llx;", words[p->type], (unsigned long long)p->address);
    }
    report(g, 5, hit->cpu, more);
}

/* The machine ran, or went back, and came to rest. */
static void report_result(struct gdb *g, struct run_result r)
{
    if (r.reason == STOP_BREAK) {
        report_hit(g);
    } else {
        report(g, 5, stops_next_cpu(g->m), r.reason == STOP_NONE || r.reason == STOP_ERROR ? "replaylog:begin;" : "");
    }
    g->m->error = (struct error){0};
}

static void step_back(struct gdb *g)
{
    report_result(g, travel_step_back_cpu(g->m, g->run_cpu));
}

static void continue_back(struct gdb *g)
{
    struct run_result r = travel_back_to_stop(g->m);
    if (r.reason == STOP_NONE) {
        (void)travel_to(g->m, travel_figures(g->m).first);
    }
    report_result(g, r);
}

/* vCont;s:1;c and the like. False: not understood. */
static bool resume_by(struct gdb *g, const char *p)
{
    unsigned step = STOPS_NO_CPU;
    while (*p == ';') {
        char action = p[1];
        unsigned cpu = g->run_cpu;
        p += 2;
        if (action == 'C' || action == 'S') {
            (void)gdb_get_number(&p);
        }
        if (*p == ':') {
            p++;
            if (!get_thread(g, &p, &cpu)) {
                return false;
            }
        }
        if ((action == 's' || action == 'S') && step == STOPS_NO_CPU) {
            step = cpu;
        } else if (strchr("cCsS", action) == NULL) {
            return false;
        }
    }
    stops_step(g->m, step);
    g->stopped = false;
    return true;
}

/* ---- Queries ---- */

static void transfer(struct gdb *g, const char *p, const char *text)
{
    u64 from = gdb_get_number(&p);
    p += *p == ',';
    u64 size = gdb_get_number(&p);
    u64 all = strlen(text);
    from = from < all ? from : all;
    size = size < GDB_PACKET - 8 ? size : GDB_PACKET - 8;
    u64 n = all - from < size ? all - from : size;
    g->reply[0] = from + n < all ? 'm' : 'l';
    memcpy(g->reply + 1, text + from, n); /* XML without '#', '$', '}' and '*' */
    g->reply_size = n + 1;
}

/* What is RAM and what is ROM; GDB leaves the rest alone unless it is told otherwise. */
static char *memory_map(const struct gdb *g)
{
    const struct phys *phys = &g->m->phys;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f == NULL) {
        return NULL;
    }
    (void)fprintf(f, "<?xml version=\"1.0\"?><!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map V1.0//EN\" "
                     "\"http://sourceware.org/gdb/gdb-memory-map.dtd\"><memory-map>");
    if (g->physical) {
        for (unsigned i = 0; i < phys->span_count; i++) {
            const struct phys_span *span = &phys->spans[i];
            if (span->region != NULL && span->region->kind != REGION_MMIO) {
                (void)fprintf(f, "<memory type=\"%s\" start=\"0x%llx\" length=\"0x%llx\"/>",
                              span->region->kind == REGION_RAM ? "ram" : "rom", (unsigned long long)span->first,
                              (unsigned long long)(span->last - span->first + 1));
            }
        }
    } else { /* linear addresses: tables may put anything anywhere */
        (void)fprintf(f, "<memory type=\"ram\" start=\"0x0\" length=\"0x8000000000000000\"/>"
                         "<memory type=\"ram\" start=\"0x8000000000000000\" length=\"0x7fffffffffffffff\"/>");
    }
    (void)fprintf(f, "</memory-map>");
    return fclose(f) == 0 ? text : NULL;
}

static void transfer_text(struct gdb *g, const char *p, char *xml)
{
    transfer(g, p, xml != NULL ? xml : "");
    free(xml);
}

static void query(struct gdb *g, const char *p)
{
    if (begins(p, "qSupported")) {
        gdb_putf(g, "PacketSize=%x;qXfer:features:read+;qXfer:memory-map:read+;swbreak+;hwbreak+;vContSupported+;QStartNoAckMode+;binary-upload+;"
                    "ReverseStep+;ReverseContinue+", GDB_PACKET);
    } else if (begins(p, "QStartNoAckMode")) {
        gdb_put(g, "OK"); /* answer() makes it so behind this */
    } else if (begins(p, "qXfer:features:read:target.xml:")) {
        transfer_text(g, p + strlen("qXfer:features:read:target.xml:"), gdb_target_xml(g->arch));
    } else if (begins(p, "qXfer:memory-map:read::")) {
        transfer_text(g, p + strlen("qXfer:memory-map:read::"), memory_map(g));
    } else if (strcmp(p, "qqemu.sstepbits") == 0) {
        gdb_put(g, "ENABLE=1,NOIRQ=2,NOTIMER=4"); /* QEMU's names; steps are as they are */
    } else if (strcmp(p, "qqemu.sstep") == 0) {
        gdb_put(g, "0x1");
    } else if (begins(p, "Qqemu.sstep=")) {
        gdb_put(g, p[strlen("Qqemu.sstep=")] == '1' ? "OK" : "E22");
    } else if (begins(p, "qfThreadInfo")) {
        for (unsigned i = 0; i < g->m->set.count; i++) {
            gdb_putf(g, "%c%x", i == 0 ? 'm' : ',', i + 1);
        }
    } else if (begins(p, "qsThreadInfo")) {
        gdb_put(g, "l");
    } else if (begins(p, "qThreadExtraInfo,")) {
        static const char *const words[] = {"running", "halted", "shut down", "waiting for SIPI", "in MWAIT"};
        unsigned cpu = 0;
        char text[64];
        p += strlen("qThreadExtraInfo,");
        (void)get_thread(g, &p, &cpu);
        const struct cpu_arch *a = &g->m->set.cpu[cpu]->arch;
        int n = snprintf(text, sizeof text, "CPU#%u [%s]%s", cpu, words[a->activity],
                         a->guest != GUEST_NONE ? " guest" : "");
        gdb_put_hex(g, (const u8 *)text, (size_t)n);
    } else if (strcmp(p, "qC") == 0) {
        gdb_putf(g, "QC%x", g->cpu + 1);
    } else if (begins(p, "qAttached")) {
        gdb_put(g, "1");
    } else if (begins(p, "qqemu.PhyMemMode")) {
        gdb_put(g, g->physical ? "1" : "0");
    } else if (begins(p, "Qqemu.PhyMemMode:")) {
        g->physical = p[strlen("Qqemu.PhyMemMode:")] == '1';
        gdb_put(g, "OK");
    } else if (begins(p, "qRcmd,")) {
        u8 text[256];
        size_t n = gdb_get_hex(p + strlen("qRcmd,"), text, sizeof text - 1);
        text[n] = '\0';
        gdb_monitor(g, (const char *)text);
    }
}

static void packet_H(struct gdb *g, const char *p)
{
    unsigned *cpu = *p == 'c' ? &g->run_cpu : &g->cpu;
    p += *p != '\0';
    gdb_put(g, get_thread(g, &p, cpu) ? "OK" : "E22");
}

/* One packet; an answer is sent unless the machine runs or GDB has left. */
static void answer(struct gdb *g)
{
    const char *p = g->packet;
    unsigned cpu = 0;
    g->reply_size = 0;
    (void)gdb_line_stirred(g); /* by this packet: no reason to come back early */
    switch (*p) {
    case '?': gdb_put(g, g->last_stop); break;
    case 'g': read_registers(g); break;
    case 'G': write_registers(g, p + 1); break;
    case 'p': one_register(g, p + 1, false); break;
    case 'P': one_register(g, p + 1, true); break;
    case 'm': read_memory(g, p + 1); break;
    case 'x': read_binary(g, p + 1); break;
    case 'M': write_memory(g, p + 1, false); break;
    case 'X': write_memory(g, p + 1, true); break;
    case 'Z':
    case 'z': set_point(g, p); break;
    case 'H': packet_H(g, p + 1); break;
    case 'T':
        p++;
        gdb_put(g, get_thread(g, &p, &cpu) ? "OK" : "E22");
        break;
    case 'q':
    case 'Q': query(g, p); break;
    case '!': gdb_put(g, "OK"); break;
    case 'b':
        if (p[1] == 's') {
            step_back(g);
            return;
        }
        if (p[1] == 'c') {
            continue_back(g);
            return;
        }
        break;
    case 'c':
    case 's':
        stops_step(g->m, *p == 's' ? g->run_cpu : STOPS_NO_CPU);
        g->stopped = false;
        return;
    case 'v':
        if (strcmp(p, "vCont?") == 0) {
            gdb_put(g, "vCont;c;C;s;S");
        } else if (begins(p, "vCont") && resume_by(g, p + 5)) {
            return;
        }
        break;
    case 'D':
        gdb_put(g, "OK");
        gdb_send(g);
        gdb_hang_up(g);
        g->stopped = false;
        return;
    case 'k':
        gdb_hang_up(g);
        g->m->quit = true;
        g->stopped = false;
        return;
    default: break;
    }
    gdb_send(g);
    g->no_ack = g->no_ack || begins(p, "QStartNoAckMode");
}

/* ---- The session ---- */

/* "HOST:PORT,arch=i386,pc=offset": the address into `where`. */
static bool take_properties(struct gdb *g, const char *text, char *where, size_t room, struct error *err)
{
    static const struct {
        const char *word;
        enum gdb_arch arch;
    } archs[] = {{"x86-64", GDB_X86_64}, {"i386:x86-64", GDB_X86_64}, {"i386", GDB_I386}, {"i8086", GDB_I8086}};
    size_t n = strcspn(text, ",");
    (void)snprintf(where, room, "%.*s", (int)n, text);
    while (text[n] == ',') {
        char word[64];
        text += n + 1;
        n = strcspn(text, ",");
        (void)snprintf(word, sizeof word, "%.*s", (int)n, text);
        bool known = strcmp(word, "pc=offset") == 0 || strcmp(word, "pc=linear") == 0;
        if (known) {
            g->pc = word[3] == 'o' ? GDB_PC_OFFSET : GDB_PC_LINEAR;
        }
        for (unsigned i = 0; i < ARRAY_LEN(archs) && begins(word, "arch="); i++) {
            if (strcmp(archs[i].word, word + 5) == 0) {
                g->arch = archs[i].arch;
                known = true;
            }
        }
        if (!known) {
            return error_set(err, EXIT_STATUS_USAGE, "--gdb: %s: want arch=x86-64, i386 or i8086, or pc=linear or offset", word);
        }
    }
    return true;
}

struct gdb *gdb_open(struct machine *m, const char *where, bool wait, bool may_write, struct error *err)
{
    struct gdb *g = calloc(1, sizeof *g);
    if (g == NULL) {
        (void)error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
        return NULL;
    }
    *g = (struct gdb){.m = m, .listener = -1, .fd = -1, .may_write = may_write, .stopped = wait};
    (void)snprintf(g->last_stop, sizeof g->last_stop, "T05thread:1;");
    g->shell = shell_new(m, may_write);
    char address[256];
    if (!take_properties(g, where, address, sizeof address, err) || !gdb_listen(g, address, err) ||
        !travel_start(m, NULL, err)) {
        gdb_close(g);
        return NULL;
    }
    return g;
}

void gdb_close(struct gdb *g)
{
    gdb_hang_up(g);
    if (g->listener >= 0) {
        (void)close(g->listener);
    }
    shell_free(g->shell);
    free(g);
}

/* Stand still and answer. False: the user wants out. */
static bool serve(struct gdb *g)
{
    while (g->stopped) {
        if (g->fd < 0 && !gdb_accept(g, true)) {
            return false;
        }
        switch (gdb_receive(g)) {
        case GDB_LINE_PACKET: answer(g); break;
        case GDB_LINE_BREAK: break; /* it stands still */
        case GDB_LINE_CLOSED:
            gdb_hang_up(g);
            g->stopped = false;
            break;
        case GDB_LINE_INTERRUPTED:
            if (!gdb_line_stirred(g) && g->m->interrupted != 0) {
                return false;
            }
            break;
        }
    }
    return true;
}

/* The machine came back because of the line or of a user's Ctrl-C, which ends the run: false. */
static bool look_at_line(struct gdb *g)
{
    bool stirred = gdb_line_stirred(g);
    if (g->fd < 0 && gdb_accept(g, false)) {
        g->stopped = true;
        (void)snprintf(g->last_stop, sizeof g->last_stop, "T02thread:%x;", stops_next_cpu(g->m) + 1);
        return true;
    }
    enum gdb_wait what = g->fd < 0 ? GDB_LINE_PACKET : gdb_poll(g);
    if (what == GDB_LINE_BREAK) {
        stops_step(g->m, STOPS_NO_CPU);
        report(g, 2, stops_next_cpu(g->m), "");
    } else if (what == GDB_LINE_CLOSED) {
        gdb_hang_up(g);
        (void)look_at_line(g); /* somebody else may be waiting already */
    } else {
        return stirred;
    }
    return true;
}

struct run_result gdb_run(struct gdb *g)
{
    struct machine *m = g->m;
    for (;;) {
        if (g->stopped && !serve(g)) {
            m->interrupted = 0;
            return (struct run_result){.reason = STOP_INTERRUPTED};
        }
        (void)gdb_line_stirred(g);
        (void)look_at_line(g); /* what came before the machine could hear it */
        if (g->stopped) {
            continue;
        }
        struct run_result r = machine_run(m);
        if (r.reason == STOP_BREAK && g->fd >= 0) {
            report_hit(g);
        } else if (r.reason == STOP_INTERRUPTED) {
            if (!look_at_line(g)) {
                return r;
            }
            if (!g->stopped) {
                stops_go_on(m);
            }
        } else if (r.reason != STOP_BREAK) {
            bool own = r.reason == STOP_QUIT || r.reason == STOP_ERROR || r.reason == STOP_DIFFERS;
            if (!own && travel_is_in_past(m) && clock_position(&m->clock).n < travel_figures(m).front) {
                continue; /* it has gone past this before */
            }
            if (g->fd >= 0) {
                gdb_put(g, "W00");
                gdb_send(g);
            }
            return r;
        }
    }
}
