/* Secrets: copies, wiping, comparison.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/secret.h"

static struct secret make(const char *text)
{
	struct secret s = {0};
	secret_set(&s, text);
	return s;
}

static void test_set_and_clear(void **state)
{
	(void)state;
	struct secret s = {0}, copy = {0};
	assert_false(secret_is_set(&s));
	assert_string_equal(secret_reveal(&s), "");
	secret_set(&s, "one");
	secret_set(&s, secret_reveal(&s)); /* its own text */
	assert_string_equal(secret_reveal(&s), "one");
	secret_copy(&copy, &s);
	secret_clear(&s);
	assert_false(secret_is_set(&s));
	assert_string_equal(secret_reveal(&copy), "one");
	secret_copy(&copy, &copy);
	assert_string_equal(secret_reveal(&copy), "one");
	secret_copy(&copy, &s);
	assert_false(secret_is_set(&copy));
	secret_set(&s, "");
	assert_false(secret_is_set(&s));
	secret_set(&s, NULL);
	assert_null(s.text_);
}

static void test_equal(void **state)
{
	(void)state;
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = {
	    {"abc", "abc", true}, {"abc", "abd", false}, {"abc", "ab", false}, {"ab", "abc", false},
	    {"a", "aa", false},	  {"aa", "a", false},	 {"", "", false},      {NULL, NULL, false},
	    {"a", NULL, false},	  {NULL, "a", false},	 {"a", "", false},     {"", "a", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct secret a = make(rows[i].a), b = make(rows[i].b);
		assert_int_equal(secret_equal(&a, &b), rows[i].equal);
		secret_clear(&a);
		secret_clear(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set_and_clear),
	    cmocka_unit_test(test_equal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
