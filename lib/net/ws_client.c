/* ws_client.c - the way to an open WebSocket (RFC 6455, section 4.1). libcurl reaches the peer
 * (name, TCP, proxy, TLS) with CONNECT_ONLY; the upgrade is ours, over curl_easy_send and
 * curl_easy_recv; then ws_stream takes over.
 *
 *   reaching ──TCP, TLS──▶ upgrading ──101──▶ open
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/net/client.h"
#include "lib/net/ws_stream.h"

#define MAX_HEAD (16u << 10)

struct ws {
	struct ws_stream stream; /* first */
	struct transfer t;
	/* Of its own: curl counts the connection of a finished CONNECT_ONLY transfer as idle, and
	 * any other transfer of the same multi handle may close it, however busy it is. */
	struct multi multi;
	struct list_node node;
	struct buf head; /* our request on its way out, then the peer's answer */
	bool asked;
	char *host, *path, *protocol;
	struct secret bearer;
	char key[32], accept[32];
	bool tls;
	size_t chunk_len;
	char chunk[16384]; /* one record of TLS */
};

static struct ws *ws_of(struct ws_stream *s)
{
	return container_of(s, struct ws, stream);
}

static void ws_free(struct ws *w)
{
	list_remove(&w->t.net->sockets, &w->node);
	ws_stream_fini(&w->stream); /* stops watching the socket before curl closes it */
	transfer_fini(&w->t);
	multi_fini(&w->multi);
	buf_fini(&w->head);
	free(w->host);
	free(w->path);
	free(w->protocol);
	secret_clear(&w->bearer);
	free(w);
}

static void fails(struct ws *w, int http_status, const char *text)
{
	ws_stream_end(&w->stream, CONN_FAILED, http_status, 1006, text);
}

/* ---- bytes, through curl ---- */

static ssize_t curl_result(struct ws *w, CURLcode code, size_t n, struct err *e)
{
	if (code == CURLE_AGAIN)
		return n ? (ssize_t)n : -EAGAIN;
	if (code != CURLE_OK)
		return err_set(e, EIO, "%s", transfer_error(&w->t, code));
	return (ssize_t)n;
}

static ssize_t read_curl(struct ws_stream *s, void *data, size_t len, struct err *e)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(ws_of(s)->t.easy, data, len, &n);
	return curl_result(ws_of(s), code, n, e);
}

static ssize_t send_curl(struct ws *w, const void *data, size_t len, struct err *e)
{
	size_t n = 0;
	CURLcode code = curl_easy_send(w->t.easy, data, len, &n);
	return curl_result(w, code, n, e);
}

/* What TLS could not write must be repeated with the same bytes at the same place, while the queue
 * grows and moves: so it gets a copy of the queue's start that stays until it went. */
static ssize_t write_curl(struct ws_stream *s, const void *data, size_t len, struct err *e)
{
	struct ws *w = ws_of(s);
	if (!w->tls)
		return send_curl(w, data, len, e);
	if (!w->chunk_len) {
		w->chunk_len = len < sizeof w->chunk ? len : sizeof w->chunk;
		memcpy(w->chunk, data, w->chunk_len);
	}
	ssize_t n = send_curl(w, w->chunk, w->chunk_len, e);
	if (n > 0)
		w->chunk_len = 0;
	return n;
}

static void gone(struct ws_stream *s)
{
	ws_free(ws_of(s));
}

static const struct ws_io curl_io = {read_curl, write_curl, gone};

/* ---- the upgrade ---- */

static bool header_is(const char *line, const char *name, const char *value)
{
	size_t n = strlen(name);
	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return false;
	line += n + 1 + strspn(line + n + 1, " \t");
	n = strcspn(line, "\r\n");
	while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	return strlen(value) == n && strncasecmp(line, value, n) == 0;
}

static bool accept_is(const char *line, const char *accept)
{
	static const char name[] = "Sec-WebSocket-Accept:";
	if (strncasecmp(line, name, sizeof name - 1) != 0)
		return false;
	line += sizeof name - 1;
	line += strspn(line, " \t");
	size_t n = strlen(accept);
	return strncmp(line, accept, n) == 0 && strcspn(line, " \t\r\n") == n;
}

/* Whether the peer took the upgrade, and with the one subprotocol that we asked for. */
static bool check_answer(struct ws *w)
{
	int status = 0;
	bool upgrade = false, accept = false, protocol = false, extension = false;
	char text[128];
	if (sscanf(w->head.data, "HTTP/1.1 %3d", &status) != 1) {
		fails(w, 0, "the answer to the WebSocket upgrade is not HTTP/1.1");
		return false;
	}
	for (char *line = strchr(w->head.data, '\n'); line; line = strchr(line, '\n')) {
		line++;
		upgrade |= header_is(line, "Upgrade", "websocket");
		accept |= accept_is(line, w->accept);
		protocol |= header_is(line, "Sec-WebSocket-Protocol", w->protocol);
		extension |= strncasecmp(line, "Sec-WebSocket-Extensions:", 25) == 0;
	}
	if (status != 101)
		snprintf(text, sizeof text,
			 "the studio answered the WebSocket upgrade with HTTP %d", status);
	else if (!upgrade || !accept || extension)
		snprintf(text, sizeof text,
			 "the studio's answer to the WebSocket upgrade is not valid");
	else if (!protocol)
		snprintf(text, sizeof text, "the studio does not speak %s", w->protocol);
	else
		return true;
	fails(w, status, text);
	return false;
}

