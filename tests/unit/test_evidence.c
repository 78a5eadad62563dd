/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recording and replaying in one process: a ROM that counts in memory for ever. Two machines, equal
 * hashes; a difference is found at the first mark behind it, with the part it is in. */
#include "machine/evidence.h"
#include "machine_rig.h"
#include "traces/load.h"
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EPOCH 10000
#define LIMIT 100000

static char rom_path[64];

static void make_rom(void)
{
    static u8 rom[65536];
    static const u8 loop[] = {0xff, 0x06, 0x00, 0x05, 0xeb, 0xfa}; /* incw (0x500); jmp .-4 */
    static const u8 start[] = {0xe9, 0x0d, 0x00};                  /* jmp to offset 0 */
    memcpy(rom, loop, sizeof loop);
    memcpy(rom + 0xfff0, start, sizeof start);
    (void)snprintf(rom_path, sizeof rom_path, "/tmp/vitrine-test-XXXXXX");
    int fd = mkstemp(rom_path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, rom, sizeof rom), (ssize_t)sizeof rom);
    (void)close(fd);
}

static struct machine *make_machine(u64 tlb_entries)
{
    struct machine_config c = small_config("intel");
    c.firmware = rom_path;
    c.max_instructions = LIMIT;
    c.epoch = EPOCH;
    c.tlb_entries = tlb_entries;
    return machine_of(&c);
}

static void record(struct loaded_recording *l)
{
    struct error err = {0};
    char path[] = "/tmp/vitrine-test-XXXXXX";
    struct machine *m = make_machine(1024);
    ck_assert(trace_start(&m->trace, mkstemp(path), 0, "build test\n", &err));
    evidence_start_recording(m);
    struct run_result r = machine_run(m);
    ck_assert_int_eq(r.reason, STOP_LIMIT);
    evidence_record_end(m, &r);
    machine_free(m);
    ck_assert(recording_load(l, path, &err));
    ck_assert_uint_eq(l->mark_count, LIMIT / EPOCH);
    ck_assert(l->has_stop && l->reason == STOP_LIMIT);
    (void)unlink(path);
}

START_TEST(test_evidence__same)
{
    struct loaded_recording l;
    struct error err = {0};
    make_rom();
    record(&l);
    struct machine *m = make_machine(2);
    evidence_start_replay(m, &l.recording);
    struct run_result r = machine_run(m);
    ck_assert_int_eq(r.reason, STOP_LIMIT);
    ck_assert_uint_eq(m->recording_next, l.mark_count);
    ck_assert_msg(evidence_compare(m, &l.stop, &err), "%s", err.text);
    machine_free(m);
    recording_free(&l);
    (void)unlink(rom_path);
}
END_TEST

/* One bit of RAM, poked in the middle: the next mark finds it, and says where. */
START_TEST(test_evidence__difference_is_named)
{
    struct loaded_recording l;
    make_rom();
    record(&l);
    struct machine *m = make_machine(1024);
    m->config.max_instructions = 3 * EPOCH + 5;
    evidence_start_replay(m, &l.recording);
    ck_assert_int_eq(machine_run(m).reason, STOP_LIMIT);
    u8 byte = 1;
    phys_write(&m->phys, SPA(0x9000), &byte, 1);
    m->config.max_instructions = LIMIT;
    ck_assert_int_eq(machine_run(m).reason, STOP_DIFFERS);
    ck_assert_int_eq(m->error.status, EXIT_STATUS_DIFFERS);
    ck_assert_uint_eq(clock_position(&m->clock).n, 4 * EPOCH);
    ck_assert_msg(strstr(m->error.text, "phys") != NULL && strstr(m->error.text, "40000") != NULL,
                  "%s", m->error.text);
    machine_free(m);
    recording_free(&l);
    (void)unlink(rom_path);
}
END_TEST

/* The incremental hash of RAM is the hash of RAM: writes between epochs, back to the old value, zero. */
START_TEST(test_evidence__ram_hash)
{
    struct log log;
    struct phys a, b;
    log_init(&log);
    ck_assert(phys_init(&a, &log, MIB(1)) && phys_init(&b, &log, MIB(1)));
    (void)phys_add_ram(&a, REGION_RAM, SPA(0), MIB(1), 0, 0, "ram");
    (void)phys_add_ram(&b, REGION_RAM, SPA(0), MIB(1), 0, 0, "ram");
    u64 x = 7, zero = 0;
    phys_write(&a, SPA(0x1234), &x, 8);
    phys_start_epoch(&a);
    phys_write(&a, SPA(0x8000), &x, 8);
    phys_start_epoch(&a);
    phys_write(&a, SPA(0x1234), &zero, 8);
    phys_update_hash(&a);
    phys_write(&a, SPA(0x8000), &x, 8);
    phys_start_epoch(&a);
    phys_write(&b, SPA(0x8000), &x, 8);
    phys_update_hash(&b);
    ck_assert_uint_eq(a.ram_hash, b.ram_hash);
    ck_assert_uint_ne(a.ram_hash, 0);
    phys_free(&a);
    phys_free(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("evidence");
    TCase *tc = tcase_create("evidence");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_evidence__same);
    tcase_add_test(tc, test_evidence__difference_is_named);
    tcase_add_test(tc, test_evidence__ram_hash);
    suite_add_tcase(suite, tc);
    return unit_run(suite);
}
