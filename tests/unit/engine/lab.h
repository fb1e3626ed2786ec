/* lab.h - runs one job of a real engine on a real loop and keeps what it said.
 * SPDX-License-Identifier: MIT */
#ifndef LAB_H
#define LAB_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/loop/loop.h"
#include "lib/base/buf.h"
#include "worker/engine/registry.h"

#define LAB_DEADLINE_MS 60000

struct lab {
	struct loop loop;
	struct log log;
	struct log_sink sink;
	struct engine_env env;
	struct engines *engines;
	char dir[64], *scratch;
	/* of the next runs, where the engine is `provisioned` and no store is there to do it */
	const char *model_files;  /* JSON: the source's files; NULL: none */
	const char *const *paths; /* where they are */
	const char *audio;	  /* what the task's inputUrl points to */
	/* of the last run */
	struct task *task;
	struct source *source;
	struct engine_job job;
	struct engine *engine;
	struct engine_run *run;
	struct timer deadline;
	bool ended, retryable;
	struct err error;
	char *file, *ext;
	json_t *json;
	unsigned progress, lines;
	double fraction;
	char last_line[512];
};

static inline void lab_line(struct log_sink *s, const struct log_entry *e)
{
	struct lab *lab = container_of(s, struct lab, sink);
	lab->lines++;
	snprintf(lab->last_line, sizeof lab->last_line, "%s", e->message);
	assert_string_equal(e->category, "engine");
	assert_string_equal(e->job_id, "job-1");
}

static inline int lab_setup(void **state)
{
	struct lab *lab = xcalloc(1, sizeof *lab);
	struct err e = ERR_INIT;
	if (loop_init(&lab->loop, &e) < 0)
		return -1;
	snprintf(lab->dir, sizeof lab->dir, "/tmp/engine-XXXXXX");
	if (!mkdtemp(lab->dir))
		return -1;
	log_init(&lab->log, &lab->loop.clock);
	lab->sink.write = lab_line;
	log_add_sink(&lab->log, &lab->sink);
	lab->env = (struct engine_env){
	    .loop = &lab->loop,
	    .clock = &lab->loop.clock,
	    .pool = &lab->loop.pool,
	    .log = &lab->log,
	    .models_root = lab->dir,
	};
	lab->engines = engines_new(&lab->env);
	*state = lab;
	return 0;
}

static inline void lab_forget(struct lab *lab)
{
	struct err e = ERR_INIT;
	task_free(lab->task);
	source_free(lab->source);
	lab->task = NULL;
	lab->source = NULL;
	free(lab->file);
	free(lab->ext);
	json_decref(lab->json);
	lab->file = lab->ext = NULL;
	lab->json = NULL;
	if (lab->scratch)
		fs_remove_tree(lab->scratch, &e);
	free(lab->scratch);
	lab->scratch = NULL;
	lab->ended = false;
	lab->progress = lab->lines = 0;
	err_clear(&lab->error);
}

static inline int lab_teardown(void **state)
{
	struct lab *lab = *state;
	struct err e = ERR_INIT;
	lab_forget(lab);
	engines_free(lab->engines);
	log_remove_sink(&lab->log, &lab->sink);
	loop_fini(&lab->loop);
	fs_remove_tree(lab->dir, &e);
	free(lab);
	return 0;
}

static inline void lab_progress(void *arg, enum stage stage, double fraction, const char *detail)
{
	struct lab *lab = arg;
	(void)stage;
	(void)detail;
	assert_false(lab->ended);
	assert_true(fraction <= 1);
	lab->progress++;
	lab->fraction = fraction;
}

static inline void lab_end(void *arg, const struct engine_result *result, const struct err *error,
			   bool retryable)
{
	struct lab *lab = arg;
	assert_false(lab->ended);
	assert_true(!result != !error);
	lab->ended = true;
	lab->retryable = retryable;
	lab->run = NULL;
	if (error)
		lab->error = *error;
	if (result && result->file) {
		lab->file = xstrdup(result->file);
		lab->ext = xstrdup(result->ext);
		assert_int_equal(strncmp(lab->file, lab->scratch, strlen(lab->scratch)), 0);
	}
	if (result && result->json)
		lab->json = json_incref(result->json);
	loop_stop(&lab->loop);
}

