/* sqlite_workers.c - the tables of requests and workers.
 * SPDX-License-Identifier: MIT */
#include "studio/storage/sqlite_db.h"

#include <errno.h>
#include <string.h>

#include "lib/base/mem.h"

/* ---- requests ---- */

#define REQUEST                                                                                    \
	"SELECT id, install_id, secret_hash, user_agent, peer, capabilities, status, reason, "     \
	"worker_id, created_ms FROM requests "

static void read_requests(struct query *q, struct op *o)
{
	while (query_step(q)) {
		struct request_record *r = op_add_request(o);
		r->id = column_text(q);
		r->install_id = column_text(q);
		r->secret_hash = column_text(q);
		r->user_agent = column_text(q);
		r->peer = column_text(q);
		r->capabilities = column_json(q);
		r->status = column_text(q);
		r->reason = column_text(q);
		r->worker_id = column_text(q);
		r->created_ms = column_int(q);
	}
}

static int need_row(struct op *o, int rc, const char *what)
{
	if (rc == 0 && o->rows.n == 0)
		return err_set(&o->err, ENOENT, "no %s '%s'", what, o->id);
	return rc;
}

static int read_request(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = REQUEST "WHERE id = ?";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->id);
	read_requests(&q, o);
	return need_row(o, query_end(&q), "request");
}

static int read_pending(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = REQUEST "WHERE install_id = ? AND status = 'pending'";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->request.install_id);
	read_requests(&q, o);
	return query_end(&q);
}

static int renew(struct sqlite_db *d, struct op *o, struct request_record *kept)
{
	static const char sql[] =
	    "UPDATE requests SET secret_hash = ?, capabilities = ? WHERE id = ?";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->request.secret_hash);
	query_json(&q, o->request.capabilities);
	query_text(&q, kept->id);
	str_replace(&kept->secret_hash, o->request.secret_hash);
	json_decref(kept->capabilities);
	kept->capabilities = json_incref(o->request.capabilities);
	return query_end(&q);
}

static int add(struct sqlite_db *d, struct op *o)
{
	static const char sql[] =
	    "INSERT INTO requests (id, install_id, secret_hash, user_agent, peer, "
	    "capabilities, status, created_ms) VALUES (?, ?, ?, ?, ?, ?, 'pending', ?)";
	const struct request_record *r = &o->request;
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, r->id);
	query_text(&q, r->install_id);
	query_text(&q, r->secret_hash);
	query_text(&q, r->user_agent);
	query_text(&q, r->peer);
	query_json(&q, r->capabilities);
	query_int(&q, r->created_ms);
	int rc = query_end(&q);
	return rc < 0 ? rc : read_request(d, o);
}

static void request_open(struct sqlite_db *d, struct op *o)
{
	int rc = read_pending(d, o);
	if (rc == 0 && o->rows.n)
		(void)!renew(d, o, &o->rows.requests[0]);
	else if (rc == 0)
		o->changed = add(d, o) == 0;
}

static void request_list(struct sqlite_db *d, struct op *o)
{
	static const char all[] = REQUEST "ORDER BY rowid";
	static const char some[] = REQUEST "WHERE status = ? ORDER BY rowid";
	struct query q = query_new(d, o->text ? some : all, &o->err);
	if (o->text)
		query_text(&q, o->text);
	read_requests(&q, o);
	(void)!query_end(&q);
}

/* The worker of the install: the one there is, or a new one. *id is the caller's. */
static int admit(struct sqlite_db *d, struct op *o, const struct request_record *r, char **id)
{
	static const char upsert[] =
	    "INSERT INTO workers (id, install_id, capabilities, created_ms, seen_ms) "
	    "VALUES (?, ?, ?, ?, 0) ON CONFLICT (install_id) DO UPDATE "
	    "SET capabilities = excluded.capabilities";
	static const char find[] = "SELECT id FROM workers WHERE install_id = ?";
	struct query q = query_new(d, upsert, &o->err);
	query_text(&q, o->worker_id);
	query_text(&q, r->install_id);
	query_json(&q, r->capabilities);
	query_int(&q, o->now_ms);
	int rc = query_end(&q);
	if (rc < 0)
		return rc;
	q = query_new(d, find, &o->err);
	query_text(&q, r->install_id);
	*id = query_step(&q) ? column_text(&q) : NULL;
	return query_end(&q);
}

