/* SPDX-License-Identifier: GPL-3.0-or-later */
/* x87, SSE, AVX, debug registers: hv uses none of it, so the state is exchanged only when another VP comes. With XSAVE where there
 * is one. */
#include "abi/x86/registers.h"
#include "hv/core/console.h"
#include "hv/core/insn.h"
#include "hv/core/string.h"
#include "hv/vcpu/vp.h"

#define CPUID1_XSAVE 0x04000000u

static bool has_xsave;
static u64 allowed;

void fpu_init(void)
{
    has_xsave = (insn_cpuid(1, 0).ecx & CPUID1_XSAVE) != 0;
    if (!has_xsave) {
        return;
    }
    insn_write_cr4(insn_read_cr4() | CR4_OSXSAVE);
    allowed = insn_cpuid(0xd, 0).eax & (XCR0_X87 | XCR0_SSE | XCR0_AVX | 0xe0);
    insn_xsetbv(0, allowed);
    if (insn_cpuid(0xd, 0).ebx > PAGE_SIZE) {
        allowed &= XCR0_X87 | XCR0_SSE | XCR0_AVX;
        insn_xsetbv(0, allowed);
    }
}

u64 fpu_xcr0_allowed(void) { return allowed; }

void fpu_save(struct vp *vp)
{
    if (has_xsave) {
        vp->r.xcr0 = insn_xgetbv(0);
        insn_xsetbv(0, allowed);
        __asm__ volatile("xsave64 (%0)" : : "r"(vp->fpu), "a"(0xffffffff), "d"(0xffffffff) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" : : "r"(vp->fpu) : "memory");
    }
}

void fpu_load(struct vp *vp)
{
    if (has_xsave) {
        insn_xsetbv(0, allowed);
        __asm__ volatile("xrstor64 (%0)" : : "r"(vp->fpu), "a"(0xffffffff), "d"(0xffffffff) : "memory");
        insn_xsetbv(0, vp->r.xcr0);
    } else {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(vp->fpu) : "memory");
    }
}

void fpu_read_xmm(u8 *to)
{
    u8 area[512] __attribute__((aligned(16)));
    __asm__ volatile("fxsave64 %0" : "=m"(area));
    memcpy(to, area + 160, 96);
}

#define DEBUG_REGISTER(n)                                                                                    \
    static u64 read_dr##n(void)                                                                              \
    {                                                                                                        \
        u64 v;                                                                                               \
        __asm__ volatile("mov %%dr" #n ", %0" : "=r"(v));                                                    \
        return v;                                                                                            \
    }                                                                                                        \
    static void write_dr##n(u64 v) { __asm__ volatile("mov %0, %%dr" #n : : "r"(v)); }
DEBUG_REGISTER(0)
DEBUG_REGISTER(1)
DEBUG_REGISTER(2)
DEBUG_REGISTER(3)
DEBUG_REGISTER(6)

void debug_save(struct vp *vp)
{
    struct vp_registers *r = &vp->r;
    r->dr[0] = read_dr0();
    r->dr[1] = read_dr1();
    r->dr[2] = read_dr2();
    r->dr[3] = read_dr3();
    if (arch != &arch_svm) { /* there it is in the control block */
        r->dr6 = read_dr6();
    }
}

void debug_load(struct vp *vp)
{
    const struct vp_registers *r = &vp->r;
    write_dr0(r->dr[0]);
    write_dr1(r->dr[1]);
    write_dr2(r->dr[2]);
    write_dr3(r->dr[3]);
    write_dr6(r->dr6);
}
