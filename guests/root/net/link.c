/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of links. */
#include "guests/root/net/link.h"

#include "guests/root/net/driver.h"

static struct link *first;

struct link *link_next(struct link *after) { return after == NULL ? first : after->next; }

struct link *link_find(const char *name)
{
    for (struct link *l = first; l != NULL; l = l->next) {
        if (text_equal(l->name, name)) {
            return l;
        }
    }
    return NULL;
}

void link_add(struct link *l)
{
    struct link **at = &first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    l->next = NULL;
    *at = l;
}

void net_init(void) {}

bool net_poll(void) { return virtio_net_poll(); }
