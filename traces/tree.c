/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who did what for whom follows from the order of records of one virtual processor: a packet belongs to the request that named it just before; the
 * hypercall behind a signal record is that packet's; what the root calls while it says that it is at work for a packet is that packet's; an
 * upcall right behind a request's end tells the frontend of it. Left out: what DMA of the root's own devices was for whom. */
#include "traces/tree.h"

#include "abi/hyperv/hypercall.h"
#include "abi/hyperv/vmbus.h"
#include "abi/trace_port.h"
#include "base/bytes.h"
#include "trace/events.h"
#include "traces/render.h"
#include "traces/words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NONE 0u
#define REFUSED 4u /* enum watch_verdict */
#define CONTROLS 256u
#define TRANSMIT 16u /* and RECEIVE behind it: as the adapter says them */

struct node {
    u32 first, last, next; /* children; the next of its parent's */
    u64 position, ns;
    bool child;
    char text[176], end[48];
};

/* Something that is still under way, by its name. */
struct open {
    u64 key[3]; /* partition; device and id, or relid and transaction */
    u32 node;
};

struct open_list {
    struct open *at;
    u32 count, room;
};

/* A virtual processor that writes to the trace port. */
struct writer {
    u64 control, partition;
    u64 call;     /* number of the Xen call that it answers, NO_CALL none */
    u32 tail;     /* request that it has just ended */
    u32 signal;   /* packet whose signal comes next */
    u32 work;     /* packet that it is at work for */
    u32 last;     /* packet that it has just put or taken */
    u32 hypercall; /* that has not come back */
    u64 due[2];   /* relid and transaction of the packet that is the next of `request` */
    u32 request;
};
#define NO_CALL (~(u64)0)

struct tree {
    struct node *nodes; /* 0 is none */
    u32 count, room;
    struct open_list requests, sent, received; /* packets that a child began, that the root began */
    struct writer writers[CONTROLS];
    u32 writer_count;
    struct trace_tree_counts *counts;
    bool failed;
};

static u32 node_new(struct tree *t, const struct trace_record *r, u32 parent)
{
    if (t->count == t->room) {
        u32 room = t->room == 0 ? 1024 : t->room * 2;
        struct node *n = realloc(t->nodes, room * sizeof *n);
        if (n == NULL) {
            t->failed = true;
            return NONE;
        }
        t->nodes = n;
        t->room = room;
        t->count = t->count == 0 ? 1 : t->count;
    }
    u32 i = t->count++;
    t->nodes[i] = (struct node){.position = r->position.n, .ns = r->time.ns};
    if (parent != NONE) {
        struct node *p = &t->nodes[parent];
        t->nodes[i].child = true;
        if (p->last != NONE) {
            t->nodes[p->last].next = i;
        } else {
            p->first = i;
        }
        p->last = i;
    }
    return i;
}

static struct open *find(struct open_list *l, u64 a, u64 b, u64 c)
{
    for (u32 i = l->count; i-- > 0;) {
        if (l->at[i].key[0] == a && l->at[i].key[1] == b && l->at[i].key[2] == c) {
            return &l->at[i];
        }
    }
    return NULL;
}

static void begin(struct tree *t, struct open_list *l, u64 a, u64 b, u64 c, u32 node)
{
    if (l->count == l->room) {
        u32 room = l->room == 0 ? 64 : l->room * 2;
        struct open *o = realloc(l->at, room * sizeof *o);
        if (o == NULL) {
            t->failed = true;
            return;
        }
        l->at = o;
        l->room = room;
    }
    l->at[l->count++] = (struct open){{a, b, c}, node};
}

static void end(struct open_list *l, struct open *o) { *o = l->at[--l->count]; }

static struct writer *writer_of(struct tree *t, u64 control)
{
    for (u32 i = 0; i < t->writer_count; i++) {
        if (t->writers[i].control == control) {
            return &t->writers[i];
        }
    }
    if (t->writer_count == CONTROLS) {
        return NULL;
    }
    struct writer *w = &t->writers[t->writer_count++];
    *w = (struct writer){.control = control, .call = NO_CALL};
    return w;
}

