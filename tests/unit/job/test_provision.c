/* test_provision.c - what happens between accept and the engine: the check, the files, the inputs;
 * and the admission before it. The store is played by this file, by hand.
 * SPDX-License-Identifier: MIT */
/* What the room asks of the store is answered here. */
#define store_hold	    played_hold
#define hold_release	    played_release
#define store_progress_text played_text
#define input_fetch	    played_fetch
#define input_cancel	    played_cancel

#include "tests/unit/job/rig.h"

#include "lib/base/text.h"

#include "worker/job/provision.c"

/* ---- a store played by hand ---- */

struct hold {
	const struct store_events *events;
	void *arg;
	char *model, *job_id;
	size_t n;
};
struct input {
	input_done *done;
	void *arg;
	char *url, *path;
	size_t max;
};
static struct hold *held;
static struct input *inputs[4];
static size_t n_inputs, n_cancelled, n_released, n_holds;
static const char *const paths[] = {"/models/m/a.gguf", "/models/m/b.gguf"};

struct hold *store_hold(struct store *s, const char *model, const struct source_file *files,
			size_t n, const char *id, const struct store_events *ev, void *arg)
{
	(void)s, (void)files;
	held = xcalloc(1, sizeof *held);
	*held = (struct hold){ev, arg, xstrdup(model), xstrdup(id), n};
	n_holds++;
	return held;
}

void hold_release(struct hold *h)
{
	if (!h)
		return;
	assert_ptr_equal(h, held);
	free(h->model);
	free(h->job_id);
	free(h);
	held = NULL;
	n_released++;
}

void store_progress_text(const struct store_progress *p, char *out, size_t size)
{
	snprintf(out, size, "%s %llu", p->filename, (unsigned long long)p->done);
}

struct input *input_fetch(struct store *s, const char *url, const char *path, size_t max,
			  input_done *done, void *arg)
{
	(void)s;
	struct input *in = xcalloc(1, sizeof *in);
	*in = (struct input){done, arg, xstrdup(url), xstrdup(path), max};
	return inputs[n_inputs++] = in;
}

static void input_free(struct input *in)
{
	for (size_t i = 0; i < n_inputs; i++)
		if (inputs[i] == in)
			inputs[i] = NULL;
	free(in->url);
	free(in->path);
	free(in);
}

void input_cancel(struct input *in)
{
	if (!in)
		return;
	n_cancelled++;
	input_free(in);
}

static void input_end(struct rig *r, size_t i, const struct err *err, bool retryable)
{
	struct input *in = inputs[i];
	assert_non_null(in);
	in->done(in->arg, err, retryable);
	input_free(in);
	rig_settle(r);
}

static void hold_end(struct rig *r, const struct err *err, bool retryable)
{
	assert_non_null(held);
	held->events->end(held->arg, err ? NULL : paths, err, retryable);
	rig_settle(r);
}

/* ---- what the engine saw ---- */

static struct {
	char *file, *init, *mask, *ref, *audio;
	uint64_t memory_bytes;
} seen;

static void note(void *arg, const struct engine_job *job)
{
	(void)arg;
	str_replace(&seen.file, job->files ? job->files[job->source->n_files - 1] : NULL);
	str_replace(&seen.init, job->init_image);
	str_replace(&seen.mask, job->mask);
	str_replace(&seen.ref, job->ref_image);
	str_replace(&seen.audio, job->audio);
	seen.memory_bytes = job->memory_bytes;
}

#define FILES                                                                                      \
	"[{\"role\":\"model\",\"url\":\"https://h/a.gguf\",\"filename\":\"a.gguf\"},"              \
	"{\"role\":\"vae\",\"url\":\"https://h/b.gguf\",\"filename\":\"b.gguf\"}]"
#define EDIT                                                                                       \
	"{\"kind\":\"image\",\"prompt\":\"a "                                                      \
	"cat\",\"ext\":\"png\",\"initImageUrl\":\"http://s/i\","                                   \
	"\"maskUrl\":\"http://s/m\"}"

