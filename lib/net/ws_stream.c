/* ws_stream.c - see ws_stream.h.
 * SPDX-License-Identifier: MIT */
#include "lib/net/ws_stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/frame.h"

#define LEAVE_MS    1000
#define READ_ROUNDS 64

static const struct conn_events nobody;

static void free_poll(uv_handle_t *h)
{
	free(h);
}

static void unwatch(struct ws_stream *s)
{
	if (!s->poll)
		return;
	uv_poll_stop(s->poll);
	uv_close((uv_handle_t *)s->poll, free_poll);
	s->poll = NULL;
}

void ws_stream_fini(struct ws_stream *s)
{
	unwatch(s);
	timer_stop(&s->timer);
	timer_stop(&s->flush);
	timer_stop(&s->end);
	buf_fini(&s->out);
	ws_reader_fini(&s->reader);
}

static void vanish(void *arg)
{
	struct ws_stream *s = arg;
	s->io->gone(s);
}

static void tell_end(void *arg)
{
	struct ws_stream *s = arg;
	s->ending.text = s->ending_text;
	if (s->conn.events->end)
		s->conn.events->end(s->conn.arg, &s->ending);
	s->io->gone(s);
}

/* The event comes from a timer: the caller may be deep inside a library or a parser. */
void ws_stream_end(struct ws_stream *s, enum conn_end_kind kind, int http_status, int code,
		   const char *text)
{
	if (s->state == WS_STATE_GONE)
		return;
	s->state = WS_STATE_GONE;
	s->ending = (struct conn_end){kind, http_status, code, NULL};
	snprintf(s->ending_text, sizeof s->ending_text, "%s", text);
	timer_stop(&s->timer);
	unwatch(s);
	timer_start(&s->end, &s->loop->clock, 0, tell_end, s);
}

void ws_stream_drop(struct ws_stream *s)
{
	s->conn.events = &nobody;
	s->state = WS_STATE_GONE;
	timer_stop(&s->timer);
	unwatch(s);
	timer_start(&s->end, &s->loop->clock, 0, vanish, s);
}

/* ---- writing ---- */

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct ws_stream *s)
{
	int want = UV_READABLE | (s->blocked ? UV_WRITABLE : 0);
	if (!s->poll || s->state == WS_STATE_GONE || want == s->watched)
		return;
	s->watched = want;
	uv_poll_start(s->poll, want, on_ready);
}

static void after_write(struct ws_stream *s)
{
	if (s->undrained && s->state == WS_STATE_OPEN) {
		s->undrained = false;
		if (s->conn.events->drained)
			s->conn.events->drained(s->conn.arg);
	}
}

static void read_in(struct ws_stream *s);

/* The peer may have said why, with a close frame that waits to be read, before it went. */
static void write_failed(struct ws_stream *s, const char *text)
{
	read_in(s);
	ws_stream_end(s, CONN_LOST, 0, 1006, text);
}

static void write_out(struct ws_stream *s)
{
	struct err e = ERR_INIT;
	size_t total = 0;
	s->blocked = false;
	while (total < s->out.len && !s->blocked) {
		ssize_t n = s->io->write(s, s->out.data + total, s->out.len - total, &e);
		if (n == -EAGAIN) {
			s->blocked = true;
		} else if (n <= 0) {
			write_failed(s, e.text);
			return;
		} else {
			total += (size_t)n;
		}
	}
	buf_consume(&s->out, total);
	if (total && !s->out.len)
		after_write(s);
}

static void flush_now(void *arg)
{
	struct ws_stream *s = arg;
	if (!s->poll)
		return;
	write_out(s);
	watch(s);
}

/* What is queued in one turn of the loop leaves in one write, after it. */
static void flush_soon(struct ws_stream *s)
{
	if (!timer_running(&s->flush))
		timer_start(&s->flush, &s->loop->clock, 0, flush_now, s);
}

/* From the system, as RFC 6455, section 5.3 wants it, but not with a system call for each frame. */
static void next_mask(struct ws_stream *s, unsigned char mask[4])
{
	if (s->mask_at == 0)
		rng_bytes(&s->rng, s->masks, sizeof s->masks);
	memcpy(mask, s->masks + s->mask_at, 4);
	s->mask_at = (s->mask_at + 4) % sizeof s->masks;
}

static bool add_frame(struct ws_stream *s, enum ws_opcode op, const void *data, size_t len)
{
	unsigned char mask[4];
	if (s->client)
		next_mask(s, mask);
	if (!ws_frame_write(&s->out, op, data, len, s->client ? mask : NULL))
		return false;
	flush_soon(s);
	return true;
}

int ws_stream_send(struct conn *c, const char *text, size_t len, struct err *e)
{
	struct ws_stream *s = container_of(c, struct ws_stream, conn);
	if (s->state != WS_STATE_OPEN)
		return err_set(e, ENOTCONN, "the connection is gone");
	if (!add_frame(s, WS_TEXT, text, len))
		return err_set(e, ENOBUFS, "the peer does not read what is sent to it");
	s->undrained = true;
	return 0;
}

static void waited_enough(void *arg)
{
	ws_stream_drop(arg);
}

void ws_stream_close(struct conn *c, int code, const char *reason)
{
	struct ws_stream *s = container_of(c, struct ws_stream, conn);
	char payload[125];
	if (s->state != WS_STATE_OPEN) {
		ws_stream_drop(s);
		return;
	}
	s->conn.events = &nobody;
	s->state = WS_STATE_LEAVING;
	if (!add_frame(s, WS_CLOSE, payload, ws_close_payload(payload, code, reason))) {
		ws_stream_drop(s);
		return;
	}
	timer_start(&s->timer, &s->loop->clock, LEAVE_MS, waited_enough, s);
}

