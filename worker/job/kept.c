/* kept.c - the entries of the outbox: how long they wait, and how they end.
 * SPDX-License-Identifier: MIT */
#include "worker/job/internal.h"

#define OFFER_WAIT_MS 600000 /* docs/protocol.md, section 7, point 6: ten minutes */

static void on_expire(void *arg)
{
	struct job *job = arg;
	log_info(job->jobs->d.log, "job", job_id(job),
		 "job %s was neither confirmed nor offered again within ten minutes; its kept "
		 "result is removed",
		 job_id(job));
	kept_end(job, JOB_FAILED, "not offered again");
}

/* By the monotonic clock: a jump of the wall clock loses nothing. And only while a session is open:
 * without one no offer can come. */
void kept_await(struct job *job)
{
	if (job->jobs->up)
		timer_start(&job->expire, job->jobs->d.clock, OFFER_WAIT_MS, on_expire, job);
}

void kept_link_up(struct jobs *j)
{
	list_each (it, &j->kept) {
		struct job *job = list_entry(it, struct job, node);
		job->later = false;
		if (!result_is_bytes(job->result) || job->result->parked)
			kept_await(job);
	}
}

static void warn_failed(struct disk_op *op)
{
	if (op->rc < 0)
		log_warn(op->disk->jobs->d.log, "job", NULL, "%s", op->err.text);
}

static void remove_run(struct disk_op *op)
{
	op->rc = outbox_remove(op->disk->outbox, op->path, &op->err);
}

static void park_run(struct disk_op *op)
{
	op->rc = outbox_park(op->disk->outbox, op->path, &op->err);
}

static void aside_run(struct disk_op *op)
{
	op->rc = outbox_set_aside(op->disk->outbox, op->path, &op->err);
}

static void on_folder(struct job *job, void (*run)(struct disk_op *))
{
	struct jobs *j = job->jobs;
	disk_submit(disk_op_new(&j->disk, NULL, xstrdup(job->result->dir), NULL), run, warn_failed);
}

static void finish(struct job *job, enum job_state how, const char *detail)
{
	struct jobs *j = job->jobs;
	job_move(job, how, detail);
	job_free(job);
	jobs_publish_outbox(j);
	slot_freed(j);
	delivery_pump(j);
}

void kept_end(struct job *job, enum job_state how, const char *detail)
{
	bool bytes = result_is_bytes(job->result);
	/* Here, for the studio's completeAck may be faster than the answer to the upload. */
	if (bytes && how == JOB_DELIVERED)
		log_info(job->jobs->d.log, "ws", job_id(job), "binary upload ok");
	if (bytes)
		on_folder(job, remove_run);
	else
		graves_add(job->jobs, job->result->seq);
	finish(job, how, detail);
}

void kept_park(struct job *job)
{
	if (!result_is_bytes(job->result))
		return;
	if (!job->result->parked)
		on_folder(job, park_run);
	job->result->parked = true;
}

void kept_set_aside(struct job *job)
{
	on_folder(job, aside_run);
	finish(job, JOB_FAILED, "the kept result is damaged");
}
