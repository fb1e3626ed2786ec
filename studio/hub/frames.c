/* frames.c - a handler a frame, for sessions that are served.
 * What the frame asks for is asked of the queue; the answer comes later and finds the session and
 * the hold again by their numbers, as both may be gone by then. SPDX-License-Identifier: MIT */
#include "studio/hub/parts.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/utf8.h"

#define SHUN_BUSY_MS   5000
#define SHUN_OTHER_MS  60000
#define SHUN_FAILED_MS 1000
#define STORE_EVERY_MS 60000
#define ERROR_TEXT_MAX 4096
#define DETAIL_MAX     256
#define PROGRESS_MS    100

static void forget_current(struct session *s, const char *job_id)
{
	if (s->current_job && strcmp(s->current_job, job_id) == 0)
		str_replace(&s->current_job, NULL);
}

static void storage_failed(struct session *s, const char *job_id, const struct err *err)
{
	log_error(s->hub->d.log, "hub", job_id, "cannot store what %s reported: %s", s->worker_id,
		  err->text);
	session_close(s, CLOSE_INTERNAL, "storage failed");
}

/* ---- heartbeat ---- */

void session_store_capabilities(struct session *s)
{
	struct hub *h = s->hub;
	int64_t now = clock_wall(h->d.clock);
	json_t *json = capabilities_encode(s->capabilities);
	bool fresh = now >= s->stored_ms && now - s->stored_ms < STORE_EVERY_MS;
	if (s->stored && fresh && json_equal(json, s->stored)) {
		json_decref(json);
		return;
	}
	json_decref(s->stored);
	s->stored = json;
	s->stored_ms = now;
	h->d.storage->ops->worker_seen(h->d.storage, s->worker_id, json, now, NULL, NULL);
}

/* A job whose result has arrived may still be named by a heartbeat that was sent before. */
static void set_current(struct session *s, const char *job_id)
{
	if (job_id && session_past(s, job_id) == PAST_ENDED)
		job_id = NULL;
	str_replace(&s->current_job, job_id);
}

static void heartbeat(struct session *s, struct worker_frame *f)
{
	session_reconsider(s, f->capabilities);
	capabilities_free(s->capabilities);
	s->capabilities = steal(&f->capabilities);
	set_current(s, f->job_id);
	s->settled = true;
	if (s->capabilities->auto_enabled && !s->current_job)
		s->held_off = false;
	session_beat(s);
	session_store_capabilities(s);
	if (session_send(s, frame_heartbeat_ack()))
		dispatch_session(s);
}

/* ---- accept, reject ---- */

static void accepted(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	struct ask *a = arg;
	struct session *s = hub_session(a->hub, a->session);
	struct hold *hold = hold_of_ask(a);
	(void)job;
	if (err->code && hold && hold->state != HOLD_RELEASING)
		hold_release(a->hub, hold, "its claim could not be stored");
	if (err->code && s)
		storage_failed(s, a->job_id, err);
	else if (!changed && s && session_past(s, a->job_id) == PAST_NONE)
		session_violation(s, "accept of a job that is not offered to you");
	ask_free(a);
}

static void accept_offer(struct session *s, struct hold *hold)
{
	struct hub *h = s->hub;
	hold->resumable = s->features & FEATURE_RESUME;
	hold_move(h, hold, HOLD_ACCEPTING);
	queue_accept(h->d.queue, hold->job_id, s->worker_id, hold->resumable, accepted,
		     ask_new(h, s, hold, hold->job_id));
}

static void accept_frame(struct session *s, struct worker_frame *f)
{
	struct hold *hold = hold_of_session(s, f->job_id);
	if (hold && hold->state == HOLD_OFFERED)
		accept_offer(s, hold);
	else if (hold && (hold->state == HOLD_ACCEPTING || hold->state == HOLD_CLAIMED))
		log_warn(s->hub->d.log, "hub", f->job_id, "%s accepted twice", s->worker_id);
	else if (session_past(s, f->job_id) == PAST_WITHDRAWN)
		session_reclaim(s, f->job_id);
	else if (session_past(s, f->job_id) == PAST_CANCELLED)
		log_info(s->hub->d.log, "hub", f->job_id, "%s accepted a cancelled job",
			 s->worker_id);
	else
		session_violation(s, "accept of a job that is not offered to you");
}

static void reject_frame(struct session *s, struct worker_frame *f)
{
	struct hold *hold = hold_of_session(s, f->job_id);
	log_info(s->hub->d.log, "hub", f->job_id, "%s rejected the offer: %.200s", s->worker_id,
		 f->text ? f->text : "no reason given");
	forget_current(s, f->job_id);
	if (!hold || hold->state != HOLD_OFFERED)
		return;
	s->held_off = true;
	session_shun(s, f->job_id, f->code ? SHUN_BUSY_MS : SHUN_OTHER_MS);
	if (!f->code) /* no matter of the moment: the next job like it would fare no better */
		session_refuses(s, hold->shape, f->text, SHUN_OTHER_MS);
	hold_release(s->hub, hold, "rejected");
}

/* ---- results ---- */

/* The claim goes on: the worker will deliver again. */
static void not_ended(struct hub *h, struct hold *hold)
{
	if (hold->state != HOLD_ENDING)
		return;
	hold_move(h, hold, HOLD_CLAIMED);
	if (!hold->session)
		hold_lose(h, hold);
}

static bool is_mine(const struct session *s, const struct job_record *job, enum job_state state)
{
	return job && job->state == state && job->worker_id &&
	       strcmp(job->worker_id, s->worker_id) == 0;
}

