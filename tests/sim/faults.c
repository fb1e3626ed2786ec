/* faults.c - what goes wrong, when, by the seed. Each seed draws which faults its world knows, so
 * that some are rare together and others common. SPDX-License-Identifier: MIT */
#include "lib/base/mem.h"
#include "tests/sim/sim.h"

struct window { /* a fault that ends by itself */
	struct sim *sim;
	struct worker *worker;
	struct timer timer;
	struct list_node node;
	enum fault fault;
};

void faults_profile(struct sim *s)
{
	struct profile *p = &s->profile;
	p->workers = (unsigned)sim_between(s, 5, SIM_WORKERS_MAX);
	p->jobs = (unsigned)sim_between(s, 8, SIM_JOBS_MAX);
	p->faults = (unsigned)rng_below(&s->rng, 1u << FAULT_COUNT);
	p->fault_gap_ms = sim_between(s, 400, 8000);
	p->quiet_ms =
	    sim_one_in(s, 8) ? sim_between(s, 100000, 240000) : sim_between(s, 15000, 70000);
	p->hop_ms = sim_one_in(s, 4) ? sim_between(s, 50, 700) : sim_between(s, 1, 30);
	p->crash_one_in = sim_one_in(s, 3) ? (unsigned)sim_between(s, 200, 4000) : 0;
	p->kill_one_in = sim_one_in(s, 3) ? (unsigned)sim_between(s, 3, 40) : 0;
	p->fail_percent = sim_one_in(s, 3) ? (unsigned)sim_between(s, 1, 20) : 0;
	p->plain = sim_one_in(s, 3);
	p->leaver = sim_one_in(s, 4);
	p->blind = p->plain && sim_one_in(s, 2);
}

static struct worker *any_worker(struct sim *s)
{
	return s->workers[rng_below(&s->rng, s->profile.workers)];
}

static void end_window(void *arg)
{
	struct window *win = arg;
	struct worker *w = win->worker;
	if (win->fault == FAULT_HALF_OPEN)
		worker_client(w)->mute = worker_client(w)->deaf = false;
	else if (win->fault == FAULT_DISK_FULL)
		worker_disk_full(w, false);
	else if (win->fault == FAULT_PAUSE)
		worker_pause(w, false);
	list_remove(&win->sim->windows, &win->node);
	free(win);
}

static void open_window(struct sim *s, enum fault fault, struct worker *w, uint64_t ms)
{
	struct window *win = xcalloc(1, sizeof *win);
	win->sim = s;
	win->worker = w;
	win->fault = fault;
	list_push_back(&s->windows, &win->node);
	timer_start(&win->timer, &s->clock, ms, end_window, win);
}

void faults_end(struct sim *s)
{
	for (struct list_node *n; (n = list_first(&s->windows));) {
		struct window *win = list_entry(n, struct window, node);
		timer_stop(&win->timer);
		end_window(win);
	}
}

static void half_open(struct sim *s, struct worker *w)
{
	unsigned sides = (unsigned)sim_between(s, 1, 3);
	worker_client(w)->mute |= (sides & 1) != 0;
	worker_client(w)->deaf |= (sides & 2) != 0;
	sim_trace(s, "fault   %s goes half-open%s%s", worker_id(w), sides & 1 ? ", mute" : "",
		  sides & 2 ? ", deaf" : "");
	open_window(s, FAULT_HALF_OPEN, w, sim_between(s, 1000, 40000));
}

static void jump(struct sim *s)
{
	int64_t by = (int64_t)sim_between(s, 1, 7200000) - 3600000;
	s->clock.wall_ms += by;
	sim_trace(s, "fault   the wall clock jumps by %lld ms", (long long)by);
}

static void cancel_job(struct sim *s)
{
	struct expect *x = &s->jobs[rng_below(&s->rng, s->profile.jobs)];
	if (sim_one_in(s, 3))
		studio_cancel(s->studio, x);
}

static uint64_t away(struct sim *s)
{
	uint64_t longest = s->profile.quiet_ms > 100000 ? 150000 : 60000;
	return sim_one_in(s, 5) ? sim_between(s, 5000, longest) : sim_between(s, 10, 5000);
}

static void happen(struct sim *s, enum fault fault)
{
	struct worker *w = any_worker(s);
	switch (fault) {
	case FAULT_CUT:
		sim_trace(s, "fault   %s is cut off", worker_id(w));
		fake_client_cut(worker_client(w));
		break;
	case FAULT_HALF_OPEN:
		half_open(s, w);
		break;
	case FAULT_CRASH_WORKER:
		worker_crash(w, away(s));
		break;
	case FAULT_CRASH_STUDIO:
		studio_crash(s->studio, away(s) / 4);
		break;
	case FAULT_STOP_WORKER:
		worker_stop(w, away(s));
		break;
	case FAULT_DISK_FULL:
		sim_trace(s, "fault   the disk of %s is full", worker_id(w));
		worker_disk_full(w, true);
		open_window(s, fault, w, sim_between(s, 500, 15000));
		break;
	case FAULT_WALL_JUMP:
		jump(s);
		break;
	case FAULT_PAUSE:
		worker_pause(w, true);
		open_window(s, fault, w, sim_between(s, 500, 20000));
		break;
	case FAULT_SPIKE:
		sim_trace(s, "fault   the network slows down");
		s->spike_until_ms = clock_now(&s->clock) + sim_between(s, 500, 10000);
		break;
	case FAULT_CANCEL:
		cancel_job(s);
		break;
	case FAULT_COUNT:
		break;
	}
}

static void next_fault(void *arg);

static void plan_next(struct sim *s)
{
	timer_start(&s->fault, &s->clock, sim_between(s, 1, 2 * s->profile.fault_gap_ms),
		    next_fault, s);
}

static void next_fault(void *arg)
{
	struct sim *s = arg;
	enum fault fault = (enum fault)rng_below(&s->rng, FAULT_COUNT);
	if (s->profile.faults & (1u << fault))
		happen(s, fault);
	plan_next(s);
}

void faults_start(struct sim *s)
{
	list_init(&s->windows);
	plan_next(s);
}

void faults_after_event(struct sim *s)
{
	if (s->healed || !sim_one_in(s, s->profile.crash_one_in))
		return;
	if (sim_one_in(s, 4))
		studio_crash(s->studio, sim_between(s, 10, 8000));
	else
		worker_crash(any_worker(s), sim_between(s, 10, 8000));
}
