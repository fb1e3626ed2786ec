/* Fetches against a server that answers by hand.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/fetch_fixture.h"

#include "lib/fs/fs.h"

#define BIG (3u << 20)

static struct origin_server *server, *other;
static char *big; /* BIG bytes, none like its neighbours */

static void send_big(int fd, size_t from, size_t to)
{
	while (from < to) {
		ssize_t n = send(fd, big + from, to - from, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		from += (size_t)n;
	}
}

static void ranges(struct origin_server *o, int fd, const char *text)
{
	size_t a, b;
	const char *r = strcasestr(text, "\r\nRange: bytes=");
	(void)o;
	if (r && sscanf(r + 15, "%zu-%zu", &a, &b) == 2 && a <= b && b < BIG) {
		say_fmt(fd,
			"HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\n"
			"Content-Length: %zu\r\nContent-Range: bytes %zu-%zu/%u\r\n\r\n",
			b - a + 1, a, b, BIG);
		send_big(fd, a, b + 1);
	} else {
		say_fmt(fd,
			"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nAccept-Ranges: bytes\r\n"
			"Last-Modified: Tue, 24 Nov 2026 15:00:00 GMT\r\n"
			"Content-Length: %u\r\n\r\n",
			BIG);
		send_big(fd, 0, BIG);
	}
}

static void send_away(int fd, const char *text)
{
	const char *to = strstr(text, "to=");
	char url[512];
	if (to && sscanf(to + 3, "%511[^ &]", url) == 1)
		say_fmt(fd, "HTTP/1.1 302 Found\r\nContent-Length: 5\r\nLocation: %s\r\n\r\nthere",
			url);
}

static void count_down(struct origin_server *o, int fd, int n)
{
	if (n)
		say_fmt(fd, "HTTP/1.1 307 x\r\nContent-Length: 0\r\nLocation: down?%d\r\n\r\n",
			n - 1);
	else
		say_fmt(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n%04d", o->port % 10000);
}

static void huge_head(int fd)
{
	say(fd, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 6000; i++)
		say_fmt(fd, "X-Header-%d: 0123456789\r\n", i);
	say(fd, "Content-Length: 0\r\n\r\n");
}

static void answer(struct origin_server *o, int fd, const char *text)
{
	int n;
	if (strstr(text, " /big"))
		ranges(o, fd, text);
	else if (strstr(text, " /away"))
		send_away(fd, text);
	else if (sscanf(text, "GET /down?%d", &n) == 1)
		count_down(o, fd, n);
	else if (strstr(text, " /loop"))
		say(fd, "HTTP/1.1 302 x\r\nContent-Length: 0\r\nLocation: /loop\r\n\r\n");
	else if (strstr(text, " /empty"))
		say(fd, "HTTP/1.1 204 No\r\nETag: e\r\n\r\n");
	else if (strstr(text, " /short"))
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
	else if (strstr(text, " /chunk-cut"))
		say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	else if (strstr(text, " /chunked"))
		say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
			"ETag: late\r\n\r\n");
	else if (strstr(text, " /huge-head"))
		huge_head(fd);
	else if (strstr(text, " /garbage"))
		say(fd, "what?\r\n\r\n");
	else if (strstr(text, " /mute"))
		until_gone(fd);
	else if (strstr(text, " /halts")) {
		say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
		until_gone(fd);
	} else if (strstr(text, " /busy"))
		say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nbusy");
	else if (strstr(text, " /no-content"))
		say(fd, "");
	else
		say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
}

static char *at(const struct origin_server *o, const char *path)
{
	return xasprintf("http://127.0.0.1:%d%s", o->port, path);
}

static struct fetch_request ask(const char *url)
{
	return (struct fetch_request){.url = url, .policy = &at_home};
}

/* Fetches path with g's settings and the given policy. */
static void get(struct fixture *f, const char *path, struct heard *g)
{
	auto_free char *url = at(server, path);
	struct fetch_request r = ask(url);
	hear(f, &r, g);
}

static void a_whole_file(void **state)
{
	struct fixture *f = *state;
	struct heard g = {0};
	get(f, "/big", &g);
	assert_int_equal(g.end.fault, FETCH_OK);
	assert_int_equal(g.end.err.code, 0);
	assert_int_equal(g.end.status, 200);
	assert_int_equal(g.heads, 1);
	assert_true(g.head.length == BIG && g.head.accept_ranges && !g.head.has_range);
	assert_string_equal(g.etag, "\"v1\"");
	assert_int_equal(g.body.len, BIG);
	assert_memory_equal(g.body.data, big, BIG);
	heard_fini(&g);
}

static void a_range(void **state)
{
	struct fixture *f = *state;
	struct heard g = {0};
	auto_free char *url = at(server, "/big");
	static const char *const headers[] = {"Range: bytes=1000000-2000000", "If-Range: \"v1\"",
					      NULL};
	struct fetch_request r = ask(url);
	r.headers = headers;
	r.unshared = true;
	hear(f, &r, &g);
	assert_int_equal(g.end.status, 206);
	assert_true(g.head.has_range && g.head.range_first == 1000000);
	assert_true(g.head.range_last == 2000000 && g.head.range_total == BIG);
	assert_int_equal(g.body.len, 1000001);
	assert_memory_equal(g.body.data, big + 1000000, 1000001);
	assert_true(asked(server, "If-Range: \"v1\"\r\n"));
	heard_fini(&g);
}

static void many_at_once(void **state)
{
	struct fixture *f = *state;
	struct heard g[16] = {0};
	auto_free char *url = at(server, "/big");
	struct fetch_request r = ask(url);
	r.unshared = true;
	for (size_t i = 0; i < ARRAY_LEN(g); i++)
		hear_start(f, &r, &g[i]);
	for (size_t i = 0; i < ARRAY_LEN(g); i++) {
		await(f, &g[i].done);
		assert_int_equal(g[i].body.len, BIG);
		assert_memory_equal(g[i].body.data, big, BIG);
		heard_fini(&g[i]);
	}
}

static void empty_and_refused_answers(void **state)
{
	struct fixture *f = *state;
	struct heard g = {0};
	get(f, "/empty", &g);
	assert_int_equal(g.end.fault, FETCH_OK);
	assert_true(g.end.status == 204 && g.heads == 1 && g.body.len == 0);
	assert_string_equal(g.etag, "e");
	heard_fini(&g);
	g = (struct heard){0};
	get(f, "/busy", &g);
	assert_int_equal(g.end.fault, FETCH_OK);
	assert_true(g.end.status == 503 && g.head.retry_after_ms == 3000 && g.body.len == 4);
	heard_fini(&g);
	g = (struct heard){0};
	get(f, "/chunked", &g);
	assert_int_equal(g.end.fault, FETCH_OK);
	assert_true(g.head.length == UINT64_MAX && g.body.len == 5 && g.etag[0] == '\0');
	heard_fini(&g);
}

static void what_is_cut_is_no_answer(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = {"/short", "/chunk-cut", "/huge-head", "/garbage",
					    "/no-content"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct heard g = {0};
		get(f, paths[i], &g);
		if (g.end.fault != FETCH_NETWORK || !g.end.err.code || !g.end.err.text[0])
			fail_msg("%s: fault %d '%s'", paths[i], (int)g.end.fault, g.end.err.text);
		heard_fini(&g);
	}
	struct heard g = {0};
	struct fetch_request r = ask("http://127.0.0.1:1/nobody");
	hear(f, &r, &g);
	assert_int_equal(g.end.fault, FETCH_NETWORK);
	assert_int_equal(g.end.err.code, ECONNREFUSED);
	assert_int_equal(g.end.status, 0);
	heard_fini(&g);
}

static void pausing(void **state)
{
	struct fixture *f = *state;
	for (int inside = 0; inside < 2; inside++) {
		struct heard g = {.pause = true, .resume_inside = inside};
		get(f, "/big", &g);
		assert_int_equal(g.end.fault, FETCH_OK);
		assert_int_equal(g.pauses, 20);
		assert_int_equal(g.body.len, BIG);
		assert_memory_equal(g.body.data, big, BIG);
		heard_fini(&g);
	}
}

static void a_pause_is_no_stall(void **state)
{
	struct fixture *f = *state;
	struct heard g = {.pause = true};
	auto_free char *url = at(server, "/big");
	struct fetch_request r = ask(url);
	r.stall_ms = 15; /* less than each of the pauses */
	hear(f, &r, &g);
	assert_int_equal(g.end.fault, FETCH_OK);
	assert_int_equal(g.pauses, 20);
	assert_int_equal(g.body.len, BIG);
	heard_fini(&g);
}

static void cancelled_while_paused(void **state)
{
	struct fixture *f = *state;
	struct heard g = {.pause = true};
	auto_free char *url = at(server, "/big");
	struct fetch_request r = ask(url);
	hear_start(f, &r, &g);
	while (!g.pauses)
		uv_run(&f->loop.uv, UV_RUN_ONCE);
	timer_stop(&g.later);
	fetch_cancel(g.fetch);
	live(f, 50);
	assert_int_equal(g.ends, 0);
	heard_fini(&g);
}

static void stopping(void **state)
{
	struct fixture *f = *state;
	struct heard g = {.stop_at_head = true};
	get(f, "/big", &g);
	assert_int_equal(g.end.fault, FETCH_STOPPED);
	assert_int_equal(g.end.err.code, ECANCELED);
	assert_int_equal(g.body.len, 0);
	heard_fini(&g);
	g = (struct heard){.stop_at_data = true};
	get(f, "/big", &g);
	assert_int_equal(g.end.fault, FETCH_STOPPED);
	assert_int_equal(g.end.status, 200);
	heard_fini(&g);
	/* After a pause, from inside curl's own buffer. */
	g = (struct heard){.pause = true};
	auto_free char *url = at(server, "/big");
	struct fetch_request r = ask(url);
	hear_start(f, &r, &g);
	while (!g.pauses)
		uv_run(&f->loop.uv, UV_RUN_ONCE);
	g.stop_at_data = true;
	await(f, &g.done);
	assert_int_equal(g.end.fault, FETCH_STOPPED);
	heard_fini(&g);
}

static void cancelling_in_every_callback(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 6; i++) {
		struct heard g = {.cancel_at_head = i == 0 || i == 3,
				  .cancel_at_data = i == 1 || i == 4};
		auto_free char *url = at(server, i == 3 ? "/empty" : "/big");
		struct fetch_request r = ask(url);
		g.stop_at_data = i == 4; /* both */
		hear_start(f, &r, &g);
		if (i == 2) {
			fetch_cancel(g.fetch);
		} else if (i == 5) { /* in the middle of connecting */
			uv_run(&f->loop.uv, UV_RUN_NOWAIT);
			fetch_cancel(g.fetch);
			fetch_cancel(g.fetch);
			fetch_resume(g.fetch);
		}
		live(f, 60);
		assert_int_equal(g.ends, 0);
		heard_fini(&g);
	}
	struct heard g = {.cancel_at_end = true};
	get(f, "/big", &g);
	assert_int_equal(g.end.fault, FETCH_OK);
	heard_fini(&g);
	fetch_cancel(NULL);
}