/* The answer to a result or a failure: stored now, stored before, or of a job that was cancelled
 * (dropped, so that the worker can forget it). Anything else was not the worker's to report. */
static bool may_ack(const struct session *s, const struct ask *a, bool changed,
		    const struct job_record *job)
{
	if (changed || session_past(s, a->job_id) == PAST_CANCELLED)
		return true;
	if (a->flag && session_past(s, a->job_id) == PAST_ENDED) /* a second fail */
		return true;
	return is_mine(s, job, JOB_DONE) || is_mine(s, job, JOB_FAILED);
}

static void ended(struct ask *a, const struct err *err, bool changed, const struct job_record *job,
		  char *(*ack)(const char *job_id))
{
	struct hub *h = a->hub;
	struct session *s = hub_session(h, a->session);
	struct hold *hold = hold_of_ask(a);
	bool broken = err->code && err->code != ENOENT;
	if (hold)
		not_ended(h, hold);
	if (s && broken) {
		storage_failed(s, a->job_id, err);
	} else if (s && may_ack(s, a, changed, job)) {
		session_set_past(s, a->job_id, PAST_ENDED);
		forget_current(s, a->job_id);
		if (session_send(s, ack(a->job_id)))
			dispatch_session(s);
	} else if (s) {
		session_violation(s, "a result of a job that you do not hold");
	}
	ask_free(a);
}

static void completed(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	ended(arg, err, changed, job, frame_complete_ack);
}

static void failed(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	ended(arg, err, changed, job, frame_fail_ack);
}

/* False: it was not accepted, and the session is closed. */
static bool begin_end(struct session *s, const char *job_id, struct hold **out)
{
	struct hold *hold = hold_of_session(s, job_id);
	*out = hold;
	if (hold && hold->state == HOLD_OFFERED) {
		session_violation(s, "a result of a job that you did not accept");
		return false;
	}
	if (hold && (hold->state == HOLD_ACCEPTING || hold->state == HOLD_CLAIMED))
		hold_move(s->hub, hold, HOLD_ENDING);
	return true;
}

static void complete_frame(struct session *s, struct worker_frame *f)
{
	struct hold *hold = hold_of_session(s, f->job_id);
	if (hold && hold->bytes)
		session_violation(s, "completeJson of a job whose result is a file");
	else if (begin_end(s, f->job_id, &hold))
		queue_complete_json(s->hub->d.queue, f->job_id, s->worker_id, f->result, f->text,
				    completed, ask_new(s->hub, s, hold, f->job_id));
}

static void fail_frame(struct session *s, struct worker_frame *f)
{
	struct hold *hold;
	if (!begin_end(s, f->job_id, &hold))
		return;
	struct ask *a = ask_new(s->hub, s, hold, f->job_id);
	a->flag = true;
	utf8_cut(f->text, ERROR_TEXT_MAX);
	session_shun(s, f->job_id, SHUN_FAILED_MS); /* others may try first */
	queue_fail(s->hub->d.queue, f->job_id, s->worker_id, f->text ? f->text : "", f->retryable,
		   failed, a);
}

/* ---- logs, progress, features ---- */

static void log_batch(struct session *s, struct worker_frame *f)
{
	session_log(s, f->lines, f->n_lines);
}

static void progress(struct session *s, struct worker_frame *f)
{
	struct hold *hold = hold_of_session(s, f->job_id);
	int64_t now = clock_wall(s->hub->d.clock);
	if (!(s->features & FEATURE_PROGRESS) || !hold)
		return;
	if (hold->has_progress && hold->stage == f->stage && now >= hold->progress_ms &&
	    now - hold->progress_ms < PROGRESS_MS)
		return;
	utf8_cut(f->text, DETAIL_MAX);
	hold->has_progress = true;
	hold->stage = f->stage;
	hold->fraction = f->fraction;
	hold->progress_ms = now;
	str_replace(&hold->detail, f->text);
}

static void features(struct session *s, struct worker_frame *f)
{
	s->features = f->features & FEATURES_ALL;
	if (!(s->features & FEATURE_RESUME))
		session_window_close(s);
	else if (s->window == WINDOW_FEATURES)
		s->window = WINDOW_RESUME;
}

static void resume(struct session *s, struct worker_frame *f)
{
	if (!(s->features & FEATURE_RESUME) || s->resumed) {
		session_violation(s, "resume without the feature, or twice");
		return;
	}
	s->resumed = true;
	session_resume(s, f);
}

static void second_hello(struct session *s, struct worker_frame *f)
{
	(void)f;
	session_violation(s, "a second hello");
}

static void ready_for_more(struct session *s, struct worker_frame *f)
{
	(void)f;
	dispatch_session(s);
}

typedef void handler(struct session *s, struct worker_frame *f);
static handler *const handlers[] = {
    [WF_HELLO] = second_hello,
    [WF_HEARTBEAT] = heartbeat,
    [WF_ACCEPT] = accept_frame,
    [WF_REJECT] = reject_frame,
    [WF_COMPLETE_JSON] = complete_frame,
    [WF_FAIL] = fail_frame,
    [WF_LOG_BATCH] = log_batch,
    [WF_READY_FOR_MORE] = ready_for_more,
    [WF_FEATURES] = features,
    [WF_PROGRESS] = progress,
    [WF_RESUME] = resume,
};

void session_frame(struct session *s, struct worker_frame *f)
{
	bool in_window = (s->window == WINDOW_FEATURES && f->type == WF_FEATURES) ||
			 (s->window == WINDOW_RESUME && f->type == WF_RESUME);
	if (!in_window)
		session_window_close(s);
	handlers[f->type](s, f);
}
