/* speech.c - see speech.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/espeak-ng/speech.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"

#define WPM_NORMAL     175 /* espeak-ng's own default */
#define WPM_MIN	       80
#define WPM_MAX	       450
#define WAV_HEADER     44
#define BYTES_A_SECOND (22050 * 2.0)

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

static int choose_ext(struct speech *s, const char *ext, struct err *e)
{
	static const char *const known[] = {"wav", "ogg", "mp3"};
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(ext, known[i]) == 0) {
			snprintf(s->ext, sizeof s->ext, "%s", ext);
			return 0;
		}
	}
	return err_set(e, EINVAL, "speech can be wav, ogg or mp3, not '%.16s'", ext);
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
	if (strspn(t->text, " \t\r\n") == len)
		return err_set(e, EINVAL, "the text to speak is empty");
	if (len > SPEECH_MAX_TEXT)
		return err_set(e, EINVAL, "the text has %zu bytes, over the limit of %d; split it",
			       len, SPEECH_MAX_TEXT);
	if (choose_voice(s, t, defaults, e) < 0 || choose_ext(s, t->ext, e) < 0)
		return -e->code;
	/* It speaks some 100 times faster than a person; a slow machine may take ten times as long.
	 */
	s->deadline_ms = 30000 + 10 * (uint64_t)len;
	/* Six bytes a word. */
	s->expected_bytes = WAV_HEADER + ((double)len / 6.0 / s->wpm * 60.0 + 0.3) * BYTES_A_SECOND;
	return 0;
}

int speech_check_wav(const char *path, struct err *e)
{
	unsigned char head[WAV_HEADER];
	uint64_t size;
	int rc = fs_size(path, &size, e);
	if (rc < 0)
		return err_wrap(e, "espeak-ng wrote no file");
	int fd = fs_open_regular(path, e);
	if (fd < 0)
		return err_wrap(e, "what espeak-ng wrote");
	ssize_t n = read(fd, head, sizeof head);
	close(fd);
	if (n < (ssize_t)sizeof head || memcmp(head, "RIFF", 4) != 0 ||
	    memcmp(head + 8, "WAVE", 4) != 0)
		return err_set(e, EIO, "what espeak-ng wrote is not a WAV file");
	return size > WAV_HEADER
		   ? 0
		   : err_set(e, EIO, "espeak-ng wrote no sound: nothing in the text can be spoken");
}
