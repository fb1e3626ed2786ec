/* daemon_routes.h - the routes about the daemon itself; the same table serves every listener.
 * SPDX-License-Identifier: MIT */
#ifndef API_DAEMON_ROUTES_H
#define API_DAEMON_ROUTES_H

#include "lib/net/server.h"

/* Their arg is the struct control. */
extern const struct route daemon_routes[];
extern const size_t daemon_route_count;

#endif
