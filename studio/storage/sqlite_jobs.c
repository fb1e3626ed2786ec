/* sqlite_jobs.c - the jobs table.
 * SPDX-License-Identifier: MIT */
#include "studio/storage/sqlite_db.h"

#include <errno.h>
#include <stdio.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"

#define COLUMNS_WITH(task, source, result, prompt)                                                 \
	"seq, id, game_id, asset_name, model, kind, vram_gb_estimate, " task ", " source           \
	", state, worker_id, resumable, attempts, error, " result                                  \
	", blob, ext, sha256, bytes, " prompt ", created_ms, claimed_ms, finished_ms, last_worker"
#define COLUMNS COLUMNS_WITH("task", "source", "result", "prompt")

static const char *const columns[] = {
    [JOB_WHOLE] = COLUMNS,
    [JOB_MATCHING] = COLUMNS_WITH("NULL", "source", "NULL", "NULL"),
    [JOB_LABELS] = COLUMNS_WITH("NULL", "NULL", "NULL", "NULL"),
};

static void read_row(struct query *q, struct job_record *j)
{
	j->seq = column_int(q);
	j->id = column_text(q);
	j->game_id = column_text(q);
	j->asset_name = column_text(q);
	j->model = column_text(q);
	j->kind = column_text(q);
	j->vram_gb_estimate = column_real(q);
	j->task = column_json(q);
	j->source = column_json(q);
	j->state = (enum job_state)column_int(q);
	j->worker_id = column_text(q);
	j->resumable = column_int(q) != 0;
	j->attempts = column_int(q);
	j->error = column_text(q);
	j->result = column_json(q);
	j->blob = column_text(q);
	j->ext = column_text(q);
	j->sha256 = column_text(q);
	j->bytes = column_int(q);
	j->prompt = column_text(q);
	j->created_ms = column_int(q);
	j->claimed_ms = column_int(q);
	j->finished_ms = column_int(q);
	j->last_worker = column_text(q);
}

/* The row of o->id at the end of the reply; ENOENT when there is none. */
static int read_job(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = "SELECT " COLUMNS " FROM jobs WHERE id = ?";
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->id);
	if (query_step(&q))
		read_row(&q, op_add_job(o));
	int rc = query_end(&q);
	if (rc == 0 && o->rows.n == 0)
		rc = err_set(&o->err, ENOENT, "no job '%s'", o->id);
	return rc;
}

static void insert(struct sqlite_db *d, struct op *o)
{
	static const char sql[] =
	    "INSERT INTO jobs (id, game_id, asset_name, model, kind, vram_gb_estimate, task, "
	    "source, state, worker_id, resumable, attempts, error, result, blob, ext, sha256, "
	    "bytes, prompt, created_ms, claimed_ms, finished_ms, last_worker) VALUES "
	    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	const struct job_record *j = &o->job;
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, j->id);
	query_text(&q, j->game_id);
	query_text(&q, j->asset_name);
	query_text(&q, j->model);
	query_text(&q, j->kind);
	query_real(&q, j->vram_gb_estimate);
	query_json(&q, j->task);
	query_json(&q, j->source);
	query_int(&q, j->state);
	query_text(&q, j->worker_id);
	query_int(&q, j->resumable);
	query_int(&q, j->attempts);
	query_text(&q, j->error);
	query_json(&q, j->result);
	query_text(&q, j->blob);
	query_text(&q, j->ext);
	query_text(&q, j->sha256);
	query_int(&q, j->bytes);
	query_text(&q, j->prompt);
	query_int(&q, j->created_ms);
	query_int(&q, j->claimed_ms);
	query_int(&q, j->finished_ms);
	query_text(&q, j->last_worker);
	if (query_end(&q) == 0 && read_job(d, o) == 0)
		o->changed = true;
}

/* ---- lists ---- */

static bool add_states(struct buf *sql, unsigned states)
{
	bool fine = buf_printf(sql, " AND state IN (-1");
	for (unsigned s = JOB_QUEUED; s <= JOB_FAILED; s++) {
		if (states & JOB_BIT(s))
			fine = fine && buf_printf(sql, ", %u", s);
	}
	return fine && buf_printf(sql, ")");
}