static void stalls(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = {"/mute", "/halts"};
	for (size_t i = 0; i < 4; i++) {
		struct heard g = {0};
		auto_free char *url = at(server, paths[i % 2]);
		struct fetch_request r = ask(url);
		if (i < 2)
			r.stall_ms = 100;
		else
			r.total_ms = 100;
		hear(f, &r, &g);
		assert_int_equal(g.end.fault, FETCH_STALLED);
		assert_int_equal(g.end.err.code, ETIMEDOUT);
		assert_int_equal(g.end.status, i % 2 ? 200 : 0);
		heard_fini(&g);
	}
}

static void redirects(void **state)
{
	struct fixture *f = *state;
	struct heard g = {0};
	get(f, "/down?5", &g);
	assert_int_equal(g.end.fault, FETCH_OK);
	assert_true(g.end.status == 200 && g.heads == 1 && g.body.len == 4);
	assert_non_null(strstr(g.url, "/down?0"));
	heard_fini(&g);
	static const char *const loops[] = {"/down?6", "/loop"};
	for (size_t i = 0; i < 2; i++) {
		g = (struct heard){0};
		get(f, loops[i], &g);
		assert_int_equal(g.end.fault, FETCH_NETWORK);
		assert_int_equal(g.end.err.code, ELOOP);
		assert_int_equal(g.heads, 0);
		heard_fini(&g);
	}
}

