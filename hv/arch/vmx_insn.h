/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The VMX instructions. A failure is a bug of hv: it stops in words. */
#ifndef HV_ARCH_VMX_INSN_H
#define HV_ARCH_VMX_INSN_H

#include "abi/x86/vmx.h"
#include "hv/core/console.h"
#include "hv/core/types.h"

static inline u64 vmread(enum vmcs_field field)
{
    u64 value;
    bool ok;
    __asm__ volatile("vmread %2, %0" : "=r"(value), "=@cca"(ok) : "r"((u64)field) : "memory");
    if (!ok) {
        panic("VMREAD of field %x fails", (u32)field);
    }
    return value;
}

static inline void vmwrite(enum vmcs_field field, u64 value)
{
    bool ok;
    __asm__ volatile("vmwrite %1, %2" : "=@cca"(ok) : "r"(value), "r"((u64)field) : "memory");
    if (!ok) {
        panic("VMWRITE of %lx to field %x fails", value, (u32)field);
    }
}

#define VMX_MEMORY_INSN(name)                                                                                \
    static inline void insn_##name(u64 spa)                                                                  \
    {                                                                                                        \
        bool ok;                                                                                             \
        __asm__ volatile(#name " %1" : "=@cca"(ok) : "m"(spa) : "memory");                                   \
        if (!ok) {                                                                                           \
            panic(#name " of %lx fails", spa);                                                               \
        }                                                                                                    \
    }
VMX_MEMORY_INSN(vmxon)
VMX_MEMORY_INSN(vmclear)
VMX_MEMORY_INSN(vmptrld)
#undef VMX_MEMORY_INSN

static inline void insn_invept(u64 eptp)
{
    struct {
        u64 eptp, reserved;
    } descriptor = {eptp, 0};
    bool ok;
    __asm__ volatile("invept %1, %2" : "=@cca"(ok) : "m"(descriptor), "r"(1ull) : "memory");
    if (!ok) {
        panic("INVEPT fails");
    }
}

#endif
