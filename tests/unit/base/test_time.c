/* RFC 3339 times and durations.
 * SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/base/time.h"

static void test_format(void **state)
{
	(void)state;
	char text[TIME_TEXT_LEN];
	time_format(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	time_format(1779710400000, text);
	assert_string_equal(text, "2026-05-25T12:00:00.000Z");
	time_format(1779710400007, text);
	assert_string_equal(text, "2026-05-25T12:00:00.007Z");
	time_format(-1, text);
	assert_string_equal(text, "1969-12-31T23:59:59.999Z");
	time_format(INT64_MAX, text); /* nonsense, but within the buffer */
	time_format(INT64_MIN, text);
}

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
	    {"2026-05-25T12:00:00.000Z", 1779710400000},
	    {"2026-05-25T12:00:00Z", 1779710400000},
	    {"2026-05-25t12:00:00z", 1779710400000},
	    {"2026-05-25T12:00:00.1Z", 1779710400100},
	    {"2026-05-25T12:00:00.123456789Z", 1779710400123},
	    {"2026-05-25T14:00:00+02:00", 1779710400000},
	    {"2026-05-25T06:30:00.5-05:30", 1779710400500},
	    {"2024-02-29T00:00:00Z", 1709164800000},
	    {"1970-01-01T00:00:00Z", 0},
	    {"2016-12-31T23:59:60Z", 1483228800000},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = -1;
		assert_true(time_parse(rows[i].text, &ms));
		assert_int_equal(ms, rows[i].ms);
	}
}

static void test_parse_refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "",
	    "2026-05-25",
	    "2026-05-25T12:00:00",
	    "2026-05-25 12:00:00Z",
	    "2026-05-25T12:00:00.Z",
	    "2026-05-25T12:00:00Zx",
	    "2026-13-25T12:00:00Z",
	    "2026-02-29T12:00:00Z",
	    "1900-02-29T00:00:00Z",
	    "2026-04-31T12:00:00Z",
	    "2026-05-25T24:00:00Z",
	    "2026-05-25T12:60:00Z",
	    "2026-5-25T12:00:00Z",
	    "26-05-25T12:00:00Z",
	    "2026-05-25T12:00:00+2:00",
	    "2026-05-25T12:00:00+0200",
	    "2026-05-25T12:00:00 02:00",
	    "2026-05-25T12:00:00+24:00",
	    "2026-00-10T00:00:00Z",
	    "+026-05-25T12:00:00Z",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t ms = 42;
		if (time_parse(bad[i], &ms))
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(ms, 42);
	}
}

static void test_round_trip(void **state)
{
	(void)state;
	struct rng r;
	rng_init_seeded(&r, 5);
	for (int i = 0; i < 10000; i++) {
		int64_t ms = (int64_t)rng_below(&r, UINT64_C(253402300800000)), back;
		char text[TIME_TEXT_LEN];
		time_format(ms, text);
		assert_true(time_parse(text, &back));
		assert_int_equal(back, ms);
	}
}

static void test_duration(void **state)
{
	(void)state;
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
	    {0, "0 ms"},
	    {340, "340 ms"},
	    {999, "999 ms"},
	    {1000, "1.0 s"},
	    {1400, "1.4 s"},
	    {60000, "1 min 00 s"},
	    {125000, "2 min 05 s"},
	    {3600000, "60 min 00 s"},
	};
	char text[32];
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		time_format_duration(rows[i].ms, text);
		assert_string_equal(text, rows[i].text);
	}
	time_format_duration(UINT64_MAX, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_format),	  cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_refuses), cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_duration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
