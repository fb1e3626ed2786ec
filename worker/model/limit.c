/* limit.c - see limit.h.
 * SPDX-License-Identifier: MIT */
#include "worker/model/limit.h"

/* What may be saved up, in ms of the rate: enough to bridge a late timer, no burst to speak of. */
#define BURST_MS 100

static void fill(struct limit *l)
{
	uint64_t now = clock_now(l->clock), ms = now - l->filled;
	int64_t most = (int64_t)(l->rate / 1000 * BURST_MS + 1);
	l->filled = now;
	if (ms > 10000)
		ms = 10000;
	l->tokens += (int64_t)(l->rate * ms / 1000);
	if (l->tokens > most)
		l->tokens = most;
}

static void tick(void *arg)
{
	struct limit *l = arg;
	if (l->rate)
		fill(l);
	if (l->rate && l->tokens <= 0)
		timer_start(&l->timer, l->clock, LIMIT_TICK_MS, tick, l);
	else
		l->again(l->arg);
}

void limit_init(struct limit *l, struct clock *c, timer_fn *again, void *arg)
{
	*l = (struct limit){.clock = c, .again = again, .arg = arg, .filled = clock_now(c)};
}

void limit_fini(struct limit *l)
{
	timer_stop(&l->timer);
}

void limit_set(struct limit *l, uint64_t rate)
{
	if (rate > INT64_MAX / 20000)
		rate = 0; /* nothing is that fast */
	if (rate != l->rate)
		l->tokens = 0; /* a debt at the old rate is no debt at the new one */
	l->rate = rate;
	l->filled = clock_now(l->clock);
	if (timer_running(&l->timer))
		timer_start(&l->timer, l->clock, 0, tick, l);
}

bool limit_take(struct limit *l, size_t bytes)
{
	if (!l->rate)
		return true;
	fill(l);
	if (l->tokens > 0) {
		l->tokens -= (int64_t)bytes;
		return true;
	}
	if (!timer_running(&l->timer))
		timer_start(&l->timer, l->clock, LIMIT_TICK_MS, tick, l);
	return false;
}
