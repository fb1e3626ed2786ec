/* lines.c - see lines.h.
 * SPDX-License-Identifier: MIT */
#include "lib/loop/lines.h"

static void emit(struct lines *l, lines_fn *fn, void *arg)
{
	l->text[l->len] = '\0';
	l->len = 0;
	l->partial = false;
	fn(arg, l->text);
}

static void take(struct lines *l, char c, lines_fn *fn, void *arg)
{
	bool after_cr = l->after_cr;
	l->after_cr = c == '\r';
	if (c == '\n' && after_cr)
		return;
	if (c == '\n' || c == '\r') {
		emit(l, fn, arg);
		return;
	}
	l->partial = true;
	if (l->len < LINES_MAX)
		l->text[l->len++] = c ? c : '?';
}

void lines_feed(struct lines *l, const char *data, size_t len, lines_fn *fn, void *arg)
{
	for (size_t i = 0; i < len; i++)
		take(l, data[i], fn, arg);
}

void lines_flush(struct lines *l, lines_fn *fn, void *arg)
{
	if (l->partial)
		emit(l, fn, arg);
}
