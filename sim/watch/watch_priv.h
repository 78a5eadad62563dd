/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the parts of the tracker. Records live in arrays and are named by number; 0 is none. */
#ifndef VITRINE_WATCH_WATCH_PRIV_H
#define VITRINE_WATCH_WATCH_PRIV_H

#include "base/bits.h"
#include "watch/watch.h"

#define WATCH_CPUS 16
/* Work that one event may cause, in entries and pages looked at: what honest tables never need. */
#define WATCH_WORK(pages) (16 * (pages) + (1u << 20))
#define WATCH_PENDING_MAX 65536u

/* A growing array of records with a list of free ones. */
struct pool {
    u8 *data;
    size_t size; /* of a record */
    u32 count, cap, free; /* count: with record 0, which is not used */
};

void pool_init(struct pool *p, size_t size);
void pool_release(struct pool *p);
u32 pool_take(struct pool *p); /* zeroed; its first u32 links free ones */
void pool_give(struct pool *p, u32 n);

static inline void *pool_at(const struct pool *p, u32 n)
{
    return p->data + (size_t)n * p->size;
}

/* What the tracker knows of each page frame. */
struct frame_info {
    u32 owners; /* list of struct owner */
    u32 shares; /* list of struct share */
    u32 page;   /* struct page: it is a table */
    bool routes;   /* an IOMMU finds devices' tables through it */
    u32 declared;  /* list of struct declared */
    u8 claimed;    /* enum trace_port_pages + 1 as the trace port says, 0 nothing */
    u32 claimed_by; /* the partition that it names */
};

/* A table page of one or more roots. */
struct page {
    u32 next_free;
    u32 nodes; /* list: its places in tables */
    u64 frame;
    u8 shadow[PAGE_SIZE]; /* as it is accounted for */
};

/* A table at one place of one root. */
struct node {
    u32 next_free;
    u32 root, page, next_on_page;
    u32 serial; /* tells it from an earlier one of this number */
    u8 level, rights;
    u16 first; /* offset of its first entry in the page (PAE) */
    u64 base;  /* first address it maps */
    u32 *child;   /* by entry; NULL: none yet */
    u64 *pending; /* bit per entry: not accounted for until the root is used */
};

struct pending {
    u32 node, serial;
    u32 index;
    struct watch_moment moment;
};

struct root {
    bool live, device;
    bool too_large, given_up; /* its tables take more work than any honest ones: not followed */
    struct watch_tables tables;
    u8 rights;
    u32 guest; /* the guest it belongs to, 0: none (yet) */
    u32 in_use; /* processors in it now, or devices attached */
    u32 devices;
    u16 requester; /* first device attached */
    bool of_host;  /* a device's: it reaches tables of guests, so it is whoever's who makes them */
    u32 node;
    u64 mapped; /* pages, counted by mapping */
    u64 reach[3]; /* frames with R, W, X */
    struct pending *pending;
    u32 pending_count, pending_cap;
    u32 *open; /* shares to be marked when it is used next */
    u32 open_count, open_cap;
};

struct owner {
    u32 next;
    u32 root;
    u32 count[3]; /* mappings with R, W, X */
    struct watch_moment since;
};

struct share {
    u32 next; /* on the frame's list */
    u32 serial;
    u64 frame;
    u32 a, b; /* roots */
    bool used_a, used_b, confirmed;
    enum watch_reason reason; /* declared by */
    struct watch_moment since;
};

/* A page that a guest may share. */
struct declared {
    u32 next;        /* on the frame's list */
    u32 guest, with; /* 0: anybody */
    enum watch_reason reason;
    u64 id, frame;
    u32 call;    /* a GPADL: open_call.said of the call that named this page */
    u64 leaving; /* which request to end it waits for the host's word; 0: none */
    bool all;    /* that request was for all of the guest's */
    bool live;
};

/* A guest's connection to a port, and the guest that made it. */
struct port_link {
    u32 guest, connection;
};
#define WATCH_LINKS 128u

/* A GPADL some of whose pages have still to be named. */
struct gpadl {
    u32 guest, with, id;
    u32 left; /* 0: complete, or none */
};
#define WATCH_GPADLS 64u

struct control {
    enum watch_kind kind;
    u64 address;
    u32 guest, root;
    u32 peer; /* the same virtual processor's other trust level, 0 none known */
    u64 left[16]; /* general registers at its last exit */
    u64 left_rip;
    bool has_left;
    bool left_by_call; /* which was a hypercall, and it has not been entered since */
    bool child_due;    /* the trace port says: the next call is a child of call `child_of`, of this kind */
    u64 child_of;
    u32 child_key;
};

#define CALL_MADE 16u
#define CALL_MSR 0x10000u /* a key: number of a Hyper-V call, or this + low half of a synthetic MSR */

