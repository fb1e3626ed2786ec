/* Inputs of a task, from a server that answers by hand and from data: addresses.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/fetch_fixture.h"

#include <sys/stat.h>

#include "lib/fs/fs.h"
#include "worker/model/input.h"

#define BIG (3u << 20)

struct world {
	struct fixture *f;
	struct store *store;
	struct origin_server *server;
	char dir[64], *path;
};

static char *big;
static int failures; /* how many answers the server spoils first */

static void spoil(int fd, const char *text)
{
	if (strstr(text, " /cut"))
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
	else
		say(fd, "HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nbusy");
}

static void answer(struct origin_server *o, int fd, const char *text)
{
	(void)o;
	if (failures > 0) {
		failures--;
		spoil(fd, text);
	} else if (strstr(text, " /big")) {
		say_fmt(fd, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", BIG);
		say(fd, big);
	} else if (strstr(text, " /unsaid")) {
		say(fd, "HTTP/1.1 200 OK\r\n\r\n");
		say(fd, big);
	} else if (strstr(text, " /cut")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole");
	} else if (strstr(text, " /empty")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	} else if (strstr(text, " /mute")) {
		until_gone(fd);
	} else if (strstr(text, " /private")) {
		say(fd, "HTTP/1.1 302 x\r\nLocation: http://169.254.169.254/\r\n\r\n");
	} else {
		say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
	}
}

struct outcome {
	bool done, retryable;
	struct err err;
};

static void on_done(void *arg, const struct err *err, bool retryable)
{
	struct outcome *o = arg;
	assert_false(o->done);
	o->done = true;
	o->retryable = retryable;
	if (err)
		o->err = *err;
}

static struct outcome bring_url(struct world *w, const char *url, size_t max)
{
	struct outcome o = {0};
	input_fetch(w->store, url, w->path, max, on_done, &o);
	assert_false(o.done);
	await(w->f, &o.done);
	return o;
}

static struct outcome bring(struct world *w, const char *path, size_t max)
{
	auto_free char *url = xasprintf("http://127.0.0.1:%d%s", w->server->port, path);
	return bring_url(w, url, max);
}

static void expect_file(struct world *w, const char *want, size_t len)
{
	struct err e = ERR_INIT;
	char *data;
	size_t got;
	struct stat st;
	assert_int_equal(fs_read(w->path, BIG + 1, &data, &got, &e), 0);
	assert_int_equal(got, len);
	assert_memory_equal(data, want, len);
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	free(data);
}

static void a_file_is_brought(void **state)
{
	struct world *w = *state;
	static const char *const paths[] = {"/big", "/unsaid"};
	for (size_t i = 0; i < 2; i++) {
		struct outcome o = bring(w, paths[i], BIG);
		assert_string_equal(o.err.text, "");
		expect_file(w, big, BIG);
	}
}

static void it_may_not_be_too_big(void **state)
{
	struct world *w = *state;
	static const char *const paths[] = {"/big", "/unsaid"};
	for (size_t i = 0; i < 2; i++) {
		struct outcome o = bring(w, paths[i], BIG - 1);
		assert_int_equal(o.err.code, EFBIG);
		assert_false(o.retryable);
		assert_non_null(strstr(o.err.text, "3145727"));
	}
}

static void trouble_is_tried_again(void **state)
{
	struct world *w = *state;
	failures = 1;
	struct outcome o = bring(w, "/cut", 100);
	assert_int_equal(o.err.code, 0);
	expect_file(w, "whole", 5);
	assert_int_equal(w->server->requests, 2);
	failures = 1;
	o = bring(w, "/big", BIG);
	assert_int_equal(o.err.code, 0);
	expect_file(w, big, BIG);
}

static void not_for_ever(void **state)
{
	struct world *w = *state;
	static const char *const paths[] = {"/cut", "/big"};
	for (int i = 0; i < 2; i++) {
		w->server->requests = 0;
		failures = 100;
		struct outcome o = bring(w, paths[i], BIG);
		failures = 0;
		assert_int_not_equal(o.err.code, 0);
		assert_true(o.retryable);
		assert_int_equal(w->server->requests, 3);
	}
}

static void a_refusal_is_final(void **state)
{
	struct world *w = *state;
	struct outcome o = bring(w, "/nothing", 100);
	assert_non_null(strstr(o.err.text, "404"));
	assert_false(o.retryable);
	assert_int_equal(w->server->requests, 1);
	o = bring(w, "/empty", 100);
	assert_int_equal(o.err.code, EINVAL);
	assert_false(o.retryable);
}

static void the_rules_of_the_store_hold(void **state)
{
	struct world *w = *state;
	static const char *const urls[] = {"http://10.0.0.1/a.png", "https://169.254.169.254/",
					   "http://example.com/a.png"};
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct outcome o = bring_url(w, urls[i], 100);
		assert_int_equal(o.err.code, EACCES);
		assert_false(o.retryable);
	}
	struct outcome o = bring(w, "/private", 100);
	assert_int_equal(o.err.code, EACCES);
	assert_false(o.retryable);
	o = bring_url(w, "file:///etc/passwd", 100);
	assert_int_equal(o.err.code, EINVAL);
	assert_false(fs_exists(w->path));
}

