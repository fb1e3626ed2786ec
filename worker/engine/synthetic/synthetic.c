/* synthetic.c - engine `synthetic`: results of every kind from the SHA-256 of the prompt, without
 * any model. JSON is answered in the next turn of the loop, files are made in the pool, videos
 * encoded by ffmpeg. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/fs/sha256.h"
#include "worker/engine/program.h"
#include "worker/engine/synthetic/run.h"

#define SAMPLE_MS 250 /* how often the progress is looked at */

extern const struct engine_ops synthetic_engine;

static struct synthetic *synthetic_of(struct engine *e)
{
	return container_of(e, struct synthetic, base);
}

static struct engine *new (const struct engine_env *env)
{
	struct synthetic *s = xcalloc(1, sizeof *s);
	s->base.ops = &synthetic_engine;
	s->env = *env;
	s->env.models_root = s->models_root = xstrdup_opt(env->models_root);
	engine_program_refresh(&s->ffmpeg, "ffmpeg", env);
	return &s->base;
}

static void free_engine(struct engine *e)
{
	struct synthetic *s = synthetic_of(e);
	free(s->ffmpeg);
	free(s->models_root);
	free(s);
}

static void info(struct engine *e, bool ask, struct engine_info *out)
{
	struct synthetic *s = synthetic_of(e);
	(void)ask; /* nothing has to be started for it */
	engine_program_refresh(&s->ffmpeg, "ffmpeg", &s->env);
	*out = (struct engine_info){.version = PROGRAM_VERSION};
	if (!s->ffmpeg)
		out->missing = "video, ogg and mp3 need ffmpeg; " TRANSCODE_REMEDY;
}

static void advertise(struct engine *e, struct capabilities *c)
{
	static const char *const names[KIND_COUNT] = {
	    [KIND_IMAGE] = "synthetic-image", [KIND_LLM] = "synthetic-llm",
	    [KIND_STT] = "synthetic-stt",     [KIND_TTS] = "synthetic-tts",
	    [KIND_VIDEO] = "synthetic-video",
	};
	struct synthetic *s = synthetic_of(e);
	engine_program_refresh(&s->ffmpeg, "ffmpeg", &s->env);
	for (int k = 0; k < KIND_COUNT; k++) {
		if (k == KIND_VIDEO && !s->ffmpeg)
			continue;
		capabilities_add_model(c, (enum kind)k, "synthetic");
		capabilities_add_model(c, (enum kind)k, names[k]);
	}
}

/* ---- helpers of the kinds ---- */

void run_key(const char *domain, const char *text, const char *more, unsigned char key[32])
{
	auto_free char *all =
	    xasprintf("%s\n%zu\n%s\n%s", domain, strlen(text), text, more ? more : "");
	sha256_raw(all, strlen(all), key);
}

int run_check_size(int64_t w, int64_t h, int64_t max_side, int64_t max_pixels, struct err *err)
{
	if (w < 1 || h < 1 || w > max_side || h > max_side)
		return err_set(err, EINVAL,
			       "a size of %lldx%lld is out of range: 1 to %lld pixels a side",
			       (long long)w, (long long)h, (long long)max_side);
	if (w * h > max_pixels)
		return err_set(err, EINVAL,
			       "a size of %lldx%lld is over the limit of %lld megapixels",
			       (long long)w, (long long)h, (long long)(max_pixels / 1000000));
	return 0;
}

/* ---- a run ---- */

static void release(struct engine_run *r)
{
	timer_stop(&r->timer);
	free(r->picture);
	free(r->file);
	free(r->ext);
	free(r->input);
	free(r);
}

static int check_file(struct engine_run *r)
{
	uint64_t size;
	int rc = fs_size(r->file, &size, &r->error);
	if (rc == 0 && size == 0)
		rc = err_set(&r->error, EIO, "the result is an empty file");
	return rc;
}

static void finish(struct engine_run *r)
{
	struct engine_result result = {.file = r->file, .ext = r->ext};
	if (r->cancelled)
		err_set(&r->error, ECANCELED, "cancelled");
	bool ok = !r->error.code && check_file(r) == 0;
	r->ev->end(r->arg, ok ? &result : NULL, ok ? NULL : &r->error, !ok && !r->cancelled);
	release(r);
}

/* A part of the run has ended; with an error the other part is told to end as well. */
static void part_ended(struct engine_run *r, const struct err *err)
{
	if (err && !r->error.code)
		r->error = *err;
	if (err)
		atomic_store(&r->stop, true);
	if (err && r->transcode)
		transcode_kill(r->transcode);
	if (--r->pending == 0)
		finish(r);
}

