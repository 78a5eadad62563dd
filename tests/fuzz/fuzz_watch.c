/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tracker under hypervisors that do anything: tables of every format and any content, written while they are used,
 * entries and exits of any guest, devices that come and go, hypercalls, VMBus messages and other declarations of sharing, claims of
 * the trace port, and what was saved given back, whole or damaged. */
#include "fuzz_input.h"
#include "tests/harness/watch_rig.h"

#include "abi/hyperv/hypercall.h"

#include <stdio.h>
#include <string.h>

#define PAGES 64u

static unsigned running; /* bit per processor in a guest */

static struct watch_tables take_tables(struct input *in)
{
    u64 kind = take(in, 1);
    enum watch_format format = (enum watch_format)(kind % 6);
    u64 levels = format == WATCH_X86_32 ? 2 : format == WATCH_PAE ? 3 : kind >= 0xf8 ? 5 : 1 + (kind >> 4) % 3; /* deep ones take long */
    u64 page = take(in, 1) % PAGES;
    return (struct watch_tables){
        .format = format, .levels = (u8)levels, .table = page * PAGE_SIZE + (format == WATCH_PAE ? (kind & 0xf0) * 2 : 0)};
}

static void take_registers(struct input *in, u64 gpr[16])
{
    for (unsigned i = 0; i < 16; i++) {
        gpr[i] = 0;
    }
    for (unsigned i = 0; i < 4; i++) {
        gpr[take(in, 1) & 15] = take(in, 4);
    }
}

static void enter_any(struct rig *r, struct input *in, unsigned cpu)
{
    u64 gpr[16];
    struct watch_entry e = {.kind = (enum watch_kind)(take(in, 1) & 1), .control = (take(in, 1) & 7) * PAGE_SIZE, .gpr = gpr};
    e.nested = e.control != 0;
    e.tables = take_tables(in);
    e.rip = take(in, 1);
    take_registers(in, gpr);
    if ((running >> cpu & 1) == 0) {
        watch_entered(r->w, cpu, &e);
        running |= 1u << cpu;
    }
}

static void leave_any(struct rig *r, struct input *in, unsigned cpu)
{
    u64 gpr[16];
    struct watch_exit x = {.cause = (enum watch_cause)(take(in, 1) % 5), .gpr = gpr, .rip = take(in, 1), .code64 = true};
    take_registers(in, gpr);
    if ((running >> cpu & 1) != 0) {
        watch_left(r->w, cpu, &x);
        running &= ~(1u << cpu);
    }
}

/* An entry: mostly one that leads to a page of this small memory. */
static void store_any(struct rig *r, struct input *in)
{
    u64 at = take(in, 1) % PAGES * PAGE_SIZE + (take(in, 1) & 0x7f) * 8;
    u64 kind = take(in, 1), page = take(in, 1) % PAGES * PAGE_SIZE;
    u64 flags = take(in, 2) & ((kind & 30) == 0 ? 0xfff : 0xf7f); /* seldom a large page: those take long */
    u64 value = kind < 160 ? page | flags | (kind & 1 ? 3ull << 61 : 0) : kind < 200 ? 0 : take(in, 8);
    phys_write_scalar(&r->phys, SPA(at), value, kind == 7 ? 4 : 8);
}

/* Into a new tracker, with a byte changed or cut short: refused, or one that nothing comes to harm by. */
static void save(struct rig *r, struct input *in)
{
    struct state_io out, back;
    state_init_save(&out);
    watch_state(r->w, &out);
    u64 how = take(in, 1), at = take(in, 4) % out.len;
    if (how == 1) {
        out.data[at] = (u8)(out.data[at] ^ (1u << (take(in, 1) & 7)));
    }
    size_t size = how == 2 ? at : out.len;
    watch_free(r->w);
    rig_tracker(r);
    state_init_load(&back, out.data, size);
    watch_state(r->w, &back);
    if (how == 0 && (back.failed || back.pos != size)) {
        abort();
    }
    running = how == 0 ? running : 0;
    state_free(&out);
}

static void cross(struct rig *r, unsigned cpu, enum watch_cause cause, const u64 left[16], const u64 back[16], const struct watch_entry *entry)
{
    struct watch_entry e = *entry;
    const struct watch_exit x = {.cause = cause, .gpr = left, .code64 = true};
    if ((running >> cpu & 1) == 0) {
        watch_entered(r->w, cpu, &e);
    }
    watch_left(r->w, cpu, &x);
    e.gpr = back;
    watch_entered(r->w, cpu, &e);
    running |= 1u << cpu;
}

