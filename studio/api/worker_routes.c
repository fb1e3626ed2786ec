/* worker_routes.c - the operator's view of the workers: who is admitted, who is here, what they
 * log. SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "studio/api/call.h"
#include "studio/api/routes.h"

#define NO_WORKER   "no worker has this id"
#define LOGS_A_PAGE 500
#define LOGS_BYTES  (1u << 20) /* of texts in one answer; the rest by `after` */

static json_t *worker_json(const struct worker_record *w, const struct hub *hub)
{
	json_t *o = json_object(), *status = hub_worker_status(hub, w->id);

	json_set_text(o, "id", w->id);
	json_set_text(o, "installId", w->install_id);
	set_time(o, "createdAt", w->created_ms);
	set_time(o, "seenAt", w->seen_ms);
	if (w->capabilities)
		json_object_set_new(o, "capabilities", json_deep_copy(w->capabilities));
	if (status)
		json_object_set_new(o, "status", status);
	return o;
}

static void workers_listed(void *arg, const struct storage_reply *reply)
{
	struct api_deps *d = ((struct call *)arg)->deps;
	struct request *r = call_resume(arg);
	json_t *list;

	if (!r || !reply_fine(r, reply->err, d->log, NULL, NULL))
		return;
	list = json_array();
	for (size_t i = 0; i < reply->n; i++)
		json_array_append_new(list, worker_json(&reply->workers[i], d->hub));
	respond_json(r, 200, json_pack("{s:o}", "workers", list));
}

void worker_list(struct request *r, void *arg)
{
	struct call *c = call_new(r, arg);
	struct storage *s = c->deps->storage;

	s->ops->worker_list(s, workers_listed, call_hold(c));
}

static struct call *call_about(struct request *r, void *arg, const char *param)
{
	struct call *c = call_new(r, arg);

	c->data = xstrdup(request_param(r, param));
	c->data_free = free;
	return c;
}

static void worker_deleted(void *arg, const struct storage_reply *reply)
{
	struct call *c = arg;
	struct log *log = c->deps->log;
	auto_free char *id = xstrdup(c->data);
	struct request *r;

	/* Also when the client left meanwhile: the row is gone, so the socket has to go. */
	if (!reply->err->code)
		hub_worker_deleted(c->deps->hub, id);
	r = call_resume(c);
	if (r && reply_fine(r, reply->err, log, "not_found", NO_WORKER))
		respond_json(r, 200, json_pack("{s:s, s:b}", "id", id, "deleted", 1));
}

void worker_delete(struct request *r, void *arg)
{
	struct call *c = call_about(r, arg, "workerId");
	struct storage *s = c->deps->storage;

	s->ops->worker_delete(s, c->data, worker_deleted, call_hold(c));
}

static json_t *log_json(const struct log_record *l)
{
	json_t *o = json_object();

	json_object_set_new(o, "seq", json_integer(l->seq));
	json_set_text(o, "ts", l->ts);
	json_set_text(o, "level", l->level);
	json_set_text(o, "category", l->category);
	json_set_text(o, "message", l->message);
	json_set_text(o, "jobId", l->job_id);
	return o;
}

static size_t log_bytes(const struct log_record *l)
{
	return strlen(l->message) + strlen(l->category) + 200;
}

static bool logs_query(struct request *r, int64_t *after, int64_t *limit)
{
	*after = 0;
	*limit = LOGS_A_PAGE;
	return request_int(r, "after", 0, INT64_MAX, after) &&
	       request_int(r, "limit", 1, 1000, limit);
}

static void logs_listed(void *arg, const struct storage_reply *reply)
{
	struct log *log = ((struct call *)arg)->deps->log;
	struct request *r = call_resume(arg);
	json_t *list;
	int64_t next = 0;
	size_t bytes = 0;

	if (!r || !reply_fine(r, reply->err, log, NULL, NULL))
		return;
	if (!request_int(r, "after", 0, INT64_MAX, &next))
		return;
	list = json_array();
	for (size_t i = 0; i < reply->n && bytes < LOGS_BYTES; i++) {
		bytes += log_bytes(&reply->logs[i]);
		json_array_append_new(list, log_json(&reply->logs[i]));
		next = reply->logs[i].seq;
	}
	respond_json(r, 200, json_pack("{s:o, s:I}", "entries", list, "next", (json_int_t)next));
}

/* The worker exists; the query was checked when the request came. */
static void logs_of_worker(void *arg, const struct storage_reply *reply)
{
	struct call *c = arg;
	struct api_deps *d = c->deps;
	struct request *r = c->request;
	int64_t after, limit;

	if (r && reply_fine(r, reply->err, d->log, "not_found", NO_WORKER) &&
	    logs_query(r, &after, &limit))
		d->storage->ops->log_list(d->storage, reply->workers[0].id, after, (size_t)limit,
					  logs_listed, call_hold(c));
	call_drop(c);
}

void worker_logs(struct request *r, void *arg)
{
	int64_t after, limit;
	struct call *c;
	struct storage *s;

	if (!logs_query(r, &after, &limit))
		return;
	c = call_new(r, arg);
	s = c->deps->storage;
	s->ops->worker_get(s, request_param(r, "workerId"), logs_of_worker, call_hold(c));
}
