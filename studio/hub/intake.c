/* intake.c - one upload: token, claim, bytes to the blob store, then the job.
 * Order: the blob is durable before the job is done, and the job before the answer. A crash between
 * leaves a blob that no job refers to, which the sweep at the next start removes, and a worker that
 * delivers again.
 *
 *   CHECKING ──fine──▶ RECEIVING ──finish──▶ STORING ──blob, job──▶ answered
 *
 * SPDX-License-Identifier: MIT */
#include "studio/hub/intake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/fs/sha256.h"
#include "studio/hub/parts.h"
#include "studio/hub/token.h"

#define EXT_MAX	   8
#define PROMPT_MAX (1u << 20)

enum intake_state { INTAKE_CHECKING, INTAKE_RECEIVING, INTAKE_STORING };

struct intake {
	struct list_node node; /* hub.intakes */
	struct intake_deps d;
	const struct intake_events *ev; /* NULL: the client left */
	void *arg;
	enum intake_state state;
	char *worker_id, *job_id;
	struct secret bearer;
	char *prompt;
	char ext[EXT_MAX + 1];
	char *blob;
	struct blob_writer *writer; /* open while bytes come in for a claimed job */
	struct sha256 *hash;	    /* instead: the job is done, the bytes are only compared */
	char *done_sha256;
	char sha256[SHA256_HEX_LEN];
	uint64_t bytes;
};

void intake_forget(struct intake *i)
{
	list_remove(&i->d.hub->intakes, &i->node);
	if (i->writer)
		i->d.blobs->ops->abort(i->writer);
	sha256_free(i->hash);
	secret_clear(&i->bearer);
	free(i->worker_id);
	free(i->job_id);
	free(i->prompt);
	free(i->blob);
	free(i->done_sha256);
	free(i);
}

struct intake *intake_of_node(struct list_node *n)
{
	return list_entry(n, struct intake, node);
}

/* ---- ends ---- */

static void answer(struct intake *i, int status, const char *code, const char *text)
{
	log_write(i->d.log, status == 200 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "intake", i->job_id,
		  "upload from %s answered %d%s%s", i->worker_id, status, code ? ": " : "",
		  code ? text : "");
	if (i->ev)
		i->ev->answer(i->arg, status, code, text);
	intake_forget(i);
}

static void refuse(struct intake *i, int status, const char *code, const char *text)
{
	log_warn(i->d.log, "intake", i->job_id, "upload from %s refused with %d: %s", i->worker_id,
		 status, text);
	if (i->ev)
		i->ev->checked(i->arg, status, code, text);
	intake_forget(i);
}

static bool is_mine(const struct intake *i, const struct job_record *job)
{
	return job->worker_id && strcmp(job->worker_id, i->worker_id) == 0;
}

/* What a job that is not this worker's claim means for the upload. */
static int no_claim(const struct intake *i, const struct job_record *job, const char **code,
		    const char **text)
{
	if (job->state == JOB_FAILED && is_mine(i, job)) {
		*code = "gone";
		*text = "this job was cancelled";
		return 410;
	}
	/* Sockets and uploads overtake each other: the accept is still on its way. A 409 would end
	 * the delivery for good, and the job would stay claimed for ever. */
	if (job->state == JOB_OFFERED && is_mine(i, job)) {
		*code = "not_accepted_yet";
		*text = "the accept of this job has not arrived yet, try again";
		return 503;
	}
	*code = "conflict";
	*text = "this job is not claimed by this worker";
	return 409;
}

/* ---- begin: token, then claim ---- */

static void go_on(struct intake *i)
{
	i->state = INTAKE_RECEIVING;
	if (i->ev)
		i->ev->checked(i->arg, 0, NULL, NULL);
	else
		intake_forget(i);
}

