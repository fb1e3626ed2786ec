/* progress.c - see progress.h.
 * SPDX-License-Identifier: MIT */
#include "worker/job/progress.h"

#include "worker/job/internal.h"

#define PROGRESS_EVERY_MS 500 /* docs/protocol.md, section 8: at most 2 a second */

static void send_frame(void *arg)
{
	struct job *job = arg;
	struct progress *p = &job->progress;
	struct jobs *j = job->jobs;
	if (!jobs_may_say(j, job, FEATURE_PROGRESS))
		return;
	auto_free char *frame = frame_progress(job_id(job), p->stage, p->fraction, p->detail);
	j->progress_due_ms = clock_now(j->d.clock) + PROGRESS_EVERY_MS;
	(void)jobs_send(j, frame, NULL); /* a lost bar is no loss */
}

static void publish(struct job *job, enum stage stage, double fraction, const char *detail)
{
	struct event ev = {
	    .type = EVENT_PROGRESS,
	    .wall_ms = clock_wall(job->jobs->d.clock),
	    .job_id = job_id(job),
	    .stage = stage,
	    .fraction = fraction,
	    .detail = detail,
	};
	events_publish(job->jobs->d.events, &ev);
}

void progress_report(struct job *job, enum stage stage, double fraction, const char *detail)
{
	struct progress *p = &job->progress;
	struct clock *clock = job->jobs->d.clock;
	publish(job, stage, fraction, detail);
	if (!jobs_may_say(job->jobs, job, FEATURE_PROGRESS))
		return;
	p->stage = stage;
	p->fraction = fraction;
	str_replace(&p->detail, detail);
	uint64_t now = clock_now(clock);
	uint64_t due = job->jobs->progress_due_ms;
	if (now >= due)
		send_frame(job);
	else if (!timer_running(&p->timer))
		timer_start(&p->timer, clock, due - now, send_frame, job);
}

void progress_stop(struct progress *p)
{
	timer_stop(&p->timer);
	str_replace(&p->detail, NULL);
}
