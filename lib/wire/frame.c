/* frame.c - what frames of both directions share: claims, names, features.
 * SPDX-License-Identifier: MIT */
#include "lib/wire/frame.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/fields.h"
#include "lib/wire/frame_parts.h"

static const char *const stages[] = {"downloading", "loading", "running", "uploading"};

const char *stage_name(enum stage s)
{
	return (size_t)s < ARRAY_LEN(stages) ? stages[s] : "running";
}

bool stage_parse(const char *s, enum stage *out)
{
	for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
		if (!strcmp(s, stages[i])) {
			*out = (enum stage)i;
			return true;
		}
	}
	return false;
}

static const struct {
	const char *name;
	unsigned bit;
} features[] = {
    {"progress", FEATURE_PROGRESS},
    {"cancel", FEATURE_CANCEL},
    {"resume", FEATURE_RESUME},
};

json_t *features_encode(unsigned bits)
{
	json_t *array = json_array();
	for (size_t i = 0; i < ARRAY_LEN(features); i++)
		if (bits & features[i].bit)
			json_array_append_new(array, json_string(features[i].name));
	return array;
}

int features_decode(json_t *json, const char *where, unsigned *bits, struct err *e)
{
	char **names;
	size_t n;
	int rc = fields_strings(json, where, "features", 1000, FIELD_ID_MAX, &names, &n, e);
	if (rc)
		return rc;
	*bits = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < ARRAY_LEN(features); k++)
			if (!strcmp(names[i], features[k].name))
				*bits |= features[k].bit;
	fields_strings_free(names, n);
	return 0;
}

json_t *frame_begin(const char *type)
{
	json_t *json = json_object();
	json_set_text(json, "type", type);
	return json;
}

json_t *frame_parse(const char *text, size_t len, const char **type, struct err *e)
{
	if (len > FRAME_MAX_BYTES) {
		err_set(e, EPROTO, "frame is longer than %u bytes", FRAME_MAX_BYTES);
		return NULL;
	}
	json_t *json = json_parse(text, len, e);
	if (!json) {
		err_wrap(e, "frame");
		return NULL;
	}
	*type = json_string_value(json_object_get(json, "type"));
	if (*type)
		return json;
	err_set(e, EPROTO, "frame is no object with a type");
	json_decref(json);
	return NULL;
}

static const struct field claim_rows[] = {
    FIELD_TEXT(claim, job_id, "jobId", true, FIELD_ID_MAX),
    FIELD_TEXT(claim, game_id, "gameId", true, FIELD_URL_MAX),
    FIELD_TEXT(claim, asset_name, "assetName", true, FIELD_URL_MAX),
    FIELD_TEXT(claim, model, "model", true, FIELD_URL_MAX),
    FIELD_REAL(claim, vram_gb_estimate, "vramGbEstimate", true, -FIELD_NUMBER_MAX,
	       FIELD_NUMBER_MAX),
};

/* Never guessed: an offer that does not say what to run, or with what, is no offer. */
static json_t *needed(json_t *json, const char *name, struct err *e)
{
	json_t *v = json_object_get(json, name);
	if (json_is_object(v))
		return v;
	err_set(e, EPROTO,
		v && !json_is_null(v) ? "claim.%s must be an object" : "claim.%s is missing", name);
	return NULL;
}

static int decode_claim(json_t *json, struct claim *c, struct err *e)
{
	int rc = fields_read(json, "claim", claim_rows, ARRAY_LEN(claim_rows), c, e);
	if (rc)
		return rc;
	if (!*c->job_id)
		return err_set(e, EPROTO, "claim.jobId is empty");
	json_t *task = needed(json, "task", e);
	json_t *source = task ? needed(json, "modelSource", e) : NULL;
	if (!source)
		return -EPROTO;
	rc = task_decode(task, &c->task, e);
	return rc ? rc : source_decode(source, &c->source, e);
}

int claim_decode(json_t *json, struct claim **out, struct err *e)
{
	struct claim *c = xcalloc(1, sizeof *c);
	int rc = decode_claim(json, c, e);
	if (rc) {
		claim_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void claim_free(struct claim *c)
{
	if (!c)
		return;
	free(c->job_id);
	free(c->game_id);
	free(c->asset_name);
	free(c->model);
	task_free(c->task);
	source_free(c->source);
	free(c);
}
