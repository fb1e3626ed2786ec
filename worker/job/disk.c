/* disk.c - see disk.h.
 * SPDX-License-Identifier: MIT */
#include "worker/job/disk.h"

#include "worker/job/internal.h"

void disk_init(struct disk *d, struct pool *pool, struct jobs *jobs, struct outbox *outbox)
{
	*d = (struct disk){.pool = pool, .jobs = jobs, .outbox = outbox};
	list_init(&d->queue);
}

struct disk_op *disk_op_new(struct disk *d, struct job *job, char *path, char *file)
{
	struct disk_op *op = xcalloc(1, sizeof *op);
	op->disk = d;
	op->job = job;
	op->path = path;
	op->file = file;
	return op;
}

static void op_free(struct disk_op *op)
{
	free(op->path);
	free(op->file);
	free(op->seqs);
	free(op);
}

static void run(struct work *w)
{
	struct disk_op *op = container_of(w, struct disk_op, work);
	op->run(op);
}

static void next(struct disk *d)
{
	struct list_node *n = list_pop_front(&d->queue);
	if (!n)
		return;
	d->running = list_entry(n, struct disk_op, node);
	pool_submit(d->pool, &d->running->work);
}

/* Returns whether the owner is still there to hear of it. */
static bool release_job(struct disk_op *op)
{
	struct job *job = op->job;
	if (!job)
		return true;
	job->op = NULL;
	if (!job->doomed)
		return true;
	job_free(job);
	return false;
}

static void after(struct work *w)
{
	struct disk_op *op = container_of(w, struct disk_op, work);
	struct disk *d = op->disk;
	struct jobs *j = d->jobs;
	d->running = NULL;
	bool wanted = release_job(op);
	next(d);
	if (wanted && op->after && !j->dead)
		op->after(op);
	op_free(op);
	if (j->dead && !d->running)
		jobs_destroy(j);
}

void disk_submit(struct disk_op *op, void (*fn)(struct disk_op *), void (*then)(struct disk_op *))
{
	struct disk *d = op->disk;
	op->work.run = run;
	op->work.after = after;
	op->run = fn;
	op->after = then;
	if (op->job)
		op->job->op = op;
	list_push_back(&d->queue, &op->node);
	if (!d->running)
		next(d);
}

bool disk_close(struct disk *d)
{
	list_each_safe (it, &d->queue) {
		struct disk_op *op = list_entry(it, struct disk_op, node);
		if (!op->prepares)
			continue;
		list_remove(&d->queue, it);
		(void)release_job(op);
		op_free(op);
	}
	return d->running != NULL;
}
