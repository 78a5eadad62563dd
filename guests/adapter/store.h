/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tree of xenstore: nodes by their whole path. A transaction works on a copy. */
#ifndef GUESTS_ADAPTER_STORE_H
#define GUESTS_ADAPTER_STORE_H

#include "guests/adapter/adapter.h"

#define STORE_HOME "/local/domain/1"
#define STORE_PAYLOAD 4096u
#define STORE_PATH 128u
#define STORE_VALUE 128u
#define STORE_NODES 384u
#define STORE_ERROR 2072u /* in the ring's page */

struct store_node {
    bool used;
    u32 changed; /* in a copy: written or removed since */
    u32 length;
    char path[STORE_PATH];
    char value[STORE_VALUE];
};
struct store_tree {
    struct store_node nodes[STORE_NODES];
    char removed[16][STORE_PATH]; /* in a copy */
    u32 removed_count;
    bool is_copy;
};

const struct store_node *store_find(const struct store_tree *tree, const char *path);
/* NULL, or an error's name. Nodes above it are made. */
const char *store_write(struct store_tree *tree, const char *path, const char *value, u32 length);
const char *store_remove(struct store_tree *tree, const char *path);
/* Names of its children, a 0 behind each; their bytes. */
u32 store_list(const struct store_tree *tree, const char *path, char *list);
void store_copy(struct store_tree *to, const struct store_tree *from);
void store_commit(struct store_tree *to, const struct store_tree *from, void (*told)(const char *path, bool removed));
u32 store_decimal(u64 value, char *text);

#endif
