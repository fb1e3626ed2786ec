/* op.c - the front of every storage: calls become operations with arguments of their own.
 * SPDX-License-Identifier: MIT */
#include "studio/storage/op.h"

#include <string.h>

#include "lib/base/mem.h"

/* ---- replies ---- */

static void *grow(struct op_rows *r, void *items, size_t size)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 1;
		items = xrealloc(items, r->cap * size);
	}
	memset((char *)items + r->n * size, 0, size);
	r->n++;
	return items;
}

#define ADD(name, rows_, type)                                                                     \
	struct type *name(struct op *o)                                                            \
	{                                                                                          \
		o->rows.rows_ = grow(&o->rows, o->rows.rows_, sizeof(*o->rows.rows_));             \
		return &o->rows.rows_[o->rows.n - 1];                                              \
	}
ADD(op_add_request, requests, request_record)
ADD(op_add_worker, workers, worker_record)
ADD(op_add_job, jobs, job_record)
ADD(op_add_model, models, model_record)
ADD(op_add_log, logs, log_record)

void op_clear_reply(struct op *o)
{
	struct op_rows *r = &o->rows;
	for (size_t i = 0; r->requests && i < r->n; i++)
		request_record_fini(&r->requests[i]);
	for (size_t i = 0; r->workers && i < r->n; i++)
		worker_record_fini(&r->workers[i]);
	for (size_t i = 0; r->jobs && i < r->n; i++)
		job_record_fini(&r->jobs[i]);
	for (size_t i = 0; r->models && i < r->n; i++)
		model_record_fini(&r->models[i]);
	for (size_t i = 0; r->logs && i < r->n; i++)
		log_record_fini(&r->logs[i]);
	free(r->requests);
	free(r->workers);
	free(r->jobs);
	free(r->models);
	free(r->logs);
	memset(r, 0, sizeof(*r));
	err_clear(&o->err);
	o->changed = false;
}

void op_reply(struct op *o)
{
	if (!o->done)
		return;
	struct storage_reply r = {
	    .err = &o->err,
	    .changed = o->changed,
	    .requests = o->rows.requests,
	    .workers = o->rows.workers,
	    .jobs = o->rows.jobs,
	    .models = o->rows.models,
	    .logs = o->rows.logs,
	    .n = o->rows.n,
	};
	o->done(o->arg, &r);
}

void op_free(struct op *o)
{
	op_clear_reply(o);
	free(o->id);
	free(o->worker_id);
	free(o->text);
	json_decref(o->json);
	request_record_fini(&o->request);
	job_record_fini(&o->job);
	model_record_fini(&o->model);
	free((char *)(uintptr_t)o->filter.worker_id);
	job_move_fini(&o->move);
	for (size_t i = 0; i < o->n_log_rows; i++)
		log_record_fini(&o->log_rows[i]);
	free(o->log_rows);
	free(o);
}

/* ---- calls ---- */

static struct op *make(enum op_type type, const char *id, storage_done *done, void *arg)
{
	struct op *o = xcalloc(1, sizeof(*o));
	o->type = type;
	o->id = xstrdup_opt(id);
	o->done = done;
	o->arg = arg;
	return o;
}

static void submit(struct storage *s, struct op *o)
{
	struct store *st = (struct store *)(void *)s;
	st->submit(st, o);
}

/* The storage's thread must be the only one that holds a JSON value of an operation. */
static void unshare(json_t **j)
{
	json_t *own = json_deep_copy(*j);
	json_decref(*j);
	*j = own;
}

void store_request_open(struct storage *s, const struct request_record *r, storage_done *done,
			void *arg)
{
	struct op *o = make(OP_REQUEST_OPEN, r->id, done, arg);
	request_record_copy(&o->request, r);
	unshare(&o->request.capabilities);
	submit(s, o);
}

void store_request_get(struct storage *s, const char *id, storage_done *done, void *arg)
{
	submit(s, make(OP_REQUEST_GET, id, done, arg));
}

void store_request_list(struct storage *s, const char *status, storage_done *done, void *arg)
{
	struct op *o = make(OP_REQUEST_LIST, NULL, done, arg);
	o->text = xstrdup_opt(status);
	submit(s, o);
}

