/* result.h - where the result of a job goes: standard output or a file.
 * SPDX-License-Identifier: MIT */
#ifndef CLI_RESULT_H
#define CLI_RESULT_H

#include "studio/cli/client.h"

/* Before any work: can a file be written there? "-" is standard output. Prints what is in the way.
 */
bool result_can_be_written(const char *output);
/* Of a job that is over: to `output`, or with NULL what there is to say about it. Returns the exit
 * code; what fails after the job was done names the job and how to fetch its result. */
int result_deliver(struct client *c, const json_t *job, const char *output);

#endif
