/* ws_frame.h - RFC 6455 framing: bytes to messages and back. Pure: no socket, no clock.
 * SPDX-License-Identifier: MIT */
#ifndef NET_WS_FRAME_H
#define NET_WS_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/buf.h"

enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10
};

/* Appends one whole frame to out, masked with the four bytes of mask (a client's) or plain when
 * mask is NULL (a server's). False when out is full. */
bool ws_frame_write(struct buf *out, enum ws_opcode op, const void *data, size_t len,
		    const unsigned char mask[4]) MUST_CHECK;
/* A close frame's payload; reason is cut to 123 bytes. Returns its length. */
size_t ws_close_payload(char out[125], int code, const char *reason);

/* What a peer sends, decoded as it comes in. Memory grows with what arrived, never with what a
 * header announces. */
struct ws_reader_events {
	void (*text)(void *arg, const char *text, size_t len);
	void (*ping)(void *arg, const void *data, size_t len);
	void (*close)(void *arg, int code, const char *reason); /* 1005: no code given */
};
struct ws_reader {
	const struct ws_reader_events *events;
	void *arg;
	size_t max_message, max_later; /* of the message to come, of those after it */
	struct buf message;	       /* fragments so far */
	bool in_message, closed;
	bool masked; /* the peer is a client: every frame is masked */
	unsigned char head[14], control[125], mask[4];
	uint64_t mask_at;
	size_t head_len, head_need, control_len;
	bool fin;
	enum ws_opcode op;
	uint64_t left; /* payload bytes of the current frame still to come */
	bool in_payload;
};
void ws_reader_init(struct ws_reader *r, size_t max_message, bool masked,
		    const struct ws_reader_events *ev, void *arg);
/* Before anything was fed: a smaller limit for the first message, of a peer not known yet. */
void ws_reader_limit_first(struct ws_reader *r, size_t max);
void ws_reader_fini(struct ws_reader *r);
/* -EPROTO with the rule that was broken. After a close frame the rest is ignored. A callback may
 * set r->closed to stop. */
int ws_reader_feed(struct ws_reader *r, const char *data, size_t len, struct err *e) MUST_CHECK;

#endif
