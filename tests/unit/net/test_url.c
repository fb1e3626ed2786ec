/* The addresses of a studio.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"

static void base_of_what_owners_write(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	    {"https://studio.example/", "https://studio.example/graphics/api"},
	    {"https://studio.example", "https://studio.example/graphics/api"},
	    {"https://studio.example///", "https://studio.example/graphics/api"},
	    {"https://studio.example/graphics/api", "https://studio.example/graphics/api"},
	    {"https://studio.example/graphics/api/", "https://studio.example/graphics/api"},
	    {"http://127.0.0.1:8787/custom", "http://127.0.0.1:8787/custom/graphics/api"},
	    {"http://127.0.0.1:8787/custom/graphics/api/",
	     "http://127.0.0.1:8787/custom/graphics/api"},
	    {"https://studio.example/?a=b#c", "https://studio.example/graphics/api"},
	    {"https://studio.example/custom/?a=/x/#/y/",
	     "https://studio.example/custom/graphics/api"},
	    {"http://[::1]:8080/", "http://[::1]:8080/graphics/api"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		auto_free char *base = url_api_base(rows[i][0], &e);
		assert_non_null(base);
		assert_string_equal(base, rows[i][1]);
	}
}

static void refused_bases(void **state)
{
	(void)state;
	static const char *const rows[] = {
	    "",	     "studio.example",	   "ftp://studio.example/", "ws://studio.example/",
	    "https", "file:///etc/passwd", "https://u:p@host/",	    "https://user@host/",
	    "://",   "https://",	   "http://host:99999/",
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = ERR_INIT;
		auto_free char *base = url_api_base(rows[i], &e);
		if (base)
			fail_msg("'%s' became '%s'", rows[i], base);
		assert_int_equal(e.code, EINVAL);
		assert_null(strstr(e.text, "u:p"));
	}
}

static void paths_are_escaped_whole(void **state)
{
	(void)state;
	auto_free char *plain =
	    url_path("http://h/graphics/api", "/workers/%s/jobs/%s", "w-1", "j");
	assert_string_equal(plain, "http://h/graphics/api/workers/w-1/jobs/j");
	auto_free char *hostile = url_path("http://h", "/a/%s/b", "../x y?#%\xc3\xa9");
	assert_string_equal(hostile, "http://h/a/..%2Fx%20y%3F%23%25%C3%A9/b");
	auto_free char *dots = url_path("http://h", "/a/%s/b", "..");
	assert_null(strstr(dots, "/../"));
}

static void web_socket_addresses(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	auto_free char *ws = url_to_ws("http://h:1/x", &e);
	assert_string_equal(ws, "ws://h:1/x");
	auto_free char *wss = url_to_ws("https://h/x", &e);
	assert_string_equal(wss, "wss://h/x");
	assert_null(url_to_ws("ftp://h/x", &e));
	assert_int_equal(e.code, EINVAL);
}

static void content_types(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
	    {"png", "image/png"}, {"webp", "image/webp"}, {"jpg", "image/jpeg"},
	    {"gif", "image/gif"}, {"wav", "audio/wav"},	  {"mp3", "audio/mpeg"},
	    {"ogg", "audio/ogg"}, {"mp4", "video/mp4"},	  {"webm", "video/webm"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(content_type_of_ext(rows[i][0]), rows[i][1]);
	assert_string_equal(content_type_of_ext("exe"), "application/octet-stream");
	assert_string_equal(content_type_of_ext(""), "application/octet-stream");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(base_of_what_owners_write),
	    cmocka_unit_test(refused_bases),
	    cmocka_unit_test(paths_are_escaped_whole),
	    cmocka_unit_test(web_socket_addresses),
	    cmocka_unit_test(content_types),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