/* A value in the words of its kind. */
static const char *word(const char *kind, u64 v, char buffer[24])
{
    struct trace_record none = {0};
    struct trace_field f = {.name = "", .kind = kind, .kind_len = strlen(kind)};
    const char *w = trace_word(&none, &f, v);
    if (w == NULL) {
        (void)snprintf(buffer, 24, "0x%" PRIx64, v);
    }
    return w != NULL ? w : buffer;
}

static void request_begun(struct tree *t, struct writer *w, const struct trace_record *r, const u64 *f)
{
    char buffer[24];
    u32 n = node_new(t, r, NONE);
    if (n == NONE) {
        return;
    }
    const char *call = w->call != NO_CALL ? trace_hypercall_name(TRACE_INTERFACE_XEN, w->call) : NULL;
    bool frame = f[2] == TRANSMIT || f[2] == TRANSMIT + 1;
    (void)snprintf(t->nodes[n].text, sizeof t->nodes[n].text, "partition %" PRIu64 " %s %" PRIu64 " request 0x%" PRIx64 ": %s %s%" PRIu64 "%s%s%s",
                   w->partition, frame ? "vif" : "vbd", f[0], f[1], word("xen_request", f[2], buffer), frame ? "" : "at sector ", f[3],
                   frame ? " bytes" : "", call != NULL ? ", in " : "", call != NULL ? call : "");
    begin(t, &t->requests, w->partition, f[0], f[1], n);
    t->counts->requests++;
}

/* One that the root sent brought what the request is answered with; else the packet is put into the ring next. */
static void request_packet(struct tree *t, struct writer *w, const struct trace_record *r, const u64 *f)
{
    struct open *request = find(&t->requests, w->partition, f[0], f[1]);
    if (request == NULL) {
        return;
    }
    w->request = request->node;
    w->due[0] = f[2];
    w->due[1] = f[3];
    struct open *brought = find(&t->received, w->partition, f[2], f[3]);
    if (brought != NULL && w->last == brought->node) {
        u32 n = node_new(t, r, request->node);
        w->request = NONE;
        if (n != NONE) {
            (void)snprintf(t->nodes[n].text, sizeof t->nodes[n].text, "came by channel %" PRIu64 "/%" PRIu64 " transaction 0x%" PRIx64, w->partition,
                           f[2], f[3]);
        }
    }
}

static void request_ended(struct tree *t, struct writer *w, const u64 *f)
{
    struct open *request = find(&t->requests, w->partition, f[0], f[1]);
    if (request == NULL) {
        return;
    }
    struct node *n = &t->nodes[request->node];
    int status = (i16)(u16)f[2];
    (void)snprintf(n->end, sizeof n->end, "status %d", status);
    t->counts->bare += status == 0 && n->first == NONE ? 1 : 0;
    w->tail = request->node;
    end(&t->requests, request);
}

static u32 packet_new(struct tree *t, struct open_list *l, u64 partition, const struct trace_record *r, const u64 *f, u32 parent)
{
    char kind[24], what[24];
    u32 n = node_new(t, r, parent);
    if (n != NONE) {
        (void)snprintf(t->nodes[n].text, sizeof t->nodes[n].text, "packet %s channel %" PRIu64 "/%" PRIu64 " transaction 0x%" PRIx64 ": %s, %s, %" PRIu64 " bytes",
                       l == &t->sent ? "from" : "to", partition, f[1], f[2], word("vmbus_what", f[4], what), word("vmbus_packet", f[3], kind), f[5]);
        begin(t, l, partition, f[1], f[2], n);
        t->counts->packets++;
    }
    return n;
}

static void completed(struct tree *t, struct writer *w, struct open_list *l, u64 partition, const struct trace_record *r, const u64 *f)
{
    char what[24];
    struct open *o = find(l, partition, f[1], f[2]);
    if (o == NULL) {
        return;
    }
    u32 n = node_new(t, r, o->node);
    if (n != NONE) {
        (void)snprintf(t->nodes[n].text, sizeof t->nodes[n].text, "completion: %s", word("vmbus_what", f[4], what));
        w->last = n;
    }
    end(l, o);
}

