/* WebSockets: our client against our server, and each against a peer that misbehaves.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/net/net_fixture.h"

#include "lib/net/client.h"
#include "lib/net/ws_frame.h"

#define PROTOCOL "studio-worker-v1"
#define MIB	 (1u << 20)

/* What one end of a socket saw. */
struct seen {
	struct conn *conn;
	bool opened, drained, ended, got;
	int texts;
	char *last;
	size_t last_len;
	struct conn_end end;
	char text[512];
};

static void on_open(void *arg)
{
	struct seen *s = arg;
	assert_false(s->opened);
	s->opened = true;
}

static void on_text(void *arg, const char *text, size_t len)
{
	struct seen *s = arg;
	s->texts++;
	s->got = true;
	free(s->last);
	s->last = xstrndup(text, len);
	s->last_len = len;
}

static void on_drained(void *arg)
{
	((struct seen *)arg)->drained = true;
}

static void on_end(void *arg, const struct conn_end *end)
{
	struct seen *s = arg;
	assert_false(s->ended);
	s->ended = true;
	s->end = *end;
	s->end.text = NULL;
	snprintf(s->text, sizeof s->text, "%s", end->text);
	s->conn = NULL;
}

static const struct conn_events events = {on_open, on_text, on_drained, on_end};

/* Sends every message back. */
static void echo_text(void *arg, const char *text, size_t len)
{
	struct seen *s = arg;
	struct err e = ERR_INIT;
	on_text(arg, text, len);
	assert_int_equal(conn_send(s->conn, text, len, &e), 0);
}
static const struct conn_events echo = {.text = echo_text, .drained = on_drained, .end = on_end};

struct world {
	struct fixture *f;
	struct seen client, server;
	bool echo, reached; /* the server's socket is open */
	int refuse_with, close_with;
	char param[64], peer[64];
	bool token_ok;
};

static int check(const struct upgrade *u, void *arg)
{
	struct world *w = arg;
	w->token_ok = secret_equal(&w->f->token, u->bearer);
	snprintf(w->peer, sizeof w->peer, "%s", u->peer);
	return w->refuse_with;
}

static void server_open(struct conn *conn, const struct upgrade *u, void *arg)
{
	struct world *w = arg;
	snprintf(w->param, sizeof w->param, "%s", u->param);
	w->reached = true;
	if (w->close_with) {
		conn_close(conn, w->close_with, "not you");
		return;
	}
	conn->events = w->echo ? &echo : &events;
	conn->arg = &w->server;
	w->server.conn = conn;
}

static void answer(struct request *r, void *arg)
{
	(void)arg;
	respond_text(r, 200, "text/plain", "ok", 2);
}

static const struct route routes[] = {{"GET", "/plain", 0, answer, NULL}};

static struct world *world_new(void)
{
	struct world *w = xcalloc(1, sizeof *w);
	w->f = fixture_new();
	struct server_spec spec = {.listen = "127.0.0.1:0",
				   .routes = routes,
				   .n_routes = 1,
				   .ws_pattern = "/w/{id}/connect",
				   .ws_subprotocol = PROTOCOL,
				   .ws_check = check,
				   .ws_open = server_open,
				   .arg = w};
	fixture_serve(w->f, &spec);
	return w;
}

static void world_free(struct world *w)
{
	fixture_free(w->f);
	free(w->client.last);
	free(w->server.last);
	free(w);
}

static void dial(struct world *w, const char *url, uint64_t timeout_ms)
{
	struct connect_request r = {
	    .url = url, .bearer = &w->f->token, .subprotocol = PROTOCOL, .timeout_ms = timeout_ms};
	w->client = (struct seen){0};
	w->client.conn = transport_connect(w->f->net, &r, &events, &w->client);
	assert_non_null(w->client.conn);
	assert_false(w->client.opened || w->client.ended);
}

static void connect_client(struct world *w)
{
	auto_free char *url = url_of(w->f, "ws", "/w/w%2D1/connect");
	dial(w, url, 15000);
	await(w->f, &w->client.opened);
	await(w->f, &w->reached);
}

static void send_text(struct conn *c, const char *text)
{
	struct err e = ERR_INIT;
	assert_int_equal(conn_send(c, text, strlen(text), &e), 0);
}

/* ---- both ends ours ---- */

