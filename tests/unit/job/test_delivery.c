/* test_delivery.c - protocol section 7, points 3, 6 and 7, and `resume` of section 8: every way a
 * finished result leaves the outbox, or stays. SPDX-License-Identifier: MIT */
#include "tests/unit/job/rig.h"

#define MINUTE 60000ull

static void expect_body(struct rig *r, const char *id, const char *prompt)
{
	size_t len;
	auto_free char *want = fake_result_bytes(id, prompt, &len);
	assert_int_equal(r->body_len, len);
	assert_memory_equal(r->body, want, len);
}

static void run_image(struct rig *r, const char *id)
{
	rig_offer(r, id, KIND_IMAGE);
	rig_finish(r);
}

/* A finished image in the outbox whose session is gone. */
static struct rig *with_orphan(enum kind k)
{
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer(r, "j1", k);
	jobs_link_down(r->jobs);
	rig_finish(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	assert_null(jobs_current(r->jobs));
	assert_int_equal(r->uploads, 0);
	rig_forget_frames(r);
	return r;
}

static void bytes_are_uploaded(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	run_image(r, "j1");
	assert_int_equal(r->uploads, 1);
	assert_string_equal(r->url, "http://studio/graphics/api/workers/w-1/jobs/j1/complete");
	assert_string_equal(r->prompt, "a cat");
	assert_string_equal(r->ext, "png");
	assert_string_equal(r->name, "j1.png");
	expect_body(r, "j1", "a cat");
	expect_log(r, "info binary upload ok\n");
	assert_int_equal(r->n_frames, 1);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	assert_null(jobs_current(r->jobs));
	assert_int_equal(folder_len(r, "outbox"), 0);
	rig_free(r);
}

static void trouble_is_retried_then_failed(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	r->status = 503;
	run_image(r, "j1");
	assert_int_equal(r->uploads, 1);
	rig_advance(r, 999);
	assert_int_equal(r->uploads, 1);
	rig_advance(r, 1);
	assert_int_equal(r->uploads, 2);
	rig_advance(r, 1999);
	assert_int_equal(r->uploads, 2);
	assert_int_equal(r->n_frames, 1);
	rig_advance(r, 1);
	assert_int_equal(r->uploads, 3);
	struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
	assert_true(f->retryable);
	assert_null(jobs_current(r->jobs));
	/* Kept for an offer, and never by HTTP again: not later, not at a welcome, not after a
	 * restart. */
	rig_advance(r, MINUTE);
	jobs_link_down(r->jobs);
	rig_link(r, 0);
	rig_restart(r);
	rig_link(r, 0);
	rig_advance(r, MINUTE);
	assert_int_equal(r->uploads, 3);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	r->status = 200;
	rig_offer(r, "j1", KIND_IMAGE);
	assert_int_equal(r->uploads, 4);
	expect_body(r, "j1", "a cat");
	assert_int_equal(r->lab.starts, 1);
	rig_free(r);
}

static void a_retry_may_succeed(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	r->net.server = NULL; /* refused: a transport error */
	run_image(r, "j1");
	r->net.server = &rig_server;
	rig_advance(r, 1000);
	assert_int_equal(r->uploads, 1);
	assert_int_equal(r->n_frames, 1);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

static void refusals_are_not_retried(void **state)
{
	(void)state;
	static const struct {
		int status;
		bool fail;
		size_t kept;
	} rows[] = {{400, true, 0},  {413, true, 0},  {422, true, 0},
		    {401, true, 1},  {403, true, 1},  {429, true, 1},
		    {404, false, 0}, {410, false, 0}, {409, false, 1}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig *r = rig_new();
		rig_link(r, 0);
		r->status = rows[i].status;
		run_image(r, "j1");
		rig_advance(r, MINUTE);
		assert_int_equal(r->uploads, 1);
		if (rows[i].fail)
			assert_true(expect_frame(r, WF_FAIL, "j1")->retryable);
		else
			expect_frame(r, WF_ACCEPT, "j1");
		assert_int_equal(jobs_outbox_len(r->jobs), rows[i].kept);
		assert_null(jobs_current(r->jobs));
		rig_free(r);
	}
}

static void conflict_waits_ten_minutes(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	r->status = 409;
	run_image(r, "j1");
	rig_advance(r, 10 * MINUTE - 1);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_advance(r, 1);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	assert_int_equal(r->uploads, 1);
	expect_log(r, "its kept result is removed");
	rig_free(r);
}

static void orphaned_bytes_go_after_welcome(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_IMAGE);
	rig_link(r, 0);
	assert_int_equal(r->uploads, 1);
	assert_int_equal(r->n_frames, 0);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

static void orphans_go_one_at_a_time_oldest_first(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	for (int i = 0; i < 3; i++) {
		char id[16];
		snprintf(id, sizeof id, "j%d", i);
		rig_link(r, 0);
		rig_offer(r, id, KIND_IMAGE);
		jobs_link_down(r->jobs);
		r->net.server = NULL;
		rig_finish(r);
		rig_advance(r, 10);
	}
	r->net.server = &rig_server;
	rig_restart(r);
	r->status = 0;
	rig_link(r, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(r->uploads, i + 1);
		assert_int_equal(r->name[1], '0' + i);
		fake_request_answer(r->request, 200, "{}");
		rig_settle(r);
	}
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

static void orphaned_bytes_refused(void **state)
{
	(void)state;
	static const struct {
		int status;
		size_t kept, at_next_welcome;
	} rows[] = {{409, 1, 1}, {404, 0, 1}, {410, 0, 1}, {400, 0, 1}, {401, 1, 2}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct rig *r = with_orphan(KIND_IMAGE);
		r->status = rows[i].status;
		rig_link(r, 0);
		assert_int_equal(r->uploads, 1);
		assert_int_equal(jobs_outbox_len(r->jobs), rows[i].kept);
		jobs_link_down(r->jobs);
		rig_link(r, 0);
		assert_int_equal(r->uploads, rows[i].at_next_welcome);
		assert_int_equal(r->n_frames, 0); /* no frame about a job that is not ours */
		rig_free(r);
	}
}

static void orphaned_bytes_outlast_trouble(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_IMAGE);
	r->status = 500;
	rig_link(r, 0);
	rig_advance(r, 20 * MINUTE);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	assert_in_range(r->uploads, 20, 50);
	assert_int_equal(r->n_frames, 0);
	r->status = 200;
	rig_advance(r, MINUTE);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

static void orphaned_json_waits_in_silence(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_LLM);
	rig_link(r, 0);
	rig_advance(r, MINUTE);
	assert_int_equal(r->n_frames, 0);
	rig_offer(r, "j1", KIND_LLM);
	assert_int_equal(r->n_frames, 2);
	assert_int_equal(r->frames[0]->type, WF_ACCEPT);
	expect_frame(r, WF_COMPLETE_JSON, "j1");
	assert_int_equal(r->lab.starts, 1);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	jobs_complete_ack(r->jobs, "j1");
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

static void orphaned_json_ends_after_ten_minutes(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_LLM);
	rig_link(r, 0);
	rig_advance(r, 5 * MINUTE);
	rig_restart(r); /* starts the ten minutes anew */
	rig_link(r, 0);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	clock_set(&r->clock, r->clock.mono_ms, r->clock.wall_ms + 86400000);
	rig_advance(r, 10 * MINUTE - 1);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_advance(r, 1);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_restart(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

/* Without a session no offer can come: that time does not count. */
static void the_ten_minutes_are_of_a_session(void **state)
{
	(void)state;
	for (int bytes = 0; bytes < 2; bytes++) {
		struct rig *r = with_orphan(bytes ? KIND_IMAGE : KIND_LLM);
		rig_advance(r, 11 * MINUTE);
		r->status = 409;
		rig_link(r, 0);
		rig_advance(r, 9 * MINUTE);
		jobs_link_down(r->jobs);
		rig_advance(r, 60 * MINUTE);
		rig_restart(r);
		rig_advance(r, 11 * MINUTE);
		assert_int_equal(jobs_outbox_len(r->jobs), 1);
		rig_link(r, 0);
		rig_advance(r, 10 * MINUTE - 1);
		assert_int_equal(jobs_outbox_len(r->jobs), 1);
		rig_advance(r, 1);
		assert_int_equal(jobs_outbox_len(r->jobs), 0);
		rig_free(r);
	}
}

/* A conflict that is told when the session is gone already. */
static void parked_between_two_sessions(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	r->status = 0;
	run_image(r, "j1");
	jobs_link_down(r->jobs);
	fake_request_answer(r->request, 409, "{}");
	rig_advance(r, 11 * MINUTE);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_link(r, 0);
	assert_int_equal(r->uploads, 1);
	rig_advance(r, 10 * MINUTE);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

static void a_lost_complete_waits(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_LLM);
	r->refuse = true;
	rig_finish(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	assert_null(jobs_current(r->jobs));
	jobs_link_down(r->jobs);
	r->refuse = false;
	rig_link(r, 0);
	assert_int_equal(r->n_frames, 1);
	rig_offer(r, "j1", KIND_LLM);
	expect_frame(r, WF_COMPLETE_JSON, "j1");
	assert_int_equal(r->lab.starts, 1);
	rig_free(r);
}

static void the_same_job_attaches_to_its_run(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_IMAGE);
	jobs_link_down(r->jobs);
	rig_link(r, 0);
	assert_string_equal(jobs_current(r->jobs), "j1");
	jobs_pause(r->jobs, true); /* it is no new work */
	rig_offer(r, "j1", KIND_IMAGE);
	expect_frame(r, WF_ACCEPT, "j1");
	assert_int_equal(r->lab.starts, 1);
	r->status = 500;
	rig_finish(r);
	rig_advance(r, 3000);
	expect_frame(r, WF_FAIL, "j1"); /* bound to this session */
	rig_free(r);
}

static void another_task_is_another_job(void **state)
{
	(void)state;
	static const char *const other =
	    "{\"kind\":\"image\",\"prompt\":\"a bird\",\"ext\":\"png\"}";
	struct rig *r = with_orphan(KIND_IMAGE);
	r->status = 409;
	rig_link(r, 0);
	rig_offer_as(r, "j1", other, "fake");
	assert_int_equal(r->lab.starts, 2);
	rig_offer_as(r, "j1", task_of(KIND_VIDEO), "fake");
	assert_string_equal(expect_frame(r, WF_REJECT, "j1")->code, "busy");
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_finish(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 1); /* the old one made room */
	expect_body(r, "j1", "a bird");
	rig_restart(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_free(r);
}

static void attached_while_an_upload_is_refused(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_IMAGE);
	r->status = 0;
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_IMAGE);
	struct fake_request *first = r->request;
	r->status = 200;
	fake_request_answer(first, 409, "{}"); /* about the time before the offer */
	rig_settle(r);
	assert_int_equal(r->uploads, 2);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	assert_int_equal(r->lab.starts, 1);
	rig_free(r);
}

static void an_offer_waits_for_the_uploads_answer(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	r->status = 0;
	run_image(r, "j1");
	assert_string_equal(jobs_current(r->jobs), "j1");
	rig_offer(r, "j2", KIND_LLM);
	assert_int_equal(r->n_frames, 1);
	fake_request_answer(r->request, 200, "{}");
	rig_settle(r);
	expect_frame(r, WF_ACCEPT, "j2");
	rig_finish(r);
	run_image(r, "j3");
	rig_offer(r, "j4", KIND_LLM);
	rig_advance(r, 250);
	assert_string_equal(expect_frame(r, WF_REJECT, "j4")->code, "busy");
	fake_request_answer(r->request, 200, "{}");
	rig_free(r);
}

static void an_ack_ends_an_upload_too(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	r->status = 0;
	run_image(r, "j1");
	jobs_complete_ack(r->jobs, "j1");
	assert_null(jobs_current(r->jobs));
	rig_offer(r, "j2", KIND_LLM);
	expect_frame(r, WF_ACCEPT, "j2");
	fake_client_cut(r->client);
	rig_settle(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	r->status = 409;
	rig_finish(r);
	run_image(r, "j3");
	assert_int_equal(jobs_outbox_len(r->jobs), 2);
	jobs_complete_ack(r->jobs, "j3");
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_free(r);
}

static size_t count_log(struct rig *r, const char *line)
{
	size_t n = 0;
	for (const char *at = r->lines; (at = strstr(at, line)); at++)
		n++;
	return n;
}

static void a_delivered_upload_is_logged_once(void **state)
{
	(void)state;
	for (int ack_first = 0; ack_first < 2; ack_first++) {
		struct rig *r = rig_new();
		rig_link(r, 0);
		r->status = 0;
		run_image(r, "j1");
		assert_int_equal(count_log(r, "info binary upload ok\n"), 0);
		if (ack_first)
			jobs_complete_ack(r->jobs, "j1");
		fake_request_answer(r->request, 200, "{}");
		rig_settle(r);
		if (!ack_first)
			jobs_complete_ack(r->jobs, "j1");
		rig_settle(r);
		assert_int_equal(count_log(r, "info binary upload ok\n"), 1);
		assert_int_equal(jobs_outbox_len(r->jobs), 0);
		rig_offer(r, "j2", KIND_LLM);
		rig_finish(r);
		jobs_complete_ack(r->jobs, "j2");
		assert_int_equal(count_log(r, "info binary upload ok\n"), 1);
		rig_free(r);
	}
}

static void a_link_lost_while_uploading(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, 0);
	r->status = 0;
	run_image(r, "j1");
	jobs_link_down(r->jobs);
	assert_null(jobs_current(r->jobs));
	fake_request_answer(r->request, 200, "{}");
	rig_settle(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_link(r, 0);
	run_image(r, "j2");
	jobs_link_down(r->jobs);
	rig_link(r, 0);
	assert_int_equal(r->uploads, 2); /* still on its way */
	r->status = 200;
	fake_client_cut(r->client);
	rig_advance(r, 1000);
	assert_int_equal(r->uploads, 3);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

static void survives_a_restart(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_TTS);
	rig_restart(r);
	assert_int_equal(r->outbox, 1);
	rig_link(r, 0);
	assert_int_equal(r->uploads, 1);
	assert_string_equal(r->prompt, "hello");
	assert_string_equal(r->ext, "wav");
	expect_body(r, "j1", "hello");
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_restart(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

static char *only_entry(struct rig *r)
{
	char **names = NULL;
	size_t n = 0;
	auto_free char *dir = fs_join(r->dir, "outbox");
	assert_int_equal(fs_list(dir, &names, &n, NULL), 0);
	assert_int_equal(n, 1);
	char *path = fs_join(dir, names[0]);
	fs_list_free(names, n);
	return path;
}

static void damage_only_entry(struct rig *r)
{
	auto_free char *entry = only_entry(r);
	auto_free char *file = fs_join(entry, "result.png");
	FILE *f = fopen(file, "r+b");
	assert_non_null(f);
	fputc('X', f);
	fclose(f);
}

static void damage_is_noticed(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_IMAGE);
	damage_only_entry(r);
	rig_restart(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_link(r, 0);
	assert_int_equal(r->uploads, 0);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	expect_log(r, "is damaged (its SHA-256 is not that of the manifest); set aside");
	assert_int_equal(folder_len(r, "outbox"), 1);
	rig_restart(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	rig_free(r);
}

static void broken_entries_are_set_aside(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_IMAGE);
	auto_free char *entry = only_entry(r);
	auto_free char *manifest = fs_join(entry, "manifest.json");
	assert_int_equal(fs_write_atomic(manifest, "{\"jobId\":", 9, 0600, NULL), 0);
	rig_restart(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	expect_log(r, "set aside as .broken-*");
	rig_link(r, 0);
	run_image(r, "j1");
	assert_int_equal(r->uploads, 1);
	rig_free(r);
}

/* Results that can't be read at the start are not written over: a JSON job fails, and says why. */
static void an_unreadable_journal_is_left_alone(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_LLM);
	auto_free char *path = fs_join(r->dir, "outbox/json.log");
	auto_free char *away = fs_join(r->dir, "away");
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(symlink("json.log", path), 0); /* ELOOP, for root too */
	rig_restart(r);
	expect_log(r, "error can't read kept results");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(away, path), 0);
	rig_link(r, 0);
	rig_offer(r, "j2", KIND_LLM);
	rig_finish(r);
	struct worker_frame *f = expect_frame(r, WF_FAIL, "j2");
	assert_true(f->retryable);
	assert_non_null(strstr(f->text, "could not be read at the start"));
	run_image(r, "j3"); /* needs no journal */
	assert_int_equal(r->uploads, 1);
	rig_restart(r);
	assert_int_equal(jobs_outbox_len(r->jobs), 1);
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_LLM);
	expect_frame(r, WF_COMPLETE_JSON, "j1");
	rig_free(r);
}

/* ---- resume ---- */

static void resume_frame(struct rig *r, size_t want)
{
	struct worker_frame *f = NULL;
	struct err e = ERR_INIT;
	auto_free char *text = jobs_resume_frame(r->jobs);
	assert_int_equal(worker_frame_decode(text, strlen(text), &f, &e), 0);
	assert_int_equal(f->n_resume, want);
	worker_frame_free(f);
}

static void resume_keeps_a_claim(void **state)
{
	(void)state;
	char *ids[] = {(char[]){"j1"}};
	static const enum kind kinds[] = {KIND_IMAGE, KIND_LLM};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct rig *r = with_orphan(kinds[i]);
		rig_restart(r);
		rig_link(r, FEATURE_RESUME);
		resume_frame(r, 1);
		assert_int_equal(r->uploads, 0); /* the answer decides */
		jobs_resumed(r->jobs, ids, 1, NULL, 0);
		rig_settle(r);
		if (kinds[i] == KIND_IMAGE) {
			assert_int_equal(r->uploads, 1);
			assert_int_equal(jobs_outbox_len(r->jobs), 0);
		} else {
			expect_frame(r, WF_COMPLETE_JSON, "j1");
		}
		rig_free(r);
	}
}

static void resume_keeps_a_run(void **state)
{
	(void)state;
	char *ids[] = {(char[]){"j1"}};
	struct rig *r = rig_new();
	rig_link(r, FEATURE_RESUME);
	jobs_resumed(r->jobs, NULL, 0, NULL, 0);
	rig_offer(r, "j1", KIND_LLM);
	jobs_link_down(r->jobs);
	rig_link(r, FEATURE_RESUME);
	resume_frame(r, 1);
	jobs_resumed(r->jobs, ids, 1, NULL, 0);
	rig_finish(r);
	expect_frame(r, WF_COMPLETE_JSON, "j1");
	rig_free(r);
}

/* The studio has the result already: that our copy is damaged is no news to it. */
static void acked_while_a_damaged_copy_is_checked(void **state)
{
	(void)state;
	char *ids[] = {(char[]){"j1"}};
	struct rig *r = with_orphan(KIND_IMAGE);
	damage_only_entry(r);
	rig_restart(r);
	rig_link(r, FEATURE_RESUME);
	resume_frame(r, 1);
	jobs_resumed(r->jobs, ids, 1, NULL, 0);
	jobs_complete_ack(r->jobs, "j1");
	rig_settle(r);
	assert_int_equal(r->n_frames, 0);
	assert_null(strstr(r->lines, "is damaged"));
	assert_non_null(strstr(r->states, "j1:delivered"));
	assert_int_equal(folder_len(r, "outbox"), 0);
	rig_free(r);
}

/* The engine fails between `resume` and `resumed`: the kept claim must not wait for ever. */
static void resume_keeps_what_failed(void **state)
{
	(void)state;
	char *ids[] = {(char[]){"j1"}};
	struct rig *r = rig_new();
	rig_link(r, FEATURE_RESUME);
	jobs_resumed(r->jobs, NULL, 0, NULL, 0);
	rig_offer(r, "j1", KIND_LLM);
	jobs_link_down(r->jobs);
	rig_link(r, FEATURE_RESUME);
	resume_frame(r, 1);
	fake_run_fail(fake_lab_run(&r->lab, "j1"), "out of memory", false);
	rig_settle(r);
	rig_forget_frames(r);
	jobs_resumed(r->jobs, ids, 1, NULL, 0);
	struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
	assert_string_equal(f->text, "out of memory");
	assert_false(f->retryable);
	rig_free(r);
}

/* A failure of one session is no answer to a claim that is kept in a later one. */
static void resume_does_not_repeat_old_failures(void **state)
{
	(void)state;
	char *ids[] = {(char[]){"j1"}};
	for (int answered = 0; answered < 2; answered++) {
		struct rig *r = rig_new();
		rig_link(r, FEATURE_RESUME);
		jobs_resumed(r->jobs, NULL, 0, NULL, 0);
		rig_offer(r, "j1", KIND_LLM);
		jobs_link_down(r->jobs);
		rig_link(r, FEATURE_RESUME);
		resume_frame(r, 1);
		fake_run_fail(fake_lab_run(&r->lab, "j1"), "out of memory", false);
		rig_settle(r);
		if (answered) {
			jobs_resumed(r->jobs, NULL, 0, NULL, 0);
		} else {
			jobs_link_down(r->jobs);
			rig_link(r, FEATURE_RESUME);
		}
		jobs_resumed(r->jobs, ids, 1, NULL, 0);
		struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
		assert_null(strstr(f->text, "out of memory"));
		assert_true(f->retryable);
		rig_free(r);
	}
}

static void resume_drops(void **state)
{
	(void)state;
	char *ids[] = {(char[]){"j1"}, (char[]){"j2"}};
	struct rig *r = with_orphan(KIND_IMAGE);
	r->status = 500;
	rig_link(r, 0);
	rig_offer(r, "j2", KIND_LLM);
	jobs_link_down(r->jobs);
	rig_forget_frames(r);
	rig_link(r, FEATURE_RESUME);
	resume_frame(r, 2);
	size_t before = r->uploads;
	jobs_resumed(r->jobs, NULL, 0, ids, 2);
	rig_settle(r);
	assert_null(jobs_current(r->jobs));
	assert_int_equal(r->lab.cancels, 1);
	rig_advance(r, MINUTE);
	assert_int_equal(r->uploads, before);
	assert_int_equal(r->n_frames, 0);
	r->status = 200;
	rig_offer(r, "j1", KIND_IMAGE); /* the finished one waits for this */
	assert_int_equal(r->uploads, before + 1);
	rig_free(r);
}

static void resume_unanswered_holds_nothing_back(void **state)
{
	(void)state;
	struct rig *r = with_orphan(KIND_IMAGE);
	rig_link(r, FEATURE_RESUME);
	resume_frame(r, 1);
	rig_advance(r, 9999);
	assert_int_equal(r->uploads, 0);
	rig_advance(r, 1);
	assert_int_equal(r->uploads, 1);
	rig_free(r);
}

static void cancel_of_a_finished_job(void **state)
{
	(void)state;
	struct rig *r = rig_new();
	rig_link(r, FEATURE_CANCEL);
	r->status = 0;
	run_image(r, "j1");
	jobs_cancel(r->jobs, "j1");
	rig_settle(r);
	assert_string_equal(expect_frame(r, WF_FAIL, "j1")->text, "cancelled");
	assert_int_equal(jobs_outbox_len(r->jobs), 0);
	assert_int_equal(folder_len(r, "outbox"), 0);
	assert_null(jobs_current(r->jobs));
	rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_are_uploaded),
	    cmocka_unit_test(trouble_is_retried_then_failed),
	    cmocka_unit_test(a_retry_may_succeed),
	    cmocka_unit_test(refusals_are_not_retried),
	    cmocka_unit_test(conflict_waits_ten_minutes),
	    cmocka_unit_test(orphaned_bytes_go_after_welcome),
	    cmocka_unit_test(orphans_go_one_at_a_time_oldest_first),
	    cmocka_unit_test(orphaned_bytes_refused),
	    cmocka_unit_test(orphaned_bytes_outlast_trouble),
	    cmocka_unit_test(orphaned_json_waits_in_silence),
	    cmocka_unit_test(orphaned_json_ends_after_ten_minutes),
	    cmocka_unit_test(the_ten_minutes_are_of_a_session),
	    cmocka_unit_test(parked_between_two_sessions),
	    cmocka_unit_test(a_lost_complete_waits),
	    cmocka_unit_test(the_same_job_attaches_to_its_run),
	    cmocka_unit_test(another_task_is_another_job),
	    cmocka_unit_test(attached_while_an_upload_is_refused),
	    cmocka_unit_test(an_offer_waits_for_the_uploads_answer),
	    cmocka_unit_test(an_ack_ends_an_upload_too),
	    cmocka_unit_test(a_delivered_upload_is_logged_once),
	    cmocka_unit_test(a_link_lost_while_uploading),
	    cmocka_unit_test(survives_a_restart),
	    cmocka_unit_test(damage_is_noticed),
	    cmocka_unit_test(broken_entries_are_set_aside),
	    cmocka_unit_test(an_unreadable_journal_is_left_alone),
	    cmocka_unit_test(resume_keeps_a_claim),
	    cmocka_unit_test(resume_keeps_a_run),
	    cmocka_unit_test(acked_while_a_damaged_copy_is_checked),
	    cmocka_unit_test(resume_keeps_what_failed),
	    cmocka_unit_test(resume_does_not_repeat_old_failures),
	    cmocka_unit_test(resume_drops),
	    cmocka_unit_test(resume_unanswered_holds_nothing_back),
	    cmocka_unit_test(cancel_of_a_finished_job),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