static void redirects_are_checked(void **state)
{
	struct fixture *f = *state;
	static const char *const places[] = {
	    "/away?to=http://169.254.169.254/latest",
	    "/away?to=http://10.0.0.1/",
	    "/away?to=https://192.168.0.1/",
	    "/away?to=http://example.com/",
	    "/away?to=file:///etc/passwd",
	    "/away?to=ftp://127.0.0.1/",
	    "/away?to=http://user@127.0.0.1/",
	    "/away?to=http://[fe80::1]/",
	    "/away?to=http://2852039166/",
	};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct heard g = {0};
		get(f, places[i], &g);
		if (g.end.fault != FETCH_REFUSED || g.heads || !strstr(g.end.err.text, "redirect"))
			fail_msg("%s: fault %d '%s'", places[i], (int)g.end.fault, g.end.err.text);
		heard_fini(&g);
	}
}

static void the_bearer_stays_home(void **state)
{
	struct fixture *f = *state;
	for (int away = 0; away < 2; away++) {
		struct heard g = {0};
		auto_free char *path = xasprintf("/away?to=http://127.0.0.1:%d/big",
						 away ? other->port : server->port);
		auto_free char *url = at(server, path);
		static const char *const headers[] = {"Range: bytes=0-9", "Cookie: c=1", NULL};
		struct fetch_request r = ask(url);
		r.bearer = &f->token;
		r.headers = headers;
		hear(f, &r, &g);
		assert_int_equal(g.end.status, 206);
		struct origin_server *last = away ? other : server;
		assert_int_equal(asked(last, "Authorization: Bearer a-token-nobody-may-see"),
				 !away);
		assert_int_equal(asked(last, "Cookie"), !away);
		assert_true(asked(last, "Range: bytes=0-9"));
		heard_fini(&g);
	}
}

