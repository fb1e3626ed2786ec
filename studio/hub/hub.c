/* hub.c - the hub as a whole: start, end, what the queue reports, what others ask.
 * SPDX-License-Identifier: MIT */
#include "studio/hub/parts.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

#define PAGE	  500
#define RELOAD_MS 1000

/* ---- asks ---- */

struct ask *ask_new(struct hub *h, const struct session *s, const struct hold *hold,
		    const char *job_id)
{
	struct ask *a = xcalloc(1, sizeof(*a));
	a->hub = h;
	a->session = s ? s->no : 0;
	a->hold = hold ? hold->no : 0;
	a->job_id = xstrdup_opt(job_id);
	list_push_back(&h->asks, &a->node);
	return a;
}

static void release_ask(struct ask *a)
{
	free(a->job_id);
	free(a);
}

void ask_free(struct ask *a)
{
	list_remove(&a->hub->asks, &a->node);
	release_ask(a);
}

/* ---- seats and sessions ---- */

struct session *hub_session(struct hub *h, uint64_t no)
{
	struct session *s;
	HASH_FIND(hh, h->sessions_by_no, &no, sizeof(no), s);
	return s;
}

struct seat *hub_seat(struct hub *h, const char *worker_id, bool make)
{
	struct seat *seat;
	HASH_FIND_STR(h->seats, worker_id, seat);
	if (seat || !make)
		return seat;
	seat = xcalloc(1, sizeof(*seat));
	seat->hub = h;
	seat->worker_id = xstrdup(worker_id);
	list_init(&seat->holds);
	HASH_ADD_KEYPTR(hh, h->seats, seat->worker_id, strlen(seat->worker_id), seat);
	return seat;
}

static void free_seat(struct seat *seat)
{
	free(seat->worker_id);
	free(seat);
}

static void free_seats(struct hub *h)
{
	struct seat *seat = h->seats;
	HASH_CLEAR(hh, h->seats);
	while (seat) {
		struct seat *next = seat->hh.next;
		free_seat(seat);
		seat = next;
	}
}

void seat_check(struct hub *h, struct seat *seat)
{
	if (seat->session || !list_empty(&seat->holds))
		return;
	HASH_DEL(h->seats, seat);
	free_seat(seat);
}

/* ---- what the queue reports ---- */

static bool held_by(const struct hold *hold, const struct job_record *job)
{
	return job->worker_id && strcmp(hold->seat->worker_id, job->worker_id) == 0;
}

/* Drops the hold; its session, when that is served, may look for other work. */
static struct session *drop(struct hub *h, struct hold *hold)
{
	struct seat *seat = hold->seat;
	struct session *s = seat->session;
	hold_drop(h, hold);
	seat_check(h, seat);
	return s;
}

static void job_queued(struct hub *h, const struct job_record *job, struct hold *hold)
{
	struct session *s = hold ? drop(h, hold) : NULL;
	struct backlog_job *entry = backlog_add(&h->backlog, job);
	if (entry)
		dispatch_job(h, entry);
	if (s)
		dispatch_session(s);
}

static void job_held(struct hub *h, const struct job_record *job, struct hold *hold)
{
	backlog_remove(&h->backlog, job->id);
	if (hold && !held_by(hold, job))
		drop(h, hold);
	else if (hold && job->state == JOB_CLAIMED && hold->state == HOLD_ACCEPTING)
		hold_move(h, hold, HOLD_CLAIMED);
}

/* A job that ended without its worker's doing goes on there until the worker says otherwise. */
static void note_end(struct session *s, const struct hold *hold, const struct job_record *job)
{
	bool running = hold->session == s->no && hold->state != HOLD_RESERVING;
	if (!running)
		return;
	if (job->state == JOB_FAILED && hold->state != HOLD_ENDING) {
		session_set_past(s, job->id, PAST_CANCELLED);
		str_replace(&s->current_job, job->id);
	} else {
		session_set_past(s, job->id, PAST_ENDED);
		if (s->current_job && strcmp(s->current_job, job->id) == 0)
			str_replace(&s->current_job, NULL);
	}
}

static void job_ended(struct hub *h, const struct job_record *job, struct hold *hold)
{
	backlog_remove(&h->backlog, job->id);
	if (!hold)
		return;
	if (hold->seat->session)
		note_end(hold->seat->session, hold, job);
	struct session *s = drop(h, hold);
	if (s)
		dispatch_session(s);
}

static void job_changed(void *arg, const struct job_record *job)
{
	struct hub *h = arg;
	struct hold *hold = hold_find(h, job->id);
	switch (job->state) {
	case JOB_QUEUED:
		job_queued(h, job, hold);
		break;
	case JOB_OFFERED:
	case JOB_CLAIMED:
		job_held(h, job, hold);
		break;
	case JOB_DONE:
	case JOB_FAILED:
		job_ended(h, job, hold);
		break;
	}
}

/* ---- start: what the storage remembers ---- */

static void load_claims(struct hub *h);
static void load_backlog(struct hub *h);

static void reload(void *arg)
{
	struct hub *h = arg;
	if (h->loaded)
		load_backlog(h);
	else
		load_claims(h);
}

static bool load_failed(struct hub *h, const struct storage_reply *r)
{
	if (!r->err->code)
		return false;
	log_error(h->d.log, "hub", NULL, "cannot read the jobs, will retry: %s", r->err->text);
	timer_start(&h->reload, h->d.clock, RELOAD_MS, reload, h);
	return true;
}

