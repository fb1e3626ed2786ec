/* test_picture.c - the pixels: the same for the same bytes, whatever the machine; all scenes within
 * their bounds. SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/fs/sha256.h"
#include "worker/engine/synthetic/picture.h"

static void digest(const char *prompt, int w, int h, double phase, char hex[SHA256_HEX_LEN])
{
	unsigned char key[32];
	struct picture *p = xmalloc(sizeof *p);
	auto_free uint8_t *row = xmalloc((size_t)w * 3);
	struct sha256 *s = sha256_new();
	sha256_raw(prompt, strlen(prompt), key);
	picture_init(p, key, w, h);
	for (int y = 0; y < h; y++) {
		picture_row(p, y, phase, row);
		sha256_update(s, row, (size_t)w * 3);
	}
	sha256_final_hex(s, hex);
	free(p);
}

static void test_golden(void **state)
{
	static const struct {
		const char *prompt;
		int w, h;
		const char *hex;
	} known[] = {
#include "golden.inc"
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		char hex[SHA256_HEX_LEN];
		digest(known[i].prompt, known[i].w, known[i].h, 0, hex);
		assert_string_equal(hex, known[i].hex);
	}
}

static void test_prompts_and_phases_differ(void **state)
{
	char a[SHA256_HEX_LEN], b[SHA256_HEX_LEN];
	(void)state;
	digest("one", 40, 30, 0, a);
	digest("two", 40, 30, 0, b);
	assert_string_not_equal(a, b);
	digest("one", 40, 30, 0.3, b);
	assert_string_not_equal(a, b);
}

/* Every scene, at shapes that are easy to get wrong. */
static void test_odd_shapes(void **state)
{
	static const int sizes[][2] = {{1, 1}, {1, 64}, {64, 1}, {3, 200}, {2, 2}};
	(void)state;
	for (int i = 0; i < 60; i++) {
		char prompt[16], hex[SHA256_HEX_LEN];
		snprintf(prompt, sizeof prompt, "shape %d", i);
		for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
			digest(prompt, sizes[k][0], sizes[k][1], 0.5, hex);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_prompts_and_phases_differ),
	    cmocka_unit_test(test_odd_shapes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