static void packet_put(struct tree *t, struct writer *w, const struct trace_record *r, const u64 *f)
{
    bool own = f[0] == 0;
    u64 partition = own ? w->partition : f[0];
    if (f[3] == VMBUS_PACKET_COMPLETION) {
        completed(t, w, own ? &t->received : &t->sent, partition, r, f);
        return;
    }
    u32 parent = own ? (w->request != NONE && w->due[0] == f[1] && w->due[1] == f[2] ? w->request : NONE) : w->work;
    w->last = packet_new(t, own ? &t->sent : &t->received, partition, r, f, parent);
    w->request = NONE;
}

static void packet_taken(struct tree *t, struct writer *w, const struct trace_record *r, const u64 *f)
{
    bool own = f[0] == 0;
    u64 partition = own ? w->partition : f[0];
    struct open_list *l = own ? &t->received : &t->sent;
    if (f[3] == VMBUS_PACKET_COMPLETION) {
        if (!own) { /* a child that says nothing itself */
            completed(t, w, &t->received, partition, r, f);
        }
        return;
    }
    struct open *o = find(l, partition, f[1], f[2]);
    w->last = o != NULL ? o->node : packet_new(t, l, partition, r, f, NONE);
    u32 n = own || w->last == NONE ? NONE : node_new(t, r, w->last);
    if (n != NONE) {
        (void)snprintf(t->nodes[n].text, sizeof t->nodes[n].text, "the root takes it");
    }
}

static void packet_holds(struct tree *t, const struct writer *w, const u64 *f)
{
    char what[24];
    if (w->last != NONE) {
        struct node *n = &t->nodes[w->last];
        size_t used = strlen(n->text);
        (void)snprintf(n->text + used, sizeof n->text - used, " with %s, %" PRIu64 " bytes", word("vmbus_what", f[3], what), f[4]);
    }
}

static void take_claim(struct tree *t, const struct trace_record *r)
{
    u64 f[TRACE_PORT_FIELDS] = {0};
    for (u32 i = 0; i < TRACE_PORT_FIELDS && 8 * (i + 1) <= r->size; i++) {
        f[i] = load_le64(r->payload + 8 * (size_t)i);
    }
    struct writer *w = r->args[1] != REFUSED ? writer_of(t, r->args[3]) : NULL;
    if (w == NULL) {
        return;
    }
    w->tail = r->args[0] == CLAIM_translation_child ? w->tail : NONE;
    switch ((enum trace_port_type)r->args[0]) {
    case CLAIM_vp_named: {
        struct writer *named = writer_of(t, f[3]);
        if (named != NULL) {
            *named = (struct writer){.control = f[3], .partition = f[0], .call = NO_CALL};
        }
        break;
    }
    case CLAIM_translation_begun:
    case CLAIM_translation_ended:
        w->call = r->args[0] == CLAIM_translation_begun ? f[1] : NO_CALL;
        break;
    case CLAIM_request_begun:
        request_begun(t, w, r, f);
        break;
    case CLAIM_request_packet:
        request_packet(t, w, r, f);
        break;
    case CLAIM_request_ended:
        request_ended(t, w, f);
        break;
    case CLAIM_packet_put:
        packet_put(t, w, r, f);
        break;
    case CLAIM_packet_taken:
        packet_taken(t, w, r, f);
        break;
    case CLAIM_packet_holds:
        packet_holds(t, w, f);
        break;
    case CLAIM_packet_signal:
        w->signal = w->last;
        break;
    case CLAIM_packet_work: {
        struct open *o = f[1] != 0 ? find(&t->sent, f[0], f[1], f[2]) : NULL;
        w->work = o != NULL ? o->node : NONE;
        break;
    }
    default:
        break;
    }
}

