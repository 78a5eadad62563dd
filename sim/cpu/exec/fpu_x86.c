/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The x87 operations of fpu.h on an x86-64 host.
 *
 * Each block clears the host's exception flags, loads operands (80-bit loads raise nothing), takes the
 * guest's control word, runs the one instruction, reads the status word and clears the flags before
 * the next waiting instruction could deliver an unmasked one. */
#include "cpu/exec/fpu.h"

#include <string.h>

#define CLOBBERS "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"

#define BEGIN "fnclex\n\tfnstcw %[host]\n\t"
#define GUEST "fldcw %[fcw]\n\t"
#define END "\n\tfnstsw %[fsw]\n\tfnclex\n\tfldcw %[host]\n\t"

/* d = a op src with `text` after a was loaded. */
#define ARITH_MEM(name, text, type)                                                                \
    static u16 name(u16 fcw, struct f80 *d, const struct f80 *a, const void *src)                  \
    {                                                                                              \
        u16 fsw, host;                                                                             \
        type v;                                                                                    \
        memcpy(&v, src, sizeof v);                                                                 \
        __asm__ volatile(BEGIN "fldt %[a]\n\t" GUEST text " %[v]" END "fstpt %[d]"                 \
                         : [d] "=m"(*d), [fsw] "=m"(fsw), [host] "=m"(host)                        \
                         : [a] "m"(*a), [v] "m"(v), [fcw] "m"(fcw)                                 \
                         : CLOBBERS);                                                              \
        return fsw;                                                                                \
    }

#define ARITH_REG(name, text)                                                                      \
    static u16 name(u16 fcw, struct f80 *d, const struct f80 *a, const void *src)                  \
    {                                                                                              \
        u16 fsw, host;                                                                             \
        struct f80 v;                                                                              \
        memcpy(&v, src, sizeof v);                                                                 \
        __asm__ volatile(BEGIN "fldt %[v]\n\tfldt %[a]\n\t" GUEST text " %%st(1), %%st" END        \
                         "fstpt %[d]\n\tfstp %%st(0)"                                              \
                         : [d] "=m"(*d), [fsw] "=m"(fsw), [host] "=m"(host)                        \
                         : [a] "m"(*a), [v] "m"(v), [fcw] "m"(fcw)                                 \
                         : CLOBBERS);                                                              \
        return fsw;                                                                                \
    }

