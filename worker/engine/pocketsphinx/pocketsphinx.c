/* pocketsphinx.c - engine `pocketsphinx`: a small English recogniser that every distribution has,
 * for machines without whisper.cpp. Jobs come here only when their model says so: there is no
 * falling back to it, and every result names it in the log.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/loop/child.h"
#include "worker/engine/audio.h"
#include "lib/loop/output.h"
#include "worker/engine/pocketsphinx/lines.h"
#include "worker/engine/program.h"
#include "worker/engine/transcode.h"

#define BETTER "a small English recogniser; install whisper.cpp for real transcription"
#define REMEDY                                                                                     \
	"the program pocketsphinx is missing; install it (Debian, Ubuntu: apt install "            \
	"pocketsphinx pocketsphinx-en-us)"
/* The last utterance is ended by silence; version 5 loses it otherwise. */
#define PAD_S	    0.5
#define DEADLINE_MS 60000
#define SLOWEST	    8 /* seconds a second of speech; measured: 0.5 on one core */

struct sphinx {
	struct engine base;
	struct engine_env env; /* a copy */
	char *models_root;
	char *continuous, *five, *ffmpeg; /* the two programs; NULL: not found */
};

extern const struct engine_ops pocketsphinx_engine;

struct engine_run {
	struct sphinx *engine;
	const struct engine_job *job;
	const struct engine_events *ev;
	void *arg;
	char *wav;
	double seconds;
	struct audio *audio; /* while converting */
	struct child *child; /* then */
	struct lines lines;
	struct output output;
	char *complaint;
	uint64_t deadline_ms;
	bool cancelled;
};

static struct sphinx *sphinx_of(struct engine *e)
{
	return container_of(e, struct sphinx, base);
}

static void look(struct sphinx *s)
{
	engine_program_refresh(&s->continuous, "pocketsphinx_continuous", &s->env);
	engine_program_refresh(&s->five, "pocketsphinx", &s->env);
	engine_program_refresh(&s->ffmpeg, "ffmpeg", &s->env);
}

static const char *program(const struct sphinx *s)
{
	return s->five ? s->five : s->continuous;
}

static struct engine *new (const struct engine_env *env)
{
	struct sphinx *s = xcalloc(1, sizeof *s);
	s->base.ops = &pocketsphinx_engine;
	s->env = *env;
	s->env.models_root = s->models_root = xstrdup_opt(env->models_root);
	look(s);
	return &s->base;
}

static void free_engine(struct engine *base)
{
	struct sphinx *s = sphinx_of(base);
	free(s->continuous);
	free(s->five);
	free(s->ffmpeg);
	free(s->models_root);
	free(s);
}

static void info(struct engine *base, bool ask, struct engine_info *out)
{
	struct sphinx *s = sphinx_of(base);
	(void)ask; /* nothing has to be started for it */
	look(s);
	*out = (struct engine_info){.path = program(s)};
	/* Neither program has an option that tells its version. */
	if (program(s))
		out->version = s->five ? "5; English only" : "0.8+5prealpha; English only";
	if (!program(s))
		out->missing = REMEDY;
	else if (!s->ffmpeg)
		out->missing = "ffmpeg, to read recordings; " TRANSCODE_REMEDY;
}

static void advertise(struct engine *base, struct capabilities *c)
{
	struct sphinx *s = sphinx_of(base);
	look(s);
	if (program(s) && s->ffmpeg)
		capabilities_add_model(c, KIND_STT, "pocketsphinx:*");
}

static bool is_english(const char *language)
{
	size_t n = language ? strcspn(language, "-_") : 0;
	return n == 0 || strcasecmp(language, "auto") == 0 ||
	       strcasecmp(language, "english") == 0 ||
	       (n == 2 && strncasecmp(language, "en", 2) == 0);
}

/* The prompt is a hint that it has no use for; it looks for speech in the sound by itself, whether
 * asked for (vad) or not. */
static int check(struct engine *base, const struct engine_job *job, struct err *err)
{
	const struct task_stt *t = &job->task->stt;
	(void)base;
	if (!is_english(t->language))
		return err_set(err, EINVAL,
			       "pocketsphinx understands English only, not '%.32s': it is " BETTER,
			       t->language);
	return 0;
}

/* ---- a run ---- */

static void forget(struct engine_run *r)
{
	lines_fini(&r->lines);
	free(r->wav);
	free(r->complaint);
	free(r);
}

static void finish(struct engine_run *r, json_t *json, const struct err *e)
{
	struct engine_result result = {.json = json};
	bool retryable = e && e->code != EINVAL && e->code != ECANCELED && e->code != EFBIG;
	r->ev->end(r->arg, e ? NULL : &result, e, retryable);
	forget(r);
}

