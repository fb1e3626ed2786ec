/* refusal.c - what llama-server says when it refuses or fails: {"error": {code, message, type}}.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/llama-cpp/refusal.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/frame.h"

/* It answers 500 to what its template, its grammar or its JSON parser throws too, and would every
 * time; anything else may go well on a fresh server. */
static bool would_again(const char *message)
{
	static const char *const words[] = {"emplate",	   "inja", "chema",	   "rammar",
					    "parse_error", "json", "conversation", "role"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strstr(message, words[i]))
			return true;
	return false;
}

static enum answer_state too_long(const json_t *error, const char *message, struct err *e)
{
	const json_t *prompt = json_object_get(error, "n_prompt_tokens"),
		     *context = json_object_get(error, "n_ctx");
	if (json_is_integer(prompt) && json_is_integer(context))
		err_set(e, E2BIG,
			"the prompt has %lld tokens, the model's context only %lld; shorten it, or "
			"raise the model's contextSize (llama-server: %s)",
			(long long)json_integer_value(prompt),
			(long long)json_integer_value(context), message);
	else
		err_set(e, E2BIG,
			"the prompt is longer than the model's context; shorten it, or raise the "
			"model's contextSize (llama-server: %s)",
			message);
	return ANSWER_REFUSED;
}

enum answer_state refusal_read(int status, const json_t *error, struct err *e)
{
	const char *type = json_string_value(json_object_get(error, "type"));
	const char *message = json_string_value(json_object_get(error, "message"));
	const json_t *code = json_object_get(error, "code");
	if (status == 200)
		status = json_is_integer(code) ? (int)json_integer_value(code) : 500;
	if (!message || !*message)
		message = "no reason given";
	if (type && strcmp(type, "exceed_context_size_error") == 0)
		return too_long(error, message, e);
	/* Builds of 2025 have no type of its own for it. */
	if (strstr(message, "exceeds the available context size") ||
	    strstr(message, "context shift is disabled"))
		return too_long(error, message, e);
	if (status == 401)
		err_set(e, EPROTO, "what answers at the server's port does not take its key: %s",
			message);
	else
		err_set(e, EINVAL, "llama-server answered %d: %s", status, message);
	if (status == 401 || status == 429 || status == 503)
		return ANSWER_BROKEN;
	if (status >= 400 && status < 500)
		return ANSWER_REFUSED;
	return would_again(message) ? ANSWER_REFUSED : ANSWER_BROKEN;
}

enum answer_state answer_refusal(int status, const char *body, size_t len, struct err *e)
{
	struct err bad = ERR_INIT;
	json_t *json = json_parse(body, len, &bad);
	const json_t *error = json_object_get(json, "error");
	enum answer_state s = ANSWER_BROKEN;
	if (json_is_object(error))
		s = refusal_read(status, error, e);
	else
		err_set(e, EPROTO, "llama-server answered %d with something that is no error of it",
			status);
	json_decref(json);
	return s;
}
