/* test_queue.c - every transition of a job, allowed or not, and the policy of attempts.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "studio/queue/queue.h"

struct fixture {
	struct clock clock;
	struct log log;
	struct rng rng;
	struct null_world *world;
	struct storage *storage;
	struct queue *q;
	int replies, published;
	struct err err;
	bool changed;
	struct job_record job;
};

static void published(void *arg, const struct job_record *job)
{
	struct fixture *f = arg;
	(void)job;
	f->published++;
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	clock_init(&f->clock);
	clock_set(&f->clock, 0, 1000);
	log_init(&f->log, &f->clock);
	rng_init_seeded(&f->rng, 1);
	f->world = null_world_new();
	f->storage = storage_null_open(f->world, &f->clock, NULL, NULL);
	struct queue_deps d = {&f->clock, &f->log, &f->rng, f->storage};
	f->q = queue_new(&d);
	queue_subscribe(f->q, published, f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	queue_free(f->q);
	f->storage->ops->close(f->storage);
	null_world_free(f->world);
	job_record_fini(&f->job);
	clock_fini(&f->clock);
	free(f);
	return 0;
}

static void got(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	struct fixture *f = arg;
	f->replies++;
	f->err = *err;
	f->changed = changed;
	job_record_fini(&f->job);
	if (job)
		job_record_copy(&f->job, job);
}

static bool settle(struct fixture *f)
{
	assert_int_equal(f->replies, 0);
	while (!f->replies)
		assert_true(clock_run(&f->clock) > 0);
	f->replies = 0;
	return f->changed;
}

static char *submit(struct fixture *f)
{
	struct job_record j = {
	    .kind = (char *)(uintptr_t) "llm",
	    .task = json_object(),
	    .source = json_object(),
	};
	queue_submit(f->q, &j, got, f);
	json_decref(j.task);
	json_decref(j.source);
	assert_true(settle(f));
	return xstrdup(f->job.id);
}

static bool reserve(struct fixture *f, const char *id, const char *worker)
{
	queue_reserve(f->q, id, worker, got, f);
	return settle(f);
}

static bool accept_it(struct fixture *f, const char *id, const char *worker)
{
	queue_accept(f->q, id, worker, true, got, f);
	return settle(f);
}

static bool fail_it(struct fixture *f, const char *id, const char *worker, bool retryable)
{
	queue_fail(f->q, id, worker, "it broke", retryable, got, f);
	return settle(f);
}

static bool complete(struct fixture *f, const char *id, const char *worker)
{
	json_t *result = json_pack("{s:i}", "n", 1);
	queue_complete_json(f->q, id, worker, result, "prompt", got, f);
	json_decref(result);
	return settle(f);
}

static bool release(struct fixture *f, const char *id, const char *worker)
{
	queue_release(f->q, id, worker, "test", got, f);
	return settle(f);
}

static void test_a_job_is_done(void **state)
{
	struct fixture *f = *state;
	auto_free char *id = submit(f);
	assert_int_equal(strncmp(id, "job-", 4), 0);
	assert_int_equal(f->job.created_ms, 1000);
	assert_true(reserve(f, id, "wk-a"));
	assert_false(reserve(f, id, "wk-b"));
	assert_false(complete(f, id, "wk-a")); /* not accepted yet */
	assert_false(accept_it(f, id, "wk-b"));
	assert_true(accept_it(f, id, "wk-a"));
	assert_int_equal(f->job.state, JOB_CLAIMED);
	assert_true(f->job.resumable);
	assert_int_equal(f->job.claimed_ms, 1000);
	assert_false(complete(f, id, "wk-b"));
	assert_true(complete(f, id, "wk-a"));
	assert_int_equal(f->job.state, JOB_DONE);
	assert_string_equal(f->job.worker_id, "wk-a");
	assert_string_equal(f->job.prompt, "prompt");
	assert_int_equal(json_integer_value(json_object_get(f->job.result, "n")), 1);
	assert_false(complete(f, id, "wk-a"));
	assert_false(fail_it(f, id, "wk-a", true));
	assert_false(release(f, id, "wk-a"));
	assert_int_equal(f->published, 4);
}

