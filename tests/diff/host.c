/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host's side: one instruction with every register a user program has.
 *
 * The way in is IRETQ, which loads RIP, RSP, RFLAGS and the code segment at once and serialises, so
 * that code written through an alias is seen. Two ways out: a jump behind the instruction, to
 * diff_leave; or a signal, whose handler takes the registers from its frame. FS and GS bases are the
 * case's own in between; the signal handler is entered with them, so it begins in assembler. The
 * context is one static object, reached relative to RIP: one user, one thread. */
#define _GNU_SOURCE
#include "tests/diff/host.h"

#include <string.h>

#if defined(__x86_64__) && defined(__linux__)

#include <elf.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define HWCAP2_FSGSBASE_BIT 2u
#define ALTSTACK_BYTES 65536u
#define CODE_PAGES 3u
#define VSYSCALL_PAGE 0xffffffffff600000u

struct diff_context {
    struct diff_state state;
    struct {
        u64 trapno, error, cr2;
        bool signalled;
    } fault;
};
_Static_assert(offsetof(struct diff_state, rflags) == 128, "");
_Static_assert(offsetof(struct diff_state, rip) == 136, "");
_Static_assert(offsetof(struct diff_state, fs_base) == 144, "");
_Static_assert(offsetof(struct diff_state, vec) == 160, "");
_Static_assert(offsetof(struct diff_state, fx) == 704, "");

struct diff_context diff_context __attribute__((visibility("hidden")));
u64 diff_host_rsp __attribute__((visibility("hidden")));
u64 diff_host_fs __attribute__((visibility("hidden")));
u64 diff_host_gs __attribute__((visibility("hidden")));
u64 diff_cs __attribute__((visibility("hidden")));
u64 diff_data_segment __attribute__((visibility("hidden")));
u32 diff_mxcsr __attribute__((visibility("hidden"))) = 0x1f80;
static volatile bool armed;

static struct {
    u8 *window, *code; /* aliases */
    u8 *altstack;
} host;

void diff_enter(void);
void diff_leave(void);
void diff_leave_fault(void);
void diff_on_signal(int sig, siginfo_t *info, void *context);
void diff_signal(int sig, siginfo_t *info, void *context);

#define CTX "diff_context"
#define EACH_GPR(m)                                                                                \
    m("0", "rax") m("8", "rcx") m("16", "rdx") m("24", "rbx") m("40", "rbp") m("48", "rsi")        \
    m("56", "rdi") m("64", "r8") m("72", "r9") m("80", "r10") m("88", "r11") m("96", "r12")        \
    m("104", "r13") m("112", "r14") m("120", "r15")
#define LOAD_GPR(at, reg) "mov " CTX "+" at "(%rip), %" reg "\n"
#define SAVE_GPR(at, reg) "mov %" reg ", " CTX "+" at "(%rip)\n"
#define EACH_YMM(m)                                                                                \
    m("0") m("1") m("2") m("3") m("4") m("5") m("6") m("7") m("8") m("9") m("10") m("11") m("12")  \
    m("13") m("14") m("15")
#define LOAD_YMM(n) "vmovdqa " CTX "+160+32*" n "(%rip), %ymm" n "\n"
#define SAVE_YMM(n) "vmovdqa %ymm" n ", " CTX "+160+32*" n "(%rip)\n"

