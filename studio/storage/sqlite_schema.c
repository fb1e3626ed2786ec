/* sqlite_schema.c - the tables, as a list of migrations. A migration that was released is never
 * changed: the next change is a new entry at the end. SPDX-License-Identifier: MIT */
#include "studio/storage/sqlite_db.h"

#include <errno.h>

#include "lib/base/mem.h"

static const char *const migrations[] = {
    /* 1 */
    "CREATE TABLE workers ("
    " id TEXT PRIMARY KEY, install_id TEXT NOT NULL UNIQUE, token_hash TEXT,"
    " capabilities TEXT, created_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL);"
    "CREATE TABLE requests ("
    " id TEXT PRIMARY KEY, install_id TEXT NOT NULL, secret_hash TEXT NOT NULL,"
    " user_agent TEXT, peer TEXT, capabilities TEXT, status TEXT NOT NULL, reason TEXT,"
    " worker_id TEXT REFERENCES workers(id) ON DELETE SET NULL, created_ms INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX requests_pending ON requests(install_id) WHERE status = 'pending';"
    "CREATE TABLE jobs ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, game_id TEXT,"
    " asset_name TEXT, model TEXT, kind TEXT, vram_gb_estimate REAL NOT NULL, task TEXT,"
    " source TEXT, state INTEGER NOT NULL, worker_id TEXT, resumable INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, error TEXT, result TEXT, blob TEXT, ext TEXT, sha256 TEXT,"
    " bytes INTEGER NOT NULL, prompt TEXT, created_ms INTEGER NOT NULL,"
    " claimed_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL);"
    "CREATE INDEX jobs_state ON jobs(state, seq);"
    "CREATE TABLE models ("
    " id TEXT PRIMARY KEY, kind TEXT NOT NULL, enabled INTEGER NOT NULL,"
    " vram_gb_estimate REAL NOT NULL, source TEXT, defaults TEXT);"
    "CREATE TABLE logs ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT,"
    " worker_id TEXT NOT NULL REFERENCES workers(id) ON DELETE CASCADE,"
    " ts TEXT, level TEXT, category TEXT, message TEXT, job_id TEXT);"
    "CREATE INDEX logs_worker ON logs(worker_id, seq);",
    /* 2 */
    "ALTER TABLE jobs ADD COLUMN last_worker TEXT;",
};

static int read_version(struct sqlite_db *d, int64_t *version, struct err *e)
{
	static const char sql[] = "SELECT max(version) FROM schema_version";
	struct query q = query_new(d, sql, e);
	*version = query_step(&q) ? column_int(&q) : 0;
	return query_end(&q);
}

static int apply(struct sqlite_db *d, size_t i, struct err *e)
{
	auto_free char *note =
	    xasprintf("INSERT INTO schema_version (version) VALUES (%zu)", i + 1);
	int rc = sqlite_db_exec(d, migrations[i], e);
	return rc < 0 ? rc : sqlite_db_exec(d, note, e);
}

/* Each in a transaction of its own: a crash leaves the schema of before or after. */
static int step(struct sqlite_db *d, size_t i, struct err *e)
{
	int rc = sqlite_db_exec(d, "BEGIN IMMEDIATE", e);
	if (rc < 0)
		return rc;
	rc = apply(d, i, e);
	if (rc == 0)
		rc = sqlite_db_exec(d, "COMMIT", e);
	if (rc < 0) {
		err_wrap(e, "migration to schema %zu", i + 1);
		sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
	}
	return rc;
}

int sqlite_db_migrate(struct sqlite_db *d, struct err *e)
{
	int64_t version = 0;
	int rc = sqlite_db_exec(
	    d, "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)", e);
	if (rc == 0)
		rc = read_version(d, &version, e);
	if (rc < 0)
		return rc;
	if (version > (int64_t)ARRAY_LEN(migrations))
		return err_set(
		    e, EPROTO,
		    "the database has schema %lld, this program knows only %zu: start a newer "
		    "studiod, or restore the backup made before the update",
		    (long long)version, ARRAY_LEN(migrations));
	for (size_t i = (size_t)version; rc == 0 && i < ARRAY_LEN(migrations); i++)
		rc = step(d, i, e);
	return rc;
}
