/* loop.c - see loop.h. Before each wait one libuv timer is set to the clock's next timer; when it
 * fires, the clock runs.
 * SPDX-License-Identifier: MIT */
#include "lib/loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/loop/child.h"

/* How long loop_fini waits for handles that close and work that still runs. */
#define FINI_MS	  200
#define SETTLE_MS 100

static void read_clock(void *arg, uint64_t *mono_ms, int64_t *wall_ms)
{
	struct loop *l = arg;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	*mono_ms = uv_now(&l->uv);
	*wall_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void fire(uv_timer_t *t)
{
	struct loop *l = t->data;
	clock_run(&l->clock);
}

/* How many rounds of timers that are due already run before the loop looks at its sockets again. */
#define DUE_ROUNDS 4

/* Runs right before the loop computes how long it may wait, after every other callback of the turn
 * but those of the poll phase, which the next turn's call covers. What is due by now runs here: a
 * timer of 0 ms, the way rooms put something off to the end of the turn, costs no turn of its own.
 */
static void arm(uv_prepare_t *p)
{
	struct loop *l = p->data;
	/* Not for those who turn the loop one step at a time: they look at what happened only after
	 * the wait. */
	for (int i = 0; l->running && i < DUE_ROUNDS && clock_next(&l->clock) == 0; i++)
		clock_run(&l->clock);
	uint64_t ms = clock_next(&l->clock);
	if (ms == UINT64_MAX)
		uv_timer_stop(&l->wake);
	else
		uv_timer_start(&l->wake, fire, ms, 0);
}

struct job {
	uv_work_t req;
	struct loop *loop;
	struct work *work;
};

static void run_work(uv_work_t *req)
{
	struct job *j = req->data;
	j->work->run(j->work);
}

static void after_work(uv_work_t *req, int status)
{
	struct job *j = req->data;
	struct work *w = j->work;
	struct loop *l = j->loop;
	(void)status;
	free(j);
	l->working--;
	w->pool_data = NULL;
	if (w->after)
		w->after(w);
}

static void submit(struct pool *p, struct work *w)
{
	struct loop *l = container_of(p, struct loop, pool);
	struct job *j = xcalloc(1, sizeof *j);
	j->loop = l;
	j->work = w;
	j->req.data = j;
	w->pool_data = j;
	l->working++;
	/* Fails only for a NULL callback. */
	uv_queue_work(&l->uv, &j->req, run_work, after_work);
}

int loop_init(struct loop *l, struct err *e)
{
	*l = (struct loop){.pool.submit = submit};
	int rc = uv_loop_init(&l->uv);
	if (rc < 0)
		return err_sys(e, -rc, "cannot make the event loop");
	list_init(&l->children);
	clock_init(&l->clock);
	l->clock.read = read_clock;
	l->clock.read_arg = l;
	uv_timer_init(&l->uv, &l->wake);
	uv_prepare_init(&l->uv, &l->prepare);
	uv_signal_init(&l->uv, &l->sigterm);
	uv_signal_init(&l->uv, &l->sigint);
	l->wake.data = l->prepare.data = l->sigterm.data = l->sigint.data = l;
	uv_prepare_start(&l->prepare, arm);
	signal(SIGPIPE, SIG_IGN); /* a closed pipe or socket is an error code, not our end */
	signal(SIGXFSZ, SIG_IGN); /* so is a file over a limit of the user's */
	return 0;
}

static void expire(uv_timer_t *t)
{
	uv_stop(t->loop);
}

static void pass(void *arg)
{
	*(bool *)arg = true;
}

void loop_settle(struct loop *l)
{
	struct timer limit = {0};
	bool passed = false;
	uv_update_time(&l->uv);
	timer_start(&limit, &l->clock, SETTLE_MS, pass, &passed);
	child_kill_all(l);
	while (!passed && (l->working || !list_empty(&l->children)))
		uv_run(&l->uv, UV_RUN_ONCE);
	timer_stop(&limit);
}

static void close_any(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

/* The turns that close callbacks and running work need, but not longer than FINI_MS. */
static void drain(struct loop *l)
{
	uv_timer_t limit;
	uv_timer_init(&l->uv, &limit);
	uv_timer_start(&limit, expire, FINI_MS, 0);
	uv_unref((uv_handle_t *)&limit);
	uv_run(&l->uv, UV_RUN_NOWAIT); /* also forgets a loop_stop() that nothing ran after */
	uv_run(&l->uv, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&limit, NULL);
	uv_run(&l->uv, UV_RUN_NOWAIT);
}

void loop_fini(struct loop *l)
{
	child_drop_all(l);
	uv_close((uv_handle_t *)&l->sigterm, NULL);
	uv_close((uv_handle_t *)&l->sigint, NULL);
	uv_close((uv_handle_t *)&l->prepare, NULL);
	uv_close((uv_handle_t *)&l->wake, NULL);
	drain(l);
	clock_fini(&l->clock);
	/* What others left open would keep the loop from closing; their memory may be gone by now
	 * only if they broke their own contract. */
	if (uv_loop_close(&l->uv) == UV_EBUSY) {
		uv_walk(&l->uv, close_any, NULL);
		uv_run(&l->uv, UV_RUN_NOWAIT);
		(void)uv_loop_close(&l->uv);
	}
}

static void stop_signal(uv_signal_t *s, int signum)
{
	struct loop *l = s->data;
	(void)signum;
	if (l->on_stop)
		l->on_stop(l->on_stop_arg);
}

void loop_on_stop(struct loop *l, timer_fn *fn, void *arg)
{
	l->on_stop = fn;
	l->on_stop_arg = arg;
	uv_signal_start(&l->sigterm, stop_signal, SIGTERM);
	uv_signal_start(&l->sigint, stop_signal, SIGINT);
}

void loop_run(struct loop *l)
{
	uv_update_time(&l->uv);
	l->running = true;
	uv_run(&l->uv, UV_RUN_DEFAULT);
	l->running = false;
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}
