/* answer.c - see answer.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/llama-cpp/answer.h"

#include <errno.h>
#include <string.h>

#include "lib/wire/frame.h"
#include "worker/engine/llama-cpp/refusal.h"

void answer_init(struct answer *a)
{
	*a = (struct answer){0};
	buf_init(&a->content, ANSWER_MAX_TEXT);
	buf_init(&a->reasoning, ANSWER_MAX_TEXT);
}

static void drop(json_t **v)
{
	json_decref(*v);
	*v = NULL;
}

void answer_fini(struct answer *a)
{
	buf_fini(&a->content);
	buf_fini(&a->reasoning);
	drop(&a->calls);
	drop(&a->id);
	drop(&a->model);
	drop(&a->created);
	drop(&a->fingerprint);
	drop(&a->usage);
	drop(&a->timings);
	drop(&a->finish);
}

static enum answer_state garbage(struct err *e, const char *what)
{
	err_set(e, EPROTO, "llama-server answered garbage: %s", what);
	return ANSWER_BROKEN;
}

static enum answer_state too_big(struct err *e)
{
	err_set(e, EFBIG, "the answer has more than %u KiB of text; ask for fewer tokens",
		ANSWER_MAX_TEXT >> 10);
	return ANSWER_TOO_BIG;
}

static bool fits(const struct answer *a, size_t more)
{
	return a->content.len + a->reasoning.len + a->calls_bytes + more <= ANSWER_MAX_TEXT;
}

/* Of a string; null and absent are nothing. */
static enum answer_state add_text(struct answer *a, struct buf *to, const json_t *v, struct err *e)
{
	size_t len = json_string_length(v);
	if (v && !json_is_null(v) && !json_is_string(v))
		return garbage(e, "a piece of text that is none");
	if (len == 0)
		return ANSWER_MORE;
	if (!fits(a, len) || !buf_add(to, json_string_value(v), len))
		return too_big(e);
	a->chunks++;
	return ANSWER_MORE;
}

/* ---- tool calls: pieces of name and arguments, by index ---- */

static json_t *call_at(struct answer *a, json_int_t index)
{
	if (!a->calls)
		a->calls = json_array();
	if (index < 0 || index >= ANSWER_MAX_CALLS || (size_t)index > json_array_size(a->calls))
		return NULL;
	if ((size_t)index == json_array_size(a->calls))
		json_array_append_new(a->calls, json_pack("{s:s, s:{s:s, s:s}}", "type", "function",
							  "function", "name", "", "arguments", ""));
	return json_array_get(a->calls, (size_t)index);
}

/* Copies what is there: that is why ANSWER_MAX_CALL_TEXT is small. */
static bool append(struct answer *a, json_t *object, const char *key, const json_t *more)
{
	json_t *old = json_object_get(object, key);
	size_t len = json_string_length(more);
	if (len == 0)
		return true;
	if (!fits(a, len) || a->calls_bytes + len > ANSWER_MAX_CALL_TEXT)
		return false;
	a->calls_bytes += len;
	return json_object_set_new(
		   object, key,
		   json_sprintf("%s%s", json_string_value(old), json_string_value(more))) == 0;
}

static enum answer_state add_call(struct answer *a, const json_t *delta, struct err *e)
{
	const json_t *index = json_object_get(delta, "index"), *id = json_object_get(delta, "id"),
		     *function = json_object_get(delta, "function");
	json_t *call = call_at(a, json_is_integer(index) ? json_integer_value(index) : -1);
	if (!call)
		return garbage(e, "a tool call out of order");
	if (json_string_length(id) && json_string_length(id) < 256)
		json_object_set(call, "id", (json_t *)(uintptr_t)id);
	json_t *to = json_object_get(call, "function");
	if (!append(a, to, "name", json_object_get(function, "name")) ||
	    !append(a, to, "arguments", json_object_get(function, "arguments")))
		return too_big(e);
	a->chunks++;
	return ANSWER_MORE;
}

static enum answer_state add_calls(struct answer *a, const json_t *calls, struct err *e)
{
	size_t i;
	json_t *delta;
	enum answer_state s = ANSWER_MORE;
	json_array_foreach ((json_t *)(uintptr_t)calls, i, delta) {
		if (s == ANSWER_MORE)
			s = add_call(a, delta, e);
	}
	return s;
}

/* ---- chunks ---- */

static void keep(json_t **to, const json_t *object, const char *key, json_type type)
{
	json_t *v = json_object_get(object, key);
	if (!v || json_typeof(v) != type)
		return;
	json_decref(*to);
	*to = json_incref(v);
}

