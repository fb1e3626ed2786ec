/* world.c - the null storage's tables: hash maps of rows, in order of insertion.
 * SPDX-License-Identifier: MIT */
#include "studio/storage/world.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"
#include "studio/storage/world_parts.h"

struct null_world *null_world_new(void)
{
	struct null_world *w = xcalloc(1, sizeof(*w));
	w->next_job = w->next_log = 1;
	return w;
}

static void free_request(struct request_row *row)
{
	request_record_fini(&row->r);
	free(row);
}

static void free_worker(struct worker_row *row)
{
	for (size_t i = 0; i < row->n_logs; i++)
		log_record_fini(&row->logs[i]);
	free(row->logs);
	worker_record_fini(&row->w);
	free(row);
}

static void free_job(struct job_row *row)
{
	job_record_fini(&row->j);
	free(row);
}

#define FREE_ALL(table, row, free_row)                                                             \
	do {                                                                                       \
		struct row *row_ = (table);                                                        \
		HASH_CLEAR(hh, table);                                                             \
		while (row_) {                                                                     \
			struct row *next_ = row_->hh.next;                                         \
			free_row(row_);                                                            \
			row_ = next_;                                                              \
		}                                                                                  \
	} while (0)

void null_world_free(struct null_world *w)
{
	if (!w)
		return;
	FREE_ALL(w->requests, request_row, free_request);
	FREE_ALL(w->workers, worker_row, free_worker);
	FREE_ALL(w->jobs, job_row, free_job);
	FREE_ALL(w->models, model_row, world_free_model);
	free(w);
}

void world_missing(struct op *o, const char *what)
{
	err_set(&o->err, ENOENT, "no %s '%s'", what, o->id);
}

/* ---- requests ---- */

static struct request_row *find_request(struct null_world *w, const char *id)
{
	struct request_row *row;
	HASH_FIND_STR(w->requests, id, row);
	return row;
}

static struct request_row *find_pending(struct null_world *w, const char *install)
{
	struct request_row *row, *tmp;
	HASH_ITER (hh, w->requests, row, tmp) {
		if (strcmp(row->r.install_id, install) == 0 &&
		    strcmp(row->r.status, "pending") == 0)
			return row;
	}
	return NULL;
}

static void request_open(struct null_world *w, struct op *o)
{
	struct request_row *row = find_pending(w, o->request.install_id);
	if (row) {
		str_replace(&row->r.secret_hash, o->request.secret_hash);
		json_decref(row->r.capabilities);
		row->r.capabilities = json_incref(o->request.capabilities);
	} else if (find_request(w, o->id)) {
		err_set(&o->err, EEXIST, "there is a request '%s' already", o->id);
		return;
	} else {
		row = xcalloc(1, sizeof(*row));
		request_record_copy(&row->r, &o->request);
		str_replace(&row->r.status, "pending");
		HASH_ADD_KEYPTR(hh, w->requests, row->r.id, strlen(row->r.id), row);
		o->changed = true;
	}
	request_record_copy(op_add_request(o), &row->r);
}

static void request_get(struct null_world *w, struct op *o)
{
	struct request_row *row = find_request(w, o->id);
	if (row)
		request_record_copy(op_add_request(o), &row->r);
	else
		world_missing(o, "request");
}

static void request_list(struct null_world *w, struct op *o)
{
	struct request_row *row, *tmp;
	HASH_ITER (hh, w->requests, row, tmp) {
		if (!o->text || strcmp(row->r.status, o->text) == 0)
			request_record_copy(op_add_request(o), &row->r);
	}
}

struct worker_row *world_worker(struct null_world *w, const char *id)
{
	struct worker_row *row;
	HASH_FIND_STR(w->workers, id, row);
	return row;
}

/* The worker of an install, made when there is none. */
static struct worker_row *admit(struct null_world *w, const struct request_record *r,
				const char *worker_id, int64_t now_ms)
{
	struct worker_row *row, *tmp;
	HASH_ITER (hh, w->workers, row, tmp) {
		if (strcmp(row->w.install_id, r->install_id) == 0)
			return row;
	}
	row = xcalloc(1, sizeof(*row));
	row->w.id = xstrdup(worker_id);
	row->w.install_id = xstrdup(r->install_id);
	row->w.created_ms = now_ms;
	HASH_ADD_KEYPTR(hh, w->workers, row->w.id, strlen(row->w.id), row);
	return row;
}

static void request_decide(struct null_world *w, struct op *o)
{
	struct request_row *row = find_request(w, o->id);
	if (!row) {
		world_missing(o, "request");
		return;
	}
	if (strcmp(row->r.status, "pending") == 0) {
		o->changed = true;
		str_replace(&row->r.status, o->approve ? "approved" : "rejected");
		if (o->approve) {
			struct worker_row *wr = admit(w, &row->r, o->worker_id, o->now_ms);
			str_replace(&row->r.worker_id, wr->w.id);
			json_decref(wr->w.capabilities);
			wr->w.capabilities = json_incref(row->r.capabilities);
		} else {
			str_replace(&row->r.reason, o->text);
		}
	}
	request_record_copy(op_add_request(o), &row->r);
}

/* ---- workers ---- */

static struct worker_row *need_worker(struct null_world *w, struct op *o)
{
	struct worker_row *row = world_worker(w, o->id);
	if (!row)
		world_missing(o, "worker");
	return row;
}

static void worker_get(struct null_world *w, struct op *o)
{
	struct worker_row *row = need_worker(w, o);
	if (row)
		worker_record_copy(op_add_worker(o), &row->w);
}

static void worker_list(struct null_world *w, struct op *o)
{
	struct worker_row *row, *tmp;
	HASH_ITER (hh, w->workers, row, tmp)
		worker_record_copy(op_add_worker(o), &row->w);
}

