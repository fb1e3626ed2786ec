/* router.c - see router.h.
 * SPDX-License-Identifier: MIT */
#include "lib/net/router.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *percent_decode(const char *s, size_t len)
{
	char *out = xmalloc(len + 1), *to = out;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (c == '%') {
			int high = i + 2 < len ? hex(s[i + 1]) : -1;
			int low = i + 2 < len ? hex(s[i + 2]) : -1;
			if (high < 0 || low < 0) {
				free(out);
				return NULL;
			}
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0') {
			free(out);
			return NULL;
		}
		*to++ = c;
	}
	*to = '\0';
	if (!utf8_valid(out, (size_t)(to - out))) {
		free(out);
		return NULL;
	}
	return out;
}

static bool take_param(const char *name, size_t name_len, const char *value, size_t value_len,
		       struct params *out)
{
	char *decoded =
	    out->n < ROUTER_MAX_PARAMS && value_len ? percent_decode(value, value_len) : NULL;
	if (!decoded)
		return false;
	out->names[out->n] = xstrndup(name, name_len);
	out->values[out->n++] = decoded;
	return true;
}

/* One segment of each, without the slash. */
static bool match_segment(const char *p, size_t p_len, const char *s, size_t s_len,
			  struct params *out)
{
	if (p_len >= 2 && p[0] == '{' && p[p_len - 1] == '}')
		return take_param(p + 1, p_len - 2, s, s_len, out);
	return p_len == s_len && memcmp(p, s, p_len) == 0;
}

bool router_match(const char *pattern, const char *path, struct params *out)
{
	*out = (struct params){0};
	for (;;) {
		size_t p = strcspn(pattern, "/"), s = strcspn(path, "/");
		if (!match_segment(pattern, p, path, s, out) || !pattern[p] != !path[s]) {
			params_fini(out);
			return false;
		}
		if (!pattern[p])
			return true;
		pattern += p + 1;
		path += s + 1;
	}
}

void params_fini(struct params *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->names[i]);
		free(p->values[i]);
	}
	*p = (struct params){0};
}