/* A guest with tables of its own that is told of Hyper-V and says something to the other end of a VMBus. */
static void say(struct rig *r, struct input *in, unsigned cpu)
{
    static const u64 calls[] = {HV_CALL_PostMessage, HV_CALL_PostMessageDirect, HV_CALL_ConnectPort, HV_CALL_PostMessage};
    u64 asked[16] = {0x40000000}, told[16] = {0, 0x666f736f, 0x76482074, 0x7263694d}, done[16] = {0};
    u64 at = (32 + 2 * (u64)cpu) * PAGE_SIZE;
    const struct watch_entry e = {.kind = WATCH_VMX,
                                  .control = (cpu + 16) * PAGE_SIZE,
                                  .nested = true,
                                  .tables = {.format = WATCH_EPT, .levels = 1, .table = at},
                                  .gpr = done};
    struct hv_post_input message = {.connection = 1, .type = 1, .size = (u32)take(in, 1)};
    u64 call[16] = {[1] = calls[take(in, 1) & 3], [2] = 0};
    u32 kind = 8 + (u32)take(in, 1) % 10;
    memcpy(message.payload, &kind, sizeof kind);
    for (unsigned i = 8; i < 64; i += 4) {
        u32 word = (u32)take(in, 1);
        word = i == 20 ? word << 8 : word;
        memcpy(message.payload + i, &word, sizeof word);
    }
    phys_write_scalar(&r->phys, SPA(at), (at + PAGE_SIZE) | 7, 8);
    phys_write(&r->phys, SPA(at + PAGE_SIZE), &message, sizeof message);
    cross(r, cpu, WATCH_CAUSE_CPUID, asked, told, &e);
    done[0] = take(in, 1) & 1;
    cross(r, cpu, WATCH_CAUSE_HYPERCALL, call, done, &e);
}

static void declare(struct rig *r, struct input *in)
{
    struct watch_declaration d = {.reason = (enum watch_reason)(take(in, 1) % WATCH_REASONS),
                                  .guest = (u32)take(in, 1) & 3,
                                  .with = (u32)take(in, 1) & 3,
                                  .spa = take(in, 2) * 64,
                                  .bytes = take(in, 1) << 8,
                                  .id = take(in, 1) & 1};
    const struct watch_page_claim claim = {.spa = d.spa, .bytes = d.bytes, .guest = d.guest, .with = d.with};
    struct watch_page_verdict verdict;
    if (take(in, 1) & 1) {
        watch_end_declaration(r->w, d.reason, d.guest, d.id);
    } else {
        (void)watch_declare(r->w, &d);
    }
    if (watch_guest(r->w, d.guest) != NULL && (d.with == 0 || watch_guest(r->w, d.with) != NULL)) {
        watch_compare(r->w, &claim, &verdict);
    }
}

/* The trace port: what a writer that may not say so, and one that may, says of whatever. */
static void claim(struct rig *r, struct input *in, unsigned cpu)
{
    u64 field[6];
    u8 text[16];
    u32 type = (u32)take(in, 1) % 16;
    for (unsigned i = 0; i < 6; i++) {
        field[i] = take(in, 1) << (i == 3 ? 12 : 0);
    }
    for (unsigned i = 0; i < sizeof text; i++) {
        text[i] = (u8)(type * 16 + i);
    }
    const struct watch_claim c = {.type = type, .writers = (u32)take(in, 1), .field = field, .payload = text, .size = (u32)(field[0] % 17)};
    (void)watch_claim(r->w, cpu, &c);
}

static void step(struct rig *r, struct input *in)
{
    u64 what = take(in, 1);
    unsigned cpu = what >> 6 & 3;
    r->rip = ++r->position;
    switch (what & 15) {
    case 0:
    case 1:
        enter_any(r, in, cpu);
        break;
    case 2:
    case 3:
        leave_any(r, in, cpu);
        break;
    case 4:
        r->route = (struct watch_route){.kind = WATCH_ROUTE_TABLES, .tables = take_tables(in), .rights = 3, .used = {PAGE_SIZE}, .used_count = 1};
        watch_routes_changed(r->w);
        break;
    case 5:
        save(r, in);
        break;
    case 6:
        declare(r, in);
        break;
    case 7:
    case 8:
        say(r, in, cpu);
        break;
    case 9:
    case 10:
        claim(r, in, cpu);
        break;
    default:
        store_any(r, in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct input in = {data, size};
    struct rig *r = rig_with(PAGES * PAGE_SIZE);
    r->devices = 2;
    running = 0;
    for (unsigned i = 0; in.n > 0 && i < 200; i++) {
        step(r, &in);
    }
    char *text = NULL;
    put_words(r, &text);
    free(text);
    rig_free(r);
    return 0;
}
