/* dispatch.c - which worker gets which job: reservation first, then the offer.
 * Driven by what changed: a worker that became free looks at the shapes of the backlog, a job that
 * was queued looks at the workers, earliest connected first. Nothing looks at all pairs.
 * SPDX-License-Identifier: MIT */
#include "studio/hub/parts.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

/* Would take an offer, apart from what it holds. */
bool worker_willing(const struct session *s)
{
	const struct capabilities *c = s->capabilities;
	if (s->state != SESSION_SERVING || !s->settled || s->held_off || s->resuming)
		return false;
	if (s->current_job || !c->auto_enabled)
		return false;
	return !(c->only_when_idle && c->presence == PRESENCE_ACTIVE);
}

static bool is_free(const struct session *s)
{
	return worker_willing(s) && !seat_busy(hub_seat(s->hub, s->worker_id, false));
}

static bool lists_model(const struct string_set *models, const struct shape *shape)
{
	/* A worker that lists no model of a kind it supports is taken at its word. */
	if (models->n == 0 || string_set_has(models, shape->model))
		return true;
	if (shape->engine[0] == '\0')
		return false;
	auto_free char *wildcard = xasprintf("%s:*", shape->engine);
	return string_set_has(models, shape->engine) || string_set_has(models, wildcard);
}

bool worker_fits(const struct session *s, const struct shape *shape)
{
	const struct capabilities *c = s->capabilities;
	if (!shape->kind_known || !(c->kinds & KIND_BIT(shape->kind)))
		return false;
	return c->vram_threshold_gb >= shape->vram_gb &&
	       lists_model(&c->per_kind[shape->kind], shape);
}

/* And did not refuse it lately. */
static bool fits(const void *arg, const struct shape *shape)
{
	return worker_fits(arg, shape) && !session_refusal(arg, shape->key);
}

static bool skip(const void *arg, const char *job_id)
{
	return session_shuns(arg, job_id);
}

/* ---- the offer ---- */

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void offer_unanswered(void *arg)
{
	struct hold *hold = arg;
	struct hub *h = hold->seat->hub;
	struct session *s = hub_session(h, hold->session);
	log_warn(h->d.log, "hub", hold->job_id, "offer to %s not answered in %llu ms, withdrawn",
		 hold->seat->worker_id, (unsigned long long)h->d.offer_ms);
	if (s) {
		session_set_past(s, hold->job_id, PAST_WITHDRAWN);
		s->held_off = true;
	}
	hold_release(h, hold, "offer not answered");
}

static void offer(struct session *s, struct hold *hold, const struct job_record *job)
{
	struct hub *h = s->hub;
	hold->bytes = makes_bytes(job);
	hold->shape = shape_key(job);
	hold_move(h, hold, HOLD_OFFERED);
	if (session_past(s, job->id) != PAST_NONE)
		session_set_past(s, job->id, PAST_NONE);
	timer_start(&hold->timer, h->d.clock, h->d.offer_ms, offer_unanswered, hold);
	log_info(h->d.log, "hub", job->id, "offering job to %s", s->worker_id);
	session_send(s, frame_offer(job->id, or_empty(job->game_id), or_empty(job->asset_name),
				    or_empty(job->model), job->vram_gb_estimate, job->task,
				    job->source));
}

static void not_reserved(struct hub *h, struct ask *a, const struct err *err)
{
	struct hold *hold = hold_of_ask(a);
	if (err->code && err->code != ENOENT) {
		log_error(h->d.log, "hub", a->job_id, "cannot reserve: %s", err->text);
		backlog_take(&h->backlog, a->job_id, false); /* the next heartbeat tries again */
	} else {
		backlog_remove(&h->backlog, a->job_id);
	}
	if (hold) {
		struct seat *seat = hold->seat;
		hold_drop(h, hold);
		seat_check(h, seat);
	}
}

static void reserved(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	struct ask *a = arg;
	struct hub *h = a->hub;
	struct session *s = hub_session(h, a->session);
	struct hold *hold = hold_of_ask(a);
	if (!changed) {
		not_reserved(h, a, err);
		if (s && !err->code)
			dispatch_session(s);
	} else if (hold && s && worker_willing(s)) {
		offer(s, hold, job);
	} else {
		if (!hold)
			hold =
			    hold_new(h, hub_seat(h, job->worker_id, true), job->id, HOLD_RESERVING);
		hold_release(h, hold, "its worker was not free any more");
	}
	ask_free(a);
}

/* The reservation is stored before the offer is sent: no job is ever offered twice. */
static void reserve(struct session *s, struct backlog_job *job)
{
	struct hub *h = s->hub;
	struct hold *hold = hold_find(h, job->id);
	if (hold) /* on its way back from another worker; the queue will report it */
		return;
	hold = hold_new(h, hub_seat(h, s->worker_id, false), job->id, HOLD_RESERVING);
	hold->session = s->no;
	job->taken = true;
	queue_reserve(h->d.queue, job->id, s->worker_id, reserved, ask_new(h, s, hold, job->id));
}

void dispatch_session(struct session *s)
{
	if (!is_free(s))
		return;
	struct backlog_job *job = backlog_oldest(&s->hub->backlog, fits, skip, s);
	if (job)
		reserve(s, job);
}

void dispatch_job(struct hub *h, struct backlog_job *job)
{
	list_each (it, &h->sessions) {
		struct session *s = list_entry(it, struct session, node);
		if (fits(s, job->shape) && !session_shuns(s, job->id) && is_free(s)) {
			reserve(s, job);
			return;
		}
	}
}