static struct rig *with_store(unsigned features)
{
	static char store;
	struct rig *r = rig_new();
	n_inputs = n_cancelled = n_released = n_holds = 0;
	r->store = (struct store *)(void *)&store;
	r->lab.started = note;
	rig_restart(r);
	rig_link(r, features);
	return r;
}

static void done(struct rig *r)
{
	rig_free(r);
	assert_null(held);
	for (size_t i = 0; i < n_inputs; i++)
		assert_null(inputs[i]);
	str_replace(&seen.file, NULL);
	str_replace(&seen.init, NULL);
	str_replace(&seen.mask, NULL);
	str_replace(&seen.ref, NULL);
	str_replace(&seen.audio, NULL);
}

/* ---- tests ---- */

static void files_and_inputs_come_before_the_engine(void **state)
{
	(void)state;
	struct rig *r = with_store(FEATURE_PROGRESS);
	rig_offer_files(r, "j1", EDIT, "fake", FILES);
	assert_string_equal(held->model, "m");
	assert_string_equal(held->job_id, "j1");
	assert_int_equal(held->n, 2);
	assert_int_equal(n_inputs, 2);
	assert_string_equal(inputs[0]->url, "http://s/i");
	assert_int_equal(inputs[0]->max, INPUT_MAX_IMAGE);
	assert_true(ends_with(inputs[0]->path, "/init"));
	assert_true(ends_with(inputs[1]->path, "/mask"));
	assert_int_equal(r->lab.starts, 0);

	rig_advance(r, 1000);
	struct store_progress p = {.filename = "a.gguf", .done = 25, .total = 100};
	held->events->progress(held->arg, &p);
	struct worker_frame *f = expect_frame(r, WF_PROGRESS, "j1");
	assert_int_equal(f->stage, STAGE_DOWNLOADING);
	assert_true(f->fraction == 0.25);
	assert_string_equal(f->text, "a.gguf 25");

	input_end(r, 1, NULL, false);
	hold_end(r, NULL, false);
	assert_int_equal(r->lab.starts, 0);
	input_end(r, 0, NULL, false);
	assert_int_equal(r->lab.starts, 1);
	assert_string_equal(seen.file, paths[1]);
	assert_true(ends_with(seen.init, "/init") && ends_with(seen.mask, "/mask"));
	assert_null(seen.ref);
	assert_int_equal(seen.memory_bytes, 5ull << 29);
	assert_int_equal(n_released, 0);
	rig_finish(r);
	assert_int_equal(n_released, 1);
	assert_string_equal(r->states, "j1:offered j1:accepted j1:provisioning j1:running "
				       "j1:finished j1:delivering j1:delivered ");
	done(r);
}

static void a_wrong_task_fails_before_anything_is_fetched(void **state)
{
	(void)state;
	struct rig *r = with_store(0);
	r->lab.wrong = "width must be a multiple of 8, 24 to 4096";
	rig_offer_files(r, "j1", EDIT, "fake", FILES);
	struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
	assert_false(f->retryable);
	assert_string_equal(f->text, r->lab.wrong);
	assert_int_equal(n_holds + n_inputs + r->lab.starts, 0);
	assert_int_equal(folder_len(r, "scratch"), 0);
	expect_log(r, "error dispatch failed: width must be a multiple of 8, 24 to 4096\n");
	assert_null(jobs_current(r->jobs));
	done(r);
}

static void the_first_failure_ends_it_all(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	err_set(&e, ENOSPC, "no room");
	for (int which = 0; which < 2; which++) {
		struct rig *r = with_store(0);
		rig_offer_files(r, "j1", EDIT, "fake", FILES);
		if (which)
			hold_end(r, &e, true);
		else
			input_end(r, 0, &e, false);
		struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
		assert_int_equal(f->retryable, which);
		assert_string_equal(f->text, "no room");
		assert_int_equal(n_released, 1);
		assert_int_equal(n_cancelled, which ? 2 : 1);
		assert_int_equal(r->lab.starts, 0);
		assert_int_equal(folder_len(r, "scratch"), 0);
		assert_null(jobs_current(r->jobs));
		done(r);
	}
}

