/* sweep.c - removes results on disk that no job refers to.
 *
 *   list the blobs ──60 s──▶ strike out what jobs refer to, page by page ──▶ remove the rest
 *
 * SPDX-License-Identifier: MIT */
#include "studio/hub/sweep.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/base/mem.h"

#define SETTLE_MS 60000 /* a job is moved to done right after its blob was committed */
#define PAGE	  200

struct orphan {
	UT_hash_handle hh;
	char *name;
};
struct sweep {
	struct clock *clock;
	struct log *log;
	struct storage *storage;
	struct blob_store *blobs;
	struct timer settle;
	struct orphan *orphans;
	int64_t after;
};

static void strike_out(struct sweep *s, struct orphan *o)
{
	HASH_DEL(s->orphans, o);
	free(o->name);
	free(o);
}

static void remove_rest(struct sweep *s)
{
	struct orphan *o, *next;

	HASH_ITER(hh, s->orphans, o, next)
	{
		log_info(s->log, "hub", NULL, "removing result %s: no job refers to it", o->name);
		s->blobs->ops->remove(s->blobs, o->name);
		strike_out(s, o);
	}
}

static void look_at_page(struct sweep *s);

static void page_came(void *arg, const struct storage_reply *r)
{
	struct sweep *s = arg;

	if (r->err->code) {
		log_warn(s->log, "hub", NULL, "results without a job stay for now: %s",
			 r->err->text);
		return;
	}
	for (size_t i = 0; i < r->n; i++) {
		const struct job_record *j = &r->jobs[i];
		struct orphan *o = NULL;
		s->after = j->seq;
		if (j->blob)
			HASH_FIND_STR(s->orphans, j->blob, o);
		if (o)
			strike_out(s, o);
	}
	if (r->n == PAGE)
		look_at_page(s);
	else
		remove_rest(s);
}

static void look_at_page(struct sweep *s)
{
	struct job_filter f = {.after_seq = s->after, .limit = PAGE};

	s->storage->ops->job_list(s->storage, &f, page_came, s);
}

static void settled(void *arg)
{
	look_at_page(arg);
}

static void names_came(void *arg, const struct err *err, char *const *names, size_t n)
{
	struct sweep *s = arg;

	if (err->code) {
		log_warn(s->log, "hub", NULL, "the folder of results cannot be listed: %s",
			 err->text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct orphan *o = xcalloc(1, sizeof(*o));
		o->name = xstrdup(names[i]);
		HASH_ADD_KEYPTR(hh, s->orphans, o->name, strlen(o->name), o);
	}
	if (n)
		timer_start(&s->settle, s->clock, SETTLE_MS, settled, s);
}

struct sweep *sweep_start(struct clock *clock, struct log *log, struct storage *storage,
			  struct blob_store *blobs)
{
	struct sweep *s = xcalloc(1, sizeof(*s));

	*s = (struct sweep){.clock = clock, .log = log, .storage = storage, .blobs = blobs};
	blobs->ops->list(blobs, names_came, s);
	return s;
}

void sweep_free(struct sweep *s)
{
	struct orphan *o, *next;

	if (!s)
		return;
	timer_stop(&s->settle);
	HASH_ITER(hh, s->orphans, o, next)
	{
		strike_out(s, o);
	}
	free(s);
}
