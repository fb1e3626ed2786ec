/* job.h - what `studiod jobs JOB` does with one job.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "studio/cli/client.h"

/* At most one of wait or output (which go together), cancel and retry. */
struct job_options {
	const char *output;
	bool wait, cancel, retry;
};
/* Shows it in full when nothing else is asked for. `given` is the beginning of its id. Returns the
 * exit code. */
int job_run(struct client *c, const char *given, const struct job_options *o);

#endif
