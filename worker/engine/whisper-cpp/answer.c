/* answer.c - see answer.h.
 * What whisper-server calls words are tokens: " trans", "cript", ",". One that begins with a blank
 * begins a word; where a language has no blanks, each is a word.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/whisper-cpp/answer.h"

#include <errno.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/wire/frame.h"
#include "worker/engine/transcript.h"
#include "worker/engine/whisper-cpp/language.h"

#define MAX_WORD 1024 /* bytes */

struct reader {
	struct transcript out;
	const char *language;
	bool words;
	struct buf word; /* the one that is being put together */
	double start, end;
};

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void word_ends(struct reader *r)
{
	if (r->word.len)
		transcript_add_word(&r->out, r->start, r->end, r->word.data);
	buf_reset(&r->word);
}

static void token(struct reader *r, const json_t *t)
{
	const char *text = json_string_value(json_object_get(t, "word"));
	if (!text || !*text)
		return;
	if (*text == ' ' || language_unspaced(r->language))
		word_ends(r);
	if (!r->word.len)
		r->start = number(t, "start");
	r->end = number(t, "end");
	if (!buf_add(&r->word, text, strlen(text)))
		word_ends(r); /* longer than any word is */
}

static int segment(struct reader *r, const json_t *s, struct err *e)
{
	const char *text = json_string_value(json_object_get(s, "text"));
	const json_t *words = json_object_get(s, "words");
	if (!text)
		return err_set(e, EPROTO, "whisper-server answered a segment without text");
	if (r->words)
		for (size_t i = 0; i < json_array_size(words); i++)
			token(r, json_array_get(words, i));
	word_ends(r);
	transcript_add_segment(&r->out, number(s, "start"), number(s, "end"), text);
	return 0;
}

static int segments(struct reader *r, const json_t *answer, struct err *e)
{
	const json_t *list = json_object_get(answer, "segments");
	if (!json_is_array(list))
		return err_set(e, EPROTO, "whisper-server answered without segments");
	for (size_t i = 0; i < json_array_size(list); i++)
		if (segment(r, json_array_get(list, i), e) < 0)
			return -e->code;
	return 0;
}

/* The language that was heard, as a code: the answer names it in English. */
static const char *heard(const json_t *answer, const char *asked)
{
	const char *name = json_string_value(json_object_get(answer, "language"));
	const char *code = name && *name ? language_code(name) : NULL;
	if (code && strcmp(code, "auto") != 0)
		return code;
	return strcmp(asked, "auto") != 0 ? asked : NULL;
}

json_t *answer_read(const char *text, size_t len, const char *language, double duration, bool words,
		    bool *words_dropped, struct err *e)
{
	json_t *answer = json_parse_many(text, len, ANSWER_MAX_VALUES, e), *result = NULL;
	if (!answer) {
		err_wrap(e, "whisper-server answered what is no answer");
		return NULL;
	}
	const char *code = heard(answer, language);
	struct reader r = {.language = code ? code : "", .words = words};
	transcript_init(&r.out);
	buf_init(&r.word, MAX_WORD);
	if (segments(&r, answer, e) == 0)
		result = transcript_result(&r.out, code, duration, e);
	*words_dropped = words && r.out.words_dropped;
	buf_fini(&r.word);
	transcript_fini(&r.out);
	json_decref(answer);
	return result;
}

struct answer {
	struct work work;
	struct answer_spec spec;
	char *text;
	size_t len;
	answer_done *done; /* NULL: nobody waits any more */
	void *arg;
	json_t *result;
	bool words_dropped;
	struct err err;
};

static void run(struct work *w)
{
	struct answer *a = container_of(w, struct answer, work);
	a->result = answer_read(a->text, a->len, a->spec.language, a->spec.duration, a->spec.words,
				&a->words_dropped, &a->err);
}

static void after(struct work *w)
{
	struct answer *a = container_of(w, struct answer, work);
	if (a->done)
		a->done(a->arg, a->result, a->words_dropped, a->result ? NULL : &a->err);
	json_decref(a->result);
	free(a->text);
	free(a);
}

struct answer *answer_start(struct pool *pool, const char *text, size_t len,
			    const struct answer_spec *spec, answer_done *done, void *arg)
{
	struct answer *a = xcalloc(1, sizeof *a);
	*a = (struct answer){.work = {.run = run, .after = after},
			     .spec = *spec,
			     .text = xmalloc(len + 1),
			     .len = len,
			     .done = done,
			     .arg = arg};
	memcpy(a->text, text, len);
	a->text[len] = '\0';
	pool_submit(pool, &a->work);
	return a;
}

void answer_forget(struct answer *a)
{
	if (a)
		a->done = NULL;
}