void store_request_decide(struct storage *s, const char *id, bool approve, const char *worker_id,
			  const char *reason, int64_t now_ms, storage_done *done, void *arg)
{
	struct op *o = make(OP_REQUEST_DECIDE, id, done, arg);
	o->approve = approve;
	o->worker_id = xstrdup_opt(worker_id);
	o->text = xstrdup_opt(reason);
	o->now_ms = now_ms;
	submit(s, o);
}

void store_worker_get(struct storage *s, const char *id, storage_done *done, void *arg)
{
	submit(s, make(OP_WORKER_GET, id, done, arg));
}

void store_worker_list(struct storage *s, storage_done *done, void *arg)
{
	submit(s, make(OP_WORKER_LIST, NULL, done, arg));
}

void store_worker_set_token(struct storage *s, const char *id, const char *token_hash,
			    storage_done *done, void *arg)
{
	struct op *o = make(OP_WORKER_SET_TOKEN, id, done, arg);
	o->text = xstrdup_opt(token_hash);
	submit(s, o);
}

void store_worker_seen(struct storage *s, const char *id, const json_t *capabilities,
		       int64_t now_ms, storage_done *done, void *arg)
{
	struct op *o = make(OP_WORKER_SEEN, id, done, arg);
	o->json = json_deep_copy(capabilities);
	o->now_ms = now_ms;
	submit(s, o);
}

void store_worker_delete(struct storage *s, const char *id, storage_done *done, void *arg)
{
	submit(s, make(OP_WORKER_DELETE, id, done, arg));
}

void store_job_insert(struct storage *s, const struct job_record *j, storage_done *done, void *arg)
{
	struct op *o = make(OP_JOB_INSERT, j->id, done, arg);
	job_record_copy(&o->job, j);
	unshare(&o->job.task);
	unshare(&o->job.source);
	unshare(&o->job.result);
	submit(s, o);
}

void store_job_get(struct storage *s, const char *id, storage_done *done, void *arg)
{
	submit(s, make(OP_JOB_GET, id, done, arg));
}

void store_job_list(struct storage *s, const struct job_filter *f, storage_done *done, void *arg)
{
	struct op *o = make(OP_JOB_LIST, NULL, done, arg);
	o->filter = *f;
	o->filter.worker_id = xstrdup_opt(f->worker_id);
	if (o->filter.limit < 1 || o->filter.limit > 1000)
		o->filter.limit = 1000;
	submit(s, o);
}

void store_job_move(struct storage *s, const struct job_move *m, storage_done *done, void *arg)
{
	struct op *o = make(OP_JOB_MOVE, m->id, done, arg);
	job_move_copy(&o->move, m);
	submit(s, o);
}

void store_job_delete(struct storage *s, const char *id, storage_done *done, void *arg)
{
	submit(s, make(OP_JOB_DELETE, id, done, arg));
}

void store_model_put(struct storage *s, const struct model_record *m, storage_done *done, void *arg)
{
	struct op *o = make(OP_MODEL_PUT, m->id, done, arg);
	model_record_copy(&o->model, m);
	unshare(&o->model.source);
	unshare(&o->model.defaults);
	submit(s, o);
}

void store_model_get(struct storage *s, const char *id, storage_done *done, void *arg)
{
	submit(s, make(OP_MODEL_GET, id, done, arg));
}

void store_model_list(struct storage *s, storage_done *done, void *arg)
{
	submit(s, make(OP_MODEL_LIST, NULL, done, arg));
}

void store_model_delete(struct storage *s, const char *id, storage_done *done, void *arg)
{
	submit(s, make(OP_MODEL_DELETE, id, done, arg));
}

void store_log_append(struct storage *s, const struct log_record *rows, size_t n,
		      storage_done *done, void *arg)
{
	struct op *o = make(OP_LOG_APPEND, NULL, done, arg);
	o->log_rows = xcalloc(n ? n : 1, sizeof(*o->log_rows));
	o->n_log_rows = n;
	for (size_t i = 0; i < n; i++)
		log_record_copy(&o->log_rows[i], &rows[i]);
	submit(s, o);
}

void store_log_list(struct storage *s, const char *worker_id, int64_t after_seq, size_t limit,
		    storage_done *done, void *arg)
{
	struct op *o = make(OP_LOG_LIST, worker_id, done, arg);
	o->after_seq = after_seq;
	o->limit = limit < 1 || limit > 1000 ? 1000 : limit;
	submit(s, o);
}
