/* test_json_write.c - the writer says what jansson's own dump says.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/wire/json_write.h"

static json_t *random_text(struct rng *rng)
{
	static const char *const parts[] = {
	    "a",    "\"",   "\\", "\n", "\t", "\r", "\b", "\f",		  "/",		"\x01",
	    "\x1f", "\x7f", "ä",  "€",	"😀",  " ",  "{",  "plain words ", "0123456789", ""};
	char text[256] = "";
	for (uint64_t n = rng_below(rng, 8); n > 0; n--)
		strcat(text, parts[rng_below(rng, ARRAY_LEN(parts))]);
	return json_string(text);
}

static json_t *random_value(struct rng *rng, int depth)
{
	uint64_t pick = rng_below(rng, depth ? 9 : 7);
	json_t *out;
	switch (pick) {
	case 0:
		return json_null();
	case 1:
		return json_boolean((int)rng_below(rng, 2));
	case 2:
		return json_integer((json_int_t)rng_u64(rng));
	case 3:
		return json_integer((json_int_t)rng_below(rng, 100));
	case 4:
		return json_real((double)rng_u64(rng) / 1e5);
	case 5:
		return json_real((double)rng_below(rng, 1000));
	case 6:
		return random_text(rng);
	case 7:
		out = json_array();
		for (uint64_t n = rng_below(rng, 5); n > 0; n--)
			json_array_append_new(out, random_value(rng, depth - 1));
		return out;
	default:
		out = json_object();
		for (uint64_t n = rng_below(rng, 6); n > 0; n--) {
			json_t *key = random_text(rng);
			json_object_set_new(out, json_string_value(key),
					    random_value(rng, depth - 1));
			json_decref(key);
		}
		return out;
	}
}

static void says_what_jansson_says(void **state)
{
	(void)state;
	struct rng rng;
	rng_init_seeded(&rng, 1);
	for (int i = 0; i < 5000; i++) {
		json_t *v = random_value(&rng, 4);
		for (int sorted = 0; sorted < 2; sorted++) {
			size_t flags =
			    JSON_COMPACT | JSON_ENCODE_ANY | (sorted ? JSON_SORT_KEYS : 0);
			auto_free char *want = json_dumps(v, flags);
			auto_free char *got = json_write(v, sorted);
			assert_non_null(got);
			assert_string_equal(got, want);
		}
		json_decref(v);
	}
}

static void nul_inside_a_string(void **state)
{
	(void)state;
	json_t *v = json_stringn("a\0b", 3);
	auto_free char *got = json_write(v, false);
	assert_string_equal(got, "\"a\\u0000b\"");
	json_decref(v);
	assert_null(json_write(NULL, false));
}

static void fields_by_hand(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 1000);
	assert_true(buf_add(&b, "{", 1));
	assert_true(json_add_field(&b, "none", NULL));
	assert_true(json_add_field(&b, "a", "{"));
	assert_true(json_add_field(&b, "b", "x\xff\"y"));
	assert_true(buf_add(&b, "}", 1));
	assert_string_equal(b.data, "{\"a\":\"{\",\"b\":\"x\xef\xbf\xbd\\\"y\"}");
	buf_fini(&b);
}

static void a_full_buffer_is_told(void **state)
{
	(void)state;
	json_t *v = json_pack("{s:[s,i,f,n,b]}", "key", "a \"text\"", 12345, 1.5, 1);
	auto_free char *whole = json_write(v, true);
	for (size_t max = 0; max <= strlen(whole); max++) {
		struct buf b;
		buf_init(&b, max);
		assert_int_equal(json_add(&b, v, true), max == strlen(whole));
		buf_fini(&b);
	}
	json_decref(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(says_what_jansson_says),
	    cmocka_unit_test(nul_inside_a_string),
	    cmocka_unit_test(fields_by_hand),
	    cmocka_unit_test(a_full_buffer_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
