/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The benchmark guest: small kernels, each between two marks on standard output. A static Linux program: run it on the
 * host, or as /init of a stock kernel. The marks
 *     @@ BEGIN name
 *     @@ END name checksum
 * are all it prints, so that whoever reads them can take host CPU time per kernel; with `own` in the environment it
 * adds its own CPU seconds (children included) for runs on the host. `scale` (default 16) is the amount of work,
 * `only` names one kernel. Checksums depend on `scale` alone, and not on the machine. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;

static u64 scale = 16;
static u8 text[1 << 16];

static u64 next(u64 *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Words of a small vocabulary: compressible, branches hard to foresee. */
static void make_text(void)
{
    static const char *const words[] = {"page ", "table ", "walk ", "of ", "the ", "guest\n", "exit ", "a "};
    u64 x = 99;
    for (size_t at = 0; at < sizeof text;) {
        const char *w = words[next(&x) & 7];
        while (*w != '\0' && at < sizeof text) {
            text[at++] = (u8)*w++;
        }
    }
}

/* ---- integers ---- */

static u64 sieve(void)
{
    static u8 composite[1 << 15];
    u64 sum = 0;
    for (u64 n = 0; n < 4 * scale; n++) {
        memset(composite, 0, sizeof composite);
        for (u32 i = 2; i < sizeof composite; i++) {
            if (!composite[i]) {
                sum += i + n;
                for (u32 k = 2 * i; k < sizeof composite; k += i) {
                    composite[k] = 1;
                }
            }
        }
    }
    return sum;
}

static u64 count_words(void)
{
    u64 sum = 0;
    for (u64 n = 0; n < 2 * scale; n++) {
        u32 h = 2166136261u;
        for (size_t i = 0; i < sizeof text; i++) {
            if (text[i] == ' ' || text[i] == '\n') {
                sum += h;
                h = 2166136261u;
            } else {
                h = (h ^ text[i]) * 16777619u;
            }
        }
    }
    return sum;
}

static u64 divide(void)
{
    u64 x = 12345, sum = 0;
    for (u64 i = 0; i < 60000 * scale; i++) {
        u64 a = next(&x), b = (a >> 40) + 1;
        sum += a / b + (u32)a % (u32)(b | 1);
    }
    return sum;
}

static __attribute__((noinline)) u64 fib(u64 n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2) + (n & 1);
}

static u64 calls(void)
{
    u64 sum = 0;
    for (u64 n = 0; n < 10 * scale; n++) {
        sum += fib(20 + (n & 1));
    }
    return sum;
}

static u64 op_add(u64 a) { return a + 3; }
static u64 op_mul(u64 a) { return a * 5; }
static u64 op_xor(u64 a) { return a ^ (a >> 9); }
static u64 op_rot(u64 a) { return a << 11 | a >> 53; }

static u64 indirect(void)
{
    static u64 (*volatile const ops[4])(u64) = {op_add, op_mul, op_xor, op_rot};
    u64 x = 7, a = 1;
    for (u64 i = 0; i < 40000 * scale; i++) {
        a = ops[next(&x) & 3](a);
    }
    return a;
}

static u32 ror(u32 v, unsigned n) { return v >> n | v << (32 - n); }

static u64 sha256(void)
{
    static u32 k[64];
    u32 h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (unsigned i = 0; i < 64; i++) {
        k[i] = 0x428a2f98u + i * 0x9e3779b9u; /* any constants: it is the shape that matters */
    }
    for (u64 n = 0; n < 200 * scale; n++) {
        const u8 *p = text + (n & 1023) * 64;
        u32 w[64], s[8];
        for (unsigned i = 0; i < 16; i++) {
            w[i] = (u32)p[4 * i] << 24 | (u32)p[4 * i + 1] << 16 | (u32)p[4 * i + 2] << 8 | p[4 * i + 3];
        }
        for (unsigned i = 16; i < 64; i++) {
            u32 a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + w[i - 7] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) + (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
        }
        memcpy(s, h, sizeof s);
        for (unsigned i = 0; i < 64; i++) {
            u32 t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
            u32 t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 28);
            s[4] += t1;
            s[0] = t1 + t2;
        }
        for (unsigned i = 0; i < 8; i++) {
            h[i] += s[i];
        }
    }
    return (u64)h[0] << 32 | h[7];
}

