/* Certificates: the good one is taken, every bad one refused with the reason, sockets and HTTP
 * alike. SPDX-License-Identifier: MIT */
#include "tests/unit/net/socket_seen.h"
#include "tests/unit/net/tls_peer.h"

#define DAY 86400L

struct world {
	struct fixture *f;
	struct cert ca;
	char ca_path[64];
	struct tls_peer peer;
};

/* Serves with a certificate for san; self: one that nobody signed. */
static struct world *world_new(const char *san, long from, long to, bool self)
{
	struct world *w = xcalloc(1, sizeof *w);
	int port, listener = listen_any(&port);
	w->f = fixture_new();
	w->ca = cert_new(NULL, "a test's authority", NULL, -DAY, DAY);
	snprintf(w->ca_path, sizeof w->ca_path, "/tmp/net-test-XXXXXX");
	close(mkstemp(w->ca_path));
	cert_write(&w->ca, w->ca_path);
	setenv("SSL_CERT_FILE", w->ca_path, 1);
	struct cert c = cert_new(self ? NULL : &w->ca, "a studio", san, from, to);
	tls_peer_start(&w->peer, &c, listener, port);
	cert_free(&c);
	return w;
}

static void world_free(struct world *w)
{
	fixture_free(w->f);
	tls_peer_stop(&w->peer);
	cert_free(&w->ca);
	unlink(w->ca_path);
	free(w);
}

static void get(struct world *w, const char *host, struct got *g)
{
	auto_free char *url = xasprintf("https://%s:%d/x", host, w->peer.port);
	struct http_request r = {.method = "GET",
				 .url = url,
				 .bearer = &w->f->token,
				 .timeout_ms = 10000,
				 .max_reply = 100};
	fetch(w->f, &r, g);
}

static void dial(struct world *w, const char *host, struct seen *s)
{
	auto_free char *url = xasprintf("wss://%s:%d/connect", host, w->peer.port);
	seen_dial(s, w->f, url);
}

static void check_taken(struct world *w, const char *host)
{
	struct got g;
	struct seen s;
	get(w, host, &g);
	if (g.status != 200)
		fail_msg("%s", g.err.text);
	assert_string_equal(g.body, "secret");
	got_fini(&g);
	/* The peer serves one after the other: let go of the exchange's connection first. */
	net_free(w->f->net);
	struct err e = ERR_INIT;
	w->f->net = net_new(&w->f->loop, &w->f->log, "studio-worker/test", &e);
	dial(w, host, &s);
	if (!s.opened)
		fail_msg("%s", s.text);
	await(w->f, &s.got);
	assert_string_equal(s.last, "secret");
}

/* `words`: one of these must stand in the reason. */
static void check_refused(struct world *w, const char *host, const char *words)
{
	struct got g;
	struct seen s;
	get(w, host, &g);
	assert_int_equal(g.status, 0);
	if (!strcasestr(g.err.text, words))
		fail_msg("'%s' does not say '%s'", g.err.text, words);
	got_fini(&g);
	dial(w, host, &s);
	assert_false(s.opened);
	assert_int_equal(s.end.kind, CONN_FAILED);
	assert_int_equal(s.end.http_status, 0);
	if (!strcasestr(s.text, words))
		fail_msg("'%s' does not say '%s'", s.text, words);
}

static void a_good_certificate(void **state)
{
	(void)state;
	struct world *w = world_new("DNS:localhost,IP:127.0.0.1", -DAY, DAY, false);
	check_taken(w, "127.0.0.1");
	world_free(w);
	w = world_new("DNS:localhost", -DAY, DAY, false);
	check_taken(w, "localhost");
	world_free(w);
}

static void another_hosts(void **state)
{
	(void)state;
	struct world *w = world_new("DNS:studio.example", -DAY, DAY, false);
	check_refused(w, "localhost", "localhost");
	check_refused(w, "127.0.0.1", "127.0.0.1");
	world_free(w);
}

static void expired(void **state)
{
	(void)state;
	struct world *w = world_new("DNS:localhost", -2 * DAY, -DAY, false);
	check_refused(w, "localhost", "expired");
	world_free(w);
}

static void not_yet_valid(void **state)
{
	(void)state;
	struct world *w = world_new("DNS:localhost", DAY, 2 * DAY, false);
	check_refused(w, "localhost", "not yet valid");
	world_free(w);
}

static void self_signed(void **state)
{
	(void)state;
	struct world *w = world_new("DNS:localhost", -DAY, DAY, true);
	check_refused(w, "localhost", "self-signed");
	world_free(w);
}

/* The same certificate, but the system's store does not know its authority. */
static void an_unknown_authority(void **state)
{
	(void)state;
	struct world *w = world_new("DNS:localhost", -DAY, DAY, false);
	unsetenv("SSL_CERT_FILE");
	check_refused(w, "localhost", "local issuer certificate");
	world_free(w);
}

/* TLS wants a write that did not fit to be repeated as it was, while the queue grows meanwhile. */
static void a_peer_that_reads_late(void **state)
{
	(void)state;
	struct world *w = world_new("DNS:localhost", -DAY, DAY, false);
	struct seen s;
	struct err e = ERR_INIT;
	int gate[2];
	const size_t sizes[] = {4u << 20, 10, 70000, 1u << 20, 3u << 20, 1, 200000};
	char *text = xcalloc(1, 4u << 20);
	memset(text, 'x', 4u << 20);
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	w->peer.gate = gate[0];
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		w->peer.want += sizes[i];
	dial(w, "localhost", &s);
	assert_true(s.opened);
	await(w->f, &s.got);
	s.got = false;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		if (s.ended || conn_send(s.conn, text, sizes[i], &e))
			fail_msg("at %zu: %s %s", i, e.text, s.text);
		live(w->f, 20);
		if (s.ended)
			fail_msg("after %zu: %s", i, s.text);
	}
	assert_int_equal(write(gate[1], "x", 1), 1);
	while (!s.got && !s.ended)
		uv_run(&w->f->loop.uv, UV_RUN_ONCE);
	if (s.ended)
		fail_msg("%s", s.text);
	assert_string_equal(s.last, "all");
	free(text);
	close(gate[1]);
	world_free(w);
	close(gate[0]);
}

static void no_tls_at_all(void **state)
{
	(void)state;
	struct world *w = world_new("DNS:localhost", -DAY, DAY, false);
	struct got g = {0};
	struct raw r;
	int port, fd = listen_any(&port);
	auto_free char *url = xasprintf("https://localhost:%d/", port);
	struct http_request req = {.method = "GET", .url = url, .timeout_ms = 9000, .max_reply = 9};
	transport_request(w->f->net, &req, on_got, &g);
	raw_accept(&r, w->f, fd);
	raw_await(&r, "\x16\x03"); /* a ClientHello: nothing else went out before TLS */
	assert_null(memmem(r.in.data, r.in.len, "a-token", 7));
	raw_send(&r, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	await(w->f, &g.done);
	assert_int_equal(g.status, 0);
	got_fini(&g);
	raw_close(&r);
	close(fd);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_good_certificate),
	    cmocka_unit_test(another_hosts),
	    cmocka_unit_test(expired),
	    cmocka_unit_test(not_yet_valid),
	    cmocka_unit_test(self_signed),
	    cmocka_unit_test(an_unknown_authority),
	    cmocka_unit_test(a_peer_that_reads_late),
	    cmocka_unit_test(no_tls_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