__asm__(".text\n"
        ".type diff_enter, @function\n"
        ".hidden diff_enter\n"
        "diff_enter:\n"
        "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "fxrstor64 " CTX "+704(%rip)\n" EACH_YMM(LOAD_YMM)
        "mov %rsp, diff_host_rsp(%rip)\n"
        "mov diff_data_segment(%rip), %rax\n"
        "test %eax, %eax\n"
        "je 1f\n"
        "mov %eax, %ds\nmov %eax, %es\n"
        "1:\n"
        "mov " CTX "+144(%rip), %rax\nwrfsbase %rax\n"
        "mov " CTX "+152(%rip), %rax\nwrgsbase %rax\n"
        "pushq $0x2b\n"
        "pushq " CTX "+32(%rip)\n"
        "pushq " CTX "+128(%rip)\n"
        "pushq diff_cs(%rip)\n"
        "pushq " CTX "+136(%rip)\n" EACH_GPR(LOAD_GPR)
        "iretq\n"
        ".size diff_enter, . - diff_enter\n"

        /* The instruction completed. MOV leaves the flags alone. */
        ".type diff_leave, @function\n"
        ".hidden diff_leave\n"
        "diff_leave:\n" EACH_GPR(SAVE_GPR)
        "mov %rsp, " CTX "+32(%rip)\n"
        "mov diff_host_rsp(%rip), %rsp\n"
        "pushfq\n"
        "popq " CTX "+128(%rip)\n"
        "pushq $2\npopfq\n"
        "rdfsbase %rax\nmov %rax, " CTX "+144(%rip)\n"
        "rdgsbase %rax\nmov %rax, " CTX "+152(%rip)\n"
        "mov diff_host_fs(%rip), %rax\nwrfsbase %rax\n"
        "mov diff_host_gs(%rip), %rax\nwrgsbase %rax\n"

        /* It faulted: the signal handler stored registers, flags and bases and set RSP. */
        ".type diff_leave_fault, @function\n"
        ".hidden diff_leave_fault\n"
        "diff_leave_fault:\n"
        "cmpq $0, diff_data_segment(%rip)\n"
        "je 1f\n"
        "xor %eax, %eax\nmov %eax, %ds\nmov %eax, %es\n"
        "1:\n" EACH_YMM(SAVE_YMM)
        "fxsave64 " CTX "+704(%rip)\n"
        "vzeroupper\n"
        "fninit\n"
        "ldmxcsr diff_mxcsr(%rip)\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\n"
        "ret\n"
        ".size diff_leave, . - diff_leave\n"

        /* C code expects AC clear and its own FS base. */
        ".type diff_on_signal, @function\n"
        ".hidden diff_on_signal\n"
        "diff_on_signal:\n"
        "pushfq\nandq $~0x44000, (%rsp)\npopfq\n"
        "rdfsbase %rax\nmov %rax, " CTX "+144(%rip)\n"
        "rdgsbase %rax\nmov %rax, " CTX "+152(%rip)\n"
        "mov diff_host_fs(%rip), %rax\nwrfsbase %rax\n"
        "mov diff_host_gs(%rip), %rax\nwrgsbase %rax\n"
        "jmp diff_signal\n"
        ".size diff_on_signal, . - diff_on_signal\n");

static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
static const int fault_signals[5] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

void diff_signal(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *regs = uc->uc_mcontext.gregs;
    UNUSED(info);
    if (!armed) {
        (void)signal(sig, SIG_DFL); /* not the instruction: fault again and die */
        return;
    }
    armed = false;
    for (unsigned i = 0; i < 16; i++) {
        diff_context.state.gpr[i] = (u64)regs[greg_of[i]];
    }
    diff_context.state.rflags = (u64)regs[REG_EFL];
    diff_context.state.rip = (u64)regs[REG_RIP];
    diff_context.fault.signalled = true;
    diff_context.fault.trapno = (u64)regs[REG_TRAPNO];
    diff_context.fault.error = (u64)regs[REG_ERR];
    diff_context.fault.cr2 = (u64)regs[REG_CR2];
    regs[REG_RIP] = (greg_t)(uintptr_t)diff_leave_fault;
    regs[REG_RSP] = (greg_t)diff_host_rsp;
    regs[REG_EFL] = 0x202;
    u64 segments = (u64)regs[REG_CSGSFS];
    regs[REG_CSGSFS] = (greg_t)((segments & ~(u64)0xffff) | 0x33);
}

static u8 *map_shared(int fd, u64 fixed, u64 pages, u64 offset, int prot)
{
    int flags = MAP_SHARED | (fixed != 0 ? MAP_FIXED_NOREPLACE : 0);
    void *p = mmap((void *)(uintptr_t)fixed, pages * 4096, prot, flags, fd, (off_t)(offset * 4096));
    return p == MAP_FAILED ? NULL : p;
}

static bool map_memory(void)
{
    int fd = memfd_create("difffuzz", 0);
    if (fd < 0 || ftruncate(fd, (WINDOW_PAGES + CODE_PAGES) * 4096) != 0) {
        return false;
    }
    host.window = map_shared(fd, 0, WINDOW_PAGES, 0, PROT_READ | PROT_WRITE);
    host.code = map_shared(fd, 0, CODE_PAGES, WINDOW_PAGES, PROT_READ | PROT_WRITE);
    bool ok = host.window != NULL && host.code != NULL &&
              map_shared(fd, WINDOW, 2, 0, PROT_READ | PROT_WRITE) != NULL &&
              map_shared(fd, WINDOW + 2 * 4096, 1, 2, PROT_READ) != NULL &&
              map_shared(fd, CODE_EXACT, 1, WINDOW_PAGES, PROT_READ | PROT_EXEC) != NULL &&
              map_shared(fd, CODE_QUICK, 1, WINDOW_PAGES + 1, PROT_READ | PROT_EXEC) != NULL &&
              map_shared(fd, CODE_LEAVE, 1, WINDOW_PAGES + 2, PROT_READ | PROT_EXEC) != NULL;
    (void)close(fd);
    /* Resident, so that page faults are the instruction's and tell the same of each page. */
    return ok && mlock((void *)(uintptr_t)WINDOW, WINDOW_BYTES) == 0 &&
           mlock((void *)(uintptr_t)CODE_EXACT, 4096) == 0 && mlock((void *)(uintptr_t)CODE_QUICK, 4096) == 0 &&
           mlock((void *)(uintptr_t)CODE_LEAVE, 4096) == 0;
}

