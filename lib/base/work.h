/* work.h - blocking work, off the loop thread.
 * A room hands a struct work to a pool: run() happens on some other thread, after() later on the
 * loop thread. The programs use the loop's thread pool, tests and the simulator one that runs
 * everything in turn on the clock.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_WORK_H
#define BASE_WORK_H

#include "lib/base/list.h"

/* Embedded in its owner, who keeps it alive until after() was called. run() must not touch anything
 * that the loop thread touches meanwhile. after() may be NULL, and may free the owner. */
struct work {
	void (*run)(struct work *w);
	void (*after)(struct work *w);
	struct list_node node; /* the pool's */
	void *pool_data;       /* the pool's */
};

struct pool {
	void (*submit)(struct pool *p, struct work *w);
};

static inline void pool_submit(struct pool *p, struct work *w)
{
	p->submit(p, w);
}

#endif
