/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disk images: what qemu-img makes is read right, what is committed passes its check, and the
 * overlay keeps the disk a function of the file as it was opened. Cases that need qemu-img are
 * skipped, with a line, when it is not installed. */
#include "base/bytes.h"
#include "machine/host/block.h"
#include "unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static bool have_qemu_img;

static int sh(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Run a command in the test's folder. */
static int sh(const char *fmt, ...)
{
    char command[1024];
    int at = snprintf(command, sizeof command, "cd %s && ", dir);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(command + at, sizeof command - (size_t)at, fmt, ap);
    va_end(ap);
    return system(command);
}

static bool skipped(const char *name)
{
    if (!have_qemu_img) {
        (void)fprintf(stderr, "SKIP %s: qemu-img is not installed\n", name);
    }
    return !have_qemu_img;
}

static const char *path_of(const char *name)
{
    static char path[4][128];
    static unsigned n;
    n = (n + 1) % 4;
    (void)snprintf(path[n], sizeof path[n], "%s/%s", dir, name);
    return path[n];
}

static u8 pattern(u64 offset, u32 salt)
{
    u64 x = (offset / 8 + 1) * 0x9e3779b97f4a7c15u + salt;
    return (u8)(x >> (8 * (offset & 7)));
}

static void fill(u8 *buf, u64 offset, u64 len, u32 salt)
{
    for (u64 i = 0; i < len; i++) {
        buf[i] = pattern(offset + i, salt);
    }
}

/* A raw file of `size` bytes with a pattern where `every`-th 32 KiB piece is. */
static void make_raw(const char *name, u64 size, unsigned every)
{
    FILE *f = fopen(path_of(name), "wb");
    ck_assert_ptr_nonnull(f);
    u8 *buf = calloc(1, 32768);
    for (u64 at = 0; at < size; at += 32768) {
        u64 n = size - at < 32768 ? size - at : 32768;
        if (at / 32768 % every == 0) {
            fill(buf, at, n, 1);
        } else {
            memset(buf, 0, n);
        }
        ck_assert_uint_eq(fwrite(buf, 1, n, f), n);
    }
    free(buf);
    (void)fclose(f);
}

static struct block_disk *open_or_die(const char *name, enum block_format format, bool ro,
                                      bool snapshot)
{
    struct error err = {0};
    struct block_options o = {.path = path_of(name),
                              .format = format,
                              .read_only = ro,
                              .snapshot = snapshot,
                              .id = "disk0"};
    struct block_disk *disk = block_open(&o, &err);
    ck_assert_msg(disk != NULL, "%s", err.text);
    return disk;
}

static u8 *whole(struct block_disk *disk, u64 *len)
{
    struct block_backend *b = block_disk_backend(disk);
    *len = b->sectors * 512;
    u8 *data = malloc(*len);
    for (u64 lba = 0; lba < b->sectors;) {
        u32 n = b->sectors - lba < 97 ? (u32)(b->sectors - lba) : 97;
        ck_assert(b->read(b->self, lba, n, data + lba * 512));
        lba += n;
    }
    return data;
}

static void same_as_raw(struct block_disk *disk, const char *raw)
{
    u64 len;
    u8 *data = whole(disk, &len);
    FILE *f = fopen(path_of(raw), "rb");
    ck_assert_ptr_nonnull(f);
    u8 *expect = calloc(1, len);
    size_t n = fread(expect, 1, len, f);
    ck_assert_uint_gt(n, 0);
    (void)fclose(f);
    ck_assert_int_eq(memcmp(data, expect, len), 0);
    free(expect);
    free(data);
}

/* A spread of writes of many lengths, the same into the disk and into a raw file beside it. */
static void scribble(struct block_disk *disk, const char *raw, u32 salt)
{
    struct block_backend *b = block_disk_backend(disk);
    FILE *f = fopen(path_of(raw), "r+b");
    ck_assert_ptr_nonnull(f);
    u8 *buf = malloc(300 * 512);
    u64 x = salt;
    for (unsigned i = 0; i < 60; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        u64 lba = (x >> 33) % b->sectors;
        u64 n = 1 + (x >> 20) % (i % 7 == 0 ? 300 : 9);
        n = n < b->sectors - lba ? n : b->sectors - lba;
        fill(buf, lba * 512, n * 512, salt + i);
        ck_assert(b->write(b->self, lba, (u32)n, buf));
        ck_assert_int_eq(fseek(f, (long)(lba * 512), SEEK_SET), 0);
        ck_assert_uint_eq(fwrite(buf, 512, n, f), n);
    }
    free(buf);
    (void)fclose(f);
}

static u64 state_hash(struct block_disk *disk)
{
    struct state_io io;
    state_init_hash(&io);
    block_state(disk, &io);
    return io.hash;
}

static void commit(struct block_disk *disk)
{
    struct error err = {0};
    bool ok = block_commit(disk, &err);
    ck_assert_msg(ok, "%s", err.text);
    ck_assert_uint_eq(block_uncommitted(disk), 0);
}

static void open_fails(const char *name, enum block_format format, bool ro, enum exit_status status,
                       const char *text)
{
    struct error err = {0};
    struct block_options o = {
        .path = path_of(name), .format = format, .read_only = ro, .id = "disk0"};
    struct block_disk *disk = block_open(&o, &err);
    ck_assert_ptr_null(disk);
    ck_assert_int_eq(err.status, status);
    ck_assert_msg(strstr(err.text, text) != NULL, "%s", err.text);
    ck_assert_ptr_null(strchr(err.text, '\n'));
}

START_TEST(raw__read_write_commit)
{
    make_raw("a.raw", 1000000, 2);
    make_raw("b.raw", 1000000, 2);
    struct block_disk *disk = open_or_die("a.raw", BLOCK_FORMAT_RAW, false, false);
    ck_assert_uint_eq(block_disk_backend(disk)->sectors, 1954);
    same_as_raw(disk, "b.raw");
    scribble(disk, "b.raw", 5);
    same_as_raw(disk, "b.raw");
    ck_assert_int_ne(sh("cmp -s a.raw b.raw"), 0); /* not in the file yet */
    u64 before = state_hash(disk);
    commit(disk);
    ck_assert_uint_eq(state_hash(disk), before);
    same_as_raw(disk, "b.raw");
    block_close(disk);
    ck_assert_int_eq(sh("truncate -s %%512 a.raw b.raw; cmp a.raw b.raw"), 0);
}
END_TEST

START_TEST(overlay__going_back_behind_a_commit)
{
    make_raw("a.raw", 500000, 1);
    make_raw("first.raw", 500000, 1);
    make_raw("then.raw", 500000, 1);
    struct block_disk *disk = open_or_die("a.raw", BLOCK_FORMAT_RAW, false, false);
    struct state_io start, later;
    state_init_save(&start);
    block_state(disk, &start);
    u64 start_hash = state_hash(disk);
    scribble(disk, "then.raw", 9);
    commit(disk);
    state_init_save(&later);
    block_state(disk, &later);
    u64 later_hash = state_hash(disk);

    struct state_io io;
    state_init_load(&io, start.data, start.len);
    block_state(disk, &io);
    ck_assert(!io.failed);
    ck_assert_uint_eq(state_hash(disk), start_hash);
    same_as_raw(disk, "first.raw"); /* though the file has been overwritten */
    state_init_load(&io, later.data, later.len);
    block_state(disk, &io);
    ck_assert(!io.failed);
    ck_assert_uint_eq(state_hash(disk), later_hash);
    same_as_raw(disk, "then.raw");
    state_init_load(&io, start.data, start.len);
    block_state(disk, &io);
    commit(disk); /* the file goes back as well */
    block_close(disk);
    ck_assert_int_eq(sh("truncate -s %%512 a.raw first.raw; cmp a.raw first.raw"), 0);
    state_free(&start);
    state_free(&later);
}
END_TEST

static bool put_back(void *self, u64 offset, const u8 *bytes, u32 len)
{
    struct error err = {0};
    return block_put_before(self, offset, bytes, len, &err);
}

/* What a commit overwrites can be had before and after it, and makes the disk what it was. */
START_TEST(overlay__before_a_commit)
{
    make_raw("before.raw", 1000 * 512, 1);
    ck_assert_int_eq(sh("cp before.raw copy.raw"), 0);
    for (int after = 0; after < 2; after++) {
        ck_assert_int_eq(sh("cp copy.raw before.raw"), 0);
        struct block_disk *disk = open_or_die("before.raw", BLOCK_FORMAT_RAW, false, false);
        struct block_disk *other = open_or_die("copy.raw", BLOCK_FORMAT_RAW, false, true);
        struct block_backend *b = block_disk_backend(disk);
        struct error err = {0};
        u8 sector[512] = {0xaa};
        ck_assert(b->write(b->self, 7, 1, sector) && b->write(b->self, 999, 1, sector));
        if (after != 0) {
            commit(disk);
        }
        /* `other` gets the blocks and is written to as well: they are what it reads as, once loaded. */
        ck_assert(block_each_before(disk, put_back, other, &err));
        same_as_raw(other, "copy.raw");
        ck_assert(!block_put_before(other, 1, sector, 512, &err));
        ck_assert(!block_put_before(other, 1000 * 512, sector, 512, &err));
        block_close(other);
        if (after != 0) { /* a disk that was committed, as it was */
            struct block_disk *again = open_or_die("copy.raw", BLOCK_FORMAT_RAW, false, true);
            ck_assert(block_each_before(disk, put_back, again, &err));
            block_close(disk);
            struct block_disk *changed = open_or_die("before.raw", BLOCK_FORMAT_RAW, false, true);
            u8 data[4096];
            struct block_backend *back = block_disk_backend(again);
            for (u64 lba = 0; lba < 1000; lba += 8) {
                ck_assert(back->read(back->self, lba, 8, data));
                ck_assert(block_put_before(changed, lba * 512, data, 4096, &err));
            }
            same_as_raw(changed, "copy.raw");
            block_close(changed);
            block_close(again);
        } else {
            block_close(disk);
        }
    }
}
END_TEST

START_TEST(overlay__bounded_memory_and_truncated_state)
{
    make_raw("a.raw", 900000, 3);
    make_raw("b.raw", 900000, 3);
    struct error err = {0};
    struct block_options o = {.path = path_of("a.raw"), .overlay_memory = 16384, .id = "disk0"};
    struct block_disk *disk = block_open(&o, &err);
    ck_assert_ptr_nonnull(disk);
    scribble(disk, "b.raw", 77);
    same_as_raw(disk, "b.raw");
    struct state_io save, io;
    state_init_save(&save);
    block_state(disk, &save);
    for (size_t cut = 0; cut < save.len; cut += save.len / 13 + 1) {
        state_init_load(&io, save.data, cut);
        block_state(disk, &io);
        ck_assert(io.failed);
    }
    state_init_load(&io, save.data, save.len);
    block_state(disk, &io);
    ck_assert(!io.failed);
    same_as_raw(disk, "b.raw");
    commit(disk);
    block_close(disk);
    state_free(&save);
    ck_assert_int_eq(sh("truncate -s %%512 a.raw b.raw; cmp a.raw b.raw"), 0);
}
END_TEST

START_TEST(modes__snapshot_readonly_and_locks)
{
    make_raw("a.raw", 100000, 1);
    make_raw("b.raw", 100000, 1);
    struct block_disk *disk = open_or_die("a.raw", BLOCK_FORMAT_RAW, false, true);
    struct block_disk *other = open_or_die("a.raw", BLOCK_FORMAT_RAW, false, true);
    scribble(disk, "b.raw", 3);
    same_as_raw(disk, "b.raw");
    same_as_raw(other, "a.raw");
    commit(disk);
    open_fails("a.raw", BLOCK_FORMAT_RAW, false, EXIT_STATUS_BAD_FILE, "in use");
    block_close(disk);
    block_close(other);
    ck_assert_int_ne(sh("cmp -s a.raw b.raw"), 0);
    disk = open_or_die("a.raw", BLOCK_FORMAT_RAW, true, false);
    u8 sector[512] = {0};
    struct block_backend *b = block_disk_backend(disk);
    ck_assert(!b->write(b->self, 0, 1, sector));
    ck_assert(!b->read(b->self, b->sectors, 1, sector));
    block_close(disk);
}
END_TEST

START_TEST(errors__one_clear_line)
{
    open_fails("absent", BLOCK_FORMAT_RAW, true, EXIT_STATUS_NO_FILE, "no such file");
    open_fails(".", BLOCK_FORMAT_RAW, true, EXIT_STATUS_BAD_FILE, "not a regular file");
    (void)sh(": >empty");
    open_fails("empty", BLOCK_FORMAT_PROBE, true, EXIT_STATUS_BAD_FILE, "empty");
    make_raw("locked.raw", 4096, 1);
    ck_assert_int_eq(chmod(path_of("locked.raw"), 0444), 0);
    open_fails("locked.raw", BLOCK_FORMAT_RAW, false, EXIT_STATUS_BAD_FILE, "readonly=on");
    open_fails("locked.raw", BLOCK_FORMAT_QCOW2, true, EXIT_STATUS_BAD_FILE, "not a qcow2");
}
END_TEST

/* A guest must not choose how its raw disk is read the next time. */
START_TEST(raw__probed_disk_cannot_become_qcow2)
{
    make_raw("a.raw", 65536, 1);
    u8 sector[512] = "QFI\xfb";
    struct block_disk *disk = open_or_die("a.raw", BLOCK_FORMAT_PROBE, false, false);
    struct block_backend *b = block_disk_backend(disk);
    ck_assert(!b->write(b->self, 0, 1, sector));
    ck_assert(b->write(b->self, 1, 1, sector));
    ck_assert_int_eq(block_trouble(disk)->status, EXIT_STATUS_BAD_FILE);
    block_close(disk);
    disk = open_or_die("a.raw", BLOCK_FORMAT_RAW, false, false);
    b = block_disk_backend(disk);
    ck_assert(b->write(b->self, 0, 1, sector));
    block_close(disk);
}
END_TEST

/* qemu-img makes the image with these options; it reads right, takes writes, passes the check. */
static const struct {
    const char *name, *options, *convert;
    u64 size;
} images[] = {
    {"v3", "compat=1.1", "", 6000128},
    {"v2", "compat=0.10", "", 6000128},
    {"small clusters", "cluster_size=512", "", 2000384},
    {"large clusters", "cluster_size=2M", "", 9000448},
    {"1-bit counts", "refcount_bits=1,cluster_size=4k", "", 3000320},
    {"64-bit counts", "refcount_bits=64,cluster_size=512", "", 3000320},
    {"8-bit counts", "refcount_bits=8", "", 3000320},
    {"zlib", "compression_type=zlib", "-c", 6000128},
    {"zlib v2", "compat=0.10,cluster_size=4k", "-c", 3000320},
    {"zstd", "compression_type=zstd", "-c", 6000128},
    {"lazy", "lazy_refcounts=on", "", 3000320},
    {"preallocated", "preallocation=metadata", "", 3000320},
};

START_TEST(qcow2__read_write_commit)
{
    if (skipped("qcow2__read_write_commit")) {
        return;
    }
    make_raw("b.raw", images[_i].size, 3);
    int rc = sh("qemu-img convert -q -f raw -O qcow2 %s -o %s b.raw a.qcow2", images[_i].convert,
                images[_i].options);
    ck_assert_msg(rc == 0, "%s", images[_i].name);
    struct block_disk *disk = open_or_die("a.qcow2", BLOCK_FORMAT_PROBE, false, false);
    same_as_raw(disk, "b.raw");
    for (u32 round = 0; round < 3; round++) {
        scribble(disk, "b.raw", 100 * round + 1);
        same_as_raw(disk, "b.raw");
        commit(disk);
        same_as_raw(disk, "b.raw");
    }
    block_close(disk);
    ck_assert_msg(sh("qemu-img check -q a.qcow2") == 0, "%s", images[_i].name);
    ck_assert_msg(sh("qemu-img compare -q a.qcow2 -F raw b.raw") == 0, "%s", images[_i].name);
    disk = open_or_die("a.qcow2", BLOCK_FORMAT_QCOW2, true, false);
    same_as_raw(disk, "b.raw");
    block_close(disk);
}
END_TEST

START_TEST(qcow2__backing_and_snapshots)
{
    if (skipped("qcow2__backing_and_snapshots")) {
        return;
    }
    make_raw("base.raw", 2000384, 2);
    make_raw("b.raw", 2000384, 2);
    ck_assert_int_eq(sh("mkdir -p sub && truncate -s 5000192 b.raw && "
                        "qemu-img create -q -f qcow2 -b ../base.raw -F raw sub/mid.qcow2 && "
                        "qemu-img create -q -f qcow2 -b sub/mid.qcow2 -F qcow2 top.qcow2 5000192"),
                     0);
    struct block_disk *disk = open_or_die("top.qcow2", BLOCK_FORMAT_PROBE, false, false);
    same_as_raw(disk, "b.raw");
    scribble(disk, "b.raw", 7);
    commit(disk);
    block_close(disk);
    ck_assert_int_eq(sh("qemu-img snapshot -c one top.qcow2 && cp b.raw one.raw"), 0);
    disk = open_or_die("top.qcow2", BLOCK_FORMAT_PROBE, false, false);
    scribble(disk, "b.raw", 8);
    commit(disk);
    same_as_raw(disk, "b.raw");
    block_close(disk);
    ck_assert_int_eq(
        sh("qemu-img check -q top.qcow2 && qemu-img compare -q top.qcow2 -F raw b.raw "
           "&& qemu-img snapshot -a one top.qcow2 && "
           "qemu-img compare -q top.qcow2 -F raw one.raw && qemu-img check -q top.qcow2"),
        0);
}
END_TEST

START_TEST(qcow2__refused)
{
    if (skipped("qcow2__refused")) {
        return;
    }
    ck_assert_int_eq(
        sh("qemu-img create -q -f qcow2 ok.qcow2 1M; qemu-img create -q -f qcow2 -o "
           "extended_l2=on ext.qcow2 1M; qemu-img create -q -f qcow2 -o data_file=d.raw "
           "data.qcow2 1M; qemu-img create -q -f qcow2 -u -b absent.raw -F raw orphan.qcow2 1M; "
           "qemu-img create -q -f qcow2 -u -b nbd://x/y -F raw nbd.qcow2 1M;"
           "qemu-img create -q -f qcow2 -u -b self.qcow2 -F qcow2 t 1M; mv t self.qcow2;"
           "cp ok.qcow2 feature.qcow2; printf '\\200' | dd of=feature.qcow2 bs=1 seek=72 "
           "conv=notrunc status=none;"
           "cp ok.qcow2 dirty.qcow2; printf '\\001' | dd of=dirty.qcow2 bs=1 seek=79 "
           "conv=notrunc status=none;"
           "cp ok.qcow2 cut.qcow2; truncate -s 196608 cut.qcow2; head -c 40 ok.qcow2 >head.qcow2;"
           "cp ok.qcow2 rc.qcow2; printf '\\0\\0' | dd of=rc.qcow2 bs=1 seek=131072 "
           "conv=notrunc status=none"),
        0);
    enum exit_status bad = EXIT_STATUS_BAD_FILE;
    open_fails("ext.qcow2", BLOCK_FORMAT_PROBE, true, bad, "extended L2");
    open_fails("data.qcow2", BLOCK_FORMAT_PROBE, true, bad, "external data file");
    open_fails("orphan.qcow2", BLOCK_FORMAT_PROBE, true, EXIT_STATUS_NO_FILE, "absent.raw");
    open_fails("nbd.qcow2", BLOCK_FORMAT_PROBE, true, bad, "not a plain file");
    open_fails("self.qcow2", BLOCK_FORMAT_PROBE, true, bad, "backing files");
    open_fails("feature.qcow2", BLOCK_FORMAT_PROBE, true, bad, "feature bit 63");
    open_fails("dirty.qcow2", BLOCK_FORMAT_PROBE, false, bad, "marked dirty");
    open_fails("cut.qcow2", BLOCK_FORMAT_PROBE, true, bad, "truncated");
    open_fails("head.qcow2", BLOCK_FORMAT_PROBE, true, bad, "not a qcow2");
    open_fails("rc.qcow2", BLOCK_FORMAT_PROBE, false, bad, "qemu-img check");
    block_close(open_or_die("dirty.qcow2", BLOCK_FORMAT_PROBE, true, false));
    block_close(open_or_die("rc.qcow2", BLOCK_FORMAT_PROBE, false, true));
}
END_TEST

/* Enough clusters that blocks of counts, and the table of blocks, must be added. */
START_TEST(qcow2__refcount_table_grows)
{
    if (skipped("qcow2__refcount_table_grows")) {
        return;
    }
    ck_assert_int_eq(
        sh("qemu-img create -q -f qcow2 -o cluster_size=512,refcount_bits=64 a.qcow2 4M"
           " && truncate -s 0 b.raw && truncate -s 4M b.raw"),
        0);
    struct block_disk *disk = open_or_die("a.qcow2", BLOCK_FORMAT_PROBE, false, false);
    struct block_backend *b = block_disk_backend(disk);
    FILE *f = fopen(path_of("b.raw"), "r+b");
    u8 buf[4096];
    for (u64 at = 0; at < MIB(4); at += sizeof buf) {
        fill(buf, at, sizeof buf, 3);
        ck_assert(b->write(b->self, at / 512, 8, buf));
        ck_assert_uint_eq(fwrite(buf, 1, sizeof buf, f), sizeof buf);
    }
    (void)fclose(f);
    commit(disk);
    block_close(disk);
    ck_assert_int_eq(sh("qemu-img check -q a.qcow2 && qemu-img compare -q a.qcow2 -F raw b.raw"),
                     0);
}
END_TEST

int main(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/vitrine-block-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return 1;
    }
    have_qemu_img = system("qemu-img --version >/dev/null 2>&1") == 0;
    Suite *s = suite_create("block");
    TCase *t = tcase_create("images");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, raw__read_write_commit);
    tcase_add_test(t, overlay__going_back_behind_a_commit);
    tcase_add_test(t, overlay__before_a_commit);
    tcase_add_test(t, overlay__bounded_memory_and_truncated_state);
    tcase_add_test(t, modes__snapshot_readonly_and_locks);
    tcase_add_test(t, errors__one_clear_line);
    tcase_add_test(t, raw__probed_disk_cannot_become_qcow2);
    tcase_add_loop_test(t, qcow2__read_write_commit, 0, (int)ARRAY_LEN(images));
    tcase_add_test(t, qcow2__backing_and_snapshots);
    tcase_add_test(t, qcow2__refused);
    tcase_add_test(t, qcow2__refcount_table_grows);
    suite_add_tcase(s, t);
    int status = unit_run(s);
    (void)sh("rm -rf sub ./*");
    (void)rmdir(dir);
    return status;
}
