/* test_extents.c - spans of bytes, against a plain bitmap.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "worker/model/extents.h"

#define BYTES 200

static void check(const struct extents *x, const bool *map)
{
	struct extent gap;
	uint64_t sum = 0, reach = 0;
	for (size_t i = 0; i < BYTES; i++)
		sum += map[i];
	while (reach < BYTES && map[reach])
		reach++;
	assert_int_equal(extents_bytes(x), sum);
	assert_int_equal(extents_reach(x, 0), reach);
	assert_int_equal(extents_gap(x, 0, BYTES, &gap), sum < BYTES);
	if (sum == BYTES)
		return;
	assert_int_equal(gap.from, reach);
	while (reach < BYTES && !map[reach])
		reach++;
	assert_int_equal(gap.to, reach);
	for (size_t i = 0; i < x->n; i++) {
		assert_true(x->spans[i].from < x->spans[i].to);
		assert_true(i == 0 || x->spans[i - 1].to < x->spans[i].from);
	}
}

static void as_a_bitmap_does(void **state)
{
	struct rng r;
	(void)state;
	rng_init_seeded(&r, 11);
	for (int round = 0; round < 300; round++) {
		struct extents x = {.n = 0};
		bool map[BYTES] = {false};
		for (int i = 0; i < 40; i++) {
			uint64_t from = rng_below(&r, BYTES), to = from + rng_below(&r, 20);
			to = to > BYTES ? BYTES : to;
			assert_true(extents_add(&x, from, to));
			memset(map + from, true, to - from);
			check(&x, map);
		}
	}
}

static void what_does_not_fit_is_not_claimed(void **state)
{
	struct extents x = {.n = 0};
	(void)state;
	for (uint64_t i = 0; i < EXTENTS_MAX; i++)
		assert_true(extents_add(&x, 10 * i, 10 * i + 5));
	struct extents before = x;
	assert_false(extents_add(&x, 10 * EXTENTS_MAX, 10 * EXTENTS_MAX + 1));
	assert_memory_equal(&x, &before, sizeof x);
	assert_true(extents_add(&x, 5, 10)); /* closes a gap: that fits */
	assert_int_equal(x.n, EXTENTS_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(as_a_bitmap_does),
	    cmocka_unit_test(what_does_not_fit_is_not_claimed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
