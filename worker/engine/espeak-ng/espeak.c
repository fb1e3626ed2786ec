/* espeak.c - engine `espeak-ng`: real speech from text, by the program of that name as a child
 * process. It always writes a WAV; OGG and MP3 are made from it by ffmpeg. SPDX-License-Identifier:
 * MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/loop/child.h"
#include "worker/engine/engine.h"
#include "worker/engine/espeak-ng/speech.h"
#include "worker/engine/output.h"
#include "worker/engine/program.h"
#include "worker/engine/transcode.h"

#define REMEDY                                                                                     \
	"the program espeak-ng is missing; install it (Debian, Ubuntu: apt install espeak-ng)"
#define SAMPLE_MS 500 /* how often the progress is looked at */

struct espeak {
	struct engine base;
	struct engine_env env; /* a copy */
	char *models_root;
	char *program, *ffmpeg; /* NULL: not found */
	char version[128];
};

extern const struct engine_ops espeak_ng_engine;

struct engine_run {
	struct espeak *engine;
	const struct engine_job *job;
	const struct engine_events *ev;
	void *arg;
	struct speech speech;
	struct output output;
	struct child *child;	     /* while it speaks */
	struct transcode *transcode; /* while ffmpeg converts */
	struct timer sample;
	char *wav, *result;
	bool bad_voice;
};

static struct engine *new (const struct engine_env *env)
{
	struct espeak *e = xcalloc(1, sizeof *e);
	e->base.ops = &espeak_ng_engine;
	e->env = *env;
	e->env.models_root = e->models_root = xstrdup_opt(env->models_root);
	engine_program_refresh(&e->program, "espeak-ng", env);
	engine_program_refresh(&e->ffmpeg, "ffmpeg", env);
	return &e->base;
}

static struct espeak *espeak_of(struct engine *e)
{
	return container_of(e, struct espeak, base);
}

static void free_engine(struct engine *base)
{
	struct espeak *e = espeak_of(base);
	free(e->program);
	free(e->ffmpeg);
	free(e->models_root);
	free(e);
}

/* "eSpeak NG text-to-speech: 1.51  Data at: /usr/lib/…" */
static void ask_version(struct espeak *e)
{
	engine_program_version(e->program, "--version", e->version, sizeof e->version);
	char *where = strstr(e->version, "  Data at:");
	if (where)
		*where = '\0';
}

static void info(struct engine *base, struct engine_info *out)
{
	struct espeak *e = espeak_of(base);
	engine_program_refresh(&e->program, "espeak-ng", &e->env);
	*out = (struct engine_info){.path = e->program};
	if (!e->program) {
		out->missing = REMEDY;
		return;
	}
	if (!e->version[0])
		ask_version(e);
	out->version = e->version[0] ? e->version : "of an unknown version";
	if (!e->ffmpeg)
		out->missing = "ffmpeg, for ogg and mp3; " TRANSCODE_REMEDY;
}

static void advertise(struct engine *base, struct capabilities *c)
{
	struct espeak *e = espeak_of(base);
	engine_program_refresh(&e->program, "espeak-ng", &e->env);
	engine_program_refresh(&e->ffmpeg, "ffmpeg", &e->env);
	if (e->program)
		capabilities_add_model(c, KIND_TTS, "espeak-ng:*");
}

/* ---- a run ---- */

static void finish(struct engine_run *r, const struct err *error, bool retryable)
{
	struct engine_result result = {.file = r->result, .ext = r->speech.ext};
	timer_stop(&r->sample);
	r->ev->end(r->arg, error ? NULL : &result, error, retryable);
	free(r->wav);
	free(r->result);
	free(r);
}

/* A WAV grows with the speech; how long it will be is a guess from the text. */
static void sample(void *arg)
{
	struct engine_run *r = arg;
	uint64_t size;
	struct err e = ERR_INIT;
	timer_start(&r->sample, r->engine->env.clock, SAMPLE_MS, sample, r);
	if (r->transcode)
		return;
	if (fs_size(r->wav, &size, &e) < 0)
		size = 0; /* it has not begun yet */
	double f = (double)size / r->speech.expected_bytes;
	r->ev->progress(r->arg, STAGE_RUNNING, f > 0.95 ? 0.95 : f, "speaking");
}

static void transcoding(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_RUNNING, 0.95 + 0.05 * fraction, "encoding");
}

static void transcoded(void *arg, const struct err *err)
{
	finish(arg, err, err && err->code != ECANCELED);
}

