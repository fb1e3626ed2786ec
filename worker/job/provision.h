/* provision.h - what an engine needs on this machine before it starts: the model's files, held in
 * the store until the job has left its engine, and what the task's addresses point to, in the job's
 * scratch folder. SPDX-License-Identifier: MIT */
#ifndef JOB_PROVISION_H
#define JOB_PROVISION_H

#include <stdbool.h>

#include "lib/base/err.h"

struct job;
struct provision;
/* Once, never from inside a call. err NULL: job->work names the files, until provision_free(). */
typedef void provision_done(struct job *job, const struct err *err, bool retryable);

/* The job has its scratch folder and its engine; its room has a store. */
struct provision *provision_start(struct job *job, provision_done *done);
/* Stops what is under way; done follows with ECANCELED, unless it came already. */
void provision_cancel(struct provision *p);
/* Lets go of the files; no event follows. NULL allowed. */
void provision_free(struct provision *p);

#endif