/* A hypercall that has not returned, or a question by CPUID. */
struct open_call {
    bool is_open, is_cpuid;
    u32 control;
    enum watch_abi abi;
    u64 number, position;
    u32 children;
    u32 leaf;
    u32 command; /* Xen: its first argument */
    u32 made[CALL_MADE]; /* the kinds of its children, CALL_KEY */
    u32 made_count;
    bool answered; /* by the upper trust level, which has returned to this one; what it does from there on is not for this call */
    u64 rip;
    bool code64;
    u64 claimed; /* the trace port's name of it, 0 none */
    bool has_result;
    u64 result; /* that the trace port says it has */
    u32 said, said_pages; /* VMBus: a number for what it declared, pages that it named */
    u32 said_gpadl;       /* the entry of `gpadls` + 1 */
    bool said_first;      /* which it began */
};

/* A virtual processor's trust level, and a partition, as the trace port names them. */
struct named_vp {
    u64 control, partition, vp, vtl;
};
struct named_partition {
    u64 partition;
    char name[24];
};
/* What was said, and what is so. */
struct claim_difference {
    u32 type, guest;
    u64 id, claimed, derived, position;
};
#define WATCH_DIFFERENCES 8u
#define WATCH_NAMED_VPS 2048u
#define WATCH_NAMED_PARTITIONS 256u

/* What calls of a kind became, over the run. */
struct call_kind {
    u32 next_free;
    u8 abi;
    u32 number, command;
    u64 count, alone, counts; /* alone: none of its children was more than the way back */
    struct {
        u32 key;
        u64 count;
    } made[CALL_MADE];
    u32 made_count;
};
#define WATCH_KINDS 128u

/* Pages that this processor's hypervisor said changed hands, to be compared when it is done. */
struct due_pages {
    u64 first, count;
};
#define WATCH_DUE 16u

struct cpu_watch {
    struct due_pages due[WATCH_DUE];
    u32 due_count;
    u32 control; /* running; 0: none */
    u32 left_control; /* that ran last */
    u32 root;
    u32 guest, last_guest;
    u32 entry_from; /* control that just tried to enter a guest of its own */
    struct open_call calls[32]; /* a stack: a hypercall inside another's time */
    unsigned depth;
};

struct device_watch {
    u16 requester;
    bool known, direct;
    u32 root;
};

/* Neighbouring pages that one event gives to, or takes from, one root: what the trace says in one record. */
struct reach_run {
    bool open, gain;
    u32 root;
    u8 rights;
    u64 first, end;
    struct watch_moment at;
};

struct watch {
    struct phys *phys;
    struct log *log;
    struct trace *trace;
    struct watch_host host;
    struct frame_info *frames;
    struct pool pages, nodes, owners, shares, declared;
    struct root *roots; /* 1.. */
    u32 root_count, root_cap;
    struct control *controls; /* 1.. */
    u32 control_count, control_cap;
    struct watch_guest *guests; /* 1.. */
    u32 guest_count, guest_cap;
    struct device_watch devices[256];
    unsigned device_count;
    struct cpu_watch cpu[WATCH_CPUS];
    struct call_kind kinds[WATCH_KINDS];
    u32 kind_count;
    u64 handovers; /* of registers, between trust levels */
    struct named_vp named_vps[WATCH_NAMED_VPS]; /* the oldest makes room */
    u32 named_vp_count;
    struct named_partition named_partitions[WATCH_NAMED_PARTITIONS];
    u32 named_partition_count;
    struct watch_claims claims;
    struct claim_difference differences[WATCH_DIFFERENCES]; /* the first ones */
    u32 serial;
    bool routes_stale, in_routes;
    /* The last write, not yet accounted for: the bytes change after we are told. */
    bool written;
    u64 written_frame, written_offset, written_size;
    struct watch_moment written_at;
    u64 share_open, share_confirmed, reported; /* confirmed: without the declared ones */
    u64 share_declared[WATCH_REASONS];         /* confirmed too */
    u64 declared_now, leave_count;
    struct port_link links[WATCH_LINKS];
    u32 link_count;
    struct gpadl gpadls[WATCH_GPADLS];
    u32 gpadl_next;
    u64 work; /* left for the running event */
    bool working;
    struct watch_moment at; /* working: what made the event so */
    struct reach_run run;
    bool exhausted; /* a root is too_large and not given up yet */
};

/* ---- tables.c ---- */

enum decoded_kind { DECODED_NONE, DECODED_LEAF, DECODED_TABLE };
struct decoded {
    enum decoded_kind kind;
    u8 rights, shift, next_level; /* shift: log2 of a leaf's bytes */
    u64 address;
};
struct decoded watch_decode(enum watch_format format, unsigned level, u64 entry);
/* log2 of the bytes that one entry maps. */
unsigned watch_entry_shift(enum watch_format format, unsigned level);

