/* fake_pool.c - see fake_pool.h.
 * SPDX-License-Identifier: MIT */
#include "tests/fake/fake_pool.h"

#include "lib/base/mem.h"

struct item {
	struct list_node node;
	struct fake_pool *pool;
	struct work *work;
	struct timer timer;
	uint64_t rest;
	bool ran;
};

static void finish(void *arg)
{
	struct item *it = arg;
	struct work *w = it->work;
	list_remove(&it->pool->items, &it->node);
	free(it);
	if (w->after)
		w->after(w);
}

static void run(void *arg)
{
	struct item *it = arg;
	struct fake_pool *p = it->pool;
	it->ran = true;
	if (p->running)
		p->running(p->arg, true);
	it->work->run(it->work);
	if (p->running)
		p->running(p->arg, false);
	timer_start(&it->timer, p->clock, it->rest, finish, it);
}

static void submit(struct pool *pool, struct work *w)
{
	struct fake_pool *p = container_of(pool, struct fake_pool, pool);
	struct item *it = xcalloc(1, sizeof *it);
	uint64_t delay = p->delay ? p->delay(p->arg) : 0;
	it->pool = p;
	it->work = w;
	it->rest = delay - delay / 2;
	list_push_back(&p->items, &it->node);
	timer_start(&it->timer, p->clock, delay / 2, run, it);
}

void fake_pool_init(struct fake_pool *p, struct clock *clock)
{
	*p = (struct fake_pool){.pool = {submit}, .clock = clock};
	list_init(&p->items);
}

void fake_pool_fini(struct fake_pool *p)
{
	for (struct list_node *n; (n = list_pop_front(&p->items));) {
		struct item *it = list_entry(n, struct item, node);
		timer_stop(&it->timer);
		free(it);
	}
}

size_t fake_pool_len(const struct fake_pool *p)
{
	return p->items.len;
}

void fake_pool_drain(struct fake_pool *p)
{
	for (struct list_node *n; (n = list_first(&p->items));) {
		struct item *it = list_entry(n, struct item, node);
		timer_stop(&it->timer);
		if (!it->ran)
			run(it);
		timer_stop(&it->timer);
		finish(it);
	}
}
