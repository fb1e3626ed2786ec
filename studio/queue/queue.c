/* queue.c - each transition of a job is one job_move; this file is the list of them.
 * SPDX-License-Identifier: MIT */
#include "studio/queue/queue.h"

#include <stdio.h>

#include "lib/base/list.h"
#include "lib/base/mem.h"

#define MAX_SUBSCRIBERS 4

struct subscriber {
	queue_changed *fn;
	void *arg;
};

struct queue {
	struct queue_deps d;
	struct subscriber subscribers[MAX_SUBSCRIBERS];
	size_t n_subscribers;
	struct list steps; /* asked of the storage, not answered */
};

/* One transition under way. */
struct step {
	struct list_node node;
	struct queue *queue;
	const char *name; /* for the log */
	queue_done *done;
	void *arg;
};

struct queue *queue_new(const struct queue_deps *d)
{
	struct queue *q = xcalloc(1, sizeof(*q));
	q->d = *d;
	list_init(&q->steps);
	return q;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	struct list_node *n;
	while ((n = list_pop_front(&q->steps)))
		free(list_entry(n, struct step, node));
	free(q);
}

void queue_subscribe(struct queue *q, queue_changed *fn, void *arg)
{
	if (q->n_subscribers == MAX_SUBSCRIBERS)
		abort();
	q->subscribers[q->n_subscribers++] = (struct subscriber){fn, arg};
}

static void publish(struct queue *q, const char *name, const struct job_record *job)
{
	log_info(q->d.log, "queue", job->id, "%s: job is %s attempts=%lld worker=%s%s%s", name,
		 job_state_name(job->state), (long long)job->attempts,
		 job->worker_id ? job->worker_id : "-", job->error ? " error=" : "",
		 job->error ? job->error : "");
	for (size_t i = 0; i < q->n_subscribers; i++)
		q->subscribers[i].fn(q->subscribers[i].arg, job);
}

static struct step *start(struct queue *q, const char *name, queue_done *done, void *arg)
{
	struct step *s = xcalloc(1, sizeof(*s));
	s->queue = q;
	s->name = name;
	s->done = done;
	s->arg = arg;
	list_push_back(&q->steps, &s->node);
	return s;
}

static void finish(void *arg, const struct storage_reply *r)
{
	struct step *s = arg;
	const struct job_record *job = r->err->code || !r->n ? NULL : &r->jobs[0];
	list_remove(&s->queue->steps, &s->node);
	if (job && r->changed)
		publish(s->queue, s->name, job);
	if (s->done)
		s->done(s->arg, r->err, r->changed && job, job);
	free(s);
}

static void move(struct queue *q, const char *name, const struct job_move *m, queue_done *done,
		 void *arg)
{
	q->d.storage->ops->job_move(q->d.storage, m, finish, start(q, name, done, arg));
}

void queue_submit(struct queue *q, const struct job_record *job, queue_done *done, void *arg)
{
	char hex[33];
	char id[40];
	struct job_record j = *job;
	rng_hex(q->d.rng, hex, 16);
	snprintf(id, sizeof(id), "job-%s", hex);
	j.id = id;
	j.seq = 0;
	j.state = JOB_QUEUED;
	j.created_ms = clock_wall(q->d.clock);
	q->d.storage->ops->job_insert(q->d.storage, &j, finish, start(q, "submit", done, arg));
}

void queue_reserve(struct queue *q, const char *job_id, const char *worker_id, queue_done *done,
		   void *arg)
{
	struct job_move m = {
	    .id = job_id,
	    .from = JOB_BIT(JOB_QUEUED),
	    .to = JOB_OFFERED,
	    .set_worker = true,
	    .worker_id = worker_id,
	};
	move(q, "reserve", &m, done, arg);
}

void queue_accept(struct queue *q, const char *job_id, const char *worker_id, bool resumable,
		  queue_done *done, void *arg)
{
	struct job_move m = {
	    .id = job_id,
	    .from = JOB_BIT(JOB_OFFERED),
	    .if_worker = worker_id,
	    .to = JOB_CLAIMED,
	    .set_worker = true,
	    .worker_id = worker_id,
	    .resumable = resumable,
	    .claimed_ms = clock_wall(q->d.clock),
	};
	move(q, "accept", &m, done, arg);
}