static void check_job(struct intake *i, const struct job_record *job)
{
	const char *code, *text;
	enum kind kind;
	if (job->kind && kind_parse(job->kind, &kind) && !kind_is_bytes(kind)) {
		refuse(i, 400, "invalid_request", "results of this kind travel by completeJson");
	} else if (job->state == JOB_DONE && is_mine(i, job) && job->sha256) {
		i->done_sha256 = xstrdup(job->sha256);
		i->hash = sha256_new();
		go_on(i);
	} else if (job->state == JOB_CLAIMED && is_mine(i, job)) {
		go_on(i);
	} else {
		int status = no_claim(i, job, &code, &text);
		refuse(i, status, code, text);
	}
}

static void storage_failed(struct intake *i, const struct err *err)
{
	log_error(i->d.log, "intake", i->job_id, "storage failed: %s", err->text);
	refuse(i, 503, "storage_failed", "the studio cannot use its storage, try again later");
}

static void job_read(void *arg, const struct storage_reply *r)
{
	struct intake *i = arg;
	if (r->err->code == ENOENT)
		refuse(i, 404, "not_found", "there is no such job");
	else if (r->err->code)
		storage_failed(i, r->err);
	else
		check_job(i, &r->jobs[0]);
}

static void worker_read(void *arg, const struct storage_reply *r)
{
	struct intake *i = arg;
	struct storage *s = i->d.storage;
	if (r->err->code && r->err->code != ENOENT)
		storage_failed(i, r->err);
	else if (r->err->code || !token_matches(&i->bearer, r->workers[0].token_hash))
		refuse(i, 401, "unauthorized", "unknown worker or wrong token");
	else
		s->ops->job_get(s, i->job_id, job_read, i);
}

struct intake *intake_begin(const struct intake_deps *d, const char *worker_id, const char *job_id,
			    const struct secret *bearer, const struct intake_events *ev, void *arg)
{
	struct intake *i = xcalloc(1, sizeof(*i));
	i->d = *d;
	i->ev = ev;
	i->arg = arg;
	i->worker_id = xstrndup(worker_id, 200);
	i->job_id = xstrndup(job_id, 200);
	secret_copy(&i->bearer, bearer);
	list_push_back(&d->hub->intakes, &i->node);
	d->storage->ops->worker_get(d->storage, i->worker_id, worker_read, i);
	return i;
}

/* ---- the body ---- */

static int set_ext(struct intake *i, const char *value, size_t len, struct err *e)
{
	if (len < 1 || len > EXT_MAX)
		return err_set(e, EINVAL, "ext must have 1 to %d characters", EXT_MAX);
	for (size_t k = 0; k < len; k++) {
		bool fine =
		    (value[k] >= 'a' && value[k] <= 'z') || (value[k] >= '0' && value[k] <= '9');
		if (!fine)
			return err_set(e, EINVAL, "ext must be of a-z and 0-9");
	}
	memcpy(i->ext, value, len);
	i->ext[len] = '\0';
	return 0;
}

int intake_field(struct intake *i, const char *name, const char *value, size_t len, struct err *e)
{
	if (i->state != INTAKE_RECEIVING)
		return err_set(e, EINVAL, "a field came before the upload was checked");
	if (strcmp(name, "ext") == 0)
		return set_ext(i, value, len, e);
	if (strcmp(name, "prompt") != 0)
		return 0;
	if (len > PROMPT_MAX || memchr(value, '\0', len))
		return err_set(e, EINVAL, "prompt must be text of at most %u bytes", PROMPT_MAX);
	free(i->prompt);
	i->prompt = xstrndup(value, len);
	return 0;
}

/* The job's id is the studio's own, but hashed all the same: a name never depends on what a peer
 * can choose. */
static int open_blob(struct intake *i, struct err *e)
{
	char hash[SHA256_HEX_LEN];
	char random[17];
	sha256_hex(i->job_id, strlen(i->job_id), hash);
	rng_hex(i->d.rng, random, 8);
	free(i->blob);
	i->blob = xasprintf("%.16s-%s%s%s", hash, random, i->ext[0] ? "." : "", i->ext);
	i->writer = i->d.blobs->ops->open(i->d.blobs, i->blob, e);
	return i->writer ? 0 : -(e && e->code ? e->code : EIO);
}

