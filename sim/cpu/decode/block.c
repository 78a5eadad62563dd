/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cpu/decode/block.h"

#include "base/hash.h"
#include "cpu/exec/fault.h"
#include "cpu/mem.h"
#include "cpu/tlb.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HASH_BITS 16

bool code_cache_init(struct code_cache *cc, const struct cpu_model *model, u64 bytes)
{
    memset(cc, 0, sizeof *cc);
    cc->size = (u32)(bytes / 32);
    cc->used = 1;
    cc->hash_mask = (1u << HASH_BITS) - 1;
    cc->hash = calloc(cc->hash_mask + 1, sizeof *cc->hash);
    cc->decoder = decoder_new(model);
    void *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cc->arena = arena == MAP_FAILED ? NULL : arena;
    return cc->hash != NULL && cc->decoder != NULL && cc->arena != NULL;
}

void code_cache_free(struct code_cache *cc)
{
    free(cc->hash);
    decoder_free(cc->decoder);
    if (cc->arena != NULL) {
        (void)munmap(cc->arena, (u64)cc->size * 32);
    }
    memset(cc, 0, sizeof *cc);
}

static u32 key_hash(const struct code_cache *cc, u64 spa, u64 lin, u32 mode)
{
    return (u32)(hash_u64(spa, hash_u64(lin, mode))) & cc->hash_mask;
}

static void leave_all(struct cpu_set *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        cpu_leave_block(set->cpu[i]);
    }
}

void code_flush(struct cpu_set *set, struct phys *phys)
{
    struct code_cache *cc = set->cpu[0]->code;
    if (cc->flushed != NULL) {
        cc->flushed(cc->self);
    }
    memset(cc->hash, 0, (cc->hash_mask + 1) * sizeof *cc->hash);
    cc->used = 1;
    cc->flushes++;
    for (u64 f = 0; f < phys->page_count; f++) {
        phys->pages[f].flags &= ~(u32)PAGE_HAS_CODE;
        phys->pages[f].code_map = 0;
        phys->pages[f].code_head = 0;
    }
    for (unsigned i = 0; i < set->count; i++) {
        tlb_clear_jumps(set->cpu[i]);
    }
    leave_all(set);
}

/* Bits of code_map for a byte range of a page. */
static u64 pieces(u64 offset, u64 size)
{
    u64 first = offset >> 6;
    u64 last = (offset + size - 1) >> 6;
    u64 n = last - first + 1;
    return (n >= 64 ? ~(u64)0 : ((u64)1 << n) - 1) << first;
}

/* The byte range that a block occupies in a frame. */
static void range_in_frame(const struct block *b, u64 frame, u64 *offset, u64 *size)
{
    u64 start = b->spa & PAGE_MASK;
    if (b->frame[0] == b->frame[1]) {
        *offset = start;
        *size = b->bytes;
    } else if (b->frame[0] == frame) {
        *offset = start;
        *size = PAGE_SIZE - start;
    } else {
        *offset = 0;
        *size = start + b->bytes - PAGE_SIZE;
    }
}

static u32 *next_in_frame(struct block *b, u64 frame)
{
    return &b->page_next[b->frame[0] == frame ? 0 : 1];
}

void code_invalidate(struct cpu_set *set, struct phys *phys, u64 frame, u64 offset, u64 size)
{
    struct code_cache *cc = set->cpu[0]->code;
    struct page_desc *page = &phys->pages[frame];
    if ((page->code_map & pieces(offset, size)) == 0) {
        return;
    }
    u64 map = 0;
    u32 *link = &page->code_head;
    while (*link != 0) {
        struct block *b = block_at(cc, *link);
        u32 *next = next_in_frame(b, frame);
        u64 at, len;
        range_in_frame(b, frame, &at, &len);
        if (b->mode == BLOCK_DEAD_MODE) {
            *link = *next;
        } else if (at < offset + size && offset < at + len) {
            b->mode = BLOCK_DEAD_MODE;
            cc->invalidated++;
            if (b->code != NULL || b->paths != 0) {
                cc->killed(cc->self, b);
            }
            *link = *next;
        } else {
            map |= pieces(at, len);
            link = next;
        }
    }
    page->code_map = map;
    if (map == 0) {
        page->flags &= ~(u32)PAGE_HAS_CODE;
    }
    leave_all(set);
}

static void note_code(struct cpu *cpu, u64 frame, u64 offset, u64 size)
{
    struct page_desc *page = &cpu->phys->pages[frame];
    if ((page->flags & PAGE_HAS_CODE) == 0) {
        page->flags |= PAGE_HAS_CODE;
        tlb_withdraw_write(cpu->set, frame);
    }
    page->code_map |= pieces(offset, size);
}

