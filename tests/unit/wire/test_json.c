/* test_json.c - the JSON of a peer: depth, numbers, encoding, duplicates.
 * SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/frame.h"

static char *nested(size_t depth)
{
	char *text = xcalloc(2 * depth + 1, 1);
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return text;
}

static void depth(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	auto_free char *fine = nested(FRAME_MAX_DEPTH);
	json_t *json = json_parse(fine, strlen(fine), &e);
	assert_non_null(json);
	json_decref(json);
	auto_free char *deep = nested(FRAME_MAX_DEPTH + 1);
	assert_null(json_parse(deep, strlen(deep), &e));
	assert_non_null(strstr(e.text, "nested"));
	auto_free char *abyss = nested(1000000);
	assert_null(json_parse(abyss, strlen(abyss), &e));
	/* Brackets inside strings are text. */
	const char *text =
	    "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"]";
	json = json_parse(text, strlen(text), &e);
	assert_non_null(json);
	json_decref(json);
}

static void values(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	size_t n = FRAME_MAX_VALUES - 1;
	auto_free char *text = xcalloc(2 * n + 4, 1);
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = i ? ',' : '[';
		text[2 * i + 1] = '1';
	}
	text[2 * n] = ']';
	json_t *json = json_parse(text, strlen(text), &e);
	assert_non_null(json);
	assert_int_equal(json_array_size(json), n);
	json_decref(json);
	memcpy(text + 2 * n, ",1]", 3);
	assert_null(json_parse(text, strlen(text), &e));
	assert_string_equal(e.text, "JSON has more than 200000 values");
	memset(text, ',', 2 * n); /* commas inside a string are text */
	text[0] = text[2 * n] = '"';
	text[2 * n + 1] = '\0';
	json = json_parse(text, strlen(text), &e);
	assert_non_null(json);
	json_decref(json);
}

static void integers(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool integer;
		double value;
	} rows[] = {
	    {"9223372036854775807", true, 0x1p63},
	    {"-9223372036854775808", true, -0x1p63},
	    {"9223372036854775808", false, 0x1p63},
	    {"-9223372036854775809", false, -0x1p63},
	    {"18446744073709551615", false, 0x1p64},
	    {"[0]", true, 0},
	    {"100000000000000000000000000000", false, 1e29},
	    {"123456789012345678901.5", false, 123456789012345678901.5},
	    {"1e30", false, 1e30},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		json_t *json = json_parse(rows[i].text, strlen(rows[i].text), &e);
		if (!json)
			fail_msg("%s: %s", rows[i].text, e.text);
		json_t *v = json_is_array(json) ? json_array_get(json, 0) : json;
		assert_int_equal(json_is_integer(v), rows[i].integer);
		assert_true(json_number_value(v) == rows[i].value);
		json_decref(json);
	}
	struct err e = ERR_INIT;
	const char *text = "[9007199254740993,\"99999999999999999999\",-1]";
	json_t *json = json_parse(text, strlen(text), &e);
	assert_non_null(json);
	assert_int_equal(json_integer_value(json_array_get(json, 0)), 9007199254740993);
	assert_string_equal(json_string_value(json_array_get(json, 1)), "99999999999999999999");
	json_decref(json);
}

static void refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
		const char *says;
	} rows[] = {
	    {"", 0, "JSON"},
	    {"[1,]", 4, "JSON"},
	    {"{\"a\":1,\"a\":2}", 13, "duplicate"},
	    {"[1e999]", 7, "range"},
	    {"[-1e999]", 8, "range"},
	    {"[NaN]", 5, "JSON"},
	    {"[1]\0", 4, "NUL"},
	    {"[\"a\0b\"]", 7, "NUL"},
	    {"[\"\\u0000\"]", 10, "JSON"},
	    {"[\"\xc0\xaf\"]", 6, "UTF-8"},
	    {"[\"\xed\xa0\x80\"]", 7, "UTF-8"},
	    {"\xef\xbb\xbf[]", 5, "JSON"},
	    {"[01]", 4, "JSON"},
	    {"['a']", 5, "JSON"},
	    {"]", 1, "JSON"},
	    {"[\"abc", 5, "JSON"},
	    {"[\"abc\\", 6, "JSON"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		json_t *json = json_parse(rows[i].text, rows[i].len, &e);
		if (json || !strstr(e.text, rows[i].says))
			fail_msg("row %zu: %s", i, e.text);
		assert_int_equal(e.code, EPROTO);
	}
}

/* A message must not quote what it could not read: it may be a secret. */
static void no_quotes(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	const char *text = "{\"authToken\":hunter2}";
	assert_null(json_parse(text, strlen(text), &e));
	assert_null(strstr(e.text, "hunter2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(depth),   cmocka_unit_test(values),    cmocka_unit_test(integers),
	    cmocka_unit_test(refused), cmocka_unit_test(no_quotes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