static void no_redirect_for_our_own(void **state)
{
	struct fixture *f = *state;
	auto_free char *url = at(server, "/down?3");
	struct fetch_request r = {.url = url};
	struct heard g = {0};
	hear(f, &r, &g);
	assert_true(g.end.fault == FETCH_OK && g.end.status == 307 && g.heads == 1);
	heard_fini(&g);
	auto_free char *posted = at(server, "/away?to=/big");
	r = (struct fetch_request){.url = posted, .policy = &at_home, .body = "{}", .body_len = 2};
	g = (struct heard){0};
	hear(f, &r, &g); /* what has a body is not sent twice */
	assert_int_equal(g.end.status, 302);
	assert_true(asked(server, "POST /away"));
	assert_true(asked(server, "Content-Type: application/json\r\n"));
	assert_false(asked(server, "Expect"));
	heard_fini(&g);
}

/* A name that is allowed by its looks but leads to this machine. "localhost" variants that only the
 * resolver knows: the host name of the machine itself, and names of /etc/hosts. */
static void names_are_checked_again(void **state)
{
	struct fixture *f = *state;
	char name[256];
	static const char *const names[] = {"ip6-localhost", "ip6-loopback", "localhost4",
					    "localhost.localdomain"};
	gethostname(name, sizeof name);
	static const struct fetch_policy none = {0};
	int refused = 0;
	for (size_t i = 0; i <= ARRAY_LEN(names); i++) {
		auto_free char *url =
		    xasprintf("https://%s:%d/", i ? names[i - 1] : name, server->port);
		struct fetch_request r = {.url = url, .policy = &none};
		struct heard g = {0};
		int before = server->requests;
		struct err e = ERR_INIT;
		assert_int_equal(fetch_policy_check(&none, url, &e), 0); /* by its looks */
		hear(f, &r, &g);
		assert_int_equal(server->requests, before);
		if (g.end.fault == FETCH_REFUSED) {
			refused++;
			assert_non_null(strstr(g.end.err.text, "the name leads to"));
			assert_non_null(strstr(g.end.err.text, "allow_hosts"));
		} else { /* this machine's resolver does not know the name */
			assert_int_equal(g.end.fault, FETCH_NETWORK);
			assert_int_equal(g.end.err.code, EHOSTUNREACH);
		}
		heard_fini(&g);
	}
	assert_true(refused > 0);
}

