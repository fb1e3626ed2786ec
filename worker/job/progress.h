/* progress.h - how far a job is, told to the studio at most twice a second.
 * SPDX-License-Identifier: MIT */
#ifndef JOB_PROGRESS_H
#define JOB_PROGRESS_H

#include "lib/base/clock.h"
#include "lib/wire/frame.h"

struct job;

struct progress { /* zeroed: nothing told yet */
	struct timer timer;
	enum stage stage;
	double fraction;
	char *detail;
};

/* Publishes it at once; the frame goes out now, or with the latest values as soon as the limit
 * allows. */
void progress_report(struct job *job, enum stage stage, double fraction, const char *detail);
void progress_stop(struct progress *p);

#endif
