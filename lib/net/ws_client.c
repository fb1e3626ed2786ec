/* ws_client.c - the client end of a WebSocket (RFC 6455). libcurl makes the way to the peer (name,
 * TCP, proxy, TLS) with CONNECT_ONLY; handshake and framing are ours, over curl_easy_send and
 * curl_easy_recv.
 *
 *   reaching ──TCP, TLS──▶ upgrading ──101──▶ open ──close()──▶ leaving ──sent, or 1 s──▶ gone
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/rng.h"
#include "lib/net/client.h"
#include "lib/net/ws_frame.h"

#define MAX_MESSAGE (4u << 20)
#define MAX_QUEUED  (16u << 20)
#define MAX_HEAD    (16u << 10)
#define LEAVE_MS    1000

enum state { REACHING, UPGRADING, OPEN, LEAVING, GONE };

struct ws {
	struct conn conn; /* first */
	struct transfer t;
	struct list_node node;
	enum state state;
	uv_poll_t *poll; /* NULL while curl itself watches the socket */
	int watched;	 /* UV_ bits the poll is armed with */
	struct buf out, head;
	bool undrained;
	struct ws_reader reader;
	struct timer timer, flush, end;
	struct rng rng;
	char *host, *path, *protocol;
	struct secret bearer;
	char key[32], accept[32];
	struct conn_end ending;
	char ending_text[512];
};

static void ws_free(void *arg)
{
	struct ws *w = arg;
	list_remove(&w->t.net->sockets, &w->node);
	timer_stop(&w->timer);
	timer_stop(&w->flush);
	timer_stop(&w->end);
	if (w->poll) {
		uv_poll_stop(w->poll);
		uv_close((uv_handle_t *)w->poll, (uv_close_cb)(void (*)(void))free);
	}
	transfer_fini(&w->t);
	buf_fini(&w->out);
	buf_fini(&w->head);
	ws_reader_fini(&w->reader);
	free(w->host);
	free(w->path);
	free(w->protocol);
	secret_clear(&w->bearer);
	free(w);
}

static void tell_end(void *arg)
{
	struct ws *w = arg;
	w->ending.text = w->ending_text;
	if (w->conn.events->end)
		w->conn.events->end(w->conn.arg, &w->ending);
	ws_free(w);
}

/* The one way out while the owner still listens. Its event comes from a timer: the caller may be
 * deep inside curl or a parser. */
static void ends(struct ws *w, enum conn_end_kind kind, int http_status, int code, const char *text)
{
	if (w->state == GONE)
		return;
	if (w->state == LEAVING) { /* nobody listens any more */
		w->state = GONE;
		timer_start(&w->end, &w->t.net->loop->clock, 0, ws_free, w);
		return;
	}
	w->state = GONE;
	w->ending = (struct conn_end){kind, http_status, code, NULL};
	snprintf(w->ending_text, sizeof w->ending_text, "%s", text);
	timer_stop(&w->timer);
	if (w->poll)
		uv_poll_stop(w->poll);
	timer_start(&w->end, &w->t.net->loop->clock, 0, tell_end, w);
}

/* ---- writing ---- */

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct ws *w)
{
	int want = UV_READABLE | (w->out.len ? UV_WRITABLE : 0);
	if (!w->poll || w->state == GONE || want == w->watched)
		return;
	w->watched = want;
	uv_poll_start(w->poll, want, on_ready);
}

static void write_out(struct ws *w)
{
	size_t sent_total = 0;
	while (sent_total < w->out.len) {
		size_t sent = 0;
		CURLcode code = curl_easy_send(w->t.easy, w->out.data + sent_total,
					       w->out.len - sent_total, &sent);
		sent_total += sent;
		if (code == CURLE_AGAIN)
			break;
		if (code != CURLE_OK) {
			ends(w, w->state == UPGRADING ? CONN_FAILED : CONN_LOST, 0, 1006,
			     transfer_error(&w->t, code));
			return;
		}
	}
	buf_consume(&w->out, sent_total);
	if (w->out.len || !sent_total)
		return;
	if (w->state == LEAVING) {
		ends(w, CONN_LOST, 0, 0, "");
	} else if (w->undrained && w->state == OPEN) {
		w->undrained = false;
		if (w->conn.events->drained)
			w->conn.events->drained(w->conn.arg);
	}
}

static void flush_now(void *arg)
{
	struct ws *w = arg;
	if (w->state == GONE || !w->poll)
		return;
	write_out(w);
	watch(w);
}

/* Frames queued in one turn of the loop leave in one write, after the turn. */
static void flush_soon(struct ws *w)
{
	if (!timer_running(&w->flush))
		timer_start(&w->flush, &w->t.net->loop->clock, 0, flush_now, w);
}

static bool add_frame(struct ws *w, enum ws_opcode op, const void *data, size_t len)
{
	unsigned char mask[4];
	rng_bytes(&w->rng, mask, sizeof mask);
	bool ok = ws_frame_write(&w->out, op, data, len, mask);
	if (ok)
		flush_soon(w);
	return ok;
}

