/* pipeline.c - an accepted job: its folder, its files, its engine, its result into the outbox.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lib/base/time.h"
#include "worker/job/internal.h"
#include "worker/job/scratch.h"

void pipeline_fail(struct job *job, bool retryable, const char *error)
{
	struct jobs *j = job->jobs;
	job_move(job, JOB_FAILED, error);
	if (!job->dropped)
		jobs_say_fail(j, job, error, retryable);
	if (job->scratch)
		jobs_remove_scratch(j, job->scratch);
	job_free(job);
	slot_freed(j);
}

static void fail_cancelled(struct job *job)
{
	log_info(job->jobs->d.log, "ws", job_id(job), "job %s %s", job_id(job),
		 job->dropped ? "dropped by the studio" : "cancelled by the studio");
	pipeline_fail(job, false, "cancelled");
}

static void fail_logged(struct job *job, bool retryable, const char *error)
{
	log_error(job->jobs->d.log, "ws", job_id(job), "dispatch failed: %s", error);
	pipeline_fail(job, retryable, error);
}

/* ---- the result ---- */

static void put_run(struct disk_op *op)
{
	struct disk *d = op->disk;
	/* The graves are no matter of this job: what can't be written there now is found again at
	 * worst. */
	(void)!outbox_forget(d->outbox, op->seqs, op->n_seqs, NULL);
	op->rc = outbox_put(d->outbox, op->job->result, op->file, &op->err);
	if (op->path)
		scratch_remove(op->path);
}

/* An older result of the same job, for a task that was since changed, makes room for this one. */
static void replace_stale(struct job *job)
{
	struct jobs *j = job->jobs;
	list_each_safe (it, &j->kept) {
		struct job *other = list_entry(it, struct job, node);
		if (other == job || strcmp(job_id(other), job_id(job)) != 0)
			continue;
		log_info(j->d.log, "job", job_id(other),
			 "replaced the kept result of an older task");
		kept_end(other, JOB_FAILED, "replaced");
	}
}

static void put_after(struct disk_op *op)
{
	struct job *job = op->job;
	struct jobs *j = job->jobs;
	str_replace(&job->scratch, NULL); /* removed on the way */
	if (op->rc < 0) {
		fail_logged(job, true, op->err.text);
		return;
	}
	list_push_back(&j->kept, &job->node);
	jobs_publish_outbox(j);
	replace_stale(job);
	if (job->cancelled) {
		delivery_cancel(job);
	} else if (job->dropped) {
		delivery_park(job);
	} else if (job->bound && j->up) {
		delivery_start(job);
	} else {
		delivery_wait(job);
	}
}

static bool inside(const char *file, const char *dir)
{
	size_t n = strlen(dir);
	return strncmp(file, dir, n) == 0 && file[n] == '/' && !strstr(file, "/../");
}

static int take_file(struct job *job, const struct engine_result *result, struct err *e)
{
	if (!job->scratch || !inside(result->file, job->scratch))
		return err_set(e, EINVAL, "the engine's file is not in the job's scratch folder");
	if (!result_ext_valid(result->ext))
		return err_set(e, EINVAL, "the engine's file has no usable extension");
	str_replace(&job->outcome_file, result->file);
	str_replace(&job->result->ext, result->ext);
	return 0;
}

static int take_json(struct job *job, json_t *json, struct err *e)
{
	struct result *r = job->result;
	r->frame = frame_complete_json(r->job_id, json, r->prompt);
	if (r->frame && strlen(r->frame) <= FRAME_MAX_BYTES)
		return 0;
	return err_set(e, EFBIG, "the result is larger than a frame may be (4 MiB)");
}

static void keep_result(struct job *job, const struct engine_result *result)
{
	struct jobs *j = job->jobs;
	struct err e = ERR_INIT;
	int rc = kind_is_bytes(job->claim->task->kind) == (result->file != NULL)
		     ? 0
		     : err_set(&e, EINVAL, "the engine gave a result of the wrong sort");
	if (rc == 0)
		rc = result->file ? take_file(job, result, &e) : take_json(job, result->json, &e);
	if (rc < 0) {
		fail_logged(job, true, e.text);
		return;
	}
	job->result->created_ms = clock_wall(j->d.clock);
	job_move(job, JOB_FINISHED, NULL);
	struct disk_op *op =
	    disk_op_new(&j->disk, job, xstrdup_opt(job->scratch), xstrdup_opt(job->outcome_file));
	graves_hand(j, op);
	disk_submit(op, put_run, put_after);
}

