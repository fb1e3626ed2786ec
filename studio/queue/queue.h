/* queue.h - the states of a job and the retry policy, over the storage seam. Knows no socket.
 *
 *   queued ──reserve──▶ offered ──accept──▶ claimed ──result──▶ done
 *     ▲ ▲                  │                   │
 *     │ └── withdrawn, ────┘                   ├── retryable, attempts left ──▶ queued
 *     │     transient reject                   ├── claim released ───────────▶ queued
 *     └────────── retry ── failed ◀────────────┘   not retryable, or the third failure
 *
 *   queued, offered, claimed ──cancel──▶ failed "cancelled", keeping the worker's id
 *
 * Every change is one conditional storage step; `changed` false means somebody else was first.
 * SPDX-License-Identifier: MIT */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rng.h"
#include "studio/storage/storage.h"

#define QUEUE_MAX_ATTEMPTS 3

struct queue;
struct queue_deps {
	struct clock *clock;
	struct log *log;
	struct rng *rng;
	struct storage *storage;
};
/* Called after each change, with the job as it is now (the hub dispatches from it, observers show
 * it). */
typedef void queue_changed(void *arg, const struct job_record *job);
/* err->code 0: asked and answered; job is NULL only on errors. */
typedef void queue_done(void *arg, const struct err *err, bool changed,
			const struct job_record *job);

struct queue *queue_new(const struct queue_deps *d);
void queue_free(struct queue *q); /* steps under way are forgotten; close the storage in the same
				     turn of the loop */
void queue_subscribe(struct queue *q, queue_changed *fn,
		     void *arg); /* up to 4; called before the step's own done */

/* Fills id, created_ms and state of a copy and inserts it. */
void queue_submit(struct queue *q, const struct job_record *job, queue_done *done, void *arg);
void queue_reserve(struct queue *q, const char *job_id, const char *worker_id, queue_done *done,
		   void *arg);
void queue_accept(struct queue *q, const char *job_id, const char *worker_id, bool resumable,
		  queue_done *done, void *arg);
/* queued → claimed without an offer: the worker holds the job or its result already (resume, an
 * accept that came too late). Not changed when somebody else was given the job. */
void queue_reclaim(struct queue *q, const char *job_id, const char *worker_id, bool resumable,
		   queue_done *done, void *arg);
/* Back to queued without an attempt: offer withdrawn, transient reject, claim of a lost worker. */
void queue_release(struct queue *q, const char *job_id, const char *worker_id, const char *why,
		   queue_done *done, void *arg);
void queue_fail(struct queue *q, const char *job_id, const char *worker_id, const char *error,
		bool retryable, queue_done *done, void *arg);
void queue_complete_json(struct queue *q, const char *job_id, const char *worker_id,
			 const json_t *result, const char *prompt, queue_done *done, void *arg);
void queue_complete_blob(struct queue *q, const char *job_id, const char *worker_id,
			 const char *blob, const char *ext, const char *sha256, int64_t bytes,
			 const char *prompt, queue_done *done, void *arg);
void queue_retry(struct queue *q, const char *job_id, queue_done *done,
		 void *arg); /* failed → queued, attempts 0 */
void queue_cancel(struct queue *q, const char *job_id, queue_done *done,
		  void *arg); /* queued, offered, claimed → failed "cancelled" */

#endif
