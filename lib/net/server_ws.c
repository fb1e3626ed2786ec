/* server_ws.c - the server's end of WebSockets: the upgrade's checks (RFC 6455, section 4.2), then
 * ws_stream over the plain socket. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/mem.h"
#include "lib/net/daemon.h"
#include "lib/net/ws_stream.h"

struct ws_peer {
	struct ws_stream stream; /* first */
	struct list_node node;
	struct server *server;
	struct MHD_UpgradeResponseHandle *handle;
	int fd;
	char *path, *param;
	struct secret bearer;
	char peer[64];
};

static struct ws_peer *peer_of(struct ws_stream *s)
{
	return container_of(s, struct ws_peer, stream);
}

void ws_peer_free(struct ws_peer *p)
{
	list_remove(&p->server->sockets, &p->node);
	ws_stream_fini(&p->stream);
	if (p->handle) {
		MHD_upgrade_action(p->handle, MHD_UPGRADE_ACTION_CLOSE);
		server_turn_soon(p->server);
	}
	free(p->path);
	free(p->param);
	secret_clear(&p->bearer);
	free(p);
}

static ssize_t result(ssize_t n, struct err *e)
{
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return -EAGAIN;
	return err_sys(e, errno, "the connection broke");
}

static ssize_t read_socket(struct ws_stream *s, void *data, size_t len, struct err *e)
{
	return result(recv(peer_of(s)->fd, data, len, 0), e);
}

static ssize_t write_socket(struct ws_stream *s, const void *data, size_t len, struct err *e)
{
	return result(send(peer_of(s)->fd, data, len, MSG_NOSIGNAL), e);
}

static void gone(struct ws_stream *s)
{
	ws_peer_free(peer_of(s));
}

static const struct ws_io socket_io = {read_socket, write_socket, gone};

static const struct transport_ops server_ops = {
    .name = "server",
    .send = ws_stream_send,
    .close = ws_stream_close,
};

static void never_ready(uv_poll_t *poll, int status, int events)
{
	(void)poll;
	(void)status;
	(void)events;
}

/* MHD hands the socket over; `early` came behind the request. */
static void on_upgraded(void *arg, struct MHD_Connection *c, void *request, const char *early,
			size_t early_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
	(void)c;
	struct ws_peer *p = arg;
	((struct request *)request)->socket = NULL;
	struct server *s = p->server;
	struct err e = ERR_INIT;
	p->handle = handle;
	p->fd = fd;
	list_push_back(&s->sockets, &p->node);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	/* MHD gives it back with Nagle's algorithm on: an offer right behind an ack would wait 40
	 * ms for the peer's delayed acknowledgement. Fails on a Unix socket, which needs none of
	 * it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (ws_stream_watch(&p->stream, fd, never_ready, &e) < 0) {
		log_error(s->log, "http", NULL, "%s", e.text);
		ws_stream_drop(&p->stream);
		return;
	}
	struct upgrade u = {
	    .path = p->path, .param = p->param, .bearer = &p->bearer, .peer = p->peer};
	/* The owner sets events and arg before the stream opens, so that no early byte is lost; it
	 * may also close. */
	p->stream.state = WS_STATE_OPEN;
	s->spec.ws_open(&p->stream.conn, &u, s->spec.arg);
	if (p->stream.state != WS_STATE_GONE)
		ws_stream_open(&p->stream, early, early_len);
}

static bool has_token(const char *list, const char *token)
{
	size_t n = strlen(token);
	while (list && *list) {
		list += strspn(list, ", \t");
		size_t len = strcspn(list, ", \t");
		if (len == n && strncasecmp(list, token, n) == 0)
			return true;
		list += len;
	}
	return false;
}

static void accept_key(const char *key, char out[32])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	auto_free char *text = xasprintf("%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	EVP_Digest(text, strlen(text), digest, &n, EVP_sha1(), NULL);
	EVP_EncodeBlock((unsigned char *)out, digest, (int)n);
}

