/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tracker: which guest runs under which hypervisor, which second-level and IOMMU tables reach which
 * page, what two strangers can both reach, and which hypercalls were made. All of it derives from what
 * processors and devices do and from tables in memory; nothing a guest says is believed, nothing a guest
 * sees changes. The machine feeds it (machine/watching.c); it reads memory and knows no processor.
 *
 * No figure depends on the size of a cache or on the engine: only architectural events come in. */
#ifndef VITRINE_WATCH_WATCH_H
#define VITRINE_WATCH_WATCH_H

#include "base/log.h"
#include "base/state.h"
#include "mmu/phys.h"
#include "trace/trace.h"

struct watch;

/* ---- What is fed in ---- */

/* When and by what: the instruction that runs. */
struct watch_moment {
    u64 position, rip;
    u32 cpu; /* WATCH_NO_CPU: a device */
    bool granted; /* by Xen, answering a guest that asked to map what another one granted; the tracker's to say */
};
#define WATCH_NO_CPU 0xffu

enum watch_format {
    WATCH_EPT,
    WATCH_X86,  /* processors' tables of 64-bit entries: nested paging, IOMMUs' first level */
    WATCH_PAE,
    WATCH_X86_32,
    WATCH_VTD,  /* VT-d second level */
    WATCH_AMD,  /* AMD-Vi host tables */
};

/* A root and what is needed to read its tables. */
struct watch_tables {
    enum watch_format format;
    u8 levels;
    u64 table;
};

enum watch_kind { WATCH_VMX, WATCH_SVM };

/* A processor enters a guest. */
struct watch_entry {
    enum watch_kind kind;
    u64 control;                /* address of the VMCS or VMCB */
    bool nested;                /* second-level translation is on: */
    struct watch_tables tables;
    const u64 *gpr;             /* as the guest begins with them, in the order of their numbers */
    u64 rip;
};

enum watch_cause {
    WATCH_CAUSE_OTHER,
    WATCH_CAUSE_HYPERCALL, /* VMCALL, VMMCALL */
    WATCH_CAUSE_ENTRY,     /* VMLAUNCH, VMRESUME, VMRUN: the guest runs a guest */
    WATCH_CAUSE_CPUID,
    WATCH_CAUSE_MSR_WRITE,
};

/* A processor leaves a guest. */
struct watch_exit {
    enum watch_cause cause;
    const u64 *gpr;
    u64 rip;     /* of the guest */
    bool code64;
    u8 cpl;
};

/* How a device's accesses go; see also watch_device. */
struct watch_route {
    enum { WATCH_ROUTE_BLOCKED, WATCH_ROUTE_DIRECT, WATCH_ROUTE_TABLES } kind;
    struct watch_tables tables;
    u8 rights;
    /* Pages of tables that decide it: when one is written, `routes_changed` is asked for again. */
    u64 used[8];
    unsigned used_count;
};

#define WATCH_R 1u
#define WATCH_W 2u
#define WATCH_X 4u

struct watch_share;

/* What the tracker needs of the machine. */
struct watch_host {
    void (*withdraw)(void *self, u64 frame); /* the page is PAGE_TRACKED now: no fast writes to it */
    void (*now)(void *self, struct watch_moment *m);
    /* Call watch_device for every device. */
    void (*routes)(void *self, struct watch *w);
    void (*violation)(void *self, const struct watch_share *share);
    void *self;
};

struct watch *watch_new(struct phys *phys, struct log *log, struct trace *trace,
                        const struct watch_host *host);
void watch_free(struct watch *w);
/* Forget everything: memory was replaced (reset, restored state). */
void watch_forget(struct watch *w);
/* Save, or restore over a memory that is as it was then; what does not fit is forgotten. */
void watch_state(struct watch *w, struct state_io *io);

void watch_entered(struct watch *w, unsigned cpu, const struct watch_entry *e);
void watch_left(struct watch *w, unsigned cpu, const struct watch_exit *x);
/* Bytes of a PAGE_TRACKED frame are about to change. */
void watch_before_write(struct watch *w, u64 frame, u64 offset, u64 size);
void watch_routes_changed(struct watch *w); /* IOMMU registers, bus mastering */
void watch_device(struct watch *w, u16 requester, const struct watch_route *route);

/* ---- Declared sharing: declared.c ---- */

/* Who says so. The tracker sees grants and GPADLs itself. */
enum watch_reason {
    WATCH_REASON_NONE,
    WATCH_REASON_GRANT,   /* Xen's */
    WATCH_REASON_GPADL,   /* the VMBus' */
    WATCH_REASON_PORT,    /* a hypervisor, by the trace port */
    WATCH_REASON_LIBRARY, /* whoever uses this library */
    WATCH_REASONS,
};
const char *watch_reason_name(enum watch_reason reason);

