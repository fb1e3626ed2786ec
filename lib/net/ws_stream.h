/* ws_stream.h - inside lib/net: an open WebSocket, either end, over a socket the loop watches.
 *
 *   open ──close()──▶ leaving ──peer's close, or 1 s──▶ gone
 *     └──── peer closed, cut, broke a rule ─────▶ gone
 *
 * SPDX-License-Identifier: MIT */
#ifndef NET_WS_STREAM_H
#define NET_WS_STREAM_H

#include <sys/types.h>

#include "lib/base/rng.h"
#include "lib/loop/loop.h"
#include "lib/net/transport.h"
#include "lib/net/ws_frame.h"

#define WS_MAX_MESSAGE (4u << 20)
#define WS_MAX_QUEUED  (16u << 20)

struct ws_stream;

/* How its owner moves bytes: curl on the client's side, the plain socket on the server's. Bytes
 * moved, 0 at the end of the stream, -EAGAIN, or another negative errno with e filled. */
struct ws_io {
	ssize_t (*read)(struct ws_stream *s, void *data, size_t len, struct err *e);
	ssize_t (*write)(struct ws_stream *s, const void *data, size_t len, struct err *e);
	/* The last call, from a timer: nobody refers to the stream any more; free its owner. */
	void (*gone)(struct ws_stream *s);
};

enum ws_state { WS_STATE_NEW, WS_STATE_OPEN, WS_STATE_LEAVING, WS_STATE_GONE };

struct ws_stream {
	struct conn conn; /* first */
	const struct ws_io *io;
	struct loop *loop;
	struct rng rng;
	bool client; /* masks what it sends */
	enum ws_state state;
	uv_poll_t *poll; /* NULL until ws_stream_watch() */
	int watched;
	struct buf out;
	bool undrained, blocked; /* blocked: the socket took no more */
	bool plain;		 /* no TLS in between: a short read emptied the socket */
	unsigned char masks[256];
	size_t mask_at;
	struct ws_reader reader;
	struct timer timer, flush, end;
	struct conn_end ending;
	char ending_text[512];
};

void ws_stream_init(struct ws_stream *s, struct loop *l, bool client, const struct ws_io *io);
/* Frees what the stream itself holds; from ->gone, or when the whole net goes. */
void ws_stream_fini(struct ws_stream *s);
/* Watches the socket; on_ready is the owner's until it calls ws_stream_open(). */
int ws_stream_watch(struct ws_stream *s, int fd, uv_poll_cb on_ready, struct err *e) MUST_CHECK;
/* From here on the stream reads and writes by itself; `early` bytes came along with the upgrade. */
void ws_stream_open(struct ws_stream *s, const char *early, size_t len);
/* Ends it in any state: tells the owner of the conn once, later, unless that one has let go. */
void ws_stream_end(struct ws_stream *s, enum conn_end_kind kind, int http_status, int code,
		   const char *text);
/* The program ends: what is queued, and a close frame, as far as the socket takes them at once. */
void ws_stream_farewell(struct ws_stream *s, int code, const char *reason);
/* Lets go without a word (before it was open). */
void ws_stream_drop(struct ws_stream *s);

int ws_stream_send(struct conn *c, const char *text, size_t len, struct err *e);
void ws_stream_close(struct conn *c, int code, const char *reason);

#endif
