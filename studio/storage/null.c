/* null.c - the storage of tests and the simulator: memory that outlives a crash, replies by the
 * clock. An operation changes the world half its delay after the call and is replied to at the end,
 * both in the order of the calls. SPDX-License-Identifier: MIT */
#include "studio/storage/op.h"

#include <string.h>

#include "lib/base/mem.h"
#include "studio/storage/world.h"

struct null_storage {
	struct store store;
	struct null_world *world;
	struct clock *clock;
	uint64_t (*delay)(void *arg);
	void *delay_arg;
	struct list ops; /* in the order of the calls */
	uint64_t last_apply, last_reply;
	int broken; /* errno of every operation; 0: works */
};

static struct null_storage *null_of(struct store *s)
{
	return (struct null_storage *)(void *)s;
}

static void drop(struct null_storage *n, struct op *o)
{
	timer_stop(&o->timer);
	list_remove(&n->ops, &o->node);
	op_free(o);
}

static void step(void *arg);

static uint64_t until(struct null_storage *n, uint64_t at)
{
	uint64_t now = clock_now(n->clock);
	return at > now ? at - now : 0;
}

static void arm(struct null_storage *n, struct op *o, uint64_t at)
{
	timer_start(&o->timer, n->clock, until(n, at), step, o);
}

static void step(void *arg)
{
	struct op *o = arg;
	struct null_storage *n = null_of(o->store);
	if (!o->applied) {
		if (n->broken)
			err_set(&o->err, n->broken, "the storage is broken by a test");
		else
			world_apply(n->world, o);
		o->applied = true;
		if (until(n, o->reply_at) > 0) {
			arm(n, o, o->reply_at);
			return;
		}
	}
	list_remove(&n->ops, &o->node);
	op_reply(o);
	op_free(o);
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void submit(struct store *s, struct op *o)
{
	struct null_storage *n = null_of(s);
	uint64_t delay = n->delay ? n->delay(n->delay_arg) : 0;
	uint64_t now = clock_now(n->clock);
	uint64_t apply_at = max_u64(n->last_apply, now + delay / 2);
	o->store = s;
	o->reply_at = max_u64(max_u64(n->last_reply, now + delay), apply_at);
	n->last_apply = apply_at;
	n->last_reply = o->reply_at;
	list_push_back(&n->ops, &o->node);
	arm(n, o, apply_at);
}

static void close_storage(struct storage *s)
{
	struct null_storage *n = null_of((struct store *)(void *)s);
	list_each_safe (it, &n->ops) {
		struct op *o = list_entry(it, struct op, node);
		if (!o->applied)
			world_apply(n->world, o);
		drop(n, o);
	}
	free(n);
}

void storage_null_break(struct storage *s, int code)
{
	null_of((struct store *)(void *)s)->broken = code;
}

void storage_null_crash(struct storage *s)
{
	struct null_storage *n = null_of((struct store *)(void *)s);
	list_each_safe (it, &n->ops)
		drop(n, list_entry(it, struct op, node));
	free(n);
}

static const struct storage_ops null_ops = {STORE_FRONT, .name = "null", .close = close_storage};

struct storage *storage_null_open(struct null_world *w, struct clock *clock,
				  uint64_t (*delay)(void *arg), void *arg)
{
	struct null_storage *n = xcalloc(1, sizeof(*n));
	n->store.base.ops = &null_ops;
	n->store.submit = submit;
	n->world = w;
	n->clock = clock;
	n->delay = delay;
	n->delay_arg = arg;
	list_init(&n->ops);
	return &n->store.base;
}
