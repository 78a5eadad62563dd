/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Memory as the shell sees it: RAM and ROM only, never a device, and without setting anything. */
#include "cpu/tlb.h"
#include "debugger/shell/shell_priv.h"
#include "mmu/nested.h"

#include <string.h>

static u8 *host_of(const struct shell *s, u64 spa, u64 *room)
{
    u64 frame;
    u8 *host;
    bool writable;
    *room = PAGE_SIZE - (spa & PAGE_MASK);
    return phys_page(&s->m->phys, SPA(spa), &frame, &host, &writable) ? host + (spa & PAGE_MASK) : NULL;
}

size_t memory_read_physical(const struct shell *s, u64 spa, void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        u64 room;
        const u8 *host = host_of(s, spa + done, &room);
        if (host == NULL) {
            break;
        }
        size_t n = size - done < room ? size - done : room;
        memcpy((u8 *)data + done, host, n);
        done += n;
    }
    return done;
}

size_t memory_read(const struct shell *s, u64 linear, void *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        spa_t spa;
        size_t n = PAGE_SIZE - ((linear + done) & PAGE_MASK);
        n = size - done < n ? size - done : n;
        if (!stops_translate(s->m, s->cpu, linear + done, &spa) ||
            memory_read_physical(s, spa.v, (u8 *)data + done, n) != n) {
            break;
        }
        done += n;
    }
    return done;
}

bool memory_guest_to_machine(const struct shell *s, u64 gpa, u64 *spa)
{
    struct walk_root root;
    struct walk_result res = {0};
    u64 bytes;
    if (!shell_nested(s, &root)) {
        *spa = gpa;
        return true;
    }
    return nested_translate(&s->m->phys, &root.nested, gpa, WALK_READ | WALK_PROBE, &res, spa, &bytes);
}

void history_anew(struct shell *s)
{
    struct error err = {0};
    travel_stop(s->m);
    (void)travel_start(s->m, NULL, &err);
    s->checkpoint_count = 0;
    s->has_end = false;
}

bool memory_write_physical(struct shell *s, u64 spa, const void *data, size_t size, struct error *err)
{
    u64 room;
    for (u64 at = 0; at < size; at += room) {
        if (host_of(s, spa + at, &room) == NULL) {
            return error_set(err, EXIT_STATUS_USAGE, "%" PRIx64 " is not memory", spa + at);
        }
    }
    enum stops_mode mode = stops_set_mode(s->m, STOPS_QUIET);
    phys_write(&s->m->phys, SPA(spa), data, size);
    (void)stops_set_mode(s->m, mode);
    history_anew(s);
    return true;
}

bool memory_write(struct shell *s, u64 linear, const void *data, size_t size, struct error *err)
{
    for (size_t done = 0; done < size;) {
        spa_t spa;
        size_t n = PAGE_SIZE - ((linear + done) & PAGE_MASK);
        n = size - done < n ? size - done : n;
        if (!stops_translate(s->m, s->cpu, linear + done, &spa)) {
            return error_set(err, EXIT_STATUS_USAGE, "%" PRIx64 " is not mapped", linear + done);
        }
        if (!memory_write_physical(s, spa.v, (const u8 *)data + done, n, err)) {
            return false;
        }
        done += n;
    }
    return true;
}
