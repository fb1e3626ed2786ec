/* text.c - see text.h.
 * SPDX-License-Identifier: MIT */
#include "lib/base/text.h"

#include <string.h>
#include <strings.h>

bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && strcmp(s + n - m, end) == 0;
}

bool ends_with_any_case(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && strcasecmp(s + n - m, end) == 0;
}
