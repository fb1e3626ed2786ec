/* api.c - the studio's HTTP side: builds the server from the route table, keeps the door of the
 * operator's routes, and hands workers' sockets to the hub. SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/net/server.h"
#include "studio/api/api.h"
#include "studio/api/call.h"
#include "studio/api/routes.h"

/* A route without a row is nobody's. */
static bool is_open(const struct route *route)
{
	for (size_t i = 0; i < route_count; i++)
		if (route_table[i].handle == route->handle &&
		    strcmp(route_table[i].pattern, route->pattern) == 0)
			return route_table[i].access == ACCESS_OPEN;
	return false;
}

static bool let_in(struct request *r, const struct route *route, void *arg)
{
	struct api *a = arg;

	if (is_open(route) || secret_equal(a->deps.admin_token, request_bearer(r)))
		return true;
	respond_error(
	    r, 401, "unauthorized",
	    "this needs the admin token: Authorization: Bearer <the text of DATA/admin-token>");
	return false;
}

static int check_upgrade(const struct upgrade *u, void *arg)
{
	(void)arg;
	return secret_is_set(u->bearer) ? 0 : 401;
}

static void socket_open(struct conn *conn, const struct upgrade *u, void *arg)
{
	struct api *a = arg;

	hub_connect(a->deps.hub, conn, u->param, u->bearer);
}

static struct route *routes_build(void)
{
	struct route *routes = xcalloc(route_count, sizeof *routes);

	for (size_t i = 0; i < route_count; i++)
		routes[i] = (struct route){
		    .method = route_table[i].method,
		    .pattern = route_table[i].pattern,
		    .max_body = route_table[i].max_body,
		    .handle = route_table[i].handle,
		    .multipart = route_table[i].multipart,
		};
	return routes;
}

struct api *api_new(const struct api_deps *d, struct err *e)
{
	struct api *a = xcalloc(1, sizeof *a);

	a->deps = *d;
	list_init(&a->calls);
	list_init(&a->uploads);
	a->routes = routes_build();
	struct server_spec spec = {
	    .listen = d->listen,
	    .routes = a->routes,
	    .n_routes = route_count,
	    .ws_pattern = API_PREFIX "/workers/{workerId}/connect",
	    .ws_subprotocol = "studio-worker-v1",
	    .ws_first_max = HUB_HELLO_MAX,
	    .ws_check = check_upgrade,
	    .ws_open = socket_open,
	    .gate = let_in,
	    .arg = a,
	    .max_connections = d->max_connections,
	};
	a->server = server_new(d->loop, d->log, &spec, e);
	if (!a->server) {
		api_free(a);
		return NULL;
	}
	return a;
}

void api_stop(struct api *a)
{
	if (a)
		uploads_end(a);
}

void api_free(struct api *a)
{
	if (!a)
		return;
	if (a->server)
		server_free(a->server);
	while (!list_empty(&a->calls))
		call_free(list_entry(list_first(&a->calls), struct call, node));
	free(a->routes);
	free(a);
}

int api_port(const struct api *a)
{
	return server_port(a->server);
}