static void this_machine_is_refused(void **state)
{
	struct fixture *f = *state;
	struct heard g = {0};
	struct fetch_request r = {.url = "http://127.0.0.1:1/",
				  .policy = &(struct fetch_policy){0}};
	hear(f, &r, &g);
	assert_int_equal(g.end.fault, FETCH_REFUSED);
	assert_int_equal(g.end.err.code, EACCES);
	heard_fini(&g);
}

static void proxies(void **state)
{
	struct fixture *f = *state;
	auto_free char *proxy = xasprintf("http://127.0.0.1:%d", other->port);
	setenv("http_proxy", proxy, 1);
	struct heard g = {0};
	const char *hosts[] = {"far.example", NULL};
	struct fetch_policy p = {.allow_hosts = hosts};
	struct fetch_request r = {.url = "http://far.example/big", .policy = &p};
	hear(f, &r, &g); /* the proxy's address is the owner's choice */
	assert_int_equal(g.end.fault, FETCH_OK);
	assert_true(asked(other, "GET http://far.example/big"));
	heard_fini(&g);
	auto_free char *url = at(server, "/big");
	r = (struct fetch_request){.url = url};
	int before = other->requests;
	g = (struct heard){0};
	hear(f, &r, &g); /* a server of our own is never behind it */
	assert_int_equal(g.end.status, 200);
	assert_int_equal(other->requests, before);
	heard_fini(&g);
	no_environment();
}

static void forms_from_disk(void **state)
{
	struct fixture *f = *state;
	struct err e = ERR_INIT;
	char path[] = "/tmp/fetch-form-XXXXXX";
	int fd = mkstemp(path);
	assert_true(write(fd, "RIFF-data", 9) == 9);
	close(fd);
	const struct fetch_part parts[] = {
	    {.name = "language", .value = "de"},
	    {.name = "file", .file_path = path, .file_name = "a.wav", .content_type = "audio/wav"},
	};
	auto_free char *url = at(server, "/inference");
	struct fetch_request r = {.url = url, .parts = parts, .n_parts = 2};
	struct heard g = {0};
	hear(f, &r, &g);
	assert_int_equal(g.end.status, 404);
	assert_true(asked(server, "POST /inference"));
	assert_true(asked(server, "multipart/form-data"));
	assert_false(asked(server, "Expect"));
	heard_fini(&g);
	fs_remove_tree(path, &e);
	g = (struct heard){0};
	hear(f, &r, &g);
	assert_int_equal(g.end.fault, FETCH_REFUSED);
	assert_int_equal(g.end.err.code, ENOENT);
	heard_fini(&g);
}

static void bad_headers_are_not_sent(void **state)
{
	struct fixture *f = *state;
	auto_free char *url = at(server, "/big");
	static const char *const headers[] = {"If-Range: \"x\r\nX-Evil: 1", NULL};
	struct fetch_request r = ask(url);
	r.headers = headers;
	struct heard g = {0};
	int before = server->requests;
	hear(f, &r, &g);
	assert_int_equal(g.end.fault, FETCH_REFUSED);
	assert_int_equal(server->requests, before);
	heard_fini(&g);
}

struct whole_got {
	bool done;
	struct fetch_reply reply;
	char text[64];
};

static void on_whole(void *arg, const struct fetch_reply *reply)
{
	struct whole_got *w = arg;
	w->reply = *reply;
	snprintf(w->text, sizeof w->text, "%s", reply->body);
	w->done = true;
}

static void wholes(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *path;
		size_t max;
		int status, code;
	} rows[] = {
	    {"/busy", 4, 503, 0},
	    {"/busy", 3, 0, EMSGSIZE},
	    {"/chunked", 5, 200, 0},
	    {"/chunked", 4, 0, EMSGSIZE},
	    {"/big", BIG - 1, 0, EMSGSIZE},
	    {"/big", BIG, 200, 0},
	    {"/short", 1000, 0, ECONNRESET},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		auto_free char *url = at(server, rows[i].path);
		struct fetch_request r = ask(url);
		struct whole_got w = {0};
		fetch_whole(f->net, &r, rows[i].max, on_whole, &w);
		assert_false(w.done);
		await(f, &w.done);
		assert_int_equal(w.reply.status, rows[i].status);
		assert_int_equal(w.reply.err.code, rows[i].code);
		if (i == 0)
			assert_string_equal(w.text, "busy");
	}
	auto_free char *url = at(server, "/big");
	struct fetch_request r = ask(url);
	struct whole_got w = {0};
	fetch_cancel(fetch_whole(f->net, &r, BIG, on_whole, &w));
	live(f, 30);
	assert_false(w.done);
}