int ws_client_send(struct conn *c, const char *text, size_t len, struct err *e)
{
	struct ws *w = container_of(c, struct ws, conn);
	if (w->state != OPEN)
		return err_set(e, ENOTCONN, "the connection to the studio is gone");
	if (!add_frame(w, WS_TEXT, text, len))
		return err_set(e, ENOBUFS, "the studio does not read what is sent to it");
	w->undrained = true;
	return 0;
}

static void give_up_leaving(void *arg)
{
	ends(arg, CONN_LOST, 0, 0, "");
}

void ws_client_close(struct conn *c, int code, const char *reason)
{
	struct ws *w = container_of(c, struct ws, conn);
	static const struct conn_events nobody;
	w->conn.events = &nobody;
	timer_stop(&w->timer);
	if (w->state == OPEN) {
		char payload[125];
		w->state = LEAVING;
		add_frame(w, WS_CLOSE, payload, ws_close_payload(payload, code, reason));
		timer_start(&w->timer, &w->t.net->loop->clock, LEAVE_MS, give_up_leaving, w);
		return;
	}
	/* Not open yet, or its end event is on the way: silently gone. Freed later, the caller may
	 * be inside one of our events. */
	w->state = GONE;
	if (w->poll)
		uv_poll_stop(w->poll);
	timer_start(&w->end, &w->t.net->loop->clock, 0, ws_free, w);
}

/* ---- reading ---- */

static void on_text(void *arg, const char *text, size_t len)
{
	struct ws *w = arg;
	if (w->conn.events->text)
		w->conn.events->text(w->conn.arg, text, len);
	if (w->state != OPEN) /* the owner closed it meanwhile */
		w->reader.closed = true;
}

static void on_ping(void *arg, const void *data, size_t len)
{
	struct ws *w = arg;
	(void)!add_frame(w, WS_PONG, data,
			 len); /* a full queue: the peer does not read, its ping can wait */
}

static void on_close(void *arg, int code, const char *reason)
{
	struct ws *w = arg;
	char payload[125];
	/* Echo the close as far as the socket takes it at once, then go. */
	if (add_frame(w, WS_CLOSE, payload,
		      ws_close_payload(payload, code == 1005 ? 1000 : code, "")))
		write_out(w);
	ends(w, CONN_CLOSED, 0, code, reason);
}

static const struct ws_reader_events reader_events = {on_text, on_ping, on_close};

static void feed(struct ws *w, const char *data, size_t len)
{
	struct err e = ERR_INIT;
	if (ws_reader_feed(&w->reader, data, len, &e) < 0)
		ends(w, CONN_PROTOCOL, 0, 1002, e.text);
}

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

/* Checks the answer to the upgrade: status, Upgrade, Accept, and that the one protocol we asked for
 * was taken. */
static void check_answer(struct ws *w, size_t head_len)
{
	int status = 0;
	bool upgrade = false, accept = false, protocol = false, extension = false;
	w->head.data[head_len - 1] = '\0';
	if (sscanf(w->head.data, "HTTP/1.1 %3d", &status) != 1) {
		ends(w, CONN_FAILED, 0, 1006,
		     "the answer to the WebSocket upgrade is not HTTP/1.1");
		return;
	}
	for (char *line = strchr(w->head.data, '\n'); line; line = strchr(line + 1, '\n')) {
		upgrade |= header_is(line + 1, "Upgrade", "websocket");
		protocol |= header_is(line + 1, "Sec-WebSocket-Protocol", w->protocol);
		extension |= strncasecmp(line + 1, "Sec-WebSocket-Extensions:", 25) == 0;
		const char *key = line + 1;
		if (strncasecmp(key, "Sec-WebSocket-Accept:", 21) == 0) {
			key += 21 + strspn(key + 21, " \t");
			size_t n = strlen(w->accept);
			accept = strncmp(key, w->accept, n) == 0 && strcspn(key, " \t\r\n") == n;
		}
	}
	char text[128];
	if (status != 101) {
		snprintf(text, sizeof text,
			 "the studio answered the WebSocket upgrade with HTTP %d", status);
		ends(w, CONN_FAILED, status, 1006, text);
	} else if (!upgrade || !accept || extension) {
		ends(w, CONN_FAILED, status, 1006,
		     "the studio's answer to the WebSocket upgrade is not valid");
	} else if (!protocol) {
		snprintf(text, sizeof text, "the studio does not speak %s", w->protocol);
		ends(w, CONN_FAILED, status, 1006, text);
	} else {
		w->state = OPEN;
		timer_stop(&w->timer);
		if (w->conn.events->open)
			w->conn.events->open(w->conn.arg);
	}
}

static void upgrading(struct ws *w, const char *data, size_t len)
{
	size_t from = w->head.len > 3 ? w->head.len - 3 : 0;
	if (!buf_add(&w->head, data, len)) {
		ends(w, CONN_FAILED, 0, 1006, "the answer to the WebSocket upgrade is too long");
		return;
	}
	char *end = memmem(w->head.data + from, w->head.len - from, "\r\n\r\n", 4);
	if (!end)
		return;
	size_t head_len = (size_t)(end - w->head.data) + 4;
	struct buf rest;
	buf_init(&rest, MAX_HEAD);
	bool ok = buf_add(&rest, w->head.data + head_len, w->head.len - head_len);
	check_answer(w, head_len);
	if (w->state == OPEN && ok && rest.len)
		feed(w, rest.data, rest.len);
	buf_fini(&rest);
	buf_fini(&w->head);
}

