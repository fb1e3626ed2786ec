/* storage.h - SEAM: where studiod keeps workers, requests, jobs, models and logs.
 * Implementations: sqlite (a storage thread), null (memory, for tests and the simulator), later
 * postgres. Every operation is asynchronous: arguments are copied before the call returns, `done`
 * is called once on the loop thread, later, in the order of the calls, with a reply valid during
 * that call. What an operation changed is durable when done says so. No policy lives here: job_move
 * is the one conditional step every job transition is made of. JSON values in rows are shared, not
 * copied: whoever wants another value makes a new one. Replies that are still due when a storage is
 * closed are dropped, so whoever waits for some frees what they point to itself, in the same turn
 * of the loop. SPDX-License-Identifier: MIT */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"

struct request_record { /* somebody who asks to be let in */
	char *id;	/* "rr-…" */
	char *install_id, *secret_hash, *user_agent, *peer;
	json_t *capabilities;
	char *status;	 /* "pending", "approved", "rejected" */
	char *reason;	 /* rejected */
	char *worker_id; /* approved */
	int64_t created_ms;
};
struct worker_record {
	char *id, *install_id,
	    *token_hash; /* token_hash: hex SHA-256, NULL until the first poll after approval */
	json_t *capabilities; /* last ones seen */
	int64_t created_ms, seen_ms;
};
enum job_state { JOB_QUEUED, JOB_OFFERED, JOB_CLAIMED, JOB_DONE, JOB_FAILED };
const char *job_state_name(enum job_state s);
bool job_state_parse(const char *s, enum job_state *out);
#define JOB_BIT(s) (1u << (s))
struct job_record {
	int64_t seq; /* order of submission, given by insert */
	char *id, *game_id, *asset_name, *model, *kind;
	double vram_gb_estimate;
	json_t *task, *source;
	enum job_state state;
	char *worker_id;   /* offered, claimed, done: whose */
	char *last_worker; /* whose it was until it was taken from it; NULL: nobody's yet */
	bool resumable;	   /* the claim's worker had announced `resume` */
	int64_t attempts;  /* retryable failures so far */
	char *error;	   /* last failure */
	json_t *result;	   /* done, JSON kinds */
	char *blob, *ext,
	    *sha256; /* done, bytes: name in the blob store, extension, hash of the bytes */
	int64_t bytes;
	char *prompt;				     /* as the worker reported it */
	int64_t created_ms, claimed_ms, finished_ms; /* 0: not yet */
};
struct model_record {
	char *id, *kind;
	bool enabled;
	double vram_gb_estimate;
	json_t *source,
	    *defaults; /* defaults: task fields filled in when a job leaves them out; may be NULL */
};
struct log_record {
	int64_t seq;
	char *worker_id, *ts, *level, *category, *message, *job_id; /* job_id may be NULL */
};

struct storage_reply {
	const struct err *err; /* code 0: fine. ENOENT: no such row. */
	bool changed;	       /* the conditional step happened */
	const struct request_record *requests;
	const struct worker_record *workers;
	const struct job_record *jobs;
	const struct model_record *models;
	const struct log_record *logs;
	size_t n; /* rows in the one array that is set */
};
typedef void storage_done(void *arg, const struct storage_reply *r);

/* One conditional transition: happens only when the job is in one of the `from` states and, where
 * given, held by that worker. Fields whose set_ flag is off stay. Reply: changed, and the job as it
 * is now (n = 1; also when not changed). */
struct job_move {
	const char *id;
	unsigned from;	       /* JOB_BITs */
	const char *if_worker; /* NULL: whoever */
	const char
	    *if_last_worker; /* NULL: whoever; else who had it last, before it was released */
	enum job_state to;
	bool set_worker; /* worker_id (NULL: nobody; who had it becomes last_worker), resumable */
	const char *worker_id;
	bool resumable;
	int64_t add_attempts;
	int64_t give_up_at; /* > 0: when attempts reach it by this move, it leads to JOB_FAILED
			       instead of `to` */
	bool reset_attempts;
	bool set_error;
	const char *error; /* NULL clears */
	bool set_result;   /* result, blob, ext, sha256, bytes, prompt */
	const json_t *result;
	const char *blob, *ext, *sha256, *prompt;
	int64_t bytes;
	int64_t claimed_ms, finished_ms; /* 0: stay; -1: clear; finished_ms is set only when the
					    move ends in done or failed */
};
/* What a list carries of each job: tasks and results may be a megabyte each. What is left out is
 * NULL in the row. */
enum job_columns {
	JOB_WHOLE,
	JOB_MATCHING, /* without task, result and prompt */
	JOB_LABELS,   /* without source too */
};
struct job_filter {
	enum job_columns columns;
	unsigned states;	       /* JOB_BITs; 0: all */
	const char *worker_id;	       /* NULL: any */
	int64_t after_seq, before_seq; /* 0: no bound */
	bool newest_first;
	size_t limit; /* 1..1000 */
};