static inline void lab_too_late(void *arg)
{
	(void)arg;
	fail_msg("the engine did not end within %d ms", LAB_DEADLINE_MS);
}

/* task: JSON. Returns false when start() refused; the error is in lab->error. */
static inline bool lab_start(struct lab *lab, const char *engine, const char *task)
{
	static const struct engine_events events = {.progress = lab_progress, .end = lab_end};
	struct err e = ERR_INIT;
	lab_forget(lab);
	lab->scratch = fs_join(lab->dir, "scratch");
	assert_int_equal(fs_mkdirs(lab->scratch, 0700, &e), 0);
	json_t *t = json_parse(task, strlen(task), &e);
	const char *files = lab->model_files ? lab->model_files : "[]";
	json_t *s = json_pack("{s:s, s:o, s:{s:f, s:i, s:i, s:i}}", "engine", engine, "files",
			      json_parse(files, strlen(files), &e), "cliDefaults", "cfgScale", 7.0,
			      "steps", 20, "width", 512, "height", 512);
	if (task_decode(t, &lab->task, &e) < 0 || source_decode(s, &lab->source, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(t);
	json_decref(s);
	lab->job = (struct engine_job){.job_id = "job-1",
				       .model = "a-model",
				       .task = lab->task,
				       .source = lab->source,
				       .scratch = lab->scratch,
				       .files = lab->paths,
				       .audio = lab->audio};
	lab->engine = engines_route(lab->engines, engine, lab->task->kind, &lab->error);
	if (!lab->engine)
		return false;
	lab->run = lab->engine->ops->start(lab->engine, &lab->job, &events, lab, &lab->retryable,
					   &lab->error);
	assert_false(lab->ended);
	return lab->run != NULL;
}

static inline void lab_wait(struct lab *lab)
{
	timer_start(&lab->deadline, &lab->loop.clock, LAB_DEADLINE_MS, lab_too_late, lab);
	loop_run(&lab->loop);
	timer_stop(&lab->deadline);
	assert_true(lab->ended);
}

/* The whole of a run that must go well. */
static inline void lab_run(struct lab *lab, const char *engine, const char *task)
{
	if (!lab_start(lab, engine, task))
		fail_msg("%s", lab->error.text);
	lab_wait(lab);
	if (lab->error.code)
		fail_msg("%s", lab->error.text);
}

static inline void lab_cancel(void *arg)
{
	struct lab *lab = arg;
	lab->engine->ops->cancel(lab->run);
	assert_false(lab->ended);
}

/* A run cancelled after `after_ms`; it must end with ECANCELED within 3 s. */
static inline void lab_run_cancelled(struct lab *lab, const char *engine, const char *task,
				     uint64_t after_ms)
{
	struct timer t = {0};
	if (!lab_start(lab, engine, task))
		fail_msg("%s", lab->error.text);
	uint64_t begin = clock_now(&lab->loop.clock);
	timer_start(&t, &lab->loop.clock, after_ms, lab_cancel, lab);
	lab_wait(lab);
	assert_int_equal(lab->error.code, ECANCELED);
	assert_false(lab->retryable);
	assert_true(clock_now(&lab->loop.clock) - begin < after_ms + 3000);
}

static inline void lab_refused(struct lab *lab, const char *engine, const char *task,
			       const char *words)
{
	assert_false(lab_start(lab, engine, task));
	assert_false(lab->retryable);
	assert_int_not_equal(lab->error.code, 0);
	if (!strstr(lab->error.text, words))
		fail_msg("\"%s\" does not say \"%s\"", lab->error.text, words);
}

/* What a command prints, cut at the end of `out`. */
static inline void lab_shell(char *out, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
static inline void lab_shell(char *out, size_t size, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	auto_free char *command = xvasprintf(fmt, ap);
	va_end(ap);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	out[fread(out, 1, size - 1, f)] = '\0';
	assert_int_equal(pclose(f), 0);
}

#endif
