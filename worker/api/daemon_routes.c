/* daemon_routes.c - status, pause, resume, healthz.
 * SPDX-License-Identifier: MIT */
#include "worker/api/daemon_routes.h"

#include "lib/base/mem.h"
#include "worker/api/internal.h"

static void get_healthz(struct request *r, void *arg)
{
	(void)arg;
	respond_json(r, 200, json_pack("{s:b}", "ok", 1));
}

static void get_status(struct request *r, void *arg)
{
	struct control *c = arg;
	respond_json(r, 200, status_live(&c->d.status));
}

static void set_paused(struct request *r, struct control *c, bool paused)
{
	if (jobs_paused(c->d.jobs) != paused)
		jobs_pause(c->d.jobs, paused);
	respond_json(r, 200, json_pack("{s:b}", "paused", paused));
}

static void post_pause(struct request *r, void *arg)
{
	set_paused(r, arg, true);
}

static void post_resume(struct request *r, void *arg)
{
	set_paused(r, arg, false);
}

const struct route daemon_routes[] = {
    {"GET", "/healthz", 0, get_healthz, NULL},
    {"GET", "/daemon/status", 0, get_status, NULL},
    {"POST", "/daemon/pause", 4096, post_pause, NULL},
    {"POST", "/daemon/resume", 4096, post_resume, NULL},
};
const size_t daemon_route_count = ARRAY_LEN(daemon_routes);
