/* speech.c - see speech.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/espeak-ng/speech.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "worker/engine/speaker.h"

#define WPM_NORMAL 175 /* espeak-ng's own default */
#define WPM_MIN	   80
#define WPM_MAX	   450

/* Letters, digits, '+', '-' and '_', not beginning with '-': never an option, never a path. */
static bool name_valid(const char *s)
{
	size_t n = strlen(s);
	if (n == 0 || n > SPEECH_VOICE_LEN || *s == '-')
		return false;
	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) && !strchr("+-_", *s))
			return false;
	}
	return true;
}

static const char *choose(const struct task_tts *t, const json_t *defaults)
{
	const char *model = json_string_value(json_object_get(defaults, "voice"));
	if (t->voice && *t->voice && strcmp(t->voice, "default") != 0)
		return t->voice;
	if (t->language && *t->language)
		return t->language;
	return model && *model ? model : "en";
}

static int choose_voice(struct speech *s, const struct task_tts *t, const json_t *defaults,
			struct err *e)
{
	const char *voice = choose(t, defaults);
	if (!name_valid(voice) || !isascii((unsigned char)*voice))
		return err_set(
		    e, EINVAL,
		    "'%.64s' can't be the name of a voice: letters, digits, '+', '-' and '_' only",
		    voice);
	snprintf(s->voice, sizeof s->voice, "%s", voice);
	return 0;
}

static int words_a_minute(const struct task_tts *t)
{
	double wpm = WPM_NORMAL * (t->has_speed ? t->speed : 1.0);
	return wpm < WPM_MIN ? WPM_MIN : wpm > WPM_MAX ? WPM_MAX : (int)(wpm + 0.5);
}

int speech_plan(struct speech *s, const struct task_tts *t, const json_t *defaults, struct err *e)
{
	size_t len = strlen(t->text);
	*s = (struct speech){.wpm = words_a_minute(t)};
	if (choose_voice(s, t, defaults, e) < 0)
		return -e->code;
	/* It speaks some 100 times faster than a person; a slow machine may take ten times as long.
	 */
	s->deadline_ms = 30000 + 10 * (uint64_t)len;
	s->expected_seconds = speaker_seconds(t->text) * WPM_NORMAL / s->wpm + 0.3;
	return 0;
}
