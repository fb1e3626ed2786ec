/* sqlite_models.c - the tables of models and of workers' logs.
 * SPDX-License-Identifier: MIT */
#include "studio/storage/sqlite_db.h"

#include <errno.h>

/* ---- models ---- */

#define MODEL "SELECT id, kind, enabled, vram_gb_estimate, source, defaults FROM models "

static void read_models(struct query *q, struct op *o)
{
	while (query_step(q)) {
		struct model_record *m = op_add_model(o);
		m->id = column_text(q);
		m->kind = column_text(q);
		m->enabled = column_int(q) != 0;
		m->vram_gb_estimate = column_real(q);
		m->source = column_json(q);
		m->defaults = column_json(q);
	}
}

static void model_get(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = MODEL "WHERE id = ?";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->id);
	read_models(&q, o);
	if (query_end(&q) == 0 && o->rows.n == 0)
		err_set(&o->err, ENOENT, "no model '%s'", o->id);
}

static void model_list(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = MODEL "ORDER BY id";
	struct query q = query_new(d, sql, &o->err);
	read_models(&q, o);
	(void)!query_end(&q);
}

static void model_put(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = "INSERT OR REPLACE INTO models "
				  "(id, kind, enabled, vram_gb_estimate, source, defaults) "
				  "VALUES (?, ?, ?, ?, ?, ?)";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->model.id);
	query_text(&q, o->model.kind);
	query_int(&q, o->model.enabled);
	query_real(&q, o->model.vram_gb_estimate);
	query_json(&q, o->model.source);
	query_json(&q, o->model.defaults);
	o->changed = query_end(&q) == 0;
}

static void model_delete(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = "DELETE FROM models WHERE id = ?";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->id);
	int rc = query_end(&q);
	o->changed = rc == 0 && query_changes(&q) > 0;
	if (rc == 0 && !o->changed)
		err_set(&o->err, ENOENT, "no model '%s'", o->id);
}

void sqlite_models(struct sqlite_db *d, struct op *o)
{
	if (o->type == OP_MODEL_PUT)
		model_put(d, o);
	else if (o->type == OP_MODEL_GET)
		model_get(d, o);
	else if (o->type == OP_MODEL_LIST)
		model_list(d, o);
	else
		model_delete(d, o);
}

/* ---- logs ---- */

#define TRIM_EVERY 256 /* rows: counting them is not worth the time for each batch */

/* A worker that was deleted meanwhile logs nothing. */
static int append(struct sqlite_db *d, struct op *o, const struct log_record *l)
{
	static const char sql[] =
	    "INSERT INTO logs (worker_id, ts, level, category, message, job_id) "
	    "SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM workers WHERE id = ?1)";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, l->worker_id);
	query_text(&q, l->ts);
	query_text(&q, l->level);
	query_text(&q, l->category);
	query_text(&q, l->message);
	query_text(&q, l->job_id);
	return query_end(&q);
}

static int trim(struct sqlite_db *d, struct op *o, const char *worker_id)
{
	static const char sql[] =
	    "DELETE FROM logs WHERE worker_id = ?1 AND seq <= (SELECT seq FROM logs "
	    "WHERE worker_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, worker_id);
	query_int(&q, LOG_KEEP);
	return query_end(&q);
}

static void log_append(struct sqlite_db *d, struct op *o)
{
	int rc = 0;
	bool full = false;
	for (size_t i = 0; rc == 0 && i < o->n_log_rows; i++) {
		rc = append(d, o, &o->log_rows[i]);
		full |= sqlite3_last_insert_rowid(d->db) % TRIM_EVERY == 0;
	}
	if (rc == 0 && full)
		rc = trim(d, o, o->log_rows[0].worker_id);
	o->changed = rc == 0;
}

static void log_list(struct sqlite_db *d, struct op *o)
{
	static const char sql[] =
	    "SELECT seq, worker_id, ts, level, category, message, job_id FROM logs "
	    "WHERE worker_id = ? AND seq > ? ORDER BY seq LIMIT ?";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->id);
	query_int(&q, o->after_seq);
	query_int(&q, (int64_t)o->limit);
	while (query_step(&q)) {
		struct log_record *l = op_add_log(o);
		l->seq = column_int(&q);
		l->worker_id = column_text(&q);
		l->ts = column_text(&q);
		l->level = column_text(&q);
		l->category = column_text(&q);
		l->message = column_text(&q);
		l->job_id = column_text(&q);
	}
	(void)!query_end(&q);
}

void sqlite_logs(struct sqlite_db *d, struct op *o)
{
	if (o->type == OP_LOG_APPEND)
		log_append(d, o);
	else
		log_list(d, o);
}
