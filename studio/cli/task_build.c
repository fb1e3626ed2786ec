/* task_build.c - the task of a job from the options of `studiod submit`.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/wire/frame.h"
#include "studio/cli/task_build.h"

#define FILE_MAX ((size_t)1 << 20)

const struct task_option task_options[TASK_OPTIONS] = {
    {"--prompt", "prompt", TASK_TEXT},
    {"--text", "text", TASK_TEXT},
    {"--input-url", "inputUrl", TASK_TEXT},
    {"--negative-prompt", "negativePrompt", TASK_TEXT},
    {"--width", "width", TASK_INTEGER},
    {"--height", "height", TASK_INTEGER},
    {"--steps", "steps", TASK_INTEGER},
    {"--seed", "seed", TASK_INTEGER},
    {"--cfg-scale", "cfgScale", TASK_NUMBER},
    {"--ext", "ext", TASK_TEXT},
    {"--system", "system", TASK_TEXT},
    {"--max-tokens", "maxTokens", TASK_INTEGER},
    {"--temperature", "temperature", TASK_NUMBER},
    {"--voice", "voice", TASK_TEXT},
    {"--language", "language", TASK_TEXT},
    {"--speed", "speed", TASK_NUMBER},
    {"--timestamps", "timestamps", TASK_TEXT},
    {"--seconds", "seconds", TASK_NUMBER},
    {"--fps", "fps", TASK_NUMBER},
    {"--init-image-url", "initImageUrl", TASK_TEXT},
};
const size_t task_option_count = ARRAY_LEN(task_options);

json_t *json_argument(const char *name, const char *text, struct err *e)
{
	auto_free char *data = NULL;
	size_t len = strlen(text);
	json_t *json;

	if (text[0] == '@') {
		if (fs_read(text + 1, FILE_MAX, &data, &len, e) < 0) {
			err_wrap(e, "%s", name);
			return NULL;
		}
		text = data;
	}
	json = json_parse(text, len, e);
	if (json_is_object(json))
		return json;
	if (json)
		err_set(e, EINVAL, "must be a JSON object");
	json_decref(json);
	err_wrap(e, "%s", name);
	return NULL;
}

static bool fits(const struct task_option *o, const json_t *value)
{
	if (!value)
		return false;
	switch (o->type) {
	case TASK_INTEGER:
		return json_is_integer(value);
	case TASK_NUMBER:
		return json_is_number(value);
	case TASK_TEXT:
		break;
	}
	return true;
}

static json_t *value_of(const struct task_option *o, const char *text, struct err *e)
{
	static const char *const wanted[] = {
	    [TASK_TEXT] = "UTF-8 text",
	    [TASK_NUMBER] = "a number",
	    [TASK_INTEGER] = "a whole number",
	};
	json_t *value =
	    o->type == TASK_TEXT ? json_string(text) : json_loads(text, JSON_DECODE_ANY, NULL);

	if (fits(o, value))
		return value;
	json_decref(value);
	err_set(e, EINVAL, "%s: must be %s", o->name, wanted[o->type]);
	return NULL;
}

/* What a person calls the prompt has another name in some kinds. */
static void put(json_t *task, const char *kind, const char *field, json_t *value)
{
	bool spoken = strcmp(field, "prompt") == 0 || strcmp(field, "text") == 0;

	if (spoken && strcmp(kind, "llm") == 0)
		json_object_set_new(task, "messages",
				    json_pack("[{s:s, s:o}]", "role", "user", "content", value));
	else if (spoken && strcmp(kind, "audio_tts") == 0)
		json_object_set_new(task, "text", value);
	else
		json_object_set_new(task, field, value);
}

json_t *task_build(const char *kind, const char *task, const char *const *values, struct err *e)
{
	json_t *out = task ? json_argument("--task", task, e) : json_object();
	const char *given;

	if (!out)
		return NULL;
	given = json_string_value(json_object_get(out, "kind"));
	if (!*kind && given)
		kind = given;
	for (size_t i = 0; i < task_option_count; i++) {
		json_t *value = values[i] ? value_of(&task_options[i], values[i], e) : NULL;
		if (value) {
			put(out, kind, task_options[i].field, value);
		} else if (values[i]) {
			json_decref(out);
			return NULL;
		}
	}
	if (*kind && !given)
		json_object_set_new(out, "kind", json_string(kind));
	return out;
}
