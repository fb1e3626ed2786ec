/* test_intake.c - results that arrive by HTTP: checks, order of durability, repetition.
 * SPDX-License-Identifier: MIT */

#include "lib/fs/fs.h"
#include "studio/hub/intake.h"
#include "studio/hub/sweep.h"
#include "tests/fake/fake_pool.h"
#include "tests/unit/hub/studio_fixture.h"

static struct {
	char dir[64];
	struct fake_pool pool;
	struct blob_store *blobs;
	struct intake_deps d;
	struct worker w;
	char *job;
	int checked, answer; /* statuses; -1: not yet */
} t;

static int set_up(void **state)
{
	struct err e = ERR_INIT;
	studio_set_up(state);
	struct studio *s = *state;
	strcpy(t.dir, "/tmp/test-intake-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	fake_pool_init(&t.pool, &s->clock);
	t.blobs = blob_folder_open(&t.pool.pool, &s->log, t.dir, &e);
	assert_non_null(t.blobs);
	t.d = (struct intake_deps){s->queue, s->storage, t.blobs, s->hub, &s->log, &s->rng, 1000};
	admit(s, "wk-1");
	admit(s, "wk-2");
	join_with(s, &t.w, "wk-1", FEATURES_ALL);
	beat(&t.w);
	t.job = job_submit(s, "image", "synthetic");
	say(&t.w, frame_accept(t.job));
	return 0;
}

static int tear_down(void **state)
{
	struct studio *s = *state;
	run(s);
	t.blobs->ops->close(t.blobs);
	fake_pool_fini(&t.pool);
	free(t.job);
	studio_tear_down(state);
	drop_frames(&t.w);
	fs_fault = NULL;
	return fs_remove_tree(t.dir, NULL);
}

static void on_checked(void *arg, int status, const char *code, const char *text)
{
	(void)arg;
	assert_true(status == 0 || (code && text));
	t.checked = status;
}

static void on_answer(void *arg, int status, const char *code, const char *text)
{
	(void)arg;
	assert_true(status == 200 || (code && text));
	t.answer = status;
}

static const struct intake_events events = {on_checked, on_answer};

static struct intake *begin(struct studio *s, const char *worker, const char *job,
			    const char *token)
{
	struct secret sec = {0};
	t.checked = t.answer = -1;
	secret_set(&sec, token);
	struct intake *i = intake_begin(&t.d, worker, job, &sec, &events, NULL);
	secret_clear(&sec);
	assert_int_equal(t.checked, -1);
	pass(s, 2 * s->delay);
	return i;
}

static void field(struct intake *i, const char *name, const char *value)
{
	assert_int_equal(intake_field(i, name, value, strlen(value), NULL), 0);
}

static int upload(struct studio *s, const char *worker, const char *bytes)
{
	struct intake *i = begin(s, worker, t.job, TOKEN);
	if (t.checked != 0)
		return t.checked;
	field(i, "prompt", "a cat");
	field(i, "ext", "webp");
	field(i, "other", "ignored");
	assert_int_equal(intake_data(i, bytes, strlen(bytes), NULL), 0);
	intake_finish(i);
	run(s);
	return t.answer;
}

static size_t files(void)
{
	char **names;
	size_t n;
	assert_int_equal(fs_list(t.dir, &names, &n, NULL), 0);
	fs_list_free(names, n);
	return n;
}

static void test_upload_ends_the_job(void **state)
{
	struct studio *s = *state;
	char *data;
	size_t len;
	assert_int_equal(upload(s, "wk-1", "the bytes"), 200);
	const struct job_record *j = job_now(s, t.job);
	assert_int_equal(j->state, JOB_DONE);
	assert_int_equal(j->bytes, 9);
	assert_string_equal(j->ext, "webp");
	assert_string_equal(j->prompt, "a cat");
	auto_free char *path = t.blobs->ops->path(t.blobs, j->blob, NULL);
	assert_int_equal(fs_read(path, 100, &data, &len, NULL), 0);
	assert_string_equal(data, "the bytes");
	free(data);
	assert_string_equal(next(&t.w, SF_COMPLETE_ACK)->job_id, t.job);
}

static void test_same_again_is_fine(void **state)
{
	struct studio *s = *state;
	assert_int_equal(upload(s, "wk-1", "the bytes"), 200);
	assert_int_equal(upload(s, "wk-1", "the bytes"), 200);
	assert_int_equal(upload(s, "wk-1", "other bytes"), 409);
	assert_int_equal(upload(s, "wk-2", "the bytes"), 409);
	assert_int_equal(files(), 1);
}

/* Sockets and uploads overtake each other. */
static void test_upload_before_its_accept(void **state)
{
	struct studio *s = *state;
	static struct worker second;
	join_with(s, &second, "wk-2", FEATURES_ALL);
	beat(&second);
	free(t.job);
	t.job = job_submit(s, "image", "synthetic");
	assert_string_equal(offered(&second), t.job);
	assert_int_equal(upload(s, "wk-2", "the bytes"), 503);
	assert_int_equal(job_now(s, t.job)->state, JOB_OFFERED);
	say(&second, frame_accept(t.job));
	run(s);
	assert_int_equal(upload(s, "wk-2", "the bytes"), 200);
	drop_frames(&second);
}

static void test_refusals(void **state)
{
	struct studio *s = *state;
	begin(s, "wk-1", t.job, "wrong");
	assert_int_equal(t.checked, 401);
	begin(s, "wk-none", t.job, TOKEN);
	assert_int_equal(t.checked, 401);
	begin(s, "wk-1", "job-none", TOKEN);
	assert_int_equal(t.checked, 404);
	begin(s, "wk-2", t.job, TOKEN);
	assert_int_equal(t.checked, 409);
	queue_cancel(s->queue, t.job, job_got, s);
	run(s);
	begin(s, "wk-1", t.job, TOKEN);
	assert_int_equal(t.checked, 410);
	assert_int_equal(files(), 0);
}

static void test_json_kinds_do_not_upload(void **state)
{
	struct studio *s = *state;
	auto_free char *job = job_submit(s, "llm", "synthetic");
	begin(s, "wk-1", job, TOKEN);
	assert_int_equal(t.checked, 400);
}

static void test_bad_parts(void **state)
{
	struct studio *s = *state;
	static const char *const exts[] = {"", "../x", "WEBP", "a.b", "123456789", "we\nbp"};
	struct intake *i = begin(s, "wk-1", t.job, TOKEN);
	char big[1001] = {0};
	struct err e = ERR_INIT;
	for (size_t k = 0; k < ARRAY_LEN(exts); k++)
		assert_int_equal(intake_field(i, "ext", exts[k], strlen(exts[k]), &e), -EINVAL);
	assert_int_equal(intake_field(i, "prompt", "a\0b", 3, &e), -EINVAL);
	assert_int_equal(intake_data(i, big, 1000, &e), 0);
	assert_int_equal(intake_data(i, big, 1, &e), -EFBIG);
	intake_finish(i); /* no ext */
	assert_int_equal(t.answer, 400);
	i = begin(s, "wk-1", t.job, TOKEN);
	field(i, "ext", "png");
	intake_finish(i); /* no file */
	assert_int_equal(t.answer, 400);
	run(s);
	assert_int_equal(files(), 0);
	assert_int_equal(job_now(s, t.job)->state, JOB_CLAIMED);
}

static void test_client_leaves(void **state)
{
	struct studio *s = *state;
	struct secret sec = {0};
	struct intake *i = begin(s, "wk-1", t.job, TOKEN);
	assert_int_equal(intake_data(i, "half", 4, NULL), 0);
	intake_abort(i);
	assert_int_equal(files(), 0);
	secret_set(&sec, TOKEN);
	i = intake_begin(&t.d, "wk-1", t.job, &sec, &events, NULL);
	t.checked = -1;
	intake_abort(i); /* before the checks are through */
	run(s);
	assert_int_equal(t.checked, -1);
	intake_abort(NULL);
	i = begin(s, "wk-1", t.job, TOKEN);
	field(i, "ext", "png");
	assert_int_equal(intake_data(i, "whole", 5, NULL), 0);
	intake_finish(i);
	intake_abort(i); /* after the end: the result counts, nobody is told */
	run(s);
	assert_int_equal(t.answer, -1);
	assert_int_equal(job_now(s, t.job)->state, JOB_DONE);
	secret_clear(&sec);
}

/* The claim goes to somebody else while the bytes come in. */
static void test_claim_lost_meanwhile(void **state)
{
	struct studio *s = *state;
	struct intake *i = begin(s, "wk-1", t.job, TOKEN);
	field(i, "ext", "png");
	assert_int_equal(intake_data(i, "x", 1, NULL), 0);
	static struct worker second;
	cut_line(&t.w);
	join_with(s, &second, "wk-2", FEATURES_ALL);
	beat(&second);
	queue_release(s->queue, t.job, "wk-1", "test", job_got, s);
	run(s);
	assert_string_equal(job_now(s, t.job)->worker_id, "wk-2");
	intake_finish(i);
	run(s);
	assert_int_equal(t.answer, 409);
	assert_int_equal(files(), 0);
	drop_frames(&second);
}

/* Bytes that come in keep the claim, however long they take; silence does not. */
static void test_slow_upload_keeps_its_claim(void **state)
{
	struct studio *s = *state;
	cut_line(&t.w);
	join_with(s, &t.w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{t.job, true}};
	say(&t.w, frame_resume(jobs, 1));
	struct intake *i = begin(s, "wk-1", t.job, TOKEN);
	field(i, "ext", "png");
	for (int k = 0; k < 100; k++) {
		struct capabilities *c = able();
		c->auto_enabled = false;
		beat_with(&t.w, c, NULL);
		drop_frames(&t.w);
		if (k < 60)
			assert_int_equal(intake_data(i, "x", 1, NULL), 0);
		if (k == 80)
			assert_int_equal(job_now(s, t.job)->state, JOB_CLAIMED);
		pass(s, 25000);
	}
	assert_int_equal(job_now(s, t.job)->state, JOB_QUEUED);
	intake_finish(i);
	run(s);
	assert_int_equal(t.answer, 409);
}

static int full_disk(const char *step, const char *path)
{
	(void)path;
	return strcmp(step, "fsync") == 0 ? ENOSPC : 0;
}

static void test_full_disk(void **state)
{
	struct studio *s = *state;
	fs_fault = full_disk;
	assert_int_equal(upload(s, "wk-1", "bytes"), 507);
	assert_int_equal(job_now(s, t.job)->state, JOB_CLAIMED);
	assert_int_equal(files(), 0);
	fs_fault = NULL;
	assert_int_equal(upload(s, "wk-1", "bytes"), 200);
}

static void test_hub_freed_under_uploads(void **state)
{
	struct studio *s = *state;
	struct intake *i = begin(s, "wk-1", t.job, TOKEN);
	assert_int_equal(intake_data(i, "half", 4, NULL), 0);
	struct secret sec = {0};
	secret_set(&sec, TOKEN);
	intake_begin(&t.d, "wk-1", t.job, &sec, &events, NULL);
	secret_clear(&sec);
	studio_close(s);
	assert_int_equal(files(), 0);
	drop_frames(&t.w);
	studio_open(s);
}

static void test_sweep(void **state)
{
	struct studio *s = *state;
	assert_int_equal(upload(s, "wk-1", "bytes"), 200);
	auto_free char *orphan = fs_join(t.dir, "0123-orphan.png");
	assert_int_equal(fs_write_atomic(orphan, "x", 1, 0600, NULL), 0);
	struct sweep *sw = sweep_start(&s->clock, &s->log, s->storage, t.blobs);
	run(s);
	assert_int_equal(files(), 2);
	pass(s, 600000);
	assert_int_equal(files(), 1);
	assert_false(fs_exists(orphan));
	sweep_free(sw);
}

#define INTAKE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    INTAKE(test_upload_ends_the_job),
	    INTAKE(test_same_again_is_fine),
	    INTAKE(test_upload_before_its_accept),
	    INTAKE(test_refusals),
	    INTAKE(test_json_kinds_do_not_upload),
	    INTAKE(test_bad_parts),
	    INTAKE(test_client_leaves),
	    INTAKE(test_claim_lost_meanwhile),
	    INTAKE(test_slow_upload_keeps_its_claim),
	    INTAKE(test_full_disk),
	    INTAKE(test_hub_freed_under_uploads),
	    INTAKE(test_sweep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
