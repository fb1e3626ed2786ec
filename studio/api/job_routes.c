/* job_routes.c - the operator's view of the jobs: one, its result, cancel or remove, retry. The
 * list is in job_list.c. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/net/url.h"
#include "studio/api/call.h"
#include "studio/api/job_json.h"
#include "studio/api/routes.h"

#define NO_JOB "no job has this id"

static bool job_fine(struct request *r, const struct err *err, struct log *log)
{
	return reply_fine(r, err, log, "not_found", NO_JOB);
}

static void job_got(void *arg, const struct storage_reply *reply)
{
	struct api_deps *d = ((struct call *)arg)->deps;
	struct request *r = call_resume(arg);
	auto_free char *waiting = NULL;
	json_t *o, *progress;

	if (!r || !job_fine(r, reply->err, d->log))
		return;
	o = job_encode(&reply->jobs[0], true);
	progress = hub_job_progress(d->hub, reply->jobs[0].id);
	if (progress)
		json_object_set_new(o, "progress", progress);
	waiting = hub_job_waiting(d->hub, &reply->jobs[0]);
	json_set_text(o, "waiting", waiting);
	respond_json(r, 200, o);
}

void job_get(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);
	struct storage *s = c->deps->storage;

	s->ops->job_get(s, request_param(r, "jobId"), job_got, call_hold(c));
}

/* ---- result ---- */

static void answer_file(struct request *r, struct api_deps *d, const struct job_record *j)
{
	struct err e = ERR_INIT;
	auto_free char *path = d->blobs->ops->path(d->blobs, j->blob, &e);
	auto_free char *name = xasprintf("%s.%s", j->id, j->ext ? j->ext : "bin");

	if (!path) {
		log_error(d->log, "api", j->id, "result cannot be served: %s", e.text);
		respond_error(r, 500, "internal_error",
			      "the result's file is missing from the studio's store");
		return;
	}
	respond_file(r, path, content_type_of_ext(j->ext ? j->ext : ""), name);
}

static void result_got(void *arg, const struct storage_reply *reply)
{
	struct api_deps *d = ((struct call *)arg)->deps;
	struct request *r = call_resume(arg);
	const struct job_record *j;

	if (!r || !job_fine(r, reply->err, d->log))
		return;
	j = &reply->jobs[0];
	if (j->state == JOB_FAILED)
		respond_error(r, 409, "job_failed", "the job failed: %s",
			      j->error ? j->error : "no reason given");
	else if (j->state != JOB_DONE)
		respond_error(r, 409, "not_ready", "the job is %s; there is no result yet",
			      job_state_name(j->state));
	else if (j->blob)
		answer_file(r, d, j);
	else
		respond_json(r, 200, j->result ? json_deep_copy(j->result) : json_null());
}

void job_result(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);
	struct storage *s = c->deps->storage;

	s->ops->job_get(s, request_param(r, "jobId"), result_got, call_hold(c));
}

/* ---- cancel or remove ---- */

static void job_removed(void *arg, const struct storage_reply *reply)
{
	struct call *c = arg;
	struct api_deps *d = c->deps;
	const struct job_record *j = reply->jobs;
	struct request *r;

	/* Also when the client left meanwhile: nothing points to the file any more. */
	if (!reply->err->code && reply->changed && j[0].blob)
		d->blobs->ops->remove(d->blobs, j[0].blob);
	r = call_resume(c);
	if (!r || !job_fine(r, reply->err, d->log))
		return;
	if (reply->changed)
		respond_json(r, 200, json_pack("{s:s, s:b}", "id", j[0].id, "deleted", 1));
	else
		respond_error(r, 409, "conflict", "the job has just become %s; try again",
			      job_state_name(j[0].state));
}

static void job_cancelled(void *arg, const struct err *err, bool changed,
			  const struct job_record *job)
{
	struct call *c = arg;
	struct api_deps *d = c->deps;
	struct request *r;

	if (!err->code && changed)
		hub_job_cancelled(d->hub, job);
	r = call_resume(c);
	if (!r || !job_fine(r, err, d->log))
		return;
	if (changed)
		respond_json(r, 200, job_encode(job, true));
	else
		respond_error(r, 409, "conflict", "the job has just become %s; try again",
			      job_state_name(job->state));
}

static void job_to_delete(void *arg, const struct storage_reply *reply)
{
	struct call *c = arg;
	struct storage *s = c->deps->storage;
	const struct job_record *j = reply->err->code ? NULL : &reply->jobs[0];

	if (!j || !c->request) {
		struct log *log = c->deps->log;
		struct request *r = call_resume(c);
		if (r)
			job_fine(r, reply->err, log);
		return;
	}
	if (j->state == JOB_DONE || j->state == JOB_FAILED) {
		s->ops->job_delete(s, j->id, job_removed, c);
		return;
	}
	queue_cancel(c->deps->queue, j->id, job_cancelled, c);
}

void job_delete(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);
	struct storage *s = c->deps->storage;

	s->ops->job_get(s, request_param(r, "jobId"), job_to_delete, call_hold(c));
}

/* ---- retry ---- */

static void job_retried(void *arg, const struct err *err, bool changed,
			const struct job_record *job)
{
	struct log *log = ((struct call *)arg)->deps->log;
	struct request *r = call_resume(arg);

	if (!r || !job_fine(r, err, log))
		return;
	if (changed)
		respond_json(r, 200, job_encode(job, true));
	else
		respond_error(r, 409, "not_failed",
			      "the job is %s; only a failed one can be retried",
			      job_state_name(job->state));
}

void job_retry(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);

	queue_retry(c->deps->queue, request_param(r, "jobId"), job_retried, call_hold(c));
}
