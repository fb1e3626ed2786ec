/* chat.c - see chat.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/llama-cpp/chat.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

#define TEMPERATURE_MAX 10 /* beyond it every token is as likely as any other */

/* ---- checks ---- */

static bool role_known(const char *role)
{
	static const char *const known[] = {"system", "developer", "user", "assistant", "tool"};
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(role, known[i]) == 0)
			return true;
	return false;
}

static int check_messages(const struct task_llm *t, struct err *e)
{
	bool any = t->system && *t->system;
	for (size_t i = 0; i < t->n_messages; i++) {
		if (!role_known(t->messages[i].role))
			return err_set(e, EINVAL,
				       "message %zu has the role '%.32s'; it can be system, "
				       "developer, user, assistant or tool",
				       i + 1, t->messages[i].role);
		any = any || t->messages[i].content[0];
	}
	return any ? 0 : err_set(e, EINVAL, "every message is empty");
}

static int check_numbers(const struct task_llm *t, struct err *e)
{
	if (t->max_tokens < 1 || t->max_tokens > CHAT_CONTEXT_MAX)
		return err_set(e, EINVAL, "maxTokens is %lld; it can be from 1 to %d",
			       (long long)t->max_tokens, CHAT_CONTEXT_MAX);
	if (!(t->temperature >= 0 && t->temperature <= TEMPERATURE_MAX))
		return err_set(e, EINVAL, "temperature is %g; it can be from 0 to %d",
			       t->temperature, TEMPERATURE_MAX);
	if (t->has_top_p && !(t->top_p > 0 && t->top_p <= 1))
		return err_set(e, EINVAL, "topP is %g; it can be above 0, up to 1", t->top_p);
	return 0;
}

static int check_context(const json_t *defaults, struct err *e)
{
	const json_t *v = json_object_get(defaults, "contextSize");
	if (!v || json_is_null(v))
		return 0;
	double n = json_number_value(v);
	if (json_is_number(v) && n >= CHAT_CONTEXT_MIN && n <= CHAT_CONTEXT_MAX &&
	    n == (double)(int)n)
		return 0;
	return err_set(e, EINVAL, "the model's contextSize must be a whole number from %d to %d",
		       CHAT_CONTEXT_MIN, CHAT_CONTEXT_MAX);
}

static int check_object(const char *name, const json_t *v, struct err *e)
{
	return !v || json_is_null(v) || json_is_object(v)
		   ? 0
		   : err_set(e, EINVAL, "%s must be an object", name);
}

static const json_t *budget_of(const json_t *reasoning)
{
	return json_object_get(reasoning, "maxTokens");
}

static int check_reasoning(const json_t *r, struct err *e)
{
	if (!r || json_is_null(r) || json_is_boolean(r) || json_is_string(r))
		return 0;
	const json_t *enabled = json_object_get(r, "enabled"),
		     *effort = json_object_get(r, "effort"), *budget = budget_of(r);
	if (json_is_object(r) && (!enabled || json_is_boolean(enabled)) &&
	    (!effort || json_is_string(effort)) &&
	    (!budget || (json_is_integer(budget) && json_integer_value(budget) >= 0)))
		return 0;
	return err_set(e, EINVAL,
		       "reasoning can be true, false, the name of an effort, or an object of "
		       "enabled, effort and maxTokens");
}

/* llama-server takes an enable_thinking of another type for an error of its own. */
static int check_kwargs(const char *name, const json_t *kwargs, struct err *e)
{
	int rc = check_object(name, kwargs, e);
	const json_t *thinking = json_object_get(kwargs, "enable_thinking");
	if (rc == 0 && thinking && !json_is_boolean(thinking))
		return err_set(e, EINVAL, "%s.enable_thinking must be true or false", name);
	return rc;
}

int chat_check(const struct task_llm *t, const json_t *defaults, struct err *e)
{
	int rc = check_messages(t, e);
	if (rc == 0)
		rc = check_numbers(t, e);
	if (rc == 0)
		rc = check_context(defaults, e);
	if (rc == 0)
		rc = check_object("jsonSchema", t->json_schema, e);
	if (rc == 0)
		rc = check_reasoning(t->reasoning, e);
	if (rc == 0)
		rc = check_kwargs("chatTemplateKwargs", t->chat_template_kwargs, e);
	return rc ? rc
		  : check_kwargs("the model's chatTemplateKwargs",
				 json_object_get(defaults, "chatTemplateKwargs"), e);
}

int chat_context(const json_t *defaults)
{
	double n = json_number_value(json_object_get(defaults, "contextSize"));
	return n > 0 ? (int)n : CHAT_CONTEXT;
}

