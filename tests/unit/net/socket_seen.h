/* socket_seen.h - what one WebSocket of a test saw.
 * SPDX-License-Identifier: MIT */
#ifndef TESTS_SOCKET_SEEN_H
#define TESTS_SOCKET_SEEN_H

#include "tests/unit/net/net_fixture.h"

struct seen {
	struct conn *conn;
	bool opened, got, ended;
	char last[64], text[512];
	struct conn_end end;
};

static inline void seen_open(void *arg)
{
	((struct seen *)arg)->opened = true;
}

static inline void seen_text(void *arg, const char *text, size_t len)
{
	struct seen *s = arg;
	s->got = true;
	snprintf(s->last, sizeof s->last, "%.*s", (int)len, text);
}

static inline void seen_end(void *arg, const struct conn_end *end)
{
	struct seen *s = arg;
	s->ended = true;
	s->end = *end;
	snprintf(s->text, sizeof s->text, "%s", end->text);
	s->end.text = s->text;
	s->conn = NULL;
}

/* Dials and waits until it is open or has ended. */
static inline void seen_dial(struct seen *s, struct fixture *f, const char *url)
{
	static const struct conn_events events = {
	    .open = seen_open, .text = seen_text, .end = seen_end};
	struct connect_request r = {.url = url,
				    .bearer = &f->token,
				    .subprotocol = "studio-worker-v1",
				    .timeout_ms = 10000};
	*s = (struct seen){0};
	s->conn = transport_connect(f->net, &r, &events, s);
	timer_start(&f->limit, &f->loop.clock, DEADLINE_MS, too_late, f);
	while (!s->opened && !s->ended)
		uv_run(&f->loop.uv, UV_RUN_ONCE);
	timer_stop(&f->limit);
}

#endif