static void talks_both_ways(void **state)
{
	(void)state;
	struct world *w = world_new();
	connect_client(w);
	assert_string_equal(w->param, "w-1");
	assert_string_equal(w->peer, "127.0.0.1");
	assert_true(w->token_ok);
	send_text(w->client.conn, "{\"type\":\"hello\"}");
	await(w->f, &w->server.got);
	assert_string_equal(w->server.last, "{\"type\":\"hello\"}");
	await(w->f, &w->client.drained);
	send_text(w->server.conn, "welcome");
	await(w->f, &w->client.got);
	assert_string_equal(w->client.last, "welcome");
	await(w->f, &w->server.drained);
	world_free(w);
}

static void four_mib_come_back(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct err e = ERR_INIT;
	char *big = xmalloc(4 * MIB);
	w->echo = true;
	connect_client(w);
	for (size_t i = 0; i < 4 * MIB; i++)
		big[i] = (char)('a' + i % 26);
	for (int i = 0; i < 3; i++) {
		w->client.got = false;
		assert_int_equal(conn_send(w->client.conn, big, 4 * MIB, &e), 0);
		await(w->f, &w->client.got);
		assert_int_equal(w->client.last_len, 4 * MIB);
		assert_memory_equal(w->client.last, big, 4 * MIB);
	}
	free(big);
	world_free(w);
}

static void over_four_mib_ends_it(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct err e = ERR_INIT;
	char *big = xcalloc(1, 4 * MIB + 1);
	memset(big, 'x', 4 * MIB + 1);
	connect_client(w);
	assert_int_equal(conn_send(w->client.conn, big, 4 * MIB + 1, &e), 0);
	await(w->f, &w->server.ended);
	assert_int_equal(w->server.end.kind, CONN_PROTOCOL);
	await(w->f, &w->client.ended);
	world_free(w);
	w = world_new();
	connect_client(w);
	assert_int_equal(conn_send(w->server.conn, big, 4 * MIB + 1, &e), 0);
	await(w->f, &w->client.ended);
	assert_int_equal(w->client.end.kind, CONN_PROTOCOL);
	free(big);
	world_free(w);
}

static void codes_and_reasons_arrive(void **state)
{
	(void)state;
	static const int codes[] = {1000, 4001, 4002, 4003, 4004};
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		struct world *w = world_new();
		connect_client(w);
		conn_close(w->server.conn, codes[i], "because");
		await(w->f, &w->client.ended);
		assert_int_equal(w->client.end.kind, CONN_CLOSED);
		assert_int_equal(w->client.end.close_code, codes[i]);
		assert_string_equal(w->client.text, "because");
		assert_false(w->server.ended); /* who closes hears nothing more */
		world_free(w);
		w = world_new();
		connect_client(w);
		conn_close(w->client.conn, codes[i], "session ended");
		await(w->f, &w->server.ended);
		assert_int_equal(w->server.end.kind, CONN_CLOSED);
		assert_int_equal(w->server.end.close_code, codes[i]);
		assert_string_equal(w->server.text, "session ended");
		assert_false(w->client.ended);
		world_free(w);
	}
}

static void what_was_sent_before_the_close_arrives(void **state)
{
	(void)state;
	struct world *w = world_new();
	connect_client(w);
	send_text(w->server.conn, "last words");
	conn_close(w->server.conn, 4003, "duplicate");
	await(w->f, &w->client.ended);
	assert_string_equal(w->client.last, "last words");
	assert_int_equal(w->client.end.close_code, 4003);
	world_free(w);
}

static void closed_at_the_open(void **state)
{
	(void)state;
	struct world *w = world_new();
	w->close_with = 4004;
	auto_free char *url = url_of(w->f, "ws", "/w/1/connect");
	dial(w, url, 15000);
	await(w->f, &w->client.ended);
	assert_true(w->client.opened);
	assert_int_equal(w->client.end.kind, CONN_CLOSED);
	assert_int_equal(w->client.end.close_code, 4004);
	assert_string_equal(w->client.text, "not you");
	world_free(w);
}

