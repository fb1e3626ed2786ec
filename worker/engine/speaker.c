/* speaker.c - see speaker.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/speaker.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/loop/child.h"
#include "worker/engine/audio.h"
#include "lib/loop/output.h"
#include "worker/engine/transcode.h"

#define SAMPLE_MS    500  /* how often the progress is looked at */
#define SPEAKING     0.95 /* of the whole; the rest is ffmpeg's */
#define WORDS_MINUTE 175.0
#define WORD_BYTES   6.0

struct engine_run {
	const struct engine_env *env; /* the engine's */
	const struct engine_job *job;
	const struct engine_events *ev;
	void *arg;
	struct speaker_spec spec; /* its texts are the run's */
	char *wav, *result, *voice, *ext, *ffmpeg;
	struct output output;
	struct child *child;	     /* while it speaks */
	struct transcode *transcode; /* while ffmpeg converts */
	struct timer sample;
	struct err fault; /* what fault() made of a line */
	char *complaint;  /* the line that says best why it failed */
	bool traceback;	  /* the last line counts */
	double seconds;	  /* of the speech */
};

int speaker_check(const struct task_tts *t, const char *ffmpeg, struct err *err)
{
	size_t len = strlen(t->text);
	if (strspn(t->text, " \t\r\n") == len)
		return err_set(err, EINVAL, "the text to speak is empty");
	if (len > SPEAKER_MAX_TEXT)
		return err_set(err, EINVAL,
			       "the text has %zu bytes, over the limit of %d; split it", len,
			       SPEAKER_MAX_TEXT);
	if (strcmp(t->ext, "wav") == 0)
		return 0;
	if (!transcode_can(t->ext, false))
		return err_set(err, EINVAL, "speech can be wav, ogg or mp3, not '%.16s'", t->ext);
	if (!ffmpeg)
		return err_set(err, ENOENT,
			       ".%s needs the program ffmpeg; " TRANSCODE_REMEDY " or ask for wav",
			       t->ext);
	return 0;
}

double speaker_seconds(const char *text)
{
	return (double)strlen(text) / WORD_BYTES / WORDS_MINUTE * 60;
}

static void forget(struct engine_run *r)
{
	timer_stop(&r->sample);
	free(r->wav);
	free(r->result);
	free(r->voice);
	free(r->ext);
	free(r->ffmpeg);
	free(r->complaint);
	free(r);
}

static void finish(struct engine_run *r, const struct err *error)
{
	struct engine_result result = {.file = r->result, .ext = r->ext};
	bool retryable = error && error->code != ECANCELED && error->code != EINVAL;
	timer_stop(&r->sample);
	r->ev->end(r->arg, error ? NULL : &result, error, retryable);
	forget(r);
}

/* A WAV grows with the speech, where the program writes it as it goes. */
static void sample(void *arg)
{
	struct engine_run *r = arg;
	uint64_t size;
	struct err e = ERR_INIT;
	timer_start(&r->sample, r->env->clock, SAMPLE_MS, sample, r);
	if (r->transcode)
		return;
	if (fs_size(r->wav, &size, &e) < 0)
		size = 0; /* it has not begun yet */
	double f = (double)size / (r->spec.expected_seconds * r->spec.bytes_a_second + 1);
	r->ev->progress(r->arg, STAGE_RUNNING, f > SPEAKING ? SPEAKING : f, "speaking");
}

static void transcoding(void *arg, double fraction)
{
	struct engine_run *r = arg;
	r->ev->progress(r->arg, STAGE_RUNNING, SPEAKING + (1 - SPEAKING) * fraction, "encoding");
}

static void transcoded(void *arg, const struct err *err)
{
	finish(arg, err);
}

static int transcode(struct engine_run *r, struct err *e)
{
	static const struct transcode_events events = {.progress = transcoding, .end = transcoded};
	struct transcode_spec spec = {
	    .ffmpeg = r->ffmpeg,
	    .job_id = r->job->job_id,
	    .input = r->wav,
	    .output = r->result,
	    .ext = r->ext,
	    .seconds = r->seconds,
	    .deadline_ms = r->spec.deadline_ms,
	};
	r->transcode = transcode_start(r->env, &spec, &events, r, e);
	return r->transcode ? 0 : -e->code;
}