static void backlog_page(void *arg, const struct storage_reply *r)
{
	struct ask *a = arg;
	struct hub *h = a->hub;
	ask_free(a);
	if (load_failed(h, r))
		return;
	for (size_t i = 0; i < r->n; i++) {
		h->backlog_seq = r->jobs[i].seq;
		struct backlog_job *entry = backlog_add(&h->backlog, &r->jobs[i]);
		if (entry)
			dispatch_job(h, entry);
	}
	if (r->n == PAGE)
		load_backlog(h);
}

static void load_backlog(struct hub *h)
{
	struct job_filter f = {
	    .columns = JOB_MATCHING,
	    .states = JOB_BIT(JOB_QUEUED),
	    .after_seq = h->backlog_seq,
	    .limit = PAGE,
	};
	h->d.storage->ops->job_list(h->d.storage, &f, backlog_page, ask_new(h, NULL, NULL, NULL));
}

static void adopt(struct hub *h, const struct job_record *job)
{
	if (!job->worker_id || hold_find(h, job->id))
		return;
	struct hold *hold = hold_new(h, hub_seat(h, job->worker_id, true), job->id, HOLD_LOST);
	hold->resumable = job->resumable && job->state == JOB_CLAIMED;
	hold->bytes = makes_bytes(job);
	if (hold->resumable)
		hold_grace(h, hold);
	else
		hold_release(h, hold, "the studio restarted");
}

static void welcome_all(struct hub *h)
{
	list_each_safe (it, &h->strangers)
		session_try_welcome(list_entry(it, struct session, node));
}

static void claims_page(void *arg, const struct storage_reply *r)
{
	struct ask *a = arg;
	struct hub *h = a->hub;
	ask_free(a);
	if (load_failed(h, r))
		return;
	for (size_t i = 0; i < r->n; i++) {
		h->claims_seq = r->jobs[i].seq;
		adopt(h, &r->jobs[i]);
	}
	if (r->n == PAGE) {
		load_claims(h);
		return;
	}
	h->loaded = true;
	load_backlog(h);
	welcome_all(h);
}

static void load_claims(struct hub *h)
{
	struct job_filter f = {
	    .columns = JOB_LABELS,
	    .states = JOB_BIT(JOB_OFFERED) | JOB_BIT(JOB_CLAIMED),
	    .after_seq = h->claims_seq,
	    .limit = PAGE,
	};
	h->d.storage->ops->job_list(h->d.storage, &f, claims_page, ask_new(h, NULL, NULL, NULL));
}

/* ---- life ---- */

struct hub *hub_new(const struct hub_deps *d)
{
	struct hub *h = xcalloc(1, sizeof(*h));
	h->d = *d;
	list_init(&h->sessions);
	list_init(&h->strangers);
	list_init(&h->dead);
	list_init(&h->asks);
	list_init(&h->intakes);
	queue_subscribe(d->queue, job_changed, h);
	load_claims(h);
	return h;
}

static void close_all(struct list *l)
{
	struct list_node *n;
	while ((n = list_pop_front(l))) {
		struct session *s = list_entry(n, struct session, node);
		HASH_DEL(s->hub->sessions_by_no, s);
		conn_close(s->conn, CLOSE_GOING_AWAY, "the studio stops");
		session_free(s);
	}
}

void hub_free(struct hub *h)
{
	struct hold *hold, *next_hold;
	struct list_node *n;
	if (!h)
		return;
	close_all(&h->sessions);
	close_all(&h->strangers);
	while ((n = list_pop_front(&h->dead)))
		session_free(list_entry(n, struct session, node));
	HASH_ITER (hh, h->holds, hold, next_hold)
		hold_drop(h, hold);
	free_seats(h);
	list_each_safe (it, &h->asks)
		release_ask(list_entry(it, struct ask, node));
	while ((n = list_pop_front(&h->intakes)))
		intake_forget(intake_of_node(n));
	backlog_fini(&h->backlog);
	timer_stop(&h->bury);
	timer_stop(&h->reload);
	free(h);
}

/* ---- what others tell ---- */

static void close_sockets_of(struct list *sessions, const char *worker_id)
{
	list_each_safe (it, sessions) {
		struct session *s = list_entry(it, struct session, node);
		if (strcmp(s->worker_id, worker_id) == 0)
			session_error(s, ERROR_WORKER_DELETED, CLOSE_WORKER_DELETED,
				      "this worker was deleted");
	}
}

void hub_worker_deleted(struct hub *h, const char *worker_id)
{
	close_sockets_of(&h->sessions, worker_id);
	close_sockets_of(&h->strangers, worker_id);
	struct seat *seat = hub_seat(h, worker_id, false);
	if (!seat)
		return;
	list_each_safe (it, &seat->holds) {
		struct hold *hold = list_entry(it, struct hold, node);
		hold->resumable = false;
		if (hold->state == HOLD_LOST)
			hold_release(h, hold, "its worker was deleted");
	}
}

void session_cancel(struct session *s, const char *job_id)
{
	session_set_past(s, job_id, PAST_CANCELLED);
	str_replace(&s->current_job, job_id);
	session_send(s, frame_cancel(job_id));
}

void hub_job_cancelled(struct hub *h, const struct job_record *job)
{
	struct seat *seat = job->worker_id ? hub_seat(h, job->worker_id, false) : NULL;
	struct session *s = seat ? seat->session : NULL;
	if (s && s->features & FEATURE_CANCEL && session_past(s, job->id) == PAST_CANCELLED)
		session_cancel(s, job->id);
}

void hub_upload_done(struct hub *h, const char *worker_id, const char *job_id)
{
	struct seat *seat = hub_seat(h, worker_id, false);
	if (seat && seat->session)
		session_send(seat->session, frame_complete_ack(job_id));
}