#define ARITH(op)                                                                                  \
    ARITH_REG(op##_reg, #op) ARITH_MEM(op##_m32, #op "s", u32) ARITH_MEM(op##_m64, #op "l", u64)

ARITH(fadd)
ARITH(fmul)
ARITH(fsub)
ARITH(fsubr)
ARITH(fdiv)
ARITH(fdivr)

u16 fpu_arith(u16 fcw, enum fpu_op op, enum fpu_format format, struct f80 *d, const struct f80 *a,
              const void *src)
{
    typedef u16 arith_fn(u16 fcw, struct f80 * d, const struct f80 *a, const void *src);
    static arith_fn *const fn[6][3] = {
        [FPU_ADD] = {fadd_reg, fadd_m32, fadd_m64},    [FPU_MUL] = {fmul_reg, fmul_m32, fmul_m64},
        [FPU_SUB] = {fsub_reg, fsub_m32, fsub_m64},    [FPU_SUBR] = {fsubr_reg, fsubr_m32, fsubr_m64},
        [FPU_DIV] = {fdiv_reg, fdiv_m32, fdiv_m64},    [FPU_DIVR] = {fdivr_reg, fdivr_m32, fdivr_m64},
    };
    return fn[op][format](fcw, d, a, src);
}

/* Comparisons are the same blocks with the operand thrown away. */
ARITH_MEM(fcom_m32, "fcoms", u32)
ARITH_MEM(fcom_m64, "fcoml", u64)

#define COMPARE_REG(name, text)                                                                    \
    static u16 name(u16 fcw, const struct f80 *a, const struct f80 *v)                             \
    {                                                                                              \
        u16 fsw, host;                                                                             \
        __asm__ volatile(BEGIN "fldt %[v]\n\tfldt %[a]\n\t" GUEST text " %%st(1)" END              \
                         "fstp %%st(0)\n\tfstp %%st(0)"                                            \
                         : [fsw] "=m"(fsw), [host] "=m"(host)                                      \
                         : [a] "m"(*a), [v] "m"(*v), [fcw] "m"(fcw)                                \
                         : CLOBBERS);                                                              \
        return fsw;                                                                                \
    }

COMPARE_REG(fcom_reg, "fcom")
COMPARE_REG(fucom_reg, "fucom")

u16 fpu_compare(u16 fcw, bool quiet, enum fpu_format format, const struct f80 *a, const void *src)
{
    struct f80 unused;
    if (format == FPU_REG) {
        struct f80 v;
        memcpy(&v, src, sizeof v);
        return quiet ? fucom_reg(fcw, a, &v) : fcom_reg(fcw, a, &v);
    }
    return format == FPU_M32 ? fcom_m32(fcw, &unused, a, src) : fcom_m64(fcw, &unused, a, src);
}

/* st0 and st1 in, st0 out; what a function leaves below is dropped. */
#define FUNCTION(name, text)                                                                       \
    static u16 name(u16 fcw, struct f80 *d, const struct f80 *a, const struct f80 *b)              \
    {                                                                                              \
        u16 fsw, host;                                                                             \
        __asm__ volatile(BEGIN "fldt %[b]\n\tfldt %[a]\n\t" GUEST text END                         \
                         "fstpt %[d]\n\tfstp %%st(0)"                                              \
                         : [d] "=m"(*d), [fsw] "=m"(fsw), [host] "=m"(host)                        \
                         : [a] "m"(*a), [b] "m"(*b), [fcw] "m"(fcw)                                \
                         : CLOBBERS);                                                              \
        return fsw;                                                                                \
    }

FUNCTION(do_sqrt, "fsqrt")
FUNCTION(do_rndint, "frndint")
FUNCTION(do_tst, "ftst")
FUNCTION(do_scale, "fscale")
FUNCTION(do_prem, "fprem")
FUNCTION(do_prem1, "fprem1")

u16 fpu_function(u16 fcw, enum fpu_function op, struct f80 *d, const struct f80 *st0,
                 const struct f80 *st1)
{
    typedef u16 function_fn(u16 fcw, struct f80 * d, const struct f80 *a, const struct f80 *b);
    static function_fn *const fn[] = {
        [FPU_SQRT] = do_sqrt,   [FPU_RNDINT] = do_rndint, [FPU_TST] = do_tst,
        [FPU_SCALE] = do_scale, [FPU_PREM] = do_prem,     [FPU_PREM1] = do_prem1,
    };
    return fn[op](fcw, d, st0, st1 != NULL ? st1 : st0);
}

u16 fpu_xtract(u16 fcw, struct f80 *exponent, struct f80 *significand, const struct f80 *a)
{
    /* An unmasked exception leaves one register: the second store then finds the filler below. */
    u16 fsw, host;
    __asm__ volatile(BEGIN "fldz\n\tfldt %[a]\n\t" GUEST "fxtract" END
                     "fstpt %[s]\n\tfstpt %[e]\n\tfninit\n\tfldcw %[host]"
                     : [s] "=m"(*significand), [e] "=m"(*exponent), [fsw] "=m"(fsw), [host] "=m"(host)
                     : [a] "m"(*a), [fcw] "m"(fcw)
                     : CLOBBERS);
    return fsw;
}

u16 fpu_load(u16 fcw, enum fpu_format format, struct f80 *d, const void *src)
{
    u16 fsw, host;
    if (format == FPU_M32) {
        u32 v;
        memcpy(&v, src, sizeof v);
        __asm__ volatile(BEGIN GUEST "flds %[v]" END "fstpt %[d]\n\tfninit\n\tfldcw %[host]"
                         : [d] "=m"(*d), [fsw] "=m"(fsw), [host] "=m"(host)
                         : [v] "m"(v), [fcw] "m"(fcw)
                         : CLOBBERS);
    } else {
        u64 v;
        memcpy(&v, src, sizeof v);
        __asm__ volatile(BEGIN GUEST "fldl %[v]" END "fstpt %[d]\n\tfninit\n\tfldcw %[host]"
                         : [d] "=m"(*d), [fsw] "=m"(fsw), [host] "=m"(host)
                         : [v] "m"(v), [fcw] "m"(fcw)
                         : CLOBBERS);
    }
    return fsw;
}

#define CONSTANT(name, text)                                                                       \
    static void name(u16 fcw, struct f80 *d)                                                       \
    {                                                                                              \
        u16 fsw, host;                                                                             \
        __asm__ volatile(BEGIN GUEST text END "fstpt %[d]"                                         \
                         : [d] "=m"(*d), [fsw] "=m"(fsw), [host] "=m"(host)                        \
                         : [fcw] "m"(fcw)                                                          \
                         : CLOBBERS);                                                              \
    }

CONSTANT(const_1, "fld1")
CONSTANT(const_l2t, "fldl2t")
CONSTANT(const_l2e, "fldl2e")
CONSTANT(const_pi, "fldpi")
CONSTANT(const_lg2, "fldlg2")
CONSTANT(const_ln2, "fldln2")
CONSTANT(const_z, "fldz")

void fpu_constant(u16 fcw, enum fpu_constant which, struct f80 *d)
{
    typedef void constant_fn(u16 fcw, struct f80 * d);
    static constant_fn *const fn[] = {
        [FPU_ONE] = const_1,   [FPU_L2T] = const_l2t, [FPU_L2E] = const_l2e, [FPU_PI] = const_pi,
        [FPU_LG2] = const_lg2, [FPU_LN2] = const_ln2, [FPU_ZERO] = const_z,
    };
    fn[which](fcw, d);
}

/* Popping forms leave one register or none: FNINIT empties the stack either way. */
#define STORE(name, text)                                                                          \
    static u16 name(u16 fcw, struct f80 *d, const struct f80 *a)                                   \
    {                                                                                              \
        u16 fsw, host;                                                                             \
        __asm__ volatile(BEGIN "fldt %[a]\n\t" GUEST text " %[d]" END "fninit\n\tfldcw %[host]"    \
                         : [d] "+m"(*d), [fsw] "=m"(fsw), [host] "=m"(host)                        \
                         : [a] "m"(*a), [fcw] "m"(fcw)                                             \
                         : CLOBBERS);                                                              \
        return fsw;                                                                                \
    }

STORE(store_m32, "fsts")
STORE(store_m64, "fstl")
STORE(store_i16, "fists")
STORE(store_i32, "fistl")
STORE(store_i64, "fistpll")
STORE(store_t16, "fisttps")
STORE(store_t32, "fisttpl")
STORE(store_t64, "fisttpll")
STORE(store_bcd, "fbstp")

u16 fpu_store(u16 fcw, enum fpu_store format, void *dst, const struct f80 *a)
{
    typedef u16 store_fn(u16 fcw, struct f80 * d, const struct f80 *a);
    static const struct {
        store_fn *fn;
        unsigned size;
    } row[] = {
        [FPU_STORE_M32] = {store_m32, 4}, [FPU_STORE_M64] = {store_m64, 8},
        [FPU_STORE_I16] = {store_i16, 2}, [FPU_STORE_I32] = {store_i32, 4},
        [FPU_STORE_I64] = {store_i64, 8}, [FPU_STORE_T16] = {store_t16, 2},
        [FPU_STORE_T32] = {store_t32, 4}, [FPU_STORE_T64] = {store_t64, 8},
        [FPU_STORE_BCD] = {store_bcd, 10},
    };
    struct f80 buffer;
    memset(&buffer, 0, sizeof buffer);
    memcpy(&buffer, dst, row[format].size);
    u16 fsw = row[format].fn(fcw, &buffer, a);
    memcpy(dst, &buffer, row[format].size);
    return fsw;
}
