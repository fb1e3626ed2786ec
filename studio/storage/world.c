/* world.c - the null storage's tables: hash maps of rows, in order of insertion.
 * SPDX-License-Identifier: MIT */
#include "studio/storage/world.h"

#include <errno.h>
#include <string.h>
#include <uthash.h>

#include "lib/base/mem.h"

struct request_row {
	UT_hash_handle hh;
	struct request_record r;
};
struct worker_row {
	UT_hash_handle hh;
	struct worker_record w;
	struct log_record *logs; /* oldest first */
	size_t n_logs, cap_logs;
};
struct job_row {
	UT_hash_handle hh;
	struct job_record j;
};
struct model_row {
	UT_hash_handle hh;
	struct model_record m;
};
struct null_world {
	struct request_row *requests;
	struct worker_row *workers;
	struct job_row *jobs;
	struct model_row *models;
	int64_t next_job, next_log;
	uint64_t applied;
};

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

static void free_model(struct model_row *row)
{
	model_record_fini(&row->m);
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
	FREE_ALL(w->models, model_row, free_model);
	free(w);
}

static void missing(struct op *o, const char *what)
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
		missing(o, "request");
}

static void request_list(struct null_world *w, struct op *o)
{
	struct request_row *row, *tmp;
	HASH_ITER (hh, w->requests, row, tmp) {
		if (!o->text || strcmp(row->r.status, o->text) == 0)
			request_record_copy(op_add_request(o), &row->r);
	}
}

static struct worker_row *find_worker(struct null_world *w, const char *id)
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
		missing(o, "request");
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
	struct worker_row *row = find_worker(w, o->id);
	if (!row)
		missing(o, "worker");
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
		missing(o, "job");
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

static void job_list(struct null_world *w, struct op *o)
{
	struct job_row *row = w->jobs;
	if (row && o->filter.newest_first)
		row = ELMT_FROM_HH(w->jobs->hh.tbl, w->jobs->hh.tbl->tail);
	while (row && o->rows.n < o->filter.limit) {
		if (wanted(&o->filter, &row->j))
			job_record_copy(op_add_job(o), &row->j);
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

/* ---- models ---- */

static struct model_row *find_model(struct null_world *w, const char *id)
{
	struct model_row *row;
	HASH_FIND_STR(w->models, id, row);
	return row;
}

static void model_put(struct null_world *w, struct op *o)
{
	struct model_row *row = find_model(w, o->id);
	if (row) {
		HASH_DEL(w->models, row);
		free_model(row);
	}
	row = xcalloc(1, sizeof(*row));
	model_record_copy(&row->m, &o->model);
	HASH_ADD_KEYPTR(hh, w->models, row->m.id, strlen(row->m.id), row);
	o->changed = true;
}

static void model_get(struct null_world *w, struct op *o)
{
	struct model_row *row = find_model(w, o->id);
	if (row)
		model_record_copy(op_add_model(o), &row->m);
	else
		missing(o, "model");
}

static int by_id(struct model_row *a, struct model_row *b)
{
	return strcmp(a->m.id, b->m.id);
}

static void model_list(struct null_world *w, struct op *o)
{
	struct model_row *row, *tmp;
	HASH_SORT(w->models, by_id);
	HASH_ITER (hh, w->models, row, tmp)
		model_record_copy(op_add_model(o), &row->m);
}

static void model_delete(struct null_world *w, struct op *o)
{
	struct model_row *row = find_model(w, o->id);
	if (row) {
		HASH_DEL(w->models, row);
		free_model(row);
		o->changed = true;
	} else {
		missing(o, "model");
	}
}

/* ---- logs ---- */

static void append_log(struct null_world *w, const struct log_record *l)
{
	struct worker_row *row = find_worker(w, l->worker_id);
	if (!row)
		return;
	if (row->n_logs == LOG_KEEP) {
		log_record_fini(&row->logs[0]);
		memmove(row->logs, row->logs + 1, (LOG_KEEP - 1) * sizeof(*row->logs));
		row->n_logs--;
	}
	if (row->n_logs == row->cap_logs) {
		row->cap_logs = row->cap_logs ? row->cap_logs * 2 : 16;
		row->logs = xrealloc(row->logs, row->cap_logs * sizeof(*row->logs));
	}
	struct log_record *to = &row->logs[row->n_logs++];
	log_record_copy(to, l);
	to->seq = w->next_log++;
}

static void log_append(struct null_world *w, struct op *o)
{
	for (size_t i = 0; i < o->n_log_rows; i++)
		append_log(w, &o->log_rows[i]);
	o->changed = true;
}

static void log_list(struct null_world *w, struct op *o)
{
	struct worker_row *row = need_worker(w, o);
	for (size_t i = 0; row && i < row->n_logs && o->rows.n < o->limit; i++) {
		if (row->logs[i].seq > o->after_seq)
			log_record_copy(op_add_log(o), &row->logs[i]);
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
    [OP_MODEL_PUT] = model_put,
    [OP_MODEL_GET] = model_get,
    [OP_MODEL_LIST] = model_list,
    [OP_MODEL_DELETE] = model_delete,
    [OP_LOG_APPEND] = log_append,
    [OP_LOG_LIST] = log_list,
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
