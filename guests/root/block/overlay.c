/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copy on write: what is written stays in pages of the root's, the base is only read. In pieces of 4 KiB, found by a tree of pages of
 * three levels (512 GiB). A piece of which only a part is written is completed from the base. Left out: discarding. */
#include "guests/root/block/block.h"

#define OVERLAYS 8
#define OPERATIONS 32
#define LEVELS 3
#define PIECE PAGE_SIZE
#define LARGEST (512ull << 30)

struct overlay;

/* One request of somebody's, piece by piece. */
struct operation {
    struct block_request below; /* to the base */
    struct overlay *overlay;
    struct block_request *request; /* NULL: free */
    u32 at;                        /* sectors done */
    u64 page;                      /* that is being completed; 0 none */
    bool within, came;             /* below.done came before submit returned */
    int status;
};

struct overlay {
    struct block block; /* first; submit NULL: free */
    struct block *base;
    char name[BLOCK_NAME];
    u64 tree, pages, limit; /* pages with contents, the tree's own not counted */
    u32 running;
    struct operation operations[OPERATIONS];
    struct block_request *first, *last; /* waiting */
};

static struct overlay overlays[OVERLAYS];

static u32 per_piece(const struct overlay *o) { return (u32)(PIECE / o->block.sector_size); }

static u64 take_zeroed(void)
{
    u64 page = page_take();
    if (page != 0) {
        memset(at_address(page << PAGE_SHIFT), 0, PAGE_SIZE);
    }
    return page;
}

static u64 take(struct overlay *o)
{
    u64 page = o->pages < o->limit ? take_zeroed() : 0;
    o->pages += page != 0 ? 1 : 0;
    return page;
}

/* The tree's entry of a piece; NULL: none yet, or no memory for it. */
static u64 *entry_of(struct overlay *o, u64 piece, bool make)
{
    u64 *at = &o->tree;
    for (u32 level = LEVELS; level-- > 0;) {
        if (*at == 0 && (!make || (*at = take_zeroed()) == 0)) {
            return NULL;
        }
        at = (u64 *)at_address(*at << PAGE_SHIFT) + (piece >> (9 * level) & 511);
    }
    return at;
}

static u8 *piece_at(struct overlay *o, u64 piece)
{
    const u64 *e = entry_of(o, piece, false);
    return e != NULL && *e != 0 ? at_address(*e << PAGE_SHIFT) : NULL;
}

static void step(struct operation *op);

static void below_done(struct block_request *r, int status)
{
    struct operation *op = r->owner;
    op->status = status;
    op->came = true;
    if (!op->within) {
        step(op);
    }
}

/* False: it goes on when the base is done. */
static bool ask_base(struct operation *op, u64 sector, u32 sectors, void *data)
{
    struct block *base = op->overlay->base;
    op->below = (struct block_request){.sector = sector, .sectors = sectors, .data = data, .done = below_done, .owner = op};
    op->came = false;
    op->within = true;
    base->submit(base, &op->below);
    op->within = false;
    return op->came;
}

/* What of the request lies in the piece at its position. */
struct part {
    u64 piece, sector;
    u32 offset, sectors; /* within the piece */
    u8 *data;
};

static struct part part_of(const struct operation *op)
{
    const struct overlay *o = op->overlay;
    const struct block_request *r = op->request;
    struct part p = {.sector = r->sector + op->at};
    p.piece = p.sector / per_piece(o);
    p.offset = (u32)(p.sector % per_piece(o));
    p.sectors = (u32)min_u64(per_piece(o) - p.offset, r->sectors - op->at);
    p.data = (u8 *)r->data + (u64)op->at * o->block.sector_size;
    return p;
}

/* The base's part of a request, as far as nothing of it was written: one request. */
static bool read_base(struct operation *op)
{
    struct overlay *o = op->overlay;
    struct part p = part_of(op);
    u32 n = p.sectors;
    while (op->at + n < op->request->sectors && piece_at(o, (p.sector + n) / per_piece(o)) == NULL) {
        n += (u32)min_u64(per_piece(o), op->request->sectors - op->at - n);
    }
    op->at += n;
    return ask_base(op, p.sector, n, p.data);
}

static bool read_step(struct operation *op)
{
    struct part p = part_of(op);
    const u8 *from = piece_at(op->overlay, p.piece);
    if (from == NULL) {
        return read_base(op);
    }
    u32 size = op->overlay->block.sector_size;
    memcpy(p.data, from + (u64)p.offset * size, (u64)p.sectors * size);
    op->at += p.sectors;
    return true;
}

