/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Code memory and the bookkeeping of translations.
 *
 * One memory file is mapped twice, writable and executable, so that no page is ever both and no mprotect is
 * needed. It is filled region by region; when the last is full the oldest is emptied whole. A block keeps the
 * list of the jumps that lead to it, so it can be taken out at any time: those jumps then lead to their ways
 * out again. Memory of a block that was taken out is reused only when its region is emptied, which never
 * happens while translated code runs. */
#define _GNU_SOURCE
#include "jit/jit_priv.h"

#include "cpu/tlb.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool code_memory_init(struct code_memory *m, u64 bytes)
{
    memset(m, 0, sizeof *m);
    m->region_size = align_up(bytes / JIT_REGIONS, PAGE_SIZE);
    m->size = m->region_size * JIT_REGIONS;
    m->fd = memfd_create("vitrine-jit", MFD_CLOEXEC);
    if (m->fd < 0 || ftruncate(m->fd, (off_t)m->size) != 0) {
        return false;
    }
    void *rw = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
    void *rx = mmap(NULL, m->size, PROT_READ | PROT_EXEC, MAP_SHARED, m->fd, 0);
    m->rw = rw == MAP_FAILED ? NULL : rw;
    m->rx = rx == MAP_FAILED ? NULL : rx;
    for (unsigned i = 0; i < JIT_REGIONS && m->rw != NULL; i++) {
        m->at[i] = m->rw + i * m->region_size;
    }
    return m->rw != NULL && m->rx != NULL;
}

void code_memory_free(struct code_memory *m)
{
    if (m->rw != NULL) {
        (void)munmap(m->rw, m->size);
    }
    if (m->rx != NULL) {
        (void)munmap(m->rx, m->size);
    }
    if (m->fd > 0) {
        (void)close(m->fd);
    }
    memset(m, 0, sizeof *m);
}

u32 jit_block_take(struct jit *j)
{
    u32 n = j->block_free;
    if (n != 0) {
        j->block_free = j->blocks[n].next;
    } else {
        if (j->block_count == j->block_cap) {
            u32 cap = j->block_cap == 0 ? 4096 : 2 * j->block_cap;
            struct jit_block *grown = realloc(j->blocks, cap * sizeof *grown);
            if (grown == NULL) {
                return 0;
            }
            j->blocks = grown;
            j->block_cap = cap;
        }
        j->block_count += j->block_count == 0 ? 1 : 0; /* number 0 means none */
        n = j->block_count++;
    }
    memset(&j->blocks[n], 0, sizeof j->blocks[n]);
    return n;
}

static struct jit_exit *exit_at(struct jit *j, u32 exit)
{
    return &j->blocks[exit / JIT_EXITS].exit[exit % JIT_EXITS];
}

static void unlink_exit(struct jit *j, u32 n)
{
    struct jit_exit *x = exit_at(j, n);
    if (x->target == 0) {
        return;
    }
    if (x->prev != 0) {
        exit_at(j, x->prev)->next = x->next;
    } else {
        j->blocks[x->target].incoming = x->next;
    }
    if (x->next != 0) {
        exit_at(j, x->next)->prev = x->prev;
    }
    x->target = x->next = x->prev = 0;
    emit_patch(j->memory.rw + x->site, j->memory.rw + x->stub);
}

void jit_link(struct jit *j, u32 n, u32 target)
{
    struct jit_exit *x = exit_at(j, n);
    if (x->target != 0 || x->site == 0) {
        return;
    }
    struct jit_block *to = &j->blocks[target];
    x->target = target;
    x->prev = 0;
    x->next = to->incoming;
    if (to->incoming != 0) {
        exit_at(j, to->incoming)->prev = n;
    }
    to->incoming = n;
    emit_patch(j->memory.rw + x->site, j->memory.rw + (to->b->code - j->memory.rx));
    j->stats.links++;
}

static struct jit_part *part_at(struct jit *j, u32 id)
{
    return &j->blocks[id / JIT_PARTS].part[id % JIT_PARTS];
}

void jit_note_parts(struct jit *j, u32 n)
{
    for (u32 k = 1; k < j->blocks[n].parts; k++) {
        u32 id = JIT_PARTS * n + k;
        struct jit_part *p = part_at(j, id);
        p->prev = 0;
        p->next = p->b->paths;
        if (p->next != 0) {
            part_at(j, p->next)->prev = id;
        }
        p->b->paths = id;
    }
}

static void forget_parts(struct jit *j, u32 n)
{
    for (u32 k = 1; k < j->blocks[n].parts; k++) {
        struct jit_part *p = &j->blocks[n].part[k];
        if (p->b == NULL) {
            continue;
        }
        if (p->prev != 0) {
            part_at(j, p->prev)->next = p->next;
        } else {
            p->b->paths = p->next;
        }
        if (p->next != 0) {
            part_at(j, p->next)->prev = p->prev;
        }
        p->b = NULL;
    }
}

/* Targets of indirect branches may still lead to a translation that is no more: they are told to look again. */
static void close_entry(struct jit *j, const u8 *code)
{
    struct code_memory *m = &j->memory;
    u8 *at = m->rw + (code - m->rx) - JIT_DOOR_BYTES;
    struct emit e = {.at = at, .end = at + JIT_DOOR_BYTES};
    emit_jmp_to(&e, m->rw + (j->thunk.indirect - m->rx));
}

/* Nothing leads to or from the block any more; it cannot be found by its struct block either. */
void jit_unlink_block(struct jit *j, u32 n)
{
    struct jit_block *jb = &j->blocks[n];
    while (jb->incoming != 0) {
        unlink_exit(j, jb->incoming);
    }
    for (u32 k = 0; k < JIT_EXITS; k++) {
        unlink_exit(j, JIT_EXITS * n + k);
    }
    forget_parts(j, n);
    if (jb->b != NULL) {
        close_entry(j, jb->b->code);
        jb->b->code = NULL;
        jb->b->jit = 0;
        jb->b = NULL;
    }
}

void jit_evict_region(struct jit *j, unsigned region)
{
    struct code_memory *m = &j->memory;
    u32 n = m->blocks[region];
    while (n != 0) {
        u32 next = j->blocks[n].next;
        jit_unlink_block(j, n);
        j->blocks[n].next = j->block_free;
        j->block_free = n;
        n = next;
    }
    m->blocks[region] = 0;
    m->at[region] = region == 0 ? m->start : m->rw + region * m->region_size;
    for (unsigned i = 0; i < j->set->count; i++) {
        tlb_clear_targets(j->set->cpu[i]);
    }
    j->stats.evictions++;
}
