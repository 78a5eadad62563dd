/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The run loop: turns, time, requests.
 *
 * One processor runs at a time, for a turn of config.quantum counts or until it waits. A slice ends
 * early where a timer is due; that changes nothing, because the turn goes on after it. When every
 * processor waits, time jumps to the next timer. */
#include "machine/machine.h"

#include "base/assert.h"
#include "cpu/apic.h"
#include "devices/pm.h"
#include "devices/q35.h"
#include "machine/boot/boot.h"
#include "machine/evidence.h"
#include "machine/host/block.h"
#include "machine/outside.h"
#include "machine/stops.h"
#include "machine/travel.h"

#include <string.h>

void machine_end_slice(struct machine *m)
{
    struct cpu *cpu = m->clock.running_cpu;
    if (m->clock.running != NULL) {
        cpu->d.stop = true;
        cpu_leave_block(cpu);
    }
}

void machine_request_stop(struct machine *m, enum stop_reason reason, u32 code)
{
    if (m->requests.stop == STOP_NONE) {
        m->requests.stop = reason;
        m->requests.stop_code = code;
    }
    machine_end_slice(m);
}

/* The clock counts what a processor executes; the trace says whose doing things are. */
static void begin_turn(struct machine *m, struct cpu *cpu)
{
    m->clock.running = cpu_slice_counts;
    m->clock.running_cpu = cpu;
    m->trace.running = cpu->index;
}

static void end_turn(struct machine *m)
{
    m->clock.running = NULL;
    m->trace.running = TRACE_NO_CPU;
}

static bool can_run(const struct cpu *cpu)
{
    return cpu->arch.activity == ACTIVITY_RUNNING || cpu->d.pending;
}

/* Let waiting processors look at what woke them; true when any can run. */
static bool find_turn(struct machine *m)
{
    for (unsigned i = 0; i < m->set.count; i++) {
        struct cpu *cpu = m->set.cpu[m->turn];
        if (cpu->arch.activity != ACTIVITY_RUNNING && cpu->d.pending) {
            cpu->d.pending = false;
            begin_turn(m, cpu);
            cpu->d.slice_budget = 0;
            cpu->d.left = 0;
            (void)cpu_check_pending(cpu);
            u64 used = (u64)-cpu->d.left;
            end_turn(m);
            m->clock.position += used;
            if (cpu->arch.activity == ACTIVITY_RUNNING) {
                cpu->d.pending = true; /* more may wait behind what was delivered */
            }
        }
        if (cpu->arch.activity == ACTIVITY_RUNNING && m->turn_left > 0) {
            return true;
        }
        m->turn = (m->turn + 1) % m->set.count;
        m->turn_left = m->config.quantum;
    }
    return can_run(m->set.cpu[m->turn]);
}

/* `budget`, but not beyond position `end`. */
static u64 at_most(u64 budget, u64 end, u64 position)
{
    u64 left = end > position ? end - position : 0;
    return left < budget ? left : budget;
}

/* A processor alone takes turn after turn: slices need not end between them. Not without end, for the sake of who
 * waits for the run loop on the host. */
#define TURNS_AT_ONCE 16

static u64 slice_budget(struct machine *m)
{
    u64 budget = m->turn_left;
    if (m->set.count == 1) {
        budget += (TURNS_AT_ONCE - 1) * m->config.quantum;
    }
    vtime_t next = clock_next_deadline(&m->clock);
    if (next.ns != VTIME_NEVER.ns) {
        u64 until = clock_instructions_until(&m->clock, next);
        budget = until < budget ? until : budget;
    }
    if (m->config.max_instructions != 0) {
        budget = at_most(budget, m->config.max_instructions, m->clock.position);
    }
    budget = at_most(budget, m->stop_at, m->clock.position);
    budget = stops_budget(m, m->turn, budget);
    budget = at_most(budget, evidence_next_position(m), m->clock.position);
    budget = at_most(budget, travel_next_position(m), m->clock.position);
    return at_most(budget, gate_next_position(&m->gate), m->clock.position);
}

