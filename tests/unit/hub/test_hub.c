/* test_hub.c - the worker side of the protocol, frame by frame.
 * SPDX-License-Identifier: MIT */

#include "lib/base/utf8.h"
#include "tests/unit/hub/studio_fixture.h"

/* ---- joining ---- */

static void test_wrong_token(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	dial_with(s, &w, "wk-1", "wrong");
	run(s);
	assert_int_equal(next(&w, SF_ERROR)->error, ERROR_AUTH_FAILED);
	assert_int_equal(w.close_code, CLOSE_AUTH_FAILED);
	drop_frames(&w);
	dial_with(s, &w, "wk-none", TOKEN);
	run(s);
	assert_int_equal(w.close_code, CLOSE_AUTH_FAILED);
	drop_frames(&w);
	dial_with(s, &w, "wk-1", TOKEN);
	hello(&w, "other");
	assert_int_equal(w.close_code, CLOSE_AUTH_FAILED);
	drop_frames(&w);
}

static void test_hello_comes_first(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	dial_with(s, &w, "wk-1", TOKEN);
	beat(&w);
	assert_int_equal(next(&w, SF_ERROR)->error, ERROR_PROTOCOL_VIOLATION);
	assert_int_equal(w.close_code, CLOSE_PROTOCOL_VIOLATION);
	drop_frames(&w);
	dial_with(s, &w, "wk-1", TOKEN);
	say(&w, xstrdup("{\"type\":"));
	assert_int_equal(w.close_code, CLOSE_PROTOCOL_VIOLATION);
	drop_frames(&w);
	dial_with(s, &w, "wk-1", TOKEN);
	pass(s, 9999);
	assert_int_equal(w.close_code, 0);
	pass(s, 1);
	assert_true(w.close_code > 0);
}

static void test_hello_before_token_was_read(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	s->delay = 50;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	drop_frames(&w);
}

static void test_heartbeats(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	for (int i = 0; i < 4; i++) {
		pass(s, 29000);
		beat(&w);
		assert_non_null(next(&w, SF_HEARTBEAT_ACK));
	}
	pass(s, 30001);
	assert_true(w.close_code > 0);
	assert_null(hub_worker_status(s->hub, "wk-1"));
	drop_frames(&w);
}

static void test_newer_socket_wins(void **state)
{
	struct studio *s = *state;
	static struct worker a, b;
	admit(s, "wk-1");
	join(s, &a, "wk-1");
	join(s, &b, "wk-1");
	assert_int_equal(next(&a, SF_ERROR)->error, ERROR_DUPLICATE_WORKER);
	assert_int_equal(a.close_code, CLOSE_DUPLICATE_WORKER);
	assert_int_equal(b.close_code, 0);
	drop_frames(&a);
	drop_frames(&b);
}

