/* test_offer.c - protocol section 7, point 1: what becomes of an offer; and point 4, failures.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/job/rig.h"

static void takes_an_offer(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_LLM);
	expect_frame(r, WF_ACCEPT, "j1");
	assert_string_equal(jobs_current(r->jobs), "j1");
	expect_log(r, "info offer received j1 game=g asset=a model=m vram=2.5\n");
	rig_finish(r);
	struct worker_frame *f = expect_frame(r, WF_COMPLETE_JSON, "j1");
	assert_string_equal(f->text, "hi");
	json_t *want = fake_result_json("j1", "hi");
	assert_true(json_equal(f->result, want));
	json_decref(want);
	expect_log(r, "info llm dispatched in ");
	expect_log(r, "info json result sent\n");
	assert_null(jobs_current(r->jobs));
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	jobs_complete_ack(r->jobs, "j1");
	expect_log(r, "info studio confirmed completion of job j1\n");
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	assert_int_equal(r->outbox, 0);
	assert_string_equal(r->states,
			    "j1:offered j1:accepted j1:provisioning j1:running j1:finished "
			    "j1:delivering j1:delivered ");
	assert_int_equal(folder_len(r, "scratch"), 0);
	assert_int_equal(r->uploads, 0);
	rig_free(r);
}

static void rejects_while_paused(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	jobs_pause(r->jobs, true);
	expect_log(r, "info claiming paused by operator; new offers are rejected until resumed\n");
	rig_offer(r, "j1", KIND_LLM);
	struct worker_frame *f = expect_frame(r, WF_REJECT, "j1");
	assert_string_equal(f->text, "worker paused by operator");
	assert_string_equal(f->code, "paused");
	expect_log(r, "info rejecting offer j1: worker is paused\n");
	assert_null(jobs_current(r->jobs));
	jobs_pause(r->jobs, false);
	expect_log(r, "info claiming resumed by operator; accepting new offers again\n");
	rig_offer(r, "j1", KIND_LLM);
	expect_frame(r, WF_ACCEPT, "j1");
	rig_free(r);
}

static void rejects_while_busy(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_LLM);
	rig_offer(r, "j2", KIND_LLM);
	struct worker_frame *f = expect_frame(r, WF_REJECT, "j2");
	assert_string_equal(f->text, "worker already has an in-flight job");
	assert_string_equal(f->code, "busy");
	expect_log(r, "info rejecting offer j2: worker is already busy\n");
	rig_finish(r);
	expect_frame(r, WF_COMPLETE_JSON, "j1");
	rig_free(r);
}

/* Paused while a job runs: the work in flight finishes. */
static void pause_lets_work_finish(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_LLM);
	jobs_pause(r->jobs, true);
	rig_finish(r);
	expect_frame(r, WF_COMPLETE_JSON, "j1");
	rig_free(r);
}

static void a_lost_accept_runs_nothing(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	r->refuse = true;
	rig_offer(r, "j1", KIND_LLM);
	expect_log(r, "error accept send failed for offer j1: the socket is gone\n");
	assert_int_equal(r->lab.starts, 0);
	assert_null(jobs_current(r->jobs));
	jobs_pause(r->jobs, true);
	rig_offer(r, "j2", KIND_LLM);
	expect_log(r, "error reject send failed for offer j2: the socket is gone\n");
	rig_free(r);
}

static void unknown_engine_fails_for_good(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer_as(r, "j1", task_of(KIND_LLM), "quantum");
	struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
	assert_int_equal(r->n_frames, 2);
	assert_int_equal(r->frames[0]->type, WF_ACCEPT);
	assert_false(f->retryable);
	assert_null(jobs_current(r->jobs));
	rig_offer_as(r, "j2", "{\"kind\":\"hologram\"}", "fake");
	f = expect_frame(r, WF_FAIL, "j2");
	assert_false(f->retryable);
	assert_non_null(strstr(f->text, "hologram"));
	assert_int_equal(r->lab.starts, 0);
	rig_free(r);
}

