/* net_fixture.h - a client and a server on one loop, and plain sockets to misbehave with.
 * Nothing sleeps: every wait runs the loop until what is awaited came, or fails at a deadline.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_NET_FIXTURE_H
#define TESTS_NET_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/net/net.h"
#include "lib/net/server.h"

#define DEADLINE_MS  20000
#define MAYBE_UNUSED __attribute__((unused))

struct fixture {
	struct loop loop;
	struct log log;
	struct transport *net;
	struct server *server;
	struct timer limit;
	struct secret token;
};

static void too_late(void *arg)
{
	(void)arg;
	fail_msg("what was awaited did not come in time");
}

/* Runs the loop until *done. */
static MAYBE_UNUSED void await(struct fixture *f, const bool *done)
{
	timer_start(&f->limit, &f->loop.clock, DEADLINE_MS, too_late, f);
	while (!*done)
		uv_run(&f->loop.uv, UV_RUN_ONCE);
	timer_stop(&f->limit);
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

/* Lets the loop live for a while: for what must NOT happen. */
static MAYBE_UNUSED void live(struct fixture *f, uint64_t ms)
{
	bool over = false;
	struct timer t = {0};
	timer_start(&t, &f->loop.clock, ms, set_flag, &over);
	await(f, &over);
}

static MAYBE_UNUSED void no_environment(void)
{
	static const char *const names[] = {
	    "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",	"all_proxy",
	    "ALL_PROXY",  "no_proxy",	"NO_PROXY",    "SSL_CERT_FILE", "SSL_CERT_DIR"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		unsetenv(names[i]);
}

static MAYBE_UNUSED struct fixture *fixture_new(void)
{
	struct err e = ERR_INIT;
	struct fixture *f = xcalloc(1, sizeof *f);
	no_environment();
	assert_int_equal(loop_init(&f->loop, &e), 0);
	log_init(&f->log, &f->loop.clock);
	f->net = net_new(&f->loop, &f->log, "studio-worker/test", &e);
	if (!f->net)
		fail_msg("%s", e.text);
	secret_set(&f->token, "a-token-nobody-may-see");
	return f;
}

static MAYBE_UNUSED void fixture_serve(struct fixture *f, const struct server_spec *spec)
{
	struct err e = ERR_INIT;
	f->server = server_new(&f->loop, &f->log, spec, &e);
	if (!f->server)
		fail_msg("%s", e.text);
}

static MAYBE_UNUSED void fixture_free(struct fixture *f)
{
	timer_stop(&f->limit);
	server_free(f->server);
	net_free(f->net);
	loop_fini(&f->loop);
	secret_clear(&f->token);
	free(f);
}

static MAYBE_UNUSED char *url_of(struct fixture *f, const char *scheme, const char *path)
{
	return xasprintf("%s://127.0.0.1:%d%s", scheme, server_port(f->server), path);
}

/* ---- one exchange of the HTTP client ---- */

struct got {
	bool done;
	int status, calls;
	char *body;
	size_t len;
	struct err err;
};

static void on_got(void *arg, const struct http_reply *reply)
{
	struct got *g = arg;
	g->done = true;
	g->calls++;
	g->status = reply->status;
	g->body = xmalloc(reply->len + 1);
	memcpy(g->body, reply->body, reply->len + 1);
	g->len = reply->len;
	g->err = reply->err;
}

static MAYBE_UNUSED void got_fini(struct got *g)
{
	free(g->body);
	*g = (struct got){0};
}

static MAYBE_UNUSED void fetch(struct fixture *f, const struct http_request *r, struct got *g)
{
	*g = (struct got){0};
	transport_request(f->net, r, on_got, g);
	assert_false(g->done); /* nothing calls back from inside the call */
	await(f, &g->done);
	assert_int_equal(g->calls, 1);
}

static MAYBE_UNUSED void fetch_path(struct fixture *f, const char *method, const char *path,
				    const char *json, struct got *g)
{
	auto_free char *url = url_of(f, "http", path);
	struct http_request r = {.method = method,
				 .url = url,
				 .json = json,
				 .bearer = &f->token,
				 .timeout_ms = 15000,
				 .max_reply = 1u << 20};
	fetch(f, &r, g);
}

/* ---- a plain TCP client that says what it likes ---- */

struct raw {
	struct fixture *f;
	uv_poll_t *poll;
	int fd;
	struct buf in;
	const char *until;
	bool seen, eof;
};

static void free_handle(uv_handle_t *h)
{
	free(h);
}

static void raw_ready(uv_poll_t *poll, int status, int events)
{
	struct raw *r = poll->data;
	char data[65536];
	ssize_t n;
	(void)status; /* libuv stops at an error, so all there is is read now */
	(void)events;
	while ((n = recv(r->fd, data, sizeof data, MSG_DONTWAIT)) > 0) {
		assert_true(buf_add(&r->in, data, (size_t)n));
		if (r->until && memmem(r->in.data, r->in.len, r->until, strlen(r->until)))
			r->seen = true;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	r->eof = r->seen = true;
	uv_poll_stop(r->poll);
}

static MAYBE_UNUSED void raw_watch(struct raw *r)
{
	buf_init(&r->in, 64u << 20);
	r->poll = xcalloc(1, sizeof *r->poll);
	r->poll->data = r;
	assert_int_equal(uv_poll_init(&r->f->loop.uv, r->poll, r->fd), 0);
	uv_poll_start(r->poll, UV_READABLE, raw_ready);
}

static MAYBE_UNUSED void raw_connect(struct raw *r, struct fixture *f)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)server_port(f->server)),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	*r = (struct raw){.f = f, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_int_equal(connect(r->fd, (struct sockaddr *)&a, sizeof a), 0);
	raw_watch(r);
}

/* All of it, also when it is more than the kernel takes at once. */
static MAYBE_UNUSED void raw_send_n(struct raw *r, const void *data, size_t len)
{
	const char *p = data;
	timer_start(&r->f->limit, &r->f->loop.clock, DEADLINE_MS, too_late, r->f);
	while (len && !r->eof) {
		ssize_t n = send(r->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno != EAGAIN) {
			break; /* the other end has gone; the test sees it by what it reads */
		}
		uv_run(&r->f->loop.uv, UV_RUN_NOWAIT);
	}
	timer_stop(&r->f->limit);
}

static MAYBE_UNUSED void raw_send(struct raw *r, const char *text)
{
	raw_send_n(r, text, strlen(text));
}

/* Until `text` came in (or the end, when text is NULL). */
static MAYBE_UNUSED void raw_await(struct raw *r, const char *text)
{
	r->until = text;
	r->seen = r->eof ||
		  (text && r->in.len && memmem(r->in.data, r->in.len, text, strlen(text)) != NULL);
	await(r->f, &r->seen);
	if (text && !memmem(r->in.data ? r->in.data : "", r->in.len, text, strlen(text)))
		fail_msg("'%s' did not come but '%s'", text, r->in.data ? r->in.data : "");
}

static MAYBE_UNUSED int raw_status(const struct raw *r)
{
	int status = 0;
	if (r->in.data)
		sscanf(r->in.data, "HTTP/1.1 %3d", &status);
	return status;
}

static MAYBE_UNUSED void raw_close(struct raw *r)
{
	uv_poll_stop(r->poll);
	uv_close((uv_handle_t *)r->poll, free_handle);
	close(r->fd);
	buf_fini(&r->in);
}

/* ---- a listening socket that the test answers by hand ---- */

static MAYBE_UNUSED int listen_any(int *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

static void mark_ready(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	*(bool *)poll->data = true;
	uv_poll_stop(poll);
}

static MAYBE_UNUSED void raw_accept(struct raw *r, struct fixture *f, int listener)
{
	bool ready = false;
	uv_poll_t *poll = xcalloc(1, sizeof *poll);
	poll->data = &ready;
	assert_int_equal(uv_poll_init(&f->loop.uv, poll, listener), 0);
	uv_poll_start(poll, UV_READABLE, mark_ready);
	await(f, &ready);
	uv_close((uv_handle_t *)poll, free_handle);
	*r = (struct raw){.f = f, .fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
	assert_true(r->fd >= 0);
	raw_watch(r);
}

#endif
