/* clock.h - what time it is, and timers.
 * Rooms take a struct clock from outside: the programs drive it from the event loop, tests and the
 * simulator by hand, so no room ever sleeps or asks the system for the time.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock;
struct timer;
typedef void timer_fn(void *arg);

/* Embedded in its owner; zeroed means stopped. A timer fires once. */
struct timer {
	struct clock *clock;
	uint64_t due_ms, seq;
	size_t slot; /* place in the heap + 1; 0 while stopped */
	timer_fn *fn;
	void *arg;
};

/* When `read` is set it is asked for both times; else the fields count, moved by clock_set(). */
struct clock {
	void (*read)(void *arg, uint64_t *mono_ms, int64_t *wall_ms);
	void *read_arg;
	uint64_t mono_ms; /* never goes back */
	int64_t wall_ms;  /* since 1970 UTC; may jump either way */
	struct timer **heap;
	size_t len, cap;
	uint64_t next_seq;
};

void clock_init(struct clock *c);
void clock_fini(struct clock *c); /* timers still running are stopped */
void clock_set(struct clock *c, uint64_t mono_ms, int64_t wall_ms);
uint64_t clock_now(struct clock *c); /* monotonic, ms */
int64_t clock_wall(struct clock *c); /* since 1970 UTC, ms */

/* (Re)starts t to call fn(arg) after `ms`; also with 0 ms never from inside this call, so that
 * "0 ms" is the place to free what dies inside a callback. */
void timer_start(struct timer *t, struct clock *c, uint64_t ms, timer_fn *fn, void *arg);
void timer_stop(struct timer *t);
static inline bool timer_running(const struct timer *t)
{
	return t->slot != 0;
}

/* For the driver of the clock. Milliseconds until the next timer, UINT64_MAX when there is none. */
uint64_t clock_next(struct clock *c);
/* Fires the timers that were due when it was called, earliest first; returns how many. */
size_t clock_run(struct clock *c);

#endif
