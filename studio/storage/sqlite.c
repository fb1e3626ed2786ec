/* sqlite.c - the storage of a studio on one machine: one thread that owns the database.
 * The only lock of the program guards the two lists between that thread and the loop. What has
 * queued up meanwhile is committed together, as each commit waits for the disk; when such a batch
 * fails, each operation is tried alone, so that one that cannot be done does not take others with
 * it. SPDX-License-Identifier: MIT */
#include "studio/storage/storage.h"

#include <errno.h>
#include <string.h>
#include <uv.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "studio/storage/sqlite_db.h"

#define BATCH_MAX 256

struct sqlite_storage {
	struct store store;
	struct log *log;
	struct sqlite_db db; /* the thread's */
	uv_thread_t thread;
	uv_async_t *async; /* outlives us until the loop has closed it */
	uv_mutex_t lock;   /* of what follows */
	uv_cond_t asked;
	struct list todo, done;
	bool quit;
};

/* ---- the thread ---- */

static void (*const rooms[OP_COUNT])(struct sqlite_db *d, struct op *o) = {
    [OP_REQUEST_OPEN] = sqlite_requests,
    [OP_REQUEST_GET] = sqlite_requests,
    [OP_REQUEST_LIST] = sqlite_requests,
    [OP_REQUEST_DECIDE] = sqlite_requests,
    [OP_WORKER_GET] = sqlite_workers,
    [OP_WORKER_LIST] = sqlite_workers,
    [OP_WORKER_SET_TOKEN] = sqlite_workers,
    [OP_WORKER_SEEN] = sqlite_workers,
    [OP_WORKER_DELETE] = sqlite_workers,
    [OP_JOB_INSERT] = sqlite_jobs,
    [OP_JOB_GET] = sqlite_jobs,
    [OP_JOB_LIST] = sqlite_jobs,
    [OP_JOB_MOVE] = sqlite_jobs,
    [OP_JOB_DELETE] = sqlite_jobs,
    [OP_MODEL_PUT] = sqlite_models,
    [OP_MODEL_GET] = sqlite_models,
    [OP_MODEL_LIST] = sqlite_models,
    [OP_MODEL_DELETE] = sqlite_models,
    [OP_LOG_APPEND] = sqlite_logs,
    [OP_LOG_LIST] = sqlite_logs,
};

/* "No such row" and "there already" are answers; anything else undoes the transaction. */
static bool broken(const struct op *o)
{
	return o->err.code && o->err.code != ENOENT && o->err.code != EEXIST;
}

static void undo(struct sqlite_storage *s)
{
	if (!sqlite3_get_autocommit(s->db.db))
		sqlite3_exec(s->db.db, "ROLLBACK", NULL, NULL, NULL);
}

static bool apply_all(struct sqlite_storage *s, struct list *batch)
{
	list_each (it, batch) {
		struct op *o = list_entry(it, struct op, node);
		rooms[o->type](&s->db, o);
		/* Some errors end the transaction; what followed would be on its own. */
		if (broken(o) || sqlite3_get_autocommit(s->db.db))
			return false;
	}
	return true;
}

/* All of the batch or nothing. */
static int transact(struct sqlite_storage *s, struct list *batch, struct err *e)
{
	int rc = sqlite_db_exec(&s->db, "BEGIN", e);
	if (rc == 0 && !apply_all(s, batch))
		rc = err_set(e, EIO, "an operation failed");
	if (rc == 0)
		rc = sqlite_db_exec(&s->db, "COMMIT", e);
	if (rc < 0)
		undo(s);
	return rc;
}

static void run_alone(struct sqlite_storage *s, struct op *o)
{
	struct list one;
	struct err e = ERR_INIT;
	op_clear_reply(o);
	list_init(&one);
	list_push_back(&one, &o->node);
	if (transact(s, &one, &e) < 0 && !broken(o)) {
		op_clear_reply(o);
		o->err = e;
	}
	o->changed = o->changed && !o->err.code;
	list_remove(&one, &o->node);
}

static void run_batch(struct sqlite_storage *s, struct list *batch, struct list *out)
{
	struct err e = ERR_INIT;
	struct list_node *n;
	bool whole = batch->len > 1 && transact(s, batch, &e) == 0;
	while ((n = list_pop_front(batch))) {
		if (!whole)
			run_alone(s, list_entry(n, struct op, node));
		list_push_back(out, n);
	}
}

