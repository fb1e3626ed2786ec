/* Random numbers: reproducible, uniform, and the ids made of them.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"

static void test_seeded_repeats(void **state)
{
	(void)state;
	struct rng a, b, c;
	rng_init_seeded(&a, 7);
	rng_init_seeded(&b, 7);
	rng_init_seeded(&c, 8);
	bool differs = false;
	for (int i = 0; i < 100; i++) {
		uint64_t x = rng_u64(&a);
		assert_int_equal(x, rng_u64(&b));
		differs |= x != rng_u64(&c);
	}
	assert_true(differs);
}

/* xoshiro256** with the state {1, 2, 3, 4}: the first outputs of the reference implementation. */
static void test_known_outputs(void **state)
{
	(void)state;
	struct rng r = {.seeded = true, .s = {1, 2, 3, 4}};
	assert_int_equal(rng_u64(&r), 11520);
	assert_int_equal(rng_u64(&r), 0);
	assert_int_equal(rng_u64(&r), 1509978240);
	assert_int_equal(rng_u64(&r), UINT64_C(1215971899390074240));
}

static void test_below_is_uniform(void **state)
{
	(void)state;
	struct rng r;
	rng_init_seeded(&r, 1);
	int count[10] = {0};
	for (int i = 0; i < 100000; i++)
		count[rng_below(&r, 10)]++;
	for (int i = 0; i < 10; i++)
		assert_in_range(count[i], 9500, 10500);
	for (int i = 0; i < 100; i++)
		assert_int_equal(rng_below(&r, 1), 0);
	/* Half of all draws must be thrown away here. */
	uint64_t n = (UINT64_C(1) << 63) + 1;
	for (int i = 0; i < 1000; i++)
		assert_true(rng_below(&r, n) < n);
}

static void test_system(void **state)
{
	(void)state;
	struct rng r;
	rng_init_system(&r);
	uint64_t any = 0, all = UINT64_MAX;
	for (int i = 0; i < 200; i++) {
		uint64_t x = rng_u64(&r);
		any |= x;
		all &= x;
	}
	assert_true(any == UINT64_MAX);
	assert_true(all == 0);
}

static void test_bytes_of_any_length(void **state)
{
	(void)state;
	struct rng r;
	rng_init_seeded(&r, 3);
	for (size_t n = 0; n < 40; n++) {
		unsigned char out[64];
		memset(out, 0xee, sizeof out);
		rng_bytes(&r, out, n);
		for (size_t i = n; i < sizeof out; i++)
			assert_int_equal(out[i], 0xee);
	}
}

static void test_uuid(void **state)
{
	(void)state;
	struct rng r;
	rng_init_system(&r);
	char first[37], uuid[37];
	rng_uuid(&r, first);
	for (int i = 0; i < 1000; i++) {
		rng_uuid(&r, uuid);
		assert_true(uuid_valid(uuid));
		assert_int_equal(uuid[14], '4');
		assert_non_null(strchr("89ab", uuid[19]));
		assert_string_not_equal(uuid, first);
		for (int k = 0; k < 36; k++)
			assert_non_null(strchr("0123456789abcdef-", uuid[k]));
	}
	assert_false(uuid_valid(""));
	assert_false(uuid_valid("00000000-0000-4000-8000-00000000000"));
	assert_false(uuid_valid("00000000-0000-4000-8000-0000000000000"));
	assert_false(uuid_valid("00000000x0000-4000-8000-000000000000"));
	assert_false(uuid_valid("0000000g-0000-4000-8000-000000000000"));
	assert_true(uuid_valid("00000000-0000-4000-8000-00000000000F"));
}

static void test_hex(void **state)
{
	(void)state;
	struct rng r;
	rng_init_system(&r);
	char hex[65];
	rng_hex(&r, hex, 32);
	assert_int_equal(strlen(hex), 64);
	assert_int_equal(strspn(hex, "0123456789abcdef"), 64);
	rng_hex(&r, hex, 0);
	assert_string_equal(hex, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_seeded_repeats),
	    cmocka_unit_test(test_known_outputs),
	    cmocka_unit_test(test_below_is_uniform),
	    cmocka_unit_test(test_system),
	    cmocka_unit_test(test_bytes_of_any_length),
	    cmocka_unit_test(test_uuid),
	    cmocka_unit_test(test_hex),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
