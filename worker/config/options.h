/* options.h - the text of config.toml to struct options, and values to text. Pure: no file, no log.
 * SPDX-License-Identifier: MIT */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "worker/config/config.h"

#define OPTIONS_MAX_BYTES (1u << 20) /* a config.toml larger than this is no config */

void options_init(struct options *o); /* the defaults */
void options_fini(struct options *o);
bool options_equal(const struct options *a, const struct options *b);

/* Reads the text over the defaults into *out (which need not be initialised; untouched on an
 * error). Errors read "name:LINE: …" and never hold a value. `unknown` (may be NULL) is called once
 * for each key that no row knows. */
int options_read(struct options *out, const char *name, const char *text, size_t len,
		 void (*unknown)(void *arg, const char *key, unsigned line), void *arg,
		 struct err *e) MUST_CHECK;

const struct option *option_find(const char *key); /* NULL: no such key */
/* The value as it would stand in the file. free() it. */
char *option_format(const struct option *opt, const struct options *o);
/* What a person typed ("8.5", "true", "https://…") to a TOML value; -EINVAL names the key and what
 * is wanted. free() *toml. */
int option_parse(const struct option *opt, const char *text, char **toml, struct err *e) MUST_CHECK;
const char *option_type_name(enum option_type t); /* "a string", "a number", … */

#endif
