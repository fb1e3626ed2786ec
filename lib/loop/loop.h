/* loop.h - the one event loop of a program: libuv, driving a struct clock and a struct pool.
 * SPDX-License-Identifier: MIT */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <uv.h>

#include "lib/base/clock.h"
#include "lib/base/work.h"

struct loop {
	uv_loop_t uv;
	struct clock clock; /* reads the loop's time; its timers fire from the loop */
	struct pool pool;   /* libuv's thread pool */
	uv_timer_t wake;
	uv_prepare_t prepare;
	uv_signal_t sigterm, sigint;
	bool running;	      /* inside loop_run() */
	size_t working;	      /* pool jobs whose after() is still to come */
	struct list children; /* child.c's: who is still alive */
	timer_fn *on_stop;
	void *on_stop_arg;
};

/* Also ignores SIGPIPE and SIGXFSZ. The struct must not move after this. */
int loop_init(struct loop *l, struct err *e) MUST_CHECK;
/* On the way out, before what they call back to is freed: kills the child processes and turns the
 * loop until they and all work of the pool have ended, their last events included; 100 ms at most.
 * Work that is left then (`working`) still touches what is its: nothing of that may be freed, and
 * the program ends by _exit(). */
void loop_settle(struct loop *l);
/* Runs what is still pending of closed handles, bounded by 200 ms, then frees everything. Child
 * processes that still run are killed first, without an event. */
void loop_fini(struct loop *l);
/* SIGTERM and SIGINT call fn(arg) on the loop. */
void loop_on_stop(struct loop *l, timer_fn *fn, void *arg);
void loop_run(struct loop *l);	/* until loop_stop() */
void loop_stop(struct loop *l); /* from the loop thread */

#endif
