/* Which addresses a peer may name, and what the heads of answers say.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/fetch_fixture.h"

#include "lib/net/address.h"
#include "lib/net/fetch_head.h"
#include "lib/net/fetch_policy.h"

static const char *const hosts[] = {"models.lan", "10.1.2.3:8080",     "[fd00::7]:81",
				    "fd00::8",	  "Files.Example.ORG", NULL};
static const struct fetch_policy far = {.allow_hosts = hosts,
					.studio_origin = "https://studio.example"};
static const struct fetch_policy none = {0};

static int check(const struct fetch_policy *p, const char *url)
{
	struct err e = ERR_INIT;
	int rc = fetch_policy_check(p, url, &e);
	assert_int_equal(-rc, e.code);
	assert_int_equal(rc == 0, e.text[0] == '\0');
	if (rc == -EACCES && p)
		assert_non_null(strstr(e.text, "allow_hosts"));
	return rc;
}

static void public_https_is_allowed(void **state)
{
	(void)state;
	static const char *const good[] = {
	    "https://huggingface.co/a/b.gguf?download=true",
	    "https://host.example:8443/x",
	    "https://1.1.1.1/",
	    "https://8.8.8.8:444/x",
	    "https://[2606:4700::1111]/",
	    "https://[2a00:1450:4001::1]:8443/x",
	    "https://localhost.example/",
	    "https://[64:ff9b::808:808]/",
	    "https://[::ffff:8.8.8.8]/",
	    "HTTPS://EXAMPLE.org/",
	    "https://100.63.255.255/",
	    "https://100.128.0.1/",
	    "https://172.15.0.1/",
	    "https://172.32.0.1/",
	    "https://11.0.0.1/",
	    "https://223.255.255.255/",
	    "https://128.0.0.1/",
	    "https://126.255.255.255/",
	    "https://169.253.0.1/",
	    "https://192.167.0.1/",
	    "https://198.17.0.1/",
	    "https://198.20.0.1/",
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (check(&none, good[i]))
			fail_msg("%s is refused", good[i]);
}

static const char *const refused[] = {
    /* not encrypted */
    "http://huggingface.co/x",
    "http://1.1.1.1/",
    "http://studio.example/",
    /* this machine */
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://a.localhost/",
    "https://a.localhost./",
    "http://127.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://127.255.255.254/",
    "https://127.1/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://0.0.0.0/",
    "https://0/",
    "https://0.1.2.3/",
    "https://[::]/",
    "https://%6cocalhost/",
    "https://127.0.0.1./",
    /* private */
    "https://10.0.0.1/",
    "https://10.255.255.255/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://100.127.255.255/",
    "https://[fc00::1]/",
    "https://[fdff::1]/",
    "https://[fec0::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::ffff:192.168.0.1]/",
    "https://[64:ff9b::a00:1]/",
    "https://10.1/",
    "https://0xa.0.0.1/",
    "https://167772161/",
    /* link-local: where clouds keep their keys */
    "https://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254/",
    "https://[fe80::1]/",
    "https://[febf::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://2852039166/",
    "https://[64:ff9b::a9fe:a9fe]/",
    /* multicast, reserved, documentation, benchmarks */
    "https://224.0.0.1/",
    "https://239.255.255.255/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://192.0.0.1/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://198.18.0.1/",
    "https://198.19.255.255/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[2001::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:808:808::]/",
    "https://[::8.8.8.8]/",
    "https://[64:ff9b:1::808:808]/",
    "https://[100::1]/",
    "https://[5f00::1]/",
};

static void the_rest_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (check(&none, refused[i]) != -EACCES)
			fail_msg("%s is not refused", refused[i]);
}

static void what_is_no_address_is_invalid(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "",
	    "x",
	    "example.com/x",
	    "/etc/passwd",
	    "file:///etc/passwd",
	    "ftp://example.com/x",
	    "gopher://example.com/",
	    "dict://example.com/",
	    "data:,x",
	    "javascript:alert(1)",
	    "https://",

	    "https://user@example.com/",
	    "https://user:pw@example.com/",
	    "https://:pw@example.com/",
	    "https://example.com:0x50/",
	    "https://example.com:99999/",
	    "https://exa mple.com/",
	    "https://example.com/\r\nX: y",
	    "https://exa\tmple.com/",
	    "https://[::1/",
	    "https://[fe80::1%25eth0]/",
	    "https://[xyz]/",
	    "//example.com/x",
	    "smb://example.com/x",
	    "unix:///tmp/x",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (check(&none, bad[i]) != -EINVAL)
			fail_msg("'%s' is not invalid", bad[i]);
	auto_free char *path = xcalloc(1, FETCH_MAX_URL + 1);
	memset(path, 'a', FETCH_MAX_URL);
	auto_free char *url = xasprintf("https://example.com/%s", path);
	assert_int_equal(check(&none, url), -EINVAL);
}

