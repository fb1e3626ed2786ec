/* wrap.c - see wrap.h.
 * SPDX-License-Identifier: MIT */
#include "worker/cli/wrap.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"

#define COLUMNS 80

/* Bytes of s that fit a line, up to the last space that does; a word that is longer is not cut. */
static size_t line_length(const char *s, size_t room)
{
	size_t cut = room, len = strlen(s);
	if (len <= room)
		return len;
	while (cut && s[cut] != ' ')
		cut--;
	return cut ? cut : strcspn(s, " ");
}

void wrap_print(FILE *out, const char *label, int width, const char *text)
{
	auto_free char *safe = xstrdup(text);
	const char *s = safe;
	size_t room = COLUMNS - 1 - (size_t)width;
	utf8_clean(safe);
	do {
		size_t n = line_length(s, room);
		fprintf(out, "%-*s %.*s\n", width, label, (int)n, s);
		label = "";
		s += n;
		s += strspn(s, " ");
	} while (*s);
}
