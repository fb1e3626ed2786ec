/* disk.h - the room's disk work: in the pool, one piece at a time and in order.
 * So the outbox needs no lock, and a folder is gone before it is made again.
 * SPDX-License-Identifier: MIT */
#ifndef JOB_DISK_H
#define JOB_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/work.h"

struct job;
struct jobs;
struct disk;
struct outbox;

struct disk_op {
	struct work work;
	struct list_node node;
	struct disk *disk;
	struct job *job; /* kept alive until the work is done; NULL: the work needs none */
	char *path;	 /* for run(); owned */
	char *file;	 /* for run(), may be NULL; owned */
	uint64_t *seqs;	 /* JSON results to forget on the way; owned */
	size_t n_seqs;
	bool prepares; /* only serves what would come after it */
	int rc;
	struct err err;
	void (*run)(struct disk_op *op);   /* in the pool */
	void (*after)(struct disk_op *op); /* on the loop; may be NULL; not called when the job or
					      the room is gone */
};

struct disk {
	struct pool *pool;
	struct jobs *jobs;
	struct outbox *outbox;
	struct list queue;
	struct disk_op *running;
};

void disk_init(struct disk *d, struct pool *pool, struct jobs *jobs, struct outbox *outbox);
/* Takes path and file. */
struct disk_op *disk_op_new(struct disk *d, struct job *job, char *path, char *file);
void disk_submit(struct disk_op *op, void (*run)(struct disk_op *),
		 void (*after)(struct disk_op *));
/* The room is gone. What was to be written still is, for a finished result may be among it; what
 * only prepares is thrown away. True while something runs: jobs_destroy() is called at the end of
 * it all. */
bool disk_close(struct disk *d);

#endif
