/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Multiboot information from hv: free memory, modules, the script. */
#include "guests/root/root.h"

extern u8 image_end[];

struct module modules[MODULES_MAX];
u32 module_count;
const char *boot_script = "";

/* Memory between the image and what hv put at the end of RAM. */
static void add_memory(u64 start, u64 end)
{
    u64 low = align_up(address_of(image_end), PAGE_SIZE);
    start = start < low ? low : align_up(start, PAGE_SIZE);
    for (u32 i = 0; i < module_count; i++) {
        if (modules[i].start >= start && modules[i].start < end) {
            end = modules[i].start; /* hv puts them one behind the other, at the end */
        }
    }
    end = end > 0x100000000ull ? 0x100000000ull : end;
    end = align_down(end, PAGE_SIZE);
    if (start < end) {
        memory_add(start, end);
    }
}

void boot_parse(u32 magic, u32 info_at)
{
    const u32 *info = at_address(info_at);
    if (magic != 0x2badb002) {
        die("not started as Multiboot says");
    }
    const char *line = at_address(info[4]);
    while (*line != 0 && *line != ' ') {
        line++;
    }
    boot_script = *line == ' ' ? line + 1 : line;
    const u32 *list = at_address(info[6]);
    module_count = info[5] < MODULES_MAX ? info[5] : MODULES_MAX;
    for (u32 i = 0; i < module_count; i++) {
        modules[i] = (struct module){list[4 * i], list[4 * i + 1], at_address(list[4 * i + 2])};
    }
    for (u32 at = 0; at < info[11];) {
        const u32 *e = at_address(info[12] + at);
        u64 base, length;
        memcpy(&base, &e[1], 8);
        memcpy(&length, &e[3], 8);
        if (e[5] == 1) {
            add_memory(base, base + length);
        }
        at += e[0] + 4;
    }
}

static bool is_named(const struct module *m, const char *name)
{
    const char *from = m->text;
    const char *end = from;
    while (*end != 0 && *end != ' ') {
        if (*end++ == '/') {
            from = end;
        }
    }
    size_t n = (size_t)(end - from);
    return n == strlen(name) && memcmp(from, name, n) == 0;
}

const struct module *module_find(const char *name)
{
    u64 number;
    if (text_number(name, &number)) {
        return number < module_count ? &modules[number] : NULL;
    }
    for (u32 i = 0; i < module_count; i++) {
        if (is_named(&modules[i], name)) {
            return &modules[i];
        }
    }
    return NULL;
}
