/* Proxies of the environment, for sockets and HTTP alike; and the blocking exchange of the command
 * line. SPDX-License-Identifier: MIT */
#include "tests/unit/net/socket_seen.h"
#include "tests/unit/net/tls_peer.h"

#include <poll.h>

/* A proxy in a thread, one connection after the other. It goes to `target` whatever it is asked
 * for, so names that nobody can resolve show who resolved them. */
struct proxy {
	pthread_t thread;
	int listener, port, target;
	bool refuse;
	int served;
	char head[4096]; /* of the last request */
};

static int dial_target(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool copy(int from, int to)
{
	char data[8192];
	ssize_t n = recv(from, data, sizeof data, 0);
	return n > 0 && send(to, data, (size_t)n, MSG_NOSIGNAL) == n;
}

static void relay(int a, int b)
{
	struct pollfd p[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
	while (poll(p, 2, -1) > 0) {
		if (p[0].revents && !copy(a, b))
			return;
		if (p[1].revents && !copy(b, a))
			return;
	}
}

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void serve(struct proxy *p, int fd)
{
	size_t len = 0;
	memset(p->head, 0, sizeof p->head);
	while (!strstr(p->head, "\r\n\r\n")) {
		ssize_t n = recv(fd, p->head + len, sizeof p->head - 1 - len, 0);
		if (n <= 0)
			return;
		len += (size_t)n;
	}
	p->served++;
	if (p->refuse) {
		say(fd, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n"
			"Proxy-Authenticate: Basic realm=\"x\"\r\n\r\n");
		return;
	}
	if (strncmp(p->head, "CONNECT ", 8) != 0) {
		say(fd,
		    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nvia proxy");
		return;
	}
	int target = dial_target(p->target);
	say(fd, "HTTP/1.1 200 Connection established\r\n\r\n");
	relay(fd, target);
	close(target);
}

static void *proxy_run(void *arg)
{
	struct proxy *p = arg;
	int fd;
	while ((fd = accept(p->listener, NULL, NULL)) >= 0) {
		serve(p, fd);
		close(fd);
	}
	return NULL;
}

static void proxy_start(struct proxy *p, int target)
{
	*p = (struct proxy){.target = target};
	p->listener = listen_any(&p->port);
	pthread_create(&p->thread, NULL, proxy_run, p);
}

static void proxy_stop(struct proxy *p)
{
	shutdown(p->listener, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listener);
}

struct world {
	struct fixture *f;
	struct proxy proxy;
	struct conn *conn; /* the server's end */
};

static void server_open(struct conn *conn, const struct upgrade *u, void *arg)
{
	static const struct conn_events none;
	struct err e = ERR_INIT;
	(void)u;
	((struct world *)arg)->conn = conn;
	conn->events = &none;
	assert_int_equal(conn_send(conn, "hello", 5, &e), 0);
}

static void hello(struct request *r, void *arg)
{
	(void)arg;
	respond_text(r, 200, "text/plain", "direct", 6);
}

static const struct route routes[] = {{"GET", "/x", 0, hello, NULL}};

static struct world *world_new(const char *listen_at)
{
	struct world *w = xcalloc(1, sizeof *w);
	w->f = fixture_new();
	struct server_spec spec = {.listen = listen_at,
				   .routes = routes,
				   .n_routes = 1,
				   .ws_pattern = "/connect",
				   .ws_subprotocol = "studio-worker-v1",
				   .ws_open = server_open,
				   .arg = w};
	fixture_serve(w->f, &spec);
	proxy_start(&w->proxy, server_port(w->f->server));
	return w;
}

static void world_free(struct world *w)
{
	fixture_free(w->f); /* its connections go, so that the proxy's thread comes back */
	proxy_stop(&w->proxy);
	no_environment();
	free(w);
}

static void set_proxy(const char *name, const char *user, int port)
{
	auto_free char *value = xasprintf("http://%s127.0.0.1:%d", user, port);
	setenv(name, value, 1);
}

static void get(struct world *w, const char *url, struct got *g)
{
	struct http_request r = {.method = "GET",
				 .url = url,
				 .bearer = &w->f->token,
				 .timeout_ms = 10000,
				 .max_reply = 100};
	fetch(w->f, &r, g);
}

static void sockets_by_connect(void **state)
{
	(void)state;
	static const char *const names[] = {"HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct world *w = world_new("127.0.0.1:0");
		struct seen s;
		set_proxy(names[i], "", w->proxy.port);
		seen_dial(&s, w->f, "ws://studio.invalid:8787/connect");
		if (!s.opened)
			fail_msg("%s: %s", names[i], s.text);
		await(w->f, &s.got);
		assert_string_equal(s.last, "hello");
		assert_int_equal(
		    strncmp(w->proxy.head, "CONNECT studio.invalid:8787 HTTP/1.1\r\n", 38), 0);
		/* The proxy itself sees no token of ours. */
		assert_null(strstr(w->proxy.head, "a-token"));
		world_free(w);
	}
}

static void with_a_name_and_a_password(void **state)
{
	(void)state;
	struct world *w = world_new("127.0.0.1:0");
	struct seen s;
	set_proxy("HTTP_PROXY", "me:pass-word@", w->proxy.port);
	seen_dial(&s, w->f, "ws://studio.invalid/connect");
	assert_true(s.opened);
	assert_non_null(strstr(w->proxy.head, "Proxy-Authorization: Basic bWU6cGFzcy13b3Jk\r\n"));
	world_free(w);
	w = world_new("127.0.0.1:0");
	w->proxy.refuse = true;
	set_proxy("HTTP_PROXY", "me:pass-word@", w->proxy.port);
	seen_dial(&s, w->f, "ws://studio.invalid/connect");
	assert_true(s.ended);
	assert_int_equal(s.end.kind, CONN_FAILED);
	assert_non_null(strstr(s.text, "407"));
	assert_null(strstr(s.text, "pass-word"));
	/* A proxy's refusal is not the studio's: it must not look like a bad token. */
	assert_int_equal(s.end.http_status, 0);
	world_free(w);
}

static void http_by_either_name(void **state)
{
	(void)state;
	static const char *const names[] = {"HTTP_PROXY", "http_proxy", "ALL_PROXY"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct world *w = world_new("127.0.0.1:0");
		struct got g;
		set_proxy(names[i], "", w->proxy.port);
		get(w, "http://studio.invalid/x", &g);
		if (g.status != 200)
			fail_msg("%s: %s", names[i], g.err.text);
		assert_string_equal(g.body, "via proxy");
		assert_int_equal(strncmp(w->proxy.head, "GET http://studio.invalid/x", 27), 0);
		got_fini(&g);
		world_free(w);
	}
}

static void not_for_those_in_no_proxy(void **state)
{
	(void)state;
	static const char *const lists[] = {"127.0.0.1", "studio.example,127.0.0.1", "*"};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (int lower = 0; lower < 2; lower++) {
			struct world *w = world_new("127.0.0.1:0");
			struct got g;
			struct seen s;
			set_proxy("HTTP_PROXY", "", w->proxy.port);
			set_proxy("ALL_PROXY", "", w->proxy.port);
			setenv(lower ? "no_proxy" : "NO_PROXY", lists[i], 1);
			auto_free char *url = url_of(w->f, "http", "/x");
			auto_free char *ws = url_of(w->f, "ws", "/connect");
			get(w, url, &g);
			assert_string_equal(g.body, "direct");
			got_fini(&g);
			seen_dial(&s, w->f, ws);
			assert_true(s.opened);
			assert_int_equal(w->proxy.served, 0);
			world_free(w);
		}
}

static void tls_through_the_proxy(void **state)
{
	(void)state;
	struct world *w = world_new("127.0.0.1:0");
	struct got g;
	struct seen s;
	struct err e = ERR_INIT;
	char path[] = "/tmp/net-test-XXXXXX";
	int port, listener = listen_any(&port);
	struct cert ca = cert_new(NULL, "a test's authority", NULL, -1000, 86400);
	struct cert c = cert_new(&ca, "a studio", "DNS:studio.invalid", -1000, 86400);
	struct tls_peer peer;
	close(mkstemp(path));
	cert_write(&ca, path);
	tls_peer_start(&peer, &c, listener, port);
	w->proxy.target = port;
	setenv("SSL_CERT_FILE", path, 1);
	set_proxy("HTTPS_PROXY", "", w->proxy.port);
	/* The name is the proxy's to resolve, and still what the certificate is checked for. */
	seen_dial(&s, w->f, "wss://studio.invalid/connect");
	if (!s.opened)
		fail_msg("%s", s.text);
	await(w->f, &s.got);
	assert_string_equal(s.last, "secret");
	assert_int_equal(strncmp(w->proxy.head, "CONNECT studio.invalid:443 ", 27), 0);
	net_free(w->f->net); /* one connection after the other */
	w->f->net = net_new(&w->f->loop, &w->f->log, "studio-worker/test", &e);
	get(w, "https://studio.invalid/x", &g);
	assert_string_equal(g.body, "secret");
	got_fini(&g);
	net_free(w->f->net);
	w->f->net = net_new(&w->f->loop, &w->f->log, "studio-worker/test", &e);
	get(w, "https://other.invalid/x", &g);
	assert_int_equal(g.status, 0);
	assert_non_null(strstr(g.err.text, "other.invalid"));
	got_fini(&g);
	world_free(w);
	tls_peer_stop(&peer);
	cert_free(&c);
	cert_free(&ca);
	unlink(path);
}

static void a_proxy_that_is_not_there(void **state)
{
	(void)state;
	struct world *w = world_new("127.0.0.1:0");
	struct seen s;
	int port, fd = listen_any(&port);
	close(fd);
	set_proxy("HTTP_PROXY", "me:pass-word@", port);
	seen_dial(&s, w->f, "ws://studio.invalid/connect");
	assert_true(s.ended);
	assert_int_equal(s.end.kind, CONN_FAILED);
	assert_null(strstr(s.text, "pass-word"));
	world_free(w);
}

/* ---- http_simple ---- */

struct blocking {
	struct work work;
	struct http_request request;
	const char *unix_path;
	char *body;
	size_t len;
	struct err err;
	int rc;
	bool done;
};

static void run_blocking(struct work *work)
{
	struct blocking *b = container_of(work, struct blocking, work);
	b->rc = http_simple(&b->request, b->unix_path, &b->body, &b->len, &b->err);
}

static void after_blocking(struct work *work)
{
	container_of(work, struct blocking, work)->done = true;
}

static void run(struct world *w, struct blocking *b)
{
	b->work = (struct work){.run = run_blocking, .after = after_blocking};
	pool_submit(&w->f->loop.pool, &b->work);
	await(w->f, &b->done);
}

/* A proxy for everything is no reason to send the control API's requests through it. */
static void the_control_socket_knows_no_proxy(void **state)
{
	(void)state;
	char dir[] = "/tmp/net-test-XXXXXX";
	assert_non_null(mkdtemp(dir));
	auto_free char *path = xasprintf("%s/s", dir);
	auto_free char *listen_at = xasprintf("unix:%s", path);
	struct world *w = world_new(listen_at);
	set_proxy("ALL_PROXY", "", w->proxy.port);
	set_proxy("HTTP_PROXY", "", w->proxy.port);
	struct blocking b = {.unix_path = path,
			     .request = {.method = "GET",
					 .url = "http://localhost/x",
					 .timeout_ms = 5000,
					 .max_reply = 100}};
	run(w, &b);
	assert_int_equal(b.rc, 200);
	assert_string_equal(b.body, "direct");
	assert_int_equal(w->proxy.served, 0);
	free(b.body);
	world_free(w);
	assert_int_equal(rmdir(dir), 0);
}

static void nobody_at_the_control_socket(void **state)
{
	(void)state;
	struct world *w = world_new("127.0.0.1:0");
	struct blocking b = {
	    .unix_path = "/tmp/no-such-socket",
	    .request = {.method = "GET", .url = "http://localhost/x", .timeout_ms = 5000}};
	run(w, &b);
	assert_int_equal(b.rc, -ECONNREFUSED);
	assert_true(b.err.text[0]);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sockets_by_connect),
	    cmocka_unit_test(with_a_name_and_a_password),
	    cmocka_unit_test(http_by_either_name),
	    cmocka_unit_test(not_for_those_in_no_proxy),
	    cmocka_unit_test(tls_through_the_proxy),
	    cmocka_unit_test(a_proxy_that_is_not_there),
	    cmocka_unit_test(the_control_socket_knows_no_proxy),
	    cmocka_unit_test(nobody_at_the_control_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
