/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef GUESTS_HVTEST_HVTEST_H
#define GUESTS_HVTEST_HVTEST_H

#include "guests/hvtest/child.h"
#include "guests/root/root.h"

/* One rule: what it is, what came, what should have come. */
void check(const char *rule, u64 got, u64 wanted);
extern u32 passed, wrong;

/* SynIC of this VP. */
#define SINT_MESSAGES 2u
#define SINT_EVENTS 3u
void synic_init(void);
/* Waits for a message in a slot; false: none came in a second. */
bool synic_wait(unsigned sint, struct hv_message *m);
bool synic_take_flag(unsigned sint, unsigned flag);

/* calls.c: what needs no running child */
extern u64 child;
void test_control_word(void);
void test_life(void);
void test_memory(void);
void test_vp(void);
/* running.c: with a child that runs */
void test_running(void);
/* vtl.c: a child with VTL 2 */
void test_vtl(void);
/* calls.c again: the end of it */
void test_end(void);

/* calls.c: a new partition with these flags, memory for hv, active. */
void make_child(u64 flags);
u16 map_pages(u64 gfn, u32 count, const u64 *pages, u32 flags, u32 *done);
extern u64 child_pages[512];
/* running.c */
void *child_memory(u64 gpa);
void child_tables(void);
void map_child(void);
u64 read_gpa(u64 gpa);
void write_gpa(u64 gpa, u64 value);
/* RIP behind the OUT at which the child waits. */
extern u64 resume_at;
bool wait_for_turn(void);
/* The child does DO_... and comes back; or it is only told. */
u64 child_does(u64 what, u64 rcx, u64 rdx, u64 r8);
void child_told(u64 what, u64 rcx, u64 rdx, u64 r8);
u64 child_calls(u64 control, u64 rdx, u64 r8);
#define PORT_MESSAGES 5u
#define PORT_EVENTS 6u
#define CONNECTION_MESSAGES 50u
#define CONNECTION_EVENTS 60u
/* extended.c: after these */
void test_extended(void);
/* lend.c: of one page of the child's */
u16 lend(u32 channel, u8 rights, u64 gfn);
u16 give_back(u32 channel, u8 rights, u64 gfn);
void test_lend(void);
void test_lend_levels(void); /* of a child with VTL 2 */
/* pages.c */
void test_pages(void);

#endif
