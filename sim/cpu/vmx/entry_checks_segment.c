/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checks on the guest's segment registers. [SDM3 "Checks on Guest Segment Registers"]: predicates of
 * entry_checks.def. */
#include "cpu/vmx/entry_checks.h"

#define RIGHTS_RESERVED 0xfffe0f00u

static bool usable(const struct segment *s)
{
    return (s->attr & SEG_UNUSABLE) == 0;
}

static unsigned dpl_of(const struct segment *s)
{
    return (s->attr & SEG_DPL) >> SEG_DPL_SHIFT;
}

static bool granularity_ok(const struct segment *s)
{
    if ((s->limit & 0xfff) != 0xfff && (s->attr & SEG_G) != 0) {
        return false;
    }
    return (s->limit >> 20) == 0 || (s->attr & SEG_G) != 0;
}

static bool data_dpl_ok(const struct vmx_check *c, unsigned seg)
{
    const struct segment *s = &c->seg[seg];
    if (c->unrestricted || !usable(s) || (s->attr & SEG_TYPE) > 11) {
        return true;
    }
    return dpl_of(s) >= (s->sel & 3u);
}

CHECK_FN(GUEST_TR_TI)
{
    return (c->tr.sel & 4) == 0;
}

CHECK_FN(GUEST_LDTR_TI)
{
    return !usable(&c->ldtr) || (c->ldtr.sel & 4) == 0;
}

CHECK_FN(GUEST_SS_RPL)
{
    return c->v86 || c->unrestricted || (c->seg[SEG_SS].sel & 3) == (c->seg[SEG_CS].sel & 3);
}

CHECK_FN(GUEST_CS_V86_BASE)
{
    return !c->v86 || c->seg[SEG_CS].base == (u64)c->seg[SEG_CS].sel << 4;
}

CHECK_FN(GUEST_SS_V86_BASE)
{
    return !c->v86 || c->seg[SEG_SS].base == (u64)c->seg[SEG_SS].sel << 4;
}

CHECK_FN(GUEST_DS_V86_BASE)
{
    return !c->v86 || c->seg[SEG_DS].base == (u64)c->seg[SEG_DS].sel << 4;
}

CHECK_FN(GUEST_ES_V86_BASE)
{
    return !c->v86 || c->seg[SEG_ES].base == (u64)c->seg[SEG_ES].sel << 4;
}

CHECK_FN(GUEST_FS_V86_BASE)
{
    return !c->v86 || c->seg[SEG_FS].base == (u64)c->seg[SEG_FS].sel << 4;
}

CHECK_FN(GUEST_GS_V86_BASE)
{
    return !c->v86 || c->seg[SEG_GS].base == (u64)c->seg[SEG_GS].sel << 4;
}

CHECK_FN(GUEST_TR_BASE)
{
    return canonical(c, c->tr.base);
}

CHECK_FN(GUEST_FS_BASE)
{
    return canonical(c, c->seg[SEG_FS].base);
}

CHECK_FN(GUEST_GS_BASE)
{
    return canonical(c, c->seg[SEG_GS].base);
}

CHECK_FN(GUEST_LDTR_BASE)
{
    return !usable(&c->ldtr) || canonical(c, c->ldtr.base);
}

CHECK_FN(GUEST_CS_BASE)
{
    return c->seg[SEG_CS].base >> 32 == 0;
}

CHECK_FN(GUEST_SS_BASE)
{
    return !usable(&c->seg[SEG_SS]) || c->seg[SEG_SS].base >> 32 == 0;
}

CHECK_FN(GUEST_DS_BASE)
{
    return !usable(&c->seg[SEG_DS]) || c->seg[SEG_DS].base >> 32 == 0;
}

CHECK_FN(GUEST_ES_BASE)
{
    return !usable(&c->seg[SEG_ES]) || c->seg[SEG_ES].base >> 32 == 0;
}

CHECK_FN(GUEST_CS_V86_LIMIT)
{
    return !c->v86 || c->seg[SEG_CS].limit == 0xffff;
}

CHECK_FN(GUEST_SS_V86_LIMIT)
{
    return !c->v86 || c->seg[SEG_SS].limit == 0xffff;
}

CHECK_FN(GUEST_DS_V86_LIMIT)
{
    return !c->v86 || c->seg[SEG_DS].limit == 0xffff;
}

CHECK_FN(GUEST_ES_V86_LIMIT)
{
    return !c->v86 || c->seg[SEG_ES].limit == 0xffff;
}

CHECK_FN(GUEST_FS_V86_LIMIT)
{
    return !c->v86 || c->seg[SEG_FS].limit == 0xffff;
}

CHECK_FN(GUEST_GS_V86_LIMIT)
{
    return !c->v86 || c->seg[SEG_GS].limit == 0xffff;
}

CHECK_FN(GUEST_CS_V86_RIGHTS)
{
    return !c->v86 || c->seg[SEG_CS].attr == 0xf3;
}

CHECK_FN(GUEST_SS_V86_RIGHTS)
{
    return !c->v86 || c->seg[SEG_SS].attr == 0xf3;
}

