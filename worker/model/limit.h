/* limit.h - a rate limit that all downloads share: a token bucket that may go into debt, so that
 * a piece is never cut. SPDX-License-Identifier: MIT */
#ifndef MODEL_LIMIT_H
#define MODEL_LIMIT_H

#include "lib/base/clock.h"

#define LIMIT_TICK_MS 20

struct limit {
	struct clock *clock;
	struct timer timer;
	uint64_t rate;	 /* bytes a second; 0: none */
	int64_t tokens;	 /* negative: in debt */
	uint64_t filled; /* when tokens were last added, ms */
	timer_fn *again; /* called when there is something to take again */
	void *arg;
};

void limit_init(struct limit *l, struct clock *c, timer_fn *again, void *arg);
void limit_fini(struct limit *l);
void limit_set(struct limit *l, uint64_t rate); /* may change while somebody waits */
/* Takes them. False: not now, `again` will be called. */
bool limit_take(struct limit *l, size_t bytes);

#endif
