/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an editor sends: JSON from any bytes; what was understood can be looked at and written again. */
#include "debugger/dap/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void look(const struct json *j, FILE *out)
{
    for (; j != NULL; j = j->next) {
        if (j->name != NULL) {
            json_put_text(out, j->name);
            (void)json_get(j, j->name);
        }
        if (j->text != NULL) {
            json_put_text(out, j->text);
        }
        (void)json_number(j, "seq", 0);
        (void)json_true(j, "seq");
        (void)json_text(j, "seq", "");
        look(j->first, out);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    char *text = NULL;
    size_t room = 0;
    FILE *out = open_memstream(&text, &room);
    struct json *j = json_parse((const char *)data, size);
    if (out != NULL) {
        look(j, out);
        (void)fclose(out);
    }
    free(text);
    json_free(j);
    return 0;
}
