/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Partitions as disks: primary and logical ones of an MBR [ATA/INT 13h practice], GPT ones with both checksums right [UEFI "GUID
 * Partition Table"]. What a table says is checked against the disk. Left out: the second GPT, when the first is damaged. */
#include "guests/root/block/block.h"

#define PARTITIONS 32
#define SECTOR 512u
#define MBR_TABLE 446
#define MBR_SIGNATURE 0xaa55u
#define TYPE_GPT 0xeeu
#define LOGICAL_MAX 16u
#define GPT_ENTRIES_BYTES 16384u

struct partition_block {
    struct block block; /* first */
    struct block *base;
    u64 start;
    char name[BLOCK_NAME];
};

static struct partition_block partitions[PARTITIONS];
static u32 partition_count;
static u8 buffer[GPT_ENTRIES_BYTES] __attribute__((aligned(4096)));

static void submit(struct block *b, struct block_request *r)
{
    struct partition_block *p = (struct partition_block *)(void *)b;
    if (block_accepts(b, r)) {
        r->sector += p->start;
        p->base->submit(p->base, r);
    }
}

static void add(struct block *base, u32 number, u64 start, u64 sectors)
{
    if (start == 0 || sectors == 0 || start >= base->sectors || sectors > base->sectors - start ||
        partition_count == PARTITIONS) {
        return;
    }
    struct partition_block *p = &partitions[partition_count++];
    u32 n = 0;
    while (base->name[n] != 0 && n + 4 < BLOCK_NAME) {
        p->name[n] = base->name[n];
        n++;
    }
    p->name[n++] = 'p';
    if (number >= 10) {
        p->name[n++] = (char)('0' + number / 10 % 10);
    }
    p->name[n] = (char)('0' + number % 10);
    p->base = base;
    p->start = start;
    p->block = *base;
    p->block.name = p->name;
    p->block.sectors = sectors;
    p->block.users = 0;
    p->block.submit = submit;
    block_add(&p->block);
}

static bool read(struct block *b, u64 sector, u32 sectors)
{
    struct block_request r = {.sector = sector, .sectors = sectors, .data = buffer};
    return block_wait(b, &r) == BLOCK_OK;
}

static u32 word(u64 at)
{
    u32 v;
    memcpy(&v, buffer + at, 4);
    return v;
}

static u64 wide(u64 at) { return word(at) | (u64)word(at + 4) << 32; }

static u32 crc32(u64 at, u64 size)
{
    u32 crc = ~0u;
    for (u64 i = 0; i < size; i++) {
        crc ^= buffer[at + i];
        for (u32 bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

static void add_gpt(struct block *b)
{
    static const u8 none[16];
    if (!read(b, 1, 1) || memcmp(buffer, "EFI PART", 8) != 0) {
        return;
    }
    u32 header = word(12);
    u32 sum = word(16);
    u64 list = wide(72);
    u32 count = word(80);
    u32 size = word(84);
    u32 list_sum = word(88);
    memset(buffer + 16, 0, 4);
    if (header < 92 || header > SECTOR || crc32(0, header) != sum || size < 128 || size > SECTOR ||
        count > GPT_ENTRIES_BYTES / size) {
        return;
    }
    if (!read(b, list, (count * size + SECTOR - 1) / SECTOR) || crc32(0, (u64)count * size) != list_sum) {
        return;
    }
    for (u32 i = 0; i < count; i++) {
        u64 at = (u64)i * size;
        u64 first = wide(at + 32);
        u64 last = wide(at + 40);
        if (memcmp(buffer + at, none, 16) != 0 && last >= first) {
            add(b, i + 1, first, last - first + 1);
        }
    }
}

static bool is_extended(u8 type) { return type == 0x05 || type == 0x0f || type == 0x85; }

/* Each logical partition has a table of its own: itself, and where the next table is. */
static void add_logical(struct block *b, u64 extended)
{
    u64 at = extended;
    for (u32 number = 5; number < 5 + LOGICAL_MAX; number++) {
        if (at >= b->sectors || !read(b, at, 1) || (word(508) >> 16) != MBR_SIGNATURE) {
            return;
        }
        u64 start = word(MBR_TABLE + 8);
        u64 sectors = word(MBR_TABLE + 12);
        u64 next = is_extended(buffer[MBR_TABLE + 16 + 4]) ? word(MBR_TABLE + 16 + 8) : 0;
        if (buffer[MBR_TABLE + 4] != 0) {
            add(b, number, at + start, sectors);
        }
        if (next == 0) {
            return;
        }
        at = extended + next;
    }
}

void block_add_partitions(struct block *b)
{
    if (b->submit == submit || b->sector_size != SECTOR || !read(b, 0, 1) || (word(508) >> 16) != MBR_SIGNATURE) {
        return;
    }
    u64 extended = 0;
    if (buffer[MBR_TABLE + 4] == TYPE_GPT) {
        add_gpt(b);
        return;
    }
    u8 table[64];
    memcpy(table, buffer + MBR_TABLE, sizeof table);
    for (u32 i = 0; i < 4; i++) {
        u32 start, sectors;
        memcpy(&start, table + 16 * i + 8, 4);
        memcpy(&sectors, table + 16 * i + 12, 4);
        u8 type = table[16 * i + 4];
        if (is_extended(type) && extended == 0) {
            extended = start;
        } else if (type != 0) {
            add(b, i + 1, start, sectors);
        }
    }
    if (extended != 0) {
        add_logical(b, extended);
    }
}
