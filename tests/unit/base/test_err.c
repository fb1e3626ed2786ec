/* Errors: codes, context, cut texts; and the small memory helpers.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

static void test_set(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_int_equal(err_set(&e, ENOENT, "no %s", "file"), -ENOENT);
	assert_int_equal(e.code, ENOENT);
	assert_string_equal(e.text, "no file");
	assert_int_equal(err_set(NULL, ENOENT, "x"), -ENOENT);
	assert_int_equal(err_set(&e, 0, "x"), -EIO);
	assert_int_equal(e.code, EIO);
	err_clear(&e);
	assert_int_equal(e.code, 0);
	assert_string_equal(e.text, "");
}

static void test_sys(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	assert_int_equal(err_sys(&e, EACCES, "cannot open %s", "x"), -EACCES);
	assert_string_equal(e.text, "cannot open x: Permission denied");
	assert_int_equal(err_sys(NULL, EACCES, "x"), -EACCES);
}

static void test_wrap(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	(void)err_set(&e, ENOSPC, "disk full");
	assert_int_equal(err_wrap(&e, "job %d", 7), -ENOSPC);
	assert_string_equal(e.text, "job 7: disk full");
	assert_int_equal(err_wrap(NULL, "x"), -EIO);
}

static void test_cut(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	char text[1000];
	for (size_t i = 0; i < sizeof text - 1; i++)
		text[i] = i % 2 ? '\xa9' : '\xc3'; /* U+00E9 */
	text[sizeof text - 1] = '\0';
	(void)err_set(&e, EIO, "x%s", text);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	assert_string_equal(e.text + sizeof e.text - 5, "?...");
	(void)err_wrap(&e, "ctx");
	assert_int_equal(strncmp(e.text, "ctx: x\xc3\xa9", 8), 0);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

static void test_control_characters(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	(void)err_set(&e, EIO, "a\nb\x1b[1m\xff");
	assert_string_equal(e.text, "a b [1m?");
}

static void test_mem(void **state)
{
	(void)state;
	auto_free char *a = xasprintf("%d-%s", 1, "x");
	assert_string_equal(a, "1-x");
	char *b = steal(&a);
	assert_null(a);
	str_replace(&b, "new");
	assert_string_equal(b, "new");
	str_replace(&b, NULL);
	assert_null(b);
	assert_null(xstrdup_opt(NULL));
	free(xmalloc(0));
	free(xcalloc(0, 0));
	auto_free char *c = xstrndup("abcdef", 3);
	assert_string_equal(c, "abc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_sys),
	    cmocka_unit_test(test_wrap),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_control_characters),
	    cmocka_unit_test(test_mem),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
