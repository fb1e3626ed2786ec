/* submit_route.c - POST /jobs: looks the model up, checks the job against it, queues it.
 * SPDX-License-Identifier: MIT */
#include <errno.h>

#include "studio/api/call.h"
#include "studio/api/job_json.h"
#include "studio/api/routes.h"

static void job_queued(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	struct log *log = ((struct call *)arg)->deps->log;
	struct request *r = call_resume(arg);

	(void)changed;
	if (r && reply_fine(r, err, log, NULL, NULL))
		respond_json(r, 201, job_encode(job, true));
}

static void model_known(void *arg, const struct storage_reply *reply)
{
	struct call *c = arg;
	struct request *r = c->request;
	struct job_record job;
	struct err e = ERR_INIT;
	bool found = reply->err->code != ENOENT;
	int rc;

	if (!r || (found && !reply_fine(r, reply->err, c->deps->log, NULL, NULL))) {
		call_drop(c);
		return;
	}
	rc = job_decode(c->data, found ? &reply->models[0] : NULL, &job, &e);
	if (rc < 0) {
		call_drop(c);
		respond_error(r, 400, rc == -ENOENT ? "unknown_model" : "bad_request", "%s",
			      e.text);
		return;
	}
	queue_submit(c->deps->queue, &job, job_queued, c);
	job_record_fini(&job);
}

static void body_free(void *data)
{
	json_decref(data);
}

void job_submit(struct request *r, void *arg)
{
	struct err e = ERR_INIT;
	json_t *body = request_json(r);
	const char *model;
	struct call *c;
	struct storage *s;

	if (!body)
		return;
	model = job_decode_model(body, &e);
	if (!model) {
		respond_error(r, 400, "bad_request", "%s", e.text);
		json_decref(body);
		return;
	}
	c = call_new(r, arg);
	c->data = body;
	c->data_free = body_free;
	s = c->deps->storage;
	s->ops->model_get(s, model, model_known, call_hold(c));
}
