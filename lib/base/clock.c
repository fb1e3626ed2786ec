/* clock.c - timers in a binary heap ordered by due time, then by start order, so that a run with
 * the same inputs fires them in the same order.
 * SPDX-License-Identifier: MIT */
#include "lib/base/clock.h"

#include "lib/base/mem.h"

void clock_init(struct clock *c)
{
	*c = (struct clock){0};
}

void clock_fini(struct clock *c)
{
	for (size_t i = 0; i < c->len; i++)
		c->heap[i]->slot = 0;
	free(c->heap);
	*c = (struct clock){0};
}

static void refresh(struct clock *c)
{
	if (c->read)
		c->read(c->read_arg, &c->mono_ms, &c->wall_ms);
}

void clock_set(struct clock *c, uint64_t mono_ms, int64_t wall_ms)
{
	c->mono_ms = mono_ms;
	c->wall_ms = wall_ms;
}

uint64_t clock_now(struct clock *c)
{
	refresh(c);
	return c->mono_ms;
}

int64_t clock_wall(struct clock *c)
{
	refresh(c);
	return c->wall_ms;
}

static bool before(const struct timer *a, const struct timer *b)
{
	return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

static void put(struct clock *c, size_t i, struct timer *t)
{
	c->heap[i] = t;
	t->slot = i + 1;
}

static void sift_up(struct clock *c, size_t i)
{
	struct timer *t = c->heap[i];
	for (; i > 0 && before(t, c->heap[(i - 1) / 2]); i = (i - 1) / 2)
		put(c, i, c->heap[(i - 1) / 2]);
	put(c, i, t);
}

static void sift_down(struct clock *c, size_t i)
{
	struct timer *t = c->heap[i];
	for (;;) {
		size_t child = 2 * i + 1;
		if (child + 1 < c->len && before(c->heap[child + 1], c->heap[child]))
			child++;
		if (child >= c->len || !before(c->heap[child], t))
			break;
		put(c, i, c->heap[child]);
		i = child;
	}
	put(c, i, t);
}

void timer_stop(struct timer *t)
{
	if (!t->slot)
		return;
	struct clock *c = t->clock;
	size_t i = t->slot - 1;
	struct timer *last = c->heap[--c->len];
	t->slot = 0;
	if (last == t)
		return;
	put(c, i, last);
	sift_up(c, i);
	sift_down(c, last->slot - 1);
}

void timer_start(struct timer *t, struct clock *c, uint64_t ms, timer_fn *fn, void *arg)
{
	timer_stop(t);
	*t = (struct timer){
	    .clock = c,
	    .due_ms = clock_now(c) + ms,
	    .seq = c->next_seq++,
	    .fn = fn,
	    .arg = arg,
	};
	if (c->len == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 16;
		c->heap = xrealloc(c->heap, c->cap * sizeof *c->heap);
	}
	put(c, c->len++, t);
	sift_up(c, c->len - 1);
}

uint64_t clock_next(struct clock *c)
{
	if (!c->len)
		return UINT64_MAX;
	uint64_t now = clock_now(c), due = c->heap[0]->due_ms;
	return due > now ? due - now : 0;
}

size_t clock_run(struct clock *c)
{
	uint64_t now = clock_now(c), limit = c->next_seq;
	size_t fired = 0;
	/* seq < limit: a timer started by one that fires here waits for the next run. */
	while (c->len && c->heap[0]->due_ms <= now && c->heap[0]->seq < limit) {
		struct timer *t = c->heap[0];
		timer_stop(t);
		fired++;
		t->fn(t->arg);
	}
	return fired;
}
