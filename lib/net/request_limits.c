/* request_limits.c - how long a client may take over its body. MHD's own time-out starts again with
 * every byte, so a body that drips would hold its connection for ever.
 *
 *   refused       DRAIN_MS in all: only there so that the client gets to see the answer
 *   whole body    BODY_MS in all
 *   streamed      at least a byte a millisecond (1 KB/s) in each window of BODY_MS
 *
 * While the handler has paused the body, the time stands still. SPDX-License-Identifier: MIT */
#include "lib/net/daemon.h"

#define BODY_MS	 30000u
#define DRAIN_MS 5000u

static void cut(struct request *r, const char *why)
{
	log_debug(r->server->log, "http", NULL, "%s of %s %s: cut off", why, r->method, r->peer);
	server_cut(r->mhd);
}

static unsigned body_ms(const struct request *r)
{
	unsigned ms = r->server->spec.body_ms;
	return ms ? ms : BODY_MS;
}

static void too_slow(void *arg)
{
	struct request *r = arg;
	if (r->answered)
		cut(r, "the refused body");
	else if (!r->multipart)
		cut(r, "the slow body");
	else if (r->received - r->window_start < body_ms(r))
		cut(r, "the dripping body");
	else
		request_limit_start(r);
}

void request_limit_start(struct request *r)
{
	unsigned drain = r->server->spec.drain_ms ? r->server->spec.drain_ms : DRAIN_MS;
	uint64_t ms = r->answered ? drain : body_ms(r);
	r->window_start = r->received;
	r->limit_left = ms;
	if (!r->suspended)
		timer_start(&r->limit, &r->server->loop->clock, ms, too_slow, r);
}

void request_limit_stop(struct request *r)
{
	timer_stop(&r->limit);
	r->limit_left = 0;
}

void request_limit_pause(struct request *r)
{
	if (!timer_running(&r->limit))
		return;
	uint64_t now = clock_now(&r->server->loop->clock);
	r->limit_left = r->limit.due_ms > now ? r->limit.due_ms - now : 1;
	timer_stop(&r->limit);
}

void request_limit_resume(struct request *r)
{
	if (r->limit_left)
		timer_start(&r->limit, &r->server->loop->clock, r->limit_left, too_slow, r);
}