struct storage;
struct storage_ops {
	const char *name;
	void (*close)(
	    struct storage *s); /* finishes what was asked for, without replies, then frees */

	/* Inserts; when the install already has a pending request, that one is kept (its id is the
	 * reply's), with the newest secret hash and capabilities. Reply: requests[0]. */
	void (*request_open)(struct storage *s, const struct request_record *r, storage_done *done,
			     void *arg);
	void (*request_get)(struct storage *s, const char *id, storage_done *done, void *arg);
	void (*request_list)(struct storage *s, const char *status, storage_done *done, void *arg);
	/* pending → approved (worker made, or the install's existing one kept) or rejected. changed
	 * tells whether it was pending; reply: requests[0] as it is now. */
	void (*request_decide)(struct storage *s, const char *id, bool approve,
			       const char *worker_id, const char *reason, int64_t now_ms,
			       storage_done *done, void *arg);

	void (*worker_get)(struct storage *s, const char *id, storage_done *done, void *arg);
	void (*worker_list)(struct storage *s, storage_done *done, void *arg);
	void (*worker_set_token)(struct storage *s, const char *id, const char *token_hash,
				 storage_done *done, void *arg);
	void (*worker_seen)(struct storage *s, const char *id, const json_t *capabilities,
			    int64_t now_ms, storage_done *done, void *arg);
	void (*worker_delete)(struct storage *s, const char *id, storage_done *done,
			      void *arg); /* its requests too */

	void (*job_insert)(struct storage *s, const struct job_record *j, storage_done *done,
			   void *arg);
	void (*job_get)(struct storage *s, const char *id, storage_done *done, void *arg);
	void (*job_list)(struct storage *s, const struct job_filter *f, storage_done *done,
			 void *arg);
	void (*job_move)(struct storage *s, const struct job_move *m, storage_done *done,
			 void *arg);
	/* Removes the row when it is done or failed; reply: changed, and the job as it was. */
	void (*job_delete)(struct storage *s, const char *id, storage_done *done, void *arg);

	void (*model_put)(struct storage *s, const struct model_record *m, storage_done *done,
			  void *arg);
	void (*model_get)(struct storage *s, const char *id, storage_done *done, void *arg);
	void (*model_list)(struct storage *s, storage_done *done, void *arg);
	void (*model_delete)(struct storage *s, const char *id, storage_done *done, void *arg);

	/* Keeps the newest 20,000 a worker. done may be NULL. */
	void (*log_append)(struct storage *s, const struct log_record *rows, size_t n,
			   storage_done *done, void *arg);
	/* A worker that is not there has no rows: no ENOENT. */
	void (*log_list)(struct storage *s, const char *worker_id, int64_t after_seq, size_t limit,
			 storage_done *done, void *arg);
};
struct storage { /* implementations embed it first */
	const struct storage_ops *ops;
};

/* Deep copies for those who keep a row beyond the reply. */
void job_record_copy(struct job_record *to, const struct job_record *from);
void job_record_fini(struct job_record *j);
void request_record_copy(struct request_record *to, const struct request_record *from);
void request_record_fini(struct request_record *r);
void worker_record_copy(struct worker_record *to, const struct worker_record *from);
void worker_record_fini(struct worker_record *w);
void model_record_copy(struct model_record *to, const struct model_record *from);
void model_record_fini(struct model_record *m);
void log_record_copy(struct log_record *to, const struct log_record *from);
void log_record_fini(struct log_record *l);

struct loop;
struct clock;
struct log;
/* studio/storage/sqlite.c: WAL, synchronous=FULL, migrations with a version table, 0600. */
struct storage *storage_sqlite_open(struct loop *l, struct log *log, const char *path,
				    struct err *e) MUST_CHECK;
/* studio/storage/null.c: memory; replies come by a timer of the clock, delay() (may be NULL: 0) ms
 * after the call. `world` is what survives a crash: storage_null_open() on the same world sees all
 * that was applied. */
struct null_world;
struct null_world *null_world_new(void);
void null_world_free(struct null_world *w);
struct storage *storage_null_open(struct null_world *w, struct clock *clock,
				  uint64_t (*delay)(void *arg), void *arg);
/* Crash: everything not applied yet never happens, nothing is replied; frees the storage, not the
 * world. An operation is applied half its delay after the call and replied at the end, so that a
 * crash may fall between. */
void storage_null_crash(struct storage *s);
/* While code is not 0, what comes to be applied is refused with that errno instead (a full disk).
 */
void storage_null_break(struct storage *s, int code);

#endif