static int transcode(struct engine_run *r, struct err *e)
{
	static const struct transcode_events events = {.progress = transcoding, .end = transcoded};
	struct transcode_spec spec = {
	    .ffmpeg = r->engine->ffmpeg,
	    .job_id = r->job->job_id,
	    .input = r->wav,
	    .output = r->result,
	    .ext = r->speech.ext,
	    .deadline_ms = r->speech.deadline_ms,
	};
	r->transcode = transcode_start(&r->engine->env, &spec, &events, r, e);
	return r->transcode ? 0 : -e->code;
}

static void line(void *arg, int fd, const char *text)
{
	struct engine_run *r = arg;
	(void)fd;
	/* Its exit code is the same for every failure. */
	if (strstr(text, "voice does not exist") || strstr(text, "voice file"))
		r->bad_voice = true;
	output_line(&r->output, text);
}

static int outcome(struct engine_run *r, const struct child_end *end, struct err *e)
{
	if (end->cancelled)
		return err_set(e, ECANCELED, "cancelled");
	if (end->timed_out)
		return err_set(e, ETIMEDOUT, "espeak-ng did not finish within %" PRIu64 " s",
			       r->speech.deadline_ms / 1000);
	if (r->bad_voice)
		return err_set(e, EINVAL,
			       "espeak-ng has no voice '%s'; `espeak-ng --voices` lists them",
			       r->speech.voice);
	if (end->signal)
		return err_set(e, EIO, "espeak-ng was ended by signal %d", end->signal);
	if (end->exit_code != 0)
		return err_set(e, EIO, "espeak-ng failed with exit code %d: %s", end->exit_code,
			       end->first_error);
	return speech_check_wav(r->wav, e);
}

static void spoken(void *arg, const struct child_end *end)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->child = NULL;
	int rc = outcome(r, end, &e);
	if (rc == 0 && r->result == NULL) {
		r->result = steal(&r->wav);
		finish(r, NULL, false);
		return;
	}
	if (rc == 0)
		rc = transcode(r, &e);
	if (rc < 0)
		finish(r, &e, rc != -ECANCELED && rc != -EINVAL);
}

static int speak(struct engine_run *r, struct err *err)
{
	static const struct child_events events = {.line = line, .end = spoken};
	const char *text = r->job->task->tts.text;
	char wpm[16];
	snprintf(wpm, sizeof wpm, "%d", r->speech.wpm);
	const char *argv[] = {r->engine->program,
			      "--stdin",
			      "-b",
			      "1",
			      "-v",
			      r->speech.voice,
			      "-s",
			      wpm,
			      "-w",
			      r->wav,
			      NULL};
	struct child_spec spec = {
	    .argv = argv,
	    .input = text,
	    .input_len = strlen(text),
	    .deadline_ms = r->speech.deadline_ms,
	};
	r->child = child_start(r->engine->env.loop, &spec, &events, r, err);
	return r->child ? 0 : -err->code;
}

static struct engine_run *start(struct engine *base, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	struct espeak *e = espeak_of(base);
	struct speech speech;
	*retryable = false;
	if (!e->program) {
		err_set(err, ENOENT, REMEDY);
		return NULL;
	}
	if (speech_plan(&speech, &job->task->tts, job->source->cli_defaults, err) < 0)
		return NULL;
	bool convert = strcmp(speech.ext, "wav") != 0;
	if (convert && !e->ffmpeg) {
		err_set(err, ENOENT,
			".%s needs the program ffmpeg; " TRANSCODE_REMEDY " or ask for wav",
			speech.ext);
		return NULL;
	}
	struct engine_run *r = xcalloc(1, sizeof *r);
	*r = (struct engine_run){.engine = e, .job = job, .ev = ev, .arg = arg, .speech = speech};
	r->output =
	    (struct output){.log = e->env.log, .job_id = job->job_id, .program = "espeak-ng"};
	r->wav = fs_join(job->scratch, "speech.wav");
	r->result = convert ? xasprintf("%s/result.%s", job->scratch, speech.ext) : NULL;
	if (speak(r, err) < 0) {
		*retryable = true;
		free(r->wav);
		free(r->result);
		free(r);
		return NULL;
	}
	timer_start(&r->sample, e->env.clock, 0, sample, r);
	return r;
}

static void cancel(struct engine_run *r)
{
	if (r->transcode)
		transcode_kill(r->transcode);
	else
		child_kill(r->child);
}

const struct engine_ops espeak_ng_engine = {
    .name = "espeak-ng",
    .kinds = KIND_BIT(KIND_TTS),
    .summary = "speech from text in many languages",
    .new = new,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .start = start,
    .cancel = cancel,
};
