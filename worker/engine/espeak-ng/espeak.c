/* espeak.c - engine `espeak-ng`: real speech from text, by the program of that name as a child
 * process. It always writes a WAV; OGG and MP3 are made from it by ffmpeg. SPDX-License-Identifier:
 * MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "worker/engine/engine.h"
#include "worker/engine/espeak-ng/speech.h"
#include "worker/engine/program.h"
#include "worker/engine/speaker.h"
#include "worker/engine/transcode.h"

#define REMEDY                                                                                     \
	"the program espeak-ng is missing; install it (Debian, Ubuntu: apt install espeak-ng)"
#define BYTES_A_SECOND (22050 * 2.0)

struct espeak {
	struct engine base;
	struct engine_env env; /* a copy */
	char *models_root;
	char *program, *ffmpeg; /* NULL: not found */
	char version[128];
};

extern const struct engine_ops espeak_ng_engine;

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

static void info(struct engine *base, bool ask, struct engine_info *out)
{
	struct espeak *e = espeak_of(base);
	engine_program_refresh(&e->program, "espeak-ng", &e->env);
	*out = (struct engine_info){.path = e->program};
	if (!e->program) {
		out->missing = REMEDY;
		return;
	}
	if (ask && !e->version[0])
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

static int plan(struct espeak *e, struct speech *s, const struct engine_job *job, struct err *err)
{
	const struct task_tts *t = &job->task->tts;
	if (speaker_check(t, e->ffmpeg, err) < 0)
		return -err->code;
	return speech_plan(s, t, job->source->cli_defaults, err);
}

static int check(struct engine *base, const struct engine_job *job, struct err *err)
{
	struct speech speech;
	return plan(espeak_of(base), &speech, job, err);
}

static bool bad_voice(const char *line, const char *voice, struct err *err)
{
	if (!strstr(line, "voice does not exist") && !strstr(line, "voice file"))
		return false;
	err_set(err, EINVAL, "espeak-ng has no voice '%s'; `espeak-ng --voices` lists them", voice);
	return true;
}

static struct engine_run *start(struct engine *base, const struct engine_job *job,
				const struct engine_events *ev, void *arg, bool *retryable,
				struct err *err)
{
	struct espeak *e = espeak_of(base);
	struct speech speech = {0};
	char wpm[16];
	*retryable = false;
	if (!e->program) {
		err_set(err, ENOENT, REMEDY);
		return NULL;
	}
	if (plan(e, &speech, job, err) < 0)
		return NULL;
	snprintf(wpm, sizeof wpm, "%d", speech.wpm);
	auto_free char *wav = fs_join(job->scratch, "speech.wav");
	const char *argv[] = {e->program, "--stdin", "-b", "1", "-v", speech.voice,
			      "-s",	  wpm,	     "-w", wav, NULL};
	struct speaker_spec spec = {
	    .program = "espeak-ng",
	    .argv = argv,
	    .wav = wav,
	    .voice = speech.voice,
	    .ext = job->task->tts.ext,
	    .ffmpeg = e->ffmpeg,
	    .deadline_ms = speech.deadline_ms,
	    .expected_seconds = speech.expected_seconds,
	    .bytes_a_second = BYTES_A_SECOND,
	    .fault = bad_voice,
	};
	*retryable = true;
	return speaker_start(&e->env, job, &spec, ev, arg, err);
}

const struct engine_ops espeak_ng_engine = {
    .name = "espeak-ng",
    .kinds = KIND_BIT(KIND_TTS),
    .summary = "speech from text in many languages",
    .new = new,
    .free = free_engine,
    .info = info,
    .advertise = advertise,
    .check = check,
    .start = start,
    .cancel = speaker_cancel,
};