/* Pages of `guest` (0: of anybody) that `with` (0: anybody) may reach too, until it is ended by its name. */
struct watch_declaration {
    enum watch_reason reason;
    u32 guest, with;
    u64 spa, bytes;
    u64 id;
};
/* False: no such guest, or more than is followed. */
bool watch_declare(struct watch *w, const struct watch_declaration *d);
void watch_end_declaration(struct watch *w, enum watch_reason reason, u32 guest, u64 id);
/* From here on nobody minds that this memory is shared. */
void watch_declare_shared(struct watch *w, u64 spa, u64 bytes);

/* A record of the trace port (abi/trace_port.def), of the processor that wrote it. It adds names and intentions; what it says is
 * compared with what was derived, where there is something to compare, and believed nowhere. */
struct watch_claim {
    u32 type;    /* enum trace_port_type */
    u32 writers; /* who may say so */
    const u64 *field; /* as many as its row has */
    const u8 *payload;
    u32 size;
};
enum watch_verdict {
    WATCH_CLAIM_UNCHECKED, /* nobody watches */
    WATCH_CLAIM_TAKEN,     /* from one who may say so; nothing to compare, or not yet */
    WATCH_CLAIM_AGREES,
    WATCH_CLAIM_DIFFERS,
    WATCH_CLAIM_REFUSED,   /* the writer is none of those who may say so */
};
enum watch_verdict watch_claim(struct watch *w, unsigned cpu, const struct watch_claim *claim);

/* What somebody says of pages: that `guest` (0: nobody) reaches them, and no stranger but `with` (0: none). */
struct watch_page_claim {
    u64 spa, bytes;
    u32 guest, with;
};
struct watch_page_verdict {
    u64 pages;     /* of RAM, that were looked at */
    u64 unreached; /* that `guest` does not reach */
    u64 foreign;   /* that somebody else reaches */
    bool differs;
    u64 first;     /* the first page that is not as claimed, */
    u32 stranger;  /* and who reaches it; 0: nobody who should not */
};
void watch_compare(struct watch *w, const struct watch_page_claim *c, struct watch_page_verdict *out);
/* Guests by what their hypervisor knows of them: a VMCS or VMCB, second-level tables in use. 0: none seen. */
u32 watch_guest_of_control(const struct watch *w, u64 control);
u32 watch_guest_of_tables(const struct watch *w, u64 table);

/* ---- What comes out ---- */

/* A guest: processors that run on the same second-level tables. 0 is whoever runs outside guest mode. */
struct watch_guest {
    u32 id, parent;
    u32 level_of; /* the guest it is a lower trust level of, 0 none: see levels.c */
    enum watch_kind kind;
    u64 control;  /* first VMCS or VMCB seen */
    u32 controls; /* how many */
    u64 since;    /* position of its first entry */
    u64 entries;
    u64 hypercalls;
    u64 most; /* pages that it ever reached at a time */
    u32 abis; /* bit per watch_abi that the hypervisor told it of by CPUID */
    char name[24]; /* that its hypervisor gave it, as it told it by CPUID; empty: none */
    bool claimed;  /* the trace port names its partition: */
    u64 partition, vtl;
    char partition_name[24];
};

/* What was said on the trace port, and how it compares. */
struct watch_claims {
    u64 taken, compared, differ, refused;
};
const struct watch_claims *watch_claims(const struct watch *w);

/* Guests are numbered from 1 in the order of their first entry. NULL: there is none of this number. */
const struct watch_guest *watch_guest(const struct watch *w, u32 id);
u32 watch_guest_count(const struct watch *w);
/* Which guest does a processor run now; 0: none. */
u32 watch_running(const struct watch *w, unsigned cpu);

/* Who can reach a page. */
struct watch_owner {
    u32 guest;      /* 0 with a device that belongs to nobody */
    bool device;
    u16 requester;  /* of a device */
    struct watch_tables tables;
    u8 rights;
    struct watch_moment since;
};
size_t watch_owners(struct watch *w, u64 spa, struct watch_owner *out, size_t max);
/* Pages of RAM that a guest's tables reach; with `rights` all of them. */
u64 watch_reach(struct watch *w, u32 guest, u8 rights);

/* A page that two strangers can reach, at least one of them writing. */
struct watch_share {
    u64 spa;
    struct watch_owner a, b;   /* b came second */
    struct watch_moment since; /* what made it so */
    bool confirmed; /* both sides ran (or can do DMA) since */
    bool declared;  /* no violation */
    enum watch_reason reason; /* declared: by what */
};
u64 watch_share_count(struct watch *w, bool confirmed); /* without the declared ones */
/* Those that are confirmed, the declared ones too, in order; false: no such one. */
bool watch_share_get(struct watch *w, u64 n, struct watch_share *out);

enum watch_abi { WATCH_ABI_NONE, WATCH_ABI_KVM, WATCH_ABI_HYPERV, WATCH_ABI_XEN, WATCH_ABI_OTHER };
const char *watch_abi_name(enum watch_abi abi);

/* Lines for people: each kind of Xen call with the Hyper-V calls it became. */
void watch_print_calls(struct watch *w, FILE *out);
/* Lines for people: the tree of guests, what each reaches, what is shared. */
void watch_print(struct watch *w, FILE *out);

#endif