CHECK_FN(GUEST_DS_V86_RIGHTS)
{
    return !c->v86 || c->seg[SEG_DS].attr == 0xf3;
}

CHECK_FN(GUEST_ES_V86_RIGHTS)
{
    return !c->v86 || c->seg[SEG_ES].attr == 0xf3;
}

CHECK_FN(GUEST_FS_V86_RIGHTS)
{
    return !c->v86 || c->seg[SEG_FS].attr == 0xf3;
}

CHECK_FN(GUEST_GS_V86_RIGHTS)
{
    return !c->v86 || c->seg[SEG_GS].attr == 0xf3;
}

CHECK_FN(GUEST_CS_TYPE)
{
    unsigned type = c->seg[SEG_CS].attr & SEG_TYPE;
    return c->v86 || type == 9 || type == 11 || type == 13 || type == 15 || (type == 3 && c->unrestricted);
}

CHECK_FN(GUEST_SS_TYPE)
{
    unsigned type = c->seg[SEG_SS].attr & SEG_TYPE;
    return c->v86 || !usable(&c->seg[SEG_SS]) || type == 3 || type == 7;
}

CHECK_FN(GUEST_DS_TYPE)
{
    unsigned type = c->seg[SEG_DS].attr & SEG_TYPE;
    return c->v86 || !usable(&c->seg[SEG_DS]) || ((type & 1) != 0 && ((type & 8) == 0 || (type & 2) != 0));
}

CHECK_FN(GUEST_ES_TYPE)
{
    unsigned type = c->seg[SEG_ES].attr & SEG_TYPE;
    return c->v86 || !usable(&c->seg[SEG_ES]) || ((type & 1) != 0 && ((type & 8) == 0 || (type & 2) != 0));
}

CHECK_FN(GUEST_FS_TYPE)
{
    unsigned type = c->seg[SEG_FS].attr & SEG_TYPE;
    return c->v86 || !usable(&c->seg[SEG_FS]) || ((type & 1) != 0 && ((type & 8) == 0 || (type & 2) != 0));
}

CHECK_FN(GUEST_GS_TYPE)
{
    unsigned type = c->seg[SEG_GS].attr & SEG_TYPE;
    return c->v86 || !usable(&c->seg[SEG_GS]) || ((type & 1) != 0 && ((type & 8) == 0 || (type & 2) != 0));
}

CHECK_FN(GUEST_CS_S)
{
    return c->v86 || (c->seg[SEG_CS].attr & SEG_S) != 0;
}

CHECK_FN(GUEST_SS_S)
{
    return c->v86 || !usable(&c->seg[SEG_SS]) || (c->seg[SEG_SS].attr & SEG_S) != 0;
}

CHECK_FN(GUEST_DS_S)
{
    return c->v86 || !usable(&c->seg[SEG_DS]) || (c->seg[SEG_DS].attr & SEG_S) != 0;
}

CHECK_FN(GUEST_ES_S)
{
    return c->v86 || !usable(&c->seg[SEG_ES]) || (c->seg[SEG_ES].attr & SEG_S) != 0;
}

CHECK_FN(GUEST_FS_S)
{
    return c->v86 || !usable(&c->seg[SEG_FS]) || (c->seg[SEG_FS].attr & SEG_S) != 0;
}

CHECK_FN(GUEST_GS_S)
{
    return c->v86 || !usable(&c->seg[SEG_GS]) || (c->seg[SEG_GS].attr & SEG_S) != 0;
}

CHECK_FN(GUEST_CS_DPL)
{
    unsigned type = c->seg[SEG_CS].attr & SEG_TYPE, dpl = dpl_of(&c->seg[SEG_CS]), ss = dpl_of(&c->seg[SEG_SS]);
    return c->v86 || (type == 3 ? dpl == 0 : (type & 4) == 0 ? dpl == ss : dpl <= ss);
}

CHECK_FN(GUEST_SS_DPL_RPL)
{
    return c->v86 || c->unrestricted || dpl_of(&c->seg[SEG_SS]) == (c->seg[SEG_SS].sel & 3u);
}

CHECK_FN(GUEST_SS_DPL_ZERO)
{
    return c->v86 || dpl_of(&c->seg[SEG_SS]) == 0 || ((c->seg[SEG_CS].attr & SEG_TYPE) != 3 && (c->cr0 & CR0_PE) != 0);
}

CHECK_FN(GUEST_DS_DPL)
{
    return c->v86 || data_dpl_ok(c, SEG_DS);
}

CHECK_FN(GUEST_ES_DPL)
{
    return c->v86 || data_dpl_ok(c, SEG_ES);
}

CHECK_FN(GUEST_FS_DPL)
{
    return c->v86 || data_dpl_ok(c, SEG_FS);
}

CHECK_FN(GUEST_GS_DPL)
{
    return c->v86 || data_dpl_ok(c, SEG_GS);
}

CHECK_FN(GUEST_CS_P)
{
    return c->v86 || (c->seg[SEG_CS].attr & SEG_P) != 0;
}

