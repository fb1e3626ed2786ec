/* fetch_internal.h - inside lib/net: one fetch, across its hops.
 *
 *   new ──turn──▶ running ──3xx──▶ next hop: running
 *                   │  ▲
 *      FETCH_PAUSE  ▼  │ turn after fetch_resume()
 *                 paused          any of them ──▶ ended (->end) or doomed (no event) ──▶ freed
 *
 * libcurl allows no handle to be added, removed or resumed from inside its callbacks, and so all of
 * that happens in `turn`, a timer of 0 ms. SPDX-License-Identifier: MIT */
#ifndef NET_FETCH_INTERNAL_H
#define NET_FETCH_INTERNAL_H

#include "lib/net/client.h"
#include "lib/net/fetch.h"
#include "lib/net/fetch_head.h"
#include "lib/net/fetch_policy.h"

struct fetch_copy { /* of the request */
	char *method, *body, *content_type;
	struct secret bearer;
	struct fetch_policy *policy;
	struct curl_slist *headers;
	struct fetch_part *parts;
	size_t body_len, n_parts;
	uint64_t connect_ms, stall_ms, total_ms;
	bool unshared;
};
void fetch_copy_init(struct fetch_copy *c, const struct fetch_request *r);
void fetch_copy_fini(struct fetch_copy *c);

struct fetch {
	struct transfer t; /* its node is in net->fetches from start to free */
	struct fetch_copy req;
	struct fetch_events ev;
	void *arg;
	void (*release)(void *arg); /* of arg, when the fetch is freed; may be NULL */

	char *url; /* of this hop */
	struct origin first, here;
	bool any_address, via_proxy;
	unsigned redirects;
	struct curl_slist *headers; /* of this hop */
	curl_mime *mime;
	struct head head;

	struct timer turn, watch;
	uint64_t started_ms, moved_ms; /* moved: a byte went either way */
	curl_off_t moved;
	size_t turn_bytes; /* handed out since it last let others go first */
	bool running, paused, resume, headed, leaving, doomed;
	enum fetch_fault fault; /* what curl's error is, where we caused it */
	struct err err;
};

/* fetch_hop.c: sets up the handle for f->url; negative when the policy refuses it. */
int hop_open(struct fetch *f, struct err *e) MUST_CHECK;
void hop_close(struct fetch *f);
/* After a 3xx: f->url is where it leads; 0 when there is no next hop (the answer stands as it is).
 */
bool hop_leaves(const struct fetch *f);
int hop_next(struct fetch *f, struct err *e) MUST_CHECK;

#endif