static void take_answer(struct ws *w)
{
	char *end = memmem(w->head.data, w->head.len, "\r\n\r\n", 4);
	if (!end) {
		if (w->head.len == w->head.max)
			fails(w, 0, "the answer to the WebSocket upgrade is too long");
		return;
	}
	end[2] = '\0';
	if (!check_answer(w))
		return;
	struct buf head = w->head; /* opening may free w in the end, not now */
	buf_init(&w->head, MAX_HEAD);
	timer_stop(&w->stream.timer);
	size_t used = (size_t)(end + 4 - head.data);
	ws_stream_open(&w->stream, head.data + used, head.len - used);
	buf_fini(&head);
}

/* Never reads beyond what head may hold: what follows the answer belongs to the stream. */
static void read_answer(struct ws *w)
{
	char data[4096];
	struct err e = ERR_INIT;
	size_t room = w->head.max - w->head.len;
	ssize_t n = read_curl(&w->stream, data, room < sizeof data ? room : sizeof data, &e);
	if (n == -EAGAIN)
		return;
	if (n > 0 && buf_add(&w->head, data, (size_t)n))
		take_answer(w);
	else
		fails(w, 0,
		      n == 0 ? "the studio closed the connection during the WebSocket upgrade"
			     : e.text);
}

static void write_request(struct ws *w)
{
	struct err e = ERR_INIT;
	ssize_t n = write_curl(&w->stream, w->head.data, w->head.len, &e);
	if (n == -EAGAIN)
		return;
	if (n <= 0) {
		fails(w, 0, e.text);
		return;
	}
	buf_consume(&w->head, (size_t)n);
	if (w->head.len)
		return;
	explicit_bzero(w->head.data, w->head.cap);
	explicit_bzero(w->chunk, sizeof w->chunk);
	w->asked = true;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct ws *w = ws_of(poll->data);
	(void)status; /* an error shows in the read or write */
	(void)events;
	if (!w->asked)
		write_request(w);
	else
		read_answer(w);
	if (w->stream.state == WS_STATE_NEW && w->asked)
		uv_poll_start(w->stream.poll, w->stream.watched = UV_READABLE, on_ready);
}

static void make_key(struct ws *w)
{
	unsigned char raw[16], digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	rng_bytes(&w->stream.rng, raw, sizeof raw);
	EVP_EncodeBlock((unsigned char *)w->key, raw, sizeof raw);
	auto_free char *text = xasprintf("%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", w->key);
	EVP_Digest(text, strlen(text), digest, &n, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)w->accept, digest, (int)n);
}

static bool make_request(struct ws *w)
{
	make_key(w);
	return buf_printf(
	    &w->head,
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
	    "Sec-WebSocket-Protocol: %s\r\nUser-Agent: %s\r\nAuthorization: Bearer %s\r\n\r\n",
	    w->path, w->host, w->key, w->protocol, w->t.net->user_agent, secret_reveal(&w->bearer));
}

/* ---- connecting ---- */

/* curl has the way to the peer; from here on the socket is watched by us. */
static void on_reached(struct transfer *t, CURLcode code)
{
	struct ws *w = container_of(t, struct ws, t);
	struct err e = ERR_INIT;
	curl_socket_t fd = CURL_SOCKET_BAD;
	if (w->stream.state != WS_STATE_NEW)
		return;
	if (code == CURLE_OK)
		curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd == CURL_SOCKET_BAD)
		fails(w, 0, transfer_error(t, code));
	else if (!bearer_valid(&w->bearer))
		fails(w, 0, "the auth token holds characters that no HTTP header may hold");
	else if (!make_request(w))
		fails(w, 0, "the WebSocket upgrade is too long");
	else if (ws_stream_watch(&w->stream, fd, on_ready, &e))
		fails(w, 0, e.text);
}

static void too_slow(void *arg)
{
	struct ws *w = arg;
	fails(w, 0,
	      w->asked ? "the studio did not answer the WebSocket upgrade in time"
		       : "connecting took too long");
}

/* http://host/path for curl, and the parts for the request. */
static char *split_url(struct ws *w, const char *url)
{
	char *http = xasprintf("http%s", strncmp(url, "ws", 2) == 0 ? url + 2 : url);
	const char *authority = strstr(http, "://");
	authority = authority ? authority + 3 : http;
	size_t n = strcspn(authority, "/?#");
	w->host = xstrndup(authority, n);
	w->path = authority[n] == '/' ? xstrdup(authority + n) : xstrdup("/");
	return http;
}

static void set_options(CURL *easy, uint64_t timeout_ms)
{
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L); /* CONNECT, also for plain http */
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
}

struct conn *ws_client_connect(struct transport *tr, const struct connect_request *r,
			       const struct conn_events *ev, void *arg)
{
	struct net *n = container_of(tr, struct net, base);
	struct ws *w = xcalloc(1, sizeof *w);
	ws_stream_init(&w->stream, n->loop, true, &curl_io);
	w->stream.conn = (struct conn){tr->ops, ev, arg};
	w->stream.plain = strncmp(r->url, "ws:", 3) == 0;
	w->t.done = on_reached;
	w->protocol = xstrdup(r->subprotocol);
	secret_copy(&w->bearer, r->bearer);
	buf_init(&w->head, MAX_HEAD);
	w->tls = strncmp(r->url, "wss:", 4) == 0;
	auto_free char *url = split_url(w, r->url);
	multi_init(&w->multi, n->loop);
	transfer_init(&w->t, n, &w->multi, url);
	set_options(w->t.easy, r->timeout_ms);
	list_push_back(&n->sockets, &w->node);
	timer_start(&w->stream.timer, &n->loop->clock, r->timeout_ms, too_slow, w);
	transfer_start(&w->t);
	return &w->stream.conn;
}

void ws_client_free_all(struct net *n)
{
	list_each_safe (it, &n->sockets) {
		struct ws *w = list_entry(it, struct ws, node);
		ws_stream_farewell(&w->stream, 1000, "session ended");
		ws_free(w);
	}
}
