/* output.h - what a child process says, line by line into the log of its job, bounded.
 * SPDX-License-Identifier: MIT */
#ifndef LOOP_OUTPUT_H
#define LOOP_OUTPUT_H

#include "lib/base/log.h"

#define OUTPUT_MAX_LINES 200 /* of one job; the rest is left out, and one line says so */

struct output {
	struct log *log;
	const char *job_id, *program; /* borrowed */
	unsigned lines;
};

/* One line at info, category "engine". Empty lines are skipped. */
void output_line(struct output *o, const char *line);

#endif
