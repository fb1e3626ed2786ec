/* lines.c - see lines.h.
 * SPDX-License-Identifier: MIT */
#include "lib/loop/lines.h"

#include <string.h>

static void emit(struct lines *l, lines_fn *fn, void *arg)
{
	l->text[l->len] = '\0';
	l->len = 0;
	l->partial = false;
	fn(arg, l->text);
}

/* Bytes before the next end of a line. */
static size_t run_of(const char *data, size_t len)
{
	size_t n = 0;
	while (n < len && data[n] != '\n' && data[n] != '\r')
		n++;
	return n;
}

static void keep(struct lines *l, const char *data, size_t len)
{
	size_t room = LINES_MAX - l->len, n = len < room ? len : room;
	char *at = l->text + l->len;
	memcpy(at, data, n);
	for (size_t i = 0; i < n; i++)
		at[i] = at[i] ? at[i] : '?';
	l->len += n;
	l->partial = true;
	l->after_cr = false;
}

void lines_feed(struct lines *l, const char *data, size_t len, lines_fn *fn, void *arg)
{
	for (size_t i = 0; i < len;) {
		size_t n = run_of(data + i, len - i);
		if (n)
			keep(l, data + i, n);
		i += n;
		if (i == len)
			return;
		char c = data[i++];
		bool second = c == '\n' && l->after_cr;
		l->after_cr = c == '\r';
		if (!second)
			emit(l, fn, arg);
	}
}

void lines_flush(struct lines *l, lines_fn *fn, void *arg)
{
	if (l->partial)
		emit(l, fn, arg);
}