/* ---- reading ---- */

static void on_text(void *arg, const char *text, size_t len)
{
	struct ws_stream *s = arg;
	if (s->conn.events->text)
		s->conn.events->text(s->conn.arg, text, len);
}

static void on_ping(void *arg, const void *data, size_t len)
{
	/* A full queue means the peer does not read: its ping can wait. */
	(void)!add_frame(arg, WS_PONG, data, len);
}

/* A close frame as far as the socket takes it at once: whether it got through changes nothing, the
 * end that follows is what the owner hears. */
static void say_last(struct ws_stream *s, int code, const char *reason)
{
	struct err e = ERR_INIT;
	char payload[125];
	if (s->state == WS_STATE_OPEN &&
	    add_frame(s, WS_CLOSE, payload, ws_close_payload(payload, code, reason)))
		(void)!s->io->write(s, s->out.data, s->out.len, &e);
}

static void on_close(void *arg, int code, const char *reason)
{
	struct ws_stream *s = arg;
	if (s->state == WS_STATE_LEAVING) { /* the answer to ours */
		ws_stream_drop(s);
		return;
	}
	say_last(s, code == 1005 ? 1000 : code, "");
	ws_stream_end(s, CONN_CLOSED, 0, code, reason);
}

static const struct ws_reader_events reader_events = {on_text, on_ping, on_close};

/* A studio closes with the protocol's own code, a client with RFC 6455's, before the owner hears of
 * the end. */
static void broke_rule(struct ws_stream *s, const char *text)
{
	int code = s->client ? 1002 : CLOSE_PROTOCOL_VIOLATION;
	say_last(s, code, text);
	ws_stream_end(s, CONN_PROTOCOL, 0, code, text);
}

static void feed(struct ws_stream *s, const char *data, size_t len)
{
	struct err e = ERR_INIT;
	if (s->state == WS_STATE_OPEN || s->state == WS_STATE_LEAVING)
		if (ws_reader_feed(&s->reader, data, len, &e) < 0)
			broke_rule(s, e.text);
}

static void read_in(struct ws_stream *s)
{
	char data[16384];
	struct err e = ERR_INIT;
	/* Bounded, so that a peer that floods leaves the loop its turn. Read until EAGAIN: TLS may
	 * hold bytes that poll does not show. */
	for (int i = 0; i < READ_ROUNDS && s->state != WS_STATE_GONE; i++) {
		ssize_t n = s->io->read(s, data, sizeof data, &e);
		if (n == -EAGAIN)
			return;
		if (n == 0)
			err_set(&e, ECONNRESET, "the peer closed the connection");
		if (n <= 0) {
			ws_stream_end(s, CONN_LOST, 0, 1006, e.text);
			return;
		}
		feed(s, data, (size_t)n);
		if (s->plain && (size_t)n < sizeof data) /* there is no more, or poll tells */
			return;
	}
	flush_soon(s);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct ws_stream *s = poll->data;
	if (status < 0)
		s->watched = 0; /* libuv stops watching a broken socket; it may still hold bytes */
	if (status < 0 || events & (UV_READABLE | UV_DISCONNECT))
		read_in(s);
	/* What the events just read led to leaves at once. */
	if (s->state != WS_STATE_GONE && s->out.len && (!s->blocked || events & UV_WRITABLE))
		write_out(s);
	watch(s);
}

/* ---- its life ---- */

void ws_stream_init(struct ws_stream *s, struct loop *l, bool client, const struct ws_io *io)
{
	s->conn.events = &nobody;
	s->io = io;
	s->loop = l;
	s->client = client;
	s->state = WS_STATE_NEW;
	rng_init_system(&s->rng);
	buf_init(&s->out, WS_MAX_QUEUED);
	ws_reader_init(&s->reader, WS_MAX_MESSAGE, !client, &reader_events, s);
}

int ws_stream_watch(struct ws_stream *s, int fd, uv_poll_cb ready, struct err *e)
{
	s->poll = xcalloc(1, sizeof *s->poll);
	int rc = uv_poll_init(&s->loop->uv, s->poll, fd);
	if (rc) {
		free(s->poll);
		s->poll = NULL;
		return err_set(e, EIO, "the socket can't be watched: %s", uv_strerror(rc));
	}
	s->poll->data = s;
	s->watched = UV_READABLE | UV_WRITABLE;
	uv_poll_start(s->poll, s->watched, ready);
	return 0;
}

void ws_stream_open(struct ws_stream *s, const char *early, size_t len)
{
	uv_poll_start(s->poll, s->watched, on_ready);
	if (s->state == WS_STATE_NEW) {
		s->state = WS_STATE_OPEN;
		if (s->conn.events->open)
			s->conn.events->open(s->conn.arg);
	}
	if (len)
		feed(s, early, len);
}

void ws_stream_farewell(struct ws_stream *s, int code, const char *reason)
{
	struct err e = ERR_INIT;
	char payload[125];
	if (s->state == WS_STATE_OPEN)
		(void)!add_frame(s, WS_CLOSE, payload, ws_close_payload(payload, code, reason));
	if (s->poll && s->out.len)
		(void)!s->io->write(s, s->out.data, s->out.len, &e);
}