void watch_root_build(struct watch *w, u32 root, const struct watch_moment *m);
void watch_root_drop(struct watch *w, u32 root);
/* It is entered, or a device attached: what was waiting counts now. */
void watch_root_used(struct watch *w, u32 root);
/* Account for the last write. */
void watch_settle(struct watch *w);
/* An event of the machine begins; one that began ends. */
void watch_begin_work(struct watch *w, const struct watch_moment *m);
void watch_end_work(struct watch *w);
/* False: too much for this event; the root will be given up. */
bool watch_spend(struct watch *w, u32 root, u64 work);
void watch_mark_page(struct watch *w, u64 frame);
/* Where a root's tables lead a guest's address to now. */
bool watch_translate(const struct watch *w, u32 root, u64 address, u64 *spa);

/* ---- owners.c ---- */

void watch_add_pages(struct watch *w, u32 root, u64 spa, u64 bytes, u8 rights,
                     const struct watch_moment *m);
void watch_remove_pages(struct watch *w, u32 root, u64 spa, u64 bytes, u8 rights);
void watch_open_shares_used(struct watch *w, u32 root);
/* The first ones, those that nobody declared before the others. */
void watch_print_shares(struct watch *w, FILE *out);
/* What is declared of this page has changed. */
void watch_shares_judged(struct watch *w, u64 frame);
/* Write down what the trace has not been told of reach. */
void watch_tell_reach(struct watch *w);
/* "guest 2" or "device 00:03.0". */
void watch_name_root(const struct watch *w, u32 root, char *text, size_t size);
/* It reaches nothing any more, whatever was accounted for. */
void watch_disown(struct watch *w, u32 root);
void watch_name_owner(const struct watch_owner *o, char *text, size_t size); /* "guest 1 (write)" */
void watch_describe_owner(const struct watch *w, u64 frame, u32 root, struct watch_owner *out);
/* The n-th root that reaches a page, 0 none. */
u32 watch_owner_root(const struct watch *w, u64 frame, u32 n);

/* ---- declared.c ---- */

/* By what may these two share the page? */
enum watch_reason watch_reason_of(const struct watch *w, u64 frame, u32 root_a, u32 root_b);
/* Of these pages, what `guest` may share with `with` by the trace port's word is over. */
void watch_end_lent(struct watch *w, u64 frame, u32 guest, u32 with);
/* False: there are too many. */
bool watch_declare_frame(struct watch *w, u64 frame, const struct declared *what);
void watch_end_declared(struct watch *w, bool (*ends)(const struct declared *d, const void *key), const void *key);
void watch_print_declared(struct watch *w, FILE *out);

/* ---- gpadl.c ---- */

/* A Hyper-V call begins; what it declared is taken back when it is refused. */
void watch_gpadl_call(struct watch *w, unsigned cpu, const struct watch_exit *x, struct open_call *call);
void watch_gpadl_refused(struct watch *w, const struct open_call *call);

/* ---- levels.c ---- */

/* Forget what was read from a file and is not to be followed. */
void watch_discard(struct watch *w);

/* Does one of two guests run the other, or are they one? */
bool watch_is_related(const struct watch *w, u32 guest_a, u32 guest_b);
u32 watch_root_find(struct watch *w, const struct watch_tables *tables, u8 rights, bool device);

/* ---- names.c ---- */

/* Is the first argument a command? */
bool watch_call_has_command(enum watch_abi abi, u64 number);
/* In the words of the interface's documents. */
void watch_call_name(enum watch_abi abi, u64 number, u64 command, char *out, size_t size);

/* ---- causes.c ---- */

/* The guest that a trust level belongs to, or itself. */
u32 watch_partition(const struct watch *w, u32 guest);

void watch_call_made(struct watch *w, unsigned cpu, const struct watch_exit *x);
/* Is this processor's hypervisor answering a call to map what another guest granted? */
bool watch_maps_grant(const struct watch *w, u32 cpu);
/* Into `kinds`: calls that have not come back, such as a shutdown. */
void watch_count_open(struct watch *w);
void watch_call_returns(struct watch *w, unsigned cpu, const u64 *gpr, u64 rip);
/* Does a call of this processor's running guest belong to an open one? */
bool watch_call_belongs(const struct watch *w, const struct open_call *call, const struct cpu_watch *c);

/* ---- claims.c ---- */

/* The running guest makes a call, or writes a synthetic MSR (key as in open_call.made): was it said to be a child, and of which? */
void watch_claims_child(struct watch *w, unsigned cpu, u32 key);
/* It goes back to its lower trust level: nothing may be due. */
void watch_claims_back(struct watch *w, unsigned cpu);
/* A call returns with this: is it what was said? */
void watch_claims_result(struct watch *w, unsigned cpu, const struct open_call *call, u64 result);
/* A guest is entered: what the trace port calls it. */
void watch_claims_name(struct watch *w, u32 guest, u64 control);
/* The hypervisor is done with what it said of pages: a guest is about to run. */
void watch_claims_due(struct watch *w, unsigned cpu);
void watch_claims_print(struct watch *w, FILE *out);

#endif