/* A page that is complete becomes the piece, unless another write was faster. */
static bool keep(struct operation *op, const struct part *p)
{
    struct overlay *o = op->overlay;
    u64 *e = entry_of(o, p->piece, true);
    if (e != NULL && *e == 0) {
        *e = op->page;
    } else {
        page_put(op->page);
        o->pages--;
    }
    op->page = 0;
    return e != NULL;
}

static bool write_step(struct operation *op)
{
    struct overlay *o = op->overlay;
    struct part p = part_of(op);
    u32 size = o->block.sector_size;
    if (op->page != 0 && !keep(op, &p)) {
        op->status = BLOCK_NO_MEMORY;
        return true;
    }
    u8 *to = piece_at(o, p.piece);
    if (to == NULL) {
        op->page = take(o);
        op->status = op->page != 0 ? BLOCK_OK : BLOCK_NO_MEMORY;
        u64 start = p.piece * per_piece(o);
        u32 there = (u32)min_u64(per_piece(o), o->block.sectors - start);
        if (op->page == 0 || p.sectors >= there) {
            return true; /* no need of the base */
        }
        return ask_base(op, start, there, at_address(op->page << PAGE_SHIFT));
    }
    memcpy(to + (u64)p.offset * size, p.data, (u64)p.sectors * size);
    op->at += p.sectors;
    return true;
}

static void begin(struct overlay *o, struct operation *op, struct block_request *r)
{
    op->overlay = o;
    op->request = r;
    op->at = 0;
    op->page = 0;
    op->status = BLOCK_OK;
    o->running++;
    step(op);
}

static void end(struct operation *op)
{
    struct overlay *o = op->overlay;
    struct block_request *r = op->request;
    int status = op->status;
    if (op->page != 0) {
        page_put(op->page);
        o->pages--;
    }
    op->request = NULL;
    o->running--;
    r->done(r, status);
    if (o->first != NULL && op->request == NULL) {
        struct block_request *next = o->first;
        o->first = next->next;
        begin(o, op, next);
    }
}

static void step(struct operation *op)
{
    const struct block_request *r = op->request;
    while (op->status == BLOCK_OK && (op->at < r->sectors || op->page != 0)) {
        if (!(r->write ? write_step(op) : read_step(op))) {
            return;
        }
    }
    end(op);
}

static void submit(struct block *b, struct block_request *r)
{
    struct overlay *o = (struct overlay *)(void *)b;
    if (!block_accepts(b, r)) {
        return;
    }
    if (r->flush && r->sectors == 0) {
        r->done(r, BLOCK_OK);
        return;
    }
    for (u32 i = 0; o->first == NULL && i < OPERATIONS; i++) {
        if (o->operations[i].request == NULL) {
            begin(o, &o->operations[i], r);
            return;
        }
    }
    r->next = NULL;
    *(o->first != NULL ? &o->last->next : &o->first) = r;
    o->last = r;
}

struct block *block_overlay(struct block *base, const char *name, u64 bytes)
{
    struct overlay *o = overlays;
    while (o < overlays + OVERLAYS && o->block.submit != NULL) {
        o++;
    }
    if (o == overlays + OVERLAYS || block_find(name) != NULL || strlen(name) >= BLOCK_NAME ||
        base->sectors > LARGEST / base->sector_size) {
        print("root: %s: there is such a disk already, or no room for one more overlay, or the base is too large\n", name);
        return NULL;
    }
    memset(o, 0, sizeof *o);
    memcpy(o->name, name, strlen(name) + 1);
    o->base = base;
    o->limit = bytes != 0 ? align_up(bytes, PIECE) >> PAGE_SHIFT : ~0ull;
    o->block = (struct block){
        .name = o->name, .sectors = base->sectors, .sector_size = base->sector_size, .removable = base->removable, .submit = submit};
    base->users++;
    block_add(&o->block);
    return &o->block;
}

static void put_tree(u64 page, u32 level)
{
    for (u32 i = 0; page != 0 && level > 0 && i < 512; i++) {
        put_tree(((const u64 *)at_address(page << PAGE_SHIFT))[i], level - 1);
    }
    if (page != 0) {
        page_put(page);
    }
}

bool block_overlay_drop(struct block *b)
{
    struct overlay *o = (struct overlay *)(void *)b;
    if (b->submit != submit || b->users != 0 || o->running != 0) {
        return false;
    }
    block_remove(b);
    put_tree(o->tree, LEVELS);
    o->base->users--;
    b->submit = NULL;
    return true;
}
