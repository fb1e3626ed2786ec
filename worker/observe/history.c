/* history.c - see history.h. Jobs are kept oldest first; the file holds the jobs and the last
 * failures, since the rest is true only while a daemon runs. SPDX-License-Identifier: MIT */
#include "worker/observe/history.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/time.h"
#include "lib/base/utf8.h"
#include "lib/fs/fs.h"
#include "lib/wire/fields.h"
#include "worker/observe/record.h"

#define MAX_JOBS 50
#define MAX_FILE (1u << 20)
#define SAVE_MS	 1000

/* One write under way; outlives the history when that is freed meanwhile. */
struct save {
	struct work work;
	struct history *owner;
	char *path, *text;
};

/* Why it does not work, until it does; text is NULL when nothing failed. */
struct failure {
	char *text, *remedy;
	int64_t at_ms;
};

struct history {
	struct clock *clock;
	struct pool *pool;
	struct events *events;
	struct observer observer;
	char *path;
	char *registration, *registration_detail, *session, *session_detail;
	int64_t session_since_ms, heartbeat_ms;
	struct failure registration_failure, session_failure;
	bool paused;
	uint64_t outbox;
	struct list jobs;
	struct record *current;
	struct timer timer;
	struct save *saving;
	bool dirty;
};

static json_t *jobs_to_json(const struct history *h)
{
	json_t *jobs = json_array();
	list_each (it, &h->jobs)
		json_array_append_new(jobs, record_to_json(list_entry(it, struct record, node)));
	return jobs;
}

/* ---- failures ---- */

static void failure_clear(struct failure *f)
{
	free(f->text);
	free(f->remedy);
	*f = (struct failure){0};
}

static void failure_set(struct failure *f, const char *text, const char *remedy, int64_t at_ms)
{
	text_replace_short(&f->text, text ? text : "no reason given");
	text_replace_short(&f->remedy, remedy);
	f->at_ms = at_ms;
}

static json_t *failure_to_json(const struct failure *f) /* NULL for none */
{
	if (!f->text)
		return NULL;
	json_t *o = json_object();
	json_set_text(o, "text", f->text);
	json_set_text(o, "remedy", f->remedy);
	record_set_time(o, "at", f->at_ms);
	return o;
}

static void failure_load(struct failure *f, const json_t *o)
{
	int64_t at_ms = 0;
	const char *text = json_string_value(json_object_get(o, "text"));
	const char *at = json_string_value(json_object_get(o, "at"));
	if (text && at && time_parse(at, &at_ms))
		failure_set(f, text, json_string_value(json_object_get(o, "remedy")), at_ms);
}

/* ---- the file ---- */

static void keep(struct history *h, struct record *r)
{
	list_push_back(&h->jobs, &r->node);
	if (h->jobs.len > MAX_JOBS) {
		struct record *old = list_entry(list_first(&h->jobs), struct record, node);
		if (h->current == old)
			h->current = NULL;
		list_remove(&h->jobs, &old->node);
		record_free(old);
	}
}

static void load(struct history *h)
{
	auto_free char *text = NULL;
	size_t len = 0;
	if (fs_read(h->path, MAX_FILE, &text, &len, NULL) < 0)
		return;
	json_t *root = json_loadb(text, len, 0, NULL);
	size_t i;
	json_t *job;
	json_array_foreach (json_object_get(root, "jobs"), i, job) {
		struct record *r = record_from_json(job);
		if (r)
			keep(h, r);
	}
	failure_load(&h->registration_failure, json_object_get(root, "registrationError"));
	failure_load(&h->session_failure, json_object_get(root, "sessionError"));
	json_decref(root);
}

static char *file_text(const struct history *h)
{
	json_t *root = json_pack("{s:i, s:o, s:o*, s:o*}", "version", 1, "jobs", jobs_to_json(h),
				 "registrationError", failure_to_json(&h->registration_failure),
				 "sessionError", failure_to_json(&h->session_failure));
	char *text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	return text;
}

/* History is a convenience: when it can't be saved the next change tries again. */
static void write_file(const char *path, const char *text)
{
	struct err e = ERR_INIT;
	if (fs_write_atomic(path, text, strlen(text), 0600, &e) < 0)
		err_clear(&e);
}

static void save_run(struct work *w)
{
	struct save *s = container_of(w, struct save, work);
	write_file(s->path, s->text);
}

static void save_due(void *arg);

static void save_after(struct work *w)
{
	struct save *s = container_of(w, struct save, work);
	struct history *h = s->owner;
	free(s->path);
	free(s->text);
	free(s);
	if (!h)
		return;
	h->saving = NULL;
	if (h->dirty)
		timer_start(&h->timer, h->clock, SAVE_MS, save_due, h);
}

static void save_due(void *arg)
{
	struct history *h = arg;
	struct save *s = xcalloc(1, sizeof *s);
	s->work.run = save_run;
	s->work.after = save_after;
	s->owner = h;
	s->path = xstrdup(h->path);
	s->text = file_text(h);
	h->saving = s;
	h->dirty = false;
	pool_submit(h->pool, &s->work);
}

static void changed(struct history *h)
{
	h->dirty = true;
	if (!h->saving && !timer_running(&h->timer))
		timer_start(&h->timer, h->clock, SAVE_MS, save_due, h);
}

/* ---- events ---- */

static struct record *find(const struct history *h, const char *job_id)
{
	for (struct list_node *n = h->jobs.head.prev; n != &h->jobs.head; n = n->prev) {
		struct record *r = list_entry(n, struct record, node);
		if (strcmp(r->job_id, job_id) == 0)
			return r;
	}
	return NULL;
}

