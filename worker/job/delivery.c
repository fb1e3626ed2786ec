/* delivery.c - results on their way to the studio: bytes by HTTP, JSON in a frame
 * (docs/protocol.md, section 7). SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/fs/sha256.h"
#include "lib/net/url.h"
#include "worker/job/internal.h"

#define RETRY_FIRST_MS	 1000 /* then 2 s; a result without a claim goes on up to */
#define RETRY_LONGEST_MS 30000
#define BOUND_TRIES	 3
#define REPLY_MAX	 (64u << 10)

enum verdict {
	STORED,
	NOT_OURS, /* 409 */
	UNKNOWN,  /* 404, 410: the studio holds no such job, so a `fail` would be a violation */
	REFUSED,  /* any other 4xx: the same bytes would be refused again */
	NOT_NOW,  /* 401, 403, 408, 425, 429: about us or the moment, not the result */
	TROUBLE,  /* 5xx, no answer */
};

static enum verdict judge(int status)
{
	if (status >= 200 && status < 300)
		return STORED;
	if (status < 400 || status >= 500)
		return TROUBLE;
	switch (status) {
	case 409:
		return NOT_OURS;
	case 404:
	case 410:
		return UNKNOWN;
	case 401:
	case 403:
	case 408:
	case 425:
	case 429:
		return NOT_NOW;
	default:
		return REFUSED;
	}
}

static void cause(const struct http_reply *r, char *out, size_t n)
{
	if (r->status == 0)
		snprintf(out, n, "%s", r->err.text);
	else if (r->len)
		snprintf(out, n, "HTTP %d: %.200s", r->status, r->body);
	else
		snprintf(out, n, "HTTP %d", r->status);
}

static void upload(struct job *job);

/* No longer on its way. */
static void rest(struct job *job, const char *detail)
{
	timer_stop(&job->retry);
	progress_stop(&job->progress);
	if (job->state == JOB_DELIVERING)
		job_move(job, JOB_FINISHED, detail);
}

static void on_retry(void *arg)
{
	struct job *job = arg;
	if (job->bound)
		upload(job);
	else
		delivery_pump(job->jobs);
}

static void retry_later(struct job *job)
{
	uint64_t ms = RETRY_FIRST_MS;
	for (unsigned i = 1; i < job->tries && ms < RETRY_LONGEST_MS; i++)
		ms *= 2;
	if (ms > RETRY_LONGEST_MS)
		ms = RETRY_LONGEST_MS;
	timer_start(&job->retry, job->jobs->d.clock, ms, on_retry, job);
}

void delivery_park(struct job *job)
{
	struct jobs *j = job->jobs;
	rest(job, NULL);
	job->bound = job->again = false;
	kept_park(job);
	kept_await(job);
	jobs_release_slot(j, job);
	delivery_pump(j);
}

static void give_up(struct job *job, const char *why)
{
	auto_free char *error = xasprintf("upload failed: %s", why);
	jobs_say_fail(job->jobs, job, error, true);
	delivery_park(job);
}

static void refused(struct job *job, const char *why)
{
	auto_free char *error = xasprintf("upload refused: %s", why);
	log_error(job->jobs->d.log, "ws", job_id(job), "%s", error);
	jobs_say_fail(job->jobs, job, error, true);
	kept_end(job, JOB_FAILED, error);
}

static void trouble(struct job *job, const char *why)
{
	struct jobs *j = job->jobs;
	job->tries++;
	log_warn(j->d.log, "ws", job_id(job), "binary upload failed (try %u): %s", job->tries, why);
	if (job->bound && job->tries >= BOUND_TRIES) {
		give_up(job, why);
		return;
	}
	if (!job->bound)
		rest(job, why);
	if (j->up)
		retry_later(job);
	delivery_pump(j);
}

static void not_now(struct job *job, const char *why)
{
	log_warn(job->jobs->d.log, "ws", job_id(job), "binary upload refused for now: %s", why);
	if (job->bound) {
		give_up(job, why);
		return;
	}
	rest(job, why);
	job->later = true;
	delivery_pump(job->jobs);
}

static void act(struct job *job, enum verdict v, const char *why)
{
	struct log *log = job->jobs->d.log;
	switch (v) {
	case STORED:
		kept_end(job, JOB_DELIVERED, NULL);
		break;
	case NOT_OURS:
		log_warn(log, "ws", job_id(job),
			 "the claim of job %s is not ours any more (%s); kept ten minutes for a "
			 "new offer",
			 job_id(job), why);
		delivery_park(job);
		break;
	case UNKNOWN:
		log_warn(log, "ws", job_id(job), "the studio has no job %s any more (%s); removed",
			 job_id(job), why);
		kept_end(job, JOB_FAILED, why);
		break;
	case REFUSED:
		refused(job, why);
		break;
	case NOT_NOW:
		not_now(job, why);
		break;
	case TROUBLE:
		trouble(job, why);
		break;
	}
}

static void on_reply(void *arg, const struct http_reply *reply)
{
	struct job *job = arg;
	struct jobs *j = job->jobs;
	char why[sizeof reply->err.text];
	job->exchange = NULL;
	if (j->pump == job)
		j->pump = NULL;
	enum verdict v = judge(reply->status);
	cause(reply, why, sizeof why);
	if (job->acked) {
		kept_end(job, JOB_DELIVERED, NULL);
	} else if (v != STORED && job->again && job->bound && j->up) {
		/* That answer was about the time before the studio offered it again. */
		job->again = false;
		upload(job);
	} else {
		act(job, v, why);
	}
}