/* Matches by a hash of three bytes, as DEFLATE's quick level does. */
static u64 compress(void)
{
    static u32 head[4096];
    u64 sum = 0;
    for (u64 n = 0; n < scale; n++) {
        memset(head, 0, sizeof head);
        for (size_t i = 1; i + 64 < sizeof text;) {
            u32 h = ((u32)text[i] << 16 | (u32)text[i + 1] << 8 | text[i + 2]) * 2654435761u >> 20;
            size_t at = head[h], len = 0;
            head[h] = (u32)i;
            if (at != 0) {
                while (len < 60 && text[at + len] == text[i + len]) {
                    len++;
                }
            }
            sum = sum * 31 + len;
            i += len > 3 ? len : 1;
        }
    }
    return sum;
}

/* ---- memory ---- */

static u64 copy(void)
{
    static u64 a[8192], b[8192];
    u64 sum = 0;
    for (u64 n = 0; n < 40 * scale; n++) {
        for (size_t i = 0; i < 8192; i++) {
            b[i] = a[i] + n;
            __asm__ volatile("" : : : "memory"); /* one by one */
        }
        a[n & 8191] = b[(n * 7) & 8191] + 1;
        sum += b[n & 8191];
    }
    return sum;
}

static u64 chase(void)
{
    static u32 link[1 << 16];
    u64 x = 5;
    for (u32 i = 0; i < 1 << 16; i++) {
        link[i] = i;
    }
    for (u32 i = (1 << 16) - 1; i > 0; i--) {
        u32 j = (u32)(next(&x) % i), swap = link[i];
        link[i] = link[j];
        link[j] = swap;
    }
    u32 at = 0;
    for (u64 i = 0; i < 60000 * scale; i++) {
        at = link[at];
    }
    return at;
}

static u64 strings(void)
{
    static u8 a[20000], b[20000];
    u64 sum = 0;
    for (u64 n = 0; n < 400 * scale; n++) {
        void *d = b + (n & 31);
        const void *s = a;
        size_t c = 16384;
        a[n & 16383] = (u8)n;
        __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(c) : : "memory");
        d = a + 8192;
        c = 512 + (n & 255);
        __asm__ volatile("rep stosq" : "+D"(d), "+c"(c) : "a"(n) : "memory");
        for (unsigned i = 0; i < 20; i++) { /* short ones */
            d = b + 100 * i;
            s = text + 50 * i;
            c = 20 + i;
            __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(c) : : "memory");
        }
        sum += b[n & 16383] + a[8200];
    }
    return sum;
}

/* ---- floating point ---- */

static u64 bits_of(double v)
{
    u64 b;
    memcpy(&b, &v, sizeof b);
    return b;
}

#define NBODY(name, type)                                                                          \
    static u64 name(void)                                                                          \
    {                                                                                              \
        type x[5] = {0, 4.8, 8.3, 12.8, 15.3}, y[5] = {0, -1.1, 4.1, -15.1, -25.9}, vx[5] = {0}, vy[5] = {0}; \
        static const double m[5] = {39.4, 0.037, 0.011, 0.0017, 0.002};                            \
        for (u64 n = 0; n < (6000 * scale) / (sizeof(type) > 8 ? 4 : 1); n++) {                    \
            for (unsigned i = 0; i < 5; i++) {                                                     \
                for (unsigned k = i + 1; k < 5; k++) {                                             \
                    type dx = x[i] - x[k], dy = y[i] - y[k], d2 = dx * dx + dy * dy + (type)0.01;  \
                    type f = (type)0.001 / (d2 * d2);                                              \
                    vx[i] -= dx * (type)m[k] * f, vy[i] -= dy * (type)m[k] * f;                    \
                    vx[k] += dx * (type)m[i] * f, vy[k] += dy * (type)m[i] * f;                    \
                }                                                                                  \
            }                                                                                      \
            for (unsigned i = 0; i < 5; i++) {                                                     \
                x[i] += (type)0.001 * vx[i], y[i] += (type)0.001 * vy[i];                          \
            }                                                                                      \
        }                                                                                          \
        return bits_of((double)(x[1] + y[2] + vx[3]));                                             \
    }
NBODY(scalar, double)
NBODY(x87, long double)

typedef float v4 __attribute__((vector_size(16)));

static u64 vector(void)
{
    static v4 a[256], b[256];
    v4 sum = {0, 0, 0, 0};
    for (unsigned i = 0; i < 256; i++) {
        a[i] = (v4){(float)i, 1, 2, (float)(i & 7)};
        b[i] = (v4){1, (float)i, 0.5f, 3};
    }
    for (u64 n = 0; n < 700 * scale; n++) {
        for (unsigned i = 0; i < 256; i++) {
            sum = sum * 0.5f + a[i] * b[i ^ (n & 15)];
        }
    }
    return bits_of((double)(sum[0] + sum[1] + sum[2] + sum[3]));
}