static void sample(void *arg)
{
	struct engine_run *r = arg;
	double f = r->total > 0 ? (double)atomic_load(&r->done) / (double)r->total : -1;
	timer_start(&r->timer, r->engine->env.clock, SAMPLE_MS, sample, r);
	if (r->converted >= 0)
		f = r->job->task->kind == KIND_VIDEO ? r->converted : 0.7 + 0.3 * r->converted;
	r->ev->progress(r->arg, STAGE_RUNNING, f, r->converted > 0 ? "encoding" : "drawing");
}

static void transcoding(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->converted = fraction;
}

static void transcoded(void *arg, const struct err *err)
{
	struct engine_run *r = arg;
	r->transcode = NULL;
	part_ended(r, err);
}

int run_transcode(struct engine_run *r, struct transcode_spec *spec, struct err *err)
{
	static const struct transcode_events events = {.progress = transcoding, .end = transcoded};
	spec->ffmpeg = r->engine->ffmpeg;
	spec->job_id = r->job->job_id;
	spec->input = r->input;
	spec->output = r->file;
	spec->ext = r->ext;
	r->transcode = transcode_start(&r->engine->env, spec, &events, r, err);
	if (!r->transcode)
		return -err->code;
	r->converted = 0;
	r->pending++;
	return 0;
}

static void run(struct work *w)
{
	struct engine_run *r = container_of(w, struct engine_run, work);
	int rc = 0;
	if (r->job->task->kind == KIND_IMAGE)
		rc = image_render(r, &r->work_error);
	else if (r->job->task->kind == KIND_TTS)
		rc = melody_render(r, &r->work_error);
	else
		rc = video_render(r, &r->work_error);
	if (rc < 0 && !r->work_error.code)
		err_set(&r->work_error, -rc, "the result could not be made");
}

static void after(struct work *w)
{
	struct engine_run *r = container_of(w, struct engine_run, work);
	struct err e = ERR_INIT;
	bool convert =
	    r->job->task->kind == KIND_TTS && r->input && !r->work_error.code && !r->cancelled;
	if (convert) {
		struct transcode_spec spec = {.deadline_ms = 120000};
		if (run_transcode(r, &spec, &e) < 0)
			r->work_error = e;
	}
	/* When ffmpeg has gone, its own words say more than our broken pipe. */
	bool pipe = r->work_error.code == EPIPE;
	if (pipe && !r->transcode && !r->error.code)
		pipe = false;
	part_ended(r, r->work_error.code && !pipe ? &r->work_error : NULL);
}

static void answer(void *arg)
{
	struct engine_run *r = arg;
	struct engine_result result = {NULL, NULL, NULL};
	struct err e = ERR_INIT;
	if (r->cancelled)
		err_set(&e, ECANCELED, "cancelled");
	else if (r->job->task->kind == KIND_LLM)
		result.json = answer_llm(r->job, clock_wall(r->engine->env.clock));
	else
		result.json = answer_stt(r->job);
	r->ev->end(r->arg, e.code ? NULL : &result, e.code ? &e : NULL, false);
	json_decref(result.json);
	release(r);
}

static int prepare(struct engine_run *r, bool *retryable, struct err *err)
{
	switch (r->job->task->kind) {
	case KIND_IMAGE:
		return image_prepare(r, err);
	case KIND_TTS:
		return melody_prepare(r, err);
	case KIND_VIDEO:
		return video_prepare(r, err);
	default:
		*retryable = false;
		return 0;
	}
}

static struct engine_run *start(struct engine *e, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	struct synthetic *s = synthetic_of(e);
	struct engine_run *r = xcalloc(1, sizeof *r);
	*r = (struct engine_run){.engine = s, .job = job, .ev = ev, .arg = arg, .converted = -1};
	*retryable = false;
	if (prepare(r, retryable, err) < 0) {
		release(r);
		return NULL;
	}
	if (!kind_is_bytes(job->task->kind)) {
		timer_start(&r->timer, s->env.clock, 0, answer, r);
		return r;
	}
	r->work = (struct work){.run = run, .after = after};
	r->pending++;
	timer_start(&r->timer, s->env.clock, 0, sample, r);
	pool_submit(s->env.pool, &r->work);
	return r;
}

static void cancel(struct engine_run *r)
{
	r->cancelled = true;
	atomic_store(&r->stop, true);
	if (r->transcode)
		transcode_kill(r->transcode);
}

const struct engine_ops synthetic_engine = {
    .name = "synthetic",
    .kinds = KIND_BIT(KIND_IMAGE) | KIND_BIT(KIND_LLM) | KIND_BIT(KIND_STT) | KIND_BIT(KIND_TTS) |
	     KIND_BIT(KIND_VIDEO),
    .in_memory = KIND_BIT(KIND_LLM) | KIND_BIT(KIND_STT),
    .summary = "results of every kind without a model, the same for the same prompt",
    .new = new,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .start = start,
    .cancel = cancel,
};
