/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guests/adapter/store.h"

static struct store_node *find(struct store_tree *tree, const char *path)
{
    for (u32 i = 0; i < STORE_NODES; i++) {
        if (tree->nodes[i].used && text_equal(tree->nodes[i].path, path)) {
            return &tree->nodes[i];
        }
    }
    return NULL;
}

const struct store_node *store_find(const struct store_tree *tree, const char *path)
{
    return find((struct store_tree *)(uintptr_t)tree, path);
}

static struct store_node *make(struct store_tree *tree, const char *path)
{
    struct store_node *node = find(tree, path);
    for (u32 i = 0; node == NULL && i < STORE_NODES; i++) {
        if (!tree->nodes[i].used) {
            node = &tree->nodes[i];
            memset(node, 0, sizeof *node);
            node->used = true;
            node->changed = 1;
            memcpy(node->path, path, strlen(path) + 1);
        }
    }
    return node;
}

const char *store_write(struct store_tree *tree, const char *path, const char *value, u32 length)
{
    if (length >= STORE_VALUE || strlen(path) >= STORE_PATH) {
        return "E2BIG";
    }
    char above[STORE_PATH];
    for (u32 i = 1; path[i] != 0; i++) { /* every node above it */
        if (path[i] == '/') {
            memcpy(above, path, i);
            above[i] = 0;
            if (make(tree, above) == NULL) {
                return "ENOSPC";
            }
        }
    }
    struct store_node *node = make(tree, path);
    if (node == NULL) {
        return "ENOSPC";
    }
    memcpy(node->value, value, length);
    node->value[length] = 0;
    node->length = length;
    node->changed = 1;
    return NULL;
}

static bool is_at_or_below(const char *path, const char *top)
{
    size_t n = strlen(top);
    return strlen(path) >= n && memcmp(path, top, n) == 0 && (path[n] == 0 || path[n] == '/');
}

const char *store_remove(struct store_tree *tree, const char *path)
{
    if (find(tree, path) == NULL) {
        return "ENOENT";
    }
    if (tree->is_copy && tree->removed_count == ARRAY_LEN(tree->removed)) {
        return "ENOSPC";
    }
    for (u32 i = 0; i < STORE_NODES; i++) {
        if (tree->nodes[i].used && is_at_or_below(tree->nodes[i].path, path)) {
            tree->nodes[i].used = false;
        }
    }
    if (tree->is_copy) {
        memcpy(tree->removed[tree->removed_count++], path, strlen(path) + 1);
    }
    return NULL;
}

u32 store_list(const struct store_tree *tree, const char *path, char *list)
{
    u32 bytes = 0;
    size_t n = text_equal(path, "/") ? 0 : strlen(path);
    for (u32 i = 0; i < STORE_NODES; i++) {
        const char *p = tree->nodes[i].path;
        if (!tree->nodes[i].used || strlen(p) <= n + 1 || memcmp(p, path, n) != 0 || p[n] != '/') {
            continue;
        }
        const char *name = p + n + 1;
        u32 size = (u32)strlen(name) + 1;
        bool direct = true;
        for (const char *s = name; *s != 0; s++) {
            direct = direct && *s != '/';
        }
        if (direct && bytes + size <= STORE_PAYLOAD) {
            memcpy(list + bytes, name, size);
            bytes += size;
        }
    }
    return bytes;
}

void store_copy(struct store_tree *to, const struct store_tree *from)
{
    memcpy(to, from, sizeof *to);
    to->removed_count = 0;
    to->is_copy = true;
    for (u32 i = 0; i < STORE_NODES; i++) {
        to->nodes[i].changed = 0;
    }
}

void store_commit(struct store_tree *to, const struct store_tree *from, void (*told)(const char *path, bool removed))
{
    for (u32 i = 0; i < from->removed_count; i++) {
        if (store_remove(to, from->removed[i]) == NULL) {
            told(from->removed[i], true);
        }
    }
    for (u32 i = 0; i < STORE_NODES; i++) {
        const struct store_node *node = &from->nodes[i];
        if (node->used && node->changed != 0 && store_write(to, node->path, node->value, node->length) == NULL) {
            told(node->path, false);
        }
    }
}

u32 store_decimal(u64 value, char *text)
{
    char digits[24];
    u32 n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (u32 i = 0; i < n; i++) {
        text[i] = digits[n - 1 - i];
    }
    text[n] = 0;
    return n;
}