static void take_progress(struct answer *a, const json_t *p)
{
	json_int_t total = json_integer_value(json_object_get(p, "total"));
	json_int_t done = json_integer_value(json_object_get(p, "processed"));
	if (total > 0 && done >= 0 && done <= total) {
		a->prompt_total = (uint64_t)total;
		a->prompt_done = (uint64_t)done;
	}
}

static enum answer_state take_choice(struct answer *a, const json_t *choice, struct err *e)
{
	const json_t *delta = json_object_get(choice, "delta");
	keep(&a->finish, choice, "finish_reason", JSON_STRING);
	enum answer_state s = add_text(a, &a->content, json_object_get(delta, "content"), e);
	if (s == ANSWER_MORE)
		s = add_text(a, &a->reasoning, json_object_get(delta, "reasoning_content"), e);
	if (s == ANSWER_MORE)
		s = add_calls(a, json_object_get(delta, "tool_calls"), e);
	return s;
}

static enum answer_state take_chunk(struct answer *a, const json_t *chunk, struct err *e)
{
	const json_t *error = json_object_get(chunk, "error"),
		     *choices = json_object_get(chunk, "choices");
	/* Older builds send the error itself, announced by the name of its field. */
	if (!error && json_object_get(chunk, "code") && json_object_get(chunk, "message"))
		error = chunk;
	if (json_is_object(error))
		return refusal_read(200, error, e);
	if (!json_is_array(choices))
		return garbage(e, "a chunk without choices");
	keep(&a->id, chunk, "id", JSON_STRING);
	keep(&a->model, chunk, "model", JSON_STRING);
	keep(&a->created, chunk, "created", JSON_INTEGER);
	keep(&a->fingerprint, chunk, "system_fingerprint", JSON_STRING);
	keep(&a->usage, chunk, "usage", JSON_OBJECT);
	keep(&a->timings, chunk, "timings", JSON_OBJECT);
	take_progress(a, json_object_get(chunk, "prompt_progress"));
	if (json_array_size(choices) == 0)
		return ANSWER_MORE;
	return take_choice(a, json_array_get(choices, 0), e);
}

enum answer_state answer_take(struct answer *a, const char *data, size_t len, struct err *e)
{
	struct err bad = ERR_INIT;
	if (len == 6 && memcmp(data, "[DONE]", 6) == 0)
		return a->finish ? ANSWER_DONE : garbage(e, "the end of a stream without a reason");
	json_t *chunk = json_parse(data, len, &bad);
	if (!json_is_object(chunk)) {
		json_decref(chunk);
		return garbage(e, bad.code ? bad.text : "an event that is no object");
	}
	enum answer_state s = take_chunk(a, chunk, e);
	json_decref(chunk);
	return s;
}

/* ---- the whole ---- */

/* Builds that leave the thoughts of a streamed answer in its text put them in front, in <think>. */
static void split_thoughts(struct answer *a)
{
	const char *text = a->content.data ? a->content.data : "";
	const char *begin = text + strspn(text, " \t\r\n");
	if (a->reasoning.len || strncmp(begin, "<think>", 7) != 0)
		return;
	begin += 7;
	begin += strspn(begin, "\r\n");
	const char *end = strstr(begin, "</think>");
	if (!end)
		return;
	size_t len = (size_t)(end - begin);
	while (len && strchr("\r\n", begin[len - 1]))
		len--;
	if (!buf_add(&a->reasoning, begin, len))
		return;
	end += 8;
	end += strspn(end, " \t\r\n");
	buf_consume(&a->content, (size_t)(end - text));
}

static json_t *message(struct answer *a)
{
	json_t *m = json_pack("{s:s, s:s%}", "role", "assistant", "content",
			      a->content.data ? a->content.data : "", a->content.len);
	if (a->reasoning.len)
		json_object_set_new(m, "reasoning_content",
				    json_stringn(a->reasoning.data, a->reasoning.len));
	if (a->calls)
		json_object_set(m, "tool_calls", a->calls);
	return m;
}

json_t *answer_result(struct answer *a)
{
	split_thoughts(a);
	json_t *out =
	    json_pack("{s:s, s:[{s:i, s:o, s:O}]}", "object", "chat.completion", "choices", "index",
		      0, "message", message(a), "finish_reason", a->finish);
	const struct {
		const char *key;
		json_t *value;
	} rest[] = {{"id", a->id},	     {"model", a->model},
		    {"created", a->created}, {"system_fingerprint", a->fingerprint},
		    {"usage", a->usage},     {"timings", a->timings}};
	for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
		if (rest[i].value)
			json_object_set(out, rest[i].key, rest[i].value);
	return out;
}
