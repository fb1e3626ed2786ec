/* follow.h - watches a job until it is over, and tells how it goes.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "studio/cli/client.h"

/* Until the job is over; *job is replaced with its last state. Survives a restart of the studio.
 * Returns 0, else the exit code after saying what went wrong and how to go on. */
int follow_job(struct client *c, json_t **job) MUST_CHECK;
bool job_is_over(const json_t *job);

#endif