static void test_deleted(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join_with(s, &w, "wk-1", FEATURES_ALL);
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	say(&w, frame_accept(offered(&w)));
	hub_worker_deleted(s->hub, "wk-1");
	run(s);
	assert_int_equal(next(&w, SF_ERROR)->error, ERROR_WORKER_DELETED);
	assert_int_equal(w.close_code, CLOSE_WORKER_DELETED);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

static void test_slow_reader_is_closed(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	w.full = true;
	auto_free char *id = job_submit(s, "llm", "synthetic");
	assert_true(w.close_code > 0);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

/* ---- a job's way ---- */

static void test_json_job(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	const struct studio_frame *f = next(&w, SF_OFFER);
	assert_string_equal(f->claim->job_id, id);
	assert_string_equal(f->claim->game_id, "g");
	assert_int_equal(job_now(s, id)->state, JOB_OFFERED);
	say(&w, frame_accept(id));
	assert_int_equal(job_now(s, id)->state, JOB_CLAIMED);
	json_t *result = json_pack("{s:i}", "x", 1);
	say(&w, frame_complete_json(id, result, "hello"));
	assert_string_equal(next(&w, SF_COMPLETE_ACK)->job_id, id);
	assert_int_equal(job_now(s, id)->state, JOB_DONE);
	assert_true(json_equal(s->job.result, result));
	/* said again: acked again; by somebody else: a violation */
	say(&w, frame_complete_json(id, result, "hello"));
	assert_non_null(next(&w, SF_COMPLETE_ACK));
	static struct worker other;
	admit(s, "wk-2");
	join(s, &other, "wk-2");
	say(&other, frame_complete_json(id, result, "hello"));
	assert_int_equal(other.close_code, CLOSE_PROTOCOL_VIOLATION);
	json_decref(result);
	drop_frames(&w);
	drop_frames(&other);
}

static void test_ack_waits_for_the_storage(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	say(&w, frame_accept(id));
	s->delay = 100;
	json_t *result = json_true();
	auto_free char *text = frame_complete_json(id, result, NULL);
	w.conn.events->text(w.conn.arg, text, strlen(text));
	pass(s, 99);
	assert_null(next(&w, SF_COMPLETE_ACK));
	pass(s, 1);
	assert_non_null(next(&w, SF_COMPLETE_ACK));
	drop_frames(&w);
}

static void test_next_job_follows(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	char *ids[3];
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	for (int i = 0; i < 3; i++)
		ids[i] = job_submit(s, "llm", "synthetic");
	for (int i = 0; i < 3; i++) {
		assert_string_equal(offered(&w), ids[i]);
		assert_null(offered(&w)); /* one at a time */
		say(&w, frame_accept(ids[i]));
		say(&w, frame_complete_json(ids[i], json_null(), NULL));
		w.read = i == 0 ? 0 : w.read;
		while (w.frames[w.read]->type != SF_COMPLETE_ACK ||
		       strcmp(w.frames[w.read]->job_id, ids[i]) != 0)
			w.read++;
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(job_now(s, ids[i])->state, JOB_DONE);
		free(ids[i]);
	}
	drop_frames(&w);
}

static void test_violations(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	auto_free char *id = job_submit(s, "llm", "synthetic");
	char *bad[] = {
	    frame_accept("job-none"),
	    frame_accept(id),
	    frame_complete_json(id, json_null(), NULL),
	    frame_fail(id, "no", true),
	    frame_resume(NULL, 0),
	    xstrdup("[]"),
	    xstrdup("{\"type\":\"party\"}"),
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		join(s, &w, "wk-1");
		say(&w, bad[i]);
		assert_int_equal(w.close_code, CLOSE_PROTOCOL_VIOLATION);
		assert_int_equal(next(&w, SF_ERROR)->error, ERROR_PROTOCOL_VIOLATION);
		drop_frames(&w);
		assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	}
}

static void test_result_without_accept(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	say(&w, frame_complete_json(id, json_null(), NULL));
	assert_int_equal(w.close_code, CLOSE_PROTOCOL_VIOLATION);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

/* A file's job never becomes done without its file. */
static void test_json_for_a_file(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "image", "synthetic");
	say(&w, frame_accept(offered(&w)));
	say(&w, frame_complete_json(id, json_null(), NULL));
	assert_int_equal(w.close_code, CLOSE_PROTOCOL_VIOLATION);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

/* The same after the studio forgot all but what is stored. */
static void test_json_for_a_file_after_restart(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join_with(s, &w, "wk-1", FEATURES_ALL);
	beat(&w);
	auto_free char *id = job_submit(s, "image", "synthetic");
	say(&w, frame_accept(offered(&w)));
	drop_frames(&w);
	studio_close(s);
	studio_open(s);
	run(s);
	join_with(s, &w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{id, true}};
	say(&w, frame_resume(jobs, 1));
	say(&w, frame_complete_json(id, json_null(), NULL));
	assert_int_equal(w.close_code, CLOSE_PROTOCOL_VIOLATION);
	assert_int_equal(job_now(s, id)->state, JOB_CLAIMED);
	drop_frames(&w);
}

static void test_failures(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	for (int i = 0; i < 3; i++) {
		assert_string_equal(offered(&w), id);
		say(&w, frame_accept(id));
		say(&w, frame_fail(id, "out of memory", true));
		assert_string_equal(next(&w, SF_FAIL_ACK)->job_id, id);
		say(&w, frame_fail(id, "out of memory", true));
		assert_string_equal(next(&w, SF_FAIL_ACK)->job_id, id);
		assert_int_equal(job_now(s, id)->attempts, i + 1);
		pass(s, 1000);
	}
	assert_int_equal(job_now(s, id)->state, JOB_FAILED);
	assert_string_equal(s->job.error, "out of memory");
	assert_null(offered(&w));
	drop_frames(&w);
}

static void test_failure_goes_to_another_first(void **state)
{
	struct studio *s = *state;
	static struct worker a, b;
	admit(s, "wk-a");
	admit(s, "wk-b");
	join(s, &a, "wk-a");
	join(s, &b, "wk-b");
	beat(&a);
	beat(&b);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	assert_string_equal(offered(&a), id);
	say(&a, frame_accept(id));
	say(&a, frame_fail(id, "x", true));
	assert_string_equal(offered(&b), id);
	drop_frames(&a);
	drop_frames(&b);
}

/* ---- offers ---- */

static void test_withdrawn_and_accepted_late(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	assert_string_equal(offered(&w), id);
	pass(s, 10000);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	assert_int_equal(s->job.attempts, 0);
	assert_null(offered(&w));  /* silent workers get nothing before a heartbeat */
	say(&w, frame_accept(id)); /* still nobody else's: taken */
	assert_int_equal(job_now(s, id)->state, JOB_CLAIMED);
	say(&w, frame_complete_json(id, json_null(), NULL));
	assert_non_null(next(&w, SF_COMPLETE_ACK));
	drop_frames(&w);
}

static void test_accepted_too_late(void **state)
{
	struct studio *s = *state;
	static struct worker a, b;
	admit(s, "wk-a");
	admit(s, "wk-b");
	join(s, &a, "wk-a");
	beat(&a);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	join(s, &b, "wk-b");
	beat(&b);
	pass(s, 10000);
	assert_string_equal(offered(&b), id);
	say(&a, frame_accept(id));
	assert_int_equal(a.close_code, CLOSE_PROTOCOL_VIOLATION);
	say(&b, frame_accept(id));
	assert_string_equal(job_now(s, id)->worker_id, "wk-b");
	drop_frames(&a);
	drop_frames(&b);
}

static void test_transient_reject(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	assert_string_equal(offered(&w), id);
	say(&w, frame_reject(id, "worker paused by operator", "paused"));
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	assert_int_equal(s->job.attempts, 0);
	struct capabilities *paused = able();
	paused->auto_enabled = false;
	beat_with(&w, paused, NULL);
	pass(s, 6000);
	assert_null(offered(&w));
	beat(&w);
	assert_string_equal(offered(&w), id);
	say(&w, frame_reject(id, "busy", "busy"));
	beat(&w); /* free again, but not for this job at once */
	assert_null(offered(&w));
	pass(s, 5000);
	assert_string_equal(offered(&w), id);
	drop_frames(&w);
}

static char *waiting(struct studio *s, const char *id)
{
	char *text = hub_job_waiting(s->hub, job_now(s, id));
	return text ? text : xstrdup("");
}

/* A reason of the worker's own holds for every job like it: no loop through the queue. */
static void test_reject_for_good(void **state)
{
	struct studio *s = *state;
	static struct worker w, b;
	admit(s, "wk-1");
	admit(s, "wk-2");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *one = job_submit(s, "llm", "synthetic");
	auto_free char *two = job_submit(s, "llm", "synthetic");
	assert_string_equal(offered(&w), one);
	say(&w, frame_reject(one, "needs 2.0 GB, 1.0 GB is free", NULL));
	assert_int_equal(job_now(s, one)->attempts, 0);
	for (int i = 0; i < 11; i++) {
		beat(&w);
		assert_null(offered(&w));
		pass(s, 5000);
	}
	auto_free char *why = waiting(s, one);
	assert_string_equal(
	    why, "wk-1 refused it: needs 2.0 GB, 1.0 GB is free; asked again within a minute");
	auto_free char *other = job_submit(s, "image", "synthetic");
	assert_string_equal(offered(&w), other); /* of another shape */
	say(&w, frame_reject(other, "busy", "busy"));

	join(s, &b, "wk-2");
	beat(&b);
	assert_string_equal(offered(&b), one); /* others are asked */
	say(&b, frame_accept(one));
	auto_free char *busy = waiting(s, two);
	assert_string_equal(busy, "waits for a free worker; 1 serves it; wk-1 refused it: needs "
				  "2.0 GB, 1.0 GB is free");
	queue_cancel(s->queue, other, job_got, s);
	pass(s, 5000);
	beat(&w);
	assert_string_equal(offered(&w), two); /* a minute later it is asked again */
	drop_frames(&w);
	drop_frames(&b);
}

static void test_reject_until_capabilities_change(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	assert_string_equal(offered(&w), id);
	say(&w, frame_reject(id, "there is no room", NULL));
	struct capabilities *c = able();
	c->presence = PRESENCE_ACTIVE; /* no matter */
	beat_with(&w, c, NULL);
	assert_null(offered(&w));
	c = able();
	c->vram_threshold_gb = 10;
	beat_with(&w, c, NULL);
	assert_string_equal(offered(&w), id);
	say(&w, frame_reject(id, "there is still no room", NULL));
	drop_frames(&w);
}

static void test_why_a_job_waits(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = job_submit(s, "llm", "synthetic");
	auto_free char *nobody = waiting(s, id);
	assert_string_equal(nobody, "no worker is connected");
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	struct capabilities *small = able();
	small->vram_threshold_gb = 1;
	beat_with(&w, small, NULL);
	auto_free char *none = waiting(s, id);
	assert_non_null(strstr(none, "none of the 1 connected worker(s) offers this model"));
	struct capabilities *c = able();
	c->auto_enabled = false;
	beat_with(&w, c, NULL);
	auto_free char *mine = job_submit(s, "llm", "synthetic");
	auto_free char *paused = waiting(s, mine);
	assert_string_equal(paused,
			    "1 worker(s) that serve it are paused or in use by their owners");
	beat(&w);
	assert_string_equal(offered(&w), id);
	assert_null(hub_job_waiting(s->hub, job_now(s, id)));
	drop_frames(&w);
}

static void expect_offer(struct studio *s, struct worker *w, struct capabilities *c, bool yes)
{
	beat_with(w, c, NULL);
	auto_free char *id = job_submit(s, "image", "synthetic");
	const char *got = offered(w);
	assert_int_equal(got != NULL, yes);
	queue_cancel(s->queue, id, job_got, s);
	run(s);
	hub_job_cancelled(s->hub, &s->job);
	beat(w);
	drop_frames(w);
}

static void test_selection(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	struct capabilities *c;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	expect_offer(s, &w, able(), true);
	c = able();
	c->auto_enabled = false;
	expect_offer(s, &w, c, false);
	c = able();
	c->vram_threshold_gb = 1.9;
	expect_offer(s, &w, c, false);
	c = able();
	c->only_when_idle = true;
	c->presence = PRESENCE_ACTIVE;
	expect_offer(s, &w, c, false);
	c = able();
	c->only_when_idle = true;
	c->presence = PRESENCE_IDLE;
	expect_offer(s, &w, c, true);
	c = capabilities_new();
	c->auto_enabled = true;
	c->vram_threshold_gb = 12;
	capabilities_add_model(c, KIND_LLM, "synthetic");
	expect_offer(s, &w, c, false);
	c = capabilities_new();
	c->auto_enabled = true;
	c->vram_threshold_gb = 12;
	capabilities_add_model(c, KIND_IMAGE, "other-model");
	expect_offer(s, &w, c, false);
	c = capabilities_new();
	c->auto_enabled = true;
	c->vram_threshold_gb = 12;
	capabilities_add_model(c, KIND_IMAGE, "synthetic:*");
	expect_offer(s, &w, c, true);
	c = capabilities_new();
	c->auto_enabled = true;
	c->vram_threshold_gb = 12;
	c->kinds = KIND_BIT(KIND_IMAGE); /* lists no models: taken at its word */
	expect_offer(s, &w, c, true);
	beat_with(&w, able(), "job-of-before");
	free(job_submit(s, "image", "synthetic"));
	assert_null(offered(&w));
	drop_frames(&w);
}

static void test_earliest_connected_first(void **state)
{
	struct studio *s = *state;
	static struct worker a, b;
	admit(s, "wk-a");
	admit(s, "wk-b");
	join(s, &b, "wk-b");
	join(s, &a, "wk-a");
	beat(&a);
	beat(&b);
	auto_free char *one = job_submit(s, "llm", "synthetic");
	auto_free char *two = job_submit(s, "llm", "synthetic");
	assert_string_equal(offered(&b), one);
	assert_string_equal(offered(&a), two);
	drop_frames(&a);
	drop_frames(&b);
}

static void test_unserveable_jobs_do_not_block(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	for (int i = 0; i < 1200; i++)
		free(job_submit(s, "llm", "nobody-has-it"));
	auto_free char *id = job_submit(s, "llm", "synthetic");
	studio_close(s); /* and read back in pages */
	studio_open(s);
	run(s);
	join(s, &w, "wk-1");
	struct capabilities *c = capabilities_new();
	c->auto_enabled = true;
	c->vram_threshold_gb = 12;
	capabilities_add_model(c, KIND_LLM, "synthetic-only");
	capabilities_add_model(c, KIND_LLM, "synthetic");
	beat_with(&w, c, NULL);
	/* "synthetic" is the engine of all of them here: so the oldest comes first */
	assert_non_null(offered(&w));
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

/* ---- lost sockets ---- */

static void test_lost_without_resume(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	say(&w, frame_accept(id));
	cut_line(&w);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	assert_int_equal(s->job.attempts, 0);
}

static void claim_one(struct studio *s, struct worker *w, char **id)
{
	admit(s, "wk-1");
	join_with(s, w, "wk-1", FEATURES_ALL);
	beat(w);
	*id = job_submit(s, "llm", "synthetic");
	say(w, frame_accept(*id));
	assert_true(job_now(s, *id)->resumable);
}

static void test_grace(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	cut_line(&w);
	pass(s, 59999);
	assert_int_equal(job_now(s, id)->state, JOB_CLAIMED);
	pass(s, 1);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
}

static void test_resume_keeps(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	cut_line(&w);
	join_with(s, &w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{id, true}, {(char *)(uintptr_t) "job-none", false}};
	say(&w, frame_resume(jobs, 2));
	const struct studio_frame *f = next(&w, SF_RESUMED);
	assert_int_equal(f->n_keep, 1);
	assert_int_equal(f->n_drop, 1);
	assert_string_equal(f->keep[0], id);
	beat(&w);
	auto_free char *more = job_submit(s, "llm", "synthetic");
	assert_string_equal(offered(&w), more); /* a finished one takes no slot */
	pass(s, 9000);
	say(&w, frame_complete_json(id, json_null(), NULL));
	assert_string_equal(next(&w, SF_COMPLETE_ACK)->job_id, id);
	assert_int_equal(job_now(s, id)->state, JOB_DONE);
	drop_frames(&w);
}

static void test_resume_after_restart(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	hub_free(s->hub);
	assert_int_equal(w.close_code, 1001);
	queue_free(s->queue);
	storage_null_crash(s->storage);
	drop_frames(&w);
	studio_open(s);
	run(s);
	assert_int_equal(job_now(s, id)->state, JOB_CLAIMED);
	join_with(s, &w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{id, false}};
	say(&w, frame_resume(jobs, 1));
	assert_int_equal(next(&w, SF_RESUMED)->n_keep, 1);
	beat(&w);
	assert_null(offered(&w));
	pass(s, 29000);
	beat(&w);
	pass(s, 29000);
	beat(&w);
	pass(s, 29000);
	assert_int_equal(job_now(s, id)->state, JOB_CLAIMED); /* no grace runs any more */
	drop_frames(&w);
}

static void test_resume_takes_back_what_was_released(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	cut_line(&w);
	pass(s, 61000);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	join_with(s, &w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{id, true}};
	say(&w, frame_resume(jobs, 1));
	assert_int_equal(next(&w, SF_RESUMED)->n_keep, 1);
	assert_string_equal(job_now(s, id)->worker_id, "wk-1");
	drop_frames(&w);
}

/* A worker cannot help itself from the queue; a job named again and again is answered once. */
static void test_resume_takes_nothing_else(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	auto_free char *id = job_submit(s, "image", "synthetic");
	join_with(s, &w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{id, true}, {id, false}, {id, true}};
	say(&w, frame_resume(jobs, 3));
	const struct studio_frame *f = next(&w, SF_RESUMED);
	assert_int_equal(f->n_keep, 0);
	assert_int_equal(f->n_drop, 1);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

static void test_resume_answers_an_id_once(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	cut_line(&w);
	pass(s, 61000);
	join_with(s, &w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{id, true}, {id, true}, {id, true}, {id, true}};
	say(&w, frame_resume(jobs, 4));
	const struct studio_frame *f = next(&w, SF_RESUMED);
	assert_int_equal(f->n_keep, 1);
	assert_int_equal(f->n_drop, 0);
	drop_frames(&w);
}

static void test_resume_without_the_job(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	cut_line(&w);
	join_with(s, &w, "wk-1", FEATURES_ALL);
	say(&w, frame_resume(NULL, 0));
	assert_non_null(next(&w, SF_RESUMED));
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

static void test_back_without_features(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	cut_line(&w);
	join(s, &w, "wk-1");
	assert_int_equal(job_now(s, id)->state, JOB_CLAIMED);
	beat(&w);
	assert_string_equal(offered(&w), id); /* released, and offered to it again */
	drop_frames(&w);
}

static void test_finished_but_never_delivered(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	cut_line(&w);
	join_with(s, &w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{id, true}};
	say(&w, frame_resume(jobs, 1));
	for (int i = 0; i < 40; i++) {
		struct capabilities *c = able();
		c->auto_enabled = false;
		beat_with(&w, c, NULL);
		drop_frames(&w);
		pass(s, 25000);
	}
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

/* A worker that gives a late delivery up is not sent away for it. */
static void test_fail_after_the_claim_ran_out(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	cut_line(&w);
	join_with(s, &w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{id, true}};
	say(&w, frame_resume(jobs, 1));
	for (int i = 0; i < 40; i++) {
		struct capabilities *c = able();
		c->auto_enabled = false;
		beat_with(&w, c, NULL);
		drop_frames(&w);
		pass(s, 25000);
	}
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	say(&w, frame_fail(id, "upload failed", true));
	assert_string_equal(next(&w, SF_FAIL_ACK)->job_id, id);
	assert_int_equal(w.close_code, 0);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

static void test_restart_releases_offers(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join_with(s, &w, "wk-1", FEATURES_ALL);
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	assert_int_equal(job_now(s, id)->state, JOB_OFFERED);
	studio_close(s);
	drop_frames(&w);
	studio_open(s);
	run(s);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
}

/* The socket goes while the storage still works on the reservation: no offer, no lost job. */
static void test_lost_while_reserving(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	s->delay = 20;
	auto_free char *id = job_submit(s, "llm", "synthetic");
	cut_line(&w);
	pass(s, 200);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
}

/* ---- cancel, progress ---- */

static void cancel(struct studio *s, const char *id)
{
	queue_cancel(s->queue, id, job_got, s);
	run(s);
	hub_job_cancelled(s->hub, &s->job);
	run(s);
}

static void test_cancel_is_told(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	auto_free char *more = job_submit(s, "llm", "synthetic");
	cancel(s, id);
	assert_string_equal(next(&w, SF_CANCEL)->job_id, id);
	assert_null(offered(&w)); /* busy until it answers */
	w.read = 0;
	say(&w, frame_fail(id, "cancelled", false));
	assert_string_equal(next(&w, SF_FAIL_ACK)->job_id, id);
	assert_string_equal(offered(&w), more);
	assert_string_equal(job_now(s, id)->error, "cancelled");
	drop_frames(&w);
}

static void test_cancelled_result_is_acked_and_dropped(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	say(&w, frame_accept(id));
	cancel(s, id);
	assert_null(next(&w, SF_CANCEL));
	w.read = 0;
	say(&w, frame_complete_json(id, json_null(), NULL));
	assert_non_null(next(&w, SF_COMPLETE_ACK));
	assert_int_equal(job_now(s, id)->state, JOB_FAILED);
	assert_int_equal(w.close_code, 0);
	drop_frames(&w);
}

static void test_cancelled_offer(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	cancel(s, id);
	say(&w, frame_accept(id));
	assert_int_equal(w.close_code, 0);
	assert_int_equal(job_now(s, id)->state, JOB_FAILED);
	drop_frames(&w);
}

static void test_progress_and_status(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	assert_null(hub_job_progress(s->hub, id));
	say(&w, frame_progress(id, STAGE_RUNNING, 0.5, "step 10"));
	json_t *p = hub_job_progress(s->hub, id);
	assert_string_equal(json_string_value(json_object_get(p, "stage")), "running");
	assert_true(json_real_value(json_object_get(p, "fraction")) == 0.5);
	json_decref(p);
	json_t *st = hub_worker_status(s->hub, "wk-1");
	assert_string_equal(json_string_value(json_object_get(st, "state")), "connected");
	assert_string_equal(json_string_value(json_object_get(st, "currentJob")), id);
	json_decref(st);
	cut_line(&w);
	st = hub_worker_status(s->hub, "wk-1");
	assert_string_equal(json_string_value(json_object_get(st, "state")), "lost");
	json_decref(st);
}

/* ---- a storage that fails ---- */

static void test_failing_storage_refuses_nobody(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	storage_null_break(s->storage, ENOSPC);
	dial_with(s, &w, "wk-1", TOKEN);
	run(s);
	assert_int_equal(w.close_code, 1011); /* not 4001: the worker would give up for good */
	assert_null(next(&w, SF_ERROR));
	drop_frames(&w);
}

static void test_failed_reservation(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	auto_free char *id = job_submit(s, "llm", "synthetic");
	join(s, &w, "wk-1");
	storage_null_break(s->storage, ENOSPC);
	beat(&w);
	assert_null(offered(&w));
	storage_null_break(s->storage, 0);
	beat(&w);
	assert_string_equal(offered(&w), id);
	drop_frames(&w);
}

/* A claim or result that could not be stored is not acked: the worker is sent away and comes back
 * with it. */
static void test_failed_accept(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	beat(&w);
	auto_free char *id = job_submit(s, "llm", "synthetic");
	storage_null_break(s->storage, ENOSPC);
	say(&w, frame_accept(id));
	assert_int_equal(w.close_code, 1011);
	pass(s, 5000);
	storage_null_break(s->storage, 0);
	assert_int_equal(job_now(s, id)->state, JOB_OFFERED);
	pass(s, 2000);
	assert_int_equal(job_now(s, id)->state, JOB_QUEUED);
	drop_frames(&w);
}

static void test_failed_result(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	auto_free char *id = NULL;
	claim_one(s, &w, &id);
	storage_null_break(s->storage, ENOSPC);
	say(&w, frame_complete_json(id, json_true(), NULL));
	assert_int_equal(w.close_code, 1011);
	assert_null(next(&w, SF_COMPLETE_ACK));
	storage_null_break(s->storage, 0);
	drop_frames(&w);
	join_with(s, &w, "wk-1", FEATURES_ALL);
	struct resume_job jobs[] = {{id, true}};
	say(&w, frame_resume(jobs, 1));
	assert_int_equal(next(&w, SF_RESUMED)->n_keep, 1);
	say(&w, frame_complete_json(id, json_true(), NULL));
	assert_non_null(next(&w, SF_COMPLETE_ACK));
	assert_int_equal(job_now(s, id)->state, JOB_DONE);
	drop_frames(&w);
}

static void test_storage_broken_at_start(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	admit(s, "wk-1");
	auto_free char *id = job_submit(s, "llm", "synthetic");
	studio_close(s);
	studio_open(s);
	storage_null_break(s->storage, EIO);
	pass(s, 3500);
	storage_null_break(s->storage, 0);
	dial_with(s, &w, "wk-1", TOKEN);
	hello(&w, TOKEN);
	assert_null(next(&w, SF_WELCOME)); /* the claims are not known yet */
	pass(s, 1000);
	assert_non_null(next(&w, SF_WELCOME));
	beat(&w);
	assert_string_equal(offered(&w), id);
	drop_frames(&w);
}

static int log_lines;

static void count_logs(void *arg, const struct storage_reply *r)
{
	(void)arg;
	log_lines = (int)r->n;
}

static size_t log_total, log_longest;

static void weigh_logs(void *arg, const struct storage_reply *r)
{
	(void)arg;
	log_lines = (int)r->n;
	log_total = log_longest = 0;
	for (size_t i = 0; i < r->n; i++) {
		size_t len = strlen(r->logs[i].message);
		log_total += len;
		log_longest = len > log_longest ? len : log_longest;
		assert_true(utf8_valid(r->logs[i].message, len));
		assert_true(strlen(r->logs[i].category) <= 128);
		assert_true(strlen(r->logs[i].ts) <= 64);
		assert_true(strlen(r->logs[i].level) <= 64);
	}
}

static void weigh(struct studio *s)
{
	s->storage->ops->log_list(s->storage, "wk-1", 0, 1000, weigh_logs, NULL);
	run(s);
}

static void test_logs_are_bounded_by_bytes(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	static char message[20001], name[251];
	static struct log_line l[200];
	for (size_t i = 0; i + 3 <= 20000; i += 3)
		memcpy(message + i, "\xe2\x82\xac", 3);
	memset(name, 'c', 250);
	for (size_t i = 0; i < 200; i++)
		l[i] = (struct log_line){name, name, name, message, NULL};
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	say(&w, frame_log_batch(l, 200));
	say(&w, frame_log_batch(l, 200));
	weigh(s);
	assert_int_equal(log_longest, 4095); /* whole characters only */
	assert_in_range(log_total, 900000, 1 << 20);
	int first = log_lines;
	pass(s, 1000);
	say(&w, frame_log_batch(l, 200));
	weigh(s);
	assert_in_range(log_lines - first, 10, 16); /* 64 KB more */
	drop_frames(&w);
}

static void test_logs_are_stored(void **state)
{
	struct studio *s = *state;
	static struct worker w;
	struct log_line l[2] = {
	    {(char *)(uintptr_t) "2026-05-25T12:00:00.000Z", (char *)(uintptr_t) "info",
	     (char *)(uintptr_t) "ws", (char *)(uintptr_t) "one", NULL},
	    {(char *)(uintptr_t) "2026-05-25T12:00:00.000Z", (char *)(uintptr_t) "warn",
	     (char *)(uintptr_t) "ws", (char *)(uintptr_t) "two", NULL},
	};
	admit(s, "wk-1");
	join(s, &w, "wk-1");
	say(&w, frame_log_batch(l, 2));
	s->storage->ops->log_list(s->storage, "wk-1", 0, 10, count_logs, NULL);
	run(s);
	assert_int_equal(log_lines, 2);
	drop_frames(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_wrong_token),
	    TEST(test_hello_comes_first),
	    TEST(test_hello_before_token_was_read),
	    TEST(test_heartbeats),
	    TEST(test_newer_socket_wins),
	    TEST(test_deleted),
	    TEST(test_slow_reader_is_closed),
	    TEST(test_json_job),
	    TEST(test_ack_waits_for_the_storage),
	    TEST(test_next_job_follows),
	    TEST(test_violations),
	    TEST(test_result_without_accept),
	    TEST(test_json_for_a_file),
	    TEST(test_json_for_a_file_after_restart),
	    TEST(test_failures),
	    TEST(test_failure_goes_to_another_first),
	    TEST(test_withdrawn_and_accepted_late),
	    TEST(test_accepted_too_late),
	    TEST(test_transient_reject),
	    TEST(test_reject_for_good),
	    TEST(test_reject_until_capabilities_change),
	    TEST(test_why_a_job_waits),
	    TEST(test_selection),
	    TEST(test_earliest_connected_first),
	    TEST(test_unserveable_jobs_do_not_block),
	    TEST(test_lost_without_resume),
	    TEST(test_grace),
	    TEST(test_resume_keeps),
	    TEST(test_resume_after_restart),
	    TEST(test_resume_takes_back_what_was_released),
	    TEST(test_resume_takes_nothing_else),
	    TEST(test_resume_answers_an_id_once),
	    TEST(test_resume_without_the_job),
	    TEST(test_back_without_features),
	    TEST(test_finished_but_never_delivered),
	    TEST(test_fail_after_the_claim_ran_out),
	    TEST(test_restart_releases_offers),
	    TEST(test_lost_while_reserving),
	    TEST(test_cancel_is_told),
	    TEST(test_cancelled_result_is_acked_and_dropped),
	    TEST(test_cancelled_offer),
	    TEST(test_progress_and_status),
	    TEST(test_failing_storage_refuses_nobody),
	    TEST(test_failed_reservation),
	    TEST(test_failed_accept),
	    TEST(test_failed_result),
	    TEST(test_storage_broken_at_start),
	    TEST(test_logs_are_bounded_by_bytes),
	    TEST(test_logs_are_stored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
