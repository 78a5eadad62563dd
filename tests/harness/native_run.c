/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See native_run.h. The switch between the host's and the instruction's registers is assembler; it
 * reaches its context relative to RIP, because no register is free. The context is therefore one
 * static object: one user at a time. */
#define _GNU_SOURCE /* registers of a signal frame */
#include "tests/harness/native_run.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__)

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <ucontext.h>

#define CODE_BYTES 4096u
#define ALTSTACK_BYTES 65536u

struct native_context {
    struct native_state state;
    struct native_outcome outcome;
    bool armed; /* a run is going on: faults in the code page are its own */
};

/* The offsets in the assembler below. */
_Static_assert(offsetof(struct native_context, state.rflags) == 128, "");
_Static_assert(offsetof(struct native_context, state.vec) == 136, "");
_Static_assert(sizeof(struct native_fx) == 512, "");

struct native {
    u8 *code;
    u8 *altstack;
    struct sigaction old[5];
    stack_t old_altstack;
};

static const int fault_signals[5] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

struct native_context native_context __attribute__((visibility("hidden")));
struct native_fx native_fx_in __attribute__((visibility("hidden"), aligned(64)));
struct native_fx native_fx_host __attribute__((visibility("hidden"), aligned(64)));
u64 native_host_rsp __attribute__((visibility("hidden")));
u64 native_code __attribute__((visibility("hidden")));
u64 native_avx __attribute__((visibility("hidden")));

void native_enter(void);
void native_leave(void);
void native_leave_fault(void);

#define CTX "native_context"
#define EACH_GPR(m)                                                                                \
    m("0", "rax") m("8", "rcx") m("16", "rdx") m("24", "rbx") m("40", "rbp") m("48", "rsi")        \
    m("56", "rdi") m("64", "r8") m("72", "r9") m("80", "r10") m("88", "r11") m("96", "r12")        \
    m("104", "r13") m("112", "r14") m("120", "r15") m("32", "rsp")
#define LOAD_GPR(at, reg) "mov " CTX "+" at "(%rip), %" reg "\n"
#define SAVE_GPR(at, reg) "mov %" reg ", " CTX "+" at "(%rip)\n"
#define EACH_YMM(m)                                                                                \
    m("0") m("1") m("2") m("3") m("4") m("5") m("6") m("7") m("8") m("9") m("10") m("11") m("12")  \
    m("13") m("14") m("15")
#define LOAD_YMM(n) "vmovdqu " CTX "+136+32*" n "(%rip), %ymm" n "\n"
#define SAVE_YMM(n) "vmovdqu %ymm" n ", " CTX "+136+32*" n "(%rip)\n"

__asm__(".text\n"
        ".type native_enter, @function\n"
        ".hidden native_enter\n"
        "native_enter:\n"
        "push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\npushfq\n"
        "fxsave64 native_fx_host(%rip)\n"
        "fxrstor64 native_fx_in(%rip)\n"
        "cmpq $0, native_avx(%rip)\n"
        "je 1f\n" EACH_YMM(LOAD_YMM) "1:\n"
        "mov %rsp, native_host_rsp(%rip)\n"
        "pushq " CTX "+128(%rip)\n"
        "popfq\n" EACH_GPR(LOAD_GPR) "jmp *native_code(%rip)\n"
        ".size native_enter, . - native_enter\n"

        /* The instruction completed. MOV leaves the flags alone. */
        ".type native_leave, @function\n"
        ".hidden native_leave\n"
        "native_leave:\n" EACH_GPR(SAVE_GPR) "mov native_host_rsp(%rip), %rsp\n"
        "pushfq\n"
        "popq " CTX "+128(%rip)\n"

        /* It faulted: the signal handler stored registers and flags and set RSP. */
        ".type native_leave_fault, @function\n"
        ".hidden native_leave_fault\n"
        "native_leave_fault:\n"
        "cmpq $0, native_avx(%rip)\n"
        "je 1f\n" EACH_YMM(SAVE_YMM) "1:\n"
        "fxsave64 native_fx_in(%rip)\n"
        "cmpq $0, native_avx(%rip)\n"
        "je 1f\n"
        "vzeroupper\n"
        "1:\n"
        "fxrstor64 native_fx_host(%rip)\n"
        "popfq\npop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\n"
        "ret\n"
        ".size native_leave, . - native_leave\n");