static void cancelled_while_files_come(void **state)
{
	(void)state;
	struct rig *r = with_store(FEATURE_CANCEL);
	rig_offer_files(r, "j1", EDIT, "fake", FILES);
	input_end(r, 0, NULL, false);
	jobs_cancel(r->jobs, "j1");
	assert_null(held);
	assert_int_equal(n_cancelled, 1);
	jobs_cancel(r->jobs, "j1");
	rig_settle(r);
	struct worker_frame *f = expect_frame(r, WF_FAIL, "j1");
	assert_string_equal(f->text, "cancelled");
	assert_false(f->retryable);
	assert_int_equal(r->lab.starts, 0);
	assert_int_equal(folder_len(r, "scratch"), 0);
	assert_null(jobs_current(r->jobs));
	done(r);
}

static void dropped_while_files_come(void **state)
{
	(void)state;
	struct rig *r = with_store(FEATURE_RESUME);
	rig_offer_files(r, "j1", EDIT, "fake", FILES);
	jobs_link_down(r->jobs);
	rig_link(r, FEATURE_RESUME);
	free(jobs_resume_frame(r->jobs));
	size_t before = r->n_frames;
	char *drop[] = {(char *)(uintptr_t) "j1"};
	jobs_resumed(r->jobs, NULL, 0, drop, 1);
	rig_settle(r);
	assert_null(held);
	assert_int_equal(r->n_frames, before);
	assert_null(jobs_current(r->jobs));
	expect_log(r, "info job j1 dropped by the studio\n");
	done(r);
}

static void a_lost_session_does_not_stop_a_download(void **state)
{
	(void)state;
	struct rig *r = with_store(FEATURE_RESUME | FEATURE_PROGRESS);
	rig_offer_files(r, "j1", task_of(KIND_LLM), "fake", FILES);
	jobs_link_down(r->jobs);
	size_t before = r->n_frames;
	struct store_progress p = {.filename = "a.gguf", .done = 25};
	held->events->progress(held->arg, &p);
	rig_advance(r, 1000);
	assert_int_equal(r->n_frames, before);
	rig_link(r, FEATURE_RESUME);
	free(jobs_resume_frame(r->jobs));
	char *keep[] = {(char *)(uintptr_t) "j1"};
	jobs_resumed(r->jobs, keep, 1, NULL, 0);
	hold_end(r, NULL, false);
	assert_int_equal(r->lab.starts, 1);
	rig_finish(r);
	expect_frame(r, WF_COMPLETE_JSON, "j1");
	done(r);
}

static void shut_down_while_files_come(void **state)
{
	(void)state;
	struct rig *r = with_store(0);
	rig_offer_files(r, "j1", EDIT, "fake", FILES);
	jobs_free(r->jobs);
	assert_null(held);
	assert_int_equal(n_cancelled, 2);
	rig_settle(r);
	rig_open(r);
	assert_int_equal(r->lab.starts, 0);
	assert_int_equal(folder_len(r, "scratch"), 0);
	done(r);
}

/* The engine has the files open until it ended. */
static void shut_down_while_the_engine_runs(void **state)
{
	(void)state;
	struct rig *r = with_store(0);
	r->lab.cancel_ms = 100;
	rig_offer_files(r, "j1", task_of(KIND_LLM), "fake", FILES);
	hold_end(r, NULL, false);
	assert_int_equal(r->lab.starts, 1);
	jobs_free(r->jobs);
	rig_settle(r);
	assert_non_null(held);
	rig_advance(r, 100);
	assert_null(held);
	rig_open(r);
	done(r);
}

static void nothing_to_bring(void **state)
{
	(void)state;
	struct rig *r = with_store(0);
	rig_offer(r, "j1", KIND_TTS);
	assert_int_equal(r->lab.starts, 1);
	assert_int_equal(n_holds + n_inputs, 0);
	assert_null(seen.file);
	rig_finish(r);
	rig_offer(r, "j2", KIND_STT); /* all in memory: there is no folder for an input */
	assert_int_equal(r->lab.starts, 2);
	done(r);
}