static void read_in(struct ws *w)
{
	char data[16384];
	/* Bounded, so that a peer that floods leaves the loop its turn; TLS may hold bytes that
	 * poll does not show, hence AGAIN. */
	for (int i = 0; i < 64 && w->state != GONE; i++) {
		size_t n = 0;
		CURLcode code = curl_easy_recv(w->t.easy, data, sizeof data, &n);
		if (code == CURLE_AGAIN)
			return;
		if (code != CURLE_OK || n == 0) {
			const char *why = code != CURLE_OK ? transfer_error(&w->t, code)
							   : "the studio closed the connection";
			ends(w, w->state == UPGRADING ? CONN_FAILED : CONN_LOST, 0, 1006, why);
			return;
		}
		if (w->state == UPGRADING)
			upgrading(w, data, n);
		else if (w->state == OPEN)
			feed(w, data, n);
	}
	flush_soon(w); /* come back for the rest */
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct ws *w = poll->data;
	if (w->state == GONE)
		return;
	if (status < 0 || events & UV_READABLE)
		read_in(w);
	if (w->state != GONE && events & UV_WRITABLE)
		write_out(w);
	watch(w);
}

/* ---- connecting ---- */

static void make_key(struct ws *w)
{
	unsigned char raw[16], digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	rng_bytes(&w->rng, raw, sizeof raw);
	EVP_EncodeBlock((unsigned char *)w->key, raw, sizeof raw);
	auto_free char *text = xasprintf("%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", w->key);
	EVP_Digest(text, strlen(text), digest, &n, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)w->accept, digest, (int)n);
}

static void send_upgrade(struct ws *w)
{
	make_key(w);
	auto_free char *text = xasprintf(
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n"
	    "User-Agent: %s\r\nAuthorization: Bearer %s\r\n\r\n",
	    w->path, w->host, w->key, w->protocol, w->t.net->user_agent, secret_reveal(&w->bearer));
	if (!buf_add(&w->out, text, strlen(text)))
		ends(w, CONN_FAILED, 0, 1006, "the WebSocket upgrade is too long");
	explicit_bzero(text, strlen(text));
	secret_clear(&w->bearer);
}

/* curl has the way to the peer; from here on the socket is watched by us. */
static void on_reached(struct transfer *t, CURLcode code)
{
	struct ws *w = container_of(t, struct ws, t);
	if (w->state != REACHING)
		return;
	curl_socket_t fd = CURL_SOCKET_BAD;
	if (code == CURLE_OK)
		curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd == CURL_SOCKET_BAD) {
		ends(w, CONN_FAILED, 0, 1006, transfer_error(t, code));
		return;
	}
	w->state = UPGRADING;
	w->poll = xcalloc(1, sizeof *w->poll);
	if (uv_poll_init_socket(&t->net->loop->uv, w->poll, fd)) {
		free(w->poll);
		w->poll = NULL;
		ends(w, CONN_FAILED, 0, 1006, "the socket can't be watched");
		return;
	}
	w->poll->data = w;
	send_upgrade(w);
	flush_soon(w);
}

static void too_slow(void *arg)
{
	struct ws *w = arg;
	ends(w, CONN_FAILED, 0, 1006,
	     w->state == REACHING ? "connecting took too long"
				  : "the WebSocket upgrade took too long");
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

struct conn *ws_client_connect(struct transport *tr, const struct connect_request *r,
			       const struct conn_events *ev, void *arg)
{
	struct net *n = container_of(tr, struct net, base);
	struct ws *w = xcalloc(1, sizeof *w);
	w->conn = (struct conn){tr->ops, ev, arg};
	w->t.done = on_reached;
	w->protocol = xstrdup(r->subprotocol);
	secret_copy(&w->bearer, r->bearer);
	rng_init_system(&w->rng);
	buf_init(&w->out, MAX_QUEUED);
	buf_init(&w->head, MAX_HEAD);
	ws_reader_init(&w->reader, MAX_MESSAGE, &reader_events, w);
	auto_free char *url = split_url(w, r->url);
	transfer_init(&w->t, n, url);
	curl_easy_setopt(w->t.easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(w->t.easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(w->t.easy, CURLOPT_SSL_ENABLE_ALPN, 0L);
	curl_easy_setopt(w->t.easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(w->t.easy, CURLOPT_CONNECTTIMEOUT_MS, (long)r->timeout_ms);
	curl_easy_setopt(w->t.easy, CURLOPT_TCP_KEEPALIVE, 1L);
	list_push_back(&n->sockets, &w->node);
	timer_start(&w->timer, &n->loop->clock, r->timeout_ms, too_slow, w);
	transfer_start(&w->t);
	return &w->conn;
}

void ws_client_free_all(struct net *n)
{
	list_each_safe (it, &n->sockets)
		ws_free(list_entry(it, struct ws, node));
}
