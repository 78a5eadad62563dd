/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a report counts (report_collect.c) and writes (report.c). Everything is bounded; what is beyond a bound
 * is counted as left out, and the report says so. */
#ifndef VITRINE_TRACES_REPORT_PRIV_H
#define VITRINE_TRACES_REPORT_PRIV_H

#include "traces/render.h"

#define REPORT_CPUS 16u
#define REPORT_BUCKETS 1200u /* columns of the timeline */
#define REPORT_GUESTS 62u
#define REPORT_VCPUS 256u
#define REPORT_REASONS 128u
#define REPORT_CALLS 256u
#define REPORT_CHILDREN 256u
#define REPORT_OWNERS 1024u
#define REPORT_LINES 5000u
#define REPORT_EVENTS 16000u

/* A guest: virtual processors that share one root of second-level tables (or have none of their own). */
struct report_guest {
    u64 root; /* its first */
    unsigned level;
    unsigned parent; /* 1 + the guest that it runs under; 0: the host */
    u64 entries, first_at, ns;
    char name[40]; /* by the trace port; empty: none */
};

/* What the trace port called a virtual processor, and a partition. */
struct report_named {
    u64 control, partition, vtl;
};
struct report_partition {
    u64 partition;
    char name[24];
};
#define REPORT_CLAIMS 32u /* kinds of records */
#define REPORT_VERDICTS 5u

struct report_vcpu {
    u64 vcpu;
    bool entered;
    unsigned guest;
    u64 root;     /* that it was entered with last */
    u64 exit_rip; /* where it left */
    /* The hypercall it waits for. */
    bool calling;
    unsigned call;
    u64 since, order;
};

/* Where a processor is: 0 the host's side, 1 + n guest n. */
struct report_cpu {
    bool seen;
    unsigned mode;
    u64 since_ns, since_position;
    unsigned vcpu;      /* that it left or runs; ~0: none */
    u64 exit_reason;    /* of the exit that brought it to the host's side */
    bool in_exit;
    bool just_entered; /* by this processor's last event */
    unsigned watched; /* with --watch: 1 + the guest that it runs or ran last, as the tracker says; 0: none yet */
};

#define REPORT_LEVELS 3u /* that exits are counted for; deeper ones count into the last */
struct report_reason {
    u64 reason, count, positions, most, most_at;
    u64 by_level[REPORT_LEVELS];
};

struct report_call {
    u64 interface, number, count, done, positions, most, most_at, first_at, result;
};

/* Calls that were made while another one waited. */
struct report_child {
    unsigned parent, child;
    u64 count, first_at;
};

struct report_latency {
    u64 count, sum, least, most, most_at;
    u64 raised[REPORT_CPUS]; /* virtual ns + 1 of the one that waits; 0: none */
};

struct report_owner {
    u64 first, last, owner, level, rights, at;
    char name[64];
};

/* What reach_gain and reach_loss say of a page: two guests at most. */
#define REPORT_PAGES (1u << 22)
struct report_page {
    u8 guest[2];
};

struct report {
    struct trace_reader *reader;
    bool goes_on; /* a saved machine does: its time does not begin at 0 */
    u64 begin_ns;
    u64 first_ns; /* where the timeline begins: a little before the first guest */
    u64 last_ns, last_position, records, counts[TRACE_EVENT_COUNT];
    bool has_stop;
    struct trace_record stop;
    u64 stop_hash;
    struct report_cpu cpus[REPORT_CPUS];
    /* Virtual ns that a processor spent in a mode in each column. */
    u32 *shares; /* [cpu][mode][bucket] */
    struct report_guest guests[REPORT_GUESTS];
    unsigned guest_count;
    struct report_vcpu vcpus[REPORT_VCPUS];
    unsigned vcpu_count;
    struct report_reason reasons[REPORT_REASONS];
    unsigned reason_count;
    struct report_call calls[REPORT_CALLS];
    unsigned call_count;
    struct report_child children[REPORT_CHILDREN];
    unsigned child_count;
    u64 order;
    struct report_latency latency[256];
    struct report_owner owners[REPORT_OWNERS];
    unsigned owner_count;
    /* Memory when guests reached the most of it. */
    struct report_page *pages;
    u64 page_count, reached, most_reached, most_reached_record, taken;
    struct report_owner peak[REPORT_OWNERS];
    unsigned peak_count;
    u64 peak_at;
    u64 position_at[REPORT_BUCKETS]; /* the first that was seen in a column; 0: none */
    u64 host_ns;
    struct report_named named[REPORT_VCPUS];
    unsigned named_count;
    struct report_partition partitions[REPORT_GUESTS];
    unsigned partition_count;
    u64 claims[REPORT_CLAIMS][REPORT_VERDICTS];
    u64 left_out;
    bool begun; /* the second pass has */
};

#define REPORT_MODES (REPORT_GUESTS + 1)
static inline u32 *report_share(const struct report *p, unsigned cpu, unsigned mode, unsigned bucket)
{
    return &p->shares[(cpu * REPORT_MODES + mode) * REPORT_BUCKETS + bucket];
}

/* The first pass: where the run ends, how much of what there is. */
void report_measure(struct report *p, const struct trace_record *r);
/* The second: everything else. */
void report_take(struct report *p, const struct trace_record *r);
void report_end(struct report *p);

/* Without figures: only who runs where. */
void report_follow(struct report *p, const struct trace_record *r);
/* The number, from 1 on, of the guest that a processor runs, or whose exit it is about; 0: none. */
unsigned report_guest_of(const struct report *p, u32 cpu);

#endif
