/* Peers that drip, hoard, or say a thing that can be read in two ways.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/net_fixture.h"

#include "lib/net/client.h"
#include "lib/net/ws_frame.h"

#define BODY_MS	  400
#define DRAIN_MS  200
#define FIRST_MAX 1000

struct world {
	struct fixture *f;
	struct request *held;
	struct timer later;
	int handled;
	bool pause;
	size_t longest; /* of the WebSocket messages */
	bool texts, ended;
	struct conn_end end;
};

static void mirror(struct request *r, void *arg)
{
	((struct world *)arg)->handled++;
	respond_text(r, 200, "text/plain", "taken", 5);
}

static void resume_later(void *arg)
{
	request_resume(((struct world *)arg)->held);
}

static void begin(struct request *r, void *arg)
{
	struct world *w = arg;
	if (!w->pause)
		return;
	w->held = r;
	request_pause(r);
	timer_start(&w->later, &w->f->loop.clock, (uint64_t)BODY_MS * 2, resume_later, w);
}

static const struct multipart_events multipart = {.begin = begin};
static const struct route routes[] = {{"GET", "/plain", 0, mirror, NULL},
				      {"POST", "/mirror", 1u << 20, mirror, NULL},
				      {"PUT", "/secret", 1u << 20, mirror, NULL},
				      {"POST", "/upload", 1u << 20, mirror, &multipart}};

static bool gate(struct request *r, const struct route *route, void *arg)
{
	(void)arg;
	if (strcmp(route->method, "PUT") != 0)
		return true;
	respond_error(r, 401, "unauthorized", "no");
	return false;
}

static void on_text(void *arg, const char *text, size_t len)
{
	struct world *w = arg;
	(void)text;
	w->texts = true;
	if (len > w->longest)
		w->longest = len;
}

static void on_end(void *arg, const struct conn_end *end)
{
	struct world *w = arg;
	w->ended = true;
	w->end = *end;
}

static const struct conn_events events = {.text = on_text, .end = on_end};

static void opened(struct conn *conn, const struct upgrade *u, void *arg)
{
	(void)u;
	conn->events = &events;
	conn->arg = arg;
}

static struct world *world_new(void)
{
	struct world *w = xcalloc(1, sizeof *w);
	w->f = fixture_new();
	struct server_spec spec = {.listen = "127.0.0.1:0",
				   .routes = routes,
				   .n_routes = ARRAY_LEN(routes),
				   .ws_pattern = "/w/{id}",
				   .ws_first_max = FIRST_MAX,
				   .ws_open = opened,
				   .gate = gate,
				   .arg = w,
				   .body_ms = BODY_MS,
				   .drain_ms = DRAIN_MS};
	fixture_serve(w->f, &spec);
	return w;
}

static void world_free(struct world *w)
{
	timer_stop(&w->later);
	fixture_free(w->f);
	free(w);
}

static uint64_t now(struct world *w)
{
	return clock_now(&w->f->loop.clock);
}

/* A byte every 20 ms until the server has had enough; returns how long that took. */
static uint64_t drip(struct world *w, const char *head)
{
	struct raw r;
	uint64_t start = now(w);
	raw_connect(&r, w->f);
	raw_send(&r, head);
	while (!r.eof) {
		raw_send(&r, "x");
		live(w->f, 20);
		assert_true(now(w) - start < DEADLINE_MS);
	}
	raw_close(&r);
	return now(w) - start;
}

#define UPLOAD                                                                                     \
	"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n"                               \
	"Content-Type: multipart/form-data; boundary=b\r\n\r\n"                                    \
	"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n"
#define LAST "\r\n--b--\r\n"

