/* hold.c - one job at one worker: its states, and its way back to the queue.
 * SPDX-License-Identifier: MIT */
#include "studio/hub/parts.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

#define RELEASE_RETRY_MS 1000
#define DELIVER_MS	 (UINT64_C(15) * 60 * 1000) /* a worker keeps a result for 10 minutes */

static const char *const names[HOLD_STATES] = {"reserving", "offered", "accepting", "claimed",
					       "ending",    "lost",    "releasing"};
#define TO(s) (1u << HOLD_##s)
static const unsigned allowed[HOLD_STATES] = {
    [HOLD_RESERVING] = TO(OFFERED) | TO(RELEASING),
    [HOLD_OFFERED] = TO(ACCEPTING) | TO(RELEASING),
    [HOLD_ACCEPTING] = TO(CLAIMED) | TO(ENDING) | TO(LOST) | TO(RELEASING),
    [HOLD_CLAIMED] = TO(ENDING) | TO(LOST) | TO(RELEASING),
    [HOLD_ENDING] = TO(CLAIMED) | TO(LOST) | TO(RELEASING),
    [HOLD_LOST] = TO(CLAIMED) | TO(RELEASING),
    [HOLD_RELEASING] = TO(RELEASING),
};

struct hold *hold_new(struct hub *h, struct seat *seat, const char *job_id, enum hold_state state)
{
	struct hold *hold = xcalloc(1, sizeof(*hold));
	hold->no = ++h->next_no;
	hold->job_id = xstrdup(job_id);
	hold->seat = seat;
	hold->state = state;
	hold->since_ms = clock_wall(h->d.clock);
	list_push_back(&seat->holds, &hold->node);
	HASH_ADD_KEYPTR(hh, h->holds, hold->job_id, strlen(hold->job_id), hold);
	return hold;
}

void hold_move(struct hub *h, struct hold *hold, enum hold_state to)
{
	if (!(allowed[hold->state] & (1u << to))) {
		log_error(h->d.log, "hub", hold->job_id, "impossible move of a hold: %s to %s",
			  names[hold->state], names[to]);
		abort();
	}
	log_debug(h->d.log, "hub", hold->job_id, "hold of %s: %s to %s", hold->seat->worker_id,
		  names[hold->state], names[to]);
	hold->state = to;
	hold->since_ms = clock_wall(h->d.clock);
	timer_stop(&hold->timer);
}

void hold_drop(struct hub *h, struct hold *hold)
{
	timer_stop(&hold->timer);
	list_remove(&hold->seat->holds, &hold->node);
	HASH_DEL(h->holds, hold);
	free(hold->job_id);
	free(hold->shape);
	free(hold->detail);
	free(hold);
}

struct hold *hold_find(struct hub *h, const char *job_id)
{
	struct hold *hold;
	HASH_FIND_STR(h->holds, job_id, hold);
	return hold;
}

struct hold *hold_of_ask(const struct ask *a)
{
	struct hold *hold = hold_find(a->hub, a->job_id);
	return hold && hold->no == a->hold ? hold : NULL;
}

struct hold *hold_of_session(const struct session *s, const char *job_id)
{
	struct hold *hold = hold_find(s->hub, job_id);
	return hold && hold->session == s->no ? hold : NULL;
}

bool seat_busy(const struct seat *seat)
{
	list_each (it, &seat->holds) {
		if (!list_entry(it, struct hold, node)->finished)
			return true;
	}
	return false;
}

/* ---- back to the queue ---- */

static void ask_release(struct hub *h, struct hold *hold);

static void retry_release(void *arg)
{
	struct hold *hold = arg;
	ask_release(hold->seat->hub, hold);
}

/* Went well: the queue's report of the job dropped the hold before this. */
static void released(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	struct ask *a = arg;
	struct hub *h = a->hub;
	struct hold *hold = hold_of_ask(a);
	(void)changed;
	ask_free(a);
	if (!hold)
		return;
	if (err->code && err->code != ENOENT) {
		log_error(h->d.log, "hub", hold->job_id, "cannot release, will retry: %s",
			  err->text);
		timer_start(&hold->timer, h->d.clock, RELEASE_RETRY_MS, retry_release, hold);
		return;
	}
	struct seat *seat = hold->seat;
	hold_drop(h, hold);
	if (job && job->state == JOB_QUEUED)
		backlog_add(&h->backlog, job);
	seat_check(h, seat);
}

static void ask_release(struct hub *h, struct hold *hold)
{
	queue_release(h->d.queue, hold->job_id, hold->seat->worker_id, hold->why, released,
		      ask_new(h, NULL, hold, hold->job_id));
}

void hold_release(struct hub *h, struct hold *hold, const char *why)
{
	hold_move(h, hold, HOLD_RELEASING);
	hold->session = 0;
	hold->why = why;
	ask_release(h, hold);
}

static void grace_over(void *arg)
{
	struct hold *hold = arg;
	hold_release(hold->seat->hub, hold, "its worker did not come back");
}

void hold_grace(struct hub *h, struct hold *hold)
{
	hold->session = 0;
	timer_start(&hold->timer, h->d.clock, h->d.grace_ms, grace_over, hold);
}

/* The worker may still say that it gives the delivery up: that is no violation. */
static void not_delivered(void *arg)
{
	struct hold *hold = arg;
	struct hub *h = hold->seat->hub;
	struct session *s = hub_session(h, hold->session);
	if (s)
		session_set_past(s, hold->job_id, PAST_ENDED);
	hold_release(h, hold, "its finished result never came");
}

void hold_finished(struct hub *h, struct hold *hold)
{
	hold->finished = true;
	timer_start(&hold->timer, h->d.clock, DELIVER_MS, not_delivered, hold);
}

void hub_upload_alive(struct hub *h, const char *worker_id, const char *job_id)
{
	struct hold *hold = hold_find(h, job_id);
	if (hold && hold->finished && hold->state == HOLD_CLAIMED &&
	    strcmp(hold->seat->worker_id, worker_id) == 0)
		hold_finished(h, hold);
}

bool makes_bytes(const struct job_record *job)
{
	enum kind kind;
	return job->kind && kind_parse(job->kind, &kind) && kind_is_bytes(kind);
}

void hold_lose(struct hub *h, struct hold *hold)
{
	hold->session = 0;
	switch (hold->state) {
	case HOLD_OFFERED:
		hold_release(h, hold, "its worker left");
		break;
	case HOLD_ACCEPTING:
	case HOLD_CLAIMED:
		if (hold->resumable) {
			hold_move(h, hold, HOLD_LOST);
			hold_grace(h, hold);
		} else {
			hold_release(h, hold, "its worker left");
		}
		break;
	default: /* the answer that is under way decides */
		break;
	}
}
