/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host's knowledge of names, through its C library. A look-up runs in a thread of its own, so that a
 * person's Ctrl-C ends the wait; one that is given up is left to itself. */
#define _GNU_SOURCE
#include "machine/host/net.h"
#include "machine/host/net_dns.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STEP_NS 20000000
#define MAX_STEPS 750 /* a quarter of a minute */

struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t ready;
    bool done;
    unsigned users; /* thread, asker: the last one frees */
    struct dns_question question;
    struct dns_reply reply;
};

static unsigned code_of(int rc)
{
    return rc == EAI_NONAME || rc == EAI_NODATA ? DNS_NO_SUCH_NAME : DNS_SERVER_FAILURE;
}

static void find_addresses(struct lookup *l)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(l->question.name, NULL, &hints, &list);
    if (rc != 0) {
        l->reply.code = code_of(rc);
        return;
    }
    for (const struct addrinfo *a = list; a != NULL && l->reply.count < DNS_MAX_ADDRESSES; a = a->ai_next) {
        if (a->ai_family == AF_INET) {
            struct sockaddr_in in;
            memcpy(&in, a->ai_addr, sizeof in);
            u32 ip = ntohl(in.sin_addr.s_addr);
            /* This machine: for the guest that is the gateway. */
            l->reply.addresses[l->reply.count++] = ip >> 24 == 127 ? NET_LOCAL_GATEWAY : ip;
        }
    }
    freeaddrinfo(list);
}

static void find_name(struct lookup *l)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    unsigned b[4];
    int end = 0;
    if (sscanf(l->question.name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &b[0], &b[1], &b[2], &b[3], &end) != 4 ||
        end == 0 || l->question.name[end] != '\0' || (b[0] | b[1] | b[2] | b[3]) > 255) {
        l->reply.code = DNS_NO_SUCH_NAME;
        return;
    }
    in.sin_addr.s_addr = htonl(b[3] << 24 | b[2] << 16 | b[1] << 8 | b[0]);
    int rc = getnameinfo((const struct sockaddr *)&in, sizeof in, l->reply.name, sizeof l->reply.name, NULL, 0,
                         NI_NAMEREQD);
    if (rc != 0) {
        l->reply.code = code_of(rc);
        l->reply.name[0] = '\0';
    }
}

static void leave(struct lookup *l)
{
    bool last = --l->users == 0;
    (void)pthread_mutex_unlock(&l->lock);
    if (last) {
        (void)pthread_mutex_destroy(&l->lock);
        (void)pthread_cond_destroy(&l->ready);
        free(l);
    }
}

static void *run(void *self)
{
    struct lookup *l = self;
    if (l->question.type == DNS_TYPE_PTR) {
        find_name(l);
    } else {
        find_addresses(l);
    }
    (void)pthread_mutex_lock(&l->lock);
    l->done = true;
    (void)pthread_cond_signal(&l->ready);
    leave(l);
    return NULL;
}

static struct lookup *begin(const struct dns_question *q)
{
    struct lookup *l = calloc(1, sizeof *l);
    pthread_t thread;
    if (l == NULL) {
        return NULL;
    }
    l->question = *q;
    l->users = 2;
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->ready, NULL);
    if (pthread_create(&thread, NULL, run, l) != 0) {
        free(l);
        return NULL;
    }
    (void)pthread_detach(thread);
    return l;
}

void net_lookup(const struct dns_question *q, const volatile int *interrupted, struct dns_reply *reply)
{
    struct lookup *l = begin(q);
    *reply = (struct dns_reply){.code = DNS_SERVER_FAILURE};
    if (l == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&l->lock);
    for (unsigned i = 0; i < MAX_STEPS && !l->done && *interrupted == 0; i++) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += STEP_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&l->ready, &l->lock, &until);
    }
    if (l->done) {
        *reply = l->reply;
    }
    leave(l);
}
