/* test_ship.c - the queue of log lines: order, bound, restore.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/wire/frame.h"
#include "worker/observe/ship.h"

struct fixture {
	struct clock clock;
	struct log log;
	struct ship *ship;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	clock_init(&f->clock);
	clock_set(&f->clock, 1, 1779710400000);
	log_init(&f->log, &f->clock);
	f->ship = ship_new(&f->log);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	ship_free(f->ship);
	clock_fini(&f->clock);
	free(f);
	return 0;
}

static struct worker_frame *take(struct fixture *f)
{
	struct err e = ERR_INIT;
	struct worker_frame *frame = NULL;
	auto_free char *text = ship_take(f->ship);
	assert_non_null(text);
	assert_int_equal(worker_frame_decode(text, strlen(text), &frame, &e), 0);
	assert_int_equal(frame->type, WF_LOG_BATCH);
	return frame;
}

static void ships_info_and_above_with_job_id(void **state)
{
	struct fixture *f = *state;
	log_debug(&f->log, "ws", NULL, "not shipped");
	log_info(&f->log, "ws", NULL, "one");
	log_warn(&f->log, "job", "j-1", "two \xff\xc3");
	struct worker_frame *frame = take(f);
	assert_int_equal(frame->n_lines, 2);
	assert_string_equal(frame->lines[0].message, "one");
	assert_string_equal(frame->lines[0].level, "info");
	assert_string_equal(frame->lines[0].ts, "2026-05-25T12:00:00.000Z");
	assert_null(frame->lines[0].job_id);
	assert_string_equal(frame->lines[1].message, "two ??");
	assert_string_equal(frame->lines[1].job_id, "j-1");
	assert_string_equal(frame->lines[1].category, "job");
	worker_frame_free(frame);
	ship_confirm(f->ship);
	assert_int_equal(ship_len(f->ship), 0);
	assert_null(ship_take(f->ship));
}

static void one_batch_at_a_time(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 501; i++)
		log_info(&f->log, "ws", NULL, "line %d", i);
	struct worker_frame *frame = take(f);
	assert_int_equal(frame->n_lines, 500);
	worker_frame_free(frame);
	assert_null(ship_take(f->ship));
	assert_int_equal(ship_len(f->ship), 501);
	ship_confirm(f->ship);
	frame = take(f);
	assert_int_equal(frame->n_lines, 1);
	assert_string_equal(frame->lines[0].message, "line 500");
	worker_frame_free(frame);
}

static void restored_batch_goes_first(void **state)
{
	struct fixture *f = *state;
	log_info(&f->log, "ws", NULL, "a");
	log_info(&f->log, "ws", NULL, "b");
	worker_frame_free(take(f));
	log_info(&f->log, "ws", NULL, "c");
	ship_restore(f->ship);
	ship_restore(f->ship);
	struct worker_frame *frame = take(f);
	assert_int_equal(frame->n_lines, 3);
	assert_string_equal(frame->lines[0].message, "a");
	assert_string_equal(frame->lines[1].message, "b");
	assert_string_equal(frame->lines[2].message, "c");
	worker_frame_free(frame);
}

static void overflow_drops_the_oldest_and_says_so(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 6000; i++)
		log_info(&f->log, "ws", NULL, "line %d", i);
	assert_int_equal(ship_len(f->ship), 5000);
	struct worker_frame *frame = take(f);
	assert_string_equal(frame->lines[0].message,
			    "1001 log lines dropped: the queue to the studio was full");
	assert_string_equal(frame->lines[0].level, "warn");
	assert_string_equal(frame->lines[1].message, "line 1001");
	worker_frame_free(frame);
}

static void bound_holds_with_a_batch_in_flight(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 5000; i++)
		log_info(&f->log, "ws", NULL, "old %d", i);
	worker_frame_free(take(f));
	for (int i = 0; i < 5000; i++)
		log_info(&f->log, "ws", NULL, "new %d", i);
	assert_int_equal(ship_len(f->ship), 5000);
	ship_restore(f->ship);
	assert_true(ship_len(f->ship) <= 5000);
	size_t lines = 0;
	uint64_t dropped = 0;
	while (ship_len(f->ship)) {
		struct worker_frame *frame = take(f);
		for (size_t i = 0; i < frame->n_lines; i++) {
			unsigned long long n = 0;
			if (sscanf(frame->lines[i].message, "%llu log lines dropped", &n) == 1)
				dropped += n;
			else
				lines++;
		}
		worker_frame_free(frame);
		ship_confirm(f->ship);
	}
	assert_int_equal(lines + dropped, 10000);
}

static void long_lines_stay_below_the_frame_limit(void **state)
{
	struct fixture *f = *state;
	char *quotes = xcalloc(1, 8001);
	memset(quotes, '"', 8000);
	for (int i = 0; i < 500; i++)
		log_info(&f->log, "ws", NULL, "%s", quotes);
	free(quotes);
	auto_free char *text = ship_take(f->ship);
	assert_true(strlen(text) < FRAME_MAX_BYTES);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(ships_info_and_above_with_job_id),   T(one_batch_at_a_time),
	    T(restored_batch_goes_first),	   T(overflow_drops_the_oldest_and_says_so),
	    T(bound_holds_with_a_batch_in_flight), T(long_lines_stay_below_the_frame_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