static void refused_upgrades_tell_the_status(void **state)
{
	(void)state;
	static const int statuses[] = {401, 403, 429, 503};
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct world *w = world_new();
		w->refuse_with = statuses[i];
		auto_free char *url = url_of(w->f, "ws", "/w/1/connect");
		dial(w, url, 15000);
		await(w->f, &w->client.ended);
		assert_false(w->client.opened || w->reached);
		assert_int_equal(w->client.end.kind, CONN_FAILED);
		assert_int_equal(w->client.end.http_status, statuses[i]);
		assert_null(strstr(w->client.text, "a-token"));
		world_free(w);
	}
	struct world *w = world_new();
	auto_free char *url = url_of(w->f, "ws", "/nowhere");
	dial(w, url, 15000);
	await(w->f, &w->client.ended);
	assert_int_equal(w->client.end.http_status, 404);
	world_free(w);
}

static void nobody_listens(void **state)
{
	(void)state;
	struct world *w = world_new();
	int port, fd = listen_any(&port);
	close(fd);
	auto_free char *url = xasprintf("ws://127.0.0.1:%d/x", port);
	dial(w, url, 15000);
	await(w->f, &w->client.ended);
	assert_int_equal(w->client.end.kind, CONN_FAILED);
	assert_int_equal(w->client.end.http_status, 0);
	assert_true(strlen(w->client.text) > 10);
	world_free(w);
}

static void unknown_host(void **state)
{
	(void)state;
	struct world *w = world_new();
	dial(w, "ws://no-such-host.invalid:1/x", 5000);
	await(w->f, &w->client.ended);
	assert_int_equal(w->client.end.kind, CONN_FAILED);
	world_free(w);
}

/* Accepts by the kernel, and never a word. */
static void black_hole_is_bounded(void **state)
{
	(void)state;
	struct world *w = world_new();
	int port, fd = listen_any(&port);
	auto_free char *url = xasprintf("ws://127.0.0.1:%d/x", port);
	uint64_t start = clock_now(&w->f->loop.clock);
	dial(w, url, 300);
	await(w->f, &w->client.ended);
	uint64_t took = clock_now(&w->f->loop.clock) - start;
	assert_int_equal(w->client.end.kind, CONN_FAILED);
	assert_in_range(took, 250, 3000);
	close(fd);
	world_free(w);
}

static void close_before_it_opened(void **state)
{
	(void)state;
	struct world *w = world_new();
	int port, fd = listen_any(&port);
	auto_free char *url = xasprintf("ws://127.0.0.1:%d/x", port);
	dial(w, url, 15000);
	conn_close(w->client.conn, 1000, "never mind");
	live(w->f, 20);
	dial(w, url, 15000);
	live(w->f, 50);
	conn_close(w->client.conn, 1000, "never mind");
	live(w->f, 20);
	assert_false(w->client.ended || w->client.opened);
	close(fd);
	world_free(w);
}

static void freed_with_everything_open(void **state)
{
	(void)state;
	struct world *w = world_new();
	connect_client(w);
	send_text(w->client.conn, "x");
	auto_free char *url = url_of(w->f, "ws", "/w/1/connect");
	struct seen second = {0};
	struct connect_request r = {
	    .url = url, .bearer = &w->f->token, .subprotocol = PROTOCOL, .timeout_ms = 15000};
	assert_non_null(transport_connect(w->f->net, &r, &events, &second));
	world_free(w);
	assert_false(second.ended);
}

static void the_server_going_says_1001(void **state)
{
	(void)state;
	struct world *w = world_new();
	connect_client(w);
	server_free(w->f->server);
	w->f->server = NULL;
	await(w->f, &w->client.ended);
	assert_int_equal(w->client.end.kind, CONN_CLOSED);
	assert_int_equal(w->client.end.close_code, 1001);
	world_free(w);
}

/* libcurl drops kept connections that were idle for too long; a socket is not one of them. */
static void exchanges_leave_an_old_socket_alone(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct got g;
	struct net *n = container_of(w->f->net, struct net, base);
	assert_in_range(n->max_age_s, 10, 118);
	n->max_age_s = 1;
	w->echo = true;
	connect_client(w);
	live(w->f, 2500);
	fetch_path(w->f, "GET", "/plain", NULL, &g);
	assert_int_equal(g.status, 200);
	got_fini(&g);
	assert_false(w->client.ended);
	send_text(w->client.conn, "still here");
	await(w->f, &w->client.got);
	assert_string_equal(w->client.last, "still here");
	world_free(w);
}

