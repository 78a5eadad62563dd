/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ports, where messages and signals arrive, and connections, through which they are sent. */
#ifndef HV_SYNIC_PORT_H
#define HV_SYNIC_PORT_H

#include "hv/synic/synic.h"

#define PORT_MAX 256 /* a root has one for each channel of its children */
#define CONNECTION_MAX 64
#define PORT_BUFFERS 14 /* what one page holds; the TLFS says 16 */

enum port_kind { PORT_FREE, PORT_MESSAGE = 1, PORT_EVENT = 2 };

struct port {
    u32 kind, id;
    struct partition *sender; /* who may connect */
    bool connected;
    u8 sint;
    u8 vtl, minimum_vtl; /* whose SynIC it is; who may use it */
    u32 vp; /* HV_ANY_VP or an index */
    u16 flag_base, flag_count;
    u64 posts; /* messages or signals that came */
    struct message_node *buffers; /* a page of the owner's pool */
};

struct connection {
    bool used;
    u32 id;
    struct partition *owner; /* of the port */
    struct port *port;       /* NULL: deleted */
};

struct hv_create_port_input;

/* Statuses of the hypercall interface. */
u16 port_create(struct partition *owner, struct partition *sender, const struct hv_create_port_input *in);
u16 port_delete(struct partition *owner, u32 id);
u16 port_get_property(struct partition *owner, u32 id, u32 code, u64 *value);
u16 port_set_property(struct partition *owner, u32 id, u32 code, u64 value);
u16 connection_make(struct partition *sender, u32 id, struct partition *owner, u32 port, u32 kind);
u16 connection_drop(struct partition *sender, u32 id);
u16 connection_post(const struct vp *sender, u32 id, u32 type, const void *payload, u32 size);
u16 connection_signal(const struct vp *sender, u32 id, u16 flag);
void port_drop_all(struct partition *p);

#endif
