/* job.h - one job, from its offer until its result is delivered or given up.
 *
 *   offered ─▶ accepted ─▶ provisioning ─▶ running ─▶ finished ◀──▶ delivering ─▶ delivered
 *      └───────────┴────────────┴─────────────┴───────────┴─────────────┴──────▶ failed
 *
 * A finished job is in the outbox; one read from there at start begins in that state.
 * SPDX-License-Identifier: MIT */
#ifndef JOB_JOB_H
#define JOB_JOB_H

#include "worker/job/disk.h"
#include "worker/job/jobs.h"
#include "worker/job/progress.h"
#include "worker/job/provision.h"
#include "worker/job/result.h"

enum job_state {
	JOB_OFFERED,
	JOB_ACCEPTED,
	JOB_PROVISIONING,
	JOB_RUNNING,
	JOB_FINISHED,
	JOB_DELIVERING,
	JOB_DELIVERED,
	JOB_FAILED,
};
const char *job_state_name(enum job_state s);

struct job {
	struct list_node node; /* in jobs->kept, once it is in the outbox */
	struct jobs *jobs;     /* NULL: the room is gone, the engine's end frees the job */
	enum job_state state;
	struct claim *claim;   /* NULL for one read from the outbox */
	struct result *result; /* also tells who the job is before there is a result */
	char *scratch;	       /* NULL: none was made */
	char *outcome_file;
	struct pool *pool; /* once the room is gone */
	struct engine *engine;
	struct engine_job work;
	struct provision *provision; /* files on their way, then held for the engine */
	struct engine_run *run;
	uint64_t started_ms;

	bool bound;	/* frames may travel: this session accepted or resumed it */
	bool cancelled; /* by the studio; said when the engine ended */
	bool dropped;	/* unwanted by the studio; nothing is said */
	bool listed; /* in the resume frame that is not answered yet: not offered by HTTP meanwhile
		      */
	bool doomed; /* freed when its disk work or its engine ends */

	struct disk_op *op;	   /* disk work that needs the job */
	struct exchange *exchange; /* the upload on its way */
	bool acked;		   /* the studio has it; only the upload's answer is still out */
	bool later;		   /* not before the next welcome */
	bool again; /* attached while an upload was on its way: one more try if that one is refused
		     */
	unsigned tries;
	struct timer retry, expire;
	struct progress progress;
};

struct job *job_new(struct jobs *j, struct claim *claim, const char *digest); /* takes the claim */
struct job *job_new_kept(struct jobs *j, struct result *r);		      /* takes the result */
/* Unlinks it everywhere; waits for disk work and engine by itself. */
void job_free(struct job *job);
/* The one way to another state: checks the table, publishes. detail may be NULL. */
void job_move(struct job *job, enum job_state to, const char *detail);
static inline const char *job_id(const struct job *job)
{
	return job->result->job_id;
}
/* Accepted and not in the outbox yet. */
static inline bool job_in_work(const struct job *job)
{
	return !list_linked(&job->node);
}

#endif
