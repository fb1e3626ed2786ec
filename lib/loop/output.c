/* output.c - see output.h.
 * SPDX-License-Identifier: MIT */
#include "lib/loop/output.h"

#define LINE_MAX_BYTES 4096

void output_line(struct output *o, const char *line)
{
	if (!*line || o->lines > OUTPUT_MAX_LINES)
		return;
	if (o->lines++ == OUTPUT_MAX_LINES)
		log_warn(o->log, "engine", o->job_id,
			 "%s: more than %d lines of output, the rest is left out", o->program,
			 OUTPUT_MAX_LINES);
	else
		log_info(o->log, "engine", o->job_id, "%s: %.*s", o->program, LINE_MAX_BYTES, line);
}
