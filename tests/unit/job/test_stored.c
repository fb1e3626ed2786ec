/* test_stored.c - jobs whose model files the real store brings, from a folder on disk.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/job/rig.h"

#include "worker/model/store.h"

#define SHA_OF_GGUF "8a16b0a36bf3b97a7df3cd2b6bd1ee1b86f2b7f5a0c5b3c5e7a1b0d1c2e3f4a5"

static char *seen; /* the path the engine was given */

static void note(void *arg, const struct engine_job *job)
{
	(void)arg;
	str_replace(&seen, engine_job_file(job, "model"));
}

struct stored {
	struct rig *rig;
	char *root, *file;
};

static void set_up(struct stored *s, const char *where)
{
	struct err e = ERR_INIT;
	struct rig *r = s->rig = rig_new();
	s->root = fs_join(r->dir, "models");
	auto_free char *folder = fs_join(s->root, where);
	s->file = fs_join(folder, "a.gguf");
	assert_int_equal(fs_mkdirs(folder, 0700, &e), 0);
	assert_int_equal(fs_write_atomic(s->file, "GGUF....", 8, 0600, &e), 0);
	struct store_deps d = {
	    .clock = &r->clock,
	    .pool = &r->pool.pool,
	    .log = &r->log,
	    .net = &r->client->transport,
	    .models_root = s->root,
	};
	r->store = store_new(&d);
	r->lab.started = note;
	rig_restart(r);
	rig_link(r, 0);
}

static void tear_down(struct stored *s)
{
	jobs_free(s->rig->jobs);
	s->rig->jobs = NULL;
	rig_advance(s->rig, 1000);
	store_free(s->rig->store);
	rig_free(s->rig);
	free(s->root);
	free(s->file);
	str_replace(&seen, NULL);
}

static void offer(struct stored *s, const char *id, const char *url, const char *more)
{
	auto_free char *files = xasprintf("[{\"role\":\"model\",\"url\":\"%s\",\"filename\":"
					  "\"a.gguf\"%s}]",
					  url, more);
	rig_offer_files(s->rig, id, task_of(KIND_LLM), "fake", files);
	rig_advance(s->rig, 1000);
}

static void a_file_that_is_there_is_used(void **state)
{
	(void)state;
	static const char *const places[] = {"m", "."};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct stored s;
		set_up(&s, places[i]);
		offer(&s, "j1", "https://h/a.gguf", ",\"approxBytes\":8");
		assert_int_equal(s.rig->lab.starts, 1);
		auto_free char *want = realpath(s.file, NULL), *got = realpath(seen, NULL);
		assert_string_equal(got, want);
		rig_finish(s.rig);
		expect_frame(s.rig, WF_COMPLETE_JSON, "j1");
		tear_down(&s);
	}
}

/* Another file of that name is the owner's: in the way, not overwritten. */
static void the_wrong_file_fails_the_job_and_stays(void **state)
{
	(void)state;
	struct stored s;
	set_up(&s, "m");
	offer(&s, "j1", "https://h/a.gguf", ",\"sha256\":\"" SHA_OF_GGUF "\"");
	struct worker_frame *f = expect_frame(s.rig, WF_FAIL, "j1");
	assert_non_null(strstr(f->text, "a.gguf"));
	assert_int_equal(s.rig->lab.starts, 0);
	assert_true(fs_exists(s.file));
	assert_null(jobs_current(s.rig->jobs));
	tear_down(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_that_is_there_is_used),
	    cmocka_unit_test(the_wrong_file_fails_the_job_and_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
