/* op.h - one asked-for operation of a storage: copied arguments, then its reply.
 * The front (op.c) turns every call of storage_ops into a struct op and hands it to the
 * implementation, which applies it where and when it likes and then calls op_reply() and op_free()
 * on the loop thread. SPDX-License-Identifier: MIT */
#ifndef STORAGE_OP_H
#define STORAGE_OP_H

#include "lib/base/clock.h"
#include "lib/base/list.h"
#include "studio/storage/record.h"

enum op_type {
	OP_REQUEST_OPEN,
	OP_REQUEST_GET,
	OP_REQUEST_LIST,
	OP_REQUEST_DECIDE,
	OP_WORKER_GET,
	OP_WORKER_LIST,
	OP_WORKER_SET_TOKEN,
	OP_WORKER_SEEN,
	OP_WORKER_DELETE,
	OP_JOB_INSERT,
	OP_JOB_GET,
	OP_JOB_LIST,
	OP_JOB_MOVE,
	OP_JOB_DELETE,
	OP_MODEL_PUT,
	OP_MODEL_GET,
	OP_MODEL_LIST,
	OP_MODEL_DELETE,
	OP_LOG_APPEND,
	OP_LOG_LIST,
	OP_COUNT,
};

/* The rows of a reply; one of the arrays is used. */
struct op_rows {
	struct request_record *requests;
	struct worker_record *workers;
	struct job_record *jobs;
	struct model_record *models;
	struct log_record *logs;
	size_t n, cap;
};

struct store;

struct op {
	struct list_node node;
	enum op_type type;
	storage_done *done;
	void *arg;

	char *id;	 /* of the row, or of the worker whose logs are asked for */
	char *worker_id; /* request_decide */
	char *text;	 /* status, reason or token hash */
	bool approve;
	int64_t now_ms, after_seq;
	size_t limit;
	json_t *json; /* capabilities */
	struct request_record request;
	struct job_record job;
	struct model_record model;
	struct job_filter filter;
	struct job_move move;
	struct log_record *log_rows;
	size_t n_log_rows;

	struct err err;
	bool changed;
	struct op_rows rows;

	struct store *store; /* from here on null.c's */
	struct timer timer;
	uint64_t reply_at;
	bool applied;
};

/* Zeroed row at the end of the reply. */
struct request_record *op_add_request(struct op *o);
struct worker_record *op_add_worker(struct op *o);
struct job_record *op_add_job(struct op *o);
struct model_record *op_add_model(struct op *o);
struct log_record *op_add_log(struct op *o);
void op_clear_reply(struct op *o); /* to run it again */
void op_reply(struct op *o);	   /* calls done, if any */
void op_free(struct op *o);

/* Implementations embed it first. */
struct store {
	struct storage base;
	void (*submit)(struct store *s, struct op *o); /* takes the op */
};

/* The calls of storage_ops, all but name and close. */
void store_request_open(struct storage *s, const struct request_record *r, storage_done *done,
			void *arg);
void store_request_get(struct storage *s, const char *id, storage_done *done, void *arg);
void store_request_list(struct storage *s, const char *status, storage_done *done, void *arg);
void store_request_decide(struct storage *s, const char *id, bool approve, const char *worker_id,
			  const char *reason, int64_t now_ms, storage_done *done, void *arg);
void store_worker_get(struct storage *s, const char *id, storage_done *done, void *arg);
void store_worker_list(struct storage *s, storage_done *done, void *arg);
void store_worker_set_token(struct storage *s, const char *id, const char *token_hash,
			    storage_done *done, void *arg);
void store_worker_seen(struct storage *s, const char *id, const json_t *capabilities,
		       int64_t now_ms, storage_done *done, void *arg);
void store_worker_delete(struct storage *s, const char *id, storage_done *done, void *arg);
void store_job_insert(struct storage *s, const struct job_record *j, storage_done *done, void *arg);
void store_job_get(struct storage *s, const char *id, storage_done *done, void *arg);
void store_job_list(struct storage *s, const struct job_filter *f, storage_done *done, void *arg);
void store_job_move(struct storage *s, const struct job_move *m, storage_done *done, void *arg);
void store_job_delete(struct storage *s, const char *id, storage_done *done, void *arg);
void store_model_put(struct storage *s, const struct model_record *m, storage_done *done,
		     void *arg);
void store_model_get(struct storage *s, const char *id, storage_done *done, void *arg);
void store_model_list(struct storage *s, storage_done *done, void *arg);
void store_model_delete(struct storage *s, const char *id, storage_done *done, void *arg);
void store_log_append(struct storage *s, const struct log_record *rows, size_t n,
		      storage_done *done, void *arg);
void store_log_list(struct storage *s, const char *worker_id, int64_t after_seq, size_t limit,
		    storage_done *done, void *arg);
#define STORE_FRONT                                                                                \
	.request_open = store_request_open, .request_get = store_request_get,                      \
	.request_list = store_request_list, .request_decide = store_request_decide,                \
	.worker_get = store_worker_get, .worker_list = store_worker_list,                          \
	.worker_set_token = store_worker_set_token, .worker_seen = store_worker_seen,              \
	.worker_delete = store_worker_delete, .job_insert = store_job_insert,                      \
	.job_get = store_job_get, .job_list = store_job_list, .job_move = store_job_move,          \
	.job_delete = store_job_delete, .model_put = store_model_put,                              \
	.model_get = store_model_get, .model_list = store_model_list,                              \
	.model_delete = store_model_delete, .log_append = store_log_append,                        \
	.log_list = store_log_list

#endif