static void data_addresses(void **state)
{
	struct world *w = *state;
	struct outcome o = bring_url(w, "data:image/png;base64,iVBORw0KGgo=", 8);
	assert_int_equal(o.err.code, 0);
	expect_file(w, "\x89PNG\r\n\x1a\n", 8);
	o = bring_url(w, "data:image/png;base64,iVBORw0KGgo=", 7);
	assert_int_equal(o.err.code, EFBIG);
	o = bring_url(w, "data:image/png,abc", 100);
	assert_int_equal(o.err.code, EINVAL);
	assert_false(o.retryable);
}

static void a_disk_that_fails(void **state)
{
	struct world *w = *state;
	free(w->path);
	w->path = xasprintf("%s/missing/input", w->dir);
	struct outcome o = bring(w, "/big", BIG);
	assert_int_equal(o.err.code, ENOENT);
	assert_int_equal(w->server->requests, 1);
	/* A link in its place leads nowhere. */
	free(w->path);
	w->path = xasprintf("%s/link", w->dir);
	auto_free char *target = xasprintf("%s/target", w->dir);
	assert_int_equal(symlink(target, w->path), 0);
	o = bring(w, "/big", BIG);
	assert_int_equal(o.err.code, ELOOP);
	assert_false(fs_exists(target));
}

static void cancelled(void **state)
{
	struct world *w = *state;
	static const char *const paths[] = {"/mute", "/big", "/big", "/cut"};
	for (size_t i = 0; i < ARRAY_LEN(paths) + 1; i++) {
		struct outcome o = {0};
		auto_free char *url = i < ARRAY_LEN(paths) ? xasprintf("http://127.0.0.1:%d%s",
								       w->server->port, paths[i])
							   : xstrdup("data:;base64,aGVsbG8=");
		failures = i == 3 ? 1 : 0; /* during the backoff */
		struct input *in = input_fetch(w->store, url, w->path, BIG, on_done, &o);
		if (i == 2)
			live(w->f, 5); /* somewhere in the middle */
		if (i == 3)
			live(w->f, 100);
		assert_true(!o.done || i == 2);
		if (!o.done)
			input_cancel(in);
		bool before = o.done;
		live(w->f, 50);
		assert_int_equal(o.done, before);
	}
	input_cancel(NULL);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof *w);
	w->f = fixture_new();
	strcpy(w->dir, "/tmp/input-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->path = xasprintf("%s/input", w->dir);
	w->server = origin_server_new(answer);
	struct store_deps deps = {.clock = &w->f->loop.clock,
				  .pool = &w->f->loop.pool,
				  .log = &w->f->log,
				  .net = w->f->net,
				  .models_root = w->dir};
	w->store = store_new(&deps);
	struct store_limits limits = {.studio_origin = "http://127.0.0.1:1"};
	store_configure(w->store, &limits);
	failures = 0;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	struct err e = ERR_INIT;
	store_free(w->store);
	fixture_free(w->f);
	origin_server_free(w->server);
	fs_remove_tree(w->dir, &e);
	free(w->path);
	free(w);
	return 0;
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    test(a_file_is_brought), test(it_may_not_be_too_big), test(trouble_is_tried_again),
	    test(not_for_ever),	     test(a_refusal_is_final),	  test(the_rules_of_the_store_hold),
	    test(data_addresses),    test(a_disk_that_fails),	  test(cancelled),
	};
	big = xcalloc(1, BIG + 1);
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)('a' + (i * i + i / 7) % 26);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