/* 0: a proper upgrade to our subprotocol; else the HTTP status that refuses it. */
static int check_upgrade(struct request *r)
{
	const char *key = request_header(r, "Sec-WebSocket-Key"),
		   *version = request_header(r, "Sec-WebSocket-Version");
	const char *expected = r->server->spec.ws_subprotocol;
	if (!has_token(request_header(r, "Connection"), "upgrade") || strcmp(r->method, "GET") != 0)
		return 400;
	if (!key || strlen(key) != 24 || request_header(r, "Content-Length") ||
	    request_header(r, "Transfer-Encoding"))
		return 400;
	if (!version || strcmp(version, "13") != 0)
		return 426;
	if (expected && !has_token(request_header(r, "Sec-WebSocket-Protocol"), expected))
		return 400;
	return 0;
}

static enum MHD_Result refuse(struct request *r, int status)
{
	r->in_callback = true;
	respond_error(r, status, "upgrade_refused", "this WebSocket upgrade is not accepted");
	r->in_callback = false;
	if (status == 426) {
		MHD_add_response_header(r->response, "Sec-WebSocket-Version", "13");
	}
	return MHD_queue_response(r->mhd, (unsigned)status, r->response);
}

static struct ws_peer *peer_new(struct request *r)
{
	struct ws_peer *p = xcalloc(1, sizeof *p);
	p->server = r->server;
	ws_stream_init(&p->stream, r->server->loop, false, &socket_io);
	p->stream.conn.ops = &server_ops;
	p->stream.plain = true;
	if (r->server->spec.ws_first_max)
		ws_reader_limit_first(&p->stream.reader, r->server->spec.ws_first_max);
	p->path = xstrdup(r->path);
	p->param = r->params.n ? xstrdup(r->params.values[0]) : NULL;
	secret_copy(&p->bearer, request_bearer(r));
	memcpy(p->peer, r->peer, sizeof p->peer);
	return p;
}

static enum MHD_Result accept_upgrade(struct request *r)
{
	char accept[32];
	accept_key(request_header(r, "Sec-WebSocket-Key"), accept);
	r->socket = peer_new(r);
	struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgraded, r->socket);
	MHD_add_response_header(response, "Upgrade", "websocket");
	MHD_add_response_header(response, "Sec-WebSocket-Accept", accept);
	if (r->server->spec.ws_subprotocol)
		MHD_add_response_header(response, "Sec-WebSocket-Protocol",
					r->server->spec.ws_subprotocol);
	r->answered = r->upgraded = true;
	r->response = response;
	return MHD_queue_response(r->mhd, MHD_HTTP_SWITCHING_PROTOCOLS, response);
}

bool ws_peer_upgrade(struct request *r, enum MHD_Result *out)
{
	const struct server_spec *spec = &r->server->spec;
	const char *upgrade = request_header(r, "Upgrade");
	if (!upgrade || r->route)
		return false;
	/* h2c and whatever else are refused by ignoring the header, as RFC 9110 allows; the request
	 * itself is served. */
	if (!has_token(upgrade, "websocket"))
		return false;
	int status = 404;
	if (spec->ws_pattern && router_match(spec->ws_pattern, r->path, &r->params))
		status = check_upgrade(r);
	if (!status && spec->ws_check) {
		struct upgrade u = {.path = r->path,
				    .param = r->params.n ? r->params.values[0] : NULL,
				    .bearer = request_bearer(r),
				    .peer = r->peer};
		status = spec->ws_check(&u, spec->arg);
	}
	*out = status ? refuse(r, status) : accept_upgrade(r);
	return true;
}

void ws_peer_free_all(struct server *s)
{
	list_each_safe (it, &s->sockets) {
		struct ws_peer *p = list_entry(it, struct ws_peer, node);
		ws_stream_farewell(&p->stream, 1001, "the studio goes away");
		ws_peer_free(p);
	}
}