static void request(struct job *job)
{
	struct jobs *j = job->jobs;
	struct result *r = job->result;
	auto_free char *url = url_path(j->link.api_base, "/workers/%s/jobs/%s/complete",
				       j->link.worker_id, r->job_id);
	auto_free char *name = xasprintf("%s.%s", r->job_id, r->ext);
	struct http_request q = {
	    .method = "POST",
	    .url = url,
	    .bearer = j->link.auth_token,
	    .prompt = r->prompt,
	    .ext = r->ext,
	    .file_path = r->file,
	    .file_name = name,
	    .content_type = content_type_of_ext(r->ext),
	    .max_reply = REPLY_MAX,
	};
	job->exchange = transport_request(j->d.transport, &q, on_reply, job);
	progress_report(job, STAGE_UPLOADING, -1, NULL);
}

/* ---- what was read from disk is checked before it is sent ---- */

static void verify_run(struct disk_op *op)
{
	char hex[SHA256_HEX_LEN];
	op->rc = sha256_file(op->path, hex, &op->err);
	if (op->rc == 0 && strcmp(hex, op->job->result->sha256) != 0)
		op->rc = err_set(&op->err, EIO, "its SHA-256 is not that of the manifest");
}

static void damaged(struct job *job, const char *why)
{
	log_error(job->jobs->d.log, "job", job_id(job),
		  "the kept result %s is damaged (%s); set aside", job->result->file, why);
	jobs_say_fail(job->jobs, job, "the kept result was damaged on disk", true);
	kept_set_aside(job);
}

static void verify_after(struct disk_op *op)
{
	struct job *job = op->job;
	struct jobs *j = job->jobs;
	if (j->pump == job && (!j->up || job->acked))
		j->pump = NULL;
	if (job->acked) { /* whatever our copy is like: the studio has its own */
		kept_end(job, JOB_DELIVERED, NULL);
		return;
	}
	if (op->rc < 0) {
		damaged(job, op->err.text);
		return;
	}
	job->result->verified = true;
	if (j->up && !(job->result->parked && !job->bound))
		request(job);
	else
		rest(job, NULL);
}

static void upload(struct job *job)
{
	struct jobs *j = job->jobs;
	if (job->state == JOB_FINISHED)
		job_move(job, JOB_DELIVERING, NULL);
	timer_stop(&job->expire);
	if (job->op)
		return; /* being checked already */
	if (job->result->verified) {
		request(job);
		return;
	}
	struct disk_op *op = disk_op_new(&j->disk, job, xstrdup(job->result->file), NULL);
	op->prepares = true;
	disk_submit(op, verify_run, verify_after);
}

static bool may_pump(const struct job *job)
{
	return result_is_bytes(job->result) && !job->bound && !job->result->parked &&
	       !job->listed && !job->later && !job->exchange && !job->op &&
	       !timer_running(&job->retry);
}

void delivery_pump(struct jobs *j)
{
	if (!j->up || j->pump)
		return;
	list_each (it, &j->kept) {
		struct job *job = list_entry(it, struct job, node);
		if (!may_pump(job))
			continue;
		j->pump = job;
		upload(job);
		return;
	}
}

/* ---- JSON ---- */

static void send_json(struct job *job)
{
	struct jobs *j = job->jobs;
	struct err e = ERR_INIT;
	if (job->state == JOB_FINISHED)
		job_move(job, JOB_DELIVERING, NULL);
	if (jobs_send(j, job->result->frame, &e) < 0) {
		log_error(j->d.log, "ws", job_id(job),
			  "completeJson send failed for job %s: %s; the result waits in the outbox",
			  job_id(job), e.text);
		job->bound = false;
		rest(job, e.text);
	} else {
		log_info(j->d.log, "ws", job_id(job), "json result sent");
	}
	kept_await(job);
	jobs_release_slot(j, job);
}

/* ---- what the room calls ---- */

void delivery_start(struct job *job)
{
	if (!result_is_bytes(job->result)) {
		send_json(job);
		return;
	}
	timer_stop(&job->retry);
	job->tries = 0;
	job->result->parked = job->later = false;
	if (job->exchange)
		job->again = true;
	else
		upload(job);
}

void delivery_wait(struct job *job)
{
	struct jobs *j = job->jobs;
	if (!result_is_bytes(job->result))
		kept_await(job);
	jobs_release_slot(j, job);
	delivery_pump(j);
}

void delivery_unbind(struct job *job)
{
	job->bound = job->again = job->listed = job->later = false;
	job->tries = 0;
	timer_stop(&job->retry);
	timer_stop(&job->expire);
	if (!job->exchange && !job->op)
		rest(job, NULL);
	jobs_release_slot(job->jobs, job);
}

void delivery_cancel(struct job *job)
{
	jobs_say_fail(job->jobs, job, "cancelled", false);
	kept_end(job, JOB_FAILED, "cancelled");
}

void delivery_ack(struct job *job)
{
	if (!job->exchange && !job->op) {
		kept_end(job, JOB_DELIVERED, NULL);
		return;
	}
	job->acked = true; /* cutting the upload's answer off would cost the connection */
	jobs_release_slot(job->jobs, job);
}