static struct block *allocate(struct cpu *cpu, unsigned ops)
{
    struct code_cache *cc = cpu->code;
    u32 units = (u32)((sizeof(struct block) + 31) / 32 + ops);
    if (cc->size - cc->used < units) {
        code_flush(cpu->set, cpu->phys);
    }
    struct block *b = block_at(cc, cc->used);
    cc->used += units;
    return b;
}

static void insert(struct cpu *cpu, struct block *b)
{
    struct code_cache *cc = cpu->code;
    u32 unit = (u32)(((u8 *)b - cc->arena) / 32);
    u32 h = key_hash(cc, b->spa, b->lin, b->mode);
    b->hash_next = cc->hash[h];
    cc->hash[h] = unit;
    for (unsigned i = 0; i < (b->frame[0] == b->frame[1] ? 1u : 2u); i++) {
        u64 at, len;
        range_in_frame(b, b->frame[i], &at, &len);
        note_code(cpu, b->frame[i], at, len);
        struct page_desc *page = &cpu->phys->pages[b->frame[i]];
        b->page_next[i] = page->code_head;
        page->code_head = unit;
    }
}

/* Takes dead blocks out of the chain: code that is rewritten over and over would make it long. */
static struct block *lookup(const struct code_cache *cc, u64 spa, u64 lin, u32 mode)
{
    u32 *unit = &cc->hash[key_hash(cc, spa, lin, mode)];
    while (*unit != 0) {
        struct block *b = block_at(cc, *unit);
        if (b->spa == spa && b->lin == lin && b->mode == mode) {
            return b;
        }
        if (b->mode == BLOCK_DEAD_MODE) {
            *unit = b->hash_next;
        } else {
            unit = &b->hash_next;
        }
    }
    return NULL;
}

struct block *code_peek(const struct code_cache *cc, u64 spa, u64 lin, u32 mode)
{
    u32 unit = cc->hash[key_hash(cc, spa, lin, mode)];
    while (unit != 0) {
        struct block *b = block_at(cc, unit);
        if (b->spa == spa && b->lin == lin && b->mode == mode) {
            return b;
        }
        unit = b->hash_next;
    }
    return NULL;
}

/* CS limit left from RIP on; ~0 in 64-bit mode. */
static u64 limit_room(const struct cpu *cpu)
{
    if (cpu->d.code64) {
        return ~(u64)0;
    }
    u64 limit = cpu->arch.seg[SEG_CS].limit;
    return cpu->arch.rip > limit ? 0 : limit - cpu->arch.rip + 1;
}

static struct block *finish(struct cpu *cpu, const struct insn *ops, unsigned count, unsigned bytes,
                            u64 spa, u64 frame, u64 frame2, u64 lin)
{
    struct block *b = allocate(cpu, count);
    *b = (struct block){.spa = spa,
                        .lin = lin,
                        .mode = cpu->d.mode_word,
                        .count = (u16)count,
                        .bytes = (u16)bytes,
                        .frame = {frame, frame2},
                        .flags = (frame != frame2 ? BLOCK_STRADDLES : 0u) |
                                 (insn_moves_rip(&ops[count - 1]) ? BLOCK_LAST_JUMPS : 0u)};
    memcpy(b->ops, ops, count * sizeof *ops);
    cpu->code->decoded += count;
    return b;
}

/* Decode one instruction that lies in MMIO, straddles pages, or may run past the CS limit. */
static struct block *single(struct cpu *cpu, u64 lin, spa_t spa, u64 frame, const u8 *host)
{
    u8 bytes[16] = {0};
    bool ram = host != NULL;
    unsigned have = (unsigned)(PAGE_SIZE - (lin & PAGE_MASK));
    have = have < 15 ? have : 15;
    if (ram) {
        memcpy(bytes, host + (lin & PAGE_MASK), have);
    } else {
        phys_read(cpu->phys, spa, bytes, have);
    }
    struct insn in;
    enum decode_status st = decode_insn(cpu->code->decoder, cpu->d.mode_word, bytes, have, &in);
    u64 frame2 = frame;
    if (st == DECODE_TRUNCATED) {
        u64 next = (lin + have) & cpu->d.lin_mask;
        spa_t spa2;
        u8 *host2;
        if (lin_translate_page(cpu, next, ACCESS_EXEC, &frame2, &host2, &spa2) != CPU_OK) {
            return NULL;
        }
        if (host2 != NULL) {
            memcpy(bytes + have, host2, 15 - have);
        } else {
            phys_read(cpu->phys, spa2, bytes + have, 15 - have);
            ram = false;
        }
        (void)decode_insn(cpu->code->decoder, cpu->d.mode_word, bytes, 15, &in);
    }
    if (in.len > limit_room(cpu)) {
        (void)raise_gp(cpu, 0, "instruction runs past the CS limit");
        return NULL;
    }
    struct block *b = finish(cpu, &in, 1, in.len, spa.v, frame, frame2, lin);
    b->flags |= BLOCK_STRADDLES; /* never in a jump cache */
    if (ram) {
        insert(cpu, b);
    }
    return b;
}