static void engine_failure_is_told(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_IMAGE);
	fake_run_fail(fake_lab_run(&r->lab, NULL), "out of memory", true);
	rig_settle(r);
	struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
	assert_true(f->retryable);
	assert_string_equal(f->text, "out of memory");
	expect_log(r, "error dispatch failed: out of memory\n");
	assert_null(jobs_current(r->jobs));
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	assert_int_equal(folder_len(r, "scratch"), 0);
	r->lab.refuse = "width must be a multiple of 8";
	rig_offer(r, "j2", KIND_IMAGE);
	f = expect_frame(r, WF_FAIL, "j2");
	assert_false(f->retryable);
	assert_int_equal(folder_len(r, "scratch"), 0);
	jobs_fail_ack(r->jobs, "j2");
	expect_log(r, "info studio confirmed failure of job j2\n");
	rig_free(r);
}

static void a_lost_fail_is_logged(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_IMAGE);
	r->refuse = true;
	fake_run_fail(fake_lab_run(&r->lab, NULL), "boom", true);
	rig_settle(r);
	expect_log(r, "error failed to notify studio of job j1 failure: the socket is gone\n");
	assert_null(jobs_current(r->jobs));
	rig_free(r);
}

static int no_space(const char *step, const char *path)
{
	return strcmp(step, "write") == 0 && strstr(path, "outbox") ? ENOSPC : 0;
}

static void full_disk_fails_the_job(void **state)
{
	(void)state;
	static const enum kind kinds[] = {KIND_IMAGE, KIND_LLM};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct rig *r = rig_new();
		rig_link(r, 0);
		rig_offer(r, "j1", kinds[i]);
		fs_fault = no_space;
		rig_finish(r);
		fs_fault = NULL;
		struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
		assert_true(f->retryable);
		assert_non_null(strstr(f->text, "No space left"));
		assert_int_equal(jobs_outbox_len(r->jobs), 0);
		assert_int_equal(folder_len(r, "scratch"), 0);
		rig_offer(r, "j2", kinds[i]);
		rig_finish(r);
		assert_int_equal(r->uploads, kinds[i] == KIND_IMAGE ? 1 : 0);
		rig_restart(r);
		assert_int_equal(jobs_outbox_len(r->jobs), kinds[i] == KIND_IMAGE ? 0 : 1);
		rig_free(r);
	}
}

static int read_only(const char *step, const char *path)
{
	(void)step;
	(void)path;
	return EROFS;
}

static void read_only_state_fails_the_job(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	jobs_free(r->jobs);
	assert_int_equal(fs_remove_tree(r->dir, NULL), 0);
	fs_fault = read_only;
	rig_open(r); /* the daemon lives */
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_IMAGE);
	fs_fault = NULL;
	struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
	assert_true(f->retryable);
	assert_non_null(strstr(f->text, "Read-only file system"));
	rig_free(r);
}

static void progress_is_limited(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, FEATURE_PROGRESS);
	rig_offer(r, "j1", KIND_IMAGE);
	for (int i = 0; i < 200; i++) {
		fake_run_progress(fake_lab_run(&r->lab, NULL), STAGE_RUNNING, i / 200.0, NULL);
		rig_advance(r, 10);
	}
	size_t sent = r->n_frames - 1;
	assert_in_range(sent, 4, 5);
	struct worker_frame *f = expect_frame(r, WF_PROGRESS, "j1");
	assert_true(f->fraction > 0.7);
	rig_free(r);
}

static void no_progress_without_the_feature(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, FEATURE_CANCEL);
	rig_offer(r, "j1", KIND_IMAGE);
	fake_run_progress(fake_lab_run(&r->lab, NULL), STAGE_RUNNING, 0.5, NULL);
	rig_finish(r);
	assert_int_equal(r->n_frames, 1);
	rig_free(r);
}

