/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stack file is read by libcyaml against its schema; the first thing it complains about is the line for people. */
#include "debugger/stack.h"

#include <cyaml/cyaml.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const cyaml_schema_field_t module_fields[] = {
    CYAML_FIELD_STRING_PTR("file", CYAML_FLAG_POINTER, struct stack_module, file, 1, 4096),
    CYAML_FIELD_STRING_PTR("args", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct stack_module, args, 0, 4096),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t module_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct stack_module, module_fields),
};

static const cyaml_schema_field_t machine_fields[] = {
    {.key = "cpu",
     .data_offset = offsetof(struct stack, machine.cpu),
     .value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 256)}},
    {.key = "smp",
     .data_offset = offsetof(struct stack, machine.smp),
     .value = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, unsigned)}},
    {.key = "memory",
     .data_offset = offsetof(struct stack, machine.memory),
     .value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 32)}},
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t device_schema = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 256)};

static const cyaml_schema_field_t stack_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct stack, name, 1, 64),
    CYAML_FIELD_STRING_PTR("description", CYAML_FLAG_POINTER, struct stack, description, 1, 256),
    {.key = "machine",
     .data_offset = 0, /* its fields' offsets are the stack's */
     .value = {CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct stack, machine_fields)}},
    CYAML_FIELD_STRING_PTR("kernel", CYAML_FLAG_POINTER, struct stack, kernel, 1, 4096),
    CYAML_FIELD_SEQUENCE("modules", CYAML_FLAG_POINTER, struct stack, modules, &module_schema, 1, 15),
    CYAML_FIELD_STRING_PTR("script", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct stack, script, 1, 4096),
    CYAML_FIELD_BOOL("watch", CYAML_FLAG_OPTIONAL, struct stack, watch),
    CYAML_FIELD_SEQUENCE("devices", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct stack, devices, &device_schema, 0, 8),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t stack_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct stack, stack_fields),
};

struct complaint {
    char text[160];
};

static void hear(cyaml_log_t level, void *context, const char *format, va_list args)
{
    struct complaint *c = context;
    if (level >= CYAML_LOG_ERROR && c->text[0] == 0) {
        (void)vsnprintf(c->text, sizeof c->text, format, args);
        c->text[strcspn(c->text, "\n")] = 0;
    }
}

static cyaml_config_t config_of(struct complaint *c)
{
    return (cyaml_config_t){.log_fn = hear, .log_ctx = c, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};
}

struct stack *stack_load(const char *path, struct error *err)
{
    struct complaint c = {0};
    const cyaml_config_t config = config_of(&c);
    struct stack *s = NULL;
    if (access(path, R_OK) != 0) {
        (void)error_set(err, EXIT_STATUS_NO_FILE, "%s: no such stack file", path);
        return NULL;
    }
    cyaml_err_t status = cyaml_load_file(path, &config, &stack_schema, (cyaml_data_t **)&s, NULL);
    if (status != CYAML_OK || s == NULL) {
        const char *text = strncmp(c.text, "Load: ", 6) == 0 ? c.text + 6 : c.text;
        (void)error_set(err, EXIT_STATUS_BAD_FILE, "%s is no stack file: %s", path,
                        text[0] != 0 ? text : (status != CYAML_OK ? cyaml_strerror(status) : "it is empty"));
        return NULL;
    }
    return s;
}

void stack_free(struct stack *s)
{
    struct complaint c = {0};
    const cyaml_config_t config = config_of(&c);
    (void)cyaml_free(&config, &stack_schema, s, 0);
}
