/* fetch.h - one HTTP exchange whose answer is streamed: model files, input pictures, requests to
 * engine servers. Everything happens on the loop thread, nothing blocks, and no callback runs from
 * inside a call made here. SPDX-License-Identifier: MIT */
#ifndef NET_FETCH_H
#define NET_FETCH_H

#include "lib/net/transport.h"

#define FETCH_MAX_REDIRECTS 5

/* Which hosts an address that a peer named may lead to. Checked for the first address, for every
 * redirect, and for the socket's address itself, so that a name that resolves to a private address
 * is refused too (but behind a proxy, which resolves names itself: there the name alone is judged).
 * Allowed without more: https to public addresses. Private, link-local, unique local, multicast and
 * unspecified addresses, and plain http, need one of the two below. */
struct fetch_policy {
	/* Host names or addresses, each with or without ":port", that the owner allows, with http
	 * too; NULL-terminated, may be NULL. */
	const char *const *allow_hosts;
	/* scheme://host[:port] of the studio: always allowed. When it is loopback, so is every port
	 * of loopback. May be NULL. */
	const char *studio_origin;
};
/* 0, or -EACCES with what was refused and how the owner can allow it (the key is allow_hosts);
 * -EINVAL for what is no http or https address, or has user info. Resolves no names. */
int fetch_policy_check(const struct fetch_policy *p, const char *url, struct err *e) MUST_CHECK;

struct fetch_part { /* of a multipart form: either value or a file, streamed from disk */
	const char *name, *value;
	const char *file_path, *file_name, *content_type;
};

struct fetch_request {
	/* NULL: GET, or POST when there is a body or a form. Redirects are followed for GET and
	 * HEAD without a body; to others the 3xx is the answer. */
	const char *method;
	const char *url;
	/* NULL: a server of our own, on 127.0.0.1 only, never through a proxy, no redirects. */
	const struct fetch_policy *policy;
	const struct secret *bearer; /* never sent to another origin than url's */
	const char *const *headers;  /* "Name: value", NULL-terminated; NULL: none */
	const char *body;
	size_t body_len;
	const char *content_type; /* of body; NULL: application/json */
	const struct fetch_part *parts;
	size_t n_parts;
	uint64_t connect_ms; /* 0: 15 s */
	uint64_t stall_ms;   /* without a byte in either direction; 0: never */
	uint64_t total_ms;   /* 0: no limit */
	bool unshared;	     /* a connection of its own, not kept: parallel ranges */
};

struct fetch_head { /* of the last answer, after redirects; texts valid during the call */
	int status;
	uint64_t length; /* of this body; UINT64_MAX: not said */
	bool framed;	 /* a cut would be noticed: its length was said, or it comes in chunks */
	bool accept_ranges;
	bool has_range; /* a Content-Range that reads well: */
	/* range_total UINT64_MAX: "*". Also set without has_range, by the one of a 416. */
	uint64_t range_first, range_last, range_total;
	const char *etag, *last_modified, *content_type; /* NULL: not given */
	uint64_t retry_after_ms;			 /* 0: not given */
	const char *url;
};

enum fetch_verdict {
	FETCH_GO,
	FETCH_PAUSE, /* take these bytes again after fetch_resume() */
	FETCH_STOP,  /* the exchange ends with FETCH_STOPPED */
};
enum fetch_fault {
	FETCH_OK,      /* an answer came whole, whatever its status */
	FETCH_REFUSED, /* the policy; err says what and the remedy */
	FETCH_NETWORK, /* name, TCP, TLS, cut */
	FETCH_STALLED, /* stall_ms or total_ms */
	FETCH_STOPPED, /* a callback said so */
};
struct fetch_end {
	enum fetch_fault fault;
	int status;	/* 0: no answer */
	struct err err; /* code 0 when fault is FETCH_OK */
};
struct fetch_events {					     /* head and data may be NULL */
	bool (*head)(void *arg, const struct fetch_head *h); /* false: FETCH_STOP */
	enum fetch_verdict (*data)(void *arg, const void *data, size_t len);
	void (*end)(void *arg, const struct fetch_end *end); /* last event, exactly once */
};

struct fetch;
/* t is one of net_new(). Everything is copied (parts' files are opened by their path). */
struct fetch *fetch_start(struct transport *t, const struct fetch_request *r,
			  const struct fetch_events *ev, void *arg);
void fetch_resume(struct fetch *f);
void fetch_cancel(struct fetch *f); /* no event follows; not for one that ended. NULL allowed */

/* The common case: the whole answer in memory, at most max bytes (more is an error). body is
 * '\0'-terminated and valid during the call. */
struct fetch_reply {
	int status; /* 0: err says why */
	const char *body;
	size_t len;
	struct err err;
};
typedef void fetch_done(void *arg, const struct fetch_reply *reply);
struct fetch *fetch_whole(struct transport *t, const struct fetch_request *r, size_t max,
			  fetch_done *done, void *arg);

#endif
