/* fetch_policy.h - inside lib/net: where an address leads, and whether it may be gone to.
 * SPDX-License-Identifier: MIT */
#ifndef NET_FETCH_POLICY_H
#define NET_FETCH_POLICY_H

#include <sys/socket.h>

#include "lib/net/fetch.h"

#define FETCH_MAX_URL (16u << 10)

struct origin {
	bool https;
	char *host; /* lower case, without brackets and a last dot */
	unsigned port;
};
/* -EINVAL for what is no http or https URL, is longer than FETCH_MAX_URL, or has user info. */
int origin_parse(struct origin *o, const char *url, struct err *e) MUST_CHECK;
void origin_fini(struct origin *o);
bool origin_equal(const struct origin *a, const struct origin *b);

/* May the exchange go to o? p NULL: see fetch_request. *any_address: the name may lead to any
 * address; else each address must pass policy_address(). */
int policy_origin(const struct fetch_policy *p, const struct origin *o, bool *any_address,
		  struct err *e) MUST_CHECK;
/* Whether a socket may be opened to sa for o, which is allowed but not for any address. */
int policy_address(const struct origin *o, const struct sockaddr *sa, struct err *e) MUST_CHECK;

struct fetch_policy *policy_copy(const struct fetch_policy *p); /* NULL stays NULL */
void policy_free(struct fetch_policy *p);

/* The proxy that the environment names for o, "" when none: what libcurl would choose, but known
 * here, since the socket's address is then the proxy's. free() it. */
char *proxy_for(const struct origin *o);

#endif
