/* internal.h - what the files of the job room share.
 * SPDX-License-Identifier: MIT */
#ifndef JOB_INTERNAL_H
#define JOB_INTERNAL_H

#include "lib/base/mem.h"
#include "worker/job/job.h"
#include "worker/job/outbox.h"

struct jobs {
	struct jobs_deps d;
	char *state_dir;
	struct disk disk;
	struct outbox *outbox;
	struct list kept;   /* finished jobs, oldest first */
	struct job *slot;   /* the one job in work, or being delivered on this session */
	struct job *pump;   /* the kept job being offered by HTTP without a claim: one at a time */
	struct claim *held; /* an offer that waits for the slot's upload to be answered */
	struct timer held_timer, resume_timer, forget_timer;
	uint64_t *graves; /* JSON results delivered, not yet forgotten on disk */
	size_t n_graves, cap_graves;
	uint64_t progress_due_ms; /* no progress frame before */
	bool up, paused, dead;
	struct job_link link; /* while up */
	struct { /* a failure between `resume` and `resumed`: told when the claim is kept */
		char *job_id, *error;
		bool retryable;
	} unsaid;
};

/* jobs.c */
int jobs_send(struct jobs *j, const char *frame, struct err *e);
/* Whether a frame of this extension about the job may travel now. */
bool jobs_may_say(const struct jobs *j, const struct job *job, enum feature f);
struct job *jobs_find(const struct jobs *j, const char *id,
		      const char *digest);	   /* digest NULL: any */
void jobs_forget(struct jobs *j, struct job *job); /* no pointer of the room names it any more */
void jobs_release_slot(struct jobs *j, struct job *job);
/* Only when the session may: bound to it and up. */
void jobs_say_fail(struct jobs *j, struct job *job, const char *error, bool retryable);
void jobs_publish_outbox(struct jobs *j);
void jobs_remove_scratch(struct jobs *j, const char *path);
void jobs_destroy(struct jobs *j);

/* pipeline.c: an accepted job up to the outbox */
void pipeline_start(struct job *job);
void pipeline_cancel(struct job *job); /* the engine is told; the job ends when it has ended */
/* Ends the job as failed; says so to the studio if the session may. Frees it. */
void pipeline_fail(struct job *job, bool retryable, const char *error);

/* delivery.c: a kept result on its way */
void delivery_start(struct job *job); /* bound to this session */
void delivery_wait(
    struct job *job); /* unbound: by HTTP when its turn comes, JSON for a new offer */
void delivery_unbind(struct job *job); /* the session is gone: what is not on its way waits */
void delivery_pump(struct jobs *j);    /* offers the next unbound result of bytes */
void delivery_park(
    struct job *job); /* ours no more: never by HTTP again, ten minutes for a new offer */
void delivery_cancel(struct job *job); /* nobody wants it */
void delivery_ack(struct job *job);    /* the studio has it */

/* kept.c: the entries of the outbox */
void kept_await(struct job *job);  /* ten minutes of an open session for a new offer, from now */
void kept_link_up(struct jobs *j); /* those who wait for an offer begin to */
/* The entry is over: off the disk, freed. */
void kept_end(struct job *job, enum job_state how, const char *detail);
void kept_park(struct job *job);      /* remembers on disk that HTTP is over */
void kept_set_aside(struct job *job); /* its file is damaged: out of the way, freed */

/* slot.c */
void slot_offer(struct jobs *j, struct claim *claim);
void slot_freed(struct jobs *j); /* decides an offer that waited for it */
void slot_drop_held(struct jobs *j);

/* graves.c: JSON results that were delivered, on their way out of the journal */
void graves_add(struct jobs *j, uint64_t seq);
void graves_flush(struct jobs *j);		      /* now, by an operation of their own */
void graves_hand(struct jobs *j, struct disk_op *op); /* the operation forgets them on its way */

#endif
