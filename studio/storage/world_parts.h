/* world_parts.h - the tables of the null storage, shared by world*.c only.
 * SPDX-License-Identifier: MIT */
#ifndef STORAGE_WORLD_PARTS_H
#define STORAGE_WORLD_PARTS_H

#include <uthash.h>

#include "studio/storage/op.h"
#include "studio/storage/world.h"

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

/* world.c */
void world_missing(struct op *o, const char *what);		       /* the reply is ENOENT */
struct worker_row *world_worker(struct null_world *w, const char *id); /* NULL: none */

/* world_models.c */
void world_free_model(struct model_row *row);
void world_model_put(struct null_world *w, struct op *o);
void world_model_get(struct null_world *w, struct op *o);
void world_model_list(struct null_world *w, struct op *o);
void world_model_delete(struct null_world *w, struct op *o);

/* world_logs.c */
void world_log_append(struct null_world *w, struct op *o);
void world_log_list(struct null_world *w, struct op *o);

#endif