/* The first line that speaks of an error; the last one without it, and of what a Python or C++
 * program says when an exception ends it. */
static void complains(struct engine_run *r, const char *text)
{
	if (strstr(text, "Traceback (most recent") || strstr(text, "terminate called after"))
		r->traceback = true;
	if (*text && (r->traceback || !r->complaint || !strcasestr(r->complaint, "error")))
		str_replace(&r->complaint, text);
}

static void line(void *arg, int fd, const char *text)
{
	struct engine_run *r = arg;
	/* Its exit code may be the same for every failure. */
	if (!r->fault.code && r->spec.fault && r->spec.fault(text, r->voice, &r->fault) &&
	    !r->fault.code)
		err_set(&r->fault, EINVAL, "%s", text);
	if (fd == 2)
		complains(r, text);
	output_line(&r->output, text);
}

static int outcome(struct engine_run *r, const struct child_end *end, struct err *e)
{
	const char *name = r->spec.program;
	if (end->cancelled)
		return err_set(e, ECANCELED, "cancelled");
	if (end->timed_out)
		return err_set(e, ETIMEDOUT, "%s did not finish within %" PRIu64 " s", name,
			       r->spec.deadline_ms / 1000);
	if (r->fault.code) {
		*e = r->fault;
		return -e->code;
	}
	if (end->signal)
		return err_set(e, EIO, "%s was ended by signal %d", name, end->signal);
	if (end->exit_code != 0)
		return err_set(e, EIO, "%s failed with exit code %d: %s", name, end->exit_code,
			       r->complaint ? r->complaint : "it did not say why");
	int rc = audio_wav_seconds(r->wav, name, &r->seconds, e);
	return rc < 0 ? err_wrap(e, "nothing was spoken") : 0;
}

static void spoken(void *arg, const struct child_end *end)
{
	struct engine_run *r = arg;
	struct err e = ERR_INIT;
	r->child = NULL;
	int rc = outcome(r, end, &e);
	if (rc == 0 && r->result == NULL) {
		r->result = steal(&r->wav);
		finish(r, NULL);
		return;
	}
	if (rc == 0)
		rc = transcode(r, &e);
	if (rc < 0)
		finish(r, &e);
}

static int speak(struct engine_run *r, const char *const *argv, struct err *err)
{
	static const struct child_events events = {.line = line, .end = spoken};
	const char *text = r->job->task->tts.text;
	struct child_spec spec = {
	    .argv = argv,
	    .input = text,
	    .input_len = strlen(text),
	    .deadline_ms = r->spec.deadline_ms,
	};
	r->child = child_start(r->env->loop, &spec, &events, r, err);
	return r->child ? 0 : -err->code;
}

struct engine_run *speaker_start(const struct engine_env *env, const struct engine_job *job,
				 const struct speaker_spec *s, const struct engine_events *ev,
				 void *arg, struct err *err)
{
	struct engine_run *r = xcalloc(1, sizeof *r);
	*r = (struct engine_run){.env = env, .job = job, .ev = ev, .arg = arg, .spec = *s};
	r->output = (struct output){.log = env->log, .job_id = job->job_id, .program = s->program};
	r->wav = xstrdup(s->wav);
	r->voice = xstrdup_opt(s->voice);
	r->ext = xstrdup(s->ext);
	r->ffmpeg = xstrdup_opt(s->ffmpeg);
	if (strcmp(s->ext, "wav") != 0)
		r->result = xasprintf("%s/result.%s", job->scratch, s->ext);
	if (speak(r, s->argv, err) < 0) {
		forget(r);
		return NULL;
	}
	timer_start(&r->sample, env->clock, 0, sample, r);
	return r;
}

void speaker_cancel(struct engine_run *r)
{
	if (r->transcode)
		transcode_kill(r->transcode);
	else if (r->child)
		child_kill(r->child);
}