int intake_data(struct intake *i, const void *data, size_t len, struct err *e)
{
	if (i->state != INTAKE_RECEIVING)
		return err_set(e, EINVAL, "data came before the upload was checked");
	if (len > i->d.max_bytes || i->bytes > i->d.max_bytes - len)
		return err_set(e, EFBIG, "the result is larger than %llu bytes",
			       (unsigned long long)i->d.max_bytes);
	if (i->hash) {
		sha256_update(i->hash, data, len);
	} else {
		int rc = i->writer ? 0 : open_blob(i, e);
		if (rc == 0)
			rc = i->d.blobs->ops->write(i->writer, data, len, e);
		if (rc < 0)
			return rc;
	}
	i->bytes += len;
	hub_upload_alive(i->d.hub, i->worker_id, i->job_id);
	return 0;
}

/* ---- finish ---- */

static void drop_blob(struct intake *i)
{
	i->d.blobs->ops->remove(i->d.blobs, i->blob);
}

static void not_claimed(struct intake *i, const struct job_record *job)
{
	const char *code, *text;
	drop_blob(i);
	if (job->state == JOB_DONE && is_mine(i, job) && job->sha256 &&
	    strcmp(job->sha256, i->sha256) == 0) {
		answer(i, 200, NULL, NULL); /* another upload of the same result was first */
		return;
	}
	int status = no_claim(i, job, &code, &text);
	answer(i, status, code, text);
}

static void job_done(void *arg, const struct err *err, bool changed, const struct job_record *job)
{
	struct intake *i = arg;
	if (changed) {
		hub_upload_done(i->d.hub, i->worker_id, i->job_id);
		answer(i, 200, NULL, NULL);
	} else if (err->code == ENOENT) {
		drop_blob(i);
		answer(i, 404, "not_found", "there is no such job");
	} else if (err->code) {
		/* The blob stays: whether a job refers to it is known for certain at the next start
		 * only. */
		log_error(i->d.log, "intake", i->job_id, "storage failed: %s", err->text);
		answer(i, 503, "storage_failed",
		       "the studio cannot store the result, try again later");
	} else {
		not_claimed(i, job);
	}
}

static bool is_full(int code)
{
	return code == ENOSPC || code == EDQUOT;
}

static void blob_stored(void *arg, const struct err *err, uint64_t bytes, const char *sha256_hex_)
{
	struct intake *i = arg;
	if (err->code) {
		log_error(i->d.log, "intake", i->job_id, "cannot store the bytes: %s", err->text);
		answer(i, is_full(err->code) ? 507 : 503, "storage_failed",
		       "the studio cannot store the result, try again later");
		return;
	}
	snprintf(i->sha256, sizeof(i->sha256), "%s", sha256_hex_);
	queue_complete_blob(i->d.queue, i->job_id, i->worker_id, i->blob, i->ext, i->sha256,
			    (int64_t)bytes, i->prompt, job_done, i);
}

static void compare(struct intake *i)
{
	sha256_final_hex(steal(&i->hash), i->sha256);
	if (strcmp(i->sha256, i->done_sha256) == 0)
		answer(i, 200, NULL, NULL);
	else
		answer(i, 409, "conflict", "this job is done, with another result");
}

void intake_finish(struct intake *i)
{
	bool received = i->state == INTAKE_RECEIVING;
	i->state = INTAKE_STORING;
	if (!received || i->bytes == 0)
		answer(i, 400, "invalid_request", "the part 'image' is missing or empty");
	else if (i->hash)
		compare(i);
	else if (!i->ext[0])
		answer(i, 400, "invalid_request", "the field 'ext' is missing");
	else
		i->d.blobs->ops->commit(steal(&i->writer), blob_stored, i);
}

void intake_abort(struct intake *i)
{
	if (!i)
		return;
	i->ev = NULL;
	if (i->state == INTAKE_RECEIVING)
		intake_forget(i);
	/* else an answer is under way, which finds nobody to tell and frees it */
}
