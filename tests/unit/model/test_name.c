/* test_name.c - no name that a peer chose leads out of its folder, and no two models share one.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "worker/model/name.h"

static void folders(void **state)
{
	static const char *const rows[][2] = {
	    {"z-image-turbo", "z-image-turbo"},
	    {"Qwen/Qwen3", "Qwen%2fQwen3"},
	    {"..", "%2e."},
	    {".store", "%2estore"},
	    {"bin", "%62in"},
	    {"a%2fb", "a%252fb"},
	    {"a b", "a%20b"},
	    {"~x", "%7ex"},
	    {"x\n", "x%0a"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_free char *f = name_folder(rows[i][0]);
		assert_string_equal(f, rows[i][1]);
	}
	auto_free char *top = name_folder(NULL);
	assert_string_equal(top, "");
}

static void never_the_same_never_outside(void **state)
{
	static const char alphabet[] = "ab%2f/.\\~ \n";
	struct rng r;
	char ids[300][8];
	char *folders_[300];
	(void)state;
	rng_init_seeded(&r, 3);
	for (size_t i = 0; i < 300; i++) {
		size_t n = 1 + rng_below(&r, 6);
		for (size_t k = 0; k < n; k++)
			ids[i][k] = alphabet[rng_below(&r, sizeof alphabet - 1)];
		ids[i][n] = '\0';
		folders_[i] = name_folder(ids[i]);
		assert_null(strpbrk(folders_[i], "/\\\n"));
		assert_true(folders_[i][0] && folders_[i][0] != '.');
		for (size_t j = 0; j < i; j++)
			assert_int_equal(strcmp(ids[i], ids[j]) == 0,
					 strcmp(folders_[i], folders_[j]) == 0);
	}
	for (size_t i = 0; i < 300; i++)
		free(folders_[i]);
}

static void long_ids_stay_apart(void **state)
{
	char a[1001], b[1001];
	(void)state;
	memset(a, 'a', 1000);
	a[1000] = '\0';
	memcpy(b, a, sizeof b);
	b[999] = 'b';
	auto_free char *fa = name_folder(a), *fb = name_folder(b);
	assert_true(strlen(fa) <= 255);
	assert_string_not_equal(fa, fb);
}

static void file_names(void **state)
{
	static const char *const bad[] = {"",	  "..",	     ".x",	     "a/b",
					  "a\\b", "a\nb",    "x.part",	     "x.part.ledger",
					  "\xff", "/etc/pw", "../models/bin"};
	struct err e = ERR_INIT;
	char longest[NAME_FILE_MAX + 2];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(name_check(bad[i], &e), -EINVAL);
	assert_int_equal(name_check("model-Q4_K.gguf", &e), 0);
	memset(longest, 'a', sizeof longest);
	longest[NAME_FILE_MAX] = '\0';
	assert_int_equal(name_check(longest, &e), 0);
	longest[NAME_FILE_MAX] = 'a';
	longest[NAME_FILE_MAX + 1] = '\0';
	assert_int_equal(name_check(longest, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(folders),
	    cmocka_unit_test(never_the_same_never_outside),
	    cmocka_unit_test(long_ids_stay_apart),
	    cmocka_unit_test(file_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
