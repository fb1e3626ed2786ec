/* jobs.c - see jobs.h: the room's life, and its link to the session.
 * SPDX-License-Identifier: MIT */
#include "worker/job/jobs.h"

#include <errno.h>
#include <string.h>

#include "worker/job/internal.h"
#include "worker/job/scratch.h"

#define RESUMED_WAIT_MS                                                                            \
	10000 /* a studio that never answers `resume` must not hold results back                   \
	       */

/* ---- life ---- */

static void load(struct jobs *j)
{
	struct result **items = NULL;
	size_t n = 0;
	struct err e = ERR_INIT;
	if (outbox_load(j->outbox, j->d.log, &items, &n, &e) < 0)
		log_error(j->d.log, "job", NULL, "%s; jobs will fail until this is mended", e.text);
	for (size_t i = 0; i < n; i++)
		(void)job_new_kept(j, items[i]);
	if (n)
		log_info(j->d.log, "job", NULL, "%zu finished result(s) wait in the outbox", n);
	free(items);
	jobs_publish_outbox(j);
}

struct jobs *jobs_new(const struct jobs_deps *d, struct err *e)
{
	if (!d->state_dir || !d->state_dir[0]) {
		err_set(e, EINVAL, "no state folder given");
		return NULL;
	}
	struct jobs *j = xcalloc(1, sizeof *j);
	j->d = *d;
	j->d.state_dir = j->state_dir = xstrdup(d->state_dir);
	list_init(&j->kept);
	j->outbox = outbox_new(j->state_dir);
	disk_init(&j->disk, d->pool, j, j->outbox);
	scratch_sweep(j->state_dir);
	load(j);
	return j;
}

static void forget_unsaid(struct jobs *j)
{
	str_replace(&j->unsaid.job_id, NULL);
	str_replace(&j->unsaid.error, NULL);
}

void jobs_destroy(struct jobs *j)
{
	outbox_free(j->outbox);
	free(j->graves);
	forget_unsaid(j);
	free(j->state_dir);
	free(j);
}

static void free_all_jobs(struct jobs *j)
{
	if (j->slot && job_in_work(j->slot)) {
		pipeline_cancel(j->slot);
		job_free(j->slot);
	}
	list_each_safe (it, &j->kept)
		job_free(list_entry(it, struct job, node));
}

void jobs_free(struct jobs *j)
{
	if (!j)
		return;
	timer_stop(&j->resume_timer);
	timer_stop(&j->forget_timer);
	slot_drop_held(j);
	free_all_jobs(j);
	j->dead = true;
	if (disk_close(&j->disk)) {
		if (j->n_graves)
			graves_flush(j);
		return; /* freed when the disk is done */
	}
	if (j->n_graves)
		(void)!outbox_forget(j->outbox, j->graves, j->n_graves, NULL);
	jobs_destroy(j);
}

/* ---- for the files of the room ---- */

int jobs_send(struct jobs *j, const char *frame, struct err *e)
{
	if (!j->up)
		return err_set(e, ENOTCONN, "no session is open");
	return j->link.send(j->link.arg, frame, e);
}

bool jobs_may_say(const struct jobs *j, const struct job *job, enum feature f)
{
	return j->up && job->bound && (j->link.features & f);
}

void jobs_say_fail(struct jobs *j, struct job *job, const char *error, bool retryable)
{
	struct err e = ERR_INIT;
	if (j->up && job->listed) {
		str_replace(&j->unsaid.job_id, job_id(job));
		str_replace(&j->unsaid.error, error);
		j->unsaid.retryable = retryable;
	}
	if (!j->up || !job->bound)
		return;
	auto_free char *frame = frame_fail(job_id(job), error, retryable);
	if (jobs_send(j, frame, &e) < 0)
		log_error(j->d.log, "ws", job_id(job),
			  "failed to notify studio of job %s failure: %s", job_id(job), e.text);
}

static bool matches(const struct job *job, const char *id, const char *digest)
{
	return strcmp(job_id(job), id) == 0 &&
	       (!digest || strcmp(job->result->digest, digest) == 0);
}

struct job *jobs_find(const struct jobs *j, const char *id, const char *digest)
{
	if (j->slot && matches(j->slot, id, digest))
		return j->slot;
	list_each (it, &j->kept) {
		struct job *job = list_entry(it, struct job, node);
		if (matches(job, id, digest))
			return job;
	}
	return NULL;
}

void jobs_forget(struct jobs *j, struct job *job)
{
	if (j->slot == job)
		j->slot = NULL;
	if (j->pump == job)
		j->pump = NULL;
}

void jobs_release_slot(struct jobs *j, struct job *job)
{
	if (j->slot != job)
		return;
	j->slot = NULL;
	slot_freed(j);
}

void jobs_publish_outbox(struct jobs *j)
{
	struct event ev = {
	    .type = EVENT_OUTBOX,
	    .wall_ms = clock_wall(j->d.clock),
	    .count = j->kept.len,
	};
	events_publish(j->d.events, &ev);
}

static void scratch_run(struct disk_op *op)
{
	scratch_remove(op->path);
}

void jobs_remove_scratch(struct jobs *j, const char *path)
{
	disk_submit(disk_op_new(&j->disk, NULL, xstrdup(path), NULL), scratch_run, NULL);
}

/* ---- the link ---- */

static void settle(struct jobs *j)
{
	timer_stop(&j->resume_timer);
	if (j->slot)
		j->slot->listed = false;
	list_each (it, &j->kept)
		list_entry(it, struct job, node)->listed = false;
	delivery_pump(j);
}