static void take_call(struct tree *t, const struct trace_record *r)
{
    struct writer *w = writer_of(t, r->args[2]);
    u64 number = r->args[1], control = 0, input = 0;
    char name[24], other[24];
    if (w == NULL) {
        return;
    }
    bool tells = number == HV_CALL_AssertVirtualInterrupt || number == HV_CALL_SendSyntheticClusterIpi;
    u32 parent = w->signal != NONE ? w->signal : w->work != NONE ? w->work : tells ? w->tail : NONE;
    w->hypercall = parent != NONE ? node_new(t, r, parent) : NONE;
    if (w->hypercall == NONE) {
        return;
    }
    w->signal = NONE;
    t->counts->calls++;
    const char *what = trace_hypercall_name(r->args[0], number);
    (void)snprintf(other, sizeof other, "call 0x%" PRIx64, number);
    (void)trace_hypercall_argument(r, 0, name, &control);
    (void)trace_hypercall_argument(r, 1, name, &input);
    struct node *n = &t->nodes[w->hypercall];
    u64 reps = control >> 32 & 0xfff;
    int used = snprintf(n->text, sizeof n->text, "Hyper-V %s", what != NULL ? what : other);
    if (reps != 0) {
        (void)snprintf(n->text + used, sizeof n->text - (size_t)used, ", %" PRIu64 " elements", reps);
    } else if ((control >> 16 & 1) != 0) {
        (void)snprintf(n->text + used, sizeof n->text - (size_t)used, " 0x%" PRIx64, input);
    }
}

static void take_call_done(struct tree *t, const struct trace_record *r)
{
    struct writer *w = writer_of(t, r->args[2]);
    if (w != NULL && w->hypercall != NONE) {
        struct node *n = &t->nodes[w->hypercall];
        (void)snprintf(n->end, sizeof n->end, "0x%" PRIx64, r->args[3]);
        w->hypercall = NONE;
    }
}

/* ---- shown ---- */

static void show(const struct tree *t, u32 i, u32 depth, bool json, FILE *out)
{
    const struct node *n = &t->nodes[i];
    if (json) {
        (void)fprintf(out, "{\"position\":%" PRIu64 ",\"ns\":%" PRIu64 ",\"what\":", n->position, n->ns);
        trace_put_quoted(out, (const u8 *)n->text, strlen(n->text));
        (void)fputs(",\"end\":", out);
        trace_put_quoted(out, (const u8 *)n->end, strlen(n->end));
        (void)fputs(",\"children\":[", out);
    } else {
        (void)fprintf(out, "%12" PRIu64 "  %*s%s%s%s\n", n->position, (int)(2 * depth), "", n->text, n->end[0] != '\0' ? " -> " : "", n->end);
    }
    for (u32 c = n->first; c != NONE; c = t->nodes[c].next) {
        show(t, c, depth + 1, json, out);
        (void)fputs(json && t->nodes[c].next != NONE ? "," : "", out);
    }
    (void)fputs(json ? "]}" : "", out);
}

bool trace_tree(struct trace_reader *r, u64 first, u64 last, bool json, FILE *out, struct trace_tree_counts *counts)
{
    struct trace_record record;
    struct tree *t = calloc(1, sizeof *t);
    *counts = (struct trace_tree_counts){0};
    if (t == NULL) {
        return false;
    }
    t->counts = counts;
    while (!t->failed && trace_reader_next(r, &record)) {
        if (record.event == TRACE_EVENT_claim) {
            take_claim(t, &record);
        } else if (record.event == TRACE_EVENT_hypercall) {
            take_call(t, &record);
        } else if (record.event == TRACE_EVENT_hypercall_done) {
            take_call_done(t, &record);
        }
    }
    for (u32 i = 1; i < t->count; i++) {
        if (!t->nodes[i].child && t->nodes[i].position >= first && t->nodes[i].position <= last) {
            show(t, i, 0, json, out);
            (void)fputs(json ? "\n" : "", out);
        }
    }
    counts->unended = t->requests.count;
    counts->unanswered = t->sent.count + t->received.count;
    bool ok = !t->failed;
    free(t->nodes);
    free(t->requests.at);
    free(t->sent.at);
    free(t->received.at);
    free(t);
    return ok;
}
