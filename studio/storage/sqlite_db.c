/* sqlite_db.c - a thin skin over sqlite3: errors as struct err, JSON columns, statements prepared
 * once. SPDX-License-Identifier: MIT */
#include "studio/storage/sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define BUSY_MS 5000

static int errno_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EAGAIN;
	case SQLITE_CONSTRAINT:
		return EEXIST;
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
		return EACCES;
	default:
		return EIO;
	}
}

int sqlite_db_error(struct sqlite_db *d, struct err *e)
{
	int rc = sqlite3_extended_errcode(d->db);
	return err_set(e, errno_of(rc), "database: %s (sqlite %d)", sqlite3_errmsg(d->db), rc);
}

int sqlite_db_exec(struct sqlite_db *d, const char *sql, struct err *e)
{
	return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_db_error(d, e);
}

/* The journal and the shared memory get the mode of the database. */
static int make_private(const char *path, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, errno, "cannot open the database %s", path);
	int rc = fchmod(fd, 0600) < 0 ? err_sys(e, errno, "cannot make %s private", path) : 0;
	close(fd);
	return rc;
}

static int set_up(struct sqlite_db *d, struct err *e)
{
	static const char pragmas[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
				      "PRAGMA foreign_keys=ON; PRAGMA journal_size_limit=16777216;";
	sqlite3_extended_result_codes(d->db, 1);
	sqlite3_busy_timeout(d->db, BUSY_MS);
	int rc = sqlite_db_exec(d, pragmas, e);
	return rc < 0 ? rc : sqlite_db_migrate(d, e);
}

int sqlite_db_open(struct sqlite_db *d, const char *path, struct err *e)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	int rc = make_private(path, e);
	memset(d, 0, sizeof(*d));
	if (rc < 0)
		return rc;
	if (sqlite3_open_v2(path, &d->db, flags, NULL) != SQLITE_OK)
		rc = sqlite_db_error(d, e);
	else
		rc = set_up(d, e);
	if (rc < 0) {
		err_wrap(e, "%s", path);
		sqlite_db_close(d);
	}
	return rc;
}

void sqlite_db_close(struct sqlite_db *d)
{
	for (size_t i = 0; i < d->n; i++)
		sqlite3_finalize(d->statements[i]);
	sqlite3_close(d->db);
	memset(d, 0, sizeof(*d));
}

/* ---- queries ---- */

static sqlite3_stmt *prepared(struct sqlite_db *d, const char *sql)
{
	for (size_t i = 0; i < d->n; i++) {
		if (d->texts[i] == sql)
			return d->statements[i];
	}
	if (d->n == STATEMENTS_MAX)
		abort();
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) != SQLITE_OK)
		return NULL;
	d->texts[d->n] = sql;
	d->statements[d->n++] = st;
	return st;
}

struct query query_new(struct sqlite_db *d, const char *sql, struct err *e)
{
	struct query q = {.d = d, .e = e};
	q.st = prepared(d, sql);
	if (!q.st)
		q.rc = sqlite_db_error(d, e);
	return q;
}

static void bound(struct query *q, int rc)
{
	if (rc != SQLITE_OK && q->rc == 0)
		q->rc = sqlite_db_error(q->d, q->e);
}

void query_text(struct query *q, const char *s)
{
	if (q->rc == 0)
		bound(q, sqlite3_bind_text(q->st, ++q->at, s, -1, SQLITE_TRANSIENT));
}

void query_json(struct query *q, const json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	if (q->rc == 0)
		bound(q, sqlite3_bind_text(q->st, ++q->at, text, -1, SQLITE_TRANSIENT));
	free(text);
}

void query_int(struct query *q, int64_t v)
{
	if (q->rc == 0)
		bound(q, sqlite3_bind_int64(q->st, ++q->at, v));
}

void query_real(struct query *q, double v)
{
	if (q->rc == 0)
		bound(q, sqlite3_bind_double(q->st, ++q->at, v));
}

bool query_step(struct query *q)
{
	q->at = -1;
	if (q->rc < 0)
		return false;
	int rc = sqlite3_step(q->st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		q->rc = sqlite_db_error(q->d, q->e);
	return rc == SQLITE_ROW;
}

char *column_text(struct query *q)
{
	return xstrdup_opt((const char *)sqlite3_column_text(q->st, ++q->at));
}

json_t *column_json(struct query *q)
{
	const char *text = (const char *)sqlite3_column_text(q->st, ++q->at);
	if (!text)
		return NULL;
	json_t *j = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	if (!j && q->rc == 0)
		q->rc = err_set(q->e, EIO, "database: a column holds no JSON, the file is damaged");
	return j;
}

int64_t column_int(struct query *q)
{
	return sqlite3_column_int64(q->st, ++q->at);
}

double column_real(struct query *q)
{
	return sqlite3_column_double(q->st, ++q->at);
}

int query_end(struct query *q)
{
	while (query_step(q))
		;
	if (q->st) {
		sqlite3_reset(q->st);
		sqlite3_clear_bindings(q->st);
	}
	return q->rc;
}

int query_changes(struct query *q)
{
	return sqlite3_changes(q->d->db);
}
