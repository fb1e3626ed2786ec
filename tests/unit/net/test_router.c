/* Paths and patterns.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/net/router.h"

static void check_match(const char *pattern, const char *path, const char *first)
{
	struct params p;
	assert_true(router_match(pattern, path, &p));
	if (first)
		assert_string_equal(p.values[0], first);
	else
		assert_int_equal(p.n, 0);
	params_fini(&p);
}

static void check_miss(const char *pattern, const char *path)
{
	struct params p;
	if (router_match(pattern, path, &p))
		fail_msg("'%s' matches '%s'", path, pattern);
	assert_int_equal(p.n, 0);
}

static void matches(void **state)
{
	(void)state;
	check_match("/", "/", NULL);
	check_match("/a/b", "/a/b", NULL);
	check_match("/jobs/{id}", "/jobs/17", "17");
	check_match("/jobs/{id}/result", "/jobs/a%2Fb%20c/result", "a/b c");
	check_match("/jobs/{id}", "/jobs/..", "..");
	check_match("/jobs/{id}", "/jobs/%C3%A9", "\xc3\xa9");
	struct params p;
	assert_true(router_match("/w/{worker}/j/{job}", "/w/1/j/2", &p));
	assert_int_equal(p.n, 2);
	assert_string_equal(p.names[1], "job");
	assert_string_equal(p.values[1], "2");
	params_fini(&p);
}

static void misses(void **state)
{
	(void)state;
	check_miss("/a", "/");
	check_miss("/", "/a");
	check_miss("/a/b", "/a");
	check_miss("/a", "/a/b");
	check_miss("/a", "/a/");
	check_miss("/a", "a");
	check_miss("/a", "");
	check_miss("/jobs/{id}", "/jobs/");
	check_miss("/jobs/{id}", "/jobs/a/b");
	check_miss("/jobs/{id}", "/jobs/%");
	check_miss("/jobs/{id}", "/jobs/%4");
	check_miss("/jobs/{id}", "/jobs/%zz");
	check_miss("/jobs/{id}", "/jobs/a%00b");
	check_miss("/jobs/{id}", "/jobs/%ff");
	check_miss("/jobs/{id}", "/jobs/\xff");
	check_miss("/jobs/{id}/x", "/jobs//x");
}

static void decoding(void **state)
{
	(void)state;
	auto_free char *end = percent_decode("a%41", 4);
	assert_string_equal(end, "aA");
	auto_free char *plus = percent_decode("a+b", 3);
	assert_string_equal(plus, "a+b"); /* a plus is a plus in a path */
	assert_null(percent_decode("%", 1));
	assert_null(percent_decode("%4", 2));
	assert_null(percent_decode("%41", 2)); /* the length counts, not the end of the string */
	assert_null(percent_decode("%00", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(matches),
	    cmocka_unit_test(misses),
	    cmocka_unit_test(decoding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
