/* backlog.c - queued jobs by shape.
 * SPDX-License-Identifier: MIT */
#include "studio/hub/backlog.h"

#include <string.h>

#include "lib/base/mem.h"

static void free_shape(struct backlog *b, struct shape *s)
{
	HASH_DEL(b->shapes, s);
	free(s->key);
	free(s->model);
	free(s->engine);
	free(s);
}

static void free_job(struct backlog *b, struct backlog_job *j)
{
	struct shape *s = j->shape;
	list_remove(&s->jobs, &j->node);
	HASH_DEL(b->jobs, j);
	free(j->id);
	free(j);
	if (list_empty(&s->jobs))
		free_shape(b, s);
}

void backlog_fini(struct backlog *b)
{
	struct backlog_job *j, *tmp;
	HASH_ITER (hh, b->jobs, j, tmp)
		free_job(b, j);
}

static const char *engine_of(const struct job_record *job)
{
	const char *engine = json_string_value(json_object_get(job->source, "engine"));
	return engine ? engine : "";
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

char *shape_key(const struct job_record *job)
{
	return xasprintf("%s\n%s\n%s\n%.17g", or_empty(job->kind), or_empty(job->model),
			 engine_of(job), job->vram_gb_estimate);
}

static struct shape *shape_of(struct backlog *b, const struct job_record *job)
{
	auto_free char *key = shape_key(job);
	struct shape *s;
	HASH_FIND_STR(b->shapes, key, s);
	if (s)
		return s;
	s = xcalloc(1, sizeof(*s));
	s->key = steal(&key);
	s->model = xstrdup(or_empty(job->model));
	s->engine = xstrdup(engine_of(job));
	s->kind_known = kind_parse(or_empty(job->kind), &s->kind);
	s->vram_gb = job->vram_gb_estimate;
	list_init(&s->jobs);
	HASH_ADD_KEYPTR(hh, b->shapes, s->key, strlen(s->key), s);
	return s;
}

static int64_t seq_of(const struct list_node *n)
{
	return list_entry(n, const struct backlog_job, node)->seq;
}

/* The node to insert after: new jobs belong at the end, requeued ones near the front. */
static struct list_node *place(struct shape *s, int64_t seq)
{
	struct list_node *head = &s->jobs.head;
	struct list_node *at;
	if (list_empty(&s->jobs) || seq_of(head->prev) < seq)
		return head->prev;
	if (seq - seq_of(head->next) > seq_of(head->prev) - seq) {
		for (at = head->prev; at != head && seq_of(at) > seq; at = at->prev)
			;
		return at;
	}
	for (at = head; at->next != head && seq_of(at->next) < seq; at = at->next)
		;
	return at;
}

struct backlog_job *backlog_add(struct backlog *b, const struct job_record *job)
{
	struct backlog_job *j;
	HASH_FIND_STR(b->jobs, job->id, j);
	if (j)
		return NULL;
	j = xcalloc(1, sizeof(*j));
	j->id = xstrdup(job->id);
	j->seq = job->seq;
	j->shape = shape_of(b, job);
	list_insert_after(&j->shape->jobs, place(j->shape, j->seq), &j->node);
	HASH_ADD_KEYPTR(hh, b->jobs, j->id, strlen(j->id), j);
	return j;
}

void backlog_take(struct backlog *b, const char *job_id, bool taken)
{
	struct backlog_job *j;
	HASH_FIND_STR(b->jobs, job_id, j);
	if (j)
		j->taken = taken;
}

void backlog_remove(struct backlog *b, const char *job_id)
{
	struct backlog_job *j;
	HASH_FIND_STR(b->jobs, job_id, j);
	if (j)
		free_job(b, j);
}

static struct backlog_job *
first_of(const struct shape *s, bool (*skip)(const void *arg, const char *job_id), const void *arg)
{
	list_each (it, &s->jobs) {
		struct backlog_job *j = list_entry(it, struct backlog_job, node);
		if (!j->taken && !skip(arg, j->id))
			return j;
	}
	return NULL;
}

struct backlog_job *backlog_oldest(const struct backlog *b,
				   bool (*fits)(const void *arg, const struct shape *s),
				   bool (*skip)(const void *arg, const char *job_id),
				   const void *arg)
{
	struct backlog_job *best = NULL;
	for (struct shape *s = b->shapes; s; s = s->hh.next) {
		if (!fits(arg, s))
			continue;
		struct backlog_job *j = first_of(s, skip, arg);
		if (j && (!best || j->seq < best->seq))
			best = j;
	}
	return best;
}
