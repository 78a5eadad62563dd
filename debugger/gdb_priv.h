/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef VITRINE_DEBUGGER_GDB_PRIV_H
#define VITRINE_DEBUGGER_GDB_PRIV_H

#include "debugger/gdb.h"
#include "debugger/shell/shell.h"
#include "machine/stops.h"

#define GDB_PACKET 16384 /* bytes of text in a packet */
#define GDB_POINTS 256

/* A breakpoint or watchpoint as GDB set it. */
struct gdb_point {
    u8 type; /* the digit of Z */
    u64 address, size;
    struct stop_point point;
};

enum gdb_arch { GDB_X86_64, GDB_I386, GDB_I8086 };
enum gdb_pc { GDB_PC_LINEAR, GDB_PC_OFFSET };

struct gdb {
    struct machine *m;
    enum gdb_arch arch; /* of the registers' description */
    enum gdb_pc pc;
    struct shell *shell; /* for `monitor` */
    int listener, fd; /* -1: none */
    bool may_write;
    bool stopped;  /* the machine stands still until GDB says go */
    bool no_ack, physical;
    unsigned cpu;      /* of register and memory packets */
    unsigned run_cpu;  /* of s, bs */
    struct gdb_point points[GDB_POINTS];
    unsigned point_count;
    /* What has come in and is not looked at yet. */
    u8 input[4096];
    size_t input_at, input_size;
    char packet[GDB_PACKET + 1];
    size_t packet_size;
    char reply[2 * GDB_PACKET + 16];
    size_t reply_size;
    char last_stop[128];
};

/* ---- gdb_link.c: the line ---- */
enum gdb_wait { GDB_LINE_PACKET, GDB_LINE_BREAK, GDB_LINE_CLOSED, GDB_LINE_INTERRUPTED };
bool gdb_listen(struct gdb *g, const char *where, struct error *err);
/* Accept a connection, waiting for one or not. */
bool gdb_accept(struct gdb *g, bool wait);
/* The next packet, into g->packet. */
enum gdb_wait gdb_receive(struct gdb *g);
/* While the machine runs: has GDB asked for a stop? GDB_LINE_PACKET: no. */
enum gdb_wait gdb_poll(struct gdb *g);
/* Was it the line that made the machine come back? */
bool gdb_line_stirred(struct gdb *g);
void gdb_send(struct gdb *g);
void gdb_hang_up(struct gdb *g);

void gdb_put(struct gdb *g, const char *text);
void gdb_putf(struct gdb *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gdb_put_hex(struct gdb *g, const u8 *bytes, size_t size);
/* Bytes from hexadecimal text; returns how many. */
size_t gdb_get_hex(const char *text, u8 *bytes, size_t room);
/* A hexadecimal number; *text moves behind it. */
u64 gdb_get_number(const char **text);

/* ---- gdb_regs.c ---- */
unsigned gdb_register_count(enum gdb_arch arch);
/* Its bytes, little-endian; returns how many. */
unsigned gdb_register_read(const struct gdb *g, const struct cpu *cpu, unsigned number, u8 *bytes);
unsigned gdb_register_size(enum gdb_arch arch, unsigned number);
/* False where it may not be written. */
bool gdb_register_write(const struct gdb *g, struct cpu *cpu, unsigned number, const u8 *bytes);
/* The target description, as XML; malloc'd. */
char *gdb_target_xml(enum gdb_arch arch);

/* ---- gdb_monitor.c ---- */
/* `monitor TEXT`: the answer goes to GDB's console. */
void gdb_monitor(struct gdb *g, const char *text);

#endif
