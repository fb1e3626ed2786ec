/* resume.c - claims from before this socket: kept, taken back or released (docs/protocol.md,
 * section 8). SPDX-License-Identifier: MIT */
#include "studio/hub/parts.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

void session_window_close(struct session *s)
{
	struct seat *seat = hub_seat(s->hub, s->worker_id, false);
	if (s->window == WINDOW_CLOSED)
		return;
	s->window = WINDOW_CLOSED;
	list_each_safe (it, &seat->holds) {
		struct hold *hold = list_entry(it, struct hold, node);
		if (hold->state == HOLD_LOST)
			hold_release(s->hub, hold, "its worker came back without it");
	}
}

static void add_name(struct names *n, const char *name)
{
	n->items = xrealloc(n->items, (n->n + 1) * sizeof(*n->items));
	n->items[n->n++] = xstrdup(name);
}

static void answer_when_whole(struct session *s)
{
	if (s->resuming)
		return;
	log_info(s->hub->d.log, "hub", NULL, "worker %s resumed %zu job(s), %zu dropped",
		 s->worker_id, s->keep.n, s->drop.n);
	if (session_send(s, frame_resumed(s->keep.items, s->keep.n, s->drop.items, s->drop.n)))
		dispatch_session(s);
}

/* The job was queued and is this worker's now; its socket may be gone already. */
static struct hold *hold_reclaimed(struct hub *h, struct session *s, const struct job_record *job)
{
	struct hold *hold = hold_find(h, job->id);
	if (hold)
		hold_drop(h, hold);
	hold =
	    hold_new(h, hub_seat(h, job->worker_id, true), job->id, s ? HOLD_CLAIMED : HOLD_LOST);
	hold->resumable = job->resumable;
	hold->bytes = makes_bytes(job);
	if (s)
		hold->session = s->no;
	else if (hold->resumable)
		hold_grace(h, hold);
	else
		hold_release(h, hold, "its worker left");
	return hold;
}

static void reclaimed(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	struct ask *a = arg;
	struct session *s = hub_session(a->hub, a->session);
	if (changed) {
		struct hold *hold = hold_reclaimed(a->hub, s, job);
		if (s && a->flag)
			hold_finished(a->hub, hold);
	}
	if (s && err->code && err->code != ENOENT) {
		session_close(s, CLOSE_INTERNAL, "storage failed");
	} else if (s) {
		add_name(changed ? &s->keep : &s->drop, a->job_id);
		s->resuming--;
		answer_when_whole(s);
	}
	ask_free(a);
}

static void resume_job(struct session *s, const struct resume_job *j)
{
	struct hub *h = s->hub;
	struct hold *hold = hold_find(h, j->job_id);
	if (hold && hold->session == s->no)
		return; /* claimed on this very socket */
	if (hold && hold->state == HOLD_LOST && hold->seat->session == s) {
		hold_move(h, hold, HOLD_CLAIMED);
		hold->session = s->no;
		if (j->finished)
			hold_finished(h, hold);
		add_name(&s->keep, j->job_id);
		return;
	}
	/* Released meanwhile: taken back when nobody else was given it, so that nothing is
	 * generated twice. */
	struct ask *a = ask_new(h, s, NULL, j->job_id);
	a->flag = j->finished;
	s->resuming++;
	queue_reclaim(h->d.queue, j->job_id, s->worker_id, true, reclaimed, a);
}

/* Each job is answered once, however often it is named. */
static bool named_before(const struct worker_frame *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(f->resume[i].job_id, f->resume[n].job_id) == 0)
			return true;
	return false;
}

void session_resume(struct session *s, const struct worker_frame *f)
{
	for (size_t i = 0; i < f->n_resume; i++)
		if (!named_before(f, i))
			resume_job(s, &f->resume[i]);
	session_window_close(s);
	answer_when_whole(s);
}

/* ---- an accept that crossed the withdrawal of its offer ---- */

static void late_accepted(void *arg, const struct err *err, bool changed,
			  const struct job_record *job)
{
	struct ask *a = arg;
	struct session *s = hub_session(a->hub, a->session);
	if (changed)
		hold_reclaimed(a->hub, s, job);
	else if (s && err->code && err->code != ENOENT)
		session_close(s, CLOSE_INTERNAL, "storage failed");
	else if (s && s->features & FEATURE_CANCEL)
		session_cancel(s, a->job_id);
	else if (s)
		session_violation(s, "accept of an offer that was withdrawn");
	ask_free(a);
}

void session_reclaim(struct session *s, const char *job_id)
{
	struct hub *h = s->hub;
	session_set_past(s, job_id, PAST_NONE);
	queue_reclaim(h->d.queue, job_id, s->worker_id, s->features & FEATURE_RESUME, late_accepted,
		      ask_new(h, s, NULL, job_id));
}
