/* sse.h - reads a stream of server-sent events (html.spec.whatwg.org, 9.2.6). Pure: bytes in,
 * events out, whatever pieces the bytes come in. SPDX-License-Identifier: MIT */
#ifndef LLAMA_CPP_SSE_H
#define LLAMA_CPP_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"

struct sse_events {
	/* One event: what its data lines say, joined by '\n'. False: no more is wanted. Fields
	 * other than data and error (with which llama-server before 2026 announces one) are
	 * skipped. `data` is '\0'-terminated and valid during the call. */
	bool (*event)(void *arg, const char *data, size_t len);
	void (*comment)(void *arg); /* a line that begins with ':', a ping; may be NULL */
};
struct sse {
	const struct sse_events *ev;
	void *arg;
	struct buf line, data;
	bool after_cr, has_data, stopped;
};

/* max: bytes of a line, and of an event's data. */
void sse_init(struct sse *s, size_t max, const struct sse_events *ev, void *arg);
void sse_fini(struct sse *s);
/* 0; -EMSGSIZE for a line or an event over the maximum; -ECANCELED once ->event said false. An
 * error stays: nothing more is read. */
int sse_feed(struct sse *s, const char *data, size_t len, struct err *e) MUST_CHECK;

#endif
