/* heartbeat.c - every 5 s a fresh snapshot and the job that is really running.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "worker/session/internal.h"

#define BEAT_MS 5000

/* The owner gave another address, or the studio another identity: the open session is of yesterday.
 */
static bool outdated(const struct session *s)
{
	if (jobs_current(s->d.jobs))
		return false; /* a new session would cost the claim; after the job, then */
	const struct identity *id = s->d.identity;
	return !identity_approved(id) || strcmp(id->worker_id, s->worker_id) != 0 ||
	       !secret_equal(&id->auth_token, &s->token) ||
	       strcmp(s->d.config->options.api_base_url, s->url_option) != 0;
}

static void beat(void *arg)
{
	struct session *s = arg;
	struct err e = ERR_INIT;
	session_refresh_config(s);
	if (outdated(s)) {
		session_disconnect(s, "the studio's address or this worker's identity changed");
		return;
	}
	struct capabilities *c = s->d.capabilities(s->d.capabilities_arg);
	auto_free char *frame = frame_heartbeat(c, jobs_current(s->d.jobs));
	capabilities_free(c);
	timer_start(&s->beat, s->d.clock, BEAT_MS, beat, s);
	(void)!session_send(s, frame, &e); /* ends the session by itself */
}

void heartbeat_start(struct session *s)
{
	beat(s);
}

void heartbeat_stop(struct session *s)
{
	timer_stop(&s->beat);
}