static void what_the_owner_allows(void **state)
{
	(void)state;
	static const char *const good[] = {
	    "http://models.lan/x",	   "https://models.lan:9/x",
	    "http://MODELS.lan./x",	   "http://10.1.2.3:8080/",
	    "https://10.1.2.3:8080/",	   "http://[fd00::7]:81/",
	    "http://[fd00::8]/",	   "https://[fd00::8]:99/",
	    "http://files.example.org/",   "https://studio.example/api",
	    "https://studio.example:443/",
	};
	static const char *const bad[] = {
	    "http://10.1.2.3/",		  "http://10.1.2.3:80/",    "https://10.1.2.4:8080/",
	    "http://[fd00::7]/",	  "http://[fd00::9]/",	    "http://xmodels.lan/",
	    "http://models.lan.example/", "http://studio.example/", "http://a.models.lan/",
	    "https://127.0.0.1/",	  "http://localhost/",
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (check(&far, good[i]))
			fail_msg("%s is refused", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (check(&far, bad[i]) != -EACCES)
			fail_msg("%s is not refused", bad[i]);
}

static void a_studio_on_this_machine(void **state)
{
	(void)state;
	static const char *const studios[] = {"http://127.0.0.1:8080", "http://localhost:1",
					      "http://[::1]:5"};
	for (size_t i = 0; i < ARRAY_LEN(studios); i++) {
		struct fetch_policy p = {.studio_origin = studios[i]};
		assert_int_equal(check(&p, "http://127.0.0.1:9/x"), 0);
		assert_int_equal(check(&p, "http://localhost/x"), 0);
		assert_int_equal(check(&p, "https://[::1]:4/x"), 0);
		assert_int_equal(check(&p, "http://10.0.0.1/x"), -EACCES);
		assert_int_equal(check(&p, "http://169.254.169.254/x"), -EACCES);
		assert_int_equal(check(&p, "http://example.com/x"), -EACCES);
		assert_int_equal(check(&p, "http://0.0.0.0/x"), -EACCES);
	}
	struct fetch_policy lan = {.studio_origin = "http://192.168.1.9:8080"};
	assert_int_equal(check(&lan, "http://192.168.1.9:8080/x"), 0);
	assert_int_equal(check(&lan, "http://192.168.1.9:8081/x"), -EACCES);
	assert_int_equal(check(&lan, "https://192.168.1.9:8080/x"), -EACCES);
	assert_int_equal(check(&lan, "http://127.0.0.1/x"), -EACCES);
}

static void a_server_of_our_own(void **state)
{
	(void)state;
	assert_int_equal(check(NULL, "http://127.0.0.1:8080/x"), 0);
	static const char *const bad[] = {"http://localhost:8080/", "https://127.0.0.1/",
					  "http://127.0.0.2/",	    "http://10.0.0.1/",
					  "https://example.com/",   "http://[::1]/"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(check(NULL, bad[i]), -EACCES);
}

static void content_ranges(void **state)
{
	(void)state;
	uint64_t a, b, t;
	assert_true(content_range_parse("bytes 0-99/1234", &a, &b, &t));
	assert_true(a == 0 && b == 99 && t == 1234);
	assert_true(content_range_parse("Bytes  5-5/*", &a, &b, &t));
	assert_true(a == 5 && b == 5 && t == UINT64_MAX);
	assert_true(
	    content_range_parse("bytes 0-18446744073709551613/18446744073709551614", &a, &b, &t));
	assert_true(t == UINT64_MAX - 1);
	assert_false(content_range_parse("bytes */77", &a, &b, &t));
	assert_true(t == 77);
	static const char *const bad[] = {
	    "",
	    "bytes",
	    "bytes ",
	    "bytes 0-99",
	    "bytes 0-99/",
	    "bytes -5/10",
	    "bytes 5-4/10",
	    "bytes 0-10/10",
	    "bytes 0-9/10x",
	    "bytes 0x0-9/10",
	    "bytes +0-9/10",
	    "bytes 0- 9/10",
	    "items 0-9/10",
	    "bytes=0-9/10",
	    "bytes 0-18446744073709551616/*",
	    "bytes 0-9/18446744073709551615",
	    "bytes */*",
	    "bytes */-1",
	    "bytes 1-2/3,bytes 4-5/6",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (content_range_parse(bad[i], &a, &b, &t))
			fail_msg("'%s' is taken", bad[i]);
		assert_true(a == 0 && b == 0);
		assert_true(t == UINT64_MAX);
	}
}

static void parse(struct head *h, int last, const char *const *lines)
{
	struct err e = ERR_INIT;
	int rc = 0;
	head_init(h, 1000000000000); /* 2001-09-09T01:46:40Z */
	for (; *lines; lines++) {
		assert_int_equal(rc, 0);
		rc = head_line(h, *lines, strlen(*lines), &e);
	}
	assert_int_equal(rc, last);
}

static void heads(void **state)
{
	(void)state;
	struct head h;
	parse(&h, 1,
	      (const char *const[]){"HTTP/1.1 100 Continue\r\n", "ETag: no\r\n", "\r\n",
				    "HTTP/1.1 206 Partial\r\n", "etag:  \"abc\" \r\n",
				    "Content-Length: 10\r\n", "Accept-Ranges: bytes\r\n",
				    "Content-Range: bytes 5-14/20\r\n", "Retry-After: 7\r\n",
				    "Content-Type: text/plain\r\n", "\r\n", NULL});
	assert_int_equal(h.f.status, 206);
	assert_string_equal(h.f.etag, "\"abc\"");
	assert_true(h.f.length == 10 && h.f.accept_ranges && h.f.has_range);
	assert_true(h.f.range_first == 5 && h.f.range_last == 14 && h.f.range_total == 20);
	assert_true(h.f.retry_after_ms == 7000);
	assert_true(h.f.framed);
	assert_string_equal(h.f.content_type, "text/plain");
	struct err e = ERR_INIT;
	assert_int_equal(head_line(&h, "ETag: trailer\r\n", 15, &e), 0); /* a trailer */
	assert_string_equal(h.f.etag, "\"abc\"");
	head_fini(&h);

	parse(&h, 1,
	      (const char *const[]){"HTTP/1.1 503 No\r\n",
				    "Retry-After: Sun, 09 Sep 2001 01:47:40 GMT\r\n",
				    "Content-Length: 12abc\r\n", "Etag: a\001b\r\n", "\r\n", NULL});
	assert_true(h.f.retry_after_ms == 60000);
	assert_true(h.f.length == UINT64_MAX);
	assert_false(h.f.framed);
	assert_null(h.f.etag);
	head_fini(&h);

	parse(&h, 1,
	      (const char *const[]){"HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked\r\n",
				    "Content-Length: 12\r\n", "Retry-After: 99999999999\r\n",
				    "Accept-Ranges: none\r\n", "\r\n", NULL});
	assert_true(h.f.length == UINT64_MAX);
	assert_true(h.f.framed);
	assert_true(h.f.retry_after_ms == 24ull * 3600 * 1000);
	assert_false(h.f.accept_ranges);
	head_fini(&h);

	parse(&h, -EPROTO, (const char *const[]){"HTTP/1.1 2x0 OK\r\n", NULL});
	head_fini(&h);
	parse(&h, -EPROTO, (const char *const[]){"HTTP/1.1\r\n", NULL});
	head_fini(&h);
}

static void a_head_has_an_end(void **state)
{
	(void)state;
	struct head h;
	struct err e = ERR_INIT;
	int rc = 0, lines = 0;
	head_init(&h, 0);
	assert_int_equal(head_line(&h, "HTTP/1.1 200 OK\r\n", 17, &e), 0);
	while (!rc && lines++ < 100000)
		rc = head_line(&h, "X-A: 0123456789\r\n", 17, &e);
	assert_int_equal(rc, -EMSGSIZE);
	assert_true(lines < 4000);
	/* New status lines do not start the count again. */
	head_fini(&h);
	head_init(&h, 0);
	for (rc = lines = 0; !rc && lines++ < 100000;)
		rc = head_line(&h, "HTTP/1.1 100 OK\r\n", 17, &e);
	assert_int_equal(rc, -EMSGSIZE);
	head_fini(&h);
}

static void expect_proxy(const char *url, const char *want)
{
	struct origin o;
	struct err e = ERR_INIT;
	assert_int_equal(origin_parse(&o, url, &e), 0);
	auto_free char *got = proxy_for(&o);
	if (strcmp(got, want) != 0)
		fail_msg("%s: '%s' instead of '%s'", url, got, want);
	origin_fini(&o);
}

static void proxies_of_the_environment(void **state)
{
	(void)state;
	no_environment();
	expect_proxy("https://a.example/", "");
	setenv("ALL_PROXY", "http://all:1", 1);
	expect_proxy("https://a.example/", "http://all:1");
	setenv("HTTPS_PROXY", "http://s:1", 1);
	setenv("http_proxy", "http://p:1", 1);
	expect_proxy("https://a.example/", "http://s:1");
	expect_proxy("http://a.example/", "http://p:1");
	setenv("no_proxy", "b.example, .c.example,10.0.0.0/8 192.168.1.1,2001:db8::/32", 1);
	expect_proxy("https://b.example/", "");
	expect_proxy("https://x.b.example/", "");
	expect_proxy("https://xb.example/", "http://s:1");
	expect_proxy("https://y.c.example/", "");
	expect_proxy("https://10.9.9.9/", "");
	expect_proxy("https://11.9.9.9/", "http://s:1");
	expect_proxy("https://192.168.1.1/", "");
	expect_proxy("https://[2001:db8::5]/", "");
	setenv("no_proxy", "*", 1);
	expect_proxy("https://a.example/", "");
	no_environment();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(public_https_is_allowed),
	    cmocka_unit_test(the_rest_is_refused),
	    cmocka_unit_test(what_is_no_address_is_invalid),
	    cmocka_unit_test(what_the_owner_allows),
	    cmocka_unit_test(a_studio_on_this_machine),
	    cmocka_unit_test(a_server_of_our_own),
	    cmocka_unit_test(content_ranges),
	    cmocka_unit_test(heads),
	    cmocka_unit_test(a_head_has_an_end),
	    cmocka_unit_test(proxies_of_the_environment),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
