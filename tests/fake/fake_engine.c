/* fake_engine.c - see fake_engine.h.
 * SPDX-License-Identifier: MIT */
#include "tests/fake/fake_engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"

struct fake_engine {
	struct engine engine;
	struct fake_lab *lab;
};

struct fake_run {
	struct list_node node;
	struct fake_lab *lab;
	const struct engine_events *events;
	void *arg;
	char *job_id, *prompt, *scratch, *ext; /* ext NULL: a JSON kind */
	struct timer timer;
	struct err error; /* code 0: it will succeed */
	bool retryable;
};

char *fake_result_bytes(const char *job_id, const char *prompt, size_t *len)
{
	char hex[SHA256_HEX_LEN];
	auto_free char *key = xasprintf("%s\n%s", job_id, prompt);
	sha256_hex(key, strlen(key), hex);
	*len = 64 + 64 * (size_t)(unsigned char)(hex[0] - '0');
	char *bytes = xmalloc(*len);
	for (size_t i = 0; i < *len; i++)
		bytes[i] = (char)(hex[i % 64] + (char)(i / 64 % 64));
	return bytes;
}

json_t *fake_result_json(const char *job_id, const char *prompt)
{
	char hex[SHA256_HEX_LEN];
	auto_free char *key = xasprintf("%s\n%s", job_id, prompt);
	sha256_hex(key, strlen(key), hex);
	return json_pack("{s:s, s:s, s:i}", "id", job_id, "text", hex, "n", (int)strlen(prompt));
}

static void run_free(struct fake_run *r)
{
	list_remove(&r->lab->runs, &r->node);
	timer_stop(&r->timer);
	free(r->job_id);
	free(r->prompt);
	free(r->scratch);
	free(r->ext);
	free(r);
}

static void end_json(struct fake_run *r)
{
	json_t *json = fake_result_json(r->job_id, r->prompt);
	struct engine_result result = {.json = json};
	r->events->end(r->arg, &result, NULL, false);
	json_decref(json);
}

static void end_file(struct fake_run *r)
{
	size_t len;
	auto_free char *bytes = fake_result_bytes(r->job_id, r->prompt, &len);
	auto_free char *name = xasprintf("result.%s", r->ext);
	auto_free char *path = fs_join(r->scratch, name);
	FILE *f = fopen(path, "wb");
	size_t put = f ? fwrite(bytes, 1, len, f) : 0;
	if (f)
		fclose(f);
	if (put == len) {
		struct engine_result result = {.file = path, .ext = r->ext};
		r->events->end(r->arg, &result, NULL, false);
		return;
	}
	err_set(&r->error, EIO, "fake engine can't write to its scratch folder");
	r->events->end(r->arg, NULL, &r->error, true);
}

static void end_run(void *arg)
{
	struct fake_run *r = arg;
	/* No more part of the lab while it ends: the owner may look for runs, or start the next. */
	list_remove(&r->lab->runs, &r->node);
	if (r->lab->ended)
		r->lab->ended(r->lab->arg, r->job_id, !r->error.code);
	if (r->error.code)
		r->events->end(r->arg, NULL, &r->error, r->retryable);
	else if (r->ext)
		end_file(r);
	else
		end_json(r);
	run_free(r);
}

static struct engine *new_engine(const struct engine_env *env)
{
	struct fake_engine *e = xcalloc(1, sizeof *e);
	e->engine.ops = &fake_engine_ops;
	e->lab = container_of((struct engine_env *)(uintptr_t)env, struct fake_lab, env);
	return &e->engine;
}

static void free_engine(struct engine *e)
{
	free(container_of(e, struct fake_engine, engine));
}

static void info(struct engine *e, bool ask, struct engine_info *out)
{
	(void)ask;
	(void)e;
	*out = (struct engine_info){.version = "1"};
}

static void advertise(struct engine *e, struct capabilities *c)
{
	(void)e;
	capabilities_add_model(c, KIND_IMAGE, "fake-image");
	capabilities_add_model(c, KIND_LLM, "fake-llm");
	capabilities_add_model(c, KIND_STT, "fake-stt");
	capabilities_add_model(c, KIND_TTS, "fake-tts");
	capabilities_add_model(c, KIND_VIDEO, "fake-video");
}