bool host_open(void)
{
    static const u8 jump_indirect[8] = {0xff, 0x25, 2, 0, 0, 0}; /* JMP [RIP + 2]: aligned */
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx") || (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT) == 0 ||
        !map_memory()) {
        return false;
    }
    memset(host.code, 0xf4, CODE_PAGES * 4096); /* HLT */
    void (*back)(void) = diff_leave;
    u8 *leave = host_code(CODE_LEAVE);
    memcpy(leave, jump_indirect, sizeof jump_indirect);
    memcpy(leave + sizeof jump_indirect, &back, sizeof back);
    __asm__ volatile("rdfsbase %0\nrdgsbase %1" : "=r"(diff_host_fs), "=r"(diff_host_gs));
    host.altstack = malloc(ALTSTACK_BYTES);
    if (host.altstack == NULL) {
        return false;
    }
    stack_t stack = {.ss_sp = host.altstack, .ss_size = ALTSTACK_BYTES};
    (void)sigaltstack(&stack, NULL);
    struct sigaction sa = {.sa_sigaction = diff_on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    for (unsigned i = 0; i < ARRAY_LEN(fault_signals); i++) {
        (void)sigaction(fault_signals[i], &sa, NULL);
    }
    return true;
}

void host_close(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(fault_signals); i++) {
        (void)signal(fault_signals[i], SIG_DFL);
    }
    stack_t off = {.ss_flags = SS_DISABLE};
    (void)sigaltstack(&off, NULL);
    free(host.altstack);
}

u8 *host_window(void)
{
    return host.window;
}

u8 *host_code(u64 lin)
{
    switch (lin & ~(u64)4095) {
    case CODE_EXACT: return host.code + (lin & 4095);
    case CODE_QUICK: return host.code + 4096 + (lin & 4095);
    case CODE_LEAVE: return host.code + 8192 + (lin & 4095);
    default: return NULL;
    }
}

/* A signal tells of the instruction's own fault, or that it completed and the next fetch failed. A jump
 * into Linux' vsyscall page ends otherwise than one to nowhere: with a signal that speaks of #GP. */
static void judge(u64 start_rip, struct diff_result *r)
{
    u64 trapno = diff_context.fault.trapno, rip = r->end.rip;
    bool fetch = trapno == 14 && (diff_context.fault.error & 0x10) != 0 && diff_context.fault.cr2 == rip;
    bool halt = trapno == 13 && rip - CODE_EXACT < 4096;
    bool vsyscall = (rip & ~(u64)4095) == VSYSCALL_PAGE;
    if (rip != start_rip && (fetch || halt || vsyscall)) {
        r->outcome = (struct diff_outcome){.completed = true};
        return;
    }
    r->outcome = (struct diff_outcome){.vector = (u8)trapno, .error = (u32)diff_context.fault.error};
    if (trapno == 14) {
        r->outcome.cr2 = diff_context.fault.cr2;
    }
}

void host_run(const struct diff_state *start, bool compat, unsigned len, struct diff_result *r)
{
    diff_context.state = *start;
    diff_context.fault.signalled = false;
    diff_cs = compat ? 0x23 : 0x33;
    diff_data_segment = compat ? 0x2b : 0;
    armed = true;
    diff_enter();
    armed = false;
    r->end = diff_context.state;
    if (diff_context.fault.signalled) {
        judge(start->rip, r);
    } else {
        r->outcome = (struct diff_outcome){.completed = true};
        r->end.rip = start->rip + len; /* the jump stood there */
    }
}

#else

bool host_open(void)
{
    return false;
}

void host_close(void)
{
}

u8 *host_window(void)
{
    return NULL;
}

u8 *host_code(u64 lin)
{
    UNUSED(lin);
    return NULL;
}

void host_run(const struct diff_state *start, bool compat, unsigned len, struct diff_result *r)
{
    UNUSED(start);
    UNUSED(compat);
    UNUSED(len);
    UNUSED(r);
}

#endif
