/* speech.h - what of a task goes to espeak-ng: voice, speed, limits, all checked.
 * SPDX-License-Identifier: MIT */
#ifndef ESPEAK_NG_SPEECH_H
#define ESPEAK_NG_SPEECH_H

#include "lib/wire/task.h"

#define SPEECH_MAX_TEXT	 100000 /* bytes, about two hours of speech */
#define SPEECH_VOICE_LEN 64

struct speech {
	char voice[SPEECH_VOICE_LEN + 1];
	char ext[8];
	int wpm; /* words a minute, 80..450 as espeak-ng takes them; a speed of 1.0 is 175 */
	uint64_t deadline_ms;
	double expected_bytes; /* of the WAV, roughly */
};

/* A voice of `default` follows the task's language, then the model's cliDefaults.voice, then
 * English. -EINVAL for an empty or too long text, an extension other than wav, ogg and mp3, or a
 * voice that could be anything but a name. */
int speech_plan(struct speech *s, const struct task_tts *t, const json_t *defaults,
		struct err *e) MUST_CHECK;
/* A WAV of 16-bit samples with at least one. */
int speech_check_wav(const char *path, struct err *e) MUST_CHECK;

#endif
