/* control.c - see control.h.
 * SPDX-License-Identifier: MIT */
#include "worker/api/control.h"

#include <errno.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/net/net.h"
#include "worker/api/daemon_routes.h"
#include "worker/api/internal.h"

#define MAX_REPLY  (4u << 20)
#define TIMEOUT_MS 5000
#define MAX_PEERS  32

static int listen_on(struct control *c, struct err *e)
{
	unlink(c->place.path);
	auto_free char *listen = xasprintf("unix:%s", c->place.path);
	struct server_spec spec = {
	    .listen = listen,
	    .routes = daemon_routes,
	    .n_routes = daemon_route_count,
	    .arg = c,
	    .max_connections = MAX_PEERS,
	};
	c->server = server_new(c->d.loop, c->d.log, &spec, e);
	return c->server ? 0 : err_wrap(e, "control socket");
}

struct control *control_new(const struct control_deps *d, struct err *e)
{
	struct control *c = xcalloc(1, sizeof *c);
	c->d = *d;
	if (socket_place_init(&c->place, d->status.config->state_dir, e) == 0 &&
	    listen_on(c, e) == 0)
		return c;
	control_free(c);
	return NULL;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	if (c->server) {
		server_free(c->server);
		unlink(c->place.path);
	}
	socket_place_fini(&c->place);
	free(c);
}

static json_t *parse(int status, const char *body, size_t len, struct err *e)
{
	json_t *json = status == 200 ? json_loadb(body, len, 0, NULL) : NULL;
	if (!json)
		err_set(e, EPROTO, "the daemon answered %d", status);
	return json;
}

json_t *control_call(const char *state_dir, const char *method, const char *path, struct err *e)
{
	struct socket_place place;
	auto_free char *url = xasprintf("http://localhost%s", path);
	auto_free char *body = NULL;
	json_t *json = NULL;
	size_t len = 0;
	struct http_request r = {
	    .method = method,
	    .url = url,
	    .timeout_ms = TIMEOUT_MS,
	    .max_reply = MAX_REPLY,
	};
	if (socket_place_init(&place, state_dir, e) == 0) {
		if (access(place.path, F_OK) < 0) {
			err_set(e, ENOENT, "no daemon runs");
		} else {
			int status = http_simple(&r, place.path, &body, &len, e);
			if (status >= 0)
				json = parse(status, body, len, e);
		}
	}
	socket_place_fini(&place);
	return json;
}
