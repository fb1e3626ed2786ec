/* hub.h - the connected workers: their sessions, the offers and claims they hold (docs/protocol.md,
 * sections 4, 6, 8). Driven by events only: the transport, the clock, the storage and the queue
 * come from outside. SPDX-License-Identifier: MIT */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <jansson.h>

#include "lib/net/transport.h"
#include "studio/queue/queue.h"

/* Bytes of the first frame: capabilities with all their models, thousands of them. A stranger may
 * make us hold and parse no more. */
#define HUB_HELLO_MAX (256u << 10)

struct hub;
struct hub_deps {
	struct clock *clock;
	struct log *log;
	struct queue *queue;
	struct storage *storage;
	uint64_t
	    grace_ms; /* 60,000: how long a lost worker that announced `resume` keeps its claims */
	uint64_t offer_ms; /* 10,000: accept or the offer is withdrawn */
	uint64_t idle_ms;  /* 30,000: without a heartbeat */
	uint64_t hello_ms; /* 10,000: to say hello */
};
/* Reads the claims and offers in storage: those of workers that can't resume are released, the
 * others after grace. */
struct hub *hub_new(const struct hub_deps *d);
void hub_free(struct hub *h); /* closes all sockets with 1001 */
/* A worker's socket opened. The bearer is checked against storage before anything is answered;
 * hello.authToken too. */
void hub_connect(struct hub *h, struct conn *conn, const char *worker_id,
		 const struct secret *bearer);
/* The worker was deleted: its socket is closed with 4004 and its claims are released. */
void hub_worker_deleted(struct hub *h, const char *worker_id);
/* A job was cancelled by an operator: tells its worker when that knows `cancel`. */
void hub_job_cancelled(struct hub *h, const struct job_record *job);
/* Bytes of the job's result came in: the claim of a slow upload does not run out. */
void hub_upload_alive(struct hub *h, const char *worker_id, const char *job_id);
/* completeAck on the worker's socket after an upload, when it is connected. */
void hub_upload_done(struct hub *h, const char *worker_id, const char *job_id);

/* What the API shows; new references. {state: "connected"|"lost"|…, since, currentJob,
 * lastHeartbeat, features, capabilities} or NULL when not connected. */
json_t *hub_worker_status(const struct hub *h, const char *worker_id);
/* Why a queued job is not at work yet, for people; NULL when it is not queued here. free() it. */
char *hub_job_waiting(const struct hub *h, const struct job_record *job);
/* {stage, fraction, detail, at} of a job in work, or NULL. */
json_t *hub_job_progress(const struct hub *h, const char *job_id);

#endif
