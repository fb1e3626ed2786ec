/* sqlite_db.h - the sqlite storage's connection: statements, bindings, columns. Storage thread
 * only, after open. SPDX-License-Identifier: MIT */
#ifndef STORAGE_SQLITE_DB_H
#define STORAGE_SQLITE_DB_H

#include <sqlite3.h>

#include "studio/storage/op.h"

#define STATEMENTS_MAX 64

struct sqlite_db {
	sqlite3 *db;
	/* Prepared once, found by the address of their text. */
	const char *texts[STATEMENTS_MAX];
	sqlite3_stmt *statements[STATEMENTS_MAX];
	size_t n;
};

/* Opens, sets the pragmas, brings the schema up to date. Blocks. */
int sqlite_db_open(struct sqlite_db *d, const char *path, struct err *e) MUST_CHECK;
void sqlite_db_close(struct sqlite_db *d);
int sqlite_db_migrate(struct sqlite_db *d, struct err *e) MUST_CHECK; /* sqlite_schema.c */
int sqlite_db_exec(struct sqlite_db *d, const char *sql, struct err *e) MUST_CHECK;
/* Fills e with the connection's last error; returns the negative errno it stands for. */
int sqlite_db_error(struct sqlite_db *d, struct err *e);

/* A statement being filled and run. `rc` collects the first failure; query_end() reports it. */
struct query {
	struct sqlite_db *d;
	sqlite3_stmt *st;
	struct err *e;
	int at; /* last parameter bound, then last column read */
	int rc;
};
/* `sql` lives for ever (it names the prepared statement). */
struct query query_new(struct sqlite_db *d, const char *sql, struct err *e);
void query_text(struct query *q, const char *s); /* NULL allowed, as in the next one */
void query_json(struct query *q, const json_t *j);
void query_int(struct query *q, int64_t v);
void query_real(struct query *q, double v);
/* True while there is a row; its columns are read in order. */
bool query_step(struct query *q);
char *column_text(struct query *q); /* the caller's; NULL for SQL's NULL */
json_t *column_json(struct query *q);
int64_t column_int(struct query *q);
double column_real(struct query *q);
/* Runs what is left, makes the statement ready for its next use. 0 or the negative errno in e. */
int query_end(struct query *q) MUST_CHECK;
int query_changes(struct query *q); /* rows changed, after query_end() */

/* What the operations do; errors land in o->err. */
void sqlite_requests(struct sqlite_db *d, struct op *o);
void sqlite_workers(struct sqlite_db *d, struct op *o);
void sqlite_jobs(struct sqlite_db *d, struct op *o);
void sqlite_models(struct sqlite_db *d, struct op *o);
void sqlite_logs(struct sqlite_db *d, struct op *o);

#endif
