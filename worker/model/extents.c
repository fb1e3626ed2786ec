/* extents.c - see extents.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/extents.h"

#include <string.h>

static void cut_out(struct extents *x, size_t at, size_t n)
{
	memmove(&x->spans[at], &x->spans[at + n], (x->n - at - n) * sizeof x->spans[0]);
	x->n -= n;
}

bool extents_add(struct extents *x, uint64_t from, uint64_t to)
{
	if (from >= to)
		return true;
	size_t first = 0, last;
	while (first < x->n && x->spans[first].to < from)
		first++;
	for (last = first; last < x->n && x->spans[last].from <= to; last++)
		;
	if (first == last) { /* touches none */
		if (x->n == EXTENTS_MAX)
			return false;
		memmove(&x->spans[first + 1], &x->spans[first],
			(x->n - first) * sizeof x->spans[0]);
		x->spans[first] = (struct extent){from, to};
		x->n++;
		return true;
	}
	struct extent *s = &x->spans[first];
	if (x->spans[last - 1].to > to)
		to = x->spans[last - 1].to;
	s->from = s->from < from ? s->from : from;
	s->to = to;
	cut_out(x, first + 1, last - first - 1);
	return true;
}

uint64_t extents_bytes(const struct extents *x)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < x->n; i++)
		sum += x->spans[i].to - x->spans[i].from;
	return sum;
}

uint64_t extents_reach(const struct extents *x, uint64_t from)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->spans[i].from <= from && from < x->spans[i].to)
			return x->spans[i].to;
	return from;
}

bool extents_gap(const struct extents *x, uint64_t from, uint64_t total, struct extent *gap)
{
	gap->from = extents_reach(x, from);
	gap->to = total;
	for (size_t i = x->n; i-- > 0;)
		if (x->spans[i].from >= gap->from && x->spans[i].from < gap->to)
			gap->to = x->spans[i].from;
	return gap->from < total;
}
