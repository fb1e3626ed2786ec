/* names.h - a list of names as an option holds it: NULL-terminated, both owned.
 * SPDX-License-Identifier: MIT */
#ifndef CONFIG_NAMES_H
#define CONFIG_NAMES_H

#include <stdbool.h>

#include "lib/base/err.h"

#define NAMES_MAX    64
#define NAME_MAX_LEN 255 /* a host name has 253 */
#define NAME_WANTED  "1 to 255 printable characters without spaces and commas"

bool name_valid(const char *s);
/* "a, b" to {"a", "b", NULL}; "" is the empty list. */
int names_split(const char *text, char ***out, struct err *e) MUST_CHECK;
void names_free(char **list); /* NULL allowed */
bool names_equal(char *const *a, char *const *b);

#endif
