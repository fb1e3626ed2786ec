/* models.c - the studio's model registry: seeds, and JSON to model_record and back.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/kind.h"
#include "lib/wire/source.h"
#include "lib/wire/task.h"
#include "studio/registry/models.h"

#define MODEL_ID_MAX 200

static const char *const model_fields[] = {"id",	  "kind",     "enabled", "vramGbEstimate",
					   "modelSource", "defaults", NULL};

bool model_id_valid(const char *id)
{
	size_t n = 0;

	for (; id[n]; n++) {
		unsigned char ch = (unsigned char)id[n];
		if (ch <= ' ' || ch == 0x7f || ch == '/' || ch == '\\')
			return false;
	}
	return n > 0 && n <= MODEL_ID_MAX;
}

int json_known_fields(json_t *json, const char *const *known, struct err *e)
{
	const char *key;
	json_t *value;

	if (!json_is_object(json))
		return err_set(e, EINVAL, "the body must be a JSON object");
	json_object_foreach (json, key, value) {
		const char *const *k = known;
		while (*k && strcmp(*k, key) != 0)
			k++;
		if (!*k)
			return err_set(e, EINVAL, "%.64s: unknown field", key);
	}
	return 0;
}

int vram_decode(json_t *json, double *out, struct err *e)
{
	double v = json_number_value(json);

	if (!json_is_number(json) || !isfinite(v) || v < 0 || v > 100000)
		return err_set(e, EINVAL, "vramGbEstimate: must be a number of GB, 0 or more");
	*out = v;
	return 0;
}

int source_check(json_t *json, struct err *e)
{
	struct source *source = NULL;
	struct err why = ERR_INIT;

	if (!json_is_object(json))
		return err_set(e, EINVAL, "modelSource: must be an object with an engine");
	if (source_decode(json, &source, &why) < 0) {
		const char *text = why.text;
		if (strncmp(text, "modelSource", 11) == 0)
			return err_set(e, EINVAL, "%s", text);
		return err_set(e, EINVAL, "modelSource.%s", text);
	}
	source_free(source);
	return 0;
}

static bool given(json_t *json, const char *key, json_t **value)
{
	*value = json_object_get(json, key);
	return *value && !json_is_null(*value);
}

static int decode_kind(json_t *json, struct model_record *m, struct err *e)
{
	json_t *value;
	enum kind kind;

	if (!given(json, "kind", &value))
		return err_set(e, EINVAL, "kind: is required");
	if (!json_is_string(value) || !kind_parse(json_string_value(value), &kind))
		return err_set(e, EINVAL,
			       "kind: must be one of image, llm, audio_stt, audio_tts, video");
	m->kind = xstrdup(kind_name(kind));
	return 0;
}

static int decode_fields(const char *id, json_t *json, struct model_record *m, struct err *e)
{
	json_t *value;
	int rc;

	if (!model_id_valid(id))
		return err_set(e, EINVAL, "id: 1 to %d characters, no spaces or slashes",
			       MODEL_ID_MAX);
	if ((rc = json_known_fields(json, model_fields, e)) < 0)
		return rc;
	if (given(json, "id", &value) &&
	    (!json_is_string(value) || strcmp(json_string_value(value), id) != 0))
		return err_set(e, EINVAL, "id: must be the id of the address, or left out");
	if ((rc = decode_kind(json, m, e)) < 0)
		return rc;
	if (given(json, "enabled", &value)) {
		if (!json_is_boolean(value))
			return err_set(e, EINVAL, "enabled: must be true or false");
		m->enabled = json_is_true(value);
	}
	if (given(json, "vramGbEstimate", &value) &&
	    (rc = vram_decode(value, &m->vram_gb_estimate, e)) < 0)
		return rc;
	if (!given(json, "modelSource", &value))
		return err_set(e, EINVAL, "modelSource: is required");
	if ((rc = source_check(value, e)) < 0)
		return rc;
	m->source = json_deep_copy(value);
	if (given(json, "defaults", &value)) {
		if (!json_is_object(value))
			return err_set(e, EINVAL, "defaults: must be an object of task fields");
		m->defaults = json_deep_copy(value);
	}
	m->id = xstrdup(id);
	return 0;
}

int model_decode(const char *id, json_t *json, struct model_record *out, struct err *e)
{
	struct model_record m = {.enabled = true};
	int rc = decode_fields(id, json, &m, e);

	if (rc < 0) {
		model_record_fini(&m);
		return rc;
	}
	*out = m;
	return 0;
}

json_t *model_encode(const struct model_record *m)
{
	json_t *o = json_object();

	json_object_set_new(o, "id", json_string(m->id));
	json_object_set_new(o, "kind", json_string(m->kind));
	json_object_set_new(o, "enabled", json_boolean(m->enabled));
	json_object_set_new(o, "vramGbEstimate", json_real(m->vram_gb_estimate));
	json_object_set_new(o, "modelSource",
			    m->source ? json_deep_copy(m->source) : json_object());
	if (m->defaults)
		json_object_set_new(o, "defaults", json_deep_copy(m->defaults));
	return o;
}
