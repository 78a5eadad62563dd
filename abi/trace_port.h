/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The trace port: where a hypervisor, its root partition and a paravisor tell an observer, if there is one, what things are called
 * and what they mean to do. Two 32-bit I/O ports, four bytes apart:
 *
 *     ID    read: TRACE_PORT_MAGIC, or all ones where there is no such device. Written (anything): what this writer began is dropped.
 *     DATA  read: TRACE_PORT_VERSION. Written, by OUT or REP OUTSD: the next four bytes of a record.
 *
 * A record is: header word, payload's size in bytes, the fields of its row (64 bits each, low half first), the payload padded with
 * zeros to a multiple of four. The header: type in bits 7:0, size of it all in words in bits 15:8, TRACE_PORT_MARK in 31:16. What does
 * not begin with such a word is dropped, word by word. Writers do not mix: each processor and each guest on it (VMCS, VMCB) has a record of its
 * own under construction, so that REP OUTSD may be interrupted.
 *
 * Nothing comes back: whether anybody listens, believes or refuses, the guest sees no difference. */
#ifndef ABI_TRACE_PORT_H
#define ABI_TRACE_PORT_H

#define TRACE_PORT_ID 0x5674u
#define TRACE_PORT_DATA 0x5678u
#define TRACE_PORT_PORTS 8u
#define TRACE_PORT_MAGIC 0x50525456u /* "VTRP" */
#define TRACE_PORT_VERSION 1u
#define TRACE_PORT_MARK 0x5456u /* "VT" */

#define TRACE_PORT_FIELDS 6u    /* of a record at most */
#define TRACE_PORT_PAYLOAD 256u /* bytes at most */
#define TRACE_PORT_WORDS (2u + 2u * TRACE_PORT_FIELDS + TRACE_PORT_PAYLOAD / 4u)

/* Who may say what. */
#define TRACE_PORT_HYPERVISOR 1u
#define TRACE_PORT_ROOT 2u
#define TRACE_PORT_PARAVISOR 4u

enum trace_port_type {
#define CLAIM(number, name, writers, fields, payload, meaning) CLAIM_##name = (number),
#include "abi/trace_port.def"
#undef CLAIM
};

/* States of CLAIM_pages. */
enum trace_port_pages {
    TRACE_PAGES_ROOT,      /* the root partition's own */
    TRACE_PAGES_DEPOSITED, /* the hypervisor's, for a partition's structures */
    TRACE_PAGES_PRIVATE,   /* the partition's alone */
};

#endif