static void on_no_answer(void *arg)
{
	settle(arg);
}

void jobs_link_up(struct jobs *j, const struct job_link *link)
{
	j->link = *link;
	j->up = true;
	kept_link_up(j);
	if (link->features & FEATURE_RESUME)
		timer_start(&j->resume_timer, j->d.clock, RESUMED_WAIT_MS, on_no_answer, j);
	else
		delivery_pump(j);
}

void jobs_link_down(struct jobs *j)
{
	if (!j->up)
		return;
	j->up = false;
	forget_unsaid(j);
	timer_stop(&j->resume_timer);
	slot_drop_held(j);
	if (j->slot && job_in_work(j->slot)) {
		j->slot->bound = j->slot->listed = false;
		progress_stop(&j->slot->progress);
	}
	list_each_safe (it, &j->kept)
		delivery_unbind(list_entry(it, struct job, node));
}

char *jobs_resume_frame(struct jobs *j)
{
	struct resume_job items[1000];
	size_t n = 0;
	if (j->slot && job_in_work(j->slot)) {
		j->slot->listed = true;
		items[n++] = (struct resume_job){j->slot->result->job_id, false};
	}
	list_each (it, &j->kept) {
		struct job *job = list_entry(it, struct job, node);
		if (n == ARRAY_LEN(items))
			break;
		job->listed = true;
		items[n++] = (struct resume_job){job->result->job_id, true};
	}
	return frame_resume(items, n);
}

/* Listed in our resume frame, but over before the answer came: the studio holds a claim that nobody
 * works on. */
static void say_ended_meanwhile(struct jobs *j, const char *id)
{
	struct err e = ERR_INIT;
	bool known = j->unsaid.job_id && strcmp(j->unsaid.job_id, id) == 0;
	auto_free char *frame =
	    frame_fail(id, known ? j->unsaid.error : "the job ended before its session was resumed",
		       !known || j->unsaid.retryable);
	if (jobs_send(j, frame, &e) < 0)
		log_error(j->d.log, "ws", id, "failed to notify studio of job %s failure: %s", id,
			  e.text);
}

static void keep(struct jobs *j, const char *id)
{
	struct job *job = jobs_find(j, id, NULL);
	if (!job) {
		say_ended_meanwhile(j, id);
		return;
	}
	if (job->bound || job->cancelled || job->dropped)
		return;
	job->listed = false;
	job->bound = true;
	log_info(j->d.log, "ws", id, "the studio kept our claim of job %s", id);
	if (job_in_work(job))
		return;
	if (!j->slot)
		j->slot = job;
	delivery_start(job);
}

/* A running engine is stopped, for nobody waits for it; what is finished already waits for a new
 * offer. */
static void drop(struct jobs *j, const char *id)
{
	struct job *job = jobs_find(j, id, NULL);
	if (!job || !job->listed)
		return;
	job->listed = false;
	log_info(j->d.log, "ws", id, "the studio dropped our claim of job %s", id);
	if (job_in_work(job)) {
		job->dropped = true;
		pipeline_cancel(job);
	} else {
		delivery_park(job);
	}
}

void jobs_resumed(struct jobs *j, char *const *kept, size_t n_keep, char *const *gone,
		  size_t n_drop)
{
	if (!j->up || !(j->link.features & FEATURE_RESUME))
		return;
	for (size_t i = 0; i < n_keep; i++)
		keep(j, kept[i]);
	for (size_t i = 0; i < n_drop; i++)
		drop(j, gone[i]);
	forget_unsaid(j); /* only now: an answer may also come after we stopped waiting for it */
	settle(j);
}

/* ---- what the studio says ---- */

void jobs_offer(struct jobs *j, struct claim *claim)
{
	slot_offer(j, claim);
}

void jobs_complete_ack(struct jobs *j, const char *id)
{
	struct job *job = jobs_find(j, id, NULL);
	log_info(j->d.log, "ws", id, "studio confirmed completion of job %s", id);
	if (job && !job_in_work(job))
		delivery_ack(job);
}

void jobs_fail_ack(struct jobs *j, const char *id)
{
	log_info(j->d.log, "ws", id, "studio confirmed failure of job %s", id);
}

void jobs_cancel(struct jobs *j, const char *id)
{
	struct job *job = jobs_find(j, id, NULL);
	if (!j->up || !(j->link.features & FEATURE_CANCEL) || !job || job->acked) {
		log_warn(j->d.log, "ws", id, "cancel of job %s ignored: nothing to cancel here",
			 id);
		return;
	}
	if (job_in_work(job)) {
		job->cancelled = true;
		pipeline_cancel(job);
	} else {
		delivery_cancel(job);
	}
}

/* ---- for the owner ---- */

const char *jobs_current(const struct jobs *j)
{
	return j->slot ? job_id(j->slot) : NULL;
}

void jobs_pause(struct jobs *j, bool paused)
{
	if (j->paused == paused)
		return;
	j->paused = paused;
	log_info(j->d.log, "ws", NULL, "%s",
		 paused ? "claiming paused by operator; new offers are rejected until resumed"
			: "claiming resumed by operator; accepting new offers again");
	struct event ev = {.type = EVENT_PAUSED, .wall_ms = clock_wall(j->d.clock), .flag = paused};
	events_publish(j->d.events, &ev);
}

bool jobs_paused(const struct jobs *j)
{
	return j->paused;
}

size_t jobs_outbox_len(const struct jobs *j)
{
	return j->kept.len;
}
