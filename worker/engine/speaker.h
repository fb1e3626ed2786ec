/* speaker.h - the run of an engine whose program writes a WAV from text on its standard input: the
 * child process, its progress, the conversion to OGG or MP3, the outcome. What is left to a driver
 * is the command line and the faults it can name. SPDX-License-Identifier: MIT */
#ifndef ENGINE_SPEAKER_H
#define ENGINE_SPEAKER_H

#include "worker/engine/engine.h"

#define SPEAKER_MAX_TEXT 100000 /* bytes, about two hours of speech */

struct speaker_spec {
	const char *program;	 /* its name, static, for people */
	const char *const *argv; /* NULL-terminated; makes it write `wav` */
	const char *wav;	 /* inside the scratch folder */
	const char *voice;
	const char *ext;	 /* of the result: wav, ogg, mp3 */
	const char *ffmpeg;	 /* for ogg and mp3 */
	uint64_t deadline_ms;	 /* of either program */
	double expected_seconds; /* of the speech, roughly, for the progress */
	double bytes_a_second;
	/* Whether a line of output says why the task can't be done as asked; fills err with what
	 * would do. May be NULL. */
	bool (*fault)(const char *line, const char *voice, struct err *err);
};

/* 0 when the text can be spoken (not empty, not over SPEAKER_MAX_TEXT) and the extension can be
 * made here; -EINVAL, or -ENOENT when ffmpeg is NULL and needed. */
int speaker_check(const struct task_tts *t, const char *ffmpeg, struct err *err) MUST_CHECK;
/* How long a person would take to say it at 175 words a minute. */
double speaker_seconds(const char *text);

/* The run of the engine: what engine_ops.start returns and engine_ops.cancel takes. Everything but
 * job, ev and program is copied. NULL with err filled when the program can't be started. */
struct engine_run *speaker_start(const struct engine_env *env, const struct engine_job *job,
				 const struct speaker_spec *spec, const struct engine_events *ev,
				 void *arg, struct err *err) MUST_CHECK;
void speaker_cancel(struct engine_run *run);

#endif