CHECK_FN(GUEST_SS_P)
{
    return c->v86 || !usable(&c->seg[SEG_SS]) || (c->seg[SEG_SS].attr & SEG_P) != 0;
}

CHECK_FN(GUEST_DS_P)
{
    return c->v86 || !usable(&c->seg[SEG_DS]) || (c->seg[SEG_DS].attr & SEG_P) != 0;
}

CHECK_FN(GUEST_ES_P)
{
    return c->v86 || !usable(&c->seg[SEG_ES]) || (c->seg[SEG_ES].attr & SEG_P) != 0;
}

CHECK_FN(GUEST_FS_P)
{
    return c->v86 || !usable(&c->seg[SEG_FS]) || (c->seg[SEG_FS].attr & SEG_P) != 0;
}

CHECK_FN(GUEST_GS_P)
{
    return c->v86 || !usable(&c->seg[SEG_GS]) || (c->seg[SEG_GS].attr & SEG_P) != 0;
}

CHECK_FN(GUEST_CS_RESERVED)
{
    return c->v86 || (c->seg[SEG_CS].attr & RIGHTS_RESERVED) == 0;
}

CHECK_FN(GUEST_SS_RESERVED)
{
    return c->v86 || !usable(&c->seg[SEG_SS]) || (c->seg[SEG_SS].attr & RIGHTS_RESERVED) == 0;
}

CHECK_FN(GUEST_DS_RESERVED)
{
    return c->v86 || !usable(&c->seg[SEG_DS]) || (c->seg[SEG_DS].attr & RIGHTS_RESERVED) == 0;
}

CHECK_FN(GUEST_ES_RESERVED)
{
    return c->v86 || !usable(&c->seg[SEG_ES]) || (c->seg[SEG_ES].attr & RIGHTS_RESERVED) == 0;
}

CHECK_FN(GUEST_FS_RESERVED)
{
    return c->v86 || !usable(&c->seg[SEG_FS]) || (c->seg[SEG_FS].attr & RIGHTS_RESERVED) == 0;
}

CHECK_FN(GUEST_GS_RESERVED)
{
    return c->v86 || !usable(&c->seg[SEG_GS]) || (c->seg[SEG_GS].attr & RIGHTS_RESERVED) == 0;
}

CHECK_FN(GUEST_CS_DB)
{
    return c->v86 || !c->wide || (c->seg[SEG_CS].attr & (SEG_L | SEG_DB)) != (SEG_L | SEG_DB);
}

CHECK_FN(GUEST_CS_G)
{
    return c->v86 || granularity_ok(&c->seg[SEG_CS]);
}

CHECK_FN(GUEST_SS_G)
{
    return c->v86 || !usable(&c->seg[SEG_SS]) || granularity_ok(&c->seg[SEG_SS]);
}

CHECK_FN(GUEST_DS_G)
{
    return c->v86 || !usable(&c->seg[SEG_DS]) || granularity_ok(&c->seg[SEG_DS]);
}

CHECK_FN(GUEST_ES_G)
{
    return c->v86 || !usable(&c->seg[SEG_ES]) || granularity_ok(&c->seg[SEG_ES]);
}

CHECK_FN(GUEST_FS_G)
{
    return c->v86 || !usable(&c->seg[SEG_FS]) || granularity_ok(&c->seg[SEG_FS]);
}

CHECK_FN(GUEST_GS_G)
{
    return c->v86 || !usable(&c->seg[SEG_GS]) || granularity_ok(&c->seg[SEG_GS]);
}

CHECK_FN(GUEST_TR_TYPE)
{
    unsigned type = c->tr.attr & SEG_TYPE;
    return type == SYS_TSS_BUSY || (type == SYS_TSS16_BUSY && !c->wide);
}

CHECK_FN(GUEST_TR_S)
{
    return (c->tr.attr & SEG_S) == 0;
}

CHECK_FN(GUEST_TR_P)
{
    return (c->tr.attr & SEG_P) != 0;
}

CHECK_FN(GUEST_TR_RESERVED)
{
    return (c->tr.attr & RIGHTS_RESERVED) == 0;
}

CHECK_FN(GUEST_TR_G)
{
    return granularity_ok(&c->tr);
}

CHECK_FN(GUEST_TR_USABLE)
{
    return usable(&c->tr);
}

CHECK_FN(GUEST_LDTR_TYPE)
{
    return !usable(&c->ldtr) || (c->ldtr.attr & SEG_TYPE) == SYS_LDT;
}

CHECK_FN(GUEST_LDTR_S)
{
    return !usable(&c->ldtr) || (c->ldtr.attr & SEG_S) == 0;
}

CHECK_FN(GUEST_LDTR_P)
{
    return !usable(&c->ldtr) || (c->ldtr.attr & SEG_P) != 0;
}

CHECK_FN(GUEST_LDTR_RESERVED)
{
    return !usable(&c->ldtr) || (c->ldtr.attr & RIGHTS_RESERVED) == 0;
}

CHECK_FN(GUEST_LDTR_G)
{
    return !usable(&c->ldtr) || granularity_ok(&c->ldtr);
}
