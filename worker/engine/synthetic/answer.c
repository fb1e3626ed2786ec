/* answer.c - the JSON kinds: an OpenAI chat completion, a transcript. Pure functions of the task,
 * but for the date. SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/fs/sha256.h"
#include "worker/engine/synthetic/instance.h"
#include "worker/engine/synthetic/run.h"
#include "worker/engine/synthetic/words.h"

#define TEXT_MAX 8192

static void seed_rng(struct rng *rng, const unsigned char key[32])
{
	uint64_t seed = 0;
	for (int i = 0; i < 8; i++)
		seed = seed << 8 | key[i];
	rng_init_seeded(rng, seed);
}

/* Text of the length of a few sentences. */
static char *say(struct rng *rng, size_t least, size_t span)
{
	struct buf b;
	bool ok = true;
	buf_init(&b, TEXT_MAX);
	for (size_t n = least + rng_below(rng, span); n > 0 && ok; n--)
		ok = words_sentence(rng, &b);
	return buf_steal(&b);
}

/* A token is a word here. Cuts the text after max of them; returns how many are left. */
static int64_t cut_tokens(char *text, int64_t max, bool *cut)
{
	int64_t n = 0;
	*cut = false;
	for (char *p = text; *p;) {
		p += strspn(p, " \t\r\n");
		if (!*p)
			break;
		if (n == max) {
			*p = '\0';
			*cut = true;
			break;
		}
		n++;
		p += strcspn(p, " \t\r\n");
	}
	size_t len = strlen(text);
	while (len && text[len - 1] == ' ')
		text[--len] = '\0';
	return n;
}

static void cut_stops(char *text, char *const *stop, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *at = stop[i][0] ? strstr(text, stop[i]) : NULL;
		if (at)
			*at = '\0';
	}
}

static int64_t count_tokens(const char *text)
{
	int64_t n = 0;
	for (; *text; n++) {
		text += strspn(text, " \t\r\n");
		if (!*text)
			break;
		text += strcspn(text, " \t\r\n");
	}
	return n;
}

static int64_t prompt_tokens(const struct task_llm *t)
{
	int64_t n = t->system ? count_tokens(t->system) : 0;
	for (size_t i = 0; i < t->n_messages; i++)
		n += count_tokens(t->messages[i].content);
	return n;
}

static void add_part(struct sha256 *s, const char *text)
{
	char len[32];
	snprintf(len, sizeof len, "%zu:", strlen(text));
	sha256_update(s, len, strlen(len));
	sha256_update(s, text, strlen(text));
}

static void conversation_key(const struct task_llm *t, char hex[SHA256_HEX_LEN],
			     unsigned char key[32])
{
	struct sha256 *s = sha256_new();
	add_part(s, t->system ? t->system : "");
	for (size_t i = 0; i < t->n_messages; i++) {
		add_part(s, t->messages[i].role);
		add_part(s, t->messages[i].content);
	}
	sha256_final_hex(s, hex);
	run_key("llm", hex, NULL, key);
}

static char *content_of(const struct task_llm *t, const unsigned char key[32], int64_t *tokens,
			bool *cut)
{
	struct rng rng;
	char *text = NULL;
	*cut = false;
	if (t->json_schema) {
		/* Half of a JSON value is no use to anyone: neither maxTokens nor stop cut it. */
		json_t *v = instance_of(t->json_schema);
		text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
		json_decref(v);
		text = text ? text : xstrdup("null");
		*tokens = count_tokens(text);
		return text;
	}
	seed_rng(&rng, key);
	text = say(&rng, 2, 4);
	cut_stops(text, t->stop, t->n_stop);
	*tokens = cut_tokens(text, t->max_tokens < 0 ? 0 : t->max_tokens, cut);
	return text;
}

json_t *answer_llm(const struct engine_job *job, int64_t wall_ms)
{
	const struct task_llm *t = &job->task->llm;
	unsigned char key[32];
	char hex[SHA256_HEX_LEN], id[48];
	int64_t tokens, asked = prompt_tokens(t);
	bool cut;
	conversation_key(t, hex, key);
	auto_free char *text = content_of(t, key, &tokens, &cut);
	snprintf(id, sizeof id, "chatcmpl-%.24s", hex);
	json_t *message = json_pack("{s:s, s:s}", "role", "assistant", "content", text);
	json_t *choice = json_pack("{s:i, s:o, s:s}", "index", 0, "message", message,
				   "finish_reason", cut ? "length" : "stop");
	json_t *usage =
	    json_pack("{s:I, s:I, s:I}", "prompt_tokens", (json_int_t)asked, "completion_tokens",
		      (json_int_t)tokens, "total_tokens", (json_int_t)asked + tokens);
	return json_pack("{s:s, s:s, s:I, s:s, s:[o], s:o}", "id", id, "object", "chat.completion",
			 "created", (json_int_t)(wall_ms / 1000), "model", job->model, "choices",
			 choice, "usage", usage);
}

/* ---- speech to text ---- */

static double rounded(double seconds)
{
	return (double)(int64_t)(seconds * 100 + 0.5) / 100;
}

static json_t *words_of(const char *sentence, double start, double end)
{
	json_t *out = json_array();
	double step =
	    (end - start) / (double)(count_tokens(sentence) > 0 ? count_tokens(sentence) : 1);
	for (int64_t i = 0; *sentence; i++) {
		size_t n = strcspn(sentence, " ");
		json_array_append_new(out,
				      json_pack("{s:s%, s:f, s:f}", "word", sentence, n, "start",
						rounded(start + step * (double)i), "end",
						rounded(start + step * (double)(i + 1))));
		sentence += n + (sentence[n] == ' ');
	}
	return out;
}

static json_t *segment(const struct task_stt *t, struct rng *rng, size_t id, double *at,
		       struct buf *all)
{
	size_t from = all->len;
	if (!words_sentence(rng, all))
		return NULL;
	const char *text = all->data + from + (from ? 1 : 0);
	double end = rounded(*at + 0.35 * (double)count_tokens(text) + 0.2);
	json_t *s = json_pack("{s:I, s:f, s:f, s:s}", "id", (json_int_t)id, "start", *at, "end",
			      end, "text", text);
	if (t->timestamps && strcmp(t->timestamps, "word") == 0)
		json_object_set_new(s, "words", words_of(text, *at, end));
	*at = end;
	return s;
}

json_t *answer_stt(const struct engine_job *job)
{
	const struct task_stt *t = &job->task->stt;
	const char *language = t->translate || !t->language || !*t->language ? "en" : t->language;
	json_t *segments = json_array();
	unsigned char key[32];
	struct rng rng;
	struct buf all;
	double at = 0;
	run_key("stt", t->input_url, language, key);
	seed_rng(&rng, key);
	buf_init(&all, TEXT_MAX);
	size_t n = 2 + rng_below(&rng, 3);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(segments, segment(t, &rng, i, &at, &all));
	auto_free char *text = buf_steal(&all);
	return json_pack("{s:s, s:s, s:f, s:o}", "text", text, "language", language, "duration", at,
			 "segments", segments);
}
