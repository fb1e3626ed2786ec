/* Clock and timers: order, restarts, stops from within, random schedules.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"

struct log_of_fires {
	int ids[64];
	size_t n;
};

struct probe {
	struct timer timer;
	struct log_of_fires *log;
	int id;
	struct clock *clock;
	struct timer *stop; /* stopped when this fires */
	int again;	    /* restarts itself with 0 ms that often */
};

static void fire(void *arg)
{
	struct probe *p = arg;
	assert_false(timer_running(&p->timer));
	p->log->ids[p->log->n++] = p->id;
	if (p->stop)
		timer_stop(p->stop);
	if (p->again-- > 0)
		timer_start(&p->timer, p->clock, 0, fire, p);
}

static void test_order(void **state)
{
	(void)state;
	struct clock c;
	clock_init(&c);
	struct log_of_fires log = {.n = 0};
	struct probe p[5];
	const uint64_t ms[] = {30, 10, 20, 10, 0};
	for (int i = 0; i < 5; i++) {
		p[i] = (struct probe){.log = &log, .id = i, .clock = &c};
		timer_start(&p[i].timer, &c, ms[i], fire, &p[i]);
		assert_true(timer_running(&p[i].timer));
	}
	assert_int_equal(clock_next(&c), 0);
	assert_int_equal(clock_run(&c), 1);
	assert_int_equal(clock_next(&c), 10);
	clock_set(&c, 9, 0);
	assert_int_equal(clock_run(&c), 0);
	assert_int_equal(clock_next(&c), 1);
	clock_set(&c, 50, 0);
	assert_int_equal(clock_next(&c), 0);
	assert_int_equal(clock_run(&c), 4);
	const int want[] = {4, 1, 3, 2, 0};
	assert_memory_equal(log.ids, want, sizeof want);
	assert_int_equal(clock_next(&c), UINT64_MAX);
	clock_fini(&c);
}

static void test_zero_waits_for_the_next_run(void **state)
{
	(void)state;
	struct clock c;
	clock_init(&c);
	struct log_of_fires log = {.n = 0};
	struct probe p = {.log = &log, .clock = &c, .again = 2};
	timer_start(&p.timer, &c, 0, fire, &p);
	assert_int_equal(log.n, 0);
	assert_int_equal(clock_run(&c), 1);
	assert_int_equal(clock_run(&c), 1);
	assert_int_equal(clock_run(&c), 1);
	assert_int_equal(clock_run(&c), 0);
	clock_fini(&c);
}

static void test_stop_from_within(void **state)
{
	(void)state;
	struct clock c;
	clock_init(&c);
	struct log_of_fires log = {.n = 0};
	struct probe a = {.log = &log, .id = 1}, b = {.log = &log, .id = 2};
	a.stop = &b.timer;
	timer_start(&a.timer, &c, 5, fire, &a);
	timer_start(&b.timer, &c, 5, fire, &b);
	clock_set(&c, 5, 0);
	assert_int_equal(clock_run(&c), 1);
	assert_false(timer_running(&b.timer));
	timer_stop(&b.timer);
	clock_fini(&c);
}

static void test_restart_moves(void **state)
{
	(void)state;
	struct clock c;
	clock_init(&c);
	struct log_of_fires log = {.n = 0};
	struct probe p = {.log = &log};
	timer_start(&p.timer, &c, 5, fire, &p);
	timer_start(&p.timer, &c, 50, fire, &p);
	clock_set(&c, 49, 0);
	assert_int_equal(clock_run(&c), 0);
	clock_set(&c, 50, 0);
	assert_int_equal(clock_run(&c), 1);
	clock_fini(&c);
}

static void test_fini_stops(void **state)
{
	(void)state;
	struct clock c;
	clock_init(&c);
	struct log_of_fires log = {.n = 0};
	struct probe p = {.log = &log};
	timer_start(&p.timer, &c, 5, fire, &p);
	clock_fini(&c);
	assert_false(timer_running(&p.timer));
	timer_stop(&p.timer);
}

static void test_wall_may_jump(void **state)
{
	(void)state;
	struct clock c;
	clock_init(&c);
	clock_set(&c, 10, 1000);
	clock_set(&c, 20, -5);
	assert_int_equal(clock_now(&c), 20);
	assert_int_equal(clock_wall(&c), -5);
	clock_fini(&c);
}

static void read_fixed(void *arg, uint64_t *mono, int64_t *wall)
{
	*mono = *(uint64_t *)arg;
	*wall = 7;
}

static void test_read_hook(void **state)
{
	(void)state;
	struct clock c;
	clock_init(&c);
	uint64_t now = 100;
	c.read = read_fixed;
	c.read_arg = &now;
	struct log_of_fires log = {.n = 0};
	struct probe p = {.log = &log};
	timer_start(&p.timer, &c, 10, fire, &p);
	now = 105;
	assert_int_equal(clock_next(&c), 5);
	now = 110;
	assert_int_equal(clock_run(&c), 1);
	assert_int_equal(clock_wall(&c), 7);
	clock_fini(&c);
}

/* Against a plain array: random starts, restarts and stops fire what is due, ordered. */
#define N 200

struct model {
	struct timer timer;
	bool running;
	uint64_t due, seq;
};

struct model_run {
	struct model m[N];
	uint64_t last_due, last_seq;
};

static struct model_run *run_now;

static void model_fire(void *arg)
{
	struct model *m = arg;
	assert_true(m->running);
	assert_true(m->due > run_now->last_due ||
		    (m->due == run_now->last_due && m->seq >= run_now->last_seq));
	run_now->last_due = m->due;
	run_now->last_seq = m->seq;
	m->running = false;
}

static void step(struct clock *c, struct rng *r, struct model *m, uint64_t *seq)
{
	if (rng_below(r, 4) == 0) {
		timer_stop(&m->timer);
		m->running = false;
		return;
	}
	uint64_t ms = rng_below(r, 50);
	timer_start(&m->timer, c, ms, model_fire, m);
	m->running = true;
	m->due = clock_now(c) + ms;
	m->seq = (*seq)++;
}

static void test_random_schedule(void **state)
{
	(void)state;
	struct clock c;
	struct rng r;
	struct model_run run = {0};
	run_now = &run;
	uint64_t seq = 1;
	clock_init(&c);
	rng_init_seeded(&r, 1);
	for (int turn = 0; turn < 2000; turn++) {
		for (int i = 0; i < 20; i++)
			step(&c, &r, &run.m[rng_below(&r, N)], &seq);
		clock_set(&c, clock_now(&c) + rng_below(&r, 10), 0);
		run.last_due = run.last_seq = 0;
		clock_run(&c);
		for (int i = 0; i < N; i++) {
			assert_int_equal(run.m[i].running, timer_running(&run.m[i].timer));
			assert_false(run.m[i].running && run.m[i].due <= clock_now(&c));
		}
	}
	clock_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_zero_waits_for_the_next_run),
	    cmocka_unit_test(test_stop_from_within),
	    cmocka_unit_test(test_restart_moves),
	    cmocka_unit_test(test_fini_stops),
	    cmocka_unit_test(test_wall_may_jump),
	    cmocka_unit_test(test_read_hook),
	    cmocka_unit_test(test_random_schedule),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
