/* instance.c - see instance.h.
 * SPDX-License-Identifier: MIT */
#include "worker/engine/synthetic/instance.h"

#include <string.h>

#include "lib/base/mem.h"

#define MAX_DEPTH  16
#define MAX_VALUES 1000
#define MAX_ITEMS  16
#define MAX_TEXT   256

struct maker {
	int depth, values;
};

static json_t *make(struct maker *m, const json_t *schema);

static json_t *make_object(struct maker *m, const json_t *schema)
{
	json_t *out = json_object(), *properties = json_object_get(schema, "properties"), *name;
	json_t *required = json_object_get(schema, "required");
	const char *key;
	json_t *value;
	size_t i;
	if (json_is_array(required)) {
		json_array_foreach (required, i, name) {
			if (json_is_string(name))
				json_object_set_new(
				    out, json_string_value(name),
				    make(m, json_object_get(properties, json_string_value(name))));
		}
		return out;
	}
	json_object_foreach (properties, key, value)
		json_object_set_new(out, key, make(m, value));
	return out;
}

static json_t *make_array(struct maker *m, const json_t *schema)
{
	json_t *out = json_array();
	json_int_t n = json_integer_value(json_object_get(schema, "minItems"));
	for (json_int_t i = 0; i < n && i < MAX_ITEMS; i++)
		json_array_append_new(out, make(m, json_object_get(schema, "items")));
	return out;
}

static json_t *make_text(const json_t *schema)
{
	json_int_t n = json_integer_value(json_object_get(schema, "minLength"));
	char text[MAX_TEXT + 1] = "synthetic";
	size_t want = n > MAX_TEXT ? MAX_TEXT : n > 0 ? (size_t)n : 0;
	for (size_t len = strlen(text); len < want; len++)
		text[len] = '.';
	return json_string(text);
}

static json_t *make_number(const json_t *schema, bool whole)
{
	const json_t *least = json_object_get(schema, "minimum");
	double v = json_is_number(least) ? json_number_value(least) : 0;
	if (json_is_integer(least) || v == 0)
		return json_integer(json_integer_value(least));
	if (!whole)
		return json_real(v);
	return v > -1e15 && v < 1e15 ? json_integer((json_int_t)v + (v > (double)(json_int_t)v))
				     : json_integer(0);
}

static json_t *make_typed(struct maker *m, const json_t *schema, const char *type)
{
	if (strcmp(type, "object") == 0)
		return make_object(m, schema);
	if (strcmp(type, "array") == 0)
		return make_array(m, schema);
	if (strcmp(type, "string") == 0)
		return make_text(schema);
	if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0)
		return make_number(schema, *type == 'i');
	if (strcmp(type, "boolean") == 0)
		return json_true();
	return json_null();
}

/* A value that the schema itself names, or a sub-schema to take instead. */
static json_t *given(struct maker *m, const json_t *schema)
{
	static const char *const values[] = {"const", "default"}, *const lists[] = {
								      "anyOf", "oneOf", "allOf"};
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		json_t *v = json_object_get(schema, values[i]);
		if (v)
			return json_incref(v);
	}
	json_t *choice = json_array_get(json_object_get(schema, "enum"), 0);
	if (choice)
		return json_incref(choice);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		json_t *first = json_array_get(json_object_get(schema, lists[i]), 0);
		if (first)
			return make(m, first);
	}
	return NULL;
}

static const char *type_of(const json_t *schema)
{
	json_t *type = json_object_get(schema, "type");
	if (json_is_array(type))
		type = json_array_get(type, 0);
	if (json_is_string(type))
		return json_string_value(type);
	return json_object_get(schema, "properties") ? "object"
	       : json_object_get(schema, "items")    ? "array"
						     : "string";
}

static json_t *make(struct maker *m, const json_t *schema)
{
	if (m->depth >= MAX_DEPTH || m->values >= MAX_VALUES)
		return json_null();
	m->depth++;
	m->values++;
	json_t *v = given(m, schema);
	if (!v)
		v = make_typed(m, schema, type_of(schema));
	m->depth--;
	return v;
}

json_t *instance_of(const json_t *schema)
{
	struct maker m = {0, 0};
	const json_t *inner = json_object_get(schema, "schema");
	/* {name, schema: {...}}, as OpenAI's response_format wraps it. */
	if (json_is_object(inner) && !json_object_get(schema, "type") &&
	    !json_object_get(schema, "properties"))
		schema = inner;
	return make(&m, schema);
}