static void many_small_messages_keep_their_order(void **state)
{
	(void)state;
	struct world *w = world_new();
	w->echo = true;
	connect_client(w);
	char text[32];
	for (int i = 0; i < 5000; i++) {
		snprintf(text, sizeof text, "message %d", i);
		send_text(w->client.conn, text);
	}
	while (w->client.texts < 5000) {
		w->client.got = false;
		await(w->f, &w->client.got);
	}
	assert_string_equal(w->client.last, "message 4999");
	world_free(w);
}

/* The peer takes nothing: the queue ends at 16 MiB, and closing does not wait. */
static void a_peer_that_does_not_read(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct err e = ERR_INIT;
	struct raw r;
	int rc = 0, sent = 0;
	char *mib = xcalloc(1, MIB);
	memset(mib, 'x', MIB);
	raw_connect(&r, w->f);
	raw_send(&r, "GET /w/1/connect HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n"
		     "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		     "Sec-WebSocket-Protocol: other, " PROTOCOL "\r\n\r\n");
	raw_await(&r, "\r\n\r\n");
	assert_int_equal(raw_status(&r), 101);
	assert_non_null(strstr(r.in.data, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	uv_poll_stop(r.poll);
	for (; sent < 64 && rc == 0; sent++) {
		rc = conn_send(w->server.conn, mib, MIB, &e);
		uv_run(&w->f->loop.uv, UV_RUN_NOWAIT);
	}
	assert_int_equal(rc, -ENOBUFS);
	assert_in_range(sent, 15, 30);
	conn_close(w->server.conn, 4003, "bye");
	live(w->f, 1200);
	assert_false(w->server.ended);
	free(mib);
	raw_close(&r);
	world_free(w);
}

/* ---- a hostile client ---- */

#define UPGRADE                                                                                    \
	"GET /w/1/connect HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"    \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"             \
	"Sec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n"

struct row {
	const char *what, *bytes;
	size_t len;
};
#define ROW(what, s)                                                                               \
	{                                                                                          \
		what, s, sizeof(s) - 1                                                             \
	}

static void frames_a_client_may_not_send(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    ROW("binary", "\x82\x81\0\0\0\0x"),
	    ROW("unmasked", "\x81\x01x"),
	    ROW("not UTF-8", "\x81\x81\0\0\0\0\xff"),
	    ROW("reserved bits", "\xf1\x81\0\0\0\0x"),
	    ROW("unknown opcode", "\x83\x81\0\0\0\0x"),
	    ROW("exabytes announced", "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world *w = world_new();
		struct raw r;
		raw_connect(&r, w->f);
		raw_send(&r, UPGRADE);
		raw_await(&r, "\r\n\r\n");
		await(w->f, &w->reached);
		raw_send_n(&r, rows[i].bytes, rows[i].len);
		await(w->f, &w->server.ended);
		if (w->server.end.kind != CONN_PROTOCOL)
			fail_msg("%s: %d %s", rows[i].what, w->server.end.kind, w->server.text);
		/* 4002 reaches the peer. */
		raw_await(&r, "\x0f\xa2");
		raw_await(&r, NULL);
		raw_close(&r);
		world_free(w);
	}
}

/* Frames in the same packet as the upgrade are not lost. */
static void early_frames(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	static const char bytes[] = UPGRADE "\x81\x85\0\0\0\0early\x89\x81\0\0\0\0p";
	raw_connect(&r, w->f);
	raw_send_n(&r, bytes, sizeof bytes - 1);
	await(w->f, &w->server.got);
	assert_string_equal(w->server.last, "early");
	raw_await(&r, "\x8a\x01p");
	raw_close(&r);
	await(w->f, &w->server.ended);
	assert_int_equal(w->server.end.kind, CONN_LOST);
	world_free(w);
}

static void upgrades_that_are_refused(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *head;
	} rows[] = {
	    {404, "GET /nowhere HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade"
		  "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
		  "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n"},
	    {426, "GET /w/1/connect HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "
		  "Upgrade\r\nSec-WebSocket-Version: 8\r\nSec-WebSocket-Key: "
		  "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n"},
	    {400, "GET /w/1/connect HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "
		  "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " PROTOCOL
		  "\r\n\r\n"},
	    {400, "GET /w/1/connect HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "
		  "Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
		  "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"},
	    {400, "POST /w/1/connect HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "
		  "Upgrade\r\nContent-Length: 0\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
		  "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n"},
	};
	struct world *w = world_new();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct raw r;
		raw_connect(&r, w->f);
		raw_send(&r, rows[i].head);
		raw_await(&r, "\r\n\r\n");
		assert_int_equal(raw_status(&r), rows[i].status);
		raw_close(&r);
	}
	assert_false(w->reached);
	world_free(w);
}

/* Whatever else asks for an upgrade gets HTTP/1.1, a thousand times. */
static void unknown_upgrades(void **state)
{
	(void)state;
	struct world *w = world_new();
	for (int i = 0; i < 1000; i++) {
		struct raw r;
		auto_free char *head =
		    xasprintf("GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: %s\r\nConnection: Upgrade, "
			      "HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
			      "X-Fill: %0*d\r\n\r\n",
			      i & 1 ? "/plain" : "/w/1/connect", i & 2 ? "h2c" : "mystery/1", i, 0);
		raw_connect(&r, w->f);
		raw_send(&r, head);
		raw_await(&r, "\r\n\r\n");
		int status = raw_status(&r);
		if (status == 101 || status < 200)
			fail_msg("an unknown upgrade was taken: %d", status);
		raw_close(&r);
	}
	assert_false(w->reached);
	world_free(w);
}

/* ---- a hostile server ---- */

/* A server that takes the upgrade properly and then says `bytes`. */
static void hostile_server(struct world *w, struct raw *r, const char *answer_head,
			   const void *bytes, size_t len)
{
	int port, fd = listen_any(&port);
	auto_free char *url = xasprintf("ws://127.0.0.1:%d/w/1/connect", port);
	dial(w, url, 15000);
	raw_accept(r, w->f, fd);
	raw_await(r, "\r\n\r\n");
	assert_non_null(strstr(r->in.data, "Authorization: Bearer a-token-nobody-may-see\r\n"));
	assert_non_null(strstr(r->in.data, "Sec-WebSocket-Protocol: " PROTOCOL "\r\n"));
	assert_non_null(strstr(r->in.data, "GET /w/1/connect HTTP/1.1\r\n"));
	if (answer_head) {
		raw_send(r, answer_head);
	} else {
		char key[64] = "", accept[64], command[512];
		const char *at = strstr(r->in.data, "Sec-WebSocket-Key: ");
		assert_non_null(at);
		sscanf(at, "Sec-WebSocket-Key: %63[^\r]", key);
		snprintf(command, sizeof command,
			 "printf '%%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11' '%s' | "
			 "openssl dgst -sha1 -binary | openssl base64",
			 key);
		FILE *p = popen(command, "r");
		assert_non_null(fgets(accept, sizeof accept, p));
		pclose(p);
		accept[strcspn(accept, "\n")] = '\0';
		auto_free char *head =
		    xasprintf("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
			      "connection: upgrade\r\nsec-websocket-accept: %s\r\n"
			      "Sec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n",
			      accept);
		raw_send(r, head);
	}
	raw_send_n(r, bytes, len);
	close(fd);
}

static void frames_a_server_may_not_send(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    ROW("binary", "\x82\x01x"),
	    ROW("masked", "\x81\x81\0\0\0\0x"),
	    ROW("not UTF-8", "\x81\x01\xff"),
	    ROW("reserved bits", "\xc1\x01x"),
	    ROW("bad close", "\x88\x01x"),
	    ROW("4 MiB and one", "\x81\x7f\0\0\0\0\0\x40\0\x01"),
	    ROW("exabytes", "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"),
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world *w = world_new();
		struct raw r;
		hostile_server(w, &r, NULL, rows[i].bytes, rows[i].len);
		await(w->f, &w->client.ended);
		assert_true(w->client.opened);
		if (w->client.end.kind != CONN_PROTOCOL)
			fail_msg("%s: %d %s", rows[i].what, w->client.end.kind, w->client.text);
		raw_close(&r);
		world_free(w);
	}
}

