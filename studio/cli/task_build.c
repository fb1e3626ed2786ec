/* task_build.c - the task of a job from the options of `studiod submit`.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/fs.h"
#include "lib/wire/frame.h"
#include "lib/wire/kind.h"
#include "studio/cli/task_build.h"

#define FILE_MAX ((size_t)1 << 20)

#define IMAGE KIND_BIT(KIND_IMAGE)
#define LLM   KIND_BIT(KIND_LLM)
#define STT   KIND_BIT(KIND_STT)
#define TTS   KIND_BIT(KIND_TTS)
#define VIDEO KIND_BIT(KIND_VIDEO)
#define ANY   (IMAGE | LLM | STT | TTS | VIDEO)

const struct task_option task_options[TASK_OPTIONS] = {
    {"--prompt", "prompt", TASK_TEXT, ANY},
    {"--text", "text", TASK_TEXT, LLM | TTS},
    {"--input-url", "inputUrl", TASK_TEXT, STT},
    {"--negative-prompt", "negativePrompt", TASK_TEXT, IMAGE | VIDEO},
    {"--width", "width", TASK_INTEGER, IMAGE | VIDEO},
    {"--height", "height", TASK_INTEGER, IMAGE | VIDEO},
    {"--steps", "steps", TASK_INTEGER, IMAGE},
    {"--seed", "seed", TASK_INTEGER, IMAGE},
    {"--cfg-scale", "cfgScale", TASK_NUMBER, IMAGE},
    {"--ext", "ext", TASK_TEXT, IMAGE | TTS | VIDEO},
    {"--system", "system", TASK_TEXT, LLM},
    {"--max-tokens", "maxTokens", TASK_INTEGER, LLM},
    {"--temperature", "temperature", TASK_NUMBER, LLM},
    {"--voice", "voice", TASK_TEXT, TTS},
    {"--language", "language", TASK_TEXT, STT | TTS},
    {"--speed", "speed", TASK_NUMBER, TTS},
    {"--timestamps", "timestamps", TASK_TEXT, STT},
    {"--seconds", "seconds", TASK_NUMBER, VIDEO},
    {"--fps", "fps", TASK_NUMBER, VIDEO},
    {"--init-image-url", "initImageUrl", TASK_TEXT, IMAGE | VIDEO},
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

/* A field of another kind would be ignored in silence. */
static int check_kind(const struct task_option *o, const char *kind, struct err *e)
{
	auto_free char *others = xstrdup("");
	enum kind known;

	if (!kind_parse(kind, &known) || o->kinds & KIND_BIT(known))
		return 0;
	for (enum kind k = KIND_IMAGE; k < KIND_COUNT; k++) {
		auto_free char *so_far = steal(&others);
		others = xasprintf("%s%s%s", so_far, *so_far && o->kinds & KIND_BIT(k) ? ", " : "",
				   o->kinds & KIND_BIT(k) ? kind_name(k) : "");
	}
	return err_set(e, EINVAL, "%s: not for a job of kind %s, only for: %s", o->name, kind,
		       others);
}

/* NULL with e. */
static json_t *option_value(const struct task_option *o, const char *kind, const char *text,
			    struct err *e)
{
	return check_kind(o, kind, e) < 0 ? NULL : value_of(o, text, e);
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
		json_t *value =
		    values[i] ? option_value(&task_options[i], kind, values[i], e) : NULL;
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
