/* test_history.c - what `status` knows: kept from events, saved, loaded again.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/observe/history.h"

struct fixture {
	struct clock clock;
	struct pool pool;
	struct events events;
	struct history *history;
	char dir[64];
	struct work *pending;
};

static void submit(struct pool *p, struct work *w)
{
	struct fixture *f = container_of(p, struct fixture, pool);
	assert_null(f->pending);
	f->pending = w;
}

static void finish_work(struct fixture *f)
{
	struct work *w = steal(&f->pending);
	assert_non_null(w);
	w->run(w);
	w->after(w);
}

static void advance(struct fixture *f, uint64_t ms)
{
	clock_set(&f->clock, f->clock.mono_ms + ms, f->clock.wall_ms + (int64_t)ms);
	clock_run(&f->clock);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	clock_init(&f->clock);
	clock_set(&f->clock, 1, 1779710400000);
	events_init(&f->events);
	f->pool.submit = submit;
	strcpy(f->dir, "/tmp/test-history-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->history = history_new(&f->clock, &f->pool, &f->events, f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	history_free(f->history);
	clock_fini(&f->clock);
	fs_remove_tree(f->dir, NULL);
	free(f);
	return 0;
}

static void job(struct fixture *f, const char *id, const char *to, const char *detail)
{
	struct event e = {.type = EVENT_JOB,
			  .wall_ms = f->clock.wall_ms,
			  .job_id = id,
			  .state = to,
			  .model = "synthetic-llm",
			  .engine = "synthetic",
			  .kind = "llm",
			  .detail = detail};
	events_publish(&f->events, &e);
}

static const char *text_at(json_t *root, const char *a, const char *b)
{
	return json_string_value(json_object_get(json_object_get(root, a), b));
}

static void keeps_the_live_state(void **state)
{
	struct fixture *f = *state;
	events_publish(&f->events,
		       &(struct event){.type = EVENT_SESSION, .state = "serving", .detail = "w-1"});
	events_publish(&f->events,
		       &(struct event){.type = EVENT_HEARTBEAT, .wall_ms = 1779710405000});
	events_publish(&f->events, &(struct event){.type = EVENT_PAUSED, .flag = true});
	events_publish(&f->events, &(struct event){.type = EVENT_OUTBOX, .count = 3});
	events_publish(&f->events,
		       &(struct event){.type = EVENT_REGISTRATION, .state = "approved"});
	json_t *s = history_status(f->history);
	assert_string_equal(text_at(s, "session", "state"), "serving");
	assert_string_equal(text_at(s, "session", "since"), "2026-05-25T12:00:00.000Z");
	assert_string_equal(text_at(s, "session", "lastHeartbeat"), "2026-05-25T12:00:05.000Z");
	assert_string_equal(text_at(s, "registration", "state"), "approved");
	assert_true(json_is_true(json_object_get(s, "paused")));
	assert_int_equal(json_integer_value(json_object_get(s, "outbox")), 3);
	assert_true(json_is_null(json_object_get(s, "currentJob")));
	json_decref(s);
}

static const char *error_of(json_t *root, const char *of, const char *key)
{
	return text_at(json_object_get(root, of), "lastError", key);
}

static void session(struct fixture *f, const char *to, const char *failure)
{
	struct event e = {.type = EVENT_SESSION,
			  .wall_ms = f->clock.wall_ms,
			  .state = to,
			  .detail = failure,
			  .flag = failure != NULL,
			  .remedy = failure ? "wait" : NULL};
	events_publish(&f->events, &e);
}

static void tells_the_last_failure_until_it_works(void **state)
{
	struct fixture *f = *state;
	session(f, "backing_off", "connect failed: no such host");
	session(f, "waiting", NULL);
	history_free(f->history);
	f->history = history_new(&f->clock, &f->pool, &f->events, f->dir);
	json_t *s = history_status(f->history);
	assert_string_equal(error_of(s, "session", "text"), "connect failed: no such host");
	assert_string_equal(error_of(s, "session", "remedy"), "wait");
	assert_string_equal(error_of(s, "session", "at"), "2026-05-25T12:00:00.000Z");
	json_decref(s);
	session(f, "serving", NULL);
	s = history_status(f->history);
	assert_null(json_object_get(json_object_get(s, "session"), "lastError"));
	json_decref(s);
}

static void a_failed_question_keeps_the_registration(void **state)
{
	struct fixture *f = *state;
	struct event e = {.type = EVENT_REGISTRATION, .state = "pending", .detail = "rr-1"};
	events_publish(&f->events, &e);
	struct event bad = {.type = EVENT_REGISTRATION,
			    .state = "pending",
			    .detail = "asking failed: 500",
			    .flag = true};
	events_publish(&f->events, &bad);
	json_t *s = history_status(f->history);
	assert_string_equal(text_at(s, "registration", "detail"), "rr-1");
	assert_string_equal(error_of(s, "registration", "text"), "asking failed: 500");
	json_decref(s);
	events_publish(&f->events, &e);
	s = history_status(f->history);
	assert_null(json_object_get(json_object_get(s, "registration"), "lastError"));
	json_decref(s);
}

static void what_waits_in_the_outbox_does_not_run(void **state)
{
	struct fixture *f = *state;
	job(f, "j-1", "running", NULL);
	job(f, "j-1", "finished", NULL);
	json_t *s = history_status(f->history);
	assert_true(json_is_null(json_object_get(s, "currentJob")));
	json_decref(s);
	job(f, "j-1", "delivering", NULL);
	s = history_status(f->history);
	assert_true(json_is_null(json_object_get(s, "currentJob")));
	json_decref(s);
}

static void follows_the_current_job(void **state)
{
	struct fixture *f = *state;
	job(f, "j-1", "running", NULL);
	events_publish(&f->events, &(struct event){.type = EVENT_PROGRESS,
						   .job_id = "j-1",
						   .stage = STAGE_RUNNING,
						   .fraction = 0.5});
	json_t *s = history_status(f->history);
	assert_string_equal(text_at(s, "currentJob", "jobId"), "j-1");
	assert_string_equal(text_at(s, "currentJob", "stage"), "running");
	json_decref(s);
	job(f, "j-1", "failed", "no such voice");
	s = history_status(f->history);
	assert_true(json_is_null(json_object_get(s, "currentJob")));
	json_t *r = json_array_get(json_object_get(s, "jobs"), 0);
	assert_string_equal(json_string_value(json_object_get(r, "error")), "no such voice");
	json_decref(s);
}

static void keeps_fifty_and_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 60; i++) {
		char id[16];
		snprintf(id, sizeof id, "j-%d", i);
		job(f, id, i == 59 ? "running" : "delivered", NULL);
	}
	history_free(f->history);
	f->history = history_new(&f->clock, &f->pool, &f->events, f->dir);
	json_t *s = history_status(f->history);
	json_t *jobs = json_object_get(s, "jobs");
	assert_int_equal(json_array_size(jobs), 50);
	json_t *last = json_array_get(jobs, 49);
	assert_string_equal(json_string_value(json_object_get(last, "jobId")), "j-59");
	assert_string_equal(json_string_value(json_object_get(last, "state")), "interrupted");
	assert_true(json_is_null(json_object_get(s, "currentJob")));
	json_decref(s);
}

static void saves_at_most_once_a_second(void **state)
{
	struct fixture *f = *state;
	auto_free char *path = fs_join(f->dir, "history.json");
	job(f, "j-1", "running", NULL);
	job(f, "j-1", "delivered", NULL);
	assert_null(f->pending);
	advance(f, 1000);
	assert_non_null(f->pending);
	job(f, "j-2", "running", NULL);
	finish_work(f);
	assert_true(fs_exists(path));
	advance(f, 999);
	assert_null(f->pending);
	advance(f, 1);
	finish_work(f);
}

static void freed_while_a_save_is_under_way(void **state)
{
	struct fixture *f = *state;
	job(f, "j-1", "running", NULL);
	advance(f, 1000);
	history_free(f->history);
	finish_work(f);
	f->history = history_new(&f->clock, &f->pool, &f->events, f->dir);
}

static void a_broken_file_is_no_history(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	auto_free char *path = fs_join(f->dir, "history.json");
	const char *broken[] = {"", "{", "[]", "{\"jobs\":[1,{\"jobId\":3},null]}",
				"{\"jobs\":{}}"};
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		history_free(f->history);
		assert_int_equal(fs_write_atomic(path, broken[i], strlen(broken[i]), 0600, &e), 0);
		f->history = history_new(&f->clock, &f->pool, &f->events, f->dir);
		json_t *s = history_status(f->history);
		assert_int_equal(json_array_size(json_object_get(s, "jobs")), 0);
		json_decref(s);
	}
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(keeps_the_live_state),
	    T(tells_the_last_failure_until_it_works),
	    T(a_failed_question_keeps_the_registration),
	    T(follows_the_current_job),
	    T(what_waits_in_the_outbox_does_not_run),
	    T(keeps_fifty_and_survives_a_restart),
	    T(saves_at_most_once_a_second),
	    T(freed_while_a_save_is_under_way),
	    T(a_broken_file_is_no_history),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