/* Number of a register in the manual -> index in the signal frame. */
static const int greg_of[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void on_fault(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t *regs = uc->uc_mcontext.gregs;
    u64 rip = (u64)regs[REG_RIP];
    if (!native_context.armed || rip - native_code > CODE_BYTES) {
        (void)signal(sig, SIG_DFL); /* not ours: fault again and die */
        return;
    }
    for (unsigned i = 0; i < 16; i++) {
        native_context.state.gpr[i] = (u64)regs[greg_of[i]];
    }
    native_context.state.rflags = (u64)regs[REG_EFL];
    native_context.outcome =
        (struct native_outcome){.signal = sig, .code = info->si_code, .fault_gva = (u64)info->si_addr};
    regs[REG_RIP] = (greg_t)(uintptr_t)native_leave_fault;
    regs[REG_RSP] = (greg_t)native_host_rsp;
    regs[REG_EFL] &= ~(greg_t)0x40500; /* AC, DF, TF */
}

struct native *native_open(void)
{
    struct native *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return NULL;
    }
    n->code = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    n->altstack = malloc(ALTSTACK_BYTES);
    if (n->code == MAP_FAILED || n->altstack == NULL) {
        free(n->altstack);
        free(n);
        return NULL;
    }
    __builtin_cpu_init();
    native_avx = __builtin_cpu_supports("avx") ? 1 : 0;
    native_code = (u64)(uintptr_t)n->code;
    stack_t stack = {.ss_sp = n->altstack, .ss_size = ALTSTACK_BYTES};
    (void)sigaltstack(&stack, &n->old_altstack);
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&sa.sa_mask);
    for (unsigned i = 0; i < ARRAY_LEN(fault_signals); i++) {
        (void)sigaction(fault_signals[i], &sa, &n->old[i]);
    }
    return n;
}

void native_close(struct native *n)
{
    if (n == NULL) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(fault_signals); i++) {
        (void)sigaction(fault_signals[i], &n->old[i], NULL);
    }
    (void)sigaltstack(&n->old_altstack, NULL);
    (void)munmap(n->code, CODE_BYTES);
    free(n->altstack);
    free(n);
}

bool native_has_avx(const struct native *n)
{
    UNUSED(n);
    return native_avx != 0;
}

u64 native_rip(const struct native *n)
{
    return (u64)(uintptr_t)n->code;
}

struct native_outcome native_run(struct native *n, const u8 *bytes, unsigned len,
                                 struct native_state *state)
{
    static const u8 jump_indirect[6] = {0xff, 0x25, 0, 0, 0, 0}; /* JMP [RIP + 0] */
    void (*back)(void) = native_leave;
    memcpy(n->code, bytes, len);
    memcpy(n->code + len, jump_indirect, sizeof jump_indirect);
    memcpy(n->code + len + sizeof jump_indirect, &back, sizeof back);

    native_context.state = *state;
    native_context.state.rflags = (state->rflags & 0xcd5) | 0x202;
    native_context.outcome = (struct native_outcome){0};
    native_fx_in = state->fx;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(native_fx_in.xmm[i], state->vec[i], 16);
    }
    native_context.armed = true;
    native_enter();
    native_context.armed = false;
    *state = native_context.state;
    state->fx = native_fx_in;
    for (unsigned i = 0; i < 16; i++) {
        memcpy(state->vec[i], native_fx_in.xmm[i], 16);
    }
    return native_context.outcome;
}

#else

struct native *native_open(void)
{
    return NULL;
}

void native_close(struct native *n)
{
    UNUSED(n);
}

bool native_has_avx(const struct native *n)
{
    UNUSED(n);
    return false;
}

u64 native_rip(const struct native *n)
{
    UNUSED(n);
    return 0;
}

struct native_outcome native_run(struct native *n, const u8 *bytes, unsigned len,
                                 struct native_state *state)
{
    UNUSED(n);
    UNUSED(bytes);
    UNUSED(len);
    UNUSED(state);
    return (struct native_outcome){0};
}

#endif

void native_state_init(struct native_state *state)
{
    memset(state, 0, sizeof *state);
    state->rflags = 2;
    state->fx.fcw = 0x037f;
    state->fx.mxcsr = 0x1f80;
    state->fx.mxcsr_mask = 0xffff;
}