static bool is_stop(const struct cpu *cpu, u64 lin, u64 at)
{
    const struct cpu_stops *s = &cpu->set->stops;
    return UNLIKELY(s->is_code != NULL) && s->is_code(s->self, lin, at);
}

static struct block *decode_block(struct cpu *cpu, u64 lin, u64 spa, u64 frame, const u8 *host)
{
    struct insn ops[BLOCK_MAX];
    unsigned count = 0;
    unsigned offset = (unsigned)(spa & PAGE_MASK);
    unsigned at = offset;
    while (count < BLOCK_MAX) {
        enum decode_status st = decode_insn(cpu->code->decoder, cpu->d.mode_word, host + at,
                                            PAGE_SIZE - at, &ops[count]);
        if (st == DECODE_TRUNCATED) {
            break;
        }
        at += ops[count].len;
        count++;
        if (st != DECODE_OK || insn_ends_block(&ops[count - 1]) || at >= PAGE_SIZE ||
            is_stop(cpu, lin + (at - offset), spa + (at - offset))) {
            break;
        }
    }
    if (count == 0) {
        return single(cpu, lin, SPA(spa), frame, host);
    }
    if (at > PAGE_SIZE) {
        at = PAGE_SIZE; /* an invalid opcode of assumed length */
    }
    struct block *b = finish(cpu, ops, count, at - offset, spa, frame, frame, lin);
    b->flags |= is_stop(cpu, lin, spa) ? BLOCK_STRADDLES : 0u; /* never in a jump cache, a link or translated */
    insert(cpu, b);
    return b;
}

/* A straddler's second page may have moved without its first: ask again. */
static bool second_page_holds(struct cpu *cpu, const struct block *b, bool *fault)
{
    spa_t spa2;
    u64 frame = 0;
    u8 *host;
    *fault = false;
    if (b->frame[0] == b->frame[1] && (b->lin & PAGE_MASK) + b->bytes <= PAGE_SIZE) {
        return true;
    }
    u64 next = ((b->lin | PAGE_MASK) + 1) & cpu->d.lin_mask;
    if (lin_translate_page(cpu, next, ACCESS_EXEC, &frame, &host, &spa2) != CPU_OK) {
        *fault = true;
        return false;
    }
    return host != NULL && frame == b->frame[1];
}

struct block *block_find(struct cpu *cpu)
{
    u64 lin = (cpu->d.seg_base[SEG_CS] + cpu->arch.rip) & cpu->d.lin_mask;
    unsigned slot = jump_line(lin);
    struct block **line = &cpu->d.ctx->jump[slot];
    u64 room = limit_room(cpu);
    if (LIKELY(*line != NULL && (*line)->lin == lin && (*line)->mode == cpu->d.mode_word &&
               (*line)->bytes <= room)) {
        return *line;
    }
    const struct cpu_stops *stops = &cpu->set->stops;
    if (UNLIKELY(stops->before != NULL) && stops->before(stops->self, cpu, lin)) {
        cpu->d.at_stop = true;
        return NULL;
    }
    if (room == 0) {
        (void)raise_gp(cpu, 0, "RIP beyond the CS limit");
        return NULL;
    }
    if (!lin_is_canonical(cpu, lin)) {
        (void)raise_gp(cpu, 0, "RIP not canonical");
        return NULL;
    }
    spa_t spa;
    u64 frame = 0;
    u8 *host;
    if (lin_translate_page(cpu, lin, ACCESS_EXEC, &frame, &host, &spa) != CPU_OK) {
        return NULL;
    }
    if (host == NULL) {
        return single(cpu, lin, spa, 0, NULL);
    }
    /* Keyed by the frame: what backs the system-physical address, however the map aliases it. */
    spa = SPA((frame << PAGE_SHIFT) | (lin & PAGE_MASK));
    struct block *b = lookup(cpu->code, spa.v, lin, cpu->d.mode_word);
    if (b != NULL && (b->flags & BLOCK_STRADDLES) != 0) {
        bool fault;
        if (!second_page_holds(cpu, b, &fault)) {
            if (fault) {
                return NULL;
            }
            b = NULL;
        }
    }
    if (b != NULL && b->bytes > room) {
        b = NULL;
    }
    if (b == NULL) {
        b = room < PAGE_SIZE - (lin & PAGE_MASK) ? single(cpu, lin, spa, frame, host)
                                                 : decode_block(cpu, lin, spa.v, frame, host);
    }
    if (b != NULL && (b->flags & BLOCK_STRADDLES) == 0) {
        *line = b;
        cpu->d.ctx->jump_used[slot / 64] |= BIT(slot % 64);
    }
    return b;
}