static void run_slice(struct machine *m)
{
    struct cpu *cpu = m->set.cpu[m->turn];
    mch_set_smm_view(m->mch, cpu->arch.in_smm);
    u64 budget = slice_budget(m);
    if (budget == 0) {
        return;
    }
    begin_turn(m, cpu);
    u64 used = cpu_run(cpu, budget);
    end_turn(m);
    m->clock.position += used;
    if (used <= m->turn_left) {
        m->turn_left -= used;
    } else { /* as if each turn had ended and the next begun */
        u64 into = (used - m->turn_left) % m->config.quantum;
        m->turn_left = m->set.count == 1 && into != 0 ? m->config.quantum - into : 0;
    }
    if (cpu->d.yield || (cpu->arch.activity != ACTIVITY_RUNNING && !cpu->d.pending)) {
        m->turn_left = 0;
    }
    stops_after_slice(m, cpu->index, used);
}

/* Act on what devices asked for during the last slice. True when the run is over. */
static bool handle_requests(struct machine *m, struct run_result *result)
{
    struct machine_requests r = m->requests;
    memset(&m->requests, 0, sizeof m->requests);
    if (r.stop != STOP_NONE) {
        *result = (struct run_result){.reason = r.stop, .code = r.stop_code};
        return true;
    }
    if (r.power_off) {
        *result = (struct run_result){.reason = STOP_POWER_OFF};
        return true;
    }
    if (r.sleep_s3) {
        m->asleep_s3 = true;
    }
    if (r.wake && m->asleep_s3) {
        machine_reset(m, false); /* ends the sleep; not a reset that --no-reboot is about */
        boot_wake(m);
    }
    if (r.init) {
        for (unsigned i = 0; i < m->set.count; i++) {
            m->set.cpu[i]->arch.init_pending = true;
            m->set.cpu[i]->d.pending = true;
        }
    }
    if (r.reset || r.triple_fault) {
        if (m->config.no_reboot) {
            *result = (struct run_result){.reason = r.reset ? STOP_RESET : STOP_TRIPLE_FAULT};
            return true;
        }
        machine_reset(m, false);
        if (!boot_load(m, &m->error)) {
            *result = (struct run_result){.reason = STOP_ERROR};
            return true;
        }
    }
    for (unsigned i = 0; i < m->disk_count; i++) {
        const struct error *trouble = block_trouble(m->disks[i]);
        if (trouble->status != EXIT_STATUS_OK) {
            (void)error_set(&m->error, trouble->status, "%s", trouble->text);
        }
    }
    if (m->jit != NULL && jit_difference(m->jit) != NULL) {
        (void)error_set(&m->error, EXIT_STATUS_DIFFERS, "--engine lockstep: %s", jit_difference(m->jit));
        *result = (struct run_result){.reason = STOP_DIFFERS};
        return true;
    }
    if (m->error.status != EXIT_STATUS_OK) {
        *result = (struct run_result){.reason = STOP_ERROR};
        return true;
    }
    if (m->log.strict_hit) {
        *result = (struct run_result){.reason = STOP_STRICT};
        return true;
    }
    if (r.stop_break) {
        *result = (struct run_result){.reason = STOP_BREAK};
        return true;
    }
    return false;
}

/* What stops a run from outside the machine, looked at where input is let in. */
static enum stop_reason stop_from_outside(struct machine *m)
{
    if (m->config.max_instructions != 0 && m->clock.position >= m->config.max_instructions) {
        return STOP_LIMIT;
    }
    if (m->clock.position >= m->stop_at) {
        return STOP_POSITION;
    }
    if (m->gate.missed != NULL) {
        (void)error_set(&m->error, EXIT_STATUS_DIFFERS,
                        "the replay differs: it came past position %llu, where %s was recorded",
                        (unsigned long long)m->gate.missed->position.n,
                        gate_source_name(m->gate.missed->source));
        return STOP_DIFFERS;
    }
    if (m->gate.ended) {
        return STOP_REPLAY_END;
    }
    if (m->interrupted != 0) {
        m->interrupted = 0;
        return STOP_INTERRUPTED;
    }
    return m->quit ? STOP_QUIT : STOP_NONE;
}