/* libcurl takes no handle in or out inside its callbacks; those who are called need not know. */
struct inside {
	struct fixture *f;
	const char *url;
	struct exchange *victim;
	struct got got, none;
	bool done;
};

static enum fetch_verdict ask_inside(void *arg, const void *data, size_t len)
{
	struct inside *in = arg;
	(void)data;
	(void)len;
	if (in->victim) {
		struct http_request r = {.method = "GET", .url = in->url, .max_reply = 100};
		transport_request(in->f->net, &r, on_got, &in->got);
		transport_cancel(in->f->net, in->victim);
		in->victim = NULL;
	}
	return FETCH_GO;
}

static void end_inside(void *arg, const struct fetch_end *end)
{
	struct inside *in = arg;
	in->done = end->fault == FETCH_OK;
}

static void exchanges_from_inside_a_callback(void **state)
{
	struct fixture *f = *state;
	static const struct fetch_events events = {NULL, ask_inside, end_inside};
	auto_free char *url = at(server, "/big");
	auto_free char *mute = at(server, "/mute");
	auto_free char *busy = at(server, "/busy");
	struct inside in = {.f = f, .url = busy};
	struct http_request victim = {.method = "GET", .url = mute, .max_reply = 100};
	struct fetch_request r = ask(url);
	in.victim = transport_request(f->net, &victim, on_got, &in.none);
	fetch_start(f->net, &r, &events, &in);
	await(f, &in.done);
	await(f, &in.got.done);
	assert_int_equal(in.got.status, 503);
	assert_string_equal(in.got.body, "busy");
	live(f, 30);
	assert_int_equal(in.none.calls, 0);
	got_fini(&in.got);
}

static void freed_with_the_net(void **state)
{
	struct fixture *f = *state;
	static const char *const paths[] = {"/halts", "/mute", "/halts"};
	static struct heard g[6];
	for (size_t i = 0; i < ARRAY_LEN(g); i++) {
		auto_free char *url = at(server, paths[i % 3]);
		struct fetch_request r = ask(url);
		g[i].pause = i == 3 || i == 5;
		hear_start(f, &r, &g[i]);
		if (i == 4)
			fetch_cancel(g[i].fetch);
		for (int n = 0; n < 3 && i < 5; n++)
			uv_run(&f->loop.uv, UV_RUN_NOWAIT);
	}
	struct whole_got w = {0};
	auto_free char *url = at(server, "/mute");
	struct fetch_request r = ask(url);
	fetch_whole(f->net, &r, 10, on_whole, &w);
	net_free(f->net);
	f->net = NULL;
	for (size_t i = 0; i < ARRAY_LEN(g); i++) {
		assert_int_equal(g[i].ends, 0);
		heard_fini(&g[i]);
	}
}

static int setup(void **state)
{
	*state = fixture_new();
	return 0;
}

static int teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

static int start_servers(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	big = xmalloc(BIG);
	for (uint32_t i = 0; i < BIG / 4; i++)
		memcpy(big + 4 * (size_t)i, &(uint32_t){i * 2654435761u}, 4);
	server = origin_server_new(answer);
	other = origin_server_new(answer);
	return 0;
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    test(a_whole_file),
	    test(a_range),
	    test(many_at_once),
	    test(empty_and_refused_answers),
	    test(what_is_cut_is_no_answer),
	    test(pausing),
	    test(a_pause_is_no_stall),
	    test(cancelled_while_paused),
	    test(stopping),
	    test(cancelling_in_every_callback),
	    test(stalls),
	    test(redirects),
	    test(redirects_are_checked),
	    test(the_bearer_stays_home),
	    test(no_redirect_for_our_own),
	    test(names_are_checked_again),
	    test(this_machine_is_refused),
	    test(proxies),
	    test(forms_from_disk),
	    test(bad_headers_are_not_sent),
	    test(wholes),
	    test(exchanges_from_inside_a_callback),
	    test(freed_with_the_net),
	};
	int rc = cmocka_run_group_tests(tests, start_servers, NULL);
	origin_server_free(server);
	origin_server_free(other);
	return rc;
}