static void bodies_that_drip_are_cut(void **state)
{
	(void)state;
	struct world *w = world_new();
	uint64_t ms = drip(w, "PUT /secret HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
	assert_in_range(ms, DRAIN_MS, BODY_MS * 10);
	drip(w, "POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
	ms = drip(w, "POST /mirror HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
	assert_in_range(ms, BODY_MS, BODY_MS * 10);
	auto_free char *head = xasprintf(UPLOAD, 100000);
	ms = drip(w, head);
	assert_in_range(ms, BODY_MS, BODY_MS * 10);
	assert_int_equal(w->handled, 0);
	world_free(w);
}

/* Longer than a whole body may take, but fast enough in each window. */
static void a_steady_upload_may_take_long(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	char piece[501];
	memset(piece, 'x', 500);
	piece[500] = '\0';
	auto_free char *empty = xasprintf(UPLOAD, 0);
	int head = (int)strlen(strstr(empty, "--b\r\n")), pieces = 40;
	auto_free char *text = xasprintf(UPLOAD, head + pieces * 500 + (int)strlen(LAST));
	raw_connect(&r, w->f);
	raw_send(&r, text);
	uint64_t start = now(w);
	for (int i = 0; i < pieces; i++) {
		raw_send(&r, piece);
		live(w->f, 30);
	}
	raw_send(&r, LAST);
	raw_await(&r, "taken");
	assert_true(now(w) - start > (uint64_t)BODY_MS * 2);
	raw_close(&r);
	world_free(w);
}

static void a_paused_upload_is_not_slow(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	w->pause = true;
	auto_free char *empty = xasprintf(UPLOAD, 0);
	auto_free char *text =
	    xasprintf(UPLOAD LAST, (int)(strlen(strstr(empty, "--b\r\n")) + strlen(LAST)));
	raw_connect(&r, w->f);
	raw_send(&r, text);
	raw_await(&r, "taken");
	raw_close(&r);
	world_free(w);
}

struct row {
	const char *what, *text;
	size_t len;
};
#define ROW(what, s)                                                                               \
	{                                                                                          \
		what, s, sizeof(s) - 1                                                             \
	}
#define POST(headers) "POST /mirror HTTP/1.1\r\nHost: h\r\n" headers "\r\n"
#define TE	      "Transfer-Encoding: chunked\r\n"
#define CHUNKS	      "2\r\n{}\r\n0\r\n\r\n"

static void read_in_two_ways(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    ROW("two lengths", POST("Content-Length: 2\r\nContent-Length: 40\r\n") "{}"),
	    ROW("one length twice", POST("Content-Length: 2\r\nContent-Length: 2\r\n") "{}"),
	    ROW("a length and chunks", POST("Content-Length: 2\r\n" TE) CHUNKS),
	    ROW("chunks and a length", POST(TE "Content-Length: 200\r\n") CHUNKS),
	    ROW("chunks twice", POST(TE TE) CHUNKS),
	    ROW("another encoding", POST("Transfer-Encoding: gzip, chunked\r\n") CHUNKS),
	    ROW("no encoding known", POST("Transfer-Encoding: xchunked\r\n") CHUNKS),
	    ROW("a blank before the colon",
		POST("Transfer-Encoding : chunked\r\nContent-Length: 2\r\n") "{}"),
	    ROW("a signed length", POST("Content-Length: +2\r\n") "{}"),
	    ROW("a list of lengths", POST("Content-Length: 2, 2\r\n") "{}"),
	    ROW("a NUL in the path", "GET /plain\0 HTTP/1.1\r\nHost: h\r\n\r\n"),
	    ROW("a NUL in the query", "GET /plain?a=b\0c HTTP/1.1\r\nHost: h\r\n\r\n"),
	    ROW("a NUL in a header", "GET /plain HTTP/1.1\r\nA: b\0c\r\nHost: h\r\n\r\n"),
	    ROW("a NUL at a header's end", "GET /plain HTTP/1.1\r\nA: b\0\r\nHost: h\r\n\r\n"),
	    ROW("a NUL in the last header", "GET /plain HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n"),
	    ROW("a NUL at the very end", "GET /plain HTTP/1.1\r\nHost: h\r\nA: b\0\r\n\r\n"),
	    ROW("a NUL in a name", "GET /plain HTTP/1.1\r\nHost: h\r\nA\0b: c\r\n\r\n"),
	    ROW("a NUL in the version", "GET /plain HTTP/1.1\0\r\nHost: h\r\n\r\n"),
	};
	struct world *w = world_new();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw r;
		raw_connect(&r, w->f);
		raw_send_n(&r, rows[i].text, rows[i].len);
		raw_send(&r, "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n");
		raw_await(&r, NULL); /* and closed */
		if (w->handled || (r.in.len && raw_status(&r) != 400))
			fail_msg("%s: '%s'", rows[i].what, r.in.data);
		raw_close(&r);
	}
	world_free(w);
}

static void read_in_one_way(void **state)
{
	(void)state;
	static const char *const rows[] = {
	    POST("Content-Length: 2\r\n") "{}",
	    POST("Content-Length:2\r\nX-Blanks:  x  \r\nX-Empty:\r\nX:\r\n") "{}",
	    POST("transfer-encoding:  Chunked\r\n") CHUNKS,
	    POST("Cookie: a=b; c=d\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\nE:\r\n") "{}",
	    "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n",
	    "GET /plain? HTTP/1.1\r\nHost: h\r\n\r\n",
	    "GET /plain?a=b&c&d=%20 HTTP/1.1\r\nHost: h\r\n\r\n",
	    "GET /plain HTTP/1.0\r\n\r\n",
	};
	struct world *w = world_new();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw r;
		raw_connect(&r, w->f);
		raw_send(&r, rows[i]);
		raw_await(&r, "taken");
		raw_close(&r);
	}
	/* Over half of MHD's buffer of headers, in many pieces, and a second request behind it. */
	struct raw r;
	raw_connect(&r, w->f);
	raw_send(&r, "GET /plain HTTP/1.1\r\nHost: h\r\n");
	for (int i = 0; i < 120; i++) {
		raw_send(&r, "X-Filler: 0123456789012345678901234567890123456789"
			     "0123456789012345678901234567890123456789\r\n");
		live(w->f, 1);
	}
	raw_send(&r, "\r\n");
	raw_await(&r, "taken");
	raw_send(&r, "GET /plain HTTP/1.1\r\nConnection: close\r\nHost: h\r\n\r\n");
	raw_await(&r, NULL);
	assert_int_equal(w->handled, ARRAY_LEN(rows) + 2);
	raw_close(&r);
	world_free(w);
}