/* Position or time has moved: marks first, then input, then stops. */
static enum stop_reason gate_point(struct machine *m)
{
    if (!evidence_at_gate_point(m)) {
        return STOP_DIFFERS;
    }
    travel_at_gate_point(m);
    outside_poll(m);
    gate_pass(&m->gate);
    return stop_from_outside(m);
}

/* Is any timer armed that can lead to something while every processor waits? A console's look at a
 * guest that does not listen cannot. */
static bool is_hopeful(struct machine *m)
{
    for (unsigned i = 0; i < m->console_count; i++) {
        if (console_is_hopeful(&m->consoles[i])) {
            return true;
        }
    }
    for (unsigned i = 0; i < m->clock.timer_count; i++) {
        const struct timer *t = m->clock.timers[i];
        bool own = false;
        for (unsigned c = 0; c < m->console_count; c++) {
            own |= console_owns_timer(&m->consoles[c], t);
        }
        if (timer_is_armed(t) && !own) {
            return true;
        }
    }
    return false;
}

/* Virtual time after which deaf processors count as halted for good. An NMI could still wake them, so they get a
 * while; interrupts never can. */
#define DEAF_LIMIT_NS (10u * (u64)NS_PER_SEC)

/* Has every processor stopped listening to interrupts: halted with IF = 0, in shutdown, or never started? */
static bool all_are_deaf(const struct machine *m)
{
    for (unsigned i = 0; i < m->set.count; i++) {
        const struct cpu_arch *a = &m->set.cpu[i]->arch;
        bool deaf_halt = a->activity == ACTIVITY_HLT && (a->rflags & RFLAGS_IF) == 0;
        if (a->guest != GUEST_NONE ||
            !(deaf_halt || a->activity == ACTIVITY_SHUTDOWN || a->activity == ACTIVITY_WAIT_SIPI)) {
            return false;
        }
    }
    return !m->asleep_s3;
}

/* Every processor waits: let time pass until a timer is due or something comes from outside. False:
 * nothing ever will. */
static bool idle(struct machine *m)
{
    u64 now = clock_now(&m->clock).ns;
    if (!all_are_deaf(m)) {
        m->deaf_since = VTIME_NEVER.ns;
    } else if (m->deaf_since == VTIME_NEVER.ns || now < m->deaf_since) {
        m->deaf_since = now;
    } else if (now - m->deaf_since > DEAF_LIMIT_NS) {
        return false;
    }
    vtime_t next = is_hopeful(m) ? clock_next_deadline(&m->clock) : VTIME_NEVER;
    vtime_t input = gate_next_time(&m->gate);
    if (m->gate.replaying) {
        next = input.ns < next.ns ? input : next;
    } else if (outside_must_wait(m, next)) {
        u64 spent = outside_wait(m, next);
        if (gate_has_offers(&m->gate) || m->interrupted != 0 || m->quit) {
            /* Its stamp must not be one that the loop has already passed: 1 ns at least. */
            u64 then = now + (spent > 0 ? spent : 1);
            next = then < next.ns ? (vtime_t){then} : next;
        }
    }
    if (next.ns == VTIME_NEVER.ns) {
        return false;
    }
    clock_skip_to(&m->clock, next);
    return true;
}

struct run_result machine_run(struct machine *m)
{
    struct run_result result = {.reason = STOP_NONE};
    stops_resume(m);
    for (;;) {
        clock_fire_due(&m->clock);
        if (handle_requests(m, &result)) {
            return result;
        }
        if (gate_is_point(&m->gate)) {
            result.reason = gate_point(m);
            if (result.reason != STOP_NONE) {
                return result;
            }
        }
        if (!m->asleep_s3 && find_turn(m)) {
            if (m->requests.stop_break) { /* an interrupt that ended a wait wrote where somebody looks */
                continue;
            }
            run_slice(m);
        } else if (!idle(m)) {
            return (struct run_result){.reason = STOP_ALL_HALTED};
        }
    }
}