static int check(struct engine *e, const struct engine_job *job, struct err *err)
{
	struct fake_lab *lab = container_of(e, struct fake_engine, engine)->lab;
	if (job->files || job->scratch || job->init_image)
		abort(); /* comes before everything */
	return lab->wrong ? err_set(err, EINVAL, "%s", lab->wrong) : 0;
}

static void decide(struct fake_lab *lab, const struct engine_job *job, struct fake_run *r)
{
	bool retryable = true;
	if (lab->fails && lab->fails(lab->arg, job, &retryable)) {
		err_set(&r->error, EIO, "fake engine failed");
		r->retryable = retryable;
	}
	if (lab->duration)
		timer_start(&r->timer, lab->env.clock, lab->duration(lab->arg, job), end_run, r);
}

/* NULL for kinds whose result is JSON. */
static const char *asked_ext(const struct task *t)
{
	switch (t->kind) {
	case KIND_IMAGE:
		return t->image.ext;
	case KIND_TTS:
		return t->tts.ext;
	case KIND_VIDEO:
		return t->video.ext;
	default:
		return NULL;
	}
}

static struct engine_run *start(struct engine *e, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	struct fake_lab *lab = container_of(e, struct fake_engine, engine)->lab;
	if (lab->refuse) {
		*retryable = lab->refuse_retryable;
		err_set(err, EINVAL, "%s", lab->refuse);
		return NULL;
	}
	struct fake_run *r = xcalloc(1, sizeof *r);
	r->lab = lab;
	r->events = ev;
	r->arg = arg;
	r->job_id = xstrdup(job->job_id);
	r->prompt = xstrdup(task_prompt(job->task));
	r->scratch = xstrdup_opt(job->scratch);
	r->ext = xstrdup_opt(asked_ext(job->task));
	list_push_back(&lab->runs, &r->node);
	lab->starts++;
	if (lab->started)
		lab->started(lab->arg, job);
	decide(lab, job, r);
	return (struct engine_run *)r;
}

static void cancel(struct engine_run *run)
{
	struct fake_run *r = (struct fake_run *)run;
	r->lab->cancels++;
	err_set(&r->error, ECANCELED, "cancelled");
	r->retryable = false;
	timer_start(&r->timer, r->lab->env.clock, r->lab->cancel_ms, end_run, r);
}

const struct engine_ops fake_engine_ops = {
    .name = "fake",
    .kinds = (1u << KIND_COUNT) - 1,
    .in_memory = KIND_BIT(KIND_STT),
    .provisioned = (1u << KIND_COUNT) - 1,
    .summary = "for tests",
    .new = new_engine,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .check = check,
    .start = start,
    .cancel = cancel,
};
const struct engine_ops *const fake_engine_table[] = {&fake_engine_ops, NULL};

void fake_lab_init(struct fake_lab *lab, struct clock *clock, struct log *log, struct pool *pool)
{
	*lab = (struct fake_lab){.env = {.clock = clock, .log = log, .pool = pool}};
	list_init(&lab->runs);
}

void fake_lab_crash(struct fake_lab *lab)
{
	list_each_safe (n, &lab->runs)
		run_free(list_entry(n, struct fake_run, node));
}

void fake_lab_stop(struct fake_lab *lab)
{
	for (struct list_node *n; (n = list_first(&lab->runs));) {
		struct fake_run *r = list_entry(n, struct fake_run, node);
		timer_stop(&r->timer);
		err_set(&r->error, ECANCELED, "stopped");
		end_run(r);
	}
}

struct fake_run *fake_lab_run(struct fake_lab *lab, const char *job_id)
{
	list_each (n, &lab->runs) {
		struct fake_run *r = list_entry(n, struct fake_run, node);
		if (!job_id || !strcmp(job_id, r->job_id))
			return r;
	}
	return NULL;
}

void fake_run_progress(struct fake_run *r, enum stage stage, double fraction, const char *detail)
{
	r->events->progress(r->arg, stage, fraction, detail);
}

void fake_run_finish(struct fake_run *r)
{
	timer_start(&r->timer, r->lab->env.clock, 0, end_run, r);
}

void fake_run_fail(struct fake_run *r, const char *error, bool retryable)
{
	err_set(&r->error, EIO, "%s", error);
	r->retryable = retryable;
	timer_start(&r->timer, r->lab->env.clock, 0, end_run, r);
}
