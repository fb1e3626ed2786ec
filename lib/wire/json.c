/* json.c - JSON that comes from a peer, and text that goes to one.
 * The scan before the parser bounds what the parser may recurse into, and rewrites integers that
 * jansson would refuse. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/utf8.h"
#include "lib/wire/fields.h"
#include "lib/wire/frame.h"
#include "lib/wire/json_write.h"

#define INTEGER_DIGITS 18 /* as many digits always fit 64 bits */

struct scan {
	const char *text;
	size_t len, at;
	unsigned depth;
	size_t values; /* at most so many were begun */
	size_t max_values;
	struct buf *out; /* NULL: only look */
	size_t copied;
	bool big; /* an integer that may not fit was seen */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_string(struct scan *s)
{
	for (s->at++; s->at < s->len && s->text[s->at] != '"'; s->at++)
		if (s->text[s->at] == '\\')
			s->at++;
}

/* True when the digits (with a '-' in front or not) are no int64_t. */
static bool overflows(const char *digits, size_t n, bool negative)
{
	while (n > 1 && *digits == '0')
		digits++, n--;
	if (n != 19)
		return n > 19;
	return memcmp(digits, negative ? "9223372036854775808" : "9223372036854775807", 19) > 0;
}

/* A value takes much more memory than its text, so their number is bounded too. Each but the first
 * of a text comes behind a bracket or a comma. */
static bool scan_value(struct scan *s, char c)
{
	if (c == '[' || c == '{' || c == ',')
		s->values++;
	return s->values < s->max_values;
}

/* At a digit. Turns an integer that does not fit into a real, by ".0" behind it. */
static bool scan_number(struct scan *s)
{
	size_t start = s->at;
	while (s->at < s->len && is_digit(s->text[s->at]))
		s->at++;
	size_t n = s->at - start;
	bool whole = s->at == s->len || !strchr(".eE", s->text[s->at]);
	bool negative = start > 0 && s->text[start - 1] == '-';
	if (whole && n > INTEGER_DIGITS && overflows(s->text + start, n, negative)) {
		s->big = true;
		if (s->out && (!buf_add(s->out, s->text + s->copied, s->at - s->copied) ||
			       !buf_add(s->out, ".0", 2)))
			return false;
		s->copied = s->at;
	}
	/* The rest of a real, so that its digits are not taken for another integer. */
	while (s->at < s->len && (is_digit(s->text[s->at]) || strchr(".eE+-", s->text[s->at])))
		s->at++;
	s->at--;
	return true;
}

static int scan_text(struct scan *s, struct err *e)
{
	for (; s->at < s->len; s->at++) {
		char c = s->text[s->at];
		if (c == '"')
			skip_string(s);
		else if (c == '[' || c == '{')
			s->depth++;
		else if ((c == ']' || c == '}') && s->depth)
			s->depth--;
		else if (is_digit(c) && !scan_number(s))
			return err_set(e, EMSGSIZE, "JSON is too large");
		if (!scan_value(s, c))
			return err_set(e, EPROTO, "JSON has more than %zu values", s->max_values);
		if (s->depth > FRAME_MAX_DEPTH)
			return err_set(e, EPROTO, "JSON is nested deeper than %d", FRAME_MAX_DEPTH);
	}
	return 0;
}

/* The parser's own message may quote what it read, a secret perhaps: only the place is told. */
static json_t *load(const char *text, size_t len, struct err *e)
{
	json_error_t je;
	json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
	if (json)
		return json;
	const char *what = "not valid JSON";
	if (json_error_code(&je) == json_error_duplicate_key)
		what = "JSON with a duplicate key";
	else if (json_error_code(&je) == json_error_invalid_utf8)
		what = "JSON that is not UTF-8";
	else if (json_error_code(&je) == json_error_numeric_overflow)
		what = "JSON with a number out of range";
	err_set(e, EPROTO, "%s (line %d, column %d)", what, je.line, je.column);
	return NULL;
}

json_t *json_parse(const char *text, size_t len, struct err *e)
{
	return json_parse_many(text, len, FRAME_MAX_VALUES, e);
}

json_t *json_parse_many(const char *text, size_t len, size_t max_values, struct err *e)
{
	struct scan look = {.text = text, .len = len, .max_values = max_values};
	if (len && memchr(text, '\0', len)) {
		err_set(e, EPROTO, "JSON holds a NUL byte");
		return NULL;
	}
	if (scan_text(&look, e))
		return NULL;
	if (!look.big)
		return load(text, len, e);

	struct buf copy;
	buf_init(&copy, len + len / 4 + 16);
	struct scan rewrite = {.text = text, .len = len, .max_values = max_values, .out = &copy};
	json_t *json = NULL;
	if (!scan_text(&rewrite, e)) {
		if (buf_add(&copy, text + rewrite.copied, len - rewrite.copied))
			json = load(copy.data, copy.len, e);
		else
			err_set(e, EMSGSIZE, "JSON is too large");
	}
	buf_fini(&copy);
	return json;
}

json_t *json_text(const char *s)
{
	if (!s)
		return json_null();
	json_t *plain = json_string(s);
	if (plain)
		return plain;
	size_t len = strlen(s), n = 0;
	auto_free char *clean = xmalloc(3 * len + 1);
	for (size_t i = 0; i < len;) {
		size_t seq = utf8_sequence(s + i, len - i);
		const char *from = seq ? s + i : "\xef\xbf\xbd";
		size_t add = seq ? seq : 3;
		memcpy(clean + n, from, add);
		n += add;
		i += seq ? seq : 1;
	}
	return json_stringn(clean, n);
}

void json_set_text(json_t *object, const char *key, const char *s)
{
	if (s)
		json_object_set_new(object, key, json_text(s));
}

char *json_finish(json_t *json)
{
	char *text = json_write(json, false);
	json_decref(json);
	return text ? text : xstrdup("null");
}
