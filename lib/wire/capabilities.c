/* capabilities.c - see capabilities.h.
 * SPDX-License-Identifier: MIT */
#include "lib/wire/capabilities.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/fields.h"

#define MODELS_MAX     4096
#define MODEL_NAME_MAX 512
#define KINDS_MAX      64 /* names of kinds, known or not */

struct capabilities *capabilities_new(void)
{
	struct capabilities *c = xcalloc(1, sizeof *c);
	c->engine = xstrdup("multi");
	c->machine_name = xstrdup("");
	c->username = xstrdup("");
	c->agent_version = xstrdup("");
	return c;
}

static void set_fini(struct string_set *s)
{
	fields_strings_free(s->items, s->n);
	*s = (struct string_set){NULL, 0};
}

void capabilities_free(struct capabilities *c)
{
	if (!c)
		return;
	free(c->machine_name);
	free(c->username);
	free(c->agent_version);
	free(c->engine);
	set_fini(&c->models);
	for (unsigned k = 0; k < KIND_COUNT; k++)
		set_fini(&c->per_kind[k]);
	free(c);
}

/* Place of the item, or where it belongs. */
static size_t set_find(const struct string_set *s, const char *item, bool *found)
{
	size_t lo = 0, hi = s->n;
	*found = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = strcmp(s->items[mid], item);
		if (!order) {
			*found = true;
			return mid;
		}
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void set_add(struct string_set *s, const char *item)
{
	bool found;
	size_t at = set_find(s, item, &found);
	if (found)
		return;
	s->items = xrealloc(s->items, (s->n + 1) * sizeof *s->items);
	memmove(s->items + at + 1, s->items + at, (s->n - at) * sizeof *s->items);
	s->items[at] = xstrdup(item);
	s->n++;
}

bool string_set_has(const struct string_set *s, const char *item)
{
	bool found;
	set_find(s, item, &found);
	return found;
}

void capabilities_add_model(struct capabilities *c, enum kind k, const char *model)
{
	c->kinds |= KIND_BIT(k);
	set_add(&c->per_kind[k], model);
	set_add(&c->models, model);
}

static json_t *encode_set(const struct string_set *s)
{
	json_t *array = json_array();
	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(array, json_text(s->items[i]));
	return array;
}

static const char *presence_name(enum presence p)
{
	return p == PRESENCE_IDLE ? "idle" : p == PRESENCE_ACTIVE ? "active" : NULL;
}

json_t *capabilities_encode(const struct capabilities *c)
{
	json_t *kinds = json_array(), *per_kind = json_object(), *json = json_object();
	for (unsigned k = 0; k < KIND_COUNT; k++) {
		if (!(c->kinds & KIND_BIT(k)))
			continue;
		json_array_append_new(kinds, json_string(kind_name((enum kind)k)));
		json_object_set_new(per_kind, kind_name((enum kind)k), encode_set(&c->per_kind[k]));
	}
	json_set_text(json, "machineName", c->machine_name);
	json_set_text(json, "username", c->username);
	json_set_text(json, "agentVersion", c->agent_version);
	json_set_text(json, "engine", c->engine);
	json_object_set_new(json, "vramTotalGb", json_real(c->vram_total_gb));
	json_object_set_new(json, "vramThresholdGb", json_real(c->vram_threshold_gb));
	json_object_set_new(json, "autoEnabled", json_boolean(c->auto_enabled));
	json_object_set_new(json, "autoStart", json_boolean(c->auto_start));
	json_object_set_new(json, "supportedModels", encode_set(&c->models));
	json_object_set_new(json, "taskKinds", kinds);
	json_object_set_new(json, "supportedModelsPerKind", per_kind);
	json_object_set_new(json, "autoUpdate", json_boolean(c->auto_update));
	json_object_set_new(json, "startMinimised", json_boolean(c->start_minimised));
	json_object_set_new(json, "onlyWhenIdle", json_boolean(c->only_when_idle));
	json_set_text(json, "userPresence", presence_name(c->presence));
	return json;
}

static const struct field rows[] = {
    FIELD_TEXT(capabilities, machine_name, "machineName", true, FIELD_ID_MAX),
    FIELD_TEXT(capabilities, username, "username", true, FIELD_ID_MAX),
    FIELD_TEXT(capabilities, agent_version, "agentVersion", true, FIELD_ID_MAX),
    FIELD_TEXT(capabilities, engine, "engine", true, FIELD_ID_MAX),
    FIELD_REAL(capabilities, vram_total_gb, "vramTotalGb", true, 0, FIELD_NUMBER_MAX),
    FIELD_REAL(capabilities, vram_threshold_gb, "vramThresholdGb", true, 0, FIELD_NUMBER_MAX),
    FIELD_FLAG(capabilities, auto_enabled, "autoEnabled", true),
    FIELD_FLAG(capabilities, auto_start, "autoStart", false),
    FIELD_FLAG(capabilities, auto_update, "autoUpdate", false),
    FIELD_FLAG(capabilities, start_minimised, "startMinimised", false),
    FIELD_FLAG(capabilities, only_when_idle, "onlyWhenIdle", false),
};

static int decode_set(json_t *json, const char *where, const char *name, struct string_set *out,
		      struct err *e)
{
	char **items;
	size_t n;
	int rc = fields_strings(json, where, name, MODELS_MAX, MODEL_NAME_MAX, &items, &n, e);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++)
		set_add(out, items[i]);
	fields_strings_free(items, n);
	return 0;
}

static int decode_kinds(json_t *json, struct capabilities *c, struct err *e)
{
	char **names;
	size_t n;
	int rc = fields_strings(json, "capabilities", "taskKinds", KINDS_MAX, FIELD_ID_MAX, &names,
				&n, e);
	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++) {
		enum kind k;
		if (kind_parse(names[i], &k))
			c->kinds |= KIND_BIT(k);
	}
	fields_strings_free(names, n);
	return 0;
}

static int decode_per_kind(json_t *json, struct capabilities *c, struct err *e)
{
	json_t *per_kind = json_object_get(json, "supportedModelsPerKind");
	if (per_kind && !json_is_null(per_kind) && !json_is_object(per_kind))
		return err_set(e, EPROTO, "capabilities.supportedModelsPerKind must be an object");
	for (unsigned k = 0; json_is_object(per_kind) && k < KIND_COUNT; k++) {
		int rc = decode_set(per_kind, "capabilities.supportedModelsPerKind",
				    kind_name((enum kind)k), &c->per_kind[k], e);
		if (rc)
			return rc;
	}
	return 0;
}

static int decode_presence(json_t *json, struct capabilities *c, struct err *e)
{
	json_t *v = json_object_get(json, "userPresence");
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v))
		return err_set(e, EPROTO, "capabilities.userPresence must be a string");
	if (!strcmp(json_string_value(v), "idle"))
		c->presence = PRESENCE_IDLE;
	else if (!strcmp(json_string_value(v), "active"))
		c->presence = PRESENCE_ACTIVE;
	return 0;
}

int capabilities_decode(json_t *json, struct capabilities **out, struct err *e)
{
	struct capabilities *c = capabilities_new();
	int rc = fields_read(json, "capabilities", rows, ARRAY_LEN(rows), c, e);
	if (!rc)
		rc = decode_set(json, "capabilities", "supportedModels", &c->models, e);
	if (!rc)
		rc = decode_kinds(json, c, e);
	if (!rc)
		rc = decode_per_kind(json, c, e);
	if (!rc)
		rc = decode_presence(json, c, e);
	if (rc) {
		capabilities_free(c);
		return rc;
	}
	*out = c;
	return 0;
}
