/* intake.h - a result that arrives by HTTP: checked, streamed to the blob store, accepted
 * (docs/protocol.md, sections 1, 7). Free of HTTP itself so that the simulator drives it: the route
 * in studio/api feeds it.
 *
 *   begin ──checked──▶ (field, file, data)* ──finish──▶ answer
 *
 * SPDX-License-Identifier: MIT */
#ifndef HUB_INTAKE_H
#define HUB_INTAKE_H

#include "lib/base/secret.h"
#include "studio/blob/blob.h"
#include "studio/hub/hub.h"

struct intake; /* one upload */
struct intake_deps {
	struct queue *queue;
	struct storage *storage;
	struct blob_store *blobs;
	struct hub *hub;
	struct log *log;
	struct rng *rng;    /* for the names of blobs */
	uint64_t max_bytes; /* of one result */
};
struct intake_events {
	/* Token, worker and claim were checked; 0: send the body, else the HTTP status that ends it
	 * (401, 404, 409, 410). The intake is gone after a non-zero status. */
	void (*checked)(void *arg, int status, const char *code, const char *text);
	/* After finish: 200 with code NULL, or the status that refuses it. The intake is gone after
	 * it. */
	void (*answer)(void *arg, int status, const char *code, const char *text);
};
struct intake *intake_begin(const struct intake_deps *d, const char *worker_id, const char *job_id,
			    const struct secret *bearer, const struct intake_events *ev, void *arg);
/* prompt, ext; others are ignored. Negative: refused (too long, bad ext); answer with 400. */
int intake_field(struct intake *i, const char *name, const char *value, size_t len,
		 struct err *e) MUST_CHECK;
int intake_data(struct intake *i, const void *data, size_t len, struct err *e) MUST_CHECK;
/* The body is whole: commit the blob (fsync), then move the job to done, then answer. A done job
 * with the same bytes by the same worker is 200 again; a claim that is not this worker's is 409. */
void intake_finish(struct intake *i);
/* The client left; NULL allowed. After finish the result is still accepted, only nobody is
 * answered. Not after a non-zero `checked` or an `answer`. */
void intake_abort(struct intake *i);

#endif
