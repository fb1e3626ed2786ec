/* What a data: address holds.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "worker/model/data_url.h"

static void good_ones(void **state)
{
	(void)state;
	static const struct {
		const char *url, *want;
	} rows[] = {
	    {"data:text/plain;base64,aGVsbG8=", "hello"},
	    {"data:;base64,aGVsbG8", "hello"},
	    {"DATA:image/png;charset=x;BASE64,aGVsbA==", "hell"},
	    {"data:image/png;base64,aGVs\r\nbG8h", "hello!"},
	    {"data:x;base64,Pz8/Pj4+", "?\?\?>>>"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		unsigned char *data;
		size_t len;
		assert_int_equal(data_url_decode(rows[i].url, 6, &data, &len, &e), 0);
		assert_int_equal(len, strlen(rows[i].want));
		assert_memory_equal(data, rows[i].want, len);
		free(data);
	}
}

static void bad_ones(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		int code;
	} rows[] = {
	    {"data:text/plain,hello", EINVAL},
	    {"data:", EINVAL},
	    {"data:;base64", EINVAL},
	    {"data:;base64,", EINVAL},
	    {"data:;base64,====", EINVAL},
	    {"data:;base64,a", EINVAL},
	    {"data:;base64,aGVsbG8=x", EINVAL},
	    {"data:;base64,aGVs=bG8", EINVAL},
	    {"data:;base64,aGV%2B", EINVAL},
	    {"data:;base64,aGVs-_", EINVAL},
	    {"data:;base64,aGVsbA=", EINVAL},
	    {"https://x/;base64,aGVs", EINVAL},
	    {"data:;base64,aGVsbG8haGVsbG8h", EFBIG},
	    {"data:;base64,aGVsbG8hIQ==", EFBIG},
	    {"data:base64,aGVs", EINVAL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		unsigned char *data;
		size_t len;
		int rc = data_url_decode(rows[i].url, 6, &data, &len, &e);
		if (rc != -rows[i].code)
			fail_msg("%s: %d '%s'", rows[i].url, rc, e.text);
		assert_null(data);
		assert_int_equal(e.code, rows[i].code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_ones),
	    cmocka_unit_test(bad_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