/* ---- the system ---- */

static u64 syscalls(void)
{
    u64 sum = 0;
    for (u64 i = 0; i < 4000 * scale; i++) {
        sum += (u64)(syscall(SYS_getppid) >= 0);
    }
    return sum;
}

static u64 faults(void)
{
    u64 sum = 0;
    for (u64 n = 0; n < scale; n++) {
        u8 *p = mmap(NULL, 256 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            return 0;
        }
        for (unsigned i = 0; i < 256; i++) {
            p[4096 * i] = (u8)(i + n);
            sum += p[4096 * i];
        }
        munmap(p, 256 * 4096);
    }
    return sum;
}

static u64 forks(void)
{
    u64 sum = 0;
    for (u64 n = 0; n < 6 * scale; n++) {
        pid_t pid = fork();
        if (pid == 0) {
            _exit((int)(n & 63));
        }
        int status = 0;
        if (waitpid(pid, &status, 0) == pid) {
            sum += (u64)WEXITSTATUS(status) + 1;
        }
    }
    return sum;
}

static u64 switches(void)
{
    int there[2], back[2];
    u64 sum = 0;
    if (pipe(there) != 0 || pipe(back) != 0) {
        return 0;
    }
    pid_t pid = fork();
    u8 c = 0;
    if (pid == 0) {
        close(there[1]);
        while (read(there[0], &c, 1) == 1) {
            c++;
            if (write(back[1], &c, 1) != 1) {
                break;
            }
        }
        _exit(0);
    }
    for (u64 n = 0; n < 100 * scale; n++) {
        if (write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1) {
            sum += c;
        }
    }
    close(there[1]);
    close(there[0]);
    close(back[0]);
    close(back[1]);
    waitpid(pid, NULL, 0);
    return sum;
}

static u64 rewrites(void)
{
    u8 *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    u64 sum = 0;
    if (code == MAP_FAILED) {
        return 0;
    }
    memcpy(code, "\xb8\x00\x00\x00\x00\xc3", 6); /* mov eax, imm32; ret */
    u32 (*fn)(void);
    memcpy(&fn, &code, sizeof fn);
    for (u64 n = 0; n < 500 * scale; n++) {
        u32 v = (u32)(n * 77);
        memcpy(code + 1, &v, 4);
        __builtin___clear_cache((char *)code, (char *)code + 6);
        sum += fn();
    }
    munmap(code, 4096);
    return sum;
}

static const struct kernel {
    const char *name;
    u64 (*run)(void);
} kernels[] = {
    {"sieve", sieve},     {"words", count_words}, {"divide", divide},   {"calls", calls},       {"indirect", indirect},
    {"sha256", sha256},   {"compress", compress}, {"copy", copy},       {"chase", chase},       {"strings", strings},
    {"scalar", scalar},   {"vector", vector},     {"x87", x87},         {"syscalls", syscalls}, {"faults", faults},
    {"forks", forks},     {"switches", switches}, {"rewrites", rewrites},
};

static double cpu_seconds(void)
{
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return (double)(self.ru_utime.tv_sec + self.ru_stime.tv_sec + children.ru_utime.tv_sec + children.ru_stime.tv_sec) +
           1e-6 * (double)(self.ru_utime.tv_usec + self.ru_stime.tv_usec + children.ru_utime.tv_usec + children.ru_stime.tv_usec);
}

int main(void)
{
    const char *amount = getenv("scale"), *only = getenv("only"), *own = getenv("own");
    if (amount != NULL) {
        scale = strtoull(amount, NULL, 10);
    }
    make_text();
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (only != NULL && strcmp(only, kernels[i].name) != 0) {
            continue;
        }
        printf("@@ BEGIN %s\n", kernels[i].name);
        double before = cpu_seconds();
        u64 sum = kernels[i].run();
        double used = cpu_seconds() - before;
        printf("@@ END %s %016llx\n", kernels[i].name, (unsigned long long)sum);
        if (own != NULL) {
            printf("@@ CPU %s %.6f\n", kernels[i].name, used);
        }
    }
    printf("@@ DONE\n");
    if (getpid() == 1) {
        reboot(RB_POWER_OFF);
    }
    return 0;
}
