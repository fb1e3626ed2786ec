/* job.c - see job.h.
 * SPDX-License-Identifier: MIT */
#include "worker/job/job.h"

#include <assert.h>

#include "worker/job/internal.h"

static const char *const state_names[] = {
    "offered",	"accepted",   "provisioning", "running",
    "finished", "delivering", "delivered",    "failed",
};

const char *job_state_name(enum job_state s)
{
	return state_names[s];
}

#define TO(s) (1u << JOB_##s)
static const unsigned moves[] = {
    [JOB_OFFERED] = TO(ACCEPTED) | TO(FAILED),
    [JOB_ACCEPTED] = TO(PROVISIONING) | TO(FAILED),
    [JOB_PROVISIONING] = TO(RUNNING) | TO(FAILED),
    [JOB_RUNNING] = TO(FINISHED) | TO(FAILED),
    [JOB_FINISHED] = TO(DELIVERING) | TO(FAILED) | TO(DELIVERED),
    [JOB_DELIVERING] = TO(FINISHED) | TO(DELIVERED) | TO(FAILED),
    [JOB_DELIVERED] = 0,
    [JOB_FAILED] = 0,
};

static void publish(struct job *job, const char *detail)
{
	struct jobs *j = job->jobs;
	struct event ev = {
	    .type = EVENT_JOB,
	    .wall_ms = clock_wall(j->d.clock),
	    .state = state_names[job->state],
	    .detail = detail,
	    .job_id = job_id(job),
	    .model = job->result->model,
	    .engine = job->result->engine,
	    .kind = job->result->kind,
	};
	events_publish(j->d.events, &ev);
}

void job_move(struct job *job, enum job_state to, const char *detail)
{
	if (!(moves[job->state] & (1u << to))) {
		log_error(job->jobs->d.log, "job", job_id(job), "impossible move from %s to %s",
			  state_names[job->state], state_names[to]);
		assert(false && "impossible move");
		return;
	}
	log_debug(job->jobs->d.log, "job", job_id(job), "%s -> %s", state_names[job->state],
		  state_names[to]);
	job->state = to;
	publish(job, detail);
}

static struct job *make(struct jobs *j, enum job_state state)
{
	struct job *job = xcalloc(1, sizeof *job);
	job->jobs = j;
	job->state = state;
	return job;
}

struct job *job_new(struct jobs *j, struct claim *claim, const char *digest)
{
	struct job *job = make(j, JOB_OFFERED);
	struct result *r = job->result = result_new();
	job->claim = claim;
	r->job_id = xstrdup(claim->job_id);
	r->digest = xstrdup(digest);
	r->kind = xstrdup(claim->task->kind_text);
	r->model = xstrdup(claim->model);
	r->engine = xstrdup(claim->source->engine);
	r->prompt = xstrdup(task_prompt(claim->task));
	publish(job, NULL);
	return job;
}

struct job *job_new_kept(struct jobs *j, struct result *r)
{
	struct job *job = make(j, JOB_FINISHED);
	job->result = r;
	list_push_back(&j->kept, &job->node);
	return job;
}

static void destroy(struct job *job)
{
	provision_free(job->provision);
	claim_free(job->claim);
	result_free(job->result);
	free(job->scratch);
	free(job->outcome_file);
	free(job);
}

void job_free(struct job *job)
{
	struct jobs *j = job->jobs;
	if (!job->doomed) {
		timer_stop(&job->retry);
		timer_stop(&job->expire);
		progress_stop(&job->progress);
		if (!job->run)
			provision_free(steal(&job->provision));
		list_remove(&j->kept, &job->node);
		if (job->exchange)
			transport_cancel(j->d.transport, steal(&job->exchange));
		jobs_forget(j, job);
	}
	job->doomed = job->op || job->run;
	if (job->run) {
		job->pool = j->d.pool;
		job->jobs = NULL; /* the engine may end after the room is gone */
	}
	if (!job->doomed)
		destroy(job);
}
