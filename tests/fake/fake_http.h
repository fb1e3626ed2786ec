/* fake_http.h - the HTTP half of the fake network. Private to tests/fake.
 * SPDX-License-Identifier: MIT */
#ifndef FAKE_HTTP_H
#define FAKE_HTTP_H

#include "tests/fake/fake_net.h"

uint64_t fake_net_hop(struct fake_net *n); /* ms of one way */
struct exchange *fake_http_request(struct transport *t, const struct http_request *r,
				   http_done *done, void *arg);
void fake_http_cancel(struct exchange *x);
void fake_http_cut(struct fake_client *c);
void fake_http_crash_client(struct fake_client *c);
void fake_http_crash_server(struct fake_client *c);
void fake_http_free_all(struct fake_client *c);

#endif
