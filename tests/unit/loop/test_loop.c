/* The loop: timers from anywhere, the pool, signals, a clean end.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/loop/loop.h"

struct fixture {
	struct loop loop;
	struct timer a, b, limit;
	struct work work;
	int fired, worked;
	bool ran_elsewhere;
	uv_thread_t loop_thread;
	uint64_t last;
};

static void too_late(void *arg)
{
	(void)arg;
	fail_msg("the loop did not stop in time");
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	assert_int_equal(loop_init(&f->loop, NULL), 0);
	timer_start(&f->limit, &f->loop.clock, 10000, too_late, f);
	f->loop_thread = uv_thread_self();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	loop_fini(&f->loop);
	free(f);
	return 0;
}

static void stop(void *arg)
{
	struct fixture *f = arg;
	f->fired++;
	loop_stop(&f->loop);
}

static void test_timer_before_the_first_turn(void **state)
{
	struct fixture *f = *state;
	uint64_t begin = clock_now(&f->loop.clock);
	timer_start(&f->a, &f->loop.clock, 30, stop, f);
	loop_run(&f->loop);
	assert_int_equal(f->fired, 1);
	assert_in_range(clock_now(&f->loop.clock) - begin, 30, 5000);
	/* And again, with a loop that was stopped. */
	timer_start(&f->a, &f->loop.clock, 0, stop, f);
	loop_run(&f->loop);
	assert_int_equal(f->fired, 2);
}

static void chain(void *arg)
{
	struct fixture *f = arg;
	if (++f->fired == 100)
		loop_stop(&f->loop);
	else
		timer_start(&f->a, &f->loop.clock, f->fired % 3 ? 0 : 1, chain, f);
}

static void test_timer_from_a_timer(void **state)
{
	struct fixture *f = *state;
	timer_start(&f->a, &f->loop.clock, 0, chain, f);
	loop_run(&f->loop);
	assert_int_equal(f->fired, 100);
}

static void run_work(struct work *w)
{
	struct fixture *f = container_of(w, struct fixture, work);
	uv_thread_t self = uv_thread_self();
	f->ran_elsewhere = !uv_thread_equal(&self, &f->loop_thread);
	f->worked++;
}

static void after_work(struct work *w)
{
	struct fixture *f = container_of(w, struct fixture, work);
	uv_thread_t self = uv_thread_self();
	assert_true(uv_thread_equal(&self, &f->loop_thread));
	if (f->worked < 10)
		pool_submit(&f->loop.pool, w);
	else
		timer_start(&f->a, &f->loop.clock, 5, stop, f); /* from the poll phase */
}

static void test_pool(void **state)
{
	struct fixture *f = *state;
	f->work = (struct work){.run = run_work, .after = after_work};
	pool_submit(&f->loop.pool, &f->work);
	loop_run(&f->loop);
	assert_int_equal(f->worked, 10);
	assert_true(f->ran_elsewhere);
	assert_int_equal(f->fired, 1);
}

static void test_work_without_after_at_the_end(void **state)
{
	struct fixture *f = *state;
	f->work = (struct work){.run = run_work};
	pool_submit(&f->loop.pool, &f->work);
	/* teardown waits for it */
}

static void earlier(void *arg)
{
	struct fixture *f = arg;
	f->fired += 10;
	timer_stop(&f->b);
	timer_start(&f->a, &f->loop.clock, 1, stop, f);
}

static void count_work(struct work *w)
{
	container_of(w, struct fixture, work)->fired++;
}

static void test_settle_waits_for_the_pool(void **state)
{
	struct fixture *f = *state;
	f->work = (struct work){.run = run_work, .after = count_work};
	pool_submit(&f->loop.pool, &f->work);
	loop_settle(&f->loop);
	assert_int_equal(f->worked, 1);
	assert_int_equal(f->fired, 1);
	loop_settle(&f->loop);
}

static void test_earlier_timer_started_later(void **state)
{
	struct fixture *f = *state;
	timer_start(&f->b, &f->loop.clock, 5000, too_late, f);
	timer_start(&f->a, &f->loop.clock, 1, earlier, f);
	loop_run(&f->loop);
	assert_int_equal(f->fired, 11);
	assert_false(timer_running(&f->b));
}

static void raise_term(void *arg)
{
	(void)arg;
	kill(getpid(), SIGTERM);
}

static void test_stop_signals(void **state)
{
	struct fixture *f = *state;
	loop_on_stop(&f->loop, stop, f);
	timer_start(&f->a, &f->loop.clock, 0, raise_term, f);
	loop_run(&f->loop);
	assert_int_equal(f->fired, 1);
	kill(getpid(), SIGINT);
	loop_run(&f->loop);
	assert_int_equal(f->fired, 2);
}

static void test_sigpipe_is_ignored(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(write(fds[1], "x", 1), -1);
	close(fds[1]);
}

static void test_wall_clock(void **state)
{
	struct fixture *f = *state;
	int64_t now = (int64_t)time(NULL), got = clock_wall(&f->loop.clock) / 1000;
	assert_in_range(got - now + 2, 0, 4);
}

static void test_stop_without_run(void **state)
{
	struct fixture *f = *state;
	loop_stop(&f->loop); /* must not keep loop_fini from draining */
	f->work = (struct work){.run = run_work};
	pool_submit(&f->loop.pool, &f->work);
}

static void test_many_loops(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct loop l;
		assert_int_equal(loop_init(&l, NULL), 0);
		loop_fini(&l);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_timer_before_the_first_turn),
	    T(test_timer_from_a_timer),
	    T(test_pool),
	    T(test_settle_waits_for_the_pool),
	    T(test_work_without_after_at_the_end),
	    T(test_earlier_timer_started_later),
	    T(test_stop_signals),
	    T(test_sigpipe_is_ignored),
	    T(test_wall_clock),
	    T(test_stop_without_run),
	    T(test_many_loops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
