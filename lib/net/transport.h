/* transport.h - SEAM: how a worker reaches a studio, and how a studio's end of a socket looks.
 * Implementations: net (libcurl on libuv), and the fakes of the tests and the
 * simulator. Everything happens on the loop thread, nothing blocks, and no callback runs from
 * inside a call made here. SPDX-License-Identifier: MIT */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/secret.h"

struct transport;

/* ---- one WebSocket, either side ---- */
enum conn_end_kind {
	CONN_FAILED,   /* never opened: name, TCP, TLS, proxy or upgrade; http_status set when an
			  answer came */
	CONN_CLOSED,   /* the peer closed it with close_code */
	CONN_LOST,     /* cut, or broken on the way */
	CONN_PROTOCOL, /* the peer sent what it may not: binary, over 4 MiB, bad UTF-8 */
};
struct conn_end {
	enum conn_end_kind kind;
	int http_status;  /* 0: none */
	int close_code;	  /* 1005 when the peer gave none */
	const char *text; /* cause or close reason, for people; valid during the call */
};
struct conn_events {
	void (*open)(void *arg); /* client side only: the upgrade succeeded */
	void (*text)(void *arg, const char *text,
		     size_t len);   /* one whole message; valid during the call */
	void (*drained)(void *arg); /* everything sent so far went to the kernel */
	void (*end)(void *arg,
		    const struct conn_end *end); /* last event; the conn is gone after it */
};
/* Implementations embed it first. The hub and the session see only this. */
struct conn {
	const struct transport_ops *ops;
	const struct conn_events *events;
	void *arg;
};

struct connect_request {
	const char *url;	     /* ws:// or wss:// */
	const struct secret *bearer; /* Authorization */
	const char *subprotocol;     /* Sec-WebSocket-Protocol */
	uint64_t timeout_ms;	     /* TCP, TLS and upgrade together */
};

/* ---- one HTTP exchange, client side ---- */
struct exchange;
struct http_request {
	const char *method, *url;
	const struct secret *bearer; /* NULL: none */
	const char *json;	     /* body; NULL: none */
	/* multipart instead of json when file_path is set: fields prompt, ext, image (the file,
	 * streamed from disk) */
	const char *prompt, *ext, *file_path, *file_name, *content_type;
	uint64_t timeout_ms; /* whole exchange; 0: only a stall of 30 s ends it */
	size_t max_reply;    /* bytes; more is an error */
};
struct http_reply {
	int status;	  /* 0: no answer; err says why */
	const char *body; /* '\0'-terminated; valid during the call */
	size_t len;
	struct err err;
};
typedef void http_done(void *arg, const struct http_reply *reply);

struct transport_ops {
	const char *name;
	/* Always returns a conn, of which `end` is the last event unless close() comes first.
	 * Arguments are copied. */
	struct conn *(*connect)(struct transport *t, const struct connect_request *r,
				const struct conn_events *ev, void *arg);
	/* Queues a copy of one text message. -ENOTCONN when the socket is gone, -ENOBUFS when the
	 * peer does not read (16 MiB queued). */
	int (*send)(struct conn *c, const char *text, size_t len, struct err *e);
	/* Says good-bye with code and reason as far as that works within 1 s, in the background.
	 * The caller hears nothing more of the conn and must not use it again. */
	void (*close)(struct conn *c, int code, const char *reason);
	/* Always calls done once, later, unless cancelled. Arguments are copied, redirects are not
	 * followed. */
	struct exchange *(*request)(struct transport *t, const struct http_request *r,
				    http_done *done, void *arg);
	void (*cancel)(struct exchange *x); /* done is not called any more */
};

struct transport { /* implementations embed it first */
	const struct transport_ops *ops;
};

static inline struct conn *transport_connect(struct transport *t, const struct connect_request *r,
					     const struct conn_events *ev, void *arg)
{
	return t->ops->connect(t, r, ev, arg);
}
static inline MUST_CHECK int conn_send(struct conn *c, const char *text, size_t len, struct err *e)
{
	return c->ops->send(c, text, len, e);
}
static inline void conn_close(struct conn *c, int code, const char *reason)
{
	c->ops->close(c, code, reason);
}
static inline struct exchange *transport_request(struct transport *t, const struct http_request *r,
						 http_done *done, void *arg)
{
	return t->ops->request(t, r, done, arg);
}
static inline void transport_cancel(struct transport *t, struct exchange *x)
{
	t->ops->cancel(x);
}

#endif
