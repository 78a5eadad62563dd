/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the handlers of options share. A handler gets the option's value (NULL where it takes none) and
 * returns false with a line in *err. */
#ifndef VITRINE_DEBUGGER_OPTIONS_PRIV_H
#define VITRINE_DEBUGGER_OPTIONS_PRIV_H

#include "debugger/cli.h"

typedef bool option_fn(struct run_options *o, const char *value, struct error *err);

#define OPTION(names, arg, handler, help) option_fn handler;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#include "debugger/options.def"
#pragma GCC diagnostic pop
#undef OPTION

/* A whole number, decimal or 0x...; nothing before or after it. */
bool options_parse_number(const char *text, u64 *value);
/* "512M", "1.5G"; without a unit MiB. */
bool options_parse_size(const char *text, u64 *bytes);
/* The value of option `name`, which has to be a number in [min, max]. */
bool options_number(const char *name, const char *value, u64 min, u64 max, u64 *out, struct error *err);
/* "on" or "off", "yes" or "no"; `key` names it in the line. */
bool options_on_off(const char *key, const char *value, bool *out, struct error *err);

/* Cut the next "key=value" off a list with commas, in place; a doubled comma stands for one. *value is NULL
 * where there is no '='. False at the end. */
bool options_next_property(char **text, char **key, char **value);

/* Give the consoles what -chardev says stands behind them. */
bool options_resolve_chardevs(struct run_options *o, struct error *err);

/* "no ... is called 'typed'; did you mean 'x'?" with status 64. Offer the known names before. */
struct nearest;
bool options_unknown(const char *what, const struct nearest *n, const char *where_listed, struct error *err);

#endif