static void a_refusal_lets_the_files_go(void **state)
{
	(void)state;
	struct rig *r = with_store(0);
	r->lab.refuse = "it is no GGUF file";
	rig_offer_files(r, "j1", task_of(KIND_LLM), "fake", FILES);
	hold_end(r, NULL, false);
	expect_frame(r, WF_FAIL, "j1");
	assert_int_equal(n_released, 1);
	done(r);
}

static void each_kind_has_its_inputs(void **state)
{
	(void)state;
	struct rig *r = with_store(0);
	struct engine_ops ops = *engines_at(r->engines, 0)->ops;
	ops.in_memory = 0;
	engines_at(r->engines, 0)->ops = &ops;
	rig_offer(r, "j1", KIND_STT);
	assert_int_equal(n_inputs, 1);
	assert_string_equal(inputs[0]->url, "http://a/b.wav");
	assert_int_equal(inputs[0]->max, INPUT_MAX_AUDIO);
	input_end(r, 0, NULL, false);
	assert_true(ends_with(seen.audio, "/audio"));
	rig_finish(r);
	rig_offer_as(r, "j2",
		     "{\"kind\":\"video\",\"prompt\":\"a dog\",\"initImageUrl\":\"http://s/i\"}",
		     "fake");
	input_end(r, 1, NULL, false);
	assert_true(ends_with(seen.init, "/init"));
	rig_finish(r);
	rig_offer_as(
	    r, "j3",
	    "{\"kind\":\"image\",\"prompt\":\"a\",\"ext\":\"png\",\"refImageUrl\":\"http://s/r\"}",
	    "fake");
	input_end(r, 2, NULL, false);
	assert_true(ends_with(seen.ref, "/ref"));
	assert_null(seen.init);
	done(r);
}

/* ---- admission ---- */

static unsigned asked;

static int too_big(void *arg, const struct claim *c, struct err *e)
{
	(void)arg;
	asked++;
	return c->vram_gb_estimate > 2 ? err_set(e, ENOMEM, "it needs 2.5 GB, 1 GB is free") : 0;
}

static void what_can_not_fit_is_rejected(void **state)
{
	(void)state;
	struct rig *r = with_store(0);
	asked = 0;
	r->admit = too_big;
	rig_restart(r);
	rig_link(r, 0);
	rig_offer(r, "j1", KIND_LLM);
	struct worker_frame *f = expect_frame(r, WF_REJECT, "j1");
	assert_string_equal(f->text, "it needs 2.5 GB, 1 GB is free");
	assert_null(f->code);
	expect_log(r, "info rejecting offer j1: it needs 2.5 GB, 1 GB is free\n");
	assert_null(jobs_current(r->jobs));
	assert_int_equal(asked, 1);
	jobs_pause(r->jobs, true);
	rig_offer(r, "j2", KIND_LLM);
	assert_string_equal(expect_frame(r, WF_REJECT, "j2")->code, "paused");
	assert_int_equal(asked, 1);
	done(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_and_inputs_come_before_the_engine),
	    cmocka_unit_test(a_wrong_task_fails_before_anything_is_fetched),
	    cmocka_unit_test(the_first_failure_ends_it_all),
	    cmocka_unit_test(cancelled_while_files_come),
	    cmocka_unit_test(dropped_while_files_come),
	    cmocka_unit_test(a_lost_session_does_not_stop_a_download),
	    cmocka_unit_test(shut_down_while_files_come),
	    cmocka_unit_test(shut_down_while_the_engine_runs),
	    cmocka_unit_test(nothing_to_bring),
	    cmocka_unit_test(a_refusal_lets_the_files_go),
	    cmocka_unit_test(each_kind_has_its_inputs),
	    cmocka_unit_test(what_can_not_fit_is_rejected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
