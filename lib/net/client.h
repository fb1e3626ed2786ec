/* client.h - inside lib/net: libcurl's multi interface on the loop, shared by exchanges and
 * WebSockets. SPDX-License-Identifier: MIT */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include <curl/curl.h>

#include "lib/net/net.h"

/* One multi handle on the loop. */
struct multi {
	CURLM *curl;
	struct loop *loop;
	struct timer timeout; /* curl's */
};
void multi_init(struct multi *m, struct loop *l);
void multi_fini(struct multi *m); /* not from inside a callback of curl's */

struct net {
	struct transport base;
	struct loop *loop;
	struct log *log;
	struct multi multi; /* of the exchanges; each WebSocket has its own, see ws_client.c */
	long max_age_s;	    /* a kept connection that was idle for longer is not used again */
	unsigned reply_ms;  /* an answer's time after the request went out; 0: 60 s */
	char *user_agent;
	struct list transfers, sockets, fetches;
};

/* One easy handle inside the multi; embedded in an exchange or a WebSocket. */
struct transfer {
	struct list_node node;
	struct net *net;
	struct multi *multi;
	CURL *easy;
	char error[CURL_ERROR_SIZE];
	void (*done)(struct transfer *t, CURLcode code);
	struct timer later; /* what can't be done inside a callback of curl's */
};
/* Makes the easy handle with what every transfer shares: proxies, verification, no redirects, no
 * signals. */
void transfer_init(struct transfer *t, struct net *n, struct multi *m, const char *url);
void transfer_start(struct transfer *t);
/* Takes it out of the multi. false from inside a callback of curl's (a fetch's data): not yet. */
bool transfer_stop(struct transfer *t);
void transfer_fini(struct transfer *t);
/* What went wrong, for people: curl's own words when it has some. */
const char *transfer_error(const struct transfer *t, CURLcode code);
/* The same options for a handle outside the multi. */
void easy_defaults(CURL *easy, const char *url, const char *user_agent, char *error);

/* No control characters: such a token, from a peer's answer, would forge header lines. */
bool bearer_valid(const struct secret *bearer);

struct conn *ws_client_connect(struct transport *t, const struct connect_request *r,
			       const struct conn_events *ev, void *arg);
void ws_client_free_all(struct net *n);

struct exchange *exchange_start(struct transport *t, const struct http_request *r, http_done *done,
				void *arg);
void exchange_cancel(struct exchange *x);
void exchange_free_all(struct net *n);

void fetch_free_all(struct net *n); /* no events */

#endif