static void line(void *arg, int fd, const char *text)
{
	struct engine_run *r = arg;
	if (fd == 1) {
		double at = lines_add(&r->lines, text);
		if (at >= 0 && r->seconds > 0)
			r->ev->progress(r->arg, STAGE_RUNNING,
					at < r->seconds ? at / r->seconds : 1, "listening");
		return;
	}
	/* 200 lines of INFO and the whole configuration say nothing to the job. */
	if (strncmp(text, "ERROR", 5) != 0 && strncmp(text, "FATAL", 5) != 0)
		return;
	if (!r->complaint)
		r->complaint = xstrdup(text);
	output_line(&r->output, text);
}

static int outcome(const struct engine_run *r, const struct child_end *end, struct err *e)
{
	if (end->cancelled)
		return err_set(e, ECANCELED, "cancelled");
	if (end->timed_out)
		return err_set(e, ETIMEDOUT, "pocketsphinx did not finish within %" PRIu64 " s",
			       r->deadline_ms / 1000);
	if (end->signal)
		return err_set(e, EIO, "pocketsphinx was ended by signal %d", end->signal);
	if (end->exit_code != 0)
		return err_set(e, EIO, "pocketsphinx failed with exit code %d: %s", end->exit_code,
			       r->complaint ? r->complaint : "it did not say why");
	return 0;
}

static void heard(void *arg, const struct child_end *end)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	json_t *result = NULL;
	r->child = NULL;
	if (outcome(r, end, &e) == 0) {
		lines_end(&r->lines);
		if (r->lines.cut)
			log_warn(r->engine->env.log, "engine", r->job->job_id,
				 "pocketsphinx: an utterance without a pause was too long, its "
				 "last words are left out");
		result = transcript_result(&r->lines.out, "en", r->seconds, &e);
	}
	finish(r, result, result ? NULL : &e);
	json_decref(result);
}

static int listen_to(struct engine_run *r, struct err *err)
{
	static const struct child_events events = {.line = line, .end = heard};
	const struct sphinx *s = r->engine;
	const char *five[] = {s->five, "live", r->wav, NULL};
	const char *continuous[] = {s->continuous, "-infile", r->wav, "-time", "yes", NULL};
	r->deadline_ms = DEADLINE_MS + (uint64_t)(r->seconds * SLOWEST * 1000);
	struct child_spec spec = {.argv = s->five ? five : continuous,
				  .deadline_ms = r->deadline_ms};
	log_info(s->env.log, "engine", r->job->job_id, "pocketsphinx is " BETTER);
	r->child = child_start(s->env.loop, &spec, &events, r, err);
	return r->child ? 0 : -err->code;
}

static void converting(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_LOADING, fraction, "reading the recording");
}

static void converted(void *arg, double seconds, const struct err *err)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->audio = NULL;
	r->seconds = seconds;
	if (!err && r->cancelled)
		err_set(&e, ECANCELED, "cancelled");
	else if (!err)
		listen_to(r, &e);
	if (err || e.code)
		finish(r, NULL, err ? err : &e);
}

static struct engine_run *start(struct engine *base, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	static const struct audio_events events = {.progress = converting, .end = converted};
	struct sphinx *s = sphinx_of(base);
	const char *timestamps = job->task->stt.timestamps;
	*retryable = false;
	if (check(base, job, err) < 0)
		return NULL;
	if (!program(s) || !s->ffmpeg || !job->audio) {
		err_set(err, ENOENT, "%s",
			!program(s)  ? REMEDY
			: !s->ffmpeg ? TRANSCODE_REMEDY
				     : "there is no recording to transcribe");
		return NULL;
	}
	struct engine_run *r = xcalloc(1, sizeof *r);
	*r = (struct engine_run){.engine = s, .job = job, .ev = ev, .arg = arg};
	r->output =
	    (struct output){.log = s->env.log, .job_id = job->job_id, .program = "pocketsphinx"};
	r->wav = fs_join(job->scratch, "audio.wav");
	lines_init(&r->lines, timestamps && strcmp(timestamps, "word") == 0);
	struct audio_spec spec = {.ffmpeg = s->ffmpeg,
				  .job_id = job->job_id,
				  .input = job->audio,
				  .output = r->wav,
				  .pad_s = PAD_S};
	r->audio = audio_start(&s->env, &spec, &events, r, err);
	if (r->audio)
		return r;
	*retryable = true;
	forget(r);
	return NULL;
}

static void cancel(struct engine_run *r)
{
	r->cancelled = true;
	if (r->audio)
		audio_kill(r->audio);
	else if (r->child)
		child_kill(r->child);
}

const struct engine_ops pocketsphinx_engine = {
    .name = "pocketsphinx",
    .kinds = KIND_BIT(KIND_STT),
    .provisioned = KIND_BIT(KIND_STT),
    .summary = "text from English speech, a small recogniser; whisper-cpp is the real one",
    .new = new,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .check = check,
    .start = start,
    .cancel = cancel,
};
