/* voice.c - see voice.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/piper/voice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/text.h"

#define SPEED_MIN 0.25
#define SPEED_MAX 4.0

static int one(size_t *slot, size_t i, const struct source *s, struct err *e)
{
	if (*slot != SIZE_MAX)
		return err_set(e, EINVAL,
			       "'%.100s' and '%.100s': a piper voice is one .onnx file and its "
			       ".onnx.json",
			       s->files[*slot].filename, s->files[i].filename);
	*slot = i;
	return 0;
}

int voice_files(const struct source *s, struct voice_files *out, struct err *e)
{
	*out = (struct voice_files){SIZE_MAX, SIZE_MAX};
	for (size_t i = 0; i < s->n_files; i++) {
		const char *name = s->files[i].filename;
		bool onnx = ends_with(name, ".onnx"), json = ends_with(name, ".onnx.json");
		if (strcmp(s->files[i].role, "model") != 0 || (!onnx && !json))
			return err_set(e, EINVAL,
				       "piper takes an .onnx file and its .onnx.json, both of role "
				       "'model', not '%.32s' (%.100s)",
				       s->files[i].role, name);
		if (one(onnx ? &out->onnx : &out->json, i, s, e) < 0)
			return -e->code;
	}
	if (out->onnx == SIZE_MAX || out->json == SIZE_MAX)
		return err_set(
		    e, EINVAL,
		    "the model has no file %s of role 'model'; a piper voice is an .onnx "
		    "file and its .onnx.json",
		    out->onnx == SIZE_MAX ? ".onnx" : ".onnx.json");
	size_t n = strlen(s->files[out->onnx].filename);
	if (strncmp(s->files[out->onnx].filename, s->files[out->json].filename, n) != 0)
		return err_set(e, EINVAL, "'%.100s' does not describe '%.100s'",
			       s->files[out->json].filename, s->files[out->onnx].filename);
	return 0;
}

static double number(const json_t *json, const char *group, const char *key)
{
	return json_number_value(json_object_get(json_object_get(json, group), key));
}

static bool is_number(const char *s)
{
	return *s && strlen(s) <= 6 && strspn(s, "0123456789") == strlen(s);
}

/* "en_US-lessac-medium.onnx" is named "en_US-lessac-medium" by people. */
static bool is_default(const char *voice, const char *name)
{
	size_t n = strlen(name) - strlen(".onnx");
	return !voice || !*voice || strcmp(voice, "default") == 0 || strcmp(voice, name) == 0 ||
	       (strlen(voice) == n && strncmp(voice, name, n) == 0);
}

static int choose_speaker(struct voice *v, const char *voice, const char *name, const json_t *json,
			  struct err *e)
{
	json_int_t count = json_integer_value(json_object_get(json, "num_speakers"));
	const json_t *map = json_object_get(json, "speaker_id_map"), *id;
	if (count < 1)
		count = 1;
	v->speaker = -1;
	if (is_default(voice, name))
		return 0;
	id = json_object_get(map, voice);
	long wanted = is_number(voice)	    ? strtol(voice, NULL, 10)
		      : json_is_integer(id) ? (long)json_integer_value(id)
					    : -1;
	if (wanted < 0 || wanted >= count)
		return err_set(
		    e, EINVAL,
		    "the voice %.100s has no speaker '%.64s'; it has %lld, numbered from "
		    "0%s; 'default' takes its first",
		    name, voice, (long long)count,
		    json_object_size(map) ? ", and names for them" : "");
	if (count > 1)
		v->speaker = (int)wanted;
	return 0;
}

/* "en_US" or "en": only the language counts, not the region. */
static int check_language(const char *wanted, const char *name, const json_t *json, struct err *e)
{
	const json_t *language = json_object_get(json, "language");
	const char *code = json_string_value(json_object_get(language, "code"));
	if (!code)
		code = json_string_value(json_object_get(json_object_get(json, "espeak"), "voice"));
	size_t n = wanted ? strcspn(wanted, "-_") : 0, m = code ? strcspn(code, "-_") : 0;
	if (n == 0 || m == 0 || (n == m && strncasecmp(wanted, code, n) == 0))
		return 0;
	return err_set(e, EINVAL, "the voice %.100s speaks %.32s, not '%.32s'", name, code, wanted);
}

int voice_plan(struct voice *v, const struct task_tts *t, const char *name, const json_t *json,
	       struct err *e)
{
	*v =
	    (struct voice){.length_scale = -1, .sample_rate = number(json, "audio", "sample_rate")};
	if (!json_is_object(json) || v->sample_rate < 1000 || v->sample_rate > 200000)
		return err_set(e, EINVAL, "%.100s.json does not describe a piper voice", name);
	if (choose_speaker(v, t->voice, name, json, e) < 0 ||
	    check_language(t->language, name, json, e) < 0)
		return -e->code;
	if (!t->has_speed)
		return 0;
	double own = number(json, "inference", "length_scale");
	double speed = t->speed < SPEED_MIN   ? SPEED_MIN
		       : t->speed > SPEED_MAX ? SPEED_MAX
					      : t->speed;
	v->length_scale = (own > 0 ? own : 1) / speed;
	return 0;
}
