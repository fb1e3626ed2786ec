/* frames.c - what a studio says, a handler a frame.
 * SPDX-License-Identifier: MIT */
#include "worker/session/internal.h"

static int link_send(void *arg, const char *frame, struct err *e)
{
	return session_send(arg, frame, e);
}

/* What this build knows and the studio announced; a studio that announced nothing hears of nothing.
 */
static bool announce(struct session *s, unsigned features)
{
	struct err e = ERR_INIT;
	if (!features)
		return true;
	auto_free char *mine = frame_features(FEATURES_ALL);
	if (session_send(s, mine, &e) < 0)
		return false;
	if (!(features & FEATURE_RESUME))
		return true;
	auto_free char *resume = jobs_resume_frame(s->d.jobs);
	return session_send(s, resume, &e) == 0;
}

static void on_welcome(struct session *s, const struct studio_frame *f)
{
	if (s->state == SESSION_SERVING) {
		log_warn(s->d.log, "ws", NULL, "server welcomed us twice; ignored");
		return;
	}
	unsigned features = f->features & FEATURES_ALL;
	log_info(s->d.log, "ws", NULL, "server welcomed %s server_time=%s", f->worker_id,
		 f->server_time);
	s->failures = 0;
	session_move(s, SESSION_SERVING, f->worker_id);
	struct job_link link = {
	    .send = link_send,
	    .arg = s,
	    .api_base = s->base,
	    .worker_id = s->worker_id,
	    .auth_token = &s->token,
	    .features = features,
	};
	jobs_link_up(s->d.jobs, &link);
	if (!announce(s, features))
		return;
	shipping_start(s);
	heartbeat_start(s);
}

static void on_offer(struct session *s, struct studio_frame *f)
{
	jobs_offer(s->d.jobs, steal(&f->claim));
}

static void on_heartbeat_ack(struct session *s)
{
	struct event ev = {.type = EVENT_HEARTBEAT, .wall_ms = clock_wall(s->d.clock)};
	events_publish(s->d.events, &ev);
}

static void on_error(struct session *s, const struct studio_frame *f)
{
	const char *code = f->error_text ? f->error_text : "";
	const char *message = f->message ? f->message : "";
	log_error(s->d.log, "ws", NULL, "server error%s %s: %s",
		  s->state == SESSION_GREETING ? " before welcome" : "", code, message);
	auto_free char *why = xasprintf("%s: %s", code, message);
	if (f->error == ERROR_UNKNOWN)
		session_disconnect(s, NULL);
	else if (f->error == ERROR_AUTH_FAILED)
		session_auth_failed(s, message);
	else if (f->error == ERROR_INTERNAL || f->error == ERROR_PROTOCOL_VIOLATION)
		session_fatal(s, SESSION_STUDIO_ERROR, why);
	else
		session_fatal(s, SESSION_FATAL, why);
}

static void on_resumed(struct session *s, const struct studio_frame *f)
{
	jobs_resumed(s->d.jobs, f->keep, f->n_keep, f->drop, f->n_drop);
}

static void greeted_frame(struct session *s, struct studio_frame *f)
{
	switch (f->type) {
	case SF_WELCOME:
		on_welcome(s, f);
		break;
	case SF_OFFER:
		on_offer(s, f);
		break;
	case SF_HEARTBEAT_ACK:
		on_heartbeat_ack(s);
		break;
	case SF_COMPLETE_ACK:
		jobs_complete_ack(s->d.jobs, f->job_id);
		break;
	case SF_FAIL_ACK:
		jobs_fail_ack(s->d.jobs, f->job_id);
		break;
	case SF_ERROR:
		on_error(s, f);
		break;
	case SF_CANCEL:
		jobs_cancel(s->d.jobs, f->job_id);
		break;
	case SF_RESUMED:
		on_resumed(s, f);
		break;
	}
}

static void handle(struct session *s, struct studio_frame *f)
{
	bool early = s->state == SESSION_GREETING && f->type != SF_WELCOME && f->type != SF_ERROR;
	if (early)
		log_warn(s->d.log, "ws", NULL, "server sent unexpected frame before welcome: %s",
			 studio_frame_name(f->type));
	else
		greeted_frame(s, f);
}

void frames_receive(struct session *s, const char *text, size_t len)
{
	struct studio_frame *f = NULL;
	struct err e = ERR_INIT;
	if (studio_frame_decode(text, len, &f, &e) < 0) {
		err_wrap(&e, "protocol error");
		session_disconnect(s, e.text);
		return;
	}
	handle(s, f);
	studio_frame_free(f);
}
