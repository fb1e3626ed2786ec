/* speech.h - what of a task goes to espeak-ng: voice and speed, checked.
 * SPDX-License-Identifier: MIT */
#ifndef ESPEAK_NG_SPEECH_H
#define ESPEAK_NG_SPEECH_H

#include "lib/wire/task.h"

#define SPEECH_VOICE_LEN 64

struct speech {
	char voice[SPEECH_VOICE_LEN + 1];
	int wpm; /* words a minute, 80..450 as espeak-ng takes them; a speed of 1.0 is 175 */
	uint64_t deadline_ms;
	double expected_seconds; /* of the speech, roughly */
};

/* A voice of `default` follows the task's language, then the model's cliDefaults.voice, then
 * English. -EINVAL for a voice that could be anything but a name. */
int speech_plan(struct speech *s, const struct task_tts *t, const json_t *defaults,
		struct err *e) MUST_CHECK;

#endif