static struct record *find_or_add(struct history *h, const struct event *e, int64_t now)
{
	struct record *r = find(h, e->job_id);
	if (r)
		return r;
	r = xcalloc(1, sizeof *r);
	r->job_id = xstrdup(e->job_id);
	r->state = xstrdup("");
	r->started_ms = now;
	keep(h, r);
	return r;
}

static void on_job(struct history *h, const struct event *e, int64_t now)
{
	if (!e->job_id || !e->state)
		return;
	struct record *r = find_or_add(h, e, now);
	if (state_ended(r->state) && !state_ended(e->state))
		r->started_ms = now;
	record_update(r, e);
	r->updated_ms = now;
	if (record_in_slot(r))
		h->current = r;
	else if (h->current == r)
		h->current = NULL; /* what waits in the outbox does not run */
	if (h->current != r)
		r->has_progress = false;
	changed(h);
}

static void on_progress(struct history *h, const struct event *e)
{
	struct record *r = e->job_id ? find(h, e->job_id) : NULL;
	if (!r)
		return;
	r->has_progress = true;
	r->stage = e->stage;
	r->fraction = e->fraction;
	text_replace_short(&r->detail, e->detail);
}

/* What was wrong before is told by `failure` until the same thing works. */
static void on_failure(struct history *h, struct failure *f, const struct event *e, int64_t now)
{
	failure_set(f, e->detail, e->remedy, now);
	changed(h);
}

static void works_again(struct history *h, struct failure *f)
{
	if (!f->text)
		return;
	failure_clear(f);
	changed(h);
}

static void on_registration(struct history *h, const struct event *e, int64_t now)
{
	str_replace(&h->registration, e->state);
	if (e->flag) {
		on_failure(h, &h->registration_failure, e, now);
		return;
	}
	text_replace_short(&h->registration_detail, e->detail);
	works_again(h, &h->registration_failure);
	if (e->state && strcmp(e->state, "approved") != 0)
		works_again(h, &h->session_failure); /* of a token that is gone */
}

static void on_session(struct history *h, const struct event *e, int64_t now)
{
	if (!e->state)
		return;
	if (e->flag)
		on_failure(h, &h->session_failure, e, now);
	else if (strcmp(e->state, "serving") == 0)
		works_again(h, &h->session_failure);
	if (!h->session || strcmp(h->session, e->state) != 0)
		h->session_since_ms = now;
	str_replace(&h->session, e->state);
	text_replace_short(&h->session_detail, e->flag ? NULL : e->detail);
}

static void on_event(struct observer *o, const struct event *e)
{
	struct history *h = container_of(o, struct history, observer);
	int64_t now = e->wall_ms ? e->wall_ms : clock_wall(h->clock);
	switch (e->type) {
	case EVENT_REGISTRATION:
		on_registration(h, e, now);
		break;
	case EVENT_SESSION:
		on_session(h, e, now);
		break;
	case EVENT_HEARTBEAT:
		h->heartbeat_ms = now;
		break;
	case EVENT_PAUSED:
		h->paused = e->flag;
		break;
	case EVENT_JOB:
		on_job(h, e, now);
		break;
	case EVENT_PROGRESS:
		on_progress(h, e);
		break;
	case EVENT_OUTBOX:
		h->outbox = e->count;
		break;
	}
}

/* ---- life ---- */

struct history *history_new(struct clock *clock, struct pool *pool, struct events *ev,
			    const char *state_dir)
{
	struct history *h = xcalloc(1, sizeof *h);
	h->clock = clock;
	h->pool = pool;
	h->events = ev;
	h->path = fs_join(state_dir, "history.json");
	list_init(&h->jobs);
	load(h);
	h->observer.event = on_event;
	events_subscribe(ev, &h->observer);
	return h;
}

static void save_now(struct history *h)
{
	auto_free char *text = file_text(h);
	write_file(h->path, text);
}

void history_free(struct history *h)
{
	if (!h)
		return;
	events_unsubscribe(h->events, &h->observer);
	timer_stop(&h->timer);
	if (h->saving)
		h->saving->owner = NULL;
	if (h->dirty)
		save_now(h);
	list_each_safe (it, &h->jobs)
		record_free(list_entry(it, struct record, node));
	free(h->path);
	failure_clear(&h->registration_failure);
	failure_clear(&h->session_failure);
	free(h->registration);
	free(h->registration_detail);
	free(h->session);
	free(h->session_detail);
	free(h);
}

/* ---- status ---- */

static json_t *state_to_json(const char *state, const char *detail, const struct failure *f)
{
	json_t *o = json_object();
	json_set_text(o, "state", state ? state : "unknown");
	json_set_text(o, "detail", detail);
	if (f->text)
		json_object_set_new(o, "lastError", failure_to_json(f));
	return o;
}

json_t *history_status(const struct history *h)
{
	json_t *root = json_object();
	json_object_set_new(
	    root, "registration",
	    state_to_json(h->registration, h->registration_detail, &h->registration_failure));
	json_t *session = state_to_json(h->session, h->session_detail, &h->session_failure);
	record_set_time(session, "since", h->session_since_ms);
	record_set_time(session, "lastHeartbeat", h->heartbeat_ms);
	json_object_set_new(root, "session", session);
	json_object_set_new(root, "paused", json_boolean(h->paused));
	json_object_set_new(root, "currentJob", record_to_json_live(h->current));
	json_object_set_new(root, "jobs", jobs_to_json(h));
	json_object_set_new(root, "outbox", json_integer((json_int_t)h->outbox));
	return root;
}
