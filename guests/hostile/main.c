/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A child that attacks, and, as "victim", one that sees whether anything of its memory changes. Command line: "attack COUNT", "bus COUNT" for
 * attacks by VMBus, or "victim", which goes on until something is typed. As an adapter in VTL 2 it attacks as often as ATTACKS_VTL2 says, then asks for nothing and dies. */
#include "abi/adapter_root.h"
#include "guests/hostile/hostile.h"

#define PATTERN_AT (20ull << 20)
#define PATTERN_END (24ull << 20)
#define ATTACKS_VTL2 20000u
#define SLEEP 0x20u
#define NOWHERE (3ull << 30)

static const char *line_of(u32 magic, u32 info)
{
    const u32 *words = at_address(info);
    if (magic != 0x2badb002) {
        return "";
    }
    const char *line = at_address(words[4]);
    while (*line != 0 && *line != ' ') {
        line++;
    }
    return *line == ' ' ? line + 1 : line;
}

static u64 pattern(u64 at) { return at * 0x9e3779b97f4a7c15ull; }

static void be_victim(void)
{
    u64 rounds = 0;
    u64 changed = 0;
    for (u64 at = PATTERN_AT; at < PATTERN_END; at += 8) {
        *(u64 *)at_address(at) = pattern(at);
    }
    print("victim: ready\n");
    serial_listen(true);
    for (; serial_get() < 0; rounds++) {
        for (u64 at = PATTERN_AT; at < PATTERN_END; at += 8) {
            changed += *(volatile u64 *)at_address(at) != pattern(at) ? 1 : 0;
        }
    }
    print("victim: looked %s, %lu words changed\n", rounds > 0 ? "again and again" : "never", changed);
    out8(0x604, SLEEP | 0x14);
}

static void attack(u64 count)
{
    attack_init();
    for (u64 i = 0; i < count; i++) {
        attack_once();
    }
    attack_table();
    print("hostile: %lu attacks made; the last is to touch what is not mapped\n", count);
    *(volatile u64 *)at_address(NOWHERE) = 1;
    die("it was mapped");
}

void guest_main(u32 magic, u32 info)
{
    serial_init();
    interrupt_init();
    if (magic == ADAPTER_MAGIC) {
        attack_from_vtl2 = true;
        attack(ATTACKS_VTL2);
    }
    const char *line = line_of(magic, info);
    u64 count = 0;
    if (memcmp(line, "attack ", 7) == 0 && text_number(line + 7, &count)) {
        attack(count);
    }
    if (memcmp(line, "bus ", 4) == 0 && text_number(line + 4, &count)) {
        bus_attack(count);
        out8(0x604, SLEEP | 0x14);
    }
    be_victim();
}