/* ---- the engine ---- */

static void on_progress(void *arg, enum stage stage, double fraction, const char *detail)
{
	struct job *job = arg;
	if (job->jobs)
		progress_report(job, stage, fraction, detail);
}

static void on_end(void *arg, const struct engine_result *result, const struct err *error,
		   bool retryable)
{
	struct job *job = arg;
	char took[32];
	job->run = NULL;
	progress_stop(&job->progress);
	provision_free(steal(&job->provision)); /* others may have the files' place now */
	if (job->doomed) {
		if (job->scratch)
			scratch_remove_in(job->pool, job->scratch);
		job_free(job);
		return;
	}
	if (job->cancelled || job->dropped) {
		fail_cancelled(job);
		return;
	}
	if (!result) {
		fail_logged(job, retryable, error ? error->text : "the engine gave no result");
		return;
	}
	time_format_duration(clock_now(job->jobs->d.clock) - job->started_ms, took);
	log_info(job->jobs->d.log, "ws", job_id(job), "%s dispatched in %s", job->result->kind,
		 took);
	keep_result(job, result);
}

static const struct engine_events engine_events = {.progress = on_progress, .end = on_end};

static void run_engine(struct job *job)
{
	struct err e = ERR_INIT;
	bool retryable = true;
	job->started_ms = clock_now(job->jobs->d.clock);
	job->run =
	    job->engine->ops->start(job->engine, &job->work, &engine_events, job, &retryable, &e);
	if (!job->run)
		fail_logged(job, retryable, e.text);
	else
		job_move(job, JOB_RUNNING, NULL);
}

/* ---- before it ---- */

static void on_provisioned(struct job *job, const struct err *err, bool retryable)
{
	progress_stop(&job->progress);
	if (job->cancelled || job->dropped)
		fail_cancelled(job);
	else if (err)
		fail_logged(job, retryable, err->text);
	else
		run_engine(job);
}

static void provision(struct job *job)
{
	struct jobs *j = job->jobs;
	job->work.scratch = job->scratch;
	if (j->d.store && (job->engine->ops->provisioned & KIND_BIT(job->claim->task->kind)))
		job->provision = provision_start(job, on_provisioned);
	else
		run_engine(job);
}

static void make_run(struct disk_op *op)
{
	op->rc = scratch_make(op->path, &op->err);
}

static void make_after(struct disk_op *op)
{
	struct job *job = op->job;
	if (job->cancelled || job->dropped)
		fail_cancelled(job);
	else if (op->rc < 0)
		fail_logged(job, true, op->err.text);
	else
		provision(job);
}

static int check(struct job *job, struct err *e)
{
	const struct engine_ops *ops = job->engine->ops;
	job->work = (struct engine_job){
	    .job_id = job_id(job),
	    .model = job->claim->model,
	    .task = job->claim->task,
	    .source = job->claim->source,
	    .memory_bytes = engine_memory_bytes(job->claim->vram_gb_estimate),
	};
	return ops->check ? ops->check(job->engine, &job->work, e) : 0;
}

void pipeline_start(struct job *job)
{
	struct jobs *j = job->jobs;
	const struct task *task = job->claim->task;
	struct err e = ERR_INIT;
	if (!task->known) {
		auto_free char *text = xasprintf(
		    "task kind %s is not known to this worker; update it", task->kind_text);
		fail_logged(job, false, text);
		return;
	}
	job->engine = engines_route(j->d.engines, job->claim->source->engine, task->kind, &e);
	if (!job->engine || check(job, &e) < 0) {
		fail_logged(job, false, e.text);
		return;
	}
	job_move(job, JOB_PROVISIONING, NULL);
	if (job->engine->ops->in_memory & KIND_BIT(task->kind)) {
		provision(job);
		return;
	}
	job->scratch = scratch_path(j->d.state_dir, job_id(job));
	struct disk_op *op = disk_op_new(&j->disk, job, xstrdup(job->scratch), NULL);
	op->prepares = true;
	disk_submit(op, make_run, make_after);
}

void pipeline_cancel(struct job *job)
{
	if (job->run)
		job->engine->ops->cancel(job->run);
	else if (job->provision)
		provision_cancel(job->provision);
}