static void test_third_failure_is_the_last(void **state)
{
	struct fixture *f = *state;
	auto_free char *id = submit(f);
	for (int i = 1; i <= QUEUE_MAX_ATTEMPTS; i++) {
		assert_true(reserve(f, id, "wk-a"));
		assert_true(accept_it(f, id, "wk-a"));
		assert_true(fail_it(f, id, "wk-a", true));
		assert_int_equal(f->job.attempts, i);
		assert_null(f->job.worker_id);
		assert_int_equal(f->job.state, i < QUEUE_MAX_ATTEMPTS ? JOB_QUEUED : JOB_FAILED);
	}
	assert_string_equal(f->job.error, "it broke");
	assert_int_equal(f->job.finished_ms, 1000);
	queue_retry(f->q, id, got, f);
	assert_true(settle(f));
	assert_int_equal(f->job.attempts, 0);
	assert_null(f->job.error);
	assert_int_equal(f->job.finished_ms, 0);
	queue_retry(f->q, id, got, f);
	assert_false(settle(f));
}

static void test_failure_for_good(void **state)
{
	struct fixture *f = *state;
	auto_free char *id = submit(f);
	assert_true(reserve(f, id, "wk-a"));
	assert_true(accept_it(f, id, "wk-a"));
	assert_true(fail_it(f, id, "wk-a", false));
	assert_int_equal(f->job.state, JOB_FAILED);
}

static void test_release_costs_nothing(void **state)
{
	struct fixture *f = *state;
	auto_free char *id = submit(f);
	for (int i = 0; i < 5; i++) {
		assert_true(reserve(f, id, "wk-a"));
		assert_false(release(f, id, "wk-b"));
		if (i % 2)
			assert_true(accept_it(f, id, "wk-a"));
		assert_true(release(f, id, "wk-a"));
		assert_int_equal(f->job.state, JOB_QUEUED);
		assert_int_equal(f->job.attempts, 0);
		assert_null(f->job.worker_id);
	}
}

static void test_cancel_keeps_the_worker(void **state)
{
	struct fixture *f = *state;
	auto_free char *id = submit(f);
	assert_true(reserve(f, id, "wk-a"));
	assert_true(accept_it(f, id, "wk-a"));
	queue_cancel(f->q, id, got, f);
	assert_true(settle(f));
	assert_int_equal(f->job.state, JOB_FAILED);
	assert_string_equal(f->job.error, "cancelled");
	assert_string_equal(f->job.worker_id, "wk-a");
	assert_false(complete(f, id, "wk-a"));
	queue_cancel(f->q, id, got, f);
	assert_false(settle(f));
}

static void test_reclaim(void **state)
{
	struct fixture *f = *state;
	auto_free char *id = submit(f);
	queue_reclaim(f->q, id, "wk-a", true, got, f); /* it never had it */
	assert_false(settle(f));
	assert_int_equal(f->job.state, JOB_QUEUED);
	assert_true(reserve(f, id, "wk-a"));
	assert_true(accept_it(f, id, "wk-a"));
	queue_release(f->q, id, "wk-a", "test", got, f);
	assert_true(settle(f));
	queue_reclaim(f->q, id, "wk-b", true, got, f);
	assert_false(settle(f));
	queue_reclaim(f->q, id, "wk-a", true, got, f);
	assert_true(settle(f));
	assert_int_equal(f->job.state, JOB_CLAIMED);
	queue_reclaim(f->q, id, "wk-b", true, got, f);
	assert_false(settle(f));
	assert_string_equal(f->job.worker_id, "wk-a");
}

static void test_unknown_job(void **state)
{
	struct fixture *f = *state;
	assert_false(reserve(f, "job-none", "wk-a"));
	assert_int_equal(f->err.code, ENOENT);
	assert_int_equal(f->published, 0);
}

static void test_free_with_steps_under_way(void **state)
{
	struct fixture *f = *state;
	auto_free char *id = submit(f);
	queue_reserve(f->q, id, "wk-a", got, f); /* the answer never comes; nothing leaks */
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_a_job_is_done),
	    TEST(test_third_failure_is_the_last),
	    TEST(test_failure_for_good),
	    TEST(test_release_costs_nothing),
	    TEST(test_cancel_keeps_the_worker),
	    TEST(test_reclaim),
	    TEST(test_unknown_job),
	    TEST(test_free_with_steps_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
