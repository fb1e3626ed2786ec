/* The buffer: growth, the hard cap, consuming and stealing.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"

static void test_add_and_text(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 100);
	assert_true(buf_add(&b, "abc", 3));
	assert_true(buf_printf(&b, "-%d", 42));
	assert_string_equal(b.data, "abc-42");
	assert_int_equal(b.len, 6);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	assert_true(buf_add(&b, "x", 1));
	assert_string_equal(b.data, "x");
	buf_fini(&b);
	assert_null(b.data);
}

static void test_cap_changes_nothing(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 4);
	assert_true(buf_add(&b, "abcd", 4));
	assert_false(buf_add(&b, "e", 1));
	assert_false(buf_printf(&b, "e"));
	assert_false(buf_add(&b, "e", SIZE_MAX));
	assert_string_equal(b.data, "abcd");
	assert_true(buf_add(&b, NULL, 0));
	buf_consume(&b, 3);
	assert_string_equal(b.data, "d");
	assert_true(buf_add(&b, "123", 3));
	assert_string_equal(b.data, "d123");
	buf_fini(&b);
}

static void test_growth_keeps_content(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 100000);
	for (int i = 0; i < 10000; i++)
		assert_true(buf_printf(&b, "%04d", i));
	assert_int_equal(b.len, 40000);
	assert_memory_equal(b.data + 4 * 1234, "1234", 4);
	buf_consume(&b, 40000);
	assert_int_equal(b.len, 0);
	buf_consume(&b, 0);
	buf_fini(&b);
}

static void test_steal(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 10);
	char *empty = buf_steal(&b);
	assert_string_equal(empty, "");
	free(empty);
	assert_true(buf_add(&b, "a\0b", 3));
	char *got = buf_steal(&b);
	assert_memory_equal(got, "a\0b", 4);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.max, 10);
	assert_true(buf_add(&b, "again", 5));
	free(got);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_add_and_text),
	    cmocka_unit_test(test_cap_changes_nothing),
	    cmocka_unit_test(test_growth_keeps_content),
	    cmocka_unit_test(test_steal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
