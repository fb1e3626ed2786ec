/* UTF-8: what is valid, and what becomes of the rest.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/utf8.h"

static void test_sequences(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n, want;
	} rows[] = {
	    {"a", 1, 1},
	    {"", 0, 0},
	    {"\0", 1, 1},
	    {"\x7f", 1, 1},
	    {"\x80", 1, 0},
	    {"\xc2\x80", 2, 2},
	    {"\xc2", 1, 0},
	    {"\xc1\xbf", 2, 0},
	    {"\xc0\x80", 2, 0},
	    {"\xdf\xbf", 2, 2},
	    {"\xe0\xa0\x80", 3, 3},
	    {"\xe0\x9f\xbf", 3, 0},
	    {"\xed\x9f\xbf", 3, 3},
	    {"\xed\xa0\x80", 3, 0},
	    {"\xef\xbf\xbf", 3, 3},
	    {"\xe2\x82", 2, 0},
	    {"\xe2\x82x", 3, 0},
	    {"\xf0\x90\x80\x80", 4, 4},
	    {"\xf0\x8f\xbf\xbf", 4, 0},
	    {"\xf4\x8f\xbf\xbf", 4, 4},
	    {"\xf4\x90\x80\x80", 4, 0},
	    {"\xf5\x80\x80\x80", 4, 0},
	    {"\xff", 1, 0},
	    {"\xf0\x9f\x98", 3, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(utf8_sequence(rows[i].bytes, rows[i].n), rows[i].want);
	assert_true(utf8_valid("a\xc3\xa9\xf0\x9f\x98\x80", 7));
	assert_false(utf8_valid("a\xc3\xa9\xf0\x9f\x98\x80", 6));
	assert_true(utf8_valid("", 0));
}

static void test_clean(void **state)
{
	(void)state;
	char text[] = "ok \xc3\xa9\t\xc3|\xe2\x82|\xc2\x85|\xed\xa0\x80|\xf0\x9f\x98\x80";
	utf8_clean(text);
	assert_string_equal(text, "ok \xc3\xa9 ?|\?\?|  |\?\?\?|\xf0\x9f\x98\x80");
}

/* Every pair of bytes: the result is valid, as long, and valid printable text stays as it is. */
static void test_clean_every_pair(void **state)
{
	(void)state;
	for (int a = 1; a < 256; a++) {
		for (int b = 1; b < 256; b++) {
			char text[3] = {(char)a, (char)b, 0};
			utf8_clean(text);
			assert_int_equal(strlen(text), 2);
			assert_true(utf8_valid(text, 2));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sequences),
	    cmocka_unit_test(test_clean),
	    cmocka_unit_test(test_clean_every_pair),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
