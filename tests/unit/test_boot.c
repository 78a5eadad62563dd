/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Boots without firmware: what the machine looks like to the kernel, and waking up from S3. Also how
 * PAUSE shares the turn. */
#include "base/bits.h"
#include "base/bytes.h"
#include "machine/boot/boot.h"
#include "machine_rig.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOAD_AT 0x8000u
#define IMAGE_SIZE 0x4000u

static char path[64];

/* A Multiboot image without ELF headers that covers 8000h..BFFFh, every byte 90h (NOP) but for `code` at
 * its entry. */
static void make_image(const u8 *code, size_t size)
{
    static u8 image[IMAGE_SIZE];
    static const u32 header[] = {0x1badb002u, 0x10000u, 0u - 0x1badb002u - 0x10000u, LOAD_AT, LOAD_AT,
                                 LOAD_AT + IMAGE_SIZE, 0, LOAD_AT + 0x20};
    memset(image, 0x90, sizeof image);
    for (unsigned i = 0; i < ARRAY_LEN(header); i++) {
        store_le32(image + (size_t)4 * i, header[i]);
    }
    memcpy(image + 0x20, code, size);
    (void)snprintf(path, sizeof path, "/tmp/vitrine-test-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, image, sizeof image), (ssize_t)sizeof image);
    (void)close(fd);
}

static struct machine *boot(unsigned cpus, u64 limit)
{
    struct machine_config c = small_config("intel");
    c.kernel = path;
    c.cpus = cpus;
    c.max_instructions = limit;
    struct machine *m = machine_of(&c);
    (void)unlink(path);
    return m;
}

static u32 peek32(struct machine *m, u64 at)
{
    u8 b[4];
    phys_read(&m->phys, SPA(at), b, sizeof b);
    return load_le32(b);
}

START_TEST(test_boot__information_is_beside_the_image)
{
    static const u8 halt[] = {0xf4};
    make_image(halt, sizeof halt);
    struct machine *m = boot(1, 10);
    u64 info = m->cpus[0].arch.gpr[RBX];
    ck_assert(info < LOAD_AT || info >= LOAD_AT + IMAGE_SIZE);
    for (u64 at = LOAD_AT + 0x24; at < LOAD_AT + IMAGE_SIZE; at += 4) {
        ck_assert_uint_eq(peek32(m, at), 0x90909090u);
    }
    machine_free(m);
}
END_TEST

START_TEST(test_boot__what_firmware_leaves)
{
    static const u8 halt[] = {0xf4};
    make_image(halt, sizeof halt);
    struct machine *m = boot(2, 10);
    ck_assert_uint_eq(bus_port_read(&m->bus, 0x21, 1), 0xfa);
    ck_assert_uint_eq(bus_port_read(&m->bus, 0xa1, 1), 0xff);
    ck_assert_uint_eq(peek32(m, 4 * 0x08), 0xf000fea5u);
    ck_assert_uint_eq(peek32(m, 4 * 0x10), 0xf000ff53u);
    ck_assert_uint_eq(peek32(m, 0xfff53) & 0xff, 0xcf);
    for (unsigned i = 0; i < 2; i++) {
        const struct cpu_arch *a = &m->cpus[i].arch;
        ck_assert_uint_eq(a->mtrr_def, 0xc06);
        /* Two ranges make the hole: the last GiB below 4 GiB, and the ECAM window's before it. */
        ck_assert_uint_eq(a->mtrr_base[0], GIB(3));
        ck_assert_uint_eq(a->mtrr_mask[0], (((u64)1 << m->model.phys_bits) - MIB(1024)) | 0x800);
        ck_assert_uint_eq(a->mtrr_mask[1] & 0x800, 0x800);
        ck_assert_uint_eq(a->fpu.fcw, 0x37f);
        ck_assert_uint_eq(a->fpu.tags, 0);
    }
    machine_free(m);
}
END_TEST

/* [ACPI "Firmware ACPI Control Structure"] the 32-bit waking vector is entered in real mode. */
START_TEST(test_boot__waking_vector)
{
    static const u8 halt[] = {0xf4};
    make_image(halt, sizeof halt);
    struct machine *m = boot(1, 10);
    u64 facs = boot_facs(m);
    ck_assert_uint_eq(peek32(m, facs), 0x53434146u); /* "FACS" */
    u8 vector[4];
    store_le32(vector, 0x12345);
    phys_write(&m->phys, SPA(facs + 12), vector, sizeof vector);
    m->asleep_s3 = true;
    m->config.no_reboot = true;
    m->requests.wake = true;
    m->config.max_instructions = 1; /* enough to look at the request, no more */
    m->clock.position = 1;
    ck_assert_int_eq((int)machine_run(m).reason, STOP_LIMIT);
    const struct cpu_arch *a = &m->cpus[0].arch;
    ck_assert(!m->asleep_s3);
    ck_assert_uint_eq(a->cr0 & 1, 0);
    ck_assert_uint_eq(a->seg[SEG_CS].sel, 0x1234);
    ck_assert_uint_eq(a->seg[SEG_CS].base, 0x12340);
    ck_assert_uint_eq(a->rip, 5);
    ck_assert_uint_eq(peek32(m, LOAD_AT + 0x24), 0x90909090u); /* the kernel was not loaded again */
    machine_free(m);
}
END_TEST

/* A processor that waits with PAUSE costs the others little: its turn ends with the fourth. A round of the loop
 * takes 33 counts. */
START_TEST(test_boot__pause_gives_the_turn_away)
{
    static const u8 spin[] = {0xf3, 0x90, 0xeb, 0xfc}; /* pause; jmp .-2 */
    make_image(spin, sizeof spin);
    struct machine *m = boot(2, 1000);
    m->cpus[1].arch.activity = ACTIVITY_RUNNING; /* runs zeros (ADD [BX+SI], AL) from where reset put it */
    m->cpus[1].arch.seg[SEG_CS].base = 0x10000;
    m->cpus[1].arch.rip = 0;
    cpu_update_mode(&m->cpus[1]);
    ck_assert_int_eq((int)machine_run(m).reason, STOP_LIMIT);
    ck_assert_uint_lt(m->cpus[0].arch.ist_count, 10);
    ck_assert_uint_gt(m->cpus[1].arch.ist_count, 1000 - 4 * 33);
    machine_free(m);
}
END_TEST

/* An SMI by port B2h is the writing processor's. */
START_TEST(test_boot__smi_is_the_writers)
{
    static const u8 smi[] = {0x66, 0xba, 0x30, 0x06, 0xb8, 0x21, 0, 0, 0, 0xef, /* SMI_EN: GBL, APMC */
                             0xe6, 0xb2, 0xf4};
    make_image(smi, sizeof smi);
    struct machine *m = boot(2, 5);
    ck_assert_int_eq((int)machine_run(m).reason, STOP_LIMIT);
    ck_assert(m->cpus[0].arch.in_smm || m->cpus[0].arch.smi_pending);
    ck_assert(!m->cpus[1].arch.in_smm && !m->cpus[1].arch.smi_pending);
    machine_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("boot");
    TCase *c = tcase_create("boot");
    tcase_add_test(c, test_boot__information_is_beside_the_image);
    tcase_add_test(c, test_boot__what_firmware_leaves);
    tcase_add_test(c, test_boot__waking_vector);
    tcase_add_test(c, test_boot__pause_gives_the_turn_away);
    tcase_add_test(c, test_boot__smi_is_the_writers);
    suite_add_tcase(s, c);
    return unit_run(s);
}
