/* net.h - the real transport: libcurl for HTTP and for the way to a WebSocket, on the program's
 * loop. TLS is always verified against the system store (SSL_CERT_FILE and SSL_CERT_DIR honoured);
 * HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY (either case) hold for sockets and HTTP alike.
 * SPDX-License-Identifier: MIT */
#ifndef NET_NET_H
#define NET_NET_H

#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "lib/net/transport.h"

/* NULL with e filled when the libraries can't be set up. user_agent is copied. */
struct transport *net_new(struct loop *l, struct log *log, const char *user_agent,
			  struct err *e) MUST_CHECK;
void net_free(struct transport *t);

/* A blocking exchange for command-line tools; unix_path (may be NULL) connects there instead of the
 * URL's host. *body is the caller's. Returns the HTTP status or a negative errno. */
int http_simple(const struct http_request *r, const char *unix_path, char **body, size_t *len,
		struct err *e) MUST_CHECK;

#endif