size_t chat_prompt_bytes(const struct task_llm *t)
{
	size_t n = t->system ? strlen(t->system) : 0;
	for (size_t i = 0; i < t->n_messages; i++)
		n += strlen(t->messages[i].content);
	return n;
}

/* ---- the request ---- */

static void add_message(json_t *messages, const char *role, const char *content)
{
	/* Not every build knows the newer name. */
	if (strcmp(role, "developer") == 0)
		role = "system";
	json_array_append_new(messages, json_pack("{s:s, s:s}", "role", role, "content", content));
}

/* Many templates refuse a second system message: `system` goes in front of the first one. */
static json_t *messages(const struct task_llm *t)
{
	json_t *out = json_array();
	size_t i = 0;
	bool first = strcmp(t->messages[0].role, "system") == 0;
	if (t->system && *t->system && first) {
		auto_free char *both = xasprintf("%s\n\n%s", t->system, t->messages[i++].content);
		add_message(out, "system", both);
	} else if (t->system && *t->system) {
		add_message(out, "system", t->system);
	}
	for (; i < t->n_messages; i++)
		add_message(out, t->messages[i].role, t->messages[i].content);
	return out;
}

static void set_default(json_t *object, const char *key, json_t *value)
{
	if (json_object_get(object, key))
		json_decref(value);
	else
		json_object_set_new(object, key, value);
}

static void add_effort(json_t *kwargs, const char *effort)
{
	bool off = strcmp(effort, "none") == 0 || strcmp(effort, "off") == 0;
	set_default(kwargs, "enable_thinking", json_boolean(!off));
	if (!off)
		set_default(kwargs, "reasoning_effort", json_string(effort));
}

static void add_reasoning(json_t *kwargs, json_t *body, const json_t *r)
{
	const json_t *enabled = json_is_boolean(r) ? r : json_object_get(r, "enabled");
	const char *effort =
	    json_string_value(json_is_string(r) ? r : json_object_get(r, "effort"));
	if (enabled)
		set_default(kwargs, "enable_thinking", json_boolean(json_is_true(enabled)));
	if (effort)
		add_effort(kwargs, effort);
	if (json_is_integer(budget_of(r)))
		json_object_set_new(body, "thinking_budget_tokens",
				    json_integer(json_integer_value(budget_of(r))));
}

/* In this order: the job's arguments, what its `reasoning` stands for, the model's arguments. */
static void add_kwargs(json_t *body, const struct task_llm *t, const json_t *defaults)
{
	json_t *kwargs = json_object();
	if (t->chat_template_kwargs)
		json_object_update(kwargs, t->chat_template_kwargs);
	add_reasoning(kwargs, body, t->reasoning);
	json_t *of_model = json_object_get(defaults, "chatTemplateKwargs");
	if (json_is_object(of_model))
		json_object_update_missing(kwargs, of_model);
	if (json_object_size(kwargs))
		json_object_set(body, "chat_template_kwargs", kwargs);
	json_decref(kwargs);
}

static void add_stops(json_t *body, const struct task_llm *t)
{
	json_t *stops = json_array();
	for (size_t i = 0; i < t->n_stop; i++)
		if (t->stop[i][0])
			json_array_append_new(stops, json_string(t->stop[i]));
	if (json_array_size(stops))
		json_object_set(body, "stop", stops);
	json_decref(stops);
}

static void add_schema(json_t *body, json_t *schema)
{
	if (!json_is_object(schema))
		return;
	json_object_set_new(body, "response_format",
			    json_pack("{s:s, s:{s:s, s:b, s:O}}", "type", "json_schema",
				      "json_schema", "name", "answer", "strict", 1, "schema",
				      schema));
}

char *chat_request(const struct task_llm *t, const json_t *defaults, const char *model)
{
	/* return_progress: the server says how far it read a long prompt, the only sign of life
	 * until the first token. */
	json_t *body = json_pack("{s:s, s:o, s:I, s:f, s:b, s:{s:b}, s:b, s:b}", "model", model,
				 "messages", messages(t), "max_tokens", (json_int_t)t->max_tokens,
				 "temperature", t->temperature, "stream", 1, "stream_options",
				 "include_usage", 1, "return_progress", 1, "cache_prompt", 1);
	if (t->has_top_p)
		json_object_set_new(body, "top_p", json_real(t->top_p));
	add_stops(body, t);
	add_schema(body, t->json_schema);
	add_kwargs(body, t, defaults);
	char *text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	return text;
}
