/* json_write.c - see json_write.h.
 * SPDX-License-Identifier: MIT */
#include "lib/wire/json_write.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"
#include "lib/wire/fields.h"

#define TEXT_MAX (256u << 20)

static bool add_text(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

static bool add_escape(struct buf *b, unsigned char c)
{
	static const char names[32] = {
	    ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	char two[] = {'\\', (char)c};
	if (c >= 32)
		return buf_add(b, two, 2);
	two[1] = names[c];
	return names[c] ? buf_add(b, two, 2) : buf_printf(b, "\\u%04X", c);
}

/* Valid UTF-8 only. */
static bool add_quoted(struct buf *b, const char *s, size_t len)
{
	size_t start = 0;
	if (!buf_add(b, "\"", 1))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c >= 32 && c != '"' && c != '\\')
			continue;
		if (!buf_add(b, s + start, i - start) || !add_escape(b, c))
			return false;
		start = i + 1;
	}
	return buf_add(b, s + start, len - start) && buf_add(b, "\"", 1);
}

static bool add_member(struct buf *b, const char *key, const json_t *value, bool first, bool sorted)
{
	return (first || buf_add(b, ",", 1)) && add_quoted(b, key, strlen(key)) &&
	       buf_add(b, ":", 1) && json_add(b, value, sorted);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool add_sorted(struct buf *b, json_t *object)
{
	size_t n = 0;
	auto_free const char **keys = xcalloc(json_object_size(object) + 1, sizeof *keys);
	for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
		keys[n++] = json_object_iter_key(it);
	qsort(keys, n, sizeof *keys, by_bytes);
	for (size_t i = 0; i < n; i++)
		if (!add_member(b, keys[i], json_object_get(object, keys[i]), i == 0, true))
			return false;
	return true;
}

static bool add_members(struct buf *b, json_t *object)
{
	bool first = true;
	for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
		if (!add_member(b, json_object_iter_key(it), json_object_iter_value(it), first,
				false))
			return false;
		first = false;
	}
	return true;
}

static bool add_items(struct buf *b, const json_t *array, bool sorted)
{
	for (size_t i = 0; i < json_array_size(array); i++)
		if ((i && !buf_add(b, ",", 1)) || !json_add(b, json_array_get(array, i), sorted))
			return false;
	return true;
}

/* Reals are rare, and their shortest exact form is an art of its own. */
static bool add_real(struct buf *b, const json_t *json)
{
	char text[64];
	size_t n = json_dumpb(json, text, sizeof text, JSON_ENCODE_ANY | JSON_COMPACT);
	return n && n <= sizeof text && buf_add(b, text, n);
}

static bool add_integer(struct buf *b, json_int_t n)
{
	char text[24];
	int len = snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, n);
	return buf_add(b, text, (size_t)len);
}

bool json_add(struct buf *b, const json_t *json, bool sorted)
{
	json_t *o = (json_t *)(uintptr_t)json; /* jansson iterates over what is not const */
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return buf_add(b, "{", 1) && (sorted ? add_sorted(b, o) : add_members(b, o)) &&
		       buf_add(b, "}", 1);
	case JSON_ARRAY:
		return buf_add(b, "[", 1) && add_items(b, json, sorted) && buf_add(b, "]", 1);
	case JSON_STRING:
		return add_quoted(b, json_string_value(json), json_string_length(json));
	case JSON_INTEGER:
		return add_integer(b, json_integer_value(json));
	case JSON_REAL:
		return add_real(b, json);
	case JSON_TRUE:
		return add_text(b, "true");
	case JSON_FALSE:
		return add_text(b, "false");
	default:
		return add_text(b, "null");
	}
}

bool json_add_string(struct buf *b, const char *s)
{
	size_t len = strlen(s);
	if (utf8_valid(s, len))
		return add_quoted(b, s, len);
	json_t *clean = json_text(s);
	bool ok = json_add(b, clean, false);
	json_decref(clean);
	return ok;
}

bool json_add_field(struct buf *b, const char *key, const char *s)
{
	if (!s)
		return true;
	if (b->len && b->data[b->len - 1] != '{' && !buf_add(b, ",", 1))
		return false;
	return add_quoted(b, key, strlen(key)) && buf_add(b, ":", 1) && json_add_string(b, s);
}

char *json_write(const json_t *json, bool sorted)
{
	struct buf b;
	buf_init(&b, TEXT_MAX);
	char *text = json && json_add(&b, json, sorted) ? buf_steal(&b) : NULL;
	buf_fini(&b);
	return text;
}
