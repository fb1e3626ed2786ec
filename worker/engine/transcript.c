/* transcript.c - see transcript.h.
 * What does not fit is left out from the least wanted end: first words, then segments; never a part
 * of the text. SPDX-License-Identifier: MIT */
#include "worker/engine/transcript.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"

#define MAX_DETAIL    (2560u << 10) /* bytes of segments and words, as JSON */
#define OBJECT_VALUES 5		    /* an object counts as two */
#define OBJECT_BYTES  64	    /* keys and numbers */

void transcript_init(struct transcript *t)
{
	*t = (struct transcript){.segments = json_array()};
	buf_init(&t->text, TRANSCRIPT_MAX_TEXT);
}

void transcript_fini(struct transcript *t)
{
	buf_fini(&t->text);
	json_decref(t->segments);
	json_decref(t->words);
}

/* A copy without blanks at either end; NULL when nothing is left. */
static char *tidy(const char *s)
{
	s += strspn(s, " \t\r\n");
	size_t n = strlen(s);
	while (n && strchr(" \t\r\n", s[n - 1]))
		n--;
	char *copy = n ? xstrndup(s, n) : NULL;
	if (copy)
		utf8_clean(copy);
	return copy;
}

/* Whole milliseconds, and no number that JSON can't say. */
static json_t *seconds(double s)
{
	return json_real(isfinite(s) && s > 0 ? round(s * 1000) / 1000 : 0.0);
}

static bool room(struct transcript *t, const char *text)
{
	size_t bytes = strlen(text) + OBJECT_BYTES;
	if (t->values + OBJECT_VALUES + 2 > TRANSCRIPT_MAX_VALUES || t->bytes + bytes > MAX_DETAIL)
		return false;
	t->values += OBJECT_VALUES;
	t->bytes += bytes;
	return true;
}

void transcript_add_word(struct transcript *t, double start, double end, const char *word)
{
	auto_free char *w = tidy(word);
	if (!w)
		return;
	if (t->words_dropped || !room(t, w)) {
		t->words_dropped = true;
		return;
	}
	if (!t->words)
		t->words = json_array();
	json_array_append_new(t->words, json_pack("{s:s, s:o, s:o}", "word", w, "start",
						  seconds(start), "end", seconds(end)));
}

void transcript_add_segment(struct transcript *t, double start, double end, const char *text)
{
	auto_free char *all = xstrdup(text), *s = tidy(text);
	utf8_clean(all);
	if (s && !buf_add(&t->text, all, strlen(all)))
		t->cut = true;
	if (s && room(t, s)) {
		json_t *segment = json_pack("{s:o, s:o, s:s}", "start", seconds(start), "end",
					    seconds(end), "text", s);
		if (t->words)
			json_object_set(segment, "words", t->words);
		t->values += 2;
		json_array_append_new(t->segments, segment);
	} else if (s) {
		t->words_dropped = true;
	}
	json_decref(t->words);
	t->words = NULL;
}

json_t *transcript_result(struct transcript *t, const char *language, double duration,
			  struct err *e)
{
	if (t->cut) {
		err_set(e, EFBIG, "the transcript is longer than %u bytes; split the recording",
			TRANSCRIPT_MAX_TEXT);
		return NULL;
	}
	auto_free char *text = tidy(t->text.len ? t->text.data : "");
	return json_pack("{s:s, s:s, s:o, s:O}", "text", text ? text : "", "language",
			 language ? language : "", "duration", seconds(duration), "segments",
			 t->segments);
}
