/* fields.c - see fields.h.
 * SPDX-License-Identifier: MIT */
#include "lib/wire/fields.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/secret.h"

static const char *type_name(enum field_type type)
{
	static const char *const names[] = {
	    [FIELD_STRING] = "a string",  [FIELD_SECRET] = "a string",
	    [FIELD_BOOL] = "a boolean",	  [FIELD_NUMBER] = "a number",
	    [FIELD_INT] = "an integer",	  [FIELD_U64] = "an integer of 64 bits",
	    [FIELD_OBJECT] = "an object", [FIELD_JSON] = "a value",
	};
	return names[type];
}

static bool type_fits(enum field_type type, const json_t *v)
{
	switch (type) {
	case FIELD_STRING:
	case FIELD_SECRET:
		return json_is_string(v);
	case FIELD_BOOL:
		return json_is_boolean(v);
	case FIELD_NUMBER:
		return json_is_number(v) && isfinite(json_number_value(v));
	case FIELD_INT:
		return json_is_integer(v) ||
		       (json_is_real(v) && trunc(json_real_value(v)) == json_real_value(v));
	case FIELD_U64:
		return json_is_number(v);
	case FIELD_OBJECT:
		return json_is_object(v);
	case FIELD_JSON:
		return true;
	}
	return false;
}

/* jansson has no unsigned 64-bit integers: what is above INT64_MAX was parsed as a real
 * (json_parse) and is the nearest multiple of 2,048 here. UINT64_MAX itself rounds up to 2^64,
 * hence the <=. */
static bool u64_of(const json_t *v, uint64_t *out)
{
	if (json_is_integer(v)) {
		*out = (uint64_t)json_integer_value(v);
		return json_integer_value(v) >= 0;
	}
	double real = json_real_value(v);
	if (!(real >= 0) || real > 0x1p64 || trunc(real) != real)
		return false;
	*out = real < 0x1p64 ? (uint64_t)real : UINT64_MAX;
	return true;
}

static int store_text(const json_t *v, const char *where, const struct field *f, void *at,
		      struct err *e)
{
	if ((double)json_string_length(v) > f->max)
		return err_set(e, EPROTO, "%s.%s is longer than %.0f bytes", where, f->name,
			       f->max);
	if (f->type == FIELD_SECRET)
		secret_set(at, json_string_value(v));
	else
		str_replace(at, json_string_value(v));
	return 0;
}

static int store_number(const json_t *v, const char *where, const struct field *f, void *at,
			struct err *e)
{
	double number = json_number_value(v);
	if (!(number >= f->min && number <= f->max))
		return err_set(e, EPROTO, "%s.%s must be from %g to %g", where, f->name, f->min,
			       f->max);
	if (f->type == FIELD_NUMBER)
		memcpy(at, &number, sizeof number);
	else
		*(int64_t *)at = json_is_integer(v) ? json_integer_value(v) : (int64_t)number;
	return 0;
}

static int store(json_t *v, const char *where, const struct field *f, void *at, struct err *e)
{
	switch (f->type) {
	case FIELD_STRING:
	case FIELD_SECRET:
		return store_text(v, where, f, at, e);
	case FIELD_BOOL:
		*(bool *)at = json_is_true(v);
		return 0;
	case FIELD_NUMBER:
	case FIELD_INT:
		return store_number(v, where, f, at, e);
	case FIELD_U64:
		if (!u64_of(v, at))
			return err_set(e, EPROTO, "%s.%s must be an integer from 0 to 2^64-1",
				       where, f->name);
		return 0;
	case FIELD_OBJECT:
	case FIELD_JSON:
		json_decref(*(json_t **)at);
		*(json_t **)at = json_incref(v);
		return 0;
	}
	return 0;
}

static int read_field(json_t *json, const char *where, const struct field *f, void *out,
		      struct err *e)
{
	json_t *v = json_object_get(json, f->name);
	/* A needed field of any JSON may be null itself: there only a missing key is absent. */
	bool null_is_value = f->type == FIELD_JSON && f->required;
	if (!v || (json_is_null(v) && !null_is_value)) {
		if (f->required)
			return err_set(e, EPROTO, "%s.%s is missing", where, f->name);
		return 0;
	}
	if (!type_fits(f->type, v))
		return err_set(e, EPROTO, "%s.%s must be %s", where, f->name, type_name(f->type));
	int rc = store(v, where, f, (char *)out + f->offset, e);
	if (!rc && f->has)
		*((bool *)((char *)out + f->has)) = true;
	return rc;
}

int fields_read(json_t *json, const char *where, const struct field *rows, size_t n, void *out,
		struct err *e)
{
	if (!json_is_object(json))
		return err_set(e, EPROTO, "%s must be an object", where);
	for (size_t i = 0; i < n; i++) {
		int rc = read_field(json, where, &rows[i], out, e);
		if (rc)
			return rc;
	}
	return 0;
}

int fields_array(json_t *json, const char *where, const char *name, bool required, size_t max_n,
		 json_t **out, struct err *e)
{
	json_t *v = json_object_get(json, name);
	*out = NULL;
	if (!v || json_is_null(v))
		return required ? err_set(e, EPROTO, "%s.%s is missing", where, name) : 0;
	if (!json_is_array(v))
		return err_set(e, EPROTO, "%s.%s must be an array", where, name);
	if (json_array_size(v) > max_n)
		return err_set(e, EPROTO, "%s.%s has more than %zu items", where, name, max_n);
	*out = v;
	return 0;
}

int fields_strings(json_t *json, const char *where, const char *name, size_t max_n, size_t max_len,
		   char ***items, size_t *n, struct err *e)
{
	json_t *array;
	int rc = fields_array(json, where, name, false, max_n, &array, e);
	*items = NULL;
	*n = 0;
	if (rc || !array)
		return rc;
	char **texts = xcalloc(json_array_size(array), sizeof *texts);
	size_t got = 0;
	for (size_t i = 0; i < json_array_size(array); i++) {
		json_t *v = json_array_get(array, i);
		if (!json_is_string(v) || json_string_length(v) > max_len) {
			fields_strings_free(texts, got);
			return err_set(e, EPROTO, "%s.%s must hold strings of at most %zu bytes",
				       where, name, max_len);
		}
		texts[got++] = xstrdup(json_string_value(v));
	}
	*items = texts;
	*n = got;
	return 0;
}

void fields_strings_free(char **items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(items[i]);
	free(items);
}