static int decide(struct sqlite_db *d, struct op *o, struct request_record *r)
{
	static const char sql[] =
	    "UPDATE requests SET status = ?, reason = ?, worker_id = ? WHERE id = ?";
	int rc = o->approve ? admit(d, o, r, &r->worker_id) : 0;
	if (rc < 0)
		return rc;
	str_replace(&r->status, o->approve ? "approved" : "rejected");
	str_replace(&r->reason, o->approve ? NULL : o->text);
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, r->status);
	query_text(&q, r->reason);
	query_text(&q, r->worker_id);
	query_text(&q, r->id);
	return query_end(&q);
}

static void request_decide(struct sqlite_db *d, struct op *o)
{
	if (read_request(d, o) < 0)
		return;
	struct request_record *r = &o->rows.requests[0];
	if (strcmp(r->status, "pending") == 0)
		o->changed = decide(d, o, r) == 0;
}

void sqlite_requests(struct sqlite_db *d, struct op *o)
{
	if (o->type == OP_REQUEST_OPEN)
		request_open(d, o);
	else if (o->type == OP_REQUEST_GET)
		(void)!read_request(d, o);
	else if (o->type == OP_REQUEST_LIST)
		request_list(d, o);
	else
		request_decide(d, o);
}

/* ---- workers ---- */

#define WORKER "SELECT id, install_id, token_hash, capabilities, created_ms, seen_ms FROM workers "

static void read_workers(struct query *q, struct op *o)
{
	while (query_step(q)) {
		struct worker_record *w = op_add_worker(o);
		w->id = column_text(q);
		w->install_id = column_text(q);
		w->token_hash = column_text(q);
		w->capabilities = column_json(q);
		w->created_ms = column_int(q);
		w->seen_ms = column_int(q);
	}
}

static void worker_get(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = WORKER "WHERE id = ?";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->id);
	read_workers(&q, o);
	(void)!need_row(o, query_end(&q), "worker");
}

static void worker_list(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = WORKER "ORDER BY rowid";
	struct query q = query_new(d, sql, &o->err);
	read_workers(&q, o);
	(void)!query_end(&q);
}

/* Ends a query that changes the one row of o->id. */
static void end_change(struct query *q, struct op *o)
{
	int rc = query_end(q);
	o->changed = rc == 0 && query_changes(q) > 0;
	if (rc == 0 && !o->changed)
		err_set(&o->err, ENOENT, "no worker '%s'", o->id);
}

static void worker_set_token(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = "UPDATE workers SET token_hash = ? WHERE id = ?";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->text);
	query_text(&q, o->id);
	end_change(&q, o);
}

static void worker_seen(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = "UPDATE workers SET capabilities = ?, seen_ms = ? WHERE id = ?";
	struct query q = query_new(d, sql, &o->err);
	query_json(&q, o->json);
	query_int(&q, o->now_ms);
	query_text(&q, o->id);
	end_change(&q, o);
}

static void worker_delete(struct sqlite_db *d, struct op *o)
{
	static const char requests[] = "DELETE FROM requests WHERE install_id = "
				       "(SELECT install_id FROM workers WHERE id = ?)";
	static const char worker[] = "DELETE FROM workers WHERE id = ?";
	struct query q = query_new(d, requests, &o->err);
	query_text(&q, o->id);
	if (query_end(&q) < 0)
		return;
	q = query_new(d, worker, &o->err);
	query_text(&q, o->id);
	end_change(&q, o);
}

void sqlite_workers(struct sqlite_db *d, struct op *o)
{
	if (o->type == OP_WORKER_GET)
		worker_get(d, o);
	else if (o->type == OP_WORKER_LIST)
		worker_list(d, o);
	else if (o->type == OP_WORKER_SET_TOKEN)
		worker_set_token(d, o);
	else if (o->type == OP_WORKER_SEEN)
		worker_seen(d, o);
	else
		worker_delete(d, o);
}