static void take(struct list *from, struct list *to, size_t max)
{
	struct list_node *n;
	while (max-- && (n = list_pop_front(from)))
		list_push_back(to, n);
}

/* False when there is nothing left and the storage closes. */
static bool wait_for_batch(struct sqlite_storage *s, struct list *batch)
{
	uv_mutex_lock(&s->lock);
	while (list_empty(&s->todo) && !s->quit)
		uv_cond_wait(&s->asked, &s->lock);
	take(&s->todo, batch, BATCH_MAX);
	uv_mutex_unlock(&s->lock);
	return !list_empty(batch);
}

static void run_thread(void *arg)
{
	struct sqlite_storage *s = arg;
	struct list batch, out;
	list_init(&batch);
	list_init(&out);
	while (wait_for_batch(s, &batch)) {
		run_batch(s, &batch, &out);
		uv_mutex_lock(&s->lock);
		take(&out, &s->done, SIZE_MAX);
		uv_mutex_unlock(&s->lock);
		uv_async_send(s->async);
	}
}

/* ---- the loop ---- */

static void log_error_of(struct sqlite_storage *s, const struct op *o)
{
	if (broken(o))
		log_error(s->log, "storage", o->type == OP_JOB_MOVE ? o->id : NULL, "%s",
			  o->err.text);
}

static struct list_node *pop_done(struct sqlite_storage *s)
{
	uv_mutex_lock(&s->lock);
	struct list_node *n = list_pop_front(&s->done);
	uv_mutex_unlock(&s->lock);
	return n;
}

static void reply_all(uv_async_t *async)
{
	struct sqlite_storage *s = async->data;
	struct list_node *n;
	while ((n = pop_done(s))) {
		struct op *o = list_entry(n, struct op, node);
		if (!o->done)
			log_error_of(s, o); /* nobody else will */
		op_reply(o);
		op_free(o);
	}
}

static void submit(struct store *store, struct op *o)
{
	struct sqlite_storage *s = (struct sqlite_storage *)(void *)store;
	uv_mutex_lock(&s->lock);
	list_push_back(&s->todo, &o->node);
	uv_cond_signal(&s->asked);
	uv_mutex_unlock(&s->lock);
}

static void free_async(uv_handle_t *h)
{
	free(h);
}

static void free_storage(struct sqlite_storage *s)
{
	uv_close((uv_handle_t *)s->async, free_async);
	uv_cond_destroy(&s->asked);
	uv_mutex_destroy(&s->lock);
	sqlite_db_close(&s->db);
	free(s);
}

static void close_storage(struct storage *base)
{
	struct sqlite_storage *s = (struct sqlite_storage *)(void *)base;
	struct list_node *n;
	uv_mutex_lock(&s->lock);
	s->quit = true;
	uv_cond_signal(&s->asked);
	uv_mutex_unlock(&s->lock);
	uv_thread_join(&s->thread);
	while ((n = list_pop_front(&s->done)))
		op_free(list_entry(n, struct op, node));
	free_storage(s);
}

static const struct storage_ops sqlite_ops = {
    STORE_FRONT,
    .name = "sqlite",
    .close = close_storage,
};

/* ---- open ---- */

static int start_thread(struct sqlite_storage *s, struct loop *l, struct err *e)
{
	s->async = xcalloc(1, sizeof(*s->async));
	s->async->data = s;
	int rc = uv_async_init(&l->uv, s->async, reply_all);
	if (rc < 0) {
		free(steal(&s->async));
		return err_set(e, -rc, "cannot watch the storage: %s", uv_strerror(rc));
	}
	uv_mutex_init(&s->lock);
	uv_cond_init(&s->asked);
	rc = uv_thread_create(&s->thread, run_thread, s);
	return rc < 0 ? err_set(e, -rc, "cannot start the storage thread: %s", uv_strerror(rc)) : 0;
}

struct storage *storage_sqlite_open(struct loop *l, struct log *log, const char *path,
				    struct err *e)
{
	struct sqlite_storage *s = xcalloc(1, sizeof(*s));
	s->store.base.ops = &sqlite_ops;
	s->store.submit = submit;
	s->log = log;
	list_init(&s->todo);
	list_init(&s->done);
	if (sqlite_db_open(&s->db, path, e) < 0) {
		free(s);
		return NULL;
	}
	if (start_thread(s, l, e) < 0) {
		if (s->async) {
			free_storage(s);
		} else {
			sqlite_db_close(&s->db);
			free(s);
		}
		return NULL;
	}
	return &s->store.base;
}
