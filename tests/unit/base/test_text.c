/* Ends of texts, and the alphabet of base64.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/base64.h"
#include "lib/base/text.h"

static void test_ends(void **state)
{
	(void)state;
	assert_true(ends_with("a.gguf", ".gguf"));
	assert_true(ends_with(".gguf", ".gguf"));
	assert_true(ends_with("a", ""));
	assert_true(ends_with("", ""));
	assert_false(ends_with("gguf", ".gguf"));
	assert_false(ends_with("", "a"));
	assert_false(ends_with("a.gguf.part", ".gguf"));
	assert_false(ends_with("a.GGUF", ".gguf"));
	assert_true(ends_with_any_case("a.GGuf", ".gguf"));
	assert_false(ends_with_any_case("a.GGup", ".gguf"));
	assert_false(ends_with_any_case("f", ".gguf"));
}

static void test_every_character(void **state)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	(void)state;
	for (int c = 0; c < 256; c++) {
		const char *at = c ? strchr(alphabet, c) : NULL;
		assert_int_equal(base64_value((char)c), at ? at - alphabet : -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_every_character),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