static void fragments_and_pings_from_a_server(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	static const char bytes[] = "\x01\x03hel\x89\x02pp\x80\x02lo";
	hostile_server(w, &r, NULL, bytes, sizeof bytes - 1);
	await(w->f, &w->client.got);
	assert_string_equal(w->client.last, "hello");
	assert_int_equal(w->client.texts, 1);
	buf_reset(&r.in);
	raw_await(&r, "\x8a\x82"); /* a masked pong of two bytes */
	raw_close(&r);
	await(w->f, &w->client.ended);
	assert_int_equal(w->client.end.kind, CONN_LOST);
	world_free(w);
}

static void closes_without_a_code(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	hostile_server(w, &r, NULL, "\x88\x00", 2);
	await(w->f, &w->client.ended);
	assert_int_equal(w->client.end.kind, CONN_CLOSED);
	assert_int_equal(w->client.end.close_code, 1005);
	raw_close(&r);
	world_free(w);
}

static void answers_that_are_no_upgrade(void **state)
{
	(void)state;
	static const struct {
		int status;
		const char *head;
	} rows[] = {
	    {0, "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
	    {200, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	    {302, "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n"},
	    {401, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"},
	    {101, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		  "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"
		  "Sec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n"},
	    {101, "HTTP/1.1 101 X\r\n\r\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct world *w = world_new();
		struct raw r;
		hostile_server(w, &r, rows[i].head, "", 0);
		await(w->f, &w->client.ended);
		assert_false(w->client.opened);
		assert_int_equal(w->client.end.kind, CONN_FAILED);
		assert_int_equal(w->client.end.http_status, rows[i].status);
		raw_close(&r);
		world_free(w);
	}
}

static void an_answer_without_end(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	char *fill = xcalloc(1, 64 * 1024);
	memset(fill, 'x', 64 * 1024);
	hostile_server(w, &r, "HTTP/1.1 101 X\r\nX-Fill: ", fill, 64 * 1024);
	await(w->f, &w->client.ended);
	assert_int_equal(w->client.end.kind, CONN_FAILED);
	free(fill);
	raw_close(&r);
	world_free(w);
}

static void the_peer_vanishes_in_the_upgrade(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	hostile_server(w, &r, "HTTP/1.1 101 Swi", "", 0);
	raw_close(&r);
	await(w->f, &w->client.ended);
	assert_int_equal(w->client.end.kind, CONN_FAILED);
	world_free(w);
}

/* Nothing answers our close: after a second it is over all the same. */
static void a_close_that_nobody_answers(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct raw r;
	hostile_server(w, &r, NULL, "", 0);
	await(w->f, &w->client.opened);
	conn_close(w->client.conn, 1000, "session ended");
	raw_await(&r, NULL);
	assert_true(r.eof);
	assert_false(w->client.ended);
	raw_close(&r);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(talks_both_ways),
	    cmocka_unit_test(four_mib_come_back),
	    cmocka_unit_test(over_four_mib_ends_it),
	    cmocka_unit_test(codes_and_reasons_arrive),
	    cmocka_unit_test(what_was_sent_before_the_close_arrives),
	    cmocka_unit_test(closed_at_the_open),
	    cmocka_unit_test(refused_upgrades_tell_the_status),
	    cmocka_unit_test(nobody_listens),
	    cmocka_unit_test(unknown_host),
	    cmocka_unit_test(black_hole_is_bounded),
	    cmocka_unit_test(close_before_it_opened),
	    cmocka_unit_test(freed_with_everything_open),
	    cmocka_unit_test(the_server_going_says_1001),
	    cmocka_unit_test(exchanges_leave_an_old_socket_alone),
	    cmocka_unit_test(many_small_messages_keep_their_order),
	    cmocka_unit_test(a_peer_that_does_not_read),
	    cmocka_unit_test(frames_a_client_may_not_send),
	    cmocka_unit_test(early_frames),
	    cmocka_unit_test(upgrades_that_are_refused),
	    cmocka_unit_test(unknown_upgrades),
	    cmocka_unit_test(frames_a_server_may_not_send),
	    cmocka_unit_test(fragments_and_pings_from_a_server),
	    cmocka_unit_test(closes_without_a_code),
	    cmocka_unit_test(answers_that_are_no_upgrade),
	    cmocka_unit_test(an_answer_without_end),
	    cmocka_unit_test(the_peer_vanishes_in_the_upgrade),
	    cmocka_unit_test(a_close_that_nobody_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
