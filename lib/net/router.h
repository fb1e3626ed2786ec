/* router.h - inside lib/net: which route a path means. Pure.
 * SPDX-License-Identifier: MIT */
#ifndef NET_ROUTER_H
#define NET_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#define ROUTER_MAX_PARAMS 4

struct params {
	size_t n;
	char *names[ROUTER_MAX_PARAMS], *values[ROUTER_MAX_PARAMS];
};

/* Matches a raw (still percent-encoded) path against a pattern with {name} segments; fills out,
 * decoded. A value that is empty, holds a NUL or a bad escape or is not UTF-8 does not match. */
bool router_match(const char *pattern, const char *path, struct params *out);
void params_fini(struct params *p);
/* Percent-decodes len bytes; NULL for a bad escape, a NUL or what is not UTF-8. free() it. */
char *percent_decode(const char *s, size_t len);

#endif
