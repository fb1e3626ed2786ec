/* audio.h - any recording (or a video's sound track) to the WAV that speech recognisers read: 16
 * kHz, mono, 16-bit samples, by ffmpeg. SPDX-License-Identifier: MIT */
#ifndef ENGINE_AUDIO_H
#define ENGINE_AUDIO_H

#include "worker/engine/engine.h"

#define AUDIO_MAX_SECONDS (4 * 3600) /* 460 MB of WAV, and a recogniser holds it as floats too */

struct audio;

struct audio_spec {
	const char *ffmpeg; /* of engine_program_find("ffmpeg") */
	const char *job_id;
	const char *input;  /* what it is, its bytes say */
	const char *output; /* the WAV */
	double pad_s;	    /* silence to add at the end, not counted in the duration */
};

struct audio_events {
	/* 0..1; never called when the file does not say how long it is. */
	void (*progress)(void *arg, double fraction);
	/* Last event, exactly once, never from inside start or kill. err is NULL when the WAV is
	 * there; EINVAL: no sound that can be read in it, or over AUDIO_MAX_SECONDS; ECANCELED
	 * after audio_kill(). */
	void (*end)(void *arg, double seconds, const struct err *err);
};

/* Texts are copied, but job_id, which stays valid until the end. NULL with err filled when ffmpeg
 * can't be started. */
struct audio *audio_start(const struct engine_env *env, const struct audio_spec *spec,
			  const struct audio_events *ev, void *arg, struct err *err) MUST_CHECK;
void audio_kill(struct audio *a); /* ->end still follows */

/* Length of a WAV file of plain samples with at least one; `who` wrote it, for the error's text. */
int audio_wav_seconds(const char *path, const char *who, double *seconds,
		      struct err *err) MUST_CHECK;

#endif
