/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a running Linux has put its modules: its own list of them, by the kernel's DWARF. */
#include "debugger/shell/cvalue.h"

#include <stdlib.h>
#include <string.h>

#define MODULES_MAX 500u

/* A member of the `struct module` there; before: "&" for its address. */
static bool member(struct shell *s, const char *before, u64 module, const char *behind, u64 *v)
{
    char text[200];
    const char *p = text;
    struct error err = {0};
    (void)snprintf(text, sizeof text, "%s((struct module *)%#" PRIx64 ")->%s", before, module, behind);
    return expr_eval(s, &p, v, &err);
}

static void read_name(struct shell *s, u64 at, char *name, size_t room)
{
    size_t n = memory_read(s, at, name, room - 1);
    name[n] = '\0';
}

size_t c_module_sections(struct shell *s, const char *path, struct symbols_section *out, size_t max, struct error *err)
{
    char wanted[64], name[64];
    const char *slash = strrchr(path, '/');
    u64 head, link, offset, value, count = 0;
    (void)snprintf(wanted, sizeof wanted, "%s", slash != NULL ? slash + 1 : path);
    wanted[strcspn(wanted, ".")] = '\0';
    for (char *p = wanted; *p != '\0'; p++) {
        *p = *p == '-' ? '_' : *p;
    }
    const char *name_of_list = "&modules";
    struct error none = {0};
    if (!expr_eval(s, &name_of_list, &head, &none) || !member(s, "&", 0, "list", &offset)) {
        (void)error_set(err, EXIT_STATUS_USAGE, "%s: a kernel module; its kernel's symbols with DWARF come first", path);
        return 0;
    }
    link = head;
    for (unsigned i = 0; i < MODULES_MAX; i++) {
        if (memory_read(s, link, &link, 8) != 8) {
            (void)error_set(err, EXIT_STATUS_USAGE, "the kernel's list of modules is not mapped here: cpu%u is elsewhere", s->cpu);
            return 0;
        }
        if (link == head) {
            break;
        }
        u64 module = link - offset;
        if (!member(s, "&", module, "name", &value)) {
            break;
        }
        read_name(s, value, name, sizeof name);
        if (strcmp(name, wanted) != 0 ||
            !member(s, "", module, "sect_attrs->nsections", &count)) {
            continue;
        }
        size_t n = 0;
        for (u64 k = 0; k < count && n < max; k++) {
            char of_name[64], of_address[64];
            u64 text;
            (void)snprintf(of_name, sizeof of_name, "sect_attrs->attrs[%" PRIu64 "].battr.attr.name", k);
            (void)snprintf(of_address, sizeof of_address, "sect_attrs->attrs[%" PRIu64 "].address", k);
            if (member(s, "", module, of_name, &text) && member(s, "", module, of_address, &value)) {
                read_name(s, text, out[n].name, sizeof out[n].name);
                out[n++].address = value;
            }
        }
        return n;
    }
    (void)error_set(err, EXIT_STATUS_USAGE, "the kernel has no module %s now", wanted);
    return 0;
}