void queue_reclaim(struct queue *q, const char *job_id, const char *worker_id, bool resumable,
		   queue_done *done, void *arg)
{
	struct job_move m = {
	    .id = job_id,
	    .from = JOB_BIT(JOB_QUEUED),
	    .if_last_worker = worker_id,
	    .to = JOB_CLAIMED,
	    .set_worker = true,
	    .worker_id = worker_id,
	    .resumable = resumable,
	    .claimed_ms = clock_wall(q->d.clock),
	};
	move(q, "reclaim", &m, done, arg);
}

void queue_release(struct queue *q, const char *job_id, const char *worker_id, const char *why,
		   queue_done *done, void *arg)
{
	struct job_move m = {
	    .id = job_id,
	    .from = JOB_BIT(JOB_OFFERED) | JOB_BIT(JOB_CLAIMED),
	    .if_worker = worker_id,
	    .to = JOB_QUEUED,
	    .set_worker = true,
	    .claimed_ms = -1,
	};
	log_info(q->d.log, "queue", job_id, "releasing job of worker %s: %s", worker_id, why);
	move(q, "release", &m, done, arg);
}

void queue_fail(struct queue *q, const char *job_id, const char *worker_id, const char *error,
		bool retryable, queue_done *done, void *arg)
{
	struct job_move m = {
	    .id = job_id,
	    .from = JOB_BIT(JOB_CLAIMED),
	    .if_worker = worker_id,
	    .to = retryable ? JOB_QUEUED : JOB_FAILED,
	    .set_worker = true,
	    .add_attempts = 1,
	    .give_up_at = QUEUE_MAX_ATTEMPTS,
	    .set_error = true,
	    .error = error,
	    .claimed_ms = retryable ? -1 : 0,
	    .finished_ms = clock_wall(q->d.clock),
	};
	move(q, "fail", &m, done, arg);
}

static struct job_move completion(struct queue *q, const char *job_id, const char *worker_id)
{
	return (struct job_move){
	    .id = job_id,
	    .from = JOB_BIT(JOB_CLAIMED),
	    .if_worker = worker_id,
	    .to = JOB_DONE,
	    .set_error = true,
	    .set_result = true,
	    .finished_ms = clock_wall(q->d.clock),
	};
}

void queue_complete_json(struct queue *q, const char *job_id, const char *worker_id,
			 const json_t *result, const char *prompt, queue_done *done, void *arg)
{
	struct job_move m = completion(q, job_id, worker_id);
	m.result = result;
	m.prompt = prompt;
	move(q, "complete", &m, done, arg);
}

void queue_complete_blob(struct queue *q, const char *job_id, const char *worker_id,
			 const char *blob, const char *ext, const char *sha256, int64_t bytes,
			 const char *prompt, queue_done *done, void *arg)
{
	struct job_move m = completion(q, job_id, worker_id);
	m.blob = blob;
	m.ext = ext;
	m.sha256 = sha256;
	m.bytes = bytes;
	m.prompt = prompt;
	move(q, "complete", &m, done, arg);
}

void queue_retry(struct queue *q, const char *job_id, queue_done *done, void *arg)
{
	struct job_move m = {
	    .id = job_id,
	    .from = JOB_BIT(JOB_FAILED),
	    .to = JOB_QUEUED,
	    .set_worker = true,
	    .reset_attempts = true,
	    .set_error = true,
	    .claimed_ms = -1,
	    .finished_ms = -1,
	};
	move(q, "retry", &m, done, arg);
}

void queue_cancel(struct queue *q, const char *job_id, queue_done *done, void *arg)
{
	/* worker_id stays: its worker still has to hear of it, and may answer late. */
	struct job_move m = {
	    .id = job_id,
	    .from = JOB_BIT(JOB_QUEUED) | JOB_BIT(JOB_OFFERED) | JOB_BIT(JOB_CLAIMED),
	    .to = JOB_FAILED,
	    .set_error = true,
	    .error = "cancelled",
	    .finished_ms = clock_wall(q->d.clock),
	};
	move(q, "cancel", &m, done, arg);
}