/* Only numbers are printed into the text; the worker's id is bound. */
static bool list_sql(struct buf *sql, const struct job_filter *f)
{
	bool fine = buf_printf(sql, "SELECT %s FROM jobs WHERE 1", columns[f->columns]);
	if (f->states)
		fine = fine && add_states(sql, f->states);
	if (f->worker_id)
		fine = fine && buf_printf(sql, " AND worker_id = ?");
	if (f->after_seq)
		fine = fine && buf_printf(sql, " AND seq > %lld", (long long)f->after_seq);
	if (f->before_seq)
		fine = fine && buf_printf(sql, " AND seq < %lld", (long long)f->before_seq);
	return fine && buf_printf(sql, " ORDER BY seq %s LIMIT %zu",
				  f->newest_first ? "DESC" : "ASC", f->limit);
}

static void read_list(struct sqlite_db *d, struct op *o, const char *sql)
{
	struct query q = {.d = d, .e = &o->err};
	if (sqlite3_prepare_v2(d->db, sql, -1, &q.st, NULL) != SQLITE_OK)
		q.rc = sqlite_db_error(d, &o->err);
	if (o->filter.worker_id)
		query_text(&q, o->filter.worker_id);
	while (query_step(&q))
		read_row(&q, op_add_job(o));
	(void)!query_end(&q);
	sqlite3_finalize(q.st);
}

static void list(struct sqlite_db *d, struct op *o)
{
	struct buf sql;
	buf_init(&sql, 2048);
	if (list_sql(&sql, &o->filter))
		read_list(d, o, sql.data);
	else
		err_set(&o->err, EINVAL, "the filter is too long");
	buf_fini(&sql);
}

/* ---- moves ---- */

static int write_state(struct sqlite_db *d, struct op *o, const struct job_record *j)
{
	static const char sql[] = "UPDATE jobs SET state = ?, worker_id = ?, resumable = ?, "
				  "attempts = ?, error = ?, claimed_ms = ?, finished_ms = ?, "
				  "last_worker = ? "
				  "WHERE seq = ?";
	struct query q = query_new(d, sql, &o->err);
	query_int(&q, j->state);
	query_text(&q, j->worker_id);
	query_int(&q, j->resumable);
	query_int(&q, j->attempts);
	query_text(&q, j->error);
	query_int(&q, j->claimed_ms);
	query_int(&q, j->finished_ms);
	query_text(&q, j->last_worker);
	query_int(&q, j->seq);
	return query_end(&q);
}

static int write_result(struct sqlite_db *d, struct op *o, const struct job_record *j)
{
	static const char sql[] = "UPDATE jobs SET result = ?, blob = ?, ext = ?, sha256 = ?, "
				  "bytes = ?, prompt = ? WHERE seq = ?";
	struct query q = query_new(d, sql, &o->err);
	query_json(&q, j->result);
	query_text(&q, j->blob);
	query_text(&q, j->ext);
	query_text(&q, j->sha256);
	query_int(&q, j->bytes);
	query_text(&q, j->prompt);
	query_int(&q, j->seq);
	return query_end(&q);
}

static void move(struct sqlite_db *d, struct op *o)
{
	if (read_job(d, o) < 0)
		return;
	struct job_record *j = &o->rows.jobs[0];
	if (!job_move_allowed(&o->move, j))
		return;
	job_move_apply(&o->move, j);
	int rc = write_state(d, o, j);
	if (rc == 0 && o->move.set_result)
		rc = write_result(d, o, j);
	o->changed = rc == 0;
}

static void remove_job(struct sqlite_db *d, struct op *o)
{
	static const char sql[] = "DELETE FROM jobs WHERE id = ?";
	if (read_job(d, o) < 0)
		return;
	if (o->rows.jobs[0].state != JOB_DONE && o->rows.jobs[0].state != JOB_FAILED)
		return;
	struct query q = query_new(d, sql, &o->err);
	query_text(&q, o->id);
	o->changed = query_end(&q) == 0;
}

void sqlite_jobs(struct sqlite_db *d, struct op *o)
{
	if (o->type == OP_JOB_INSERT)
		insert(d, o);
	else if (o->type == OP_JOB_GET)
		(void)!read_job(d, o);
	else if (o->type == OP_JOB_LIST)
		list(d, o);
	else if (o->type == OP_JOB_MOVE)
		move(d, o);
	else
		remove_job(d, o);
}
