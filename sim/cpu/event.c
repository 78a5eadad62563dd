/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Raising and delivering exceptions and interrupts. [SDM3 "Interrupt and Exception Handling"],
 * [SDM2 "INT n/INTO/INT3/INT1"], [APM2 "Exceptions and Interrupts"]
 *
 * Delivery first checks and probes everything, then commits; when a check fails, the new exception
 * stands in cpu->event, nothing has changed, and cpu_deliver_event() combines the two by the
 * double-fault rules. A task gate is the exception (cpu/task.c): late faults are the new task's.
 * What interrupts at which boundary is in cpu/pending.c.
 *
 * Left out: alignment checks of the pushes (#AC from a frame pushed at CPL 3). */
#include "cpu/event.h"

#include "base/assert.h"
#include "cpu/segment.h"
#include "cpu/virt.h"
#include "trace/events.h"

#include <inttypes.h>

cpu_rc raise_exception(struct cpu *cpu, unsigned vector, const char *why)
{
    cpu->event = (struct event){.kind = EVENT_EXCEPTION, .vector = (u8)vector, .why = why};
    return CPU_EXIT;
}

cpu_rc raise_error(struct cpu *cpu, unsigned vector, u32 error, const char *why)
{
    cpu->event = (struct event){.kind = EVENT_EXCEPTION,
                                .vector = (u8)vector,
                                .has_error = true,
                                .error = error,
                                .why = why};
    return CPU_EXIT;
}

cpu_rc raise_pf(struct cpu *cpu, u64 gva, u32 error, const char *why)
{
    raise_error(cpu, VEC_PF, error, why);
    cpu->event.cr2 = gva;
    return CPU_EXIT;
}

cpu_rc raise_db(struct cpu *cpu, u64 dr6_bits, bool is_trap, const char *why)
{
    raise_exception(cpu, VEC_DB, why);
    cpu->event.dr6 = dr6_bits;
    cpu->event.is_trap = is_trap;
    return CPU_EXIT;
}

/* ---- Delivery ---- */

/* What is being delivered, as the pushes need it. */
struct delivery {
    const struct event *ev;
    u64 ret_rip;
    u64 flags;    /* the pushed image */
    bool software; /* INT n, INT3, INTO: the gate's DPL is checked */
};

/* [SDM3 "Instruction-Breakpoint Exception Condition"]: faults push RF = 1, except an instruction
 * breakpoint's #DB; so does what comes between two repetitions of a string instruction; everything else
 * pushes RF as it stands. */
static u64 pushed_flags(const struct cpu *cpu, const struct event *ev)
{
    u64 flags = cpu_rflags(cpu);
    if (cpu->arch.rep_partial) {
        flags |= RFLAGS_RF;
    }
    if (ev->kind == EVENT_EXCEPTION && !ev->is_trap &&
        !(ev->vector == VEC_DB && (ev->dr6 & 0xf) != 0)) {
        flags |= RFLAGS_RF;
    }
    return flags;
}

static void begin(const struct cpu *cpu, const struct event *ev, struct delivery *v)
{
    v->ev = ev;
    v->software = ev->kind == EVENT_SOFT_INT || ev->kind == EVENT_INT3;
    v->ret_rip = ev->next_rip_given ? ev->next_rip : cpu->arch.rip + ev->insn_len;
    if (!cpu->d.code64) {
        v->ret_rip = (u32)v->ret_rip;
    }
    v->flags = pushed_flags(cpu, ev);
}

static void set_flags_for_handler(struct cpu *cpu, u64 clear)
{
    cpu_set_rflags(cpu, cpu_rflags(cpu) & ~clear);
}

/* [SDM3 "Real-Address Mode Operation"]: IVT of far pointers. */
static cpu_rc deliver_real(struct cpu *cpu, const struct delivery *v)
{
    u32 at = v->ev->vector * 4u;
    if (at + 3 > cpu->arch.idtr.limit) {
        return raise_gp(cpu, 0, "vector beyond the IVT");
    }
    u64 target;
    TRY(sys_read(cpu, seg_sum(cpu, cpu->arch.idtr.base, at), 4, &target));
    struct new_stack st;
    struct push_frame f = {.size = 2};
    new_stack_current(cpu, &st);
    frame_push(&f, v->flags);
    frame_push(&f, cpu->arch.seg[SEG_CS].sel);
    frame_push(&f, v->ret_rip);
    TRY(new_stack_check(cpu, &st, &f));
    if ((target & 0xffff) > cpu->arch.seg[SEG_CS].limit) {
        return raise_gp(cpu, 0, "IVT offset outside the code segment");
    }
    new_stack_store(cpu, &st, &f);
    cpu->arch.gpr[RSP] = new_stack_rsp(&st, cpu->arch.gpr[RSP], &f);
    seg_store_real(cpu, SEG_CS, (u16)(target >> 16));
    cpu->arch.rip = target & 0xffff;
    set_flags_for_handler(cpu, RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
    return CPU_OK;
}

/* Error code that names an IDT entry. */
static u32 idt_error(const struct event *ev)
{
    return ev->vector * 8u + 2;
}

/* Read and check the gate; its type is one of the allowed ones. [SDM2 "INT n/INTO/INT3/INT1"] */
static cpu_rc read_gate(struct cpu *cpu, const struct delivery *v, struct descriptor *gate)
{
    bool wide = cpu->d.long_mode;
    u32 size = wide ? 16 : 8;
    u32 at = v->ev->vector * size;
    if (at + size - 1 > cpu->arch.idtr.limit) {
        return raise_gp(cpu, idt_error(v->ev), "vector beyond the IDT limit");
    }
    gate->lin = seg_sum(cpu, cpu->arch.idtr.base, at);
    TRY(sys_read(cpu, gate->lin, 8, &gate->lo));
    gate->hi = 0;
    if (wide) {
        TRY(sys_read(cpu, seg_sum(cpu, gate->lin, 8), 8, &gate->hi));
        gate->hi &= 0xffffffff;
    }
    gate->attr = (u32)(gate->lo >> 40) & 0xff;
    unsigned type = desc_type(gate);
    bool known = type == SYS_INT || type == SYS_TRAP ||
                 (!wide && (type == SYS_INT16 || type == SYS_TRAP16 || type == SYS_TASK_GATE));
    if (!desc_is_system(gate) || !known) {
        return raise_gp(cpu, idt_error(v->ev), "IDT entry is no gate");
    }
    if (v->software && desc_dpl(gate) < cpu_cpl(cpu)) {
        return raise_gp(cpu, idt_error(v->ev), "software interrupt through an inner gate");
    }
    if (!desc_is_present(gate)) {
        return raise_error(cpu, VEC_NP, idt_error(v->ev), "gate not present");
    }
    return CPU_OK;
}

/* The handler's code segment and the privilege it runs with. */
static cpu_rc read_handler_cs(struct cpu *cpu, u16 sel, struct descriptor *cs, unsigned *cpl)
{
    if (sel_is_null(sel)) {
        return raise_gp(cpu, 0, "gate with a null code selector");
    }
    TRY(desc_fetch(cpu, sel, VEC_GP, cs));
    if (!desc_is_code(cs) || desc_dpl(cs) > cpu_cpl(cpu)) {
        return raise_gp(cpu, sel_error(sel), "gate to what is no code of this or an inner level");
    }
    if (cpu->d.long_mode && (cs->attr & (SEG_L | SEG_DB)) != SEG_L) {
        return raise_gp(cpu, sel_error(sel), "gate to what is no 64-bit code");
    }
    if (!desc_is_present(cs)) {
        return raise_error(cpu, VEC_NP, sel_error(sel), "handler's code segment not present");
    }
    *cpl = desc_is_conforming(cs) ? cpu_cpl(cpu) : desc_dpl(cs);
    if (cpu->d.v86 && *cpl != 0) {
        return raise_gp(cpu, sel_error(sel), "interrupt in virtual-8086 mode not to level 0");
    }
    return CPU_OK;
}

/* Everything is checked: switch stack and code. */
static void commit_handler(struct cpu *cpu, const struct delivery *v, const struct new_stack *st,
                           const struct push_frame *f, const struct descriptor *cs, u16 sel, u64 rip,
                           bool interrupt_gate)
{
    UNUSED(v);
    new_stack_store(cpu, st, f);
    cpu->arch.gpr[RSP] = new_stack_rsp(st, st->cpl != cpu_cpl(cpu) ? 0 : cpu->arch.gpr[RSP], f);
    if (cpu->d.v86) {
        static const u8 data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
        for (unsigned i = 0; i < ARRAY_LEN(data); i++) {
            seg_make_null(&cpu->arch.seg[data[i]], 0, 0);
        }
    }
    cpu->arch.seg[SEG_SS] = st->ss;
    seg_store_cs(cpu, cs, sel, st->cpl);
    cpu->arch.rip = rip;
    set_flags_for_handler(cpu, RFLAGS_TF | RFLAGS_NT | RFLAGS_VM | RFLAGS_RF |
                                   (interrupt_gate ? RFLAGS_IF : 0u));
}

static cpu_rc deliver_task_gate(struct cpu *cpu, const struct delivery *v, const struct descriptor *gate)
{
    struct task_args args = {.source = TASK_INT,
                             .rip = v->ret_rip,
                             .flags = v->flags,
                             .has_error = v->ev->has_error,
                             .error = v->ev->error};
    return task_gate_switch(cpu, gate_selector(gate), &args);
}

static cpu_rc deliver_protected(struct cpu *cpu, const struct delivery *v)
{
    struct descriptor gate, cs, ss = {.attr = SEG_TYPE_ACCESSED};
    TRY(read_gate(cpu, v, &gate));
    if (desc_type(&gate) == SYS_TASK_GATE) {
        return deliver_task_gate(cpu, v, &gate);
    }
    bool wide = (desc_type(&gate) & 8) != 0;
    u16 sel = gate_selector(&gate);
    u64 rip = gate_offset(&gate, false) & (wide ? 0xffffffff : 0xffff);
    unsigned cpl;
    TRY(read_handler_cs(cpu, sel, &cs, &cpl));

    struct new_stack st;
    struct push_frame f = {.size = wide ? 4 : 2};
    if (cpl != cpu_cpl(cpu)) {
        TRY(new_stack_from_tss(cpu, cpl, &st, &ss));
        if (cpu->d.v86) {
            frame_push(&f, cpu->arch.seg[SEG_GS].sel);
            frame_push(&f, cpu->arch.seg[SEG_FS].sel);
            frame_push(&f, cpu->arch.seg[SEG_DS].sel);
            frame_push(&f, cpu->arch.seg[SEG_ES].sel);
        }
        frame_push(&f, cpu->arch.seg[SEG_SS].sel);
        frame_push(&f, cpu->arch.gpr[RSP]);
    } else {
        new_stack_current(cpu, &st);
    }
    frame_push(&f, v->flags);
    frame_push(&f, cpu->arch.seg[SEG_CS].sel);
    frame_push(&f, v->ret_rip);
    if (v->ev->has_error) {
        frame_push(&f, v->ev->error);
    }
    TRY(new_stack_check(cpu, &st, &f));
    TRY(seg_check_rip(cpu, &cs, rip));
    struct cet_far cet;
    TRY(cet_far_call_check(cpu, &cet, cpl, 0, false, v->ret_rip));
    TRY(desc_set_accessed(cpu, &cs));
    if (cpl != cpu_cpl(cpu)) {
        TRY(desc_set_accessed(cpu, &ss));
        st.ss.attr |= SEG_TYPE_ACCESSED;
    }
    commit_handler(cpu, v, &st, &f, &cs, sel, rip, (desc_type(&gate) & 1) == 0);
    cet_far_call_commit(cpu, &cet);
    return CPU_OK;
}

static cpu_rc deliver_long(struct cpu *cpu, const struct delivery *v)
{
    struct descriptor gate, cs;
    TRY(read_gate(cpu, v, &gate));
    u16 sel = gate_selector(&gate);
    u64 rip = gate_offset(&gate, true);
    unsigned ist = (unsigned)(gate.lo >> 32) & 7u;
    unsigned cpl;
    TRY(read_handler_cs(cpu, sel, &cs, &cpl));

    struct new_stack st;
    if (cpl != cpu_cpl(cpu) || ist != 0) {
        TRY(new_stack_from_tss64(cpu, cpl, ist, &st));
    } else {
        new_stack_current(cpu, &st);
        st.flat = true;
        st.mask = ~(u64)0;
    }
    st.sp &= ~(u64)15;
    struct push_frame f = {.size = 8};
    frame_push(&f, cpu->arch.seg[SEG_SS].sel);
    frame_push(&f, cpu->arch.gpr[RSP]);
    frame_push(&f, v->flags);
    frame_push(&f, cpu->arch.seg[SEG_CS].sel);
    frame_push(&f, v->ret_rip);
    if (v->ev->has_error) {
        frame_push(&f, v->ev->error);
    }
    TRY(new_stack_check(cpu, &st, &f));
    TRY(seg_check_rip(cpu, &cs, rip));
    struct cet_far cet;
    TRY(cet_far_call_check(cpu, &cet, cpl, ist, true, v->ret_rip));
    TRY(desc_set_accessed(cpu, &cs));
    commit_handler(cpu, v, &st, &f, &cs, sel, rip, desc_type(&gate) == SYS_INT);
    cet_far_call_commit(cpu, &cet);
    return CPU_OK;
}

static cpu_rc deliver_one(struct cpu *cpu, const struct event *ev)
{
    struct delivery v;
    begin(cpu, ev, &v);
    cpu_rc rc = !cpu->d.prot      ? deliver_real(cpu, &v)
                : cpu->d.long_mode ? deliver_long(cpu, &v)
                                   : deliver_protected(cpu, &v);
    cpu_update_level(cpu);
    return rc;
}

/* ---- Combination with what was being delivered ---- */

enum fault_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE };

/* [SDM3 "Interrupt 8-Double Fault Exception (#DF)"] */
static enum fault_class classify(const struct event *ev)
{
    if (ev->kind != EVENT_EXCEPTION) {
        return CLASS_BENIGN;
    }
    switch (ev->vector) {
    case VEC_DE:
    case VEC_TS:
    case VEC_NP:
    case VEC_SS:
    case VEC_GP:
    case VEC_CP:
    case VEC_VC:
    case VEC_SX:
        return CLASS_CONTRIBUTORY;
    case VEC_PF:
    case VEC_VE:
        return CLASS_PAGE_FAULT;
    case VEC_DF:
        return CLASS_DOUBLE;
    default:
        return CLASS_BENIGN;
    }
}

static bool becomes_double(enum fault_class first, enum fault_class second)
{
    return (first == CLASS_CONTRIBUTORY && second == CLASS_CONTRIBUTORY) ||
           (first == CLASS_PAGE_FAULT && second != CLASS_BENIGN);
}

/* [SDM3 "Error Code"]: EXT is set when the exception hit while an event external to the program was
 * being delivered; page faults have no such bit. */
static void set_ext(struct event *second, const struct event *first)
{
    bool external = first->kind != EVENT_SOFT_INT && first->kind != EVENT_INT3;
    if (external && second->kind == EVENT_EXCEPTION && second->has_error && second->vector != VEC_PF &&
        second->vector != VEC_DF && second->vector != VEC_CP) {
        second->error |= 1;
    }
}

/* Registers that an exception changes as it is recognised, whether or not delivery succeeds. */
static void record_exception(struct cpu *cpu, const struct event *ev)
{
    if (ev->kind == EVENT_EXCEPTION && ev->vector == VEC_PF) {
        cpu->arch.cr2 = ev->cr2;
    }
    if (ev->kind == EVENT_EXCEPTION && ev->vector == VEC_DB) {
        cpu->arch.dr6 = (cpu->arch.dr6 & ~(u64)0xf) | ev->dr6;
        cpu->arch.dr7 &= ~(u64)DR7_GD;
        cpu->arch.debugctl &= ~(u64)3; /* LBR, BTF [SDM3 "IA32_DEBUGCTL MSR"] */
    }
}

static void log_delivery(struct cpu *cpu, const struct event *ev)
{
    static const char *const kinds[] = {"none", "exception", "int n", "int3",
                                        "int1", "extint",    "nmi",   "shutdown"};
    log_line(cpu->log, LOG_INT,
             "cpu%u %s %02x error %04x cpl %u ip %04x:%016" PRIx64 " sp %04x:%016" PRIx64
             " cr2 %016" PRIx64 " ax %016" PRIx64 " %s",
             cpu->index, kinds[ev->kind], ev->vector, ev->has_error ? ev->error : 0, cpu_cpl(cpu),
             cpu->arch.seg[SEG_CS].sel, cpu->arch.rip, cpu->arch.seg[SEG_SS].sel, cpu->arch.gpr[RSP],
             cpu->arch.cr2, cpu->arch.gpr[RAX], ev->why != NULL ? ev->why : "");
}

static void enter_shutdown(struct cpu *cpu)
{
    log_line(cpu->log, LOG_CPU, "cpu%u shutdown at %04x:%016" PRIx64, cpu->index,
             cpu->arch.seg[SEG_CS].sel, cpu->arch.rip);
    cpu->arch.activity = ACTIVITY_SHUTDOWN;
    trace_cpu_change(cpu->trace, cpu->index, TRACE_CPU_SHUTDOWN, cpu->arch.rip);
    cpu_kick(cpu);
    if (cpu->ports.cpu_reset != NULL) {
        cpu->ports.cpu_reset(cpu->ports.self, cpu->index);
    }
}

static void deliver_event(struct cpu *cpu)
{
    struct event ev = cpu->event;
    cpu->event.kind = EVENT_NONE;
    if (ev.kind == EVENT_NONE) {
        if (in_guest(cpu) && ev.vector == VEC_MF && virt_ferr(cpu) != CPU_OK) {
            cpu->event.kind = EVENT_NONE;
            cpu->d.left -= 1;
            virt_exit(cpu);
        }
        return;
    }
    cpu->d.left -= 1;
    if (ev.kind == EVENT_VMEXIT) {
        virt_exit(cpu);
        return;
    }
    cpu->arch.int_shadow_sti = false;
    cpu->arch.int_shadow_movss = false;
    if (ev.kind == EVENT_ICEBP && cpu->arch.pending_db != 0) {
        /* Traps held back by MOV SS become part of INT1's #DB. */
        cpu->arch.dr6 = (cpu->arch.dr6 & ~(u64)0xf) | cpu->arch.pending_db;
        cpu->arch.pending_db = 0;
    } else if (ev.kind == EVENT_EXCEPTION) {
        /* They do not outlive a fault, but do a software interrupt. */
        cpu->arch.pending_db = 0;
    }
    cpu_leave_block(cpu);
    while (ev.kind != EVENT_SHUTDOWN) {
        if (in_guest(cpu)) {
            if (virt_event(cpu, &ev) != CPU_OK) {
                cpu->event.kind = EVENT_NONE;
                virt_exit(cpu);
                return;
            }
            virt_delivery_begins(cpu, &ev);
        }
        record_exception(cpu, &ev);
        trace_deliver(cpu->trace, cpu->index, ev.kind, ev.vector, ev.has_error ? ev.error : 0,
                      cpu->arch.rip, cpu->arch.cr2);
        cpu_tell_moment(cpu, ev.kind == EVENT_EXT_INT || ev.kind == EVENT_NMI || ev.kind == EVENT_SOFT_INT
                                 ? CPU_MOMENT_INTERRUPT
                                 : CPU_MOMENT_EXCEPTION, ev.vector);
        if (log_on(cpu->log, LOG_INT)) {
            log_delivery(cpu, &ev);
        }
        bool lbr = debug_lbr_on(cpu);
        struct branch_from from = debug_branch_from(cpu);
        if (deliver_one(cpu, &ev) == CPU_OK) {
            if (lbr) {
                debug_record_interrupt(cpu, &from);
            }
            debug_count_delivery(cpu, ev.kind);
            break;
        }
        if (cpu->event.kind == EVENT_VMEXIT) { /* a second-level fault while delivering */
            cpu->event.kind = EVENT_NONE;
            virt_exit(cpu);
            return;
        }
        struct event second = cpu->event;
        set_ext(&second, &ev);
        if (in_guest(cpu) && virt_second_event(cpu, &second) != CPU_OK) {
            cpu->event.kind = EVENT_NONE;
            virt_exit(cpu);
            return;
        }
        enum fault_class a = classify(&ev), b = classify(&second);
        if (a == CLASS_DOUBLE && b != CLASS_BENIGN) {
            second.kind = EVENT_SHUTDOWN;
        } else if (becomes_double(a, b)) {
            record_exception(cpu, &second);
            second = (struct event){.kind = EVENT_EXCEPTION,
                                    .vector = VEC_DF,
                                    .has_error = true,
                                    .why = "exception while another was delivered"};
        }
        ev = second;
    }
    cpu->event.kind = EVENT_NONE;
    if (in_guest(cpu)) {
        if (ev.kind == EVENT_SHUTDOWN && virt_event(cpu, &ev) != CPU_OK) {
            virt_exit(cpu);
            return;
        }
        virt_delivery_done(cpu);
    }
    if (ev.kind == EVENT_SHUTDOWN) {
        enter_shutdown(cpu);
    }
}

void cpu_deliver_event(struct cpu *cpu)
{
    deliver_event(cpu);
    cpu->arch.rep_partial = false;
}
