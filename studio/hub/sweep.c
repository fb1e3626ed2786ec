/* sweep.c - once a start: blobs that no job refers to are removed.
 * First the names, then, when every upload that was under way has long been stored or refused, the
 * jobs: a blob whose job is just being moved to done must not be taken for an orphan.
 * SPDX-License-Identifier: MIT */
#include "studio/hub/sweep.h"

#include <string.h>
#include <uthash.h>

#include "lib/base/mem.h"

#define SETTLE_MS 300000
#define PAGE	  500

struct orphan {
	UT_hash_handle hh;
	char *name;
};

struct sweep {
	struct clock *clock;
	struct log *log;
	struct storage *storage;
	struct blob_store *blobs;
	struct timer timer;
	struct orphan *orphans; /* until their job is found */
	int64_t seq;
};

static void forget(struct sweep *s, struct orphan *o)
{
	HASH_DEL(s->orphans, o);
	free(o->name);
	free(o);
}

static void forget_all(struct sweep *s)
{
	struct orphan *o = s->orphans;
	HASH_CLEAR(hh, s->orphans);
	while (o) {
		struct orphan *next = o->hh.next;
		free(o->name);
		free(o);
		o = next;
	}
}

static void remove_orphans(struct sweep *s)
{
	for (struct orphan *o = s->orphans; o; o = o->hh.next) {
		log_info(s->log, "intake", NULL, "removing result %s, which no job refers to",
			 o->name);
		s->blobs->ops->remove(s->blobs, o->name);
	}
	forget_all(s);
}

static void read_jobs(void *arg);

static void jobs_read(void *arg, const struct storage_reply *r)
{
	struct sweep *s = arg;
	if (r->err->code) {
		log_warn(s->log, "intake", NULL, "old results not swept: %s", r->err->text);
		forget_all(s);
		return;
	}
	for (size_t i = 0; i < r->n; i++) {
		struct orphan *o = NULL;
		s->seq = r->jobs[i].seq;
		if (r->jobs[i].blob)
			HASH_FIND_STR(s->orphans, r->jobs[i].blob, o);
		if (o)
			forget(s, o);
	}
	if (r->n == PAGE && s->orphans)
		read_jobs(s);
	else
		remove_orphans(s);
}

static void read_jobs(void *arg)
{
	struct sweep *s = arg;
	struct job_filter f = {.columns = JOB_LABELS, .after_seq = s->seq, .limit = PAGE};
	s->storage->ops->job_list(s->storage, &f, jobs_read, s);
}

static void listed(void *arg, const struct err *err, char *const *names, size_t n)
{
	struct sweep *s = arg;
	if (err->code) {
		log_warn(s->log, "intake", NULL, "old results not swept: %s", err->text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct orphan *o = xcalloc(1, sizeof(*o));
		o->name = xstrdup(names[i]);
		HASH_ADD_KEYPTR(hh, s->orphans, o->name, strlen(o->name), o);
	}
	if (n)
		timer_start(&s->timer, s->clock, SETTLE_MS, read_jobs, s);
}

struct sweep *sweep_start(struct clock *clock, struct log *log, struct storage *storage,
			  struct blob_store *blobs)
{
	struct sweep *s = xcalloc(1, sizeof(*s));
	s->clock = clock;
	s->log = log;
	s->storage = storage;
	s->blobs = blobs;
	blobs->ops->list(blobs, listed, s);
	return s;
}

void sweep_free(struct sweep *s)
{
	if (!s)
		return;
	timer_stop(&s->timer);
	forget_all(s);
	free(s);
}
