/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Snapshots of any content: read and put into a machine, never a crash. The input is the bytes of a file; then the
 * state in a file whose headers and sums are right; then a list of changes to the state that a machine really has,
 * so that all its parts are reached. */
#include "fuzz_file.h"

#include "machine/machine.h"
#include "traces/snapshot.h"

static struct machine *make_machine(void)
{
    struct machine_config c;
    struct error err = {0};
    machine_config_init(&c);
    if (!cpu_model_parse(&c.model, "max", &err)) {
        abort();
    }
    c.ram_bytes = MIB(16);
    c.cpus = 2;
    c.engine = ENGINE_INTERP;
    c.serial[c.serial_count++].kind = CONSOLE_NONE;
    struct machine *m = machine_new(&c, &err);
    if (m == NULL) {
        (void)fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return m;
}

static void read_and_apply(struct machine *m, const u8 *data, size_t size)
{
    struct error err = {0};
    struct snapshot s;
    if (!snapshot_read_memory(&s, data, size, &err)) {
        if (err.status == EXIT_STATUS_OK) {
            abort(); /* refused without a word */
        }
        return;
    }
    if (!snapshot_apply(&s, m, &err) && err.status == EXIT_STATUS_OK) {
        abort();
    }
    snapshot_free(&s);
}

static void as_file(struct machine *m, const u8 *state, size_t size)
{
    u8 *file = malloc(TRACE_HEADER_SIZE + 3 * TRACE_CHUNK_SIZE + ZSTD_compressBound(size) + 4096);
    if (file == NULL) {
        return;
    }
    size_t at = put_start(file);
    at += put_chunk(file + at, TRACE_CHUNK_EVENTS, (const u8 *)"\n", 1);
    at += put_chunk(file + at, TRACE_CHUNK_STATE, state, size);
    read_and_apply(m, file, at);
    free(file);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct machine *m;
    static struct state_io real;
    if (m == NULL) {
        m = make_machine();
        state_init_save(&real);
        machine_state(m, &real);
    }
    read_and_apply(m, data, size);
    if (size == 0 || data[0] % 16 != 0) { /* what follows takes some milliseconds */
        return 0;
    }
    as_file(m, data, size);
    /* Five bytes a change: where, what; memory lies at the end, a page in 4096 bytes of it. */
    u8 *state = malloc(real.len);
    if (state == NULL) {
        return 0;
    }
    memcpy(state, real.data, real.len);
    size_t end = real.len;
    for (size_t i = 0; i + 5 <= size; i += 5) {
        state[load_le32(data + i) % real.len] = data[i + 4];
    }
    if (size % 5 != 0) {
        end = load_le(data + size - size % 5, (unsigned)(size % 5)) % (real.len + 1);
    }
    as_file(m, state, end);
    as_file(m, real.data, real.len);
    free(state);
    return 0;
}
