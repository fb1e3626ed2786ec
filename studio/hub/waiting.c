/* waiting.c - why a job waits, in a sentence.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "studio/hub/parts.h"

#define TEXT_MAX  2000
#define NAMED_MAX 3 /* refusals that are quoted */

/* What the connected workers are to one shape. */
struct view {
	size_t connected, fitting, refusing, unwilling, busy;
	struct buf refusals;
};

static void look(struct view *v, const struct session *s, const struct shape *shape)
{
	v->connected++;
	if (!worker_fits(s, shape))
		return;
	v->fitting++;
	const struct refusal *r = session_refusal(s, shape->key);
	if (r && v->refusing++ < NAMED_MAX)
		(void)!buf_printf(&v->refusals, "%s%s refused it: %s", v->refusals.len ? "; " : "",
				  s->worker_id, r->why);
	else if (!r && !worker_willing(s) && !s->current_job)
		v->unwilling++;
	else if (!r)
		v->busy++;
}

static char *sentence(const struct view *v)
{
	if (!v->connected)
		return xstrdup("no worker is connected");
	if (!v->fitting)
		return xasprintf("none of the %zu connected worker(s) offers this model, kind and "
				 "GPU memory",
				 v->connected);
	if (v->refusing == v->fitting)
		return xasprintf("%s%s; asked again within a minute", v->refusals.data,
				 v->refusing > NAMED_MAX ? "; and others" : "");
	if (v->busy)
		return xasprintf("waits for a free worker; %zu serve%s it%s%s", v->busy,
				 v->busy == 1 ? "s" : "", v->refusing ? "; " : "",
				 v->refusing ? v->refusals.data : "");
	return xasprintf("%zu worker(s) that serve it are paused or in use by their owners%s%s",
			 v->unwilling, v->refusing ? "; " : "",
			 v->refusing ? v->refusals.data : "");
}

char *hub_job_waiting(const struct hub *h, const struct job_record *job)
{
	struct backlog_job *entry;
	struct view v = {0};
	if (job->state != JOB_QUEUED)
		return NULL;
	HASH_FIND_STR(h->backlog.jobs, job->id, entry);
	if (!entry)
		return NULL; /* on its way to a worker or back */
	buf_init(&v.refusals, TEXT_MAX);
	list_each (it, &h->sessions)
		look(&v, list_entry(it, struct session, node), entry->shape);
	char *text = sentence(&v);
	buf_fini(&v.refusals);
	return text;
}