static void upgrade(struct world *w, struct raw *r)
{
	raw_connect(r, w->f);
	raw_send(r, "GET /w/1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
		    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
	raw_await(r, "\r\n\r\n");
	assert_int_equal(raw_status(r), 101);
}

static void send_message(struct raw *r, size_t len)
{
	static const unsigned char mask[4] = {1, 2, 3, 4};
	struct buf b;
	auto_free char *text = xmalloc(len);
	memset(text, 'x', len);
	buf_init(&b, len + 100);
	assert_true(ws_frame_write(&b, WS_TEXT, text, len, mask));
	raw_send_n(r, b.data, b.len);
	buf_fini(&b);
}

static void the_first_message_is_short(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	upgrade(w, &r);
	send_message(&r, FIRST_MAX + 1);
	raw_await(&r, "\x0f\xa2");
	raw_await(&r, NULL);
	await(w->f, &w->ended);
	assert_int_equal(w->end.kind, CONN_PROTOCOL);
	assert_false(w->texts);
	raw_close(&r);
	upgrade(w, &r);
	send_message(&r, FIRST_MAX);
	await(w->f, &w->texts);
	w->texts = false;
	send_message(&r, 4u << 20);
	await(w->f, &w->texts);
	assert_int_equal(w->longest, 4u << 20);
	raw_close(&r);
	world_free(w);
}

static void an_answer_that_drips(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	struct got g = {0};
	int port, fd = listen_any(&port);
	container_of(w->f->net, struct net, base)->reply_ms = 300;
	auto_free char *url = xasprintf("http://127.0.0.1:%d/x", port);
	struct http_request q = {.method = "POST", .url = url, .json = "{}", .max_reply = 4096};
	transport_request(w->f->net, &q, on_got, &g);
	raw_accept(&r, w->f, fd);
	raw_await(&r, "{}");
	raw_send(&r, "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n");
	uint64_t start = now(w);
	while (!g.done) {
		raw_send(&r, "x");
		live(w->f, 20);
		assert_true(now(w) - start < DEADLINE_MS);
	}
	assert_int_equal(g.status, 0);
	assert_int_equal(g.err.code, ETIMEDOUT);
	got_fini(&g);
	raw_close(&r);
	close(fd);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bodies_that_drip_are_cut),
	    cmocka_unit_test(a_steady_upload_may_take_long),
	    cmocka_unit_test(a_paused_upload_is_not_slow),
	    cmocka_unit_test(read_in_two_ways),
	    cmocka_unit_test(read_in_one_way),
	    cmocka_unit_test(the_first_message_is_short),
	    cmocka_unit_test(an_answer_that_drips),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
