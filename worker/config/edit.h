/* edit.h - changing one key in the text of config.toml and not one byte besides. Pure: text in,
 * text out. SPDX-License-Identifier: MIT */
#ifndef CONFIG_EDIT_H
#define CONFIG_EDIT_H

#include <stddef.h>

#include "lib/base/err.h"

/* Puts `key = value` (a TOML value) into the text: in place of the old value when the key is there,
 * else on a line of its own behind the last key of the root table. The result was parsed again and
 * differs in that key only; -EINVAL when that can't be done. *out is the caller's. */
int edit_set(const char *text, size_t len, const char *key, const char *value, char **out,
	     size_t *out_len, struct err *e) MUST_CHECK;
/* Removes the key's line (or lines). A key that is not there leaves the text as it is. */
int edit_remove(const char *text, size_t len, const char *key, char **out, size_t *out_len,
		struct err *e) MUST_CHECK;

#endif