static void cancel_ends_a_run(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, FEATURE_CANCEL);
	rig_offer(r, "j1", KIND_IMAGE);
	jobs_cancel(r->jobs, "nothing");
	jobs_cancel(r->jobs, "j1");
	rig_settle(r);
	struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
	assert_string_equal(f->text, "cancelled");
	assert_false(f->retryable);
	assert_null(jobs_current(r->jobs));
	assert_int_equal(folder_len(r, "scratch"), 0);
	rig_free(r);
}

static void cancel_needs_the_feature(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_IMAGE);
	jobs_cancel(r->jobs, "j1");
	assert_int_equal(r->lab.cancels, 0);
	rig_free(r);
}

/* The room goes while an engine runs, while a folder is made, while a result is written. */
static void freed_at_any_moment(void **state)
{
	(void)state;
	for (int turns = 0; turns < 12; turns++) {
		struct rig *r = rig_new();
		r->lab.cancel_ms = 100;
		rig_link(r, 0);
		rig_offer(r, "j0", KIND_LLM);
		rig_finish(r);
		r->status = 0;
		rig_offer(r, "j1", KIND_IMAGE);
		fake_run_finish(fake_lab_run(&r->lab, NULL));
		for (int i = 0; i < turns; i++)
			clock_run(&r->clock);
		jobs_free(r->jobs);
		r->jobs = NULL;
		rig_advance(r, 1000);
		assert_int_equal(folder_len(r, "scratch"), 0);
		rig_free(r);
	}
}

static uint64_t slow_disk(void *arg)
{
	(void)arg;
	return 10;
}

/* A result waits for its turn on the disk when the program is told to end. */
static void freed_with_a_queue(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	r->status = 0;
	rig_offer(r, "j1", KIND_IMAGE);
	rig_finish(r);
	r->pool.delay = slow_disk;
	fake_request_answer(r->request, 200, "{}");
	rig_settle(r); /* the removal of j1 is under way */
	rig_offer(r, "j2", KIND_STT);
	rig_finish(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	assert_int_equal(fake_pool_len(&r->pool), 1);
	jobs_free(r->jobs);
	rig_advance(r, 100);
	assert_int_equal(fake_pool_len(&r->pool), 0);
	rig_open(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_link(r, 0);
	rig_offer(r, "j2", KIND_STT);
	expect_frame(r, WF_COMPLETE_JSON, "j2");
	assert_int_equal(r->lab.starts, 2);
	rig_free(r);
}

/* An engine that works in memory has no folder to remove when the room is gone before it ends. */
static void freed_without_a_scratch_folder(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	r->lab.cancel_ms = 100;
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_STT);
	assert_int_equal(r->lab.starts, 1);
	assert_int_equal(folder_len(r, "scratch"), 0);
	jobs_free(r->jobs);
	r->jobs = NULL;
	rig_advance(r, 1000);
	assert_int_equal(r->lab.cancels, 1);
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_an_offer),
	    cmocka_unit_test(rejects_while_paused),
	    cmocka_unit_test(rejects_while_busy),
	    cmocka_unit_test(pause_lets_work_finish),
	    cmocka_unit_test(a_lost_accept_runs_nothing),
	    cmocka_unit_test(unknown_engine_fails_for_good),
	    cmocka_unit_test(engine_failure_is_told),
	    cmocka_unit_test(a_lost_fail_is_logged),
	    cmocka_unit_test(full_disk_fails_the_job),
	    cmocka_unit_test(read_only_state_fails_the_job),
	    cmocka_unit_test(progress_is_limited),
	    cmocka_unit_test(no_progress_without_the_feature),
	    cmocka_unit_test(cancel_ends_a_run),
	    cmocka_unit_test(cancel_needs_the_feature),
	    cmocka_unit_test(freed_at_any_moment),
	    cmocka_unit_test(freed_with_a_queue),
	    cmocka_unit_test(freed_without_a_scratch_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
