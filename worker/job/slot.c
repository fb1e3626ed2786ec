/* slot.c - the one job slot, and what becomes of an offer (docs/protocol.md, section 7, points 1
 * and 7). SPDX-License-Identifier: MIT */
#include "worker/job/internal.h"

/* A studio that has the whole result may offer the next job before the answer to the upload is
 * here: for so long the offer waits instead of being refused. */
#define HELD_MS 250

static bool accept_offer(struct jobs *j, const char *id)
{
	struct err e = ERR_INIT;
	auto_free char *frame = frame_accept(id);
	if (jobs_send(j, frame, &e) == 0)
		return true;
	log_error(j->d.log, "ws", id, "accept send failed for offer %s: %s", id, e.text);
	return false;
}

static void reject(struct jobs *j, struct claim *claim, const char *why, const char *reason,
		   const char *code)
{
	struct err e = ERR_INIT;
	const char *id = claim->job_id;
	log_info(j->d.log, "ws", id, "rejecting offer %s: %s", id, why);
	auto_free char *frame = frame_reject(id, reason, code);
	if (jobs_send(j, frame, &e) < 0)
		log_error(j->d.log, "ws", id, "reject send failed for offer %s: %s", id, e.text);
	claim_free(claim);
}

static void reject_busy(struct jobs *j, struct claim *claim)
{
	reject(j, claim, "worker is already busy", "worker already has an in-flight job", "busy");
}

static void attach(struct jobs *j, struct job *job)
{
	if (!accept_offer(j, job_id(job)))
		return;
	job->bound = true;
	job->listed = false;
	if (job_in_work(job)) {
		log_info(j->d.log, "ws", job_id(job), "job %s attached to its running engine",
			 job_id(job));
		return;
	}
	log_info(j->d.log, "ws", job_id(job), "job %s attached to its kept result", job_id(job));
	if (!j->slot)
		j->slot = job;
	delivery_start(job);
}

static void take(struct jobs *j, struct claim *claim, const char *digest)
{
	struct job *job = j->slot = job_new(j, claim, digest);
	if (!accept_offer(j, job_id(job))) {
		job_move(job, JOB_FAILED, "the accept could not be sent");
		job_free(job);
		return;
	}
	job->bound = true;
	job_move(job, JOB_ACCEPTED, NULL);
	pipeline_start(job);
}

static void on_held(void *arg)
{
	struct jobs *j = arg;
	if (j->held)
		reject_busy(j, steal(&j->held));
}

static bool may_hold(const struct jobs *j)
{
	return !j->held && !job_in_work(j->slot) && j->slot->exchange;
}

static bool admitted(const struct jobs *j, const struct claim *claim, struct err *e)
{
	return !j->d.admit || j->d.admit(j->d.admit_arg, claim, e) == 0;
}

/* Attaching comes first, also while paused or busy: it is no new work, and a refusal would have the
 * job made twice. */
static void decide(struct jobs *j, struct claim *claim)
{
	char digest[65];
	struct err e = ERR_INIT;
	task_digest(claim->task->raw, claim->source->raw, digest);
	struct job *job = jobs_find(j, claim->job_id, digest);
	if (job && !job->cancelled && !job->dropped && !job->acked) {
		attach(j, job);
		claim_free(claim);
	} else if (j->paused) {
		reject(j, claim, "worker is paused", "worker paused by operator", "paused");
	} else if (!j->slot && !admitted(j, claim, &e)) {
		reject(j, claim, e.text, e.text, NULL);
	} else if (!j->slot) {
		take(j, claim, digest);
	} else if (may_hold(j)) {
		j->held = claim;
		timer_start(&j->held_timer, j->d.clock, HELD_MS, on_held, j);
	} else {
		reject_busy(j, claim);
	}
}

void slot_offer(struct jobs *j, struct claim *claim)
{
	log_info(j->d.log, "ws", claim->job_id,
		 "offer received %s game=%s asset=%s model=%s vram=%g", claim->job_id,
		 claim->game_id, claim->asset_name, claim->model, claim->vram_gb_estimate);
	decide(j, claim);
}

void slot_freed(struct jobs *j)
{
	if (j->slot || !j->held || !j->up)
		return;
	timer_stop(&j->held_timer);
	decide(j, steal(&j->held));
}

void slot_drop_held(struct jobs *j)
{
	timer_stop(&j->held_timer);
	claim_free(steal(&j->held));
}
