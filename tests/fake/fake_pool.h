/* fake_pool.h - a struct pool that runs blocking work in turn on a hand-driven clock.
 * SPDX-License-Identifier: MIT */
#ifndef FAKE_POOL_H
#define FAKE_POOL_H

#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/work.h"

/* Half of the delay passes before run(), half between run() and after(), so that a crash may fall
 * on either side. Works of one pool may overtake each other, as those of threads do. */
struct fake_pool {
	struct pool pool;
	struct clock *clock;
	uint64_t (*delay)(void *arg); /* ms; NULL: 0, everything happens in the next clock_run()s */
	void (*running)(void *arg,
			bool begins); /* around each run(), to set fs_fault; may be NULL */
	void *arg;
	struct list items;
};

void fake_pool_init(struct fake_pool *p, struct clock *clock);
/* Drops what has not run and what was not told: the owners are forgotten, as by a crash. */
void fake_pool_fini(struct fake_pool *p);
/* Runs and ends everything now, and what that submits; for owners that are freed by their last
 * work. */
void fake_pool_drain(struct fake_pool *p);
/* How many works are under way. */
size_t fake_pool_len(const struct fake_pool *p);

#endif
