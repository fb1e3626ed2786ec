/* backlog.h - the queued jobs as the hub remembers them, so that finding work for a worker reads no
 * storage. Jobs that the same workers can serve share a shape (kind, model, engine, memory):
 * finding the oldest job for a worker looks at the shapes, not at the jobs.
 * SPDX-License-Identifier: MIT */
#ifndef HUB_BACKLOG_H
#define HUB_BACKLOG_H

#include <uthash.h>

#include "lib/base/list.h"
#include "lib/wire/kind.h"
#include "studio/storage/storage.h"

struct shape {
	UT_hash_handle hh;
	char *key, *model, *engine;
	bool kind_known;
	enum kind kind;
	double vram_gb;
	struct list jobs; /* struct backlog_job, by seq */
};
struct backlog_job {
	UT_hash_handle hh;
	struct list_node node;
	struct shape *shape;
	char *id;
	int64_t seq;
	bool taken; /* being reserved */
};
struct backlog {
	struct shape *shapes; /* none is empty */
	struct backlog_job *jobs;
};

/* What jobs of one shape have in common. free() it. */
char *shape_key(const struct job_record *job);
void backlog_fini(struct backlog *b);
/* NULL when it is there already. */
struct backlog_job *backlog_add(struct backlog *b, const struct job_record *job);
void backlog_take(struct backlog *b, const char *job_id,
		  bool taken);				    /* a missing one is no error */
void backlog_remove(struct backlog *b, const char *job_id); /* a missing one is no error */
/* The oldest job of a shape that `fits`, leaving out those that `skip` names; NULL when there is
 * none. */
struct backlog_job *backlog_oldest(const struct backlog *b,
				   bool (*fits)(const void *arg, const struct shape *s),
				   bool (*skip)(const void *arg, const char *job_id),
				   const void *arg);

#endif