static void worker_set_token(struct null_world *w, struct op *o)
{
	struct worker_row *row = need_worker(w, o);
	if (!row)
		return;
	str_replace(&row->w.token_hash, o->text);
	o->changed = true;
}

static void worker_seen(struct null_world *w, struct op *o)
{
	struct worker_row *row = need_worker(w, o);
	if (!row)
		return;
	json_decref(row->w.capabilities);
	row->w.capabilities = json_incref(o->json);
	row->w.seen_ms = o->now_ms;
	o->changed = true;
}

static void worker_delete(struct null_world *w, struct op *o)
{
	struct worker_row *row = need_worker(w, o);
	if (!row)
		return;
	struct request_row *r, *tmp;
	HASH_ITER (hh, w->requests, r, tmp) {
		if (strcmp(r->r.install_id, row->w.install_id) != 0)
			continue;
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash and its table */
		HASH_DEL(w->requests, r);
		free_request(r);
	}
	HASH_DEL(w->workers, row);
	free_worker(row);
	o->changed = true;
}

/* ---- jobs ---- */

static struct job_row *find_job(struct null_world *w, const char *id)
{
	struct job_row *row;
	HASH_FIND_STR(w->jobs, id, row);
	return row;
}

static struct job_row *need_job(struct null_world *w, struct op *o)
{
	struct job_row *row = find_job(w, o->id);
	if (!row)
		world_missing(o, "job");
	return row;
}

static void job_insert(struct null_world *w, struct op *o)
{
	if (find_job(w, o->id)) {
		err_set(&o->err, EEXIST, "there is a job '%s' already", o->id);
		return;
	}
	struct job_row *row = xcalloc(1, sizeof(*row));
	job_record_copy(&row->j, &o->job);
	row->j.seq = w->next_job++;
	HASH_ADD_KEYPTR(hh, w->jobs, row->j.id, strlen(row->j.id), row);
	o->changed = true;
	job_record_copy(op_add_job(o), &row->j);
}

static void job_get(struct null_world *w, struct op *o)
{
	struct job_row *row = need_job(w, o);
	if (row)
		job_record_copy(op_add_job(o), &row->j);
}

static bool wanted(const struct job_filter *f, const struct job_record *j)
{
	if (f->states && !(f->states & JOB_BIT(j->state)))
		return false;
	if (f->worker_id && (!j->worker_id || strcmp(f->worker_id, j->worker_id) != 0))
		return false;
	return (!f->after_seq || j->seq > f->after_seq) &&
	       (!f->before_seq || j->seq < f->before_seq);
}

static void drop_json(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}

static void copy_columns(struct job_record *to, const struct job_record *from, enum job_columns c)
{
	job_record_copy(to, from);
	if (c == JOB_WHOLE)
		return;
	drop_json(&to->task);
	drop_json(&to->result);
	str_replace(&to->prompt, NULL);
	if (c == JOB_LABELS)
		drop_json(&to->source);
}

static void job_list(struct null_world *w, struct op *o)
{
	struct job_row *row = w->jobs;
	if (row && o->filter.newest_first)
		row = ELMT_FROM_HH(w->jobs->hh.tbl, w->jobs->hh.tbl->tail);
	while (row && o->rows.n < o->filter.limit) {
		if (wanted(&o->filter, &row->j))
			copy_columns(op_add_job(o), &row->j, o->filter.columns);
		row = o->filter.newest_first ? row->hh.prev : row->hh.next;
	}
}

static void job_move(struct null_world *w, struct op *o)
{
	struct job_row *row = need_job(w, o);
	if (!row)
		return;
	if (job_move_allowed(&o->move, &row->j)) {
		job_move_apply(&o->move, &row->j);
		o->changed = true;
	}
	job_record_copy(op_add_job(o), &row->j);
}

static void job_delete(struct null_world *w, struct op *o)
{
	struct job_row *row = need_job(w, o);
	if (!row)
		return;
	job_record_copy(op_add_job(o), &row->j);
	if (row->j.state == JOB_DONE || row->j.state == JOB_FAILED) {
		HASH_DEL(w->jobs, row);
		free_job(row);
		o->changed = true;
	}
}

static void (*const apply[OP_COUNT])(struct null_world *w, struct op *o) = {
    [OP_REQUEST_OPEN] = request_open,
    [OP_REQUEST_GET] = request_get,
    [OP_REQUEST_LIST] = request_list,
    [OP_REQUEST_DECIDE] = request_decide,
    [OP_WORKER_GET] = worker_get,
    [OP_WORKER_LIST] = worker_list,
    [OP_WORKER_SET_TOKEN] = worker_set_token,
    [OP_WORKER_SEEN] = worker_seen,
    [OP_WORKER_DELETE] = worker_delete,
    [OP_JOB_INSERT] = job_insert,
    [OP_JOB_GET] = job_get,
    [OP_JOB_LIST] = job_list,
    [OP_JOB_MOVE] = job_move,
    [OP_JOB_DELETE] = job_delete,
    [OP_MODEL_PUT] = world_model_put,
    [OP_MODEL_GET] = world_model_get,
    [OP_MODEL_LIST] = world_model_list,
    [OP_MODEL_DELETE] = world_model_delete,
    [OP_LOG_APPEND] = world_log_append,
    [OP_LOG_LIST] = world_log_list,
};

void world_apply(struct null_world *w, struct op *o)
{
	apply[o->type](w, o);
	w->applied++;
}

uint64_t null_world_applied(const struct null_world *w)
{
	return w->applied;
}

void null_world_jobs(const struct null_world *w,
		     void (*fn)(void *arg, const struct job_record *job), void *arg)
{
	for (const struct job_row *row = w->jobs; row; row = row->hh.next)
		fn(arg, &row->j);
}
