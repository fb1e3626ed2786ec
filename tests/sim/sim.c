/* sim.c - one world: made from its seed, driven event by event until everything has come to rest.
 * SPDX-License-Identifier: MIT */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"

#define EPOCH_MS    INT64_C(1780000000000) /* the wall clock at the start */
#define CONVERGE_MS 180000u		   /* after the last fault: every session is open by then */
#define LIMIT_MS    2100000u		   /* after the last fault: everything is over by then */
#define MAX_STEPS   3000000u

uint64_t sim_between(struct sim *s, uint64_t lo, uint64_t hi)
{
	return lo + rng_below(&s->rng, hi - lo + 1);
}

bool sim_one_in(struct sim *s, unsigned n)
{
	return n && rng_below(&s->rng, n) == 0;
}

struct expect *sim_expect(struct sim *s, const char *job_id)
{
	for (unsigned i = 0; i < s->profile.jobs; i++)
		if (s->jobs[i].id && !strcmp(s->jobs[i].id, job_id))
			return &s->jobs[i];
	/* It may be in storage since this very event. */
	uint64_t looked = s->looked;
	check_storage(s);
	return looked == s->looked ? NULL : sim_expect(s, job_id);
}

static uint64_t hop(void *arg)
{
	struct sim *s = arg;
	if (clock_now(&s->clock) < s->spike_until_ms)
		return sim_between(s, 0, 4000);
	return sim_between(s, 0, s->profile.hop_ms);
}

/* ---- the client who submits ---- */

static void submit(void *arg)
{
	struct expect *x = arg;
	struct sim *s = x->sim;
	check_storage(s);
	if (x->id)
		x->acked = true; /* it looked, and found it */
	if (x->acked)
		return;
	if (studio_up(s->studio) && !x->submitting)
		studio_submit(s->studio, x);
	timer_start(&x->submit, &s->clock, 3000, submit, x);
}

static void plan_jobs(struct sim *s)
{
	for (unsigned i = 0; i < s->profile.jobs; i++) {
		struct expect *x = &s->jobs[i];
		x->sim = s;
		x->no = i;
		x->state = -1;
		x->kind = (enum kind)rng_below(&s->rng, KIND_COUNT);
		snprintf(x->prompt, sizeof x->prompt, "prompt %u of seed %llu", i,
			 (unsigned long long)s->seed);
		timer_start(&x->submit, &s->clock, sim_between(s, 0, s->profile.quiet_ms), submit,
			    x);
	}
}

/* ---- the end of the faults ---- */

static void must_have_converged(void *arg)
{
	struct sim *s = arg;
	for (unsigned i = 0; i < s->profile.workers; i++)
		if (!worker_gone(s->workers[i]) && !worker_serving(s->workers[i]))
			sim_violation(s, "converge", "%s has no session %u s after the last fault",
				      worker_id(s->workers[i]), CONVERGE_MS / 1000);
	s->settled = true;
}

/* Rather one whose job somebody else must get then. */
static struct worker *pick_leaver(struct sim *s)
{
	for (unsigned i = 0; i < s->profile.jobs; i++)
		for (unsigned k = 0; s->jobs[i].holder && k < s->profile.workers; k++)
			if (s->jobs[i].state < 3 &&
			    !strcmp(s->jobs[i].holder, worker_id(s->workers[k])))
				return s->workers[k];
	return s->workers[0];
}

static void heal(void *arg)
{
	struct sim *s = arg;
	sim_trace(s, "sim     no more faults from here on");
	s->healed = true;
	timer_stop(&s->fault);
	faults_end(s);
	s->spike_until_ms = 0;
	if (s->profile.leaver)
		worker_leave(pick_leaver(s));
	for (unsigned i = 0; i < s->profile.workers; i++)
		worker_heal(s->workers[i]);
	if (!studio_up(s->studio))
		studio_start(s->studio);
	timer_start(&s->converge, &s->clock, CONVERGE_MS, must_have_converged, s);
}

/* ---- one event ---- */

/* As clock_run(), but one timer only, so that there is a "between" two events. */
static bool fire_next(struct sim *s)
{
	uint64_t ms = clock_next(&s->clock);
	if (ms == UINT64_MAX)
		return false;
	clock_set(&s->clock, s->clock.mono_ms + ms, s->clock.wall_ms + (int64_t)ms);
	struct timer *t = s->clock.heap[0];
	timer_stop(t);
	s->step++;
	t->fn(t->arg);
	return true;
}

static void after_event(struct sim *s)
{
	check_storage(s);
	for (unsigned i = 0; i < s->profile.workers; i++) {
		worker_bury(s->workers[i]);
		if (s->settled && !worker_gone(s->workers[i]) && !worker_serving(s->workers[i]))
			sim_violation(s, "converge", "%s lost its session without a fault",
				      worker_id(s->workers[i]));
	}
	faults_after_event(s);
}

static void complain_of_rest(struct sim *s)
{
	for (unsigned i = 0; i < s->profile.jobs; i++)
		if (s->jobs[i].state < 3)
			sim_violation(s, "converge", "job %u is in state %d, held by %s, for ever",
				      i, s->jobs[i].state,
				      s->jobs[i].holder ? s->jobs[i].holder : "nobody");
	for (unsigned i = 0; i < s->profile.workers; i++)
		if (worker_outbox(s->workers[i]))
			sim_violation(s, "converge", "%s keeps %zu results for ever",
				      worker_id(s->workers[i]), worker_outbox(s->workers[i]));
	sim_violation(s, "converge", "it does not come to rest");
}

void sim_run(struct sim *s)
{
	uint64_t limit = s->profile.quiet_ms + LIMIT_MS;
	while (!s->failed) {
		if (!fire_next(s) || s->clock.mono_ms > limit || s->step > MAX_STEPS)
			complain_of_rest(s);
		after_event(s);
		if (s->step % 16 == 0 && check_over(s))
			break;
	}
	if (!s->failed)
		check_end(s);
}

/* ---- life ---- */

struct sim *sim_new(uint64_t seed, const char *tmp, bool echo)
{
	struct sim *s = xcalloc(1, sizeof *s);
	s->seed = seed;
	s->echo = echo;
	s->hash = UINT64_C(0xcbf29ce484222325);
	s->root = xasprintf("%s/%llu", tmp, (unsigned long long)seed);
	rng_init_seeded(&s->rng, seed);
	faults_profile(s);
	clock_init(&s->clock);
	clock_set(&s->clock, 0, EPOCH_MS);
	fake_net_init(&s->net, &s->clock);
	s->net.delay = hop;
	s->net.delay_arg = s;
	s->net.tap = check_tap;
	s->net.tap_arg = s;
	s->studio = studio_new(s);
	for (unsigned i = 0; i < s->profile.workers; i++)
		s->workers[i] = worker_new(s, i);
	for (unsigned i = 0; i < s->profile.workers; i++)
		worker_start(s->workers[i]);
	plan_jobs(s);
	faults_start(s);
	timer_start(&s->quiet, &s->clock, s->profile.quiet_ms, heal, s);
	return s;
}

void sim_free(struct sim *s)
{
	faults_end(s);
	studio_crash(s->studio, 0); /* its ends of the sockets are not there any more after this */
	for (unsigned i = 0; i < s->profile.workers; i++)
		worker_free(s->workers[i]);
	studio_free(s->studio);
	fake_net_fini(&s->net);
	clock_fini(&s->clock);
	for (unsigned i = 0; i < s->profile.jobs; i++) {
		free(s->jobs[i].id);
		free(s->jobs[i].holder);
	}
	fs_remove_tree(s->root, NULL);
	free(s->root);
	free(s);
}
