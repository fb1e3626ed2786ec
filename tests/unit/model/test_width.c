/* test_width.c - how many streams, on links that are simulated.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "worker/model/meter.h"
#include "worker/model/width.h"

/* Runs for `ms` on a link where each stream gets `each` and all together at most `all` bytes a ms.
 * Returns the streams wanted at the end; *bytes (may be NULL): what arrived. */
static unsigned run(struct width *w, uint64_t ms, uint64_t each, uint64_t all, bool limited,
		    uint64_t *bytes)
{
	uint64_t got = 0;
	width_init(w, 0);
	for (uint64_t t = 50; t <= ms; t += 50) {
		uint64_t rate = w->want * each < all ? w->want * each : all;
		got += 50 * rate;
		width_tick(w, t, got, true, limited);
	}
	if (bytes)
		*bytes = got;
	return w->want;
}

static void as_many_as_help(void **state)
{
	struct width w;
	uint64_t bytes;
	(void)state;
	assert_int_equal(run(&w, 1500, 20000, 1000000, false, &bytes), 8);
	/* Of what eight from the start would bring in ten seconds. */
	run(&w, 10000, 20000, 1000000, false, &bytes);
	assert_true(bytes * 100 >= 8ull * 20000 * 10000 * 92);
}

static void one_where_more_do_not_help(void **state)
{
	struct width w;
	(void)state;
	assert_int_equal(run(&w, 2000, 50000, 50000, false, NULL), 1);
	assert_int_equal(run(&w, 1200, 400000, 800000, false, NULL), 1); /* fast enough */
	assert_int_equal(run(&w, 5000, 20000, 100000, true, NULL), 1);	 /* limited by us */
}

static void no_more_than_the_link_takes(void **state)
{
	struct width w;
	(void)state;
	unsigned n = run(&w, 2500, 20000, 45000, false, NULL);
	assert_true(n >= 2 && n <= 4);
}

static void fewer_after_a_refusal(void **state)
{
	struct width w;
	(void)state;
	run(&w, 1500, 20000, 1000000, false, NULL);
	width_failed(&w, 1500, 3);
	assert_int_equal(w.want, 3);
	width_tick(&w, 1600, 1, true, false);
	assert_int_equal(w.want, 3);
	width_failed(&w, 1700, 0);
	assert_int_equal(w.want, 1);
}

static void the_rate_of_the_last_seconds(void **state)
{
	struct meter m = {.n = 0};
	uint64_t bytes = 0;
	(void)state;
	assert_int_equal(meter_rate(&m), 0);
	for (uint64_t t = 0; t < 10000; t += 50)
		meter_feed(&m, t, bytes += 5000);
	assert_in_range(meter_rate(&m), 99000, 101000);
	for (uint64_t t = 10000; t < 20000; t += 50)
		meter_feed(&m, t, bytes);
	assert_int_equal(meter_rate(&m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(as_many_as_help),
	    cmocka_unit_test(one_where_more_do_not_help),
	    cmocka_unit_test(no_more_than_the_link_takes),
	    cmocka_unit_test(fewer_after_a_refusal),
	    cmocka_unit_test(the_rate_of_the_last_seconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
