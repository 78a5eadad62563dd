/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Host files under disk images. A file is locked while it is open: shared for reading, exclusive
 * for writing, so that no other run changes a disk under a guest that reads it. */
#include "machine/host/block_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static bool open_failed(const char *path, bool writable, struct error *err)
{
    int e = errno;
    if (e == ENOENT || e == ENOTDIR) {
        return error_set(err, EXIT_STATUS_NO_FILE, "%s: no such file", path);
    }
    if (writable && (e == EACCES || e == EPERM || e == EROFS || e == ETXTBSY)) {
        return error_set(err, EXIT_STATUS_BAD_FILE,
                         "%s: not writable; use readonly=on or snapshot=on", path);
    }
    return error_set(err, EXIT_STATUS_BAD_FILE, "%s: %s", path, strerror(e));
}

static bool measure(struct host_file *f, struct error *err)
{
    struct stat st;
    if (fstat(f->fd, &st) != 0) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: %s", f->path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: not a regular file", f->path);
    }
    /* Root may open it all the same; its owner meant it otherwise. */
    if (f->writable && S_ISREG(st.st_mode) && (st.st_mode & 0222) == 0) {
        errno = EACCES;
        return open_failed(f->path, true, err);
    }
    off_t end = lseek(f->fd, 0, SEEK_END);
    if (end < 0) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: %s", f->path, strerror(errno));
    }
    f->size = (u64)end;
    if (flock(f->fd, (f->writable ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: in use by another run%s", f->path,
                         f->writable ? "; use readonly=on or snapshot=on" : " that writes to it");
    }
    return true;
}

bool host_file_open(struct host_file *f, const char *path, bool writable, struct error *err)
{
    *f = (struct host_file){.fd = -1, .writable = writable};
    f->fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0) {
        return open_failed(path, writable, err);
    }
    f->path = strdup(path);
    if (f->path == NULL || !measure(f, err)) {
        host_file_close(f);
        return error_set(err, EXIT_STATUS_INTERNAL, "out of memory");
    }
    return true;
}

bool host_file_memory(struct host_file *f, const void *data, size_t len, const char *name)
{
    *f = (struct host_file){.fd = -1, .writable = true, .size = len, .mem_cap = len};
    f->mem = malloc(len + 1);
    f->path = strdup(name);
    if (f->mem == NULL || f->path == NULL) {
        host_file_close(f);
        return false;
    }
    if (len > 0) {
        memcpy(f->mem, data, len);
    }
    return true;
}

void host_file_close(struct host_file *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    free(f->mem);
    free(f->path);
    *f = (struct host_file){.fd = -1};
}

bool host_file_read(const struct host_file *f, u64 offset, void *buf, u64 len, struct error *err)
{
    if (offset > f->size || len > f->size - offset) {
        return error_set(err, EXIT_STATUS_BAD_FILE,
                         "%s: truncated: needs %llu bytes at offset %llu, has %llu in all", f->path,
                         (unsigned long long)len, (unsigned long long)offset,
                         (unsigned long long)f->size);
    }
    if (f->fd < 0) {
        memcpy(buf, f->mem + offset, len);
        return true;
    }
    u8 *to = buf;
    while (len > 0) {
        ssize_t n = pread(f->fd, to, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot read: %s", f->path,
                             n == 0 ? "file has become shorter" : strerror(errno));
        }
        to += n;
        offset += (u64)n;
        len -= (u64)n;
    }
    return true;
}

static bool write_memory(struct host_file *f, u64 offset, const void *buf, u64 len,
                         struct error *err)
{
    u64 end = offset + len;
    if (end > f->mem_cap) {
        u64 cap = end + end / 2;
        u8 *grown = end < offset || end > GIB(1) ? NULL : realloc(f->mem, cap);
        if (grown == NULL) {
            return error_set(err, EXIT_STATUS_BAD_FILE, "%s: too large", f->path);
        }
        f->mem = grown;
        f->mem_cap = cap;
    }
    if (end > f->size) {
        memset(f->mem + f->size, 0, end - f->size);
        f->size = end;
    }
    memcpy(f->mem + offset, buf, len);
    return true;
}

bool host_file_write(struct host_file *f, u64 offset, const void *buf, u64 len, struct error *err)
{
    if (f->fd < 0) {
        return write_memory(f, offset, buf, len, err);
    }
    const u8 *from = buf;
    while (len > 0) {
        ssize_t n = pwrite(f->fd, from, len, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot write: %s", f->path,
                             strerror(errno));
        }
        from += n;
        offset += (u64)n;
        len -= (u64)n;
        f->size = offset > f->size ? offset : f->size;
    }
    return true;
}

bool host_file_sync(struct host_file *f, struct error *err)
{
    if (f->fd >= 0 && fdatasync(f->fd) != 0 && errno != EINVAL && errno != EROFS) {
        return error_set(err, EXIT_STATUS_BAD_FILE, "%s: cannot write: %s", f->path,
                         strerror(errno));
    }
    return true;
}
