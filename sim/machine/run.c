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
            m->clock.running = cpu_slice_counts;
            m->clock.running_cpu = cpu;
            cpu->d.slice_budget = 0;
            cpu->d.left = 0;
            (void)cpu_check_pending(cpu);
            u64 used = (u64)-cpu->d.left;
            m->clock.running = NULL;
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

static u64 slice_budget(struct machine *m)
{
    u64 budget = m->turn_left;
    vtime_t next = clock_next_deadline(&m->clock);
    if (next.ns != VTIME_NEVER.ns) {
        u64 until = clock_instructions_until(&m->clock, next);
        budget = until < budget ? until : budget;
    }
    if (m->config.max_instructions != 0) {
        u64 left = m->config.max_instructions - m->clock.position;
        budget = left < budget ? left : budget;
    }
    return budget;
}

static void run_slice(struct machine *m)
{
    struct cpu *cpu = m->set.cpu[m->turn];
    if (cpu->arch.in_smm != m->smm_view) {
        m->smm_view = cpu->arch.in_smm;
        mch_set_smm_view(m->mch, m->smm_view);
    }
    u64 budget = slice_budget(m);
    if (budget == 0) {
        return;
    }
    m->clock.running = cpu_slice_counts;
    m->clock.running_cpu = cpu;
    u64 used = cpu_run(cpu, budget);
    m->clock.running = NULL;
    m->clock.position += used;
    m->turn_left = used < m->turn_left ? m->turn_left - used : 0;
    if (cpu->d.yield || (cpu->arch.activity != ACTIVITY_RUNNING && !cpu->d.pending)) {
        m->turn_left = 0;
    }
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
    if (m->error.status != EXIT_STATUS_OK) {
        *result = (struct run_result){.reason = STOP_ERROR};
        return true;
    }
    if (m->log.strict_hit) {
        *result = (struct run_result){.reason = STOP_STRICT};
        return true;
    }
    return false;
}

struct run_result machine_run(struct machine *m)
{
    struct run_result result = {.reason = STOP_NONE};
    for (;;) {
        clock_fire_due(&m->clock);
        if (handle_requests(m, &result)) {
            return result;
        }
        if (m->interrupted != 0) {
            m->interrupted = 0;
            return (struct run_result){.reason = STOP_INTERRUPTED};
        }
        if (m->config.max_instructions != 0 && m->clock.position >= m->config.max_instructions) {
            return (struct run_result){.reason = STOP_LIMIT};
        }
        if (!m->asleep_s3 && find_turn(m)) {
            run_slice(m);
            continue;
        }
        vtime_t next = clock_next_deadline(&m->clock);
        if (next.ns == VTIME_NEVER.ns) {
            return (struct run_result){.reason = STOP_ALL_HALTED};
        }
        clock_skip_to(&m->clock, next);
    }
}
